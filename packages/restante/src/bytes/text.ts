/**
 * Bytes as text and back: hex, base32 (RFC 4648 §6 in lower case without padding), base64url (§5, without padding),
 * UTF-8. Each byte string has exactly one form in each of the first three, so ids may be compared as text; the decoders
 * refuse every other form.
 */

/** Lower case, two digits per byte. */
export function toHex(bytes: Uint8Array): string {
  let text = "";
  let i = 0;
  // Eight at a time, for most of what is written so is an id of 8 bytes: made in one piece its text is flat, which whoever
  // reads it would have to make of two pieces first.
  for (; i + 8 <= bytes.length; i += 8) {
    text += hexAt(bytes, i);
  }
  for (; i < bytes.length; i++) text += HEX_PAIRS[bytes[i] ?? 0];
  return text;
}

/** Of the eight bytes from `at` on: of an id in a list, say, without a view of it. */
export function hexAt(bytes: Uint8Array, at: number): string {
  return wordsHex(bigEndian(bytes, at), bigEndian(bytes, at + 4));
}

/** The 16 digits of two numbers of 32 bits, signed or not. */
export function wordsHex(first: number, second: number): string {
  return String.fromCharCode(
    hexCode(first >>> 28),
    hexCode(first >>> 24),
    hexCode(first >>> 20),
    hexCode(first >>> 16),
    hexCode(first >>> 12),
    hexCode(first >>> 8),
    hexCode(first >>> 4),
    hexCode(first),
    hexCode(second >>> 28),
    hexCode(second >>> 24),
    hexCode(second >>> 20),
    hexCode(second >>> 16),
    hexCode(second >>> 12),
    hexCode(second >>> 8),
    hexCode(second >>> 4),
    hexCode(second),
  );
}

/** The same for each two of these numbers. */
export function pairsHex(words: Uint32Array): string[] {
  return Array.from({ length: words.length >> 1 }, (_, i) => wordsHex(words[2 * i] ?? 0, words[2 * i + 1] ?? 0));
}

function bigEndian(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
}

/** The character code of the digit that the last four bits are. */
function hexCode(value: number): number {
  const digit = value & 15;
  return digit < 10 ? digit + 0x30 : digit + 0x57;
}

/** The bytes of lower-case hex; `undefined` for an odd length or any other character, upper case too. */
export function fromHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    const high = HEX_VALUES[text.charCodeAt(2 * i)] ?? NO_DIGIT;
    const low = HEX_VALUES[text.charCodeAt(2 * i + 1)] ?? NO_DIGIT;
    if (high === NO_DIGIT || low === NO_DIGIT) return undefined;
    bytes[i] = (high << 4) | low;
  }
  return bytes;
}

/** Lower-case base32 without padding: 32 bytes give 52 characters. */
export function toBase32(bytes: Uint8Array): string {
  let text = "";
  let i = 0;
  for (; i + 5 <= bytes.length; i += 5) {
    const high = bigEndian(bytes, i);
    const low = bytes[i + 4] ?? 0;
    text += String.fromCharCode(
      base32Code(high >>> 27),
      base32Code(high >>> 22),
      base32Code(high >>> 17),
      base32Code(high >>> 12),
      base32Code(high >>> 7),
      base32Code(high >>> 2),
      base32Code((high << 3) | (low >>> 5)),
      base32Code(low),
    );
  }
  let bits = 0; // at most 12 bits are waiting, the newest lowest
  let count = 0;
  for (; i < bytes.length; i++) {
    bits = ((bits << 8) | (bytes[i] ?? 0)) & 0xfff;
    count += 8;
    while (count >= 5) {
      count -= 5;
      text += BASE32[(bits >> count) & 31];
    }
  }
  if (count > 0) text += BASE32[(bits << (5 - count)) & 31];
  return text;
}

/** The character code of the digit that the last five bits are. */
function base32Code(value: number): number {
  const digit = value & 31;
  return digit < 26 ? digit + 0x61 : digit + 0x18;
}

/**
 * The bytes of canonical base32 from `from` on: exactly when `toBase32` of them gives the text there again. `undefined` for upper
 * case, padding, foreign characters, impossible lengths and unused bits that are not zero.
 */
