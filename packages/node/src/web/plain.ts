/**
 * Who asks without TLS where the page has it, as one does who types its address without "https", is told where it is. Nothing else is
 * answered without TLS, and what stands behind # in an address stays in the browser.
 */
import type { Server } from "node:https";
import type { Socket } from "node:net";

/** From now on. `addressOf`: the page's address for the name in a request; `undefined` where it is none of ours. */
export function answersPlain(server: Server, addressOf: (host: string) => string | undefined): void {
  const secured = server.listeners("connection") as ((socket: Socket) => void)[];
  server.removeAllListeners("connection");
  server.on("connection", (socket: Socket) => {
    const end = (): void => void socket.destroy();
    socket.on("error", end);
    socket.setTimeout(WAIT_MS, end);
    socket.once("data", (first: Buffer) => {
      if (/^[A-Z]{3,}$/.test(first.toString("latin1", 0, 3))) return void socket.end(answerTo(first, addressOf), end);
      // Handed on as if nobody had looked.
      socket.off("error", end);
      socket.setTimeout(0, end);
      socket.off("timeout", end);
      socket.pause();
      socket.unshift(first);
      for (const listen of secured) listen.call(server, socket);
    });
  });
}

function answerTo(first: Buffer, addressOf: (host: string) => string | undefined): string {
  const [, host = ""] = /\r\nhost: *([^\s]{1,260})\r\n/i.exec(first.toString("latin1", 0, MAX_HEAD)) ?? [];
  const address = addressOf(host);
  const text = `The page is served by HTTPS alone${address === undefined ? "" : `: ${address}`}\n`;
  const lines = [
    address === undefined ? "HTTP/1.1 400 Bad Request" : "HTTP/1.1 307 Temporary Redirect",
    ...(address === undefined ? [] : [`location: ${address}`]),
    "content-type: text/plain; charset=utf-8",
    `content-length: ${Buffer.byteLength(text)}`,
    "cache-control: no-store",
    "connection: close",
  ];
  return `${lines.join("\r\n")}\r\n\r\n${text}`;
}

const WAIT_MS = 10_000;
const MAX_HEAD = 8192;
