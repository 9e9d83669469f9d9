/** The /v1 API over one peer. It decides nothing: it checks what is asked, asks the peer, and writes down the answer. */
import { Hono } from "hono";
import { streamSSE } from "hono/streaming";
import {
  type ContactInfo,
  type ListInfo,
  type OutgoingFile,
  type Peer,
  type Received,
  type RequestInfo,
  RestanteError,
  shownTime,
} from "restante";

import {
  type AddedInfo,
  type BlockedList,
  blockBody,
  type CacheTestList,
  type ContactList,
  type DeviceList,
  type FoundList,
  fileQuery,
  type HistoryPage,
  historyQuery,
  type InviteInfo,
  inviteBody,
  type JoinedInfo,
  keepBody,
  type LeftInfo,
  type Lists,
  linkBody,
  listBody,
  MAX_JSON_BYTES,
  MAX_PAGE,
  type MessageInfo,
  type MessagePage,
  type OutboxList,
  type PeerList,
  pageQuery,
  type RequestList,
  type RetentionList,
  readMarksBody,
  type SafetyList,
  type SeenInfo,
  type SentInfo,
  type StatusInfo,
  saidBody,
  searchQuery,
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
    const { once = true, work = 0 } = inviteBody.parse(await json(c.req.raw));
    return c.json({ link: await peer.invite({ once, work }) } satisfies InviteInfo, 201);
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
  app.post("/v1/caches/test", async (c) => c.json({ tests: await peer.testCaches() } satisfies CacheTestList));
  app.get("/v1/peers", (c) => {
    const caches = peer.caches().map((cache) => {
      const name = cache.contact === undefined ? undefined : contactOf(cache.contact)?.name;
      return { ...cache, ...(name === undefined ? {} : { name }) };
    });
    return c.json({ caches } satisfies PeerList);
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
  app.get("/v1/contacts/:id", (c) => c.json(findContact(peer, c.req.param("id"))));
  app.delete("/v1/contacts/:id", async (c) => {
    const found = findContact(peer, c.req.param("id"));
    await peer.removeContact(found.id);
    return c.json(found);
  });

  app.get("/v1/contacts/:id/safety", (c) => {
    const found = findContact(peer, c.req.param("id"));
    return c.json({ contact: found, devices: peer.safety(found.id) } satisfies SafetyList);
  });
  app.put("/v1/contacts/:id/verified", async (c) => {
    const found = findContact(peer, c.req.param("id"));
    const { said } = saidBody.parse(await json(c.req.raw));
    return c.json(await peer.verify(found.id, said));
  });
  app.delete("/v1/contacts/:id/verified", async (c) =>
    c.json(await peer.verify(findContact(peer, c.req.param("id")).id, undefined)),
  );

  app.put("/v1/contacts/:id/read-marks", async (c) => {
    const found = findContact(peer, c.req.param("id"));
    const { on } = readMarksBody.parse(await json(c.req.raw));
    return c.json(await peer.setReadMarks(found.id, on));
  });

  app.get("/v1/blocked", (c) => c.json({ blocked: peer.blocked() } satisfies BlockedList));
  app.post("/v1/blocked", async (c) => {
    const { who } = blockBody.parse(await json(c.req.raw));
    const before = new Set(peer.blocked().map(({ hashname }) => hashname));
    await peer.block(whom(peer, who));
    return c.json(
      { blocked: peer.blocked().filter(({ hashname }) => !before.has(hashname)) } satisfies BlockedList,
      201,
    );
  });
  app.delete("/v1/blocked/:hashname", async (c) => {
    const found = theOne(peer.blocked(), ({ hashname }) => hashname, c.req.param("hashname"), "blocked peer");
    await peer.unblock(found.hashname);
    return c.json({ blocked: [found] } satisfies BlockedList);
  });

  app.get("/v1/devices", (c) => c.json({ devices: peer.devices() } satisfies DeviceList));
  app.post("/v1/devices/link", async (c) => c.json({ link: await peer.deviceLink() } satisfies InviteInfo, 201));
  app.post("/v1/devices", async (c) => {
    const { link } = linkBody.parse(await json(c.req.raw));
    return c.json({ hashname: await peer.addDevice(link) } satisfies AddedInfo, 201);
  });
  app.delete("/v1/devices/:hashname", async (c) => {
    const others = peer.devices().filter(({ isThis }) => !isThis);
    const found = theOne(others, ({ hashname }) => hashname, c.req.param("hashname"), "other device");
    await peer.removeDevice(found.hashname);
    return c.json({ devices: peer.devices() } satisfies DeviceList);
  });

  app.get("/v1/lists", (c) => c.json({ lists: peer.lists() } satisfies Lists));
  app.put("/v1/lists/:name", async (c) => {
    const { contacts } = listBody.parse(await json(c.req.raw));
    const name = c.req.param("name");
    // A list goes before a contact of its name: mail meant for one would go to others. Who takes the name later changes nothing.
    if (findList(peer, name) === undefined && peer.findContact(name) !== undefined)
      throw new RestanteError("known", `"${name}" is a contact; give the list another name`);
    await peer.setList(
      name,
      contacts.map((each) => findContact(peer, each).id),
    );
    return c.json(listNamed(peer, name));
  });
  app.delete("/v1/lists/:name", async (c) => {
    const list = listNamed(peer, c.req.param("name"));
    await peer.setList(list.name, []);
    return c.json(list);
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
    const to = recipient(peer, contact);
    if (expires !== undefined && expires <= Date.now())
      throw new RestanteError("bad-request", "expires is over already: it is in milliseconds since 1970");
    const id = await peer.send(to, text, expires === undefined ? {} : { expires });
    return c.json(sentInfo(peer, to, id) satisfies SentInfo, 202, { location: `/v1/outbox/${id}` });
  });
  app.put("/v1/files", async (c) => {
    const { contact, name, media } = fileQuery.parse(query(c.req.queries()));
    const to = recipient(peer, contact);
    const bytes = c.req.raw.body ?? new Uint8Array(0);
    const file: OutgoingFile = { name, ...(media === undefined ? {} : { media }), bytes };
    const id = await peer.send(to, file);
    return c.json(sentInfo(peer, to, id) satisfies SentInfo, 202, { location: `/v1/outbox/${id}` });
  });
  app.get("/v1/messages", async (c) => {
    const { after = 0, limit = 100 } = pageQuery.parse(query(c.req.queries()));
    const page = await peer.inbox({ after, limit: Math.min(limit, MAX_PAGE) });
    return c.json({ messages: page.map(show) } satisfies MessagePage);
  });
  app.get("/v1/contacts/:id/history", async (c) => {
    const found = findContact(peer, c.req.param("id"));
    const options = historyQuery.parse(query(c.req.queries()));
    return c.json({ contact: found, ...(await peer.conversation(found.id, given(options))) } satisfies HistoryPage);
  });
  app.get("/v1/search", async (c) => {
    const { q, contact, limit } = searchQuery.parse(query(c.req.queries()));
    const whose = contact === undefined ? undefined : findContact(peer, contact).id;
    const found = await peer.search(q, given({ contact: whose, limit, signal: c.req.raw.signal }));
    const named = found.map((entry) => {
      const name = contactOf(entry.contact)?.name;
      return { ...entry, ...(name === undefined ? {} : { name }) };
    });
    return c.json({ found: named } satisfies FoundList);
  });
  app.get("/v1/retentions", async (c) => c.json({ retentions: await peer.retentions() } satisfies RetentionList));
  app.put("/v1/contacts/:id/keep", async (c) => {
    const found = findContact(peer, c.req.param("id"));
    const { days } = keepBody.parse(await json(c.req.raw));
    await peer.keep(found.id, days);
    return c.json(found);
  });
  app.delete("/v1/contacts/:id/keep", async (c) => {
    // Also of who is no contact any more: there is no other way to end it.
    const text = c.req.param("id");
    const contact = peer.findContact(text)?.id ?? text;
    if (!(await peer.retentions()).some((each) => each.contact === contact))
      throw new RestanteError("not-found", `nothing is erased of "${text}"`);
    await peer.keep(contact, undefined);
    return c.json({ retentions: await peer.retentions() } satisfies RetentionList);
  });
  app.get("/v1/messages/:n/file", async (c) => fileResponse(peer, await messageAt(peer, c.req.param("n"))));
  app.get("/v1/seen", (c) => c.json({ n: seen.n } satisfies SeenInfo));
  app.put("/v1/seen", async (c) => {
    const { n } = seenBody.parse(await json(c.req.raw));
    // Beyond what is there would hide mail that is still to come.
    await seen.move(Math.min(n, peer.status().inbox));
    await peer.seen(seen.n);
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

/** What `send` takes: the name of a list, or the id of a contact. Throws as `findContact` does. */
function recipient(peer: Peer, text: string): string {
  return findList(peer, text)?.name ?? findContact(peer, text).id;
}

function findList(peer: Peer, name: string): ListInfo | undefined {
  return peer.lists().find((list) => list.name.toLowerCase() === name.toLowerCase());
}

function listNamed(peer: Peer, name: string): ListInfo {
  const list = findList(peer, name);
  if (list === undefined) throw new RestanteError("not-found", `there is no list "${name}"`);
  return list;
}

function sentInfo(peer: Peer, to: string, id: string): SentInfo {
  const list = findList(peer, to) && peer.outbox().find((mail) => mail.id === id)?.list;
  return { id, ...(list === undefined ? {} : { contacts: list.of }) };
}

/** Whose contact id, request id or hashname this is. Throws as `findContact` does. */
function whom(peer: Peer, text: string): string {
  const isOf = ({ request }: RequestInfo): boolean =>
    request === text || (text.length >= SHORTEST_START && request.startsWith(text));
  const requests = peer.requests().filter(isOf);
  if (peer.findContact(text) === undefined && requests.length === 1) return requests[0]?.request ?? text;
  return WHOLE_HASHNAME.test(text) ? text : findContact(peer, text).id;
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
  const { n, id, contact, from, time: claimed, received, kind, suite, text, file, why } = mail;
  const time = shownTime(claimed, received);
  return {
    ...{ n, id, contact, from, time, received, kind },
    ...(time < claimed ? { claimed } : {}),
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
  if (status.copiedAt !== undefined && status.copiedAt > Date.now() - COPY_SHOWN_MS) problems.push(COPY_SENDS);
  for (const { cache, test } of peer.caches())
    if (test?.outcome === "lost" || test?.outcome === "changed")
      problems.push(`your cache ${cache.slice(0, 12)} did not give a test mail back as it was`);
  return {
    ...status,
    version,
    home,
    ...(name === undefined ? {} : { name }),
    backend,
    seen: seen.n,
    waiting,
    missing: peer.contacts().reduce((sum, contact) => sum + contact.missing, 0),
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

/** Options without those that were not given. */
function given<T extends object>(options: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}

/** Each member of a query once; a repeated one stays a list, which no schema takes. */
function query(queries: Record<string, string[]>): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(queries).map(([name, values]) => [name, values.length === 1 ? (values[0] ?? "") : values]),
  );
}

const COPY_SENDS =
  "a contact says that another copy of this identity sends it mail: nothing of either is lost, but each takes what comes for the other; if there are two, stop one";
const COPY_SHOWN_MS = 7 * 86_400_000;
const SHORTEST_START = 4; // as for contacts
const WHOLE_HASHNAME = /^[a-z2-7]{52}$/;
const FULL_ID = /^[0-9a-f]{32}$/;
