/** A client of one daemon: its operations by name, with the types of its own document. docs/api.md */
import { parseEvents } from "./events.ts";
import { type Event, type Message, type Operations, ROUTES, type Sent } from "./gen/operations.ts";

/** As much of `fetch` as is used. */
export type Fetch = (url: string, init: RequestInit & { duplex?: "half" }) => Promise<Response>;

/** Where a daemon is, and how to get there. */
export interface ClientOptions {
  /** Where the daemon is. Default: "http://localhost", for a `fetch` that knows the way. */
  readonly url?: string;
  /** How to get there. Default: the global one. */
  readonly fetch?: Fetch;
  /** That of the daemon's home (`restante web token`), where the way is HTTP and not its socket. */
  readonly token?: string;
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Of one request. */
export interface CallOptions {
  /** Ends it: the promise is rejected with the reason of the signal. */
  readonly signal?: AbortSignal;
  /** With send and sendFile: the same key again sends nothing more, for a day. */
  readonly idempotencyKey?: string;
}

/** From where on events are read, and until when. */
export interface EventOptions {
  /** An inbox number: the mail after it comes first. Without it, what happens from now on. */
  readonly after?: number;
  /** Ends the events, without a throw. */
  readonly signal?: AbortSignal;
}

/** A mail as everywhere, with its number; or what else happened, named by its type. */
export type ApiEvent =
  | { readonly type: "mail"; readonly n: number; readonly data: Message }
  | { [K in Other["type"]]: { readonly type: K; readonly data: Extract<Other, { type: K }> } }[Other["type"]];
type Other = Extract<Event, { type: string }>;

/** What is given and taken as JSON. Bytes and events have functions of their own. */
type Plain = Exclude<keyof Operations, "sendFile" | "file" | "events" | "rpc" | "openapi">;
type Asked<K extends Plain> =
  Record<string, never> extends Operations[K]["input"]
    ? [input?: Operations[K]["input"], options?: CallOptions]
    : [input: Operations[K]["input"], options?: CallOptions];

/** All of its promises are rejected with a `Refusal`, or with what `fetch` rejects with. */
export interface Client {
  /** An operation by its operationId. All that it asks for in one object, wherever it stands in the request. */
  call<K extends Plain>(operation: K, ...asked: Asked<K>): Promise<Operations[K]["answer"]>;
  /** Send a file. Resolves when all of it is on the daemon's disk. */
  sendFile(
    input: Operations["sendFile"]["input"],
    body: NonNullable<RequestInit["body"]>,
    options?: CallOptions,
  ): Promise<Sent>;
  /** The bytes of a received file, by its number in the inbox; `from` to `to` of them, the last one included. */
  file(n: number, part?: { from: number; to?: number }, options?: CallOptions): Promise<ReadableStream<Uint8Array>>;
  /**
   * What happens, for as long as it is read. When the daemon goes away it is asked again, after 1 to 30 seconds, for what came since: of
   * mail nothing is missed and nothing comes twice. Ends when `signal` aborts; throws a `Refusal` alone.
   */
  events(options?: EventOptions): AsyncGenerator<ApiEvent>;
}

/**
 * What the daemon refused, and why; or that none is there: code "no-daemon", status 0. `code` is stable and for programs; the message is
 * for people.
 */
export class Refusal extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, detail: string, options?: ErrorOptions) {
    super(detail, options);
    this.name = "Refusal";
    this.status = status;
    this.code = code;
  }
}

/**
 * A client of the daemon at `url`; it asks nothing before it is called. What goes wrong is in the promises of `Client`. For the unix socket
 * of a home, `fetch` is `socketFetch(path)` of `@restante/client/node`.
 */
