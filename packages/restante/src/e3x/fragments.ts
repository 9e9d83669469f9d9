/**
 * Fragments: an inner packet that is too large for a store, carried as the BODY of several messages and put together
 * again, under bounds of bytes, number and time. protocol/fragments.md
 */
import { concat, type Machine, type Time, toHex } from "../bytes/index.ts";
import type { Backend, Hashname } from "../crypto/index.ts";
import { Dechunker, encodeChunks, encodePacket, type Packet, parsePacket, text, uint } from "../wire/index.ts";

/** One piece of a packet, as an inner packet says it. */
export interface MessageFragment {
  /** What all fragments of the packet have in common: 16 bytes in hex. */
  readonly id: string;
  /** Which one it is, from 0. */
  readonly n: number;
  /** How many there are, 2 to 1024. */
  readonly of: number;
  /** A part of the packet's chunks, at least one byte. A view of the parsed bytes. */
  readonly piece: Uint8Array;
}

/** How much of unfinished packets is kept. Each packet counts 512 bytes and each fragment 128 besides its own. */
export interface FragmentLimits {
  /** Bytes for one sender: a packet that needs more is given up. */
  readonly senderBytes: number;
  readonly totalBytes: number;
  /** Packets of one sender; one more, and the oldest is forgotten. */
  readonly senderPackets: number;
  readonly totalPackets: number;
  /** How long after its first fragment a packet is forgotten, in ms. */
  readonly keepMs: number;
}

/** Inner packets as they come, and time: what does not become whole is forgotten. */
export type FragmentsIn =
  /** An inner packet of a sender who is proven. The bytes may be used again. */
  { readonly type: "message"; readonly sender: Hashname; readonly inner: Uint8Array } | { readonly type: "tick" };

/** Packets that are whole, and no part of one. */
export type FragmentsOut =
  /**
   * An inner packet: the one just given, when it was no fragment (`id` undefined), or one whose last fragment that was.
   * Only now may its fragments be removed from where they are stored.
   */
  {
    readonly type: "packet";
    readonly sender: Hashname;
    readonly inner: Uint8Array;
    readonly id: string | undefined;
  };

/**
 * The inner packets, each of at most `size` bytes, that carry this one: itself when it fits, else 2 to 1024 fragments, to
 * be sealed each as a message of its own. Equal arguments give equal bytes. `undefined` when it would take more of them,
 * when `size` leaves no room for a piece (some 80 bytes do), and for a packet that is a fragment.
 */
export function splitPacket(backend: Backend, inner: Uint8Array, size: number): Uint8Array[] | undefined {
  if (inner.length <= size) return [inner];
  const packet = parsePacket(inner);
  if (packet !== undefined && isFragment(packet)) return undefined;
  const id = idOf(backend, inner);
  const stream = encodeChunks(inner);
  const room = size - encodePacket({ type: TYPE, id, n: MAX_FRAGMENTS, of: MAX_FRAGMENTS }).length;
  const of = Math.ceil(stream.length / room);
  if (room < 1 || of > MAX_FRAGMENTS) return undefined;
  return Array.from({ length: of }, (_, n) =>
    encodePacket({ type: TYPE, id, n, of }, stream.subarray(n * room, (n + 1) * room)),
  );
}

/** The fragment that an inner packet is; `undefined` when it is none, or not one that can be used. Never throws. */
export function parseMessageFragment(inner: Uint8Array): MessageFragment | undefined {
  const packet = parsePacket(inner);
  if (packet === undefined || !isFragment(packet)) return undefined;
  const { json, body: piece } = packet;
  const [id, n, of] = [text(json, "id"), uint(json, "n"), uint(json, "of", MAX_FRAGMENTS)];
  if (id === undefined || n === undefined || of === undefined) return undefined;
  return ID.test(id) && of >= 2 && n < of && piece.length > 0 ? { id, n, of, piece } : undefined;
}

