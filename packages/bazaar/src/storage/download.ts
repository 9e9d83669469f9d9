/** Reading over HTTP what others name: bounded in bytes, time and redirects, and never from a network that is not public. */
import { lookup } from "node:dns";
import { get as httpGet, type IncomingMessage } from "node:http";
import { get as httpsGet } from "node:https";
import { BlockList, isIP, type LookupFunction } from "node:net";

export interface DownloadOptions {
  /** The most bytes. */
  readonly limit: number;
  readonly signal: AbortSignal;
  /** Addresses of this machine and of private networks too: what a stranger names must never lead there. */
  readonly isLocalAllowed?: boolean;
}

/**
 * What lies at an http or https URL; `undefined` for everything else than a success: too large, too slow, too many redirects,
 * not found, a host that is not public. Sends no name of ours, no cookie and no credentials. Never throws.
 */
export async function download(url: string, options: DownloadOptions): Promise<Uint8Array | undefined> {
  let next: URL | undefined = parse(url);
  for (let hops = 0; hops <= MOST_REDIRECTS && next; hops++) {
    const answer = await request(next, options);
    if (answer === undefined) return undefined;
    const { statusCode = 0, headers } = answer;
    if (statusCode === 200) return await body(answer, options);
    answer.destroy();
    const isRedirect = statusCode >= 301 && statusCode <= 308 && headers.location !== undefined;
    next = isRedirect ? parse(headers.location ?? "", next) : undefined;
  }
  return undefined;
}

function parse(text: string, base?: URL): URL | undefined {
  const url = URL.canParse(text, base?.href) ? new URL(text, base) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol)) return undefined;
  // Credentials in a link of a stranger are of no use but to provoke.
  if (url.username !== "" || url.password !== "") return undefined;
  return base?.protocol === "https:" && url.protocol === "http:" ? undefined : url;
}

function request(url: URL, { signal, isLocalAllowed }: DownloadOptions): Promise<IncomingMessage | undefined> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (!isLocalAllowed && isIP(host) && !isPublic(host)) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const get = url.protocol === "https:" ? httpsGet : httpGet;
    const headers = { "user-agent": "restante", accept: "application/octet-stream" };
    // The name is looked up once, and the address that was judged is the one that is dialled.
    const lookup = isLocalAllowed ? {} : { lookup: publicOnly };
    try {
      get(url, { headers, signal, agent: false, ...lookup }, resolve).on("error", () => resolve(undefined));
    } catch {
      resolve(undefined);
    }
  });
}

async function body(answer: IncomingMessage, { limit }: DownloadOptions): Promise<Uint8Array | undefined> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  try {
    if (Number(answer.headers["content-length"] ?? 0) > limit) return undefined;
    for await (const piece of answer as AsyncIterable<Uint8Array>) {
      length += piece.length;
      if (length > limit) return undefined;
      pieces.push(piece);
    }
    return answer.complete ? new Uint8Array(Buffer.concat(pieces)) : undefined;
  } catch {
    return undefined; // cut, or too late
  } finally {
    answer.destroy();
  }
}

const publicOnly: LookupFunction = (host, options, done) => {
  lookup(host, { ...options, all: true }, (error, addresses) => {
    const open = (addresses ?? []).filter(({ address }) => isPublic(address));
    const [first] = open;
    if (error || first === undefined) done(error ?? new Error("not a public host"), "", 0);
    else if (options.all) done(null, open);
    else done(null, first.address, first.family);
  });
};

/** Whether an IP address is one that anybody on the internet can reach: none of this machine, a private or a special network. */
export function isPublic(address: string): boolean {
  const kind = isIP(address);
  return kind !== 0 && !NOT_PUBLIC.check(address, kind === 4 ? "ipv4" : "ipv6");
}

const NOT_PUBLIC = new BlockList();
// The special networks of RFC 6890, and multicast.
for (const [network, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
] as const) {
  NOT_PUBLIC.addSubnet(network, bits, "ipv4");
}
for (const [network, bits] of [
  ["::", 96], // unspecified, loopback, IPv4-compatible
  ["64:ff9b::", 32], // IPv4 behind a translator
  ["100::", 64],
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16], // 6to4: an IPv4 address within
  ["fc00::", 7],
  ["fe80::", 10],
  ["ff00::", 8],
] as const) {
  NOT_PUBLIC.addSubnet(network, bits, "ipv6");
}

const MOST_REDIRECTS = 3;
