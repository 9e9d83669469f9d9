/** `npm run world`: simulated worlds, one or many. */
import { loadNative } from "@restante/node";
import type { SimulationReport } from "restante/testing";
import { type Asked, Misuse, runTool } from "../command-line.ts";
import { WORLD, type WorldOption } from "../tools.ts";
import { isReal, runWorld, SETUP, type Setup, show, type Totals, total } from "./run.ts";

interface Wanted {
  readonly setup: Setup;
  readonly first: number;
  readonly last: number;
  readonly json: boolean;
}

async function main({ setup, first, last, json }: Wanted): Promise<number> {
  const native = await loadNative();
  const reports: SimulationReport[] = [];
  for (let seed = first; seed <= last; seed++) {
    const report = runWorld(seed, setup, native);
    reports.push(report);
    if (json) continue;
    if (first === last) process.stdout.write(`${show(report, setup)}\n`);
    else if (report.broken.length > 0) process.stdout.write(`${show(report, setup)}\n`);
    else if (reports.length % NEWS === 0) process.stderr.write(`${reports.length} of ${last - first + 1} worlds\n`);
  }
  const totals = total(reports);
  const broken = reports.filter((report) => report.broken.length > 0);
  if (json) process.stdout.write(`${JSON.stringify({ ...totals, reports: first === last ? reports : broken })}\n`);
  else if (first !== last)
    process.stdout.write(`${summary(totals, reports.filter(({ seed }) => isReal(seed, setup)).length)}\n`);
  return totals.failed.length > 0 ? 1 : 0;
}

/** What was asked for. Throws `Misuse`. */
function read(asked: Asked<WorldOption>): Wanted {
  const range = /^(\d+)(?:-(\d+))?$/.exec(asked.text("seeds") ?? asked.text("seed") ?? "1");
  const [first, last] = [Number(range?.[1]), Number(range?.[2] ?? range?.[1])];
  const isOne = asked.has("seed");
  if (range === null || last < first || last > MAX_SEED || (isOne && (range[2] !== undefined || asked.has("seeds"))))
    throw new Misuse("give --seed N or --seeds FIRST-LAST, with whole numbers below 2147483648");
  const forgetSave = asked.text("forget-save");
  const setup: Setup = {
    peers: asked.whole("peers", 2, 50) ?? SETUP.peers,
    caches: asked.whole("caches", 1, 10) ?? SETUP.caches,
    days: asked.whole("days", 1, 365) ?? SETUP.days,
    loss: asked.number("loss", 0, 0.9) ?? SETUP.loss,
    cipher: asked.has("real") ? "real" : SETUP.cipher,
    ...(forgetSave === undefined ? {} : { forgetSave }),
  };
  return { setup, first, last, json: asked.has("json") };
}

function summary(totals: Totals, real: number): string {
  const { worlds, mails, files, cancelled, delivered, failed, packets, lost, duplicated, parted, failedCommits } =
    totals;
  const share = (part: number): string => `${((100 * part) / Math.max(1, packets)).toFixed(1)} %`;
  const crashes = Object.entries(totals.crashes).sort(([, a], [, b]) => (b ?? 0) - (a ?? 0));
  return [
    `${worlds} worlds (${real} with cipher set 3a): ${mails} mails (${files} files, ${cancelled} cancelled), ${delivered} shown`,
    `crashes of peers, by effect: ${crashes.map(([effect, times]) => `${effect} ${times}`).join(", ") || "none"}`,
    `crashes of caches: ${totals.cacheCrashes}; failed commits: ${failedCommits} of ${totals.commits + failedCommits}`,
    `packets: ${packets}, of them ${share(lost)} lost, ${share(duplicated)} doubled, ${share(parted)} into a cut line`,
    failed.length === 0 ? "every promise was kept" : `BROKEN in ${failed.length} worlds: seeds ${failed.join(" ")}`,
  ].join("\n");
}

const MAX_SEED = 2 ** 31 - 1;
const NEWS = 50;

await runTool(WORLD, (asked) => main(read(asked)));
