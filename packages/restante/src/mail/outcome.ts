/**
 * Outcome: what one turn of mail brings about, in the order in which it may happen: blob records first, then saves, then all that
 * may only happen after the commit. protocol/mail.md §10; docs/store.md
 */
import type { Save, Time } from "../bytes/index.ts";
import { type FileProgress, Progress } from "./progress.ts";
import type { MailEvent, MailOut } from "./turn.ts";

/** Collected while a turn lasts. */
export class Outcome {
  readonly #progress = new Progress();
  #now: Time = 0;
  #records: MailOut[] = [];
  #saves = new Map<string, Uint8Array | undefined>();
  #effects: MailOut[] = [];

  /** When the turn is. */
  get now(): Time {
    return this.#now;
  }

  /** A turn begins; the one before has ended. */
  begin(now: Time): void {
    this.#now = now;
  }

  /** All of it, which is nothing then. */
  end(): MailOut[] {
    const saves = [...this.#saves].map(([key, value]): Save => ({ type: "save", key, value }));
    const out = [...this.#records, ...saves, ...this.#effects];
    this.#records = [];
    this.#saves = new Map();
    this.#effects = [];
    return out;
  }

  /** Of a file: harmless without the commit. */
  record(out: Extract<MailOut, { type: "blob-write" }>): void {
    this.#records.push(out);
  }

  /** Of several for one key the last is what counts. */
  save(key: string, value: Uint8Array | undefined): void {
    this.#saves.set(key, value);
  }

  /** After the commit. */
  effect(out: Exclude<MailOut, Save | { type: "blob-write" }>): void {
    this.#effects.push(out);
  }

  /** For the application. */
  tell(event: MailEvent): void {
    this.effect({ type: "event", event });
  }

  /** For the application, unless it has just been told. */
  tellProgress(progress: FileProgress): void {
    if (this.#progress.isDue(progress, this.#now)) this.tell({ type: "progress", ...progress });
  }

  /** The answer to a call. */
  reply(req: number, value: unknown): void {
    this.effect({ type: "reply", req, value });
  }

  /** The other answer: `code` is stable and documented. */
  refuse(req: number, code: string, message: string): void {
    this.effect({ type: "refuse", req, code, message });
  }
}
