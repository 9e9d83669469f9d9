/**
 * Admission: who may talk to a cache, and in whose name. The recipient mints tokens with a key that the cache gave it;
 * the cache verifies them from its secret alone and keeps no list. protocol/admission.md
 */
import { concat, equal, fromBase32, RestanteError, type Time, toBase32, utf8 } from "../bytes/index.ts";
import { type Backend, type Hashname, hashnameBytes, hashnameFromBytes, type Keys } from "../crypto/index.ts";
import { flag, type JsonObject, text, uint } from "../wire/index.ts";
import { encodeLink, type Link, linkPaths, parseLink, placeOf } from "./link.ts";
import type { Path } from "./path.ts";
import { MAX_WORK } from "./stamp.ts";

/**
 * What a token is for, in the order of its codes 1..4: `join` = become a recipient of this cache; `member` = the
 * recipient itself; `contact` = one named sender; `invite` = whoever holds the invite.
 */
export type TokenClass = "join" | "member" | "contact" | "invite";

/** What a valid token grants. */
export interface Admission {
  /** In whose name: mail to this peer. For `join` the cache itself. */
  readonly recipient: Hashname;
  readonly class: TokenClass;
  /** First second (since 1970) at which it is void; 0: it has no end. */
  readonly until: number;
  /** 0..2^48-1, chosen by the recipient; what a revocation names. */
  readonly serial: number;
  /** In `invite` alone: leading zero bits of the stamp that its holder has to show as well, 1 to 24. Absent: none. */
  readonly work?: number;
  /** Of the key that it was minted with, 1 to 255: then it is the first byte of `serial`, too. Absent: 0. Not for `join`. */
  readonly edition?: number;
}

/** The key that every token of a cache (or of a cluster with one secret) hangs on: 32 bytes. k_C in admission.md §1. */
export function cacheKey(backend: Backend, cacheSecret: Uint8Array): Uint8Array {
  return backend.hkdf(cacheSecret, NOTHING, CACHE_KEY_INFO, 32);
}

/**
 * The key with which `recipient` mints, given to it when it joins: 32 bytes, secret. k_R in admission.md §1. `edition`: 0 to 255;
 * a later one is asked for when others have the one before.
 */
export function recipientKey(backend: Backend, kC: Uint8Array, recipient: Hashname, edition = 0): Uint8Array {
  return keyOf(backend, kC, hashnameBytes(recipient), edition);
}

/** The serial that stands for all tokens of an edition: revoked, it revokes all of them. */
export function editionSerial(edition: number): number {
  return edition * EDITION;
}

/**
 * A token of 77 bytes. The same arguments give the same bytes.
 * `sender` is who alone may show it: needed for `contact`; `member` is for the recipient itself; `join` and `invite`
 * are for anyone. Throws `RestanteError` "bad-token" when that, `until`, `serial`, `work` or `edition` is not as described.
 */
export function mintToken(
  backend: Backend,
  kR: Uint8Array,
  grant: Admission & { readonly sender?: Hashname | undefined },
): Uint8Array {
  const { recipient, class: kind, until, serial, work = 0, edition = 0, sender } = grant;
  if (!isUint48(until) || !isUint48(serial)) throw new RestanteError("bad-token", "until and serial are 0..2^48-1");
  if (!isWork(work) || (work > 0 && kind !== "invite")) {
    throw new RestanteError("bad-token", `work is 0 to ${MAX_WORK} bits, and more than 0 in invites alone`);
  }
  const isFirst = edition === 0;
  if (!isEdition(edition) || (!isFirst && (kind === "join" || Math.floor(serial / EDITION) !== edition))) {
    throw new RestanteError("bad-token", "an edition is 0..255, and begins the serial; there is none of class join");
  }
  const expected = kind === "contact" ? sender : kind === "member" ? recipient : undefined;
  if (kind === "contact" ? sender === undefined : sender !== undefined && sender !== expected) {
    throw new RestanteError("bad-token", `a token of class ${kind} is not for that sender`);
  }
  const terms = concat(
    Uint8Array.of((work << WORK_SHIFT) | (CLASSES.indexOf(kind) + (isFirst ? 1 : LATER))),
    uint48(until),
    uint48(serial),
  );
  return concat(hashnameBytes(recipient), terms, tag(backend, kR, terms, expected));
}

