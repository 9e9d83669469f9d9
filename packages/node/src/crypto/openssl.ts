/**
 * The primitives that OpenSSL serves, through node:crypto: what libsodium has not (AES, P-256, secp160r1, RSA), and SHA-256,
 * HMAC and HKDF, which OpenSSL does faster. Every backend of this package is made of these and of one for the rest.
 */
import {
  constants,
  createCipheriv,
  createDecipheriv,
  createECDH,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  type ECDH,
  generateKeyPairSync,
  getCurves,
  hash,
  type KeyObject,
  privateDecrypt,
  privateEncrypt,
  publicDecrypt,
  publicEncrypt,
} from "node:crypto";
import { assert, type Backend, concat, equal, isRsaKey, type KeyPair, portable, type Rsa } from "restante/protocol";

type Curve = "prime256v1" | "secp160r1";

type PublicKey = KeyObject & { padding?: number };

type Served =
  | "sha256"
  | "hmac"
  | "hkdf"
  | "aes128ctr"
  | "aes256gcmSeal"
  | "aes256gcmOpen"
  | "p256Key"
  | "p256"
  | "secp160r1Key"
  | "secp160r1";

/** RSA of OpenSSL. Remembers parsed keys: of our pairs as long as they live, of peers the most recently used ones. */
const rsa: Rsa = {
  generate() {
    const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: RSA_BITS });
    const pair: KeyPair = {
      key: plain(publicKey.export({ type: "pkcs1", format: "der" })),
      secret: plain(privateKey.export({ type: "pkcs1", format: "der" })),
    };
    ownKeys.set(pair, privateKey);
    return pair;
  },

  keyPair(secret) {
    try {
      const own = parsePrivate(secret);
      if (own.asymmetricKeyType !== "rsa") return undefined;
      const key = plain(createPublicKey(own).export({ type: "pkcs1", format: "der" }));
      const pair: KeyPair = { key, secret: secret.slice() };
      ownKeys.set(pair, own);
      // OpenSSL takes numbers that do not belong together; such a pair would fail us later.
      const isSound = isRsaKey(key) && rsa.verify(key, key, rsa.sign(pair, key));
      return isSound ? pair : undefined;
    } catch {
      return undefined;
    }
  },

  encrypt: (key, block) => plain(publicEncrypt(publicKey(key, constants.RSA_NO_PADDING), block)),

  decrypt(pair, ciphertext) {
    const key = privateKey(pair);
    try {
      return plain(privateDecrypt(key, ciphertext)); // OAEP with SHA-1, unless told otherwise
    } catch {
      return undefined;
    }
  },

  sign: (pair, data) => plain(privateEncrypt(privateKey(pair), digestInfoOf(data))), // 2 us less than `sign`
  verify(key, data, signature) {
    if (signature.length !== BLOCK_BYTES) return false;
    // A tenth faster than `verify`. What is left without the padding has one length, so the padding has too: compared as a
    // whole, as RFC 8017 8.2.2 does it, there is nothing to parse that could be forged.
    let signed: Buffer;
    try {
      signed = publicDecrypt(publicKey(key, constants.RSA_PKCS1_PADDING), signature);
    } catch {
      return false;
    }
    return signed.equals(digestInfoOf(data));
  },

  sha1(data) {
    const digest = new Uint8Array(SHA1_BYTES);
    hashInto("sha1", data, digest, 0, SHA1_BYTES);
    return digest;
  },
};

/** SHA-256 into an array of 32 bytes. */
export function sha256Into(digest: Uint8Array, data: Uint8Array): void {
  hashInto("sha256", data, digest, 0, DIGEST_BYTES);
}

