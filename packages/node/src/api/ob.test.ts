import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Bazaar, createBazaar, folderStorage } from "@restante/bazaar";
import { chatMessage, identityFromSeed, type Message, type PeerId } from "@restante/bazaar/format";
import { memoryStore } from "restante";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { WebSocket } from "ws";
import { startDaemon } from "../daemon.ts";
import { type Ob, openOb } from "../ob/ob.ts";
import { Client } from "./client.ts";
import { createObApi } from "./ob.ts";
import { obSocket } from "./ob-socket.ts";
import { serveApi } from "./server.ts";

const [me, alice] = [1, 2].map((n) => identityFromSeed(new Uint8Array(32).fill(n)).id) as [PeerId, PeerId];
const network = { send: async () => "accepted" as const, scan: () => {}, reach: async () => false, ban: () => {} };

function chat(text: string): Message {
  const message = chatMessage({ text, subject: "", time: { seconds: 1_700_000_000, nanos: 120_000_000 } });
  if (message === undefined) throw new Error("no chat");
  return message;
}

async function comes(ob: Ob, text: string): Promise<void> {
  const { publicKey } = identityFromSeed(new Uint8Array(32).fill(2));
  await ob.received({ from: alice, publicKey, message: chat(text), way: "offline", at: 1_700_000_000_000 });
}

type Call = (method: string, path: string, body?: unknown) => Promise<{ status: number; json: unknown }>;

function callsOf(ob: Ob): Call {
  const app = createObApi(ob, (message) => {
    throw new Error(message);
  });
  return async (method, path, body) => {
    const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    const answer = await app.request(path, { method, ...(text !== undefined && { body: text }) });
    return { status: answer.status, json: await answer.json() };
  };
}

describe("what OpenBazaar's clients call", () => {
  let ob: Ob;
  let call: Call;
  beforeAll(async () => {
    ob = await openOb({ store: memoryStore(), id: me });
    ob.attach(network);
    call = callsOf(ob);
  });

  test("[D3] POST /ob/chat takes a message and says its id; it stands in the conversation then", async () => {
    const { status, json } = await call("POST", "/chat", { peerId: alice, subject: "", message: "hello" });
    expect([status, json]).toEqual([200, { messageId: expect.stringMatching(/^Qm\w{44}$/) }]);
    const { messageId } = json as { messageId: string };
    const shown = (await call("GET", `/chatmessages/${alice}`)).json as { timestamp: string }[];
    expect(shown).toEqual([
      {
        messageId,
        peerId: alice,
        subject: "",
        message: "hello",
        read: false,
        outgoing: true,
        timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/),
        suite: "static",
        state: "waiting",
      },
    ]);
  });

  test("[D4] [D5] what is no JSON, lacks a peer or is too long is answered with 400 or 413, and the reason", async () => {
    const refusals = [
      ["/chat", "{not json", 400],
      ["/chat", "[]", 400],
      ["/chat", { subject: "", message: "x" }, 400],
      ["/chat", { peerId: alice, message: 7 }, 400],
      ["/chat", { peerId: "Qmnothing", message: "x" }, 400],
      ["/chat", { peerId: alice, subject: "s".repeat(501), message: "x" }, 413],
      ["/chat", { peerId: alice, message: "x".repeat(20_001) }, 413],
      ["/chat", "x".repeat(2 ** 20 + 1), 413],
      ["/groupchat", { peerIds: [], message: "x" }, 400],
      ["/groupchat", { peerIds: [alice, "someone"], message: "x" }, 400],
    ] as const;
    for (const [path, body, expected] of refusals) {
      const { status, json } = await call("POST", path, body);
      expect([status, json]).toEqual([expected, { success: false, reason: expect.stringMatching(/\w/) }]);
    }
    expect((await call("GET", `/chatmessages/${alice}?limit=x`)).status).toBe(400);
    expect((await call("GET", "/nothing")).json).toMatchObject({ success: false });
    expect(((await call("GET", `/chatmessages/${alice}`)).json as unknown[]).length).toBe(1);
  });

  test("[X28] conversations, their messages, read marks and their end, in OpenBazaar's shapes", async () => {
    await comes(ob, "one");
    await comes(ob, "two");
    expect((await call("GET", "/chatconversations")).json).toEqual([
      { peerId: alice, unread: 2, lastMessage: "two", timestamp: "2023-11-14T22:13:20.12Z", outgoing: false },
    ]);
    const [two, one] = (await call("GET", `/chatmessages/${alice}?limit=2`)).json as { messageId: string }[];
    expect(two).toMatchObject({ message: "two", outgoing: false, read: false, addressee: "unproven", suite: "static" });
    const below = `/chatmessages/${alice}?limit=1&offsetId=${two?.messageId}`;
    expect((await call("GET", below)).json).toEqual([one]);
    expect((await call("POST", `/markchatasread/${alice}`)).json).toEqual({});
    expect((await call("GET", "/chatconversations")).json).toMatchObject([{ unread: 0 }]);
    expect((await call("DELETE", `/chatmessage/${two?.messageId}`)).json).toEqual({});
    expect((await call("GET", `/chatmessages/${alice}?limit=1`)).json).toMatchObject([{ message: "one", read: true }]);
    expect((await call("DELETE", `/chatconversation/${alice}`)).json).toEqual({});
    expect((await call("GET", "/chatconversations")).json).toEqual([]);
    expect((await call("GET", "/scanofflinemessages")).json).toEqual({});
    expect((await call("GET", `/status/${alice}`)).json).toEqual({ status: "offline" });
  });

  test("a message to several is one, in a conversation of its own", async () => {
    const { json } = await call("POST", "/groupchat", { peerIds: [alice, me, alice], subject: "all", message: "hi" });
    const messages = (await call("GET", "/chatmessages?subject=all")).json;
    expect(messages).toMatchObject([{ ...(json as object), peerId: "", message: "hi", outgoing: true }]);
  });

  test("a peer is blocked, listed, and let in again; what is no id is refused", async () => {
    expect(await call("POST", `/blocknode/${alice}`)).toEqual({ status: 200, json: {} });
    expect((await call("GET", "/blocknode")).json).toEqual([alice]);
    await comes(ob, "unheard");
    expect(JSON.stringify((await call("GET", `/chatmessages/${alice}`)).json)).not.toContain("unheard");
    expect(await call("DELETE", `/blocknode/${alice}`)).toEqual({ status: 200, json: {} });
    expect((await call("GET", "/blocknode")).json).toEqual([]);
    expect((await call("POST", "/blocknode/nobody")).status).toBe(400);
  });

  test("without a network nothing is taken", async () => {
    const alone = callsOf(await openOb({ store: memoryStore(), id: me }));
    expect(await alone("POST", "/chat", { peerId: alice, message: "x" })).toMatchObject({ status: 503 });
    expect((await alone("GET", "/chatconversations")).json).toEqual([]);
  });
});

