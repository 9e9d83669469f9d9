/** The address book: contacts, and which of them a hashname belongs to. protocol/card.md */
import { assert, fromBase32, fromHex, RestanteError, toBase32, toHex } from "../bytes/index.ts";
import {
  type Card,
  type CardPeer,
  encodeCard,
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
}

export interface Contact {
  readonly id: string;
  readonly card: Card;
  /** The peers of the card that have shown themselves; only these are written to. */
  readonly peers: readonly Hashname[];
  /** Of the invite by which we came to know it. */
  readonly secret: Uint8Array | undefined;
}

/** Contacts. Refuses what would put one hashname into two of them. */
export class Book {
  readonly #contacts = new Map<string, Contact>();
  readonly #owner = new Map<Hashname, string>();

  constructor(backend: Backend, saved: ReadonlyMap<string, Uint8Array>) {
    for (const [key, value] of saved) {
      if (!key.startsWith(CONTACT)) continue;
      const { card, peers, secret } = ofJson<SavedContact>(value);
      const bytes = fromBase32(card);
      const parsed = bytes && parseCard(backend, bytes);
      assert(parsed !== undefined, "a saved card is readable");
      const id = toHex(parsed.id);
      this.#set({ id, card: parsed, peers, secret: secret === undefined ? undefined : fromHex(secret) });
    }
  }

  get size(): number {
    return this.#contacts.size;
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
  add({ hashname, keys, paths, caches, card: cardId, secret, name }: Invite): Change | "known" | "full" | "claimed" {
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
    return this.#change({ id, card, peers: known?.peers ?? [hashname], secret });
  }

  /**
   * The contact of a card that `sender`, one of its peers, has shown itself. `undefined` when the card does not name it,
   * when it belongs to another contact, and when the card claims the id of a contact that has never named it.
   */
  meet(card: Card, sender: Hashname): Change | undefined {
    const id = toHex(card.id);
    const known = this.#contacts.get(id);
    if (!names(card, sender) || !isKeepable(card) || this.#refusal(id, sender) !== undefined) return undefined;
    if (known === undefined) return this.#change({ id, card, peers: [sender], secret: undefined });
    if (!names(known.card, sender)) return undefined;
    // What a stranger sent may have waited here for long.
    const newest = isNewer(card, known.card) ? card : known.card;
    return this.#change({ ...known, card: newest, peers: [...new Set([...known.peers, sender])] });
  }

  /** A newer card from a contact's own peer; `undefined` when there is nothing new in it, or it is not about itself. */
  update(id: string, from: Hashname, card: Card): Change | undefined {
    const known = this.#contacts.get(id);
    if (known === undefined || toHex(card.id) !== id || !isNewer(card, known.card)) return undefined;
    return names(card, from) && isKeepable(card) ? this.#change({ ...known, card }) : undefined;
  }

  /** Forgets a contact. */
  remove({ id, peers }: Contact): Save {
    this.#contacts.delete(id);
    for (const hashname of peers) this.#owner.delete(hashname);
    return { type: "save", key: CONTACT + id, value: undefined };
  }

  info({ id, card, peers }: Contact, isUp: (hashname: Hashname) => boolean): ContactInfo {
    const caches = card.peers.reduce((sum, peer) => sum + peer.caches.length, 0);
    return { id, name: card.name, hashnames: peers, caches, link: peers.some(isUp) ? "up" : "down" };
  }

  /**
   * The one contact that `text` names: its id, a hashname, its name, or an unambiguous start of one of them. In this order:
   * names are chosen by their owners, who may choose somebody else's hashname.
   */
  find(text: string): Contact | undefined {
    const wanted = text.toLowerCase();
    const own = this.get(wanted) ?? this.of(wanted as Hashname);
    if (own !== undefined) return own;
    const all = this.all();
    const named = all.filter(({ card }) => card.name?.toLowerCase() === wanted);
    if (named.length > 0 || wanted.length < LEAST_START) return named.length === 1 ? named[0] : undefined;
    const begun = all.filter(({ id, peers, card }) =>
      [id, ...peers, card.name?.toLowerCase() ?? ""].some((each) => each.startsWith(wanted)),
    );
    return begun.length === 1 ? begun[0] : undefined;
  }

  #refusal(id: string, hashname: Hashname): "known" | "full" | undefined {
    if ((this.#owner.get(hashname) ?? id) !== id) return "known";
    return this.#contacts.has(id) || this.#contacts.size < MAX_CONTACTS ? undefined : "full";
  }

  #change(contact: Contact): Change {
    const isNew = !this.#contacts.has(contact.id);
    this.#set(contact);
    const { id, card, peers, secret } = contact;
    const record: SavedContact = {
      card: toBase32(encodeCard(card)),
      peers,
      ...(secret === undefined ? {} : { secret: toHex(secret) }),
    };
    return { contact, isNew, save: { type: "save", key: CONTACT + id, value: asJson(record) } };
  }

  #set(contact: Contact): void {
    this.#contacts.set(contact.id, contact);
    for (const hashname of contact.peers) this.#owner.set(hashname, contact.id);
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
}

/** A card replaces another of the same contact by its version; equal versions: the higher hashname wins. */
function isNewer(card: Card, than: Card): boolean {
  return card.version > than.version || (card.version === than.version && card.by > than.by);
}

function names(card: Card, peer: Hashname): boolean {
  return card.peers.some(({ hashname }) => hashname === peer);
}

/**
 * Whether our own encoding of the card is short enough to be read again: whoever wrote it may have spelled addresses and
 * numbers shorter than we do.
 */
function isKeepable(card: Card): boolean {
  try {
    encodeCard(card);
    return true;
  } catch (error) {
    if (error instanceof RestanteError) return false;
    throw error;
  }
}

const CONTACT = "peer/contact/";
const MAX_CONTACTS = 10_000;
const LEAST_START = 4; // characters: fewer are a typing slip more often than a name
