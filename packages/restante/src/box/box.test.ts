/** The three roles against each other, over real channels on a wire that loses, doubles and reorders. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { equal, fromHex, type Time } from "../bytes/index.ts";
import { type Hashname, hashnameFromBytes, portable } from "../crypto/index.ts";
import { Channels, type ChannelsIn, oneByOne } from "../e3x/index.ts";
import { type BoxAnswer, type BoxLimits, type BoxStore, memoryBoxStore } from "../store/index.ts";
import { Chance } from "../testing/chance.ts";
import { type JsonObject, parsePacket } from "../wire/index.ts";
import { Cache, type CacheIn, type CacheOut } from "./cache.ts";
import { boxId, messageId } from "./ids.ts";
import { Inbox, type InboxIn, type InboxOut } from "./inbox.ts";
import { Outbox, type OutboxIn, type OutboxOut } from "./outbox.ts";

type Role = "outbox" | "cache" | "inbox";
interface Message {
  via: Hashname;
  direct: boolean;
  box: string;
  id: string;
  bytes: Uint8Array;
}

/** What one packet on the wire said. */
interface Seen {
  at: Time;
  from: string;
  to: string;
  json: JsonObject;
  body: Uint8Array;
}

class Peer {
  readonly name: string;
  readonly hashname: Hashname;
  readonly store: BoxStore;
  readonly links = new Map<Hashname, Channels>();
  readonly messages: Message[] = [];
  readonly told: string[] = [];
  readonly reached = new Set<Hashname>();
  /** Say `done` for each message at once. */
  prompt = true;
  /** Let the store answer so much later. */
  storeDelay = 0;
  readonly #world: World;
  readonly #owner = new Map<number, Role>();
  readonly #outbox: Outbox;
  readonly #cache: Cache;
  readonly #inbox: Inbox;

