/** `/ws`: notifications in OpenBazaar's words. There only where the bazaar is configured. docs/bazaar.md */
import { WebSocketServer } from "ws";
import type { Ob } from "../ob/ob.ts";
import { endWhenGone } from "./beat.ts";
import type { Upgrades } from "./later.ts";

/** Readers of notifications, by WebSocket at /ws: JSON texts. A reader that does not keep up, is gone, or comes from a web page, is cut off. */
export function obSocket(ob: Pick<Ob, "on">): Upgrades {
  const server = new WebSocketServer({ noServer: true, maxPayload: 1024 });
  const end = ob.on((notification) => {
    const text = JSON.stringify(notification);
    for (const client of server.clients) {
      if (client.bufferedAmount > BEHIND_BYTES) client.terminate();
      else client.send(text);
    }
  });
  return {
    upgrade(request, socket, head) {
      const path = new URL(request.url ?? "/", "http://localhost").pathname;
      // A page in a browser has no business here, whatever leads it to this socket.
      if (path !== "/ws" || request.headers.origin !== undefined || server.clients.size >= READERS) {
        socket.end("HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        return;
      }
      server.handleUpgrade(request, socket, head, (client) => {
        client.on("error", () => client.terminate());
        endWhenGone(client);
      });
    },
    close() {
      end();
      for (const client of server.clients) client.terminate();
      server.close();
    },
  };
}

const READERS = 32;
const BEHIND_BYTES = 1024 * 1024;
