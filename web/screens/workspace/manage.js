// One terminal: its name, whether one only looks, its end.
import { useState } from "preact/hooks";
import { called } from "../../app/bells.js";
import { since } from "../../app/format.js";
import { html } from "../../app/html.js";
import { call } from "../../app/rpc.js";
import { Dialog } from "../../parts/dialog.js";
import { Banner, Field } from "../../parts/field.js";
import { Icon } from "../../parts/icon.js";

/** @param {{ name: string, s: import("../../app/store.js").Session, looking: boolean, look: (on: boolean) => void, close: () => void }} props */
export function Manage({ name, s, looking, look, close }) {
	const [title, setTitle] = useState(called(s)), [sure, setSure] = useState(false), [problem, fail] = useState("");
	const run = (/** @type {string} */ procedure, /** @type {any} */ more) => call(procedure, { name, session: s.id, ...more }).then(close, error => fail(error.message));
	const rename = () => (title.trim() && title !== called(s) ? run("terminals/rename", { title: title.trim() }) : close());
	const end = () => (s.busy && !sure ? setSure(true) : run("terminals/end", {}));
	return html`<${Dialog} title="Terminal of ${name}" close=${close} submit=${rename} footer=${html`<button type="button" class="btn ${sure ? "danger" : "danger-quiet"}" onClick=${end}><${Icon} name="trash" />${sure ? `End ${s.program}` : "End"}</button><span class="grow"></span><button class="btn primary">Save</button>`}>
		${problem ? html`<${Banner}>${problem}<//>` : null}
		${sure ? html`<${Banner} kind="warn"><strong>${s.program}</strong> runs in it, and ends with it.<//>` : null}
		<${Field} label="Name" value=${title} set=${setTitle} bad=${title.trim().length > 60 ? "60 characters are the most." : ""} focus />
		<label class="check"><input type="checkbox" checked=${looking} onChange=${(/** @type {any} */ e) => look(e.target.checked)} /><span>Only look: what is typed here does not reach it</span></label>
		<p class="tiny muted num">${s.command || s.program}, begun ${since(s.created * 1000)}, ${s.cols} × ${s.rows}</p>
	<//>`;
}
