/**
 * Cards: what one gives away to be written to. A card lists a person's peers, one per device, and where each is reached.
 * It carries no signature: it travels inside authenticated mail. protocol/card.md §1
 */
import { fromHex, RestanteError, toHex } from "../bytes/index.ts";
import {
  type Backend,
  encodeKeys,
  type Hashname,
  hashnameOf,
  type Keys,
  parseHashname,
  parseKeys,
} from "../crypto/index.ts";
import { encodeJson, flag, type Json, type JsonObject, parseJson, text, uint } from "../wire/index.ts";
import { isStore } from "./admission.ts";
import { type BazaarAddress, bazaarJson, parseBazaar } from "./bazaar.ts";
import { type Offer, offerJson, parseOffer } from "./offer.ts";
import { asList, asObject, type Path, parsePaths, pathJson } from "./path.ts";

/** A cache that holds mail for a peer. */
export interface CacheRef {
  /** Derived from `keys`. */
  readonly hashname: Hashname;
  readonly keys: Keys;
  readonly paths: readonly Path[];
  /** The admission URI to show there; empty when the cache asks for none. Opaque to who shows it. */
  readonly uri: string;
  /** Bytes that it keeps in one box. */
  readonly cap: number;
  /** The failure domain: caches with equal names lose their memory together. The hashname, unless stated. */
  readonly store: string;
  /** Whether it passes packets on to the peer, when there is a link: a router of the peer. */
  readonly routes?: true;
  /** What other devices of the reader show there: by their hashnames, the admission URIs. At most 8. */
  readonly others?: readonly (readonly [device: Hashname, uri: string])[];
}

/** One device. */
export interface CardPeer {
  /** Derived from `keys`. */
  readonly hashname: Hashname;
  readonly keys: Keys;
  readonly paths: readonly Path[];
  /** When it came into the card, ms since 1970; 0 when not known. */
  readonly since: number;
  readonly caches: readonly CacheRef[];
  /** Where it is found in the bazaar, when mail may go that way, too. */
  readonly bazaar?: BazaarAddress;
  /** It lets contacts use its cache for their own mail. */
  readonly offer?: Offer;
}

/** A contact's addresses. Of two cards with one `id` the higher `version` is newer, then the higher `by`. */
export interface Card {
  /** 16 random bytes: the contact, whatever its hashnames. */
  readonly id: Uint8Array;
  readonly version: number;
  /** The peer that issued it, which need not be in it any more. */
  readonly by: Hashname;
  /** What its peers understand, and the security suites that they open: short lower-case names. */
  readonly features: readonly string[];
  readonly suites: readonly string[];
  /** At least one. */
  readonly peers: readonly CardPeer[];
  /** What its owner wants to be called, at most 64 characters of one line. Proves nothing. */
  readonly name?: string | undefined;
}

/**
 * A card as bytes, at most 32 KiB: the same card, the same bytes. Hashnames are left out, for readers derive them.
 * Throws `RestanteError` "bad-card" when `parseCard` would refuse the result: over a limit, a name with line breaks.
 */
export function encodeCard(card: Card): Uint8Array {
  const { id, version, by, name, features, suites, peers } = card;
  const bytes = encodeJson({
    v: FORMAT,
    id: toHex(id),
    version,
    by,
    name,
    features: unlessEmpty(features),
    suites: unlessEmpty(suites),
    peers: peers.map((peer) => ({
      ...place(peer),
      since: peer.since === 0 ? undefined : peer.since,
      caches: unlessEmpty(peer.caches.map(cacheJson)),
      bazaar: peer.bazaar && bazaarJson(peer.bazaar),
      offer: peer.offer && offerJson(peer.offer),
    })),
  });
  if (readCard(bytes, keysText) === undefined) throw new RestanteError("bad-card", "a card that no one would accept");
  return bytes;
}

/** Whether `encodeCard` takes it: what is in it of others may have been spelled shorter than we do. */
export function fits(card: Card): boolean {
  try {
    encodeCard(card);
    return true;
  } catch (error) {
    if (error instanceof RestanteError) return false;
    throw error;
  }
}

/**
 * A card from bytes of any origin. Unknown members, and paths of unknown types, are left out; keys of unknown cipher
 * sets are kept. `undefined` for more than 32 KiB, 64 peers, 8 caches of a peer or 16 paths of either, for another
 * format, and for one peer, or one peer's cache, listed twice. Never throws.
 */
export function parseCard(backend: Backend, bytes: Uint8Array): Card | undefined {
  return readCard(bytes, (keys) => hashnameOf(backend, keys));
}

/** `identify` names a peer by its keys; a parameter so that `encodeCard` can check its work without a backend. */
function readCard(bytes: Uint8Array, identify: (keys: Keys) => Hashname): Card | undefined {
  const card = bytes.length > CARD_BYTES ? undefined : asObject(parseJson(bytes));
  if (card?.["v"] !== FORMAT) return undefined;
  const id = ID.test(text(card, "id") ?? "") ? fromHex(text(card, "id") ?? "") : undefined;
  const version = uint(card, "version");
  const by = parseHashname(card["by"]);
  const name = card["name"];
  const features = parseNames(card["features"]);
  const suites = parseNames(card["suites"]);
  const peers = parseAll(card["peers"], MAX_PEERS, (json) => parsePeer(json, identify));
  if (id === undefined || version === undefined || by === undefined) return undefined;
  if (features === undefined || suites === undefined || peers === undefined || peers.length === 0) return undefined;
  if (name === undefined) return { id, version, by, features, suites, peers };
  return isName(name) ? { id, version, by, features, suites, peers, name } : undefined;
}

