// One channel of the agent's stream protocol: its messages are a byte of type, four of the channel's number, and the payload.
import { sessionKey } from "./session.js";

const OPEN = 1, OPENED = 2, STDIN = 3, OUT = 4, ERR = 5, EOF = 6, EXIT = 8, ERROR = 9, WINDOW = 10;
/** What may be sent before the agent grants more, and the most in one message. */
const FIRST = 256 * 1024, PIECE = 64 * 1024;

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
 * @param {{ opened?: () => void, output?: (bytes: Uint8Array) => void, granted?: (bytes: number) => void, ended: (why: string) => void }} to
 * granted: the agent has taken so many bytes of what was sent; ended: once, "" where it went well
 */
function channel(what, to) {
	const socket = new WebSocket(`${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/rpc/stream`, ["perry.v1", ...(sessionKey() ? [`perry.session.${sessionKey()}`] : [])]);
	let over = false;
	const send = (/** @type {number} */ type, /** @type {Uint8Array} */ payload) => socket.readyState === WebSocket.OPEN && socket.send(message(type, payload));
	const end = (/** @type {string} */ why) => {
		if (over) return;
		over = true;
		socket.close();
		to.ended(why);
	};
	socket.binaryType = "arraybuffer";
	socket.onopen = () => send(OPEN, new TextEncoder().encode(JSON.stringify(what)));
	socket.onclose = () => end("The agent went away.");
	socket.onmessage = event => {
		const data = new Uint8Array(event.data), payload = data.subarray(5);
		if (data[0] === OUT || data[0] === ERR) {
			to.output?.(payload);
			const grant = new Uint8Array(4);
			new DataView(grant.buffer).setUint32(0, payload.length);
			send(WINDOW, grant);
		} else if (data[0] === OPENED) to.opened?.();
		else if (data[0] === WINDOW && payload.length === 4) to.granted?.(new DataView(event.data).getUint32(5));
		else if (data[0] === ERROR) end(JSON.parse(new TextDecoder().decode(payload)).message);
		else if (data[0] === EXIT) end("");
	};
	return {
		send,
		/** Ends it; nobody is told any more. */
		close() {
			over = true;
			socket.close();
		},
	};
}

/**
 * Reads one as text.
 * @param {any} what as OPEN takes it
 * @param {{ output: (text: string) => void, ended: (why: string) => void }} to
 * @returns {() => void} ends it
 */
export function read(what, to) {
	const text = new TextDecoder();
	return channel(what, { output: bytes => to.output(text.decode(bytes, { stream: true })), ended: to.ended }).close;
}

/** All that one says. @param {any} what @returns {Promise<string>} */
export const readAll = what =>
	new Promise((resolve, reject) => {
		let all = "";
		read(what, { output: text => (all += text), ended: why => (why ? reject(new Error(why)) : resolve(all)) });
	});

/**
 * Writes into one what `pieces` yields, never more ahead than the agent has room for.
 * @param {any} what as OPEN takes it
 * @param {AsyncIterable<Uint8Array>} pieces
 * @param {{ taken?: (bytes: number) => void, signal?: AbortSignal }} [how] taken: that many the agent has taken so far
 * @returns {Promise<void>} it ended well
 */
export const write = (what, pieces, { taken, signal } = {}) =>
	new Promise((resolve, reject) => {
		let room = FIRST, done = 0, more = () => {};
		const it = channel(what, {
			opened: pump,
			granted(bytes) {
				room += bytes;
				taken?.((done += bytes));
				more();
			},
			ended: why => (why ? reject(new Error(why)) : resolve(undefined)),
		});
		const stop = (/** @type {Error} */ why) => {
			it.close();
			reject(why);
		};
		signal?.addEventListener("abort", () => stop(new Error("It was given up.")), { once: true });
		async function pump() {
			try {
				for await (const piece of pieces)
					for (let at = 0; at < piece.length; ) {
						if (signal?.aborted) return;
						while (!room) await new Promise(next => (more = () => next(undefined)));
						const n = Math.min(room, PIECE, piece.length - at);
						it.send(STDIN, piece.subarray(at, at + n));
						room -= n;
						at += n;
					}
				it.send(EOF, new Uint8Array());
			} catch {
				stop(new Error("The file cannot be read. It may have changed or gone."));
			}
		}
	});
