/**
 * The boxes of a recipient, the one with the oldest message that may be pushed out on top: a pairing heap (Fredman, Sedgewick,
 * Sleator, Tarjan 1986), three words in each record. Operations take O(log n) steps on average over many. A heap is its root;
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
  readonly #key: (record: number) => number;

  /** `key` must not change while a record is in a heap. */
  constructor(records: Records, fields: HeapFields, key: (record: number) => number) {
    this.#records = records;
    this.#fields = fields;
    this.#key = key;
  }

  /** Adds a record, and gives the new root. */
  add(root: number, record: number): number {
    return this.#meld(root, record);
  }

  /** Takes a record out that is there, and gives the new root. Its key may be another one already. */
  remove(root: number, record: number): number {
    const { child, next, before } = this.#fields;
    const rest = this.#pairs(this.#records.get(record, child));
    this.#records.set(record, child, 0);
    if (record === root) return rest;
    const [previous, following] = [this.#records.get(record, before), this.#records.get(record, next)];
    if (this.#records.get(previous, child) === record) this.#records.set(previous, child, following);
    else this.#records.set(previous, next, following);
    if (following !== 0) this.#records.set(following, before, previous);
    this.#records.set(record, before, 0);
    this.#records.set(record, next, 0);
    return this.#meld(root, rest);
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
    const { child, next, before } = this.#fields;
    const [top, under] = this.#key(a) <= this.#key(b) ? [a, b] : [b, a];
    const first = this.#records.get(top, child);
    this.#records.set(under, next, first);
    this.#records.set(under, before, top);
    if (first !== 0) this.#records.set(first, before, under);
    this.#records.set(top, child, under);
    return top;
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

  #loosen(record: number): void {
    this.#records.set(record, this.#fields.next, 0);
    this.#records.set(record, this.#fields.before, 0);
  }
}
