/** What a cache tells its recipients of their boxes. */
import { expect, test } from "vitest";
import { fromHex, type Time, toHex } from "../bytes/index.ts";
import { alice, BOX, bob, Desk, mallory } from "../testing/cache-desk.ts";
import type { CacheOut } from "./cache.ts";

const NOW: Time = 1_800_000_000_000;
const bytesOf = (length: number, n = 1): Uint8Array => new Uint8Array(length).fill(n);
const took = (ch: number): CacheOut => ({ type: "took", ch });
const idsIn = (outs: readonly CacheOut[]): string[] =>
  outs.flatMap((out) => {
    const ids: string[] = [];
    if (out.type === "open" || out.type === "send")
      for (let at = 0; at + 8 <= out.body.length; at += 8) ids.push(toHex(out.body.subarray(at, at + 8)));
    return ids;
  });

const boxes = (count: number): string[] =>
  Array.from({ length: count }, (_, n) => toHex(Uint8Array.of(7, 7, 7, 7, 7, 7, n >> 8, n)));
/** The `boxes` channel for a recipient with these waiting, the store being asked by hand. */
const advertise = (waiting: readonly string[], seed = 1): CacheOut[] => {
  const desk = new Desk({ mute: true, seed });
  desk.take({ type: "up", peer: bob });
  const list = desk.ops.find((op) => op.type === "list");
  expect(list).toMatchObject({ recipient: bob });
  return desk.take({ type: "store", answers: [{ type: "list", op: list?.op ?? 0, boxes: waiting }] });
};

test.each([1, 119, 120, 121, 239, 240, 241, 1000])(
  "[C24] [C25] [C26] %i boxes: 120 ids in one packet at most, the last ends the channel",
  (count) => {
    const outs = advertise(boxes(count));
    expect(outs).toHaveLength(Math.ceil(count / 120));
    expect(new Set(outs.map((out) => "ch" in out && out.ch)).size).toBe(1);
    for (const [i, out] of outs.entries()) {
      expect(out).toMatchObject(
        i === 0 ? { type: "open", peer: bob, reliable: false, head: { type: "boxes" } } : { type: "send", head: {} },
      );
      expect(out).toMatchObject({ end: i === outs.length - 1 });
    }
    expect(idsIn(outs).sort()).toEqual(boxes(count));
    expect(outs.slice(0, -1).every((out) => "body" in out && out.body.length === 960)).toBe(true);
  },
);

test("[C23] the body is the ids as bytes", () => {
  expect(advertise([BOX])).toMatchObject([{ body: fromHex(BOX) }]);
});

test("[C27] nothing but ids is told, in an order that says nothing", () => {
  const [one, other] = [advertise(boxes(50), 1), advertise(boxes(50), 2)];
  for (const out of [...one, ...other]) expect("head" in out && Object.keys(out.head)).toEqual(["type"]);
  expect(idsIn(one)).not.toEqual(boxes(50));
  expect(idsIn(one)).not.toEqual(idsIn(other));
  const first = new Map<string, number>();
  for (let seed = 0; seed < 3000; seed++) {
    const [id] = idsIn(advertise(boxes(3), seed));
    first.set(id ?? "", (first.get(id ?? "") ?? 0) + 1);
  }
  for (const id of boxes(3)) expect(Math.abs((first.get(id) ?? 0) - 1000)).toBeLessThan(150);
});

test("[C20] [C21] a recipient is told when its link comes up, and again after a new exchange; without boxes it is not", () => {
  const desk = new Desk();
  expect(desk.take({ type: "up", peer: bob })).toEqual([]);
  expect(desk.cache.deadline()).toBeUndefined();
  desk.take({ type: "down", peer: bob });
  desk.outbox(alice, { done: true }, bytesOf(9));
  expect(idsIn(desk.take({ type: "up", peer: bob }))).toEqual([BOX]);
  expect(desk.take({ type: "up", peer: mallory })).toEqual([]);
  expect(idsIn(desk.take({ type: "renewed", peer: bob }))).toEqual([BOX]);
});

test("[C22] a recipient that is there is told when an empty box gains a message, and only then", () => {
  const desk = new Desk();
  desk.take({ type: "up", peer: bob });
  const { ch, outs } = desk.outbox(alice, { done: true }, bytesOf(9));
  expect(idsIn(outs)).toEqual([BOX]);
  expect(desk.packet(ch, { done: true }, bytesOf(10))).toEqual([took(ch)]);
  desk.packet(ch, { clear: true });
  expect(idsIn(desk.packet(ch, { done: true }, bytesOf(11)))).toEqual([BOX]);
});

test("[X22] [C59] it is told again after 1, 3, 8, 20 s and then each 30 s, until the box is open", () => {
  const desk = new Desk();
  desk.outbox(alice, { done: true }, bytesOf(9));
  const up = desk.take({ type: "up", peer: bob });
  expect(idsIn(up)).toEqual([BOX]);
  const closed = (outs: CacheOut[]): void => {
    for (const out of outs) if (out.type === "open") desk.take({ type: "closed", ch: out.ch, err: "timeout" });
  };
  closed(up);
  const times: Time[] = [];
  for (let i = 0; i < 7; i++) {
    const outs = desk.tick();
    expect(idsIn(outs)).toEqual([BOX]);
    closed(outs);
    times.push((desk.now - NOW) / 1000);
  }
  expect(times).toEqual([1, 3, 8, 20, 50, 80, 110]);
  const { ch } = desk.inbox(bob);
  expect(desk.tick()).toEqual([]);
  expect(desk.cache.deadline()).toBe(NOW + 3_600_000); // nothing but the sweep
  // Closed again, and the message still there: 30 s later it is told once more.
  const end = desk.now;
  desk.take({ type: "closed", ch, err: undefined });
  expect(idsIn(desk.tick())).toEqual([BOX]);
  expect(desk.now).toBe(end + 30_000);
});

test("a recipient that never closes these channels is not sent more than eight", () => {
  const desk = new Desk();
  desk.outbox(alice, { done: true }, bytesOf(9));
  let opens = desk.take({ type: "up", peer: bob }).length;
  for (let i = 0; i < 50; i++) opens += desk.tick().filter((out) => out.type === "open").length;
  expect(opens).toBe(8);
});

test("when the link goes, so does everything that was remembered about it", () => {
  const desk = new Desk();
  const { ch } = desk.outbox(alice, { done: true }, bytesOf(9));
  desk.packet(ch, {}, bytesOf(9));
  desk.take({ type: "up", peer: bob });
  const inbox = desk.inbox(bob).ch;
  for (const peer of [alice, bob]) desk.take({ type: "down", peer });
  for (const gone of [ch, inbox]) {
    expect(desk.packet(gone, { done: true }, bytesOf(9))).toEqual([]);
    expect(desk.take({ type: "ended", ch: gone })).toEqual([]);
  }
  expect(desk.cache.deadline()).toBe(NOW + 3_600_000);
});
