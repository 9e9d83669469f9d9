/** `npm run bench [-- --json] [FILTER]`: CPU time of what matters, and ratios within the run. */
import { cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { loadNative } from "@restante/node";
import { benches, RATIOS } from "./benches.ts";
import { measure } from "./harness.ts";

async function main(args: string[]): Promise<number> {
  let json: boolean;
  let filter: string;
  try {
    const { values, positionals } = parseArgs({ args, options: { json: { type: "boolean" } }, allowPositionals: true });
    json = values.json === true;
    filter = positionals.join(" ");
  } catch {
    process.stderr.write("npm run bench [-- --json] [FILTER]: there are no other options\n");
    return USAGE;
  }
  const chosen = benches(await loadNative()).filter(({ key }) => key.includes(filter));
  if (chosen.length === 0) {
    process.stderr.write(`bench: nothing is called "${filter}"\n`);
    return USAGE;
  }
  const ns: Record<string, number> = {};
  for (const bench of chosen) {
    const result = measure(bench);
    ns[result.key] = result.ns;
    if (!json) process.stdout.write(`${result.key.padEnd(36)} ${time(result.ns)}\n`);
  }
  const ratios: Record<string, number> = {};
  for (const [dividend, divisor] of RATIOS) {
    const [a, b] = [ns[dividend], ns[divisor]];
    if (a !== undefined && b !== undefined && b > 0)
      ratios[`${dividend} / ${divisor}`] = Math.round((100 * a) / b) / 100;
  }
  if (json) process.stdout.write(`${JSON.stringify({ machine: machine(), ns, ratios }, undefined, 2)}\n`);
  else for (const [name, ratio] of Object.entries(ratios)) process.stdout.write(`${name}: ${ratio}\n`);
  return 0;
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

function time(ns: number): string {
  if (ns < 10_000) return `${ns} ns`.padStart(12);
  return `${(ns / 1000).toFixed(1)} us`.padStart(12);
}

const USAGE = 2;

process.exitCode = await main(process.argv.slice(2));
