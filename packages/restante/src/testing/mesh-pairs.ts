/**
 * Meshes side by side on a network of addresses, where the test says what each packet suffers, and sees what every mesh does.
 * `meshes.ts` has networks where not all reach all, and chance decides.
 */
import { assert, fromUtf8, type Time, utf8 } from "../bytes/index.ts";
import { type Path, pathKey } from "../card/index.ts";
import { type Crypto, createCrypto, createIdentity, type Hashname, type Identity, portable } from "../crypto/index.ts";
import { encodeHandshake, keyPacket, sealMessage } from "../e3x/index.ts";
import { Mesh, type MeshIn, type MeshOut } from "../mesh/index.ts";
import { Dechunker, decloak, parsePacket } from "../wire/index.ts";
import { Chance } from "./chance.ts";
import { cs01 } from "./cipher-set-01.ts";
import { given } from "./given.ts";

/** When each net begins. */
export const START: Time = 1_700_000_000_000;

type Policy = (handshake: Extract<MeshOut, { type: "handshake" }>) => "approve" | "reject" | "wait";

/** A peer on a network of addresses. */
export class Peer {
  readonly identity: Identity;
  readonly log: MeshOut[] = [];
  readonly got: string[] = [];
  paths: Path[];
  policy: Policy = () => "approve";
  saved: Uint8Array | undefined;
  mesh: Mesh;
  readonly #net: Net;
  #handle = 0;
  readonly #cloak: boolean;

  constructor(net: Net, path: Path, options: { cloak?: boolean; identity?: Identity } = {}) {
    this.#net = net;
    this.paths = [path];
    this.#cloak = options.cloak ?? true;
    this.identity = options.identity ?? createIdentity(net.crypto, net.chance.random);
    this.mesh = this.#create();
  }

  #create(): Mesh {
    const { crypto, chance } = this.#net;
    return new Mesh({
      crypto,
      identity: this.identity,
      random: chance.fork().random,
      handles: () => ++this.#handle + 1_000,
      saved: this.saved,
      cloak: this.#cloak,
    });
  }

  restart(): void {
    this.mesh = this.#create();
  }

  get hashname(): Hashname {
    return this.identity.hashname;
  }

  do(input: MeshIn): MeshOut[] {
    const out = this.mesh.handle(input, this.#net.now);
    this.log.push(...out);
    for (const effect of out) {
      if (effect.type === "save") this.saved = effect.value;
      if (effect.type === "transmit") this.#net.send(this, effect.path, effect.bytes);
      if (effect.type === "opened" || effect.type === "packets") {
        for (const { body } of effect.type === "opened" ? [effect] : effect.packets) {
          this.got.push(given(fromUtf8(body)));
          if (effect.type === "packets" || effect.reliable) this.do({ type: "took", ch: effect.ch });
        }
      }
      if (effect.type === "handshake" && effect.isNew) {
        const answer = this.policy(effect);
        if (answer !== "wait") this.do({ type: answer, hashname: effect.hashname });
      }
    }
    return out;
  }

  want(peer: Peer, uri?: string): MeshOut[] {
    const { hashname, identity, paths } = peer;
    return this.do({ type: "want", peer: { hashname, keys: identity.keys, paths }, ...(uri ? { uri } : {}) });
  }

  say(peer: Peer, text: string, reliable = true): number {
    const ch = ++this.#handle;
    this.do({ type: "open", ch, peer: peer.hashname, reliable, head: { type: "test" }, body: utf8(text) });
    return ch;
  }

  logged<T extends MeshOut["type"]>(type: T): Extract<MeshOut, { type: T }>[] {
    return this.log.filter((effect): effect is Extract<MeshOut, { type: T }> => effect.type === type);
  }
}

/** Something that was put on the wire. */
export interface Sent {
  readonly from: Peer;
  readonly to: Path;
  readonly bytes: Uint8Array;
  readonly at: Time;
}

/** The network, its clock, and who is on it. */
export class Net {
  now: Time = START;
  readonly chance: Chance;
  readonly crypto: Crypto;
  readonly peers: Peer[] = [];
  readonly sent: Sent[] = [];
  delays: (sent: Sent) => readonly number[] = () => [10];
  #queue: { at: Time; to: Path; from: Path; bytes: Uint8Array }[] = [];

