/**
 * The libp2p node under everything: connections, streams, and the way to the peers closest to a key. Here and in what it
 * calls peers have two names: libp2p's own (`12D3Koo...`), and the bazaar's (`Qm...`), which alone is seen outside.
 */
import "./polyfill.ts";
import { circuitRelayServer, circuitRelayTransport } from "@libp2p/circuit-relay-v2";
import { generateKeyPairFromSeed, publicKeyFromProtobuf, publicKeyToProtobuf } from "@libp2p/crypto/keys";
import { type GossipSub, gossipsub, StrictNoSign } from "@libp2p/gossipsub";
import { type Identify, identify } from "@libp2p/identify";
import type { Connection, Libp2p, PeerId as Libp2pId, Stream } from "@libp2p/interface";
import { type KadDHT, kadDHT, passthroughMapper, removePrivateAddressesMapper } from "@libp2p/kad-dht";
import { noise } from "@libp2p/noise";
import { peerIdFromPublicKey } from "@libp2p/peer-id";
import { type Ping, ping } from "@libp2p/ping";
import { tcp } from "@libp2p/tcp";
import { webSockets } from "@libp2p/websockets";
import { yamux } from "@libp2p/yamux";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { sha256 } from "@noble/hashes/sha2.js";
import { createLibp2p } from "libp2p";
import { CID } from "multiformats/cid";
import { RestanteError } from "restante";
import { concat, equal, toHex, utf8 } from "restante/protocol";
import { type Cid, fromBase58, type PeerId, peerIdOf } from "../format/ids.ts";
import type { Contact } from "../offline/effects.ts";
import { listenAddresses, Reservations } from "./relays.ts";
import { within } from "./within.ts";

export interface NodeOptions {
  /** 32 bytes: the seed of the Ed25519 key that this node is known by. */
  readonly seed: Uint8Array;
  /**
   * Multiaddrs to listen at, tcp or ws: `/ip4/0.0.0.0/tcp/4001`, `/ip4/0.0.0.0/tcp/4002/ws`; or a relay's address, its id and
   * `/p2p-circuit`: there we are found where nobody can dial us. None: others cannot dial us.
   */
  readonly listen?: readonly string[];
  /** Multiaddrs to tell others, where they differ from the above. */
  readonly announce?: readonly string[];
  /** Multiaddrs of nodes to begin with, each with `/p2p/` and its id. */
  readonly bootstrap?: readonly string[];
  /** Answer the questions of others and keep what is close to us. Off: only ask. */
  readonly serves?: boolean;
  /** Relay connections for peers that nobody can dial. */
  readonly relays?: boolean;
  /** "local": addresses of private networks and of this machine count too, and many may come from one host. */
  readonly network?: "public" | "local";
  readonly maxConnections?: number;
}

/** Who is at the other end of a stream. */
export interface Remote {
  readonly id: PeerId;
  /** Its libp2p PublicKey protobuf. */
  readonly publicKey: Uint8Array;
  /** The network that it comes from: what an address costs is a network (/24, /48), not a number in it. */
  readonly group: string;
}

