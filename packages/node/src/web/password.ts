/**
 * The password of the page: only a slow hash of it lies in the home. And how often one may be tried: so seldom that guessing is
 * hopeless, and never so that the owner, at the machine or with a link, is kept out. docs/web.md
 */
import { createHash, randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from "node:crypto";
import { stat, unlink } from "node:fs/promises";
import { isIP } from "node:net";
import { RestanteError } from "restante";
import { Budget, Budgets, fromUtf8, utf8 } from "restante/protocol";
import { readPrivate, replacePrivate } from "../store/private-file.ts";

/** Where the hash lies in a home; there is none without a password. */
export const PASSWORD_FILE = "web-password";

/** Write the hash of a password. Throws "bad-password" for one that is too short or too long. */
export async function writePassword(file: string, password: string): Promise<void> {
  const length = [...password].length;
  if (length < LEAST || length > MOST)
    throw new RestanteError("bad-password", `a password has ${LEAST} to ${MOST} characters; some words are a good one`);
  const salt = randomBytes(SALT_BYTES);
  const hash = await hashOf(password, salt, COST);
  const { N, r, p } = COST;
  const line = ["scrypt", N, r, p, salt.toString("base64url"), hash.toString("base64url")].join(" ");
  await replacePrivate(file, utf8(`${line}\n`));
}

/** No password from now on. False when there was none. */
export async function removePassword(file: string): Promise<boolean> {
  try {
    await unlink(file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/** That of a home, as it is now: it may be set and changed while the daemon runs. */
export class Password {
  readonly #file: string;
  #saved: Saved | undefined;
  #stamp = "";

  private constructor(file: string) {
    this.#file = file;
  }

  /** Throws "open-permissions" when others can read the file, "bad-file" when it holds something else. */
  static async load(file: string): Promise<Password> {
    const password = new Password(file);
    await password.refresh();
    return password;
  }

  /** Names the one that is set now; `undefined`: none is. What was begun with another is over. */
  get tag(): string | undefined {
    return this.#saved?.tag;
  }

  /** Look whether it was changed. Throws as `load`. */
  async refresh(): Promise<void> {
    const found = await stat(this.#file, { bigint: true }).catch(() => undefined);
    const stamp = found === undefined ? "" : `${found.ino} ${found.mtimeNs} ${found.size}`;
    if (stamp === this.#stamp) return;
    const bytes = await readPrivate(this.#file);
    this.#saved = bytes === undefined ? undefined : savedIn(bytes);
    if (bytes !== undefined && this.#saved === undefined)
      throw new RestanteError(
        "bad-file",
        `"${this.#file}" holds no password; \`restante web password\` sets a new one`,
      );
    this.#stamp = stamp;
  }

  /** Takes as long for a right one as for a wrong one. False where none is set. */
  async isRight(password: string): Promise<boolean> {
    const saved = this.#saved;
    // A longer one is none: nobody may make us hash a megabyte.
    if (saved === undefined || password.length > 4 * MOST) return false;
    return timingSafeEqual(await hashOf(password, saved.salt, saved.cost), saved.hash);
  }
}

interface Saved {
  readonly cost: ScryptOptions;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
  readonly tag: string;
}

/** `right`: what was tried is right; else in how many seconds another may be tried, 0: at once. */
export type Attempt = { readonly isRight: true } | { readonly isRight: false; readonly tooMany?: number };

/** Counts attempts, of an address and in all. */
export class Attempts {
  readonly #now: () => number;
  readonly #addresses = new Budgets<string>(() => new Budget(PER_SECOND, AT_ONCE), MOST_ADDRESSES);
  readonly #all = new Budget(ALL_PER_SECOND, ALL_AT_ONCE);
  /** Where somebody logged in before: others cannot use up what these have. */
  readonly #known = new Set<string>();
  /** The one that is being looked at: a hash takes much memory. */
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Tries one that came from this address; `undefined`: by a proxy, nobody knows from where. */
  async attempt(address: string | undefined, check: () => Promise<boolean>): Promise<Attempt> {
    const group = address === undefined ? UNKNOWN : groupOf(address);
    const now = this.#now();
    const own = this.#addresses.of(group);
    if (own.left(now) < 1) return { isRight: false, tooMany: Math.ceil((1 - own.left(now)) / PER_SECOND) };
    if (this.#waiting >= MOST_WAITING) return { isRight: false, tooMany: 5 };
    const isApart = group === LOOPBACK || this.#known.has(group);
    if (!isApart && !this.#all.take(now)) return { isRight: false, tooMany: Math.ceil(1 / ALL_PER_SECOND) };
    own.take(now);
    this.#waiting++;
    const looked = this.#turn.then(check);
    this.#turn = looked.catch(() => {});
    try {
      if (!(await looked)) return { isRight: false };
    } finally {
      this.#waiting--;
    }
    this.#known.add(group);
    const [oldest] = this.#known;
    if (this.#known.size > MOST_KNOWN && oldest !== undefined) this.#known.delete(oldest);
    return { isRight: true };
  }
}

/** The group of this machine. */
export const LOOPBACK = "this machine";

/** What an address is counted as: `LOOPBACK`, this machine; IPv4 whole; of IPv6 the /64, which one household has for itself. */
export function groupOf(text: string): string {
  const address = text.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
  if (isLoopback(address)) return LOOPBACK;
  if (isIP(address) !== 6) return address;
  const [head = "", tail] = address.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const middle = tail === undefined ? [] : Array<string>(Math.max(0, 8 - left.length - right.length)).fill("0");
  return [...left, ...middle, ...right].slice(0, 4).join(":");
}

/** Whether it is an address of this machine for itself. */
export function isLoopback(address: string): boolean {
  return address === "::1" || (isIP(address) === 4 && address.startsWith("127."));
}

function savedIn(bytes: Uint8Array): Saved | undefined {
  const line = fromUtf8(bytes)?.trim() ?? "";
  const [, n, r, p, salt = "", hash = ""] = LINE.exec(line) ?? [];
  const cost = { N: Number(n), r: Number(r), p: Number(p), maxmem: MAX_MEMORY };
  const isSane = cost.N >= 2 ** 14 && cost.N <= 2 ** 17 && cost.r <= 8 && cost.p <= 16;
  const digest = Buffer.from(hash, "base64url");
  if (!isSane || digest.length !== HASH_BYTES) return undefined;
  const tag = createHash("sha256").update(line).digest("hex").slice(0, 16);
  return { cost, salt: Buffer.from(salt, "base64url"), hash: digest, tag };
}

function hashOf(password: string, salt: Uint8Array, cost: ScryptOptions): Promise<Buffer> {
  // The same password typed on another system may come in other code points.
  const text = password.normalize("NFKC");
  return new Promise((resolve, reject) =>
    scrypt(text, salt, HASH_BYTES, { ...cost, maxmem: MAX_MEMORY }, (error, hash) =>
      error ? reject(error) : resolve(hash),
    ),
  );
}

const LEAST = 10;
const MOST = 256;
const COST = { N: 2 ** 15, r: 8, p: 3 }; // OWASP's equal of 2^17 with p = 1, in 32 MiB
const MAX_MEMORY = 256 * 1024 * 1024;
const SALT_BYTES = 16;
const HASH_BYTES = 32;
const LINE = /^scrypt (\d{1,7}) (\d{1,2}) (\d{1,2}) ([\w-]{22}) ([\w-]{43})$/;
const UNKNOWN = "by a proxy";
const PER_SECOND = 1 / 60; // of one address, and so many at once
const AT_ONCE = 5;
const ALL_PER_SECOND = 1 / 6;
const ALL_AT_ONCE = 60;
const MOST_ADDRESSES = 10_000;
const MOST_KNOWN = 64;
const MOST_WAITING = 8;