/** A packet of which some fragments are there. */
interface Assembly {
  readonly key: string;
  readonly holder: Holder;
  began: Time;
  readonly pieces: Map<number, Uint8Array>;
  bytes: number;
  /** Given out, or given up: kept for its time, so that a repeated fragment begins nothing. */
  isOver: boolean;
}

/** What one sender holds. */
interface Holder {
  readonly sender: Hashname;
  readonly assemblies: Set<Assembly>; // the oldest first
  bytes: number;
}

/** Puts packets together. Fragments may come in any order, more than once, and not at all; senders are never mixed. */
export class Fragments implements Machine<FragmentsIn, FragmentsOut> {
  readonly #backend: Backend;
  readonly #limits: FragmentLimits;
  readonly #assemblies = new Map<string, Assembly>(); // the oldest first
  readonly #holders = new Map<Hashname, Holder>();
  #bytes = 0;
  #now: Time = Number.NEGATIVE_INFINITY;

  constructor(backend: Backend, limits: Partial<FragmentLimits> = {}) {
    this.#backend = backend;
    this.#limits = { ...FRAGMENT_LIMITS, ...limits };
  }

  /** How many bytes are kept, with what each packet and fragment counts besides. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How many packets are kept, also those that are over. */
  get size(): number {
    return this.#assemblies.size;
  }

  handle(input: FragmentsIn, now: Time): FragmentsOut[] {
    this.#expire(now);
    if (input.type === "tick") return [];
    const { sender, inner } = input;
    const packet = parsePacket(inner);
    if (packet === undefined || !isFragment(packet)) return [{ type: "packet", sender, inner, id: undefined }];
    const fragment = parseMessageFragment(inner);
    const whole = fragment && this.#add(sender, fragment, now);
    return whole === undefined ? [] : [{ type: "packet", sender, inner: whole, id: fragment?.id }];
  }

  deadline(): Time | undefined {
    const [oldest] = this.#assemblies.values();
    return oldest && oldest.began + this.#limits.keepMs;
  }

