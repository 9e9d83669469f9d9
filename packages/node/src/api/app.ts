/** The /v1 API over one peer. It decides nothing: it checks what is asked, asks the peer, and writes down the answer. */
import { type Context, Hono } from "hono";
import { CONTENT_LIMIT, type OutgoingFile, type Peer, RestanteError } from "restante";
import { RECV, type Readers } from "../readers.ts";
import type { Sealing } from "../sealing.ts";
import type { Webhooks } from "../webhooks.ts";
import { bodyJson } from "./body.ts";
import { cacheRole, offerCache, serveCache } from "./cache-role.ts";
import type { ConfigInfo } from "./config.ts";
import { type BazaarInfo, type ConversationList, MAX_PAGE, type SentInfo } from "./contract.ts";
import { eventStream } from "./feed.ts";
import { fileResponse } from "./file.ts";
import { identityList } from "./identities.ts";
import { meshOf } from "./mesh.ts";
import { messageInfo, nameOf, ownerName } from "./message.ts";
import { fileAt, findContact, findList, listNamed, recipient, theOne, track, whom } from "./names.ts";
import { type RoomWatch, watchRoom } from "./no-room.ts";
import { type Once, readOut, withDigest } from "./once.ts";
import { openApiDocument } from "./openapi.ts";
import {
  type AnswerOf,
  type InputOf,
  methodsOf,
  OPERATIONS,
  type Operation,
  type OperationId,
  paramsOf,
} from "./operations.ts";
import { methodProblem, problemOf, problemResponse } from "./problem.ts";
import { eventsQuery, fileQuery } from "./requests.ts";
import { answerRpc } from "./rpc.ts";
import { statusInfo } from "./status.ts";
import { type TotalsWatch, watchTotals } from "./totals.ts";

/** What the API of one peer is made of. What is absent is not served: its operations answer as for what is not there. */
export interface ApiOptions {
  readonly peer: Peer;
  /** Name of the cryptographic backend, for `status`. */
  readonly backend: string;
  /** How far each reader of the mail is; kept by the daemon. */
  readonly readers: Readers;
  readonly home: string;
  readonly version: string;
  /** Calls the user otherwise from now on. Throws "bad-name". */
  readonly rename: (name: string) => Promise<void>;
  /** Lets one browser in, where the web page is served. */
  readonly webLink?: () => string;
  /** Of the page's own certificate. */
  readonly webFingerprint?: string | undefined;
  /** What is below /ob, where the bazaar is configured: `createObApi`. */
  readonly ob?: Hono;
  /** How the bazaar fares, where it is configured. */
  readonly bazaar?: () => BazaarInfo | undefined;
  /** It was given nobody of the bazaar to begin with, and waits for others: that it is alone there is no problem. */
  readonly isFirst?: boolean;
  /** What makes a request that is repeated under its key one; without it such keys are refused. */
  readonly once?: Once;
  /** Who is told of what happens, by HTTP. Without it there are no webhooks. */
  readonly webhooks?: Webhooks;
  /** Seals and opens files with the keys of this peer. Without it none are. */
  readonly sealing?: Sealing;
  /** What is in force, and who said it. */
  readonly config?: ConfigInfo;
  /** What is seen from the start of the daemon, where this begins later; without it from now on. */
  readonly watched?: { readonly room: RoomWatch; readonly totals: TotalsWatch };
  /** Aborted when the daemon stops: ends the event streams. */
  readonly signal: AbortSignal;
  /** Told about our own mistakes, and of what waits for want of room. */
  readonly trouble: (message: string) => void;
}

