/**
 * One end of a stream of chunks, and when it may write. Blocking, for serial lines: one chunk at a time, the next after
 * a word of the other end, so that no buffer between them overflows. Non-blocking, for everything that has flow control
 * of its own or frames: all at once. protocol/chunking.md §4-6
 *
 * What keeps two blocking ends from flooding each other is a count of turns. There are two in all, one for each end;
 * writing a chunk passes one on. They are only passed, so never more than two chunks are unread, whoever is slow.
 */
import { assert, concat, type Machine, type Time } from "../bytes/index.ts";
import { Dechunker, encodeFrames, MAX_CHUNK } from "./chunks.ts";

/** What one end is given to send, what it reads, and time. */
export type ChunkStreamIn =
  /** Carry this packet after those before it. The bytes are ours from now on. */
  | { readonly type: "send"; readonly packet: Uint8Array }
  /** What was read, however it was cut. The bytes are ours from now on. */
  | { readonly type: "received"; readonly bytes: Uint8Array }
  | { readonly type: "tick" };

/** What has to happen, in this order. */
export type ChunkStreamOut =
  /** Bytes for the wire, in one piece: a chunk, an acknowledgement or, when not blocking, a frame. */
  | { readonly type: "write"; readonly bytes: Uint8Array }
  /** A packet of the other end; yours to keep. */
  | { readonly type: "packet"; readonly packet: Uint8Array }
  /** The packet just given was not taken: it is empty, too long, or too many wait. */
  | { readonly type: "dropped" };

/** How the stream is cut, and who waits for whom. */
export interface ChunkStreamOptions {
  /** The longest packet in bytes, in both directions. */
  readonly maxPacket: number;
  /**
   * Bytes of a chunk with its count, 2 to 256; 256 unless given. Blocking: at most half of what the other end's buffer
   * holds. In frames: the transport's unit.
   */
  readonly size?: number;
  /** Whether to wait for the other end after each chunk; yes unless `false`. Both ends must agree. */
  readonly blocking?: boolean;
  /** Not blocking: whether what was read is answered with an acknowledgement; yes unless `false`. */
  readonly acks?: boolean;
  /** Blocking: packets that may wait, 32 unless given. */
  readonly queue?: number;
  /** Blocking: after so many ms without a word we write all the same, 1000 unless given. */
  readonly unblockMs?: number;
}

/**
 * One end of one connection: make a new one for the next. Holds at most `queue` packets and one that is coming in. Throws (our bug)
 * for a `size` outside of its range.
 */
export class ChunkStream implements Machine<ChunkStreamIn, ChunkStreamOut> {
  readonly #maxPacket: number;
  readonly #size: number;
  readonly #isBlocking: boolean;
  readonly #acks: boolean;
  readonly #queue: number;
  readonly #unblockMs: number;
  readonly #dechunker: Dechunker;
  readonly #waiting: Uint8Array[] = [];
  #packet: Uint8Array | undefined; // the one that is being written
  #at = 0; // how much of it was
  #turns = 1; // chunks that may be written now
  #due = 0; // chunks that were read and not answered
  #hasReturned = false; // a spare turn was given back since we wrote a chunk
  #wordAt: Time = Number.NEGATIVE_INFINITY; // when something was last read or written
  #readAt: Time = Number.NEGATIVE_INFINITY;

  constructor(options: ChunkStreamOptions) {
    const { maxPacket, size = MAX_CHUNK, blocking, acks, queue = QUEUE, unblockMs = UNBLOCK_MS } = options;
    assert(Number.isInteger(size) && size >= 2 && size <= MAX_CHUNK, "a chunk has 2 to 256 bytes");
    this.#maxPacket = maxPacket;
    this.#size = size;
    this.#isBlocking = blocking !== false;
    this.#acks = acks !== false;
    this.#queue = queue;
    this.#unblockMs = unblockMs;
    this.#dechunker = new Dechunker(maxPacket);
  }

