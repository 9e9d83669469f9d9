/** Questions that a machine has asked and waits for: each answer goes to who asked. */
import type { Answer, Effect } from "./effects.ts";

/** An effect that is answered, before it has its id. */
export type Question = Effect extends infer E ? (E extends { readonly id: number } ? Omit<E, "id"> : never) : never;

/** What to do with the answer. Pages of a lookup come one by one. */
export type Then = (answer: Answer, now: number) => void;

/** At most as many as the machine that asks allows itself: it is the one that counts. */
export class Questions {
  readonly #open = new Map<number, Then>();
  #next = 1;

  /** The effect that asks; `then` is called with its answer. */
  ask(question: Question, then: Then): Effect {
    const id = this.#next++;
    this.#open.set(id, then);
    return { ...question, id } as Effect;
  }

  /** Gives the answer to who asked. An answer that nobody waits for is passed over. */
  answer(answer: Answer, now: number): void {
    const then = this.#open.get(answer.id);
    if (then === undefined) return;
    if (answer.type !== "found" || answer.last !== undefined) this.#open.delete(answer.id);
    then(answer, now);
  }

  /** How many are waited for. */
  get size(): number {
    return this.#open.size;
  }
}
