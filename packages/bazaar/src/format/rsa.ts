/**
 * RSA as OpenBazaar's old identities use it: SHA-256 signatures and encryption after PKCS#1 v1.5 (RFC 8017 §7.2, §8.2).
 * What needs no secret is done here; what needs the private key is asked of an `RsaKey`, which knows no padding.
 */
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concat, equal, fromHex, type Random, toHex } from "restante/protocol";

/** A private key of 4096 bits, as an engine with constant-time arithmetic holds it (`rsa-node.ts`). */
export interface RsaKey {
  /** The SubjectPublicKeyInfo of its public half, in DER. */
  readonly spki: Uint8Array;
  /** A secret of 32 bytes that never leaves the key's holder: what a block that was badly padded decrypts to comes from it. */
  readonly rejection: Uint8Array;
  /** Signs with PKCS#1 v1.5 and SHA-256: as many bytes as the modulus has. */
  sign(message: Uint8Array): Uint8Array;
  /** The bare RSA operation, without any padding: 512 bytes give 512. `undefined` when the number is not below the modulus. */
  decryptRaw(block: Uint8Array): Uint8Array | undefined;
}

/** A public key of 2048 to 4096 bits. */
export interface RsaPublicKey {
  readonly modulus: Uint8Array;
  readonly exponent: number;
}

/**
 * Reads a SubjectPublicKeyInfo. `undefined` for all but the one DER form of an RSA key with a modulus of 2048 to 4096 bits
 * and an odd exponent from 3 to 2^32.
 */
export function parseSpki(der: Uint8Array): RsaPublicKey | undefined {
  const outer = element(der, SEQUENCE);
  if (outer === undefined || outer.rest.length > 0) return undefined;
  if (!equal(outer.body.subarray(0, RSA_ENCRYPTION.length), RSA_ENCRYPTION)) return undefined;
  const bits = element(outer.body.subarray(RSA_ENCRYPTION.length), BIT_STRING);
  if (bits === undefined || bits.rest.length > 0 || bits.body[0] !== 0) return undefined;
  const pair = element(bits.body.subarray(1), SEQUENCE);
  if (pair === undefined || pair.rest.length > 0) return undefined;
  const modulus = element(pair.body, INTEGER);
  const exponent = modulus && element(modulus.rest, INTEGER);
  if (exponent === undefined || exponent.rest.length > 0) return undefined;
  const n = unsigned(modulus?.body);
  const e = unsigned(exponent.body);
  if (n === undefined || e === undefined || n.length < 256 || n.length > BLOCK || ((n[0] ?? 0) & 0x80) === 0)
    return undefined;
  if (e.length > 4) return undefined;
  const value = e.reduce((sum, byte) => sum * 256 + byte, 0);
  return value >= 3 && value % 2 === 1 && (n[n.length - 1] ?? 0) % 2 === 1
    ? { modulus: n, exponent: value }
    : undefined;
}

/** Whether this is the key's signature of the message (RSASSA-PKCS1-v1_5 with SHA-256). */
export function verifyRsa(key: RsaPublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== key.modulus.length) return false;
  const digest = concat(DIGEST_INFO, sha256(message));
  const filling = new Uint8Array(signature.length - digest.length - 3).fill(0xff);
  const expected = concat(Uint8Array.of(0, 1), filling, Uint8Array.of(0), digest);
  const actual = power(key, signature);
  return actual !== undefined && equal(actual, expected);
}

/** Encrypts 32 bytes to a key (RSAES-PKCS1-v1_5): as many bytes as its modulus has. `random` gives the padding. */
export function encryptRsa(key: RsaPublicKey, secret: Uint8Array, random: Random): Uint8Array {
  const padding = random(key.modulus.length - 3 - secret.length);
  for (let i = 0; i < padding.length; i++) {
    while (padding[i] === 0) padding[i] = random(1)[0] ?? 0;
  }
  const padded = concat(Uint8Array.of(0, 2), padding, Uint8Array.of(0), secret);
  return power(key, padded) ?? padded; // the first byte is 0: the number is below the modulus
}

/**
 * Decrypts a block of 512 bytes to 32. Never says whether the padding was right, neither by its answer nor by what it
 * touches: a block that was not made for us gives 32 bytes that only its holder could foretell, and the MAC over the rest
 * fails as it does for any other change (the attack of Bleichenbacher needs that difference).
 */
export function decryptRsa(key: RsaKey, block: Uint8Array): Uint8Array {
  const rejected = hmac(sha256, key.rejection, block);
  const padded = key.decryptRaw(block);
  if (padded === undefined || padded.length !== BLOCK) return rejected; // not below the modulus: a fact that anybody sees
  const split = BLOCK - SECRET - 1;
  let wrong = (padded[0] ?? 1) | ((padded[1] ?? 0) ^ 2) | (padded[split] ?? 1);
  for (let i = 2; i < split; i++) wrong |= isZero(padded[i] ?? 0);
  const keep = isZero(wrong) * 0xff;
  const secret = new Uint8Array(SECRET);
  for (let i = 0; i < SECRET; i++) {
    secret[i] = ((padded[split + 1 + i] ?? 0) & keep) | ((rejected[i] ?? 0) & ~keep);
  }
  return secret;
}

/** 1 for 0, 0 for every other byte; no branch. */
function isZero(byte: number): number {
  return ((byte - 1) >>> 8) & 1;
}

/** block^e mod n, for public values only: not in constant time. `undefined` when the block is not below the modulus. */
function power(key: RsaPublicKey, block: Uint8Array): Uint8Array | undefined {
  const n = BigInt(`0x${toHex(key.modulus)}`);
  const base = BigInt(`0x${toHex(block)}`);
  if (base >= n) return undefined;
  let result = base;
  for (let bit = 31 - Math.clz32(key.exponent) - 1; bit >= 0; bit--) {
    result = (result * result) % n;
    if ((key.exponent >>> bit) % 2 === 1) result = (result * base) % n;
  }
  return fromHex(result.toString(16).padStart(2 * key.modulus.length, "0"));
}

/** The body of the DER element that `bytes` begin with, and what follows it; `undefined` unless its tag and form are right. */
function element(bytes: Uint8Array, tag: number): { body: Uint8Array; rest: Uint8Array } | undefined {
  const first = bytes[1] ?? 0x80;
  if (bytes[0] !== tag) return undefined;
  let length = first;
  let at = 2;
  if (first >= 0x80) {
    const count = first - 0x80;
    if (count < 1 || count > 2) return undefined;
    length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + (bytes[at + i] ?? 0);
    if (length < (count === 1 ? 0x80 : 0x100)) return undefined; // a longer form than it needs
    at += count;
  }
  if (at + length > bytes.length) return undefined;
  return { body: bytes.subarray(at, at + length), rest: bytes.subarray(at + length) };
}

/** A positive DER integer without its sign byte. */
function unsigned(body: Uint8Array | undefined): Uint8Array | undefined {
  const first = body?.[0];
  if (body === undefined || first === undefined || first >= 0x80) return undefined;
  if (first !== 0) return body;
  return body.length > 1 && (body[1] ?? 0) >= 0x80 ? body.subarray(1) : undefined;
}

const BLOCK = 512; // RSA-4096, the only size that OpenBazaar can decrypt with
const SECRET = 32;
const SEQUENCE = 0x30;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
// AlgorithmIdentifier: rsaEncryption, NULL (RFC 8017 A.1).
const RSA_ENCRYPTION = Uint8Array.of(0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0);
// DigestInfo of SHA-256 without the hash (RFC 8017 §9.2, note 1).
const DIGEST_INFO = Uint8Array.of(0x30, 0x31, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20);