/**
 * What the token grants to `sender` (the authenticated peer that shows it) at time `now` (ms).
 * `undefined` when it is malformed, not for this sender, at or past its end, or not minted under `kC`.
 * Stateless: the caller refuses revoked serials and editions (but those of `join`), and a `join` token whose recipient is not the cache itself, for every
 * recipient can mint all classes in its own name. Where there is `work` it asks for the stamp (`verifyStamp`), too.
 */
export function verifyToken(
  backend: Backend,
  kC: Uint8Array,
  token: Uint8Array,
  sender: Hashname,
  now: Time,
): Admission | undefined {
  const [kind, work, edition] = [classOf(token), workOf(token), editionOf(token)];
  if (token.length !== TOKEN_BYTES || kind === undefined || work === undefined || edition === undefined)
    return undefined;
  const bytes = token.slice(0, TERMS);
  const kR = keyOf(backend, kC, bytes, edition);
  const holder = kind === "contact" || kind === "member" ? sender : undefined;
  if (!equal(token.subarray(TAG), tag(backend, kR, token.subarray(TERMS, TAG), holder))) return undefined;
  const recipient = hashnameFromBytes(bytes);
  if (kind === "member" && sender !== recipient) return undefined;
  const until = readUint48(token, TERMS + 1);
  if (until !== 0 && now >= until * 1000) return undefined;
  const serial = readUint48(token, TERMS + 7);
  return { recipient, class: kind, until, serial, ...(work > 0 && { work }), ...(edition > 0 && { edition }) };
}

/**
 * The work that whoever shows this URI has to have done: leading zero bits of a stamp, 1 to 24. 0 for a URI without a
 * token, or with one that asks for none. The token is not verified: only the cache can.
 */
export function admissionWork(uri: string | undefined): number {
  const token = uri === undefined ? undefined : parseAdmissionUri(uri);
  return (token && workOf(token)) ?? 0;
}

/** The serial of the token in this URI, which is what a revocation names; `undefined` without a token. It is not verified. */
export function admissionSerial(uri: string | undefined): number | undefined {
  const token = uri === undefined ? undefined : parseAdmissionUri(uri);
  return token && readUint48(token, TERMS + 7);
}

/** Whether so many bits of work may be asked of strangers: a whole number, 0 to 24. */
export function isWork(work: number): boolean {
  return Number.isInteger(work) && work >= 0 && work <= MAX_WORK;
}

/**
 * The URI in which a token travels, in cards and on the wire: `link://<host>/?t=<base32>`, without keys, at most 300
 * bytes. `host` is `host`, `host:port` or empty: it means nothing to the cache. Throws `RestanteError` "bad-uri" for
 * another one, or one too long.
 */
export function admissionUri(token: Uint8Array, host = ""): string {
  const uri = `link://${host}/?${TOKEN_FIELD}=${toBase32(token)}`;
  if (parseAdmissionUri(uri) === undefined) throw new RestanteError("bad-uri", "no host for an admission URI");
  return uri;
}

/**
 * The token (77 bytes, unverified) in an admission URI. `undefined` when the text has more than 300 characters, is no
 * URI, names keys, or does not hold exactly one token. Any scheme and host will do: the peer that is shown the URI
 * knows its own secret, not under what name it was found.
 */
export function parseAdmissionUri(uri: string): Uint8Array | undefined {
  // As nearly all are that we write: by the rules of links it would take five times as long.
  if (uri.length === PLAIN_START.length + TOKEN_CHARACTERS && uri.startsWith(PLAIN_START))
    return fromBase32(uri, PLAIN_START.length);
  if (uri.length > URI_LENGTH) return undefined;
  const link = parseLink(uri);
  return link === undefined || link.keys.size > 0 ? undefined : tokenOf(link);
}

/** What the operator of a cache gives to those who may join it. */
export interface JoinLink {
  /** The keys of the cache. */
  readonly keys: Keys;
  readonly paths: readonly Path[];
  /** A token of class `join`, with the cache as recipient. */
  readonly token: Uint8Array;
  /** Where the cache is, for readers of any link: a name or an address. When encoding, the first address by default. */
  readonly host?: string | undefined;
  readonly port?: number | undefined;
}

