/**
 * The native backend: libsodium through `sodium-native`, which is optional, and OpenSSL where that is faster (SHA-256: 0.35
 * us against 1.0 us for 256 bytes) or alone in having it. 10 to 40 times the speed of `portable`.
 */
import { createRequire } from "node:module";
import { assert, type Backend, concat } from "restante/protocol";
import { openssl, sha256Into } from "./openssl.ts";
import { CHACHA_STATE_BYTES, type SodiumBinding, type SodiumPrimitives, sodiumHot } from "./sodium.ts";

/** The native backend; `undefined` when sodium-native is not installed or has no binary for this machine. */
export async function loadNative(): Promise<Backend | undefined> {
  // The name in a variable: the compiler must neither look for types (there are none) nor insist on the package.
  const name = "sodium-native";
  try {
    const loaded: { default: Sodium } = await import(name);
    return native(loaded.default, sodiumBinding());
  } catch {
    return undefined;
  }
}

/** What sodium-native calls. `undefined` of any version but the one whose binding we know. */
export function sodiumBinding(): SodiumBinding | undefined {
  const load = createRequire(import.meta.url);
  try {
    const { version }: { version: string } = load("sodium-native/package.json");
    if (version !== KNOWN_BINDING) return undefined;
    const binding: SodiumBinding & { crypto_stream_chacha20_xor_STATEBYTES: number } = load("sodium-native/binding.js");
    // As the machines that we know lay it out.
    return binding.crypto_stream_chacha20_xor_STATEBYTES === CHACHA_STATE_BYTES ? binding : undefined;
  } catch {
    return undefined;
  }
}

function native(sodium: Sodium, binding: SodiumBinding | undefined): Backend {
  const hot = sodiumHot(sodium, binding);
  return {
    name: "sodium-native",
    isFast: true,

    ...openssl,

    x25519Key: hot.x25519Key,
    beforenm: hot.beforenm,
    siphash(key, data) {
      const id = new Uint8Array(ID_BYTES);
      hot.siphash(id, key.slice(), data);
      return id;
    },

    secretboxSeal(key, nonce, plain) {
      const bytes = concat(exactly(nonce), new Uint8Array(TAG_BYTES), plain);
      hot.secretboxSeal(bytes, NONCE_BYTES + TAG_BYTES, key.slice()); // a key that is known again may not be changed
      return bytes.slice(NONCE_BYTES);
    },
    secretboxOpen(key, nonce, boxed) {
      if (boxed.length < TAG_BYTES) return undefined;
      const plain = new Uint8Array(boxed.length - TAG_BYTES);
      const bytes = concat(exactly(nonce), boxed);
      return hot.secretboxOpen(bytes, NONCE_BYTES + TAG_BYTES, key.slice(), plain, 0) ? plain : undefined;
    },

    onetimeauth(key, data) {
      const tag = new Uint8Array(TAG_BYTES);
      hot.onetimeauth(tag, 0, key, data);
      return tag;
    },
    chacha20(key, nonce, data) {
      const result = new Uint8Array(data.length);
      hot.chacha20(result, key, nonce, data);
      return result;
    },

    xchachaSeal(key, nonce, plain, aad) {
      const sealed = new Uint8Array(plain.length + TAG_BYTES);
      sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, plain, aad, null, nonce, key);
      return sealed;
    },
    xchachaOpen(key, nonce, sealed, aad) {
      if (sealed.length < TAG_BYTES) return undefined;
      const plain = new Uint8Array(sealed.length - TAG_BYTES);
      try {
        sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(plain, null, sealed, aad, nonce, key);
      } catch {
        return undefined; // a wrong tag is thrown here, unlike in secretbox
      }
      return plain;
    },

    into: {
      sha256: sha256Into,
      siphash: hot.siphash,
      onetimeauth: hot.onetimeauth,
      secretboxSeal: hot.secretboxSeal,
      secretboxOpen: hot.secretboxOpen,
      layers: hot.layers,
    },
  };
}

/** The nonce of a secretbox, which must have its length. */
function exactly(nonce: Uint8Array): Uint8Array {
  assert(nonce.length === NONCE_BYTES, "a nonce has 24 bytes");
  return nonce;
}

/** What we use of sodium-native 5. Results go into the first argument; wrong lengths and failures are thrown. */
interface Sodium extends SodiumPrimitives {
  crypto_aead_xchacha20poly1305_ietf_encrypt(
    sealed: Uint8Array,
    plain: Uint8Array,
    aad: Uint8Array,
    secretNonce: null,
    nonce: Uint8Array,
    key: Uint8Array,
  ): void;
  crypto_aead_xchacha20poly1305_ietf_decrypt(
    plain: Uint8Array,
    secretNonce: null,
    sealed: Uint8Array,
    aad: Uint8Array,
    nonce: Uint8Array,
    key: Uint8Array,
  ): void;
}

const NONCE_BYTES = 24; // of a secretbox
const TAG_BYTES = 16;
const ID_BYTES = 8; // of SipHash
const KNOWN_BINDING = "5.1.0";
