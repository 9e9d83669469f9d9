/**
 * Mail: the machine that makes the promises of this project. Knows the contacts, has one `Delivery` and one `Received` for each of
 * their peers, and gives every input to whom it is for: sending.ts, receiving.ts, or the tests of our own caches. protocol/mail.md
 *
 * In what one `handle` returns, blob records come first, then saves, then all that may only happen after the commit.
 */
import type { Machine, Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { Alarms } from "./alarms.ts";
import { allowanceKey } from "./allowance.ts";
import type { CacheTest, CanaryIn, CanaryOut } from "./canary.ts";
import { type Correspondent as Peer, reputeKey, toldKey } from "./correspondent.ts";
import type { DeliveryIn, RankedCache } from "./delivery.ts";
import type { LedgerEntry } from "./ledger.ts";
import { Outcome } from "./outcome.ts";
import { createParts, type Parts } from "./parts.ts";
import type { OutboxEntry } from "./posted.ts";
import type { ReceivedIn, Source } from "./received-contract.ts";
import { Receiving } from "./receiving.ts";
import { type Destination, isSameKeys } from "./route.ts";
import { Sending } from "./sending.ts";
import type { Request } from "./strangers.ts";
import type { MailContact, MailIn, MailOptions, MailOut } from "./turn.ts";

/** All mail of one peer of ours. */
export class Mail implements Machine<MailIn, MailOut> {
  readonly #options: MailOptions;
  readonly #parts: Parts;
  readonly #sending: Sending;
  readonly #receiving: Receiving;
  readonly #outcome = new Outcome();
  readonly #alarms = new Alarms();
  readonly #up = new Set<Hashname>();
  #isStarted = false;
  #number = 1;

  constructor(options: MailOptions) {
    this.#options = options;
    this.#parts = createParts(options, () => this.#number++);
    const { canary } = this.#parts;
    this.#alarms.add(canary, () => this.#toCanary({ type: "tick" }));
    const shared = { mail: options, parts: this.#parts, outcome: this.#outcome, alarms: this.#alarms };
    this.#sending = new Sending({
      ...shared,
      toReceived: (peer, input) => this.#receiving.toReceived(peer, input),
    });
    this.#receiving = new Receiving({
      ...shared,
      heard: (peer, acknowledgement) => this.#sending.heard(peer, acknowledgement),
      acknowledge: (peer) => this.#sending.acknowledge(peer),
      met: (peer) => this.#sending.toDelivery(peer, { type: "met" }),
    });
  }

  handle(input: MailIn, now: Time): MailOut[] {
    this.#outcome.begin(now);
    if (!this.#isStarted) this.#sending.toSpool({ type: "start" });
    this.#isStarted = true;
    this.#take(input);
    this.#sending.feed();
    return this.#outcome.end();
  }

  deadline(): Time | undefined {
    return this.#alarms.next();
  }

  // --- questions (no change, no effect) ---

  /** Our own mail that is not final, or not for long; of much mail that waits for its turn only the newest: see `status`. */
  outbox(): OutboxEntry[] {
    return this.#parts.spool.outbox((peer) => this.#up.has(peer));
  }

  /** What became of a mail; `undefined` when the store has it under "ledger/<id>", or nobody. */
  ledger(id: string): readonly LedgerEntry[] | undefined {
    return this.#parts.spool.get(id)?.ledger;
  }

  /** Whether there may be a mail of ours with this id to the contact that is not over for long. */
  mayHave(contact: string, id: string): boolean {
    return this.#parts.spool.mayHave(contact, id);
  }

  requests(): Request[] {
    return this.#receiving.requests();
  }

  /** Number of the newest mail in the inbox; 0 when it is empty. */
  lastN(): number {
    return this.#parts.inbox.last;
  }

  /** Number of the newest mail of ours that was kept; 0 when there is none. */
  lastSent(): number {
    return this.#parts.sent.last;
  }

  unread(): number {
    return this.#parts.inbox.unread;
  }

  /** Whether a contact has not been told yet of mail that came from it. */
  get owesAcknowledgement(): boolean {
    return this.#parts.people.isOwed;
  }

  /** How many mails of a contact are known to be missing. */
  missing(contact: string): number {
    return this.#parts.people.missing(contact);
  }

  /** Is our card on its way to the contact? */
  isSendingCard(contact: string): boolean {
    return this.#parts.spool.isSendingCard(contact);
  }

  /** When a contact last spoke of mail that another copy of our store sent it; `undefined`: never. */
  get copiedAt(): Time | undefined {
    return this.#parts.spool.copiedAt;
  }

  /** The caches of a contact's peers, the best of each peer first. */
  cachesOf(contact: string): RankedCache[] {
    return this.#parts.people.cachesOf(contact);
  }

  /** The last test of each of our own caches. */
  cacheTests(): CacheTest[] {
    return this.#parts.canary.tests();
  }

  /** Up to which mail the user has seen the inbox. */
  seen(): number {
    return this.#parts.inbox.last - this.#parts.inbox.unread;
  }

  /** Figures without names, for status and metrics. */
  status(): { queued: number; behind: number; inFlight: number; junk: number; refused: number; unknown: number } {
    return {
      queued: this.#parts.spool.queued,
      behind: this.#parts.spool.behind,
      inFlight: this.#parts.slots.used,
      junk: this.#receiving.junk,
      refused: this.#parts.strangers.refused,
      unknown: this.#parts.strangers.unknown,
    };
  }

  #take(input: MailIn): void {
    switch (input.type) {
      case "contact":
        this.#setContact(input.contact);
        return;
      case "forget":
        this.#forget(input.contact);
        return;
      case "send":
        this.#sending.send(input);
        return;
      case "cancel":
        this.#sending.cancel(input);
        return;
      case "message":
        this.#message(input);
        return;
      case "brought":
        this.#receiving.bring(input);
        return;
      case "forgive":
        this.#receiving.toStrangers(input);
        return;
      case "flush":
        for (const peer of this.#parts.people.all()) this.#toReceived(peer, { type: "flush" });
        return;
      case "caches":
      case "keeps":
      case "test":
        this.#toCanary(input);
        return;
      case "delivered":
        if (this.#parts.canary.owns(input.id)) this.#toCanary({ type: "delivered", flight: input.id, ok: input.ok });
        else this.#sending.delivered(input.id, input.ok);
        return;
      case "link":
        this.#link(input.peer, input.up);
        return;
      case "renewed":
        for (const peer of this.#parts.people.near(input.peer)) this.#toDelivery(peer, input);
        return;
      case "accept":
      case "ignore":
        this.#receiving.answer(input);
        return;
      case "read":
        this.#sending.toSealing(input);
        this.#receiving.toInbox(input);
        this.#sending.toSpool(input);
        return;
      case "listed":
        this.#sending.toSpool(input);
        return;
      case "hash":
        this.#receiving.toInbox(input);
        return;
      case "blob":
        this.#sending.toSealing(input);
        return;
      case "erase":
        this.#erase(input);
        return;
      case "seen":
        this.#receiving.seen(input);
        return;
      case "space":
        this.#parts.disk.look(input.free);
        return;
      case "tick":
        this.#alarms.ring(this.#outcome.now);
    }
  }

  #setContact(contact: MailContact): void {
    const known = this.#parts.people.contact(contact.id);
    this.#parts.people.setContact(contact);
    const named = new Set(contact.peers.map(({ hashname }) => hashname));
    for (const { hashname } of known?.peers ?? []) if (!named.has(hashname)) this.#removePeer(contact.id, hashname);
    let isOther = false;
    for (const to of contact.peers) {
      const before = this.#parts.people.get(to.hashname);
      const peer = before ?? this.#addPeer(contact.id, to);
      if (peer.contact !== contact.id) continue;
      isOther ||= before !== undefined && !isSameKeys(peer.keys, to.keys);
      peer.keys = to.keys;
      const had = new Set(peer.caches.map((cache) => cache.hashname));
      for (const { hashname: cache } of to.caches) // one may be up already, for somebody else
        if (!had.has(cache)) this.#toDelivery(peer, { type: "link", peer: cache, up: this.#up.has(cache) });
      peer.caches = to.caches;
      peer.bazaar = to.bazaar;
      this.#toDelivery(peer, { type: "destination", to });
    }
    // News of its caches alone, and each card is news, is nothing to all that is in the spool.
    if (isOther) this.#sending.toSpool({ type: "again", contact: contact.id });
    for (const { hashname } of contact.peers) this.#receiving.absorb(hashname);
  }

  #addPeer(contact: string, to: Destination): Peer {
    const { hashname, caches } = to;
    const peer = this.#parts.people.add(contact, to);
    this.#alarms.add(peer.delivery, () => this.#toDelivery(peer, { type: "tick" }));
    this.#alarms.add(peer.received, () => this.#toReceived(peer, { type: "tick" }));
    this.#toReceived(peer, { type: "start" });
    for (const up of this.#up)
      if (up === hashname || caches.some((cache) => cache.hashname === up))
        this.#toDelivery(peer, { type: "link", peer: up, up: true });
    this.#sending.toSpool({ type: "join", peer: hashname, contact });
    this.#receiving.toStrangers({ type: "known", box: peer.box });
    return peer;
  }

  #removePeer(contact: string, hashname: Hashname): void {
    const peer = this.#parts.people.get(hashname);
    if (peer?.contact !== contact) return;
    this.#sending.toSpool({ type: "leave", peer: hashname });
    this.#toDelivery(peer, { type: "end" });
    this.#toReceived(peer, { type: "end" });
    this.#outcome.save(toldKey(hashname), undefined);
    this.#outcome.save(reputeKey(hashname), undefined);
    this.#parts.people.remove(peer);
    this.#alarms.remove(peer.delivery);
    this.#alarms.remove(peer.received);
  }

  #forget(id: string): void {
    const contact = this.#parts.people.contact(id);
    if (contact === undefined) return;
    this.#sending.toSpool({ type: "forget", contact: id });
    for (const { hashname } of contact.peers) this.#removePeer(id, hashname);
    this.#parts.people.forget(id);
    this.#outcome.save(allowanceKey(id), undefined);
  }

  #link(hashname: Hashname, up: boolean): void {
    if (up) this.#up.add(hashname);
    else this.#up.delete(hashname);
    this.#toCanary({ type: "link", peer: hashname, up });
    for (const peer of this.#parts.people.near(hashname)) this.#toDelivery(peer, { type: "link", peer: hashname, up });
  }

  #message(input: Extract<MailIn, { type: "message" }>): void {
    const { via, direct, box, id, bytes } = input;
    const source: Source = { type: direct ? "direct" : "cache", via, box, id };
    if (box !== this.#parts.ownBox) {
      this.#receiving.message(input, source);
      return;
    }
    this.#toCanary({ type: "message", via, id, bytes });
    this.#receiving.done(source);
  }

  #erase({ req, keys, files = [] }: Extract<MailIn, { type: "erase" }>): void {
    for (const key of keys) this.#outcome.save(key, undefined);
    for (const { contact, parts } of files) {
      const { key, value } = this.#parts.disk.erased(contact, parts);
      this.#outcome.save(key, value);
    }
    this.#outcome.reply(req, {});
  }

  #toDelivery(peer: Peer, input: DeliveryIn): void {
    this.#sending.toDelivery(peer, input);
  }

  #toReceived(peer: Peer, input: ReceivedIn): void {
    this.#receiving.toReceived(peer, input);
  }

  #toCanary(input: CanaryIn): void {
    const { canary } = this.#parts;
    for (const out of canary.handle(input, this.#outcome.now)) this.#fromCanary(out);
    this.#alarms.set(canary);
  }

  #fromCanary(out: CanaryOut): void {
    switch (out.type) {
      case "save":
        this.#outcome.save(out.key, out.value);
        return;
      case "deliver": {
        const { flight: id, route, bytes, expires } = out;
        this.#outcome.effect({ type: "deliver", id, route, to: this.#options.identity.hashname, bytes, expires });
        return;
      }
      case "withdraw":
      case "reply":
      case "refuse":
        this.#outcome.effect(out);
        return;
      case "judged":
        this.#outcome.tell({ type: "cache-test", ...out.test });
    }
  }
}
