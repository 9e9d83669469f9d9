/**
 * The heads of most packets on the wire: a channel's number, its sequence numbers, and what the packets of a box have
 * besides. Read and written here in a twentieth of the time (0.04 us for three numbers); all other heads go through
 * json.ts. The reader takes only what `encodeJson` could have written, so whatever it says the strict parser says too.
 * protocol/channels.md §1, protocol/box.md §4
 *
 * A hot path: its place in the bytes is a variable of the module, since an object for it would cost as much as the rest.
 */
import { asciiText, utf8 } from "../bytes/index.ts";
import type { Json, JsonObject } from "./json.ts";

/** The fields of a channel packet's head that are the channel's own, and numbers, or a list of them, or `true`. */
export interface ChannelHead {
  readonly c: number;
  readonly seq: number | undefined;
  readonly ack: number | undefined;
  readonly miss: readonly number[] | undefined;
  /** Whether there is `"end":true`. */
  readonly end: boolean;
}

/** A `ChannelHead` and the other fields beside it. */
export interface ScannedHead extends ChannelHead {
  /** One for all, and frozen, when there are none. */
  readonly fields: JsonObject;
}

/**
 * The head that stands in `bytes` from `from` to `to`, if it is JSON in its shortest form with a `c` and no other fields
 * than those of `ChannelHead`; the flags `done`, `clear` and `many`; the numbers `x`, `cap`, `ids` and `many`; the texts `type`, `to`, `uri`, `box`
 * and `id` in plain ASCII. `undefined` says nothing about the head: another field, a space, an escape, a number of more than
 * 10 digits, or no JSON at all. Never throws.
 */
export function scanChannelHead(bytes: Uint8Array, from: number, to: number): ScannedHead | undefined {
  // The brace at the end stops whatever reads keys and numbers: an engine reads half as fast where it once read beyond the array.
  if (to > bytes.length || to - from < SHORTEST) return undefined;
  if (bytes[from] !== OPEN_BRACE || bytes[to - 1] !== CLOSE_BRACE) return undefined;
  let c = ABSENT;
  let seq = ABSENT;
  let ack = ABSENT;
  let miss: number[] | undefined;
  let end = false;
  let fields: Record<string, Json> | undefined;
  place = from;
  do {
    const at = ++place;
    if (bytes[at] !== QUOTE) return undefined;
    // The letter behind it tells most of them apart.
    switch (bytes[at + 1]) {
      case LETTER_C:
        if (bytes[at + 2] !== QUOTE) {
          fields = scanField(bytes, fields);
          if (fields === undefined) return undefined;
          break;
        }
        if (c !== ABSENT || bytes[at + 3] !== COLON) return undefined;
        c = readNumber(bytes, at + 4);
        if (c === ABSENT) return undefined;
        break;
      case LETTER_S:
        if (seq !== ABSENT || !isKey(bytes, at, LETTER_E, LETTER_Q)) return undefined;
        seq = readNumber(bytes, at + 6);
        if (seq === ABSENT) return undefined;
        break;
      case LETTER_A:
        if (ack !== ABSENT || !isKey(bytes, at, LETTER_C, LETTER_K)) return undefined;
        ack = readNumber(bytes, at + 6);
        if (ack === ABSENT) return undefined;
        break;
      case LETTER_M:
        if (!isNext(bytes, MISS)) {
          fields = scanField(bytes, fields);
          if (fields === undefined) return undefined;
          break;
        }
        if (miss !== undefined) return undefined;
        miss = readNumbers(bytes);
        if (miss === undefined) return undefined;
        break;
      case LETTER_E:
        if (end || !isNext(bytes, END)) return undefined;
        end = true;
        break;
      default:
        fields = scanField(bytes, fields);
        if (fields === undefined) return undefined;
    }
  } while (bytes[place] === COMMA);
  if (place !== to - 1 || c === ABSENT) return undefined;
  return {
    c,
    seq: seq === ABSENT ? undefined : seq,
    ack: ack === ABSENT ? undefined : ack,
    miss,
    end,
    fields: fields ?? NO_FIELDS,
  };
}

