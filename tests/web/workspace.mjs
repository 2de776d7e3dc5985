// A workspace's page and its terminal.
import assert from "node:assert/strict";
import { axe, look, lookAll, open, ORIGIN, PHONE, rpc, run, test, until } from "./browser.mjs";

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
	await page.keyboard.type("exit 3\n");
	await page.locator(".foot", { hasText: "It has ended with code 3" }).waitFor();
	await page.getByRole("button", { name: "New terminal" }).last().click();
	await shows(page, /\$ /);
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
	await page.keyboard.type("kept=one; echo be''fore\n");
	await shows(page, /^before/m);
	process.kill(Number(process.env.AGENT_PID), "SIGKILL");
	await page.locator(".foot", { hasText: "No connection" }).waitFor();
	await page.getByText("The agent does not answer").waitFor();
	assert.deepEqual(await axe(page), []);
	await page.screenshot({ path: `${process.env.SHOTS}/workspace-away-desk-light.png` });
	console.log("AWAY"); // the test starts it again
	await page.waitForTimeout(100);
	for await (const _ of process.stdin) break;
	await page.evaluate(() => window.dispatchEvent(new Event("online")));
	// The browser is signed in still, and the shell is the one that there was, with its screen.
	await page.locator(".live", { hasText: "live" }).waitFor();
	await page.locator(".foot", { hasText: "No connection" }).waitFor({ state: "detached" });
	await shows(page, /^before/m);
	await page.keyboard.type("echo $kept-af''ter\n");
	await shows(page, /^one-after/m);
	assert.deepEqual(faults, []);
});

const tab = (page, name) => page.getByRole("tab", { name });

test("sessions", async () => {
	const { page, faults } = await openTerminal();
	await tab(page, /./).waitFor();
	assert.equal(await tab(page, /./).count(), 1, "the page began one");
	await page.keyboard.type("kept=here; echo ki''nd\n");
	await shows(page, /^kind/m);
	// Another one, named by a double click.
	await page.getByRole("button", { name: "New terminal" }).click();
	await until("two tabs", async () => (await tab(page, /./).count()) === 2);
	await shows(page, /\$ /);
	assert.doesNotMatch(await screen(page), /kind/);
	await page.locator(".tab[aria-selected=true]").dblclick();
	await page.getByLabel("Name", { exact: true }).fill("<b>tests</b>");
	await page.keyboard.press("Enter");
	await tab(page, "<b>tests</b>").waitFor();
	// A bell in it while the other one is looked at.
	await page.locator(".xterm-helper-textarea").focus();
	await page.keyboard.type("read line; printf '\\a'; sleep 1000\n");
	await page.keyboard.press("Enter");
	await page.locator("[aria-selected=true] .g-work").waitFor();
	await page.keyboard.press("Control+c");
	await shows(page, /\^C/);
	await page.keyboard.type("sleep 2; printf '\\a'; sleep 1000\n");
	await page.locator(".tab[aria-selected=false]").click();
	await shows(page, /^kind/m);
	await page.locator(".tab .g-you").waitFor();
	await page.goto(ORIGIN);
	await page.locator("#row-wt1 .words", { hasText: "<b>tests</b> rang" }).waitFor();
	await page.locator("#row-wt1 .words", { hasText: "2 terminals: sleep" }).waitFor();
	await page.getByText("1 workspace needs you").waitFor();
	await look(page, "list-rang-desk-light");
	// The page comes back to what was typed in last; looked at, it no longer wants anybody.
	await page.goto(`${ORIGIN}/w/wt1`);
	await page.locator("[aria-selected=true]", { hasText: "<b>tests</b>" }).waitFor();
	await shows(page, /sleep 1000/);
	await until("nothing that rang", async () => (await page.locator(".tab .g-you").count()) === 0);
	await look(page, "workspace-tabs-desk-light");
	// Something runs in it: its end asks.
	await page.getByRole("button", { name: "Manage <b>tests</b>" }).click();
	await page.getByRole("button", { name: "End", exact: true }).click();
	await page.getByText("runs in it, and ends with it.").waitFor();
	await look(page, "terminal-end-desk-light");
	await page.getByRole("button", { name: "End sleep" }).click();
	await page.locator(".foot", { hasText: "It has ended" }).waitFor();
	await until("one tab", async () => (await tab(page, /./).count()) === 1);
	await tab(page, /./).click();
	await shows(page, /^kind/m);
	await page.locator(".xterm-helper-textarea").focus();
	await page.keyboard.type("echo $kept-a''gain\n");
	await shows(page, /^here-again/m);
	assert.deepEqual(faults, []);
});

