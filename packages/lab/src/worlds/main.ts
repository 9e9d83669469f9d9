/** `npm run world`: simulated worlds, one or many. */
import { loadNative } from "@restante/node";
import type { SimulationReport } from "restante/testing";
import { type Asked, Misuse, runTool } from "../command-line.ts";
import { WORLD, type WorldOption } from "../tools.ts";
import { nightSetup } from "./many.ts";
import { record, recorded } from "./record.ts";
import { isReal, runWorld, SETUP, type Setup, show, type Totals, total } from "./run.ts";

interface Wanted {
  readonly setupOf: (seed: number) => Setup;
  readonly first: number;
  readonly last: number;
  /** Ends after so many minutes, and is recorded. */
  readonly minutes: number | undefined;
  readonly json: boolean;
}

async function main({ setupOf, first, last, minutes, json }: Wanted): Promise<number> {
  const native = await loadNative();
  const end = minutes === undefined ? Number.POSITIVE_INFINITY : performance.now() + 60_000 * minutes;
  const isOne = first === last;
  const reports: SimulationReport[] = [];
  let [days, real] = [0, 0];
  for (let seed = first; seed <= last && performance.now() < end; seed++) {
    const setup = setupOf(seed);
    if (!json && process.stderr.isTTY && reports.length === 0)
      process.stderr.write(
        `world ${seed}: ${setup.days} days of ${setup.peers} peers; this takes some seconds to minutes\n`,
      );
    const report = runWorld(seed, setup, native);
    reports.push(report);
    days += setup.days;
    if (isReal(seed, setup)) real++;
    if (json) continue;
    if (isOne || report.broken.length > 0) process.stdout.write(`${show(report, setup)}\n`);
    if (isOne && report.broken.length === 0) process.stdout.write(`${KEPT}\n`);
    else if (reports.length % NEWS === 0) process.stderr.write(`${reports.length} worlds\n`);
  }
  const totals = total(reports);
  const broken = reports.filter((report) => report.broken.length > 0);
  if (json) process.stdout.write(`${JSON.stringify({ ...totals, reports: isOne ? reports : broken })}\n`);
  else if (!isOne) process.stdout.write(`${summary(totals, days, real)}\n`);
  if (minutes !== undefined && reports.length > 0) {
    const all = record(first, days, totals);
    if (!json)
      process.stdout.write(
        `so far: ${all.worlds} worlds, ${all.days} days, ${all.mails} mails, ${all.mailsLost} lost, ${all.mailsDoubled} doubled\n`,
      );
  }
  return totals.failed.length > 0 ? 1 : 0;
}

/** What was asked for. Throws `Misuse`. */
function read(asked: Asked<WorldOption>): Wanted {
  const range = /^(\d+)(?:-(\d+))?$/.exec(asked.text("seeds") ?? asked.text("seed") ?? "1");
  const [first, last] = [Number(range?.[1]), Number(range?.[2] ?? range?.[1])];
  const isOne = asked.has("seed");
  if (range === null || last < first || last > MAX_SEED || (isOne && (range[2] !== undefined || asked.has("seeds"))))
    throw new Misuse("give --seed N or --seeds FIRST-LAST, with whole numbers below 2147483648");
  const minutes = asked.number("minutes", 0.01, 60 * 24 * 7);
  const from = asked.whole("from", 0, MAX_SEED);
  const json = asked.has("json");
  if (minutes !== undefined) {
    const given = (["seed", "seeds", "peers", "caches", "evil", "days", "loss", "real", "forget-save"] as const).find(
      (name) => asked.has(name),
    );
    if (given !== undefined) throw new Misuse(`with --minutes the seed decides everything: leave out --${given}`);
    return { setupOf: nightSetup, first: from ?? recorded().next, last: MAX_SEED, minutes, json };
  }
  if (from !== undefined) throw new Misuse("--from goes with --minutes");
  const forgetSave = asked.text("forget-save");
  const evil = asked.whole("evil", 0, 6);
  const setup: Setup = {
    peers: asked.whole("peers", 2, 50) ?? SETUP.peers,
    caches: asked.whole("caches", 1, 10) ?? SETUP.caches,
    days: asked.whole("days", 1, 365) ?? SETUP.days,
    loss: asked.number("loss", 0, 0.9) ?? SETUP.loss,
    cipher: asked.has("real") ? "real" : SETUP.cipher,
    ...(evil === undefined ? {} : { evil }),
    ...(forgetSave === undefined ? {} : { forgetSave }),
  };
  return { setupOf: () => setup, first, last, minutes, json };
}

function summary(totals: Totals, days: number, real: number): string {
  const { worlds, mails, files, cancelled, delivered, failed, packets, lost, duplicated, parted, failedCommits } =
    totals;
  const { clock, lost: lostDevices, restored, full, rewound } = totals.mishaps;
  const share = (part: number): string => `${((100 * part) / Math.max(1, packets)).toFixed(1)} %`;
  const crashes = Object.entries(totals.crashes).sort(([, a], [, b]) => (b ?? 0) - (a ?? 0));
  return [
    `${worlds} worlds (${real} with cipher set 3a), ${days} days: ${mails} mails (${files} files, ${cancelled} cancelled), ${delivered} shown`,
    `lost ${totals.mailsLost}, doubled ${totals.mailsDoubled}; ${totals.copies} messages at caches for each of a mail`,
    `shown after the first possible opportunity: median ${seconds(totals.delayMedian)}, p99 ${seconds(totals.delayP99)}; with honest caches ${seconds(totals.delayHonestMedian)}, ${seconds(totals.delayHonestP99)}`,
    `crashes of peers, by effect: ${crashes.map(([effect, times]) => `${effect} ${times}`).join(", ") || "none"}`,
    `crashes of caches: ${totals.cacheCrashes}; failed commits: ${failedCommits} of ${totals.commits + failedCommits}`,
    `mishaps: ${clock} clocks jumped, ${lostDevices} devices were lost, ${restored} restored from a backup, ${rewound} put back unnoticed, ${full} disks full`,
    `packets: ${packets}, of them ${share(lost)} lost, ${share(duplicated)} doubled, ${share(parted)} into a cut line`,
    failed.length === 0 ? KEPT : `BROKEN in ${failed.length} worlds: seeds ${failed.join(" ")}`,
  ].join("\n");
}

function seconds(ms: number): string {
  return ms < 600_000 ? `${(ms / 1000).toFixed(1)} s` : `${(ms / 3_600_000).toFixed(1)} h`;
}

const KEPT = "every promise was kept";
const MAX_SEED = 2 ** 31 - 1;
const NEWS = 50;

await runTool(WORLD, (asked) => main(read(asked)));
