/** Commands with a pair of daemons: chat, ping, recv with a program, what a shell completes, seal and open; then these without them. */
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { RestanteError } from "restante";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { Client } from "../api/client.ts";
import type { InviteInfo, SeenInfo } from "../api/contract.ts";
import { type Daemon, startDaemon } from "../daemon.ts";
import { chat } from "./chat.ts";
import { complete, completionScript } from "./completion.ts";
import { wayText } from "./contact.ts";
import { EXIT, failureOf } from "./failure.ts";
import { mesh } from "./mesh.ts";
import { ping } from "./ping.ts";
import { createProgram } from "./program.ts";
import { recv } from "./recv.ts";
import { tellRunning } from "./running.ts";
import type { Screen } from "./screen.ts";
import { open, seal } from "./sealed.ts";
import { addWebhook, removeWebhook, webhooks } from "./webhooks.ts";

const dir = mkdtempSync(join(tmpdir(), "restante-talk-"));
const forever = new AbortController().signal;
let [alice, bob]: Daemon[] = [];
let invite = "";
let [toAlice, toBob]: Client[] = [];

beforeAll(async () => {
  const start = (name: string): Promise<Daemon> =>
    startDaemon({ host: "127.0.0.1", port: 0, say: () => {}, home: join(dir, name), name });
  [alice, bob] = [await start("alice"), await start("bob")];
  [toAlice, toBob] = [new Client(alice.socket), new Client(bob.socket)];
  const { link } = await toBob.call<InviteInfo>("POST", "/v1/invites", {});
  invite = link;
  await toAlice.call("POST", "/v1/contacts", { link });
  await until(() => bob?.peer.contacts().length === 1);
});
afterAll(async () => {
  for (const daemon of [alice, bob]) await daemon?.close();
  rmSync(dir, { recursive: true });
});

const until = (isSo: () => boolean): Promise<void> =>
  vi.waitFor(() => expect(isSo()).toBe(true), { timeout: 60_000, interval: 10 });

/** Mail number `n` is in the inbox: its number is known a moment before it can be read. */
const came = (daemon: Daemon, n: number): Promise<void> =>
  vi.waitFor(async () => expect(await daemon.peer.inbox({ after: n - 1 })).not.toEqual([]), {
    timeout: 60_000,
    interval: 10,
  });

function ends(): { toAlice: Client; toBob: Client; bob: Daemon } {
  if (!toAlice || !toBob || !bob) throw new Error("the daemons do not run");
  return { toAlice, toBob, bob };
}

function screenOf({ json = false, isTerminal = false } = {}): { screen: Screen; out: string[]; said: string[] } {
  const [out, said]: [string[], string[]] = [[], []];
  const screen: Screen = {
    ...{ json, isTerminal, hasColor: false, columns: 80 },
    out: (line) => void out.push(line.replace(/^\d{4}-\d\d-\d\d \d\d:\d\d {2}/, "")),
    say: (line) => void said.push(line),
    paint: (_, text) => text,
  };
  return { screen, out, said };
}

test("without a terminal a chat sends each line of its input, prints what comes, and ends with its input", async () => {
  const { toAlice, toBob, bob } = ends();
  const { screen, out, said } = screenOf();
  const stage = { input: new PassThrough(), output: new PassThrough(), isTerminal: false };
  const over = chat(screen, toAlice, "bob", { limit: 20 }, stage, forever);
  stage.input.write("one\n\ntwo\n");
  await came(bob, 2);
  await toBob.call("POST", "/v1/messages", { contact: "alice", text: "\u001b[2Jthree\nfour" });
  await until(() => out.length === 2);
  // A line that cannot be sent is told, and the next one goes.
  stage.input.end(`${"x".repeat(30_000)}\nfive`);
  expect(await over).toBe(EXIT.degraded);
  expect(out).toEqual(["bob  \uFFFD[2Jthree", "  four"]);
  expect(said).toEqual([expect.stringMatching(/^restante: /)]);
  await came(bob, 3);
  expect((await bob.peer.inbox()).map(({ text }) => text)).toEqual(["one", "two", "five"]);
});

