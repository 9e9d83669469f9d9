/** What the socket transports share: finding a port, and telling which addresses are ours. */
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { RestanteError, type TransportPath } from "restante";

/** Where a socket transport listens. */
export interface ListenOptions {
  /** Default 42424. When it is taken, one of the next 20 is used, and `trouble` says which. 0: any free one. */
  readonly port?: number;
  /** An IP address of this machine. Default: all of them, both families. */
  readonly host?: string;
  /** Whether to listen on IPv6 too where the machine has it. Default true. */
  readonly ipv6?: boolean;
}

export type Family = 4 | 6;

/** A socket that listens. */
export interface Bound<Socket> {
  readonly family: Family;
  readonly socket: Socket;
}

/** The families that these options ask for. Throws "bad-address" for a host that is not an IP address. */
function familiesOf({ host, ipv6 = true }: ListenOptions): readonly Family[] {
  if (host === undefined) return ipv6 ? [4, 6] : [4];
  const family = isIP(host);
  if (family !== 4 && family !== 6)
    throw new RestanteError("bad-address", `"${host}" is not an IP address of this machine; use one like 127.0.0.1`);
  return [family];
}

/**
 * One listening socket per family, all with the same port. `bind` makes one, for port 0 on any, or rejects; `portOf` and
 * `close` are as named. A machine without IPv6 gets IPv4 alone.
 * Throws "address-in-use" when no port is free, "bad-address" when the system refuses the host or the port.
 */
export async function listen<Socket>(
  options: ListenOptions,
  io: {
    bind(family: Family, host: string, port: number): Promise<Socket>;
    portOf(socket: Socket): number;
    close(socket: Socket): Promise<void>;
  },
): Promise<{ port: number; bound: Bound<Socket>[] }> {
  const families = familiesOf(options);
  const wanted = options.port ?? DEFAULT_PORT;
  for (let i = 0; i <= MORE_PORTS && wanted + i <= 65_535; i++) {
    // Any port for the first family; if the second finds just that one taken, another.
    let port = wanted === 0 ? 0 : wanted + i;
    const bound: Bound<Socket>[] = [];
    try {
      for (const family of families) {
        try {
          const socket = await io.bind(family, options.host ?? (family === 4 ? "0.0.0.0" : "::"), port);
          bound.push({ family, socket });
          port = io.portOf(socket);
        } catch (error) {
          if (bound.length === 0 || !NO_IPV6.has(codeOf(error))) throw error;
        }
      }
      return { port, bound };
    } catch (cause) {
      await Promise.all(bound.map(({ socket }) => io.close(socket)));
      if (codeOf(cause) === "EADDRINUSE") continue;
      const where = `${options.host ?? "all addresses"}, port ${port}`;
      throw new RestanteError("bad-address", `cannot listen on ${where} (${codeOf(cause)})`, { cause });
    }
  }
  const last = Math.min(wanted + MORE_PORTS, 65_535);
  throw new RestanteError("address-in-use", `the ports ${wanted} to ${last} are all taken; choose another one`);
}

/**
 * The paths under which others may reach the bound sockets: the host where one was given, else the addresses of the
 * network interfaces. Loopback ones only where there are no others. At most 8, so that a card has room for all of them.
 */
export function ownPaths(
  kind: "udp" | "tcp",
  port: number,
  bound: readonly Bound<unknown>[],
  host: string | undefined,
): TransportPath[] {
  const path = (family: Family, ip: string): TransportPath => ({ type: `${kind}${family}`, ip, port });
  const families = new Set(bound.map(({ family }) => family));
  if (host !== undefined && !WILDCARDS.has(host)) return [...families].map((family) => path(family, host));
  const all = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .map(({ address, family, internal }) => ({ ip: address, family: family === "IPv4" ? FOUR : SIX, internal }))
    // Link-local IPv6 addresses mean nothing without a zone, and a zone nothing to others.
    .filter(({ ip, family }) => families.has(family) && !ip.toLowerCase().startsWith("fe80:"))
    .sort((a, b) => a.family - b.family);
  const outside = all.filter(({ internal }) => !internal);
  return (outside.length > 0 ? outside : all).slice(0, MAX_OWN).map(({ family, ip }) => path(family, ip));
}

/** The family of a path that a socket of ours can reach; `undefined` for any other, whatever its members are. */
export function destination(
  kind: "udp" | "tcp",
  path: TransportPath,
): { family: Family; ip: string; port: number } | undefined {
  const { type, ip = "", port = 0 } = path;
  const family = type === `${kind}4` ? 4 : type === `${kind}6` ? 6 : undefined;
  if (family === undefined || isIP(ip) !== family) return undefined;
  return Number.isInteger(port) && port > 0 && port <= 65_535 ? { family, ip, port } : undefined;
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | undefined)?.code ?? "unknown";
}

const [FOUR, SIX]: [Family, Family] = [4, 6];
export const DEFAULT_PORT = 42_424; // telehash v3, link.md: the port of link:// URIs without one
const MORE_PORTS = 20;
const MAX_OWN = 8;
const WILDCARDS = new Set(["0.0.0.0", "::"]);
const NO_IPV6 = new Set(["EAFNOSUPPORT", "EADDRNOTAVAIL", "EINVAL", "ENOTSUP"]);
