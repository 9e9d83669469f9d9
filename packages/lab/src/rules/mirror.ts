/** A copy of the library with files planted in it that break a rule each, and what the project's checkers say to them. */
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../../..", import.meta.url));

/** What the checkers found. */
export interface Findings {
  /** By file: "tsc TS2304", "biome noEnum", "grit <message>", "depcruise <rule>", "knip unused file". */
  readonly complaints: ReadonlyMap<string, ReadonlySet<string>>;
  /** How many of our files each has looked at. knip does not tell. */
  readonly looked: { readonly tsc: number; readonly biome: number; readonly depcruise: number };
  /** TypeScript files of the library in the copy, without tests. */
  readonly sources: number;
}

/**
 * Copies the library, with its configuration as it is, to a folder of its own; plants the files, given by path and text;
 * runs all checkers over it; and removes it again. Nothing is written in the project itself.
 */
export async function check(planted: ReadonlyMap<string, string>): Promise<Findings> {
  const folder = mkdtempSync(join(tmpdir(), "restante-rules-"));
  try {
    for (const file of CONFIGURATION) cpSync(join(ROOT, file), join(folder, file), { recursive: true });
    cpSync(join(ROOT, LIBRARY), join(folder, LIBRARY), {
      recursive: true,
      filter: (path) => !path.endsWith(".test.ts"),
    });
    symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
    for (const [path, text] of planted) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    const [tsc, biome, depcruise, knip] = await Promise.all([
      runTsc(folder),
      runBiome(folder),
      runDepcruise(folder),
      runKnip(folder),
    ]);
    const complaints = new Map<string, Set<string>>();
    for (const { file, by } of [...tsc.found, ...biome.found, ...depcruise.found, ...knip])
      complaints.set(file, (complaints.get(file) ?? new Set()).add(by));
    const sources = readdirSync(join(folder, LIBRARY), { recursive: true }).filter((name) =>
      String(name).endsWith(".ts"),
    );
    return {
      complaints,
      looked: { tsc: tsc.looked, biome: biome.looked, depcruise: depcruise.looked },
      sources: sources.length,
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface Found {
  readonly file: string;
  readonly by: string;
}

async function runTsc(folder: string): Promise<{ found: Found[]; looked: number }> {
  // With output, although nobody needs it: without, missing types of exports (TS9010) are not looked for.
  const project = [
    "-p",
    "packages/restante/tsconfig.pure.json",
    "--outDir",
    "dist",
    "--pretty",
    "false",
    "--listFiles",
  ];
  const lines = (await run(folder, "@typescript/native/bin/tsc", project)).split("\n");
  const found = lines.flatMap((line) => {
    const [, file, code] = /^(packages\/[^(]+)\(.*\): error (TS\d+):/.exec(line) ?? [];
    return file === undefined ? [] : [{ file, by: `tsc ${code}` }];
  });
  return { found, looked: lines.filter((line) => line.includes(`/${LIBRARY}/`) && !line.includes("error")).length };
}

async function runBiome(folder: string): Promise<{ found: Found[]; looked: number }> {
  const json = await run(folder, "@biomejs/biome/bin/biome", [
    "lint",
    "--reporter=json",
    "--max-diagnostics=none",
    LIBRARY,
  ]);
  const { summary, diagnostics } = JSON.parse(json) as {
    summary: { unchanged: number };
    diagnostics: { category: string; message: string; location: { path: string } }[];
  };
  const found = diagnostics.map(({ category, message, location }) => ({
    file: location.path,
    by: category === "plugin" ? `grit ${message}` : `biome ${category.split("/").at(-1)}`,
  }));
  return { found, looked: summary.unchanged };
}

async function runDepcruise(folder: string): Promise<{ found: Found[]; looked: number }> {
  const program = "dependency-cruiser/bin/dependency-cruise.mjs";
  const json = await run(folder, program, ["packages", "--output-type", "json"]);
  const { modules, summary } = JSON.parse(json) as {
    modules: { source: string }[];
    summary: { violations: { from: string; rule: { name: string } }[] };
  };
  const found = summary.violations.map(({ from, rule }) => ({ file: from, by: `depcruise ${rule.name}` }));
  return { found, looked: modules.filter(({ source }) => source.startsWith(LIBRARY)).length };
}

async function runKnip(folder: string): Promise<Found[]> {
  const json = await run(folder, "knip/bin/knip.js", ["--reporter", "json"]);
  const { issues } = JSON.parse(json) as {
    issues: { file: string; files: unknown[]; exports: { name: string }[]; unlisted: unknown[] }[];
  };
  return issues.flatMap(({ file, files, exports, unlisted }) => [
    ...files.map(() => ({ file, by: "knip unused file" })),
    ...exports.map(() => ({ file, by: "knip unused export" })),
    ...unlisted.map(() => ({ file, by: "knip undeclared dependency" })),
  ]);
}

/** What a program of node_modules prints. That it exits with an error is what we want here. */
function run(folder: string, program: string, args: readonly string[]): Promise<string> {
  const command = [join(folder, "node_modules", program), ...args];
  return new Promise((resolve) => {
    execFile(process.execPath, command, { cwd: folder, maxBuffer: MAX_OUTPUT }, (_, stdout) => resolve(stdout));
  });
}

const LIBRARY = "packages/restante/src";
const CONFIGURATION = [
  "biome.json",
  "lint",
  ".dependency-cruiser.mjs",
  ".gitignore",
  "knip.json",
  "package.json",
  "tsconfig.base.json",
  "scripts",
  "packages/restante/package.json",
  "packages/restante/tsconfig.json",
  "packages/restante/tsconfig.pure.json",
  "packages/node/package.json",
  "packages/lab/package.json",
];
const MAX_OUTPUT = 64 << 20;
