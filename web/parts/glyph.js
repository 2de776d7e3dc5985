// The shape of a state: a shape for each, which colour only repeats.
import { html } from "../app/html.js";

const shapes = {
	you: html`<circle cx="8" cy="8" r="7" /><path d="M8 4.4v4.2M8 11.1v.1" stroke="currentColor" stroke-width="1.9" stroke-linecap="round" />`,
	bad: html`<path d="M8 1.2 14.8 8 8 14.8 1.2 8 8 1.2Z" fill="currentColor" /><path d="M8 5v3.4M8 10.6v.1" stroke="var(--surface)" stroke-width="1.7" stroke-linecap="round" />`,
	start: html`<circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-opacity=".25" stroke-width="1.8" /><path class="arc" d="M8 2a6 6 0 0 1 6 6" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" />`,
	work: html`<circle cx="8" cy="8" r="2.6" fill="currentColor" /><path class="arc" d="M8 2a6 6 0 0 1 6 6" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" />`,
	up: html`<circle cx="8" cy="8" r="4" fill="currentColor" />`,
	off: html`<circle cx="8" cy="8" r="4" fill="none" stroke="currentColor" stroke-width="1.5" /><path d="M3.2 12.8 12.8 3.2" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" />`,
	down: html`<circle cx="8" cy="8" r="4.2" fill="none" stroke="currentColor" stroke-width="1.5" />`,
};

/** @typedef {keyof typeof shapes} Shape */
/** @param {{ of: Shape, says: string }} props says: what stands for it where it is not seen; "": the words beside it do */
export const Glyph = ({ of, says }) =>
	html`<svg class="g g-${of}" viewBox="0 0 16 16" role=${says ? "img" : undefined} aria-label=${says || undefined} aria-hidden=${says ? undefined : "true"}>${shapes[of]}</svg>`;
