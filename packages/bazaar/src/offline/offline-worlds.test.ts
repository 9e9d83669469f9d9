import { sha256 } from "@noble/hashes/sha2.js";
import { equal, fromBase64url, fromUtf8, toHex } from "restante/protocol";
import { Chance } from "restante/testing";
import { describe, expect, test } from "vitest";
import {
  Assembly,
  blockOf,
  chatMessage,
  chatOf,
  cidOf,
  encodeAddress,
  type Identity,
  identityFromSeed,
  type Message,
  momentOf,
  open,
  type PointerRecord,
  parseAddress,
  parseMessage,
  sealedMessage,
  sealedOf,
  split,
  storedCids,
  storeMessage,
} from "../format/index.ts";
import { IN_PREFIX } from "./arrivals.ts";
import type { Answer, Contact, Effect, Place } from "./effects.ts";
import { OUT_PREFIX, Outgoing, type OutgoingInput, type OutgoingOutput } from "./outgoing.ts";
import { parsePosting } from "./posting.ts";
import { Retrieve, type RetrieveInput, type RetrieveOutput } from "./retrieve.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

interface Faults {
  /** Of everything that goes over the network. */
  readonly loss: number;
  /** That what arrived is reported as lost. */
  readonly silence: number;
  /** That a peer crashes around a commit. */
  readonly crash: number;
}

/** A pointer store with what lies in it, and a push node with its blocks: both only remember. */
class Keeper {
  readonly pointers = new Map<string, Map<string, { pointer: PointerRecord; until: number }>>();
  readonly blocks = new Map<string, Uint8Array>();
  isUp = true;

  provide(key: Uint8Array, pointer: PointerRecord, now: number): void {
    const bucket = this.pointers.get(toHex(key)) ?? new Map();
    this.pointers.set(toHex(key), bucket.set(toHex(pointer.id), { pointer, until: now + 7 * DAY }));
  }

  withdraw(key: Uint8Array, id: Uint8Array, preimage: Uint8Array): number {
    const bucket = this.pointers.get(toHex(key));
    const kept = bucket?.get(toHex(id));
    if (kept?.pointer.withdraw === undefined || !equal(sha256(preimage), kept.pointer.withdraw)) return 0;
    bucket?.delete(toHex(id));
    return 1;
  }

  find(key: Uint8Array, now: number): PointerRecord[] {
    const bucket = [...(this.pointers.get(toHex(key))?.values() ?? [])];
    return bucket.filter(({ until }) => until > now).map(({ pointer }) => pointer);
  }
}

class World {
  now = 1_700_000_000_000;
  readonly chance: Chance;
  readonly faults: Faults;
  readonly dht = new Keeper();
  readonly nodes = new Map<string, Keeper>();
  readonly peers = new Map<string, Peer>();
  /** What was asked of the world, by kind. */
  readonly counts = new Map<string, number>();
  #events: { at: number; run: () => void }[] = [];

  constructor(seed: number, faults: Partial<Faults> = {}) {
    this.chance = new Chance(seed);
    this.faults = { loss: 0, silence: 0, crash: 0, ...faults };
  }

  peer(seed: number, options: PeerOptions = {}): Peer {
    const peer = new Peer(this, identityFromSeed(new Uint8Array(32).fill(seed)), options);
    this.peers.set(peer.identity.id, peer);
    return peer;
  }

  node(seed: number): Contact {
    const { id, publicKey } = identityFromSeed(new Uint8Array(32).fill(seed));
    this.nodes.set(id, new Keeper());
    return { id, publicKey };
  }

  soon(run: () => void, delay = this.chance.between(5, 400)): void {
    this.#events.push({ at: this.now + delay, run });
  }

  isLost(): boolean {
    return this.chance.happens(this.faults.loss);
  }

