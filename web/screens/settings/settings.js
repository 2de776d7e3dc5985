// Settings > Configuration: one page, its sections in the document's order.
import { useEffect } from "preact/hooks";
import { html } from "../../app/html.js";
import { useStore } from "../../app/store.js";
import { Banner } from "../../parts/field.js";
import { Tabs, Top } from "../../parts/top.js";
import { Doctor, Hooks } from "./look.js";
import { Networking } from "./networking.js";
import { Environment, Files } from "./pairs.js";
import { Security } from "./security.js";
import { Agents, GitHub, Scripts, Shell, Ssh } from "./simple.js";

const sections = /** @type {const} */ ([["environment", "Environment"], ["files", "Files"], ["scripts", "Scripts"], ["agents", "AI agents"], ["github", "GitHub"], ["ssh", "SSH"], ["terminal", "Terminal"],
	["networking", "Networking"], ["security", "Security"], ["hooks", "Hooks"], ["doctor", "Doctor"]]);

/** @param {{ at: string }} props the section to show, or "" */
export function Settings({ at }) {
	const { host, link } = useStore();
	useEffect(() => {
		document.title = "Settings: Perry";
		// Once what stands above it has its height.
		const timer = setTimeout(() => {
			const section = at && document.getElementById(at);
			if (section) section.scrollIntoView();
		}, 300);
		return () => clearTimeout(timer);
	}, [at]);
	return html`<a class="skip" href="#main">Skip to the content</a><${Top} at=${["settings"]} />
	<main id="main" class="set"><nav class="snav" aria-label="Settings"><h1>Configuration of ${host}</h1>${sections.map(([id, label]) => html`<a href="/settings/${id}" aria-current=${at === id ? "page" : undefined}>${label}</a>`)}</nav>
		<div>${link === "lost" ? html`<${Banner} kind="warn">${host} does not answer. It is tried again all the time.<//>` : null}
			<${Environment} /><${Files} /><${Scripts} /><${Agents} /><${GitHub} /><${Ssh} /><${Shell} /><${Networking} /><${Security} /><${Hooks} /><${Doctor} /></div>
	</main><${Tabs} at="settings" />`;
}
