/**
 * Who answers discovery on Node: DNS by the system's servers, the Web by `fetch`. protocol/discovery.md §5
 * What goes wrong is told as "unreachable" and no more: messages of the system name hosts.
 */
import { lookup, Resolver } from "node:dns/promises";
import { type LinkResolver, RestanteError } from "restante";

/** Whom the resolver asks. */
export interface NodeResolverOptions {
  /** DNS servers as IP addresses, perhaps with a port. Default: those of the system, and its hosts file for addresses. */
  readonly servers?: readonly string[];
}

/** A `LinkResolver` over `node:dns` and the global `fetch`. Rejects with "unreachable" alone. */
export function nodeResolver({ servers }: NodeResolverOptions = {}): LinkResolver {
  /** One question. What does not exist is an empty list. */
  const ask = async <T>(
    signal: AbortSignal,
    question: (dns: Resolver) => Promise<readonly T[]>,
  ): Promise<readonly T[]> => {
    const dns = new Resolver({ timeout: DNS_TIMEOUT_MS, tries: DNS_TRIES });
    const cancel = (): void => dns.cancel();
    signal.addEventListener("abort", cancel, { once: true });
    try {
      if (servers !== undefined) dns.setServers(servers);
      return signal.aborted ? [] : await question(dns);
    } catch (error) {
      if (ABSENT.has((error as NodeJS.ErrnoException | undefined)?.code ?? "")) return [];
      throw unreachable();
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  };
  return {
    srv: (name, signal) => ask(signal, (dns) => dns.resolveSrv(name)),
    txt: (name, signal) => ask(signal, async (dns) => (await dns.resolveTxt(name)).map((strings) => strings.join(""))),
    async addresses(name, signal) {
      if (servers === undefined)
        return ask(signal, async () => (await lookup(name, { all: true })).map(({ address }) => address));
      // One of the two is enough: servers that fail on what they do not have are not rare.
      const both = await Promise.allSettled([
        ask(signal, (dns) => dns.resolve4(name)),
        ask(signal, (dns) => dns.resolve6(name)),
      ]);
      if (both.every(({ status }) => status === "rejected")) throw unreachable();
      return both.flatMap((each) => (each.status === "fulfilled" ? each.value : []));
    },
    async fetch(url, limit, signal) {
      try {
        const answer = await fetch(url, {
          redirect: "manual",
          credentials: "omit",
          referrerPolicy: "no-referrer",
          headers: { accept: "application/jrd+json, application/json", "user-agent": "restante" },
          signal,
        });
        const body = answer.status === 200 ? await upTo(limit, answer.body) : undefined;
        // Whatever was not read is of no use to anybody, and would keep the connection.
        if (body === undefined) await answer.body?.cancel();
        return body;
      } catch {
        throw unreachable();
      }
    },
  };
}

/** The whole body; `undefined` as soon as it has more than `limit` bytes, which are then not read. */
async function upTo(limit: number, body: ReadableStream<Uint8Array> | null): Promise<Uint8Array | undefined> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  const reader = body?.getReader();
  try {
    for (let piece = await reader?.read(); piece && !piece.done; piece = await reader?.read()) {
      length += piece.value.length;
      if (length > limit) return undefined;
      pieces.push(piece.value);
    }
  } finally {
    reader?.releaseLock();
  }
  return new Uint8Array(Buffer.concat(pieces));
}

function unreachable(): RestanteError {
  return new RestanteError("unreachable", "a server for this link does not answer");
}

/** No such name, and no such record: answers, not failures. */
const ABSENT: ReadonlySet<string> = new Set(["ENOTFOUND", "ENODATA"]);
const DNS_TIMEOUT_MS = 1500;
const DNS_TRIES = 2;
