import fc from "fast-check";
import { expect, test } from "vitest";
import { type Random, utf8 } from "../bytes/index.ts";
import { createCrypto, createIdentity, portable } from "../crypto/index.ts";
import { encodePacket, type Json, type JsonObject, parsePacket } from "../wire/index.ts";
import { type Acknowledgement, type AckReport, AckView, encodeAck, parseAck } from "./acknowledgement.ts";
import { PARTS_LIMIT, RANGES_LIMIT, SEQ_LIMIT } from "./constants.ts";
import { encodeCommonHead, messageKind, parsePart } from "./inner.ts";
import { Numbering } from "./numbering.ts";

const crypto = createCrypto(portable);
const from = createIdentity(crypto, stream("alice")).hashname;
const to = createIdentity(crypto, stream("bob")).hashname;
const overhead = crypto.sets.get(0x3a)?.overhead ?? 0;
const E = "00000000000000e0";
const F = "00000000000000f0";
const BY = "00000000000000b1";
const BY2 = "00000000000000b2";
const OWN = "000000000000000e";

function stream(label: string): Random {
  let count = 0;
  return (length) => portable.hkdf(utf8(label), new Uint8Array(0), Uint8Array.of(count++), length);
}

function ack(reports: readonly AckReport[], by = BY): Acknowledgement {
  return { by, ownEpoch: OWN, floor: 1, reports };
}

function encode(content: Acknowledgement): Uint8Array {
  return encodeAck(crypto, 0x3a, { ...content, from, to });
}

/** The same, after the wire. */
function travel(content: Acknowledgement): Acknowledgement {
  const { from: _from, to: _to, ...parsed } = parseAck(encode(content)) ?? expect.fail("unreadable");
  return parsed;
}

function restart(view: AckView): AckView {
  const again = AckView.decode(view.encode()) ?? expect.fail("a state must read back");
  expect(again.encode()).toEqual(view.encode());
  return again;
}

/** Every (seq, part) that a report says is committed, the slow way; part -1 = whole. */
function told({ ranges, unfinished }: AckReport): [seq: number, part: number][] {
  const list: [number, number][] = [];
  for (const [first, last] of ranges) for (let seq = first; seq <= last; seq++) list.push([seq, -1]);
  for (const { seq, missing, bitmap } of unfinished) {
    for (let part = 0; part < missing; part++) list.push([seq, part]);
    for (let i = 0; i < bitmap.length * 8; i++) {
      if (((bitmap[Math.floor(i / 8)] ?? 0) & (1 << (i % 8))) !== 0) list.push([seq, missing + 1 + i]);
    }
  }
  return list;
}

test("what it says beside its reports travels, and readers of before pass over it", () => {
  const all: Acknowledgement = {
    ...ack([]),
    marked: [{ epoch: E, marks: [{ seq: 1, mark: "00000001" }] }],
    twice: [E, F],
    left: [OWN],
    read: [{ epoch: E, ranges: [[1, 3]] }],
    cancelled: [{ epoch: OWN, marks: [{ seq: 7, mark: "89abcdef" }] }],
  };
  expect(travel(all)).toEqual(all);
  const packet = parsePacket(encode(all)) ?? expect.fail();
  const { ids: _ids, twice: _twice, left: _left, read: _read, cancelled: _, ...before } = packet.json ?? {};
  expect(parseAck(encodePacket(before, packet.body))).toEqual({ ...ack([]), from, to });
  // Who must know them says so.
  const crit = encodePacket({ ...packet.json, crit: ["ids", "twice", "left", "read", "cancelled"] }, packet.body);
  expect(parseAck(crit)).toEqual({ ...all, from, to });
  const bad: JsonObject[] = [
    ...["twice", "left"].flatMap((name) =>
      [[], [E, E], ["00"], [1], E, Array.from({ length: 5 }, (_, i) => `000000000000000${i}`)].map((value) => ({
        [name]: value,
      })),
    ),
    ...[{ ids: [] }, { ids: [[E]] }, { ids: {} }, { read: [] }, { read: [[E, 3, 1]] }, { read: 7 }],
    ...[{ cancelled: [] }, { cancelled: [[E, 1]] }, { cancelled: [[E, 1, "89abcde"]] }, { cancelled: "all" }],
  ];
  for (const head of bad)
    expect(parseAck(encodePacket({ ...packet.json, ...head }, packet.body)), JSON.stringify(head)).toBeUndefined();
});

