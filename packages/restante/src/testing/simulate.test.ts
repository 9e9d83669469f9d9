import { expect, test } from "vitest";
import { describe, simulate } from "./simulate.ts";

const SMALL = { peers: 3, days: 2, crashes: 3 };

test.each([1, 2, 3])("promises 1 to 5 hold in a week of trouble, seed %i", (seed) => {
  const report = simulate({ seed, loss: 0.2 });
  expect(report.broken).toEqual([]);
  expect(report.mails).toBeGreaterThan(20);
  expect(report.delivered).toBeGreaterThan(20);
  expect(report.lost).toBeGreaterThan(1000);
  expect(report.peerCrashes).toBeGreaterThan(0);
  expect(report.cacheCrashes).toBeGreaterThan(0);
});

test("the same seed gives the same world, another seed another one", () => {
  const [one, again, other] = [9, 9, 10].map((seed) => simulate({ seed, ...SMALL, loss: 0.1 }));
  expect(again).toEqual(one);
  expect(other).not.toEqual({ ...one, seed: 10 });
});

// Three bugs that somebody might write: a number that is used twice, a mail that is shown and not kept, one that is not
// kept at all. Each peer forgets a single save.
test.each(["mail/out/", "mail/n", "inbox/"])("a planted bug shows: one save of %s that is forgotten", (forgetSave) => {
  const broken = [2, 3].flatMap((seed) => {
    expect(simulate({ seed, ...SMALL }).broken).toEqual([]);
    return simulate({ seed, ...SMALL, forgetSave }).broken;
  });
  expect(broken.some((line) => line.startsWith("promise 1") || line.startsWith("promise 3"))).toBe(true);
});

test("a report names its seed, its faults and how to see it again", () => {
  const report = simulate({ seed: 2, ...SMALL, forgetSave: "inbox/" });
  const text = describe(report, "world --seed 2");
  expect(text).toContain("seed 2:");
  expect(text).toContain(`BROKEN ${report.broken[0]}`);
  expect(text.split("\n").at(-1)).toBe("  replay: world --seed 2");
  expect(describe({ ...report, broken: [] }, "world --seed 2")).not.toContain("replay");
});
