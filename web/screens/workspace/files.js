// Files by drop, paste and choice: they land in the workspace's ~/uploads.
import { useEffect, useRef, useState } from "preact/hooks";
import { bytes, count } from "../../app/format.js";
import { html } from "../../app/html.js";
import { FOLDER, filesOf, upload } from "../../app/upload.js";
import { Copy } from "../../parts/copy.js";
import { Icon } from "../../parts/icon.js";

const SHOWN = 8;

/** @typedef {{ id: number, name: string, size: number, share: number, path: string, why: string, end: AbortController }} Upload */
let ids = 0;

/**
 * The uploads of a page, which takes what is dropped or pasted anywhere on it, unless somebody there took it first.
 * @param {string} name the workspace @param {boolean} up does it run?
 */
export function useUploads(name, up) {
	const [uploads, setUploads] = useState(/** @type {Upload[]} */ ([])), [over, setOver] = useState(false);
	const change = (/** @type {number} */ id, /** @type {Partial<Upload>} */ to) => setUploads(all => all.map(u => (u.id === id ? { ...u, ...to } : u)));
	const add = (/** @type {File[]} */ files) => {
		for (const file of files) {
			const id = ids++, end = new AbortController();
			setUploads(all => [{ id, name: file.name || "pasted", size: file.size, share: 0, path: "", why: "", end }, ...all]);
			upload(name, file, { progress: share => change(id, { share }), signal: end.signal }).then(path => change(id, { path }), error => change(id, { why: error.message }));
		}
	};
	useEffect(() => {
		if (!up) return;
		const has = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files") && !event.defaultPrevented;
		const drag = (/** @type {DragEvent} */ event) => {
			if (!has(event)) return;
			event.preventDefault();
			setOver(true);
		};
		const leave = (/** @type {DragEvent} */ event) => event.relatedTarget || setOver(false);
		const drop = (/** @type {DragEvent} */ event) => {
			setOver(false);
			if (!has(event)) return;
			event.preventDefault();
			add(filesOf(event.dataTransfer));
		};
		const paste = (/** @type {ClipboardEvent} */ event) => {
			const files = event.defaultPrevented ? [] : filesOf(event.clipboardData);
			if (!files.length) return;
			event.preventDefault();
			add(files);
		};
		addEventListener("dragover", drag);
		addEventListener("dragleave", leave);
		addEventListener("drop", drop);
		addEventListener("paste", paste);
		return () => {
			removeEventListener("dragover", drag);
			removeEventListener("dragleave", leave);
			removeEventListener("drop", drop);
			removeEventListener("paste", paste);
		};
	}, [name, up]);
	return { uploads, add, over };
}

/** @param {{ u: Upload }} props */
const One = ({ u }) => html`<li class="up"><span class="cut" title=${u.name}>${u.name}</span><span class="num muted">${bytes(u.size)}</span>
	${u.path ? html`<${Copy} show text=${u.path}>${u.path}<//>` : u.why ? html`<p class="tiny bad" role="alert">${u.why}</p>`
		: html`<div class="meter"><progress aria-label="${u.name}: sent" value=${u.share} max="1"></progress><button type="button" class="btn ghost icon" aria-label="Give up ${u.name}" onClick=${() => u.end.abort()}><${Icon} name="close" /></button></div>`}</li>`;

/** @param {{ name: string, up: boolean, uploads: Upload[], add: (files: File[]) => void }} props */
export function Files({ name, up, uploads, add }) {
	const choose = useRef(/** @type {HTMLInputElement | null} */ (null));
	const take = (/** @type {any} */ event) => {
		add([...event.target.files]);
		event.target.value = "";
	};
	return html`<section class="pan"><h2>Files<input ref=${choose} type="file" multiple hidden onChange=${take} /><button type="button" class="end link" disabled=${!up} onClick=${() => choose.current?.click()}>Choose…</button></h2>
		<ul class="ups" aria-label="Sent to ${name}">${uploads.slice(0, SHOWN).map(u => html`<${One} key=${u.id} u=${u} />`)}</ul>
		${uploads.length > SHOWN ? html`<p class="tiny muted">${count(uploads.length - SHOWN, "more")}</p>` : null}
		<p class="tiny muted">${up ? html`Drop or paste files on this page: they land in <code>~/${FOLDER}</code>.` : "It does not run, so it takes no files."}</p></section>`;
}

/** While a file hangs over the page. @param {{ name: string }} props */
export const Drop = ({ name }) => html`<div class="dropping" role="status"><b>Let go: it lands in ~/${FOLDER} of ${name}</b></div>`;
