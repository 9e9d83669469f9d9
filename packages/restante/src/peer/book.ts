/** The address book: contacts, and which of them a hashname belongs to. protocol/card.md */
import { asJson, assert, fromBase32, fromHex, ofJson, type Save, type Time, toBase32, toHex } from "../bytes/index.ts";
import {
  type Card,
  type CardPeer,
  encodeCard,
  fits,
  type Invite,
  meant,
  type Path,
  parseCard,
  pathKey,
  secretUri,
} from "../card/index.ts";
import type { Backend, Hashname, Keys } from "../crypto/index.ts";

/** A contact as the application sees it. `id` is 32 hex characters. */
export interface ContactInfo {
  readonly id: string;
  /** As its card says. */
  readonly name?: string | undefined;
  readonly hashnames: readonly Hashname[];
  /** How many caches its card names. */
  readonly caches: number;
  readonly link: "up" | "down";
  /**
   * Whether the user compared the safety words of its devices: of all, of some (there is a new one since), or of none.
   */
  readonly verified: "all" | "some" | "none";
  /** Whether it is told which of its mail was seen here. */
  readonly readMarks: boolean;
  /** Mails that it sent us before others that are here, and that have not come: on their way, or lost. */
  readonly missing: number;
}

export interface Contact {
  readonly id: string;
  readonly card: Card;
  /** The peers of the card that have shown themselves; only these are written to. */
  readonly peers: readonly Hashname[];
  /** Of the invite by which we came to know it. */
  readonly secret: Uint8Array | undefined;
  /** Those of its peers of which the user has compared the safety words. */
  readonly verified: readonly Hashname[];
  readonly readMarks: boolean;
  /** It is a device of our own, and nobody to the user. */
  readonly own?: true;
  /**
   * An invite of its that came when it was known already, as a card with one peer. What the newest card has may be worth nothing
   * any more: it does not tell whom it has removed. So both are used, until a card of its comes, or for 14 days: all contacts of
   * its know what such an invite says, and could have written this one.
   */
  readonly again?: Card;
  /** How long that is used; absent as long as nobody has looked at the clock. */
  readonly againUntil?: Time;
}

/** Contacts. Refuses what would put one hashname into two of them. */
export class Book {
  readonly #contacts = new Map<string, Contact>();
  readonly #owner = new Map<Hashname, string>();
  /** In how many cards a hashname stands. */
  readonly #named = new Map<Hashname, number>();
  /** Contacts with an invite besides their card, and until when. */
  readonly #again = new Map<string, Time>();

  constructor(backend: Backend, saved: ReadonlyMap<string, Uint8Array>) {
    for (const [key, value] of saved) {
      if (!key.startsWith(CONTACT)) continue;
      const {
        card,
        peers,
        secret,
        verified = [],
        readMarks = false,
        own,
        again,
        againUntil,
      } = ofJson<SavedContact>(value);
      const parsed = readSaved(backend, card);
      assert(parsed !== undefined, "a saved card is readable");
      const invited = again === undefined ? undefined : readSaved(backend, again);
      const id = toHex(parsed.id);
      const known = secret === undefined ? undefined : fromHex(secret);
      const until = againUntil === undefined ? {} : { againUntil };
      const rest = { ...(own && { own }), ...(invited && { again: invited, ...until }) };
      this.#set({ id, card: parsed, peers, verified, readMarks, secret: known, ...rest });
    }
  }

  /** How many are people. */
  get size(): number {
    return this.people().length;
  }

  /** Who is no device of ours. */
  people(): Contact[] {
    return this.all().filter(({ own }) => !own);
  }

  /** Other devices of ours. */
  devices(): Contact[] {
    return this.all().filter(({ own }) => own);
  }

