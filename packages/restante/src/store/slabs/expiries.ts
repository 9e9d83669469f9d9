/**
 * A time for each of many places, and the earliest of them at hand: a tree of minima with 16 children each, in arrays. 6.6
 * bytes per place, where a heap that knows where each entry stands takes 16. Setting a time costs O(log n).
 */
import type { Time } from "../../bytes/index.ts";

interface Leaves {
  readonly low: Uint32Array;
  readonly high: Uint16Array;
}

export class Expiries {
  readonly #leaves: Leaves[] = [];
  /** Each entry is the least of 16 below; the last level has one. */
  readonly #levels: number[][] = [];

  /** The earliest of all; `NEVER` when there is none. */
  next(): Time {
    return this.#levels.at(-1)?.[0] ?? NEVER;
  }

  /** A place with the earliest time. */
  first(): number {
    let place = 0;
    const time = this.next();
    for (let level = this.#levels.length - 2; level >= -1; level--) {
      place *= FAN;
      while (this.#at(level, place) !== time) place++;
    }
    return place;
  }

  get(place: number): Time {
    const leaves = this.#leaves[place >>> CHUNK_BITS];
    if (leaves === undefined) return NEVER;
    const at = place & (PER_CHUNK - 1);
    return (leaves.high[at] ?? 0) * 2 ** 32 + (leaves.low[at] ?? 0);
  }

  /** `time` is a whole number from 0 to `NEVER`. */
  set(place: number, time: Time): void {
    let was = this.get(place);
    this.#setLeaf(place, time);
    let value = time;
    let at = place;
    for (let i = 0; i === 0 || (this.#levels[i - 1]?.length ?? 0) > 1; i++) {
      at >>>= FAN_BITS;
      let level = this.#levels[i];
      if (level === undefined) {
        level = [this.#least(i, 0)];
        this.#levels.push(level);
      }
      while (level.length <= at) level.push(NEVER);
      const least = level[at] ?? NEVER;
      if (value > least && was > least) return; // neither is the least now, nor was it
      const now = value <= least ? value : this.#least(i, at);
      if (now === least && i < this.#levels.length - 1) return;
      level[at] = now;
      value = now;
      was = least;
    }
  }

  /** From this place on there is nothing any more. */
  trim(places: number): void {
    this.#leaves.length = (places + PER_CHUNK - 1) >>> CHUNK_BITS;
    let size = places;
    for (const [i, level] of this.#levels.entries()) {
      size = Math.ceil(size / FAN);
      if (level.length > size) level.length = size;
      if (size > 1) continue;
      this.#levels.length = i + size;
      return;
    }
  }

  /** Bytes of memory that it holds now. */
  held(): number {
    return this.#levels.reduce((sum, level) => sum + 8 * level.length, 6 * PER_CHUNK * this.#leaves.length);
  }

  #least(level: number, at: number): Time {
    let least = NEVER;
    if (level > 0) {
      const below = this.#levels[level - 1] ?? [];
      const end = Math.min((at + 1) * FAN, below.length);
      for (let i = at * FAN; i < end; i++) least = Math.min(least, below[i] ?? NEVER);
      return least;
    }
    const place = at * FAN;
    const leaves = this.#leaves[place >>> CHUNK_BITS];
    if (leaves === undefined) return NEVER;
    const start = place & (PER_CHUNK - 1);
    for (let i = start; i < start + FAN; i++)
      least = Math.min(least, (leaves.high[i] ?? 0) * 2 ** 32 + (leaves.low[i] ?? 0));
    return least;
  }

  #at(level: number, place: number): Time {
    return level < 0 ? this.get(place) : (this.#levels[level]?.[place] ?? NEVER);
  }

  #setLeaf(place: number, time: Time): void {
    let leaves = this.#leaves[place >>> CHUNK_BITS];
    if (leaves === undefined) {
      leaves = { low: new Uint32Array(PER_CHUNK).fill(0xffffffff), high: new Uint16Array(PER_CHUNK).fill(0xffff) };
      this.#leaves[place >>> CHUNK_BITS] = leaves;
    }
    leaves.low[place & (PER_CHUNK - 1)] = time; // its low 32 bits
    leaves.high[place & (PER_CHUNK - 1)] = time / 2 ** 32;
  }
}

/** Later than every time. */
export const NEVER: Time = 2 ** 48 - 1;
const FAN_BITS = 4;
const FAN = 16;
const CHUNK_BITS = 11;
const PER_CHUNK: number = 1 << CHUNK_BITS;
