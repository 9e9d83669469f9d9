/** Machines: the one shape every protocol here has. Time and chance are arguments, so a run can be replayed. */
import { assert } from "./failure.ts";

/** Milliseconds since 1970 on the caller's clock. */
export type Time = number;

/** Gives `length` fresh bytes that nobody can guess (in tests: bytes drawn from a seed). The caller owns them. */
export type Random = (length: number) => Uint8Array;

/** A protocol without I/O: whoever holds it feeds inputs, carries out what they answer, and wakes it at its deadline. */
export interface Machine<In, Out> {
  /** Takes one input; answers with what must happen, in this order. Never waits, never throws on what a peer sent. */
  handle(input: In, now: Time): Out[];
  /** When to call `handle({ type: "tick" }, now)` if nothing else happens before; `undefined`: not at all. O(1). */
  deadline(): Time | undefined;
}

interface Entry<K> {
  readonly key: K;
  at: Time;
  turn: number; // breaks ties, so that equal times come out in the order they were set
  place: number; // in the heap
}

/**
 * The deadlines of a machine's children: at most one time per key. A binary heap that knows where each key stands,
 * so that a parent touches only the child that changed: `set` and each key of `due` cost O(log n), `next` O(1).
 */
export class Deadlines<K> {
  readonly #heap: Entry<K>[] = [];
  readonly #entries = new Map<K, Entry<K>>();
  #turn = 0;

  /** Sets, moves or (with `undefined`) removes the key's deadline. Setting the same time again keeps its turn. */
  set(key: K, at: Time | undefined): void {
    assert(!Number.isNaN(at), "a deadline is a number");
    const known = this.#entries.get(key);
    if (known?.at === at) return;
    if (at === undefined) {
      if (known !== undefined) this.#remove(known);
    } else if (known === undefined) {
      const entry = { key, at, turn: this.#turn++, place: this.#heap.length };
      this.#entries.set(key, entry);
      this.#heap.push(entry);
      this.#rise(entry, entry.place);
    } else {
      known.at = at;
      known.turn = this.#turn++;
      this.#settle(known, known.place);
    }
  }

  /** The earliest deadline; `undefined` when there is none. */
  next(): Time | undefined {
    return this.#heap[0]?.at;
  }

  /** Removes and gives every key whose time has come (`at <= now`), earliest first, equal times in the order set. */
  due(now: Time): K[] {
    const keys: K[] = [];
    for (let first = this.#heap[0]; first !== undefined && first.at <= now; first = this.#heap[0]) {
      keys.push(first.key);
      this.#remove(first);
    }
    return keys;
  }

  #remove(gone: Entry<K>): void {
    const last = this.#heap.pop();
    assert(last !== undefined, "a known key stands in the heap");
    this.#entries.delete(gone.key);
    if (gone !== last) this.#settle(last, gone.place);
  }

  /** Finds the entry its place from a hole on, upwards or downwards. */
  #settle(entry: Entry<K>, hole: number): void {
    const parent = hole > 0 ? this.#heap[(hole - 1) >> 1] : undefined;
    if (parent !== undefined && isBefore(entry, parent)) this.#rise(entry, hole);
    else this.#sink(entry, hole);
  }

  #rise(entry: Entry<K>, from: number): void {
    let place = from;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = this.#heap[above];
      if (parent === undefined || !isBefore(entry, parent)) break;
      this.#put(parent, place);
      place = above;
    }
    this.#put(entry, place);
  }

  #sink(entry: Entry<K>, from: number): void {
    let place = from;
    for (;;) {
      const left = 2 * place + 1;
      let below = left;
      let child = this.#heap[left];
      const right = this.#heap[left + 1];
      if (child !== undefined && right !== undefined && isBefore(right, child)) {
        below = left + 1;
        child = right;
      }
      if (child === undefined || !isBefore(child, entry)) break;
      this.#put(child, place);
      place = below;
    }
    this.#put(entry, place);
  }

  #put(entry: Entry<K>, place: number): void {
    this.#heap[place] = entry;
    entry.place = place;
  }
}

function isBefore(a: Entry<unknown>, b: Entry<unknown>): boolean {
  return a.at < b.at || (a.at === b.at && a.turn < b.turn);
}
