/**
 * Readers: how far one peer of a contact is in a line of mail to it. What stands before its reader had its turn in this life of
 * ours; what has a number for the peer comes first, after a start, and then what fits. docs/store.md §5
 */
import type { Line } from "./lines.ts";

/** What is saved of a reader. */
export interface ReaderJson {
  /** Below it nothing has a parcel for the peer that anybody still asks about. */
  readonly first: number;
  /** From it on nothing was ever numbered for the peer. */
  readonly from: number;
}

/** One peer in one line. */
export class Reader {
  /** All below was seen in this life, but what lies below `first` of the life before. */
  #at: number;
  #from: number;
  /** Until all that was numbered before the start is read. */
  readonly #savedFirst: number;
  /** Mails in memory with a parcel for the peer. */
  readonly #held = new Set<number>();
  #lowest = Number.POSITIVE_INFINITY;
  /** A page is being read: what the line's next number was when it was asked for. */
  #asked: number | undefined;
  #isAgain = false;

  constructor({ first, from }: ReaderJson = { first: 1, from: 1 }) {
    this.#at = first;
    this.#from = from;
    this.#savedFirst = first;
  }

  get at(): number {
    return this.#at;
  }

  /** Is all that was numbered for the peer in memory? */
  get isWhole(): boolean {
    return this.#at >= this.#from;
  }

  /** Has the peer's turn come for all that stands in the line? */
  isThrough(line: Line | undefined): boolean {
    if (line === undefined) return true;
    // The rest of the numbers are of mails that are over.
    if (line.kept === 0 && this.#asked === undefined) this.#at = line.next;
    return this.#at >= line.next;
  }

  /** Has all that stands in the line a number for the peer, whether it is read yet or not? */
  isNumbered(line: Line | undefined): boolean {
    return line === undefined || this.isThrough(line) || this.#from >= line.next;
  }

  /** How many to read now, a `page` at most; 0: none. `room`: for how many there is room. */
  wants(line: Line | undefined, room: number, page: number): number {
    if (this.#asked !== undefined || this.isThrough(line)) return 0;
    return this.isWhole ? Math.max(0, Math.min(page, room)) : page;
  }

  /** A page of the line is being read. */
  ask({ next }: Line): void {
    this.#asked = next;
  }

  /** It has come. `isLast`: nothing is behind it. */
  answered(isLast: boolean): void {
    if (isLast && this.#asked !== undefined) this.#at = Math.max(this.#at, this.#asked);
    this.#asked = undefined;
    if (this.#isAgain) this.#at = 1; // what was asked for before does not count
    this.#isAgain = false;
  }

  /** The mail with this number was seen, and all before it. */
  pass(n: number): void {
    this.#at = Math.max(this.#at, n + 1);
  }

  /** All of the line is looked at once more: what could not be sent to the peer before may be now. */
  again(): void {
    this.#at = 1;
    this.#isAgain = this.#asked !== undefined;
  }

  /** A mail in memory has a parcel for the peer; `isGiven`: and the parcel a number that counts. */
  hold(n: number, isGiven: boolean): void {
    this.#held.add(n);
    if (isGiven) this.#from = Math.max(this.#from, n + 1);
    this.#lowest = Math.min(this.#lowest, n);
  }

  release(n: number): void {
    if (!this.#held.delete(n) || n !== this.#lowest) return;
    if (this.#held.size === 0) this.#lowest = Number.POSITIVE_INFINITY;
    else while (!this.#held.has(this.#lowest)) this.#lowest++;
  }

  json(): ReaderJson {
    const lowest = Math.min(this.#lowest, this.#from);
    return { first: this.isWhole ? lowest : Math.min(lowest, this.#savedFirst), from: this.#from };
  }
}
