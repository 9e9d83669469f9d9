/** `npm run bench`: CPU time of what matters beside its ceiling in the same run. docs/benches.md */
import { fork } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { cpus, totalmem } from "node:os";
import { Misuse, runTool } from "../command-line.ts";
import { BENCH } from "../tools.ts";
import { benches } from "./benches.ts";
import { cacheKeyOf } from "./cache.ts";
import type { Bench, Result } from "./harness.ts";
import { findPeers, peerBench, ratios } from "./peers/peers.ts";
import { plotPeers } from "./peers/plot.ts";
import { LOAD } from "./peers/work.ts";

async function main([name = "", ...more]: readonly string[], json: boolean): Promise<number> {
  if (name === "plot") return plot(more);
  if (name === "peers") return peers(more, json);
  if (more.length > 0) throw new Misuse(`there is "${more.join(" ")}" behind the name`);
  const all = await benches();
  const matches = matcher(all, name);
  const chosen = all.filter(({ keys, isLarge }) => (name === "" ? isLarge === undefined : keys.some(matches)));
  if (chosen.length === 0) throw new Misuse(`nothing is called "${name}"`);
  const results = await runAll(chosen, matches, json);
  if (json) print({ machine: machine(), results });
  return 0;
}

/** Our cache and those that are named, one after the other: ratios are of one run. */
async function peers([list, ...more]: readonly string[], json: boolean): Promise<number> {
  if (more.length > 0) throw new Misuse("names of peers are separated by commas alone");
  const { peers, missing } = findPeers(list);
  for (const words of missing) process.stderr.write(`bench: ${words}\n`);
  const ours = (await benches()).filter(({ keys }) => keys.some((key) => OURS.includes(key)));
  const results = await runAll([...ours, ...peers.map((peer) => peerBench(peer))], () => true, json);
  for (const { name } of peers) {
    const found = ratios(results, name);
    Object.assign(results, found);
    if (!json) for (const [key, ratio] of Object.entries(found)) process.stdout.write(`${line(key, ratio)}\n`);
  }
  const servers = Object.fromEntries(peers.map(({ name, version }) => [name, version]));
  if (json) print({ machine: { ...machine(), servers }, load: LOAD, results });
  return 0;
}

async function plot([file, ...more]: readonly string[]): Promise<number> {
  if (file === undefined || more.length > 0) throw new Misuse("plot takes the one file of a recorded run of peers");
  process.stdout.write(plotPeers(JSON.parse(await readFile(file, "utf8"))));
  return 0;
}

async function runAll(
  chosen: readonly Bench[],
  matches: (key: string) => boolean,
  json: boolean,
): Promise<Record<string, Result>> {
  const results: Record<string, Result> = {};
  for (const bench of chosen) {
    for (const [key, result] of Object.entries(await runAlone(bench))) {
      if (!matches(key)) continue;
      results[key] = result;
      if (!json) process.stdout.write(`${line(key, result)}\n`);
    }
  }
  return results;
}

/** Whole words of keys, such as cache or channel.3a; what is none is looked for anywhere in them. */
function matcher(all: readonly Bench[], name: string): (key: string) => boolean {
  const inWords = (key: string): boolean => `.${key}.`.includes(`.${name.replace(/\.$/, "")}.`);
  const isWord = name !== "" && all.some(({ keys }) => keys.some(inWords));
  return isWord ? inWords : (key) => key.includes(name);
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

function line(key: string, { value, unit, ceiling, ratio, slowness, gc }: Result): string {
  const shown = (n: number): string => (unit === "ns" ? time(n) : `${n} ${unit}`);
  const figure = shown(value);
  const best = ceiling === undefined ? "" : `${shown(ceiling).padStart(11)} at best, ratio ${(ratio ?? 0).toFixed(2)}`;
  const pause = gc === undefined || gc.longest < LONG_PAUSE_MS ? "" : `  longest pause ${gc.longest} ms`;
  const shared = slowness === undefined || slowness < SHARED ? "" : `  while the cores took ${slowness} times as long`;
  return `${key.padEnd(34)}${figure.padStart(16)}${best}${shared}${pause}`;
}

function print(recorded: object): void {
  process.stdout.write(`${JSON.stringify(recorded, undefined, 2)}\n`);
}

function time(ns: number): string {
  return ns < 10_000 ? `${ns} ns` : `${(ns / 1000).toFixed(1)} us`;
}

const LONG_PAUSE_MS = 5;
const SHARED = 1.1; // by other programs, or other machines on the same hardware
/** A key of each bench of ours that peers stand beside. */
const OURS: readonly string[] = [cacheKeyOf("live.p50_ms"), "cache.bytes_per_message", "live.relay.p50_ms"];

await runTool(BENCH, (asked) => main(asked.operands, asked.has("json")));
