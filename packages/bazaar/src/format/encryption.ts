/** Encryption to a peer's identity key: a NaCl box for Ed25519, hybrid RSA for old identities. protocol/bazaar.md §4 */
import { cfb } from "@noble/ciphers/aes.js";
import { ed25519 } from "@noble/curves/ed25519.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concat, equal, portable, type Random, utf8 } from "restante/protocol";
import { type Identity, parsePublicKey } from "./identity.ts";
import { decryptRsa, encryptRsa, type RsaKey, type RsaPublicKey } from "./rsa.ts";

/**
 * Encrypts to the holder of `publicKey` (a libp2p PublicKey protobuf). Draws from `random` in this order: for Ed25519 the
 * ephemeral secret (32 bytes) and the nonce (24); for RSA the secret (32), its padding, the IV (16). `undefined` when nobody
 * can decrypt with such a key: other kinds, RSA of another size than 4096, points of low order.
 */
export function encrypt(publicKey: Uint8Array, plain: Uint8Array, random: Random): Uint8Array | undefined {
  const key = parsePublicKey(publicKey);
  if (key?.kind === "ed25519") return encryptBox(key.key, plain, random);
  return key?.key.modulus.length === RSA_BLOCK ? encryptHybrid(key.key, plain, random) : undefined;
}

/** Decrypts what was encrypted to us; `undefined` for everything else. */
export function decrypt(identity: Identity, ciphertext: Uint8Array): Uint8Array | undefined {
  const { secret } = identity;
  return secret.kind === "rsa" ? decryptHybrid(secret.key, ciphertext) : decryptBox(secret.seed, ciphertext);
}

/** What encryption adds to the bytes, at most. */
export const ENCRYPTION_BYTES: number = 4 + 512 + 16 + 32;

/** The X25519 key (32 bytes) to which is encrypted what is for the holder of an Ed25519 key; `undefined` when there is none. */
export function boxKeyOf(publicKey: Uint8Array): Uint8Array | undefined {
  const key = parsePublicKey(publicKey);
  return key?.kind === "ed25519" ? montgomery(key.key) : undefined;
}

function encryptBox(key: Uint8Array, plain: Uint8Array, random: Random): Uint8Array | undefined {
  const secret = random(KEY);
  const nonce = random(NONCE);
  const theirs = montgomery(key);
  const shared = theirs && portable.beforenm(secret, theirs);
  return shared && concat(nonce, portable.x25519Key(secret), portable.secretboxSeal(shared, nonce, plain));
}

function decryptBox(seed: Uint8Array, ciphertext: Uint8Array): Uint8Array | undefined {
  if (ciphertext.length < NONCE + KEY + BOX_TAG) return undefined;
  const theirs = ciphertext.subarray(NONCE, NONCE + KEY);
  const shared = portable.beforenm(ed25519.utils.toMontgomerySecret(seed), theirs);
  const plain =
    shared && portable.secretboxOpen(shared, ciphertext.subarray(0, NONCE), ciphertext.subarray(NONCE + KEY));
  // The box does not hold the key, and opens for others than the sender's: anybody could give a file further names. Asked last, for it
  // costs as much as the rest.
  return plain && hasSecret(theirs) ? plain : undefined;
}

/** The X25519 key of who signs with this Ed25519 key. */
function montgomery(key: Uint8Array): Uint8Array | undefined {
  try {
    return ed25519.utils.toMontgomery(key);
  } catch {
    return undefined;
  }
}

/**
 * Whether an X25519 key is one that belongs to a secret: below 2^255 - 19, and in the group of the base point. To each such key there are
 * seven on the curve that agree on the same with everybody, for secrets are multiples of eight (RFC 7748 §5).
 */
function hasSecret(key: Uint8Array): boolean {
  const { Fp } = ed25519.Point;
  try {
    const u = Fp.fromBytes(key);
    const y = Fp.div(Fp.sub(u, Fp.ONE), Fp.add(u, Fp.ONE)); // RFC 7748 §4.1
    return ed25519.Point.fromBytes(Fp.toBytes(y)).isTorsionFree();
  } catch {
    return false; // not reduced, or of no point of the curve
  }
}

function encryptHybrid(key: RsaPublicKey, plain: Uint8Array, random: Random): Uint8Array {
  const secret = random(KEY);
  const wrapped = encryptRsa(key, secret, random);
  const iv = random(IV);
  const { cipher, mac } = keysOf(secret);
  const hidden = concat(iv, cfb(cipher, iv).encrypt(plain));
  return concat(VERSION, wrapped, hidden, hmac(sha256, mac, hidden));
}

function decryptHybrid(key: RsaKey, ciphertext: Uint8Array): Uint8Array | undefined {
  if (ciphertext.length < VERSION.length + RSA_BLOCK + IV + MAC) return undefined;
  if (!equal(ciphertext.subarray(0, VERSION.length), VERSION)) return undefined;
  const start = VERSION.length + RSA_BLOCK;
  const end = ciphertext.length - MAC;
  const { cipher, mac } = keysOf(decryptRsa(key, ciphertext.subarray(VERSION.length, start)));
  const hidden = ciphertext.subarray(start, end);
  if (!equal(hmac(sha256, mac, hidden), ciphertext.subarray(end))) return undefined;
  return cfb(cipher, hidden.subarray(0, IV)).decrypt(hidden.subarray(IV));
}

function keysOf(secret: Uint8Array): { cipher: Uint8Array; mac: Uint8Array } {
  const both = hkdf(sha256, secret, utf8(SALT), undefined, 2 * KEY);
  return { cipher: both.subarray(0, KEY), mac: both.subarray(KEY) };
}

const KEY = 32;
const NONCE = 24;
const BOX_TAG = 16;
const RSA_BLOCK = 512;
const IV = 16;
const MAC = 32;
const VERSION = Uint8Array.of(0, 0, 0, 1);
const SALT = "OpenBazaar Encryption Algorithm"; // WIRE: OpenBazaar 6