/** The routes. Every error, of any cause, is answered as application/problem+json with a `code`. */
export function createApi(options: ApiOptions): Hono {
  const { peer, readers, once } = options;
  const app = new Hono({ strict: true });
  const { room, totals } = options.watched ?? {
    room: watchRoom(peer, options.signal, options.trouble),
    totals: watchTotals(peer, options.signal),
  };
  app.onError((error) => {
    const problem = problemOf(error);
    if (problem.status === 500) options.trouble(`the API failed: ${error.stack ?? error.message}`);
    return problemResponse(problem);
  });
  app.notFound((c) => {
    const allowed = methodsOf(c.req.path);
    if (allowed.length > 0) return methodProblem(c.req.method, c.req.path, allowed);
    throw new RestanteError("not-found", `there is no ${c.req.method} ${c.req.path} in this API`);
  });
  if (options.ob) app.route("/ob", options.ob);

  /** Answers an operation of the table: what is asked is checked before the handler has it. */
  const on = <K extends OperationId>(id: K, handle: Handler<K>): void => {
    const operation: Operation = OPERATIONS[id];
    bytes(id, async (c) => {
      const answer = await handle((await inputOf(operation, c)) as InputOf<K>, c);
      return c.json(answer as object, operation.status);
    });
  };
  /** The same, for what is no JSON: the handler checks and writes by itself. */
  const bytes = (id: OperationId, handle: (c: Context) => Response | Promise<Response>): void => {
    const { method, path } = OPERATIONS[id];
    app.on(method, path.replace(/\{(\w+)\}/g, ":$1"), async (c) => {
      const answer = await handle(c);
      // Nobody will read what would follow: without this it waited for a reader until the daemon stops.
      if (c.req.method === "HEAD") await answer.body?.cancel();
      return answer;
    });
  };
  const retentions = async (): Promise<AnswerOf<"retentions">> => ({ retentions: await peer.retentions() });
  const isSent = async (id: string): Promise<boolean> => (await peer.track(id)) !== undefined;
  /** A mail under the key that the request names, if it names one. */
  const send = async (
    c: Context,
    asked: object,
    to: string,
    give: (how: { id?: string }) => Promise<string>,
    digest?: () => Promise<string>,
  ): Promise<SentInfo> => {
    const key = c.req.header("idempotency-key");
    if (key !== undefined && once === undefined)
      throw new RestanteError("bad-request", "this daemon keeps no Idempotency-Key");
    const id =
      once === undefined || key === undefined ? await give({}) : await once.run(key, asked, { give, isSent, digest });
    c.header("location", `/v1/outbox/${id}`);
    return sentInfo(peer, to, id, digest !== undefined);
  };

  // --- the node ---

  on("health", () => ({ status: "ok" as const, version: options.version }));
  on("ready", () => {
    const { state } = peer.status();
    if (state !== "running")
      throw new RestanteError("not-running", "the store does not work: mail rests until it does");
    return { status: "ready" as const };
  });
  on("status", () => statusInfo(options, room, options.webhooks?.problems() ?? []));
  on("identities", () => identityList(options.home, peer.hashname));
  on("setName", async ({ name }) => {
    await options.rename(name);
    return { name };
  });
  on("webLink", () => {
    if (options.webLink === undefined) throw new RestanteError("no-web", "this daemon serves no web page");
    const { webFingerprint: fingerprint } = options;
    return { link: options.webLink(), ...(fingerprint !== undefined && { fingerprint }) };
  });
  on("mesh", () => meshOf(peer));
  on("cacheRole", () => cacheRole(peer, options.config));
  on("serveCache", (asked) => serveCache(peer, options.config, asked, options.trouble));
  on("cacheTotals", () => {
    const told = totals(Date.now());
    if (told === undefined) throw new RestanteError("no-cache", "this node serves no cache");
    return told;
  });
  on("config", () => options.config ?? { settings: [] });
  let document: object | undefined;
  bytes("openapi", (c) => {
    document ??= openApiDocument(options.version);
    return c.json(document);
  });

  // --- people ---

  on("invite", async ({ once: isForOne = true, work = 0 }) => ({ link: await peer.invite({ once: isForOne, work }) }));
  on("closeInvite", async ({ link }) => {
    await peer.closeInvite(link);
    return { link };
  });
  on("contacts", () => ({ contacts: peer.contacts() }));
  on("addContact", ({ link }) => peer.add(link));
  on("contact", ({ contact }) => findContact(peer, contact));
  on("removeContact", async ({ contact }) => {
    const found = findContact(peer, contact);
    await peer.removeContact(found.id);
    return found;
  });
  on("safety", ({ contact }) => {
    const found = findContact(peer, contact);
    return { contact: found, devices: peer.safety(found.id) };
  });
  on("verify", ({ contact, said }) => peer.verify(findContact(peer, contact).id, said));
  on("unverify", ({ contact }) => peer.verify(findContact(peer, contact).id, undefined));
  on("ping", async ({ contact }) => {
    const found = findContact(peer, contact);
    return { contact: found, asked: await peer.ping(found.id) };
  });
  on("setReadMarks", ({ contact, on: isOn }) => peer.setReadMarks(findContact(peer, contact).id, isOn));
  on("blocked", () => ({ blocked: peer.blocked() }));
  on("block", async ({ who }) => {
    const before = new Set(peer.blocked().map(({ hashname }) => hashname));
    await peer.block(whom(peer, who));
    return { blocked: peer.blocked().filter(({ hashname }) => !before.has(hashname)) };
  });
  on("unblock", async ({ hashname }) => {
    const found = theOne(peer.blocked(), (it) => it.hashname, hashname, "blocked peer");
    await peer.unblock(found.hashname);
    return { blocked: [found] };
  });
  on("lists", () => ({ lists: peer.lists() }));
  on("setList", async ({ name, contacts }) => {
    // A list goes before a contact of its name: mail meant for one would go to others. Who takes the name later changes nothing.
    if (findList(peer, name) === undefined && peer.findContact(name) !== undefined)
      throw new RestanteError("known", `"${name}" is a contact; give the list another name`);
    await peer.setList(
      name,
      contacts.map((each) => findContact(peer, each).id),
    );
    return listNamed(peer, name);
  });
  on("removeList", async ({ name }) => {
    const list = listNamed(peer, name);
    await peer.setList(list.name, []);
    return list;
  });
  on("requests", () => ({ requests: peer.requests() }));
  for (const verb of ["accept", "ignore"] as const)
    on(`${verb}Request`, async ({ request }) => {
      const found = theOne(peer.requests(), (it) => it.request, request, "request");
      await peer[verb](found.request);
      return found;
    });

  // --- devices and caches ---

  on("devices", () => ({ devices: peer.devices() }));
  on("deviceLink", async () => ({ link: await peer.deviceLink() }));
  on("addDevice", async ({ link }) => ({ hashname: await peer.addDevice(link) }));
  on("removeDevice", async ({ hashname }) => {
    const others = peer.devices().filter(({ isThis }) => !isThis);
    await peer.removeDevice(theOne(others, (it) => it.hashname, hashname, "other device").hashname);
    return { devices: peer.devices() };
  });
  on("caches", () => ({
    caches: peer.caches().map((cache) => ({
      ...cache,
      ...nameOf(peer, cache.contact),
      ...(cache.of !== undefined && ownerName(peer, cache.of)),
    })),
  }));
  on("joinCache", ({ link }) => peer.join(link));
  on("offers", () => ({ offers: peer.offers() }));
  on("takeOffer", ({ contact }) => peer.takeOffer(findContact(peer, contact).id));
  on("offerCache", (asked) => offerCache(peer, asked));
  on("testCaches", async () => ({ tests: await peer.testCaches() }));
  on("leaveCache", async ({ hashname }) => {
    const { hashname: cache } = theOne(peer.status().caches, (it) => it.hashname, hashname, "cache");
    await peer.leave(cache);
    return { cache, others: peer.status().caches.length };
  });

  // --- mail ---

  on("send", (asked, c) => {
    const { contact, text, expires } = asked;
    const to = recipient(peer, contact);
    if (expires !== undefined && expires <= Date.now())
      throw new RestanteError("bad-request", "expires is over already: it is in milliseconds since 1970");
    return send(c, asked, to, (how) => peer.send(to, text, { ...how, ...(expires === undefined ? {} : { expires }) }));
  });
  bytes("sendFile", async (c) => {
    const asked = fileQuery.parse(query(c));
    const { contact, name, media, insist } = asked;
    const to = recipient(peer, contact);
    if (Number(c.req.header("content-length") ?? 0) > CONTENT_LIMIT)
      throw new RestanteError("too-large", `a file has at most ${CONTENT_LIMIT} bytes`);
    const { bytes: content, digest } = withDigest(c.req.raw.body);
    const file: OutgoingFile = { name, ...(media === undefined ? {} : { media }), bytes: content };
    const give = (how: { id?: string }): Promise<string> => peer.send(to, file, { ...how, insist: insist === "true" });
    // One that is not read by `give`, since it was sent already, is read here: only its bytes tell whether it is the same.
    return c.json(await send(c, asked, to, give, () => readOut(content).then(digest)), 202);
  });
  on("receive", async ({ after = 0, limit = 100 }) => {
    const page = await peer.inbox({ after, limit: Math.min(limit, MAX_PAGE) });
    return { messages: page.map((mail) => messageInfo(peer, mail)) };
  });
  bytes("file", async (c) => fileResponse(peer, await fileAt(peer, c.req.param("n") ?? ""), c.req.header("range")));
  on("conversations", ({ limit = 50, reader = RECV }) => conversations(peer, readers.position(reader), limit));
  on("history", async ({ contact, ...options }) => {
    const found = findContact(peer, contact);
    return { contact: found, ...(await peer.conversation(found.id, given(options))) };
  });
  on("search", async ({ q, contact, limit }, c) => {
    const whose = contact === undefined ? undefined : findContact(peer, contact).id;
    const found = await peer.search(q, given({ contact: whose, limit, signal: c.req.raw.signal }));
    return { found: found.map((entry) => ({ ...entry, ...nameOf(peer, entry.contact) })) };
  });
  on("retentions", retentions);
  on("keep", async ({ contact, days }) => {
    const found = findContact(peer, contact);
    await peer.keep(found.id, days);
    return found;
  });
  on("keepForever", async ({ contact }) => {
    // Also of who is no contact any more: there is no other way to end it.
    const id = peer.findContact(contact)?.id ?? contact;
    if (!(await peer.retentions()).some((each) => each.contact === id))
      throw new RestanteError("not-found", `nothing is erased of "${contact}"`);
    await peer.keep(id, undefined);
    return retentions();
  });
  on("seen", ({ reader = RECV }) => ({ n: readers.position(reader) }));
  on("setSeen", async ({ n, reader = RECV }) => {
    // Beyond what is there would hide mail that is still to come.
    await readers.move(reader, Math.min(n, peer.status().inbox));
    await peer.seen(readers.furthest());
    return { n: readers.position(reader) };
  });
  on("outbox", () => ({ outbox: peer.outbox(), behind: peer.status().behind }));
  on("track", ({ id }) => track(peer, id));
  on("cancel", async ({ id: text }) => {
    const { id } = await track(peer, text);
    await peer.cancel(id);
    return track(peer, id);
  });

  // --- programs ---

  bytes("events", (c) => {
    const last = c.req.header("last-event-id");
    const { after } = eventsQuery.parse(last === undefined ? query(c) : { after: last });
    return eventStream(c, { peer, after, signal: options.signal });
  });
  const hooks = (): Webhooks => {
    if (options.webhooks === undefined) throw new RestanteError("not-found", "this daemon has no webhooks");
    return options.webhooks;
  };
  on("webhooks", () => ({ webhooks: hooks().list() }));
  on("addWebhook", (asked) => hooks().add(asked));
  on("removeWebhook", ({ id }) => hooks().remove(id));
  const sealing = (): Sealing => {
    if (options.sealing === undefined) throw new RestanteError("not-found", "this daemon seals no files");
    return options.sealing;
  };
  on("seal", async ({ readers, anonymous: isAnonymous = false, name }) => {
    const sealed = await sealing().seal({ readers, isAnonymous, ...given({ name }) });
    return { header: base64(sealed.header), secret: base64(sealed.secret), readers: sealed.readers };
  });
  on("openSealed", async ({ header }) => {
    const { head, secret, contact, isOwn } = await sealing().open(Buffer.from(header, "base64"));
    const said = given({ contact: contact?.id, contactName: contact?.name });
    return { ...given(head), ...said, secret: base64(secret), own: isOwn };
  });
  const rpc = answerRpc({ peer, ask: (request) => app.fetch(request), signal: options.signal });
  bytes("rpc", rpc);
  app.post("/rpc", rpc);
  return app;
}

