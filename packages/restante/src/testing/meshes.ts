/**
 * Meshes on a simulated network of addresses, some of which reach only some others: peers behind routers. A virtual
 * clock, seeded loss, doubling and delay. Below `World`: meshes alone, with an application that repeats what it is sent.
 */
import { fromUtf8, type Time, utf8 } from "../bytes/index.ts";
import { type Path, pathKey } from "../card/index.ts";
import { type Crypto, createCrypto, createIdentity, type Hashname, type Identity, portable } from "../crypto/index.ts";
import { encodeHandshake, keyPacket, sealMessage } from "../e3x/index.ts";
import { Mesh, type MeshIn, type MeshOptions, type MeshOut } from "../mesh/index.ts";
import { decloak, type JsonObject, parsePacket } from "../wire/index.ts";
import { Chance } from "./chance.ts";
import { cs01 } from "./cipher-set-01.ts";
import { given } from "./given.ts";

/** Something that was put on the wire. */
export interface Sent {
  readonly from: MeshPeer;
  readonly to: Path;
  readonly bytes: Uint8Array;
  readonly at: Time;
}

type Wish = Extract<MeshIn, { type: "want" }>["peer"];
type Handshake = Extract<MeshOut, { type: "handshake" }>;
type Options = Omit<MeshOptions, "crypto" | "identity" | "random" | "handles" | "saved">;

/** The network, its clock, and who is on it. */
export class MeshNet {
  now: Time = 1_700_000_000_000;
  readonly chance: Chance;
  readonly crypto: Crypto;
  readonly peers: MeshPeer[] = [];
  readonly sent: Sent[] = [];
  /** Whether packets get from one address to the other, by name. */
  reaches: (from: string, to: string) => boolean = () => true;
  loss = 0;
  duplicate = 0;
  latency: readonly [least: number, most: number] = [10, 10];
  /** Whether `sent` is kept: not in long runs. */
  keeps = true;
  readonly #wire: Chance;
  #queue: { at: Time; from: Path; to: Path; bytes: Uint8Array }[] = [];

  constructor(options: { seed?: number; crypto?: Crypto } = {}) {
    this.chance = new Chance(options.seed ?? 1);
    this.#wire = this.chance.fork();
    this.crypto = options.crypto ?? createCrypto(portable, [cs01()]);
  }

  /** A peer at the address `name`; names that begin with "tcp" are streams. */
  peer(name: string, options: Options = {}, identity?: Identity): MeshPeer {
    const peer = new MeshPeer(this, name, options, identity ?? createIdentity(this.crypto, this.chance.random));
    this.peers.push(peer);
    return peer;
  }

  /** Lets only those reach each other that have one of these names at one end. */
  onlyBy(...routers: string[]): void {
    this.reaches = (from, to) => routers.includes(from) || routers.includes(to);
  }

  send(from: MeshPeer, to: Path, bytes: Uint8Array): void {
    if (this.keeps) this.sent.push({ from, to, bytes, at: this.now });
    if (!this.reaches(from.name, placeName(to)) || this.#wire.happens(this.loss)) return;
    const copies = this.#wire.happens(this.duplicate) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      // Streams keep their order here, by having one delay.
      const delay = to.type === "tcp4" ? this.latency[0] : this.#wire.between(...this.latency);
      this.#queue.push({ at: this.now + delay, from: from.path, to, bytes: bytes.slice() });
    }
  }

