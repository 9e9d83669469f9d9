/**
 * The primitives that cipher sets and hashnames are made of, passed in so that the same code runs on JavaScript alone
 * (`portable`) and on native libraries. `backendSuite` in `restante/testing` says what every backend must do.
 */

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
}
