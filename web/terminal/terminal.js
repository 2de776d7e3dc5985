// A terminal in the page: xterm.js over a transport.
import { FitAddon } from "@xterm/addon-fit";
import { SearchAddon } from "@xterm/addon-search";
import { Unicode11Addon } from "@xterm/addon-unicode11";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { Terminal } from "@xterm/xterm";
import { copyText } from "../parts/copy.js";
import { openable } from "./links.js";
import { styleDocument } from "./styles.js";
import { swipes } from "./touch.js";
import { shell } from "./transport.js";

/** Colours of the style sheet: the terminal is dark in both themes, as the programs in it expect. */
function theme() {
	const style = getComputedStyle(document.documentElement);
	const of = (/** @type {string} */ name) => style.getPropertyValue(`--term-${name}`).trim();
	return {
		background: of("bg"), foreground: of("ink"), cursor: of("pear"), cursorAccent: of("bg"), selectionBackground: "#4a4d32",
		red: of("red"), green: of("green"), yellow: of("yellow"), blue: of("blue"), brightBlack: of("dim"),
	};
}

/** Drawing on the graphics card where there is one. @param {Terminal} terminal */
async function draw(terminal) {
	if (!document.createElement("canvas").getContext("webgl2")) return;
	try {
		const { WebglAddon } = await import("@xterm/addon-webgl");
		const addon = new WebglAddon();
		addon.onContextLoss(() => addon.dispose());
		terminal.loadAddon(addon);
	} catch {
		// xterm.js goes on drawing with elements.
	}
}

/** Keys of the page's own, which no program in a terminal gets. @param {Terminal} terminal @param {() => void} search */
function ownKeys(terminal, search) {
	terminal.attachCustomKeyEventHandler(event => {
		const chord = event.ctrlKey && event.shiftKey && !event.altKey, key = event.key.toLowerCase();
		if (chord && key === "c" && terminal.hasSelection()) {
			if (event.type === "keydown") copyText(terminal.getSelection());
		} else if (chord && key === "f") {
			if (event.type === "keydown") search();
		} else return !(chord && key === "v"); // the browser pastes
		event.preventDefault();
		return false;
	});
}

/**
 * Shows a workspace's terminal in an element.
 * @param {HTMLElement} place
 * @param {{ name: string, host: string, said: (text: string) => void, size: (cols: number, rows: number) => void, titled?: (text: string) => void, search?: () => void }} how
 * host: the workspace's own name, under which what it serves on localhost is opened; said: what the connection does;
 * titled: what the program calls itself; search: somebody wants to
 */
export function openTerminal(place, { name, host, said, size, titled, search }) {
	const terminal = new Terminal({
		allowProposedApi: true, documentOverride: styleDocument, cursorBlink: true, fontFamily: getComputedStyle(place).fontFamily, fontSize: 13, lineHeight: 1.25,
		scrollback: 10000, theme: theme(), macOptionIsMeta: true,
	});
	const fit = new FitAddon(), searching = new SearchAddon(), bytes = new TextEncoder();
	terminal.loadAddon(fit);
	terminal.loadAddon(searching);
	terminal.loadAddon(new Unicode11Addon());
	terminal.unicode.activeVersion = "11";
	terminal.loadAddon(new WebLinksAddon((_, link) => {
		const url = openable(link, host);
		if (url) window.open(url, "_blank", "noopener,noreferrer");
		else said(`${link} is inside the workspace: perry proxy ${name} PORT brings it to your machine`);
	}));
	terminal.open(place);
	draw(terminal);
	let control = false, /** @type {(on: boolean) => void} */ armed = () => {};
	const connection = shell(name, {
		size: () => ({ cols: terminal.cols, rows: terminal.rows }),
		output: data => terminal.write(data),
		state: (state, why) => {
			if (state === "again") setTimeout(said, 4000, "");
			if (state === "ended") terminal.options.cursorBlink = false;
			said({ open: "", again: "Reconnected", lost: why ? `No connection: ${why} It is tried again` : "No connection. It is tried again", ended: why || "Ended" }[state]);
		},
	});
	const input = (/** @type {string} */ text) => connection.input(bytes.encode(text));
	terminal.onData(text => {
		// Ctrl of the key row holds for one key.
		if (control && text.length === 1) {
			control = false;
			armed(false);
			text = String.fromCharCode(text.toUpperCase().charCodeAt(0) & 31);
		}
		input(text);
	});
	terminal.onBinary(text => connection.input(Uint8Array.from(text, c => c.charCodeAt(0))));
	terminal.onTitleChange(text => titled?.(text.slice(0, 200)));
	ownKeys(terminal, () => search?.());
	const observer = new ResizeObserver(() => {
		fit.fit();
		size(terminal.cols, terminal.rows);
		connection.resize();
	});
	observer.observe(place);
	const unswipe = swipes(place, terminal, input);
	return {
		focus: () => terminal.focus(),
		/** @param {string} text @param {boolean} [back] */
		find: (text, back) => (back ? searching.findPrevious(text) : searching.findNext(text)),
		/** As if it were typed. @param {string} text */
		type: text => terminal.input(text),
		/** As if it were pasted. @param {string} text */
		paste: text => terminal.paste(text),
		/** The next key is one with Ctrl. @param {(on: boolean) => void} shown told when that is over */
		control(shown) {
			armed = shown;
			control = !control;
			shown(control);
		},
		dispose() {
			observer.disconnect();
			unswipe();
			connection.close();
			terminal.dispose();
		},
	};
}
