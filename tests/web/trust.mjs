// Pages of others: they can neither read nor act.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { open, ORIGIN, rpc, run, test, TOKEN } from "./browser.mjs";

/** A page of somebody else on a port of this machine, and what its visitors asked for. */
async function stranger() {
	const asked = [], server = createServer((request, answer) => {
		asked.push({ url: request.url, cookie: request.headers.cookie ?? "" });
		answer.setHeader("Content-Type", "text/html");
		answer.end("<!doctype html><title>stranger</title>");
	});
	await new Promise(resolve => server.listen(0, () => resolve(undefined)));
	return { port: server.address().port, asked };
}

/** What a page there reaches of the agent. */
const attack = async (page, origin) => page.evaluate(async origin => {
	const tried = {};
	const attempt = async (name, how) => {
		try {
			const answer = await how();
			tried[name] = `${answer.type} ${answer.status} ${await answer.text()}`;
		} catch {
			tried[name] = "refused";
		}
	};
	const start = { method: "POST", credentials: "include", body: JSON.stringify({ json: { name: "evil1" } }) };
	await attempt("read", () => fetch(`${origin}/rpc/workspaces/list`, { method: "POST", credentials: "include" }));
	await attempt("events", () => fetch(`${origin}/events?follow=0`, { credentials: "include" }));
	await attempt("act", () => fetch(`${origin}/rpc/workspaces/start`, { ...start, headers: { "Content-Type": "application/json" } }));
	await attempt("act blindly", () => fetch(`${origin}/rpc/workspaces/start`, { ...start, mode: "no-cors" }));
	await attempt("ticket", () => fetch(`${origin}/rpc/terminal/ticket`, { method: "POST", credentials: "include", body: "{}" }));
	for (const path of ["/rpc/terminal/tr1", "/rpc/stream"])
		tried[path] = await new Promise(resolve => {
			const socket = new WebSocket(origin.replace("http", "ws") + path, path === "/rpc/stream" ? ["perry.v1"] : []);
			socket.onopen = () => resolve("open");
			socket.onerror = () => resolve("refused");
		});
	const frame = document.createElement("iframe");
	frame.src = origin;
	document.body.append(frame);
	await new Promise(resolve => (frame.onload = resolve));
	tried.frame = frame.contentDocument ? "readable" : "closed";
	return tried;
}, origin);

test("strangers", async () => {
	await rpc("workspaces/start", { name: "tr1" });
	const { page, context } = await open(), { port, asked } = await stranger();
	await page.locator("#row-tr1").waitFor();
	// One of another origin; one that a workspace serves on the same name, which gets the cookie but not the storage.
	for (const host of ["evil.test", "localhost"]) {
		const other = await context.newPage();
		await other.goto(`http://${host}:${port}/`);
		const tried = await attack(other, ORIGIN);
		for (const [name, got] of Object.entries(tried)) {
			if (name === "frame") assert.equal(got, "closed", host);
			else if (name === "act blindly") assert.match(got, /^(opaque|refused)/, host); // what happened is seen below
			else assert.equal(got, "refused", `${host} ${name}`);
		}
		assert.deepEqual(await other.evaluate(() => ({ ...localStorage })), {});
		await other.close();
	}
	assert.ok(asked.some(({ cookie }) => /^perry_\d+=/.test(cookie)), "the browser sends the cookie to every port");
	// Whoever has that half has nothing.
	const { cookie } = asked.find(({ cookie }) => cookie);
	const answer = await fetch(`${ORIGIN}/rpc/workspaces/list`, { method: "POST", headers: { Cookie: cookie } });
	assert.equal(answer.status, 401);
	assert.deepEqual((await rpc("workspaces/list")).map(w => w.name), ["tr1"]);
});

test("headers", async () => {
	for (const path of ["/", "/w/web", "/settings"]) {
		const { headers } = await fetch(ORIGIN + path), policy = headers.get("content-security-policy");
		for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self';", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"]) assert.ok(policy.includes(part), part);
		assert.ok(!/unsafe|https?:|\*/.test(policy), policy);
		assert.equal(headers.get("x-content-type-options"), "nosniff");
		assert.equal(headers.get("referrer-policy"), "no-referrer");
		assert.equal(headers.get("cache-control"), "no-cache");
	}
	const page = await (await fetch(ORIGIN)).text();
	assert.ok(!/<script(?![^>]*src)|style=|onerror|https?:/.test(page), page);
	const module = /src="(\/ui\/[^"]+)"/.exec(page)[1];
	assert.match((await fetch(ORIGIN + module)).headers.get("cache-control"), /immutable/);
	for (const path of ["/ui/none/x.js", "/..%2f..%2fetc/passwd.js"])
		assert.equal((await fetch(ORIGIN + path, { headers: { Authorization: `Bearer ${TOKEN}` } })).status, 404);
});

test("tickets", async () => {
	await rpc("workspaces/start", { name: "tr1" });
	const { page, requests } = await open(), sockets = [];
	page.on("websocket", socket => sockets.push(new URL(socket.url())));
	await page.goto(`${ORIGIN}/w/tr1`);
	await page.locator(".xterm-rows", { hasText: "$" }).waitFor();
	const terminal = sockets.find(url => url.pathname === "/rpc/stream"), ticket = terminal.searchParams.get("ticket");
	assert.ok(ticket);
	// Used once, it is nothing.
	const answer = await fetch(`${ORIGIN}/rpc/stream?ticket=${ticket}`);
	assert.equal(answer.status, 401);
	const kept = await page.evaluate(() => Object.values({ ...localStorage }).concat(Object.values({ ...sessionStorage })));
	for (const url of [...requests, ...sockets]) for (const secret of [TOKEN, ...kept]) assert.ok(!url.href.includes(secret), "a secret in an address");
});

await run();