  all(): readonly Contact[] {
    return [...this.#contacts.values()];
  }

  /** The contact that a hashname belongs to. */
  of(hashname: Hashname): Contact | undefined {
    return this.#contacts.get(this.#owner.get(hashname) ?? "");
  }

  get(id: string): Contact | undefined {
    return this.#contacts.get(id);
  }

  /** The peers of a contact that may be written to. */
  peersOf({ card, peers, again }: Contact): CardPeer[] {
    const [invited] = again?.peers ?? [];
    return card.peers
      .filter(({ hashname }) => peers.includes(hashname))
      .map((peer) => (invited?.hashname === peer.hashname ? withInvite(peer, invited) : peer));
  }

  /** Whether `age` has something to do. */
  ages(now: Time): boolean {
    for (const until of this.#again.values()) if (until <= now) return true;
    return false;
  }

  /** Invites besides a card are used for 14 days. */
  age(now: Time): Change[] {
    const due = [...this.#again].filter(([, until]) => until <= now);
    return due.flatMap(([id]) => {
      const contact = this.#contacts.get(id);
      if (contact === undefined) return [];
      const isNew = contact.againUntil === undefined;
      return [this.#change(isNew ? { ...contact, againUntil: now + AGAIN_MS } : settled(contact))];
    });
  }

  /** Whether the newest card of its peer names this cache. */
  isOfCard({ card }: Contact, peer: Hashname, cache: Hashname): boolean {
    const named = card.peers.find(({ hashname }) => hashname === peer);
    return named?.caches.some(({ hashname }) => hashname === cache) === true;
  }

  /** What to show at a cache of this peer besides what its card has for it: it may be worth more. */
  secondUri(hashname: Hashname, cache: Hashname): string | undefined {
    const invited = this.of(hashname)?.again?.peers.find((each) => each.hashname === hashname);
    const uri = invited?.caches.find((each) => each.hashname === cache)?.uri;
    return uri === "" ? undefined : uri;
  }

  /** How to reach a peer of a contact, or a cache that one of them names. */
  address(hashname: Hashname): { keys: Keys; paths: readonly Path[]; uri: string | undefined } | undefined {
    const contact = this.of(hashname);
    const named = contact?.card.peers.find((each) => each.hashname === hashname);
    const peer = (contact && this.peersOf(contact).find((each) => each.hashname === hashname)) ?? named;
    if (contact !== undefined && peer !== undefined) {
      // Who does not know us yet opens its door to the secret of its own invite.
      const uri = contact.secret && secretUri(contact.secret);
      const relays = peer.caches.flatMap(({ hashname: hn, routes }) => (routes ? { type: "peer", hn } : []));
      return { keys: peer.keys, paths: [...peer.paths, ...relays], uri };
    }
    // Several contacts may name one cache, and any of them may be wrong about it: all get a turn, the first path of each first.
    const offers = this.all()
      .flatMap((each) => this.peersOf(each).flatMap(({ caches }) => caches))
      .filter((offer) => offer.hashname === hashname);
    const [offer] = offers;
    if (offer === undefined) return undefined;
    const longest = Math.max(...offers.map(({ paths }) => paths.length));
    const turns = Array.from({ length: longest }, (_, i) => offers.flatMap(({ paths }) => paths[i] ?? []));
    const paths = [...new Map(turns.flat().map((path) => [pathKey(path), path])).values()];
    return { keys: offer.keys, paths, uri: offer.uri };
  }

  /**
   * The contact of an invite, new or known. The code says why not: "known" to another contact, "full", or "claimed": it
   * has the id of a contact that has never named its peer, and anybody can write an id into an invite.
   */
  add(
    { hashname, keys, paths, caches, card: cardId, secret, name, bazaar }: Invite,
    own?: true,
  ): Change | "known" | "full" | "claimed" {
    const id = toHex(cardId);
    const known = this.#contacts.get(id);
    const refusal = this.#refusal(id, hashname);
    if (refusal !== undefined) return refusal;
    if (known !== undefined && !known.peers.includes(hashname)) return "claimed";
    // A card that came with mail knows more than a link that was printed some time ago.
    const isOutdone = known !== undefined && known.card.version > 0;
    const peer: CardPeer = { hashname, keys, paths, since: 0, caches, ...(bazaar && { bazaar }) };
    const base = { id: cardId, version: 0, by: hashname, features: [], suites: ["static"], peers: [peer] };
    const invited: Card = { ...base, ...(name === undefined ? {} : { name }) };
    const { peers, verified, readMarks } = known ?? { ...UNKNOWN, peers: [hashname] };
    return this.#change({
      id,
      card: isOutdone ? known.card : invited,
      peers,
      verified,
      readMarks,
      secret,
      ...(isOutdone && { again: invited }),
      ...((known === undefined ? own : known.own) && { own: true }),
    });
  }

  /**
   * The contact of a card that `sender`, one of its peers, has shown itself. `undefined` when the card does not name it,
   * when it belongs to another contact, and when the card claims the id of a contact that has never named it.
   */
  meet(card: Card, sender: Hashname, own?: true): Change | undefined {
    const id = toHex(card.id);
    const known = this.#contacts.get(id);
    if (!names(card, sender) || !fits(card) || this.#refusal(id, sender) !== undefined) return undefined;
    const fresh = { ...UNKNOWN, ...(own && { own }) };
    if (known === undefined) return this.#change({ ...fresh, id, card, peers: [sender], secret: undefined });
    if (!names(known.card, sender)) return undefined;
    // Whoever has shown itself is never forgotten: a contact that changes its devices without end ends here.
    if (!known.peers.includes(sender) && known.peers.length >= MAX_SHOWN) return undefined;
    // What a stranger sent may have waited here for long.
    const newest = isNewer(card, known.card) ? card : known.card;
    const before = newest === card ? settled(known) : known;
    return this.#change({ ...before, card: newest, peers: [...new Set([...known.peers, sender])] });
  }

  /** Whether it is of a contact that still names it, and has shown itself. */
  isPeer(hashname: Hashname): boolean {
    const contact = this.of(hashname);
    return contact !== undefined && names(contact.card, hashname);
  }

  /** Whether the newest card of some contact names this peer, which need not have shown itself. */
  isNamed(hashname: Hashname): boolean {
    return this.#named.has(hashname);
  }

  /** Whether this is a card of a contact whose newest one names the sender already. */
  isExpected(card: Card, sender: Hashname): boolean {
    const known = this.get(toHex(card.id));
    return known !== undefined && names(known.card, sender);
  }

  /**
   * What another device of ours knows of a contact: its card as it is for us, and those of its peers that have shown themselves
   * there. `undefined` when there is nothing new in it, or we know better.
   */
  adopt(card: Card, shown: readonly Hashname[]): Change | undefined {
    const id = toHex(card.id);
    const known = this.#contacts.get(id);
    const peers = [...new Set([...(known?.peers ?? []), ...shown.filter((each) => names(card, each))])];
    if (known?.own || peers.length === 0 || peers.length > MAX_SHOWN || !fits(card)) return undefined;
    if (peers.some((each) => this.#refusal(id, each) !== undefined)) return undefined;
    if (known === undefined) return this.#change({ ...UNKNOWN, id, card, peers, secret: undefined });
    // A newer one by which we are let in nowhere does not help: one that does is on its way.
    const isBetter = isNewer(card, known.card) ? ways(card) >= ways(known.card) : isFuller(card, known.card);
    if (!isBetter && peers.length === known.peers.length) return undefined;
    return this.#change({ ...known, card: isBetter ? card : known.card, peers });
  }

  /** A newer card from a contact's own peer; `undefined` when there is nothing new in it, or it is not about itself. */
  update(id: string, from: Hashname, card: Card): Change | undefined {
    const known = this.#contacts.get(id);
    if (known === undefined || toHex(card.id) !== id) return undefined;
    if (!isNewer(card, known.card) && !isFuller(card, known.card)) return undefined;
    return names(card, from) && fits(card) ? this.#change({ ...settled(known), card }) : undefined;
  }

  /** The user has compared the safety words of these peers, or takes that back. */
  verify(contact: Contact, verified: readonly Hashname[]): Change {
    return this.#change({ ...contact, verified: contact.peers.filter((hashname) => verified.includes(hashname)) });
  }

  /** Whether the contact is told which of its mail was seen here. */
  setReadMarks(contact: Contact, readMarks: boolean): Change {
    return this.#change({ ...contact, readMarks });
  }

  /** Forgets a contact. */
  remove({ id, peers, card }: Contact): Save {
    this.#contacts.delete(id);
    this.#again.delete(id);
    this.#name(card, -1);
    for (const hashname of peers) this.#owner.delete(hashname);
    return { type: "save", key: CONTACT + id, value: undefined };
  }

  info(contact: Contact, isUp: (hashname: Hashname) => boolean): Omit<ContactInfo, "missing"> {
    const { id, card } = contact;
    // Those that have left its card are nobody to the user.
    const hashnames = this.peersOf(contact).map(({ hashname }) => hashname);
    const caches = card.peers.reduce((sum, peer) => sum + peer.caches.length, 0);
    const link = hashnames.some(isUp) ? "up" : "down";
    return {
      id,
      name: card.name,
      hashnames,
      caches,
      link,
      verified: this.#howVerified(contact),
      readMarks: contact.readMarks,
    };
  }

  /** The one contact that `text` means, as `meant` has it. A device of ours is nobody's name. */
  find(text: string): Contact | undefined {
    const wanted = text.toLowerCase();
    const known = this.get(wanted) ?? this.of(wanted as Hashname);
    if (known !== undefined) return known.own ? undefined : known;
    const [found, ...others] = meant(this.people(), wanted, ({ id, card: { name }, peers: hashnames }) => ({
      ...{ id, name, hashnames },
    }));
    return others.length === 0 ? found : undefined;
  }

  /** Whom to call for this name: the peer of this hashname, a device of ours among them, or all of the contact that `find` finds. */
  peersAt(text: string): readonly Hashname[] {
    const hashname = text.toLowerCase() as Hashname;
    if (this.isPeer(hashname)) return [hashname];
    const contact = this.find(text);
    return contact === undefined ? [] : this.peersOf(contact).map((peer) => peer.hashname);
  }

  /** A peer that left the card says nothing any more, neither for nor against. */
  #howVerified(contact: Contact): ContactInfo["verified"] {
    const devices = this.peersOf(contact).map(({ hashname }) => contact.verified.includes(hashname));
    if (devices.length > 0 && devices.every(Boolean)) return "all";
    return devices.some(Boolean) ? "some" : "none";
  }

  #refusal(id: string, hashname: Hashname): "known" | "full" | undefined {
    if ((this.#owner.get(hashname) ?? id) !== id) return "known";
    return this.#contacts.has(id) || this.#contacts.size < MAX_CONTACTS ? undefined : "full";
  }

  #change(contact: Contact): Change {
    const before = this.#contacts.get(contact.id);
    const isNew = before === undefined;
    this.#set(contact);
    const { id, card, peers, secret, verified, readMarks, own, again, againUntil } = contact;
    const record: SavedContact = {
      card: toBase32(encodeCard(card)),
      peers,
      ...(secret === undefined ? {} : { secret: toHex(secret) }),
      ...(verified.length === 0 ? {} : { verified }),
      ...(readMarks ? { readMarks } : {}),
      ...(own && { own }),
      ...(again && { again: toBase32(encodeCard(again)) }),
      ...(againUntil === undefined ? {} : { againUntil }),
    };
    return { contact, before, isNew, save: { type: "save", key: CONTACT + id, value: asJson(record) } };
  }

  #set(contact: Contact): void {
    const before = this.#contacts.get(contact.id);
    if (before !== undefined) this.#name(before.card, -1);
    this.#name(contact.card, 1);
    this.#contacts.set(contact.id, contact);
    if (contact.again === undefined) this.#again.delete(contact.id);
    else this.#again.set(contact.id, contact.againUntil ?? Number.NEGATIVE_INFINITY);
    for (const hashname of contact.peers) this.#owner.set(hashname, contact.id);
  }

  #name({ peers }: Card, by: 1 | -1): void {
    for (const { hashname } of peers) {
      const count = (this.#named.get(hashname) ?? 0) + by;
      if (count === 0) this.#named.delete(hashname);
      else this.#named.set(hashname, count);
    }
  }
}

/** What became of a contact, and what must be saved. */
export interface Change {
  readonly contact: Contact;
  readonly before: Contact | undefined;
  readonly isNew: boolean;
  readonly save: Save;
}

interface SavedContact {
  readonly card: string;
  readonly peers: readonly Hashname[];
  readonly secret?: string;
  /** Absent: none, and in what was written before there were safety words. */
  readonly verified?: readonly Hashname[];
  /** Absent: no. */
  readonly readMarks?: boolean;
  readonly own?: true;
  /** A card, as `card`. */
  readonly again?: string;
  readonly againUntil?: Time;
}

/** What the user has said of somebody who was no contact before. */
const UNKNOWN = { verified: [], readMarks: false } as const;

/** At how many caches of the card we are let in. */
function ways(card: Card): number {
  return card.peers.flatMap(({ caches }) => caches).filter(({ uri }) => uri !== "").length;
}

/** The same version from the same peer, made when it knew of more devices of ours: it lets us or them in at more caches. */
function isFuller(card: Card, than: Card): boolean {
  const tokens = (each: Card): number =>
    each.peers.flatMap(({ caches }) => caches.flatMap(({ others = [] }) => others)).length + ways(each);
  return card.version === than.version && card.by === than.by && tokens(card) > tokens(than);
}

/** A card replaces another of the same contact by its version; equal versions: the higher hashname wins. */
function isNewer(card: Card, than: Card): boolean {
  return card.version > than.version || (card.version === than.version && card.by > than.by);
}

/** A peer as its card has it, and what an invite of its says: where each of them knows more, both. */
function withInvite(peer: CardPeer, invited: CardPeer): CardPeer {
  const paths = new Map([...peer.paths, ...invited.paths].map((path) => [pathKey(path), path]));
  const known = new Set(peer.caches.map(({ hashname }) => hashname));
  const caches = [...peer.caches, ...invited.caches.filter(({ hashname }) => !known.has(hashname))];
  const bazaar = peer.bazaar ?? invited.bazaar;
  return { ...peer, paths: [...paths.values()], caches, ...(bazaar && { bazaar }) };
}

/** The contact without an invite that is answered. */
function settled({ again: _, againUntil: __, ...contact }: Contact): Contact {
  return contact;
}

function readSaved(backend: Backend, card: string): Card | undefined {
  const bytes = fromBase32(card);
  return bytes && parseCard(backend, bytes);
}

function names(card: Card, peer: Hashname): boolean {
  return card.peers.some(({ hashname }) => hashname === peer);
}

const CONTACT = "peer/contact/";
const AGAIN_MS = 14 * 86_400_000; // as long as mail is offered
const MAX_CONTACTS = 10_000;
const MAX_SHOWN = 64; // peers of one contact, those that left its card among them; as many as a card names
