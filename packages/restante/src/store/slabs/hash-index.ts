/**
 * Finds items by a hash, in chains that run through the items themselves. Grows and shrinks by one place at a time (linear
 * hashing, Litwin 1980), so that no operation ever has to move a whole table.
 */

/** What is indexed, by number: 0 is nobody. */
export interface Chained {
  /** The next item of the chain, as it was last set. */
  next(item: number): number;
  setNext(item: number, next: number): void;
  /** The hash that it was added under. */
  hash(item: number): number;
}

export class HashIndex {
  readonly #items: Chained;
  readonly #perPlace: number;
  readonly #heads: Uint32Array[] = [];
  #places = 1;
  /** The largest power of two up to `places`. */
  #round = 1;
  #count = 0;

  /** `perPlace`: how many items share a place on average; each costs 4 bytes / `perPlace`. */
  constructor(perPlace: number, items: Chained) {
    this.#items = items;
    this.#perPlace = perPlace;
  }

  /** The first item that may have this hash; follow `next` to the others. 0: none. */
  first(hash: number): number {
    return this.#head(this.#place(hash));
  }

  add(hash: number, item: number): void {
    const place = this.#place(hash);
    this.#items.setNext(item, this.#head(place));
    this.#setHead(place, item);
    this.#count++;
    if (this.#count > this.#perPlace * this.#places) this.#grow();
  }

  /** Takes an item out that is there. */
  remove(hash: number, item: number): void {
    const place = this.#place(hash);
    let before = 0;
    for (let at = this.#head(place); at !== item && at !== 0; at = this.#items.next(at)) before = at;
    const next = this.#items.next(item);
    if (before === 0) this.#setHead(place, next);
    else this.#items.setNext(before, next);
    this.#count--;
    if (this.#places > 1 && 2 * this.#count < this.#perPlace * this.#places) this.#shrink();
  }

  /** Items go by the numbers that `renumbered` gives: sees to the way to one of them, by its new number. */
  renumber(hash: number, item: number, renumbered: (item: number) => number): void {
    const place = this.#place(hash);
    let at = renumbered(this.#head(place));
    this.#setHead(place, at);
    while (at !== item && at !== 0) {
      const next = renumbered(this.#items.next(at));
      this.#items.setNext(at, next);
      at = next;
    }
  }

  /** Bytes of memory that it holds now. */
  held(): number {
    return 4 * PER_CHUNK * this.#heads.length;
  }

  #grow(): void {
    if (this.#places === 2 * this.#round) this.#round = this.#places;
    const [from, to] = [this.#places - this.#round, this.#places];
    this.#places++;
    let item = this.#head(from);
    this.#setHead(from, 0);
    this.#setHead(to, 0);
    while (item !== 0) {
      const next = this.#items.next(item);
      const place = this.#place(this.#items.hash(item));
      this.#items.setNext(item, this.#head(place));
      this.#setHead(place, item);
      item = next;
    }
  }

  #shrink(): void {
    this.#places--;
    if (this.#places < this.#round) this.#round >>= 1;
    const [from, to] = [this.#places, this.#places - this.#round];
    let item = this.#head(from);
    this.#setHead(from, 0);
    while (item !== 0) {
      const next = this.#items.next(item);
      this.#items.setNext(item, this.#head(to));
      this.#setHead(to, item);
      item = next;
    }
    this.#heads.length = (this.#places + PER_CHUNK - 1) >>> CHUNK_BITS;
  }

  #place(hash: number): number {
    const place = hash & (2 * this.#round - 1);
    return place < this.#places ? place : place - this.#round;
  }

  #head(place: number): number {
    return this.#heads[place >>> CHUNK_BITS]?.[place & (PER_CHUNK - 1)] ?? 0;
  }

  #setHead(place: number, item: number): void {
    let chunk = this.#heads[place >>> CHUNK_BITS];
    if (chunk === undefined) {
      chunk = new Uint32Array(PER_CHUNK);
      this.#heads[place >>> CHUNK_BITS] = chunk;
    }
    chunk[place & (PER_CHUNK - 1)] = item;
  }
}

const CHUNK_BITS = 11;
const PER_CHUNK: number = 1 << CHUNK_BITS;