  constructor(world: World, name: string, n: number, limits: Partial<BoxLimits>) {
    this.name = name;
    this.#world = world;
    this.hashname = hashnameFromBytes(new Uint8Array(32).fill(n));
    this.store = memoryBoxStore(limits);
    const options = { backend: portable, self: this.hashname, handles: world.handles };
    this.#outbox = new Outbox(options);
    this.#inbox = new Inbox(options);
    this.#cache = new Cache({
      ...options,
      random: (length) => Uint8Array.from({ length }, () => world.chance.between(0, 255)),
      cap: limits.box ?? 8 * 1024 * 1024,
      admit: (uri) => (uri === "member" || uri === "contact" || uri === "stranger" ? uri : undefined),
    });
  }

  outbox(input: OutboxIn): void {
    for (const out of this.#outbox.handle(input, this.#world.now)) this.#outboxOut(out);
  }

  cache(input: CacheIn): void {
    for (const out of this.#cache.handle(input, this.#world.now)) this.#cacheOut(out);
  }

  inbox(input: InboxIn): void {
    for (const out of this.#inbox.handle(input, this.#world.now)) this.#inboxOut(out);
  }

  deadlines(): (Time | undefined)[] {
    return [this.#outbox, this.#cache, this.#inbox, ...this.links.values()].map((machine) => machine.deadline());
  }

  tick(): void {
    const { now } = this.#world;
    if ((this.#outbox.deadline() ?? now + 1) <= now) this.outbox({ type: "tick" });
    if ((this.#cache.deadline() ?? now + 1) <= now) this.cache({ type: "tick" });
    if ((this.#inbox.deadline() ?? now + 1) <= now) this.inbox({ type: "tick" });
    for (const [peer, link] of this.links)
      if ((link.deadline() ?? now + 1) <= now) this.channels(peer, { type: "tick" });
  }

  all(input: { type: "up" | "down"; peer: Hashname }): void {
    this.outbox(input);
    this.cache(input);
    this.inbox(input);
  }

  channels(peer: Hashname, input: ChannelsIn): void {
    for (const out of this.links.get(peer)?.handle(input, this.#world.now) ?? []) {
      if (out.type === "transmit") {
        this.#world.transmit(this, peer, out.inner);
        continue;
      }
      if (out.type === "opened") {
        const role =
          out.kind === "boxes" || (out.kind === "outbox" && out.head["to"] === this.hashname) ? "inbox" : "cache";
        this.#owner.set(out.ch, role);
      }
      const role = this.#owner.get(out.ch);
      if (role === undefined) continue;
      if (out.type === "packets") for (const event of oneByOne(out)) this[role](event);
      else this[role](out.type === "opened" ? { ...out, peer } : out);
    }
  }

  #op(role: Role, out: Extract<CacheOut, { ch: number }>): void {
    if (out.type === "open") {
      this.#owner.set(out.ch, role);
      this.#world.peerOf.set(out.ch, out.peer);
      const { peer, ...open } = out;
      if (!this.links.has(peer)) this[role]({ type: "closed", ch: out.ch, err: "no link" });
      this.channels(peer, open);
      return;
    }
    for (const peer of this.links.keys()) this.channels(peer, out);
  }

  #outboxOut(out: OutboxOut): void {
    if (out.type === "reach") {
      this.reached.add(out.peer);
      if (this.#world.dialling) this.#world.connect(this, this.#world.peer(out.peer));
    } else if (out.type === "release") this.reached.delete(out.peer);
    else if (out.type === "deposited") this.told.push(`deposited ${out.id}`);
    else if (out.type === "failed") this.told.push(`failed ${out.id} ${out.why}`);
    else if (out.type === "find-stamp" || out.type === "forget-stamp") this.told.push(out.type);
    else this.#op("outbox", out);
  }

  #cacheOut(out: CacheOut): void {
    if (out.type !== "boxes") {
      this.#op("cache", out);
      return;
    }
    const answers = this.store.handle(out.op, this.#world.now) as BoxAnswer[];
    this.#world.later(this.storeDelay, () => {
      this.cache({ type: "store", answers });
    });
  }

  #inboxOut(out: InboxOut): void {
    if (out.type === "keeps") return;
    if (out.type !== "message") {
      this.#op("inbox", out);
      return;
    }
    this.messages.push(out);
    if (this.prompt) this.#world.later(0, () => this.inbox({ ...out, type: "done" }));
  }
}

class World {
  now: Time = 1_800_000_000_000;
  readonly chance: Chance;
  readonly peerOf = new Map<number, Hashname>();
  readonly seen: Seen[] = [];
  loss = 0;
  dialling = true;
  readonly #peers: Peer[] = [];
  readonly #events: { at: Time; n: number; run: () => void }[] = [];
  #n = 0;
  #handle = 1;

  constructor(seed = 1) {
    this.chance = new Chance(seed);
  }

  readonly handles = (): number => this.#handle++;

  add(name: string, limits: Partial<BoxLimits> = {}): Peer {
    const peer = new Peer(this, name, this.#peers.length + 1, limits);
    this.#peers.push(peer);
    return peer;
  }

  peer(hashname: Hashname): Peer {
    return this.#peers.find((peer) => peer.hashname === hashname) as Peer;
  }

  connect(a: Peer, b: Peer): void {
    if (a.links.has(b.hashname)) return;
    a.links.set(b.hashname, new Channels({ order: 1, handles: this.handles }));
    b.links.set(a.hashname, new Channels({ order: 0, handles: this.handles }));
    this.later(0, () => {
      a.all({ type: "up", peer: b.hashname });
      b.all({ type: "up", peer: a.hashname });
    });
  }

  part(a: Peer, b: Peer): void {
    for (const [one, other] of [
      [a, b],
      [b, a],
    ] as const) {
      one.channels(other.hashname, { type: "reset", err: "reset" });
      one.links.delete(other.hashname);
      one.all({ type: "down", peer: other.hashname });
    }
  }

  transmit(from: Peer, to: Hashname, inner: Uint8Array): void {
    const packet = parsePacket(inner);
    const target = this.peer(to);
    if (packet?.json !== undefined)
      this.seen.push({ at: this.now, from: from.name, to: target.name, json: packet.json, body: packet.body });
    if (this.chance.happens(this.loss)) return;
    const link = target.links.get(from.hashname);
    const copies = this.loss > 0 && this.chance.happens(0.1) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      this.later(this.loss > 0 ? this.chance.between(5, 200) : 10, () => {
        if (target.links.get(from.hashname) === link)
          target.channels(from.hashname, { type: "received", packets: [{ inner: inner.slice(), at: 0 }] });
      });
    }
  }

  later(delay: Time, run: () => void): void {
    this.#events.push({ at: this.now + delay, n: this.#n++, run });
  }

  run(time: Time): void {
    const end = this.now + time;
    for (let turns = 0; ; turns++) {
      if (turns > 200_000) throw new Error("the world does not come to rest");
      this.#events.sort((a, b) => a.at - b.at || a.n - b.n);
      const due = this.#peers.flatMap((peer) => peer.deadlines()).filter((at) => at !== undefined);
      const next = Math.min(this.#events[0]?.at ?? end, ...due);
      if (next >= end) break;
      this.now = Math.max(this.now, next);
      const event = this.#events[0];
      if (event !== undefined && event.at <= this.now) {
        this.#events.shift();
        event.run();
      } else for (const peer of this.#peers) peer.tick();
    }
    this.now = end;
  }
}

let deposits = 1;
function deposit(from: Peer, via: Peer, to: Peer, bytes: Uint8Array, uri = "contact"): number {
  const id = deposits++;
  from.outbox({ type: "deposit", id, via: via.hashname, to: to.hashname, uri, bytes });
  return id;
}

function bytesOf(length: number, n = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + n) % 256);
}

function three(seed = 1): { world: World; alice: Peer; bob: Peer; carol: Peer } {
  const world = new World(seed);
  return { world, alice: world.add("alice"), bob: world.add("bob"), carol: world.add("carol") };
}

/** The packets of one kind of channel, from its opening on. */
function channel(world: World, kind: string): Seen[] {
  const open = new Map<string, Set<unknown>>();
  const key = (seen: Seen): string => [seen.from, seen.to].sort().join();
  for (const seen of world.seen) {
    if (seen.json["type"] !== kind) continue;
    const ids = open.get(key(seen)) ?? new Set();
    open.set(key(seen), ids.add(seen.json["c"]));
  }
  const once = new Set<string>(); // what was sent again counts once
  return world.seen.filter((seen) => {
    const { c, seq } = seen.json;
    if (!open.get(key(seen))?.has(c)) return false;
    if (seq === undefined) return true;
    const packet = `${seen.from} ${seen.to} ${c} ${seq}`;
    return !once.has(packet) && once.add(packet);
  });
}

describe("a message travels", () => {
  test("[C1] [C29] by a cache, while its sender and recipient are never there together", () => {
    const { world, alice, bob, carol } = three();
    const id = deposit(alice, carol, bob, bytesOf(500));
    world.run(2_000);
    expect(alice.told).toEqual([`deposited ${id}`]);
    world.part(alice, carol);
    expect(bob.messages).toEqual([]);
    world.connect(bob, carol);
    world.run(2_000);
    expect(bob.messages).toMatchObject([{ via: carol.hashname, direct: false, bytes: bytesOf(500) }]);
    expect(carol.store.stats()).toMatchObject({ messages: 0, gained: 1 });
  });

  test("[C1] [C29] directly, and leaves nothing to remove", () => {
    const { world, alice, bob } = three();
    const id = deposit(alice, bob, bob, bytesOf(5000));
    world.run(2_000);
    expect(alice.told).toEqual([`deposited ${id}`]);
    expect(bob.messages).toMatchObject([{ via: alice.hashname, direct: true, bytes: bytesOf(5000) }]);
    expect(world.seen.filter((seen) => seen.json["type"] !== undefined)).toHaveLength(1);
  });

  test("[C15] [C17] under the same box and message id by two caches and directly", () => {
    const { world, alice, bob, carol } = three();
    const dave = world.add("dave");
    for (const via of [carol, dave, bob]) deposit(alice, via, bob, bytesOf(900));
    world.run(2_000);
    for (const cache of [carol, dave]) world.connect(bob, cache);
    world.run(2_000);
    const box = boxId(portable, alice.hashname, bob.hashname);
    const id = messageId(portable, box, bytesOf(900));
    expect(bob.messages.map((m) => [m.box, m.id])).toEqual([1, 2, 3].map(() => [box, id]));
    expect(new Set(bob.messages.map((m) => m.via)).size).toBe(3);
  });

  test("[C32] [C51] in one packet or in many, whatever its size", () => {
    const sizes = [
      1, 2, 1000, 1250, 1251, 1252, 1253, 1254, 1255, 1256, 1260, 1300, 1399, 1400, 1401, 2600, 65_535, 65_536,
    ];
    const { world, alice, bob, carol } = three();
    // What is above the maximum is taken as well, and dropped: those after it come whole.
    for (const size of [65_537, 131_072, 1_048_576, ...sizes]) deposit(alice, carol, bob, bytesOf(size, size));
    world.run(60_000);
    world.connect(bob, carol);
    world.run(20_000);
    expect(bob.messages.map((m) => m.bytes.length)).toEqual(sizes);
    for (const { bytes } of bob.messages) expect(equal(bytes, bytesOf(bytes.length, bytes.length))).toBe(true);
  });

  test("[C32] [C50] with a part of it in every packet, and `done` with the last", () => {
    const { world, alice, bob, carol } = three();
    world.connect(bob, carol);
    for (let size = 2440; size < 2560; size++) deposit(alice, carol, bob, bytesOf(size));
    world.run(20_000);
    expect(bob.messages).toHaveLength(120);
    for (const kind of ["outbox", "inbox"]) {
      const packets = channel(world, kind).filter(
        (seen) => seen.json["seq"] !== undefined && seen.json["end"] === undefined,
      );
      const parts = packets.filter(
        (seen) =>
          seen.from === (kind === "outbox" ? "alice" : "carol") &&
          (seen.json["cap"] === undefined || seen.json["done"] === true),
      );
      expect(parts.every((seen) => seen.body.length > 0)).toBe(true);
      expect(parts.filter((seen) => seen.json["done"] === true)).toHaveLength(120);
    }
  });

  test("[C11] the sender gets acknowledgements of the channel and nothing else", () => {
    const { world, alice, bob, carol } = three();
    world.connect(bob, carol);
    for (let i = 0; i < 30; i++) deposit(alice, carol, bob, bytesOf(3000, i));
    world.run(30_000);
    const answers = channel(world, "outbox").filter((seen) => seen.from === "carol");
    expect(answers.length).toBeGreaterThan(5);
    for (const { json, body } of answers) {
      expect(body).toHaveLength(0);
      for (const key of Object.keys(json)) expect(["c", "ack", "miss", "seq", "end"]).toContain(key);
    }
  });

  test("[C18] [C19] [C28] `boxes` comes from the cache without seq, `outbox` and `inbox` are reliable", () => {
    const { world, alice, bob, carol } = three();
    deposit(alice, carol, bob, bytesOf(100));
    world.run(1_000);
    world.connect(bob, carol);
    world.run(10_000);
    const opens = world.seen.filter((seen) => seen.json["type"] !== undefined);
    expect(opens.map(({ from, to, json }) => [from, to, json["type"], json["seq"]])).toEqual([
      ["alice", "carol", "outbox", 1],
      ["carol", "bob", "boxes", undefined],
      ["bob", "carol", "inbox", 1],
    ]);
    expect(opens[1]?.json).toEqual({ c: expect.anything(), type: "boxes", end: true });
  });

  test("[C46] [C47] the box asked for is the hex of the bytes that were told", () => {
    const { world, alice, bob, carol } = three();
    deposit(alice, carol, bob, bytesOf(100));
    world.run(1_000);
    world.connect(bob, carol);
    world.run(10_000);
    const [boxes, inbox] = ["boxes", "inbox"].map((type) => world.seen.find((seen) => seen.json["type"] === type));
    const box = boxId(portable, alice.hashname, bob.hashname);
    expect(boxes?.body).toEqual(fromHex(box));
    expect(inbox?.json).toMatchObject({ seq: 1, type: "inbox", box });
  });

  test("[C59] a lost `boxes` is repeated until the box is opened", () => {
    const { world, alice, bob, carol } = three();
    deposit(alice, carol, bob, bytesOf(100));
    world.run(1_000);
    world.loss = 1;
    world.connect(bob, carol);
    world.run(2_000);
    expect(bob.messages).toEqual([]);
    world.loss = 0;
    world.run(5_000);
    expect(bob.messages).toHaveLength(1);
  });

  test("[C58] what was streamed and not removed comes again with the next link", () => {
    const { world, alice, bob, carol } = three();
    bob.prompt = false;
    for (let i = 0; i < 3; i++) deposit(alice, carol, bob, bytesOf(2000, i));
    world.run(1_000);
    world.connect(bob, carol);
    world.run(1_000);
    expect(bob.messages).toHaveLength(3);
    world.part(bob, carol);
    world.connect(bob, carol);
    world.run(1_000);
    expect(bob.messages).toHaveLength(6);
    expect(bob.messages.slice(3)).toEqual(bob.messages.slice(0, 3));
    for (const message of bob.messages.slice(3)) bob.inbox({ ...message, type: "done" });
    world.run(1_000);
    expect(carol.store.stats().messages).toBe(0);
  });

  test("[X30] an inbox stays open, and what comes later is streamed without another `boxes`", () => {
    const { world, alice, bob, carol } = three();
    world.connect(bob, carol);
    for (let i = 0; i < 5; i++) {
      deposit(alice, carol, bob, bytesOf(700, i));
      world.run(20_000);
      expect(bob.messages).toHaveLength(i + 1);
    }
    const opens = world.seen.filter((seen) => seen.json["type"] !== undefined).map((seen) => seen.json["type"]);
    expect(opens.filter((type) => type === "boxes")).toHaveLength(1);
    expect(opens.filter((type) => type === "inbox")).toHaveLength(1);
  });

  test("[X31] the sender takes its copies back by their ids", () => {
    const { world, alice, bob, carol } = three();
    for (let i = 0; i < 3; i++) deposit(alice, carol, bob, bytesOf(300, i));
    world.run(1_000);
    const box = boxId(portable, alice.hashname, bob.hashname);
    const ids = [0, 2].map((i) => messageId(portable, box, bytesOf(300, i)));
    alice.outbox({ type: "remove", via: carol.hashname, to: bob.hashname, uri: "contact", ids });
    world.run(1_000);
    world.connect(bob, carol);
    world.run(1_000);
    expect(bob.messages.map((m) => m.bytes)).toEqual([bytesOf(300, 1)]);
  });

  test("one channel serves a series, and ends with the link when there is nothing to do", () => {
    const { world, alice, bob, carol } = three();
    for (let i = 0; i < 10; i++) {
      deposit(alice, carol, bob, bytesOf(300, i));
      world.run(1_000);
    }
    expect([...alice.reached]).toEqual([carol.hashname]);
    expect(channel(world, "outbox").filter((seen) => seen.json["type"] !== undefined)).toHaveLength(1);
    world.run(40_000);
    expect([...alice.reached]).toEqual([]);
    expect(
      channel(world, "outbox")
        .filter((seen) => seen.json["end"] === true)
        .map((seen) => seen.from),
    ).toEqual(["alice", "carol"]);
    deposit(alice, carol, bob, bytesOf(300));
    world.run(1_000);
    expect(alice.told).toHaveLength(11);
  });
});

describe("bounds", () => {
  test("[C49] a recipient that does not take anything holds up one message in the cache, not the box", () => {
    const { world, alice, bob, carol } = three();
    bob.prompt = false;
    for (let i = 0; i < 300; i++) deposit(alice, carol, bob, bytesOf(1000, i));
    world.run(30_000);
    world.connect(bob, carol);
    world.run(30_000);
    const first = bob.messages.length;
    expect(first).toBeGreaterThanOrEqual(64);
    expect(first).toBeLessThan(300);
    // Until it is given up that anybody answers for them.
    world.run(120_000);
    expect(bob.messages.length).toBeGreaterThan(first);
    for (const message of bob.messages.slice()) bob.inbox({ ...message, type: "done" });
    bob.prompt = true;
    world.run(30_000);
    expect(new Set(bob.messages.map((m) => m.id)).size).toBe(
      new Set(Array.from({ length: 300 }, (_, i) => i % 256)).size,
    );
  });

  test("150 boxes are fetched sixteen at a time, with at most 32 inboxes open", () => {
    const world = new World();
    const [bob, carol] = [world.add("bob"), world.add("carol")];
    const senders = Array.from({ length: 150 }, (_, i) =>
      hashnameFromBytes(new Uint8Array(32).fill(100).fill(i, 0, 1)),
    );
    for (const [op, sender] of senders.entries()) {
      const box = boxId(portable, sender, bob.hashname);
      const bytes = bytesOf(200, op);
      const id = messageId(portable, box, bytes);
      carol.store.handle(
        { type: "put", op, recipient: bob.hashname, box, id, bytes, expires: world.now + 1e9, class: "contact" },
        world.now,
      );
    }
    world.connect(bob, carol);
    world.run(120_000);
    expect(new Set(bob.messages.map((m) => m.box)).size).toBe(150);
    expect(carol.store.stats().messages).toBe(0);
    const open = new Set<unknown>();
    let most = 0;
    for (const { from, json } of channel(world, "inbox")) {
      if (from !== "bob") continue;
      if (json["type"] === "inbox") open.add(json["c"]);
      if (json["end"] === true) open.delete(json["c"]);
      most = Math.max(most, open.size);
    }
    expect(most).toBe(32);
  });
});

test("[C11] [C44] [C45] a sender sees the same packets at the same times, whatever becomes of what it sends", () => {
  /** What carol says to alice, with its times, while alice leaves some messages for bob and takes one back. */
  const seen = (
    uri: string,
    limits: Partial<BoxLimits> = {},
    storeDelay = 0,
    isThere = false,
  ): { said: Seen[]; gained: number } => {
    const world = new World(3);
    const [alice, bob, carol] = [world.add("alice"), world.add("bob"), world.add("carol", limits)];
    carol.storeDelay = storeDelay;
    if (isThere) world.connect(bob, carol);
    for (const [n, size] of [300, 5000, 300, 60_000].entries()) {
      deposit(alice, carol, bob, bytesOf(size, n), uri);
      world.run(700);
    }
    const ids = [messageId(portable, boxId(portable, alice.hashname, bob.hashname), bytesOf(300, 0))];
    alice.outbox({ type: "remove", via: carol.hashname, to: bob.hashname, uri, ids });
    world.run(60_000);
    const said = world.seen.filter(({ from, to }) => from === "carol" && to === "alice");
    return { said, gained: carol.store.stats().gained };
  };
  const kept = seen("contact");
  expect(kept.gained).toBe(4);
  expect(kept.said.length).toBeGreaterThan(5);
  const others = [
    seen("none"),
    seen("contact", { total: 0 }),
    seen("contact", { box: 400 }),
    seen("stranger"),
    seen("contact", {}, 5000),
    seen("contact", {}, 0, true),
    seen("none", {}, 9000, true),
  ];
  expect(others.map(({ gained }) => gained)).toEqual([0, 0, 2, 3, 4, 4, 0]);
  for (const { said } of others) expect(said).toEqual(kept.said);
});

test("[C58] [C59] on a bad wire, with links that come and go, everything arrives and is removed", () => {
  const worlds = fc.record({
    seed: fc.nat(),
    loss: fc.double({ min: 0, max: 0.3, noNaN: true }),
    storeDelay: fc.constantFrom(0, 0, 30),
    sizes: fc.array(fc.constantFrom(1, 100, 1023, 1400, 5000, 65_536), { minLength: 1, maxLength: 12 }),
  });
  fc.assert(
    fc.property(worlds, ({ seed, loss, storeDelay, sizes }) => {
      const { world, alice, bob, carol } = three(seed);
      world.loss = loss;
      carol.storeDelay = storeDelay;
      const waiting = new Map(sizes.map((size, i) => [i, bytesOf(size, i)]));
      const sent = [...waiting.values()];
      for (let round = 0; round < 30 && waiting.size > 0; round++) {
        const ids = new Map([...waiting].map(([i, bytes]) => [deposit(alice, carol, bob, bytes), i]));
        if (world.chance.happens(0.5)) world.connect(bob, carol);
        world.run(world.chance.between(1_000, 60_000));
        for (const [id, i] of ids) if (alice.told.includes(`deposited ${id}`)) waiting.delete(i);
        if (world.chance.happens(0.3)) world.part(alice, carol);
        if (world.chance.happens(0.3)) world.part(bob, carol);
      }
      world.loss = 0;
      if (!alice.links.has(carol.hashname)) world.connect(alice, carol);
      world.connect(bob, carol);
      for (const bytes of waiting.values()) deposit(alice, carol, bob, bytes);
      world.run(200_000);
      const got = new Set(bob.messages.map((m) => m.id));
      const box = boxId(portable, alice.hashname, bob.hashname);
      for (const bytes of sent) expect(got).toContain(messageId(portable, box, bytes));
      expect(carol.store.stats().messages).toBe(0);
    }),
    { numRuns: 25 },
  );
});
