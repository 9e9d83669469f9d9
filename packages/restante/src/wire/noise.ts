/**
 * A noise floor: one datagram at each tick of a fixed clock, in a fixed succession of sizes, whether anything is said or
 * not. A packet takes the place of noise where the succession comes to its size. protocol/cloaking.md §5
 */
import { assert, concat, type Machine, type Random, type Time } from "../bytes/index.ts";
import { ALL_ROUNDS, cloak, MAX_ROUNDS, NONCE_BYTES, type StreamCipher } from "./cloak.ts";

/** What is to be hidden in it, and time. */
export type NoiseFloorIn =
  /** Send this packet, not cloaked yet, when its size comes. The bytes are ours from now on. */
  { readonly type: "packet"; readonly packet: Uint8Array } | { readonly type: "tick" };

/** A datagram whose time has come, noise or not: `bytes` is all of it. Or a packet that does not fit. */
export type NoiseFloorOut =
  | { readonly type: "transmit"; readonly bytes: Uint8Array }
  /**
   * The packet just given cannot be hidden: no number of rounds brings it to a size of the floor ("size"), or too many
   * wait ("full"). Whether it is sent in the open is the caller's decision.
   */
  | { readonly type: "refused"; readonly packet: Uint8Array; readonly why: "size" | "full" };

/** The clock and the sizes of a floor. */
export interface NoiseFloorOptions {
  readonly cipher: StreamCipher;
  readonly random: Random;
  /** The size of the largest datagrams, 64 to 2048; the smallest have 7 bytes less. */
  readonly bytes: number;
  /** From one datagram to the next, in ms. */
  readonly everyMs: number;
  /** When the first one is due. */
  readonly start: Time;
  /** The most rounds that the other end takes: 32 unless given, at most 255. */
  readonly rounds?: number;
  /** Packets that may wait, 64 unless given. */
  readonly queue?: number;
}

/**
 * The sender of one floor. Whoever sees its datagrams alone learns neither when a packet was sent nor how long it was. Throws
 * (our bug) for options out of range.
 */
export class NoiseFloor implements Machine<NoiseFloorIn, NoiseFloorOut> {
  readonly #cipher: StreamCipher;
  readonly #random: Random;
  readonly #bytes: number;
  readonly #everyMs: number;
  readonly #rounds: number;
  readonly #queue: number;
  readonly #waiting: Uint8Array[] = [];
  #nextAt: Time;
  #less = 0; // how much smaller than the largest the next datagram is

  constructor(options: NoiseFloorOptions) {
    const { cipher, random, bytes, everyMs, start, rounds = MAX_ROUNDS, queue = QUEUE } = options;
    assert(Number.isInteger(bytes) && bytes >= MIN_BYTES && bytes <= MAX_BYTES, "a floor has 64 to 2048 bytes");
    assert(Number.isInteger(rounds) && rounds >= 1 && rounds <= ALL_ROUNDS, "a floor cloaks 1 to 255 times");
    assert(everyMs > 0, "a floor takes time");
    this.#cipher = cipher;
    this.#random = random;
    this.#bytes = bytes;
    this.#everyMs = everyMs;
    this.#rounds = rounds;
    this.#queue = queue;
    this.#nextAt = start;
  }

  handle(input: NoiseFloorIn, now: Time): NoiseFloorOut[] {
    if (input.type === "tick") return this.#tick(now);
    const { packet } = input;
    assert(packet[0] === 0, "a packet to be cloaked starts with a zero byte");
    if (!this.fits(packet.length)) return [{ type: "refused", packet, why: "size" }];
    if (this.#waiting.length >= this.#queue) return [{ type: "refused", packet, why: "full" }];
    this.#waiting.push(packet);
    return [];
  }

  deadline(): Time {
    return this.#nextAt;
  }

  /** Whether a packet of so many bytes can be brought to a size of the floor. */
  fits(length: number): boolean {
    const rounds = Math.floor((this.#bytes - length) / NONCE_BYTES);
    return rounds >= 1 && rounds <= this.#rounds;
  }

  /** How many packets wait. */
  get length(): number {
    return this.#waiting.length;
  }

  #tick(now: Time): NoiseFloorOut[] {
    // A clock set back must not silence us for longer than one period.
    this.#nextAt = Math.min(this.#nextAt, now + this.#everyMs);
    if (this.#nextAt > now) return [];
    // What a late tick missed is left out: a burst would tell how long we were away.
    this.#nextAt += this.#everyMs * (1 + Math.floor((now - this.#nextAt) / this.#everyMs));
    const size = this.#bytes - this.#less;
    this.#less = (this.#less + 1) % NONCE_BYTES;
    const place = this.#waiting.findIndex((packet) => (size - packet.length) % NONCE_BYTES === 0);
    const [packet] = place < 0 ? [] : this.#waiting.splice(place, 1);
    return [{ type: "transmit", bytes: packet === undefined ? this.#noise(size) : this.#grow(packet, size) }];
  }

  #grow(packet: Uint8Array, size: number): Uint8Array {
    return cloak(this.#cipher, packet, this.#random, (size - packet.length) / NONCE_BYTES);
  }

  /** A channel packet for an exchange that nobody has: its receiver looks the token up and drops it. */
  #noise(size: number): Uint8Array {
    const rounds = 1 + ((this.#random(1)[0] ?? 0) % NOISE_ROUNDS);
    const body = this.#random(size - rounds * NONCE_BYTES - EMPTY_HEAD.length);
    return cloak(this.#cipher, concat(EMPTY_HEAD, body), this.#random, rounds);
  }
}

const MIN_BYTES = 64; // 7 less, 4 rounds, and there is still a whole token in the noise
const MAX_BYTES = 2048; // protocol/exchange.md §7: longer frames are dropped
const QUEUE = 64;
const NOISE_ROUNDS = 4; // protocol/cloaking.md §2: what is usual
const EMPTY_HEAD = new Uint8Array(2);
