import fc from "fast-check";
import { expect, test } from "vitest";
import { concat } from "../bytes/index.ts";
import { Chance } from "../testing/chance.ts";
import { cs3a, portable } from "./index.ts";

const set = cs3a(portable);
const { random } = new Chance(1);
const to = set.generate(random).key;
const [ours, theirs] = [set.exchange(to, random), set.exchange(to, random)];
const sends = ours && theirs && set.channel(ours, theirs.key);
const receives = ours && theirs && set.channel(theirs, ours.key);
const [sender, receiver] = [sends?.inPlace, receives?.inPlace];
const front = set.channelFront ?? 0;

test("a channel packet sealed in place has the bytes that seal gives, and opens in place to the inner packet", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1500 }), fc.nat(), (inner, seed) => {
      const token = random(16);
      const body = concat(new Uint8Array(front), inner);
      sender?.seal(token, body, new Chance(seed).random);
      expect(body).toEqual(sends?.seal(token, inner, new Chance(seed).random));
      expect(receives?.open(body)).toEqual(inner);
      expect(receiver?.open(body, 0)).toBe(front);
      expect(body.subarray(front)).toEqual(inner);
    }),
    { numRuns: 30 },
  );
});

test("a changed packet does not open in place, and stays as it is", () => {
  const body = concat(new Uint8Array(front), random(100));
  sender?.seal(random(16), body, random);
  for (let at = 16; at < body.length; at++) {
    const changed = body.slice();
    changed[at] = (changed[at] ?? 0) ^ 1;
    const before = changed.slice();
    expect(receiver?.open(changed, 0)).toBe(-1);
    expect(changed).toEqual(before);
    expect(receiver?.open(body.slice(0, at), 0)).toBe(-1);
  }
});
