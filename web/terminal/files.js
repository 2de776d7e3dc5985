// A file or picture that is pasted into a terminal or dropped on it: it goes into the workspace, and its path is typed.
import { filesOf, quoted, upload } from "../app/upload.js";

/**
 * @param {HTMLElement} place
 * @param {string} name the workspace
 * @param {{ said: (text: string) => void, type: (text: string) => void }} to type: as if it were pasted
 * @returns {() => void} takes no more, and gives up what is under way
 */
export function takesFiles(place, name, { said, type }) {
	const end = new AbortController();
	const take = async (/** @type {File[]} */ files) => {
		for (const file of files) {
			const called = file.name || "what was pasted";
			try {
				said(`${called} is on its way`);
				const path = await upload(name, file, { progress: share => said(`${called}: ${Math.floor(share * 100)} %`), signal: end.signal });
				said("");
				type(`${quoted(path)} `);
			} catch (error) {
				if (end.signal.aborted) return;
				said(`${called} did not get there: ${error instanceof Error ? error.message : error}`);
			}
		}
	};
	const on = (/** @type {Event} */ event, /** @type {DataTransfer | null} */ data) => {
		const files = data ? filesOf(data) : [];
		if (!files.length) return;
		event.preventDefault();
		void take(files);
	};
	const over = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files") && event.preventDefault();
	const paste = (/** @type {ClipboardEvent} */ event) => {
		// Text wins: an office program offers a picture of what was copied, too.
		if (!event.clipboardData?.types.includes("text/plain")) on(event, event.clipboardData);
	};
	const drop = (/** @type {DragEvent} */ event) => on(event, event.dataTransfer);
	place.addEventListener("paste", paste, true);
	place.addEventListener("dragover", over, true);
	place.addEventListener("drop", drop, true);
	return () => {
		end.abort();
		place.removeEventListener("paste", paste, true);
		place.removeEventListener("dragover", over, true);
		place.removeEventListener("drop", drop, true);
	};
}