const OF = 5;
const commits = fc.array(
  fc.record({
    epoch: fc.constantFrom(E, F),
    seq: fc.integer({ min: 1, max: 8 }),
    part: fc.nat(OF - 1),
    floor: fc.nat(30),
  }),
  { minLength: 1, maxLength: 60 },
);

/** What a recipient acknowledges, one state after each commit. */
function states(list: typeof commits extends fc.Arbitrary<infer T> ? T : never): Acknowledgement[] {
  const numbering = new Numbering();
  return list.map(({ epoch, seq, part, floor }) => {
    const of = seq % 2 === 0 ? 1 : OF;
    numbering.commit(epoch, seq, part % of, of);
    if (floor >= 1 && floor <= 2) numbering.lower(epoch, floor);
    return ack(numbering.report());
  });
}

test("an acknowledgement travels without change, in exactly 2048 sealed bytes", () => {
  fc.assert(
    fc.property(commits, (list) => {
      for (const state of states(list).slice(-3)) {
        const inner = encode(state);
        expect(inner.length + overhead).toBe(2048);
        expect(parseAck(inner)).toEqual({ ...state, from, to });
        expect(encode(state)).toEqual(inner);
        expect(messageKind(inner)).toBe("ack");
        expect(parsePart(inner)).toBeUndefined();
      }
    }),
  );
});

test("acknowledgements in any order, twice, or lost: the view is the union of those that came", () => {
  fc.assert(
    fc.property(commits, fc.array(fc.nat(1000), { maxLength: 80 }), (list, picks) => {
      const all = states(list);
      const union = new Set<string>();
      let view = new AckView();
      for (const pick of picks) {
        const one = travel(all[pick % all.length] ?? expect.fail());
        const before = union.size;
        for (const report of one.reports) {
          for (const [seq, part] of told(report)) {
            for (const each of part === -1 ? [-1, 0, 1, 2, 3, 4] : [part]) union.add(`${report.epoch} ${seq} ${each}`);
          }
        }
        expect(view.merge(one)).toEqual({ news: union.size > before, restored: false });
        view = restart(view);
        for (const epoch of [E, F]) {
          for (let seq = 1; seq <= 8; seq++) {
            expect(view.isWhole(epoch, seq)).toBe(union.has(`${epoch} ${seq} -1`));
            for (let part = 0; part < OF; part++) {
              expect(view.has(epoch, seq, part)).toBe(union.has(`${epoch} ${seq} ${part}`));
            }
          }
        }
      }
    }),
  );
});

test("one acknowledgement that arrives after all others were lost tells everything that is whole", () => {
  fc.assert(
    fc.property(commits, (list) => {
      const view = new AckView();
      const last = states(list).at(-1) ?? expect.fail();
      view.merge(travel(last));
      for (const { epoch, ranges } of last.reports) {
        for (let seq = 1; seq <= 8; seq++) {
          expect(view.isWhole(epoch, seq)).toBe(ranges.some(([first, end]) => first <= seq && seq <= end));
        }
      }
    }),
  );
});

test("a floor in an acknowledgement never counts as delivery", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: SEQ_LIMIT }), fc.integer({ min: 1, max: SEQ_LIMIT }), (floor, own) => {
      const view = new AckView();
      const report = { epoch: E, floor, ranges: [], unfinished: [] };
      expect(view.merge({ ...ack([report]), floor: own })).toEqual({ news: false, restored: false });
      expect(view.isHeard).toBe(true);
      for (const seq of [1, floor - 1, floor, own]) {
        expect(view.isWhole(E, seq)).toBe(false);
        expect(view.has(E, seq, 0)).toBe(false);
      }
    }),
  );
  const view = new AckView();
  view.merge(ack([{ epoch: E, floor: 5, ranges: [[7, 9]], unfinished: [] }]));
  expect([4, 5, 6, 7, 9, 10].map((seq) => view.isWhole(E, seq))).toEqual([false, false, false, true, true, false]);
});

