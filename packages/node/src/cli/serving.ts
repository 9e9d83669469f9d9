/** The commands that are a daemon: start and serve. Their options are those of the table of settings. The daemon is loaded by them alone. */
import { statSync } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "commander";
import { RestanteError } from "restante";
import { fromUtf8 } from "restante/protocol";
import { Client } from "../api/client.ts";
import { type Force, inForce, refuseContradiction, valuesOf } from "../config/force.ts";
import type { Value } from "../config/kinds.ts";
import { configInfo } from "../config/show.ts";
import { flagOf, NAMES, type Name, type SECTIONS, type Setting, settingOf, type Values } from "../config/table.ts";
import { homeOfIdentity, homePaths } from "../home.ts";
import { createLog } from "../log.ts";
import { type MetricsAddress, parseMetricsAddress } from "../metrics.ts";
import { readPrivate } from "../store/private-file.ts";
import { bazaarSettings } from "./bazaar.ts";
import { usage } from "./failure.ts";
import type { IdentityOptions } from "./identity.ts";
import type { ServeOptions } from "./node.ts";
import { keyPassphrase } from "./passphrase.ts";
import { plainJson, printable, say } from "./screen.ts";
import type { Shell } from "./shell.ts";
import { webSettings } from "./web.ts";

/** Adds them. */
export function addServing(shell: Shell): void {
  const { program } = shell;
  settingOptions(program.command("start"), "start")
    .description("run a node with an echo peer, print an invite and what to try next")
    .option("--qr", "print the QR code even when stdout is no terminal")
    .action(async ({ qr = false }: { qr?: boolean }, command: Command) => {
      const force = await forceOf(shell, command);
      const values = checked(force);
      if (values.cacheOnly)
        throw usage(
          "start is for the first steps of a node with mail; a cache alone is served by `serve --cache-only`",
        );
      const { start } = await import("./node.ts");
      const options = await daemonOptions(shell, { web: true, ...values }, force);
      const isDefaultHome = shell.isDefaultHome();
      try {
        shell.finish(await start(shell.screen(), { ...options, qr, isDefaultHome }, shell.stop()));
      } catch (error) {
        // Who says how it is to be started does not mean the one that runs.
        const isOther = force.some(({ from }) => from === "flag");
        if (!(error instanceof RestanteError && error.code === "home-locked") || isOther) throw error;
        const { tellRunning } = await import("./running.ts");
        shell.finish(await tellRunning(shell.screen(), new Client(homePaths(shell.home()).sock), error));
      }
    });
  settingOptions(program.command("serve"), "serve")
    .description("run the daemon in the foreground")
    .addOption(
      new Option("--init", "with --cache-only: make its identity, print its hashname, and end").helpGroup(GROUPS.cache),
    )
    .action(async ({ init = false }: { init?: boolean }, command: Command) => {
      const force = await forceOf(shell, command);
      const values = checked(force);
      if (init && !values.cacheOnly) throw usage("--init is for a cache that never writes: add --cache-only");
      const { initCache, serve, serveCache } = await import("./node.ts");
      const screen = shell.screen();
      const options = await daemonOptions(shell, values, force);
      if (init) return shell.finish(await initCache(screen, options));
      shell.finish(await (values.cacheOnly ? serveCache : serve)(screen, options, shell.stop()));
    });
}

/** An option for each setting that is none of the whole program. `config` takes them, too, without a word in its help. */
export function settingOptions(command: Command, of: "start" | "serve" | "config"): Command {
  for (const name of NAMES) {
    const setting = settingOf(name);
    if (setting.of === "all") continue;
    const option = new Option(setting.flag, helpOf(setting));
    if (setting.flag.includes(" ")) option.argParser(argument(setting));
    const isHidden = of === "config" || (of === "start" && setting.of === "serve");
    command.addOption(isHidden ? option.hideHelp() : option.helpGroup(GROUPS[setting.section]));
    // What the file says a flag can take back.
    const opposite = flagOf(setting).replace(/^--(no-)?/, (_, no) => (no === undefined ? "--no-" : "--"));
    if (setting.kind.ofText("false") === false) command.addOption(new Option(opposite, helpOf(setting)).hideHelp());
  }
  if (of !== "config") command.addHelpText("after", FOOTER);
  return command;
}

/** What is in force for a command that was given these options. Reads the file, where there is one. */
export async function forceOf(shell: Shell, command: Command): Promise<Force> {
  const place = shell.config();
  const isThere = place.must || statSync(place.path, { throwIfNoEntry: false }) !== undefined;
  // Only here: who has no file needs no parser.
  const file = isThere ? (await import("../config/file.ts")).readConfig(place) : undefined;
  return inForce(flags(shell, command), process.env, file);
}

