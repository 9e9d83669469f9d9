import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromUtf8, type Time, toHex, utf8 } from "../bytes/index.ts";
import { type Path, pathKey } from "../card/index.ts";
import {
  type CipherSet,
  type Crypto,
  createCrypto,
  createIdentity,
  cs3a,
  type Hashname,
  type Identity,
  portable,
} from "../crypto/index.ts";
import { encodeHandshake, keyPacket, openMessage, parseHandshake, sealMessage } from "../e3x/index.ts";
import { Chance } from "../testing/chance.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { cloak, Dechunker, decloak, encodeChunks, encodePacket, parsePacket } from "../wire/index.ts";
import { Mesh, type MeshIn, type MeshOut } from "./mesh.ts";

const START = 1_700_000_000_000;
const MINUTE = 60_000;

/** A value that must be there. */
function given<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("expected a value");
  return value;
}

type Policy = (handshake: Extract<MeshOut, { type: "handshake" }>) => "approve" | "reject" | "wait";

/** A peer on a network of addresses. */
class Peer {
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
      if (effect.type === "opened" || effect.type === "packet") {
        this.got.push(given(fromUtf8(effect.body)));
        if (effect.type === "packet" || effect.reliable) this.do({ type: "took", ch: effect.ch });
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

interface Sent {
  readonly from: Peer;
  readonly to: Path;
  readonly bytes: Uint8Array;
  readonly at: Time;
}

class Net {
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
    const [source] = from.paths;
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

const mem = (name: string): Path => ({ type: "mem", name });
const tcp = (port: number): Path => ({ type: "tcp4", ip: "10.0.0.1", port });
const KINDS: readonly (readonly [string, (n: number) => Path])[] = [
  ["datagrams", (n) => mem(`p${n}`)],
  ["streams", (n) => tcp(n)],
];

/** Two peers with a link that the first one wants. */
function linked(place: (n: number) => Path = (n) => mem(`p${n}`), net = new Net(), options = {}): [Net, Peer, Peer] {
  const [a, b] = [net.peer(place(1), options), net.peer(place(2), options)];
  a.want(b);
  net.run(1_000);
  expect([a.mesh.isUp(b.hashname), b.mesh.isUp(a.hashname)]).toEqual([true, true]);
  return [net, a, b];
}

/** The outer packets in what was sent, out of their frames and cloaks. */
function packets(sent: readonly Sent[]): Uint8Array[] {
  const streams = new Map<string, Dechunker>();
  return sent.flatMap(({ to, bytes }) => {
    const stream = streams.get(pathKey(to)) ?? new Dechunker(5_000);
    streams.set(pathKey(to), stream);
    const framed = to.type === "tcp4" ? stream.push(bytes) : [bytes];
    return framed.map((one) => given(decloak(portable.chacha20, one)).packet);
  });
}

const isHandshake = (packet: Uint8Array): boolean => parsePacket(packet)?.head.length === 1;

/** A key handshake of somebody. */
function handshakeTo(net: Net, to: Peer, from: Identity, at: bigint, csid = 1): Uint8Array {
  const inner = encodeHandshake(at, { type: "key", json: {}, body: keyPacket(portable, from, csid) });
  const keys = new Map([[csid, given(to.identity.keys.get(csid))]]);
  return given(sealMessage(net.crypto, { from, to: keys, inner, random: net.chance.random }));
}

describe.each(KINDS)("over %s", (_, place) => {
  test("a wanted link comes up on both sides and carries channels both ways", () => {
    const [net, a, b] = linked(place);
    expect(a.logged("up")).toEqual([{ type: "up", hashname: b.hashname, path: place(2) }]);
    expect(b.logged("up")).toEqual([{ type: "up", hashname: a.hashname, path: place(1) }]);
    a.say(b, "from a");
    b.say(a, "from b", false);
    net.run(1_000);
    expect([a.got, b.got]).toEqual([["from b"], ["from a"]]);
    expect(b.logged("opened")[0]?.peer).toBe(a.hashname);
    expect(a.mesh.links()).toEqual([{ hashname: b.hashname, state: "up", path: place(2) }]);
  });

  test("[B53] who is not approved, or rejected, gets not one byte", () => {
    for (const policy of ["wait", "reject"] as const) {
      const net = new Net();
      const [a, b] = [net.peer(place(1)), net.peer(place(2))];
      b.policy = () => policy;
      a.want(b, "link://anything");
      net.run(3 * MINUTE);
      expect(net.from(a).length).toBeGreaterThan(8);
      expect(net.from(b)).toEqual([]);
      expect(b.mesh.links()).toEqual([]);
    }
  });

  test("a lossy network only makes it slower", () => {
    const net = new Net({ seed: 3 });
    const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
    const chance = new Chance(4);
    net.delays = () => (chance.happens(0.5) ? [] : [chance.between(1, 500)]);
    a.want(b);
    net.run(20 * MINUTE);
    expect(a.logged("up").length).toBeGreaterThan(0);
    net.delays = () => [10];
    net.run(2 * MINUTE);
    expect([a.mesh.isUp(b.hashname), b.mesh.isUp(a.hashname)]).toEqual([true, true]);
    a.say(b, "at last");
    net.run(5_000);
    expect(b.got).toEqual(["at last"]);
  });

  test("both may want it at once", () => {
    const net = new Net();
    const [a, b] = [net.peer(place(1)), net.peer(place(2))];
    a.policy = b.policy = () => "reject"; // wanting is approval
    a.want(b);
    b.want(a);
    net.run(2_000);
    expect([a.logged("up").length, b.logged("up").length]).toEqual([1, 1]);
    expect([...a.logged("handshake"), ...b.logged("handshake")]).toEqual([]);
  });
});

describe("approval", () => {
  test("[B5][B51][B52] sees all messages of a handshake together, in whatever order they come", () => {
    for (const reversed of [false, true]) {
      const net = new Net();
      const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
      // Of the two datagrams of each handshake the first may come later.
      let n = 0;
      net.delays = ({ from }) => [from === a && reversed && n++ % 2 === 0 ? 300 : 10];
      b.policy = ({ messages }) => (messages.length === 2 ? "approve" : "wait");
      a.want(b, "link://cache/?token");
      net.run(5_000);
      const [first, second] = b.logged("handshake");
      expect(first?.messages.map(({ type }) => type)).toEqual([reversed ? "uri" : "key"]);
      expect(second?.messages.map(({ type }) => type).sort()).toEqual(["key", "uri"]);
      expect(second?.messages.find(({ type }) => type === "uri")?.json["uri"]).toBe("link://cache/?token");
      expect(second?.hashname).toBe(a.hashname);
      expect(b.mesh.isUp(a.hashname)).toBe(true);
      expect(b.logged("up")).toHaveLength(1);
    }
  });

  test("[B49] of one type the highest `at` counts; equal and lower ones change nothing", () => {
    const net = new Net();
    const b = net.peer(mem("p2"));
    b.policy = () => "wait";
    const someone = createIdentity(net.crypto, net.chance.random);
    const shake = (at: bigint) => net.inject(mem("x"), b, handshakeTo(net, b, someone, at));
    expect(shake(100n)).toHaveLength(1);
    for (const at of [100n, 99n, 1n]) expect(shake(at)).toEqual([]);
    expect(shake(101n)).toHaveLength(1);
    expect(b.mesh.dropped.stale).toBe(3);
    b.do({ type: "approve", hashname: someone.hashname });
    const [echo] = packets(net.from(b));
    const opened = given(openMessage(net.crypto, someone, given(echo)));
    expect(given(parseHandshake(opened.inner)).at).toBe(101n);
  });

  test("is asked for once: resends are silent, and what nobody approves is forgotten after 30 s", () => {
    const net = new Net();
    const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
    b.policy = () => "wait";
    a.want(b);
    net.run(29_000);
    expect(b.logged("handshake")).toHaveLength(1);
    net.run(2_000);
    expect(b.do({ type: "approve", hashname: a.hashname })).toEqual([]);
    expect(b.mesh.deadline()).toBeUndefined();
  });

  test("a peer with a link tells a new uri without being asked about again", () => {
    const [net, a, b] = linked();
    a.want(b, "link://cache/?two");
    net.run(1_000);
    const [, news] = b.logged("handshake");
    expect(news).toMatchObject({ isNew: false, hashname: a.hashname });
    expect(news?.messages.map(({ json }) => json["uri"])).toEqual(["link://cache/?two"]);
    net.run(5 * MINUTE);
    expect(b.logged("handshake")).toHaveLength(2);
    expect(b.logged("up")).toHaveLength(1);
    b.do({ type: "reject", hashname: a.hashname });
    expect(b.logged("down")).toEqual([{ type: "down", hashname: a.hashname, why: "rejected" }]);
  });

  test("[A23] rests on proof: a handshake under another's key is dropped", () => {
    const net = new Net();
    const b = net.peer(mem("p2"));
    const [alice, mallory] = [0, 1].map(() => createIdentity(net.crypto, net.chance.random));
    const inner = encodeHandshake(100n, { type: "key", json: {}, body: keyPacket(portable, given(alice), 1) });
    const options = { from: given(mallory), to: b.identity.keys, inner, random: net.chance.random };
    expect(net.inject(mem("x"), b, given(sealMessage(net.crypto, options)))).toEqual([]);
    expect(b.mesh.dropped.forged).toBe(1);
  });

  test("[A17] is not given for a lower cipher set than the two of us have", () => {
    const net = new Net({ crypto: createCrypto(portable, [cs01(), cs3a(portable)]) });
    const [own, someone] = [0, 1].map(() => createIdentity(net.crypto, net.chance.random, [1, 0x3a]));
    const b = net.peer(mem("p2"), { identity: given(own) });
    expect(net.inject(mem("x"), b, handshakeTo(net, b, given(someone), 100n, 1))).toEqual([]);
    expect(b.mesh.dropped.downgrade).toBe(1);
    expect(net.inject(mem("x"), b, handshakeTo(net, b, given(someone), 100n, 0x3a))).not.toEqual([]);
  });

  test("mail never comes by a socket: a message whose inner is no handshake is dropped", () => {
    const net = new Net();
    const b = net.peer(mem("p2"));
    const from = createIdentity(net.crypto, net.chance.random);
    for (const head of [{ type: "mail", v: 1 }, { type: "mail", at: 100 }, { at: "100" }]) {
      const inner = encodePacket(head, keyPacket(portable, from, 1));
      const options = { from, to: b.identity.keys, inner, random: net.chance.random };
      expect(net.inject(mem("x"), b, given(sealMessage(net.crypto, options)))).toEqual([]);
    }
    expect(b.mesh.dropped.malformed).toBe(3);
  });
});

describe("keeping a link", () => {
  test("[B7] takes a handshake whenever nothing was sent for 30 s on datagrams, 5 min on streams", () => {
    for (const [place, quiet] of [
      [mem, 30_000],
      [(n: string) => tcp(n === "p1" ? 1 : 2), 5 * MINUTE],
    ] as const) {
      const [net, a, b] = linked((n) => place(`p${n}`));
      const since = net.now;
      net.run(quiet - 2_000);
      expect(net.from(a, since)).toEqual([]);
      net.run(5 * quiet);
      const shakes = packets(net.from(a, since)).filter(isHandshake);
      expect(shakes.length).toBeGreaterThanOrEqual(4);
      expect(shakes.length).toBeLessThanOrEqual(12);
      expect([a.logged("down"), b.logged("down")]).toEqual([[], []]);
    }
  });

  test("finds out that the other end is gone: channels close, then down, then new attempts", () => {
    const [net, a, b] = linked();
    const ch = a.say(b, "x");
    net.run(1_000);
    net.delays = () => [];
    net.run(61_000);
    const told = a.log.filter(({ type }) => type === "closed" || type === "down");
    expect(told).toEqual([
      { type: "closed", ch, err: "timeout" },
      { type: "down", hashname: b.hashname, why: "timeout" },
    ]);
    net.delays = () => [10];
    net.run(MINUTE);
    expect(a.mesh.isUp(b.hashname)).toBe(true);
  });

  test("a link that nobody wants ends after a minute without a word, unless channels are open", () => {
    for (const talk of [false, true]) {
      const [net, a, b] = linked();
      a.do({ type: "unwant", hashname: b.hashname });
      if (talk) b.say(a, "standing");
      net.run(59_000 + 1_000);
      expect(a.mesh.isUp(b.hashname)).toBe(talk);
      net.run(10 * MINUTE);
      expect([a.mesh.links().length, b.mesh.links().length]).toEqual(talk ? [1, 1] : [0, 0]);
      if (!talk) expect(b.logged("down")).toEqual([{ type: "down", hashname: a.hashname, why: "idle" }]);
    }
  });

  test("with open channels the silence of a peer that died is noticed all the same", () => {
    const [net, a, b] = linked();
    a.say(b, "standing");
    net.run(1_000);
    net.peers.splice(net.peers.indexOf(a), 1); // it is gone
    net.run(2 * MINUTE);
    expect(b.logged("down")).toEqual([{ type: "down", hashname: a.hashname, why: "timeout" }]);
    expect(b.mesh.links()).toEqual([]);
    expect(b.mesh.deadline()).toBeUndefined();
  });

  test("attempts of 30 s come again after 30 s, 1, 2, 5, 10, 10 min, each give or take a quarter", () => {
    const net = new Net();
    const [a, b] = [net.peer(mem("p1")), new Net({ seed: 2 }).peer(mem("nowhere"))];
    a.want(b);
    net.run(60 * MINUTE);
    const starts = new Map<string, Time>();
    for (const { bytes, at } of net.from(a)) {
      const key = toHex(given(decloak(portable.chacha20, bytes)).packet);
      if (!starts.has(key)) starts.set(key, at);
    }
    const times = [...starts.values()];
    const gaps = times.slice(1).map((at, i) => at - given(times[i]) - 30_000);
    expect(gaps.length).toBeGreaterThanOrEqual(6);
    for (const [i, minutes] of [0.5, 1, 2, 5, 10, 10].entries()) {
      expect(given(gaps[i])).toBeGreaterThanOrEqual(minutes * MINUTE * 0.75);
      expect(given(gaps[i])).toBeLessThanOrEqual(minutes * MINUTE * 1.25);
    }
    expect(a.logged("down")).toEqual([]);
  });

  test("a fresh wish is an attempt at once; the same wish during an attempt is none; no wish, no attempt", () => {
    const net = new Net();
    const [a, b] = [net.peer(mem("p1")), new Net({ seed: 2 }).peer(mem("nowhere"))];
    const sends = () => net.from(a).length;
    a.want(b);
    expect(sends()).toBe(1);
    a.want(b);
    expect(sends()).toBe(1);
    net.run(35_000);
    const before = sends();
    a.want(b);
    expect(sends()).toBe(before + 1);
    a.do({ type: "unwant", hashname: b.hashname });
    const after = sends();
    net.run(60 * MINUTE);
    expect(sends()).toBe(after);
    expect([a.mesh.links(), a.mesh.deadline()]).toEqual([[], undefined]);
  });

  test("without keys in common or without paths it is unresolved, and harms nobody", () => {
    const net = new Net();
    const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
    const none = new Map([[0x1a, new Uint8Array(21)]]);
    a.do({ type: "want", peer: { hashname: b.hashname, keys: none, paths: b.paths } });
    expect(a.mesh.links()[0]?.state).toBe("unresolved");
    a.do({ type: "want", peer: { hashname: b.hashname, keys: b.identity.keys, paths: [] } });
    expect(a.mesh.links()[0]?.state).toBe("unresolved");
    expect(net.sent).toEqual([]);
    b.want(a);
    net.run(1_000);
    expect(a.mesh.isUp(b.hashname)).toBe(true);
  });

  test("keys that no message can be sealed to end the attempts, and throw nothing", () => {
    const net = new Net({ crypto: createCrypto(portable, [cs3a(portable)]) });
    const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
    const keys = new Map([[0x3a, new Uint8Array(32)]]);
    a.do({ type: "want", peer: { hashname: b.hashname, keys, paths: b.paths } });
    net.run(60 * MINUTE);
    expect(net.sent).toEqual([]);
  });
});

describe("paths", () => {
  test("[B6] a peer that moves takes the link with it, and the new path is tried with a handshake", () => {
    const [net, a, b] = linked();
    a.paths = [mem("elsewhere"), mem("p1")];
    const since = net.now;
    a.say(b, "I moved");
    net.run(1_000);
    // A channel packet could be a recording: so b asks at the new place.
    expect(packets(net.from(b, since)).filter(isHandshake).length).toBeGreaterThan(0);
    expect(b.mesh.links()[0]?.path).toEqual(mem("elsewhere"));
    a.paths = [mem("elsewhere")];
    b.say(a, "found you");
    net.run(1_000);
    expect([a.got, b.got]).toEqual([["found you"], ["I moved"]]);
    expect(b.logged("down")).toEqual([]);
  });

  test("[B6] a handshake from a new path is answered there, and the path tried with one of ours", () => {
    const [net, a, b] = linked();
    a.paths = [mem("elsewhere"), mem("p1")];
    const since = net.now;
    a.want(b, "link://new"); // makes a begin a handshake
    net.run(1_000);
    expect(b.mesh.links()[0]?.path).toEqual(mem("elsewhere"));
    const sent = packets(net.from(b, since)).filter(isHandshake);
    const ats = sent.map((one) => given(parseHandshake(given(openMessage(net.crypto, a.identity, one)).inner)).at);
    expect(new Set(ats).size).toBe(2); // the echo, and our own
    expect(net.from(b, since).every(({ to }) => to.name === "elsewhere")).toBe(true);
  });

  test("an old handshake is answered only where the peer is known to be", () => {
    const [net, a, b] = linked();
    const recorded = net.from(a).map(({ bytes }) => bytes);
    a.want(b, "link://new");
    net.run(5_000);
    const answers = recorded.flatMap((bytes) => net.inject(mem("attacker"), b, bytes));
    const paths = answers.flatMap((out) => (out.type === "transmit" ? out.path.name : []));
    expect(paths).toEqual(["p1"]);
  });

  test("a recording played from another address moves nothing", () => {
    const [net, a, b] = linked();
    a.say(b, "x");
    a.do({ type: "want", peer: { hashname: b.hashname, keys: b.identity.keys, paths: b.paths }, uri: "link://x" });
    net.run(1_000);
    const recorded = net.from(a).map(({ bytes }) => bytes);
    for (const bytes of recorded) {
      net.inject(mem("attacker"), b, bytes);
      net.run(2_000);
    }
    expect(b.mesh.links()[0]?.path).toEqual(mem("p1"));
    expect([b.logged("renewed"), b.logged("down")]).toEqual([[], []]);
    a.say(b, "y");
    net.run(1_000);
    expect(b.got).toEqual(["x", "y"]);
  });

  test("a recorded handshake from the future is answered there and doubted here: the link stays what it is", () => {
    const net = new Net();
    const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
    const recorded = handshakeTo(net, b, a.identity, BigInt(START) / 1000n + 10_000n);
    a.want(b);
    net.run(1_000);
    const since = net.now;
    net.inject(mem("attacker"), b, recorded);
    net.run(1_000);
    expect(packets(net.from(a, since)).filter(isHandshake).length).toBeGreaterThan(0); // the live peer answers the doubt
    net.run(2 * MINUTE);
    expect([a, b].map((peer) => peer.logged("up").length + peer.logged("down").length)).toEqual([1, 1]);
    expect(b.mesh.links()[0]?.path).toEqual(mem("p1"));
    expect(net.sent.some(({ to }) => to.name === "attacker")).toBe(true);
    a.say(b, "still here");
    net.run(1_000);
    expect(b.got).toEqual(["still here"]);
  });

  test("a peer that restarts elsewhere is renewed there", () => {
    const [net, a, b] = linked();
    b.say(a, "old");
    net.run(1_000);
    b.log.length = 0;
    a.restart();
    a.paths = [mem("elsewhere")];
    a.want(b);
    net.run(2_000);
    expect(b.log.filter(({ type }) => ["closed", "renewed", "up"].includes(type)).map(({ type }) => type)).toEqual([
      "closed",
      "renewed",
      "up",
    ]);
    expect(b.mesh.links()[0]?.path).toEqual(mem("elsewhere"));
  });

  test("a lost connection ends a link that has no other way; one that has goes that way", () => {
    const [, , alone] = linked(tcp);
    alone.do({ type: "path", path: tcp(1), open: false });
    expect(alone.logged("down").map(({ why }) => why)).toEqual(["path"]);
    const net = new Net();
    const [a, b] = [net.peer(tcp(1)), net.peer(tcp(2))];
    b.paths = [tcp(2), mem("p2")];
    a.want(b);
    net.run(1_000);
    b.paths = [mem("p2"), mem("p2")];
    a.paths = [mem("p1")];
    a.do({ type: "path", path: tcp(2), open: false });
    net.run(5_000);
    expect(a.mesh.links()).toEqual([{ hashname: b.hashname, state: "up", path: mem("p2") }]);
    expect(a.logged("down")).toEqual([]);
    a.say(b, "another way");
    net.run(1_000);
    expect(b.got).toEqual(["another way"]);
  });

  test("every packet on a stream is answered with a packet or a lone zero chunk", () => {
    const [net, a, b] = linked(tcp);
    const since = net.now;
    a.say(b, "unreliable", false);
    net.run(1_000);
    expect(net.from(b, since).map(({ bytes }) => [...bytes])).toEqual([[0]]);
  });

  test("whoever speaks without a cloak is answered without, whoever was ever heard with one is not", () => {
    for (const place of [(n: number) => mem(`p${n}`), tcp]) {
      const net = new Net();
      const [a, b] = [net.peer(place(1), { cloak: false }), net.peer(place(2))];
      a.want(b);
      net.run(1_000);
      const isPlain = ({ bytes, to }: Sent) => bytes.length > 1 && bytes[to.type === "tcp4" ? 1 : 0] === 0;
      expect(net.sent.length).toBeGreaterThan(3);
      expect(net.sent.every((one) => isPlain(one) || one.bytes.length === 1)).toBe(true); // 1: a zero chunk
      const [cloaked] = [net.peer(place(3))];
      cloaked.want(b);
      net.run(1_000);
      expect(net.sent.filter((one) => one.from === cloaked || one.to === place(3)).some(isPlain)).toBe(false);
      // One cloaked packet of a's, and the talk is cloaked from then on.
      a.say(b, "x", false);
      const last = packets(net.from(a)).at(-1);
      const hidden = cloak(portable.chacha20, given(last), net.chance.random);
      net.inject(place(1), b, place(1).type === "tcp4" ? encodeChunks(hidden) : hidden);
      const since = net.now;
      b.say(a, "y", false);
      expect(net.from(b, since).some(isPlain)).toBe(false);
    }
  });

  test("what a path does not take waits for it", () => {
    const [net, a, b] = linked();
    a.do({ type: "writable", path: mem("p2"), credit: 0 });
    a.say(b, "later");
    net.run(5_000);
    expect(b.got).toEqual([]);
    a.do({ type: "writable", path: mem("p2"), credit: 10_000 });
    net.run(1_000);
    expect(b.got).toEqual(["later"]);
  });
});

test("[B43] a packet finds its exchange by either form of the token: hashed, or the raw first 16 bytes", () => {
  for (const form of ["hashed", "raw"] as const) {
    const net = new Net();
    const [, a, b] = linked(undefined, net, { cloak: false });
    net.delays = () => [];
    a.say(b, form, false);
    const bytes = given(net.from(a).at(-1)).bytes.slice();
    if (form === "raw") {
      const handshake = given(net.from(b).find((sent) => isHandshake(sent.bytes)));
      bytes.set(handshake.bytes.subarray(3, 19), 2);
    }
    net.inject(mem("p1"), b, bytes);
    expect(b.got).toEqual([form]);
    bytes.fill(7, 2, 18);
    net.inject(mem("p1"), b, bytes);
    expect(b.mesh.dropped.token).toBe(1);
  }
});

describe("at", () => {
  const ats = (net: Net, from: Peer, to: Peer): bigint[] =>
    packets(net.from(from)).flatMap((packet) => {
      const opened = openMessage(net.crypto, to.identity, packet);
      return opened === undefined ? [] : given(parseHandshake(opened.inner)).at;
    });

  test("[B38] is higher than ever before, also after a restart with the clock set back", () => {
    const net = new Net();
    const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
    b.policy = () => "wait";
    for (let life = 0; life < 5; life++) {
      a.want(b);
      for (let i = 0; i < 10; i++) a.want(b, `link://${i}`);
      a.restart();
      net.now -= 1_000_000;
    }
    const used = ats(net, a, b);
    const highest = used.filter((at, i) => i === 0 || at !== used[i - 1]);
    expect(highest.length).toBeGreaterThan(50);
    expect(highest.every((at, i) => i === 0 || at > given(highest[i - 1]))).toBe(true);
  });

  test("[B39] is the time in seconds, as long as that grows", () => {
    const net = new Net();
    const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
    a.want(b);
    expect(given(ats(net, a, b)[0]) - BigInt(START / 1000)).toBeLessThanOrEqual(1n);
  });

  test("[B40] grows without a clock too, from what was saved", () => {
    const net = new Net();
    net.now = 0;
    const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
    for (let life = 0; life < 3; life++) {
      a.want(b);
      a.restart();
    }
    const used = ats(net, a, b);
    expect(used).toHaveLength(3);
    expect(given(used[0])).toBeLessThan(given(used[1]));
    expect(given(used[1])).toBeLessThan(given(used[2]));
  });

  test("is saved before it is used, in blocks", () => {
    const net = new Net();
    const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
    const out = a.want(b);
    expect(out.map(({ type }) => type)).toEqual(["save", "transmit"]);
    net.run(30 * MINUTE);
    expect(a.logged("save")).toHaveLength(1);
    const value = new DataView(given(a.saved).buffer).getBigUint64(0);
    for (const at of ats(net, a, b)) expect(at).toBeLessThanOrEqual(value);
  });

  test("of one peer that counts wildly moves no other's", () => {
    const net = new Net();
    const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
    const wild = createIdentity(net.crypto, net.chance.random);
    net.inject(mem("x"), a, handshakeTo(net, a, wild, 2n ** 63n));
    a.want(b);
    net.run(1_000);
    for (const at of ats(net, a, b)) expect(at).toBeLessThan(2n ** 40n);
    expect(a.mesh.isUp(b.hashname)).toBe(true);
  });
});

test("[B41] a link whose `at` is at its maximum is dead: down, and no attempt ever again", () => {
  const net = new Net();
  const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
  a.want(b);
  net.inject(mem("p2"), a, handshakeTo(net, a, b.identity, 2n ** 64n - 1n));
  expect(a.logged("down")).toEqual([{ type: "down", hashname: b.hashname, why: "dead" }]);
  const before = net.from(a).length;
  net.run(60 * MINUTE);
  expect(net.from(a)).toHaveLength(before);
  expect(a.mesh.deadline()).toBeUndefined();
});

describe("strangers", () => {
  /** A cipher set that counts what it is asked to do. */
  function counting(): { set: CipherSet; count: { opens: number } } {
    const count = { opens: 0 };
    const set = cs01();
    const open: CipherSet["open"] = (to, body) => {
      count.opens += 1;
      return set.open(to, body);
    };
    return { set: { ...set, open }, count };
  }

  test("who send valid handshakes in masses cost a bounded number of openings and a bounded room", () => {
    const { set, count } = counting();
    const net = new Net({ crypto: createCrypto(portable, [set]) });
    const b = net.peer(mem("p2"));
    b.policy = () => "wait";
    for (let i = 0; i < 4_000; i++) {
      const someone = createIdentity(net.crypto, net.chance.random);
      net.inject(mem(`x${i}`), b, handshakeTo(net, b, someone, 100n));
      net.now += 5;
    }
    expect(count.opens).toBeLessThanOrEqual(100 + 20 * 50);
    expect(b.mesh.dropped.budget).toBe(4_000 - count.opens);
    expect(net.from(b)).toEqual([]);
    net.run(31_000);
    expect(b.mesh.deadline()).toBeUndefined();
  });

  test("cannot keep out a peer that we look for, nor one with a link even if they see the wire and send from there", () => {
    const { set, count } = counting();
    const net = new Net({ crypto: createCrypto(portable, [set]) });
    const [a, b, c] = [net.peer(mem("p1")), net.peer(mem("p2")), net.peer(mem("p3"))];
    a.want(b);
    net.run(1_000);
    const seen = given(packets(net.from(a))[0]).slice(0, 35); // head, and a's ephemeral key
    const garbage = (kept: number) => Uint8Array.from([...seen.slice(0, kept), ...net.chance.random(200 - kept)]);
    const flood = (from: string, ms: number, step: number) => {
      for (let i = 0; i < ms; i += step) {
        for (const kept of [3, 3, 19, 19]) net.inject(mem(from), b, garbage(kept));
        net.run(step);
      }
    };
    flood("x", 1_000, 1);
    expect(count.opens).toBeLessThan(200);
    expect(b.mesh.dropped.budget).toBeGreaterThan(3_800);
    b.want(c); // answers with a token never seen before, but from where it was asked
    flood("x", 900, 1);
    expect(b.mesh.isUp(c.hashname)).toBe(true);
    flood("p1", 65_000, 10);
    net.inject(mem("p1"), b, garbage(35));
    expect([a.logged("down"), b.logged("down")]).toEqual([[], []]);
  });

  test("with random bytes on any path, whole or in pieces, cause neither a throw nor a word", () => {
    const net = new Net();
    const [a, b] = linked(undefined, net).slice(1) as [Peer, Peer];
    a.say(b, "x");
    net.run(1_000);
    const genuine = net.from(a).map(({ bytes }) => bytes);
    const some = fc.oneof(
      fc.uint8Array({ maxLength: 1_500 }),
      fc.uint8Array({ maxLength: 60 }).map((bytes) => encodePacket(undefined, bytes)),
      fc.uint8Array({ maxLength: 200 }).map((bytes) => encodePacket(Uint8Array.of(1), bytes)),
      fc.uint8Array({ maxLength: 80 }).map((bytes) => encodePacket({ type: "key", at: 5 }, bytes)),
    );
    fc.assert(
      fc.property(some, fc.constantFrom(mem("x"), mem("p1"), tcp(7)), fc.nat(), (bytes, path, at) => {
        const damaged = given(genuine[at % genuine.length]).slice();
        damaged[at % damaged.length] = given(damaged[at % damaged.length]) ^ (1 + (at % 255));
        for (const input of [bytes, encodeChunks(bytes), damaged])
          expect(net.inject(path, b, input).filter(({ type }) => type === "transmit")).toEqual([]);
      }),
      { numRuns: 500 },
    );
    expect(Object.values(b.mesh.dropped).reduce((sum, n) => sum + n)).toBeGreaterThan(500);
    expect(b.logged("down")).toEqual([]);
  });
});

test("[B34] with real cryptography, any mixture of wishes, restarts and losses ends in links that work", () => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.array(fc.tuple(fc.nat({ max: 2 }), fc.nat({ max: 40_000 })), { maxLength: 5 }),
      (seed, acts) => {
        const net = new Net({ seed, crypto: createCrypto(portable, [seed % 8 === 0 ? cs3a(portable) : cs01()]) });
        const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
        const chance = net.chance.fork();
        net.delays = () => (chance.happens(0.2) ? [] : [chance.between(1, 300)]);
        a.want(b);
        for (const [act, ms] of acts) {
          if (act === 0) a.restart();
          if (act === 1) b.restart();
          (act === 2 ? b : a).want(act === 2 ? a : b);
          net.run(ms);
        }
        a.want(b);
        net.delays = () => [10];
        net.run(15 * MINUTE);
        a.want(b);
        net.run(MINUTE);
        a.say(b, "a");
        b.say(a, "b");
        net.run(10_000);
        expect([a.got, b.got]).toEqual([["b"], ["a"]]);
      },
    ),
    { numRuns: 60 },
  );
});

test("[X29] a stale handshake of an old peer on another stream gets a zero chunk there, or it would wait for ever", () => {
  const [net, a, b] = linked(tcp, new Net(), { cloak: false });
  const stale = given(packets(net.from(a)).find(isHandshake));
  a.want(b, "link://x"); // a handshake later than that one
  net.run(2_000);
  net.inject(tcp(9), b, encodeChunks(stale));
  net.inject(tcp(8), b, encodeChunks(cloak(portable.chacha20, stale, net.chance.random)));
  const to = (port: number) => net.from(b).filter((sent) => sent.to.port === port);
  expect(to(9).map(({ bytes }) => [...bytes])).toEqual([[0]]);
  expect(to(8)).toEqual([]); // who knows the cloak does not wait, and learns nothing by a recording
});
