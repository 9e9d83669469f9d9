/** What others may try with a cache, and what it costs: counted in operations and bytes, never in time. box.md §5, §7 */
import { describe, expect, test } from "vitest";
import type { Time } from "../bytes/index.ts";
import { type Backend, portable } from "../crypto/index.ts";
import { alice, BOX, bob, Desk, mallory, person } from "../testing/cache-desk.ts";
import type { CacheOut } from "./cache.ts";
import { boxId } from "./ids.ts";

const NOTHING = new Uint8Array(0);
const KB = 1024;
const MB = KB * KB;
const DAY: Time = 24 * 60 * 60 * 1000;
const bytesOf = (length: number, n = 1): Uint8Array => new Uint8Array(length).fill(n);
/** The first bytes of the messages in alice's box, as bob reads them. */
function read(desk: Desk, box = BOX): number[] {
  const { ch, outs } = desk.inbox(bob, box, 100_000);
  const firsts: number[] = [];
  let isFirst = true;
  for (const out of outs) {
    if (out.type !== "send" || out.body.length === 0) continue;
    if (isFirst) firsts.push(out.body[0] ?? 0);
    isFirst = out.head["done"] === true;
  }
  desk.take({ type: "ended", ch });
  desk.take({ type: "closed", ch, err: undefined });
  return firsts;
}
const message = (n: number, length: number): Uint8Array => {
  const bytes = bytesOf(length, 7);
  bytes[0] = n;
  return bytes;
};

describe("a crowd of free identities", () => {
  test("[C43] ten of them, each with one small message that is protected, do not lock out a friend", () => {
    const desk = new Desk({ limits: { recipient: 10 * KB, strangers: 10 * KB, box: 8 * KB } });
    for (let n = 0; n < 10; n++) desk.outbox(person(100 + n), { uri: "guest", done: true }, bytesOf(1000));
    const { ch } = desk.outbox(alice, { done: true }, message(1, 1000));
    desk.packet(ch, { done: true }, message(2, 5000));
    expect(read(desk)).toEqual([1, 2]);
    // Nor does an eleventh stranger that comes to them.
    desk.outbox(mallory, { uri: "guest", done: true }, bytesOf(1000));
    expect(desk.stats()).toMatchObject({ messages: 12, evicted: 0 });
  });

  test.each([100, 1000, 8000])(
    "[C42] a flood of %i bytes from each of 500 of them pushes out nothing of a friend",
    (size) => {
      const desk = new Desk();
      const { ch } = desk.outbox(alice);
      const kept = Array.from({ length: 40 }, (_, n) => n + 1);
      for (const n of kept) desk.packet(ch, { done: true }, message(n, 200 * n));
      for (let n = 0; n < 500; n++) {
        const { ch: other } = desk.outbox(person(100 + n), { uri: "guest" });
        for (let i = 0; i < 10; i++) desk.packet(other, { done: true }, message(i, size));
      }
      expect(read(desk)).toEqual(kept);
      const { bytes = 0, messages = 0 } = desk.stats() ?? {};
      expect(bytes).toBeLessThanOrEqual(256 * KB + 200 * 820);
      expect(messages).toBeLessThanOrEqual(40 + (256 * KB) / 128);
    },
  );

  test("a contact that floods loses its own messages, and nobody else's", () => {
    const desk = new Desk();
    desk.outbox(alice, { done: true }, message(1, 5000));
    const { ch } = desk.outbox(mallory);
    for (let n = 0; n < 300; n++)
      desk.packet(ch, { done: true }, Uint8Array.from(message(n % 256, 60_000)).fill(n >> 8, 1));
    expect(read(desk)).toEqual([1]);
    expect(desk.stats()?.bytes).toBeLessThanOrEqual(8 * MB + 5000);
    expect(desk.stats()?.evicted).toBeGreaterThan(100);
  });

  test("twenty thousand contacts that a recipient invents, one byte each, get the boxes of one recipient", () => {
    const desk = new Desk();
    desk.outbox(alice, { to: mallory, done: true }, message(1, 500));
    for (let n = 0; n < 20_000; n++) {
      const { ch } = desk.outbox(person(100 + n), { done: true }, bytesOf(1));
      desk.take({ type: "ended", ch });
      desk.take({ type: "closed", ch, err: undefined });
      desk.ops = [];
    }
    expect(desk.stats()).toMatchObject({ boxes: 4097, recipients: 2, messages: 4097 });
    expect(desk.stats()?.memory).toBeLessThan(4097 * 1000);
    // They are told to him in 35 packets, in one channel.
    const outs = desk.take({ type: "up", peer: bob });
    expect(outs.filter((out) => out.type === "open")).toHaveLength(1);
    expect(outs).toHaveLength(Math.ceil(4096 / 120));
  });
});

