/**
 * One end of the socket benches, in a process of its own, so that the CPU time of each side is known apart. It has the
 * stack that a node has between socket and application (transport, framing, mesh, link, exchange, channels) and nothing
 * else; or `raw`, the bare sockets of Node, as what that stack is measured against.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { loadBackend, tcpTransport, udpTransport } from "@restante/node";
import {
  createCrypto,
  createIdentity,
  cs3a,
  encodeKeys,
  mesh,
  parseHashname,
  parseKeys,
  pooled,
} from "restante/protocol";
import { cpuTime } from "./harness.ts";
import { type Address, BURST, type FromEnd, PACKET, type ToEnd, type Wiring } from "./wiring.ts";

interface End {
  readonly address: Address;
  connect(to: Address): Promise<void>;
  /** Sends BURST packets, the last of which is answered. */
  send(): void;
}

/** What came: counts, and knows which of our bursts were answered. */
class Arrivals {
  packets = 0;
  #open = 0; // bursts of ours without an answer
  #wake = (): void => {};

  /** Before each burst: waits while too many are under way; for 100 ms at most, since a datagram can be lost. */
  async room(): Promise<void> {
    if (this.#open === BURSTS_UNDER_WAY) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => this.answered(), LOST_MS);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#open++;
  }

  answered(): void {
    this.#open = Math.max(0, this.#open - 1);
    this.#wake();
  }
}

async function stack({ transport: kind, cloaked }: Wiring, arrivals: Arrivals): Promise<End> {
  const backend = await loadBackend(() => {});
  const ownCrypto = createCrypto(backend, [cs3a(backend)]);
  const identity = createIdentity(ownCrypto, random);
  let handle = 0;
  const handles = (): number => ++handle;
  const machine = new mesh.Mesh({ crypto: ownCrypto, identity, random, handles, cloak: cloaked });
  const transport = (kind === "udp" ? udpTransport : tcpTransport)({ port: 0, host: HOST, ipv6: false });
  let ch = 0;
  let up = (): void => {};
  const give = (input: mesh.MeshIn): void => {
    for (const out of machine.handle(input, Date.now())) {
      switch (out.type) {
        case "transmit":
          transport.send(out.path, out.bytes);
          break;
        case "handshake":
          give({ type: "approve", hashname: out.hashname });
          break;
        case "up":
          up();
          break;
        case "opened":
          ch = out.ch;
          break;
        case "packets":
          for (const { body } of out.packets) {
            if (body.length === 0) arrivals.answered();
            else {
              arrivals.packets++;
              if (body[0] === LAST) give({ type: "send", ch, head: {}, body: NOTHING });
            }
          }
      }
    }
  };
  const [path] = await transport.start({
    received: (from, bytes) => give({ type: "received", path: from, bytes }),
    path: (from, open) => give({ type: "path", path: from, open }),
    writable: (from, credit) => give({ type: "writable", path: from, credit }),
  });
  const [body, last] = [random(PACKET).fill(0, 0, 1), random(PACKET).fill(LAST, 0, 1)];
  return {
    address: { port: path?.port ?? 0, hashname: identity.hashname, keys: encodeKeys(identity.keys) },
    async connect(to) {
      const [hashname, keys] = [parseHashname(to.hashname), parseKeys(to.keys)];
      if (hashname === undefined || keys === undefined) throw new Error("no address");
      const isUp = new Promise<void>((resolve) => {
        up = resolve;
      });
      const paths = [{ type: `${kind}4`, ip: HOST, port: to.port }];
      give({ type: "want", peer: { hashname, keys, paths } });
      await isUp;
      ch = handles();
      give({ type: "open", peer: hashname, ch, reliable: false, head: { type: "bench" }, body: NOTHING });
    },
    send() {
      for (let i = 1; i <= BURST; i++) give({ type: "send", ch, head: {}, body: i === BURST ? last : body });
    },
  };
}

/** The same number of bytes over bare sockets. */
async function raw({ transport }: Wiring, arrivals: Arrivals): Promise<End> {
  const [body, last] = [random(OUTER).fill(0, 0, 1), random(OUTER).fill(LAST, 0, 1)];
  const none = { hashname: "", keys: {} };
  if (transport === "udp") {
    const socket = createSocket({ type: "udp4", lookup: (ip, _, done) => done(null, ip, 4) });
    const listening = once(socket, "listening");
    socket.bind(0, HOST);
    await listening;
    let to = 0;
    socket.on("message", (message, { port }) => {
      if (message.length < OUTER) arrivals.answered();
      else {
        arrivals.packets++;
        if (message[0] === LAST) socket.send(NOTHING, port, HOST);
      }
    });
    return {
      address: { port: socket.address().port, ...none },
      async connect({ port }) {
        to = port;
      },
      send() {
        for (let i = 1; i <= BURST; i++) socket.send(i === BURST ? last : body, to, HOST, () => {});
      },
    };
  }
  let socket: Socket | undefined;
  let bytes = 0;
  const attach = (connected: Socket, sends: boolean): void => {
    socket = connected.setNoDelay(true);
    socket.on("data", (data) => {
      if (sends) {
        for (let i = 0; i < data.length; i++) arrivals.answered();
        return;
      }
      const before = arrivals.packets;
      bytes += data.length;
      arrivals.packets = Math.floor(bytes / OUTER);
      const bursts = Math.floor(arrivals.packets / BURST) - Math.floor(before / BURST);
      if (bursts > 0) connected.write(new Uint8Array(bursts));
    });
  };
  const server = createServer((accepted) => attach(accepted, false));
  server.listen(0, HOST);
  await once(server, "listening");
  return {
    address: { port: (server.address() as AddressInfo).port, ...none },
    async connect({ port }) {
      const connecting = connect(port, HOST);
      attach(connecting, true);
      await once(connecting, "connect");
    },
    send() {
      socket?.cork();
      for (let i = 1; i <= BURST; i++) socket?.write(i === BURST ? last : body);
      socket?.uncork();
    },
  };
}

const random = pooled((length) => crypto.getRandomValues(new Uint8Array(length)));
const arrivals = new Arrivals();
let end: End | undefined;

process.on("message", async (message: ToEnd) => {
  if (message.type === "start") {
    end = await (message.raw ? raw : stack)(message, arrivals);
    process.send?.(end.address satisfies FromEnd);
    return;
  }
  if (message.type === "connect") await end?.connect(message.to);
  else if (message.type === "send") {
    for (let i = 0; i < message.bursts; i++) {
      await arrivals.room();
      end?.send();
    }
  }
  process.send?.({ cpu: cpuTime(), packets: arrivals.packets } satisfies FromEnd);
});
process.send?.("ready");

const OUTER = PACKET + 67; // of the packet on the wire: LOB length, token, nonce, tag, inner LOB length and head
const LAST = 255;
const BURSTS_UNDER_WAY = 3; // so that neither side ever sleeps: to wake a process costs as much as ten packets
const LOST_MS = 100;
const HOST = "127.0.0.1";
const NOTHING = new Uint8Array(0);
