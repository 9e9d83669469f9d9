/**
 * TCP, over IPv4 and IPv6: connections both ways, each known by its remote address. Framing is the mesh's; here only
 * whole `send`s are kept or dropped, so a stream that lost some is still in step.
 */
import { type AddressInfo, createServer, isIPv6, type Server, type Socket, connect as socketTo } from "node:net";
import { pathKey, type Transport, type TransportEvents, type TransportPath } from "restante";
import { type Bound, DEFAULT_PORT, destination, type Family, type ListenOptions, listen, ownPaths } from "./address.ts";

/** Where TCP listens, and how much of it there may be. */
export interface TcpOptions extends ListenOptions {
  /** How long a connection may take to come about. Default 10 s. */
  readonly connectTimeoutMs?: number;
  /** How many there may be at once, 1 or more. Each takes a file handle, and memory of some 10 kB. Default 512. */
  readonly connections?: number;
}

/**
 * A transport over TCP, types "tcp4" and "tcp6". Sending to a path without a connection makes one. Per connection at most
 * 256 KiB wait, what comes on top is dropped; at most `connections` of them, the least recently used of the address that has
 * most goes first; one that is idle for ten minutes is closed.
 */
export function tcpTransport(options: TcpOptions = {}): Transport {
  let servers: Bound<Server>[] = [];
  let connections: Connections | undefined;
  return {
    types: options.ipv6 === false ? ["tcp4"] : ["tcp4", "tcp6"],

    async start(events) {
      const open = new Connections(events, options);
      const { port, bound } = await listen(options, {
        bind: (family, host, port) => bind(host, port, (socket) => open.accept(socket, family)),
        portOf: (server) => (server.address() as AddressInfo).port,
        close,
      });
      servers = bound;
      connections = open;
      const wanted = options.port ?? DEFAULT_PORT;
      if (wanted !== 0 && port !== wanted) events.trouble?.(`TCP port ${wanted} is taken; listening on ${port}`);
      return ownPaths("tcp", port, bound, options.host);
    },

    send(path, bytes) {
      connections?.send(path, bytes);
    },

    flush() {
      connections?.writeAll();
    },

    close(path) {
      connections?.close(path);
    },

    async stop() {
      const [last, open] = [connections, servers];
      connections = undefined;
      servers = [];
      const closed = open.map(({ socket }) => close(socket));
      await last?.stop();
      await Promise.all(closed);
    },
  };
}

interface Connection {
  readonly path: TransportPath;
  readonly key: string;
  readonly socket: Socket;
  /** When it was used last, counted in uses of all. */
  usedAt: number;
  isOpen: boolean;
  /** In the table, so that it may be used. */
  isCurrent: boolean;
  /** What this turn of the event loop sends, and how many bytes that is. */
  batch: Uint8Array | undefined;
  batchBytes: number;
  /** The socket has one of the batches, which is not for others before it says that it is done. */
  isLent: boolean;
  /** What the receiver of `writable` may still believe to have. Nobody told it yet: without end. */
  credit: number;
}

class Connections {
  readonly #events: TransportEvents;
  readonly #connectMs: number;
  readonly #limit: number;
  readonly #all = new Map<string, Connection>();
  #uses = 0;
  #sending: Connection[] = []; // those with a batch
  readonly #batches: Uint8Array[] = []; // not in use
  readonly #byPath = new WeakMap<TransportPath, Connection>(); // senders keep their path objects
  #isStopped = false;

  constructor(events: TransportEvents, { connectTimeoutMs = CONNECT_MS, connections = MAX_CONNECTIONS }: TcpOptions) {
    this.#events = events;
    this.#connectMs = connectTimeoutMs;
    this.#limit = connections;
  }

  accept(socket: Socket, family: Family): void {
    const { remoteAddress, remotePort } = socket;
    // Neither is known of a connection that was reset before it was accepted.
    if (this.#isStopped || remoteAddress === undefined || remotePort === undefined) {
      socket.destroy();
      return;
    }
    this.#opened(this.#add({ type: `tcp${family}`, ip: remoteAddress, port: remotePort }, socket));
  }

  send(path: TransportPath, bytes: Uint8Array): void {
    const connection = this.#at(path);
    if (connection === undefined) return;
    const { socket } = connection;
    if (socket.writableLength + connection.batchBytes + bytes.length > MAX_WAITING || !socket.writable) return;
    connection.usedAt = ++this.#uses;
    connection.credit -= bytes.length;
    // What is sent until the event loop's call has ended, or until `flush`, leaves in one write: the system's part of it costs as
    // much for one packet as for twenty.
    if (connection.batch === undefined) {
      connection.batch = this.#batches.pop() ?? new Uint8Array(MAX_WAITING);
      // One job for all connections, and no tick, which costs as much as to seal a packet.
      if (this.#sending.push(connection) === 1) settled.then(() => this.writeAll());
    }
    connection.batch.set(bytes, connection.batchBytes);
    connection.batchBytes += bytes.length;
  }

  /** All that waits for the end of the event loop's call. */
  writeAll(): void {
    if (this.#sending.length === 0) return;
    const sending = this.#sending;
    this.#sending = [];
    for (const connection of sending) this.#write(connection);
  }

  #write(connection: Connection): void {
    const { socket, batch, batchBytes, isLent } = connection;
    if (batch === undefined) return;
    connection.batch = undefined;
    connection.batchBytes = 0;
    if (!connection.isCurrent) return this.#giveBack(batch);
    // One at a time is given away as it is: what waits for a slow remote must not cost much more than it has bytes.
    connection.isLent = true;
    socket.write(isLent ? batch.slice(0, batchBytes) : batch.subarray(0, batchBytes), () => {
      if (!isLent) {
        connection.isLent = false;
        this.#giveBack(batch);
      }
      this.#flushed(connection);
    });
    if (isLent) this.#giveBack(batch);
  }

  /** Memory that was written before is far cheaper than new memory. Only what is sent leaves it. */
  #giveBack(batch: Uint8Array): void {
    if (this.#batches.length < BATCHES) this.#batches.push(batch);
  }

  #at(path: TransportPath): Connection | undefined {
    const known = this.#byPath.get(path);
    if (known?.isCurrent) return known;
    const connection = this.#all.get(pathKey(path)) ?? this.#connect(path);
    if (connection !== undefined) this.#byPath.set(path, connection);
    return connection;
  }

