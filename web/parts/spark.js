// A small plot of the last minute, and what its newest value is.
import { html } from "../app/html.js";

const W = 64, H = 26, POINTS = 30;

/** From left to right, the newest at the right edge. @param {{ values: (number | undefined)[], top: number }} props top: the least that the whole height is */
export function Spark({ values, top }) {
	const most = Math.max(top, ...values.map(v => v ?? 0));
	const points = values.map((v, i) => ({ v, x: W - ((values.length - 1 - i) * W) / (POINTS - 1) })).filter(({ v }) => v !== undefined);
	const line = points.map(({ v, x }) => `${x.toFixed(1)},${(H - 1 - (Math.max(0, v ?? 0) / most) * (H - 2)).toFixed(1)}`);
	return html`<svg class="spark" viewBox="0 0 ${W} ${H}" preserveAspectRatio="none" aria-hidden="true">${line.length > 1
		? html`<polygon class="a" points="${points[0].x.toFixed(1)},${H} ${line.join(" ")} ${W},${H}" /><polyline class="l" points=${line.join(" ")} />` : null}</svg>`;
}

/** @param {number | undefined} cores */
export const percent = cores => (cores === undefined ? "" : `${cores < 0.0995 ? (cores * 100).toFixed(1) : Math.round(cores * 100)} %`);
