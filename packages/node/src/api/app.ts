/** The /v1 API over one peer. It decides nothing: it checks what is asked, asks the peer, and writes down the answer. */
import { Hono } from "hono";
import { streamSSE } from "hono/streaming";
import {
  type ContactInfo,
  type OutgoingFile,
  type Peer,
  type Received,
  type RequestInfo,
  RestanteError,
} from "restante";

import {
  type ContactList,
  fileQuery,
  type InviteInfo,
  inviteBody,
  type JoinedInfo,
  type LeftInfo,
  linkBody,
  MAX_JSON_BYTES,
  MAX_PAGE,
  type MessageInfo,
  type MessagePage,
  type OutboxList,
  pageQuery,
  type RequestList,
  type SeenInfo,
  type SentInfo,
  type StatusInfo,
  seenBody,
  type TrackInfo,
  textBody,
} from "./contract.ts";
import { feed } from "./feed.ts";
import { problemOf, problemResponse } from "./problem.ts";

export interface ApiOptions {
  readonly peer: Peer;
  /** Name of the cryptographic backend, for `status`. */
  readonly backend: string;
  /** How far the user has read; kept by the daemon. */
  readonly seen: Seen;
  readonly home: string;
  readonly version: string;
  readonly name?: string;
  /** Does the peer serve a cache? */
  readonly isCache: boolean;
  /** Aborted when the daemon stops: ends the event streams. */
  readonly signal: AbortSignal;
  /** Told about our own mistakes. */
  readonly trouble: (message: string) => void;
}

/** A number that only grows, and survives the process. */
export interface Seen {
  readonly n: number;
  move(n: number): Promise<void>;
}

