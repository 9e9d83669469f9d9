/**
 * The sender: leaves messages at caches, or with the recipient itself, and removes them there. One channel per
 * destination, kept for a series of messages. protocol/box.md §5
 */
import { assert, Deadlines, type Machine, type Time } from "../bytes/index.ts";
import { admissionWork } from "../card/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { packetRoom } from "../e3x/index.ts";
import type { JsonObject } from "../wire/index.ts";
import { MAX_MESSAGE_BYTES } from "./assembly.ts";
import { type ChannelEvent, type ChannelOp, NOTHING } from "./channel.ts";
import { type StampOut, Stamps } from "./stamps.ts";

export type OutboxIn =
  /**
   * Leave `bytes` (1 to 64 KiB, not to be changed afterwards) for `to` at `via`, which may be `to` itself. `uri`: the
   * admission URI, shown when the channel is opened; should it ask for work, the message waits for a stamp first. `x`:
   * seconds to keep it. Answered once with the same `id`, unless cancelled. Ids in use must differ.
   */
  | { type: "deposit"; id: number; via: Hashname; to: Hashname; uri?: string; x?: number; bytes: Uint8Array }
  /** Remove our messages with these ids there. Best effort and never answered: what stays, expires. */
  | { type: "remove"; via: Hashname; to: Hashname; uri?: string; ids: readonly string[] }
  /** No answer is wanted any more. A message that has begun to leave is finished: half of one cannot be taken back. */
  | { type: "cancel"; id: number }
  | { type: "up" | "down"; peer: Hashname }
  /** The answer to `find-stamp`; `undefined`: there is none. */
  | { type: "stamp"; req: number; stamp: Uint8Array | undefined }
  | ChannelEvent
  | { type: "tick" };

export type OutboxOut =
  | ChannelOp
  | StampOut
  /** A link is needed; answered by `up` when there is one (and by nothing when it is up already). */
  | { type: "reach"; peer: Hashname }
  | { type: "release"; peer: Hashname }
  /** Every packet of it was taken. What became of it then, nobody is told (seed 003). */
  | { type: "deposited"; id: number }
  /** It may or may not have arrived; try again later, with the same bytes. */
  | { type: "failed"; id: number; why: OutboxFailure };

/**
 * Why a deposit failed: no link in 35 s; the channel or link was lost; too much waits already, or too much work was asked of
 * us lately; empty or above 64 KiB.
 */
export type OutboxFailure = "unreachable" | "lost" | "busy" | "size";

interface Deposit {
  readonly type: "deposit";
  readonly id: number;
  readonly line: Line;
  readonly bytes: Uint8Array;
  readonly x: number | undefined;
  readonly cost: number;
  offset: number;
  isCancelled: boolean;
  isFinished: boolean;
}

interface Removal {
  readonly type: "remove";
  readonly message: string;
  readonly cost: number;
  isFinished: boolean;
}

type Job = Deposit | Removal;

/** What goes to one recipient by one way under one admission. */
interface Line {
  readonly way: Way;
  readonly key: string;
  readonly via: Hashname;
  readonly to: Hashname;
  readonly open: JsonObject;
  /** What the stamp beside `open` has to have; 0: none is needed. */
  readonly work: number;
  /** Not wholly sent yet, in order. */
  readonly jobs: Set<Job>;
  channel: Channel | undefined;
}

/** An `outbox` channel that we opened. Its line may have left it: then it only waits to be closed. */
interface Channel {
  readonly ch: number;
  readonly line: Line;
  credit: number;
  isEnded: boolean;
  /** When the cache will soon want a newer stamp. */
  readonly until: Time | undefined;
  /** What was sent and not yet taken, in order. */
  readonly flight: { readonly job: Job; packets: number; isWhole: boolean }[];
  /** When the first of these has been waited for long enough; absent while there is none. */
  stallsAt: Time | undefined;
}

/** The peer by which messages go. It exists while there is something to do. */
interface Way {
  readonly via: Hashname;
  readonly lines: Map<string, Line>;
  readonly channels: Set<Channel>;
  /** Lines that may not open a channel before another line is done. */
  readonly waiting: Set<Line>;
  bytes: number;
  /** The link was asked for. */
  isReached: boolean;
}

