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

  /** Whether a message of `bytes` may be put; if so, it counts. One that may not counts nowhere. */
  put(kind: BoxClass, sender: Hashname, recipient: Hashname, bytes: number, now: Time): boolean {
    const [senders, recipients] = kind === "stranger" ? this.#strange : this.#known;
    const size = Math.max(bytes, MIN_COUNTED);
    if (!senders.has(sender, size, now)) return false;
    const pair = `${sender} ${recipient}`;
    if (kind !== "stranger" && this.#pairs.has(pair, size, now)) this.#pairs.take(pair, size, now);
    else if (recipients.has(recipient, size, now)) recipients.take(recipient, size, now);
    else return false;
    senders.take(sender, size, now);
    return true;
  }

  /** Whether a sender may remove once more; if so, it counts. */
  remove(kind: BoxClass, sender: Hashname, now: Time): boolean {
    const [senders] = kind === "stranger" ? this.#strange : this.#known;
    if (!senders.has(sender, MIN_COUNTED, now)) return false;
    senders.take(sender, MIN_COUNTED, now);
    return true;
  }
}

/** A bucket for each of many names; one that is full again is as none. */
class Buckets {
  readonly #rate: Rate;
  /** Least recently used first. */
  readonly #byName = new Map<string, Budget>();
  /** For all that find no place: nobody gets a full bucket because another was forgotten. */
  readonly #rest: Budget;

  constructor(rate: Rate) {
    this.#rate = rate;
    this.#rest = this.#full();
  }

  has(name: string, bytes: number, now: Time): boolean {
    return this.#of(name, now).left(now) >= bytes;
  }

  /** After `has`. */
  take(name: string, bytes: number, now: Time): void {
    const bucket = this.#of(name, now);
    bucket.take(now, bytes);
    if (bucket === this.#rest) return;
    this.#byName.delete(name);
    this.#byName.set(name, bucket);
  }

  #of(name: string, now: Time): Budget {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    if (this.#byName.size >= MAX_NAMES) {
      const [oldest] = this.#byName;
      if (oldest === undefined || !oldest[1].isFull(now)) return this.#rest;
      this.#byName.delete(oldest[0]);
    }
    return this.#full();
  }

  #full(): Budget {
    return new Budget(this.#rate.perSecond, this.#rate.most);
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
