// A finger scrolls: the lines that went by, or what a program shows that asked for the mouse or took the whole screen.
/** @typedef {import("@xterm/xterm").Terminal} Terminal */

/** @param {HTMLElement} place @param {Terminal} terminal @param {(text: string) => void} input @returns {() => void} ends it */
export function swipes(place, terminal, input) {
	let y = 0, rest = 0;
	const start = (/** @type {TouchEvent} */ event) => {
		y = event.touches[0].clientY;
		rest = 0;
	};
	const move = (/** @type {TouchEvent} */ event) => {
		if (event.touches.length !== 1) return;
		event.preventDefault();
		rest += y - event.touches[0].clientY;
		y = event.touches[0].clientY;
		const height = place.clientHeight / terminal.rows || 16, lines = Math.trunc(rest / height);
		rest -= lines * height;
		if (!lines) return;
		if (terminal.modes.mouseTrackingMode !== "none") input(`\x1b[<${lines > 0 ? 65 : 64};1;1M`.repeat(Math.abs(lines)));
		else if (terminal.buffer.active.type === "alternate") input((lines > 0 ? "\x1b[B" : "\x1b[A").repeat(Math.abs(lines)));
		else terminal.scrollLines(lines);
	};
	place.addEventListener("touchstart", start, { passive: true });
	place.addEventListener("touchmove", move, { passive: false });
	return () => {
		place.removeEventListener("touchstart", start);
		place.removeEventListener("touchmove", move);
	};
}
