/**
 * What a browser may ask of the daemon: the page, a session, and with one the API; and a program with the token. Everything a hostile page
 * could use against it is checked here: where the request was sent to (DNS rebinding), who sent it (CSRF), and what an answer may do.
 * docs/web.md
 */
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { getCookie } from "hono/cookie";
import { RestanteError } from "restante";
import { z } from "zod";
import { bodyJson } from "../api/body.ts";
import type { Answers } from "../api/later.ts";
import { problemOf, problemResponse } from "../api/problem.ts";
import { browserOf } from "./browser.ts";
import type { Hosts } from "./hosts.ts";
import type { Page } from "./page.ts";
import type { Attempts, Password } from "./password.ts";
import type { Credentials, Entry, Sessions } from "./sessions.ts";
import type { Token } from "./token.ts";

export interface SiteOptions {
  /** What `createApi` made. */
  readonly api: Answers;
  readonly sessions: Sessions;
  readonly password: Password;
  readonly token: Token;
  /** Looks whether password or token were changed, and ends what began with another. */
  readonly look: () => Promise<void>;
  readonly attempts: Attempts;
  /** What a browser loads; `undefined`: it was not built. */
  readonly page: Page | undefined;
  readonly hosts: Hosts;
  readonly port: () => number;
  /** Whether browsers trust our certificate: then they may be told to never come without. */
  readonly isTrusted: () => boolean;
  /** Told about our own mistakes. */
  readonly trouble: (message: string) => void;
}

/** POST /session: what stood behind the # of the link, or the password. */
const enterBody = z.union([
  z.strictObject({ token: z.string().min(1).max(128) }),
  z.strictObject({ password: z.string().min(1).max(1024) }),
]);

/** What the server hands over beside a request: who sent it. */
interface Env {
  readonly Bindings: { readonly incoming?: { readonly socket: { readonly remoteAddress?: string } } };
}

