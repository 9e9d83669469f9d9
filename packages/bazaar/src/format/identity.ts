/** Identities: the key pair behind a `Qm...` id. Ed25519 from words or a seed; RSA-4096 of old ones. protocol/bazaar.md §1 */
import { ed25519 } from "@noble/curves/ed25519.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { mnemonicToSeedSync } from "@scure/bip39";
import { assert, concat, equal, Reader, utf8 } from "restante/protocol";
import { type PeerId, peerIdOf } from "./ids.ts";
import { parseSpki, type RsaKey, type RsaPublicKey, verifyRsa } from "./rsa.ts";

/** Who we are. */
export interface Identity {
  readonly id: PeerId;
  /** The libp2p PublicKey protobuf: 36 bytes for Ed25519. */
  readonly publicKey: Uint8Array;
  /** The secret half; only this package looks into it. */
  readonly secret:
    | { readonly kind: "ed25519"; readonly seed: Uint8Array }
    | { readonly kind: "rsa"; readonly key: RsaKey };
}

/** What a libp2p PublicKey protobuf holds. */
export type PublicKey =
  | { readonly kind: "ed25519"; readonly key: Uint8Array }
  | { readonly kind: "rsa"; readonly key: RsaPublicKey };

/** The identity whose Ed25519 seed (32 bytes) this is. */
export function identityFromSeed(seed: Uint8Array): Identity {
  assert(seed.length === 32, "an Ed25519 seed has 32 bytes");
  const publicKey = concat(ED25519_PREFIX, ed25519.getPublicKey(seed));
  return { id: peerIdOf(publicKey), publicKey, secret: { kind: "ed25519", seed: seed.slice() } };
}

/** The identity that OpenBazaar makes of these words; `undefined` when their number is none of 12, 15, 18, 21, 24. Slow. */
export function identityFromWords(words: string): Identity | undefined {
  const entropy = seedOfWords(words);
  return entropy && identityFromSeed(hmac(sha256, utf8(SEED_KEY), entropy));
}

/** The identity of an RSA-4096 key; `undefined` for keys of another size. */
export function identityFromRsa(key: RsaKey): Identity | undefined {
  const publicKey = encodeRsa(key.spki);
  const parsed = parseSpki(key.spki);
  if (parsed?.modulus.length !== 512) return undefined;
  return { id: peerIdOf(publicKey), publicKey, secret: { kind: "rsa", key } };
}

/** Signs: 64 bytes of Ed25519, or as many as the RSA modulus has. */
export function sign(identity: Identity, message: Uint8Array): Uint8Array {
  const { secret } = identity;
  return secret.kind === "rsa" ? secret.key.sign(message) : ed25519.sign(message, secret.seed);
}

/** Whether the holder of this key (a libp2p PublicKey protobuf) signed the message. Never throws. */
export function verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const parsed = parsePublicKey(publicKey);
  if (parsed === undefined) return false;
  if (parsed.kind === "rsa") return verifyRsa(parsed.key, message, signature);
  if (signature.length !== 64) return false;
  try {
    return ed25519.verify(signature, message, parsed.key, { zip215: false });
  } catch {
    return false;
  }
}

/**
 * Reads a libp2p PublicKey protobuf. `undefined` for all but its one canonical form: a peer has one id, the hash of these
 * bytes.
 */
export function parsePublicKey(bytes: Uint8Array): PublicKey | undefined {
  if (bytes.length === 36 && equal(bytes.subarray(0, 4), ED25519_PREFIX))
    return { kind: "ed25519", key: bytes.subarray(4) };
  const spki = bytes.subarray(5); // 08 00 12, and a length that takes two bytes from 128 to 16383
  if (bytes.length < 128 || bytes.length > RSA_KEY_MAX || !equal(bytes, encodeRsa(spki))) return undefined;
  const key = parseSpki(spki);
  return key && { kind: "rsa", key };
}

/** The Ed25519 key (32 bytes) in a libp2p PublicKey protobuf; `undefined` when it holds another kind. */
export function ed25519KeyOf(publicKey: Uint8Array): Uint8Array | undefined {
  const parsed = parsePublicKey(publicKey);
  return parsed?.kind === "ed25519" ? parsed.key : undefined;
}

/** The libp2p PublicKey protobuf of an Ed25519 key of 32 bytes. */
export function encodeEd25519(key: Uint8Array): Uint8Array {
  return concat(ED25519_PREFIX, key);
}

/**
 * Reads a libp2p PrivateKey protobuf: the seed of an Ed25519 key, or the PKCS#1 DER of an RSA key (for `nodeRsaKey`).
 * `undefined` for other kinds, and for an Ed25519 key whose two halves do not belong together.
 */
export function parsePrivateKey(
  bytes: Uint8Array,
):
  | { readonly kind: "ed25519"; readonly seed: Uint8Array }
  | { readonly kind: "rsa"; readonly pkcs1: Uint8Array }
  | undefined {
  const reader = new Reader(bytes);
  if (reader.u8() !== 8) return undefined;
  const kind = reader.u8();
  if (reader.u8() !== 0x12) return undefined;
  const data = reader.take(reader.varint());
  if (data === undefined || !reader.done) return undefined;
  if (kind === 0) return { kind: "rsa", pkcs1: data.slice() };
  if (kind !== 1 || data.length !== 64) return undefined;
  const seed = data.slice(0, 32);
  return equal(ed25519.getPublicKey(seed), data.subarray(32)) ? { kind: "ed25519", seed } : undefined;
}

function encodeRsa(spki: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(8, 0, 0x12, (spki.length & 0x7f) | 0x80, spki.length >> 7), spki);
}

function seedOfWords(words: string): Uint8Array | undefined {
  try {
    return mnemonicToSeedSync(words, PASSPHRASE);
  } catch {
    return undefined;
  }
}

const ED25519_PREFIX = Uint8Array.of(8, 1, 0x12, 32); // 1: key type Ed25519; 2: its 32 bytes
const SEED_KEY = "OpenBazaar seed"; // WIRE: OpenBazaar 2
const PASSPHRASE = "Secret Passphrase";
const RSA_KEY_MAX = 700; // RSA-4096 takes 555 bytes
