// Numbers as people read them.

/** How long ago, or how long. @param {number} ms */
export function span(ms) {
	const s = Math.max(0, Math.round(ms / 1000));
	if (s < 5) return "now";
	if (s < 60) return `${s} s`;
	if (s < 3600) return `${Math.round(s / 60)} min`;
	if (s < 48 * 3600) return `${Math.round(s / 3600)} h`;
	return `${Math.round(s / 86400)} d`;
}

/** How long ago, for a column of such. @param {string | number | undefined} when a time of the API, or ms */
export function ago(when) {
	const then = typeof when === "number" ? when : Date.parse(when ?? "");
	return Number.isNaN(then) ? "" : span(Date.now() - then);
}

/** The same in a sentence. @param {string | number | undefined} when */
export function since(when) {
	const text = ago(when);
	return text === "now" ? "just now" : text && `${text} ago`;
}

/** @param {number} n bytes */
export function bytes(n) {
	const units = ["B", "kB", "MB", "GB", "TB"];
	let i = 0;
	for (; n >= 1000 && i < units.length - 1; i++) n /= 1000;
	return `${n < 10 && i ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}

/** @param {number} n @param {string} one @param {string} [many] */
export const count = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;
