/**
 * Passphrases: a key from words that a person knows, slow to guess, by argon2id (RFC 9106) with one lane: libsodium where it
 * loads, JavaScript elsewhere (ten times slower), the same bytes. And a store key sealed with one.
 */
import { randomBytes } from "node:crypto";
import { argon2id } from "@noble/hashes/argon2.js";
import { type Backend, RestanteError } from "restante";
import { concat, fromHex, fromUtf8, toHex, utf8 } from "restante/protocol";

/** How much work one guess is. */
export interface Stretch {
  /** Passes over the memory. */
  readonly passes: number;
  readonly kibibytes: number;
}

/** The second choice of RFC 9106 §4, as libsodium can do it: 0.2 s and 64 MiB; 2 to 4 s in JavaScript. */
export const STRETCH: Stretch = { passes: 3, kibibytes: 64 * 1024 };
/** Bytes of salt. */
export const SALT_BYTES = 16;

/** Whether work that a file asks for is what any of ours would: it may be somebody else's, and hold a machine for hours. */
export function isBearable({ passes, kibibytes }: Stretch): boolean {
  const arePasses = Number.isInteger(passes) && passes >= 1 && passes <= MAX_PASSES;
  return arePasses && Number.isInteger(kibibytes) && kibibytes >= 8 && kibibytes <= MAX_KIBIBYTES;
}

/**
 * 32 bytes from a passphrase and a salt of SALT_BYTES. Composed and decomposed letters are the same. Throws "bad-passphrase" for
 * one that is empty or has more than 1024 bytes. The work has to be one that `isBearable` takes.
 */
export async function stretched(
  passphrase: string,
  salt: Uint8Array,
  { passes, kibibytes }: Stretch,
): Promise<Uint8Array> {
  const words = utf8(passphrase.normalize("NFC"));
  if (words.length === 0) throw new RestanteError("bad-passphrase", "the passphrase is empty");
  if (words.length > MAX_BYTES)
    throw new RestanteError("bad-passphrase", `a passphrase has at most ${MAX_BYTES} bytes`);
  const sodium = await loadSodium();
  if (sodium === undefined) return argon2id(words, salt, { t: passes, m: kibibytes, p: 1, dkLen: 32 });
  const key = new Uint8Array(32);
  sodium.crypto_pwhash(key, words, salt, passes, kibibytes * 1024, sodium.crypto_pwhash_ALG_ARGON2ID13);
  return key;
}

/** A store key (32 bytes) under a passphrase: the text of its file. */
export async function sealKey(
  backend: Backend,
  key: Uint8Array,
  passphrase: string,
  stretch: Stretch = STRETCH,
): Promise<Uint8Array> {
  const salt = new Uint8Array(randomBytes(SALT_BYTES));
  const nonce = new Uint8Array(randomBytes(NONCE_BYTES));
  const sealed = backend.xchachaSeal(await stretched(passphrase, salt, stretch), nonce, key, ABOUT);
  const record: SealedKey = {
    format: "restante key under a passphrase",
    v: 1,
    kdf: "argon2id",
    ...stretch,
    salt: toHex(salt),
    sealed: toHex(concat(nonce, sealed)),
  };
  return utf8(`${JSON.stringify(record, undefined, 2)}\n`);
}

/** What `sealKey` gave: is it that? */
export function isSealedKey(bytes: Uint8Array): boolean {
  return parse(bytes) !== undefined;
}

/** The key again. Throws "bad-passphrase" when it is another one, or the file was changed. */
export async function openKey(backend: Backend, bytes: Uint8Array, passphrase: string): Promise<Uint8Array> {
  const record = parse(bytes);
  const [salt, sealed] = [fromHex(record?.salt ?? ""), fromHex(record?.sealed ?? "")];
  if (record === undefined || salt?.length !== SALT_BYTES || sealed === undefined || sealed.length < NONCE_BYTES)
    throw new RestanteError("store-key", "the key under a passphrase is not readable; bring it back from a backup");
  const [nonce, box] = [sealed.subarray(0, NONCE_BYTES), sealed.subarray(NONCE_BYTES)];
  const key = backend.xchachaOpen(await stretched(passphrase, salt, record), nonce, box, ABOUT);
  if (key === undefined) throw new RestanteError("bad-passphrase", "this is not the passphrase");
  return key;
}

interface SealedKey extends Stretch {
  readonly format: "restante key under a passphrase";
  readonly v: 1;
  readonly kdf: "argon2id";
  /** Hex. */
  readonly salt: string;
  /** Hex: the nonce, then the sealed key. */
  readonly sealed: string;
}

function parse(bytes: Uint8Array): SealedKey | undefined {
  if (bytes[0] !== 0x7b) return undefined; // not JSON: 32 bytes that happen to be some are not either
  try {
    const record = JSON.parse(fromUtf8(bytes) ?? "") as Partial<SealedKey>;
    const isIt = record.format === "restante key under a passphrase" && record.v === 1 && record.kdf === "argon2id";
    const areTexts = typeof record.salt === "string" && typeof record.sealed === "string";
    return isIt && areTexts && isBearable(record as SealedKey) ? (record as SealedKey) : undefined;
  } catch {
    return undefined;
  }
}

/** What we use here of sodium-native. */
interface Sodium {
  readonly crypto_pwhash_ALG_ARGON2ID13: number;
  crypto_pwhash(
    key: Uint8Array,
    passphrase: Uint8Array,
    salt: Uint8Array,
    passes: number,
    bytes: number,
    algorithm: number,
  ): void;
}

async function loadSodium(): Promise<Sodium | undefined> {
  const name = "sodium-native"; // in a variable, as in crypto/native.ts
  try {
    return ((await import(name)) as { default: Sodium }).default;
  } catch {
    return undefined;
  }
}

const ABOUT = utf8("restante/key/1");
const NONCE_BYTES = 24;
const MAX_BYTES = 1024;
const MAX_PASSES = 16;
const MAX_KIBIBYTES = 1024 * 1024;
