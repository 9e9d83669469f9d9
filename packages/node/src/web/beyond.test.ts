import { randomBytes, scryptSync, X509Certificate } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestTls } from "node:https";
import { connect, isIP } from "node:net";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { TLSSocket } from "node:tls";
import fc from "fast-check";
import { Hono } from "hono";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { replacePrivate } from "../store/private-file.ts";
import { makeCertificate } from "./certificate.ts";
import { hostsOf } from "./hosts.ts";
import { Attempts, PASSWORD_FILE, Password } from "./password.ts";
import { createWeb, type Web, type WebSettings } from "./serve.ts";
import { Sessions } from "./sessions.ts";
import { createSite } from "./site.ts";
import { Token } from "./token.ts";

/** An API of one path: what the site lets through is all that matters here. */
const api = new Hono().all("/v1/status", (c) => c.json({ ok: true }));
const FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const PASSWORD = "some words of mine";
let dir = "";
let web: Web;
const told: string[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "restante-beyond-"));
  await setPassword();
  web = await open({ host: "0.0.0.0", names: ["nas.example.org"] });
});
afterAll(async () => {
  await web.close();
  await rm(dir, { recursive: true });
});

async function open(settings: WebSettings): Promise<Web> {
  const opened = await createWeb({ dir, port: 0, say: (message) => void told.push(message), ...settings });
  await opened.open(api);
  return opened;
}

/** As `writePassword`, by the cheapest hash that is taken: here many are made. */
async function setPassword(): Promise<void> {
  const salt = randomBytes(16);
  const hash = scryptSync(PASSWORD, salt, 32, { N: 2 ** 14, r: 1, p: 1 });
  const line = `scrypt ${2 ** 14} 1 1 ${salt.toString("base64url")} ${hash.toString("base64url")}\n`;
  await replacePrivate(join(dir, PASSWORD_FILE), Buffer.from(line));
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly json: ReturnType<typeof JSON.parse>;
  readonly fingerprint: string | undefined;
}

function ask(
  to: Pick<Web, "port" | "url">,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body = "",
): Promise<Answer> {
  const { protocol, host } = new URL(to.url);
  const { port } = to;
  const request = protocol === "https:" ? requestTls : requestHttp;
  const options = { host: "127.0.0.1", port, method, path, agent: false, rejectUnauthorized: false };
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...options, headers: { host, ...headers } });
    outgoing.on("error", reject);
    outgoing.on("response", async (answer) => {
      const { fingerprint256 } = protocol === "https:" ? (answer.socket as TLSSocket).getPeerCertificate() : {};
      const body = await text(answer);
      const isJson = answer.headers["content-type"]?.includes("json");
      const json = isJson ? JSON.parse(body) : undefined;
      resolve({ status: answer.statusCode ?? 0, headers: answer.headers, json, fingerprint: fingerprint256 });
    });
    outgoing.end(body);
  });
}

/** Logs in; gives the headers of what follows. */
async function logIn(to: Web, body: object, headers: Record<string, string> = {}): Promise<Record<string, string>> {
  const answer = await ask(to, "POST", "/session", headers, JSON.stringify(body));
  expect([answer.status, answer.json?.detail]).toEqual([201, undefined]);
  const cookie = answer.headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
  return { cookie, "restante-key": answer.json.key };
}

