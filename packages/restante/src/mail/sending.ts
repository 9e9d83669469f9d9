/**
 * Sending: our own mail, from "send" to its last state. Carries what the spool, the sealing and the deliveries to each peer say to one
 * another. protocol/mail.md §10, §11
 */
import { asJson } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import type { Acknowledgement } from "./acknowledgement.ts";
import type { Alarms } from "./alarms.ts";
import { EXPIRY_MS } from "./constants.ts";
import { acknowledgementTo, type Correspondent as Peer, reputeKey, toldKey } from "./correspondent.ts";
import type { DeliveryIn, DeliveryOut } from "./delivery.ts";
import { isFinal, stateOf } from "./ledger.ts";
import type { Outcome } from "./outcome.ts";
import type { Parcel } from "./parcel.ts";
import type { Parts } from "./parts.ts";
import { type Posted, uploadKey } from "./posted.ts";
import { ended, outgoing } from "./progress.ts";
import type { ReceivedIn } from "./received-contract.ts";
import type { SealingIn, SealingOut } from "./sealing.ts";
import type { SpoolIn, SpoolOut } from "./spool.ts";
import type { MailIn, MailOptions } from "./turn.ts";

export interface SendingOptions {
  readonly mail: Pick<MailOptions, "crypto" | "identity">;
  readonly parts: Pick<Parts, "spool" | "sealing" | "sent" | "composer" | "people" | "slots">;
  readonly outcome: Outcome;
  readonly alarms: Alarms;
  /** What comes from the same peer has to hear this. */
  readonly toReceived: (peer: Peer, input: ReceivedIn) => void;
}

/** All that goes out. */
export class Sending {
  readonly #options: SendingOptions;
  readonly #parts: SendingOptions["parts"];
  readonly #outcome: Outcome;
  /** To whom there may be room for more since this turn began. */
  readonly #roomy = new Set<Hashname>();
  /** Who waits for the answer to a `deliver`. */
  readonly #flights = new Map<number, Peer>();

  constructor(options: SendingOptions) {
    this.#options = options;
    this.#parts = options.parts;
    this.#outcome = options.outcome;
    // It has to be started, by whatever input comes first.
    options.alarms.add(options.parts.spool, () => this.toSpool({ type: "tick" }), 0);
  }

