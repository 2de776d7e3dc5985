// The settings that are a value or two each: scripts, coding agents, GitHub, SSH, the terminal.
import { useState } from "preact/hooks";
import { html } from "../../app/html.js";
import { Banner, Field, Lines, Switch } from "../../parts/field.js";
import { useSaving } from "../../parts/save.js";
import { Section, Setting, useAnswer } from "./section.js";

/**
 * A form over what PROCEDURE/get answers, saved whole by PROCEDURE/update.
 * @param {{ procedure: string, id: string, title: string, lead?: string, fields: (value: any, set: (change: any) => void) => any, ready?: (value: any) => any, problem?: (value: any) => string }} props
 * fields: from the value as it would be; ready: what is sent of it
 */
function Form({ procedure, id, title, lead, fields, ready = v => v, problem = () => "" }) {
	const [value, why, setValue] = useAnswer(`${procedure}/get`), [changes, setChanges] = useState(/** @type {any} */ (undefined)), saving = useSaving();
	const now = value && { ...value, ...changes }, wrong = changes ? problem(now) : "";
	const save = async (/** @type {Event} */ event) => {
		event.preventDefault();
		if (!changes || wrong) return;
		// Another section, or somebody else, may have saved since: an update replaces all.
		const fresh = await saving.run(`${procedure}/get`);
		if (!fresh || !(await saving.run(`${procedure}/update`, ready({ ...fresh, ...changes })))) return;
		setChanges(undefined);
		setValue();
	};
	return html`<${Section} id=${id} title=${title} lead=${lead}>${why ? html`<${Banner}>${why}<//>` : null}
		<form onSubmit=${save}>${now ? fields(now, change => setChanges({ ...changes, ...change })) : null}
			<div class="pad tight">${changes ? html`<div class="btns"><button class="btn primary" disabled=${saving.busy || Boolean(wrong)}>Save</button><button type="button" class="btn ghost" onClick=${() => setChanges(undefined)}>Undo</button>${wrong ? html`<span class="hint bad">${wrong}</span>` : null}</div>` : null}${saving.said}</div>
		</form><//>`;
}

const lines = (/** @type {string} */ text) => text.split("\n").map(line => line.trim()).filter(Boolean);

export const Scripts = () => html`<${Form} procedure="config/scripts" id="scripts" title="Scripts" lead="Run in a workspace after each start: files, or folders whose files run in the order of their names." ready=${(/** @type {any} */ v) => ({ post_start: lines(v.text ?? (v.post_start ?? []).join("\n")), fail_on_error: Boolean(v.fail_on_error) })}
	fields=${(/** @type {any} */ v, /** @type {any} */ set) => html`
		<${Setting} label="After each start" hint="Paths on this machine, one a line"><${Lines} label="Scripts" value=${v.text ?? (v.post_start ?? []).join("\n")} set=${(/** @type {string} */ text) => set({ text })} placeholder="~/.config/perry/userscripts" /><//>
		<${Setting} label="A failing script fails the start"><${Switch} label="A failing script fails the start" on=${Boolean(v.fail_on_error)} set=${(/** @type {boolean} */ on) => set({ fail_on_error: on })} says=${v.fail_on_error ? "On" : "Off: it is shown on the workspace"} /><//>`} />`;

