/**
 * Held: the mails of ours that are in memory, and those of them about which nothing is to be done but to wait: of these as many stay
 * as are listed, and the others are as safe in the store. docs/store.md §5
 */
import { isFinal, stateOf } from "./ledger.ts";
import type { Posted } from "./posted.ts";

/** Mails in memory, by id and by contact. */
export class Held {
  readonly #mails = new Map<string, Posted>();
  readonly #byContact = new Map<string, Set<Posted>>();
  /** Kept for the user to look at, the oldest first. */
  readonly #idle = new Set<string>();
  readonly #idleLimit: number;
  /** Their turn has come, and nobody has said yet how they go. */
  readonly #turns = new Set<string>();

  /** `idle`: how many of those that wait may stay. */
  constructor(idle: number) {
    this.#idleLimit = idle;
  }

  /** How many are in memory, whatever became of them. */
  get size(): number {
    return this.#mails.size;
  }

  /** `undefined`: it is not in memory. */
  get(id: string): Posted | undefined {
    return this.#mails.get(id);
  }

  /** Is it in memory? */
  has(id: string): boolean {
    return this.#mails.has(id);
  }

  /** All in memory, in the order in which they came there. */
  all(): IterableIterator<Posted> {
    return this.#mails.values();
  }

  /** Those to the contact, the first in memory first. */
  ofContact(contact: string): ReadonlySet<Posted> {
    return this.#byContact.get(contact) ?? NONE;
  }

  /** How many are not final. */
  get open(): number {
    let open = 0;
    for (const { ledger } of this.#mails.values()) if (!isFinal(stateOf(ledger))) open++;
    return open;
  }

  /** It is in memory from now on. */
  add(mail: Posted): void {
    this.#mails.set(mail.id, mail);
    const same = this.#byContact.get(mail.contact) ?? new Set();
    this.#byContact.set(mail.contact, same.add(mail));
  }

  /** It is not any more. */
  remove(mail: Posted): void {
    this.#mails.delete(mail.id);
    this.#idle.delete(mail.id);
    const same = this.#byContact.get(mail.contact);
    if (same?.delete(mail) && same.size === 0) this.#byContact.delete(mail.contact);
  }

  /** Somebody was asked how the mail goes: it stays until the answer. */
  ask(id: string): void {
    this.#turns.add(id);
  }

  /** The answer is here. */
  answered(id: string): void {
    this.#turns.delete(id);
  }

  /** Is nothing to be done about the mail but to wait? */
  isIdle(id: string): boolean {
    return this.#idle.has(id);
  }

  /** Something is to be done about the mail. */
  busy(id: string): void {
    this.#idle.delete(id);
  }

  /** Nothing is to be done about the mail. Gives one that waits for longer, to go for it, if there are too many. */
  idle(id: string): Posted | undefined {
    this.#idle.add(id);
    if (this.#idle.size <= this.#idleLimit) return undefined;
    for (const oldest of this.#idle) if (!this.#turns.has(oldest)) return this.#mails.get(oldest);
    return undefined;
  }
}

const NONE: ReadonlySet<Posted> = new Set();