describe("beyond this machine the page", () => {
  test("is served with TLS, by a certificate whose fingerprint the daemon tells", async () => {
    expect(web.url).toMatch(/^https:\/\/nas\.example\.org:\d+\/$/);
    const answer = await ask(web, "GET", "/session");
    expect(answer.fingerprint).toBe(web.fingerprint);
    expect(answer.json).toEqual({ isIn: false, password: true });
    // Nobody vouches for it: a browser that may never come without TLS again could not come at all.
    expect(answer.headers["strict-transport-security"]).toBeUndefined();
    const again = await open({ host: "0.0.0.0", names: ["nas.example.org"] });
    expect(again.fingerprint).toBe(web.fingerprint);
    await again.close();
  });

  test("tells who comes without TLS where it is, and nothing else; a browser goes on by itself", async () => {
    const { port } = web;
    const plainly = (head: string): Promise<string> =>
      new Promise((resolve, reject) => {
        const socket = connect(port, "127.0.0.1", () => socket.write(`${head}\r\n\r\n`));
        resolve(text(socket.on("error", reject)));
      });
    for (const host of [`127.0.0.1:${port}`, `nas.example.org:${port}`]) {
      const said = await plainly(`GET /v1/status HTTP/1.1\r\nHost: ${host}`);
      expect(said).toMatch(/^HTTP\/1\.1 307 /);
      expect(said).toContain(`\r\nlocation: https://${host}/\r\n`);
      expect(said).toContain(`\r\n\r\nThe page is served by HTTPS alone: https://${host}/\n`);
    }
    for (const head of [
      "GET / HTTP/1.1\r\nHost: evil.example",
      "POST /session HTTP/1.0",
      "GET / HTTP/1.1\r\nHost: x\r y",
    ]) {
      const said = await plainly(head);
      expect(said).toMatch(/^HTTP\/1\.1 400 /);
      expect(said).not.toMatch(/location|evil/);
    }
    // What is neither gets nothing.
    expect(await plainly("\u0016\u0003\u0001x")).not.toContain("HTTP/1.1 2");
  });

  test("lets in who knows the password, with a cookie that never travels in clear", async () => {
    const answer = await ask(web, "POST", "/session", {}, JSON.stringify({ password: PASSWORD }));
    expect(answer.headers["set-cookie"]?.[0]).toMatch(/; HttpOnly; SameSite=Strict; Max-Age=\d+; Secure$/);
    const cookie = answer.headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
    const headers = { cookie, "restante-key": answer.json.key };
    expect((await ask(web, "GET", "/session", headers)).json).toEqual({ isIn: true, password: true });
    expect((await ask(web, "GET", "/v1/status", headers)).status).toBe(200);
    expect((await ask(web, "GET", "/v1/status", { cookie })).status).toBe(401);
  });

  test("lists who is in, and ends all others, or one, at once", async () => {
    const own = await logIn(web, { token: new URL(web.link()).hash.slice(1) }, { "user-agent": FIREFOX });
    const thief = await logIn(web, { password: PASSWORD });
    const list = (await ask(web, "GET", "/sessions", own)).json.sessions;
    expect(list.at(-2)).toMatchObject({ via: "link", from: "127.0.0.1", browser: "Firefox on Linux", isThis: true });
    expect(list.at(-1)).toMatchObject({ via: "password", browser: "", isThis: false });
    // The names of sessions open nothing.
    expect(JSON.stringify(list)).not.toContain(own["restante-key"]);
    expect((await ask(web, "DELETE", `/sessions/${list.at(-1).id}`, own)).status).toBe(200);
    expect((await ask(web, "GET", "/v1/status", thief)).status).toBe(401);
    expect((await ask(web, "DELETE", `/sessions/${list.at(-1).id}`, own)).status).toBe(404);
    const other = await logIn(web, { token: new URL(web.link()).hash.slice(1) });
    for (const path of ["/sessions", "/sessions/x"])
      expect((await ask(web, "DELETE", path, { cookie: own["cookie"] ?? "" })).status).toBe(401);
    expect((await ask(web, "DELETE", "/sessions", own)).status).toBe(200);
    expect((await ask(web, "GET", "/v1/status", other)).status).toBe(401);
    expect((await ask(web, "GET", "/sessions", own)).json.sessions).toMatchObject([{ isThis: true }]);
    expect((await ask(web, "GET", "/sessions")).status).toBe(401);
  });

  test("leaves nothing behind that outlives a logout: no device is added from there, nor behind a proxy", async () => {
    const proxied = await open({ names: ["nas.example.org"] });
    const local = await open({});
    for (const [to, status] of [
      [web, 403],
      [proxied, 403],
      [local, 404], // let through: our API has no such path
    ] as const) {
      const headers = await logIn(to, { token: new URL(to.link()).hash.slice(1) });
      for (const path of ["/v1/devices", "/v1/devices/link", "/v1/%64evices"])
        expect([path, (await ask(to, "POST", path, headers, "{}")).status]).toEqual([path, status]);
      expect((await ask(to, "GET", "/v1/devices", headers)).status).toBe(404);
    }
    await proxied.close();
    await local.close();
  });

  test("answers under its own names and addresses, and under no other (DNS rebinding)", async () => {
    const { port } = new URL(web.url);
    const ours = ["nas.example.org", `nas.example.org:${port}`, "NAS.example.org", `localhost:${port}`, "192.168.1.7"];
    for (const host of [...ours, `[fd00::7]:${port}`, `${hostname()}:${port}`, `${hostname()}.local`])
      expect([host, (await ask(web, "GET", "/session", { host })).status]).toEqual([host, 200]);
    const others = ["evil.example", `evil.example:${port}`, "nas.example.org.evil.example", "127.0.0.1.evil.example"];
    for (const host of ["x@nas.example.org", "nas.example.org:x", "[nas.example.org]"])
      expect((await ask(web, "GET", "/session", { host })).status).toBeGreaterThanOrEqual(400);
    for (const host of others)
      for (const path of ["/", "/session", "/v1/status"])
        expect([host, (await ask(web, "GET", path, { host })).status]).toEqual([host, 403]);
  });

  test("does nothing for other pages: not for those of another port, nor for itself without TLS", async () => {
    const { port, host } = new URL(web.url);
    const body = JSON.stringify({ password: PASSWORD });
    const foreign = [`http://${host}`, `https://nas.example.org:${Number(port) + 1}`, "https://evil.example", "null"];
    for (const origin of foreign)
      expect([origin, (await ask(web, "POST", "/session", { origin }, body)).status]).toEqual([origin, 403]);
    const site = { origin: `https://${host}`, "sec-fetch-site": "cross-site" };
    expect((await ask(web, "POST", "/session", site, body)).status).toBe(403);
  });

  test("a new password ends the logins by the one before, and not those by a link", async () => {
    const [byPassword, byLink] = [
      await logIn(web, { password: PASSWORD }),
      await logIn(web, { token: new URL(web.link()).hash.slice(1) }),
    ];
    await setPassword();
    expect((await ask(web, "GET", "/session", byPassword)).json.isIn).toBe(false);
    expect((await ask(web, "GET", "/v1/status", byLink)).status).toBe(200);
  });

  test("a damaged file of the password is told to the operator, once, and to nobody who asks", async () => {
    const file = join(dir, PASSWORD_FILE);
    const before = told.length;
    await writeFile(file, "no password");
    const answers = [await ask(web, "GET", "/session"), await ask(web, "GET", "/session")];
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(told.slice(before)).toEqual([expect.stringContaining("web-password")]);
    await setPassword();
    await logIn(web, { password: PASSWORD });
  });

  test("a password that is wrong too often is not looked at any more; a link still opens it", async () => {
    const fresh = await open({ host: "0.0.0.0" });
    const tryOne = (password: string): Promise<Answer> =>
      ask(fresh, "POST", "/session", {}, JSON.stringify({ password }));
    for (let i = 0; i < 5; i++)
      expect(await tryOne(`wrong ${i}`)).toMatchObject({ status: 401, json: { code: "wrong-password" } });
    const late = await tryOne(PASSWORD);
    expect(late).toMatchObject({ status: 429, json: { code: "too-many-attempts" } });
    expect(Number(late.headers["retry-after"])).toBeGreaterThan(0);
    for (const password of ["", "x".repeat(1025), 7, null])
      expect((await ask(fresh, "POST", "/session", {}, JSON.stringify({ password }))).status).toBe(400);
    const owner = await logIn(fresh, { token: new URL(fresh.link()).hash.slice(1) });
    expect((await ask(fresh, "GET", "/v1/status", owner)).status).toBe(200);
    await fresh.close();
  });
});

