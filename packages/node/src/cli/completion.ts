/** Completion: what can stand where the cursor is, for the shells; and the scripts that have them ask for it. */
import type { Command, Option } from "commander";
import { Client } from "../api/client.ts";
import type {
  BlockedList,
  ContactList,
  DeviceList,
  Lists,
  OutboxList,
  RequestList,
  StatusInfo,
  WebhookList,
} from "../api/contract.ts";
import { FILE as FILE_KIND } from "../config/kinds.ts";
import { NAMES, settingOf } from "../config/table.ts";
import { homePaths, identitiesOf } from "../home.ts";
import { EXIT, usage } from "./failure.ts";
import { takes } from "./help.ts";
import type { Screen } from "./screen.ts";
import { homeNamed } from "./shell.ts";

type Names =
  | "contacts"
  | "contacts and lists"
  | "lists"
  | "requests"
  | "caches"
  | "mails"
  | "blocked"
  | "devices"
  | "identities"
  | "webhooks";

/** What is wanted: words that are known, or names that the daemon knows, or a file. `home`, `identity`: of the words before. */
interface Wanted {
  readonly words: readonly string[];
  readonly names?: Names;
  readonly isFile?: true;
  readonly home?: string;
  readonly identity?: string;
}

/** What can stand as the last of these words, which follow the name of the program. Never throws: what makes no sense wants nothing. */
function wanted(program: Command, words: readonly string[]): Wanted {
  let command = program;
  let given = 0;
  let isText = false; // behind --
  let open: Option | undefined; // waits for its value
  const settings: Record<string, string> = {};
  const last = words.at(-1) ?? "";
  for (const word of words.slice(0, -1)) {
    if (open !== undefined) {
      settings[open.attributeName()] = word;
      open = undefined;
    } else if (isText) given++;
    else if (word === "--") isText = true;
    else if (word.startsWith("-") && word !== "-") {
      const [name = "", value] = word.split("=", 2);
      const option = optionsOf(command).find(({ short, long }) => name === short || name === long);
      if (value !== undefined && option) settings[option.attributeName()] = value;
      else if (option?.required) open = option;
    } else {
      const sub = given === 0 ? command.commands.find((each) => each.name() === word) : undefined;
      if (sub === undefined) given++;
      else command = sub;
    }
  }
  const { home, identity } = settings;
  const where = { ...(home === undefined ? {} : { home }), ...(identity === undefined ? {} : { identity }) };
  if (open !== undefined) return { ...valueWanted(open), ...where };
  if (last.startsWith("-") && !isText) {
    const options = optionsOf(command).filter((option) => !option.hidden && takes(command, option));
    return { words: [...options.flatMap(({ long }) => long ?? []), "--help"], ...where };
  }
  if (command.name() === "help") return { words: namesBelow(program, words.slice(words.indexOf("help") + 1, -1)) };
  const below = namesBelow(command, []);
  if (below.length > 0 && given === 0) return { words: below, ...where };
  const { registeredArguments: all } = command;
  const argument = all[given] ?? (all.at(-1)?.variadic ? all.at(-1) : undefined);
  const kind = argument === undefined ? undefined : ARGUMENTS[`${command.name()} ${argument.name()}`];
  return { ...(kind ?? ARGUMENTS[argument?.name() ?? ""] ?? { words: [] }), ...where };
}

/** Of the commands below the one that these words name. */
function namesBelow(command: Command, path: readonly string[]): string[] {
  const [name, ...rest] = path;
  if (name === undefined) return command.commands.filter((it) => !HIDDEN.has(it.name())).map((it) => it.name());
  const found = command.commands.find((each) => each.name() === name);
  return found === undefined ? [] : namesBelow(found, rest);
}

/** Prints what can stand there, one a line; ":files" stands for files. Silent where nothing is known, also when no daemon runs. */
export async function complete(screen: Screen, program: Command, words: readonly string[]): Promise<number> {
  const last = unquoted(words.at(-1) ?? "");
  const { words: known, names, isFile, home, identity } = wanted(program, words);
  const all = [...known];
  try {
    const client = new Client(homePaths(homeNamed(home, identity)).sock);
    if (names === "identities") all.push(...(await identitiesOf(homeNamed(home))));
    else if (names !== undefined) all.push(...(await namesOf(client, names)));
  } catch {
    // A shell in the middle of a line is no place for complaints.
  }
  const fitting = all.filter((each) => each.toLowerCase().startsWith(last.toLowerCase()));
  for (const each of new Set(fitting)) if (PLAIN.test(each)) screen.out(each);
  if (isFile) screen.out(":files");
  return EXIT.done;
}

/** The script of a shell. Throws "usage" for one that is not known. */
export function completionScript(shell: string): string {
  const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell as keyof typeof SCRIPTS] : undefined;
  if (script === undefined) throw usage(`completion is for ${Object.keys(SCRIPTS).join(", ")}, not for "${shell}"`);
  return script;
}

