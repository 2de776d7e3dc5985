// One workspace in the list.
import { called, ringing } from "../../app/bells.js";
import { ago, bytes, count, since } from "../../app/format.js";
import { html } from "../../app/html.js";
import { call } from "../../app/rpc.js";
import { useTaken } from "../../app/stats.js";
import { dismiss, remembered, state } from "../../app/store.js";
import { Copy } from "../../parts/copy.js";
import { Glyph } from "../../parts/glyph.js";
import { Icon } from "../../parts/icon.js";
import { Spark, percent } from "../../parts/spark.js";
/** @typedef {import("../../app/store.js").Workspace} Workspace */
/** @typedef {import("../../app/store.js").Operation} Operation */

/** @type {Record<string, string>} */
export const doing = { create: "Starting", start: "Starting", restart: "Restarting", clone: "Copying", stop: "Stopping", delete: "Deleting", sync: "Syncing" };

/** @param {Workspace | undefined} w */
const broken = w => w?.status === "error" || (w?.status === "running" && Boolean(w.error));

/** @param {Workspace | undefined} w @param {Operation | undefined} op */
function glyph(w, op) {
	if (op?.state === "running") return html`<${Glyph} of="start" says=${doing[op.action] ?? op.action} />`;
	if (op?.state === "failed" || broken(w)) return html`<${Glyph} of="bad" says="failed" />`;
	if (w && ringing(w.name).length) return html`<${Glyph} of="you" says="running, wants you" />`;
	if (w?.status === "running")
		return w.tailscale?.status === "failed"
			? html`<${Glyph} of="off" says="running, not on the tailnet" />`
			: html`<${Glyph} of="up" says="running" />`;
	return html`<${Glyph} of="down" says="stopped" />`;
}

/** Where it is reached: its name on the tailnet, else by SSH from this machine. @param {{ w: Workspace | undefined }} props */
function Address({ w }) {
	const t = w?.tailscale;
	if (t?.status === "connected" && t.dnsName) {
		const [name, ...rest] = t.dnsName.split(".");
		return html`<${Copy} text=${t.dnsName}>${name}<span class="fq">.${rest.join(".")}</span><//>`;
	}
	if (t?.status === "connecting") return html`<span class="tiny muted">not on the tailnet yet</span>`;
	if (w?.status === "running" && w.ports.ssh) {
		const host = location.hostname === "localhost" ? "127.0.0.1" : location.hostname;
		return html`<${Copy} text="ssh -p ${w.ports.ssh} workspace@${host}">ssh -p ${w.ports.ssh} …@${host}<//>`;
	}
	return html`<span class="tiny muted">${w ? `made ${since(w.created)}` : "never started"}</span>`;
}

/** @param {{ op: Operation }} props */
function Progress({ op }) {
	const now = op.steps.find(s => s.status === "running");
	const at = op.steps.filter(s => s.status === "done" || s.status === "skipped").length;
	return html`<div class="l1 cut"><b>${doing[op.action] ?? op.action}:</b> ${now?.label ?? "…"}${op.percent === undefined ? "" : `, ${Math.round(op.percent)} %`}</div>
		<div class="l2"><div class="steps" role="progressbar" aria-label="${doing[op.action]} ${op.workspace}" aria-valuenow=${at} aria-valuemin="0" aria-valuemax=${Math.max(op.steps.length, 5)}>
			${[...Array(Math.max(op.steps.length, 5)).keys()].map(i => html`<i class=${i < at ? "done" : op.steps[i]?.status === "running" ? "now" : ""}></i>`)}
		</div></div>`;
}

/** Its open terminals and what runs in them. @param {string} name */
function terminals(name) {
	const sessions = state.sessions.get(name) ?? [], busy = [...new Set(sessions.filter(s => s.busy && s.program).map(s => s.program))];
	return sessions.length ? `${count(sessions.length, "terminal")}${busy.length ? `: ${busy.slice(0, 3).join(", ")}${busy.length > 3 ? " …" : ""}` : ""}` : "";
}

/** @param {{ w: Workspace }} props */
function Running({ w }) {
	const wants = ringing(w.name), second = [terminals(w.name), w.ttlEnds && `stops in ${ago(Date.now() * 2 - Date.parse(w.ttlEnds))}`].filter(Boolean).join(", ");
	return html`<div class="l1 cut">${wants.length ? html`<b>${wants.slice(0, 2).map(called).join(", ")}</b> rang` : "Running"}</div>${second ? html`<div class="l2 cut">${second}</div>` : null}`;
}

/** @param {{ w: Workspace | undefined, op: Operation | undefined }} props */
function Words({ w, op }) {
	if (op?.state === "running") return html`<${Progress} op=${op} />`;
	if (op?.state === "failed") {
		const step = op.steps.find(s => s.status === "error");
		return html`<div class="l1 cut"><b class="bad">${doing[op.action] ?? op.action} failed</b>${step ? ` at “${step.label}”` : ""}</div><div class="l2 cut" title=${op.error}>${op.error}</div>`;
	}
	if (broken(w)) return html`<div class="l1 cut"><b class="bad">${w?.status === "error" ? "Broken" : "Running, its start failed"}</b></div><div class="l2 cut" title=${w?.error}>${w?.error}</div>`;
	if (w?.status !== "running") return html`<div class="l1 cut">${w?.stopReason ? `Stopped: ${w.stopReason}` : "Stopped"}</div>`;
	if (w.tailscale?.status === "failed")
		return html`<div class="l1 cut">Running</div><div class="l2 cut warn" title=${w.tailscale.mend}>Not on the tailnet: ${w.tailscale.error}</div>`;
	if (w.outdated)
		return html`<div class="l1 cut">Running</div><div class="l2 cut"><span class="tag"><${Icon} name="up" />outdated: a newer image, restart to use it</span></div>`;
	return html`<${Running} w=${w} />`;
}

