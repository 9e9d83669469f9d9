/**
 * What was asked and is not answered yet, by number. Most answers come at once and in order: then a question is written to one
 * place of an array and taken out of it. In a `Map` that is set and deleted for each of them the collector would copy old
 * tables, and what they hold, for as long as messages come.
 */

/** Questions with the numbers 1, 2, 3, ... Holds no more than what is not settled, and the array. */
export class Questions<Q extends { readonly op: number }> {
  /** That of the number n at n modulo the length, unless it is among the late ones. */
  readonly #recent: (Q | undefined)[] = new Array<Q | undefined>(RECENT).fill(undefined);
  /** Those whose places were needed again: all of them older than the recent ones. */
  readonly #late = new Map<number, Q>();
  #next = 1;
  /** No recent one is older. */
  #from = 1;

  /** The number of the next one. */
  get next(): number {
    return this.#next;
  }

  /** Keeps the next one; its `op` must be `next`. */
  add(question: Q): void {
    const place = this.#next % RECENT;
    const former = this.#recent[place];
    if (former !== undefined) this.#late.set(former.op, former);
    this.#recent[place] = question;
    this.#next++;
  }

  /** The question of this number, which is then forgotten; `undefined` if there is none any more, or never was. */
  settle(op: number): Q | undefined {
    const place = op % RECENT;
    const recent = this.#recent[place];
    if (recent?.op === op) {
      this.#recent[place] = undefined;
      return recent;
    }
    const late = this.#late.get(op);
    this.#late.delete(op);
    return late;
  }

  /** The one that has waited for longest. Takes constant time, on the whole. */
  oldest(): Q | undefined {
    for (const late of this.#late.values()) return late;
    this.#from = Math.max(this.#from, this.#next - RECENT);
    for (; this.#from < this.#next; this.#from++) {
      const question = this.#recent[this.#from % RECENT];
      if (question !== undefined) return question;
    }
    return undefined;
  }
}

const RECENT = 1024; // far more than one turn asks
