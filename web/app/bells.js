// Bells of terminals: one that rang since its terminal was last looked at wants somebody. Kept in this browser.
import { redraw, state } from "./store.js";
/** @typedef {import("./store.js").Session} Session */

const KEY = "perry.bells";

/** @type {Record<string, number>} of WORKSPACE/SESSION: how many there were when it was looked at */
let heard = read();

/** @returns {Record<string, number>} */
function read() {
	try {
		return JSON.parse(localStorage.getItem(KEY) ?? "{}") ?? {};
	} catch {
		return {};
	}
}

addEventListener("storage", event => {
	if (event.key !== KEY) return;
	heard = read();
	redraw();
});

/** What a terminal is called. @param {Session} s */
export const called = s => s.name || s.command || s.program || "terminal";

/** @param {string} workspace @param {Session} session */
export const rang = (workspace, session) => session.bell > (heard[`${workspace}/${session.id}`] ?? 0);

/** The terminals that want somebody. @param {string} workspace */
export const ringing = workspace => (state.workspaces.get(workspace)?.status === "running" ? (state.sessions.get(workspace) ?? []).filter(session => rang(workspace, session)) : []);

/** It is looked at now. @param {string} workspace @param {Session} session */
export function hear(workspace, session) {
	if (!rang(workspace, session)) return;
	const there = new Set([...state.sessions].flatMap(([name, list]) => list.map(({ id }) => `${name}/${id}`)));
	heard = Object.fromEntries(Object.entries(read()).filter(([key]) => there.has(key)));
	heard[`${workspace}/${session.id}`] = session.bell;
	localStorage.setItem(KEY, JSON.stringify(heard));
	redraw();
}
