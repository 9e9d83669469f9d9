import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { createClient } from "@restante/client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Client } from "../api/client.ts";
import type { MessagePage, WebInfo } from "../api/contract.ts";
import { type Daemon, startDaemon } from "../daemon.ts";
import { tokenOf } from "./token.ts";

const told: string[] = [];
const options = { host: "127.0.0.1", port: 0, web: { port: 0 }, say: (message: string) => void told.push(message) };
let dir: string;
let alice: Daemon;
let bob: Daemon;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "restante-web-"));
  alice = await startDaemon({ ...options, home: join(dir, "alice"), name: "alice" });
  bob = await startDaemon({ ...options, home: join(dir, "bob"), name: "<b>bob</b>" });
});

afterAll(async () => {
  await alice.close();
  await bob.close();
  await rm(dir, { recursive: true });
  expect(told.filter((message) => !message.startsWith("native cryptography"))).toEqual([]);
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** A request as any program can make it: a browser sets its headers itself, what attacks does not. */
function ask(to: URL, method: string, path: string, headers: Record<string, string> = {}, body = ""): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: "127.0.0.1", port: to.port, method, path, headers, agent: false });
    outgoing.on("error", reject);
    outgoing.on("response", async (answer) =>
      resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: await text(answer) }),
    );
    outgoing.end(body);
  });
}

interface Browser {
  readonly at: URL;
  readonly cookie: string;
  readonly key: string;
  readonly headers: Record<string, string>;
}

async function logIn(daemon: Daemon): Promise<Browser> {
  const at = new URL(daemon.webLink() ?? "");
  const answer = await ask(at, "POST", "/session", {}, JSON.stringify({ token: at.hash.slice(1) }));
  expect(answer.status).toBe(201);
  const cookie = answer.headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
  const { key } = JSON.parse(answer.body);
  return { at, cookie, key, headers: { cookie, "restante-key": key } };
}

