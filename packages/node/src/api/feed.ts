/**
 * Events for one reader, as they happen. Mail is read from the inbox and not from the events, so a slow reader, or one that
 * comes back with the number of the last mail it got, misses none.
 */
import type { Context } from "hono";
import { streamSSE } from "hono/streaming";
import type { Peer, PeerEvent, Received } from "restante";
import { messageInfo } from "./message.ts";

export type FeedEvent =
  | { type: "mail"; n: number; mail: Received }
  | { type: "other"; event: Exclude<PeerEvent, { type: "mail" }> };

/**
 * Listens from the moment of the call until `signal` aborts. Mail starts after inbox number `after`; without it, with what
 * arrives from now on. Of other events a reader who falls behind by more than a thousand loses the oldest; `lost` is told of each.
 */
export function feed(
  peer: Peer,
  after: number | undefined,
  signal: AbortSignal,
  lost: () => void = () => {},
): AsyncIterable<FeedEvent> {
  const others: Exclude<PeerEvent, { type: "mail" }>[] = [];
  let hasMail = true;
  let wake = (): void => {};
  const end = peer.on((event) => {
    if (event.type === "mail") hasMail = true;
    else {
      others.push(event);
      if (others.length > MAX_QUEUED) {
        others.shift();
        lost();
      }
    }
    wake();
  });
  const stop = (): void => {
    end();
    wake();
  };
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  let shown = after ?? peer.status().inbox;

  return (async function* () {
    while (!signal.aborted) {
      if (hasMail) {
        hasMail = false;
        const page = await peer.inbox({ after: shown, limit: PAGE });
        if (page.length === PAGE) hasMail = true;
        for (const mail of page) {
          yield { type: "mail", n: mail.n, mail };
          shown = mail.n;
        }
        continue;
      }
      const event = others.shift();
      if (event !== undefined) yield { type: "other", event };
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  })();
}

export interface StreamOptions {
  readonly peer: Peer;
  /** Mail after this inbox number first. */
  readonly after: number | undefined;
  /** Aborted when the daemon stops. */
  readonly signal: AbortSignal;
}

/** A feed as server-sent events. */
export function eventStream(c: Context, { peer, after, signal }: StreamOptions): Response {
  const stop = new AbortController();
  const events = feed(peer, after, AbortSignal.any([stop.signal, signal]));
  return streamSSE(c, async (stream) => {
    stream.onAbort(() => stop.abort());
    try {
      // The first bytes carry the headers with them: the reader knows that from here on it misses nothing.
      await stream.write(": listening\n\n");
      for await (const event of events) {
        const { type, data } = shown(event, peer);
        await stream.writeSSE({ event: type, data, ...(event.type === "mail" ? { id: String(event.n) } : {}) });
      }
    } finally {
      stop.abort();
    }
  });
}

/** Its name, and the JSON that says it. */
export function shown(event: FeedEvent, peer: Peer): { type: string; data: string } {
  if (event.type === "mail") return { type: "mail", data: JSON.stringify(messageInfo(peer, event.mail)) };
  return { type: event.event.type, data: JSON.stringify(event.event) };
}

const PAGE = 100;
const MAX_QUEUED = 1000;
