/**
 * What stands between a path's bytes and packets: chunks on streams, and the cloak. Each path is answered as it
 * speaks. protocol/chunking.md, protocol/cloaking.md, protocol/exchange.md §7
 */
import type { Random, Time } from "../bytes/index.ts";
import { isStream, type Path, pathKey } from "../card/index.ts";
import {
  type CloakLayers,
  cloak,
  countChunks,
  Dechunker,
  decloakInPlace,
  encodeChunks,
  type StreamCipher,
} from "../wire/index.ts";

/** A packet as it came from a path, in `bytes` from `at` to their end. `rounds` 0: it was not cloaked. */
export interface Unwrapped {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly rounds: number;
}

interface Speech {
  readonly key: string;
  isRemembered: boolean;
  dechunker: Dechunker | undefined; // streams have one
  isGuess: boolean; // what it holds was given out, for it may be a whole packet
  isHeard: boolean; // since it was opened last, if it is a stream
  lead: number; // since then: packets that came, less the chunks that we sent
  isPlain: boolean; // peers were heard here, and never with a cloak
  wasCloaked: boolean;
  owed: { readonly path: Path; readonly at: Time } | undefined; // while it is among those
}

export class Framing {
  readonly #cipher: StreamCipher;
  readonly #layers: CloakLayers | undefined;
  readonly #random: Random;
  readonly #cloak: boolean;
  readonly #paths = new Map<string, Speech>(); // the least recently used first
  readonly #byPath = new WeakMap<Path, Speech>(); // of streams: a connection has one object
  /** Where a lone zero chunk is due, unless something else is sent there before; the first first. */
  readonly #owed = new Set<Speech>();
  #owedAt: Time | undefined; // none of them is due before
  // Of the last packet in and the last one out: a path is mostly the very object that it was before.
  #from: { readonly path: Path; readonly speech: Speech } | undefined;
  #to: { readonly path: Path; readonly speech: Speech | undefined } | undefined;

  /** `cloak`: whether we cloak where nobody has spoken yet, but for paths that are marked `compat`. */
  constructor(options: { cipher: StreamCipher; layers?: CloakLayers | undefined; random: Random; cloak: boolean }) {
    this.#cipher = options.cipher;
    this.#layers = options.layers;
    this.#random = options.random;
    this.#cloak = options.cloak;
  }

