/** The `at` values of this peer: always higher, also after a restart and with a clock set back. protocol/exchange.md §4 */
import type { Time } from "../bytes/index.ts";

export class Sequence {
  #last: bigint; // the highest that may have been used
  #reserved: bigint; // what the store knows: all up to here may have been used
  #isSaved = true;

  /** `saved`: the value last given by `unsaved`, if the store has one. Other lengths than 8 bytes count as none. */
  constructor(saved: Uint8Array | undefined) {
    this.#last = saved?.length === BYTES ? new DataView(saved.buffer, saved.byteOffset, BYTES).getBigUint64(0) : 0n;
    this.#reserved = this.#last;
  }

  /**
   * An even number above `above`, which with its last bit set is free too: epoch seconds, or as little more as it
   * takes. What one peer counts up to (`above`) never moves the numbers used for others.
   */
  next(above: bigint, now: Time): bigint {
    const seconds = BigInt(Math.max(0, Math.floor(now / 1000)));
    const next = even(seconds > this.#last ? seconds : this.#last + 1n);
    this.#last = next + 1n;
    if (this.#last > this.#reserved && this.#last + BLOCK <= MAX) {
      this.#reserved = this.#last + BLOCK;
      this.#isSaved = false;
    }
    return next > above ? next : even(above + 1n);
  }

  /** What must be durable before the numbers given since are used: 8 bytes, big-endian. `undefined`: nothing new. */
  unsaved(): Uint8Array | undefined {
    if (this.#isSaved) return undefined;
    this.#isSaved = true;
    const value = new Uint8Array(BYTES);
    new DataView(value.buffer).setBigUint64(0, this.#reserved);
    return value;
  }
}

function even(number: bigint): bigint {
  return number + (number & 1n);
}

const BYTES = 8;
const MAX = 2n ** 64n - 1n;
const BLOCK = 4096n; // one save in about an hour of handshakes
