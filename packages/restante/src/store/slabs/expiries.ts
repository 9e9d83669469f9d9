/**
 * A time for each of many places, and those that have come at hand: a tree with 16 children each, in arrays, in which no time is
 * before what stands above it. 6.6 bytes per place, where a heap that knows where each entry stands takes 16. A time that goes
 * leaves what stands above it as it is: most go long before they come, and whoever looks for those that have come tidies up.
 */
import type { Time } from "../../bytes/index.ts";

interface Leaves {
  readonly low: Uint32Array;
  readonly high: Uint16Array;
}

export class Expiries {
  readonly #leaves: Leaves[] = [];
  /** Nothing of the 16 below an entry is earlier; the last level has one. */
  readonly #levels: number[][] = [];

  /** None is earlier; `NEVER` when there is none. */
  next(): Time {
    return this.#levels.at(-1)?.[0] ?? NEVER;
  }

  /** A place whose time is not after `now`; `undefined`: there is none, and `next` is after `now` as well. */
  due(now: Time): number | undefined {
    return this.#dueBelow(this.#levels.length - 1, 0, now);
  }

  get(place: number): Time {
    const leaves = this.#leaves[place >>> CHUNK_BITS];
    return leaves === undefined ? NEVER : timeOf(leaves, place & (PER_CHUNK - 1));
  }

  /** `time` is a whole number from 0 to `NEVER`. */
  set(place: number, time: Time): void {
    this.#setLeaf(place, time);
    this.#lower(place, time);
  }

  /** Places from `to` on get the times of those from `from` on, `count` of them. */
  copy(from: number, to: number, count: number): void {
    let least = NEVER;
    for (let i = 0; i < count; i++) {
      const time = this.get(from + i);
      this.#setLeaf(to + i, time);
      if (time < least) least = time;
    }
    // What stands above may be too early.
    for (let place = to; place < to + count; place = (place | (FAN - 1)) + 1) this.#lower(place, least);
  }

  /** Nothing above this place is later. */
  #lower(place: number, time: Time): void {
    let at = place;
    for (let i = 0; i === 0 || (this.#levels[i - 1]?.length ?? 0) > 1; i++) {
      at >>>= FAN_BITS;
      let level = this.#levels[i];
      if (level === undefined) {
        level = [this.#least(i, 0)];
        this.#levels.push(level);
      }
      while (level.length <= at) level.push(NEVER);
      if ((level[at] ?? NEVER) <= time) return;
      level[at] = time;
    }
  }

  /** The places from `start` to `end` have no time any more. */
  clear(start: number, end: number): void {
    for (let place = start; place < end; place++) this.#setLeaf(place, NEVER);
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

  /** `due` among the places below this entry. */
  #dueBelow(level: number, at: number, now: Time): number | undefined {
    const entries = this.#levels[level];
    if (entries === undefined || (entries[at] ?? NEVER) > now) return undefined;
    for (let below = at * FAN; level > 0 && below < (at + 1) * FAN; below++) {
      const due = this.#dueBelow(level - 1, below, now);
      if (due !== undefined) return due;
    }
    const least = this.#least(level, at);
    entries[at] = least;
    if (level > 0 || least > now) return undefined;
    let place = at * FAN;
    while (this.get(place) > now) place++;
    return place;
  }

  /** The least of what is directly below an entry. */
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
    for (let i = start; i < start + FAN; i++) least = Math.min(least, timeOf(leaves, i));
    return least;
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

function timeOf({ low, high }: Leaves, at: number): Time {
  return (high[at] ?? 0) * 2 ** 32 + (low[at] ?? 0);
}

/** Later than every time. */
export const NEVER: Time = 2 ** 48 - 1;
const FAN_BITS = 4;
const FAN = 16;
const CHUNK_BITS = 11;
const PER_CHUNK: number = 1 << CHUNK_BITS;
