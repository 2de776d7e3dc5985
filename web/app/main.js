// The page: which screen, for whom.
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { SignIn } from "../screens/signin/signin.js";
import { List } from "../screens/list/list.js";
import { PhoneTerminal } from "../screens/workspace/phone.js";
import { WorkspacePage } from "../screens/workspace/workspace.js";
import { applyTheme } from "../parts/top.js";
import { html } from "./html.js";
import { later } from "./later.js";
import { usePath } from "./router.js";
import { takeKey } from "./session.js";
import { connect, useStore } from "./store.js";

const settings = () => later(() => import("../screens/settings/settings.js")).then(module => module.Settings);

const setup = () => later(() => import("../screens/setup/setup.js")).then(module => module.Setup);

/** A screen that comes when it is wanted. @param {{ from: () => Promise<any>, [more: string]: any }} props */
function Later({ from, ...props }) {
	const [Screen, setScreen] = useState(/** @type {any} */ (undefined)), [why, setWhy] = useState("");
	useEffect(() => void from().then(screen => setScreen(() => screen), () => setWhy("This part of the page could not be loaded. Reload the page.")), [from]);
	return Screen ? html`<${Screen} ...${props} />` : html`<main id="main" class="page">${why}</main>`;
}

function Page() {
	const { link } = useStore();
	const [at, name, part] = usePath();
	if (link === "signed-out" || link === "refused") return html`<${SignIn} />`;
	if (at === "w" && name && part === "terminal") return html`<${PhoneTerminal} key=${name} name=${name} />`;
	if (at === "w" && name) return html`<${WorkspacePage} key=${name} name=${name} />`;
	if (at === "setup") return html`<${Later} from=${setup} />`;
	if (at === "settings") return html`<${Later} from=${settings} at=${name ?? ""} />`;
	return html`<${List} making=${at === "new"} />`;
}

takeKey();
applyTheme();
connect();
if (navigator.serviceWorker) navigator.serviceWorker.register("/sw.js").catch(() => {}); // none over plain http from elsewhere
render(html`<${Page} />`, document.body);
