/**
 * Mail: the machine that makes the promises of this project. It owns one `Delivery` and one `Received` per peer of a
 * contact, the spool, the inbox and what strangers sent, and carries what one says to the other. protocol/mail.md
 *
 * In what one `handle` returns, blob records come first, then saves, then all that may only happen after the commit.
 */
import { Deadlines, fromUtf8, type Machine, type Time, toHex } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { parseAck } from "./acknowledgement.ts";
import { Allowance, allowanceKey } from "./allowance.ts";
import { CANARY_KEY, type CacheTest, Canary, type CanaryIn, type CanaryOut } from "./canary.ts";
import { EXPIRY_MS } from "./constants.ts";
import {
  acknowledgementTo,
  correspondent,
  type Correspondent as Peer,
  reputeKey,
  savedByPeer,
  toldKey,
} from "./correspondent.ts";
import type { DeliveryIn, DeliveryOut, RankedCache } from "./delivery.ts";
import { addresseeOf, mailOf, type Ownerless, REFUSALS, tooLarge } from "./draft.ts";
import { isForwardKey } from "./forward.ts";
import type { Hello } from "./hello.ts";
import { Inbox, type InboxIn, type InboxOut } from "./inbox.ts";
import { messageKind, parsePart } from "./inner.ts";
import { isFinal, type LedgerEntry, stateOf } from "./ledger.ts";
import { openFromContact } from "./open.ts";
import type { ReceivedIn, ReceivedOut, Source } from "./received.ts";
import { asJson, type Save } from "./record.ts";
import { type Destination, isSameKeys } from "./route.ts";
import { Sealing, type SealingIn, type SealingOut } from "./sealing.ts";
import { SENT_COUNT_KEY, Sent } from "./sent.ts";
import { Slots } from "./slots.ts";
import { type Addressee, type OutboxEntry, type Posted, Spool, type SpoolIn, type SpoolOut } from "./spool.ts";
import { type Request, Strangers, type StrangersIn, type StrangersOut } from "./strangers.ts";
import type { MailContact, MailEvent, MailIn, MailOptions, MailOut, ReadMail } from "./turn.ts";

/** All mail of one peer of ours. */
export class Mail implements Machine<MailIn, MailOut> {
  readonly #options: MailOptions;
  readonly #spool: Spool;
  readonly #sealing: Sealing;
  readonly #inbox: Inbox;
  readonly #sent: Sent;
  readonly #strangers: Strangers;
  readonly #canary: Canary;
  /** Of what we leave for ourselves. */
  readonly #ownBox: string;
  readonly #contacts = new Map<string, MailContact>();
  readonly #peers = new Map<Hashname, Peer>();
  /** Whose box it is: known beforehand for every contact. */
  readonly #boxes = new Map<string, Hashname>();
  readonly #allowances = new Map<string, Allowance>();
  readonly #up = new Set<Hashname>();
  readonly #slots = new Slots();
  /** Who waits for the answer to a `deliver`. */
  readonly #flights = new Map<number, Peer>();
  /** How many mails of a request are not taken over yet. */
  readonly #absorbing = new Map<string, number>();
  /** Saved state of peers that no contact has named yet. */
  readonly #saved: Map<Hashname, Map<string, Uint8Array>>;
  readonly #deadlines = new Deadlines<Machine<{ type: "tick" }, unknown>>();
  readonly #ticks = new Map<Machine<{ type: "tick" }, unknown>, () => void>();
  #isStarted = false;
  #number = 1;
  #junk = 0;
  #now: Time = 0;
  #records: MailOut[] = [];
  #saves = new Map<string, Uint8Array | undefined>();
  #effects: MailOut[] = [];

