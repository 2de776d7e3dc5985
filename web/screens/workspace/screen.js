// The terminal on a page: it is most of what that loads, so it comes when it is shown.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../../app/html.js";
import { later } from "../../app/later.js";
import { Icon } from "../../parts/icon.js";
import { Keys } from "./keys.js";

/**
 * @param {{ name: string, session?: string, readOnly?: boolean, host: string, phone?: boolean, began?: (session: string) => void, again?: () => void }} props
 * session: none begins one, and began says which; again: another one is wanted after its end
 */
export function Screen({ name, session, readOnly, host, phone, began, again }) {
	const place = useRef(null), find = useRef(/** @type {HTMLInputElement | null} */ (null));
	const [terminal, setTerminal] = useState(/** @type {ReturnType<typeof import("../../terminal/terminal.js")["openTerminal"]> | undefined} */ (undefined));
	const [said, say] = useState(""), [size, setSize] = useState(""), [title, setTitle] = useState(""), [searching, search] = useState(false), [over, setOver] = useState(false);
	useEffect(() => {
		/** @type {typeof terminal} */
		let made;
		let gone = false;
		later(() => import("../../terminal/terminal.js")).then(({ openTerminal }) => {
			if (gone || !place.current) return;
			made = openTerminal(place.current, { name, session, readOnly, host, began, said: (text, ended) => (say(text), setOver(Boolean(ended))), size: (c, r) => setSize(`${c} × ${r}`), titled: setTitle, search: () => search(true) });
			setTerminal(made);
			if (!phone) made.focus();
		}, () => say("The terminal could not be loaded. Reload the page"));
		return () => {
			gone = true;
			made?.dispose();
		};
	}, [name, host]);
	useEffect(() => find.current?.focus(), [searching]);
	/** @param {KeyboardEvent} event */
	const onKey = event => {
		if (event.key === "Escape") {
			search(false);
			terminal?.focus();
		} else if (event.key === "Enter" && find.current) {
			event.preventDefault();
			terminal?.find(find.current.value, event.shiftKey);
		}
	};
	return html`<div class="screen">
		${searching ? html`<label class="find"><span class="vh">Find in the terminal</span><${Icon} name="search" /><input ref=${find} type="search" placeholder="Find, ↵ next, ⇧↵ before" onKeyDown=${onKey} onInput=${(/** @type {any} */ e) => terminal?.find(e.target.value)} /></label>` : null}
		<div class="xt mono" ref=${place}></div>
		<div class="foot num"><span role="status" class="cut">${said || title}</span><span class="grow"></span>${over && again ? html`<button type="button" class="again" onClick=${again}>New terminal</button>` : null}${readOnly ? html`<span class="tag">look only</span>` : null}${phone ? null : html`<button type="button" aria-label="Find (Ctrl Shift F)" onClick=${() => search(!searching)}><${Icon} name="search" /></button><span>${size}</span>`}</div>
		${phone && terminal ? html`<${Keys} terminal=${terminal} />` : null}
	</div>`;
}
