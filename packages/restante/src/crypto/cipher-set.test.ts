/** What every cipher set must do, whatever its mathematics. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, type Random } from "../bytes/index.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { cs3a, type KeyPair, portable, routingToken } from "./index.ts";

const SETS = [
  { set: cs3a(portable), numRuns: 25 }, // 3 ms per run for the curve
  { set: cs01(), numRuns: 300 },
];

describe.each(SETS)("cipher set $set.csid", ({ set, numRuns }) => {
  const runs = { numRuns };
  const alice = set.generate(drawFrom(1));
  const bob = set.generate(drawFrom(2));
  const mallory = set.generate(drawFrom(3));

  const seal = (inner: Uint8Array, random: Random, ephemeral: KeyPair = set.generate(random)) =>
    found(set.seal(alice, bob.key, ephemeral, inner, random));

  test("[A5] a message opens to its inner packet and to the ephemeral key that it carries", () => {
    fc.assert(
      fc.property(seeds, inners, (seed, inner) => {
        const ephemeral = set.generate(drawFrom(seed));
        const body = seal(inner, drawFrom(seed + 1), ephemeral);
        expect(set.open(bob, body)).toEqual({ inner, ephemeral: ephemeral.key });
        expect(body.subarray(0, ephemeral.key.length)).toEqual(ephemeral.key);
        expect(set.isKey(body.subarray(0, ephemeral.key.length))).toBe(true);
        expect(body.length + 3).toBe(inner.length + set.overhead);
      }),
      runs,
    );
  });

  test("what was opened outlives the datagram it came in", () => {
    const inner = Uint8Array.of(1, 2, 3);
    const ephemeral = set.generate(drawFrom(4));
    const body = seal(inner, drawFrom(4), ephemeral);
    const opened = set.open(bob, body);
    const [one, two] = channel(6);
    const packet = one.seal(new Uint8Array(16), inner, drawFrom(4));
    const received = two.open(packet);
    body.fill(0);
    packet.fill(0);
    expect(opened).toEqual({ inner, ephemeral: ephemeral.key });
    expect(received).toEqual(inner);
  });

  test("only the identity that sealed a message is its sender", () => {
    fc.assert(
      fc.property(seeds, inners, (seed, inner) => {
        const body = seal(inner, drawFrom(seed));
        expect(set.verify(bob, alice.key, body)).toBe(true);
        expect(set.verify(bob, mallory.key, body)).toBe(false);
        expect(set.verify(bob, bob.key, body)).toBe(false);
      }),
      runs,
    );
  });

  test("nobody but the recipient opens or verifies a message", () => {
    const body = seal(Uint8Array.of(1, 2, 3), drawFrom(5));
    expect(set.open(mallory, body)).toBeUndefined();
    expect(set.open(alice, body)).toBeUndefined();
    expect(set.verify(mallory, alice.key, body)).toBe(false);
  });

  test("a changed byte anywhere is noticed: a message does not verify, a channel packet does not open", () => {
    const [one, two] = channel(7);
    fc.assert(
      fc.property(seeds, inners, fc.nat(), fc.integer({ min: 1, max: 255 }), (seed, inner, at, flip) => {
        const random = drawFrom(seed);
        const message = changed(seal(inner, random), at, flip);
        expect(set.verify(bob, alice.key, message)).toBe(false);
        // The authenticator is the sender's proof; decryption does not need it.
        const { length } = message;
        if (at % length < length - 16) expect(set.open(bob, message)).toBeUndefined();

        const packet = one.seal(random(16), inner, random);
        const place = 16 + (at % (packet.length - 16)); // the token is for routing, and in the clear
        expect(two.open(changed(packet, place, flip))).toBeUndefined();
      }),
      runs,
    );
  });

  test("a cut or extended message neither opens nor verifies", () => {
    const body = seal(Uint8Array.of(1, 2, 3), drawFrom(8));
    for (let length = 0; length < body.length; length++) {
      expect(set.open(bob, body.subarray(0, length))).toBeUndefined();
      expect(set.verify(bob, alice.key, body.subarray(0, length))).toBe(false);
    }
    expect(set.open(bob, concat(body, Uint8Array.of(0)))).toBeUndefined();
    expect(set.verify(bob, alice.key, concat(body, Uint8Array.of(0)))).toBe(false);
  });

  test("no bytes make anything throw", () => {
    const [one] = channel(9);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ maxLength: 40 }), (bytes, key) => {
        expect(set.open(bob, bytes)).toBeUndefined();
        expect(set.verify(bob, key, bytes)).toBe(false);
        expect(set.verify(bob, alice.key, bytes)).toBe(false);
        expect(one.open(bytes)).toBeUndefined();
        if (!set.isKey(key)) {
          expect(set.seal(alice, key, bob, bytes, drawFrom(1))).toBeUndefined();
          expect(set.channel(alice, key)).toBeUndefined();
        }
        if (key.length !== alice.secret.length) expect(set.keyPair(key)).toBeUndefined();
      }),
      runs,
    );
  });

  test("a key of zeros is refused wherever a peer can bring one", () => {
    const zeros = new Uint8Array(alice.key.length);
    const body = seal(Uint8Array.of(1), drawFrom(10));
    expect(set.open(bob, concat(zeros, body.subarray(zeros.length)))).toBeUndefined();
    expect(set.verify(bob, zeros, body)).toBe(false);
    expect(set.seal(alice, zeros, bob, body, drawFrom(1))).toBeUndefined();
    expect(set.channel(alice, zeros)).toBeUndefined();
  });

  test("[A24][B46] all messages of an exchange begin with the same 16 bytes, those of another with others", () => {
    const prefixes = (seed: number, count: number) => {
      const random = drawFrom(seed);
      const ephemeral = set.generate(random);
      const bodies = Array.from({ length: count }, (_, i) => seal(random(i % 50), random, ephemeral));
      expect(new Set(bodies.map(String)).size).toBe(count);
      return new Set(bodies.map((body) => String(body.subarray(0, 16))));
    };
    const [one, other] = [prefixes(11, 100), prefixes(12, 2)];
    expect(one.size).toBe(1);
    expect(other.size).toBe(1);
    expect(other).not.toEqual(one);
  });

  test("[A7] a thousand messages of one exchange all open and verify", () => {
    const random = drawFrom(13);
    const ephemeral = set.generate(random);
    for (let i = 0; i < 1000; i++) {
      const body = seal(Uint8Array.of(i, i >> 8), random, ephemeral);
      expect(set.open(bob, body)?.inner).toEqual(Uint8Array.of(i, i >> 8));
      expect(set.verify(bob, alice.key, body)).toBe(true);
    }
  });

  test("sealing depends on its arguments and the nonce drawn, on nothing else", () => {
    const ephemeral = set.generate(drawFrom(14));
    const inner = Uint8Array.of(1, 2, 3);
    const drawn: number[] = [];
    const body = set.seal(alice, bob.key, ephemeral, inner, (length) => {
      drawn.push(length);
      return drawFrom(15)(length);
    });
    expect(drawn).toEqual([24]);
    expect(seal(inner, drawFrom(15), ephemeral)).toEqual(body);
    expect(seal(inner, drawFrom(16), ephemeral)).not.toEqual(body);
  });

  test("[A27] channel packets bear the recipient's token and open at the other end alone", () => {
    const random = drawFrom(17);
    const [ours, theirs] = [set.generate(random), set.generate(random)];
    const [one, two] = [found(set.channel(ours, theirs.key)), found(set.channel(theirs, ours.key))];
    expect(one.sendKey).toEqual(two.receiveKey);
    expect(one.receiveKey).toEqual(two.sendKey);
    expect(one.sendKey).not.toEqual(one.receiveKey);
    // What the recipient's own messages begin with makes the token of packets to it.
    const token = routingToken(portable, found(set.seal(bob, alice.key, theirs, random(9), random)));
    fc.assert(
      fc.property(inners, (inner) => {
        const packet = one.seal(token, inner, random);
        expect(packet.subarray(0, 16)).toEqual(token);
        expect(two.open(packet)).toEqual(inner);
        expect(one.open(packet)).toBeUndefined();
        expect(found(set.channel(mallory, ours.key)).open(packet)).toBeUndefined();
      }),
      runs,
    );
  });

  test("a channel with our own key reflected at us is refused", () => {
    const ours = set.generate(drawFrom(18));
    expect(set.channel(ours, ours.key)).toBeUndefined();
  });

  test("a pair comes back from its secret, and later changes of that array do not matter", () => {
    const secret = alice.secret.slice();
    const pair = found(set.keyPair(secret));
    secret.fill(0);
    expect(pair).toEqual(alice);
  });

  function channel(seed: number) {
    const [ours, theirs] = [set.generate(drawFrom(seed)), set.generate(drawFrom(seed + 1000))];
    return [found(set.channel(ours, theirs.key)), found(set.channel(theirs, ours.key))] as const;
  }
});

const seeds = fc.nat(1_000_000);
const inners = fc.uint8Array({ maxLength: 300 });

/** A stream of bytes per seed. */
function drawFrom(seed: number): Random {
  let counter = 0;
  return (length) => {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += 32) {
      const block = portable.sha256(Uint8Array.from(`${seed}/${counter++}`, (digit) => digit.charCodeAt(0)));
      bytes.set(block.subarray(0, Math.min(32, length - at)), at);
    }
    return bytes;
  };
}

function changed(bytes: Uint8Array, at: number, flip: number): Uint8Array {
  const copy = bytes.slice();
  const place = at % copy.length;
  copy[place] = (copy[place] ?? 0) ^ flip;
  return copy;
}

function found<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("undefined where a value was due");
  return value;
}
