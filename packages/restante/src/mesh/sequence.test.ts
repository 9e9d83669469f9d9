import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Sequence } from "./sequence.ts";

const NOW = 1_700_000_000_000;
const SECONDS = 1_700_000_000n;
const DAY = 86_400n;

/** One peer's numbers over its lives: what was saved is there after a crash, and nothing else. */
class Lives {
  saved: Uint8Array | undefined;
  saves = 0;
  #sequence = new Sequence(undefined);

  next(above: bigint, now: number): bigint {
    const at = this.#sequence.next(above, now);
    this.#save();
    return at;
  }

  #save(): void {
    const value = this.#sequence.unsaved();
    if (value === undefined) return;
    this.saved = value;
    this.saves += 1;
  }

  saw(at: bigint, now: number): void {
    this.#sequence.saw(at, now);
    this.#save();
  }

  crash(): void {
    this.#sequence = new Sequence(this.saved);
  }
}

/** Clocks that are wrong by days in both directions, or are none; what others say, near all of that. */
const clock = fc.oneof(fc.integer({ min: NOW - 5e8, max: NOW + 5e8 }), fc.integer({ min: 0, max: 1e6 }));
const above = fc.oneof(
  fc.constant(0n),
  fc.bigInt({ min: SECONDS - 6n * DAY, max: SECONDS + 6n * DAY }),
  fc.constant("last" as const),
);

test("[B38] [B40] no number is given twice, over crashes, with clocks that jump or stand still, and whatever others count", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(above, clock, fc.boolean()), { maxLength: 40 }), (calls) => {
      const lives = new Lives();
      const given = new Set<bigint>();
      let last = 0n;
      for (const [said, now, isCrash] of calls) {
        if (isCrash) lives.crash();
        // The other side's next number, above our last one.
        const below = said === "last" ? last + 2n : said;
        const at = lives.next(below, now);
        expect([at > below, at & 1n, given.has(at)]).toEqual([true, 0n, false]);
        given.add(at);
        last = at;
      }
    }),
  );
});

test("they are epoch seconds while that will do, and as little more as it takes", () => {
  const lives = new Lives();
  expect(lives.next(0n, NOW)).toBe(SECONDS);
  expect(lives.next(0n, NOW)).toBe(SECONDS + 2n);
  expect(lives.next(SECONDS + 101n, NOW)).toBe(SECONDS + 102n);
  expect(lives.next(0n, NOW)).toBe(SECONDS + 104n); // counted: the next peer gets another
  expect(lives.next(0n, NOW + 3_600_000)).toBe(SECONDS + 3_600n);
});

test("[B38] what was echoed counts as sent: the next life begins above it, without a save for each", () => {
  const lives = new Lives();
  lives.next(0n, NOW);
  for (let i = 1n; i <= 1_000n; i++) lives.saw(SECONDS + 5_000n + i, NOW);
  expect(lives.saves).toBeLessThan(10);
  expect(lives.next(0n, NOW)).toBe(SECONDS + 6_002n); // in this life, too
  lives.saw(SECONDS + 9_000n, NOW);
  lives.saw(SECONDS + 8_000n, NOW);
  lives.crash();
  expect(lives.next(0n, NOW)).toBeGreaterThan(SECONDS + 9_000n);
});

test("a day of handshakes takes a save in four minutes, and an hour of lives of a minute does not outrun the clock", () => {
  const lives = new Lives();
  for (let s = 0; s < 86_400; s += 15) lives.next(0n, NOW + s * 1_000);
  expect(lives.saves).toBeLessThan(86_400 / 250);
  const short = new Lives();
  for (let minute = 0; minute < 60; minute++) {
    short.crash();
    for (let s = 0; s < 60; s += 15) short.next(0n, NOW + (60 * minute + s) * 1_000);
  }
  expect(short.next(0n, NOW + 3_600_000) - SECONDS).toBeLessThan(3_600n + 60n);
});

describe("who counts wildly moves our numbers", () => {
  test("for others by 12 days at most, however often, and by no save more than one each time", () => {
    fc.assert(
      fc.property(fc.array(fc.bigInt({ min: 1n, max: 2n ** 64n }), { maxLength: 60 }), (wild) => {
        const lives = new Lives();
        for (const one of wild) {
          lives.saw(one - 1n, NOW);
          expect(lives.next(one, NOW)).toBeGreaterThan(one);
        }
        expect(lives.saves).toBeLessThanOrEqual(2 * wild.length);
        expect(lives.next(0n, NOW)).toBeLessThanOrEqual(SECONDS + 2n ** 20n + 18n * BigInt(wild.length + 1));
      }),
    );
  });

  test("by a few each time, who stays at the end of the 12 days", () => {
    const lives = new Lives();
    let last = lives.next(SECONDS + 2n ** 20n - 2n, NOW);
    const start = last;
    for (let i = 0; i < 1_000; i++) {
      lives.next(last + 15n, NOW);
      last = lives.next(0n, NOW);
    }
    expect(last - start).toBeLessThanOrEqual(1_000n * 20n);
  });

  test("no further than the 12 days by handshakes that we only echo, which cost them nothing", () => {
    const lives = new Lives();
    const end = SECONDS + 2n ** 20n;
    for (let at = end - 100n; at < end + 100_000n; at++) lives.saw(at, NOW);
    expect(lives.next(0n, NOW)).toBeLessThanOrEqual(end + 2n);
  });

  test("not at all, who is further ahead; nor does the end of all numbers", () => {
    const lives = new Lives();
    expect(lives.next(2n ** 40n, NOW)).toBe(2n ** 40n + 2n);
    expect(lives.next(2n ** 64n - 1n, NOW)).toBe(2n ** 64n);
    expect(lives.next(0n, NOW)).toBe(SECONDS);
  });

  test("up to 2038 where we have no clock, for then we know no better", () => {
    const lives = new Lives();
    expect(lives.next(SECONDS, 0)).toBe(SECONDS + 2n);
    expect(lives.next(0n, 1_000)).toBe(SECONDS + 4n);
    lives.crash();
    expect(lives.next(0n, 0)).toBeGreaterThan(SECONDS + 4n);
    expect(lives.next(2n ** 31n, 0)).toBe(2n ** 31n + 2n);
    expect(lives.next(0n, 0)).toBeLessThan(2n ** 31n);
  });
});
