import { utf8 } from "restante/protocol";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { peerIdOf } from "../format/ids.ts";
import { pointerKey, topicOf } from "../format/pointer.ts";
import type { BazaarNode } from "./node.ts";
import { openPubsub, type Pubsub } from "./pubsub.ts";

/** "evil-7" is of the network "evil". */
const groupOf = (peer: string): string => peer.replace(/-\d+$/, "");

/** Gossip among nodes that are all connected: who listens to what, and who hears of it. */
class Gossip {
  readonly nodes = new Map<string, FakePubsub>();

  node(name: string): { node: BazaarNode; pubsub: FakePubsub } {
    const pubsub = new FakePubsub(name, this);
    this.nodes.set(name, pubsub);
    const node = { pubsub, closest: async () => [], connect: async () => true, groupOf } as unknown as BazaarNode;
    return { node, pubsub };
  }
}

class FakePubsub extends EventTarget {
  readonly topicValidators = new Map<string, unknown>();
  readonly topics = new Set<string>();
  /** How often it told others that it listens to something new. */
  told = 0;
  readonly #name: string;
  readonly #gossip: Gossip;

  constructor(name: string, gossip: Gossip) {
    super();
    this.#name = name;
    this.#gossip = gossip;
  }
  subscribe(topic: string): void {
    this.#change(topic, true);
  }
  unsubscribe(topic: string): void {
    this.#change(topic, false);
  }
  getSubscribers(topic: string): string[] {
    return [...this.#gossip.nodes].flatMap(([name, { topics }]) =>
      name !== this.#name && topics.has(topic) ? [name] : [],
    );
  }
  #change(topic: string, subscribe: boolean): void {
    if (this.topics.has(topic) === subscribe) return;
    if (subscribe) this.told += 1;
    if (subscribe) this.topics.add(topic);
    else this.topics.delete(topic);
    const detail = { peerId: this.#name, subscriptions: [{ topic, subscribe }] };
    for (const [name, other] of this.#gossip.nodes)
      if (name !== this.#name) other.dispatchEvent(Object.assign(new Event("subscription-change"), { detail }));
  }
}

const topic = (name: string): string => topicOf(pointerKey(peerIdOf(utf8(name))));
const open: Pubsub[] = [];
let gossip: Gossip;

beforeEach(() => {
  vi.useFakeTimers();
  gossip = new Gossip();
});
afterEach(() => {
  for (const each of open.splice(0)) each.stop();
  vi.useRealTimers();
});

function serving(name: string): { node: FakePubsub; pubsub: Pubsub } {
  const { node, pubsub } = gossip.node(name);
  const opened = openPubsub(node, Date.now, true);
  open.push(opened);
  return { node: pubsub, pubsub: opened };
}

test("nodes listen along as long as somebody listens for itself, and not for each other", () => {
  const nodes = ["one", "two", "three"].map((name) => serving(name).node);
  const [bob, carol] = [gossip.node("bob").pubsub, gossip.node("carol").pubsub];
  bob.subscribe(topic("bob"));
  for (const { topics } of nodes) expect([...topics]).toEqual([topic("bob")]);
  carol.subscribe(topic("bob"));
  bob.unsubscribe(topic("bob"));
  vi.advanceTimersByTime(10_000);
  // Carol is still there.
  for (const { topics } of nodes) expect([...topics]).toEqual([topic("bob")]);
  carol.unsubscribe(topic("bob"));
  vi.advanceTimersByTime(10_000);
  for (const { topics, topicValidators } of nodes) expect([topics.size, topicValidators.size]).toEqual([0, 0]);
});

test("who goes without a word is noticed, and nobody listens along any more", async () => {
  const [one, two] = [serving("one"), serving("two")];
  gossip.node("bob").pubsub.subscribe(topic("bob"));
  gossip.nodes.delete("bob");
  for (const { pubsub } of [one, two]) await pubsub.renew();
  vi.advanceTimersByTime(10_000);
  expect([one.node.topics.size, two.node.topics.size]).toEqual([0, 0]);
});

test("one peer takes at most 50 topics of a node; what others listen to still finds room", () => {
  const { node } = serving("one");
  const [mallory, bob] = [gossip.node("mallory").pubsub, gossip.node("bob").pubsub];
  for (let i = 0; i < 2000; i++) mallory.subscribe(topic(`anything ${i}`));
  expect(node.topics.size).toBe(50);
  bob.subscribe(topic("bob"));
  expect(node.topics.has(topic("bob"))).toBe(true);
  mallory.subscribe("/of/another/kind");
  expect(node.topics.has("/of/another/kind")).toBe(false);
});

test("one network takes at most 400 topics of a node, however many peers it shows", () => {
  const { node } = serving("one");
  for (let i = 0; i < 20; i++) {
    const { pubsub } = gossip.node(`evil-${i}`);
    for (let j = 0; j < 40; j++) pubsub.subscribe(topic(`anything ${i} ${j}`));
  }
  expect(node.topics.size).toBe(400);
  const { pubsub: bob } = gossip.node("bob");
  bob.subscribe(topic("bob"));
  expect(node.topics.has(topic("bob"))).toBe(true);
});

test("who begins and ceases again and again, with other topics, peers or networks, is followed as often as there is room", () => {
  const { node } = serving("one");
  const comeAndGo = (name: string, times: number): number => {
    const before = node.told;
    const { pubsub } = gossip.node(name);
    for (let i = 0; i < times; i++) {
      pubsub.subscribe(topic(`${name} ${i}`));
      pubsub.unsubscribe(topic(`${name} ${i}`));
    }
    gossip.nodes.delete(name);
    return node.told - before;
  };
  expect(comeAndGo("mallory", 200)).toBe(50);
  vi.advanceTimersByTime(10_000);
  expect(comeAndGo("mallory", 200)).toBe(10);
  let ofOne = 0;
  for (let i = 0; i < 10; i++) ofOne += comeAndGo(`evil-${i}`, 50);
  expect(ofOne).toBe(400);
  const ofMany = (round: string, networks: number): number => {
    let told = 0;
    for (let i = 0; i < networks; i++) told += comeAndGo(`${round}${i}-1`, 50);
    return told;
  };
  expect(ofMany("first", 13)).toBe(1_000 - 10 - 400);
  // What we let go has its room until we have looked who is still there.
  vi.advanceTimersByTime(4_000);
  expect([ofMany("second", 1), vi.getTimerCount()]).toEqual([0, 1_000]);
  vi.advanceTimersByTime(6_000);
  expect(vi.getTimerCount()).toBe(0);
  expect(ofMany("third", 5)).toBe(10 * 20);
  vi.advanceTimersByTime(10_000);
  gossip.node("bob").pubsub.subscribe(topic("bob"));
  expect(node.topics.has(topic("bob"))).toBe(true);
});
