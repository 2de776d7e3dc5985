// What the tests of the pages share: Debian's Chromium by playwright-core, and what holds on every page whatever a test is about.
// A file of tests calls test(NAME, BODY) for each and run() at its end; `node FILE NAME` runs that one.
// ORIGIN, TOKEN: the agent. SHOTS: the folder for pictures.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { chromium } from "../../web/node_modules/playwright-core/index.mjs";

export const { ORIGIN = "", TOKEN = "", SHOTS = "" } = process.env;
export const DESK = { width: 1440, height: 900 }, PHONE = { width: 390, height: 844 };

/** Patience: a state is waited for, how long it takes is never what a test is about. */
const PATIENCE = Number(process.env.PATIENCE ?? 30) * 1000;

const bodies = new Map(), pages = [];
export const test = (name, body) => bodies.set(name, body);

/** The agent's API beside the page. */
export async function rpc(procedure, input = {}, prefer = "") {
	const answer = await fetch(`${ORIGIN}/rpc/${procedure}`, {
		method: "POST",
		headers: { "Content-Type": "application/json", Authorization: `Bearer ${TOKEN}`, ...(prefer ? { Prefer: prefer } : {}) },
		body: JSON.stringify({ json: input }),
	});
	const { json } = await answer.json();
	if (!answer.ok) throw new Error(`${procedure}: ${json?.message}`);
	return json;
}

/** A one-use address that signs a browser in, as perry open makes it. */
export const link = async () => ORIGIN + (await rpc("auth/link")).path;

/** Until it holds; then what it returned. */
export async function until(what, holds) {
	for (const end = Date.now() + PATIENCE; ; await new Promise(resolve => setTimeout(resolve, 50))) {
		const value = await holds();
		if (value) return value;
		assert.ok(Date.now() < end, `not in time: ${what}`);
	}
}

/**
 * A browser of a size and theme, signed in unless it is told not to. What pages must never do is in `faults`.
 * @param {{ size?: typeof DESK, theme?: "light" | "dark", signedIn?: boolean }} [how]
 */
export async function open({ size = DESK, theme = "light", signedIn = true } = {}) {
	const phone = size === PHONE;
	const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--host-resolver-rules=MAP *.test 127.0.0.1", "--disable-3d-apis"] });
	const context = await browser.newContext({ viewport: size, colorScheme: theme, hasTouch: phone, isMobile: phone, deviceScaleFactor: phone ? 2 : 1 });
	context.setDefaultTimeout(PATIENCE);
	const page = await context.newPage(), faults = [], requests = [], open = new Set(), said = [];
	pages.push({ page, faults, open, said });
	page.on("requestfinished", request => open.delete(request));
	page.on("requestfailed", request => {
		open.delete(request);
		said.push(`${request.url()}: ${request.failure()?.errorText}`);
	});
	page.on("console", message => said.push(`${message.type()}: ${message.text()}`));
	page.on("pageerror", error => faults.push(`error: ${error.stack ?? error}`));
	page.on("console", message => /Content.Security.Policy/i.test(message.text()) && faults.push(`${message.text()} ${message.location().url}`));
	page.on("request", request => {
		open.add(request);
		const url = new URL(request.url());
		requests.push(url);
		if (/^http/.test(url.protocol) && url.origin !== ORIGIN) faults.push(`asked ${url.origin}`);
	});
	if (signedIn) {
		await page.goto(await link());
		await page.waitForSelector(".top");
	}
	return { browser, context, page, faults, requests };
}

/** What axe finds that is serious. */
export async function axe(page) {
	const { readFileSync } = await import("node:fs");
	await page.evaluate(readFileSync(new URL("../../web/node_modules/axe-core/axe.min.js", import.meta.url), "utf8"));
	const { violations } = await page.evaluate(() => globalThis.axe.run(document));
	return violations.filter(v => v.impact === "serious" || v.impact === "critical")
		.map(v => `${v.id}: ${v.nodes.map(n => n.target.join(" ")).slice(0, 4).join(", ")}: ${v.nodes[0].failureSummary}`);
}

/** A picture for people, and what machines see on it: nothing serious for axe, nothing wider than the screen. */
export async function look(page, name) {
	mkdirSync(SHOTS, { recursive: true });
	await page.evaluate(() => document.fonts.ready);
	await page.screenshot({ path: `${SHOTS}/${name}.png`, animations: "disabled" });
	const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
	assert.ok(!wide, `${name}: the page scrolls sideways`);
	assert.deepEqual(await axe(page), [], name);
}

/** In both sizes and themes. @param {string} name @param {(page: any, how: any) => Promise<void>} arrange */
export async function lookAll(name, arrange, how = {}) {
	for (const [width, size] of Object.entries({ desk: DESK, phone: PHONE }))
		for (const theme of ["light", "dark"]) {
			const it = await open({ size, theme, ...how });
			await arrange(it.page, { size, theme });
			await look(it.page, `${name}-${width}-${theme}`);
			assert.deepEqual(it.faults, [], `${name}-${width}-${theme}`);
			await it.browser.close();
		}
}

export async function run() {
	const name = process.argv[2], body = bodies.get(name);
	if (!body) throw new Error(`no test is called ${name}`);
	try {
		await body();
	} catch (error) {
		console.log(error);
		for (const [i, { page, faults, open, said }] of pages.filter(({ page }) => !page.isClosed()).entries()) {
			console.log({ page: page.url().replace(/#.*/, ""), faults, said, open: [...open].map(request => request.url()) });
			await page.screenshot({ path: `${SHOTS}/failed-${name.replaceAll(" ", "-")}-${i}.png` }).catch(() => {});
		}
		process.exit(1);
	}
	process.exit(0); // browsers of a test that has passed
}
