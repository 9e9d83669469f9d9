/** What programs have of the API: keys, parts of files, events with resume, JSON-RPC, and the client package. */
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders, request } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { createClient, type Client as Package, type Refusal } from "@restante/client";
import { socketFetch } from "@restante/client/node";
import { type Peer, portable } from "restante";
import { type JsonObject, parseLinkJson } from "restante/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { type Daemon, startDaemon } from "../daemon.ts";
import { rpcOverStdio } from "../rpc.ts";
import { signature } from "../webhooks.ts";
import { createApi } from "./app.ts";
import { CheckedClient as Client } from "./checked.ts";
import type {
  ConversationList,
  IdentityList,
  InviteInfo,
  MessagePage,
  NewWebhook,
  OutboxList,
  WebhookList,
} from "./contract.ts";

const local = { host: "127.0.0.1", port: 0, say: () => {} };
/** A machine may be busy. */
let dir: string;
let alice: Daemon;
let bob: Daemon;
let toAlice: Client;
let toBob: Client;
let api: Package;
let bobs: Package;
const stop = new AbortController();

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "restante-programs-"));
  alice = await startDaemon({ ...local, home: join(dir, "alice"), name: "alice" });
  bob = await startDaemon({ ...local, home: join(dir, "bob"), name: "bob" });
  [toAlice, toBob] = [new Client(alice.socket), new Client(bob.socket)];
  api = createClient({ fetch: socketFetch(alice.socket) });
  bobs = createClient({ fetch: socketFetch(bob.socket) });
  const { link } = await toBob.call<InviteInfo>("POST", "/v1/invites", {});
  await toAlice.call("POST", "/v1/contacts", { link });
});

afterAll(async () => {
  stop.abort();
  await alice.close();
  await bob.close();
  await rm(dir, { recursive: true });
});

interface Raw {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}

function raw(daemon: Daemon, method: string, path: string, headers = {}, body: string | Buffer = ""): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath: daemon.socket, method, path, headers, agent: false });
    outgoing.on("error", reject).on("response", async (answer) => {
      resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: await buffer(answer) });
    });
    outgoing.end(body);
  });
}

/** Bob's inbox, once it holds so many. */
async function arrived(count: number): Promise<MessagePage["messages"]> {
  const read = async (): Promise<MessagePage> => toBob.call("GET", "/v1/messages");
  await expect.poll(async () => (await read()).messages.length).toBe(count);
  return (await read()).messages;
}

const sentIds = async (): Promise<string[]> =>
  (await toAlice.call<OutboxList>("GET", "/v1/outbox")).outbox
    .filter(({ kind }) => kind === "text" || kind === "file")
    .map(({ id }) => id);

describe("a daemon", () => {
  test("says that it is there, that it takes mail, and which identities its home has", async () => {
    expect(await toAlice.call("GET", "/v1/health")).toMatchObject({ status: "ok" });
    expect(await toAlice.call("GET", "/v1/ready")).toEqual({ status: "ready" });
    const { hashname } = alice.peer;
    expect(await toAlice.call<IdentityList>("GET", "/v1/identities")).toEqual({
      identities: [{ isThis: true, hashname }],
    });
    expect(await toAlice.call("GET", "/v1/openapi.json")).toMatchObject({ openapi: "3.1.0" });
  });
});

const nobody = { position: () => 0, furthest: () => 0, move: async () => {} };

