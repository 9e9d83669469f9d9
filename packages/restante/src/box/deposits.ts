/**
 * The cache's end of `outbox`: puts messages together and hands them to the store. Whoever writes sees the same
 * whatever becomes of it: `took` for each packet, an end for an end, never an `err` (C44, C45). protocol/box.md §5
 */
import { slabs, type Time } from "../bytes/index.ts";
import { type Backend, type Hashname, parseHashname } from "../crypto/index.ts";
import { type JsonObject, text, uint } from "../wire/index.ts";
import { Assembly, AssemblyRoom, MAX_MESSAGE_BYTES } from "./assembly.ts";
import { type ChannelEvent, type ChannelOp, type ChannelOpened, NOTHING } from "./channel.ts";
import { boxId, MessageIds, removedId } from "./ids.ts";
import type { Admit, BoxClass, BoxOp, PartOut, PutMessage, PutPlace } from "./operations.ts";
import { type RateLimits, Rates } from "./rates.ts";

interface Options {
  readonly backend: Backend;
  readonly self: Hashname;
  readonly admit: Admit;
  readonly revision?: (to: Hashname) => number;
  readonly serial?: (uri: string | undefined) => number | undefined;
  readonly rates?: RateLimits;
  /** Adds a message to the put before, if that is of the same and has not left yet. False: it has to be put by itself. */
  readonly join: (place: PutPlace, message: PutMessage, expires: Time, granted: BoxClass) => boolean;
  /** Gives the question its number, in the order of asking; `undefined`: there is no room for it, and it is dropped. */
  readonly ask: (question: Question, now: Time) => Out | undefined;
}

type Question = Extract<PartOut, { type: "store" }>;
type Out = ChannelOp | { type: "boxes"; op: BoxOp };

/** Where the messages of a channel go, and what was shown for that. */
interface Target {
  readonly to: Hashname;
  readonly uri: string | undefined;
  readonly stamp: string | undefined;
  readonly ids: MessageIds;
  readonly place: PutPlace;
}

/** One `outbox` channel. `target` is absent where everything is dropped, whatever the token says. */
interface Deposit {
  readonly peer: Hashname;
  readonly target: Target | undefined;
  readonly message: Assembly;
  class: BoxClass | undefined;
  askedAt: Time;
  /** Of what the recipient has revoked, when that was asked. */
  revision: number;
}

/** What a packet has. */
type Content = { readonly head: JsonObject; readonly body: Uint8Array };

