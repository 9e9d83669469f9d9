/** What is fuzzed: something that takes bytes of others, and how many mutated inputs it gets in `npm test`. */
import { readFileSync } from "node:fs";
import { fromHex } from "restante/protocol";
import type { Mutator } from "./mutate.ts";

export interface Target {
  readonly name: string;
  /** Mutated inputs in `npm test`. */
  readonly inputs: number;
  /**
   * Prepares the target, and checks that it takes its samples unharmed. The function that comes back gives it one mutated
   * input, and says whether that was taken (`undefined`: who knows).
   */
  prepare(mutator: Mutator): () => boolean | undefined;
  /** For targets with a memory: bytes that the heap may grow, whatever comes. */
  readonly growth?: number;
}

/** A pure function: `undefined` stands for a refusal. */
export function parser<T>(
  name: string,
  inputs: number,
  samples: readonly T[],
  mutate: (mutator: Mutator, samples: readonly T[]) => T,
  parse: (input: T) => unknown,
): Target {
  return {
    name,
    inputs,
    prepare(mutator) {
      if (samples.length === 0 || !samples.some((sample) => parse(sample) !== undefined))
        throw new Error(`${name} takes none of its samples: they are not what it reads`);
      return () => parse(mutate(mutator, samples)) !== undefined;
    },
  };
}

/** The parsed JSON of one of the project's vector files, by its path from the root. */
export function vectors<T>(path: string): T {
  return JSON.parse(readFileSync(new URL(`../../../../${path}`, import.meta.url), "utf8")) as T;
}

/** The bytes of hex that is known to be good. */
export function hex(text: string): Uint8Array {
  const bytes = fromHex(text);
  if (bytes === undefined) throw new Error("a vector holds no hex");
  return bytes;
}
