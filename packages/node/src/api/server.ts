/** The API on a unix socket: who may open the file may use it, and nobody else. */
import { chmod, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { getRequestListener } from "@hono/node-server";
import type { Hono } from "hono";
import { RestanteError } from "restante";

/**
 * Listen on the socket file, for its owner alone. The caller holds the home's lock, so a file that lies there already is what a
 * crash left behind. Throws "bad-home" when the path is too
 * long. Resolves with the function that stops it: no new requests, open ones are cut off, the file is gone.
 */
export async function serveApi(app: Hono, socket: string): Promise<() => Promise<void>> {
  if (Buffer.byteLength(socket) > MAX_PATH_BYTES)
    throw new RestanteError(
      "bad-home",
      `${socket} is too long for a socket; set XDG_RUNTIME_DIR, or use a shorter home`,
    );
  await rm(socket, { force: true });
  const server: Server = createServer(getRequestListener(app.fetch, { overrideGlobalObjects: false }));
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
    server.closeAllConnections();
    await closed;
    await rm(socket, { force: true });
  };
}

const MAX_PATH_BYTES = 103; // sun_path: 108 with its end on Linux, 104 on macOS and BSD
