/**
 * Keys that a domain publishes: what DNS, WebFinger and OpenID Connect Discovery answer. protocol/discovery.md; telehash
 * v3/uri.md, "Link Discovery". Pure: who asks, and in what order, is `resolveLink`.
 */
import { RestanteError } from "../bytes/index.ts";
import { type Backend, encodeKeys, type Keys, parseKeys } from "../crypto/index.ts";
import type { Json } from "../wire/index.ts";
import { type LinkInfo, parseLink, parseLinkJwk } from "./link.ts";
import { asObject, parseIp } from "./path.ts";

/** What the TXT records at one name say. */
export interface Published {
  readonly keys: Keys;
  /** What stands in an invite URI after `invite=`, if the domain publishes one. Unverified. */
  readonly invite?: string | undefined;
}

/**
 * The TXT records for a peer: `3a=<base32>`, and where the base32 has more than 250 characters `2a=...`, `2a2=...` and so
 * on, so that every record is one string of at most 255. An invite is one more name, `invite`. Throws `RestanteError`
 * "too-large" for one of more than 2160 characters.
 */
export function encodeTxt({ keys, invite }: Published): string[] {
  const texts = { ...encodeKeys(keys), ...(invite === undefined ? {} : { [INVITE]: invite }) };
  return Object.entries(texts).flatMap(([name, text]) => {
    const pieces = text.match(name === INVITE ? INVITE_PIECE : KEY_PIECE) ?? [];
    if (pieces.length > MAX_PIECES) throw new RestanteError("too-large", "the invite is too long for TXT records");
    return pieces.map((piece, i) => `${name}${i === 0 ? "" : i + 1}=${piece}`);
  });
}

/**
 * The keys in TXT records of any origin and order, each given as one text. Records of other forms are left out, for names
 * carry records for many purposes. `undefined` when there are more than 64, when a piece is missing or there twice with
 * different contents, and when the keys are not as in `parseKeys`.
 */
export function parseTxt(records: readonly string[]): Published | undefined {
  if (records.length > MAX_RECORDS) return undefined;
  const found = new Map<string, Map<number, string>>();
  for (const record of records) {
    const [, name, number = "1", piece] = (record.length <= RECORD_LENGTH ? TXT.exec(record) : null) ?? [];
    if (name === undefined || piece === undefined) continue;
    const pieces = found.get(name) ?? new Map<number, string>();
    if ((pieces.get(Number(number)) ?? piece) !== piece) return undefined;
    found.set(name, pieces.set(Number(number), piece));
  }
  const texts = new Map<string, string>();
  for (const [name, pieces] of found) {
    if (Math.max(...pieces.keys()) !== pieces.size) return undefined;
    texts.set(name, Array.from({ length: pieces.size }, (_, i) => pieces.get(i + 1)).join(""));
  }
  const invite = texts.get(INVITE);
  texts.delete(INVITE);
  const keys = parseKeys(Object.fromEntries(texts));
  return keys && { keys, ...(invite === undefined ? {} : { invite }) };
}

/** The address of the link JSON in a WebFinger answer (RFC 7033); `undefined` when it names none that may be asked. */
export function linkHref(jrd: Json | undefined): string | undefined {
  const links = asObject(jrd)?.["links"];
  if (!Array.isArray(links)) return undefined;
  const link = (links as readonly Json[]).map(asObject).find((each) => each?.["rel"] === LINK_REL);
  return webUrl(link?.["href"]);
}

/** The address of the key set in an OpenID Connect Discovery answer; `undefined` when it names none that may be asked. */
export function jwksUri(configuration: Json | undefined): string | undefined {
  return webUrl(asObject(configuration)?.["jwks_uri"]);
}

/** The peer in a JWK set: of the keys of type "hashname" only the first counts (uri.md), and it must be as it should. */
export function linkInJwks(backend: Backend, jwks: Json | undefined): LinkInfo | undefined {
  const keys = asObject(jwks)?.["keys"];
  if (!Array.isArray(keys)) return undefined;
  return parseLinkJwk(
    backend,
    (keys as readonly Json[]).find((key) => asObject(key)?.["kty"] === "hashname"),
  );
}

/** Whether `host` of a link is a name, not an address: only names publish. */
export function isHostName(host: string | undefined): host is string {
  return host !== undefined && parseIp(host) === undefined;
}

/**
 * An `https` URL of a host name: no address, no port but 443, no user information, no fragment. A stranger chooses what we
 * ask for, and may point the name at our own network, the second time. What listens on other ports there would get bytes of
 * the stranger's: those of a session that TLS resumes.
 */
function webUrl(json: Json | undefined): string | undefined {
  if (typeof json !== "string" || json.length > URL_LENGTH) return undefined;
  const link = parseLink(json);
  const isPlain = link?.scheme === "https" && isHostName(link.host) && link.fragment === undefined;
  return isPlain && !OTHER_PORT.test(json) ? json : undefined;
}

/** The relation that WebFinger is asked for. uri.md, "WebFinger Links" */
export const LINK_REL = "http://telehash.org/link";
const INVITE = "invite";
const KEY_PIECE = /.{1,250}/g; // uri.md, "DNS Links": what fits one string of a TXT record beside its name
const INVITE_PIECE = /.{1,240}/g;
const MAX_PIECES = 9; // the longest key that is read has 7
const RECORD_LENGTH = 2048; // some servers give one record of many strings instead of many records
const MAX_RECORDS = 64;
const URL_LENGTH = 2048;
const OTHER_PORT = /^[a-z]+:\/\/[^/?#]*:(?!443(?:[/?#]|$))/i;
const TXT = /^([0-9a-f]{2}|invite)([2-9])?=([a-z2-7]*)$/;
