/** Budgets: what others may make us do, per second. A clock set back gathers nothing once. */
import type { Time } from "../bytes/index.ts";

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
    const gathered = (Math.max(0, now - (this.#at ?? now)) / 1000) * this.#perSecond;
    this.#left = Math.min(this.#most, this.#left + gathered);
    this.#at = now;
    if (this.#left < amount) return false;
    this.#left -= amount;
    return true;
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

  of(key: K): Budget {
    const budget = this.#byKey.get(key) ?? this.#make();
    this.#byKey.delete(key);
    const [oldest] = this.#byKey.size >= this.#limit ? this.#byKey.keys() : [];
    if (oldest !== undefined) this.#byKey.delete(oldest);
    this.#byKey.set(key, budget);
    return budget;
  }
}
