/** The address book: contacts, and which of them a hashname belongs to. protocol/card.md */
import { assert, fromBase32, fromHex, toBase32, toHex } from "../bytes/index.ts";
import {
  type Card,
  type CardPeer,
  encodeCard,
  fits,
  type Invite,
  type Path,
  parseCard,
  pathKey,
  secretUri,
} from "../card/index.ts";
import type { Backend, Hashname, Keys } from "../crypto/index.ts";
import { asJson, ofJson, type Save } from "./door.ts";

/** A contact as the application sees it. `id` is 32 hex characters. */
export interface ContactInfo {
  readonly id: string;
  /** As its card says. */
  readonly name: string | undefined;
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
}

/** Contacts. Refuses what would put one hashname into two of them. */
export class Book {
  readonly #contacts = new Map<string, Contact>();
  readonly #owner = new Map<Hashname, string>();
  /** In how many cards a hashname stands. */
  readonly #named = new Map<Hashname, number>();

  constructor(backend: Backend, saved: ReadonlyMap<string, Uint8Array>) {
    for (const [key, value] of saved) {
      if (!key.startsWith(CONTACT)) continue;
      const { card, peers, secret, verified = [], readMarks = false, own } = ofJson<SavedContact>(value);
      const bytes = fromBase32(card);
      const parsed = bytes && parseCard(backend, bytes);
      assert(parsed !== undefined, "a saved card is readable");
      const id = toHex(parsed.id);
      const known = secret === undefined ? undefined : fromHex(secret);
      this.#set({ id, card: parsed, peers, verified, readMarks, secret: known, ...(own && { own }) });
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
  peersOf({ card, peers }: Contact): CardPeer[] {
    return card.peers.filter(({ hashname }) => peers.includes(hashname));
  }

  /** How to reach a peer of a contact, or a cache that one of them names. */
  address(hashname: Hashname): { keys: Keys; paths: readonly Path[]; uri: string | undefined } | undefined {
    const contact = this.of(hashname);
    const peer = contact?.card.peers.find((each) => each.hashname === hashname);
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
    { hashname, keys, paths, caches, card: cardId, secret, name }: Invite,
    own?: true,
  ): Change | "known" | "full" | "claimed" {
    const id = toHex(cardId);
    const known = this.#contacts.get(id);
    const refusal = this.#refusal(id, hashname);
    if (refusal !== undefined) return refusal;
    if (known !== undefined && !known.peers.includes(hashname)) return "claimed";
    // A card that came with mail knows more than a link that was printed some time ago.
    const isOutdone = known !== undefined && known.card.version > 0;
    const peer: CardPeer = { hashname, keys, paths, since: 0, caches };
    const base = { id: cardId, version: 0, by: hashname, features: [], suites: ["static"], peers: [peer] };
    const card: Card = isOutdone ? known.card : { ...base, ...(name === undefined ? {} : { name }) };
    const { peers, verified, readMarks } = known ?? { ...UNKNOWN, peers: [hashname] };
    return this.#change({
      id,
      card,
      peers,
      verified,
      readMarks,
      secret,
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
    return this.#change({ ...known, card: newest, peers: [...new Set([...known.peers, sender])] });
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
    return names(card, from) && fits(card) ? this.#change({ ...known, card }) : undefined;
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
    this.#name(card, -1);
    for (const hashname of peers) this.#owner.delete(hashname);
    return { type: "save", key: CONTACT + id, value: undefined };
  }

  info(contact: Contact, isUp: (hashname: Hashname) => boolean): Omit<ContactInfo, "missing"> {
    const { id, card, peers } = contact;
    const caches = card.peers.reduce((sum, peer) => sum + peer.caches.length, 0);
    const link = peers.some(isUp) ? "up" : "down";
    return {
      id,
      name: card.name,
      hashnames: peers,
      caches,
      link,
      verified: this.#howVerified(contact),
      readMarks: contact.readMarks,
    };
  }

  /**
   * The one contact that `text` names: its id, a hashname, its name, or an unambiguous start of one of them. In this order:
   * names are chosen by their owners, who may choose somebody else's hashname.
   */
  find(text: string): Contact | undefined {
    const wanted = text.toLowerCase();
    const known = this.get(wanted) ?? this.of(wanted as Hashname);
    if (known !== undefined) return known.own ? undefined : known;
    const all = this.people();
    const named = all.filter(({ card }) => card.name?.toLowerCase() === wanted);
    if (named.length > 0 || wanted.length < LEAST_START) return named.length === 1 ? named[0] : undefined;
    const begun = all.filter(({ id, peers, card }) =>
      [id, ...peers, card.name?.toLowerCase() ?? ""].some((each) => each.startsWith(wanted)),
    );
    return begun.length === 1 ? begun[0] : undefined;
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
    const isNew = !this.#contacts.has(contact.id);
    this.#set(contact);
    const { id, card, peers, secret, verified, readMarks, own } = contact;
    const record: SavedContact = {
      card: toBase32(encodeCard(card)),
      peers,
      ...(secret === undefined ? {} : { secret: toHex(secret) }),
      ...(verified.length === 0 ? {} : { verified }),
      ...(readMarks ? { readMarks } : {}),
      ...(own && { own }),
    };
    return { contact, isNew, save: { type: "save", key: CONTACT + id, value: asJson(record) } };
  }

  #set(contact: Contact): void {
    const before = this.#contacts.get(contact.id);
    if (before !== undefined) this.#name(before.card, -1);
    this.#name(contact.card, 1);
    this.#contacts.set(contact.id, contact);
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

function names(card: Card, peer: Hashname): boolean {
  return card.peers.some(({ hashname }) => hashname === peer);
}

const CONTACT = "peer/contact/";
const MAX_CONTACTS = 10_000;
const MAX_SHOWN = 64; // peers of one contact, those that left its card among them; as many as a card names
const LEAST_START = 4; // characters: fewer are a typing slip more often than a name
