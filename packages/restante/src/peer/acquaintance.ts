/**
 * Acquaintance: how others become contacts, by invites and first words, and what becomes of the cards that they send.
 * protocol/card.md, protocol/mail.md
 */
import { Budget, type Random, type Time, toHex } from "../bytes/index.ts";
import {
  type Card,
  encodeInvite,
  inviteProblem,
  isSafetyOf,
  isWork,
  MAX_WORK,
  type Path,
  parseCard,
  parseInvite,
  safetyText,
  safetyWords,
} from "../card/index.ts";
import { type Crypto, type Hashname, type Identity, parseHashname } from "../crypto/index.ts";
import type { MailOut, Request } from "../mail/index.ts";
import type { Blocked } from "./blocked.ts";
import type { Book, Change, Contact, ContactInfo } from "./book.ts";
import type { RequestInfo, RootOptions, SafetyInfo } from "./contract.ts";
import type { Door } from "./door.ts";
import type { Links } from "./links.ts";
import { newOffers } from "./offers.ts";
import { familyHolder, type OwnCard, sendCard } from "./own-card.ts";
import { OURS, REVOKED, refuse, type Step } from "./step.ts";

export interface AcquaintanceOptions {
  readonly crypto: Crypto;
  readonly identity: Identity;
  readonly random: Random;
  /** Our own addresses. */
  readonly paths: readonly Path[];
  readonly bazaar?: RootOptions["bazaar"];
  readonly blocked: Blocked;
  readonly book: Book;
  readonly door: Door;
  readonly links: Links;
  readonly card: OwnCard;
  /** Our other devices hear of a contact that is new or changed, or is none any more; but for the one that told us. */
  readonly tells: {
    changed(contact: Contact, isNew: boolean, from?: Contact): Step[];
    forgotten(contact: Contact, now: Time, from?: Contact): Step[];
  };
  /** How many mails of a contact are known to be missing. */
  readonly missing: (contact: string) => number;
  /** Whether our card is on its way to a contact. */
  readonly isTelling: (contact: string) => boolean;
}

/** Decides who is written into the address book. */
export class Acquaintance {
  readonly #options: AcquaintanceOptions;
  /** By contact: what its cards may make us write to others, and to it. */
  readonly #budgets = new Map<string, Budget>();
  /** By contact: when it was sent our card for not answering. */
  readonly #reminded = new Map<string, Time>();

  constructor(options: AcquaintanceOptions) {
    this.#options = options;
  }

  /** After a restart: mail and mesh know nobody yet. */
  start(): Step[] {
    return this.#options.book.all().flatMap((contact) => this.#use(contact));
  }

  /** Invites that are used besides the cards of known contacts come to an end. */
  aged(now: Time): Step[] {
    return this.#options.book.age(now).flatMap((change) => this.applied(change));
  }

