/**
 * All operations of the API, in one table: requests are routed and checked by it, and the OpenAPI document, JSON-RPC, the client
 * package and the table in docs/api.md are made from it. A new operation is an entry here and its handler in app.ts.
 */
import { z } from "zod";
import * as answer from "./answers.ts";
import { configSchema } from "./config.ts";
import { meshSchema } from "./mesh.ts";
import * as ask from "./requests.ts";
import { totalsSchema } from "./totals-answer.ts";

export interface Operation {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** As OpenAPI writes it: "/v1/contacts/{contact}". */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  /** What is more to say of it. */
  readonly description?: string;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodObject;
  /** "json", or bytes or events that are written by the handler itself. */
  readonly form: "json" | "upload" | "download" | "events" | "document" | "rpc";
  readonly status: 200 | 201 | 202;
  readonly answer: z.ZodType;
  /** Codes of problems that it has beside those that all have. */
  readonly codes: readonly string[];
  /** Takes the header Idempotency-Key. */
  readonly once: boolean;
}

type Given = Pick<Operation, "tag" | "summary"> & Partial<Operation>;
const USUAL = { form: "json" as const, status: 200 as const, codes: [] as readonly string[], once: false };
type Entry<P, A, G> = Omit<typeof USUAL, keyof G> & G & Pick<Operation, "method"> & { path: P; answer: A };
const verb =
  (method: Operation["method"]) =>
  <P extends string, A extends z.ZodType, G extends Given>(path: P, answer: A, given: G): Entry<P, A, G> => ({
    ...USUAL,
    ...given,
    ...{ method, path, answer },
  });
const [get, post, put, del] = [verb("GET"), verb("POST"), verb("PUT"), verb("DELETE")];
const bytes = z.string().meta({ contentMediaType: "application/octet-stream" });

const created = { status: 201 as const };
const node = { tag: "node" };
const people = { tag: "people" };
const mail = { tag: "mail" };
const caches = { tag: "caches" };
const devices = { tag: "devices" };
const programs = { tag: "programs" };

