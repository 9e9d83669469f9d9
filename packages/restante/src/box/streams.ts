/**
 * The cache's end of `inbox`: streams the waiting messages of one box to its recipient, stays open, and streams what
 * comes later (X30). An unknown box, and one of somebody else, look like an empty one. protocol/box.md §6
 */
import { pairsHex } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { packetRoom } from "../e3x/index.ts";
import { flag, type JsonObject, uint } from "../wire/index.ts";
import { type ChannelEvent, type ChannelOpened, NOTHING } from "./channel.ts";
import { ID_BYTES, IDS_PER_PACKET, idWords, parseId, removedId } from "./ids.ts";
import { packMany, sizeInMany } from "./many.ts";
import type { BoxAnswer, PartOut } from "./operations.ts";

/** One `inbox` channel. */
interface Stream {
  readonly ch: number;
  readonly link: Link;
  /** Absent: not the id of any box, or no cache is offered. */
  readonly box: string | undefined;
  /** The most messages that the recipient takes in one packet. */
  readonly many: number;
  credit: number;
  /** Something was sent: what we can do has been said. */
  hasSpoken: boolean;
  /** `cap`s that are owed: one for each packet that removes, one each time there is nothing left to send. */
  caps: number;
  /** Up to where the box has been sent. Moves when the first packet of a message leaves. */
  cursor: number;
  /** Our copy of the message that is on its way. Finished even when the store loses it meanwhile. */
  message: { readonly bytes: Uint8Array; offset: number } | undefined;
  isReading: boolean;
  /** The open packet is not acknowledged: what is read for it carries that, unless something else comes or leaves first. */
  owesOpen: boolean;
  /** How many messages went into a packet lately: what is asked of the store should be what can leave. */
  perPacket: number;
  /** What was removed since the store was asked: the answer may hold it. `true`: anything. */
  removed: Set<string> | true | undefined;
  /** There may be messages behind the cursor. */
  isFresh: boolean;
  /** A message came since the store was asked. */
  hasGained: boolean;
  isEnded: boolean;
}

/** The streams of one recipient's link. Few have a message in memory at once, the others wait for their turn. */
interface Link {
  readonly peer: Hashname;
  readonly streams: Map<number, Stream>;
  /** Those that have not ended, by their box. */
  readonly byBox: Map<string, readonly Stream[]>;
  readonly turns: Set<Stream>;
  readonly waiting: Set<Stream>;
}

/** The head of a packet, and the room that it leaves. */
interface Head {
  readonly head: JsonObject;
  readonly room: number;
}

/** Those of the packets of messages. `dry`: the box has run dry with it. */
interface MessageHeads {
  readonly middle: Head;
  readonly last: Head;
  readonly lastDry: Head;
  readonly many: Head;
  readonly manyDry: Head;
  readonly cap: JsonObject;
}

/** A box that its recipient does not have open any more. */
export interface Unread {
  readonly peer: Hashname;
  /** Everything in it had been sent. */
  readonly isDry: boolean;
}

/** All `inbox` channels that others opened to us. */
export class Streams {
  readonly #first: MessageHeads;
  readonly #later: MessageHeads;
  readonly #isOffered: boolean;
  readonly #links = new Map<Hashname, Link>();
  readonly #streams = new Map<number, Stream>();

  constructor(options: { readonly cap: number }) {
    this.#later = headsOf({}, options.cap);
    this.#first = headsOf({ ids: IDS_PER_PACKET }, options.cap);
    this.#isOffered = options.cap > 0;
  }

  /** Whether the recipient has this box open. */
  has(peer: Hashname, box: string): boolean {
    return this.#links.get(peer)?.byBox.has(box) === true;
  }

  opened(open: ChannelOpened): PartOut[] {
    const link = this.#link(open.peer);
    const box = this.#isOffered ? parseId(open.head["box"]) : undefined;
    const stream: Stream = {
      ch: open.ch,
      link,
      box,
      many: uint(open.head, "many") ?? 1,
      credit: 0,
      hasSpoken: false,
      caps: box === undefined ? 1 : 0,
      cursor: 0,
      message: undefined,
      isReading: false,
      owesOpen: true,
      perPacket: 1,
      removed: undefined,
      isFresh: box !== undefined,
      hasGained: false,
      isEnded: false,
    };
    this.#streams.set(open.ch, stream);
    link.streams.set(open.ch, stream);
    if (box !== undefined) link.byBox.set(box, [...(link.byBox.get(box) ?? []), stream]);
    const outs: PartOut[] = [];
    if (box === undefined) acknowledgeOpen(stream, outs);
    this.#remove(stream, open, outs);
    const standing = [...link.streams.values()].filter((one) => !one.isEnded);
    if (standing.length > MAX_STANDING) this.#end(standing.find(isIdle) ?? standing[0] ?? stream, outs);
    return outs;
  }

