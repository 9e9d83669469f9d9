/**
 * `/openbazaar/app/1.0.0`: messages on streams. A question goes out on a stream of its own, and its answer comes on another that
 * the other side opens, with the same number and marked as an answer. protocol/bazaar-network.md §2
 */
import type { Stream } from "@libp2p/interface";
import { Budget, Budgets } from "restante/protocol";
import { encodeFrame, FRAME_BYTES, Frames } from "../format/frames.ts";
import { encodeMessage, type Message, parseMessage } from "../format/message.ts";
import type { Contact } from "../offline/effects.ts";
import type { BazaarNode, Remote } from "./node.ts";
import { within } from "./within.ts";

export const APP_PROTOCOL = "/openbazaar/app/1.0.0";

/** What comes in. A message with a `requestId` that is no answer wants one: `reply` sends it; without, it stays open. */
export type Receive = (message: Message, from: Remote, reply: (answer: Message) => void) => void;

export interface AppStreams {
  /** Hands a message over: true when all of it was written and the stream ended well. */
  send(to: Contact, message: Message, timeoutMs: number): Promise<boolean>;
  /** Asks, and gives the answer; `undefined` when none came in time. The `requestId` is set here. */
  request(to: Contact, message: Message, timeoutMs: number): Promise<Message | undefined>;
  /** Ends everything that is under way. */
  stop(): void;
}

/** Speaks the protocol over a node. Call before the node starts. */
export async function openStreams(node: BazaarNode, now: () => number, receive: Receive): Promise<AppStreams> {
  const streams = new Streams(node, now, receive);
  await node.handle(APP_PROTOCOL, STREAMS_AT_ONCE, (stream, from) => streams.take(stream, from));
  return streams;
}

class Streams implements AppStreams {
  readonly #node: BazaarNode;
  readonly #now: () => number;
  readonly #receive: Receive;
  /** Bytes that are read, of a peer and of a group. */
  readonly #peers = new Budgets<string>(() => new Budget(PEER_BYTES, 16 * PEER_BYTES), MOST_NAMES);
  readonly #groups = new Budgets<string>(() => new Budget(4 * PEER_BYTES, 64 * PEER_BYTES), MOST_NAMES);
  readonly #stopped = new AbortController();
  /** Questions without an answer yet. Only who was asked can answer. */
  readonly #asked = new Map<number, { readonly to: string; readonly answer: (message: Message) => void }>();
  /** Bytes of unfinished frames, by peer: many streams hold no more than a few. */
  readonly #held = new Map<string, number>();
  #nextRequest = 1;

  constructor(node: BazaarNode, now: () => number, receive: Receive) {
    this.#node = node;
    this.#now = now;
    this.#receive = receive;
  }

