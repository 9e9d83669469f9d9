/**
 * What libsodium does for each packet and each exchange, as fast as `sodium-native` 5 can be called. Two things cost more
 * than the cryptography, and are avoided here:
 * - An array of at most 64 bytes lies in the engine's own heap. Before native code can reach it, it is moved out of there,
 *   which takes 400 ns. So everything is copied (10 to 30 ns) to one desk, of which the same views serve every call.
 * - Salsa20 and ChaCha20 take four blocks in the time of one, but the last bytes of each text one by one. So on the desk
 *   texts are filled up: a secretbox of 256 bytes takes 0.7 us instead of 1.1, one of 1300 bytes 1.2 instead of 1.7.
 * The desk is wiped before the turn of the event loop ends: neither keys nor plain texts stay there. What the world may see
 * anyway is left: all of a cloak, whose key is public.
 */

import { assert, type Backend, place } from "restante/protocol";

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
  extends Pick<SodiumPrimitives, "crypto_onetimeauth" | "crypto_onetimeauth_verify" | "crypto_shorthash"> {
  /** Result, data, nonce and key: each as its memory, where it begins there, and its length. */
  crypto_stream_xor(...args: [...Place, ...Place, ...Place, ...Place]): void;
  /**
   * ChaCha20 of whole blocks, with a third less around it than the function for one text has. `state`: the nonce, the key, 64 bytes of
   * no meaning here, two numbers of 64 bits: 0, and how many blocks were used so far, to which it adds.
   */
  crypto_stream_chacha20_xor_update(state: Uint8Array, result: Uint8Array, data: Uint8Array): void;
}
type Place = [memory: ArrayBufferLike, at: number, length: number];

