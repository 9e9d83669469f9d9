/** Help as it is printed: first what the commands are, one line each; then the options that all of them take. */
import type { Command, Help, Option } from "commander";

/** The text of `--help`. That of one command says all of it; that of the program what is enough to find the right one. */
export function formatHelp(command: Command, helper: Help): string {
  const width = helper.helpWidth ?? 80;
  const own = helper.visibleOptions(command);
  const options = own.map((it) => [helper.optionTerm(it), helper.optionDescription(it)] as const);
  if (command.parent !== null) {
    const args = helper.visibleArguments(command).map((it) => [it.name(), helper.argumentDescription(it)] as const);
    const verbs = commandsOf(command, helper).map(({ name, summary }) => [name, summary] as const);
    return [
      ...fold(`Usage: ${helper.commandUsage(command)}`, width, 7),
      "",
      ...fold(sentence(helper.commandDescription(command)), width),
      ...section("Arguments:", args, width),
      ...section("Commands:", verbs, width),
      ...section("Options:", [...options, ...globalsOf(command, helper)], width),
      ...examplesOf(command),
      "",
      ...fold(`Options of all commands, such as --home and --json: \`${root(command).name()} --help\``, width),
      "",
    ].join("\n");
  }
  const all = commandsOf(command, helper);
  const groups = new Map<string, (readonly [string, string])[]>();
  for (const { name, summary, group } of all) groups.set(group, [...(groups.get(group) ?? []), [name, summary]]);
  const column = Math.max(...all.map(({ name }) => name.length));
  return [
    ...fold(`Usage: ${command.name()} [options] <command>`, width, 7),
    "",
    ...fold(helper.commandDescription(command), width),
    ...[...groups].flatMap(([title, items]) => section(title, items, width, column)),
    ...section(
      "Options of all commands:",
      options.filter((_, i) => !isOfSome(own[i])),
      width,
    ),
    ...section(
      "Options of some commands:",
      options.filter((_, i) => isOfSome(own[i])),
      width,
    ),
    "",
    `\`${command.name()} help COMMAND\` says more about one of them.`,
    "",
  ].join("\n");
}

interface Listed {
  /** "cache join" */
  readonly name: string;
  readonly summary: string;
  readonly group: string;
}

/** All that can be called, those of groups one by one. */
export function commandsOf(command: Command, helper: Help, before = "", group = ""): Listed[] {
  return helper.visibleCommands(command).flatMap((each) => {
    if (each.name() === "help" && command.parent !== null) return []; // commander's own, of groups
    const name = `${before}${each.name()}`;
    const title = group || each.helpGroup() || "Commands:";
    const summary = SUMMARIES[pathOf(each)];
    const verbs = commandsOf(each, helper, `${name} `, title);
    // One that has commands below it and a summary is one itself, too.
    if (verbs.length > 0 && summary === undefined) return verbs;
    return [{ name, summary: summary ?? helper.subcommandDescription(each), group: title }, ...verbs];
  });
}

/** "cache join" */
export function pathOf(command: Command): string {
  const above = command.parent === null || command.parent.parent === null ? "" : `${pathOf(command.parent)} `;
  return above + command.name();
}

/** Whether a command takes this option of the program, and does something by it. */
export function takes(command: Command, option: Option): boolean {
  const whose = OF_SOME[option.attributeName()];
  return whose === undefined || command.parent === null || whose.includes(topOf(command).name());
}

/** Whether it means something to some commands alone. */
export function isOfSome(option: Option | undefined): boolean {
  return option !== undefined && Object.hasOwn(OF_SOME, option.attributeName());
}

/** What stands before the command, too, but is of this and some others alone. */
function globalsOf(command: Command, helper: Help): (readonly [string, string])[] {
  return helper
    .visibleOptions(root(command))
    .filter((option) => isOfSome(option) && takes(command, option))
    .map((it) => [helper.optionTerm(it), helper.optionDescription(it).replace(/^of [^:]*: /, "")] as const);
}

function examplesOf(command: Command): string[] {
  const examples = EXAMPLES[pathOf(command)] ?? [];
  return examples.length === 0
    ? []
    : ["", "For example:", ...examples.map((line) => `  ${root(command).name()} ${line}`)];
}

/** The one below the program. */
function topOf(command: Command): Command {
  return command.parent?.parent == null ? command : topOf(command.parent);
}

function root(command: Command): Command {
  return command.parent === null ? command : root(command.parent);
}

/** The usual text of a command is what it does, after its name; by itself it is a sentence. */
function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
}

function section(
  title: string,
  items: readonly (readonly [term: string, text: string])[],
  width: number,
  column = Math.min(MAX_COLUMN, Math.max(0, ...items.map(([term]) => term.length))),
): string[] {
  if (items.length === 0) return [];
  const indent = column + 4;
  const lines = items.flatMap(([term, text]) => {
    const [first = "", ...rest] = fold(text, width - indent);
    const under = rest.map((line) => " ".repeat(indent) + line);
    return term.length > column
      ? [`  ${term}`, " ".repeat(indent) + first, ...under]
      : [`  ${term.padEnd(column)}  ${first}`.trimEnd(), ...under];
  });
  return ["", title, ...lines];
}

