// One channel of the agent's stream protocol: each message is a byte of type, four of the channel's number, and the payload.
import { call } from "./rpc.js";
import { sessionKey } from "./session.js";

const OPEN = 1, OPENED = 2, STDIN = 3, OUT = 4, ERR = 5, EOF = 6, RESIZE = 7, EXIT = 8, ERROR = 9, WINDOW = 10;
/** What may be sent before the agent grants more, and the most in one message. */
const FIRST = 256 * 1024, PIECE = 64 * 1024;
const encode = (/** @type {any} */ what) => new TextEncoder().encode(JSON.stringify(what));
const decode = (/** @type {Uint8Array} */ payload) => JSON.parse(new TextDecoder().decode(payload));

/** @param {number} type @param {Uint8Array} payload */
function message(type, payload) {
	const whole = new Uint8Array(5 + payload.length);
	whole[0] = type;
	whole[4] = 1;
	whole.set(payload, 5);
	return whole;
}

/** A WebSocket of the agent's. Where a session signs this browser in, a ticket stands for that. @param {string} path @param {any} purpose of the ticket @param {string[]} [protocols] */
export async function socketTo(path, purpose, protocols = []) {
	const query = sessionKey() ? `?ticket=${(await call("terminal/ticket", purpose)).ticket}` : "";
	const socket = new WebSocket(`${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}${path}${query}`, protocols);
	socket.binaryType = "arraybuffer";
	return socket;
}

/**
 * @typedef {{ status: number, message: string, data?: any }} Failure status 0: the connection
 * @typedef {{ opened?: (details: any) => void, output: (bytes: Uint8Array, took: () => void) => void, resized?: (cols: number, rows: number) => void,
 *   granted?: (bytes: number) => void, ended: (code: number, failure?: Failure) => void }} Ends
 * output: no more than a window of it comes until it took what came; granted: the agent has taken so many bytes of what was
 * sent; ended: once
 */

/** @param {any} what as OPEN takes it, or what makes that once there is a connection @param {Ends} to */
export function open(what, to) {
	/** @type {WebSocket | undefined} */
	let socket;
	let over = false, room = FIRST, /** @type {Uint8Array[]} */ waiting = [];
	/** @param {number} code @param {Failure} [failure] */
	const end = (code, failure) => {
		if (over) return;
		over = true;
		socket?.close();
		to.ended(code, failure);
	};
	const send = (/** @type {number} */ type, /** @type {Uint8Array} */ payload) => socket?.readyState === WebSocket.OPEN && socket.send(message(type, payload));
	const flush = () => {
		while (waiting.length && room) {
			const next = waiting[0].subarray(0, Math.min(room, PIECE));
			if (next.length === waiting[0].length) waiting.shift();
			else waiting[0] = waiting[0].subarray(next.length);
			room -= next.length;
			send(STDIN, next);
		}
	};
	/** @param {number} n */
	const grant = n => {
		const payload = new Uint8Array(4);
		new DataView(payload.buffer).setUint32(0, n);
		send(WINDOW, payload);
	};
	/** @param {MessageEvent} event */
	const take = event => {
		const data = new Uint8Array(event.data), payload = data.subarray(5), type = data[0];
		if (over) return;
		if (type === OUT || type === ERR) to.output(payload, () => grant(payload.length));
		else if (type === OPENED) to.opened?.(decode(payload));
		else if (type === RESIZE) {
			const { cols, rows } = decode(payload);
			to.resized?.(cols, rows);
		} else if (type === WINDOW) {
			const bytes = payload.length === 4 ? new DataView(payload.buffer, payload.byteOffset).getUint32(0) : 0;
			room += bytes;
			flush();
			to.granted?.(bytes);
		} else if (type === EXIT) end(decode(payload).code);
		else if (type === ERROR) end(-1, decode(payload));
	};
	socketTo("/rpc/stream", { stream: true }, ["perry.v1"]).then(made => {
		if (over) return made.close();
		socket = made;
		socket.onopen = () => socket?.send(message(OPEN, encode(typeof what === "function" ? what() : what)));
		socket.onclose = event => end(-1, { status: 0, message: event.reason || "The agent went away." });
		socket.onmessage = take;
	}, error => end(-1, error));
	return {
		send,
		/** Dropped when there is no connection. @param {Uint8Array} bytes */
		input(bytes) {
			if (over || socket?.readyState !== WebSocket.OPEN) return;
			if (bytes.length) waiting.push(bytes);
			flush();
		},
		/** @param {number} cols @param {number} rows */
		resize: (cols, rows) => void send(RESIZE, encode({ cols, rows })),
		/** Ends it; nobody is told any more. */
		close() {
			over = true;
			socket?.close();
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
	const output = (/** @type {Uint8Array} */ bytes, /** @type {() => void} */ took) => {
		to.output(text.decode(bytes, { stream: true }));
		took();
	};
	return open(what, { output, ended: (_, failure) => to.ended(failure?.message ?? "") }).close;
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
		const it = open(what, {
			opened: pump,
			output: (_, took) => took(),
			granted(bytes) {
				room += bytes;
				taken?.((done += bytes));
				more();
			},
			ended: (_, failure) => (failure ? reject(new Error(failure.message)) : resolve(undefined)),
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
