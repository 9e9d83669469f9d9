import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CacheInfo, CacheTest, Hashname, Peer } from "restante";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Client } from "../api/client.ts";
import type { RoomWatch } from "../api/no-room.ts";
import { statusInfo } from "../api/status.ts";
import { startCache, startDaemon } from "../daemon.ts";
import { outcomeWords, peers, testCaches } from "./caches.ts";
import { contact } from "./contact.ts";
import { EXIT } from "./failure.ts";
import { status } from "./people.ts";
import { ping } from "./ping.ts";
import type { Screen } from "./screen.ts";

describe("with a daemon and two caches", () => {
  let dir: string;
  let client: Client;
  const opened: { close(): Promise<void> }[] = [];
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "restante-caches-"));
    const local = { host: "127.0.0.1", port: 0 };
    const caches = await Promise.all(["one", "two"].map((name) => startCache({ ...local, home: join(dir, name) })));
    const daemon = await startDaemon({ ...local, home: join(dir, "alice"), copies: 1 });
    opened.push(daemon, ...caches);
    client = new Client(daemon.socket);
    for (const cache of caches) await client.call("POST", "/v1/caches", { link: cache.joinLink() });
  });
  afterAll(async () => {
    for (const it of opened) await it.close();
    await rm(dir, { recursive: true });
  });

  test("a test mail comes back from each, and `peers` remembers it", async () => {
    const seen = record();
    expect(await peers(seen.screen, client)).toBe(EXIT.done);
    expect(seen.out.slice(1)).toEqual([expect.stringMatching(/you.*not tested yet$/), expect.stringMatching(/you/)]);
    const tested = record();
    expect(await testCaches(tested.screen, client)).toBe(EXIT.done);
    expect(tested.out).toHaveLength(2);
    for (const line of tested.out)
      expect(line).toMatch(/^[a-z2-7]{12} {2}gave the test mail back after \d+(\.\d s| ms)$/);
    const after = record();
    await peers(after.screen, client);
    for (const line of after.out.slice(1)) expect(line).toMatch(/up.*8\.0 MiB +gave the test mail back/);
  });

  test("scripts get the whole of it", async () => {
    const [tested, seen] = [record({ json: true }), record({ json: true })];
    await testCaches(tested.screen, client);
    await peers(seen.screen, client);
    const tests = tested.out.map((line) => JSON.parse(line) as CacheTest);
    expect(tests.map(({ outcome }) => outcome)).toEqual(["whole", "whole"]);
    expect(seen.out.map((line) => (JSON.parse(line) as CacheInfo).test)).toEqual(tests);
  });

  test("a number of copies that makes no sense is refused", async () => {
    const start = startDaemon({ host: "127.0.0.1", port: 0, home: join(dir, "bob"), copies: 9 });
    await expect(start).rejects.toMatchObject({ code: "bad-copies" });
  });
});

test("without a cache there is nothing to test", async () => {
  const dir = await mkdtemp(join(tmpdir(), "restante-caches-"));
  const daemon = await startDaemon({ host: "127.0.0.1", port: 0, home: dir });
  const [client, seen] = [new Client(daemon.socket), record()];
  await expect(testCaches(seen.screen, client)).rejects.toMatchObject({ code: "no-cache" });
  expect(await peers(seen.screen, client)).toBe(EXIT.done);
  expect(seen.said).toEqual([expect.stringMatching(/^no caches/)]);
  await daemon.close();
  await rm(dir, { recursive: true });
});

test("a cache that lost mail is named in plain words, and the exit code says that something is wrong", async () => {
  const cache = (name: string): Hashname => name.repeat(52) as Hashname;
  const tests: CacheTest[] = [
    { cache: cache("a"), at: 0, outcome: "whole", ms: 60 },
    { cache: cache("b"), at: 0, outcome: "lost" },
  ];
  const seen = record();
  expect(await testCaches(seen.screen, answering({ tests, caches: [] }))).toBe(EXIT.degraded);
  expect(seen.out[1]).toBe("bbbbbbbbbbbb  took the test mail and did not give it back");
  expect(seen.said).toEqual(["mail for you still comes by the other caches"]);
  const alone = record();
  await testCaches(alone.screen, answering({ tests: tests.slice(1), caches: [] }));
  expect(alone.said).toEqual([expect.stringMatching(/^mail for you may be lost/)]);
  const words = (["late", "changed", "unreachable"] as const).map((outcome) =>
    outcomeWords({ cache: cache("a"), at: 0, outcome, ...(outcome === "late" && { ms: 7_200_000 }) }),
  );
  expect(words).toEqual([
    "gave the test mail back, but only after 120 minutes",
    "gave something else back than the test mail",
    "could not be reached",
  ]);
});

test("who gave the test mail back is told while others are waited for", async () => {
  const test = { at: 5, outcome: "whole", ms: 60 } as const;
  const [good, slow] = ["a", "b"].map((name) => name.repeat(52)) as [string, string];
  let end = (_: object): void => {};
  let polls = 0;
  const call = async (method: string): Promise<object> => {
    if (method === "POST") return new Promise((resolve) => (end = resolve));
    polls++;
    const [first, second] = [
      { ...test, cache: good, at: polls < 3 ? 1 : 5 },
      { ...test, cache: slow, at: 1 },
    ];
    // The screen has the first and the word about the second before the answer comes.
    if (polls === 5) end({ tests: [first, { ...second, at: 5, outcome: "lost" }] });
    return {
      caches: [first, second].map((last) => ({ cache: last.cache, up: true, wanted: true, cap: 1, test: last })),
    };
  };
  const seen = record({ isTerminal: true });
  const lines: string[] = [];
  const screen = {
    ...seen.screen,
    out: (line: string) => void lines.push(line),
    say: (line: string) => void lines.push(line),
  };
  expect(await testCaches(screen, { call } as unknown as Client, 0)).toBe(EXIT.degraded);
  expect(lines.slice(1)).toEqual([
    "aaaaaaaaaaaa  gave the test mail back after 60 ms",
    "waiting for bbbbbbbbbbbb",
    "bbbbbbbbbbbb  took the test mail and did not give it back",
    "mail for you still comes by the other caches",
  ]);
});