/** All `outbox` channels that others opened to us. */
export class Deposits {
  readonly #options: Options;
  readonly #room = new AssemblyRoom({
    perPeer: MAX_BYTES_PER_PEER,
    perRecipient: MAX_BYTES_PER_RECIPIENT,
    inAll: MAX_BYTES,
  });
  /** Whoever has an invite can come under any number of hashnames: their half messages must not shut out the others. */
  readonly #strangersRoom = new AssemblyRoom({
    perPeer: MAX_MESSAGE_BYTES,
    perRecipient: MAX_STRANGER_BYTES_PER_RECIPIENT,
    inAll: MAX_STRANGER_BYTES,
  });
  readonly #rates: Rates;
  readonly #slabs = slabs(SLAB_BYTES);
  readonly #deposits = new Map<number, Deposit>();
  readonly #ofPeer = new Map<Hashname, Set<number>>();

  constructor(options: Options) {
    this.#options = options;
    this.#rates = new Rates(options.rates);
  }

  opened(open: ChannelOpened, now: Time): Out[] {
    const { self, admit } = this.#options;
    const channels = this.#ofPeer.get(open.peer) ?? new Set();
    const to = parseHashname(open.head["to"]);
    const [uri, stamp] = [text(open.head, "uri"), text(open.head, "stamp")];
    // The sender is who the exchange says it is, so nobody writes into another's box (C31).
    const target =
      to === undefined || to === self || channels.size >= MAX_CHANNELS_PER_PEER
        ? undefined
        : this.#target(open.peer, to, uri, stamp);
    const granted = target && admit(uri, target.to, open.peer, now, stamp);
    const isKnown = granted !== undefined && granted !== "stranger";
    const room = isKnown ? this.#room : this.#strangersRoom;
    const message = new Assembly(room, open.peer, { recipient: to, array: this.#slabs });
    const revision = target === undefined ? 0 : this.#revision(target.to);
    this.#deposits.set(open.ch, { peer: open.peer, target, message, class: granted, askedAt: now, revision });
    channels.add(open.ch);
    this.#ofPeer.set(open.peer, channels);
    return this.packets(open.ch, [open], now) ?? [];
  }

  /** Packets that came one after the other. `undefined`: it is no channel of these. `isGiven`: nobody else has their bodies. */
  packets(ch: number, packets: readonly Content[], now: Time, isGiven = false): Out[] | undefined {
    const deposit = this.#deposits.get(ch);
    if (deposit === undefined) return undefined;
    const count = packets.length;
    const took: Out = count === 1 ? { type: "took", ch } : { type: "took", ch, count };
    const granted = this.#granted(deposit, now);
    const outs = [took];
    for (const packet of packets) this.#packet(deposit, granted, packet, isGiven, now, outs);
    return outs;
  }

  #packet(
    deposit: Deposit,
    granted: BoxClass | undefined,
    { head, body }: Content,
    isGiven: boolean,
    now: Time,
    outs: Out[],
  ): void {
    const { message, target } = deposit;
    // On the way of every message, so by their names: `flag` sees the heads of all channels, and looks each up.
    const isLast = head["done"] === true;
    const isClear = head["clear"] === true;
    if (target === undefined || granted === undefined) {
      message.skip(); // should the token become good again, then from the next message on
      message.push(NOTHING, isLast, now);
      return;
    }
    const removed = removedId(head, body);
    const isRemoval = removed !== undefined || isClear;
    if (isRemoval) this.#ask(this.#remove(deposit, target, granted, removed, isClear, now), now, outs);
    const bytes = message.push(body, isLast, now, isGiven);
    const seconds = bytes === undefined || head["x"] === undefined ? undefined : uint(head, "x");
    if (bytes !== undefined) this.#ask(this.#put(deposit.peer, target, granted, bytes, seconds, now), now, outs);
  }

  /** At once: whether the next message is added to a put hangs on what was asked before it. */
  #ask(question: Question | undefined, now: Time, outs: Out[]): void {
    const asked = question && this.#options.ask(question, now);
    if (asked !== undefined) outs.push(asked);
  }

  #put(
    peer: Hashname,
    { to, ids, place }: Target,
    granted: BoxClass,
    bytes: Uint8Array,
    seconds: number | undefined,
    now: Time,
  ): Question | undefined {
    if (!this.#rates.put(granted, peer, to, bytes.length, now, place.box)) {
      bytes.fill(0);
      return undefined;
    }
    const expires = now + Math.min(seconds ?? MAX_LIFETIME_S, MAX_LIFETIME_S) * 1000;
    const { recipient, box, serial } = place;
    const message = ids.name(bytes);
    if (this.#options.join(place, message, expires, granted)) return undefined;
    const { id } = message;
    // One by one, on the way of every message: to spread an object costs more than to make it.
    return serial === undefined
      ? { type: "store", request: { type: "put", recipient, box, id, bytes, expires, class: granted }, place }
      : { type: "store", request: { type: "put", recipient, box, serial, id, bytes, expires, class: granted }, place };
  }

  #remove(
    { peer, message }: Deposit,
    { place }: Target,
    granted: BoxClass,
    id: string | undefined,
    isClear: boolean,
    now: Time,
  ): Question | undefined {
    if (isClear) message.clear();
    if (!this.#rates.remove(granted, peer, now)) return undefined;
    if (isClear) return { type: "store", request: { type: "clear", ...place }, place };
    return id === undefined ? undefined : { type: "store", request: { type: "remove", ...place, id }, place };
  }

  over(event: Extract<ChannelEvent, { type: "ended" | "closed" }>): Out[] {
    const deposit = this.#deposits.get(event.ch);
    if (deposit === undefined) return [];
    deposit.message.clear();
    if (event.type === "ended") return [{ type: "send", ch: event.ch, head: {}, body: NOTHING, end: true }];
    this.#deposits.delete(event.ch);
    const channels = this.#ofPeer.get(deposit.peer);
    if (channels?.delete(event.ch) && channels.size === 0) this.#ofPeer.delete(deposit.peer);
    return [];
  }

  down(peer: Hashname): void {
    for (const ch of this.#ofPeer.get(peer) ?? []) {
      this.#deposits.get(ch)?.message.clear();
      this.#deposits.delete(ch);
    }
    this.#ofPeer.delete(peer);
  }

  #target(peer: Hashname, to: Hashname, uri: string | undefined, stamp: string | undefined): Target {
    const { backend } = this.#options;
    const box = boxId(backend, peer, to);
    const serial = this.#options.serial?.(uri);
    const place = serial === undefined ? { recipient: to, box } : { recipient: to, box, serial };
    return { to, uri, stamp, ids: new MessageIds(backend, box), place };
  }

  #granted(deposit: Deposit, now: Time): BoxClass | undefined {
    const { target } = deposit;
    if (target === undefined) return undefined;
    const revision = this.#revision(target.to);
    // A clock that was set back must not make a grant last.
    if (deposit.revision !== revision || deposit.askedAt + ASK_AGAIN_MS <= now || now < deposit.askedAt) {
      deposit.class = this.#options.admit(target.uri, target.to, deposit.peer, now, target.stamp);
      deposit.askedAt = now;
      deposit.revision = revision;
    }
    return deposit.class;
  }

  #revision(to: Hashname): number {
    return this.#options.revision?.(to) ?? 0;
  }
}

const MAX_BYTES = 8 * 1024 * 1024; // of unfinished messages in all: X20
const MAX_STRANGER_BYTES = 1024 * 1024; // the same of strangers, besides
const MAX_BYTES_PER_RECIPIENT = 2 * 1024 * 1024; // who is a recipient can name senders without end: they share this
const MAX_STRANGER_BYTES_PER_RECIPIENT = 256 * 1024; // their pool
const MAX_BYTES_PER_PEER = 512 * 1024; // eight of the longest
const MAX_CHANNELS_PER_PEER = 64;
const MAX_LIFETIME_S = 30 * 24 * 60 * 60; // DESIGN "Constants"
const ASK_AGAIN_MS = 60_000;
const SLAB_BYTES = 32 * 1024; // messages on their way to the store, which overwrites them when it has them