export const OPERATIONS = {
  health: get("/v1/health", answer.health, { ...node, summary: "Whether the daemon answers at all" }),
  ready: get("/v1/ready", answer.ready, {
    ...node,
    summary: "Whether it takes mail: its store works",
    codes: ["not-running"],
  }),
  status: get("/v1/status", answer.status, {
    ...node,
    summary: "How the daemon fares; `problems` is empty when all is well",
  }),
  identities: get("/v1/identities", answer.identityList, {
    ...node,
    summary: "The identities of this home; each has an API of its own",
  }),
  config: get("/v1/config", configSchema.meta({ id: "Config" }), {
    ...node,
    summary: "What is in force in this daemon, and who said it; see [config](config.md)",
  }),
  setName: put("/v1/name", answer.name, {
    ...node,
    summary: "What contacts see from now on",
    body: ask.nameBody,
    codes: ["bad-name"],
  }),
  webLink: post("/v1/web", answer.webLink, {
    ...node,
    ...created,
    summary: "A link that opens the [web page](web.md) in one browser, once",
    codes: ["no-web"],
  }),

  invite: post("/v1/invites", answer.link, {
    ...people,
    ...created,
    summary: "A link for somebody to become a contact",
    body: ask.inviteBody,
    codes: ["bad-work", "unreachable"],
  }),
  closeInvite: post("/v1/invites/close", answer.link, {
    ...people,
    summary: "Nobody uses this invite of ours any more",
    body: ask.linkBody,
    codes: ["bad-invite"],
  }),
  contacts: get("/v1/contacts", answer.contactList, { ...people, summary: "All contacts" }),
  addContact: post("/v1/contacts", answer.contact, {
    ...people,
    ...created,
    summary: "Become the contact of who made an invite",
    body: ask.linkBody,
    codes: ["bad-invite", "self", "known", "blocked", "full"],
  }),
  contact: get("/v1/contacts/{contact}", answer.contact, { ...people, summary: "One contact" }),
  removeContact: del("/v1/contacts/{contact}", answer.contact, {
    ...people,
    summary: "Not to know a contact any more; it is not told",
  }),
  ping: post("/v1/contacts/{contact}/ping", answer.pinged, {
    ...people,
    summary: "Have its devices answer: an event `pong` comes of each that is there",
  }),
  safety: get("/v1/contacts/{contact}/safety", answer.safetyList, {
    ...people,
    summary: "Of each of its devices the words and the line to compare",
  }),
  verify: put("/v1/contacts/{contact}/verified", answer.contact, {
    ...people,
    summary: "What was read at the contact's: that device is verified",
    body: ask.saidBody,
    codes: ["mismatch"],
  }),
  unverify: del("/v1/contacts/{contact}/verified", answer.contact, {
    ...people,
    summary: "The contact is verified no more",
  }),
  setReadMarks: put("/v1/contacts/{contact}/read-marks", answer.contact, {
    ...people,
    summary: "Whether it is told which of its mail was seen. Off unless it is said here",
    body: ask.readMarksBody,
  }),
  keep: put("/v1/contacts/{contact}/keep", answer.contact, {
    ...mail,
    summary: "Erase mail after so many days, what is older at once. [What remains](store.md)",
    body: ask.keepBody,
    codes: ["bad-days"],
  }),
  keepForever: del("/v1/contacts/{contact}/keep", answer.retentionList, {
    ...mail,
    summary: "Erase no more; also by a whole id of who is no contact any more",
  }),
  retentions: get("/v1/retentions", answer.retentionList, {
    ...mail,
    summary: "Whose mail is erased after how many days",
  }),
  lists: get("/v1/lists", answer.lists, { ...people, summary: "Names for several contacts, known to nobody but us" }),
  setList: put("/v1/lists/{name}", answer.listInfo, {
    ...people,
    summary: "The list has these contacts from now on",
    body: ask.listBody,
    codes: ["bad-name", "known", "full"],
  }),
  removeList: del("/v1/lists/{name}", answer.listInfo, { ...people, summary: "There is no such list any more" }),
  blocked: get("/v1/blocked", answer.blockedList, { ...people, summary: "Of whom we do not want to hear" }),
  block: post("/v1/blocked", answer.blockedList, {
    ...people,
    ...created,
    summary: "Never to hear of somebody again. Answers who is blocked now and was not",
    body: ask.blockBody,
    codes: ["self", "full"],
  }),
  unblock: del("/v1/blocked/{hashname}", answer.blockedList, {
    ...people,
    summary: "Who may write again, as a stranger",
  }),
  requests: get("/v1/requests", answer.requestList, { ...people, summary: "Strangers who wrote" }),
  acceptRequest: post("/v1/requests/{request}/accept", answer.request, {
    ...people,
    summary: "The stranger becomes a contact",
  }),
  ignoreRequest: post("/v1/requests/{request}/ignore", answer.request, {
    ...people,
    summary: "Forget what the stranger wrote; nobody learns of it",
  }),

  devices: get("/v1/devices", answer.deviceList, { ...devices, summary: "Our devices; none when there is no other" }),
  deviceLink: post("/v1/devices/link", answer.link, {
    ...devices,
    ...created,
    summary: "By this link another device takes this new one in",
    codes: ["not-new", "unreachable"],
  }),
  addDevice: post("/v1/devices", answer.added, {
    ...devices,
    ...created,
    summary: "Take in the device that made this link; it is told what we know when it has answered",
    body: ask.linkBody,
    codes: ["bad-invite", "self", "known", "full"],
  }),
  removeDevice: del("/v1/devices/{hashname}", answer.deviceList, {
    ...devices,
    summary: "A device is lost: contacts are told, and invites that were made before are void at caches",
  }),

  caches: get("/v1/peers", answer.peerList, {
    ...caches,
    summary: "Our caches, then those of our contacts, of each contact the best first",
  }),
  joinCache: post("/v1/caches", answer.joined, {
    ...caches,
    ...created,
    summary: "Use the cache behind a join link",
    body: ask.linkBody,
    codes: ["bad-link", "self", "refused", "unreachable", "full"],
  }),
  offers: get("/v1/offers", answer.offerList, {
    ...caches,
    summary: "Caches that contacts offer us, and that are not ours yet",
  }),
  takeOffer: post("/v1/offers/{contact}", answer.joined, {
    ...caches,
    ...created,
    summary: "Use the cache that a contact offers",
    description: "It sees from then on who writes to us, when, and how large it is, as each cache does.",
    codes: ["no-offer", "refused", "unreachable", "full"],
  }),
  offerCache: put("/v1/caches/offer", answer.offering, {
    ...caches,
    summary: "Whether our contacts may use the cache of this node; they are told",
    description:
      "Of each contact at most four devices may. Who uses it goes on when that ends, unless `end` is true, until it is our contact no more.",
    body: ask.offerBody,
    codes: ["no-cache", "not-empty"],
  }),
  testCaches: post("/v1/caches/test", answer.cacheTestList, {
    ...caches,
    summary: "What each of our caches does with a test mail; in some two minutes at most",
    codes: ["no-cache", "full"],
  }),
  mesh: get("/v1/mesh", meshSchema.meta({ id: "Mesh" }), {
    ...node,
    summary: "Whom this node looks for, and how it reaches them",
  }),
  cacheRole: get("/v1/cache", answer.cacheRole, {
    ...caches,
    summary: "Whether this node serves a cache, and who decides that",
  }),
  serveCache: put("/v1/cache", answer.cacheRole, {
    ...caches,
    summary: "Serve a cache from now on, or none",
    description:
      "Links come up again within seconds, and requests that are under way may be refused (`restarted`). What lies here is forgotten when it ends: its senders send it again.",
    body: ask.serveBody,
    codes: ["set-at-start", "not-empty"],
  }),
  cacheTotals: get("/v1/cache/totals", totalsSchema.meta({ id: "Totals" }), {
    ...caches,
    summary: "How the cache of this node fares over time: totals of all recipients together",
    codes: ["no-cache"],
  }),
  leaveCache: del("/v1/caches/{hashname}", answer.left, { ...caches, summary: "Not to use a cache any more" }),

  send: post("/v1/messages", answer.sent, {
    ...mail,
    status: 202 as const,
    once: true,
    summary: "Send a text. Answered when it is on the disk",
    body: ask.textBody,
    codes: ["too-large"],
  }),
  sendFile: put("/v1/files", answer.sent, {
    ...mail,
    status: 202 as const,
    once: true,
    form: "upload" as const,
    summary: "Send a file: the body is its bytes, 1 GiB at most",
    query: ask.fileQuery,
    codes: ["bad-file", "too-large", "no-room"],
  }),
  receive: get("/v1/messages", answer.messagePage, {
    ...mail,
    summary: "Received mail after an inbox number, oldest first",
    query: ask.pageQuery,
  }),
  file: get("/v1/messages/{n}/file", bytes, {
    ...mail,
    form: "download" as const,
    summary: "The bytes of a received file; a Range is answered with that part",
  }),
  conversations: get("/v1/conversations", answer.conversationList, {
    ...mail,
    summary: "Of each contact the newest mail, and how many a reader was not given yet",
    query: ask.conversationsQuery,
  }),
  history: get("/v1/contacts/{contact}/history", answer.historyPage, {
    ...mail,
    summary: "Mail of both sides in the order of the conversation",
    query: ask.historyQuery,
  }),
  search: get("/v1/search", answer.foundList, {
    ...mail,
    summary: "Mail with these words, the newest first. Reads all mail until it has enough",
    query: ask.searchQuery,
  }),
  seen: get("/v1/seen", answer.seen, {
    ...mail,
    summary: "Up to which number a reader was given mail",
    query: ask.seenQuery,
  }),
  setSeen: put("/v1/seen", answer.seen, {
    ...mail,
    summary:
      "A reader was given mail up to here; it only grows. At most 64 readers. Contacts with read marks are told by the furthest",
    body: ask.seenBody,
    codes: ["full"],
  }),
  outbox: get("/v1/outbox", answer.outboxList, {
    ...mail,
    summary:
      "Mail on its way or settled lately; of more than some hundred to one contact only those whose turn it is and the newest",
    description:
      "With what the node itself sends to contacts and devices: its `kind` is `card` or `sync`, and no mail of its user.",
  }),
  track: get("/v1/outbox/{id}", answer.track, { ...mail, summary: "What became of a mail, also long after" }),
  cancel: del("/v1/outbox/{id}", answer.track, { ...mail, summary: "Give a mail up", codes: ["final"] }),

  events: get("/v1/events", answer.event, {
    ...programs,
    form: "events" as const,
    summary: "What happens, as server-sent events, or over a WebSocket",
    query: ask.eventsQuery,
  }),
  webhooks: get("/v1/webhooks", answer.webhookList, {
    ...programs,
    summary: "Who is told of what happens, and how that goes",
  }),
  addWebhook: post("/v1/webhooks", answer.newWebhook, {
    ...programs,
    ...created,
    summary: "Tell this address what happens from now on",
    body: ask.webhookBody,
    codes: ["bad-url", "full"],
  }),
  removeWebhook: del("/v1/webhooks/{id}", answer.webhook, { ...programs, summary: "Tell it nothing more" }),
  seal: post("/v1/sealed", answer.sealed, {
    ...programs,
    summary: "What a [sealed file](../protocol/sealed-file.md) begins with, and the secret for its content",
    description: "The content stays with who asks.",
    body: ask.sealBody,
    codes: ["bad-keys", "bad-link"],
  }),
  openSealed: post("/v1/sealed/open", answer.opened, {
    ...programs,
    summary: "Who sealed a file that was sealed for us, and the secret of its content, by its first bytes",
    body: ask.openSealedBody,
    codes: ["bad-sealed", "not-for-us"],
  }),
  rpc: post("/v1/rpc", z.unknown(), {
    ...programs,
    form: "rpc" as const,
    summary: "JSON-RPC 2.0: every operation here that takes and gives JSON, by its operationId; /rpc is the same",
  }),
  openapi: get("/v1/openapi.json", z.record(z.string(), z.unknown()), {
    ...programs,
    form: "document" as const,
    summary: "This API as an OpenAPI 3.1 document",
  }),
} satisfies Record<string, Operation>;

