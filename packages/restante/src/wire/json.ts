/**
 * Strict JSON for packet heads: I-JSON (RFC 7493) with bounds, and without loss for 64-bit integers. A head is read
 * by many hands (router, cache, recipient), so there must be one reading of it: whatever two parsers could
 * understand differently is refused. protocol/lob.md §2
 */
import { fromUtf8, RestanteError, utf8 } from "../bytes/index.ts";

/** A JSON value. Integers beyond ±(2^53-1) are `bigint`, all other numbers `number`. */
export type Json = null | boolean | number | bigint | string | readonly Json[] | JsonObject;

/** A JSON object. Parsed ones have no prototype; in ours a field that is `undefined` counts as absent. */
export interface JsonObject {
  readonly [key: string]: Json | undefined;
}

/** What `parseJson` lets through. */
export interface JsonLimits {
  /** Objects and arrays within each other, the outermost counted; 8 unless given. Bounds the stack. */
  readonly depth?: number;
  /** Keys of one object; 64 unless given. */
  readonly keys?: number;
}

/**
 * The value that the bytes spell; `undefined` unless all of them are one JSON value in strict UTF-8 within the limits.
 * Refused besides: an object with the same key twice (escapes undone) or with the key `__proto__`, a lone surrogate,
 * a number of more than 100 characters, beyond the range of a double, or that would be -0. Never throws.
 */
export function parseJson(bytes: Uint8Array, limits: JsonLimits = {}): Json | undefined {
  return new Parser(bytes, limits).parse();
}

/**
 * The shortest JSON for a value, keys in the order of the object, `undefined` fields left out, -0 as 0, lone surrogates
 * in texts as U+FFFD. Throws RestanteError "json-value" for NaN, an infinity, and a key that `parseJson` refuses. Limits
 * are not looked at: they are the reader's.
 */
export function encodeJson(value: Json): Uint8Array {
  return utf8(spell(value));
}

/** Whether a value is an object: neither a list nor `null`. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The field's text. */
export function text(json: JsonObject | undefined, key: string): string | undefined {
  const value = json?.[key];
  return typeof value === "string" ? value : undefined;
}

/** The field's whole number from 0 to `max` (2^53-1 unless given). */
export function uint(json: JsonObject | undefined, key: string, max: number = MAX_SAFE): number | undefined {
  const value = json?.[key];
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value <= max ? value : undefined;
}

/** The field's whole number from 0 to 2^64-1. */
export function uint64(json: JsonObject | undefined, key: string): bigint | undefined {
  const value = json?.[key];
  if (typeof value === "bigint") return value >= 0n && value <= MAX_UINT64 ? value : undefined;
  const small = uint(json, key);
  return small === undefined ? undefined : BigInt(small);
}

/** Whether the field is exactly `true`. */
export function flag(json: JsonObject | undefined, key: string): boolean {
  return json?.[key] === true;
}

/** Whether the object has no fields but these (it need not have them all). */
export function hasOnly(json: JsonObject, keys: readonly string[]): boolean {
  return Object.keys(json).every((key) => json[key] === undefined || keys.includes(key));
}

/** Recursive descent over the bytes. Every method leaves `#at` behind what it read, or gives `undefined` for good. */
class Parser {
  readonly #bytes: Uint8Array;
  readonly #depth: number;
  readonly #keys: number;
  #at = 0;

  constructor(bytes: Uint8Array, limits: JsonLimits) {
    this.#bytes = bytes;
    this.#depth = limits.depth ?? MAX_DEPTH;
    this.#keys = limits.keys ?? MAX_KEYS;
  }

  parse(): Json | undefined {
    const value = this.#value(this.#depth);
    this.#space();
    return this.#at === this.#bytes.length ? value : undefined;
  }

