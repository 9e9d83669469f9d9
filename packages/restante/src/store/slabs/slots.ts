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

export class Slots {
  readonly #pools: Pool[] = [];
  /** Nothing expires before. */
  #earliest: Time = 0;

  /** A slot for these bytes, of which it takes a copy: the number of the message. 0: the pool can hold no more. */
  take(bytes: Uint8Array, serial: number, expires: Time): number {
    const size = sizeClass(bytes.length);
    this.#pools[size] ??= new Pool(size);
    const pool = this.#pools[size];
    const place = pool.grow();
    if (place === undefined) return 0;
    const { words, slab } = pool.chunk(place);
    const at = pool.at(place);
    words[at + SERIAL] = serial; // its low 32 bits
    // The padding, not the length: 16 bits are enough for it.
    words[at + SERIAL_PADDING] = Math.floor(serial / 2 ** 32) * 2 ** 16 + (capacity(size) - bytes.length);
    slab.set(bytes, pool.start(place));
    pool.expiries.set(place, expires);
    this.#earliest = Math.min(this.#earliest, expires);
    return place * CLASSES + size;
  }

  /** Overwrites the message. Gives the number that another had until now, which is `message` from now on. 0: none. */
  drop(message: number): number {
    const pool = this.#pool(message);
    const moved = pool.drop(message >>> CLASS_BITS);
    return moved === undefined ? 0 : moved * CLASSES + (message & CLASS_MASK);
  }

  get(message: number, field: number): number {
    const pool = this.#pool(message);
    const place = message >>> CLASS_BITS;
    return pool.chunk(place).words[pool.at(place) + field] ?? 0;
  }

  set(message: number, field: number, value: number): void {
    const pool = this.#pool(message);
    const place = message >>> CLASS_BITS;
    pool.chunk(place).words[pool.at(place) + field] = value;
  }

  /** `set` of HALF and of the two words of the id. */
  setPlace(message: number, half: number, id: Uint32Array): void {
    const pool = this.#pool(message);
    const place = message >>> CLASS_BITS;
    const { words } = pool.chunk(place);
    const at = pool.at(place);
    words[at + HALF] = half;
    words[at + ID_LOW] = id[0] ?? 0;
    words[at + ID_HIGH] = id[1] ?? 0;
  }

  /** Its number in the order of all that ever came. */
  serial(message: number): number {
    const pool = this.#pool(message);
    const place = message >>> CLASS_BITS;
    const { words } = pool.chunk(place);
    const at = pool.at(place);
    return ((words[at + SERIAL_PADDING] ?? 0) >>> 16) * 2 ** 32 + (words[at + SERIAL] ?? 0);
  }

  /** The low 32 bits of it. */
  serialLow(message: number): number {
    return this.get(message, SERIAL);
  }

  /** Bytes of the message. */
  length(message: number): number {
    return capacity(message & CLASS_MASK) - (this.get(message, SERIAL_PADDING) & 0xffff);
  }

  /** The bytes where they lie: to be looked at at once. */
  view(message: number): Uint8Array {
    const pool = this.#pool(message);
    const place = message >>> CLASS_BITS;
    const start = pool.start(place);
    return pool.chunk(place).slab.subarray(start, start + this.length(message));
  }

  setExpires(message: number, expires: Time): void {
    this.#pool(message).expiries.set(message >>> CLASS_BITS, expires);
    this.#earliest = Math.min(this.#earliest, expires);
  }

  /** A message whose time has come; 0: none. */
  due(now: Time): number {
    if (now < this.#earliest) return 0;
    let earliest = NEVER;
    for (const [size, pool] of this.#pools.entries()) {
      if (pool === undefined) continue;
      const place = pool.expiries.due(now);
      if (place !== undefined) return place * CLASSES + size;
      earliest = Math.min(earliest, pool.expiries.next());
    }
    this.#earliest = earliest;
    return 0;
  }

  /** Bytes of memory that it holds now. */
  held(): number {
    return this.#pools.reduce((sum, pool) => sum + (pool?.held() ?? 0), 0);
  }

  #pool(message: number): Pool {
    const pool = this.#pools[message & CLASS_MASK];
    assert(pool !== undefined, "a message that is looked at is there");
    return pool;
  }
}

/** What a message of this many bytes takes, all in all. */
export function messageMemory(length: number): number {
  return 4 * HEAD_WORDS + capacity(sizeClass(length)) + INDEX_BYTES;
}

interface Chunk {
  /** The words of each message: apart from the bytes, and of a fixed length, since all others are several times slower. */
  readonly words: Uint32Array;
  readonly slab: Uint8Array;
}

/** The messages of one size class. Their places are numbers in which the chunk is the high part. */
class Pool {
  readonly expiries: Expiries = new Expiries();
  readonly #chunks: Chunk[] = [];
  /** Bytes of a slot. */
  readonly #capacity: number;
  readonly #perChunk: number;
  readonly #bits: number;
  readonly #mask: number;
  #count = 0;

  constructor(size: number) {
    this.#capacity = capacity(size);
    this.#perChunk = Math.max(1, Math.floor(CHUNK_BYTES / this.#stride()));
    this.#bits = 32 - Math.clz32(this.#perChunk - 1);
    this.#mask = (1 << this.#bits) - 1;
  }

