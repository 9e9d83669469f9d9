/**
 * The cache: takes messages for others, says which boxes hold some, and streams them to whom they are for. What is kept
 * and for how long is the store's business (`BoxStore`), reached by effects. protocol/box.md §5 to §7
 */
import type { Machine, Random, Time } from "../bytes/index.ts";
import type { Backend, Hashname } from "../crypto/index.ts";
import type { JsonObject } from "../wire/index.ts";
import { Adverts } from "./adverts.ts";
import type { ChannelEvent, ChannelOp } from "./channel.ts";
import { Deposits } from "./deposits.ts";
import type { Admit, BoxAnswer, BoxClass, BoxOp, BoxRequest, PartOut, PutMessage, PutPlace } from "./operations.ts";
import { Questions } from "./questions.ts";
import type { RateLimits } from "./rates.ts";
import { Streams } from "./streams.ts";

export type CacheIn =
  | ChannelEvent
  /** As so many events "packet", of one channel in this order. Nobody else has the bodies any more: they are overwritten. */
  | { type: "packets"; ch: number; packets: { readonly head: JsonObject; readonly body: Uint8Array }[] }
  | { type: "up" | "down" | "renewed"; peer: Hashname }
  /** A recipient wants nothing kept for it any more. */
  | { type: "left"; peer: Hashname }
  /** A recipient has revoked these serials. */
  | { type: "revoked"; peer: Hashname; serials: readonly number[] }
  | { type: "store"; answers: readonly BoxAnswer[] }
  /** What was asked of the store goes there now: owed before that where the cache `gathers`. */
  | { type: "asked" }
  | { type: "tick" };

export type CacheOut =
  | ChannelOp
  /** With `isSenders`, and with each put, it is asked for a sender, who must not feel the answer: what is sent in this turn leaves before. */
  | { type: "boxes"; op: BoxOp; isSenders?: true };

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
  /**
   * Messages that come one after the other for one box are put together: after a put was given out more are added to it, until
   * `asked` comes. Each is put by itself unless this is true.
   */
  readonly gathers?: boolean;
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
  cost: number;
  readonly at: Time;
  /** What is listed is to be cleared. */
  readonly clears: boolean;
}

type Put = Extract<BoxOp, { type: "put" }>;

/** A put to which more may be added. */
interface Growing {
  readonly place: PutPlace;
  readonly op: Put;
  readonly more: PutMessage[];
  readonly asked: Pending;
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
  readonly #gathers: boolean;
  /** The last that the store was asked, if more may be added to it. */
  #growing: Growing | undefined;
  #pendingBytes = 0;
  #isSweepDue = false;
  /** When to sweep; absent while the store is asked for it, too. */
  #sweepAt: Time | undefined;

  constructor(options: CacheOptions) {
    this.#isOffered = options.cap > 0;
    this.#isShared = options.serial !== undefined;
    this.#gathers = options.gathers === true;
    const admit = this.#isOffered ? options.admit : () => undefined;
    this.#deposits = new Deposits({ ...options, admit, join: this.#join.bind(this), ask: this.#ask.bind(this) });
    this.#streams = new Streams(options);
    this.#adverts = new Adverts({ ...options, hasInbox: (peer, box) => this.#streams.has(peer, box) });
  }

  handle(input: CacheIn, now: Time): CacheOut[] {
    const outs = this.#take(input, now);
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

  #take(input: CacheIn, now: Time): (PartOut | CacheOut)[] {
    switch (input.type) {
      case "opened":
        if (!input.reliable) return []; // not even an error: nothing is ever said about a box (seed 003)
        if (input.kind === "outbox") return this.#deposits.opened(input, now);
        if (input.kind === "inbox") return this.#streams.opened(input);
        return [];
      case "packet":
        return this.#deposits.packets(input.ch, [input], now) ?? this.#streams.packet(input);
      case "packets": {
        const { ch, packets } = input;
        return (
          // With a store that we share messages may wait: those that do must not keep alive what they came in.
          this.#deposits.packets(ch, packets, now, !this.#isShared) ?? this.#streamed(input)
        );
      }
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
        return this.#allAnswered(input.answers, now);
      case "asked":
        this.#growing = undefined;
        return [];
      case "tick":
        return [...this.#adverts.tick(now), ...this.#giveUp(now), ...this.#sweep(now)];
    }
  }

  #streamed({ ch, packets }: Extract<CacheIn, { type: "packets" }>): PartOut[] {
    const outs: PartOut[] = [];
    for (const { head, body } of packets) for (const out of this.#streams.packet({ ch, head, body })) outs.push(out);
    return outs;
  }

  #forget(peer: Hashname): void {
    this.#deposits.down(peer);
    this.#streams.down(peer);
    this.#adverts.down(peer);
  }

