import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromBase32, fromHex, siphash, toHex } from "./index.ts";

interface Vectors {
  reference_via_siphash_js_LE_key: string;
  box_ids: { sender: string; recipient: string; expect: string; messages: { message: string; expect: string }[] }[];
}
const vectors: Vectors = JSON.parse(
  readFileSync(new URL("../../../../vectors/telehash/siphash.json", import.meta.url), "utf8"),
);

describe("SipHash-2-4", () => {
  // The paper's appendix, and vectors.h of the reference code: key 00..0f, data 00..(n-1).
  test.each([
    [0, "310e0edd47db6f72"],
    [1, "fd67dc93c539f874"],
    [7, "37d1018bf50002ab"],
    [8, "6224939a79f5f593"],
    [15, "e545be4961ca29a1"],
  ])("gives the reference bytes for %i bytes", (length, hash) => {
    expect(toHex(siphash(counted(16), counted(length)))).toBe(hash);
  });

  test("spells the integer of the paper little-endian", () => {
    expect(toHex(siphash(counted(16), counted(15)).reverse())).toBe(vectors.reference_via_siphash_js_LE_key);
  });

  test.each(vectors.box_ids)("gives the box and message ids of $sender to $recipient", (box) => {
    const id = siphash(given(fromBase32(box.sender)).subarray(0, 16), given(fromBase32(box.recipient)));
    expect(toHex(id)).toBe(box.expect);
    const key = Uint8Array.of(...id, ...id);
    for (const { message, expect: hash } of box.messages) {
      expect(toHex(siphash(key, given(fromHex(message))))).toBe(hash);
    }
  });

  test("agrees with a slow twin in 64-bit integers, wherever the bytes lie in memory", () => {
    const key = fc.uint8Array({ minLength: 16, maxLength: 16 });
    fc.assert(
      fc.property(key, fc.uint8Array({ maxLength: 600 }), fc.nat(9), (k, data, offset) => {
        const moved = new Uint8Array(offset + data.length);
        moved.set(data, offset);
        expect(toHex(siphash(k, moved.subarray(offset)))).toBe(toHex(slow(k, data)));
      }),
    );
  });

  test("stops at a key of another length", () => {
    expect(() => siphash(counted(15), counted(0))).toThrow("broken invariant");
    expect(() => siphash(counted(32), counted(0))).toThrow("broken invariant");
  });
});

/** The paper's text, word by word. */
function slow(key: Uint8Array, data: Uint8Array): Uint8Array {
  const word = (bytes: Uint8Array): bigint => bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const rotate = (x: bigint, by: bigint): bigint => BigInt.asUintN(64, (x << by) | (x >> (64n - by)));
  const add = (x: bigint, y: bigint): bigint => BigInt.asUintN(64, x + y);
  const [k0, k1] = [word(key.subarray(0, 8)), word(key.subarray(8))];
  let [v0, v1, v2, v3] = [
    k0 ^ 0x736f6d6570736575n,
    k1 ^ 0x646f72616e646f6dn,
    k0 ^ 0x6c7967656e657261n,
    k1 ^ 0x7465646279746573n,
  ];
  const rounds = (count: number): void => {
    for (let i = 0; i < count; i++) {
      v0 = add(v0, v1);
      v2 = add(v2, v3);
      v1 = rotate(v1, 13n) ^ v0;
      v3 = rotate(v3, 16n) ^ v2;
      v0 = rotate(v0, 32n);
      v2 = add(v2, v1);
      v0 = add(v0, v3);
      v1 = rotate(v1, 17n) ^ v2;
      v3 = rotate(v3, 21n) ^ v0;
      v2 = rotate(v2, 32n);
    }
  };
  const padded = new Uint8Array(data.length - (data.length % 8) + 8);
  padded.set(data);
  padded[padded.length - 1] = data.length;
  for (let at = 0; at < padded.length; at += 8) {
    const m = word(padded.subarray(at, at + 8));
    v3 ^= m;
    rounds(2);
    v0 ^= m;
  }
  v2 ^= 0xffn;
  rounds(4);
  const hash = v0 ^ v1 ^ v2 ^ v3;
  return Uint8Array.from({ length: 8 }, (_, i) => Number((hash >> BigInt(8 * i)) & 0xffn));
}

function counted(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i);
}

function given(bytes: Uint8Array | undefined): Uint8Array {
  return bytes ?? expect.unreachable("the vectors are well-formed");
}
