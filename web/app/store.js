// What the page knows of the agent: filled by a few calls, kept true by /events, never asked for again by a clock.
import { useEffect, useState } from "preact/hooks";
import { follow } from "./events.js";
import { RpcError, call } from "./rpc.js";
import { forgetKey, sessionHeaders } from "./session.js";

/**
 * @typedef {{ id: string, name: string, command: string, program: string, created: number, input: number, output: number, cols: number, rows: number, attached: number, busy: boolean, bell: number }} Session times in seconds
 * @typedef {{ status: "pending" | "running" | "done" | "skipped" | "error", label: string, step: string, message?: string }} Step
 * @typedef {{ id: string, action: string, workspace: string, state: string, at: number, steps: Step[], percent?: number, error?: string }} Operation
 * @typedef {{ port: number, process?: string, reachable?: boolean, url?: string, address?: string }} Listener
 * @typedef {{ name: string, status: string, created: string, lastUsed?: string, repo?: string, branch?: string, error?: string,
 *   outdated?: boolean, containerId?: string, limits?: { cpus?: number, memory?: number, pids?: number }, stopReason?: string, ttlEnds?: string, ports: { ssh: number }, listeners?: Listener[],
 *   tailscale?: { status: string, hostname?: string, dnsName?: string, ip?: string, error?: string, mend?: string } }} Workspace
 * @typedef {{ link: "connecting" | "live" | "lost" | "signed-out" | "refused", lostAt: number, loaded: boolean, engine: string,
 *   host: string, version: string, limits: any, setUp: boolean | undefined, signIn: string, workspaces: Map<string, Workspace>, operations: Map<string, Operation>, sessions: Map<string, Session[]> }} State
 */

/** @type {State} operations: the newest of each workspace; sessions: of those that run, once they are known */
export const state = {
	link: "connecting",
	lostAt: 0,
	loaded: false,
	engine: "",
	host: location.hostname,
	version: "",
	limits: undefined,
	setUp: undefined,
	signIn: "",
	workspaces: new Map(),
	operations: new Map(),
	sessions: new Map(),
};

/** @type {Set<() => void>} */
const watchers = new Set();
let planned = false;

/** Draws once for all that changed in this frame. */
export function redraw() {
	if (planned) return;
	planned = true;
	requestAnimationFrame(() => {
		planned = false;
		watchers.forEach(watcher => watcher());
	});
}

/** Ages grow by themselves; this asks the agent nothing. */
setInterval(redraw, 20000);

/** The state, and a new drawing whenever it changes. */
export function useStore() {
	const [, again] = useState(0);
	useEffect(() => {
		const watcher = () => again(n => n + 1);
		watchers.add(watcher);
		return () => void watchers.delete(watcher);
	}, []);
	return state;
}

/** The engine is asked for this, which the list need not wait for. */
async function loadInfo() {
	const info = await call("info").catch(() => undefined);
	if (!info) return;
	state.host = info.hostname;
	state.version = info.version;
	state.limits = info.limits;
	state.setUp = Boolean(info.setupFinished);
	redraw();
}

async function loadAll() {
	loadInfo();
	const [list, operations] = await Promise.all([call("workspaces/list"), call("operations/list", {}).catch(() => [])]);
	state.workspaces = new Map(list.map((/** @type {Workspace} */ w) => [w.name, { limits: state.workspaces.get(w.name)?.limits, ...w }]));
	for (const [name, op] of state.operations) if (op.state === "running") state.operations.delete(name); // it may have ended while we were away
	for (const o of operations) loadOperation(o);
	state.loaded = true;
	redraw();
	// Of terminals the list says nothing; they are asked for once, four at a time.
	const up = list.filter((/** @type {Workspace} */ w) => w.status === "running").map((/** @type {Workspace} */ w) => w.name);
	const ask = async () => {
		for (let name; (name = up.shift()); ) await loadSessions(name);
	};
	for (let i = 0; i < 4; i++) ask();
	if (looked) refresh(looked);
}

let looked = "";
/** A page of this one is shown: get says more than the list. @param {string} name @returns {() => void} it is no more */
export function look(name) {
	looked = name;
	refresh(name);
	return () => void (looked === name && (looked = ""));
}

/** Asks for its sessions; those that are told by events meanwhile are newer. @param {string} name */
export async function loadSessions(name) {
	const before = state.sessions.get(name);
	const sessions = await call("terminals/list", { name }).then(answer => answer.sessions, error => (error.data?.noSessions ? [] : undefined));
	if (sessions && state.sessions.get(name) === before) state.sessions.set(name, sessions);
	redraw();
}

