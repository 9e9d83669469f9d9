/** Commands that are the daemon itself: serve, start. They run until a signal. */
import { homedir } from "node:os";
import type { PeerStatus } from "restante";
import { type DaemonOptions, makeCache, startCache, startDaemon, startHousehold } from "../daemon.ts";
import { emptyCoreDumps } from "../memory-only.ts";
import { type Measured, type MetricsAddress, noTraffic, serveMetrics } from "../metrics.ts";
import { EXIT, quote, self } from "./failure.ts";
import { listensOn, nameOf } from "./people.ts";
import { qrCode } from "./qr-code.ts";
import type { Screen } from "./screen.ts";

type ServeOptions = DaemonOptions & { readonly metrics?: MetricsAddress | undefined };

/** The daemon in the foreground. Stdout gets the join link when it serves a cache, and with --json what it is. */
export async function serve(screen: Screen, options: ServeOptions, stop: AbortSignal): Promise<number> {
  keepMemoryIn(screen);
  const traffic = noTraffic();
  const daemon = await startHousehold({ ...options, traffic });
  const metrics = await measured(options, () => ({ status: daemon.peer.status(), traffic }), daemon);
  const others = [...daemon.others].map(([identity, { peer }]) => ({ identity, ...peer.status() }));
  const { hashname, paths } = daemon.peer.status();
  const joinLink = options.cache ? daemon.peer.joinLink() : undefined;
  const { home } = options;
  if (screen.json)
    screen.out(
      JSON.stringify({
        ...{ type: "ready", hashname, paths, home, joinLink, metrics: metrics?.url },
        ...(others.length > 0 && {
          identities: others.map(({ identity, ...it }) => ({ identity, hashname: it.hashname, paths: it.paths })),
        }),
      }),
    );
  else {
    screen.say(`restante: running as ${hashname}`);
    for (const address of listensOn(paths)) screen.say(`restante: listens on ${address}`);
    for (const other of others)
      screen.say(`restante: ${other.identity}: as ${other.hashname} on ${listensOn(other.paths).join(", ")}`);
    if (metrics !== undefined) screen.say(`restante: totals at ${metrics.url}`);
    screen.say(`restante: its home is ${tilde(home)}`);
    if (joinLink !== undefined) screen.out(joinLink);
  }
  await aborted(stop);
  await metrics?.close();
  await daemon.close();
  return EXIT.done;
}

/** A cache and nothing else. Stdout gets its join link, and on SIGUSR2 what it holds in all (never for whom). */
export async function serveCache(screen: Screen, options: ServeOptions, stop: AbortSignal): Promise<number> {
  keepMemoryIn(screen);
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
    screen.say(`restante: a cache, ${hashname}`);
    for (const address of listensOn(paths)) screen.say(`restante: listens on ${address}`);
    if (metrics !== undefined) screen.say(`restante: totals at ${metrics.url}`);
    screen.say(`restante: its home is ${tilde(home)}; what it holds is in memory only`);
    screen.out(joinLink);
  }
  await aborted(stop);
  process.off("SIGUSR2", tell);
  await metrics?.close();
  await cache.close();
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
  options: DaemonOptions & { qr: boolean; isDefaultHome: boolean },
  stop: AbortSignal,
): Promise<number> {
  const daemon = await startDaemon({ ...options, echo: true });
  const { hashname, paths } = daemon.peer.status();
  const link = await daemon.peer.invite();
  if (screen.json) screen.out(JSON.stringify({ type: "ready", hashname, paths, home: options.home, invite: link }));
  else for (const line of welcome(screen, { ...options, hashname, paths, link, name: daemon.name })) screen.out(line);
  await aborted(stop);
  if (screen.isTerminal) screen.say("\nstopping");
  await daemon.close();
  return EXIT.done;
}

interface Welcome extends Pick<PeerStatus, "hashname" | "paths"> {
  readonly home: string;
  readonly isDefaultHome: boolean;
  readonly name: string | undefined;
  readonly link: string;
  readonly qr: boolean;
}

function welcome(screen: Screen, { hashname, paths, home, isDefaultHome, name, link, qr }: Welcome): string[] {
  const restante = isDefaultHome ? self() : `${self()} --home ${quote(home)}`;
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
    "",
    `${screen.paint("bold", "Your invite.")} The first who uses it becomes your contact; give it to one person.`,
    "",
    link,
    ...(code.length > 0 ? ["", ...code] : []),
    "",
    `${screen.paint("bold", "Try next,")} in another terminal${self().startsWith("npm ") ? ", in this directory" : ""}:`,
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
function keepMemoryIn(screen: Screen): void {
  const dumps = emptyCoreDumps();
  if (dumps === "whole" || (dumps === "unknown" && process.platform === "linux"))
    screen.say(`restante: a crash may leave all memory in a core dump; \`${self()} doctor\` says what to do`);
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

function tilde(path: string): string {
  const home = homedir();
  return path === home || path.startsWith(`${home}/`) ? `~${path.slice(home.length)}` : path;
}
