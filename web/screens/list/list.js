// All workspaces: needs you, running, stopped.
import { useEffect, useState } from "preact/hooks";
import { ringing } from "../../app/bells.js";
import { count } from "../../app/format.js";
import { html } from "../../app/html.js";
import { go } from "../../app/router.js";
import { group, useStore } from "../../app/store.js";
import { Icon, Mark } from "../../parts/icon.js";
import { Tabs, Top } from "../../parts/top.js";
import { New } from "../new/new.js";
import { Row, actions, perform } from "./row.js";

const groups = /** @type {const} */ ([["you", "Needs you"], ["running", "Running"], ["stopped", "Stopped"]]);

/** @param {number} you @param {number} running @param {number} stopped */
function title(you, running, stopped) {
	if (you) return `${count(you, "workspace needs", "workspaces need")} you`;
	if (running) return `${count(running, "workspace runs", "workspaces run")}`;
	return stopped ? "Nothing runs" : "No workspaces yet";
}

/** @param {{ setUp: boolean | undefined }} props undefined: not known yet */
function Empty({ setUp }) {
	return html`<div class="empty"><${Mark} />
		<h1>No workspaces yet</h1>
		<p>A workspace is a container of its own, with a home that stays, an address on your tailnet and SSH.</p>
		<div class="btns"><a class="btn primary" href="/new"><${Icon} name="plus" />New workspace</a>${setUp !== false ? null : html`<a class="btn" href="/setup">Set Perry up</a>`}</div>
		<div class="or">or</div><code class="cmd">perry start web</code>
	</div>`;
}

/** @param {{ making?: boolean }} props making: the dialog of a new one stands before it */
export function List({ making }) {
	const { workspaces, operations, link, lostAt, loaded, host, setUp } = useStore();
	const [show, setShow] = useState("all"), [filter, setFilter] = useState(""), [at, setAt] = useState(0), [problem, fail] = useState("");
	const names = new Set([...workspaces.keys(), ...[...operations].filter(([, op]) => op.state === "failed" || op.state === "running").map(([name]) => name)]);
	const rows = [...names].map(name => ({ name, w: workspaces.get(name), op: operations.get(name) }));
	const of = (/** @type {string} */ g) =>
		rows.filter(({ name, w, op }) => group(w, op, ringing(name).length > 0) === g)
			.sort((a, b) => Date.parse(b.w?.lastUsed ?? b.w?.created ?? "") - Date.parse(a.w?.lastUsed ?? a.w?.created ?? "") || (a.name < b.name ? -1 : 1));
	const counts = { all: rows.length, you: of("you").length, running: of("running").length, stopped: of("stopped").length };
	const matches = (/** @type {typeof rows[0]} */ { name, w }) =>
		[name, w?.branch, w?.repo, ...(w?.listeners ?? []).flatMap(l => [String(l.port), l.process])].some(text => text?.toLowerCase().includes(filter.toLowerCase()));
	const shown = groups.filter(([g]) => show === "all" || show === g).map(([g, label]) => ({ g, label, rows: of(g).filter(matches) }));
	const flat = shown.flatMap(({ rows }) => rows);

	useEffect(() => {
		document.title = counts.you ? `(${counts.you}) Perry` : "Perry";
	});
	const move = (/** @type {number} */ by) => {
		const next = Math.max(0, Math.min(at + by, flat.length - 1));
		setAt(next);
		document.getElementById(`row-${flat[next]?.name}`)?.scrollIntoView({ block: "nearest" });
	};
	useEffect(() => {
		/** @param {KeyboardEvent} event */
		const key = event => {
			const filtering = event.target instanceof HTMLInputElement && event.target.id === "filter";
			if (filtering && event.key === "Escape") {
				setFilter("");
				event.target instanceof HTMLInputElement && event.target.blur();
			}
			if (making || event.ctrlKey || event.metaKey || event.altKey) return;
			const row = flat[at], typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
			const action = row && !typing && link === "live" && actions(row.name, row.w, row.op).find(({ key }) => key === event.key);
			if (event.key === "ArrowDown" || (event.key === "j" && !typing)) move(1);
			else if (event.key === "ArrowUp" || (event.key === "k" && !typing)) move(-1);
			else if (event.key === "Enter" && (event.target === document.body || filtering) && row) go(`/w/${row.name}`);
			else if (typing) return;
			else if (action) perform(row.name, action.procedure, action.input, fail);
			else if (event.key === "n") go("/new");
			else if (event.key === "/") {
				event.preventDefault();
				document.getElementById("filter")?.focus();
			}
		};
		addEventListener("keydown", key);
		return () => removeEventListener("keydown", key);
	});

	return html`<a class="skip" href="#main">Skip to the content</a><${Top} />
	<main id="main" class="page has-keys ${link === "lost" ? "stale" : ""}">
		${link === "lost" ? html`<div class="banner warn" role="status"><${Icon} name="warn" /><span class="grow"><strong>${host} does not answer${lostAt ? ` since ${new Date(lostAt).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}` : ""}.</strong> This is what it said last. It is tried again all the time.</span></div>` : null}
		${problem ? html`<div class="banner bad" role="alert"><${Icon} name="warn" /><span class="grow">${problem}</span><button class="btn ghost icon" aria-label="Close" onClick=${() => fail("")}><${Icon} name="close" /></button></div>` : null}
		${loaded && !rows.length ? html`<${Empty} setUp=${setUp} />` : html`
		<div class="head">
			<div class="grow"><h1>${loaded ? title(counts.you, counts.running, counts.stopped) : ""}</h1>
				<p class="sub num cut">${loaded ? `${count(rows.filter(({ w }) => w?.status === "running").length, "runs", "run")}, ${counts.stopped} stopped, on ${host}` : ""}</p></div>
			<div class="seg" role="group" aria-label="Show">${[["all", "All"], ...groups].map(([g, label]) =>
				html`<button aria-pressed=${String(show === g)} onClick=${() => setShow(g)}>${label} <span class="num">${counts[/** @type {"all"} */ (g)]}</span></button>`)}</div>
			<label class="input quiet"><span class="vh">Filter</span><${Icon} name="search" /><input id="filter" type="search" placeholder="Name, branch, port" value=${filter} onInput=${(/** @type {any} */ e) => setFilter(e.target.value)} /><kbd class="desk">/</kbd></label>
			<a class="btn primary" href="/new"><${Icon} name="plus" />New workspace<kbd>N</kbd></a>
		</div>
		${shown.filter(({ rows }) => rows.length).map(({ g, label, rows }) => html`<section class="group" key=${g}>
			<h2>${label}<span class="num">${rows.length}</span></h2>
			<ul class="rows ${g === "you" ? "you" : ""}">${rows.map(({ name, w, op }) =>
				html`<${Row} key=${name} name=${name} w=${w} op=${op} fail=${fail} selected=${flat[at]?.name === name} />`)}</ul>
		</section>`)}
		${loaded && rows.length && !flat.length ? html`<p class="muted">Nothing here is called “${filter}”.</p>` : null}`}
	</main>
	<footer class="keys" aria-label="Keys"><span><kbd>J</kbd><kbd>K</kbd>move</span><span><kbd>↵</kbd>open</span><span><kbd>S</kbd>start or stop</span><span><kbd>R</kbd>try again</span><span><kbd>N</kbd>new</span><span><kbd>/</kbd>filter</span></footer>
	<${Tabs} at="list" />
	${making ? html`<${New} />` : null}`;
}