  #value(depth: number): Json | undefined {
    this.#space();
    const first = this.#bytes[this.#at];
    switch (first) {
      case OPEN_BRACE:
        return depth > 0 ? this.#object(depth - 1) : undefined;
      case OPEN_BRACKET:
        return depth > 0 ? this.#array(depth - 1) : undefined;
      case QUOTE:
        return this.#string();
      case LETTER_T:
        return this.#word(TRUE, true);
      case LETTER_F:
        return this.#word(FALSE, false);
      case LETTER_N:
        return this.#word(NULL, null);
      default:
        return this.#number();
    }
  }

  #object(depth: number): JsonObject | undefined {
    const object: Record<string, Json> = Object.create(null);
    this.#at++;
    if (this.#next(CLOSE_BRACE)) return object;
    for (let count = 1; count <= this.#keys; count++) {
      this.#space();
      const key = this.#bytes[this.#at] === QUOTE ? this.#string() : undefined;
      if (key === undefined || key === FORBIDDEN_KEY || object[key] !== undefined || !this.#next(COLON))
        return undefined;
      const value = this.#value(depth);
      if (value === undefined) return undefined;
      object[key] = value;
      if (this.#next(CLOSE_BRACE)) return object;
      if (!this.#next(COMMA)) return undefined;
    }
    return undefined;
  }

  #array(depth: number): Json[] | undefined {
    const list: Json[] = [];
    this.#at++;
    if (this.#next(CLOSE_BRACKET)) return list;
    for (;;) {
      const value = this.#value(depth);
      if (value === undefined) return undefined;
      list.push(value);
      if (this.#next(CLOSE_BRACKET)) return list;
      if (!this.#next(COMMA)) return undefined;
    }
  }

  #string(): string | undefined {
    const bytes = this.#bytes;
    let whole = "";
    let start = this.#at + 1; // of the bytes that stand for themselves; quote and backslash never cut a character
    for (let at = start; ; at++) {
      const byte = bytes[at];
      if (byte === undefined || byte < 0x20) return undefined;
      if (byte !== QUOTE && byte !== BACKSLASH) continue;
      const plain = fromUtf8(bytes, start, at);
      if (plain === undefined) return undefined;
      this.#at = at + 1;
      if (byte === QUOTE) return whole === "" ? plain : whole + plain;
      const escaped = this.#escape();
      if (escaped === undefined) return undefined;
      whole += plain + escaped;
      start = this.#at;
      at = start - 1;
    }
  }

  /** What stands behind a backslash. */
  #escape(): string | undefined {
    const letter = this.#bytes[this.#at++];
    if (letter !== LETTER_U) return letter === undefined ? undefined : ESCAPES.get(letter);
    const unit = this.#hex4();
    if (unit === undefined) return undefined;
    if (unit < 0xd800 || unit > 0xdfff) return String.fromCharCode(unit);
    // A surrogate counts only as the first of a pair: alone it has no UTF-8 form, and readers differ on it.
    if (unit > 0xdbff || this.#bytes[this.#at++] !== BACKSLASH || this.#bytes[this.#at++] !== LETTER_U)
      return undefined;
    const low = this.#hex4();
    return low !== undefined && low >= 0xdc00 && low <= 0xdfff ? String.fromCharCode(unit, low) : undefined;
  }

  #hex4(): number | undefined {
    let value = 0;
    for (let i = 0; i < 4; i++) {
      const byte = this.#bytes[this.#at++] ?? 0;
      const letter = byte | 0x20; // in lower case
      if (isDigit(byte)) value = value * 16 + (byte - DIGIT_0);
      else if (letter >= LETTER_A && letter <= LETTER_F) value = value * 16 + (letter - LETTER_A + 10);
      else return undefined;
    }
    return value;
  }

  #number(): number | bigint | undefined {
    const start = this.#at;
    if (this.#bytes[this.#at] === MINUS) this.#at++;
    const first = this.#bytes[this.#at];
    const count = this.#digits();
    if (count === 0 || (first === DIGIT_0 && count > 1)) return undefined;
    let isInteger = true;
    if (this.#bytes[this.#at] === DOT) {
      this.#at++;
      if (this.#digits() === 0) return undefined;
      isInteger = false;
    }
    if (((this.#bytes[this.#at] ?? 0) | 0x20) === LETTER_E) {
      this.#at++;
      const sign = this.#bytes[this.#at];
      if (sign === PLUS || sign === MINUS) this.#at++;
      if (this.#digits() === 0) return undefined;
      isInteger = false;
    }
    if (this.#at - start > MAX_NUMBER_LENGTH) return undefined;
    const spelled = fromUtf8(this.#bytes, start, this.#at) ?? "";
    const value = Number(spelled);
    if (Object.is(value, -0)) return undefined; // some readers have one zero, some two, some none of this spelling
    if (isInteger && !Number.isSafeInteger(value)) return BigInt(spelled);
    return Number.isFinite(value) ? value : undefined;
  }

  #digits(): number {
    const start = this.#at;
    while (isDigit(this.#bytes[this.#at] ?? 0)) this.#at++;
    return this.#at - start;
  }

  #word<T extends Json>(letters: Uint8Array, value: T): T | undefined {
    for (const letter of letters) if (this.#bytes[this.#at++] !== letter) return undefined;
    return value;
  }

  /** Skips white space and then this character; false when another one stands there. */
  #next(character: number): boolean {
    this.#space();
    if (this.#bytes[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #space(): void {
    for (;;) {
      const byte = this.#bytes[this.#at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.#at++;
    }
  }
}

function isDigit(byte: number): boolean {
  return byte >= DIGIT_0 && byte <= DIGIT_0 + 9;
}

function spell(value: Json): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value.replace(LONE_SURROGATES, "\ufffd"));
    case "bigint":
    case "boolean":
      return String(value);
    case "number":
      return spellNumber(value);
    default:
      if (value === null) return "null";
      return isObject(value) ? spellObject(value) : `[${value.map(spell).join(",")}]`;
  }
}

function spellNumber(value: number): string {
  if (!Number.isFinite(value)) throw new RestanteError("json-value", "JSON has no such number");
  // Digits alone would be read as a bigint, which claims a precision that this number does not have.
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? value.toExponential() : String(value);
}

function spellObject(object: JsonObject): string {
  const fields: string[] = [];
  for (const [key, value] of Object.entries(object)) {
    if (value === undefined) continue;
    if (key === FORBIDDEN_KEY || key.search(LONE_SURROGATES) >= 0) {
      throw new RestanteError("json-value", "a key that every reader refuses");
    }
    fields.push(`${JSON.stringify(key)}:${spell(value)}`);
  }
  return `{${fields.join(",")}}`;
}

const MAX_DEPTH = 8; // protocol/lob.md §2
const MAX_KEYS = 64; // protocol/lob.md §2
const MAX_NUMBER_LENGTH = 100; // protocol/lob.md §2; bounds the cost of a bigint
const MAX_SAFE = Number.MAX_SAFE_INTEGER;
const MAX_UINT64 = 2n ** 64n - 1n;
// Code that copies fields to an ordinary object would set the copy's prototype.
const FORBIDDEN_KEY = "__proto__";
const LONE_SURROGATES = /\p{Surrogate}/gu; // with the flag u, pairs are code points and no surrogates

const [TRUE, FALSE, NULL] = [utf8("true"), utf8("false"), utf8("null")];
const [QUOTE, BACKSLASH, COMMA, COLON, DOT, PLUS, MINUS] = [0x22, 0x5c, 0x2c, 0x3a, 0x2e, 0x2b, 0x2d];
const [OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET] = [0x7b, 0x7d, 0x5b, 0x5d];
const [DIGIT_0, LETTER_A, LETTER_E, LETTER_F, LETTER_N, LETTER_T, LETTER_U] = [
  0x30, 0x61, 0x65, 0x66, 0x6e, 0x74, 0x75,
];
const ESCAPES: ReadonlyMap<number, string> = new Map([
  [0x22, '"'],
  [0x5c, "\\"],
  [0x2f, "/"],
  [0x62, "\b"],
  [0x66, "\f"],
  [0x6e, "\n"],
  [0x72, "\r"],
  [0x74, "\t"],
]);
