/** What OpenSSL is used for in other ways than its verbs have it: RSA signatures by the bare operation, curves in one object. */
import {
  constants,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  privateEncrypt,
  sign,
  verify,
} from "node:crypto";
import { concat, portable } from "restante/protocol";
import { Chance } from "restante/testing";
import { expect, test } from "vitest";
import { openssl } from "./openssl.ts";

const { rsa } = openssl;
const { random } = new Chance(1);
const pair = rsa.generate();
const [own, theirs] = [createPrivateKey(der(pair.secret)), createPublicKey(der(pair.key))];

test("[E8] signatures are those that OpenSSL's own verb makes, and it takes ours", () => {
  for (const length of [0, 1, 55, 64, 524, 70_000]) {
    const data = random(length);
    const signature = rsa.sign(pair, data);
    expect(signature).toEqual(new Uint8Array(sign("sha256", data, own)));
    expect(verify("sha256", data, theirs, signature)).toBe(true);
    expect(rsa.verify(pair.key, data, signature)).toBe(true);
  }
});

test("a signature whose block differs from the one encoding in any byte is none, and nothing in it is parsed", () => {
  const data = random(300);
  const digest = openssl.sha256(data);
  const info = concat(hex("3031300d060960864801650304020105000420"), digest);
  const block = (end: Uint8Array, type = 1, fill = 0xff): Uint8Array =>
    concat(Uint8Array.of(0, type), new Uint8Array(253 - end.length).fill(fill), Uint8Array.of(0), end);
  expect(rsa.verify(pair.key, data, signatureOf(own, block(info)))).toBe(true);
  const forged: Record<string, Uint8Array> = {
    "without the NULL": block(concat(hex("302f300b0609608648016503040201"), hex("0420"), digest)),
    "another hash": block(concat(hex("3031300d060960864801650304020205000420"), digest)),
    "a bare digest": block(digest),
    "encryption padding": block(info, 2),
    "padding of zeros": block(info, 0, 0),
    "other filling": block(info, 1, 0xfe),
    "rubbish behind the digest": concat(block(info).subarray(0, 100), block(info).subarray(202), random(102)).slice(
      0,
      256,
    ),
    "short padding, and the rest behind": concat(
      Uint8Array.of(0, 1),
      new Uint8Array(8).fill(0xff),
      Uint8Array.of(0),
      info,
      random(194),
    ),
  };
  for (const [what, bytes] of Object.entries(forged)) {
    expect(bytes, what).toHaveLength(256);
    expect(rsa.verify(pair.key, data, signatureOf(own, bytes)), what).toBe(false);
  }
  for (let at = 1; at < 256; at += 5) {
    const changed = block(info);
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(rsa.verify(pair.key, data, signatureOf(own, changed)), `byte ${at}`).toBe(false);
  }
});

test("a signature to which the modulus was added is refused, although it is the same number", () => {
  const modulus = numberOf(pair.key.subarray(9, 265));
  for (let tries = 0; tries < 1000; tries++) {
    const data = random(20);
    const signature = rsa.sign(pair, data);
    const sum = (numberOf(signature) + modulus).toString(16);
    if (sum.length > 512) continue;
    expect(rsa.verify(pair.key, data, signature)).toBe(true);
    expect(rsa.verify(pair.key, data, hex(sum.padStart(512, "0")))).toBe(false);
    return;
  }
  expect.unreachable("one signature in three is small enough");
});

test("keys and secrets of curves are those of portable in any order, also after a bad secret and in later turns", async () => {
  for (let turn = 0; turn < 3; turn++) {
    const [a, b, small] = [random(32), random(32), random(20)];
    const key = portable.p256Key(b) ?? b;
    const smallKey = portable.secp160r1Key(small) ?? small;
    expect(openssl.p256Key(a)).toEqual(portable.p256Key(a));
    expect(openssl.p256Key(new Uint8Array(32))).toBeUndefined();
    expect(openssl.secp160r1Key(small)).toEqual(smallKey);
    expect(openssl.p256(a, key)).toEqual(portable.p256(a, key));
    expect(openssl.p256(new Uint8Array(32).fill(0xff), key)).toBeUndefined();
    expect(openssl.p256Key(b)).toEqual(key);
    expect(openssl.secp160r1(small, smallKey)).toEqual(portable.secp160r1(small, smallKey));
    await new Promise((resolve) => setImmediate(resolve));
  }
});

/** The block under the secret key. */
function signatureOf(key: KeyObject, block: Uint8Array): Uint8Array {
  return new Uint8Array(privateEncrypt({ key, padding: constants.RSA_NO_PADDING }, block));
}

function der(key: Uint8Array): { key: Buffer; format: "der"; type: "pkcs1" } {
  return { key: Buffer.from(key), format: "der", type: "pkcs1" };
}

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
}

function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "hex"));
}