/** Lines of so many columns at most, those after the first indented. */
function fold(text: string, columns: number, indent = 0): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined) lines.push(word);
    else if (last.length + 1 + word.length <= columns) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(" ".repeat(indent) + word);
  }
  return lines;
}

/** Options of the program that mean something to these alone, by attribute. */
const OF_SOME: Readonly<Record<string, readonly string[]>> = {
  port: ["start", "serve"],
  host: ["start", "serve"],
  config: ["start", "serve", "config", "doctor"],
  passphraseFile: ["start", "serve", "identity", "key", "seal", "open"],
};
/** By command: what one types. Each in one line of 76 columns. */
const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  start: ["start --name Anna", "--home ./second --port 0 start"],
  serve: ["serve", "serve --cache --memory 512", "serve --cache-only --metrics"],
  "config show": ["config show --log-level debug"],
  "config check": ["config check ./config.toml"],
  "config example": ["config example > ~/.config/restante/config.toml"],
  invite: ["invite", "invite --reusable --work 20 > invite.txt", 'invite --close "$(cat invite.txt)"'],
  add: ["add 'link://...'", "add - < invite.txt", "add link://example.org"],
  verify: ["verify bob", "verify bob ocean marble seven"],
  contacts: ["contacts", "contacts bob"],
  ping: ["ping bob", "ping bob --count 3"],
  requests: ["requests", "requests accept 7f3a"],
  "device add": ["device add 'link://...'"],
  "list add": ["list add friends bob carol"],
  send: ["send bob 'see you at eight'", "send bob -f film.mp4 --wait 60", "send bob < letter.txt"],
  recv: ["recv", "recv --follow --exec ./bot", "recv --all --out ./mail"],
  chat: ["chat bob"],
  find: ["find train tickets --contact bob"],
  keep: ["keep bob 30", "keep bob --for-ever"],
  track: ["track 4f09"],
  "cache join": ["cache join 'link://...'", "cache join bob"],
  "cache serve": ["cache serve on", "cache serve off"],
  "cache offer": ["cache offer on"],
  "web token": ["web token", "web token --renew"],
  "webhook add": ["webhook add http://127.0.0.1:8080/hook --event mail --event state"],
  "identity export": ["identity export ./anna.restante"],
  "identity import": ["--home ./new identity import ./anna.restante"],
  "identity create": ["identity create work", "--identity work status"],
  seal: ["seal letter.txt --for bob --for me", "seal backup.tar --for 'link://...' --anonymous"],
  open: ["open letter.txt.sealed", "open backup.sealed --out - > backup.tar"],
  completion: ["completion fish > ~/.config/fish/completions/restante.fish"],
};
const MAX_COLUMN = 28;
/** In the list of all commands: one line each, where what the command says of itself is longer. */
export const SUMMARIES: Readonly<Record<string, string>> = {
  start: "run a node with all that one needs to try it",
  "config show": "print the settings that are in force, and who says so",
  "config check": "say what is wrong in the settings",
  "config example": "print a settings file to begin with",
  mesh: "list whom this node looks for, and how it reaches them",
  web: "print a link that opens the web page",
  "web password": "set a password for the web page",
  "web token": "print what programs show to use the API over HTTP",
  rpc: "speak JSON-RPC on stdin and stdout, for programs",
  doctor: "look at what surrounds a node, and how it fares",
  invite: "print a link with which somebody becomes your contact",
  remove: "know a contact no more",
  unblock: "block somebody no more",
  verify: "see that nobody stands between you and a contact",
  "read-marks": "tell a contact which of its mail you have read, or not",
  contacts: "list whom you can write to, or all about one",
  ping: "see whether a contact is there, and how far away",
  "device link": "print the link of a new device, to add it by",
  "device add": "take in a new device of yours",
  "device remove": "tell that a device is lost or given away",
  requests: "list strangers who wrote to you, or answer one",
  "cache join": "let a cache hold mail for you while you are away",
  "cache serve": "hold mail for others on this machine, or no more",
  "cache offer": "let your contacts use the cache that this node serves",
  "cache test": "see which of your caches give back what they hold",
  peers: "list caches, yours and your contacts', and what they did",
  send: "send a text, files, or both",
  recv: "print or hand on new mail, and save its files",
  chat: "write with a contact as it goes",
  history: "print the last mail with a contact",
  find: "print mail in which all these words stand",
  keep: "erase mail with a contact after some days",
  outbox: "list the mail you sent, and how far it is",
  track: "print what happened to a mail of yours",
  cancel: "give a mail up, and take its copies back",
  "webhook add": "have an address told what happens, by HTTP",
  webhooks: "list who is told by HTTP, and how that goes",
  "identity export": "write all of this home into one file, to move or keep",
  "identity import": "make this home of such a file",
  "identity create": "have another identity in this home",
  "key protect": "put the key of this home under a passphrase",
  seal: "seal a file for somebody; nothing is sent",
  open: "open a file that was sealed for you",
  completion: "print what has a shell complete commands and names",
};
