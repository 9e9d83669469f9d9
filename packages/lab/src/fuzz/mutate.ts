/** Damage to valid samples, drawn from a seed: what a hostile or broken peer may send. */
import {
  concat,
  encodeJson,
  encodePacket,
  fromUtf8,
  isObject,
  type Json,
  type JsonObject,
  parseJson,
  parsePacket,
  utf8,
} from "restante/protocol";
import type { Chance } from "restante/testing";

export class Mutator {
  readonly chance: Chance;
  readonly #words: readonly Uint8Array[];

  /** `words`: pieces that mean something to the reader, and are put in now and then. */
  constructor(chance: Chance, words: readonly Uint8Array[] = []) {
    this.chance = chance;
    this.#words = words.length > 0 ? words : WORDS;
  }

  /** One of the samples with one to four damages: flipped bits, cuts, pieces repeated, moved, or taken from others. */
  bytes(samples: readonly Uint8Array[]): Uint8Array {
    let bytes: Uint8Array = this.chance.pick(samples).slice();
    for (let i = this.#times(4); i > 0; i--) bytes = this.#damage(bytes, samples);
    return bytes.length > LONGEST ? bytes.slice(0, LONGEST) : bytes;
  }

  /** As `bytes`, for text. What is no UTF-8 becomes one character for each byte. */
  text(samples: readonly string[]): string {
    return asText(this.bytes(samples.map(utf8)).subarray(0, LONGEST_TEXT));
  }

  /** A JSON object with damaged fields; now and then the bytes themselves are damaged. */
  head(samples: readonly Uint8Array[]): Uint8Array {
    const json = this.chance.happens(0.25) ? undefined : parseJson(this.chance.pick(samples), LIMITS);
    return isObject(json) ? encodeJson(this.object(json)) : this.bytes(samples);
  }

  /** A packet with a damaged JSON head, or body, or both; now and then the bytes themselves are damaged. */
  packet(samples: readonly Uint8Array[]): Uint8Array {
    const packet = parsePacket(this.chance.pick(samples));
    if (packet?.json === undefined || this.chance.happens(0.2)) return this.bytes(samples);
    const what = this.chance.between(1, 3);
    const head = what & 1 ? encodeJson(this.object(packet.json)).subarray(0, LONGEST_HEAD) : packet.head;
    return encodePacket(head, what & 2 ? this.bytes([packet.body, ...samples]) : packet.body);
  }

  /** The object with some fields gone, there under another name too, doubled in depth, or with another value. */
  object(json: JsonObject): JsonObject {
    const fields: Record<string, Json | undefined> = { ...json };
    for (let i = this.#times(3); i > 0; i--) {
      const keys = Object.keys(fields);
      const key = keys.length > 0 && this.chance.happens(0.85) ? this.chance.pick(keys) : this.chance.pick(FIELDS);
      const old = fields[key];
      const fate = this.chance.fraction();
      if (fate < 0.15) delete fields[key];
      else if (fate < 0.28) fields[this.#name(key)] = old ?? null;
      else if (isObject(old) && this.chance.happens(0.7)) fields[key] = this.object(old);
      else fields[key] = this.#value(old);
    }
    return fields;
  }

  /** Once more often than not: what is damaged too much does not get far. */
  #times(most: number): number {
    return this.chance.happens(0.6) ? 1 : this.chance.between(1, most);
  }

  /** A name like this one, or one that others go by. */
  #name(key: string): string {
    const name = this.chance.happens(0.5) ? this.chance.pick(FIELDS) : this.text([key]);
    return name === "__proto__" || /\p{Surrogate}/u.test(name) ? key : name; // those no encoder writes
  }

