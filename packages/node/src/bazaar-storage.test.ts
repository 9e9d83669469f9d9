import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chatMessage, identityFromSeed } from "@restante/bazaar/format";
import { portable } from "restante";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type BazaarSettings, type DaemonBazaar, openDaemonBazaar } from "./bazaar.ts";

const isStrict = process.env["CI_STRICT"] === "1";
const hasServer = spawnSync("/usr/sbin/lighttpd", ["-v"]).status === 0;
if (!hasServer && !isStrict) console.log("lighttpd is not there: a daemon's WebDAV storage is NOT tested");

test("a WebDAV server is there to test with, or nobody asked for it (CI_STRICT=1)", () => {
  expect(hasServer || !isStrict).toBe(true);
});

describe.skipIf(!hasServer)("what a daemon sends by the bazaar lies in a web store", () => {
  let dir = "";
  let box = "";
  let url = "";
  let server: ChildProcess;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "restante-dav-"));
    box = join(dir, "root", "box");
    await mkdir(box, { recursive: true });
    await writeFile(join(dir, "users"), "anna:right\n");
    for (const [name, password] of Object.entries({ right: "right\n", wrong: "wrong\n", empty: "\n" }))
      await writeFile(join(dir, name), password, { mode: 0o600 });
    await writeFile(join(dir, "open"), "right\n", { mode: 0o644 });
    const port = await freePort();
    await writeFile(join(dir, "lighttpd.conf"), config(port));
    server = spawn("/usr/sbin/lighttpd", ["-D", "-f", join(dir, "lighttpd.conf")], { stdio: "ignore" });
    url = `http://127.0.0.1:${port}/box/`;
    await vi.waitFor(async () => expect((await fetch(url)).status).toBeLessThan(500), {
      timeout: 60_000,
      interval: 20,
    });
  });
  afterAll(async () => {
    const gone = once(server, "exit");
    server.kill();
    await gone;
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
    const opened = await start({ storage: { url, user: "anna", passwordFile: join(dir, "right") } });
    const message = chatMessage({ text: "hello", subject: "", time: { seconds: 1_700_000_000, nanos: 0 } });
    const { id, publicKey } = identityFromSeed(new Uint8Array(32).fill(9));
    const to = { id, publicKey };
    if (message === undefined) throw new Error("no chat");
    await opened.route.bazaar()?.send({ ref: "one", to, message });
    const names = async (): Promise<string[]> => (await readdir(box)).filter((name) => /^[0-9a-f]{64}$/.test(name));
    await vi.waitFor(async () => expect(await names()).toHaveLength(1), { timeout: 60_000, interval: 20 });
    expect(await readdir(join(dir, "home", "outbox"))).toEqual([]);
    const [name = ""] = await names();
    expect((await readFile(join(box, name))).includes("hello")).toBe(false);
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
    const storage = { url, user: "anna", passwordFile: join(dir, file) };
    await expect(start({ storage })).rejects.toThrow(words);
    await stop(await start({}));
  });

  test("a store that is none, and a user without a password, are said at the start", async () => {
    await expect(start({ storage: { url: "ftp://a/" } })).rejects.toThrow("https://host/folder/");
    await expect(start({ storage: { url, user: "anna" } })).rejects.toThrow("no file with the password");
    await expect(start({ local: false, storage: { url } })).rejects.toMatchObject({ code: "storage-unusable" });
  });

  function config(port: number): string {
    return `
server.document-root = "${join(dir, "root")}"
server.port = ${port}
server.bind = "127.0.0.1"
server.modules = ("mod_auth", "mod_authn_file", "mod_webdav")
auth.backend = "plain"
auth.backend.plain.userfile = "${join(dir, "users")}"
webdav.activate = "enable"
$HTTP["request-method"] !~ "^(GET|HEAD)$" {
  auth.require = ("" => ("method" => "basic", "realm" => "box", "require" => "valid-user"))
}
`;
  }
});

/** From below those that a system gives to whoever asks for any: so it still is free when its server starts. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 22_000);
    const server = createServer().listen(port, "127.0.0.1");
    const isFree = await once(server, "listening").then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}