  async send(to: Contact, message: Message, timeoutMs: number): Promise<boolean> {
    const frame = encodeFrame(encodeMessage(message));
    if (frame.length > FRAME_BYTES) return false;
    const signal = within(timeoutMs, this.#stopped.signal);
    const stream = await this.#node.open(to, APP_PROTOCOL, signal);
    return stream !== undefined && (await finish(stream, [frame], signal));
  }

  async request(to: Contact, message: Message, timeoutMs: number): Promise<Message | undefined> {
    const requestId = this.#nextRequest;
    this.#nextRequest = (this.#nextRequest % 0x7fff_ffff) + 1; // an int32, never 0
    return await new Promise((resolve) => {
      const done = (answer: Message | undefined): void => {
        clearTimeout(timer);
        this.#stopped.signal.removeEventListener("abort", stop);
        this.#asked.delete(requestId);
        resolve(answer);
      };
      const stop = (): void => done(undefined);
      const timer = setTimeout(stop, timeoutMs);
      this.#stopped.signal.addEventListener("abort", stop);
      this.#asked.set(requestId, { to: to.id, answer: done });
      this.send(to, { ...message, requestId }, timeoutMs).then((isSent) => isSent || stop(), stop);
    });
  }

  stop(): void {
    this.#stopped.abort();
  }

  take(stream: Stream, from: Remote): void {
    const peer = from.id;
    let [held, unfinished, isEnded, isPaused] = [0, 0, false, false];
    /** Whole frames that came faster than the rates: none is looked at before its time. */
    const waiting: Uint8Array[] = [];
    const hold = (): boolean => {
      const bytes = unfinished + waiting.reduce((sum, frame) => sum + frame.length, 0);
      const all = (this.#held.get(peer) ?? 0) + bytes - held;
      held = bytes;
      if (all > 0) this.#held.set(peer, all);
      else this.#held.delete(peer);
      return all <= HELD_BYTES && waiting.length <= MOST_WAITING;
    };
    const close = (): void => void stream.close().catch(() => {});
    /** Takes what the rates allow; false for what ends the stream. */
    const drain = (): boolean => {
      let next = 0;
      for (; next < waiting.length && this.#isWithin(from, 1); next++) {
        const frame = waiting[next] as Uint8Array;
        // A small message costs a look and a write as well.
        this.#charge(from, Math.max(0, MIN_BYTES - frame.length));
        if (!this.#take(frame, from)) return false;
      }
      waiting.splice(0, next);
      const isSlow = waiting.length > 0 || !this.#isWithin(from, 1);
      if (isSlow && !isPaused) this.#later(stream, from, resume);
      isPaused = isSlow;
      if (!isSlow && isEnded) close(); // only now has the other side handed everything over
      return hold();
    };
    const resume = (): void => {
      isPaused = false;
      stream.resume();
      if (!drain()) stream.abort(new Error("no frame of this protocol"));
    };
    stream.inactivityTimeout = IDLE_MS;
    stream.addEventListener("close", () => {
      waiting.length = 0;
      unfinished = 0;
      hold();
    });
    stream.addEventListener("message", ({ data }) => this.#charge(from, data.byteLength));
    readFrames(
      stream,
      FRAME_BYTES,
      (frame) => {
        waiting.push(frame);
        return true;
      },
      (bytes) => {
        unfinished = bytes;
        return waiting.length > 0 ? drain() : hold();
      },
      () => {
        isEnded = true;
        if (waiting.length === 0) close();
      },
    );
  }

  #charge({ id, group }: Remote, bytes: number): void {
    const now = this.#now();
    for (const budget of [this.#peers.of(id), this.#groups.of(group)])
      budget.take(now, Math.min(bytes, budget.left(now)));
  }

  #isWithin({ id, group }: Remote, least: number): boolean {
    return [this.#peers.of(id), this.#groups.of(group)].every((budget) => budget.left(this.#now()) >= least);
  }

  /** Reads on, and calls back, when what came is within the rates again: until then the other side waits. */
  #later(stream: Stream, from: Remote, resume: () => void): void {
    stream.pause();
    const again = (): void => {
      if (stream.status !== "open" || this.#stopped.signal.aborted) return;
      if (this.#isWithin(from, RESUME_BYTES)) resume();
      else setTimeout(again, PAUSE_MS).unref();
    };
    setTimeout(again, PAUSE_MS).unref();
  }

  /** False for what ends the stream. */
  #take(frame: Uint8Array, from: Remote): boolean {
    const message = parseMessage(frame);
    if (message === undefined) return false;
    const { requestId } = message;
    if (message.isResponse) {
      const asked = this.#asked.get(requestId ?? 0);
      if (asked?.to === from.id) asked.answer(message);
      return true; // one that comes too late is nobody's fault
    }
    let isAnswered = false;
    const reply = (answer: Message): void => {
      if (isAnswered || requestId === undefined) return;
      isAnswered = true;
      this.send(from, { ...answer, requestId, isResponse: true }, REPLY_MS).catch(() => {});
    };
    this.#receive(message, from, reply);
    return true;
  }
}

/**
 * Reads frames as they come: `take` each, and ends the stream when it gives false; `holds` is told how many bytes wait for the
 * rest of a frame, and ends the stream when it gives false; `ended`: the other side writes no more. A bad frame ends this stream and nothing else.
 */
export function readFrames(
  stream: Stream,
  most: number,
  take: (frame: Uint8Array) => boolean,
  holds: (bytes: number) => boolean = () => true,
  ended: () => void = () => void stream.close().catch(() => {}),
): void {
  const frames = new Frames(most);
  stream.addEventListener("message", ({ data }) => {
    // Sockets give Buffers, whose `slice` does not copy: from here on they are plain arrays.
    const { buffer, byteOffset, length } = data.subarray();
    const found = frames.push(new Uint8Array(buffer, byteOffset, length));
    const isGood = found?.every(take) === true && holds(frames.held);
    if (!isGood && stream.status === "open") stream.abort(new Error("no frame of this protocol"));
  });
  stream.addEventListener("remoteCloseWrite", ended);
}

/**
 * Writes all, waits while the other side takes no more, ends our half, and waits for the other side to end its own: it does so
 * when it has read everything. Whether that went well.
 */
async function finish(stream: Stream, parts: readonly Uint8Array[], signal: AbortSignal): Promise<boolean> {
  const ended = new Promise<boolean>((resolve) => {
    stream.addEventListener("close", ({ error }) => resolve(error === undefined));
    signal.addEventListener("abort", () => resolve(false));
  });
  try {
    await write(stream, parts, signal);
    await stream.close({ signal });
  } catch {
    stream.abort(new Error("not written"));
    return false;
  }
  const isWell = stream.status === "closed" || (await ended);
  if (!isWell) stream.abort(new Error("not read"));
  return isWell;
}

/** Writes all, piece by piece, no faster than the other side reads. Rejects when the stream ends before. */
export async function write(stream: Stream, parts: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
  for (const part of parts) {
    for (let at = 0; at < part.length; at += PIECE_BYTES) {
      if (!stream.send(part.subarray(at, at + PIECE_BYTES))) await stream.onDrain({ signal });
    }
  }
}

const STREAMS_AT_ONCE = 16; // of one connection
const HELD_BYTES = 2 * FRAME_BYTES; // of one peer: two of the largest frames at once
const PEER_BYTES = 2 * 1024 * 1024; // a second
const MIN_BYTES = 16 * 1024;
const MOST_WAITING = 5000; // of one stream
const RESUME_BYTES = 256 * 1024;
const PAUSE_MS = 100;
const MOST_NAMES = 10_000;
const IDLE_MS = 60_000;
const REPLY_MS = 30_000;
const PIECE_BYTES = 64 * 1024;
