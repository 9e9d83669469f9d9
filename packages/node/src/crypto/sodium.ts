/**
 * What libsodium does for each packet and each exchange, as fast as `sodium-native` 5 can be called. Two things cost more
 * than the cryptography, and are avoided here:
 * - An array of at most 64 bytes lies in the engine's own heap. Before native code can reach it, it is moved out of there,
 *   which takes 400 ns. So everything is copied (10 to 30 ns) to one desk, of which the same views serve every call.
 * - Salsa20 and ChaCha20 take four blocks in the time of one, but the last bytes of each text one by one. So on the desk
 *   texts are filled up: a secretbox of 256 bytes takes 0.7 us instead of 1.1, one of 1300 bytes 1.2 instead of 1.7.
 * The desk is wiped after each call: neither keys nor plain texts stay there. What the world may see anyway is left: cipher
 * texts, and all of a cloak, whose key is public.
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

/**
 * The same functions below the checks of sodium-native, which look lengths up among 300 names: a third of a call. They cannot
 * fail, and here get views of the desk alone, whose lengths are right. Wrong ones would end the process, and touch nothing.
 */
export interface SodiumBinding
  extends Pick<
    SodiumPrimitives,
    "crypto_stream_chacha20_xor" | "crypto_onetimeauth" | "crypto_onetimeauth_verify" | "crypto_shorthash"
  > {
  /** Result, data, nonce and key: each as its memory, where it begins there, and its length. */
  crypto_stream_xor(...args: [...Place, ...Place, ...Place, ...Place]): void;
}
type Place = [memory: ArrayBufferLike, at: number, length: number];

