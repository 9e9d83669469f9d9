/**
 * All channels of one exchange, on the plain text side: who opened what, whose turn it is, what leaves next. Takes and
 * gives inner packets; encryption is the exchange's business. protocol/channels.md
 */
import { concat, Deadlines, type Machine, RestanteError, type Time } from "../bytes/index.ts";
import { encodePacket, type JsonObject } from "../wire/index.ts";
import {
  Channel,
  type ChannelPacket,
  encodeAcknowledgement,
  OUTER_BYTES,
  outgoing,
  owned,
  PACKET_BYTES,
  parseChannelPacket,
  TIMEOUT_MS,
} from "./channel.ts";
import { ChannelIds, MAX_CHANNEL_ID } from "./channel-ids.ts";
import { type Incoming, MAX_SEQ, type Outgoing, parseMiss, type ReliableReceiver } from "./reliable.ts";

export { packetRoom } from "./channel.ts";

/**
 * What `Channels` takes. `ch` is the application's handle of a channel, unique in the whole peer; inputs for a `ch`
 * that is closed are ignored, since the application may not have heard of it yet. A `head` has none of the fields c,
 * seq, ack, miss, end, err, and `type` exactly in `open`, else RestanteError "channel-head"; head and body fit
 * together (`packetRoom`), else "packet-size". Bodies are copied.
 */
export type ChannelsIn =
  /**
   * Opens a channel. `head` has the text `type`; with `end` this packet is our last. Throws RestanteError
   * "channel-exists" when `ch` is in use. Answered with `closed` "full" beyond 256 open channels of ours, and with
   * `closed` "exhausted" when the exchange has no id left and must be renewed.
   */
  | { type: "open"; ch: number; reliable: boolean; head: JsonObject; body: Uint8Array; end?: boolean }
  /**
   * Sends one packet, with `end` the last. Throws RestanteError "channel-ended" after an `end`. A reliable channel
   * with 256 unacknowledged packets is closed with "overflow": follow `writable`. An unreliable one drops what is
   * beyond 64 packets that the path did not take. With `isGiven` the body is the channel's from now on, and is not copied.
   * With `asks` its acknowledgement is waited for: the peer is asked for one at once, which costs it a packet.
   */
  | { type: "send"; ch: number; head: JsonObject; body: Uint8Array; end?: boolean; isGiven?: boolean; asks?: boolean }
  /**
   * The application is done with the oldest packet of a reliable channel that it has, or with the `count` oldest; only this
   * acknowledges them, all with one acknowledgement. Throws RestanteError "channel-took" when it has fewer. Without meaning
   * for an unreliable channel. With `isFollowed` the next input for this channel is a `send` of the same turn, which carries it.
   */
  | { type: "took"; ch: number; count?: number; isFollowed?: boolean }
  /** Tells the peer `err` (cut to 200 characters) and closes at once. */
  | { type: "fail"; ch: number; err: string }
  /** Closes at once and tells nobody: for channels that are never answered. What did not leave yet is lost. */
  | { type: "forget"; ch: number }
  /** Decrypted channel packets, in the order in which they came, whose arrays are ours from now on. Rubbish is dropped. */
  | { type: "received"; packets: readonly InnerPacket[] }
  /**
   * What the path takes now, in bytes of outer packets; unlimited before the first of these. `isPaced`: whether what carries it
   * (TCP) bounds by itself what is under way; absent: as it was, and at first it does not.
   */
  | { type: "credit"; bytes: number; isPaced?: boolean }
  /** There is a new exchange: closes every channel with `err`, tells the peer nothing, counts ids from the start. */
  | { type: "reset"; err: string }
  | { type: "tick" };

/** A packet before it is encrypted, or decrypted: it stands in `inner` from `at` to the end. */
export interface InnerPacket {
  readonly inner: Uint8Array;
  readonly at: number;
}

/** What the application has of a packet. */
export interface PacketContent {
  readonly head: JsonObject;
  readonly body: Uint8Array;
}

/** Packets that came in a row on one channel. */
export type PacketRow = { type: "packets"; ch: number; packets: PacketContent[] };

/** One of them. */
export type PacketEvent = { type: "packet"; ch: number } & PacketContent;

