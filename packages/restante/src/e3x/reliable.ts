/**
 * Reliable channels: numbered packets, acknowledgements of what the application took, lists of what is missing. The
 * two halves of one channel; they hold packets and times, and never see a channel id or a byte of the wire.
 * protocol/channels.md §5 and §6
 */
import { assert, type Time } from "../bytes/index.ts";
import type { Json, JsonObject } from "../wire/index.ts";
import { CongestionWindow, MAX_WINDOW } from "./window.ts";

/** A packet on its way out. `fields`: the application's head as JSON. */
export interface Outgoing {
  readonly fields: Uint8Array;
  readonly body: Uint8Array;
  readonly end: boolean;
  /** The application waits for its acknowledgement. */
  readonly asks?: boolean | undefined;
}

/** A packet that came in. */
export interface Incoming {
  readonly head: JsonObject;
  readonly body: Uint8Array;
  readonly end: boolean;
  /** Nothing but an end: there is nothing to hand to the application, and nothing for it to take. */
  readonly isBare: boolean;
  /** Bytes that holding it costs. */
  readonly size: number;
}

/** What a `miss` says beside its `ack`. */
export interface Miss {
  /** Missing seqs, none lower than the one before. */
  readonly seqs: readonly number[];
  /** How far beyond the acknowledged packet the receiver takes packets: its window. */
  readonly window: number;
}

/** The `miss` list: each seq as its distance from the one before (the first: from `ack`), last the limit `ack + window`. */
export function encodeMiss(ack: number, seqs: readonly number[], window: number): number[] {
  const deltas: number[] = [];
  let before = ack;
  for (const seq of seqs) {
    deltas.push(seq - before);
    before = seq;
  }
  deltas.push(ack + window - before);
  return deltas;
}

/** What a `miss` list says; `undefined` unless it is a list of 1 to 1024 whole numbers, each at most 2^32-1. */
export function parseMiss(ack: number, value: Json | undefined): Miss | undefined {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_MISS) return undefined;
  const list: readonly Json[] = value;
  const seqs: number[] = [];
  let seq = ack;
  for (const delta of list) {
    if (typeof delta !== "number" || !Number.isInteger(delta) || delta < 0 || delta > MAX_SEQ) return undefined;
    seq += delta;
    seqs.push(seq);
  }
  const limit = seqs.pop() ?? ack;
  return { seqs, window: limit - ack };
}

/**
 * Packets of ours until the peer has acknowledged them. What leaves and when: `next` while `hasNext`; what a timer is
 * needed for: `deadline` and `expire`.
 */
export class ReliableSender {
  // Seqs acked+1 to last, and before them some that were acknowledged. Not a map: its table would stay when all of them are gone,
  // and that is what most channels hold most of the time.
  readonly #packets: (Unacknowledged | undefined)[] = [];
  #gone = 0; // how many those are
  readonly #congestion: CongestionWindow;
  // Most channels lose nothing, and there are many: sets that nobody needs would cost more than all the rest of one.
  #reported: Set<number> | undefined; // to send again, now: the peer misses them or the timer asks
  #overdue: Set<number> | undefined; // to send again as the congestion window permits
  #acked = 0;
  #sent = 0; // the highest that left
  #last = 0; // the highest that the application gave
  #bytes = 0;
  #inFlight = 0; // left, unacknowledged, in none of the two sets
  #window = UNKNOWN_WINDOW;
  #deadline: Time | undefined; // defined exactly while something that left is unacknowledged
  #probes = 0; // timeouts since the last progress
  #probe: { readonly seq: number; readonly sent: number } | undefined; // the question that waits for an answer

  /** `isPaced`: as in `setPath`. */
  constructor(isPaced: boolean = false) {
    this.#congestion = new CongestionWindow(isPaced);
  }

  /** Packets that are not acknowledged, whether they left or not. */
  get unacked(): number {
    return this.#last - this.#acked;
  }

  /** The seq of the newest packet; 0: none yet. */
  get last(): number {
    return this.#last;
  }

  /** Bytes of the packets that are not acknowledged. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether something left and is not acknowledged. */
  get isWaiting(): boolean {
    return this.#sent > this.#acked;
  }

