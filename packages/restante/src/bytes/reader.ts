/** Binary fields: a bounded reader, and varints (unsigned LEB128, 7 bits per byte, lowest first). */
import { assert } from "./failure.ts";

/** A whole number from 0 to 2^53-1 as a varint of 1 to 8 bytes. Throws (our bug) for any other number. */
export function encodeVarint(value: number): Uint8Array {
  assert(Number.isSafeInteger(value) && value >= 0, "a varint is a whole number from 0 to 2^53-1");
  const bytes: number[] = [];
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes.push((left % 0x80) | 0x80);
  bytes.push(left);
  return Uint8Array.from(bytes);
}

/**
 * Reads fields from the front of an array, numbers big-endian. A read past the end gives `undefined` and spoils the
 * reader: every later read gives `undefined` too and `done` stays false, so a parser may read all its fields first and
 * look once. Never throws.
 */
export class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;
  #failed = false;

  /** Reads from `bytes` without copying. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Whether everything was read and nothing failed. */
  get done(): boolean {
    return !this.#failed && this.#at === this.#bytes.length;
  }

  /** 1 byte: 0 to 255. */
  u8(): number | undefined {
    return this.#number(1);
  }

  /** 2 bytes: 0 to 65,535. */
  u16(): number | undefined {
    return this.#number(2);
  }

  /** 4 bytes: 0 to 2^32-1. */
  u32(): number | undefined {
    return this.#number(4);
  }

  /** A varint up to 2^53-1; `undefined` also for one that is longer than it needs to be. */
  varint(): number | undefined {
    let value = 0;
    for (let i = 0; i < VARINT_BYTES; i++) {
      const byte = this.u8();
      if (byte === undefined) return undefined;
      value += (byte & 0x7f) * 0x80 ** i;
      if (byte >= 0x80) continue;
      if ((byte === 0 && i > 0) || value > Number.MAX_SAFE_INTEGER) break;
      return value;
    }
    return this.#fail();
  }

  /** The next `length` bytes, as a view. An `undefined` length fails, so that `take(varint())` needs no test between. */
  take(length: number | undefined): Uint8Array | undefined {
    if (this.#failed || length === undefined || !(length >= 0 && length <= this.#bytes.length - this.#at)) {
      return this.#fail();
    }
    const view = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return view;
  }

  /** All bytes that are left, as a view; none after a failed read. */
  rest(): Uint8Array {
    return this.take(this.#bytes.length - this.#at) ?? new Uint8Array(0);
  }

  #number(length: number): number | undefined {
    const bytes = this.take(length);
    if (bytes === undefined) return undefined;
    let value = 0;
    for (const byte of bytes) value = value * 0x100 + byte;
    return value;
  }

  #fail(): undefined {
    this.#failed = true;
    return undefined;
  }
}

const VARINT_BYTES = 8; // 8 x 7 bits cover 2^53-1
