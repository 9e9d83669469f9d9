/**
 * Discovery: from a link to the keys and paths of a peer, asking the domain where the link itself does not say it.
 * protocol/discovery.md; telehash v3/uri.md, "Processing". Who is asked is an argument, `LinkResolver`: this file knows
 * what to ask, in what order, and what to believe. It is one of the few that may wait.
 */
import { RestanteError } from "./bytes/index.ts";
import {
  baseUri,
  encodeLink,
  isHostName,
  joinPaths,
  jwksUri,
  LINK_REL,
  type Link,
  type LinkInfo,
  linkHref,
  linkInJwks,
  linkPaths,
  type Path,
  parseFragment,
  parseLink,
  parseLinkJson,
  parseLinkJwk,
  parseTxt,
  pathsAt,
} from "./card/index.ts";
import { type Backend, type Hashname, hashnameOf, type Keys, parseHashname, portable } from "./crypto/index.ts";
import { isObject, type Json, parseJson, text } from "./wire/index.ts";

/** One SRV record (RFC 2782). */
export interface SrvRecord {
  /** The target, with or without a dot at its end. */
  readonly name: string;
  readonly port: number;
  /** Lower is asked first; of equal ones the higher weight. */
  readonly priority: number;
  readonly weight: number;
}

/**
 * How to ask the network. What is not there is an empty list or `undefined`; what could not be asked is a rejection, of
 * which nobody reads more than that it happened. `signal` aborts when the answer is no longer waited for.
 */
export interface LinkResolver {
  /** SRV records (RFC 2782) of the name, in any order. */
  srv(name: string, signal: AbortSignal): Promise<readonly SrvRecord[]>;
  /** One text per record, the strings of which it consists joined. */
  txt(name: string, signal: AbortSignal): Promise<readonly string[]>;
  /** IPv4 and IPv6 addresses. */
  addresses(name: string, signal: AbortSignal): Promise<readonly string[]>;
  /**
   * GET `url`, which is an `https` one. The body of a plain 200; `undefined` for every other answer, a redirect or a body
   * of more than `limit` bytes among them. Never follows a redirect, sends no cookie, and shows no referrer.
   */
  fetch(url: string, limit: number, signal: AbortSignal): Promise<Uint8Array | undefined>;
}

/** How a domain can be asked for keys, in the order of uri.md. */
export type DiscoveryWay = "webfinger" | "dns" | "openid";

/** Of one look-up. */
export interface DiscoveryOptions {
  /** In which order, and whether at all. Default: "webfinger", "dns", "openid". */
  readonly ways?: readonly DiscoveryWay[];
  /** For each way, whatever it asks, and as much again for the addresses of the host. Default 4000 ms. */
  readonly timeoutMs?: number;
  /** For hashnames. Default: portable. */
  readonly backend?: Backend;
}

/** A peer that a link leads to. Its keys make its hashname; that it is there, and will talk, is not known yet. */
export interface ResolvedLink extends LinkInfo {
  /** Where the keys come from: "link" for the text itself. */
  readonly via: "link" | DiscoveryWay;
  /** The URI as it was given, for the `uri` handshake. Absent when JSON was given. */
  readonly uri?: string;
  /**
   * Of a URI that a router made for another peer: the keys are the router's, and who is meant must answer with a fragment
   * that `verifyFragment` takes.
   */
  readonly fragment?: string;
  /** What of the query is the application's, in its order. */
  readonly query: Link["query"];
  /** An invite URI, when the link or the domain has an invite. Unverified: `inviteProblem` judges it. */
  readonly invite?: string;
}

/**
 * The peer of a link: link JSON, a JWK, or a URI with keys or of a domain that publishes them. At most 16 paths, perhaps
 * none: those stated first, then those that follow from the addresses of the host.
 *
 * A URI may name the hashname that it means, by a host whose first label is one or by a member `hashname` of the query:
 * other keys are refused then, wherever they come from. Without that a domain is believed about its own names, and so is
 * whoever answers for it.
 *
 * Rejects with a `RestanteError`: "bad-link" (the text is no link), "needs-router" (a hashname alone, which only a router
 * can find), "wrong-keys" (all keys found are another peer's), "unreachable" (something could not be asked), "no-keys"
 * (all was asked, and nothing usable is published). No error names what was asked for.
 */
