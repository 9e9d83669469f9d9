import { expect, test } from "vitest";
import { describe, simulate } from "./simulate.ts";

const SMALL = { peers: 3, days: 2, crashes: 3 };
const PATIENCE_MS = 60_000; // a world is a second of work, on a machine that may be busy

test.each([1, 2])(
  "promises 1 to 5 hold through days of trouble, seed %i",
  (seed) => {
    const report = simulate({ seed, loss: 0.2 });
    expect(report.broken).toEqual([]);
    expect(report.mails).toBeGreaterThan(20);
    expect(report.delivered).toBeGreaterThan(20);
    expect(report.lost).toBeGreaterThan(1000);
    expect(report.peerCrashes).toBeGreaterThan(0);
    expect(report.cacheCrashes).toBeGreaterThan(0);
  },
  PATIENCE_MS,
);

test(
  "the same seed gives the same world, another seed another one",
  () => {
    const [one, again, other] = [2, 2, 3].map((seed) => simulate({ seed, ...SMALL }));
    expect(one?.broken).toEqual([]);
    expect(again).toEqual(one);
    expect({ ...other, seed: 2 }).not.toEqual(one);
  },
  PATIENCE_MS,
);

// Bugs that somebody might write: a number that is used twice, a mail that is acknowledged and not kept. Each peer forgets a
// single save; without that the very same world keeps all promises (above).
test.each([
  ["mail/out/", /^promise [13]/],
  ["inbox/", /^promise 1: .* never arrived; its ledger: queued .*delivered/],
])(
  "a planted bug shows, and the report says how to see it again: one save of %s is forgotten",
  (forgetSave, words) => {
    const report = simulate({ seed: 2, ...SMALL, forgetSave });
    expect(report.broken.filter((line) => words.test(line)).length).toBeGreaterThan(0);
    const text = describe(report, "world --seed 2");
    expect(text).toContain("seed 2:");
    expect(text).toContain(`BROKEN ${report.broken[0]}`);
    expect(text.split("\n").at(-1)).toBe("  replay: world --seed 2");
    expect(describe({ ...report, broken: [] }, "world --seed 2")).not.toContain("replay");
  },
  PATIENCE_MS,
);
