/**
 * One channel: what both sides said, since when one waits for the other, and how its packets look on the wire.
 * protocol/channels.md §1, §3, §4
 */
import { RestanteError, shortLived, type Time } from "../bytes/index.ts";
import {
  type ChannelHead,
  channelHeadLength,
  encodeJson,
  flag,
  type Json,
  type JsonObject,
  parsePacket,
  scanChannelHead,
  text,
  uint,
  writeChannelHead,
} from "../wire/index.ts";
import { MAX_CHANNEL_ID } from "./channel-ids.ts";
import { type Incoming, MAX_SEQ, type Outgoing, ReliableReceiver, ReliableSender } from "./reliable.ts";

/**
 * The bytes of body that fit beside this head into one packet, so that the encrypted one has at most 1400 bytes;
 * negative when the head alone is too long. Every field that the channel may add is reckoned with, so it is the same
 * for the first, the last and any other packet. protocol/channels.md §3
 */
export function packetRoom(head: JsonObject, reliable: boolean): number {
  return roomBeside(encodeJson(head), reliable);
}

/** Checks what the application wants to send. The body is not copied yet (`owned`). Throws RestanteError "channel-head", "packet-size". */
export function outgoing(
  input: { readonly head: JsonObject; readonly body: Uint8Array; readonly end?: boolean; readonly asks?: boolean },
  reliable: boolean,
  isOpen: boolean,
): Outgoing {
  const { head, body } = input;
  const known = isOpen ? undefined : KNOWN_FIELDS.get(head);
  const fields = known ?? fieldsOf(head, isOpen);
  if (known === undefined && !isOpen && isConstant(head)) KNOWN_FIELDS.set(head, fields);
  if (body.length > roomBeside(fields, reliable)) {
    throw new RestanteError("packet-size", `an encrypted channel packet has at most ${PACKET_BYTES} bytes`);
  }
  return { fields, body, end: input.end === true, asks: input.asks };
}

/** The application's part of a head as JSON. */
function fieldsOf(head: JsonObject, isOpen: boolean): Uint8Array {
  const hasType = isOpen ? text(head, "type") !== undefined : head["type"] === undefined;
  let isEmpty = true;
  let isReserved = false;
  for (const key in head) {
    if (head[key] === undefined) continue;
    isEmpty = false;
    if (RESERVED.includes(key)) isReserved = true;
  }
  if (!hasType || isReserved) {
    throw new RestanteError(
      "channel-head",
      "only the open packet has a type; c, seq, ack, miss, end, err are not given",
    );
  }
  return isEmpty ? NO_FIELDS : encodeJson(head);
}

function isConstant(head: JsonObject): boolean {
  return Object.isFrozen(head) && Object.values(head).every((value) => typeof value !== "object");
}

/** The packet with a body of its own. */
export function owned(packet: Outgoing): Outgoing {
  const { fields, body, end, asks } = packet;
  return body.length === 0 ? packet : { fields, body: body.slice(), end, asks };
}

/** An inner packet as it came in: what is the channel's, and the content. */
export interface ChannelPacket {
  readonly id: number;
  /** On an open packet; other values of `type` than texts count as there (`hasType`), and open nothing. */
  readonly kind: string | undefined;
  readonly hasType: boolean;
  /** Valid ones from 1 on; 0: there is none that is valid. `hasSeq`: there is one, whatever it is. */
  readonly seq: number;
  readonly hasSeq: boolean;
  readonly ack: number | undefined;
  readonly hasAck: boolean;
  readonly miss: Json | undefined;
  /** "error" for one that is no text. */
  readonly err: string | undefined;
  readonly content: Incoming;
}

/** Reads a decrypted packet that stands in `inner` from `at` on; `undefined` for more than 64 KiB, what is no packet, a head that is no JSON or has no valid `c`. */
export function parseChannelPacket(inner: Uint8Array, at: number = 0): ChannelPacket | undefined {
  const start = at + LENGTH_BYTES;
  const end = start + (inner[at] ?? 0) * 0x100 + (inner[at + 1] ?? 0);
  if (inner.length - at > MAX_INNER || end > inner.length) return undefined;
  const head = scanChannelHead(inner, start, end);
  if (head === undefined) return parseAnyPacket(at === 0 ? inner : inner.subarray(at));
  const { c: id, seq = 0, ack, miss, fields } = head;
  if (id > MAX_CHANNEL_ID) return undefined;
  // By its name, since this is on the way of every packet. A head that the scanner reads has no other values than texts here.
  const type = fields["type"];
  const kind = typeof type === "string" ? type : undefined;
  return {
    id,
    kind,
    hasType: kind !== undefined,
    seq: seq <= MAX_SEQ ? seq : 0,
    hasSeq: head.seq !== undefined,
    ack: ack !== undefined && ack <= MAX_SEQ ? ack : undefined,
    hasAck: ack !== undefined,
    miss,
    err: undefined,
    content: incoming(fields, head.end, end - start, inner.subarray(end)),
  };
}

