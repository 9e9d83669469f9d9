import { expect, test } from "vitest";
import { Space } from "./space.ts";

const MIB = 1024 * 1024;

test("how much is free is told at first, when it changed by enough, to whom has not heard it, and now and then", async () => {
  let free = 1000 * MIB;
  let to = {};
  const told: number[] = [];
  const space = new Space({ store: { free: async () => free }, tell: (n) => told.push(n / MIB), state: () => to });
  await space.look();
  free -= MIB;
  await space.look();
  expect(told).toEqual([1000]);
  free -= 20 * MIB;
  await space.look();
  expect(told).toEqual([1000, 979]);
  to = {};
  await space.look();
  expect(told).toEqual([1000, 979, 979]);
  for (let i = 0; i < 21; i++) await space.look();
  expect(told).toEqual([1000, 979, 979, 979]);
});

test("nobody is told by a store that cannot say, or while nobody is there", async () => {
  const told: number[] = [];
  const tell = (n: number): number => told.push(n);
  const looks = [
    new Space({ store: {}, tell, state: () => 1 }),
    new Space({ store: { free: () => Promise.reject(new Error("no disk")) }, tell, state: () => 1 }),
    new Space({ store: { free: async () => 1 }, tell, state: () => undefined }),
  ];
  for (const space of looks) await space.look();
  expect(told).toEqual([]);
});
