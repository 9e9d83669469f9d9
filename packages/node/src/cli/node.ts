/** Commands that are the daemon itself: serve, start. They run until a signal. */
import { randomBytes } from "node:crypto";
import { homedir } from "node:os";
import type { Peer, PeerStatus } from "restante";
import { type DaemonOptions, makeCache, startCache, startDaemon, startHousehold } from "../daemon.ts";
import { type Log, taggedBy } from "../log.ts";
import { emptyCoreDumps } from "../memory-only.ts";
import { type Measured, type MetricsAddress, noTraffic, serveMetrics } from "../metrics.ts";
import { EXIT, program, quote, self } from "./failure.ts";
import { growSlowly } from "./growth.ts";
import { certificateAdvice, listensOn, nameOf } from "./people.ts";
import { qrCode } from "./qr-code.ts";
import type { Screen } from "./screen.ts";

export interface ServeOptions extends DaemonOptions {
  readonly metrics?: MetricsAddress;
  readonly log: Log;
  /** Somebody sits before stderr: then it also says who this is. A log does not. */
  readonly isWatched?: boolean;
}

/**
 * The daemon in the foreground. With --json stdout gets what it is. A terminal gets the join link when it serves a cache; a log does
 * not, for many may read it, and who has the link may use the cache for good.
 */
export async function serve(screen: Screen, options: ServeOptions, stop: AbortSignal): Promise<number> {
  const { log, isWatched = false } = options;
  const as = (id: string): string => (isWatched ? ` as ${id}` : "");
  keepMemoryIn(log);
  const traffic = noTraffic();
  const daemon = await startHousehold({ ...options, traffic, onLoad: growSlowly });
  const metrics = await measured(options, () => ({ status: daemon.peer.status(), traffic }), daemon);
  const others = [...daemon.others].map(([identity, { peer }]) => ({ identity, ...peer.status() }));
  const { hashname, paths } = daemon.peer.status();
  const joinLink = isServing(daemon) ? daemon.peer.joinLink() : undefined;
  const page = daemon.webUrl;
  const { home } = options;
  const bazaar = daemon.bazaar?.();
  if (screen.json)
    screen.out(
      JSON.stringify({
        ...{ type: "ready", hashname, paths, home, joinLink, metrics: metrics?.url, web: page },
        ...(bazaar && { bazaar: { id: bazaar.id, addrs: bazaar.addrs } }),
        ...(others.length > 0 && {
          identities: others.map(({ identity, ...it }) => ({ identity, hashname: it.hashname, paths: it.paths })),
        }),
      }),
    );
  else {
    log.info(`running${as(hashname)}`);
    for (const address of listensOn(paths)) log.info(`listens on ${address}`);
    if (bazaar !== undefined) log.info(`in the bazaar${as(bazaar.id)}`);
    // An address there ends with the id.
    for (const address of bazaar?.addrs ?? [])
      log.info(`in the bazaar at ${isWatched ? address : address.split("/p2p/")[0]}`);
    for (const other of others)
      log.info(`${other.identity}:${as(other.hashname)} on ${listensOn(other.paths).join(", ")}`);
    if (metrics !== undefined) log.info(`totals at ${metrics.url}`);
    if (page !== undefined) log.info(`its page is ${page} (\`${self()} web\` prints the link that opens it)`);
    if (daemon.webFingerprint !== undefined) log.info(`its page's certificate has SHA-256 ${daemon.webFingerprint}`);
    log.info(`its home is ${tilde(home)}`);
    if (joinLink !== undefined && screen.isTerminal) screen.out(joinLink);
    else if (joinLink !== undefined) log.info(`its cache is joined by the link that \`${self()} status\` prints`);
  }
  for (const { peer } of [daemon, ...daemon.others.values()]) tellEvents(peer, log);
  await aborted(stop);
  await metrics?.close();
  await daemon.close();
  log.info(STOPPED);
  return EXIT.done;
}

