/**
 * Every setting of a daemon, once: of this table come the options of `serve` and `start`, the variables of the environment, what may
 * stand in the file, the example, and what `config show` and GET /v1/config tell. Nothing else names them.
 */

import { isIP } from "node:net";
import {
  FILE,
  HOST_PORT,
  type Kind,
  line,
  MEBIBYTES,
  METRICS,
  MULTIADDR,
  number,
  offOr,
  oneOf,
  PORT,
  SWITCH,
  several,
  type Value,
} from "./kinds.ts";

export const SECTIONS = {
  node: "Who it is and where it listens.",
  mail: "Mail of its own.",
  cache: "Mail for others, in memory. docs/cache.md",
  web: "The web page. docs/web.md",
  bazaar: "Mail by a libp2p network. docs/bazaar.md",
  metrics: "Totals for Prometheus. docs/operate.md",
  log: "What it says on stderr.",
} as const;

export type Section = keyof typeof SECTIONS;

export interface Setting<T extends Value = Value> {
  readonly section: Section;
  /** In the file. */
  readonly key: string;
  /** As the command line has it: with the name of its value. */
  readonly flag: string;
  readonly kind: Kind<T>;
  /** For help and for the example: short, no full stop. */
  readonly help: string;
  /** What holds when nothing is said. */
  readonly fallback?: Value;
  /** The same in words, where it is no value. */
  readonly otherwise?: string;
  /** What the example shows where there is no value that holds without it. */
  readonly example?: Value;
  /** "all": an option before any command. "serve": not shown by `start`, which is for the first steps. */
  readonly of?: "all" | "serve";
}