test("two viewers", async () => {
	const a = await openTerminal(), b = await open({ size: { width: 1300, height: 600 } });
	await b.page.goto(`${ORIGIN}/w/wt1`);
	await shows(b.page, /\$ /);
	const size = page => page.locator(".foot").innerText().then(text => text.match(/(\d+) × (\d+)/).slice(1).map(Number));
	for (const [one, other, word] of [[a.page, b.page, "first"], [b.page, a.page, "second"], [a.page, b.page, "third"]]) {
		await one.locator(".xterm-helper-textarea").focus();
		await one.keyboard.type(`clear; echo ${word}-$(stty size | tr ' ' x)\n`);
		await shows(other, new RegExp(`^${word}-`, "m"));
		await shows(one, new RegExp(`^${word}-`, "m"));
		const [, rows, cols] = new RegExp(`^${word}-(\\d+)x(\\d+)`, "m").exec(await screen(one));
		await until("both have its size", async () => [await size(one), await size(other)].every(s => s[0] === Number(cols) && s[1] === Number(rows)));
		const room = await one.evaluate(() => document.querySelector(".xt").classList.contains("foreign"));
		assert.ok(!room, "who types has a terminal that fits");
	}
	// One that only looks types nothing.
	await b.page.getByRole("button", { name: /^Manage/ }).click();
	await b.page.getByLabel(/^Only look/).check();
	await b.page.keyboard.press("Escape");
	await b.page.locator(".foot", { hasText: "look only" }).waitFor();
	await shows(b.page, /^third-/m);
	await b.page.locator(".xterm-helper-textarea").focus();
	await b.page.keyboard.type("echo never\n");
	await a.page.locator(".xterm-helper-textarea").focus();
	await a.page.keyboard.type("echo la''st\n");
	await shows(b.page, /^last/m);
	assert.doesNotMatch(await screen(b.page), /never/);
	assert.deepEqual([...a.faults, ...b.faults], []);
});

test("full screen", async () => {
	const { page, faults } = await openTerminal();
	await page.keyboard.type("echo under''neath; seq 100 >n; PS1='$ '; vi n || less n\n");
	await shows(page, /^20$/m);
	await page.keyboard.press("G");
	await shows(page, /^100$/m);
	const before = await screen(page);
	await page.reload();
	await shows(page, /^100$/m);
	assert.equal((await screen(page)).trimEnd(), before.trimEnd());
	await page.locator(".xterm-helper-textarea").focus();
	await page.keyboard.type("gg");
	await shows(page, /^20$/m);
	await page.keyboard.type("q");
	await page.keyboard.type(":q!\n");
	await shows(page, /^underneath/m);
	assert.deepEqual(faults, []);
});

