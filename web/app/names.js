// Names of workspaces: what the agent takes, said while typing.

/** What is wrong with a name, or "". @param {string} name @param {{ has: (name: string) => boolean }} taken */
export function nameProblem(name, taken) {
	if (!name) return "";
	const better = mended(name, taken), instead = better ? ` ${better} is free.` : "";
	if (taken.has(name)) return `There is a ${name} already.${instead}`;
	const wrong = [
		/[A-Z]/.test(name) && "capitals",
		/\s/.test(name) && "a space",
		/[^A-Za-z0-9\s-]/.test(name) && `“${[.../[^A-Za-z0-9\s-]/u.exec(name)?.[0] ?? ""][0]}”`,
		/^-|-$/.test(name) && "a dash at its end",
	].filter(Boolean);
	if (wrong.length) return `It has ${wrong.join(" and ")}.${instead}`;
	return name.length > 63 ? `It has ${name.length} characters, 63 are the most.` : "";
}

/** A free name like this one, or "". @param {string} name @param {{ has: (name: string) => boolean }} taken */
export function mended(name, taken) {
	const plain = name.toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, 60).replace(/^-+|-+$/g, "");
	if (!plain) return "";
	for (let n = 1; ; n++) {
		const next = n === 1 ? plain : `${plain}-${n}`;
		if (!taken.has(next)) return next;
	}
}

/** A name from an address to clone. @param {string} url */
export const nameOf = url => (url.trim().replace(/\.git$|\/+$/g, "").split(/[/:]/).pop() ?? "").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "");
