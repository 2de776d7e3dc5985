// What a delete takes, and what stays.
import { useEffect, useState } from "preact/hooks";
import { bytes } from "../../app/format.js";
import { html } from "../../app/html.js";
import { call } from "../../app/rpc.js";
import { Dialog } from "../../parts/dialog.js";
import { Icon } from "../../parts/icon.js";

// In the workspace: each repository below its home, with what is nowhere else.
const look = `cd && find . -maxdepth 4 -name .git -prune 2>/dev/null | head -20 | while read -r g; do d=\${g%/.git}
c=$(git -C "$d" status --porcelain 2>/dev/null | wc -l); u=$(git -C "$d" log --branches --not --remotes --oneline 2>/dev/null | wc -l); s=$(git -C "$d" stash list 2>/dev/null | wc -l)
[ "$c$u$s" = 000 ] || echo "\${d#./}: $u not pushed, $c changed, $s stashed"; done`;

/** What its repositories have that is nowhere else, as the workspace says. @param {string} name @param {boolean} up */
function useUnsaved(name, up) {
	const [lines, setLines] = useState(/** @type {string[] | undefined} */ (undefined));
	useEffect(() => {
		if (up) call("workspaces/exec", { name, command: ["sh", "-c", look], timeout: 10000 }).then(({ stdout }) => setLines(String(stdout ?? "").split("\n").filter(Boolean).slice(0, 6).map(line => line.slice(0, 120))), () => {});
	}, [name]);
	return lines;
}

/** @param {{ w: import("../../app/store.js").Workspace, close: () => void, fail: (why: string) => void }} props */
export function Delete({ w, close, fail }) {
	const up = w.status === "running", unsaved = useUnsaved(w.name, up);
	const [keepHome, setKeepHome] = useState(false), [size, setSize] = useState("");
	useEffect(() => {
		call("workspaces/sizes").then(sizes => w.name in sizes && setSize(bytes(sizes[w.name])), () => {});
	}, [w.name]);
	const remove = () => {
		call("workspaces/delete", { name: w.name, keepHome }, { async: true }).catch(error => fail(error.message));
		close();
	};
	const said = !up ? ["It is stopped: nobody looked for what is not pushed"] : !unsaved ? ["looking for what is not pushed …"] : unsaved.length ? unsaved : ["everything in its repositories is pushed"];
	return html`<${Dialog} title="Delete ${w.name}?" close=${close} submit=${remove} footer=${html`
		<span class="grow"></span><button type="button" class="btn" autofocus onClick=${close}>Keep ${w.name}</button>
		<button class="btn danger">Delete ${w.name}</button>`}>
		<ul class="lost">
			<li class=${keepHome ? "keep" : ""}><${Icon} name=${keepHome ? "check" : "trash"} /><b>${keepHome ? "Its home stays" : "Its home is gone for good"}</b><span class="num muted">${size}</span><ul>${said.map(line => html`<li>${line}</li>`)}</ul></li>
			<li><${Icon} name="trash" /><b>Its container</b><span></span><ul><li>what was installed outside of the home, what runs</li></ul></li>
			${w.tailscale?.dnsName ? html`<li><${Icon} name="trash" /><b>Its device on the tailnet</b><span></span><ul><li>${w.tailscale.dnsName}</li></ul></li>` : null}
		</ul>
		<label class="check"><input type="checkbox" checked=${keepHome} onChange=${(/** @type {any} */ e) => setKeepHome(e.target.checked)} /><span>Keep the home for a workspace of the same name</span></label>
	<//>`;
}
