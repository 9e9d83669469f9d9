/** A set of whole numbers kept as sorted ranges: small as long as what is in it is mostly without holes. */
import { assert, concat, encodeVarint, type Reader } from "../bytes/index.ts";

/** Both ends included. */
export type Range = readonly [first: number, last: number];

/** Numbers 0..2^53-2. Ranges are ascending, disjoint and never adjacent, so equal sets have equal ranges and bytes. */
export class Ranges {
  #list: Range[] = [];

  /** How many ranges there are. */
  get count(): number {
    return this.#list.length;
  }

  /** How many numbers there are. */
  get size(): number {
    return this.#list.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  }

  /** The highest number, `undefined` when empty. */
  get highest(): number | undefined {
    return this.#list.at(-1)?.[1];
  }

  /** The ranges, ascending. */
  list(): readonly Range[] {
    return this.#list;
  }

  has(number: number): boolean {
    const range = this.#list[this.#reaching(number)];
    return range !== undefined && range[0] <= number;
  }

  /** Are all numbers from `first` to `last` in the set? */
  covers(first: number, last: number): boolean {
    const range = this.#list[this.#reaching(first)];
    return range !== undefined && range[0] <= first && range[1] >= last;
  }

  /** The lowest number from `from` on that is not in the set. */
  missing(from: number): number {
    const range = this.#list[this.#reaching(from)];
    return range !== undefined && range[0] <= from ? range[1] + 1 : from;
  }

  /** How many numbers are in this set and in the other. */
  common(other: Ranges): number {
    let count = 0;
    let index = 0;
    for (const [first, last] of this.#list) {
      while ((other.#list[index]?.[1] ?? Number.POSITIVE_INFINITY) < first) index++;
      for (let at = index; ; at++) {
        const range = other.#list[at];
        if (range === undefined || range[0] > last) break;
        count += Math.min(last, range[1]) - Math.max(first, range[0]) + 1;
      }
    }
    return count;
  }

  /** Puts the numbers in. `false`, and nothing changed, when that would take more than `limit` ranges. */
  add(first: number, last: number, limit: number): boolean {
    assert(first >= 0 && first <= last && last < Number.MAX_SAFE_INTEGER, "a range is ascending, within 0..2^53-2");
    // All ranges that touch first..last become one with it.
    const from = this.#reaching(first - 1);
    let to = from;
    let merged: Range = [first, last];
    for (let range = this.#list[to]; range !== undefined && range[0] <= last + 1; range = this.#list[++to]) {
      merged = [Math.min(merged[0], range[0]), Math.max(merged[1], range[1])];
    }
    if (this.#list.length - (to - from) + 1 > limit) return false;
    this.#list.splice(from, to - from, merged);
    return true;
  }

  /** Takes all numbers below `floor` out. */
  cut(floor: number): void {
    this.#list.splice(0, this.#reaching(floor));
    const lowest = this.#list[0];
    if (lowest !== undefined && lowest[0] < floor) this.#list[0] = [floor, lowest[1]];
  }

  /** Varints: count, then per range the distance from the least possible start (`base`, or 2 past the last end), and length - 1. */
  encode(base: number): Uint8Array {
    let next = base;
    const parts = [encodeVarint(this.#list.length)];
    for (const [first, last] of this.#list) {
      parts.push(encodeVarint(first - next), encodeVarint(last - first));
      next = last + 2;
    }
    return concat(...parts);
  }

  /** What `encode(base)` wrote; `undefined` for more than `limit` ranges or numbers above `highest`. */
  static read(reader: Reader, bounds: { base: number; highest: number; limit: number }): Ranges | undefined {
    const count = reader.varint();
    if (count === undefined || count > bounds.limit) return undefined;
    const ranges = new Ranges();
    let next = bounds.base;
    for (let i = 0; i < count; i++) {
      const gap = reader.varint();
      const more = reader.varint();
      if (gap === undefined || more === undefined) return undefined;
      const first = next + gap;
      const last = first + more;
      if (last > bounds.highest) return undefined;
      ranges.#list.push([first, last]);
      next = last + 2;
    }
    return ranges;
  }

  /** Index of the first range that ends at `number` or later; the count when there is none. */
  #reaching(number: number): number {
    let low = 0;
    let high = this.#list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const range = this.#list[middle];
      if (range !== undefined && range[1] < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
