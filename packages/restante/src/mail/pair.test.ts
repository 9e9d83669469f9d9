import fc from "fast-check";
import { expect, test } from "vitest";
import type { Hashname } from "../crypto/index.ts";
import { AckView } from "./acknowledgement.ts";
import { Announced } from "./announced.ts";
import { Pair, pairOf, pairRecord, type Told } from "./pair.ts";
import { type Parcel, parcelOf } from "./parcel.ts";
import type { Range } from "./ranges.ts";

const EPOCH = "0".repeat(16);
const PEER = "peer" as Hashname;
const KEYS = ["1", "2", "3"].map((digit) => digit.repeat(64));

const newPair = (next: number): Pair =>
  new Pair({
    ...{ epoch: EPOCH, doubted: [], doubtedAt: 0, left: [], next },
    view: new AckView(),
    announced: new Announced({ turns: [], keys: KEYS }),
  });

const parcelWith = (seq: number, key: string | undefined): Parcel => ({
  ...parcelOf({
    ...{ mail: `${seq}`, peer: PEER, epoch: EPOCH, seq, floor: 1, generation: 0, hello: false, of: 1, partBytes: 1 },
    ...{ expires: 1, state: "open", offers: 0, copies: [] },
  }),
  ...(key !== undefined && { forward: { key, uses: [] } }),
});

const step = fc.oneof(
  fc.record({ do: fc.constant("number" as const), key: fc.integer({ min: -1, max: 2 }) }),
  fc.record({
    do: fc.constant("acknowledge" as const),
    by: fc.integer({ min: 1, max: 6 }),
    first: fc.integer({ min: 1, max: 30 }),
    more: fc.nat(5),
  }),
  fc.record({ do: fc.constantFrom("stop" as const, "pass" as const, "retire" as const), which: fc.nat(30) }),
);

test("whatever comes in whatever order, a pair knows what one knows who looks at all of it each time", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1000 }), fc.array(step, { maxLength: 80, size: "max" }), (start, steps) => {
      const pair = newPair(start);
      const all: Parcel[] = [];
      const [passed, retired] = [new Set<Parcel>(), new Set<Parcel>()];
      for (const each of steps) {
        if (each.do === "number") {
          const parcel = parcelWith(pair.next, KEYS[each.key]);
          pair.number(parcel);
          all.push(parcel);
        } else if (each.do === "acknowledge") {
          const [first, last] = [start - 1 + each.first, start - 1 + each.first + each.more];
          const reports = [{ epoch: EPOCH, floor: 1, ranges: [[first, last]] as const, unfinished: [] }];
          const told = { by: `${each.by}`.repeat(16), ownEpoch: EPOCH, floor: 1, reports };
          const expected = all.filter(
            (one) => one.seq >= first && one.seq <= last && one.state !== "acknowledged" && !retired.has(one),
          );
          const { arrived } = pair.merge(told, () => true);
          expect(arrived).toEqual(expected);
          for (const parcel of arrived) {
            parcel.state = "acknowledged";
            pair.closed(parcel);
            pair.pass(EPOCH, parcel.seq);
            passed.add(parcel);
          }
        } else {
          const parcel = all[each.which];
          if (parcel === undefined) continue;
          if (parcel.state === "open") parcel.state = "stopped";
          pair.closed(parcel);
          if (each.do !== "stop") {
            pair.pass(EPOCH, parcel.seq);
            passed.add(parcel);
          }
          if (each.do === "retire") {
            pair.retire(parcel);
            retired.add(parcel);
          }
        }
        expect(pair.floor).toBe(Math.min(pair.next, ...all.filter((one) => !passed.has(one)).map(({ seq }) => seq)));
        expect(new Set(pair.parcels())).toEqual(new Set(all.filter((one) => !retired.has(one))));
        const open = all.filter(({ state }) => state === "open");
        const used = KEYS.slice(1).filter((key) => open.some(({ forward }) => forward?.key === key));
        expect(pair.forwarding()).toEqual({ key: KEYS[0], uses: used.map((key) => key.slice(0, 16)) });
      }
    }),
    { numRuns: 300 },
  );
});

test("a pair knows the number it began with, over a start, too: no lower one moves its floor; after a restore, or a copy, it begins anew", () => {
  const first = pairOf({ epoch: EPOCH, next: 7, began: 7 }, { storeEpoch: EPOCH, first: 7, isWhole: true });
  const given = parcelWith(7, undefined);
  first.number(given);
  const record = pairRecord(first, EPOCH);
  const pair = pairOf(record, { storeEpoch: EPOCH, first: 9, isWhole: false });
  const old = parcelWith(6, undefined);
  for (const parcel of [old, given]) pair.load(parcel);
  pair.whole();
  expect([pair.gave(old), pair.gave(given), pair.floor, pair.next]).toEqual([false, true, 7, 8]);
  expect(pair.isOpenBelow(7)).toBe(false);
  // What was written before that was noted began with 1.
  const { began: _, ...before } = record;
  expect(pairOf(before, { storeEpoch: EPOCH, first: 9, isWhole: false }).gave(old)).toBe(true);
  const restored = pairOf(record, { storeEpoch: "1".repeat(16), first: 3, isWhole: false });
  expect([restored.next, restored.began, restored.gave(given)]).toEqual([3, 3, false]);
  pair.renew("2".repeat(16), 1);
  expect([pair.next, pair.began, pair.gave({ ...given, epoch: "2".repeat(16) })]).toEqual([1, 1, true]);
});