  #ask({ request, ch, clears = false, place }: Extract<PartOut, { type: "store" }>, now: Time): CacheOut | undefined {
    const { type } = request;
    const cost = OP_BYTES + dataOf(request);
    const isDroppable = type === "put" || type === "remove" || type === "remove-many" || type === "clear";
    // What is revoked is told once for a link, so it has room of its own.
    const room = type === "revoke" ? 2 * MAX_PENDING_BYTES : isDroppable ? MAX_PENDING_BYTES : undefined;
    if (room !== undefined && this.#pendingBytes + cost > room) {
      if (type === "put") request.bytes.fill(0);
      return undefined;
    }
    const op = this.#pending.next;
    const recipient = type === "list" ? request.recipient : undefined;
    const asked: Pending = { op, type, recipient, ch, cost, at: now, clears };
    this.#pending.add(asked);
    this.#pendingBytes += cost;
    this.#growing = undefined; // all takes effect in the order of asking
    if (type === "put" && !this.#isSweepDue) {
      this.#isSweepDue = true;
      this.#sweepAt = now + SWEEP_MS;
    }
    if (place !== undefined && type !== "put") return { type: "boxes", op: numbered(request, op), isSenders: true };
    if (type !== "put" || !this.#gathers || place === undefined) return { type: "boxes", op: numbered(request, op) };
    const more: PutMessage[] = [];
    const put = numberedPut(request, op, more);
    this.#growing = { place, op: put, more, asked };
    return { type: "boxes", op: put };
  }

  #join(place: PutPlace, message: PutMessage, expires: Time, granted: BoxClass): boolean {
    const growing = this.#growing;
    if (growing === undefined || growing.place !== place || growing.more.length >= MAX_MORE) return false;
    const { op, more, asked } = growing;
    const cost = MORE_BYTES + message.bytes.length;
    if (op.expires !== expires || op.class !== granted || this.#pendingBytes + cost > MAX_PENDING_BYTES) return false;
    more.push(message);
    asked.cost += cost;
    this.#pendingBytes += cost;
    return true;
  }

  #allAnswered(answers: readonly BoxAnswer[], now: Time): PartOut[] {
    const outs: PartOut[] = [];
    // Most are "done", which leads to nothing.
    for (const answer of answers) for (const out of this.#answered(answer, now)) outs.push(out);
    return outs;
  }

  #answered(answer: BoxAnswer, now: Time): readonly PartOut[] {
    if (answer.type === "gained") {
      const outs = this.#streams.gained(answer.recipient, answer.box);
      return answer.wasEmpty ? [...outs, ...this.#adverts.gained(answer.recipient, answer.box, now)] : outs;
    }
    const asked = this.#settle(answer.op);
    if (asked === undefined) return NONE;
    const { recipient, ch, clears } = asked;
    switch (answer.type) {
      case "done":
        return NONE;
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

/** Field by field: to copy an object whole takes 0.4 us, and the copy has a shape of its own, which makes all that reads it slow. */
function numbered(request: BoxRequest, op: number): BoxOp {
  switch (request.type) {
    case "put":
      return numberedPut(request, op, undefined);
    case "remove": {
      const { recipient, box, id, serial } = request;
      return serial === undefined
        ? { type: "remove", op, recipient, box, id }
        : { type: "remove", op, recipient, box, id, serial };
    }
    case "remove-many": {
      const { recipient, box, ids } = request;
      return { type: "remove-many", op, recipient, box, ids };
    }
    case "list":
      return { type: "list", op, recipient: request.recipient };
    case "read": {
      const { recipient, box, after, most = 1, room = 0 } = request;
      return { type: "read", op, recipient, box, after, most, room };
    }
    default:
      return { ...request, op };
  }
}

function numberedPut(request: Extract<BoxRequest, { type: "put" }>, op: number, more: PutMessage[] | undefined): Put {
  const { recipient, box, id, bytes, expires, class: kind, serial } = request;
  return serial === undefined
    ? { type: "put", op, recipient, box, id, bytes, expires, class: kind, more }
    : { type: "put", op, recipient, box, id, bytes, expires, class: kind, serial, more };
}

/** Bytes of what it carries. */
function dataOf(request: BoxRequest): number {
  switch (request.type) {
    case "put":
      return request.bytes.length;
    case "remove-many":
      return 4 * request.ids.length;
    case "revoke":
      return 8 * request.serials.length;
    default:
      return 0;
  }
}

function earlier(a: Time | undefined, b: Time | undefined): Time | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
}

const MAX_PENDING_BYTES = 8 * 1024 * 1024; // X20: "bounded (8 MiB per node), beyond that deposits are dropped in silence"
const OP_BYTES = 256; // what an operation without a message costs while it waits
const MORE_BYTES = 128; // and a further message of one
const MAX_MORE = 63; // messages: 64 in all, whose bytes no turn of the event loop reaches
const NONE: readonly PartOut[] = [];
const ANSWER_MS = 60_000;
const SWEEP_MS = 60 * 60 * 1000; // what expired unseen is erased within the hour
