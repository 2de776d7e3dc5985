// Networking: each workspace a device of its own.
import { useEffect, useState } from "preact/hooks";
import { ago } from "../../app/format.js";
import { html } from "../../app/html.js";
import { useStore } from "../../app/store.js";
import { Banner, Field, Switch } from "../../parts/field.js";
import { Glyph } from "../../parts/glyph.js";
import { useSaving } from "../../parts/save.js";
import { Overlaid, Section, Setting, overlaid, useAnswer } from "./section.js";

/** Where a key comes from, in words. @param {any} key of tailnet/status */
const origin = key => (!key ? "There is none yet" : `In use: ${key.source === "file" ? "from config.json" : fixed(key) ? "from the agent’s environment" : `from ${key.source}`}${key.since ? `, for ${ago(key.since)}` : ""}`);

/** Is it one that the environment sets? @param {any} key */
export const fixed = key => /env/i.test(String(key?.source ?? ""));

/** The names that a prefix gives. @param {{ prefix: string }} props */
export function Names({ prefix }) {
	const { workspaces } = useStore();
	const names = [...workspaces.keys()].sort().slice(0, 4), all = names.length ? names : ["web", "api"];
	const longest = [...workspaces.keys(), "web"].reduce((a, b) => (b.length > a.length ? b : a));
	const host = `${prefix}${longest}`;
	return html`<div class="names">${all.map(name => html`<span key=${name}>${name} → <b>${prefix}${name}</b></span>`)}${workspaces.size > 4 ? html`<span>${workspaces.size - 4} more</span>` : null}</div>
		<p class="hint ${host.length > 63 ? "bad" : ""}">Longest: ${host}, ${host.length} of 63 characters</p>`;
}

/** What is wrong with a prefix. @param {string} prefix */
export const prefixProblem = prefix => (!prefix || /^[a-z0-9][a-z0-9-]*$/.test(prefix) ? "" : "Small letters, digits and dashes, and no dash at its beginning");

/** What is wrong with a key's form; the agent looks once more. @param {string} key @param {string} server */
export const keyProblem = (key, server) => (!key || server || /^(tskey|hskey)-/.test(key) ? "" : "An auth key begins with tskey-auth-, one of Headscale with hskey-auth-");

/** @type {Record<string, [import("../../parts/glyph.js").Shape, string]>} */
const states = { connected: ["up", "Joined"], joined: ["up", "Joined"], connecting: ["start", "Joining"], joining: ["start", "Joining"], failed: ["off", "Not joined"],
	leaving: ["off", "Being removed"], "left-behind": ["off", "Left behind"], kept: ["down", "Kept"], none: ["down", "Stopped"] };

/** @param {{ status: any, prune: (input: any) => void, busy: boolean }} props */
function Devices({ status, prune, busy }) {
	const rows = [...status.workspaces.map((/** @type {any} */ w) => ({ ...w, name: w.name, state: w.state ?? "none" })), ...status.pending.map((/** @type {any} */ p) => ({ ...p, name: p.hostname ?? p.workspace, pending: true }))];
	if (!rows.length) return html`<div class="pad"><p class="small muted">No device yet: a workspace joins at its start.</p></div>`;
	return html`<table class="tbl"><thead><tr><th>Name</th><th>State</th><th class="opt">Address</th><th class="opt">Node key</th></tr></thead><tbody>${rows.map((r, i) => {
		const [shape, words] = states[r.state] ?? ["down", r.state];
		return html`<tr key=${i}><td><b>${r.name}</b></td><td><span class="st"><${Glyph} of=${shape} says="" /><span>${words}${r.error ? `: ${r.error}` : ""}${r.mend ? html`<br /><span class="muted">${r.mend}</span>` : null}</span></span></td>
			<td class="mono tiny opt">${r.ip ?? "—"}</td><td class="muted opt">${r.keyExpiry ? `until ${new Date(r.keyExpiry).toLocaleDateString()}` : r.state === "connected" ? "does not expire" : "—"}</td></tr>`;
	})}</tbody></table>
	${status.pending.length ? html`<div class="pad"><div class="btns"><button class="btn" disabled=${busy} onClick=${() => prune({})}>Remove them now</button><button class="btn ghost" disabled=${busy} onClick=${() => prune({ forget: true })}>Forget those that I removed by hand</button></div></div>` : null}`;
}

