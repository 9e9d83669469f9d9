/**
 * The messages of a box in the order in which they came: a search tree by serial whose shape is drawn by lot (a treap, Seidel
 * and Aragon 1996). Two words in each message, and every operation takes O(log n) steps on average, whatever was removed.
 * A tree is its root; 0 is the empty one.
 */
import { LEFT, type Moved, RIGHT, renumbered, SERIAL, type Slots, serialAt, startOf } from "./slots.ts";

export class OrderTree {
  readonly #slots: Slots;
  readonly #salt: number;

  /** `salt` (32 bits) is for nobody to know: with it one could leave over what makes a bad tree. */
  constructor(slots: Slots, salt: number) {
    this.#slots = slots;
    this.#salt = salt;
  }

  first(root: number): number {
    let at = root;
    for (let next = at; next !== 0; next = this.#slots.get(next, LEFT)) at = next;
    return at;
  }

  last(root: number): number {
    let at = root;
    for (let next = at; next !== 0; next = this.#slots.get(next, RIGHT)) at = next;
    return at;
  }

  /** All messages, in no order; behind what is in `found`, which is given back. */
  all(root: number, found: number[] = []): number[] {
    if (root === 0) return found;
    for (let i = found.push(root) - 1; i < found.length; i++) {
      const left = this.#slots.get(found[i] ?? 0, LEFT);
      const right = this.#slots.get(found[i] ?? 0, RIGHT);
      if (left !== 0) found.push(left);
      if (right !== 0) found.push(right);
    }
    return found;
  }

  /** The first messages after this serial, in order: at most so many. */
  following(root: number, serial: number, most: number): number[] {
    const found: number[] = [];
    const later: number[] = []; // the way down, without what is too early
    let at = root;
    while (found.length < most) {
      while (at !== 0) {
        const words = this.#slots.words(at);
        const start = startOf(at);
        const isAfter = serialAt(words, start) > serial;
        if (isAfter) later.push(at);
        at = words[start + (isAfter ? LEFT : RIGHT)] ?? 0;
      }
      const next = later.pop();
      if (next === undefined) break;
      found.push(next);
      at = this.#slots.get(next, RIGHT);
    }
    return found;
  }

  /** Adds a message that is newer than all in the tree, and gives the new root. */
  append(root: number, message: number): number {
    const words = this.#slots.words(message);
    const start = startOf(message);
    const weight = this.#weight(words, start);
    let above = 0;
    let at = root;
    while (at !== 0) {
      const others = this.#slots.words(at);
      const from = startOf(at);
      if (this.#weight(others, from) < weight) break;
      above = at;
      at = others[from + RIGHT] ?? 0;
    }
    words[start + LEFT] = at;
    words[start + RIGHT] = 0;
    if (above === 0) return message;
    this.#slots.set(above, RIGHT, message);
    return root;
  }

  /** Takes a message out that is there, and gives the new root. */
  remove(root: number, message: number): number {
    const rest = this.#join(this.#slots.get(message, LEFT), this.#slots.get(message, RIGHT));
    return this.#swap(root, message, this.#slots.serial(message), rest);
  }

  /** Messages go by other numbers now, the root by the one that is given. Costs a step for each message of the tree. */
  renumberAll(root: number, run: Moved): void {
    for (let at = root; at !== 0; ) {
      const words = this.#slots.words(at);
      const start = startOf(at);
      const left = renumbered(words[start + LEFT] ?? 0, run);
      const right = renumbered(words[start + RIGHT] ?? 0, run);
      words[start + LEFT] = left;
      words[start + RIGHT] = right;
      this.renumberAll(left, run);
      at = right;
    }
  }

  /** The same for the links that lead to one message, by its new number. */
  renumber(root: number, message: number, run: Moved): void {
    const serial = this.#slots.serial(message);
    for (let at = root; at !== message; ) {
      const words = this.#slots.words(at);
      const start = startOf(at);
      const link = start + (serial < serialAt(words, start) ? LEFT : RIGHT);
      at = renumbered(words[link] ?? 0, run);
      words[link] = at;
    }
  }

  /** Puts `other` where the link to `message` is. */
  #swap(root: number, message: number, serial: number, other: number): number {
    if (root === message) return other;
    for (let at = root; ; ) {
      const words = this.#slots.words(at);
      const start = startOf(at);
      const link = start + (serial < serialAt(words, start) ? LEFT : RIGHT);
      at = words[link] ?? 0;
      if (at !== message) continue;
      words[link] = other;
      return root;
    }
  }

  /** One tree of two, of which the first has the older messages. */
  #join(older: number, newer: number): number {
    let left = older;
    let right = newer;
    let root = 0;
    let above = 0;
    let side: typeof LEFT | typeof RIGHT = LEFT;
    while (left !== 0 && right !== 0) {
      const isLeft = this.#weightOf(left) >= this.#weightOf(right);
      const at = isLeft ? left : right;
      if (above === 0) root = at;
      else this.#slots.set(above, side, at);
      above = at;
      side = isLeft ? RIGHT : LEFT;
      if (isLeft) left = this.#slots.get(left, RIGHT);
      else right = this.#slots.get(right, LEFT);
    }
    const rest = left === 0 ? right : left;
    if (above === 0) return rest;
    this.#slots.set(above, side, rest);
    return root;
  }

  #weightOf(message: number): number {
    return this.#weight(this.#slots.words(message), startOf(message));
  }

  /** The lot of the message whose words start there: the heavier stands above. The finish of MurmurHash3 on its salted serial. */
  #weight(words: Uint32Array, start: number): number {
    let lot = (words[start + SERIAL] ?? 0) ^ this.#salt;
    lot = Math.imul(lot ^ (lot >>> 16), 0x85ebca6b);
    lot = Math.imul(lot ^ (lot >>> 13), 0xc2b2ae35);
    return lot ^ (lot >>> 16);
  }
}
