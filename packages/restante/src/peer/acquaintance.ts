/**
 * Acquaintance: how others become contacts, by invites and first words, and what becomes of the cards that they send.
 * protocol/card.md, protocol/mail.md
 */
import { type Random, type Time, toHex } from "../bytes/index.ts";
import { encodeInvite, inviteProblem, type Path, parseCard, parseInvite } from "../card/index.ts";
import type { Crypto, Identity } from "../crypto/index.ts";
import type { MailOut, Request } from "../mail/index.ts";
import type { Book, Change, Contact, ContactInfo } from "./book.ts";
import type { RequestInfo } from "./contract.ts";
import type { Door } from "./door.ts";
import type { Links } from "./links.ts";
import { type OwnCard, sendCard } from "./own-card.ts";
import { OURS, REVOKED, refuse, type Step } from "./step.ts";

export interface AcquaintanceOptions {
  readonly crypto: Crypto;
  readonly identity: Identity;
  readonly random: Random;
  /** Our own addresses. */
  readonly paths: readonly Path[];
  readonly name?: string;
  readonly book: Book;
  readonly door: Door;
  readonly links: Links;
  readonly card: OwnCard;
}

/** Decides who is written into the address book. */
export class Acquaintance {
  readonly #options: AcquaintanceOptions;

  constructor(options: AcquaintanceOptions) {
    this.#options = options;
  }

  /** After a restart: mail and mesh know nobody yet. */
  start(): Step[] {
    return this.#options.book.all().flatMap((contact) => this.#use(contact));
  }

  /** A link for somebody to write to us; `once`: the first who uses it is accepted unasked, and nobody after. */
  invite(req: number, once: boolean, now: Time): Step[] {
    const { identity, paths, name, random, door, card } = this.#options;
    const secret = random(16);
    const caches = door.cachesForInvite(secret, now);
    if (paths.length === 0 && caches.length === 0)
      return [refuse(req, "unreachable", "nobody could reach you yet: listen on an address or join a cache first")];
    const { keys, hashname } = identity;
    const invite = { keys, hashname, paths, caches, card: card.id, secret };
    const link = encodeInvite(name === undefined ? invite : { ...invite, name });
    return [
      ...door.invite(secret, once, now),
      { child: "mail", input: { type: "forgive" } },
      { type: "reply", req, value: { link } },
    ];
  }

  /** Become the contact of whoever made this invite. */
  add(req: number, link: string): Step[] {
    const { crypto, identity, book } = this.#options;
    const invite = parseInvite(crypto.backend, link);
    if (invite === undefined) return [refuse(req, "bad-invite", inviteProblem(link))];
    if (invite.hashname === identity.hashname) return [refuse(req, "self", "this is your own invite")];
    const change = book.add(invite);
    if (typeof change === "string") return [refuse(req, change, REFUSALS[change])];
    return [
      ...this.#apply(change),
      // To a known contact, too: what we sent with an older invite may have shown a secret that is worth nothing any more.
      sendCard(change.contact.id),
      { type: "reply", req, value: this.info(change.contact) },
    ];
  }

  /** Nobody comes in by this invite of ours any more, and nobody leaves mail by it. */
  close(req: number, link: string, now: Time): Step[] {
    const { crypto, identity, door } = this.#options;
    const invite = parseInvite(crypto.backend, link);
    if (invite === undefined) return [refuse(req, "bad-invite", inviteProblem(link))];
    const { hashname, secret } = invite;
    const saves = secret !== undefined && hashname === identity.hashname ? door.close(toHex(secret), now) : [];
    if (saves.length === 0) return [refuse(req, "not-found", "this is no open invite of yours")];
    return [...saves, REVOKED, { type: "reply", req, value: {} }];
  }

  /** Not to know a contact any more. Its tokens are void at our caches, and what it sends from now on is a stranger's. */
  remove(req: number, id: string, now: Time): Step[] {
    const { book, door, links } = this.#options;
    const contact = book.get(id);
    if (contact === undefined) return [refuse(req, "not-found", "there is no such contact")];
    return [
      book.remove(contact),
      // Nobody else of its card got a token: our card goes to those alone that have spoken. And a card may name whom it likes.
      ...contact.peers.flatMap((hashname) => door.void(hashname, now)),
      { child: "mail", input: { type: "forget", contact: id } },
      ...contact.peers.flatMap((hashname) => links.letGo(hashname, "contact")),
      // Not wanted is not gone: as long as the other end keeps it alive, a link says that we are here, and where.
      ...contact.peers.flatMap((hashname): Step[] =>
        links.isOurs(hashname) ? [] : [{ child: "mesh", input: { type: "reject", hashname } }],
      ),
      REVOKED,
      { type: "reply", req, value: {} },
    ];
  }

