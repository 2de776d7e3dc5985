// What forms are made of.
import { useId } from "preact/hooks";
import { html } from "../app/html.js";
import { Icon } from "./icon.js";

/**
 * A text with its label and a line below that keeps its room.
 * @param {{ label: any, value: string, set: (value: string) => void, hint?: any, bad?: string, good?: string, type?: string,
 *   placeholder?: string, icon?: any, focus?: boolean, disabled?: boolean, end?: any, list?: string[], mono?: boolean, bare?: boolean }} props
 * bare: the label stands elsewhere, and this one is heard only; list: offered while typing
 */
export function Field({ label, value, set, hint, bad, good, type = "text", placeholder, icon, focus, disabled, end, list, mono, bare }) {
	const id = useId();
	return html`<div class="field">
		<label for=${id} class=${bare ? "vh" : ""}>${label}</label>
		<div class="input ${bad ? "invalid" : ""}">${icon ? html`<${Icon} name=${icon} />` : null}<input id=${id} type=${type} class=${mono ? "mono" : ""} value=${value} placeholder=${placeholder} autofocus=${focus} disabled=${disabled}
			autocomplete="off" autocapitalize="off" spellcheck=${false} list=${list ? `${id}-list` : undefined} aria-invalid=${bad ? "true" : undefined} aria-describedby="${id}-hint"
			onInput=${(/** @type {any} */ e) => set(e.target.value)} />${end}</div>
		${list ? html`<datalist id="${id}-list">${list.map(text => html`<option value=${text}></option>`)}</datalist>` : null}
		${hint === undefined && bad === undefined && good === undefined ? html`<span id="${id}-hint"></span>`
			: html`<p class="hint ${bad ? "bad" : good ? "good" : ""}" id="${id}-hint" aria-live="polite">${bad || good || hint}</p>`}
	</div>`;
}

/** @param {{ label: string, on: boolean, set: (on: boolean) => void, says?: any, disabled?: boolean }} props */
export const Switch = ({ label, on, set, says, disabled }) => html`<div class="check">
	<button type="button" class="switch" role="switch" aria-checked=${String(on)} aria-label=${label} disabled=${disabled} onClick=${() => set(!on)}></button>
	<span class="small">${says}</span></div>`;

/** Several lines of text. @param {{ label: string, value: string, set: (value: string) => void, placeholder?: string, rows?: number, bad?: string, hint?: any }} props */
export function Lines({ label, value, set, placeholder, rows = 3, bad, hint }) {
	const id = useId();
	return html`<div class="field"><label for=${id}>${label}</label>
		<div class="input ${bad ? "invalid" : ""}"><textarea id=${id} class="mono" rows=${rows} placeholder=${placeholder} spellcheck=${false} autocapitalize="off" aria-describedby="${id}-hint" value=${value}
			onInput=${(/** @type {any} */ e) => set(e.target.value)}></textarea></div>
		<p class="hint ${bad ? "bad" : ""}" id="${id}-hint" aria-live="polite">${bad || hint}</p></div>`;
}

/** @param {{ kind?: string, children: any, close?: () => void }} props kind: bad, warn or you */
export const Banner = ({ kind = "bad", children, close }) => html`<div class="banner ${kind}" role=${kind === "bad" ? "alert" : "status"}><${Icon} name="warn" /><span class="grow">${children}</span>
	${close ? html`<button type="button" class="btn ghost icon" aria-label="Close" onClick=${close}><${Icon} name="close" /></button>` : null}</div>`;
