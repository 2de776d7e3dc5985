// One channel of the agent's stream protocol, for what a page reads only: its messages are a byte of type, four of the
// channel's number, and the payload.
import { sessionKey } from "./session.js";

const OPEN = 1, OUT = 4, ERR = 5, EXIT = 8, ERROR = 9, WINDOW = 10;

/** @param {number} type @param {Uint8Array} payload */
function message(type, payload) {
	const whole = new Uint8Array(5 + payload.length);
	whole[0] = type;
	whole[4] = 1;
	whole.set(payload, 5);
	return whole;
}

/**
 * @param {any} what as OPEN takes it
 * @param {{ output: (text: string) => void, ended: (why: string) => void }} to
 * @returns {() => void} ends it
 */
export function read(what, to) {
	const socket = new WebSocket(`${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/rpc/stream`, ["perry.v1", ...(sessionKey() ? [`perry.session.${sessionKey()}`] : [])]);
	const text = new TextDecoder();
	let over = false;
	const end = (/** @type {string} */ why) => {
		if (over) return;
		over = true;
		socket.close();
		to.ended(why);
	};
	socket.binaryType = "arraybuffer";
	socket.onopen = () => socket.send(message(OPEN, new TextEncoder().encode(JSON.stringify(what))));
	socket.onclose = () => end("The agent went away.");
	socket.onmessage = event => {
		const data = new Uint8Array(event.data), payload = data.subarray(5);
		if (data[0] === OUT || data[0] === ERR) {
			to.output(text.decode(payload, { stream: true }));
			const grant = new Uint8Array(4);
			new DataView(grant.buffer).setUint32(0, payload.length);
			socket.send(message(WINDOW, grant));
		} else if (data[0] === ERROR) end(JSON.parse(new TextDecoder().decode(payload)).message);
		else if (data[0] === EXIT) end("");
	};
	return () => {
		over = true;
		socket.close();
	};
}
