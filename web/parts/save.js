// Saving a setting: what it said, and signing in again where that was too long ago.
import { useState } from "preact/hooks";
import { html } from "../app/html.js";
import { RpcError, call } from "../app/rpc.js";
import { signIn } from "../app/session.js";
import { Dialog } from "./dialog.js";
import { Field } from "./field.js";

/** @param {{ done: () => void, close: () => void }} props */
function Again({ done, close }) {
	const [token, setToken] = useState(""), [problem, setProblem] = useState("");
	const submit = async () => {
		const why = await signIn(token.trim()).catch(() => "The agent does not answer.");
		setProblem(why);
		if (!why) done();
	};
	return html`<${Dialog} title="Is it still you?" close=${close} submit=${submit} footer=${html`<span class="grow"></span><button class="btn primary">Go on</button>`}>
		<p class="ink2">Settings take a sign-in of the last 15 minutes. perry open signs this browser in, too.</p>
		<${Field} label="Token" type="password" value=${token} set=${setToken} bad=${problem} focus /><//>`;
}

/**
 * @returns {{ run: (procedure: string, input?: any) => Promise<any>, said: any, problem: string, busy: boolean, clear: () => void }}
 * run: undefined where it failed, which is then shown; said: goes into the page
 */
export function useSaving() {
	const [problem, setProblem] = useState(""), [busy, setBusy] = useState(false), [again, setAgain] = useState(/** @type {{ go: () => void } | undefined} */ (undefined));
	const [saved, setSaved] = useState(false);
	/** @param {string} procedure @param {any} [input] @returns {Promise<any>} */
	const run = async (procedure, input) => {
		setBusy(true);
		setProblem("");
		setSaved(false);
		try {
			const answer = await call(procedure, input);
			setBusy(false);
			setSaved(true);
			setTimeout(setSaved, 4000, false);
			return answer ?? true;
		} catch (error) {
			setBusy(false);
			if (error instanceof RpcError && error.status === 403 && error.message.includes("sign in again"))
				return new Promise(resolve => setAgain({ go() {
					setAgain(undefined);
					resolve(run(procedure, input));
				} }));
			setProblem(/** @type {Error} */ (error).message);
			return undefined;
		}
	};
	return {
		run, problem, busy, clear: () => setProblem(""),
		said: html`${problem ? html`<p class="hint bad" role="alert">${problem}</p>` : html`<span role="status" class="small ok">${saved ? "Saved" : ""}</span>`}
			${again ? html`<${Again} done=${again.go} close=${() => setAgain(undefined)} />` : null}`,
	};
}
