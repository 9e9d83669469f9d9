/**
 * The bazaar as a whole: node, storage, store and machines put together. It imports libp2p; `createBazaar` of the index imports
 * this file when it is first called.
 */
import { randomBytes } from "node:crypto";
import type { Store } from "restante";
import {
  errorMessage,
  type Identity,
  identityFromSeed,
  type Message,
  type PeerId,
  parseAddress,
  sealedMessage,
  TYPES,
} from "./format/index.ts";
import { serveBlocks } from "./net/blocks.ts";
import { Carrier } from "./net/carrier.ts";
import { type BazaarNode, createNode, type NodeOptions, type Remote } from "./net/node.ts";
import { loadPointers, savePointers } from "./net/pointer-rows.ts";
import { servePointers } from "./net/pointers.ts";
import { openPubsub } from "./net/pubsub.ts";
import { PushService } from "./net/push.ts";
import { openStreams } from "./net/streams.ts";
import { type Told, Turns } from "./net/turns.ts";
import { within } from "./net/within.ts";
import type { Taken } from "./offline/arrivals.ts";
import type { Contact } from "./offline/effects.ts";
import type { OutgoingInput, OutgoingStats } from "./offline/outgoing.ts";
import type { Pointers } from "./offline/pointers.ts";
import type { PushLimits } from "./offline/push.ts";
import type { RetrieveStats } from "./offline/retrieve.ts";
import type { BazaarStorage } from "./storage/storage.ts";

/** What a bazaar runs on, and whom it tells. */
export interface BazaarOptions extends NodeOptions {
  /** The store of its records, opened: keys begin with "bazaar/". */
  readonly store: Store;
  readonly storage: BazaarStorage;
  /** Push nodes that keep what we send, and what is sent to us. */
  readonly pushNodes?: readonly Contact[];
  /** How long an online attempt may wait for its answer at most, in milliseconds. 30 seconds unless it is given; 0: there are none. */
  readonly onlineMs?: number;
  /** How often we look for mail, in milliseconds: at push nodes each minute and in the DHT each hour unless it is given. */
  readonly lookMs?: { readonly node?: number; readonly dht?: number };
  /** Be a push node, for these peers. */
  readonly push?: { readonly admitted: readonly PeerId[]; readonly limits?: Partial<PushLimits> };
  /**
   * A message for the application, once it is committed. Resolves with what became of it: "done" forgets it here, "early" has
   * it offered again when others were taken, and after a while in any case. A rejection, and no answer for a minute, are "early".
   * Offered again after a restart as long as it was not answered. May be offered twice when the process ends in between.
   */
  readonly onMessage: (message: BazaarMessage) => Promise<Taken> | Taken;
  readonly onProgress?: (progress: BazaarProgress) => void;
  /** A message for now only: somebody is typing. */
  readonly onFleeting?: (from: PeerId, message: Message) => void;
  /** The store does not work now. It is tried again. */
  readonly onTrouble?: (error: unknown) => void;
}

/** A message that came. Without `extension` it is OpenBazaar's own: offline, its addressee is unproven (X28). */
export type BazaarMessage = Omit<Extract<Told, { readonly type: "offer" }>, "type" | "id">;
/** How it goes with a message that was sent. */
export type BazaarProgress = Omit<Extract<Told, { readonly type: "progress" }>, "type">;
/** A message to send: see `Outgoing`. */
export type BazaarPosting = Omit<Extract<OutgoingInput, { readonly type: "send" }>, "type">;

/** What mail's delivery asks of a route, and its answer. */
export interface RouteDelivery {
  readonly type: "deliver";
  readonly route: "bazaar";
  /** Names the delivery for good: the same again is the same. At most 64 characters of a-z, 0-9 and "-". */
  readonly id: string;
  readonly to: Contact;
  /** The recipient's push nodes. */
  readonly nodes?: readonly Contact[];
  /** A sealed Restante message. */
  readonly bytes: Uint8Array;
}
/** The answer to `deliver`. */
export interface RouteDelivered {
  readonly type: "delivered";
  readonly id: string;
  /** The route keeps it now, also through restarts: online, stored and published until it is acknowledged, 30 days at most. */
  readonly ok: boolean;
}

