/** Every machine that gets what others wrote: bytes from the network, packets on channels, messages out of boxes. */
import {
  box,
  Channels,
  type ChannelsIn,
  ChunkStream,
  type ChunkStreamIn,
  type CipherSet,
  type Crypto,
  createCrypto,
  createIdentity,
  encodeChunks,
  encodePacket,
  Fragments,
  type Hashname,
  type Identity,
  importIdentity,
  type JsonObject,
  mail,
  mesh,
  type Path,
  packetRoom,
  parsePacket,
  pathKey,
  portable,
  sealMessage,
  splitPacket,
  toBase32,
  toHex,
  utf8,
} from "restante/protocol";
import { type Chance, cs01, type SimPeer, World } from "restante/testing";
import { FedChance } from "./fed.ts";
import type { Mutator } from "./mutate.ts";
import { peersOf, ROLES } from "./role-machines.ts";
import { hex, machine, type Target, vectors } from "./target.ts";

const START = 1_700_000_000_000;
const MB = 1 << 20;
const fast = createCrypto(portable, [cs01()]);

export const MACHINES: readonly Target[] = [
  machine("channels", 20_000, channels, { growth: 4 * MB }),
  machine("chunk-stream", 10_000, chunkStream, { growth: MB }),
  machine("fragments", 10_000, fragments, { growth: 4 * MB }),
  machine("mesh-datagrams", 15_000, (mutator) => meshed(mutator, "udp4"), { growth: 4 * MB }),
  machine("mesh-streams", 10_000, (mutator) => meshed(mutator, "tcp4"), { growth: 4 * MB }),
  machine("mesh-insider", 10_000, (mutator) => insider(mutator, false), { growth: 4 * MB }),
  machine("mesh-cbor", 5000, (mutator) => insider(mutator, true), { growth: 4 * MB }),
  machine("mesh-noise", 4000, noisy, { growth: 4 * MB }),
  ...ROLES,
  machine("mail-contact", 5_000, (mutator) => mailed(mutator, "contact"), { growth: 6 * MB }),
  machine("mail-stranger", 3_000, (mutator) => mailed(mutator, "stranger"), { growth: 4 * MB }),
  machine("world", 3_000, world, { bound: { ms: 5000, msPerKilobyte: 5000 } }),
];

/** One end of a stream, blocking or not; the other end writes what an honest one would, damaged. */
function chunkStream(mutator: Mutator): () => boolean {
  const { chance } = mutator;
  const pieces = [1, 20, 300, 900].map((length) => encodeChunks(chance.random(length), chance.pick([2, 20, 64, 256])));
  let now = START;
  let stream = new ChunkStream({ maxPacket: 1000, blocking: true });
  let count = 0;
  return () => {
    if (count++ % 100 === 0)
      stream = new ChunkStream({
        maxPacket: 1000,
        size: chance.pick([2, 20, 64, 256]),
        blocking: chance.happens(0.7),
        acks: chance.happens(0.8),
      });
    now += chance.pick([0, 1, 100, 3000]);
    const input = chance.pick<ChunkStreamIn>([
      { type: "received", bytes: mutator.bytes(pieces).subarray(0, 2000) },
      { type: "send", packet: chance.random(chance.between(0, 1100)) },
      { type: "tick" },
    ]);
    let isTaken = false;
    for (const out of stream.handle(input, now)) {
      if (out.type === "packet" && (out.packet.length === 0 || out.packet.length > 1000))
        throw new Error("a packet of a wrong length");
      isTaken ||= out.type === "packet";
    }
    return isTaken;
  };
}