test("what was cancelled is told, also after a restart and in a new epoch, until the floor passes it", () => {
  const pair = newPair(1);
  const parcels = [1, 2, 3].map((seq) => parcelWith(seq, undefined));
  for (const parcel of parcels) pair.number(parcel);
  for (const { epoch, seq } of parcels.slice(1)) pair.cancelled.note(epoch, seq, `${seq}`.repeat(32));
  const again = (): Pair => pairOf(pairRecord(pair, EPOCH), { storeEpoch: EPOCH, first: 1, isWhole: true });
  const numbers = (of: Pair): number[] =>
    (of.cancelled.tell() ?? []).flatMap(({ marks }) => marks.map(({ seq }) => seq));
  expect([numbers(pair), numbers(again())]).toEqual([
    [2, 3],
    [2, 3],
  ]);
  pair.pass(EPOCH, 2);
  expect(numbers(pair)).toEqual([2, 3]);
  pair.pass(EPOCH, 1);
  expect([pair.floor, numbers(pair), numbers(again())]).toEqual([3, [3], [3]]);
  pair.renew("f".repeat(16), 1);
  expect([numbers(pair), pair.floor]).toEqual([[3], 1]);
});

test("what a store told before it was restored says nothing of the parts that the one after it has, however late it comes", () => {
  let pair = newPair(1);
  const file: Parcel = { ...parcelWith(1, undefined), of: 5 };
  for (const parcel of [file, parcelWith(2, undefined)]) pair.number(parcel);
  const [old, present] = ["1", "2"].map((digit) => digit.repeat(16)) as [string, string];
  const tell = (by: string, missing: number, bits: number, whole: Range[] = [], left?: string[]): Told => {
    const unfinished = missing < 5 ? [{ seq: 1, missing, bitmap: Uint8Array.from(bits > 0 ? [bits] : []) }] : [];
    const reports = [{ epoch: EPOCH, floor: 1, ranges: whole, unfinished }];
    return pair.merge({ by, ownEpoch: EPOCH, floor: 1, reports, ...(left && { left }) }, () => true);
  };
  const parts = (): readonly Range[] => pair.view.parts(EPOCH, 1).list();
  tell(old, 3, 0);
  expect(parts()).toEqual([[0, 2]]);
  expect(tell(present, 0, 0b1000).restored).toBe(true);
  expect(parts()).toEqual([[4, 4]]);
  // From before the restore, and news: a mail that came whole, a part more. Also after a restart.
  pair = pairOf(pairRecord(pair, EPOCH), { storeEpoch: EPOCH, first: 1, isWhole: true });
  for (const parcel of [file, parcelWith(2, undefined)]) pair.load(parcel);
  expect(tell(old, 4, 0, [[2, 2]])).toMatchObject({ news: true, restored: false });
  expect(parts()).toEqual([[4, 4]]);
  expect(pair.view.isWhole(EPOCH, 2)).toBe(true);
  // Whoever has what was numbered after that lives: its disk went back once more.
  pair.number(parcelWith(3, undefined));
  tell(old, 4, 0, [[3, 3]]);
  expect(parts()).toEqual([[0, 3]]);
  // So it goes on: now the other one is the old one.
  tell(present, 1, 0b100, [[2, 2]]);
  expect(parts()).toEqual([[0, 3]]);
  pair.number(parcelWith(4, undefined));
  tell(present, 1, 0b100, [[4, 4]]);
  expect(parts()).toEqual([
    [0, 0],
    [4, 4],
  ]);
  // In another epoch of ours all numbers are given after that.
  pair.renew("f".repeat(16), 1);
  pair.number({ ...file, epoch: "f".repeat(16), seq: 1 });
  const reports = [
    { epoch: "f".repeat(16), floor: 1, ranges: [], unfinished: [{ seq: 1, missing: 2, bitmap: Uint8Array.of() }] },
  ];
  pair.merge({ by: old, ownEpoch: EPOCH, floor: 1, reports }, () => true);
  expect(pair.view.parts("f".repeat(16), 1).list()).toEqual([[0, 1]]);
});

test("a store that was never heard, and that the present one says it left, is an old one whenever it is heard", () => {
  const pair = newPair(1);
  pair.number({ ...parcelWith(1, undefined), of: 5 });
  pair.number(parcelWith(2, undefined));
  const [old, present] = ["1", "2"].map((digit) => digit.repeat(16)) as [string, string];
  const tell = (by: string, missing: number, whole: Range[], left: string[]): Told => {
    const unfinished = [{ seq: 1, missing, bitmap: Uint8Array.of() }];
    const reports = [{ epoch: EPOCH, floor: 1, ranges: whole, unfinished }];
    return pair.merge({ by, ownEpoch: EPOCH, floor: 1, reports, left }, () => true);
  };
  tell(present, 1, [[2, 2]], [old]);
  expect(tell(old, 3, [], [])).toMatchObject({ news: true, restored: false });
  expect(pair.view.parts(EPOCH, 1).list()).toEqual([[0, 0]]);
  // A store that says so of its own name is there all the same: it left the name to a copy of itself.
  expect(tell(present, 2, [], [present]).news).toBe(true);
  expect(pair.view.parts(EPOCH, 1).list()).toEqual([[0, 1]]);
  // Names of stores that nobody heard push out none that was.
  const names = ["a", "b", "c", "d"].map((name) => name.repeat(16));
  for (const digit of ["3", "4"]) tell(digit.repeat(16), 1, [], names);
  expect(pair.view.isWhole(EPOCH, 2)).toBe(true);
});
