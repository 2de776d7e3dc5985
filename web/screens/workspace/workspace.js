// One workspace: its terminal, and beside it what is known of it.
import { useEffect, useRef, useState } from "preact/hooks";
import { ago } from "../../app/format.js";
import { html } from "../../app/html.js";
import { go } from "../../app/router.js";
import { call } from "../../app/rpc.js";
import { useStore } from "../../app/store.js";
import { Copy } from "../../parts/copy.js";
import { Glyph } from "../../parts/glyph.js";
import { Icon } from "../../parts/icon.js";
import { Top } from "../../parts/top.js";
import { Delete } from "./delete.js";
import { Side } from "./side.js";

/** @param {{ name: string, host: string }} props */
function Screen({ name, host }) {
	const place = useRef(null);
	const [said, say] = useState(""), [size, setSize] = useState("");
	useEffect(() => {
		/** @type {{ dispose: () => void, focus: () => void } | undefined} */
		let terminal;
		let gone = false;
		// The terminal is most of what this page loads, and only this screen needs it.
		import("../../terminal/terminal.js").then(({ openTerminal }) => {
			if (gone || !place.current) return;
			terminal = openTerminal(place.current, { name, host, said: say, size: (c, r) => setSize(`${c} × ${r}`) });
			terminal.focus();
		});
		return () => {
			gone = true;
			terminal?.dispose();
		};
	}, [name, host]);
	return html`<div class="screen"><div class="xt mono" ref=${place}></div><div class="foot num"><span role="status">${said}</span><span class="grow"></span><span>${size}</span></div></div>`;
}

/** @param {{ name: string }} props */
export function WorkspacePage({ name }) {
	const { workspaces, operations, loaded } = useStore();
	const w = workspaces.get(name), op = operations.get(name), host = w?.tailscale?.hostname ?? "";
	const [problem, fail] = useState(""), [deleting, setDeleting] = useState(false);
	const act = (/** @type {string} */ procedure) => call(procedure, { name }, { async: true }).catch(error => fail(error.message));
	useEffect(() => {
		document.title = `${name}: Perry`;
	}, [name]);
	useEffect(() => {
		if (op?.action === "delete" && op.state === "done") go("/");
	}, [op?.state]);
	const busy = op?.state === "running", up = w?.status === "running";
	const first = w?.listeners?.find(l => l.reach !== "inside");
	return html`<div class="ws"><a class="skip" href="#main">Skip to the content</a><${Top} at=${[name]} />
		<div class="wsbar"><h1>${name}</h1>
			<span class="state">${busy ? html`<${Glyph} of="start" says="" />` : html`<${Glyph} of=${up ? "up" : w?.status === "error" ? "bad" : "down"} says="" />`}
				${busy ? (op?.steps.find(s => s.status === "running")?.label ?? op?.action) : up ? `Running, used ${ago(w?.lastUsed ?? w?.created)}${ago(w?.lastUsed ?? w?.created) === "now" ? "" : " ago"}` : w ? "Stopped" : loaded ? "There is no such workspace" : ""}</span>
			${host && first ? html`<a class="link mono small" href="http://${host}:${first.port}" target="_blank" rel="noopener noreferrer">http://${host}:${first.port}</a>` : null}
			${up ? html`<${Copy} show text=${host ? `ssh workspace@${host}` : `ssh -p ${w.ports.ssh} workspace@127.0.0.1`}>${host ? `ssh workspace@${host}` : `ssh -p ${w.ports.ssh} workspace@127.0.0.1`}<//>` : null}
			<span class="grow"></span>
			<div class="btns">
				${up ? html`<button class="btn" disabled=${busy} onClick=${() => act("workspaces/restart")}><${Icon} name="restart" />Restart</button>
					<button class="btn" disabled=${busy} onClick=${() => act("workspaces/stop")}><${Icon} name="stop" />Stop</button>`
				: w ? html`<button class="btn primary" disabled=${busy} onClick=${() => act("workspaces/start")}>Start</button>` : null}
			</div>
		</div>
		<main id="main" class="term">
			${problem || (op?.state === "failed" && op.error) ? html`<div class="banner bad" role="alert"><${Icon} name="warn" /><span class="grow">${problem || op?.error}</span></div>` : null}
			${up ? html`<${Screen} name=${name} host=${host} />` : html`<div class="screen idle"><div class="empty"><p>${w ? "It is stopped. Its home stays as it is." : ""}</p></div></div>`}
		</main>
		${w ? html`<${Side} w=${w} remove=${() => setDeleting(true)} />` : null}
		${deleting && w ? html`<${Delete} w=${w} close=${() => setDeleting(false)} fail=${fail} />` : null}
	</div>`;
}
