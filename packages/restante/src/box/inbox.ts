/**
 * The recipient: hears which boxes hold messages, fetches them, has them removed when they are dealt with, and takes
 * what a sender leaves here itself. protocol/box.md §6, §8
 */
import { concat, Deadlines, fromHex, type Machine, type Time, toHex } from "../bytes/index.ts";
import type { Backend, Hashname } from "../crypto/index.ts";
import { flag, type JsonObject, uint } from "../wire/index.ts";
import { Assembly, AssemblyRoom, MAX_MESSAGE_BYTES } from "./assembly.ts";
import { type ChannelEvent, type ChannelOp, type ChannelOpened, NOTHING } from "./channel.ts";
import { boxId, ID_BYTES, IDS_PER_PACKET, messageId } from "./ids.ts";
import { unpackMany } from "./many.ts";

export type InboxIn =
  | ChannelEvent
  | { type: "up" | "down"; peer: Hashname }
  /**
   * The application is done with a message: its copy at `via` is removed. With `keep` it stays there, and comes again
   * some day. Owed once for each `message`; whoever does not say it within a minute has fewer messages waiting for him.
   */
  | { type: "done"; via: Hashname; box: string; id: string; keep?: boolean }
  /** What is left in this box, wherever it lies, is to come once more. */
  | { type: "again"; box: string }
  /** The turn is over: what was to be removed is asked for. Of an inbox that gathers, once `hasGathered`. */
  | { type: "gathered" }
  | { type: "tick" };

export type InboxOut =
  | ChannelOp
  /**
   * A message, the receiver's own bytes. `via`: the cache, or with `direct` the sender itself. `box` and `id` are 16 hex
   * characters. The same message may come again, by this way or another.
   */
  | { type: "message"; via: Hashname; direct: boolean; box: string; id: string; bytes: Uint8Array }
  /** A cache of ours has said whether it is one: told once for each link, and again when it says otherwise. */
  | { type: "keeps"; via: Hashname; keeps: boolean };

/** An `inbox` channel that we opened. */
interface Reader {
  readonly kind: "inbox";
  readonly ch: number;
  readonly way: Way;
  readonly box: string;
  readonly message: Assembly;
  credit: number;
  /** Ids to remove that were not sent yet. */
  readonly removals: Set<string>;
  /** `cap`s to come that answer packets that remove. One more than these says that the box has been sent to its end. */
  capsOwed: number;
  /** Packets that came since the last removal. */
  come: number;
  isDrained: boolean;
  isEnded: boolean;
  /** Nobody told us of this box: we want to hear its `cap`, and then it is ended. */
  isAsking: boolean;
  /** When the cache told of this box, and nothing has come since: to the cache it is not open, so it may never come to anything. */
  toldAgain: Time | undefined;
}

/** An `outbox` channel that a sender opened to us. */
interface Direct {
  readonly kind: "outbox";
  readonly ch: number;
  readonly way: Way;
  /** Absent: not for us, so it is taken and dropped. */
  readonly message: Assembly | undefined;
}

/** A `boxes` channel that a cache opened. */
interface Advert {
  readonly kind: "boxes";
  readonly ch: number;
  readonly way: Way;
}

/** One peer from which messages come. */
interface Way {
  readonly via: Hashname;
  /** By box, the least recently used first. */
  readonly readers: Map<string, Reader>;
  draining: number;
  /** Boxes to open, with what is to be removed there. */
  readonly wanted: Map<string, Set<string>>;
  readonly channels: Set<number>;
  /** Messages that the application has not dealt with: how many of each, and since when. The oldest first. */
  readonly open: Map<string, { count: number; readonly since: Time }>;
  openCount: number;
  /** Packets of each channel that are not acknowledged before the application has caught up. */
  readonly withheld: Map<number, number>;
  /** How many ids it takes in one packet to remove them, as it said on any inbox. */
  atOnce: number;
  /** The box of what the peer itself sends us, once it was asked for. */
  ownBox: string | undefined;
  /** Whether it says that it keeps anything, once it has said it. */
  keeps: boolean | undefined;
  /** It has told us of boxes. */
  hasShown: boolean;
}