export function createClient(options: ClientOptions = {}): Client {
  const { url = "http://localhost", fetch: given, token, headers: more = {} } = options;
  const headers = { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...more };
  const ask: Fetch = given ?? ((to, init) => fetch(to, init));
  const base = url.replace(/\/+$/, "");

  async function open(id: keyof Operations, input: object, init: RequestInit & { duplex?: "half" }): Promise<Response> {
    const { method, target, body } = requestOf(id, input);
    const hasJson = body !== undefined && init.body === undefined;
    const answer = await ask(base + target, {
      ...init,
      method,
      headers: {
        ...headers,
        ...(hasJson ? { "content-type": "application/json" } : {}),
        ...(init.headers as Record<string, string> | undefined),
      },
      ...(hasJson ? { body: JSON.stringify(body) } : {}),
    });
    if (!answer.ok) throw await refusalOf(answer);
    return answer;
  }
  const call: Client["call"] = async (id, ...[input, options]) =>
    (await (await open(id, input ?? {}, how(options))).json()) as never;

  return {
    call,
    async sendFile(input, body, options) {
      const { headers: key, ...init } = how(options);
      const sent = { "content-type": "application/octet-stream", ...key };
      return (await (await open("sendFile", input, { ...init, headers: sent, body, duplex: "half" })).json()) as Sent;
    },
    async file(n, part, options) {
      const { headers: key, ...init } = how(options);
      const range = part && { range: `bytes=${part.from}-${part.to ?? ""}` };
      const answer = await open("file", { n: String(n) }, { ...init, headers: { ...key, ...range } });
      return answer.body ?? new Blob([]).stream();
    },
    async *events({ after, signal } = {}) {
      let last = after;
      for (let pause = FIRST_PAUSE_MS; signal?.aborted !== true; pause = Math.min(2 * pause, LAST_PAUSE_MS)) {
        try {
          // Said before the stream is asked for: what comes between the two is not missed.
          last ??= (await call("status", {}, signal ? { signal } : {})).inbox;
          const { body } = await open(
            "events",
            {},
            { headers: { "last-event-id": String(last) }, ...(signal ? { signal } : {}) },
          );
          for await (const { type, id, data } of parseEvents(body ?? new Blob([]).stream())) {
            pause = FIRST_PAUSE_MS;
            if (type !== "mail") yield { type, data } as ApiEvent;
            else {
              last = Number(id);
              yield { type, n: last, data: data as Message };
            }
          }
        } catch (error) {
          if (error instanceof Refusal && error.status >= 400 && error.status < 500) throw error;
        }
        await passed(pause, signal);
      }
    },
  };
}

function how({ signal, idempotencyKey }: CallOptions = {}): RequestInit & { headers: Record<string, string> } {
  return {
    ...(signal ? { signal } : {}),
    headers: idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey },
  };
}

/** Where each member of what is asked stands. Whatever stands in a part of the path is one part. */
function requestOf(id: keyof Operations, input: object): { method: string; target: string; body: object | undefined } {
  const [method = "", route = ""] = ROUTES[id].split(" ");
  const [path = "", query = ""] = route.split("?");
  const rest = new Map(Object.entries(input).filter(([, value]) => value !== undefined));
  const take = (name: string): string => {
    const value = rest.get(name);
    rest.delete(name);
    return value === undefined ? "" : String(value);
  };
  const target = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(take(name)));
  const asked = new URLSearchParams();
  for (const name of query.split("&")) if (rest.has(name)) asked.set(name, take(name));
  return {
    method,
    target: asked.size > 0 ? `${target}?${asked}` : target,
    body: method === "GET" || method === "DELETE" ? undefined : Object.fromEntries(rest),
  };
}

async function refusalOf(answer: Response): Promise<Refusal> {
  const problem = (await answer.json().catch(() => ({}))) as { code?: unknown; detail?: unknown };
  const { code, detail } = problem;
  if (typeof code === "string" && typeof detail === "string") return new Refusal(answer.status, code, detail);
  return new Refusal(answer.status, "internal", `the daemon gave an answer that cannot be read (${answer.status})`);
}

function passed(ms: number, signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end, { once: true });
  });
}

const FIRST_PAUSE_MS = 1000;
const LAST_PAUSE_MS = 30_000;
