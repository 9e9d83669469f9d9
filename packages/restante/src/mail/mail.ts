/**
 * Mail: the machine that makes the promises of this project. It owns one `Delivery` and one `Received` per peer of a
 * contact, the spool, the inbox and what strangers sent, and carries what one says to the other. protocol/mail.md
 *
 * In what one `handle` returns, blob records come first, then saves, then all that may only happen after the commit.
 */
import { Deadlines, type Machine, type Random, RestanteError, type Time, toHex, utf8 } from "../bytes/index.ts";
import { type Crypto, type Hashname, highestCommon, type Identity, type Keys } from "../crypto/index.ts";
import { encodeAck, parseAck } from "./acknowledgement.ts";
import { CONTENT_LIMIT, PART_CONTENT, TEXT_LIMIT } from "./constants.ts";
import { Delivery, type DeliveryIn, type DeliveryOut, Slots, type Told } from "./delivery.ts";
import { isForwardKey } from "./forward.ts";
import type { Hello } from "./hello.ts";
import { Inbox, type InboxIn, type InboxOut } from "./inbox.ts";
import { messageKind, parsePart, sizeOfPart } from "./inner.ts";
import { isFinal, type LedgerEntry, stateOf } from "./ledger.ts";
import { openFromContact } from "./open.ts";
import { Received, type ReceivedIn, type ReceivedOut, ringKey, type Source } from "./received.ts";
import { asJson, ofJson, type Save } from "./record.ts";
import { Ring } from "./ring.ts";
import type { CacheOffer, Destination } from "./route.ts";
import { sealSeeded } from "./seal.ts";
import { partOf, partsFor, Sealing, type SealingIn, type SealingOut } from "./sealing.ts";
import { type Addressee, type OutboxEntry, type Posted, Spool, type SpoolIn, type SpoolOut } from "./spool.ts";
import { type Request, Strangers, type StrangersIn, type StrangersOut } from "./strangers.ts";
import type { MailContact, MailEvent, MailIn, MailOut } from "./turn.ts";

export interface MailOptions {
  readonly crypto: Crypto;
  readonly identity: Identity;
  readonly random: Random;
  readonly boxId: (sender: Hashname, recipient: Hashname) => string;
  readonly messageId: (box: string, bytes: Uint8Array) => string;
  /** Our card for this reader. */
  readonly cardFor: (reader: Hashname) => Uint8Array;
  /** Whether an invite of ours with this secret waits for its guest. Default: any may be one. */
  readonly isInvite?: (secret: Uint8Array) => boolean;
  /** Every key that begins with "mail/". */
  readonly saved: ReadonlyMap<string, Uint8Array>;
}

/** One peer of a contact. */
interface Peer {
  readonly hashname: Hashname;
  readonly contact: string;
  readonly box: string;
  keys: Keys;
  caches: readonly CacheOffer[];
  readonly delivery: Delivery;
  readonly received: Received;
  /** Our forward keys for it: `received` keeps them. */
  readonly ring: Ring;
  gaps: number;
}

