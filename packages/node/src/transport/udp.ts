/** UDP, over IPv4 and IPv6: one packet per datagram. */
import { createSocket, type Socket } from "node:dgram";
import type { Transport, TransportEvents } from "restante";
import { type Bound, DEFAULT_PORT, destination, type Family, type ListenOptions, listen, ownPaths } from "./address.ts";

/**
 * A transport over UDP, types "udp4" and "udp6". Datagrams above 65,507 bytes, those that the system refuses, and those
 * beyond 1 MiB that wait for the network card are dropped.
 */
export function udpTransport(options: ListenOptions = {}): Transport {
  let sockets: Bound<Socket>[] = [];
  return {
    types: options.ipv6 === false ? ["udp4"] : ["udp4", "udp6"],

    async start(events) {
      const { port, bound } = await listen(options, {
        bind: (family, host, port) => bind(family, host, port, events),
        portOf: (socket) => socket.address().port,
        close,
      });
      sockets = bound;
      const wanted = options.port ?? DEFAULT_PORT;
      if (wanted !== 0 && port !== wanted) events.trouble?.(`UDP port ${wanted} is taken; listening on ${port}`);
      return ownPaths("udp", port, bound, options.host);
    },

    send(path, bytes) {
      const to = destination("udp", path);
      const socket = sockets.find(({ family }) => family === to?.family)?.socket;
      if (to === undefined || socket === undefined || bytes.length > MAX_DATAGRAM) return;
      if (socket.getSendQueueSize() + bytes.length > MAX_WAITING) return;
      // The callback takes the refusals (too large for the path, no route): without it they would be "error" events.
      socket.send(bytes, to.port, to.ip, () => {});
    },

    close() {},

    async stop() {
      const open = sockets;
      sockets = [];
      await Promise.all(open.map(({ socket }) => close(socket)));
    },
  };
}

function bind(family: Family, host: string, port: number, events: TransportEvents): Promise<Socket> {
  const socket = createSocket({
    type: `udp${family}`,
    ipv6Only: family === 6,
    // Only addresses get here: the resolver would but cost a turn.
    lookup: (ip, _options, done) => done(null, ip, family),
  });
  return new Promise((resolve, reject) => {
    socket.once("error", (error) => {
      socket.close();
      reject(error);
    });
    socket.bind({ port, address: host, exclusive: true }, () => {
      socket.removeAllListeners("error");
      socket.on("error", (error) => events.trouble?.(`a UDP socket failed: ${error.message}`));
      socket.on("message", (message, { address, port }) => {
        const bytes = new Uint8Array(message.buffer, message.byteOffset, message.length);
        if (port > 0) events.received({ type: `udp${family}`, ip: address, port }, bytes);
      });
      try {
        socket.setRecvBufferSize(RECEIVE_BUFFER);
      } catch {
        // The system's default then: bursts lose more.
      }
      resolve(socket);
    });
  });
}

function close(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.close(() => resolve()));
}

const MAX_DATAGRAM = 65_507; // 65,535 less the headers of IPv4 and UDP
const MAX_WAITING = 1024 * 1024; // bytes
const RECEIVE_BUFFER = 4 * 1024 * 1024; // a whole window of many peers at once; the system may give less
