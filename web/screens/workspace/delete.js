// What a delete takes, and what stays.
import { useState } from "preact/hooks";
import { html } from "../../app/html.js";
import { call } from "../../app/rpc.js";
import { Dialog } from "../../parts/dialog.js";
import { Icon } from "../../parts/icon.js";

/** @param {{ w: import("../../app/store.js").Workspace, close: () => void, fail: (why: string) => void }} props */
export function Delete({ w, close, fail }) {
	const [keepHome, setKeepHome] = useState(false);
	const remove = () => {
		call("workspaces/delete", { name: w.name, keepHome }, { async: true }).catch(error => fail(error.message));
		close();
	};
	return html`<${Dialog} title="Delete ${w.name}?" close=${close} footer=${html`
		<span class="grow"></span><button class="btn" autofocus onClick=${close}>Keep ${w.name}</button>
		<button class="btn danger" onClick=${remove}>Delete ${w.name}</button>`}>
		<ul class="lost">
			<li class=${keepHome ? "keep" : ""}><${Icon} name=${keepHome ? "check" : "trash"} /><b>${keepHome ? "Its home stays" : "Its home is gone for good"}</b><span></span><ul><li>what is not pushed, sessions of coding agents, databases</li></ul></li>
			<li><${Icon} name="trash" /><b>Its container</b><span></span><ul><li>what was installed outside of the home, what runs</li></ul></li>
			${w.tailscale?.dnsName ? html`<li><${Icon} name="trash" /><b>Its device on the tailnet</b><span></span><ul><li>${w.tailscale.dnsName}</li></ul></li>` : null}
		</ul>
		<label class="check"><input type="checkbox" checked=${keepHome} onChange=${(/** @type {any} */ e) => setKeepHome(e.target.checked)} /><span>Keep the home for a workspace of the same name</span></label>
	<//>`;
}
