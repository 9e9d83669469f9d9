import fc from "fast-check";
import { expect, test } from "vitest";
import { hashnameFromBytes } from "../crypto/index.ts";
import { Rates } from "./rates.ts";

const NOW = 1_800_000_000_000;
const peer = (n: number) => hashnameFromBytes(new Uint8Array(32).fill(n));
const [bob, carol] = [peer(250), peer(251)];
const limits = {
  sender: { most: 1000, perSecond: 10 },
  recipient: { most: 3000, perSecond: 100 },
  strangeSender: { most: 500, perSecond: 1 },
  strangersOfRecipient: { most: 800, perSecond: 2 },
};

test("a sender may put so much at once, and then so much per second, for all recipients together", () => {
  const rates = new Rates(limits);
  expect([600, 400].map((size, i) => rates.put("contact", peer(1), i === 0 ? bob : carol, size, NOW))).toEqual([
    true,
    true,
  ]);
  expect(rates.put("contact", peer(1), bob, 200, NOW)).toBe(false);
  expect(rates.put("contact", peer(1), bob, 200, NOW + 19_999)).toBe(false);
  expect(rates.put("contact", peer(1), bob, 200, NOW + 20_100)).toBe(true);
  expect(rates.put("contact", peer(1), bob, 200, NOW + 20_100)).toBe(false);
});

test("a recipient gets so much at once from all, and strangers take nothing of that", () => {
  const rates = new Rates(limits);
  const taken = [1, 2, 3, 4].map((n) => rates.put("contact", peer(n), bob, 1000, NOW));
  expect(taken).toEqual([true, true, true, false]);
  expect(rates.put("member", peer(5), carol, 1000, NOW)).toBe(true);
  expect([6, 7, 8].map((n) => rates.put("stranger", peer(n), bob, 400, NOW))).toEqual([true, true, false]);
  // What one has used up as a stranger it has as a contact.
  expect(rates.put("stranger", peer(6), carol, 101, NOW)).toBe(false);
  expect(rates.put("contact", peer(6), carol, 101, NOW)).toBe(true);
});

test("contacts that use up what a recipient gets leave another contact its share, and no more than that", () => {
  const rates = new Rates();
  const flood = [1, 2, 3, 4, 5].map(peer);
  /** How many bytes of these senders are let in, in messages of one size, until all are refused. */
  const fill = (senders: readonly ReturnType<typeof peer>[], size: number, now: number): number => {
    let bytes = 0;
    for (const sender of senders) while (rates.put("contact", sender, bob, size, now)) bytes += size;
    return bytes;
  };
  // What there is for bob, and the shares of the five; whatever is left takes no message of any length.
  expect(fill(flood, 65_536, NOW)).toBe((128 + 5 / 4) * 1024 * 1024);
  expect(fill(flood, 128, NOW)).toBe(0);
  expect(fill([peer(6)], 2048, NOW)).toBe(256 * 1024);
  expect(fill([peer(7)], 2048, NOW)).toBe(256 * 1024);
  // They never stop. A text each two seconds gets through.
  let texts = 0;
  for (let now = NOW + 2000; now <= NOW + 60_000; now += 2000) {
    expect(fill(flood, 65_536, now) + fill(flood, 128, now)).toBeGreaterThan(0);
    if (rates.put("contact", peer(6), bob, 2048, now)) texts++;
  }
  expect(texts).toBe(30);
});

test("a contact's share is for one recipient, within what the sender may put, and a stranger has none", () => {
  const rates = new Rates({ ...limits, recipient: { most: 0, perSecond: 0 }, pair: { most: 600, perSecond: 6 } });
  expect([600, 128].map((size) => rates.put("contact", peer(1), bob, size, NOW))).toEqual([true, false]);
  expect([401, 400].map((size) => rates.put("contact", peer(1), carol, size, NOW))).toEqual([false, true]);
  expect(rates.put("contact", peer(2), bob, 600, NOW)).toBe(true);
  expect(rates.put("contact", peer(2), bob, 240, NOW + 39_900)).toBe(false);
  expect(rates.put("contact", peer(2), bob, 240, NOW + 40_100)).toBe(true);
  const strange = new Rates({
    ...limits,
    strangersOfRecipient: { most: 0, perSecond: 0 },
    pair: { most: 600, perSecond: 6 },
  });
  expect(strange.put("stranger", peer(3), bob, 200, NOW)).toBe(false);
});

test("what is refused counts nowhere, a byte counts as 128, and so does a removal", () => {
  const rates = new Rates(limits);
  expect(rates.put("contact", peer(1), bob, 1001, NOW)).toBe(false);
  expect(rates.put("contact", peer(1), bob, 1000 - 3 * 128, NOW)).toBe(true);
  for (let i = 0; i < 2; i++) expect(rates.put("contact", peer(1), bob, 1, NOW)).toBe(true);
  expect(rates.remove("contact", peer(1), NOW)).toBe(true);
  expect(rates.remove("contact", peer(1), NOW)).toBe(false);
  expect(rates.put("contact", peer(1), bob, 1, NOW)).toBe(false);
});

test("no clock, whichever way it jumps, lets more come than there is at once", () => {
  fc.assert(
    fc.property(fc.array(fc.record({ jump: fc.integer({ min: -1e15, max: 1e15 }), n: fc.nat(3) })), (turns) => {
      const rates = new Rates(limits);
      let now = NOW;
      for (const { jump, n } of turns) {
        now += jump;
        let bytes = 0;
        for (let i = 0; i < 20; i++) if (rates.put("contact", peer(n), bob, 200, now)) bytes += 200;
        expect(bytes).toBeLessThanOrEqual(1000);
      }
    }),
  );
});

test("nobody gets a full bucket because others were forgotten, and there is an end to what is remembered", () => {
  const rates = new Rates({ ...limits, recipient: { most: 1e12, perSecond: 1e9 } });
  const name = (n: number) => hashnameFromBytes(Uint8Array.from({ length: 32 }, (_, i) => (n >> (8 * (i % 3))) & 255));
  const spend = (n: number): boolean => rates.put("contact", name(n), bob, 1000, NOW);
  for (let n = 1; n <= 16_384; n++) expect(spend(n)).toBe(true);
  // The table is full: whoever comes new shares one bucket.
  expect([1, 16_384, 20_000, 20_001, 1].map(spend)).toEqual([false, false, true, false, false]);
  // When buckets are full again, they make place.
  expect([20_002, 20_003].map((n) => rates.put("contact", name(n), bob, 1000, NOW + 100_000))).toEqual([true, true]);
});
