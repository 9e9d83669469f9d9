/** The command line as its users have it: real processes of the built program, on loopback. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { untilAnswer } from "../../../../testing/until.ts";
import { Client } from "../api/client.ts";
import type { ContactList, OutboxList, StatusInfo, TrackInfo } from "../api/contract.ts";

const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
let dir: string;
const running = new Set<ChildProcess>();

beforeAll(() => {
  if (!existsSync(main)) throw new Error("the program is not built: npm run build");
  dir = mkdtempSync(join(tmpdir(), "restante-cli-"));
});
afterAll(() => {
  for (const child of running) child.kill("SIGKILL");
  rmSync(dir, { recursive: true });
});

interface Result {
  code: number | null;
  out: string;
  err: string;
}

function launch(args: readonly string[], cwd = dir): ChildProcess {
  const { npm_lifecycle_event: _, ...env } = process.env;
  const child = spawn(process.execPath, [main, ...args], { cwd, env: { ...env, XDG_STATE_HOME: join(dir, "state") } });
  running.add(child);
  child.on("exit", () => running.delete(child));
  return child;
}

/** Runs a command to its end. */
async function restante(args: readonly string[], { input = "" as string | Buffer, cwd = dir } = {}): Promise<Result> {
  const child = launch(args, cwd);
  child.stdin?.on("error", () => {}); // it may not want to read
  child.stdin?.end(input);
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error("no pipes");
  const [out, err, code] = await Promise.all([
    text(stdout),
    text(stderr),
    new Promise<number | null>((resolve) => child.on("exit", resolve)),
  ]);
  return { code, out, err };
}

/** A command that must succeed. Gives its stdout without the last line end. */
async function must(args: readonly string[], options: { input?: string | Buffer; cwd?: string } = {}): Promise<string> {
  const { code, out, err } = await restante(args, options);
  expect({ args, code, err }).toMatchObject({ code: 0 });
  return out.trimEnd();
}

interface Serving {
  ready: Record<string, string>;
  err(): string;
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** A command that runs until it is stopped. Resolves when it says that it is ready. */
async function serving(args: readonly string[]): Promise<Serving> {
  const child = launch(["--json", "--host", "127.0.0.1", ...(args.includes("--port") ? [] : ["--port", "0"]), ...args]);
  let out = "";
  let err = "";
  child.stderr?.on("data", (piece) => {
    err += piece;
  });
  const exit = new Promise<number | null>((resolve) => child.on("exit", resolve));
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout?.on("data", (piece) => {
      out += piece;
      if (out.includes("\n")) resolve(out);
    });
    exit.then((code) => reject(new Error(`${args.join(" ")} ended with ${code}: ${err}`)));
  });
  return {
    ready: JSON.parse(line),
    err: () => err,
    stop: (signal = "SIGTERM") => {
      child.kill(signal);
      return exit;
    },
  };
}

/** The API of the daemon of a home here, for what is asked often: a process each time would cost too much. */
const api = (name: string): Client => new Client(join(dir, name, "sock"));

const lines = (out: string): Record<string, unknown>[] =>
  out === "" ? [] : out.split("\n").map((line) => JSON.parse(line));

test("wrong use is told in one line on stderr, with its exit code", async () => {
  const nobody = ["--home", join(dir, "nobody")];
  const cases: [args: string[], code: number, says: RegExp, input: string | Buffer][] = [
    [[], 2, /a command is missing; see `node .* --help`/, ""],
    [["send", "bob"], 2, /the text is empty/, ""],
    [["send", "bob"], 2, /not UTF-8 text: send it as a file/, Buffer.of(0xff, 0xfe)],
    [["send", "bob"], 5, /too long for a text/, "x".repeat(600_000)],
    [["add"], 2, /give an invite in quotes/, ""],
    [["recv", "--json"], 3, /no daemon runs in .*nobody; `.* serve` starts one/, ""],
    [["recv", "--out", main], 2, /is a file; --out takes a folder/, ""],
    [["serve", "--advertise", "here"], 2, /argument 'here' is invalid\. It must be "host:port"/, ""],
  ];
  const results = await Promise.all(cases.map(([args, , , input]) => restante([...args, ...nobody], { input })));
  for (const [i, [args, code, says]] of cases.entries()) {
    const result = results[i];
    expect({ args, ...result }).toMatchObject({ code, out: "", err: expect.stringMatching(says) });
    expect(result?.err).toMatch(/^restante: [^\n]+\n$/);
  }
});