describe("notifications by WebSocket", () => {
  let dir = "";
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "restante-ob-"));
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  test("say what comes, what was read and who is typing, to all who listen at /ws, and to no web page", async () => {
    const ob = await openOb({ store: memoryStore(), id: me });
    ob.attach(network);
    const socket = join(dir, "socket");
    const stop = await serveApi(
      createObApi(ob, () => {}),
      socket,
      obSocket(ob),
    );
    const readers = [new WebSocket(`ws+unix://${socket}:/ws`), new WebSocket(`ws+unix://${socket}:/ws`)];
    const texts: string[] = [];
    const heard = (count: number): Promise<void> =>
      new Promise((resolve) => {
        for (const reader of readers)
          reader.on("message", (data) => {
            if (texts.push(String(data)) === count) resolve();
          });
      });
    await Promise.all(readers.map((reader) => once(reader, "open")));
    const all = heard(4);
    await comes(ob, "hello");
    const typing = chatMessage({ text: "", subject: "", time: { seconds: 1, nanos: 0 }, flag: "typing" });
    ob.fleeting(alice, typing as Message);
    await all;
    const told = texts.map((text) => JSON.parse(text) as object);
    expect(told.filter((one) => "message" in one)).toMatchObject([
      { message: { peerId: alice, message: "hello", subject: "" } },
      { message: { message: "hello" } },
    ]);
    expect(told.filter((one) => "messageTyping" in one)).toHaveLength(2);

    for (const [path, headers] of [
      ["/ws", { origin: "https://evil.example" }],
      ["/elsewhere", {}],
    ] as const) {
      const asked = request({
        socketPath: socket,
        path,
        headers: { ...headers, connection: "upgrade", upgrade: "websocket", "sec-websocket-version": "13" },
      });
      asked.end();
      const [answer] = (await once(asked, "response")) as [{ statusCode: number; resume(): void }];
      expect(answer.statusCode).toBe(403);
      answer.resume();
    }
    const ended = readers.map((reader) => once(reader, "close"));
    await stop();
    await Promise.all(ended);
  });

  test("are not kept for a reader who answers no ping", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const socket = join(dir, "beats");
    const stop = await serveApi({ fetch: () => new Response() }, socket, obSocket({ on: () => () => {} }));
    try {
      const there = new WebSocket(`ws+unix://${socket}:/ws`);
      const gone = new WebSocket(`ws+unix://${socket}:/ws`, { autoPong: false });
      await Promise.all([there, gone].map((reader) => once(reader, "open")));
      const [pinged, ended] = [once(there, "ping"), once(gone, "close")];
      vi.advanceTimersByTime(30_000);
      await pinged;
      // What it says after its answer comes after that.
      const heard = once(there, "pong");
      there.ping();
      await heard;
      vi.advanceTimersByTime(30_000);
      await ended;
      const stays = once(there, "pong");
      there.ping();
      await stays;
    } finally {
      await stop();
      vi.useRealTimers();
    }
  });
});

