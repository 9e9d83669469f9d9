/** Cipher set 2a where there is RSA: what every set must do, and its law byte by byte. */
import { readFileSync } from "node:fs";
import {
  type Backend,
  type CipherSet,
  concat,
  createCrypto,
  createIdentity,
  cs2a,
  cs3a,
  exportIdentity,
  fromHex,
  hashnameOf,
  importIdentity,
  isRsaKey,
  type KeyPair,
  oaepEncode,
  portable,
  toBase32,
  toHex,
} from "restante/protocol";
import { Chance, cipherSetSuite } from "restante/testing";
import { describe, expect, test } from "vitest";
import { loadBackend } from "./best.ts";
import { openssl } from "./openssl.ts";

const { rsa } = openssl;
const [best, slow]: [Backend, Backend] = [await loadBackend(() => {}), portable];
const { random } = new Chance(1);

// Throw-away keys, since new ones take 0.1 s each.
const file = new URL("../../../../vectors/telehash/messages.json", import.meta.url);
const vectors = JSON.parse(readFileSync(file, "utf8")) as Record<
  "sender" | "recipient",
  { hashname: string; keys: Record<string, string>; secrets: Record<string, string> }
>;
const set = cs2a(best, rsa);
const pairs = [pairOf("sender"), pairOf("recipient"), rsa.generate()] as const;
const [alice, bob, mallory] = pairs;

describe.each([
  ["native or wasm", set],
  ["portable but for RSA", cs2a(slow, rsa)],
] as [string, CipherSet][])("cipher set 2a, %s", (_, each) => {
  const tests = cipherSetSuite(() => ({ set: each, pairs, nonce: 12, proof: 0, rounds: 10 }));
  for (const { name, run } of tests) test(name, run);
});

test("[E8] [X24] KEYS 256, IV 12, AES-256-GCM of inner packet and SIG 256, MAC 16: of the primitives alone", () => {
  const [secret, aes, seed, iv, inner] = [random(32), random(32), random(20), random(12), hex("0000686921")];
  const draws = [secret, aes, seed, iv];
  const draw = () => draws.shift() ?? new Uint8Array();
  const ephemeral = given(set.exchange(bob.key, draw));
  const half = concat(given(slow.p256Key(secret)), aes);
  const keys = rsa.encrypt(bob.key, oaepEncode(rsa, half, seed));
  const signature = rsa.sign(alice, concat(keys, iv, inner));
  const sealed = slow.aes256gcmSeal(aes, iv, concat(inner, signature), keys);
  const body = given(set.seal(alice, bob.key, ephemeral, inner, draw));
  expect(toHex(body)).toBe(toHex(concat(keys, iv, sealed)));
  expect(body).toHaveLength(256 + 12 + inner.length + 256 + 16);
  expect(set.overhead).toBe(3 + 256 + 12 + 256 + 16);
  expect(ephemeral.key).toEqual(half);
  expect(ephemeral.prefix).toEqual(keys);
});

test("[E8] a channel packet has TOKEN 16, IV 12 that counts up, MAC 16, and nothing beside them is signed", () => {
  const [ours, theirs] = [given(set.exchange(bob.key, random)), given(set.exchange(alice.key, random))];
  const [token, inner] = [new Uint8Array(16).fill(9), hex("0000686921")];
  const secret = given(slow.p256(ours.secret, theirs.key.subarray(0, 65)));
  const key = slow.sha256(concat(secret, ours.key.subarray(65), theirs.key.subarray(65)));
  const channel = given(set.channel(ours, theirs.key));
  expect(channel.sendKey).toEqual(key);
  const ivs = [
    "feffffffffffffff01020304",
    "ffffffffffffffff01020304",
    "000000000000000001020304",
    "010000000000000001020304",
  ];
  for (const iv of ivs) {
    const expected = concat(token, hex(iv), slow.aes256gcmSeal(key, hex(iv), inner, new Uint8Array()));
    expect(toHex(channel.seal(token, inner, () => hex(ivs[0] ?? "")))).toBe(toHex(expected));
  }
});

test("a channel with a part of our own half reflected at us is refused, and so is a key off the curve", () => {
  const [ours, theirs] = [given(set.exchange(bob.key, random)), given(set.exchange(alice.key, random))];
  expect(set.channel(ours, concat(ours.key.subarray(0, 65), theirs.key.subarray(65)))).toBeUndefined();
  expect(set.channel(ours, concat(theirs.key.subarray(0, 65), ours.key.subarray(65)))).toBeUndefined();
  const off = theirs.key.slice();
  off[64] = (off[64] ?? 0) ^ 1;
  expect(set.channel(ours, off)).toBeUndefined();
});

