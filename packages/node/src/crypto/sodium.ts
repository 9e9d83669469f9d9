/**
 * What libsodium does for each packet and each exchange, as fast as `sodium-native` 5 can be called. Two things cost more
 * than the cryptography, and are avoided here:
 * - An array of at most 64 bytes lies in the engine's own heap. Before native code can reach it, it is moved out of there,
 *   which takes 400 ns. So everything is copied (10 to 30 ns) to one desk, of which the same views serve every call.
 * - Salsa20 and ChaCha20 take four blocks in the time of one, but the last bytes of each text one by one. So on the desk
 *   texts are filled up: a secretbox of 256 bytes takes 0.7 us instead of 1.1, one of 1300 bytes 1.2 instead of 1.7.
 * The desk is wiped after each call: neither keys nor plain texts stay there.
 */

import { assert, type Backend } from "restante/protocol";

/** What we use here of sodium-native. Results go into the first argument; wrong lengths and failures are thrown. */
export interface SodiumPrimitives {
  crypto_scalarmult_base(key: Uint8Array, secret: Uint8Array): void;
  crypto_scalarmult(point: Uint8Array, secret: Uint8Array, key: Uint8Array): void;
  crypto_stream_salsa20(stream: Uint8Array, nonce: Uint8Array, key: Uint8Array): void;
  crypto_stream_xor(result: Uint8Array, data: Uint8Array, nonce: Uint8Array, key: Uint8Array): void;
  crypto_stream_chacha20_xor(result: Uint8Array, data: Uint8Array, nonce: Uint8Array, key: Uint8Array): void;
  crypto_onetimeauth(tag: Uint8Array, data: Uint8Array, key: Uint8Array): void;
  crypto_onetimeauth_verify(tag: Uint8Array, data: Uint8Array, key: Uint8Array): boolean;
  crypto_shorthash(id: Uint8Array, data: Uint8Array, key: Uint8Array): void;
  crypto_secretbox_easy(boxed: Uint8Array, plain: Uint8Array, nonce: Uint8Array, key: Uint8Array): void;
  crypto_secretbox_open_easy(plain: Uint8Array, boxed: Uint8Array, nonce: Uint8Array, key: Uint8Array): boolean;
}

/** Functions of `Backend` and `IntoBackend`. */
export interface SodiumHot {
  x25519Key(secret: Uint8Array): Uint8Array;
  beforenm(secret: Uint8Array, key: Uint8Array): Uint8Array | undefined;
  siphash(key: Uint8Array, data: Uint8Array): Uint8Array;
  secretboxSeal(out: Uint8Array, at: number, key: Uint8Array, nonce: Uint8Array, plain: Uint8Array): void;
  secretboxOpen(
    out: Uint8Array,
    at: number,
    key: Uint8Array,
    nonce: Uint8Array,
    boxed: Uint8Array,
    from?: number,
  ): boolean;
  onetimeauth(out: Uint8Array, at: number, key: Uint8Array, data: Uint8Array): void;
  chacha20(out: Uint8Array, key: Uint8Array, nonce: Uint8Array, data: Uint8Array): void;
  readonly layers: NonNullable<Backend["into"]>["layers"];
}