/** Messages of many senders, some of them pieces of others, damaged. */
function fragments(mutator: Mutator): () => boolean {
  const { chance } = mutator;
  const senders = peersOf(mutator);
  const limits = { senderBytes: 20_000, totalBytes: 50_000, senderPackets: 8, totalPackets: 20, keepMs: 60_000 };
  const all = new Fragments(portable, limits);
  const whole = new Map<string, Hashname>();
  let now = START;
  let pieces: Uint8Array[] = [];
  let sender = chance.pick(senders);
  return () => {
    now += chance.pick([0, 1, 1000, 30_000]);
    if (pieces.length === 0 || chance.happens(0.05)) {
      const inner = encodePacket({ n: chance.next() }, chance.random(chance.between(200, 3000)));
      pieces = chance.shuffle(splitPacket(portable, inner, chance.between(150, 900)) ?? []);
      sender = chance.pick(senders);
      whole.set(String(inner), sender);
    }
    const piece = chance.pick(pieces);
    const inner = chance.happens(0.4) ? mutator.packet(pieces) : piece;
    if (inner === piece && chance.happens(0.9)) pieces = pieces.filter((one) => one !== piece);
    const from = chance.happens(0.8) ? sender : chance.pick(senders);
    let isTaken = false;
    for (const out of all.handle({ type: "message", sender: from, inner }, now)) {
      if (out.id === undefined) continue;
      isTaken = true;
      if (out.sender !== from || !whole.has(String(out.inner))) throw new Error("a packet that nobody sent");
    }
    if (all.bytes > limits.totalBytes || all.size > limits.totalPackets) throw new Error("it outgrew its bounds");
    return isTaken;
  };
}

/** The plain text side of channels: what honest ones send, damaged, comes in between. */
function channels(mutator: Mutator): () => boolean {
  const { chance } = mutator;
  let handle = 0;
  const make = (order: 0 | 1): Channels => new Channels({ order, handles: () => ++handle });
  let [honest, ours] = [make(0), make(1)];
  let now = START;
  const sent: Uint8Array[] = [];
  const owed: number[] = [];
  let events = 0;
  const turn = (to: Channels, input: ChannelsIn): Uint8Array[] => {
    const inners: Uint8Array[] = [];
    for (const out of to.handle(input, now)) {
      if (out.type === "transmit") inners.push(out.inner);
      else if (to === ours) events++;
      if (to === ours && out.type === "opened" && out.reliable) owed.push(out.ch);
      if (to === ours && out.type === "packets") owed.push(...out.packets.map(() => out.ch));
    }
    return inners;
  };
  const restart = (): void => {
    [honest, ours] = [make(0), make(1)];
    sent.length = 0;
    owed.length = 0;
    for (const reliable of [true, false])
      sent.push(...turn(honest, { type: "open", ch: ++handle, reliable, head: { type: "test" }, body: utf8("one") }));
    for (const inner of sent.slice()) turn(ours, { type: "received", packets: [{ inner, at: 0 }] });
    const ch = ++handle;
    for (const inner of turn(ours, { type: "open", ch, reliable: true, head: { type: "test" }, body: utf8("two") })) {
      sent.push(...turn(honest, { type: "received", packets: [{ inner, at: 0 }] }));
    }
  };
  restart();
  let count = 0;
  return () => {
    if (++count % 500 === 0) restart();
    now += chance.between(0, 400);
    const before = events;
    const inner = chance.happens(0.1) ? chance.pick(sent).slice() : mutator.packet(sent);
    for (const answer of turn(ours, { type: "received", packets: [{ inner, at: 0 }] })) {
      sent.push(...turn(honest, { type: "received", packets: [{ inner: answer, at: 0 }] }));
      if (sent.length > 64) sent.splice(8, sent.length - 64);
    }
    const ch = owed.shift();
    if (ch !== undefined && chance.happens(0.7)) takeOne(ours, ch, now);
    if ((ours.deadline() ?? Number.POSITIVE_INFINITY) <= now) turn(ours, { type: "tick" });
    return events > before;
  };
}

/** A `took` for a packet; only of unreliable and of closed channels there may be none to take. */
function takeOne(channels: Channels, ch: number, now: number): void {
  try {
    channels.handle({ type: "took", ch }, now);
  } catch (error) {
    if ((error as { code?: string }).code !== "channel-took") throw error;
  }
}

export interface PairOptions {
  readonly type?: "udp4" | "tcp4";
  /** The second's; the test set unless given. */
  readonly theirs?: Crypto;
  readonly cbor?: boolean;
  /** Of both, who cloak only with it. */
  readonly noise?: mesh.Noise;
}

/** Two that are linked, with twenty channels between them. */
export class Pair {
  readonly ids: readonly [Identity, Identity];
  readonly ends: readonly [mesh.Mesh, mesh.Mesh];
  readonly paths: readonly [Path, Path];
  /** What either sent. */
  readonly seen: Uint8Array[] = [];
  now: number = START;
  /** Looks at each transmission of the first: whether the second gets it. */
  arrives: (out: Extract<mesh.MeshOut, { type: "transmit" }>) => boolean = () => true;
  #place: Path; // where the next datagram of the second seems to come from
  readonly #chance: Chance;
  readonly #reliable = new Set<number>(); // channels that were opened to us
  #handle = 0;

