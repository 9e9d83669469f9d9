/**
 * What docs/cli.md, cache.md, identity.md, store.md, bazaar.md and api.md have somebody type who has a contact called bob: each line as
 * it stands there, in a home that is the default one. The last test sees that none was left out.
 */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@restante/client";
import { socketFetch } from "@restante/client/node";
import { type Daemon, startDaemon } from "@restante/node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { blocks, page, ROOT } from "./page.ts";
import { ended, homeOf, startShell } from "./shell.ts";

const CLI = join(ROOT, "packages/node/dist/cli/main.js");
const PAGES = ["docs/cli.md", "docs/cache.md", "docs/identity.md", "docs/store.md", "docs/bazaar.md"];
/** Of docs/cache.md, in other tests: operators.test.ts. */
const ELSEWHERE = /^(?:sudo |curl |node )/;
/** docs/bazaar.md writes ids short. */
const PEER_ID = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA";

let dir: string;
let alice: Daemon;
let bob: Daemon;
const running = new Set<ChildProcess>();
const ran = new Set<string>();
const apiOf = (daemon: Daemon) => createClient({ fetch: socketFetch(daemon.socket) });

beforeAll(async () => {
  if (!existsSync(CLI)) throw new Error("the program is not built: npm run build");
  dir = mkdtempSync(join(tmpdir(), "restante-guides-"));
  for (const folder of ["bin", "photos"]) mkdirSync(join(dir, folder));
  file("bin/restante", `#!/bin/sh\nexec "${process.execPath}" "${CLI}" "$@"\n`, 0o755);
  file("bot", '#!/bin/sh\ncat > /dev/null\necho "$1: $RESTANTE_MAIL_KIND of $RESTANTE_MAIL_NAME"\n', 0o755);
  file("words", "correct horse battery staple\n", 0o600);
  file("letter.txt", "Dear Bob,\n", 0o644);
  symlinkSync(join(ROOT, "node_modules"), join(dir, "node_modules"));
  const local = { host: "127.0.0.1", port: 0, say: () => {} };
  [alice, bob] = await Promise.all([
    startDaemon({ ...local, home: join(dir, ".local/state/restante"), name: "alice" }),
    startDaemon({ ...local, home: join(dir, "bob"), name: "bob" }),
  ]);
  const known = new Promise((resolve) => bob.peer.on((event) => event.type === "contact" && resolve(event)));
  await apiOf(alice).call("addContact", await apiOf(bob).call("invite", {}));
  await known;
});
afterAll(async () => {
  for (const child of running) child.kill("SIGKILL");
  await Promise.all([alice?.close(), bob?.close()]);
  rmSync(dir, { recursive: true, force: true });
});

function file(name: string, text: string, mode: number): void {
  writeFileSync(join(dir, name), text);
  chmodSync(join(dir, name), mode);
}

/** The commands of a page, without what is said beside them. */
function commands(name: string): string[] {
  const typed = blocks(page(name)).filter(({ language }) => language === "indented" || language === "sh");
  const lines = typed.flatMap(({ text }) =>
    text
      .replaceAll(/\\\n\s*/g, "")
      .trim()
      .split("\n"),
  );
  return lines.map((line) => line.replace(/(?: {2,}| # ).*$/, "").trim()).filter((line) => !ELSEWHERE.test(line));
}

function command(name: string, start: string): string {
  const found = commands(name).find((line) => line.startsWith(start) && !ran.has(`${name}: ${line}`));
  if (found === undefined) throw new Error(`${name} has no command "${start}" any more`);
  ran.add(`${name}: ${found}`);
  return found;
}

function shell(text: string, more: NodeJS.ProcessEnv = {}): ChildProcess {
  return startShell(running, text, { cwd: dir, env: homeOf(dir, more) });
}

/** A command that ends, and ends well. Gives what it printed on stdout. */
async function done(text: string, more?: NodeJS.ProcessEnv): Promise<string> {
  const { code, out, err } = await ended(shell(text, more));
  expect({ text, code, err }).toMatchObject({ code: 0 });
  return out;
}

/** A command that goes on, until it has said this. */
async function says(text: string, wanted: RegExp): Promise<ChildProcess> {
  const child = shell(`exec ${text}`);
  let said = "";
  await new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr])
      stream?.on("data", (piece) => {
        said += piece;
        if (wanted.test(said)) resolve();
      });
    child.once("close", (code) => reject(new Error(`${text} ended with ${code}: ${said}`)));
  });
  return child;
}

async function stop(child: ChildProcess): Promise<void> {
  const exit = once(child, "exit");
  child.kill();
  await exit;
}

/** Mail of bob's that has come. */
async function comes(text: string): Promise<void> {
  const here = new Promise<void>((resolve) => alice.peer.on((event) => event.type === "mail" && resolve()));
  await apiOf(bob).call("send", { contact: "alice", text });
  await here;
}

