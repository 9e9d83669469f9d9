/** What cipher set 2a does itself about RSA: which public keys it takes, and the padding of what it encrypts. protocol/cs2a.md §2 */
import { assert, concat, fromHex } from "../bytes/index.ts";
import type { Rsa } from "./backend.ts";

/**
 * Whether `key` is DER of an RSA public key that every library can use: PKCS #1 RSAPublicKey, or the same inside an X.509
 * SubjectPublicKeyInfo; an odd modulus of exactly 2048 bits; an odd exponent from 3 to 2^31 - 1. There is one DER for each
 * key and form; all else is refused.
 */
export function isRsaKey(key: Uint8Array): boolean {
  const head = HEADS.get(key.length);
  if (head === undefined) return false;
  for (let i = 0; i < head.length; i++) if (key[i] !== head[i]) return false;
  const exponent = head.length + BLOCK + 2;
  const exponentBytes = key.length - exponent;
  if (key[exponent - 2] !== INTEGER || key[exponent - 1] !== exponentBytes) return false;
  const [high = 0, low = 0] = [key[head.length], key[exponent - 3]]; // ends of the modulus
  const [first = 0, last = 0] = [key[exponent], key[key.length - 1]];
  const isExponent = first > 0 && first < 0x80 && last % 2 === 1 && (first > 1 || exponentBytes > 1);
  return high >= 0x80 && low % 2 === 1 && isExponent;
}

/** The SubjectPublicKeyInfo of a PKCS #1 key that `isRsaKey` takes. */
export function encodeSpki(pkcs1: Uint8Array): Uint8Array {
  return concat(spkiHead(pkcs1.length), pkcs1);
}

/**
 * EME-OAEP encoding with SHA-1 and MGF1-SHA-1, no label (RFC 8017 7.1.1): the 256 bytes to encrypt. Done here, since
 * libraries draw `seed` (20 bytes) themselves, and then no message could be sealed to the same bytes again. They go into
 * `block`, which is given back. Throws (our bug) for more than 214 bytes.
 */
export function oaepEncode(
  { sha1 }: Pick<Rsa, "sha1">,
  plain: Uint8Array,
  seed: Uint8Array,
  block: Uint8Array = new Uint8Array(BLOCK),
): Uint8Array {
  block.fill(0);
  const [maskedSeed, data] = [block.subarray(1, 1 + SHA1), block.subarray(1 + SHA1)];
  assert(plain.length < data.length - SHA1 && seed.length === SHA1, "fits into one block");
  data.set(LABEL);
  data[data.length - plain.length - 1] = 1;
  data.set(plain, data.length - plain.length);
  maskedSeed.set(seed);
  mask(sha1, data, seed);
  mask(sha1, maskedSeed, data);
  return block;
}

/** XORs MGF1-SHA-1 (RFC 8017 B.2.1) of the seed into `target`, at most 5120 bytes. */
function mask(sha1: Rsa["sha1"], target: Uint8Array, seed: Uint8Array): void {
  desk.set(seed);
  const input = desk.subarray(0, seed.length + 4);
  for (let at = 0; at < target.length; at += SHA1) {
    input[seed.length + 3] = at / SHA1;
    const digest = sha1(input);
    const end = Math.min(SHA1, target.length - at);
    for (let i = 0; i < end; i++) target[at + i] = (target[at + i] ?? 0) ^ (digest[i] ?? 0);
  }
  desk.fill(0); // a seed unmasks the rest
}

/** What stands before the modulus in a PKCS #1 key of this length. */
function pkcs1Head(length: number): Uint8Array {
  // The zero says that the modulus is not negative.
  return Uint8Array.of(SEQUENCE, ...derLength(length - 4), INTEGER, ...derLength(BLOCK + 1), 0);
}

/** What stands before a PKCS #1 key of this length in a SubjectPublicKeyInfo. */
function spkiHead(length: number): Uint8Array {
  const bits = [BIT_STRING, ...derLength(length + 1), 0];
  const content = RSA_ENCRYPTION.length + bits.length + length;
  return Uint8Array.of(SEQUENCE, ...derLength(content), ...RSA_ENCRYPTION, ...bits);
}

/** The form of lengths from 256 to 65535, which all lengths here are. */
function derLength(length: number): number[] {
  return [0x82, length >> 8, length & 0xff];
}

const BLOCK = 256; // bytes of a modulus, hence of what is encrypted and of a signature
const SHA1 = 20;
const desk = new Uint8Array(BLOCK); // libraries reach a small array of its own only after 0.4 us
const LABEL = fromHex("da39a3ee5e6b4b0d3255bfef95601890afd80709") ?? new Uint8Array(0); // SHA-1 of none
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const SEQUENCE = 0x30;
// SEQUENCE { OBJECT IDENTIFIER rsaEncryption, NULL }: RFC 3279 2.3.1
const RSA_ENCRYPTION: readonly number[] = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0];
/** What stands before the modulus, by the length of the key: two forms, exponents of 1 to 4 bytes. */
const HEADS: ReadonlyMap<number, Uint8Array> = new Map(
  [268, 269, 270, 271].flatMap((length) => {
    const head = pkcs1Head(length);
    const wrapped = concat(spkiHead(length), head);
    return [
      [length, head],
      [length + wrapped.length - head.length, wrapped],
    ];
  }),
);
