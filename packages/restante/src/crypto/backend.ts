/**
 * The primitives that cipher sets and hashnames are made of, passed in so that the same code runs on JavaScript alone
 * (`portable`) and on native libraries. `backendSuite` in `restante/testing` says what every backend must do.
 */
import type { KeyPair } from "./keys.ts";

/**
 * Stateless; each result is a fresh plain Uint8Array of the caller's, no argument is changed or kept. Keys, nonces and
 * secrets of another length than stated are a bug of the caller and may throw; nothing else throws.
 */
export interface Backend {
  /** For people and benches: "portable". */
  readonly name: string;
  /** SHA-256 (FIPS 180-4): 32 bytes. */
  sha256(data: Uint8Array): Uint8Array;
  /** HMAC-SHA-256 (RFC 2104), key of any length: 32 bytes. */
  hmac(key: Uint8Array, data: Uint8Array): Uint8Array;
  /** HKDF-SHA-256 (RFC 5869), extract and expand: `length` bytes, at most 8160; `info` at most 1024 (Node). */
  hkdf(ikm: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array;
  /** The X25519 public key (RFC 7748) of a 32-byte secret: 32 bytes. */
  x25519Key(secret: Uint8Array): Uint8Array;
  /**
   * NaCl's crypto_box_beforenm of our 32-byte secret and their 32-byte key: the 32 bytes HSalsa20(X25519, zeros).
   * `undefined` when their key is a point of low order, with which no secret can be shared.
   */
  beforenm(secret: Uint8Array, key: Uint8Array): Uint8Array | undefined;
  /** NaCl's crypto_secretbox (XSalsa20-Poly1305): the 16-byte tag, then the ciphertext. Key 32 bytes, nonce 24. */
  secretboxSeal(key: Uint8Array, nonce: Uint8Array, plain: Uint8Array): Uint8Array;
  /** What `secretboxSeal` sealed; `undefined` when `boxed` is too short, changed, or of another key or nonce. */
  secretboxOpen(key: Uint8Array, nonce: Uint8Array, boxed: Uint8Array): Uint8Array | undefined;
  /** NaCl's crypto_onetimeauth (Poly1305): 16 bytes. A 32-byte key is for one message only. */
  onetimeauth(key: Uint8Array, data: Uint8Array): Uint8Array;
  /** `data` XOR the key stream of the original ChaCha20 from block 0. Key 32 bytes, nonce 8 (not RFC 8439's 12). */
  chacha20(key: Uint8Array, nonce: Uint8Array, data: Uint8Array): Uint8Array;
  /** XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03): the ciphertext, then the 16-byte tag. Key 32 bytes, nonce 24. */
  xchachaSeal(key: Uint8Array, nonce: Uint8Array, plain: Uint8Array, aad: Uint8Array): Uint8Array;
  /** What `xchachaSeal` sealed; `undefined` when `sealed` is too short, changed, or of another key, nonce or `aad`. */
  xchachaOpen(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array, aad: Uint8Array): Uint8Array | undefined;
  /** SipHash-2-4, 16-byte key, reference byte order (libsodium's crypto_shorthash): 8 bytes. */
  siphash(key: Uint8Array, data: Uint8Array): Uint8Array;
  /** `data` XOR AES-128 in counter mode (SP 800-38A): all 16 bytes of `iv` count up, big-endian. Key 16 bytes. Own inverse. */
  aes128ctr(key: Uint8Array, iv: Uint8Array, data: Uint8Array): Uint8Array;
  /** AES-256-GCM (SP 800-38D): the ciphertext, then the 16-byte tag. Key 32 bytes, IV 12, never twice with one key. */
  aes256gcmSeal(key: Uint8Array, iv: Uint8Array, plain: Uint8Array, aad: Uint8Array): Uint8Array;
  /** What `aes256gcmSeal` sealed; `undefined` when `sealed` is too short, changed, or of another key, IV or `aad`. */
  aes256gcmOpen(key: Uint8Array, iv: Uint8Array, sealed: Uint8Array, aad: Uint8Array): Uint8Array | undefined;
  /** The uncompressed P-256 key (65 bytes) of a 32-byte secret; `undefined` for 0 and for the order and above. */
  p256Key(secret: Uint8Array): Uint8Array | undefined;
  /** ECDH: the X of the common point, 32 bytes; `undefined` unless their key is 65 bytes, begins with 4 and is on the curve. */
  p256(secret: Uint8Array, key: Uint8Array): Uint8Array | undefined;
  /** The compressed secp160r1 key (SEC 2; 21 bytes) of a 20-byte secret; `undefined` for 0. */
  secp160r1Key(secret: Uint8Array): Uint8Array | undefined;
  /** ECDH: the X of the common point, 20 bytes; `undefined` unless their key is 21 bytes, begins with 2 or 3 and is on the curve. */
  secp160r1(secret: Uint8Array, key: Uint8Array): Uint8Array | undefined;
  /** RSA, where there is a library that does it in constant time. */
  readonly rsa?: Rsa;
  /** What is called for each packet once more, without an array for each result. For speed alone: may be absent. */
  readonly into?: IntoBackend;
  /** Whether `beforenm` takes less than 50 us or so. Then more strangers may ask for it (exchange.md §8). */
  readonly isFast?: true;
}

/**
 * RSA of 2048 bits. Public keys are DER as `isRsaKey` takes it, and nothing else may be given; pairs come from `generate`
 * or `keyPair`, and their objects are to be kept, since parsed keys hang on them.
 */
export interface Rsa {
  /** A fresh pair with the exponent 65537 and the library's own randomness. Key and secret are PKCS #1 DER. Takes 0.1 s. */
  generate(): KeyPair;
  /** The pair of a PKCS #1 or PKCS #8 secret, its key in PKCS #1; `undefined` when that is no sound key of 2048 bits. */
  keyPair(secret: Uint8Array): KeyPair | undefined;
  /** The bare public operation (RSAEP) on 256 bytes below the modulus: 256 bytes. Padding is the caller's. */
  encrypt(key: Uint8Array, block: Uint8Array): Uint8Array;
  /** RSAES-OAEP with SHA-1 and MGF1-SHA-1, no label (RFC 8017 7.1.2); `undefined` for whatever is no ciphertext. */
  decrypt(pair: KeyPair, ciphertext: Uint8Array): Uint8Array | undefined;
  /** RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 8.2): 256 bytes, the same each time. */
  sign(pair: KeyPair, data: Uint8Array): Uint8Array;
  /** Whether `sign` made this for `key`, a public key as in a pair. False for whatever is no key or no signature. */
  verify(key: Uint8Array, data: Uint8Array, signature: Uint8Array): boolean;
  /** SHA-1 (FIPS 180-4), 20 bytes: for padding alone, of which it takes 13. */
  sha1(data: Uint8Array): Uint8Array;
}

/**
 * As the functions of the same names, with the result in `out` (from `at`). Native libraries reach bytes only in arrays
 * that lie outside of the engine's heap, and an array there costs more than to hash what is in it. Keys of secretboxes and of
 * SipHash may be known again by their arrays: one of these must not be changed, and given again, in the same turn; and that of
 * `layers` never.
 */
export interface IntoBackend {
  /** 32 bytes, into the beginning of `out`. */
  sha256(out: Uint8Array, data: Uint8Array): void;
  /** 8 bytes, into the beginning of `out`. */
  siphash(out: Uint8Array, key: Uint8Array, data: Uint8Array): void;
  /** 16 bytes, into `out` from `at` on. */
  onetimeauth(out: Uint8Array, at: number, key: Uint8Array, data: Uint8Array): void;
  /**
   * Seals what stands in `bytes` from `at` to their end, in place. Before it stand its nonce, of 24 bytes, and room for its
   * tag, of 16. Nothing before that is a secret.
   */
  secretboxSeal(bytes: Uint8Array, at: number, key: Uint8Array): void;
  /**
   * Opens what `secretboxSeal` made, in place unless `out` is given: into that from `to` on (both or neither are). False:
   * nothing is changed.
   */
  secretboxOpen(bytes: Uint8Array, at: number, key: Uint8Array, out?: Uint8Array, to?: number): boolean;
  /**
   * ChaCha20 in layers, for cloaks: a nonce of 8 bytes stands in front of what it encrypts, and again a nonce in front of
   * both, and so on. protocol/cloaking.md §1, §2
   */
  readonly layers: {
    /** Encrypts what stands in `bytes` from `at` on, once for each 8 bytes before `at`, which hold the nonces. */
    seal(bytes: Uint8Array, at: number, key: Uint8Array): void;
    /**
     * Undoes layers, at least one and at most `most`, until what is under them begins with a zero byte, and gives where in
     * `bytes` that stands; -1 when there is none or the bytes end before. They are overwritten.
     */
    open(bytes: Uint8Array, most: number, key: Uint8Array): number;
  };
}
