import { expect, test } from "vitest";
import { ended, type FileProgress, Progress } from "./progress.ts";

const film: FileProgress = { way: "in", contact: "c", id: "i", done: 1, of: 100 };

test("a file is told of twice a second, and its end once, whatever others do", () => {
  const progress = new Progress();
  const at = (done: number, now: number): boolean => progress.isDue({ ...film, done }, now);
  expect([at(1, 0), at(2, 499), at(3, 500), at(4, 501)]).toEqual([true, false, true, false]);
  expect(progress.isDue({ ...film, way: "out", done: 5 }, 502)).toBe(true);
  expect([at(100, 503), at(100, 504), at(100, 9000)]).toEqual([true, false, false]);
  expect(at(7, 9001)).toBe(true); // it begins anew
  expect(at(8, 0)).toBe(true); // the clock was set back
});

test("the end of a file that will not be whole is told at once, once, and only where there was something to end", () => {
  const progress = new Progress();
  const mine: FileProgress = { ...film, way: "out" };
  const over = ended({ ...mine, done: 7 }, "cancelled");
  expect(over).toEqual({ ...mine, done: 0, ended: "cancelled" });
  expect(progress.isDue(over, 0)).toBe(false);
  expect(progress.isDue(mine, 1)).toBe(true);
  expect([progress.isDue(over, 2), progress.isDue(over, 3)]).toEqual([true, false]);
  // Of one that comes something was here, perhaps before a restart.
  const theirs = ended(film, "cancelled");
  expect([progress.isDue(theirs, 4), progress.isDue(theirs, 5)]).toEqual([true, false]);
});

test("what is remembered of files that are over has a bound", () => {
  const progress = new Progress();
  for (let n = 0; n < 3000; n++) expect(progress.isDue({ ...film, id: `${n}` }, 0)).toBe(true);
  expect(progress.isDue({ ...film, id: "2999" }, 1)).toBe(false);
  expect(progress.isDue({ ...film, id: "0" }, 1)).toBe(true);
});
