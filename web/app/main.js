// The page: which screen, for whom.
import { render } from "preact";
import { SignIn } from "../screens/signin/signin.js";
import { List } from "../screens/list/list.js";
import { PhoneTerminal } from "../screens/workspace/phone.js";
import { WorkspacePage } from "../screens/workspace/workspace.js";
import { applyTheme } from "../parts/top.js";
import { html } from "./html.js";
import { usePath } from "./router.js";
import { takeKey } from "./session.js";
import { connect, useStore } from "./store.js";

function Page() {
	const { link } = useStore();
	const [at, name, part] = usePath();
	if (link === "signed-out" || link === "refused") return html`<${SignIn} />`;
	if (at === "w" && name && part === "terminal") return html`<${PhoneTerminal} key=${name} name=${name} />`;
	if (at === "w" && name) return html`<${WorkspacePage} key=${name} name=${name} />`;
	return html`<${List} making=${at === "new"} />`;
}

takeKey();
applyTheme();
connect();
render(html`<${Page} />`, document.body);
