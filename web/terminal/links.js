// Addresses that a program prints: what it calls localhost is the workspace, not the reader's machine.

/**
 * @param {string} text an address as printed
 * @param {string} host the workspace's name on the tailnet, or ""
 * @returns {string} what to open, "" if nothing is to be opened
 */
export function openable(text, host) {
	let url;
	try {
		url = new URL(text);
	} catch {
		return "";
	}
	if (url.protocol !== "http:" && url.protocol !== "https:") return "";
	if (/^(localhost|127(\.\d+){3}|0\.0\.0\.0|\[::1?\])$/.test(url.hostname)) {
		if (!host) return "";
		url.hostname = host;
	}
	return url.href;
}
