/** The law of cipher set 1a, byte by byte. Its vectors are in telehash-vectors.test.ts. */
import { expect, test } from "vitest";
import { concat, fromHex, toHex } from "../bytes/index.ts";
import { type Backend, cs1a, type Ephemeral, portable } from "./index.ts";

const set = cs1a(portable);
const [alice, bob, carol] = [pair("11"), pair("22"), pair("77")];

/** The XOR of the halves, until `length` bytes are left: the page's words, another way. */
function folded(digest: Uint8Array, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => {
    let byte = 0;
    for (let at = i; at < digest.length; at += length) byte ^= digest[at] ?? 0;
    return byte;
  });
}

test("[E7] KEY 21, IV 4, AES-128-CTR, MAC 4: as the page says, of the primitives alone", () => {
  const ephemeral = pair("33");
  const [iv, inner] = [hex("44556677"), hex("0000686921")];
  const shared = given(portable.secp160r1(ephemeral.secret, bob.key));
  const proof = given(portable.secp160r1(bob.secret, alice.key));
  const key = folded(portable.sha256(shared), 16);
  const ciphertext = portable.aes128ctr(key, concat(iv, new Uint8Array(12)), inner);
  const signed = concat(ephemeral.key, iv, ciphertext);
  const mac = folded(portable.hmac(concat(proof, iv), signed), 4);
  const body = given(set.seal(alice, bob.key, ephemeral, inner, () => iv));
  expect(body).toEqual(concat(signed, mac));
  expect(body).toHaveLength(21 + 4 + inner.length + 4);
  expect(set.overhead).toBe(3 + 21 + 4 + 4);
});

test("[E7] a channel packet has TOKEN 16, IV 4, MAC 4, under folded keys", () => {
  const [ours, theirs, token] = [pair("33"), pair("55"), new Uint8Array(16).fill(9)];
  const [iv, inner] = [hex("44556677"), hex("0000686921")];
  const secret = given(portable.secp160r1(ours.secret, theirs.key));
  const key = folded(portable.sha256(concat(secret, ours.key, theirs.key)), 16);
  const ciphertext = portable.aes128ctr(key, concat(iv, new Uint8Array(12)), inner);
  const mac = folded(portable.hmac(concat(key, iv), ciphertext), 4);
  const channel = given(set.channel(ours, theirs.key));
  expect(channel.sendKey).toEqual(key);
  expect(channel.seal(token, inner, () => iv)).toEqual(concat(token, iv, ciphertext, mac));
});

test("IVs of an exchange count up, little-endian, from the one that was drawn; none comes twice, on any channel", () => {
  const ours = pair("33");
  const constant = () => hex("feffffff");
  const ivs: string[] = [];
  const channels = [bob, carol, bob].map(() => given(set.channel(ours, pair("55").key))); // as after a lost session
  for (let round = 0; round < 3; round++) {
    const body = given(set.seal(alice, bob.key, ours, hex("0000"), constant));
    ivs.push(toHex(body.subarray(21, 25)));
    for (const channel of channels) {
      ivs.push(toHex(channel.seal(new Uint8Array(16), hex("0000"), constant).subarray(16, 20)));
    }
  }
  expect(ivs.slice(0, 4)).toEqual(["feffffff", "ffffffff", "00000000", "01000000"]);
  expect(new Set(ivs).size).toBe(12);
  const other = given(set.seal(alice, bob.key, pair("44"), hex("0000"), constant));
  expect(toHex(other.subarray(21, 25))).toBe("feffffff"); // another exchange has other keys
});

test("secrets of telehash-c with a zero in front and those of e3x-js are the same", () => {
  const secret = hex("ab".repeat(20));
  expect(set.keyPair(concat(hex("00"), secret))).toEqual(set.keyPair(secret));
  expect(set.keyPair(secret)?.secret).toHaveLength(20);
  for (const wrong of [concat(hex("01"), secret), concat(hex("0000"), secret), secret.subarray(1), new Uint8Array(20)])
    expect(set.keyPair(wrong)).toBeUndefined();
});

test("a key that is no point is refused where a secret would be shared with it", () => {
  const noPoint = Array.from({ length: 20 }, (_, i) => concat(hex("02"), new Uint8Array(20).fill(i + 1))).find(
    (key) => portable.secp160r1(alice.secret, key) === undefined,
  );
  const [key, ephemeral] = [given(noPoint), pair("33")];
  expect(set.isKey(key)).toBe(true);
  const body = given(set.seal(alice, bob.key, ephemeral, hex("0000"), () => hex("01020304")));
  expect(set.seal(alice, key, ephemeral, hex("0000"), () => hex("01020304"))).toBeUndefined();
  expect(set.open(bob, concat(key, body.subarray(21)))).toBeUndefined();
  expect(set.open(bob, body)?.verify(key)).toBe(false);
  expect(set.channel(ephemeral, key)).toBeUndefined();
});

test("an exchange costs its Diffie-Hellmans once, whatever the number of messages", () => {
  let agreements = 0;
  const counting: Backend = {
    ...portable,
    secp160r1(secret, key) {
      agreements++;
      return portable.secp160r1(secret, key);
    },
  };
  const counted = cs1a(counting);
  const ephemeral = pair("33");
  const bodies = Array.from({ length: 50 }, () =>
    given(counted.seal(alice, bob.key, ephemeral, hex("0000"), () => hex("01020304"))),
  );
  expect(agreements).toBe(2);
  for (const body of bodies) expect(counted.open(bob, body)?.verify(alice.key)).toBe(true);
  expect(agreements).toBe(4);
});

/** The pair whose secret is this byte 20 times, as an identity or as an exchange. */
function pair(byte: string): Ephemeral {
  const found = given(set.keyPair(hex(byte.repeat(20))));
  return { ...found, prefix: found.key };
}

function hex(text: string): Uint8Array {
  return given(fromHex(text));
}

function given<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("undefined where a value was due");
  return value;
}
