// What a terminal in the page talks to: a session in a workspace, over the stream. It comes again by itself, for ever, at
// once when the network or the page is back; then it is shown the screen as it is. Where a workspace has no sessions: the
// shell that lives as long as its connection.
import { open } from "../app/stream.js";
import { plainShell } from "./plain.js";

/**
 * @typedef {{ cols: number, rows: number }} Size
 * @typedef {{ size: () => Size, output: (data: string | Uint8Array, took?: () => void) => void, state: (state: "open" | "again" | "lost" | "ended", why: string) => void,
 *   resized?: (size: Size) => void, session?: (id: string) => void }} Ends
 * size: what there is room for; output: what is printed; state: of the connection; resized: the size that all its viewers
 * have now; session: which one it is, "" for none
 * @typedef {{ input: (data: Uint8Array) => void, resize: (size: Size) => void, close: () => void }} Transport
 * input is dropped while there is no connection
 */

/** What trying again does not mend. */
const FINAL = [400, 401, 403, 404];

/** @param {string} name the workspace @param {{ session?: string, title?: string, readOnly?: boolean }} which without session: a new one @param {Ends} to @returns {Transport} */
export function connect(name, { session = "", title, readOnly = false }, to) {
	/** @type {ReturnType<typeof open> | undefined} */
	let channel;
	/** @type {Transport | undefined} */
	let plain;
	let over = false, tries = 0, live = false, before = false, /** @type {any} */ timer;

	function begin() {
		clearTimeout(timer);
		channel?.close();
		channel = open(() => ({ ...(session ? { kind: "attach", session, readOnly } : { kind: "session", title }), name, term: session ? undefined : "xterm-256color", ...to.size() }), {
			opened(details) {
				live = true;
				tries = 0;
				if (!session) to.session?.((session = details.session));
				to.state(before ? "again" : "open", "");
				before = true;
			},
			output: to.output,
			resized: (cols, rows) => to.resized?.({ cols, rows }),
			ended,
		});
	}
	/** @param {number} code @param {import("../app/stream.js").Failure} [failure] */
	function ended(code, failure) {
		live = false;
		if (failure?.data?.noSessions) {
			to.session?.("");
			leave();
			plain = plainShell(name, to);
		} else if (failure && !FINAL.includes(failure.status)) lost(failure.message);
		else {
			leave();
			to.state("ended", !failure ? `It has ended${code ? ` with code ${code}` : ""}` : failure.status === 404 ? "It has ended" : failure.message);
		}
	}
	/** @param {string} why */
	function lost(why) {
		if (over) return;
		to.state("lost", why);
		timer = setTimeout(begin, Math.min(10000, 250 * 2 ** Math.min(tries++, 10)));
	}
	function seen() {
		if (!live && !over && document.visibilityState !== "hidden") begin();
	}
	/** The network is another one: what looks connected may not be. */
	function online() {
		if (!over && (session || !live)) begin();
	}
	function leave() {
		over = true;
		clearTimeout(timer);
		removeEventListener("online", online);
		document.removeEventListener("visibilitychange", seen);
	}
	addEventListener("online", online);
	document.addEventListener("visibilitychange", seen);
	begin();
	return {
		input: data => (plain ?? channel)?.input(data),
		resize: size => (plain ? plain.resize(size) : live && channel?.resize(size.cols, size.rows)),
		close() {
			leave();
			(plain ?? channel)?.close();
		},
	};
}
