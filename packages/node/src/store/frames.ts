/**
 * Frames: a stream of any length, sealed in pieces under a key that is used for nothing else. docs/identity.md §6, protocol/sealed-file.md
 *
 *   frames   64 KiB of the stream each but the last, which has fewer or as many; each sealed by XChaCha20-Poly1305
 *   nonce    15 zero bytes, counter (8, big-endian), is-last (1)
 *
 * A frame that is missing, moved or of another stream does not open, and a stream that was cut has no last one.
 */
import type { Backend } from "restante";
import { concat } from "restante/protocol";

/** `label`: what is said with the key, and has to be the same to open it. */
export interface FrameKey {
  readonly backend: Backend;
  readonly key: Uint8Array;
  readonly label: Uint8Array;
}

/** The frames of a stream. An empty stream has one. */
export async function* sealFrames(
  { backend, key, label }: FrameKey,
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let counter = 0;
  const pieces = new Pieces();
  for await (const piece of bytes) {
    pieces.push(piece);
    // The last one is sealed as such: so one is kept back until it is known.
    while (pieces.length > FRAME_BYTES)
      yield backend.xchachaSeal(key, nonceOf(counter++, false), pieces.take(FRAME_BYTES), label);
  }
  yield backend.xchachaSeal(key, nonceOf(counter, true), pieces.take(pieces.length), label);
}

/** The stream of frames, each piece when it was verified. `refuse` makes what is thrown when one does not open, or the last is missing. */
export async function* openFrames(
  { backend, key, label }: FrameKey,
  sealed: AsyncIterable<Uint8Array>,
  refuse: () => Error,
): AsyncGenerator<Uint8Array> {
  let counter = 0;
  const pieces = new Pieces();
  const open = (frame: Uint8Array, isLast: boolean): Uint8Array => {
    const plain = backend.xchachaOpen(key, nonceOf(counter++, isLast), frame, label);
    if (plain === undefined) throw refuse();
    return plain;
  };
  for await (const piece of sealed) {
    pieces.push(piece);
    while (pieces.length > SEALED_BYTES) yield open(pieces.take(SEALED_BYTES), false);
  }
  yield open(pieces.take(pieces.length), true);
}

/** Of a frame. */
export function nonceOf(counter: number, isLast: boolean): Uint8Array {
  const nonce = new Uint8Array(24);
  new DataView(nonce.buffer).setBigUint64(15, BigInt(counter));
  nonce[23] = isLast ? 1 : 0;
  return nonce;
}

/** Bytes that come and go in pieces of other sizes. */
export class Pieces {
  #pieces: Uint8Array[] = [];
  length = 0;

  push(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#pieces.push(bytes);
    this.length += bytes.length;
  }

  /** The first bytes, which stay. */
  peek(length: number): Uint8Array {
    const [first = new Uint8Array(0)] = this.#pieces;
    if (first.length < length) {
      // Joined once: a record of many frames is asked for with each of them.
      const all = concat(...this.#pieces);
      this.#pieces = [all];
      return all.slice(0, length);
    }
    return first.slice(0, length);
  }

  /** The first bytes, which go. */
  take(length: number): Uint8Array {
    const taken: Uint8Array[] = [];
    let left = length;
    while (left > 0) {
      const [first = new Uint8Array(0)] = this.#pieces;
      taken.push(first.subarray(0, left));
      if (first.length > left) this.#pieces[0] = first.subarray(left);
      else this.#pieces.shift();
      left -= Math.min(left, first.length);
    }
    this.length -= length;
    return concat(...taken);
  }
}

export const FRAME_BYTES: number = 64 * 1024;
/** Of a frame as it is sealed. */
export const SEALED_BYTES: number = FRAME_BYTES + 16;
