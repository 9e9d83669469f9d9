// Pictures of the page for the documents, from the built page and the scene beside this file:
//   npm run shots --workspace @restante/web                     into docs/
//   npm run shots --workspace @restante/web -- DIR [NAME,...]   into DIR, all pages or these, in both sizes and looks
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { answer, NOW } from "./scene.mjs";

const BUILT = fileURLToPath(new URL("../../node/web", import.meta.url));
const DOCS = fileURLToPath(new URL("../../../docs", import.meta.url));
const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const SIZES = {
  phone: { width: 390, height: 844 },
  desktop: { width: 1280, height: 800 },
  document: { width: 1040, height: 700 },
};
const BOB = answer("/v1/contacts").contacts[0].id;
const PAGES = {
  home: "#/",
  chat: `#/c/${BOB}`,
  about: `#/c/${BOB}/about`,
  welcome: "#/welcome",
  add: "#/add",
  mesh: "#/mesh",
  cache: "#/cache",
  caches: "#/caches",
  lists: "#/lists",
  blocked: "#/blocked",
  devices: "#/devices",
  settings: "#/settings",
};
/** For the documents: file, page, size, look. */
const KEPT = [
  ["web-desktop", "chat", "document", "light"],
  ["web-phone", "chat", "phone", "dark"],
  ["web-mesh", "mesh", "document", "light"],
  ["web-cache", "cache", "phone", "light"],
];

let people = 7;
const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://localhost");
  if (pathname === "/v1/events") {
    response.writeHead(200, { "content-type": "text/event-stream" }).write(": listening\n\n");
    return;
  }
  if (pathname.startsWith("/v1/") || pathname === "/session") {
    const found = answer(pathname, { people });
    response.writeHead(found ? 200 : 404, { "content-type": "application/json" });
    response.end(
      JSON.stringify(found ?? { status: 404, code: "not-found", title: "", detail: `nothing at ${pathname}` }),
    );
    return;
  }
  const file = join(BUILT, pathname === "/" ? "index.html" : pathname);
  if (!file.startsWith(BUILT) || !existsSync(file)) return response.writeHead(404).end();
  response
    .writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" })
    .end(readFileSync(file));
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const [dir] = process.argv.slice(2);
const only = process.argv[3]?.split(",");
if (dir) mkdirSync(dir, { recursive: true });
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });

async function shot(name, size, look, file) {
  const context = await browser.newContext({
    viewport: SIZES[size],
    colorScheme: look,
    reducedMotion: "reduce",
    timezoneId: "UTC",
    locale: "en-GB",
    serviceWorkers: "block",
  });
  const page = await context.newPage();
  page.on("pageerror", (error) => console.error(name, error.message));
  await page.clock.setFixedTime(NOW);
  await page.goto(`http://127.0.0.1:${server.address().port}/${PAGES[name]}`);
  await page.waitForSelector(".app", { timeout: 10_000 });
  if (name === "chat")
    await page
      .getByRole("button", { name: /show its way/ })
      .last()
      .click();
  await page.waitForTimeout(250);
  await page.screenshot({ path: file });
  await context.close();
  console.log(`${file} ${Math.round(statSync(file).size / 1024)} KiB`);
}

try {
  if (dir) {
    for (const name of Object.keys(PAGES).filter((each) => !only || only.includes(each)))
      for (const size of ["phone", "desktop"])
        for (const look of ["light", "dark"]) await shot(name, size, look, join(dir, `${name}-${size}-${look}.png`));
    for (people of only && !only.includes("mesh") ? [] : [1, 3, 12, 44])
      for (const size of ["phone", "desktop"])
        await shot("mesh", size, "light", join(dir, `mesh${people}-${size}.png`));
  } else for (const [file, name, size, look] of KEPT) await shot(name, size, look, join(DOCS, `${file}.png`));
} finally {
  await browser.close();
  server.closeAllConnections();
  server.close();
}
