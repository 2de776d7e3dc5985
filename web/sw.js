// What the page is when the agent does not answer: it says so. Nothing else is kept, and nothing is answered from here.
const CACHE = "perry-offline", PAGE = "/offline.html";

self.addEventListener("install", event => event.waitUntil(caches.open(CACHE).then(cache => cache.add(new Request(PAGE, { cache: "reload" }))).then(() => self.skipWaiting())));
self.addEventListener("activate", event => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", event => {
	if (event.request.mode === "navigate") event.respondWith(fetch(event.request).catch(() => caches.match(PAGE)));
});
