/**
 * Messages in slabs: a pool for each size class, in which slot after slot is filled without a hole. A message that goes is
 * overwritten by the last of its pool, which changes its number: so what is held is never more than what is used, whatever
 * came and went before. Beside each slot there are words for the indexes of the store, closely together in arrays of their
 * own: to follow an index is to look at many of them.
 */
import { assert, type Time } from "../../bytes/index.ts";
import { Expiries, NEVER } from "./expiries.ts";

/** Words of a message that are anybody's: unsigned 32-bit numbers. */
export const HALF = 0;
export const LEFT = 1;
export const RIGHT = 2;
export const NEXT = 3;
export const ID_LOW = 4;
export const ID_HIGH = 5;
/** The low 32 bits of its serial: to be looked at alone. */
export const SERIAL = 6;

/** Messages that go by new numbers: `from` is `to`, and so are the numbers after the one those after the other, `count` in all. */
export interface Moved {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

export class Slots {
  readonly #pools: Pool[] = [];
  readonly #chunks: Chunks = new Chunks();
  /** Nothing expires before. */
  #earliest: Time = 0;

  /** A slot for these bytes, of which it takes a copy: the number of the message. 0: there can be no more. */
  take(bytes: Uint8Array, serial: number, expires: Time): number {
    const { length } = bytes;
    const size = sizeClass(length);
    let pool = this.#pools[size];
    if (pool === undefined) {
      pool = new Pool(size, this.#chunks);
      this.#pools[size] = pool;
    }
    const message = pool.grow(expires);
    if (message === 0) return 0;
    const { words, slab } = this.#chunks.of(message);
    const at = startOf(message);
    words[at + SERIAL] = serial; // its low 32 bits
    // The padding, not the length: 16 bits are enough for it.
    words[at + SERIAL_PADDING] = Math.floor(serial / 2 ** 32) * 2 ** 16 + (pool.capacity - length);
    slab.set(bytes, (message & INDEX_MASK) * pool.capacity);
    this.#earliest = Math.min(this.#earliest, expires);
    return message;
  }

  /**
   * Overwrites these messages, each of them once. Others go by new numbers then: `moved` hears of each run of them, one after
   * the other, when the words are under both and what was under the new numbers is not looked for any more.
   */
  drop(messages: readonly number[], moved: (run: Moved) => void): void {
    const [first] = messages;
    if (first === undefined) return;
    const { pool } = this.#chunks.of(first);
    const places: number[] = [];
    const others: number[] = [];
    let isInOrder = true;
    for (const message of messages) {
      const chunk = this.#chunks.of(message);
      if (chunk.pool !== pool) others.push(message);
      else {
        const place = chunk.first + (message & INDEX_MASK);
        isInOrder &&= places.length === 0 || place > (places[places.length - 1] ?? 0);
        places.push(place);
      }
    }
    pool.drop(isInOrder ? places : places.sort((a, b) => a - b), moved);
    this.drop(others, moved);
  }

  /** The words of this message, and of others: its own are from `startOf(message)` on. To be looked at and written to at once. */
  words(message: number): Uint32Array {
    return this.#chunks.of(message).words;
  }

  get(message: number, field: number): number {
    return this.words(message)[startOf(message) + field] ?? 0;
  }

  set(message: number, field: number, value: number): void {
    this.words(message)[startOf(message) + field] = value;
  }

  /** Its number in the order of all that ever came. */
  serial(message: number): number {
    return serialAt(this.words(message), startOf(message));
  }

  /** Bytes of the message. */
  length(message: number): number {
    const { words, capacity } = this.#chunks.of(message);
    return capacity - ((words[startOf(message) + SERIAL_PADDING] ?? 0) & PADDING_MASK);
  }

  /** Bytes of its slot: the message, and zeros. */
  capacity(message: number): number {
    return this.#chunks.of(message).capacity;
  }

  /** The bytes where they lie: to be looked at at once. */
  view(message: number): Uint8Array {
    return this.slots(message, 1).subarray(0, this.length(message));
  }

  /** The slots of this message and of those with the numbers after it: so many in all. */
  slots(message: number, count: number): Uint8Array {
    const { slab, capacity } = this.#chunks.of(message);
    const start = (message & INDEX_MASK) * capacity;
    return slab.subarray(start, start + count * capacity);
  }

  setExpires(message: number, expires: Time): void {
    const { pool, first } = this.#chunks.of(message);
    pool.expiries.set(first + (message & INDEX_MASK), expires);
    this.#earliest = Math.min(this.#earliest, expires);
  }

  /** A message whose time has come; 0: none. */
  due(now: Time): number {
    if (now < this.#earliest) return 0;
    let earliest = NEVER;
    for (const pool of this.#pools) {
      if (pool === undefined) continue;
      const place = pool.expiries.due(now);
      if (place !== undefined) return pool.message(place);
      earliest = Math.min(earliest, pool.expiries.next());
    }
    this.#earliest = earliest;
    return 0;
  }

  /** Bytes of memory that it holds now. */
  held(): number {
    return this.#pools.reduce((sum, pool) => sum + (pool?.held() ?? 0), 0);
  }
}

/** The first of the words of a message, among those of `words`. */
export function startOf(message: number): number {
  return (message & INDEX_MASK) * HEAD_WORDS;
}

/** What this message, or 0, is called after these have moved. */
export function renumbered(message: number, { from, to, count }: Moved): number {
  return message >= from && message < from + count ? message - from + to : message;
}

/** The serial of the message whose words start there. */
export function serialAt(words: Uint32Array, at: number): number {
  return ((words[at + SERIAL_PADDING] ?? 0) >>> 16) * 2 ** 32 + (words[at + SERIAL] ?? 0);
}

/** What a message of this many bytes takes, all in all. */
export function messageMemory(length: number): number {
  return slotMemory(capacity(sizeClass(length)));
}

/** What one in a slot of this many bytes takes. */
export function slotMemory(bytes: number): number {
  return 4 * HEAD_WORDS + bytes + INDEX_BYTES;
}

interface Chunk {
  /** The words of each message: apart from the bytes, and of a fixed length, since all others are several times slower. */
  words: Uint32Array;
  slab: Uint8Array;
  readonly pool: Pool;
  /** The place in the pool of its first slot. */
  readonly first: number;
  /** Bytes of a slot. */
  readonly capacity: number;
}

/** The chunks of all pools by number, which is the high part of the number of a message. */
class Chunks {
  readonly #chunks: (Chunk | undefined)[] = [undefined];
  readonly #free: number[] = [];

  of(message: number): Chunk {
    const chunk = this.#chunks[message >>> INDEX_BITS];
    assert(chunk !== undefined, "a message that is looked at is there");
    return chunk;
  }

  /** Gives the number of its first message; 0: there can be no more chunks. */
  add(chunk: Chunk): number {
    const number = this.#free.pop() ?? this.#chunks.length;
    if (number >= MAX_CHUNKS) return 0;
    this.#chunks[number] = chunk;
    return number * 2 ** INDEX_BITS;
  }

  remove(message: number): void {
    this.#chunks[message >>> INDEX_BITS] = undefined;
    this.#free.push(message >>> INDEX_BITS);
  }
}

/** The messages of one size class, in places from 0 on. */
class Pool {
  readonly expiries: Expiries = new Expiries();
  /** Bytes of a slot. */
  readonly capacity: number;
  readonly #chunks: Chunks;
  /** The first message of each of its chunks. */
  readonly #firsts: number[] = [];
  readonly #perChunk: number;
  #count = 0;

  constructor(size: number, chunks: Chunks) {
    this.capacity = capacity(size);
    this.#chunks = chunks;
    this.#perChunk = Math.max(1, Math.floor(CHUNK_BYTES / this.#stride()));
  }

  /** The message in this place. */
  message(place: number): number {
    const chunk = Math.floor(place / this.#perChunk);
    return (this.#firsts[chunk] ?? 0) + (place - chunk * this.#perChunk);
  }

  /** A message in the place after the last; 0: there can be no more. */
  grow(expires: Time): number {
    const place = this.#count;
    if (place === this.#firsts.length * this.#perChunk) {
      const isFirst = place === 0;
      const first = this.#chunks.add(this.#newChunk(isFirst ? this.#leastSlots() : this.#perChunk, place));
      if (first === 0) return 0;
      this.#firsts.push(first);
    } else if (place < this.#perChunk) {
      const [first = 0] = this.#firsts;
      if (place * HEAD_WORDS === this.#chunks.of(first).words.length)
        this.#resizeFirst(Math.min(2 * place, this.#perChunk));
    }
    this.#count++;
    this.expiries.set(place, expires);
    return this.message(place);
  }

  /** Moves the last ones to these places, which are in order, and overwrites what is behind the last then. */
  drop(places: readonly number[], moved: (run: Moved) => void): void {
    const end = this.#count;
    const start = end - places.length;
    let gaps = places.length;
    while (gaps > 0 && (places[gaps - 1] ?? 0) >= start) gaps--;
    this.#count = start;
    let filled = 0;
    let gone = gaps;
    for (let place = start; filled < gaps; ) {
      if (places[gone] === place) {
        gone++;
        place++;
        continue;
      }
      const to = places[filled] ?? 0;
      let count = 1; // those that lie one after another go to others that do
      while (
        filled + count < gaps &&
        places[filled + count] === to + count &&
        places[gone] !== place + count &&
        this.#isInChunk(place, to, count)
      )
        count++;
      moved(this.#move(place, to, count));
      filled += count;
      place += count;
    }
    this.#wipe(start, end);
    this.#giveBack();
  }

  /** Whether the next after so many places lies in the same chunk, of the one place and of the other. */
  #isInChunk(place: number, other: number, count: number): boolean {
    return (place + count) % this.#perChunk !== 0 && (other + count) % this.#perChunk !== 0;
  }

  #move(place: number, target: number, count: number): Moved {
    const from = this.message(place);
    const to = this.message(target);
    const source = this.#chunks.of(from);
    const goal = this.#chunks.of(to);
    const start = (from & INDEX_MASK) * this.capacity;
    const end = start + count * this.capacity;
    if (source === goal) goal.slab.copyWithin((to & INDEX_MASK) * this.capacity, start, end);
    else goal.slab.set(source.slab.subarray(start, end), (to & INDEX_MASK) * this.capacity);
    const first = startOf(from);
    const last = first + count * HEAD_WORDS;
    if (source === goal) goal.words.copyWithin(startOf(to), first, last);
    else goal.words.set(source.words.subarray(first, last), startOf(to));
    this.expiries.copy(place, target, count);
    return { from, to, count };
  }

  #wipe(start: number, end: number): void {
    this.expiries.clear(start, end);
    for (let place = start; place < end; ) {
      const message = this.message(place);
      const { words, slab, first } = this.#chunks.of(message);
      const index = message & INDEX_MASK;
      const count = Math.min(end - place, first + this.#perChunk - place);
      words.fill(0, index * HEAD_WORDS, (index + count) * HEAD_WORDS);
      slab.fill(0, index * this.capacity, (index + count) * this.capacity);
      place += count;
    }
  }

  /** With some slack, or a message to and fro would cost a chunk each time: so the first one stays, small as it is by then. */
  #giveBack(): void {
    const [first = 0] = this.#firsts;
    const slots = this.#chunks.of(first).words.length / HEAD_WORDS;
    const isSpare = this.#count === 0 && slots * this.capacity > SPARE_BYTES;
    let keep = this.#firsts.length;
    if (isSpare) keep = 0;
    else while (keep > 1 && this.#count + (this.#perChunk >> 1) <= (keep - 1) * this.#perChunk) keep--;
    const isLess = keep < this.#firsts.length;
    while (this.#firsts.length > keep) this.#chunks.remove(this.#firsts.pop() ?? 0);
    let least = slots;
    while (keep === 1 && 4 * this.#count <= least && least > this.#leastSlots())
      least = Math.max(least >> 1, this.#leastSlots());
    if (least < slots) this.#resizeFirst(least);
    if (isLess || least < slots) this.expiries.trim(this.#count);
  }

  /** The first chunk is as small as it can be: most caches are. */
  #resizeFirst(slots: number): void {
    const [first = 0] = this.#firsts;
    const chunk = this.#chunks.of(first);
    const { words, slab } = chunk;
    const fresh = this.#newChunk(slots, 0);
    fresh.words.set(words.subarray(0, this.#count * HEAD_WORDS));
    fresh.slab.set(slab.subarray(0, this.#count * this.capacity));
    words.fill(0);
    slab.fill(0);
    chunk.words = fresh.words;
    chunk.slab = fresh.slab;
  }

  #newChunk(slots: number, first: number): Chunk {
    // One that could be resized lies in pages of its own, which go back to the system with it: measured on Linux, a process
    // kept all 330 MB of a peak without this, and 50 with it. Making one costs ten times as much: not for what is small.
    const Pages: new (length: number, options?: { maxByteLength: number }) => ArrayBuffer = ArrayBuffer;
    const { capacity } = this;
    const length = capacity * slots;
    const buffer = length > SPARE_BYTES ? new Pages(length, { maxByteLength: length }) : new Pages(length);
    const slab = new Uint8Array(buffer, 0, length);
    return { words: new Uint32Array(HEAD_WORDS * slots), slab, pool: this, first, capacity };
  }

  /** Bytes that a message takes in its chunk. */
  #stride(): number {
    return 4 * HEAD_WORDS + this.capacity;
  }

  #leastSlots(): number {
    return Math.max(1, Math.floor(LEAST_BYTES / this.#stride()));
  }

  held(): number {
    const chunks = this.#firsts.map((first) => this.#chunks.of(first));
    return chunks.reduce((sum, { words, slab }) => sum + words.byteLength + slab.length, this.expiries.held());
  }
}

/** 1 to 8: 16 to 128 bytes. Then eight to each doubling, so that at most a ninth of a slot is padding. */
function sizeClass(length: number): number {
  if (length <= 128) return Math.max(1, (length + 15) >> 4);
  const power = 31 - Math.clz32(length - 1);
  return 8 * (power - 6) + ((length - 1 - (1 << power)) >> (power - 3)) + 1;
}

/** The most bytes of a class. */
function capacity(size: number): number {
  if (size <= 8) return 16 * size;
  const power = 6 + ((size - 1) >> 3);
  return (1 << power) + ((((size - 1) & 7) + 1) << (power - 3));
}

/** The longest message: 16 bits of padding, and 112 classes. */
export const MAX_MESSAGE: number = 2 ** 20;
const [SERIAL_PADDING, HEAD_WORDS] = [7, 8];
const INDEX_BYTES = 10; // among the expiries, and its place in the index by id
const PADDING_MASK = 0xffff;
const INDEX_BITS = 14; // for the slots of a chunk
const INDEX_MASK: number = (1 << INDEX_BITS) - 1;
const MAX_CHUNKS: number = 2 ** (32 - INDEX_BITS); // 128 GiB
const CHUNK_BYTES: number = 512 * 1024;
const LEAST_BYTES = 4096;
const SPARE_BYTES: number = 64 * 1024;