test("a certificate of the operator's is taken from its files, and a renewed one while the page runs", async () => {
  const [cert, key] = [join(dir, "cert.pem"), join(dir, "key.pem")];
  const put = async (): Promise<string> => {
    const made = makeCertificate(["localhost"], Date.now());
    await Promise.all([writeFile(cert, made.cert), replacePrivate(key, Buffer.from(made.key))]);
    return new X509Certificate(made.cert).fingerprint256;
  };
  const first = await put();
  const own = await open({ cert, key });
  expect(own.url).toMatch(/^https:\/\/127\.0\.0\.1:/);
  expect((await ask(own, "GET", "/session")).fingerprint).toBe(first);
  const second = await put();
  await own.renew();
  expect((await ask(own, "GET", "/session")).fingerprint).toBe(second);
  expect(own.fingerprint).toBe(second);
  await writeFile(cert, "half of a certif");
  await expect(own.renew()).rejects.toMatchObject({ code: "bad-certificate" });
  expect((await ask(own, "GET", "/session")).fingerprint).toBe(second);
  await own.close();
});

test("no text in Host is taken for a name of ours that a browser would not read as that", () => {
  const all = [hostsOf({}), hostsOf({ names: ["a.example"] }), hostsOf({ host: "0.0.0.0", names: ["a.example"] })];
  const pieces = fc.constantFrom(
    "a.example",
    "localhost",
    "127.0.0.1",
    "127.",
    "[::1]",
    "4242",
    ":",
    ".",
    "@",
    "#",
    "evil",
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(pieces, { maxLength: 5 }).map((each) => each.join("")),
  );
  fc.assert(
    fc.property(text, (host) => {
      for (const hosts of all) {
        const origins = hosts.origins(host, 4242);
        if (origins === undefined) continue;
        const { hostname: read, username, hash } = new URL(`http://${host}`);
        const isIp = isIP(read.replace(/^\[|\]$/g, "")) !== 0;
        expect([username, hash]).toEqual(["", ""]);
        expect(isIp || ["a.example", "localhost", hostname().toLowerCase()].includes(read)).toBe(true);
        if (!hosts.isBeyond && isIp) expect(read).toMatch(/^127\.\d+\.\d+\.\d+$|^\[::1\]$/);
      }
    }),
  );
});

