import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { Client } from "../api/client.ts";
import type { ContactList, FoundList, HistoryPage, InviteInfo, RetentionList, SentInfo } from "../api/contract.ts";
import { type Daemon, startDaemon } from "../daemon.ts";
import { EXIT } from "./failure.ts";
import { find, history, keep } from "./history.ts";
import type { Screen } from "./screen.ts";

let dir: string;
let alice: Daemon;
let bob: Daemon;
let toAlice: Client;
let toBob: Client;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "restante-history-"));
  const start = (name: string): Promise<Daemon> =>
    startDaemon({ host: "127.0.0.1", port: 0, say: () => {}, home: join(dir, name), name });
  [alice, bob] = [await start("alice"), await start("bob")];
  [toAlice, toBob] = [new Client(alice.socket), new Client(bob.socket)];
  const { link } = await toBob.call<InviteInfo>("POST", "/v1/invites", {});
  await toAlice.call("POST", "/v1/contacts", { link });
  await until(async () => (await toBob.call<ContactList>("GET", "/v1/contacts")).contacts.length === 1);
  await say(alice, toAlice, "bob", "Where shall we meet?");
  await say(bob, toBob, "alice", "At the \u202Eharbour");
  const file = await toAlice.upload<SentInfo>("/v1/files?contact=bob&name=harbour.txt", Readable.from(["a map"]));
  await delivered(alice, file.id);
});
afterAll(async () => {
  for (const daemon of [alice, bob]) await daemon.close();
  await rm(dir, { recursive: true });
});

async function say(from: Daemon, client: Client, contact: string, text: string): Promise<void> {
  await delivered(from, (await client.call<SentInfo>("POST", "/v1/messages", { contact, text })).id);
}

async function delivered(from: Daemon, id: string): Promise<void> {
  await until(async () => (await from.peer.track(id))?.at(-1)?.state === "delivered");
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  await vi.waitFor(async () => expect(await isSo()).toBe(true), { timeout: 60_000, interval: 20 });
}

/** What a command prints: data without its times, and talk. */
async function shown(
  run: (screen: Screen) => Promise<number>,
  { json = false } = {},
): Promise<{ code: number; out: string[]; said: string[] }> {
  const [out, talk]: [string[], string[]] = [[], []];
  const screen: Screen = {
    ...{ json, isTerminal: false, hasColor: false, columns: 80 },
    out: (line) => void out.push(line.replace(/^\d{4}-\d\d-\d\d \d\d:\d\d {2}/, "")),
    say: (line) => void talk.push(line),
    paint: (_, text) => text,
  };
  return { code: await run(screen), out, said: talk };
}

test("history prints both sides in their order, and what controls a terminal as a sign", async () => {
  const lines = ["you  Where shall we meet?", "bob  At the \u{FFFD}harbour", "you  [file harbour.txt, 5 bytes]"];
  expect(await shown((screen) => history(screen, toAlice, "bob", 50))).toEqual({
    code: EXIT.done,
    out: lines,
    said: [],
  });
  expect((await shown((screen) => history(screen, toAlice, "bob", 2))).out).toEqual(lines.slice(1));
  const asJson = await shown((screen) => history(screen, toBob, "alice", 50), { json: true });
  expect(asJson.out.map((line) => JSON.parse(line))).toMatchObject([
    { way: "in", n: 1, text: "Where shall we meet?" },
    { way: "out", n: 1, text: "At the \u202Eharbour", state: "delivered" },
    { way: "in", n: 2, file: { name: "harbour.txt", size: 5 } },
  ]);
});

test("the API gives a conversation page by page", async () => {
  const last = await toAlice.call<HistoryPage>("GET", "/v1/contacts/bob/history?limit=2");
  expect(last.entries.map(({ way }) => way)).toEqual(["in", "out"]);
  expect(last.contact.name).toBe("bob");
  const first = await toAlice.call<HistoryPage>("GET", `/v1/contacts/bob/history?limit=2&before=${last.before}`);
  expect(first).toMatchObject({ entries: [{ text: "Where shall we meet?" }] });
  expect(first.before).toBeUndefined();
  for (const bad of ["?limit=0", "?limit=201", "?before=x", "?before=1.2.3", "?after=1"])
    await expect(toAlice.call("GET", `/v1/contacts/bob/history${bad}`)).rejects.toMatchObject({ code: "bad-request" });
});

test("find prints what has all the words, the newest first", async () => {
  const ask = (words: string[], more = {}) => shown((screen) => find(screen, toAlice, words, { limit: 9, ...more }));
  expect((await ask(["HARBOUR"])).out).toEqual([
    "you to bob  [file harbour.txt, 5 bytes]",
    "bob  At the \u{FFFD}harbour",
  ]);
  expect((await ask(["the", "harb"], { contact: "bob" })).out).toEqual(["bob  At the \u{FFFD}harbour"]);
  expect(await ask(["meet", "harbour"])).toMatchObject({ code: EXIT.notFound, out: [] });
  const { found } = await toAlice.call<FoundList>("GET", "/v1/search?q=meet&contact=bob&limit=1");
  expect(found).toMatchObject([{ way: "out", name: "bob", text: "Where shall we meet?" }]);
  await expect(toAlice.call("GET", "/v1/search?q=%20")).rejects.toMatchObject({ code: "bad-request" });
});

test("keep says for whom mail is erased, sets and ends it", async () => {
  expect(await shown((screen) => keep(screen, toAlice, undefined, undefined, false))).toEqual({
    code: EXIT.done,
    out: [],
    said: ["all mail is kept"],
  });
  expect((await shown((screen) => keep(screen, toAlice, "bob", 30, false))).said).toEqual([
    "mail with bob is erased after 30 days, and what was older is erased",
  ]);
  const { retentions } = await toAlice.call<RetentionList>("GET", "/v1/retentions");
  expect(retentions).toMatchObject([{ days: 30 }]);
  expect((await shown((screen) => keep(screen, toAlice, undefined, undefined, false))).out).toHaveLength(2);
  expect((await shown((screen) => history(screen, toAlice, "bob", 50))).out).toHaveLength(3); // all of it is new
  await shown((screen) => keep(screen, toAlice, "bob", undefined, true));
  expect(await toAlice.call("GET", "/v1/retentions")).toEqual({ retentions: [] });
  await expect(shown((screen) => keep(screen, toAlice, "bob", undefined, true))).rejects.toMatchObject({
    code: "not-found",
  });
  await expect(shown((screen) => keep(screen, toAlice, "bob", 3, true))).rejects.toMatchObject({ code: "usage" });
  await expect(toAlice.call("PUT", "/v1/contacts/bob/keep", { days: 36_501 })).rejects.toMatchObject({
    code: "bad-days",
  });
});
