/** Where a passphrase comes from: a file, what systemd hands over, or somebody at a terminal. Never the command line: all see it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { RestanteError } from "restante";
import { fromUtf8 } from "restante/protocol";
import { readPrivate } from "../store/private-file.ts";

/** What a terminal has to do for it: `process.stdin`, and where the question goes. */
export interface Terminal {
  readonly input: NodeJS.ReadStream;
  readonly output: { write(text: string): unknown };
}

/**
 * One that is there already. `file`: the first line counts; `undefined`: $CREDENTIALS_DIRECTORY/restante-passphrase (systemd),
 * where that is; else somebody is asked. Throws "no-passphrase" when there is nobody, "no-file", "open-permissions".
 */
export async function knownPassphrase(
  question: string,
  file: string | undefined,
  terminal: Terminal = ours(),
): Promise<string> {
  return (await fromFile(file)) ?? (await ask(terminal, question));
}

/** That of the key of a home, for `loadOrCreateKey`: asks when it has to. */
export function keyPassphrase(of: { home: string; passphraseFile?: string }): () => Promise<string> {
  return () => knownPassphrase(`the passphrase of ${of.home}`, of.passphraseFile);
}

/** A new one: asked for twice. Throws as `knownPassphrase`, and "bad-passphrase" when the two differ. */
export async function newPassphrase(
  question: string,
  file: string | undefined,
  terminal: Terminal = ours(),
): Promise<string> {
  return (await fromFile(file)) ?? (await typedTwice(question, terminal));
}

/** Asks twice. Throws "no-passphrase" where nobody can be asked, "bad-passphrase" when the two differ. */
export async function typedTwice(question: string, terminal: Terminal = ours()): Promise<string> {
  const first = await ask(terminal, question);
  if (first === "") throw new RestanteError("bad-passphrase", "the passphrase is empty");
  if ((await ask(terminal, "once more")) === first) return first;
  throw new RestanteError("bad-passphrase", "the two are not the same");
}

async function fromFile(file = credential()): Promise<string | undefined> {
  if (file === undefined) return undefined;
  const bytes = await readPrivate(file);
  if (bytes === undefined) throw new RestanteError("no-file", `there is no file "${file}"`);
  const [line] = fromUtf8(bytes)?.split(/\r?\n/, 1) ?? [];
  if (line === undefined || line === "")
    throw new RestanteError("bad-passphrase", `"${file}" has no passphrase in its first line`);
  return line;
}

/** systemd.exec(5), LoadCredential=: only the service can read it, and it is on no disk in clear. */
function credential(): string | undefined {
  const dir = process.env["CREDENTIALS_DIRECTORY"];
  const file = dir && join(dir, "restante-passphrase");
  return file && existsSync(file) ? file : undefined;
}

function ours(): Terminal {
  return { input: process.stdin, output: process.stderr };
}

/** A line that is typed and not shown. */
async function ask({ input, output }: Terminal, question: string): Promise<string> {
  if (!input.isTTY) throw new RestanteError("no-passphrase", "a passphrase is needed, and nobody can be asked");
  output.write(`${question}: `);
  const wasRaw = input.isRaw;
  input.setRawMode(true);
  try {
    return await typed(input);
  } finally {
    input.setRawMode(wasRaw);
    input.pause();
    output.write("\n");
  }
}

function typed(input: NodeJS.ReadStream): Promise<string> {
  return new Promise((resolve, reject) => {
    let line = "";
    const end = (run: () => void): void => {
      input.off("data", take);
      input.off("end", cut);
      run();
    };
    const cut = (): void => end(() => reject(new RestanteError("no-passphrase", "no passphrase was given")));
    const take = (piece: Buffer | string): void => {
      // In raw mode keys come as they are: what the terminal does with them otherwise is done here.
      for (const key of String(piece)) {
        if (key === "\r" || key === "\n") return end(() => resolve(line));
        if (key === "\x03" || key === "\x04") return cut();
        if (key === "\x7f" || key === "\b") line = [...line].slice(0, -1).join("");
        else if (key === "\x15") line = "";
        else if (key >= " ") line += key;
      }
    };
    input.on("data", take);
    input.on("end", cut);
    input.resume();
  });
}
