/** Mutants: edits of one line that break a row of the checklist. A test with that row's id in its title must notice. */

export interface Mutant {
  /** "C24". */
  readonly row: string;
  /** Under packages/restante/src. */
  readonly file: string;
  /** Stands there exactly once. */
  readonly old: string;
  readonly now: string;
}

/** Mutants of one file. */
export function inFile(
  file: string,
  edits: readonly (readonly [row: string, old: string, now: string])[],
): readonly Mutant[] {
  return edits.map(([row, old, now]) => ({ row, file, old, now }));
}
