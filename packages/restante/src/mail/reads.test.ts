import fc from "fast-check";
import { expect, test } from "vitest";
import type { Json } from "../wire/index.ts";
import { encodeReads, parseReads, Reads } from "./reads.ts";

const E = "00000000000000e0";

test("what is told reads back, is of the newest mails of the epochs seen last, and an account to go on with", () => {
  const notes = fc.array(fc.tuple(fc.nat(6), fc.integer({ min: 1, max: 60 })), { minLength: 1, maxLength: 90 });
  fc.assert(
    fc.property(notes, (list) => {
      const reads = new Reads();
      for (const [epoch, seq] of list) reads.note(`00000000000000${epoch}0`, seq);
      const told = reads.tell() ?? [];
      expect(parseReads(encodeReads(told))).toEqual(told);
      expect(Reads.of(told).tell()).toEqual(told);
      const noted = new Set(list.map(([epoch, seq]) => `00000000000000${epoch}0 ${seq}`));
      for (const { epoch, ranges } of told)
        for (const [first, last] of ranges)
          for (let seq = first; seq <= last; seq++) expect(noted.has(`${epoch} ${seq}`)).toBe(true);
      const newest = list.at(-1) ?? expect.fail();
      expect(told.at(-1)?.epoch).toBe(`00000000000000${newest[0]}0`);
      const highest = Math.max(...list.flatMap(([epoch, seq]) => (epoch === newest[0] ? seq : [])));
      if (told.length === new Set(list.map(([epoch]) => epoch)).size)
        expect(told.at(-1)?.ranges.at(-1)?.[1]).toBe(highest);
    }),
  );
});

test("what is not exactly so is refused", () => {
  expect(parseReads([[E, 1, 7]])).toEqual([{ epoch: E, ranges: [[1, 7]] }]);
  const many = Array.from({ length: 9 }, (_, i) => [3 * i + 1, 3 * i + 1]).flat();
  const bad: Json[] = [
    ...[null, 7, "", {}, [], [[]], [[E]], [[E, 1]], [[E, 1, 7, 9]], [[1, 1, 7]], [["E", 1, 7]]],
    ...[[[E, 0, 7]], [[E, 7, 1]], [[E, 1, 2.5]], [[E, 1, "7"]], [[E, 1, 7, 8, 9]], [[E, 1, 2 ** 48 + 1]]],
    [[E, ...many]],
    [
      [E, 1, 7],
      [E, 1, 7],
    ],
    Array.from({ length: 5 }, (_, i) => [`000000000000000${i}`, 1, 7]),
  ];
  for (const json of bad) expect(parseReads(json), JSON.stringify(json)).toBeUndefined();
});

test("no JSON makes it throw", () => {
  fc.assert(fc.property(fc.jsonValue(), (json) => void parseReads(json as Json)));
});