/** OpenBazaar's offline messages on libp2p, until `stop`. protocol/bazaar.md */
export interface Bazaar {
  /** Our `Qm...` id. */
  readonly id: PeerId;
  /** Our libp2p PublicKey protobuf: contacts need it. */
  readonly publicKey: Uint8Array;
  /** Multiaddrs at which we can be reached. */
  addrs(): string[];
  /**
   * Sends a message: online if its addressee is there, else offline. Resolves when it is on the disk: "accepted", or why it is
   * refused. The same `ref` again changes nothing, unless what it names came to its end and this `isAnew`. Rejects with `RestanteError` "store-failed" or "stopped".
   */
  send(posting: BazaarPosting): Promise<"accepted" | "full" | "too large" | "bad key" | "bad name">;
  /** As `send`, in the shape that mail's delivery knows. */
  deliver(delivery: RouteDelivery): Promise<RouteDelivered>;
  /** Whether a message lies where its addressee can get it while this node is gone: see `Outgoing.lies`. */
  lies(ref: string): boolean;
  /** Takes a message back. */
  cancel(ref: string): void;
  /** Looks for mail now. */
  scan(): void;
  /** Whether a peer can be reached now: dials it if need be. False when it cannot before `signal`. */
  reach(to: Contact, signal: AbortSignal): Promise<boolean>;
  /** These, and only these, are banned from now on: nothing of them is taken. */
  ban(peers: readonly PeerId[]): void;
  /** These, and only these, are no strangers from now on. */
  contacts(peers: readonly PeerId[]): void;
  /** These, and only these, are our push nodes from now on. */
  pushNodes(nodes: readonly Contact[]): void;
  /** Works as a push node for these, and only these, beside those of the options. Nothing, where the role is off. */
  admit(guests: readonly PeerId[]): void;
  /** Until the DHT knows somebody; false when it does not before `signal`. */
  joined(signal: AbortSignal): Promise<boolean>;
  /** As it is now; the counts of messages begin anew with each start. */
  stats(): BazaarStats;
  /** Ends everything; what was decided is on the disk. Twice is as once. */
  stop(): Promise<void>;
}

/** Counts for people: nobody's names. */
export interface BazaarStats {
  readonly connections: number;
  /** Questions asked of others since the start: of the DHT, for pointers, for blocks. */
  readonly asked: number;
  /** Pointers kept for others; bytes kept as a push node. */
  readonly pointers: number;
  readonly pushBytes: number;
  /** Questions about pointers that were refused since the start: no questions, too many, no room; and, as a push node, lists and blocks. */
  readonly refusedPointers: number;
  readonly refusedPushes: number;
  readonly outgoing: OutgoingStats | undefined;
  readonly retrieve: RetrieveStats | undefined;
}

/** Opens the bazaar: it listens, and looks for others and for mail, when this resolves. Throws what store and storage throw. */
export async function openBazaar(options: BazaarOptions): Promise<Bazaar> {
  const now = Date.now;
  await options.storage.open();
  const [node, pointers] = [await createNode(options), await loadPointers(options.store, now())];
  const { push: role, store } = options;
  const push = role && (await PushService.open(store, now, role));
  const bazaar = new Running(options, identityFromSeed(options.seed), { node, pointers, push });
  try {
    await bazaar.open();
  } catch (error) {
    await bazaar.stop();
    throw error;
  }
  return bazaar;
}

interface Parts {
  readonly node: BazaarNode;
  readonly pointers: Pointers;
  readonly push: PushService | undefined;
}

class Running implements Bazaar {
  readonly id: PeerId;
  readonly publicKey: Uint8Array;
  readonly #options: BazaarOptions;
  readonly #parts: Parts;
  readonly #turns: Turns;
  readonly #stopped = new AbortController();
  readonly #closers: (() => Promise<void> | void)[] = [];
  #refusedPointers = 0;
  #carrier: Carrier | undefined;
  #send: ((to: Contact, message: Message) => Promise<unknown>) | undefined;
  /** Answers under way, by peer. */
  readonly #replies = new Map<PeerId, number>();
  #stopping: Promise<void> | undefined;
  /** The message that the application has now: one at a time. */
  #offered: Promise<void> = Promise.resolve();