  /** A link for somebody to write to us; `once`: the first who uses it is accepted unasked, and nobody after. */
  invite(
    req: number,
    { once, work = 0, secret = this.#options.random(16) }: { once: boolean; work?: number; secret?: Uint8Array },
    now: Time,
  ): Step[] {
    if (!isWork(work)) return [refuse(req, "bad-work", `work is a whole number of bits, 0 to ${MAX_WORK}`)];
    const { identity, paths, door, card, bazaar } = this.#options;
    const { name } = card;
    const caches = door.cachesForInvite(secret, now, work);
    if (paths.length === 0 && caches.length === 0 && bazaar === undefined)
      return [refuse(req, "unreachable", "nobody could reach you yet: listen on an address or join a cache first")];
    const { keys, hashname } = identity;
    const way = bazaar && { bazaar: bazaar.address };
    const invite = { keys, hashname, paths, caches, card: card.id, secret, ...way };
    const link = encodeInvite(name === undefined ? invite : { ...invite, name });
    return [
      ...door.invite(secret, once, now),
      { child: "mail", input: { type: "forgive" } },
      { type: "reply", req, value: { link } },
    ];
  }

  /** Become the contact of whoever made this invite. */
  add(req: number, link: string): Step[] {
    const { crypto, identity, book, blocked } = this.#options;
    const invite = parseInvite(crypto.backend, link);
    if (invite === undefined) return [refuse(req, "bad-invite", inviteProblem(link))];
    if (invite.hashname === identity.hashname) return [refuse(req, "self", "this is your own invite")];
    if (blocked.has(invite.hashname)) return [refuse(req, "blocked", "you have blocked who made this invite")];
    if (book.of(invite.hashname)?.own) return [refuse(req, "self", "this is a device of yours")];
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
    const contact = this.#options.book.get(id);
    if (contact === undefined) return [refuse(req, "not-found", "there is no such contact")];
    if (contact.own) return [refuse(req, "not-found", "there is no such contact")];
    return [...this.dropped(contact, now), { type: "reply", req, value: {} }];
  }

  /**
   * Never to hear of somebody again: a contact, by its id; who sent a request, by that; or any hashname. Of a contact all peers
   * that have shown themselves: a card may name whom it likes. `waiting`: all requests that there are.
   */
  block(req: number, who: string, waiting: readonly Request[], now: Time): Step[] {
    const { identity, book, blocked, links } = this.#options;
    const one = parseHashname(who);
    const contact = book.get(who) ?? (one && book.of(one));
    const hashnames = contact?.peers ?? (one === undefined ? [] : [one]);
    if (hashnames.length === 0) return [refuse(req, "not-found", "there is nobody of this name")];
    if (contact?.own || hashnames.includes(identity.hashname)) return [refuse(req, "self", "this is you")];
    const fresh = hashnames.filter((hashname) => !blocked.has(hashname));
    if (!blocked.hasRoom(fresh.length)) return [refuse(req, "full", "no more can be blocked: unblock somebody first")];
    const asked = waiting.filter(({ hashname }) => hashnames.includes(hashname));
    const [request] = asked.map((each) => this.requestInfo(each));
    const name = contact?.card.name ?? request?.name;
    return [
      ...fresh.map((hashname) => blocked.add(hashname, name, now)),
      ...(contact === undefined ? [] : this.dropped(contact, now)),
      ...asked.map(({ request }): Step => ({ child: "mail", input: { type: "ignore", req: OURS, request } })),
      // Whom the application let in, or who came by an invite.
      ...(contact !== undefined || one === undefined || links.isOurs(one) ? [] : [rejected(one)]),
      { type: "reply", req, value: { hashnames } },
    ];
  }

  /** From now on a stranger like all others: a request of his is shown, an invite made from now on lets him in. */
  unblock(req: number, hashname: Hashname): Step[] {
    const saves = this.#options.blocked.remove(hashname);
    if (saves.length === 0) return [refuse(req, "not-found", "you have not blocked this peer")];
    return [...saves, { type: "reply", req, value: {} }];
  }

  /** What to compare with a contact, one entry for each of its devices; `undefined`: there is no such contact. */
  safety(id: string): SafetyInfo[] | undefined {
    const { crypto, identity, book } = this.#options;
    const contact = book.get(id);
    return (
      contact &&
      book.peersOf(contact).map(({ hashname }) => ({
        hashname,
        words: safetyWords(crypto.backend, identity.hashname, hashname),
        text: safetyText(identity.hashname, hashname),
        isVerified: contact.verified.includes(hashname),
      }))
    );
  }

  /** The user read or scanned this at the contact's: whose device it is of counts as verified. Without it none does any more. */
  verify(req: number, id: string, said: string | undefined): Step[] {
    const { crypto, identity, book } = this.#options;
    const contact = book.get(id);
    if (contact === undefined) return [refuse(req, "not-found", "there is no such contact")];
    const same = book
      .peersOf(contact)
      .map(({ hashname }) => hashname)
      .filter((hashname) => said !== undefined && isSafetyOf(crypto.backend, said, identity.hashname, hashname));
    if (said !== undefined && same.length === 0) return [refuse(req, "mismatch", MISMATCH)];
    const change = book.verify(contact, said === undefined ? [] : [...contact.verified, ...same]);
    return [...this.#apply(change), { type: "reply", req, value: this.info(change.contact) }];
  }

  /** Mail to a contact is not answered. With our card comes who we are: it may have lost that, and what we write says it to nobody else. */
  unanswered(id: string, now: Time): Step[] {
    const { book, isTelling } = this.#options;
    const last = this.#reminded.get(id);
    const isLately = last !== undefined && last <= now && now < last + REMIND_MS;
    if (book.get(id)?.own || isLately || isTelling(id)) return [];
    this.#reminded.set(id, now);
    return [sendCard(id)];
  }

  /** Whether a contact is told which of its mail was seen here. */
  setReadMarks(req: number, id: string, on: boolean): Step[] {
    const contact = this.#options.book.get(id);
    if (contact === undefined) return [refuse(req, "not-found", "there is no such contact")];
    const change = this.#options.book.setReadMarks(contact, on);
    return [...this.#apply(change), { type: "reply", req, value: this.info(change.contact) }];
  }

  #drop(contact: Contact, now: Time): Step[] {
    const { book, door, links, card } = this.#options;
    this.#budgets.delete(contact.id);
    this.#reminded.delete(contact.id);
    return [
      book.remove(contact),
      // Whoever is welcome again gets other tokens, and takes them with a card above the last one alone.
      ...card.raise(card.version + 1),
      // What others of its card got, they got by it, and lose with it: a card may name whom it likes.
      ...contact.peers.flatMap((hashname) => door.void(hashname, now)),
      ...(contact.card.peers.length > 1 ? door.void(familyHolder(contact), now) : []),
      ...this.endOffered((_, whose) => whose === contact.id, now),
      { child: "mail", input: { type: "forget", contact: contact.id } },
      ...contact.peers.flatMap((hashname) => links.letGo(hashname, "contact")),
      // Not wanted is not gone: as long as the other end keeps it alive, a link says that we are here, and where.
      ...contact.peers.flatMap((hashname): Step[] => (links.isOurs(hashname) ? [] : [rejected(hashname)])),
      REVOKED,
    ];
  }

  /** The user's word on a request; `waiting`: all that there are. */
  accept(req: number, request: string, waiting: readonly Request[]): Step[] {
    const { crypto, book } = this.#options;
    const found = waiting.find((each) => each.request === request);
    const card = found && parseCard(crypto.backend, found.card);
    if (found === undefined || card === undefined) return [refuse(req, "not-found", "there is no such request")];
    const change = this.#isOurs(card) ? undefined : book.meet(card, found.hashname);
    return change === undefined ? [refuse(req, "known", REFUSALS.known)] : this.#welcome(req, request, change);
  }

  /** A stranger's first words. Who used an invite of ours, or whom we added ourselves, is expected. */
  introduced({ request, sender, card, secret }: Extract<MailOut, { type: "introduce" }>, now: Time): Step[] {
    const { crypto, book, door } = this.#options;
    const parsed = parseCard(crypto.backend, card);
    const isInvited = secret !== undefined && door.isGuest(secret, sender.hashname);
    const isKnown = book.of(sender.hashname) !== undefined;
    if (parsed === undefined || !(isInvited || isKnown || book.isExpected(parsed, sender.hashname))) return [];
    const change = this.#isOurs(parsed) ? undefined : book.meet(parsed, sender.hashname);
    if (change === undefined) return [];
    // A device that shows itself for the first time has nothing of ours yet.
    const first = isKnown || change.isNew ? [] : [sendCard(change.contact.id)];
    return [...this.spent(secret, now), ...this.#welcome(OURS, request, change), ...first];
  }

  /** A contact's card. Two people may invite each other: an invite for one is used up by a contact, too. */
  updated({ contact, from, card, secret }: Extract<MailOut, { type: "card" }>, now: Time): Step[] {
    const { crypto, book } = this.#options;
    const before = book.get(contact);
    const parsed = parseCard(crypto.backend, card);
    const change = parsed && book.update(contact, from, parsed);
    if (before === undefined || change === undefined)
      return [...this.#answer(contact, from, secret, now), ...this.spent(secret, now)];
    const [old, fresh] = [before.card, change.contact.card].map((each) => each.peers.map(({ hashname }) => hashname));
    const joined = fresh?.filter((each) => !old?.includes(each) && (book.of(each)?.id ?? contact) === contact) ?? [];
    const left = change.contact.peers.filter((each) => old?.includes(each) && !fresh?.includes(each));
    // Its own devices and ours get the newest card from whoever gave it out, too: what is not told here is only told later.
    const mayTell = this.#mayTell(contact, now);
    return [
      ...this.#apply(change, undefined, mayTell),
      ...(mayTell ? this.#moved(change.contact) : []),
      ...this.#cutOff(change.contact, left, now),
      // By our card the contact's new devices learn how to reach us: only its own can read it.
      ...(joined.length > 0 && mayTell ? [sendCard(contact)] : []),
      ...this.spent(secret, now),
    ];
  }

  /** A contact that another device of ours has. */
  adopt(card: Card, shown: readonly Hashname[], from: Contact): Step[] {
    const { book, blocked } = this.#options;
    if (shown.some((each) => blocked.has(each)) || this.#isOurs(card)) return [];
    const change = book.adopt(card, shown);
    if (change === undefined) return [];
    return [...this.#apply(change, from), ...(change.isNew ? [sendCard(change.contact.id)] : [])];
  }

  /** What follows when one of our devices is known, or known better: nobody else is told. */
  applied({ contact, save }: Change): Step[] {
    return [save, ...this.#use(contact)];
  }

  /** A contact, or a device of ours, is known no more. */
  dropped(contact: Contact, now: Time, from?: Contact): Step[] {
    return [...this.#drop(contact, now), ...(contact.own ? [] : this.#options.tells.forgotten(contact, now, from))];
  }

  /** Of those who use our cache because it was offered these do no more: what is kept for them goes. */
  endOffered(isMeant: (hashname: Hashname, contact: string) => boolean, now: Time): Step[] {
    const { saves, peers } = this.#options.door.endOffered(isMeant, now);
    return [...saves, ...peers.map((peer): Step => ({ child: "cache", input: { type: "left", peer } }))];
  }

  /** An invite of ours was used. */
  spent(secret: Uint8Array | undefined, now: Time): Step[] {
    const saves = secret === undefined ? [] : this.#options.door.spend(secret, now);
    return saves.length === 0 ? [] : [...saves, REVOKED];
  }

  /** A contact as the application sees it. */
  info(contact: Contact): ContactInfo {
    const { book, links, missing } = this.#options;
    return { ...book.info(contact, (hashname) => links.isUp(hashname)), missing: missing(contact.id) };
  }

  /** A stranger's request as the application sees it. */
  requestInfo({ request, hashname, card, at, texts, before }: Request): RequestInfo {
    const name = parseCard(this.#options.crypto.backend, card)?.name;
    return { request, hashname, name, at, texts, ...(before && { before }) };
  }

  /** Take over a stranger's mail, and give our card: with it the new contact may leave more than a stranger may. */
  #welcome(req: number, request: string, change: Change): Step[] {
    return [
      ...this.#apply(change),
      { child: "mail", input: { type: "accept", req, request } },
      ...(change.isNew ? [sendCard(change.contact.id)] : []),
    ];
  }

  /** Nobody else may have the id of our card: a device of ours that is lost may claim it still. */
  #isOurs(card: Card): boolean {
    return toHex(card.id) === toHex(this.#options.card.id);
  }

  /** Devices of a contact that it does not name any more: they may be in other hands. */
  #cutOff(contact: Contact, devices: readonly Hashname[], now: Time): Step[] {
    const { door, links } = this.#options;
    if (devices.length === 0) return [];
    return [
      ...[familyHolder(contact), ...devices].flatMap((holder) => door.void(holder, now, true)),
      ...this.endOffered((hashname) => devices.includes(hashname), now),
      ...devices.flatMap((hashname) => links.letGo(hashname, "contact")),
      ...devices.map(rejected),
      REVOKED,
    ];
  }

  /** A contact that is a cache of ours is found elsewhere: who writes to us has to know. */
  #moved(contact: Contact): Step[] {
    const { book, door, card } = this.#options;
    const saves = book.peersOf(contact).flatMap(({ hashname, paths }) => door.move(hashname, paths));
    return saves.length === 0 ? [] : [...saves, ...card.check()];
  }

  /** A contact came by an invite, as whom we have removed does: a new card tells it that what it had of us is still good. */
  #answer(contact: string, from: Hashname, secret: Uint8Array | undefined, now: Time): Step[] {
    const { door, card, isTelling } = this.#options;
    const isInvited = secret !== undefined && door.isGuest(secret, from);
    if (!isInvited || isTelling(contact) || !this.#mayTell(contact, now)) return [];
    return [...card.raise(card.version + 1), sendCard(contact)];
  }

  #mayTell(contact: string, now: Time): boolean {
    const budget = this.#budgets.get(contact) ?? new Budget(TOLD_PER_SECOND, TOLD_AT_ONCE);
    this.#budgets.set(contact, budget);
    return budget.take(now, 1);
  }

  #apply({ contact, before, isNew, save }: Change, from?: Contact, mayTell = true): Step[] {
    if (contact.own) return [save, ...this.#use(contact)];
    const { book, door } = this.#options;
    const offers = newOffers(book, contact, before).filter(({ cache }) => !door.uses(cache));
    return [
      save,
      ...this.#use(contact),
      ...(mayTell ? this.#options.tells.changed(contact, isNew, from) : []),
      { type: "event", event: { type: "contact", contact: this.info(contact), isNew } },
      ...offers.map((offer): Step => ({ type: "event", event: { type: "offer", ...offer } })),
    ];
  }

  /** Mail and mesh learn what they need of a contact. */
  #use(contact: Contact): Step[] {
    const { book, links } = this.#options;
    const peers = book.peersOf(contact).map(({ hashname, keys, caches, paths, bazaar }) => ({
      hashname,
      keys,
      direct: paths.length > 0 || caches.some(({ routes }) => routes === true),
      caches: caches.map((cache) => ({
        hashname: cache.hashname,
        uri: cache.uri,
        cap: cache.cap,
        store: cache.store,
        ...(!book.isOfCard(contact, hashname, cache.hashname) && { isSpare: true as const }),
      })),
      ...(bazaar && { bazaar }),
    }));
    const { id, secret, readMarks, own } = contact;
    const invited = { ...(secret === undefined ? {} : { secret }), ...(own && { own }) };
    return [
      { child: "mail", input: { type: "contact", contact: { id, peers, readMarks, ...invited } } },
      // Not those that have left the card.
      ...peers.flatMap(({ hashname }) => links.keep(hashname, "contact")),
    ];
  }
}

function rejected(hashname: Hashname): Step {
  return { child: "mesh", input: { type: "reject", hashname } };
}

const REMIND_MS = 14 * 86_400_000; // as long as mail is offered
const TOLD_PER_SECOND: number = 1 / 3600;
const TOLD_AT_ONCE = 8;
const MISMATCH =
  "these are not the words of any device of this contact: either they were misread, or somebody stands between you";
const REFUSALS = {
  known: "this peer belongs to another of your contacts already",
  claimed: "the invite says that it is from one of your contacts, but that contact has never named this peer",
  full: "the address book is full",
} as const;