export function fromBase32(text: string, from = 0): Uint8Array | undefined {
  const bytes = new Uint8Array(((text.length - from) * 5) >> 3);
  let at = 0;
  let i = from;
  let all = 0; // negative when any of the characters is none
  for (; i + 8 <= text.length; i += 8) {
    const a = base32Value(text, i);
    const b = base32Value(text, i + 1);
    const c = base32Value(text, i + 2);
    const d = base32Value(text, i + 3);
    const e = base32Value(text, i + 4);
    const f = base32Value(text, i + 5);
    const g = base32Value(text, i + 6);
    const h = base32Value(text, i + 7);
    all |= a | b | c | d | e | f | g | h;
    bytes[at] = (a << 3) | (b >> 2);
    bytes[at + 1] = (b << 6) | (c << 1) | (d >> 4);
    bytes[at + 2] = (d << 4) | (e >> 1);
    bytes[at + 3] = (e << 7) | (f << 2) | (g >> 3);
    bytes[at + 4] = (g << 5) | h;
    at += 5;
  }
  let bits = 0; // at most 12 bits are waiting, the newest lowest
  let count = 0;
  for (; i < text.length; i++) {
    const value = base32Value(text, i);
    all |= value;
    bits = ((bits << 5) | value) & 0xfff;
    count += 5;
    if (count >= 8) {
      count -= 8;
      bytes[at++] = bits >> count;
    }
  }
  // Five bits left or more: the last character holds no bit of the data. What is left must be zero.
  if (all < 0 || count >= 5 || (bits & ((1 << count) - 1)) !== 0) return undefined;
  return bytes;
}

/** What the character is worth as a digit; `NO_DIGIT` when it is none. */
function base32Value(text: string, at: number): number {
  return BASE32_VALUES[text.charCodeAt(at)] ?? NO_DIGIT;
}

/** Base64url without padding (RFC 7515 §2): 3 bytes give 4 characters. */
export function toBase64url(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const [first = 0, second = 0, third = 0] = bytes.subarray(i, i + 3);
    const four = (first << 16) | (second << 8) | third;
    text += `${BASE64URL[four >> 18]}${BASE64URL[(four >> 12) & 63]}${BASE64URL[(four >> 6) & 63]}${BASE64URL[four & 63]}`;
  }
  return text.slice(0, Math.ceil((bytes.length * 4) / 3));
}

/**
 * The bytes of canonical base64url: exactly when `toBase64url` of them gives `text` again. `undefined` for padding,
 * foreign characters (`+` and `/` too), impossible lengths and unused bits that are not zero.
 */
export function fromBase64url(text: string): Uint8Array | undefined {
  if (text.length % 4 === 1) return undefined;
  const bytes = new Uint8Array((text.length * 6) >> 3);
  let bits = 0; // at most 12 bits are waiting, the newest lowest
  let count = 0;
  let at = 0;
  for (let i = 0; i < text.length; i++) {
    const value = BASE64URL_VALUES[text.charCodeAt(i)] ?? NO_DIGIT;
    if (value === NO_DIGIT) return undefined;
    bits = ((bits << 6) | value) & 0xfff;
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes[at++] = bits >> count;
    }
  }
  return (bits & ((1 << count) - 1)) === 0 ? bytes : undefined;
}

/** UTF-8 (RFC 3629). A lone surrogate becomes U+FFFD, as TextEncoder does it, so the result is always valid. */
export function utf8(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x80) return utf8OfAny(text);
    bytes[i] = code;
  }
  return bytes; // ASCII, as nearly everything is that we write ourselves
}

function utf8OfAny(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length * 3); // no UTF-16 unit needs more than 3
  let at = 0;
  for (let i = 0; i < text.length; i++) {
    let code = text.charCodeAt(i);
    if (code < 0x80) {
      bytes[at++] = code;
      continue;
    }
    if (code >= 0xd800 && code <= 0xdfff) {
      const low = text.charCodeAt(i + 1); // NaN at the end: fails both comparisons
      if (code <= 0xdbff && low >= 0xdc00 && low <= 0xdfff) {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        i++;
      } else code = 0xfffd;
    }
    if (code < 0x800) bytes[at++] = 0xc0 | (code >> 6);
    else {
      if (code < 0x10000) bytes[at++] = 0xe0 | (code >> 12);
      else {
        bytes[at++] = 0xf0 | (code >> 18);
        bytes[at++] = 0x80 | ((code >> 12) & 63);
      }
      bytes[at++] = 0x80 | ((code >> 6) & 63);
    }
    bytes[at++] = 0x80 | (code & 63);
  }
  return bytes.slice(0, at);
}

