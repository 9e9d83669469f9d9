/**
 * Which browsers may use the API. A one-time token, printed by the daemon to its user, or a password becomes a session: a cookie
 * that scripts cannot read, and a key that every request names in a header. Neither is worth anything alone: cookies do not tell ports
 * apart, so any other program's page on this machine is sent ours; and the key is all that a script could steal.
 */
import { createHash, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { replacePrivate } from "../store/private-file.ts";

export interface Session {
  /** Aborted when it ends: what streams for it stops. */
  readonly ended: AbortSignal;
}

/** How somebody was let in, for its owner to recognize. */
export interface Entry {
  /** The address that it came from; "" where that is unknown. */
  readonly from: string;
  /** "Firefox on Linux"; "" where it does not say. */
  readonly browser: string;
}

/** What is told of a session. Times in ms. */
export interface SessionInfo extends Entry {
  readonly id: string;
  readonly since: number;
  readonly seen: number;
  readonly via: "link" | "password";
}

/** What the browser keeps. */
export interface Credentials {
  readonly cookie: string;
  readonly key: string;
}

/** Sessions of one daemon. They outlive it: its file knows digests of them, and when they began. */
export class Sessions {
  readonly #file: string;
  readonly #now: () => number;
  /** By digest of cookie and key, the oldest first. */
  readonly #open: Map<string, Open>;
  /** Tokens not used yet, by digest. */
  readonly #tokens = new Map<string, number>();
  #saving: Promise<unknown> = Promise.resolve();

  private constructor(file: string, now: () => number, saved: readonly (readonly [string, Saved])[]) {
    this.#file = file;
    this.#now = now;
    this.#open = new Map(saved.map(([digest, it]) => [digest, { ...it, seen: it.since, end: new AbortController() }]));
  }

  /** Those of the file; none when it is not there or cannot be read: then users ask for another link. */
  static async load(file: string, now: () => number = Date.now): Promise<Sessions> {
    return new Sessions(file, now, savedIn(await readFile(file, "utf8").catch(() => "")));
  }

  /** A new token: good once, for a day, and until eight others were made. */
  token(): string {
    const token = randomText();
    this.#tokens.set(digest(token), this.#now());
    for (const [oldest] of this.#tokens) if (this.#tokens.size > MAX_TOKENS) this.#tokens.delete(oldest);
    return token;
  }

  /** A session for this token, which is used up by it. `undefined`: it is not, or not any more, one of ours. */
  async enter(token: string, entry: Entry): Promise<Credentials | undefined> {
    const made = this.#tokens.get(digest(token));
    if (made === undefined || this.#now() - made > TOKEN_MS) return undefined;
    this.#tokens.delete(digest(token));
    return await this.#begin(entry, "");
  }

  /** A session for who knew the password that `tag` names. */
  async admit(tag: string, entry: Entry): Promise<Credentials> {
    return await this.#begin(entry, tag);
  }

  async #begin({ from, browser }: Entry, tag: string): Promise<Credentials> {
    const credentials = { cookie: randomText(), key: randomText() };
    const since = this.#now();
    this.#open.set(digestOf(credentials), { since, seen: since, tag, from, browser, end: new AbortController() });
    for (const [oldest] of this.#open) if (this.#open.size > MAX_SESSIONS) this.#end(oldest);
    await this.#save();
    return credentials;
  }

  /** The session that both parts belong to, if it goes on. */
  find(credentials: Credentials): Session | undefined {
    // Looked up by digest: how long a comparison takes says nothing about a secret.
    const found = this.#open.get(digestOf(credentials));
    if (found === undefined) return undefined;
    if (this.#now() - found.since <= SESSION_MS) {
      found.seen = this.#now();
      return { ended: found.end.signal };
    }
    this.#end(digestOf(credentials));
    return undefined;
  }

  /** Log out. */
  async leave(credentials: Credentials): Promise<void> {
    this.#end(digestOf(credentials));
    await this.#save();
  }

  /** All of them, the oldest first, and which is that of these. */
  list(own: Credentials): readonly (SessionInfo & { readonly isThis: boolean })[] {
    const mine = digestOf(own);
    return [...this.#open].map(([digest, { since, seen, tag, from, browser }]) => ({
      ...{ id: idOf(digest), since, seen, via: tag === "" ? "link" : "password", from, browser },
      isThis: digest === mine,
    }));
  }

  /** End one by its id, or all but that of `own`. How many were ended. */
  async end(which: string | { readonly own: Credentials }): Promise<number> {
    const isMeant = (digest: string): boolean =>
      typeof which === "string" ? idOf(digest) === which : digest !== digestOf(which.own);
    return await this.#endThose([...this.#open.keys()].filter(isMeant));
  }

  /** Those that began with another password than that of now are over; `undefined`: with any. */
  async passwordIs(tag: string | undefined): Promise<void> {
    await this.#endThose([...this.#open].flatMap(([digest, it]) => (it.tag !== "" && it.tag !== tag ? [digest] : [])));
  }

  async #endThose(digests: readonly string[]): Promise<number> {
    for (const digest of digests) this.#end(digest);
    if (digests.length > 0) await this.#save();
    return digests.length;
  }

  #end(digest: string): void {
    this.#open.get(digest)?.end.abort();
    this.#open.delete(digest);
  }

  /** One after the other, each with what is so then: what was ended must not come back by a slower write. */
  #save(): Promise<void> {
    const saved = this.#saving.then(async () => {
      const lines = [...this.#open].map(
        ([digest, { since, tag, from, browser }]) =>
          `${[digest, since, tag || "-", from || "-", browser].join(" ").trim()}\n`,
      );
      await replacePrivate(this.#file, Buffer.from(lines.join("")));
    });
    this.#saving = saved.catch(() => {});
    return saved;
  }
}

interface Saved extends Entry {
  readonly since: number;
  /** Of the password that it began with; "": with a link. */
  readonly tag: string;
}

interface Open extends Saved {
  seen: number;
  readonly end: AbortController;
}

/** The first versions wrote digest and time alone. */
function savedIn(text: string): (readonly [string, Saved])[] {
  const lines = text.split("\n").map((line) => LINE.exec(line));
  const known = (word = "-"): string => (word === "-" ? "" : word);
  const saved = lines.flatMap((match) => {
    const [, digest = "", since, tag, from, browser = ""] = match ?? [];
    return digest === ""
      ? []
      : [[digest, { since: Number(since), tag: known(tag), from: known(from), browser }] as const];
  });
  return saved.slice(-MAX_SESSIONS);
}

/** Names a session to its owner, and opens nothing. */
function idOf(digest: string): string {
  return digest.slice(0, 16);
}

function digestOf({ cookie, key }: Credentials): string {
  return digest(`${cookie}.${key}`);
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function randomText(): string {
  return randomBytes(32).toString("base64url");
}

const LINE = /^([0-9a-f]{64}) (\d{1,15})(?: ([0-9a-f]{16}|-) (\S{1,64})(?: ([\w .-]{1,40}))?)?$/;
const TOKEN_MS = 86_400_000;
const SESSION_MS = 30 * 86_400_000;
const MAX_TOKENS = 8;
const MAX_SESSIONS = 16;
