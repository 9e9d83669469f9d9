/**
 * The command line: names, options, help. What a command does is in the file of its kind. The daemon is loaded by the commands
 * that are one: for the others it would double the time that they take.
 */
import { existsSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { RestanteError } from "restante";
import { MAX_WORK } from "restante/protocol";
import { Client } from "../api/client.ts";
import type { DaemonOptions } from "../daemon.ts";
import { homeOfIdentity, homePaths } from "../home.ts";
import { type MetricsAddress, parseMetricsAddress } from "../metrics.ts";
import { VERSION } from "../version.ts";
import * as caches from "./caches.ts";
import { advised, quote, self, usage } from "./failure.ts";
import * as past from "./history.ts";
import type { IdentityOptions } from "./identity.ts";
import * as mail from "./mail.ts";
import { keyPassphrase } from "./passphrase.ts";
import * as people from "./people.ts";
import { createScreen, type Screen } from "./screen.ts";

interface GlobalOptions {
  home?: string;
  json?: boolean;
  color: boolean;
  port?: number;
  host?: string;
  passphraseFile?: string;
  identity?: string;
}

interface ServeOptions {
  name?: string;
  advertise?: string[];
  cache?: boolean;
  cacheOnly?: boolean;
  copies?: number;
  sent: boolean;
  connections?: number;
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
    .addOption(
      new Option("--identity <name>", "another identity of this home, from `identity create`").env("RESTANTE_IDENTITY"),
    )
    .addOption(
      new Option(
        "--passphrase-file <file>",
        "of what is under a passphrase: take the first line of this file instead of asking",
      ).env("RESTANTE_PASSPHRASE_FILE"),
    )
    .addOption(new Option("--no-color", "no colours"))
    // An empty word is a variable of a script that was never set. Of texts and links the commands say it themselves.
    .hook("preAction", (_, command) => {
      for (const [i, argument] of command.registeredArguments.entries())
        if (!argument.variadic && argument.name() !== "link" && command.processedArgs[i] === "")
          throw usage(`"" is no ${argument.name()}`);
    });

  const globals = (): GlobalOptions => program.opts<GlobalOptions>();
  const wholeHome = (): string => resolve(globals().home || defaultHome(process.env));
  const home = (): string => {
    const { identity } = globals();
    return identity === undefined ? wholeHome() : homeOfIdentity(wholeHome(), identity);
  };
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
      const { identity, home: named } = globals();
      if (code === "no-daemon" && identity !== undefined && existsSync(wholeHome()) && !existsSync(home()))
        throw new RestanteError(
          "not-found",
          `there is no identity "${identity}" in ${wholeHome()}; \`${self()} identity list\` shows them`,
        );
      if (code === "no-daemon")
        throw new RestanteError(
          code,
          `no daemon runs in ${home()}; \`${self()}${named ? ` --home ${quote(named)}` : ""} serve\` starts one, --home names another`,
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
      ...(options.copies === undefined ? {} : { copies: options.copies }),
      keepSent: options.sent,
      ...(options.connections === undefined ? {} : { connections: options.connections }),
      cache: options.cache ?? false,
      route: options.route ?? false,
      ...(options.memory === undefined ? {} : { memory: options.memory }),
      ...(options.cluster === undefined ? {} : { cluster: options.cluster }),
      passphrase: (identity) =>
        keyPassphrase(identity === undefined ? ofHome() : { ...ofHome(), home: homeOfIdentity(home(), identity) })(),
      say: (message) => screen.say(`restante: ${message}`),
    };
  };
  /** For what is done to a home itself. */
  const ofHome = (): IdentityOptions => {
    const { passphraseFile } = globals();
    return { home: home(), ...(passphraseFile === undefined ? {} : { passphraseFile }) };
  };
  const serving = (command: Command): Command =>
    command
      .addOption(new Option("--name <name>", "what your contacts see; kept in the home").env("RESTANTE_NAME"))
      .addOption(
        new Option("--copies <n>", "leave a mail at so many caches of its recipient, 1 to 8 (default: 2)")
          .env("RESTANTE_COPIES")
          .argParser(copies),
      )
      .option("--no-sent", "keep no copy of what is sent: a conversation then has one side")
      .option(
        "--advertise <host:port>",
        "give this address to others instead of this machine's; a name is looked up once, now; repeatable",
        collect,
      )
      .addOption(
        new Option("--connections <n>", "have at most so many TCP connections at once (default: 512)")
          .env("RESTANTE_CONNECTIONS")
          .argParser(connections),
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
    .addOption(clusterOption("of a cache: keep it in this Redis Cluster: redis://host:port,..."))
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
    .description(
      "look at what surrounds a node: swap, core dumps, who can read its home, limits; and at its Redis Cluster",
    )
    .addOption(clusterOption("also look at this Redis Cluster: redis://host:port,..."))
    .action(async ({ cluster }: { cluster?: string[] }) => {
      const { doctor } = await import("./doctor.ts");
      finish(await doctor(createScreen(globals()), home(), cluster));
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
      new Option(
        "--work <bits>",
        "let mail by it cost a stranger work at your caches, each day: 16 a moment, 20 a second, 24 some twenty",
      ).argParser(bits),
    )
    .addOption(
      new Option("--close [link]", "make this invite of yours void; - or nothing: read it from stdin").conflicts([
        "reusable",
        "qr",
        "work",
      ]),
    )
    .action(({ close, ...options }: { reusable?: boolean; qr?: boolean; work?: number; close?: string | true }) =>
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
    .command("block")
    .description("never hear of somebody again; nobody is told")
    .argument("<who>", "a contact, the id of a request or its start, or a whole hashname")
    .action((who: string) => ask((screen, client) => people.block(screen, client, who), noContact));
  program
    .command("unblock")
    .description("let somebody write to you again, as a stranger")
    .argument("<hashname>", "of who is blocked, or its start, four characters or more")
    .action((hashname: string) =>
      ask((screen, client) => people.unblock(screen, client, hashname), {
        "not-found": `\`${self()} blocked\` lists them`,
        ambiguous: "give more of it",
      }),
    );
  program
    .command("blocked")
    .description("list whom you do not want to hear of")
    .action(() => ask(people.blocked));
  program
    .command("verify")
    .description("see that nobody stands between you and a contact: print words to compare, or compare them")
    .argument("<contact>", "name, id, hashname, or the start of one, four characters or more")
    .argument("[words...]", "that were read to you, or the line of a QR code; without them yours are printed")
    .option("--qr", "print QR codes even when stdout is no terminal")
    .option("--undo", "do not count the contact as verified any more")
    .action((contact: string, words: string[], options: { qr?: boolean; undo?: boolean }) =>
      ask((screen, client) => people.verify(screen, client, contact, words, options), {
        ...noContact,
        mismatch: "read them again, on both sides",
      }),
    );
  program
    .command("read-marks")
    .description("tell a contact which of its mail you have read, or tell it no more; nobody is told unless you say so")
    .argument("<contact>", "name, id, hashname, or the start of one, four characters or more")
    .argument("<state>", "on or off")
    .action((contact: string, state: string) =>
      ask((screen, client) => people.readMarks(screen, client, contact, state), noContact),
    );
  program
    .command("contacts")
    .description("list whom you can write to")
    .action(() => ask(people.contacts));
  const device = program.command("device").description("have several devices; to your contacts they are one");
  device
    .command("link")
    .description("on a new device: print a link to add it by on one that you have")
    .option("--qr", "print the QR code even when stdout is no terminal")
    .action((options: { qr?: boolean }) =>
      ask((screen, client) => people.deviceLink(screen, client, options), {
        "not-new": "start it in a new home, with --home",
      }),
    );
  device
    .command("add")
    .description("take in a new device: it gets your contacts, and mail goes to each")
    .argument("[link]", "that it printed, in quotes; - or nothing: read it from stdin")
    .action((link?: string) =>
      ask((screen, client) => people.addDevice(screen, client, link), {
        "bad-invite": `give all that \`${self()} device link\` printed there, in quotes`,
      }),
    );
  device
    .command("remove")
    .description("a device is lost or given away: nobody writes to it any more")
    .argument("<hashname>", "of the device, or its start, four characters or more")
    .action((hashname: string) =>
      ask((screen, client) => people.removeDevice(screen, client, hashname), {
        "not-found": `\`${self()} devices\` lists them`,
        ambiguous: "give more of it",
      }),
    );
  program
    .command("devices")
    .description("list your devices")
    .action(() => ask(people.devices));
  const list = program
    .command("list")
    .description("give several contacts one name to write to; none of them learns of it");
  list
    .command("add")
    .description("put contacts into a list; the first make it")
    .argument("<list>", "its name")
    .argument("<contact...>", "name, id, hashname, or the start of one, four characters or more")
    .action((name: string, contacts: string[]) =>
      ask((screen, client) => people.addToList(screen, client, name, contacts), noContact),
    );
  list
    .command("remove")
    .description("take contacts out of a list, or all")
    .argument("<list>", "its name")
    .argument("[contact...]", "as for add; without any the list is over")
    .action((name: string, contacts: string[]) =>
      ask((screen, client) => people.removeFromList(screen, client, name, contacts), {
        ...noContact,
        "not-found": `\`${self()} lists\` shows them`,
      }),
    );
  program
    .command("lists")
    .description("show your lists and who is in them")
    .action(() => ask(people.lists));
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

  cache
    .command("test")
    .description("leave a mail for yourself at each of your caches, and see which gives it back")
    .action(() => ask(caches.testCaches, { "no-cache": `\`${self()} cache join\` takes the link of one` }));
  program
    .command("peers")
    .description("list your caches and those of your contacts, the best first, and what they did with mail so far")
    .action(() => ask(caches.peers));

  const noMail = { "not-found": `\`${self()} outbox\` lists your mail`, ambiguous: "give more of its id" };
  program.commandsGroup("Mail:");
  program
    .command("send")
    .description("send a text, files, or both; prints the id of each mail")
    .argument("<contact>", "a list; or name, id, hashname, or the start of one, four characters or more")
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
    .command("history")
    .description("print the last mail with a contact, yours too, in the order in which it was written")
    .argument("<contact>", "name, id, hashname, or the start of one, four characters or more")
    .option("-n, --limit <n>", "so many mails at most", mails, 50)
    .action((contact: string, { limit }: { limit: number }) =>
      ask((screen, client) => past.history(screen, client, contact, limit), noContact),
    );
  program
    .command("find")
    .description("print mail in which all these words stand, the newest first; nothing but this machine is asked")
    .argument("<words...>", "whole or in part, in any case; file names count")
    .option("--contact <contact>", "of this contact only")
    .option("-n, --limit <n>", "so many mails at most, up to 200", mails, 50)
    .action((words: string[], options: { contact?: string; limit: number }) =>
      ask((screen, client) => past.find(screen, client, words, options), noContact),
    );
  program
    .command("keep")
    .description("erase mail with a contact after some days; without a contact list whose is erased")
    .argument("[contact]", "name, id, hashname, or the start of one, four characters or more")
    .argument("[days]", "what is older is erased at once, and what becomes so each day", days)
    .option("--for-ever", "erase no more")
    .action((contact: string | undefined, days: number | undefined, options: { forEver?: boolean }) =>
      ask((screen, client) => past.keep(screen, client, contact, days, options.forEver ?? false), noContact),
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

  program.commandsGroup("This home, while no daemon runs:");
  const identity = program.command("identity").description("carry all of a peer to another home, or keep it");
  identity
    .command("export")
    .description("write all of this home into a new file, under a passphrase")
    .argument("<file>")
    .action(async (file: string) => {
      const { exportIdentity } = await import("./identity.ts");
      finish(await exportIdentity(createScreen(globals()), file, ofHome()));
    });
  identity
    .command("import")
    .description("make this home of such a file; where there is a peer already nothing is done")
    .argument("<file>")
    .action(async (file: string) => {
      const { importIdentity } = await import("./identity.ts");
      finish(await importIdentity(createScreen(globals()), file, ofHome()));
    });
  identity
    .command("create")
    .description("have another identity in this home; serve runs all of them, --identity names one")
    .argument("<name>")
    .action(async (name: string) => {
      const { createIdentity } = await import("./identity.ts");
      finish(await createIdentity(createScreen(globals()), name, wholeHome()));
    });
  identity
    .command("list")
    .description("list the other identities of this home")
    .action(async () => {
      const { listIdentities } = await import("./identity.ts");
      finish(await listIdentities(createScreen(globals()), wholeHome()));
    });
  const key = program.command("key").description("put the key of this home under a passphrase");
  key
    .command("protect")
    .description(
      "put the key of this home under a passphrase, or another one; the daemon then asks for it at its start",
    )
    .option("--new-passphrase-file <file>", "the new one, where --passphrase-file is the one before")
    .action(async ({ newPassphraseFile: newFile }: { newPassphraseFile?: string }) => {
      const { protectKey } = await import("./identity.ts");
      const options = newFile === undefined ? ofHome() : { ...ofHome(), newFile };
      finish(await protectKey(createScreen(globals()), options));
    });
  key
    .command("unprotect")
    .description("keep the key of this home in clear again")
    .action(async () => {
      const { unprotectKey } = await import("./identity.ts");
      finish(await unprotectKey(createScreen(globals()), ofHome()));
    });

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
function clusterOption(description: string): Option {
  return new Option("--cluster <servers>", description).env("RESTANTE_CLUSTER").argParser((text) => text.split(","));
}

function mebibytes(text: string): number {
  const n = /^\d{1,7}$/.test(text) ? Number(text) : 0;
  if (!(n >= 1)) throw new InvalidArgumentError("It is a number of MiB, 1 or more.");
  return n * 1024 * 1024;
}

function mails(text: string): number {
  const n = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (n === 0) throw new InvalidArgumentError("It is a number of mails, 1 or more.");
  return n;
}

function days(text: string): number {
  const n = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (!(n >= 1 && n <= MAX_DAYS)) throw new InvalidArgumentError(`It is a number of days, 1 to ${MAX_DAYS}.`);
  return n;
}

function copies(text: string): number {
  const n = /^\d$/.test(text) ? Number(text) : 0;
  if (!(n >= 1 && n <= MAX_COPIES)) throw new InvalidArgumentError(`It is a number of caches, 1 to ${MAX_COPIES}.`);
  return n;
}

function connections(text: string): number {
  const n = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (n === 0) throw new InvalidArgumentError("It is a number of connections, 1 or more.");
  return n;
}

/** Of work. */
function bits(text: string): number {
  const n = /^\d{1,2}$/.test(text) ? Number(text) : MAX_WORK + 1;
  if (n > MAX_WORK) throw new InvalidArgumentError(`It is a number of bits, 0 to ${MAX_WORK}.`);
  return n;
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

const MAX_COPIES = 8;
const MAX_DAYS = 36_500; // a hundred years
const MAX_WAIT = 1_000_000; // some 11 days: timers take no more than 2^31 ms
const FOOTER = `
Exit codes: 0 done, 1 something does not work, 2 wrong use, 3 no daemon,
4 not found, 5 refused, 75 queued but not delivered in the time given.`;