/** An option of the program, read as the table says. */
export function globalArgument(name: "port" | "host"): (text: string) => Value {
  return argument(settingOf(name));
}

type Flags = Map<Name, Value>;

function flags({ program }: Shell, command: Command): Flags {
  const given: Flags = new Map();
  for (const name of NAMES) {
    const from = settingOf(name).of === "all" ? program : command;
    if (from.getOptionValueSource(name) === "cli") given.set(name, from.getOptionValue(name) as Value);
  }
  return given;
}

function checked(force: Force): Values {
  refuseContradiction(force);
  return valuesOf(force);
}

async function daemonOptions(shell: Shell, values: Values, force: Force): Promise<ServeOptions> {
  if (statSync(shell.home(), { throwIfNoEntry: false })?.isDirectory() === false)
    throw usage(`"${shell.home()}" is a file; --home takes a directory`);
  const { name, port, host, advertise, connections, passphraseFile, copies, sent, cluster } = values;
  const log = await createLog({
    ...(values.logLevel && { level: values.logLevel }),
    ...(values.logFormat && { format: values.logFormat }),
    write: (line) => say(values.logFormat === "json" ? plainJson(line) : printable(line)),
  });
  const bazaar = bazaarSettings(values);
  const web = webSettings(values);
  const metrics = metricsOf(values.metrics);
  const ofHome: IdentityOptions = { ...shell.ofHome(), ...(passphraseFile && { passphraseFile }) };
  return {
    home: shell.home(),
    ...(port === undefined ? {} : { port }),
    ...(host === undefined ? {} : { host }),
    ...(name === undefined ? {} : { name }),
    ...(advertise === undefined ? {} : { advertise }),
    ...(copies === undefined ? {} : { copies }),
    ...(values.disk === undefined ? {} : { disk: values.disk * MIB }),
    ...(values.waitForLink === undefined ? {} : { waitForLink: values.waitForLink * MIB }),
    keepSent: sent ?? true,
    ...(connections === undefined ? {} : { connections }),
    ...(bazaar === undefined ? {} : { bazaar }),
    ...(web === undefined ? {} : { web }),
    ...(values.cache === undefined ? {} : { cache: values.cache }),
    route: values.route ?? false,
    ...(values.memory === undefined ? {} : { memory: values.memory * MIB }),
    ...(cluster === undefined ? {} : { cluster: await withPassword(cluster, values.clusterPasswordFile) }),
    ...(metrics === undefined ? {} : { metrics }),
    passphrase: (identity) =>
      keyPassphrase(identity === undefined ? ofHome : { ...ofHome, home: homeOfIdentity(shell.home(), identity) })(),
    say: log.warn,
    log,
    isWatched: process.stderr.isTTY === true && values.logFormat !== "json",
    config: configInfo(force),
  };
}

function metricsOf(said: Values["metrics"]): MetricsAddress | undefined {
  if (said === undefined || said === false) return undefined;
  return parseMetricsAddress(said === true ? METRICS : said);
}

/** Servers of a cluster with the password that lies in a file of ours. Throws "no-file", "open-permissions", "bad-file". */
export async function withPassword(servers: readonly string[], file: string | undefined): Promise<readonly string[]> {
  if (file === undefined) return servers;
  const bytes = await readPrivate(file);
  if (bytes === undefined) throw new RestanteError("no-file", `there is no file "${file}"`);
  const [password = ""] = fromUtf8(bytes)?.split(/\r?\n/, 1) ?? [];
  if (password === "") throw new RestanteError("bad-file", `"${file}" has no password in its first line`);
  return servers.map((server) => {
    if (!URL.canParse(server)) return server;
    const url = new URL(server);
    url.password = encodeURIComponent(password);
    return url.href;
  });
}

function argument({ kind }: Setting): (text: string, before?: Value) => Value {
  return (text, before) => {
    const value = kind.ofText(text);
    if (value === undefined) throw new InvalidArgumentError(`It must be ${kind.one ?? kind.words}.`);
    return typeof value === "object" && typeof before === "object" ? [...before, ...value] : value;
  };
}

function helpOf({ help, fallback }: Setting): string {
  return fallback === undefined || typeof fallback === "boolean" ? help : `${help} (default: ${fallback})`;
}

const MIB = 1024 * 1024;
const METRICS = "9100";
const GROUPS: Readonly<Record<keyof typeof SECTIONS, string>> = {
  node: "The node:",
  mail: "Its mail:",
  cache: "Mail for others:",
  web: "The page:",
  bazaar: "The bazaar:",
  metrics: "Totals and log:",
  log: "Totals and log:",
};
const FOOTER = `
Each option may also stand in the environment (RESTANTE_MEMORY=512) and in a
file: \`restante config example\`. --no-cache and its like take back what it says.`;
