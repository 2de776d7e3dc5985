// Assembles what the page loads: our modules as they are, and of each package the one module that it offers to browsers.
// node web/build.mjs OUT: OUT/index.html.gz, and OUT/ui/HASH/... where HASH names the content of all, so that a browser
// may keep these files for ever. Nothing is bundled; names of packages in imports become paths.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, posix, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const home = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2];
if (!out) throw new Error("usage: node web/build.mjs OUT");

/** @type {Record<string, string>} the name in an import, and the file of the package */
const packages = {
	"preact": "preact/dist/preact.mjs",
	"preact/hooks": "preact/hooks/dist/hooks.mjs",
	"htm": "htm/dist/htm.mjs",
	"@xterm/xterm": "@xterm/xterm/lib/xterm.mjs",
	"@xterm/addon-fit": "@xterm/addon-fit/lib/addon-fit.mjs",
	"@xterm/addon-search": "@xterm/addon-search/lib/addon-search.mjs",
	"@xterm/addon-unicode11": "@xterm/addon-unicode11/lib/addon-unicode11.mjs",
	"@xterm/addon-web-links": "@xterm/addon-web-links/lib/addon-web-links.mjs",
	"@xterm/addon-webgl": "@xterm/addon-webgl/lib/addon-webgl.mjs",
};
const vendorName = (/** @type {string} */ name) => `vendor/${name.replace("@xterm/", "").replace("/", "-")}.js`;

/** @type {Map<string, Buffer>} path in the page -> content */
const files = new Map();

/** Replaces names of packages in imports by paths from `from`. @param {string} text @param {string} from */
function resolveNames(text, from) {
	return text.replace(/(\bfrom\s*|\bimport\s*\(?\s*)(["'])([^"'./][^"']*)\2/g, (all, verb, quote, name) => {
		if (!packages[name]) return all;
		let path = posix.relative(posix.dirname(from), vendorName(name));
		if (!path.startsWith(".")) path = `./${path}`;
		return `${verb}${quote}${path}${quote}`;
	});
}

/** xterm.js gets another document than ours, see there. @param {string} name */
const ownDocument = name => (name === "@xterm/xterm" ? 'import { styleDocument as document } from "../terminal/styles.js";\n' : "");

/** @param {string} folder */
function* walk(folder) {
	for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
		const path = join(folder, entry.name);
		if (entry.isDirectory()) yield* walk(path);
		else yield path;
	}
}

for (const folder of ["app", "parts", "screens", "terminal", "style", "icons"]) {
	if (!existsSync(join(home, folder))) continue;
	for (const path of walk(join(home, folder))) {
		const name = relative(home, path);
		if (name.endsWith(".d.ts")) continue;
		files.set(name, name.endsWith(".js") ? Buffer.from(resolveNames(readFileSync(path, "utf8"), name)) : readFileSync(path));
	}
}
for (const [name, path] of Object.entries(packages)) {
	const text = readFileSync(join(home, "node_modules", path), "utf8").replace(/\/\/# sourceMappingURL=.*$/m, "");
	files.set(vendorName(name), Buffer.from(ownDocument(name) + resolveNames(ownDocument(name) ? text.replaceAll("window.document", "document") : text, vendorName(name))));
}
files.set("style/xterm.css", readFileSync(join(home, "node_modules/@xterm/xterm/css/xterm.css")));

/** What `from` imports at once, itself included, in the order of first use. @param {string} from @param {Set<string>} seen */
function imports(from, seen = new Set()) {
	if (seen.has(from) || !files.has(from)) return seen;
	seen.add(from);
	const text = String(files.get(from));
	for (const [, path] of text.matchAll(/\b(?:from|import)\s*["'](\.[^"']+)["']/g))
		imports(posix.join(posix.dirname(from), path), seen);
	return seen;
}

const page = readFileSync(join(home, "index.html"), "utf8");
const hash = createHash("sha256").update(page);
for (const [name, content] of files) hash.update(name).update(content);
const base = `/ui/${hash.digest("hex").slice(0, 16)}`;
const preload = [...imports("app/main.js")].map(name => `<link rel="modulepreload" href="${base}/${name}">`).join("\n");
// The folder is named before the files are written, so no file may name it: they find each other by relative paths.
files.set("index.html", Buffer.from(page.replaceAll("@BASE@", base).replace("<!-- preload -->", preload)));

// What a browser looks for at the root of the origin.
const roots = ["index.html", "sw.js", "offline.html", "manifest.webmanifest", "icon-180.png", "icon-192.png", "icon-512.png"];
for (const name of roots.slice(1)) {
	files.set(name, readFileSync(join(home, name.endsWith(".png") ? `icons/${name}` : name)));
	files.delete(`icons/${name}`);
}

rmSync(out, { recursive: true, force: true });
let bytes = 0;
for (const [name, content] of files) {
	const path = join(out, roots.includes(name) ? name : join(base, name)) + ".gz";
	const packed = gzipSync(content, { level: 9 });
	bytes += packed.length;
	mkdirSync(dirname(path), { recursive: true });
	writeFileSync(path, packed);
}
const first = [...imports("app/main.js"), "style/style.css", "index.html"];
const size = first.reduce((sum, name) => sum + gzipSync(files.get(name) ?? "", { level: 9 }).length, 0);
console.log(`web: ${files.size} files, ${Math.round(bytes / 1024)} KB compressed, ${Math.round(size / 1024)} KB of them before the first picture`);
