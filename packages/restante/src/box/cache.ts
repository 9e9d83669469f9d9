/**
 * The cache: takes messages for others, says which boxes hold some, and streams them to whom they are for. What is kept
 * and for how long is the store's business (`BoxStore`), reached by effects. protocol/box.md §5 to §7
 */
import type { Machine, Random, Time } from "../bytes/index.ts";
import type { Backend, Hashname } from "../crypto/index.ts";
import { Adverts } from "./adverts.ts";
import type { ChannelEvent, ChannelOp } from "./channel.ts";
import { Deposits } from "./deposits.ts";
import type { Admit, BoxAnswer, BoxOp, BoxRequest, PartOut } from "./operations.ts";
import { Questions } from "./questions.ts";
import type { RateLimits } from "./rates.ts";
import { Streams } from "./streams.ts";

export type CacheIn =
  | ChannelEvent
  | { type: "up" | "down" | "renewed"; peer: Hashname }
  /** A recipient wants nothing kept for it any more. */
  | { type: "left"; peer: Hashname }
  /** A recipient has revoked these serials. */
  | { type: "revoked"; peer: Hashname; serials: readonly number[] }
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
   * What the admission URI of an outbox, with the stamp beside it, grants `sender` towards `to`; `undefined`: nothing. Asked
   * when messages come, again after a minute, so that tokens end on open channels too, and when `revision` has changed.
   */
  readonly admit: Admit;
  /** A number that is another one whenever `to` has revoked something: then `admit` is asked again at once. */
  readonly revision?: (to: Hashname) => number;
  /**
   * Of the token in an admission URI: what a recipient revokes by. Given where the store is shared with others, which then hear
   * of it there. Default: the store is ours alone, and `admit` knows.
   */
  readonly serial?: (uri: string | undefined) => number | undefined;
  /** How fast messages may come to the store. Those of protocol/box.md §7 unless given. */
  readonly rates?: RateLimits;
}

/** A question to the store. The asking part keeps no message that it hands over, and neither do we. */
interface Pending {
  readonly op: number;
  readonly type: BoxRequest["type"];
  /** Whose boxes are listed. */
  readonly recipient: Hashname | undefined;
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
  readonly #pending = new Questions<Pending>();
  readonly #isOffered: boolean;
  readonly #isShared: boolean;
  #pendingBytes = 0;
  #isSweepDue = false;
  /** When to sweep; absent while the store is asked for it, too. */
  #sweepAt: Time | undefined;

  constructor(options: CacheOptions) {
    this.#isOffered = options.cap > 0;
    this.#isShared = options.serial !== undefined;
    this.#deposits = new Deposits(this.#isOffered ? options : { ...options, admit: () => undefined });
    this.#streams = new Streams(options);
    this.#adverts = new Adverts({ ...options, hasInbox: (peer, box) => this.#streams.has(peer, box) });
  }

  handle(input: CacheIn, now: Time): CacheOut[] {
    const outs: (PartOut | CacheOut)[] = this.#take(input, now);
    let to = 0;
    for (let i = 0; i < outs.length; i++) {
      const out = outs[i];
      const next = out?.type === "store" ? this.#ask(out, now) : out;
      if (next !== undefined) outs[to++] = next;
    }
    if (to < outs.length) outs.length = to;
    return outs as CacheOut[];
  }