/** A cache and nothing else. Stdout gets its join link, for it answers no commands that could tell it, and on SIGUSR2 what it holds in all (never for whom). */
export async function serveCache(screen: Screen, options: ServeOptions, stop: AbortSignal): Promise<number> {
  const { log, isWatched = false } = options;
  const as = (id: string): string => (isWatched ? ` as ${id}` : "");
  keepMemoryIn(log);
  const traffic = noTraffic();
  const cache = await startCache({ ...options, traffic });
  const metrics = await measured(options, () => ({ status: cache.status(), traffic }), cache);
  const { hashname, paths } = cache.status();
  const joinLink = cache.joinLink();
  const tell = (): void => {
    const { boxes, messages, bytes } = cache.status().held ?? { boxes: 0, messages: 0, bytes: 0 };
    screen.out(JSON.stringify({ type: "holds", boxes, messages, bytes }));
  };
  // Before anybody can know our process id: without a listener the signal would kill us.
  process.on("SIGUSR2", tell);
  const { home } = options;
  if (screen.json)
    screen.out(JSON.stringify({ type: "ready", hashname, paths, home, joinLink, metrics: metrics?.url }));
  else {
    log.info(`a cache${as(hashname)}`);
    for (const address of listensOn(paths)) log.info(`listens on ${address}`);
    if (metrics !== undefined) log.info(`totals at ${metrics.url}`);
    log.info(`its home is ${tilde(home)}; what it holds is in memory only`);
    screen.out(joinLink);
  }
  await aborted(stop);
  process.off("SIGUSR2", tell);
  await metrics?.close();
  await cache.close();
  log.info(STOPPED);
  return EXIT.done;
}

/** Makes the identity of a cache, so that the cache itself never writes. Stdout gets the hashname. */
export async function initCache(screen: Screen, { home, say = () => {} }: DaemonOptions): Promise<number> {
  const hashname = await makeCache({ home, say });
  screen.out(screen.json ? JSON.stringify({ type: "identity", hashname, home }) : hashname);
  return EXIT.done;
}

/** The first steps: the daemon with an echo peer, an invite to give away, and what to try next. */
export async function start(
  screen: Screen,
  options: ServeOptions & { qr: boolean; isDefaultHome: boolean },
  stop: AbortSignal,
): Promise<number> {
  const traffic = noTraffic();
  const daemon = await startDaemon({ ...options, traffic, onLoad: growSlowly, echo: true });
  const metrics = await measured(options, () => ({ status: daemon.peer.status(), traffic }), daemon);
  const { hashname, paths } = daemon.peer.status();
  const link = await daemon.peer.invite();
  const web = daemon.webLink();
  const { name, webFingerprint: fingerprint } = daemon;
  if (screen.json)
    screen.out(JSON.stringify({ type: "ready", hashname, paths, home: options.home, invite: link, web }));
  else
    for (const line of welcome(screen, { ...options, hashname, paths, link, name, page: web, fingerprint }))
      screen.out(line);
  if (isServing(daemon) && !screen.json)
    screen.out(`\n${screen.paint("bold", "Its cache")} is joined by this link:\n\n${daemon.peer.joinLink()}`);
  tellEvents(daemon.peer, options.log);
  await aborted(stop);
  if (screen.isTerminal) screen.say("\nstopping");
  await metrics?.close();
  await daemon.close();
  if (screen.isTerminal) screen.say(STOPPED);
  return EXIT.done;
}

function isServing({ peer }: { readonly peer: Peer }): boolean {
  return peer.status().held !== undefined;
}

interface Welcome extends Pick<PeerStatus, "hashname" | "paths"> {
  readonly home: string;
  readonly isDefaultHome: boolean;
  readonly name: string | undefined;
  readonly link: string;
  /** The web page's address, if there is one. */
  readonly page: string | undefined;
  /** Of its certificate, where browsers will ask about it. */
  readonly fingerprint: string | undefined;
  readonly qr: boolean;
}

