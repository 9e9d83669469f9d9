/**
 * The sender: a message is tried online first, then sealed, stored, pushed and pointed to, again each 12 hours, until its
 * addressee acknowledges it or 30 days have passed; then all of it is taken back. protocol/bazaar.md §8
 */
import { assert, Budget, Deadlines, type Machine, type Random, type Time, toHex } from "restante/protocol";
import {
  encodeMessage,
  extend,
  extensionOf,
  type Identity,
  type Message,
  offlineAck,
  type PeerId,
  parseAddress,
  parseMessage,
  topicOf,
} from "../format/index.ts";
import type { Answer, Contact, Effect, Place } from "./effects.ts";
import {
  encodePosting,
  isFleeting,
  isKeyOf,
  keyOf,
  type Posting,
  parsePosting,
  pointerOf,
  preimageOf,
  type Sealed,
  type Stored,
  sealDraft,
} from "./posting.ts";
import { Pushing } from "./pushing.ts";
import { type Question, Questions } from "./questions.ts";
import { Reach } from "./reach.ts";
import { backOff, Slots } from "./slots.ts";

/** Who sends, with which chance, and by which push nodes. */
export interface OutgoingOptions {
  readonly identity: Identity;
  readonly random: Random;
  /** Our own push nodes. */
  readonly nodes: readonly Contact[];
  /** How long an online attempt may wait for its answer at most, in milliseconds. 30 seconds unless it is given; 0: there are none. */
  readonly onlineMs?: number | undefined;
}

/** What the sender is told. */
export type OutgoingInput =
  /** Once, after the start: what was under way goes on. */
  | { readonly type: "start" }
  /**
   * Send a message. `ref` names it for good (at most 64 characters of a-z, 0-9 and "-", not beginning with "ack-"); the same
   * again changes nothing, not even after its end (as far as this life remembers: the last 20,000), unless it `isAnew`: then what came
   * to its end goes once more, as another message, when all of the first is taken back. `isPlain`: to a legacy contact, without our
   * extension. To another addressee it is refused while the first is kept. `nodes`: the recipient's push nodes.
   */
  | {
      readonly type: "send";
      readonly ref: string;
      readonly to: Contact;
      readonly message: Message;
      readonly isAnew?: boolean;
      readonly isPlain?: boolean;
      readonly nodes?: readonly Contact[];
    }
  /** Tell the sender that we have what this magic id points to. Only after it was committed. */
  | {
      readonly type: "acknowledge";
      readonly to: Contact;
      readonly magic: Uint8Array;
      readonly isStranger?: boolean;
    }
  /** An OFFLINE_ACK came from this peer, online or not. Counts only when it is the addressee. */
  | { readonly type: "acknowledged"; readonly from: PeerId; readonly magic: Uint8Array }
  /** Take a message back. */
  | { readonly type: "cancel"; readonly ref: string }
  /** The peer is online, as something just showed. */
  | { readonly type: "heard"; readonly peer: PeerId }
  /** Our push nodes from now on. */
  | { readonly type: "nodes"; readonly nodes: readonly Contact[] }
  | { readonly type: "tick" }
  | Answer;

/** How it goes with a message. "pushed": a push node has all of it; again in each round. The last four are the last ones. */
type OutgoingState = "accepted" | "stored" | "published" | "pushed" | "delivered" | "expired" | "cancelled" | "refused";

/** What has to happen, in this order: effects, and who is told how a message fares. */
export type OutgoingOutput =
  | Effect
  | {
      readonly type: "progress";
      readonly ref: string;
      readonly state: OutgoingState;
      /** delivered: online, or acknowledged. refused: why. */
      readonly how?: "online" | "acknowledged" | "full" | "too large" | "bad key" | "bad name";
    };

/** Counts since the start. */
export interface OutgoingStats {
  readonly postings: number;
  /** Of these, those that lie elsewhere: see `Outgoing.lies`. */
  readonly left: number;
  readonly forgedAcks: number;
  readonly damagedRecords: number;
}

/** All keys of its records begin so. */
export const OUT_PREFIX = "bazaar/out/";

interface Entry {
  posting: Posting;
  isBusy: boolean;
  /** The online attempt of this round is over. */
  isCalled: boolean;
  failures: number;
  retryAt: Time;
  /** Taking back: where it still may lie. */
  left: Place[] | undefined;
  isRemoved: boolean;
  /** What goes by this name after that. */
  next: (OutgoingInput & { type: "send" }) | undefined;
}

