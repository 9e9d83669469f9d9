import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { chacha20orig } from "@noble/ciphers/chacha.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, fromHex, type Random, toHex, utf8 } from "../bytes/index.ts";
import { cloak, decloak, encodePacket, parsePacket, type StreamCipher } from "./index.ts";

interface Vectors {
  key: string;
  cases: { packet: string; rounds: number; cloaked: string; producer: string }[];
}
const vectors: Vectors = JSON.parse(
  readFileSync(new URL("../../../../vectors/telehash/cloaking.json", import.meta.url), "utf8"),
);
const cipher: StreamCipher = (key, nonce, data) => chacha20orig(key, nonce, data);
const bytes = (hex: string): Uint8Array => fromHex(hex) ?? expect.unreachable();
const anyPacket = fc
  .tuple(fc.uint8Array({ maxLength: 255 }), fc.uint8Array({ maxLength: 300 }))
  .map(([head, body]) => encodePacket(head, body));

describe("vectors", () => {
  test.each(vectors.cases)("[E14] $producer, $rounds rounds", ({ packet, rounds, cloaked }) => {
    expect(decloak(cipher, bytes(cloaked))).toEqual({ packet: bytes(packet), rounds });
    expect(toHex(cloak(cipher, bytes(packet), replay(noncesOf(bytes(cloaked), rounds)), rounds))).toBe(cloaked);
  });
});

test("[E14] the key is SHA-256 of telehash", () => {
  const keys: string[] = [];
  cloak((key, _, data) => [keys.push(toHex(key)), data][1] as Uint8Array, bytes("0000"), seeded(1), 1);
  expect(keys).toEqual([createHash("sha256").update(utf8("telehash")).digest("hex")]);
  expect(keys).toEqual([vectors.key]);
});

test("[E14] plain and cloaked packets are both accepted, and told apart", () => {
  fc.assert(
    fc.property(anyPacket, fc.integer(), fc.nat(32), (packet, seed, rounds) => {
      const cloaked = cloak(cipher, packet, seeded(seed), rounds);
      expect(cloaked).toHaveLength(packet.length + 8 * rounds);
      expect(cloaked[0] === 0).toBe(rounds === 0);
      expect(decloak(cipher, cloaked)).toEqual({ packet, rounds });
    }),
  );
});

test("[E14] no nonce starts with a zero byte, so a draw that does is repeated", () => {
  const good = bytes("0100000000000000");
  const cloaked = cloak(cipher, bytes("0000"), replay([new Uint8Array(8), bytes("00ffffffffffffff"), good]), 1);
  expect(cloaked.subarray(0, 8)).toEqual(good);
  expect(() => cloak(cipher, bytes("0000"), (length) => new Uint8Array(length), 1)).toThrow("broken invariant");
});

test("unless given, one packet in two has one round, one in four two, one in eight three, and as many four", () => {
  const counts = [0, 0, 0, 0, 0];
  for (let first = 0; first < 256; first++) {
    const draws = [Uint8Array.of(first), ...Array.from({ length: 4 }, () => bytes("0102030405060708"))];
    const cloaked = cloak(cipher, bytes("000001"), (length) =>
      (draws.shift() ?? expect.unreachable()).slice(0, length),
    );
    const { rounds } = decloak(cipher, cloaked) ?? expect.unreachable();
    counts[rounds] = (counts[rounds] ?? 0) + 1;
  }
  expect(counts).toEqual([0, 128, 64, 32, 32]);
});

test("a packet is cloaked where it stands when the nonces have room there, to the same bytes", () => {
  fc.assert(
    fc.property(anyPacket, fc.integer(), fc.nat(6), fc.nat(60), (packet, seed, rounds, free) => {
      const buffer = concat(new Uint8Array(70).fill(7), packet, new Uint8Array(9).fill(9));
      const before = buffer.slice();
      const place = buffer.subarray(70 - free, 70 + packet.length);
      const cloaked = cloak(cipher, place, seeded(seed), rounds, { free });
      expect(toHex(cloaked)).toBe(toHex(cloak(cipher, packet, seeded(seed), rounds)));
      expect(cloaked.buffer === buffer.buffer).toBe(8 * rounds <= free);
      expect(buffer.subarray(0, 70 - free)).toEqual(before.subarray(0, 70 - free));
      expect(buffer.subarray(70 + packet.length)).toEqual(before.subarray(70 + packet.length));
    }),
  );
});

