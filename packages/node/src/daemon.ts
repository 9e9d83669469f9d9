/**
 * The daemon: one peer of one home, with its sockets, its store and the API for the command line. And its small sibling, the
 * process that is only a cache: it has an identity and nothing else.
 */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import {
  type BoxStore,
  createCrypto,
  createPeer,
  MemoryNetwork,
  memoryBoxStore,
  type Path,
  type Peer,
  RestanteError,
  type Store,
  type Transport,
} from "restante";
import type { ApiOptions } from "./api/app.ts";
import type { ConfigInfo } from "./api/config.ts";
import type { BazaarSettings, DaemonBazaar, DaemonBazaarOptions } from "./bazaar.ts";
import { loadBackend } from "./crypto/best.ts";
import { startEcho } from "./echo.ts";
import {
  claimCache,
  claimIdentity,
  type HomePaths,
  homeOfIdentity,
  identitiesOf,
  openCacheHome,
  openHome,
} from "./home.ts";
import { metered, type Traffic } from "./metrics.ts";
import { openReaders } from "./readers.ts";
import { readText, writeText } from "./small-file.ts";
import { loadOrCreateIdentity, loadOrCreateKey } from "./store/key.ts";
import { tcpTransport } from "./transport/tcp.ts";
import { udpTransport } from "./transport/udp.ts";
import { VERSION } from "./version.ts";
import type { Web, WebOptions, WebSettings } from "./web/serve.ts";

/** Where UDP and TCP listen, and how others are told of it. */
export interface NetworkOptions {
  /** UDP and TCP alike. Default: 42424. A busy one moves to the next free one; 0: any. */
  readonly port?: number;
  /** Listen on this address only. Default: on all. */
  readonly host?: string;
  /** "host:port" to put into cards and invites instead of the addresses of this machine. */
  readonly advertise?: readonly string[];
  /** How many TCP connections there may be at once. Default: 512. */
  readonly connections?: number;
  /** Told in plain words what a person should know. */
  readonly say?: (message: string) => void;
  /** Where what goes through the sockets is added up. */
  readonly traffic?: Traffic;
}

interface ServingOptions extends NetworkOptions {
  /**
   * Of a cache: bytes of memory for what it holds, and for keeping it. One recipient gets at most a quarter of it, one sender at
   * one recipient an eighth, and not more than 64 and 8 MiB. Default: 1 GiB.
   */
  readonly memory?: number;
  /**
   * Of a cache: keep what it holds in the Redis Cluster that these servers ("redis://host:port") belong to, and share it with
   * all nodes that have the same key in their homes. `memory` is then that of the whole cluster, and without a default.
   */
  readonly cluster?: readonly string[];
}

/** What a daemon is started with. Sizes are in bytes. */
export interface DaemonOptions extends ServingOptions {
  /** The directory of this daemon; made when it is not there. */
  readonly home: string;
  /** What our contacts see; kept in the home. At most 64 characters. */
  readonly name?: string;
  /** At how many of its recipient's caches a mail is left, if none fails: 1 to 8. Default: 2. */
  readonly copies?: number;
  /** Bytes of the disk that files of contacts may take, and above which a file waits for a link: as in `PeerOptions`. */
  readonly disk?: number;
  readonly waitForLink?: number;
  /** Keep what we send for the conversation. Default: true. */
  readonly keepSent?: boolean;
  /** Serve the web page: to this machine, or beyond it. */
  readonly web?: WebSettings;
  /** Also send and get mail by the bazaar. */
  readonly bazaar?: BazaarSettings;
  /** Also serve a cache, in memory. Without a word: as its user says while it runs (`Peer.serveCache`), at first not. */
  readonly cache?: boolean;
  /** Of a cache: also pass on packets between those who use it. */
  readonly route?: boolean;
  /** Asked for the passphrase of the home's key, where that is under one. `identity`: of another one of the home. */
  readonly passphrase?: (identity?: string) => Promise<string>;
  /** Run an echo peer beside it, and be its contact. */
  readonly echo?: boolean;
  /** What GET /v1/config tells; without it nothing. */
  readonly config?: ConfigInfo;
  /** Called before the API and the site are loaded, which is when somebody first asks them something. */
  readonly onLoad?: () => void;
}