/** The recipient role, and the sink for everything that is left at a peer which offers no cache. */
export class Inbox implements Machine<InboxIn, InboxOut> {
  readonly #backend: Backend;
  readonly #self: Hashname;
  readonly #handles: () => number;
  readonly #ways = new Map<Hashname, Way>();
  readonly #channels = new Map<number, Reader | Direct | Advert>();
  readonly #fetched = new AssemblyRoom({ perPeer: MAX_FETCHED_PER_PEER, inAll: MAX_FETCHED });
  readonly #direct = new AssemblyRoom({ perPeer: MAX_DIRECT_PER_PEER, inAll: MAX_DIRECT });
  /** For whoever is linked and no contact, under any number of hashnames: they must not shut out the contacts. */
  readonly #strangers = new AssemblyRoom({ perPeer: MAX_MESSAGE_BYTES, inAll: MAX_STRANGERS });
  readonly #isContact: (peer: Hashname) => boolean;
  readonly #isOurs: (cache: Hashname) => boolean;
  readonly #gathered: Set<Reader> | undefined; // may have removals to send
  readonly #slow = new Deadlines<Hashname>();
  /** Caches of ours that have not said yet whether they are some: when to ask. */
  readonly #asked = new Deadlines<Hashname>();
  #outs: InboxOut[] = [];

  /**
   * `isContact`: default everybody. `isOurs`: caches that are asked whether they still are; default none. `gathers`: removals wait
   * for `gathered`, so that all of a turn go together; default they leave at once.
   */
  constructor(options: {
    readonly backend: Backend;
    readonly self: Hashname;
    readonly handles: () => number;
    readonly isContact?: (peer: Hashname) => boolean;
    readonly isOurs?: (cache: Hashname) => boolean;
    readonly gathers?: boolean;
  }) {
    this.#gathered = options.gathers === true ? new Set() : undefined;
    this.#isContact = options.isContact ?? (() => true);
    this.#isOurs = options.isOurs ?? (() => false);
    this.#backend = options.backend;
    this.#self = options.self;
    this.#handles = options.handles;
  }

  /** Whether it waits for `gathered`. */
  get hasGathered(): boolean {
    return this.#gathered !== undefined && this.#gathered.size > 0;
  }

