/** Channels between programs at two daemons, by the methods of telehash's guide. */
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createCrypto, importIdentity, type JsonObject, portable } from "restante";
import { encodePacket, fromUtf8, parsePacket, utf8 } from "restante/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Daemon, startDaemon } from "../daemon.ts";
import { Client } from "./client.ts";
import type { InviteInfo } from "./contract.ts";

const local = { host: "127.0.0.1", port: 0, say: () => {} };
let dir: string;
let alice: Daemon;
let bob: Daemon;

interface Answer {
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly code: number; readonly data?: { readonly code: string } };
}

async function rpc(daemon: Daemon, method: string, ...params: unknown[]): Promise<Answer> {
  const call = JSON.stringify({ jsonrpc: "2.0", method, params, id: 1 });
  return JSON.parse(await new Client(daemon.socket).text("POST", "/v1/rpc", call)) as Answer;
}

const packet = (head: JsonObject, text = ""): string => Buffer.from(encodePacket(head, utf8(text))).toString("base64");
const read = ({ result }: Answer): unknown => {
  const { json, body } = parsePacket(Buffer.from(String(result?.["chan"]), "base64")) ?? {};
  return [json, body && fromUtf8(body)];
};

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "restante-rpc-"));
  [alice, bob] = (await Promise.all(
    ["alice", "bob"].map((name) => startDaemon({ ...local, home: join(dir, name), name })),
  )) as [Daemon, Daemon];
  const [toAlice, toBob] = [new Client(alice.socket), new Client(bob.socket)];
  const { link } = await toBob.call<InviteInfo>("POST", "/v1/invites", {});
  const known = new Promise((resolve) => bob.peer.on((event) => event.type === "contact" && resolve(event)));
  await toAlice.call("POST", "/v1/contacts", { link });
  await known;
});

afterAll(async () => {
  await Promise.all([alice?.close(), bob?.close()]);
  await rm(dir, { recursive: true });
});

test("the dialogue of docs/api.md goes as it stands there", async () => {
  const page = readFileSync(fileURLToPath(new URL("../../../../docs/api.md", import.meta.url)), "utf8");
  const said = (text: string): unknown =>
    JSON.parse(text.replaceAll("ALICE", alice.peer.hashname).replaceAll("BOB", bob.peer.hashname));
  const calls = [...page.matchAll(/^ {4}(alice|bob) +(\w+) (\[.*\])\n {11}(\{.*\})$/gm)];
  expect(calls).toHaveLength(9);
  for (const [, who, method = "", params = "", result = ""] of calls)
    expect((await rpc(who === "alice" ? alice : bob, method, ...(said(params) as unknown[]))).result).toEqual(
      said(result),
    );
});

test("two programs talk over their daemons: whoever waits is told of the channel, and packets go both ways until both ended", async () => {
  const [a, b] = [alice.peer.hashname, bob.peer.hashname];
  expect(await rpc(bob, "meshWait", b, { types: ["x.game"], wait: 0 })).toMatchObject({ result: {} });
  const told = rpc(bob, "meshWait", b);
  const opened = await rpc(alice, "linkChan", a, b, packet({ type: "x.game", seq: 1, board: 9 }, "hello"));
  expect(read(opened)).toEqual([{ c: 2, type: "x.game", seq: 1, board: 9 }, "hello"]);
  const incoming = await told;
  expect(incoming.result).toMatchObject({ event: "chan", link: { hashname: a } });
  const { c } = incoming.result as { c: number };
  expect(read(incoming)).toEqual([{ c, type: "x.game", seq: 1, board: 9 }, "hello"]);

  // Nothing comes: a short wait is answered, a long one holds nobody else up.
  expect(await rpc(bob, "linkRecv", b, a, { c, wait: 0 })).toMatchObject({ result: {} });
  const waits = rpc(bob, "linkRecv", b, a, { c });
  expect(await rpc(alice, "linkSend", a, b, { send: packet({ c: 2, move: "e4" }, "body") })).toMatchObject({
    result: {},
  });
  expect(read(await waits)).toEqual([{ c, move: "e4" }, "body"]);

  expect(await rpc(bob, "linkSend", b, a, { send: packet({ c, move: "e5", end: true }) })).toMatchObject({
    result: {},
  });
  expect(read(await rpc(alice, "linkRecv", a, b, { c: 2 }))).toEqual([{ c: 2, move: "e5" }, ""]);
  expect(read(await rpc(alice, "linkRecv", a, b, { c: 2 }))).toEqual([{ c: 2, end: true }, ""]);
  expect(await rpc(alice, "linkSend", a, b, { send: packet({ c: 2, end: true }) })).toMatchObject({ result: {} });
  expect(read(await rpc(bob, "linkRecv", b, a, { c }))).toEqual([{ c, end: true }, ""]);
});

