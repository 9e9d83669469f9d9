/** The requirements of the seeds as data: packages/lab/conformance/rows.json, and the decisions of protocol/decisions.md. */
import { readFileSync } from "node:fs";

/** One requirement. */
interface Row {
  /** A letter, its section, and a number: "C24". */
  readonly id: string;
  readonly level: string;
  /** Where it stands: the short name of a seed and a line, or a page that the seeds refer to. */
  readonly seed: string;
  readonly requirement: string;
  /** The smallest test that proves it. */
  readonly check: string;
}

export interface Checklist {
  /** Titles by letter. */
  readonly sections: Readonly<Record<string, string>>;
  readonly rows: readonly Row[];
  /** Ids of decisions. Titles of tests may cite them; they are no rows. */
  readonly decisions: ReadonlySet<string>;
}

/** Reads both files. Throws when they are damaged, an id is there twice, or rows are missing. */
export function readChecklist(): Checklist {
  const { sections, rows } = JSON.parse(read("../../conformance/rows.json")) as Omit<Checklist, "decisions">;
  const ids = new Set(rows.map(({ id }) => id));
  if (rows.length !== ROWS || ids.size !== ROWS) throw new Error(`rows.json has ${ids.size} rows, not ${ROWS}`);
  const decisions = read("../../../../protocol/decisions.md").matchAll(/^\| (X\d+) \|/gm);
  return { sections, rows, decisions: new Set([...decisions].map(([, id]) => id ?? "")) };
}

function read(path: string): string {
  return readFileSync(new URL(path, import.meta.url), "utf8"); // the same way up from src/ and from dist/
}

const ROWS = 214;
