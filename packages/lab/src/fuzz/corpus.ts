/** Kept inputs: one file for each target, one input in a line, in base64; the shortest first. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The kept inputs of a target; none when it has no file. */
export function readCorpus(name: string, folder: string = FOLDER): Uint8Array[] {
  let text: string;
  try {
    text = readFileSync(join(folder, `${name}.txt`), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => new Uint8Array(Buffer.from(line, "base64")));
}

/** Puts these in their place. */
export function writeCorpus(name: string, inputs: readonly Uint8Array[], folder: string = FOLDER): void {
  const lines = inputs.map((input) => Buffer.from(input).toString("base64"));
  lines.sort((a, b) => a.length - b.length || (a < b ? -1 : 1)); // the same inputs give the same file
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.txt`), lines.map((line) => `${line}\n`).join(""));
}

/**
 * A part of the inputs that has all their features, and of which none could go without one going with it. `featuresOf`
 * runs an input. Long ones go first; what is over `MAX_INPUT` or, in all, over `MAX_FILE` bytes is not kept at all.
 */
export async function minimised(
  inputs: readonly Uint8Array[],
  featuresOf: (input: Uint8Array) => Promise<Set<number>>,
): Promise<Uint8Array[]> {
  const entries: { readonly input: Uint8Array; readonly features: Set<number> }[] = [];
  for (const input of inputs) if (input.length <= MAX_INPUT) entries.push({ input, features: await featuresOf(input) });
  entries.sort((a, b) => b.input.length - a.input.length);
  const owners = new Map<number, number>(); // how many inputs have a feature
  for (const { features } of entries) for (const one of features) owners.set(one, (owners.get(one) ?? 0) + 1);
  const kept: Uint8Array[] = [];
  for (const { input, features } of entries) {
    if ([...features].some((one) => owners.get(one) === 1)) kept.push(input);
    else for (const one of features) owners.set(one, (owners.get(one) ?? 0) - 1);
  }
  let bytes = 0;
  return kept.reverse().filter(({ length }) => {
    bytes += length;
    return bytes <= MAX_FILE;
  });
}

const FOLDER = fileURLToPath(new URL("../../fuzz/corpus/", import.meta.url));
const MAX_INPUT = 4096;
const MAX_FILE = 20_000; // bytes of the inputs; a third more in base64, and some 60 files
