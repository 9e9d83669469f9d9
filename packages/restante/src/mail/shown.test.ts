import fc from "fast-check";
import { expect, test } from "vitest";
import { createCrypto, createIdentity, type Hashname, portable } from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import type { Json } from "../wire/index.ts";
import { type AddressedAck, encodeAck, parseAck } from "./acknowledgement.ts";
import { SEQ_LIMIT } from "./constants.ts";
import { Ranges } from "./ranges.ts";
import { Repute, score } from "./repute.ts";
import { addNewest, cacheName, encodeShown, parseShown, Showings, type Shown } from "./shown.ts";

const E = "00000000000000e0";
const F = "00000000000000f0";
const caches = Array.from({ length: 6 }, (_, i) => "abcdef"[i]?.repeat(52) as Hashname);
const [A, B] = caches as [Hashname, Hashname];

const notes = fc.array(
  fc.record({
    cache: fc.constantFrom(...caches),
    epoch: fc.constantFrom(E, F),
    seq: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: SEQ_LIMIT })),
    isNew: fc.boolean(),
  }),
  { maxLength: 150 },
);

test("whatever caches show: what is told is small, true, complete from its first number on, and travels without change", () => {
  fc.assert(
    fc.property(notes, (list) => {
      const showings = new Showings();
      let epoch: string | undefined;
      const truth = new Map<string, Set<number>>();
      for (const note of list) {
        showings.note(note.cache, note.epoch, note.seq, note.isNew);
        if (note.epoch !== epoch && note.isNew) {
          epoch = note.epoch;
          truth.clear();
        }
        if (note.epoch !== epoch) continue;
        const name = cacheName(note.cache);
        truth.set(name, (truth.get(name) ?? new Set()).add(note.seq));
      }
      const shown = showings.tell();
      expect(shown === undefined).toBe(truth.size === 0);
      if (shown === undefined) return;
      expect(shown.epoch).toBe(epoch);
      expect(shown.caches.length).toBeLessThanOrEqual(4);
      for (const { cache, ranges } of shown.caches) {
        expect(ranges.length).toBeLessThanOrEqual(8);
        const told = new Ranges();
        for (const [first, last] of ranges) told.add(first, last, 8);
        const [[least] = [0]] = ranges;
        for (const [first, last] of ranges) expect(last - first).toBeLessThan(150);
        // A cache that was pushed out by others begins anew, so only what is told must be true ...
        for (const [first, last] of ranges)
          for (let seq = first; seq <= last; seq++) expect(truth.get(cache)?.has(seq)).toBe(true);
        // ... and with few caches, nothing above the first number is left out.
        if (truth.size <= 4) for (const seq of truth.get(cache) ?? []) expect(seq < least || told.has(seq)).toBe(true);
      }
      expect(parseShown(encodeShown(shown))).toEqual(shown);
      expect(Showings.of(shown).tell()).toEqual(shown);
    }),
  );
});

test("a copy of a mail from another epoch changes nothing; a new one begins anew", () => {
  const showings = new Showings();
  for (const seq of [1, 2, 3, 7]) showings.note(A, E, seq, true);
  showings.note(B, E, 2, false);
  showings.note(B, F, 9, false);
  expect(showings.tell()).toEqual({
    epoch: E,
    caches: [
      {
        cache: cacheName(A),
        ranges: [
          [1, 3],
          [7, 7],
        ],
      },
      { cache: cacheName(B), ranges: [[2, 2]] },
    ],
  });
  showings.note(B, F, 9, true);
  expect(showings.tell()).toEqual({ epoch: F, caches: [{ cache: cacheName(B), ranges: [[9, 9]] }] });
});

test("what is not exactly as it must be is refused", () => {
  const good: Shown = {
    epoch: E,
    caches: [
      {
        cache: cacheName(A),
        ranges: [
          [1, 3],
          [5, 5],
        ],
      },
    ],
  };
  expect(parseShown(encodeShown(good))).toEqual(good);
  const name = cacheName(A);
  const bad: Json[] = [
    null,
    [],
    {},
    { epoch: E },
    { epoch: "e0", caches: [[name, 1, 1]] },
    { epoch: E, caches: [] },
    { epoch: E, caches: [[name]] },
    { epoch: E, caches: [[name, 1]] },
    { epoch: E, caches: [[name, 0, 1]] },
    { epoch: E, caches: [[name, 3, 2]] },
    { epoch: E, caches: [[name, 1, 2, 3, 4]] },
    { epoch: E, caches: [[name, 5, 6, 1, 2]] },
    { epoch: E, caches: [[name, 1, SEQ_LIMIT + 1]] },
    { epoch: E, caches: [[name, 1.5, 2]] },
    { epoch: E, caches: [[name, "1", 2]] },
    { epoch: E, caches: [[name.slice(1), 1, 2]] },
    { epoch: E, caches: [[name.toUpperCase(), 1, 2]] },
    { epoch: E, caches: [[name, ...Array.from({ length: 18 }, (_, i) => 1 + i * 2 - (i % 2))]] },
    {
      epoch: E,
      caches: [
        [name, 1, 2],
        [name, 5, 6],
      ],
    },
    { epoch: E, caches: caches.slice(0, 5).map((cache) => [cacheName(cache), 1, 2]) },
  ];
  for (const json of bad) expect(parseShown(json), JSON.stringify(json)).toBeUndefined();
});