/** The routes. Every error, of any cause, is answered as application/problem+json with a `code`. */
export function createApi(options: ApiOptions): Hono {
  const { peer, seen } = options;
  const app = new Hono({ strict: true });
  const contactOf = (id: string): ContactInfo | undefined => peer.contacts().find((contact) => contact.id === id);
  const show = (mail: Received): MessageInfo => messageInfo(mail, contactOf(mail.contact)?.name);

  app.onError((error) => {
    const problem = problemOf(error);
    if (problem.status === 500) options.trouble(`the API failed: ${error.stack ?? error.message}`);
    return problemResponse(problem);
  });
  app.notFound((c) => {
    throw new RestanteError("not-found", `there is no ${c.req.method} ${c.req.path} in this API`);
  });
  app.get("/v1/status", (c) => c.json(statusInfo(options)));

  app.post("/v1/invites", async (c) => {
    const { once = true } = inviteBody.parse(await json(c.req.raw));
    return c.json({ link: await peer.invite({ once }) } satisfies InviteInfo, 201);
  });
  app.post("/v1/invites/close", async (c) => {
    const { link } = linkBody.parse(await json(c.req.raw));
    await peer.closeInvite(link);
    return c.json({ link } satisfies InviteInfo);
  });
  app.post("/v1/caches", async (c) => {
    const { link } = linkBody.parse(await json(c.req.raw));
    return c.json((await peer.join(link)) satisfies JoinedInfo, 201);
  });
  app.delete("/v1/caches/:hashname", async (c) => {
    const text = c.req.param("hashname");
    const { hashname: cache } = theOne(peer.status().caches, ({ hashname }) => hashname, text, "cache");
    await peer.leave(cache);
    return c.json({ cache, others: peer.status().caches.length } satisfies LeftInfo);
  });

  app.get("/v1/contacts", (c) => c.json({ contacts: peer.contacts() } satisfies ContactList));
  app.post("/v1/contacts", async (c) => {
    const { link } = linkBody.parse(await json(c.req.raw));
    return c.json(await peer.add(link), 201);
  });
  app.delete("/v1/contacts/:id", async (c) => {
    const found = findContact(peer, c.req.param("id"));
    await peer.removeContact(found.id);
    return c.json(found);
  });

  app.get("/v1/requests", (c) => c.json({ requests: peer.requests() } satisfies RequestList));
  for (const verb of ["accept", "ignore"] as const)
    app.post(`/v1/requests/:id/${verb}`, async (c) => {
      const found = theOne(peer.requests(), (it: RequestInfo) => it.request, c.req.param("id"), "request");
      await peer[verb](found.request);
      return c.json(found);
    });

  app.post("/v1/messages", async (c) => {
    const { contact, text, expires } = textBody.parse(await json(c.req.raw));
    const to = findContact(peer, contact);
    if (expires !== undefined && expires <= Date.now())
      throw new RestanteError("bad-request", "expires is over already: it is in milliseconds since 1970");
    const id = await peer.send(to.id, text, expires === undefined ? {} : { expires });
    return c.json({ id } satisfies SentInfo, 202, { location: `/v1/outbox/${id}` });
  });
  app.put("/v1/files", async (c) => {
    const { contact, name, media } = fileQuery.parse(query(c.req.queries()));
    const to = findContact(peer, contact);
    const bytes = c.req.raw.body ?? new Uint8Array(0);
    const file: OutgoingFile = { name, ...(media === undefined ? {} : { media }), bytes };
    const id = await peer.send(to.id, file);
    return c.json({ id } satisfies SentInfo, 202, { location: `/v1/outbox/${id}` });
  });
  app.get("/v1/messages", async (c) => {
    const { after = 0, limit = 100 } = pageQuery.parse(query(c.req.queries()));
    const page = await peer.inbox({ after, limit: Math.min(limit, MAX_PAGE) });
    return c.json({ messages: page.map(show) } satisfies MessagePage);
  });
  app.get("/v1/messages/:n/file", async (c) => fileResponse(peer, await messageAt(peer, c.req.param("n"))));
  app.get("/v1/seen", (c) => c.json({ n: seen.n } satisfies SeenInfo));
  app.put("/v1/seen", async (c) => {
    const { n } = seenBody.parse(await json(c.req.raw));
    // Beyond what is there would hide mail that is still to come.
    await seen.move(Math.min(n, peer.status().inbox));
    return c.json({ n: seen.n } satisfies SeenInfo);
  });

  app.get("/v1/outbox", (c) => c.json({ outbox: peer.outbox() } satisfies OutboxList));
  app.get("/v1/outbox/:id", async (c) => c.json(await track(peer, c.req.param("id"))));
  app.delete("/v1/outbox/:id", async (c) => {
    const { id } = await track(peer, c.req.param("id"));
    await peer.cancel(id);
    return c.json(await track(peer, id));
  });

  app.get("/v1/events", (c) => {
    const last = c.req.header("last-event-id");
    const { after } = pageQuery.parse(last === undefined ? {} : { after: last });
    const stop = new AbortController();
    const events = feed(peer, after, AbortSignal.any([stop.signal, options.signal]));
    return streamSSE(c, async (stream) => {
      stream.onAbort(() => stop.abort());
      try {
        // The first bytes carry the headers with them: the reader knows that from here on it misses nothing.
        await stream.write(": listening\n\n");
        for await (const event of events) {
          if (event.type === "mail") {
            const data = JSON.stringify(show(event.mail));
            await stream.writeSSE({ event: "mail", id: String(event.n), data });
          } else {
            const data = JSON.stringify(event.event);
            await stream.writeSSE({ event: event.event.type, data });
          }
        }
      } finally {
        stop.abort();
      }
    });
  });
  return app;
}

/** The one contact of this name. Throws "not-found" or "ambiguous", saying which it could be. */
function findContact(peer: Peer, text: string): ContactInfo {
  const found = peer.findContact(text);
  if (found !== undefined) return found;
  const wanted = text.toLowerCase();
  const all = peer.contacts();
  const like = all.filter(({ id, name = "", hashnames }) =>
    [id, name.toLowerCase(), ...hashnames].some((it) => it.startsWith(wanted)),
  );
  if (like.length > 1) {
    const ids = like.slice(0, 4).map(({ id, name }) => `${id.slice(0, 8)}${name === undefined ? "" : ` (${name})`}`);
    const more = like.length > ids.length ? ", ..." : "";
    throw new RestanteError("ambiguous", `${like.length} contacts match "${text}": ${ids.join(", ")}${more}`);
  }
  throw new RestanteError("not-found", `there is no contact "${text}"`);
}

/** The one of `all` whose id is or starts with `text`. Throws "not-found" or "ambiguous". */
function theOne<T>(all: readonly T[], idOf: (it: T) => string, text: string, what: string): T {
  const like = all.filter((it) => idOf(it) === text || (text.length >= SHORTEST_START && idOf(it).startsWith(text)));
  if (like.length > 1) throw new RestanteError("ambiguous", `${like.length} ${what}s start with "${text}"`);
  if (like[0] === undefined) throw new RestanteError("not-found", `there is no ${what} "${text}"`);
  return like[0];
}

