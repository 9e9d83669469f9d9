import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { CONTENT_LIMIT, type ContactInfo, type Peer, portable, RestanteError } from "restante";
import { admissionWork, parseInvite } from "restante/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Daemon, startCache, startDaemon } from "../daemon.ts";
import { CheckedClient as Client } from "./checked.ts";
import type { ServerEvent } from "./client.ts";
import {
  type ContactList,
  type InviteInfo,
  type LeftInfo,
  MAX_JSON_BYTES,
  type MessagePage,
  type OutboxList,
  type RequestList,
  type SeenInfo,
  type SentInfo,
  type StatusInfo,
  type TrackInfo,
} from "./contract.ts";

/** Two daemons and a cache, each with its own home and sockets, in this process. */
const told: string[] = [];
const local = { host: "127.0.0.1", port: 0, say: (message: string) => void told.push(message) };
let dir: string;
let shared: Peer;
let alice: Daemon;
let bob: Daemon;
let toAlice: Client;
let toBob: Client;
const opened: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "restante-api-"));
  shared = await startCache({ ...local, home: join(dir, "cache") });
  alice = await startDaemon({ ...local, home: join(dir, "alice"), name: "alice" });
  bob = await startDaemon({ ...local, home: join(dir, "bob"), name: "bob" });
  opened.push(alice, bob, shared);
  toAlice = new Client(alice.socket);
  toBob = new Client(bob.socket);
  for (const client of [toAlice, toBob]) await client.call("POST", "/v1/caches", { link: shared.joinLink() });
  const { link } = await toBob.call<InviteInfo>("POST", "/v1/invites", {});
  await toAlice.call("POST", "/v1/contacts", { link });
});

afterAll(async () => {
  for (const it of opened) await it.close();
  await rm(dir, { recursive: true });
  expect(told.filter((message) => !message.startsWith("native cryptography"))).toEqual([]);
});

/** Reads events until one is wanted. Listens from the call on. */
async function listen(
  client: Client,
  after?: number,
): Promise<(wanted: (event: ServerEvent) => boolean) => Promise<ServerEvent>> {
  const stop = new AbortController();
  const events = (await client.events(after, stop.signal))[Symbol.asyncIterator]();
  opened.unshift({ close: async () => stop.abort() });
  return async (wanted) => {
    for (;;) {
      const { value, done } = await events.next();
      if (done) throw new Error("the events ended");
      if (wanted(value)) return value;
    }
  };
}

const isMail = ({ type }: ServerEvent): boolean => type === "mail";

