import fc from "fast-check";
import { expect, test } from "vitest";
import type { Hashname } from "../crypto/index.ts";
import { addPart, nextPart, type ParcelJson, parcelJson, parcelOf, takeBack } from "./parcel.ts";
import { Ranges } from "./ranges.ts";

const fixed: ParcelJson = {
  ...{ mail: "m", peer: "p" as Hashname, epoch: "e", seq: 1, floor: 1, generation: 0, hello: false, of: 4 },
  ...{
    partBytes: 1024,
    expires: 9,
    state: "open",
    offers: 0,
    copies: [["cache" as Hashname, "uri", [[0, 2]], [[0, 0]]]],
  },
};

test("ids of parts are kept for those that may lie somewhere, and those that were written for each part are still read", () => {
  const before = parcelOf({ ...fixed, ids: "a0,,c2," });
  expect([...before.ids]).toEqual([
    [0, "a0"],
    [2, "c2"],
  ]);
  const json = parcelJson(before);
  expect(json).toMatchObject({ at: "0:a0,2:c2" });
  expect(json).not.toHaveProperty("ids");
  expect(parcelOf(JSON.parse(JSON.stringify(json)))).toEqual(before);
  expect(takeBack(before)).toMatchObject([{ ids: ["a0", "c2"] }]);
  const none = parcelOf(fixed);
  expect([none.ids.size, parcelJson(none).at, takeBack(none)]).toEqual([0, undefined, []]);
});

test("the next part is the first that is neither handed nor acknowledged nor in flight, as looking at each of them finds it", () => {
  const parts = fc.uniqueArray(fc.nat(20), { maxLength: 15 });
  fc.assert(
    fc.property(parts, parts, parts, fc.nat(22), (handed, have, flying, before) => {
      const [one, two] = [handed, have].map((list) => {
        const ranges = new Ranges();
        for (const part of list) addPart(ranges, part);
        return ranges;
      });
      const slow = Array.from({ length: before }, (_, n) => n).find(
        (n) => !handed.includes(n) && !have.includes(n) && !flying.includes(n),
      );
      expect(nextPart(one ?? new Ranges(), two ?? new Ranges(), new Set(flying), before)).toBe(slow);
    }),
  );
});