async function track(peer: Peer, text: string): Promise<TrackInfo> {
  // Mail that is long final is known by its whole id alone.
  const mail = FULL_ID.test(text)
    ? peer.outbox().find(({ id }) => id === text)
    : theOne(peer.outbox(), ({ id }) => id, text, "mail");
  const id = mail?.id ?? text;
  const ledger = await peer.track(id);
  const last = ledger?.at(-1);
  if (ledger === undefined || last === undefined) throw new RestanteError("not-found", `there is no mail "${text}"`);
  return { id, state: mail?.state ?? last.state, ledger, ...(mail === undefined ? {} : { mail }) };
}

async function messageAt(peer: Peer, text: string): Promise<Received> {
  const n = /^\d{1,12}$/.test(text) ? Number(text) : 0;
  const [mail] = n > 0 ? await peer.inbox({ after: n - 1, limit: 1 }) : [];
  if (mail?.n !== n || mail.file === undefined) throw new RestanteError("not-found", `message ${text} is no file`);
  return mail;
}

/** The bytes of a received file. Its media type is somebody else's word: no browser may act on it. */
async function fileResponse(peer: Peer, mail: Received): Promise<Response> {
  const pieces = peer.file(mail)[Symbol.asyncIterator]();
  // The first piece is asked for before the status goes out: a file that is gone is a 404, not a broken stream.
  const first = await pieces.next();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      if (first.done) controller.close();
      else controller.enqueue(first.value);
    },
    async pull(controller) {
      const piece = await pieces.next();
      if (piece.done) controller.close();
      else controller.enqueue(piece.value);
    },
    async cancel() {
      await pieces.return?.();
    },
  });
  const headers = {
    "content-type": "application/octet-stream",
    "content-disposition": "attachment",
    "content-length": String(mail.file?.size ?? 0),
    "x-content-type-options": "nosniff",
  };
  return new Response(body, { headers });
}

function messageInfo(mail: Received, name: string | undefined): MessageInfo {
  const { n, id, contact, from, time, received, kind, suite, text, file, why } = mail;
  return {
    ...{ n, id, contact, from, time, received, kind },
    ...(name === undefined ? {} : { name }),
    ...(suite === undefined ? {} : { suite }),
    ...(text === undefined ? {} : { text }),
    ...(file === undefined
      ? {}
      : { file: { name: file.name, media: file.media, size: file.size, sha256: file.sha256 } }),
    ...(why === undefined ? {} : { why }),
  };
}

function statusInfo({ peer, backend, seen, home, version, name, isCache }: ApiOptions): StatusInfo {
  const status = peer.status();
  const waiting = peer.outbox().filter(({ state }) => state === "queued" || state === "handed").length;
  const problems: string[] = [];
  if (status.state !== "running") problems.push("the store does not work: mail rests until it does");
  if (status.caches.length > 0 && !status.caches.some(({ up }) => up)) problems.push("none of your caches answers");
  return {
    ...status,
    version,
    home,
    ...(name === undefined ? {} : { name }),
    backend,
    seen: seen.n,
    waiting,
    ...(isCache && status.state === "running" ? { joinLink: peer.joinLink() } : {}),
    problems,
  };
}

/** The JSON of a body; none at all is an empty object. Throws "bad-request", and "too-large" without reading on. */
async function json(request: Request): Promise<unknown> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of request.body ?? []) {
    length += piece.length;
    if (length > MAX_JSON_BYTES)
      throw new RestanteError("too-large", `a request has at most ${MAX_JSON_BYTES} bytes of JSON`);
    pieces.push(piece);
  }
  if (length === 0) return {};
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(pieces)));
  } catch {
    throw new RestanteError("bad-request", "the body is not JSON");
  }
}

/** Each member of a query once; a repeated one stays a list, which no schema takes. */
function query(queries: Record<string, string[]>): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(queries).map(([name, values]) => [name, values.length === 1 ? (values[0] ?? "") : values]),
  );
}

const SHORTEST_START = 4; // as for contacts
const FULL_ID = /^[0-9a-f]{32}$/;
