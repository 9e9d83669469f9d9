/** The manual, made of the program itself: a man page, and the reference in docs/cli.md. `restante manual` prints them. */
import type { Command, Help, Option } from "commander";
import { EXIT_WORDS } from "./failure.ts";
import { isOfSome, pathOf } from "./help.ts";

/** A command as the manual tells of it. */
interface Entry {
  /** "cache join" */
  readonly name: string;
  /** "restante cache join [options] [link]" */
  readonly usage: string;
  readonly text: string;
  readonly group: string;
  /** Arguments, then options: how it is written, and what it is. */
  readonly items: readonly (readonly [term: string, text: string])[];
}

/** The man page, in the macros of man(7). */
export function manPage(program: Command): string {
  const helper = program.createHelp();
  const lines = [
    '.TH RESTANTE 1 "" "restante" "User Commands"',
    ".SH NAME",
    `restante \\- ${roff(plain(program.description()).replace(/\.$/, "").toLowerCase())}`,
    ".SH SYNOPSIS",
    ".B restante",
    "[options] command [arguments]",
    ".SH DESCRIPTION",
    roff(
      "A node keeps your mail, sends it and gets it: start runs one to try, serve the one that you keep. All other commands speak to the node that runs in the home that is named by --home, but for those that say otherwise. Data goes to stdout, talk to stderr; with --json each line of stdout is one JSON object.",
    ),
    ".SH COMMANDS",
  ];
  let group = "";
  for (const entry of entriesOf(program, helper)) {
    if (entry.group !== group) lines.push(`.SS ${roff(entry.group.replace(/:$/, ""))}`);
    group = entry.group;
    lines.push(".TP", `.B ${roff(entry.usage)}`, roff(entry.text));
    if (entry.items.length > 0) lines.push(".RS", ...listed(entry.items), ".RE");
  }
  lines.push(
    ".SH OPTIONS",
    ".SS Of all commands",
    ...listed(optionsOf(program, helper, isOfAll)),
    ".SS Of some commands",
    ...listed(optionsOf(program, helper, isOfSome)),
    ".SH EXIT STATUS",
    ...listed(EXIT_WORDS.map(([code, words]) => [String(code), words])),
    ".SH ENVIRONMENT",
    roff("Options that name a variable take their value from it where they are not given. NO_COLOR: no colours."),
    ".SH FILES",
    ...listed([
      ["$XDG_STATE_HOME/restante", "the home of the node; without that variable ~/.local/state/restante"],
      ["$XDG_CONFIG_HOME/restante/config.toml", "its settings"],
    ]),
    ".SH EXAMPLES",
    ...EXAMPLES.flatMap(([command, what]) => [".TP", `.B ${roff(command)}`, roff(what)]),
    "",
  );
  return lines.join("\n");
}

/** All commands in Markdown, by group; for docs/cli.md. */
export function manualMarkdown(program: Command): string {
  const helper = program.createHelp();
  const lines: string[] = [];
  let group = "";
  for (const { group: title, usage, text, items } of entriesOf(program, helper)) {
    if (title !== group) lines.push(`### ${title.replace(/:$/, "")}`, "");
    group = title;
    lines.push(`**\`${usage}\`**: ${escaped(text)}`, "");
    if (items.length > 0) lines.push(...table(items), "");
  }
  lines.push("### Options of all commands", "", ...table(optionsOf(program, helper, isOfAll)));
  lines.push("", "### Options of some commands", "", ...table(optionsOf(program, helper, isOfSome)));
  return lines.join("\n");
}

/** The exit codes as a table in Markdown. */
export function exitCodesMarkdown(): string {
  return ["| code | |", "|---|---|", ...EXIT_WORDS.map(([code, words]) => `| ${code} | ${words} |`)].join("\n");
}

function entriesOf(command: Command, helper: Help, group = ""): Entry[] {
  return helper.visibleCommands(command).flatMap((each) => {
    if (each.name() === "help" && command.parent !== null) return [];
    const title = group || each.helpGroup() || "Commands:";
    const below = entriesOf(each, helper, title);
    const isOne = each.commands.length === 0 || each.registeredArguments.length > 0 || below.length === 0;
    if (!isOne && !STANDS_ALONE.has(pathOf(each))) return below;
    const items = [
      ...helper.visibleArguments(each).map((it) => [it.name(), helper.argumentDescription(it)] as const),
      ...optionsOf(each, helper).filter(([term]) => term !== "-h, --help"),
    ];
    const usage = helper
      .commandUsage(each)
      .replace(" [options]", items.some(([term]) => term.startsWith("-")) ? " [options]" : "");
    const text = plain(helper.commandDescription(each));
    return [{ name: pathOf(each), usage, text: `${text}.`, group: title, items }, ...below];
  });
}

function optionsOf(
  command: Command,
  helper: Help,
  isMeant: (option: Option) => boolean = () => true,
): (readonly [string, string])[] {
  return helper
    .visibleOptions(command)
    .filter(isMeant)
    .map((it) => [helper.optionTerm(it), helper.optionDescription(it)] as const);
}

function isOfAll(option: Option): boolean {
  return !isOfSome(option);
}

function listed(items: readonly (readonly [string, string])[]): string[] {
  return items.flatMap(([term, text]) => [".TP", `.B ${roff(term)}`, roff(text)]);
}

function table(items: readonly (readonly [string, string])[]): string[] {
  return ["| | |", "|---|---|", ...items.map(([term, text]) => `| \`${term}\` | ${escaped(text)} |`)];
}

function plain(text: string): string {
  return text.replaceAll("\n", " ");
}

/** What Markdown would take for a tag or a column, outside of what stands in backquotes. */
function escaped(text: string): string {
  return text
    .split(/(`[^`]*`)/)
    .map((part, i) => (i % 2 === 1 ? part : part.replace(/[<>|*_]/g, "\\$&")))
    .join("");
}

/** A line of text for roff: nothing in it is a request or an escape. */
function roff(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^([.'])/, "\\&$1");
}

/** Commands that have others below them and do something themselves. */
const STANDS_ALONE: ReadonlySet<string> = new Set(["web"]);
const EXAMPLES: readonly (readonly [command: string, what: string])[] = [
  ["restante start", "Run a node with all that one needs to try it."],
  ['restante add "$(cat invite.txt)"', "Become the contact of who made an invite."],
  [
    "restante send bob --file film.mp4 --wait 60",
    "Send a file; exit code 75 when bob does not have it after a minute.",
  ],
  ["df -h | restante send bob", "Send what a command printed."],
  ["restante recv --follow --exec ./bot", "Hand each mail to a program of yours."],
  [
    "restante seal --for bob letter.txt",
    "Make letter.txt.sealed, which bob opens with: restante open letter.txt.sealed",
  ],
  ['eval "$(restante completion bash)"', "Have bash complete commands and the names of contacts."],
];
