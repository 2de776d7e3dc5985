// A terminal in the page: xterm.js over the agent's WebSocket, which comes again by itself.
import { FitAddon } from "@xterm/addon-fit";
import { SearchAddon } from "@xterm/addon-search";
import { Unicode11Addon } from "@xterm/addon-unicode11";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { Terminal } from "@xterm/xterm";
import { call } from "../app/rpc.js";
import { openable } from "./links.js";
import { styleDocument } from "./styles.js";

/** Colours of the style sheet: the terminal is dark in both themes, as the programs in it expect. */
function theme() {
	const style = getComputedStyle(document.documentElement);
	const of = (/** @type {string} */ name) => style.getPropertyValue(`--term-${name}`).trim();
	return {
		background: of("bg"), foreground: of("ink"), cursor: of("pear"), cursorAccent: of("bg"), selectionBackground: "#4a4d32",
		red: of("red"), green: of("green"), yellow: of("yellow"), blue: of("blue"), brightBlack: of("dim"),
	};
}

/**
 * Shows a workspace's terminal in an element.
 * @param {HTMLElement} place
 * @param {{ name: string, host: string, said: (text: string) => void, size: (cols: number, rows: number) => void }} how
 * host: the workspace's own name, under which what it serves on localhost is opened; said: what the connection does
 * @returns {{ dispose: () => void, focus: () => void, find: (text: string) => void }}
 */
export function openTerminal(place, { name, host, said, size }) {
	const terminal = new Terminal({
		allowProposedApi: true, documentOverride: styleDocument, cursorBlink: true, fontFamily: getComputedStyle(place).fontFamily, fontSize: 13, lineHeight: 1.25,
		scrollback: 10000, theme: theme(), macOptionIsMeta: true,
	});
	const fit = new FitAddon(), search = new SearchAddon();
	terminal.loadAddon(fit);
	terminal.loadAddon(search);
	terminal.loadAddon(new Unicode11Addon());
	terminal.unicode.activeVersion = "11";
	terminal.loadAddon(new WebLinksAddon((_, link) => {
		const url = openable(link, host);
		if (url) window.open(url, "_blank", "noopener,noreferrer");
	}));
	terminal.open(place);
	/** @type {WebSocket | undefined} */
	let socket;
	let over = false, tries = 0, /** @type {any} */ timer;
	const send = (/** @type {string} */ text) => socket?.readyState === WebSocket.OPEN && socket.send(text);
	const resize = () => {
		fit.fit();
		size(terminal.cols, terminal.rows);
		send(JSON.stringify({ type: "resize", cols: terminal.cols, rows: terminal.rows }));
	};
	const bytes = new TextEncoder();
	terminal.onData(text => socket?.readyState === WebSocket.OPEN && socket.send(bytes.encode(text)));

	async function connect() {
		try {
			const { ticket } = await call("terminal/ticket", { name });
			if (over) return;
			const scheme = location.protocol === "https:" ? "wss:" : "ws:";
			socket = new WebSocket(`${scheme}//${location.host}/rpc/terminal/${name}?ticket=${ticket}`);
			socket.binaryType = "arraybuffer";
			socket.onopen = () => {
				said(tries ? "Reconnected" : "");
				tries = 0;
				resize();
			};
			socket.onmessage = event => terminal.write(typeof event.data === "string" ? event.data : new Uint8Array(event.data));
			socket.onclose = again;
		} catch {
			again();
		}
	}
	function again() {
		if (over) return;
		said("No connection; it is tried again");
		timer = setTimeout(connect, Math.min(10000, 500 * 2 ** tries++));
	}
	const back = () => {
		if (over || document.visibilityState === "hidden" || !socket || socket.readyState <= WebSocket.OPEN) return;
		clearTimeout(timer);
		connect();
	};
	addEventListener("online", back);
	document.addEventListener("visibilitychange", back);
	const observer = new ResizeObserver(resize);
	observer.observe(place);
	connect();
	return {
		focus: () => terminal.focus(),
		find: text => void search.findNext(text),
		dispose() {
			over = true;
			clearTimeout(timer);
			observer.disconnect();
			removeEventListener("online", back);
			document.removeEventListener("visibilitychange", back);
			socket?.close();
			terminal.dispose();
		},
	};
}
