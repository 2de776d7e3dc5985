// What the container prints, as it comes.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../../app/html.js";
import { read } from "../../app/stream.js";
import { Icon } from "../../parts/icon.js";

const KEPT = 200000;

/** Colours and the like are for terminals. @param {string} text */
const plain = text => text.replace(/\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|.)/g, "").replace(/\r(?=\n)/g, "");

/** @param {{ name: string, since: string }} props since: another start, so from the beginning */
function Following({ name, since }) {
	const [text, setText] = useState(""), [ended, setEnded] = useState(""), at = useRef(/** @type {HTMLElement | null} */ (null)), low = useRef(true);
	useEffect(() => {
		setText("");
		setEnded("");
		return read({ kind: "logs", name, tail: 200, follow: true }, { output: more => setText(old => (old + plain(more)).slice(-KEPT)), ended: setEnded });
	}, [name, since]);
	useEffect(() => {
		if (at.current && low.current) at.current.scrollTop = at.current.scrollHeight;
	}, [text]);
	const onScroll = () => at.current && (low.current = at.current.scrollHeight - at.current.scrollTop - at.current.clientHeight < 30);
	return html`<pre tabindex="0" aria-label="Log of ${name}" ref=${at} onScroll=${onScroll}>${text || (ended ? "" : "Nothing was printed yet.")}${ended ? `\n${ended}` : ""}</pre>`;
}

/** @param {{ name: string, since: string }} props */
export function Logs({ name, since }) {
	const [open, setOpen] = useState(false);
	return html`<section class="logs ${open ? "open" : ""}" aria-label="Logs"><header><b>Logs</b><span class="muted tiny grow cut">what its init, services and scripts print</span>
		<button type="button" class="btn ghost tight" aria-expanded=${String(open)} onClick=${() => setOpen(!open)}>${open ? "Close" : "Open"}<${Icon} name="up" /></button></header>
		${open ? html`<${Following} name=${name} since=${since} />` : null}</section>`;
}