export interface BazaarNode {
  readonly id: PeerId;
  /** Our libp2p PublicKey protobuf. */
  readonly publicKey: Uint8Array;
  /** Multiaddrs at which we can be dialled, each with our libp2p id. */
  addrs(): string[];
  /** Listens, and begins to dial the bootstrap nodes. Twice is as once. */
  start(): Promise<void>;
  /**
   * Until the DHT knows somebody and has looked for our own neighbourhood: a question before finds less than there is. Gives
   * false when nobody was found before `signal`.
   */
  joined(signal: AbortSignal): Promise<boolean>;
  /** Ends every connection and every timer. Twice is as once. */
  stop(): Promise<void>;
  /** A stream to a peer; dials if need be. `undefined`: not reached before `signal`, or it does not speak the protocol. */
  open(to: Contact, protocol: string, signal: AbortSignal): Promise<Stream | undefined>;
  /** Takes streams that others open. `atOnce`: how many of one connection. */
  handle(protocol: string, atOnce: number, take: (stream: Stream, from: Remote) => void): Promise<void>;
  /** The peers closest to a multihash, as far as they answer, closest first; without ourselves. */
  closest(multihash: Uint8Array, signal: AbortSignal): Promise<Contact[]>;
  /** Whether we ourselves are among those who keep pointers for others. */
  readonly serves: boolean;
  /** The public key of a peer: of those that we met, or as it put it into the DHT. Its hash is the id. */
  findKey(id: PeerId, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** Puts our public key into the DHT, for `findKey` of others. */
  publishKey(signal: AbortSignal): Promise<void>;
  /** Connects, and stays connected as long as there is room. */
  connect(to: Contact, signal: AbortSignal): Promise<boolean>;
  /** Tells the DHT that we have this block, again and again until `unprovide`. */
  provide(cid: Cid, signal: AbortSignal): Promise<void>;
  unprovide(cid: Cid): Promise<void>;
  /** Those who said that they have this block. */
  providers(cid: Cid, signal: AbortSignal): AsyncGenerator<Contact>;
  /** The peers that we are connected to. */
  connected(): Remote[];
  /** The network of a connected peer, by libp2p's name: as in `Remote`. */
  groupOf(peer: string): string;
  /** How many questions were asked of others since the start: of the DHT, and those that `askedOne` told of. */
  readonly asked: number;
  askedOne(): void;
  readonly pubsub: GossipSub;
}

/** Makes a node; it does nothing until `start`. Throws "bad-address" for one of `listen` that is none, and for other multiaddrs that are none. */
export async function createNode(options: NodeOptions): Promise<BazaarNode> {
  const privateKey = await generateKeyPairFromSeed("Ed25519", options.seed);
  const publicKey = publicKeyToProtobuf(privateKey.publicKey);
  const isLocal = options.network === "local";
  const serves = options.serves ?? false;
  const { own, relayed } = listenAddresses(options.listen ?? []);
  const bootstrap = (options.bootstrap ?? []).map((text) => multiaddr(text));
  const node: Node = await createLibp2p({
    start: false,
    privateKey,
    addresses: {
      listen: [...own],
      announce: [...(options.announce ?? [])],
    },
    transports: [tcp(), webSockets(), circuitRelayTransport()],
    streamMuxers: [yamux()],
    connectionEncrypters: [noise()],
    connectionGater: isLocal ? { denyDialMultiaddr: () => false } : {},
    connectionManager: {
      maxConnections: options.maxConnections ?? 150,
      ...(isLocal && { inboundConnectionThreshold: Number.POSITIVE_INFINITY, maxIncomingPendingConnections: 100 }),
    },
    services: {
      identify: identify({ protocolPrefix: "restante" }),
      ping: ping({ protocolPrefix: "restante" }),
      dht: kadDHT({
        protocol: KAD_PROTOCOL,
        clientMode: !serves,
        peerInfoMapper: isLocal ? passthroughMapper : removePrivateAddressesMapper,
        // A node that nobody else is with yet answers "nobody" instead of waiting for company.
        allowQueryWithZeroPeers: true,
        validators: { [KEY_NAMESPACE]: isKeyRecord },
        selectors: { [KEY_NAMESPACE]: () => 0 },
      }),
      pubsub: gossipsub({
        // A signature would write the sender's name beside every message (D18).
        globalSignaturePolicy: StrictNoSign,
        msgIdFn: ({ topic, data }) => sha256(concat(utf8(topic), data)),
        allowPublishToZeroTopicPeers: true,
        fallbackToFloodsub: false,
        emitSelf: false,
        maxInboundDataLength: PUBSUB_FRAME_BYTES,
      }),
      ...(options.relays && { relay: circuitRelayServer({ reservations: RELAY_LIMITS }) }),
    },
  });
  return new Wrapped(node, { publicKey, serves, bootstrap, own, relayed });
}

/** The most bytes of one pubsub transmission. */
const PUBSUB_FRAME_BYTES: number = 1024 * 1024;

interface Services extends Record<string, unknown> {
  readonly identify: Identify;
  readonly ping: Ping;
  readonly dht: KadDHT;
  readonly pubsub: GossipSub;
}
type Node = Libp2p<Services>;

interface Known {
  readonly publicKey: Uint8Array;
  readonly serves: boolean;
  readonly bootstrap: readonly Multiaddr[];
  readonly own: readonly string[];
  readonly relayed: readonly Multiaddr[];
}

/** What kad-dht's class has and its interface does not show. */
interface Table {
  readonly routingTable: EventTarget & { readonly size: number };
}

class Wrapped implements BazaarNode {
  readonly id: PeerId;
  readonly publicKey: Uint8Array;
  readonly serves: boolean;
  readonly #node: Node;
  readonly #bootstrap: readonly Multiaddr[];
  readonly #own: readonly string[];
  readonly #reservations: Reservations;
  /** Public keys of peers that were connected: the least recent are forgotten. */
  readonly #keys = new Map<PeerId, Uint8Array>();
  #running: Promise<void> | undefined;
  #isJoined = false;
  #asked = 0;
  #again: NodeJS.Timeout | undefined;

