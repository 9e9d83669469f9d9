/** Measures what something costs in CPU time, which the load of other programs disturbs less than time on the clock. */

/** Something to measure. */
export interface Bench {
  /** Stable: "message.seal.256.portable.fresh". Recorded runs are compared by it. */
  readonly key: string;
  /** Prepares, and gives what is measured; it says how many units of work a call did (1 if it says nothing). */
  prepare(): () => number | undefined;
}

/** Nanoseconds of CPU time (user and system) for one unit: the median of several batches. */
export function measure({ key, prepare }: Bench): { readonly key: string; readonly ns: number } {
  const run = prepare();
  let calls = 1;
  while (batch(run, calls).cpu < WARM_US && calls < MAX_CALLS) calls *= 2; // also warms up
  const costs = Array.from({ length: BATCHES }, () => {
    const { cpu, units } = batch(run, calls);
    return (cpu * 1000) / units;
  });
  costs.sort((a, b) => a - b);
  return { key, ns: Math.round(costs[BATCHES >> 1] ?? 0) };
}

function batch(run: () => number | undefined, calls: number): { cpu: number; units: number } {
  const before = process.cpuUsage();
  let units = 0;
  for (let i = 0; i < calls; i++) units += run() ?? 1;
  const { user, system } = process.cpuUsage(before);
  return { cpu: user + system, units };
}

const WARM_US = 60_000;
const BATCHES = 7;
const MAX_CALLS = 1 << 24;