/** Adds the field that stands at `place`; `undefined` when it is none of those that are known here, or there already. */
function scanField(bytes: Uint8Array, before: Record<string, Json> | undefined): Record<string, Json> | undefined {
  const fields = before ?? {};
  switch (bytes[place + 1]) {
    case LETTER_D:
      if (fields["done"] !== undefined || !isNext(bytes, DONE)) return undefined;
      fields["done"] = true;
      return fields;
    case LETTER_X: {
      if (fields["x"] !== undefined || !isNext(bytes, X)) return undefined;
      const x = readNumber(bytes, place);
      if (x === ABSENT) return undefined;
      fields["x"] = x;
      return fields;
    }
    case LETTER_C: {
      if (fields["clear"] === undefined && isNext(bytes, CLEAR)) {
        fields["clear"] = true;
        return fields;
      }
      if (fields["cap"] !== undefined || !isNext(bytes, CAP)) return undefined;
      const cap = readNumber(bytes, place);
      if (cap === ABSENT) return undefined;
      fields["cap"] = cap;
      return fields;
    }
    case LETTER_I: {
      if (fields["ids"] !== undefined || !isNext(bytes, IDS)) break; // then it may be the text `id`
      const ids = readNumber(bytes, place);
      if (ids === ABSENT) return undefined;
      fields["ids"] = ids;
      return fields;
    }
    case LETTER_M: {
      if (fields["many"] !== undefined || !isNext(bytes, MANY)) return undefined;
      const many = isNext(bytes, TRUE) || readNumber(bytes, place);
      if (many === ABSENT) return undefined;
      fields["many"] = many;
      return fields;
    }
  }
  for (const [key, word] of TEXTS) {
    if (!isNext(bytes, word)) continue;
    const text = fields[key] === undefined ? readText(bytes) : undefined;
    if (text === undefined) return undefined;
    fields[key] = text;
    return fields;
  }
  return undefined;
}

/** The bytes that `writeChannelHead` writes for the same arguments. */
export function channelHeadLength({ c, seq, ack, miss, end }: ChannelHead, fields: Uint8Array): number {
  let length = C.length + digits(c) + 2; // with the two braces
  if (seq !== undefined) length += SEQ.length + digits(seq) + 1; // with a comma, as all that follow
  if (ack !== undefined) length += ACK.length + digits(ack) + 1;
  if (miss !== undefined) {
    length += MISS.length + Math.max(miss.length, 1) + 1; // a comma or the bracket behind each number
    for (const number of miss) length += digits(number);
  }
  if (end) length += END.length + 1;
  return fields.length > EMPTY_OBJECT ? length + fields.length - 1 : length; // a comma for two braces
}

/**
 * Writes into `bytes` from `at` on what `encodeJson` gives for the fields in the order of `ChannelHead`, and then those of
 * `fields`, which is an object in JSON without any of these. All numbers are whole and from 0 to 2^53-1.
 */
export function writeChannelHead(bytes: Uint8Array, at: number, head: ChannelHead, fields: Uint8Array): void {
  const { c, seq, ack, miss, end } = head;
  place = at;
  bytes[place++] = OPEN_BRACE;
  write(bytes, C);
  writeNumber(bytes, c);
  if (seq !== undefined) {
    bytes[place++] = COMMA;
    write(bytes, SEQ);
    writeNumber(bytes, seq);
  }
  if (ack !== undefined) {
    bytes[place++] = COMMA;
    write(bytes, ACK);
    writeNumber(bytes, ack);
  }
  if (miss !== undefined) {
    bytes[place++] = COMMA;
    write(bytes, MISS);
    for (let i = 0; i < miss.length; i++) {
      if (i > 0) bytes[place++] = COMMA;
      writeNumber(bytes, miss[i] ?? 0);
    }
    bytes[place++] = CLOSE_BRACKET;
  }
  if (end) {
    bytes[place++] = COMMA;
    write(bytes, END);
  }
  if (fields.length > EMPTY_OBJECT) {
    bytes.set(fields, place);
    bytes[place] = COMMA; // where its brace was
  } else bytes[place] = CLOSE_BRACE;
}