/** Functions of `Backend` and `IntoBackend`. */
export interface SodiumHot {
  x25519Key(secret: Uint8Array): Uint8Array;
  beforenm(secret: Uint8Array, key: Uint8Array): Uint8Array | undefined;
  siphash(out: Uint8Array, key: Uint8Array, data: Uint8Array): void;
  secretboxSeal(
    out: Uint8Array,
    at: number,
    key: Uint8Array,
    nonce: Uint8Array,
    plain: Uint8Array,
    from?: number,
  ): void;
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

/** `binding`: where it is known to be that of this interface. */
export function sodiumHot(sodium: SodiumPrimitives, binding: SodiumBinding = checked(sodium)): SodiumHot {
  // To look one up among all that the library has costs a tenth of calling it.
  const {
    crypto_scalarmult_base,
    crypto_scalarmult,
    crypto_stream_salsa20,
    crypto_stream_chacha20_xor,
    crypto_onetimeauth,
    crypto_secretbox_easy,
    crypto_secretbox_open_easy,
  } = sodium;
  const onDesk: SodiumBinding = {
    crypto_stream_xor: binding.crypto_stream_xor,
    crypto_stream_chacha20_xor: binding.crypto_stream_chacha20_xor,
    crypto_onetimeauth: binding.crypto_onetimeauth,
    crypto_onetimeauth_verify: binding.crypto_onetimeauth_verify,
    crypto_shorthash: binding.crypto_shorthash,
  };
  const memory = new Uint8Array(FRONT_BYTES + 2 * TEXT_BYTES + SMALL_BYTES);
  const desk = memory.subarray(FRONT_BYTES);
  const veil = new Uint8Array(TEXT_BYTES + KEY_BYTES); // packets under a cloak, and its key
  const veilKey = veil.subarray(TEXT_BYTES);
  let at = 0;
  const piece = (length: number): Uint8Array => {
    at += length;
    return desk.subarray(at - length, at);
  };
  // The first 32 bytes of `text` are zeros between calls. What is small lies before `result`, to be wiped with it.
  const text = piece(TEXT_BYTES);
  const [key, point, block] = [piece(32), piece(32), piece(64)];
  const [nonce24, nonce8, tag, key16, hash8] = [piece(24), piece(8), piece(16), piece(16), piece(8)];
  const result = piece(TEXT_BYTES);
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
  const nonces = Array.from({ length: TEXT_BYTES / NONCE_BYTES }, (_, i) => veil.subarray(8 * i, 8 * i + NONCE_BYTES));
  const layers = Array.from({ length: TEXT_BYTES / NONCE_BYTES }, (): (Uint8Array | undefined)[] => []);
  /** What lies there from 0, 8, 16, ... to each length: of the rounds that we draw ourselves, with one view made once. */
  const taken: ((Uint8Array | undefined)[] | undefined)[] = [];
  for (let rounds = 0; rounds <= USUAL_ROUNDS; rounds++) taken[NONCE_BYTES * rounds] = new Array(TEXT_BYTES + 1);
  const lay = (bytes: Uint8Array, secret: Uint8Array): void => {
    put(veilKey, secret);
    veil.set(bytes);
  };
  /** What lies there from `at` on goes back to its place in `bytes`. */
  const take = (bytes: Uint8Array, at: number): void => {
    const { length } = bytes;
    const views = taken[at];
    const view = views?.[length] ?? veil.subarray(at, length);
    if (views !== undefined) views[length] = view;
    bytes.set(view, at);
  };
  /** Encrypts what lies there from `at`, a multiple of 8, to `end` under the nonce before it. What is behind is rubbish. */
  const layer = (at: number, end: number): void => {
    const i = at / NONCE_BYTES;
    const steps = Math.ceil((end - at) / STEP_BYTES);
    const views = layers[i] ?? [];
    const data = views[steps] ?? veil.subarray(at, Math.min(at + steps * STEP_BYTES, TEXT_BYTES));
    views[steps] = data;
    onDesk.crypto_stream_chacha20_xor(data, data, nonces[i - 1] ?? nonce8, veilKey);
  };
  const [{ buffer }, keyAt, nonceAt] = [memory, key.byteOffset, nonce24.byteOffset];
  /** XSalsa20 of so many bytes that lie in one area, into the other or the same. */
  const stream = (to: Uint8Array, from: Uint8Array): void => {
    const { length } = to;
    const [toAt, fromAt] = [to.byteOffset, from.byteOffset];
    onDesk.crypto_stream_xor(
      buffer,
      toAt,
      length,
      buffer,
      fromAt,
      length,
      buffer,
      nonceAt,
      24,
      buffer,
      keyAt,
      KEY_BYTES,
    );
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
    desk.fill(0, TEXT_BYTES, TEXT_BYTES + SMALL_BYTES);
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

    siphash(out, secret, data) {
      put(key16, secret);
      onDesk.crypto_shorthash(hash8, data, key16);
      for (let i = 0; i < hash8.length; i++) {
        out[i] = hash8[i] ?? 0;
        hash8[i] = 0;
      }
      for (let i = 0; i < key16.length; i++) key16[i] = 0; // all that was left on the desk
    },

    secretboxSeal(out, at, secret, nonce, plain, start = 0) {
      const length = plain.length - start;
      const end = KEY_BYTES + length;
      if (end > TEXT_BYTES || start > FRONT_BYTES) {
        crypto_secretbox_easy(out.subarray(at, at + TAG_BYTES + length), plain.subarray(start), nonce, secret);
        return;
      }
      const whole = filled(texts, text, end);
      put(key, secret);
      put(nonce24, nonce);
      memory.set(plain, FRONT_BYTES + KEY_BYTES - start); // as below
      if (start > 0) for (let i = 0; i < KEY_BYTES; i++) text[i] = 0;
      // The first 32 bytes of the key stream are the key of Poly1305, and what follows is for the text.
      stream(whole, whole);
      const sealed = exact(exactTexts, text, length);
      onDesk.crypto_onetimeauth(tag, sealed, textStart);
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
      stream(to, from);
      const length = end - KEY_BYTES;
      const isWhole = onDesk.crypto_onetimeauth_verify(tag, exact(exactTexts, text, length), resultStart);
      if (isWhole) out.set(exact(exactResults, result, length), at);
      desk.fill(0, TEXT_BYTES, TEXT_BYTES + SMALL_BYTES + to.length);
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
      onDesk.crypto_onetimeauth(tag, all, key);
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
      onDesk.crypto_stream_chacha20_xor(whole, whole, nonce8, key);
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
        const area = isShort ? veil : bytes;
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

/** As the binding has them, with the checks. */
function checked(sodium: SodiumPrimitives): SodiumBinding {
  return {
    ...sodium,
    crypto_stream_xor(...[to, toAt, toSize, from, fromAt, fromSize, nonce, nonceAt, nonceSize, key, keyAt, keySize]) {
      sodium.crypto_stream_xor(
        new Uint8Array(to, toAt, toSize),
        new Uint8Array(from, fromAt, fromSize),
        new Uint8Array(nonce, nonceAt, nonceSize),
        new Uint8Array(key, keyAt, keySize),
      );
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
const USUAL_ROUNDS = 4; // protocol/cloaking.md §2
const STEP_BYTES = 256; // four blocks
const TEXT_BYTES = 2048; // a packet of any kind; longer texts gain little
const FRONT_BYTES = 128; // before the text: a secretbox is copied with what stands before it, the head of a channel packet say
const SMALL_BYTES = 200; // keys, nonces and the like
const SIGMA = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574]; // "expand 32-byte k"