/** `link://host:port/?cs3a=...&paths=...&t=...`. Throws `RestanteError` "bad-uri" when it could not be read again. */
export function encodeJoinLink(link: JoinLink): string {
  const { keys, paths, token } = link;
  const place = link.host === undefined ? placeOf(paths) : link;
  const query = [[TOKEN_FIELD, toBase32(token)] as const];
  const text = encodeLink({ scheme: "link", host: place.host, port: place.port, path: "/", keys, paths, query });
  if (parseJoinLink(text) === undefined) throw new RestanteError("bad-uri", "no link to a cache");
  return text;
}

/**
 * A join link that someone pasted. `paths` also has those that follow from an address as host. `undefined` for any
 * other text: a link without keys, without exactly one token, or as in `parseLink`.
 */
export function parseJoinLink(text: string): JoinLink | undefined {
  const link = parseLink(text.trim());
  const token = link && tokenOf(link);
  if (link === undefined || token === undefined || link.keys.size === 0) return undefined;
  const { keys, host, port } = link;
  return { keys, paths: linkPaths(link), token, ...(host === undefined ? {} : { host, port }) };
}

/** The cache's answer on a channel of type `restante.join`. */
export interface JoinAnswer {
  /** k_R, 32 bytes: what the recipient mints with. Secret. */
  readonly key: Uint8Array;
  /** Bytes that the cache keeps for this recipient in all. */
  readonly quota: number;
  /** Bytes that it keeps in one box. */
  readonly cap: number;
  /** The failure domain, as in a card. */
  readonly store: string;
  /** Whether it passes packets on to its recipients, too: it is their router. */
  readonly routes?: true;
  /** Of the key, 1 to 255. Absent: 0. */
  readonly edition?: number;
}

/** The head of the answer. */
export function encodeJoinAnswer(answer: JoinAnswer): JsonObject {
  const { key, quota, cap, store, routes, edition } = answer;
  return { key: toBase32(key), quota, cap, store, routes, edition };
}

/** The answer in a head; other fields are ignored. `undefined` unless all four are there and well-formed. */
export function parseJoinAnswer(head: JsonObject | undefined): JoinAnswer | undefined {
  const key = fromBase32((text(head, "key") ?? "").slice(0, KEY_CHARACTERS + 1));
  const [quota, cap, store] = [uint(head, "quota"), uint(head, "cap"), text(head, "store")];
  if (key?.length !== KEY_BYTES || quota === undefined || cap === undefined) return undefined;
  if (store === undefined || !isStore(store)) return undefined;
  const edition = readEdition(head);
  const routes = flag(head, "routes") && ({ routes: true } as const);
  return { key, quota, cap, store, ...routes, ...(edition > 0 && { edition }) };
}

/** The edition in a head; 0 for none, and for what is no edition. */
export function readEdition(head: JsonObject | undefined): number {
  const edition = uint(head, "edition") ?? 0;
  return isEdition(edition) ? edition : 0;
}

/**
 * Serials that the recipient has revoked, as packet bodies of at most 200 each: sorted, every serial once, 6 bytes
 * each. No serials give one empty body. Throws `RestanteError` "bad-token" for a number that is no serial.
 */
export function encodeRevocations(serials: Iterable<number>): Uint8Array[] {
  const sorted = [...new Set(serials)].sort((a, b) => a - b);
  if (!sorted.every(isUint48)) throw new RestanteError("bad-token", "a serial is 0..2^48-1");
  const bodies: Uint8Array[] = [];
  for (let at = 0; at === 0 || at < sorted.length; at += REVOCATIONS) {
    bodies.push(concat(...sorted.slice(at, at + REVOCATIONS).map(uint48)));
  }
  return bodies;
}

/** The serials in one such body; `undefined` when it is cut, unsorted, has one twice, or more than 200. */
export function parseRevocations(body: Uint8Array): number[] | undefined {
  if (body.length % 6 !== 0 || body.length > REVOCATIONS * 6) return undefined;
  const serials = Array.from({ length: body.length / 6 }, (_, i) => readUint48(body, i * 6));
  return serials.every((serial, i) => i === 0 || serial > (serials[i - 1] ?? 0)) ? serials : undefined;
}

/**
 * The serial of the tokens that a recipient mints for `holder` (whoever it minds, in words of its own) in generation 0, 1, ...:
 * it follows from k_R, so nothing is stored for a token, and no cache can tell how many there are. `edition`: that of k_R.
 * admission.md §6
 */
