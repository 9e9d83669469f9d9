/**
 * The cache: takes messages for others, says which boxes hold some, and streams them to whom they are for. What is kept
 * and for how long is the store's business (`BoxStore`), reached by effects. protocol/box.md §5 to §7
 */
import { Deadlines, type Machine, type Random, type Time } from "../bytes/index.ts";
import type { Backend, Hashname } from "../crypto/index.ts";
import { Adverts } from "./adverts.ts";
import { type ChannelEvent, type ChannelOp, NOTHING } from "./channel.ts";
import { Deposits } from "./deposits.ts";
import type { BoxAnswer, BoxClass, BoxOp, BoxRequest, PartOut } from "./operations.ts";
import type { RateLimits } from "./rates.ts";
import { Streams } from "./streams.ts";

export type CacheIn =
  | ChannelEvent
  | { type: "up" | "down" | "renewed"; peer: Hashname }
  /** A recipient wants nothing kept for it any more. */
  | { type: "left"; peer: Hashname }
  | { type: "store"; answer: BoxAnswer }
  | { type: "tick" };

export type CacheOut = ChannelOp | { type: "boxes"; op: BoxOp };

export interface CacheOptions {
  readonly backend: Backend;
  readonly self: Hashname;
  readonly random: Random;
  /** Draws a channel handle, unique in this peer. */
  readonly handles: () => number;
  /**
   * What every `cap` says: the bytes of message data kept for one box. A constant, never what is free (X17). 0: no cache
   * is offered. Then everything is taken and dropped, every box is empty, and the store is never asked (X20).
   */
  readonly cap: number;
  /**
   * What the admission URI of an outbox grants `sender` towards `to`; `undefined`: nothing. Asked when messages come,
   * again after a minute, so that tokens end on open channels too, and when `revision` has changed.
   */
  readonly admit: (uri: string | undefined, to: Hashname, sender: Hashname, now: Time) => BoxClass | undefined;
  /** A number that is another one whenever `to` has revoked something: then `admit` is asked again at once. */
  readonly revision?: (to: Hashname) => number;
  /** How fast messages may come to the store. Those of protocol/box.md §7 unless given. */
  readonly rates?: RateLimits;
}

/** A question to the store. */
interface Pending {
  readonly request: BoxRequest;
  readonly ch: number | undefined;
  readonly cost: number;
  readonly at: Time;
  /** What is listed is to be cleared. */
  readonly clears: boolean;
}

/**
 * The cache role of a peer. Inputs: events of the channels that others opened as `outbox` (not to ourselves) and
 * `inbox`, and of the `boxes` channels that it opened itself; events of unknown channels are ignored. Nothing that a
 * sender receives depends on the store: what it sent is taken before the store is asked.
 */
export class Cache implements Machine<CacheIn, CacheOut> {
  readonly #deposits: Deposits;
  readonly #streams: Streams;
  readonly #adverts: Adverts;
  /** What the store has not answered yet. */
  readonly #pending = new Map<number, Pending>();
  readonly #deadlines = new Deadlines<"sweep" | "answer">();
  readonly #isOffered: boolean;
  #pendingBytes = 0;
  #isSweepDue = false;
  #nextOp = 1;

  constructor(options: CacheOptions) {
    this.#isOffered = options.cap > 0;
    this.#deposits = new Deposits(this.#isOffered ? options : { ...options, admit: () => undefined });
    this.#streams = new Streams(options);
    this.#adverts = new Adverts({ ...options, hasInbox: (peer, box) => this.#streams.has(peer, box) });
  }

