import type { Stream } from "@libp2p/interface";
import { concat, utf8 } from "restante/protocol";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { encodeFrame, encodeMessage, type Message, peerIdOf, TYPES } from "../format/index.ts";
import type { BazaarNode, Remote } from "./node.ts";
import { openStreams } from "./streams.ts";

/** A stream that somebody opened to us: what it is told to do, in words. */
class FakeStream extends EventTarget {
  status = "open";
  inactivityTimeout = 0;
  readonly told: string[] = [];

  pause(): void {
    this.told.push("pause");
  }
  resume(): void {
    this.told.push("resume");
  }
  abort(): void {
    this.told.push("abort");
    this.status = "aborted";
    this.dispatchEvent(new Event("close"));
  }
  async close(): Promise<void> {
    this.status = "closed";
    this.dispatchEvent(new Event("close"));
  }
  arrive(bytes: Uint8Array): void {
    const data = { byteLength: bytes.length, subarray: () => bytes };
    this.dispatchEvent(Object.assign(new Event("message"), { data }));
  }
}

let now = 0;
beforeEach(() => {
  now = 0;
  vi.useFakeTimers();
});
afterEach(() => void vi.useRealTimers());

/** The protocol on a node that reaches nobody; `open` is a stream of this peer to us. */
async function served() {
  let take: (stream: Stream, from: Remote) => void = () => {};
  const node = {
    handle: async (_name: string, _atOnce: number, call: typeof take) => {
      take = call;
    },
    open: async () => undefined,
  } as unknown as BazaarNode;
  const received: Message[] = [];
  const streams = await openStreams(
    node,
    () => now,
    (message) => void received.push(message),
  );
  const open = (name: string, group: string): FakeStream => {
    const stream = new FakeStream();
    take(stream as unknown as Stream, { id: peerIdOf(utf8(name)), publicKey: utf8(name), group });
    return stream;
  };
  return { streams, received, open };
}

function frame(bytes: number): Uint8Array {
  const payload = { typeUrl: "", value: new Uint8Array(bytes) };
  return encodeFrame(encodeMessage({ type: TYPES.CHAT, payload }));
}

test("who sends faster than the rate is read more slowly, and goes on when time has passed; others are not slowed", async () => {
  const { received, open } = await served();
  const stream = open("mallory", "net");
  const large = frame(4 * 1024 * 1024 - 100);
  for (let i = 0; i < 7; i++) stream.arrive(large);
  expect(stream.told).toEqual([]);
  stream.arrive(large);
  stream.arrive(frame(1000));
  expect(stream.told).toContain("pause");
  const other = open("alice", "elsewhere");
  other.arrive(frame(1000));
  expect(other.told).toEqual([]);
  await vi.advanceTimersByTimeAsync(1000);
  expect(stream.told).not.toContain("resume");
  now = 1000;
  await vi.advanceTimersByTimeAsync(1000);
  expect(stream.told.at(-1)).toBe("resume");
  expect(received).toHaveLength(10);
});

test("many small messages are slowed as few large ones are: each costs work", async () => {
  const { received, open } = await served();
  const stream = open("mallory", "net");
  const small = frame(10);
  while (!stream.told.includes("pause") && received.length < 10_000) stream.arrive(small);
  expect(received.length).toBeLessThanOrEqual(2048);
});

test("of a piece with very many messages only those within the rate are looked at; the rest comes in its time, and in order", async () => {
  const { received, open } = await served();
  const numbered = (n: number): Message => ({ type: TYPES.PING, requestId: n });
  const count = 4000;
  const piece = concat(...Array.from({ length: count }, (_, i) => encodeFrame(encodeMessage(numbered(i + 1)))));
  const stream = open("mallory", "net");
  stream.arrive(piece);
  const atOnce = received.length;
  expect(atOnce).toBeLessThanOrEqual(2048);
  expect(stream.told).toContain("pause");
  stream.dispatchEvent(new Event("remoteCloseWrite"));
  now = 1000;
  await vi.advanceTimersByTimeAsync(1000);
  expect(received.length - atOnce).toBeLessThanOrEqual(160);
  expect(stream.status).toBe("open");
  while (received.length < count) {
    now += 1000;
    await vi.advanceTimersByTimeAsync(1000);
  }
  expect(received.map(({ requestId }) => requestId)).toEqual(Array.from({ length: count }, (_, i) => i + 1));
  // Only now is the stream closed: until here nothing was handed over.
  expect(stream.status).toBe("closed");
});

test("a piece of nothing but empty frames ends its stream before it costs anything", async () => {
  const { received, open } = await served();
  const stream = open("mallory", "net");
  stream.arrive(new Uint8Array(65_536));
  expect(stream.told).toContain("abort");
  expect(received.length).toBeLessThanOrEqual(2048);
  const again = open("mallory", "net");
  again.arrive(new Uint8Array(65_536));
  expect(again.told).toContain("abort");
  expect(received.length).toBeLessThanOrEqual(2048);
});

test("unfinished frames of one peer are bounded, on however many streams", async () => {
  const { open } = await served();
  const half = frame(4 * 1024 * 1024 - 100).subarray(0, 3 * 1024 * 1024);
  const streams = [1, 2, 3].map(() => open("mallory", "net"));
  for (const stream of streams) stream.arrive(half);
  expect(streams.map(({ told }) => told.includes("abort"))).toEqual([false, false, true]);
  // What the ended one held is free again.
  streams[0]?.abort();
  const next = open("mallory", "net");
  next.arrive(half);
  expect(next.told).not.toContain("abort");
});

test("bytes that are no message end their stream", async () => {
  const { received, open } = await served();
  const stream = open("mallory", "net");
  stream.arrive(encodeFrame(utf8("\xff\xff no protobuf")));
  expect(stream.told).toEqual(["abort"]);
  expect(received).toEqual([]);
});