function parseAnyPacket(inner: Uint8Array): ChannelPacket | undefined {
  const packet = parsePacket(inner);
  const id = uint(packet?.json, "c", MAX_CHANNEL_ID);
  if (packet?.json === undefined || id === undefined) return undefined;
  const { json, body } = packet;
  const { c, seq, ack, miss, end, ...head } = json;
  return {
    id,
    kind: text(json, "type"),
    hasType: json["type"] !== undefined,
    seq: uint(json, "seq", MAX_SEQ) ?? 0,
    hasSeq: seq !== undefined,
    ack: uint(json, "ack", MAX_SEQ),
    hasAck: ack !== undefined,
    miss,
    err: json["err"] === undefined ? undefined : (text(json, "err") ?? "error"),
    content: incoming(head, flag(json, "end"), packet.head.length, body),
  };
}

/** `headLength`: of the head as it came. */
function incoming(head: JsonObject, end: boolean, headLength: number, body: Uint8Array): Incoming {
  const isBare = end && body.length === 0 && isEmpty(head);
  return { head, body, end, isBare, size: PACKET_COST + headLength * HEAD_COST + body.length };
}

function isEmpty(head: JsonObject): boolean {
  for (const _ in head) return false;
  return true;
}

/** One channel. Holds state only; whose turn it is and what leaves is decided by `Channels`. */
export class Channel {
  readonly id: number;
  readonly ch: number;
  readonly isRemote: boolean;
  /** Its two halves if the channel is reliable. */
  readonly reliable: { readonly sender: ReliableSender; readonly receiver: ReliableReceiver } | undefined;
  /** Packets that the path did not take yet, if the channel is unreliable. */
  readonly queue: Outgoing[];
  /** The application gave its last packet. */
  hasEnded = false;
  /** Their end was delivered. */
  theyEnded = false;
  /** When it will be woken, as far as that was arranged. */
  wakeAt: Time | undefined;
  /** When the peer was heard last, or its turn began. */
  quietSince: Time;
  #hasSpoken: boolean; // with #hasHeard: OPEN; before: OPENING
  #hasHeard: boolean;
  #endLeft = false;
  #isWaiting = false; // the peer's silence will close the channel

  constructor(options: {
    id: number;
    ch: number;
    isRemote: boolean;
    reliable: boolean;
    isPaced: boolean;
    now: Time;
  }) {
    this.id = options.id;
    this.ch = options.ch;
    this.isRemote = options.isRemote;
    this.reliable = options.reliable
      ? { sender: new ReliableSender(options.isPaced), receiver: new ReliableReceiver() }
      : undefined;
    this.queue = options.reliable ? NO_QUEUE : [];
    this.#hasSpoken = !options.isRemote;
    this.#hasHeard = options.isRemote;
    this.quietSince = options.now;
  }

  /** Whether a packet may leave. */
  get hasNext(): boolean {
    return this.reliable === undefined ? this.queue.length > 0 : this.reliable.sender.hasNext;
  }

