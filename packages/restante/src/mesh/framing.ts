/**
 * What stands between a path's bytes and packets: chunks on streams, and the cloak. Each path is answered as it
 * speaks. protocol/chunking.md, protocol/cloaking.md, protocol/exchange.md §7
 */
import type { Random } from "../bytes/index.ts";
import { isStream, type Path, pathKey } from "../card/index.ts";
import { cloak, Dechunker, decloak, encodeChunks, type StreamCipher, type StreamCipherInto } from "../wire/index.ts";

/** A packet as it came from a path. `rounds` 0: it was not cloaked. */
export interface Unwrapped {
  readonly packet: Uint8Array;
  readonly rounds: number;
}

interface Speech {
  dechunker: Dechunker | undefined; // streams have one
  isGuess: boolean; // what it holds was given out, for it may be a whole packet
  isHeard: boolean; // since it was opened last, if it is a stream
  isPlain: boolean; // peers were heard here, and never with a cloak
  wasCloaked: boolean;
}

export class Framing {
  readonly #cipher: StreamCipher;
  readonly #into: StreamCipherInto | undefined;
  readonly #random: Random;
  readonly #cloak: boolean;
  readonly #paths = new Map<string, Speech>(); // the least recently used first

  /** `cloak`: whether we cloak where nobody has spoken yet, but for paths that are marked `compat`. */
  constructor(options: { cipher: StreamCipher; into?: StreamCipherInto | undefined; random: Random; cloak: boolean }) {
    this.#cipher = options.cipher;
    this.#into = options.into;
    this.#random = options.random;
    this.#cloak = options.cloak;
  }

  /**
   * The packets in a datagram or a piece of a stream; in place of each that is none, `undefined`. Never throws. The bytes
   * may be overwritten, and packets be views of them.
   * `rounds`: the most that are undone, 32 unless given.
   */
  unwrap(path: Path, bytes: Uint8Array, rounds?: number): (Unwrapped | undefined)[] {
    const framed = isStream(path) ? this.#dechunk(this.#speech(path), bytes) : [bytes];
    return framed.map((packet) =>
      packet.length > FRAME_BYTES ? undefined : decloak(this.#cipher, packet, rounds, this.#into),
    );
  }

  /** The bytes for the wire of a packet of ours. */
  wrap(path: Path, packet: Uint8Array): Uint8Array {
    const bytes = this.cloaks(path) ? cloak(this.#cipher, packet, this.#random, undefined, this.#into) : packet;
    return isStream(path) ? encodeChunks(bytes) : bytes;
  }

  /** Whether we cloak there, as it is now. */
  cloaks(path: Path): boolean {
    const known = this.#paths.get(pathKey(path));
    return !known?.isPlain && (known?.wasCloaked === true || !(path.compat || !this.#cloak));
  }

  /** A packet from this path was verified. Unverified ones change nothing: nobody can talk us out of our cloak. */
  heard(path: Path, rounds: number): void {
    const speech = this.#speech(path);
    speech.isHeard = true;
    speech.wasCloaked ||= rounds > 0;
    speech.isPlain = !speech.wasCloaked;
    if (speech.isGuess) this.#begin(speech);
  }

  /** A connection came or went: half of a packet is of no use any more. How the peer there speaks is. */
  restart(path: Path): void {
    const speech = this.#paths.get(pathKey(path));
    if (speech === undefined || !isStream(path)) return;
    speech.isHeard = false;
    this.#begin(speech);
  }

  /** Whether an old peer is there: something without a cloak was verified, on a stream since it was opened. */
  isOld(path: Path): boolean {
    const known = this.#paths.get(pathKey(path));
    return known?.isHeard === true && known.isPlain;
  }

  /** How many paths are remembered. */
  get size(): number {
    return this.#paths.size;
  }

  /**
   * Old C peers leave out the chunk that ends a packet when its last fragment is a single byte, and say nothing more until
   * they see a chunk of ours. So what stands like this is given out too, and if it turns out to be verified, it was all.
   * If not, it goes on as it should; nothing is lost, and what is cloaked is not from such a peer.
   */
  #dechunk(speech: Speech, bytes: Uint8Array): Uint8Array[] {
    const { dechunker } = speech;
    if (dechunker === undefined) return [];
    const packets = dechunker.push(bytes);
    const { isInChunk, unended } = dechunker;
    const isOneMore = unended.length > 1 && unended.length % FRAGMENT_BYTES === 1;
    speech.isGuess = bytes.length > 0 && !isInChunk && isOneMore && unended[0] === 0;
    return speech.isGuess ? [...packets, unended.slice()] : packets;
  }

  #begin(speech: Speech): void {
    speech.dechunker = new Dechunker(FRAME_BYTES);
    speech.isGuess = false;
  }

  #speech(path: Path): Speech {
    const key = pathKey(path);
    const speech = this.#paths.get(key) ?? {
      dechunker: isStream(path) ? new Dechunker(FRAME_BYTES) : undefined,
      isGuess: false,
      isHeard: false,
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
const FRAGMENT_BYTES = 255; // of a whole chunk
const FRAME_BYTES = 2048; // 1400 of a packet, the rest for rounds of cloaking at 8 bytes each
