/** What a run of daemons leaves on stderr: a log that names nobody. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { untilAnswer } from "../../../testing/until.ts";
import { Client } from "./api/client.ts";
import type { ContactList, InviteInfo, OutboxList, SentInfo, StatusInfo } from "./api/contract.ts";
import { serve } from "./cli/node.ts";
import type { Screen } from "./cli/screen.ts";
import { createLog, type Level, taggedBy } from "./log.ts";

let dir: string;
const open: (() => Promise<void>)[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "restante-log-"));
});
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
  rmSync(dir, { recursive: true });
});

interface Running {
  readonly client: Client;
  readonly log: readonly string[];
  /** What is data, on stdout. */
  readonly out: readonly string[];
  stop(): Promise<number>;
}

/** `restante serve`, with what it says. */
async function run(name: string, level: Level, more: Partial<Parameters<typeof serve>[1]> = {}): Promise<Running> {
  const lines: string[] = [];
  const out: string[] = [];
  let ready = (): void => {};
  const isReady = new Promise<void>((resolve) => {
    ready = resolve;
  });
  const write = (line: string): void => {
    lines.push(line);
    if (line.includes("its home is")) ready();
  };
  const log = await createLog({ level, write });
  const screen: Screen = {
    ...{ json: false, isTerminal: false, hasColor: false, columns: 80 },
    ...{ out: (line) => void out.push(line), say: write, paint: (_, text) => text },
  };
  const controller = new AbortController();
  const options = { home: join(dir, name), host: "127.0.0.1", port: 0, name, log, say: log.warn, ...more };
  const ended = serve(screen, options, controller.signal);
  const stop = (): Promise<number> => {
    controller.abort();
    return ended;
  };
  open.push(async () => void (await stop()));
  await Promise.race([isReady, ended]);
  return { client: new Client(join(dir, name, "sock")), log: lines, out, stop };
}

test("a run's log names nobody: no hashname, name, id, invite or word of a mail; at debug it has tags, and still none of them", async () => {
  const cache = await run("carol", "info", { cache: true });
  const alice = await run("alice", "info");
  const bob = await run("robert", "debug");
  const { joinLink = "" } = await cache.client.call<StatusInfo>("GET", "/v1/status");
  expect(joinLink).toMatch(/^link:/);
  // Stdout is no terminal here: under systemd it is the log.
  expect(cache.out).toEqual([]);
  for (const { client } of [alice, bob]) await client.call("POST", "/v1/caches", { link: joinLink });
  const { link } = await bob.client.call<InviteInfo>("POST", "/v1/invites");
  await alice.client.call("POST", "/v1/contacts", { link });
  await untilAnswer(
    bob.client,
    () => bob.client.call<ContactList>("GET", "/v1/contacts"),
    ({ contacts }) => contacts.length === 1,
  );
  const sent = await alice.client.call<SentInfo>("POST", "/v1/messages", { contact: "robert", text: "quinces ripen" });
  await untilAnswer(
    alice.client,
    () => alice.client.call<OutboxList>("GET", "/v1/outbox"),
    ({ outbox }) => outbox.some(({ id, state }) => id === sent.id && state === "delivered"),
  );
  // Wrong use, and a way that fails, are said where they were asked for.
  await expect(alice.client.call("POST", "/v1/contacts", { link: "link://x" })).rejects.toThrow();
  await expect(alice.client.call("GET", `/v1/contacts/${"7".repeat(52)}`)).rejects.toThrow();
  await cache.stop();

  const status = await Promise.all([alice, bob].map(({ client }) => client.call<StatusInfo>("GET", "/v1/status")));
  const contacts = await Promise.all([alice, bob].map(({ client }) => client.call<ContactList>("GET", "/v1/contacts")));
  const ids = [
    ...status.flatMap((it) => [it.hashname, ...it.caches.map(({ hashname }) => hashname)]),
    ...contacts.flatMap((it) => it.contacts.flatMap(({ id, hashnames }) => [id, ...hashnames])),
    sent.id,
  ];
  expect(ids.length).toBeGreaterThan(6);
  await alice.stop();
  await bob.stop();
  // The home's folder is called as the test calls it; no line has it below.
  const plain = [...alice.log, ...cache.log].filter((line) => !line.includes("its home is")).join("\n");
  expect(plain).toMatch(/^restante: running$/m);
  for (const id of ids) expect(plain).not.toContain(id.slice(0, 8));
  for (const word of ["alice", "robert", "carol", "quinces", joinLink, link]) expect(plain).not.toContain(word);

  const detailed = bob.log.filter((line) => !line.includes("its home is")).join("\n");
  // One contact, one tag, in every line of this run.
  const tags = detailed.match(/(?<=\bcontact )\S+?(?=,|$)/gm) ?? [];
  expect(tags.length).toBeGreaterThan(1);
  expect(new Set(tags)).toEqual(new Set([expect.stringMatching(/^[0-9a-f]{8}$/)]));
  for (const id of ids) expect(detailed).not.toContain(id.slice(0, 8));
  for (const word of ["alice", "quinces", link]) expect(detailed).not.toContain(word);
});

test("a tag is the same for an id within a run, and says nothing beyond it", () => {
  const id = "35c298cca7762583bb739945905fa945";
  const [run, next] = [taggedBy(new Uint8Array(32)), taggedBy(new Uint8Array(32).fill(1))];
  // HMAC-SHA-256, by another program
  expect(run(id)).toBe("ea2c60c9");
  expect(run(id)).toBe("ea2c60c9");
  expect([next(id), run(`${id}0`)]).not.toContain("ea2c60c9");
});

test("what is less grave than asked for is not said, and one message is one line", async () => {
  const lines: string[] = [];
  const log = await createLog({ level: "warn", write: (line) => void lines.push(line) });
  log.info("no");
  log.warn("two\n  lines");
  log.error("yes");
  expect(lines).toEqual(["restante: two lines", "restante: yes"]);
});

test("for programs it is JSON with level, time and message, and nothing of the machine", async () => {
  const lines: string[] = [];
  const log = await createLog({ level: "info", format: "json", write: (line) => void lines.push(line) });
  log.debug("no");
  log.warn('a "word"\nand another');
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    { level: "warn", time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/), msg: 'a "word"\nand another' },
  ]);
});

test("a command that is soon over loads nothing of what only a daemon needs", () => {
  // As it was compiled: what a bundle holds has no place of its own.
  const program = fileURLToPath(new URL("../dist/cli/run.js", import.meta.url));
  const { status } = spawnSync(process.execPath, [program, "--home", join(dir, "none"), "status"], {
    env: { ...process.env, NODE_V8_COVERAGE: dir },
  });
  expect(status).toBe(3);
  // What was loaded stands in what Node counts of it.
  const [file = ""] = readdirSync(dir);
  const { result } = JSON.parse(readFileSync(join(dir, file), "utf8")) as { result: { url: string }[] };
  expect(result.some(({ url }) => url.includes("/commander/"))).toBe(true);
  for (const name of ["pino", "smol-toml", "zod", "@hono/node-server", "ioredis", "level", "libp2p"])
    expect(result.filter(({ url }) => url.includes(`/node_modules/${name}/`)).map(({ url }) => url)).toEqual([]);
});
