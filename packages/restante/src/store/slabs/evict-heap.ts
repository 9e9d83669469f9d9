/**
 * The boxes of a recipient, the one on top from which something is pushed out next: a pairing heap (Fredman, Sedgewick, Sleator,
 * Tarjan 1986), three words in each record. Operations take O(log n) steps on average over many. A heap is its root;
 * 0 is the empty one.
 */
import type { Records } from "./records.ts";

export interface HeapFields {
  readonly child: number;
  readonly next: number;
  /** The one before it among the children of the same, or that one itself. */
  readonly before: number;
}

export class EvictHeap {
  readonly #records: Records;
  readonly #fields: HeapFields;
  readonly #isAbove: (record: number, other: number) => boolean;

  /** `isAbove`: the order, which must not change between records that are in a heap but as `remove` and `raise` allow. */
  constructor(records: Records, fields: HeapFields, isAbove: (record: number, other: number) => boolean) {
    this.#records = records;
    this.#fields = fields;
    this.#isAbove = isAbove;
  }

  /** Adds a record, and gives the new root. */
  add(root: number, record: number): number {
    return this.#meld(root, record);
  }

  /** A heap of records that are in none, whatever it was that they were in before. */
  of(records: readonly number[]): number {
    for (const record of records) {
      this.#records.set(record, this.#fields.child, 0);
      this.#loosen(record);
    }
    return records.reduce((root, record) => this.#meld(root, record), 0);
  }

  /** Adds a record where no order is kept, and gives the root: until `of` makes a heap of all, only `remove` and `each` are of use. */
  hang(root: number, record: number): number {
    if (root === 0) return record;
    this.#put(root, record);
    return root;
  }

  /** Takes a record out that is there, and gives the new root. Its place in the order may be another one already. */
  remove(root: number, record: number): number {
    const { child } = this.#fields;
    const rest = this.#pairs(this.#records.get(record, child));
    this.#records.set(record, child, 0);
    if (record === root) return rest;
    this.#cut(record);
    return this.#meld(root, rest);
  }

  /** A record that is there has gone up in the order, and down before none. Gives the new root. */
  raise(root: number, record: number): number {
    if (record === root) return root;
    this.#cut(record);
    return this.#meld(root, record);
  }

  /** All records, in no order. */
  *each(root: number): Iterable<number> {
    const todo = root === 0 ? [] : [root];
    for (let record = todo.pop(); record !== undefined; record = todo.pop()) {
      yield record;
      for (const field of [this.#fields.next, this.#fields.child]) {
        const other = this.#records.get(record, field);
        if (other !== 0) todo.push(other);
      }
    }
  }

  /** One heap of two. */
  #meld(a: number, b: number): number {
    if (a === 0 || b === 0) return a === 0 ? b : a;
    const isFirst = this.#isAbove(a, b);
    const top = isFirst ? a : b;
    this.#put(top, isFirst ? b : a);
    return top;
  }

  /** Makes a record the first child of another. */
  #put(top: number, under: number): void {
    const { child, next, before } = this.#fields;
    const first = this.#records.get(top, child);
    this.#records.set(under, next, first);
    this.#records.set(under, before, top);
    if (first !== 0) this.#records.set(first, before, under);
    this.#records.set(top, child, under);
  }

  /** One heap of a record and those after it: in pairs, and then from the last pair to the first. */
  #pairs(record: number): number {
    const { next, before } = this.#fields;
    let pairs = 0; // a chain by `next`, the last pair first
    for (let a = record; a !== 0; ) {
      const b = this.#records.get(a, next);
      const rest = b === 0 ? 0 : this.#records.get(b, next);
      this.#loosen(a);
      if (b !== 0) this.#loosen(b);
      const pair = this.#meld(a, b);
      this.#records.set(pair, next, pairs);
      pairs = pair;
      a = rest;
    }
    let root = 0;
    while (pairs !== 0) {
      const rest = this.#records.get(pairs, next);
      this.#records.set(pairs, next, 0);
      root = this.#meld(root, pairs);
      pairs = rest;
    }
    if (root !== 0) this.#records.set(root, before, 0);
    return root;
  }

  /** Takes a record and what is under it out from where it is. */
  #cut(record: number): void {
    const { child, next, before } = this.#fields;
    const [previous, following] = [this.#records.get(record, before), this.#records.get(record, next)];
    if (this.#records.get(previous, child) === record) this.#records.set(previous, child, following);
    else this.#records.set(previous, next, following);
    if (following !== 0) this.#records.set(following, before, previous);
    this.#loosen(record);
  }

  #loosen(record: number): void {
    this.#records.set(record, this.#fields.next, 0);
    this.#records.set(record, this.#fields.before, 0);
  }
}
