/** Discovery with real sockets: a DNS server of a few lines and a web server, both on loopback. */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { type LinkResolver, RestanteError, resolveLink } from "restante";
import { encodeTxt, hashnameOf, linkJson, pathsAt, portable } from "restante/protocol";
import { afterEach, expect, test } from "vitest";
import { nodeResolver } from "./discovery.ts";

const keys = new Map([
  [0x1a, new Uint8Array(21).fill(1)],
  [0x2a, new Uint8Array(270).fill(2)],
  [0x3a, new Uint8Array(32).fill(9)],
]);
const hashname = hashnameOf(portable, keys);
const target = `${hashname}.example.test`;
const never = new AbortController().signal;

const open: (Server | Socket)[] = [];
afterEach(async () => {
  await Promise.all(
    open.splice(0).map((each) => {
      if ("closeAllConnections" in each) each.closeAllConnections();
      return new Promise<void>((resolve) => each.close(() => resolve()));
    }),
  );
});

async function webServer(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  open.push(server);
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The data of the records by type and name. "fail": the server says that it has a trouble. */
type Zone = Readonly<Record<string, readonly Buffer[] | "fail">>;

/** Serves a zone. Gives back its address for `servers`. */
async function dnsServer(zone: Zone): Promise<string> {
  const socket = createSocket("udp4");
  open.push(socket);
  socket.on("message", (query, { port, address }) => {
    const end = query.indexOf(0, 12) + 5; // behind the name: its type and its class
    const question = query.subarray(12, end);
    const type = question.readUInt16BE(question.length - 4);
    const data = zone[`${TYPES[type]} ${nameIn(question)}`];
    const records = Array.isArray(data) ? (data as readonly Buffer[]) : [];
    const head = Buffer.alloc(12);
    query.copy(head, 0, 0, 2);
    head.writeUInt16BE(0x8180 | (data === undefined ? 3 : data === "fail" ? 2 : 0), 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(records.length, 6);
    const answers = records.map((data) => {
      const record = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, data.length >> 8, data.length & 255]);
      return Buffer.concat([record, data]);
    });
    socket.send(Buffer.concat([head, question, ...answers]), port, address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return `127.0.0.1:${socket.address().port}`;
}

const TYPES: Readonly<Record<number, string>> = { 1: "A", 16: "TXT", 28: "AAAA", 33: "SRV" };

function nameIn(question: Buffer): string {
  const labels: string[] = [];
  for (let at = 0, length = question[0] ?? 0; length > 0; at += length + 1, length = question[at] ?? 0)
    labels.push(question.toString("latin1", at + 1, at + 1 + length));
  return labels.join(".").toLowerCase();
}

const text = (...strings: string[]): Buffer =>
  Buffer.concat(strings.map((each) => Buffer.concat([Buffer.of(each.length), Buffer.from(each)])));
const srv = (priority: number, port: number, name: string): Buffer =>
  Buffer.concat([
    Buffer.of(0, priority, 0, 5, port >> 8, port & 255),
    ...name.split(".").map((label) => text(label)),
    Buffer.of(0),
  ]);

/** Sends what is for `https` names to a loopback server, as they would answer. */
const on = (origin: string, resolver: LinkResolver): LinkResolver => ({
  ...resolver,
  fetch: (url, limit, signal) => resolver.fetch(url.replace(/^https:\/\/[^/]+/, origin), limit, signal),
});

async function codeOf(act: Promise<unknown>): Promise<string> {
  const error: unknown = await act.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof RestanteError)) throw error ?? new Error("it went well");
  expect(error.message).not.toMatch(/127\.0|example/);
  expect(error.cause).toBeUndefined();
  return error.code;
}

test("[E15] a link to a domain is resolved by real DNS queries, split keys and split strings included", async () => {
  const [first = "", ...rest] = encodeTxt({ keys });
  const zone = {
    "SRV _link._udp.example.test": [srv(9, 1, `www.example.test`), srv(0, 4000, target)],
    [`TXT ${target}`]: [
      text("v=spf1 -all"),
      text(first.slice(0, 5), first.slice(5)),
      ...rest.map((each) => text(each)),
    ],
    [`A ${target}`]: [Buffer.of(192, 0, 2, 1)],
    [`AAAA ${target}`]: [Buffer.from("20010db8000000000000000000000001", "hex")],
  };
  const resolver = nodeResolver({ servers: [await dnsServer(zone)] });
  expect(await resolveLink("link://example.test", resolver, { ways: ["dns"] })).toEqual({
    via: "dns",
    uri: "link://example.test",
    hashname,
    keys,
    paths: pathsAt(["192.0.2.1", "2001:db8::1"], 4000),
    query: [],
  });
});

test("[E15] a link to a domain is resolved by WebFinger over real HTTP", async () => {
  const asked: string[] = [];
  const link = linkJson({ hashname, keys, paths: [{ type: "udp4", ip: "192.0.2.9", port: 7 }] });
  const origin = await webServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    expect(request.headers).not.toHaveProperty("cookie");
    expect(request.headers).not.toHaveProperty("referer");
    const isFinger = request.url?.startsWith("/.well-known/webfinger?") ?? false;
    const links = [{ rel: "http://telehash.org/link", href: "https://www.example.test/~user1/link.json" }];
    response.end(JSON.stringify(isFinger ? { links } : link));
  });
  const dns = await dnsServer({ "A example.test": [Buffer.of(192, 0, 2, 7)] });
  const resolver = on(origin, nodeResolver({ servers: [dns] }));
  const found = await resolveLink("http://example.test/~user1", resolver);
  expect(found).toMatchObject({ via: "webfinger", hashname, keys });
  expect(found.paths).toEqual([{ type: "udp4", ip: "192.0.2.9", port: 7 }, ...pathsAt(["192.0.2.7"], 42424)]);
  expect(asked).toEqual([
    "GET /.well-known/webfinger?resource=http%3A%2F%2Fexample.test%2F~user1&rel=http%3A%2F%2Ftelehash.org%2Flink",
    "GET /~user1/link.json",
  ]);
});