  packet(packet: { ch: number; head: JsonObject; body: Uint8Array }): PartOut[] {
    const stream = this.#streams.get(packet.ch);
    if (stream === undefined) return [];
    const outs: PartOut[] = [];
    acknowledgeOpen(stream, outs);
    outs.push({ type: "took", ch: packet.ch });
    this.#remove(stream, packet, outs);
    return outs;
  }

  /** What a packet asks to remove. */
  #remove(stream: Stream, packet: { head: JsonObject; body: Uint8Array }, outs: PartOut[]): void {
    const { box } = stream;
    const { peer: recipient } = stream.link;
    const isClear = flag(packet.head, "clear");
    const one = isClear ? undefined : removedId(packet.head, packet.body);
    const many = isClear || one !== undefined ? undefined : removedIds(packet.head, packet.body);
    if (!isClear && one === undefined && many === undefined) return;
    if (box !== undefined) {
      // Immediately: what was read but has not begun to leave does not leave any more (C55).
      for (const reader of stream.link.byBox.get(box) ?? []) {
        if (isClear) recall(reader, undefined);
        if (one !== undefined) recall(reader, one);
        if (many !== undefined) recallAll(reader, many);
      }
      if (isClear) outs.push({ type: "store", request: { type: "clear", recipient, box } });
      if (one !== undefined) outs.push({ type: "store", request: { type: "remove", recipient, box, id: one } });
      if (many !== undefined) outs.push({ type: "store", request: { type: "remove-many", recipient, box, ids: many } });
    }
    stream.caps++;
    this.#pump(stream, outs);
  }

  writable(ch: number, credit: number): PartOut[] {
    const stream = this.#streams.get(ch);
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
    for (const stream of this.#links.get(recipient as Hashname)?.byBox.get(box) ?? []) {
      stream.isFresh = true;
      stream.hasGained = true;
      this.#pump(stream, outs);
    }
    return outs;
  }

  /** The store's answer to a `read` for this channel. */
  read(ch: number, answer: Extract<BoxAnswer, { type: "message" | "dry" }>): PartOut[] {
    const outs: PartOut[] = [];
    const stream = this.#streams.get(ch);
    const messages = answer.type === "message" ? [answer, ...(answer.more ?? [])] : [];
    if (!stream?.isReading || stream.isEnded) {
      for (const { bytes } of messages) bytes.fill(0);
      return outs;
    }
    const { removed } = stream;
    stream.isReading = false;
    stream.removed = undefined;
    acknowledgeOpen(stream, outs);
    if (answer.type === "dry") this.#dry(stream);
    this.#sendCaps(stream, outs);
    const isLast = answer.type === "message" && answer.isLast === true;
    this.#sendMessages(stream, messages, removed, isLast, outs);
    // While there is credit, all of these have left, and the `cap` leaves with them.
    if (isLast && removed !== true && stream.isFresh && stream.credit > 0) this.#dry(stream);
    if (stream.message === undefined) this.#giveTurn(stream, outs);
    this.#pump(stream, outs);
    return outs;
  }

  /** The other side ended or lost the channel. `unread`: whose box has one inbox less, and whether all of it was sent. */
  over(event: Extract<ChannelEvent, { type: "ended" | "closed" }>): { outs: PartOut[]; unread?: Unread } {
    const stream = this.#streams.get(event.ch);
    if (stream === undefined) return { outs: [] };
    const { link } = stream;
    const unread = { peer: link.peer, isDry: !stream.isFresh && stream.message === undefined };
    const outs: PartOut[] = [];
    if (event.type === "ended") this.#end(stream, outs);
    else {
      this.#stop(stream, outs);
      this.#streams.delete(event.ch);
      if (link.streams.delete(event.ch) && link.streams.size === 0) this.#links.delete(link.peer);
    }
    return { outs, unread };
  }

  down(peer: Hashname): void {
    const link = this.#links.get(peer);
    for (const stream of link?.streams.values() ?? []) {
      stream.message?.bytes.fill(0);
      this.#streams.delete(stream.ch);
    }
    this.#links.delete(peer);
  }

  #link(peer: Hashname): Link {
    const known = this.#links.get(peer);
    if (known !== undefined) return known;
    const link = { peer, streams: new Map(), byBox: new Map(), turns: new Set<Stream>(), waiting: new Set<Stream>() };
    this.#links.set(peer, link);
    return link;
  }

  /** Sends what may be sent now, and asks the store for what comes next once there is room to send some of it. */
  #pump(stream: Stream, outs: PartOut[]): void {
    this.#advance(stream, outs);
    if (!stream.isReading) acknowledgeOpen(stream, outs);
  }

  #advance(stream: Stream, outs: PartOut[]): void {
    const { link, box } = stream;
    this.#sendCaps(stream, outs);
    if (stream.message !== undefined) {
      this.#sendParts(stream, outs);
      if (stream.message === undefined) this.#giveTurn(stream, outs);
      this.#sendCaps(stream, outs);
    }
    if (stream.credit <= 0 || stream.isEnded || box === undefined) return;
    if (stream.message !== undefined || stream.isReading || !stream.isFresh) return;
    if (!link.turns.has(stream) && link.turns.size >= MAX_TURNS) {
      link.waiting.add(stream);
      return;
    }
    link.turns.add(stream);
    stream.isReading = true;
    stream.hasGained = false;
    const most = Math.min(stream.credit * stream.perPacket, MAX_READ_MESSAGES);
    const request = {
      type: "read",
      recipient: link.peer,
      box,
      after: stream.cursor,
      most,
      room: MAX_READ_BYTES,
    } as const;
    outs.push({ type: "store", request, ch: stream.ch });
  }

  /** Never inside a message. */
  #sendCaps(stream: Stream, outs: PartOut[]): void {
    while (stream.caps > 0 && stream.credit > 0 && stream.message === undefined && !stream.isEnded) {
      stream.caps--;
      stream.credit--;
      outs.push({ type: "send", ch: stream.ch, head: this.#heads(stream).cap, body: NOTHING });
      stream.hasSpoken = true;
    }
  }

  #heads(stream: Stream): MessageHeads {
    return stream.hasSpoken ? this.#later : this.#first;
  }

  /** The store had nothing more when it answered. */
  #dry(stream: Stream): void {
    stream.isFresh = stream.hasGained;
    if (!stream.isFresh) stream.caps++;
  }

  /** Says with these messages, behind which the store has nothing, that the box has run dry, if they leave room for it. */
  #isDryWith(stream: Stream, isLast: boolean, bytes: number, dry: Head): boolean {
    const isDry = isLast && !stream.hasGained && stream.many > 1 && bytes <= dry.room;
    if (isDry) stream.isFresh = false;
    return isDry;
  }

  /** Sends what may begin to leave now. All else is read again when it can: nothing waits here beyond its time or its removal. */
  #sendMessages(
    stream: Stream,
    messages: readonly Pick<Extract<BoxAnswer, { type: "message" }>, "id" | "bytes" | "cursor">[],
    removed: Stream["removed"],
    isLast: boolean,
    outs: PartOut[],
  ): void {
    const { credit } = stream;
    let sent = 0;
    let pack: Uint8Array[] = [];
    let room = 0;
    const last = isLast ? messages.at(-1) : undefined;
    for (const message of messages) {
      const { bytes, cursor } = message;
      if (removed === true || removed?.has(message.id) === true) {
        bytes.fill(0);
        continue;
      }
      const size = sizeInMany(bytes);
      if (pack.length === 0 || pack.length >= stream.many || size > room) {
        // Also when this one is too long for any pack: whatever leaves behind it must not have been before it.
        this.#sendPack(stream, pack, outs);
        pack = [];
        room = this.#heads(stream).many.room;
        if (stream.message !== undefined || stream.credit <= 0) {
          bytes.fill(0);
          continue;
        }
      }
      stream.cursor = cursor;
      sent++;
      if (stream.many > 1 && size <= room) {
        pack.push(bytes);
        room -= size;
      } else {
        stream.message = { bytes, offset: 0 };
        this.#sendParts(stream, outs, bytes === last?.bytes);
      }
    }
    this.#sendPack(stream, pack, outs, isLast);
    if (sent > 0) stream.perPacket = Math.max(1, Math.floor(sent / (credit - stream.credit)));
  }

  /** Sends messages that fit into one packet, for which there is credit. One alone goes as it always does. `isLast`: the box has no more. */
  #sendPack(stream: Stream, pack: readonly Uint8Array[], outs: PartOut[], isLast = false): void {
    const [bytes] = pack;
    if (bytes === undefined) return;
    if (pack.length === 1) {
      stream.message = { bytes, offset: 0 };
      this.#sendParts(stream, outs, isLast);
      return;
    }
    const { many, manyDry } = this.#heads(stream);
    const body = packMany(pack);
    const { head } = this.#isDryWith(stream, isLast, body.length, manyDry) ? manyDry : many;
    stream.credit--;
    stream.hasSpoken = true;
    outs.push({ type: "send", ch: stream.ch, head, body, isGiven: true });
  }

  /** Sends as much of the message as may be sent. `isLast`: the box has no more. */
  #sendParts(stream: Stream, outs: PartOut[], isLast = false): void {
    const { message } = stream;
    while (message !== undefined && stream.message === message && stream.credit > 0 && !stream.isEnded) {
      const { bytes, offset } = message;
      stream.credit--;
      const left = bytes.length - offset;
      const { last, lastDry, middle } = this.#heads(stream);
      stream.hasSpoken = true;
      const isDone = left <= last.room;
      // All but the last leave a byte over, so that no packet is without a part of the message (C50).
      const size = isDone ? left : Math.min(middle.room, left - 1);
      message.offset += size;
      // A message of one packet, as nearly all, goes as it is: it is nobody's any more.
      const isWhole = size === bytes.length;
      const end = isDone && this.#isDryWith(stream, isLast, size, lastDry) ? lastDry : last;
      outs.push({
        type: "send",
        ch: stream.ch,
        head: isDone ? end.head : middle.head,
        body: isWhole ? bytes : bytes.slice(offset, message.offset),
        isGiven: true,
      });
      if (!isDone) continue;
      if (!isWhole) bytes.fill(0);
      stream.message = undefined;
    }
  }

  /** The stream has no message in memory any more: another may have one. */
  #giveTurn(stream: Stream, outs: PartOut[]): void {
    const { link } = stream;
    if (!link.turns.delete(stream)) return;
    for (const next of link.waiting) {
      link.waiting.delete(next);
      this.#pump(next, outs);
      if (link.turns.size >= MAX_TURNS) return;
    }
  }

  #end(stream: Stream, outs: PartOut[]): void {
    if (stream.isEnded) return;
    acknowledgeOpen(stream, outs);
    outs.push({ type: "send", ch: stream.ch, head: {}, body: NOTHING, end: true });
    this.#stop(stream, outs);
  }

  #stop(stream: Stream, outs: PartOut[]): void {
    const { link, box } = stream;
    stream.isEnded = true;
    stream.message?.bytes.fill(0);
    stream.message = undefined;
    const others = box === undefined ? [] : (link.byBox.get(box) ?? []).filter((one) => one !== stream);
    if (box !== undefined && others.length > 0) link.byBox.set(box, others);
    else if (box !== undefined) link.byBox.delete(box);
    link.waiting.delete(stream);
    this.#giveTurn(stream, outs);
  }
}

