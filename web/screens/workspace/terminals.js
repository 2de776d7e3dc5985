// A workspace's terminals: a tab for each of its sessions, whoever began it, and the one that is looked at.
import { useEffect, useRef, useState } from "preact/hooks";
import { called, hear, rang } from "../../app/bells.js";
import { html } from "../../app/html.js";
import { loadSessions, useStore } from "../../app/store.js";
import { Glyph } from "../../parts/glyph.js";
import { Icon } from "../../parts/icon.js";
import { Manage } from "./manage.js";
import { Screen } from "./screen.js";
/** @typedef {import("../../app/store.js").Session} Session */

/** The one that was typed in last. @param {Session[]} sessions */
const latest = sessions => sessions.reduce((a, b) => (b.input > a.input ? b : a)).id;

/** @param {{ name: string, s: Session, chosen: boolean, choose: () => void, manage: () => void }} props */
const Tab = ({ name, s, chosen, choose, manage }) => html`<button class="tab" role="tab" id="tab-${s.id}" aria-selected=${String(chosen)} tabindex=${chosen ? 0 : -1} title=${s.busy ? `${s.program} runs` : undefined} onClick=${choose} onDblClick=${manage}>
	${!chosen && rang(name, s) ? html`<${Glyph} of="you" says="rang" />` : s.busy ? html`<${Glyph} of="work" says="busy" />` : html`<${Icon} name="terminal" />`}<span class="cut">${called(s)}</span></button>`;

/** @param {{ name: string, host: string, phone?: boolean }} props */
export function Terminals({ name, host, phone }) {
	const { sessions: all } = useStore(), sessions = all.get(name);
	// at: the session on the screen; "": one that begins. nth: another screen, not the one that has just begun.
	const [at, setAt] = useState(/** @type {string | undefined} */ (undefined)), [nth, setNth] = useState(0), [none, setNone] = useState(false);
	const [managing, manage] = useState(/** @type {string | undefined} */ (undefined)), [looking, setLooking] = useState(/** @type {string[]} */ ([]));
	const tabs = useRef(/** @type {HTMLElement | null} */ (null)), shown = sessions?.find(s => s.id === at), managed = sessions?.find(s => s.id === managing);
	const show = (/** @type {string} */ id) => {
		setAt(id);
		setNth(n => n + 1);
	};
	const begun = (/** @type {string} */ id) => {
		if (!id) return setNone(true);
		setAt(id);
		loadSessions(name); // its tab need not wait for the event
	};
	useEffect(() => {
		if (sessions) return;
		// A workspace that has just been started may not answer yet.
		loadSessions(name);
		const timer = setInterval(loadSessions, 1000, name);
		return () => clearInterval(timer);
	}, [name, !sessions]);
	useEffect(() => {
		if (at === undefined && sessions) show(sessions.length ? latest(sessions) : "");
	}, [at, sessions]);
	useEffect(() => {
		const seen = () => shown && document.visibilityState === "visible" && hear(name, shown);
		seen();
		document.addEventListener("visibilitychange", seen);
		return () => document.removeEventListener("visibilitychange", seen);
	}, [shown]);
	/** @param {KeyboardEvent} event */
	const onKey = event => {
		const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key], i = sessions?.findIndex(s => s.id === at) ?? -1;
		if (event.key === "F2" && at) manage(at);
		if (!by || !sessions?.length) return;
		const next = sessions[(i + by + sessions.length) % sessions.length].id;
		show(next);
		/** @type {HTMLElement | null | undefined} */ (tabs.current?.querySelector(`#tab-${next}`))?.focus();
	};
	if (at === undefined) return html`<div class="screen"></div>`;
	return html`${none ? null : html`<div class="tabs">
			<div class="tablist" role="tablist" aria-label="Terminals" ref=${tabs} onKeyDown=${onKey}>${sessions?.map(s => html`<${Tab} key=${s.id} name=${name} s=${s} chosen=${s.id === at} choose=${() => s.id !== at && show(s.id)} manage=${() => manage(s.id)} />`)}</div>
			<button type="button" class="btn ghost icon tight" aria-label="New terminal" onClick=${() => show("")}><${Icon} name="plus" /></button><span class="grow"></span>
			${shown ? html`<button type="button" class="btn ghost icon tight" aria-label="Manage ${called(shown)}" onClick=${() => manage(shown.id)}><${Icon} name="more" /></button>` : null}
		</div>`}
		<${Screen} key=${`${nth} ${looking.includes(at)}`} name=${name} session=${at} readOnly=${looking.includes(at)} host=${host} phone=${phone} again=${() => show("")} began=${begun} />
		${managed ? html`<${Manage} name=${name} s=${managed} looking=${looking.includes(managed.id)} look=${(/** @type {boolean} */ on) => setLooking(list => (on ? [...list, managed.id] : list.filter(id => id !== managed.id)))} close=${() => manage(undefined)} />` : null}`;
}
