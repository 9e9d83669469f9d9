import { concat, toHex, utf8 } from "restante/protocol";
import { Chance } from "restante/testing";
import { describe, expect, test } from "vitest";
import {
  acknowledgedBy,
  type Cid,
  chatMessage,
  chatOf,
  encodeAddress,
  encodeEnvelope,
  encrypt,
  extend,
  type Identity,
  identityFromSeed,
  type Message,
  magicId,
  momentOf,
  offlineAck,
  type PeerId,
  type PointerRecord,
  pointerKey,
  seal,
  sealedMessage,
  split,
  TYPES,
  topicOf,
} from "../format/index.ts";
import type { Answer, Contact } from "./effects.ts";
import { Retrieve, type RetrieveInput, type RetrieveOutput } from "./retrieve.ts";

const chance = new Chance(5);
const random = (length: number): Uint8Array => Uint8Array.from({ length }, () => chance.between(0, 255));
const [me, alice, bob] = [1, 2, 3].map((byte) => identityFromSeed(new Uint8Array(32).fill(byte))) as [
  Identity,
  Identity,
  Identity,
];
const node: Contact = { id: bob.id, publicKey: bob.publicKey };
const T = 1_700_000_000_000;
const chat = (text: string): Message => chatMessage({ text, subject: "", time: momentOf(T) }) as Message;
const sealed = (message: Message, from = alice): Uint8Array =>
  seal(from, me.publicKey, message, random) ?? new Uint8Array();
const addressOf = (content: Uint8Array): Uint8Array =>
  encodeAddress({ type: "ipfs", cid: split(content)[0]?.cid as Cid });
const pointerTo = (content: Uint8Array, size = content.length): PointerRecord => ({
  id: magicId(content),
  address: addressOf(content),
  size,
});
const NOBODY = magicId(utf8("nobody"));
const nowhere = (n: number): PointerRecord => ({
  id: NOBODY,
  address: concat(Uint8Array.of(0xa5, 3, 34, 0x12, 0x20), new Uint8Array(29), Uint8Array.of(n, n >> 8, n >> 16)),
  size: 100,
});

/** A recipient whose world is a list of pointers and what they lead to. */
class Reader {
  readonly machine: Retrieve;
  readonly contents = new Map<string, Uint8Array>();
  readonly out: RetrieveOutput[] = [];
  readonly store = new Map<string, Uint8Array>();
  now = T;
  dht: PointerRecord[] = [];
  pushed: PointerRecord[] = [];
  asked = 3;
  taken: (message: Message) => "done" | "early" | "refused" = () => "done";
  /** Answers before the last. */
  pages: (effect: RetrieveOutput) => Answer[] = () => [];

  constructor(nodes: readonly Contact[] = [], records: Iterable<readonly [string, Uint8Array]> = [], lookMs = {}) {
    this.machine = new Retrieve({ identity: me, nodes, lookMs }, records);
  }

  put(content: Uint8Array, where: "dht" | "pushed" = "dht"): void {
    this.contents.set(toHex(addressOf(content)), content);
    this[where].push(pointerTo(content));
  }

  give(input: RetrieveInput): void {
    const queue: RetrieveInput[] = [input];
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      for (const effect of this.machine.handle(next, this.now)) {
        this.out.push(effect);
        if (effect.type === "save") {
          if (effect.value === undefined) this.store.delete(effect.key);
          else this.store.set(effect.key, effect.value);
        }
        if (effect.type === "offer") queue.push({ type: "taken", id: effect.id, result: this.taken(effect.message) });
        queue.push(...this.pages(effect));
        const answer = this.answer(effect);
        if (answer !== undefined) queue.push(answer);
      }
    }
  }

  answer(effect: RetrieveOutput): Answer | undefined {
    if (effect.type === "lookup") {
      const pointers = effect.at === "dht" ? this.dht : this.pushed;
      return { type: "found", id: effect.id, pointers, last: { asked: this.asked } };
    }
    if (effect.type === "fetch")
      return { type: "content", id: effect.id, content: this.contents.get(toHex(effect.address)) };
    return effect.type === "withdraw" ? { type: "provided", id: effect.id, took: 1 } : undefined;
  }

  run(ms: number): void {
    const end = this.now + ms;
    for (let at = this.machine.deadline(); at !== undefined && at <= end; at = this.machine.deadline()) {
      this.now = Math.max(this.now, at);
      this.give({ type: "tick" });
    }
    this.now = end;
  }

  of<K extends RetrieveOutput["type"]>(type: K): (RetrieveOutput & { type: K })[] {
    return this.out.filter((effect): effect is RetrieveOutput & { type: K } => effect.type === type);
  }

  get texts(): (string | undefined)[] {
    return this.of("offer").map(({ message }) => chatOf(message)?.text);
  }
}