  /**
   * The packets in a datagram or a piece of a stream; in place of each that is none, `undefined`. Never throws. The bytes
   * may be overwritten, and packets be views of them.
   * `rounds`: the most that are undone, 32 unless given.
   */
  unwrap(path: Path, bytes: Uint8Array, rounds?: number): (Unwrapped | undefined)[] {
    if (!isStream(path)) return [this.#open(bytes, rounds)];
    return this.#dechunk(this.#speech(path), bytes).map((packet) => this.#open(packet, rounds));
  }

  #open(packet: Uint8Array, rounds: number | undefined): Unwrapped | undefined {
    return packet.length > FRAME_BYTES ? undefined : decloakInPlace(this.#cipher, packet, rounds, this.#layers);
  }

  /**
   * The bytes for the wire of a packet of ours, which stands in `bytes` from `free` to the end. If that is not 0 all of them
   * may be overwritten, since nobody else reads them.
   */
  wrap(path: Path, bytes: Uint8Array, free: number = 0): Uint8Array {
    const onStream = isStream(path);
    // The counts of chunks show what more rounds would hide. protocol/cloaking.md §2
    const rounds = onStream && isChannelPacket(bytes, free) ? 1 : undefined;
    const place = { layers: this.#layers, free };
    const plain = (): Uint8Array => (free === 0 ? bytes : bytes.subarray(free));
    const packet = this.cloaks(path) ? cloak(this.#cipher, bytes, this.#random, rounds, place) : plain();
    const left = bytes.length - packet.length; // negative: it stands elsewhere now
    return onStream ? this.#chunked(path, packet, Math.max(left, 0)) : packet;
  }

  /**
   * Whether the one on this stream may wait for a chunk of ours. Old C peers never send a packet before they have seen a
   * chunk since the one before. So who is far ahead of what we said is none of them. (Far, since some of what we said may
   * have been forgotten here.)
   */
  waits(path: Path): boolean {
    return this.#speech(path).lead <= MOST_LEAD;
  }

  /** Something came that cannot be from one who waits for a chunk: a zero chunk has time, and comes by `due` if at all. */
  owe(path: Path, now: Time): void {
    const speech = this.#speech(path);
    if (this.#owed.has(speech)) return;
    speech.owed = { path, at: now + ANSWER_MS };
    if (this.#owed.size === 0) this.#owedAt = speech.owed.at;
    this.#owed.add(speech);
  }

  /** When to call `due`; it may turn out that there is nothing. */
  deadline(): Time | undefined {
    return this.#owed.size === 0 ? undefined : this.#owedAt;
  }

  /** Where a zero chunk has had its time, and nothing else was sent meanwhile. */
  due(now: Time): Path[] {
    const paths: Path[] = [];
    for (const speech of this.#owed) {
      const { owed } = speech;
      this.#owedAt = owed?.at;
      if (owed === undefined || owed.at > now) break;
      this.#owed.delete(speech);
      paths.push(owed.path);
    }
    return paths;
  }

  /** A lone zero chunk. */
  acknowledgement(path: Path): Uint8Array {
    return this.#chunked(path, NOTHING, 0);
  }

  /** Whether we cloak there, as it is now. */
  cloaks(path: Path): boolean {
    const known = this.#known(path);
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
    speech.lead = 0;
    this.#owed.delete(speech);
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
    if (speech.lead <= MOST_LEAD) speech.lead += packets.length;
    const { isInChunk, unended } = dechunker;
    const isOneMore = unended.length > 1 && unended.length % FRAGMENT_BYTES === 1;
    speech.isGuess = bytes.length > 0 && !isInChunk && isOneMore && unended[0] === 0;
    return speech.isGuess ? [...packets, unended.slice()] : packets;
  }

  #chunked(path: Path, packet: Uint8Array, free: number): Uint8Array {
    const known = this.#known(path);
    if (known !== undefined && known.lead <= MOST_LEAD) known.lead -= countChunks(packet);
    if (known !== undefined && this.#owed.size > 0) this.#owed.delete(known);
    return encodeChunks(packet, 0, free);
  }

  #begin(speech: Speech): void {
    speech.dechunker = new Dechunker(FRAME_BYTES);
    speech.isGuess = false;
  }

  /** As `#speech`, for what is sent: it changes nothing. */
  #known(path: Path): Speech | undefined {
    if (this.#to?.path !== path) this.#to = { path, speech: this.#find(path) ?? this.#paths.get(pathKey(path)) };
    return this.#to.speech;
  }

  #speech(path: Path): Speech {
    if (this.#from?.path === path) return this.#from.speech; // it is the most recently used one
    const found = this.#find(path);
    const key = found?.key ?? pathKey(path);
    const speech = found ?? this.#paths.get(key) ?? this.#first(path, key);
    this.#paths.delete(key);
    this.#paths.set(key, speech);
    if (found === undefined && isStream(path)) this.#byPath.set(path, speech);
    this.#from = { path, speech };
    return speech;
  }

  #find(path: Path): Speech | undefined {
    const found = this.#byPath.get(path);
    return found?.isRemembered === true ? found : undefined;
  }

  /** What is not known yet of a path; there is room for it then. */
  #first(path: Path, key: string): Speech {
    this.#to = undefined; // it may be the one, or the one that goes
    const oldest = this.#paths.values().next().value;
    if (this.#paths.size >= PATHS && oldest !== undefined) {
      this.#paths.delete(oldest.key);
      this.#owed.delete(oldest);
      oldest.isRemembered = false;
    }
    return {
      key,
      isRemembered: true,
      dechunker: isStream(path) ? new Dechunker(FRAME_BYTES) : undefined,
      isGuess: false,
      isHeard: false,
      lead: 0,
      isPlain: false,
      wasCloaked: false,
      owed: undefined,
    };
  }
}

/** Without a HEAD, as only channel packets are. */
function isChannelPacket(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 0 && bytes[at + 1] === 0;
}

const MOST_LEAD = 64; // packets
const ANSWER_MS = 100; // for what is not waited for
const NOTHING = new Uint8Array(0);
const PATHS = 4096; // a stream holds up to 4 KiB; a server's connections are limited by its transport before
const FRAGMENT_BYTES = 255; // of a whole chunk
const FRAME_BYTES = 2048; // 1400 of a packet, the rest for rounds of cloaking at 8 bytes each