/** To be spread into a backend. */
export const openssl: Pick<Backend, Served> & { readonly rsa: Rsa } = {
  sha256(data) {
    const digest = new Uint8Array(DIGEST_BYTES);
    sha256Into(digest, data);
    return digest;
  },
  hmac(key, data) {
    // Keys as KeyObjects: of a raw one Node 24 makes an object that costs 17 us, whatever the data.
    if (data.length > HMAC_DATA) return plain(createHmac("sha256", createSecretKey(key)).update(data).digest());
    // RFC 2104 §2, by two hashes at once: a fifth of what the object costs.
    const block = key.length > HASH_BLOCK ? openssl.sha256(key) : key;
    const end = HASH_BLOCK + data.length;
    for (let i = 0; i < block.length; i++) hmacDesk[i] = INNER_PAD ^ (block[i] ?? 0);
    for (let i = block.length; i < HASH_BLOCK; i++) hmacDesk[i] = INNER_PAD;
    hmacDesk.set(data, HASH_BLOCK);
    hashInto("sha256", hmacDesk.subarray(0, end), hmacDesk, HASH_BLOCK, DIGEST_BYTES);
    for (let i = 0; i < HASH_BLOCK; i++) hmacDesk[i] = INNER_PAD ^ OUTER_PAD ^ (hmacDesk[i] ?? 0);
    const digest = openssl.sha256(hmacOuter);
    hmacDesk.fill(0, 0, Math.max(end, hmacOuter.length));
    return digest;
  },
  hkdf(ikm, salt, info, length) {
    // RFC 5869 §2 by the HMAC above: `hkdfSync` makes an object of the key, and costs twice as much.
    assert(length <= MAX_BLOCKS * DIGEST_BYTES, "HKDF gives 8160 bytes at most");
    const key = openssl.hmac(salt, ikm);
    const made = new Uint8Array(length);
    let block: Uint8Array = new Uint8Array(0);
    for (let n = 1, at = 0; at < length; n++, at += DIGEST_BYTES) {
      block = openssl.hmac(key, concat(block, info, Uint8Array.of(n)));
      made.set(block.subarray(0, length - at), at);
    }
    key.fill(0);
    return made;
  },

  aes128ctr: (key, iv, data) => plain(createCipheriv("aes-128-ctr", secretKey(key), iv).update(data)),
  aes256gcmSeal(key, iv, data, aad) {
    const cipher = createCipheriv("aes-256-gcm", secretKey(key), iv);
    if (aad.length > 0) cipher.setAAD(aad);
    const sealed = plain(Buffer.allocUnsafe(data.length + TAG_BYTES)); // from Node's pool, and written to its end
    sealed.set(cipher.update(data));
    cipher.final();
    sealed.set(cipher.getAuthTag(), data.length);
    return sealed;
  },
  aes256gcmOpen(key, iv, sealed, aad) {
    const end = sealed.length - TAG_BYTES;
    if (end < 0) return undefined;
    const decipher = createDecipheriv("aes-256-gcm", secretKey(key), iv, { authTagLength: TAG_BYTES });
    decipher.setAuthTag(sealed.subarray(end));
    if (aad.length > 0) decipher.setAAD(aad);
    const opened = decipher.update(sealed.subarray(0, end));
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    return plain(opened);
  },

  p256Key: (secret) => ecdhKey("prime256v1", secret, "uncompressed"),
  p256: (secret, key) => (key.length === 65 && key[0] === 4 ? ecdh("prime256v1", secret, key) : undefined),
  // OpenSSL is built without small curves by some.
  ...(getCurves().includes("secp160r1")
    ? {
        secp160r1Key: (secret) => ecdhKey("secp160r1", secret, "compressed"),
        secp160r1: (secret, key) => (key.length === 21 ? ecdh("secp160r1", secret, key) : undefined),
      }
    : { secp160r1Key: portable.secp160r1Key, secp160r1: portable.secp160r1 }),

  rsa,
};

/** Into `out`, from `at` on. Through a text, where each character is a byte: a Buffer would cost twice the hash. */
function hashInto(algorithm: string, data: Uint8Array, out: Uint8Array, at: number, length: number): void {
  const text = hash(algorithm, data, "binary");
  for (let i = 0; i < length; i++) out[at + i] = text.charCodeAt(i);
}

/** DigestInfo of the SHA-256 of this; overwritten by the next call. RFC 8017 9.2 */
function digestInfoOf(data: Uint8Array): Uint8Array {
  hashInto("sha256", data, digestInfo, digestInfo.length - DIGEST_BYTES, DIGEST_BYTES);
  return digestInfo;
}

function ecdhKey(curve: Curve, secret: Uint8Array, form: "compressed" | "uncompressed"): Uint8Array | undefined {
  const own = ecdhOf(curve);
  try {
    own.setPrivateKey(secret);
  } catch {
    return undefined;
  }
  return plain(own.getPublicKey(null, form));
}

function ecdh(curve: Curve, secret: Uint8Array, key: Uint8Array): Uint8Array | undefined {
  const own = ecdhOf(curve);
  try {
    own.setPrivateKey(secret);
    return plain(own.computeSecret(key));
  } catch {
    return undefined; // not on the curve
  }
}

/**
 * The object for the next computation on this curve; to make one costs as much as the computation. A new secret overwrites
 * the one before, and at the end of the turn a secret that is none: sooner than a collector would.
 */
