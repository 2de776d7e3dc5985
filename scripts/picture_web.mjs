// docs/web-list.png and docs/web-phone.png: the pages of a real agent with the workspaces that scripts/picture.sh web starts.
import { PHONE, link, open, until } from "../tests/web/browser.mjs";

const OUT = new URL("../docs/", import.meta.url).pathname;

async function list() {
	const { browser, page } = await open({ size: { width: 1200, height: 640 } });
	await until("the rows", async () => (await page.getByText("worker", { exact: true }).count()) > 0);
	await page.waitForTimeout(30000); // the plots have a few samples by then
	await page.screenshot({ path: `${OUT}web-list.png`, animations: "disabled" });
	await browser.close();
}

async function phone() {
	const { browser, page } = await open({ size: PHONE, theme: "dark" });
	await page.goto(new URL("/w/web/terminal", await link()).href);
	await page.waitForSelector(".xterm-rows, .xterm-screen");
	await page.waitForTimeout(2500);
	await page.screenshot({ path: `${OUT}web-phone.png`, animations: "disabled" });
	await browser.close();
}

await list();
await phone();