/**
 * What a row offers: a key, a word, and what it calls.
 * @param {string} name @param {Workspace | undefined} w @param {Operation | undefined} op
 * @returns {{ key: string, label: string, procedure: string, input: any }[]}
 */
export function actions(name, w, op) {
	if (op?.state === "running") return [];
	if (op?.state === "failed" && ["stop", "delete"].includes(op.action)) return [{ key: "r", label: "Try again", procedure: `workspaces/${op.action}`, input: { name } }];
	if (op?.state === "failed" || broken(w)) {
		const made = remembered(name);
		if (!w) return made ? [{ key: "r", label: "Try again", procedure: "workspaces/create", input: made }] : [];
		return [{ key: "r", label: "Try again", procedure: w.status === "running" ? "workspaces/restart" : "workspaces/start", input: { name } }];
	}
	if (w?.status === "running") {
		const stop = { key: "s", label: "Stop", procedure: "workspaces/stop", input: { name } };
		return w.outdated ? [{ key: "r", label: "Restart", procedure: "workspaces/restart", input: { name } }, stop] : [stop];
	}
	return w ? [{ key: "s", label: "Start", procedure: "workspaces/start", input: { name } }] : [];
}

/** @param {{ name: string, w: Workspace | undefined, op: Operation | undefined, act: (procedure: string, input: any) => void }} props */
function Buttons({ name, w, op, act }) {
	return html`${op?.state === "failed" ? html`<button class="btn tight ghost" onClick=${() => dismiss(name)}>Dismiss</button>` : null}
		${actions(name, w, op).map(({ key, label, procedure, input }) => html`<button class="btn tight ${label === "Stop" ? "later" : ""}" onClick=${() => act(procedure, input)}>${label}<kbd>${key.toUpperCase()}</kbd></button>`)}`;
}

/** @param {{ w: Workspace | undefined }} props */
function Ports({ w }) {
	const ports = w?.listeners ?? [];
	return html`<div class="c-ports">${ports.slice(0, 3).map(port =>
		port.url
			? html`<a class="port" href=${port.url} target="_blank" rel="noopener noreferrer"><b>${port.port}</b>${port.process}</a>`
			: html`<span class="port inside" title="Inside the workspace: perry proxy ${w?.name} ${port.port}"><${Icon} name="lock" /><b>${port.port}</b>${port.process}</span>`,
	)}${ports.length > 3 ? html`<span class="port">+${ports.length - 3}</span>` : null}</div>`;
}

/** CPU and memory, for where there is room. @param {{ name: string, up: boolean }} props */
function Taken({ name, up }) {
	const t = useTaken(name, up), cpu = t?.cpu.at(-1);
	return html`<div class="c-res">${t ? html`<${Spark} values=${t.cpu} top=${0.25} /><div class="num"><span title="CPU, of one core">${percent(cpu) || "…"}</span><span title="Memory">${bytes(t.memory.at(-1) ?? 0)}</span></div>` : null}</div>`;
}

/** @param {string} name @param {string} procedure @param {any} input @param {(why: string) => void} fail */
export function perform(name, procedure, input, fail) {
	call(procedure, input, { async: true }).catch(error => fail(`${name}: ${error.message}`));
}

/** The repository's name, without where it is kept. @param {string} repo */
const short = repo => repo.replace(/\.git$/, "").split(/[/:]/).filter(Boolean).slice(-2).join("/");

/** @param {{ name: string, w: Workspace | undefined, op: Operation | undefined, selected: boolean, fail: (why: string) => void }} props */
export function Row({ name, w, op, selected, fail }) {
	const act = (/** @type {string} */ procedure, /** @type {any} */ input) => perform(name, procedure, input, fail);
	return html`<li id="row-${name}" class="row ${selected ? "sel" : ""} ${op?.state === "failed" || broken(w) ? "wide" : ""}" aria-current=${selected ? "true" : undefined}>
		${glyph(w, op)}
		<div class="c-name"><a class="cut" href="/w/${name}">${name}</a><${Address} w=${w} /></div>
		<div class="c-say"><div class="words"><${Words} w=${w} op=${op} /></div><div class="btns nowrap"><${Buttons} name=${name} w=${w} op=${op} act=${act} /></div></div>
		<${Ports} w=${w} />
		<div class="c-git">${w?.repo ? html`<div class="br"><${Icon} name="branch" /><span class="cut">${w.branch ?? short(w.repo)}</span></div><div class="cut">${short(w.repo)}</div>` : null}</div>
		<${Taken} name=${name} up=${w?.status === "running"} />
		<div class="c-age num">${ago(op?.state === "failed" ? op.at : (w?.lastUsed ?? w?.created))}</div>
		<a class="c-more btn ghost icon" href="/w/${name}" aria-label="More of ${name}"><${Icon} name="more" /></a>
	</li>`;
}