  /** Everything until so many milliseconds from now. */
  run(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      const next = Math.min(
        ...this.#queue.map(({ at }) => at),
        ...this.peers.map(({ deadline }) => deadline ?? Number.POSITIVE_INFINITY),
      );
      if (next > until) break;
      this.now = Math.max(this.now, next);
      const due = this.#queue.filter(({ at }) => at <= this.now);
      this.#queue = this.#queue.filter(({ at }) => at > this.now);
      for (const { from, to, bytes } of due) this.at(to)?.do({ type: "received", path: from, bytes });
      for (const peer of this.peers)
        if ((peer.deadline ?? Number.POSITIVE_INFINITY) <= this.now) peer.do({ type: "tick" });
    }
    this.now = until;
  }

  at(path: Path): MeshPeer | undefined {
    return this.peers.find((peer) => pathKey(peer.path) === pathKey(path));
  }

  /** What one address sent another since some moment. */
  between(from: MeshPeer, to: MeshPeer, since: Time = 0): Sent[] {
    return this.sent.filter((one) => one.from === from && this.at(one.to) === to && one.at >= since);
  }
}

/** A mesh with an application: it takes what it is sent, and notes it. */
export class MeshPeer {
  name: string;
  readonly identity: Identity;
  readonly options: Options;
  readonly log: MeshOut[] = [];
  readonly got: string[] = [];
  /** What is done with handshakes of peers without a link. */
  policy: (handshake: Handshake) => "approve" | "reject" | "wait" = () => "approve";
  /** Sees every effect after it was carried out. */
  watch: (effect: MeshOut) => void = () => {};
  mesh: Mesh;
  readonly #net: MeshNet;
  #saved: Uint8Array | undefined;
  #handle = 0;
  #isOff = false;

  constructor(net: MeshNet, name: string, options: Options, identity: Identity) {
    this.#net = net;
    this.name = name;
    this.options = options;
    this.identity = identity;
    this.mesh = this.#create();
  }

