/** Ports for servers of tests that need one they know: before they start, or when they start anew. */
import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";

/**
 * A port that is free for UDP and TCP at all addresses, from below those that a system gives to whoever asks for any: so it still is
 * free when its server starts, and when that starts anew.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 22_000);
    if (await isFree(port)) return port;
  }
}

/** Whether a server may listen there, on UDP and TCP; at port 0: whether the machine has the address. */
export async function isFree(port: number, host?: string): Promise<boolean> {
  const server = createServer();
  const socket = createSocket(host?.includes(":") ? "udp6" : "udp4");
  try {
    server.listen(port, host);
    await once(server, "listening");
    socket.bind(port, host);
    await once(socket, "listening");
    return true;
  } catch {
    return false;
  } finally {
    await new Promise((resolve) => server.close(resolve)); // at once as well if it never listened
    await new Promise<void>((resolve) => socket.close(resolve));
  }
}
