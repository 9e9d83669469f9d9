/**
 * Stamps: the work that a recipient may ask of strangers before a cache takes anything from them. One is good for one
 * sender, recipient, cache and day, and a cache checks it with one hash and no memory. protocol/admission.md §7
 */
import { concat, fromBase32, type Time, toBase32, utf8 } from "../bytes/index.ts";
import { type Backend, type Hashname, hashnameBytes } from "../crypto/index.ts";

/** Between whom a stamp is good, at which cache. */
export interface StampPlace {
  readonly cache: Hashname;
  readonly recipient: Hashname;
  readonly sender: Hashname;
}

/** What has to be found: a stamp of this day (`stampDay`) with `work` leading zero bits, 1 to `MAX_WORK`. */
export interface StampTask extends StampPlace {
  readonly day: number;
  readonly work: number;
}

/** The number of the UTC day, from 1970 on. */
export function stampDay(now: Time): number {
  return Math.floor(now / DAY_MS);
}

/**
 * The first stamp for the task (7 bytes) among the nonces `from` to `from + count - 1`, of which there are 2^32; `undefined`
 * when none of them will do. One hash each: 2^work on average. The caller divides the search into pieces of bearable length.
 */
export function findStamp(backend: Backend, task: StampTask, from: number, count: number): Uint8Array | undefined {
  const data = stampData(task, task.day);
  const view = new DataView(data.buffer, data.byteOffset);
  const end = Math.min(from + count, NONCES);
  for (let nonce = from; nonce < end; nonce++) {
    view.setUint32(NONCE_AT, nonce);
    if (hasWork(backend.sha256(data), task.work)) return data.slice(DAY_AT);
  }
  return undefined;
}

/** The text in which a stamp travels: 12 characters of base32. */
export function stampText(stamp: Uint8Array): string {
  return toBase32(stamp);
}

/**
 * Whether `text` is a stamp with so much work (0 to `MAX_WORK`) for this place, of the day of `now` or the one before or
 * after. At most one hash, and none for what is no stamp or of another day.
 */
export function verifyStamp(
  backend: Backend,
  place: StampPlace,
  work: number,
  text: string | undefined,
  now: Time,
): boolean {
  const stamp = text?.length === STAMP_CHARACTERS ? fromBase32(text) : undefined;
  if (stamp?.length !== STAMP_BYTES) return false;
  const day = stamp.subarray(0, DAY_BYTES).reduce((value, byte) => value * 256 + byte, 0);
  if (!(Math.abs(day - stampDay(now)) <= 1)) return false;
  const data = stampData(place, day);
  data.set(stamp, DAY_AT);
  return hasWork(backend.sha256(data), work);
}

/** What is hashed, with nonce 0. Two blocks of SHA-256, of which only the second changes with the nonce. */
function stampData({ cache, recipient, sender }: StampPlace, day: number): Uint8Array {
  const names = [cache, recipient, sender].map(hashnameBytes);
  return concat(LABEL, ...names, Uint8Array.of(day >> 16, day >> 8, day), new Uint8Array(NONCE_BYTES));
}

/** Whether so many bits are zero, from the highest of the first byte on. */
function hasWork(digest: Uint8Array, work: number): boolean {
  const [a = 255, b = 255, c = 255, d = 255] = digest;
  return Math.clz32((a << 24) | (b << 16) | (c << 8) | d) >= work;
}

/** The most that may be asked: 2^24 hashes, 22 s in JavaScript alone. What is beyond it keeps out people, not programs. */
export const MAX_WORK = 24;
const LABEL = utf8("restante/stamp/1"); // admission.md §7
const DAY_MS = 24 * 60 * 60 * 1000;
const DAY_BYTES = 3;
const NONCE_BYTES = 4;
const NONCES = 2 ** 32; // all without a stamp of 24 bits: once in e^256 tasks
const STAMP_BYTES: number = DAY_BYTES + NONCE_BYTES;
const STAMP_CHARACTERS = 12;
const DAY_AT: number = 16 + 3 * 32;
const NONCE_AT: number = DAY_AT + DAY_BYTES;
