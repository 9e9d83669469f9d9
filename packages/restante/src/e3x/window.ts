/**
 * How much a reliable channel has under way: slow start and AIMD, counted in packets (RFC 5681 in small), so that
 * bulk leaves room for others on the path. protocol/channels.md §6
 */

/** The congestion window of one direction of one channel. */
export class CongestionWindow {
  #size = INITIAL_WINDOW;
  #threshold = MAX_WINDOW;
  #progress = 0; // acknowledged since the last step of additive increase
  #recoverUntil = 0; // losses up to this seq belong to a loss that was answered already

  #isPaced: boolean;

  /** `isPaced`: as in `setPath`. */
  constructor(isPaced: boolean = false) {
    this.#isPaced = isPaced;
    if (isPaced) this.#size = MAX_WINDOW;
  }

  /** Whether what carries the packets bounds by itself what is under way. */
  get isPaced(): boolean {
    return this.#isPaced;
  }

  /** How many packets may be under way without an acknowledgement: 4 to 128. */
  get size(): number {
    return this.#size;
  }

  /** Packets go another way now. `isPaced`: what carries them there (TCP) bounds by itself what is under way. */
  setPath(isPaced: boolean): void {
    this.#isPaced = isPaced;
    this.#size = isPaced ? MAX_WINDOW : Math.min(this.#size, INITIAL_WINDOW);
    this.#threshold = MAX_WINDOW;
    this.#progress = 0;
  }

  /** `count` packets were acknowledged for the first time, of `inFlight` that were under way. */
  acknowledged(count: number, inFlight: number): void {
    if (inFlight * 2 < this.#size) return; // the window was not what held us back: nothing is known about a larger one
    if (this.#size < this.#threshold) {
      this.#size = Math.min(this.#size + count, this.#threshold);
      return;
    }
    this.#progress += count;
    if (this.#progress < this.#size || this.#size === MAX_WINDOW) return;
    this.#progress = 0;
    this.#size++;
  }

  /** The packet `seq` was lost while `sent` was the highest that had left. Shrinks, once for all losses of one flight. */
  lost(seq: number, sent: number): void {
    if (seq <= this.#recoverUntil) return;
    this.#shrink(sent);
    this.#size = this.#threshold;
  }

  /** A whole flight up to `sent` was lost: start again from little. */
  collapsed(sent: number): void {
    this.#shrink(sent);
    this.#size = MIN_WINDOW;
  }

  #shrink(sent: number): void {
    this.#recoverUntil = sent;
    this.#threshold = Math.max(Math.floor(this.#size * DECREASE), MIN_WINDOW);
    this.#progress = 0;
  }
}

/** No more than this is ever under way: what our own receivers hold, see RECEIVE_WINDOW. */
export const MAX_WINDOW = 128;

const INITIAL_WINDOW = 16; // about RFC 6928 (10) with room for a mail of 16 KiB in one round trip
const DECREASE = 0.7; // RFC 9438 §4.6: gentler than a half, since one channel has no more than 128 packets to fill a path
const MIN_WINDOW = 4; // fewer would wait for the delayed acknowledgement of each pair
