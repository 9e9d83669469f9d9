/** Failures as the user sees them: one line that says what is wrong and what to do, and an exit code. */
import { basename, relative } from "node:path";
import { CommanderError } from "commander";
import { RestanteError } from "restante";

export const EXIT = {
  done: 0,
  /** Something that should work does not, at the moment or until somebody repairs it. */
  degraded: 1,
  usage: 2,
  noDaemon: 3,
  notFound: 4,
  refused: 5,
  /** EX_TEMPFAIL of sysexits.h: durable here, not yet delivered. */
  queued: 75,
} as const;

/** The codes in words, for the manual. */
export const EXIT_WORDS: readonly (readonly [code: number, words: string])[] = [
  [EXIT.done, "done"],
  [
    EXIT.degraded,
    "something that should work does not, now or until somebody repairs it: a contact that does not answer, a file that could not be saved, a daemon with a problem",
  ],
  [EXIT.usage, "wrong use: nothing was done"],
  [EXIT.noDaemon, "no daemon runs in this home"],
  [EXIT.notFound, "there is no such contact, mail, file or home; or nothing was found"],
  [EXIT.refused, "refused: it cannot be done so, and the message says why"],
  [EXIT.queued, "queued: the mail is kept and goes on, but was not delivered in the time given with --wait"],
];

/** What to print for an error of any origin, and the exit code. The line is empty where help was asked for and given. */
export function failureOf(error: unknown): { code: number; line: string } {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return { code: EXIT.done, line: "" };
    const help = `see \`${program()} --help\``;
    const advice =
      error.code === "commander.unknownOption" ? `${help}, or put -- before a text that starts with a dash` : help;
    const text = error.code === "commander.help" ? "a command is missing" : ownWords(error.message);
    return { code: EXIT.usage, line: oneLine(advised(text, advice)) };
  }
  const { exit = EXIT.degraded, advice } = (error instanceof RestanteError ? CODES[error.code] : undefined) ?? {};
  const message = error instanceof Error ? wordsOf(error) : String(error);
  return { code: exit, line: oneLine(advice === undefined ? message : advised(message, advice)) };
}

/** A mistake in how a command was used. The message says what is wrong and what to do. */
export function usage(message: string): RestanteError {
  return new RestanteError("usage", message);
}

/** How this user can call this program again for the same home and identity: as it was called this time. */
export function self(
  script: string = process.argv[1] ?? "",
  env: NodeJS.ProcessEnv = process.env,
  args: readonly string[] = process.argv.slice(2),
): string {
  return [program(script, env), ...whose(args)].join(" ");
}

/** As `self`, but for the home, and the identity, of the default. */
export function program(script: string = process.argv[1] ?? "", env: NodeJS.ProcessEnv = process.env): string {
  if (isFromNpm(env)) return "npm run -s restante --";
  if (basename(script) === "restante") return "restante";
  return `node ${quote(relative(process.cwd(), script) || script)}`;
}

/** Which home and identity the command line named. What the environment says it says the next time, too. */
export function whose(args: readonly string[] = process.argv.slice(2)): string[] {
  const given = new Map<string, string>();
  for (const [i, arg] of args.entries()) {
    if (arg === "--") break;
    const [, option = "", value = args[i + 1]] = /^(--home|--identity)(?:=(.*))?$/s.exec(arg) ?? [];
    if (option !== "" && value) given.set(option, quote(value));
  }
  return [...given].flat();
}

/** What is wrong, and what to do about it. */
export function advised(message: string, advice: string): string {
  return `${message.replace(/\.$/, "")}; ${advice}`;
}

/** Was this program called by a script of the workspace, as in `npm start`? */
export function isFromNpm(env: NodeJS.ProcessEnv = process.env): boolean {
  return env["npm_lifecycle_event"] !== undefined;
}

function ownWords(message: string): string {
  return message
    .replace(/^error: /, "")
    .replace(/^command-argument value '(.*)' is invalid for argument '(.*?)'\. /s, '"$1" does not do for $2. ');
}

/** A word for a POSIX shell, in quotes only where it must be. */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** What the system says with a code and the name of a call, as a sentence about the file. */
function wordsOf({ message, code, path, syscall }: NodeJS.ErrnoException): string {
  const words = code === undefined ? undefined : SYSTEM[code];
  if (words === undefined) return message;
  if (path === undefined) return syscall === "read" || syscall === "write" ? words : message; // of an open file it has no name
  return `${path}: ${words}`;
}

function oneLine(text: string): string {
  return `restante: ${text.trim().replace(/\.?\s*\n\s*/g, " ")}`;
}