  /** Takes a mail, or refuses it. */
  send({ req, mail: draft, ...how }: Extract<MailIn, { type: "send" }>): void {
    const { composer, sent } = this.#parts;
    const composed = composer.compose(draft, { ...how, now: this.#outcome.now });
    if ("code" in composed) {
      this.#outcome.refuse(req, composed.code, composed.message);
      return;
    }
    const { mail, content, to } = composed;
    const { id, contact, created: time } = mail;
    this.toSealing({ type: "store", mail: id, content });
    this.toSpool({ type: "post", mail, to });
    for (const { key, value } of sent.keep(draft, { id, contact, after: content.after, time }))
      this.#outcome.save(key, value);
    if (draft.kind === "file") this.#outcome.save(uploadKey(draft.blob), undefined);
    this.#outcome.reply(req, { id });
  }

  /** Its user does not want it to go any more. */
  cancel({ req, id }: Extract<MailIn, { type: "cancel" }>): void {
    const { spool } = this.#parts;
    // What is not in memory is looked for, if there is any such.
    if (spool.get(id) !== undefined || spool.isAllHeld) this.#cancel(req, spool.get(id));
    else this.toSpool({ type: "find", req, mail: id });
  }

  /** The answer to a `deliver` of ours; of others there is nothing to do. */
  delivered(flight: number, ok: boolean): void {
    const peer = this.#flights.get(flight);
    this.#flights.delete(flight);
    if (peer !== undefined) this.toDelivery(peer, { type: "delivered", flight, ok });
  }

  /** The peer says what it has. */
  heard(peer: Peer, acknowledgement: Acknowledgement): void {
    const { shown } = acknowledgement;
    if (shown?.epoch === this.#parts.spool.next(peer.hashname).epoch)
      this.toDelivery(peer, { type: "shown", caches: shown.caches });
    this.toSpool({ type: "acknowledged", peer: peer.hashname, acknowledgement });
  }

  /** Tells the peer what came from it. */
  acknowledge(peer: Peer): void {
    const { people, spool } = this.#parts;
    const saysRead = people.contact(peer.contact)?.readMarks === true;
    const bytes = acknowledgementTo(peer, { ...this.#options.mail, spool, saysRead });
    const expires = this.#outcome.now + EXPIRY_MS;
    if (bytes !== undefined) this.toDelivery(peer, { type: "tell", bytes, expires });
  }

  /** At the end of a turn: what became free in it is for whoever waits. */
  feed(): void {
    const { slots, spool } = this.#parts;
    slots.feed((hashname) => this.#toDeliveryOf(hashname, { type: "tick" }));
    for (const peer of this.#roomy) if (spool.isBehind(peer)) this.toSpool({ type: "room", peer });
    this.#roomy.clear();
  }

  /** To be told to the spool; what it says to that is carried out. */
  toSpool(input: SpoolIn): void {
    const { spool } = this.#parts;
    for (const out of spool.handle(input, this.#outcome.now)) this.#fromSpool(out);
    this.#options.alarms.set(spool);
  }

  /** The same for what is on its way to the peer. */
  toDelivery(peer: Peer, input: DeliveryIn): void {
    for (const out of peer.delivery.handle(input, this.#outcome.now)) this.#fromDelivery(peer, out);
    this.#options.alarms.set(peer.delivery);
    this.#roomy.add(peer.hashname);
  }

  /** The same for the sealing. */
  toSealing(input: SealingIn): void {
    for (const out of this.#parts.sealing.handle(input, this.#outcome.now)) this.#fromSealing(out);
  }

  #cancel(req: number, mail: Posted | undefined): void {
    if (mail === undefined) {
      this.#outcome.refuse(req, "not-found", "there is no such mail on its way");
      return;
    }
    if (isFinal(stateOf(mail.ledger))) {
      this.#outcome.refuse(req, "final", `the mail is ${stateOf(mail.ledger)} already`);
      return;
    }
    this.toSpool({ type: "cancel", mail: mail.id });
    this.#outcome.reply(req, { id: mail.id });
  }

  /** It is the turn of a mail to go to this peer. */
  #address(mail: Posted, peer: Hashname): void {
    this.toSpool({ type: "address", mail: mail.id, to: this.#parts.composer.address(mail, peer) });
  }

  #greet({ mail, peer }: Parcel): void {
    const hello = this.#parts.composer.hello(peer);
    if (hello !== undefined) this.toSealing({ type: "greet", mail, peer, hello });
  }

  #fromSpool(out: SpoolOut): void {
    const outcome = this.#outcome;
    switch (out.type) {
      case "save":
        outcome.save(out.key, out.value);
        return;
      case "withdraw":
      case "blob-remove":
        outcome.effect(out);
        return;
      case "state": {
        const { mail, entry } = out;
        const { at, state, why, peer } = entry;
        const { id, contact } = mail;
        const more = { ...(why !== undefined && { why }), ...(peer && { peer }) };
        outcome.tell({ type: "state", id, contact, state, at, ...more });
        if (mail.parts > 1 && (state === "cancelled" || state === "expired"))
          outcome.tellProgress(ended(outgoing(mail, 0), state === "cancelled" ? state : "lost"));
        return;
      }
      case "list":
      case "read":
        outcome.effect(out);
        return;
      case "turn":
        this.#address(out.mail, out.peer);
        return;
      case "found":
        this.#cancel(out.req, out.mail);
        return;
      case "fed":
        this.#roomy.add(out.peer);
        return;
      case "behind":
        this.#toDeliveryOf(out.peer, { type: "press" });
        return;
      case "offer":
        if (out.isNew && out.parcel.hello) this.#greet(out.parcel);
        this.#toDeliveryOf(out.parcel.peer, { type: "offer", parcel: out.parcel });
        return;
      case "stop":
        this.#toDeliveryOf(out.parcel.peer, out);
        return;
      case "progress":
        this.#toDeliveryOf(out.peer, out);
        return;
      case "restored": {
        const peer = this.#parts.people.get(out.peer);
        if (peer === undefined) return;
        this.toDelivery(peer, { type: "restored" });
        outcome.tell({ type: "restored", contact: peer.contact, from: peer.hashname });
        return;
      }
      case "copied": {
        const peer = this.#parts.people.get(out.peer);
        if (peer === undefined) return;
        this.#options.toReceived(peer, { type: "copied" });
        outcome.tell({ type: "copied", contact: peer.contact, from: peer.hashname });
        return;
      }
      case "floor": {
        const peer = this.#parts.people.get(out.peer);
        if (peer !== undefined) this.#options.toReceived(peer, { type: "own-floor", isUrgent: out.isUrgent === true });
      }
    }
  }

  #toDeliveryOf(hashname: Hashname, input: DeliveryIn): void {
    const peer = this.#parts.people.get(hashname);
    if (peer !== undefined) this.toDelivery(peer, input);
  }

  #fromDelivery(peer: Peer, out: DeliveryOut): void {
    const outcome = this.#outcome;
    const { spool } = this.#parts;
    switch (out.type) {
      case "fetch": {
        const { flight, parcel, part } = out;
        const mail = spool.get(parcel.mail);
        if (mail !== undefined) {
          this.toSealing({ type: "fetch", flight, mail, parcel, part, keys: peer.keys });
          return;
        }
        this.toDelivery(peer, { type: "sealed", flight, bytes: undefined });
        return;
      }
      case "deliver": {
        const { flight, ...rest } = out;
        this.#flights.set(flight, peer);
        outcome.effect({ ...rest, id: flight, to: peer.hashname });
        return;
      }
      case "withdraw":
        outcome.effect(out);
        return;
      case "changed":
        this.toSpool({ type: "changed", mail: out.parcel.mail });
        return;
      case "handed":
        this.toSpool({ type: "handed", mail: out.parcel.mail, route: out.route });
        return;
      case "went": {
        const mail = spool.get(out.parcel.mail);
        if (mail !== undefined) outcome.tellProgress(outgoing(mail, peer.delivery.went(out.parcel)));
        return;
      }
      case "lost":
        this.toSpool({ type: "cancel", mail: out.parcel.mail, why: "lost" });
        return;
      case "told":
        this.#options.toReceived(peer, { type: "told" });
        return;
      case "unanswered":
        outcome.effect({ type: "unanswered", contact: peer.contact });
        return;
      case "told-state":
        outcome.save(toldKey(peer.hashname), asJson([...out.told]));
        return;
      case "reputes":
        outcome.save(reputeKey(peer.hashname), asJson([...out.reputes]));
    }
  }

  #fromSealing(out: SealingOut): void {
    switch (out.type) {
      case "save":
        this.#outcome.save(out.key, out.value);
        return;
      case "read":
      case "blob-read":
        this.#outcome.effect(out);
        return;
      case "sealed":
        this.#toDeliveryOf(out.peer, out);
    }
  }
}
