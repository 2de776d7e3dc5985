// The terminal alone, for a phone: above the keyboard, whatever that covers.
import { useEffect, useRef } from "preact/hooks";
import { html } from "../../app/html.js";
import { useStore } from "../../app/store.js";
import { Glyph } from "../../parts/glyph.js";
import { Icon } from "../../parts/icon.js";
import { Terminals } from "./terminals.js";

/** @param {{ name: string }} props */
export function PhoneTerminal({ name }) {
	const { workspaces, loaded } = useStore(), w = workspaces.get(name), up = w?.status === "running";
	const page = useRef(/** @type {HTMLElement | null} */ (null));
	useEffect(() => {
		const view = window.visualViewport;
		const fit = () => view && page.current && (page.current.style.height = `${view.height}px`);
		fit();
		view?.addEventListener("resize", fit);
		document.title = `${name}: Perry`;
		return () => view?.removeEventListener("resize", fit);
	}, [name]);
	return html`<main id="main" class="pt" ref=${page}>
		<header class="ph"><a class="btn icon" href="/w/${name}" aria-label="Back to ${name}"><${Icon} name="back" /></a><h1 class="who"><b>${up ? html`<${Glyph} of="up" says="running" />` : null}${name}</b></h1></header>
		${up ? html`<${Terminals} key=${w.containerId} name=${name} host=${w.tailscale?.hostname ?? ""} phone />` : html`<div class="screen idle"><div class="empty"><p>${w ? "It is stopped." : loaded ? `There is no workspace called ${name}.` : ""}</p></div></div>`}
	</main>`;
}
