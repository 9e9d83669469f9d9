/**
 * Readers over a WebSocket, on a real socket: they ask for it in any way, send frames of any kind, say pings, read slowly or break
 * off. Whatever they do, what comes back is HTTP or whole frames, in them what the documents say (of events: mail in its order and
 * none twice), and a close code that docs/api.md or RFC 6455 knows; and once they are gone nobody listens for them any more.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type EventSocketOptions,
  eventSocket,
  type ObNotification,
  obSocket,
  openApiDocument,
  serveApi,
  type Upgrades,
  upgradesAt,
} from "@restante/node/api";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { PeerEvent, Received } from "restante";
import { concat, encodeJson, isObject, type Json, type JsonObject, parseJson, utf8 } from "restante/protocol";
import { asText, type Mutator } from "./mutate.ts";
import { OBJECT, type Target } from "./target.ts";

/** As a reader would have it; an input is one of these with anything else in it. */
interface Script {
  /** The target of the request, its method, and headers instead of the usual ones or beside them. `null`: not that one. */
  readonly path?: Json;
  readonly method?: Json;
  readonly headers?: Json;
  /** What is done once all of that is sent, one after the other. */
  readonly steps?: Json;
}

/** `op`, with `text` or so many bytes as `size` says; without `mask`, with `rsv`, no `fin`, or another `length` than it has. */
type Step = JsonObject;

/** What is read there. */
interface Served<T> {
  readonly name: string;
  readonly path: string;
  readonly scripts: readonly Script[];
  /** One that tells each of its readers what `on` is given. */
  upgrades(on: (listen: (told: T) => void) => () => void, signal: AbortSignal): Upgrades;
  told(at: number): T;
  /** It listens while it runs, and not for each reader. */
  readonly isOneForAll: boolean;
  /** More bytes than these at once may end a reader in the middle of a frame. */
  readonly mostBytes: number;
  /** For one reader: throws where a text is not what may come. */
  checks(script: Script): (text: string) => void;
}

function websocket<T>(served: Served<T>): Target {
  const seeds = served.scripts.map((script) => encodeJson(script as JsonObject));
  const server = new Server(served);
  const run = async (input: Uint8Array): Promise<boolean | undefined> => {
    const script = parseJson(input) ?? jsonIn(asText(input));
    return isObject(script) ? server.read(script) : false;
  };
  return {
    name: served.name,
    inputs: INPUTS,
    seeds,
    damage: damaged,
    made: OBJECT.made,
    bound: { ms: 500, msPerKilobyte: 50 },
    growth: GROWTH,
    run,
    start(mutator) {
      let given = 0;
      // The first ones as they are: these are served.
      return () => run(seeds[given++] ?? damaged(mutator, seeds));
    },
  };
}

/** Mostly one of its steps, or another order of them; else the request. */
function damaged(mutator: Mutator, inputs: readonly Uint8Array[]): Uint8Array {
  const { chance } = mutator;
  const script = parseJson(chance.pick(inputs));
  if (!isObject(script) || chance.happens(0.1)) return mutator.head(inputs);
  const steps = Array.isArray(script["steps"]) ? [...script["steps"]] : [];
  const other = parseJson(chance.pick(inputs));
  const theirs = isObject(other) && Array.isArray(other["steps"]) ? other["steps"] : [];
  switch (chance.between(0, 6)) {
    case 0:
      return encodeJson(mutator.object(script));
    case 1: {
      const headers = isObject(script["headers"]) ? script["headers"] : {};
      return encodeJson({ ...script, headers: { ...headers, [chance.pick(HEADERS)]: chance.pick(VALUES) } });
    }
    case 2:
      return encodeJson({ ...script, steps: [...steps, ...theirs].slice(0, MAX_STEPS) });
    case 3:
      steps.splice(chance.between(0, steps.length), 1);
      return encodeJson({ ...script, steps });
    default: {
      const at = chance.between(0, steps.length);
      const step = steps[at];
      if (isObject(step)) steps[at] = mutator.object(step);
      else steps.push({ op: chance.between(0, 15), size: chance.pick([0, 125, 126, 1024, 1025, 65_536]) });
      return encodeJson({ ...script, steps });
    }
  }
}

/** One API for all inputs: who is served must not be felt by the next. */
class Server<T> {
  readonly #served: Served<T>;
  readonly #listeners = new Set<(told: T) => void>();
  #bytes = 0;
  #waiting: (() => void) | undefined;
  #open: Promise<{ path: string; close(): Promise<void> }> | undefined;
  #idle: ReturnType<typeof setTimeout> | undefined;