test("ten megabytes", async () => {
	const { page, faults } = await openTerminal();
	await page.keyboard.type("clear; seq 1600000; echo do''ne\n");
	await shows(page, /^\d{4,}$/m);
	// The page does what it is asked meanwhile.
	await page.getByRole("button", { name: /^Manage/ }).click();
	await page.locator("dialog:modal").waitFor();
	await page.keyboard.press("Escape");
	await shows(page, /^1599999\n1600000\ndone$/m);
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

test("clone", async () => {
	await rpc("workspaces/start", { name: "wt1" });
	await rpc("workspaces/exec", { name: "wt1", command: ["sh", "-c", "echo mine >~/kept"] });
	const { page, faults } = await open();
	await page.goto(`${ORIGIN}/w/wt1`);
	await page.getByRole("button", { name: "Clone wt1…" }).click();
	assert.equal(await page.getByLabel("Name").inputValue(), "wt1-2"); // a free one
	await page.getByLabel("Name").fill("wt1");
	await page.getByText("There is a wt1 already").waitFor();
	await page.getByLabel("Name").fill("wt9");
	await look(page, "clone-desk-light");
	await page.keyboard.press("Enter");
	await page.waitForURL(`${ORIGIN}/w/wt9`);
	await page.locator(".state", { hasText: "Running" }).waitFor();
	assert.equal((await rpc("workspaces/exec", { name: "wt9", command: ["sh", "-c", "cat ~/kept"] })).stdout, "mine\n");
	await rpc("workspaces/delete", { name: "wt9" });
	assert.deepEqual(faults, []);
});

test("resources", async () => {
	await rpc("workspaces/start", { name: "wt1" });
	await rpc("workspaces/exec", { name: "wt1", command: ["sh", "-c", "timeout 100 perl -e '1 while 1' >/dev/null 2>&1 &"] });
	const { page, faults, requests } = await open();
	const asked = () => requests.filter(url => url.pathname === "/events" && url.search === "?stats=only").length;
	await until("a plot of what computes", async () => {
		const points = await page.locator("#row-wt1 .spark polyline").getAttribute("points", { timeout: 500 }).catch(() => null);
		return points && Number((await page.locator("#row-wt1 .c-res .num span").first().textContent()).replace(" %", "")) > 5;
	});
	assert.match(await page.locator("#row-wt1 .c-res .num span").last().textContent(), /^[\d.]+ (kB|MB|GB)$/);
	await look(page, "list-resources-desk-light");
	await page.locator("#row-wt1 .c-name a").click();
	await page.locator(".resrow", { hasText: "CPU" }).locator("polyline").waitFor();
	assert.equal(asked(), 1, "the same stream serves the next screen");
	// Where nobody looks nothing is asked for.
	const { readFileSync, readdirSync } = await import("node:fs"), tasks = `/proc/${process.env.AGENT_PID}/task`;
	const comm = task => {
		try {
			return readFileSync(`${tasks}/${task}/comm`, "utf8");
		} catch {
			return ""; // it has just ended
		}
	};
	const threads = () => readdirSync(tasks).filter(task => comm(task) === "stats\n").length;
	assert.equal(threads(), 1);
	await page.goto(`${ORIGIN}/settings`);
	await until("nobody to sample for", () => threads() === 0);
	assert.deepEqual(faults, []);
});

/** Lets go of files over an element, as a drag from the desktop ends. */
const drop = (page, where, files) => page.evaluate(({ where, files }) => {
	const data = new DataTransfer();
	for (const { name, text } of files) data.items.add(new File([text], name));
	const at = document.querySelector(where);
	for (const type of ["dragenter", "dragover", "drop"]) at.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
}, { where, files });

test("terminal files", async () => {
	const { page, faults } = await openTerminal();
	await page.keyboard.type("clear; rm -rf uploads\n");
	await drop(page, ".xterm", [{ name: "a b.png", text: "picture" }]);
	await shows(page, /'\/home\/workspace\/uploads\/a b\.png'/);
	await page.evaluate(() => {
		const data = new DataTransfer();
		data.items.add(new File(["more"], "more.txt"));
		document.activeElement.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
	});
	await shows(page, /\/uploads\/more\.txt/);
	// The paths are words of what is being typed.
	await page.keyboard.press("Home");
	await page.keyboard.type("cat ");
	await page.keyboard.press("Enter");
	await shows(page, /^picturemore/m);
	assert.equal(await page.locator(".up").count(), 0);
	assert.deepEqual(faults, []);
});

test("files", async () => {
	await rpc("workspaces/start", { name: "wt1" });
	const inside = async command => (await rpc("workspaces/exec", { name: "wt1", command: ["sh", "-c", command] })).stdout;
	await inside("rm -rf ~/uploads");
	const { page, faults } = await open();
	await page.goto(`${ORIGIN}/w/wt1`);
	const files = page.locator(".pan", { has: page.getByRole("heading", { name: /^Files/ }) });
	await files.waitFor();
	const landed = text => files.locator(".copy", { hasText: text }).waitFor();
	// Dropped: both, the second of a name beside the first, and what cannot be read in a shell not at all.
	await drop(page, ".side", [{ name: "a b's ü.txt", text: "one" }, { name: "a b's ü.txt", text: "two" }, { name: "-rf", text: "three" }, { name: "x\ny", text: "no" }]);
	await landed("/home/workspace/uploads/a b's ü.txt");
	await landed("/home/workspace/uploads/a b's ü-2.txt");
	await landed("/home/workspace/uploads/-rf");
	await files.getByText("characters that cannot be seen").waitFor();
	assert.equal(await inside("cd ~/uploads && cat 'a b'\\''s ü.txt' 'a b'\\''s ü-2.txt' ./-rf; ls -1 | wc -l; stat -c '%U %a' . ./-rf"), "onetwothree3\nworkspace 755\nworkspace 644\n");
	// Chosen: large enough that it takes many grants of the agent.
	await files.locator("input").setInputFiles({ name: "large.bin", mimeType: "application/octet-stream", buffer: Buffer.alloc(9 * 1024 * 1024 + 1, "p") });
	await landed("/home/workspace/uploads/large.bin");
	assert.equal(await inside("tr -d p <~/uploads/large.bin | wc -c; stat -c %s ~/uploads/large.bin"), "0\n9437185\n");
	// Pasted, and as the terminal uses it: the path, which a shell reads as one word.
	await page.evaluate(() => {
		const data = new DataTransfer();
		data.items.add(new File(["png"], "image.png", { type: "image/png" }));
		document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
	});
	await landed("/home/workspace/uploads/image.png");
	const module = await page.evaluate(() => new URL("upload.js", document.querySelector("script[type=module]").src).pathname);
	const typed = await page.evaluate(async at => {
		const { upload, quoted } = await import(at), shares = [];
		return [quoted(await upload("wt1", new File(["x".repeat(700000)], "it's.txt"), { progress: share => shares.push(share) })), shares.at(-1), shares.every((s, i) => !i || s >= shares[i - 1])];
	}, module);
	assert.deepEqual(typed, ["'/home/workspace/uploads/it'\\''s.txt'", 1, true]);
	// A folder cannot be made where a file is; what the agent says is shown.
	await inside("rm -rf ~/uploads && touch ~/uploads");
	await drop(page, ".side", [{ name: "late", text: "x" }]);
	await files.locator(".bad", { hasText: /folder|file/ }).first().waitFor();
	await inside("rm -rf ~/uploads");
	assert.deepEqual(faults, []);
});

await run();