/** What happens on channels, told to the application. Bodies are views: copy what you keep. */
export type ChannelEvent =
  /** The peer opened a channel. `head` has `type`, which is also `kind`. If reliable, this owes one `took`. */
  | { type: "opened"; ch: number; reliable: boolean; kind: string; head: JsonObject; body: Uint8Array }
  /** If reliable each packet comes once and in order, and owes one `took`. */
  | PacketRow
  /** So many more of our packets (of `open` and `send`) were taken by the peer's application. */
  | { type: "acked"; ch: number; count: number }
  /** The peer's end, after its last packet; nothing to take. The channel waits for our end, but not for ever. */
  | { type: "ended"; ch: number }
  /** The last word about `ch`. No `err`: both sides ended, all was taken. "timeout": the peer fell silent. */
  | { type: "closed"; ch: number; err: string | undefined }
  /** Reliable: so many packets may be sent now; replaces the number before. First right after the opening. */
  | { type: "writable"; ch: number; credit: number };

/**
 * What `Channels` gives: events, and inner packets to encrypt and send. One stands behind `front` bytes: where there are any
 * it must be encrypted in place, or dropped. (A view of each packet is no small cost.)
 */
export type ChannelsOut = ({ type: "transmit" } & InnerPacket) | ChannelEvent;

export interface ChannelsOptions {
  /** Ours, 1 = ODD. */
  readonly order: 0 | 1;
  /** Gives a new `ch` for each channel that the peer opens. */
  readonly handles: () => number;
  readonly limits?: Partial<ChannelLimits>;
  /** Shared with other exchanges. */
  readonly held?: Held;
  /** Bytes to leave free before each inner packet, for an outer packet made in place. Default: none. */
  readonly front?: number;
}

/** Bounds of one exchange; others than the usual ones are for tests that want to see them reached. */
export interface ChannelLimits {
  /** Open channels that we opened, and as many that the peer opened. */
  readonly channels: number;
  /** Bytes of reliable channels that we hold for the peer's sake, and as many that we hold until it acknowledges. */
  readonly bytes: number;
  readonly maxId: number;
  readonly maxSeq: number;
  /** Bytes that all exchanges with the same `Held` hold; beyond them packets that are not next in order are dropped. */
  readonly held: number;
}

/** What the channels of all exchanges of a peer hold for others. */
export interface Held {
  bytes: number;
}

/** A row for those who take packets one by one. */
export function oneByOne({ ch, packets }: PacketRow): PacketEvent[] {
  return packets.map(({ head, body }) => ({ type: "packet", ch, head, body }));
}

/** The channels of one exchange. All that a peer can make it hold is bounded: protocol/channels.md §7. */
export class Channels implements Machine<ChannelsIn, ChannelsOut> {
  readonly #handles: () => number;
  readonly #limits: ChannelLimits;
  readonly #ids: ChannelIds;
  readonly #byId = new Map<number, Channel>();
  readonly #byHandle = new Map<number, Channel>();
  readonly #unanswered = new Set<Channel>(); // opened by the peer, and we sent nothing yet; the oldest first
  readonly #ready = new Set<Channel>(); // may have something to transmit; the next in turn first
  readonly #pinched = new Set<Channel>(); // got less credit than their window has room, for want of #limits.bytes
  readonly #closed = new Map<number, number>(); // id of a reliable channel that ended well -> its last ack
  readonly #deadlines = new Deadlines<number>(); // by id, of open and closed channels
  readonly #held: Held;
  readonly #front: number;
  #remotes = 0; // channels that the peer opened
  #bytesIn = 0;
  #bytesOut = 0;
  #credit = Number.POSITIVE_INFINITY;
  #isPaced = false;
  // Of the turn, so that every step of it need not hand them on:
  #now: Time = 0;
  #out: ChannelsOut[] = [];
  #lent: Channel | undefined; // the last packet in its queue has a body that is not ours
  #row: PacketRow | undefined; // what more is added to while it is the last of #out
  #promised = 0; // credit given, in packets

  constructor(options: ChannelsOptions) {
    this.#handles = options.handles;
    this.#held = options.held ?? { bytes: 0 };
    this.#front = options.front ?? 0;
    this.#limits = options.limits === undefined ? LIMITS : { ...LIMITS, ...options.limits };
    this.#ids = new ChannelIds(options.order, this.#limits.maxId);
  }

