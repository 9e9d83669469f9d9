/** `npm run bench`: CPU time of what matters beside its ceiling in the same run. docs/benches.md */
import { fork } from "node:child_process";
import { once } from "node:events";
import { cpus, totalmem } from "node:os";
import { Misuse, runTool } from "../command-line.ts";
import { BENCH } from "../tools.ts";
import { benches } from "./benches.ts";
import type { Bench, Result } from "./harness.ts";

async function main(name: string, json: boolean): Promise<number> {
  const chosen = (await benches()).filter(({ keys }) => keys.some((key) => key.includes(name)));
  if (chosen.length === 0) throw new Misuse(`nothing is called "${name}"`);
  const results: Record<string, Result> = {};
  for (const bench of chosen) {
    for (const [key, result] of Object.entries(await runAlone(bench))) {
      if (!key.includes(name)) continue;
      results[key] = result;
      if (!json) process.stdout.write(`${line(key, result)}\n`);
    }
  }
  if (json) process.stdout.write(`${JSON.stringify({ machine: machine(), results }, undefined, 2)}\n`);
  return 0;
}

/** What one.ts says of it. */
async function runAlone({ keys: [key] }: Bench): Promise<Record<string, Result>> {
  const child = fork(new URL("./one.js", import.meta.url));
  await once(child, "message");
  child.send(key ?? "");
  const [results] = await Promise.race([once(child, "message"), once(child, "exit")]);
  if (typeof results !== "object" || results === null) throw new Error(`the bench ${key} failed`);
  return results as Record<string, Result>;
}

/** Where the figures come from; without it they say nothing. */
function machine(): object {
  const [cpu] = cpus();
  return {
    cpu: cpu?.model ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
  };
}

function line(key: string, { value, unit, ceiling, ratio, gc }: Result): string {
  const shown = (n: number): string => (unit === "ns" ? time(n) : `${n} ${unit}`);
  const figure = shown(value);
  const best = ceiling === undefined ? "" : `${shown(ceiling).padStart(11)} at best, ratio ${(ratio ?? 0).toFixed(2)}`;
  const pause = gc === undefined || gc.longest < LONG_PAUSE_MS ? "" : `  longest pause ${gc.longest} ms`;
  return `${key.padEnd(34)}${figure.padStart(16)}${best}${pause}`;
}

function time(ns: number): string {
  return ns < 10_000 ? `${ns} ns` : `${(ns / 1000).toFixed(1)} us`;
}

const LONG_PAUSE_MS = 5;

await runTool(BENCH, (asked) => main(asked.operands.join(" "), asked.has("json")));
