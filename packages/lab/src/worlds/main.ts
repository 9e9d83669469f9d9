/** `npm run world -- --seed 7 --peers 6 --caches 2 --days 7 --loss 0.3`, or `--seeds 1000-1999`: simulated worlds. */
import { parseArgs } from "node:util";
import { loadNative } from "@restante/node";
import type { SimulationReport } from "restante/testing";
import { isReal, runWorld, SETUP, type Setup, show, type Totals, total } from "./run.ts";

interface Asked {
  readonly setup: Setup;
  readonly first: number;
  readonly last: number;
  readonly json: boolean;
}

async function main(args: string[]): Promise<number> {
  const asked = read(args);
  if (typeof asked === "string") {
    process.stderr.write(`world: ${asked}\n${USAGE}\n`);
    return USAGE_ERROR;
  }
  const { setup, first, last, json } = asked;
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

/** What was asked for, or what is wrong with it. */
function read(args: string[]): Asked | string {
  let values: ReturnType<typeof parse>;
  try {
    values = parse(args);
  } catch (error) {
    return error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
  }
  const number = (name: "peers" | "caches" | "days" | "loss", least: number, most: number): number => {
    const text = values[name];
    const value = text === undefined ? SETUP[name] : Number(text);
    if (value >= least && value <= most && (name === "loss" || Number.isInteger(value))) return value;
    throw new RangeError(`--${name} is a number from ${least} to ${most}`);
  };
  const range = /^(\d+)(?:-(\d+))?$/.exec(values.seeds ?? values.seed ?? "1");
  const [first, last] = [Number(range?.[1]), Number(range?.[2] ?? range?.[1])];
  if (range === null || last < first || last > MAX_SEED || (values.seed ?? "").includes("-"))
    return "--seed N or --seeds FIRST-LAST, with whole numbers below 2^31";
  try {
    const setup: Setup = {
      peers: number("peers", 2, 50),
      caches: number("caches", 1, 10),
      days: number("days", 1, 365),
      loss: number("loss", 0, 0.9),
      cipher: values.real === true ? "real" : SETUP.cipher,
      ...(values["forget-save"] === undefined ? {} : { forgetSave: values["forget-save"] }),
    };
    return { setup, first, last, json: values.json === true };
  } catch (error) {
    if (error instanceof RangeError) return error.message;
    throw error;
  }
}

function parse(args: string[]) {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  const options = {
    seed: text,
    seeds: text,
    peers: text,
    caches: text,
    days: text,
    loss: text,
    "forget-save": text,
    real: flag,
    json: flag,
  };
  return parseArgs({ args, options }).values;
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

const USAGE =
  "npm run world -- [--seed N | --seeds FIRST-LAST] [--peers N] [--caches N] [--days N] [--loss 0..0.9] [--real] [--forget-save KEYPREFIX] [--json]";
const USAGE_ERROR = 2;
const MAX_SEED = 2 ** 31 - 1;
const NEWS = 50;

process.exitCode = await main(process.argv.slice(2));
