// Calls of the agent's procedures, and what went wrong with one.
import { later } from "./later.js";
import { sessionHeaders } from "./session.js";

export class RpcError extends Error {
	/** @param {number} status 0: no answer came @param {string} code @param {string} message @param {any} [data] */
	constructor(status, code, message, data) {
		super(message);
		this.status = status;
		this.code = code;
		this.data = data;
	}
}

/** What went wrong; of an input the first thing that is. @param {any} body */
function reason(body) {
	const issue = body?.data?.issues?.[0];
	return issue ? `${[issue.path ?? []].flat().join(".")}: ${issue.message}` : body?.message;
}

/** What only looks: asked again where the network was in the way. Chromium drops what is under way when the machine's networks change, as they do when a workspace starts. */
const LOOKS = /^(info|doctor|explain)$|\/(list|get|status|check|show|sizes|listRepos|listKeys|hints|screen|getRecent)$/;

/** @param {string} name @param {RequestInit} request */
function ask(name, request) {
	const once = async () => {
		const answer = await fetch(`/rpc/${name}`, request);
		return { answer, text: await answer.text() };
	};
	return LOOKS.test(name) ? later(once, 100) : once();
}

/**
 * Calls NAMESPACE/PROCEDURE.
 * @param {string} name
 * @param {any} [input]
 * @param {{ async?: boolean }} [how] async: an operation's id at once, not its end
 * @returns {Promise<any>} its output
 */
export async function call(name, input, how = {}) {
	let answer, text;
	try {
		({ answer, text } = await ask(name, {
			method: "POST",
			headers: {
				"Content-Type": "application/json",
				...sessionHeaders(),
				...(how.async ? { Prefer: "respond-async" } : {}),
			},
			body: JSON.stringify({ json: input ?? {} }),
		}));
	} catch {
		throw new RpcError(0, "UNREACHABLE", "The agent does not answer.");
	}
	let body;
	try {
		body = JSON.parse(text).json;
	} catch {
		throw new RpcError(answer.status, answer.status === 401 ? "UNAUTHORIZED" : "UNEXPECTED", text || answer.statusText);
	}
	if (!answer.ok) throw new RpcError(answer.status, body?.code ?? "UNEXPECTED", reason(body) ?? text, body?.data);
	return body;
}
