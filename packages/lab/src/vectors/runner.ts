/** Runs vector files: the folder that a file lies in and its name choose what is done with it. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { Case, Runner } from "./cases.ts";
import { OPENBAZAAR } from "./openbazaar.ts";
import { TELEHASH } from "./telehash.ts";
import { WYCHEPROOF } from "./wycheproof.ts";

/** What came of one file. A file that cannot be read, or not as its kind, counts as one failed case. */
export interface FileReport {
  /** Its path below the folder that was run, with "/". */
  readonly file: string;
  readonly cases: number;
  readonly passed: number;
  readonly failed: number;
  readonly unsupported: number;
  /** What failed, and how: "name: reason". */
  readonly failures: readonly string[];
}

export interface Report {
  readonly files: readonly FileReport[];
  readonly failed: number;
  readonly unsupported: number;
  /** JSON files that are of no known kind. */
  readonly unknown: readonly string[];
}

/** Runs every vector file in the folder and below it, in the order of their paths. Throws when there is no such folder. */
export function runFolder(folder: string): Report {
  const root = resolve(folder);
  const paths = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory() && entry.name.endsWith(".json"))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  const files: FileReport[] = [];
  const unknown: string[] = [];
  for (const path of paths) {
    const file = relative(root, path).split(sep).join("/");
    const runner = runnerOf(path);
    if (runner === undefined) unknown.push(file);
    else files.push(runFile(file, () => runner(read(path), (name) => beside(path, name))));
  }
  const sum = (key: "failed" | "unsupported"): number => files.reduce((total, file) => total + file[key], 0);
  return { files, failed: sum("failed"), unsupported: sum("unsupported"), unknown };
}

/** Runs the cases that `load` gives; when it throws, that is the one failed case. */
function runFile(file: string, load: () => Case[]): FileReport {
  const failures: string[] = [];
  let cases: Case[];
  try {
    cases = load();
  } catch (error) {
    return { file, cases: 1, passed: 0, failed: 1, unsupported: 0, failures: [`the file: ${reason(error)}`] };
  }
  const supported = cases.filter((one) => !one.isUnsupported);
  for (const { name, check } of supported) {
    try {
      check();
    } catch (error) {
      failures.push(`${name}: ${reason(error)}`);
    }
  }
  const [failed, unsupported] = [failures.length, cases.length - supported.length];
  return { file, cases: cases.length, passed: supported.length - failed, failed, unsupported, failures };
}

function beside(path: string, name: string): unknown {
  const there = join(dirname(path), `${name}.json`);
  return read(existsSync(there) ? there : join(OWN, basename(dirname(path)), `${name}.json`));
}

function read(path: string): unknown {
  return JSON.parse(readFileSync(path, "utf8"));
}

function runnerOf(path: string): Runner | undefined {
  const kinds = { telehash: TELEHASH, openbazaar: OPENBAZAAR, wycheproof: WYCHEPROOF }[basename(dirname(path))];
  const name = basename(path, ".json");
  return kinds !== undefined && Object.hasOwn(kinds, name) ? kinds[name] : undefined;
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const OWN = fileURLToPath(new URL("../../../../vectors", import.meta.url));
