/**
 * Channels of applications: types of their own, to contacts over their links. Nothing is kept: a channel ends with its link. All that
 * a contact or the application can make us hold is bounded. protocol/application.md
 */
import { Deadlines, type Machine, type Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { packetRoom } from "../e3x/index.ts";
import { encodeJson, type JsonObject } from "../wire/index.ts";
import type {
  ApplicationCall,
  ApplicationIn,
  ApplicationOptions,
  ApplicationOut,
  Content,
  Opened,
  Opening,
} from "./contract.ts";

/** Whether applications may have channels of this type: 1 to 64 visible ASCII characters, none that telehash or Restante uses. */
export function isApplicationType(kind: string): boolean {
  return (
    typeof kind === "string" && /^[\x21-\x7e]{1,64}$/.test(kind) && !TAKEN.has(kind) && !kind.startsWith("restante.")
  );
}

/** The channels that are open, those that wait for a link or for somebody who accepts them, and what waits on each. */
export class Application implements Machine<ApplicationIn, ApplicationOut> {
  readonly #options: ApplicationOptions;
  /** By type: who waits for the next channel, and the channels that wait. */
  readonly #served = new Map<string, { waiting: number | undefined; readonly offered: Set<Channel> }>();
  readonly #calling = new Map<number, Calling>();
  readonly #channels = new Map<number, Channel>();
  /** Those of one contact, whatever its devices. */
  readonly #contacts = new Map<string, OfContact>();
  /** How many of the channels others have opened. */
  #theirs = 0;
  /** Why channels ended that nobody watched: whoever just heard of one asks a moment later. */
  readonly #over = new Map<number, string | undefined>();
  readonly #deadlines = new Deadlines<number>();

  constructor(options: ApplicationOptions) {
    this.#options = options;
  }

  /** Whether channels of this type are taken from contacts. To all others it is as any type that nobody serves. */
  serves(kind: string): boolean {
    return this.#served.has(kind);
  }

  handle(input: ApplicationIn, now: Time): ApplicationOut[] {
    switch (input.type) {
      case "call":
        return this.#call(input.req, input.call, now);
      case "up":
        return [...this.#calling.values()]
          .filter(({ peers }) => peers.includes(input.peer))
          .flatMap((calling) => [...this.#begin(calling, input.peer, now), ...this.#release(calling)]);
      case "contacts": {
        const { isContact } = this.#options;
        const all = [...this.#contacts.values()].flatMap(({ channels }) => [...channels]);
        const gone = all.filter(({ peer }) => !isContact(peer));
        return gone.flatMap((channel) => this.#fail(channel, "removed", UNKNOWN));
      }
      case "opened":
        return this.#onOpened(input, now);
      case "packet":
        return this.#onPacket(this.#channels.get(input.ch), input, now);
      case "ended": {
        const channel = this.#channels.get(input.ch);
        if (channel === undefined) return [];
        channel.theyEnded = true;
        return channel.unread.length > 0 ? [] : answer(channel, undefined);
      }
      case "closed": {
        const channel = this.#channels.get(input.ch);
        return channel === undefined ? [] : this.#onClosed(channel, input.err);
      }
      case "writable": {
        const channel = this.#channels.get(input.ch);
        if (channel === undefined) return [];
        channel.credit = input.credit;
        return flush(channel);
      }
      case "acked":
      case "down":
        return [];
      case "tick":
        return this.#deadlines.due(now).flatMap((ch) => this.#onDue(ch, now));
    }
  }

  deadline(): Time | undefined {
    return this.#deadlines.next();
  }

  #call(req: number, call: ApplicationCall, now: Time): ApplicationOut[] {
    switch (call.type) {
      case "serve":
        if (!isApplicationType(call.kind)) return [refuse(req, "bad-type", BAD_TYPE)];
        if (this.#served.has(call.kind)) return [refuse(req, "known", "channels of this type are served already")];
        if (this.#served.size >= TYPES) return [refuse(req, "full", `at most ${TYPES} types are served`)];
        this.#served.set(call.kind, { waiting: undefined, offered: new Set() });
        return [reply(req, undefined)];
      case "unserve":
        return [...this.#unserve(call.kind), reply(req, undefined)];
      case "accept":
        return this.#accept(req, call.kind, now);
      case "open":
        return this.#open(req, call, now);
      case "watch": {
        if (this.#over.has(call.ch)) {
          const why = this.#over.get(call.ch);
          this.#over.delete(call.ch);
          return [reply(req, why)];
        }
        const channel = this.#channels.get(call.ch);
        if (channel === undefined) return [refuse(req, "channel-closed", CLOSED)];
        if (channel.watcher !== undefined) return [refuse(req, "busy", "its end is waited for already")];
        channel.watcher = req;
        return [];
      }
    }
    const channel = this.#channels.get(call.ch);
    if (channel === undefined)
      return call.type === "fail" ? [reply(req, undefined)] : [refuse(req, "channel-closed", CLOSED)];
    channel.usedAt = now;
    if (call.type === "send") return this.#send(req, channel, call);
    if (call.type === "receive") return this.#receive(req, channel);
    return [...this.#fail(channel, call.why, call.why), reply(req, undefined)];
  }

  #unserve(kind: string): ApplicationOut[] {
    const { waiting, offered = [] } = this.#served.get(kind) ?? {};
    this.#served.delete(kind);
    const refused = [...offered].flatMap((channel) => this.#fail(channel, UNKNOWN, UNKNOWN));
    return waiting === undefined ? refused : [...refused, refuse(waiting, "not-served", NOT_SERVED)];
  }

  #accept(req: number, kind: string, now: Time): ApplicationOut[] {
    const served = this.#served.get(kind);
    if (served === undefined) return [refuse(req, "not-served", NOT_SERVED)];
    if (served.waiting !== undefined) return [refuse(req, "busy", "somebody waits for channels of this type already")];
    served.waiting = req;
    const [next] = served.offered;
    return next === undefined ? [] : this.#offer(next, now);
  }

  /** Gives a channel to whoever waits for one of its type. */
  #offer(channel: Channel, now: Time): ApplicationOut[] {
    const served = this.#served.get(channel.kind);
    if (served?.waiting === undefined) {
      served?.offered.add(channel);
      return [];
    }
    const req = served.waiting;
    served.waiting = undefined;
    served.offered.delete(channel);
    channel.usedAt = now;
    const { ch, peer, kind, reliable } = channel;
    const { content, took } = take(channel);
    const opening: Opening = { ch, peer, kind, reliable, ...(content && { content }) };
    return [...took, reply(req, opening)];
  }

  #open(req: number, call: Extract<ApplicationCall, { type: "open" }>, now: Time): ApplicationOut[] {
    const { to, kind, reliable, body, wait = OPEN_MS } = call;
    const patience = wait > 0 ? Math.min(wait, OPEN_MS) : 0;
    if (!isApplicationType(kind)) return [refuse(req, "bad-type", BAD_TYPE)];
    const head = { ...call.head, type: kind };
    const problem = "type" in call.head ? BAD_HEAD : problemOf(head, body, reliable);
    if (problem !== undefined) return [refuse(req, ...problem)];
    const peers = this.#options.peersOf(to);
    if (peers.length === 0) return [refuse(req, "not-found", "there is no such contact")];
    const before = peers.find((peer) => this.#options.isUp(peer));
    const calling: Calling = { req, ch: this.#options.handles(), peers, kind, reliable, head, body };
    const ours = [...this.#calling.values()].filter(({ peers: [peer] }) => peer === peers[0]).length;
    if (this.#isFull(before ?? peers[0], true, ours))
      return [refuse(req, "full", "too many channels are open already")];
    if (before !== undefined) return this.#begin(calling, before, now);
    if (patience === 0) return [refuse(req, ...AWAY)];
    this.#calling.set(calling.ch, calling);
    this.#deadlines.set(calling.ch, now + patience);
    return peers.map((peer) => ({ type: "reach", peer }));
  }

  #begin(calling: Calling, peer: Hashname, now: Time): ApplicationOut[] {
    const { req, ch, kind, reliable, head, body } = calling;
    this.#add({ ch, peer, kind, reliable, isOurs: true }, now);
    return [
      { type: "open", ch, peer, reliable, head, body },
      reply(req, { ch, peer, kind, reliable } satisfies Opening),
    ];
  }

  #release({ ch, peers }: Calling): ApplicationOut[] {
    this.#calling.delete(ch);
    // Somebody else may be called at the same time.
    const others = new Set([...this.#calling.values()].flatMap((calling) => calling.peers));
    return peers.filter((peer) => !others.has(peer)).map((peer) => ({ type: "release", peer }));
  }

  #onOpened({ ch, peer, kind, reliable, head, body }: Opened, now: Time): ApplicationOut[] {
    if (!this.#served.has(kind)) return [{ type: "fail", ch, err: UNKNOWN }];
    if (this.#isFull(peer, false)) return [{ type: "fail", ch, err: "full" }];
    const channel = this.#add({ ch, peer, kind, reliable, isOurs: false }, now);
    const { type, ...rest } = head;
    keep(channel, rest, body);
    return this.#offer(channel, now);
  }

  #onPacket(channel: Channel | undefined, { head, body }: Content, now: Time): ApplicationOut[] {
    if (channel === undefined) return [];
    if (!this.#options.isContact(channel.peer)) return this.#fail(channel, "removed", UNKNOWN);
    // What comes unreliably may be lost here as well as on the way.
    if (!channel.reliable && channel.unread.length >= UNREAD_DATAGRAMS) return [];
    channel.usedAt = now;
    keep(channel, head, body);
    if (channel.reader !== undefined) {
      const { content, took } = take(channel);
      return [...took, ...answer(channel, content)];
    }
    // The rest of what the exchange may hold for others is for the mail.
    return channel.contact.unreadBytes > UNREAD_BYTES ? this.#fail(channel, "unread", "unread") : [];
  }

  #send(req: number, channel: Channel, call: Extract<ApplicationCall, { type: "send" }>): ApplicationOut[] {
    const { head, body, end = false } = call;
    if (channel.hasEnded) return [refuse(req, "channel-ended", "our last packet is sent already")];
    if (channel.isClosed) return [refuse(req, "channel-closed", CLOSED)];
    const problem = "type" in head ? BAD_HEAD : problemOf(head, body, channel.reliable);
    if (problem !== undefined) return [refuse(req, ...problem)];
    if (channel.waiting.length >= WAITING) return [refuse(req, "busy", `${WAITING} packets wait already`)];
    channel.hasEnded = end;
    channel.waiting.push({ req, head, body, end });
    return flush(channel);
  }

  #receive(req: number, channel: Channel): ApplicationOut[] {
    if (channel.reader !== undefined) return [refuse(req, "busy", "its next packet is waited for already")];
    channel.reader = req;
    if (channel.unread.length === 0) return channel.theyEnded || channel.isClosed ? answer(channel, undefined) : [];
    const { content, took } = take(channel);
    const out = [...took, ...answer(channel, content)];
    if (channel.isClosed && channel.unread.length === 0) this.#forget(channel);
    return out;
  }

  /** `why` for the application, `err` for the other end. */
  #fail(channel: Channel, why: string, err: string): ApplicationOut[] {
    if (!channel.isClosed) return [{ type: "fail", ch: channel.ch, err }, ...this.#onClosed(channel, why)];
    this.#forget(channel);
    return [];
  }

  /** It is over. What is unread can still be read after a good end. */
  #onClosed(channel: Channel, why: string | undefined): ApplicationOut[] {
    const { ch, kind, waiting, reader, watcher, unread } = channel;
    const out: ApplicationOut[] = waiting.map(({ req }) => refuse(req, "channel-closed", CLOSED));
    channel.isClosed = true;
    channel.waiting = [];
    if (reader !== undefined && why !== undefined) out.push(refuse(reader, "channel-closed", CLOSED));
    else out.push(...answer(channel, undefined));
    if (watcher !== undefined) out.push(reply(watcher, why));
    else this.#remember(ch, why);
    channel.reader = undefined;
    channel.watcher = undefined;
    this.#served.get(kind)?.offered.delete(channel);
    if (why !== undefined || unread.length === 0) this.#forget(channel);
    return out;
  }

  #onDue(ch: number, now: Time): ApplicationOut[] {
    const calling = this.#calling.get(ch);
    if (calling !== undefined) return [...this.#release(calling), refuse(calling.req, ...AWAY)];
    const channel = this.#channels.get(ch);
    if (channel === undefined) return [];
    if (channel.usedAt + IDLE_MS <= now) return this.#fail(channel, "idle", "idle");
    this.#deadlines.set(ch, channel.usedAt + IDLE_MS);
    return [];
  }

  /** What others open takes neither the half of all that is ours, nor, however many devices they have, the half of others. */
  #isFull(peer: Hashname | undefined, isOurs: boolean, calling = 0): boolean {
    if (this.#channels.size + this.#calling.size >= CHANNELS) return true;
    if (!isOurs && this.#theirs >= CHANNELS / 2) return true;
    let [ofPeer, ofContact] = [calling, calling];
    for (const channel of (peer && this.#contacts.get(this.#contactOf(peer))?.channels) ?? []) {
      if (channel.isOurs !== isOurs) continue;
      ofContact++;
      if (channel.peer === peer) ofPeer++;
    }
    return ofPeer >= CHANNELS_OF_LINK || (!isOurs && ofContact >= CHANNELS_OF_CONTACT);
  }

  #contactOf(peer: Hashname): string {
    return this.#options.contactOf(peer) ?? peer;
  }

  #add(about: Pick<Channel, "ch" | "peer" | "kind" | "reliable" | "isOurs">, now: Time): Channel {
    const id = this.#contactOf(about.peer);
    const contact = this.#contacts.get(id) ?? { id, channels: new Set(), unreadBytes: 0 };
    const channel: Channel = {
      ...about,
      contact,
      credit: 0,
      waiting: [],
      unread: [],
      unreadBytes: 0,
      reader: undefined,
      watcher: undefined,
      hasEnded: false,
      theyEnded: false,
      isClosed: false,
      usedAt: now,
    };
    this.#channels.set(channel.ch, channel);
    this.#contacts.set(id, contact);
    contact.channels.add(channel);
    if (!channel.isOurs) this.#theirs++;
    this.#deadlines.set(channel.ch, now + IDLE_MS);
    return channel;
  }

  #forget(channel: Channel): void {
    if (!this.#channels.delete(channel.ch)) return;
    this.#deadlines.set(channel.ch, undefined);
    const { contact, isOurs, unreadBytes } = channel;
    contact.channels.delete(channel);
    contact.unreadBytes -= unreadBytes;
    if (contact.channels.size === 0) this.#contacts.delete(contact.id);
    if (!isOurs) this.#theirs--;
  }

  #remember(ch: number, why: string | undefined): void {
    this.#over.set(ch, why);
    const [oldest] = this.#over.keys();
    if (this.#over.size > REMEMBERED && oldest !== undefined) this.#over.delete(oldest);
  }
}

/** What one contact has here. */
interface OfContact {
  readonly id: string;
  readonly channels: Set<Channel>;
  /** On all of them. */
  unreadBytes: number;
}

/** A call that waits for a link. */
interface Calling {
  readonly req: number;
  readonly ch: number;
  readonly peers: readonly Hashname[];
  readonly kind: string;
  readonly reliable: boolean;
  readonly head: JsonObject;
  readonly body: Uint8Array;
}

interface Channel {
  readonly ch: number;
  readonly peer: Hashname;
  /** Whose the peer was when it began. */
  readonly contact: OfContact;
  readonly kind: string;
  readonly reliable: boolean;
  readonly isOurs: boolean;
  /** Reliable: how many packets may be sent. */
  credit: number;
  /** Packets of ours for which there is no room yet. */
  waiting: { readonly req: number; readonly head: JsonObject; readonly body: Uint8Array; readonly end: boolean }[];
  readonly unread: (Content & { readonly size: number })[];
  unreadBytes: number;
  /** Who waits for the next packet, and for the end. */
  reader: number | undefined;
  watcher: number | undefined;
  hasEnded: boolean;
  theyEnded: boolean;
  isClosed: boolean;
  usedAt: Time;
}

function keep(channel: Channel, head: JsonObject, body: Uint8Array): void {
  const size = body.length + HEAD_COST * encodeJson(head).length + PACKET_COST;
  channel.unread.push({ head, body: body.slice(), size });
  channel.unreadBytes += size;
  channel.contact.unreadBytes += size;
}

/** The oldest packet that is unread, and that it is taken: only now the other end has room for another. */
function take(channel: Channel): { content: Content | undefined; took: ApplicationOut[] } {
  const next = channel.unread.shift();
  if (next === undefined) return { content: undefined, took: [] };
  const { head, body, size } = next;
  channel.unreadBytes -= size;
  channel.contact.unreadBytes -= size;
  const isOwed = channel.reliable && !channel.isClosed;
  return { content: { head, body }, took: isOwed ? [{ type: "took", ch: channel.ch }] : [] };
}

/** To whoever waits for a packet. */
function answer(channel: Channel, content: Content | undefined): ApplicationOut[] {
  const { reader } = channel;
  channel.reader = undefined;
  return reader === undefined ? [] : [reply(reader, content)];
}

/** Sends what there is room for. */
function flush(channel: Channel): ApplicationOut[] {
  const { ch, reliable, waiting } = channel;
  const count = reliable ? Math.min(channel.credit, waiting.length) : waiting.length;
  channel.credit -= count;
  return waiting
    .splice(0, count)
    .flatMap(({ req, head, body, end }): ApplicationOut[] => [
      { type: "send", ch, head, body, isGiven: true, ...(end && { end }) },
      reply(req, undefined),
    ]);
}

function problemOf(
  head: JsonObject,
  body: Uint8Array,
  reliable: boolean,
): readonly [code: string, message: string] | undefined {
  if (OURS.some((field) => head[field] !== undefined)) return BAD_HEAD;
  if (Object.keys(head).length - Number("type" in head) > FIELDS) return TOO_MANY;
  try {
    if (body.length <= packetRoom(head, reliable)) return undefined;
  } catch {
    return ["bad-packet", "the head cannot be written as JSON"];
  }
  return ["too-large", "head and body do not fit into one packet"];
}

function reply(req: number, value: unknown): ApplicationOut {
  return { type: "reply", req, value };
}

function refuse(req: number, code: string, message: string): ApplicationOut {
  return { type: "refuse", req, code, message };
}

/** Channel types of the specification (v3/channels) and of what is built on it here. */
const TAKEN: ReadonlySet<string> = new Set([
  ...["block", "box", "boxes", "chat", "connect", "inbox", "link", "outbox", "path", "peer", "sock", "stream", "thtp"],
]);
/** Fields of a head that belong to the channel. */
const OURS = ["c", "seq", "ack", "miss", "end", "err"];
const BAD_HEAD = ["bad-packet", "c, type, seq, ack, miss, end and err belong to the channel"] as const;
const FIELDS = 56; // of the 64 that a reader takes; OURS and type come on top
const TOO_MANY = ["bad-packet", `a head has ${FIELDS} fields at most`] as const;
const BAD_TYPE = "a type has 1 to 64 visible ASCII characters, and is none that telehash or Restante uses";
const UNKNOWN = "unknown type"; // what is said of every type that nobody serves
const NOT_SERVED = "channels of this type are not served";
const CLOSED = "the channel is over";
const AWAY = ["unreachable", "there is no link to this contact now"] as const;
const TYPES = 256;
const CHANNELS = 1024;
const CHANNELS_OF_LINK = 8; // of each end; an exchange has room for 256
const CHANNELS_OF_CONTACT = 32; // that all its devices opened
const WAITING = 64; // packets for which the window has no room
const UNREAD_DATAGRAMS = 64; // packets of an unreliable channel
const UNREAD_BYTES = 2 * 1024 * 1024; // of all channels with one contact: half of what an exchange holds
const HEAD_COST = 16; // as in e3x/channel.ts
const PACKET_COST = 128;
const REMEMBERED = 256;
const OPEN_MS = 40_000; // one handshake process of 30 s, and some air
const IDLE_MS = 10 * 60_000;