describe("a home", () => {
  test("has one daemon: a second is refused and leaves the first alone", async () => {
    const home = ["--home", join(dir, "single")];
    const first = await serving(["serve", ...home]);
    const second = await restante(["serve", "--port", "0", ...home]);
    expect(second).toMatchObject({ code: 5, out: "" });
    expect(second.err).toMatch(/^restante: process \d+ uses .*single already; [^\n]+\n$/);
    const status = JSON.parse(await must(["status", "--json", ...home]));
    expect(status).toMatchObject({ state: "running", hashname: first.ready["hashname"] });

    // A second one elsewhere takes the next port, and says so.
    const { port } = status.paths[0];
    const beside = await serving(["serve", "--home", join(dir, "beside"), "--port", String(port)]);
    expect(beside.err()).toMatch(new RegExp(`UDP port ${port} is taken; listening on \\d+`));
    expect(await Promise.all([first.stop("SIGINT"), beside.stop("SIGTERM")])).toEqual([0, 0]);
  });

  test("that others can read is refused, with what to do", async () => {
    const home = join(dir, "open");
    mkdirSync(home, { mode: 0o755 });
    expect(await restante(["serve", "--home", home])).toMatchObject({
      code: 5,
      err: expect.stringMatching(/^restante: other users can get at .*; close it with: chmod 700 .*\n$/),
    });
    chmodSync(home, 0o700);
    writeFileSync(join(home, "key"), randomBytes(32), { mode: 0o644 });
    expect(await restante(["serve", "--home", home])).toMatchObject({
      code: 5,
      err: expect.stringMatching(/^restante: other users can get at .*key; close it with: chmod 600 .*\n$/),
    });
  });
});

/** So many texts and files of this person are with a cache. */
const allHanded = (name: string, count: number): Promise<OutboxList> =>
  untilAnswer(
    api(name),
    () => api(name).call<OutboxList>("GET", "/v1/outbox"),
    ({ outbox }) => outbox.filter(({ kind, state }) => kind !== "card" && state === "handed").length === count,
  );

test("two people who are never there at the same time write to each other over a cache", async () => {
  const [a, b] = ["alice", "bob"].map((name) => ["--home", join(dir, name)]) as [string[], string[]];
  const files = join(dir, "files");
  const inbox = join(dir, "inbox");
  mkdirSync(files);
  mkdirSync(inbox);
  const content = randomBytes(300_000);
  writeFileSync(join(files, "photo.bin"), content);
  writeFileSync(join(inbox, "photo.bin"), "mine");

  // A cache: its identity is the one thing that it writes.
  const cacheHome = join(dir, "cache");
  const cache = await serving(["serve", "--cache-only", "--home", cacheHome]);
  expect(readdirSync(cacheHome)).toEqual(["identity.json"]);
  expect(statSync(join(cacheHome, "identity.json")).mode & 0o777).toBe(0o600);
  const join_ = cache.ready["joinLink"] ?? "";
  expect(await restante(["serve", "--cache-only", "--port", "0", "--home", cacheHome])).toMatchObject({
    code: 5,
    out: "",
    err: expect.stringMatching(/^restante: a cache uses .*cache already; stop it first, or use another home\n$/),
  });

  // They meet once, to become contacts.
  let bob = await serving(["serve", "--name", "bob", ...b]);
  await must(["cache", "join", join_, ...b]);
  const invite = await must(["invite", ...b]);
  let alice = await serving(["serve", "--name", "alice", ...a]);
  expect(await must(["cache", "join", ...a], { input: `${join_}\n` })).toBe(cache.ready["hashname"]);
  await must(["add", ...a], { input: invite });
  await untilAnswer(
    api("bob"),
    () => api("bob").call<ContactList>("GET", "/v1/contacts"),
    ({ contacts }) => contacts.some(({ name }) => name === "alice"),
  );
  expect(await must(["contacts", ...a])).toMatch(/^ID +LINK +VERIFIED +CACHES +NAME\n[0-9a-f]{12} +\w+ +no +1 +bob$/);
  expect(await Promise.all([bob.stop(), alice.stop()])).toEqual([0, 0]);

  // Bob is away. Alice writes, and goes.
  alice = await serving(["serve", ...a]);
  const piped = await must(["send", "bob", ...a], { input: "first line\nsecond line\n" });
  expect(piped).toMatch(/^[0-9a-f]{32}$/);
  const sent = await must(
    ["send", "bob", "and", "\x1b[31mtwo\x1b[0m", "files", "-f", "photo.bin", "--file", "photo.bin", ...a],
    { cwd: files },
  );
  const ids = sent.split("\n");
  expect(ids).toHaveLength(3);
  const late = await restante(["send", "bob", "soon?", "--wait", "0.2", ...a]);
  expect(late).toMatchObject({ code: 75, err: expect.stringContaining("1 mail not delivered yet") });
  await allHanded("alice", 5);
  expect(await must(["outbox", ...a])).toMatch(
    /^ID +STATE +SENT +WHAT +FOR +SAYS\n([0-9a-f]{12} {2}handed .* {2}bob( {2}.*)?\n?){5}$/,
  );
  expect(await must(["track", piped.slice(0, 8), ...a])).toMatch(/ {2}queued\n.* {2}handed +to cache \w{12}\n/);
  expect(await restante(["track", "ffffffff", ...a])).toMatchObject({
    code: 4,
    err: expect.stringContaining("outbox` lists"),
  });
  expect(await restante(["send", "carol", "hi", ...a])).toMatchObject({
    code: 4,
    err: expect.stringContaining("contacts` lists"),
  });
  expect(await alice.stop()).toBe(0);

  // Bob comes back.
  bob = await serving(["serve", ...b]);
  expect(bob.ready["hashname"]).toBeDefined();
  await untilAnswer(
    api("bob"),
    () => api("bob").call<StatusInfo>("GET", "/v1/status"),
    (status) => status.inbox === 5,
  );
  const got = lines(await must(["recv", "--json", "--out", inbox, ...b]));
  expect(got).toHaveLength(5);
  expect(new Set(got.map(({ id }) => id))).toEqual(new Set([piped, ...ids, late.out.trim()]));
  expect(got.find(({ id }) => id === piped)).toMatchObject({ name: "alice", text: "first line\nsecond line" });
  expect(readdirSync(inbox).sort()).toEqual(["photo (1).bin", "photo (2).bin", "photo.bin"]);
  expect(readFileSync(join(inbox, "photo.bin"), "utf8")).toBe("mine");
  expect(readFileSync(join(inbox, "photo (2).bin"))).toEqual(content);
  expect(await must(["recv", ...b])).toBe("");
  // What was printed can be printed again; its files are saved once more only where that was said.
  const again = lines(await must(["recv", "--all", "--json", ...b]));
  expect(again.map(({ id }) => id)).toEqual(got.map(({ id }) => id));
  expect(existsSync(join(dir, "photo.bin"))).toBe(false);
  await must(["recv", "--all", "--out", join(dir, "again"), ...b]);
  expect(readdirSync(join(dir, "again")).sort()).toEqual(["photo (1).bin", "photo.bin"]);
  expect(await must(["recv", ...b])).toBe("");
  // His answer waits for her at the cache.
  await must(["send", ...b, "alice", "--", "-- thanks"]);
  await allHanded("bob", 1);
  expect(await bob.stop()).toBe(0);

  alice = await serving(["serve", ...a]);
  await untilAnswer(
    api("alice"),
    () => api("alice").call<TrackInfo>("GET", `/v1/outbox/${piped}`),
    ({ state }) => state === "delivered",
  );
  const thanks = await untilAnswer(
    api("alice"),
    () => must(["recv", ...a]),
    (out) => out !== "",
  );
  expect(thanks).toMatch(/^\S+ \S+ {2}bob {2}-- thanks$/);
  await alice.stop();
  expect(await cache.stop()).toBe(0);
  expect(readdirSync(cacheHome)).toEqual(["identity.json"]);
});

