/** Slots: how much may be in flight at once, and who is next when all is taken. protocol/mail.md §10 */
import type { Hashname } from "../crypto/index.ts";

/**
 * Shared by all deliveries of a `Mail`. A slot that comes free is not for whoever had it, as long as somebody waits: a contact
 * with one mail waits for one part of each of the others, not for all of theirs.
 */
export class Slots {
  readonly limit: number;
  used = 0;
  /** Who has more to send than there was room for, in the order of asking. */
  readonly #waiting = new Set<Hashname>();
  /** The same, of files: they leave the last slots to texts, so that these never wait for them. */
  readonly #filing = new Set<Hashname>();
  #turn: Hashname | undefined;

  constructor(limit: number = SLOTS) {
    this.limit = limit;
  }

  /** May the peer take one? If not, it is told by `feed` when it may. */
  has(peer: Hashname): boolean {
    return this.#has(peer, this.limit, this.#waiting);
  }

  /** The same for a part of a file. */
  hasForFile(peer: Hashname): boolean {
    return this.#has(peer, this.limit - this.limit / 8, this.#filing);
  }

  /** Gives a turn to those who wait, the first first, each once at most, for as long as there are slots. */
  feed(turn: (peer: Hashname) => void): void {
    for (const waiting of [this.#waiting, this.#filing]) {
      const limit = waiting === this.#waiting ? this.limit : this.limit - this.limit / 8;
      for (let left = waiting.size; left > 0 && this.used < limit; left--) {
        const [peer] = waiting;
        if (peer === undefined) break;
        waiting.delete(peer);
        this.#turn = peer;
        turn(peer);
      }
    }
    this.#turn = undefined;
  }

  #has(peer: Hashname, limit: number, waiting: Set<Hashname>): boolean {
    const [first = peer] = waiting;
    const isFree = this.used < limit && (first === peer || this.#turn === peer);
    // Whoever takes one goes behind those who wait.
    if (isFree) waiting.delete(peer);
    else waiting.add(peer);
    return isFree;
  }
}

const SLOTS = 64; // parts in flight in all
