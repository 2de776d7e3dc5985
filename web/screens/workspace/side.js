// Beside the terminal: ports, repository, tailnet, why it is as it is, danger.
import { useEffect, useState } from "preact/hooks";
import { html } from "../../app/html.js";
import { call } from "../../app/rpc.js";
import { Copy } from "../../parts/copy.js";
import { Icon } from "../../parts/icon.js";
/** @typedef {import("../../app/store.js").Workspace} Workspace */

/** @param {{ w: Workspace }} props */
function Ports({ w }) {
	const host = w.tailscale?.hostname, ports = w.listeners ?? [];
	return html`<section class="pan"><h2>Ports</h2><ul>${ports.map(p => html`<li class="pr"><span class="mono num">${p.port}</span><span class="cut">${p.process}</span>
		${host && p.reach !== "inside" ? html`<a class="u" href=${p.url ?? `http://${host}:${p.port}`} target="_blank" rel="noopener noreferrer">${host}:${p.port}<${Icon} name="out" /></a>` : html`<span class="tiny muted">inside only</span>`}</li>`)}</ul>
		${ports.length ? null : html`<p class="tiny muted">Nothing listens yet.</p>`}</section>`;
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

/** A value of the plan in few words. @param {any} value */
const short = value => (typeof value === "object" ? JSON.stringify(value) : String(value));

/** @param {{ name: string }} props */
function Why({ name }) {
	const [fields, setFields] = useState(/** @type {any[]} */ ([]));
	useEffect(() => {
		call("explain", { name }).then(answer => setFields(Array.isArray(answer.fields) ? answer.fields : []), () => {});
	}, [name]);
	return html`<section class="pan"><h2>Why</h2><ul class="why">${fields.slice(0, 8).map(f =>
		html`<li><span class="f cut" title=${f.field}>${f.field}</span><span class="cut" title=${short(f.value)}>${short(f.value)}</span><span class="w">${f.layer} <span class="mono">${String(f.file ?? "").split("/").pop()}${f.line ? `:${f.line}` : ""}</span></span></li>`)}</ul></section>`;
}

/** @param {{ w: Workspace, remove: () => void }} props */
export const Side = ({ w, remove }) => html`<aside class="side" aria-label="About ${w.name}">
	<${Ports} w=${w} />
	${w.repo ? html`<section class="pan"><h2>Git</h2><dl class="kv"><dt>From</dt><dd class="mono small cut" title=${w.repo}>${w.repo}</dd><dd></dd>${w.branch ? html`<dt>Branch</dt><dd class="mono small">${w.branch}</dd><dd></dd>` : null}</dl></section>` : null}
	<${Tailnet} w=${w} />
	<${Why} name=${w.name} />
	<section class="pan"><h2>Danger zone</h2><div class="btns"><button class="btn tight danger-quiet" onClick=${remove}><${Icon} name="trash" />Delete ${w.name}…</button></div></section>
</aside>`;