/**
 * The text of strict UTF-8, all of it or from `start` to `end`; `undefined` for overlong forms, surrogates, code points above
 * U+10FFFF and cut sequences. A byte order mark stays in the text.
 */
export function fromUtf8(bytes: Uint8Array, start: number = 0, end: number = bytes.length): string | undefined {
  const short = end - start <= SHORT ? asciiText(bytes, start, end) : undefined;
  return short ?? fromAnyUtf8(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end));
}

/** The ASCII text from `start` to `end`; `undefined` where a byte is none. For short ones: where setting up the general way would be most of the work. */
export function asciiText(bytes: Uint8Array, start: number, end: number): string | undefined {
  let text = "";
  let bits = 0;
  let at = start;
  // Eight at a time: a string of one more character is made twice as slowly. Without array patterns, which make an object for each element.
  for (; at + 8 <= end; at += 8) {
    const a = bytes[at] ?? 0;
    const b = bytes[at + 1] ?? 0;
    const c = bytes[at + 2] ?? 0;
    const d = bytes[at + 3] ?? 0;
    const e = bytes[at + 4] ?? 0;
    const f = bytes[at + 5] ?? 0;
    const g = bytes[at + 6] ?? 0;
    const h = bytes[at + 7] ?? 0;
    bits |= a | b | c | d | e | f | g | h;
    text += String.fromCharCode(a, b, c, d, e, f, g, h);
  }
  for (; at < end; at++) {
    const byte = bytes[at] ?? 0;
    bits |= byte;
    text += String.fromCharCode(byte);
  }
  return bits < 0x80 ? text : undefined;
}

function fromAnyUtf8(bytes: Uint8Array): string | undefined {
  const units = new Uint16Array(Math.min(bytes.length, UNITS));
  let text = "";
  let count = 0;
  let at = 0;
  while (at < bytes.length) {
    if (count > units.length - 2) {
      text += fromUnits(units, count);
      count = 0;
    }
    const first = bytes[at++] ?? 0;
    if (first < 0x80) {
      units[count++] = first;
      continue;
    }
    let more: number;
    if (first >= 0xc2 && first <= 0xdf) more = 1;
    else if (first >= 0xe0 && first <= 0xef) more = 2;
    else if (first >= 0xf0 && first <= 0xf4) more = 3;
    else return undefined;
    let code = first & (0x3f >> more);
    for (let i = 0; i < more; i++) {
      const byte = bytes[at++] ?? 0; // past the end: 0, which is refused here
      if ((byte & 0xc0) !== 0x80) return undefined;
      code = (code << 6) | (byte & 0x3f);
    }
    if (more === 2 && (code < 0x800 || (code >= 0xd800 && code <= 0xdfff))) return undefined;
    if (more === 3) {
      if (code < 0x10000 || code > 0x10ffff) return undefined;
      units[count++] = 0xd800 + ((code - 0x10000) >> 10);
      code = 0xdc00 + (code & 0x3ff);
    }
    units[count++] = code;
  }
  return text + fromUnits(units, count);
}

function fromUnits(units: Uint16Array, count: number): string {
  return Reflect.apply(String.fromCharCode, undefined, units.subarray(0, count));
}

/** Value of each ASCII character of an alphabet, `NO_DIGIT` for all others. */
function values(alphabet: string): Int8Array {
  const table = new Int8Array(128).fill(NO_DIGIT);
  for (let i = 0; i < alphabet.length; i++) table[alphabet.charCodeAt(i)] = i;
  return table;
}

const NO_DIGIT = -1;
const HEX = "0123456789abcdef";
const HEX_VALUES = values(HEX);
const HEX_PAIRS: readonly string[] = Array.from({ length: 256 }, (_, i) => `${HEX[i >> 4]}${HEX[i & 15]}`);
const BASE32 = "abcdefghijklmnopqrstuvwxyz234567"; // RFC 4648 §6
const BASE32_VALUES = values(BASE32);
const BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"; // RFC 4648 §5
const BASE64URL_VALUES = values(BASE64URL);
const SHORT = 256; // bytes
const UNITS = 4096; // String.fromCharCode takes its units as arguments, of which engines allow some 65,000