  handle(input: ChunkStreamIn, now: Time): ChunkStreamOut[] {
    this.#wordAt = Math.min(this.#wordAt, now); // a clock set back must not stop us
    this.#readAt = Math.min(this.#readAt, now);
    switch (input.type) {
      case "send":
        return this.#send(input.packet, now);
      case "received":
        return this.#onReceived(input.bytes, now);
      case "tick":
        if (this.#dechunker.isInChunk && this.#resyncAt() <= now) this.#dechunker.resync();
        return this.#write(now);
    }
  }

  deadline(): Time | undefined {
    if (!this.#isBlocking) return undefined;
    const unblockAt = this.length > 0 && this.#turns === 0 ? this.#unblockAt() : Number.POSITIVE_INFINITY;
    const resyncAt = this.#dechunker.isInChunk ? this.#resyncAt() : Number.POSITIVE_INFINITY;
    const earliest = Math.min(unblockAt, resyncAt);
    return earliest === Number.POSITIVE_INFINITY ? undefined : earliest;
  }

  /** How many packets wait or are being written. */
  get length(): number {
    return this.#waiting.length + (this.#packet === undefined ? 0 : 1);
  }

  #send(packet: Uint8Array, now: Time): ChunkStreamOut[] {
    // A packet of no bytes would be a lone zero chunk, which says something else.
    if (packet.length === 0 || packet.length > this.#maxPacket) return [{ type: "dropped" }];
    if (!this.#isBlocking) return encodeFrames(packet, this.#size).map((bytes) => ({ type: "write", bytes }));
    if (this.#waiting.length >= this.#queue) return [{ type: "dropped" }];
    this.#waiting.push(packet);
    return this.#write(now);
  }

  #onReceived(bytes: Uint8Array, now: Time): ChunkStreamOut[] {
    if (bytes.length === 0) return [];
    const before = { chunks: this.#dechunker.chunks, acks: this.#dechunker.acks };
    const packets = this.#dechunker.push(bytes);
    const chunks = this.#dechunker.chunks - before.chunks;
    const out: ChunkStreamOut[] = packets.map((packet) => ({ type: "packet", packet }));
    if (!this.#isBlocking) return chunks > 0 && this.#acks ? [...out, { type: "write", bytes: ACK.slice() }] : out;
    this.#wordAt = now;
    this.#readAt = now;
    this.#take(chunks, this.#dechunker.acks - before.acks);
    return [...out, ...this.#write(now)];
  }

  /** So many chunks and acknowledgements came, each with a turn for us. */
  #take(chunks: number, acks: number): void {
    // A third turn, given out because one seemed lost, would go to and fro between two idle ends for ever.
    const isSpare = this.length === 0 && this.#hasReturned;
    const most = isSpare ? Math.max(this.#turns, 1) : TURNS;
    this.#turns = Math.min(this.#turns + acks, most);
    this.#turns = Math.min(this.#turns + chunks, TURNS);
    this.#due = Math.min(this.#due + chunks, TURNS);
  }

  /** Writes as much as we may. */
  #write(now: Time): ChunkStreamOut[] {
    if (this.length > 0 && this.#turns === 0 && this.#unblockAt() <= now) this.#turns = 1;
    const out: ChunkStreamOut[] = [];
    while (this.length > 0 && this.#turns > 0) {
      this.#hasReturned = false;
      out.push(this.#pass(this.#nextChunk()));
    }
    // Never inside a packet of ours, which it would end; while there is one, its chunks are the answers.
    while (this.length === 0 && (this.#due > 0 || this.#turns > 1)) {
      this.#hasReturned ||= this.#due === 0;
      out.push(this.#pass(ACK.slice()));
    }
    if (out.length > 0) this.#wordAt = now;
    return out;
  }

  #pass(bytes: Uint8Array): ChunkStreamOut {
    assert(this.#turns > 0, "we write when it is our turn");
    this.#turns -= 1;
    this.#due = Math.max(0, this.#due - 1);
    return { type: "write", bytes };
  }

  /** The zero chunk goes by itself: with another it would be two chunks, two answers, and one turn. */
  #nextChunk(): Uint8Array {
    this.#packet ??= this.#waiting.shift();
    assert(this.#packet !== undefined, "a packet waits");
    const data = this.#packet.subarray(this.#at, this.#at + this.#size - 1);
    this.#at += data.length;
    if (data.length > 0) return concat(Uint8Array.of(data.length), data);
    this.#packet = undefined;
    this.#at = 0;
    return ACK.slice();
  }

  #unblockAt(): Time {
    return this.#wordAt + this.#unblockMs;
  }

  // Half of the time, so that a chunk which was cut is over before its writer goes on.
  #resyncAt(): Time {
    return this.#readAt + this.#unblockMs / 2;
  }
}

const TURNS = 2; // protocol/chunking.md §6
const QUEUE = 32;
const UNBLOCK_MS = 1000; // 64 bytes at 1200 baud take half of it
const ACK = new Uint8Array(1);
