/**
 * Messages put together from packets, under a bound: per message, per peer, per recipient and in all (X20). protocol/box.md §5
 */
import type { Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { NOTHING } from "./channel.ts";

/** How many bytes of unfinished messages are kept. */
export interface AssemblyLimits {
  readonly perPeer: number;
  /** For one recipient, whoever they are from. Absent: not bounded, as where all are for ourselves. */
  readonly perRecipient?: number;
  readonly inAll: number;
}

/** The room that all assemblies of a role share. */
export class AssemblyRoom {
  readonly #limits: AssemblyLimits;
  readonly #perPeer = new Map<Hashname, number>();
  readonly #perRecipient = new Map<Hashname, Pool>();
  readonly #all: Pool;

  constructor(limits: AssemblyLimits) {
    this.#limits = limits;
    this.#all = new Pool(limits.inAll);
  }

  /** Bytes of unfinished messages at the moment. */
  get bytes(): number {
    return this.#all.bytes;
  }

  /** Whether `bytes` more may be kept for this message. Room is made only by one that has stopped growing. */
  take(assembly: Assembly, bytes: number, now: Time): boolean {
    const { peer, recipient } = assembly;
    if ((this.#perPeer.get(peer) ?? 0) + bytes > this.#limits.perPeer) return false;
    const own = recipient && (this.#perRecipient.get(recipient) ?? new Pool(this.#limits.perRecipient ?? Infinity));
    // The recipient's first: who fills a pool of his own takes nothing from that of the others.
    if (own?.makeRoom(assembly, bytes, now) === false && !own.takeFromRichest(peer, bytes)) return false;
    if (!this.#all.makeRoom(assembly, bytes, now) && !this.#takeFromRichest((own?.bytes ?? 0) + bytes, bytes))
      return false;
    this.#perPeer.set(peer, (this.#perPeer.get(peer) ?? 0) + bytes);
    this.#all.add(assembly, bytes, now);
    own?.add(assembly, bytes, now);
    if (recipient !== undefined && own !== undefined) this.#perRecipient.set(recipient, own);
    return true;
  }

  /**
   * Makes room for a recipient that would then have `share`, at the cost of whoever has most, as long as that is more. So
   * no recipient keeps the others out with messages that grow for ever.
   */
  #takeFromRichest(share: number, bytes: number): boolean {
    while (this.#all.bytes + bytes > this.#limits.inAll) {
      let richest: Pool | undefined;
      for (const pool of this.#perRecipient.values()) if (pool.bytes > (richest?.bytes ?? share)) richest = pool;
      if (richest === undefined) return false;
      richest.stalest()?.skip();
    }
    return true;
  }

  /** The assembly keeps nothing any more. */
  release(assembly: Assembly, bytes: number): void {
    const { peer, recipient } = assembly;
    if (!this.#all.drop(assembly, bytes)) return;
    const left = (this.#perPeer.get(peer) ?? 0) - bytes;
    if (left > 0) this.#perPeer.set(peer, left);
    else this.#perPeer.delete(peer);
    const own = recipient && this.#perRecipient.get(recipient);
    own?.drop(assembly, bytes);
    if (recipient !== undefined && own?.bytes === 0) this.#perRecipient.delete(recipient);
  }
}

/** Unfinished messages under one bound. */
class Pool {
  bytes = 0;
  readonly #limit: number;
  /** When each last grew, the stalest first. */
  readonly #unfinished = new Map<Assembly, Time>();
  /** Those of each peer, the stalest first. */
  readonly #byPeer = new Map<Hashname, { bytes: number; readonly unfinished: Set<Assembly> }>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  makeRoom(assembly: Assembly, bytes: number, now: Time): boolean {
    for (const [stalest, at] of this.#unfinished) {
      if (this.bytes + bytes <= this.#limit || at + STALE_MS > now || stalest === assembly) break;
      stalest.skip();
    }
    return this.bytes + bytes <= this.#limit;
  }

  /** Makes room for a peer at the cost of the one that has most here, as long as that is more than it would then have itself. */
  takeFromRichest(peer: Hashname, bytes: number): boolean {
    const share = (this.#byPeer.get(peer)?.bytes ?? 0) + bytes;
    while (this.bytes + bytes > this.#limit) {
      let richest: { bytes: number; readonly unfinished: Set<Assembly> } | undefined;
      for (const each of this.#byPeer.values()) if (each.bytes > (richest?.bytes ?? share)) richest = each;
      const [stalest] = richest?.unfinished ?? [];
      if (stalest === undefined) return false;
      stalest.skip();
    }
    return true;
  }

  stalest(): Assembly | undefined {
    const [stalest] = this.#unfinished.keys();
    return stalest;
  }

  add(assembly: Assembly, bytes: number, now: Time): void {
    this.bytes += bytes;
    this.#unfinished.delete(assembly);
    this.#unfinished.set(assembly, now);
    const own = this.#byPeer.get(assembly.peer) ?? { bytes: 0, unfinished: new Set() };
    this.#byPeer.set(assembly.peer, own);
    own.bytes += bytes;
    own.unfinished.delete(assembly);
    own.unfinished.add(assembly);
  }

  drop(assembly: Assembly, bytes: number): boolean {
    if (!this.#unfinished.delete(assembly)) return false;
    this.bytes -= bytes;
    const own = this.#byPeer.get(assembly.peer);
    if (own !== undefined) own.bytes -= bytes;
    if (own?.unfinished.delete(assembly) && own.unfinished.size === 0) this.#byPeer.delete(assembly.peer);
    return true;
  }
}

/** The message in progress on one channel. Too long, or no room: its packets are dropped up to its end. */
export class Assembly {
  readonly peer: Hashname;
  /** Absent: for ourselves. */
  readonly recipient: Hashname | undefined;
  readonly #room: AssemblyRoom;
  readonly #array: (length: number) => Uint8Array;
  // One buffer that doubles, not a list of parts: packets of one byte must not cost a hundred each.
  #buffer: Uint8Array = NOTHING;
  #size = 0;
  #isSkipping = false;

  /** `array`: where messages of one packet are copied to; arrays of their own unless given. */
  constructor(
    room: AssemblyRoom,
    peer: Hashname,
    options: { readonly recipient?: Hashname | undefined; readonly array?: (length: number) => Uint8Array } = {},
  ) {
    this.#room = room;
    this.peer = peer;
    this.recipient = options.recipient;
    this.#array = options.array ?? ((length) => new Uint8Array(length));
  }

  /** Whether a message has begun and is being kept. */
  get isUnfinished(): boolean {
    return this.#size > 0;
  }

  /**
   * Adds a copy of the body; gives the whole message (the caller's own) with its last packet, unless it is empty. `isGiven`: nobody
   * else has the body, so that a message of one packet need not be copied.
   */
  push(body: Uint8Array, isLast: boolean, now: Time, isGiven = false): Uint8Array | undefined {
    // Most messages: nothing is kept of them here, so they need no room.
    if (isLast && this.#size === 0 && !this.#isSkipping && body.length <= MAX_MESSAGE_BYTES) {
      if (body.length === 0) return undefined;
      if (isGiven) return body;
      const message = this.#array(body.length);
      message.set(body);
      return message;
    }
    if (!this.#isSkipping && body.length > 0) {
      if (this.#size + body.length > MAX_MESSAGE_BYTES || !this.#room.take(this, body.length, now)) this.skip();
      else this.#append(body);
    }
    if (!isLast) return undefined;
    const whole = this.#size > 0 ? this.#buffer.slice(0, this.#size) : undefined;
    this.clear();
    return whole;
  }

  /** Forgets the message in progress; what follows begins a new one. */
  clear(): void {
    if (this.#size > 0) this.#room.release(this, this.#size);
    this.#buffer.fill(0); // a cache archives nothing, not even on the heap
    this.#buffer = NOTHING;
    this.#size = 0;
    this.#isSkipping = false;
  }

  /** Forgets the message in progress and what is still to come of it. */
  skip(): void {
    this.clear();
    this.#isSkipping = true;
  }

  #append(body: Uint8Array): void {
    const size = this.#size + body.length;
    if (size > this.#buffer.length) {
      const larger = new Uint8Array(Math.min(MAX_MESSAGE_BYTES, Math.max(size, 2 * this.#buffer.length)));
      larger.set(this.#buffer);
      this.#buffer.fill(0);
      this.#buffer = larger;
    }
    this.#buffer.set(body, this.#size);
    this.#size = size;
  }
}

/** The longest message that a box takes: DESIGN "Constants". */
export const MAX_MESSAGE_BYTES: number = 64 * 1024;
const STALE_MS = 10_000; // half the resend schedule: whoever is silent for longer has lost the link or does not want one
