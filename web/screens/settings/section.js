// What sections of the settings are made of.
import { useEffect, useState } from "preact/hooks";
import { html } from "../../app/html.js";
import { call } from "../../app/rpc.js";

/** @param {{ id: string, title: string, lead?: any, children: any }} props */
export const Section = ({ id, title, lead, children }) => html`<section id=${id} class="setting" aria-labelledby="${id}-h"><div class="sec-head"><h2 id="${id}-h" tabindex="-1">${title}</h2>${lead ? html`<p>${lead}</p>` : null}</div><div class="card">${children}</div></section>`;

/** @param {{ label: string, hint?: any, children: any }} props */
export const Setting = ({ label, hint, children }) => html`<div class="srow"><div><span class="lbl">${label}</span>${hint ? html`<p class="hint">${hint}</p>` : null}</div><div class="val">${children}</div></div>`;

/** The variable of the agent's environment that sets a value whatever is saved, or "". @param {any} answer of a config procedure @param {string} key */
export const overlaid = (answer, key) => String(answer?.overlaid?.find((/** @type {any} */ o) => o.key === key)?.by ?? "");

/** In the place of a field of such a value. @param {{ by: string }} props */
export const Overlaid = ({ by }) => html`<p class="small"><code>${by}</code> in the agent’s environment sets it. Take it out there to set one here.</p>`;

/** What a procedure answers, asked once and again when `again` is called. @param {string} procedure @returns {[any, string, (value?: any) => void]} the answer, why there is none */
export function useAnswer(procedure) {
	const [value, setValue] = useState(/** @type {any} */ (undefined)), [why, setWhy] = useState("");
	const load = () => void call(procedure).then(v => (setWhy(""), setValue(v)), error => setWhy(error.message));
	useEffect(load, [procedure]);
	return [value, why, next => (next === undefined ? load() : setValue(next))];
}
