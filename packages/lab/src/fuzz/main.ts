/**
 * `npm run fuzz -- [--minutes N] [--target NAME]... [--seed S] [--keep]`: every target for N minutes, two at a time, each
 * in a process of its own, beginning with the kept corpus. `--keep` writes the corpus back.
 * `npm run fuzz -- --replay NAME HEX`: one input (`-`: the hex comes on standard input).
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { register } from "node:module";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Counters } from "./cover.ts";
import type { Report } from "./work.ts";

interface Asked {
  readonly minutes: number;
  readonly names: readonly string[];
  readonly seed: number;
  readonly keep: boolean;
  readonly worker: boolean;
  /** The target to replay with, and the input as hex. */
  readonly replay: readonly [name: string, hex: string] | undefined;
}

async function main(args: string[]): Promise<number> {
  const asked = read(args);
  if (typeof asked === "string") {
    process.stderr.write(`fuzz: ${asked}\n${USAGE}\n`);
    return USAGE_ERROR;
  }
  if (asked.worker) return one(asked);
  const { TARGETS, replay, targetOf } = await import("./work.ts");
  const unknown = [...asked.names, ...(asked.replay?.slice(0, 1) ?? [])].find((name) => targetOf(name) === undefined);
  if (unknown !== undefined) {
    process.stderr.write(`fuzz: no target "${unknown}"; there are: ${TARGETS.map(({ name }) => name).join(" ")}\n`);
    return USAGE_ERROR;
  }
  const target = asked.replay && targetOf(asked.replay[0]);
  if (asked.replay === undefined || target === undefined)
    return all(asked, asked.names.length > 0 ? asked.names : TARGETS.map(({ name }) => name));
  const { isBroken, text } = replay(target, Buffer.from(asked.replay[1], "hex"));
  process.stdout.write(`${text}\n`);
  return isBroken ? 1 : 0;
}

/** All of them, two at a time, and what came of it in one line. */
async function all(asked: Asked, names: readonly string[]): Promise<number> {
  const waiting = [...names];
  const reports: Report[] = [];
  const lane = async (): Promise<void> => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const report = await apart(asked, name);
      reports.push(report);
      process.stdout.write(shown(report));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  const sum = (key: "executions" | "newInputs" | "newFeatures"): number =>
    reports.reduce((total, report) => total + report[key], 0);
  const failed = reports.filter(({ failures }) => failures.length > 0);
  const verdict =
    failed.length === 0 ? "every promise was kept" : `BROKEN: ${failed.map((one) => one.target).join(" ")}`;
  process.stdout.write(
    `fuzz: ${names.length} targets, seed ${asked.seed}: ${count(sum("executions"))} inputs, ${count(sum("newFeatures"))} new ` +
      `features by ${count(sum("newInputs"))} new inputs; ${verdict}\n`,
  );
  return failed.length === 0 ? 0 : 1;
}

/** One target in a process of its own. */
async function apart({ minutes, seed, keep }: Asked, name: string): Promise<Report> {
  const args = ["--worker", "--target", name, "--minutes", String(minutes), "--seed", String(seed)];
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), ...args, ...(keep ? ["--keep"] : [])], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (piece: string) => {
    text += piece;
  });
  const code = await new Promise<string>((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("close", (status, signal) => resolve(String(signal ?? status)));
  });
  try {
    return JSON.parse(text) as Report;
  } catch {
    return { ...NOTHING, target: name, failures: [{ why: `its process ended with ${code}`, hex: "" }] };
  }
}

/** In that process. Nothing of the project may be loaded before there are counters for it. */
async function one({ names: [name = ""], minutes, seed, keep }: Asked): Promise<number> {
  const coverage = new Counters();
  register("./hook.js", import.meta.url);
  const { targetOf, work } = await import("./work.ts");
  const target = targetOf(name);
  if (target === undefined) return USAGE_ERROR;
  const report = work(target, coverage, { ms: minutes * 60_000, seed, keep });
  process.stdout.write(`${JSON.stringify(report)}\n`);
  return 0;
}

function shown({ target, executions, seconds, corpus, newInputs, features, newFeatures, failures }: Report): string {
  const line = [
    target.padEnd(18),
    `${count(executions)} inputs`.padStart(18),
    `${count(executions / Math.max(seconds, 0.001))}/s`.padStart(11),
    `corpus ${count(corpus)} (+${count(newInputs)})`.padStart(18),
    `features ${count(features)} (+${count(newFeatures)})`.padStart(23),
    failures.length === 0 ? "no failure" : `FAILURES ${failures.length}`,
  ].join("  ");
  const broken = failures.map(({ why, hex }) =>
    hex === ""
      ? `  ${why}\n`
      : `  ${why}\n  input: ${hex}\n  replay: npm run fuzz -- --replay ${target} ${hex.length <= MAX_ARGUMENT ? hex : "- < the input as hex"}\n`,
  );
  return `${line}\n${broken.join("")}`;
}

function count(number: number): string {
  return Math.round(number).toLocaleString("en");
}

/** What was asked for, or what is wrong with it. */
function read(args: string[]): Asked | string {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        minutes: { type: "string", default: "1" },
        target: { type: "string", multiple: true, default: [] },
        seed: { type: "string", default: String(Date.now() % MAX_SEED) },
        keep: { type: "boolean", default: false },
        replay: { type: "string" },
        worker: { type: "boolean", default: false },
      },
    });
    const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
    if (!(minutes > 0 && minutes <= MAX_MINUTES)) return `--minutes is a number up to ${MAX_MINUTES}`;
    if (!Number.isInteger(seed) || seed < 0 || seed >= MAX_SEED) return "--seed is a whole number below 2^31";
    const [given = "", ...more] = positionals;
    const hex = given === "-" ? readFileSync(0, "latin1").trim() : given;
    if (values.replay === undefined ? positionals.length > 0 : more.length > 0 || !/^([0-9a-f]{2})*$/i.test(hex))
      return "an input is one word of hex, and only for --replay";
    const { keep, worker } = values;
    const replay = values.replay === undefined ? undefined : ([values.replay, hex] as const);
    return { minutes, names: values.target, seed, keep, worker, replay };
  } catch (error) {
    return error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
  }
}

const USAGE = "npm run fuzz -- [--minutes N] [--target NAME]... [--seed S] [--keep] | --replay NAME HEX";
const USAGE_ERROR = 2;
const AT_ONCE = 2;
const MAX_SEED = 2 ** 31;
const MAX_MINUTES = 10_000;
const MAX_ARGUMENT = 100_000; // characters of a command line's word; Linux takes 128 KiB
const NOTHING = { executions: 0, seconds: 0, corpus: 0, newInputs: 0, features: 0, newFeatures: 0 };

process.exitCode = await main(process.argv.slice(2));
