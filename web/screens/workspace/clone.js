// A copy of a workspace under another name.
import { useState } from "preact/hooks";
import { html } from "../../app/html.js";
import { mended, nameProblem } from "../../app/names.js";
import { go } from "../../app/router.js";
import { call } from "../../app/rpc.js";
import { useStore } from "../../app/store.js";
import { Dialog } from "../../parts/dialog.js";
import { Banner, Field } from "../../parts/field.js";

/** @param {{ w: import("../../app/store.js").Workspace, close: () => void }} props */
export function Clone({ w, close }) {
	const { workspaces } = useStore();
	const [name, setName] = useState(() => mended(w.name, workspaces)), [problem, fail] = useState(""), [busy, setBusy] = useState(false);
	const wrong = nameProblem(name, workspaces), ready = name && !wrong && !busy;
	const submit = async () => {
		if (!ready) return;
		setBusy(true);
		try {
			await call("workspaces/clone", { sourceName: w.name, cloneName: name }, { async: true });
			go(`/w/${name}`);
		} catch (error) {
			fail(/** @type {Error} */ (error).message);
			setBusy(false);
		}
	};
	return html`<${Dialog} title="Clone ${w.name}" close=${close} submit=${submit} footer=${html`<span class="grow"></span><button type="button" class="btn ghost" onClick=${close}>Cancel</button>
		<button class="btn primary" aria-disabled=${String(!ready)}>${busy ? "Cloning" : `Make ${wrong || !name ? "the clone" : name}`}<kbd>↵</kbd></button>`}>
		${problem ? html`<${Banner}>${problem}<//>` : null}
		<${Field} label="Name" value=${name} focus set=${setName} bad=${wrong} hint=${name && !wrong ? "Free" : "Small letters, digits and dashes"} />
		<p class="small ink2">It gets a copy of the home as it is now, and an address of its own. ${w.status === "running" ? `${w.name} stands still while its home is copied, and goes on then.` : ""} What was installed outside of the home is not copied.</p>
	<//>`;
}
