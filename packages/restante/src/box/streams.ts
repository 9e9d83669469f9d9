/**
 * The cache's end of `inbox`: streams the waiting messages of one box to its recipient, stays open, and streams what
 * comes later (X30). An unknown box, and one of somebody else, look like an empty one. protocol/box.md §6
 */
import type { Hashname } from "../crypto/index.ts";
import { packetRoom } from "../e3x/index.ts";
import { flag, type JsonObject } from "../wire/index.ts";
import { type ChannelEvent, type ChannelOpened, NOTHING } from "./channel.ts";
import { parseId, removedId } from "./ids.ts";
import type { BoxAnswer, PartOut } from "./operations.ts";

/** One `inbox` channel. */
interface Stream {
  readonly ch: number;
  readonly peer: Hashname;
  /** Absent: not the id of any box, or no cache is offered. */
  readonly box: string | undefined;
  credit: number;
  /** `cap`s that are owed: one for each removal, one each time there is nothing left to send. */
  caps: number;
  /** Up to where the box has been sent. Moves when the first packet of a message leaves. */
  cursor: number;
  /** Our copy of the message that is on its way. Finished even when the store loses it meanwhile. */
  message: { readonly bytes: Uint8Array; readonly cursor: number; offset: number } | undefined;
  isReading: boolean;
  /** Something was removed since the store was asked: its answer may be what was removed, so ask again. */
  isStale: boolean;
  /** There may be messages behind the cursor. */
  isFresh: boolean;
  /** A message came since the store was asked. */
  hasGained: boolean;
  isEnded: boolean;
}

/** The streams of one recipient's link. Few have a message in memory at once, the others wait for their turn. */
interface Link {
  readonly streams: Map<number, Stream>;
  readonly turns: Set<Stream>;
  readonly waiting: Set<Stream>;
}

/** A box that its recipient does not have open any more. */
export interface Unread {
  readonly peer: Hashname;
  /** Everything in it had been sent. */
  readonly isDry: boolean;
}

/** All `inbox` channels that others opened to us. */
export class Streams {
  readonly #cap: number;
  readonly #links = new Map<Hashname, Link>();
  readonly #peers = new Map<number, Hashname>();

  constructor(options: { readonly cap: number }) {
    this.#cap = options.cap;
  }

  /** Whether the recipient has this box open. */
  has(peer: Hashname, box: string): boolean {
    return this.#of(peer, box).length > 0;
  }

  opened(open: ChannelOpened): PartOut[] {
    const link = this.#links.get(open.peer) ?? { streams: new Map(), turns: new Set(), waiting: new Set() };
    this.#links.set(open.peer, link);
    this.#peers.set(open.ch, open.peer);
    const box = this.#cap > 0 ? parseId(open.head["box"]) : undefined;
    const stream: Stream = {
      ch: open.ch,
      peer: open.peer,
      box,
      credit: 0,
      caps: box === undefined ? 1 : 0,
      cursor: 0,
      message: undefined,
      isReading: false,
      isStale: false,
      isFresh: box !== undefined,
      hasGained: false,
      isEnded: false,
    };
    link.streams.set(open.ch, stream);
    const outs = this.packet(open);
    const standing = [...link.streams.values()].filter((one) => !one.isEnded);
    if (standing.length > MAX_STANDING) this.#end(standing.find(isIdle) ?? standing[0] ?? stream, outs);
    return outs;
  }

  packet(packet: { ch: number; head: JsonObject; body: Uint8Array }): PartOut[] {
    const stream = this.#get(packet.ch);
    if (stream === undefined) return [];
    const outs: PartOut[] = [{ type: "took", ch: packet.ch }];
    const { peer: recipient, box } = stream;
    const isClear = flag(packet.head, "clear");
    const id = removedId(packet.head, packet.body);
    if (!isClear && id === undefined) return outs;
    if (box !== undefined) {
      // Immediately: what was read but has not begun to leave does not leave any more (C55).
      for (const one of this.#of(recipient, box)) this.#recall(one);
      if (isClear) outs.push({ type: "store", request: { type: "clear", recipient, box } });
      else if (id !== undefined) outs.push({ type: "store", request: { type: "remove", recipient, box, id } });
    }
    stream.caps++;
    this.#pump(stream, outs);
    return outs;
  }

  writable(ch: number, credit: number): PartOut[] {
    const stream = this.#get(ch);
    const outs: PartOut[] = [];
    if (stream !== undefined) {
      stream.credit = credit;
      this.#pump(stream, outs);
    }
    return outs;
  }

  /** The store has a new message. `recipient` as text: the store does not know hashnames from other keys. */
  gained(recipient: string, box: string): PartOut[] {
    const outs: PartOut[] = [];
    for (const stream of this.#of(recipient as Hashname, box)) {
      stream.isFresh = true;
      stream.hasGained = true;
      this.#pump(stream, outs);
    }
    return outs;
  }

  /** The store's answer to a `read` for this channel. */
  read(ch: number, answer: Extract<BoxAnswer, { type: "message" | "dry" }>): PartOut[] {
    const outs: PartOut[] = [];
    const stream = this.#get(ch);
    if (stream?.isReading && !stream.isEnded) {
      stream.isReading = false;
      if (answer.type === "dry") {
        stream.isFresh = stream.hasGained;
        if (!stream.isFresh) stream.caps++;
        this.#giveTurn(stream, outs);
      } else if (stream.isStale) answer.bytes.fill(0);
      else stream.message = { bytes: answer.bytes, cursor: answer.cursor, offset: 0 };
      stream.isStale = false;
      this.#pump(stream, outs);
    } else if (answer.type === "message") answer.bytes.fill(0);
    return outs;
  }

  /** The other side ended or lost the channel. `unread`: whose box has one inbox less, and whether all of it was sent. */
  over(event: Extract<ChannelEvent, { type: "ended" | "closed" }>): { outs: PartOut[]; unread?: Unread } {
    const stream = this.#get(event.ch);
    if (stream === undefined) return { outs: [] };
    const unread = { peer: stream.peer, isDry: !stream.isFresh && stream.message === undefined };
    const outs: PartOut[] = [];
    if (event.type === "ended") this.#end(stream, outs);
    else {
      this.#stop(stream, outs);
      this.#peers.delete(event.ch);
      const link = this.#links.get(stream.peer);
      if (link?.streams.delete(event.ch) && link.streams.size === 0) this.#links.delete(stream.peer);
    }
    return { outs, unread };
  }

  down(peer: Hashname): void {
    const link = this.#links.get(peer);
    for (const stream of link?.streams.values() ?? []) {
      stream.message?.bytes.fill(0);
      this.#peers.delete(stream.ch);
    }
    this.#links.delete(peer);
  }

  #get(ch: number): Stream | undefined {
    const peer = this.#peers.get(ch);
    return peer === undefined ? undefined : this.#links.get(peer)?.streams.get(ch);
  }

