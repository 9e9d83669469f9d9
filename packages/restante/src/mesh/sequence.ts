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
   * An even number above `above`, which with its last bit set is free too: epoch seconds, or as little more as it takes.
   * None is given twice, but for those that `above` pushes beyond what a clock can be wrong by: `above` is another's word,
   * and who could move our numbers at will could use them up.
   */
  next(above: bigint, now: Time): bigint {
    const seconds = BigInt(Math.max(0, Math.floor(now / 1000)));
    const ordinary = even(seconds > this.#last ? seconds : this.#last + 1n);
    const next = ordinary > above ? ordinary : even(above + 1n);
    if (next === ordinary || next <= this.#horizon(seconds)) this.#count(next + 1n);
    return next;
  }

  /** What must be durable before the numbers given since are used: 8 bytes, big-endian. `undefined`: nothing new. */
  unsaved(): Uint8Array | undefined {
    if (this.#isSaved) return undefined;
    this.#isSaved = true;
    const value = new Uint8Array(BYTES);
    new DataView(value.buffer).setBigUint64(0, this.#reserved);
    return value;
  }

  /** The highest number that others may move ours to. */
  #horizon(seconds: bigint): bigint {
    // A clock that is certainly wrong says nothing about theirs.
    const byClock = seconds < EARLIEST ? WITHOUT_CLOCK : seconds + AHEAD;
    const byCount = this.#last + STEP;
    return byClock > byCount ? byClock : byCount;
  }

  #count(last: bigint): void {
    this.#last = last;
    if (last <= this.#reserved || last + BLOCK > MAX) return;
    this.#reserved = last + BLOCK;
    this.#isSaved = false;
  }
}

function even(number: bigint): bigint {
  return number + (number & 1n);
}

const BYTES = 8;
const MAX = 2n ** 64n - 1n;
const BLOCK = 4096n; // one save in about an hour of handshakes
const AHEAD = 2n ** 20n; // seconds: 12 days between two clocks
const STEP = 16n; // a few handshakes of the other side, where both are ahead of all clocks
const EARLIEST = 1_577_836_800n; // 2020
const WITHOUT_CLOCK = 2n ** 31n; // 2038; telehash-c has no more than 32 bits, which this leaves half of
