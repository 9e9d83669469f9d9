/**
 * The stamps of a sender: which are found for today, and the one that is being looked for. The search itself is slow, so it
 * is a question to the driver. protocol/admission.md §7
 */
import { Budget, type Time } from "../bytes/index.ts";
import { MAX_WORK, type StampTask, stampDay, stampText } from "../card/index.ts";
import type { Hashname } from "../crypto/index.ts";

/** A cache and a recipient: a stamp serves all mail of the day between the two. */
export interface StampPair {
  readonly via: Hashname;
  readonly to: Hashname;
}

export type StampOut =
  /** Look for this. Answered by one `found` unless it is taken back. One question is open at a time. */
  | { type: "find-stamp"; req: number; task: Omit<StampTask, "sender"> }
  /** It is not needed any more. */
  | { type: "forget-stamp"; req: number };

/** A stamp that was found. */
export interface Stamp {
  readonly text: string;
  readonly work: number;
  /** From when on it is better to show another one. */
  readonly until: Time;
}

interface Wanted extends StampPair {
  readonly work: number;
}

/** Stamps in memory: after a restart those that are still needed are looked for anew. */
export class Stamps {
  /** By pair, oldest first. */
  readonly #found = new Map<string, Stamp>();
  /** By pair, what is being looked for among them. */
  readonly #wanted = new Map<string, Wanted>();
  readonly #budget = new Budget(HASHES_PER_SECOND, MOST_HASHES);
  #search: { readonly req: number; readonly key: string; readonly day: number; readonly work: number } | undefined;
  #nextReq = 1;
  readonly #tell: (out: StampOut) => void;

  constructor(tell: (out: StampOut) => void) {
    this.#tell = tell;
  }

  /** One with so much work that is good now. */
  get(pair: StampPair, work: number, now: Time): Stamp | undefined {
    const stamp = this.#found.get(keyOf(pair));
    return stamp !== undefined && stamp.work >= work && now < stamp.until ? stamp : undefined;
  }

  /** Look for one, now or after others. False: too much work was asked of us lately; again later. */
  want({ via, to }: StampPair, work: number, now: Time): boolean {
    const key = keyOf({ via, to });
    if ((this.#wanted.get(key)?.work ?? 0) >= work) return true;
    // Paid for when it is asked: whoever writes tokens decides how dear they are, and we how much that may be in all.
    if (this.#wanted.size >= MAX_WANTED || !this.#budget.take(now, 2 ** work)) return false;
    if (this.#search?.key === key) this.#stop();
    this.#wanted.set(key, { via, to, work });
    this.#next(now);
    return true;
  }

  /** Nothing waits for this one any more. */
  drop(pair: StampPair, now: Time): void {
    const key = keyOf(pair);
    if (!this.#wanted.delete(key) || this.#search?.key !== key) return;
    this.#stop();
    this.#next(now);
  }

  /** The driver's answer: for whom there is a stamp now, or nothing to wait for. `undefined` when that was not asked. */
  found(req: number, stamp: Uint8Array | undefined, now: Time): StampPair | undefined {
    const search = this.#search;
    if (search?.req !== req) return undefined;
    const wanted = this.#wanted.get(search.key);
    this.#search = undefined;
    this.#wanted.delete(search.key);
    if (stamp !== undefined) {
      this.#found.delete(search.key);
      const [oldest] = this.#found.size >= MAX_FOUND ? this.#found.keys() : [];
      if (oldest !== undefined) this.#found.delete(oldest);
      const until = (search.day + 1) * DAY_MS + SPARE_MS;
      this.#found.set(search.key, { text: stampText(stamp), work: search.work, until });
    }
    this.#next(now);
    return wanted;
  }

  /** The cheapest first: who asks for much makes nobody else's mail wait for more than one search. */
  #next(now: Time): void {
    if (this.#search !== undefined) return;
    let best: Wanted | undefined;
    for (const wanted of this.#wanted.values()) if (wanted.work < (best?.work ?? MAX_WORK + 1)) best = wanted;
    if (best === undefined) return;
    const { via, to, work } = best;
    const [req, day] = [this.#nextReq++, stampDay(now)];
    this.#search = { req, key: keyOf(best), day, work };
    this.#tell({ type: "find-stamp", req, task: { cache: via, recipient: to, day, work } });
  }

  #stop(): void {
    if (this.#search !== undefined) this.#tell({ type: "forget-stamp", req: this.#search.req });
    this.#search = undefined;
  }
}

function keyOf({ via, to }: StampPair): string {
  return `${via} ${to}`;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const SPARE_MS = 60 * 60 * 1000; // a cache takes yesterday's for the whole day; its clock may be ahead of ours
const MAX_FOUND = 1024;
const MAX_WANTED = 64;
const HASHES_PER_SECOND = 4096; // half a percent of a core in JavaScript alone; the dearest stamp each 68 minutes
const MOST_HASHES: number = 8 * 2 ** MAX_WORK;