  /** Whether both sides ended and nothing is left to do. */
  get isDone(): boolean {
    if (!this.#endLeft || !this.theyEnded) return false;
    return this.reliable === undefined || (this.reliable.sender.unacked === 0 && this.reliable.receiver.isDrained);
  }

  /** Whether the peer has been silent for too long. */
  isTimedOut(now: Time): boolean {
    return this.#isWaiting && this.quietSince + TIMEOUT_MS <= now;
  }

  /** Something of the peer came, or the application went on after the peer's end. */
  heard(now: Time): void {
    this.#hasHeard = true;
    this.quietSince = now;
  }

  /** Something left. */
  spoke(): void {
    this.#hasSpoken = true;
  }

  /** The next packet that may leave: an inner packet, behind `front` free bytes. */
  next(now: Time, front: number): Uint8Array | undefined {
    const c = this.id;
    if (this.reliable === undefined) {
      const packet = this.queue.shift();
      if (packet === undefined) return undefined;
      const { fields, body, end } = packet;
      this.#endLeft = end;
      return encodeChannelPacket(front, { c, seq: undefined, ack: undefined, miss: undefined, end }, fields, body);
    }
    const next = this.reliable.sender.next(now);
    if (next === undefined) return undefined;
    const { fields, body, end } = next.packet;
    if (end) this.#endLeft = true;
    const ack = this.#ackBeside(this.reliable.receiver, next.asks);
    return encodeChannelPacket(front, { c, seq: next.seq, ack, miss: undefined, end }, fields, body);
  }

  /** An acknowledgement alone, as `next` gives packets; `undefined` for an unreliable channel. */
  acknowledgement(front: number): Uint8Array | undefined {
    if (this.reliable === undefined) return undefined;
    const { receiver } = this.reliable;
    const miss = receiver.needsMiss ? receiver.miss() : undefined;
    receiver.acknowledged(miss !== undefined);
    return encodeAcknowledgement(front, this.id, receiver.taken, miss);
  }

  /** When it wants to be woken. The peer's time starts here, when from now on it is the peer's turn. */
  updateDeadline(now: Time): Time | undefined {
    const isOpening = !this.#hasSpoken || !this.#hasHeard;
    // ENDED: they wait for our end. Not while the application has packets in hand, or gave some that wait for the path:
    // then it is not done, and cannot be blamed yet for not having ended.
    const isBusy = this.reliable !== undefined && this.reliable.receiver.owed + this.reliable.sender.unacked > 0;
    const isEnded = this.theyEnded && !isBusy;
    const isWaiting = isOpening || isEnded || this.#endLeft || this.reliable?.sender.isWaiting === true;
    if (isWaiting && !this.#isWaiting) this.quietSince = now;
    this.#isWaiting = isWaiting;
    const timers = earlier(this.reliable?.sender.deadline, this.reliable?.receiver.deadline);
    return isWaiting ? earlier(timers, this.quietSince + TIMEOUT_MS) : timers;
  }

  /**
   * An `ack` on a packet asks the peer for an immediate one (reliable.md, "ack"), so it is there if we want that or owe
   * one. Where it would need a `miss` beside it there is no room for both: then it goes alone.
   */
  #ackBeside(receiver: ReliableReceiver, asks: boolean): number | undefined {
    if (receiver.needsMiss || !(asks || receiver.deadline !== undefined)) return undefined;
    receiver.acknowledged(false);
    return receiver.taken;
  }
}

/** A peer that says nothing for so long while it is its turn is gone; so is the memory of a closed channel. */
export const TIMEOUT_MS = 30_000; // old implementations wait 10 to 30 s
/** The longest encrypted packet (channels.md, "Packet Size Default"). */
export const PACKET_BYTES = 1400;
/** What encryption adds to a channel packet under CS3a: head length 2, token 16, nonce 24, secretbox tag 16. */
export const OUTER_BYTES: number = 2 + 16 + 24 + 16;

/**
 * An inner packet behind `front` free bytes, of which the caller makes its outer packet in place: then the array is a
 * `shortLived` one, since nothing readable stays in it. `fields`: a JSON object without fields of the channel.
 */
export function encodeChannelPacket(
  front: number,
  head: ChannelHead,
  fields: Uint8Array = NO_FIELDS,
  body: Uint8Array = NO_BODY,
): Uint8Array {
  const length = channelHeadLength(head, fields);
  const bytes = front + LENGTH_BYTES + length + body.length;
  const packet = front > 0 ? shortLived(bytes) : new Uint8Array(bytes);
  packet[front] = length >> 8;
  packet[front + 1] = length;
  writeChannelHead(packet, front + LENGTH_BYTES, head, fields);
  packet.set(body, front + LENGTH_BYTES + length);
  return packet;
}

export function encodeAcknowledgement(front: number, c: number, ack: number, miss?: readonly number[]): Uint8Array {
  return encodeChannelPacket(front, { c, seq: undefined, ack, miss, end: false });
}

function roomBeside(fields: Uint8Array, reliable: boolean): number {
  const room = reliable ? ROOM_RELIABLE : ROOM_UNRELIABLE;
  return fields.length > NO_FIELDS.length ? room - fields.length + 1 : room; // a comma for two braces
}

function earlier(a: Time | undefined, b: Time | undefined): Time | undefined {
  return a === undefined || (b !== undefined && b < a) ? b : a;
}

const LENGTH_BYTES = 2; // the inner packet's head length
const MAX_INNER = 0x10000; // bytes; no transport carries longer packets
const NO_FIELDS = encodeJson({});
const NO_BODY = new Uint8Array(0);
const NO_QUEUE: Outgoing[] = []; // nobody puts anything there
const LONGEST_UNRELIABLE = { c: MAX_CHANNEL_ID, seq: undefined, ack: undefined, miss: undefined, end: true };
const LONGEST_RELIABLE = { ...LONGEST_UNRELIABLE, seq: MAX_SEQ, ack: MAX_SEQ };
const [ROOM_UNRELIABLE = 0, ROOM_RELIABLE = 0] = [LONGEST_UNRELIABLE, LONGEST_RELIABLE].map(
  (head) => PACKET_BYTES - OUTER_BYTES - LENGTH_BYTES - channelHeadLength(head, NO_FIELDS),
);
/** The JSON of heads that cannot change: a role has few of these, and sends them again and again. */
const KNOWN_FIELDS = new WeakMap<JsonObject, Uint8Array>();
const RESERVED = ["c", "seq", "ack", "miss", "end", "err"];
const PACKET_COST = 128; // objects and map entries of a packet that is held, roughly
const HEAD_COST = 16; // a parsed head takes up to so many times its bytes: [[],[],[], ...
