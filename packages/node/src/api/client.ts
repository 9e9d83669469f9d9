/** The other end of the API: what the command line speaks to the daemon of a home. */
import type { IncomingMessage, RequestOptions } from "node:http";
import type { Readable } from "node:stream";
import { json, text } from "node:stream/consumers";
import { parseEvents, type ServerEvent } from "@restante/client";
import { socketRequest } from "@restante/client/node";
import { RestanteError } from "restante";
import type { Problem } from "./contract.ts";

export type { ServerEvent } from "@restante/client";

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
    return (await json(await this.#open({ method, path, headers }, sent))) as T;
  }

  /** Send a text that is JSON already, and give back the text of the answer. */
  async text(method: "POST", path: string, body: string): Promise<string> {
    const sent = Buffer.from(body);
    const headers = { "content-type": "application/json", "content-length": sent.length };
    return text(await this.#open({ method, path, headers }, sent));
  }

  /** PUT a stream. `length`: how many bytes come, where that is known. */
  async upload<T>(path: string, body: Readable, length?: number): Promise<T> {
    const headers = {
      "content-type": "application/octet-stream",
      ...(length === undefined ? {} : { "content-length": length }),
    };
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

  async #open(options: RequestOptions, body?: Readable | Uint8Array): Promise<IncomingMessage> {
    const answer = await socketRequest(this.#socket, options, body).catch((error: NodeJS.ErrnoException) => {
      throw NOBODY.has(error.code ?? "") ? noDaemon() : error;
    });
    if ((answer.statusCode ?? 500) < 400) return answer;
    const { code, detail } = problemIn(await text(answer));
    throw new RestanteError(code, detail);
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
