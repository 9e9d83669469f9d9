/**
 * What stands between a path's bytes and packets: chunks on streams, and the cloak. Each path is answered as it
 * speaks. protocol/chunking.md, protocol/cloaking.md, protocol/exchange.md §7
 */
import type { Random } from "../bytes/index.ts";
import { isStream, type Path, pathKey } from "../card/index.ts";
import { cloak, Dechunker, decloak, encodeChunks, type StreamCipher } from "../wire/index.ts";

/** A packet as it came from a path. `rounds` 0: it was not cloaked. */
export interface Unwrapped {
  readonly packet: Uint8Array;
  readonly rounds: number;
}

interface Speech {
  dechunker: Dechunker | undefined; // streams have one
  isPlain: boolean; // peers were heard here, and never with a cloak
  wasCloaked: boolean;
}

export class Framing {
  readonly #cipher: StreamCipher;
  readonly #random: Random;
  readonly #cloak: boolean;
  readonly #paths = new Map<string, Speech>(); // the least recently used first

  /** `cloak`: whether we cloak where nobody has spoken yet. */
  constructor(options: { cipher: StreamCipher; random: Random; cloak: boolean }) {
    this.#cipher = options.cipher;
    this.#random = options.random;
    this.#cloak = options.cloak;
  }

  /** The packets in a datagram or a piece of a stream; in place of each that is none, `undefined`. Never throws. */
  unwrap(path: Path, bytes: Uint8Array): (Unwrapped | undefined)[] {
    const framed = isStream(path) ? (this.#speech(path).dechunker?.push(bytes) ?? []) : [bytes];
    return framed.map((packet) => (packet.length > FRAME_BYTES ? undefined : decloak(this.#cipher, packet)));
  }

  /** The bytes for the wire of a packet of ours. */
  wrap(path: Path, packet: Uint8Array): Uint8Array {
    const known = this.#paths.get(pathKey(path));
    const isPlain = known?.isPlain || (!this.#cloak && !known?.wasCloaked);
    const bytes = isPlain ? packet : cloak(this.#cipher, packet, this.#random);
    return isStream(path) ? encodeChunks(bytes) : bytes;
  }

  /** A packet from this path was verified. Unverified ones change nothing: nobody can talk us out of our cloak. */
  heard(path: Path, rounds: number): void {
    const speech = this.#speech(path);
    speech.wasCloaked ||= rounds > 0;
    speech.isPlain = !speech.wasCloaked;
  }

  /** A connection came or went: half of a packet is of no use any more. How the peer there speaks is. */
  restart(path: Path): void {
    const speech = this.#paths.get(pathKey(path));
    if (speech !== undefined && isStream(path)) speech.dechunker = new Dechunker(FRAME_BYTES);
  }

  /** How many paths are remembered. */
  get size(): number {
    return this.#paths.size;
  }

  #speech(path: Path): Speech {
    const key = pathKey(path);
    const speech = this.#paths.get(key) ?? {
      dechunker: isStream(path) ? new Dechunker(FRAME_BYTES) : undefined,
      isPlain: false,
      wasCloaked: false,
    };
    this.#paths.delete(key);
    const oldest = this.#paths.keys().next().value;
    if (this.#paths.size >= PATHS && oldest !== undefined) this.#paths.delete(oldest);
    this.#paths.set(key, speech);
    return speech;
  }
}

const PATHS = 4096; // a stream holds up to 4 KiB; a server's connections are limited by its transport before
const FRAME_BYTES = 2048; // 1400 of a packet, the rest for rounds of cloaking at 8 bytes each
