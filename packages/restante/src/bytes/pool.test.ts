import { expect, test } from "vitest";
import { equal, pooled } from "./index.ts";

/** A source of which every two bytes are different from all others before. */
function counting(): { source(length: number): Uint8Array; pools: Uint8Array[] } {
  const pools: Uint8Array[] = [];
  let next = 0;
  return {
    pools,
    source(length) {
      const pool = Uint8Array.from({ length }, (_, i) => ((i & 1) === 0 ? next : next++ >> 8));
      pools.push(pool);
      return pool;
    },
  };
}

test("a pool gives the bytes of its source in order, each once, and keeps none of them", () => {
  const { source, pools } = counting();
  const random = pooled(source);
  const expected = counting().source(64 * 1024);
  for (let at = 0; at + 24 <= expected.length; at += 24)
    expect(equal(random(24), expected.subarray(at, at + 24))).toBe(true);
  expect(pools).toHaveLength(1);
  const left = expected.length % 24;
  expect(pools[0]?.every((byte, i) => byte === 0 || i >= expected.length - left)).toBe(true);
  const [before] = pools;
  random(24); // what was left is too little
  expect(pools).toHaveLength(2);
  expect(before?.length).toBe(64 * 1024);
});

test("what a pool gave is the caller's alone", () => {
  const random = pooled(counting().source);
  const [one, other] = [random(32), random(32)];
  const copy = other.slice();
  one.fill(9);
  expect(other).toEqual(copy);
  expect(one.buffer.byteLength).toBe(32);
});

test("large requests pass the pool by", () => {
  const { source, pools } = counting();
  expect(pooled(source)(1025)).toHaveLength(1025);
  expect(pools.map(({ length }) => length)).toEqual([1025]);
  expect(pooled(source)(0)).toHaveLength(0);
});
