/**
 * The cache's end of `outbox`: puts messages together and hands them to the store. Whoever writes sees the same
 * whatever becomes of it: `took` for each packet, an end for an end, never an `err` (C44, C45). protocol/box.md §5
 */
import type { Time } from "../bytes/index.ts";
import { type Backend, type Hashname, parseHashname } from "../crypto/index.ts";
import { flag, type JsonObject, text, uint } from "../wire/index.ts";
import { Assembly, AssemblyRoom, MAX_MESSAGE_BYTES } from "./assembly.ts";
import { type ChannelEvent, type ChannelOpened, NOTHING } from "./channel.ts";
import { boxId, messageId, removedId } from "./ids.ts";
import type { BoxClass, PartOut } from "./operations.ts";
import { type RateLimits, Rates } from "./rates.ts";

interface Options {
  readonly backend: Backend;
  readonly self: Hashname;
  readonly admit: (uri: string | undefined, to: Hashname, sender: Hashname, now: Time) => BoxClass | undefined;
  readonly revision?: (to: Hashname) => number;
  readonly rates?: RateLimits;
}

/** One `outbox` channel. `target` is absent where everything is dropped, whatever the token says. */
interface Deposit {
  readonly peer: Hashname;
  readonly target: { readonly to: Hashname; readonly uri: string | undefined; readonly box: string } | undefined;
  readonly message: Assembly;
  class: BoxClass | undefined;
  askedAt: Time;
  /** Of what the recipient has revoked, when that was asked. */
  revision: number;
}

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
  readonly #deposits = new Map<number, Deposit>();
  readonly #ofPeer = new Map<Hashname, Set<number>>();

  constructor(options: Options) {
    this.#options = options;
    this.#rates = new Rates(options.rates);
  }

  has(ch: number): boolean {
    return this.#deposits.has(ch);
  }

  opened(open: ChannelOpened, now: Time): PartOut[] {
    const { backend, self, admit } = this.#options;
    const channels = this.#ofPeer.get(open.peer) ?? new Set();
    const to = parseHashname(open.head["to"]);
    const uri = text(open.head, "uri");
    // The sender is who the exchange says it is, so nobody writes into another's box (C31).
    const target =
      to === undefined || to === self || channels.size >= MAX_CHANNELS_PER_PEER
        ? undefined
        : { to, uri, box: boxId(backend, open.peer, to) };
    const granted = target && admit(uri, target.to, open.peer, now);
    const isKnown = granted !== undefined && granted !== "stranger";
    const message = new Assembly(isKnown ? this.#room : this.#strangersRoom, open.peer, to);
    const revision = target === undefined ? 0 : this.#revision(target.to);
    this.#deposits.set(open.ch, { peer: open.peer, target, message, class: granted, askedAt: now, revision });
    channels.add(open.ch);
    this.#ofPeer.set(open.peer, channels);
    return this.packet(open, now);
  }

  packet(packet: { ch: number; head: JsonObject; body: Uint8Array }, now: Time): PartOut[] {
    const deposit = this.#deposits.get(packet.ch);
    if (deposit === undefined) return [];
    const { head, body } = packet;
    const { message, target } = deposit;
    const isLast = flag(head, "done");
    const outs: PartOut[] = [{ type: "took", ch: packet.ch }];
    const granted = this.#granted(deposit, now);
    if (target === undefined || granted === undefined) {
      message.skip(); // should the token become good again, then from the next message on
      message.push(NOTHING, isLast, now);
      return outs;
    }
    const { peer } = deposit;
    const place = { recipient: target.to, box: target.box };
    if (flag(head, "clear")) {
      message.clear();
      if (this.#rates.remove(granted, peer, now)) outs.push({ type: "store", request: { type: "clear", ...place } });
    }
    const removed = removedId(head, body);
    if (removed !== undefined && this.#rates.remove(granted, peer, now))
      outs.push({ type: "store", request: { type: "remove", ...place, id: removed } });
    const bytes = message.push(body, isLast, now);
    if (bytes !== undefined && !this.#rates.put(granted, peer, target.to, bytes.length, now)) bytes.fill(0);
    else if (bytes !== undefined) {
      const id = messageId(this.#options.backend, target.box, bytes);
      const seconds = uint(head, "x") ?? MAX_LIFETIME_S;
      const expires = now + Math.min(seconds, MAX_LIFETIME_S) * 1000;
      outs.push({ type: "store", request: { type: "put", ...place, id, bytes, expires, class: granted } });
    }
    return outs;
  }

  over(event: Extract<ChannelEvent, { type: "ended" | "closed" }>): PartOut[] {
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

  #granted(deposit: Deposit, now: Time): BoxClass | undefined {
    const { target } = deposit;
    if (target === undefined) return undefined;
    const revision = this.#revision(target.to);
    // A clock that was set back must not make a grant last.
    if (deposit.revision !== revision || deposit.askedAt + ASK_AGAIN_MS <= now || now < deposit.askedAt) {
      deposit.class = this.#options.admit(target.uri, target.to, deposit.peer, now);
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