describe("the API", () => {
  test("a text and a file arrive, once, with a ledger that ends in delivered", async () => {
    const atBob = await listen(toBob);
    const atAlice = await listen(toAlice);
    const sent = await toAlice.call<SentInfo>("POST", "/v1/messages", { contact: "bob", text: "hello" });
    const got = await atBob(isMail);
    expect(got.data).toMatchObject({ n: 1, id: sent.id, kind: "text", text: "hello", name: "alice" });
    expect(got.id).toBe("1");

    const content = randomBytes(100_000);
    const { id } = await toAlice.upload<SentInfo>("/v1/files?contact=bob&name=a%20b.bin", Readable.from([content]));
    const { data } = await atBob(isMail);
    const sha256 = createHash("sha256").update(content).digest("hex");
    const file = { name: "a b.bin", media: "application/octet-stream", size: content.length, sha256 };
    expect(data).toMatchObject({ n: 2, id, file });
    expect(Object.keys((data as { file: object }).file).sort()).toEqual(["media", "name", "sha256", "size"]);
    expect(await buffer(await toBob.download("/v1/messages/2/file"))).toEqual(content);

    await atAlice(
      ({ type, data }) =>
        type === "state" && (data as TrackInfo).id === id && (data as TrackInfo).state === "delivered",
    );
    const track = await toAlice.call<TrackInfo>("GET", `/v1/outbox/${id.slice(0, 10)}`);
    expect(track.id).toBe(id);
    expect(track.ledger[0]?.state).toBe("queued");
    expect(track.ledger.at(-1)?.state).toBe("delivered");
  });

  test("messages come in pages, and the cursor of what was seen only grows, never past the end", async () => {
    const { messages } = await toBob.call<MessagePage>("GET", "/v1/messages?after=1&limit=1");
    expect(messages.map(({ n }) => n)).toEqual([2]);
    expect((await toBob.call<MessagePage>("GET", "/v1/messages?after=2")).messages).toEqual([]);
    const move = async (n: number): Promise<number> => (await toBob.call<SeenInfo>("PUT", "/v1/seen", { n })).n;
    expect(await move(1)).toBe(1);
    expect(await move(0)).toBe(1);
    expect(await move(99)).toBe(2);
    expect(await toBob.call<SeenInfo>("GET", "/v1/seen")).toEqual({ n: 2 });
  });

  test("who reads events after a mail's number gets everything since, first what lies there, then what comes", async () => {
    const next = await listen(toBob, 1);
    expect((await next(isMail)).id).toBe("2");
    await toAlice.call("POST", "/v1/messages", { contact: "bob", text: "third" });
    expect(await next(isMail)).toMatchObject({ id: "3", data: { text: "third" } });
  });

  test("a contact with read marks is told what was seen from then on, and its mail says by which device", async () => {
    const atAlice = await listen(toAlice);
    const path = "/v1/contacts/alice/read-marks";
    expect(await toBob.call<ContactInfo>("PUT", path, { on: true })).toMatchObject({ name: "alice", readMarks: true });
    // Whoever of his readers got there first; the others go on where they were.
    expect(await toBob.call<SeenInfo>("PUT", "/v1/seen", { n: 99, reader: "page" })).toEqual({ n: 3 });
    expect(await toBob.call<SeenInfo>("GET", "/v1/seen?reader=page")).toEqual({ n: 3 });
    expect(await toBob.call<SeenInfo>("GET", "/v1/seen?reader=bot")).toEqual({ n: 0 });
    expect(await toBob.call<SeenInfo>("GET", "/v1/seen")).toEqual({ n: 2 });
    expect(await toBob.call<StatusInfo>("GET", "/v1/status")).toMatchObject({ seen: 2 });
    const { id, peer } = (
      await atAlice(({ type, data }) => type === "state" && (data as { state: string }).state === "read")
    ).data as { id: string; peer: string };
    const [third] = (await toBob.call<MessagePage>("GET", "/v1/messages?after=2&limit=1")).messages;
    expect(id).toBe(third?.id);
    const { ledger, mail } = await toAlice.call<TrackInfo>("GET", `/v1/outbox/${id}`);
    expect(ledger.slice(-2).map((entry) => [entry.state, entry.peer])).toEqual([
      ["delivered", peer],
      ["read", peer],
    ]);
    expect(mail).toMatchObject({ state: "read", delivered: { k: 1, n: 1 } });
    expect(await toBob.call<SeenInfo>("PUT", "/v1/seen", { n: 3 })).toEqual({ n: 3 });
    expect(await toBob.call<ContactInfo>("PUT", path, { on: false })).toMatchObject({ readMarks: false });
  });

  test("a contact can be named by name, id, hashname or the start of one; unknown and ambiguous names are told apart", async () => {
    const { contacts } = await toAlice.call<ContactList>("GET", "/v1/contacts");
    expect(contacts.map(({ name }) => name)).toEqual(["bob"]);
    const [{ id, hashnames } = { id: "", hashnames: [""] }] = contacts;
    for (const contact of [id, id.slice(0, 6), hashnames[0], "BOB"])
      await toAlice.call<SentInfo>("POST", "/v1/messages", { contact, text: "x" });
    await expect(toAlice.call("POST", "/v1/messages", { contact: "carol", text: "x" })).rejects.toMatchObject({
      code: "not-found",
      message: 'there is no contact "carol"',
    });
  });

  test("status says how the daemon fares, and nothing of anybody's mail", async () => {
    const status = await toBob.call<StatusInfo>("GET", "/v1/status");
    expect(status).toMatchObject({
      state: "running",
      name: "bob",
      contacts: 1,
      requests: 0,
      problems: [],
      home: join(dir, "bob"),
    });
    expect(status.caches).toHaveLength(1);
    expect(JSON.stringify(status)).not.toContain("hello");
  });

  test("a stranger's hello becomes a request, and accepting it shows the mail", async () => {
    // An invite good for one, used by two: the second is a stranger.
    const carol = await startDaemon({ ...local, home: join(dir, "carol"), name: "carol" });
    const dave = await startDaemon({ ...local, home: join(dir, "dave"), name: "dave" });
    opened.push(carol, dave);
    const { link } = await toBob.call<InviteInfo>("POST", "/v1/invites");
    const atBob = await listen(toBob);
    await new Client(carol.socket).call("POST", "/v1/contacts", { link });
    await atBob(({ type }) => type === "contact");
    const toDave = new Client(dave.socket);
    await toDave.call("POST", "/v1/contacts", { link });
    await toDave.call("POST", "/v1/messages", { contact: "bob", text: "it is me" });
    await atBob(({ type, data }) => type === "request" && (data as { texts: string[] }).texts.length > 0);
    const { requests } = await toBob.call<RequestList>("GET", "/v1/requests");
    expect(requests).toMatchObject([{ name: "dave", texts: ["it is me"], hashname: dave.peer.hashname }]);
    await toBob.call("POST", `/v1/requests/${dave.peer.hashname.slice(0, 8)}/accept`);
    expect(await atBob(isMail)).toMatchObject({ data: { name: "dave", text: "it is me" } });
    await expect(toBob.call("POST", `/v1/requests/${dave.peer.hashname}/accept`)).rejects.toMatchObject({
      code: "not-found",
    });
  });

  test("mail to somebody who is away can be cancelled", async () => {
    const erin = await startDaemon({ ...local, home: join(dir, "erin") });
    const { link } = await new Client(erin.socket).call<InviteInfo>("POST", "/v1/invites");
    const erinId = erin.peer.hashname;
    await erin.close();
    await toAlice.call("POST", "/v1/contacts", { link });
    const { id } = await toAlice.call<SentInfo>("POST", "/v1/messages", { contact: erinId, text: "never mind" });
    const { outbox } = await toAlice.call<OutboxList>("GET", "/v1/outbox");
    expect(outbox.find((mail) => mail.id === id)).toMatchObject({ state: "queued", kind: "text" });
    expect(await toAlice.call<TrackInfo>("DELETE", `/v1/outbox/${id}`)).toMatchObject({ id, state: "cancelled" });
  });

  test("a contact is removed by what names one, and mail to it is given up", async () => {
    const name = "frank & sons/%2F?";
    const frank = await startDaemon({ ...local, home: join(dir, "frank"), name });
    const { link } = await toAlice.call<InviteInfo>("POST", "/v1/invites");
    const atAlice = await listen(toAlice);
    await new Client(frank.socket).call("POST", "/v1/contacts", { link });
    await atAlice(({ type, data }) => type === "contact" && (data as { contact: ContactInfo }).contact.name === name);
    await frank.close();
    const sent = await toAlice.call<SentInfo>("POST", "/v1/messages", { contact: name, text: "are you there?" });
    const remove = () => toAlice.call<ContactInfo>("DELETE", `/v1/contacts/${encodeURIComponent(name)}`);
    expect(await remove()).toMatchObject({ name, hashnames: [frank.peer.hashname] });
    const { contacts } = await toAlice.call<ContactList>("GET", "/v1/contacts");
    expect(contacts.map((contact) => contact.name)).not.toContain(name);
    expect(await toAlice.call<TrackInfo>("GET", `/v1/outbox/${sent.id}`)).toMatchObject({ state: "cancelled" });
    await expect(remove()).rejects.toMatchObject({ code: "not-found", message: `there is no contact "${name}"` });
  });

  test("an invite may ask for work, which its link then says", async () => {
    const make = (work: unknown) => toBob.call<InviteInfo>("POST", "/v1/invites", { work });
    const uris = async (work: number) =>
      parseInvite(portable, (await make(work)).link)?.caches.map(({ uri }) => admissionWork(uri));
    expect([await uris(12), await uris(0)]).toEqual([[12], [0]]);
    for (const work of [25, -1, 1.5, "12"]) await expect(make(work)).rejects.toMatchObject({ code: "bad-request" });
  });

  test("an invite is closed once, by who made it", async () => {
    const { link } = await toBob.call<InviteInfo>("POST", "/v1/invites", { once: false });
    const close = (client: Client) => client.call<InviteInfo>("POST", "/v1/invites/close", { link });
    await expect(close(toAlice)).rejects.toMatchObject({ code: "not-found" });
    expect(await close(toBob)).toEqual({ link });
    await expect(close(toBob)).rejects.toMatchObject({ code: "not-found" });
  });

  test("a cache is left by the start of its hashname", async () => {
    const grace = await startDaemon({ ...local, home: join(dir, "grace") });
    const client = new Client(grace.socket);
    const other = await startCache({ ...local, home: join(dir, "other") });
    opened.push(grace, other);
    const [first = ""] = (await toBob.call<StatusInfo>("GET", "/v1/status")).caches.map(({ hashname }) => hashname);
    for (const joinLink of [shared.joinLink(), other.joinLink()])
      await client.call("POST", "/v1/caches", { link: joinLink });
    const leave = (hashname: string) => client.call<LeftInfo>("DELETE", `/v1/caches/${hashname}`);
    expect(await leave(first.slice(0, 12))).toEqual({ cache: first, others: 1 });
    await expect(leave(first)).rejects.toMatchObject({ code: "not-found", message: `there is no cache "${first}"` });
    const { caches } = await client.call<StatusInfo>("GET", "/v1/status");
    expect(caches.map(({ hashname }) => hashname)).toEqual([other.hashname]);
    expect(await leave(other.hashname)).toEqual({ cache: other.hashname, others: 0 });
  });
});