  run(duration: number, until: () => boolean = () => false): void {
    const end = this.now + duration;
    while (!until()) {
      const due = [...this.peers.values()].flatMap((peer) => peer.deadline() ?? []);
      this.#events.sort((a, b) => a.at - b.at);
      const at = Math.max(this.now, Math.min(end, ...due, this.#events[0]?.at ?? end));
      this.now = at;
      if (at >= end) return;
      const event = this.#events[0];
      if (event !== undefined && event.at <= at) {
        this.#events.shift();
        event.run();
      } else for (const peer of this.peers.values()) peer.tick();
    }
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  keeper(at: Place): Keeper | undefined {
    return at === "dht" ? this.dht : this.nodes.get(at.id);
  }
}

interface PeerOptions {
  readonly nodes?: readonly Contact[];
  /** What the application says to an offer. */
  readonly taken?: (message: Message, peer: Peer) => "done" | "early" | "refused";
}

class Peer {
  readonly world: World;
  readonly identity: Identity;
  readonly options: PeerOptions;
  readonly store = new Map<string, Uint8Array>();
  readonly files = new Map<string, Uint8Array>();
  readonly blocks = new Map<string, Uint8Array>();
  /** What the application was shown, in its order; part of the store. */
  shown: { from: string; message: Message; extended: boolean }[] = [];
  readonly progress: string[] = [];
  /** Magic ids whose delivery was committed: nothing of them may be published any more. */
  readonly over = new Set<string>();
  life = 0;
  crashes = 0;
  machines: { outgoing: Outgoing; retrieve: Retrieve } | undefined;
  /** Effects of the peer, in their order. */
  readonly log: (Effect | RetrieveOutput | OutgoingOutput)[] = [];

  constructor(world: World, identity: Identity, options: PeerOptions) {
    this.world = world;
    this.identity = identity;
    this.options = options;
  }

  get contact(): Contact {
    return { id: this.identity.id, publicKey: this.identity.publicKey };
  }

  get texts(): string[] {
    return this.shown.map(
      ({ message }) => chatOf(message)?.text ?? `sealed ${toHex(sealedOf(message) ?? new Uint8Array())}`,
    );
  }

  wake(): this {
    if (this.machines !== undefined) return this;
    this.life++;
    const nodes = this.options.nodes ?? [];
    const records = [...this.store];
    const out = records.filter(([key]) => key.startsWith(OUT_PREFIX));
    const random = (length: number) => Uint8Array.from({ length }, () => this.world.chance.between(0, 255));
    this.machines = {
      outgoing: new Outgoing({ identity: this.identity, random, nodes }, out),
      retrieve: new Retrieve({ identity: this.identity, nodes }, records),
    };
    this.turn({ outgoing: [{ type: "start" }], retrieve: [{ type: "start" }] });
    return this;
  }

  sleep(): this {
    this.life++;
    this.machines = undefined;
    return this;
  }

  deadline(): number | undefined {
    const times = [this.machines?.outgoing.deadline(), this.machines?.retrieve.deadline()];
    const known = times.filter((time) => time !== undefined);
    return known.length === 0 ? undefined : Math.min(...known);
  }

  tick(): void {
    const { now } = this.world;
    if ((this.machines?.outgoing.deadline() ?? Infinity) <= now) this.turn({ outgoing: [{ type: "tick" }] });
    if ((this.machines?.retrieve.deadline() ?? Infinity) <= now) this.turn({ retrieve: [{ type: "tick" }] });
  }

  say(to: Peer, text: string, options: Partial<OutgoingInput & { type: "send" }> = {}): void {
    const message = chatMessage({ text, subject: "", time: momentOf(this.world.now) }) as Message;
    this.send(to, `m${text.replace(/[^a-z0-9]/g, "")}`, message, options);
  }

  send(to: Peer, ref: string, message: Message, options: Partial<OutgoingInput & { type: "send" }> = {}): void {
    this.turn({ outgoing: [{ type: "send", ref, to: to.contact, message, ...options }] });
  }

  /** One turn of both machines: what they save together is one batch, and nothing leaves before it is on the disk. */
  turn(inputs: { outgoing?: OutgoingInput[]; retrieve?: RetrieveInput[] }): void {
    const { machines, world } = this;
    if (machines === undefined) return;
    const saves: (Effect & { type: "save" })[] = [];
    const later: { effect: Effect; machine: "outgoing" | "retrieve" }[] = [];
    const after: (() => void)[] = [];
    const shown: typeof this.shown = [];
    const queue: { machine: "outgoing" | "retrieve"; input: OutgoingInput | RetrieveInput }[] = [
      ...(inputs.outgoing ?? []).map((input) => ({ machine: "outgoing" as const, input })),
      ...(inputs.retrieve ?? []).map((input) => ({ machine: "retrieve" as const, input })),
    ];
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { machine } = next;
      const out: (RetrieveOutput | OutgoingOutput)[] =
        machine === "outgoing"
          ? machines.outgoing.handle(next.input as OutgoingInput, world.now)
          : machines.retrieve.handle(next.input as RetrieveInput, world.now);
      for (const effect of out) {
        this.log.push(effect);
        switch (effect.type) {
          case "save":
            saves.push(effect);
            break;
          case "offer": {
            const result = this.options.taken?.(effect.message, this) ?? "done";
            const { from, message } = effect;
            if (result === "done") shown.push({ from, message, extended: effect.extension !== undefined });
            queue.push({ machine: "retrieve", input: { type: "taken", id: effect.id, result } });
            break;
          }
          case "acknowledge":
          case "acknowledged":
            queue.push({ machine: "outgoing", input: effect });
            break;
          case "fleeting":
            break;
          case "progress":
            after.push(() => this.#progressed(effect));
            break;
          case "reply":
            after.push(() => world.peers.get(effect.to.id)?.answered(effect.message));
            break;
          default:
            later.push({ effect, machine });
        }
      }
    }
    if (world.chance.happens(world.faults.crash)) return this.#crash(); // the batch is lost, and nothing has left
    for (const { key, value } of saves) {
      if (value === undefined) this.store.delete(key);
      else this.store.set(key, value);
      if (key.startsWith(OUT_PREFIX)) this.#follow(key, value);
    }
    this.shown.push(...shown);
    if (world.chance.happens(world.faults.crash)) return this.#crash(); // saved, and nothing has left
    for (const run of after) run();
    for (const { effect, machine } of later) this.#perform(effect, machine);
  }

  readonly #magics = new Map<string, string>();

  #follow(key: string, value: Uint8Array | undefined): void {
    const posting = value && parsePosting(value);
    if (posting?.stored !== undefined) this.#magics.set(key, toHex(posting.stored.magic));
    if (value === undefined || posting?.isOver) this.over.add(this.#magics.get(key) ?? "");
  }

  #crash(): void {
    this.crashes++;
    this.sleep();
    this.world.soon(() => this.wake(), 30 * SECOND);
  }

  #progressed(effect: OutgoingOutput & { type: "progress" }): void {
    this.progress.push(`${effect.ref} ${effect.state}${effect.how === undefined ? "" : ` ${effect.how}`}`);
    if (effect.state !== "delivered") return;
    // Committed before acknowledged: what is called delivered is on the recipient's disk.
    const stored = [...this.world.peers.values()]
      .filter((peer) => peer !== this)
      .flatMap((peer) => peer.has(effect.ref));
    if (effect.how === "acknowledged") expect(stored, effect.ref).toContain(true);
  }

  /** Whether a message of this name is in the store: shown, or waiting to be. */
  has(ref: string): boolean {
    const waiting = [...this.store].filter(([key]) => key.startsWith(IN_PREFIX));
    const messages = waiting.map(([, value]) => {
      const { message } = JSON.parse(fromUtf8(value) ?? "");
      return parseMessage(fromBase64url(message) ?? new Uint8Array());
    });
    const texts = messages.map((message) => message && chatOf(message)?.text);
    return [...this.texts, ...texts].some((text) => `m${text?.replace(/[^a-z0-9]/g, "")}` === ref);
  }

  readonly #requests = new Map<number, (message: Message | undefined) => void>();
  #nextRequest = 1;

  answered(message: Message): void {
    const { world } = this;
    if (!world.isLost()) world.soon(() => this.#requests.get(message.requestId ?? 0)?.(message));
  }

  #perform(effect: Effect, machine: "outgoing" | "retrieve"): void {
    const { world, life } = this;
    world.count(effect.type);
    const answer = (value: Answer, delay?: number): void => {
      world.soon(() => {
        if (this.life !== life) return;
        if (machine === "outgoing") this.turn({ outgoing: [value] });
        else this.turn({ retrieve: [value] });
      }, delay);
    };
    switch (effect.type) {
      case "put":
        expect(toHex(sha256(effect.content))).toBe(effect.name);
        for (const block of effect.blocks) {
          expect(cidOf(block.bytes)).toBe(block.cid);
          this.blocks.set(block.cid, block.bytes);
        }
        this.files.set(effect.name, effect.content);
        return answer({
          type: "stored",
          id: effect.id,
          address: encodeAddress({ type: "ipfs", cid: cidOf(effect.blocks[0]?.bytes ?? new Uint8Array()) }),
        });
      case "get":
        return answer({ type: "content", id: effect.id, content: this.files.get(effect.name) });
      case "remove": {
        const content = this.files.get(effect.name);
        for (const { cid } of content === undefined ? [] : split(content)) this.blocks.delete(cid);
        this.files.delete(effect.name);
        return answer({ type: "removed", id: effect.id, ok: true });
      }
      case "send":
      case "request":
        return this.#send(effect, answer);
      case "find-key": {
        const publicKey = world.isLost() ? undefined : world.peers.get(effect.peer)?.identity.publicKey;
        return answer({ type: "key", id: effect.id, publicKey });
      }
      case "provide": {
        const keeper = world.keeper(effect.at);
        expect(this.over).not.toContain(toHex(effect.pointer.id)); // nothing is published after its acknowledgement
        if (!keeper?.isUp || world.isLost()) return answer({ type: "provided", id: effect.id, took: 0 });
        keeper.provide(effect.key, effect.pointer, world.now);
        const took = world.chance.happens(world.faults.silence) ? 0 : 1;
        return answer({ type: "provided", id: effect.id, took });
      }
      case "withdraw": {
        const keeper = world.keeper(effect.at);
        if (!keeper?.isUp || world.isLost()) return answer({ type: "provided", id: effect.id, took: 0 });
        const took = keeper.withdraw(effect.key, effect.pointer, effect.preimage);
        return answer({ type: "provided", id: effect.id, took });
      }
      case "lookup": {
        const keeper = world.keeper(effect.at);
        const { id } = effect;
        if (!keeper?.isUp || world.isLost()) return answer({ type: "found", id, pointers: [], last: { asked: 0 } });
        return answer({ type: "found", id, pointers: keeper.find(effect.key, world.now), last: { asked: 3 } });
      }
      case "fetch":
        return answer({ type: "content", id: effect.id, content: this.#fetch(effect) });
      case "publish":
        for (const peer of world.peers.values()) {
          if (!world.isLost())
            world.soon(() => peer.turn({ retrieve: [{ type: "heard", topic: effect.topic, data: effect.data }] }));
        }
        return;
      default:
        return;
    }
  }

  #send(effect: Effect & { type: "send" | "request" }, answer: (value: Answer, delay?: number) => void): void {
    const { world } = this;
    const { id, to, message, timeoutMs } = effect;
    expect(timeoutMs).toBeLessThanOrEqual(30_000);
    const fail = (): void =>
      effect.type === "send"
        ? answer({ type: "sent", id, ok: false }, timeoutMs)
        : answer({ type: "answered", id, message: undefined }, timeoutMs);
    const node = world.nodes.get(to.id);
    if (node !== undefined) {
      if (!node.isUp || world.isLost()) return fail();
      const block = blockOf(message);
      if (block !== undefined) node.blocks.set(block.cid, block.bytes);
      const cids = storedCids(message, 100) ?? [];
      const missing = { ...storeMessage(cids.filter((cid) => !node.blocks.has(cid))), isResponse: true };
      return answer(
        effect.type === "send" ? { type: "sent", id, ok: true } : { type: "answered", id, message: missing },
      );
    }
    const peer = world.peers.get(to.id);
    if (peer?.machines === undefined || world.isLost()) return fail();
    const requestId = effect.type === "request" ? this.#nextRequest++ : undefined;
    if (requestId !== undefined) {
      let isAnswered = false;
      this.#requests.set(requestId, (reply) => {
        if (isAnswered) return;
        isAnswered = true;
        answer({ type: "answered", id, message: reply });
      });
      world.soon(() => this.#requests.get(requestId)?.(undefined), timeoutMs);
    } else answer({ type: "sent", id, ok: !world.chance.happens(world.faults.silence) });
    const sent = requestId === undefined ? message : { ...message, requestId };
    const copies = world.chance.happens(world.faults.silence) ? 2 : 1;
    for (let i = 0; i < copies; i++)
      world.soon(() => peer.turn({ retrieve: [{ type: "received", from: this.contact, message: sent }] }));
  }

  #fetch(effect: Effect & { type: "fetch" }): Uint8Array | undefined {
    const { world } = this;
    const address = parseAddress(effect.address);
    if (address?.type !== "ipfs" || world.isLost()) return undefined;
    const assembly = new Assembly(address.cid, effect.limit);
    const places = [
      ...[...world.nodes.values()].filter(({ isUp }) => isUp),
      ...[...world.peers.values()].filter(({ machines }) => machines !== undefined),
    ];
    for (let [cid] = assembly.wanted(1); cid !== undefined; [cid] = assembly.wanted(1)) {
      const wanted = cid;
      const block = places.map(({ blocks }) => blocks.get(wanted)).find((bytes) => bytes !== undefined);
      if (block === undefined || !assembly.add(block)) return undefined;
    }
    return assembly.content();
  }
}

