// Keys that a phone's keyboard lacks.
import { useState } from "preact/hooks";
import { html } from "../../app/html.js";
import { Dialog } from "../../parts/dialog.js";
import { Lines } from "../../parts/field.js";

const keys = [["esc", "\x1b", "Escape"], ["tab", "\t", "Tab"], ["⇧tab", "\x1b[Z", "Shift and Tab"], ["ctrl", "", "Ctrl, for the next key"], ["↑", "\x1b[A", "Up"], ["⏎", "\x1b\r", "New line, without sending"],
	["paste", "", "Paste"], ["/", "/", "Slash"], ["|", "|", "Bar"], ["←", "\x1b[D", "Left"], ["↓", "\x1b[B", "Down"], ["→", "\x1b[C", "Right"]];

/** @param {{ terminal: ReturnType<typeof import("../../terminal/terminal.js")["openTerminal"]> }} props */
export function Keys({ terminal }) {
	const [control, setControl] = useState(false), [pasting, setPasting] = useState(false), [text, setText] = useState("");
	const paste = async () => {
		try {
			terminal.paste(await navigator.clipboard.readText());
		} catch {
			setPasting(true); // over plain http no page may read the clipboard
		}
	};
	/** @param {string} label @param {string} sent */
	const press = (label, sent) => {
		if (label === "ctrl") terminal.control(setControl);
		else if (label === "paste") paste();
		else terminal.type(sent);
	};
	const done = () => {
		terminal.paste(text);
		setText("");
		setPasting(false);
	};
	return html`<div class="krow" role="toolbar" aria-label="Keys">${keys.map(([label, sent, says]) =>
		html`<button type="button" class=${label === "ctrl" && control ? "on" : ""} aria-label="${label}: ${says}" aria-pressed=${label === "ctrl" ? String(control) : undefined}
			onPointerDown=${(/** @type {Event} */ e) => e.preventDefault()} onClick=${() => press(label, sent)}>${label}</button>`)}</div>
	${pasting ? html`<${Dialog} title="Paste" close=${() => setPasting(false)} submit=${done} footer=${html`<button class="btn primary">Type it</button>`}>
		<${Lines} label="Text" value=${text} set=${setText} hint="The browser does not let this page read the clipboard: over plain http none may. Paste here" /><//>` : null}`;
}
