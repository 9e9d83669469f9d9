/**
 * Mutants: edits of one line that break a row of the checklist, or a promise that is no row of it. A test with that row's id in its
 * title must notice; or the test of that title.
 */

export interface Mutant {
  /** "C24"; or the title of a test, or how it begins. */
  readonly row: string;
  /** Under packages/restante/src; or from the root on, beginning with "packages/". */
  readonly file: string;
  /** Stands there exactly once. */
  readonly old: string;
  readonly now: string;
}

/** The file from the root on. */
export function sourceOf({ file }: Pick<Mutant, "file">): string {
  return file.startsWith("packages/") ? file : `packages/restante/src/${file}`;
}

/** Whether it is of the checklist, and no title. */
export function isId(row: string): boolean {
  return /^[A-Z]\d+$/.test(row);
}

/** Mutants of one file. */
export function inFile(
  file: string,
  edits: readonly (readonly [row: string, old: string, now: string])[],
): readonly Mutant[] {
  return edits.map(([row, old, now]) => ({ row, file, old, now }));
}