  constructor(node: Node, known: Known) {
    this.#node = node;
    this.publicKey = known.publicKey;
    this.id = peerIdOf(known.publicKey);
    this.serves = known.serves;
    this.#bootstrap = known.bootstrap;
    this.#own = known.own;
    this.#reservations = new Reservations(node, known.relayed);
    node.addEventListener("connection:open", ({ detail }) => this.#onOpen(detail));
  }

  get pubsub(): GossipSub {
    return this.#node.services.pubsub;
  }

  get asked(): number {
    return this.#asked;
  }

  askedOne(): void {
    this.#asked++;
  }

  addrs(): string[] {
    return this.#node.getMultiaddrs().map(String);
  }

  async start(): Promise<void> {
    this.#running ??= this.#start();
    await this.#running;
  }

  async joined(signal: AbortSignal): Promise<boolean> {
    if (this.#isJoined) return true;
    const { routingTable } = this.#node.services.dht as unknown as Table;
    if (routingTable.size === 0 && !signal.aborted) {
      await new Promise<void>((resolve) => {
        routingTable.addEventListener("peer:add", () => resolve(), { once: true, signal });
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    }
    if (routingTable.size === 0) return false;
    await this.#closest(fromBase58(this.id) ?? this.publicKey, signal);
    this.#isJoined = true;
    return true;
  }

  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    this.#isJoined = false;
    clearInterval(this.#again);
    this.#reservations.stop();
    await running?.catch(() => {});
    await this.#node.stop();
  }

  async open(to: Contact, protocol: string, signal: AbortSignal): Promise<Stream | undefined> {
    try {
      const options = { signal, runOnLimitedConnection: true };
      const relayed = await this.#relayed(to)
        ?.newStream(protocol, options)
        .catch(() => undefined);
      if (relayed) return relayed;
      const target = await this.#target(to, signal);
      if (!Array.isArray(target)) return target && (await this.#node.dialProtocol(target, protocol, options));
      return await (await this.#dialUnknown(target, to, signal))?.newStream(protocol, options);
    } catch {
      return undefined; // not there, not for us, or too late: libp2p says it in many ways
    }
  }

  async handle(protocol: string, atOnce: number, take: (stream: Stream, from: Remote) => void): Promise<void> {
    const handler = (stream: Stream, connection: Connection): void => {
      const from = remoteOf(connection);
      if (from) take(stream, from);
      else stream.abort(new Error("a peer without a key"));
    };
    await this.#node.handle(protocol, handler, { maxInboundStreams: atOnce, runOnLimitedConnection: true });
  }

  async closest(multihash: Uint8Array, signal: AbortSignal): Promise<Contact[]> {
    await this.#company(signal);
    return await this.#closest(multihash, signal);
  }

  async #closest(multihash: Uint8Array, signal: AbortSignal): Promise<Contact[]> {
    const found: Contact[] = [];
    try {
      for await (const event of this.#node.services.dht.getClosestPeers(multihash, { signal })) {
        this.#count(event);
        if (event.name !== "FINAL_PEER") continue;
        const { id, multiaddrs } = event.peer;
        const contact = contactOf(id, multiaddrs);
        if (contact && contact.id !== this.id) found.push(contact);
      }
    } catch {
      // What was found until the time was over is what there is.
    }
    return found;
  }

  async findKey(id: PeerId, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const met = this.#keys.get(id);
    if (met) return met;
    const key = keyRecordName(id);
    if (key === undefined) return undefined;
    await this.#company(signal);
    try {
      for await (const event of this.#node.services.dht.get(key, { signal })) {
        this.#count(event);
        if (event.name === "VALUE" && peerIdOf(event.value) === id) return event.value;
      }
    } catch {
      // Nobody has it, or not in time.
    }
    return undefined;
  }

  async publishKey(signal: AbortSignal): Promise<void> {
    const key = keyRecordName(this.id);
    if (key === undefined) return;
    await this.#company(signal);
    try {
      for await (const event of this.#node.services.dht.put(key, this.publicKey, { signal })) this.#count(event);
    } catch {
      // Those that took it have it; the next time comes.
    }
  }

  async connect(to: Contact, signal: AbortSignal): Promise<boolean> {
    try {
      const target = await this.#target(to, signal);
      if (Array.isArray(target)) return (await this.#dialUnknown(target, to, signal)) !== undefined;
      if (target) await this.#node.dial(target, { signal });
      return target !== undefined;
    } catch {
      return false;
    }
  }

  async provide(cid: Cid, signal: AbortSignal): Promise<void> {
    await this.#company(signal);
    try {
      for await (const event of this.#node.services.dht.provide(CID.parse(cid), { signal })) this.#count(event);
    } catch {
      // As far as it came; kad-dht tries again by itself.
    }
  }

  async unprovide(cid: Cid): Promise<void> {
    await this.#node.services.dht.cancelReprovide(CID.parse(cid)).catch(() => {});
  }

  async *providers(cid: Cid, signal: AbortSignal): AsyncGenerator<Contact> {
    await this.#company(signal);
    try {
      for await (const event of this.#node.services.dht.findProviders(CID.parse(cid), { signal })) {
        this.#count(event);
        if (event.name !== "PROVIDER") continue;
        for (const { id, multiaddrs } of event.providers) {
          const contact = contactOf(id, multiaddrs);
          if (contact && contact.id !== this.id) yield contact;
        }
      }
    } catch {
      // Those who were found until the time was over.
    }
  }

  connected(): Remote[] {
    const remotes = this.#node.getConnections().flatMap((connection) => remoteOf(connection) ?? []);
    return [...new Map(remotes.map((remote) => [remote.id, remote])).values()];
  }

  groupOf(peer: string): string {
    const connection = this.#node.getConnections().find(({ remotePeer }) => remotePeer.toString() === peer);
    return connection === undefined ? "elsewhere" : groupOf(connection.remoteAddr);
  }

  async #start(): Promise<void> {
    await this.#listen();
    if (this.serves) await this.#node.services.dht.setMode("server", { force: true });
    this.#dialFirst();
    this.#reservations.start();
    this.#again = setInterval(() => this.#dialFirst(), AGAIN_MS);
  }

  async #listen(): Promise<void> {
    try {
      await this.#node.start();
    } catch (cause) {
      if (this.#own.length === 0) throw cause;
      const where = this.#own.join(", ");
      throw new RestanteError("bad-address", `the bazaar cannot listen at ${where}: taken, or not of this machine`, {
        cause,
      });
    }
  }

  /** Dials those that we begin with, whenever we are alone. Not waited for: who begins alone begins all the same. */
  #dialFirst(): void {
    if (this.#node.getConnections().length > 0) return;
    for (const address of this.#bootstrap) this.#node.dial(address).catch(() => {});
  }

  /** A question that comes right after the start waits until there is somebody to ask. */
  async #company(signal: AbortSignal): Promise<void> {
    if (this.#isJoined || this.#bootstrap.length === 0) return;
    await this.joined(within(COMPANY_MS, signal));
  }

  #count({ name }: { readonly name: string }): void {
    if (name === "SEND_QUERY") this.#asked++;
  }

  #onOpen(connection: Connection): void {
    const remote = remoteOf(connection);
    if (remote === undefined) return;
    this.#keys.delete(remote.id);
    const [oldest] = this.#keys.size >= MOST_KEYS ? this.#keys.keys() : [];
    if (oldest !== undefined) this.#keys.delete(oldest);
    this.#keys.set(remote.id, remote.publicKey);
  }

  /** The connection over a relay where there is no other: libp2p would dial again, and who came to us by a relay can often not be dialled. */
  #relayed(to: Contact): Connection | undefined {
    const open = this.#node.getConnections().filter((each) => each.status === "open" && remoteOf(each)?.id === to.id);
    if (open.some(({ limits }) => limits === undefined)) return undefined;
    return open.find(({ limits }) => (limits?.bytes ?? ROOM_BYTES) >= ROOM_BYTES);
  }

  /** What libp2p dials: an open connection, the addresses that the contact brings, or whatever the DHT knows of its id. */
  async #target(to: Contact, signal: AbortSignal): Promise<Libp2pId | Multiaddr[] | undefined> {
    const known = to.publicKey ?? this.#keys.get(to.id);
    const publicKey = known ?? (to.addrs?.length ? undefined : await this.findKey(to.id, signal));
    if (publicKey === undefined) return addressesOf(to.addrs ?? []);
    if (peerIdOf(publicKey) !== to.id) return undefined;
    const id = peerIdFromPublicKey(publicKeyFromProtobuf(publicKey));
    if (this.#node.getConnections(id).length > 0) return id;
    const addresses = addressesOf(to.addrs ?? []);
    // Kept with the peer, so that one dial tries these and what else is known.
    if (addresses.length > 0) await this.#node.peerStore.merge(id, { multiaddrs: addresses });
    if (id.type === "Ed25519" && addresses.length === 0 && !(await this.#isKnown(id))) {
      await this.#company(signal);
      const { multiaddrs } = await this.#node.peerRouting.findPeer(id, { signal });
      await this.#node.peerStore.merge(id, { multiaddrs });
    }
    return id;
  }

  /** Of whom only an id is known, not the key: who answers at its addresses has to have the key that the id is the hash of. */
  async #dialUnknown(addresses: Multiaddr[], to: Contact, signal: AbortSignal): Promise<Connection | undefined> {
    if (addresses.length === 0) return undefined;
    const connection = await this.#node.dial(addresses, { signal });
    if (remoteOf(connection)?.id === to.id) return connection;
    await connection.close({ signal }).catch(() => {});
    return undefined;
  }

  async #isKnown(id: Libp2pId): Promise<boolean> {
    return (await this.#node.peerStore.has(id)) && (await this.#node.peerStore.get(id)).addresses.length > 0;
  }
}

function remoteOf({ remotePeer, remoteAddr }: Connection): Remote | undefined {
  const publicKey = remotePeer.publicKey && publicKeyToProtobuf(remotePeer.publicKey);
  return publicKey && { id: peerIdOf(publicKey), publicKey, group: groupOf(remoteAddr) };
}

function contactOf(id: Libp2pId, multiaddrs: readonly Multiaddr[]): Contact | undefined {
  const publicKey = id.publicKey && publicKeyToProtobuf(id.publicKey);
  return publicKey && { id: peerIdOf(publicKey), publicKey, addrs: multiaddrs.map(String) };
}

/** The network of an address: the first 24 bits of IPv4, 48 of IPv6; of a relayed connection that of the relay. */
export function groupOf({ bytes }: Multiaddr): string {
  const [code] = bytes;
  if (code === IP4) return toHex(bytes.subarray(1, 4));
  if (code !== IP6) return "elsewhere";
  // A socket for both kinds shows IPv4 within IPv6.
  const isMapped = toHex(bytes.subarray(1, 13)) === "00000000000000000000ffff";
  return isMapped ? toHex(bytes.subarray(13, 16)) : toHex(bytes.subarray(1, 7));
}

function addressesOf(texts: readonly string[]): Multiaddr[] {
  return texts.slice(0, MOST_ADDRESSES).flatMap((text) => {
    try {
      return multiaddr(text);
    } catch {
      return [];
    }
  });
}

function keyRecordName(id: PeerId): Uint8Array | undefined {
  const digest = fromBase58(id);
  return digest && concat(utf8(`/${KEY_NAMESPACE}/`), digest);
}

/** A record of the DHT that holds a public key under its own hash. Throws, as kad-dht wants it, for any other. */
function isKeyRecord(key: Uint8Array, value: Uint8Array): void {
  const name = value.length <= MOST_KEY_BYTES ? keyRecordName(peerIdOf(value)) : undefined;
  if (name === undefined || !equal(name, key)) throw new Error("no key record");
}

const KAD_PROTOCOL = "/restante/kad/1.0.0"; // ours alone: pointers of strangers are no business of other networks (X12, D41)
const KEY_NAMESPACE = "restante-key";
const IP4 = 4; // multiaddr codes
const IP6 = 41;
const AGAIN_MS = 15_000;
const COMPANY_MS = 10_000;
/** Of a relay. One connection carries a few messages of the largest kind: libp2p's own 128 KiB would end within the first picture. */
const RELAY_LIMITS = { maxReservations: 64, defaultDataLimit: 16n * 1024n * 1024n, defaultDurationLimit: 600_000 };
const ROOM_BYTES = 5n * 1024n * 1024n; // for the largest message, and what carries it
const MOST_KEYS = 5_000;
const MOST_KEY_BYTES = 700; // RSA-4096 takes 555
const MOST_ADDRESSES = 16;
