// A file of the reader's goes into a workspace: below ~/uploads, under a name that is free there.
import { bytes } from "./format.js";
import { readAll, write } from "./stream.js";

/** Where they land, below the home. */
export const FOLDER = "uploads";
const MOST = 2 ** 30, NAME = 88, PIECE = 512 * 1024, TRIES = 200;

const utf8 = new TextEncoder();

/**
 * Why this is no name for a file that is to be typed in a shell later, or "".
 * @param {string} name
 */
export function nameTrouble(name) {
	if (!name || name === "." || name === "..") return "It has no name.";
	if (/[/\\]/.test(name)) return "Its name has a slash.";
	if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u.test(name)) return "Its name has characters that cannot be seen.";
	return "";
}

/** Cut in front of its ending, so that it fits into the head of a tar. @param {string} name @param {number} nth 2: the second of that name */
export function fitting(name, nth) {
	const dot = name.lastIndexOf("."), cut = dot > 0 && name.length - dot <= 12 ? dot : name.length;
	const end = (nth > 1 ? `-${nth}` : "") + name.slice(cut);
	let begin = [...name.slice(0, cut)];
	while (begin.length > 1 && utf8.encode(begin.join("") + end).length > NAME) begin = begin.slice(0, -1);
	return begin.join("") + end;
}

/** One entry's head in a tar. @param {string} path @param {number} size @param {number} mode @param {boolean} folder */
function head(path, size, mode, folder) {
	const block = new Uint8Array(512);
	const put = (/** @type {number} */ at, /** @type {string} */ text) => block.set(utf8.encode(text), at);
	const octal = (/** @type {number} */ n, /** @type {number} */ digits) => n.toString(8).padStart(digits, "0");
	put(0, path);
	put(100, octal(mode, 7));
	put(108, octal(0, 7));
	put(116, octal(0, 7));
	put(124, octal(size, 11));
	put(136, octal(Math.floor(Date.now() / 1000), 11));
	put(148, "        ");
	put(156, folder ? "5" : "0");
	put(257, "ustar\u000000");
	put(148, `${octal(block.reduce((sum, byte) => sum + byte, 0), 6)}\u0000 `);
	return block;
}

/** @param {Blob} file @param {string} name */
async function* tar(file, name) {
	yield head(`${FOLDER}/`, 0, 0o755, true);
	yield head(`${FOLDER}/${name}`, file.size, 0o644, false);
	for (let at = 0; at < file.size; at += PIECE) {
		const piece = new Uint8Array(await file.slice(at, Math.min(at + PIECE, file.size)).arrayBuffer());
		if (piece.length !== Math.min(PIECE, file.size - at)) throw new Error("it has become shorter");
		yield piece;
	}
	yield new Uint8Array(((512 - (file.size % 512)) % 512) + 1024);
}

/** A free name there, and where "there" is. @param {string} workspace @param {string} name */
async function place(workspace, name) {
	for (let nth = 1; nth <= TRIES; nth++) {
		const at = fitting(name, nth), found = JSON.parse(await readAll({ kind: "look", name: workspace, path: `~/${FOLDER}/${at}` }));
		if (found.type === "none") return { at, path: String(found.path) };
	}
	throw new Error(`~/${FOLDER} has ${TRIES} of that name.`);
}

/** @type {Map<string, Promise<any>>} one after another in each workspace: names are looked for before they are taken */
const queues = new Map();

/**
 * Puts a file of the reader's into a workspace that runs: ~/uploads/NAME, beside one of that name as NAME-2.
 * @param {string} workspace
 * @param {File} file at most 1 GiB; what is pasted without a name becomes "pasted"
 * @param {{ progress?: (share: number) => void, signal?: AbortSignal }} [how] share: of 1
 * @returns {Promise<string>} its path in the workspace, to be quoted where a shell reads it (`quoted`)
 */
export function upload(workspace, file, { progress, signal } = {}) {
	const one = async () => {
		const name = file.name || "pasted", trouble = nameTrouble(name);
		if (trouble) throw new Error(trouble);
		if (file.size > MOST) throw new Error(`It has ${bytes(file.size)}; ${bytes(MOST)} are the most. perry cp takes any size.`);
		if (signal?.aborted) throw new Error("It was given up.");
		// A click may have brought a folder, whose bytes cannot be read.
		await file.slice(0, 1).arrayBuffer().catch(() => Promise.reject(new Error("It is a folder, or cannot be read. perry cp takes folders.")));
		const { at, path } = await place(workspace, name);
		const whole = 1024 + Math.ceil(file.size / 512) * 512 + 1024;
		await write({ kind: "copy_in", name: workspace, path: "~", user: "workspace" }, tar(file, at), { taken: n => progress?.(Math.min(1, n / whole)), signal });
		progress?.(1);
		return path;
	};
	const mine = (queues.get(workspace) ?? Promise.resolve()).then(one, one);
	queues.set(workspace, mine);
	return mine;
}

/** A path as a shell takes it. @param {string} path */
export const quoted = path => (/^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`);

/** What was dropped or pasted, as files. @param {DataTransfer | null} data @returns {File[]} */
export const filesOf = data => [...(data?.files ?? [])];
