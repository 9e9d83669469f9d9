/**
 * Paths: where a peer can be reached. protocol/card.md §2; the JSON is that of telehash v3/channels/path.md.
 * Paths come from strangers (cards, links, path channels) and are dialled, so only well-formed addresses get in.
 */
import { type Hashname, parseHashname } from "../crypto/index.ts";
import type { Json, JsonObject } from "../wire/index.ts";

/**
 * One network address of a peer, or a peer that routes to it. Which members there are depends on `type`:
 *
 * | type                     | members                                                      |
 * |--------------------------|--------------------------------------------------------------|
 * | `udp4` `udp6` `tcp4` `tcp6` | `ip` (canonical text, RFC 5952 for IPv6), `port` 1..65535 |
 * | `ws`                     | `url`, `ws://` or `wss://`                                   |
 * | `mem`                    | `name`, a place in a `MemoryNetwork`                         |
 * | `peer`                   | `hn`, the router; perhaps `uri`, its own for this peer       |
 */
export interface Path {
  readonly type: string;
  readonly ip?: string;
  readonly port?: number;
  readonly url?: string;
  readonly name?: string;
  readonly hn?: Hashname;
  readonly uri?: string;
  /** An old peer listens there that does not know the cloak: we speak without, unless it uses one itself. No address. */
  readonly compat?: true;
}

/**
 * A text that is equal for two paths exactly when they are the same address. For maps; not a format, never parsed.
 */
export function pathKey(path: Path): string {
  // What comes and goes on a connection has the very object of its path: it is asked for several times in each turn.
  if (path !== last) {
    last = path;
    lastKey = `${path.type}|${path.ip ?? ""}|${path.port ?? ""}|${path.url ?? path.name ?? path.hn ?? ""}`;
  }
  return lastKey;
}

/** Whether the path leads by a router and not straight to the peer: type `peer`. */
export function isRelayed(path: Path): path is Path & { readonly hn: Hashname } {
  return path.type === "peer" && path.hn !== undefined;
}

/**
 * Whether the path is a byte stream (its packets must be chunked) and not one packet per datagram or message.
 * True for `tcp4`, `tcp6` and `unix`.
 */
export function isStream(path: Path): boolean {
  return path.type === "tcp4" || path.type === "tcp6" || path.type === "unix";
}

/**
 * A path from JSON that someone else wrote. Unknown members are left out; addresses are brought to their one canonical
 * text, so that equal addresses have equal keys.
 * `undefined` for anything else: an unknown type, a host name where an address belongs, an address that is not one
 * machine's (unspecified, multicast, broadcast) or an IPv4 one in IPv6 clothes, a port beyond 1..65535, a URL with user
 * information or over 256 characters, a router's URI of other than visible ASCII or over 256 characters. `unix` is never accepted: nobody may make us open sockets of our own machine.
 */
export function parsePath(json: Json | undefined): Path | undefined {
  const { type, ip, port, url, name, hn, peer, uri, compat } = asObject(json) ?? {};
  switch (type) {
    case "udp4":
    case "udp6":
    case "tcp4":
    case "tcp6": {
      if (typeof ip !== "string" || typeof port !== "number") return undefined;
      const address = parseIp(ip);
      if (address === undefined || address.length !== (type.endsWith("4") ? 4 : 16) || !isUnicast(address))
        return undefined;
      if (!Number.isInteger(port) || port < 1 || port > 65_535) return undefined;
      return { type, ip: ipText(address), port, ...(compat === true && { compat }) };
    }
    case "ws":
      return typeof url === "string" && isWebSocketUrl(url) ? { type, url } : undefined;
    case "mem":
      return typeof name === "string" && MEM_NAME.test(name) ? { type, name } : undefined;
    case "peer": {
      const router = parseHashname(hn ?? peer); // link.md names the member `peer`, path.md `hn`
      if (router === undefined) return undefined;
      if (uri === undefined) return { type, hn: router };
      return typeof uri === "string" && PEER_URI.test(uri) ? { type, hn: router, uri } : undefined;
    }
    default:
      return undefined;
  }
}

/** The JSON of a path, as `parsePath` reads it. */
export function pathJson(path: Path): JsonObject {
  const { type, ip, port, url, name, hn, uri, compat } = path;
  return { type, ip, port, url, name, hn, uri, compat };
}

/**
 * The paths in the array `json`, in order, without those that `parsePath` does not know: newer peers have newer types.
 * Absent is empty. `undefined` for anything but an array of at most 16 objects.
 */
