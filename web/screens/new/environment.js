// Lines of NAME=value.

/** @param {string} text @returns {{ values: Record<string, string>, problem: string }} */
export function environment(text) {
	/** @type {Record<string, string>} */
	const values = {};
	for (const line of text.split("\n")) {
		const trimmed = line.trim();
		if (!trimmed || trimmed.startsWith("#")) continue;
		const found = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(trimmed);
		if (!found) return { values, problem: `“${trimmed.slice(0, 40)}” is not NAME=value` };
		values[found[1]] = found[2].replace(/^(["'])(.*)\1$/, "$2");
	}
	return { values, problem: "" };
}
