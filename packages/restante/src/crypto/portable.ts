/** The backend that runs everywhere: @noble for the ciphers and curves, our own SipHash. Native ones are 10-40 times faster. */

import { poly1305 } from "@noble/ciphers/_poly1305.js";
import { ctr, gcm } from "@noble/ciphers/aes.js";
import { chacha20orig, xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { hsalsa, xsalsa20poly1305 } from "@noble/ciphers/salsa.js";
import { ecdh, weierstrass } from "@noble/curves/abstract/weierstrass.js";
import { x25519 } from "@noble/curves/ed25519.js";
import { p256 } from "@noble/curves/nist.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concat, siphash, utf8 } from "../bytes/index.ts";
import type { Backend } from "./backend.ts";

/** The primitives in JavaScript alone. */
export const portable: Backend = {
  name: "portable",
  sha256: (data) => sha256(data),
  hmac: (key, data) => hmac(sha256, key, data),
  hkdf: (ikm, salt, info, length) => hkdf(sha256, ikm, salt, info, length),
  x25519Key: (secret) => x25519.getPublicKey(secret),
  beforenm(secret, key) {
    // noble throws when the result would be all zeros: their key is of low order (RFC 7748 §6.1).
    const point = unlessThrown(() => x25519.getSharedSecret(secret, key));
    return point && hsalsa20(point);
  },
  secretboxSeal: (key, nonce, plain) => xsalsa20poly1305(key, nonce).encrypt(plain),
  secretboxOpen: (key, nonce, boxed) => unlessThrown(() => xsalsa20poly1305(key, nonce).decrypt(boxed)),
  onetimeauth: (key, data) => poly1305(data, key),
  chacha20: (key, nonce, data) => chacha20orig(key, nonce, data),
  xchachaSeal: (key, nonce, plain, aad) => xchacha20poly1305(key, nonce, aad).encrypt(plain),
  xchachaOpen: (key, nonce, sealed, aad) => unlessThrown(() => xchacha20poly1305(key, nonce, aad).decrypt(sealed)),
  siphash,
  aes128ctr: (key, iv, data) => ctr(key, iv).encrypt(data),
  aes256gcmSeal: (key, iv, plain, aad) => gcm(key, iv, aad).encrypt(plain),
  aes256gcmOpen: (key, iv, sealed, aad) => unlessThrown(() => gcm(key, iv, aad).decrypt(sealed)),
  p256Key: (secret) => unlessThrown(() => p256.getPublicKey(secret, false)),
  p256(secret, key) {
    if (key.length !== 65 || key[0] !== 4) return undefined; // noble would take compressed ones, too
    return unlessThrown(() => p256.getSharedSecret(secret, key).slice(1));
  },
  secp160r1Key: (secret) => unlessThrown(() => secp160r1.getPublicKey(concat(ZERO, secret))),
  secp160r1(secret, key) {
    if (key.length !== 21) return undefined;
    return unlessThrown(() => secp160r1.getSharedSecret(concat(ZERO, secret), key).slice(1));
  },
};

/**
 * HSalsa20 of a 32-byte point under a nonce of zeros: 32 bytes, the last step of crypto_box_beforenm. For backends
 * whose library has X25519 but not this step (sodium-native).
 */
export function hsalsa20(point: Uint8Array): Uint8Array {
  const words = new Uint32Array(8);
  const bytes = new Uint8Array(words.buffer);
  const key = new Uint32Array(8);
  new Uint8Array(key.buffer).set(point); // a copy, since noble wants words, and `point` may stand at any offset
  hsalsa(SIGMA, key, NO_NONCE, words);
  return bytes;
}

/** noble refuses by throwing; what peers sent must come back as `undefined`. */
function unlessThrown(open: () => Uint8Array): Uint8Array | undefined {
  try {
    return open();
  } catch {
    return undefined;
  }
}

// SEC 2 version 1.0, 2.4.2. Its order has 161 bits, hence secrets of 21 bytes; ours are below 2^160.
const secp160r1 = ecdh(
  weierstrass({
    p: 2n ** 160n - 2n ** 31n - 1n,
    n: 0x0100000000000000000001f4c8f927aed3ca752257n,
    h: 1n,
    a: 2n ** 160n - 2n ** 31n - 4n,
    b: 0x1c97befc54bd7a8b65acf89f81d4d4adc565fa45n,
    Gx: 0x4a96b5688ef573284664698968c38bb913cbfc82n,
    Gy: 0x23a628553168947d59dcc912042351377ac5fb32n,
  }),
);
const ZERO = new Uint8Array(1);
// The constant of Salsa20 with a 32-byte key (Bernstein, "The Salsa20 family of stream ciphers").
const SIGMA = new Uint32Array(utf8("expand 32-byte k").buffer);
const NO_NONCE = new Uint32Array(4);
