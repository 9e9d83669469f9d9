/** GET /v1/events over a WebSocket: each event a JSON text. What a reader says is passed over: there is nothing to say. */
import type { Peer } from "restante";
import { type WebSocket, WebSocketServer } from "ws";
import { endWhenGone } from "./beat.ts";
import { feed, shown } from "./feed.ts";
import type { Upgrades } from "./later.ts";
import { problemOf } from "./problem.ts";
import { eventsQuery } from "./requests.ts";

/** Whose events, and until when. */
export interface EventSocketOptions {
  readonly peer: Peer;
  /** Aborted when the daemon stops. */
  readonly signal: AbortSignal;
}

/**
 * `{"type": "mail", "n": 7, "data": {...}}`: `n` of mail alone, to be given as `after` by who comes back. A reader that takes too
 * long is closed with code 4008; nothing is lost to it if it comes back with its number. Pages of browsers are refused: they are not
 * let in here, but by the page's own server.
 */
export function eventSocket({ peer, signal }: EventSocketOptions): Upgrades {
  const server = new WebSocketServer({ noServer: true, maxPayload: MAX_SAID });
  return {
    upgrade(request, socket, head) {
      const refuse = (status: string): void => {
        socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
      };
      if (request.headers.origin !== undefined || server.clients.size >= READERS) return refuse("403 Forbidden");
      let after: number | undefined;
      try {
        const { searchParams } = new URL(request.url ?? "/", "http://localhost");
        after = eventsQuery.parse(Object.fromEntries(searchParams)).after;
      } catch (error) {
        return refuse(`${problemOf(error).status} Bad Request`);
      }
      server.handleUpgrade(request, socket, head, (client) => {
        serve(client, { peer, after, signal }).catch(() => client.terminate());
      });
    },
    close() {
      for (const client of server.clients) client.terminate();
      server.close();
    },
  };
}

async function serve(
  client: WebSocket,
  { peer, after, signal }: EventSocketOptions & { readonly after: number | undefined },
): Promise<void> {
  const stop = new AbortController();
  client.on("error", () => client.terminate());
  client.on("close", () => stop.abort());
  endWhenGone(client);
  const tooSlow = (): void => {
    client.close(TOO_SLOW, "too slow: come back with after=N");
    stop.abort();
  };
  try {
    const events = feed(peer, after, AbortSignal.any([stop.signal, signal]), tooSlow);
    for await (const event of events) {
      const { type, data } = shown(event, peer);
      const text = `{"type":${JSON.stringify(type)}${event.type === "mail" ? `,"n":${event.n}` : ""},"data":${data}}`;
      // The next one when this one has left: what waits, waits in the feed, which knows how much it may be.
      await new Promise<void>((resolve, reject) => {
        client.send(text, (error) => (error ? reject(error) : resolve()));
      });
    }
    client.close(GOING_AWAY);
  } catch {
    client.terminate();
  } finally {
    stop.abort();
  }
}

/** Of a reader that fell behind by more events than are kept for it. */
const TOO_SLOW = 4008;
const GOING_AWAY = 1001; // RFC 6455
const MAX_SAID = 1024;
const READERS = 64;
