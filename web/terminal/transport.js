// What a terminal in the page talks to: the agent's WebSocket for a workspace's shell. It comes again by itself, for ever,
// at once when the network or the page is back.
import { call } from "../app/rpc.js";

/**
 * @typedef {{ size: () => { cols: number, rows: number }, output: (data: string | Uint8Array) => void, state: (state: "open" | "again" | "lost" | "ended", why: string) => void }} Ends
 * output: what is printed; state: of the connection
 * @typedef {{ input: (data: Uint8Array) => void, resize: () => void, wake: () => void, close: () => void }} Transport
 * input is dropped while there is no connection
 */

/** @param {string} name the workspace @param {Ends} to @returns {Transport} */
export function shell(name, to) {
	/** @type {WebSocket | undefined} */
	let socket;
	let over = false, asking = false, tries = 0, before = false, /** @type {any} */ timer;

	async function connect() {
		if (asking || over) return;
		asking = true;
		clearTimeout(timer);
		try {
			const { ticket } = await call("terminal/ticket", { name });
			if (!over) use(new WebSocket(`${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/rpc/terminal/${encodeURIComponent(name)}?ticket=${ticket}`));
		} catch (error) {
			lost(/** @type {Error} */ (error).message);
		}
		asking = false;
	}
	/** @param {WebSocket} next */
	function use(next) {
		socket = next;
		socket.binaryType = "arraybuffer";
		socket.onopen = () => {
			tries = 0;
			to.state(before ? "again" : "open", "");
			before = true;
			resize();
		};
		socket.onmessage = event => to.output(typeof event.data === "string" ? event.data : new Uint8Array(event.data));
		socket.onclose = event => {
			if (over || socket !== next) return;
			if (event.code === 1000) {
				over = true;
				to.state("ended", event.reason);
			} else lost(event.reason);
		};
	}
	/** @param {string} why */
	function lost(why) {
		if (over) return;
		to.state("lost", why);
		timer = setTimeout(connect, Math.min(10000, 500 * 2 ** tries++));
	}
	function resize() {
		if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "resize", ...to.size() }));
	}
	function wake() {
		if (over || document.visibilityState === "hidden" || !socket || socket.readyState <= WebSocket.OPEN) return;
		connect();
	}
	addEventListener("online", wake);
	document.addEventListener("visibilitychange", wake);
	connect();
	return {
		resize,
		wake,
		input: data => socket?.readyState === WebSocket.OPEN && socket.send(data),
		close() {
			over = true;
			clearTimeout(timer);
			removeEventListener("online", wake);
			document.removeEventListener("visibilitychange", wake);
			socket?.close();
		},
	};
}
