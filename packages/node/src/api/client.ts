/** The other end of the API: what the command line speaks to the daemon of a home. */
import { type IncomingMessage, type RequestOptions, request } from "node:http";
import { Readable } from "node:stream";
import { json, text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { RestanteError } from "restante";
import type { Problem } from "./contract.ts";

/** One event of /v1/events. */
export interface ServerEvent {
  readonly type: string;
  /** Of mail: its number in the inbox. */
  readonly id: string | undefined;
  readonly data: unknown;
}

/** Speaks to the daemon behind a socket. Every problem is a `RestanteError` with its code; "no-daemon" when none listens. */
export class Client {
  readonly #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
  }

  /** Ask, and give back the JSON of the answer. `T` is what contract.ts says of this path. */
  async call<T>(method: "GET" | "POST" | "PUT" | "DELETE", path: string, body?: object): Promise<T> {
    if (body === undefined) return (await json(await this.#open({ method, path }))) as T;
    const sent = Buffer.from(JSON.stringify(body));
    const headers = { "content-type": "application/json", "content-length": sent.length };
    return (await json(await this.#open({ method, path, headers }, Readable.from([sent])))) as T;
  }

  /** PUT a stream. */
  async upload<T>(path: string, body: Readable): Promise<T> {
    const headers = { "content-type": "application/octet-stream" };
    return (await json(await this.#open({ method: "PUT", path, headers }, body))) as T;
  }

  /** GET a stream. It fails when the daemon goes away before its end. */
  async download(path: string): Promise<Readable> {
    return this.#open({ method: "GET", path });
  }

  /**
   * Everything that happens from now on, and before that the mail after inbox number `after`. Resolves when the daemon listens.
   * Ends with the daemon, or when `signal` aborts.
   */
  async events(after?: number, signal?: AbortSignal): Promise<AsyncIterable<ServerEvent>> {
    const headers = after === undefined ? {} : { "last-event-id": String(after) };
    const answer = await this.#open({ method: "GET", path: "/v1/events", headers, ...(signal && { signal }) });
    return parseEvents(answer);
  }

  async #open(options: RequestOptions, body?: Readable): Promise<IncomingMessage> {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = request({ ...options, socketPath: this.#socket, agent: false });
      outgoing.on("response", resolve);
      outgoing.on("error", (error: NodeJS.ErrnoException) => reject(NOBODY.has(error.code ?? "") ? noDaemon() : error));
      // A daemon that answers early reads no further; what then breaks is of no interest beside its answer.
      if (body === undefined) outgoing.end();
      else pipeline(body, outgoing).catch(reject);
    });
    if ((answer.statusCode ?? 500) < 400) return answer;
    const { code, detail } = problemIn(await text(answer));
    throw new RestanteError(code, detail);
  }
}

/** Server-sent events, as far as our daemon uses them: one line each of event, data and id. */
export async function* parseEvents(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const piece of pieces) {
    const blocks = (rest + decoder.decode(piece, { stream: true })).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const fields = new Map(
        block.split("\n").map((line) => {
          const cut = line.indexOf(": ");
          return [line.slice(0, Math.max(cut, 0)), line.slice(cut + 2)] as const;
        }),
      );
      const data = fields.get("data");
      if (data !== undefined)
        yield { type: fields.get("event") ?? "message", id: fields.get("id"), data: JSON.parse(data) };
    }
  }
}

function noDaemon(): RestanteError {
  return new RestanteError("no-daemon", "no daemon runs for this home");
}

function problemIn(body: string): Pick<Problem, "code" | "detail"> {
  try {
    const { code, detail } = JSON.parse(body) as Partial<Problem>;
    if (typeof code === "string" && typeof detail === "string") return { code, detail };
  } catch {
    // Not ours: told as such below.
  }
  return { code: "internal", detail: "the daemon gave an answer that cannot be read" };
}

const NOBODY: ReadonlySet<string> = new Set(["ENOENT", "ECONNREFUSED", "ENOTSOCK"]);
