// Before the agent knows who looks: by link, or by token.
import { useState } from "preact/hooks";
import { html } from "../../app/html.js";
import { signIn } from "../../app/session.js";
import { connect, useStore } from "../../app/store.js";
import { Mark } from "../../parts/icon.js";

export function SignIn() {
	const { link } = useStore();
	const [token, setToken] = useState(""), [problem, setProblem] = useState(""), [busy, setBusy] = useState(false);
	/** @param {Event} event */
	const submit = async event => {
		event.preventDefault();
		setBusy(true);
		const why = await signIn(token.trim()).catch(() => "The agent does not answer.");
		setBusy(false);
		setProblem(why);
		if (!why) connect();
	};
	return html`<div class="gate"><main id="main">
		<${Mark} />
		<div><h1>Sign in</h1><p>${
			link === "refused"
				? "This device may not use this agent. Its owner admits it with perry access add, or with the token below."
				: "On the agent's machine perry open signs a browser in. Or paste the token that perry agent show-token prints."
		}</p></div>
		<form onSubmit=${submit}>
			<div class="field">
				<label for="token">Token</label>
				<div class="input ${problem ? "invalid" : ""}">
					<input id="token" type="password" autocomplete="current-password" required aria-describedby="why" value=${token} onInput=${(/** @type {any} */ e) => setToken(e.target.value)} />
				</div>
				<p class="hint bad" id="why" role="alert">${problem}</p>
			</div>
			<button class="btn primary" disabled=${busy}>${busy ? "Signing in" : "Sign in"}</button>
		</form>
	</main></div>`;
}
