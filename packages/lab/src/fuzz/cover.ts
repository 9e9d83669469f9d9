/** Which counters of the instrumented modules an input moved, and how far: what tells a new behaviour from an old one. */
import { COVER } from "./instrument.ts";

/** What the loop wants to know of an input that has just been run. */
export interface Coverage {
  /** Before an input. */
  reset(): void;
  /** The features of the input: numbers that stand for a counter and how often it counted, in steps. */
  features(): Set<number>;
  /** Those of them that no input had before. From now on they are old. */
  fresh(): number[];
  /** Words of the modules that had a part in what was seen so far, for a dictionary. */
  words(): Set<string | number>;
}

/** The counters of all modules that were loaded behind `hook.ts` after this was made. */
export class Counters implements Coverage {
  readonly #modules: { from: number; to: number; words: readonly (string | number)[] }[] = [];
  readonly #counts: Uint8ClampedArray; // which stay at 255, where others would begin anew
  readonly #wide: Uint32Array; // the same bytes
  readonly #seen: Uint8Array; // a bit for each step
  #used = 0;

  constructor(name: string = COVER, room: number = ROOM) {
    this.#counts = new Uint8ClampedArray(room);
    this.#wide = new Uint32Array(this.#counts.buffer);
    this.#seen = new Uint8Array(room);
    Object.assign(globalThis, { [Symbol.for(name)]: this.#take.bind(this) });
  }

  reset(): void {
    this.#counts.fill(0, 0, this.#used);
  }

  fresh(): number[] {
    const found: number[] = [];
    this.#each((counter, step) => {
      if (((this.#seen[counter] ?? 0) & step) !== 0) return;
      this.#seen[counter] = (this.#seen[counter] ?? 0) | step;
      found.push(counter * STEPS + step);
    });
    return found;
  }

  features(): Set<number> {
    const features = new Set<number>();
    this.#each((counter, step) => features.add(counter * STEPS + step));
    return features;
  }

  words(): Set<string | number> {
    const modules = this.#modules.filter(({ from, to }) => this.#seen.subarray(from, to).some((steps) => steps !== 0));
    return new Set(modules.flatMap(({ words }) => words));
  }

  #each(use: (counter: number, step: number) => void): void {
    const end = Math.ceil(this.#used / 4);
    for (let i = 0; i < end; i++) {
      if (this.#wide[i] === 0) continue;
      for (let counter = 4 * i; counter < 4 * i + 4; counter++) {
        const count = this.#counts[counter] ?? 0;
        if (count > 0) use(counter, STEP_OF[count] ?? 0);
      }
    }
  }

  #take(count: number, words: readonly (string | number)[]): Uint8ClampedArray {
    const counters = this.#counts.subarray(this.#used, this.#used + count);
    if (counters.length < count) throw new Error("there is no room for so many counters");
    this.#modules.push({ from: this.#used, to: this.#used + count, words });
    this.#used += count;
    return counters;
  }
}

const ROOM = 1 << 16; // the whole project has a sixth of it
const STEPS = 256;
/** A bit for 1, 2, 3, 4-7, 8-15, 16-31, 32-127, 128-255 times, as in AFL: ten rounds more of a loop are nothing new. */
const STEP_OF = Uint8Array.from({ length: 256 }, (_, count) => {
  const bounds = [2, 3, 4, 8, 16, 32, 128, 256];
  return count === 0 ? 0 : 1 << bounds.findIndex((bound) => count < bound);
});
