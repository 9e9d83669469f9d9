/**
 * `npm run fuzz`: every target for some minutes, two at a time, each in a process of its own, beginning with the kept
 * corpus; or as many inputs as are recorded for each; or one input. With `--keep` it writes the corpus back.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { register } from "node:module";
import { fileURLToPath } from "node:url";
import { type Asked, Misuse, runTool } from "../command-line.ts";
import { FUZZ, type FuzzOption } from "../tools.ts";
import { Counters } from "./cover.ts";
import { readSteps, writeSteps } from "./steps.ts";
import type { Report } from "./work.ts";

interface Wanted {
  readonly minutes: number;
  readonly names: readonly string[];
  readonly seed: number;
  readonly keep: boolean;
  /** As many steps as are recorded, and no minutes. */
  readonly recorded: boolean;
  /** Records the steps that the minutes came to. */
  readonly record: boolean;
  /** So many, of a worker. */
  readonly steps: number | undefined;
  readonly list: boolean;
  readonly worker: boolean;
  /** The target to replay with, and the input as hex. */
  readonly replay: readonly [name: string, hex: string] | undefined;
}

async function main(asked: Wanted): Promise<number> {
  if (asked.worker) return one(asked);
  const { TARGETS, replay, targetOf } = await import("./work.ts");
  const unknown = [...asked.names, ...(asked.replay?.slice(0, 1) ?? [])].find((name) => targetOf(name) === undefined);
  if (unknown !== undefined) throw new Misuse(`there is no target "${unknown}"; --list prints them`);
  if (asked.list) {
    process.stdout.write(TARGETS.map(({ name }) => `${name}\n`).join(""));
    return 0;
  }
  const target = asked.replay && targetOf(asked.replay[0]);
  if (asked.replay === undefined || target === undefined)
    return all(
      asked,
      TARGETS.map(({ name }) => name),
    );
  const { isBroken, text } = await replay(target, Buffer.from(asked.replay[1], "hex"));
  process.stdout.write(`${text}\n`);
  return isBroken ? 1 : 0;
}

/** All of them, two at a time, and what came of it in one line. */
async function all(asked: Wanted, known: readonly string[]): Promise<number> {
  const names = asked.names.length > 0 ? asked.names : known;
  const recorded = asked.recorded ? readSteps() : undefined;
  const unrecorded = recorded && names.find((name) => !recorded.has(name));
  if (unrecorded !== undefined) throw new Misuse(`no number is recorded for "${unrecorded}"; --record does it`);
  const waiting = [...names];
  const reports: Report[] = [];
  const lane = async (): Promise<void> => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const report = await apart({ ...asked, steps: recorded?.get(name) }, name);
      reports.push(report);
      process.stdout.write(shown(report));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  if (asked.record)
    writeSteps(new Map(reports.filter(({ steps }) => steps > 0).map(({ target, steps }) => [target, steps])), known);
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
async function apart({ minutes, steps, seed, keep }: Wanted, name: string): Promise<Report> {
  const work = steps === undefined ? ["--minutes", String(minutes)] : ["--steps", String(steps)];
  const args = ["--worker", "--target", name, ...work, "--seed", String(seed)];
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
  const report = reported(text);
  // The watchdog prints one, too, and then kills the process.
  if (report !== undefined && (code === "0" || report.failures.length > 0)) return report;
  const why = `its process ended with ${code}; the same again: --target ${name} --seed ${seed}`;
  return { ...NOTHING, target: name, failures: [{ why, hex: "" }] };
}

function reported(text: string): Report | undefined {
  try {
    return JSON.parse(text) as Report;
  } catch {
    return undefined; // it did not come that far
  }
}

/** In that process. Nothing of the project may be loaded before there are counters for it. */
async function one({ names: [name = ""], minutes, steps, seed, keep }: Wanted): Promise<number> {
  const coverage = new Counters();
  register("./hook.js", import.meta.url);
  const { targetOf, work } = await import("./work.ts");
  const target = targetOf(name);
  if (target === undefined) throw new Misuse(`there is no target "${name}"`);
  const report = await work(target, coverage, { ms: minutes * 60_000, steps, seed, keep });
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

/** What was asked for. Throws `Misuse`. */
function read(asked: Asked<FuzzOption>): Wanted {
  const [given = "", ...more] = asked.operands;
  const target = asked.text("replay");
  const hex = given === "-" ? readFileSync(0, "latin1").trim() : given;
  if (target === undefined ? given !== "" : more.length > 0 || !/^([0-9a-f]{2})*$/i.test(hex))
    throw new Misuse("an input is one word of hex, and only for --replay");
  const minutes = asked.number("minutes", 0, MAX_MINUTES) ?? 1;
  if (minutes === 0) throw new Misuse("--minutes takes more than 0");
  const recorded = asked.has("recorded");
  if (recorded && (asked.has("minutes") || asked.has("record")))
    throw new Misuse("--recorded goes with neither --minutes nor --record");
  return {
    minutes,
    names: asked.all("target"),
    seed: asked.whole("seed", 0, MAX_SEED - 1) ?? Date.now() % MAX_SEED,
    keep: asked.has("keep"),
    recorded,
    record: asked.has("record"),
    steps: asked.whole("steps", 1, Number.MAX_SAFE_INTEGER),
    list: asked.has("list"),
    worker: asked.has("worker"),
    replay: target === undefined ? undefined : [target, hex],
  };
}

const AT_ONCE = 2;
const MAX_SEED = 2 ** 31;
const MAX_MINUTES = 10_000;
const MAX_ARGUMENT = 100_000; // characters of a command line's word; Linux takes 128 KiB
const NOTHING = { executions: 0, steps: 0, seconds: 0, corpus: 0, newInputs: 0, features: 0, newFeatures: 0 };

await runTool(FUZZ, (asked) => main(read(asked)));