  constructor(options: { seed?: number; crypto?: Crypto } = {}) {
    this.chance = new Chance(options.seed ?? 1);
    this.crypto = options.crypto ?? createCrypto(portable, [cs01()]);
  }

  peer(path: Path, options: { cloak?: boolean; identity?: Identity } = {}): Peer {
    const peer = new Peer(this, path, options);
    this.peers.push(peer);
    return peer;
  }

  send(from: Peer, to: Path, bytes: Uint8Array): void {
    const sent = { from, to, bytes, at: this.now };
    this.sent.push(sent);
    const source = from.paths.find(({ type }) => type === to.type) ?? from.paths[0];
    const delays = this.delays(sent);
    for (const delay of delays) this.#queue.push({ at: this.now + delay, to, from: given(source), bytes });
  }

  /** Something from nobody we simulate. */
  inject(from: Path, to: Peer, bytes: Uint8Array): MeshOut[] {
    return to.do({ type: "received", path: from, bytes });
  }

  run(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      const deadlines = this.peers.map(({ mesh }) => mesh.deadline() ?? Number.POSITIVE_INFINITY);
      const next = Math.min(...this.#queue.map(({ at }) => at), ...deadlines);
      if (next > until) break;
      this.now = Math.max(this.now, next);
      const due = this.#queue.filter(({ at }) => at <= this.now);
      this.#queue = this.#queue.filter(({ at }) => at > this.now);
      for (const { to, from, bytes } of due) this.#deliver(from, to, bytes);
      for (const peer of this.peers)
        if ((peer.mesh.deadline() ?? Number.POSITIVE_INFINITY) <= this.now) peer.do({ type: "tick" });
    }
    this.now = until;
  }

  #deliver(from: Path, to: Path, bytes: Uint8Array): void {
    const peer = this.peers.find(({ paths }) => paths.some((path) => pathKey(path) === pathKey(to)));
    if (peer === undefined) return;
    if (!to.type.startsWith("tcp")) return void peer.do({ type: "received", path: from, bytes });
    const cut = this.chance.between(0, bytes.length);
    for (const piece of [bytes.slice(0, cut), bytes.slice(cut)])
      peer.do({ type: "received", path: from, bytes: piece });
  }

  /** What a peer sent since some moment. */
  from(peer: Peer, since: Time = Number.NEGATIVE_INFINITY): Sent[] {
    return this.sent.filter(({ from, at }) => from === peer && at >= since);
  }
}

/** A place for datagrams. */
export const mem = (name: string): Path => ({ type: "mem", name });
/** A place for streams. */
export const tcp = (port: number): Path => ({ type: "tcp4", ip: "10.0.0.1", port });

/** Two peers with a link that the first one wants. */
export function linked(
  place: (n: number) => Path = (n) => mem(`p${n}`),
  net: Net = new Net(),
  options: { cloak?: boolean } = {},
): [Net, Peer, Peer] {
  const [a, b] = [net.peer(place(1), options), net.peer(place(2), options)];
  a.want(b);
  net.run(1_000);
  assert(a.mesh.isUp(b.hashname) && b.mesh.isUp(a.hashname), "the link is up after a second");
  return [net, a, b];
}

/** The outer packets in what was sent, out of their frames and cloaks. */
export function packets(sent: readonly Sent[]): Uint8Array[] {
  const streams = new Map<string, Dechunker>();
  return sent.flatMap(({ to, bytes }) => {
    const stream = streams.get(pathKey(to)) ?? new Dechunker(5_000);
    streams.set(pathKey(to), stream);
    const framed = to.type === "tcp4" ? stream.push(bytes.slice()) : [bytes];
    return framed.map((one) => given(decloak(portable.chacha20, one)).packet);
  });
}

/** Whether an outer packet is a handshake, and no channel packet. */
export const isHandshake = (packet: Uint8Array): boolean => parsePacket(packet)?.head.length === 1;

/** A key handshake of somebody. */
export function handshakeTo(net: Net, to: Peer, from: Identity, at: bigint, csid = 1): Uint8Array {
  const inner = encodeHandshake(at, { type: "key", json: {}, body: keyPacket(portable, from, csid) });
  const keys = new Map([[csid, given(to.identity.keys.get(csid))]]);
  return given(sealMessage(net.crypto, { from, to: keys, inner, random: net.chance.random }));
}