/** A daemon that runs, until `close`. It serves the API of its home: docs/api.md */
export interface Daemon {
  /** To use in this process. Ended by `close`, not by itself. */
  readonly peer: Peer;
  /** What our contacts see; `undefined`: none was said. */
  readonly name: string | undefined;
  /** How the bazaar fares, where it is asked for. */
  readonly bazaar?: DaemonBazaar["info"];
  /** The API's socket file. */
  readonly socket: string;
  /** Where the web page is; `undefined`: none is served. */
  readonly webUrl: string | undefined;
  /** SHA-256 of its certificate, where nobody else vouches for it: for people to compare. */
  readonly webFingerprint: string | undefined;
  /** The same, with what lets one browser in, once. */
  webLink(): string | undefined;
  /** Ends all of it; when it resolves, what was decided is on the disk and the home is free. */
  close(): Promise<void>;
}

/**
 * Start the daemon of a home. Throws "home-locked" when one runs there already, "identity-in-use" when one runs on a copy,
 * "bad-name", "bad-address", "no-passphrase", and what store, key and transports throw. What was opened before is closed again then.
 */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { say = () => {}, onLoad = () => {} } = options;
  const opened: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (let end = opened.pop(); end !== undefined; end = opened.pop()) await end();
  };
  try {
    const home = await openHome(options.home);
    opened.push(() => home.release());
    const advertise = await advertised(options.advertise);
    const name = await keepName(join(home.dir, "name"), options.name);
    const readers = await openReaders(join(home.dir, "seen"));
    const { passphrase } = options;
    const key = await loadOrCreateKey(home.key, passphrase && (() => passphrase()));
    const backend = await loadBackend(say);
    const onTrouble = say;
    // Only here: what serves a cache has no use for an API and a database, nor may it load one in a sandbox without native code.
    const { levelStore } = await import("./store/level.ts");
    const [{ answersLater, upgradesLater }, { serveApi, upgradesAt }, { openOnce }, { openWebhooks }] =
      await Promise.all([
        import("./api/later.ts"),
        import("./api/server.ts"),
        import("./api/once.ts"),
        import("./webhooks.ts"),
      ]);
    const [{ watchRoom }, { watchTotals }] = await Promise.all([import("./api/no-room.ts"), import("./api/totals.ts")]);

    const network = new MemoryNetwork();
    const echo = options.echo
      ? await startEcho({
          store: levelStore({ dir: join(home.dir, "echo"), key, backend }),
          network,
          backend,
          onTrouble,
        })
      : undefined;
    if (echo) opened.push(() => echo.close());

    const isOnDemand = options.cache === undefined && options.cluster === undefined;
    const served = options.cache ? await room(options, home) : isOnDemand ? roomOnDemand(options) : undefined;
    if (served) opened.push(served.close);
    const store = levelStore({ dir: home.store, key, backend });
    const bazaar = options.bazaar && (await bazaarOf(options.bazaar, { dir: home.dir, key, backend, say }));
    if (bazaar) opened.push(() => bazaar.close());
    // Before the peer is there: at once it would take over the links, and the mail, of one that runs on a copy of this home.
    const saved = await savedIdentity(store);
    if (saved !== undefined) opened.push(await claimIdentity(saved));
    const ports = join(home.dir, "ports");
    const transports = [
      ...sockets(options, await keptPorts(ports)),
      ...(echo ? [unlisted(network.transport("node"))] : []),
    ];
    const peer = await createPeer({
      store,
      transports,
      backend,
      onTrouble,
      ...(name === undefined ? {} : { name }),
      ...(served === undefined ? {} : { cache: served.cache, boxes: served.boxes, route: options.route ?? false }),
      ...(advertise === undefined ? {} : { advertise }),
      ...(options.copies === undefined ? {} : { copies: options.copies }),
      ...(options.disk === undefined ? {} : { disk: options.disk }),
      ...(options.waitForLink === undefined ? {} : { waitForLink: options.waitForLink }),
      ...(options.keepSent === undefined ? {} : { keepSent: options.keepSent }),
      ...(bazaar === undefined ? {} : { routes: bazaar.routes }),
    });
    opened.push(() => peer.close());
    bazaar?.attach();
    const made = saved === undefined ? await store.get("identity") : undefined;
    if (made !== undefined) opened.push(await claimIdentity(made));
    // Contacts and caches look for us where we were: after a restart beside other nodes it should be there again.
    if (options.port === undefined && advertise === undefined) await keepPorts(ports, peer.status().paths);
    if (echo) await echo.befriend(peer);

    const stop = new AbortController();
    const web = options.web && (await webOf({ ...options.web, dir: home.dir, say, onLoad }));
    const once = await openOnce({ file: join(home.dir, "sent-once"), key });
    opened.push(() => once.close());
    // Mail does not wait for a file that is about nothing but who else is told of it.
    const webhooks = await openWebhooks({ peer, file: join(home.dir, "webhooks"), key }).catch((error: Error) => {
      say(error.message);
      return undefined;
    });
    opened.push(async () => webhooks?.close());
    const watched = { room: watchRoom(peer, stop.signal, say), totals: watchTotals(peer, stop.signal) };
    const asked: ApiOptions = {
      peer,
      watched,
      once,
      ...(webhooks === undefined ? {} : { webhooks }),
      ...(options.config === undefined ? {} : { config: options.config }),
      backend: backend.name,
      readers,
      home: home.dir,
      version: VERSION,
      rename: async (to) => {
        await keepName(join(home.dir, "name"), to);
        await peer.rename(to);
      },
      ...(web === undefined ? {} : { webLink: web.link, webFingerprint: web.fingerprint }),
      ...(bazaar === undefined ? {} : { bazaar: bazaar.info, ob: bazaar.ob, isFirst: isFirst(options.bazaar) }),
      signal: stop.signal,
      trouble: say,
    };
    const app = answersLater(async () => {
      onLoad();
      const [{ createApi }, { sealingOf }, { readKnown }] = await Promise.all([
        import("./api/app.ts"),
        import("./sealing.ts"),
        import("./offline.ts"),
      ]);
      const crypto = createCrypto(backend);
      const known = (): ReturnType<typeof readKnown> => readKnown(store, { crypto, backend });
      return createApi({ ...asked, sealing: sealingOf({ crypto, backend, home: known }) });
    }, say);
    const events = upgradesLater(async () =>
      (await import("./api/event-socket.ts")).eventSocket({ peer, signal: stop.signal }),
    );
    opened.push(await serveApi(app, home.sock, upgradesAt({ "/v1/events": events, "/ws": bazaar?.upgrades })));
    if (web) {
      opened.push(() => web.close());
      await web.open(app);
    }
    opened.push(async () => stop.abort());
    return {
      peer,
      name: peer.status().name,
      ...(bazaar && { bazaar: bazaar.info }),
      socket: home.sock,
      webUrl: web?.url,
      webFingerprint: web?.fingerprint,
      webLink: () => web?.link(),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Only here: a daemon without it shall not pay for libp2p. */
async function bazaarOf(
  settings: BazaarSettings,
  home: Omit<DaemonBazaarOptions, keyof BazaarSettings>,
): Promise<DaemonBazaar> {
  const { openDaemonBazaar } = await import("./bazaar.ts");
  return await openDaemonBazaar({ ...settings, ...home });
}

/** With nobody to begin with a node that listens is the first of a network, until others come. */
function isFirst({ listen = [], peers = [], pushNodes = [] }: BazaarSettings = {}): boolean {
  return listen.length > 0 && peers.length === 0 && pushNodes.length === 0;
}

/** Only here: a daemon without it has no use for a page. */
async function webOf(options: WebOptions): Promise<Web> {
  const { createWeb } = await import("./web/serve.ts");
  return await createWeb(options);
}

/** Whose store this is; `undefined`: nobody's yet. Nothing is written, and whether it is a copy shows the next opening as well. */
async function savedIdentity(store: Store): Promise<Uint8Array | undefined> {
  await store.open();
  try {
    return await store.get("identity");
  } finally {
    await store.close();
  }
}

/** A daemon with those of the other identities of its home. `close` ends all of them. */
export interface Household extends Daemon {
  readonly others: ReadonlyMap<string, Daemon>;
}

/**
 * Start the daemon of a home, and in the same process one for each other identity that lies in it: peers, stores and sockets of
 * their own, so that nothing but this machine's address connects them. What is served for others from the start, the bazaar, `name`, `advertise`
 * and `echo` are of the first one alone. Throws as `startDaemon`; then none of them runs.
 */
export async function startHousehold(options: DaemonOptions): Promise<Household> {
  const { home, host, port, copies, disk, waitForLink, keepSent, traffic, passphrase, say, config, onLoad } = options;
  const first = await startDaemon(options);
  const others = new Map<string, Daemon>();
  const close = async (): Promise<void> => {
    for (const other of others.values()) await other.close();
    await first.close();
  };
  try {
    for (const name of await identitiesOf(home)) {
      const other: DaemonOptions = {
        home: homeOfIdentity(home, name),
        ...(host === undefined ? {} : { host }),
        ...(port === 0 ? { port } : {}), // a number is for one alone: others take the next free one, or theirs of last time
        ...(copies === undefined ? {} : { copies }),
        ...(disk === undefined ? {} : { disk }),
        ...(waitForLink === undefined ? {} : { waitForLink }),
        ...(keepSent === undefined ? {} : { keepSent }),
        ...(traffic === undefined ? {} : { traffic }),
        ...(config === undefined ? {} : { config }),
        ...(onLoad === undefined ? {} : { onLoad }),
        ...(passphrase === undefined ? {} : { passphrase: () => passphrase(name) }),
        ...(say === undefined ? {} : { say: (message) => say(`${name}: ${message}`) }),
      };
      others.set(name, await startDaemon(other));
    }
    const alone = [...(options.web ? ["the page"] : []), ...(options.bazaar ? ["the bazaar"] : [])];
    if (others.size > 0 && alone.length > 0)
      say?.(
        `${alone.join(" and ")}: of the first identity alone; \`--identity NAME serve\` runs another one with its own`,
      );
  } catch (error) {
    await close();
    throw error;
  }
  return { ...first, others, close };
}

/** What a process that is a cache, and nothing else, is started with. */
export interface CacheOptions extends ServingOptions {
  /** Where its identity lies; made at the first start and only read from then on. */
  readonly home: string;
  /** Also pass on packets between those who use it. */
  readonly route?: boolean;
}

/**
 * Serve a cache and nothing else: no mail, no store, no API, nothing written. Boxes live in memory and are gone with the
 * process; what recipients hold stays valid, since it follows from the identity. Throws as `startDaemon` does.
 */
export async function startCache(options: CacheOptions): Promise<Peer> {
  const say = options.say ?? (() => {});
  const home = await openCacheHome(options.home);
  let served: Room | undefined;
  let leave: (() => Promise<void>) | undefined;
  const release = async (): Promise<void> => {
    await served?.close();
    await leave?.();
    await home.release();
  };
  try {
    const backend = await loadBackend(say);
    const identity = await loadOrCreateIdentity(createCrypto(backend), home.identity);
    // Elsewhere the home is ours by a file, and so is what lies in it.
    if (process.platform === "linux") leave = await claimCache(home);
    const advertise = await advertised(options.advertise);
    served = await room(options, home);
    const peer = await createPeer({
      identity,
      transports: sockets(options),
      backend,
      cache: served.cache,
      boxes: served.boxes,
      route: options.route ?? false,
      mail: false,
      onTrouble: say,
      ...(advertise === undefined ? {} : { advertise }),
    });
    const close = async (): Promise<void> => {
      await peer.close();
      await release();
    };
    return { ...peer, close };
  } catch (error) {
    await release();
    throw error;
  }
}

/**
 * Make the identity of a cache where there is none, and leave: from then on `startCache` writes nothing. Gives its hashname.
 * Throws as `startCache` does.
 */
export async function makeCache(options: Pick<CacheOptions, "home" | "say">): Promise<string> {
  const home = await openCacheHome(options.home);
  try {
    const backend = await loadBackend(options.say ?? (() => {}));
    return (await loadOrCreateIdentity(createCrypto(backend), home.identity)).hashname;
  } finally {
    await home.release();
  }
}

interface Room {
  readonly cache: { cap: number; quota: number; secret?: Uint8Array; onDemand?: true };
  readonly boxes: BoxStore | (() => BoxStore);
  close(): Promise<void>;
}

/** Of a cache that is served when its user wants it: in memory, and none is taken before. */
function roomOnDemand({ memory = GIB }: ServingOptions): Room {
  const { cap, quota } = sharesOf(memory);
  const boxes = (): BoxStore => memoryBoxStore({ box: cap, recipient: quota, total: memory });
  return { cache: { cap, quota, onDemand: true }, boxes, close: async () => {} };
}

async function room({ memory, cluster, say }: ServingOptions, home: HomePaths): Promise<Room> {
  const { cap, quota } = sharesOf(memory ?? GIB);
  const limits = { box: cap, recipient: quota };
  if (cluster === undefined) {
    const boxes = memoryBoxStore({ ...limits, total: memory ?? GIB });
    return { cache: { cap, quota }, boxes, close: async () => {} };
  }
  const clusterKey = await loadOrCreateKey(home.clusterKey);
  // Without a word about it, what the servers have is what there is.
  const total = memory ?? Number.MAX_SAFE_INTEGER;
  // Only here: its client takes a third of the memory of an idle node.
  const { redisBoxStore } = await import("./cache/redis.ts");
  const boxes = await redisBoxStore({
    servers: cluster,
    clusterKey,
    limits: { ...limits, total },
    ...(say === undefined ? {} : { onTrouble: say }),
  });
  return { cache: { cap, quota, secret: clusterKey }, boxes, close: () => boxes.close() };
}

/** Nothing may be promised to one recipient that is most of what there is. */
function sharesOf(memory: number): { cap: number; quota: number } {
  return { cap: Math.min(8 * MIB, Math.floor(memory / 8)), quota: Math.min(64 * MIB, Math.floor(memory / 4)) };
}

/** The ports that were asked for, else those of last time. */
function sockets({ port, host, connections, traffic }: NetworkOptions, kept: Ports = {}): Transport[] {
  const on = (chosen: number | undefined): { port?: number; host?: string } => ({
    ...(chosen === undefined ? {} : { port: chosen }),
    ...(host === undefined ? {} : { host }),
  });
  const most = connections === undefined ? {} : { connections };
  const transports = [udpTransport(on(port ?? kept.udp)), tcpTransport({ ...on(port ?? kept.tcp), ...most })];
  return traffic === undefined ? transports : transports.map((transport) => metered(transport, traffic));
}

interface Ports {
  readonly udp?: number;
  readonly tcp?: number;
}

async function keptPorts(file: string): Promise<Ports> {
  const [, udp, tcp] = /^(\d{1,5}) (\d{1,5})$/.exec(await readText(file)) ?? [];
  const ports = { udp: Number(udp), tcp: Number(tcp) };
  const areFit = Object.values(ports).every((port) => port > 0 && port < 65_536);
  return areFit ? ports : {};
}

async function keepPorts(file: string, paths: readonly Path[]): Promise<void> {
  const portOf = (kind: string): number | undefined => paths.find(({ type }) => type.startsWith(kind))?.port;
  const [udp, tcp] = [portOf("udp"), portOf("tcp")];
  if (udp !== undefined && tcp !== undefined) await writeText(file, `${udp} ${tcp}`);
}

/** A transport whose address stands in no card: it means nothing outside this process. */
function unlisted(transport: Transport): Transport {
  const start: Transport["start"] = async (events) => {
    await transport.start(events);
    return [];
  };
  return { ...transport, start };
}

/** "host:port" as paths, UDP and TCP. Names are looked up once, now. Throws "bad-address". */
async function advertised(addresses: readonly string[] = []): Promise<Path[] | undefined> {
  if (addresses.length === 0) return undefined;
  const paths: Path[] = [];
  for (const address of addresses) {
    const [, bracketed, plain, digits] = ADDRESS.exec(address) ?? [];
    const host = bracketed ?? plain;
    const port = Number(digits);
    if (host === undefined || port < 1 || port > 65_535)
      throw new RestanteError("bad-address", `"${address}" is not an address: write host:port, or [IPv6]:port`);
    const ip = isIP(host) ? host : await resolve(host);
    const family = isIP(ip);
    paths.push({ type: `udp${family}`, ip, port }, { type: `tcp${family}`, ip, port });
  }
  return paths;
}

async function resolve(host: string): Promise<string> {
  try {
    return (await lookup(host)).address;
  } catch (cause) {
    throw new RestanteError("bad-address", `the host name "${host}" cannot be resolved`, { cause });
  }
}

/** The name given now, or the one kept from before. Throws "bad-name". */
async function keepName(file: string, name: string | undefined): Promise<string | undefined> {
  if (name === undefined) return (await readText(file)) || undefined;
  if (name === "" || name.length > 64 || /[\p{C}\p{Zl}\p{Zp}]/u.test(name) || name.trim() !== name)
    throw new RestanteError(
      "bad-name",
      "a name has 1 to 64 characters, no control characters, and no space at its ends",
    );
  await writeText(file, name);
  return name;
}

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const ADDRESS = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/]+)):(\d{1,5})$/;
