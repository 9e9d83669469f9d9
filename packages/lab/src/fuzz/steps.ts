/** How many inputs of each target a run tries that is to be the same on every machine: a file of names and numbers. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The recorded numbers by the names of targets. */
export function readSteps(file: string = FILE): ReadonlyMap<string, number> {
  return new Map(Object.entries(JSON.parse(readFileSync(file, "utf8")) as Record<string, number>));
}

/** Records these, to two digits, beside those of other targets; those of targets that are not `known` any more go. */
export function writeSteps(steps: ReadonlyMap<string, number>, known: readonly string[], file: string = FILE): void {
  const all = new Map([...readSteps(file), ...steps]);
  const lines = known.flatMap((name) => {
    const count = all.get(name);
    return count === undefined ? [] : [`  ${JSON.stringify(name)}: ${Number(count.toPrecision(2))}`];
  });
  writeFileSync(file, `{\n${lines.join(",\n")}\n}\n`);
}

const FILE = fileURLToPath(new URL("../../fuzz/steps.json", import.meta.url));
