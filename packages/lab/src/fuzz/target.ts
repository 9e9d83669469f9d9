/** What is fuzzed: something that takes bytes of others, and may refuse them but must keep its promises. */
import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { encodeJson, fromHex, isObject, type JsonObject, parseJson, utf8 } from "restante/protocol";
import { FedChance } from "./fed.ts";
import { asText, Mutator } from "./mutate.ts";
import { bytes, heads, packets, texts } from "./structure.ts";

/** Whether an input was taken; `undefined`: who knows. */
export type Taken = boolean | undefined;

export interface Target {
  /** One word; its corpus is the file of that name. */
  readonly name: string;
  /** Mutated inputs in `npm test`. */
  readonly inputs: number;
  /** Valid examples. */
  readonly seeds: readonly Uint8Array[];
  /**
   * Gives it one input, from a fresh start. Throws, or rejects, only when a promise was broken; a refusal is none. What
   * comes later comes without a wait for a clock or for the world outside.
   */
  run(input: Uint8Array): Taken | Promise<Taken>;
  /** One of the inputs, or several together, damaged in a way that suits the target. */
  damage(mutator: Mutator, inputs: readonly Uint8Array[]): Uint8Array;
  /** Inputs made from nothing: well-formed as a whole, hostile in what they hold. */
  readonly made: fc.Arbitrary<Uint8Array>;
  /** CPU time that one input may take. */
  readonly bound: Bound;
  /**
   * For a long run with one memory: checks that the target takes its seeds unharmed; the function that comes back gives
   * it one damaged input, and says what `run` says.
   */
  start(mutator: Mutator): () => Taken | Promise<Taken>;
  /** For targets with a memory: bytes that the heap may grow in a long run, whatever comes. */
  readonly growth?: number;
}

/** Milliseconds of CPU time: so many for any input, and so many more for each kilobyte. */
export interface Bound {
  readonly ms: number;
  readonly msPerKilobyte: number;
}

interface Form<T> {
  read(input: Uint8Array): T | undefined;
  write(value: T): Uint8Array;
  damage(mutator: Mutator, inputs: readonly Uint8Array[]): Uint8Array;
  readonly made: fc.Arbitrary<Uint8Array>;
}

/** Any bytes. */
export const BYTES: Form<Uint8Array> = {
  read: (input) => input,
  write: (value) => value,
  damage: (mutator, inputs) => mutator.bytes(inputs),
  made: bytes,
};
/** A packet: mostly its head is damaged as an object, or its body. */
export const PACKET: Form<Uint8Array> = {
  ...BYTES,
  damage: (mutator, inputs) => mutator.packet(inputs),
  made: packets,
};
export const TEXT: Form<string> = {
  read: asText,
  write: utf8,
  damage: (mutator, inputs) => mutator.bytes(inputs),
  made: texts,
};
/** The text of a JSON object, given on as what it spells. */
export const OBJECT: Form<JsonObject> = {
  read(input) {
    const json = parseJson(input);
    return isObject(json) ? json : undefined;
  },
  write: encodeJson,
  damage: (mutator, inputs) => mutator.head(inputs),
  made: heads,
};

/** A function that keeps nothing: `undefined` and `false`, also promised ones, stand for a refusal. */
export function parser<T>(
  name: string,
  inputs: number,
  form: Form<T>,
  samples: readonly T[],
  parse: (input: T) => unknown,
  bound: Bound = { ms: 20, msPerKilobyte: 1 },
): Target {
  const seeds = samples.map(form.write);
  const run = (input: Uint8Array): boolean | Promise<boolean> => {
    const value = form.read(input);
    const result = value === undefined ? undefined : parse(value);
    return result instanceof Promise ? result.then(isTaken) : isTaken(result);
  };
  return {
    name,
    inputs,
    seeds,
    run,
    damage: form.damage,
    made: form.made,
    bound,
    start(mutator) {
      if (seeds.every((seed) => run(seed) === false))
        throw new Error(`${name} takes none of its samples: they are not what it reads`);
      return () => run(form.damage(mutator, seeds));
    },
  };
}

/**
 * A machine with a memory. `start` makes one, and gives a function that does one more thing to it, all of it drawn from
 * the mutator's chance. An input is what is drawn: two bytes for each draw, from the first thing on.
 */
export function machine(
  name: string,
  inputs: number,
  start: (mutator: Mutator) => () => Taken,
  options: { readonly growth?: number; readonly bound?: Bound } = {},
): Target {
  return {
    name,
    inputs,
    seeds: [12, 60, 300].map((length) => new FedChance(length).random(length)),
    run(input) {
      const chance = new FedChance(1);
      const step = start(new Mutator(chance));
      chance.feed(input);
      let taken: Taken;
      for (let i = 0; i < STEPS && !chance.isEmpty; i++) taken = step() || taken;
      return taken;
    },
    damage: (mutator, samples) => mutator.bytes(samples).subarray(0, SCRIPT),
    made: fc.uint8Array({ maxLength: SCRIPT }),
    bound: { ms: 1000, msPerKilobyte: 1000 },
    start,
    ...options,
  };
}

function isTaken(result: unknown): boolean {
  return result !== undefined && result !== false;
}

/** The parsed JSON of one of the project's vector files, by its path from the root. */
export function vectors<T>(path: string): T {
  return JSON.parse(readFileSync(new URL(`../../../../${path}`, import.meta.url), "utf8")) as T;
}

/** The bytes of hex that is known to be good. */
export function hex(text: string): Uint8Array {
  const read = fromHex(text);
  if (read === undefined) throw new Error("a vector holds no hex");
  return read;
}

const STEPS = 200; // of one input to a machine
const SCRIPT = 2000; // bytes of one; a thing to do takes some ten
