import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { fromHex, toHex } from "../bytes/index.ts";
import { type Backend, type Hashname, hashnameFromBytes, portable } from "../crypto/index.ts";
import { findStamp, MAX_WORK, type StampTask, stampDay, stampText, verifyStamp } from "./stamp.ts";

interface Vectors {
  stamps: {
    cache: Hashname;
    recipient: Hashname;
    sender: Hashname;
    accept: { day: number; work: number; stamp: string; text: string; zeros: number }[];
    reject: {
      why: string;
      cache: Hashname;
      recipient: Hashname;
      sender: Hashname;
      work: number;
      text: string;
      now: number;
    }[];
  };
}

const { stamps }: Vectors = JSON.parse(
  readFileSync(new URL("../../../../protocol/vectors/admission.json", import.meta.url), "utf8"),
);
const { cache, recipient, sender } = stamps;
const place = { cache, recipient, sender };
const DAY_MS = 86_400_000;
const NOON = 20_000.5 * DAY_MS;
const peer = (seed: number): Hashname => hashnameFromBytes(portable.sha256(Uint8Array.of(seed)));

/** The nonce of a stamp. */
const nonceOf = (stamp: Uint8Array): number => new DataView(stamp.buffer, stamp.byteOffset + 3).getUint32(0);
/** All of the search, from the first nonce on. */
const find = (task: StampTask): Uint8Array => {
  const found = findStamp(portable, task, 0, 2 ** 32);
  if (found === undefined) throw new Error("no stamp");
  return found;
};
/** The backend, and how many hashes it made. */
const counting = (): { backend: Backend; count: () => number } => {
  let count = 0;
  const sha256 = (data: Uint8Array): Uint8Array => {
    count++;
    return portable.sha256(data);
  };
  return { backend: { ...portable, sha256 }, count: () => count };
};

test.each(stamps.accept)("the stamp of day $day with $work bits is that of the vectors, for three days", (row) => {
  const { day, work, stamp, text, zeros } = row;
  // The dearer ones are looked for where they are: all nonces before would take a second.
  const nonce = nonceOf(fromHex(stamp) ?? new Uint8Array(7));
  const found = findStamp(portable, { ...place, day, work }, Math.max(0, nonce - 3000), 3001);
  expect(found && toHex(found)).toBe(stamp);
  expect(stampText(found ?? new Uint8Array(0))).toBe(text);
  const good = (now: number, bits = work): boolean => verifyStamp(portable, place, bits, text, now);
  for (const now of [day - 1, day, day + 1, day + 1.9999]) expect(good(now * DAY_MS)).toBe(true);
  expect([good((day + 2) * DAY_MS), good((day - 1) * DAY_MS - 1)]).toEqual([false, false]);
  expect([good(day * DAY_MS, zeros), good(day * DAY_MS, zeros + 1)]).toEqual([true, false]);
});

test.each(stamps.reject)("no stamp: $why", ({ work, text, now, ...where }) => {
  expect(verifyStamp(portable, where, work, text, now)).toBe(false);
});

test("a stamp is good at its cache, for its recipient, from its sender, and at no other", () => {
  const who = fc.nat(5).map(peer);
  fc.assert(
    fc.property(fc.tuple(who, who, who), fc.tuple(who, who, who), fc.integer({ min: 9, max: 11 }), (a, b, work) => {
      const [made, shown] = [a, b].map(([cache, recipient, sender]) => ({ cache, recipient, sender }));
      if (made === undefined || shown === undefined) return;
      const text = stampText(find({ ...made, day: stampDay(NOON), work }));
      expect(verifyStamp(portable, made, work, text, NOON)).toBe(true);
      // By chance a stamp for one place is good for another, once in 2^work; none of these is.
      if (a.join() !== b.join()) expect(verifyStamp(portable, shown, work, text, NOON)).toBe(false);
    }),
    { seed: 4, numRuns: 60 },
  );
});

test("the search goes on where it stopped, and gives the first that will do", () => {
  const task = { ...place, day: 20_000, work: 10 };
  const whole = find(task);
  for (const step of [1, 7, 100, 5000]) {
    let from = 0;
    let found: Uint8Array | undefined;
    for (; found === undefined; from += step) found = findStamp(portable, task, from, step);
    expect(found).toEqual(whole);
  }
  const nonce = nonceOf(whole);
  expect(findStamp(portable, task, 0, nonce)).toBeUndefined();
  expect(findStamp(portable, task, nonce, 1)).toEqual(whole);
  // The nonces have an end, and so has the search.
  const { backend, count } = counting();
  expect(findStamp(backend, { ...task, work: 24 }, 2 ** 32 - 5, 1000)).toBeUndefined();
  expect(count()).toBe(5);
});

test("checking costs one hash at most, whatever is shown, and never throws", () => {
  const valid = stampText(find({ ...place, day: stampDay(NOON), work: 5 }));
  const texts = fc.oneof(
    fc.constantFrom(undefined, "", valid, valid.toUpperCase(), `${valid}a`, "a".repeat(100_000)),
    fc.string({ minLength: 12, maxLength: 12, unit: fc.constantFrom(..."abcdefghijklmnopqrstuvwxyz234567") }),
    fc.string(),
  );
  const times = fc.constantFrom(NOON, 0, -1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53);
  fc.assert(
    fc.property(texts, times, fc.nat(MAX_WORK), (text, now, work) => {
      const { backend, count } = counting();
      const isGood = verifyStamp(backend, place, work, text, now);
      expect(count()).toBeLessThanOrEqual(1);
      if (isGood) expect(text).toMatch(/^[a-z2-7]{12}$/);
      if (text === undefined || text.length !== 12) expect([isGood, count()]).toEqual([false, 0]);
    }),
  );
  expect(verifyStamp(portable, place, 5, valid, NOON)).toBe(true);
});
