/** Token buckets: how much somebody may bring in a while. Time is an argument. */
import type { Time } from "restante/protocol";

/** So many at once, and so many a second from then on. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

/** One bucket for each key, all with the same rate. The least used are forgotten beyond a bound, and begin full again. */
export class TokenBuckets {
  readonly #rate: Rate;
  readonly #max: number;
  readonly #buckets = new Map<string, { left: number; at: Time }>();

  /** `max`: how many keys are remembered. */
  constructor(rate: Rate, max: number) {
    this.#rate = rate;
    this.#max = max;
  }

  /** Whether this much may come now. If so it is taken. A clock that goes back refills nothing. */
  take(key: string, amount: number, now: Time): boolean {
    const { burst, perSecond } = this.#rate;
    const bucket = this.#buckets.get(key) ?? { left: burst, at: now };
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > this.#max) {
      for (const oldest of this.#buckets.keys()) {
        this.#buckets.delete(oldest);
        break;
      }
    }
    bucket.left = Math.min(burst, bucket.left + (Math.max(0, now - bucket.at) / 1000) * perSecond);
    bucket.at = Math.max(bucket.at, now);
    if (bucket.left < amount) return false;
    bucket.left -= amount;
    return true;
  }
}