const SYSTEM: Readonly<Record<string, string>> = {
  EACCES: "you have no permission for it",
  EPERM: "you have no permission for it",
  EROFS: "it is on a disk that cannot be written to",
  ENOSPC: "the disk is full",
  EDQUOT: "your share of the disk is used up",
  ENOTDIR: "a part of this path is a file, not a folder",
  EISDIR: "it is a folder, not a file",
  ENOENT: "there is no such file or folder",
};
/**
 * What each code means for who uses the command line: the exit code, and what to do where the message does not say it. A code
 * that is not here has exit code 1. Those that no command can meet stand in the test.
 */
export const CODES: Readonly<Record<string, { readonly exit: number; readonly advice?: string }>> = {
  usage: { exit: EXIT.usage },
  "bad-request": { exit: EXIT.usage },
  "bad-config": { exit: EXIT.usage },
  "bad-days": { exit: EXIT.usage },
  "bad-invite": { exit: EXIT.usage },
  "bad-link": { exit: EXIT.usage },
  "bad-name": { exit: EXIT.usage },
  "bad-work": { exit: EXIT.usage },
  "bad-address": { exit: EXIT.usage },
  "bad-home": { exit: EXIT.usage },
  "bad-file": { exit: EXIT.usage },
  "bad-url": { exit: EXIT.usage },
  "bad-mail": { exit: EXIT.usage, advice: "rename the file" },
  "needs-router": { exit: EXIT.usage, advice: "ask its owner for an invite" },
  ambiguous: { exit: EXIT.usage },
  "no-daemon": { exit: EXIT.noDaemon },
  "not-found": { exit: EXIT.notFound },
  "no-file": { exit: EXIT.notFound },
  "no-keys": { exit: EXIT.notFound },
  "wrong-keys": { exit: EXIT.refused, advice: "ask its owner for the link again, on another way" },
  self: { exit: EXIT.refused },
  known: { exit: EXIT.refused },
  mismatch: { exit: EXIT.refused },
  "not-new": { exit: EXIT.refused },
  blocked: { exit: EXIT.refused, advice: `\`${self()} unblock\` takes that back` },
  claimed: { exit: EXIT.refused, advice: "ask that contact whether it is theirs" },
  full: { exit: EXIT.refused },
  final: { exit: EXIT.refused },
  refused: { exit: EXIT.refused },
  "too-large": { exit: EXIT.refused },
  "no-room": { exit: EXIT.refused, advice: `\`${self()} keep\` erases old mail` },
  "no-cipher": { exit: EXIT.refused, advice: "one of you needs a newer version" },
  "no-web": { exit: EXIT.refused, advice: "start it with --web" },
  "no-cache": { exit: EXIT.refused },
  "set-at-start": { exit: EXIT.refused },
  "not-empty": { exit: EXIT.refused },
  "no-offer": { exit: EXIT.notFound, advice: `\`${self()} status\` lists what is offered` },
  "bad-copies": { exit: EXIT.usage },
  "no-contact": { exit: EXIT.refused, advice: "try again in a moment" },
  "home-locked": { exit: EXIT.refused },
  "store-locked": { exit: EXIT.refused, advice: "stop it first, or use another home" },
  "open-permissions": { exit: EXIT.refused },
  "address-in-use": { exit: EXIT.degraded },
  unreachable: { exit: EXIT.degraded },
  "not-running": { exit: EXIT.degraded, advice: "start the daemon again" },
  stopped: { exit: EXIT.degraded, advice: "start the daemon again" },
  restarted: { exit: EXIT.degraded },
  replaced: { exit: EXIT.degraded },
  damaged: { exit: EXIT.degraded },
  internal: { exit: EXIT.degraded },
  "bad-identity": { exit: EXIT.degraded },
  "store-failed": { exit: EXIT.degraded },
  "store-damaged": { exit: EXIT.degraded },
  "store-key": { exit: EXIT.degraded, advice: "key and store belong together" },
  "store-schema": { exit: EXIT.degraded },
  "bad-cluster": { exit: EXIT.usage },
  "no-cluster": { exit: EXIT.degraded },
  "no-config": { exit: EXIT.refused },
  "no-functions": { exit: EXIT.refused },
  "not-memory-only": { exit: EXIT.refused },
  "identity-in-use": { exit: EXIT.refused },
  "bad-passphrase": { exit: EXIT.refused },
  "bad-password": { exit: EXIT.usage },
  "no-password": { exit: EXIT.refused, advice: `\`${self()} web password\` sets one` },
  "bad-certificate": { exit: EXIT.usage },
  "no-passphrase": { exit: EXIT.usage, advice: "start it at a terminal, or give --passphrase-file" },
  "bad-archive": { exit: EXIT.degraded },
  "no-home": { exit: EXIT.notFound, advice: "--home names another" },
  "home-not-empty": { exit: EXIT.refused },
  "file-exists": { exit: EXIT.refused },
  "storage-unusable": { exit: EXIT.usage },
  "bad-sealed": { exit: EXIT.degraded },
  "not-for-us": { exit: EXIT.refused, advice: "--home and --identity name others" },
  "bad-keys": { exit: EXIT.usage },
};
