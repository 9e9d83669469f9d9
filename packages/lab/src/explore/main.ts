/** `npm run explore`: explores the handshakes of two peers, and says what held where. */
import { cpus } from "node:os";
import { runTool } from "../command-line.ts";
import { EXPLORE } from "../tools.ts";
import { INVARIANTS } from "./invariants.ts";
import { type Found, search } from "./search.ts";
import { SETUPS } from "./setups.ts";

interface Explored extends Found {
  readonly cpuSeconds: number;
}

function main(limit: number, json: boolean): number {
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
const MOST = 1_000_000_000; // more than any machine holds

await runTool(EXPLORE, (asked) => main(asked.whole("states", 1, MOST) ?? STATES, asked.has("json")));
