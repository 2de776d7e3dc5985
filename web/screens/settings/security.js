// Security: who may use the agent, and what this browser is signed in with.
import { useState } from "preact/hooks";
import { ago } from "../../app/format.js";
import { html } from "../../app/html.js";
import { signOut } from "../../app/store.js";
import { Copy } from "../../parts/copy.js";
import { Dialog } from "../../parts/dialog.js";
import { Banner, Field } from "../../parts/field.js";
import { useSaving } from "../../parts/save.js";
import { Section, Setting, useAnswer } from "./section.js";

export function Security() {
	const [access, why, setAccess] = useAnswer("access/list"), [auth] = useAnswer("config/auth/get"), saving = useSaving();
	const [login, setLogin] = useState(""), [asking, ask] = useState(false), [token, setToken] = useState("");
	const change = async (/** @type {string} */ procedure, /** @type {string} */ who) => {
		const answer = await saving.run(procedure, { login: who });
		if (answer) setAccess(answer);
		return answer;
	};
	const add = async (/** @type {Event} */ event) => {
		event.preventDefault();
		if (login.trim() && (await change("access/add", login.trim()))) setLogin("");
	};
	const generate = async () => {
		ask(false);
		const answer = await saving.run("config/auth/generate");
		if (answer) setToken(answer.token);
	};
	return html`<${Section} id="security" title="Security">
		${why ? html`<${Banner}>${why}<//>` : null}
		<${Setting} label="Who may use this agent" hint="Your own devices of the tailnet may without more ado">
			${access ? html`<ul class="people small">${access.owner ? html`<li><span>${access.owner}</span> <span class="muted">owner</span></li>` : null}${access.access.map((/** @type {string} */ who) => html`<li key=${who}><span class="cut">${who}</span> <button type="button" class="btn ghost tight" onClick=${() => change("access/remove", who)}>Remove</button></li>`)}</ul>` : null}
			<form class="btns nowrap" onSubmit=${add}><${Field} bare label="Login or tag" value=${login} set=${setLogin} placeholder="anna@example.com or tag:ci" /><button class="btn" disabled=${!login.trim() || saving.busy}>Let in</button></form>
		<//>
		${access?.devices.length ? html`<${Setting} label="Devices with the token" hint="What was given to them on it"><ul class="people small">${access.devices.map((/** @type {any} */ d) => html`<li key=${d.id}><span class="cut">${d.name ?? d.id}</span> <span class="muted">${d.login} ${d.at ? ago(d.at) : ""}</span> <button type="button" class="btn ghost tight" onClick=${() => change("access/remove", d.id)}>Forget</button></li>`)}</ul><//>` : null}
		<${Setting} label="Token" hint="A new one signs all browsers and clients out">
			${token ? html`<p class="small">The new token, shown this once:</p><${Copy} show text=${token}>${token}<//>` : html`<p class="small muted mono">${auth?.tokenPreview ?? (auth && !auth.hasToken ? "There is none: nobody is asked for one" : "")}</p>
			<div class="btns"><button type="button" class="btn danger-quiet" onClick=${() => ask(true)}>Make a new token…</button></div>`}
		<//>
		<${Setting} label="This browser" hint="Signed in for a week at most, 12 hours without a request"><div class="btns"><button type="button" class="btn" onClick=${signOut}>Sign out</button></div><//>
		<div class="pad tight">${saving.said}</div>
		${asking ? html`<${Dialog} title="Make a new token?" close=${() => ask(false)} submit=${generate} footer=${html`<span class="grow"></span><button type="button" class="btn" autofocus onClick=${() => ask(false)}>Keep the old one</button><button class="btn danger">Make a new token</button>`}><p class="ink2">All browsers and clients that use the old one are signed out, this one too. The new one is shown once; perry agent show-token prints it.</p><//>` : null}
	<//>`;
}
