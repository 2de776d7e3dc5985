// The first visit: what the document's wizard asks, each step to be skipped, and never again once it was finished.
import { useEffect, useState } from "preact/hooks";
import { html } from "../../app/html.js";
import { go } from "../../app/router.js";
import { finishSetup } from "../../app/store.js";
import { Banner } from "../../parts/field.js";
import { Icon } from "../../parts/icon.js";
import { Top } from "../../parts/top.js";
import { Networking } from "../settings/networking.js";
import { Security } from "../settings/security.js";
import { Agents, GitHub, Ssh } from "../settings/simple.js";

const steps = [
	{ label: "Security", title: "Who may use this agent", lead: "Your own devices of the tailnet, whoever has the token, and those that you let in.", Parts: [Security] },
	{ label: "Agents and GitHub", title: "Coding agents and GitHub", lead: "With a token of GitHub workspaces clone what is private, and you pick repositories from a list.", Parts: [GitHub, Agents] },
	{ label: "SSH keys", title: "SSH keys", lead: "Which keys log in to workspaces, and which go into them.", Parts: [Ssh] },
	{ label: "Networking", title: "A name for each workspace", lead: "With a Tailscale key each workspace joins your tailnet: http://web:3000 and ssh workspace@web from your phone. Nothing is opened to the internet.", Parts: [Networking] },
];

export function Setup() {
	const [at, setAt] = useState(0), [problem, fail] = useState(""), step = steps[at];
	useEffect(() => {
		document.title = "Set up: Perry";
		scrollTo(0, 0);
	}, [at]);
	const finish = () => finishSetup().then(() => go("/"), error => fail(`${error.message} It will be offered again.`));
	const next = () => (at === steps.length - 1 ? finish() : setAt(at + 1));
	return html`<a class="skip" href="#main">Skip to the content</a><${Top} at=${["set up"]} />
	<main id="main" class="wiz"><ol class="wsteps">${steps.map(({ label }, i) => html`<li class=${i < at ? "done" : ""} aria-current=${i === at ? "step" : undefined}><span class="n">${i < at ? html`<${Icon} name="check" />` : i + 1}</span><span>${label}</span></li>`)}</ol>
		<div>${problem ? html`<${Banner} close=${() => go("/")}>${problem}<//>` : null}<h1>${step.title}</h1><p class="lead">${step.lead}</p>${step.Parts.map(Part => html`<${Part} key=${Part.name} />`)}
			<div class="btns">${at ? html`<button class="btn ghost" onClick=${() => setAt(at - 1)}>Back</button>` : null}<span class="grow"></span>
				<button class="btn ghost" onClick=${finish}>Leave, not to be asked again</button><button class="btn primary" onClick=${next}>${at === steps.length - 1 ? "Done" : "Go on"}</button></div></div>
	</main>`;
}
