/** Where a peer may be: paths side by side. */
import { type Path, pathKey } from "../card/index.ts";

/** Whether both lead to the same address. */
export function isSame(a: Path | undefined, b: Path | undefined): boolean {
  if (a === undefined || b === undefined || a === b) return a === b;
  if (a.type !== b.type || a.ip !== b.ip || a.port !== b.port) return false;
  return a.url === b.url && a.name === b.name && a.hn === b.hn;
}

/** Whether these are the same places in the same order. */
export function isSamePlaces(a: readonly Path[], b: readonly Path[]): boolean {
  return a.length === b.length && a.every((path, i) => isSame(path, b[i]));
}

/** Each place once, where it was named first; of the paths that lead there the last. */
export function unique(paths: readonly Path[]): readonly Path[] {
  const [one, other] = paths;
  if (one === undefined || other === undefined) return paths;
  if (paths.length === 2) return isSame(one, other) ? [other] : paths;
  return [...new Map(paths.map((path) => [pathKey(path), path])).values()];
}
