import fc from "fast-check";
import { expect, test } from "vitest";
import { type Hashname, hashnameFromBytes } from "../crypto/index.ts";
import { Revocations } from "./revocations.ts";

const name = (n: number): Hashname =>
  hashnameFromBytes(Uint8Array.from({ length: 32 }, (_, i) => (n >> (8 * (i % 3))) & 255));
const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);

test("what a recipient has revoked is revoked for it and for nobody else, whatever is told again", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(3), fc.array(fc.nat(30)))), (told) => {
      const revocations = new Revocations();
      const expected = new Set<string>();
      for (const [n, serials] of told) {
        const before = revocations.revision(name(n));
        const isNew = serials.some((serial) => !expected.has(`${n} ${serial}`));
        revocations.add(name(n), serials);
        for (const serial of serials) expected.add(`${n} ${serial}`);
        expect(revocations.revision(name(n)) !== before).toBe(isNew);
      }
      for (const n of range(0, 4))
        for (const serial of range(0, 31))
          expect(revocations.has(name(n), serial)).toBe(expected.has(`${n} ${serial}`));
    }),
  );
});

test("of one recipient 2000 serials are known, the oldest go", () => {
  const revocations = new Revocations();
  for (let i = 0; i < 11; i++) revocations.add(name(1), range(200 * i, 200));
  expect(range(0, 2200).filter((serial) => !revocations.has(name(1), serial))).toEqual(range(0, 200));
});

test("serials told again are the last to be forgotten", () => {
  const revocations = new Revocations();
  for (let i = 0; i < 10; i++) revocations.add(name(1), range(200 * i, 200));
  revocations.add(name(1), range(0, 200));
  revocations.add(name(1), range(2000, 200));
  expect(range(0, 2200).filter((serial) => !revocations.has(name(1), serial))).toEqual(range(200, 200));
});

test("a recipient that forgets its oldest for each new one has all void that it tells, in whatever order it tells them", () => {
  const revocations = new Revocations();
  const serial = (i: number): number => (i * 7919) % 10_007; // all different: 10,007 is a prime
  for (let oldest = 0; oldest < 20; oldest++) {
    const told = range(oldest, 2000).map(serial);
    const sorted = [...told].sort((a, b) => a - b);
    for (let i = 0; i < 10; i++) revocations.add(name(1), sorted.slice(200 * i, 200 * (i + 1)));
    expect(told.filter((each) => !revocations.has(name(1), each))).toEqual([]);
    expect(range(0, oldest).some((i) => revocations.has(name(1), serial(i)))).toBe(false);
  }
});

test("who fills the memory with many serials pushes out himself, under several names too, and not a recipient with little to say", () => {
  const revocations = new Revocations();
  revocations.add(name(0), range(0, 50));
  for (let n = 1; n < 800; n++) revocations.add(name(n), range(0, 2000));
  expect(range(0, 50).every((serial) => revocations.has(name(0), serial))).toBe(true);
  const kept = range(1, 799).filter((n) => revocations.has(name(n), 1999)).length;
  expect(kept).toBeLessThanOrEqual((1 << 20) / 2016);
  expect(kept).toBeGreaterThan(500);
  // Who was forgotten is told apart from who was not: the revision is another one.
  expect(revocations.revision(name(1))).toBe(0);
  revocations.add(name(1), [5]);
  expect(revocations.revision(name(1))).toBeGreaterThan(800);
});
