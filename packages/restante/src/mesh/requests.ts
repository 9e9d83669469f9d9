/**
 * Handshakes of peers that nobody has approved yet. Nothing is sent to them; they wait, in a bounded place and for a
 * bounded time, for a word of the application. protocol/exchange.md §5
 */
import { Deadlines, type Time } from "../bytes/index.ts";
import type { Path } from "../card/index.ts";
import type { Hashname } from "../crypto/index.ts";
import type { Opened } from "./opener.ts";

/** All messages of one handshake (one peer, one `at`, one token) that have come so far, by type. */
export interface Request {
  readonly messages: ReadonlyMap<string, Opened>;
  /** Where the first of them came from, and under how many rounds of cloaking. */
  readonly path: Path;
  readonly rounds: number;
}

interface Waiting extends Request {
  readonly messages: Map<string, Opened>;
}

export class Requests {
  readonly #byPeer = new Map<Hashname, Waiting>(); // the oldest first
  readonly #byToken = new Map<string, Opened>(); // a first message for each of #byPeer
  readonly #expiry: Deadlines<Hashname> = new Deadlines();

  /**
   * Adds a message. Gives the request as it is now when there is something to ask: a first message, another type, or a
   * higher `at`, which takes the place of the former. `undefined` for repeats and for what is older.
   */
  add(opened: Opened, path: Path, rounds: number, now: Time): Request | undefined {
    const { hashname, message } = opened;
    const former = this.#byPeer.get(hashname);
    const [first] = former?.messages.values() ?? [];
    if (former !== undefined && first !== undefined && opened.at <= first.at) {
      const isSame = opened.at === first.at && opened.name === first.name;
      if (!isSame || former.messages.has(message.type)) return undefined;
      former.messages.set(message.type, opened);
      return former;
    }
    const request: Waiting = { messages: new Map([[message.type, opened]]), path, rounds };
    this.remove(hashname);
    const oldest = this.#byPeer.keys().next().value;
    if (this.#byPeer.size >= REQUESTS && oldest !== undefined) this.remove(oldest);
    this.#byPeer.set(hashname, request);
    this.#byToken.set(opened.name, opened);
    this.#expiry.set(hashname, now + REQUEST_MS);
    return request;
  }

  get(hashname: Hashname): Request | undefined {
    return this.#byPeer.get(hashname);
  }

  /** Who sent a handshake under this token (hex). */
  sender(token: string): Opened | undefined {
    return this.#byToken.get(token);
  }

  remove(hashname: Hashname): void {
    for (const { name } of this.#byPeer.get(hashname)?.messages.values() ?? []) this.#byToken.delete(name);
    this.#byPeer.delete(hashname);
    this.#expiry.set(hashname, undefined);
  }

  /** Forgets what was not approved in time. */
  expire(now: Time): void {
    for (const hashname of this.#expiry.due(now)) this.remove(hashname);
  }

  deadline(): Time | undefined {
    return this.#expiry.next();
  }

  get size(): number {
    return this.#byPeer.size;
  }
}

const REQUESTS = 256;
const REQUEST_MS = 30_000;