/** By the name that commander gives the option. In the order in which they are shown. */
const SETTINGS = table({
  name: {
    section: "node",
    key: "name",
    flag: "--name <name>",
    kind: line("a name of 1 to 64 characters in one line", (text) => text.length <= 64 && text.trim() === text),
    help: "what your contacts see; kept in the home",
    otherwise: "the one of last time",
    example: "anna",
  },
  port: {
    section: "node",
    key: "port",
    flag: "--port <n>",
    kind: PORT,
    help: "UDP and TCP port, 0 for any; a busy one moves to the next free one",
    fallback: 42_424,
    of: "all",
  },
  host: {
    section: "node",
    key: "host",
    flag: "--host <address>",
    kind: line("an IP address or the name of one"),
    help: "listen on this address only",
    otherwise: "all addresses",
    example: "192.0.2.7",
    of: "all",
  },
  advertise: {
    section: "node",
    key: "advertise",
    flag: "--advertise <host:port>",
    kind: several(HOST_PORT),
    help: "give this address to others instead of this machine's; a name is looked up once, at the start; repeatable",
    otherwise: "the addresses of this machine",
    example: ["cache.example:42424"],
  },
  connections: {
    section: "node",
    key: "connections",
    flag: "--connections <n>",
    kind: number("a number of connections", 1, 999_999),
    help: "have at most so many TCP connections at once",
    fallback: 512,
  },
  passphraseFile: {
    section: "node",
    key: "passphrase_file",
    flag: "--passphrase-file <file>",
    kind: FILE,
    help: "where the key of the home is under a passphrase: take the first line of this file instead of asking",
    otherwise: "asked at the terminal",
    example: "/etc/restante/passphrase",
    of: "all",
  },
  copies: {
    section: "mail",
    key: "copies",
    flag: "--copies <n>",
    kind: number("a number of caches", 1, 8),
    help: "leave a mail at so many caches of its recipient, 1 to 8",
    fallback: 2,
  },
  disk: {
    section: "mail",
    key: "disk",
    flag: "--disk <MiB>",
    kind: MEBIBYTES,
    help: "let files of contacts take so much of the disk, those of one contact half of it",
    fallback: 4096,
  },
  waitForLink: {
    section: "mail",
    key: "wait_for_link",
    flag: "--wait-for-link <MiB>",
    kind: MEBIBYTES,
    help: "files above this size go by no cache unless sent with --now",
    fallback: 16,
  },
  sent: {
    section: "mail",
    key: "sent",
    flag: "--no-sent",
    kind: SWITCH,
    help: "keep no copy of what is sent: a conversation then has one side",
    fallback: true,
  },
  cache: {
    section: "cache",
    key: "serve",
    flag: "--cache",
    kind: SWITCH,
    help: "also hold mail for others, in memory",
    otherwise: "as `cache serve` or the page said last, at first not",
    example: true,
    of: "serve",
  },
  cacheOnly: {
    section: "cache",
    key: "only",
    flag: "--cache-only",
    kind: SWITCH,
    help: "hold mail for others and do nothing else; prints the link to join, and on SIGUSR2 how much it holds",
    fallback: false,
    of: "serve",
  },
  route: {
    section: "cache",
    key: "route",
    flag: "--route",
    kind: SWITCH,
    help: "of a cache: also bring together who use it and cannot reach each other",
    fallback: false,
    of: "serve",
  },
  memory: {
    section: "cache",
    key: "memory",
    flag: "--memory <MiB>",
    kind: MEBIBYTES,
    help: "of a cache: memory for what it holds",
    fallback: 1024,
    of: "serve",
  },
  cluster: {
    section: "cache",
    key: "cluster",
    flag: "--cluster <servers>",
    kind: several(cluster()),
    help: "of a cache: keep it in this Redis Cluster: redis://host:port,...",
    otherwise: "the memory of this process",
    example: ["redis://10.0.0.1:6379"],
    of: "serve",
  },
  clusterPasswordFile: {
    section: "cache",
    key: "cluster_password_file",
    flag: "--cluster-password-file <file>",
    kind: FILE,
    help: "the password of that cluster is the first line of this file",
    otherwise: "no password",
    example: "/etc/restante/cluster",
    of: "serve",
  },
  web: {
    section: "web",
    key: "serve",
    flag: "--web [port]",
    kind: offOr(PORT),
    help: "serve the web page on this machine: 4242, or on this port, 0 for any",
    otherwise: "false with serve, true with start",
    example: true,
  },
  webHost: {
    section: "web",
    key: "host",
    flag: "--web-host <address>",
    kind: line("an IP address", (text) => isIP(text) !== 0),
    help: "serve the page there, with TLS and a password: `web password` sets it",
    otherwise: "127.0.0.1, this machine alone",
    example: "0.0.0.0",
  },
  webName: {
    section: "web",
    key: "names",
    flag: "--web-name <host>",
    kind: several(line("a host, or host:port", (text) => /^[\w.-]+(:\d{1,5})?$/.test(text))),
    help: "a name under which browsers reach the page; repeatable",
    otherwise: "localhost, this machine's name and addresses",
    example: ["nas.example.org"],
  },
  webCert: {
    section: "web",
    key: "cert",
    flag: "--web-cert <file>",
    kind: FILE,
    help: "the page's certificate, PEM, with those that vouch for it",
    otherwise: "one that it makes itself, which browsers warn of",
    example: "/etc/restante/fullchain.pem",
  },
  webKey: {
    section: "web",
    key: "key",
    flag: "--web-key <file>",
    kind: FILE,
    help: "the key of that certificate, PEM, for nobody else to read",
    otherwise: "its own",
    example: "/etc/restante/privkey.pem",
  },
  webInsecureHttp: {
    section: "web",
    key: "insecure_http",
    flag: "--web-insecure-http",
    kind: SWITCH,
    help: "serve the page to others without TLS: only behind a proxy that does it",
    fallback: false,
  },
  webProxy: {
    section: "web",
    key: "proxies",
    flag: "--web-proxy <address>",
    kind: several(line("an IP address", (text) => isIP(text) !== 0)),
    help: "the proxy's address: its X-Forwarded-For says who asks; repeatable",
    otherwise: "who comes by a proxy is not told apart",
    example: ["127.0.0.1"],
  },
  bazaar: {
    section: "bazaar",
    key: "use",
    flag: "--bazaar",
    kind: SWITCH,
    help: "also send and get mail by the bazaar, a libp2p network",
    fallback: false,
  },
  bazaarListen: {
    section: "bazaar",
    key: "listen",
    flag: "--bazaar-listen <multiaddr>",
    kind: several(MULTIADDR),
    help: "listen there: /ip4/0.0.0.0/tcp/4001; repeatable",
    otherwise: "it only asks others",
    example: ["/ip4/0.0.0.0/tcp/4001"],
  },
  bazaarPeer: {
    section: "bazaar",
    key: "peers",
    flag: "--bazaar-peer <multiaddr>",
    kind: several(MULTIADDR),
    help: "a node to begin with: .../p2p/12D3KooW...; repeatable",
    otherwise: "nobody",
    example: ["/ip4/192.0.2.7/tcp/4001/p2p/12D3KooW..."],
  },
  bazaarPush: {
    section: "bazaar",
    key: "push",
    flag: "--bazaar-push",
    kind: SWITCH,
    help: "keep messages for our contacts: be a push node",
    fallback: false,
  },
  bazaarAdmit: {
    section: "bazaar",
    key: "admit",
    flag: "--bazaar-admit <id>",
    kind: several(line("an id in the bazaar: Qm...", (text) => text.startsWith("Qm"))),
    help: "be a push node for this Qm... id, too; repeatable",
    otherwise: "contacts alone",
    example: ["Qm..."],
  },
  bazaarPushNode: {
    section: "bazaar",
    key: "push_nodes",
    flag: "--bazaar-push-node <multiaddr>",
    kind: several(MULTIADDR),
    help: "a push node that keeps our messages; repeatable",
    otherwise: "none",
    example: ["/ip4/192.0.2.7/tcp/4001/p2p/12D3KooW..."],
  },
  bazaarAlways: {
    section: "bazaar",
    key: "always",
    flag: "--bazaar-always",
    kind: SWITCH,
    help: "send each text by it at once, beside caches",
    fallback: false,
  },
  bazaarStorage: {
    section: "bazaar",
    key: "storage",
    flag: "--bazaar-storage <url>",
    kind: line("the URL of a folder: https://host/folder/", (text) => URL.canParse(text) && text.endsWith("/")),
    help: "put what we send there, where others read it while we are gone: WebDAV",
    otherwise: "in the home alone",
    example: "https://dav.example.org/box/",
  },
  bazaarStorageUser: {
    section: "bazaar",
    key: "storage_user",
    flag: "--bazaar-storage-user <name>",
    kind: line("a name in one line"),
    help: "the user there; without one the password is a token",
    otherwise: "none",
    example: "anna",
  },
  bazaarStoragePasswordFile: {
    section: "bazaar",
    key: "storage_password_file",
    flag: "--bazaar-storage-password-file <file>",
    kind: FILE,
    help: "the password there is the first line of this file",
    otherwise: "no password",
    example: "/etc/restante/storage",
  },
  bazaarRelay: {
    section: "bazaar",
    key: "relay",
    flag: "--bazaar-relay",
    kind: SWITCH,
    help: "relay connections for those whom nobody can dial",
    fallback: false,
  },
  bazaarKeep: {
    section: "bazaar",
    key: "keep",
    flag: "--bazaar-keep <days>",
    kind: number("a number of days", 1, 36_500),
    help: "erase what OpenBazaar's clients wrote and got (/ob) after so many days",
    fallback: 365,
  },
  bazaarLocal: {
    section: "bazaar",
    key: "local",
    flag: "--bazaar-local",
    kind: SWITCH,
    help: "count addresses of private networks, too",
    fallback: false,
  },
  metrics: {
    section: "metrics",
    key: "serve",
    flag: "--metrics [address]",
    kind: offOr(METRICS),
    help: "serve totals for Prometheus: at 127.0.0.1:9100, or at this port, IP:port or [IPv6]:port",
    fallback: false,
    of: "serve",
  },
  logLevel: {
    section: "log",
    key: "level",
    flag: "--log-level <level>",
    kind: oneOf("error", "warn", "info", "debug"),
    help: "say what is this grave or graver: error, warn, info, or debug, which tells what happens, by tags in the place of ids",
    fallback: "info",
  },
  logFormat: {
    section: "log",
    key: "format",
    flag: "--log-format <format>",
    kind: oneOf("plain", "json"),
    help: "plain lines for people, or json: lines with level and time for programs",
    fallback: "plain",
  },
});

