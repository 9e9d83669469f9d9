import fc from "fast-check";
import { expect, test } from "vitest";
import { utf8 } from "./bytes/index.ts";
import { History } from "./history.ts";
import type { InboxRecord, SentRecord } from "./mail/index.ts";
import { memoryStore, type Store } from "./store/index.ts";

interface Line {
  readonly way: "in" | "out";
  readonly contact: string;
  /** Milliseconds since the line before; less than 0 when the clock was set back. */
  readonly later: number;
  readonly isErased: boolean;
}

/** A store with these mails in it, one of ours or theirs after the other. */
async function historyOf(lines: readonly Line[], store: Store = memoryStore()): Promise<History> {
  const last = { inbox: 0, sent: 0 };
  let now = 1_000_000;
  for (const [i, { way, contact, later, isErased }] of lines.entries()) {
    now += later;
    const n = way === "in" ? ++last.inbox : ++last.sent;
    const common = { n, contact, id: id(i), after: [], time: now, kind: "text", text: `text ${i}` };
    const record: InboxRecord | SentRecord =
      way === "in" ? { ...common, from: "x" as InboxRecord["from"], received: now } : common;
    const key = `${way === "in" ? "inbox" : "sent"}/${String(n).padStart(12, "0")}`;
    if (!isErased) await store.commit([{ key, value: utf8(JSON.stringify(record)) }]);
  }
  return new History({
    store,
    now: () => now,
    last: () => last,
    isSpooled: async () => false,
    stateOf: async () => undefined,
    erase: (keys) => store.commit(keys.map((key) => ({ key, value: undefined }))),
  });
}

const id = (i: number): string => i.toString(16).padStart(32, "0");

/** All pages, the last first, and how many there were. */
async function pagesOf(history: History, contact: string, limit: number): Promise<string[][]> {
  const pages: string[][] = [];
  for (let before: string | undefined; ; ) {
    const page = await history.conversation(contact, before === undefined ? { limit } : { before, limit });
    pages.push(page.entries.map((entry) => entry.id));
    if (page.before === undefined) return pages;
    before = page.before;
  }
}

const line = fc.record({
  way: fc.constantFrom("in", "out"),
  contact: fc.constantFrom("a", "b"),
  later: fc.integer({ min: -20, max: 100 }),
  isErased: fc.boolean(),
});

test("the pages of a conversation have each of its mails once, whatever was erased and however the clock went", () =>
  fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 60 }), fc.integer({ min: 1, max: 7 }), async (lines, limit) => {
      const history = await historyOf(lines);
      const pages = await pagesOf(history, "a", limit);
      const wanted = lines.flatMap(({ contact, isErased }, i) => (contact === "a" && !isErased ? [id(i)] : []));
      expect(pages.flat().sort()).toEqual(wanted);
      for (const page of pages.slice(0, -1)) expect(page).toHaveLength(limit);
    }),
    { numRuns: 60 },
  ));

test("what comes while somebody reads back changes no page before", async () => {
  const lines = Array.from({ length: 9 }, (): Line => ({ way: "in", contact: "a", later: 1, isErased: false }));
  const store = memoryStore();
  const { before } = await (await historyOf(lines.slice(0, 6), store)).conversation("a", { limit: 2 });
  const later = await historyOf(lines, store);
  const page = await later.conversation("a", { limit: 2, ...(before && { before }) });
  expect(page.entries.map(({ n }) => n)).toEqual([3, 4]);
});

test("a page costs no more than 20,000 mails of others, and says where to go on", async () => {
  let read = 0;
  const others = 30_000;
  const record = (n: number): Uint8Array => {
    const contact = n === 1 ? "a" : "b";
    return utf8(JSON.stringify({ n, contact, id: id(n), after: [], time: n, received: n, kind: "text", text: "x" }));
  };
  const store: Store = {
    ...memoryStore(),
    async list(prefix, after, limit) {
      if (prefix === "sent/") return [];
      const first = Number(after.slice(prefix.length)) + 1;
      const count = Math.max(0, Math.min(limit, others - first + 1));
      read += count;
      return Array.from({ length: count }, (_, i) => {
        const n = first + i;
        return [`inbox/${String(n).padStart(12, "0")}`, record(n)] as const;
      });
    },
  };
  const history = new History({
    store,
    now: () => 0,
    last: () => ({ inbox: others, sent: 0 }),
    isSpooled: async () => false,
    stateOf: async () => undefined,
    erase: async () => {},
  });
  const first = await history.conversation("a");
  expect(first.entries).toEqual([]);
  expect(read).toBeLessThan(21_000);
  const second = await history.conversation("a", { before: first.before ?? "" });
  expect(second.entries.map(({ n }) => n)).toEqual([1]);
  expect(second.before).toBeUndefined();
  await expect(history.conversation("a", { before: "1" })).rejects.toMatchObject({ code: "bad-request" });
});

test("a sweep erases what is over its time and nothing else, page by page, and can be stopped", () =>
  fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 60 }), fc.nat(2), async (lines, days) => {
      const store = memoryStore();
      await historyOf(lines, store);
      if (days > 0) await store.commit([{ key: "keep/a", value: utf8(JSON.stringify({ days })) }]);
      const all = [...(await store.load("inbox/")), ...(await store.load("sent/"))];
      const times = all.map(([key, value]) => [key, JSON.parse(new TextDecoder().decode(value))] as const);
      const now = 1_000_000 + 1500 + days * 86_400_000;
      const history = new History({
        store,
        now: () => now,
        last: () => ({ inbox: 0, sent: 0 }),
        isSpooled: async () => false,
        stateOf: async () => undefined,
        erase: (keys) => store.commit(keys.map((key) => ({ key, value: undefined }))),
      });
      const over = times.filter(([, mail]) => days > 0 && mail.contact === "a" && mail.time <= 1_000_000 + 1500);
      expect(await history.sweep(() => true)).toBe(0);
      expect(await history.sweep()).toBe(over.length);
      const left = [...(await store.load("inbox/")), ...(await store.load("sent/"))].map(([key]) => key);
      const gone = new Set(over.map(([key]) => key));
      expect(left).toEqual(all.map(([key]) => key).filter((key) => !gone.has(key)));
    }),
    { numRuns: 60 },
  ));