  constructor(chance: Chance, { type = "udp4", theirs = fast, cbor = false, noise }: PairOptions = {}) {
    this.#chance = chance;
    this.ids = [createIdentity(fast, chance.random), createIdentity(fast, chance.random)];
    const make = (crypto: Crypto, identity: Identity, routes: Partial<mesh.MeshOptions>): mesh.Mesh =>
      new mesh.Mesh({
        crypto,
        identity,
        random: chance.random,
        handles: () => ++this.#handle,
        cloak: noise !== undefined,
        noise,
        ...routes,
      });
    // The first is a router for all, and the second one of its routers: so it hears of more than it would otherwise.
    const routes = { routing: { allows: () => true }, routers: [this.ids[1].hashname], cbor };
    this.ends = [make(fast, this.ids[0], routes), make(theirs, this.ids[1], { cbor })];
    this.paths = [
      { type, ip: "10.0.0.1", port: 1 },
      { type, ip: "10.0.0.2", port: 2 },
    ];
    this.#place = this.paths[1];
    this.want();
    for (let i = 0; i < 20; i++) {
      this.open(i % 2 === 0);
      this.now += 100;
      if (noise !== undefined) this.tick();
    }
    if (!this.ends[0].isUp(this.ids[1].hashname)) throw new Error("the two never met");
  }

  /** Both wish for the link, the second with a URI; the first thing that it says to this comes from `place`. */
  want(place: Path = this.paths[1]): void {
    const [us, them] = this.ids;
    this.#place = place;
    const peer = { hashname: us.hashname, keys: us.keys, paths: [this.paths[0]] };
    this.turn(1, { type: "want", peer, uri: `link:///?t=${this.now % 7}` });
    this.#place = this.paths[1];
    this.turn(0, { type: "want", peer: { hashname: them.hashname, keys: them.keys, paths: [this.paths[1]] } });
  }

  /** The second opens a channel to the first. */
  open(reliable: boolean, head: JsonObject = { type: "test" }, body: Uint8Array = this.#chance.random(30)): number {
    const ch = ++this.#handle;
    this.turn(1, { type: "open", ch, peer: this.ids[0].hashname, reliable, head, body });
    return ch;
  }