describe("looking", () => {
  test("[D48] at the start everywhere and in the DHT again soon, then push nodes each minute and the DHT each hour", () => {
    const reader = new Reader([node]);
    reader.give({ type: "start" });
    const looks = () => reader.of("lookup").map(({ at }) => (at === "dht" ? "dht" : "node"));
    expect(looks()).toEqual(["node", "dht"]);
    reader.run(30_000);
    expect(looks()).toEqual(["node", "dht", "dht"]);
    reader.run(3_600_000);
    expect(looks().filter((at) => at === "node")).toHaveLength(1 + 60);
    expect(looks().filter((at) => at === "dht")).toHaveLength(3);
    reader.give({ type: "scan" });
    expect(looks()).toHaveLength(61 + 3 + 2);
    expect(reader.of("subscribe").map(({ topic }) => topic)).toEqual([topicOf(pointerKey(me.id))]);
  });

  test("[D48] how often it looks can be set, each for itself, but not to without end", () => {
    const looks = (lookMs: { node?: number; dht?: number }) => {
      const reader = new Reader([node], [], lookMs);
      reader.give({ type: "start" });
      reader.run(3_600_000);
      const [dht, pushed] = [reader.of("lookup").filter(({ at }) => at === "dht"), reader.of("lookup")];
      return [pushed.length - dht.length, dht.length];
    };
    expect(looks({ node: 600_000 })).toEqual([1 + 6, 2]);
    expect(looks({ dht: 600_000 })).toEqual([1 + 60, 2 + 5]);
    expect(looks({ node: 0 })).toEqual([1 + 3600, 2]);
  });

  test("when nobody answered, that is no empty box: it is asked again within minutes", () => {
    const reader = new Reader();
    reader.asked = 0;
    reader.give({ type: "start" });
    reader.run(10 * 60_000);
    expect(reader.of("lookup").length).toBeGreaterThanOrEqual(4);
    reader.run(24 * 3_600_000);
    expect(reader.of("lookup").length).toBeLessThan(60);
  });
});

