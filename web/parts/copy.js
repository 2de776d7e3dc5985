// A text that a click copies. Over plain http browsers hide the clipboard: then the old way, by a selection.
import { useState } from "preact/hooks";
import { html } from "../app/html.js";
import { Icon } from "./icon.js";

/** @param {string} text @returns {Promise<boolean>} */
export async function copyText(text) {
	try {
		await navigator.clipboard.writeText(text);
		return true;
	} catch {
		const field = document.createElement("textarea");
		field.value = text;
		field.className = "vh";
		document.body.append(field);
		field.select();
		const done = document.execCommand("copy");
		field.remove();
		return done;
	}
}

/** @param {{ text: string, show?: boolean, children: any }} props */
export function Copy({ text, show, children }) {
	const [said, say] = useState("");
	const copy = async () => {
		say((await copyText(text)) ? "copied" : "not copied: select it");
		setTimeout(() => say(""), 1500);
	};
	return html`<button class="copy ${show ? "show" : ""}" title="Copy ${text}" onClick=${copy}>
		<span class="cut">${said || children}</span><${Icon} name="copy" />
	</button>`;
}
