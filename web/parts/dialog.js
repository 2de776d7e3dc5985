// A dialog that keeps the focus and gives it back; on phones a sheet.
import { useEffect, useRef } from "preact/hooks";
import { html } from "../app/html.js";
import { Icon } from "./icon.js";

/** @param {{ title: string, close: () => void, children: any, footer: any, submit?: () => void }} props */
export function Dialog({ title, close, children, footer, submit }) {
	const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
	useEffect(() => {
		const before = document.activeElement;
		dialog.current?.showModal();
		return () => before instanceof HTMLElement && before.focus();
	}, []);
	/** @param {Event} event */
	const onSubmit = event => {
		event.preventDefault();
		submit?.();
	};
	return html`<dialog class="scrim" ref=${dialog} aria-label=${title} onCancel=${(/** @type {Event} */ e) => (e.preventDefault(), close())}>
		<form class="dialog" onSubmit=${onSubmit}>
			<header><h1>${title}</h1><button type="button" class="btn ghost icon" aria-label="Close (Esc)" onClick=${close}><${Icon} name="close" /></button></header>
			<div class="body">${children}</div>
			<footer>${footer}</footer>
		</form>
	</dialog>`;
}
