/** Chance for simulations: the same seed gives the same world, on every machine. Not for keys. */
import type { Random } from "../bytes/index.ts";

/** A small fast generator (sfc32, by Chris Doty-Humphrey) with the draws that worlds need. */
export class Chance {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number) {
    this.#a = seed | 0;
    this.#b = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 0;
    this.#c = 0x243f6a88;
    for (let i = 0; i < 12; i++) this.next();
  }

  /** A whole number of 32 bits. */
  next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** At least 0, below 1. */
  fraction(): number {
    return this.next() / 2 ** 32;
  }

  /** True with this probability. */
  happens(probability: number): boolean {
    return probability > 0 && this.fraction() < probability;
  }

  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + Math.floor(this.fraction() * (high - low + 1));
  }

  /** One of them, each as likely. Throws for an empty list. */
  pick<T>(list: readonly T[]): T {
    const item = list[this.between(0, list.length - 1)];
    if (item === undefined) throw new Error("cannot pick from an empty list");
    return item;
  }

  /** A new array with all of them, in any order. */
  shuffle<T>(list: readonly T[]): T[] {
    const copy = [...list];
    for (let i = copy.length - 1; i > 0; i--) {
      const j = this.between(0, i);
      const [a, b] = [copy[i] as T, copy[j] as T];
      copy[i] = b;
      copy[j] = a;
    }
    return copy;
  }

  /** A generator of its own, so that what one part draws does not move the draws of another. */
  fork(): Chance {
    return new Chance(this.next());
  }

  /** As the `random` argument of the pure part. */
  readonly random: Random = (length) => {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i += 4) {
      const word = this.next();
      for (let j = 0; j < 4 && i + j < length; j++) bytes[i + j] = word >>> (8 * j);
    }
    return bytes;
  };
}
