/** Budgets: what others may make us do, per second. A clock set back gathers nothing once. */
import type { Time } from "./machine.ts";

/** So much per second, and at once as much as gathers in two (or `most`). Full at the beginning. */
export class Budget {
  readonly #perSecond: number;
  readonly #most: number;
  #left: number;
  #at: Time | undefined;

  constructor(perSecond: number, most: number = 2 * perSecond) {
    this.#perSecond = perSecond;
    this.#most = most;
    this.#left = most;
  }

  /** Takes `amount` if there is so much; otherwise nothing. */
  take(now: Time, amount = 1): boolean {
    if (this.left(now) < amount) return false;
    this.#left -= amount;
    return true;
  }

  /** What can be taken now. */
  left(now: Time): number {
    const gathered = (Math.max(0, now - (this.#at ?? now)) / 1000) * this.#perSecond;
    this.#left = Math.min(this.#most, this.#left + gathered);
    this.#at = now;
    return this.#left;
  }

  /** Whether it is as it was at the beginning. */
  isFull(now: Time): boolean {
    return this.left(now) === this.#most;
  }
}

/** A budget for each of many. The least recently used are forgotten, and begin with a full one when they come again. */
export class Budgets<K> {
  readonly #make: () => Budget;
  readonly #limit: number;
  readonly #byKey = new Map<K, Budget>();

  constructor(make: () => Budget, limit: number) {
    this.#make = make;
    this.#limit = limit;
  }

  /** The budget of this one, full when it is new or was forgotten. Never `undefined`. */
  of(key: K): Budget {
    const budget = this.#byKey.get(key) ?? this.#make();
    this.#byKey.delete(key);
    const [oldest] = this.#byKey.size >= this.#limit ? this.#byKey.keys() : [];
    if (oldest !== undefined) this.#byKey.delete(oldest);
    this.#byKey.set(key, budget);
    return budget;
  }
}

/**
 * A budget for all of them together, and for each a share of its own that the others cannot use up. So who takes much
 * keeps nobody else out altogether. What is taken in all is bounded by the common budget and `limit` shares: when so
 * many are in use, who comes new has the common one only.
 */
export class Shares<K> {
  readonly #common: Budget;
  readonly #share: () => Budget;
  readonly #limit: number;
  readonly #byKey = new Map<K, Budget>(); // the one asked least recently first

  constructor(options: { readonly common: Budget; readonly share: () => Budget; readonly limit: number }) {
    this.#common = options.common;
    this.#share = options.share;
    this.#limit = options.limit;
  }

  /** Takes one for `key`: of its share, or else of the common budget. */
  take(key: K, now: Time): boolean {
    return this.#of(key, now)?.take(now) === true || this.#common.take(now);
  }

  /** Whether there is one for `key`. */
  has(key: K, now: Time): boolean {
    return (this.#of(key, now)?.left(now) ?? 0) >= 1 || this.#common.left(now) >= 1;
  }

  #of(key: K, now: Time): Budget | undefined {
    const known = this.#byKey.get(key);
    if (known === undefined && this.#byKey.size >= this.#limit) {
      const [oldest] = this.#byKey;
      // Nobody gets a full share by being forgotten.
      if (oldest === undefined || !oldest[1].isFull(now)) return undefined;
      this.#byKey.delete(oldest[0]);
    }
    const share = known ?? this.#share();
    this.#byKey.delete(key);
    this.#byKey.set(key, share);
    return share;
  }
}
