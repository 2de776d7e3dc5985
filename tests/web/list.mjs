// The list of workspaces, and what is done from it.
import assert from "node:assert/strict";
import { open, look, lookAll, link, ORIGIN, rpc, run, test, TOKEN, until } from "./browser.mjs";

const row = (page, name) => page.locator(`#row-${name}`);
const says = (page, name, text) => row(page, name).locator(".words", { hasText: text }).waitFor();
/** Calls of the API, not the stream that stays open. */
const calls = requests => requests.filter(url => url.pathname.startsWith("/rpc/")).length;

test("sign-in by token", async () => {
	const { page, context, faults, requests } = await open({ signedIn: false });
	await page.goto(`${ORIGIN}/w/web`);
	await page.getByLabel("Token").fill("wrong");
	await page.keyboard.press("Enter");
	await page.getByText("That is not the token").waitFor();
	await page.getByLabel("Token").fill(TOKEN);
	await page.keyboard.press("Enter");
	await page.locator(".wsbar h1", { hasText: "web" }).waitFor(); // where one wanted to go
	for (const url of requests) assert.ok(!url.href.includes(TOKEN), url.href);
	const { kept, seen } = await page.evaluate(() => ({ kept: { ...localStorage }, seen: document.cookie + JSON.stringify({ ...sessionStorage }) }));
	assert.deepEqual(Object.keys(kept), ["perry.session"]);
	assert.equal(seen, "{}");
	assert.ok(kept["perry.session"] !== TOKEN);
	const cookies = await context.cookies();
	assert.deepEqual(cookies.map(c => [c.httpOnly, c.sameSite]), [[true, "Strict"]]);
	// Neither half alone is a session.
	await page.evaluate(() => localStorage.clear());
	await page.reload();
	await page.getByLabel("Token").waitFor();
	assert.deepEqual(faults, []);
});

test("sign-in by link", async () => {
	const { page, faults } = await open({ signedIn: false }), once = await link();
	await page.goto(once);
	await page.locator(".top").waitFor();
	assert.equal(page.url(), `${ORIGIN}/`);
	const second = await open({ signedIn: false });
	await second.page.goto(once);
	await second.page.getByText("This link was used already").waitFor();
	assert.deepEqual(faults, []);
});

test("dropped", async () => {
	const { page, context } = await open({ signedIn: false }), dropped = new Set();
	// A module of the first picture, a part that comes later, and calls: each once.
	await context.route(/app\/store\.js|settings\/settings\.js|rpc\/workspaces\/list|\/events\?|rpc\/config\/tailscale\/get|rpc\/tailnet\/status/, route => {
		const { pathname } = new URL(route.request().url()), name = pathname.split("/").pop() ?? "";
		if (dropped.has(name)) return route.continue();
		dropped.add(name);
		return route.abort("internetdisconnected");
	});
	await page.goto(await link());
	await page.getByText("No workspaces yet").waitFor();
	await page.locator(".live", { hasText: "live" }).waitFor();
	await page.goto(`${ORIGIN}/settings`);
	await page.getByRole("heading", { name: "Environment" }).waitFor();
	await page.locator("#networking").getByText("There is none yet").waitFor();
	assert.deepEqual([...dropped].sort(), ["events", "get", "list", "settings.js", "status", "store.js"]);
});

test("no workspaces", async () => {
	await lookAll("signin", async page => {
		await page.goto(ORIGIN);
		await page.getByLabel("Token").waitFor();
	}, { signedIn: false });
	await lookAll("list-none", page => page.getByText("No workspaces yet").waitFor());
});

test("life from the page", async () => {
	const { page, faults } = await open();
	await page.getByText("No workspaces yet").waitFor();
	await page.keyboard.press("n");
	await page.getByLabel("Name", { exact: true }).fill("My App");
	await page.getByText("It has capitals and a space. my-app is free.").waitFor();
	await page.getByLabel("Name", { exact: true }).fill("lf1");
	await page.getByText("Free.").waitFor();
	await page.keyboard.press("Enter");
	await page.waitForURL(`${ORIGIN}/w/lf1`);
	await page.locator(".state", { hasText: "Running" }).waitFor();
	await page.goto(ORIGIN);
	await says(page, "lf1", "Running");
	await page.keyboard.press("s");
	await says(page, "lf1", "Stopped");
	await page.keyboard.press("s");
	await says(page, "lf1", "Running");
	await page.keyboard.press("Enter");
	await page.getByRole("button", { name: "Restart" }).click();
	await page.locator(".state", { hasText: "Restarting" }).waitFor();
	await page.locator(".state", { hasText: "Running" }).waitFor();
	await page.getByRole("button", { name: "Delete lf1…" }).click();
	await page.locator("dialog:modal").waitFor();
	assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Keep lf1");
	await page.getByText("everything in its repositories is pushed").waitFor();
	await look(page, "delete-desk-light");
	await page.keyboard.press("Escape");
	await page.locator("dialog").waitFor({ state: "detached" });
	await page.getByRole("button", { name: "Delete lf1…" }).click();
	await page.getByRole("button", { name: "Delete lf1", exact: true }).click();
	await page.getByText("No workspaces yet").waitFor();
	assert.deepEqual(await rpc("workspaces/list"), []);
	assert.deepEqual(faults, []);
});

