/**
 * The version of our own records, and how older ones become those of today. A store (LevelDB, a browser's) has a version of its
 * own, of how it keeps things; this one is of what the machines save in it. docs/identity.md §7
 */
import { assert, fromUtf8, utf8 } from "../bytes/index.ts";
import { queueToLines } from "../mail/index.ts";

/** A key of the store, and what is to stand there. `undefined`: nothing. */
interface Change {
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

/**
 * What makes records of version n those of n + 1, at n - 1. `saved`: the keys of the head space; of all others nothing can be
 * changed here, so what reads those has to read the old ones, too.
 */
export type Migration = (saved: ReadonlyMap<string, Uint8Array>) => readonly Change[];

/** Where the version lies. Not in the head space: it is read before that is. */
export const RECORDS_KEY = "records";

/** Whether records have to be migrated before a machine may see them. "newer": a newer version wrote them, and only that reads them. */
export function recordsState(
  version: Uint8Array | undefined,
  migrations: readonly Migration[] = MIGRATIONS,
): "current" | "older" | "newer" {
  const [number, newest] = [numberOf(version), migrations.length + 1];
  if (number > newest) return "newer";
  return number < newest || version === undefined ? "older" : "current";
}

/** All to commit in one batch, so that the records are of today, the new version among it. */
export function migrated(
  saved: ReadonlyMap<string, Uint8Array>,
  version: Uint8Array | undefined,
  migrations: readonly Migration[] = MIGRATIONS,
): Change[] {
  const changes = new Map<string, Change>();
  const current = new Map(saved);
  for (const migrate of migrations.slice(numberOf(version) - 1))
    for (const change of migrate(current)) {
      changes.set(change.key, change);
      if (change.value === undefined) current.delete(change.key);
      else current.set(change.key, change.value);
    }
  return [...changes.values(), { key: RECORDS_KEY, value: utf8(String(migrations.length + 1)) }];
}

/** The first one was not written down. */
function numberOf(version: Uint8Array | undefined): number {
  const number = version === undefined ? 1 : Number(fromUtf8(version));
  assert(Number.isInteger(number) && number >= 1, "the version of our records is a whole number");
  return number;
}

/** Never changed once it was released; a new one comes with a store of the version before, in `fixtures`. */
const MIGRATIONS: readonly Migration[] = [
  queueToLines, // 2: mail on its way is not loaded at each start
];
