/**
 * Repute: what became of the mail that was handed to one cache. Ranks caches; a single mail does not reorder good ones, and
 * what lies long ago counts ever less. protocol/mail.md §10
 */
import { type Range, Ranges } from "./ranges.ts";
import { addNewest } from "./shown.ts";

/** Mails handed to a cache and ended since, and how many of these it brought to the recipient. */
export interface Account {
  readonly settled: number;
  readonly delivered: number;
}

/** The account of one cache. Bounded, whatever the recipient says of it. */
export class Repute implements Account {
  #settled: number;
  #delivered: number;
  /** Numbers that the recipient has seen there. */
  readonly #shown = new Ranges();
  /** Numbers that count as not delivered: the cache may only have been slower than another. The oldest first. */
  readonly #missed = new Set<number>();

  constructor(account: Account = { settled: 0, delivered: 0 }) {
    this.#settled = account.settled;
    this.#delivered = account.delivered;
  }

  get settled(): number {
    return this.#settled;
  }

  get delivered(): number {
    return this.#delivered;
  }

  /** The recipient says that the cache showed these. */
  heard(ranges: readonly Range[]): void {
    for (const [first, last] of ranges) addNewest(this.#shown, first, last, SHOWN_LIMIT);
    for (const seq of this.#missed) {
      if (!this.#shown.has(seq)) continue;
      this.#missed.delete(seq);
      this.#delivered = Math.min(this.#delivered + 1, this.#settled);
    }
  }

  /** Did the recipient see this mail there? */
  showed(seq: number): boolean {
    return this.#shown.has(seq);
  }

  /** A mail that was handed there has ended. */
  settle(seq: number): void {
    this.#settled++;
    if (this.showed(seq)) this.#delivered++;
    else {
      this.#missed.add(seq);
      const [oldest] = this.#missed;
      if (this.#missed.size > MISSED_LIMIT && oldest !== undefined) this.#missed.delete(oldest);
    }
    if (this.#settled < HALVED_AT) return;
    this.#settled = Math.floor(this.#settled / 2);
    this.#delivered = Math.floor(this.#delivered / 2);
  }
}

/** 0..4, so coarse that a single mail does not reorder good caches. Untried counts as good. */
export function score({ settled, delivered }: Account): number {
  return Math.round(((delivered + 1) / (settled + 1)) * 4);
}

const SHOWN_LIMIT = 64; // ranges
const MISSED_LIMIT = 64;
const HALVED_AT = 64;