export function tokenSerial(backend: Backend, kR: Uint8Array, holder: string, generation: number, edition = 0): number {
  const label = concat(SERIAL_INFO, uint48(generation), utf8(holder));
  const serial = readUint48(backend.hmac(kR, label), 0);
  return edition === 0 ? serial : editionSerial(edition) + (serial % EDITION);
}

/** Whether the text can name a failure domain: 1 to 64 of a-z, A-Z, 0-9, ".", "_", "-". */
export function isStore(name: string): boolean {
  return STORE.test(name);
}

function keyOf(backend: Backend, kC: Uint8Array, recipient: Uint8Array, edition: number): Uint8Array {
  return backend.hmac(kC, edition === 0 ? recipient : concat(recipient, Uint8Array.of(edition)));
}

/** HMAC(k_R; class, until, serial, sender): the sender last, since it may be absent. admission.md §2 */
function tag(backend: Backend, kR: Uint8Array, terms: Uint8Array, sender: Hashname | undefined): Uint8Array {
  return backend.hmac(kR, sender === undefined ? terms : concat(terms, hashnameBytes(sender)));
}

/** The low bits of the byte. */
function codeOf(token: Uint8Array): number {
  return (token[TERMS] ?? 0) & ((1 << WORK_SHIFT) - 1);
}

function classOf(token: Uint8Array): TokenClass | undefined {
  const code = codeOf(token);
  return CLASSES[code > CLASSES.length ? code - LATER : code - 1];
}

/** 0 in the classes 1 to 4; `undefined` when no token says that. */
function editionOf(token: Uint8Array): number | undefined {
  if (codeOf(token) <= CLASSES.length) return 0;
  const edition = token[TERMS + 7] ?? 0;
  return edition === 0 ? undefined : edition;
}

/** The high bits of it; `undefined` when no token says that. */
function workOf(token: Uint8Array): number | undefined {
  const work = (token[TERMS] ?? 0) >> WORK_SHIFT;
  return isWork(work) && (work === 0 || classOf(token) === "invite") ? work : undefined;
}

/** The one token in a query; `undefined` for none, several, or one of another length. */
function tokenOf(link: Link): Uint8Array | undefined {
  const [field, ...more] = link.query.filter(([name]) => name === TOKEN_FIELD);
  if (field === undefined || more.length > 0 || field[1].length !== TOKEN_CHARACTERS) return undefined;
  return fromBase32(field[1]);
}

function isEdition(edition: number): boolean {
  return Number.isInteger(edition) && edition >= 0 && edition <= 255;
}

function isUint48(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value < 2 ** 48;
}

function uint48(value: number): Uint8Array {
  const bytes = new Uint8Array(6);
  for (let i = 5, left = value; i >= 0; i--, left = Math.floor(left / 256)) bytes[i] = left % 256;
  return bytes;
}

function readUint48(bytes: Uint8Array, at: number): number {
  let value = 0;
  for (let i = at; i < at + 6; i++) value = value * 256 + (bytes[i] ?? 0);
  return value;
}

const CLASSES: readonly TokenClass[] = ["join", "member", "contact", "invite"]; // codes 1..4, admission.md §2
const LATER = 4; // codes 5..7 are member, contact and invite of a later edition
const EDITION: number = 2 ** 40; // the first byte of a serial
const WORK_SHIFT = 3; // of the byte with the class
const CACHE_KEY_INFO = utf8("restante/admission/1"); // admission.md §1
const SERIAL_INFO = utf8("restante/serial/1"); // begins with another byte than the terms of any token
const TOKEN_FIELD = "t";
const PLAIN_START = `link:///?${TOKEN_FIELD}=`;
/** recipient 32, class 1, until 6, serial 6, tag 32. admission.md §2 */
export const TOKEN_BYTES = 77;
const [TERMS, TAG] = [32, 45]; // where they begin
const TOKEN_CHARACTERS = 124;
const KEY_BYTES = 32;
const KEY_CHARACTERS = 52;
const URI_LENGTH = 300; // admission.md §4: it is in the head of every open packet
const REVOCATIONS = 200; // 1200 bytes: one channel packet
const STORE = /^[a-zA-Z0-9._-]{1,64}$/;
const NOTHING = new Uint8Array(0);