test("an acknowledgement carries it, and leaves it out where it would make the packet larger", () => {
  const crypto = createCrypto(portable);
  const [from, to] = [createIdentity(crypto, new Chance(1).random), createIdentity(crypto, new Chance(2).random)];
  const ack: AddressedAck = {
    ...{ from: from.hashname, to: to.hashname, by: E, ownEpoch: E, floor: 1 },
    reports: [{ epoch: F, floor: 1, ranges: [[1, 9]], unfinished: [] }],
  };
  const small: Shown = { epoch: F, caches: [{ cache: cacheName(A), ranges: [[1, 9]] }] };
  const plain = encodeAck(crypto, 0x3a, ack);
  const told = encodeAck(crypto, 0x3a, { ...ack, shown: small });
  expect([parseAck(plain), parseAck(told)]).toEqual([ack, { ...ack, shown: small }]);
  expect(told.length).toBe(plain.length);
  const many = Array.from({ length: 200 }, (_, i) => [1 + 300 * i, 1 + 300 * i] as const);
  const keys = { ring: E, turn: 2 ** 48, keys: ["a", "b", "c", "d"].map((each) => each.repeat(64)) };
  const full: AddressedAck = { ...ack, keys, reports: [{ epoch: F, floor: 1, ranges: many, unfinished: [] }] };
  const wide: Shown = {
    epoch: F,
    caches: caches.slice(0, 4).map((cache) => ({
      cache: cacheName(cache),
      ranges: Array.from({ length: 8 }, (_, i) => [SEQ_LIMIT - 100 + i * 3, SEQ_LIMIT - 100 + i * 3] as const),
    })),
  };
  const crowded = encodeAck(crypto, 0x3a, { ...full, shown: wide });
  expect(crowded).toEqual(encodeAck(crypto, 0x3a, full));
  expect(crowded.length).toBe(plain.length);
});

test("a set that is full forgets its lowest numbers, not its newest", () => {
  const ranges = new Ranges();
  for (let seq = 1; seq <= 40; seq += 2) addNewest(ranges, seq, seq, 3);
  expect(ranges.list()).toEqual([
    [35, 35],
    [37, 37],
    [39, 39],
  ]);
  addNewest(ranges, 5, 5, 3);
  expect(ranges.list()).toEqual([
    [35, 35],
    [37, 37],
    [39, 39],
  ]);
});

test("[X38] an account of a cache: bounded whatever the recipient says, 0 to 4, and good again after it was", () => {
  const claim = fc.tuple(fc.integer({ min: 1, max: 300 }), fc.nat(20)).map(([first, more]) => [first, first + more]);
  const step = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.array(claim, { maxLength: 4 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const repute = new Repute();
      for (const each of steps) {
        if (typeof each === "number") repute.settle(each);
        else repute.heard(each as [number, number][]);
        expect(repute.delivered).toBeLessThanOrEqual(repute.settled);
        expect(repute.settled).toBeLessThan(64);
        expect([0, 1, 2, 3, 4]).toContain(score(repute));
      }
    }),
  );
  const repute = new Repute();
  expect(score(repute)).toBe(4);
  for (let seq = 1; seq <= 40; seq++) repute.settle(seq);
  expect(score(repute)).toBe(0);
  repute.heard([[41, 400]]);
  for (let seq = 41; seq <= 400; seq++) repute.settle(seq);
  expect(score(repute)).toBe(4);
});

test("what a slow cache shows after all is counted, once", () => {
  const repute = new Repute();
  repute.heard([[1, 1]]);
  for (const seq of [1, 2, 3]) repute.settle(seq);
  expect([repute.settled, repute.delivered]).toEqual([3, 1]);
  for (let i = 0; i < 3; i++) repute.heard([[1, 2]]);
  expect([repute.settled, repute.delivered]).toEqual([3, 2]);
});
