/**
 * Receiving: what others send us, from the message to the inbox. Opens it, says whose it is, and carries what the accounts of each
 * peer, the inbox and what strangers sent say to one another. protocol/mail.md §7, §8, §12
 */
import { fromUtf8 } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { type Acknowledgement, parseAck } from "./acknowledgement.ts";
import type { Alarms } from "./alarms.ts";
import type { Correspondent as Peer } from "./correspondent.ts";
import type { InboxIn, InboxOut } from "./inbox.ts";
import { messageKind, parsePart } from "./inner.ts";
import { openFromContact } from "./open.ts";
import type { Outcome } from "./outcome.ts";
import type { Parts } from "./parts.ts";
import { ended, incoming } from "./progress.ts";
import type { ReceivedIn, ReceivedOut, Source } from "./received-contract.ts";
import type { Request, StrangersIn, StrangersOut } from "./strangers.ts";
import type { MailIn, MailOptions } from "./turn.ts";

export interface ReceivingOptions {
  readonly mail: Pick<MailOptions, "crypto" | "identity" | "messageId">;
  readonly parts: Pick<Parts, "people" | "inbox" | "strangers" | "brought">;
  readonly outcome: Outcome;
  readonly alarms: Alarms;
  /** The peer says what it has of our mail. */
  readonly heard: (peer: Peer, acknowledgement: Acknowledgement) => void;
  /** It is to be told what we have of its. */
  readonly acknowledge: (peer: Peer) => void;
  /** It was found in the bazaar. */
  readonly met: (peer: Peer) => void;
}

/** All that comes in. */
export class Receiving {
  readonly #options: ReceivingOptions;
  readonly #parts: ReceivingOptions["parts"];
  readonly #outcome: Outcome;
  /** How many mails of a request are not taken over yet. */
  readonly #absorbing = new Map<string, number>();
  #junk = 0;

  constructor(options: ReceivingOptions) {
    this.#options = options;
    this.#parts = options.parts;
    this.#outcome = options.outcome;
    const { strangers } = options.parts;
    options.alarms.add(strangers, () => this.toStrangers({ type: "tick" }), strangers.deadline());
  }

  /** Messages that nobody could make sense of. */
  get junk(): number {
    return this.#junk;
  }

  /** Strangers who wait for an answer. */
  requests(): Request[] {
    return this.#parts.strangers.requests().filter(({ request }) => !this.#absorbing.has(request));
  }

  /** Out of the box of somebody else for us. */
  message({ box, id, bytes }: Extract<MailIn, { type: "message" }>, source: Source): void {
    const peer = this.#parts.people.ofBox(box);
    if (peer === undefined) {
      this.toStrangers({ type: "message", source, box, id, bytes });
      return;
    }
    const { crypto, identity } = this.#options.mail;
    const inner = openFromContact(crypto, identity, bytes, peer.keys);
    if (inner === undefined || !this.#inner(peer, inner, source)) {
      this.#junk++;
      this.done(source);
    }
  }

