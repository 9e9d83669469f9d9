/**
 * Links: a peer's keys and paths, as JSON and as `link://` URIs. protocol/card.md §3; telehash v3/link.md, v3/uri.md.
 * Any URI may be a link: what counts is its query, `cs??` for keys and `paths` for paths.
 */
import { equal, fromBase32, RestanteError, toBase32 } from "../bytes/index.ts";
import {
  type Backend,
  encodeJwk,
  encodeKeys,
  type Hashname,
  hashnameBytes,
  hashnameOf,
  type Keys,
  parseJwk,
  parseKeys,
} from "../crypto/index.ts";
import { encodeJson, type Json, type JsonObject, parseJson } from "../wire/index.ts";
import { asObject, ipText, MAX_PATHS, type Path, parseIp, parsePath, parsePaths, pathJson, pathKey } from "./path.ts";

/** A URI taken apart. Nothing in it is verified: who answers with these keys is their owner, whoever wrote the URI. */
export interface Link {
  /** Lower case, without "://". `link` unless an application has its own. */
  readonly scheme: string;
  /** A host name in lower case, or an IP address in canonical text (IPv6 without brackets). */
  readonly host?: string | undefined;
  /** 1..65535, 42424 when the URI has a host and no port. */
  readonly port?: number | undefined;
  /** As in the URI: empty, or from the first slash on. Not decoded. */
  readonly path: string;
  /** Empty when the URI holds none. */
  readonly keys: Keys;
  /** Those stated in the query; see `linkPaths` for all. */
  readonly paths: readonly Path[];
  /** The other members of the query in their order, decoded. */
  readonly query: readonly (readonly [name: string, value: string])[];
  /** What follows "#", not decoded. */
  readonly fragment?: string | undefined;
}