export function Networking() {
	const [config, , setConfig] = useAnswer("config/tailscale/get"), [status, why, reload] = useAnswer("tailnet/status"), [info] = useAnswer("info");
	const [enabled, setEnabled] = useState(/** @type {boolean | undefined} */ (undefined)), [key, setKey] = useState(""), [prefix, setPrefix] = useState(/** @type {string | undefined} */ (undefined));
	const saving = useSaving(), { workspaces } = useStore();
	useEffect(() => reload(), [[...workspaces.values()].map(w => `${w.name}${w.tailscale?.status}`).join()]);
	if (!config || !status) return html`<${Section} id="networking" title="Networking">${why ? html`<div class="pad"><${Banner}>${why}<//></div>` : html`<div class="pad"></div>`}<//>`;
	const on = enabled ?? config.enabled, pre = prefix ?? config.hostnamePrefix ?? "", server = status.loginServer ?? "";
	const changes = { ...(enabled !== undefined && enabled !== config.enabled ? { enabled } : {}), ...(prefix !== undefined && prefix !== (config.hostnamePrefix ?? "") ? { hostnamePrefix: prefix } : {}), ...(key ? { authKey: key.trim() } : {}) };
	const changed = Object.keys(changes), wrong = prefixProblem(pre) || keyProblem(key, server), running = [...workspaces.values()].filter(w => w.status === "running").length;
	const undo = () => {
		setEnabled(undefined);
		setKey("");
		setPrefix(undefined);
	};
	const save = async (/** @type {Event} */ event) => {
		event.preventDefault();
		if (wrong || !changed.length) return;
		// A new key goes where its form is looked at; what it means is in the answer's warnings.
		if (changes.authKey && !(await saving.run("tailnet/setup", { authKey: changes.authKey }))) return;
		const rest = { ...("enabled" in changes ? { enabled: changes.enabled } : changes.authKey ? { enabled: true } : {}), ...("hostnamePrefix" in changes ? { hostnamePrefix: changes.hostnamePrefix } : {}) };
		const answer = await saving.run("config/tailscale/update", rest);
		if (!answer) return;
		setConfig(answer);
		reload();
		undo();
	};
	const prune = async (/** @type {any} */ input) => (await saving.run("tailnet/prune", input)) && reload();
	const t = info?.tailscale;
	return html`<${Section} id="networking" title="Networking" lead="Each workspace is a device of its own on your tailnet: its name, its ports and SSH, reached from every device of yours and from nowhere else.">
		${status.warnings.map((/** @type {string} */ text) => html`<${Banner} kind="warn" key=${text}>${text}<//>`)}
		<form onSubmit=${save}>
			<${Setting} label="Workspaces join the tailnet" hint="Off: they are reached from this machine only"><${Switch} label="Workspaces join the tailnet" disabled=${Boolean(overlaid(config, "enabled"))} on=${on} set=${setEnabled} says=${on ? (status.key || status.credentials.length || key ? "On" : "On, once there is a key") : "Off"} /><//>
			<${Setting} label="Auth key" hint="Written, never shown again. Keys with tags make devices that do not expire">
				${overlaid(config, "authKey") ? html`<${Overlaid} by=${overlaid(config, "authKey")} />`
				: html`<${Field} bare label="New auth key" type="password" value=${key} set=${setKey} placeholder=${server ? "hskey-auth-…" : "tskey-auth-…"} bad=${keyProblem(key, server)} hint="" mono />`}
				<span class="origin">${origin(status.key)}${server ? html`. For <code>${server}</code>` : html`. <span><a class="link" href="https://login.tailscale.com/admin/settings/keys" target="_blank" rel="noopener noreferrer">Make a key</a>: reusable, not ephemeral</span>`}</span>
			<//>
			<${Setting} label="Hostname prefix" hint="Changes the names of devices at their next start"><${Field} bare label="Hostname prefix" value=${pre} set=${setPrefix} placeholder="none" bad=${prefixProblem(pre) || undefined} mono /><${Names} prefix=${pre} /><//>
			<${Setting} label="Tags" hint="What access rules know these devices by">${status.credentials.length ? html`<ul class="small">${status.credentials.map((/** @type {any} */ c) => html`<li><b>${c.name ?? c.credential ?? ""}</b> <span class="tags">${(c.tags ?? []).map((/** @type {string} */ tag) => html`<span class="tag">${tag}</span>`)}</span></li>`)}</ul><span class="origin">asked for with keys that this agent makes</span>`
				: html`<p class="small muted">Those of the auth key. With a credential (<code>tailscale.credentials</code> in config.json) each join gets a key and tags of its own, and devices go with their workspace.</p>`}<//>
			<${Setting} label="This agent" hint="Where other devices of yours open this page">${t?.httpsUrl || t?.url ? html`<a class="link mono small" href=${t.httpsUrl ?? t.url} rel="noopener noreferrer" target="_blank">${t.httpsUrl ?? t.url}</a>` : html`<p class="small">${t?.problem ?? "Not on the tailnet."}${t?.mend ? html` <span class="muted">${t.mend}</span>` : null}</p>`}<//>
			${changed.length ? html`<div class="savebar"><span class="grow">${changed.map(c => ({ enabled: on ? "Joining is on" : "Joining is off", authKey: "A new key", hostnamePrefix: html`Prefix <b>${pre || "none"}</b>` })[c]).reduce((all, part) => html`${all}, ${part}`)}: not saved.${running ? ` ${running} running ${running === 1 ? "workspace takes" : "workspaces take"} it at the next start` : ""}</span>
				<button type="button" class="btn" onClick=${undo}>Undo</button><button class="btn primary" disabled=${saving.busy || Boolean(wrong)}>Save</button></div>` : null}
			<div class="pad tight">${saving.said}</div>
		</form>
		<h2 class="vh">Devices</h2><${Devices} status=${status} prune=${prune} busy=${saving.busy} />
	<//>`;
}