function welcome(screen: Screen, welcome: Welcome): string[] {
  const { hashname, paths, home, isDefaultHome, name, link, page, fingerprint, qr } = welcome;
  const restante = isDefaultHome ? program() : `${program()} --home ${quote(home)}`;
  const fact = (title: string, value: string): string => `  ${screen.paint("dim", title.padEnd(12))}${value}`;
  const step = (why: string, command: string): string[] => [
    "",
    `  ${screen.paint("dim", `# ${why}`)}`,
    `  ${restante} ${command}`,
  ];
  const code = qr || screen.isTerminal ? qrCode(screen, link) : [];
  return [
    screen.paint("bold", "Restante is running."),
    "",
    fact("name", nameOf(name)),
    fact("hashname", hashname),
    fact("listens on", listensOn(paths).join(`\n${" ".repeat(14)}`)),
    fact("home", tilde(home)),
    ...(page === undefined
      ? []
      : [
          "",
          `${screen.paint("bold", "Open this page")} in a browser${page.startsWith("http://127.") ? " of this machine" : ""}; the link lets one in, once:`,
          "",
          page,
          ...(fingerprint === undefined ? [] : ["", certificateAdvice(fingerprint)]),
        ]),
    "",
    `${screen.paint("bold", "Your invite.")} The first who uses it becomes your contact; give it to one person.`,
    "",
    link,
    ...(code.length > 0 ? ["", ...code] : []),
    "",
    `${screen.paint("bold", "Try next,")} in another terminal${program().startsWith("npm ") ? ", in this directory" : ""}:`,
    ...step("write to the echo peer that runs in this process, and read its answer", "send echo hello"),
    `  ${restante} recv`,
    ...step("use somebody else's invite, then write to them", "add 'LINK'"),
    ...step("see how it fares, and all other commands", "status"),
    `  ${restante} --help`,
    "",
    screen.paint("dim", "Ctrl-C stops it. What was sent is kept and goes on at the next start."),
  ];
}

/** A crash must not put keys, or what is held for others, on a disk. */
function keepMemoryIn(log: Log): void {
  const dumps = emptyCoreDumps();
  if (dumps === "whole" || (dumps === "unknown" && process.platform === "linux"))
    log.warn(`a crash may leave all memory in a core dump; \`${self()} doctor\` says what to do`);
}

/** For who looks for a fault: what happens, by tags. Never an id, a word or a name of anybody. */
function tellEvents(peer: Peer, log: Log): void {
  if (log.level !== "debug") return;
  const tagOf = taggedBy(randomBytes(32));
  peer.on((event) => {
    const facts = Object.entries(event).flatMap(([key, value]) =>
      IDS.has(key) ? [`${key} ${tagOf(idIn(value))}`] : FACTS.has(key) ? [`${key} ${value}`] : [],
    );
    log.debug([event.type, ...facts].join(", "));
  });
}

/** Of a contact all is told; what names it here is its id. */
function idIn(value: unknown): string {
  return typeof value === "object" && value !== null && "id" in value ? String(value.id) : String(value);
}

/** The totals of a node, where they were asked for. A node whose totals cannot be served is closed again. */
async function measured(
  { metrics }: ServeOptions,
  measure: () => Measured,
  node: { close(): Promise<void> },
): Promise<Awaited<ReturnType<typeof serveMetrics>> | undefined> {
  if (metrics === undefined) return undefined;
  try {
    return await serveMetrics(metrics, measure);
  } catch (error) {
    await node.close();
    throw error;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });
}

const STOPPED = "stopped";
const IDS = new Set(["id", "contact", "cache", "hashname"]);
const FACTS = new Set(["n", "state", "way", "done", "of", "missing", "why"]);

function tilde(path: string): string {
  const home = homedir();
  return path === home || path.startsWith(`${home}/`) ? `~${path.slice(home.length)}` : path;
}