export type Name = keyof typeof SETTINGS;

/** Values by name; what nobody said is not there. */
export type Values = { readonly [K in Name]?: (typeof SETTINGS)[K] extends Setting<infer T> ? T : never };

export const NAMES = Object.keys(SETTINGS) as readonly Name[];

/** What applies to all, where the one type of each does not matter. */
export function settingOf(name: Name): Setting {
  return SETTINGS[name];
}

/** "--memory", also of what is switched off by it: "--no-sent". */
export function flagOf({ flag }: Setting): string {
  return flag.split(" ")[0] ?? flag;
}

/** "RESTANTE_MEMORY". */
export function variableOf(setting: Setting): string {
  const word = flagOf(setting).replace(/^--(no-)?/, "");
  return `RESTANTE_${word.replaceAll("-", "_").toUpperCase()}`;
}

/** "[cache] memory" */
export function titleOf({ section, key }: Setting): string {
  return `[${section}] ${key}`;
}

/** The file may be read by others, and a command line by all on the machine: no secret stands there. */
function cluster(): Kind<string> {
  const kind = line("redis://host:port, or rediss://", (text) => /^rediss?:\/\/./.test(text));
  return {
    ...kind,
    words: `${kind.words}; its password goes into cluster_password_file`,
    ofToml: (value) => (typeof value === "string" && /:[^/@]*@/.test(value) ? undefined : kind.ofToml(value)),
  };
}

function table<const T extends { readonly [K in keyof T]: Setting<never> | Setting }>(settings: T): T {
  return settings;
}