  /** How many packets more the application should give: one window, and a little that waits to fill it. */
  get credit(): number {
    return Math.max(0, Math.min(this.#congestion.size, this.#window) + QUEUED - this.unacked);
  }

  /** When to call `expire`. */
  get deadline(): Time | undefined {
    return this.#deadline;
  }

  get hasNext(): boolean {
    return this.#choose() !== undefined;
  }

  /** Packets leave on another path from now on. `isPaced`: what carries them there (TCP) bounds by itself what is under way. */
  setPath(isPaced: boolean): void {
    this.#congestion.setPath(isPaced);
  }

  /** Queues a packet under the next seq. */
  push(packet: Outgoing): void {
    assert(this.#last < MAX_SEQ, "a seq has 32 bits");
    this.#last++;
    this.#packets.push({ packet, sentAt: 0, sends: 0 });
    this.#bytes += sizeOf(packet);
  }

  /**
   * The packet that leaves now; `undefined`: none may. `asks`: we can go no further without an answer, or the packet
   * is worth a quick one, so an acknowledgement should be asked for.
   */
  next(now: Time): { seq: number; packet: Outgoing; asks: boolean } | undefined {
    const seq = this.#choose();
    if (seq === undefined) return undefined;
    if (!this.#isAgain(seq)) this.#sent = seq;
    const entry = this.#entry(seq);
    entry.sentAt = now;
    entry.sends++;
    this.#inFlight++;
    this.#deadline ??= now + RESEND_MS;
    const { end, asks: isAsked } = entry.packet;
    const asks = seq === 1 || end || isAsked === true || entry.sends > 1 || this.#isBlocked();
    return { seq, packet: entry.packet, asks };
  }

  /**
   * The peer's application took everything up to `ack`. Gives the number of packets that are acknowledged now and
   * were not before. An `ack` that is older than one seen, or of what never left, changes nothing.
   */
  acknowledge(ack: number, miss: Miss | undefined, now: Time): number {
    if (ack < this.#acked || ack > this.#sent) return 0;
    if (miss !== undefined) this.#window = Math.max(1, miss.window); // at 0 nobody would ever ask whether there is room
    const count = ack - this.#acked;
    if (count > 0) this.#release(ack, now);
    if (this.#probe !== undefined) this.#answered(this.#probe, now);
    for (const seq of miss?.seqs ?? []) this.#miss(seq, now);
    return count;
  }

  /** The deadline came: no progress for a while. Asks with the oldest packet; the answer tells what it means. */
  expire(now: Time): void {
    if (this.#deadline === undefined || this.#deadline > now) return;
    const seq = this.#acked + 1;
    // Where TCP brings everything, what is not acknowledged waits for a slow application or for a dead connection.
    const wait = this.#congestion.isPaced ? MAX_RESEND_MS : Math.min(RESEND_MS * 2 ** this.#probes, MAX_RESEND_MS);
    // A packet that waits for the path cannot be answered; one that left since, not yet.
    const at = this.#reported?.has(seq) ? now + wait : this.#entry(seq).sentAt + wait;
    if (at > now) {
      this.#deadline = at;
      return;
    }
    this.#probe = { seq, sent: this.#sent };
    this.#probes++;
    this.#report(seq);
    this.#deadline = now + Math.min(2 * wait, MAX_RESEND_MS);
  }

  #choose(): number | undefined {
    // A reported packet is no longer under way: sending it again does not add to what the path carries.
    if (this.#reported !== undefined) for (const seq of this.#reported) return seq;
    if (this.#inFlight >= this.#congestion.size) return undefined;
    if (this.#overdue !== undefined) for (const seq of this.#overdue) return seq;
    return this.#sent < Math.min(this.#last, this.#acked + this.#window) ? this.#sent + 1 : undefined;
  }

  /** Whether it was to be sent again; it is so no more. */
  #isAgain(seq: number): boolean {
    return this.#reported?.delete(seq) === true || this.#overdue?.delete(seq) === true;
  }

  #isBlocked(): boolean {
    return this.#inFlight >= this.#congestion.size || this.#sent >= this.#acked + this.#window;
  }

  #release(ack: number, now: Time): void {
    this.#congestion.acknowledged(ack - this.#acked, this.#inFlight);
    while (this.#acked < ack) {
      const seq = this.#acked + 1;
      this.#bytes -= sizeOf(this.#entry(seq).packet);
      this.#packets[this.#gone++] = undefined;
      this.#acked = seq;
      if (!this.#isAgain(seq)) this.#inFlight--;
    }
    this.#tidy();
    this.#probes = 0;
    this.#deadline = this.isWaiting ? now + RESEND_MS : undefined;
  }

  /** Nearly always all are gone, and then not even their places are kept. */
  #tidy(): void {
    if (this.#gone === this.#packets.length) this.#packets.length = 0;
    else if (this.#gone >= MOST_GONE) this.#packets.splice(0, this.#gone);
    else return;
    this.#gone = 0;
  }

  /**
   * The first acknowledgement after a timeout. If it covers the packet that we asked with, that one had been lost, and
   * so were probably all that left before and are still not acknowledged. If not, the packet waits for a slow
   * application over there: then nothing was lost, and nothing but the question is sent again.
   */
  #answered(probe: { seq: number; sent: number }, now: Time): void {
    this.#probe = undefined;
    if (this.#acked < probe.seq) return;
    let lost = false;
    for (let seq = this.#acked + 1; seq <= probe.sent; seq++) {
      if (this.#reported?.has(seq) || this.#overdue?.has(seq) || this.#entry(seq).sentAt > now - RESEND_MS) continue;
      this.#overdue ??= new Set();
      this.#overdue.add(seq);
      this.#inFlight--;
      lost = true;
    }
    if (lost) this.#congestion.collapsed(this.#sent);
  }

  #miss(seq: number, now: Time): void {
    const entry = this.#find(seq);
    if (entry === undefined || entry.sends === 0 || this.#reported?.has(seq)) return;
    // The same hole is reported again and again until the packet arrives: once a second is enough.
    if (entry.sends > 1 && entry.sentAt > now - RESEND_MS) return;
    this.#report(seq);
    this.#congestion.lost(seq, this.#sent);
  }

  #report(seq: number): void {
    if (this.#overdue?.delete(seq) !== true) this.#inFlight--;
    this.#reported ??= new Set();
    this.#reported.add(seq);
  }

  /** `undefined` for what is acknowledged, and what is not there yet. */
  #find(seq: number): Unacknowledged | undefined {
    return seq > this.#acked && seq <= this.#last ? this.#packets[this.#gone + seq - this.#acked - 1] : undefined;
  }

  #entry(seq: number): Unacknowledged {
    const entry = this.#find(seq);
    assert(entry !== undefined, "an unacknowledged packet is kept");
    return entry;
  }
}

/**
 * Packets of the peer: brought into order, and counted until the application took them. `deadline` is when an
 * acknowledgement must leave.
 */
export class ReliableReceiver {
  #early: Map<number, Incoming> | undefined; // beyond a hole; only while there are any
  readonly #sizes: number[] = []; // delivered, not taken, in order; and some that were taken, before:
  #gone = 0;
  #delivered = 0;
  #taken = 0;
  #highest = 0; // of the early ones
  #bytes = 0;
  #end = 0; // the seq of their end, once delivered
  #bareEnd = 0; // the same if it is bare: the application will not take it, so we do
  #acked = 0; // the last `ack` that left
  #asked = 0; // when this one is taken, the peer wants to know at once
  #isWindowTold = false;
  #deadline: Time | undefined;

  /** Bytes of packets that are held for order or are in the application's hands. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Everything up to here was taken by the application: what `ack` says. */
  get taken(): number {
    return this.#taken;
  }

  /** Packets that the application has and did not take. */
  get owed(): number {
    return this.#delivered - this.#taken;
  }

  /** Whether their end was delivered. */
  get isEnded(): boolean {
    return this.#end > 0;
  }

  /** Whether everything up to their end was taken, and an acknowledgement of that has left. */
  get isDrained(): boolean {
    return this.#end > 0 && this.#taken === this.#end && this.#acked === this.#end;
  }

  /** When an acknowledgement must leave. */
  get deadline(): Time | undefined {
    return this.#deadline;
  }

  /** Whether an acknowledgement must carry a `miss`: for holes, for a buffer more than half full, and once when the channel has become a long one. */
  get needsMiss(): boolean {
    const isUntold = !this.#isWindowTold && this.#taken >= TELL_WINDOW;
    return isUntold || this.#early !== undefined || this.owed * 2 > RECEIVE_WINDOW;
  }

  /** Whether this packet would be delivered at once. */
  isNext(seq: number): boolean {
    return seq === this.#delivered + 1;
  }

  /**
   * Takes in a packet and gives those that are in order now, each for the first and only time. `asks`: it came with an
   * `ack`, so its sender waits for one. `room`: bytes that may be held for it; without room it is dropped and will come
   * again. Copies what it holds back; a packet that is given at once is given as it came.
   */
  accept(seq: number, packet: Incoming, asks: boolean, room: number, now: Time): Incoming[] {
    const isNext = this.isNext(seq);
    this.#acknowledgeBy(asks && !isNext ? now : now + ACK_DELAY_MS);
    if (asks && isNext) this.#asked = seq;
    if (this.isEnded || seq <= this.#delivered || seq > this.#taken + RECEIVE_WINDOW) return [];
    if (this.#early?.has(seq) || packet.size > room || this.#bytes + packet.size > CHANNEL_BYTES) return [];
    this.#bytes += packet.size;
    if (!isNext) {
      this.#early ??= new Map();
      this.#early.set(seq, { ...packet, body: packet.body.slice() });
      this.#highest = Math.max(this.#highest, seq);
      return [];
    }
    const inOrder = [packet];
    this.#deliver(packet);
    while (this.#early !== undefined && !this.isEnded) {
      const next = this.#early.get(this.#delivered + 1);
      if (next === undefined) break;
      this.#early.delete(this.#delivered + 1);
      if (this.#early.size === 0) this.#early = undefined;
      this.#deliver(next);
      inOrder.push(next);
    }
    if (this.isEnded) this.#dropEarly();
    this.#takeBareEnd(now);
    return inOrder;
  }

  /** The application is done with the oldest packet it has. False: it has none. */
  take(now: Time): boolean {
    if (this.owed === 0) return false;
    this.#takeOne();
    this.#takeBareEnd(now);
    const isAsked = this.#asked > 0 && this.#taken >= this.#asked;
    const isDue = isAsked || this.#taken - this.#acked >= ACK_EVERY || this.#taken === this.#end;
    this.#acknowledgeBy(isDue ? now : now + ACK_DELAY_MS);
    return true;
  }

  /** We have ended too, so nothing will carry the acknowledgement of their end: it leaves alone once that is taken. */
  hurry(now: Time): void {
    if (this.#end > 0 && this.#taken === this.#end) this.#acknowledgeBy(now);
  }

  /** The `miss` that belongs to `taken`. */
  miss(): number[] {
    const seqs: number[] = [];
    if (this.#early !== undefined) {
      for (let seq = this.#delivered + 1; seq < this.#highest; seq++) if (!this.#early.has(seq)) seqs.push(seq);
    }
    return encodeMiss(this.#taken, seqs, RECEIVE_WINDOW);
  }

  /** An acknowledgement of `taken` leaves now, with or without a `miss`. */
  acknowledged(withMiss: boolean): void {
    this.#acked = this.#taken;
    this.#deadline = undefined;
    if (this.#taken >= this.#asked) this.#asked = 0;
    if (withMiss) this.#isWindowTold = true;
  }

  #deliver(packet: Incoming): void {
    const seq = ++this.#delivered;
    this.#sizes.push(packet.size);
    if (packet.end) this.#end = seq;
    if (packet.end && packet.isBare) this.#bareEnd = seq;
  }

  #takeBareEnd(now: Time): void {
    if (this.#bareEnd === 0 || this.#taken + 1 !== this.#bareEnd) return;
    this.#takeOne();
    this.#acknowledgeBy(now + ACK_DELAY_MS); // an end is mostly answered with an end, which carries it
  }

  #takeOne(): void {
    this.#taken++;
    this.#bytes -= this.#sizes[this.#gone++] ?? 0;
    if (this.#gone === this.#sizes.length) this.#sizes.length = 0;
    else if (this.#gone >= RECEIVE_WINDOW) this.#sizes.splice(0, this.#gone);
    else return;
    this.#gone = 0;
  }

  /** What is numbered beyond the end is rubbish. */
  #dropEarly(): void {
    for (const packet of this.#early?.values() ?? []) this.#bytes -= packet.size;
    this.#early = undefined;
  }

  #acknowledgeBy(at: Time): void {
    this.#deadline = Math.min(this.#deadline ?? at, at);
  }
}

interface Unacknowledged {
  readonly packet: Outgoing;
  sentAt: Time; // the last time; nothing while sends is 0
  sends: number;
}

function sizeOf(packet: Outgoing): number {
  return packet.fields.length + packet.body.length + PACKET_COST;
}

/** The highest seq (reliable.md, "seq"). */
export const MAX_SEQ = 0xffffffff;

const RECEIVE_WINDOW = MAX_WINDOW; // packets that are held back or not yet taken: the window that we tell
const CHANNEL_BYTES = 512 * 1024; // RECEIVE_WINDOW packets of the usual size cost half of it
const PACKET_COST = 128; // objects and map entries of a packet, roughly
const MOST_GONE = 64; // places of acknowledged packets that wait to be given up together
const QUEUED = 16; // enough to have the next packets at hand when an acknowledgement comes
const UNKNOWN_WINDOW = 50; // until the peer tells: the buffer of the smallest old implementation
const RESEND_MS = 1000; // reliable.md, "miss": once until at least one second has passed
const MAX_RESEND_MS = 4000; // nine attempts before the peer counts as gone (TIMEOUT_MS)
const ACK_DELAY_MS = 20; // see protocol/channels.md §5; the text permits up to 1000
const ACK_EVERY = 2; // packets taken; RFC 1122 §4.2.3.2
const TELL_WINDOW = 8; // packets taken: far from the 50 that a sender who was told nothing has under way at most
const MAX_MISS = 1024; // entries; more is no honest window
