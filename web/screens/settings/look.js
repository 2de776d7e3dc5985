// What can be looked at, not set: hooks, and what the doctor says.
import { useState } from "preact/hooks";
import { html } from "../../app/html.js";
import { call } from "../../app/rpc.js";
import { useStore } from "../../app/store.js";
import { Copy } from "../../parts/copy.js";
import { Banner } from "../../parts/field.js";
import { Glyph } from "../../parts/glyph.js";
import { useSaving } from "../../parts/save.js";
import { Section, useAnswer } from "./section.js";

/** @param {any} file @param {any} line */
const place = (file, line) => `${String(file ?? "").split("/").slice(-2).join("/")}${line ? `:${line}` : ""}`;

/** One question asked about one workspace; nothing is done. @param {{ points: any[] }} props */
function DryRun({ points }) {
	const { workspaces } = useStore(), saving = useSaving();
	const [point, setPoint] = useState(""), [name, setName] = useState(""), [answer, setAnswer] = useState(/** @type {any} */ (undefined));
	const asked = points.filter(p => p.kind !== "action"), names = [...workspaces.keys()].sort();
	const at = point || asked[0]?.name || "", about = workspaces.has(name) ? name : (names[0] ?? "");
	const run = async (/** @type {Event} */ event) => {
		event.preventDefault();
		setAnswer(undefined);
		const found = await saving.run("hooks/run", { point: at, workspace: about });
		saving.clear();
		if (found) setAnswer({ ...found, point: at, about });
	};
	if (!names.length) return html`<div class="pad"><p class="small muted">With a workspace a question can be tried out here.</p></div>`;
	return html`<form class="pad try" onSubmit=${run}><div class="btns">
			<label class="field"><span class="lbl">Ask</span><select class="input mono" value=${at} onChange=${(/** @type {any} */ e) => setPoint(e.target.value)}>${asked.map(p => html`<option key=${p.name} value=${p.name}>${p.name}</option>`)}</select></label>
			<label class="field"><span class="lbl">about</span><select class="input" value=${about} onChange=${(/** @type {any} */ e) => setName(e.target.value)}>${names.map(n => html`<option key=${n} value=${n}>${n}</option>`)}</select></label>
			<button class="btn" disabled=${saving.busy}>${saving.busy ? "Asking" : "Dry run"}</button></div>
		${answer ? "" : saving.said}
		${answer ? html`<div role="status"><p class="small">${answer.point} about <b>${answer.about}</b>; nothing was done.</p><ul class="tried">${(answer.layers ?? []).map((/** @type {any} */ l, /** @type {number} */ i) => html`<li key=${i}><span class="small"><b>${l.layer}</b> <span class="mono tiny muted">${place(l.file, l.line)}</span></span>
			<pre tabindex="0" aria-label="Answer of ${l.layer}">${l.error ?? (l.answer === undefined ? "no answer" : JSON.stringify(l.answer, null, 2))}${l.reason ? `\n${l.reason}` : ""}</pre></li>`)}</ul>
			${answer.error ? html`<${Banner}>${answer.error.message ?? "It failed."} ${answer.error.file ? html`<code>${place(answer.error.file, answer.error.line)}</code>` : null}<//>` : null}</div>` : null}
	</form>`;
}

/** What mends it: a command is there to be copied. @param {{ text: string }} props */
const Mend = ({ text }) => (/^(sudo |perry |systemctl |docker |tailscale )[^\n]*$/.test(text) && !/: |; /.test(text) ? html`<${Copy} show text=${text}>${text}<//>` : html`<span class="muted">${text}</span>`);

export function Hooks() {
	const [list, why] = useAnswer("hooks/list"), [check] = useAnswer("hooks/check");
	const points = (Array.isArray(list) ? list : (list?.points ?? [])).map((/** @type {any} */ p) => ({ ...p, name: p.point ?? p.name })), problems = Array.isArray(check) ? check : (check?.problems ?? []);
	return html`<${Section} id="hooks" title="Hooks" lead="Policy in files: for each question which file answers it. Yours lie in hooks/ of the configuration folder.">
		${why ? html`<${Banner}>${why}<//>` : null}
		${problems.map((/** @type {any} */ p, /** @type {number} */ i) => html`<${Banner} key=${i}>${p.file ? html`<code>${p.file}${p.line ? `:${p.line}` : ""}</code> ` : null}${p.message ?? String(p)}<//>`)}
		<table class="tbl"><thead><tr><th>Question</th><th>Answered by</th></tr></thead><tbody>${points.map((/** @type {any} */ p) => html`<tr key=${p.point ?? p.name}><td class="mono">${p.point ?? p.name}</td><td class="mono tiny muted">${(p.files ?? p.layers ?? []).map((/** @type {any} */ f) => (typeof f === "string" ? f : `${f.layer ?? ""} ${String(f.file ?? "").split("/").slice(-2).join("/")}`)).join(", ") || p.file || "built-in"}</td></tr>`)}</tbody></table>
		${points.length ? html`<${DryRun} points=${points} />` : null}
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
		${checks ? html`<ul class="checks pad">${[...checks].sort((a, b) => Number(a.ok) - Number(b.ok)).map(c => html`<li key=${c.check}><${Glyph} of=${c.ok ? "up" : "bad"} says=${c.ok ? "good" : "wrong"} /><span><b>${c.check}</b> ${c.message}${c.mend && !c.ok ? html`<br /><${Mend} text=${c.mend} />` : null}</span></li>`)}</ul>` : null}
		<div class="pad tight"><div class="btns"><button type="button" class="btn" disabled=${busy} onClick=${look}>${busy ? "Looking" : checks ? "Look again" : "Look"}</button></div></div>
	<//>`;
}
