/**
 * Requests to the API of a daemon, made from its own OpenAPI document: as it says, nearly so, and wild. Whatever is asked, the answer
 * is one that the document knows, and none is a mistake of ours.
 */
import { createApi, type Json as Document, openApiDocument, openOnce, readKnown, sealingOf } from "@restante/node/api";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import {
  createCrypto,
  createPeer,
  MemoryNetwork,
  memoryStore,
  type Peer,
  portable,
  RestanteError,
  type Store,
} from "restante";
import { encodeJson, isObject, type Json, type JsonObject, parseJson, utf8 } from "restante/protocol";
import { Chance } from "restante/testing";
import { asText, type Mutator } from "./mutate.ts";
import { OBJECT, type Target } from "./target.ts";

interface Answer {
  readonly content?: Readonly<Record<string, { readonly schema: object }>>;
  readonly "x-codes"?: readonly string[];
}

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly { name: string; in: string; schema: Schema }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<Record<string, Answer>>;
}

interface Schema {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly const?: Json;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
}

type Paths = Readonly<Record<string, Readonly<Record<string, Operation>>>>;
type Fetch = (request: Request) => Response | Promise<Response>;

function http(): Target {
  const document = openApiDocument("0");
  const fits = answersOf(document);
  const requests = requestsOf(document["paths"] as Paths);
  // What is removed cannot be asked about any more.
  const seeds = ORDER.flatMap((method) => requests.filter((each) => each["method"] === method)).map(encodeJson);
  const fresh = new Fresh();
  const give = async (world: World, input: Uint8Array): Promise<boolean | undefined> => {
    const request = requestIn(input, world.names);
    return request === undefined ? false : fits(request, await world.fetch(request));
  };
  return {
    name: "http",
    inputs: INPUTS,
    seeds,
    damage: damaged,
    made: OBJECT.made,
    bound: { ms: 500, msPerKilobyte: 20 },
    async run(input) {
      const world = await fresh.take();
      const before = world.changes;
      try {
        return await give(world, input);
      } finally {
        await fresh.giveBack(world, world.changes === before);
      }
    },
    start(mutator) {
      let world: Promise<World> | undefined;
      let given = 0;
      return async () => {
        // Now and then anew: what was asked may have removed all that there is to ask about.
        if (given++ % RENEWED === 0) {
          await (await world)?.close();
          world = openWorld();
        }
        // The first ones as they are: what the document says must be taken.
        const input = given <= seeds.length ? seeds[given - 1] : damaged(mutator, seeds);
        return give((await world) ?? (await openWorld()), input ?? new Uint8Array(0));
      };
    },
  };
}

/** Mostly one of what is a value in it: in the body, the query, the path, a header. What is damaged elsewhere is soon refused. */
function damaged(mutator: Mutator, inputs: readonly Uint8Array[]): Uint8Array {
  const { chance } = mutator;
  const asked = parseJson(chance.pick(inputs));
  if (!isObject(asked) || chance.happens(0.1)) return mutator.head(inputs);
  const { path, body, headers } = asked;
  if (isObject(body) && chance.happens(0.7)) return encodeJson({ ...asked, body: mutator.object(body) });
  if (Array.isArray(body) && chance.happens(0.7))
    return encodeJson({ ...asked, body: body.map((each) => (isObject(each) ? mutator.object(each) : each)) });
  if (typeof path !== "string" || chance.happens(0.15)) {
    const name = chance.pick(HEADERS);
    const value = chance.happens(0.5) ? chance.pick(HEADER_VALUES) : mutator.text(HEADER_VALUES);
    return encodeJson({ ...asked, headers: { ...(isObject(headers) ? headers : {}), [name]: value } });
  }
  const parts = path.split(/(?<=[/?&=])/);
  const values = parts.flatMap((part, i) => (part.startsWith("$") || parts[i - 1]?.endsWith("=") ? [i] : []));
  const at = values.length > 0 && chance.happens(0.9) ? chance.pick(values) : chance.between(0, parts.length - 1);
  const [, value = "", end = ""] = /^(.*?)([/?&=]?)$/su.exec(parts[at] ?? "") ?? [];
  const other = chance.happens(0.5) ? chance.pick(WILD) : encodeURIComponent(wellFormed(mutator.text([value])));
  return encodeJson({ ...asked, path: parts.map((part, i) => (i === at ? other + end : part)).join("") });
}

