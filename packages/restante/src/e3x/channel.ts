/**
 * One channel: what both sides said, since when one waits for the other, and how its packets look on the wire.
 * protocol/channels.md §1, §3, §4
 */
import { concat, RestanteError, type Time } from "../bytes/index.ts";
import { encodeJson, encodePacket, flag, type JsonObject, text } from "../wire/index.ts";
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

/** Checks what the application wants to send, and copies it. Throws RestanteError "channel-head", "packet-size". */
export function outgoing(
  input: { readonly head: JsonObject; readonly body: Uint8Array; readonly end?: boolean },
  reliable: boolean,
  isOpen: boolean,
): Outgoing {
  const { head, body } = input;
  const hasType = isOpen ? text(head, "type") !== undefined : head["type"] === undefined;
  if (!hasType || RESERVED.some((key) => head[key] !== undefined)) {
    throw new RestanteError(
      "channel-head",
      "only the open packet has a type; c, seq, ack, miss, end, err are not given",
    );
  }
  const fields = encodeJson(head);
  if (body.length > roomBeside(fields, reliable)) {
    throw new RestanteError("packet-size", `an encrypted channel packet has at most ${PACKET_BYTES} bytes`);
  }
  return { fields, body: body.slice(), end: input.end === true };
}

/** What the application gets to see of a packet. `headLength`: of the head as it came. */
export function incoming(json: JsonObject, headLength: number, body: Uint8Array): Incoming {
  const { c, seq, ack, miss, end, ...head } = json;
  const isEnd = flag(json, "end");
  const isBare = isEnd && body.length === 0 && Object.keys(head).length === 0;
  return { head, body, end: isEnd, isBare, size: PACKET_COST + headLength * HEAD_COST + body.length };
}

/** One channel. Holds state only; whose turn it is and what leaves is decided by `Channels`. */
export class Channel {
  readonly id: number;
  readonly ch: number;
  readonly isRemote: boolean;
  /** Its two halves if the channel is reliable. */
  readonly reliable: { readonly sender: ReliableSender; readonly receiver: ReliableReceiver } | undefined;
  /** Unreliable: packets that the path did not take yet. */
  readonly queue: Outgoing[] = [];
  /** The application gave its last packet. */
  hasEnded = false;
  /** Their end was delivered. */
  theyEnded = false;
  /** When the peer was heard last, or its turn began. */
  quietSince: Time;
  #hasSpoken: boolean; // with #hasHeard: OPEN; before: OPENING
  #hasHeard: boolean;
  #endLeft = false;
  #isWaiting = false; // the peer's silence will close the channel

  constructor(options: { id: number; ch: number; isRemote: boolean; reliable: boolean; now: Time }) {
    this.id = options.id;
    this.ch = options.ch;
    this.isRemote = options.isRemote;
    this.reliable = options.reliable ? { sender: new ReliableSender(), receiver: new ReliableReceiver() } : undefined;
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

  /** The next packet that may leave, as inner packet. */
  next(now: Time): Uint8Array | undefined {
    if (this.reliable === undefined) {
      const packet = this.queue.shift();
      if (packet === undefined) return undefined;
      this.#endLeft = packet.end;
      return encode({ c: this.id }, packet);
    }
    const next = this.reliable.sender.next(now);
    if (next === undefined) return undefined;
    if (next.packet.end) this.#endLeft = true;
    return encode({ c: this.id, seq: next.seq, ack: this.#ackBeside(this.reliable.receiver, next.asks) }, next.packet);
  }

  /** An acknowledgement alone; `undefined` for an unreliable channel. */
  acknowledgement(): Uint8Array | undefined {
    if (this.reliable === undefined) return undefined;
    const { receiver } = this.reliable;
    const miss = receiver.needsMiss ? receiver.miss() : undefined;
    receiver.acknowledged(miss !== undefined);
    return encodePacket({ c: this.id, ack: receiver.taken, miss });
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

function encode(control: JsonObject, packet: Outgoing): Uint8Array {
  const head = encodeJson(packet.end ? { ...control, end: true } : control);
  return encodePacket(join(head, packet.fields), packet.body);
}

/** Two JSON objects without a common key as one, without reading either. */
function join(a: Uint8Array, b: Uint8Array): Uint8Array {
  return b.length === "{}".length ? a : concat(a.subarray(0, -1), COMMA, b.subarray(1));
}

function roomBeside(fields: Uint8Array, reliable: boolean): number {
  const longest = reliable ? LONGEST_RELIABLE : LONGEST_UNRELIABLE;
  return PACKET_BYTES - OUTER_BYTES - LENGTH_BYTES - join(longest, fields).length;
}

function earlier(a: Time | undefined, b: Time | undefined): Time | undefined {
  return a === undefined || (b !== undefined && b < a) ? b : a;
}

const LENGTH_BYTES = 2; // the inner packet's head length
const COMMA = new Uint8Array([0x2c]);
const LONGEST_UNRELIABLE = encodeJson({ c: MAX_CHANNEL_ID, end: true });
const LONGEST_RELIABLE = encodeJson({ c: MAX_CHANNEL_ID, seq: MAX_SEQ, ack: MAX_SEQ, end: true });
const RESERVED = ["c", "seq", "ack", "miss", "end", "err"];
const PACKET_COST = 128; // objects and map entries of a packet that is held, roughly
const HEAD_COST = 16; // a parsed head takes up to so many times its bytes: [[],[],[], ...