  constructor(options: MailOptions) {
    this.#options = options;
    const { crypto, identity, random, saved, boxId, isInvite = () => true, isBlocked = () => false } = options;
    const reads = (): number => this.#number++;
    const isKey = (key: string): boolean => isForwardKey(crypto.backend, key);
    const draw = (): string => toHex(random(EPOCH_BYTES));
    this.#spool = new Spool({ saved, fresh: draw(), draw, isKey });
    this.#sealing = new Sealing({ crypto, identity, reads });
    this.#inbox = new Inbox({ saved: saved.get("mail/n"), reads });
    this.#sent = new Sent({ saved: saved.get(SENT_COUNT_KEY), isKept: options.keepSent ?? true });
    const boxOf = (sender: Hashname): string => boxId(sender, identity.hashname);
    this.#strangers = new Strangers({ crypto, identity, saved, boxOf, isInvite, isBlocked });
    const ownBox = boxOf(identity.hashname);
    this.#ownBox = ownBox;
    this.#canary = new Canary({
      ...{ crypto, identity, random },
      flights: reads,
      messageId: (bytes) => options.messageId(ownBox, bytes),
      saved: saved.get(CANARY_KEY),
    });
    this.#ticks.set(this.#canary, () => this.#toCanary({ type: "tick" }));
    this.#ticks.set(this.#spool, () => this.#toSpool({ type: "tick" }));
    this.#ticks.set(this.#strangers, () => this.#toStrangers({ type: "tick" }));
    this.#deadlines.set(this.#spool, 0); // it has to be started, by whatever input comes first
    this.#deadlines.set(this.#strangers, this.#strangers.deadline());
    this.#saved = savedByPeer(saved);
  }

  handle(input: MailIn, now: Time): MailOut[] {
    this.#now = now;
    if (!this.#isStarted) this.#toSpool({ type: "start" });
    this.#isStarted = true;
    this.#take(input);
    this.#slots.feed((hashname) => this.#toDeliveryOf(hashname, { type: "tick" }));
    const saves = [...this.#saves].map(([key, value]): Save => ({ type: "save", key, value }));
    const out = [...this.#records, ...saves, ...this.#effects];
    this.#records = [];
    this.#saves = new Map();
    this.#effects = [];
    return out;
  }

  deadline(): Time | undefined {
    return this.#deadlines.next();
  }

  // --- questions (no change, no effect) ---

  /** Our own mail that is not final, or not for long. */
  outbox(): OutboxEntry[] {
    return this.#spool.outbox();
  }

  /** What became of a mail; `undefined` when the store has it under "ledger/<id>", or nobody. */
  ledger(id: string): readonly LedgerEntry[] | undefined {
    return this.#spool.get(id)?.ledger;
  }

  requests(): Request[] {
    return this.#strangers.requests().filter(({ request }) => !this.#absorbing.has(request));
  }

  /** Number of the newest mail in the inbox; 0 when it is empty. */
  lastN(): number {
    return this.#inbox.last;
  }

  /** Number of the newest mail of ours that was kept; 0 when there is none. */
  lastSent(): number {
    return this.#sent.last;
  }

  unread(): number {
    return this.#inbox.unread;
  }

  /** Whether a contact has not been told yet of mail that came from it. */
  get owesAcknowledgement(): boolean {
    return [...this.#peers.values()].some(({ received }) => received.isDue);
  }

  /** How many mails of a contact are known to be missing. */
  missing(contact: string): number {
    return [...this.#peers.values()].reduce((sum, peer) => sum + (peer.contact === contact ? peer.gaps : 0), 0);
  }

  /** Is our card on its way to the contact? */
  isSendingCard(contact: string): boolean {
    return this.#spool.mailsOf(contact).some(({ kind, ledger }) => kind === "card" && !isFinal(stateOf(ledger)));
  }

  /** When a contact last spoke of mail that another copy of our store sent it; `undefined`: never. */
  get copiedAt(): Time | undefined {
    return this.#spool.copiedAt;
  }

  /** The caches of a contact's peers, the best of each peer first. */
  cachesOf(contact: string): RankedCache[] {
    return [...this.#peers.values()].flatMap((peer) => (peer.contact === contact ? peer.delivery.caches() : []));
  }

  /** The last test of each of our own caches. */
  cacheTests(): CacheTest[] {
    return this.#canary.tests();
  }

  /** Up to which mail the user has seen the inbox. */
  seen(): number {
    return this.#inbox.last - this.#inbox.unread;
  }

  /** Figures without names, for status and metrics. */
  status(): { queued: number; inFlight: number; junk: number; refused: number } {
    return {
      queued: this.#spool.queued,
      inFlight: this.#slots.used,
      junk: this.#junk,
      refused: this.#strangers.refused,
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
        this.#send(input);
        return;
      case "cancel":
        this.#cancel(input.req, input.id);
        return;
      case "message":
        this.#message(input);
        return;
      case "forgive":
        this.#toStrangers(input);
        return;
      case "flush":
        for (const peer of this.#peers.values()) this.#toReceived(peer, { type: "flush" });
        return;
      case "caches":
      case "test":
        this.#toCanary(input);
        return;
      case "delivered": {
        const peer = this.#flights.get(input.id);
        if (this.#canary.owns(input.id)) this.#toCanary({ type: "delivered", flight: input.id, ok: input.ok });
        this.#flights.delete(input.id);
        if (peer !== undefined) this.#toDelivery(peer, { type: "delivered", flight: input.id, ok: input.ok });
        return;
      }
      case "link":
        this.#link(input.peer, input.up);
        return;
      case "renewed":
        for (const peer of this.#peers.values())
          if (peer.caches.some((cache) => cache.hashname === input.peer)) this.#toDelivery(peer, input);
        return;
      case "accept":
        this.#accept(input.req, input.request);
        return;
      case "ignore":
        if (!this.#strangers.has(input.request)) {
          this.#refuse(input.req, "not-found", "there is no such request");
          return;
        }
        this.#toStrangers({ type: "ignore", request: input.request });
        this.#reply(input.req, {});
        return;
      case "read":
        this.#toSealing(input);
        this.#toInbox(input);
        return;
      case "hash":
        this.#toInbox(input);
        return;
      case "blob":
        this.#toSealing(input);
        return;
      case "erase":
        for (const key of input.keys) this.#save(key, undefined);
        this.#reply(input.req, {});
        return;
      case "seen":
        this.#read(input.read ?? []);
        this.#toInbox({ type: "seen", n: input.n });
        this.#reply(input.req, { unread: this.#inbox.unread });
        return;
      case "tick":
        for (const child of this.#deadlines.due(this.#now)) this.#ticks.get(child)?.();
    }
  }

  #setContact(contact: MailContact): void {
    const known = this.#contacts.get(contact.id);
    this.#contacts.set(contact.id, contact);
    const named = new Set(contact.peers.map(({ hashname }) => hashname));
    for (const { hashname } of known?.peers ?? []) if (!named.has(hashname)) this.#removePeer(contact.id, hashname);
    let isOther = false;
    for (const to of contact.peers) {
      const before = this.#peers.get(to.hashname);
      const peer = before ?? this.#addPeer(contact.id, to);
      if (peer.contact !== contact.id) continue;
      isOther ||= before === undefined || !isSameKeys(peer.keys, to.keys);
      peer.keys = to.keys;
      peer.caches = to.caches;
      this.#toDelivery(peer, { type: "destination", to });
    }
    // News of its caches alone, and each card is news, is nothing to all that is in the spool.
    if (isOther || known === undefined)
      for (const mail of this.#spool.mailsOf(contact.id)) this.#readdress(mail, contact);
    for (const { hashname } of contact.peers) this.#absorb(hashname);
  }

  #addPeer(contact: string, to: Destination): Peer {
    const { hashname, caches } = to;
    const saved = this.#saved.get(hashname) ?? new Map<string, Uint8Array>();
    this.#saved.delete(hashname);
    const peer = correspondent({
      ...this.#options,
      ...{ contact, to, saved },
      spool: this.#spool,
      slots: this.#slots,
      flights: () => this.#number++,
      allowance: this.#allowanceOf(contact),
      isOwn: this.#contacts.get(contact)?.own === true,
    });
    this.#peers.set(hashname, peer);
    this.#boxes.set(peer.box, hashname);
    this.#ticks.set(peer.delivery, () => this.#toDelivery(peer, { type: "tick" }));
    this.#ticks.set(peer.received, () => this.#toReceived(peer, { type: "tick" }));
    this.#toReceived(peer, { type: "start" });
    for (const up of this.#up)
      if (up === hashname || caches.some((cache) => cache.hashname === up))
        this.#toDelivery(peer, { type: "link", peer: up, up: true });
    for (const parcel of this.#spool.openParcels(hashname)) this.#toDelivery(peer, { type: "offer", parcel });
    return peer;
  }

  #allowanceOf(contact: string): Allowance {
    const known = this.#allowances.get(contact);
    if (known !== undefined) return known;
    const { saved, dailyBytes = DAILY_BYTES } = this.#options;
    const allowance = new Allowance({ contact, saved: saved.get(allowanceKey(contact)), limit: dailyBytes });
    this.#allowances.set(contact, allowance);
    return allowance;
  }

  #removePeer(contact: string, hashname: Hashname): void {
    const peer = this.#peers.get(hashname);
    if (peer?.contact !== contact) return;
    this.#toSpool({ type: "leave", peer: hashname });
    this.#toDelivery(peer, { type: "end" });
    this.#toReceived(peer, { type: "end" });
    this.#save(toldKey(hashname), undefined);
    this.#save(reputeKey(hashname), undefined);
    this.#peers.delete(hashname);
    this.#boxes.delete(peer.box);
    for (const child of [peer.delivery, peer.received]) {
      this.#ticks.delete(child);
      this.#deadlines.set(child, undefined);
    }
  }

  #forget(id: string): void {
    const contact = this.#contacts.get(id);
    if (contact === undefined) return;
    for (const mail of this.#spool.mailsOf(id)) this.#toSpool({ type: "cancel", mail: mail.id, why: "forgotten" });
    for (const { hashname } of contact.peers) this.#removePeer(id, hashname);
    this.#contacts.delete(id);
    this.#allowances.delete(id);
    this.#save(allowanceKey(id), undefined);
  }

  #link(hashname: Hashname, up: boolean): void {
    if (up) this.#up.add(hashname);
    else this.#up.delete(hashname);
    this.#toCanary({ type: "link", peer: hashname, up });
    for (const peer of this.#peers.values())
      if (peer.hashname === hashname || peer.caches.some((cache) => cache.hashname === hashname))
        this.#toDelivery(peer, { type: "link", peer: hashname, up });
  }

  #send({ req, contact: id, mail: draft, expires }: Extract<MailIn, { type: "send" }>): void {
    const contact = this.#contacts.get(id);
    if (contact === undefined) {
      this.#refuse(req, "not-found", "there is no such contact");
      return;
    }
    const problem = tooLarge(draft);
    if (problem !== undefined) {
      this.#refuse(req, "too-large", problem);
      return;
    }
    const mail = mailOf(draft, { id: toHex(this.#options.random(ID_BYTES)), contact: id, now: this.#now, expires });
    const after = this.#recent(contact);
    const to: Addressee[] = [];
    for (const peer of contact.peers) {
      const addressee = this.#addressee(contact, peer, mail, after);
      if (typeof addressee === "string") {
        this.#refuse(req, addressee, REFUSALS[addressee] ?? "it cannot be sent");
        return;
      }
      to.push(addressee);
    }
    const content = {
      seed: this.#options.random(SEED_BYTES),
      after,
      ...((draft.kind === "text" || draft.kind === "sync") && { text: draft.text }),
    };
    this.#toSealing({ type: "store", mail: mail.id, content });
    for (const addressee of to) this.#greet(mail.id, contact, addressee);
    this.#toSpool({ type: "post", mail, to });
    for (const { key, value } of this.#sent.keep(draft, { id: mail.id, contact: id, after, time: mail.created }))
      this.#save(key, value);
    this.#reply(req, { id: mail.id });
  }

  /** How the mail goes to this peer; or the code of the reason why it cannot. Makes its first part once, to be sure. */
  #addressee(contact: MailContact, to: Destination, mail: Ownerless, after: readonly string[]): Addressee | string {
    const number = this.#spool.next(to.hashname);
    const hasHello = number.hello || mail.kind === "card";
    const hello = hasHello ? this.#hello(contact, to.hashname) : undefined;
    return addresseeOf(this.#options, { to, mail, number, after, hello });
  }

  #hello({ secret }: MailContact, reader: Hashname): Hello {
    return { card: this.#options.cardFor(reader), ...(secret && { secret }) };
  }

  #greet(mail: string, contact: MailContact, { peer, hello }: Addressee): void {
    if (hello) this.#toSealing({ type: "greet", mail, peer, hello: this.#hello(contact, peer) });
  }

  /** A mail that no peer of the contact has yet goes to its new peers, too: the old one may be gone for good. */
  #readdress(mail: Posted, contact: MailContact): void {
    if (isFinal(stateOf(mail.ledger))) return;
    for (const to of contact.peers) {
      if (mail.parcels.some(({ peer, state }) => peer === to.hashname && state === "open")) continue;
      const addressee = this.#addressee(contact, to, mail, []);
      if (typeof addressee === "string" || this.#peers.get(to.hashname)?.contact !== contact.id) continue;
      this.#greet(mail.id, contact, addressee);
      this.#toSpool({ type: "address", mail: mail.id, to: addressee });
    }
  }

  #recent(contact: MailContact): string[] {
    const seen = contact.peers.flatMap(({ hashname }) => this.#peers.get(hashname)?.received.recent ?? []);
    return [...new Set(seen)].slice(-AFTER_IDS);
  }

  #cancel(req: number, id: string): void {
    const mail = this.#spool.get(id);
    if (mail === undefined) {
      this.#refuse(req, "not-found", "there is no such mail on its way");
      return;
    }
    if (isFinal(stateOf(mail.ledger))) {
      this.#refuse(req, "final", `the mail is ${stateOf(mail.ledger)} already`);
      return;
    }
    this.#toSpool({ type: "cancel", mail: id });
    this.#reply(req, { id });
  }

  #message({ via, direct, box, id, bytes }: Extract<MailIn, { type: "message" }>): void {
    const source: Source = { type: direct ? "direct" : "cache", via, box, id };
    if (box === this.#ownBox) {
      this.#toCanary({ type: "message", via, id, bytes });
      this.#done(source);
      return;
    }
    const peer = this.#peers.get(this.#boxes.get(box) ?? ("" as Hashname));
    if (peer === undefined) {
      this.#toStrangers({ type: "message", source, box, id, bytes });
      return;
    }
    const { crypto, identity } = this.#options;
    const inner = openFromContact(crypto, identity, bytes, peer.keys);
    if (inner === undefined || !this.#inner(peer, inner, source)) {
      this.#junk++;
      this.#done(source);
    }
  }

  /** What a contact's peer sealed; `false` when it makes no sense. */
  #inner(peer: Peer, inner: Uint8Array, source: Source): boolean {
    const { identity } = this.#options;
    if (messageKind(inner) === "mail") {
      const part = parsePart(inner);
      if (part?.head.from !== peer.hashname || part.head.to !== identity.hashname) return false;
      this.#toReceived(peer, { type: "part", part, source });
      return true;
    }
    const acknowledgement = parseAck(inner);
    if (acknowledgement?.from !== peer.hashname || acknowledgement.to !== identity.hashname) return false;
    const { ownEpoch: epoch, floor, uses, shown, left } = acknowledgement;
    if (shown?.epoch === this.#spool.next(peer.hashname).epoch)
      this.#toDelivery(peer, { type: "shown", caches: shown.caches });
    this.#toSpool({ type: "acknowledged", peer: peer.hashname, acknowledgement });
    this.#toReceived(peer, { type: "floor", epoch, floor });
    if (left !== undefined) this.#toReceived(peer, { type: "left", epochs: left });
    if (uses !== undefined) this.#toReceived(peer, { type: "uses", ids: uses });
    this.#done(source);
    return true;
  }

  #done(source: Source, keep?: true): void {
    if (source.type !== "request") {
      // Of a direct one there is no copy to remove, but whoever brought it waits before it brings many more.
      const { via, box, id } = source;
      this.#effects.push({ type: "done", via, box, id, ...(keep && { keep }) });
      return;
    }
    const left = (this.#absorbing.get(source.request) ?? 0) - 1;
    this.#absorbing.set(source.request, left);
    if (left > 0) return;
    this.#absorbing.delete(source.request);
    this.#toStrangers({ type: "over", request: source.request });
  }

  /** A stranger that became a contact: what it sent is taken over, number by number. Repeated after a crash. */
  #absorb(hashname: Hashname): void {
    const peer = this.#peers.get(hashname);
    if (peer === undefined || !this.#strangers.has(hashname) || this.#absorbing.has(hashname)) return;
    const parts = this.#strangers.partsOf(hashname);
    this.#absorbing.set(hashname, parts.length);
    if (parts.length === 0) this.#done({ type: "request", request: hashname });
    for (const part of parts)
      this.#toReceived(peer, { type: "part", part, source: { type: "request", request: hashname } });
  }

  #accept(req: number, request: string): void {
    const peer = this.#peers.get(request as Hashname);
    if (peer !== undefined) {
      this.#reply(req, { contact: peer.contact });
      return;
    }
    if (this.#strangers.has(request)) this.#refuse(req, "no-contact", "the request has no contact yet");
    else this.#refuse(req, "not-found", "there is no such request");
  }

  /** Told to those alone for whom the user wants it. */
  #read(mails: readonly ReadMail[]): void {
    for (const peer of this.#peers.values()) {
      if (!this.#contacts.get(peer.contact)?.readMarks) continue;
      const numbers = mails.filter(({ from }) => from === peer.hashname);
      if (numbers.length > 0) this.#toReceived(peer, { type: "read", numbers });
    }
  }

  #acknowledge(peer: Peer): void {
    const saysRead = this.#contacts.get(peer.contact)?.readMarks === true;
    const bytes = acknowledgementTo(peer, { ...this.#options, spool: this.#spool, saysRead });
    if (bytes !== undefined) this.#toDelivery(peer, { type: "tell", bytes, expires: this.#now + EXPIRY_MS });
  }

  #toSpool(input: SpoolIn): void {
    for (const out of this.#spool.handle(input, this.#now)) this.#fromSpool(out);
    this.#deadlines.set(this.#spool, this.#spool.deadline());
  }

  #fromSpool(out: SpoolOut): void {
    switch (out.type) {
      case "save":
        this.#save(out.key, out.value);
        return;
      case "withdraw":
      case "blob-remove":
        this.#effects.push(out);
        return;
      case "state": {
        const { mail, entry } = out;
        const { at, state, why, peer } = entry;
        const { id, contact } = mail;
        this.#tell({ type: "state", id, contact, state, at, ...(why !== undefined && { why }), ...(peer && { peer }) });
        return;
      }
      case "offer":
      case "stop":
        this.#toDeliveryOf(out.parcel.peer, out);
        return;
      case "progress":
        this.#toDeliveryOf(out.peer, out);
        return;
      case "restored": {
        const peer = this.#peers.get(out.peer);
        if (peer === undefined) return;
        this.#toDelivery(peer, { type: "restored" });
        this.#tell({ type: "restored", contact: peer.contact, from: peer.hashname });
        return;
      }
      case "copied": {
        const peer = this.#peers.get(out.peer);
        if (peer === undefined) return;
        this.#toReceived(peer, { type: "copied" });
        this.#tell({ type: "copied", contact: peer.contact, from: peer.hashname });
        return;
      }
      case "floor": {
        const peer = this.#peers.get(out.peer);
        if (peer !== undefined) this.#toReceived(peer, { type: "own-floor" });
      }
    }
  }

  #toDeliveryOf(hashname: Hashname, input: DeliveryIn): void {
    const peer = this.#peers.get(hashname);
    if (peer !== undefined) this.#toDelivery(peer, input);
  }

  #toDelivery(peer: Peer, input: DeliveryIn): void {
    for (const out of peer.delivery.handle(input, this.#now)) this.#fromDelivery(peer, out);
    if (this.#ticks.has(peer.delivery)) this.#deadlines.set(peer.delivery, peer.delivery.deadline());
  }

  #fromDelivery(peer: Peer, out: DeliveryOut): void {
    switch (out.type) {
      case "fetch": {
        const { flight, parcel, part } = out;
        const mail = this.#spool.get(parcel.mail);
        if (mail !== undefined) {
          this.#toSealing({ type: "fetch", flight, mail, parcel, part, keys: peer.keys });
          return;
        }
        this.#toDelivery(peer, { type: "sealed", flight, bytes: undefined });
        return;
      }
      case "deliver": {
        const { flight, route, bytes, expires } = out;
        this.#flights.set(flight, peer);
        this.#effects.push({ type: "deliver", id: flight, route, to: peer.hashname, bytes, expires });
        return;
      }
      case "withdraw":
        this.#effects.push(out);
        return;
      case "changed":
        this.#toSpool({ type: "changed", mail: out.parcel.mail });
        return;
      case "handed":
        this.#toSpool({ type: "handed", mail: out.parcel.mail, route: out.route });
        return;
      case "lost":
        this.#toSpool({ type: "cancel", mail: out.parcel.mail, why: "lost" });
        return;
      case "told":
        this.#toReceived(peer, { type: "told" });
        return;
      case "told-state":
        this.#save(toldKey(peer.hashname), asJson([...out.told]));
        return;
      case "reputes":
        this.#save(reputeKey(peer.hashname), asJson([...out.reputes]));
    }
  }

  #toReceived(peer: Peer, input: ReceivedIn): void {
    for (const out of peer.received.handle(input, this.#now)) this.#fromReceived(peer, out);
    if (this.#ticks.has(peer.received)) this.#deadlines.set(peer.received, peer.received.deadline());
    const gaps = peer.received.gaps();
    if (gaps === peer.gaps || input.type === "end") return;
    peer.gaps = gaps;
    const { contact } = peer;
    this.#tell({ type: "gap", contact, missing: this.missing(contact) });
  }

  #fromReceived(peer: Peer, out: ReceivedOut): void {
    switch (out.type) {
      case "save":
        this.#save(out.key, out.value);
        return;
      case "blob-write":
        this.#records.push(out);
        return;
      case "blob-remove":
        this.#effects.push(out);
        return;
      case "done":
        this.#done(out.source, out.keep);
        return;
      case "full":
        this.#tell({ type: "full", contact: peer.contact, until: out.until });
        return;
      case "junk":
        this.#junk++;
        this.#done(out.source);
        return;
      case "arrived":
      case "show":
        this.#toInbox({ ...out, contact: peer.contact });
        return;
      case "card":
        this.#effects.push({ ...out, contact: peer.contact, from: peer.hashname });
        return;
      case "sync": {
        const { contact, hashname: from } = peer;
        this.#effects.push({ type: "sync", contact, from, text: fromUtf8(out.content) ?? "" });
        return;
      }
      case "acknowledge":
        this.#acknowledge(peer);
    }
  }

  #toInbox(input: InboxIn): void {
    for (const out of this.#inbox.handle(input, this.#now)) this.#fromInbox(out);
  }

  #fromInbox(out: InboxOut): void {
    switch (out.type) {
      case "save":
        this.#save(out.key, out.value);
        return;
      case "read":
      case "blob-hash":
        this.#effects.push(out);
        return;
      case "judged": {
        // The contact may have been forgotten while the store was asked.
        const peer = this.#peers.get(out.arrival.from);
        if (peer !== undefined) this.#toReceived(peer, out);
        return;
      }
      case "mail":
        this.#tell({ type: "mail", ...out.record });
    }
  }

  #toSealing(input: SealingIn): void {
    for (const out of this.#sealing.handle(input, this.#now)) this.#fromSealing(out);
  }

  #fromSealing(out: SealingOut): void {
    switch (out.type) {
      case "save":
        this.#save(out.key, out.value);
        return;
      case "read":
      case "blob-read":
        this.#effects.push(out);
        return;
      case "sealed": {
        const peer = this.#peers.get(out.peer);
        if (peer !== undefined) this.#toDelivery(peer, out);
      }
    }
  }

  #toCanary(input: CanaryIn): void {
    for (const out of this.#canary.handle(input, this.#now)) this.#fromCanary(out);
    this.#deadlines.set(this.#canary, this.#canary.deadline());
  }

  #fromCanary(out: CanaryOut): void {
    switch (out.type) {
      case "save":
        this.#save(out.key, out.value);
        return;
      case "deliver": {
        const { flight: id, route, bytes, expires } = out;
        this.#effects.push({ type: "deliver", id, route, to: this.#options.identity.hashname, bytes, expires });
        return;
      }
      case "withdraw":
      case "reply":
      case "refuse":
        this.#effects.push(out);
        return;
      case "judged":
        this.#tell({ type: "cache-test", ...out.test });
    }
  }

  #toStrangers(input: StrangersIn): void {
    for (const out of this.#strangers.handle(input, this.#now)) this.#fromStrangers(out);
    this.#deadlines.set(this.#strangers, this.#strangers.deadline());
  }

  #fromStrangers(out: StrangersOut): void {
    switch (out.type) {
      case "save":
        this.#save(out.key, out.value);
        return;
      case "done":
        this.#done(out.source, out.keep);
        return;
      case "introduce": {
        const { request, hashname, keys, card, secret } = out.request;
        this.#effects.push({ type: "introduce", request, sender: { hashname, keys }, card, secret });
        return;
      }
      case "announce":
        this.#tell({ type: "request", ...out.request });
    }
  }

  #save(key: string, value: Uint8Array | undefined): void {
    this.#saves.set(key, value);
  }

  #tell(event: MailEvent): void {
    this.#effects.push({ type: "event", event });
  }

  #reply(req: number, value: unknown): void {
    this.#effects.push({ type: "reply", req, value });
  }

  #refuse(req: number, code: string, message: string): void {
    this.#effects.push({ type: "refuse", req, code, message });
  }
}

const EPOCH_BYTES = 8;
const ID_BYTES = 16;
const SEED_BYTES = 32;
const DAILY_BYTES = 256 * 1024 * 1024;
const AFTER_IDS = 8;