/** All mail of one peer of ours. */
export class Mail implements Machine<MailIn, MailOut> {
  readonly #options: MailOptions;
  readonly #spool: Spool;
  readonly #sealing: Sealing;
  readonly #inbox: Inbox;
  readonly #strangers: Strangers;
  readonly #contacts = new Map<string, MailContact>();
  readonly #peers = new Map<Hashname, Peer>();
  /** Whose box it is: known beforehand for every contact. */
  readonly #boxes = new Map<string, Hashname>();
  readonly #up = new Set<Hashname>();
  readonly #slots = new Slots();
  /** Who waits for the answer to a `deliver`. */
  readonly #flights = new Map<number, Peer>();
  /** How many mails of a request are not taken over yet. */
  readonly #absorbing = new Map<string, number>();
  /** Saved state of peers that no contact has named yet. */
  readonly #saved = new Map<Hashname, Map<string, Uint8Array>>();
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
    const { crypto, identity, random, saved, boxId, isInvite = () => true } = options;
    const reads = (): number => this.#number++;
    const isKey = (key: string): boolean => isForwardKey(crypto.backend, key);
    this.#spool = new Spool({ saved, fresh: toHex(random(EPOCH_BYTES)), isKey });
    this.#sealing = new Sealing({ crypto, identity, reads });
    this.#inbox = new Inbox({ saved: saved.get("mail/n"), reads });
    const boxOf = (sender: Hashname): string => boxId(sender, identity.hashname);
    this.#strangers = new Strangers({ crypto, identity, saved, boxOf, isInvite });
    this.#ticks.set(this.#spool, () => this.#toSpool({ type: "tick" }));
    this.#ticks.set(this.#strangers, () => this.#toStrangers({ type: "tick" }));
    this.#deadlines.set(this.#spool, 0); // it has to be started, by whatever input comes first
    this.#deadlines.set(this.#strangers, this.#strangers.deadline());
    for (const [key, value] of saved) {
      const peer = PEER_KEY.exec(key)?.[1] as Hashname | undefined;
      if (peer === undefined) continue;
      const own = this.#saved.get(peer) ?? new Map<string, Uint8Array>();
      this.#saved.set(peer, own.set(key, value));
    }
  }

  handle(input: MailIn, now: Time): MailOut[] {
    this.#now = now;
    if (!this.#isStarted) this.#toSpool({ type: "start" });
    this.#isStarted = true;
    this.#take(input);
    this.#feedStarved();
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

  unread(): number {
    return this.#inbox.unread;
  }

  /** Whether a contact has not been told yet of mail that came from it. */
  get owesAcknowledgement(): boolean {
    return [...this.#peers.values()].some(({ received }) => received.isDue);
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

  // --- inputs ---

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
      case "delivered": {
        const peer = this.#flights.get(input.id);
        this.#flights.delete(input.id);
        if (peer !== undefined) this.#toDelivery(peer, { type: "delivered", flight: input.id, ok: input.ok });
        return;
      }
      case "link":
        this.#link(input.peer, input.up);
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
      case "seen":
        this.#toInbox(input);
        this.#reply(input.req, { unread: this.#inbox.unread });
        return;
      case "tick":
        for (const child of this.#deadlines.due(this.#now)) this.#ticks.get(child)?.();
    }
  }

  // --- contacts ---

  #setContact(contact: MailContact): void {
    const known = this.#contacts.get(contact.id);
    this.#contacts.set(contact.id, contact);
    const named = new Set(contact.peers.map(({ hashname }) => hashname));
    for (const { hashname } of known?.peers ?? []) if (!named.has(hashname)) this.#removePeer(contact.id, hashname);
    for (const to of contact.peers) {
      const peer = this.#peers.get(to.hashname) ?? this.#addPeer(contact.id, to);
      if (peer.contact !== contact.id) continue;
      peer.keys = to.keys;
      peer.caches = to.caches;
      this.#toDelivery(peer, { type: "destination", to });
    }
    for (const mail of this.#spool.mailsOf(contact.id)) this.#readdress(mail, contact);
    for (const { hashname } of contact.peers) this.#absorb(hashname);
  }

  #addPeer(contact: string, { hashname, keys, caches }: Destination): Peer {
    const { crypto, random, identity, boxId, messageId } = this.#options;
    const saved = this.#saved.get(hashname) ?? new Map<string, Uint8Array>();
    this.#saved.delete(hashname);
    const told = saved.get(toldKey(hashname));
    const ownBox = boxId(identity.hashname, hashname);
    const digest = (bytes: Uint8Array): string => toHex(crypto.backend.sha256(bytes));
    const delivery = new Delivery({
      peer: hashname,
      slots: this.#slots,
      flights: () => this.#number++,
      chance: () => (random(1)[0] ?? 0) / 255,
      hasPart: (parcel, part) => this.#spool.hasPart(parcel, part),
      messageId: (bytes) => messageId(ownBox, bytes),
      told: new Map(told === undefined ? [] : ofJson<(readonly [Hashname, Told])[]>(told)),
    });
    const keyRecord = saved.get(ringKey(hashname));
    const ring = new Ring({ backend: crypto.backend, random, by: this.#spool.epoch, saved: keyRecord });
    const received = new Received({ peer: hashname, fresh: () => random(SEED_BYTES), digest, ring, saved });
    const box = boxId(hashname, identity.hashname);
    const peer: Peer = { hashname, contact, box, keys, caches, delivery, received, ring, gaps: received.gaps() };
    this.#peers.set(hashname, peer);
    this.#boxes.set(box, hashname);
    this.#ticks.set(delivery, () => this.#toDelivery(peer, { type: "tick" }));
    this.#ticks.set(received, () => this.#toReceived(peer, { type: "tick" }));
    this.#toReceived(peer, { type: "start" });
    for (const up of this.#up)
      if (up === hashname || caches.some((cache) => cache.hashname === up))
        this.#toDelivery(peer, { type: "link", peer: up, up: true });
    for (const parcel of this.#spool.openParcels(hashname)) this.#toDelivery(peer, { type: "offer", parcel });
    return peer;
  }

  #removePeer(contact: string, hashname: Hashname): void {
    const peer = this.#peers.get(hashname);
    if (peer?.contact !== contact) return;
    this.#toSpool({ type: "leave", peer: hashname });
    this.#toDelivery(peer, { type: "end" });
    this.#toReceived(peer, { type: "end" });
    this.#save(toldKey(hashname), undefined);
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
  }

  #link(hashname: Hashname, up: boolean): void {
    if (up) this.#up.add(hashname);
    else this.#up.delete(hashname);
    for (const peer of this.#peers.values())
      if (peer.hashname === hashname || peer.caches.some((cache) => cache.hashname === hashname))
        this.#toDelivery(peer, { type: "link", peer: hashname, up });
  }

  // --- sending ---

  #send({ req, contact: id, mail: draft, expires }: Extract<MailIn, { type: "send" }>): void {
    const contact = this.#contacts.get(id);
    if (contact === undefined) {
      this.#refuse(req, "not-found", "there is no such contact");
      return;
    }
    const text = draft.kind === "text" ? draft.text : undefined;
    const { kind } = draft;
    const size = draft.kind === "file" ? draft.size : utf8(text ?? "").length;
    if (kind === "text" && size > TEXT_LIMIT) {
      this.#refuse(req, "too-large", `a text has at most ${TEXT_LIMIT} bytes: send it as a file`);
      return;
    }
    if (size > CONTENT_LIMIT) {
      this.#refuse(req, "too-large", `a file has at most ${CONTENT_LIMIT} bytes`);
      return;
    }
    const mail: Ownerless = {
      id: toHex(this.#options.random(ID_BYTES)),
      contact: id,
      kind,
      created: this.#now,
      expires: Math.max(this.#now, Math.min(expires ?? this.#now + EXPIRY_MS, this.#now + EXPIRY_LIMIT_MS)),
      size,
      parts: partsFor(size),
      ...(draft.kind === "file" && {
        file: { name: draft.name, media: draft.media, size, sha256: draft.sha256, blob: draft.blob },
      }),
    };
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
    const seed = this.#options.random(SEED_BYTES);
    this.#toSealing({ type: "store", mail: mail.id, content: { seed, after, ...(text !== undefined && { text }) } });
    for (const addressee of to) this.#greet(mail.id, contact, addressee);
    this.#toSpool({ type: "post", mail, to });
    this.#reply(req, { id: mail.id });
  }

  /** How the mail goes to this peer; or the code of the reason why it cannot. Makes its first part once, to be sure. */
  #addressee(contact: MailContact, to: Destination, mail: Ownerless, after: readonly string[]): Addressee | string {
    const { crypto, identity } = this.#options;
    const csid = highestCommon(crypto, identity.keys, to.keys);
    const overhead = crypto.sets.get(csid ?? 0)?.overhead;
    if (csid === undefined || overhead === undefined) return "no-cipher";
    const number = this.#spool.next(to.hashname);
    const hello = number.hello || mail.kind === "card";
    const parcel = { peer: to.hashname, ...number };
    const content = new Uint8Array(Math.min(mail.size, PART_CONTENT));
    const greeting = hello ? this.#hello(contact, to.hashname) : undefined;
    const part = partOf(identity, { mail, parcel, part: 0, after, content, hello: greeting });
    try {
      const size = sizeOfPart(crypto, csid, identity, part, hello ? undefined : number.forward);
      return { peer: to.hashname, hello, partBytes: size + overhead };
    } catch (error) {
      if (error instanceof RestanteError) return error.code;
      throw error;
    }
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

  // --- receiving ---

  #message({ via, direct, box, id, bytes }: Extract<MailIn, { type: "message" }>): void {
    const source: Source = { type: direct ? "direct" : "cache", via, box, id };
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
    this.#toSpool({ type: "acknowledged", peer: peer.hashname, acknowledgement });
    const { ownEpoch: epoch, floor, uses } = acknowledgement;
    this.#toReceived(peer, { type: "floor", epoch, floor });
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

  #acknowledge(peer: Peer): void {
    const { crypto, identity } = this.#options;
    const { hashname, keys, received, ring } = peer;
    const csid = highestCommon(crypto, identity.keys, keys);
    if (csid === undefined) return;
    const { epoch, floor } = this.#spool.next(hashname);
    const uses = this.#spool.uses(hashname);
    const inner = encodeAck(crypto, csid, {
      from: identity.hashname,
      to: hashname,
      by: this.#spool.epoch,
      ownEpoch: epoch,
      floor,
      reports: received.report(),
      keys: ring.announce(),
      ...(uses && { uses }),
    });
    // A seed of its own: unchanged state makes the same bytes, which are no second message to a cache.
    const bytes = sealSeeded(crypto, identity, keys, {
      seed: received.seed,
      recipient: hashname,
      generation: 0,
      inner,
    });
    if (bytes !== undefined) this.#toDelivery(peer, { type: "tell", bytes, expires: this.#now + EXPIRY_MS });
  }

  // --- children ---

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
        const { at, state, why } = entry;
        const { id, contact } = mail;
        this.#tell({ type: "state", id, contact, state, at, ...(why !== undefined && { why }) });
        return;
      }
      case "offer":
      case "stop":
        this.#toDeliveryOf(out.parcel.peer, out);
        return;
      case "progress":
        this.#toDeliveryOf(out.peer, { type: "progress" });
        return;
      case "restored": {
        const peer = this.#peers.get(out.peer);
        if (peer === undefined) return;
        this.#toDelivery(peer, { type: "restored" });
        this.#tell({ type: "restored", contact: peer.contact, from: peer.hashname });
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
    }
  }

  /** Whoever had more to send than there were slots goes on as soon as there are. */
  #feedStarved(): void {
    const { starved, limit } = this.#slots;
    for (const hashname of [...starved]) {
      if (this.#slots.used >= limit) return;
      starved.delete(hashname);
      this.#toDeliveryOf(hashname, { type: "tick" });
    }
  }

  #toReceived(peer: Peer, input: ReceivedIn): void {
    for (const out of peer.received.handle(input, this.#now)) this.#fromReceived(peer, out);
    if (this.#ticks.has(peer.received)) this.#deadlines.set(peer.received, peer.received.deadline());
    const gaps = peer.received.gaps();
    if (gaps === peer.gaps || input.type === "end") return;
    peer.gaps = gaps;
    const { contact } = peer;
    const peers = [...this.#peers.values()].filter((each) => each.contact === contact);
    this.#tell({ type: "gap", contact, missing: peers.reduce((sum, each) => sum + each.gaps, 0) });
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

/** A mail before it has a ledger. */
type Ownerless = Omit<Posted, "ledger" | "parcels" | "leftover">;

function toldKey(peer: Hashname): string {
  return `mail/told/${peer}`;
}

const PEER_KEY = /^mail\/(?:in|told|file|keys)\/([a-z2-7]{52})(?:\/|$)/;
const EPOCH_BYTES = 8;
const ID_BYTES = 16;
const SEED_BYTES = 32;
const AFTER_IDS = 8;
const EXPIRY_MS = 14 * 86_400_000; // DESIGN 5, constants
const EXPIRY_LIMIT_MS = 30 * 86_400_000; // as long as a cache keeps anything
const REFUSALS: Readonly<Record<string, string>> = {
  "too-large": "the mail does not fit into a message",
  "bad-mail": "the name or the media type of the file cannot be sent",
  "no-cipher": "there is no cipher set in common",
};