test("no bytes make decloak throw, and what it gives can start a packet", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (noise) => {
      const found = decloak(cipher, noise);
      if (found === undefined) return;
      expect(found.packet[0]).toBe(0);
      expect(found.packet).toHaveLength(noise.length - 8 * found.rounds);
      parsePacket(found.packet);
    }),
    { numRuns: 500 },
  );
  expect(decloak(cipher, new Uint8Array(0))).toBeUndefined();
  expect(decloak(cipher, new Uint8Array(8).fill(1))).toBeUndefined();
});

test("noise costs at most 32 rounds, and so does a packet cloaked more often", () => {
  let rounds = 0;
  const noise: StreamCipher = (_key, _nonce, data) => {
    rounds++;
    return new Uint8Array(data.length).fill(1);
  };
  expect(decloak(noise, new Uint8Array(65536).fill(1))).toBeUndefined();
  expect(rounds).toBeLessThanOrEqual(33);

  const most = cloak(cipher, bytes("000001"), seeded(3), 32);
  const nonce = bytes("0102030405060708");
  const key = bytes(vectors.key);
  expect(decloak(cipher, most)?.rounds).toBe(32);
  const more = concat(nonce, cipher(key, nonce, most));
  expect(decloak(cipher, more)).toBeUndefined();
  expect(decloak(cipher, more, 33)).toEqual({ packet: bytes("000001"), rounds: 33 });
});

test("[E14] any number of rounds is undone by a reader who allows as many", () => {
  fc.assert(
    fc.property(
      anyPacket,
      fc.integer(),
      fc.integer({ min: 0, max: 255 }),
      fc.nat(255),
      (packet, seed, rounds, limit) => {
        const found = decloak(cipher, cloak(cipher, packet, seeded(seed), rounds), limit);
        expect(found).toEqual(rounds <= limit ? { packet, rounds } : undefined);
      },
    ),
    { numRuns: 50 },
  );
});

test("what would be taken for cloaked is not cloaked, nor anything too often", () => {
  expect(() => cloak(cipher, encodePacket(new Uint8Array(256)), seeded(1))).toThrow("broken invariant");
  expect(() => cloak(cipher, new Uint8Array(0), seeded(1))).toThrow("broken invariant");
  for (const rounds of [-1, 256, 1.5]) {
    expect(() => cloak(cipher, bytes("0000"), seeded(1), rounds)).toThrow("broken invariant");
  }
});

test("the worked example of protocol/cloaking.md holds", () => {
  const nonces = () => replay([bytes("0102030405060708"), bytes("1112131415161718")]);
  expect(toHex(cloak(cipher, bytes("00011aff"), nonces(), 1))).toBe("0102030405060708" + "57d704a7");
  const twice = cloak(cipher, bytes("00011aff"), nonces(), 2);
  expect(toHex(twice)).toBe("1112131415161718" + "1b47fdd9e0eb9d70f4c982a3");
  expect(decloak(cipher, twice)).toEqual({ packet: bytes("00011aff"), rounds: 2 });
});

/** The nonces under which a packet was cloaked, the innermost first. */
function noncesOf(cloaked: Uint8Array, rounds: number): Uint8Array[] {
  const nonces: Uint8Array[] = [];
  let layer = cloaked;
  for (let i = 0; i < rounds; i++) {
    nonces.unshift(layer.slice(0, 8));
    layer = cipher(bytes(vectors.key), layer.subarray(0, 8), layer.subarray(8));
  }
  return nonces;
}

function replay(draws: Uint8Array[]): Random {
  const left = [...draws];
  return () => left.shift() ?? expect.unreachable();
}

/** xorshift32: different bytes for each seed. */
function seeded(seed: number): Random {
  let state = (seed * 2 + 1) | 0;
  return (length) =>
    Uint8Array.from({ length }, () => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return state >>> 24;
    });
}
