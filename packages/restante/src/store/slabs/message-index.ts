/**
 * Finds a message of a half by its id. Most halves hold few messages: mostly a filter of 64 bits in the half's record shows
 * that an id is new there, and otherwise the few are looked through. The messages of a half that gets more are entered in a
 * table, and those that follow, until it is empty. So most puts read nothing at a random place, and no table grows for them.
 */
import { equal } from "../../bytes/index.ts";
import { HashIndex } from "./hash-index.ts";
import type { KeyedHash } from "./keyed-hash.ts";
import type { Records } from "./records.ts";
import { HALF, ID_HIGH, ID_LOW, LEFT, type Moved, NEXT, RIGHT, renumbered, type Slots, startOf } from "./slots.ts";

/** Where the record of a half has what is needed here. */
export interface HalfFields {
  /** How many messages, and whether they are in the table. */
  readonly count: number;
  /** The first of the two words of the filter. */
  readonly filter: number;
  /** The roots of its messages in order (order-tree.ts). */
  readonly roots: readonly number[];
}

export class MessageIndex {
  readonly #slots: Slots;
  readonly #halves: Records;
  readonly #fields: HalfFields;
  readonly #hash: KeyedHash;
  readonly #table: HashIndex;
  readonly #words: Uint32Array = new Uint32Array(3);
  /** The filter of what was looked through. */
  readonly #seen: Uint32Array = new Uint32Array(2);