  deadline(): Time | undefined {
    return earlier(this.#adverts.deadline(), earlier(this.#sweepAt, this.#answerAt()));
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
      case "revoked": {
        const { peer, serials } = input;
        if (!this.#isOffered || !this.#isShared) return [];
        return [{ type: "store", request: { type: "revoke", recipient: peer, serials } }];
      }
      case "store":
        return this.#answered(input.answer, now);
      case "tick":
        return [...this.#adverts.tick(now), ...this.#giveUp(now), ...this.#sweep(now)];
    }
  }

  #forget(peer: Hashname): void {
    this.#deposits.down(peer);
    this.#streams.down(peer);
    this.#adverts.down(peer);
  }

  #ask({ request, ch, clears = false }: Extract<PartOut, { type: "store" }>, now: Time): CacheOut | undefined {
    const { type } = request;
    const data = type === "put" ? request.bytes.length : type === "revoke" ? 8 * request.serials.length : 0;
    const cost = data + OP_BYTES;
    const isDroppable = type === "put" || type === "remove" || type === "clear";
    // What is revoked is told once for a link, so it has room of its own.
    const room = type === "revoke" ? 2 * MAX_PENDING_BYTES : isDroppable ? MAX_PENDING_BYTES : undefined;
    if (room !== undefined && this.#pendingBytes + cost > room) {
      if (type === "put") request.bytes.fill(0);
      return undefined;
    }
    const op = this.#pending.next;
    const recipient = type === "list" ? request.recipient : undefined;
    this.#pending.add({ op, type, recipient, ch, cost, at: now, clears });
    this.#pendingBytes += cost;
    if (type === "put" && !this.#isSweepDue) {
      this.#isSweepDue = true;
      this.#sweepAt = now + SWEEP_MS;
    }
    if (request.type !== "put" || request.serial !== undefined) return { type: "boxes", op: { ...request, op } };
    const { box, id, bytes, expires, class: kind } = request; // one by one: to copy an object whole takes 0.4 us
    return {
      type: "boxes",
      op: { type: "put", op, recipient: request.recipient, box, id, bytes, expires, class: kind },
    };
  }

  #answered(answer: BoxAnswer, now: Time): PartOut[] {
    if (answer.type === "gained") {
      const outs = this.#streams.gained(answer.recipient, answer.box);
      return answer.wasEmpty ? [...outs, ...this.#adverts.gained(answer.recipient, answer.box, now)] : outs;
    }
    const asked = this.#settle(answer.op);
    if (asked === undefined) return [];
    const { recipient, ch, clears } = asked;
    switch (answer.type) {
      case "done":
        return [];
      case "list":
        if (recipient === undefined) return [];
        if (!clears) return this.#adverts.listed(recipient, answer.boxes, now);
        return answer.boxes.map((box): PartOut => ({ type: "store", request: { type: "clear", recipient, box } }));
      case "message":
      case "dry":
        return ch === undefined ? [] : this.#streams.read(ch, answer);
      case "swept":
        this.#isSweepDue = answer.messages > 0;
        if (this.#isSweepDue) this.#sweepAt = now + SWEEP_MS;
        return [];
    }
  }

  #settle(op: number): Pending | undefined {
    const asked = this.#pending.settle(op);
    if (asked === undefined) return undefined;
    this.#pendingBytes -= asked.cost;
    return asked;
  }

  /** When the oldest question has waited for too long. Not in a heap: most stores answer at once. */
  #answerAt(): Time | undefined {
    const oldest = this.#pending.oldest();
    return oldest && oldest.at + ANSWER_MS;
  }

  #sweep(now: Time): PartOut[] {
    if (this.#sweepAt === undefined || this.#sweepAt > now) return [];
    this.#sweepAt = undefined;
    return [{ type: "store", request: { type: "sweep" } }];
  }

  /** A store that lost questions must not block what asked them, nor the room that they take. */
  #giveUp(now: Time): PartOut[] {
    const outs: PartOut[] = [];
    for (;;) {
      const oldest = this.#pending.oldest();
      if (oldest === undefined || oldest.at + ANSWER_MS > now) break;
      const { op, type, recipient, ch, clears } = oldest;
      this.#settle(op);
      if (type === "read" && ch !== undefined) outs.push(...this.#streams.read(ch, { type: "dry", op }));
      else if (recipient !== undefined && !clears) this.#adverts.unlisted(recipient, now);
      else if (type === "sweep") this.#sweepAt = now + SWEEP_MS;
    }
    return outs;
  }
}

function earlier(a: Time | undefined, b: Time | undefined): Time | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
}

const MAX_PENDING_BYTES = 8 * 1024 * 1024; // X20: "bounded (8 MiB per node), beyond that deposits are dropped in silence"
const OP_BYTES = 256; // what an operation without a message costs while it waits
const ANSWER_MS = 60_000;
const SWEEP_MS = 60 * 60 * 1000; // what expired unseen is erased within the hour
