import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { HistoryEntry } from "restante";
import { afterEach, expect, test, vi } from "vitest";
import { admit, current, cut, erase, type Kept, keep, kept, merge, SHAPE } from "./kept.ts";

const DAY_MS = 86_400_000;
const NOW = 100 * DAY_MS;

const mail = (n: number, more: Partial<HistoryEntry> = {}): HistoryEntry => ({
  ...{ way: "in", n, id: `id ${n}`, contact: "b", kind: "text", text: `mail ${n}`, time: NOW - n, ...more },
});
const mails = (...all: number[]) => all.map((n) => mail(n));
const state = (threads: Kept["threads"], more: object = {}): Kept =>
  ({ at: NOW, status: { hashname: "me" }, retentions: [], threads, ...more }) as unknown as Kept;

test("mail is not shown when its days are over, counted from when it came or went", () => {
  const days = (ago: number) => NOW - ago * DAY_MS;
  const old = mail(1, { time: days(3), received: days(2) });
  const late = mail(2, { time: days(9), received: days(1) });
  const own = mail(3, { way: "out", time: days(2) });
  const kept = state(
    [
      ["b", [old, late, own]],
      ["c", [old]],
    ],
    { retentions: [{ contact: "b", days: 2 }] },
  );
  expect(current(kept, NOW).threads).toEqual([
    ["b", [late]],
    ["c", [old]],
  ]);
  expect(current(kept, NOW - 1).threads).toEqual(kept.threads);
});

test("the latest mails of each conversation are kept, as far as there is room", () => {
  const each = JSON.stringify(mail(1)).length;
  const threads = [
    ["b", mails(1, 2, 3)],
    ["c", mails(4, 5)],
    ["d", []],
  ] as const;
  expect(cut(threads, 2)).toEqual([
    ["b", mails(2, 3)],
    ["c", mails(4, 5)],
    ["d", []],
  ]);
  expect(cut(threads, 50, 4 * each)).toEqual([
    ["b", mails(1, 2, 3)],
    ["c", mails(5)],
    ["d", []],
  ]);
  // What does not fit ends its conversation: no mail is missing between two others.
  const large = mail(6, { text: "x".repeat(1000) });
  expect(
    cut(
      [
        ["b", [mail(1), large, mail(2)]],
        ["c", mails(3)],
      ],
      50,
      900,
    ),
  ).toEqual([
    ["b", mails(2)],
    ["c", mails(3)],
  ]);
});

test("what another tab read of a conversation is kept if it goes on to the same mail, for the same identity and contacts", () => {
  const before = state([
    ["b", mails(1, 2, 3)],
    ["c", mails(4, 5)],
    ["gone", mails(7, 8)],
  ]);
  const now = [
    ["b", [mail(3, { state: "read" })]],
    ["c", mails(6)],
  ] as const;
  expect(merge(state(now), before)).toEqual([
    ["b", [...mails(1, 2), mail(3, { state: "read" })]],
    ["c", mails(6)],
  ]);
  const longer = [["b", mails(2, 3)]] as const;
  expect(merge(state(longer), before)).toEqual(longer);
  expect(merge(state(now, { status: { hashname: "somebody else" } }), before)).toEqual(now);
  expect(merge(state(now), undefined)).toEqual(now);
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test("what a page of another shape kept is not shown but erased, and the place is good for more", async () => {
  const records = browserWith(new Map<string, object>());
  await admit();
  await keep(state([["b", mails(1, 2)]], { at: Date.now() }));
  expect((await kept())?.threads).toHaveLength(1);
  const [[place, record] = ["", {}]] = records;
  for (const shape of [undefined, SHAPE - 1, SHAPE + 1]) {
    records.set(place, { ...record, shape });
    expect(await kept()).toBeUndefined();
    expect(records.size).toBe(0);
  }
  // One that an older page wrote while this one was open.
  records.set(place, { ...record, shape: SHAPE - 1 });
  await keep(state([["b", mails(2)]], { at: Date.now() }));
  expect((await kept())?.threads).toEqual([["b", mails(2)]]);
});

test("with another form of what is kept there is another number of its shape", async () => {
  const { paths, components } = JSON.parse(await readFile(API, "utf8")) as { paths: Paths; components: object };
  const parts = KEPT.map((path) => paths[path]?.get.responses["200"]);
  expect(parts).not.toContain(undefined);
  const text = JSON.stringify([parts, ...referred(parts, components)], (name, value) =>
    name === "description" || name === "examples" ? undefined : value,
  );
  // Where the page would show wrongly what it kept before this change, SHAPE is one more. Then the new digest belongs here.
  expect([SHAPE, createHash("sha256").update(text).digest("hex").slice(0, 16)]).toEqual([1, "a4c0938f5d9baa63"]);
});

test("where the browser's store never answers nobody waits for it", async () => {
  vi.useFakeTimers();
  browserWith();
  const both = Promise.allSettled([kept(), erase()]);
  await vi.runAllTimersAsync();
  expect((await both).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
});

/** As much of a browser as is used, with these records; without any its store never answers. */
function browserWith(records?: Map<string, object>): Map<string, object> {
  vi.stubGlobal("navigator", { serviceWorker: { ready: Promise.resolve() } });
  vi.stubGlobal("localStorage", { getItem: () => null });
  const all = records ?? new Map<string, object>();
  const soon = <T extends object>(request: T, name: keyof T): T => {
    queueMicrotask(() => (request[name] as (() => void) | undefined)?.());
    return request;
  };
  const done = (result?: unknown) => soon({ result, onsuccess: () => {} }, "onsuccess");
  const store = {
    get: (place: string) => done(all.get(place)),
    put: (record: object, place: string) => done(all.set(place, record)),
    clear: () => done(all.clear()),
  };
  const transaction = () => {
    const begun = { objectStore: () => store, oncomplete: () => {} };
    setTimeout(() => begun.oncomplete());
    return begun;
  };
  const opened = () => soon({ result: { transaction, close: () => {} }, onsuccess: () => {} }, "onsuccess");
  vi.stubGlobal("indexedDB", { open: records ? opened : () => ({}) });
  return all;
}

/** All that these parts of the description refer to, and what that does. */
function referred(parts: unknown, components: object): unknown[] {
  const found = new Map<string, unknown>();
  const look = (part: unknown): void => {
    for (const [, name = ""] of JSON.stringify(part).matchAll(/"#\/components\/([^"]+)"/g)) {
      if (found.has(name)) continue;
      const value = name.split("/").reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], components);
      found.set(name, value);
      look(value);
    }
  };
  look(parts);
  return [...found];
}

type Paths = Record<string, { get: { responses: Record<string, unknown> } }>;
const API = new URL("../../../docs/openapi.json", import.meta.url);
/** What the page asks for and keeps. */
const KEPT = [
  ...["/v1/status", "/v1/contacts", "/v1/requests", "/v1/outbox", "/v1/peers", "/v1/retentions"],
  "/v1/contacts/{contact}/history",
];
