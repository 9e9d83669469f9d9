/** For Node: the way to a daemon on the unix socket in its home. */
import { type IncomingMessage, type RequestOptions, request } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream as NodeStream } from "node:stream/web";
import { type Fetch, Refusal } from "./client.ts";

/**
 * A `fetch` to the daemon behind this socket, whatever host the address says. Rejects with a `Refusal` of code "no-daemon" when none
 * listens there; with Node's error when a connection breaks.
 */
export function socketFetch(socket: string): Fetch {
  return async (url, { method = "GET", headers, body, signal }) => {
    const { pathname, search } = new URL(url);
    const sent = body === undefined || body === null ? undefined : await sendable(body);
    const answer = await socketRequest(
      socket,
      {
        ...{ method, path: pathname + search },
        headers: { ...Object.fromEntries(new Headers(headers)), ...sent?.headers },
        ...(signal ? { signal } : {}),
      },
      sent?.body,
    ).catch((cause: NodeJS.ErrnoException) => {
      if (!NOBODY.has(cause.code ?? "")) throw cause;
      throw new Refusal(0, "no-daemon", `no daemon listens at ${socket}`, { cause });
    });
    const status = answer.statusCode ?? 500;
    const hasBody = status !== 204 && status !== 304;
    const said = Object.entries(answer.headers).flatMap(([name, value]): [string, string][] =>
      value === undefined ? [] : [[name, String(value)]],
    );
    if (!hasBody) answer.resume();
    const stream = hasBody ? (Readable.toWeb(answer) as ReadableStream<Uint8Array>) : null;
    return new Response(stream, { status, headers: said });
  };
}

/** One request on a connection of its own. Resolves with the answer, whatever its status. */
export function socketRequest(
  socketPath: string,
  options: RequestOptions,
  body?: Readable | Uint8Array,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...options, socketPath, agent: false });
    outgoing.on("response", resolve);
    outgoing.on("error", reject);
    // In one write with the head: the daemon may have answered and closed before a second one, and that would fail before the answer is read.
    if (body === undefined || body instanceof Uint8Array) outgoing.end(body);
    // A daemon that answers early reads no further; what then breaks is of no interest beside its answer.
    else pipeline(body, outgoing).catch(reject);
  });
}

/** A body as bytes where it is small, or as a stream. What has a length says it, so that the daemon can refuse it before it comes. */
async function sendable(
  body: NonNullable<RequestInit["body"]>,
): Promise<{ body: Readable | Uint8Array; headers: Record<string, string> }> {
  if (body instanceof ReadableStream) return { body: Readable.fromWeb(body as NodeStream), headers: {} };
  const isIterable = typeof body === "object" && Symbol.asyncIterator in body;
  if (isIterable) return { body: Readable.from(body as AsyncIterable<Uint8Array>), headers: {} };
  const blob = await new Response(body).blob();
  const isSmall = blob.size <= SMALL_BYTES;
  const sent = isSmall ? new Uint8Array(await blob.arrayBuffer()) : Readable.fromWeb(blob.stream() as NodeStream);
  return { body: sent, headers: { "content-length": String(blob.size) } };
}

const SMALL_BYTES = 65_536;
/** Codes of Node: there is no such file, nobody has it open, it is no socket. */
const NOBODY: ReadonlySet<string> = new Set(["ENOENT", "ECONNREFUSED", "ENOTSOCK"]);