/** Half of a character has no place in an address. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "\ufffd");
}

/** For each operation what it says, with values of each kind. */
function requestsOf(paths: Paths): JsonObject[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], requestBody }]): JsonObject => {
      const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => String(sample(name, { type: "string" })));
      const query = parameters
        .filter((each) => each.in === "query")
        .map(
          ({ name, schema }) => `${name}=${encodeURIComponent(String(sample(name, schema))).replaceAll("%24", "$")}`,
        );
      const body = requestBody?.content["application/json"]?.schema;
      return {
        method: method.toUpperCase(),
        path: query.length > 0 ? `${filled}?${query.join("&")}` : filled,
        ...(body === undefined ? {} : { body: body.properties ? sample("body", body) : RPC }),
        ...(requestBody && body === undefined ? { text: "the bytes of a file" } : {}),
      };
    }),
  );
}

function sample(name: string, schema: Schema): Json {
  const known = SAMPLES[name];
  if (known !== undefined) return known;
  if (schema.const !== undefined) return schema.const;
  if (schema.enum !== undefined) return schema.enum[0] ?? "";
  if (schema.properties !== undefined)
    return Object.fromEntries(Object.entries(schema.properties).map(([each, of]) => [each, sample(each, of)]));
  if (schema.type === "array") return [sample(name, schema.items ?? {})];
  if (schema.type === "boolean") return true;
  return schema.type === "integer" || schema.type === "number" ? 1 : "x";
}

