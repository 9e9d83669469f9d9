/**
 * Which of a peer's mails our caches showed us. An acknowledgement says it, so that the sender learns which caches are worth
 * its mail: a cache itself never tells whether it keeps anything. protocol/mail.md §9
 */
import type { Hashname } from "../crypto/index.ts";
import { isObject, type Json, type JsonObject, text } from "../wire/index.ts";
import { SEQ_LIMIT } from "./constants.ts";
import { isHex } from "./envelope.ts";
import { type Range, Ranges } from "./ranges.ts";

/** The numbers of one epoch of the reader's that came by caches, whether they were new by then or not. */
export interface Shown {
  /** 16 hex: an epoch of the reader. */
  readonly epoch: string;
  /** At most 4, of different names: those that showed something last, the latest last. */
  readonly caches: readonly ShownBy[];
}

/** One cache, and the numbers of mails that it showed. */
export interface ShownBy {
  /** The first 16 characters of its hashname. */
  readonly cache: string;
  /** The newest of them: 1 to 8 ranges, ascending, disjoint, not adjacent. From the first on they are complete. */
  readonly ranges: readonly Range[];
}

/** The recipient's account of one sender: bounded, and of the epoch alone in which the newest mail was numbered. */
export class Showings {
  #epoch = "";
  /** By name of the cache, the one that showed something last as the last. */
  readonly #caches = new Map<string, Ranges>();

  /** This cache showed this mail. `isNew`: it was unknown, so its epoch is the one in use. */
  note(cache: Hashname, epoch: string, seq: number, isNew: boolean): void {
    if (epoch !== this.#epoch) {
      // A copy of what is long known says nothing about the present; nor may it erase what does.
      if (!isNew) return;
      this.#epoch = epoch;
      this.#caches.clear();
    }
    const name = cacheName(cache);
    const ranges = this.#caches.get(name) ?? new Ranges();
    addNewest(ranges, seq, seq, SHOWN_RANGES);
    this.#caches.delete(name);
    this.#caches.set(name, ranges);
    const [oldest] = this.#caches.keys();
    if (this.#caches.size > SHOWN_CACHES && oldest !== undefined) this.#caches.delete(oldest);
  }

  /** What an acknowledgement says; `undefined`: nothing. */
  tell(): Shown | undefined {
    if (this.#caches.size === 0) return undefined;
    const caches = [...this.#caches].map(([cache, ranges]) => ({ cache, ranges: [...ranges.list()] }));
    return { epoch: this.#epoch, caches };
  }

  /** What was told before, as an account to go on with. */
  static of(shown: Shown | undefined): Showings {
    const showings = new Showings();
    if (shown === undefined) return showings;
    showings.#epoch = shown.epoch;
    for (const { cache, ranges } of shown.caches) showings.#caches.set(cache, rangesOf(ranges));
    return showings;
  }
}

/** As it stands in the head: each cache a list of its name, then first and last number of each range. */
export function encodeShown({ epoch, caches }: Shown): JsonObject {
  return { epoch, caches: caches.map(({ cache, ranges }) => [cache, ...ranges.flat()]) };
}

/** What `encodeShown` wrote; `undefined` for all that is not exactly as protocol/mail.md §9 has it. */
export function parseShown(json: Json | undefined): Shown | undefined {
  const fields = json !== undefined && isObject(json) ? json : undefined;
  const epoch = text(fields, "epoch");
  const list = fields?.["caches"];
  if (epoch === undefined || !isHex(epoch, EPOCH_BYTES) || !Array.isArray(list)) return undefined;
  if (list.length < 1 || list.length > SHOWN_CACHES) return undefined;
  const caches = (list as readonly Json[]).map(parseShownBy);
  if (new Set(caches.map((each) => each?.cache)).size < caches.length) return undefined;
  return caches.every((each) => each !== undefined) ? { epoch, caches } : undefined;
}

/** How an acknowledgement names a cache. */
export function cacheName(cache: Hashname): string {
  return cache.slice(0, NAME_LENGTH);
}

/** Puts numbers into a set of at most `limit` ranges. When there is no room, the lowest range gives way. */
export function addNewest(ranges: Ranges, first: number, last: number, limit: number): void {
  while (!ranges.add(first, last, limit)) {
    const lowest = ranges.list()[0];
    if (lowest === undefined || lowest[0] > last) return; // older than all that there is room for
    ranges.cut(lowest[1] + 1);
  }
}

function parseShownBy(json: Json): ShownBy | undefined {
  const list: readonly Json[] = Array.isArray(json) ? json : [];
  const [cache, ...numbers] = list;
  const ranges = parseRanges(numbers, SHOWN_RANGES);
  return typeof cache === "string" && CACHE_NAME.test(cache) && ranges ? { cache, ranges } : undefined;
}

/** 1 to `limit` ranges of numbers, each as first and last, ascending, with a gap between two; `undefined` for all else. */
export function parseRanges(numbers: readonly Json[], limit: number): readonly Range[] | undefined {
  if (numbers.length < 2 || numbers.length > 2 * limit || numbers.length % 2 !== 0) return undefined;
  const ranges: Range[] = [];
  let least = 1;
  for (let i = 0; i < numbers.length; i += 2) {
    const [first, last] = [numbers[i], numbers[i + 1]];
    if (!isNumber(first) || !isNumber(last) || first < least || last < first) return undefined;
    ranges.push([first, last]);
    least = last + 2;
  }
  return ranges;
}

function isNumber(json: Json | undefined): json is number {
  return typeof json === "number" && Number.isSafeInteger(json) && json <= SEQ_LIMIT;
}

function rangesOf(list: readonly Range[]): Ranges {
  const ranges = new Ranges();
  for (const [first, last] of list) addNewest(ranges, first, last, SHOWN_RANGES);
  return ranges;
}

const SHOWN_CACHES = 4; // a sender uses two, and more only where these fail
const SHOWN_RANGES = 8; // of one cache: more holes than that come when caches lose nearly everything
const NAME_LENGTH = 16; // 80 bits: the sender compares it with caches that it chose itself
const CACHE_NAME = /^[a-z2-7]{16}$/;
const EPOCH_BYTES = 8;