export function parsePaths(json: Json | undefined): Path[] | undefined {
  if (json === undefined) return [];
  const items = asList(json, MAX_PATHS);
  if (items === undefined || !items.every((item) => asObject(item) !== undefined)) return undefined;
  return items.map(parsePath).filter((path) => path !== undefined);
}

/** The value, if it is an object. */
export function asObject(json: Json | undefined): JsonObject | undefined {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return undefined;
  return json as JsonObject;
}

/** The value, if it is an array of at most `max` items. */
export function asList(json: Json | undefined, max: number): readonly Json[] | undefined {
  return Array.isArray(json) && json.length <= max ? (json as readonly Json[]) : undefined;
}

/**
 * The 4 or 16 bytes of an IP address, network order. `undefined` for any other text: host names, IPv4 numbers with
 * leading zeros (octal elsewhere), zones like `%eth0` (they mean nothing on another machine).
 */
export function parseIp(text: string): Uint8Array | undefined {
  if (IPV4.test(text)) return Uint8Array.from(text.split("."), Number);
  if (text.length > IPV6_LENGTH || !IPV6_CHARACTERS.test(text)) return undefined;
  // A dotted end stands for the last two groups: rewritten as such.
  const dotted = text.slice(text.lastIndexOf(":") + 1);
  let source = text;
  if (dotted.includes(".")) {
    if (!IPV4.test(dotted)) return undefined;
    const [a = 0, b = 0, c = 0, d = 0] = dotted.split(".").map(Number);
    source = `${text.slice(0, -dotted.length)}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  }
  const halves = source.split("::");
  if (halves.length > 2) return undefined;
  const [left = [], right = []] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const missing = 8 - left.length - right.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...left, ...new Array<string>(missing).fill("0"), ...right];
  if (!groups.every((group) => IPV6_GROUP.test(group))) return undefined;
  const numbers = groups.map((group) => Number.parseInt(group, 16));
  return Uint8Array.from(numbers.flatMap((number) => [number >> 8, number & 255]));
}

/** The one canonical text of the 4 or 16 bytes of an address: RFC 5952, with mapped IPv4 in dots (its §5). */
export function ipText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i] ?? 0) * 256 + (bytes[2 * i + 1] ?? 0));
  if (groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)) {
    return `::ffff:${bytes.subarray(12).join(".")}`;
  }
  // "::" takes the place of the longest run of two or more zero groups, the first of equally long ones.
  let start = 0;
  let length = 0;
  for (let i = 0; i < groups.length; i++) {
    let end = i;
    while (groups[end] === 0) end++;
    if (end - i > length) {
      start = i;
      length = end - i;
    }
  }
  const hex = groups.map((group) => group.toString(16));
  if (length < 2) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}`;
}

function isWebSocketUrl(url: string): boolean {
  if (url.length > URL_LENGTH) return false;
  const [found, port] = WS_URL.exec(url) ?? [];
  return found !== undefined && (port === undefined || (Number(port) >= 1 && Number(port) <= 65_535));
}

/** Whether packets to it go to one machine: a card must not make its readers shout at a whole network. */
function isUnicast(address: Uint8Array): boolean {
  const first = address[0] ?? 0;
  if (address.length === 4) return first > 0 && first < MULTICAST4;
  if (first === MULTICAST6) return false;
  const zeros = address.findIndex((byte) => byte !== 0);
  return zeros !== -1 && !(zeros === 10 && address[10] === 0xff && address[11] === 0xff);
}

/** The most paths that one peer may name in a card, a link or a path packet. */
export const MAX_PATHS = 16;
let last: Path | undefined; // the path whose key was asked for last
let lastKey = "";
const MULTICAST4 = 224; // 224/4 multicast, 240/4 reserved, with the broadcast address
const MULTICAST6 = 0xff; // ff00::/8
const URL_LENGTH = 256;
const IPV6_LENGTH = 45; // eight groups, the last two in dots
const IPV6_CHARACTERS = /^[0-9a-fA-F:.]+$/;
const IPV6_GROUP = /^[0-9a-fA-F]{1,4}$/;
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
/** Scheme, host (name, address, or bracketed IPv6), optional port, optional path: no user information, no fragment. */
const WS_URL =
  /^wss?:\/\/(?:[a-zA-Z0-9.-]+|\[[0-9a-fA-F:.]+\])(?::([0-9]{1,5}))?(?:[/?][a-zA-Z0-9._~!$&'()*+,;=:@/?%-]*)?$/;
const PEER_URI = /^[\x21-\x7e]{1,256}$/;
const MEM_NAME = /^[a-zA-Z0-9._-]{1,64}$/;