  constructor(options: BazaarOptions, identity: Identity, parts: Parts) {
    this.#options = options;
    this.#parts = parts;
    this.id = identity.id;
    this.publicKey = identity.publicKey;
    this.#turns = new Turns({
      identity,
      store: options.store,
      random: (length) => new Uint8Array(randomBytes(length)),
      now: Date.now,
      nodes: options.pushNodes ?? [],
      onlineMs: options.onlineMs,
      lookMs: options.lookMs,
      carry: (deed, answer) => this.#carrier?.carry(deed, answer),
      tell: (told) => this.#tell(told),
      trouble: (error) => options.onTrouble?.(error),
    });
  }

  async open(): Promise<void> {
    const { node, pointers, push } = this.#parts;
    const { store, storage } = this.#options;
    const streams = await openStreams(node, Date.now, (message, from, reply) => this.#received(message, from, reply));
    const pubsub = openPubsub(node, Date.now, node.serves);
    const carrier = new Carrier({
      node,
      streams,
      pubsub,
      storage,
      store,
      isProvider: () => this.#isProvider,
      isLocal: this.#options.network === "local",
      fault: (error) => this.#options.onTrouble?.(error),
      heard: (topic, data) => this.#turns.toRetrieve({ type: "heard", topic, data }),
    });
    this.#carrier = carrier;
    this.#send = (to, message) => streams.send(to, message, REPLY_MS).catch(() => {});
    this.#closers.push(
      () => carrier.stop(),
      () => pubsub.stop(),
      () => streams.stop(),
    );
    await serveBlocks(node, Date.now, async (cid) => (await push?.read(cid)) ?? (await carrier.read(cid)));
    if (node.serves || push) await this.#servePointers();
    await this.#turns.load();
    await node.start();
    this.#every(SAVE_MS, async () => await savePointers(store, pointers, Date.now()));
    this.#every(EXPIRE_MS, async () => await push?.expire());
    this.#every(RENEW_MS, async () => await pubsub.renew());
    this.#every(KEY_MS, async () => await node.publishKey(within(FIND_MS, this.#stopped.signal)));
    this.#begin().catch((error: unknown) => this.#options.onTrouble?.(error));
  }

  addrs(): string[] {
    return this.#parts.node.addrs();
  }

  async send(posting: BazaarPosting): Promise<"accepted" | "full" | "too large" | "bad key" | "bad name"> {
    const outs = this.#turns.toOutgoing({ type: "send", ...posting });
    await this.#turns.settled();
    const refusal = outs.find((out) => out.type === "progress" && out.ref === posting.ref && out.state === "refused");
    const how = refusal?.type === "progress" ? refusal.how : undefined;
    return how === undefined || how === "online" || how === "acknowledged" ? "accepted" : how;
  }

  async deliver({ id, to, nodes, bytes }: RouteDelivery): Promise<RouteDelivered> {
    const message = sealedMessage(bytes);
    const result = await this.send({ ref: id, to, message, ...(nodes && { nodes }) });
    return { type: "delivered", id, ok: result === "accepted" };
  }

  lies(ref: string): boolean {
    return this.#turns.lies(ref);
  }

  cancel(ref: string): void {
    this.#turns.toOutgoing({ type: "cancel", ref });
  }

  scan(): void {
    this.#turns.toRetrieve({ type: "scan" });
  }

  async reach(to: Contact, signal: AbortSignal): Promise<boolean> {
    return await this.#parts.node.connect(to, signal);
  }

  ban(peers: readonly PeerId[]): void {
    this.#turns.toRetrieve({ type: "banned", peers });
  }

  contacts(peers: readonly PeerId[]): void {
    this.#turns.toRetrieve({ type: "contacts", peers });
  }

  pushNodes(nodes: readonly Contact[]): void {
    this.#turns.toOutgoing({ type: "nodes", nodes });
    this.#turns.toRetrieve({ type: "nodes", nodes });
  }

  admit(guests: readonly PeerId[]): void {
    this.#parts.push?.admit(guests);
  }

  async joined(signal: AbortSignal): Promise<boolean> {
    return await this.#parts.node.joined(signal);
  }

  stats(): BazaarStats {
    const { node, pointers, push } = this.#parts;
    const { outgoing, retrieve } = this.#turns.stats ?? {};
    const connections = node.connected().length;
    return {
      ...{ connections, asked: node.asked, pointers: pointers.size, pushBytes: push?.bytes ?? 0 },
      ...{ refusedPointers: this.#refusedPointers, refusedPushes: push?.refused ?? 0 },
      ...{ outgoing, retrieve },
    };
  }

  async stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    await this.#stopping;
  }

  async #stop(): Promise<void> {
    const { node, pointers, push } = this.#parts;
    this.#stopped.abort();
    // What the application took is not offered again: its answer is waited for, within reason.
    await Promise.race([this.#offered, pause(LAST_ANSWER_MS)]);
    await this.#turns.stop();
    for (const close of this.#closers) await close();
    await node.stop();
    await push?.settled();
    await savePointers(this.#options.store, pointers, Date.now()).catch(() => {});
  }

  /** Looks for mail once somebody is there to be asked. Whoever was found too late is asked when the search is repeated. */
  async #begin(): Promise<void> {
    const { node } = this.#parts;
    if (this.#options.bootstrap?.length) await node.joined(within(JOIN_MS, this.#stopped.signal));
    if (this.#stopped.signal.aborted) return;
    this.#turns.start();
    await node.publishKey(within(FIND_MS, this.#stopped.signal));
  }

  async #servePointers(): Promise<void> {
    const { node, pointers, push } = this.#parts;
    await servePointers(node, pointers, Date.now, {
      put: (from, { address, withdraw }) => {
        const at = parseAddress(address);
        if (at?.type === "ipfs") push?.pointed(from, at.cid, withdraw);
      },
      withdrawn: (preimage) => push?.withdraw(preimage),
      refused: () => void this.#refusedPointers++,
    });
  }

  #received(message: Message, from: Remote, reply: (answer: Message) => void): void {
    const contact: Contact = { id: from.id, publicKey: from.publicKey };
    this.#turns.toOutgoing({ type: "heard", peer: from.id });
    if (this.#parts.push?.receive(message, from, reply)) return;
    // Who takes us for a push node hears that we are none.
    if (message.type === TYPES.STORE) reply(errorMessage(REFUSED, "no push node"));
    else if (message.type !== TYPES.BLOCK) this.#turns.toRetrieve({ type: "received", from: contact, message });
  }

  #tell(told: Told): void {
    const { onProgress, onFleeting } = this.#options;
    switch (told.type) {
      case "offer":
        this.#offered = this.#offer(told).catch((error: unknown) => this.#options.onTrouble?.(error));
        return;
      case "progress": {
        const { type: _, ...progress } = told;
        return onProgress?.(progress);
      }
      case "fleeting":
        return onFleeting?.(told.from, told.message);
      case "reply":
        return this.#reply(told.to, told.message);
    }
  }

  /** A peer that asks without end is answered a few questions at a time: each answer is a stream to it. */
  #reply(to: Contact, message: Message): void {
    const underWay = this.#replies.get(to.id) ?? 0;
    if (underWay >= REPLIES || this.#send === undefined) return;
    this.#replies.set(to.id, underWay + 1);
    this.#send(to, message).then(() => {
      const left = (this.#replies.get(to.id) ?? 1) - 1;
      if (left > 0) this.#replies.set(to.id, left);
      else this.#replies.delete(to.id);
    });
  }

  async #offer({ type: _, id, ...message }: Extract<Told, { readonly type: "offer" }>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<Taken>((resolve) => {
      timer = setTimeout(() => resolve("early"), ANSWER_MS);
      timer.unref();
    });
    // Neither a failure of the application nor its silence may stop what comes behind.
    const answer = async (): Promise<Taken> => await this.#options.onMessage(message);
    const failed = (error: unknown): Taken => {
      this.#options.onTrouble?.(error);
      return "early";
    };
    const result = await Promise.race([answer().catch(failed), late]);
    clearTimeout(timer);
    this.#turns.toRetrieve({ type: "taken", id, result });
  }

  /** Whether the blocks of our messages are served by us alone. */
  get #isProvider(): boolean {
    return (this.#options.pushNodes ?? []).length === 0;
  }

  #every(ms: number, act: () => Promise<void>): void {
    const timer = setInterval(() => void act().catch((error: unknown) => this.#options.onTrouble?.(error)), ms);
    this.#closers.push(() => clearInterval(timer));
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

const ANSWER_MS = 60_000;
const LAST_ANSWER_MS = 5000;
const REPLY_MS = 30_000;
const REPLIES = 16;
const JOIN_MS = 15_000;
const FIND_MS = 30_000;
const SAVE_MS = 60_000;
const RENEW_MS = 10 * 60_000;
const EXPIRE_MS = 3600_000;
const KEY_MS = 12 * 3600_000;
const REFUSED = 507; // as HTTP's: no storage
