/** The `at` values of this peer: always higher, also after a restart and with a clock set back. protocol/exchange.md §4 */
import type { Time } from "../bytes/index.ts";

export class Sequence {
  #last: bigint; // the highest that may have been used
  #reserved: bigint; // what the store knows: all up to here may have been used
  #isSaved = true;
  #block = FIRST_BLOCK;

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
    const seconds = secondsOf(now);
    const ordinary = even(seconds > this.#last ? seconds : this.#last + 1n);
    const next = ordinary > above ? ordinary : even(above + 1n);
    if (next === ordinary || next <= this.#horizon(seconds)) this.#count(next + 1n);
    return next;
  }

  /**
   * A peer's number is about to be echoed: from then on it was used, too, and what we give to that peer in a later life is
   * above it. Whoever starts anew with less is answered only where they are known to be, and may be elsewhere by then. Not
   * beyond what a clock can be wrong by: an echo costs the other end nothing.
   */
  saw(at: bigint, now: Time): void {
    if (at > this.#last && at <= byClock(secondsOf(now))) this.#count(at);
  }

  /** What must be durable before the numbers given or seen since are used: 8 bytes, big-endian. `undefined`: nothing new. */
  unsaved(): Uint8Array | undefined {
    if (this.#isSaved) return undefined;
    this.#isSaved = true;
    const value = new Uint8Array(BYTES);
    new DataView(value.buffer).setBigUint64(0, this.#reserved);
    return value;
  }

  /** The highest number that others may move ours to. */
  #horizon(seconds: bigint): bigint {
    const byCount = this.#last + STEP;
    return byClock(seconds) > byCount ? byClock(seconds) : byCount;
  }

  #count(last: bigint): void {
    this.#last = last;
    if (last <= this.#reserved || last + this.#block > MAX) return;
    this.#reserved = last + this.#block;
    if (this.#block < LAST_BLOCK) this.#block *= 2n;
    this.#isSaved = false;
  }
}

function secondsOf(now: Time): bigint {
  return BigInt(Math.max(0, Math.floor(now / 1000)));
}

/** The highest number that can come of a clock. One that is certainly wrong says nothing about those of others. */
function byClock(seconds: bigint): bigint {
  return seconds < EARLIEST ? WITHOUT_CLOCK : seconds + AHEAD;
}

function even(number: bigint): bigint {
  return number + (number & 1n);
}

const BYTES = 8;
const MAX = 2n ** 64n - 1n;
// A life begins above all that the one before had reserved. Who starts often must not run away from the clock, for all
// others follow: so a short life reserves little, and a long one saves once in four minutes of handshakes.
const FIRST_BLOCK = 16n;
const LAST_BLOCK = 256n;
const AHEAD = 2n ** 20n; // seconds: 12 days between two clocks
const STEP = 16n; // a few handshakes of the other side, where both are ahead of all clocks
const EARLIEST = 1_577_836_800n; // 2020
const WITHOUT_CLOCK = 2n ** 31n; // 2038; telehash-c has no more than 32 bits, which this leaves half of