const whole = (...ranges: [number, number][]): AckReport[] => [{ epoch: E, floor: 1, ranges, unfinished: [] }];
const parts = (missing: number): AckReport[] => [
  { epoch: E, floor: 1, ranges: [], unfinished: [{ seq: 1, missing, bitmap: Uint8Array.of() }] },
];

test("a restored store is told once, and what only the old one had in part is offered again", () => {
  const view = new AckView();
  expect(view.merge(ack(parts(3)))).toEqual({ news: true, restored: false });
  expect(view.has(E, 1, 2)).toBe(true);
  expect(view.merge(ack([], BY2))).toEqual({ news: false, restored: true });
  expect(view.has(E, 1, 2)).toBe(false);
  // Copies of what the old store said change nothing, and do not bring it back.
  expect(view.merge(ack(parts(3)))).toEqual({ news: false, restored: false });
  expect(view.merge(ack(parts(2)))).toEqual({ news: false, restored: false });
  expect(view.has(E, 1, 0)).toBe(false);
  expect(restart(view).has(E, 1, 0)).toBe(false);
  expect(view.merge(ack(parts(1), BY2))).toEqual({ news: true, restored: false });
  expect([0, 1].map((part) => view.has(E, 1, part))).toEqual([true, false]);
});

test("the first word of an old store, come after the new one's, does not silence the new one", () => {
  const view = new AckView();
  view.merge(ack(whole([1, 3]), BY2));
  expect(view.merge(ack(parts(4), BY))).toEqual({ news: true, restored: true });
  expect(view.isWhole(E, 3)).toBe(true);
  expect(view.merge(ack(whole([1, 4]), BY2))).toEqual({ news: true, restored: false });
  expect(view.isWhole(E, 4)).toBe(true);
});

test("what is below our own floor is forgotten, and an old acknowledgement does not bring it back", () => {
  let view = new AckView();
  view.merge(ack([...whole([1, 4], [6, 6]).map((r) => ({ ...r, unfinished: parts(2)[0]?.unfinished ?? [] }))]));
  view.lower(E, 4);
  expect([3, 4, 5, 6].map((seq) => view.isWhole(E, seq))).toEqual([false, true, false, true]);
  view = restart(view);
  expect(view.merge(ack(whole([1, 3])))).toEqual({ news: false, restored: false });
  expect(view.merge(ack(parts(2)))).toEqual({ news: false, restored: false });
  expect(view.merge(ack(whole([1, 5]))).news).toBe(true);
  expect([3, 4, 5, 6].map((seq) => view.isWhole(E, seq))).toEqual([false, true, true, true]);
});

test("a peer that acknowledges without end makes a view without end of nothing", () => {
  const view = new AckView();
  for (let i = 0; i < 400; i++) {
    const name = (n: number) => n.toString(16).padStart(16, "0");
    const ranges = Array.from({ length: RANGES_LIMIT }, (_, n): [number, number] => [
      1 + i + n * 1000,
      1 + i + n * 1000,
    ]);
    const unfinished = [0, 1, 2, 3].map((n) => ({ seq: 900_000 + 4 * i + n, missing: i, bitmap: Uint8Array.of(0x55) }));
    view.merge(ack([{ epoch: name(i % 20), floor: 1, ranges, unfinished }], name(i % 7)));
  }
  expect(view.encode().length).toBeLessThan(4 * 8 * (2 * RANGES_LIMIT * 4 + 64 * 40));
  expect(AckView.decode(view.encode())?.encode()).toEqual(view.encode());
});

