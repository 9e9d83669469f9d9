import fc from "fast-check";
import { expect, test } from "vitest";
import { Chance } from "./chance.ts";

const seeds = fc.integer({ min: -(2 ** 31), max: 2 ** 32 - 1 });

test("the same seed draws the same, another one differently", () => {
  const draw = (seed: number): unknown => {
    const chance = new Chance(seed);
    const list = chance.shuffle(Array.from({ length: 30 }, (_, i) => i));
    return [
      chance.next(),
      chance.fraction(),
      chance.between(1, 1e9),
      list,
      [...chance.random(33)],
      chance.fork().next(),
    ];
  };
  fc.assert(
    fc.property(seeds, (seed) => {
      expect(draw(seed)).toEqual(draw(seed));
    }),
  );
  const first = Array.from({ length: 10_000 }, (_, seed) => new Chance(seed).next());
  // Among ten thousand numbers of 32 bits hardly ever two are equal by chance.
  expect(new Set(first).size).toBeGreaterThan(9_990);
});

test("the first numbers of seed 7 are what they always were: a recorded seed replays its world", () => {
  const chance = new Chance(7);
  expect([chance.next(), chance.next(), chance.next()]).toEqual([479441017, 4290606751, 3334811050]);
});

test("draws stay in their ranges, ends included", () => {
  fc.assert(
    fc.property(seeds, fc.integer({ min: -5, max: 5 }), fc.integer({ min: 0, max: 5 }), (seed, low, size) => {
      const chance = new Chance(seed);
      const seen = new Set<number>();
      for (let i = 0; i < 300; i++) {
        seen.add(chance.between(low, low + size));
        const fraction = chance.fraction();
        expect(fraction >= 0 && fraction < 1).toBe(true);
      }
      expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: size + 1 }, (_, i) => low + i));
    }),
    { numRuns: 50 },
  );
});

test("what happens with a probability happens about so often; never draws nothing", () => {
  const chance = new Chance(3);
  const share = (p: number): number =>
    Array.from({ length: 20_000 }, () => chance.happens(p)).filter(Boolean).length / 2e4;
  for (const p of [0.02, 0.3, 0.5, 0.9]) expect(Math.abs(share(p) - p)).toBeLessThan(0.02);
  expect([share(0), share(1)]).toEqual([0, 1]);
  // A fault that is switched off must not move the draws of everything else.
  const [one, two] = [new Chance(5), new Chance(5)];
  one.happens(0);
  expect(one.next()).toBe(two.next());
});

test("pick and shuffle take from the list, all of it, and leave it alone", () => {
  fc.assert(
    fc.property(seeds, fc.uniqueArray(fc.integer(), { minLength: 1, maxLength: 20 }), (seed, list) => {
      const chance = new Chance(seed);
      const copy = [...list];
      expect(list).toContain(chance.pick(list));
      expect(chance.shuffle(list).sort((a, b) => a - b)).toEqual([...list].sort((a, b) => a - b));
      expect(list).toEqual(copy);
    }),
  );
  expect(() => new Chance(1).pick([])).toThrow();
});

test("random gives any length, and no two alike", () => {
  const { random } = new Chance(11);
  for (const length of [0, 1, 3, 4, 5, 32, 1000]) expect(random(length)).toHaveLength(length);
  expect(new Set(Array.from({ length: 1000 }, () => random(8).join())).size).toBe(1000);
});

test("a fork goes its own way: what it draws does not move the draws of the other", () => {
  const [one, two] = [new Chance(13), new Chance(13)];
  const [a, b] = [one.fork(), two.fork()];
  for (let i = 0; i < 100; i++) a.next();
  expect(one.next()).toBe(two.next());
  expect(b.next()).not.toBe(one.next());
});
