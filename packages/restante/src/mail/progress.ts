/** Progress: how far the files are that come and go. For people who look at it, so rarely enough that it costs nothing. */
import type { Time } from "../bytes/index.ts";
import type { Posted } from "./posted.ts";
import type { Arrival } from "./received-contract.ts";

/** A file on its way. */
export interface FileProgress {
  readonly way: "in" | "out";
  readonly contact: string;
  /** Of the mail. */
  readonly id: string;
  /** Parts: of one that goes, those that some way took or the contact has; of one that comes, those that are here. */
  readonly done: number;
  readonly of: number;
  /** Bytes of the whole and what it is called. Absent of one that comes, as long as its first part has not. */
  readonly size?: number;
  readonly name?: string;
  /**
   * It will not be whole: its sender took it back ("cancelled"), or it did not come, or was not acknowledged, in its time ("lost"). Then
   * `done` is 0, and no more is told of it.
   */
  readonly ended?: "cancelled" | "lost";
}

/** How far our mail is towards one peer of its contact. */
export function outgoing({ contact, id, parts: of, size, file }: Posted, done: number): FileProgress {
  return { way: "out", contact, id, done, of, size, ...(file && { name: file.name }) };
}

/** How far a mail is that a contact sends us. */
export function incoming({ id, parts: of, file }: Arrival, contact: string, done: number): FileProgress {
  return { way: "in", contact, id, done, of, ...(file && { size: file.size, name: file.name }) };
}

/** A file of which no more is told. */
export function ended(progress: FileProgress, why: "cancelled" | "lost"): FileProgress {
  return { ...progress, done: 0, ended: why };
}

/** Twice a second for each file, and once when it has come to its end. */
export class Progress {
  /** When each was told last, and whether that was its end. The latest last. */
  readonly #told = new Map<string, { readonly at: Time; readonly isEnd: boolean }>();

  /** Whether this one is to be told. */
  isDue({ way, contact, id, done, of, ended: why }: FileProgress, now: Time): boolean {
    const key = `${way} ${contact} ${id}`;
    const last = this.#told.get(key);
    // Who never heard of it need not hear that it is over. Of one that comes it was told before: its parts are what has ended.
    if (why !== undefined && last === undefined && way === "out") return false;
    const isEnd = done >= of || why !== undefined;
    // A clock that was set back is no reason for silence.
    const isSoon = last !== undefined && now >= last.at && now < last.at + PAUSE_MS;
    if (last !== undefined && (isEnd ? last.isEnd : isSoon)) return false;
    this.#told.delete(key);
    this.#told.set(key, { at: now, isEnd });
    const [oldest] = this.#told.keys();
    if (this.#told.size > FILES_LIMIT && oldest !== undefined) this.#told.delete(oldest);
    return true;
  }
}

const PAUSE_MS = 500;
const FILES_LIMIT = 1024;
