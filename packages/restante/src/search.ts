/**
 * The search for a stamp, in pieces: between them everything else has its turn, so that nobody notices it but the one who
 * waits for it. protocol/admission.md §7
 */
import { findStamp, type StampTask } from "./card/index.ts";
import type { Backend } from "./crypto/index.ts";

export interface SearchOptions {
  readonly backend: Backend;
  /** Milliseconds of any clock that goes on while we work. */
  readonly clock: () => number;
  /** Calls `run` soon, after whatever else waits. Gives back what prevents it. */
  readonly soon: (run: () => void) => () => void;
}

/** Looks for a stamp and tells it, later and once; `undefined` when there is none. Gives back what ends the search. */
export function searchStamp(
  { backend, clock, soon }: SearchOptions,
  task: StampTask,
  done: (stamp: Uint8Array | undefined) => void,
): () => void {
  let from = 0;
  const piece = (): void => {
    const end = clock() + PIECE_MS;
    do {
      const found = findStamp(backend, task, from, NONCES_AT_ONCE);
      from += NONCES_AT_ONCE;
      if (found !== undefined || from >= NONCES) return done(found);
    } while (clock() < end);
    cancel = soon(piece);
  };
  let cancel = soon(piece);
  return () => cancel();
}

const PIECE_MS = 5;
const NONCES_AT_ONCE = 128; // 0.2 ms in JavaScript alone
const NONCES = 2 ** 32;
