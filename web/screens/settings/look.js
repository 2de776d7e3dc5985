// What can be looked at, not set: hooks, and what the doctor says.
import { useState } from "preact/hooks";
import { html } from "../../app/html.js";
import { call } from "../../app/rpc.js";
import { Banner } from "../../parts/field.js";
import { Glyph } from "../../parts/glyph.js";
import { Section, useAnswer } from "./section.js";

export function Hooks() {
	const [list, why] = useAnswer("hooks/list"), [check] = useAnswer("hooks/check");
	const points = Array.isArray(list) ? list : (list?.points ?? []), problems = Array.isArray(check) ? check : (check?.problems ?? []);
	return html`<${Section} id="hooks" title="Hooks" lead="Policy in files: for each question which file answers it. Yours lie in hooks/ of the configuration folder.">
		${why ? html`<${Banner}>${why}<//>` : null}
		${problems.map((/** @type {any} */ p, /** @type {number} */ i) => html`<${Banner} key=${i}>${p.file ? html`<code>${p.file}${p.line ? `:${p.line}` : ""}</code> ` : null}${p.message ?? String(p)}<//>`)}
		<table class="tbl"><thead><tr><th>Question</th><th>Answered by</th></tr></thead><tbody>${points.map((/** @type {any} */ p) => html`<tr key=${p.point ?? p.name}><td class="mono">${p.point ?? p.name}</td><td class="mono tiny muted">${(p.files ?? p.layers ?? []).map((/** @type {any} */ f) => (typeof f === "string" ? f : `${f.layer ?? ""} ${String(f.file ?? "").split("/").slice(-2).join("/")}`)).join(", ") || p.file || "built-in"}</td></tr>`)}</tbody></table>
	<//>`;
}

export function Doctor() {
	const [checks, setChecks] = useState(/** @type {any[] | undefined} */ (undefined)), [why, setWhy] = useState(""), [busy, setBusy] = useState(false);
	const look = () => {
		setBusy(true);
		call("doctor").then(answer => setChecks(answer.checks), error => setWhy(error.message)).finally(() => setBusy(false));
	};
	return html`<${Section} id="doctor" title="Doctor" lead="What is wrong with the agent and its machine, and what mends it.">
		${why ? html`<${Banner}>${why}<//>` : null}
		${checks ? html`<ul class="checks pad">${[...checks].sort((a, b) => Number(a.ok) - Number(b.ok)).map(c => html`<li key=${c.check}><${Glyph} of=${c.ok ? "up" : "bad"} says=${c.ok ? "good" : "wrong"} /><span><b>${c.check}</b> ${c.message}${c.mend && !c.ok ? html`<br /><span class="muted">${c.mend}</span>` : null}</span></li>`)}</ul>` : null}
		<div class="pad tight"><div class="btns"><button type="button" class="btn" disabled=${busy} onClick=${look}>${busy ? "Looking" : checks ? "Look again" : "Look"}</button></div></div>
	<//>`;
}
