/** `npm run explore -- [--states N] [--json]`: explores the handshakes of two peers, and says what held where. */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { INVARIANTS } from "./invariants.ts";
import { type Found, search } from "./search.ts";
import { SETUPS } from "./setups.ts";

interface Explored extends Found {
  readonly cpuSeconds: number;
}

function main(args: string[]): number {
  const asked = read(args);
  if (asked === undefined) {
    process.stderr.write("npm run explore -- [--states N] [--json]; N: the most states of each setup\n");
    return USAGE_ERROR;
  }
  const { limit, json } = asked;
  const explored: Explored[] = [];
  for (const setup of SETUPS) {
    const before = process.cpuUsage();
    const found = search({ setup, limit });
    const { user, system } = process.cpuUsage(before);
    const one = { ...found, cpuSeconds: Math.round((user + system) / 1e5) / 10 };
    explored.push(one);
    if (!json) process.stdout.write(`${show(one)}\n`);
  }
  const sum = (what: "states" | "transitions" | "continuations" | "cpuSeconds"): number =>
    Math.round(10 * explored.reduce((total, one) => total + one[what], 0)) / 10;
  const report = {
    machine: { cpu: cpus()[0]?.model ?? "", cores: cpus().length, node: process.version },
    states: sum("states"),
    transitions: sum("transitions"),
    continuations: sum("continuations"),
    cpuSeconds: sum("cpuSeconds"),
    peakMiB: Math.round(process.resourceUsage().maxRSS / 1024),
    invariants: INVARIANTS,
    setups: explored,
  };
  if (json) process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
  else process.stdout.write(`${report.states} states, ${report.transitions} transitions\n`);
  return explored.some(({ violation }) => violation !== undefined) ? 1 : 0;
}

function read(args: string[]): { limit: number; json: boolean } | undefined {
  try {
    const { values } = parseArgs({ args, options: { states: { type: "string" }, json: { type: "boolean" } } });
    const limit = Number(values.states ?? STATES);
    return Number.isSafeInteger(limit) && limit > 0 ? { limit, json: values.json === true } : undefined;
  } catch {
    return undefined; // an option that there is not
  }
}

function show({
  setup,
  states,
  transitions,
  depth,
  isClosed,
  continuations,
  longest,
  cpuSeconds,
  violation,
}: Explored): string {
  const end = isClosed ? "to the end" : "to the limit";
  const text = `${setup}: ${states} states, ${transitions} transitions, depth ${depth}, ${end}; ${continuations} fair continuations of at most ${longest} steps; ${cpuSeconds} s of CPU`;
  return violation === undefined ? text : `${text}\nBROKEN: ${violation.invariant}\n  ${violation.trace.join("\n  ")}`;
}

const STATES = 1_000_000;
const USAGE_ERROR = 2;

process.exitCode = main(process.argv.slice(2));
