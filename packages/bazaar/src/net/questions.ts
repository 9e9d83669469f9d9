/** Questions and answers on one stream: a frame there, a frame back, as often as one likes. */
import type { Stream } from "@libp2p/interface";
import { encodeFrame } from "../format/frames.ts";
import type { Contact } from "../offline/effects.ts";
import type { BazaarNode, Remote } from "./node.ts";
import { readFrames, write } from "./streams.ts";

/** A protocol of this shape: the most bytes of a question and of an answer. */
export interface Protocol {
  readonly name: string;
  readonly questionBytes: number;
  readonly answerBytes: number;
}

/** What is asked of one peer. */
export interface Conversation {
  /** The answer; `undefined` when there is none, in time or at all: nothing more can be asked then. One at a time. */
  ask(question: Uint8Array): Promise<Uint8Array | undefined>;
  /** Ends it. */
  end(): void;
}

/** Opens a stream to ask on; `undefined`: not reached. `signal` ends it. */
export async function converse(
  node: BazaarNode,
  to: Contact,
  protocol: Protocol,
  signal: AbortSignal,
): Promise<Conversation | undefined> {
  const stream = await node.open(to, protocol.name, signal);
  if (stream === undefined) return undefined;
  let waiting: ((answer: Uint8Array | undefined) => void) | undefined;
  let isOver = false;
  const settle = (answer: Uint8Array | undefined): boolean => {
    const answered = waiting;
    waiting = undefined;
    answered?.(answer);
    return answered !== undefined; // an answer to nothing ends the stream
  };
  const over = (): void => {
    isOver = true;
    settle(undefined);
  };
  readFrames(stream, protocol.answerBytes, settle);
  stream.addEventListener("close", over);
  stream.addEventListener("remoteCloseWrite", over);
  const stop = (): void => stream.abort(new Error("too late"));
  signal.addEventListener("abort", stop);
  stream.addEventListener("close", () => signal.removeEventListener("abort", stop));
  return {
    ask: (question) =>
      new Promise((resolve) => {
        if (isOver || signal.aborted) return resolve(undefined);
        waiting = resolve;
        node.askedOne();
        write(stream, [encodeFrame(question)], signal).catch(over);
      }),
    end: () => void stream.close({ signal }).catch(() => {}),
  };
}

/**
 * Answers the questions of others. `answer` gives the bytes, or `undefined` for what is no question: that ends the stream.
 * A peer asks one question at a time on a stream, and on a few streams at once.
 */
export async function answerAll(
  node: BazaarNode,
  protocol: Protocol,
  answer: (question: Uint8Array, from: Remote) => Promise<Uint8Array | undefined> | Uint8Array | undefined,
): Promise<void> {
  await node.handle(protocol.name, STREAMS_AT_ONCE, (stream, from) => {
    let isBusy = false;
    stream.inactivityTimeout = IDLE_MS;
    readFrames(stream, protocol.questionBytes, (question) => {
      if (isBusy) return false; // who does not wait for answers floods
      isBusy = true;
      reply(stream, async () => await answer(question, from)).then(() => {
        isBusy = false;
      });
      return true;
    });
  });
}

async function reply(stream: Stream, answer: () => Promise<Uint8Array | undefined>): Promise<void> {
  try {
    const bytes = await answer();
    if (bytes === undefined) throw new Error("no question of this protocol");
    await write(stream, [encodeFrame(bytes)], AbortSignal.timeout(IDLE_MS));
  } catch (error) {
    stream.abort(error instanceof Error ? error : new Error("not answered"));
  }
}

const STREAMS_AT_ONCE = 8; // of one connection
const IDLE_MS = 30_000;
