/** `npm run mutants`: breaks requirements in copies of the project, one at a time, and sees whether their tests notice. */
import { Chance } from "restante/testing";
import { type Asked, Misuse, runTool } from "../command-line.ts";
import { type MutantsOption, MUTANTS as TOOL } from "../tools.ts";
import type { Mutant } from "./mutant.ts";
import { MUTANTS } from "./mutants.ts";
import { type Trial, tryAll, type Verdict } from "./trial.ts";

interface Wanted {
  readonly mutants: readonly Mutant[];
  /** Of a sample. */
  readonly seed: number | undefined;
  readonly workers: number;
  readonly json: boolean;
}

async function main({ mutants, seed, workers, json }: Wanted): Promise<number> {
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1)); // without leaving copies behind
  const began = performance.now();
  const trials = await tryAll(mutants, workers, (trial) => {
    if (!json) process.stdout.write(shown(trial));
  });
  const seconds = Math.round((performance.now() - began) / 1000);
  const of = (verdict: Verdict): Trial[] => trials.filter((trial) => trial.verdict === verdict);
  const rows = new Set(mutants.map(({ row }) => row)).size;
  const [caught, hung, survived, broken] = [of("caught"), of("hung"), of("survived"), of("broken")];
  const isGood = survived.length + broken.length === 0;
  process.stdout.write(
    json
      ? `${JSON.stringify({ mutants: mutants.length, rows, seed, caught: caught.length, hung: hung.length, survived, broken, seconds })}\n`
      : `mutants: ${mutants.length} edits that break ${rows} rows: ${caught.length} caught, ${hung.length} hung, ` +
          `${survived.length} survived, ${broken.length} broken, in ${seconds} s${seed === undefined ? "" : `; drawn with --seed ${seed}`}\n`,
  );
  return isGood ? 0 : 1;
}

function shown({ mutant: { row, file, old, now }, verdict, why, seconds }: Trial): string {
  const line = `${verdict.padEnd(8)} ${seconds.toFixed(1).padStart(6)} s  ${row.padEnd(3)}  ${file}`;
  if (verdict === "caught" || verdict === "hung") return `${line}\n`;
  return `${line}\n  - ${old}\n  + ${now}\n${why === undefined ? "" : `  ${why}\n`}`;
}

/** What was asked for. Throws `Misuse`. */
function read(asked: Asked<MutantsOption>): Wanted {
  const rows = new Set(asked.all("row"));
  const known = new Set(MUTANTS.map(({ row }) => row));
  for (const row of rows) if (!known.has(row)) throw new Misuse(`there is no mutant of row "${row}"`);
  const some = rows.size === 0 ? MUTANTS : MUTANTS.filter(({ row }) => rows.has(row));
  const sample = asked.whole("sample", 1, 100_000);
  if (sample === undefined && asked.has("seed")) throw new Misuse("--seed goes with --sample");
  const drawn = asked.whole("seed", 0, 2 ** 31 - 1) ?? Date.now() % 2 ** 31;
  const mutants = sample === undefined ? some : new Chance(drawn).shuffle(some).slice(0, sample);
  const seed = sample === undefined ? undefined : drawn;
  return { mutants, seed, workers: asked.whole("workers", 1, 64) ?? WORKERS, json: asked.has("json") };
}

const WORKERS = 2;

await runTool(TOOL, (asked) => main(read(asked)));
