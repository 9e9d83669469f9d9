/** `npm run -s conformance`: runs the test suite, and says which requirements of the seeds its tests prove. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runTool } from "../command-line.ts";
import { CONFORMANCE } from "../tools.ts";
import { judge, type SuiteReport, type Verdict } from "./judge.ts";
import { type Checklist, readChecklist } from "./rows.ts";

function main(isJson: boolean): number {
  const checklist = readChecklist();
  const verdict = judge(checklist, runSuite());
  const { rows, passed, failed, missing } = verdict;
  process.stdout.write(
    isJson
      ? `${JSON.stringify({ rows, passed: passed.length, failed, missing })}\n`
      : `${describe(checklist, verdict)}\n`,
  );
  for (const failure of verdict.failures) process.stderr.write(`failed: ${failure}\n`);
  for (const error of verdict.errors) process.stderr.write(`error: ${error}\n`);
  return failed.length > 0 || verdict.errors.length > 0 ? 1 : 0;
}

/** All tests of all packages, by vitest in a process of its own. Its talk goes to stderr. */
function runSuite(): SuiteReport {
  const folder = mkdtempSync(join(tmpdir(), "restante-conformance-"));
  try {
    const file = join(folder, "report.json");
    const vitest = join(ROOT, "node_modules", "vitest", "vitest.mjs");
    const args = [vitest, "run", "--reporter=dot", "--reporter=json", `--outputFile.json=${file}`];
    // Colours only where they are seen; some environments switch them on for all that runs in them.
    const { FORCE_COLOR: _, ...plain } = process.env;
    const env = process.stderr.isTTY ? process.env : { ...plain, NO_COLOR: "1" };
    spawnSync(process.execPath, args, { cwd: ROOT, env, stdio: ["ignore", 2, 2] }); // failing tests are in the report
    return JSON.parse(readFileSync(file, "utf8")) as SuiteReport;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function describe({ sections, rows }: Checklist, { passed, failed, missing }: Verdict): string {
  const of = (letter: string, ids: readonly string[]): string[] => ids.filter((id) => id.startsWith(letter));
  const table = Object.entries({ ...sections, "": "all" }).map(([letter, title]) =>
    [
      `${letter} ${title}`.trim().padEnd(32),
      ...[rows.map(({ id }) => id), passed, failed, missing].map((ids) => String(of(letter, ids).length).padStart(8)),
    ].join(" "),
  );
  const heading = `${"".padEnd(32)} ${["rows", "passed", "failed", "no test"].map((word) => word.padStart(8)).join(" ")}`;
  const lists = Object.keys(sections).flatMap((letter) => [
    `${letter}  passed:  ${of(letter, passed).join(" ") || "none"}`,
    `${letter}  failed:  ${of(letter, failed).join(" ") || "none"}`,
    `${letter}  no test: ${of(letter, missing).join(" ") || "none"}`,
  ]);
  return [heading, ...table, "", ...lists].join("\n");
}

const ROOT = fileURLToPath(new URL("../../../..", import.meta.url));

await runTool(CONFORMANCE, (asked) => main(asked.has("json")));