const pointersIn = (world: World): number =>
  [world.dht, ...world.nodes.values()]
    .flatMap(({ pointers }) => [...pointers.values()].map(({ size }) => size))
    .reduce((a, b) => a + b, 0);

describe("a world without faults", () => {
  test("[D11] an online recipient gets a message directly: no file, no pointer, no topic is touched", () => {
    const world = new World(1);
    const [alice, bob] = [world.peer(1).wake(), world.peer(2).wake()];
    alice.say(bob, "hello");
    alice.send(bob, "sealed", sealedMessage(Uint8Array.of(1, 2, 3)));
    world.run(MINUTE);
    expect(bob.texts.toSorted()).toEqual(["hello", "sealed 010203"]);
    expect(alice.progress).toContain("mhello delivered online");
    expect(alice.progress).toContain("sealed delivered online");
    for (const effect of ["put", "provide", "publish"]) expect(world.counts.get(effect), effect).toBeUndefined();
    expect([...alice.store.keys()]).toEqual([]);
  });

  test("[D22] [D23] the file that waits is the ciphertext, under the hex of its SHA-256, and of its blocks", () => {
    const world = new World(2);
    const [alice, bob] = [world.peer(1), world.peer(2)];
    alice.wake().say(bob, "hello");
    world.run(10 * MINUTE);
    const [[name, content] = ["", new Uint8Array()]] = [...alice.files];
    expect(alice.files.size).toBe(1);
    expect(name).toMatch(/^[0-9a-f]{64}$/);
    expect(name).toBe(toHex(sha256(content)));
    const opened = open(bob.identity, content);
    expect(opened?.from).toBe(alice.identity.id);
    expect(opened && chatOf(opened.message)?.text).toBe("hello");
    expect([...alice.blocks.keys()]).toEqual(split(content).map(({ cid }) => cid));
  });

  test("[D12][D19][D28] never online together: a push node holds the blocks, the acknowledgement takes all of it back", () => {
    const world = new World(2);
    const node = world.node(9);
    const [alice, bob] = [world.peer(1, { nodes: [node] }), world.peer(2, { nodes: [node] })];
    alice.wake().say(bob, "hello");
    world.run(10 * MINUTE);
    expect(alice.progress).toEqual(["mhello accepted", "mhello stored", "mhello published", "mhello pushed"]);
    expect(alice.files.size).toBe(1);
    alice.sleep();
    bob.wake();
    world.run(10 * MINUTE);
    expect(bob.texts).toEqual(["hello"]);
    expect(bob.shown[0]?.extended).toBe(true);
    bob.sleep();
    alice.wake();
    world.run(10 * MINUTE);
    expect(alice.progress.at(-1)).toBe("mhello delivered acknowledged");
    expect(alice.files.size + alice.blocks.size).toBe(0);
    expect([...alice.store.keys()].filter((key) => key.startsWith(OUT_PREFIX))).toEqual([]);
    // The acknowledgement itself is never acknowledged, and never published twice.
    const provided = world.counts.get("provide") ?? 0;
    world.run(3 * DAY);
    expect(world.counts.get("provide")).toBe(provided);
    bob.wake();
    world.run(8 * DAY);
    expect(bob.files.size).toBe(0);
    expect([...bob.store.keys()].filter((key) => key.startsWith(OUT_PREFIX))).toEqual([]);
    expect(pointersIn(world)).toBe(0);
  });

  test("[D40] a pointer is published again each 12 hours, for 30 days at most, and then the file is gone", () => {
    const world = new World(3);
    const [alice, bob] = [world.peer(1), world.peer(2)];
    alice.wake().say(bob, "hello");
    world.run(29.9 * DAY);
    expect(world.counts.get("provide")).toBe(60);
    expect(alice.files.size).toBe(1);
    world.run(2 * DAY);
    expect(world.counts.get("provide")).toBe(60);
    expect(alice.progress.at(-1)).toBe("mhello expired");
    expect(alice.files.size).toBe(0);
  });

  test("[D47] an acknowledgement counts only when it is the addressee's", () => {
    const world = new World(4);
    const [alice, bob, mallory] = [world.peer(1), world.peer(2), world.peer(3)];
    alice.wake().say(bob, "hello");
    world.run(MINUTE);
    const pointer = [...world.dht.pointers.values()].flatMap((bucket) => [...bucket.values()])[0]?.pointer;
    mallory
      .wake()
      .turn({ outgoing: [{ type: "acknowledge", to: alice.contact, magic: pointer?.id ?? new Uint8Array(34) }] });
    world.run(MINUTE);
    expect(alice.machines?.outgoing.stats).toMatchObject({ postings: 1, forgedAcks: 1 });
    expect(alice.progress.at(-1)).toBe("mhello published");
    expect(world.dht.withdraw(new Uint8Array(34), pointer?.id ?? new Uint8Array(), new Uint8Array(32))).toBe(0);
  });

  test("[D46] an online recipient that cannot be dialled gets the ciphertext from the topic, and acknowledges", () => {
    const world = new World(5);
    const [alice, bob] = [world.peer(1).wake(), world.peer(2).wake()];
    world.dht.isUp = false;
    // The dial is lost, the topic is not.
    const losses = [true];
    world.isLost = () => losses.shift() ?? false;
    alice.say(bob, "hello");
    world.run(5 * MINUTE);
    expect(bob.texts).toEqual(["hello"]);
    expect(world.counts.get("fetch")).toBeUndefined();
    expect(alice.progress.at(-1)).toBe("mhello delivered acknowledged");
  });

  test("typing is never stored, and nobody sees it later", () => {
    const world = new World(6);
    const [alice, bob] = [world.peer(1), world.peer(2)];
    const typing = chatMessage({ text: "", subject: "", time: momentOf(world.now), flag: "typing" }) as Message;
    alice.wake().send(bob, "typing", typing);
    world.run(HOUR);
    expect(alice.store.size + alice.files.size).toBe(0);
    bob.wake();
    alice.send(bob, "typing", typing);
    world.run(HOUR);
    expect(bob.log.filter(({ type }) => type === "fleeting")).toHaveLength(1);
    expect(bob.shown).toEqual([]);
  });

  test("a message above 256 KiB arrives with all of its blocks", () => {
    const world = new World(7);
    const node = world.node(9);
    const [alice, bob] = [world.peer(1, { nodes: [node] }), world.peer(2, { nodes: [node] })];
    alice.wake().send(bob, "large", sealedMessage(new Uint8Array(700_000).fill(7)));
    world.run(10 * MINUTE);
    alice.sleep();
    bob.wake();
    world.run(10 * MINUTE);
    expect(sealedOf(bob.shown[0]?.message as Message)).toHaveLength(700_000);
  });

  test("a message waits for a key that nobody knows yet, and is not lost", () => {
    const world = new World(8);
    const [alice, bob] = [world.peer(1), world.peer(2)];
    world.peers.delete(bob.identity.id);
    alice.wake().turn({
      outgoing: [
        {
          type: "send",
          ref: "mhello",
          to: { id: bob.identity.id },
          message: chatMessage({ text: "hello", subject: "", time: momentOf(world.now) }) as Message,
        },
      ],
    });
    world.run(3 * DAY);
    expect(alice.progress).toEqual(["mhello accepted"]);
    world.peers.set(bob.identity.id, bob);
    world.run(DAY);
    expect(alice.progress).toContain("mhello published");
  });
});