test("as JSON a chat tells mail and states, one a line", async () => {
  const { toAlice, toBob } = ends();
  await until(() => alice?.peer.outbox().every(({ state }) => state !== "queued" && state !== "handed") ?? false); // those before
  const { screen, out } = screenOf({ json: true });
  const stage = { input: new PassThrough(), output: new PassThrough(), isTerminal: true };
  const over = chat(screen, toAlice, "bob", { limit: 20 }, stage, forever);
  stage.input.write("json\n");
  await until(() => out.some((line) => line.includes('"delivered"')));
  await toBob.call("POST", "/v1/messages", { contact: "alice", text: "back" });
  await until(() => out.some((line) => line.includes('"back"')));
  stage.input.end();
  expect(await over).toBe(EXIT.done);
  const events = out.map((line) => JSON.parse(line) as { type: string; state?: string; id: string });
  expect(events[0]).toMatchObject({ type: "state", state: "queued" });
  expect(new Set(events.filter(({ type }) => type === "state").map(({ id }) => id))).toEqual(new Set([events[0]?.id]));
});

test("at a terminal a chat begins with the last mails, keeps the typed line below what comes, and obeys its commands", async () => {
  const { toAlice, toBob, bob } = ends();
  const { screen } = screenOf({ isTerminal: true });
  const stage = { input: new PassThrough(), output: new PassThrough(), isTerminal: true };
  let seen = "";
  stage.output.on("data", (piece) => {
    seen += stripVTControlCharacters(String(piece));
  });
  const before = bob.peer.status().inbox;
  const over = chat(screen, toAlice, "bob", { limit: 3 }, stage, forever);
  await until(() => seen.includes("bob is there. Ctrl-D ends"));
  expect(seen).toContain("bob  back");
  expect(seen).not.toContain("you  one");
  stage.input.write("half a");
  await toBob.call("POST", "/v1/messages", { contact: "alice", text: "meanwhile" });
  await until(() => /bob {2}meanwhile\n+> half a/.test(seen));
  stage.input.write(" line\r");
  await until(() => seen.includes("you  half a line") && seen.includes("  delivered: half a line"));
  stage.input.write("/frob\r//slash\r/file nowhere\r/save\r");
  await until(() => seen.includes("there is no /frob") && seen.includes("no file of bob was shown here"));
  expect(seen).toContain('there is no file "nowhere"');
  expect(seen).toContain("you  /slash");
  stage.input.write("/quit\r");
  expect(await over).toBe(EXIT.degraded);
  await came(bob, before + 2);
  expect((await bob.peer.inbox({ after: before })).map(({ text }) => text)).toEqual(["half a line", "/slash"]);
});

test("nobody is chatted with who is no contact; what chat shows is still new to recv", async () => {
  const { toAlice } = ends();
  const stage = { input: new PassThrough(), output: new PassThrough(), isTerminal: false };
  await expect(chat(screenOf().screen, toAlice, "carol", { limit: 1 }, stage, forever)).rejects.toMatchObject({
    code: "not-found",
  });
  expect(await toAlice.call<SeenInfo>("GET", "/v1/seen")).toEqual({ n: 0 });
});

/** A program for `recv --exec` that appends what it is given to a file, and fails at mail that says so. */
const PROGRAM = `
const chunks = [];
process.stdin.on("data", (piece) => chunks.push(piece)).on("end", () => {
  const { RESTANTE_MAIL_N: n, RESTANTE_MAIL_NAME: name, RESTANTE_MAIL_FILE: file } = process.env;
  const mail = JSON.parse(Buffer.concat(chunks));
  const log = process.argv[1];
  const lines = require("fs").existsSync(log) ? require("fs").readFileSync(log, "utf8") : "";
  require("fs").appendFileSync(log, JSON.stringify({ n, name, file, text: mail.text }) + "\\n");
  process.exitCode = mail.text === "twice" && !lines.includes("twice") ? 3 : 0;
});`;