test("a state too large for 2 KiB takes the next class that holds it, whole", () => {
  const ranges = Array.from({ length: RANGES_LIMIT }, (_, n): [number, number] => [1 + n * 20_000, 1 + n * 20_000]);
  const inner = encode(ack([{ epoch: E, floor: 1, ranges, unfinished: [] }]));
  expect(inner.length + overhead).toBe(4096);
  expect(parseAck(inner)?.reports[0]?.ranges).toEqual(ranges);
  const far = SEQ_LIMIT - 20_000 * RANGES_LIMIT;
  const worst = ["1", "2", "3", "4"].map((n) => ({
    epoch: n.padStart(16, "0"),
    floor: 1,
    ranges: ranges.map(([first]): [number, number] => [first + far, first + far + 150]),
    unfinished: [1, 2, 3, 4].map((seq) => ({ seq, missing: 60_000, bitmap: new Uint8Array(128).fill(0xff) })),
  }));
  const large = encode(ack(worst));
  expect(large.length + overhead).toBeLessThanOrEqual(32_768);
  expect(parseAck(large)?.reports).toEqual(worst);
});

test("an acknowledgement that is not exactly as it should be is refused", () => {
  const head = { ...encodeCommonHead({ type: "ack", suite: "static", from, to }), by: BY, epoch: OWN, floor: 1 };
  const report = (bytes: number[]) => {
    const body = Uint8Array.from([1, ...Array(7).fill(0), 0xe0, ...bytes]);
    return parseAck(encodePacket({ ...head, len: body.length - 0 }, body));
  };
  // One report of epoch ..e0 needs its 8 bytes; the helper gives the count and 8 bytes.
  expect(report([1, 0, 0])).toMatchObject({ reports: [{ epoch: E, floor: 1, ranges: [], unfinished: [] }] });
  expect(report([0, 0, 0])).toBeUndefined(); // floor 0
  expect(report([1, 1, 0])).toBeUndefined(); // a range too few
  expect(report([1, 0, 0, 0])).toBeUndefined(); // a byte too many
  expect(report([1, 1, 3, 0, 1, 4, 0, 0])).toBeUndefined(); // unfinished and whole
  expect(report([1, 1, 3, 0, 1, 5, 0, 0])).toBeDefined();
  expect(report([9, 0, 1, 5, 0, 0])).toBeUndefined(); // unfinished below the floor
  expect(report([1, 0, 2, 5, 0, 0, 5, 0, 0])).toBeUndefined(); // twice
  expect(report([1, 0, 1, 5, 0, 1, 0])).toBeUndefined(); // the last byte of a bitmap is zero
  expect(report([1, 0, 5, 1, 0, 0, 2, 0, 0, 3, 0, 0, 4, 0, 0, 5, 0, 0])).toBeUndefined(); // five unfinished mails
  expect(report([1, 0, 1, 5, 0xfe, 0xff, 3, 0])).toBeDefined(); // part 65534 is missing
  expect(report([1, 0, 1, 5, 0xff, 0xff, 3, 0])).toBeUndefined(); // there is no part 65535
  expect(report([1, 0, 1, 5, 0xfd, 0xff, 3, 1, 1])).toBeDefined(); // 65533 missing, 65534 here
  expect(report([1, 0, 1, 5, 0xfd, 0xff, 3, 1, 2])).toBeUndefined();
  for (const wrong of [
    { type: "mail" },
    { v: 2 },
    { v: "1" },
    { suite: "other" },
    { hdr: "x" },
    { at: 1_700_000_000 },
    { crit: ["unknown"] },
    { crit: "by" },
    { from: "x" },
    { to: undefined },
    { by: "B1".padStart(16, "0") },
    { by: "b1" },
    { epoch: undefined },
    { floor: 0 },
    { floor: 2 ** 48 + 1 },
    { len: 2 },
    { len: 0 },
    { len: undefined },
  ]) {
    expect(parseAck(encodePacket({ ...head, len: 1, ...wrong }, Uint8Array.of(0)))).toBeUndefined();
  }
  expect(parseAck(encodePacket({ ...head, len: 1, crit: ["by", "len"], more: 1 }, Uint8Array.of(0)))).toBeDefined();
  expect(parseAck(encodePacket({ ...head, len: 1 }, Uint8Array.of(0, 0, 0)))).toBeDefined();
  expect(parseAck(encodePacket({ ...head, len: 1 }, Uint8Array.of(0, 0, 1)))).toBeUndefined(); // dirty padding
});

