/**
 * The noise floors of a mesh: one for each address at which a peer with a link has proven to be. What is said there
 * waits for its place on the floor. protocol/cloaking.md §5, §6
 */
import { assert, Budget, Deadlines, type Random, Shares, type Time } from "../bytes/index.ts";
import { isRelayed, isStream, type Path, pathKey } from "../card/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { ALL_ROUNDS, MAX_ROUNDS, NoiseFloor, type NoiseFloorOut, type StreamCipher } from "../wire/index.ts";

/** What a noise floor looks like, and so what it costs: `bytes` each `everyMs`, for each link, day and night. */
export interface Noise {
  /** The size of the largest datagrams, 64 to 2048. Over 1400 they may be cut up or lost on the way. */
  readonly bytes: number;
  /** From one datagram to the next, 10 to 1000 ms. A packet waits for up to eight of them, and longer behind others. */
  readonly everyMs: number;
  /**
   * How many bytes smaller than the datagrams a packet may be, in eights: 1 to 255, 32 unless given. More than 32 only
   * where all peers have noise too: others cannot read it.
   */
  readonly rounds?: number;
}

/** What is wrong with it, in words for who set it; `undefined`: nothing. */
export function noiseProblem({ bytes, everyMs, rounds }: Noise): string | undefined {
  if (!isWithin(bytes, 64, 2048)) return "a noise floor has datagrams of 64 to 2048 bytes";
  if (!isWithin(everyMs, 10, 1000)) return "a noise floor sends every 10 to 1000 ms";
  if (rounds !== undefined && !isWithin(rounds, 1, 255)) return "a noise floor cloaks 1 to 255 times";
  return undefined;
}

/** What decides whether there is a floor: a `Link`. */
interface Linked {
  readonly state: string;
  readonly path: Path | undefined;
  readonly isProven: boolean;
}

interface Floor {
  readonly path: Path;
  readonly machine: NoiseFloor;
  readonly peers: Set<Hashname>; // several may be behind one address
}

