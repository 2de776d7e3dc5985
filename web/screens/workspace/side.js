// Beside the terminal: ports, repository, tailnet, why it is as it is, danger.
import { useEffect, useState } from "preact/hooks";
import { bytes } from "../../app/format.js";
import { html } from "../../app/html.js";
import { call } from "../../app/rpc.js";
import { useTaken } from "../../app/stats.js";
import { Copy } from "../../parts/copy.js";
import { Icon } from "../../parts/icon.js";
import { Spark, percent } from "../../parts/spark.js";
import { Files } from "./files.js";
/** @typedef {import("../../app/store.js").Workspace} Workspace */

/** @param {string} url */
const shown = url => url.replace(/^https?:\/\//, "").replace(/\/$/, "");

/** @param {{ w: Workspace }} props */
function Ports({ w }) {
	const ports = w.listeners ?? [];
	return html`<section class="pan"><h2>Ports</h2><ul>${ports.map(p => html`<li class="pr"><span class="mono num">${p.port}</span><span class="cut">${p.process}</span>
		${p.url ? html`<a class="u" href=${p.url} target="_blank" rel="noopener noreferrer">${shown(p.url)}<${Icon} name="out" /></a>` : html`<${Copy} show text="perry proxy ${w.name} ${p.port}">perry proxy ${w.name} ${p.port}<//>`}</li>`)}</ul>
		${ports.length ? null : html`<p class="tiny muted">${w.status === "running" ? "Nothing listens yet." : "It does not run."}</p>`}</section>`;
}

/** @param {{ w: Workspace }} props */
function Tailnet({ w }) {
	const t = w.tailscale;
	if (!t) return html`<section class="pan"><h2>Tailnet</h2><p class="tiny muted">It does not join. <a class="link" href="/settings/networking">Networking</a></p></section>`;
	if (t.status === "failed") return html`<section class="pan"><h2>Tailnet<span class="end warn">not joined</span></h2><p class="small">${t.error}</p>${t.mend ? html`<p class="tiny muted">${t.mend}</p>` : null}</section>`;
	return html`<section class="pan"><h2>Tailnet<span class="end ${t.status === "connected" ? "ok" : ""}">${t.status === "connected" ? "joined" : t.status}</span></h2>
		<dl class="kv">${[["Name", t.dnsName], ["SSH", t.hostname && `ssh workspace@${t.hostname}`], ["Address", t.ip]].filter(([, v]) => v).map(([k, v]) =>
			html`<dt>${k}</dt><dd><${Copy} show text=${v}>${v}<//></dd><dd></dd>`)}</dl></section>`;
}

/** What it takes, and may take. @param {{ w: Workspace }} props */
function Resources({ w }) {
	const t = useTaken(w.name, w.status === "running"), { cpus, memory, pids } = w.limits ?? {};
	if (!t && !w.limits) return null;
	const of = (/** @type {string} */ now, /** @type {string} */ most) => html`<span class="num">${now}${most ? html`<span class="muted">${now ? " of " : ""}${most}</span>` : null}</span>`;
	return html`<section class="pan"><h2>Resources</h2>
		<div class="resrow"><span>CPU</span>${t ? html`<${Spark} values=${t.cpu} top=${cpus ?? 1} />` : html`<span></span>`}${of(t ? percent(t.cpu.at(-1)) || "…" : "", cpus ? `${Math.round(cpus * 100)} %` : "")}</div>
		<div class="resrow"><span>Memory</span>${t ? html`<${Spark} values=${t.memory} top=${memory ?? 2 * Math.max(...t.memory)} />` : html`<span></span>`}${of(t ? bytes(t.memory.at(-1) ?? 0) : "", memory ? bytes(memory) : "")}</div>
		${pids ? html`<div class="resrow"><span>Processes</span><span></span>${of("", `at most ${pids}`)}</div>` : null}</section>`;
}

/** What a built-in file left empty tells nobody anything. @param {any} f */
const dull = f => f.value === false || f.value === null || f.value === "" || (typeof f.value === "object" && !Object.keys(f.value).length);

/** A value of the plan in few words. @param {any} value @param {string} field */
function short(value, field) {
	if (typeof value === "number" && field.endsWith("memory")) return bytes(value);
	if (Array.isArray(value)) return value.map(v => (typeof v === "object" ? (v?.target ?? JSON.stringify(v)) : String(v))).join(", ");
	return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** The plan in force, and who decided what. @param {{ w: Workspace }} props */
function Why({ w }) {
	const { name } = w, [all, setAll] = useState(false);
	const [fields, setFields] = useState(/** @type {any[]} */ ([]));
	useEffect(() => {
		call("explain", { name }).then(answer => setFields(Array.isArray(answer.fields) ? answer.fields : []), () => {});
	}, [name, w.containerId]);
	const telling = fields.filter(f => all || !dull(f));
	return html`<section class="pan"><h2>Why${fields.length > telling.length || all ? html`<button type="button" class="end link" onClick=${() => setAll(!all)}>${all ? "Fewer" : `All ${fields.length} decisions`}</button>` : null}</h2><ul class="why">${telling.map(f =>
		html`<li><span class="f cut" title=${f.field}>${all ? f.field : f.field.split(".").pop()}</span><span class="cut" title=${short(f.value, f.field)}>${short(f.value, f.field)}</span><span class="w">${f.layer} <span class="mono">${String(f.file ?? "").split("/").pop()}${f.line ? `:${f.line}` : ""}</span></span></li>`)}</ul></section>`;
}

/** @param {{ w: Workspace, files: ReturnType<typeof import("./files.js")["useUploads"]>, remove: () => void, clone: () => void, act: (procedure: string, input: any) => void }} props */
export const Side = ({ w, files, remove, clone, act }) => html`<aside class="side" aria-label="About ${w.name}">
	<${Ports} w=${w} />
	<${Files} name=${w.name} up=${w.status === "running"} uploads=${files.uploads} add=${files.add} />
	${w.repo ? html`<section class="pan"><h2>Git</h2><dl class="kv"><dt>From</dt><dd class="mono small cut" title=${w.repo}>${w.repo}</dd><dd></dd>${w.branch ? html`<dt>Branch</dt><dd class="mono small">${w.branch}</dd><dd></dd>` : null}</dl></section>` : null}
	<${Tailnet} w=${w} />
	<${Resources} w=${w} />
	<${Why} w=${w} />
	<section class="pan"><h2>Another one like it</h2><div class="btns"><button class="btn tight" onClick=${clone}><${Icon} name="copy" />Clone ${w.name}…</button></div></section>
	<section class="pan"><h2>Danger zone</h2><div class="btns"><button class="btn tight" onClick=${() => act("workspaces/restart", { name: w.name, recreate: true })}>Recreate</button><button class="btn tight danger-quiet" onClick=${remove}><${Icon} name="trash" />Delete ${w.name}…</button></div><p class="tiny muted">Recreate makes the container anew by today’s plan. The home stays.</p></section>
</aside>`;