function ecdhOf(curve: Curve): ECDH {
  let own = curves.get(curve);
  if (own === undefined) {
    own = createECDH(curve);
    curves.set(curve, own);
  }
  if (used.size === 0) setImmediate(forgetSecrets);
  used.add(own);
  return own;
}

function forgetSecrets(): void {
  for (const own of used) own.setPrivateKey(NO_SECRET);
  used.clear();
}

/** A key for AES, parsed once for as long as its array lives with the same bytes: that is half of the cost of a packet. */
function secretKey(key: Uint8Array): KeyObject {
  const known = secretKeys.get(key);
  if (known !== undefined && equal(known.bytes, key)) return known.parsed;
  const parsed = createSecretKey(key);
  secretKeys.set(key, { bytes: key.slice(), parsed });
  return parsed;
}

function privateKey(pair: KeyPair): KeyObject {
  let parsed = ownKeys.get(pair);
  if (parsed === undefined) {
    parsed = parsePrivate(pair.secret);
    ownKeys.set(pair, parsed);
  }
  return parsed;
}

/** PKCS #1, else PKCS #8. Throws for what is neither. */
function parsePrivate(secret: Uint8Array): KeyObject {
  const key = Buffer.from(secret);
  try {
    return createPrivateKey({ key, format: "der", type: "pkcs1" });
  } catch {
    return createPrivateKey({ key, format: "der", type: "pkcs8" });
  }
}

/**
 * The key for an operation with this padding. It carries its own options: given a key within an object of options, Node 24
 * makes another key for each call, which takes 9 us.
 */
function publicKey(key: Uint8Array, padding: number): PublicKey {
  const parsed = parsePublic(key);
  parsed.padding = padding;
  return parsed;
}

function parsePublic(key: Uint8Array): PublicKey {
  if (lastKey?.bytes.equals(key)) return lastKey.parsed;
  const bytes = Buffer.from(key.buffer, key.byteOffset, key.length);
  const name = bytes.toString("latin1");
  let parsed = peerKeys.get(name);
  if (parsed === undefined) {
    const type = key.length > LONGEST_PKCS1 ? "spki" : "pkcs1";
    parsed = createPublicKey({ key: Buffer.from(bytes), format: "der", type });
    const oldest = peerKeys.keys().next().value;
    if (peerKeys.size >= PEER_KEYS && oldest !== undefined) peerKeys.delete(oldest);
  } else peerKeys.delete(name);
  peerKeys.set(name, parsed); // a Map keeps the order of insertion: the newest stands last
  lastKey = { bytes: Buffer.from(bytes), parsed };
  return parsed;
}

/** A Buffer's bytes without its class: in a Buffer `slice` means a view. */
function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}

const ownKeys = new WeakMap<KeyPair, KeyObject>();
const peerKeys = new Map<string, PublicKey>();
let lastKey: { readonly bytes: Buffer; readonly parsed: PublicKey } | undefined; // mostly it is the same peer again
const secretKeys = new WeakMap<Uint8Array, { readonly bytes: Uint8Array; readonly parsed: KeyObject }>();

// SEQUENCE { SEQUENCE { OBJECT IDENTIFIER id-sha256, NULL }, OCTET STRING of 32 bytes }: RFC 8017 9.2
const digestInfo = Uint8Array.from(Buffer.from(`3031300d060960864801650304020105000420${"00".repeat(32)}`, "hex"));

const RSA_BITS = 2048;
const BLOCK_BYTES = RSA_BITS / 8;
const PEER_KEYS = 256; // some 3 KiB each; to parse one costs as much as to verify with it
const LONGEST_PKCS1 = 271; // 2048 bits and an exponent of 4 bytes; with the wrapping of SubjectPublicKeyInfo 292 at least
const DIGEST_BYTES = 32;
const MAX_BLOCKS = 255; // RFC 5869 §2.3
const HASH_BLOCK = 64; // of SHA-256
const HMAC_DATA = 2048; // longer data gains nothing
const [INNER_PAD, OUTER_PAD] = [0x36, 0x5c]; // RFC 2104 §2
const hmacDesk = new Uint8Array(HASH_BLOCK + HMAC_DATA);
const hmacOuter = hmacDesk.subarray(0, HASH_BLOCK + DIGEST_BYTES);
const curves = new Map<Curve, ECDH>();
const used = new Set<ECDH>(); // in this turn
const NO_SECRET = Uint8Array.of(1);
const SHA1_BYTES = 20;
const TAG_BYTES = 16;