/** All deposits and removals of a peer. Ways share nothing but the bound on all, so a slow one holds up no other. */
export class Outbox implements Machine<OutboxIn, OutboxOut> {
  readonly #handles: () => number;
  readonly #ways = new Map<Hashname, Way>();
  readonly #channels = new Map<number, Channel>();
  readonly #deposits = new Map<number, Deposit>();
  readonly #up = new Set<Hashname>();
  readonly #reaching = new Deadlines<Hashname>();
  readonly #idle = new Deadlines<number>();
  /** Until when the oldest message of a channel must have been taken. */
  readonly #stalled = new Deadlines<number>();
  readonly #stamps = new Stamps((out) => this.#outs.push(out));
  /** Lines that wait for a stamp. */
  readonly #stampless = new Set<Line>();
  #bytes = 0;
  #outs: OutboxOut[] = [];

  constructor(options: { readonly handles: () => number }) {
    this.#handles = options.handles;
  }

  handle(input: OutboxIn, now: Time): OutboxOut[] {
    switch (input.type) {
      case "deposit":
        this.#deposit(input, now);
        break;
      case "remove": {
        const line = this.#line(input);
        if (line === undefined) break;
        for (const message of input.ids)
          this.#add(line, { type: "remove", message, cost: JOB_BYTES, isFinished: false });
        this.#start(line, now);
        break;
      }
      case "cancel":
        this.#cancel(input.id, now);
        break;
      case "up":
        this.#up.add(input.peer);
        this.#reaching.set(input.peer, undefined);
        for (const line of this.#ways.get(input.peer)?.lines.values() ?? []) this.#pump(line, now);
        break;
      case "down":
        this.#down(input.peer, now);
        break;
      case "stamp":
        this.#stamped(input, now);
        break;
      case "writable": {
        const channel = this.#channels.get(input.ch);
        if (channel === undefined) break;
        channel.credit = input.credit;
        this.#pump(channel.line, now);
        break;
      }
      case "acked": {
        const channel = this.#channels.get(input.ch);
        if (channel !== undefined) this.#acked(channel, input.count, now);
        break;
      }
      case "ended":
      case "closed":
        this.#over(input, now);
        break;
      case "opened":
      case "packet": // nobody answers on an outbox but with acknowledgements (C11)
        break;
      case "tick":
        for (const ch of this.#idle.due(now)) {
          const channel = this.#channels.get(ch);
          if (channel !== undefined) this.#leave(channel, now);
        }
        for (const ch of this.#stalled.due(now)) {
          const channel = this.#channels.get(ch);
          if (channel !== undefined) this.#giveUp(channel, now);
        }
        for (const via of this.#reaching.due(now)) {
          const way = this.#ways.get(via);
          if (way === undefined) continue;
          for (const line of [...way.lines.values()]) {
            this.#failLine(line, "unreachable");
            this.#settle(line, now);
          }
        }
        break;
    }
    const outs = this.#outs;
    this.#outs = []; // what has left is not kept until the next turn
    return outs;
  }

  deadline(): Time | undefined {
    const times = [this.#idle.next(), this.#stalled.next(), this.#reaching.next()].filter((time) => time !== undefined);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  #deposit(input: Extract<OutboxIn, { type: "deposit" }>, now: Time): void {
    const { id, bytes, x } = input;
    const isFit = bytes.length > 0 && bytes.length <= MAX_MESSAGE_BYTES;
    const line = isFit ? this.#line(input) : undefined;
    if (line === undefined) {
      this.#outs.push({ type: "failed", id, why: "size" });
      return;
    }
    const cost = bytes.length + JOB_BYTES;
    const flags = { isCancelled: false, isFinished: false };
    const deposit: Deposit = { type: "deposit", id, line, bytes, x, cost, offset: 0, ...flags };
    if (this.#add(line, deposit)) this.#deposits.set(id, deposit);
    else this.#outs.push({ type: "failed", id, why: "busy" });
    this.#start(line, now);
  }

  #cancel(id: number, now: Time): void {
    const deposit = this.#deposits.get(id);
    if (deposit === undefined) return;
    deposit.isCancelled = true;
    const { line } = deposit;
    if (deposit.offset > 0 || !line.jobs.delete(deposit)) return;
    this.#finish(line.way, deposit);
    this.#pump(line, now);
    this.#settle(line, now);
  }

  /** Where it goes; `undefined` when the URI (which comes out of a contact's card) leaves no room for anything else. */
  #line(to: { via: Hashname; to: Hashname; uri?: string }): Line | undefined {
    const open = { type: "outbox", to: to.to, ...(to.uri === undefined ? {} : { uri: to.uri }) };
    if (packetRoom(open, true) < MIN_FIRST_ROOM) return undefined;
    const way = this.#ways.get(to.via) ?? newWay(to.via);
    this.#ways.set(to.via, way);
    const key = `${to.to} ${to.uri ?? ""}`;
    const known = way.lines.get(key);
    if (known !== undefined) return known;
    const { via, to: recipient, uri } = to;
    // The recipient itself needs no stamp: it is the cache's to ask for one.
    const work = via === recipient ? 0 : admissionWork(uri);
    const line: Line = { way, key, via, to: recipient, open, work, jobs: new Set(), channel: undefined };
    way.lines.set(key, line);
    return line;
  }

  #add(line: Line, job: Job): boolean {
    const { way } = line;
    if (way.bytes + job.cost > MAX_BYTES_PER_WAY || this.#bytes + job.cost > MAX_BYTES) return false;
    if (this.#stampless.has(line) && this.#waitingJobs() >= MAX_STAMPLESS) return false;
    line.jobs.add(job);
    way.bytes += job.cost;
    this.#bytes += job.cost;
    return true;
  }

  /** There may be something new to do: get a link, or use it. */
  #start(line: Line, now: Time): void {
    const { way } = line;
    if (way.bytes > 0 && !way.isReached) {
      way.isReached = true;
      this.#outs.push({ type: "reach", peer: way.via });
      if (!this.#up.has(way.via)) this.#reaching.set(way.via, now + REACH_MS);
    }
    this.#pump(line, now);
    this.#settle(line, now);
  }

  /** Sends what the channel takes now. */
  #pump(line: Line, now: Time): void {
    const { way } = line;
    if (!this.#up.has(way.via)) return;
    if (line.channel !== undefined && isOutdated(line.channel, now)) this.#leave(line.channel, now);
    if (line.channel === undefined && line.jobs.size > 0) {
      const stamp = line.work === 0 ? undefined : this.#stamps.get(line, line.work, now);
      if (line.work > 0 && stamp === undefined) return this.#awaitStamp(line, now);
      if (way.channels.size >= MAX_CHANNELS_PER_WAY) {
        way.waiting.add(line);
        this.#leaveIdle(way, now);
        return;
      }
      const ch = this.#handles();
      const until = stamp?.until;
      const channel: Channel = { ch, line, credit: 0, isEnded: false, until, flight: [], stallsAt: undefined };
      line.channel = channel;
      way.channels.add(channel);
      this.#channels.set(channel.ch, channel);
      const opening = stamp === undefined ? line.open : { ...line.open, stamp: stamp.text };
      const { head, body } = this.#nextPacket(channel, opening);
      this.#outs.push({ type: "open", ch: channel.ch, peer: way.via, reliable: true, head, body });
    }
    const { channel } = line;
    if (channel === undefined) return;
    while (channel.credit > 0 && line.jobs.size > 0 && !isOutdated(channel, now)) {
      channel.credit--;
      const packet = this.#nextPacket(channel, {});
      this.#outs.push({ type: "send", ch: channel.ch, ...packet, ...(isAlone(channel) && { asks: true }) });
    }
    if (line.jobs.size > 0 && isOutdated(channel, now)) return this.#pump(line, now); // on another channel
    if (channel.stallsAt === undefined && channel.flight.length > 0) this.#expectProgress(channel, now);
    const isIdle = line.jobs.size === 0 && channel.flight.length === 0;
    if (isIdle && way.waiting.size > 0) this.#leave(channel, now);
    else this.#idle.set(channel.ch, isIdle ? now + IDLE_MS : undefined);
  }

  /** Nothing is opened without a stamp: what came with it would be lost, and nobody would say so. */
  #awaitStamp(line: Line, now: Time): void {
    const waits = this.#stampless.has(line) || this.#waitingJobs() + line.jobs.size <= MAX_STAMPLESS;
    if (waits && this.#stamps.want(line, line.work, now)) this.#stampless.add(line);
    else {
      this.#failLine(line, "busy");
      this.#settle(line, now);
    }
  }

  #stamped({ req, stamp }: Extract<OutboxIn, { type: "stamp" }>, now: Time): void {
    const pair = this.#stamps.found(req, stamp, now);
    if (pair === undefined) return;
    for (const line of [...this.#stampless]) {
      if (line.via !== pair.via || line.to !== pair.to) continue;
      this.#stampless.delete(line);
      if (stamp === undefined) this.#failLine(line, "busy");
      this.#pump(line, now);
      this.#settle(line, now);
    }
  }

  /** Deposits and removals that wait for stamps. They have places that all deliveries share. */
  #waitingJobs(): number {
    let jobs = 0;
    for (const line of this.#stampless) jobs += line.jobs.size;
    return jobs;
  }

  /** The next packet of the line; `base` is what its head has besides. */
  #nextPacket(channel: Channel, base: JsonObject): { head: JsonObject; body: Uint8Array } {
    const { jobs } = channel.line;
    const [job] = jobs;
    assert(job !== undefined, "packets are made while there are jobs");
    const last = channel.flight.at(-1);
    const flight = last?.job === job ? last : { job, packets: 0, isWhole: false };
    if (flight !== last) channel.flight.push(flight);
    flight.packets++;
    if (job.type === "remove") {
      flight.isWhole = true;
      jobs.delete(job);
      return { head: { ...base, id: job.message }, body: NOTHING };
    }
    const done = { ...base, done: true, ...(job.x === undefined ? {} : { x: job.x }) };
    const left = job.bytes.length - job.offset;
    flight.isWhole = left <= packetRoom(done, true);
    // A message always ends with a part of it, so all packets but the last leave a byte over.
    const size = flight.isWhole ? left : Math.min(packetRoom(base, true), left - 1);
    const body = job.bytes.slice(job.offset, job.offset + size);
    job.offset += size;
    if (flight.isWhole) jobs.delete(job);
    return { head: flight.isWhole ? done : base, body };
  }

  #acked(channel: Channel, count: number, now: Time): void {
    let left = count;
    for (let first = channel.flight[0]; first !== undefined && left > 0; first = channel.flight[0]) {
      const taken = Math.min(left, first.packets);
      first.packets -= taken;
      left -= taken;
      if (first.packets > 0 || !first.isWhole) break;
      channel.flight.shift();
      this.#expectProgress(channel, now);
      const { job } = first;
      this.#finish(channel.line.way, job);
      if (job.type === "deposit" && !job.isCancelled) this.#outs.push({ type: "deposited", id: job.id });
    }
    if (channel.line.channel === channel) this.#pump(channel.line, now);
  }