test("a cache that is there and lost the test mail is no good one to `status`, which says what to do", async () => {
  const [good, bad] = ["a", "b"].map((name) => name.repeat(52) as Hashname) as [Hashname, Hashname];
  const caches = [good, bad].map((hashname) => ({ hashname, up: true, cap: 1 }));
  const tests = [{ cache: bad, test: { cache: bad, at: 1, outcome: "lost" } }, { cache: good }];
  const state = {
    state: "running",
    hashname: "c".repeat(52),
    paths: [],
    caches,
    inbox: 0,
    offers: 0,
    contacts: 0,
    requests: 0,
  };
  const none = { cachesLeftOut: 0, behind: 0, unknown: 0, copiedAt: undefined };
  const peer = {
    status: () => ({ ...state, ...none }),
    caches: () => tests,
    outbox: () => [],
    contacts: () => [],
  } as unknown as Peer;
  const readers = { position: () => 0, furthest: () => 0, move: async () => {} };
  const options = { peer, backend: "", readers, home: "/", version: "0" };
  const info = statusInfo(options, { problems: () => [] } as unknown as RoomWatch, []);
  expect(info.problems).toEqual([
    expect.stringMatching(/^your cache bbbbbbbbbbbb did not give.*test it again, and leave it/),
  ]);
  const seen = record();
  const call = async (_: string, path: string): Promise<object> => (path === "/v1/status" ? info : { outbox: [] });
  await status(seen.screen, { call } as unknown as Client);
  expect(seen.out.join("\n")).toMatch(/caches +a{12} \(up\)\n +b{12} \(up, but did not give a test mail back\)/);
});

test("of a contact's caches `peers` says what they brought; names of others are made harmless", async () => {
  const bob = { contact: "b".repeat(32), name: "Bob\u202e\n", cap: 8 << 20 };
  const caches = [
    { ...bob, cache: "a".repeat(52), up: true, wanted: true, settled: 9, delivered: 9, failures: 0 },
    { ...bob, cache: "b".repeat(52), up: false, wanted: true, settled: 1, delivered: 0, failures: 3 },
    { ...bob, cache: "c".repeat(52), up: false, wanted: false, settled: 0, delivered: 0, failures: 0 },
  ];
  const seen = record();
  expect(await peers(seen.screen, answering({ caches }))).toBe(EXIT.done);
  expect(seen.out.slice(1).map((line) => line.split(/ {2,}/).slice(1))).toEqual([
    ["Bob\ufffd", "up", "8.0 MiB", "brought 9 of 9 mails"],
    ["Bob\ufffd", "down", "8.0 MiB", "brought 0 of 1 mail; failed 3 times since"],
    ["Bob\ufffd", "-", "8.0 MiB", "nothing known yet"],
  ]);
});

test("a contact's cache that nobody looks for is not called down: mail goes there when there is some", async () => {
  const bob = { id: "b".repeat(32), name: "Bob", hashnames: [], verified: "none", missing: 0, readMarks: false };
  const cache = { contact: bob.id, cap: 8 << 20, up: false };
  const caches = [true, false].map((wanted) => ({ ...cache, cache: (wanted ? "a" : "c").repeat(52), wanted }));
  const answers: Record<string, object> = {
    "/v1/contacts/bob": bob,
    "/v1/mesh": { peers: [] },
    "/v1/peers": { caches },
    "/v1/retentions": { retentions: [] },
    "/v1/lists": { lists: [] },
    [`/v1/contacts/${bob.id}/ping`]: { asked: [] },
  };
  const client = {
    call: async (_: string, path: string) => answers[path],
    events: async () => [],
  } as unknown as Client;
  const [shown, asked] = [record(), record()];
  await contact(shown.screen, client, "bob");
  expect(shown.out.join("\n")).toMatch(/caches +a{12} \(down\), keeps 8\.0 MiB .*\n +c{12}, keeps 8\.0 MiB/);
  const options = { count: 1, interval: 0, wait: 0 };
  expect(await ping(asked.screen, client, "bob", options, new AbortController().signal)).toBe(EXIT.degraded);
  expect(asked.said.at(-1)).toMatch(/^mail for it goes by cache c{12}, which is looked for when there is some$/);
});

function answering(answer: object): Client {
  return Object.assign(new Client("/nowhere"), { call: async () => answer });
}

/** A screen that keeps what it is given. */
function record({ json = false, isTerminal = false } = {}): { screen: Screen; out: string[]; said: string[] } {
  const [out, said]: [string[], string[]] = [[], []];
  const screen: Screen = {
    ...{ json, isTerminal, hasColor: false, columns: 80 },
    out: (line) => void out.push(line),
    say: (line) => void said.push(line),
    paint: (_, text) => text,
  };
  return { screen, out, said };
}
