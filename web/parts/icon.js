// Line drawings of 16 by 16, and the mark.
import { html } from "../app/html.js";

const paths = {
	search: html`<circle cx="7" cy="7" r="4.5" /><path d="m10.5 10.5 3 3" />`,
	plus: html`<path d="M8 3v10M3 8h10" />`,
	theme: html`<circle cx="8" cy="8" r="5.7" /><path d="M8 2.3v11.4A5.7 5.7 0 0 0 8 2.3Z" fill="currentColor" />`,
	settings: html`<circle cx="8" cy="8" r="2.1" /><path d="M8 1.8v1.7M8 12.5v1.7M1.8 8h1.7M12.5 8h1.7M3.6 3.6l1.2 1.2M11.2 11.2l1.2 1.2M12.4 3.6l-1.2 1.2M4.8 11.2l-1.2 1.2" />`,
	copy: html`<rect x="5.5" y="5.5" width="8" height="8" rx="1.6" /><path d="M10.5 5.5V4A1.5 1.5 0 0 0 9 2.5H4A1.5 1.5 0 0 0 2.5 4v5A1.5 1.5 0 0 0 4 10.5h1.5" />`,
	branch: html`<circle cx="4.5" cy="3.5" r="1.7" /><circle cx="4.5" cy="12.5" r="1.7" /><circle cx="11.5" cy="5.5" r="1.7" /><path d="M4.5 5.2v5.6M11.5 7.2c0 2-1.5 2.8-3.5 3-1.8.2-3 .7-3.4 1.2" />`,
	lock: html`<rect x="3.5" y="7" width="9" height="6.5" rx="1.4" /><path d="M5.5 7V5a2.5 2.5 0 0 1 5 0v2" />`,
	more: html`<circle cx="3" cy="8" r=".6" /><circle cx="8" cy="8" r=".6" /><circle cx="13" cy="8" r=".6" />`,
	up: html`<path d="M8 13V3.5M4 7.2 8 3.2l4 4" />`,
	check: html`<path d="m3.5 8.5 3 3 6-7" />`,
	close: html`<path d="m4 4 8 8M12 4l-8 8" />`,
	chev: html`<path d="m6 3 5 5-5 5" />`,
	back: html`<path d="M10 3 5 8l5 5" />`,
	list: html`<path d="M5.5 4h8M5.5 8h8M5.5 12h8" /><circle cx="2.5" cy="4" r=".5" /><circle cx="2.5" cy="8" r=".5" /><circle cx="2.5" cy="12" r=".5" />`,
	terminal: html`<rect x="2" y="3" width="12" height="10" rx="2" /><path d="m4.8 6.4 1.8 1.7-1.8 1.7M8.5 10h2.6" />`,
	out: html`<path d="M9.5 3H13v3.5M13 3 7.5 8.5M11 9.5V12a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1h2.5" />`,
	warn: html`<path d="M8 2.2 14.4 13.4H1.6L8 2.2ZM8 6.4v3.2M8 11.4v.1" />`,
	restart: html`<path d="M12.8 6.2A5.2 5.2 0 1 0 13.2 8M13 2.8v3.4H9.6" />`,
	stop: html`<rect x="4" y="4" width="8" height="8" rx="1.4" />`,
	trash: html`<path d="M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5 5 13h6l.5-8.5" />`,
};

/** @param {{ name: keyof typeof paths }} props */
export const Icon = ({ name }) => html`<svg class="i" viewBox="0 0 16 16" aria-hidden="true">${paths[name]}</svg>`;

export const Mark = () => html`<svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
	<path class="stem" d="M16.4 7.2c.2-2.4 1.2-4 3.2-5" />
	<path class="body" d="M16 6.8c2.9 0 4.9 1.9 5.3 4.6.4 2.6 1.2 3.6 2.7 5.2 1.7 1.8 2.6 3.6 2.6 5.9 0 4.9-4.4 7.9-10.6 7.9S5.4 27.4 5.4 22.5c0-2.3.9-4.1 2.6-5.9 1.5-1.6 2.3-2.6 2.7-5.2.4-2.7 2.4-4.6 5.3-4.6Z" />
	<path class="cur" d="m11.6 18.6 3.3 3.2-3.3 3.2M17.6 25h3.4" />
</svg>`;
