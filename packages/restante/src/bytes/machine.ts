/** Machines: the one shape every protocol here has. Time and chance are arguments, so a run can be replayed. */
import { assert } from "./failure.ts";

/** Milliseconds since 1970 on the caller's clock. */
export type Time = number;

/** Gives `length` fresh bytes that nobody can guess (in tests: bytes drawn from a seed). The caller owns them. */
export type Random = (length: number) => Uint8Array;

export interface Machine<In, Out> {
  /** Takes one input; answers with what must happen, in this order. Never waits, never throws on what a peer sent. */
  handle(input: In, now: Time): Out[];
  /** When to call `handle({ type: "tick" }, now)` if nothing else happens before; `undefined`: not at all. O(1). */
  deadline(): Time | undefined;
}

interface Entry<K> {
  readonly key: K;
  readonly at: Time;
  readonly turn: number; // breaks ties, so that equal times come out in the order they were set
}

/**
 * The deadlines of a machine's children: at most one time per key. A binary heap that knows where each key stands,
 * so that a parent touches only the child that changed: `set` and each key of `due` cost O(log n), `next` O(1).
 */
export class Deadlines<K> {
  readonly #heap: Entry<K>[] = [];
  readonly #places = new Map<K, number>();
  #turn = 0;

  /** Sets, moves or (with `undefined`) removes the key's deadline. Setting the same time again keeps its turn. */
  set(key: K, at: Time | undefined): void {
    assert(!Number.isNaN(at), "a deadline is a number");
    const place = this.#places.get(key);
    if (place === undefined) {
      if (at !== undefined) this.#add({ key, at, turn: this.#turn++ });
      return;
    }
    if (this.#heap[place]?.at === at) return;
    this.#removeAt(place);
    if (at !== undefined) this.#add({ key, at, turn: this.#turn++ });
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
      this.#removeAt(0);
    }
    return keys;
  }

  #add(entry: Entry<K>): void {
    this.#heap.push(entry);
    this.#rise(entry, this.#heap.length - 1);
  }

  #removeAt(place: number): void {
    const gone = this.#heap[place];
    const last = this.#heap.pop();
    assert(gone !== undefined && last !== undefined, "a known key stands in the heap");
    this.#places.delete(gone.key);
    if (gone === last) return;
    // The last entry fills the hole and finds its place from there, upwards or downwards.
    if (isBefore(last, gone)) this.#rise(last, place);
    else this.#sink(last, place);
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
    this.#places.set(entry.key, place);
  }
}

function isBefore(a: Entry<unknown>, b: Entry<unknown>): boolean {
  return a.at < b.at || (a.at === b.at && a.turn < b.turn);
}
