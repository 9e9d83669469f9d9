/** `npm run -s vectors -- DIR [--json]`: vector files of any origin against this implementation. */
import { parseArgs } from "node:util";
import { type Report, runFolder } from "./runner.ts";

function main(args: string[]): number {
  let folder: string | undefined;
  let isJson = false;
  try {
    const { values, positionals } = parseArgs({ args, options: { json: { type: "boolean" } }, allowPositionals: true });
    isJson = values.json === true;
    if (positionals.length === 1) [folder] = positionals;
  } catch {
    // Said below.
  }
  if (folder === undefined) return refuse("npm run -s vectors -- DIR [--json]: name one folder with vector files");
  let report: Report;
  try {
    report = runFolder(folder);
  } catch (error) {
    return refuse(`cannot read ${folder}: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (report.files.length === 0)
    return refuse(`no vector files under ${folder}; they lie in folders telehash/, openbazaar/ and wycheproof/`);
  for (const file of report.unknown) process.stderr.write(`ignored ${file}: of no known kind\n`);
  process.stdout.write(isJson ? `${json(report)}\n` : table(report));
  return report.failed > 0 ? 1 : 0;
}

function json({ files, failed, unsupported }: Report): string {
  const counts = files.map(({ failures: _, ...file }) => file);
  return JSON.stringify({ files: counts, failed, unsupported });
}

function table({ files, failed, unsupported }: Report): string {
  const lines = files.flatMap((file) => [
    row(file.file, file.cases, file.passed, file.failed, file.unsupported),
    ...file.failures.map((failure) => `  FAILED ${failure}`),
  ]);
  const end = failed === 0 ? "all that is supported passed" : `${failed} failed`;
  return [
    row("file", "cases", "passed", "failed", "unsupported"),
    ...lines,
    `${end}; ${unsupported} unsupported`,
    "",
  ].join("\n");
}

function row(file: string, ...columns: readonly (string | number)[]): string {
  return file.padEnd(32) + columns.map((column) => String(column).padStart(12)).join("");
}

function refuse(message: string): number {
  process.stderr.write(`vectors: ${message}\n`);
  return USAGE;
}

const USAGE = 2;

process.exitCode = main(process.argv.slice(2));
