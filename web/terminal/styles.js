// xterm.js writes <style> elements and style attributes, which our Content-Security-Policy forbids. In its module (build.mjs)
// `document` is this one, and so is its documentOverride; it makes of the ones sheets of the real document, and of the others what scripts may set.

/** An attribute, or for "style" its declarations. @this {HTMLElement} @param {string} name @param {string} value */
function setAttribute(name, value) {
	if (name === "style") this.style.cssText = value;
	else Element.prototype.setAttribute.call(this, name, value);
}

/** What xterm.js takes for a <style>: its text is the content of a sheet, and removing it removes that. */
function styleElement() {
	const element = document.createElement("template"), sheet = new CSSStyleSheet();
	document.adoptedStyleSheets.push(sheet);
	Object.defineProperty(element, "textContent", { set: text => void sheet.replaceSync(text), get: () => "" });
	element.remove = () => {
		document.adoptedStyleSheets = document.adoptedStyleSheets.filter(other => other !== sheet);
		Element.prototype.remove.call(element);
	};
	return element;
}

/** @param {string} name */
function createElement(name) {
	if (name === "style") return styleElement();
	const element = document.createElement(name);
	element.setAttribute = setAttribute;
	return element;
}

/** @type {Document} */
export const styleDocument = new Proxy(document, {
	get(target, key) {
		if (key === "createElement") return createElement;
		const value = Reflect.get(target, key, target);
		return typeof value === "function" ? value.bind(target) : value;
	},
});
