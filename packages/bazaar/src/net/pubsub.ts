/**
 * `/offlinemessage/<pointer key>`: ciphertexts for whoever listens right now. Gossip passes only between those who listen, and
 * sender and recipient know nobody in common: so both come to the peers closest to the key, and those listen along for as long
 * as somebody does. protocol/bazaar-network.md §6
 */
import { type GossipSub, TopicValidatorResult } from "@libp2p/gossipsub";
import { Budget, Budgets } from "restante/protocol";
import { fromBase58 } from "../format/ids.ts";
import type { BazaarNode } from "./node.ts";
import { within } from "./within.ts";

/** The most bytes of what is published; more finds its way by the pointer alone. */
const PUBLISH_BYTES: number = 256 * 1024;

export interface Pubsub {
  /** Publishes, as soon as somebody is there who listens, or nobody came for some seconds. False when the data are too large. */
  publish(topic: string, data: Uint8Array): Promise<boolean>;
  /** Listens. `heard` is called for what comes, bounded in size and rate. */
  subscribe(topic: string, heard: (data: Uint8Array) => void): Promise<void>;
  /** Goes to the meeting places again: after a while others are closest. */
  renew(): Promise<void>;
  stop(): void;
}

/** Speaks over a node that has started or will. With `relays` it listens along on topics of others. */
export function openPubsub(node: BazaarNode, now: () => number, relays: boolean): Pubsub {
  return new Topics(node, now, relays);
}

class Topics implements Pubsub {
  readonly #node: BazaarNode;
  readonly #now: () => number;
  readonly #pubsub: GossipSub;
  readonly #stopped = new AbortController();
  readonly #own = new Map<string, (data: Uint8Array) => void>();
  /** Topics that we listen to for others: for which peer, by libp2p's name, and of which network. */
  readonly #relayed = new Map<string, { readonly peer: string; readonly group: string }>();
  /** Timers of topics that we let go to see who stays. */
  readonly #left = new Map<string, NodeJS.Timeout>();
  readonly #peers = new Budgets<string>(() => new Budget(5, 100), MOST_NAMES);
  readonly #topics = new Budgets<string>(() => new Budget(10, 200), MOST_NAMES);
  // How often we follow somebody to a topic: all our peers are told of it, and nodes that listen along tell theirs.
  readonly #followsOfPeer = new Budgets<string>(() => new Budget(1, MOST_OF_PEER), MOST_NAMES);
  readonly #followsOfGroup = new Budgets<string>(() => new Budget(4, MOST_OF_GROUP), MOST_NAMES);
  readonly #follows = new Budget(20, MOST_RELAYED);

  constructor(node: BazaarNode, now: () => number, relays: boolean) {
    this.#node = node;
    this.#now = now;
    this.#pubsub = node.pubsub;
    const { signal } = this.#stopped;
    const heard = ({ detail }: CustomEvent<{ topic: string; data: Uint8Array }>): void =>
      this.#own.get(detail.topic)?.(new Uint8Array(detail.data));
    this.#pubsub.addEventListener("message", heard, { signal });
    if (relays) this.#pubsub.addEventListener("subscription-change", ({ detail }) => this.#along(detail), { signal });
  }

