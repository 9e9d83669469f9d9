/** UDP, over IPv4 and IPv6: one packet per datagram. */
import { createSocket, type Socket } from "node:dgram";
import type { Transport, TransportEvents, TransportPath } from "restante";
import { DEFAULT_PORT, destination, type Family, type ListenOptions, listen, ownPaths } from "./address.ts";

/**
 * A transport over UDP, types "udp4" and "udp6". Datagrams above 65,507 bytes, those that the system refuses, and those
 * beyond 1 MiB that wait for the network card are dropped.
 */
export function udpTransport(options: ListenOptions = {}): Transport {
  let outlets: Outlet[] = [];
  // By the path object: senders keep theirs, and to look at an address costs as much as to send there costs Node.
  let known = new WeakMap<TransportPath, Target>();
  const find = (path: TransportPath): Target | undefined => {
    const to = destination("udp", path);
    const outlet = outlets.find(({ family }) => family === to?.family);
    if (to === undefined || outlet === undefined) return undefined;
    const target = { outlet, ip: to.ip, port: to.port };
    known.set(path, target);
    return target;
  };
  return {
    types: options.ipv6 === false ? ["udp4"] : ["udp4", "udp6"],

    async start(events) {
      const { port, bound } = await listen(options, {
        bind: (family, host, port) => bind(family, host, port, events),
        portOf: (socket) => socket.address().port,
        close,
      });
      outlets = bound.map(({ family, socket }) => new Outlet(family, socket));
      const wanted = options.port ?? DEFAULT_PORT;
      if (wanted !== 0 && port !== wanted) events.trouble?.(`UDP port ${wanted} is taken; listening on ${port}`);
      return ownPaths("udp", port, bound, options.host);
    },

    send(path, bytes) {
      const target = known.get(path) ?? find(path);
      if (target === undefined || bytes.length > MAX_DATAGRAM) return;
      const { outlet, ip, port } = target;
      if (!outlet.takes(bytes.length)) return;
      // Without a callback nobody is told of refusals (too large for the path, no route), which is as it should be.
      outlet.socket.send(bytes, port, ip);
    },

    flush() {},

    close() {},

    async stop() {
      const open = outlets;
      outlets = [];
      known = new WeakMap();
      await Promise.all(open.map(({ socket }) => close(socket)));
    },
  };
}

/** A socket, and what more may wait in it. */
class Outlet {
  readonly family: Family;
  readonly socket: Socket;
  #room = 0; // bytes; at least so many, whatever has left since it was found out

  constructor(family: Family, socket: Socket) {
    this.family = family;
    this.socket = socket;
  }

  /** Whether a datagram of so many bytes may be given to it now. Asks the socket only when it must. */
  takes(bytes: number): boolean {
    if (bytes > this.#room) this.#room = MAX_WAITING - this.socket.getSendQueueSize();
    if (bytes > this.#room) return false;
    this.#room -= bytes;
    return true;
  }
}

/** Where a path leads. */
interface Target {
  readonly outlet: Outlet;
  readonly ip: string;
  readonly port: number;
}

function bind(family: Family, host: string, port: number, events: TransportEvents): Promise<Socket> {
  const type = `udp${family}` as const;
  const socket = createSocket({
    type,
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
      let last: TransportPath = { type }; // mostly the next datagram has the same sender
      socket.on("message", (message, { address, port }) => {
        const bytes = new Uint8Array(message.buffer, message.byteOffset, message.length);
        if (last.port !== port || last.ip !== address) last = { type, ip: address, port };
        if (port > 0) events.received(last, bytes);
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