describe("wrong requests", () => {
  /** Status, content type and body of a request that the client would never make. */
  async function raw(
    method: string,
    path: string,
    body = "",
    headers = {},
  ): Promise<[number, string, { code: string }]> {
    const answer = await new Promise<import("node:http").IncomingMessage>((resolve, reject) => {
      const outgoing = request({ socketPath: alice.socket, method, path, agent: false, headers });
      outgoing.on("response", resolve).on("error", reject).end(body);
    });
    return [answer.statusCode ?? 0, answer.headers["content-type"] ?? "", JSON.parse(await text(answer))];
  }

  test.each([
    ["no JSON", "POST", "/v1/messages", "{", 400, "bad-request"],
    ["an unknown member", "POST", "/v1/messages", '{"contact":"bob","text":"x","urgent":true}', 400, "bad-request"],
    ["a missing member", "POST", "/v1/messages", '{"contact":"bob"}', 400, "bad-request"],
    ["another type", "POST", "/v1/messages", '{"contact":"bob","text":5}', 400, "bad-request"],
    [
      "an end in seconds",
      "POST",
      "/v1/messages",
      '{"contact":"bob","text":"x","expires":1795246183}',
      400,
      "bad-request",
    ],
    ["an empty text", "POST", "/v1/messages", '{"contact":"bob","text":""}', 400, "bad-request"],
    [
      "a text that is no text any more",
      "POST",
      "/v1/messages",
      JSON.stringify({ contact: "bob", text: "x".repeat(100_000) }),
      413,
      "too-large",
    ],
    [
      "too much JSON",
      "POST",
      "/v1/messages",
      JSON.stringify({ contact: "bob", text: "x".repeat(MAX_JSON_BYTES) }),
      413,
      "too-large",
    ],
    ["an array", "POST", "/v1/invites", "[]", 400, "bad-request"],
    ["no invite", "POST", "/v1/contacts", '{"link":"http://example.org"}', 400, "bad-invite"],
    ["no join link", "POST", "/v1/caches", '{"link":"link://127.0.0.1"}', 400, "bad-link"],
    ["an invite to close that is none", "POST", "/v1/invites/close", '{"link":"link://127.0.0.1"}', 400, "bad-invite"],
    ["closing nothing", "POST", "/v1/invites/close", "", 400, "bad-request"],
    ["an unknown contact", "DELETE", "/v1/contacts/nobody", "", 404, "not-found"],
    ["a list with the name of a contact", "PUT", "/v1/lists/BOB", '{"contacts":["bob"]}', 409, "known"],
    ["an unknown cache", "DELETE", "/v1/caches/nowhere", "", 404, "not-found"],
    ["too short a start of a cache", "DELETE", "/v1/caches/a", "", 404, "not-found"],
    ["a file without a name", "PUT", "/v1/files?contact=bob", "x", 400, "bad-request"],
    ["a file with a path", "PUT", "/v1/files?contact=bob&name=..%2Fx", "x", 400, "bad-file"],
    ["a repeated member", "PUT", "/v1/files?contact=bob&name=x&name=y", "x", 400, "bad-request"],
    ["a page of words", "GET", "/v1/messages?after=one", "", 400, "bad-request"],
    ["a negative number", "PUT", "/v1/seen", '{"n":-1}', 400, "bad-request"],
    ["a reader that is no name", "PUT", "/v1/seen", '{"n":1,"reader":"A b"}', 400, "bad-request"],
    ["an unknown mail", "GET", "/v1/outbox/0123456789abcdef0123456789abcdef", "", 404, "not-found"],
    ["an unknown file", "GET", "/v1/messages/99/file", "", 404, "not-found"],
    ["an odd number of a file", "GET", "/v1/messages/0x1/file", "", 404, "not-found"],
    ["an unknown request", "POST", "/v1/requests/abcdefgh/ignore", "", 404, "not-found"],
    ["another answer to a request", "POST", "/v1/requests/abcdefgh/hug", "", 404, "not-found"],
    ["another path", "GET", "/v2/status", "", 404, "not-found"],
    ["another method", "PATCH", "/v1/status", "", 405, "not-found"],
  ])("%s is a problem with a code", async (_, method, path, body, status, code) => {
    expect(await raw(method, path, body)).toMatchObject([status, "application/problem+json", { status, code }]);
  });

  test("an own invite is refused", async () => {
    const { link } = await toAlice.call<InviteInfo>("POST", "/v1/invites");
    await expect(toAlice.call("POST", "/v1/contacts", { link })).rejects.toMatchObject({ code: "self" });
  });

  test("a file that is too large is refused with an answer, however much is still to come", async () => {
    const endless = Readable.from(
      (function* () {
        for (let i = 0; i < 1000; i++) yield Buffer.alloc(64 * 1024);
      })(),
    );
    const upload = toAlice.upload("/v1/files?contact=bob&name=x", endless, CONTENT_LIMIT + 1);
    await expect(upload).rejects.toMatchObject({ code: "too-large" });
  });

  test("a file above the size that waits for a link says so, and goes by caches when that is asked for", async () => {
    const home = join(dir, "patient");
    const daemon = await startDaemon({ ...local, home, name: "patient", waitForLink: 100_000 });
    opened.push(daemon);
    const client = new Client(daemon.socket);
    const { link } = await toBob.call<InviteInfo>("POST", "/v1/invites", {});
    await client.call("POST", "/v1/contacts", { link });
    const content = Buffer.alloc(100_001, 7);
    const atBob = await listen(toBob);
    const isProgress = ({ type }: ServerEvent): boolean => type === "progress";
    const to = (name: string): string => `/v1/files?contact=bob&name=${name}`;
    await expect(client.upload(`${to("x")}&insist=maybe`, Readable.from([content]))).rejects.toMatchObject({
      code: "bad-request",
    });
    const { id } = await client.upload<SentInfo>(`${to("film")}&insist=true`, Readable.from([content]), content.length);
    const { data } = await atBob(isProgress);
    expect(data).toMatchObject({ type: "progress", way: "in", id, of: 4 });
    // Whom nobody can reach: then it waits.
    const gone = await startDaemon({ ...local, home: join(dir, "gone"), name: "gone" });
    const invite = await new Client(gone.socket).call<InviteInfo>("POST", "/v1/invites", {});
    await gone.close();
    await client.call("POST", "/v1/contacts", { link: invite.link });
    const sent = await client.upload<SentInfo>("/v1/files?contact=gone&name=film", Readable.from([content]));
    expect(sent.waits).toBe("link");
    const { outbox } = await client.call<OutboxList>("GET", "/v1/outbox");
    expect(outbox.find((mail) => mail.id === sent.id)).toMatchObject({ state: "queued", waits: "link" });
  });

  test("an upload that breaks off sends nothing", async () => {
    const broken = Readable.from(
      (async function* () {
        yield Buffer.alloc(1000);
        throw new RestanteError("broken", "the disk is gone");
      })(),
    );
    // Cards come and go when they like.
    const sent = async () =>
      (await toAlice.call<OutboxList>("GET", "/v1/outbox")).outbox.filter(({ kind }) => kind !== "card").length;
    const before = await sent();
    await expect(toAlice.upload("/v1/files?contact=bob&name=x", broken)).rejects.toThrow("the disk is gone");
    expect(await sent()).toBe(before);
  });
});

describe("the socket", () => {
  test("is open to its owner alone, and gone with the daemon", async () => {
    const home = join(dir, "short-lived");
    const daemon = await startDaemon({ ...local, home });
    expect((await stat(daemon.socket)).mode & 0o777).toBe(0o600);
    expect((await stat(home)).mode & 0o777).toBe(0o700);
    await daemon.close();
    await expect(stat(daemon.socket)).rejects.toMatchObject({ code: "ENOENT" });
    await expect(new Client(daemon.socket).call("GET", "/v1/status")).rejects.toMatchObject({ code: "no-daemon" });
  });

  test("a second daemon of one home is refused, and leaves the first alone", async () => {
    await expect(startDaemon({ ...local, home: join(dir, "alice") })).rejects.toMatchObject({ code: "home-locked" });
    expect(await toAlice.call<StatusInfo>("GET", "/v1/status")).toMatchObject({ state: "running" });
  });
});
