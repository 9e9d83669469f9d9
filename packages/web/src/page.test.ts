/**
 * The page in a real browser: a daemon that serves it, a friend on another node, a cache between them, and a stranger. With
 * SHOTS=DIR it leaves a picture of each page there, at the size of a phone and of a desktop.
 */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { AxeBuilder } from "@axe-core/playwright";
import { type Daemon, type DaemonOptions, startCache, startDaemon } from "@restante/node";
import type { CacheRole } from "@restante/node/contract";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { encodeQR } from "qr";
import type { Peer } from "restante";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { freePort } from "../../../testing/ports.ts";

const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const shots = process.env["SHOTS"];
const local = { host: "127.0.0.1", port: 0 };
const BUILT = fileURLToPath(new URL("../../node/web", import.meta.url));
const CLI = fileURLToPath(new URL("../../node/dist/cli/main.js", import.meta.url));
const HOSTILE = `<img src=x onerror="window.broken=1">`;
const FAR = "tracker.example.org";
/** What other programs make links and pictures of: here it is text. */
const LINKS = `[x](javascript:window.broken=1) ![](https://${FAR}/a.png) https://${FAR}/b.png www.${FAR} <img src=//${FAR}/c.png onerror=window.broken=1>`;

test("Chromium is there to test with, or nobody asked for it (CI_STRICT=1)", () => {
  if (process.env["CI_STRICT"] === "1") expect(CHROMIUM).toBeDefined();
});

test("the page weighs at most 80 kB, compressed", async () => {
  const names = await readdir(BUILT, { recursive: true }).catch(() => []);
  expect(names, "build it first: npm run build").toContain("index.html");
  const files = names.filter((name) => /\.\w+$/.test(name) && !name.endsWith(".stamp"));
  const sizes = await Promise.all(files.map(async (name) => gzipSync(await readFile(join(BUILT, name))).length));
  expect(sizes.reduce((sum, each) => sum + each, 0)).toBeLessThan(80_000);
});