test("recv gives each mail to a program; the position moves with its success, and no further", async () => {
  const { toAlice, toBob, bob } = ends();
  const log = join(dir, "log");
  const out = join(dir, "files");
  mkdirSync(out);
  const hook = { program: process.execPath, args: ["-e", PROGRAM, log], isShell: false };
  const run = (screen: Screen, more = {}): Promise<number> => recv(screen, toBob, { out, hook, ...more });
  const given = (): unknown[] =>
    readFileSync(log, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  const position = async (): Promise<number> => (await toBob.call<SeenInfo>("GET", "/v1/seen")).n;
  const first = bob.peer.status().inbox;
  await toBob.call("PUT", "/v1/seen", { n: first });
  await toAlice.call("POST", "/v1/messages", { contact: "bob", text: "$(touch x); `id`" });
  await toAlice.call("POST", "/v1/messages", { contact: "bob", text: "twice" });
  await came(bob, first + 2);

  const { screen, out: printed, said } = screenOf();
  expect(await run(screen)).toBe(EXIT.degraded);
  expect(printed).toEqual([]);
  expect(said).toEqual([expect.stringMatching(/^restante: mail \d+: .* ended with exit code 3; it stays new$/)]);
  expect(await position()).toBe(first + 1);
  expect(given()).toEqual([
    { n: String(first + 1), name: "alice", file: "", text: "$(touch x); `id`" },
    { n: String(first + 2), name: "alice", file: "", text: "twice" },
  ]);
  // The next time it goes on with the one that failed.
  expect(await run(screen)).toBe(EXIT.done);
  expect(await position()).toBe(first + 2);
  expect(given()).toHaveLength(3);
  expect(given()[2]).toMatchObject({ text: "twice" });

  // What follows is retried until it is done; a file is saved once for all tries, and not left there in vain.
  rmSync(log);
  const stop = new AbortController();
  const following = recv(screen, toBob, { out, hook, follow: true, retryMs: [0] }, stop.signal);
  await toAlice.call("POST", "/v1/messages", { contact: "bob", text: "twice" });
  await until(() => said.some((line) => line.includes("it gets it again in 0 s")));
  await vi.waitFor(async () => expect(await position()).toBe(first + 3), { timeout: 60_000 });
  stop.abort();
  expect(await following).toBe(EXIT.done);
  expect(given()).toHaveLength(2);

  await toAlice.upload("/v1/files?contact=bob&name=a.txt", PassThrough.from(["bytes"]));
  await came(bob, first + 4);
  expect(await recv(screen, toBob, { out, hook: { program: "/bin/sh", args: ["-c", "exit 1"], isShell: false } })).toBe(
    EXIT.degraded,
  );
  expect(readdirSync(out)).toEqual([]);
  await expect(
    recv(screen, toBob, { out, hook: { program: join(dir, "none"), args: [], isShell: false } }),
  ).rejects.toMatchObject({ code: "no-file" });
  expect(await position()).toBe(first + 3);
  rmSync(join(out, "a.txt"), { force: true });
  const line = { program: 'cat > "$1"; test -s "$RESTANTE_MAIL_FILE"', args: [log], isShell: true };
  expect(await recv(screen, toBob, { out, hook: line })).toBe(EXIT.done);
  expect(JSON.parse(readFileSync(log, "utf8"))).toMatchObject({ file: { name: "a.txt", saved: join(out, "a.txt") } });
  expect(readFileSync(join(out, "a.txt"), "utf8")).toBe("bytes");

  // What the page has shown, or another program was given, is new to it all the same; and given to each once.
  await toAlice.call("POST", "/v1/messages", { contact: "bob", text: "seen elsewhere" });
  await came(bob, first + 5);
  await toBob.call("PUT", "/v1/seen", { n: first + 5, reader: "page" });
  await toBob.call("PUT", "/v1/seen", { n: first + 4, reader: "second" });
  rmSync(log);
  for (const [reader, texts] of [
    [{}, 1] as const,
    [{ reader: "second" }, 2] as const,
    [{ reader: "second" }, 2] as const,
  ]) {
    expect(await run(screen, reader)).toBe(EXIT.done);
    expect(given()).toHaveLength(texts);
  }
  expect(given()).toMatchObject([{ text: "seen elsewhere" }, { text: "seen elsewhere" }]);
});

test("a shell is given commands, options, and the names that the daemon knows", async () => {
  const program = createProgram(
    () => {},
    () => forever,
  );
  const home = join(dir, "alice");
  const given = async (...words: string[]): Promise<string[]> => {
    const { screen, out, said } = screenOf();
    expect(await complete(screen, program, words)).toBe(EXIT.done);
    expect(said).toEqual([]);
    return out;
  };
  expect(await given("se")).toEqual(["serve", "send", "seal"]);
  expect(await given("cache", "j")).toEqual(["join"]);
  for (const verb of ["serve", "offer"]) expect(await given("cache", verb, "")).toEqual(["on", "off"]);
  expect(await given("send", "--wa")).toEqual(["--wait"]);
  expect(await given("--home", home, "send", "B")).toEqual(["bob"]);
  expect(await given("--home", home, "find", "word", "--contact", "")).toEqual(["bob"]);
  expect(await given("list", "add", `--home=${home}`, "friends", "alice", "b")).toEqual(["bob"]);
  expect(await given("seal", "--for", "m")).toEqual(["me"]);
  expect(await given("serve", "--log-level", "")).toEqual(["error", "warn", "info", "debug"]);
  expect(await given("serve", "--web-cert", "")).toEqual([":files"]);
  expect(await given("help", "cac")).toEqual(["cache"]);
  expect(await given("help", "cache", "")).toEqual(expect.arrayContaining(["join", "leave"]));
  expect(await given("serve", "--por")).toEqual(["--port"]);
  expect(await given("ping", "--por")).toEqual([]);
  expect(await given("webhook", "add", "http://x", "--event", "")).toEqual(["mail", "state", "request", "contact"]);
  const sent = await given("--home", home, "track", "");
  expect(sent.length).toBeGreaterThan(0);
  for (const id of sent)
    expect(alice?.peer.outbox().find((mail) => mail.id.startsWith(id))?.kind).toMatch(/^(text|file)$/);
  expect(await given("open", "x")).toEqual([":files"]);
  expect(await given("requests", "")).toEqual(["accept", "ignore"]);
  for (const words of [
    [""],
    ["nonsense", "x", ""],
    ["--home"],
    ["--", "", ""],
    ["send", "--identity", "../x", "b"],
    [],
  ])
    expect(await given(...words)).not.toContain("complete");
  expect(await given("--home", join(dir, "nobody"), "send", "b")).toEqual([]);
});

test("mesh lists whom the node looks for, and webhooks who is told, with the secret at the beginning alone", async () => {
  const { toAlice, bob } = ends();
  const { screen, out, said } = screenOf();
  expect(wayText({ transport: "mem", reach: "machine" }, undefined)).toBe("in this program"); // as the echo peer is
  expect(await mesh(screen, toAlice)).toBe(EXIT.done);
  expect(out.splice(0)).toEqual([
    expect.stringMatching(/^PEER +WHAT +AWAY +SINCE +HOW$/),
    expect.stringMatching(`^${bob.peer.hashname.slice(0, 12)} +bob .* directly over (UDP|TCP), on this machine$`),
  ]);
  for (const bad of ["ftp://x", "http://me:word@127.0.0.1/x"]) {
    const refused = await addWebhook(screen, toAlice, bad, {}).catch((error: unknown) => failureOf(error));
    expect(refused).toMatchObject({ code: EXIT.usage });
  }
  expect(await webhooks(screen, toAlice)).toBe(EXIT.done);
  expect(said.splice(0)).toEqual([expect.stringMatching(/^nobody is told; .* webhook add URL/)]);
  // Of what does not happen here: states of the mails of other tests may still come.
  expect(await addWebhook(screen, toAlice, "http://127.0.0.1:9/x", { event: ["request"] })).toBe(EXIT.done);
  const [id = "", secret = ""] = out.splice(0).map((line) => line.split(/ +/)[1] ?? "");
  expect(secret).toMatch(/^whsec_/);
  expect(await webhooks(screen, toAlice)).toBe(EXIT.done);
  expect(out.join("\n")).toMatch(new RegExp(`^${id} +well +request +\\d+ +http://127.0.0.1:9/x$`, "m"));
  expect(out.join("\n")).not.toContain(secret);
  expect(await removeWebhook(screen, toAlice, id)).toBe(EXIT.done);
  await expect(removeWebhook(screen, toAlice, id)).rejects.toMatchObject({ code: "not-found" });
});

test("start tells of the daemon that runs already, unless another one is meant or that one does not answer", async () => {
  const { toAlice } = ends();
  const locked = new RestanteError("home-locked", "process 7 uses it");
  const { screen, out } = screenOf();
  expect(await tellRunning(screen, toAlice, locked)).toBe(EXIT.done);
  expect(out.splice(0)).toEqual(["Restante runs already."]); // and serves no page
  const page = { link: "http://127.0.0.1:4242/#token", fingerprint: "AA:BB" };
  const withPage = {
    call: async (_: string, path: string) => (path === "/v1/web" ? page : { hashname: "h", home: "/h" }),
  } as unknown as Client;
  expect(await tellRunning(screen, withPage, locked)).toBe(EXIT.done);
  expect(out.join("\n")).toContain(`once:\n\n${page.link}\n`);
  expect(out.join("\n")).toContain(page.fingerprint);
  const nobody = new Client(join(dir, "nobody"));
  await expect(tellRunning(screen, nobody, locked)).rejects.toBe(locked);

  const started = (...args: string[]): Promise<unknown> =>
    createProgram(
      () => {},
      () => forever,
    ).parseAsync(["--home", join(dir, "alice"), ...args], { from: "user" });
  const write = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  await started("--json", "start");
  expect(JSON.parse(String(write.mock.calls[0]?.[0]))).toMatchObject({ type: "running", home: join(dir, "alice") });
  write.mockRestore();
  await expect(started("start", "--name", "other")).rejects.toMatchObject({ code: "home-locked" });
});

test.skipIf(!existsSync("/bin/bash") && process.env["CI_STRICT"] !== "1")(
  "bash takes names of several words as one, and files where files go",
  () => {
    const line = `restante() { printf '%s\\n' "$*" "bob smith" '$(id)' :files; }
${completionScript("bash")}
COMP_WORDS=(restante send b); COMP_CWORD=2; cd "$1"; _restante; printf '%s\\n' "\${COMPREPLY[@]}"`;
    mkdirSync(join(dir, "here", "b x"), { recursive: true });
    const { stdout, stderr } = spawnSync("/bin/bash", ["-c", line, "bash", join(dir, "here")], { encoding: "utf8" });
    expect({ stdout, stderr }).toEqual({
      stdout: "complete\\ --\\ send\\ b\nbob\\ smith\n\\$\\(id\\)\nb x\n",
      stderr: "",
    });
    for (const shell of ["zsh", "fish"]) expect(completionScript(shell)).toContain("restante complete -- ");
    expect(() => completionScript("__proto__")).toThrow(/completion is for/);
  },
);

test("while a daemon runs a file is sealed and opened with its keys, and without it as well", async () => {
  const file = join(dir, "report.txt");
  const bytes = Buffer.alloc(200_000, "line\n");
  writeFileSync(file, bytes);
  const of = (name: string): { home: string } => ({ home: join(dir, name) });
  const { screen, said } = screenOf();
  expect(await seal(screen, file, { ...of("alice"), readers: ["bob"], isAnonymous: false })).toBe(EXIT.done);
  expect(said.splice(0)).toEqual([`sealed for 1 device, in "${file}.sealed"`]);
  const opened = join(dir, "opened.txt");
  expect(await open(screen, `${file}.sealed`, { ...of("bob"), out: opened })).toBe(EXIT.done);
  expect(said.splice(0)).toEqual([
    `opened, in "${opened}"`,
    expect.stringMatching(/^sealed by your contact alice, on /),
  ]);
  expect(readFileSync(opened).equals(bytes)).toBe(true);
  await expect(open(screen, `${file}.sealed`, of("alice"))).rejects.toMatchObject({ code: "not-for-us" });

  const unnamed = join(dir, "unnamed.sealed");
  const anonymous = { ...of("alice"), readers: ["me", "bob", invite], isAnonymous: true, out: unnamed };
  expect(await seal(screen, file, anonymous)).toBe(EXIT.done);
  const json = screenOf({ json: true });
  expect(await open(json.screen, unnamed, { ...of("alice"), out: join(dir, "unnamed.txt") })).toBe(EXIT.done);
  expect(JSON.parse(json.out[0] ?? "")).toEqual({
    ...{ type: "opened", time: expect.any(Number), name: "report.txt", file: join(dir, "unnamed.txt"), readers: 3 },
  });
  // Of what is no header nothing reaches the daemon, or it says so.
  const huge = Buffer.concat([Buffer.from("restante sealed\n\x01\x40"), Buffer.alloc(64 * 65_537, 0xff)]);
  for (const damaged of [readFileSync(unnamed).subarray(0, 300), huge]) {
    writeFileSync(join(dir, "damaged.sealed"), damaged);
    await expect(open(screen, join(dir, "damaged.sealed"), of("bob"))).rejects.toMatchObject({ code: "bad-sealed" });
  }
});

test("ping tells how far away a contact is; or that it is not there, and where its mail goes", async () => {
  const { toAlice, bob } = ends();
  const { screen, out, said } = screenOf();
  expect(await ping(screen, toAlice, "bob", { count: 2, interval: 0.3 }, forever)).toBe(EXIT.done);
  expect(out.at(-1)).toMatch(/^bob \([a-z2-7]{12}\) answers after \d+ ms, directly over (UDP|TCP), on this machine$/);
  const json = screenOf({ json: true });
  expect(await ping(json.screen, toAlice, "bob", { count: 1, interval: 1 }, forever)).toBe(EXIT.done);
  expect(JSON.parse(json.out[0] ?? "")).toMatchObject({ hashname: bob.peer.hashname, reach: "machine" });
  await expect(ping(screen, toAlice, "carol", { count: 1, interval: 1 }, forever)).rejects.toMatchObject({
    code: "not-found",
  });
  await bob.close();
  expect(await ping(screen, toAlice, "bob", { count: 1, interval: 0.01, wait: 0.01 }, forever)).toBe(EXIT.degraded);
  expect(said).toEqual(["bob is not there", "mail for it is kept here until both of you are online: it uses no cache"]);
});

test("the exit code says what became of a command", async () => {
  const { toAlice } = ends();
  const { link: own } = await toAlice.call<InviteInfo>("POST", "/v1/invites", {});
  const silent = [vi.spyOn(process.stdout, "write"), vi.spyOn(process.stderr, "write")];
  for (const spy of silent) spy.mockReturnValue(true);
  const codeOf = async (args: readonly string[]): Promise<number | undefined> => {
    let code: number | undefined;
    const program = createProgram(
      (given) => {
        code = given;
      },
      () => forever,
    );
    const failed = await program.parseAsync(["--home", join(dir, "alice"), ...args], { from: "user" }).then(
      () => undefined,
      (error: unknown) => failureOf(error).code,
    );
    return failed ?? code;
  };
  const cases: [code: number, args: readonly string[]][] = [
    [EXIT.done, ["status"]],
    [EXIT.done, ["contacts", "bob"]],
    [EXIT.done, ["find", "json"]],
    [EXIT.done, ["send", "bob", "late"]],
    [EXIT.queued, ["send", "bob", "later", "--wait", "0.01"]],
    [EXIT.usage, ["keep", "bob", "3", "--for-ever"]],
    [EXIT.usage, ["add", "nonsense"]],
    [EXIT.usage, ["invite", "--close", "nonsense"]],
    [EXIT.noDaemon, ["--home", join(dir, "nobody"), "status"]],
    [EXIT.notFound, ["send", "carol", "hi"]],
    [EXIT.notFound, ["contacts", "carol"]],
    [EXIT.notFound, ["find", "nowhere"]],
    [EXIT.notFound, ["track", "abcd"]],
    [EXIT.notFound, ["requests", "accept", "abcd"]],
    [EXIT.refused, ["add", own]],
    [EXIT.refused, ["cache", "test"]],
    [EXIT.refused, ["verify", "bob", "wrong", "words"]],
    [EXIT.done, ["seal", "--for", "bob", fileURLToPath(import.meta.url), "-o", join(dir, "by-daemon.sealed")]],
    [EXIT.notFound, ["seal", "--for", "carol", fileURLToPath(import.meta.url), "-o", join(dir, "x.sealed")]],
    [EXIT.refused, ["open", join(dir, "by-daemon.sealed"), "-o", join(dir, "not-mine")]],
    [EXIT.degraded, ["open", fileURLToPath(import.meta.url), "-o", join(dir, "none")]],
  ];
  const codes: [number | undefined, readonly string[]][] = [];
  for (const [, args] of cases) codes.push([await codeOf(args), args]);
  for (const spy of silent) spy.mockRestore();
  expect(codes).toEqual(cases);
});

test("a file is sealed for a contact and for oneself, and opened, with no daemon; it says by whom", async () => {
  for (const daemon of [alice, bob]) await daemon?.close();
  const file = join(dir, "letter.txt");
  writeFileSync(file, "a letter\n");
  const of = (name: string): { home: string } => ({ home: join(dir, name) });
  const sealed = `${file}.sealed`;
  // What a daemon sealed opens without one.
  const report = join(dir, "report.sealed.txt");
  expect(await open(screenOf().screen, join(dir, "report.txt.sealed"), { ...of("bob"), out: report })).toBe(EXIT.done);
  expect(readFileSync(report)).toHaveLength(200_000);
  const { screen, out, said } = screenOf();
  const forBoth = { ...of("alice"), readers: ["BOB", "me"], isAnonymous: false };
  expect(await seal(screen, file, forBoth)).toBe(EXIT.done);
  expect(said.splice(0)).toEqual([`sealed for 2 devices, in "${sealed}"`]);
  await expect(seal(screen, file, forBoth)).rejects.toMatchObject({ code: "file-exists" });
  await expect(seal(screen, file, { ...forBoth, readers: ["carol"] })).rejects.toMatchObject({ code: "not-found" });

  for (const [name, by] of [
    ["bob", "sealed by your contact alice, on "],
    ["alice", "sealed by you, on "],
  ] as const) {
    const opened = join(dir, `${name}.txt`);
    expect(await open(screen, sealed, { ...of(name), out: opened })).toBe(EXIT.done);
    const shared = "it is for 2 devices, each of which could have changed it";
    expect(said.splice(0)).toEqual([`opened, in "${opened}"`, expect.stringMatching(`^${by}.*; ${shared}$`)]);
    expect(readFileSync(opened, "utf8")).toBe("a letter\n");
  }

  // Without a home: for whoever made an invite, by nobody.
  const invited = join(dir, "invited.sealed");
  const anonymous = { ...of("nobody"), readers: [invite], isAnonymous: true, out: invited };
  expect(await seal(screen, file, anonymous)).toBe(EXIT.done);
  expect(existsSync(join(dir, "nobody"))).toBe(false);
  await expect(open(screen, invited, of("alice"))).rejects.toMatchObject({ code: "not-for-us" });
  const json = screenOf({ json: true });
  expect(await open(json.screen, invited, { ...of("bob"), out: join(dir, "x") })).toBe(EXIT.done);
  expect(JSON.parse(json.out[0] ?? "")).toEqual({
    type: "opened",
    time: expect.any(Number),
    name: "letter.txt",
    file: join(dir, "x"),
    readers: 1,
  });
  expect(out).toEqual([]);

  // What was cut leaves nothing behind.
  truncateSync(sealed, readFileSync(sealed).length - 1);
  await expect(open(screen, sealed, { ...of("bob"), out: join(dir, "cut") })).rejects.toMatchObject({
    code: "bad-sealed",
  });
  expect(readdirSync(dir).filter((name) => name.includes("cut") || name.includes(".part"))).toEqual([]);
});