test("start runs an echo peer, prints an invite and commands that work", async () => {
  const home = ["--home", join(dir, "start")];
  const child = launch(["start", "--host", "127.0.0.1", "--port", "0", "--qr", "--name", "eve", ...home]);
  let out = "";
  await new Promise<void>((resolve) => {
    child.stdout?.on("data", (piece) => {
      out += piece;
      if (out.includes("Ctrl-C")) resolve();
    });
  });
  expect(out).toMatch(/^link:\/\/127\.0\.0\.1:\d+\/\?cs3a=\S+$/m);
  expect(out).toMatch(/█▀▀▀▀▀▀▀█/);
  // What it says to try, as it says it.
  const commands = [...out.matchAll(/^ {2}node \S+ (.*)$/gm)].map(([, args = ""]) => args.split(" "));
  expect(commands.map((args) => args[2])).toEqual(["send", "recv", "add", "status", "--help"]);
  expect(await must(commands[0] ?? [])).toMatch(/^[0-9a-f]{32}$/);
  const answer = await untilAnswer(
    api("start"),
    () => must(commands[1] ?? []),
    (it) => it !== "",
  );
  expect(answer).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d {2}echo {2}echo: hello$/);
  expect(await must(commands[3] ?? [])).toContain("running");

  // A reader that follows gets what comes, and ends by a signal as it should.
  const follower = launch(["recv", "--follow", "--json", ...home]);
  const first = new Promise<string>((resolve) => follower.stdout?.once("data", (piece) => resolve(String(piece))));
  expect((await restante(["send", "echo", "again", "\x1b[2J", "--wait", "100", ...home])).code).toBe(0);
  expect(JSON.parse(await first)).toMatchObject({ n: 2, kind: "text", text: "echo: again \x1b[2J" });
  const ended = new Promise((resolve) => follower.on("exit", resolve));
  follower.kill("SIGINT");
  expect(await ended).toBe(0);

  const exit = new Promise((resolve) => child.on("exit", resolve));
  child.kill("SIGINT");
  expect(await exit).toBe(0);
  // At the next start the echo peer is the same contact.
  const again = await serving(["start", ...home]);
  expect(lines(await must(["contacts", "--json", ...home])).map(({ name }) => name)).toEqual(["echo"]);
  expect((await restante(["send", "echo", "still there?", "--wait", "100", ...home])).code).toBe(0);
  expect(await again.stop()).toBe(0);
});
