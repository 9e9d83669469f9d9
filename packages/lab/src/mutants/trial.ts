/** Trials of mutants: is an edit of the source noticed by a test of the row that it breaks? */
import { type Mutant, sourceOf } from "./mutant.ts";
import { Index, type Outcome, prove } from "./proofs.ts";
import { Tree } from "./tree.ts";

/**
 * "caught": a test with the row's id failed. "hung": its tests did not end, which is noticed as well. "survived": all of them
 * passed. "broken": the trial says nothing, since the edit cannot be made, no test ran, or a test fails without it, too.
 */
export type Verdict = "caught" | "hung" | "survived" | "broken";

export interface Trial {
  readonly mutant: Mutant;
  readonly verdict: Verdict;
  /** Of "broken". */
  readonly why?: string;
  readonly seconds: number;
}

/** Tries all, so many at once, each worker in a copy of its own; `told` hears of each when it is done. */
export async function tryAll(
  mutants: readonly Mutant[],
  workers: number,
  told: (trial: Trial) => void,
): Promise<readonly Trial[]> {
  const index = new Index();
  const waiting = [...mutants];
  const trials: Trial[] = [];
  const work = async (tree: Tree, trouble: string | undefined): Promise<void> => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const began = performance.now();
      const judged = await tryOne(tree, index, trouble, mutant);
      const trial: Trial = { mutant, ...judged, seconds: (performance.now() - began) / 1000 };
      trials.push(trial);
      told(trial);
    }
  };
  const trees = Array.from({ length: Math.max(1, Math.min(workers, mutants.length)) }, () => new Tree());
  const [first] = trees;
  try {
    if (first === undefined) return [];
    const why = troubleOf(await proveNear(first, index, mutants));
    await Promise.all(trees.map((tree) => work(tree, why)));
  } finally {
    for (const tree of trees) tree.remove();
  }
  return trials;
}

/** How the tests beside the sources fare without any edit: all at once, since most of it is to load them. */
function proveNear(tree: Tree, index: Index, mutants: readonly Mutant[]): Promise<Outcome> {
  const rows = [...new Set(mutants.map(({ row }) => row))];
  return prove(tree, rows, [...new Set(rows.flatMap((row) => index.of(row).near))]);
}

/** Why failures among these tests would say nothing about an edit. */
function troubleOf({ failed, isHung, errors }: Outcome): string | undefined {
  const [first] = isHung ? ["they do not end"] : [...failed, ...errors];
  return first === undefined ? undefined : `tests fail without any edit: ${first}`;
}

async function tryOne(
  tree: Tree,
  index: Index,
  trouble: string | undefined,
  mutant: Mutant,
): Promise<{ verdict: Verdict; why?: string }> {
  const { row } = mutant;
  const { near, far } = index.of(row);
  if (near.length + far.length === 0) return { verdict: "broken", why: `no test has [${row}] in its title` };
  if (trouble !== undefined) return { verdict: "broken", why: trouble };
  const file = sourceOf(mutant);
  const source = tree.read(file);
  const mutated = edited(source, mutant);
  if (mutated === undefined)
    return { verdict: "broken", why: "the old text does not stand there exactly once, or the new one is the same" };
  let ran = 0;
  const errors: string[] = [];
  for (const files of [near, far]) {
    tree.write(file, mutated);
    const outcome = await prove(tree, [row], files, files === far); // near ones are quick
    tree.write(file, source);
    ran += outcome.ran;
    errors.push(...outcome.errors);
    if (!outcome.isHung && outcome.failed.length === 0) continue;
    const why = files === far ? troubleOf(await prove(tree, [row], far)) : undefined;
    if (why !== undefined) return { verdict: "broken", why };
    return { verdict: outcome.isHung ? "hung" : "caught" };
  }
  if (ran > 0) return { verdict: "survived" };
  return { verdict: "broken", why: `no test of ${row} ran: ${errors.join("; ")}` };
}

/** The source with the edit; `undefined` unless the old text stands there exactly once, in one line. */
export function edited(source: string, { old, now }: Pick<Mutant, "old" | "now">): string | undefined {
  const at = source.indexOf(old);
  const isOnce = at >= 0 && source.indexOf(old, at + 1) < 0;
  if (!isOnce || old === now || old.includes("\n") || old === "") return undefined;
  return source.slice(0, at) + now + source.slice(at + old.length);
}