async function namesOf(client: Client, names: Exclude<Names, "identities">): Promise<string[]> {
  switch (names) {
    case "requests":
      return (await client.call<RequestList>("GET", "/v1/requests")).requests.map(({ request }) =>
        request.slice(0, 12),
      );
    case "caches":
      return (await client.call<StatusInfo>("GET", "/v1/status")).caches.map(({ hashname }) => hashname.slice(0, 12));
    case "mails":
      return (await client.call<OutboxList>("GET", "/v1/outbox")).outbox
        .filter(({ kind }) => kind !== "card" && kind !== "sync")
        .map(({ id }) => id.slice(0, 12));
    case "blocked":
      return (await client.call<BlockedList>("GET", "/v1/blocked")).blocked.map(({ hashname }) =>
        hashname.slice(0, 12),
      );
    case "devices":
      return (await client.call<DeviceList>("GET", "/v1/devices")).devices
        .filter(({ isThis }) => !isThis)
        .map(({ hashname }) => hashname.slice(0, 12));
    case "webhooks":
      return (await client.call<WebhookList>("GET", "/v1/webhooks")).webhooks.map(({ id }) => id);
    case "lists":
      return (await client.call<Lists>("GET", "/v1/lists")).lists.map(({ name }) => name);
    default: {
      const { contacts } = await client.call<ContactList>("GET", "/v1/contacts");
      const people = contacts.map(({ id, name }) => (name !== undefined && PLAIN.test(name) ? name : id.slice(0, 12)));
      return names === "contacts" ? people : [...people, ...(await namesOf(client, "lists"))];
    }
  }
}

function optionsOf(command: Command): Option[] {
  return command.parent === null ? [...command.options] : [...command.options, ...optionsOf(command.parent)];
}

function valueWanted(option: Option): Wanted {
  const name = option.attributeName();
  const setting = NAMES.find((each) => each === name);
  const kind = setting && settingOf(setting).kind;
  return OPTIONS[name] ?? (kind === FILE_KIND ? FILE : { words: option.argChoices ?? kind?.choices ?? [] });
}

/** As the shell has it while it is typed: "bob\ sm", 'bob sm. */
function unquoted(word: string): string {
  return word.replace(/^["']/, "").replace(/\\(.)/gs, "$1");
}

export const COMPLETE = "complete";
const HIDDEN: ReadonlySet<string> = new Set([COMPLETE, "manual"]);
const CONTACT: Wanted = { words: [], names: "contacts" };
const FILE: Wanted = { words: [], isFile: true };
/** By the argument's name; before that by those of command and argument. */
const ARGUMENTS: Readonly<Record<string, Wanted>> = {
  contact: CONTACT,
  who: CONTACT,
  file: FILE,
  list: { words: [], names: "lists" },
  cache: { words: [], names: "caches" },
  webhook: { words: [], names: "webhooks" },
  state: { words: ["on", "off"] },
  shell: { words: ["bash", "zsh", "fish"] },
  "send contact": { words: [], names: "contacts and lists" },
  "track id": { words: [], names: "mails" },
  "cancel id": { words: [], names: "mails" },
  "unblock hashname": { words: [], names: "blocked" },
  "remove hashname": { words: [], names: "devices" },
  "offer on|off": { words: ["on", "off"] },
  "serve on|off": { words: ["on", "off"] },
  "requests answer": { words: ["accept", "ignore"] },
  "requests id": { words: [], names: "requests" },
};
const OPTIONS: Readonly<Record<string, Wanted>> = {
  contact: CONTACT,
  for: { words: ["me"], names: "contacts" },
  file: FILE,
  out: FILE,
  home: FILE,
  config: FILE,
  exec: FILE,
  identity: { words: [], names: "identities" },
  passphraseFile: FILE,
  newPassphraseFile: FILE,
};
/** A name that is no option to a program, and nothing to a terminal. */
const PLAIN = /^[^\p{C}\p{Zl}\p{Zp}-][^\p{C}\p{Zl}\p{Zp}]*$|^--[a-z-]+$/u;
const SCRIPTS = {
  bash: `# restante in bash: put this line into ~/.bashrc:   eval "$(restante completion bash)"
_restante() {
  local line cur=\${COMP_WORDS[COMP_CWORD]}
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      compopt -o filenames 2>/dev/null
      while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$cur")
    else
      printf -v line %q "$line"
      COMPREPLY+=("$line")
    fi
  done < <(restante ${COMPLETE} -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _restante restante`,
  zsh: `#compdef restante
# restante in zsh: put this line into ~/.zshrc, after compinit:   eval "$(restante completion zsh)"
_restante() {
  local line
  local -a lines
  lines=("\${(@f)$(restante ${COMPLETE} -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  for line in $lines; do
    if [[ $line == :files ]]; then _files; else compadd -- "$line"; fi
  done
}
compdef _restante restante`,
  fish: `# restante in fish: restante completion fish > ~/.config/fish/completions/restante.fish
function __restante_complete
  set -l words (commandline -opc) (commandline -ct)
  for line in (restante ${COMPLETE} -- $words[2..-1] 2>/dev/null)
    if test "$line" = ":files"
      __fish_complete_path (commandline -ct)
    else
      echo $line
    end
  end
end
complete -c restante -f -a "(__restante_complete)"`,
} as const;
