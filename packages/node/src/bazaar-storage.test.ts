import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chatMessage, identityFromSeed } from "@restante/bazaar/format";
import { portable } from "restante";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { hasWebDav, startWebDav, type WebDav } from "../../../testing/web-dav.ts";
import { type BazaarSettings, type DaemonBazaar, openDaemonBazaar } from "./bazaar.ts";

const isStrict = process.env["CI_STRICT"] === "1";
const hasServer = hasWebDav();
if (!hasServer && !isStrict) console.log("lighttpd is not there: a daemon's WebDAV storage is NOT tested");

test("a WebDAV server is there to test with, or nobody asked for it (CI_STRICT=1)", () => {
  expect(hasServer || !isStrict).toBe(true);
});

describe.skipIf(!hasServer)("what a daemon sends by the bazaar lies in a web store", () => {
  let dir = "";
  let server: WebDav;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "restante-dav-"));
    for (const [name, password] of Object.entries({ right: "right\n", wrong: "wrong\n", empty: "\n" }))
      await writeFile(join(dir, name), password, { mode: 0o600 });
    await writeFile(join(dir, "open"), "right\n", { mode: 0o644 });
    server = await startWebDav(dir, "anna", "right");
  });
  afterAll(async () => {
    await server.stop();
    await rm(dir, { recursive: true });
  });

  /** The bazaar of a daemon, running: nobody else is there. */
  async function start(settings: BazaarSettings): Promise<DaemonBazaar> {
    const opened = await openDaemonBazaar({
      ...{ dir: join(dir, "home"), key: new Uint8Array(32).fill(7), backend: portable, say: () => {}, local: true },
      ...settings,
    });
    try {
      await opened.route.start({ brought: async () => true });
    } catch (error) {
      await opened.close();
      throw error;
    }
    return opened;
  }

  async function stop(opened: DaemonBazaar): Promise<void> {
    await opened.route.stop();
    await opened.close();
  }

  test("[D20] [X37] under its hash, sealed, put there with the password of the file, and not in the home", async () => {
    const opened = await start({ storage: { url: server.url, user: "anna", passwordFile: join(dir, "right") } });
    const message = chatMessage({ text: "hello", subject: "", time: { seconds: 1_700_000_000, nanos: 0 } });
    const { id, publicKey } = identityFromSeed(new Uint8Array(32).fill(9));
    const to = { id, publicKey };
    if (message === undefined) throw new Error("no chat");
    await opened.route.bazaar()?.send({ ref: "one", to, message });
    const names = async (): Promise<string[]> =>
      (await readdir(server.box)).filter((name) => /^[0-9a-f]{64}$/.test(name));
    await vi.waitFor(async () => expect(await names()).toHaveLength(1), { timeout: 60_000, interval: 20 });
    expect(await readdir(join(dir, "home", "outbox"))).toEqual([]);
    const [name = ""] = await names();
    expect((await readFile(join(server.box, name))).includes("hello")).toBe(false);
    await stop(opened);
  });

  test.each<[string, string, string | RegExp]>([
    [
      "a wrong password",
      "wrong",
      /store at 127\.0\.0\.1:\d+ cannot be used: it refused with status 401: the user or the password is wrong/,
    ],
    ["a file that others can read", "open", /chmod 600/],
    ["a file with nothing in it", "empty", "has no password in its first line"],
    ["no such file", "nothing", "there is no file"],
  ])("%s is said at the start, with what to do, and the home is free again", async (_, file, words) => {
    const storage = { url: server.url, user: "anna", passwordFile: join(dir, file) };
    await expect(start({ storage })).rejects.toThrow(words);
    await stop(await start({}));
  });

  test("a store that is none, and a user without a password, are said at the start", async () => {
    await expect(start({ storage: { url: "ftp://a/" } })).rejects.toThrow("https://host/folder/");
    await expect(start({ storage: { url: server.url, user: "anna" } })).rejects.toThrow("no file with the password");
    await expect(start({ local: false, storage: { url: server.url } })).rejects.toMatchObject({
      code: "storage-unusable",
    });
  });
});
