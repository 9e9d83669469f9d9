/**
 * Invites: a link that is enough to write to somebody, short enough for a QR code. protocol/card.md §4
 * To others it is an ordinary link URI with keys and paths; what only we understand is one member of its query.
 */
import {
  concat,
  encodeVarint,
  equal,
  fromBase32,
  fromUtf8,
  Reader,
  RestanteError,
  siphash,
  toBase32,
  utf8,
} from "../bytes/index.ts";
import { type Backend, encodeKeys, type Hashname, hashnameOf, type Keys, parseKeys } from "../crypto/index.ts";
import { admissionUri, isStore, parseAdmissionUri, TOKEN_BYTES } from "./admission.ts";
import { type BazaarAddress, decodeBazaar, encodeBazaar } from "./bazaar.ts";
import { type CacheRef, isName, isUriText, keysText, MAX_CACHES } from "./card.ts";
import { encodeLink, parseLink, placeOf } from "./link.ts";
import { ipText, isStream, type Path, parseIp, parsePath, pathJson } from "./path.ts";

/** What a first message to somebody needs. */
export interface Invite {
  readonly keys: Keys;
  /** Derived from `keys`. */
  readonly hashname: Hashname;
  /** May be empty: then mail goes to the caches alone. */
  readonly paths: readonly Path[];
  /** With admission URIs of class `invite`; of the paths of each, two at most: one for datagrams and one stream. */
  readonly caches: readonly CacheRef[];
  /** The id of the card that its owner will answer with, 16 bytes. */
  readonly card: Uint8Array;
  /** 16 bytes that make the first message welcome. */
  readonly secret?: Uint8Array | undefined;
  readonly name?: string | undefined;
  /** Where its owner is found in the bazaar. */
  readonly bazaar?: BazaarAddress | undefined;
}

/**
 * `link://host:port/?cs3a=...&paths=...&invite=...`. The host is that of the first path with an address; without
 * paths that of a cache, and without any it is empty. With one cache and two paths at most 700 characters. Of the
 * paths of a cache two are kept, one for datagrams and one stream if there are both. Throws `RestanteError` "bad-invite" when `parseInvite` would refuse the
 * result, above all when there is no way to reach its owner.
 */
export function encodeInvite(invite: Invite): string {
  const { keys, paths, caches, card, secret = card, bazaar } = invite;
  if (card.length !== ID_BYTES || secret.length !== ID_BYTES) {
    throw new RestanteError("bad-invite", "card id and secret have 16 bytes each");
  }
  const body = encodeBody(invite);
  const text = encodeLink({
    scheme: "link",
    path: "/",
    ...placeOf(paths.length > 0 ? paths : caches.flatMap((cache) => cache.paths)),
    keys,
    paths,
    query: [
      [FIELD, toBase32(concat(body, checksum(keys, body)))],
      ...(bazaar === undefined ? [] : [[BAZAAR_FIELD, toBase32(encodeBazaar(bazaar))] as const]),
    ],
  });
  const problem = inviteProblem(text);
  if (problem !== "") throw new RestanteError("bad-invite", problem);
  return text;
}

/**
 * An invite from text of any origin, white space around it ignored. `undefined` when anything is wrong with it; a
 * mistyped or missing character in keys or caches is noticed. Of more than 16,384 characters nothing is looked at. Never throws.
 */
export function parseInvite(backend: Backend, text: string): Invite | undefined {
  const invite = readInvite(text, (keys) => hashnameOf(backend, keys));
  return typeof invite === "string" ? undefined : invite;
}

/** What is wrong with the text as an invite, in one plain sentence for the person who pasted it; empty when nothing. */
export function inviteProblem(text: string): string {
  const invite = readInvite(text, keysText);
  return typeof invite === "string" ? invite : "";
}