export class Floors {
  readonly #options: FloorsOptions;
  readonly #queue: number;
  readonly #floors = new Map<string, Floor>(); // by path
  readonly #places = new Map<Hashname, { readonly path: Path; readonly key: string }>();
  readonly #deadlines = new Deadlines<string>();
  readonly #depths: Shares<string> = new Shares({
    common: new Budget(DEEP_PER_SECOND),
    share: () => new Budget(DEEP_OF_ONE),
    limit: DEEP_ADDRESSES,
  });

  /** `cloaks`: whether what we send there is cloaked. It is asked again and again. `noise` must have no problem. */
  constructor(options: FloorsOptions) {
    assert(noiseProblem(options.noise) === undefined, "a noise floor keeps to its limits");
    this.#options = options;
    // Longer queues do not make the floor faster, they only make everybody wait.
    const longest = Math.floor(WAIT_MS / (SIZES * options.noise.everyMs));
    this.#queue = Math.min(Math.max(longest, LEAST_QUEUE), MOST_QUEUE);
  }

  /** How many there are: never more than links that were followed and are up. */
  get size(): number {
    return this.#floors.size;
  }

  /**
   * This link may have changed: its floor is where it is up now, at an address that is no stream, where the peer has
   * proven to be (or else anybody's address could be flooded) and where we cloak; otherwise it has none. What waits on a
   * floor that ends is lost.
   */
  follow(peer: Hashname, { state, path, isProven }: Linked, now: Time): void {
    const place = state === "up" && isProven && this.#suits(path) ? path : undefined;
    const former = this.#places.get(peer);
    if (former?.path === place) return; // most inputs change nothing
    const key = place && pathKey(place);
    if (former !== undefined && former.key !== key) this.#leave(peer, former.key);
    if (place === undefined || key === undefined) return;
    this.#places.set(peer, { path: place, key });
    const floor = this.#floors.get(key) ?? this.#create(place, key, now);
    floor.peers.add(peer);
  }

  /** Whether nothing but a proof of where the peer is keeps it from having a floor. */
  needsProof({ state, path, isProven }: Linked): boolean {
    return state === "up" && !isProven && this.#suits(path);
  }

  /**
   * Takes a packet, which starts with a zero byte: then nothing is sent but by `tick`. `false`: there is no floor, or
   * it cannot hide a packet of this size. When too many wait it is taken and dropped, as a narrow path would do. Half of
   * the room is for our own packets alone, not for those that we pass on.
   */
  take(path: Path, packet: Uint8Array, isOurs: boolean, now: Time): boolean {
    const machine = this.#floors.get(pathKey(path))?.machine;
    if (machine?.fits(packet.length) !== true) return false;
    if (machine.length >= (isOurs ? this.#queue : this.#queue / 2)) return true;
    // A copy: the packet may be a piece of something larger, which must not be kept for as long as it waits.
    return machine.handle({ type: "packet", packet: packet.slice() }, now).length === 0;
  }

  /** The datagrams that are due, as they go over the wire: at most one for each floor. */
  tick(now: Time): { readonly type: "transmit"; readonly path: Path; readonly bytes: Uint8Array }[] {
    return this.#deadlines.due(now).flatMap((key) => {
      const floor = this.#floors.get(key);
      if (floor === undefined) return [];
      const { machine, path } = floor;
      const out = machine.handle({ type: "tick" }, now).flatMap((effect) => asTransmit(effect, path));
      this.#deadlines.set(key, machine.deadline());
      return out;
    });
  }

  deadline(): Time | undefined {
    return this.#deadlines.next();
  }

  /**
   * How many rounds are undone of a datagram from this address of a link. All of them, which is dear, and anybody can put
   * that address on a datagram: so when many were dear lately, no more than of a stranger's.
   */
  depth(path: Path, now: Time): number {
    return this.#depths.has(pathKey(path), now) ? ALL_ROUNDS : MAX_ROUNDS;
  }

  /** So many rounds were undone of a datagram from there; `undefined`: all that it could have. */
  wasRead(path: Path, rounds: number | undefined, now: Time): void {
    if (rounds === undefined || rounds > MAX_ROUNDS) this.#depths.take(pathKey(path), now);
  }

  #suits(path: Path | undefined): boolean {
    return path !== undefined && !isRelayed(path) && !isStream(path) && this.#options.cloaks(path);
  }

  #create(path: Path, key: string, now: Time): Floor {
    const { cipher, random, noise } = this.#options;
    // Not at once: who makes a link come and go must not get more datagrams by it.
    const start = now + noise.everyMs;
    const machine = new NoiseFloor({ cipher, random, ...noise, start, queue: this.#queue });
    const floor: Floor = { path, machine, peers: new Set() };
    this.#floors.set(key, floor);
    this.#deadlines.set(key, machine.deadline());
    return floor;
  }

  #leave(peer: Hashname, key: string): void {
    this.#places.delete(peer);
    const floor = this.#floors.get(key);
    floor?.peers.delete(peer);
    if (floor === undefined || floor.peers.size > 0) return;
    this.#floors.delete(key);
    this.#deadlines.set(key, undefined);
  }
}

export interface FloorsOptions {
  readonly cipher: StreamCipher;
  readonly random: Random;
  readonly noise: Noise;
  readonly cloaks: (path: Path) => boolean;
}

function asTransmit(effect: NoiseFloorOut, path: Path): { type: "transmit"; path: Path; bytes: Uint8Array }[] {
  return effect.type === "transmit" ? [{ type: "transmit", path, bytes: effect.bytes }] : [];
}

function isWithin(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}

const DEEP_PER_SECOND = 200; // datagrams from all addresses, of 1 ms each in portable JavaScript
const DEEP_OF_ONE = 10; // and as many from each besides
const DEEP_ADDRESSES = 64;
const SIZES = 8; // protocol/cloaking.md §5: a packet's size comes with every eighth datagram
const WAIT_MS = 16_000; // if all that wait have one size, the last one's turn comes by then: half of what a handshake has
const LEAST_QUEUE = 8;
const MOST_QUEUE = 64;