test("a failure", async () => {
	const { page, faults } = await open();
	await page.goto(`${ORIGIN}/new`);
	await page.getByLabel("Name", { exact: true }).fill("fl1");
	await page.getByLabel("Repository").fill("http://127.0.0.1:9/nobody/there.git");
	await page.keyboard.press("Enter");
	await page.locator(".progress h2", { hasText: "failed" }).waitFor();
	assert.match(await page.locator(".progress .err").first().textContent(), /127\.0\.0\.1|clone|repository/);
	await look(page, "start-failed-desk-light");
	await page.goto(ORIGIN);
	await row(page, "fl1").waitFor();
	await page.getByText("1 workspace needs you").waitFor();
	assert.equal(await page.title(), "(1) Perry");
	await look(page, "list-failed-desk-light");
	// What the agent refuses at once is said in the dialog.
	await page.goto(`${ORIGIN}/new`);
	await page.getByLabel("Name", { exact: true }).fill("fl2");
	await page.getByLabel("Repository").fill("https://me:secret@example.com/x.git");
	await page.keyboard.press("Enter");
	await page.locator("dialog .banner").waitFor();
	assert.match(await page.locator("dialog .banner").textContent(), /^clone: .*password/);
	assert.deepEqual(faults, []);
});

test("live without asking", async () => {
	await rpc("workspaces/start", { name: "lv1" });
	const { page, faults, requests } = await open();
	await says(page, "lv1", "Running");
	await until("the page to have asked all", async () => {
		const before = calls(requests);
		await page.waitForTimeout(1000);
		return calls(requests) === before;
	});
	const before = calls(requests);
	await page.waitForTimeout(12000);
	assert.equal(calls(requests), before, "a page that nobody touches asks nothing");
	await rpc("workspaces/stop", { name: "lv1" });
	await says(page, "lv1", "Stopped");
	await rpc("workspaces/start", { name: "lv2" });
	await says(page, "lv2", "Running");
	await rpc("workspaces/delete", { name: "lv1" });
	await row(page, "lv1").waitFor({ state: "detached" });
	assert.equal(requests.filter(url => url.pathname === "/rpc/workspaces/list").length, 1);
	await rpc("workspaces/delete", { name: "lv2" });
	assert.deepEqual(faults, []);
});

test("hostile text", async () => {
	const markup = "<img src=x onerror=alert(1)><b>bold</b>";
	await rpc("workspaces/start", { name: "hs1", labels: { note: markup } });
	// What listens calls itself by markup: the name of a process has 15 bytes.
	await rpc("workspaces/exec", { name: "hs1", command: ["sh", "-c", `cp /usr/bin/perl ~/'<b>x<i>'; ~/'<b>x<i>' -MSocket -e 'socket(S,PF_INET,SOCK_STREAM,0); bind(S,sockaddr_in(5173,INADDR_ANY)); listen(S,5); sleep 1000' >/dev/null 2>&1 &`] });
	const { page, faults } = await open();
	await row(page, "hs1").locator(".port", { hasText: "<b>x<i>" }).waitFor();
	await page.goto(`${ORIGIN}/w/hs1`);
	await page.locator(".pr", { hasText: "<b>x<i>" }).waitFor();
	await page.goto(`${ORIGIN}/w/%3Cimg%20src=x%20onerror=alert(1)%3E`);
	await page.getByText("There is no workspace called <img").waitFor();
	assert.deepEqual(faults, []);
});

test("fifty", async () => {
	const { page, faults } = await open();
	await until("fifty rows", async () => (await page.locator(".row").count()) === 50);
	await page.keyboard.press("/");
	await page.keyboard.type("ff3");
	await until("eleven rows", async () => (await page.locator(".row").count()) === 11);
	const name = await page.locator(".row .c-name a").nth(1).textContent();
	await page.keyboard.press("ArrowDown");
	await page.locator(`#row-${name}.sel`).waitFor();
	await page.keyboard.press("Enter");
	await page.waitForURL(`${ORIGIN}/w/${name}`);
	await page.goBack();
	await page.locator(".row").first().waitFor();
	await page.getByRole("button", { name: /^Running/ }).click();
	await until("all but one", async () => (await page.locator(".row").count()) === 49);
	assert.deepEqual(faults, []);
	await lookAll("list-fifty", p => p.locator(".row").first().waitFor());
	await lookAll("new", async p => {
		await p.goto(`${ORIGIN}/new`);
		await p.getByLabel("Name", { exact: true }).fill("ff1");
		await p.getByText("There is a ff1 already").waitFor();
	});
});

await run();