  /** The place after the last. */
  grow(): number | undefined {
    const place = this.#placeOf(this.#count);
    if (place >= MAX_PLACES) return undefined;
    const [first] = this.#chunks;
    if (first === undefined) this.#resizeFirst(this.#leastSlots());
    else if (this.#count < this.#perChunk && this.#count * HEAD_WORDS === first.words.length)
      this.#resizeFirst(Math.min(2 * this.#count, this.#perChunk));
    else if (this.#chunks.length <= place >>> this.#bits) this.#chunks.push(this.#newChunk(this.#perChunk));
    this.#count++;
    return place;
  }

  /** Moves the last one to this place. Gives where it was, or `undefined` if this was the last. */
  drop(place: number): number | undefined {
    const last = this.#placeOf(--this.#count);
    const from = this.chunk(last);
    const at = this.at(last);
    const start = this.start(last);
    if (last !== place) {
      const to = this.chunk(place);
      const over = this.at(place);
      for (let i = 0; i < HEAD_WORDS; i++) to.words[over + i] = from.words[at + i] ?? 0;
      if (from === to) to.slab.copyWithin(this.start(place), start, start + this.#capacity);
      else to.slab.set(from.slab.subarray(start, start + this.#capacity), this.start(place));
      this.expiries.set(place, this.expiries.get(last));
    }
    for (let i = 0; i < HEAD_WORDS; i++) from.words[at + i] = 0;
    from.slab.fill(0, start, start + this.#capacity);
    this.expiries.clear(last, last + 1);
    this.#giveBack();
    return last === place ? undefined : last;
  }

  /** With some slack, or a message to and fro would cost a chunk each time: so the first one stays, small as it is by then. */
  #giveBack(): void {
    const first = this.#chunks[0];
    if (first === undefined) return;
    if (this.#count === 0 && first.slab.length > SPARE_BYTES) this.#chunks.length = 0;
    else if (this.#chunks.length > 1) {
      if (this.#count + (this.#perChunk >> 1) > (this.#chunks.length - 1) * this.#perChunk) return;
      this.#chunks.pop();
    } else {
      const slots = first.words.length / HEAD_WORDS;
      if (4 * this.#count > slots || slots <= this.#leastSlots()) return;
      this.#resizeFirst(Math.max(slots >> 1, this.#leastSlots()));
    }
    this.expiries.trim(this.#count === 0 ? 0 : this.#placeOf(this.#count - 1) + 1);
  }

  /** The first chunk is as small as it can be: most caches are. */
  #resizeFirst(slots: number): void {
    const old = this.#chunks[0];
    const chunk = this.#newChunk(slots);
    if (old !== undefined) {
      chunk.words.set(old.words.subarray(0, this.#count * HEAD_WORDS));
      chunk.slab.set(old.slab.subarray(0, this.#count * this.#capacity));
      old.words.fill(0);
      old.slab.fill(0);
    }
    this.#chunks[0] = chunk;
  }

  #newChunk(slots: number): Chunk {
    // One that could be resized lies in pages of its own, which go back to the system with it: measured on Linux, a process
    // kept all 330 MB of a peak without this, and 50 with it. Making one costs ten times as much: not for what is small.
    const Pages: new (length: number, options?: { maxByteLength: number }) => ArrayBuffer = ArrayBuffer;
    const length = this.#capacity * slots;
    const buffer = length > SPARE_BYTES ? new Pages(length, { maxByteLength: length }) : new Pages(length);
    return { words: new Uint32Array(HEAD_WORDS * slots), slab: new Uint8Array(buffer, 0, length) };
  }

  /** Bytes that a message takes in its chunk. */
  #stride(): number {
    return 4 * HEAD_WORDS + this.#capacity;
  }

  #leastSlots(): number {
    return Math.max(1, Math.floor(LEAST_BYTES / this.#stride()));
  }

  held(): number {
    return this.#chunks.reduce((sum, { words, slab }) => sum + words.byteLength + slab.length, this.expiries.held());
  }

  chunk(place: number): Chunk {
    const chunk = this.#chunks[place >>> this.#bits];
    assert(chunk !== undefined, "a place is in a chunk");
    return chunk;
  }

  /** The first word of this place among those of its chunk. */
  at(place: number): number {
    return (place & this.#mask) * HEAD_WORDS;
  }

  /** The first byte of this place in its slab. */
  start(place: number): number {
    return (place & this.#mask) * this.#capacity;
  }

  #placeOf(index: number): number {
    const chunk = Math.floor(index / this.#perChunk);
    return (chunk << this.#bits) + (index - chunk * this.#perChunk);
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
const [SERIAL, SERIAL_PADDING, HEAD_WORDS] = [6, 7, 8];
const INDEX_BYTES = 10; // among the expiries, and its place in the index by id
const CLASS_BITS = 7;
const CLASSES = 128;
const CLASS_MASK = 127;
const MAX_PLACES = 2 ** 25;
const CHUNK_BYTES: number = 512 * 1024;
const LEAST_BYTES = 4096;
const SPARE_BYTES: number = 64 * 1024;