  #of(peer: Hashname, box: string): Stream[] {
    const streams = this.#links.get(peer)?.streams.values() ?? [];
    return [...streams].filter((stream) => stream.box === box && !stream.isEnded);
  }

  /** Sends what may be sent now, and asks the store for the next message once there is room to send it. */
  #pump(stream: Stream, outs: PartOut[]): void {
    while (stream.credit > 0 && !stream.isEnded) {
      const hasBegun = stream.message !== undefined && stream.message.offset > 0;
      if (stream.caps > 0 && !hasBegun) {
        stream.caps--;
        stream.credit--;
        outs.push({ type: "send", ch: stream.ch, head: { cap: this.#cap }, body: NOTHING });
      } else if (stream.message !== undefined) this.#sendPart(stream, outs);
      else break;
    }
    const link = this.#links.get(stream.peer);
    if (link === undefined || stream.credit <= 0 || stream.isEnded || stream.box === undefined) return;
    if (stream.message !== undefined || stream.isReading || !stream.isFresh) return;
    if (!link.turns.has(stream) && link.turns.size >= MAX_TURNS) {
      link.waiting.add(stream);
      return;
    }
    link.turns.add(stream);
    stream.isReading = true;
    stream.hasGained = false;
    const request = { type: "read", recipient: stream.peer, box: stream.box, after: stream.cursor } as const;
    outs.push({ type: "store", request, ch: stream.ch });
  }

  #sendPart(stream: Stream, outs: PartOut[]): void {
    const { message } = stream;
    if (message === undefined) return;
    const { bytes, offset } = message;
    stream.cursor = message.cursor;
    stream.credit--;
    const left = bytes.length - offset;
    const isLast = left <= LAST_ROOM;
    // All but the last leave a byte over, so that no packet is without a part of the message (C50).
    const size = isLast ? left : Math.min(MIDDLE_ROOM, left - 1);
    message.offset += size;
    const body = bytes.slice(offset, message.offset);
    outs.push({ type: "send", ch: stream.ch, head: isLast ? LAST : MIDDLE, body });
    if (!isLast) return;
    bytes.fill(0);
    stream.message = undefined;
    this.#giveTurn(stream, outs);
  }

  /** The stream has no message in memory any more: another may have one. */
  #giveTurn(stream: Stream, outs: PartOut[]): void {
    const link = this.#links.get(stream.peer);
    if (link === undefined || !link.turns.delete(stream)) return;
    for (const next of link.waiting) {
      link.waiting.delete(next);
      this.#pump(next, outs);
      if (link.turns.size >= MAX_TURNS) return;
    }
  }

  #recall(stream: Stream): void {
    if (stream.isReading) stream.isStale = true;
    if (stream.message === undefined || stream.message.offset > 0) return;
    stream.message.bytes.fill(0);
    stream.message = undefined;
  }

  #end(stream: Stream, outs: PartOut[]): void {
    if (stream.isEnded) return;
    outs.push({ type: "send", ch: stream.ch, head: {}, body: NOTHING, end: true });
    this.#stop(stream, outs);
  }

  #stop(stream: Stream, outs: PartOut[]): void {
    stream.isEnded = true;
    stream.message?.bytes.fill(0);
    stream.message = undefined;
    this.#links.get(stream.peer)?.waiting.delete(stream);
    this.#giveTurn(stream, outs);
  }
}

function isIdle(stream: Stream): boolean {
  return !stream.isFresh && !stream.isReading && stream.message === undefined && stream.caps === 0;
}

const MAX_STANDING = 64; // X30: "at most 64 standing inboxes per link"
const MAX_TURNS = 8; // messages in memory per link: half a MiB at most
const LAST: JsonObject = { done: true };
const MIDDLE: JsonObject = {};
const LAST_ROOM = packetRoom(LAST, true);
const MIDDLE_ROOM = packetRoom(MIDDLE, true);