describe("downloading", () => {
  test("[X27] a content is downloaded once, however many point to it, also after a restart", () => {
    const reader = new Reader([node]);
    const content = sealed(chat("hello"));
    reader.put(content);
    reader.put(content, "pushed");
    reader.dht.push({ ...pointerTo(content), id: magicId(utf8("forged")) });
    reader.give({ type: "start" });
    reader.give({ type: "heard", topic: topicOf(pointerKey(me.id)), data: content });
    reader.run(3_600_000);
    expect(reader.of("fetch")).toHaveLength(1);
    expect(reader.texts).toEqual(["hello"]);
    const again = new Reader([node], reader.store);
    again.put(content);
    again.give({ type: "start" });
    again.run(3_600_000);
    expect(again.of("fetch")).toEqual([]);
    expect(again.of("offer")).toEqual([]);
    // The same signed message in another ciphertext is the same message.
    again.put(encrypt(me.publicKey, encodeEnvelope(alice, chat("hello")), random) ?? new Uint8Array());
    again.give({ type: "scan" });
    expect(again.of("fetch")).toHaveLength(1);
    expect(again.of("offer")).toEqual([]);
  });

  test("five dead pointers, and five more that hang, do not stop what comes behind them", () => {
    const reader = new Reader();
    for (let n = 0; n < 5; n++) reader.dht.push(nowhere(n));
    reader.put(sealed(chat("sixth")));
    reader.give({ type: "start" });
    expect(reader.texts).toEqual(["sixth"]);
    // Web servers that never answer take three of the five places.
    const hanging = new Reader();
    for (let n = 0; n < 5; n++)
      hanging.dht.push({ ...nowhere(n), address: encodeAddress({ type: "https", url: `https://example.org/${n}` }) });
    hanging.put(sealed(chat("sixth")));
    const answer = hanging.answer.bind(hanging);
    hanging.answer = (effect) =>
      effect.type === "fetch" && !hanging.contents.has(toHex(effect.address)) ? undefined : answer(effect);
    hanging.give({ type: "start" });
    expect(hanging.texts).toEqual(["sixth"]);
    expect(hanging.of("fetch")).toHaveLength(4);
  });

  test("a pointer to nowhere is tried a few times, ever more rarely, and then left", () => {
    const reader = new Reader();
    reader.dht.push(nowhere(1));
    reader.give({ type: "start" });
    reader.run(3_600_000);
    const first = reader.of("fetch").length;
    reader.run(7 * 3_600_000);
    const later = reader.of("fetch").length;
    expect(first).toBeGreaterThan(2);
    expect(later).toBeLessThanOrEqual(8);
  });

  test("nothing above 4 MiB is downloaded, and never more than a pointer says", () => {
    const reader = new Reader();
    const content = sealed(chat("x"));
    reader.dht.push(pointerTo(content, 4 * 1024 * 1024 + 1), { ...nowhere(1), address: utf8("no address") });
    reader.dht.push({ ...nowhere(2), size: 777 });
    reader.give({ type: "start" });
    expect(reader.of("fetch").map(({ limit }) => limit)).toEqual([777]);
    expect(reader.machine.stats.badPointers).toBe(2);
  });

  test("100,000 pointers of strangers are looked at in bounds, and do not keep our own mail for long", () => {
    const reader = new Reader();
    reader.dht = Array.from({ length: 100_000 }, (_, n) => nowhere(n));
    const content = sealed(chat("hello"));
    reader.contents.set(toHex(addressOf(content)), content);
    reader.dht.splice(1900, 0, pointerTo(content)); // a node keeps 2000 below a key
    reader.give({ type: "start" });
    expect(reader.of("fetch").length).toBeLessThanOrEqual(605);
    reader.run(3 * 3_600_000);
    expect(reader.texts).toEqual(["hello"]);
    expect(reader.of("fetch").length).toBeLessThan(40_000);
  });

  test("[D49] what does not decrypt is dropped quietly, and not looked at again", () => {
    const reader = new Reader();
    const other = seal(alice, bob.publicKey, chat("not for us"), random) ?? new Uint8Array();
    reader.put(other);
    reader.put(random(55));
    reader.give({ type: "start" });
    reader.run(5 * 3_600_000);
    expect(reader.of("fetch")).toHaveLength(2);
    expect(reader.of("offer")).toEqual([]);
    expect(reader.of("acknowledge")).toEqual([]);
    expect(reader.machine.stats.refused).toBe(2);
  });
});