  constructor(served: Served<T>) {
    this.#served = served;
  }

  /** Plays one. Whether it was let in. Throws when a promise was broken; a server that is closed then is made anew. */
  async read(script: Script): Promise<boolean> {
    clearTimeout(this.#idle);
    this.#open ??= this.#serve();
    const { path } = await this.#open;
    this.#bytes = 0;
    try {
      const { said, isCut, isStuck } = await this.#play(path, script);
      if (isStuck) throw new Error("a reader that has said all is not let go");
      const mayEnd = isCut || this.#bytes > this.#served.mostBytes;
      const isIn = checked(said, mayEnd, script, this.#served.checks(script));
      if (this.#listeners.size > 0 && !this.#served.isOneForAll) await this.#allGone();
      return isIn;
    } finally {
      // Or it would keep the process alive.
      this.#idle = setTimeout(() => {
        const open = this.#open;
        this.#open = undefined;
        void open?.then(({ close }) => close());
      }, IDLE_MS);
    }
  }

  /** Nobody listens any more, soon after the last connection is closed. Rejects when somebody still does. */
  #allGone(): Promise<void> {
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => reject(new Error("a listener was left behind")), STUCK_MS);
      this.#waiting = () => {
        clearTimeout(limit);
        resolve();
      };
    });
  }

  /** All that came back. `isCut`: we broke off before its end; `isStuck`: because that did not come. */
  async #play(path: string, script: Script): Promise<{ said: Buffer; isCut: boolean; isStuck: boolean }> {
    const socket = connect(path);
    const pieces: Buffer[] = [];
    let [isCut, isStuck] = [false, false];
    const closed = new Promise<void>((resolve) => socket.on("close", () => resolve()));
    const answered = new Promise<void>((resolve) => {
      socket.once("data", () => resolve());
      socket.on("close", () => resolve());
    });
    socket.on("data", (piece) => pieces.push(piece));
    socket.on("error", () => {}); // it is over then, and what came counts
    const limit = setTimeout(() => {
      isStuck = true;
      socket.destroy();
    }, STUCK_MS);
    socket.write(headOf({ path: this.#served.path, ...script }));
    // Frames that do not wait for an answer come with the request.
    const isPatient = script.method === undefined || script.method === "GET";
    if (isPatient) await Promise.race([answered, nextTurns()]);
    for (const step of stepsOf(script)) {
      if (socket.destroyed) break;
      if (step["wait"] === true) await nextTurns();
      if (typeof step["tell"] === "number") this.#tell(step["tell"]);
      if (step["pause"] === true) socket.pause();
      if (step["resume"] === true) socket.resume();
      if (step["break"] === true) {
        isCut = true;
        socket.destroy();
      }
      // Not waited for: a server that waits for a reader who has paused may leave them unread until that one goes on.
      if (typeof step["op"] === "number") socket.write(frameOf(step));
      else if (typeof step["raw"] === "string") socket.write(Buffer.from(step["raw"].slice(0, MAX_RAW), "latin1"));
      else continue;
      await nextTurns();
    }
    socket.resume();
    socket.end();
    await closed;
    clearTimeout(limit);
    return { said: Buffer.concat(pieces), isCut, isStuck };
  }

  #tell(times: number): void {
    for (let i = 0; i < Math.min(times, MAX_TOLD); i++) {
      const told = this.#served.told(i);
      this.#bytes += JSON.stringify(told).length;
      for (const listen of this.#listeners) listen(told);
    }
  }

  async #serve(): Promise<{ path: string; close(): Promise<void> }> {
    const dir = mkdtempSync(join(tmpdir(), "restante-ws-"));
    const stop = new AbortController();
    const on = (listen: (told: T) => void): (() => void) => {
      this.#listeners.add(listen);
      return () => {
        this.#listeners.delete(listen);
        if (this.#listeners.size === 0) this.#waiting?.();
      };
    };
    const path = join(dir, "s");
    const app = { fetch: () => new Response(null, { status: 404 }) };
    const upgrades = this.#served.upgrades(on, stop.signal);
    const close = await serveApi(app, path, upgradesAt({ [this.#served.path]: upgrades }));
    return {
      path,
      async close() {
        stop.abort();
        await close();
        rmSync(dir, { recursive: true });
      },
    };
  }
}

/** Whether it was let in. Throws where it is not what may come. */
function checked(said: Buffer, isCut: boolean, script: Script, check: (text: string) => void): boolean {
  if (said.length === 0) return false; // it was gone before it had an answer
  const end = said.indexOf("\r\n\r\n");
  const [, status = ""] = /^HTTP\/1\.1 (\d{3}) /.exec(said.toString("latin1", 0, 64)) ?? [];
  if (status === "") throw new Error("what comes back is no HTTP");
  if (!STATUSES.has(status)) throw new Error(`what asks for a WebSocket is answered by ${status}`);
  if (status !== "101") return false;
  if (end < 0 && !isCut) throw new Error("the answer has no end");
  let isClosed = false;
  for (const { op, body } of framesIn(said.subarray(end < 0 ? said.length : end + 4), isCut)) {
    if (isClosed) throw new Error("something comes after the close frame");
    if (op === TEXT) check(body.toString("utf8"));
    else if (op === CLOSE) {
      isClosed = true;
      const code = body.length >= 2 ? body.readUInt16BE(0) : NO_CODE;
      // One that they have said is given back.
      if (!CODES.has(code) && !closesOf(script).has(code) && !hasRaw(script)) throw new Error(`closed by code ${code}`);
    } else if (op !== PING && op !== PONG) throw new Error(`a frame of opcode ${op}`);
  }
  return true;
}

/** Frames of a server, which are never masked. */
function* framesIn(bytes: Buffer, isCut: boolean): Generator<{ op: number; body: Buffer }> {
  for (let at = 0; at < bytes.length; ) {
    const [first = 0, second = 0] = bytes.subarray(at);
    const short = second & 0x7f;
    const head = short === 127 ? 10 : short === 126 ? 4 : 2;
    if (at + head > bytes.length) return truncated(isCut);
    const length =
      short === 127 ? Number(bytes.readBigUInt64BE(at + 2)) : short === 126 ? bytes.readUInt16BE(at + 2) : short;
    if ((first & 0xf0) !== 0x80 || (second & 0x80) !== 0) throw new Error("a frame that no server sends");
    if (at + head + length > bytes.length) return truncated(isCut);
    yield { op: first & 0x0f, body: bytes.subarray(at + head, at + head + length) };
    at += head + length;
  }
}

/** The end of a connection may come in the middle of what nobody waited for. */
function truncated(isCut: boolean): void {
  if (!isCut) throw new Error("the last frame is not whole");
}

/** The codes that a script closes by. */
function closesOf(script: Script): ReadonlySet<number> {
  const frames = stepsOf(script).filter(({ op }) => (whole(op) & 0x0f) === CLOSE);
  return new Set(
    frames.map(({ code, text }) => {
      const [high = 0, low = 0] = bodyOf({ code, text });
      return (high << 8) | low;
    }),
  );
}

/** Any frame may stand in what is sent as it is. */
function hasRaw(script: Script): boolean {
  return stepsOf(script).some(({ raw }) => raw !== undefined) || script.method !== undefined;
}

function stepsOf({ steps }: Script): Step[] {
  return Array.isArray(steps) ? steps.slice(0, MAX_STEPS).filter(isObject) : [];
}

function headOf({ path = "/", method = "GET", headers }: Script): Buffer {
  const all: Record<string, Json> = { ...USUAL, ...(isObject(headers) ? headers : {}) };
  const lines = Object.entries(all).flatMap(([name, value]) => (value === null ? [] : [`${name}: ${asLine(value)}`]));
  return Buffer.from(`${asLine(method)} ${asLine(path)} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`, "latin1");
}

function asLine(value: Json): string {
  // Not as ours is spelled, which has no word for a number that is too large.
  const spelled = (): string => JSON.stringify(value, (_, each: Json) => (typeof each === "bigint" ? `${each}` : each));
  return (typeof value === "string" ? value : spelled()).slice(0, MAX_RAW);
}

function frameOf({ op, text, size, mask = true, fin = true, rsv = 0, length, code }: Step): Uint8Array {
  const body = bodyOf({ code, text, size });
  const said = typeof length === "number" && length >= 0 ? Math.floor(length) : body.length;
  const first = (fin === false ? 0 : 0x80) | ((whole(rsv) & 7) << 4) | (whole(op) & 0x0f);
  const bit = mask === false ? 0 : 0x80;
  const head =
    said < 126
      ? Uint8Array.of(first, bit | said)
      : said < 65_536
        ? Uint8Array.of(first, bit | 126, said >> 8, said & 0xff)
        : concat(Uint8Array.of(first, bit | 127), eight(said));
  const key = Uint8Array.of(7, 1, 200, 90);
  return mask === false
    ? concat(head, body)
    : concat(
        head,
        key,
        body.map((byte, i) => byte ^ (key[i % 4] ?? 0)),
      );
}

function bodyOf({ code, text, size }: { [K in "code" | "text" | "size"]?: Json | undefined }): Uint8Array {
  return concat(
    typeof code === "number" ? Uint8Array.of((code >> 8) & 0xff, code & 0xff) : new Uint8Array(0),
    typeof text === "string" ? utf8(text) : new Uint8Array(Math.min(Math.max(0, whole(size)), MAX_FRAME)).fill(0x61),
  );
}

function whole(value: Json | undefined): number {
  return typeof value === "number" && Number.isSafeInteger(value) ? value : 0;
}

function eight(n: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(Math.min(n, Number.MAX_SAFE_INTEGER)));
  return bytes;
}

/** Long enough for what is on its way in this process; nothing rests on it. */
async function nextTurns(): Promise<void> {
  for (let i = 0; i < TURNS; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** The number that is asked for, where the request is one that is answered. */
function afterOf({ path }: Script): number | undefined {
  const [, digits] = /[?&]after=(\d{1,15})(?:&|$)/.exec(typeof path === "string" ? decoded(path) : "") ?? [];
  return digits === undefined ? undefined : Number(digits);
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path.split("#")[0] ?? "");
  } catch {
    return path;
  }
}

function jsonIn(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** GET /v1/events: what the document says, mail in its order, none left out and none twice. */
function events(): Served<PeerEvent> {
  const fits = eventSchema();
  return {
    name: "websocket",
    path: "/v1/events",
    scripts: SCRIPTS,
    upgrades: (on, signal) => eventSocket({ peer: peerOf(on), signal }),
    told: (at) => ({ type: "state", id: "0".repeat(32), contact: CONTACT, state: "delivered", at }) as PeerEvent,
    isOneForAll: false,
    mostBytes: Infinity,
    checks(script) {
      let last = afterOf(script) ?? MAILS.length;
      let count = 0;
      return (text) => {
        const { type, n, data, ...more } = JSON.parse(text) as Record<string, unknown>;
        // Of thousands of one kind a few show how all of them are.
        const wrong = ++count > LOOKED_AT && type !== "mail" ? "" : fits(data);
        if (wrong !== "") throw new Error(`an event that the document does not know: ${wrong}`);
        if (Object.keys(more).length > 0 || typeof type !== "string")
          throw new Error("an event has a type, n, and data");
        if ((type === "mail") !== (n !== undefined)) throw new Error("mail has a number, and nothing else has");
        if (type === "mail" && n !== ++last) throw new Error(`mail ${String(n)} comes where ${last} was next`);
      };
    },
  };
}

function peerOf(on: (listen: (told: PeerEvent) => void) => () => void): EventSocketOptions["peer"] {
  return {
    on,
    contacts: () => [{ id: CONTACT, name: "bob" }],
    status: () => ({ inbox: MAILS.length }),
    inbox: async ({ after = 0, limit = 100 } = {}) => MAILS.filter(({ n }) => n > after).slice(0, limit),
  } as unknown as EventSocketOptions["peer"];
}

/** /ws beside /ob: what is told, as it was told, in its order, and nothing left out. */
function notifications(): Served<ObNotification> {
  return {
    name: "ob-websocket",
    path: "/ws",
    scripts: SCRIPTS.filter(({ path }) => path === undefined || path === "/v1/other"),
    upgrades: (on) => obSocket({ on }),
    told: (at) => ({ messageTyping: { messageId: "", peerId: "Qm" as never, subject: `${at}` } }),
    isOneForAll: true,
    mostBytes: BEHIND,
    checks() {
      let next = 0;
      return (text) => {
        const { messageTyping, ...more } = JSON.parse(text) as Record<string, { readonly subject?: string }>;
        const at = Number(messageTyping?.subject);
        // Each time that it is told so many, they begin anew.
        if (Object.keys(more).length > 0 || !(at === next || at === 0))
          throw new Error(`what is told is ${text.slice(0, 100)}, and not number ${next}`);
        next = at + 1;
      };
    },
  };
}

/** What is wrong with the data of an event, by the API's document; nothing: "". */
function eventSchema(): (data: unknown) => string {
  const ajv = new Ajv2020({ strict: false });
  ajv.addSchema(openApiDocument("0"), "document");
  const pointer = "/paths/~1v1~1events/get/responses/200/content/text~1event-stream/schema";
  const validate = ajv.compile({ $ref: `document#${pointer}` });
  return (data) => (validate(data) ? "" : ajv.errorsText(validate.errors));
}

const CONTACT = "ab".repeat(16);
const MAILS = Array.from(
  { length: 7 },
  (_, i): Received =>
    ({
      ...{ n: i + 1, id: `${i}`.repeat(32), contact: CONTACT, from: "a".repeat(52), kind: "text", suite: "forward" },
      ...{ time: 1_700_000_000_000 + i, received: 1_700_000_000_000 + i, text: `mail ${i}` },
    }) as Received,
);
const [TEXT, CLOSE, PING, PONG] = [1, 8, 9, 10];
const USUAL = {
  host: "localhost",
  connection: "Upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
};
/** 426: another version of the protocol. 431: too much of a head. 417: an Expect that nobody keeps. */
const STATUSES: ReadonlySet<string> = new Set([
  "101",
  "400",
  "403",
  "404",
  "405",
  "408",
  "413",
  "417",
  "426",
  "431",
  "501",
]);
const NO_CODE = 1005;
/** What we close by, and ws for us: RFC 6455 §7.4.1; docs/api.md. */
const CODES: ReadonlySet<number> = new Set([1001, 1002, NO_CODE, 1007, 1009, 4008]);
const DONE = { op: CLOSE, code: 1000 };
const SCRIPTS: readonly Script[] = [
  { steps: [DONE] },
  { path: "/v1/events?after=0", steps: [{ wait: true }, DONE] },
  { path: "/v1/events?after=3", steps: [{ tell: 3 }, { op: PING, text: "are you there?" }, { wait: true }, DONE] },
  { steps: [{ op: TEXT, text: "hello" }, { op: 2, size: 1024 }, { op: PONG, text: "x" }, DONE] },
  { steps: [{ op: TEXT, text: "he", fin: false }, { op: PING, size: 125 }, { op: 0, text: "llo" }, DONE] },
  { steps: [{ op: TEXT, size: 1025 }] },
  { steps: [{ op: TEXT, length: 9_000_000_000, size: 10 }] },
  { steps: [{ op: TEXT, text: "x", mask: false }] },
  { steps: [{ op: TEXT, text: "x", rsv: 4 }] },
  { steps: [{ op: 3, text: "x" }] },
  {
    steps: [
      { op: PING, size: 126 },
      { op: CLOSE, code: 1004 },
    ],
  },
  { steps: [{ op: CLOSE, code: 4321, text: "bye" }] },
  { steps: [{ op: CLOSE, size: 1 }] },
  { steps: [{ raw: "\u0081\u0083\u0000\u0000\u0000\u0000\u00ff\u00fe\u00fd" }] },
  { steps: [{ wait: true }, { tell: 1001 }] },
  { steps: [{ wait: true }, { pause: true }, { tell: 900 }, { wait: true }, { tell: 900 }, { resume: true }, DONE] },
  { steps: [{ tell: 50 }, { break: true }] },
  { path: "/v1/events?after=x", steps: [DONE] },
  { path: "/v1/other", steps: [DONE] },
  { headers: { origin: "https://evil.example" }, steps: [DONE] },
  { headers: { "sec-websocket-version": "12" }, steps: [DONE] },
  { headers: { "sec-websocket-key": "short" }, steps: [DONE] },
  { headers: { upgrade: null, connection: "close" } },
  { method: "POST", headers: { "content-length": "9" }, steps: [{ raw: "some text" }] },
];
const HEADERS = [
  ...Object.keys(USUAL),
  "origin",
  "sec-websocket-extensions",
  "sec-websocket-protocol",
  "last-event-id",
];
const VALUES: readonly Json[] = [
  null,
  "",
  "null",
  "websocket, h2c",
  "keep-alive, Upgrade",
  "8",
  "permessage-deflate",
  "permessage-deflate; server_max_window_bits=8",
  "a, a, a",
  "2",
  "x".repeat(20_000),
  "x\r\nsec-websocket-key: y",
  "\u0000",
];
const INPUTS = 300;
const LOOKED_AT = 20;
const MAX_STEPS = 40;
const MAX_FRAME = 100_000;
const MAX_RAW = 30_000;
const MAX_TOLD = 1100; // a hundred beyond what is kept for a reader
const TURNS = 4;
const BEHIND = 1024 * 1024; // bytes that may wait for one who hears notifications
const STUCK_MS = 60_000; // of a machine that may be busy
const IDLE_MS = 500;
const GROWTH = 8 * 1024 * 1024;

/** An input is a script: `{"path"?, "method"?, "headers"?, "steps"?}`. */
export const WEBSOCKET: readonly Target[] = [websocket(events()), websocket(notifications())];
