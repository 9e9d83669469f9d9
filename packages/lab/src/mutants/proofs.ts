/** Which tests prove a row, and what they say about a copy of the project. */
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { SuiteReport } from "../conformance/judge.ts";
import { isId } from "./mutant.ts";
import { ROOT, type Tree } from "./tree.ts";

/** Test files with tests of one row. */
export interface Proofs {
  /** Those beside the sources of the library and of the bazaar's pure part: quick. */
  readonly near: readonly string[];
  /** Worlds, suites run elsewhere, real processes. */
  readonly far: readonly string[];
}

/** What the tests of some rows said. */
export interface Outcome {
  /** How many of them ran, and the titles of those that failed. */
  readonly ran: number;
  readonly failed: readonly string[];
  /** They did not come to an end. */
  readonly isHung: boolean;
  /** Why files did not load, and what vitest said where it wrote no report. */
  readonly errors: readonly string[];
}

/** Finds the tests of rows by the ids in their titles. Reads every test file once. */
export class Index {
  readonly #texts = new Map<string, string>();
  /** Test files by the suite that they run. */
  readonly #users = new Map<string, string[]>();

  constructor() {
    for (const name of readdirSync(join(ROOT, PACKAGES), { recursive: true, encoding: "utf8" })) {
      if (!/^[a-z]+\/src\/.*(?:\.test|-suite)\.ts$/.test(name)) continue;
      const file = join(PACKAGES, name);
      this.#texts.set(file, readFileSync(join(ROOT, file), "utf8"));
    }
    for (const [suite, text] of this.#texts) {
      const called = /^export function (\w+Suite)\(/m.exec(text)?.[1];
      if (called === undefined) continue;
      const uses = [...this.#texts].filter(([file, other]) => isTest(file) && other.includes(`${called}(`));
      this.#users.set(
        suite,
        uses.map(([file]) => file),
      );
    }
  }

  of(row: string): Proofs {
    const title = new RegExp(titleOf([row]));
    const files = new Set<string>();
    for (const [file, text] of this.#texts) {
      if (!title.test(text)) continue;
      for (const test of isTest(file) ? [file] : (this.#users.get(file) ?? [])) files.add(test);
    }
    const all = [...files].sort();
    return { near: all.filter((file) => NEAR.test(file)), far: all.filter((file) => !NEAR.test(file)) };
  }
}

/**
 * Runs those tests in these files of a copy that have one of the rows in their titles. `stops`: at the first that fails. What was
 * under way then may end without a word of it, and so may that one itself (seen once, on a busy machine): then all of them run.
 */
export async function prove(
  tree: Tree,
  rows: readonly string[],
  files: readonly string[],
  stops = false,
): Promise<Outcome> {
  if (files.length === 0) return { ...NOTHING, isHung: false, errors: [] };
  const [outcome, isGood] = await run(tree, rows, files, stops ? ["--bail=1"] : []);
  const isUntold = stops && !isGood && !outcome.isHung && outcome.failed.length + outcome.errors.length === 0;
  return isUntold ? prove(tree, rows, files) : outcome;
}

/** What they said, and whether vitest ended well. */
async function run(
  tree: Tree,
  rows: readonly string[],
  files: readonly string[],
  options: readonly string[],
): Promise<[outcome: Outcome, isGood: boolean]> {
  const report = join(tree.root, "report.json");
  rmSync(report, { force: true });
  const vitest = join(tree.root, "node_modules/vitest/vitest.mjs");
  const args = ["run", ...files, "-t", titleOf(rows), ...options, "--reporter=json", `--outputFile.json=${report}`];
  const { FORCE_COLOR: _, CI_STRICT: __, ...env } = process.env;
  const child = spawn(process.execPath, [vitest, ...args], { cwd: tree.root, env, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (piece: string) => {
      said = (said + piece).slice(-SAID);
    });
  let isHung = false;
  const timer = setTimeout(() => {
    isHung = true;
    child.kill("SIGKILL");
  }, LIMIT_MS);
  const code = await new Promise((resolve) => child.on("close", resolve));
  clearTimeout(timer);
  if (isHung) return [{ ...NOTHING, isHung, errors: [] }, false];
  if (!existsSync(report)) return [{ ...NOTHING, isHung, errors: [said.trim()] }, false];
  return [read(JSON.parse(readFileSync(report, "utf8")) as SuiteReport, rows), code === 0];
}

function read({ testResults }: SuiteReport, rows: readonly string[]): Outcome {
  const title = new RegExp(titleOf(rows));
  const tests = testResults
    .flatMap(({ assertionResults }) => assertionResults)
    .filter((test) => title.test(test.title) && (test.status === "passed" || test.status === "failed"));
  const errors = testResults.flatMap(({ name, status, message = "", assertionResults }) =>
    status === "failed" && assertionResults.every((test) => test.status !== "failed") ? `${name}: ${message}` : [],
  );
  const failed = tests.flatMap((test) => (test.status === "failed" ? test.title : []));
  return { ran: tests.length, failed, isHung: false, errors };
}

/** Matches titles that have one of the ids in brackets, as conformance/judge.ts reads them; and those that are named whole. */
export function titleOf(rows: readonly string[]): string {
  const ids = rows.filter(isId);
  const titles = rows.filter((row) => !isId(row)).map((row) => row.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const bracketed = `\\[(?:[A-Z]\\d+[ ,]+)*(?:${ids.join("|")})(?:[ ,]+[A-Z]\\d+)*\\]`;
  return [...(ids.length > 0 ? [bracketed] : []), ...titles].join("|");
}

function isTest(file: string): boolean {
  return file.endsWith(".test.ts");
}

const NOTHING = { ran: 0, failed: [] };
const PACKAGES = "packages";
const NEAR = /^packages\/(?:restante\/src\/(?!testing\/)|bazaar\/src\/(?:format|offline)\/)/;
const LIMIT_MS = 180_000;
const SAID = 2000; // characters
