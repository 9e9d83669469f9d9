/** The law of cipher set 3a, byte by byte. Its vectors are in telehash-vectors.test.ts. */
import { expect, test } from "vitest";
import { concat, fromHex } from "../bytes/index.ts";
import { lowOrderPoints } from "../testing/backend-suite.ts";
import { type Backend, cs3a, type Ephemeral, portable } from "./index.ts";

const set = cs3a(portable);
const zeros = (length: number) => new Uint8Array(length);

test("[E6] the authenticator is made as the page says, of the primitives alone", () => {
  const [from, to, ephemeral] = [pair("11"), pair("22"), pair("33")];
  const nonce = new Uint8Array(24).fill(0x44);
  const inner = bytes("0000686921");
  const shared = portable.beforenm(ephemeral.secret, to.key) ?? zeros(0);
  const proof = portable.beforenm(to.secret, from.key) ?? zeros(0);
  const ciphertext = portable.secretboxSeal(shared, nonce, inner);
  const signed = concat(ephemeral.key, nonce, ciphertext);
  const auth = portable.onetimeauth(portable.sha256(concat(nonce, proof)), signed);
  expect(set.seal(from, to.key, ephemeral, inner, () => nonce)).toEqual(concat(signed, auth));
});

test("[E6] an authenticator with any one bit changed is nobody's", () => {
  const [from, to] = [pair("11"), pair("22")];
  const body = set.seal(from, to.key, pair("33"), bytes("0000686921"), zeros) ?? zeros(0);
  expect(set.open(to, body)?.verify(from.key)).toBe(true);
  for (let bit = 0; bit < 128; bit++) {
    const changed = body.slice();
    changed[body.length - 1 - (bit >> 3)] = (body.at(-1 - (bit >> 3)) ?? 0) ^ (1 << (bit & 7));
    expect(set.open(to, changed)?.verify(from.key)).toBe(false);
  }
});

test("points of low order are refused as identity, ephemeral and channel keys", () => {
  const [alice, bob, ephemeral] = [pair("11"), pair("22"), pair("33")];
  const body = set.seal(alice, bob.key, ephemeral, bytes("0000"), zeros);
  if (body === undefined) throw new Error("not sealed");
  for (const point of lowOrderPoints()) {
    expect(set.seal(alice, point, pair("33"), body, zeros)).toBeUndefined();
    expect(set.open(bob, concat(point, body.subarray(32)))).toBeUndefined();
    expect(set.open(bob, body)?.verify(point)).toBe(false);
    expect(set.channel(alice, point)).toBeUndefined();
  }
});

test("an exchange costs its Diffie-Hellmans once, whatever the number of messages", () => {
  let agreements = 0;
  const counting: Backend = {
    ...portable,
    beforenm(secret, key) {
      agreements++;
      return portable.beforenm(secret, key);
    },
  };
  const counted = cs3a(counting);
  const [alice, bob, ephemeral] = [pair("11"), pair("22"), pair("33")];
  const bodies = Array.from({ length: 50 }, (_, i) =>
    counted.seal(alice, bob.key, ephemeral, bytes("0000"), (length) => new Uint8Array(length).fill(i)),
  );
  expect(agreements).toBe(2);
  for (const body of bodies) {
    if (body === undefined) throw new Error("not sealed");
    expect(counted.open(bob, body)?.verify(alice.key)).toBe(true);
  }
  expect(agreements).toBe(4);
});

/** The pair whose secret is this byte 32 times, as an identity or as an exchange. */
function pair(byte: string): Ephemeral {
  const found = set.keyPair(bytes(byte.repeat(32)));
  if (found === undefined) throw new Error("no secret");
  return { ...found, prefix: found.key };
}

function bytes(text: string): Uint8Array {
  const parsed = fromHex(text);
  if (parsed === undefined) throw new Error("no hex");
  return parsed;
}
