import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Deadlines } from "./index.ts";

describe("deadlines", () => {
  test("come due in order of time, equal times in the order they were set", () => {
    const deadlines = new Deadlines<string>();
    for (const [key, at] of [
      ["late", 9],
      ["b", 5],
      ["a", 5],
      ["early", 1],
    ] as const)
      deadlines.set(key, at);
    expect(deadlines.next()).toBe(1);
    expect(deadlines.due(0)).toEqual([]);
    expect(deadlines.due(5)).toEqual(["early", "b", "a"]);
    expect(deadlines.next()).toBe(9);
    expect(deadlines.due(8)).toEqual([]);
  });

  test("move and vanish", () => {
    const deadlines = new Deadlines<string>();
    deadlines.set("a", 5);
    deadlines.set("a", 2);
    expect(deadlines.next()).toBe(2);
    deadlines.set("a", 7);
    expect(deadlines.due(6)).toEqual([]);
    deadlines.set("a", undefined);
    deadlines.set("a", undefined);
    expect(deadlines.next()).toBeUndefined();
    expect(deadlines.due(Number.POSITIVE_INFINITY)).toEqual([]);
  });

  test("keep their turn when the same time is set again, and lose it when they move", () => {
    const deadlines = new Deadlines<string>();
    for (const key of ["a", "b", "c"]) deadlines.set(key, 5);
    deadlines.set("a", 5);
    deadlines.set("b", 6);
    deadlines.set("b", 5);
    expect(deadlines.due(5)).toEqual(["a", "c", "b"]);
  });

  test("stay in order when the hole of a removed one is filled from another branch", () => {
    const deadlines = new Deadlines<number>();
    for (const at of [0, 10, 1, 11, 12, 2, 3]) deadlines.set(at, at); // 3 stands last, 11 under 10
    deadlines.set(11, undefined); // 3 must rise above 10
    deadlines.set(20, 20);
    expect(deadlines.due(99)).toEqual([0, 1, 2, 3, 10, 12, 20]);
  });

  test("behave like a sorted list, whatever is done to them", () => {
    const key = fc.nat(40);
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ key, at: fc.nat(50) }) },
      { weight: 2, arbitrary: fc.record({ key }) },
      { weight: 1, arbitrary: fc.record({ now: fc.nat(50) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const deadlines = new Deadlines<number>();
        let list: { key: number; at: number }[] = []; // in the order set
        for (const step of steps) {
          if ("now" in step) {
            const come = list.filter((entry) => entry.at <= step.now).sort((a, b) => a.at - b.at);
            expect(deadlines.due(step.now)).toEqual(come.map((entry) => entry.key));
            list = list.filter((entry) => entry.at > step.now);
          } else {
            const at = "at" in step ? step.at : undefined;
            deadlines.set(step.key, at);
            if (list.some((entry) => entry.key === step.key && entry.at === at)) continue;
            list = list.filter((entry) => entry.key !== step.key);
            if (at !== undefined) list.push({ key: step.key, at });
          }
          const times = list.map((entry) => entry.at);
          expect(deadlines.next()).toBe(times.length === 0 ? undefined : Math.min(...times));
        }
      }),
      { numRuns: 400 },
    );
  });

  test("refuse what is no time", () => {
    expect(() => new Deadlines<string>().set("a", Number.NaN)).toThrow("broken invariant");
  });
});