  /** The user's word on a request; `waiting`: all that there are. */
  accept(req: number, request: string, waiting: readonly Request[]): Step[] {
    const { crypto, book } = this.#options;
    const found = waiting.find((each) => each.request === request);
    const card = found && parseCard(crypto.backend, found.card);
    if (found === undefined || card === undefined) return [refuse(req, "not-found", "there is no such request")];
    const change = book.meet(card, found.hashname);
    return change === undefined ? [refuse(req, "known", REFUSALS.known)] : this.#welcome(req, request, change);
  }

  /** A stranger's first words. Who used an invite of ours, or whom we added ourselves, is expected. */
  introduced({ request, sender, card, secret }: Extract<MailOut, { type: "introduce" }>, now: Time): Step[] {
    const { crypto, book, door } = this.#options;
    const parsed = parseCard(crypto.backend, card);
    const isInvited = secret !== undefined && door.isGuest(secret, sender.hashname);
    if (parsed === undefined || !(isInvited || book.of(sender.hashname) !== undefined)) return [];
    const change = book.meet(parsed, sender.hashname);
    if (change === undefined) return [];
    return [...this.#spend(secret, now), ...this.#welcome(OURS, request, change)];
  }

  /** A contact's card. Two people may invite each other: an invite for one is used up by a contact, too. */
  updated({ contact, from, card, secret }: Extract<MailOut, { type: "card" }>, now: Time): Step[] {
    const { crypto, book } = this.#options;
    const parsed = parseCard(crypto.backend, card);
    const change = parsed && book.update(contact, from, parsed);
    return [...(change === undefined ? [] : this.#apply(change)), ...this.#spend(secret, now)];
  }

  /** A contact as the application sees it. */
  info(contact: Contact): ContactInfo {
    const { book, links } = this.#options;
    return book.info(contact, (hashname) => links.isUp(hashname));
  }

  /** A stranger's request as the application sees it. */
  requestInfo({ request, hashname, card, at, texts }: Request): RequestInfo {
    const name = parseCard(this.#options.crypto.backend, card)?.name;
    return { request, hashname, name, at, texts };
  }

  /** Take over a stranger's mail, and give our card: with it the new contact may leave more than a stranger may. */
  #welcome(req: number, request: string, change: Change): Step[] {
    return [
      ...this.#apply(change),
      { child: "mail", input: { type: "accept", req, request } },
      ...(change.isNew ? [sendCard(change.contact.id)] : []),
    ];
  }

  #spend(secret: Uint8Array | undefined, now: Time): Step[] {
    const saves = secret === undefined ? [] : this.#options.door.spend(secret, now);
    return saves.length === 0 ? [] : [...saves, REVOKED];
  }

  #apply({ contact, isNew, save }: Change): Step[] {
    return [
      save,
      ...this.#use(contact),
      { type: "event", event: { type: "contact", contact: this.info(contact), isNew } },
    ];
  }

  /** Mail and mesh learn what they need of a contact. */
  #use(contact: Contact): Step[] {
    const { book, links } = this.#options;
    const peers = book.peersOf(contact).map(({ hashname, keys, caches, paths }) => ({
      hashname,
      keys,
      direct: paths.length > 0 || caches.some(({ routes }) => routes === true),
      caches: caches.map(({ hashname, uri, cap, store }) => ({ hashname, uri, cap, store })),
    }));
    const { id, secret } = contact;
    return [
      {
        child: "mail",
        input: { type: "contact", contact: { id, peers, ...(secret === undefined ? {} : { secret }) } },
      },
      ...contact.peers.flatMap((hashname) => links.keep(hashname, "contact")),
    ];
  }
}

const REFUSALS = {
  known: "this peer belongs to another of your contacts already",
  claimed: "the invite says that it is from one of your contacts, but that contact has never named this peer",
  full: "the address book is full",
} as const;