export type OperationId = keyof typeof OPERATIONS;
type Table = typeof OPERATIONS;
type Members<T> = T extends z.ZodType ? z.output<T> : object;
type Queried<O> = O extends { readonly query: infer Q } ? Members<Q> : object;
type Embodied<O> = O extends { readonly body: infer B } ? Members<B> : object;
type ParamsOf<P extends string> = P extends `${string}{${infer Name}}${infer Rest}`
  ? { readonly [K in Name]: string } & ParamsOf<Rest>
  : object;

/** What is asked: the parts of the path, the query and the members of the body, together. Their names differ. */
export type InputOf<K extends OperationId> = ParamsOf<Table[K]["path"]> & Queried<Table[K]> & Embodied<Table[K]>;
export type AnswerOf<K extends OperationId> = z.input<Table[K]["answer"]>;

/** Names of the parts of a path, in their order. */
export function paramsOf(path: string): string[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
}

/** Which methods a path has; none where there is no such path. */
export function methodsOf(path: string): string[] {
  const asked = (path === "/rpc" ? OPERATIONS.rpc.path : path).split("/");
  const methods = Object.values<Operation>(OPERATIONS)
    .filter((operation) => {
      const parts = operation.path.split("/");
      const fits = (part: string, i: number): boolean => part === asked[i] || (part.startsWith("{") && asked[i] !== "");
      return parts.length === asked.length && parts.every(fits);
    })
    .flatMap(({ method }) => (method === "GET" ? [method, "HEAD"] : [method]));
  return [...new Set(methods)].sort();
}