  /** `out`: where to put what must happen, behind what is there; it is given back. A list for each packet is no small cost. */
  handle(input: ChannelsIn, now: Time, out: ChannelsOut[] = []): ChannelsOut[] {
    this.#now = now;
    this.#out = out;
    this.#promised = 0;
    switch (input.type) {
      case "open":
        this.#open(input);
        break;
      case "send":
        this.#send(input);
        break;
      case "took":
        this.#took(input.ch, input.count ?? 1, input.isFollowed === true);
        break;
      case "fail":
        this.#fail(this.#byHandle.get(input.ch), input.err);
        break;
      case "forget":
        this.#forget(this.#byHandle.get(input.ch));
        break;
      case "received":
        for (const { inner, at } of input.packets) this.#receive(inner, at);
        this.#row = undefined;
        break;
      case "credit":
        this.#credit = input.bytes;
        this.#setPath(input.isPaced ?? this.#isPaced);
        break;
      case "reset":
        this.#reset(input.err);
        break;
      case "tick":
        for (const id of this.#deadlines.due(this.#now)) this.#wake(id);
    }
    if (this.#ready.size > 0) this.#transmitReady();
    if (this.#lent !== undefined) this.#keep(this.#lent);
    return out;
  }

  deadline(): Time | undefined {
    return this.#deadlines.next();
  }

  #open(input: ChannelsIn & { type: "open" }): void {
    const { ch, reliable } = input;
    if (this.#byHandle.has(ch)) throw new RestanteError("channel-exists", `channel ${ch} is open already`);
    const packet = outgoing(input, reliable, true);
    const isFull = this.#byId.size - this.#remotes >= this.#limits.channels;
    const id = isFull ? undefined : this.#ids.next();
    if (id === undefined) {
      this.#out.push({ type: "closed", ch, err: isFull ? "full" : "exhausted" });
      return;
    }
    const channel = new Channel({ id, ch, isRemote: false, reliable, isPaced: this.#isPaced, now: this.#now });
    this.#add(channel);
    this.#push(channel, packet);
    this.#tellCredit(channel);
    this.#settle(channel);
  }

  #send(input: ChannelsIn & { type: "send" }): void {
    const channel = this.#byHandle.get(input.ch);
    if (channel === undefined) return;
    if (channel.hasEnded) throw new RestanteError("channel-ended", `a packet after the end of channel ${input.ch}`);
    const sender = channel.reliable?.sender;
    const packet = outgoing(input, sender !== undefined, false);
    if (sender === undefined) {
      if (channel.queue.length >= MAX_QUEUE && !packet.end) return;
      if (channel.theyEnded) channel.heard(this.#now); // no answer will come, and the application is not done
    } else {
      const isFull = sender.unacked >= MAX_UNACKED;
      if (isFull || sender.last >= this.#limits.maxSeq) {
        this.#fail(channel, isFull ? "overflow" : "exhausted");
        return;
      }
    }
    this.#push(channel, packet, input.isGiven);
    // As below, without the line: there is none.
    if (sender === undefined && this.#ready.size === 0 && this.#credit > 0) this.#leave(channel);
    else this.#settle(channel);
  }

  #push(channel: Channel, packet: Outgoing, isGiven = false): void {
    channel.hasEnded = packet.end;
    if (channel.reliable === undefined) {
      channel.queue.push(packet); // nearly always it leaves at once
      this.#lent = channel;
      return;
    }
    const { sender } = channel.reliable;
    this.#bytesOut -= sender.bytes;
    sender.push(isGiven ? packet : owned(packet));
    this.#bytesOut += sender.bytes;
  }

  /** What the application gave in this turn and did not leave is copied. */
  #keep({ queue }: Channel): void {
    this.#lent = undefined;
    const last = queue.pop();
    if (last !== undefined) queue.push(owned(last));
  }

  #took(ch: number, count: number, isFollowed: boolean): void {
    const channel = this.#byHandle.get(ch);
    if (channel?.reliable === undefined) return;
    const { receiver } = channel.reliable;
    const before = receiver.bytes;
    let left = count;
    while (left > 0 && receiver.take(this.#now)) left--;
    this.#hold(receiver.bytes - before);
    if (left > 0) throw new RestanteError("channel-took", `channel ${ch} gave no packet that is not taken`);
    this.#settle(channel, isFollowed);
  }

  #fail(channel: Channel | undefined, err: string): void {
    if (channel === undefined) return;
    const told = err.slice(0, MAX_ERR);
    const packet = encodePacket({ c: channel.id, err: told });
    this.#transmit(this.#front === 0 ? packet : concat(new Uint8Array(this.#front), packet));
    this.#close(channel, told);
  }

  #forget(channel: Channel | undefined): void {
    if (channel !== undefined) this.#close(channel, "forgotten");
  }

  #setPath(isPaced: boolean): void {
    if (isPaced === this.#isPaced) return;
    this.#isPaced = isPaced;
    for (const channel of this.#byId.values()) {
      if (channel.reliable === undefined) continue;
      channel.reliable.sender.setPath(isPaced);
      this.#tellCredit(channel);
      this.#settle(channel);
    }
  }

  #reset(err: string): void {
    this.#pinched.clear();
    for (const channel of this.#byId.values()) this.#close(channel, err);
    for (const id of this.#closed.keys()) this.#deadlines.set(id, undefined);
    this.#closed.clear();
    this.#ids.reset();
  }

  #wake(id: number): void {
    const channel = this.#byId.get(id);
    if (channel === undefined) {
      this.#closed.delete(id);
      return;
    }
    channel.wakeAt = undefined;
    if (channel.isTimedOut(this.#now)) {
      this.#close(channel, "timeout");
      return;
    }
    channel.reliable?.sender.expire(this.#now);
    this.#settle(channel);
  }

  #receive(inner: Uint8Array, at: number): void {
    const packet = parseChannelPacket(inner, at);
    if (packet === undefined) return;
    const { id, err } = packet;
    const channel = this.#byId.get(id);
    if (err !== undefined) {
      if (channel !== undefined) this.#close(channel, err.slice(0, MAX_ERR));
    } else if (channel !== undefined) {
      const isTaken = channel.reliable
        ? this.#receiveReliable(channel, channel.reliable, packet)
        : this.#receiveUnreliable(channel, packet);
      if (isTaken) this.#settle(channel);
    } else if (this.#closed.has(id)) {
      // Our last acknowledgement was lost: without another one the peer would wait for it until its timeout.
      if (packet.hasSeq) this.#transmit(encodeAcknowledgement(this.#front, id, this.#closed.get(id) ?? 0));
    } else {
      this.#receiveOpen(packet);
    }
  }

  /** A packet of a channel that we do not know: an open packet, or nothing that we could make sense of. */
  #receiveOpen({ id, kind, seq, hasSeq: reliable, hasAck, content }: ChannelPacket): void {
    if (kind === undefined || (reliable && seq !== 1) || !this.#ids.isFresh(id)) return;
    // Where there is no room it is dropped before its id is used up, so that it may come again.
    if (reliable && content.size > this.#limits.bytes - this.#bytesIn) return;
    if (this.#remotes >= this.#limits.channels && !this.#makeRoom()) return;
    this.#ids.use(id);
    const ch = this.#handles();
    const channel = new Channel({ id, ch, isRemote: true, reliable, isPaced: this.#isPaced, now: this.#now });
    this.#add(channel);
    if (channel.reliable) this.#accept(channel.reliable.receiver, 1, content, hasAck);
    this.#out.push({ type: "opened", ch: channel.ch, reliable, kind, head: content.head, body: content.body });
    if (content.end) this.#theyEnded(channel);
    this.#tellCredit(channel);
    this.#settle(channel);
  }

  /** False: dropped, as if it had not come. */
  #receiveUnreliable(channel: Channel, { hasType, hasSeq, content }: ChannelPacket): boolean {
    // A second open is a duplicate; a seq is meant for a channel that both sides know to be reliable.
    if (channel.theyEnded || hasType || hasSeq) return false;
    channel.heard(this.#now);
    this.#deliver(channel, content);
    return true;
  }

  /** False: dropped, as if it had not come. */
  #receiveReliable(
    channel: Channel,
    { sender, receiver }: NonNullable<Channel["reliable"]>,
    { seq, ack, miss, hasType, content }: ChannelPacket,
  ): boolean {
    if (seq > 1 && hasType) return false;
    channel.heard(this.#now);
    if (ack !== undefined) {
      this.#bytesOut -= sender.bytes;
      const count = sender.acknowledge(ack, parseMiss(ack, miss), this.#now);
      this.#bytesOut += sender.bytes;
      if (count > 0) {
        this.#out.push({ type: "acked", ch: channel.ch, count });
        this.#tellCredit(channel);
        this.#tellPinched();
      }
    }
    // Without a seq there is no content.
    if (seq > 0) {
      for (const next of this.#accept(receiver, seq, content, ack !== undefined)) this.#deliver(channel, next);
    }
    return true;
  }

  #accept(receiver: ReliableReceiver, seq: number, content: Incoming, asks: boolean): Incoming[] {
    // Packets beyond a hole get half of the room at most, or they could shut out those that fill the holes.
    // And what all peers together leave there is bounded: there may be many of them, and nothing makes them go on.
    const room = receiver.isNext(seq)
      ? this.#limits.bytes - this.#bytesIn
      : Math.min(this.#limits.bytes / 2 - this.#bytesIn, this.#limits.held - this.#held.bytes);
    const before = receiver.bytes;
    const inOrder = receiver.accept(seq, content, asks, room, this.#now);
    this.#hold(receiver.bytes - before);
    return inOrder;
  }

  #hold(bytes: number): void {
    this.#bytesIn += bytes;
    this.#held.bytes += bytes;
  }

  #deliver(channel: Channel, { head, body, end, isBare }: Incoming): void {
    if (!isBare) this.#addToRow(channel.ch, { head, body });
    if (end) this.#theyEnded(channel);
  }

  /** Packets of one channel mostly come in rows: then who they are for hears of them once. */
  #addToRow(ch: number, content: PacketContent): void {
    const out = this.#out;
    if (this.#row?.ch === ch && out[out.length - 1] === this.#row) {
      this.#row.packets.push(content);
      return;
    }
    this.#row = { type: "packets", ch, packets: [content] };
    out.push(this.#row);
  }

  #theyEnded(channel: Channel): void {
    channel.theyEnded = true;
    if (channel.hasEnded) channel.reliable?.receiver.hurry(this.#now);
    this.#out.push({ type: "ended", ch: channel.ch });
  }

  /** Gives up one of the peer's channels for a new one; false: all are in use. */
  #makeRoom(): boolean {
    for (const oldest of this.#unanswered) {
      this.#close(oldest, "full");
      return true;
    }
    // Or one that was idle for long: the peer may have forgotten it, for an err of its own can get lost.
    let idle: Channel | undefined;
    for (const channel of this.#byId.values()) {
      if (channel.isRemote && channel.quietSince < (idle?.quietSince ?? this.#now - IDLE_MS)) idle = channel;
    }
    this.#fail(idle, "full");
    return idle !== undefined;
  }

  #tellCredit(channel: Channel): void {
    if (channel.reliable === undefined || channel.hasEnded) return;
    const { credit: wanted, unacked } = channel.reliable.sender;
    // When there is no room left, every channel still gets a few packets: full ones must not stop the others.
    const credit = Math.min(wanted, Math.max(this.#creditLeft(), MIN_UNACKED - unacked));
    if (credit < wanted) this.#pinched.add(channel);
    if (credit <= 0) return;
    this.#promised += credit;
    this.#out.push({ type: "writable", ch: channel.ch, credit });
  }

  /** Room came free: those that were kept short get it, as far as it goes. */
  #tellPinched(): void {
    for (const channel of this.#pinched) {
      if (this.#creditLeft() < MIN_UNACKED) return;
      this.#pinched.delete(channel);
      this.#tellCredit(channel);
    }
  }

  /** In packets, over all channels. */
  #creditLeft(): number {
    return Math.floor((this.#limits.bytes - this.#bytesOut) / PACKET_BYTES) - this.#promised;
  }

  #add(channel: Channel): void {
    this.#byId.set(channel.id, channel);
    this.#byHandle.set(channel.ch, channel);
    if (!channel.isRemote) return;
    this.#remotes++;
    this.#unanswered.add(channel);
  }

  /**
   * After all that may have changed a channel: what it owes at once, whether it is done, when it wants to wake. `isFollowed`: an
   * acknowledgement may wait for what comes next, and is due all the same if nothing does.
   */
  #settle(channel: Channel, isFollowed = false): void {
    const ackAt = channel.reliable?.receiver.deadline;
    if (ackAt !== undefined && ackAt <= this.#now && !isFollowed && !this.#carriesAck(channel))
      this.#acknowledge(channel);
    if (channel.isDone) {
      this.#close(channel, undefined);
      return;
    }
    if (channel.hasNext) this.#ready.add(channel);
    const at = channel.updateDeadline(this.#now);
    if (at === channel.wakeAt) return; // most packets change nothing in this
    channel.wakeAt = at;
    this.#deadlines.set(channel.id, at);
  }

  /** Whether a packet that leaves now takes the acknowledgement along. */
  #carriesAck({ reliable, hasNext }: Channel): boolean {
    return hasNext && this.#credit > 0 && this.#ready.size === 0 && reliable?.receiver.needsMiss === false;
  }

  /** Leaves without credit: an acknowledgement is small, and without it the peer would send the same again. */
  #acknowledge(channel: Channel): void {
    const packet = channel.acknowledgement(this.#front);
    if (packet === undefined) return;
    this.#transmit(packet);
    this.#spoke(channel);
  }

  /** One packet of each channel in turn, while the path takes them. */
  #transmitReady(): void {
    for (const channel of this.#ready) {
      if (this.#credit <= 0) return;
      this.#ready.delete(channel);
      this.#leave(channel); // puts it at the end of the line
    }
  }

  #leave(channel: Channel): void {
    const packet = channel.next(this.#now, this.#front);
    if (packet === undefined) return;
    this.#transmit(packet);
    this.#spoke(channel);
    this.#settle(channel);
  }

  #spoke(channel: Channel): void {
    channel.spoke();
    this.#unanswered.delete(channel);
  }

  /** An inner packet behind the free bytes. */
  #transmit(packet: Uint8Array): void {
    const front = this.#front;
    this.#credit -= packet.length - front + OUTER_BYTES;
    this.#out.push({ type: "transmit", inner: packet, at: front });
  }

  /** Forgets a channel. If it is reliable and ended well, its last acknowledgement can be repeated for a while. */
  #close(channel: Channel, err: string | undefined): void {
    this.#byId.delete(channel.id);
    this.#byHandle.delete(channel.ch);
    this.#unanswered.delete(channel);
    this.#ready.delete(channel);
    this.#pinched.delete(channel);
    this.#deadlines.set(channel.id, undefined);
    if (channel.isRemote) this.#remotes--;
    this.#out.push({ type: "closed", ch: channel.ch, err });
    if (channel.reliable === undefined) return;
    const { sender, receiver } = channel.reliable;
    this.#hold(-receiver.bytes);
    this.#bytesOut -= sender.bytes;
    if (err === undefined) this.#remember(channel.id, receiver.taken);
    this.#tellPinched();
  }

  #remember(id: number, ack: number): void {
    this.#closed.set(id, ack);
    this.#deadlines.set(id, this.#now + TIMEOUT_MS);
    if (this.#closed.size <= MAX_CLOSED) return;
    for (const oldest of this.#closed.keys()) {
      this.#closed.delete(oldest);
      this.#deadlines.set(oldest, undefined);
      return;
    }
  }
}

const MAX_ERR = 200; // characters
const IDLE_MS = 10 * 60_000; // an open channel without a packet for so long makes room for another
const MAX_QUEUE = 64; // packets of an unreliable channel that the path does not take
const MAX_UNACKED = 256; // packets of a reliable channel; `writable` never leads beyond 144
const MAX_CLOSED = 1024; // channels that ended well and are remembered
const MIN_UNACKED = 4; // what every channel may have unacknowledged, however much the others have
const MIB = 1024 * 1024;
const LIMITS: ChannelLimits = {
  channels: 256,
  bytes: 4 * MIB,
  maxId: MAX_CHANNEL_ID,
  maxSeq: MAX_SEQ,
  held: 64 * MIB,
};
