/**
 * Records of a fixed number of 32-bit words, without an object for each. A record keeps its number for as long as it lives.
 * New ones go to the lowest chunk with room, so that the highest empty themselves in time, and are given back.
 */
import { assert } from "../../bytes/index.ts";

interface Chunk {
  readonly words: Uint32Array;
  /** The record that was given up last; its first word leads to the one before. PER_CHUNK: none. */
  free: number;
  /** Above this no record was ever used. */
  fresh: number;
  used: number;
}

export class Records {
  readonly #size: number;
  readonly #chunks: Chunk[] = [];
  /** All chunks below are full. */
  #lowest = 0;

  /** Each with `size` words. */
  constructor(size: number) {
    this.#size = size;
  }

  /** A new record, all zeros. Never 0. */
  take(): number {
    let chunk = this.#chunks[this.#lowest];
    while (chunk !== undefined && chunk.used === PER_CHUNK) chunk = this.#chunks[++this.#lowest];
    if (chunk === undefined) {
      chunk = { words: new Uint32Array(PER_CHUNK * this.#size), free: PER_CHUNK, fresh: 0, used: 0 };
      this.#chunks.push(chunk);
    }
    let place = chunk.free;
    if (place === PER_CHUNK) place = chunk.fresh++;
    else {
      chunk.free = chunk.words[place * this.#size] ?? 0;
      chunk.words[place * this.#size] = 0;
    }
    chunk.used++;
    return this.#lowest * PER_CHUNK + place + 1;
  }

  /** Gives a record up: it is overwritten, and its number may be given to another. */
  drop(record: number): void {
    const at = (record - 1) >>> CHUNK_BITS;
    const place = (record - 1) & (PER_CHUNK - 1);
    const chunk = this.#chunks[at];
    assert(chunk !== undefined, "a record that is dropped is there");
    chunk.words.fill(0, place * this.#size, (place + 1) * this.#size);
    chunk.words[place * this.#size] = chunk.free;
    chunk.free = place;
    chunk.used--;
    if (at < this.#lowest) this.#lowest = at;
    // One that is empty stays, or a record to and fro would cost a chunk each time.
    while (this.#chunks.at(-1)?.used === 0 && this.#chunks.at(-2)?.used === 0) this.#chunks.pop();
  }

  /** Whether it can be looked at: the chunk of one that was given up may be gone. */
  has(record: number): boolean {
    return this.#chunks[(record - 1) >>> CHUNK_BITS] !== undefined;
  }

  /** The words of this record, and of others: its own are from `at(record)` on, for as long as it lives. */
  words(record: number): Uint32Array {
    const words = this.#chunks[(record - 1) >>> CHUNK_BITS]?.words;
    assert(words !== undefined, "a record that is looked at is there");
    return words;
  }

  /** The first word of this record among those of `words`. */
  at(record: number): number {
    return ((record - 1) & (PER_CHUNK - 1)) * this.#size;
  }

  /** Of 0, which is no record, each is 0. */
  get(record: number, field: number): number {
    return record === 0 ? 0 : (this.words(record)[this.at(record) + field] ?? 0);
  }

  /** Whether the record begins with these words. */
  begins(record: number, start: Uint32Array): boolean {
    const words = this.#chunks[(record - 1) >>> CHUNK_BITS]?.words;
    if (words === undefined) return false;
    const at = ((record - 1) & (PER_CHUNK - 1)) * this.#size;
    for (let i = 0; i < start.length; i++) if (words[at + i] !== start[i]) return false;
    return true;
  }

  /** `value` is an unsigned 32-bit number. */
  set(record: number, field: number, value: number): void {
    this.words(record)[this.at(record) + field] = value;
  }

  /** `set` to what it is and `difference`. */
  add(record: number, field: number, difference: number): void {
    this.set(record, field, this.get(record, field) + difference);
  }

  /** Bytes of memory that it holds now. */
  held(): number {
    return this.#chunks.reduce((sum, { words }) => sum + words.byteLength, 0);
  }
}

const CHUNK_BITS = 10;
const PER_CHUNK: number = 1 << CHUNK_BITS;