/** Reads a whole number of at most 10 digits that stands at `at`, and passes it; ABSENT if there is none. */
function readNumber(bytes: Uint8Array, at: number): number {
  let digit = (bytes[at] ?? 0) - DIGIT_0;
  if (digit < 0 || digit > 9) return ABSENT;
  let value = digit;
  const limit = digit === 0 ? at + 1 : at + MAX_DIGITS; // nothing follows a zero
  for (let next = at + 1; ; next++) {
    digit = (bytes[next] ?? 0) - DIGIT_0;
    if (digit < 0 || digit > 9) {
      place = next;
      return value;
    }
    if (next === limit) return ABSENT;
    value = value * 10 + digit;
  }
}

/** Reads numbers up to the bracket behind them, of which there is at least one. */
function readNumbers(bytes: Uint8Array): number[] | undefined {
  const numbers: number[] = [];
  do {
    const number = readNumber(bytes, place);
    if (number === ABSENT) return undefined;
    numbers.push(number);
  } while (bytes[place++] === COMMA);
  return bytes[place - 1] === CLOSE_BRACKET ? numbers : undefined;
}

/** Reads printable ASCII up to the quote behind it; `undefined` when there is anything else before. */
function readText(bytes: Uint8Array): string | undefined {
  const start = place;
  for (let at = start; at <= start + MAX_TEXT; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      place = at + 1;
      return asciiText(bytes, start, at);
    }
    if (byte === undefined || byte < SPACE || byte > TILDE || byte === BACKSLASH) return undefined;
  }
  return undefined;
}

/** Whether a key of three letters ends in these two, and a colon follows. The letter before them was seen. */
function isKey(bytes: Uint8Array, at: number, second: number, third: number): boolean {
  return bytes[at + 2] === second && bytes[at + 3] === third && bytes[at + 4] === QUOTE && bytes[at + 5] === COLON;
}

/** Passes this word; false when another one stands there. */
function isNext(bytes: Uint8Array, word: Uint8Array): boolean {
  const at = place;
  for (let i = 0; i < word.length; i++) if (bytes[at + i] !== word[i]) return false;
  place = at + word.length;
  return true;
}

function write(bytes: Uint8Array, word: Uint8Array): void {
  for (let i = 0; i < word.length; i++) bytes[place + i] = word[i] ?? 0;
  place += word.length;
}

function writeNumber(bytes: Uint8Array, number: number): void {
  const end = place + digits(number);
  let left = number;
  for (let at = end - 1; at >= place; at--) {
    const tens = Math.floor(left / 10);
    bytes[at] = DIGIT_0 + (left - tens * 10);
    left = tens;
  }
  place = end;
}

function digits(number: number): number {
  let count = 1;
  for (let power = 10; number >= power; power *= 10) count++;
  return count;
}

let place = 0;
const ABSENT = -1;
const MAX_DIGITS = 10; // those of 2^32-1, the highest number of a channel
const MAX_TEXT = 300; // an admission URI
const SHORTEST = 7; // {"c":1}
const EMPTY_OBJECT = 2;
const NO_FIELDS: JsonObject = Object.freeze({});
const [C, SEQ, ACK, MISS, END] = [utf8('"c":'), utf8('"seq":'), utf8('"ack":'), utf8('"miss":['), utf8('"end":true')];
const [DONE, CLEAR, TRUE] = [utf8('"done":true'), utf8('"clear":true'), utf8("true")];
const [X, CAP, IDS, MANY] = [utf8('"x":'), utf8('"cap":'), utf8('"ids":'), utf8('"many":')];
const TEXTS = ["id", "box", "type", "to", "uri"].map((key) => [key, utf8(`"${key}":"`)] as const);
const [OPEN_BRACE, CLOSE_BRACE, CLOSE_BRACKET, COMMA, COLON, DIGIT_0] = [0x7b, 0x7d, 0x5d, 0x2c, 0x3a, 0x30];
const [SPACE, QUOTE, BACKSLASH, TILDE] = [0x20, 0x22, 0x5c, 0x7e];
const [LETTER_A, LETTER_C, LETTER_D, LETTER_E, LETTER_I, LETTER_K, LETTER_M, LETTER_Q, LETTER_S, LETTER_X] = [
  0x61, 0x63, 0x64, 0x65, 0x69, 0x6b, 0x6d, 0x71, 0x73, 0x78,
];
