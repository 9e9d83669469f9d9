/** A network that consists of what it is given: for tests of discovery without DNS and web servers. */
import type { LinkResolver, SrvRecord } from "../discovery.ts";

/** What there is, by name or URL. */
export interface MemoryNames {
  readonly srv?: Readonly<Record<string, readonly SrvRecord[]>>;
  readonly txt?: Readonly<Record<string, readonly string[]>>;
  readonly addresses?: Readonly<Record<string, readonly string[]>>;
  /** Bodies; what is neither a text nor bytes becomes JSON. */
  readonly web?: Readonly<Record<string, unknown>>;
}

/** A resolver over `names`, and what it was asked: "srv NAME", "fetch URL" and so on, in order. */
export function memoryResolver(names: MemoryNames): LinkResolver & { readonly asked: readonly string[] } {
  const asked: string[] = [];
  const look = async <T>(
    what: keyof MemoryNames,
    table: Readonly<Record<string, T>> | undefined,
    name: string,
  ): Promise<T | undefined> => {
    asked.push(`${what === "web" ? "fetch" : what} ${name}`);
    return Object.hasOwn(table ?? {}, name) ? table?.[name] : undefined;
  };
  return {
    asked,
    srv: async (name) => (await look("srv", names.srv, name)) ?? [],
    txt: async (name) => (await look("txt", names.txt, name)) ?? [],
    addresses: async (name) => (await look("addresses", names.addresses, name)) ?? [],
    async fetch(url, limit) {
      const body = await look("web", names.web, url);
      if (body === undefined) return undefined;
      const bytes =
        body instanceof Uint8Array
          ? body
          : new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body));
      return bytes.length > limit ? undefined : bytes;
    },
  };
}