/** `undefined`: no program can send this. */
function requestIn(input: Uint8Array, names: ReadonlyMap<string, string>): Request | undefined {
  const said = jsonIn(asText(input).replace(/\$[A-Z]+/g, (name) => names.get(name) ?? name));
  if (typeof said !== "object" || said === null) return undefined;
  const { method, path, headers, body, text } = said as Record<string, unknown>;
  if (typeof method !== "string" || typeof path !== "string" || !path.startsWith("/")) return undefined;
  const bytes = text === undefined ? (body === undefined ? null : JSON.stringify(body)) : String(text);
  const isBare = /^(get|head)$/i.test(method);
  try {
    return new Request(`http://localhost${path}`, {
      method,
      headers: (typeof headers === "object" && headers !== null ? headers : {}) as Record<string, string>,
      body: isBare ? null : bytes,
    });
  } catch {
    return undefined;
  }
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Throws when an answer is none that the document knows; says whether it was a good one. */
function answersOf(document: Document): (request: Request, answer: Response) => Promise<boolean | undefined> {
  const ajv = new Ajv2020({ strict: false });
  ajv.addSchema(document, "document");
  const validators = new Map<string, ValidateFunction>();
  const validator = (pointer: string): ValidateFunction => {
    const made = validators.get(pointer) ?? ajv.compile({ $ref: `document#${pointer}` });
    validators.set(pointer, made);
    return made;
  };
  const check = (pointer: string, value: unknown, about: string): void => {
    const validate = validator(pointer);
    if (!validate(value)) throw new Error(`${about}: ${ajv.errorsText(validate.errors)}`);
  };
  const paths = document["paths"] as Paths;
  return async (request, answer) => {
    const { status } = answer;
    const type = answer.headers.get("content-type") ?? "";
    const found = operationAt(paths, request);
    const about = `${request.method} ${found?.path ?? "elsewhere"} ${status}`;
    if (type.startsWith("text/event-stream")) {
      await answer.body?.cancel();
      return true;
    }
    if (status >= 400) {
      if (type !== "application/problem+json") throw new Error(`${about}: a problem is ${type}`);
      const problem = (await answer.json()) as { status: number; code: string; detail: string };
      check("/components/schemas/Problem", problem, about);
      if (problem.status !== status) throw new Error(`${about}: the problem says ${problem.status}`);
      if (status === 500) throw new Error(`${about}: ${problem.detail}`);
      const isKnown =
        found === undefined ||
        ALWAYS.has(problem.code) ||
        found.operation.responses[status]?.["x-codes"]?.includes(problem.code);
      if (!isKnown) throw new Error(`${about}: the document knows no ${problem.code} there`);
      return false;
    }
    if (found === undefined) throw new Error(`${about}: it is answered, and not in the document`);
    const { method, path } = found;
    const responses = found.operation.responses;
    if (responses[status] === undefined) throw new Error(`${about}: the document has no such answer`);
    const text = await answer.text();
    if (request.method !== "HEAD" && responses[status].content?.["application/json"] !== undefined)
      check(
        `/paths/${escaped(path)}/${method}/responses/${status}/content/application~1json/schema`,
        JSON.parse(text),
        about,
      );
    return true;
  };
}

/** The most particular path that fits. */
function operationAt(
  paths: Paths,
  { method, url }: Request,
): { path: string; method: string; operation: Operation } | undefined {
  const { pathname } = new URL(url);
  const asked = (pathname === "/rpc" ? "/v1/rpc" : pathname).split("/");
  const name = (method === "HEAD" ? "GET" : method).toLowerCase();
  const fit = Object.entries(paths).flatMap(([path, methods]) => {
    const parts = path.split("/");
    const fits = parts.length === asked.length && parts.every((part, i) => part.startsWith("{") || part === asked[i]);
    const operation = Object.hasOwn(methods, name) ? methods[name] : undefined;
    return fits && operation ? [{ path, method: name, operation }] : [];
  });
  return fit.sort((a, b) => a.path.split("{").length - b.path.split("{").length)[0];
}

function escaped(path: string): string {
  return encodeURIComponent(path.replaceAll("~", "~0").replaceAll("/", "~1"));
}

/** Worlds in which nothing was done yet: to make one takes longer than to ask it something, and most that is asked changes nothing. */
class Fresh {
  #world: World | undefined;
  #idle: ReturnType<typeof setTimeout> | undefined;

  async take(): Promise<World> {
    clearTimeout(this.#idle);
    const world = this.#world;
    this.#world = undefined;
    return world ?? (await openWorld());
  }

  async giveBack(world: World, isFresh: boolean): Promise<void> {
    if (!isFresh) return world.close();
    this.#world = world;
    // Or its timers would keep the process alive.
    this.#idle = setTimeout(() => {
      if (this.#world !== world) return;
      this.#world = undefined;
      void world.close();
    }, IDLE_MS);
  }
}

interface World {
  readonly fetch: Fetch;
  /** How often something was done that is more than a question. */
  readonly changes: number;
  readonly names: ReadonlyMap<string, string>;
  close(): Promise<void>;
}

/** A peer with a contact, a text, a file and a stranger, who are all away, with its API. */
async function openWorld(): Promise<World> {
  const stop = new AbortController();
  const troubles: string[] = [];
  const store = await home();
  const peer = await createPeer({ store, random: new Chance(7).random });
  const by = { crypto: createCrypto(portable), backend: portable };
  const seen = new Map<string, number>();
  const app = createApi({
    peer,
    backend: "portable",
    home: "/home",
    version: "0",
    sealing: sealingOf({ ...by, home: () => readKnown(store, by) }),
    once: await openOnce({ key: new Uint8Array(32) }),
    readers: {
      position: (reader) => seen.get(reader) ?? 0,
      furthest: () => Math.max(0, ...seen.values()),
      move: async (reader, n) => {
        seen.set(reader, Math.max(n, seen.get(reader) ?? 0));
      },
    },
    rename: async (name) => {
      if (name.trim() !== name) throw new RestanteError("bad-name", "no spaces at its ends");
    },
    webLink: () => "http://127.0.0.1:4242/#token",
    signal: stop.signal,
    trouble: (message) => troubles.push(message),
  });
  const names = new Map([
    ["$CONTACT", peer.contacts()[0]?.id ?? ""],
    ["$MAIL", peer.outbox()[0]?.id ?? ""],
    ["$REQUEST", peer.requests()[0]?.request ?? ""],
    ["$SELF", peer.hashname],
  ]);
  let changes = 0;
  return {
    names,
    get changes() {
      return changes;
    },
    fetch: async (request) => {
      const answer = await app.fetch(request);
      if (request.method !== "GET" && answer.ok) changes++;
      if (troubles.length > 0) throw new Error(troubles[0]);
      return answer;
    },
    async close() {
      stop.abort();
      await peer.close();
    },
  };
}

let made: Promise<readonly (readonly [key: string, value: Uint8Array])[]> | undefined;

/** A store with all of it, made once and copied. */
async function home(): Promise<Store> {
  made ??= lived();
  const store = memoryStore();
  await store.open();
  await store.commit((await made).map(([key, value]) => ({ key, value })));
  await store.close();
  return store;
}

async function lived(): Promise<readonly (readonly [string, Uint8Array])[]> {
  const network = new MemoryNetwork();
  const store = memoryStore();
  const start = (name: string, own?: Store): Promise<Peer> =>
    createPeer({ name, transports: [network.transport(name)], ...(own ? { store: own } : {}) });
  const [alice, bob, carol] = [await start("alice", store), await start("bob"), await start("carol")];
  const arrived = new Promise<void>((resolve) => {
    let left = 3;
    alice.on(({ type }) => {
      if ((type === "mail" || type === "request") && --left === 0) resolve();
    });
  });
  const link = await alice.invite();
  await bob.add(link);
  await bob.send("alice", "hello");
  await bob.send("alice", { name: "a.txt", bytes: utf8("a file") });
  await carol.add(link);
  await carol.send("alice", "may I?");
  await arrived;
  await bob.close();
  await carol.close();
  await alice.send("bob", "on its way");
  await alice.close();
  await store.open();
  const pairs = await store.load("");
  await store.close();
  return pairs;
}

/** A sealed file for somebody else: it begins as one, and does not open. */
const SEALED = Buffer.concat([utf8("restante sealed\n"), Uint8Array.of(1, 1, 0, 4, 1, 2, 3, 4)]).toString("base64");
const SAMPLES: Readonly<Record<string, Json>> = {
  contact: "$CONTACT",
  contacts: ["$CONTACT"],
  readers: ["me", "$CONTACT"],
  header: SEALED,
  id: "$MAIL",
  request: "$REQUEST",
  who: "$REQUEST",
  n: 1,
  after: 0,
  limit: 2,
  media: "text/plain",
  hashname: "$SELF",
  name: "a name",
  text: "hello",
  url: "http://127.0.0.1:9/",
  expires: 4_000_000_000_000,
};
const RPC: Json = [
  { jsonrpc: "2.0", method: "send", params: { contact: "$CONTACT", text: "x", idempotencyKey: "k" }, id: 1 },
  { jsonrpc: "2.0", method: "contact", params: { contact: "$CONTACT" } },
  { jsonrpc: "2.0", method: "meshLoad", params: [], id: null },
];
const WILD = [
  "..",
  "%2e%2e%2f",
  "%00",
  "%",
  "//",
  "?",
  "#",
  "constructor",
  "__proto__",
  "%ff",
  "1e9",
  "-1",
  "",
  "2",
  "$SELF",
  "$CONTACT",
  "$MAIL",
];
const HEADERS = ["range", "last-event-id", "idempotency-key", "content-length", "content-type", "accept"];
const HEADER_VALUES = ["bytes=0-1", "bytes=-0", "1", "-1", "99999999999999999999", "k", "x".repeat(256), "text/plain"];
/** What any operation may say, by docs/api.md. */
const ALWAYS: ReadonlySet<string> = new Set(["not-found", "bad-request", "ambiguous", "too-large", "not-running"]);
const ORDER = ["GET", "PUT", "POST", "DELETE"];
const INPUTS = 400;
const RENEWED = 300;
const IDLE_MS = 500;

/** An input is `{"method", "path", "headers"?, "body"?, "text"?}`; words with a $ stand for what is there to be named. */
export const HTTP: readonly Target[] = [http()];
