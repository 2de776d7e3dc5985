// The half of the session that this origin keeps: signing in leads to /#session=KEY. The other half is a cookie that
// scripts cannot read, and neither counts without the other.
const KEY = "perry.session";

/** Takes the key out of the address, so that it is neither bookmarked nor shown. */
export function takeKey() {
	const found = /^#session=([\w.~-]+)$/.exec(location.hash);
	if (!found) return;
	localStorage.setItem(KEY, found[1]);
	history.replaceState(null, "", location.pathname + location.search);
}

export const sessionKey = () => localStorage.getItem(KEY) ?? "";
export const forgetKey = () => localStorage.removeItem(KEY);
/** @returns {Record<string, string>} */
export const sessionHeaders = () => (sessionKey() ? { "X-Perry-Session": sessionKey() } : {});

/** Signs in by token. @param {string} token @returns {Promise<string>} "" or why not */
export async function signIn(token) {
	const answer = await fetch("/login", {
		method: "POST",
		headers: { "Content-Type": "application/json", Accept: "application/json" },
		body: JSON.stringify({ token }),
	});
	const key = answer.headers.get("X-Perry-Session");
	if (!key) return (await answer.text()) || "The agent did not sign this browser in.";
	localStorage.setItem(KEY, key);
	return "";
}