export async function resolveLink(
  link: string,
  resolver: LinkResolver,
  options: DiscoveryOptions = {},
): Promise<ResolvedLink> {
  const { ways = WAYS, timeoutMs = TIMEOUT_MS, backend = portable } = options;
  const uri = link.trim();
  if (uri.startsWith("{")) return fromJson(backend, uri);
  if (parseHashname(uri) !== undefined) throw needsRouter();
  const parsed = parseLink(uri);
  if (parsed === undefined) throw new RestanteError("bad-link", "this is not a link, or a part of it is damaged");
  const named = namedIn(parsed);
  const facts = { uri, query: parsed.query, ...fragmentOf(parsed) };

  if (parsed.keys.size > 0) {
    const { keys } = parsed;
    const hashname = hashnameOf(backend, keys);
    if (named !== undefined && named !== hashname) throw wrongKeys();
    const paths = joinPaths(linkPaths(parsed), await hostPaths(parsed, resolver, timeoutMs));
    return { ...facts, ...inviteIn({ keys, paths }, inviteOf(parsed)), via: "link", hashname, keys, paths };
  }

  if (isHashname(parsed.host)) throw needsRouter();
  let isWrong = false;
  let isCut = false;
  for (const way of isHostName(parsed.host) ? new Set(ways) : []) {
    try {
      const question = { uri, link: parsed, host: parsed.host ?? "", named, backend, resolver };
      const found = await within(timeoutMs, (signal) => ASK[way]({ ...question, signal }));
      if (found === "wrong" || (found && named !== undefined && found.hashname !== named)) isWrong = true;
      else if (found !== undefined) {
        const { hashname, keys } = found;
        const own = way === "dns" ? [] : await hostPaths(parsed, resolver, timeoutMs);
        const paths = joinPaths(parsed.paths, found.paths, own);
        return {
          ...facts,
          ...inviteIn({ keys, paths }, inviteOf(parsed) ?? found.invite),
          via: way,
          hashname,
          keys,
          paths,
        };
      }
    } catch {
      isCut = true;
    }
  }
  if (isWrong) throw wrongKeys();
  if (isCut) throw new RestanteError("unreachable", "the keys of this link could not be asked for: try again later");
  throw new RestanteError("no-keys", "the link holds no keys, and its host publishes none that can be used");
}

/** What a way has found: a peer; keys that are not what their own record says; or nothing. */
type Found = (LinkInfo & { readonly invite?: string | undefined }) | "wrong" | undefined;

interface Question {
  /** As it was given. */
  readonly uri: string;
  readonly link: Link;
  readonly host: string;
  readonly named: Hashname | undefined;
  readonly backend: Backend;
  readonly resolver: LinkResolver;
  readonly signal: AbortSignal;
}

/** RFC 7033, then the link JSON that the answer points at. */
async function askWebFinger({ uri, link, host, backend, resolver, signal }: Question): Promise<Found> {
  const query = `resource=${encodeURIComponent(resourceOf(uri, link))}&rel=${encodeURIComponent(LINK_REL)}`;
  const href = linkHref(await getJson(`${origin(host)}/.well-known/webfinger?${query}`, resolver, signal));
  const json = href === undefined ? undefined : await getJson(href, resolver, signal);
  const found = parseLinkJson(backend, json);
  return found && { ...found, invite: isObject(json) ? text(json, INVITE) : undefined };
}

/** What a web server is asked about: the URI as it was given, but for its fragment and an invite, which are not for it. */
function resourceOf(uri: string, link: Link): string {
  if (inviteOf(link) === undefined) return baseUri(uri);
  return encodeLink({ ...link, query: link.query.filter(([name]) => name !== INVITE), fragment: undefined });
}

/** OpenID Connect Discovery 1.0 §4, then the key set that the answer points at. */
async function askOpenId({ host, backend, resolver, signal }: Question): Promise<Found> {
  const uri = jwksUri(await getJson(`${origin(host)}/.well-known/openid-configuration`, resolver, signal));
  return uri === undefined ? undefined : linkInJwks(backend, await getJson(uri, resolver, signal));
}

/** SRV records lead to names that begin with a hashname; TXT records there are its keys, A and AAAA its addresses. */
async function askDns({ host, named, backend, resolver, signal }: Question): Promise<Found> {
  let isWrong = false;
  for (const { target, hashname, ports } of await targets(host, resolver, signal)) {
    if (named !== undefined && hashname !== named) {
      isWrong = true;
      continue;
    }
    const [records, addresses] = await Promise.all([
      resolver.txt(target, signal),
      addressesOf(target, resolver, signal),
    ]);
    const published = parseTxt(records);
    if (published === undefined) continue;
    if (hashnameOf(backend, published.keys) !== hashname) {
      isWrong = true;
      continue;
    }
    const paths = joinPaths(...ports.map((port) => pathsAt(addresses, port)));
    return { hashname, paths, ...published };
  }
  return isWrong ? "wrong" : undefined;
}

interface Target {
  readonly target: string;
  /** As the name claims. */
  readonly hashname: Hashname;
  readonly ports: readonly number[];
}

/** Where the SRV records of a host lead, best first; at most 4. */
async function targets(host: string, resolver: LinkResolver, signal: AbortSignal): Promise<Target[]> {
  const name = host.replace(/\.$/, "");
  for (const service of SERVICES) {
    const records = (await resolver.srv(`${service}.${name}`, signal))
      .slice(0, MAX_SRV)
      .sort((a, b) => a.priority - b.priority || b.weight - a.weight);
    const found = new Map<string, Target>();
    for (const { name, port } of records) {
      const target = name.toLowerCase().replace(/\.$/, "");
      const hashname = parseHashname(target.split(".")[0]);
      if (hashname === undefined || target.length > HOST_LENGTH) continue;
      const ports = new Set([...(found.get(target)?.ports ?? []), port]);
      found.set(target, { target, hashname, ports: [...ports] });
    }
    if (found.size > 0) return [...found.values()].slice(0, MAX_TARGETS);
  }
  return [];
}

