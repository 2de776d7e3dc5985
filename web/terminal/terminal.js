// A terminal in the page: xterm.js over a transport.
import { FitAddon } from "@xterm/addon-fit";
import { SearchAddon } from "@xterm/addon-search";
import { Unicode11Addon } from "@xterm/addon-unicode11";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { Terminal } from "@xterm/xterm";
import { copyText } from "../parts/copy.js";
import { takesFiles } from "./files.js";
import { openable } from "./links.js";
import { styleDocument } from "./styles.js";
import { swipes } from "./touch.js";
import { connect } from "./transport.js";

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

/** A program's questions to its terminal are answered by the agent, once for all viewers. @param {Terminal} terminal */
function answerNothing(terminal) {
	for (const asks of [{ final: "c" }, { prefix: ">", final: "c" }, { prefix: "=", final: "c" }, { final: "n" }, { prefix: "?", final: "n" }, { intermediates: "$", final: "p" }, { prefix: "?", intermediates: "$", final: "p" }])
		terminal.parser.registerCsiHandler(asks, () => true);
}

/**
 * Shows a workspace's terminal in an element.
 * @param {HTMLElement} place
 * @param {{ name: string, session?: string, readOnly?: boolean, host: string, said: (text: string, ended?: boolean) => void, size: (cols: number, rows: number) => void,
 *   titled?: (text: string) => void, search?: () => void, began?: (session: string) => void }} how
 * session: none begins one, and began says which, or "" where there are none; host: the workspace's own name, under which
 * what it serves on localhost is opened; said: what the connection does; titled: what the program calls itself;
 * search: somebody wants to
 */
export function openTerminal(place, { name, session, readOnly, host, said, size, titled, search, began }) {
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
	const shown = (/** @type {import("./transport.js").Size} */ { cols, rows }) => {
		if (cols !== terminal.cols || rows !== terminal.rows) terminal.resize(cols, rows);
		const own = room();
		place.classList.toggle("foreign", cols > own.cols || rows > own.rows);
		size(cols, rows);
	};
	/** What the place has room for. */
	const room = () => {
		const { cols = 0, rows = 0 } = fit.proposeDimensions() ?? {};
		return cols > 1 && rows > 1 ? { cols, rows } : { cols: terminal.cols, rows: terminal.rows };
	};
	let plain = false;
	const connection = connect(name, { session, readOnly }, {
		size: room,
		output: (data, took) => terminal.write(data, took),
		resized: shown,
		session: id => {
			if (id) answerNothing(terminal);
			plain = !id;
			began?.(id);
		},
		state: (state, why) => {
			if (state === "again") setTimeout(said, 4000, "");
			if (state === "ended") terminal.options.cursorBlink = false;
			said({ open: "", again: "Reconnected", lost: `No connection${why ? `: ${why.replace(/[.]?$/, ".")}` : "."} It is tried again`, ended: why || "It has ended" }[state], state === "ended");
		},
	});
	if (session) answerNothing(terminal);
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
		const own = room();
		if (!readOnly || plain) {
			shown(own);
			connection.resize(own);
		}
	});
	observer.observe(place);
	const unswipe = swipes(place, terminal, input);
	const untake = readOnly ? () => {} : takesFiles(place, name, { said, type: text => terminal.paste(text) });
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
			untake();
			connection.close();
			terminal.dispose();
		},
	};
}
