// A new workspace: its name checked while it is typed, and what it is made of.
import { useEffect, useState } from "preact/hooks";
import { html } from "../../app/html.js";
import { nameOf, nameProblem } from "../../app/names.js";
import { go } from "../../app/router.js";
import { call } from "../../app/rpc.js";
import { remember, useStore } from "../../app/store.js";
import { Dialog } from "../../parts/dialog.js";
import { Banner, Field, Lines, Switch } from "../../parts/field.js";
import { Icon } from "../../parts/icon.js";
import { environment } from "./environment.js";

const OFFERED = 6;

/** What the token of GitHub may see, by what is typed: asked for once, and by a text again only where that was not all. @param {string} search */
function useRepositories(search) {
	const [all, setAll] = useState(/** @type {{ repos: any[], hasMore: boolean }} */ ({ repos: [], hasMore: false })), [found, setFound] = useState(/** @type {any[]} */ ([])), [why, setWhy] = useState("");
	const typed = search.includes(":") ? "" : search.trim().toLowerCase();
	useEffect(() => {
		call("github/listRepos", { perPage: 100 }).then(setAll, error => setWhy(error.message));
	}, []);
	const here = all.repos.filter(r => String(r.fullName).toLowerCase().includes(typed));
	const ask = Boolean(typed && all.hasMore && here.length < OFFERED);
	useEffect(() => {
		setFound([]);
		if (!ask) return;
		let over = false;
		const timer = setTimeout(() => call("github/listRepos", { search: typed, perPage: OFFERED }).then(answer => over || setFound(answer.repos), error => over || setWhy(error.message)), 250);
		return () => {
			over = true;
			clearTimeout(timer);
		};
	}, [typed, ask]);
	return { repositories: search.includes(":") ? [] : (found.length > here.length ? found : here).slice(0, OFFERED), some: all.repos.length > 0, why };
}

/** @param {{ limits: any, image: string }} known */
const summary = ({ limits, image }) => [limits?.memory && `${limits.memory} of memory`, limits?.cpus && `${limits.cpus} CPUs`, image && `image ${image}`].filter(Boolean).join(", ");

export function New() {
	const { workspaces, limits } = useStore();
	const [name, setName] = useState(""), [named, setNamed] = useState(false), [repo, setRepo] = useState(""), [branch, setBranch] = useState("");
	const [more, setMore] = useState(/** @type {Record<string, string>} */ ({})), [docker, setDocker] = useState(false);
	const [problem, fail] = useState(""), [busy, setBusy] = useState(false);
	const { repositories, some, why } = useRepositories(repo);
	const env = environment(more.env ?? ""), wrong = nameProblem(name, workspaces);
	const set = (/** @type {string} */ key) => (/** @type {string} */ value) => setMore({ ...more, [key]: value });
	const takeRepo = (/** @type {string} */ url) => {
		setRepo(url);
		if (!named && /[/:]/.test(url)) setName(nameOf(url));
	};
	const cpus = Number(more.cpus), badCpus = more.cpus && !(cpus >= 0.01) ? "A number, such as 2 or 0.5" : "";
	const ready = name && !wrong && !env.problem && !badCpus && !busy;
	const submit = async () => {
		if (!ready) return;
		setBusy(true);
		fail("");
		const input = {
			name, ...(repo.trim() ? { clone: repo.trim() } : {}), ...(branch.trim() ? { branch: branch.trim() } : {}),
			...(more.image?.trim() ? { image: more.image.trim() } : {}), ...(more.memory?.trim() ? { memory: more.memory.trim() } : {}),
			...(more.cpus ? { cpus } : {}), ...(Object.keys(env.values).length ? { env: env.values } : {}), ...(docker ? { docker } : {}),
		};
		try {
			await call("workspaces/create", input, { async: true });
			remember(name, input);
			go(`/w/${name}`);
		} catch (error) {
			fail(/** @type {Error} */ (error).message);
			setBusy(false);
		}
	};
	return html`<${Dialog} title="New workspace" close=${() => go("/")} submit=${submit} footer=${html`
		<p class="hint tiny"></p><button type="button" class="btn ghost" onClick=${() => go("/")}>Cancel</button>
		<button class="btn primary" aria-disabled=${String(!ready)}>${busy ? "Creating" : `Create ${wrong || !name ? "workspace" : name}`}<kbd>↵</kbd></button>`}>
		${problem ? html`<${Banner}>${problem}<//>` : null}
		<${Field} label="Name" value=${name} focus set=${(/** @type {string} */ v) => (setName(v), setNamed(v !== ""))} bad=${wrong}
			hint=${name && !wrong ? html`Free. Its home, its address and SSH are called so` : "Small letters, digits and dashes"} />
		<${Field} label=${html`Repository <span class="muted">(optional)</span>`} value=${repo} set=${takeRepo} icon="branch" placeholder=${some ? "Search yours, or paste a URL" : "https://github.com/you/app"}
			bad=${/^https?:\/\/[^/]*@/.test(repo) ? "A password in it would be kept for everybody to read. GitHub's token belongs into the settings" : undefined} />
		${why ? html`<p class="hint tiny bad">Your repositories: ${why}</p>` : null}
		${repositories.length ? html`<ul class="pick" aria-label="Your repositories">${repositories.map(r => html`<li key=${r.fullName ?? r.cloneUrl}><button type="button" class="pickbtn cut grow" onClick=${() => takeRepo(r.cloneUrl)}>${r.fullName ?? r.name}</button>${r.private ? html`<span class="tag"><${Icon} name="lock" />private</span>` : null}</li>`)}</ul>` : null}
		<${Field} label=${html`Branch <span class="muted">(optional)</span>`} value=${branch} set=${setBranch} placeholder="the repository's own" />
		<details class="fold"><summary><${Icon} name="chev" />Options<span class="muted grow cut">${summary({ limits, image: more.image ?? "" })}</span></summary>
			<div class="two">
				<${Field} label="Memory" value=${more.memory ?? ""} set=${set("memory")} placeholder=${String(limits?.memory ?? "4g")} hint="Such as 4g or 512m" />
				<${Field} label="CPUs" value=${more.cpus ?? ""} set=${set("cpus")} placeholder=${String(limits?.cpus ?? "all")} bad=${badCpus} hint="" />
			</div>
			<${Field} label="Image" value=${more.image ?? ""} set=${set("image")} placeholder="as configured" mono />
			<${Lines} label="Environment" value=${more.env ?? ""} set=${set("env")} placeholder="NAME=value" bad=${env.problem} hint="A line each. No secrets: they belong into the settings" />
			<div class="check"><${Switch} label="Docker inside" on=${docker} set=${setDocker} says="Docker inside. Refused where the engine cannot keep it apart from this machine" /></div>
		</details>
	<//>`;
}