  turn(side: 0 | 1, input: mesh.MeshIn, deliver: boolean = true): void {
    const chance = this.#chance;
    for (const out of this.ends[side].handle(input, this.now)) {
      if (out.type === "handshake" && out.isNew && chance.happens(0.5))
        this.turn(side, { type: chance.happens(0.9) ? "approve" : "reject", hashname: out.hashname });
      if (out.type === "opened" && out.reliable) this.#reliable.add(out.ch);
      if ((out.type === "opened" || out.type === "packets") && this.#reliable.has(out.ch) && chance.happens(0.9))
        this.turn(side, { type: "took", ch: out.ch, count: out.type === "packets" ? out.packets.length : 1 });
      if (out.type === "closed") this.#reliable.delete(out.ch);
      if (out.type !== "transmit") continue;
      const arrives = side === 1 || this.arrives(out);
      if (this.seen.length < 200) this.seen.push(out.bytes.slice());
      const [bytes, path] = [out.bytes.slice(), side === 0 ? this.paths[0] : this.#place];
      if (side === 1) this.#place = this.paths[1];
      if (deliver && arrives) this.turn(side === 0 ? 1 : 0, { type: "received", path, bytes });
    }
  }

  /** What is due. */
  tick(): void {
    for (const side of [0, 1] as const)
      if ((this.ends[side].deadline() ?? Number.POSITIVE_INFINITY) <= this.now) this.turn(side, { type: "tick" });
    if (this.ends[0].links().length > 600) throw new Error("links of strangers pile up");
  }

  /** How much the first dropped. */
  dropped(): number {
    return Object.values(this.ends[0].dropped).reduce((sum, n) => sum + n, 0);
  }
}

/** Handshakes and channel packets of a live link, damaged, on many paths. */
function meshed(mutator: Mutator, type: "udp4" | "tcp4"): () => boolean {
  const { chance } = mutator;
  const pair = new Pair(chance, { type });
  const [, theirs] = pair.paths;
  let count = 0;
  return () => {
    pair.now += chance.between(1, 200);
    if (++count % 1000 === 0) pair.want();
    const path = chance.happens(0.5) ? theirs : { ...theirs, port: chance.between(2, 60_000) };
    const before = pair.dropped();
    const bytes =
      type === "udp4" || chance.happens(0.5)
        ? mutator.bytes(pair.seen)
        : encodeChunks(mutator.bytes(pair.seen).subarray(0, 1500));
    if (type === "tcp4" && chance.happens(0.1))
      pair.ends[0].handle({ type: "path", path, open: chance.happens(0.5) }, pair.now);
    pair.turn(0, { type: "received", path, bytes }, false);
    pair.tick();
    return pair.dropped() === before;
  };
}

/**
 * Two with noise floors, who go on talking, while a third sends what it heard of them, damaged, from everywhere, and is
 * faster than the second with a handshake of its own: noise goes nowhere but where the second has answered.
 */
function noisy(mutator: Mutator): () => boolean {
  const { chance } = mutator;
  const noise = chance.pick([
    { bytes: 800, everyMs: 40, rounds: 90 }, // both larger than a handshake, which goes wherever one came from
    { bytes: 1408, everyMs: 100 },
  ]);
  const pair = new Pair(chance, { noise });
  const [, theirs] = pair.paths;
  pair.arrives = ({ path, bytes: { length } }) => {
    const isTheirs = pathKey(path) === pathKey(theirs);
    const isNoise = length > noise.bytes - 8 && length <= noise.bytes;
    if (isNoise && !isTheirs) throw new Error("noise for somebody who did not prove to be there");
    if (length > LONGEST_FRAME) throw new Error("a datagram that nobody reads");
    return isTheirs;
  };
  const elsewhere = (): Path => ({ ...theirs, port: chance.between(3, 50) });
  return () => {
    pair.now += chance.pick([0, 1, 39, noise.everyMs, 1000, 60_000, -5000]);
    const before = pair.dropped();
    const path = chance.happens(0.3) ? theirs : elsewhere();
    if (chance.happens(0.05)) pair.want(elsewhere());
    if (chance.happens(0.3)) pair.open(chance.happens(0.5), { type: "test" }, chance.random(chance.between(0, 1250)));
    else pair.turn(0, { type: "received", path, bytes: mutator.bytes(pair.seen) }, path === theirs);
    pair.tick();
    const due = pair.ends[0].deadline();
    if (due !== undefined && due <= pair.now) throw new Error("it wants to be woken again and again");
    return pair.dropped() === before;
  };
}

/**
 * A peer that is linked to us and damages what it seals: handshakes with new keys and URIs, channels and their packets,
 * also those by which peers are routed.
 */
function insider(mutator: Mutator, cbor: boolean): () => boolean {
  const { chance } = mutator;
  const evil = evilSet(mutator);
  const pair = new Pair(chance, { theirs: createCrypto(portable, [evil.set]), cbor });
  const others = [...pair.ids.map(({ hashname }) => hashname), ...peersOf(mutator)];
  const heads = others.flatMap((peer): JsonObject[] => [
    { type: "peer", peer },
    { type: "connect", peer },
    {
      type: "path",
      paths: [
        { type: "udp4", ip: "10.0.0.3", port: 3 },
        { type: "peer", hn: peer },
      ],
    },
  ]);
  let channels: number[] = [];
  let count = 0;
  return () => {
    pair.now += chance.pick([1, 50, 300, 5000]);
    if (++count % 200 === 0) channels = [];
    evil.isOn = true;
    const before = pair.dropped();
    const ch = chance.pick([0, ...channels]);
    const end = chance.happens(0.1);
    const body = chance.random(chance.between(0, 60));
    if (chance.happens(0.15)) pair.want();
    if (chance.happens(0.2)) {
      const head = chance.pick(heads);
      pair.open(false, head, chance.pick([body, ...pair.seen]).subarray(0, packetRoom(head, false)));
    } else if (ch === 0 || chance.happens(0.3)) channels.push(pair.open(chance.happens(0.5)));
    else {
      pair.turn(1, { type: "send", ch, head: { n: count }, body, end });
      if (end) channels = channels.filter((one) => one !== ch);
    }
    pair.tick();
    evil.isOn = false;
    return pair.dropped() === before;
  };
}

/** The test set, damaging what it seals now and then while it is on. */
function evilSet(mutator: Mutator): { readonly set: CipherSet; isOn: boolean; readonly damaged: number } {
  const { chance } = mutator;
  const pool: Uint8Array[] = [];
  const evil = { set: cs01(), isOn: false, damaged: 0 };
  const damage = (inner: Uint8Array): Uint8Array => {
    if (pool.length < 100 || chance.happens(0.01))
      pool[pool.length < 100 ? pool.length : chance.between(0, 99)] = inner.slice();
    if (!evil.isOn || !chance.happens(0.3)) return inner;
    evil.damaged++;
    const packet = mutator.packet([inner, ...(chance.happens(0.2) ? pool : [])]);
    return packet.length > inner.length + 200 ? packet.subarray(0, inner.length + 200) : packet;
  };
  const honest = cs01();
  evil.set = {
    ...honest,
    seal: (from, to, ephemeral, inner, random) => honest.seal(from, to, ephemeral, damage(inner), random),
    channel(local, remote) {
      const cipher = honest.channel(local, remote);
      return cipher && { ...cipher, seal: (token, inner, random) => cipher.seal(token, damage(inner), random) };
    },
  };
  return evil;
}

/** Messages that a contact, or a stranger, sealed for us: damaged inside, so that they open and verify. */
function mailed(mutator: Mutator, from: "contact" | "stranger"): () => boolean {
  const { chance } = mutator;
  const { crypto, alice, bob, ephemeral, inners } = correspondents();
  const contact: mail.MailContact = {
    id: toHex(chance.random(16)),
    peers: [{ hashname: alice.hashname, keys: alice.keys, caches: [], direct: true }],
  };
  const [via = alice.hashname] = peersOf(mutator);
  const boxId = box.boxId(portable, alice.hashname, bob.hashname);
  const disk = new Map<string, Uint8Array>();
  const role = new mail.Mail({
    crypto,
    identity: bob,
    random: chance.random,
    boxId: (sender, recipient) => box.boxId(portable, sender, recipient),
    messageId: (id, bytes) => box.messageId(portable, id, bytes),
    cardFor: () => utf8("a card"),
    saved: new Map(),
  });
  let now = START;
  let told = 0;
  const turn = (input: mail.MailIn): void => {
    for (const out of role.handle(input, now)) {
      if (out.type === "event" || out.type === "introduce" || out.type === "card") told++;
      if (out.type === "save" && out.value !== undefined) disk.set(out.key, out.value);
      if (out.type === "save" && out.value === undefined) disk.delete(out.key);
      if (out.type === "read") turn({ type: "read", req: out.req, value: disk.get(out.key) });
      if (out.type === "blob-read") turn({ type: "blob", req: out.req, bytes: undefined });
      if (out.type === "blob-hash") turn({ type: "hash", req: out.req, sha256: "00".repeat(32) });
      if (out.type === "deliver") turn({ type: "delivered", id: out.id, ok: chance.happens(0.5) });
      if (out.type === "introduce" && chance.happens(0.3)) turn({ type: "ignore", req: 1, request: out.request });
    }
  };
  if (from === "contact") {
    turn({ type: "contact", contact });
    turn({ type: "send", req: 1, contact: contact.id, mail: { kind: "text", text: "for the acknowledgements" } });
  }
  let isFirst = true;
  return () => {
    const fresh = renumbered(chance, chance.pick(inners), alice.hashname, bob.hashname);
    const inner = isFirst ? (inners[0] ?? fresh) : chance.happens(0.6) ? mutator.packet([fresh, ...inners]) : fresh;
    const to = { from: alice, to: bob.keys, inner: inner.subarray(0, 60_000), random: chance.random, ephemeral };
    const bytes = sealMessage(crypto, to);
    if (bytes === undefined) throw new Error("it does not seal");
    const [direct, before] = [chance.happens(0.5), told];
    const id = box.messageId(portable, boxId, bytes);
    turn({ type: "message", via: direct ? alice.hashname : via, direct, box: boxId, id, bytes });
    if (isFirst && disk.size === 0) throw new Error("the sample was not taken");
    isFirst = false;
    const isTaken = told > before;
    now += chance.pick([10, 4000, 10_000, 60_000]);
    if ((role.deadline() ?? Number.POSITIVE_INFINITY) <= now) turn({ type: "tick" });
    return isTaken;
  };
}

/**
 * Who writes to whom, and what. Whoever seals many messages in one exchange pays for its agreements once, and so do we:
 * all runs share it.
 */
function correspondents() {
  known ??= makeCorrespondents();
  return known;
}

function makeCorrespondents() {
  const crypto = createCrypto(portable);
  const mails = vectors<{ alice: Secret; bob: Secret; messages: { inner: string }[] }>("protocol/vectors/mail.json");
  const [alice, bob] = [identityOf(crypto, mails.alice), identityOf(crypto, mails.bob)];
  const ephemeral = crypto.sets.get(0x3a)?.exchange(bob.keys.get(0x3a) ?? hex(""), new FedChance(1).random);
  if (ephemeral === undefined) throw new Error("the vector's key is of no use");
  return { crypto, alice, bob, ephemeral, inners: mails.messages.map(({ inner }) => trimmed(hex(inner))) };
}

let known: ReturnType<typeof makeCorrespondents> | undefined;

/** The inner packet with other numbers and the right addresses: so that it is no duplicate, and belongs to some mail. */
function renumbered(chance: Chance, inner: Uint8Array, from: Hashname, to: Hashname): Uint8Array {
  const packet = parsePacket(inner);
  if (packet?.json === undefined) return inner;
  const of = chance.pick([1, 1, 1, 2, 5, 65_535]);
  const epoch = chance.pick(["a11ce00000000001", "a11ce00000000002", "ffffffffffffffff"]);
  const numbers = { epoch, floor: chance.between(1, 5), seq: chance.between(1, 300) };
  const parts = packet.json["part"] === undefined ? {} : { of, part: chance.between(0, Math.min(of - 1, 9)) };
  const { seq: _, ...others } = numbers;
  const changed = packet.json["seq"] === undefined ? others : { ...numbers, ...parts };
  return encodePacket({ ...packet.json, ...changed, from, to }, packet.body);
}

interface Secret {
  secret: string;
  key: string;
  hashname: string;
}

function identityOf(crypto: Crypto, { secret, key, hashname }: Secret): Identity {
  const [keys, secrets] = [{ "3a": toBase32(hex(key)) }, { "3a": toBase32(hex(secret)) }];
  const identity = importIdentity(crypto, { hashname, keys, secrets });
  if (identity === undefined) throw new Error("the vector's identity does not import");
  return identity;
}

/** A padded inner packet with little of its padding, which is no use here. */
function trimmed(inner: Uint8Array): Uint8Array {
  let end = inner.length;
  while (end > 0 && inner[end - 1] === 0) end--;
  return inner.slice(0, Math.min(inner.length, end + 8));
}

/**
 * Peers and a cache whose cipher set damages what it seals, now and then: every layer behind the encryption, in the
 * company of all others, gets what an authenticated peer might send.
 */
function world(mutator: Mutator): () => undefined {
  const { chance } = mutator;
  const evil = evilSet(mutator);
  const options = { seed: chance.next(), cipherSets: () => [evil.set] };
  let current: World;
  let peers: readonly SimPeer[] = [];
  const restart = (): void => {
    evil.isOn = false;
    current = new World(options);
    const cacheOf = current.cache("cache");
    const made = [current.peer("a"), current.peer("b"), current.peer("c")] as const;
    current.run("1 min");
    for (const peer of made) peer.call({ type: "join", link: cacheOf.root.joinLink() });
    current.run("2 min");
    const [a, ...others] = made;
    for (const other of others)
      a.call({ type: "invite", once: true }, (value) =>
        other.call({ type: "add", link: (value as { link: string }).link }),
      );
    current.run("5 min");
    if (others.some((other) => a.contactId(other) === undefined)) throw new Error("they did not become contacts");
    peers = made;
    evil.isOn = true;
  };
  restart();
  let given = 0;
  return () => {
    given++;
    for (let turns = 0; evil.damaged < given; turns++) {
      if (turns > 20) {
        restart(); // everything is broken that can be
        turns = 0;
      }
      const [a, ...others] = peers;
      for (const other of others)
        if (a !== undefined && a.contactId(other) !== undefined) a.send(other, `mail ${given}`);
      if (chance.happens(0.3)) chance.pick(peers).sleep();
      for (const peer of peers) if (chance.happens(0.7)) peer.wake();
      current.run("20 s");
    }
    return undefined;
  };
}

const LONGEST_FRAME = 2048; // protocol/exchange.md §7
