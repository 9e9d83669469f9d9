/** Announced: the forward keys that one peer told us, and which of its announcements was the latest. protocol/forward.md §4 */
import type { Announcement } from "./acknowledgement.ts";

/** Sender side, one per receiving peer. An announcement that is old, or a copy, never brings back what it said. */
export class Announced {
  /** The last turn heard of each ring; that which told something new last is the last. */
  readonly #turns: Map<string, number>;
  #keys: readonly string[];

  /** `saved`: what `json` gave. */
  constructor(saved: AnnouncedJson = { turns: [], keys: [] }) {
    this.#turns = new Map(saved.turns);
    this.#keys = saved.keys;
  }

  /** The keys that the peer holds, 64 hex, the newest first; none when it never told any. */
  get keys(): readonly string[] {
    return this.#keys;
  }

  /** Takes over an announcement; whether it was news. `isKey`: whether a key can be used, else the whole is not taken. */
  merge({ ring, turn, keys }: Announcement, isKey: (key: string) => boolean): boolean {
    if (turn <= (this.#turns.get(ring) ?? 0)) return false;
    if (!keys.every((key) => this.#keys.includes(key) || isKey(key))) return false;
    this.#turns.delete(ring);
    this.#turns.set(ring, turn);
    const [oldest] = this.#turns.keys();
    if (this.#turns.size > RINGS_LIMIT && oldest !== undefined) this.#turns.delete(oldest);
    this.#keys = keys;
    return true;
  }

  json(): AnnouncedJson {
    return { turns: [...this.#turns], keys: this.#keys };
  }
}

/** In the store. */
export interface AnnouncedJson {
  readonly turns: readonly (readonly [ring: string, turn: number])[];
  readonly keys: readonly string[];
}

// A copy of an announcement from a ring that was forgotten counts as news. Then the peer cannot open what we seal, and says so
// under a new name: the more are remembered, the more restored stores it takes to be fooled once.
const RINGS_LIMIT = 16;
