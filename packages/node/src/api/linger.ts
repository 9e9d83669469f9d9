/**
 * The end of a request that was answered before all of it came. Closed at once, what still comes would reset its connection: then who
 * sends fails at that, and never reads the answer. So what comes is passed over, and where that takes long the connection is closed in
 * stages (RFC 9112, 9.6): nothing is said after the answer, and it is gone when the request is, or after a while.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";

/** From now on this request ends so, whoever ends it. */
export function endsInStages(request: IncomingMessage, response: ServerResponse): void {
  const { socket } = request;
  response.once("finish", () => {
    if (!request.complete) passOver(request);
  });
  socket.destroySoon = () => {
    if (request.complete) Socket.prototype.destroySoon.call(socket);
    else linger(request);
  };
}

function linger(request: IncomingMessage): void {
  const { socket } = request;
  passOver(request);
  request.once("end", () => socket.destroy());
  socket.end();
  const late = setTimeout(() => socket.destroy(), LINGER_MS);
  late.unref();
  socket.once("close", () => clearTimeout(late));
}

/** Who read it until here reads no further, and would only keep it from coming. */
function passOver(request: IncomingMessage): void {
  request.removeAllListeners("data").resume();
}

/** As long as a head may take. */
export const LINGER_MS = 10_000;