  /** The whole packet with its last fragment. */
  #add(sender: Hashname, fragment: MessageFragment, now: Time): Uint8Array | undefined {
    const { id, n, of, piece } = fragment;
    // Who splits a packet anew cuts it elsewhere: the two sets of fragments have nothing to do with each other.
    const key = `${sender} ${id} ${of}`;
    const assembly = this.#assemblies.get(key) ?? this.#begin(key, sender, now);
    if (assembly === undefined || assembly.isOver || assembly.pieces.has(n)) return undefined;
    const cost = piece.length + FRAGMENT_COST;
    if (assembly.bytes + cost > this.#limits.senderBytes) return this.#end(assembly);
    if (!this.#makeRoom(assembly.holder, cost, 0, assembly)) return undefined;
    assembly.pieces.set(n, piece.slice());
    this.#charge(assembly, cost);
    if (assembly.pieces.size < of) return undefined;
    const whole = join(assembly.pieces, of);
    const packet = whole && parsePacket(whole);
    const isRight = whole !== undefined && idOf(this.#backend, whole) === id && !(packet && isFragment(packet));
    if (isRight) this.#end(assembly);
    else this.#forget(assembly);
    return isRight ? whole : undefined;
  }

  #begin(key: string, sender: Hashname, now: Time): Assembly | undefined {
    const holder = this.#holders.get(sender) ?? { sender, assemblies: new Set(), bytes: 0 };
    if (!this.#makeRoom(holder, PACKET_COST, 1)) return undefined;
    const assembly = { key, holder, began: now, pieces: new Map(), bytes: 0, isOver: false };
    this.#assemblies.set(key, assembly);
    this.#holders.set(sender, holder); // again: making room may have emptied it
    holder.assemblies.add(assembly);
    this.#charge(assembly, PACKET_COST);
    return assembly;
  }

  /**
   * Whether so much more may be kept for a sender, whose oldest packets are forgotten for it. When it is too much in all,
   * who holds most gives way, so that nobody can crowd out the others; `keep` stays in any case.
   */
  #makeRoom(holder: Holder, bytes: number, packets: number, keep?: Assembly): boolean {
    const { senderBytes, totalBytes, senderPackets, totalPackets } = this.#limits;
    while (holder.bytes + bytes > senderBytes || holder.assemblies.size + packets > senderPackets) {
      if (!this.#forgetOldest(holder, keep)) return false;
    }
    for (;;) {
      const isBytes = this.#bytes + bytes > totalBytes;
      if (!isBytes && this.#assemblies.size + packets <= totalPackets) return true;
      const amount = (of: Holder): number => (isBytes ? of.bytes : of.assemblies.size);
      const most = [...this.#holders.values()].reduce(
        (one, other) => (amount(other) > amount(one) ? other : one),
        holder,
      );
      const wouldHoldMost = amount(holder) + (isBytes ? bytes : packets) > amount(most);
      if (!this.#forgetOldest(wouldHoldMost ? holder : most, keep)) return false;
    }
  }

  #forgetOldest(holder: Holder, keep: Assembly | undefined): boolean {
    for (const assembly of holder.assemblies) {
      if (assembly === keep) continue;
      this.#forget(assembly);
      return true;
    }
    return false;
  }

  /** Keeps nothing of it but that it was there. */
  #end(assembly: Assembly): undefined {
    assembly.isOver = true;
    assembly.pieces.clear();
    this.#charge(assembly, PACKET_COST - assembly.bytes);
  }

  #forget(assembly: Assembly): void {
    const { holder } = assembly;
    this.#charge(assembly, -assembly.bytes);
    this.#assemblies.delete(assembly.key);
    holder.assemblies.delete(assembly);
    if (holder.assemblies.size === 0) this.#holders.delete(holder.sender);
  }

  #charge(assembly: Assembly, bytes: number): void {
    assembly.bytes += bytes;
    assembly.holder.bytes += bytes;
    this.#bytes += bytes;
  }

  #expire(now: Time): void {
    // A clock set back must keep nothing longer.
    if (now < this.#now) for (const one of this.#assemblies.values()) one.began = Math.min(one.began, now);
    this.#now = now;
    for (const assembly of this.#assemblies.values()) {
      if (assembly.began + this.#limits.keepMs > now) return;
      this.#forget(assembly);
    }
  }
}

/** The one packet whose chunks these pieces hold. */
function join(pieces: ReadonlyMap<number, Uint8Array>, of: number): Uint8Array | undefined {
  const stream = concat(...Array.from({ length: of }, (_, n) => pieces.get(n) ?? new Uint8Array(0)));
  const dechunker = new Dechunker(stream.length);
  const [packet, ...more] = dechunker.push(stream);
  return more.length === 0 && dechunker.idle && dechunker.acks === 0 ? packet : undefined;
}

function isFragment(packet: Packet): boolean {
  return text(packet.json, "type") === TYPE;
}

function idOf(backend: Backend, inner: Uint8Array): string {
  return toHex(backend.sha256(inner).subarray(0, ID_BYTES));
}

const TYPE = "fragment"; // protocol/fragments.md §1
const ID_BYTES = 16;
const ID = /^[0-9a-f]{32}$/;
const MAX_FRAGMENTS = 1024;
// What Node needs for an entry and its keys, rounded up: so that many small things cost what they take.
const PACKET_COST = 512;
const FRAGMENT_COST = 128;
/** What is kept unless something else is said. protocol/fragments.md §3 */
export const FRAGMENT_LIMITS: FragmentLimits = {
  senderBytes: 1024 * 1024,
  totalBytes: 16 * 1024 * 1024,
  senderPackets: 16,
  totalPackets: 1024,
  keepMs: 60 * 60 * 1000,
};
