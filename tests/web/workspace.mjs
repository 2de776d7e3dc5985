// A workspace's page and its terminal.
import assert from "node:assert/strict";
import { axe, look, lookAll, open, ORIGIN, PHONE, rpc, run, test, TOKEN, until } from "./browser.mjs";

const screen = page => page.locator(".xterm-rows").innerText().catch(() => "");
const shows = (page, pattern) => until(String(pattern), async () => pattern.test((await screen(page)).replace(/\u00a0/g, " ")));
/** The page of the workspace wt1, whose terminal has a prompt. */
async function openTerminal(how) {
	await rpc("workspaces/start", { name: "wt1" });
	const it = await open(how);
	await it.page.goto(`${ORIGIN}/w/wt1`);
	await shows(it.page, /\$ /);
	return it;
}

test("terminal", async () => {
	const { page, faults } = await openTerminal();
	await page.keyboard.type("echo $((6*7))-typed\n");
	await shows(page, /42-typed/);
	// The size follows the window.
	const size = () => page.locator(".foot").innerText();
	const before = await size();
	await page.setViewportSize({ width: 1300, height: 700 });
	await until("another size", async () => (await size()) !== before);
	const [cols, rows] = (await size()).match(/(\d+) × (\d+)/).slice(1);
	await page.keyboard.type("stty size\n");
	await shows(page, new RegExp(`${rows} ${cols}`));
	// Paste, several lines: the shell gets them bracketed, and runs nothing yet.
	await page.evaluate(() => {
		const data = new DataTransfer();
		data.setData("text/plain", "echo pas''ted");
		document.activeElement.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
	});
	await shows(page, /echo pas''ted/);
	await page.keyboard.press("Enter");
	await shows(page, /^pasted/m);
	// What is printed is never markup, and a title is text.
	await page.keyboard.type("printf '\\033]0;<img src=x onerror=alert(1)>\\007<script>alert(1)</script>\\n\\033[38;2;200;100;50mcoloured\\033[0m\\n'\n");
	await shows(page, /^<script>alert\(1\)<\/script>/m);
	await shows(page, /^coloured/m);
	assert.equal(await page.evaluate(() => [...document.querySelectorAll(".xterm-rows span")].find(s => s.textContent === "coloured").style.color), "rgb(200, 100, 50)");
	// Find.
	await page.keyboard.press("Control+Shift+f");
	await page.getByLabel("Find in the terminal").fill("pasted");
	await page.keyboard.press("Escape");
	await page.keyboard.type("exit\n");
	await page.locator(".foot", { hasText: "exited" }).waitFor();
	assert.deepEqual(faults, []);
});

test("links", async () => {
	const { openable } = await import("../../web/terminal/links.js");
	assert.equal(openable("http://localhost:5173/a?b#c", "web"), "http://web:5173/a?b#c");
	assert.equal(openable("http://127.0.0.1:80", "web"), "http://web/");
	assert.equal(openable("http://0.0.0.0:3000/", "web"), "http://web:3000/");
	assert.equal(openable("http://[::1]:3000/", "web"), "http://web:3000/");
	assert.equal(openable("http://localhost:5173/", ""), "");
	assert.equal(openable("https://example.com/x", "web"), "https://example.com/x");
	for (const bad of ["javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", "nothing"]) assert.equal(openable(bad, "web"), "");
	// Without a tailnet a click says how to get there.
	const { page, faults } = await openTerminal();
	await page.keyboard.type("clear; echo http://localhost:5173/x\n");
	await shows(page, /^http:\/\/localhost:5173\/x/m);
	const at = await page.locator(".xterm-rows > div", { hasText: /^http/ }).first().boundingBox();
	await until("the link to be one", async () => {
		await page.mouse.move(at.x + 40, at.y + at.height / 2);
		await page.mouse.move(at.x + 44, at.y + at.height / 2);
		await page.mouse.click(at.x + 42, at.y + at.height / 2);
		return /perry proxy wt1/.test(await page.locator(".foot").innerText());
	});
	assert.deepEqual(faults, []);
});

