// What workspaces take now and took in the last minute. The agent looks only while somebody asks: so this asks only while
// something shows it on a page that is seen.
import { useEffect, useState } from "preact/hooks";
import { follow } from "./events.js";

const KEPT = 30; // a minute

/** @typedef {{ cpu: (number | undefined)[], memory: number[] }} Taken the newest last; cpu in cores */

/** @type {Map<string, Taken>} */
const taken = new Map();
/** @type {Map<string, Set<() => void>>} who shows which workspace's */
const shown = new Map();
/** @type {AbortController | undefined} */
let stream;

/** @param {string} kind @param {any} data */
function onEvent(kind, data) {
	if (kind !== "stats" || typeof data.memory !== "number" || !shown.has(data.workspace)) return;
	const before = taken.get(data.workspace);
	taken.set(data.workspace, {
		cpu: [...(before?.cpu ?? []), typeof data.cpu === "number" ? data.cpu : undefined].slice(-KEPT),
		memory: [...(before?.memory ?? []), data.memory].slice(-KEPT),
	});
	shown.get(data.workspace)?.forEach(again => again());
}

function settle() {
	const wanted = shown.size > 0 && document.visibilityState === "visible";
	if (wanted && !stream) {
		stream = new AbortController();
		follow("", { opened() {}, event: onEvent, lost() {} }, { only: "stats=only", signal: stream.signal });
	} else if (!wanted && stream) {
		stream.abort();
		stream = undefined;
	}
}
document.addEventListener("visibilitychange", settle);

/** What this one takes, and a new drawing whenever that is known anew. @param {string} name @param {boolean} up does it run? @returns {Taken | undefined} */
export function useTaken(name, up) {
	const [, again] = useState(0);
	useEffect(() => {
		if (!up) return void taken.delete(name);
		const watcher = () => again(n => n + 1), watchers = shown.get(name) ?? new Set();
		shown.set(name, watchers.add(watcher));
		settle();
		return () => {
			watchers.delete(watcher);
			if (!watchers.size) shown.delete(name);
			setTimeout(settle); // another screen may show it in a moment
		};
	}, [name, up]);
	return up ? taken.get(name) : undefined;
}
