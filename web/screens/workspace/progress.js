// An operation, step by step, where it happens.
import { html } from "../../app/html.js";
import { Glyph } from "../../parts/glyph.js";
import { Icon } from "../../parts/icon.js";
/** @typedef {import("../../app/store.js").Operation} Operation */

/** @param {{ status: string }} props */
function Sign({ status }) {
	if (status === "done") return html`<span class="ok"><${Icon} name="check" /></span>`;
	if (status === "error") return html`<${Glyph} of="bad" says="failed" />`;
	if (status === "running") return html`<${Glyph} of="start" says="under way" />`;
	return html`<${Glyph} of="down" says=${status === "skipped" ? "left out" : "to come"} />`;
}

/** @param {{ op: Operation, title: string, children?: any }} props children: what to do about it */
export const Steps = ({ op, title, children }) => html`<div class="progress" role="status"><h2>${title}</h2>
	<ol>${op.steps.map(s => html`<li key=${s.step} class=${s.status}><${Sign} status=${s.status} /><span><span class="t">${s.label}</span>${s.status === "running" && op.percent !== undefined ? html` <span class="num muted">${Math.round(op.percent)} %</span>` : null}
		${s.message ? html`<span class="d ${s.status === "error" ? "err" : ""}">${s.message}</span>` : null}</span></li>`)}</ol>
	${op.error && !op.steps.some(s => s.message === op.error) ? html`<p class="err">${op.error}</p>` : null}
	<div class="btns">${children}</div></div>`;
