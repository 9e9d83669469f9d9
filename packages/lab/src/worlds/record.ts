/** The sum of all worlds that ran so far, in the repository: packages/lab/results/worlds.json. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Totals } from "./run.ts";

/** What is summed up over runs. */
const SUMS = [
  "worlds",
  "days",
  "mails",
  "delivered",
  "peerCrashes",
  "cacheCrashes",
  "mailsLost",
  "mailsDoubled",
] as const;
type Sums = Record<(typeof SUMS)[number], number>;

export interface Recorded extends Sums {
  /** The seed with which the next run begins. */
  readonly next: number;
  /** Seeds of worlds that broke a promise, ever. */
  readonly failed: readonly number[];
  /** Which of those, and how many of the mails counted as lost, were a mistake of the judge's, and what it was. Written by hand. */
  readonly corrected?: readonly { readonly seed: number; readonly mailsLost: number; readonly why: string }[];
  readonly runs: readonly Run[];
}

/** One run, from its first seed to its last. */
interface Run extends Sums {
  readonly first: number;
  readonly last: number;
  readonly delayHonestMedian: number;
  readonly delayHonestP99: number;
  readonly copies: number;
}

/** The total so far; what there was before the first run when there is no file. Throws for a file that is none. */
export function recorded(file: string = FILE): Recorded {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return { next: FIRST_SEED, ...sums(() => 0), failed: [], runs: [] };
  }
  return JSON.parse(text) as Recorded;
}

/** Adds a run from seed `first` on, of so many simulated days, and gives the new total. */
export function record(first: number, days: number, totals: Totals, file: string = FILE): Recorded {
  const before = recorded(file);
  const ran = { ...totals, days };
  const last = first + totals.worlds - 1;
  const { delayHonestMedian, delayHonestP99, copies } = totals;
  const run: Run = { first, last, ...sums((key) => ran[key]), delayHonestMedian, delayHonestP99, copies };
  const after: Recorded = {
    next: Math.max(before.next, last + 1),
    ...sums((key) => before[key] + ran[key]),
    failed: [...new Set([...before.failed, ...totals.failed])],
    ...(before.corrected && { corrected: before.corrected }),
    runs: [...before.runs, run],
  };
  writeFileSync(file, `${JSON.stringify(after, undefined, 2)}\n`);
  return after;
}

function sums(of: (key: keyof Sums) => number): Sums {
  return Object.fromEntries(SUMS.map((key) => [key, of(key)])) as Sums;
}

const FILE = fileURLToPath(new URL("../../results/worlds.json", import.meta.url));
const FIRST_SEED = 1000; // below are those of `npm test` and of whoever tries something
