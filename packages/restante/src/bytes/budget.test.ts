import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Budget, Budgets, Shares } from "./budget.ts";

/** Who asks, and how long after the one before. */
const asks = fc.array(fc.tuple(fc.nat({ max: 20 }), fc.constantFrom(0, 1, 10, 1_000)), { maxLength: 300 });

test("a budget gives what gathered in two seconds at once, then so much per second, whoever sets the clock back", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -5_000, max: 1_000 }), { maxLength: 300 }), (steps) => {
      const budget = new Budget(10);
      let [now, forward, taken] = [1_000_000, 0, 0];
      for (const step of steps) {
        now += step;
        forward += Math.max(0, step);
        if (budget.take(now)) taken += 1;
      }
      expect(taken).toBeLessThanOrEqual(20 + (10 * forward) / 1_000);
    }),
  );
});

test("the least recently used of many budgets are forgotten", () => {
  const budgets = new Budgets<number>(() => new Budget(1), 2);
  const [first, second] = [budgets.of(1), budgets.of(2)];
  expect(budgets.of(1)).toBe(first);
  budgets.of(3);
  expect(budgets.of(1)).toBe(first);
  expect(budgets.of(2)).not.toBe(second);
});

describe("shares", () => {
  const make = (limit = 4) => new Shares<number>({ common: new Budget(10), share: () => new Budget(1, 2), limit });

  test("all together take no more than the common budget and as many shares as there may be, however they come and go", () => {
    fc.assert(
      fc.property(asks, (script) => {
        const shares = make();
        let [now, taken] = [1_000, 0];
        const start = now;
        for (const [who, ms] of script) {
          now += ms;
          const has = shares.has(who, now);
          expect(shares.take(who, now)).toBe(has);
          if (has) taken += 1;
        }
        const seconds = (now - start) / 1_000;
        expect(taken).toBeLessThanOrEqual(20 + 10 * seconds + 4 * (2 + seconds));
      }),
    );
  });

  test("who asks for more than there is leaves to the others what is theirs", () => {
    const shares = make();
    let got = 0;
    for (let now = 0; now < 20_000; now++) {
      shares.take(0, now);
      if (now % 1_000 === 999 && shares.take(1, now)) got += 1;
    }
    expect(got).toBe(20);
  });

  test("who is forgotten was not using it; who finds none free has the common budget", () => {
    const shares = make(2);
    for (const who of [0, 1, 0, 1]) expect(shares.take(who, 0)).toBe(true);
    for (let i = 0; i < 20; i++) expect(shares.take(2, 0)).toBe(true); // of the common one
    expect([0, 1, 2].map((who) => shares.has(who, 0))).toEqual([false, false, false]);
    expect(shares.has(3, 2_000)).toBe(true); // of 0 or 1, whose shares are full again
  });
});