describe("worlds", () => {
  test.each([11, 12, 13, 14, 15, 16])(
    "[X26] world %i: peers sleep, lose, double and crash: all is delivered, shown once, committed before acknowledged",
    (seed) => {
      const world = new World(seed, { loss: 0.2, silence: 0.1, crash: 0.01 });
      const nodes = [world.node(90), world.node(91)];
      const peers = [1, 2, 3].map((one) => world.peer(one, { nodes: seed % 2 === 0 ? nodes : nodes.slice(0, 1) }));
      const expected = new Map<Peer, string[]>(peers.map((peer) => [peer, []]));
      for (let round = 0; round < 10; round++) {
        for (const peer of peers) world.chance.happens(0.5) ? peer.wake() : peer.sleep();
        for (const node of [world.dht, ...world.nodes.values()]) node.isUp = world.chance.happens(0.8);
        const from = world.chance.pick(peers);
        while (from.machines === undefined) from.wake(); // it may crash as it starts
        const to = world.chance.pick(peers.filter((peer) => peer !== from));
        const before = from.life;
        from.say(to, `round ${round}`);
        // A crash at the very commit of the sending is the caller's to see: nothing was accepted.
        if (from.life === before || from.store.has(`${OUT_PREFIX}mround${round}`))
          expected.get(to)?.push(`round ${round}`);
        world.run(world.chance.between(1, 300) * MINUTE);
      }
      for (const node of [world.dht, ...world.nodes.values()]) node.isUp = true;
      for (let day = 0; day < 3; day++) {
        for (const peer of peers) peer.wake();
        world.run(DAY);
      }
      for (const peer of peers) {
        expect(peer.texts.toSorted()).toEqual(expected.get(peer)?.toSorted());
        expect(peer.machines?.outgoing.stats.postings ?? 0).toBe(0);
      }
      expect(peers.reduce((sum, { crashes }) => sum + crashes, 0)).toBeGreaterThan(0);
    },
  );
});