test("behind a proxy that does TLS it is plain HTTP, under the proxy's name alone, and says what that means", async () => {
  const behind = await open({ host: "0.0.0.0", names: ["mail.example.org"], insecureHttp: true });
  expect(told.at(-1)).toContain("without TLS");
  expect(behind.link()).toMatch(/^https:\/\/mail\.example\.org\/#/);
  const at = { port: behind.port, url: `http://127.0.0.1:${behind.port}/` };
  const through = { host: "mail.example.org", origin: "https://mail.example.org" };
  const token = new URL(behind.link()).hash.slice(1);
  const answer = await ask(at, "POST", "/session", through, JSON.stringify({ token }));
  expect(answer.headers["set-cookie"]?.[0]).toMatch(/; Secure$/);
  expect((await ask(at, "GET", "/session", { host: "other.example.org" })).status).toBe(403);
  expect((await ask(at, "GET", "/session", { ...through, origin: "https://other.example.org" })).status).toBe(403);
  await behind.close();
});

test("who asks is what a proxy says that we were told of, by its own last word, and never this machine by another's word", () => {
  const name = "mail.example.org";
  const bare = hostsOf({ names: [name] });
  const told = hostsOf({ names: [name], proxies: ["127.0.0.1", "10.0.0.2"] });
  for (const [hosts, address, host, forwarded, sender] of [
    // At this machine, or behind a proxy on it.
    [bare, "127.0.0.1", "localhost:4242", undefined, "127.0.0.1"],
    [bare, "::1", "[::1]:4242", undefined, "::1"],
    [bare, "127.0.0.1", name, undefined, undefined],
    [bare, "127.0.0.1", "127.0.0.1:4242", "203.0.113.9", undefined],
    [told, "127.0.0.1", "127.0.0.1:4242", undefined, "127.0.0.1"],
    [told, "127.0.0.1", name, "198.51.100.1, 203.0.113.9", "203.0.113.9"],
    [told, "::ffff:10.0.0.2", name, "2001:db8::9", "2001:db8::9"],
    [told, "127.0.0.1", name, "203.0.113.9, 127.0.0.1", undefined],
    [told, "127.0.0.1", name, "203.0.113.9, somebody", undefined],
    [told, "127.0.0.1", name, "", undefined],
    [told, "127.0.0.1", name, undefined, undefined],
    // Who is no proxy of ours speaks for nobody.
    [told, "10.0.0.3", name, "203.0.113.9", "10.0.0.3"],
    [hostsOf({ host: "0.0.0.0" }), "127.0.0.1", "nas.local:4242", undefined, "127.0.0.1"],
  ] as const)
    expect([address, host, forwarded, hosts.sender(address, host, forwarded)]).toEqual([
      address,
      host,
      forwarded,
      sender,
    ]);
});

test("behind a proxy that says who asks one who tries too often shuts out himself alone", async () => {
  const behind = await open({ names: ["mail.example.org"], proxies: ["127.0.0.1"] });
  const tries = (from: string, password: string): Promise<Answer> => {
    const headers = { host: "mail.example.org", "x-forwarded-for": `127.0.0.1, ${from}` };
    return ask(behind, "POST", "/session", headers, JSON.stringify({ password }));
  };
  for (let i = 0; i < 5; i++) expect((await tries("203.0.113.9", "wrong")).status).toBe(401);
  expect((await tries("203.0.113.9", PASSWORD)).status).toBe(429);
  const { headers, json } = await tries("198.51.100.1", PASSWORD);
  const cookie = headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
  const list = await ask(behind, "GET", "/sessions", { cookie, "restante-key": json.key });
  expect(list.json.sessions.at(-1)).toMatchObject({ from: "198.51.100.1", via: "password" });
  await behind.close();
});

test("a body that nobody reads keeps no connection, however slowly it comes", async () => {
  const local = await open({});
  const socket = connect(local.port, "127.0.0.1");
  socket.write(`GET /session HTTP/1.1\r\nHost: 127.0.0.1:${local.port}\r\nContent-Length: 1000000\r\n\r\na`);
  expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 [\s\S]*connection: close/i);
  await local.close();
});