  constructor(slots: Slots, halves: Records, fields: HalfFields, hash: KeyedHash) {
    this.#slots = slots;
    this.#halves = halves;
    this.#fields = fields;
    this.#hash = hash;
    this.#table = new HashIndex(2, {
      next: (message) => slots.get(message, NEXT),
      setNext: (message, next) => slots.set(message, NEXT, next),
      hash: (message) => this.#hashOf(message),
    });
  }

  /** How many messages the half has. */
  count(half: number): number {
    return this.#halves.get(half, this.#fields.count) % LISTED;
  }

  /** A message of the half with this id (two words), and with these bytes if there are any. 0: none. */
  find(half: number, id: Uint32Array, bytes?: Uint8Array): number {
    const { count, filter, roots } = this.#fields;
    if (half === 0 || !this.#halves.has(half)) return 0;
    const record = this.#halves.words(half);
    const at = this.#halves.at(half);
    if ((record[at + count] ?? 0) >= LISTED) return this.#lookUp(half, id, bytes);
    const low = lowBits(id[0] ?? 0);
    const high = highBits(id[0] ?? 0);
    const has = ((record[at + filter] ?? 0) & low) === low && ((record[at + filter + 1] ?? 0) & high) === high;
    if (!has) return 0;
    this.#seen[0] = 0;
    this.#seen[1] = 0;
    for (const root of roots) {
      const found = this.#lookThrough(record[at + root] ?? 0, id, bytes);
      if (found !== 0) return found;
    }
    // What went meanwhile has left its bits.
    record[at + filter] = this.#seen[0] ?? 0;
    record[at + filter + 1] = this.#seen[1] ?? 0;
    return 0;
  }

  /** This message of the half, with this id, is there from now on, and in its order. */
  add(half: number, message: number, id: Uint32Array): void {
    const { count, filter } = this.#fields;
    const record = this.#halves.words(half);
    const at = this.#halves.at(half);
    const now = (record[at + count] ?? 0) + 1;
    record[at + count] = now;
    if (now > LISTED) this.#table.add(this.#hashOf(message), message);
    else if (now > FEW) this.#enter(half);
    else {
      const bits = id[0] ?? 0;
      record[at + filter] = (record[at + filter] ?? 0) | lowBits(bits);
      record[at + filter + 1] = (record[at + filter + 1] ?? 0) | highBits(bits);
    }
  }

  /** It is going, whether it is in the order of its half by now or not. */
  remove(half: number, message: number): void {
    const { count } = this.#fields;
    const before = this.#halves.get(half, count);
    this.#halves.set(half, count, before - 1);
    if (before >= LISTED) this.#table.remove(this.#hashOf(message), message);
  }

  /** All that the half has are going, and the half with them. */
  clear(half: number, messages: readonly number[]): void {
    if (this.#halves.get(half, this.#fields.count) < LISTED) return;
    for (const message of messages) this.#table.remove(this.#hashOf(message), message);
  }

  /** These of the half's messages, by their new numbers, are of a run that has moved. */
  renumber(half: number, first: number, count: number, run: Moved): void {
    if (this.#halves.get(half, this.#fields.count) < LISTED) return;
    for (let message = first; message < first + count; message++)
      this.#table.renumber(this.#hashOf(message), message, (item) => renumbered(item, run));
  }

  /** Bytes of memory that it holds now, beside the words in messages and halves. */
  held(): number {
    return this.#table.held();
  }

  #enter(half: number): void {
    const { count, roots } = this.#fields;
    this.#halves.set(half, count, this.#halves.get(half, count) + LISTED);
    for (const root of roots) this.#enterAll(this.#halves.get(half, root));
  }

  #enterAll(message: number): void {
    if (message === 0) return;
    this.#enterAll(this.#slots.get(message, LEFT));
    this.#enterAll(this.#slots.get(message, RIGHT));
    this.#table.add(this.#hashOf(message), message);
  }

  #lookUp(half: number, id: Uint32Array, bytes: Uint8Array | undefined): number {
    const slots = this.#slots;
    for (let at = this.#table.first(this.#hashOfId(half, id)); at !== 0; at = slots.get(at, NEXT))
      if (slots.get(at, HALF) === half && this.#isIt(at, id, bytes)) return at;
    return 0;
  }

  /** In order, for what is asked for is mostly the oldest. */
  #lookThrough(message: number, id: Uint32Array, bytes: Uint8Array | undefined): number {
    if (message === 0) return 0;
    const words = this.#slots.words(message);
    const start = startOf(message);
    const before = this.#lookThrough(words[start + LEFT] ?? 0, id, bytes);
    if (before !== 0) return before;
    if (this.#isIt(message, id, bytes)) return message;
    const bits = words[start + ID_LOW] ?? 0;
    this.#seen[0] = (this.#seen[0] ?? 0) | lowBits(bits);
    this.#seen[1] = (this.#seen[1] ?? 0) | highBits(bits);
    return this.#lookThrough(words[start + RIGHT] ?? 0, id, bytes);
  }

  #isIt(message: number, id: Uint32Array, bytes: Uint8Array | undefined): boolean {
    const words = this.#slots.words(message);
    const start = startOf(message);
    if (words[start + ID_LOW] !== id[0] || words[start + ID_HIGH] !== id[1]) return false;
    return bytes === undefined || equal(this.#slots.view(message), bytes);
  }

  #hashOf(message: number): number {
    this.#words[0] = this.#slots.get(message, HALF);
    this.#words[1] = this.#slots.get(message, ID_LOW);
    this.#words[2] = this.#slots.get(message, ID_HIGH);
    return this.#hash(this.#words);
  }

  #hashOfId(half: number, id: Uint32Array): number {
    this.#words[0] = half;
    this.#words[1] = id[0] ?? 0;
    this.#words[2] = id[1] ?? 0;
    return this.#hash(this.#words);
  }
}

/** Two of 64 bits stand for an id, which is as good as drawn by lot: those of them that are in the first 32. */
function lowBits(id: number): number {
  const a = id & 63;
  const b = (id >>> 6) & 63;
  return (a < 32 ? 1 << a : 0) | (b < 32 ? 1 << b : 0);
}

/** And those in the others. */
function highBits(id: number): number {
  const a = id & 63;
  const b = (id >>> 6) & 63;
  return (a < 32 ? 0 : 1 << (a - 32)) | (b < 32 ? 0 : 1 << (b - 32));
}

const FEW = 24; // messages: by then a quarter of what is not there passes the filter
const LISTED: number = 2 ** 31; // and the count: the half's messages are in the table