type Handler<K extends OperationId> = (input: InputOf<K>, c: Context) => AnswerOf<K> | Promise<AnswerOf<K>>;

/** The parts of the path, the query and the body, together. */
async function inputOf({ path, query: asked, body }: Operation, c: Context): Promise<object> {
  const params = Object.fromEntries(paramsOf(path).map((name) => [name, c.req.param(name)]));
  return {
    ...params,
    ...asked?.parse(query(c)),
    ...body?.parse(await bodyJson(c.req.raw)),
  };
}

function sentInfo(peer: Peer, to: string, id: string, isFile: boolean): SentInfo {
  const list = findList(peer, to);
  // The outbox may be long: it is looked at for what only it knows.
  const mail = list !== undefined || isFile ? peer.outbox().find((each) => each.id === id) : undefined;
  return {
    id,
    ...(list === undefined || mail?.list === undefined ? {} : { contacts: mail.list.of }),
    ...(mail?.waits === undefined ? {} : { waits: mail.waits }),
  };
}

/** Whose mail is old is not looked for in all of it: that would read the whole store for each of them. */
async function conversations(peer: Peer, shown: number, limit: number): Promise<ConversationList> {
  if (limit < 1 || limit > MAX_CONVERSATIONS)
    throw new RestanteError("bad-request", `limit: 1 to ${MAX_CONVERSATIONS} conversations`);
  const lately = await peer.inbox({ after: Math.max(0, peer.status().inbox - MAX_PAGE), limit: MAX_PAGE });
  const newest = new Map<string, number>();
  const note = (contact: string, at: number): void => {
    newest.set(contact, Math.max(at, newest.get(contact) ?? 0));
  };
  for (const { contact, received } of lately) note(contact, received);
  for (const { contact, created } of peer.outbox()) note(contact, created);
  const order = peer
    .contacts()
    .sort((a, b) => (newest.get(b.id) ?? 0) - (newest.get(a.id) ?? 0))
    .slice(0, limit);
  const found: ConversationList["conversations"][number][] = [];
  for (const contact of order) {
    const unread = lately.filter((mail) => mail.contact === contact.id && mail.n > shown).length;
    const page = newest.has(contact.id) ? await peer.conversation(contact.id, { limit: 1 }) : undefined;
    const last = page?.entries.at(-1);
    found.push({ contact, unread, ...(last === undefined ? {} : { last }) });
  }
  return { conversations: found };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

/** Options without those that were not given. */
function given<T extends object>(options: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}

/** Each member of a query once; a repeated one stays a list, which no schema takes. */
function query(c: Context): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(c.req.queries()).map(([name, values]) => [name, values.length === 1 ? (values[0] ?? "") : values]),
  );
}

const MAX_CONVERSATIONS = 200;