describe.skipIf(CHROMIUM === undefined)("the page", () => {
  let dir: string;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let cache: Peer;
  let alice: Daemon;
  let bob: Daemon;
  let carol: Daemon;
  const wrong: string[] = [];

  const start = (name: string, more: Partial<DaemonOptions> = {}): Promise<Daemon> =>
    startDaemon({ ...local, home: join(dir, name), ...more });

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "restante-page-"));
    cache = await startCache({ ...local, home: join(dir, "cache") });
    alice = await start("alice", { echo: true, web: { port: await freePort() } });
    bob = await start("bob", { name: "Bob Ross" });
    carol = await start("carol", { name: HOSTILE });
    await bob.peer.join(cache.joinLink());
    await writeFile(join(dir, "camera.y4m"), filmOf(cache.joinLink()));
    const camera = ["ui-for-media-stream", "device-for-media-stream"].map((what) => `--use-fake-${what}`);
    const film = `--use-file-for-fake-video-capture=${join(dir, "camera.y4m")}`;
    browser = await chromium.launch({
      executablePath: CHROMIUM ?? "",
      args: ["--no-sandbox", "--disable-gpu", ...camera, film],
    });
    context = await browser.newContext({ viewport: DESKTOP, acceptDownloads: true, reducedMotion: "reduce" });
    // Nothing is ever asked elsewhere, whatever texts, names and files hold.
    context.on("request", (request) => {
      const { protocol, hostname } = new URL(request.url());
      if (protocol.startsWith("http") && hostname !== "127.0.0.1") wrong.push(`asked ${request.url()}`);
    });
    page = await context.newPage();
    page.on("console", (message) => {
      // That a daemon is away, or says no, shows as a failed request; all else is a mistake, what the policy blocks among it.
      if (
        message.type() === "error" &&
        !/ERR_CONNECTION|ERR_EMPTY_RESPONSE|401|409|503|INCOMPLETE_CHUNKED/.test(message.text())
      )
        wrong.push(`${message.text()} ${message.location().url}`);
    });
    page.on("pageerror", (error) => wrong.push(error.message));
    page.on("dialog", (dialog) => {
      wrong.push(dialog.message());
      dialog.dismiss();
    });
    page.setDefaultTimeout(WAIT_MS);
  });

  beforeEach(async () => {
    await page.setViewportSize(DESKTOP);
    await page.unrouteAll();
  });

  afterAll(async () => {
    if (shots !== undefined) await page?.screenshot({ path: join(shots, "last.png") });
    await browser?.close();
    for (const each of [alice, bob, carol]) await each?.close();
    await cache?.close();
    await rm(dir, { recursive: true });
  });

  /** Axe finds nothing, in the dark where a page has colours of its own; with a picture of each size and look for who wants to see. */
  async function look(name: string, hasColours = false): Promise<void> {
    for (const colorScheme of ["light", "dark"] as const) {
      if (colorScheme === "dark" && !hasColours && shots === undefined) continue;
      await page.emulateMedia({ colorScheme });
      await judge(name, colorScheme);
      for (const [size, viewport] of Object.entries({ phone: PHONE, desktop: DESKTOP })) {
        if (shots === undefined) continue;
        await page.setViewportSize(viewport);
        await page.screenshot({ path: join(shots, `${name}-${size}-${colorScheme}.png`) });
      }
    }
    await page.setViewportSize(DESKTOP);
    await page.emulateMedia({ colorScheme: "light" });
  }

  async function judge(name: string, colorScheme: "light" | "dark"): Promise<void> {
    // Half a megabyte of script: once in the life of the document.
    const isThere = await page.evaluate("typeof axe === 'object'");
    const axe = new AxeBuilder({ page, ...(isThere === true && { axeSource: ";" }) }).setLegacyMode(); // else a tab more for each answer
    axe.options({ resultTypes: ["violations"] });
    // The list of conversations stands beside all pages.
    if (!WITH_LIST.has(name)) axe.exclude("nav[aria-label=Restante]");
    if (colorScheme === "dark") axe.withRules(["color-contrast"]);
    const { violations } = await axe.analyze();
    expect(violations.map(({ id, nodes }) => [name, colorScheme, id, nodes.map(({ html }) => html)])).toEqual([]);
  }

  const write = async (text: string): Promise<void> => {
    await page.getByLabel(/^Message to/).fill(text);
    await page.keyboard.press("Enter");
  };
  const openBob = () =>
    page
      .getByRole("link", { name: /Bob Ross/ })
      .first()
      .click();
  const bubble = (text: string) => page.locator(".bubble", { hasText: text });
  /** The record that the browser keeps: how many there are, what stands in its bytes, and what in it when it is opened. */
  const record = () =>
    page.evaluate(RECORD) as Promise<{ count: number; bytes?: string; text?: string; isBare?: boolean }>;

  test("a browser without a link sees nothing; with one it asks for a name, shows a code to be found by, and echo answers", async () => {
    const link = alice.webLink() ?? "";
    await page.goto(new URL("/", link).href);
    await page.getByText("This page is locked").waitFor();
    await look("locked", true);
    await page.goto(link);
    await page.getByLabel("What shall your contacts call you?").waitFor();
    expect(page.url()).not.toContain(new URL(link).hash.slice(1));
    await look("welcome");
    await page.keyboard.press("Tab");
    await page.getByLabel("What shall your contacts call you?").fill("Alice");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Welcome, Alice" }).waitFor();
    await page.getByRole("button", { name: "Show my code" }).click();
    await page.getByRole("img", { name: "QR code of your invite" }).waitFor();
    await look("first");
    await page.getByRole("link", { name: "Write to echo" }).click();
    await page.getByRole("heading", { name: "echo" }).waitFor();
    await write("hello");
    await bubble("echo: hello").waitFor();
    expect(alice.peer.contacts().map(({ name }) => name)).toEqual(["echo"]);
  });

  test("a cache is joined by holding its QR code before the camera, and a contact added by a picture of one", async () => {
    await page.getByRole("link", { name: "Caches" }).click();
    await page.getByRole("button", { name: "Scan with the camera" }).click();
    await page.getByText("It holds up to").waitFor();
    await page.getByRole("button", { name: "Test them" }).click();
    await page.getByText(/^\w{8} gave a test mail back(, but late)?$/).waitFor(); // as fast as this machine is
    // The button could not be pressed meanwhile: the focus stays beside it.
    await expect.poll(() => page.evaluate("document.activeElement?.innerText ?? ''")).toMatch(/Test them$/);
    await look("caches", true);
    await page.getByRole("link", { name: "Add somebody" }).first().click();
    await page.getByRole("button", { name: "Make an invite" }).click();
    await page.getByRole("img", { name: "QR code of your invite" }).waitFor();
    await look("add");
    const pieces = (await alice.peer.invite()).match(/.{1,72}/g) ?? [];
    await page.getByLabel("Paste the link that you were given").fill(`Here it is:\n> ${pieces.join("\n> ")}\n> Alice`);
    await page.getByRole("button", { name: "Add", exact: true }).click();
    await page.getByText("This is your own invite").waitFor(); // it was read, then
    const buffer = Buffer.from(encodeQR(await bob.peer.invite(), "gif", { ecc: "low", scale: 3 }));
    await page.getByLabel("Picture of a QR code").setInputFiles({ name: "code.gif", mimeType: "image/gif", buffer });
    await page.getByRole("heading", { name: "Bob Ross" }).waitFor();
  });

  test("a conversation goes through a spell of absence, and says where each mail is", async () => {
    await write("Are you painting today?");
    await bubble("Are you painting today?").getByText("delivered").waitFor();
    await until(bob.peer, ({ contacts, inbox }) => contacts === 1 && inbox === 1);
    const [contact] = bob.peer.contacts();
    await bob.peer.send(contact?.id ?? "", "A happy little tree. Come and see it!");
    await bubble("A happy little tree").waitFor();
    await bob.close();
    await write("I am away until Monday.\nLeave me a note?");
    await bubble("Leave me a note?").getByText("handed", { exact: true }).waitFor();
    await bubble("Leave me a note?")
      .getByRole("button", { name: /show its way/ })
      .click();
    await page.getByText("Handed to a cache of Bob Ross's").first().waitFor();
    await page.getByRole("link", { name: /Outbox/ }).click();
    await page.getByRole("button", { name: "Take back: I am away until Monday. Leave me a note?" }).waitFor();
    await look("outbox");
    await openBob();
    bob = await start("bob");
    await bubble("Leave me a note?").getByText("delivered").waitFor();
    await bob.peer.send(contact?.id ?? "", "Done. It waits for you.");
    await bubble("It waits for you").waitFor();
    await page.locator("p[role=status]", { hasText: "Bob Ross: Done. It waits for you." }).waitFor(); // for who only hears it
  });

  test("files go both ways, and come out as they went in", async () => {
    const content = randomBytes(300_000);
    await writeFile(join(dir, "tree.png"), content);
    await page.locator("input[type=file]").setInputFiles(join(dir, "tree.png"));
    await page.getByRole("list", { name: "To be sent" }).getByText("tree.png").waitFor();
    await page.keyboard.press("Enter");
    await bubble("tree.png").getByText("delivered").waitFor();
    await until(bob.peer, ({ inbox }) => inbox === 3);
    const [contact] = bob.peer.contacts();
    await bob.peer.send(contact?.id ?? "", { name: "mountain.pdf", media: "application/pdf", bytes: content });
    const saved = page.waitForEvent("download");
    await page.getByRole("button", { name: "Save mountain.pdf" }).click();
    const download = await saved;
    expect(download.suggestedFilename()).toBe("mountain.pdf");
    expect(await readFile(await download.path())).toEqual(content);
    await bubble("tree.png")
      .getByRole("button", { name: /show its way/ })
      .click();
    await page.getByText("A device of Bob Ross has it and said so.").waitFor();
    await look("chat", true);
  });

  test("a stranger's request is shown as text, whatever it holds, and can be accepted", async () => {
    // An invite good for one, used by two: the second is a stranger.
    await page.getByRole("link", { name: "Add somebody" }).first().click();
    await page.getByRole("button", { name: "Make an invite" }).click();
    const link = await page.getByLabel("Link: your invite").inputValue();
    const dave = await start("dave", { name: "Dave" });
    await dave.peer.add(link);
    await page.getByText("Dave is your contact now").waitFor();
    expect(await page.getByRole("img", { name: "QR code of your invite" }).count()).toBe(0);
    await look("used", true);
    await page.getByRole("link", { name: "Open the conversation" }).click();
    await page.getByText("no cache of Dave is known yet").waitFor();
    await dave.close();
    // What another program of ours sends stands in the open conversation, though it goes nowhere yet.
    await alice.peer.send(alice.peer.contacts().find(({ name }) => name === "Dave")?.id ?? "", "Sent by a script.");
    await bubble("Sent by a script.").waitFor();
    await carol.peer.add(link);
    const [contact] = carol.peer.contacts();
    await carol.peer.send(contact?.id ?? "", `${HOSTILE}<script>window.broken=1</script>\u202eabc ${LINKS}`);
    await page.getByRole("link", { name: /Requests/ }).click();
    await page.getByRole("heading", { name: HOSTILE }).waitFor();
    await look("requests", true);
    await page.getByRole("button", { name: "Accept" }).click();
    const hostile = bubble("<script>window.broken=1</script>");
    await hostile.waitFor();
    expect(await hostile.innerText()).toContain(LINKS);
    expect(await hostile.locator("a, img, script, iframe, object, [href], [src]").count()).toBe(0);
    await carol.peer.send(contact?.id ?? "", {
      name: `a${HOSTILE.replaceAll("/", "")}.html`,
      media: "text/html",
      bytes: new TextEncoder().encode("<script>parent.broken=1</script>"),
    });
    await bubble("onerror").nth(1).waitFor();
    await expect.poll(() => page.title()).not.toContain("("); // it was seen
    await page.keyboard.press("Escape");
    await page.getByRole("heading", { name: "Poste restante" }).waitFor();
    await bob.peer.send(bob.peer.contacts()[0]?.id ?? "", "One more thing: bring a clean brush.");
    await page.getByRole("link", { name: /Bob Ross.*1 unread/ }).waitFor();
    await look("home", true);
    expect(await page.evaluate("window.broken")).toBeUndefined();
    expect(await page.locator(".list img, .list script").count()).toBe(0);
  });

  test("a contact is verified by words, and found mail by words as well", async () => {
    await openBob();
    await page.locator("a.who", { hasText: "Bob Ross" }).click(); // the list has a link of his name, too
    const [contact] = bob.peer.contacts();
    const [device] = bob.peer.safety(contact?.id ?? "");
    await page
      .getByText(device?.words[0] ?? "", { exact: false })
      .first()
      .waitFor();
    await look("verify");
    await page.getByRole("button", { name: "They differ" }).click();
    await page.getByText("write nothing that matters").waitFor();
    await page.getByRole("button", { name: "They are the same" }).press("Enter");
    await page.getByRole("heading", { name: "Verified" }).waitFor();
    expect(await page.getByRole("alert").count()).toBe(0);
    // The button is gone: who works by keyboard goes on where it was.
    await expect.poll(() => page.evaluate("document.activeElement?.innerText ?? ''")).toMatch(/^Verified/);
    // The same by a picture of what Bob's page shows: of somebody else's words first.
    await page.getByRole("button", { name: "Take that back" }).click();
    await page.getByRole("button", { name: "Compare by QR code instead" }).click();
    await page.getByRole("img", { name: "QR code of the words for Bob Ross" }).waitFor();
    const shown = bob.peer.safety(bob.peer.contacts()[0]?.id ?? "")[0]?.text ?? "";
    const scan = (text: string) =>
      page.getByLabel("Picture of a QR code").setInputFiles({
        ...{ name: "words.gif", mimeType: "image/gif" },
        buffer: Buffer.from(encodeQR(text, "gif", { ecc: "low", scale: 3 })),
      });
    await scan(shown.replace(bob.peer.hashname, carol.peer.hashname));
    await page.getByRole("alert").getByText("These are not the words").waitFor();
    expect(alice.peer.contacts().find(({ name }) => name === "Bob Ross")?.verified).toBe("none");
    await scan(shown);
    await page.getByText("They are the same: it is verified.").waitFor();
    expect(alice.peer.contacts().find(({ name }) => name === "Bob Ross")?.verified).toBe("all");
    await page.getByRole("button", { name: "Is Bob Ross there?" }).click();
    await page.getByText(/^It answered in \d+ ms\.$/).waitFor();
    await page.getByText(/The last mail that came: (Today|Yesterday)/).waitFor();
    await page.getByText("Mail for Bob Ross can wait at 1 cache").waitFor();
    for (const where of [/^Write to Bob Ross$/, /^Bob Ross/]) {
      await page.keyboard.press("Escape");
      const focused =
        "document.activeElement?.placeholder ?? document.activeElement?.querySelector('strong')?.innerText";
      await expect.poll(() => page.evaluate(focused)).toMatch(where);
    }
    await page.keyboard.press("Control+k");
    await page.getByRole("searchbox").fill("happy tree");
    await page.getByText("1 found").waitFor();
    expect(await page.locator("mark").allInnerTexts()).toEqual(["happy", "tree"]);
    await look("search");
    await page
      .getByRole("link", { name: /A happy little tree/ })
      .last()
      .click();
    await page.locator(".sought", { hasText: "A happy little tree" }).waitFor();
  });

  test("the mesh shows who is linked and how, as a picture and in words, and follows what happens", async () => {
    await page.getByRole("link", { name: "Mesh" }).click();
    await page.getByRole("img", { name: /of \d+ linked/ }).waitFor();
    const row = page.getByRole("row", { name: /Bob Ross/ });
    await row.getByText(/on this machine, (UDP|TCP)/).waitFor();
    await page
      .getByRole("row", { name: /your cache/ })
      .getByText(/^linked/)
      .waitFor();
    await look("mesh", true);
    await carol.close();
    await page
      .getByRole("row", { name: /onerror/ })
      .getByText("looked for")
      .waitFor();
    carol = await start("carol", { cache: true });
  });

  test("a machine becomes a cache by one click, and who serves it sees its totals and nobody in them", async () => {
    await page.getByRole("link", { name: "Caches" }).click();
    const become = page.getByRole("button", { name: "Become a cache" });
    await become.click();
    await page.getByText("It is a cache now").waitFor();
    await page.getByRole("button", { name: "Be no cache any more" }).click();
    await page.getByText("Nothing lies here for others now").waitFor();
    await look("caches-end");
    // Mail comes after the question: it is not forgotten before the user was told of it.
    const asked: unknown[] = [];
    await page.route("**/v1/cache", async (route) => {
      if (route.request().method() === "PUT") {
        asked.push(route.request().postDataJSON());
        const said = { title: "", status: 409, code: "not-empty", detail: "3 messages lie here for others" };
        return asked.length > 1 ? route.continue() : route.fulfill({ status: 409, json: said });
      }
      const response = await route.fetch();
      const role = (await response.json()) as CacheRole;
      const json = asked.length === 1 ? { ...role, held: { ...role.held, messages: 3, bytes: 3072 } } : role;
      return route.fulfill({ response, json });
    });
    await page.getByRole("button", { name: "End it" }).click();
    await page.getByText("What lies here for others (3 messages, 3.0 KiB) is forgotten then").waitFor();
    expect(alice.peer.status().serving).toBe("on");
    await page.getByRole("button", { name: "End it" }).click();
    await page.getByText("This machine is no cache any more").waitFor();
    expect(asked).toEqual([{ serve: false }, { serve: false, forget: true }]);
    await page.unrouteAll({ behavior: "ignoreErrors" });
    expect(alice.peer.status().serving).toBe("off");
    // Made one in a terminal: an open page notices.
    await alice.peer.serveCache(true);
    await page.getByText("This machine is a cache").waitFor();
    await alice.peer.serveCache(false);
    await become.click();
    await page.getByRole("link", { name: "How it fares" }).click();
    await page.getByRole("img", { name: /now, at most/ }).waitFor();
    await page.getByRole("button", { name: "A week" }).click();
    await page.getByRole("img", { name: /came and .* were fetched in the last week/ }).waitFor();
    expect(await page.locator("main").innerText()).not.toContain(bob.peer.hashname.slice(0, 6));
    await look("cache", true);
  });

  test("a contact's cache is used by two clicks, and ours is offered by one", async () => {
    await carol.peer.offerCache(true);
    await page.getByRole("link", { name: "Caches" }).click();
    await page.getByRole("button", { name: "Use it…" }).click();
    await page.getByText("sees who writes to you, when, and how much").waitFor();
    await page.getByRole("button", { name: "Use it", exact: true }).click();
    await page.getByText("cache holds mail for you now").waitFor();
    expect(alice.peer.status().caches.map(({ hashname }) => hashname)).toContain(carol.peer.hashname);
    await page.getByLabel("Offer it to all of my contacts").check();
    await page.getByText("Each decides for itself").waitFor();
    expect(alice.peer.status().offering).toBe(true);
  });

  test("what is pasted and dropped is shown first, and sent or not", async () => {
    await openBob();
    await page.getByLabel("Message to Bob Ross").waitFor();
    await page.evaluate(`(() => {
      const files = new DataTransfer();
      files.items.add(new File(["a picture"], "pasted.png", { type: "image/png" }));
      files.items.add(new File(["<script>window.broken=1</script>"], "page.svg", { type: "image/svg+xml" }));
      const event = new ClipboardEvent("paste", { clipboardData: files, bubbles: true, cancelable: true });
      document.querySelector("textarea[aria-label^='Message to']").dispatchEvent(event);
    })()`);
    await page.getByRole("button", { name: "Not page.svg" }).click();
    await expect.poll(() => page.locator(".tray li").count()).toBe(1);
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await bubble("pasted.png").getByText("delivered").waitFor();
    await page.locator(".tray").waitFor({ state: "detached" });
    expect(await bubble("page.svg").count()).toBe(0);
  });

  test("a file that is on its way to the daemon can be stopped, and is not sent", async () => {
    await page.route("**/v1/files?*", () => {}); // as slow as can be
    const before = alice.peer.status().sent;
    const file = { name: "wrong.txt", mimeType: "text/plain", buffer: Buffer.from("not this one") };
    await page.locator("input[type=file]").setInputFiles(file);
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await page.getByText("Taking in wrong.txt").waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByText("Taking in wrong.txt").waitFor({ state: "detached" });
    expect([await bubble("wrong.txt").count(), alice.peer.status().sent]).toEqual([0, before]);
  });

  test("a list is made and written to, mail is kept for some days, and somebody is heard again", async () => {
    await page.getByRole("link", { name: "Settings" }).click();
    await page.getByRole("link", { name: "Lists" }).click();
    await page.getByRole("button", { name: "Make a list" }).click();
    await page.getByLabel("Its name").fill("Painters");
    await page.getByRole("checkbox", { name: "Bob Ross" }).check();
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: "Write to them" }).click();
    await page.getByLabel("To 1 contact").fill("To all painters");
    await look("lists");
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByText("It goes to each of them alone").waitFor();
    expect(alice.peer.lists().map(({ name }) => name)).toEqual(["Painters"]);
    await page.getByRole("link", { name: /Outbox/ }).click();
    const listed = page.getByRole("main").getByRole("listitem").filter({ hasText: "Painters" });
    await listed.getByText("To all painters").waitFor();
    await openBob();
    await bubble("To all painters").getByText("delivered").waitFor();
    await page.locator("a.who", { hasText: "Bob Ross" }).click();
    await page.getByLabel("Erase it after so many days").fill("30");
    await page.getByRole("button", { name: "Erase what is older" }).click();
    await page.getByText("is erased on this machine after 30 days").waitFor();
    expect((await alice.peer.retentions()).map(({ days }) => days)).toEqual([30]);
    await alice.peer.block("a".repeat(52));
    await page.goto(new URL("#/blocked", page.url()).href);
    await page.getByRole("button", { name: "Unblock" }).click();
    await page.getByText("Nobody.").waitFor();
    expect(alice.peer.blocked()).toEqual([]);
  });

  test("a device shows by which link another one takes it in", async () => {
    await page.goto(new URL("#/devices", page.url()).href);
    await page.getByText("it can take others in").waitFor();
    const tablet = await start("tablet", { name: "Alice" });
    await page.getByLabel("Paste the link of the new device").fill(await tablet.peer.deviceLink());
    await page.getByRole("button", { name: "Take it in" }).click();
    await page.getByText("Another one").waitFor();
    await page.getByText("has not answered yet").waitFor({ state: "detached" });
    await look("devices");
    await until(tablet.peer, () => tablet.peer.contacts().some(({ name }) => name === "Bob Ross"));
    await page.getByRole("button", { name: "It is lost" }).click();
    await page.getByRole("button", { name: "Really remove it" }).click();
    await page.getByText("Your contacts are told").waitFor();
    expect(alice.peer.devices().length).toBeLessThan(2);
    await tablet.close();
  });

  test("on a phone every page fits: nothing lies beside the screen, and what reads pages aloud finds its way", async () => {
    const to = `#/c/${alice.peer.contacts().find(({ name }) => name === "Bob Ross")?.id}`;
    const stranger = `#/c/${alice.peer.contacts().find(({ name }) => name?.includes("onerror"))?.id}`;
    await page.setViewportSize(PHONE);
    const beside: Record<string, unknown> = {};
    for (const [route, sign] of [
      ["#/", page.getByRole("link", { name: /Bob Ross/ })],
      [to, bubble("To all painters")],
      [stranger, bubble("javascript:")],
      [`${to}/about`, page.getByText("Mail for Bob Ross can wait")],
      ["#/add", page.getByRole("button", { name: "Make an invite" })],
      ["#/welcome", page.getByRole("button", { name: "Show my code" })],
      ["#/requests", page.getByRole("heading", { name: "Requests" })],
      ["#/outbox", page.getByRole("heading", { name: "Outbox" })],
      ["#/caches", page.getByLabel("Offer it to all of my contacts")],
      ["#/cache", page.getByRole("img", { name: /now, at most/ })],
      ["#/mesh", page.getByRole("row", { name: /Bob Ross/ })],
      ["#/devices", page.getByRole("heading", { name: "Devices" })],
      ["#/lists", page.getByRole("button", { name: "Write to them" })],
      ["#/blocked", page.getByText("Nobody.")],
      ["#/search", page.getByRole("searchbox")],
      ["#/settings", page.getByLabel("Your name")],
    ] as const) {
      await page.evaluate(`location.hash = ${JSON.stringify(route)}`);
      await sign.filter({ visible: true }).first().waitFor();
      if (route === "#/add") {
        await page.getByRole("button", { name: "Make an invite" }).click();
        await page.getByRole("img", { name: "QR code of your invite" }).waitFor();
      }
      beside[route] = await page.evaluate(BESIDE);
      if (ON_A_PHONE.has(route) || route === to) await judge(route === to ? "chat" : route, "light");
    }
    expect(Object.entries(beside).filter(([, all]) => (all as string[]).length > 0)).toEqual([]);
    expect(Object.keys(beside)).toHaveLength(16);
  });

  test("seven tabs are live by one connection, and when its tab is closed by that of another", async () => {
    await openBob();
    const tabs = await Promise.all(Array.from({ length: 6 }, () => context.newPage()));
    for (const tab of tabs) await tab.goto(page.url());
    const shows = (text: string, all: readonly Page[]) =>
      Promise.all(all.map((tab) => tab.locator(".bubble", { hasText: text }).waitFor({ timeout: WAIT_MS })));
    const id = bob.peer.contacts()[0]?.id ?? "";
    await shows("It waits for you", tabs);
    await bob.peer.send(id, "All of you, listen!");
    await shows("All of you, listen!", [page, ...tabs]);
    // The first page was there first, so it is the one that listens.
    const address = page.url();
    await page.goto("about:blank");
    await bob.peer.send(id, "Still there?");
    await shows("Still there?", tabs);
    await Promise.all(tabs.map((tab) => tab.close()));
    await page.goto(address);
    await shows("Still there?", [page]);
  });

  test("a conversation that is opened anew shows its end, and what is new counts as seen when it was on the screen", async () => {
    await page.setViewportSize({ width: 390, height: 500 });
    await page.reload();
    await bubble("Still there?").waitFor();
    const list = "document.querySelector('[aria-label=Messages]')";
    const below = () => page.evaluate(`${list}.scrollHeight - ${list}.clientHeight - ${list}.scrollTop`);
    // The last mail is there first, and then the page before it.
    await expect.poll(() => page.evaluate(`${list}.scrollTop`)).toBeGreaterThan(300);
    await expect.poll(below).toBeLessThan(1);
    // The messages scroll, and nothing around them does: what is read aloud alone must not make the document longer.
    expect(await page.evaluate("document.documentElement.scrollHeight")).toBe(500);
    const conversation = page.url();
    await page.keyboard.press("Escape");
    const id = bob.peer.contacts()[0]?.id ?? "";
    for (const text of ["First", "Second", "Third"]) await bob.peer.send(id, `${text}${"\nof many lines".repeat(12)}`);
    await page.getByText("3 unread").waitFor();
    // Opened once: a page that showed it for a moment would have seen the first already.
    await page.goto("about:blank");
    await page.goto(conversation);
    // It begins with what is new, and nothing is seen before its end was on the screen.
    await page.getByRole("button", { name: "2 new" }).click();
    await page.getByRole("button", { name: "1 new" }).click();
    await page.getByRole("button", { name: /new$/ }).waitFor({ state: "detached" });
    await expect.poll(below).toBeLessThan(1);
  });

  test("settings change the name and the look", async () => {
    await page.getByRole("link", { name: "Settings" }).click();
    await look("settings");
    await page.getByLabel("Your name").fill("Alice B.");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("Your contacts see it").waitFor();
    await until(bob.peer, () => bob.peer.contacts()[0]?.name === "Alice B.");
    await page.getByLabel("Dark").check();
    expect(await page.evaluate("document.documentElement.dataset.theme")).toBe("dark");
    await page.getByLabel("As the system").check();
    // In a browser of somebody else's nothing is kept.
    await page.getByLabel("Keep nothing in this browser").check();
    await expect.poll(record).toEqual({ count: 0 });
    await openBob();
    await bubble("It waits for you").waitFor();
    await page.getByRole("link", { name: "Settings" }).click();
    await page.getByLabel("Keep nothing in this browser").uncheck();
    await expect.poll(async () => (await record()).text).toContain("It waits for you");
  });

  test("while the daemon is away the page shows what it knew, and goes on when it is back", async () => {
    const port = Number(new URL(alice.webLink() ?? "").port);
    await openBob();
    await bubble("It waits for you").waitFor();
    await alice.close();
    await page.getByText("Restante does not answer. You see what was last known").waitFor();
    expect(await bubble("It waits for you").isVisible()).toBe(true);
    await look("away");
    // Opened anew it shows what the browser kept.
    await expect.poll(async () => (await record()).text).toContain("It waits for you");
    await page.reload();
    await page.getByText(/You see what was last known: (Today|Yesterday), \d/).waitFor();
    await bubble("It waits for you").waitFor();
    await page
      .getByRole("navigation")
      .getByRole("link", { name: /Bob Ross/ })
      .waitFor();
    await look("away-anew");
    await write("Not now, then.");
    await page.getByRole("alert").getByText("Restante does not answer. Is it running?").waitFor();
    expect(await page.getByLabel("Message to Bob Ross").inputValue()).toBe("Not now, then.");
    await page.getByLabel("Message to Bob Ross").fill("");
    await page.getByRole("link", { name: /Outbox/ }).click();
    await page.getByRole("button", { name: "Take back: Sent by a script." }).waitFor();
    await page.goBack();
    // Pages that know nothing now say no more than that: why stands above them.
    const conversation = page.url();
    for (const route of [
      `${new URL(conversation).hash}/about`,
      "#/mesh",
      "#/lists",
      "#/devices",
      "#/cache",
      "#/blocked",
    ]) {
      await page.evaluate(`location.hash = ${JSON.stringify(route)}`);
      await page.getByText("Not known while Restante does not answer.").waitFor();
      expect(await page.getByRole("alert").allInnerTexts()).toEqual([
        expect.stringContaining("You see what was last known"),
      ]);
      if (route === "#/mesh") await look("away-mesh");
    }
    // What lies there says nothing, and its key is handed out to no script.
    const { bytes, isBare } = await record();
    expect(isBare).toBe(false);
    for (const text of ["It waits for you", "Bob Ross", "Alice"]) expect(bytes).not.toContain(text);
    expect(await page.evaluate("JSON.stringify(localStorage)")).not.toMatch(/Bob|Alice|waits/);
    const kept = await page.evaluate(
      "caches.open('shell').then((all) => all.keys()).then((all) => all.map(({ url }) => url))",
    );
    expect((kept as string[]).filter((url) => !/\/$|\/assets\/[\w-]+\.\w+$|\/icon.svg$/.test(url))).toEqual([]);
    // Where requests are not even refused it shows the same, soon. After a month without the daemon it is erased.
    const tab = await context.newPage();
    await tab.route("**/v1/**", () => {});
    await tab.goto(conversation);
    await tab.locator(".bubble", { hasText: "It waits for you" }).waitFor();
    await tab.clock.setFixedTime(Date.now() + 31 * 86_400_000);
    await tab.reload();
    await expect.poll(record).toEqual({ count: 0 });
    await tab.close();
    alice = await start("alice", { echo: true, web: { port } });
    expect(alice.peer.status().serving).toBe("on");
    await page.getByText("Nobody.").waitFor();
    await page.goto(conversation);
    await bubble("It waits for you").waitFor();
    const [contact] = bob.peer.contacts();
    await bob.peer.send(contact?.id ?? "", "Welcome back.");
    await bubble("Welcome back.").waitFor();
    await expect.poll(async () => (await record()).text).toContain("Welcome back.");
  });

  test("a page whose later parts are gone, as with another version of the daemon, says so and is loaded anew", async () => {
    const other = await browser.newContext({ serviceWorkers: "block" });
    const old = await other.newPage();
    await old.goto(alice.webLink() ?? "");
    await old.getByRole("link", { name: /Bob Ross/ }).waitFor();
    await old.route(/assets\/(qr|decode)/, (route) => route.fulfill({ status: 404 }));
    for (const reach of [
      async () => {
        await old.goto(new URL("#/welcome", old.url()).href);
        await old.getByRole("button", { name: "Show my code" }).click();
      },
      async () => {
        await old.goto(new URL("#/add", old.url()).href);
        const buffer = Buffer.from(encodeQR("no matter what", "gif", { ecc: "low", scale: 3 }));
        const file = { name: "code.gif", mimeType: "image/gif", buffer };
        await old.getByLabel("Picture of a QR code").setInputFiles(file);
      },
    ]) {
      await reach();
      await old.getByText("A part of this page cannot be loaded.").waitFor();
      await Promise.all([old.waitForEvent("load"), old.getByRole("button", { name: "Load the page anew" }).click()]);
    }
    await old.unrouteAll();
    await old.goto(new URL("#/welcome", old.url()).href);
    await old.getByRole("button", { name: "Show my code" }).click();
    await old.getByRole("img", { name: "QR code of your invite" }).waitFor();
    await other.close();
  });

  test("a browser that is logged out from another one shows and keeps nothing any more, as soon as it hears of it", async () => {
    // It keeps no page, as after a warning of the certificate: then no mail either.
    const other = await browser.newContext({ serviceWorkers: "block" });
    const there = await other.newPage();
    await there.goto(alice.webLink() ?? "");
    await there.getByRole("link", { name: "Settings" }).click();
    await there.getByRole("button", { name: "Log out all others" }).click();
    await page.getByText("This page is locked").waitFor();
    await expect.poll(record).toEqual({ count: 0 });
    expect(await there.evaluate(RECORD)).toEqual({ count: 0 });
    await other.close();
    await page.goto(alice.webLink() ?? "");
    await openBob();
    await bubble("Welcome back.").waitFor();
    await expect.poll(async () => (await record()).text).toContain("Welcome back.");
  });

  test("after a logout the page is locked until the password is right, and nothing that it did was blocked or broke", async () => {
    await page.getByRole("link", { name: "Settings" }).click();
    // It is loaded anew, so that nothing of what it showed is left.
    await Promise.all([page.waitForEvent("load"), page.getByRole("button", { name: "Log out here" }).click()]);
    await page.getByText("This page is locked").waitFor();
    expect(await record()).toEqual({ count: 0 });
    expect(await page.evaluate("Object.keys(localStorage).filter((name) => name !== 'theme')")).toEqual([]);
    expect(await page.evaluate("window.broken")).toBeUndefined();
    expect(await page.getByText("Bob Ross").count()).toBe(0);
    const set = spawn(process.execPath, [CLI, "--home", join(dir, "alice"), "web", "password"], { stdio: "pipe" });
    set.stdin.end("a happy little tree\n");
    expect(await once(set, "exit")).toEqual([0, null]);
    await page.reload();
    await page.getByLabel("Password of this page").fill("an angry large tree");
    await page.getByRole("button", { name: "Open" }).click();
    await page.getByRole("alert").waitFor();
    await look("password");
    await page.getByLabel("Password of this page").fill("a happy little tree");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Settings" }).waitFor();
    expect(wrong).toEqual([]);
  });
});

