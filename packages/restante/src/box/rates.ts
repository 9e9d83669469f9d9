/**
 * How fast messages may come to the store: so much per second for each sender and for each recipient, strangers apart. It
 * decides whether the store is asked, and nothing that a sender could see (C45). protocol/box.md §7
 */
import { Budget, type Time } from "../bytes/index.ts";
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
   * Whether a message of `bytes` may be put; if so, it counts. One that may not counts nowhere. `pair`: what `pairOf` gave
   * for the two, where it is at hand.
   */
  put(
    kind: BoxClass,
    sender: Hashname,
    recipient: Hashname,
    bytes: number,
    now: Time,
    pair: string = pairOf(sender, recipient),
  ): boolean {
    const [senders, recipients] = kind === "stranger" ? this.#strange : this.#known;
    const size = Math.max(bytes, MIN_COUNTED);
    if (!senders.has(sender, size, now)) return false;
    if (!(kind !== "stranger" && this.#pairs.take(pair, size, now)) && !recipients.take(recipient, size, now))
      return false;
    senders.take(sender, size, now);
    return true;
  }

  /** Whether a sender may remove once more; if so, it counts. */
  remove(kind: BoxClass, sender: Hashname, now: Time): boolean {
    const [senders] = kind === "stranger" ? this.#strange : this.#known;
    return senders.take(sender, MIN_COUNTED, now);
  }
}

/** What a sender and a recipient are called together: made once, since to make it costs more than to look it up. */
export function pairOf(sender: Hashname, recipient: Hashname): string {
  return `${sender} ${recipient}`;
}

/** What one name has, in its place among the others: more recently used than `older`, less than `newer`. */
interface Bucket {
  readonly name: string;
  readonly budget: Budget;
  older: Bucket | undefined;
  newer: Bucket | undefined;
}

/** A bucket for each of many names; one that is full again is as none. */
class Buckets {
  readonly #rate: Rate;
  /** In no order: a map that is kept in one by deleting and setting again is copied all the time. */
  readonly #byName = new Map<string, Bucket>();
  /** Least and most recently used. */
  #oldest: Bucket | undefined;
  #newest: Bucket | undefined;
  /** For all that find no place: nobody gets a full bucket because another was forgotten. */
  readonly #rest: Bucket;

  constructor(rate: Rate) {
    this.#rate = rate;
    this.#rest = this.#full("");
  }

  has(name: string, bytes: number, now: Time): boolean {
    return this.#of(name, now).budget.left(now) >= bytes;
  }

  /** False: there is not so much, and nothing is taken. */
  take(name: string, bytes: number, now: Time): boolean {
    const bucket = this.#of(name, now);
    if (!bucket.budget.take(now, bytes)) return false;
    if (bucket === this.#rest || bucket === this.#newest) return true;
    if (bucket.newer === undefined) this.#byName.set(name, bucket);
    else this.#unlink(bucket);
    this.#append(bucket);
    return true;
  }

  #of(name: string, now: Time): Bucket {
    if (this.#newest?.name === name) return this.#newest;
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const oldest = this.#oldest;
    if (this.#byName.size >= MAX_NAMES && oldest !== undefined) {
      if (!oldest.budget.isFull(now)) return this.#rest;
      this.#byName.delete(oldest.name);
      this.#unlink(oldest);
    }
    return this.#full(name);
  }

  #unlink(bucket: Bucket): void {
    const { older, newer } = bucket;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
  }

  #append(bucket: Bucket): void {
    const newest = this.#newest;
    bucket.older = newest;
    bucket.newer = undefined;
    if (newest === undefined) this.#oldest = bucket;
    else newest.newer = bucket;
    this.#newest = bucket;
  }

  #full(name: string): Bucket {
    const budget = new Budget(this.#rate.perSecond, this.#rate.most);
    return { name, budget, older: undefined, newer: undefined };
  }
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
const MAX_NAMES = 16_384;