test("a channel of a type that nobody waits for there ends with the other end's word, and is forgotten then", async () => {
  const [a, b] = [alice.peer.hashname, bob.peer.hashname];
  const { c } = (await rpc(alice, "linkChan", a, b, { type: "x.none", seq: 1 })).result as { c: number };
  expect(read(await rpc(alice, "linkRecv", a, b, { c }))).toEqual([{ c, err: "unknown type" }, ""]);
  expect(await rpc(alice, "linkRecv", a, b, { c })).toMatchObject({ error: { data: { code: "not-found" } } });
});

test("what makes no sense is refused, each with its code", async () => {
  const [a, b] = [alice.peer.hashname, bob.peer.hashname];
  const cases: [string, unknown[], string][] = [
    ["linkChan", [a, b, {}], "bad-request"],
    ["linkChan", [a, b, "%%%"], "bad-packet"],
    ["linkChan", [a, b, { type: "inbox" }], "bad-type"],
    ["linkChan", [a, b, { type: "x.game", end: true }], "bad-packet"],
    ["linkChan", [a, "bob", { type: "x.game" }], "not-found"],
    ["linkChan", [a, a, { type: "x.game" }], "not-found"],
    ["linkChan", [b, b, { type: "x.game" }], "not-found"],
    ["linkSend", [a, b, { send: packet({ c: 999 }) }], "not-found"],
    ["linkSend", [a, b, { send: "" }], "bad-packet"],
    ["linkSend", [a, b, 7], "bad-request"],
    ["linkRecv", [a, b, { c: "1" }], "not-found"],
    ["linkRecv", [a, b, { c: 1, wait: -1 }], "bad-request"],
    ["meshWait", [a, { types: "x" }], "bad-request"],
    ["meshWait", [a, { wait: 3601 }], "bad-request"],
    ["meshWait", [a, { types: ["boxes"] }], "bad-type"],
  ];
  for (const [method, params, code] of cases)
    expect([method, params, await rpc(alice, method, ...params)]).toMatchObject([
      method,
      params,
      { error: { data: { code } } },
    ]);
  const many = await Promise.all(Array.from({ length: 9 }, () => rpc(alice, "linkChan", a, b, { type: "x.game" })));
  expect(many.map(({ error }) => error?.data?.code)).toContain("full");
});

test("a new identity is the caller's alone: keys that make its hashname, their secrets, and not those of the daemon", async () => {
  const [one, other] = [await rpc(alice, "meshGenerate"), await rpc(alice, "meshGenerate")];
  const identity = importIdentity(createCrypto(portable), one.result);
  expect(identity?.hashname).toBe(one.result?.["hashname"]);
  expect(new Set([alice.peer.hashname, identity?.hashname, other.result?.["hashname"]]).size).toBe(3);
  const { result } = await rpc(alice, "meshLoad");
  expect(result).toMatchObject({ hashname: alice.peer.hashname });
  expect(result).not.toHaveProperty("secrets");
});