test("who asks for the head of the events alone, or waits for a link and goes, leaves nobody behind who listens", async () => {
  let listeners = 0;
  const on = () => {
    listeners++;
    return () => listeners--;
  };
  const status = () => ({ inbox: 0, caches: [], links: [] });
  const peer = { hashname: "h", on, status, inbox: async () => [], contacts: () => [] } as unknown as Peer;
  const rest = { backend: "x", home: "/x", version: "1", rename: async () => {}, trouble: () => {} };
  const ends = new AbortController();
  const app = createApi({ peer, readers: nobody, ...rest, signal: ends.signal });
  const before = listeners;
  const head = await app.request("/v1/events", { method: "HEAD" });
  expect([head.status, head.headers.get("content-type"), listeners]).toEqual([200, "text/event-stream", before]);

  const body = JSON.stringify({ jsonrpc: "2.0", method: "meshWait", params: ["h"], id: 1 });
  const wait = (signal: AbortSignal): Promise<Response> =>
    Promise.resolve(app.request("/v1/rpc", { method: "POST", body, signal }));
  for (let i = 0; i < 1001; i++) {
    const client = new AbortController();
    const answer = wait(client.signal);
    client.abort();
    // Were they kept, there would be no place for the last.
    expect(await (await answer).json()).toMatchObject({ error: { data: { code: "stopped" } } });
  }
  const last = wait(ends.signal);
  ends.abort();
  expect(await (await last).json()).toMatchObject({ error: { data: { code: "stopped" } } });
});

test("a daemon whose store does not work is there, and not ready; what it is asked is refused by one code", async () => {
  const peer = { on: () => () => {}, status: () => ({ state: "waiting" }) } as unknown as Peer;
  const rest = { backend: "x", home: "/x", version: "1", rename: async () => {}, trouble: () => {} };
  const app = createApi({ peer, readers: nobody, ...rest, signal: stop.signal });
  expect((await app.request("/v1/health")).status).toBe(200);
  const ready = await app.request("/v1/ready");
  expect([ready.status, await ready.json()]).toMatchObject([
    503,
    { code: "not-running", detail: expect.stringContaining("store") },
  ]);
});

describe("a request under a key", () => {
  const headers = { "idempotency-key": "order-66" };
  const ask = (daemon: Daemon, message: object): Promise<Raw> =>
    raw(daemon, "POST", "/v1/messages", headers, JSON.stringify(message));

  test("sends once, also after the daemon was stopped and began again", async () => {
    const hello = { contact: "bob", text: "hello" };
    const [first, second] = [await ask(alice, hello), await ask(alice, hello)];
    expect([first.status, second.status]).toEqual([202, 202]);
    const { id } = JSON.parse(String(first.body)) as { id: string };
    expect(second).toMatchObject({ body: first.body, headers: { location: `/v1/outbox/${id}` } });
    await alice.close();
    alice = await startDaemon({ ...local, home: join(dir, "alice") });
    expect((await ask(alice, hello)).body).toEqual(first.body);
    expect(await sentIds()).toEqual([id]);
    expect((await arrived(1)).map((mail) => [mail.id, mail.text])).toEqual([[id, "hello"]]);
    const other = await ask(alice, { ...hello, text: "bye" });
    expect([other.status, JSON.parse(String(other.body))]).toMatchObject([422, { code: "key-reused" }]);
  });

  test("sends a file once, and is refused with other bytes", async () => {
    const bytes = randomBytes(70_000);
    const put = (content: Buffer): Promise<Raw> =>
      raw(alice, "PUT", "/v1/files?contact=bob&name=a.bin", { "idempotency-key": "f" }, content);
    const first = await put(bytes);
    expect((await put(bytes)).body).toEqual(first.body);
    expect((await put(randomBytes(70_000))).status).toBe(422);
    expect(await sentIds()).toHaveLength(2);
    expect(await arrived(2)).toMatchObject([{}, { file: { name: "a.bin", size: 70_000 } }]);
  });
});

