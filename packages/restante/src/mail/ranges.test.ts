import fc from "fast-check";
import { expect, test } from "vitest";
import { concat, Reader } from "../bytes/index.ts";
import { type Range, Ranges } from "./ranges.ts";

const HIGHEST = 40;
const range = fc.tuple(fc.nat(HIGHEST), fc.nat(HIGHEST)).map(([a, b]): Range => [Math.min(a, b), Math.max(a, b)]);
const step = fc.oneof(
  { weight: 4, arbitrary: range.map(([first, last]) => ({ first, last, cut: undefined })) },
  { weight: 1, arbitrary: fc.nat(HIGHEST).map((cut) => ({ first: 0, last: 0, cut })) },
);

/** The same set, the slow way. */
function runs(set: ReadonlySet<number>): Range[] {
  const found: [number, number][] = [];
  for (let n = 0; n <= HIGHEST; n++) {
    if (!set.has(n)) continue;
    const last = found.at(-1);
    if (last?.[1] === n - 1) last[1] = n;
    else found.push([n, n]);
  }
  return found;
}

function build(list: readonly Range[]): Ranges {
  const ranges = new Ranges();
  for (const [first, last] of list) ranges.add(first, last, Number.POSITIVE_INFINITY);
  return ranges;
}

test("ranges are a set of numbers, up to their limit", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), fc.integer({ min: 1, max: 8 }), (steps, limit) => {
      const ranges = new Ranges();
      let model = new Set<number>();
      for (const { first, last, cut } of steps) {
        if (cut === undefined) {
          const more = new Set(model);
          for (let n = first; n <= last; n++) more.add(n);
          const fits = runs(more).length <= limit;
          expect(ranges.add(first, last, limit)).toBe(fits);
          if (fits) model = more;
        } else {
          ranges.cut(cut);
          model = new Set([...model].filter((n) => n >= cut));
        }
        const expected = runs(model);
        expect(ranges.list()).toEqual(expected);
        expect(ranges.count).toBe(expected.length);
        expect(ranges.size).toBe(model.size);
        expect(ranges.highest).toBe(model.size === 0 ? undefined : Math.max(...model));
      }
      for (let n = 0; n <= HIGHEST; n++) {
        expect(ranges.has(n)).toBe(model.has(n));
        let missing = n;
        while (model.has(missing)) missing++;
        expect(ranges.missing(n)).toBe(missing);
        expect(ranges.covers(n, n + 3)).toBe([0, 1, 2, 3].every((more) => model.has(n + more)));
      }
    }),
  );
});

test("the bytes of ranges read back, and no other bytes give the same ranges", () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 12 }), fc.nat(3), (list, base) => {
      const ranges = build(list.filter(([first]) => first >= base));
      const bytes = ranges.encode(base);
      const reader = new Reader(bytes);
      const again = Ranges.read(reader, { base, highest: HIGHEST, limit: 512 });
      expect(again?.list()).toEqual(ranges.list());
      expect(reader.done).toBe(true);
    }),
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.nat(4), fc.nat(255)), { maxLength: 24 }), (list) => {
      const bytes = Uint8Array.from(list);
      const reader = new Reader(bytes);
      const ranges = Ranges.read(reader, { base: 1, highest: 1000, limit: 6 });
      if (ranges === undefined) return;
      expect(ranges.count).toBeLessThanOrEqual(6);
      expect(ranges.highest ?? 0).toBeLessThanOrEqual(1000);
      expect(concat(ranges.encode(1), reader.rest())).toEqual(bytes);
    }),
    { numRuns: 1000 },
  );
});

test("numbers at the end of the safe integers neither wrap nor round", () => {
  const highest = Number.MAX_SAFE_INTEGER - 1;
  const bytes = build([[highest, highest]]).encode(1);
  expect(Ranges.read(new Reader(bytes), { base: 1, highest, limit: 1 })?.list()).toEqual([[highest, highest]]);
  expect(Ranges.read(new Reader(bytes), { base: 1, highest: highest - 1, limit: 1 })).toBeUndefined();
  expect(Ranges.read(new Reader(bytes), { base: highest, highest, limit: 1 })).toBeUndefined();
});

test("how many numbers two sets have in common is what counting them one by one gives", () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 12 }), fc.array(range, { maxLength: 12 }), (one, other) => {
      const [a, b] = [build(one), build(other)];
      const both = Array.from({ length: HIGHEST + 1 }, (_, n) => n).filter((n) => a.has(n) && b.has(n));
      expect([a.common(b), b.common(a)]).toEqual([both.length, both.length]);
    }),
  );
});
