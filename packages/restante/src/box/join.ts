/**
 * Joining a cache: a recipient shows the operator's join token and gets the key with which it mints tokens for others.
 * One reliable channel of type "restante.join", both ends of it here. protocol/admission.md
 */
import { Deadlines, type Machine, type Time } from "../bytes/index.ts";
import { readEdition } from "../card/index.ts";
import type { Hashname } from "../crypto/index.ts";
import type { JsonObject } from "../wire/index.ts";
import type { ChannelEvent, ChannelOp } from "./channel.ts";

export type JoinIn =
  /**
   * Ask `cache` to take us; `uri` is the admission URI of its join link, `undefined` where it offers itself to us. `edition`: of the
   * key that we want, in place of the first.
   */
  | { type: "join"; req: number; cache: Hashname; uri: string | undefined; edition?: number }
  | { type: "up" | "down"; peer: Hashname }
  | ChannelEvent
  | { type: "tick" };

export type JoinOut =
  | ChannelOp
  | { type: "reach" | "release"; peer: Hashname }
  | Save
  /** The cache's answer, as the head that it sent. */
  | { type: "joined"; req: number; cache: Hashname; answer: JsonObject }
  | { type: "not-joined"; req: number; cache: Hashname; why: "unreachable" | "refused" };

export interface JoinOptions {
  readonly handles: () => number;
  /** Our answer to a peer that asks with this URI; `undefined`: not admitted, and told nothing. */
  readonly answer: (uri: string | undefined, peer: Hashname, now: Time, edition: number) => Answer | undefined;
}

/** What a peer that is taken in is told, and what has to be written before. */
interface Answer {
  readonly head: JsonObject;
  readonly saves: readonly Save[];
}

interface Save {
  readonly type: "save";
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

interface Attempt {
  readonly req: number;
  readonly cache: Hashname;
  readonly uri: string | undefined;
  readonly edition: number | undefined;
  ch: number | undefined;
}

/** Both ends of joining. Attempts are the application's own and few; channels of strangers end in the turn they open. */
export class Join implements Machine<JoinIn, JoinOut> {
  readonly #options: JoinOptions;
  readonly #attempts = new Map<number, Attempt>();
  readonly #deadlines = new Deadlines<number>();
  readonly #up = new Set<Hashname>();

  constructor(options: JoinOptions) {
    this.#options = options;
  }

  handle(input: JoinIn, now: Time): JoinOut[] {
    switch (input.type) {
      case "join": {
        const { req, cache, uri, edition } = input;
        const attempt: Attempt = { req, cache, uri, edition, ch: undefined };
        this.#attempts.set(input.req, attempt);
        this.#deadlines.set(input.req, now + JOIN_MS);
        return [{ type: "reach", peer: input.cache }, ...(this.#up.has(input.cache) ? this.#ask(attempt) : [])];
      }
      case "up":
        this.#up.add(input.peer);
        return [...this.#attempts.values()].filter((a) => a.cache === input.peer).flatMap((a) => this.#ask(a));
      case "down":
        this.#up.delete(input.peer);
        return [];
      case "opened":
        return this.#serve(input, now);
      case "packet": {
        const attempt = this.#of(input.ch);
        if (attempt === undefined) return [{ type: "took", ch: input.ch }];
        return [
          { type: "took", ch: input.ch },
          { type: "send", ch: input.ch, head: {}, body: NOTHING, end: true },
          { type: "joined", req: attempt.req, cache: attempt.cache, answer: input.head },
          ...this.#forget(attempt),
        ];
      }
      case "closed":
      case "ended": {
        // The attempt itself may go on: a new exchange closes channels, and its `up` asks again.
        const attempt = this.#of(input.ch);
        if (attempt === undefined) return [];
        if (input.type === "closed" && input.err !== undefined) {
          attempt.ch = undefined;
          return [];
        }
        return [
          { type: "not-joined", req: attempt.req, cache: attempt.cache, why: "refused" },
          ...this.#forget(attempt),
        ];
      }
      case "acked":
      case "writable":
        return [];
      case "tick":
        return this.#deadlines.due(now).flatMap((req) => {
          const attempt = this.#attempts.get(req);
          if (attempt === undefined) return [];
          const why = this.#up.has(attempt.cache) ? "refused" : "unreachable";
          return [{ type: "not-joined", req, cache: attempt.cache, why }, ...this.#forget(attempt)];
        });
    }
  }

  deadline(): Time | undefined {
    return this.#deadlines.next();
  }

  #ask(attempt: Attempt): JoinOut[] {
    if (attempt.ch !== undefined) return [];
    attempt.ch = this.#options.handles();
    const { uri, edition } = attempt;
    const head = { type: JOIN_CHANNEL, ...(uri !== undefined && { uri }), ...(edition !== undefined && { edition }) };
    return [{ type: "open", ch: attempt.ch, peer: attempt.cache, reliable: true, head, body: NOTHING }];
  }

  #serve(open: Extract<ChannelEvent, { type: "opened" }>, now: Time): JoinOut[] {
    if (!open.reliable) return [{ type: "fail", ch: open.ch, err: "not reliable" }];
    const uri = typeof open.head["uri"] === "string" ? open.head["uri"] : undefined;
    const { head = {}, saves = [] } = this.#options.answer(uri, open.peer, now, readEdition(open.head)) ?? {};
    // Who is not admitted gets what a peer without a cache would give: an end without an answer.
    return [...saves, { type: "took", ch: open.ch }, { type: "send", ch: open.ch, head, body: NOTHING, end: true }];
  }

  #of(ch: number): Attempt | undefined {
    for (const attempt of this.#attempts.values()) if (attempt.ch === ch) return attempt;
    return undefined;
  }

  #forget(attempt: Attempt): JoinOut[] {
    this.#attempts.delete(attempt.req);
    this.#deadlines.set(attempt.req, undefined);
    return [{ type: "release", peer: attempt.cache }];
  }
}

export const JOIN_CHANNEL = "restante.join";
const JOIN_MS = 40_000; // one handshake process of 30 s, and some air
const NOTHING = new Uint8Array(0);