test("an exchange costs one RSA encryption and one decryption, whatever the number of messages", () => {
  const done = { encrypt: 0, decrypt: 0 };
  const counted = cs2a(best, {
    ...rsa,
    encrypt(key, block) {
      done.encrypt++;
      return rsa.encrypt(key, block);
    },
    decrypt(pair, ciphertext) {
      done.decrypt++;
      return rsa.decrypt(pair, ciphertext);
    },
  });
  const ephemeral = given(counted.exchange(bob.key, random));
  for (let i = 0; i < 20; i++) {
    const body = given(counted.seal(alice, bob.key, ephemeral, hex("0000"), random));
    expect(counted.open(bob, body)?.verify(alice.key)).toBe(true);
  }
  expect(done).toEqual({ encrypt: 1, decrypt: 1 });
});

test("KEYS that hold anything but 97 bytes are refused", () => {
  const ephemeral = given(set.exchange(bob.key, random));
  for (const length of [0, 32, 65, 96, 98, 214]) {
    const half = concat(ephemeral.key, ephemeral.key, ephemeral.key).slice(0, length);
    const prefix = rsa.encrypt(bob.key, oaepEncode(rsa, half, random(20)));
    const body = given(set.seal(alice, bob.key, { ...ephemeral, prefix }, hex("0000"), random));
    expect(set.open(bob, body)).toBeUndefined();
  }
});

test("a key as SubjectPublicKeyInfo is a key, makes another hashname, and its identity is taken with it", () => {
  const crypto = createCrypto(best);
  const spki = spkiOf(alice.key);
  expect(set.isKey(spki)).toBe(true);
  const keys = new Map([[0x2a, spki]]);
  const hashname = hashnameOf(best, keys);
  expect(hashname).not.toBe(hashnameOf(best, new Map([[0x2a, alice.key]])));
  const identity = given(
    importIdentity(crypto, {
      hashname,
      keys: { "2a": toBase32(spki) },
      secrets: { "2a": toBase32(alice.secret) },
    }),
  );
  expect(importIdentity(crypto, exportIdentity(identity))).toEqual(identity);
  const pair = given(identity.pairs.get(0x2a));
  expect(pair.key).toEqual(spki);
  const toSpki = given(set.seal(bob, spki, given(set.exchange(spki, random)), hex("0000"), random));
  expect(set.open(pair, toSpki)?.verify(spkiOf(bob.key))).toBe(true);
  const fromSpki = given(set.seal(pair, bob.key, given(set.exchange(bob.key, random)), hex("0000"), random));
  const opened = given(set.open(bob, fromSpki));
  expect([opened.verify(spki), opened.verify(alice.key), opened.verify(mallory.key)]).toEqual([true, true, false]);
});

test("a secret of PKCS #8 makes the same pair as that of PKCS #1", () => {
  const pkcs8 = concat(hex("30820000020100300d06092a864886f70d01010105000482"), new Uint8Array(2), alice.secret);
  const lengths = new DataView(pkcs8.buffer);
  lengths.setUint16(2, pkcs8.length - 4);
  lengths.setUint16(24, alice.secret.length);
  expect(set.keyPair(pkcs8)?.key).toEqual(alice.key);
  expect(set.keyPair(alice.secret)?.key).toEqual(alice.key);
});

test("an identity of 2a and 3a survives its export, and by default there is one of 3a alone", () => {
  const crypto = createCrypto(best);
  expect([...crypto.sets.keys()]).toEqual([0x2a, 0x3a]);
  expect([...createIdentity(crypto, random).keys.keys()]).toEqual([0x3a]);
  const both = createIdentity(crypto, random, [0x2a, 0x3a]);
  expect(isRsaKey(given(both.keys.get(0x2a)))).toBe(true);
  expect(importIdentity(crypto, JSON.parse(JSON.stringify(exportIdentity(both))))).toEqual(both);
  expect(importIdentity(createCrypto(best, [cs3a(best)]), exportIdentity(both))?.hashname).toBe(both.hashname);
});

function pairOf(who: "sender" | "recipient"): KeyPair {
  const identity = importIdentity(createCrypto(best), vectors[who]);
  return given(identity?.pairs.get(0x2a));
}

function spkiOf(pkcs1: Uint8Array): Uint8Array {
  expect(pkcs1).toHaveLength(270);
  return concat(hex("30820122300d06092a864886f70d01010105000382010f00"), pkcs1);
}

function hex(text: string): Uint8Array {
  return given(fromHex(text));
}

function given<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("undefined where a value was due");
  return value;
}
