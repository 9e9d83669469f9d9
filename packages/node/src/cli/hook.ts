/** A program of the user's that gets each mail: what `recv --exec` runs. */
import { spawn } from "node:child_process";
import { resolve as absolute } from "node:path";
import { RestanteError } from "restante";
import type { MessageInfo } from "../api/contract.ts";
import { printable } from "./screen.ts";

export interface Hook {
  readonly program: string;
  readonly args: readonly string[];
  /** The program is a line for `sh -c`, and the arguments are its $1, $2, ... */
  readonly isShell: boolean;
  /** Variables beside ours: which home it is, so that what it calls speaks to the same daemon. */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Runs it for one mail: the JSON that `recv --json` prints on its stdin, and some of it in RESTANTE_MAIL_* variables; its output goes
 * where ours goes. Nothing that somebody else wrote is ever part of a command line. `file`, where its file was saved, is told as an
 * absolute path: no program takes that for an option. Resolves when it has ended: with nothing when its exit code was 0, else with
 * what was wrong, in words. Throws "no-file" where it cannot be started.
 */
export function runHook(
  { program, args, isShell, env: more }: Hook,
  mail: MessageInfo,
  file?: string,
): Promise<string | undefined> {
  const saved = file && absolute(file);
  const json = JSON.stringify({ ...mail, ...(mail.file && { file: { ...mail.file, ...(saved && { saved }) } }) });
  const env = { ...process.env, ...more, ...variables(mail, saved) };
  const stdio = ["pipe", "inherit", "inherit"] as const;
  return new Promise((resolve, reject) => {
    const child = isShell
      ? spawn("/bin/sh", ["-c", program, "sh", ...args], { env, stdio: [...stdio] })
      : spawn(program, args, { env, stdio: [...stdio] });
    child.on("error", (error: NodeJS.ErrnoException) =>
      reject(new RestanteError("no-file", `"${program}" cannot be run: ${WHY[error.code ?? ""] ?? error.message}`)),
    );
    child.on("close", (code, signal) => {
      if (code === 0) resolve(undefined);
      else resolve(signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`);
    });
    child.stdin?.on("error", () => {}); // it need not read
    child.stdin?.end(`${json}\n`);
  });
}

/** Not the text: variables of a process are shown in more places than its input. */
function variables(mail: MessageInfo, saved: string | undefined): Record<string, string> {
  const { n, id, contact, name = "", from, kind, received } = mail;
  return {
    RESTANTE_MAIL_N: String(n),
    RESTANTE_MAIL_ID: id,
    RESTANTE_MAIL_CONTACT: contact,
    RESTANTE_MAIL_NAME: printable(name, { oneLine: true }),
    RESTANTE_MAIL_FROM: from,
    RESTANTE_MAIL_KIND: printable(kind, { oneLine: true }),
    RESTANTE_MAIL_RECEIVED: String(received),
    RESTANTE_MAIL_FILE: saved ?? "",
  };
}

const WHY: Readonly<Record<string, string>> = {
  ENOENT: "there is no such program",
  EACCES: "it is no program, or you have no permission for it",
};