/**
 * The sender as a machine: `handle` one input at a time, carry out what it answers in that order, and give it the answers of the
 * effects. Bad inputs of others are counted and dropped. protocol/bazaar.md §8
 */
export class Outgoing implements Machine<OutgoingInput, OutgoingOutput> {
  readonly #identity: Identity;
  readonly #random: Random;
  readonly #entries = new Map<string, Entry>();
  readonly #byMagic = new Map<string, Entry>();
  /** Names of messages that came to their end in this life, the oldest first. */
  readonly #done = new Set<string>();
  readonly #deadlines = new Deadlines<string>();
  readonly #questions = new Questions();
  readonly #reach: Reach;
  readonly #pushing: Pushing;
  readonly #calls = new Slots(CALLS);
  readonly #seals = new Slots(SEALS);
  readonly #publishes = new Slots(PUBLISHES);
  #nodes: readonly Contact[];
  #acks = 0;
  #strangeAcks = 0;
  readonly #acksTo = new Map<PeerId, number>();
  readonly #strangeBudget = new Budget(STRANGE_ACKS_A_SECOND, STRANGE_ACKS_AT_ONCE);
  #fleeting = 0;
  #forged = 0;
  #damaged = 0;
  #out: OutgoingOutput[] = [];

  /** `records`: what is stored below OUT_PREFIX. */
  constructor(options: OutgoingOptions, records: Iterable<readonly [key: string, value: Uint8Array]>) {
    this.#identity = options.identity;
    this.#random = options.random;
    this.#nodes = options.nodes;
    this.#reach = new Reach(options.onlineMs);
    this.#pushing = new Pushing({
      posting: (ref) => this.#entries.get(ref)?.posting,
      ask: (question, then) => this.#ask(question, then),
      pushed: (ref, node, now) => this.#pushed(ref, node, now),
    });
    for (const [, value] of records) {
      const posting = parsePosting(value);
      if (posting === undefined) this.#damaged++;
      else this.#add(posting);
    }
  }

  get stats(): OutgoingStats {
    const left = [...this.#entries].filter(([ref, { posting }]) => !posting.isAck && this.lies(ref)).length;
    const postings = this.#entries.size - this.#acks;
    return { postings, left, forgedAcks: this.#forged, damagedRecords: this.#damaged };
  }

  /**
   * Whether a message lies where its addressee can get it without this node: at a push node, or in a storage of the web with pointers to
   * it. Where there is no push node at all, pointers are enough, and this node serves what they point to.
   */
  lies(ref: string): boolean {
    const { stored, isOver, nodes = [] } = this.#entries.get(ref)?.posting ?? {};
    if (stored === undefined || isOver) return false;
    const isElsewhere = parseAddress(stored.address)?.type === "https" || this.#nodes.length + nodes.length === 0;
    return stored.pushed.length > 0 || (stored.published > 0 && isElsewhere);
  }

  handle(input: OutgoingInput, now: Time): OutgoingOutput[] {
    assert(this.#out.length === 0, "a turn ends before the next begins");
    this.#take(input, now);
    const out = this.#out;
    this.#out = [];
    return out;
  }

  deadline(): Time | undefined {
    const [mine, pushing] = [this.#deadlines.next(), this.#pushing.deadline()];
    return mine === undefined || (pushing !== undefined && pushing < mine) ? pushing : mine;
  }

  #take(input: OutgoingInput, now: Time): void {
    switch (input.type) {
      case "start":
        for (const entry of this.#entries.values()) {
          this.#pushing.push(entry.posting.ref, missingNodes(entry.posting, this.#nodes), now);
          this.#step(entry, now);
        }
        return;
      case "send":
        return this.#send(input, now);
      case "acknowledge":
        return this.#acknowledge(input.to, input.magic, input.isStranger ?? false, now);
      case "acknowledged":
        return this.#acknowledged(input.from, input.magic, now);
      case "cancel": {
        const entry = this.#entries.get(input.ref);
        if (entry === undefined || entry.posting.isAck) return;
        entry.next = undefined;
        if (!entry.posting.isOver) this.#over(entry, "cancelled", now);
        return;
      }
      case "heard":
        return this.#reach.heard(input.peer);
      case "nodes":
        this.#nodes = input.nodes;
        return;
      case "tick":
        for (const ref of this.#deadlines.due(now)) {
          const entry = this.#entries.get(ref);
          if (entry !== undefined) this.#step(entry, now);
        }
        return this.#pushing.tick(now);
      default:
        return this.#questions.answer(input, now);
    }
  }

  #send(input: OutgoingInput & { type: "send" }, now: Time): void {
    const { ref, to, message } = input;
    const refuse = (how: "full" | "too large" | "bad key" | "bad name"): void => {
      this.#out.push({ type: "progress", ref, state: "refused", how });
    };
    const known = this.#entries.get(ref);
    if (known?.posting.isOver && input.isAnew) known.next = input;
    else if (known !== undefined && known.posting.to.id !== to.id) return refuse("bad name"); // it is another's
    if (known !== undefined || (this.#done.has(ref) && !input.isAnew)) return;
    if (!/^[a-z0-9-]{1,64}$/.test(ref) || ref.startsWith(ACK)) return refuse("bad name");
    if (to.publicKey !== undefined && !isKeyOf(to.id, to.publicKey)) return refuse("bad key");
    if (isFleeting(message)) return this.#sendFleeting(to, message, now);
    const seed = this.#random(32);
    const extension = { recipient: to.id, id: this.#random(16), time: now, preimage: preimageOf(seed) };
    const bytes = encodeMessage(input.isPlain ? message : extend(message, extension));
    if (bytes.length > MESSAGE_BYTES) return refuse("too large");
    if (this.#entries.size - this.#acks >= POSTINGS) return refuse("full");
    const nodes = (input.nodes ?? []).slice(0, NODES);
    const posting: Posting = { ref, to, nodes, created: now, isAck: false, draft: { message: bytes, seed } };
    const entry = this.#add(posting);
    this.#save(entry);
    this.#out.push({ type: "progress", ref, state: "accepted" });
    this.#step(entry, now);
  }

  /** Once, online, and never again: nobody wants to read tomorrow that somebody was typing. */
  #sendFleeting(to: Contact, message: Message, now: Time): void {
    const timeoutMs = this.#reach.timeout(to.id, now);
    if (timeoutMs === 0 || this.#fleeting >= FLEETING) return;
    this.#fleeting++;
    this.#ask({ type: "send", to, message, timeoutMs }, () => {
      this.#fleeting--;
    });
  }

  #acknowledge(to: Contact, magic: Uint8Array, isStranger: boolean, now: Time): void {
    const ref = ACK + toHex(magic.subarray(14));
    const known = this.#entries.get(ref);
    if (known !== undefined) {
      // They did not get it: the pointer once more, and online once more.
      const { stored } = known.posting;
      if (stored === undefined || known.posting.isOver || known.isBusy) return;
      known.posting = { ...known.posting, stored: { ...stored, published: 0, pushed: [] } };
      known.retryAt = 0;
      this.#pushing.push(ref, this.#nodes, now);
      this.#call(known, offlineAck(magic), now);
      return;
    }
    // Each is a file and a publication: no one and no crowd of strangers may use up what others wait for. Who is left out points
    // to the message again, and is answered then.
    if (this.#acks >= ACKS || (this.#acksTo.get(to.id) ?? 0) >= ACKS_TO_ONE) return;
    if (isStranger && (this.#strangeAcks >= STRANGE_ACKS || !this.#strangeBudget.take(now))) return;
    const draft = { message: encodeMessage(offlineAck(magic)), seed: this.#random(32) };
    // Not saved before it is stored: when it is lost, the pointer that it answers is still there, and is answered again.
    const posting = { ref, to, nodes: [], created: now, isAck: true, draft, ...(isStranger && { isStranger }) };
    this.#step(this.#add(posting), now);
  }

  #acknowledged(from: PeerId, magic: Uint8Array, now: Time): void {
    const entry = this.#byMagic.get(toHex(magic));
    if (entry === undefined) return;
    this.#reach.heard(from);
    if (entry.posting.to.id !== from) this.#forged++;
    else if (!entry.posting.isOver) this.#over(entry, "delivered", now);
  }

  /** What there is to do now with a message of which nothing is under way. */
  #step(entry: Entry, now: Time): void {
    const { posting } = entry;
    if (entry.isBusy) return;
    if (now < entry.retryAt) return this.#deadlines.set(posting.ref, entry.retryAt);
    const end = posting.created + (posting.isAck ? ACK_LIFE_MS : LIFE_MS);
    if (posting.isOver) this.#run(this.#publishes, entry, (done, then) => this.#takeBack(entry, done, then), now);
    else if (now >= end) this.#over(entry, "expired", now);
    else if (posting.draft !== undefined && !entry.isCalled) {
      const message = parseMessage(posting.draft.message);
      if (message !== undefined) this.#call(entry, message, now);
    } else if (posting.draft !== undefined)
      this.#run(this.#seals, entry, (done, then) => this.#seal(entry, done, then), now);
    else if (posting.stored !== undefined) {
      const due = posting.isAck ? end : posting.stored.published + REPUBLISH_MS;
      // A time that is yet to come is that of a clock that was ahead.
      const isDue = posting.stored.published === 0 || now >= due || (!posting.isAck && posting.stored.published > now);
      if (isDue) this.#publish(entry, now);
      else this.#deadlines.set(posting.ref, Math.min(due, end));
    }
  }

  #run(slots: Slots, entry: Entry, job: (done: (now: Time) => void, now: Time) => void, now: Time): void {
    entry.isBusy = true;
    slots.run((start, free) => {
      job((then) => {
        free(then);
        entry.isBusy = false;
        if (this.#entries.get(entry.posting.ref) === entry) this.#step(entry, then);
      }, start);
    }, now);
  }

  /** The online attempt. */
  #call(entry: Entry, message: Message, at: Time): void {
    const { to } = entry.posting;
    this.#run(
      this.#calls,
      entry,
      (done, start) => {
        entry.isCalled = true;
        const timeoutMs = entry.posting.isOver ? 0 : this.#reach.timeout(to.id, start);
        if (timeoutMs === 0) return done(start);
        // Our own peers answer, and only after their commit. With others, what was written counts as delivered: that is all
        // that OpenBazaar's protocol knows.
        const type = extensionOf(message) === undefined ? "send" : "request";
        this.#ask({ type, to, message, timeoutMs }, (answer, now) => {
          if (!isTaken(answer, message)) {
            this.#reach.failed(to.id, now);
            return done(now);
          }
          this.#reach.answered(to.id, now - start);
          if (entry.posting.isOver) return done(now);
          const { ref, isAck, stored, draft } = entry.posting;
          // A file of it may lie somewhere: of an acknowledgement that is repeated, or from before a crash.
          if (stored !== undefined || draft?.file !== undefined) this.#markOver(entry);
          else this.#drop(entry);
          if (!isAck) this.#out.push({ type: "progress", ref, state: "delivered", how: "online" });
          done(now);
        });
      },
      at,
    );
  }

  #seal(entry: Entry, done: (now: Time) => void, start: Time): void {
    const { posting } = entry;
    const { draft, to } = posting;
    if (draft === undefined || posting.isOver) return done(start);
    if (to.publicKey === undefined) {
      this.#ask({ type: "find-key", peer: to.id }, (answer, now) => {
        const publicKey = answer.type === "key" ? answer.publicKey : undefined;
        if (publicKey !== undefined && isKeyOf(to.id, publicKey)) {
          entry.posting = { ...entry.posting, to: { ...to, publicKey } };
          this.#save(entry);
        } else this.#failed(entry, now); // kept, and looked for again
        done(now);
      });
      return;
    }
    const sealed = sealDraft(this.#identity, to.publicKey, draft);
    const root = sealed?.blocks[0]?.cid;
    if (sealed === undefined || root === undefined) {
      this.#drop(entry, false);
      if (!posting.isAck) this.#out.push({ type: "progress", ref: posting.ref, state: "refused", how: "bad key" });
      return done(start);
    }
    if (draft.file === undefined) {
      entry.posting = { ...posting, draft: { ...draft, file: { name: sealed.name, root } } };
      this.#save(entry);
    }
    this.#ask({ type: "put", name: sealed.name, content: sealed.content, blocks: sealed.blocks }, (answer, now) => {
      const address = answer.type === "stored" ? answer.address : undefined;
      if (address === undefined) this.#failed(entry, now);
      else this.#stored(entry, sealed, address, preimageOf(draft.seed), now);
      done(now);
    });
  }

  #stored(entry: Entry, sealed: Sealed, address: Uint8Array, preimage: Uint8Array, now: Time): void {
    const { name, content, magic, blocks } = sealed;
    const cids = blocks.map(({ cid }) => cid);
    const stored = { name, size: content.length, magic, address, cids, preimage, published: 0, pushed: [] };
    const { draft: _, ...rest } = entry.posting;
    entry.posting = { ...rest, stored };
    entry.failures = 0;
    this.#index(entry);
    this.#save(entry);
    if (entry.posting.isOver) return;
    const { ref, isAck } = entry.posting;
    if (!isAck) this.#out.push({ type: "progress", ref, state: "stored" });
    this.#out.push({ type: "publish", topic: topicOf(keyOf(entry.posting)), data: content });
    this.#pushing.push(ref, [...this.#nodes, ...entry.posting.nodes], now);
  }

  #publish(entry: Entry, at: Time): void {
    const isFirst = entry.posting.stored?.published === 0;
    // Push nodes forget as the DHT does: they are asked again what they miss.
    if (!isFirst && entry.failures === 0) {
      this.#change(entry, { pushed: [] });
      this.#pushing.push(entry.posting.ref, [...this.#nodes, ...entry.posting.nodes], at);
    }
    this.#run(
      this.#publishes,
      entry,
      (done, start) => {
        const { stored, isOver } = entry.posting;
        if (stored === undefined || isOver) return done(start);
        const question = { type: "provide", at: "dht", key: keyOf(entry.posting), pointer: pointerOf(stored) } as const;
        this.#ask(question, (answer, now) => {
          const took = answer.type === "provided" ? answer.took : 0;
          if (took === 0) this.#failed(entry, now);
          else if (!entry.posting.isOver) {
            entry.failures = 0;
            this.#change(entry, { published: now });
            this.#save(entry);
            const { ref, isAck } = entry.posting;
            if (isFirst && !isAck) this.#out.push({ type: "progress", ref, state: "published" });
          }
          done(now);
        });
      },
      at,
    );
  }

  #pushed(ref: string, node: PeerId, _now: Time): void {
    const entry = this.#entries.get(ref);
    const stored = entry?.posting.stored;
    if (entry === undefined || stored === undefined || stored.pushed.includes(node)) return;
    this.#change(entry, { pushed: [...stored.pushed, node] });
    this.#save(entry);
    const { isAck, isOver } = entry.posting;
    if (stored.pushed.length === 0 && !isAck && !isOver) this.#out.push({ type: "progress", ref, state: "pushed" });
    // The acknowledgement came while this was under way: what the node just took is taken back as well.
    if (entry.posting.isOver) entry.left?.push(...this.#contacts(entry.posting).filter(({ id }) => id === node));
  }

  /** It needs to go nowhere any more. Saved first, so that a crash cannot bring it back. */
  #over(entry: Entry, state: "delivered" | "expired" | "cancelled", now: Time): void {
    const { ref, isAck } = entry.posting;
    this.#markOver(entry);
    const how = state === "delivered" ? ({ how: "acknowledged" } as const) : {};
    if (!isAck) this.#out.push({ type: "progress", ref, state, ...how });
    this.#step(entry, now);
  }

  #markOver(entry: Entry): void {
    entry.posting = { ...entry.posting, isOver: true };
    entry.failures = 0;
    entry.retryAt = 0;
    this.#save(entry);
  }

  /** Removes the file and withdraws the pointer wherever it may lie. What cannot be reached is tried twice more. */
  #takeBack(entry: Entry, done: (now: Time) => void, start: Time): void {
    const { stored, draft } = entry.posting;
    const file = stored === undefined ? draft?.file : { name: stored.name, root: stored.cids[0] };
    const places = stored === undefined ? [] : (entry.left ?? this.#places(entry.posting));
    entry.left = [];
    entry.isRemoved ||= file === undefined;
    let waiting = places.length + (entry.isRemoved ? 0 : 1);
    const end = (now: Time): void => {
      const isLeft = (entry.left ?? []).length > 0 && entry.failures + 1 < WITHDRAWALS;
      if (entry.isRemoved && !isLeft) this.#drop(entry);
      else this.#failed(entry, now);
      done(now);
      if (entry.next !== undefined && !this.#entries.has(entry.posting.ref)) this.#send(entry.next, now);
    };
    if (waiting === 0) return end(start);
    for (const at of stored === undefined ? [] : places) {
      const [pointer, preimage] = [stored?.magic, stored?.preimage] as [Uint8Array, Uint8Array];
      this.#ask({ type: "withdraw", at, key: keyOf(entry.posting), pointer, preimage }, (answer, now) => {
        if (answer.type !== "provided" || answer.took === 0) entry.left?.push(at);
        if (--waiting === 0) end(now);
      });
    }
    if (entry.isRemoved || file?.root === undefined) return;
    this.#ask({ type: "remove", name: file.name, root: file.root }, (answer, now) => {
      entry.isRemoved = answer.type === "removed" && answer.ok;
      if (--waiting === 0) end(now);
    });
  }

  #places(posting: Posting): Place[] {
    const nodes = this.#contacts(posting).filter(
      ({ id }) => posting.stored?.pushed.includes(id) || this.#pushing.isUnderWay(posting.ref, id),
    );
    return ["dht", ...nodes];
  }

  #contacts(posting: Posting): Contact[] {
    const all = new Map([...this.#nodes, ...posting.nodes].map((node) => [node.id, node]));
    return [...all.values()];
  }

  #failed(entry: Entry, now: Time): void {
    entry.failures++;
    entry.isCalled = false;
    entry.retryAt = now + backOff(entry.failures, RETRY_MS, RETRY_MOST_MS);
  }

  #add(posting: Posting): Entry {
    const entry: Entry = {
      posting,
      isBusy: false,
      isCalled: false,
      failures: 0,
      retryAt: 0,
      left: undefined,
      isRemoved: false,
      next: undefined,
    };
    this.#entries.set(posting.ref, entry);
    if (posting.isAck) this.#countAck(posting, 1);
    this.#index(entry);
    return entry;
  }

  #countAck({ to, isStranger }: Posting, by: 1 | -1): void {
    this.#acks += by;
    if (isStranger) this.#strangeAcks += by;
    const left = (this.#acksTo.get(to.id) ?? 0) + by;
    if (left > 0) this.#acksTo.set(to.id, left);
    else this.#acksTo.delete(to.id);
  }

  #index(entry: Entry): void {
    const { stored, isAck } = entry.posting;
    if (stored !== undefined && !isAck) this.#byMagic.set(toHex(stored.magic), entry);
  }

  #drop(entry: Entry, isDone = true): void {
    const { ref, stored, isAck } = entry.posting;
    if (!this.#entries.delete(ref)) return;
    if (isDone && !isAck) this.#done.add(ref);
    for (const oldest of this.#done) {
      if (this.#done.size <= DONE) break;
      this.#done.delete(oldest);
    }
    if (isAck) this.#countAck(entry.posting, -1);
    if (stored !== undefined && !isAck) this.#byMagic.delete(toHex(stored.magic));
    this.#deadlines.set(ref, undefined);
    this.#out.push({ type: "save", key: OUT_PREFIX + ref, value: undefined });
  }

  #change(entry: Entry, change: Partial<Stored>): void {
    const { stored } = entry.posting;
    if (stored !== undefined) entry.posting = { ...entry.posting, stored: { ...stored, ...change } };
  }

  #save(entry: Entry): void {
    const { ref, isAck, stored, draft } = entry.posting;
    if (isAck && stored === undefined && draft?.file === undefined) return;
    this.#out.push({ type: "save", key: OUT_PREFIX + ref, value: encodePosting(entry.posting) });
  }

  #ask(question: Question, then: (answer: Answer, now: Time) => void): void {
    this.#out.push(this.#questions.ask(question, then));
  }
}