/** Functions of `Backend` and `IntoBackend`. */
export interface SodiumHot {
  x25519Key(secret: Uint8Array): Uint8Array;
  beforenm(secret: Uint8Array, key: Uint8Array): Uint8Array | undefined;
  siphash(out: Uint8Array, key: Uint8Array, data: Uint8Array): void;
  secretboxSeal(bytes: Uint8Array, at: number, key: Uint8Array): void;
  secretboxOpen(bytes: Uint8Array, at: number, key: Uint8Array, out?: Uint8Array, to?: number): boolean;
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
    crypto_stream_chacha20_xor_update: binding.crypto_stream_chacha20_xor_update,
    crypto_onetimeauth: binding.crypto_onetimeauth,
    crypto_onetimeauth_verify: binding.crypto_onetimeauth_verify,
    crypto_shorthash: binding.crypto_shorthash,
  };
  const memory = new Uint8Array(SMALL_BYTES + FRONT_BYTES + 2 * TEXT_BYTES);
  const { buffer } = memory;
  const words = new Uint32Array(buffer);
  let used = 0;
  const piece = (length: number): Uint8Array => {
    used += length;
    return memory.subarray(used - length, used);
  };
  const [key, boxKey, polyKey, point, block] = [piece(32), piece(32), piece(32), piece(32), piece(64)];
  const [nonce8, zeros8, tag, key16, hash8] = [piece(8), piece(8), piece(16), piece(16), piece(8)];
  const [, text, result] = [piece(FRONT_BYTES), piece(TEXT_BYTES), piece(TEXT_BYTES)];
  // In `text` and `result` 32 bytes for the key of Poly1305 stand before the text itself, and the tag at their end.
  const [textAt, resultAt, boxKeyAt] = [text.byteOffset, result.byteOffset, boxKey.byteOffset];
  const boxAt = KEY_BYTES - TAG_BYTES;
  const nonceAt = textAt + KEY_BYTES - BOX_FRONT_BYTES;
  const [textWord, resultWord, polyKeyWord] = [textAt / 4, resultAt / 4, polyKey.byteOffset / 4];
  const [textTag, resultTag] = [text.subarray(boxAt, KEY_BYTES), result.subarray(boxAt, KEY_BYTES)];
  const [texts, results, boxes] = [views(text, KEY_BYTES), views(result, KEY_BYTES), views(result, boxAt)];
  const wholeTexts = Array.from({ length: TEXT_BYTES / STEP_BYTES + 1 }, (_, i) => text.subarray(0, i * STEP_BYTES));

  const veil = new Uint8Array(VEIL_BYTES + CHACHA_STATE_BYTES); // packets under a cloak, and the state of their cipher
  const veilWords = new Uint32Array(veil.buffer);
  const veilState = veil.subarray(VEIL_BYTES);
  const [stateWord, blocksWord] = [VEIL_BYTES / 4, (VEIL_BYTES + CHACHA_STATE_BYTES) / 4 - 2];
  const veilKey = veilState.subarray(NONCE_BYTES, NONCE_BYTES + KEY_BYTES);
  let laidVeilKey: Uint8Array | undefined;
  const layers = Array.from({ length: TEXT_BYTES / NONCE_BYTES }, (): (Uint8Array | undefined)[] => []);
  /** Of what lies there from 0, 8, 16, ... on: under the rounds that we draw ourselves. */
  const taken = Array.from({ length: USUAL_ROUNDS + 1 }, (_, i) => views(veil, NONCE_BYTES * i));
  const lay = (bytes: Uint8Array, secret: Uint8Array): void => {
    if (secret !== laidVeilKey) put(veilKey, secret);
    laidVeilKey = secret;
    place(veil, bytes, 0);
  };
  /** What lies there from `at` on goes back to its place in `bytes`. */
  const take = (bytes: Uint8Array, at: number): void => {
    const { length } = bytes;
    place(bytes, taken[at / NONCE_BYTES]?.(length - at) ?? veil.subarray(at, length), at);
  };
  /** Encrypts what lies there from `at`, a multiple of 8, to `end` under the nonce before it. What is behind is rubbish. */
  const layer = (at: number, end: number): void => {
    const i = at / NONCE_BYTES;
    const steps = stepsOf(end - at);
    const known = layers[i] ?? [];
    known[steps] ??= veil.subarray(at, at + steps * STEP_BYTES);
    const data = known[steps];
    const nonceWord = at / 4 - 2;
    veilWords[stateWord] = veilWords[nonceWord] ?? 0;
    veilWords[stateWord + 1] = veilWords[nonceWord + 1] ?? 0;
    veilWords[blocksWord] = 0; // it never counts to more
    onDesk.crypto_stream_chacha20_xor_update(veilState, data, data);
  };
  let soiled = CLEAN; // so much of the texts
  // Packets come in rows under the same key, which needs not be laid there again before it was wiped.
  let laidBoxKey: Uint8Array | undefined;
  let laidHashKey: Uint8Array | undefined;
  /** To be called before anything secret is laid on the desk: texts that take up so many bytes there, keys and the like. */
  const wipeLater = (textBytes: number): void => {
    if (soiled === CLEAN) settled.then(wipe);
    if (soiled < textBytes) soiled = textBytes;
  };
  const wipe = (): void => {
    memory.fill(0, 0, textAt + soiled);
    result.fill(0, 0, soiled);
    soiled = CLEAN;
    laidBoxKey = undefined;
    laidHashKey = undefined;
  };
  /** Puts a key or the like in its place, which it must fill. */
  const put = (spot: Uint8Array, bytes: Uint8Array): void => {
    assert(bytes.length === spot.length, "a key, nonce or secret has its right length");
    place(spot, bytes, 0);
  };
  /**
   * XSalsa20 of what stands in `bytes` from `at` on, its nonce 40 bytes before: into `result`, and `polyKey`. What stands before
   * is copied with it, which costs less than a view that begins where it begins.
   */
  const encrypt = (bytes: Uint8Array, at: number, length: number, secret: Uint8Array): void => {
    const size = Math.min(stepsOf(KEY_BYTES + length) * STEP_BYTES, TEXT_BYTES);
    wipeLater(size);
    if (secret !== laidBoxKey) put(boxKey, secret);
    laidBoxKey = secret;
    place(memory, bytes, textAt + KEY_BYTES - at);
    onDesk.crypto_stream_xor(
      buffer,
      resultAt,
      size,
      buffer,
      textAt,
      size,
      buffer,
      nonceAt,
      24,
      buffer,
      boxKeyAt,
      KEY_BYTES,
    );
    // The first 32 bytes of the key stream are the key of Poly1305. They were added to what stood before the text.
    for (let i = 0; i < KEY_BYTES / 4; i++)
      words[polyKeyWord + i] = (words[resultWord + i] ?? 0) ^ (words[textWord + i] ?? 0);
  };

  /** The same where it stands, for texts that the desk has no room for. */
  const longLayer = (bytes: Uint8Array, at: number, secret: Uint8Array): void => {
    const data = bytes.subarray(at);
    crypto_stream_chacha20_xor(data, data, bytes.slice(at - NONCE_BYTES, at), secret);
  };

  return {
    x25519Key(secret) {
      wipeLater(0);
      put(key, secret);
      crypto_scalarmult_base(point, key);
      return copy(point);
    },

    beforenm(secret, theirs) {
      wipeLater(0);
      put(key, secret);
      put(point, theirs);
      try {
        crypto_scalarmult(key, key, point);
      } catch {
        return undefined; // libsodium refuses points of low order
      }
      // HSalsa20, which sodium-native has not, is Salsa20, which it has, less the words that the state began with: under a
      // nonce of zeros the constants, and zeros. Bernstein, "Extending the Salsa20 nonce" §2
      crypto_stream_salsa20(block, zeros8, key);
      const shared = new Uint8Array(KEY_BYTES);
      for (let i = 0; i < 4; i++) {
        const word = readWord(block, 20 * i) - (SIGMA[i] ?? 0); // the words 0, 5, 10, 15
        for (let j = 0; j < 4; j++) shared[4 * i + j] = word >>> (8 * j);
      }
      for (let i = 0; i < 16; i++) shared[16 + i] = block[24 + i] ?? 0; // the words 6 to 9
      return shared;
    },

    siphash(out, secret, data) {
      wipeLater(0);
      if (secret !== laidHashKey) put(key16, secret);
      laidHashKey = secret;
      onDesk.crypto_shorthash(hash8, data, key16);
      for (let i = 0; i < hash8.length; i++) out[i] = hash8[i] ?? 0;
    },

    secretboxSeal(bytes, at, secret) {
      const length = bytes.length - at;
      if (!hasRoom(length, at)) {
        crypto_secretbox_easy(bytes.subarray(at - TAG_BYTES), bytes.subarray(at), nonceBefore(bytes, at), secret);
        return;
      }
      encrypt(bytes, at, length, secret);
      onDesk.crypto_onetimeauth(resultTag, results(length), polyKey);
      place(bytes, boxes(TAG_BYTES + length), at - TAG_BYTES);
    },

    secretboxOpen(bytes, at, secret, out = bytes, to = at) {
      const length = bytes.length - at;
      if (!hasRoom(length, at)) {
        const plain = out.subarray(to, to + length);
        return crypto_secretbox_open_easy(plain, bytes.subarray(at - TAG_BYTES), nonceBefore(bytes, at), secret);
      }
      encrypt(bytes, at, length, secret);
      const isWhole = onDesk.crypto_onetimeauth_verify(textTag, texts(length), polyKey);
      if (isWhole) place(out, results(length), to);
      return isWhole;
    },

    onetimeauth(out, at, secret, data) {
      const { length } = data;
      if (KEY_BYTES + length > TEXT_BYTES) {
        crypto_onetimeauth(out.subarray(at, at + TAG_BYTES), data, secret);
        return;
      }
      wipeLater(KEY_BYTES + length);
      put(key, secret);
      place(text, data, KEY_BYTES);
      onDesk.crypto_onetimeauth(tag, texts(length), key);
      place(out, tag, at);
    },

    chacha20(out, secret, nonce, data) {
      const { length } = data;
      if (length > TEXT_BYTES) return crypto_stream_chacha20_xor(out, data, nonce, secret);
      const whole = wholeTexts[stepsOf(length)] ?? text;
      wipeLater(whole.length);
      put(key, secret);
      put(nonce8, nonce);
      place(text, data, 0);
      crypto_stream_chacha20_xor(whole, whole, nonce8, key);
      out.set(text.subarray(0, length));
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

/** Whether the desk has room for a text of so many bytes, which stands at `at` in its array. */
function hasRoom(length: number, at: number): boolean {
  assert(at >= BOX_FRONT_BYTES && length >= 0, "nonce and tag stand before what a secretbox holds");
  return KEY_BYTES + length <= TEXT_BYTES && at <= FRONT_BYTES + KEY_BYTES;
}

/** The nonce of the secretbox whose text begins at `at`. */
function nonceBefore(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.subarray(at - BOX_FRONT_BYTES, at - TAG_BYTES);
}

/** How many steps so many bytes fill, with what is filled up. */
function stepsOf(length: number): number {
  return (length + STEP_BYTES - 1) >>> STEP_BITS;
}

/** The views of so many bytes of `area` from `from` on, each made once. */
function views(area: Uint8Array, from: number): (length: number) => Uint8Array {
  const known = new Array<Uint8Array | undefined>(TEXT_BYTES + 1).fill(undefined);
  return (length) => {
    known[length] ??= area.subarray(from, from + length);
    return known[length];
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
    crypto_stream_chacha20_xor_update(state, result, data) {
      const key = state.subarray(NONCE_BYTES, NONCE_BYTES + KEY_BYTES);
      sodium.crypto_stream_chacha20_xor(result, data, state.subarray(0, NONCE_BYTES), key);
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

const settled = Promise.resolve();
const KEY_BYTES = 32;
const TAG_BYTES = 16;
const NONCE_BYTES = 8; // of the original ChaCha20
export const CHACHA_STATE_BYTES = 120; // crypto_stream_chacha20_xor_STATEBYTES of sodium-native 5.1.0
const USUAL_ROUNDS = 4; // protocol/cloaking.md §2
const BOX_FRONT_BYTES = 40; // nonce and tag, which stand before what a secretbox holds
const STEP_BITS = 8;
const STEP_BYTES = 1 << STEP_BITS; // four blocks
const TEXT_BYTES = 2048; // a packet of any kind; longer texts gain little
const VEIL_BYTES: number = TEXT_BYTES + STEP_BYTES; // with what is filled up, from wherever it begins
const FRONT_BYTES = 128; // before the text: a secretbox is copied with what stands before it, the head of a channel packet say
const CLEAN = -1;
const SMALL_BYTES = 256; // keys, nonces and the like
const SIGMA = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574]; // "expand 32-byte k"
