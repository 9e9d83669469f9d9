import fc from "fast-check";
import { expect, test } from "vitest";
import type { Json } from "../wire/index.ts";
import { encodeMarked, Marks, parseMarked } from "./marks.ts";

const E = "00000000000000e0";
const id = (n: number): string => n.toString(16).padStart(8, "0").repeat(4);

const notes = fc.array(fc.tuple(fc.nat(6), fc.integer({ min: 1, max: 60 }), fc.nat()), { minLength: 1, maxLength: 90 });

test("what is told reads back, of the 32 mails and the 4 epochs that came last, and is an account to go on with", () => {
  fc.assert(
    fc.property(notes, (list) => {
      const marks = new Marks();
      for (const [epoch, seq, mail] of list) marks.note(`00000000000000${epoch}0`, seq, id(mail));
      const told = marks.tell() ?? [];
      expect(parseMarked(encodeMarked(told))).toEqual(told);
      expect(Marks.of(told).tell()).toEqual(told);
      expect(told.length).toBeLessThanOrEqual(4);
      expect(told.reduce((sum, each) => sum + each.marks.length, 0)).toBeLessThanOrEqual(32);
      const [epoch, seq, mail] = list.at(-1) ?? expect.fail();
      expect(marks.is(`00000000000000${epoch}0`, seq, id(mail))).toBe(true);
      expect(marks.is(`00000000000000${epoch}0`, seq, id(mail + 1))).toBe(false);
      expect(told.at(-1)?.epoch).toBe(`00000000000000${epoch}0`);
    }),
  );
});

test("runs of numbers are written as one", () => {
  const marks = new Marks();
  for (const seq of [7, 9, 8, 3]) marks.note(E, seq, id(seq));
  expect(encodeMarked(marks.tell() ?? [])).toEqual([[E, 3, "00000003", 7, "000000070000000800000009"]]);
  expect(marks.is(E, 6, id(6))).toBeUndefined();
});

test("what is not exactly so is refused", () => {
  const good: Json = [[E, 7, "0000000700000008"]];
  expect(parseMarked(good)).toHaveLength(1);
  const many = "00000001".repeat(33);
  const bad: Json[] = [
    ...[null, 7, "", {}, [], [[]], [[E]], [[E, 7]], [[E, "00000007", 7]], [["E", 7, "00000007"]]],
    ...[[[E, 0, "00000007"]], [[E, 7.5, "00000007"]], [[E, 7, ""]], [[E, 7, "0000000"]], [[E, 7, "0000000G"]]],
    ...[[[E, 7, "00000007", 8, "00000008"]], [[E, 7, "00000007", 3, "00000003"]], [[E, 7, many]]],
    ...[[[E, 2 ** 48, "0000000700000008"]], [...good, ...good], Array.from({ length: 5 }, () => good[0] as Json)],
    [1, 2].map((n) => [`000000000000000${n}`, 7, "00000001".repeat(17)]),
  ];
  for (const json of bad) expect(parseMarked(json), JSON.stringify(json)).toBeUndefined();
});

test("no JSON makes it throw", () => {
  fc.assert(fc.property(fc.jsonValue(), (json) => void parseMarked(json as Json)));
});
