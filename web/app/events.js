// GET /events, read with fetch: it sends the session's key, which EventSource cannot. It comes again for ever, at once
// when the network or the page is back.
import { sessionHeaders } from "./session.js";

const PAUSES = [500, 1000, 2000, 5000, 10000];

/** A pause that `online` and a page that is seen again cut short. @param {number} ms @param {AbortSignal} [signal] */
function pause(ms, signal) {
	return new Promise(resolve => {
		const done = () => {
			clearTimeout(timer);
			signal?.removeEventListener("abort", done);
			removeEventListener("online", done);
			document.removeEventListener("visibilitychange", seen);
			resolve(undefined);
		};
		const seen = () => document.visibilityState === "visible" && done();
		const timer = setTimeout(done, ms);
		signal?.addEventListener("abort", done);
		addEventListener("online", done);
		document.addEventListener("visibilitychange", seen);
	});
}

/** The events in what has come; what is not whole yet stays. @param {string} text */
export function split(text) {
	const parts = text.split("\n\n"), rest = parts.pop() ?? "";
	const events = parts.map(part => {
		const of = (/** @type {string} */ field) =>
			part.split("\n").filter(line => line.startsWith(`${field}:`)).map(line => line.slice(field.length + 1).trimStart()).join("\n");
		return { id: of("id"), kind: of("event"), data: of("data") };
	});
	return { events: events.filter(event => event.data), rest };
}

/**
 * Follows them from `after` on.
 * @param {string} after the last event that is known, or "" for what comes from now on and a little before, so that what was asked for meanwhile misses nothing
 * @param {{ opened: () => void, event: (kind: string, data: any) => void, lost: (status: number) => void }} to
 * @param {{ only?: string, signal?: AbortSignal }} [how] only: a query that asks for something else; signal: ends it
 */
export async function follow(after, to, { only, signal } = {}) {
	for (let tries = 0; ; tries++) {
		let status = 0;
		try {
			const answer = await fetch(only ? `/events?${only}` : after ? `/events?after=${after}` : "/events?since=10s", { headers: sessionHeaders(), signal });
			status = answer.status;
			if (!answer.ok || !answer.body) throw new Error(String(status));
			to.opened();
			tries = 0;
			const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
			for (let text = ""; ; ) {
				const { value, done } = await reader.read();
				if (done) break;
				const { events, rest } = split(text + value);
				text = rest;
				for (const event of events) {
					if (event.id) after = event.id;
					to.event(event.kind, JSON.parse(event.data));
				}
			}
		} catch {
			// What went wrong is what the next attempt finds.
		}
		if (signal?.aborted) return;
		to.lost(status);
		if (status === 401 || status === 403) return;
		await pause(PAUSES[Math.min(tries, PAUSES.length - 1)], signal);
		if (signal?.aborted) return;
	}
}