  #create(): Mesh {
    const { crypto, chance } = this.#net;
    const { identity, options } = this;
    const handles = (): number => ++this.#handle;
    return new Mesh({ crypto, identity, random: chance.fork().random, handles, saved: this.#saved, ...options });
  }

  get hashname(): Hashname {
    return this.identity.hashname;
  }

  get path(): Path {
    return placeNamed(this.name);
  }

  get deadline(): Time | undefined {
    return this.#isOff ? undefined : this.mesh.deadline();
  }

  /** The process dies and starts again; what was saved is there, wishes are not. */
  restart(): void {
    this.mesh = this.#create();
    this.#isOff = false;
  }

  stop(): void {
    this.#isOff = true;
  }

  do(input: MeshIn): MeshOut[] {
    if (this.#isOff) return [];
    const { mesh } = this;
    const out = mesh.handle(input, this.#net.now);
    if (this.#net.keeps) this.log.push(...out);
    for (const effect of out) {
      if (effect.type === "save") this.#saved = effect.value;
      if (effect.type === "transmit") this.#net.send(this, effect.path, effect.bytes);
      if (effect.type === "opened" || effect.type === "packets") {
        for (const { body } of effect.type === "opened" ? [effect] : effect.packets) {
          if (this.#net.keeps) this.got.push(fromUtf8(body) ?? "");
          if (effect.type === "packets" || effect.reliable) this.do({ type: "took", ch: effect.ch });
        }
      }
      if (effect.type === "handshake" && effect.isNew) {
        const answer = this.policy(effect);
        if (answer !== "wait") this.do({ type: answer, hashname: effect.hashname });
      }
      this.watch(effect);
    }
    return out;
  }

  /** Wants a link: by the peer's own address, or by routers. */
  want(peer: MeshPeer, by: readonly MeshPeer[] = [peer], keys?: Identity["keys"]): void {
    this.do({ type: "want", peer: this.wish(peer, by, keys) });
  }

  /** What `want` asks for. */
  wish(peer: MeshPeer, by: readonly MeshPeer[], keys: Identity["keys"] = peer.identity.keys): Wish {
    const paths = by.map((way): Path => (way === peer ? peer.path : { type: "peer", hn: way.hashname }));
    return { hashname: peer.hashname, keys, paths };
  }

  /** A fresh channel handle. */
  handle(): number {
    return ++this.#handle;
  }

  say(peer: MeshPeer, text: string, reliable = true): number {
    const ch = ++this.#handle;
    const head = { type: "test" };
    this.do({ type: "open", ch, peer: peer.hashname, reliable, head, body: utf8(text), end: true });
    return ch;
  }

  isUp(peer: MeshPeer): boolean {
    return this.mesh.isUp(peer.hashname);
  }

  /** The path in use to a peer: "peer" by a router, else the name of an address. */
  way(peer: MeshPeer): string | undefined {
    const path = this.mesh.links().find(({ hashname }) => hashname === peer.hashname)?.path;
    return path && (path.type === "peer" ? "peer" : placeName(path));
  }

  logged<T extends MeshOut["type"]>(type: T): Extract<MeshOut, { type: T }>[] {
    return this.log.filter((effect): effect is Extract<MeshOut, { type: T }> => effect.type === type);
  }
}

function placeNamed(name: string): Path {
  return name.startsWith("tcp") ? { type: "tcp4", ip: "10.0.0.1", port: Number(name.slice(3)) } : { type: "mem", name };
}

function placeName(path: Path): string {
  return path.type === "tcp4" ? `tcp${path.port}` : (path.name ?? "");
}

/** Two peers and the router between them. */
export interface Scene {
  readonly net: MeshNet;
  readonly a: MeshPeer;
  readonly r: MeshPeer;
  readonly b: MeshPeer;
}

export type Names = readonly [a: string, r: string, b: string];
export const DATAGRAMS: Names = ["a", "r", "b"];
export const STREAMS: Names = ["tcp1", "tcp2", "tcp3"];

/** Two peers that reach only the router; it lets everybody reach everybody. Both are linked to it. */
export function behind(
  net: MeshNet = new MeshNet(),
  names: Names = DATAGRAMS,
  options: { paths?: boolean; cloak?: boolean } = {},
): Scene {
  const [first, middle, last] = names;
  const { cloak = true } = options;
  net.onlyBy(middle);
  const r = net.peer(middle, { routing: { allows: () => true }, cloak });
  const [a, b] = [first, last].map((name) => {
    const own: Path[] = [{ type: "mem", name }];
    return net.peer(name, { routers: [r.hashname], cloak, ...(options.paths ? { paths: own } : {}) });
  });
  const scene = { net, r, a: given(a), b: given(b) };
  for (const peer of [scene.a, scene.b]) peer.want(r);
  net.run(1_000);
  return scene;
}

/** As `behind`, and the two have a link. */
export function linked(...args: Parameters<typeof behind>): Scene {
  const scene = behind(...args);
  const { net, a, r, b } = scene;
  a.want(b, [r]);
  net.run(2_000);
  if (a.way(b) !== "peer" || b.way(a) !== "peer") throw new Error("the two did not meet by the router");
  return scene;
}

/** The outer packet of a datagram. */
export const uncloaked = (bytes: Uint8Array): Uint8Array => given(decloak(portable.chacha20, bytes)).packet;

/** Whether a datagram holds a channel packet, and no handshake. */
export const isChannelPacket = (bytes: Uint8Array): boolean => parsePacket(uncloaked(bytes))?.head.length === 0;

/** A key handshake of somebody to a peer. */
export function handshakeTo(net: MeshNet, to: Identity, from: Identity, at: bigint): Uint8Array {
  const csid = given([...from.pairs.keys()].at(-1));
  const inner = encodeHandshake(at, { type: "key", json: {}, body: keyPacket(net.crypto.backend, from, csid) });
  return given(sealMessage(net.crypto, { from, to: to.keys, inner, random: net.chance.random }));
}

/** Opens a channel by hand, with whatever in it. */
export function open(from: MeshPeer, to: MeshPeer, head: JsonObject, body: Uint8Array, reliable = false): void {
  from.do({ type: "open", ch: from.handle(), peer: to.hashname, reliable, head, body });
}

export { given };
