/** A cache that puts together what comes for one box in one turn: what lies there then is what single puts would have left. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { alice, BOX, bob, Desk, mallory } from "../testing/cache-desk.ts";
import type { JsonObject } from "../wire/index.ts";
import type { BoxOp } from "./operations.ts";

const bytesOf = (length: number, n: number): Uint8Array => new Uint8Array(length).fill(n);
const DONE = { done: true };

/** Of each put how many messages it has; the type of all else. */
const sizes = (ops: readonly BoxOp[]): (number | string)[] =>
  ops.map((op) => (op.type === "put" ? 1 + (op.more?.length ?? 0) : op.type));

test("messages of a turn for one box are one question, at most 64, and the next turn begins another", () => {
  const desk = new Desk({ gathers: true });
  const { ch } = desk.outbox(alice, DONE, bytesOf(200, 1));
  for (let n = 2; n <= 70; n++) desk.packet(ch, DONE, bytesOf(200, n));
  desk.hand();
  for (let n = 71; n <= 73; n++) desk.packet(ch, DONE, bytesOf(200, n));
  desk.hand();
  expect(sizes(desk.stored())).toEqual([64, 6, 3]);
  expect(desk.stats()).toMatchObject({ messages: 73, gained: 73 });
});

test("[C45] packets in a row are taken together, and what they leave is one question", () => {
  const desk = new Desk({ gathers: true });
  const { ch } = desk.outbox(alice);
  const row = Array.from({ length: 20 }, (_, n) => ({ head: DONE as JsonObject, body: bytesOf(200, n) }));
  expect(desk.packets(ch, row)).toEqual([{ type: "took", ch, count: 20 }]);
  row.splice(9, 1, { head: { done: true, x: 60 }, body: bytesOf(200, 30) });
  desk.packets(ch, row);
  desk.packets(desk.outbox(mallory, {}, bytesOf(100, 1)).ch, row.slice(0, 2));
  desk.hand();
  expect(sizes(desk.stored())).toEqual([20 + 9, 1, 10, 2]);
});

test("packets in a row leave what they would leave one by one, and only in a row are their bodies given away", () => {
  const packets = fc.array(
    fc.record({
      length: fc.nat(300),
      n: fc.integer({ min: 1, max: 4 }),
      head: fc.constantFrom<JsonObject>(DONE, DONE, {}, { done: true, x: 60 }, { done: true, clear: true }),
    }),
    { minLength: 1, maxLength: 12 },
  );
  fc.assert(
    fc.property(packets, fc.boolean(), (given, isShared) => {
      const make = () => given.map(({ length, n, head }) => ({ head, body: bytesOf(length, n) }));
      const [row, single] = [make(), make()];
      const desks = [row, single].map(() => new Desk({ gathers: true, ...(isShared && { serial: () => 1 }) }));
      const [one, other] = desks.map((desk) => ({ desk, ch: desk.outbox(alice).ch }));
      if (one === undefined || other === undefined) return;
      one.desk.packets(one.ch, row);
      for (const { head, body } of single) other.desk.packet(other.ch, head, body);
      for (const desk of desks) desk.hand();
      expect(one.desk.stored()).toEqual(other.desk.stored());
      expect(one.desk.stats()).toEqual(other.desk.stats());
      expect(single).toEqual(make());
      if (isShared) expect(row).toEqual(make());
    }),
  );
});

test("[C45] each packet is taken at once, whatever it is put together with", () => {
  const desk = new Desk({ gathers: true });
  const { ch, outs } = desk.outbox(alice, DONE, bytesOf(200, 1));
  const took = [{ type: "took", ch }];
  expect([outs, desk.packet(ch, DONE, bytesOf(200, 2)), desk.hand()]).toEqual([took, took, []]);
});

test("another sender, another time to keep it, a removal or a clear between them: then they are not put together", () => {
  const desk = new Desk({ gathers: true });
  const { ch } = desk.outbox(alice, DONE, bytesOf(200, 1));
  const other = desk.outbox(mallory, DONE, bytesOf(200, 2)).ch;
  for (const [on, head, n] of [
    [ch, DONE, 3],
    [other, DONE, 4],
    [other, DONE, 5],
    [other, { done: true, x: 60 }, 6],
    [other, { done: true, x: 60 }, 7],
    [other, { done: true, x: 60, clear: true }, 8],
    [other, { done: true, x: 60 }, 9],
  ] as const)
    desk.packet(on, head, bytesOf(200, n));
  desk.packet(other, { id: "0123456789abcdef" });
  desk.packet(other, { done: true, x: 60 }, bytesOf(200, 10));
  desk.hand();
  expect(sizes(desk.stored())).toEqual([1, 1, 1, 2, 2, "clear", 2, "remove", 1]);
});

test("[X20] what waits for the store is bounded with all that is put together", () => {
  const desk = new Desk({ gathers: true, mute: true });
  const { ch } = desk.outbox(alice);
  for (let n = 0; n < 300; n++) {
    desk.packet(ch, {}, bytesOf(1300, n));
    for (let part = 0; part < 24; part++) desk.packet(ch, {}, bytesOf(1300, n));
    desk.packet(ch, DONE, bytesOf(1300, n));
    if (n % 20 === 0) desk.hand();
  }
  desk.hand();
  const puts = desk.stored().flatMap((op) => (op.type === "put" ? [op, ...(op.more ?? [])] : []));
  const bytes = puts.reduce((sum, put) => sum + put.bytes.length, 0);
  expect(bytes).toBeLessThan(8 * 1024 * 1024);
  expect(bytes).toBeGreaterThan(7.5 * 1024 * 1024);
});

test("in any order, with removals and clears, in turns and rows of any length: the same lies there as of single puts", () => {
  const packet = fc.record({
    by: fc.constantFrom(alice, mallory),
    head: fc.constantFrom<JsonObject[]>(DONE, DONE, DONE, DONE, {}, { clear: true }, { done: true, x: 1000 }),
    n: fc.nat(6),
    size: fc.constantFrom(0, 100, 100, 1500),
    ends: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(packet, { maxLength: 40 }), (packets) => {
      const limits = { box: 3000 };
      const desks = [new Desk({ limits }), new Desk({ limits, gathers: true }), new Desk({ limits, gathers: true })];
      const [one, ...others] = desks.map((desk, i) => {
        const channels = new Map([alice, mallory].map((peer) => [peer, desk.outbox(peer).ch]));
        let row: { head: JsonObject; body: Uint8Array }[] = [];
        for (const [at, { by, head, n, size, ends }] of packets.entries()) {
          const ch = channels.get(by) ?? 0;
          row.push({ head, body: bytesOf(size, n) });
          // To the last desk those that come one after the other on a channel come as one input.
          if (i === 2 && !ends && packets[at + 1]?.by === by) continue;
          desk.packets(ch, row);
          row = [];
          if (ends) desk.hand();
        }
        desk.hand();
        const read = desk.inbox(bob, BOX).outs;
        for (let i = 0; i < 4; i++) read.push(...desk.hand()); // each read is asked for by what came of the one before
        // Numbers of channels and questions are their own.
        return [read.flatMap((out) => (out.type === "send" ? [[out.head, out.body]] : [])), desk.stats()];
      });
      for (const other of others) expect(other).toEqual(one);
    }),
    { numRuns: 100 },
  );
});