  /** By the bazaar. */
  bring({ number, key, bytes }: Extract<MailIn, { type: "brought" }>): void {
    const whose = this.#parts.brought.whose(key, bytes, this.#outcome.now);
    const box = whose.type === "contact" ? whose.peer.box : whose.type === "stranger" ? whose.box : "";
    const source: Source = { type: "bazaar", number, id: box && this.#options.mail.messageId(box, bytes) };
    if (whose.type === "stranger") {
      this.toStrangers({ type: "message", source, box, id: source.id, bytes });
      return;
    }
    if (whose.type === "contact") this.#options.met(whose.peer);
    if (whose.type === "contact" && this.#inner(whose.peer, whose.inner, source)) return;
    if (whose.type !== "later") this.#junk++;
    this.done(source, whose.type === "later" ? true : undefined);
  }

  /** The message is dealt with; `keep`: it is to be shown to us again. */
  done(source: Source, keep?: true): void {
    if (source.type === "bazaar") {
      this.#outcome.effect({ type: "taken", number: source.number, keep: keep === true });
      return;
    }
    if (source.type !== "request") {
      // Of a direct one there is no copy to remove, but whoever brought it waits before it brings many more.
      const { via, box, id } = source;
      this.#outcome.effect({ type: "done", via, box, id, ...(keep && { keep }) });
      return;
    }
    const left = (this.#absorbing.get(source.request) ?? 0) - 1;
    this.#absorbing.set(source.request, left);
    if (left > 0) return;
    this.#absorbing.delete(source.request);
    this.toStrangers({ type: "over", request: source.request });
  }

  /** A stranger that became a contact: what it sent is taken over, number by number. Repeated after a crash. */
  absorb(hashname: Hashname): void {
    const { people, strangers } = this.#parts;
    const peer = people.get(hashname);
    if (peer === undefined || !strangers.has(hashname) || this.#absorbing.has(hashname)) return;
    const parts = strangers.partsOf(hashname);
    this.#absorbing.set(hashname, parts.length);
    if (parts.length === 0) this.done({ type: "request", request: hashname });
    for (const part of parts)
      this.toReceived(peer, { type: "part", part, source: { type: "request", request: hashname } });
  }

  /** The user answers a stranger. Whoever is accepted is a contact by now. */
  answer({ type, req, request }: Extract<MailIn, { type: "accept" | "ignore" }>): void {
    const { people, strangers } = this.#parts;
    const peer = type === "accept" ? people.get(request) : undefined;
    if (peer !== undefined) this.#outcome.reply(req, { contact: peer.contact });
    else if (!strangers.has(request)) this.#outcome.refuse(req, "not-found", "there is no such request");
    else if (type === "accept") this.#outcome.refuse(req, "no-contact", "the request has no contact yet");
    else {
      this.toStrangers({ type: "ignore", request });
      this.#outcome.reply(req, {});
    }
  }

  /** The user has looked at the inbox. */
  seen({ req, n, read = [] }: Extract<MailIn, { type: "seen" }>): void {
    const { people, inbox } = this.#parts;
    for (const [peer, numbers] of people.read(read)) this.toReceived(peer, { type: "read", numbers });
    this.toInbox({ type: "seen", n });
    this.#outcome.reply(req, { unread: inbox.unread });
  }

  /** To be told to the account of what comes from the peer; what that says is carried out. */
  toReceived(peer: Peer, input: ReceivedIn): void {
    for (const out of peer.received.handle(input, this.#outcome.now)) this.#fromReceived(peer, out);
    this.#options.alarms.set(peer.received);
    const gaps = peer.received.gaps();
    if (gaps === peer.gaps || input.type === "end") return;
    peer.gaps = gaps;
    const { contact } = peer;
    this.#outcome.tell({ type: "gap", contact, missing: this.#parts.people.missing(contact) });
  }

  /** The same for the inbox. */
  toInbox(input: InboxIn): void {
    for (const out of this.#parts.inbox.handle(input, this.#outcome.now)) this.#fromInbox(out);
  }

  /** The same for what strangers sent. */
  toStrangers(input: StrangersIn): void {
    const { strangers } = this.#parts;
    for (const out of strangers.handle(input, this.#outcome.now)) this.#fromStrangers(out);
    this.#options.alarms.set(strangers);
  }

  /** What a contact's peer sealed; `false` when it makes no sense. */
  #inner(peer: Peer, inner: Uint8Array, source: Source): boolean {
    const { identity } = this.#options.mail;
    if (messageKind(inner) === "mail") {
      const part = parsePart(inner);
      if (part?.head.from !== peer.hashname || part.head.to !== identity.hashname) return false;
      this.toReceived(peer, { type: "part", part, source });
      return true;
    }
    const acknowledgement = parseAck(inner);
    if (acknowledgement?.from !== peer.hashname || acknowledgement.to !== identity.hashname) return false;
    const { ownEpoch: epoch, floor, uses, left, cancelled } = acknowledgement;
    this.#options.heard(peer, acknowledgement);
    this.toReceived(peer, { type: "floor", epoch, floor, ...(cancelled && { cancelled }) });
    if (left !== undefined) this.toReceived(peer, { type: "left", epochs: left });
    if (uses !== undefined) this.toReceived(peer, { type: "uses", ids: uses });
    this.done(source);
    return true;
  }

  #fromReceived(peer: Peer, out: ReceivedOut): void {
    const outcome = this.#outcome;
    const { contact, hashname: from } = peer;
    switch (out.type) {
      case "save":
        outcome.save(out.key, out.value);
        return;
      case "blob-write":
        outcome.record(out);
        return;
      case "blob-remove":
        outcome.effect(out);
        return;
      case "done":
        this.done(out.source, out.keep);
        return;
      case "full":
        outcome.tell({ type: "full", contact, until: out.until });
        return;
      case "no-room":
        outcome.tell({ ...out, contact });
        return;
      case "progress": {
        const progress = incoming(out.arrival, contact, out.done);
        outcome.tellProgress(out.ended === undefined ? progress : ended(progress, out.ended));
        return;
      }
      case "junk":
        this.#junk++;
        this.done(out.source);
        return;
      case "arrived":
      case "show":
        this.toInbox({ ...out, contact });
        return;
      case "card":
        outcome.effect({ ...out, contact, from });
        return;
      case "sync":
        outcome.effect({ type: "sync", contact, from, text: fromUtf8(out.content) ?? "" });
        return;
      case "acknowledge":
        this.#options.acknowledge(peer);
    }
  }

  #fromInbox(out: InboxOut): void {
    switch (out.type) {
      case "save":
        this.#outcome.save(out.key, out.value);
        return;
      case "read":
      case "blob-hash":
        this.#outcome.effect(out);
        return;
      case "judged": {
        // The contact may have been forgotten while the store was asked.
        const peer = this.#parts.people.get(out.arrival.from);
        if (peer !== undefined) this.toReceived(peer, out);
        return;
      }
      case "mail":
        this.#outcome.tell({ type: "mail", ...out.record });
    }
  }

  #fromStrangers(out: StrangersOut): void {
    switch (out.type) {
      case "save":
        this.#outcome.save(out.key, out.value);
        return;
      case "done":
        this.done(out.source, out.keep);
        return;
      case "introduce": {
        const { request, hashname, keys, card, secret } = out.request;
        this.#outcome.effect({ type: "introduce", request, sender: { hashname, keys }, card, secret });
        return;
      }
      case "announce":
        this.#outcome.tell({ type: "request", ...out.request });
        return;
      case "again":
        this.#outcome.effect(out);
    }
  }
}
