/** One target for some time, in a process of its own: its modules are loaded with counters. */

import { readCorpus, writeCorpus } from "./corpus.ts";
import type { Coverage } from "./cover.ts";
import { threadCpu } from "./cpu.ts";
import { allowed, isSlow, Loop, reason } from "./loop.ts";
import { LONGEST } from "./mutate.ts";
import type { Target } from "./target.ts";
import { TARGETS } from "./targets.ts";
import { watch } from "./watchdog.ts";

/** What a process says of its work, as one line of JSON. */
export interface Report {
  readonly target: string;
  readonly executions: number;
  /** Of them the damaged or new ones, without those that only made others shorter. */
  readonly steps: number;
  readonly seconds: number;
  readonly corpus: number;
  /** Inputs and features beyond those of the kept corpus. */
  readonly newInputs: number;
  readonly features: number;
  readonly newFeatures: number;
  readonly failures: readonly { readonly why: string; readonly hex: string }[];
}

/** Fuzzes for so long, or for so many steps: then it is the same work on each machine. */
export async function work(
  target: Target,
  coverage: Coverage,
  options: { ms: number; steps: number | undefined; seed: number; keep: boolean },
): Promise<Report> {
  const start = performance.now();
  const hung: Report = {
    ...NOTHING,
    target: target.name,
    failures: [{ why: "it does not come to an end", hex: "HEX" }],
  };
  const before = watch(HANG_MS + 5 * allowed(target, LONG_INPUT), LONGEST, JSON.stringify(hung));
  const loop = new Loop({ target, coverage, seed: options.seed, cpu: threadCpu, before });
  for (const input of [...target.seeds, ...readCorpus(target.name)]) await loop.give(input);
  const known = { inputs: loop.corpus.length, features: loop.features };
  let steps = 0;
  do {
    await loop.step();
    steps++;
  } while (options.steps === undefined ? performance.now() - start < options.ms : steps < options.steps);
  const seconds = (performance.now() - start) / 1000;
  if (options.keep) writeCorpus(target.name, await loop.kept());
  return {
    target: target.name,
    executions: loop.executions,
    steps,
    seconds,
    corpus: loop.corpus.length,
    newInputs: loop.corpus.length - known.inputs,
    features: loop.features,
    newFeatures: loop.features - known.features,
    failures: loop.failures.map(({ why, input }) => ({ why, hex: Buffer.from(input).toString("hex") })),
  };
}

/** Runs one input, and says what came of it. */
export async function replay(
  target: Target,
  input: Uint8Array,
): Promise<{ readonly isBroken: boolean; readonly text: string }> {
  const most = allowed(target, input);
  const from = threadCpu();
  try {
    const taken = await target.run(input.slice());
    const used = Math.round(threadCpu() - from);
    const outcome = taken === undefined ? "done" : taken ? "taken" : "refused";
    const text = `${outcome} in ${used} ms of CPU time, ${most} are allowed`;
    return { isBroken: used > most && (await isSlow(target, input, threadCpu)), text };
  } catch (error) {
    return { isBroken: true, text: `${reason(error)}\n${error instanceof Error ? error.stack : ""}` };
  }
}

/** The target of that name. */
export function targetOf(name: string): Target | undefined {
  return TARGETS.find((target) => target.name === name);
}

export { TARGETS } from "./targets.ts";

const HANG_MS = 10_000;
const LONG_INPUT = new Uint8Array(2048);
const NOTHING = { executions: 0, steps: 0, seconds: 0, corpus: 0, newInputs: 0, features: 0, newFeatures: 0 };
