// Which screen an address shows. Links are plain; clicks on those of our own origin change the address in place.
import { useEffect, useState } from "preact/hooks";

const listeners = new Set();

/** @param {string} path */
export function go(path) {
	if (path !== location.pathname + location.search) history.pushState(null, "", path);
	for (const listener of listeners) listener();
}

addEventListener("popstate", () => listeners.forEach(listener => listener()));
addEventListener("click", event => {
	const link = event.target instanceof Element ? event.target.closest("a") : null;
	if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
	if (link.origin !== location.origin || link.target || link.hasAttribute("download")) return;
	event.preventDefault();
	go(link.pathname + link.search);
});

/** @param {string} part */
function plain(part) {
	try {
		return decodeURIComponent(part);
	} catch {
		return part;
	}
}

/** The parts of the address: /w/web/logs -> ["w", "web", "logs"]. */
export function usePath() {
	const [, again] = useState(0);
	useEffect(() => {
		const listener = () => again(n => n + 1);
		listeners.add(listener);
		return () => void listeners.delete(listener);
	}, []);
	return location.pathname.split("/").filter(Boolean).map(plain);
}