  #expectProgress(channel: Channel, now: Time): void {
    channel.stallsAt = channel.flight.length > 0 ? now + STALL_MS : undefined;
    this.#stalled.set(channel.ch, channel.stallsAt);
  }

  /** Whoever keeps a channel alive and takes nothing must not keep the places that all deliveries share. */
  #giveUp(channel: Channel, now: Time): void {
    const { line } = channel;
    this.#end(channel);
    this.#forget(channel);
    if (line.channel === channel) {
      line.channel = undefined;
      this.#failLine(line);
    }
    this.#letNextOpen(line.way, now);
    this.#settle(line, now);
  }

  /** A line waits for a place: one that has nothing to do gives up its own at once. */
  #leaveIdle(way: Way, now: Time): void {
    for (const channel of way.channels) {
      const { line, flight, isEnded } = channel;
      if (isEnded || line.channel !== channel || line.jobs.size > 0 || flight.length > 0) continue;
      this.#leave(channel, now);
      return;
    }
  }

  /** Ends a channel that has nothing to do. */
  #leave(channel: Channel, now: Time): void {
    const { line } = channel;
    this.#end(channel);
    line.channel = undefined;
    this.#settle(line, now);
    this.#letNextOpen(line.way, now);
  }

  #end(channel: Channel): void {
    this.#idle.set(channel.ch, undefined);
    if (channel.isEnded) return;
    channel.isEnded = true;
    this.#outs.push({ type: "send", ch: channel.ch, head: {}, body: NOTHING, end: true });
  }

  #over(event: Extract<ChannelEvent, { type: "ended" | "closed" }>, now: Time): void {
    const channel = this.#channels.get(event.ch);
    if (channel === undefined) return;
    const { line } = channel;
    if (event.type === "closed") this.#forget(channel);
    // Not by our own wish: then whatever waits here would only meet the same.
    if (line.channel === channel) {
      line.channel = undefined;
      this.#failLine(line);
    }
    if (event.type === "ended") this.#end(channel);
    this.#letNextOpen(line.way, now);
    this.#settle(line, now);
  }

  #down(peer: Hashname, now: Time): void {
    this.#up.delete(peer);
    const way = this.#ways.get(peer);
    if (way === undefined) return;
    for (const channel of way.channels) {
      channel.line.channel = undefined;
      this.#forget(channel);
    }
    // What has not begun to leave may wait for the link to come back, for a while.
    this.#reaching.set(peer, now + REACH_MS);
    for (const line of [...way.lines.values()]) this.#settle(line, now);
    this.#settleWay(way);
  }

  /** The channel is no more: what was not taken has failed. */
  #forget(channel: Channel): void {
    const { line } = channel;
    this.#channels.delete(channel.ch);
    line.way.channels.delete(channel);
    this.#idle.set(channel.ch, undefined);
    this.#stalled.set(channel.ch, undefined);
    for (const { job } of channel.flight) this.#fail(line, job, "lost");
    channel.flight.length = 0;
  }

  /** Fails what waits in a line. What was sent as a whole is still with its channel. */
  #failLine(line: Line, why: OutboxFailure = "lost"): void {
    for (const job of line.jobs) this.#fail(line, job, why);
  }

  #fail(line: Line, job: Job, why: OutboxFailure): void {
    line.jobs.delete(job);
    if (!this.#finish(line.way, job)) return;
    if (job.type === "deposit" && !job.isCancelled) this.#outs.push({ type: "failed", id: job.id, why });
  }

  /** Forgets a job; false when that was done before. */
  #finish(way: Way, job: Job): boolean {
    if (job.isFinished) return false;
    job.isFinished = true;
    way.bytes -= job.cost;
    this.#bytes -= job.cost;
    if (job.type === "deposit") this.#deposits.delete(job.id);
    return true;
  }

  #letNextOpen(way: Way, now: Time): void {
    for (const line of way.waiting) {
      if (way.channels.size >= MAX_CHANNELS_PER_WAY) return;
      way.waiting.delete(line);
      this.#pump(line, now);
    }
  }

  /** Drops a line that is not used any more. */
  #settle(line: Line, now: Time): void {
    const { way } = line;
    if (line.jobs.size === 0 && this.#stampless.delete(line)) {
      const others = [...this.#stampless].filter(({ via, to }) => via === line.via && to === line.to);
      if (others.length === 0) this.#stamps.drop(line, now);
    }
    if (line.jobs.size === 0 && line.channel === undefined && way.lines.get(line.key) === line) {
      way.waiting.delete(line);
      way.lines.delete(line.key);
    }
    this.#settleWay(way);
  }

  /** Lets go of the link with the last line and channel. */
  #settleWay(way: Way): void {
    if (way.lines.size > 0 || way.channels.size > 0 || this.#ways.get(way.via) !== way) return;
    this.#ways.delete(way.via);
    this.#reaching.set(way.via, undefined);
    if (way.isReached) this.#outs.push({ type: "release", peer: way.via });
  }
}