test("agent away", async () => {
	const { page, faults } = await openTerminal();
	await page.keyboard.type("echo be''fore\n");
	await shows(page, /^before/m);
	process.kill(Number(process.env.AGENT_PID), "SIGKILL");
	await page.locator(".foot", { hasText: "No connection" }).waitFor();
	await page.getByText("The agent does not answer").waitFor();
	await axe(page);
	await page.screenshot({ path: `${process.env.SHOTS}/workspace-away-desk-light.png` });
	console.log("AWAY"); // the test starts it again
	await page.waitForTimeout(100);
	for await (const _ of process.stdin) break;
	await page.evaluate(() => window.dispatchEvent(new Event("online")));
	// What signed a browser in is gone with the agent that knew it.
	await page.getByLabel("Token").fill(TOKEN);
	await page.keyboard.press("Enter");
	await page.locator(".live", { hasText: "live" }).waitFor();
	await until("the shell", async () => {
		if (/^after/m.test(await screen(page))) return true;
		await page.keyboard.type("echo af''ter\n");
		await page.waitForTimeout(500);
	});
	assert.deepEqual(faults, []);
});

test("looks", async () => {
	await rpc("workspaces/start", { name: "wt1" });
	await rpc("workspaces/exec", { name: "wt1", command: ["sh", "-c", `perl -MSocket -e 'socket(S,PF_INET,SOCK_STREAM,0); bind(S,sockaddr_in(5173,INADDR_ANY)); listen(S,5); sleep 1000' >/dev/null 2>&1 &`] });
	await lookAll("workspace", async (page, { size }) => {
		await page.goto(`${ORIGIN}/w/wt1`);
		await page.locator(".pr", { hasText: "5173" }).waitFor();
		await page.locator(".why li").first().waitFor();
		if (size !== PHONE) await shows(page, /\$ /);
	});
	await rpc("workspaces/stop", { name: "wt1" });
	await lookAll("workspace-stopped", async page => {
		await page.goto(`${ORIGIN}/w/wt1`);
		await page.getByText("Its home stays as it is.").waitFor();
	});
});

test("phone", async () => {
	const { page, faults } = await open({ size: PHONE });
	await rpc("workspaces/start", { name: "wt1" });
	await page.goto(`${ORIGIN}/w/wt1`);
	await page.getByRole("link", { name: "Terminal" }).click();
	await shows(page, /\$ /);
	await page.locator(".xterm-helper-textarea").focus();
	await page.keyboard.type("sleep 1000\n");
	await page.getByRole("button", { name: /^ctrl/ }).click();
	await page.keyboard.type("c");
	await shows(page, /\^C/);
	await page.keyboard.type("echo a''b\n");
	await shows(page, /^ab/m);
	await page.getByRole("button", { name: /^↑/ }).click();
	await page.keyboard.press("Enter");
	await until("twice", async () => (await screen(page)).match(/^ab/gm)?.length === 2);
	const keys = await page.locator(".krow").boundingBox();
	assert.ok(keys.y + keys.height <= PHONE.height + 1, "the keys are on the screen");
	await look(page, "terminal-phone-dark");
	assert.deepEqual(faults, []);
});

test("logs", async () => {
	await rpc("workspaces/start", { name: "wt1" });
	const { page, faults } = await open();
	await page.goto(`${ORIGIN}/w/wt1`);
	await page.getByRole("button", { name: "Open" }).click();
	await rpc("workspaces/exec", { name: "wt1", command: ["sudo", "sh", "-c", "echo '<b>from inside</b>' >/proc/1/fd/1"] });
	await page.locator(".logs pre", { hasText: "<b>from inside</b>" }).waitFor();
	assert.deepEqual(faults, []);
});

await run();
