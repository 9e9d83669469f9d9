/**
 * The loop: damages inputs that showed something new, and keeps those whose damage shows something new again. What is
 * new, the counters of the code say (cover.ts).
 */
import * as fc from "fast-check";
import { concat, utf8 } from "restante/protocol";
import { Chance } from "restante/testing";
import { minimised } from "./corpus.ts";
import type { Coverage } from "./cover.ts";
import { LONGEST, Mutator } from "./mutate.ts";
import type { Target } from "./target.ts";

/** A broken promise: an input that made the target throw, or took more CPU time than it may. */
export interface Failure {
  readonly why: string;
  readonly input: Uint8Array;
}

export interface LoopOptions {
  readonly target: Target;
  readonly coverage: Coverage;
  readonly seed: number;
  /** Milliseconds of CPU time that this thread has used. */
  readonly cpu: () => number;
  /** Hears of each input before it is run, so that somebody can tell which one never came to an end. */
  readonly before?: (input: Uint8Array) => void;
}

export class Loop {
  readonly #target: Target;
  readonly #coverage: Coverage;
  readonly #cpu: () => number;
  readonly #before: (input: Uint8Array) => void;
  readonly #chance: Chance;
  #mutator: Mutator | undefined;
  readonly #corpus: Uint8Array[] = [];
  readonly #failures = new Map<string, Failure>();
  #made: Uint8Array[] = [];
  #executions = 0;
  #features = 0;

  constructor({ target, coverage, seed, cpu, before }: LoopOptions) {
    this.#target = target;
    this.#coverage = coverage;
    this.#cpu = cpu;
    this.#before = before ?? (() => {});
    this.#chance = new Chance(seed);
  }

  /** Inputs that were run, also those that only made others shorter. */
  get executions(): number {
    return this.#executions;
  }

  /** Inputs that each showed something new. */
  get corpus(): readonly Uint8Array[] {
    return this.#corpus;
  }

  /** All that was ever new. */
  get features(): number {
    return this.#features;
  }

