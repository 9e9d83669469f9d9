import { expect, test } from "vitest";
import type { Announcement } from "./acknowledgement.ts";
import { Announced } from "./announced.ts";

const key = (n: number): string => n.toString(16).padStart(2, "0").repeat(32);
const any = (): boolean => true;
const ring = (n: number): string => n.toString(16).padStart(16, "0");

function telling(ringNumber: number, turn: number, ...keys: number[]): Announcement {
  return { ring: ring(ringNumber), turn, keys: keys.map(key) };
}

test("a later announcement replaces the one before; old ones and copies say nothing, over restarts too", () => {
  let told = new Announced();
  expect(told.keys).toEqual([]);
  expect(told.merge(telling(1, 5, 2, 1), any)).toBe(true);
  for (const old of [telling(1, 5, 9), telling(1, 4, 1), telling(1, 1, 1)]) expect(told.merge(old, any)).toBe(false);
  expect(told.keys).toEqual([key(2), key(1)]);
  told = new Announced(told.json());
  expect(told.merge(telling(1, 4, 1), any)).toBe(false);
  expect(told.merge(telling(1, 6, 3, 2), any)).toBe(true);
  expect(told.keys).toEqual([key(3), key(2)]);
});

test("another ring is news whatever its turn; of the one before, only a later turn is", () => {
  const told = new Announced();
  told.merge(telling(1, 9, 9), any);
  expect(told.merge(telling(2, 1, 4), any)).toBe(true);
  expect(told.keys).toEqual([key(4)]);
  expect(told.merge(telling(1, 9, 9), any)).toBe(false);
  expect(told.keys).toEqual([key(4)]);
  expect(told.merge(telling(1, 10, 5), any)).toBe(true);
  expect(told.keys).toEqual([key(5)]);
});

test("a key that cannot be used spoils its announcement; what was known before stays", () => {
  const told = new Announced();
  told.merge(telling(1, 1, 1), any);
  const isKey = (each: string): boolean => each !== key(0);
  expect(told.merge(telling(1, 2, 2, 0), isKey)).toBe(false);
  expect(told.keys).toEqual([key(1)]);
  expect(told.merge(telling(1, 2, 2), isKey)).toBe(true);
});

test("of any number of rings the last 16 are remembered", () => {
  const told = new Announced();
  for (let n = 1; n <= 100; n++) told.merge(telling(n, 1, n), any);
  const { turns, keys } = told.json();
  expect(turns.map(([name]) => name)).toEqual(Array.from({ length: 16 }, (_, i) => ring(85 + i)));
  expect(keys).toEqual([key(100)]);
  expect(told.merge(telling(85, 1, 7), any)).toBe(false);
});