  async publish(topic: string, data: Uint8Array): Promise<boolean> {
    if (data.length > PUBLISH_BYTES) return false;
    await this.#meet(topic);
    await this.#listener(topic);
    if (this.#stopped.signal.aborted) return false;
    // A second time the same is no news, and to nobody no failure.
    await this.#pubsub.publish(topic, data).catch(() => {});
    return true;
  }

  async subscribe(topic: string, heard: (data: Uint8Array) => void): Promise<void> {
    this.#own.set(topic, heard);
    this.#relayed.delete(topic);
    this.#listen(topic);
    await this.#meet(topic);
  }

  async renew(): Promise<void> {
    // Who went without a word is no reason to listen along any more.
    for (const [topic, { peer }] of this.#relayed) if (!this.#listens(topic, peer)) this.#leave(topic);
    for (const topic of this.#own.keys()) await this.#meet(topic);
  }

  stop(): void {
    this.#stopped.abort();
    for (const timer of this.#left.values()) clearTimeout(timer);
  }

  #listen(topic: string): void {
    this.#pubsub.topicValidators.set(topic, (peer, { data }) => {
      if (data.length > PUBLISH_BYTES || data.length < MIN_BYTES) return TopicValidatorResult.Reject;
      const at = this.#now();
      const isMeet = this.#peers.of(peer.toString()).take(at) && this.#topics.of(topic).take(at);
      return isMeet ? TopicValidatorResult.Accept : TopicValidatorResult.Ignore;
    });
    this.#pubsub.subscribe(topic);
  }

  /** Somebody began or ceased to listen: we do so with them, to topics of this kind and not to too many, of one peer or in all. */
  #along({ peerId, subscriptions }: SubscriptionChange): void {
    const peer = peerId.toString();
    for (const { topic, subscribe } of subscriptions) {
      if (this.#own.has(topic)) continue;
      if (subscribe) this.#follow(topic, peer);
      else if (this.#relayed.get(topic)?.peer === peer) this.#leave(topic);
    }
  }

  #follow(topic: string, peer: string): void {
    if (this.#relayed.has(topic) || this.#left.has(topic)) return;
    if (this.#relayed.size + this.#left.size >= MOST_RELAYED) return;
    // Peers are made for nothing, networks are not: neither takes all the room, or all our words.
    const group = this.#node.groupOf(peer);
    const now = this.#now();
    const budgets = [this.#followsOfPeer.of(peer), this.#followsOfGroup.of(group), this.#follows];
    if (budgets.some((budget) => budget.left(now) < 1) || keyOf(topic) === undefined) return;
    const all = [...this.#relayed.values()];
    if (all.filter((each) => each.peer === peer).length >= MOST_OF_PEER) return;
    if (all.filter((each) => each.group === group).length >= MOST_OF_GROUP) return;
    for (const budget of budgets) budget.take(now);
    this.#relayed.set(topic, { peer, group });
    this.#listen(topic);
  }

  /**
   * Lets a topic go, and looks after a while who is still there: nodes that listen along do so for each other, too, and would
   * never cease. Who still listens then does so for itself.
   */
  #leave(topic: string): void {
    this.#relayed.delete(topic);
    this.#pubsub.unsubscribe(topic);
    this.#pubsub.topicValidators.delete(topic);
    const look = (): void => {
      this.#left.delete(topic);
      const [peer] = this.#own.has(topic) ? [] : this.#pubsub.getSubscribers(topic);
      if (peer !== undefined) this.#follow(topic, peer.toString());
    };
    if (!this.#stopped.signal.aborted) this.#left.set(topic, setTimeout(look, LEAVE_MS).unref());
  }

  #listens(topic: string, peer: string): boolean {
    return this.#pubsub.getSubscribers(topic).some((each) => each.toString() === peer);
  }

  /** Connects to the peers closest to the topic's key: where those meet who have nothing else in common. */
  async #meet(topic: string): Promise<void> {
    const key = keyOf(topic);
    if (key === undefined) return;
    const signal = within(MEET_MS, this.#stopped.signal);
    const closest = (await this.#node.closest(key, signal)).slice(0, MEETING_PLACES);
    await Promise.all(closest.map((peer) => this.#node.connect(peer, signal)));
  }

  /** Until somebody that we are connected to listens, at most for a while. */
  async #listener(topic: string): Promise<void> {
    if (this.#pubsub.getSubscribers(topic).length > 0) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#pubsub.removeEventListener("subscription-change", changed);
        this.#stopped.signal.removeEventListener("abort", done);
        resolve();
      };
      const changed = (): void => {
        if (this.#pubsub.getSubscribers(topic).length > 0) done();
      };
      const timer = setTimeout(done, LISTENER_MS);
      this.#pubsub.addEventListener("subscription-change", changed);
      this.#stopped.signal.addEventListener("abort", done);
    });
  }
}

interface SubscriptionChange {
  readonly peerId: { toString(): string };
  readonly subscriptions: readonly { readonly topic: string; readonly subscribe: boolean }[];
}

/** The pointer key in a topic of this kind; `undefined` for other topics. */
function keyOf(topic: string): Uint8Array | undefined {
  return topic.startsWith(PREFIX) ? fromBase58(topic.slice(PREFIX.length)) : undefined;
}

const PREFIX = "/offlinemessage/";
const MIN_BYTES = 56; // nonce and key: less is no ciphertext
const MEETING_PLACES = 4;
const MEET_MS = 10_000;
const LISTENER_MS = 3_000;
const MOST_RELAYED = 1_000;
const MOST_OF_PEER = 50; // one of its own, and those that it listens along to itself
const MOST_OF_GROUP = 400;
const LEAVE_MS = 5_000;
const MOST_NAMES = 10_000;