  /** One for each kind, as short as could be found. */
  get failures(): readonly Failure[] {
    return [...this.#failures.values()];
  }

  /** Runs the input as it is, but for what is too long. Whether it showed something new. */
  async give(whole: Uint8Array): Promise<boolean> {
    const input = whole.subarray(0, LONGEST);
    const why = await this.#run(input);
    if (why !== undefined) {
      await this.#fail(why, input);
      return false;
    }
    const fresh = this.#coverage.fresh();
    if (fresh.length === 0) return false;
    this.#features += fresh.length;
    const shows = async (shorter: Uint8Array): Promise<boolean> => {
      if ((await this.#run(shorter)) !== undefined) return false;
      const features = this.#coverage.features();
      return fresh.every((one) => features.has(one));
    };
    this.#corpus.push(await shortened(input, shows, CUTS));
    return true;
  }

  /** One damaged input, or one made from nothing. */
  async step(): Promise<void> {
    const chance = this.#chance;
    // Only now, when the examples have shown which modules there are to speak to.
    this.#mutator ??= new Mutator(chance, dictionary(this.#target.seeds, this.#coverage.words()));
    if (this.#corpus.length === 0 || chance.happens(MADE)) {
      await this.give(this.#make());
      return;
    }
    // What showed something new lately is near to more of it; and of two, the shorter one costs less.
    const from = chance.happens(0.4) ? this.#corpus.slice(-LATELY) : this.#corpus;
    const [one, other] = [chance.pick(from), chance.pick(from)];
    const parent = one.length <= other.length ? one : other;
    let input = this.#target.damage(this.#mutator, [parent, parent, parent, chance.pick(this.#corpus)]);
    while (chance.happens(0.25)) input = this.#target.damage(this.#mutator, [input]);
    await this.give(chance.happens(INFLATED) ? inflated(input, chance) : input);
  }

  /** The part of the corpus that is worth a file. */
  kept(): Promise<Uint8Array[]> {
    return minimised(this.#corpus, async (input) =>
      (await this.#run(input)) === undefined ? this.#coverage.features() : new Set(),
    );
  }

  /** What was wrong, if anything. */
  async #run(input: Uint8Array): Promise<string | undefined> {
    const copy = input.slice(); // what a target keeps or changes is its own
    this.#executions++;
    this.#before(input);
    this.#coverage.reset();
    const from = performance.now();
    try {
      const taken = this.#target.run(copy);
      if (taken instanceof Promise) await taken;
    } catch (error) {
      return reason(error);
    }
    const most = allowed(this.#target, input);
    if (performance.now() - from <= most) return undefined;
    if (await isSlow(this.#target, input, this.#cpu)) return `it takes more than ${most} ms`;
    // What the counters say now is of several runs: a busy machine would decide what shows something new.
    this.#coverage.reset();
    await this.#target.run(input.slice());
    return undefined;
  }

  async #fail(why: string, input: Uint8Array): Promise<void> {
    if (this.#failures.has(why) || this.#failures.size === MAX_FAILURES) return;
    const isSame = async (shorter: Uint8Array): Promise<boolean> => (await this.#run(shorter)) === why;
    this.#failures.set(why, { why, input: await shortened(input, isSame, 20 * CUTS) });
  }

  #make(): Uint8Array {
    if (this.#made.length === 0)
      this.#made = fc.sample(this.#target.made, { numRuns: SAMPLE, seed: this.#chance.next() | 0 });
    return this.#made.pop() ?? new Uint8Array(0);
  }
}

/** Milliseconds of CPU time for this input. */
export function allowed({ bound }: Target, input: Uint8Array): number {
  return bound.ms + Math.ceil((bound.msPerKilobyte * input.length) / 1024);
}

/** Whether it was the input, and not the machine or cold code: CPU time it is, and three times more. */
export async function isSlow(target: Target, input: Uint8Array, cpu: () => number): Promise<boolean> {
  for (let i = 0; i < 3; i++) {
    const from = cpu();
    await target.run(input.slice());
    if (cpu() - from <= allowed(target, input)) return false;
  }
  return true;
}

/** What identifies a failure: the message and, of an exception, where it comes from. */
export function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const [place = ""] =
    /\bat .*/.exec(error.stack?.slice(error.stack.indexOf(error.message) + error.message.length) ?? "") ?? [];
  return `${error.name}: ${error.message} ${place.replace(/file:\/\/\S*\/packages\//, "")}`.trim();
}

/** The input with pieces cut out for as long as it `holds`; it is asked at most so many times, and not for longer than that is worth. */
async function shortened(
  input: Uint8Array,
  holds: (shorter: Uint8Array) => Promise<boolean>,
  most: number,
): Promise<Uint8Array> {
  let best: Uint8Array = input.slice();
  let asked = 0;
  const start = performance.now();
  const isWorthIt = (): boolean => asked < most && performance.now() - start < PATIENCE_MS;
  for (let piece = best.length >> 1; piece >= 1; piece >>= 1) {
    for (let at = 0; at < best.length && isWorthIt(); ) {
      const shorter = concat(best.subarray(0, at), best.subarray(at + piece));
      asked++;
      if (await holds(shorter)) best = shorter;
      else at += piece;
    }
  }
  return best;
}

/** The input with a piece of it so many times that it is as long as it may be: what is slow shows then. */
function inflated(input: Uint8Array, chance: Chance): Uint8Array {
  const at = chance.between(0, input.length);
  const piece = input.subarray(at, at + chance.between(1, 32));
  if (piece.length === 0) return input;
  const times = Math.floor((LONGEST - input.length) / piece.length);
  return concat(input.subarray(0, at), ...Array.from({ length: times }, () => piece), input.subarray(at));
}

/** Words for the mutator: those of the examples, and as many times that those of the code do not drown them. */
function dictionary(seeds: readonly Uint8Array[], code: Iterable<string | number>): Uint8Array[] {
  const own = new Set<string>();
  for (const seed of seeds)
    for (const [word] of Buffer.from(seed)
      .toString("latin1")
      .matchAll(/"[ -~]{1,20}?":?|[a-z]+(?=[=:])|[?&/#=:,]/g))
      own.add(word);
  const words = [...code].flatMap((word): Uint8Array[] => (typeof word === "string" ? [utf8(word)] : spelled(word)));
  const times = own.size === 0 ? 0 : Math.ceil(words.length / own.size);
  for (let i = 0; i < Math.max(times, 1); i++) for (const word of own) words.push(utf8(word));
  return words;
}

/** A number as text, in hex too, and as bytes with the highest first. */
function spelled(word: number): Uint8Array[] {
  const bytes: number[] = [];
  for (let rest = word; rest > 0; rest = Math.floor(rest / 0x100)) bytes.unshift(rest % 0x100);
  return [utf8(String(word)), utf8(word.toString(16)), Uint8Array.from(bytes)];
}

const MADE = 0.03; // fast-check takes its time
const INFLATED = 0.002; // such inputs cost a thousand times as much
const SAMPLE = 50;
const LATELY = 16;
const PATIENCE_MS = 20_000;
const CUTS = 40; // tries to make an input of the corpus shorter
const MAX_FAILURES = 5;