describe("the site", () => {
  test("a link lets one browser in, once, with a cookie that no script and no other site gets", async () => {
    const at = new URL(alice.webLink() ?? "");
    expect(at.href).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/#[\w-]{43}$/);
    const body = JSON.stringify({ token: at.hash.slice(1) });
    const first = await ask(at, "POST", "/session", {}, body);
    expect(first.status).toBe(201);
    expect(first.headers["set-cookie"]).toEqual([
      expect.stringMatching(/^restante-\d+=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=\d+$/),
    ]);
    expect(first.body).not.toContain(first.headers["set-cookie"]?.[0]?.slice(14, 40));
    const second = await ask(at, "POST", "/session", {}, body);
    expect(second.status).toBe(401);
    expect(JSON.parse(second.body).code).toBe("no-session");
    for (const token of ["", "x", randomBytes(32).toString("base64url")])
      expect((await ask(at, "POST", "/session", {}, JSON.stringify({ token }))).status).toBeGreaterThanOrEqual(400);
  });

  test("cookie and key open the API together, and neither alone", async () => {
    const { at, cookie, key, headers } = await logIn(alice);
    const status = await ask(at, "GET", "/v1/status", headers);
    expect(JSON.parse(status.body)).toMatchObject({ name: "alice", state: "running" });
    const other = await logIn(alice);
    const alone: Record<string, string>[] = [
      {},
      { cookie },
      { "restante-key": key },
      { cookie, "restante-key": other.key },
      { cookie: other.cookie, "restante-key": key },
      { cookie: "restante-1=x; ".repeat(100), "restante-key": key },
    ];
    for (const headers of alone) expect((await ask(at, "GET", "/v1/status", headers)).status).toBe(401);
    const elsewhere = await logIn(bob);
    expect((await ask(at, "GET", "/v1/status", elsewhere.headers)).status).toBe(401);
  });

  test("a name that leads here, as by DNS rebinding, gets nothing: neither page nor API", async () => {
    const { at, headers } = await logIn(alice);
    const hosts = [
      "evil.example",
      `evil.example:${at.port}`,
      `127.0.0.1.evil.example:${at.port}`,
      "127.0.0.1",
      "127.0.0.1:1",
    ];
    for (const host of hosts)
      for (const path of ["/", "/v1/status", "/session"])
        expect([host, path, (await ask(at, "GET", path, { ...headers, host })).status]).toEqual([host, path, 403]);
    expect((await ask(at, "GET", "/v1/status", { ...headers, host: `localhost:${at.port}` })).status).toBe(200);
  });

  test("what another page asks with our cookie is refused, before it does anything", async () => {
    const { at, headers } = await logIn(alice);
    const body = JSON.stringify({ once: true });
    const foreign: Record<string, string>[] = [
      { origin: "http://evil.example" },
      { origin: "null" },
      { origin: `http://127.0.0.1:${Number(at.port) + 1}` },
      { origin: `https://127.0.0.1:${at.port}` },
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
    ];
    for (const more of foreign)
      for (const path of ["/v1/invites", "/session"])
        expect((await ask(at, "POST", path, { ...headers, ...more }, body)).status).toBe(403);
    // Without the key, which a form or an image cannot send, its Origin does not matter.
    const own = { origin: at.origin, "sec-fetch-site": "same-origin" };
    expect((await ask(at, "POST", "/v1/invites", { cookie: headers["cookie"] ?? "", ...own }, body)).status).toBe(401);
    expect((await ask(at, "POST", "/v1/invites", { ...headers, ...own }, body)).status).toBe(201);
    // And no answer invites another origin in.
    const asked = await ask(at, "OPTIONS", "/v1/invites", { origin: "http://evil.example" });
    expect(asked.headers["access-control-allow-origin"]).toBeUndefined();
  });

  test("after a logout a stolen cookie and key are worth nothing, and what streams to them ends", async () => {
    const thief = await logIn(alice);
    const { at, headers } = thief;
    const stream = await new Promise<IncomingMessage>((resolve, reject) =>
      request({ host: "127.0.0.1", port: at.port, path: "/v1/events", headers, agent: false }, resolve)
        .on("error", reject)
        .end(),
    );
    expect(stream.statusCode).toBe(200);
    const ended = new Promise((resolve) =>
      stream
        .on("close", resolve)
        .on("error", () => {})
        .resume(),
    );
    expect((await ask(at, "DELETE", "/session", headers)).status).toBe(200);
    await ended;
    expect((await ask(at, "GET", "/v1/status", headers)).status).toBe(401);
    expect((await ask(at, "DELETE", "/session", headers)).status).toBe(401);
  });

  test("sessions outlive a restart; the file of them opens nothing, and is its owner's", async () => {
    const home = join(dir, "carol");
    const first = await startDaemon({ ...options, home });
    const { headers } = await logIn(first);
    const gone = await logIn(first);
    await ask(gone.at, "DELETE", "/session", gone.headers);
    const { port } = new URL(first.webLink() ?? "");
    await first.close();
    const again = await startDaemon({ ...options, home, web: { port: Number(port) } });
    const at = new URL(again.webLink() ?? "");
    expect((await ask(at, "GET", "/v1/status", headers)).status).toBe(200);
    expect((await ask(at, "GET", "/v1/status", gone.headers)).status).toBe(401);
    expect((await stat(join(home, "web"))).mode & 0o777).toBe(0o600);
    await again.close();
  });

  test("who was let in lets nobody else in", async () => {
    const { at, headers } = await logIn(alice);
    const call = JSON.stringify({ jsonrpc: "2.0", method: "webLink", id: 1 });
    for (const [path, body] of [
      ["/v1/web", "{}"],
      ["/v1/rpc", call],
      ["/rpc", call],
      ["/v1/%72pc", call],
      ["/v1/webhooks", '{"url":"http://127.0.0.1:9/"}'],
      ["/v1/sealed", '{"readers":["me"]}'],
      ["/v1/sealed/open", '{"header":""}'],
    ] as const)
      expect([path, (await ask(at, "POST", path, headers, body)).status]).toEqual([path, 404]);
    const { link } = await new Client(alice.socket).call<WebInfo>("POST", "/v1/web", {});
    expect(link).toContain(`${at.origin}/#`);
  });

  test("with the token of its home a program has all of the API over HTTP, and loses it when the token is renewed", async () => {
    const home = join(dir, "alice");
    const token = (await readFile(join(home, "token"), "utf8")).trim();
    expect(token).toMatch(/^[\w-]{43}$/);
    expect((await stat(join(home, "token"))).mode & 0o777).toBe(0o600);
    const url = alice.webUrl ?? "";
    const at = new URL(url);
    const api = createClient({ url, token });
    expect(await api.call("status")).toMatchObject({ name: "alice", state: "running" });
    const call = JSON.stringify({ jsonrpc: "2.0", method: "status", id: 1 });
    const shown = { authorization: `bearer  ${token}` };
    for (const path of ["/rpc", "/v1/rpc"]) expect((await ask(at, "POST", path, shown, call)).status).toBe(200);
    expect((await api.call("webLink")).link).toContain(`${at.origin}/#`);

    // Nothing else opens it, and it opens nothing where a page of somebody else asks.
    const bobs = (await readFile(join(dir, "bob", "token"), "utf8")).trim();
    for (const wrong of ["x", token.slice(1), `${token}x`, bobs, "é".repeat(43)]) {
      const answer = await ask(at, "GET", "/v1/status", {
        authorization: Buffer.from(`Bearer ${wrong}`).toString("latin1"),
      });
      expect([wrong, answer.status]).toEqual([wrong, 401]);
      expect([answer.headers["www-authenticate"], JSON.parse(answer.body).code]).toEqual(["Bearer", "wrong-token"]);
    }
    for (const more of [
      { origin: "http://evil.example" },
      { host: "evil.example" },
      { "sec-fetch-site": "cross-site" },
    ])
      expect((await ask(at, "GET", "/v1/status", { ...shown, ...more })).status).toBe(403);
    expect((await ask(at, "GET", "/v1/status", { authorization: "Bearer" })).status).toBe(401);
    expect((await ask(at, "GET", "/session", shown)).body).toContain('"isIn":false');
    // What a proxy before us asks of people is not ours.
    const { headers } = await logIn(alice);
    expect((await ask(at, "GET", "/v1/status", { ...headers, authorization: "Basic YTpi" })).status).toBe(200);

    const refused = expect(api.events().next()).rejects.toMatchObject({ code: "wrong-token" });
    const next = await tokenOf(home, { renew: true });
    expect(next).not.toBe(token);
    await expect(api.call("status")).rejects.toMatchObject({ status: 401, code: "wrong-token" });
    await refused;
    expect(await createClient({ url, token: next }).call("status")).toMatchObject({ name: "alice" });
  });

  test("every answer forbids what is not ours: scripts, frames, forms, sniffing, caches", async () => {
    const { at, headers } = await logIn(alice);
    const answers = [
      await ask(at, "GET", "/"),
      await ask(at, "GET", "/v1/status", headers),
      await ask(at, "GET", "/v1/status"),
      await ask(at, "GET", "/nothing", { host: "evil.example" }),
      await ask(at, "GET", "/../package.json"),
      await ask(at, "GET", "/assets/..%2f..%2fpackage.json"),
    ];
    for (const { headers } of answers) {
      expect(headers["content-security-policy"]).toMatch(/default-src 'none'.*frame-ancestors 'none'/);
      expect(headers["content-security-policy"]).not.toMatch(/unsafe|\*|http/);
      expect(headers["x-content-type-options"]).toBe("nosniff");
      expect(headers["referrer-policy"]).toBe("no-referrer");
      expect(headers["cross-origin-resource-policy"]).toBe("same-origin");
    }
    expect(answers[1]?.headers["cache-control"]).toBe("no-store");
    for (const { status } of answers.slice(4)) expect(status).toBe(404);
  });

  test("markup in names, texts and files comes as JSON or as a download, never as a document", async () => {
    const reader = await logIn(alice);
    const writer = await logIn(bob);
    const { link } = JSON.parse((await ask(reader.at, "POST", "/v1/invites", reader.headers, "{}")).body);
    expect((await ask(writer.at, "POST", "/v1/contacts", writer.headers, JSON.stringify({ link }))).status).toBe(201);
    const script = "<script>document.title='x'</script><img src=x onerror=alert(1)>";
    const mail = JSON.stringify({ contact: "alice", text: script });
    expect((await ask(writer.at, "POST", "/v1/messages", writer.headers, mail)).status).toBe(202);
    const query = new URLSearchParams({ contact: "alice", name: "a<svg onload=x>.html", media: "text/html" });
    expect((await ask(writer.at, "PUT", `/v1/files?${query}`, writer.headers, script)).status).toBe(202);
    const toAlice = new Client(alice.socket);
    const stop = new AbortController();
    for await (const event of await toAlice.events(0, stop.signal)) if (event.id === "2") break;
    stop.abort();
    const { messages } = await toAlice.call<MessagePage>("GET", "/v1/messages");
    const n = messages.find(({ file }) => file !== undefined)?.n;
    const inbox = await ask(reader.at, "GET", "/v1/messages", reader.headers);
    expect(inbox.headers["content-type"]).toBe("application/json");
    expect(inbox.body).toContain(JSON.stringify(script).slice(1, -1));
    const file = await ask(reader.at, "GET", `/v1/messages/${n}/file`, reader.headers);
    expect(file.body).toBe(script);
    expect(file.headers).toMatchObject({
      "content-type": "application/octet-stream",
      "content-disposition": "attachment",
      "x-content-type-options": "nosniff",
    });
  });

  test("a taken port moves to the next one, and says so", async () => {
    const port = Number(new URL(alice.webLink() ?? "").port);
    const moved: string[] = [];
    const say = (message: string): void => void moved.push(message);
    const dave = await startDaemon({ ...options, home: join(dir, "dave"), web: { port }, say });
    const at = new URL(dave.webLink() ?? "");
    expect(Number(at.port)).toBeGreaterThan(port);
    expect(moved).toContain(`the web page is on port ${at.port}: ${port} is taken`);
    await dave.close();
  });

  test("a new name is kept, and contacts see it", async () => {
    const { at, headers } = await logIn(bob);
    const put = await ask(at, "PUT", "/v1/name", headers, JSON.stringify({ name: "Bob Ross" }));
    expect(put.status).toBe(200);
    expect(JSON.parse((await ask(at, "GET", "/v1/status", headers)).body).name).toBe("Bob Ross");
    const bad = await ask(at, "PUT", "/v1/name", headers, JSON.stringify({ name: "a\nb" }));
    expect([bad.status, JSON.parse(bad.body).code]).toEqual([400, "bad-name"]);
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (alice.peer.contacts().some(({ name }) => name === "Bob Ross")) resolve();
      };
      alice.peer.on(look);
      look();
    });
  });
});