/** The ids that a packet asks to remove by its BODY, with nothing in its head; two words for each. `undefined`: none. */
function removedIds(head: JsonObject, body: Uint8Array): Uint32Array | undefined {
  if (body.length === 0 || body.length % ID_BYTES !== 0 || body.length > IDS_PER_PACKET * ID_BYTES) return undefined;
  if (head["id"] !== undefined || head["done"] !== undefined) return undefined;
  return idWords(body);
}

function acknowledgeOpen(stream: Stream, outs: PartOut[]): void {
  if (stream.owesOpen) outs.push({ type: "took", ch: stream.ch });
  stream.owesOpen = false;
}

function headsOf(fields: JsonObject, cap: number): MessageHeads {
  const of = (more: JsonObject): Head => {
    const head = Object.freeze({ ...fields, ...more });
    return { head, room: packetRoom(head, true) };
  };
  return {
    middle: of({}),
    last: of({ done: true }),
    lastDry: of({ done: true, cap }),
    many: of({ many: true }),
    manyDry: of({ many: true, cap }),
    cap: Object.freeze({ cap, ...fields }),
  };
}

/** Something was removed from its box: a message of this id, or everything. */
function recall(stream: Stream, id: string | undefined): void {
  if (!stream.isReading) return;
  if (id === undefined || stream.removed === true || (stream.removed?.size ?? 0) >= MAX_REMOVED) stream.removed = true;
  else stream.removed = (stream.removed ?? new Set()).add(id);
}

function recallAll(stream: Stream, ids: Uint32Array): void {
  if (stream.isReading) for (const id of pairsHex(ids)) recall(stream, id);
}

function isIdle(stream: Stream): boolean {
  return !stream.isFresh && !stream.isReading && stream.message === undefined && stream.caps === 0;
}

const MAX_STANDING = 64; // X30: "at most 64 standing inboxes per link"
const MAX_TURNS = 8; // messages in memory per link: half a MiB at most
const MAX_READ_BYTES: number = 64 * 1024; // at once for one stream: as many as the longest message has
const MAX_READ_MESSAGES = 64;
const MAX_REMOVED = 64; // ids that are remembered while the store is asked; with more it is asked again
