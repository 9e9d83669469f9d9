/** Frames of a stream: each a varint length, then so many bytes. protocol/bazaar-network.md §2 */
import { concat, encodeVarint } from "restante/protocol";

/** The most bytes that one frame of `/openbazaar/app/1.0.0` may have after its length: 4 MiB. */
export const FRAME_BYTES: number = 4 * 1024 * 1024;

/** One frame: the length of `bytes` as a varint, then `bytes`. */
export function encodeFrame(bytes: Uint8Array): Uint8Array {
  return concat(encodeVarint(bytes.length), bytes);
}

/**
 * Puts frames together from the pieces in which a stream comes. Holds at most one frame of `most` bytes and what came with its
 * end. A length above `most`, or one written longer than it needs, breaks the stream for good: all later pieces give
 * `undefined` and nothing is held any more. Never throws.
 */
export class Frames {
  readonly #most: number;
  #pieces: Uint8Array[] = [];
  /** What of the first piece was given away. */
  #read = 0;
  #held = 0;
  /** Of the frame that is being read: the bytes of its length and of its content together. */
  #wanted: { readonly head: number; readonly all: number } | undefined;
  #broken = false;

  /** `most`: how many bytes a frame may have after its length. */
  constructor(most: number = FRAME_BYTES) {
    this.#most = most;
  }

  /** Bytes of an unfinished frame: a stream that ends with some was cut. */
  get held(): number {
    return this.#held;
  }

  /** The frames that are whole with this piece, in order; `undefined` from the first bad length on. */
  push(piece: Uint8Array): Uint8Array[] | undefined {
    if (this.#broken) return undefined;
    if (piece.length > 0) this.#pieces.push(piece);
    this.#held += piece.length;
    const frames: Uint8Array[] = [];
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) frames.push(frame);
    if (this.#broken) this.#held = 0;
    // Once for a piece, not once for a frame: a piece may be of empty ones alone.
    const [first] = this.#pieces;
    if (this.#held === 0) this.#pieces = [];
    else if (first !== undefined && this.#read > 0) this.#pieces[0] = first.subarray(this.#read);
    this.#read = 0;
    return this.#broken ? undefined : frames;
  }

  #next(): Uint8Array | undefined {
    this.#wanted ??= this.#head();
    if (this.#wanted === undefined || this.#held < this.#wanted.all) return undefined;
    const { head, all } = this.#wanted;
    // Once for a frame, not once for a piece: a peer that sends single bytes costs no more than they are.
    if (this.#pieces.length > 1) this.#pieces = [concat(...this.#pieces)]; // nothing of the first was given away in this turn
    const from = this.#read;
    this.#wanted = undefined;
    this.#held -= all;
    this.#read += all;
    return this.#pieces[0]?.slice(from + head, from + all);
  }

  #head(): { readonly head: number; readonly all: number } | undefined {
    let length = 0;
    let place = 0;
    let at = this.#read;
    for (const piece of this.#pieces) {
      for (; at < piece.length; at++) {
        const byte = piece[at] ?? 0;
        length += (byte & 0x7f) * 0x80 ** place;
        place++;
        if (length > this.#most || (byte === 0 && place > 1) || (byte >= 0x80 && place === LENGTH_BYTES)) {
          this.#broken = true;
          return undefined;
        }
        if (byte < 0x80) return { head: place, all: place + length };
      }
      at = 0;
    }
    return undefined;
  }
}

const LENGTH_BYTES = 5; // 5 x 7 bits: more than any frame may have