/** The invite, or what is wrong with it. */
function readInvite(text: string, identify: (keys: Keys) => Hashname): Invite | string {
  if (text.length > TEXT_LENGTH) return "This is not an invite: it is much too long.";
  const trimmed = text.trim();
  if (trimmed === "") return "There is no invite: the text is empty.";
  if (!trimmed.includes("://")) return "This is not an invite: an invite starts with link://.";
  if (/\s/.test(trimmed)) return "The invite has spaces or line breaks in it: copy it as one piece.";
  const link = parseLink(trimmed);
  if (link === undefined) return "The link cannot be read: a key, a path or the address in it is damaged.";
  const fields = link.query.filter(([name]) => name === FIELD);
  const [field] = fields;
  if (field === undefined) {
    return link.query.some(([name]) => name === "t")
      ? "This is a link to join a cache, not an invite."
      : "This link is not an invite: it says where a peer is, but not how to write to it, or its end is missing.";
  }
  if (fields.length > 1) return "The link holds more than one invite.";
  if (link.keys.size === 0) return "The invite has no keys: its beginning is damaged.";
  const bytes = fromBase32(field[1]);
  if (bytes === undefined || bytes.length <= CHECK_BYTES) return DAMAGED;
  if (bytes[0] !== FORMAT) return "The invite was made by another version of Restante, or it is damaged.";
  const body = bytes.subarray(0, -CHECK_BYTES);
  if (!equal(bytes.subarray(-CHECK_BYTES), checksum(link.keys, body))) return DAMAGED;
  const parsed = parseBody(body, identify);
  if (parsed === undefined) return "The invite is malformed: the program that made it has a fault.";
  // Outside of the body, which readers of before would refuse with anything more in it. A damaged one is as none.
  const bazaar = decodeBazaar(fromBase32(link.query.find(([name]) => name === BAZAAR_FIELD)?.[1] ?? "") ?? NOTHING);
  // Paths of their own are always stated. A host without them is a cache's.
  if (link.paths.length === 0 && parsed.caches.length === 0 && bazaar === undefined)
    return "The invite names no way to reach its owner.";
  const { keys, paths } = link;
  return { keys, hashname: identify(keys), paths, ...parsed, ...(bazaar && { bazaar }) };
}

type Body = Pick<Invite, "caches" | "card" | "secret" | "name">;

function encodeBody({ caches, card, secret, name }: Body): Uint8Array {
  const flags = (secret === undefined ? 0 : HAS_SECRET) | (name === undefined ? 0 : HAS_NAME);
  return concat(
    Uint8Array.of(FORMAT, flags),
    card,
    secret ?? NOTHING,
    name === undefined ? NOTHING : sized(utf8(name)),
    ...list(caches, encodeCache),
  );
}

function parseBody(body: Uint8Array, identify: (keys: Keys) => Hashname): Body | undefined {
  const reader = new Reader(body.subarray(1));
  const flags = reader.u8() ?? 0;
  const card = reader.take(ID_BYTES)?.slice();
  const secret = flags & HAS_SECRET ? reader.take(ID_BYTES)?.slice() : undefined;
  const name = flags & HAS_NAME ? sizedText(reader) : undefined;
  const caches = readList(reader, MAX_CACHES, () => readCache(reader, identify));
  if (!reader.done || flags > (HAS_SECRET | HAS_NAME) || card === undefined || caches === undefined) return undefined;
  if (new Set(caches.map(({ hashname }) => hashname)).size < caches.length) return undefined;
  if (flags & HAS_NAME && (name === undefined || !isName(name))) return undefined;
  return { caches, card, ...(secret === undefined ? {} : { secret }), ...(name === undefined ? {} : { name }) };
}

/** One for datagrams and one stream where there are both, since a reader may have only one of the transports. */
function fewest(paths: readonly Path[]): Path[] {
  const kinds = [paths.find((path) => !isStream(path)), paths.find(isStream)].filter((path) => path !== undefined);
  const others = paths.filter((path) => !kinds.includes(path));
  const kept = [...kinds, ...others].slice(0, CACHE_PATHS);
  return paths.filter((path) => kept.includes(path));
}

function encodeCache({ hashname, keys, paths, cap, store, uri }: CacheRef): Uint8Array {
  const token = parseAdmissionUri(uri);
  // Almost every URI is nothing but a token, which is much shorter as bytes.
  const isToken = token !== undefined && admissionUri(token) === uri;
  return concat(
    ...list(ascending(keys), ([csid, key]) => concat(Uint8Array.of(csid), sized(key))),
    ...list(
      fewest(paths.filter((path) => encodePath(path) !== undefined)),
      (path) => encodePath(path) ?? new Uint8Array(0),
    ),
    encodeVarint(cap),
    sized(utf8(store === hashname ? "" : store)),
    sized(isToken ? concat(Uint8Array.of(TOKEN_MARK), token) : utf8(uri)),
  );
}

function readCache(reader: Reader, identify: (keys: Keys) => Hashname): CacheRef | undefined {
  const entries = readList(reader, MAX_KEYS, () => readKey(reader));
  const paths = readList(reader, CACHE_PATHS, () => readPath(reader));
  const cap = reader.varint();
  const name = sizedText(reader);
  const address = reader.take(reader.varint());
  const keys = entries && parseKeys(encodeKeys(new Map(entries)));
  if (keys === undefined || keys.size !== entries?.length || paths === undefined) return undefined;
  if (cap === undefined || name === undefined || address === undefined) return undefined;
  const hashname = identify(keys);
  const uri = address[0] === TOKEN_MARK ? tokenUri(address.subarray(1)) : fromUtf8(address);
  if (uri === undefined || !isUriText(uri) || (name !== "" && !isStore(name))) return undefined;
  return { hashname, keys, paths, uri, cap, store: name === "" ? hashname : name };
}