describe("taking", () => {
  test("[X26] the save comes first, then the acknowledgement; an OFFLINE_ACK gets none", () => {
    const reader = new Reader();
    const content = sealed(chat("hello"));
    reader.put(content);
    reader.put(sealed(offlineAck(magicId(utf8("ours")))));
    reader.give({ type: "start" });
    const kinds = reader.out.map(({ type }) => type);
    expect(kinds.indexOf("save")).toBeLessThan(kinds.indexOf("acknowledge"));
    expect(kinds.indexOf("save")).toBeLessThan(kinds.indexOf("offer"));
    expect(reader.of("acknowledge")).toMatchObject([{ to: { id: alice.id }, magic: magicId(content) }]);
    expect(reader.of("acknowledged")).toMatchObject([{ from: alice.id, magic: magicId(utf8("ours")) }]);
    expect(acknowledgedBy(chat("x"))).toBeUndefined();
  });

  test("a pointer that is still there half a day later is acknowledged again, not each time that it is seen", () => {
    const reader = new Reader();
    reader.put(sealed(chat("hello")));
    reader.give({ type: "start" });
    reader.run(11 * 3_600_000);
    expect(reader.of("acknowledge")).toHaveLength(1);
    reader.run(15 * 3_600_000);
    expect(reader.of("acknowledge")).toHaveLength(3);
    expect(reader.texts).toEqual(["hello"]);
  });

  test("what the sender wrote inside withdraws the pointer, after the save", () => {
    const reader = new Reader([node]);
    const preimage = random(32);
    const message = extend(chat("hello"), { recipient: me.id, id: random(16), time: T, preimage });
    const content = sealed(message);
    reader.put(content, "pushed");
    reader.give({ type: "start" });
    expect(reader.of("withdraw")).toMatchObject([
      { at: "dht", pointer: magicId(content), preimage },
      { at: node, pointer: magicId(content), preimage },
    ]);
    const kinds = reader.out.map(({ type }) => type);
    expect(kinds.indexOf("save")).toBeLessThan(kinds.indexOf("withdraw"));
  });

  test("[D49] what is early is offered again in the order of its type, when something else was taken", () => {
    const reader = new Reader();
    const order = (type: number): Message => ({ type, payload: { typeUrl: "x", value: random(4) } });
    reader.taken = (message) => (message.type === TYPES.ORDER ? "done" : "early");
    for (const type of [TYPES.REFUND, TYPES.ORDER_CONFIRMATION, TYPES.ORDER_CANCEL]) reader.put(sealed(order(type)));
    reader.give({ type: "start" });
    expect(reader.of("offer")).toHaveLength(3);
    expect(reader.machine.stats.waiting).toBe(3);
    reader.taken = () => "done";
    reader.give({ type: "received", from: { id: alice.id, publicKey: alice.publicKey }, message: order(TYPES.ORDER) });
    expect(reader.of("offer").map(({ message }) => message.type)).toEqual([
      TYPES.REFUND,
      TYPES.ORDER_CONFIRMATION,
      TYPES.ORDER_CANCEL,
      TYPES.ORDER,
      TYPES.ORDER_CANCEL,
      TYPES.ORDER_CONFIRMATION,
      TYPES.REFUND,
    ]);
    expect([...reader.store.keys()].filter((key) => key.startsWith("bazaar/in/"))).toEqual([]);
  });

  test("what waits outlives a restart, in the same order, and a sender may have 64 waiting: the rest is not acknowledged", () => {
    const reader = new Reader();
    reader.taken = () => "early";
    for (let n = 0; n < 70; n++)
      reader.put(sealed({ type: TYPES.ORDER_CANCEL, payload: { typeUrl: `${n}`, value: random(3) } }));
    reader.put(sealed({ type: TYPES.ORDER, payload: { typeUrl: "bob", value: random(3) } }, bob));
    reader.give({ type: "start" });
    expect(reader.machine.stats.waiting).toBe(65);
    expect(reader.of("acknowledge")).toHaveLength(65);
    const again = new Reader([], reader.store);
    again.contents.clear();
    for (const [address, content] of reader.contents) again.contents.set(address, content);
    again.dht = reader.dht;
    again.give({ type: "start" });
    expect(again.of("offer")[0]?.message.type).toBe(TYPES.ORDER);
    again.run(20 * 60_000);
    expect(again.of("offer")).toHaveLength(71); // there is room for the other six now
  });

  test("a banned sender is dropped at every entrance", () => {
    const reader = new Reader();
    const contact: Contact = { id: alice.id, publicKey: alice.publicKey };
    reader.give({ type: "banned", peers: [alice.id] });
    reader.put(sealed(chat("pointer")));
    reader.put(sealed(offlineAck(magicId(utf8("a")))));
    reader.give({ type: "start" });
    reader.give({ type: "heard", topic: topicOf(pointerKey(me.id)), data: sealed(chat("topic")) });
    reader.give({ type: "received", from: contact, message: chat("stream") });
    reader.give({ type: "received", from: contact, message: offlineAck(magicId(utf8("b"))) });
    reader.give({ type: "received", from: contact, message: { type: TYPES.PING, requestId: 4 } });
    const relayed = { type: TYPES.OFFLINE_RELAY, payload: { typeUrl: "", value: sealed(chat("relay")) } };
    reader.give({ type: "received", from: { id: bob.id, publicKey: bob.publicKey }, message: relayed });
    for (const type of ["offer", "acknowledge", "acknowledged", "reply", "fleeting"] as const)
      expect(reader.of(type), type).toEqual([]);
    reader.give({ type: "banned", peers: [] });
    reader.give({ type: "received", from: contact, message: chat("again") });
    expect(reader.texts).toEqual(["again"]);
  });

  test("online: a request is answered after the save, the same message again is answered and not shown", () => {
    const reader = new Reader();
    const from: Contact = { id: alice.id, publicKey: alice.publicKey };
    const message = extend(sealedMessage(random(10)), { recipient: me.id, id: random(16), time: T });
    reader.give({ type: "received", from, message: { ...message, requestId: 7 } });
    reader.give({ type: "received", from, message: { ...message, requestId: 8 } });
    expect(reader.of("offer")).toMatchObject([{ way: "online", from: alice.id, extension: { recipient: me.id } }]);
    expect(reader.of("reply").map((reply) => reply.message)).toEqual([
      { type: TYPES.SEALED, requestId: 7, isResponse: true },
      { type: TYPES.SEALED, requestId: 8, isResponse: true },
    ]);
    const kinds = reader.out.map(({ type }) => type);
    expect(kinds.indexOf("save")).toBeLessThan(kinds.indexOf("reply"));
    reader.put(sealed(message)); // and its offline copy
    reader.give({ type: "start" });
    expect(reader.of("offer")).toHaveLength(1);
    expect(reader.of("acknowledge")).toHaveLength(1);
  });

  test("what is for somebody else, of unknown type, or a part of the push role is refused and counted", () => {
    const reader = new Reader();
    const from: Contact = { id: alice.id, publicKey: alice.publicKey };
    const elsewhere = extend(chat("x"), { recipient: bob.id, id: random(16), time: T });
    for (const message of [
      elsewhere,
      { type: 4711 },
      { type: TYPES.STORE },
      { type: TYPES.BLOCK },
      { type: TYPES.ERROR },
    ])
      reader.give({ type: "received", from, message });
    reader.put(sealed({ type: 4711 }));
    reader.put(sealed(elsewhere));
    reader.give({ type: "start" });
    expect(reader.of("offer")).toEqual([]);
    expect(reader.of("acknowledge")).toEqual([]);
    expect(reader.machine.stats.refused).toBe(7);
    reader.give({ type: "received", from: { id: alice.id as PeerId }, message: chat("who is it?") });
    expect(reader.of("offer")).toEqual([]);
  });

  test("a flood on the topic is heard in part, and only of our topic", () => {
    const reader = new Reader();
    const topic = topicOf(pointerKey(me.id));
    for (let n = 0; n < 500; n++) reader.give({ type: "heard", topic, data: concat(utf8(`${n}`), new Uint8Array(60)) });
    expect(reader.machine.stats.refused).toBe(100);
    reader.now += 60_000;
    reader.give({ type: "heard", topic: `${topic}x`, data: sealed(chat("elsewhere")) });
    reader.give({ type: "heard", topic, data: sealed(chat("hello")) });
    expect(reader.texts).toEqual(["hello"]);
  });
});