  handle(input: InboxIn, now: Time): InboxOut[] {
    switch (input.type) {
      case "opened":
        this.#opened(input, now);
        break;
      case "packet":
        this.#packet(input, now);
        break;
      case "writable": {
        const channel = this.#channels.get(input.ch);
        if (channel?.kind !== "inbox") break;
        channel.credit = input.credit;
        this.#removeFrom(channel);
        break;
      }
      case "ended":
      case "closed": {
        const channel = this.#channels.get(input.ch);
        if (channel !== undefined) this.#over(channel, input.type);
        break;
      }
      case "done": {
        const way = this.#ways.get(input.via);
        if (way !== undefined) this.#done(way, input.box, input.keep ? undefined : input.id, input.id);
        break;
      }
      case "again":
        for (const way of this.#ways.values()) this.#again(way, input.box);
        break;
      case "gathered":
        for (const reader of this.#gathered ?? [])
          if (this.#channels.get(reader.ch) === reader) this.#sendRemovals(reader);
        this.#gathered?.clear();
        break;
      case "down":
        this.#down(input.peer);
        break;
      case "up":
        if (!this.#isOurs(input.peer)) break;
        // Who holds something for us says so by itself.
        this.#way(input.peer).keeps = undefined;
        this.#asked.set(input.peer, now + ASK_MS);
        break;
      case "acked":
        break;
      case "tick":
        for (const via of this.#asked.due(now)) {
          const way = this.#ways.get(via);
          if (way !== undefined) this.#ask(way);
        }
        for (const via of this.#slow.due(now)) {
          const way = this.#ways.get(via);
          if (way !== undefined) this.#giveUpWaiting(way, now);
        }
        break;
    }
    const outs = this.#outs;
    this.#outs = []; // what has left is not kept until the next turn
    return outs;
  }

  deadline(): Time | undefined {
    const [slow, asked] = [this.#slow.next(), this.#asked.next()];
    return slow === undefined || asked === undefined ? (slow ?? asked) : Math.min(slow, asked);
  }

  #opened(open: ChannelOpened, now: Time): void {
    const { ch } = open;
    if (open.reliable !== (open.kind === "outbox")) return; // silently, as a cache would (seed 003)
    const way = this.#way(open.peer);
    if (open.kind === "outbox") {
      const isForUs = open.head["to"] === this.#self;
      const room = this.#isContact(open.peer) ? this.#direct : this.#strangers;
      const message = isForUs ? new Assembly(room, open.peer) : undefined;
      this.#channels.set(ch, { kind: "outbox", ch, way, message });
    } else if (open.kind === "boxes") {
      this.#channels.set(ch, { kind: "boxes", ch, way });
      way.hasShown = true;
    } else return;
    way.channels.add(ch);
    this.#packet(open, now);
  }

  #packet(packet: { ch: number; head: JsonObject; body: Uint8Array }, now: Time): void {
    const channel = this.#channels.get(packet.ch);
    switch (channel?.kind) {
      case "boxes":
        this.#advertised(channel.way, packet.body, now);
        return;
      case "outbox":
        this.#left(channel, packet.head, packet.body, now);
        this.#took(channel);
        return;
      case "inbox":
        this.#fetchedPart(channel, packet.head, packet.body, now);
        this.#took(channel);
    }
  }

  /** Part of a list of boxes. The lists of all packets are taken together, since some get lost. */
  #advertised(way: Way, body: Uint8Array, now: Time): void {
    if (body.length % ID_BYTES !== 0 || body.length > IDS_PER_PACKET * ID_BYTES) return;
    for (let at = 0; at < body.length; at += ID_BYTES) {
      const box = toHex(body.subarray(at, at + ID_BYTES));
      const reader = way.readers.get(box);
      if (reader !== undefined && this.#isDead(reader, now)) this.#dismiss(reader);
      this.#want(way, box);
    }
    this.#openWanted(way);
  }

  /** Whether the cache has given up the channel: it waited for our acknowledgements in vain, and we wait for nothing. */
  #isDead(reader: Reader, now: Time): boolean {
    reader.toldAgain ??= now;
    return now - reader.toldAgain >= DEAD_MS;
  }

  /** The box for ourselves, where nothing lies but tests: its `cap` tells a cache from what is none any more. */
  #ask(way: Way): void {
    const box = boxId(this.#backend, this.#self, this.#self);
    if (this.#want(way, box) === undefined) return;
    this.#openWanted(way);
    const reader = way.readers.get(box);
    if (reader !== undefined) reader.isAsking = true;
  }

  #want(way: Way, box: string): Set<string> | undefined {
    if (way.readers.has(box)) return undefined;
    const known = way.wanted.get(box);
    // More are advertised again when these are fetched.
    if (known !== undefined || way.wanted.size >= MAX_WANTED) return known;
    const removals = new Set<string>();
    way.wanted.set(box, removals);
    return removals;
  }

  #openWanted(way: Way): void {
    for (const [box, removals] of way.wanted) {
      if (way.draining >= MAX_DRAINING || way.openCount >= MAX_OPEN) return;
      if (way.readers.size >= MAX_STANDING && !this.#endLeastUsed(way)) return;
      way.wanted.delete(box);
      const ch = this.#handles();
      const message = new Assembly(this.#fetched, way.via);
      const state = { credit: 0, removals, capsOwed: 0, come: 0, isDrained: false, isEnded: false, isAsking: false };
      const reader: Reader = { kind: "inbox", ch, way, box, message, ...state, toldAgain: undefined };
      way.readers.set(box, reader);
      way.draining++;
      way.channels.add(ch);
      this.#channels.set(ch, reader);
      const head = { type: "inbox", box, many: MANY };
      this.#outs.push({ type: "open", ch, peer: way.via, reliable: true, head, body: NOTHING });
    }
  }

  #endLeastUsed(way: Way): boolean {
    for (const reader of way.readers.values()) {
      if (this.#isBusy(reader)) continue;
      this.#dismiss(reader);
      return true;
    }
    return false;
  }

  #isBusy({ isDrained, message, removals }: Reader): boolean {
    return !isDrained || message.isUnfinished || removals.size > 0;
  }

  #dismiss(reader: Reader): void {
    this.#sendRemovals(reader); // what was dealt with in this turn
    this.#leave(reader);
    this.#end(reader);
  }

  /** A packet of a message that waited at a cache. */
  #fetchedPart(reader: Reader, head: JsonObject, body: Uint8Array, now: Time): void {
    const { way, box } = reader;
    if (reader.isEnded) return;
    reader.come++;
    reader.toldAgain = undefined;
    way.readers.delete(box);
    way.readers.set(box, reader);
    const atOnce = uint(head, "ids");
    if (atOnce !== undefined) way.atOnce = Math.min(atOnce, IDS_PER_PACKET);
    if (flag(head, "many")) {
      // Never inside a message, and never more than we take: what is there is no message then, or no cache of ours.
      const messages = reader.message.isUnfinished ? undefined : unpackMany(body, MANY);
      for (const bytes of messages ?? []) this.#deliver(way, false, box, bytes, now);
    } else {
      const bytes = reader.message.push(body, flag(head, "done"), now);
      if (bytes !== undefined) this.#deliver(way, false, box, bytes, now);
    }
    const cap = uint(head, "cap");
    if (cap !== undefined) {
      this.#said(way, cap > 0);
      if (reader.capsOwed > 0) {
        reader.capsOwed--;
        this.#removeFrom(reader);
      } else this.#drained(reader);
      if (reader.isAsking && !this.#isBusy(reader)) this.#dismiss(reader);
    }
  }

  /** A packet of a message that its sender leaves with us itself. Nothing is kept here, so there is nothing to remove. */
  #left(direct: Direct, head: JsonObject, body: Uint8Array, now: Time): void {
    if (flag(head, "clear")) direct.message?.clear();
    const bytes = direct.message?.push(body, flag(head, "done"), now);
    if (bytes !== undefined) this.#deliver(direct.way, true, this.#boxOf(direct.way), bytes, now);
  }

