/** How packets leave and enter a peer. Adapters move bytes; framing, cloaking and cryptography are the mesh's. */

/** An address, as in link JSON. Which fields are set depends on `type`: udp4, udp6, tcp4, tcp6, ws, mem. */
export interface TransportPath {
  readonly type: string;
  readonly ip?: string;
  readonly port?: number;
  readonly url?: string;
  readonly name?: string;
}

/** What a transport tells the peer that it was started for. None of them throws. */
export interface TransportEvents {
  /** A datagram, or any piece of a stream in order. The bytes are the receiver's to keep. */
  received(path: TransportPath, bytes: Uint8Array): void;
  /** A connection of a stream transport came or went. Datagram transports never call it. */
  path(path: TransportPath, open: boolean): void;
  /** The path takes `credit` more bytes now. Datagram transports never call it. */
  writable(path: TransportPath, credit: number): void;
  /** Something the operator should know (an address in use, say); never identifiers of peers. */
  trouble?(message: string): void;
}

/** `transportSuite` in `restante/testing` is the test that every adapter passes. */
export interface Transport {
  /** The path types that it serves, like ["udp4", "udp6"]. */
  readonly types: readonly string[];
  /** Listen. Resolves with our own addresses. Throws `RestanteError` "address-in-use" and the like. */
  start(events: TransportEvents): Promise<readonly TransportPath[]>;
  /** Never throws and never waits: what cannot be sent is dropped. Stream transports connect on demand. */
  send(path: TransportPath, bytes: Uint8Array): void;
  /**
   * What was sent leaves now; nothing to do for a transport that never lets it wait. Not optional, because who wraps a transport
   * must pass this on: acknowledgements of deposits have to be gone before a store is asked. protocol/box.md §4
   */
  flush(): void;
  /** Drop a connection. Unknown paths are no error. */
  close(path: TransportPath): void;
  /** Resolves when all connections and listeners are gone. */
  stop(): Promise<void>;
}

/** A network inside one process, without loss: for tests, examples and the echo peer. */
export class MemoryNetwork {
  readonly #events = new Map<string, TransportEvents>();

  /** A transport whose own path is {type: "mem", name}. */
  transport(name: string): Transport {
    const own: TransportPath = { type: "mem", name };
    return {
      types: ["mem"],
      start: async (events) => {
        this.#events.set(name, events);
        return [own];
      },
      send: (path, bytes) => {
        const copy = bytes.slice();
        // A task of its own, as a socket would: the receiver never runs inside the sender's turn.
        setTimeout(() => this.#events.get(path.name ?? "")?.received(own, copy), 0);
      },
      flush() {},
      close() {},
      stop: async () => {
        this.#events.delete(name);
      },
    };
  }
}
