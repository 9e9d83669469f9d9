/** From the results of a test run to a verdict on each row. */
import type { Checklist } from "./rows.ts";

/** What is read of the report of vitest's `json` reporter. */
export interface SuiteReport {
  readonly testResults: readonly {
    /** The path of the test file. */
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly {
      readonly ancestorTitles: readonly string[];
      readonly title: string;
      readonly status: string;
    }[];
  }[];
}

export interface Verdict {
  readonly rows: number;
  /** Rows with a test that passed and none that failed. */
  readonly passed: readonly string[];
  readonly failed: readonly string[];
  /** Rows that no test proves: there is none, or it was skipped. */
  readonly missing: readonly string[];
  /** The titles of tests that failed, of any kind. */
  readonly failures: readonly string[];
  /** Why the verdict cannot be trusted: titles with errors, files that did not load, no tests at all. */
  readonly errors: readonly string[];
}

/** Judges every row by the titles and results of all tests. */
export function judge({ rows, decisions }: Checklist, { testResults }: SuiteReport): Verdict {
  const known = new Set(rows.map(({ id }) => id));
  const passed = new Set<string>();
  const failed = new Set<string>();
  const failures: string[] = [];
  const errors: string[] = [];
  for (const { name, status, message, assertionResults } of testResults) {
    if (status !== "passed" && assertionResults.every((test) => test.status !== "failed"))
      errors.push(`${name}: did not run: ${message ?? status}`);
    for (const { ancestorTitles, title, status } of assertionResults) {
      if (status === "failed") failures.push([...ancestorTitles, title].join(" > "));
      if (ancestorTitles.some((ancestor) => idsOf(ancestor).length > 0))
        errors.push(`"${ancestorTitles.join(" > ")}": ids belong in the titles of tests, not of groups`);
      const ids = idsOf(title);
      const problem = problemOf(ids, known, decisions);
      if (problem !== undefined) errors.push(`"${title}": ${problem}`);
      else if (status === "passed") for (const id of ids) passed.add(id);
      if (status === "failed") for (const id of ids) failed.add(id);
    }
  }
  if (testResults.length === 0) errors.push("no test ran");
  const where = (holds: (id: string) => boolean): string[] => [...known].filter(holds);
  return {
    rows: known.size,
    passed: where((id) => passed.has(id) && !failed.has(id)),
    failed: where((id) => failed.has(id)),
    missing: where((id) => !passed.has(id) && !failed.has(id)),
    failures,
    errors: [...new Set(errors)],
  };
}

/** The ids in square brackets, wherever they stand: "[A18 A19] text" and "[A18] [A19] text" have the same two. */
function idsOf(title: string): string[] {
  const groups = title.match(/\[[A-Z]\d+(?:[ ,]+[A-Z]\d+)*\]/g) ?? [];
  return groups.flatMap((group) => group.match(/[A-Z]\d+/g) ?? []);
}

function problemOf(ids: readonly string[], ...known: ReadonlySet<string>[]): string | undefined {
  const unknown = ids.filter((id) => !known.some((set) => set.has(id)));
  if (unknown.length > 0) return `${unknown.join(", ")}: no such row or decision`;
  if (ids.length > MAX_IDS) return `${ids.length} ids; a test proves at most ${MAX_IDS} rows`;
  return undefined;
}

const MAX_IDS = 3;