test("docs/cli.md: pipes, a program for each mail, files for somebody", async () => {
  const name = "docs/cli.md";
  expect(await done(command(name, "df -h"))).toMatch(/^[0-9a-f]{32}\n$/);
  expect(await done(command(name, "restante send bob hello"))).toMatch(/^[0-9a-f]{32}\n$/);
  await comes("for recv");
  expect(JSON.parse(await done(command(name, "restante recv --json")))).toMatchObject({ text: "for recv" });
  await comes("for the bot");
  await stop(await says(command(name, "restante recv --follow"), /--quiet: text of bob\n/));
  await done(command(name, "restante seal"));
  rmSync(join(dir, "letter.txt"));
  await done(command(name, "restante open"));
  expect(readFileSync(join(dir, "letter.txt"), "utf8")).toBe("Dear Bob,\n");
  await done(command(name, "tar c photos"));
  expect(await done("restante open photos.sealed --out - | tar t")).toBe("photos/\n");
});

test("docs/store.md: erased after some days, for whom, and for ever", async () => {
  const name = "docs/store.md";
  await done(command(name, "restante keep bob 30"));
  expect(await done(command(name, "restante keep"))).toMatch(/ 30 +bob$/m);
  await done(command(name, "restante keep bob --for-ever"));
  expect(await done("restante keep")).not.toContain("bob");
});

test("docs/api.md: calls by JSON-RPC, and the client package", async () => {
  const calls = blocks(page("docs/api.md")).filter(({ text }) => text.startsWith('{"jsonrpc"'));
  expect(calls).toHaveLength(2);
  const [a, b] = [alice.peer.hashname, bob.peer.hashname];
  file("calls", calls.map(({ text }) => text.replace("MESH", a).replace("HASHNAME", b)).join(""), 0o600);
  const answers = (await done("restante rpc < calls"))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(answers).toContainEqual({ jsonrpc: "2.0", id: 1, result: { id: expect.stringMatching(/^[0-9a-f]{32}$/) } });
  expect(answers).toContainEqual({
    jsonrpc: "2.0",
    id: 1,
    result: { c: expect.any(Number), chan: expect.any(String) },
  });

  const program = blocks(page("docs/api.md")).find(({ language }) => language === "ts")?.text ?? "";
  expect(program).toContain("/home/you/");
  file("client.mjs", program.replace("/home/you", dir), 0o600);
  let heard = "";
  const child = shell(`exec "${process.execPath}" client.mjs`);
  child.stdout?.on("data", (piece) => {
    heard += piece;
  });
  // It hears what happens from the moment on when it listens.
  const heardOfNext = async () => {
    await apiOf(bob).call("send", { contact: "alice", text: "for the client" });
    return heard;
  };
  await expect.poll(heardOfNext).toMatch(/^mail [\s\S]*for the client/m);
  await stop(child);
});

test("docs/bazaar.md: settings that there are", async () => {
  const text = command("docs/bazaar.md", "restante serve --bazaar").replaceAll("12D3KooW...", PEER_ID);
  expect(await done(text.replace("serve", "config show"))).toMatch(/\[bazaar\][\s\S]*push.example/);
});

test("docs/cache.md: a cache of one's own, offered to a contact, who uses it; and one that routes", async () => {
  const name = "docs/cache.md";
  expect(await done(command(name, "restante cache serve on"))).toMatch(/^link:\/\/\S+$/m);
  await done(command(name, "restante cache offer on"));
  const offered = async () => (await apiOf(bob).call("offers")).offers.length;
  await expect.poll(offered).toBe(1);
  await done(command(name, "restante cache join alice"), { RESTANTE_HOME: join(dir, "bob") });
  await stop(
    await says(
      `${command(name, "restante serve --cache-only --route")} --home router --host 127.0.0.1 --port 0`,
      /link:\/\//,
    ),
  );
});

test("docs/identity.md: into one file and out of it, a passphrase, one more identity", async () => {
  const name = "docs/identity.md";
  const here = "--host 127.0.0.1 --port 0";
  const words = "--passphrase-file words";
  await alice.close();
  await done(`${command(name, "restante identity export")} ${words}`);
  await done(`${command(name, "restante --home ./new identity import")} ${words}`);
  await stop(await says(`${command(name, "restante --home ./new serve")} ${here}`, /: running/));
  await done(`${command(name, "restante key protect")} ${words}`);
  await done(`${command(name, "restante key unprotect")} ${words}`);
  await done(command(name, "restante identity create work"));
  const both = await says(`${command(name, "restante serve")} ${here}`, /\bwork/);
  expect(await done(command(name, "restante --identity work invite"))).toMatch(/^link:/);
  await stop(both);
});

test("every command of these pages was run", () => {
  const all = PAGES.flatMap((name) => commands(name).map((line) => `${name}: ${line}`));
  expect([...ran].toSorted()).toEqual([...new Set(all)].toSorted());
});
