import type { WebSocket } from "ws";

/** Lets a reader go who is gone without a word, or reads nothing at all: at the second ping that it has not answered the first. */
export function endWhenGone(client: WebSocket): void {
  let isHere = true;
  client.on("pong", () => {
    isHere = true;
  });
  const beat = setInterval(() => {
    if (!isHere) return client.terminate();
    isHere = false;
    client.ping();
  }, BEAT_MS);
  beat.unref();
  client.on("close", () => clearInterval(beat));
}

const BEAT_MS = 30_000;