describe("rates", () => {
  test("a sender that never stops is taken from without end, and seen by the store so often", () => {
    const desk = new Desk();
    const { ch } = desk.outbox(alice);
    for (let n = 0; n < 2000; n++) expect(desk.packet(ch, { done: true }, message(n % 256, 60_000))).toHaveLength(1);
    expect(desk.stored().length).toBe(Math.floor((32 * MB) / 60_000));
    const guest = desk.outbox(mallory, { uri: "guest" }).ch;
    for (let n = 0; n < 2000; n++) desk.packet(guest, { done: true }, message(n % 256, 1000));
    expect(desk.stored().length).toBe(Math.floor((64 * KB) / 1000));
  });

  test("[C45] what is too fast looks like what is kept, and what is too fast in removing too", () => {
    const talk = (desk: Desk): CacheOut[] => {
      const { ch, outs } = desk.outbox(alice, { uri: "guest", done: true }, message(1, 900));
      for (let n = 0; n < 1000; n++) outs.push(...desk.packet(ch, { done: true }, message(n % 256, 900)));
      for (let n = 0; n < 1000; n++) outs.push(...desk.packet(ch, { id: "0123456789abcdef" }));
      outs.push(...desk.packet(ch, { clear: true, done: true }, message(2, 900)), ...desk.take({ type: "ended", ch }));
      return outs;
    };
    const [fast, blocked, full] = [new Desk(), new Desk(), new Desk({ limits: { total: 0 } })];
    blocked.revoked = true;
    const seen = talk(fast);
    expect(talk(blocked)).toEqual(seen);
    expect(talk(full)).toEqual(seen);
    expect(fast.ops.length).toBeLessThan(600);
    expect(blocked.ops).toEqual([]);
  });

  test("who has been too fast goes on later, and its friends go on meanwhile", () => {
    const desk = new Desk();
    const { ch } = desk.outbox(mallory);
    for (let n = 0; n < 1000; n++) desk.packet(ch, { done: true }, message(n % 256, 60_000));
    desk.stored();
    desk.outbox(alice, { done: true }, message(9, 60_000));
    expect(desk.stored()).toHaveLength(1);
    desk.now += 60_000;
    desk.packet(ch, { done: true }, message(1, 60_000));
    expect(desk.stored()).toHaveLength(1);
  });
});

describe("half messages", () => {
  test("that grow for ever keep nobody out: the recipient with most of them loses some", () => {
    const desk = new Desk();
    // Five recipients with four senders each fill all the room, and none of their messages ever is stale.
    const channels: number[] = [];
    for (let to = 0; to < 5; to++)
      for (let from = 0; from < 4; from++)
        for (let i = 0; i < 8; i++)
          channels.push(desk.outbox(person(1000 + 10 * to + from), { to: person(500 + to) }, bytesOf(60_000)).ch);
    for (let turn = 0; turn < 10; turn++) {
      desk.now += 9000;
      for (const ch of channels) desk.packet(ch, {}, bytesOf(1));
      const { ch } = desk.outbox(alice, {}, bytesOf(40_000, turn));
      desk.packet(ch, { done: true }, bytesOf(20_000, turn));
      expect(desk.stored()).toHaveLength(1);
    }
  });

  test("of several contacts that grow for ever do not keep out a friend's message of two packets", () => {
    const desk = new Desk();
    // Another friend has little, and the least lately added. Five contacts fill the rest of what there is for bob, to 552 bytes.
    const small = desk.outbox(mallory, {}, bytesOf(1000)).ch;
    const channels: number[] = [];
    for (let from = 0; from < 5; from++)
      for (let i = 0; i < 8; i++) channels.push(desk.outbox(person(1000 + from), {}, bytesOf(52_390)).ch);
    const { ch } = desk.outbox(alice);
    for (let turn = 0; turn < 10; turn++) {
      desk.now += 9000; // none of them ever is stale
      for (const each of [small, ...channels]) desk.packet(each, {}, bytesOf(1));
      desk.packet(ch, {}, bytesOf(1200, turn));
      desk.packet(ch, { done: true }, bytesOf(848, turn));
      expect(desk.stored()).toMatchObject([{ type: "put", bytes: { length: 2048 } }]);
    }
    desk.packet(small, { done: true });
    expect(desk.stored()).toMatchObject([{ type: "put", bytes: { length: 1010 } }]);
  });

  test("a byte at a time cost a cache no more than they are long, whoever sends them", () => {
    const desk = new Desk();
    const { ch } = desk.outbox(alice);
    for (let i = 0; i < 65_536; i++) expect(desk.packet(ch, {}, bytesOf(1, i % 256))).toHaveLength(1);
    desk.packet(ch, { done: true });
    expect(desk.stored()).toMatchObject([{ type: "put", bytes: { length: 65_536 } }]);
  });
});

