/** Offers: contacts that let their contacts use their caches. Nobody joins one but by the user's word. protocol/card.md §7 */
import type { CardPeer } from "../card/index.ts";
import type { Hashname } from "../crypto/index.ts";
import type { Book, Contact } from "./book.ts";

/** A cache that a contact offers us, and that is none of ours yet. */
export interface OfferInfo {
  /** Id of the contact. */
  readonly contact: string;
  /** As its card says. */
  readonly name?: string | undefined;
  /** The device of the contact that it is. */
  readonly cache: Hashname;
  /** Bytes that it would keep for us in all, and of one sender, as it says. */
  readonly quota: number;
  readonly cap: number;
}

/** What a contact offers now. `uses`: whether something is a cache of ours. */
export function offersOf(book: Book, contact: Contact, uses: (cache: Hashname) => boolean): OfferInfo[] {
  const { id, card } = contact;
  return offering(book, contact)
    .filter(({ hashname }) => !uses(hashname))
    .map(({ hashname: cache, offer }) => ({
      contact: id,
      ...(card.name !== undefined && { name: card.name }),
      cache,
      ...offer,
    }));
}

/** What of that is new since the contact was as it was `before`. */
export function newOffers(book: Book, contact: Contact, before: Contact | undefined): readonly OfferInfo[] {
  const known = new Set(before === undefined ? [] : offering(book, before).map(({ hashname }) => hashname));
  return offersOf(book, contact, (cache) => known.has(cache));
}

/** Its peers that have shown themselves, that offer something, and that others can find. */
function offering(book: Book, contact: Contact): (CardPeer & Required<Pick<CardPeer, "offer">>)[] {
  if (contact.own) return [];
  return book.peersOf(contact).filter((peer): peer is CardPeer & Required<Pick<CardPeer, "offer">> => {
    return peer.offer !== undefined && peer.paths.length > 0;
  });
}
