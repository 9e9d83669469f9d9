/**
 * The command line: what all commands share, and help. The commands are in `commands/` and `serving.ts`; what each of them does is in
 * the file of its kind. The daemon is loaded by those that are one: for the others it would double the time that they take.
 */
import { Command, Option } from "commander";
import { VERSION } from "../version.ts";
import { clusterOption } from "./arguments.ts";
import { addCacheCommands } from "./commands/caches.ts";
import { addHomeCommands } from "./commands/home.ts";
import { addMailCommands } from "./commands/mail.ts";
import { addPeopleCommands } from "./commands/people.ts";
import { addProgramCommands } from "./commands/programs.ts";
import { COMPLETE, complete, completionScript } from "./completion.ts";
import { addConfig } from "./config.ts";
import { EXIT, usage } from "./failure.ts";
import { formatHelp } from "./help.ts";
import * as people from "./people.ts";
import { addServing, globalArgument } from "./serving.ts";
import { createShell } from "./shell.ts";

/**
 * The program. `finish` gets the exit code of the command that ran. `stop` is called by the commands that run until the user
 * wants them to end, and gives the signal of that.
 */
export function createProgram(finish: (code: number) => void, stop: () => AbortSignal): Command {
  const program = new Command("restante")
    .description("Mail for people who are never online at the same time, end to end encrypted.")
    .version(VERSION, "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .helpCommand(false)
    .configureHelp({ formatHelp })
    .exitOverride()
    // Help goes to stdout. What commander would write to stderr comes as an error, too, and is told there, in one line.
    .configureOutput({ writeErr: () => {} })
    .addOption(
      new Option(
        "--home <dir>",
        "the daemon's directory (default: ~/.local/state/restante, or restante in $XDG_STATE_HOME)",
      ).env("RESTANTE_HOME"),
    )
    .option("--json", "print JSON lines")
    .addOption(
      new Option(
        "--config <file>",
        "of start, serve, config and doctor: settings (default: config.toml in ~/.config/restante, or in --home)",
      ).env("RESTANTE_CONFIG"),
    )
    .addOption(
      new Option("--port <n>", "of start and serve: UDP and TCP port, 0 for any (default: 42424)").argParser(
        globalArgument("port"),
      ),
    )
    .addOption(
      new Option("--host <address>", "of start and serve: listen on this address only").argParser(
        globalArgument("host"),
      ),
    )
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

  const shell = createShell(program, finish, stop);
  program.commandsGroup("Running:");
  addServing(shell);
  const config = addConfig(shell);
  const web = program
    .command("web")
    .description("print a link that opens the web page in one browser, once")
    .action(() => shell.ask(people.web));
  web
    .command("password")
    .description("set a password for the web page, which --web-host asks for; piped in, or typed twice")
    .option("--remove", "have none any more")
    .action(async (options: { remove?: boolean }) => {
      const { webPassword } = await import("./web.ts");
      shell.finish(await webPassword(shell.screen(), shell.home(), options));
    });
  web
    .command("token")
    .description(
      "print what programs show to use the API over the page's HTTP; it is in the file `token` of the home, too",
    )
    .option("--renew", "make another one: that of before opens nothing any more")
    .action(async (options: { renew?: boolean }) => {
      const { webToken } = await import("./web.ts");
      shell.finish(await webToken(shell.screen(), shell.home(), options));
    });
  program
    .command("status")
    .description("how the daemon fares")
    .action(() => shell.ask(people.status));
  program
    .command("mesh")
    .description("list whom this node looks for, and how it reaches them")
    .action(() =>
      shell.ask(async (screen, client) => {
        const { mesh } = await import("./mesh.ts");
        return mesh(screen, client);
      }),
    );
  program
    .command("doctor")
    .description("look at what surrounds a node (swap, core dumps, disk, limits), its settings, and how it fares")
    .addOption(clusterOption("also look at this Redis Cluster: redis://host:port,..."))
    .action(async ({ cluster }: { cluster?: string[] }) => {
      const { doctor } = await import("./doctor.ts");
      shell.finish(await doctor(shell.screen(), shell.home(), shell.config(), cluster));
    });

  program.commandsGroup("People:");
  const groups = [config, ...addPeopleCommands(shell)];
  program.commandsGroup("Mail:");
  addMailCommands(shell);
  program.commandsGroup("Caches:");
  groups.push(...addCacheCommands(shell));
  program.commandsGroup("For programs:");
  groups.push(...addProgramCommands(shell));
  program.commandsGroup("This home, while no daemon runs:");
  groups.push(...addHomeCommands(shell));

  program
    .command("help")
    .helpGroup("About this program:")
    .description("print help about a command")
    .argument("[command...]", "as it is called: send, or cache join")
    .action((names: string[]) => {
      let about: Command = program;
      for (const [i, name] of names.entries()) {
        const found = about.commands.find((each) => each.name() === name);
        if (found === undefined) throw usage(`unknown command '${names.slice(0, i + 1).join(" ")}'`);
        about = found;
      }
      about.help();
    });

  program
    .command("completion")
    .helpGroup("About this program:")
    .description(
      "print what has a shell complete commands, options and the names of contacts; its first lines say where it goes",
    )
    .argument("<shell>", "bash, zsh or fish")
    .action((name: string) => {
      shell.screen().out(completionScript(name));
      shell.finish(EXIT.done);
    });
  program
    .command(COMPLETE, { hidden: true })
    .description("for the scripts of `completion`: print what can stand as the last of these words")
    .argument("[words...]", "those behind the name of the program")
    .action(async (words: string[]) => shell.finish(await complete(shell.screen(), program, words)));

  program
    .command("manual", { hidden: true })
    .description("print the man page, or the reference of docs/cli.md: what packages/node/man and docs are made by")
    .argument("<form>", "man or markdown")
    .action(async (form: string) => {
      const { manPage, manualMarkdown } = await import("./manual.ts");
      if (form !== "man" && form !== "markdown")
        throw usage(`the manual comes as man or as markdown, not as "${form}"`);
      process.stdout.write(form === "man" ? manPage(program) : `${manualMarkdown(program)}\n`);
      shell.finish(EXIT.done);
    });

  for (const group of groups) namesItsVerbs(group);
  program.addHelpText("after", FOOTER);
  return program;
}

/** A group of commands without one of them is a mistake; it says which there are. */
function namesItsVerbs(group: Command): void {
  const help = group.help.bind(group);
  group.help = (context) => {
    if (typeof context !== "object" || !context.error) return help();
    const verbs = group.commands.map((it) => it.name());
    throw usage(
      `a command is missing: after ${group.name()} comes ${verbs.slice(0, -1).join(", ")} or ${verbs.at(-1)}`,
    );
  };
}

const FOOTER = `Exit codes: 0 done, 1 something does not work, 2 wrong use, 3 no daemon,
4 not found, 5 refused, 75 queued but not delivered in the time given.`;