describe("what others would have it do", () => {
  const DAY = 86_400_000;
  const sealedFor = (n: number, time: number): Message =>
    extend(sealedMessage(Uint8Array.of(n)), { recipient: me.id, id: random(16), time });

  test("what was early for want of room or of a budget is offered again by time alone, ever more rarely", () => {
    const reader = new Reader();
    let isFull = true;
    reader.taken = () => (isFull ? "early" : "done");
    reader.put(sealed(sealedFor(1, T)));
    reader.give({ type: "start" });
    const offers: number[] = [];
    for (let hour = 0; hour < 24; hour++) {
      const before = reader.of("offer").length;
      reader.run(3_600_000);
      offers.push(reader.of("offer").length - before);
    }
    expect(offers[0]).toBeGreaterThan(2);
    expect(offers.slice(2).every((count) => count === 1)).toBe(true);
    isFull = false;
    reader.run(2 * 3_600_000);
    expect(reader.machine.stats.waiting).toBe(0);
  });

  test("strangers who fill what waits, as many as they are, leave room for contacts", () => {
    const reader = new Reader();
    reader.give({ type: "start" });
    reader.give({ type: "contacts", peers: [alice.id] });
    reader.taken = (message) => (message.payload?.value[0] === 1 ? "done" : "early");
    for (let n = 0; n < 20; n++) {
      const stranger = identityFromSeed(new Uint8Array(32).fill(100 + n));
      for (let i = 0; i < 64; i++)
        reader.give({
          type: "received",
          from: { id: stranger.id, publicKey: stranger.publicKey },
          message: sealedFor(2, T),
        });
    }
    expect(reader.machine.stats.waiting).toBe(300);
    reader.put(sealed(sealedFor(1, T)));
    reader.give({ type: "scan" });
    expect(reader.of("offer").filter(({ from }) => from === alice.id)).toHaveLength(1);
    // One who was a stranger when he wrote takes the place of a contact from now on, and gives his own back.
    reader.give({ type: "contacts", peers: [alice.id, identityFromSeed(new Uint8Array(32).fill(100)).id] });
    const more = identityFromSeed(new Uint8Array(32).fill(200));
    const from = { id: more.id, publicKey: more.publicKey };
    for (let i = 0; i < 70; i++) reader.give({ type: "received", from, message: sealedFor(2, T) });
    expect(reader.machine.stats.waiting).toBe(364);
  });

  test("[X27] recorded bytes are not shown again when it is forgotten that they were; what is from the future waits", () => {
    const reader = new Reader();
    const recorded = sealed(extend(chat("pay"), { recipient: me.id, id: random(16), time: T }));
    reader.put(recorded);
    reader.give({ type: "start" });
    expect(reader.texts).toEqual(["pay"]);
    reader.dht = [];
    reader.run(45 * DAY);
    expect([...reader.store.keys()]).toEqual([]);
    reader.put(recorded);
    reader.give({ type: "scan" });
    reader.run(DAY);
    expect(reader.texts).toEqual(["pay"]);
    expect(reader.machine.stats.refused).toBe(1);
    const early = extend(chat("tomorrow"), { recipient: me.id, id: random(16), time: reader.now + 2 * DAY });
    reader.put(sealed(early));
    reader.give({ type: "scan" });
    expect(reader.texts).toEqual(["pay"]);
    reader.run(2 * DAY);
    expect(reader.texts).toEqual(["pay", "tomorrow"]);
  });

  test("a web address that answers with another page, as networks with a log-in do, is tried again", () => {
    const reader = new Reader();
    const content = sealed(chat("hello"));
    const address = encodeAddress({ type: "https", url: "https://store.example/abc" });
    reader.contents.set(toHex(address), utf8("<html>please log in</html>"));
    reader.dht.push({ id: magicId(content), address, size: content.length });
    reader.give({ type: "start" });
    reader.run(3_600_000);
    expect(reader.texts).toEqual([]);
    expect(reader.machine.stats.missed).toBeGreaterThan(0);
    reader.contents.set(toHex(address), content);
    reader.run(DAY);
    expect(reader.texts).toEqual(["hello"]);
  });
});

test("nodes near the key that answer first, and with much that leads nowhere, hide nothing that others have", () => {
  const reader = new Reader();
  reader.put(sealed(chat("hello")));
  const hidden = reader.dht;
  reader.dht = [];
  let made = 0;
  const dead = (): PointerRecord[] => Array.from({ length: 64 }, () => nowhere(made++));
  reader.pages = (effect) => {
    if (effect.type !== "lookup" || effect.at !== "dht") return [];
    const { id } = effect;
    const pages = Array.from({ length: 180 }, (_, page): Answer => {
      return { type: "found", id, by: `liar ${page % 18}` as PeerId, pointers: dead() };
    });
    return [...pages, { type: "found", id, by: alice.id, pointers: [...dead(), ...hidden] }];
  };
  reader.give({ type: "start" });
  reader.run(4 * 3_600_000);
  expect(reader.texts).toEqual(["hello"]);
  expect(reader.of("fetch").length).toBeLessThanOrEqual(25 * 600); // retries, too: 600 in ten minutes
});