test("others than this machine are not served without a password; this machine is, and there only links open it", async () => {
  const bare = await mkdtemp(join(dir, "bare-"));
  await expect(createWeb({ dir: bare, host: "0.0.0.0", say: () => {} })).rejects.toMatchObject({ code: "no-password" });
  const local = await createWeb({ dir: bare, port: 0, say: () => {} });
  await local.open(api);
  expect(local.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
  expect((await ask(local, "GET", "/session")).json).toEqual({ isIn: false, password: false });
  const none = await ask(local, "POST", "/session", {}, JSON.stringify({ password: PASSWORD }));
  expect(none).toMatchObject({ status: 401, json: { code: "no-session" } });
  await local.close();
});

test("what was ended stays ended, however many come and go at the same time", async () => {
  const file = join(dir, "busy");
  const sessions = await Sessions.load(file);
  const entry = { from: "fe80::1%eth0", browser: "Firefox on Linux" };
  const all = await Promise.all(Array.from({ length: 12 }, () => sessions.admit("0123456789abcdef", entry)));
  await Promise.all(
    all.map((each, i) => (i % 2 === 0 ? sessions.leave(each) : sessions.admit("0123456789abcdef", entry))),
  );
  const again = await Sessions.load(file);
  for (const [i, each] of all.entries()) expect(again.find(each) !== undefined).toBe(i % 2 === 1);
  expect(again.list({ cookie: "", key: "" })).toHaveLength(12);
  expect(again.list({ cookie: "", key: "" })[0]).toMatchObject({ ...entry, via: "password", isThis: false });
  // The first versions knew less.
  await writeFile(file, `${"a".repeat(64)} 1700000000000\nnonsense\n`);
  const old = (await Sessions.load(file)).list({ cookie: "", key: "" });
  expect(old).toMatchObject([{ via: "link", from: "", browser: "", since: 1_700_000_000_000 }]);
});

test("settings that contradict each other are refused with what to change", () => {
  for (const [settings, words] of [
    [{ host: "nas" }, "IP address"],
    [{ names: ["a b"] }, "no name"],
    [{ proxies: ["nas"] }, "IP address"],
    [{ cert: "/x" }, "belong together"],
    [{ key: "/x" }, "belong together"],
    [{ cert: "/x", key: "/y", insecureHttp: true }, "take one of the two out"],
  ] as const)
    expect(() => hostsOf(settings)).toThrow(words);
  for (const host of ["127.0.0.1", "127.0.0.2", "::1"])
    expect(hostsOf({ host })).toMatchObject({ isBeyond: false, hasTls: false });
  for (const host of ["0.0.0.0", "::", "192.168.1.7"])
    expect(hostsOf({ host })).toMatchObject({ isBeyond: true, hasTls: true });
  expect(hostsOf({ host: "192.168.1.7" }).url(4242)).toBe("https://192.168.1.7:4242/");
  expect(hostsOf({ host: "fd00::7" }).url(4242)).toBe("https://[fd00::7]:4242/");
  expect(hostsOf({ host: "::", names: ["a.example:443"] }).url(4242)).toBe("https://a.example:443/");
  expect(hostsOf({ names: ["a.example"] }).url(4242)).toBe("http://127.0.0.1:4242/");
});

test("who has no session and sends slowly is answered all the same", async () => {
  const file = join(dir, "slow");
  const [sessions, password, token] = [await Sessions.load(file), await Password.load(file), await Token.load(dir)];
  const common = { api, sessions, password, token, attempts: new Attempts(), page: undefined, isTrusted: () => false };
  const hosts = hostsOf({});
  const site = createSite({ ...common, hosts, look: async () => {}, port: () => 4242, trouble: () => {} });
  vi.useFakeTimers();
  try {
    const [body, headers] = [new ReadableStream(), { host: "127.0.0.1:4242" }];
    const answering = site.request("/session", { method: "POST", headers, body, duplex: "half" } as RequestInit);
    await vi.advanceTimersByTimeAsync(10_000);
    expect((await answering).status).toBe(400);
  } finally {
    vi.useRealTimers();
  }
});

test("whatever is sent to log in, or named to log out, is refused and breaks nothing", async () => {
  const file = join(dir, "fuzz");
  const [sessions, password, token] = [await Sessions.load(file), await Password.load(file), await Token.load(dir)];
  const common = { api, sessions, password, token, attempts: new Attempts(), page: undefined, isTrusted: () => false };
  const faults: string[] = [];
  const trouble = (message: string): void => void faults.push(message);
  const site = createSite({ ...common, hosts: hostsOf({}), look: async () => {}, port: () => 4242, trouble });
  const headers = fc.dictionary(
    fc.constantFrom("cookie", "restante-key", "user-agent", "origin", "authorization"),
    words(),
  );
  const body = fc.oneof(
    fc.json(),
    fc.string(),
    fc.record({ token: fc.string() }).map((each) => JSON.stringify(each)),
  );
  const path = fc.constantFrom(
    "/session",
    "/sessions",
    "/sessions/x",
    "/sessions/../x",
    "/v1/status",
    "/v1/../session",
  );
  await fc.assert(
    fc.asyncProperty(
      headers,
      body,
      path,
      fc.constantFrom("GET", "POST", "PUT", "DELETE"),
      async (some, text, to, method) => {
        const shown = some["authorization"] && { authorization: `Bearer ${some["authorization"]}` };
        const all = { ...some, ...shown, host: "127.0.0.1:4242" };
        const answer = await site.request(to, { method, headers: all, ...(method !== "GET" && { body: text }) });
        const isTold = to.endsWith("/session") && method === "GET";
        expect(answer.status === 200).toBe(isTold && !("origin" in some));
        expect(answer.status).toBeLessThan(500);
        expect(answer.headers.get("set-cookie")).toBeNull();
      },
    ),
  );
  expect(faults).toEqual([]);
});

/** Of characters that may stand in a header. */
function words(): fc.Arbitrary<string> {
  return fc.string({ unit: fc.constantFrom(...'abc=;,:/ "%4242.-'), minLength: 1 }).map((text) => text.trim() || "x");
}

test("a browser that trusts our certificate is told to come with TLS only: under a name that is ours alone", async () => {
  const file = join(dir, "other");
  const password = await Password.load(file);
  const hosts = hostsOf({ host: "0.0.0.0", names: ["mail.example.org"] });
  const common = {
    api,
    sessions: await Sessions.load(file),
    password,
    token: await Token.load(dir),
    attempts: new Attempts(),
    page: undefined,
    hosts,
  };
  const header = async (isTrusted: boolean, host: string): Promise<string | null> => {
    const site = createSite({
      ...common,
      look: async () => {},
      isTrusted: () => isTrusted,
      port: () => 443,
      trouble: () => {},
    });
    const answer = await site.request("/session", { headers: { host } });
    expect(answer.status).toBe(200);
    return answer.headers.get("strict-transport-security");
  };
  expect(await header(true, "mail.example.org")).toBe("max-age=31536000");
  for (const host of ["mail.example.org:4242", "192.168.1.7", "[fd00::7]"]) expect(await header(true, host)).toBeNull();
  expect(await header(false, "mail.example.org")).toBeNull();
});