/** Whether what comes next should show a newer stamp: never in the middle of a message. */
function isOutdated({ line, until }: Channel, now: Time): boolean {
  const [job] = line.jobs;
  return until !== undefined && until <= now && (job?.type !== "deposit" || job.offset === 0);
}

/** Whether all that is under way is one message: nothing comes that could be acknowledged with it, so it need not wait. */
function isAlone({ line, flight }: Channel): boolean {
  const [first, second] = flight;
  return second === undefined && first?.job.type === "deposit" && first.isWhole && line.jobs.size === 0;
}

function newWay(via: Hashname): Way {
  return { via, lines: new Map(), channels: new Set(), waiting: new Set(), bytes: 0, isReached: false };
}

const IDLE_MS = 5_000; // an exchange of a few mails opens one channel, not one per mail
const REACH_MS = 35_000; // one handshake process of 30 s, and some air
const STALL_MS = 120_000; // for 64 KiB: slower than half a KiB a second is no way to send mail
const MAX_CHANNELS_PER_WAY = 32; // of the 64 that a cache serves for one peer
const MAX_BYTES_PER_WAY = 8 * 1024 * 1024;
const MAX_BYTES = 64 * 1024 * 1024;
const MIN_FIRST_ROOM = 256; // an admission URI has 300 bytes at most, so there is far more
const MAX_STAMPLESS = 16; // jobs that wait for stamps, of the 64 parts that a peer has in flight
const JOB_BYTES = 256; // what a job costs besides its message