export const Agents = () => html`<${Form} procedure="config/agents" id="agents" title="AI agents" lead="Claude Code, Codex and others get what this machine’s user is signed in with; keys of theirs are variables, see Environment."
	ready=${(/** @type {any} */ v) => ({ ...v })}
	fields=${(/** @type {any} */ v, /** @type {any} */ set) => {
		const server = v.opencode?.server ?? {}, put = (/** @type {any} */ change) => set({ opencode: { ...v.opencode, server: { ...server, ...change } } });
		return html`<${Setting} label="OpenCode’s server" hint="Who may use the one that runs in workspaces"><div class="two"><${Field} label="User" value=${server.username ?? ""} set=${(/** @type {string} */ username) => put({ username })} placeholder="opencode" /><${Field} label="Password" type="password" value=${server.password ?? ""} set=${(/** @type {string} */ password) => put({ password })} placeholder="none" /></div><//>`;
	}} />`;

export const GitHub = () => html`<${Form} procedure="config/agents" id="github" title="GitHub" lead="For clones in workspaces, and to find your repositories here."
	ready=${(/** @type {any} */ v) => ({ ...v, github: { ...v.github, token: v.fresh ?? v.github?.token ?? "" }, fresh: undefined })}
	fields=${(/** @type {any} */ v, /** @type {any} */ set) => html`<${Setting} label="Token" hint="Written, never shown"><${Field} bare label="GitHub token" type="password" value=${v.fresh ?? ""} set=${(/** @type {string} */ fresh) => set({ fresh })} placeholder=${v.github?.token ? "There is one; another takes its place" : "ghp_… or github_pat_…"} mono />
		${v.github?.token ? html`<div class="btns"><button type="button" class="btn tight" onClick=${() => set({ fresh: "" })}>Take it out</button></div>` : null}<//>`} />`;

/** @param {{ v: any, set: (change: any) => void }} props */
function Keys({ v, set }) {
	const [keys, why] = useAnswer("config/ssh/listKeys"), global = v.global;
	/** @param {"copy" | "authorize"} list @param {string} path @param {boolean} on */
	const put = (list, path, on) => set({ global: { ...global, [list]: on ? [...global[list], path] : global[list].filter((/** @type {string} */ p) => p !== path) } });
	if (why) return html`<p class="hint bad">${why}</p>`;
	return html`${(keys ?? []).map((/** @type {any} */ k) => html`<div class="keyrow" key=${k.path}><div class="cut"><b class="mono small">${k.name}</b> <span class="tiny muted">${k.type} ${k.fingerprint}</span></div>
		<label class="small"><input type="checkbox" checked=${global.authorize.includes(k.publicKeyPath)} onChange=${(/** @type {any} */ e) => put("authorize", k.publicKeyPath, e.target.checked)} /> may log in</label>
		${k.hasPrivateKey ? html`<label class="small"><input type="checkbox" checked=${global.copy.includes(k.path)} onChange=${(/** @type {any} */ e) => put("copy", k.path, e.target.checked)} /> is copied into workspaces</label>` : null}</div>`)}
		${keys && !keys.length ? html`<p class="small muted">This machine’s user has none. ssh-keygen makes one.</p>` : null}`;
}

export const Ssh = () => html`<${Form} procedure="config/ssh" id="ssh" title="SSH" fields=${(/** @type {any} */ v, /** @type {any} */ set) => html`
	<${Setting} label="My keys may log in" hint="The public keys of this machine’s user"><${Switch} label="My keys may log in" on=${v.autoAuthorizeHostKeys} set=${(/** @type {boolean} */ on) => set({ autoAuthorizeHostKeys: on })} says=${v.autoAuthorizeHostKeys ? "On" : "Off: only those chosen below"} /><//>
	<${Setting} label="Keys" hint="A key that is copied can be read by what runs in a workspace"><${Keys} v=${v} set=${set} /><//>`} />`;

export const Shell = () => html`<${Form} procedure="config/terminal" id="terminal" title="Terminal" ready=${(/** @type {any} */ v) => (v.preferredShell ? { preferredShell: v.preferredShell } : {})}
	fields=${(/** @type {any} */ v, /** @type {any} */ set) => html`<${Setting} label="Shell" hint="Where the workspace has it, else bash"><${Field} bare label="Shell" value=${v.preferredShell ?? ""} set=${(/** @type {string} */ preferredShell) => set({ preferredShell })} placeholder=${v.detectedShell ?? "/bin/bash"} mono /><//>`} />`;