test("of a file the part that is asked for comes, and one behind its end is refused", async () => {
  const whole = (await raw(bob, "GET", "/v1/messages/2/file")).body;
  const part = (range: string): Promise<Raw> => raw(bob, "GET", "/v1/messages/2/file", { range });
  const { status, headers, body } = await part("bytes=30000-60000");
  expect([status, headers["content-range"]]).toEqual([206, "bytes 30000-60000/70000"]);
  expect(body).toEqual(whole.subarray(30_000, 60_001));
  expect((await part("bytes=69990-")).body).toEqual(whole.subarray(69_990));
  expect((await part("bytes=-5")).body).toEqual(whole.subarray(-5));
  expect((await part("bytes=0-0")).body).toEqual(whole.subarray(0, 1));
  expect((await part("bytes=70000-")).status).toBe(416);
  for (const odd of ["bytes=5-1", "bytes=0-1,3-4", "lines=1-2", "bytes=-"])
    expect((await part(odd)).body).toEqual(whole);
});

test("conversations tell of each contact what was said last, and how much was not shown", async () => {
  const at = async (client: Client) => (await client.call<ConversationList>("GET", "/v1/conversations")).conversations;
  expect(await at(toBob)).toMatchObject([{ contact: { name: "alice" }, unread: 2, last: { kind: "file", n: 2 } }]);
  expect(await at(toAlice)).toMatchObject([{ contact: { name: "bob" }, unread: 0, last: { way: "out" } }]);
  await expect(toBob.call("GET", "/v1/conversations?limit=0")).rejects.toMatchObject({ code: "bad-request" });
});

describe("events over a WebSocket", () => {
  const open = (query: string, headers = {}): WebSocket =>
    new WebSocket(`ws+unix://${bob.socket}:/v1/events${query}`, { headers });
  const refused = (socket: WebSocket): Promise<number | undefined> =>
    new Promise((resolve) => {
      socket.on("error", () => {});
      socket.on("unexpected-response", (_, answer) => resolve(answer.statusCode));
    });

  test("begin after the number that is given, go on with what comes, and end with the daemon's word", async () => {
    const got: { type: string; n?: number; data: { text?: string } }[] = [];
    const socket = open("?after=1");
    socket.on("message", (data) => got.push(JSON.parse(String(data))));
    await expect.poll(() => got.length).toBeGreaterThan(0);
    socket.send("what is said here is passed over");
    await toAlice.call("POST", "/v1/messages", { contact: "bob", text: "third" });
    await expect.poll(() => got.filter(({ type }) => type === "mail").length).toBe(2);
    expect(got.filter(({ type }) => type === "mail")).toMatchObject([{ n: 2 }, { n: 3, data: { text: "third" } }]);
    socket.close();
  });

  test("are refused to pages of browsers, with a query that is none, and elsewhere", async () => {
    expect(await refused(open("", { origin: "http://evil.example" }))).toBe(403);
    expect(await refused(open("?after=x"))).toBe(400);
    expect(await refused(new WebSocket(`ws+unix://${bob.socket}:/v1/other`))).toBe(404);
  });

  test("end for who says more than anybody has to say", async () => {
    const socket = open("");
    socket.on("open", () => socket.send("x".repeat(2000)));
    const code = await new Promise((resolve) => socket.on("close", resolve));
    expect(code).toBe(1009);
  });
});