  #deliver(way: Way, direct: boolean, box: string, bytes: Uint8Array, now: Time): void {
    const id = messageId(this.#backend, box, bytes);
    const key = `${box} ${id}`;
    const open = way.open.get(key);
    if (open === undefined) way.open.set(key, { count: 1, since: now });
    else open.count++;
    way.openCount++;
    if (way.openCount >= MAX_OPEN) this.#watch(way);
    this.#outs.push({ type: "message", via: way.via, direct, box, id, bytes });
  }

  #done(way: Way, box: string, removal: string | undefined, id: string): void {
    const key = `${box} ${id}`;
    const open = way.open.get(key);
    if (open !== undefined) {
      way.openCount--;
      if (--open.count === 0) way.open.delete(key);
    }
    if (removal !== undefined && fromHex(box)?.length === ID_BYTES) {
      const reader = way.readers.get(box);
      if (reader !== undefined) {
        // Who does not acknowledge what we ask must not make us remember it without end: what is left comes again.
        if (reader.removals.size < MAX_REMOVALS) reader.removals.add(removal);
        this.#removeFrom(reader);
      } else if (box !== this.#boxOf(way)) {
        // Its channel was ended to make room for others. (What came from the sender itself lies nowhere.)
        const removals = this.#want(way, box);
        if (removals !== undefined && removals.size < MAX_REMOVALS) removals.add(removal);
      }
    }
    this.#caughtUp(way);
  }

  /** It may have something to remove now. */
  #removeFrom(reader: Reader): void {
    if (this.#gathered === undefined) this.#sendRemovals(reader);
    else if (reader.removals.size > 0) this.#gathered.add(reader);
  }

  /**
   * Sends what it may. To a cache that takes many ids in a packet, the first packet leaves when the box has been fetched or a
   * good part of it has come, the next one when that before is answered, and any when it is full: so removals are as fast as
   * the cache, and what comes in the meantime costs one packet.
   */
  #sendRemovals(reader: Reader): void {
    const { removals, ch } = reader;
    while (removals.size > 0 && reader.credit > 0 && !reader.isEnded) {
      const most = Math.max(reader.way.atOnce, 1);
      const isEarly = reader.capsOwed > 0 || (!reader.isDrained && reader.come < MANY_CAME);
      if (most > 1 && removals.size < most && isEarly) return;
      const ids: string[] = [];
      for (const id of removals) {
        removals.delete(id);
        if (ids.push(id) === most) break;
      }
      reader.credit--;
      reader.come = 0;
      reader.capsOwed++;
      const [id = ""] = ids;
      const isOne = ids.length === 1;
      const body = isOne ? NOTHING : concat(...ids.map((id) => fromHex(id) ?? NOTHING));
      this.#outs.push({ type: "send", ch, head: isOne ? { id } : {}, body });
    }
  }

  #took(channel: Reader | Direct): void {
    const { way, ch } = channel;
    if (way.openCount < MAX_OPEN) this.#outs.push({ type: "took", ch });
    else way.withheld.set(ch, (way.withheld.get(ch) ?? 0) + 1);
  }

  /** The application dealt with something: acknowledge what waited for that, and fetch more. */
  #caughtUp(way: Way): void {
    this.#watch(way);
    if (way.openCount >= MAX_OPEN) return;
    for (const [ch, count] of way.withheld) for (let i = 0; i < count; i++) this.#outs.push({ type: "took", ch });
    way.withheld.clear();
    this.#openWanted(way);
  }

  /** Only whoever is opened anew shows what was shown before. */
  #again(way: Way, box: string): void {
    if (!way.hasShown || way.wanted.has(box)) return;
    const reader = way.readers.get(box);
    if (reader !== undefined) this.#dismiss(reader);
    this.#want(way, box);
    this.#openWanted(way);
  }

  /** An application that forgets to answer slows its mail down; it must not stop it for good. */
  #giveUpWaiting(way: Way, now: Time): void {
    for (const [key, { count, since }] of way.open) {
      if (since + SLOW_MS > now) break;
      way.open.delete(key);
      way.openCount -= count;
    }
    this.#caughtUp(way);
  }

  #watch(way: Way): void {
    const [oldest] = way.open.values();
    const isFull = oldest !== undefined && way.openCount >= MAX_OPEN;
    this.#slow.set(way.via, isFull ? oldest.since + SLOW_MS : undefined);
  }

  #drained(reader: Reader): void {
    if (reader.isDrained) return;
    reader.isDrained = true;
    reader.way.draining--;
    this.#removeFrom(reader);
    this.#openWanted(reader.way);
  }

  #said(way: Way, keeps: boolean): void {
    if (way.keeps === keeps || !this.#isOurs(way.via)) return;
    way.keeps = keeps;
    this.#asked.set(way.via, undefined);
    this.#outs.push({ type: "keeps", via: way.via, keeps });
  }

  #over(channel: Reader | Direct | Advert, how: "ended" | "closed"): void {
    const { ch, way } = channel;
    if (channel.kind === "inbox") this.#leave(channel);
    else if (channel.kind === "outbox") channel.message?.clear();
    if (how === "ended") this.#end(channel);
    else {
      this.#channels.delete(ch);
      way.channels.delete(ch);
      way.withheld.delete(ch);
    }
    this.#openWanted(way);
  }

  /** The reader's box is not open any more. */
  #leave(reader: Reader): void {
    const { way, box } = reader;
    reader.message.clear();
    if (way.readers.get(box) !== reader) return;
    way.readers.delete(box);
    if (!reader.isDrained) way.draining--;
  }

  #end(channel: Reader | Direct | Advert): void {
    if (channel.kind === "inbox") {
      if (channel.isEnded) return;
      channel.isEnded = true;
    }
    this.#outs.push({ type: "send", ch: channel.ch, head: {}, body: NOTHING, end: true });
  }

  #down(peer: Hashname): void {
    const way = this.#ways.get(peer);
    if (way === undefined) return;
    // What was not removed comes again with the next link, and is recognised.
    for (const ch of way.channels) {
      const channel = this.#channels.get(ch);
      if (channel !== undefined && channel.kind !== "boxes") channel.message?.clear();
      this.#channels.delete(ch);
    }
    this.#ways.delete(peer);
    this.#slow.set(peer, undefined);
    this.#asked.set(peer, undefined);
  }

  #way(via: Hashname): Way {
    const known = this.#ways.get(via);
    if (known !== undefined) return known;
    const way: Way = {
      via,
      readers: new Map(),
      draining: 0,
      wanted: new Map(),
      channels: new Set(),
      open: new Map(),
      openCount: 0,
      withheld: new Map(),
      atOnce: 1,
      ownBox: undefined,
      keeps: undefined,
      hasShown: false,
    };
    this.#ways.set(via, way);
    return way;
  }

  #boxOf(way: Way): string {
    way.ownBox ??= boxId(this.#backend, way.via, this.#self);
    return way.ownBox;
  }
}

const MAX_WANTED = 4096; // boxes that wait to be opened, per cache
const MAX_DRAINING = 16; // boxes that are being fetched at once, per cache
const MAX_STANDING = 32; // open inboxes per cache, of the 64 that it serves
const MAX_REMOVALS = 1024; // that wait for an inbox to be opened or to take them, per box
const MAX_OPEN = 64; // messages of one peer that the application has not dealt with
const MANY_CAME = 32; // packets of a box: what comes again if the link is lost now is some 40 KB
const MANY = 64; // messages in one packet: as many as may wait for the application
const SLOW_MS = 60_000;
const DEAD_MS = 5_000; // what the cache told before our inbox reached it has come by then
const ASK_MS = 1000; // after its link came up: what a cache holds it has told by then, and answered for
const MAX_FETCHED_PER_PEER = (MAX_STANDING + 1) * 64 * 1024;
const MAX_FETCHED = 16 * 1024 * 1024;
const MAX_DIRECT_PER_PEER = 512 * 1024; // as at a cache
const MAX_DIRECT = 8 * 1024 * 1024;
const MAX_STRANGERS = 1024 * 1024;