  handle(input: CacheIn, now: Time): CacheOut[] {
    return this.#take(input, now).flatMap((out) => {
      if (out.type !== "store") return [out];
      return this.#ask(out, now);
    });
  }

  deadline(): Time | undefined {
    const adverts = this.#adverts.deadline();
    const own = this.#deadlines.next();
    return adverts === undefined || own === undefined ? (adverts ?? own) : Math.min(adverts, own);
  }

  #take(input: CacheIn, now: Time): PartOut[] {
    switch (input.type) {
      case "opened":
        if (!input.reliable) return []; // not even an error: nothing is ever said about a box (seed 003)
        if (input.kind === "outbox") return this.#deposits.opened(input, now);
        if (input.kind === "inbox") return this.#streams.opened(input);
        return [];
      case "packet":
        return this.#deposits.has(input.ch) ? this.#deposits.packet(input, now) : this.#streams.packet(input);
      case "writable":
        return this.#streams.writable(input.ch, input.credit);
      case "acked":
        return [];
      case "ended":
      case "closed": {
        this.#adverts.over(input);
        const outs = this.#deposits.over(input);
        const { outs: more, unread } = this.#streams.over(input);
        if (unread !== undefined) this.#adverts.unread(unread.peer, unread.isDry, now);
        return [...outs, ...more];
      }
      case "up":
      case "renewed":
        // A new exchange closed every channel of the old one.
        this.#forget(input.peer);
        return this.#isOffered ? this.#adverts.up(input.peer, now) : [];
      case "down":
        this.#forget(input.peer);
        return [];
      case "left":
        return this.#isOffered
          ? [{ type: "store", request: { type: "list", recipient: input.peer }, clears: true }]
          : [];
      case "store":
        return this.#answered(input.answer, now);
      case "tick":
        return [
          ...this.#adverts.tick(now),
          ...this.#deadlines
            .due(now)
            .flatMap((what): PartOut[] =>
              what === "answer" ? this.#giveUp(now) : [{ type: "store", request: { type: "sweep" } }],
            ),
        ];
    }
  }

  #forget(peer: Hashname): void {
    this.#deposits.down(peer);
    this.#streams.down(peer);
    this.#adverts.down(peer);
  }

  #ask({ request, ch, clears = false }: Extract<PartOut, { type: "store" }>, now: Time): CacheOut[] {
    const cost = request.type === "put" ? request.bytes.length + OP_BYTES : OP_BYTES;
    const isDroppable = request.type === "put" || request.type === "remove" || request.type === "clear";
    if (isDroppable && this.#pendingBytes + cost > MAX_PENDING_BYTES) {
      if (request.type === "put") request.bytes.fill(0);
      return [];
    }
    const op = this.#nextOp++;
    // The asking part keeps no message that it hands over, and neither do we.
    const kept = request.type === "put" ? { ...request, bytes: NOTHING } : request;
    this.#pending.set(op, { request: kept, ch, cost, at: now, clears });
    this.#pendingBytes += cost;
    if (this.#pending.size === 1) this.#deadlines.set("answer", now + ANSWER_MS);
    if (request.type === "put" && !this.#isSweepDue) {
      this.#isSweepDue = true;
      this.#deadlines.set("sweep", now + SWEEP_MS);
    }
    return [{ type: "boxes", op: { ...request, op } }];
  }

  #answered(answer: BoxAnswer, now: Time): PartOut[] {
    if (answer.type === "gained") {
      const outs = this.#streams.gained(answer.recipient, answer.box);
      return answer.wasEmpty ? [...outs, ...this.#adverts.gained(answer.recipient, answer.box, now)] : outs;
    }
    const asked = this.#settle(answer.op);
    if (asked === undefined) return [];
    const { request, ch, clears } = asked;
    switch (answer.type) {
      case "done":
        return [];
      case "list":
        if (request.type === "list" && clears)
          return answer.boxes.map((box): PartOut => {
            return { type: "store", request: { type: "clear", recipient: request.recipient, box } };
          });
        return request.type === "list" ? this.#adverts.listed(request.recipient, answer.boxes, now) : [];
      case "message":
      case "dry":
        return ch === undefined ? [] : this.#streams.read(ch, answer);
      case "swept":
        this.#isSweepDue = answer.messages > 0;
        if (this.#isSweepDue) this.#deadlines.set("sweep", now + SWEEP_MS);
        return [];
    }
  }

  #settle(op: number): Pending | undefined {
    const asked = this.#pending.get(op);
    if (asked === undefined) return undefined;
    this.#pending.delete(op);
    this.#pendingBytes -= asked.cost;
    const [oldest] = this.#pending.values();
    this.#deadlines.set("answer", oldest && oldest.at + ANSWER_MS);
    return asked;
  }

  /** A store that lost questions must not block what asked them, nor the room that they take. */
  #giveUp(now: Time): PartOut[] {
    const outs: PartOut[] = [];
    for (const [op, { request, ch, at, clears }] of this.#pending) {
      if (at + ANSWER_MS > now) break;
      this.#settle(op);
      if (request.type === "read" && ch !== undefined) outs.push(...this.#streams.read(ch, { type: "dry", op }));
      else if (request.type === "list" && !clears) this.#adverts.unlisted(request.recipient, now);
      else if (request.type === "sweep") this.#deadlines.set("sweep", now + SWEEP_MS);
    }
    return outs;
  }
}

const MAX_PENDING_BYTES = 8 * 1024 * 1024; // X20: "bounded (8 MiB per node), beyond that deposits are dropped in silence"
const OP_BYTES = 256; // what an operation without a message costs while it waits
const ANSWER_MS = 60_000;
const SWEEP_MS = 60 * 60 * 1000; // what expired unseen is erased within the hour