function readKey(reader: Reader): [csid: number, key: Uint8Array] | undefined {
  const csid = reader.u8();
  const key = reader.take(reader.varint())?.slice();
  return csid === undefined || key === undefined ? undefined : [csid, key];
}

/** `undefined` for a token of another length. */
function tokenUri(token: Uint8Array): string | undefined {
  return token.length === TOKEN_BYTES ? admissionUri(token) : undefined;
}

/** Its kind, then address and port, or a text; `undefined` for a path that only means something on this machine. */
function encodePath(path: Path): Uint8Array | undefined {
  const { type, ip, port, url, name } = parsePath(pathJson(path)) ?? {};
  const kind = Uint8Array.of(KINDS.indexOf(type ?? "") + 1);
  const address = ip === undefined ? undefined : parseIp(ip);
  if (address !== undefined && port !== undefined) return concat(kind, address, Uint8Array.of(port >> 8, port & 255));
  const text = url ?? name;
  return text === undefined ? undefined : concat(kind, sized(utf8(text)));
}

function readPath(reader: Reader): Path | undefined {
  const type = KINDS[(reader.u8() ?? 0) - 1];
  if (type === undefined) return undefined;
  if (type === "ws" || type === "mem") {
    const text = sizedText(reader);
    return text === undefined ? undefined : parsePath({ type, [type === "ws" ? "url" : "name"]: text });
  }
  const address = reader.take(type.endsWith("4") ? 4 : 16);
  const port = reader.u16();
  return address === undefined || port === undefined ? undefined : parsePath({ type, ip: ipText(address), port });
}

/** Four bytes that notice a slip of the pen in the keys or the body; no protection against anyone. */
function checksum(keys: Keys, body: Uint8Array): Uint8Array {
  const parts = ascending(keys).flatMap(([csid, key]) => [Uint8Array.of(csid), key]);
  return siphash(CHECK_KEY, concat(...parts, body)).subarray(0, CHECK_BYTES);
}

function ascending(keys: Keys): [csid: number, key: Uint8Array][] {
  return [...keys].sort(([a], [b]) => a - b);
}

function sized(bytes: Uint8Array): Uint8Array {
  return concat(encodeVarint(bytes.length), bytes);
}

function sizedText(reader: Reader): string | undefined {
  const bytes = reader.take(reader.varint());
  return bytes && fromUtf8(bytes);
}

function list<T>(items: readonly T[], encode: (item: T) => Uint8Array): Uint8Array[] {
  return [Uint8Array.of(items.length), ...items.map(encode)];
}

function readList<T>(reader: Reader, max: number, read: () => T | undefined): T[] | undefined {
  const count = reader.u8();
  if (count === undefined || count > max) return undefined;
  const items = Array.from({ length: count }, read).filter((item) => item !== undefined);
  return items.length === count ? items : undefined;
}

const FIELD = "invite";
const BAZAAR_FIELD = "bazaar"; // card.md §4
const TEXT_LENGTH = 16 * 1024; // a link has half of that; the rest is white space
const FORMAT = 1;
const HAS_SECRET = 1;
const HAS_NAME = 2;
const ID_BYTES = 16;
const CHECK_BYTES = 4;
const CHECK_KEY = utf8("restante/invite/"); // 16 bytes: any constant would do
const MAX_KEYS = 8;
const CACHE_PATHS = 2; // what fits a QR code
const TOKEN_MARK = 0; // no URI starts with it
const KINDS: readonly string[] = ["udp4", "udp6", "tcp4", "tcp6", "ws", "mem"]; // codes 1..6, card.md §4
const DAMAGED = "The invite is damaged: a character is wrong or missing.";
const NOTHING = new Uint8Array(0);

/**
 * The URI that a holder of an invite shows at the door of the inviter itself (a `uri` handshake, seed 004), where no token
 * of a cache is needed: `link:///?secret=` and the secret in base32. protocol/admission.md §Secrets
 */
export function secretUri(secret: Uint8Array): string {
  return `link:///?secret=${toBase32(secret)}`;
}

/** The secret in such a URI; `undefined` when there is none of 16 bytes. */
export function parseSecretUri(uri: string): Uint8Array | undefined {
  const found = parseLink(uri)?.query.find(([name]) => name === "secret")?.[1];
  const secret = found === undefined ? undefined : fromBase32(found);
  return secret?.length === ID_BYTES ? secret : undefined;
}