/** The site. Problems are application/problem+json, as those of the API. */
export function createSite(options: SiteOptions): Hono<Env> {
  const { api, sessions, password, token, look, attempts, page, hosts, port, isTrusted, trouble } = options;
  const app = new Hono<Env>({ strict: true });
  app.onError((error) => {
    const problem = problemOf(error);
    if (problem.status === 500) trouble(`the web page failed: ${error.stack ?? error.message}`);
    const response = problemResponse(problem);
    if (problem.code === "wrong-token") response.headers.set("www-authenticate", "Bearer");
    if (error instanceof Late) response.headers.set("retry-after", String(error.seconds));
    return sealed(response);
  });
  app.notFound(() => {
    throw new RestanteError("not-found", "there is no such page");
  });

  app.use(async (c, next) => {
    const host = c.req.header("host") ?? "";
    const origins = hosts.origins(host, port());
    // A name of somebody else's that leads to this machine would make our page theirs.
    if (origins === undefined)
      throw new RestanteError("refused", "the page is not served under this name; --web-name adds one");
    const origin = c.req.header("origin");
    const site = c.req.header("sec-fetch-site");
    const isNavigation = c.req.method === "GET" && c.req.header("sec-fetch-mode") === "navigate";
    if (origin !== undefined && !origins.includes(origin))
      throw new RestanteError("refused", "another page may not ask this");
    if (site !== undefined && site !== "same-origin" && site !== "none" && !isNavigation)
      throw new RestanteError("refused", "another page may not ask this");
    await next();
    sealed(c.res);
    // Of the name alone, on HTTPS's own port: other servers of this machine may have no TLS.
    if (isTrusted() && /^[^:[]*[a-z][^:]*$/i.test(host)) c.res.headers.set("strict-transport-security", HSTS);
  });

  const credentialsIn = (c: Context<Env>): Credentials => ({
    key: c.req.header(KEY_HEADER) ?? "",
    cookie: getCookie(c, cookieName(port())) ?? "",
  });
  const cookie = (c: Context<Env>, value: string, seconds: number): string => {
    // Behind a proxy that does TLS the page's own origin says so.
    const isSecure = hosts.hasTls || c.req.header("origin")?.startsWith("https:") === true;
    const attributes = `Path=/; HttpOnly; SameSite=Strict; Max-Age=${seconds}${isSecure ? "; Secure" : ""}`;
    return `${cookieName(port())}=${value}; ${attributes}`;
  };
  const byPassword = async (text: string, sender: string | undefined, entry: Entry): Promise<Credentials> => {
    await look();
    const { tag } = password;
    if (tag === undefined)
      throw new RestanteError("no-session", "no password is set here: open the link that `restante web` prints");
    const attempt = await attempts.attempt(sender, () => password.isRight(text));
    if (attempt.isRight) return await sessions.admit(tag, entry);
    if (attempt.tooMany === undefined) throw new RestanteError("wrong-password", "this is not the password");
    throw new Late(attempt.tooMany);
  };

  app.get("/session", async (c) => {
    await look();
    return c.json({ isIn: sessions.find(credentialsIn(c)) !== undefined, password: password.tag !== undefined });
  });
  app.post("/session", async (c) => {
    const body = enterBody.parse(await inTime(bodyJson(c.req.raw)));
    const address = c.env?.incoming?.socket.remoteAddress ?? "";
    const sender = hosts.sender(address, c.req.header("host") ?? "", c.req.header("x-forwarded-for"));
    const entry: Entry = { from: sender ?? address, browser: browserOf(c.req.header("user-agent") ?? "") };
    const credentials =
      "token" in body ? await sessions.enter(body.token, entry) : await byPassword(body.password, sender, entry);
    if (credentials === undefined)
      throw new RestanteError("no-session", "this link was used already, or is too old: `restante web` prints another");
    return c.json({ key: credentials.key }, 201, { "set-cookie": cookie(c, credentials.cookie, SESSION_SECONDS) });
  });
  app.delete("/session", async (c) => {
    const credentials = credentialsIn(c);
    if (sessions.find(credentials) === undefined) throw noSession();
    await sessions.leave(credentials);
    return c.json({}, 200, { "set-cookie": cookie(c, "", 0) });
  });
  app.get("/sessions", (c) => {
    const credentials = credentialsIn(c);
    if (sessions.find(credentials) === undefined) throw noSession();
    return c.json({ sessions: sessions.list(credentials) });
  });
  app.delete("/sessions/:id?", async (c) => {
    const credentials = credentialsIn(c);
    if (sessions.find(credentials) === undefined) throw noSession();
    const id = c.req.param("id");
    const ended = await sessions.end(id ?? { own: credentials });
    if (id !== undefined && ended === 0) throw new RestanteError("not-found", "there is no such session");
    return c.json({});
  });
  const answered = async (request: Request, ended: AbortSignal): Promise<Response> => {
    const answer = await api.fetch(request);
    const body = answer.body && until(ended, answer.body);
    return new Response(body, { status: answer.status, headers: answer.headers });
  };
  // Of other schemes it is a proxy's, or its user's, and says nothing to us.
  const bearerIn = (c: Context<Env>): string | undefined => BEARER.exec(c.req.header("authorization") ?? "")?.[1];
  const byToken: MiddlewareHandler<Env> = async (c, next) => {
    const text = bearerIn(c);
    if (text === undefined) return await next();
    await look();
    if (!token.isRight(text))
      throw new RestanteError("wrong-token", "this is not the token of this home: `restante web token` prints it");
    return await answered(c.req.raw, token.ended);
  };
  app.use("/v1/*", byToken);
  app.use("/rpc", byToken);
  app.all("/v1/*", async (c) => {
    const session = sessions.find(credentialsIn(c));
    if (session === undefined) throw noSession();
    // Who is let in could let others in, and leave behind what tells them of all mail: these would stay after a logout.
    if (FOR_PROGRAMS.has(c.req.path))
      throw new RestanteError(
        "not-found",
        "this is done on the daemon's side: by its command line, and by programs there",
      );
    // A device would get all mail for good. At this machine nobody has a session who could not add one anyway.
    if (hosts.isReached && c.req.method === "POST" && OF_DEVICES.has(c.req.path))
      throw new RestanteError(
        "refused",
        "where others can reach this page, devices are added on the daemon's side: `restante device add` and `restante device link`",
      );
    return await answered(c.req.raw, session.ended);
  });
  app.get("*", (c) => {
    if (page === undefined) throw new RestanteError("not-found", "the web page was not built: `npm start` builds it");
    const file = page.file(c.req.path);
    if (file === undefined) throw new RestanteError("not-found", "there is no such page");
    const headers = { "content-type": file.type, "cache-control": file.isHashed ? FOREVER : "no-cache" };
    return new Response(file.bytes, { headers });
  });
  return app;
}

/** Who has no session does not keep a connection by sending slowly. */
async function inTime<T>(reading: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new RestanteError("bad-request", "the body comes too slowly")), BODY_MS);
  });
  reading.catch(() => {}); // once it is late nobody waits for it
  try {
    return await Promise.race([reading, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Passwords were tried too often. */
class Late extends RestanteError {
  readonly seconds: number;

  constructor(seconds: number) {
    super("too-many-attempts", `passwords were tried too often: wait ${seconds} s, or open a link of \`restante web\``);
    this.seconds = seconds;
  }
}

/** The same bytes, up to the moment when the session ends: then it is over, as if that was all. */
function until(ended: AbortSignal, body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let isOver = ended.aborted;
  return new ReadableStream<Uint8Array>({
    start(controller) {
      const end = (): void => {
        isOver = true;
        controller.close();
        reader.cancel().catch(() => {});
      };
      if (isOver) end();
      else ended.addEventListener("abort", end, { once: true });
      // A session outlives thousands of answers: each takes its listener with it.
      reader.closed.catch(() => {}).finally(() => ended.removeEventListener("abort", end));
    },
    async pull(controller) {
      const { done, value } = await reader.read();
      if (isOver) return;
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: () => reader.cancel(),
  });
}

/** Several daemons of one machine share their cookies: each has a name of its own. */
function cookieName(port: number): string {
  return `restante-${port}`;
}

function noSession(): RestanteError {
  return new RestanteError("no-session", "this browser is not logged in: open the link that `restante web` prints");
}

/** What no answer of ours may do, whatever is in it. */
function sealed(response: Response): Response {
  const { headers } = response;
  headers.set("content-security-policy", POLICY);
  headers.set("x-content-type-options", "nosniff");
  headers.set("x-frame-options", "DENY");
  headers.set("referrer-policy", "no-referrer");
  headers.set("cross-origin-opener-policy", "same-origin");
  headers.set("cross-origin-resource-policy", "same-origin");
  if (!headers.has("cache-control") || headers.get("content-type")?.startsWith("text/event-stream"))
    headers.set("cache-control", "no-store");
  return response;
}

/** Nothing from elsewhere, no script or style but our files, no frame, no form; pictures of received files as blobs. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob:",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types restante-worker",
].join("; ");
const BEARER = /^Bearer +(.*)$/i;
const KEY_HEADER = "restante-key";
const HSTS = "max-age=31536000";
const BODY_MS = 10_000;
const FOREVER = "max-age=31536000, immutable";
/** Links to this page, webhooks, and what can call all others by their names. */
const FOR_PROGRAMS: ReadonlySet<string> = new Set([
  ...["/v1/web", "/v1/webhooks", "/v1/rpc"],
  ...["/v1/sealed", "/v1/sealed/open"],
]);
const OF_DEVICES: ReadonlySet<string> = new Set(["/v1/devices", "/v1/devices/link"]);
const SESSION_SECONDS = 30 * 86_400;