/** A URI as text. Keys come first in ascending order, then paths, then the rest: equal links give equal texts. */
export function encodeLink(link: Link): string {
  const query = [
    ...Object.entries(encodeKeys(link.keys))
      .map(([csid, key]) => `cs${csid}=${key}`)
      .sort(),
    ...link.paths.map((path) => `paths=${toBase32(encodeJson(pathJson(path)))}`),
    ...link.query.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`),
  ];
  const path = link.path === "" && query.length > 0 ? "/" : link.path;
  const search = query.length > 0 ? `?${query.join("&")}` : "";
  const fragment = link.fragment === undefined ? "" : `#${link.fragment}`;
  return `${link.scheme}://${authority(link)}${path}${search}${fragment}`;
}

/**
 * A URI of any origin taken apart. `undefined` when it is no URI with "://", holds other than visible ASCII, has user
 * information, a malformed host or port, a malformed or repeated key, a malformed path, or more than 8192 characters,
 * 64 members in its query, 8 keys or 16 paths. Well-formed paths of unknown types are left out. Never throws.
 */
export function parseLink(text: string): Link | undefined {
  if (text.length > LINK_LENGTH || !VISIBLE.test(text)) return undefined;
  const [, scheme, place, path, search, fragment] = URI.exec(text) ?? [];
  if (scheme === undefined || place === undefined || path === undefined) return undefined;
  const at = parseAuthority(place);
  const members = search === undefined || search === "" ? [] : search.split("&", MAX_MEMBERS + 1);
  if (at === undefined || members.length > MAX_MEMBERS) return undefined;

  const keys = new Map<string, string>();
  const paths: Json[] = [];
  const query: [string, string][] = [];
  for (const member of members) {
    const cut = member.indexOf("=");
    const name = decode(cut < 0 ? member : member.slice(0, cut));
    const value = decode(cut < 0 ? "" : member.slice(cut + 1));
    if (name === undefined || value === undefined) return undefined;
    const csid = CSID_FIELD.exec(name)?.[1];
    if (csid !== undefined) {
      if (keys.has(csid)) return undefined;
      keys.set(csid, value);
    } else if (name === "paths") {
      const bytes = fromBase32(value);
      const json = bytes && parseJson(bytes);
      if (json === undefined) return undefined;
      paths.push(json);
    } else query.push([name, value]);
  }
  const parsedKeys = keys.size === 0 ? new Map() : parseKeys(Object.fromEntries(keys));
  const parsedPaths = parsePaths(paths);
  if (parsedKeys === undefined || parsedPaths === undefined) return undefined;
  return {
    scheme: scheme.toLowerCase(),
    ...at,
    path,
    keys: parsedKeys,
    paths: parsedPaths,
    query,
    ...(fragment === undefined ? {} : { fragment }),
  };
}

/**
 * Everything to try: the stated paths, then UDP and TCP at the host if that is an address (uri.md, "Generated Paths").
 * A host name gives nothing here: resolving it is for the caller. At most 16, without doubles.
 */
export function linkPaths(link: Pick<Link, "host" | "port" | "paths">): Path[] {
  const { host, port, paths } = link;
  return joinPaths(paths, host === undefined || port === undefined ? [] : pathsAt([host], port));
}

/**
 * UDP and TCP at each of these addresses, in their order, on one port (uri.md, "Generated Paths"). What is no address or
 * would not be dialled is left out. At most 16, without doubles.
 */
export function pathsAt(addresses: readonly string[], port: number): Path[] {
  const generated = addresses.flatMap((ip) => {
    const family = IP_FAMILY[parseIp(ip)?.length ?? 0];
    return family === undefined ? [] : ["udp", "tcp"].map((kind) => parsePath({ type: kind + family, ip, port }));
  });
  return joinPaths(generated.filter((path) => path !== undefined));
}

/** All of these paths, in this order: at most 16, without doubles, of which the first counts. */
export function joinPaths(...lists: readonly (readonly Path[])[]): Path[] {
  const found = new Map<string, Path>();
  for (const path of lists.flat()) if (!found.has(pathKey(path))) found.set(pathKey(path), path);
  return [...found.values()].slice(0, MAX_PATHS);
}

/** Host and port of the first path with an address that others can read; neither when there is none. */
export function placeOf(paths: readonly Path[]): { host?: string | undefined; port?: number | undefined } {
  const path = paths
    .map(pathJson)
    .map(parsePath)
    .find((each) => each?.ip !== undefined);
  return path === undefined ? {} : { host: path.ip, port: path.port };
}

/** What is known of a peer. */
export interface LinkInfo {
  readonly hashname: Hashname;
  readonly keys: Keys;
  readonly paths: readonly Path[];
}

/**
 * The shortest URI of a peer: `link://host:port/?cs3a=...` (uri.md, "Generation"). Host and port are those of the first
 * path with an address, and paths that follow from them are not written; without any there is no host.
 */
export function linkUri({ keys, paths }: Pick<LinkInfo, "keys" | "paths">, scheme = "link"): string {
  const place = placeOf(paths);
  const follow = new Set(linkPaths({ ...place, paths: [] }).map(pathKey));
  const stated = paths.filter((path) => path.compat === true || !follow.has(pathKey(path)));
  return encodeLink({ scheme, ...place, path: "/", keys, paths: stated, query: [] });
}

/** Link JSON: `{keys, paths, hashname}`. */
export function linkJson(link: LinkInfo): JsonObject {
  return { keys: encodeKeys(link.keys), paths: link.paths.map(pathJson), hashname: link.hashname };
}

/**
 * Link JSON of any origin; other members are ignored. The hashname comes from the keys: `undefined` when a stated one
 * differs, and for keys or paths that are not as in `parseLink`.
 */
export function parseLinkJson(backend: Backend, json: Json | undefined): LinkInfo | undefined {
  const link = asObject(json) ?? {};
  const keys = parseKeys(link["keys"]);
  const paths = parsePaths(link["paths"]);
  if (keys === undefined || paths === undefined) return undefined;
  const hashname = hashnameOf(backend, keys);
  const stated = link["hashname"];
  return stated === undefined || stated === hashname ? { hashname, keys, paths } : undefined;
}

/** The peer as a JWK (link.md, "JWK"), with a member `paths` when it has any. */
export function linkJwk({ hashname, keys, paths }: LinkInfo): JsonObject {
  return { ...encodeJwk({ hashname, keys }), ...(paths.length === 0 ? {} : { paths: paths.map(pathJson) }) };
}

/** The peer in a JWK of any origin: keys as in `parseJwk`, paths as in `parseLinkJson`. `undefined` when one is malformed. */
export function parseLinkJwk(backend: Backend, json: Json | undefined): LinkInfo | undefined {
  const identity = parseJwk(backend, json);
  const paths = parsePaths(asObject(json)?.["paths"]);
  return identity === undefined || paths === undefined ? undefined : { ...identity, paths };
}

/**
 * The URI without its fragment, else byte for byte: what a router made, and what a `peer` request shows to it (uri.md,
 * "Router / Peer URI"). Works on any text.
 */
export function baseUri(uri: string): string {
  const cut = uri.indexOf("#");
  return cut < 0 ? uri : uri.slice(0, cut);
}

/** What a URI says about the peer behind a router. */
export interface Fragment {
  /** 8 bytes, unverified. */
  readonly check: Uint8Array;
  /** 1 to 256 bytes; absent where a URI holds the part before the dot alone. */
  readonly data?: Uint8Array;
}

/**
 * The fragment of a URI that a router made for a peer, `check` or `check.data` in strict base32. `undefined` for any other:
 * the single string of old JavaScript peers, too, whose digest is none of ours.
 */
export function parseFragment(text: string): Fragment | undefined {
  if (text.length > FRAGMENT_LENGTH) return undefined;
  const [first = "", second, ...more] = text.split(".");
  const check = fromBase32(first);
  if (check?.length !== CHECK_BYTES || more.length > 0) return undefined;
  if (second === undefined) return { check };
  const data = fromBase32(second);
  return data === undefined || data.length === 0 ? undefined : { check, data };
}

/**
 * The fragment with which a peer marks a URI that a router made for it (uri.md, "Router / Peer URI"):
 * base32(SipHash of `data` under the first half of the hashname) "." base32(data). `data` (1..256 bytes) is unique to
 * each URI. Throws `RestanteError` "bad-fragment" for other lengths.
 */
export function encodeFragment(backend: Backend, hashname: Hashname, data: Uint8Array): string {
  if (data.length < 1 || data.length > FRAGMENT_BYTES)
    throw new RestanteError("bad-fragment", "1 to 256 bytes, please");
  return `${toBase32(fragmentCheck(backend, hashname, data))}.${toBase32(data)}`;
}

/**
 * The data of a complete fragment that the peer `hashname` answered with. `known` is what stood in the URI: the same
 * text, or only the part before the dot. `undefined` when it is malformed, another URI's, or not made for `hashname`:
 * then the router has led us to somebody else.
 */
export function verifyFragment(
  backend: Backend,
  hashname: Hashname,
  fragment: string,
  known: string,
): Uint8Array | undefined {
  const { check, data } = parseFragment(fragment) ?? {};
  if (check === undefined || data === undefined) return undefined;
  if (known !== fragment && known !== toBase32(check)) return undefined;
  return equal(check, fragmentCheck(backend, hashname, data)) ? data : undefined;
}

function fragmentCheck(backend: Backend, hashname: Hashname, data: Uint8Array): Uint8Array {
  return backend.siphash(hashnameBytes(hashname).subarray(0, 16), data);
}

/** `host:port` without the default port, IPv6 in brackets; empty when there is no host. */
function authority({ host, port }: Pick<Link, "host" | "port">): string {
  if (host === undefined) return "";
  const text = host.includes(":") ? `[${host}]` : host;
  return port === undefined || port === DEFAULT_PORT ? text : `${text}:${port}`;
}

/** `host`, `host:port`, `[ipv6]:port` or nothing. */
function parseAuthority(authority: string): { host?: string; port?: number } | undefined {
  if (authority === "") return {};
  const [, bracketed, plain, digits] = AUTHORITY.exec(authority) ?? [];
  const port = digits === undefined ? DEFAULT_PORT : Number(digits);
  if (port < 1 || port > 65_535) return undefined;
  const address = parseIp(bracketed ?? plain ?? "");
  if (bracketed !== undefined) return address?.length === 16 ? { host: ipText(address), port } : undefined;
  if (plain === undefined) return undefined;
  if (address !== undefined) return { host: ipText(address), port };
  const name = plain.toLowerCase();
  return name.length <= HOST_LENGTH && HOST_NAME.test(name) ? { host: name, port } : undefined;
}

function decode(text: string): string | undefined {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined; // not the percent encoding of UTF-8
  }
}

const DEFAULT_PORT = 42_424; // uri.md, "Generation"
const LINK_LENGTH = 8192;
const MAX_MEMBERS = 64;
const CHECK_BYTES = 8; // SipHash-2-4
const FRAGMENT_BYTES = 256;
const FRAGMENT_LENGTH = 13 + 1 + Math.ceil((FRAGMENT_BYTES * 8) / 5);
const HOST_LENGTH = 253; // RFC 1035
const IP_FAMILY: Readonly<Record<number, string>> = { 4: "4", 16: "6" };
const VISIBLE = /^[\x21-\x7e]+$/;
const URI = /^([a-zA-Z][a-zA-Z0-9+.-]{0,31}):\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/;
const AUTHORITY = /^(?:\[([^\]]*)\]|([a-zA-Z0-9._-]+))(?::([0-9]{1,5}))?$/;
/** The last label starts with a letter: resolvers take names that end in a number for odd forms of IPv4 addresses. */
const HOST_NAME = /^(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)*[a-z](?:[a-z0-9-]*[a-z0-9])?\.?$/;
const CSID_FIELD = /^cs([0-9a-f]{2})$/;