/** Whether the online attempt succeeded. */
function isTaken(answer: Answer, { type }: Message): boolean {
  if (answer.type === "sent") return answer.ok;
  return answer.type === "answered" && answer.message?.type === type && answer.message.isResponse === true;
}

/** The push nodes that do not have it yet. */
function missingNodes(posting: Posting, nodes: readonly Contact[]): Contact[] {
  const { stored, isOver } = posting;
  if (stored === undefined || isOver) return [];
  return [...nodes, ...posting.nodes].filter(({ id }) => !stored.pushed.includes(id));
}

const ACK = "ack-";
const MESSAGE_BYTES = 1024 * 1024;
const POSTINGS = 20_000;
const ACKS = 10_000;
const ACKS_TO_ONE = 1000;
const STRANGE_ACKS = 1000;
const STRANGE_ACKS_A_SECOND = 1 / 3;
const STRANGE_ACKS_AT_ONCE = 100;
const DONE = 20_000;
const NODES = 4; // push nodes of one recipient
const CALLS = 16;
const SEALS = 8;
const PUBLISHES = 8;
const FLEETING = 64;
const WITHDRAWALS = 3;
const RETRY_MS = 30_000;
const RETRY_MOST_MS = 3_600_000;
const REPUBLISH_MS = 12 * 3_600_000; // D40
const LIFE_MS = 30 * 86_400_000; // D40
const ACK_LIFE_MS = 7 * 86_400_000; // as long as its pointer lives
