/** Every machine that gets what others wrote: bytes from the network, packets on channels, messages out of boxes. */

import { memoryBoxStore } from "restante";
import {
  box,
  Channels,
  type ChannelsIn,
  type CipherSet,
  createCrypto,
  createIdentity,
  encodeChunks,
  encodePacket,
  type Hashname,
  type Identity,
  importIdentity,
  mail,
  mesh,
  type Path,
  parsePacket,
  portable,
  sealMessage,
  toBase32,
  toHex,
  utf8,
} from "restante/protocol";
import { type Chance, cs01, type SimPeer, World } from "restante/testing";
import type { Mutator } from "./mutate.ts";
import { type Opening, Remotes } from "./remotes.ts";
import { hex, type Target, vectors } from "./target.ts";

const START = 1_700_000_000_000;
const MB = 1 << 20;
const fast = createCrypto(portable, [cs01()]);

export const MACHINES: readonly Target[] = [
  { name: "channels", inputs: 20_000, growth: 4 * MB, prepare: channels },
  { name: "mesh, datagrams", inputs: 15_000, growth: 4 * MB, prepare: (mutator) => meshed(mutator, "udp4") },
  { name: "mesh, streams", inputs: 10_000, growth: 4 * MB, prepare: (mutator) => meshed(mutator, "tcp4") },
  { name: "cache", inputs: 10_000, growth: 6 * MB, prepare: cache },
  { name: "inbox", inputs: 10_000, growth: 4 * MB, prepare: inbox },
  { name: "outbox", inputs: 4_000, growth: 4 * MB, prepare: outbox },
  { name: "join", inputs: 3_000, growth: 2 * MB, prepare: join },
  { name: "mail from a contact", inputs: 5_000, growth: 6 * MB, prepare: (mutator) => mailed(mutator, "contact") },
  { name: "mail from a stranger", inputs: 3_000, growth: 4 * MB, prepare: (mutator) => mailed(mutator, "stranger") },
  { name: "a whole world", inputs: 6_000, prepare: world },
];

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
      if (to === ours && (out.type === "packet" || (out.type === "opened" && out.reliable))) owed.push(out.ch);
    }
    return inners;
  };
  const restart = (): void => {
    [honest, ours] = [make(0), make(1)];
    sent.length = 0;
    owed.length = 0;
    for (const reliable of [true, false])
      sent.push(...turn(honest, { type: "open", ch: ++handle, reliable, head: { type: "test" }, body: utf8("one") }));
    for (const inner of sent.slice()) turn(ours, { type: "received", inner });
    const ch = ++handle;
    for (const inner of turn(ours, { type: "open", ch, reliable: true, head: { type: "test" }, body: utf8("two") })) {
      sent.push(...turn(honest, { type: "received", inner }));
    }
  };
  restart();
  let count = 0;
  return () => {
    if (++count % 500 === 0) restart();
    now += chance.between(0, 400);
    const before = events;
    const inner = chance.happens(0.1) ? chance.pick(sent).slice() : mutator.packet(sent);
    for (const answer of turn(ours, { type: "received", inner })) {
      sent.push(...turn(honest, { type: "received", inner: answer }));
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

/** Handshakes and channel packets of a live link, damaged, on many paths. */
function meshed(mutator: Mutator, type: "udp4" | "tcp4"): () => boolean {
  const { chance } = mutator;
  const ids = [createIdentity(fast, chance.random), createIdentity(fast, chance.random)] as const;
  let handle = 0;
  const paths: [Path, Path] = [
    { type, ip: "10.0.0.1", port: 1 },
    { type, ip: "10.0.0.2", port: 2 },
  ];
  const make = (identity: Identity): mesh.Mesh =>
    new mesh.Mesh({ crypto: fast, identity, random: chance.random, handles: () => ++handle, cloak: false });
  const ends = [make(ids[0]), make(ids[1])] as const;
  let now = START;
  const seen: Uint8Array[] = [];
  const turn = (side: 0 | 1, input: mesh.MeshIn, deliver = true): void => {
    const other = side === 0 ? 1 : 0;
    for (const out of ends[side].handle(input, now)) {
      if (out.type === "handshake" && out.isNew && chance.happens(0.5))
        turn(side, { type: chance.happens(0.9) ? "approve" : "reject", hashname: out.hashname });
      if (out.type === "opened" && out.reliable) turn(side, { type: "took", ch: out.ch });
      if (out.type !== "transmit") continue;
      if (seen.length < 200) seen.push(out.bytes.slice());
      if (deliver) turn(other, { type: "received", path: paths[side], bytes: out.bytes.slice() });
    }
  };
  const [us, them] = ids;
  const want = (): void => {
    turn(1, { type: "want", peer: { hashname: us.hashname, keys: us.keys, paths: [paths[0]] }, uri: "link:///?t=a" });
    turn(0, { type: "want", peer: { hashname: them.hashname, keys: them.keys, paths: [paths[1]] } });
  };
  want();
  for (let i = 0; i < 20; i++) {
    const ch = ++handle;
    turn(1, {
      type: "open",
      ch,
      peer: us.hashname,
      reliable: i % 2 === 0,
      head: { type: "test" },
      body: chance.random(30),
    });
    now += 100;
  }
  if (!ends[0].isUp(them.hashname)) throw new Error("the two never met");
  const dropped = (): number => Object.values(ends[0].dropped).reduce((sum, n) => sum + n, 0);
  let count = 0;
  return () => {
    now += chance.between(1, 200);
    if (++count % 1000 === 0) want();
    const path = chance.happens(0.5) ? paths[1] : { ...paths[1], port: chance.between(2, 60_000) };
    const before = dropped();
    const bytes =
      type === "udp4" || chance.happens(0.5)
        ? mutator.bytes(seen)
        : encodeChunks(mutator.bytes(seen).subarray(0, 1500));
    if (type === "tcp4" && chance.happens(0.1)) ends[0].handle({ type: "path", path, open: chance.happens(0.5) }, now);
    turn(0, { type: "received", path, bytes }, false);
    for (const side of [0, 1] as const)
      if ((ends[side].deadline() ?? Number.POSITIVE_INFINITY) <= now) turn(side, { type: "tick" });
    if (ends[0].links().length > 600) throw new Error("links of strangers pile up");
    return dropped() === before;
  };
}

/** Peers of a role, and what they say. */
function peersOf(mutator: Mutator): Hashname[] {
  return Array.from({ length: 4 }, () => createIdentity(fast, mutator.chance.random).hashname);
}

function cache(mutator: Mutator): () => boolean {
  const { chance } = mutator;
  const peers = peersOf(mutator);
  const [self, recipient, sender] = peers as [Hashname, Hashname, Hashname];
  const store = memoryBoxStore({ total: 2 * MB, recipient: MB / 2, box: MB / 4, boxes: 16 });
  const boxId = box.boxId(portable, sender, recipient);
  const openings: Opening[] = [
    { head: { type: "outbox", to: recipient, uri: "link:///?t=a", done: true, x: 60 }, body: chance.random(300) },
    { head: { type: "outbox", to: sender, uri: "link:///?t=a" }, body: chance.random(1000) },
    { head: { type: "inbox", box: boxId }, body: chance.random(0) },
  ];
  const packets: Opening[] = [
    { head: { done: true, x: 3600 }, body: chance.random(600) },
    { head: {}, body: chance.random(1200) },
    { head: { id: "0123456789abcdef" }, body: chance.random(0) },
    { head: { clear: true }, body: chance.random(10) },
  ];
  const machine = new box.Cache({
    backend: portable,
    self,
    random: chance.random,
    handles: () => remotes.handle(),
    cap: MB / 4,
    admit: () => (chance.happens(0.2) ? undefined : chance.pick(["member", "contact", "stranger"])),
  });
  const remotes = new Remotes<box.CacheIn, box.CacheOut>(mutator, machine, peers, openings, packets, (out, now) => {
    if (out.type !== "boxes") return [];
    return store.handle(out.op, now).map((answer) => ({ type: "store", answer }));
  });
  return () => {
    const before = store.stats().gained;
    remotes.step();
    if (store.stats().memory > 2 * MB) throw new Error("the store outgrew its bound");
    return store.stats().gained > before;
  };
}

function inbox(mutator: Mutator): () => boolean {
  const { chance } = mutator;
  const peers = peersOf(mutator);
  const [self, sender] = peers as [Hashname, Hashname];
  const openings: Opening[] = [
    { head: { type: "boxes" }, body: chance.random(8 * 20) },
    { head: { type: "boxes", end: true }, body: hex(box.boxId(portable, sender, self)) },
    { head: { type: "outbox", to: self, done: true }, body: chance.random(500) },
    { head: { type: "outbox", to: self }, body: chance.random(1000) },
  ];
  const packets: Opening[] = [
    { head: { cap: 8 * MB }, body: chance.random(0) },
    { head: { done: true }, body: chance.random(600) },
    { head: {}, body: chance.random(1300) },
    { head: { clear: true, id: "0123456789abcdef" }, body: chance.random(0) },
  ];
  let messages = 0;
  const machine = new box.Inbox({ backend: portable, self, handles: () => remotes.handle() });
  const remotes = new Remotes<box.InboxIn, box.InboxOut>(mutator, machine, peers, openings, packets, (out) => {
    if (out.type !== "message") return [];
    messages++;
    const { via, box: id } = out;
    return chance.happens(0.9) ? [{ type: "done", via, box: id, id: out.id, keep: chance.happens(0.3) }] : [];
  });
  return () => {
    const before = messages;
    remotes.step();
    return messages > before;
  };
}

function outbox(mutator: Mutator): () => undefined {
  const { chance } = mutator;
  const peers = peersOf(mutator);
  const packets: Opening[] = [
    { head: { cap: 8 * MB }, body: chance.random(0) },
    { head: { err: "no" }, body: chance.random(30) },
  ];
  const machine = new box.Outbox({ handles: () => remotes.handle() });
  const remotes = new Remotes<box.OutboxIn, box.OutboxOut>(mutator, machine, peers, [], packets, () => []);
  let id = 0;
  return () => {
    const [via, to] = [chance.pick(peers), chance.pick(peers)];
    if (chance.happens(0.3))
      remotes.give({ type: "deposit", id: ++id, via, to, bytes: chance.random(chance.between(1, 3000)) });
    if (chance.happens(0.1)) remotes.give({ type: "remove", via, to, ids: ["0123456789abcdef"] });
    remotes.step();
    return undefined;
  };
}

function join(mutator: Mutator): () => undefined {
  const { chance } = mutator;
  const peers = peersOf(mutator);
  const openings: Opening[] = [{ head: { type: box.JOIN_CHANNEL, uri: "link:///?t=a" }, body: chance.random(0) }];
  const answer = { key: toBase32(chance.random(32)), quota: 64 * MB, cap: 8 * MB, store: "one" };
  const machine = new box.Join({
    handles: () => remotes.handle(),
    answer: (uri) => (uri === undefined || chance.happens(0.5) ? undefined : answer),
  });
  const packets: Opening[] = [{ head: answer, body: chance.random(0) }];
  const remotes = new Remotes<box.JoinIn, box.JoinOut>(mutator, machine, peers, openings, packets, () => []);
  let req = 0;
  return () => {
    if (chance.happens(0.1)) remotes.give({ type: "join", req: ++req, cache: chance.pick(peers), uri: "link:///?t=a" });
    remotes.step();
    return undefined;
  };
}

/** Messages that a contact, or a stranger, sealed for us: damaged inside, so that they open and verify. */
function mailed(mutator: Mutator, from: "contact" | "stranger"): () => boolean {
  const { chance } = mutator;
  const crypto = createCrypto(portable);
  const known = vectors<{ alice: Secret; bob: Secret; messages: { from: string; inner: string }[] }>(
    "protocol/vectors/mail.json",
  );
  const [alice, bob] = [identityOf(known.alice), identityOf(known.bob)];
  const inners = known.messages.map(({ inner }) => trimmed(hex(inner)));
  const contact: mail.MailContact = {
    id: toHex(chance.random(16)),
    peers: [{ hashname: alice.hashname, keys: alice.keys, caches: [], direct: true }],
  };
  const [via = alice.hashname] = peersOf(mutator);
  const boxId = box.boxId(portable, alice.hashname, bob.hashname);
  const disk = new Map<string, Uint8Array>();
  const machine = new mail.Mail({
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
    for (const out of machine.handle(input, now)) {
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
  const ephemeral = crypto.sets.get(0x3a)?.generate(chance.random);
  let isFirst = true;
  return () => {
    const fresh = renumbered(chance, chance.pick(inners), alice.hashname, bob.hashname);
    const inner = isFirst ? (inners[0] ?? fresh) : chance.happens(0.6) ? mutator.packet([fresh, ...inners]) : fresh;
    // Whoever seals many messages in one exchange pays for its agreements once, and so do we.
    const to = { from: alice, to: bob.keys, inner: inner.subarray(0, 60_000), random: chance.random };
    const bytes = sealMessage(crypto, ephemeral === undefined ? to : { ...to, ephemeral });
    if (bytes === undefined) throw new Error("it does not seal");
    const [direct, before] = [chance.happens(0.5), told];
    const id = box.messageId(portable, boxId, bytes);
    turn({ type: "message", via: direct ? alice.hashname : via, direct, box: boxId, id, bytes });
    if (isFirst && disk.size === 0) throw new Error("the sample was not taken");
    isFirst = false;
    const isTaken = told > before;
    now += chance.pick([10, 4000, 10_000, 60_000]);
    if ((machine.deadline() ?? Number.POSITIVE_INFINITY) <= now) turn({ type: "tick" });
    return isTaken;
  };
}

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

function identityOf({ secret, key, hashname }: Secret): Identity {
  const [keys, secrets] = [{ "3a": toBase32(hex(key)) }, { "3a": toBase32(hex(secret)) }];
  const identity = importIdentity(createCrypto(portable), { hashname, keys, secrets });
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
  let damaged = 0;
  let isEvil = false;
  const pool: Uint8Array[] = [];
  const damage = (inner: Uint8Array): Uint8Array => {
    if (pool.length < 100 || chance.happens(0.01))
      pool[pool.length < 100 ? pool.length : chance.between(0, 99)] = inner.slice();
    if (!isEvil || !chance.happens(0.3)) return inner;
    damaged++;
    const packet = mutator.packet([inner, ...(chance.happens(0.2) ? pool : [])]);
    return packet.length > inner.length + 200 ? packet.subarray(0, inner.length + 200) : packet;
  };
  const set = cs01();
  const evil: CipherSet = {
    ...set,
    seal: (from, to, ephemeral, inner, random) => set.seal(from, to, ephemeral, damage(inner), random),
    channel(local, remote) {
      const cipher = set.channel(local, remote);
      return cipher && { ...cipher, seal: (token, inner, random) => cipher.seal(token, damage(inner), random) };
    },
  };
  const options = { seed: chance.next(), cipherSets: () => [evil] };
  let current: World;
  let peers: readonly SimPeer[] = [];
  const restart = (): void => {
    isEvil = false;
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
    isEvil = true;
  };
  restart();
  let given = 0;
  return () => {
    given++;
    for (let turns = 0; damaged < given; turns++) {
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