  #value(old: Json | undefined): Json {
    if (typeof old === "string" && this.chance.happens(0.5)) return this.text([old]);
    if (typeof old === "number" && this.chance.happens(0.5))
      return old + this.chance.pick([-1, 1, 2, 3, 7, 255, 2 ** 32]);
    if (Array.isArray(old) && old.length < LONGEST_LIST && this.chance.happens(0.6)) {
      const items: Json[] = old.map((item) =>
        isObject(item) ? this.object(item) : this.chance.pick([item, ...VALUES]),
      );
      return this.chance.pick([items, [...items, ...items], items.slice(1), [items]]);
    }
    return this.chance.pick(VALUES);
  }

  #damage(bytes: Uint8Array, samples: readonly Uint8Array[]): Uint8Array {
    const { chance } = this;
    const [a, b] = [chance.between(0, bytes.length), chance.between(0, bytes.length)];
    const [from, to] = [Math.min(a, b), Math.max(a, b)];
    switch (chance.between(0, 11)) {
      case 0: // a bit
        if (bytes.length > 0) bytes[a % bytes.length] = (bytes[a % bytes.length] ?? 0) ^ (1 << chance.between(0, 7));
        return bytes;
      case 1: // a byte
        if (bytes.length > 0) bytes[a % bytes.length] = chance.pick(BYTES);
        return bytes;
      case 2: // the end is missing
        return bytes.slice(0, from);
      case 3: // a piece is missing
        return concat(bytes.subarray(0, from), bytes.subarray(to));
      case 4: // a piece comes twice
        return concat(bytes.subarray(0, to), bytes.subarray(from));
      case 5: // something is put in
        return concat(bytes.subarray(0, from), chance.random(chance.between(1, 40)), bytes.subarray(from));
      case 6: {
        // the end of another one
        const other = chance.pick(samples);
        return concat(bytes.subarray(0, from), other.subarray(chance.between(0, other.length)));
      }
      case 7: // a piece is overwritten
        bytes.set(chance.random(to - from).subarray(0, 16), from);
        return bytes;
      case 8: {
        // a word, put in or written over what stands there
        const word = chance.pick(this.#words);
        return concat(bytes.subarray(0, a), word, bytes.subarray(chance.happens(0.5) ? a : a + word.length));
      }
      case 9:
      case 10:
        this.#measure(bytes, a);
        return bytes;
      default: // many bits
        for (let i = 0; i < 16 && bytes.length > 0; i++) bytes[chance.between(0, bytes.length - 1)] = chance.next();
        return bytes;
    }
  }

  /** Something that may be a length says another one: that of the rest, one more, one less, far too much. */
  #measure(bytes: Uint8Array, at: number): void {
    const width = this.chance.pick([1, 1, 2, 2, 3, 4]);
    const from = this.chance.happens(0.3) ? 0 : at;
    const left = bytes.length - from - width;
    if (left < 0) return;
    let old = 0;
    for (let i = 0; i < width; i++) old = old * 0x100 + (bytes[from + i] ?? 0);
    let value = this.chance.pick([left, left + 1, left - 1, old + 1, old - 1, 2 * old, 0, 2 ** 31, 2 ** 32 - 1]);
    for (let i = width - 1; i >= 0; i--) {
      bytes[from + i] = value;
      value = Math.floor(value / 0x100);
    }
  }
}

/**
 * The text of an input. Bytes that are no UTF-8 stand for one character each, but for the three of a lone surrogate,
 * which stand for just that: text that came from JavaScript can hold one.
 */
export function asText(bytes: Uint8Array): string {
  const plain = fromUtf8(bytes);
  if (plain !== undefined) return plain;
  return Buffer.from(bytes)
    .toString("latin1")
    .replace(/\xed([\xa0-\xbf])([\x80-\xbf])/g, (_, high: string, low: string) =>
      String.fromCharCode(0xd000 | ((high.charCodeAt(0) & 0x3f) << 6) | (low.charCodeAt(0) & 0x3f)),
    );
}

const BYTES = [0x00, 0x01, 0x06, 0x07, 0x22, 0x2c, 0x3a, 0x5b, 0x5c, 0x7b, 0x7d, 0x7f, 0x80, 0xc0, 0xed, 0xff];
/** Names that heads have. */
export const FIELDS: readonly string[] = [
  "c",
  "seq",
  "ack",
  "miss",
  "end",
  "err",
  "type",
  "at",
  "to",
  "id",
  "clear",
  "done",
  "x",
  "cap",
  "uri",
  "v",
  "crit",
  "1a",
  "2a",
  "3a",
  "4a",
  "keys",
  "paths",
];
const VALUES: readonly Json[] = [
  null,
  true,
  false,
  0,
  1,
  -1,
  0.5,
  256,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 53 - 1,
  2n ** 64n - 1n,
  2n ** 64n,
  -(2n ** 63n),
  "",
  "0",
  "ffffffffffffffff",
  "__proto__",
  "constructor",
  "\u0000\u202e",
  "a".repeat(2000),
  [],
  [[], [[]]],
  [1, 5, 9, 2 ** 32],
  Array.from({ length: 1500 }, (_, i) => i),
  {},
  { a: { b: { c: { d: 1 } } } },
];
/** Bytes of the longest input: what fits on a command line as hex. The longest message is little longer. */
export const LONGEST = 65_000;
const LONGEST_TEXT = 20_000;
const LONGEST_HEAD = 0xffff; // what the length of a head can say
const LIMITS = { depth: 16, keys: 1000 };
const WORDS = ["{}", '":', "[[", ",{", "://", "?cs3a=", "&paths=", "1e400", "-0", "\\ud800"].map(utf8);
const LONGEST_LIST = 20; // or lists within lists would grow without end