test("what is not there is an empty answer; a server with a trouble is a rejection that names nobody", async () => {
  const dns = nodeResolver({
    servers: [
      await dnsServer({
        "SRV fail.test": "fail",
        "TXT fail.test": "fail",
        "A fail.test": "fail",
        "AAAA fail.test": "fail",
        "A half.test": [Buffer.of(192, 0, 2, 1)],
        "AAAA half.test": "fail",
        "SRV empty.test": [],
      }),
    ],
  });
  expect(await dns.srv("no.test", never)).toEqual([]);
  expect(await dns.srv("empty.test", never)).toEqual([]);
  expect(await dns.txt("no.test", never)).toEqual([]);
  expect(await dns.addresses("no.test", never)).toEqual([]);
  expect(await dns.addresses("half.test", never)).toEqual(["192.0.2.1"]);
  expect(await codeOf(dns.srv("fail.test", never))).toBe("unreachable");
  expect(await codeOf(dns.txt("fail.test", never))).toBe("unreachable");
  expect(await codeOf(dns.addresses("fail.test", never))).toBe("unreachable");
  expect(await codeOf(nodeResolver({ servers: ["nonsense"] }).srv("example.test", never))).toBe("unreachable");
});

test("a question that nobody answers ends when it is no longer waited for", async () => {
  const mute = createSocket("udp4");
  open.push(mute);
  mute.bind(0, "127.0.0.1");
  await once(mute, "listening");
  const asked = once(mute, "message");
  const stop = new AbortController();
  const dns = nodeResolver({ servers: [`127.0.0.1:${mute.address().port}`] });
  const code = codeOf(dns.srv("example.test", stop.signal));
  await asked;
  stop.abort();
  expect(await code).toBe("unreachable");
});

test("addresses without servers of our own are those of the system", async () => {
  const addresses = await nodeResolver().addresses("localhost", never);
  expect(addresses.length).toBeGreaterThan(0);
  for (const address of addresses) expect(["127.0.0.1", "::1"]).toContain(address);
});

test("fetch takes a plain 200 within the limit and nothing else, redirects least of all", async () => {
  const asked: (string | undefined)[] = [];
  const origin = await webServer(({ url }, response) => {
    asked.push(url);
    if (url === "/moved") response.writeHead(302, { location: "/ten" }).end("0123456789");
    else if (url === "/moved-for-good") response.writeHead(308, { location: "/ten" }).end();
    else if (url === "/none") response.writeHead(404).end("0123456789");
    else if (url === "/broken") response.writeHead(500).end("0123456789");
    else if (url === "/cut")
      response.writeHead(200, { "content-length": "100" }).write("0123", () => response.destroy());
    else if (url === "/bomb") response.setHeader("content-encoding", "gzip").end(gzipSync(new Uint8Array(16 << 20)));
    else if (url === "/nothing") response.end();
    else response.end("0123456789");
  });
  const { fetch } = nodeResolver();
  const get = (path: string, limit: number) => fetch(origin + path, limit, never);
  expect(await get("/ten", 10)).toEqual(new TextEncoder().encode("0123456789"));
  expect(await get("/ten", 9)).toBeUndefined();
  expect(await get("/nothing", 0)).toEqual(new Uint8Array(0));
  for (const path of ["/moved", "/moved-for-good", "/none", "/broken"]) expect(await get(path, 100)).toBeUndefined();
  expect(asked).toEqual(["/ten", "/ten", "/nothing", "/moved", "/moved-for-good", "/none", "/broken"]);
  expect(await get("/bomb", 65_536)).toBeUndefined(); // what it unpacks to counts: 16 KiB become 16 MiB
  expect(await codeOf(get("/cut", 1000))).toBe("unreachable");
  expect(await codeOf(fetch("http://127.0.0.1:1/", 10, never))).toBe("unreachable");
});

test("a body without end is given up at the limit, and one that stops coming when it is no longer waited for", async () => {
  let sent = 0;
  const closed: Promise<unknown>[] = [];
  const stop = new AbortController();
  const origin = await webServer(({ url }, response) => {
    closed.push(once(response, "close"));
    if (url === "/stops") {
      response.write("01234", () => stop.abort());
      return;
    }
    const more = (): void => {
      sent += 1024;
      if (response.write("x".repeat(1024))) setImmediate(more);
      else response.once("drain", more);
    };
    more();
  });
  const { fetch } = nodeResolver();
  expect(await fetch(`${origin}/endless`, 65_536, never)).toBeUndefined();
  expect(sent).toBeGreaterThan(65_536);
  expect(await codeOf(fetch(`${origin}/stops`, 100, stop.signal))).toBe("unreachable");
  await Promise.all(closed); // the server is rid of both
});
