import fc from "fast-check";
import { expect, test } from "vitest";
import { type Hashname, hashnameFromBytes } from "../crypto/index.ts";
import { Revocations } from "./revocations.ts";

const name = (n: number): Hashname =>
  hashnameFromBytes(Uint8Array.from({ length: 32 }, (_, i) => (n >> (8 * (i % 3))) & 255));
const NOW = 1_800_000_000_000;
const DAY = 24 * 60 * 60 * 1000;
const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);

test("what a recipient has revoked is revoked for it and for nobody else, whatever is told again", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(3), fc.array(fc.nat(30)))), (told) => {
      const revocations = new Revocations();
      const expected = new Set<string>();
      for (const [n, serials] of told) {
        const before = revocations.revision(name(n));
        const isNew = serials.some((serial) => !expected.has(`${n} ${serial}`));
        revocations.add(name(n), serials, NOW);
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
  for (let i = 0; i < 11; i++) revocations.add(name(1), range(200 * i, 200), NOW);
  expect(range(0, 2200).filter((serial) => !revocations.has(name(1), serial))).toEqual(range(0, 200));
});

test("serials told again are the last to be forgotten", () => {
  const revocations = new Revocations();
  for (let i = 0; i < 10; i++) revocations.add(name(1), range(200 * i, 200), NOW);
  revocations.add(name(1), range(0, 200), NOW);
  revocations.add(name(1), range(2000, 200), NOW);
  expect(range(0, 2200).filter((serial) => !revocations.has(name(1), serial))).toEqual(range(200, 200));
});

test("a recipient that forgets its oldest for each new one has all void that it tells, in whatever order it tells them", () => {
  const revocations = new Revocations();
  const serial = (i: number): number => (i * 7919) % 10_007; // all different: 10,007 is a prime
  for (let oldest = 0; oldest < 20; oldest++) {
    const told = range(oldest, 2000).map(serial);
    const sorted = [...told].sort((a, b) => a - b);
    for (let i = 0; i < 10; i++) revocations.add(name(1), sorted.slice(200 * i, 200 * (i + 1)), NOW);
    expect(told.filter((each) => !revocations.has(name(1), each))).toEqual([]);
    expect(range(0, oldest).some((i) => revocations.has(name(1), serial(i)))).toBe(false);
  }
});

test("who fills the memory with many serials gives them up again, under several names too, and nobody with little to say does", () => {
  const revocations = new Revocations();
  revocations.add(name(0), range(0, 200), NOW);
  for (let n = 1; n < 800; n++) revocations.add(name(n), range(0, 2000), NOW);
  expect(kept(revocations, 0, 200)).toBe(200);
  const sizes = range(1, 799).map((n) => kept(revocations, n, 2000));
  expect(sizes.reduce((sum, size) => sum + size + 16, 216)).toBeLessThanOrEqual(1 << 20);
  expect(sizes.reduce((sum, size) => sum + size + 16, 216)).toBeGreaterThan((1 << 20) - 16);
  for (const size of sizes) expect(size).toBeGreaterThanOrEqual(200);
  // What somebody has of it is seen to be another than it was.
  const largest = 1 + sizes.indexOf(Math.max(...sizes));
  const before = revocations.revision(name(largest));
  revocations.add(name(800), range(0, 200), NOW);
  expect(revocations.revision(name(largest))).toBeGreaterThan(before);
});

test("any number of names pushes out nobody who came before and keeps to a share", () => {
  const revocations = new Revocations();
  for (let n = 0; n < 100; n++) revocations.add(name(n), range(0, 2 * n), NOW);
  const size = (n: number): number => (n === 0 ? 0 : 2 * n);
  // Twice as many as fit, with one serial each; and again, each of them.
  for (let round = 0; round < 2; round++) for (let n = 100; n < 130_000; n++) revocations.add(name(n), [n], NOW + n);
  for (let n = 0; n < 100; n++) expect(kept(revocations, n, 2 * n)).toBe(size(n));
  // Whoever comes then is on sufferance among those who came late, and stays while no others come.
  revocations.add(name(200_000), range(0, 200), NOW + 200_000);
  expect(kept(revocations, 200_000, 200)).toBe(200);
  revocations.add(name(50), range(100, 100), NOW + 200_000);
  expect(kept(revocations, 50, 200)).toBe(200);
  for (let n = 100; n < 130_000; n++) revocations.add(name(n), [n], NOW + 300_000);
  expect(kept(revocations, 200_000, 200)).toBe(0);
  expect(revocations.revision(name(200_000))).toBe(0);
  expect(kept(revocations, 50, 200)).toBe(200);
});

test("where the shares take it all, what is told just now is not kept, and nothing goes for it", () => {
  const revocations = new Revocations();
  // All of them came early, and grew later.
  const names = range(0, Math.floor((1 << 20) / 216) + 1);
  for (const n of names) revocations.add(name(n), [0], NOW);
  for (const n of names) revocations.add(name(n), range(0, 200), NOW);
  const last = names.length - 1;
  expect(names.slice(0, last).every((n) => kept(revocations, n, 200) === 200)).toBe(true);
  const rest = kept(revocations, last, 200);
  expect(rest).toBeLessThan(200);
  expect(revocations.has(name(last), 0)).toBe(true);
  revocations.add(name(200_000), [1], NOW);
  expect(revocations.revision(name(200_000))).toBe(0);
  // After a month those who have said nothing more make room.
  revocations.add(name(1), range(0, 200), NOW + 29 * DAY);
  revocations.add(name(200_000), range(0, 200), NOW + 30 * DAY);
  expect(kept(revocations, 200_000, 200)).toBe(200);
  expect(kept(revocations, 0, 200)).toBe(0);
  expect(kept(revocations, 1, 200)).toBe(200);
});

test("whatever comes, it counts right: no more than what fits is kept, and a recipient's word is about itself", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(600), fc.nat(2500), fc.nat(2000), fc.nat(40)), {
        minLength: 600,
        maxLength: 700,
        size: "max",
      }),
      (told) => {
        const revocations = new Revocations();
        const names = new Set<number>();
        for (const [n, from, count, day] of told) {
          revocations.add(name(n), range(from, count), NOW + day * DAY);
          names.add(n);
        }
        const sizes = [...names].map((n) => kept(revocations, n, 4500)).filter((size) => size > 0);
        expect(sizes.reduce((sum, size) => sum + size + 16, 0)).toBeLessThanOrEqual(1 << 20);
        for (const size of sizes) expect(size).toBeLessThanOrEqual(2000);
      },
    ),
    { numRuns: 2 },
  );
});

/** How many serials below `count` are revoked. */
function kept(revocations: Revocations, n: number, count: number): number {
  const who = name(n);
  let found = 0;
  for (let serial = 0; serial < count; serial++) if (revocations.has(who, serial)) found++;
  return found;
}
