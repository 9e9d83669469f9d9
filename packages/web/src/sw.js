// Keeps the page itself, so that it opens while the daemon is away. Of what the daemon says it keeps nothing: there is no mail in it.
const SHELL = "shell";
const PATIENCE_MS = 3000; // in a network where nobody answers a request may take minutes to fail

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(fill());
});
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const { pathname, origin } = new URL(event.request.url);
  const isShell = pathname === "/" || pathname === "/icon.svg" || pathname.startsWith("/assets/");
  if (event.request.method === "GET" && origin === self.location.origin && isShell)
    event.respondWith(answer(event, pathname));
});

/** From the daemon if it is there and answers soon: what is kept is never older than what was last seen. */
async function answer(event, pathname) {
  const kept = await caches.match(pathname).catch(() => {});
  // With another content they have another name.
  if (kept && pathname.startsWith("/assets/")) return kept;
  const asked = fetch(event.request);
  // What the browser has no room for, or may not keep, is shown all the same.
  event.waitUntil(asked.then((fresh) => fresh.ok && keep(pathname, fresh.clone())).catch(() => {}));
  if (!kept) return asked;
  const late = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS, kept));
  return Promise.race([asked.catch(() => kept), late]);
}

async function keep(pathname, fresh) {
  if (pathname === "/") {
    const text = await fresh.clone().text();
    // Another program has the daemon's port: what it shows is not kept.
    if (!text.includes("<title>Restante</title>")) return;
    // Another version of the page: nothing of the one before is of use.
    const kept = await caches.match(pathname);
    if (kept && (await kept.text()) !== text) {
      await caches.delete(SHELL);
      await fill();
    }
  }
  await (await caches.open(SHELL)).put(pathname, fresh);
}

async function fill() {
  const page = await fetch("/");
  if (!page.ok) return;
  const files = [...(await page.clone().text()).matchAll(/"(\/assets\/[^"]+)"/g)].map((match) => match[1]);
  const shell = await caches.open(SHELL);
  await shell.put("/", page);
  await shell.addAll([...files, "/icon.svg"]);
}