test("a webhook is told of mail, signed with the secret that was said once, until it is removed", async () => {
  const got: { headers: IncomingHttpHeaders; body: string }[] = [];
  const server = createServer(async (asked, answer) => {
    got.push({ headers: asked.headers, body: await text(asked) });
    answer.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  await expect(toBob.call("POST", "/v1/webhooks", { url: "ftp://x" })).rejects.toMatchObject({ code: "bad-url" });
  const { id, secret } = await toBob.call<NewWebhook>("POST", "/v1/webhooks", { url, content: true });
  await toAlice.call("POST", "/v1/messages", { contact: "bob", text: "by hook" });
  await expect.poll(() => got.length).toBe(1);
  const [{ headers, body } = { headers: {} as IncomingHttpHeaders, body: "" }] = got;
  expect(JSON.parse(body)).toMatchObject({ type: "mail", data: { text: "by hook", name: "alice" } });
  const [messageId, at] = [String(headers["webhook-id"]), String(headers["webhook-timestamp"])];
  expect(headers["webhook-signature"]).toBe(signature(secret, messageId, at, body));
  const list = async () => (await toBob.call<WebhookList>("GET", "/v1/webhooks")).webhooks;
  await expect.poll(async () => (await list())[0]?.after).toBe(JSON.parse(body).data.n);
  expect(JSON.stringify(await list())).not.toContain(secret);
  await toBob.call("DELETE", `/v1/webhooks/${id}`);
  expect(await list()).toEqual([]);
  await new Promise((resolve) => server.close(resolve));
});

test("who dribbles headers or bodies keeps nobody else waiting, and what never became a request does nothing", async () => {
  const before = await sentIds();
  const head = "POST /v1/messages HTTP/1.1\r\nhost: x\r\n";
  const starts = [
    "P",
    head,
    `${head}content-length: 40\r\n\r\n{"contact":"bob",`,
    `${head}transfer-encoding: chunked\r\n\r\nff\r\n{`,
  ];
  const slow = await Promise.all(
    Array.from({ length: 40 }, async (_, i) => {
      const stream = connect(alice.socket);
      stream.on("error", () => {});
      await new Promise((resolve) => stream.write(starts[i % starts.length] ?? "", resolve));
      return stream;
    }),
  );
  expect(await toAlice.call("GET", "/v1/ready")).toEqual({ status: "ready" });
  for (const stream of slow) stream.destroy();
  await Promise.all(slow.map((stream) => new Promise((resolve) => stream.once("close", resolve))));
  expect(await sentIds()).toEqual(before);
});

describe("JSON-RPC", () => {
  const rpc = async (body: unknown, path = "/v1/rpc"): Promise<unknown> => {
    const said = typeof body === "string" ? body : JSON.stringify(body);
    const answer = await raw(alice, "POST", path, {}, said);
    return answer.status === 204 ? undefined : JSON.parse(String(answer.body));
  };
  const call = (method: string, params?: unknown, id: unknown = 1): object => ({
    jsonrpc: "2.0",
    method,
    ...(params === undefined ? {} : { params }),
    ...(id === undefined ? {} : { id }),
  });

  test("answers every operation by its name, with all that it asks in one object", async () => {
    expect(await rpc(call("contact", { contact: "bob" }), "/rpc")).toMatchObject({ id: 1, result: { name: "bob" } });
    expect(await rpc(call("receive", { limit: 1 }, "x"))).toEqual({
      jsonrpc: "2.0",
      result: { messages: [] },
      id: "x",
    });
    const params = { contact: "bob", text: "by rpc", idempotencyKey: "r1" };
    const answer = await rpc(call("send", params));
    expect(answer).toMatchObject({ result: { id: expect.stringMatching(/^[0-9a-f]{32}$/) } });
    expect(await rpc(call("send", params))).toEqual(answer);
  });

  test("runs a batch in its order, and says nothing about notifications", async () => {
    const list = (contacts: string[]): unknown => ({ name: "friends", contacts });
    const batch = [
      { ...call("setList", list(["bob"])), id: undefined },
      call("lists"),
      call("removeList", { name: "friends" }, 2),
    ];
    expect(await rpc(batch)).toMatchObject([{ result: { lists: [{ name: "friends" }] } }, { id: 2 }]);
    expect(await rpc([{ ...call("status"), id: undefined }])).toBeUndefined();
    expect(await rpc({ ...call("nothing"), id: undefined })).toBeUndefined();
  });

  test.each([
    ["no JSON", "{", -32_700, null],
    ["an empty batch", [], -32_600, null],
    ["another version", { jsonrpc: "1.0", method: "status", id: 3 }, -32_600, 3],
    ["a method that is no text", { jsonrpc: "2.0", method: 1, id: 3 }, -32_600, 3],
    ["an unknown method", call("constructor"), -32_601, 1],
    ["one that gives no JSON", call("sendFile", {}), -32_601, 1],
    ["params in a list", call("contact", ["bob"]), -32_602, 1],
    ["params that are missing", call("contact", {}), -32_602, 1],
    ["params that nobody asked for", call("status", { x: 1 }), -32_602, 1],
    ["a contact that is none", call("contact", { contact: "nobody" }), -32_000, 1],
    ["a path for a contact", call("contact", { contact: "../status" }), -32_000, 1],
    ["dots for a contact", call("contact", { contact: ".." }), -32_000, 1],
  ])("%s is an error with the code of the specification", async (_, body, code, id) => {
    expect(await rpc(body)).toMatchObject({ jsonrpc: "2.0", error: { code }, id });
  });

  test("knows the methods of telehash's guide, and refuses those that would not be true", async () => {
    const { hashname } = alice.peer;
    const { result } = (await rpc(call("meshLoad", []))) as { result: unknown };
    expect(result).toEqual({ hashname, keys: alice.peer.keys, paths: alice.peer.status().paths });
    expect(parseLinkJson(portable, result as JsonObject)?.hashname).toBe(hashname);
    expect(await rpc(call("meshLink", [hashname, { hashname: bob.peer.hashname }]))).toMatchObject({
      result: { hashname: bob.peer.hashname, state: "up" },
    });
    for (const [method, params] of [
      ["meshLoad", [{}]],
      ["meshLink", [hashname, "nobody"]],
      ["meshWait", ["another mesh"]],
      ["linkSend", [hashname, bob.peer.hashname, "aa"]],
    ])
      expect(await rpc(call(method as string, params))).toMatchObject({ error: { code: -32_000 } });
  });

  test("on stdio a line is answered by a line", async () => {
    const [input, output] = [new PassThrough(), new PassThrough()];
    input.end(`${JSON.stringify(call("health"))}\n\n{\n${JSON.stringify({ ...call("health"), id: undefined })}\n`);
    await rpcOverStdio(toAlice, input, output);
    output.end();
    const lines = (await text(output))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { id: unknown });
    expect(lines.sort((a, b) => Number(a.id) - Number(b.id))).toMatchObject([
      { id: null, error: { code: -32_700, message: "the line is not JSON" } },
      { id: 1, result: { status: "ok" } },
    ]);
    const nobody = new Client(join(dir, "nobody"));
    const asked = rpcOverStdio(nobody, Readable.from([`${JSON.stringify(call("health"))}\n`]), new PassThrough());
    await expect(asked).rejects.toMatchObject({ code: "no-daemon" });
  });
});

test("on stdio who takes long keeps nobody behind it waiting: answers come as they are there", async () => {
  let release = (): void => {};
  const slow = new Promise<string>((resolve) => {
    release = () => resolve('{"id":1}');
  });
  const client = {
    text: (_: string, __: string, line: string) => (line === "1" ? slow : Promise.resolve(`{"id":${line}}`)),
  };
  const output = new PassThrough();
  const asked = rpcOverStdio(client as unknown as Client, Readable.from(["1\n2\n3\n"]), output);
  const answers: unknown[] = [];
  for await (const line of output) {
    answers.push(...String(line).trim().split("\n"));
    if (answers.length === 2) release();
    if (answers.length === 3) break;
  }
  await asked;
  expect(answers).toEqual(['{"id":2}', '{"id":3}', '{"id":1}']);
});

test("a method that a path has not is refused with those that it has", async () => {
  const cases: [method: string, path: string, allow: string | undefined][] = [
    ["PATCH", "/v1/messages", "GET, HEAD, POST"],
    ["GET", "/v1/rpc", "POST"],
    ["PUT", "/rpc", "POST"],
    ["DELETE", "/v1/contacts/bob/verified/", undefined],
    ["POST", "/v1/contacts/bob", "DELETE, GET, HEAD"],
    ["OPTIONS", "/v1/nothing", undefined],
  ];
  for (const [method, path, allow] of cases) {
    const { status, headers, body } = await raw(alice, method, path);
    expect([status, headers["allow"]]).toEqual([allow === undefined ? 404 : 405, allow]);
    expect(JSON.parse(body.toString())).toMatchObject({ status, code: "not-found" });
  }
});

describe("the client package", () => {
  test("calls by name, tells refusals by their code, and gives a key along", async () => {
    expect((await api.call("contacts")).contacts.map(({ name }) => name)).toEqual(["bob"]);
    const send = () => api.call("send", { contact: "bob", text: "from the package" }, { idempotencyKey: "p" });
    expect(await send()).toEqual(await send());
    const refusal = (await api.call("contact", { contact: "a/b?c" }).catch((error: unknown) => error)) as Refusal;
    expect(refusal).toMatchObject({ status: 404, code: "not-found", message: 'there is no contact "a/b?c"' });
    const away = createClient({ fetch: socketFetch(join(dir, "nobody")) });
    expect(await away.call("health").catch((error: unknown) => error)).toMatchObject({
      ...{ name: "Refusal", status: 0, code: "no-daemon", message: `no daemon listens at ${join(dir, "nobody")}` },
    });
  });

  test("sends a file and reads it, whole and in part", async () => {
    const { id } = await api.sendFile({ contact: "bob", name: "ä.txt" }, new Blob(["0123456789"]));
    const find = async () => (await bobs.call("receive")).messages.find((each) => each.id === id);
    await expect.poll(find).toBeDefined();
    const mail = await find();
    expect(mail?.file).toMatchObject({ name: "ä.txt", size: 10 });
    expect(await text(Readable.fromWeb((await bobs.file(mail?.n ?? 0)) as never))).toBe("0123456789");
    expect(await text(Readable.fromWeb((await bobs.file(mail?.n ?? 0, { from: 2, to: 3 })) as never))).toBe("23");
  });

  test("reads events, and comes back by itself when the daemon was away: nothing twice, nothing missed", async () => {
    const isOpen = ({ state }: { state: string }) => state === "queued" || state === "handed";
    await expect.poll(async () => (await api.call("outbox")).outbox.some(isOpen)).toBe(false);
    const { inbox } = await bobs.call("status");
    const got: number[] = [];
    const reading = (async () => {
      for await (const event of bobs.events({ after: inbox - 1, signal: stop.signal }))
        if (event.type === "mail") got.push(event.n);
    })();
    await expect.poll(() => got).toEqual([inbox]);
    await bob.close();
    await api.call("send", { contact: "bob", text: "while you were away" });
    bob = await startDaemon({ ...local, home: join(dir, "bob") });
    await expect.poll(() => got).toEqual([inbox, inbox + 1]);
    stop.abort();
    await reading;
  });

  test("does what docs/api.md shows of it", async () => {
    const page = await readFile(new URL("../../../../docs/api.md", import.meta.url), "utf8");
    const [, program = ""] = /```ts\n(import \{ createClient \}[\s\S]*?)```/.exec(page) ?? [];
    const code = program.replace(/^import .*$/gm, "").replace(/socketFetch\(".*?"\)/, "socketFetch(socket)");
    const said: unknown[] = [];
    const log = (...words: unknown[]): void => {
      said.push(...words);
      throw new Error("that is enough");
    };
    const names = ["createClient", "socketFetch", "socket", "console", "crypto"];
    const run = new AsyncFunction(...names, code) as (...given: unknown[]) => Promise<void>;
    const running = run(createClient, socketFetch, alice.socket, { log }, globalThis.crypto);
    await expect(running).rejects.toThrow("that is enough");
    expect(said[0]).toMatch(/^[a-z-]+$/);
  });
});

const AsyncFunction = (async () => {}).constructor as FunctionConstructor;
