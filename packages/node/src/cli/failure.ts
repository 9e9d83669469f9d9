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

/** What to print for an error of any origin, and the exit code. The line is empty where help was asked for and given. */
export function failureOf(error: unknown): { code: number; line: string } {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return { code: EXIT.done, line: "" };
    const help = `see \`${self()} --help\``;
    const advice =
      error.code === "commander.unknownOption" ? `${help}, or put -- before a text that starts with a dash` : help;
    const text = error.code === "commander.help" ? "a command is missing" : error.message.replace(/^error: /, "");
    return { code: EXIT.usage, line: oneLine(`${text.replace(/\.$/, "")}; ${advice}`) };
  }
  const code = (error instanceof RestanteError ? CODES[error.code] : undefined) ?? EXIT.degraded;
  return { code, line: oneLine(error instanceof Error ? error.message : String(error)) };
}

/** A mistake in how a command was used. The message says what is wrong and what to do. */
export function usage(message: string): RestanteError {
  return new RestanteError("usage", message);
}

/** How this user can call this program again: as it was called this time. */
export function self(script: string = process.argv[1] ?? "", env: NodeJS.ProcessEnv = process.env): string {
  if (env["npm_lifecycle_event"] !== undefined) return "npm run -s restante --";
  if (basename(script) === "restante") return "restante";
  return `node ${quote(relative(process.cwd(), script) || script)}`;
}

/** A word for a POSIX shell, in quotes only where it must be. */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function oneLine(text: string): string {
  return `restante: ${text.trim().replace(/\.?\s*\n\s*/g, " ")}`;
}

const CODES: Readonly<Record<string, number>> = {
  usage: EXIT.usage,
  "bad-request": EXIT.usage,
  "bad-invite": EXIT.usage,
  "bad-link": EXIT.usage,
  "bad-name": EXIT.usage,
  "bad-address": EXIT.usage,
  "bad-home": EXIT.usage,
  "bad-file": EXIT.usage,
  "needs-router": EXIT.usage,
  ambiguous: EXIT.usage,
  "no-daemon": EXIT.noDaemon,
  "not-found": EXIT.notFound,
  "no-file": EXIT.notFound,
  "no-keys": EXIT.notFound,
  "wrong-keys": EXIT.refused,
  self: EXIT.refused,
  known: EXIT.refused,
  full: EXIT.refused,
  final: EXIT.refused,
  refused: EXIT.refused,
  "too-large": EXIT.refused,
  "no-cache": EXIT.refused,
  "no-mail": EXIT.refused,
  "home-locked": EXIT.refused,
  "store-locked": EXIT.refused,
  "open-permissions": EXIT.refused,
};