test("forward keys travel with an acknowledgement, and make it no larger; what is no list of keys is refused", () => {
  const key = (n: number): string => n.toString(16).padStart(2, "0").repeat(32);
  const id = (n: number): string => key(n).slice(0, 16);
  const ring = "0123456789abcdef";
  const four = [1, 2, 3, 4];
  const state = { ...ack([]), keys: { ring, turn: 2 ** 48, keys: four.map(key) }, uses: four.map(id) };
  const inner = encode(state);
  expect(inner.length + overhead).toBe(2048);
  expect(parseAck(inner)).toEqual({ ...state, from, to });
  const packet = parsePacket(inner) ?? expect.fail();
  const altered = (fields: JsonObject) => parseAck(encodePacket({ ...packet.json, ...fields }, packet.body));
  expect(altered({ crit: ["keys", "uses"] })).toBeDefined();
  expect(altered({ keys: undefined, uses: undefined })).toEqual({ ...ack([]), from, to });
  const keys = { ring, turn: 1, list: [key(1)] };
  expect(altered({ keys, uses: [id(7)] })).toMatchObject({ keys: { turn: 1, keys: [key(1)] }, uses: [id(7)] });
  expect(altered({ keys: { ...keys, later: 1 } })).toBeDefined();
  const badLists = [undefined, null, key(1), [], [1], [key(1), 1], [key(1), key(1)], [...four, 5].map(key), [id(1)]];
  const badKeys = [
    ...[null, 7, "x", [], [key(1)], {}],
    ...badLists.map((list) => ({ ...keys, list: list as Json })),
    { ...keys, list: [key(1), `${id(1)}${key(2).slice(16)}`] }, // another key with the same id
    { ...keys, list: [key(171).toUpperCase()] },
    ...[undefined, 0, -1, 1.5, "1", 2 ** 48 + 1].map((turn) => ({ ...keys, turn })),
    ...[undefined, 1, ring.slice(2), ring.toUpperCase()].map((name) => ({ ...keys, ring: name })),
  ];
  for (const each of badKeys) expect(altered({ keys: each as Json }), JSON.stringify(each)).toBeUndefined();
  const badUses = [null, {}, id(1), [], [1], [id(1), id(1)], [...four, 5].map(id), [key(1)], [id(171).toUpperCase()]];
  for (const uses of badUses) expect(altered({ uses: uses as Json }), JSON.stringify(uses)).toBeUndefined();
});

test("damaged acknowledgements and states never throw", () => {
  const numbering = new Numbering();
  for (let seq = 1; seq < 40; seq += 2) numbering.commit(E, seq, seq % 3, seq % 3 === 0 ? 1 : PARTS_LIMIT);
  const keys = { ring: OWN, turn: 3, keys: ["ab".repeat(32), "cd".repeat(32)] };
  const inner = encode({ ...ack(numbering.report()), keys, uses: ["ef".repeat(8)] });
  const view = new AckView();
  view.merge(ack(numbering.report()));
  view.lower(E, 4);
  const state = view.encode();
  fc.assert(
    fc.property(fc.nat(600), fc.nat(state.length - 1), fc.integer({ min: 1, max: 255 }), (at, at2, flip) => {
      const bytes = inner.slice();
      bytes[at] = (bytes[at] ?? 0) ^ flip;
      const parsed = parseAck(bytes);
      if (parsed !== undefined) {
        new AckView().merge(parsed);
        encodeAck(crypto, 0x3a, parsed);
      }
      const other = state.slice();
      other[at2] = (other[at2] ?? 0) ^ flip;
      AckView.decode(other)?.merge(ack(numbering.report()));
      expect(AckView.decode(state.slice(0, at2))).toBeUndefined();
      expect(parseAck(inner.slice(0, at % 250))).toBeUndefined();
    }),
    { numRuns: 500 },
  );
});