/** Paths at the addresses of a host that is a name. */
async function hostPaths({ host, port = 0 }: Link, resolver: LinkResolver, timeoutMs: number): Promise<Path[]> {
  if (!isHostName(host) || isHashname(host)) return [];
  const found = within(timeoutMs, (signal) => addressesOf(host, resolver, signal));
  return pathsAt(await found.catch(() => []), port);
}

/** At most 8; none when they cannot be had: keys without an address are better than nothing, and there are other paths. */
async function addressesOf(name: string, resolver: LinkResolver, signal: AbortSignal): Promise<readonly string[]> {
  try {
    return (await resolver.addresses(name, signal)).slice(0, MAX_ADDRESSES);
  } catch {
    return [];
  }
}

async function getJson(url: string, resolver: LinkResolver, signal: AbortSignal): Promise<Json | undefined> {
  const bytes = await resolver.fetch(url, ANSWER_BYTES, signal);
  return bytes === undefined || bytes.length > ANSWER_BYTES ? undefined : parseJson(bytes);
}

function fromJson(backend: Backend, json: string): ResolvedLink {
  const value = json.length > ANSWER_BYTES ? undefined : parseJson(new TextEncoder().encode(json));
  const link = parseLinkJson(backend, value) ?? parseLinkJwk(backend, value);
  if (link === undefined) throw new RestanteError("bad-link", "the JSON is no link, or a part of it is damaged");
  const invite = isObject(value) ? text(value, INVITE) : undefined;
  return { ...inviteIn(link, invite), via: "link", query: [], ...link };
}

/** The hashname that the URI means. Throws "bad-link" when it names two, or one that is none: a slip must not go unseen. */
function namedIn({ host = "", query }: Link): Hashname | undefined {
  const inHost = parseHashname(host.split(".")[0]);
  const members = query.filter(([name]) => name === "hashname");
  const inQuery = parseHashname(members[0]?.[1]);
  const isClear = members.length === 0 || (members.length === 1 && inQuery !== undefined);
  if (!isClear || (inHost !== undefined && inQuery !== undefined && inHost !== inQuery))
    throw new RestanteError("bad-link", "the hashname in the link is damaged, or there are two");
  return inQuery ?? inHost;
}

/** Whether the host is a hashname and no more: no resolver knows such names, and none should hear of them. */
function isHashname(host: string | undefined): boolean {
  return parseHashname(host?.replace(/\.$/, "")) !== undefined;
}

/** Other schemes have fragments of their own; one of ours that is damaged would lead to the router instead of its peer. */
function fragmentOf({ scheme, fragment = "" }: Link): { fragment?: string } {
  if (fragment === "") return {};
  if (parseFragment(fragment) !== undefined) return { fragment };
  if (scheme === "link") throw new RestanteError("bad-link", "the end of the link, after the #, is damaged");
  return {};
}

function inviteOf({ query }: Link): string | undefined {
  return query.find(([name]) => name === INVITE)?.[1];
}

/** What a domain publishes beside the keys is the end of an invite URI; keys and paths are its beginning. */
function inviteIn(
  { keys, paths }: { keys: Keys; paths: readonly Path[] },
  invite: string | undefined,
): { invite?: string } {
  if (invite === undefined) return {};
  return { invite: encodeLink({ scheme: "link", path: "/", keys, paths, query: [[INVITE, invite]] }) };
}

function origin(host: string): string {
  return `https://${host.replace(/\.$/, "")}`;
}

/** The answer, or a rejection when it takes longer, whether or not who is asked heeds the signal. */
function within<T>(timeoutMs: number, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new RestanteError("unreachable", "no answer in time"));
      controller.abort();
    }, timeoutMs);
    (async () => ask(controller.signal))() // what throws at once is a rejection, too
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}

function wrongKeys(): RestanteError {
  return new RestanteError("wrong-keys", "the keys that were found are not those of the peer that the link names");
}

function needsRouter(): RestanteError {
  return new RestanteError("needs-router", "a hashname alone says who, not where: only a router can find its peer");
}

const ASK: Readonly<Record<DiscoveryWay, (question: Question) => Promise<Found>>> = {
  webfinger: askWebFinger,
  dns: askDns,
  openid: askOpenId,
};
const WAYS: readonly DiscoveryWay[] = ["webfinger", "dns", "openid"]; // uri.md, "Processing"
const INVITE = "invite"; // protocol/card.md §4
const SERVICES = ["_link._udp", "_link._tcp"]; // uri.md, "DNS Links", has the first; the second for hosts without UDP
const TIMEOUT_MS = 4000;
const ANSWER_BYTES = 65_536;
const MAX_SRV = 16;
const MAX_TARGETS = 4;
const MAX_ADDRESSES = 8;
const HOST_LENGTH = 253; // RFC 1035
