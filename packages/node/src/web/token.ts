/**
 * The token of a home: with it a program asks the API over HTTP where it has no way to the socket, as from a container or from another
 * machine. It opens what the socket opens: who holds it is the owner. docs/api.md
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { fromUtf8, utf8 } from "restante/protocol";
import { createPrivate, readPrivate, replacePrivate } from "../store/private-file.ts";

/**
 * The token of this home, made when there is none or the file holds something else; `renew`: another one in any case. 43 characters of
 * base64url, 256 random bits, in a file of mode 0600. Throws "open-permissions" when others can read the file.
 */
export async function tokenOf(home: string, { renew = false } = {}): Promise<string> {
  const file = join(home, TOKEN_FILE);
  const saved = await read(file);
  if (saved !== undefined && !renew) return saved;
  const token = randomBytes(32).toString("base64url");
  const line = utf8(`${token}\n`);
  // Of two that make the first one at once both give the one that is there.
  if (renew || !(await createPrivate(file, line))) {
    const first = renew ? undefined : await read(file);
    if (first !== undefined) return first;
    await replacePrivate(file, line);
  }
  return token;
}

/** That of a home, as it is now: it may be renewed, and its file removed, while the daemon runs. */
export class Token {
  readonly #file: string;
  #digest: Buffer | undefined;
  #stamp = "";
  #end = new AbortController();

  private constructor(file: string) {
    this.#file = file;
  }

  /** Makes it where there is none. Throws as `tokenOf`. */
  static async load(home: string): Promise<Token> {
    await tokenOf(home);
    const token = new Token(join(home, TOKEN_FILE));
    await token.refresh();
    return token;
  }

  /** Aborted when the token of now is not that of the home any more: what streams for it stops. */
  get ended(): AbortSignal {
    return this.#end.signal;
  }

  /** Look whether it was changed: without its file no token is right. Throws "open-permissions". */
  async refresh(): Promise<void> {
    const found = await stat(this.#file, { bigint: true }).catch(() => undefined);
    const stamp = found === undefined ? "" : `${found.ino} ${found.mtimeNs} ${found.ctimeNs} ${found.size}`;
    if (stamp === this.#stamp) return;
    // Until it was read: a file that others can read is no secret.
    const before = this.#digest;
    this.#digest = undefined;
    this.#stamp = "";
    try {
      const text = await read(this.#file);
      this.#digest = text === undefined ? undefined : digestOf(text);
      this.#stamp = stamp;
    } finally {
      if (before !== undefined && !(this.#digest?.equals(before) ?? false)) {
        this.#end.abort();
        this.#end = new AbortController();
      }
    }
  }

  /** Whether this is it. How long that takes says nothing about it. */
  isRight(text: string): boolean {
    return this.#digest !== undefined && timingSafeEqual(digestOf(text), this.#digest);
  }
}

/** `undefined`: there is none. */
async function read(file: string): Promise<string | undefined> {
  const bytes = await readPrivate(file);
  const text = bytes && fromUtf8(bytes)?.trim();
  return text !== undefined && TOKEN.test(text) ? text : undefined;
}

function digestOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

const TOKEN_FILE = "token";
const TOKEN = /^[\w-]{43}$/;
