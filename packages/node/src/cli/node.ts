/** Commands that are the daemon itself: serve, start. They run until a signal. */
import { homedir } from "node:os";
import type { PeerStatus } from "restante";
import { type DaemonOptions, startCache, startDaemon } from "../daemon.ts";
import { EXIT, quote, self } from "./failure.ts";
import { listensOn } from "./people.ts";
import { qrCode } from "./qr-code.ts";
import { printable, type Screen } from "./screen.ts";

/** The daemon in the foreground. Stdout gets the join link when it serves a cache, and with --json what it is. */
export async function serve(screen: Screen, options: DaemonOptions, stop: AbortSignal): Promise<number> {
  const daemon = await startDaemon(options);
  const { hashname, paths } = daemon.peer.status();
  const joinLink = options.cache ? daemon.peer.joinLink() : undefined;
  if (screen.json) screen.out(JSON.stringify({ type: "ready", hashname, paths, home: options.home, joinLink }));
  else {
    screen.say(`restante: running as ${hashname}`);
    screen.say(`restante: listens on ${listensOn(paths).join(", ")}; home ${tilde(options.home)}`);
    if (joinLink !== undefined) screen.out(joinLink);
  }
  await aborted(stop);
  await daemon.close();
  return EXIT.done;
}

/** A cache and nothing else. Stdout gets its join link, and on SIGUSR2 what it holds in all (never for whom). */
export async function serveCache(screen: Screen, options: DaemonOptions, stop: AbortSignal): Promise<number> {
  const cache = await startCache(options);
  const { hashname, paths } = cache.status();
  const joinLink = cache.joinLink();
  const tell = (): void => {
    const { boxes, messages, bytes } = cache.status().held ?? { boxes: 0, messages: 0, bytes: 0 };
    screen.out(JSON.stringify({ type: "holds", boxes, messages, bytes }));
  };
  // Before anybody can know our process id: without a listener the signal would kill us.
  process.on("SIGUSR2", tell);
  if (screen.json) screen.out(JSON.stringify({ type: "ready", hashname, paths, home: options.home, joinLink }));
  else {
    screen.say(`restante: a cache, ${hashname}`);
    screen.say(`restante: listens on ${listensOn(paths).join(", ")}; what it holds is in memory only`);
    screen.out(joinLink);
  }
  await aborted(stop);
  process.off("SIGUSR2", tell);
  await cache.close();
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
  const named = self().startsWith("npm ") ? "npm start -- --name NAME" : "start --name NAME";
  const code =
    qr || screen.isTerminal ? (qrCode(screen, link) ?? ["(it does not fit this terminal as a QR code)"]) : [];
  return [
    screen.paint("bold", "Restante is running."),
    "",
    fact("name", name === undefined ? `none yet; \`${named}\` gives one` : printable(name)),
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
