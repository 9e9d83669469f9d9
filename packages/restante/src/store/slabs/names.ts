/** Names of recipients and ids as numbers of 32 bits, in which the store keeps and compares them. */
import { fromBase32, wordsHex } from "../../bytes/index.ts";

/** The 32 bytes of a hashname as words; `undefined` for any other text. */
export function parseName(text: string): Uint32Array | undefined {
  const bytes = fromBase32(text);
  if (bytes?.length !== 32) return undefined;
  const words = new Uint32Array(NAME_WORDS); // a view of the same bytes would cost 1 us: they would have to leave the heap
  for (let i = 0; i < 32; i++) words[i >> 2] = ((words[i >> 2] ?? 0) << 8) | (bytes[i] ?? 0);
  return words;
}

/** Writes an id as two words; `false` for anything but 16 lower-case hex digits. */
export function parseId(text: string, into: Uint32Array): boolean {
  if (text.length !== 16) return false;
  const low = parseWord(text, 0);
  const high = parseWord(text, 8);
  into[0] = low;
  into[1] = high;
  return low >= 0 && high >= 0;
}

/** The id of a message that is put, as `parseId` has it. */
export function takeId(message: Named, into: Uint32Array): boolean {
  const { low, high } = message;
  if (low === undefined || high === undefined) return parseId(message.id, into);
  into[0] = low;
  into[1] = high;
  return true;
}

/** A message as it is read. Its id is written for who asks: hardly anybody does. */
export class ReadMessage {
  readonly low: number;
  readonly high: number;
  readonly bytes: Uint8Array;
  readonly cursor: number;

  constructor(low: number, high: number, bytes: Uint8Array, cursor: number) {
    this.low = low;
    this.high = high;
    this.bytes = bytes;
    this.cursor = cursor;
  }

  get id(): string {
    return wordsHex(this.low, this.high);
  }
}

/** Eight digits; negative when some are none. */
function parseWord(text: string, from: number): number {
  let word = 0;
  for (let i = from; i < from + 8; i++) {
    const digit = DIGITS[text.charCodeAt(i)] ?? NO_DIGIT;
    if (digit === NO_DIGIT) return -1;
    word = (word << 4) | digit;
  }
  return word >>> 0;
}

/** A message that is put: its id, and that as two words for who has them. */
interface Named {
  readonly id: string;
  readonly low?: number;
  readonly high?: number;
}

/** Of the name of a recipient. */
export const NAME_WORDS = 8;
const NO_DIGIT = 255;
/** What a character is worth as a hex digit. */
const DIGITS: Uint8Array = Uint8Array.from({ length: 128 }, (_, code) => {
  const digit = "0123456789abcdef".indexOf(String.fromCharCode(code));
  return digit < 0 ? NO_DIGIT : digit;
});
