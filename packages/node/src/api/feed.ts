/**
 * Events for one reader, as they happen. Mail is read from the inbox and not from the events, so a slow reader, or one that
 * comes back with the number of the last mail it got, misses none.
 */
import type { Peer, PeerEvent, Received } from "restante";

export type FeedEvent =
  | { type: "mail"; n: number; mail: Received }
  | { type: "other"; event: Exclude<PeerEvent, { type: "mail" }> };

/**
 * Listens from the moment of the call until `signal` aborts. Mail starts after inbox number `after`; without it, with what
 * arrives from now on. Of other events a reader who falls behind loses the oldest.
 */
export function feed(peer: Peer, after: number | undefined, signal: AbortSignal): AsyncIterable<FeedEvent> {
  const others: Exclude<PeerEvent, { type: "mail" }>[] = [];
  let hasMail = true;
  let wake = (): void => {};
  const end = peer.on((event) => {
    if (event.type === "mail") hasMail = true;
    else {
      if (others.length >= MAX_QUEUED) others.shift();
      others.push(event);
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

const PAGE = 100;
const MAX_QUEUED = 1000;
