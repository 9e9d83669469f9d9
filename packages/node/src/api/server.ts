/** The API on a unix socket: who may open the file may use it, and nobody else. */
import { chmod, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { RestanteError } from "restante";
import { type Answers, listenerOf, type Upgrades } from "./later.ts";

/** Each path's own; who asks for another path is refused. */
export function upgradesAt(paths: Readonly<Record<string, Upgrades | undefined>>): Upgrades {
  return {
    upgrade(request, socket, head) {
      socket.on("error", () => socket.destroy());
      // A target may be anything, "//" is no address.
      const path = (request.url ?? "/").split("?")[0] ?? "/";
      const found = Object.hasOwn(paths, path) ? paths[path] : undefined;
      if (found) found.upgrade(request, socket, head);
      else socket.end("HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    },
    close() {
      for (const each of Object.values(paths)) each?.close();
    },
  };
}

/**
 * Listen on the socket file, for its owner alone. The caller holds the home's lock, so a file that lies there already is what a
 * crash left behind. Throws "bad-home" when the path is too
 * long. Resolves with the function that stops it: no new requests, open ones are cut off, the file is gone.
 */
export async function serveApi(app: Answers, socket: string, upgrades?: Upgrades): Promise<() => Promise<void>> {
  if (Buffer.byteLength(socket) > MAX_PATH_BYTES)
    throw new RestanteError(
      "bad-home",
      `${socket} is too long for a socket; set XDG_RUNTIME_DIR, or use a shorter home`,
    );
  await rm(socket, { force: true });
  // Bodies may take long: a file comes as slowly as whoever makes it. Headers have no reason to.
  const server: Server = createServer({ headersTimeout: HEADERS_MS, requestTimeout: 0 }, listenerOf(app));
  if (upgrades) server.on("upgrade", (request, stream, head) => upgrades.upgrade(request, stream, head));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(socket, () => {
      server.off("error", reject);
      resolve();
    });
  });
  // Until here the folder alone protects it: the home and $XDG_RUNTIME_DIR are their owner's, 0700.
  await chmod(socket, 0o600);
  return async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    upgrades?.close();
    server.closeAllConnections();
    await closed;
    await rm(socket, { force: true });
  };
}

const MAX_PATH_BYTES = 103; // sun_path: 108 with its end on Linux, 104 on macOS and BSD
const HEADERS_MS = 10_000;