/** What a camera sees before which somebody holds a QR code: one frame, as YUV4MPEG2. */
function filmOf(text: string): Buffer {
  const [width, height] = [640, 480];
  const code = encodeQR(text, "raw", { ecc: "low", border: 4 });
  const scale = Math.floor(height / code.length);
  const light = Buffer.alloc(width * height, 235);
  for (const [y, row] of code.entries())
    for (const [x, isDark] of row.entries())
      for (let line = y * scale; isDark && line < (y + 1) * scale; line++)
        light.fill(16, line * width + x * scale, line * width + (x + 1) * scale);
  const head = `YUV4MPEG2 W${width} H${height} F10:1 Ip A1:1 C420jpeg\nFRAME\n`;
  return Buffer.concat([Buffer.from(head), light, Buffer.alloc((width * height) / 2, 128)]);
}

/** Resolves when the peer has come so far. */
function until(peer: Peer, isSo: (status: ReturnType<Peer["status"]>) => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (!isSo(peer.status())) return;
      end();
      resolve();
    };
    const end = peer.on(look);
    look();
  });
}

/** What lies beyond the right edge, or could be scrolled there; not what an edge before it cuts off, with dots. */
const BESIDE = `[...document.querySelectorAll("*")].flatMap((one) => {
  const overflow = (of) => getComputedStyle(of).overflowX;
  const isScrolled = one === document.documentElement || ["auto", "scroll"].includes(overflow(one));
  let around = one;
  while (around && !["hidden", "clip"].includes(overflow(around))) around = around.parentElement;
  const isBeside = !around && one.getBoundingClientRect().right > innerWidth + 1;
  return isBeside || (isScrolled && one.scrollWidth > one.clientWidth + 1) ? [one.tagName + "." + one.className] : [];
})`;
/** What the browser keeps of the last state. `isBare`: whether its key could be taken along. */
const RECORD = `(async () => {
  const ask = (act) => new Promise((resolve, reject) => {
    const opening = indexedDB.open("last");
    opening.onupgradeneeded = () => opening.result.createObjectStore("last");
    opening.onerror = reject;
    opening.onsuccess = () => {
      const asked = act(opening.result.transaction("last").objectStore("last"));
      asked.onsuccess = () => resolve(asked.result);
      opening.result.close();
    };
  });
  const [count, { key, iv, box } = {}] = [await ask((store) => store.count()), await ask((store) => store.get("last"))];
  if (!box) return { count };
  const text = (bytes, kind) => new TextDecoder(kind).decode(bytes);
  const isBare = await crypto.subtle.exportKey("raw", key).then(() => true, () => false);
  const opened = text(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, box));
  return { count, isBare, bytes: text(box, "latin1"), text: opened };
})()`;
/** Those with most on them. */
const ON_A_PHONE = new Set(["#/mesh", "#/caches"]);
const WITH_LIST = new Set(["home", "chat", "requests"]);
const WAIT_MS = Number(process.env["WAIT_MS"] ?? 60_000);
const PHONE = { width: 390, height: 844 };
const DESKTOP = { width: 1280, height: 800 };
