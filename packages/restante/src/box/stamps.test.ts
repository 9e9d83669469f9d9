import fc from "fast-check";
import { expect, test } from "vitest";
import type { Time } from "../bytes/index.ts";
import { stampText } from "../card/index.ts";
import { type Hashname, hashnameFromBytes } from "../crypto/index.ts";
import { type StampOut, type StampPair, Stamps } from "./stamps.ts";

const DAY = 86_400_000;
const NOW: Time = 20_000 * DAY + 1000;
const peer = (n: number): Hashname => hashnameFromBytes(new Uint8Array(32).fill(n));
const pair = (n: number): StampPair => ({ via: peer(n % 7), to: peer(100 + n) });
const stamp = (n: number): Uint8Array => new Uint8Array(7).fill(n);

function desk() {
  const outs: StampOut[] = [];
  const stamps = new Stamps((out) => outs.push(out));
  return { stamps, outs: () => outs.splice(0) };
}

const asks = (req: number, n: number, work: number, day = 20_000): StampOut => {
  const { via, to } = pair(n);
  return { type: "find-stamp", req, task: { cache: via, recipient: to, day, work } };
};

test("what was found serves the pair for the day and an hour, up to its work, and no other pair", () => {
  const { stamps, outs } = desk();
  expect(stamps.want(pair(1), 10, NOW)).toBe(true);
  expect(outs()).toEqual([asks(1, 1, 10)]);
  expect(stamps.get(pair(1), 10, NOW)).toBeUndefined();
  expect(stamps.found(1, stamp(5), NOW)).toMatchObject(pair(1));
  const until = 20_001 * DAY + 3_600_000;
  const found = { text: stampText(stamp(5)), work: 10, until };
  expect([stamps.get(pair(1), 10, NOW), stamps.get(pair(1), 3, until - 1)]).toEqual([found, found]);
  expect([stamps.get(pair(1), 11, NOW), stamps.get(pair(1), 10, until), stamps.get(pair(2), 1, NOW)]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  expect(stamps.want(pair(1), 10, until)).toBe(true);
  expect(outs()).toEqual([asks(2, 1, 10, 20_001)]);
});

test("one search at a time, the cheapest first; what is wanted twice is looked for once", () => {
  const { stamps, outs } = desk();
  const wishes = [3, 20, 16, 20, 9];
  for (const [n, work] of wishes.entries()) for (let twice = 0; twice < 2; twice++) stamps.want(pair(n), work, NOW);
  const searches: StampOut[] = [];
  for (let next = outs(); next.length > 0; next = outs()) {
    searches.push(...next);
    const [search] = next;
    if (search !== undefined) stamps.found(search.req, stamp(1), NOW);
  }
  expect(searches).toEqual([asks(1, 0, 3), asks(2, 4, 9), asks(3, 2, 16), asks(4, 1, 20), asks(5, 3, 20)]);
});

test("what nothing waits for any more is not looked for, and an answer that was not asked is nothing", () => {
  const { stamps, outs } = desk();
  stamps.want(pair(1), 10, NOW);
  stamps.want(pair(2), 12, NOW);
  stamps.want(pair(3), 14, NOW);
  outs();
  stamps.drop(pair(2), NOW);
  expect(outs()).toEqual([]);
  stamps.drop(pair(1), NOW);
  expect(outs()).toEqual([{ type: "forget-stamp", req: 1 }, asks(2, 3, 14)]);
  expect(stamps.found(1, stamp(1), NOW)).toBeUndefined();
  expect(stamps.get(pair(1), 1, NOW)).toBeUndefined();
  expect(stamps.found(2, undefined, NOW)).toMatchObject(pair(3));
  expect([stamps.get(pair(3), 1, NOW), outs()]).toEqual([undefined, []]);
});

test("more work for the same pair begins anew, less waits for what is under way", () => {
  const { stamps, outs } = desk();
  stamps.want(pair(1), 10, NOW);
  stamps.want(pair(1), 8, NOW);
  expect(outs()).toEqual([asks(1, 1, 10)]);
  stamps.want(pair(1), 12, NOW);
  expect(outs()).toEqual([{ type: "forget-stamp", req: 1 }, asks(2, 1, 12)]);
});

test("whatever is asked of us: in the long run 4096 hashes a second, and 2^27 at once", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(40), fc.integer({ min: 1, max: 24 }), fc.nat(60_000), fc.boolean()), { maxLength: 300 }),
      (wishes) => {
        const { stamps, outs } = desk();
        let now = NOW;
        let hashes = 0;
        for (const [n, work, wait, isAnswered] of wishes) {
          now += wait;
          if (stamps.get(pair(n), work, now) === undefined) stamps.want(pair(n), work, now);
          for (const out of outs()) {
            if (out.type === "find-stamp") hashes += 2 ** out.task.work;
            if (isAnswered) stamps.found(out.req, stamp(1), now);
          }
        }
        expect(hashes).toBeLessThanOrEqual(2 ** 27 + (4096 * (now - NOW)) / 1000);
      },
    ),
  );
  const { stamps } = desk();
  const taken = Array.from({ length: 12 }, (_, n) => stamps.want(pair(n), 24, NOW));
  expect(taken).toEqual(taken.map((_, n) => n < 8));
  expect(stamps.want(pair(20), 24, NOW + 4000 * 1000)).toBe(false);
  expect(stamps.want(pair(20), 24, NOW + 4100 * 1000)).toBe(true);
});

test("64 are wanted and 1024 remembered at most", () => {
  const { stamps } = desk();
  const taken = Array.from({ length: 70 }, (_, n) => stamps.want(pair(n), 1, NOW));
  expect(taken.filter((each) => each)).toHaveLength(64);
  const { stamps: many, outs } = desk();
  for (let n = 0; n < 1100; n++) {
    const far: StampPair = { via: peer(n & 255), to: peer(n >> 8) };
    many.want(far, 1, NOW);
    for (const out of outs()) many.found(out.req, stamp(1), NOW);
  }
  const kept = Array.from({ length: 1100 }, (_, n) => many.get({ via: peer(n & 255), to: peer(n >> 8) }, 1, NOW));
  expect(kept.map((each) => each !== undefined)).toEqual(kept.map((_, n) => n >= 76));
});
