/** `npm run -s vectors -- DIR`: vector files of any origin against this implementation. */
import { Misuse, runTool } from "../command-line.ts";
import { VECTORS } from "../tools.ts";
import { type Report, runFolder } from "./runner.ts";

function main([folder, ...more]: readonly string[], isJson: boolean): number {
  if (folder === undefined || more.length > 0) throw new Misuse("name one folder with vector files");
  let report: Report;
  try {
    report = runFolder(folder);
  } catch (error) {
    throw new Misuse(`cannot read ${folder}: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (report.files.length === 0) throw new Misuse(`there are no vector files under ${folder}`);
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

await runTool(VECTORS, (asked) => main(asked.operands, asked.has("json")));
