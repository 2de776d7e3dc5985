// The bar above every screen.
import { html } from "../app/html.js";
import { useStore } from "../app/store.js";
import { Glyph } from "./glyph.js";
import { Icon, Mark } from "./icon.js";

const root = document.documentElement;
const THEME = "perry.theme";

/** The reader's choice, or the system's. */
export function applyTheme() {
	const theme = localStorage.getItem(THEME);
	if (theme) root.dataset.theme = theme;
	else delete root.dataset.theme;
}

function nextTheme() {
	const next = { "": "light", light: "dark", dark: "" }[root.dataset.theme ?? ""] ?? "";
	if (next) localStorage.setItem(THEME, next);
	else localStorage.removeItem(THEME);
	applyTheme();
}

const words = { connecting: "connecting", live: "live", lost: "no answer", "signed-out": "signed out", refused: "refused" };

/** @param {{ at?: string[] }} props the names behind the host's */
export function Top({ at = [] }) {
	const { host, link } = useStore();
	return html`<header class="top">
		<a class="brand" href="/" aria-label="Perry, all workspaces"><${Mark} /><span>Perry</span></a>
		<nav class="crumb cut" aria-label="Where you are">
			<span class="sep">/</span>${at.length ? html`<a href="/">${host}</a>` : html`<span>${host}</span>`}
			${at.map((name, i) => html`<span class="sep">/</span>${i === at.length - 1 ? html`<b>${name}</b>` : html`<span>${name}</span>`}`)}
		</nav>
		<span class="grow"></span>
		<span class="live" role="status"><${Glyph} of=${link === "live" ? "up" : "off"} says="" /><span>${words[link]}</span></span>
		<button class="btn ghost icon" aria-label="Theme: system, light, dark" onClick=${nextTheme}><${Icon} name="theme" /></button>
		<a class="btn ghost icon desk" href="/settings" aria-label="Settings"><${Icon} name="settings" /></a>
	</header>`;
}

/** What a thumb reaches on the phone. @param {{ at: "list" | "settings" }} props */
export const Tabs = ({ at }) => html`<nav class="tabbar" aria-label="Main">
	<a href="/" aria-current=${at === "list" ? "page" : undefined}><${Icon} name="list" />Workspaces</a>
	<a class="new" href="/new" aria-label="New workspace"><${Icon} name="plus" /></a>
	<a href="/settings" aria-current=${at === "settings" ? "page" : undefined}><${Icon} name="settings" />Settings</a>
</nav>`;
