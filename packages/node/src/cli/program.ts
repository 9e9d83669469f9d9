/**
 * The command line: names, options, help. What a command does is in the file of its kind. The daemon is loaded by the commands
 * that are one: for the others it would double the time that they take.
 */
import { existsSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { RestanteError } from "restante";
import { Client } from "../api/client.ts";
import type { DaemonOptions } from "../daemon.ts";
import { homePaths } from "../home.ts";
import { type MetricsAddress, parseMetricsAddress } from "../metrics.ts";
import { VERSION } from "../version.ts";
import { advised, self, usage } from "./failure.ts";
import * as mail from "./mail.ts";
import * as people from "./people.ts";
import { createScreen, type Screen } from "./screen.ts";

interface GlobalOptions {
  home?: string;
  json?: boolean;
  color: boolean;
  port?: number;
  host?: string;
}

interface ServeOptions {
  name?: string;
  advertise?: string[];
  cache?: boolean;
  cacheOnly?: boolean;
  route?: boolean;
  init?: boolean;
  memory?: number;
  cluster?: string[];
  metrics?: MetricsAddress;
  qr?: boolean;
}

/**
 * The program. `finish` gets the exit code of the command that ran. `stop` is called by the commands that run until the user
 * wants them to end, and gives the signal of that.
 */
export function createProgram(finish: (code: number) => void, stop: () => AbortSignal): Command {
  const program = new Command("restante")
    .description("Mail for people who are never online at the same time, end to end encrypted.")
    .version(VERSION, "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .helpCommand("help [command]", "print help about a command")
    .configureHelp({ showGlobalOptions: true, subcommandTerm: termOf })
    .exitOverride()
    // Help goes to stdout. What commander would write to stderr comes as an error, too, and is told there, in one line.
    .configureOutput({ writeErr: () => {} })
    .addOption(
      new Option("--home <dir>", "the daemon's directory (default: $XDG_STATE_HOME/restante)").env("RESTANTE_HOME"),
    )
    .option("--json", "print JSON lines")
    .addOption(
      new Option("--port <n>", "of start and serve: UDP and TCP port, 0 for any (default: 42424)")
        .env("RESTANTE_PORT")
        .argParser(port),
    )
    .addOption(new Option("--host <address>", "of start and serve: listen on this address only").env("RESTANTE_HOST"))
    .addOption(new Option("--no-color", "no colours"));

  const globals = (): GlobalOptions => program.opts<GlobalOptions>();
  const home = (): string => resolve(globals().home || defaultHome(process.env));
  /** An action that talks to the daemon. `advice`, by code of a failure: what to do then. */
  const ask = async (
    act: (screen: Screen, client: Client) => Promise<number>,
    advice: Readonly<Record<string, string>> = {},
  ): Promise<void> => {
    try {
      finish(await act(createScreen(globals()), new Client(homePaths(home()).sock)));
    } catch (error) {
      if (!(error instanceof RestanteError)) throw error;
      const { code, message } = error;
      if (code === "no-daemon" && existsSync(homePaths(home()).identity) && !existsSync(homePaths(home()).key))
        throw new RestanteError(code, `${home()} is the home of a cache, which takes no commands`);
      if (code === "no-daemon")
        throw new RestanteError(
          code,
          `no daemon runs in ${home()}; \`${self()} serve\` starts one, --home names another`,
        );
      const hint = advice[code];
      throw hint === undefined ? error : new RestanteError(code, advised(message, hint));
    }
  };
  const daemonOptions = (screen: Screen, options: ServeOptions): DaemonOptions => {
    const { port, host } = globals();
    if (statSync(home(), { throwIfNoEntry: false })?.isDirectory() === false)
      throw usage(`"${home()}" is a file; --home takes a directory`);
    return {
      home: home(),
      ...(port === undefined ? {} : { port }),
      ...(host === undefined ? {} : { host }),
      ...(options.name === undefined ? {} : { name: options.name }),
      ...(options.advertise === undefined ? {} : { advertise: options.advertise }),
      cache: options.cache ?? false,
      route: options.route ?? false,
      ...(options.memory === undefined ? {} : { memory: options.memory }),
      ...(options.cluster === undefined ? {} : { cluster: options.cluster }),
      say: (message) => screen.say(`restante: ${message}`),
    };
  };
  const serving = (command: Command): Command =>
    command
      .addOption(new Option("--name <name>", "what your contacts see; kept in the home").env("RESTANTE_NAME"))
      .option(
        "--advertise <host:port>",
        "give this address to others instead of this machine's; a name is looked up once, now; repeatable",
        collect,
      );

  program.commandsGroup("Running:");
  serving(program.command("start"))
    .description("run a node with an echo peer, print an invite and what to try next")
    .option("--qr", "print the QR code even when stdout is no terminal")
    .action(async (options: ServeOptions) => {
      const { start } = await import("./node.ts");
      const screen = createScreen(globals());
      const isDefaultHome = home() === defaultHome(process.env);
      finish(
        await start(screen, { ...daemonOptions(screen, options), qr: options.qr ?? false, isDefaultHome }, stop()),
      );
    });
  serving(program.command("serve"))
    .description("run the daemon in the foreground")
    .option("--cache", "also hold mail for others, in memory")
    .addOption(
      new Option(
        "--cache-only",
        "hold mail for others and do nothing else; prints the link to join, and on SIGUSR2 how much it holds",
      ).conflicts(["cache", "name"]),
    )
    .option("--route", "of a cache: also bring together who use it and cannot reach each other")
    .option("--memory <MiB>", "of a cache: memory for what it holds (default: 1024)", mebibytes)
    .addOption(
      new Option("--cluster <servers>", "of a cache: keep it in this Redis Cluster: redis://host:port,...")
        .env("RESTANTE_CLUSTER")
        .argParser((text) => text.split(",")),
    )
    .option("--init", "with --cache-only: make its identity, print its hashname, and end")
    .addOption(
      new Option("--metrics [address]", "serve totals for Prometheus there (default: 127.0.0.1:9100)")
        .preset("9100")
        .argParser(metricsAddress),
    )
    .action(async (options: ServeOptions) => {
      for (const [option, what] of [
        [options.route, "only a cache routes"],
        [options.memory, "--memory is for what a cache holds"],
        [options.cluster, "--cluster is for what a cache holds"],
      ])
        if (option && !options.cache && !options.cacheOnly) throw usage(`${what}: add --cache or --cache-only`);
      if (options.init && !options.cacheOnly) throw usage("--init is for a cache that never writes: add --cache-only");
      const { initCache, serve, serveCache } = await import("./node.ts");
      const screen = createScreen(globals());
      const all = { ...daemonOptions(screen, options), metrics: options.metrics };
      if (options.init) return finish(await initCache(screen, all));
      finish(await (options.cacheOnly ? serveCache : serve)(screen, all, stop()));
    });
  program
    .command("status")
    .description("how the daemon fares")
    .action(() => ask(people.status));
  program
    .command("doctor")
    .description("look at what surrounds a node: swap, core dumps, who can read its home, limits")
    .action(async () => {
      const { doctor } = await import("./doctor.ts");
      finish(await doctor(createScreen(globals()), home()));
    });

  const noContact = {
    "not-found": `\`${self()} contacts\` lists whom you can write to`,
    ambiguous: "give more of one of them",
  };
  program.commandsGroup("People:");
  program
    .command("invite")
    .description("print a link with which somebody becomes your contact, or close one")
    .option("--reusable", "good for any number of people")
    .option("--qr", "print the QR code even when stdout is no terminal")
    .addOption(
      new Option("--close [link]", "make this invite of yours void; - or nothing: read it from stdin").conflicts([
        "reusable",
        "qr",
      ]),
    )
    .action(({ close, ...options }: { reusable?: boolean; qr?: boolean; close?: string | true }) =>
      close === undefined
        ? ask((screen, client) => people.invite(screen, client, options))
        : ask((screen, client) => people.closeInvite(screen, client, close === true ? undefined : close), {
            "bad-invite": "give all of it, in quotes",
            "not-found": "it is closed already, or was for one and is used, or is of another home",
          }),
    );
  program
    .command("add")
    .description("become the contact of who made an invite")
    .argument("[link]", "the invite, or link://DOMAIN of who publishes one; - or nothing: read it from stdin")
    .action((link?: string) =>
      ask((screen, client) => people.add(screen, client, link), {
        "bad-invite": inviteAdvice(link),
      }),
    );
  program
    .command("remove")
    .description("know a contact no more; it is not told, and its mail is a stranger's from then on")
    .argument("<contact>", "name, id, hashname, or the start of one, four characters or more")
    .action((contact: string) => ask((screen, client) => people.remove(screen, client, contact), noContact));
  program
    .command("contacts")
    .description("list whom you can write to")
    .action(() => ask(people.contacts));
  program
    .command("requests")
    .description("list strangers who wrote to you, or answer one")
    .argument("[answer]", "accept or ignore")
    .argument("[id]", "of the request, or its start, four characters or more")
    .action((verb?: string, id?: string) =>
      ask((screen, client) => people.requests(screen, client, verb, id), {
        "not-found": `\`${self()} requests\` lists them`,
        ambiguous: "give more of its id",
      }),
    );
  const cache = program.command("cache").description("let a cache hold mail for you while you are away");
  cache
    .command("join")
    .description("let a cache hold mail for you while you are away")
    .argument("[link]", "what the cache printed, in quotes; - or nothing: read it from stdin")
    .action((link?: string) =>
      ask((screen, client) => people.joinCache(screen, client, link), {
        "bad-link": `give all that the cache printed, in quotes; an invite is for \`${self()} add\``,
      }),
    );
  cache
    .command("leave")
    .description("use a cache no more; your contacts are told")
    .argument("<cache>", "its hashname, or its start, four characters or more")
    .action((hashname: string) =>
      ask((screen, client) => people.leaveCache(screen, client, hashname), {
        "not-found": `\`${self()} status\` lists yours`,
        ambiguous: "give more of its hashname",
      }),
    );

  const noMail = { "not-found": `\`${self()} outbox\` lists your mail`, ambiguous: "give more of its id" };
  program.commandsGroup("Mail:");
  program
    .command("send")
    .description("send a text, files, or both; prints the id of each mail")
    .argument("<contact>", "name, id, hashname, or the start of one, four characters or more")
    .argument("[text...]", "the text; - or nothing: read it from stdin. Put -- before one that starts with a dash")
    .option("-f, --file <file>", "a file to send; repeatable", collect)
    .option("--wait <seconds>", "wait so long for delivery; exit code 75 when it takes longer", seconds)
    .action((contact: string, text: string[], options: { file?: string[]; wait?: number }) =>
      ask((screen, client) => mail.send(screen, client, contact, text, options), noContact),
    );
  program
    .command("recv")
    .description("print mail that was not printed before, and save its files")
    .option("--follow", "go on with what comes, until stopped")
    .option("--all", "begin with the first mail that is kept; files that were saved before only with --out")
    .option("--out <dir>", "where files go; none is ever overwritten (default: here)")
    .action((options: { follow?: boolean; all?: boolean; out?: string }) =>
      ask((screen, client) => mail.recv(screen, client, options, options.follow ? stop() : undefined)),
    );
  program
    .command("outbox")
    .description("list the mail you sent: what is on its way, and what was settled lately")
    .action(() => ask(mail.outbox));
  program
    .command("track")
    .description("what happened to a mail of yours")
    .argument("<id>", "that send printed, or its start, four characters or more")
    .action((id: string) => ask((screen, client) => mail.track(screen, client, id), noMail));
  program
    .command("cancel")
    .description("give a mail up, and take its copies back where that is possible")
    .argument("<id>", "that send printed, or its start, four characters or more")
    .action((id: string) => ask((screen, client) => mail.cancel(screen, client, id), noMail));

  program.addHelpText("after", FOOTER);
  return program;
}

/** Where the XDG Base Directory Specification puts state. */
function defaultHome(env: NodeJS.ProcessEnv): string {
  const state = env["XDG_STATE_HOME"];
  return join(state?.startsWith("/") ? state : join(homedir(), ".local", "state"), "restante");
}

/** "send <contact> [text...]", "cache join|leave": what to write, without the options. */
function termOf(command: Command): string {
  const verbs = command.commands.map((it) => it.name()).join("|");
  const words = command.registeredArguments.map((it) => {
    const name = it.variadic ? `${it.name()}...` : it.name();
    return it.required ? `<${name}>` : `[${name}]`;
  });
  return [command.name(), ...(verbs === "" ? words : [verbs])].join(" ");
}

/** What to do about an invite that is none: by what it looks like. */
function inviteAdvice(link = ""): string {
  if (/^[\w-]+(\.[\w-]+)+$/.test(link)) return `to ask a domain for one, write link://${link}`;
  return `give all of it, in quotes; the link of a cache is for \`${self()} cache join\``;
}

function port(text: string): number {
  const n = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(n <= 65_535)) throw new InvalidArgumentError("A port is a number from 0 to 65535.");
  return n;
}

/** In bytes. */
function mebibytes(text: string): number {
  const n = /^\d{1,7}$/.test(text) ? Number(text) : 0;
  if (!(n >= 1)) throw new InvalidArgumentError("It is a number of MiB, 1 or more.");
  return n * 1024 * 1024;
}

function metricsAddress(text: string): MetricsAddress {
  const address = parseMetricsAddress(text);
  if (address === undefined) throw new InvalidArgumentError("Write port, IP:port or [IPv6]:port.");
  return address;
}

function seconds(text: string): number {
  const n = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(n > 0 && n <= MAX_WAIT)) throw new InvalidArgumentError(`It is a number of seconds, up to ${MAX_WAIT}.`);
  return n;
}

function collect(item: string, items: string[] = []): string[] {
  if (item === "") throw usage("an option was given an empty value: leave it away, or say what it is");
  return [...items, item];
}

const MAX_WAIT = 1_000_000; // some 11 days: timers take no more than 2^31 ms
const FOOTER = `
Exit codes: 0 done, 1 something does not work, 2 wrong use, 3 no daemon,
4 not found, 5 refused, 75 queued but not delivered in the time given.`;