export function sodiumHot(sodium: SodiumPrimitives): SodiumHot {
  // To look one up among all that the library has costs a tenth of calling it.
  const {
    crypto_scalarmult_base,
    crypto_scalarmult,
    crypto_stream_salsa20,
    crypto_stream_xor,
    crypto_stream_chacha20_xor,
    crypto_onetimeauth,
    crypto_onetimeauth_verify,
    crypto_shorthash,
    crypto_secretbox_easy,
    crypto_secretbox_open_easy,
  } = sodium;
  const memory = new Uint8Array(FRONT_BYTES + 2 * TEXT_BYTES + SMALL_BYTES);
  const desk = memory.subarray(FRONT_BYTES);
  let at = 0;
  const piece = (length: number): Uint8Array => {
    at += length;
    return desk.subarray(at - length, at);
  };
  const [text, result] = [piece(TEXT_BYTES), piece(TEXT_BYTES)];
  const [key, point, block] = [piece(32), piece(32), piece(64)];
  const [nonce24, nonce8, tag, key16, hash8] = [piece(24), piece(8), piece(16), piece(16), piece(8)];
  const [textStart, resultStart] = [text.subarray(0, KEY_BYTES), result.subarray(0, KEY_BYTES)];
  const steps = (area: Uint8Array): Uint8Array[] =>
    Array.from({ length: TEXT_BYTES / STEP_BYTES + 1 }, (_, i) => area.subarray(0, i * STEP_BYTES));
  const [texts, results] = [steps(text), steps(result)];
  const views = (): (Uint8Array | undefined)[] => new Array(TEXT_BYTES).fill(undefined);
  const [exactTexts, exactResults] = [views(), views()];
  /** What stands in `area` behind the first 32 bytes, as a view that is made once. */
  const exact = (known: (Uint8Array | undefined)[], area: Uint8Array, length: number): Uint8Array => {
    let view = known[length];
    if (view === undefined) {
      view = area.subarray(KEY_BYTES, KEY_BYTES + length);
      known[length] = view;
    }
    return view;
  };
  const nonces = Array.from({ length: TEXT_BYTES / NONCE_BYTES }, (_, i) => desk.subarray(8 * i, 8 * i + NONCE_BYTES));
  const layers = Array.from({ length: TEXT_BYTES / NONCE_BYTES }, (): (Uint8Array | undefined)[] => []);
  const lay = (bytes: Uint8Array, secret: Uint8Array): void => {
    put(key, secret);
    desk.set(bytes);
  };
  /** What lies on the desk from `at` on goes back to its place in `bytes`, and the desk is wiped. */
  const take = (bytes: Uint8Array, at: number): void => {
    bytes.set(desk.subarray(at, bytes.length), at);
    desk.fill(0, 0, bytes.length + STEP_BYTES);
    wipe();
  };
  /** Encrypts what lies on the desk from `at`, a multiple of 8, to `end` under the nonce before it. What is behind is rubbish. */
  const layer = (at: number, end: number): void => {
    const i = at / NONCE_BYTES;
    const steps = Math.ceil((end - at) / STEP_BYTES);
    const views = layers[i] ?? [];
    const data = views[steps] ?? desk.subarray(at, at + steps * STEP_BYTES);
    views[steps] = data;
    crypto_stream_chacha20_xor(data, data, nonces[i - 1] ?? nonce8, key);
  };
  /** So much of the area, filled up to whole steps. */
  const filled = (steps: readonly Uint8Array[], area: Uint8Array, length: number): Uint8Array =>
    steps[Math.ceil(length / STEP_BYTES)] ?? area;
  /** Puts a key or the like in its place, which it must fill. */
  const put = (place: Uint8Array, bytes: Uint8Array): void => {
    assert(bytes.length === place.length, "a key, nonce or secret has its right length");
    place.set(bytes);
  };
  const wipe = (): void => {
    desk.fill(0, 2 * TEXT_BYTES);
  };

  /** The same where it stands, for texts that the desk has no room for. */
  const longLayer = (bytes: Uint8Array, at: number, secret: Uint8Array): void => {
    const data = bytes.subarray(at);
    crypto_stream_chacha20_xor(data, data, bytes.slice(at - NONCE_BYTES, at), secret);
  };

  return {
    x25519Key(secret) {
      put(key, secret);
      crypto_scalarmult_base(point, key);
      const ours = copy(point);
      wipe();
      return ours;
    },

    beforenm(secret, theirs) {
      put(key, secret);
      put(point, theirs);
      try {
        crypto_scalarmult(key, key, point);
      } catch {
        wipe();
        return undefined; // libsodium refuses points of low order
      }
      // HSalsa20, which sodium-native has not, is Salsa20, which it has, less the words that the state began with: under a
      // nonce of zeros the constants, and zeros. Bernstein, "Extending the Salsa20 nonce" §2
      crypto_stream_salsa20(block, nonce8, key);
      const shared = new Uint8Array(KEY_BYTES);
      for (let i = 0; i < 4; i++) {
        const word = readWord(block, 20 * i) - (SIGMA[i] ?? 0); // the words 0, 5, 10, 15
        for (let j = 0; j < 4; j++) shared[4 * i + j] = word >>> (8 * j);
      }
      for (let i = 0; i < 16; i++) shared[16 + i] = block[24 + i] ?? 0; // the words 6 to 9
      wipe();
      return shared;
    },

    siphash(secret, data) {
      put(key16, secret);
      crypto_shorthash(hash8, data, key16);
      const id = copy(hash8);
      for (let i = 0; i < key16.length; i++) key16[i] = 0; // all that was left on the desk
      for (let i = 0; i < hash8.length; i++) hash8[i] = 0;
      return id;
    },

    secretboxSeal(out, at, secret, nonce, plain) {
      const end = KEY_BYTES + plain.length;
      if (end > TEXT_BYTES) {
        crypto_secretbox_easy(out.subarray(at, at + TAG_BYTES + plain.length), plain, nonce, secret);
        return;
      }
      const whole = filled(texts, text, end);
      put(key, secret);
      put(nonce24, nonce);
      text.set(plain, KEY_BYTES);
      // The first 32 bytes of the key stream are the key of Poly1305, and what follows is for the text.
      crypto_stream_xor(whole, whole, nonce24, key);
      const sealed = exact(exactTexts, text, plain.length);
      crypto_onetimeauth(tag, sealed, textStart);
      out.set(tag, at);
      out.set(sealed, at + TAG_BYTES);
      whole.fill(0);
      wipe();
    },

    secretboxOpen(out, at, secret, nonce, boxed, start = 0) {
      const end = KEY_BYTES + boxed.length - start - TAG_BYTES;
      if (end < KEY_BYTES) return false;
      if (end > TEXT_BYTES || start > FRONT_BYTES) {
        const plain = out.subarray(at, at + end - KEY_BYTES);
        return crypto_secretbox_open_easy(plain, boxed.subarray(start), nonce, secret);
      }
      const from = filled(texts, text, end);
      const to = filled(results, result, end);
      put(key, secret);
      put(nonce24, nonce);
      // What stands before it is copied with it, which costs less than a view that begins where it begins.
      memory.set(boxed, FRONT_BYTES + KEY_BYTES - TAG_BYTES - start);
      for (let i = 0; i < TAG_BYTES; i++) {
        tag[i] = text[TAG_BYTES + i] ?? 0;
        text[i] = 0;
        text[TAG_BYTES + i] = 0;
      }
      crypto_stream_xor(to, from, nonce24, key);
      const length = end - KEY_BYTES;
      const isWhole = crypto_onetimeauth_verify(tag, exact(exactTexts, text, length), resultStart);
      if (isWhole) out.set(exact(exactResults, result, length), at);
      from.fill(0);
      to.fill(0);
      wipe();
      return isWhole;
    },

    onetimeauth(out, at, secret, data) {
      const { length } = data;
      if (KEY_BYTES + length > TEXT_BYTES) {
        crypto_onetimeauth(out.subarray(at, at + TAG_BYTES), data, secret);
        return;
      }
      put(key, secret);
      text.set(data, KEY_BYTES);
      const all = exact(exactTexts, text, length);
      crypto_onetimeauth(tag, all, key);
      out.set(tag, at);
      all.fill(0);
      wipe();
    },

    chacha20(out, secret, nonce, data) {
      const { length } = data;
      if (length > TEXT_BYTES) return crypto_stream_chacha20_xor(out, data, nonce, secret);
      const whole = filled(texts, text, length);
      put(key, secret);
      put(nonce8, nonce);
      text.set(data);
      crypto_stream_chacha20_xor(whole, whole, nonce8, key);
      out.set(text.subarray(0, length));
      whole.fill(0);
      wipe();
    },

    layers: {
      seal(bytes, start, secret) {
        const { length } = bytes;
        const isShort = length <= TEXT_BYTES;
        if (isShort) lay(bytes, secret);
        for (let at = start; at > 0; at -= NONCE_BYTES) isShort ? layer(at, length) : longLayer(bytes, at, secret);
        if (isShort) take(bytes, 0);
      },

      open(bytes, most, secret) {
        const { length } = bytes;
        const isShort = length <= TEXT_BYTES;
        if (isShort) lay(bytes, secret);
        const area = isShort ? desk : bytes;
        let found = -1;
        for (let at = NONCE_BYTES; found < 0 && at < length && at <= most * NONCE_BYTES; at += NONCE_BYTES) {
          isShort ? layer(at, length) : longLayer(bytes, at, secret);
          if (area[at] === 0) found = at;
        }
        if (isShort) take(bytes, Math.max(found, 0));
        return found;
      },
    },
  };
}

function copy(bytes: Uint8Array): Uint8Array {
  const fresh = new Uint8Array(bytes.length);
  fresh.set(bytes);
  return fresh;
}

/** Four bytes, little-endian. */
function readWord(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
}

const KEY_BYTES = 32;
const TAG_BYTES = 16;
const NONCE_BYTES = 8; // of the original ChaCha20
const STEP_BYTES = 256; // four blocks
const TEXT_BYTES = 2048; // a packet of any kind; longer texts gain little
const FRONT_BYTES = 64; // before the text: a secretbox is copied with what stands before it, the head of a channel packet say
const SMALL_BYTES = 200; // keys, nonces and the like
const SIGMA = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574]; // "expand 32-byte k"