describe("over real nodes", () => {
  const opened: Bazaar[] = [];
  let dir = "";
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "restante-ob-"));
  });
  afterAll(async () => {
    await Promise.all(opened.map((bazaar) => bazaar.stop()));
    await rm(dir, { recursive: true, force: true });
  });

  async function start(n: number, bootstrap: readonly string[]): Promise<{ ob: Ob; bazaar: Bazaar; call: Call }> {
    const seed = new Uint8Array(32).fill(n);
    const store = memoryStore();
    const ob = await openOb({ store, id: identityFromSeed(seed).id });
    const bazaar = await createBazaar({
      seed,
      store,
      storage: folderStorage(join(dir, `${n}`)),
      listen: ["/ip4/127.0.0.1/tcp/0"],
      network: "local",
      serves: true,
      bootstrap,
      onMessage: (message) => ob.received(message),
      onProgress: (progress) => ob.progressed(progress),
      onFleeting: (from, message) => ob.fleeting(from, message),
    });
    ob.attach(bazaar);
    opened.push(bazaar);
    return { ob, bazaar, call: callsOf(ob) };
  }

  test("a chat message arrives, is answered by a read mark, and its writer sees both", async () => {
    const ours = await start(1, []);
    const theirs = await start(2, ours.bazaar.addrs());
    await theirs.bazaar.joined(AbortSignal.timeout(30_000));
    const { messageId } = (await theirs.call("POST", "/chat", { peerId: me, message: "hello" })).json as {
      messageId: string;
    };
    await expect
      .poll(async () => (await ours.call("GET", `/chatmessages/${alice}`)).json)
      .toMatchObject([{ messageId, message: "hello", outgoing: false, addressee: "proven" }]);
    expect((await ours.call("GET", `/status/${alice}`)).json).toEqual({ status: "online" });
    await ours.call("POST", `/markchatasread/${alice}`);
    await expect
      .poll(async () => (await theirs.call("GET", `/chatmessages/${me}`)).json)
      .toMatchObject([{ messageId, outgoing: true, state: "delivered", read: true }]);
  });
});

test("a daemon has it on its socket where the bazaar is configured, and else there is no such path", async () => {
  const dir = await mkdtemp(join(tmpdir(), "restante-ob-"));
  const quiet = { host: "127.0.0.1", port: 0 };
  const [without, with_] = [
    await startDaemon({ ...quiet, home: join(dir, "without") }),
    await startDaemon({ ...quiet, home: join(dir, "with"), bazaar: { local: true } }),
  ];
  const [poor, rich] = [new Client(without.socket), new Client(with_.socket)];
  await expect(poor.call("GET", "/ob/chatconversations")).rejects.toMatchObject({ code: "not-found" });
  expect(await rich.call("POST", "/ob/chat", { peerId: alice, message: "hello" })).toMatchObject({
    messageId: expect.stringMatching(/^Qm/),
  });
  const reader = new WebSocket(`ws+unix://${with_.socket}:/ws`);
  await once(reader, "open");
  const ended = once(reader, "close");
  await Promise.all([without.close(), with_.close()]);
  await ended;
  const again = await startDaemon({ ...quiet, home: join(dir, "with"), bazaar: { local: true } });
  expect(await new Client(again.socket).call("GET", "/ob/chatconversations")).toMatchObject([{ lastMessage: "hello" }]);
  await again.close();
  await rm(dir, { recursive: true, force: true });
});
