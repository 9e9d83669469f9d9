/**
 * Where the site listens and under which names it answers. A name is what a hostile page has to make lead here before it can act
 * as our own (DNS rebinding): so names are told to us, and others get nothing.
 */

import { isIP } from "node:net";
import { hostname, networkInterfaces } from "node:os";
import { RestanteError } from "restante";
import { isLoopback } from "./password.ts";

/** What an operator says about it. */
export interface HostSettings {
  /** The address to listen at. Default: 127.0.0.1, for this machine alone. */
  readonly host?: string;
  /** Names under which it is reached, each with ":PORT" where a proxy or a router gives it another. */
  readonly names?: readonly string[];
  /** PEM files: the certificate with those that vouch for it, and its key. */
  readonly cert?: string;
  readonly key?: string;
  /** Serve others than this machine without TLS: a proxy before it does that. */
  readonly insecureHttp?: boolean;
  /** Addresses of proxies before it: what these say in X-Forwarded-For is who asks. */
  readonly proxies?: readonly string[];
}

export interface Hosts {
  readonly host: string;
  /** Whether others than this machine can ask. */
  readonly isBeyond: boolean;
  /** The same, or through a proxy on it. */
  readonly isReached: boolean;
  readonly hasTls: boolean;
  /** What a certificate of our own has to be good for: those that do not change by themselves, and all that there are now. */
  readonly named: readonly string[];
  readonly all: readonly string[];
  /** "https://nas.example:4242/", of the port that it listens at. */
  url(port: number): string;
  /** The origins that a request to this `Host` may come from; `undefined`: it is not for us. */
  origins(host: string, port: number): readonly string[] | undefined;
  /** Whether who connects from there is a proxy that we were told of. */
  isProxy(address: string): boolean;
  /**
   * Whose attempts are counted: the address of who asks; `undefined` for somebody behind a proxy that does not say it, or is not to
   * be believed. Never this machine for one who came by a proxy.
   */
  sender(address: string, host: string, forwarded: string | undefined): string | undefined;
}

/** What the settings mean together. Throws "bad-config" for what cannot be. */
export function hostsOf(settings: HostSettings): Hosts {
  const { host = LOOPBACK, names = [], cert, key, insecureHttp = false, proxies = [] } = settings;
  if (isIP(host) === 0)
    throw new RestanteError("bad-config", `the web page listens at an IP address, and "${host}" is none`);
  for (const name of names)
    if (!NAME.test(name))
      throw new RestanteError("bad-config", `"${name}" is no name for the web page: host or host:port`);
  for (const proxy of proxies)
    if (isIP(proxy) === 0)
      throw new RestanteError("bad-config", `a proxy before the web page has an IP address, and "${proxy}" is none`);
  if ((cert === undefined) !== (key === undefined))
    throw new RestanteError("bad-config", "a certificate and its key belong together: give both files, or none");
  if (cert !== undefined && insecureHttp)
    throw new RestanteError("bad-config", "a certificate is of no use with plain HTTP: take one of the two out");
  const isBeyond = !isLoopback(host);
  const hasTls = cert !== undefined || (isBeyond && !insecureHttp);
  const scheme = hasTls ? "https" : "http";
  const named = names.map((name) => name.replace(/:\d+$/, "").toLowerCase());
  const machine = hostname().toLowerCase();
  const ours = isBeyond && NAME.test(machine) ? [machine, `${machine.replace(/\.local$/, "")}.local`] : [];
  const addresses = isBeyond ? (isAny(host) ? addressesOfMachine() : [host]) : [];
  const known = new Set(["localhost", ...ours, ...named]);
  const believed = new Set(proxies.map(plain));
  const isProxy = (address: string): boolean => believed.has(plain(address));

  return {
    host,
    isBeyond,
    isReached: isBeyond || names.length > 0,
    hasTls,
    named,
    all: [...new Set([...named, ...ours, "localhost", ...addresses, LOOPBACK, "::1"])],
    url(port) {
      const [name] = isBeyond || hasTls ? names : [];
      const at = isAny(host) ? (addresses.find((each) => isIP(each) === 4) ?? addresses[0] ?? LOOPBACK) : host;
      // With plain HTTP it is the proxy's address that a browser needs.
      if (name !== undefined)
        return hasTls ? `https://${/:\d+$/.test(name) ? name : `${name}:${port}`}/` : `https://${name}/`;
      return `${scheme}://${isIP(at) === 6 ? `[${at}]` : at}:${port}/`;
    },
    origins(text, port) {
      const [, address, name, digits] = HOST.exec(text.toLowerCase()) ?? [];
      const to = address ?? name;
      if (to === undefined) return undefined;
      const isNamed = named.includes(to);
      const isHere = digits === String(port) && (to === "localhost" || isLoopback(to));
      // An address is no name that somebody else could make lead here.
      const isOurs = isNamed || (isBeyond ? known.has(to) || isIP(to) !== 0 : isHere);
      if (!isOurs) return undefined;
      return [`${scheme}://${text}`, ...(isNamed && !hasTls ? [`https://${text}`] : [])];
    },
    isProxy,
    sender(address, text, forwarded) {
      const from = plain(address);
      const [, ip, name] = HOST.exec(text.toLowerCase()) ?? [];
      const to = ip ?? name ?? "";
      // Only what the proxy itself has added: all before it is what somebody sent.
      const last = plain(forwarded?.split(",").at(-1)?.trim() ?? "");
      if (isProxy(address) && forwarded !== undefined) return isIP(last) !== 0 && !isLoopback(last) ? last : undefined;
      const isDirect = forwarded === undefined && (hasTls || to === "localhost" || isLoopback(to));
      return isLoopback(from) && !isDirect ? undefined : address;
    },
  };
}

/** Addresses of this machine in its networks, as they are now. */
function addressesOfMachine(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return all.flatMap(({ address, internal }) => (internal || address.startsWith("fe80") ? [] : [address]));
}

/** An address as settings have it: sockets for both kinds of IP call those of IPv4 `::ffff:...`. */
function plain(address: string): string {
  return address.toLowerCase().replace(/^::ffff:(?=\d+\.)/, "");
}

function isAny(host: string): boolean {
  return host === "0.0.0.0" || /^[0:]+$/.test(host);
}

const LOOPBACK = "127.0.0.1";
const NAME = /^(?=.{1,253}(?::|$))[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:\d{1,5})?$/i;
const HOST = /^(?:\[([0-9a-f:.]+)\]|([^:[\]/\s]+))(?::(\d{1,5}))?$/;
