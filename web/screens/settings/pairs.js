// Names with values that every workspace gets: environment, and files of this machine.
import { useState } from "preact/hooks";
import { html } from "../../app/html.js";
import { Banner, Field } from "../../parts/field.js";
import { Icon } from "../../parts/icon.js";
import { useSaving } from "../../parts/save.js";
import { Section, useAnswer } from "./section.js";

const MASK = "********";

/**
 * Both halves of config/credentials: each keeps the other as it is.
 * @param {{ half: "env" | "files", id: string, title: string, lead: string, left: string, right: string, secret: boolean, problem: (name: string, value: string) => string, examples: [string, string] }} props
 */
function Pairs({ half, id, title, lead, left, right, secret, problem, examples }) {
	const [all, why, setAll] = useAnswer("config/credentials/get"), saving = useSaving();
	const [name, setName] = useState(""), [value, setValue] = useState(""), pairs = Object.entries(all?.[half] ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
	/** @param {(half: Record<string, string>) => Record<string, string>} change */
	const save = async change => {
		// An update replaces all: of what there is by now. What is masked stays what it was.
		const fresh = await saving.run("config/credentials/get");
		const answer = fresh && (await saving.run("config/credentials/update", { ...fresh, [half]: change(fresh[half]) }));
		if (answer) setAll(answer);
		return answer;
	};
	const add = async (/** @type {Event} */ event) => {
		event.preventDefault();
		if (name && value && !problem(name, value) && (await save(before => ({ ...before, [name]: value })))) {
			setName("");
			setValue("");
		}
	};
	const remove = (/** @type {string} */ gone) => save(before => Object.fromEntries(Object.entries(before).filter(([k]) => k !== gone)));
	const wrong = name && problem(name, value);
	return html`<${Section} id=${id} title=${title} lead=${lead}>
		${why ? html`<${Banner}>${why}<//>` : null}
		${pairs.length ? html`<table class="tbl"><thead><tr><th>${left}</th><th>${right}</th><th><span class="vh">Action</span></th></tr></thead><tbody>${pairs.map(([k, v]) => html`<tr key=${k}><td class="mono">${k}</td><td class="mono muted">${secret ? MASK : String(v)}</td>
			<td><button type="button" class="btn ghost icon" aria-label="Remove ${k}" disabled=${saving.busy} onClick=${() => remove(k)}><${Icon} name="trash" /></button></td></tr>`)}</tbody></table>` : all ? html`<div class="pad"><p class="small muted">None yet.</p></div>` : null}
		<form class="pad add" onSubmit=${add}><${Field} label=${left} value=${name} set=${setName} placeholder=${examples[0]} mono /><${Field} label=${right} type=${secret ? "password" : "text"} value=${value} set=${setValue} placeholder=${examples[1]} mono />
			<button class="btn" disabled=${!all || saving.busy || !name || !value || Boolean(wrong)}><${Icon} name="plus" />${all && name in all[half] ? "Replace" : "Add"}</button>
			<div class="full">${wrong ? html`<p class="hint bad">${wrong}</p>` : saving.said}</div></form>
	<//>`;
}

export const Environment = () => html`<${Pairs} half="env" id="environment" title="Environment" lead="Variables of every workspace. Values are written, never shown." left="Name" right="Value" secret=${true} examples=${["NPM_TOKEN", "its value"]}
	problem=${(/** @type {string} */ name) => (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) ? "" : "A name has letters, digits and _, and begins with none of the digits")} />`;
export const Files = () => html`<${Pairs} half="files" id="files" title="Files" lead="Copied from this machine into every workspace, at its start and on sync." left="In the workspace" right="On this machine" secret=${false} examples=${["~/.npmrc", "~/.npmrc"]}
	problem=${() => ""} />`;
