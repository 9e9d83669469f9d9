/**
 * Measures what something costs in CPU time, which the load of other programs disturbs less than time on the clock, beside
 * what it would cost at best: a ceiling that is measured in turns with it, so that whatever slows the machine slows both.
 */
import { PerformanceObserver } from "node:perf_hooks";

/** A recorded figure. Runs are compared by their keys; `ratio` hardly depends on the machine, `value` does. */
export interface Result {
  readonly value: number;
  readonly unit: "ns" | "packets/s" | "B" | "ms" | "x" | "acks" | "messages" | "instructions";
  /** The same work at best, in the same unit: named in the bench. */
  readonly ceiling?: number;
  /** How near: 1 is as fast as the ceiling. The median over rounds of both. */
  readonly ratio?: number;
  /** Microseconds that a turn of a loop took meanwhile, where that is known: of runs on one machine the least is the best. */
  readonly pace?: number;
  /** That beside the best of this bench: 1 where nobody else used the cores, or somebody did all the time. */
  readonly slowness?: number;
  /** Pauses of the garbage collector meanwhile (ours and the ceiling's), in milliseconds. */
  readonly gc?: { readonly pauses: number; readonly longest: number; readonly total: number };
}

/** Something to measure, under the keys that it gives results for. */
export interface Bench {
  readonly keys: readonly string[];
  /** It takes minutes or gigabytes: only for who asks for it by its name. */
  readonly isLarge?: true;
  run(): Promise<Record<string, Result>>;
}

/** Does some units of work, and says how many. */
export type Work = () => number;

/** A bench of one key: nanoseconds per unit of `work`, beside `ceiling`. Both are made when their turn comes. */
export function timed(key: string, prepare: () => { work: Work; ceiling?: Work | undefined }): Bench {
  const run = async (): Promise<Record<string, Result>> => {
    const { work, ceiling } = prepare();
    const collected = await collectorDuring(() => compare(work, ceiling));
    return { [key]: { ...collected.result, gc: collected.gc } };
  };
  return { keys: [key], run };
}

/** CPU time of this process, of all its threads, in microseconds. */
export function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}

/** What the garbage collector did while this ran. */
export async function collectorDuring<T>(
  run: () => T | Promise<T>,
): Promise<{ result: T; gc: NonNullable<Result["gc"]> }> {
  const pauses: number[] = [];
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) pauses.push(duration);
  });
  observer.observe({ entryTypes: ["gc"] });
  const result = await run();
  for (let i = 0; i < 2; i++) await new Promise((resolve) => setImmediate(resolve)); // they are told of later
  for (const { duration } of observer.takeRecords()) pauses.push(duration);
  observer.disconnect();
  const round = (ms: number): number => Math.round(ms * 100) / 100;
  const total = pauses.reduce((sum, pause) => sum + pause, 0);
  return { result, gc: { pauses: pauses.length, longest: round(Math.max(0, ...pauses)), total: round(total) } };
}

function compare(work: Work, ceiling: Work | undefined): Result {
  const calls = warm(work);
  const ceilingCalls = ceiling && warm(ceiling);
  const [costs, ceilings, ratios]: [number[], number[], number[]] = [[], [], []];
  for (let round = 0; round < ROUNDS; round++) {
    const cost = batch(work, calls);
    costs.push(cost);
    if (ceiling === undefined || ceilingCalls === undefined) continue;
    const best = batch(ceiling, ceilingCalls);
    ceilings.push(best);
    ratios.push(best / cost);
  }
  const value = { value: Math.round(median(costs)), unit: "ns" as const };
  return ceiling === undefined ? value : { ...value, ceiling: Math.round(median(ceilings)), ratio: hundredths(ratios) };
}

function hundredths(ratios: readonly number[]): number {
  return Math.round(median(ratios) * 100) / 100;
}

/** Runs it until the compiler is done with it. Gives the calls that take a batch's time. */
function warm(work: Work): number {
  let calls = 1;
  for (let spent = 0; spent < WARM_US; ) {
    const before = cpuTime();
    for (let i = 0; i < calls; i++) work();
    const cost = cpuTime() - before;
    spent += cost;
    if (cost < BATCH_US / 2) calls *= 2;
    else if (cost > 2 * BATCH_US && calls > 1) calls >>= 1;
  }
  return calls;
}

/** Nanoseconds per unit. */
function batch(work: Work, calls: number): number {
  const before = cpuTime();
  let units = 0;
  for (let i = 0; i < calls; i++) units += work();
  return ((cpuTime() - before) * 1000) / units;
}

const WARM_US = 400_000;
const BATCH_US = 40_000;
const ROUNDS = 11;