function parsePeer(json: JsonObject, identify: (keys: Keys) => Hashname): CardPeer | undefined {
  const keys = parseKeys(json["keys"]);
  const paths = parsePaths(json["paths"]);
  const since = json["since"] === undefined ? 0 : uint(json, "since");
  const caches = parseAll(json["caches"], MAX_CACHES, (cache) => parseCache(cache, identify));
  if (keys === undefined || paths === undefined || since === undefined || caches === undefined) return undefined;
  // Readers of before pass over it, so nothing in it makes a card worse.
  const bazaar = parseBazaar(json["bazaar"]);
  const offer = parseOffer(json["offer"]);
  return { hashname: identify(keys), keys, paths, since, caches, ...(bazaar && { bazaar }), ...(offer && { offer }) };
}

function parseCache(json: JsonObject, identify: (keys: Keys) => Hashname): CacheRef | undefined {
  const keys = parseKeys(json["keys"]);
  const paths = parsePaths(json["paths"]);
  const uri = json["uri"] === undefined ? "" : text(json, "uri");
  const cap = uint(json, "cap");
  if (keys === undefined || paths === undefined || uri === undefined || cap === undefined) return undefined;
  const hashname = identify(keys);
  const store = json["store"] === undefined ? hashname : text(json, "store");
  if (store === undefined || !isUriText(uri) || !(store === hashname || isStore(store))) return undefined;
  const others = parseOthers(json["others"]);
  return {
    ...{ hashname, keys, paths, uri, cap, store },
    ...(flag(json, "routes") && { routes: true }),
    ...(others.length > 0 && { others }),
  };
}

/** Readers of before pass over it, so nothing in it makes a card worse: what is not as it should be is as none. */
function parseOthers(json: Json | undefined): [Hashname, string][] {
  const others = (asList(json ?? [], MAX_OTHERS) ?? []).map((item): [Hashname, string] | undefined => {
    const [device, uri] = asList(item, 2) ?? [];
    const hashname = parseHashname(device);
    return hashname && typeof uri === "string" && uri !== "" && isUriText(uri) ? [hashname, uri] : undefined;
  });
  const found = others.filter((item) => item !== undefined);
  return found.length === others.length ? found : [];
}

/** All items of an array of objects, each with another hashname; absent is empty. */
function parseAll<T extends { readonly hashname: Hashname }>(
  json: Json | undefined,
  max: number,
  parse: (item: JsonObject) => T | undefined,
): T[] | undefined {
  const items = asList(json ?? [], max)?.map((item) => {
    const object = asObject(item);
    return object && parse(object);
  });
  const found = items?.filter((item) => item !== undefined);
  if (found === undefined || found.length !== items?.length) return undefined;
  return new Set(found.map(({ hashname }) => hashname)).size === found.length ? found : undefined;
}

function parseNames(json: Json | undefined): string[] | undefined {
  const names = asList(json ?? [], MAX_NAMES);
  return names?.every((name) => typeof name === "string" && NAME.test(name)) ? (names as string[]) : undefined;
}

/** Whether it may be shown as somebody's name: one line, 1 to 64 UTF-16 units, nothing that turns the text around it. */
export function isName(name: Json): name is string {
  return typeof name === "string" && name.length > 0 && name.length <= NAME_LENGTH && !UNFIT.test(name);
}

/** Whether it may stand where an admission URI stands: visible ASCII, at most 300 characters. Empty stands for none. */
export function isUriText(uri: string): boolean {
  return URI_TEXT.test(uri);
}

function cacheJson(cache: CacheRef): JsonObject {
  const { uri, cap, store, hashname, routes, others } = cache;
  return {
    ...place(cache),
    uri: uri === "" ? undefined : uri,
    cap,
    store: store === hashname ? undefined : store,
    routes,
    others: unlessEmpty(others ?? []),
  };
}

function place({ keys, paths }: { readonly keys: Keys; readonly paths: readonly Path[] }): JsonObject {
  return { keys: encodeKeys(keys), paths: unlessEmpty(paths.map(pathJson)) };
}

function unlessEmpty<T>(list: readonly T[]): readonly T[] | undefined {
  return list.length === 0 ? undefined : list;
}

/** A stand-in for a hashname that differs exactly when the keys do: for checks that have no backend. */
export function keysText(keys: Keys): Hashname {
  return JSON.stringify(encodeKeys(keys)) as Hashname;
}

const FORMAT = 1;
const CARD_BYTES = 32 * 1024; // card.md §1: half of the largest message, since every `hello` carries it
const MAX_PEERS = 64; // card.md §1
/** The most caches of one peer. card.md §1 */
export const MAX_CACHES = 8;
/** The most other devices of a reader that one card names. card.md §1 */
export const MAX_OTHERS = 8;
const MAX_NAMES = 16;
const NAME_LENGTH = 64;
const ID = /^[0-9a-f]{32}$/;
const NAME = /^[a-z0-9-]{1,32}$/;
const URI_TEXT = /^[\x21-\x7e]{0,300}$/;
/** Controls, lone surrogates, line ends, and the marks that reorder or hide text (UAX #9). */
const UNFIT = /[\p{Cc}\p{Cs}\p{Bidi_Control}\u2028\u2029]/u;