describe("a recipient", () => {
  test("that never reads has few messages in memory, and is told of its boxes eight times", () => {
    const desk = new Desk();
    const senders = Array.from({ length: 100 }, (_, n) => person(200 + n));
    for (const sender of senders) desk.outbox(sender, { done: true }, bytesOf(50_000));
    desk.ops = [];
    const outs: CacheOut[] = [...desk.take({ type: "up", peer: bob })];
    for (const sender of senders) outs.push(...desk.inbox(bob, boxId(portable, sender, bob), 1).outs);
    for (let i = 0; i < 3000; i++) outs.push(...desk.tick());
    const count = (type: string): number => outs.filter((out) => out.type === type).length;
    expect(count("open")).toBeLessThanOrEqual(8);
    expect(desk.ops.filter((op) => op.type === "read").length).toBeLessThanOrEqual(100);
    // One packet for each inbox at most, and the ends of those beyond 64.
    expect(count("send")).toBeLessThanOrEqual(8 + 36 + 100);
    expect(count("took")).toBe(100);
  });

  test("that removes and clears without end is answered so often, and no more", () => {
    const desk = new Desk();
    const { ch } = desk.inbox(bob, BOX, 0);
    for (let i = 0; i < 500; i++) desk.packet(ch, i % 2 === 0 ? { clear: true } : { id: "0123456789abcdef" });
    const outs = desk.take({ type: "writable", ch, credit: 10_000 });
    expect(outs.filter((out) => out.type === "send")).toHaveLength(501);
    expect(desk.take({ type: "writable", ch, credit: 10_000 })).toEqual([]);
  });
});

test("a clock that jumps a year and back loses no box, and stops nothing", () => {
  const desk = new Desk();
  const { ch } = desk.outbox(alice, { done: true }, message(1, 500));
  desk.take({ type: "up", peer: bob });
  const start = desk.now;
  desk.now = start - 365 * DAY;
  desk.packet(ch, { done: true }, message(2, 500));
  desk.take({ type: "tick" });
  expect(read(desk)).toEqual([1, 2]);
  desk.now = start + 365 * DAY;
  for (let i = 0; i < 20; i++) desk.take({ type: "tick" });
  expect(read(desk)).toEqual([]); // 30 days are over
  desk.packet(ch, { done: true }, message(3, 500));
  desk.now = start;
  for (let i = 0; i < 20; i++) desk.take({ type: "tick" });
  expect(read(desk)).toEqual([3]);
  expect(desk.stats()?.messages).toBe(1);
});

test("[X16] ids that collide on purpose: all are kept and streamed, and one removal removes them, in operations by their number", () => {
  const backend: Backend = { ...portable, siphash: () => bytesOf(8, 0xab) };
  const desk = new Desk({ backend });
  const { ch } = desk.outbox(alice);
  for (let n = 1; n <= 200; n++) desk.packet(ch, { done: true }, message(n, 130 + n));
  const id = "ab".repeat(8);
  expect(read(desk, id)).toEqual(Array.from({ length: 200 }, (_, n) => n + 1));
  desk.ops = [];
  const { ch: inbox } = desk.inbox(bob, id, 0);
  desk.packet(inbox, { id });
  expect(read(desk, id)).toEqual([]);
  expect(desk.ops.length).toBeLessThan(10);
  expect(desk.packet(ch, { id }, NOTHING)).toHaveLength(1);
});
