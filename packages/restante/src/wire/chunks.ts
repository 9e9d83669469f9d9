/**
 * Chunks: packets on a stream. Each chunk is a byte that counts what follows it, 1 to 255 bytes; the chunk that
 * counts 0 ends the packet. Between packets it says nothing, and serves as acknowledgement and keepalive.
 * protocol/chunking.md
 */
import { assert, shift, shortLived, view } from "../bytes/index.ts";

/**
 * The chunks of one packet, with the one that ends it. `size`: bytes of a whole chunk with its count, 2 to 256; 0 or
 * absent: 256. A packet of no bytes gives a lone zero chunk, which is an acknowledgement. `free`: so many bytes right
 * before the packet in its buffer belong to it; when they are enough the chunks are made where it stands, and it is
 * overwritten. Else the array is a `shortLived` one. Throws (our bug) for any other size.
 */
export function encodeChunks(packet: Uint8Array, size: number = 0, free: number = 0): Uint8Array {
  assert(size === 0 || (Number.isInteger(size) && size >= 2 && size <= MAX_CHUNK), "a chunk has 2 to 256 bytes");
  const room = (size || MAX_CHUNK) - 1;
  const chunks = countChunks(packet, room + 1);
  const isInPlace = chunks <= free;
  const bytes = chunks + packet.length;
  const stream = isInPlace ? new Uint8Array(packet.buffer, packet.byteOffset - chunks, bytes) : shortLived(bytes);
  // All of it at the end, and from there each chunk to its place, which lies before: views of the pieces cost more.
  let from = chunks;
  if (!isInPlace) stream.set(packet, from);
  for (let at = 0, left = packet.length; left > 0; ) {
    const length = Math.min(left, room);
    stream[at] = length;
    shift(stream, at + 1, from, from + length);
    at += 1 + length;
    from += length;
    left -= length;
  }
  stream[bytes - 1] = 0; // the zero chunk, where the last byte of the packet was
  return stream;
}

/** How many chunks of so many bytes `encodeChunks` gives for a packet, with the one that ends it. */
export function countChunks(packet: Uint8Array, size: number = MAX_CHUNK): number {
  return Math.ceil(packet.length / (size - 1)) + 1;
}

/**
 * The chunks of one packet in frames of at most `size` bytes (2 to 256), for transports that carry no more at once. Each
 * frame holds one chunk; the one that ends the packet goes with the last of them if there is room, else alone. Their
 * bytes in order are a stream as of `encodeChunks`. Throws (our bug) for any other size.
 */
export function encodeFrames(packet: Uint8Array, size: number): Uint8Array[] {
  assert(size > 0, "a frame has 2 to 256 bytes");
  const stream = encodeChunks(packet, size);
  // All chunks but the last have `size` bytes, so that cutting at `size` cuts between chunks.
  return Array.from({ length: Math.ceil(stream.length / size) }, (_, i) => stream.slice(i * size, (i + 1) * size));
}

/** Takes the pieces of one stream, however it was cut, and gives the packets. Holds at most `maxPacket` bytes. */
export class Dechunker {
  readonly #maxPacket: number;
  #buffer: Uint8Array = NOTHING;
  #length = 0; // bytes of the packet so far
  #left = 0; // bytes still to come of the chunk we are in; 0: a count comes next
  #isOverlong = false; // the packet outgrew the bound or was cut: the rest of it is skipped
  #chunks = 0;
  #acks = 0;

  /** `maxPacket`: the length in bytes of the longest packet that is given out. */
  constructor(maxPacket: number) {
    this.#maxPacket = maxPacket;
  }

  /** Whether the stream stands between two packets, where alone a zero chunk of ours may go out in answer. */
  get idle(): boolean {
    return this.#left === 0 && this.#length === 0 && !this.#isOverlong;
  }

  /** Whether the stream stands inside a chunk: its count was read, and not all that it counts. */
  get isInChunk(): boolean {
    return this.#left > 0;
  }

  /** What was read so far of the packet that has not ended yet. A view, until the next `push`. */
  get unended(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /** How many chunks of packets were read to their end so far, those that end packets included. */
  get chunks(): number {
    return this.#chunks;
  }

  /** How many lone zero chunks were read so far. */
  get acks(): number {
    return this.#acks;
  }

  /** Bytes were lost: what comes next is a count, and the packet in progress is skipped up to its zero chunk. */
  resync(): void {
    this.#left = 0;
    this.#clear();
    this.#isOverlong = true;
  }

  /**
   * The packets that end in these bytes, in order, each of 1 to `maxPacket` bytes. Longer ones are dropped whole; lone zero
   * chunks give nothing. Never throws. The bytes are ours from now on: most packets are put together where they stand.
   */
  push(bytes: Uint8Array): Uint8Array[] {
    const packets: Uint8Array[] = [];
    let at = 0;
    let from = 0; // a packet that began in these bytes, without its counts
    let to = 0;
    let left = this.#left;
    while (at < bytes.length) {
      if (left > 0) {
        const end = Math.min(at + left, bytes.length);
        if (this.#length > 0 || this.#isOverlong) this.#append(bytes.subarray(at, end));
        else if (from === to) {
          from = at;
          to = end;
        } else {
          shift(bytes, to, at, end);
          to += end - at;
        }
        left -= end - at;
        at = end;
        if (left === 0) this.#chunks++;
        continue;
      }
      left = bytes[at++] ?? 0;
      if (left > 0) continue;
      if (to > from) {
        this.#chunks++;
        if (to - from <= this.#maxPacket) packets.push(view(bytes, from, to));
        from = to = 0;
        continue;
      }
      if (this.#length > 0 || this.#isOverlong) this.#chunks++;
      else this.#acks++;
      if (this.#length > 0) packets.push(this.#buffer.slice(0, this.#length));
      this.#clear();
    }
    this.#left = left;
    if (to > from) this.#append(view(bytes, from, to));
    return packets;
  }

  #append(data: Uint8Array): void {
    const length = this.#length + data.length;
    if (this.#isOverlong || length > this.#maxPacket) {
      this.#clear();
      this.#isOverlong = true;
      return;
    }
    if (length > this.#buffer.length) {
      const room = Math.max(length, Math.min(this.#maxPacket, Math.max(2 * this.#buffer.length, KEPT_BYTES)));
      const grown = new Uint8Array(room);
      grown.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = grown;
    }
    this.#buffer.set(data, this.#length);
    this.#length = length;
  }

  #clear(): void {
    this.#length = 0;
    this.#isOverlong = false;
    if (this.#buffer.length > KEPT_BYTES) this.#buffer = NOTHING;
  }
}

/** The largest chunk in bytes, with its count. */
export const MAX_CHUNK: number = 256; // protocol/chunking.md §1: a count of one byte, and 255 bytes
const KEPT_BYTES = 2048; // what a quiet stream may hold: room for any packet of 1400 bytes
const NOTHING = new Uint8Array(0);
