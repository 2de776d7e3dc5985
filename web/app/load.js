// Before everything else, and no module: when a part of the page cannot be loaded, the page is. A browser drops what it is
// loading when the machine's networks change, and each workspace that starts there is such a change.
addEventListener("error", event => {
	const part = event.target;
	if (part instanceof HTMLScriptElement || (part instanceof HTMLLinkElement && part.rel === "stylesheet")) setTimeout(() => location.reload(), 1000);
}, true);
