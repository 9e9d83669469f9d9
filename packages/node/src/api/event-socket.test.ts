import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Hono } from "hono";
import type { Peer, PeerEvent } from "restante";
import { afterEach, beforeEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { eventSocket } from "./event-socket.ts";
import { serveApi, upgradesAt } from "./server.ts";

/** A machine may be busy. */
let dir: string;
let socket: string;
let end: () => Promise<void>;
const listeners = new Set<(event: PeerEvent) => void>();
const peer = {
  on(listener: (event: PeerEvent) => void) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
  inbox: async () => [],
  status: () => ({ inbox: 0 }),
  contacts: () => [],
} as unknown as Peer;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "restante-events-"));
  socket = join(dir, "sock");
  const stop = new AbortController();
  const app = new Hono().get("/health", (c) => c.text("ok"));
  const events = eventSocket({ peer, signal: stop.signal });
  const close = await serveApi(app, socket, upgradesAt({ "/v1/events": events, "/ws": undefined }));
  end = async () => {
    stop.abort();
    await close();
  };
});

afterEach(async () => {
  await end();
  await rm(dir, { recursive: true });
});

function tell(count: number): void {
  for (let i = 0; i < count; i++) for (const listener of listeners) listener({ type: "gap", contact: "", missing: i });
}

const closed = (reader: WebSocket): Promise<number> => new Promise((resolve) => reader.on("close", resolve));

test("a reader who falls too far behind is told so by a code of its own, and nobody else", async () => {
  const [slow, other] = [1, 2].map(() => new WebSocket(`ws+unix://${socket}:/v1/events`)) as [WebSocket, WebSocket];
  await expect.poll(() => listeners.size).toBe(2);
  const [behind] = listeners;
  for (let i = 0; i <= 1001; i++) behind?.({ type: "gap", contact: "", missing: i });
  expect(await Promise.race([slow, other].map(closed))).toBe(4008);
  await expect.poll(() => listeners.size).toBe(1);
  const got: unknown[] = [];
  for (const each of [slow, other]) each.on("message", (data) => got.push(JSON.parse(String(data))));
  tell(1);
  await expect.poll(() => got).toEqual([{ type: "gap", data: { type: "gap", contact: "", missing: 0 } }]);
});

test("more readers than there are places for are refused, and the end of the daemon is said to those that are there", async () => {
  const readers = Array.from({ length: 64 }, () => new WebSocket(`ws+unix://${socket}:/v1/events`));
  await expect.poll(() => listeners.size).toBe(64);
  const late = new WebSocket(`ws+unix://${socket}:/v1/events`);
  const status = await new Promise((resolve) => {
    late.on("error", () => {});
    late.on("unexpected-response", (_, answer) => resolve(answer.statusCode));
  });
  expect(status).toBe(403);
  const codes = Promise.all(readers.map(closed));
  await end();
  for (const code of await codes) expect([1001, 1006]).toContain(code);
  expect(listeners.size).toBe(0);
});

test("no bytes of a reader, nor of who asks for another protocol, are more than a reason to hang up", async () => {
  const wild = [
    "GET /v1/events?after=1 HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    "GET /v1/events?after=%00 HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    "GET // HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nhost: x\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
    "GET /ws HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    "GET __proto__ HTTP/1.1\r\n\r\n",
  ];
  const opening = `${wild[0]?.slice(0, -2)}sec-websocket-version: 13\r\nsec-websocket-key: ${"A".repeat(22)}==\r\n\r\n`;
  const say = (bytes: Buffer): Promise<void> =>
    new Promise((resolve) => {
      const stream = connect(socket, () => stream.end(bytes));
      stream.on("error", () => {});
      stream.on("close", () => resolve());
      stream.resume();
    });
  await Promise.all(wild.map((text) => say(Buffer.from(text))));
  for (let i = 0; i < 60; i++) {
    const frame = randomBytes(i);
    // Bits that say a text, a close, a ping; masked, of a length that may be a lie.
    if (frame.length > 2) frame.writeUInt16BE([0x8181, 0x88fe, 0x89ff, 0x0180][i % 4] ?? 0);
    await say(Buffer.concat([Buffer.from(opening), frame]));
  }
  await expect.poll(() => listeners.size).toBe(0);
  const well = new WebSocket(`ws+unix://${socket}:/v1/events`);
  await expect.poll(() => listeners.size).toBe(1);
  well.terminate();
});
