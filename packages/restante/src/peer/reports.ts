/** What the root machine says of itself when it is asked: links and caches, as they are now. */
import type { Mail } from "../mail/index.ts";
import type { Mesh } from "../mesh/index.ts";
import type { Book } from "./book.ts";
import type { CacheInfo, LinkInfo, PeerStatus, RootOptions } from "./contract.ts";
import type { Door } from "./door.ts";
import type { Links } from "./links.ts";
import { type OfferInfo, offersOf } from "./offers.ts";
import type { OwnCard } from "./own-card.ts";
import { serving } from "./serving.ts";

/** Who is asked. */
export interface Reporters {
  readonly mail: Mail | undefined;
  readonly mesh: Mesh;
  readonly door: Door;
  readonly book: Book;
  readonly links: Links;
  readonly card: OwnCard;
}

/** How it is with us now. `channels`: how many are open. `given`: with which the root was made. */
export function statusOf(
  { mail, mesh, door, book, links, card }: Reporters,
  { given, channels }: { readonly given: RootOptions; readonly channels: number },
): PeerStatus {
  const { identity, paths } = given;
  const { name } = card;
  return {
    hashname: identity.hashname,
    ...(name === undefined ? {} : { name }),
    paths,
    links: linkInfos(mesh),
    channels,
    caches: door.caches.map(({ hashname, cap }) => ({
      ...{ hashname, up: links.isUp(hashname), cap },
      ...ownerOf(book, hashname),
    })),
    cachesLeftOut: card.leftOut,
    serving: serving(given),
    ...(door.isServing && { offering: door.offer !== undefined, takers: door.takers }),
    offers: offersTo({ book, door }).length,
    contacts: book.size,
    requests: mail?.requests().length ?? 0,
    inbox: mail?.lastN() ?? 0,
    sent: mail?.lastSent() ?? 0,
    behind: mail?.status().behind ?? 0,
    unknown: mail?.status().unknown ?? 0,
    copiedAt: mail?.copiedAt,
  };
}

/** Caches that contacts offer us, and that are not ours yet. */
export function offersTo({ book, door }: Pick<Reporters, "book" | "door">): OfferInfo[] {
  return book.people().flatMap((contact) => offersOf(book, contact, (cache) => door.uses(cache)));
}

/** All links, in the order in which they were made. */
function linkInfos(mesh: Mesh): LinkInfo[] {
  return mesh.links().map(({ hashname, state, path }) => {
    const { since, roundTrip } = mesh.measure(hashname) ?? {};
    return {
      ...{ hashname, state },
      ...(path === undefined ? {} : { path }),
      ...(since === undefined ? {} : { since }),
      ...(roundTrip === undefined ? {} : { roundTrip }),
    };
  });
}

/** Whose device a cache of ours is, if it is a contact's. */
function ownerOf(book: Book, cache: CacheInfo["cache"]): Pick<CacheInfo, "of"> {
  const owner = book.of(cache);
  return owner === undefined || owner.own ? {} : { of: owner.id };
}

/** Our caches with their last tests, then those of our contacts: of each contact the best first, as its next mail sees it. */
export function cacheInfos({ mail, door, book, links }: Omit<Reporters, "mesh" | "card">): CacheInfo[] {
  const linkTo = (cache: CacheInfo["cache"]): Pick<CacheInfo, "up" | "wanted"> => ({
    up: links.isUp(cache),
    wanted: links.isWanted(cache),
  });
  const tests = mail?.cacheTests() ?? [];
  const own = door.caches.map(({ hashname: cache, cap }): CacheInfo => {
    const test = tests.find((each) => each.cache === cache);
    return { cache, ...ownerOf(book, cache), ...linkTo(cache), cap, ...(test && { test }) };
  });
  const theirs = book.people().flatMap(({ id: contact }) =>
    (mail?.cachesOf(contact) ?? []).map(({ offer: { hashname: cache, cap }, ...account }) => ({
      ...{ cache, contact, cap },
      ...account,
      ...linkTo(cache),
    })),
  );
  return [...own, ...theirs];
}
