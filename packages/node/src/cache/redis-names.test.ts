import fc from "fast-check";
import { expect, test } from "vitest";
import { Books, parseBook } from "./redis-books.ts";
import { ClusterNames, SLOTS, slotOf } from "./redis-names.ts";
import { settingsProblems } from "./redis-settings.ts";
import { TokenBuckets } from "./token-buckets.ts";

const KEY = new Uint8Array(32).fill(7);
const names = new ClusterNames(KEY);
const hex = fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString("hex"));

test("slots are those of the cluster specification", () => {
  expect(slotOf("123456789")).toBe(0x31c3); // CRC16/XMODEM's check value, as the specification gives it
  expect(slotOf("")).toBe(0);
});

test("the keys of a recipient and the books of its slot are in one slot", () => {
  fc.assert(
    fc.property(fc.string(), (recipient) => {
      const { tag, channel } = names.of(recipient);
      const keys = names.keysOf(tag);
      const slots = [channel, ...keys].map((key) => slotOf(/\{(.*?)\}/.exec(key)?.[1] ?? ""));
      expect(new Set(slots)).toEqual(new Set([slotOf(tag)]));
    }),
    { numRuns: 50 },
  );
});

test("all slots have books of their own", () => {
  const tags = new Set<number>();
  for (let slot = 0; slot < SLOTS; slot++) tags.add(slotOf(/\{(.*?)\}/.exec(names.books(slot)[0])?.[1] ?? ""));
  expect(tags.size).toBe(SLOTS);
});

test("names open to what they stand for, with the secret of the cluster and for the recipient alone", () => {
  const other = new ClusterNames(new Uint8Array(32).fill(8));
  fc.assert(
    fc.property(hex, hex, (box, id) => {
      const own = names.of("alice");
      expect(own.boxOf(own.box(box))).toBe(box);
      expect(own.messageOf(own.message(box, id))).toEqual({ box, id });
      // The second message under one id has a byte more.
      expect(own.messageOf(Buffer.concat([own.message(box, id), Buffer.of(1)]))).toEqual({ box, id });
      for (const stranger of [names.of("bob"), other.of("alice")]) {
        expect(stranger.box(box)).not.toEqual(own.box(box));
        expect(stranger.boxOf(own.box(box))).toBeUndefined();
      }
      expect(own.boxOf(own.box(box).subarray(1))).toBeUndefined();
    }),
    { numRuns: 50 },
  );
});

test("names stay the same when those of many others were needed meanwhile", () => {
  const first = names.of("alice").tag;
  for (let n = 0; n < 20_000; n++) names.of(`recipient ${n}`);
  expect(names.of("alice").tag).toBe(first);
});

test("books add up what is changed and what the servers say", () => {
  const books = new Books();
  const [one, two] = [
    { messages: 2, data: 600, boxes: 1, recipients: 1 },
    { messages: 5, data: 1500, boxes: 3, recipients: 2 },
  ];
  books.add(7, one);
  books.add(9, one);
  expect(books.sums).toEqual({ messages: 4, data: 1200, boxes: 2, recipients: 2 });
  books.set(7, two);
  expect(books.sums).toEqual({ messages: 7, data: 2100, boxes: 4, recipients: 3 });
  books.set(7, parseBook([]));
  expect(books.sums).toEqual(one);
  expect(parseBook([String(2n ** 40n * 5n + 1500n), String(2n ** 40n * 3n + 2n)])).toEqual(two);
});

test("a bucket gives what is in it and fills again, for each on its own", () => {
  const buckets = new TokenBuckets({ burst: 100, perSecond: 10 }, 2);
  expect(buckets.take("a", 100, 0)).toBe(true);
  expect(buckets.take("a", 1, 0)).toBe(false);
  expect(buckets.take("b", 100, 0)).toBe(true);
  expect(buckets.take("a", 10, 1000)).toBe(true);
  expect(buckets.take("a", 1, 500)).toBe(false); // a clock that goes back
  expect(buckets.take("a", 100, 1_000_000)).toBe(true);
  buckets.take("b", 1, 1_000_000);
  buckets.take("c", 1, 1_000_000);
  expect(buckets.take("a", 100, 1_000_000)).toBe(true); // forgotten: only two are remembered
});

test("settings that would keep mail elsewhere than in memory are named, with the remedy", async () => {
  const good = new Map([
    ["save", ""],
    ["appendonly", "no"],
    ["repl-diskless-sync", "yes"],
    ["repl-diskless-load", "swapdb"],
    ["maxmemory", "0"],
    ["maxmemory-policy", "volatile-lru"],
  ]);
  const problems = (changes: Readonly<Record<string, string>>): Promise<string[]> =>
    settingsProblems("host:1", async (asked) => {
      const all = new Map([...good, ...Object.entries(changes)]);
      return new Map([...all].filter(([name]) => asked.includes(name)));
    });
  expect(await problems({})).toEqual([]);
  expect(await problems({ "repl-diskless-load": "on-empty-db" })).toEqual([]);
  for (const [name, value] of [
    ["save", "3600 1 300 100"],
    ["appendonly", "yes"],
    ["repl-diskless-sync", "no"],
    ["repl-diskless-load", "disabled"],
  ] as const) {
    const [problem, ...others] = await problems({ [name]: value });
    expect(others).toEqual([]);
    expect(problem).toContain(`(${name} is "${value}"): set ${name} `);
  }
  expect(await problems({ maxmemory: "1000000" })).toEqual([expect.stringContaining("maxmemory-policy noeviction")]);
  const refuse = settingsProblems("host:1", () => Promise.reject(new Error("NOPERM")));
  await expect(refuse).rejects.toMatchObject({ code: "no-config" });
});