  close(path: TransportPath): void {
    const connection = this.#all.get(pathKey(path));
    if (connection !== undefined) this.#drop(connection);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(
      [...this.#all.values()].map((connection) => {
        const { socket } = connection;
        const closed = new Promise((resolve) => socket.once("close", resolve));
        // What was said last leaves as far as the system takes it now: nobody is waited for.
        this.#write(connection);
        socket.destroy();
        return closed;
      }),
    );
  }

  #connect(path: TransportPath): Connection | undefined {
    const to = destination("tcp", path);
    if (to === undefined) return undefined;
    const socket = socketTo({ host: to.ip, port: to.port, family: to.family });
    const connection = this.#add({ type: path.type, ip: to.ip, port: to.port }, socket);
    socket.setTimeout(this.#connectMs);
    socket.once("connect", () => this.#opened(connection));
    return connection;
  }

  #add(path: TransportPath, socket: Socket): Connection {
    const key = pathKey(path);
    const connection: Connection = {
      path,
      key,
      socket,
      usedAt: ++this.#uses,
      isOpen: false,
      isCurrent: true,
      batch: undefined,
      batchBytes: 0,
      isLent: false,
      credit: Number.POSITIVE_INFINITY,
    };
    const old = this.#all.get(key);
    if (old !== undefined) {
      // The remote began anew from the same port before we heard that the old connection is over.
      this.#drop(old);
      this.#tellClosed(old);
    }
    const victim = this.#all.size >= this.#limit ? this.#victim() : undefined;
    if (victim !== undefined) this.#drop(victim);
    this.#all.set(key, connection);
    socket.setNoDelay(true);
    socket.on("data", (data) => {
      if (this.#isStopped || !connection.isCurrent) return;
      connection.usedAt = ++this.#uses;
      this.#events.received(path, new Uint8Array(data.buffer, data.byteOffset, data.length));
    });
    socket.on("timeout", () => this.#drop(connection));
    socket.on("error", () => {}); // "close" follows, and that is all there is to say
    socket.on("close", () => {
      this.#drop(connection);
      this.#tellClosed(connection);
    });
    return connection;
  }

  #opened(connection: Connection): void {
    connection.socket.setTimeout(IDLE_MS);
    connection.isOpen = true;
    this.#events.path(connection.path, true);
    this.#flushed(connection);
  }

  /** Out of the table at once, so that the next `send` connects anew; told when the socket says so: never inside a call. */
  #drop(connection: Connection): void {
    if (connection.isCurrent) this.#all.delete(connection.key);
    connection.isCurrent = false;
    connection.socket.destroy();
  }

  #tellClosed(connection: Connection): void {
    if (connection.isOpen && !this.#isStopped) this.#events.path(connection.path, false);
    connection.isOpen = false;
  }

  /** Some bytes left. Credit is told in quarters: each telling is a turn of the whole peer. */
  #flushed(connection: Connection): void {
    const room = MAX_WAITING - connection.socket.writableLength - connection.batchBytes;
    const isNews = connection.credit === Number.POSITIVE_INFINITY || room - connection.credit >= MAX_WAITING / 4;
    if (!connection.isOpen || this.#isStopped || !isNews) return;
    connection.credit = room;
    this.#events.writable(connection.path, Math.max(0, room - RESERVE));
  }

  /** Of the address with most connections the one unused for longest: who opens many pushes out its own. */
  #victim(): Connection | undefined {
    const counts = new Map<string, number>();
    for (const { path } of this.#all.values()) counts.set(path.ip ?? "", (counts.get(path.ip ?? "") ?? 0) + 1);
    const most = Math.max(...counts.values());
    let victim: Connection | undefined;
    for (const connection of this.#all.values()) {
      const isOfMost = counts.get(connection.path.ip ?? "") === most;
      if (isOfMost && (victim === undefined || connection.usedAt < victim.usedAt)) victim = connection;
    }
    return victim;
  }
}

function bind(host: string, port: number, accept: (socket: Socket) => void): Promise<Server> {
  const server = createServer(accept);
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, host, ipv6Only: isIPv6(host), exclusive: true }, () => {
      server.removeListener("error", reject);
      // No file handles left for another connection, say: that one is lost, the others go on.
      server.on("error", () => {});
      resolve(server);
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

const settled = Promise.resolve();
const CONNECT_MS = 10_000;
const IDLE_MS = 10 * 60_000;
const MAX_CONNECTIONS = 512;
const MAX_WAITING = 256 * 1024; // bytes
const RESERVE: number = MAX_WAITING / 8; // for acknowledgements, which leave without credit, and for frames, which a credit does not count
const BATCHES = 8; // of connections that send in the same turn; more are let go
