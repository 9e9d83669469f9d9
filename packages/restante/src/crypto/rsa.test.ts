/** Which RSA keys set 2a takes. What is done with them is tested where there is RSA: `rsaTests` in restante/testing. */
import { readFileSync } from "node:fs";
import { sha1 } from "@noble/hashes/legacy.js";
import fc from "fast-check";
import { expect, test } from "vitest";
import { concat, fromBase32, fromHex } from "../bytes/index.ts";
import { isRsaKey, oaepEncode } from "./index.ts";
import { encodeSpki } from "./rsa.ts";

const file = new URL("../../../../vectors/telehash/messages.json", import.meta.url);
const { sender } = JSON.parse(readFileSync(file, "utf8")) as { sender: { keys: Record<string, string> } };
const pkcs1 = fromBase32(sender.keys["2a"] ?? "") ?? new Uint8Array();
const spki = encodeSpki(pkcs1);

test("[E8] keys of telehash-c (PKCS #1) are taken, and the same as SubjectPublicKeyInfo", () => {
  expect(pkcs1).toHaveLength(270);
  expect(isRsaKey(pkcs1)).toBe(true);
  expect(spki).toHaveLength(294);
  expect(isRsaKey(spki)).toBe(true);
});

const rsa = { sha1: (data: Uint8Array) => sha1(data) };

test("every exponent has one form: odd, from 3 to 2^31 - 1, without leading zeros", () => {
  const key = (exponent: string) => {
    const bytes = fromHex(exponent) ?? new Uint8Array();
    return concat(
      Uint8Array.of(0x30, 0x82, 0x01, 7 + bytes.length),
      pkcs1.subarray(4, 265),
      Uint8Array.of(2, bytes.length),
      bytes,
    );
  };
  expect(key("010001")).toEqual(pkcs1);
  for (const good of ["03", "05", "11", "7f", "0101", "010001", "7fffffff"]) {
    expect(isRsaKey(key(good)), good).toBe(true);
    expect(isRsaKey(encodeSpki(key(good))), good).toBe(true);
  }
  const bad = ["", "00", "01", "02", "81", "ff", "0003", "0000010001", "010000", "80000001", "ffffffff", "0100000001"];
  for (const wrong of bad) {
    expect(isRsaKey(key(wrong)), wrong).toBe(false);
    expect(isRsaKey(encodeSpki(key(wrong))), wrong).toBe(false);
  }
});

test("no byte of the form can be changed, added or left out; those of the numbers only within their bounds", () => {
  for (const key of [pkcs1, spki]) {
    const modulus = key.length - 5 - 256;
    for (let at = 0; at < key.length; at++) {
      const changed = (flip: number) => key.map((byte, i) => (i === at ? byte ^ flip : byte));
      const isOfNumber = (at >= modulus && at < modulus + 256) || at >= key.length - 3;
      expect(isRsaKey(changed(0x80)), `top bit of ${at}`).toBe(isOfNumber && at !== modulus && at !== key.length - 3);
      const isEven = at === modulus + 255 || at === key.length - 1;
      const isSmall = at === key.length - 3; // 01 becomes 00
      expect(isRsaKey(changed(0x01)), `low bit of ${at}`).toBe(isOfNumber && !isEven && !isSmall);
      expect(isRsaKey(key.subarray(0, at)), `cut to ${at}`).toBe(false);
    }
    expect(isRsaKey(concat(key, Uint8Array.of(0)))).toBe(false);
    expect(isRsaKey(concat(Uint8Array.of(0), key))).toBe(false);
  }
  expect(isRsaKey(encodeSpki(spki))).toBe(false);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => !isRsaKey(bytes)));
});

test("padding depends on plain text and seed alone, and takes 214 bytes at most", () => {
  const seed = new Uint8Array(20).fill(1);
  const block = oaepEncode(rsa, new Uint8Array(97), seed);
  expect(block).toHaveLength(256);
  expect(block[0]).toBe(0);
  expect(oaepEncode(rsa, new Uint8Array(97), seed)).toEqual(block);
  expect(oaepEncode(rsa, new Uint8Array(97), new Uint8Array(20))).not.toEqual(block);
  expect(oaepEncode(rsa, new Uint8Array(214), seed)).toHaveLength(256);
  expect(() => oaepEncode(rsa, new Uint8Array(215), seed)).toThrow("one block");
});
