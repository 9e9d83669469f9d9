/**
 * Messages put together from packets, under a bound: per message, per peer and in all (X20). protocol/box.md §5
 */
import type { Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { NOTHING } from "./channel.ts";

/** How many bytes of unfinished messages are kept. */
export interface AssemblyLimits {
  readonly perPeer: number;
  readonly inAll: number;
}

/** The room that all assemblies of a role share. */
export class AssemblyRoom {
  readonly #limits: AssemblyLimits;
  readonly #perPeer = new Map<Hashname, number>();
  /** When each unfinished message last grew, the stalest first. */
  readonly #unfinished = new Map<Assembly, Time>();
  #inAll = 0;

  constructor(limits: AssemblyLimits) {
    this.#limits = limits;
  }

  /** Bytes of unfinished messages at the moment. */
  get bytes(): number {
    return this.#inAll;
  }

  /** Whether `bytes` more may be kept for this peer's message. Room is made only by one that has stopped growing. */
  take(assembly: Assembly, bytes: number, now: Time): boolean {
    const held = this.#perPeer.get(assembly.peer) ?? 0;
    if (held + bytes > this.#limits.perPeer) return false;
    for (const [stalest, at] of this.#unfinished) {
      if (this.#inAll + bytes <= this.#limits.inAll || at + STALE_MS > now || stalest === assembly) break;
      stalest.skip();
    }
    if (this.#inAll + bytes > this.#limits.inAll) return false;
    this.#inAll += bytes;
    this.#perPeer.set(assembly.peer, (this.#perPeer.get(assembly.peer) ?? 0) + bytes);
    this.#unfinished.delete(assembly);
    this.#unfinished.set(assembly, now);
    return true;
  }

  /** The assembly keeps nothing any more. */
  release(assembly: Assembly, bytes: number): void {
    if (!this.#unfinished.delete(assembly)) return;
    this.#inAll -= bytes;
    const left = (this.#perPeer.get(assembly.peer) ?? 0) - bytes;
    if (left > 0) this.#perPeer.set(assembly.peer, left);
    else this.#perPeer.delete(assembly.peer);
  }
}

/** The message in progress on one channel. Too long, or no room: its packets are dropped up to its end. */
export class Assembly {
  readonly peer: Hashname;
  readonly #room: AssemblyRoom;
  // One buffer that doubles, not a list of parts: packets of one byte must not cost a hundred each.
  #buffer: Uint8Array = NOTHING;
  #size = 0;
  #isSkipping = false;

  constructor(room: AssemblyRoom, peer: Hashname) {
    this.#room = room;
    this.peer = peer;
  }

  /** Whether a message has begun and is being kept. */
  get isUnfinished(): boolean {
    return this.#size > 0;
  }

  /** Adds a copy of the body; gives the whole message (the caller's own) with its last packet, unless it is empty. */
  push(body: Uint8Array, isLast: boolean, now: Time): Uint8Array | undefined {
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