/** One that ran before we came. @param {any} o */
function loadOperation(o) {
	if (!o.workspace || (o.state !== "running" && o.state !== "queued")) return;
	const steps = (o.steps ?? []).map((/** @type {any} */ s) => ({ ...s, step: s.id ?? s.step }));
	state.operations.set(o.workspace, { id: o.id, action: o.kind, workspace: o.workspace, state: "running", at: o.started, steps });
}

/** @type {Map<string, any>} what workspaces were made of from here, to try it again */
const inputs = new Map();
/** @param {string} name @param {any} input of workspaces/create */
export const remember = (name, input) => void inputs.set(name, input);
/** @param {string} name */
export const remembered = name => inputs.get(name);

/** A failure that was read. @param {string} name */
export function dismiss(name) {
	state.operations.delete(name);
	redraw();
}

/** @type {Map<string, boolean>} names that are being asked for; true: once more */
const asking = new Map();

/** Asks for one workspace anew; changes that come meanwhile ask once more. @param {string} name */
async function refresh(name) {
	if (asking.has(name)) return void asking.set(name, true);
	do {
		asking.set(name, false);
		try {
			const w = await call("workspaces/get", { name });
			state.workspaces.set(name, w);
			if (w.status !== "running") state.sessions.delete(name);
		} catch (error) {
			if (error instanceof RpcError && error.status === 404) state.workspaces.delete(name);
		}
	} while (asking.get(name));
	asking.delete(name);
	redraw();
}

/** @param {any} data */
function onOperation(data) {
	const known = state.operations.get(data.workspace);
	const same = known?.id === data.operation ? known : undefined;
	state.operations.set(data.workspace, {
		id: data.operation,
		action: data.action,
		workspace: data.workspace,
		state: data.state,
		at: data.at,
		steps: same?.steps ?? [],
		error: data.error?.message,
	});
	if (data.state !== "running" && data.state !== "queued") refresh(data.workspace);
}

/** @param {any} data */
function onStep(data) {
	const operation = state.operations.get(data.workspace);
	if (!operation || operation.id !== data.operation) return;
	const step = { step: data.step, label: data.label, status: data.status, message: data.message };
	const at = operation.steps.findIndex(s => s.step === data.step);
	if (at < 0) operation.steps.push(step);
	else operation.steps[at] = step;
	operation.percent = undefined;
}

/** @param {string} kind @param {any} data */
function onEvent(kind, data) {
	if (kind === "operation") onOperation(data);
	else if (kind === "step") onStep(data);
	else if (kind === "progress") {
		const operation = state.operations.get(data.workspace);
		if (operation) operation.percent = data.percent;
	} else if (kind === "sessions") state.sessions.set(data.workspace, data.sessions ?? []);
	else if (kind === "engine") state.engine = data.state;
	else if (data.workspace && (kind === "state" || kind === "port" || kind === "tailnet")) refresh(data.workspace);
	redraw();
}

/** Until it worked, or another connection begins anew. */
function load() {
	loadAll().catch(() => setTimeout(() => (state.link === "live" || state.link === "connecting") && load(), 1000));
}

/** Begins to follow the agent; comes back when the sign-in is over. */
export function connect() {
	state.link = "connecting";
	redraw();
	let first = true;
	load();
	follow("", {
		opened() {
			state.link = "live";
			if (!first) load();
			first = false;
			redraw();
		},
		event: onEvent,
		lost(status) {
			if (status === 401) forgetKey();
			if (state.link === "live") state.lostAt = Date.now();
			state.link = status === 401 ? "signed-out" : status === 403 ? "refused" : "lost";
			redraw();
		},
	});
}

/** The first visit's questions are not to be asked again, in any browser. */
export async function finishSetup() {
	await call("setup/finish");
	state.setUp = true;
	redraw();
}

/** Ends this browser's session. */
export async function signOut() {
	await fetch("/logout", { method: "POST", redirect: "manual", headers: sessionHeaders() }).catch(() => {});
	forgetKey();
	state.link = "signed-out";
	redraw();
}

/** What a row shows first. @param {Workspace | undefined} w @param {Operation | undefined} op @param {boolean} [rang] @returns {"you" | "running" | "stopped"} */
export function group(w, op, rang) {
	if (op?.state === "failed" || w?.error || rang) return "you";
	if (op?.state === "running" || w?.status === "running" || w?.status === "creating") return "running";
	return "stopped";
}
