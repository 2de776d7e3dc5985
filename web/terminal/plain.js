// A shell that lives as long as its WebSocket, for a workspace without sessions.
import { socketTo } from "../app/stream.js";
/** @typedef {import("./transport.js").Ends} Ends */
/** @typedef {import("./transport.js").Transport} Transport */

/** @param {string} name the workspace @param {Ends} to @returns {Transport} */
export function plainShell(name, to) {
	/** @type {WebSocket | undefined} */
	let socket;
	let over = false, asking = false, tries = 0, before = false, /** @type {any} */ timer;

	async function connect() {
		if (asking || over) return;
		asking = true;
		clearTimeout(timer);
		try {
			const made = await socketTo(`/rpc/terminal/${encodeURIComponent(name)}`, { name });
			if (over) made.close();
			else use(made);
		} catch (error) {
			lost(/** @type {Error} */ (error).message);
		}
		asking = false;
	}
	/** @param {WebSocket} next */
	function use(next) {
		socket = next;
		socket.onopen = () => {
			tries = 0;
			to.state(before ? "again" : "open", "");
			before = true;
			resize(to.size());
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
	/** @param {import("./transport.js").Size} size */
	function resize(size) {
		if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "resize", ...size }));
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
		input: data => socket?.readyState === WebSocket.OPEN && socket.send(/** @type {any} */ (data)),
		close() {
			over = true;
			clearTimeout(timer);
			removeEventListener("online", wake);
			document.removeEventListener("visibilitychange", wake);
			socket?.close();
		},
	};
}
