/**
 * How fast messages may come to the store: so much per second for each sender and for each recipient, strangers apart. It
 * decides whether the store is asked, and nothing that a sender could see (C45). protocol/box.md §7
 */
import type { Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import type { BoxClass } from "./operations.ts";

/** Bytes that may come at once, and bytes that gather again each second. */
interface Rate {
  readonly most: number;
  readonly perSecond: number;
}

/** For members and contacts, and for strangers: for one sender to all recipients, for one recipient from all senders. */
export interface RateLimits {
  readonly sender: Rate;
  readonly recipient: Rate;
  readonly strangeSender: Rate;
  readonly strangersOfRecipient: Rate;
  /** For one member or contact to one recipient: what it always has, however much the others send there. */
  readonly pair?: Rate;
}

/** What has come lately from whom and for whom. */
export class Rates {
  readonly #known: readonly [senders: Buckets, recipients: Buckets];
  /** So that nobody is kept out by those who use up what there is for the recipient. */
  readonly #pairs: Buckets;
  readonly #strange: readonly [senders: Buckets, recipients: Buckets];

  constructor(limits: RateLimits = RATE_LIMITS) {
    this.#known = [new Buckets(limits.sender), new Buckets(limits.recipient)];
    this.#pairs = new Buckets(limits.pair ?? NO_RATE);
    this.#strange = [new Buckets(limits.strangeSender), new Buckets(limits.strangersOfRecipient)];
  }

  /**
   * Whether a message of `bytes` may be put; if so, it counts. One that may not counts nowhere. `pair`: a name of the two together,
   * such as that of their box, where there is one.
   */
  put(
    kind: BoxClass,
    sender: Hashname,
    recipient: Hashname,
    bytes: number,
    now: Time,
    pair: string = `${sender} ${recipient}`,
  ): boolean {
    const [senders, recipients] = kind === "stranger" ? this.#strange : this.#known;
    const size = Math.max(bytes, MIN_COUNTED);
    const place = senders.find(sender, size, now);
    if (place === EMPTY) return false;
    if (!(kind !== "stranger" && this.#pairs.take(pair, size, now)) && !recipients.take(recipient, size, now))
      return false;
    senders.draw(place, sender, size, now);
    return true;
  }

  /** Whether a sender may remove once more; if so, it counts. */
  remove(kind: BoxClass, sender: Hashname, now: Time): boolean {
    const [senders] = kind === "stranger" ? this.#strange : this.#known;
    return senders.take(sender, MIN_COUNTED, now);
  }
}

/**
 * A bucket for each of many names; one that is full again is as none. What a bucket has is in arrays of numbers, by its place:
 * objects for all who came lately were a fifth of what the collector of a busy cache had to look through.
 */
class Buckets {
  readonly #rate: Rate;
  /** Places by name, in no order: a map that is kept in one by deleting and setting again is copied all the time. */
  readonly #places = new Map<string, number>();
  readonly #names: string[] = [""];
  /** What is there, and since when. At REST what all have that find no place: nobody gets a full bucket because another was forgotten. */
  #left: Float64Array = new Float64Array(FIRST_PLACES);
  #since: Float64Array = new Float64Array(FIRST_PLACES);
  /** The one used before it, and after it: REST for none. Of REST itself the most and the least recently used. */
  #older: Uint16Array = new Uint16Array(FIRST_PLACES);
  #newer: Uint16Array = new Uint16Array(FIRST_PLACES);

  constructor(rate: Rate) {
    this.#rate = rate;
    this.#left[REST] = rate.most;
    this.#since[REST] = Number.POSITIVE_INFINITY;
  }

  /** False: there is not so much, and nothing is taken. */
  take(name: string, bytes: number, now: Time): boolean {
    const place = this.find(name, bytes, now);
    if (place === EMPTY) return false;
    this.draw(place, name, bytes, now);
    return true;
  }

  /** Where so much may be drawn, before anything else is asked for or taken. EMPTY: there is not so much. */
  find(name: string, bytes: number, now: Time): number {
    const place = this.#placeOf(name, now);
    return (place === NONE ? this.#rate.most : this.#gather(place, now)) >= bytes ? place : EMPTY;
  }

  /** Takes what was found there for this name. */
  draw(found: number, name: string, bytes: number, now: Time): void {
    const place = found === NONE ? this.#enter(name, now) : found;
    this.#left[place] = (found === NONE ? this.#rate.most : (this.#left[place] ?? 0)) - bytes;
    if (found === REST || place === this.#older[REST]) return;
    if (found !== NONE) this.#unlink(place);
    this.#append(place);
  }

  /** Where the bucket of this name is. NONE: it is full, and nowhere; REST: there is no place for it. */
  #placeOf(name: string, now: Time): number {
    const newest = this.#older[REST] ?? REST;
    if (newest !== REST && this.#names[newest] === name) return newest;
    const known = this.#places.get(name);
    if (known !== undefined) return known;
    const oldest = this.#newer[REST] ?? REST;
    return this.#places.size >= MAX_NAMES && this.#gather(oldest, now) < this.#rate.most ? REST : NONE;
  }

  /** What is there now. A clock set back gathers nothing once. */
  #gather(place: number, now: Time): number {
    const gathered = (Math.max(0, now - (this.#since[place] ?? now)) / 1000) * this.#rate.perSecond;
    const left = Math.min(this.#rate.most, (this.#left[place] ?? 0) + gathered);
    this.#left[place] = left;
    this.#since[place] = now;
    return left;
  }

  /** A place for a name that has none: a new one, or that of the least recently used, which is full. */
  #enter(name: string, now: Time): number {
    let place = this.#names.length;
    if (this.#places.size >= MAX_NAMES) {
      place = this.#newer[REST] ?? REST;
      this.#places.delete(this.#names[place] ?? "");
      this.#unlink(place);
    } else if (place === this.#left.length) this.#grow();
    this.#names[place] = name;
    this.#places.set(name, place);
    this.#since[place] = now;
    return place;
  }

  #unlink(place: number): void {
    const [older, newer] = [this.#older[place] ?? REST, this.#newer[place] ?? REST];
    this.#newer[older] = newer;
    this.#older[newer] = older;
  }

  #append(place: number): void {
    const newest = this.#older[REST] ?? REST;
    this.#older[place] = newest;
    this.#newer[place] = REST;
    this.#newer[newest] = place;
    this.#older[REST] = place;
  }

  #grow(): void {
    const places = Math.min(2 * this.#left.length, MAX_NAMES + 1);
    this.#left = longer(new Float64Array(places), this.#left);
    this.#since = longer(new Float64Array(places), this.#since);
    this.#older = longer(new Uint16Array(places), this.#older);
    this.#newer = longer(new Uint16Array(places), this.#newer);
  }
}

function longer<T extends Float64Array | Uint16Array>(fresh: T, old: T): T {
  fresh.set(old);
  return fresh;
}

const KB = 1024;
const MB: number = 1024 * KB;
/** Far above what people write: four full boxes at once, half of a recipient's quota each minute. protocol/box.md §7 */
const RATE_LIMITS: RateLimits = {
  sender: { most: 32 * MB, perSecond: MB },
  recipient: { most: 128 * MB, perSecond: 4 * MB },
  strangeSender: { most: 64 * KB, perSecond: 64 },
  strangersOfRecipient: { most: 512 * KB, perSecond: KB },
  pair: { most: 256 * KB, perSecond: KB },
};
const NO_RATE: Rate = { most: 0, perSecond: 0 };
const MIN_COUNTED = 128; // box.md §7: or messages of one byte would be free
const MAX_NAMES = 16_384; // each with a number of 16 bits, and REST
const REST = 0;
const NONE = -1;
const EMPTY = -2;
const FIRST_PLACES = 8;
