// One workspace: its terminal, and beside it what is known of it.
import { useEffect, useState } from "preact/hooks";
import { since } from "../../app/format.js";
import { html } from "../../app/html.js";
import { go } from "../../app/router.js";
import { dismiss, look, useStore } from "../../app/store.js";
import { Copy } from "../../parts/copy.js";
import { Banner } from "../../parts/field.js";
import { Glyph } from "../../parts/glyph.js";
import { Icon } from "../../parts/icon.js";
import { Tabs, Top } from "../../parts/top.js";
import { actions, doing, perform } from "../list/row.js";
import { Clone } from "./clone.js";
import { Delete } from "./delete.js";
import { Drop, useUploads } from "./files.js";
import { Logs } from "./logs.js";
import { Steps } from "./progress.js";
import { Terminals } from "./terminals.js";
import { Side } from "./side.js";
/** @typedef {import("../../app/store.js").Workspace} Workspace */
/** @typedef {import("../../app/store.js").Operation} Operation */

const narrow = matchMedia("(max-width: 760px)");

/** @param {{ w: Workspace | undefined, op: Operation | undefined, loaded: boolean }} props */
function State({ w, op, loaded }) {
	if (op?.state === "running") return html`<span class="state"><${Glyph} of="start" says="" />${doing[op.action] ?? op.action}: ${op.steps.find(s => s.status === "running")?.label ?? "…"}</span>`;
	if (w?.status === "running") return html`<span class="state"><${Glyph} of="up" says="" />Running, used ${since(w.lastUsed ?? w.created)}</span>`;
	if (w?.status === "error") return html`<span class="state bad"><${Glyph} of="bad" says="" />Broken</span>`;
	if (w) return html`<span class="state"><${Glyph} of="down" says="" />${w.stopReason ? `Stopped: ${w.stopReason}` : "Stopped"}</span>`;
	return html`<span class="state">${loaded ? "There is no such workspace" : ""}</span>`;
}

/** What stands where the terminal is when it runs. @param {{ name: string, w: Workspace | undefined, op: Operation | undefined, act: (procedure: string, input: any) => void, loaded: boolean }} props */
function Main({ name, w, op, act, loaded }) {
	if (op?.state === "running" && w?.status !== "running")
		return html`<div class="screen idle"><${Steps} op=${op} title="${doing[op.action] ?? op.action} ${name}" /></div>`;
	const again = actions(name, w, op).map(({ label, procedure, input }) => html`<button class="btn ${label === "Stop" ? "" : "primary"}" onClick=${() => act(procedure, input)}>${label}</button>`);
	if (op?.state === "failed")
		return html`<div class="screen idle"><${Steps} op=${op} title="${doing[op.action] ?? op.action} ${name} failed">${again}
			<button class="btn" onClick=${() => dismiss(name)}>${w?.status === "running" ? "Leave it so" : "Dismiss"}</button>${w ? null : html`<a class="btn" href="/new">Make another</a>`}<//></div>`;
	if (w?.status === "running") return html`<${Terminals} key=${w.containerId} name=${name} host=${w.tailscale?.hostname ?? ""} />`;
	if (!loaded) return html`<div class="screen idle"></div>`;
	return html`<div class="screen idle"><div class="empty"><p>${w ? (w.status === "error" ? w.error : "It is stopped. Its home stays as it is.") : `There is no workspace called ${name}.`}</p>
		${w ? html`<div class="btns">${again}</div>` : html`<a class="btn" href="/">All workspaces</a>`}</div></div>`;
}

/** @param {{ name: string }} props */
export function WorkspacePage({ name }) {
	const { workspaces, operations, loaded, link } = useStore();
	const w = workspaces.get(name), op = operations.get(name), host = w?.tailscale?.hostname ?? "";
	const [problem, fail] = useState(""), [deleting, setDeleting] = useState(false), [cloning, setCloning] = useState(false), [phone, setPhone] = useState(narrow.matches);
	const act = (/** @type {string} */ procedure, /** @type {any} */ input) => perform(name, procedure, input, fail);
	useEffect(() => {
		document.title = `${name}: Perry`;
		const changed = () => setPhone(narrow.matches);
		narrow.addEventListener("change", changed);
		return () => narrow.removeEventListener("change", changed);
	}, [name]);
	useEffect(() => look(name), [name]);
	useEffect(() => {
		if (op?.action === "delete" && op.state === "done") go("/");
	}, [op?.state]);
	const busy = op?.state === "running" || link !== "live", up = w?.status === "running";
	const files = useUploads(name, up);
	const first = w?.listeners?.find(l => l.url), ssh = host ? `ssh workspace@${host}` : `ssh -p ${w?.ports.ssh} workspace@${location.hostname}`;
	return html`<a class="skip" href="#main">Skip to the content</a><div class="ws"><${Top} at=${[name]} />
		<div class="wsbar"><h1 class="cut">${name}</h1><${State} w=${w} op=${op} loaded=${loaded} />
			${first ? html`<a class="link mono small" href=${first.url} target="_blank" rel="noopener noreferrer">${first.url}</a>` : null}
			${up ? html`<${Copy} show text=${ssh}>${ssh}<//>` : null}
			<span class="grow"></span>
			<div class="btns">
				${up && phone ? html`<a class="btn primary" href="/w/${name}/terminal"><${Icon} name="terminal" />Terminal</a>` : null}
				${up ? html`<button class="btn" disabled=${busy} onClick=${() => act("workspaces/restart", { name })}><${Icon} name="restart" />Restart</button>
					<button class="btn" disabled=${busy} onClick=${() => act("workspaces/stop", { name })}><${Icon} name="stop" />Stop</button>`
				: w && op?.state !== "failed" ? html`<button class="btn primary" disabled=${busy} onClick=${() => act("workspaces/start", { name })}>Start</button>` : null}
			</div>
		</div>
		<main id="main" class="term">
			${link === "lost" ? html`<${Banner} kind="warn">The agent does not answer. It is tried again all the time.<//>` : null}
			${problem ? html`<${Banner} close=${() => fail("")}>${problem}<//>` : null}
			${phone && up && op?.state !== "failed" ? null : html`<${Main} name=${name} w=${w} op=${op} act=${act} loaded=${loaded} />`}
			${w ? html`<${Logs} name=${name} since=${w.status} />` : null}
		</main>
		${w ? html`<${Side} w=${w} files=${files} remove=${() => setDeleting(true)} clone=${() => setCloning(true)} act=${act} />` : null}
		${files.over ? html`<${Drop} name=${name} />` : null}
		${cloning && w ? html`<${Clone} w=${w} close=${() => setCloning(false)} />` : null}
		${deleting && w ? html`<${Delete} w=${w} close=${() => setDeleting(false)} fail=${fail} />` : null}
	</div><${Tabs} at="list" />`;
}
