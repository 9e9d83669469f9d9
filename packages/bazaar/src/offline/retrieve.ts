/**
 * The recipient: looks for pointers at the push nodes each minute and in the DHT each hour, downloads what they lead to, each
 * content once, and hands it to `Arrivals`, which commits before it acknowledges. protocol/bazaar.md §9
 */
import { assert, Deadlines, type Machine, type Time, toHex } from "restante/protocol";
import {
  type Identity,
  type Message,
  magicId,
  type PeerId,
  type PointerRecord,
  parseAddress,
  pointerKey,
  topicOf,
} from "../format/index.ts";
import { Arrivals, type ArrivalsOutput, CONTENT_BYTES, contentKey, type Taken } from "./arrivals.ts";
import type { Answer, Contact, Effect, Place } from "./effects.ts";
import { type Question, Questions } from "./questions.ts";
import { backOff } from "./slots.ts";

/** Who looks for mail, and where it is kept. */
export interface RetrieveOptions {
  readonly identity: Identity;
  /** The push nodes that keep mail for us. */
  readonly nodes: readonly Contact[];
  /** How often it looks, in milliseconds: at push nodes each minute and in the DHT each hour unless it is given; a second at least. */
  readonly lookMs?: Readonly<Partial<Record<"node" | "dht", number>>> | undefined;
}

/** What the recipient is told. */
export type RetrieveInput =
  /** Once, after the start. */
  | { readonly type: "start" }
  /** Look now, everywhere. */
  | { readonly type: "scan" }
  /** A message on a topic that was subscribed to. */
  | { readonly type: "heard"; readonly topic: string; readonly data: Uint8Array }
  /** A message on a stream, from the peer at its other end. Not for STORE and BLOCK, which concern the push role. */
  | { readonly type: "received"; readonly from: Contact; readonly message: Message }
  /** The application's answer to an `offer`. */
  | { readonly type: "taken"; readonly id: number; readonly result: Taken }
  /** From now on these, and only these, are banned. */
  | { readonly type: "banned"; readonly peers: readonly PeerId[] }
  /** From now on these, and only these, are no strangers. */
  | { readonly type: "contacts"; readonly peers: readonly PeerId[] }
  | { readonly type: "nodes"; readonly nodes: readonly Contact[] }
  | { readonly type: "tick" }
  | Answer;

/** What has to happen, in this order: commits, effects, and messages for the application. */
export type RetrieveOutput = Effect | ArrivalsOutput;

/** Counts since the start. */
export interface RetrieveStats {
  /** Searches that ended, and of them those that nobody answered. */
  readonly searches: number;
  readonly unanswered: number;
  /** Contents downloaded, and of them those that could not be had. */
  readonly fetched: number;
  readonly missed: number;
  /** Pointers that lead nowhere that we would go: no address, too large. */
  readonly badPointers: number;
  /** Contents and messages that were not for us, not from whom they said, of no kind that we keep. */
  readonly refused: number;
  /** Messages that wait for the application. */
  readonly waiting: number;
}

/** A content that somebody points to. */
interface Candidate {
  readonly key: string;
  readonly address: Uint8Array;
  readonly isHttps: boolean;
  /** Of an address of the web, which is not made of its content: the magic ids of the pointers to it. */
  readonly magics: Set<string>;
  size: number | undefined;
  /** Who said so, and may have it. */
  readonly from: Map<PeerId, Contact>;
  tries: number;
  isBusy: boolean;
}

interface Search {
  isBusy: boolean;
  /** Searches in a row that nobody answered. */
  failures: number;
}

/**
 * The recipient as a machine: `handle` one input at a time, carry out what it answers in that order, and give it the answers of the
 * effects. Offers a message again until it is answered, also after a restart. protocol/bazaar.md §9
 */
export class Retrieve implements Machine<RetrieveInput, RetrieveOutput> {
  readonly #arrivals: Arrivals;
  readonly #key: Uint8Array;
  readonly #topic: string;
  readonly #questions = new Questions();
  readonly #deadlines = new Deadlines<string>();
  readonly #candidates = new Map<string, Candidate>();
  /** Keys of candidates that nobody has tried yet: from push nodes, and from the DHT, by the node that said so. */
  readonly #pushed = new Set<string>();
  readonly #found = new Map<string, Set<string>>();
  /** Keys of those that could not be had, and may be later; and of those whose time to be tried again has come. */
  readonly #tried = new Set<string>();
  readonly #again = new Set<string>();
  readonly #searches = new Map<string, Search>();
  /** Addresses that were given up, and when. */
  readonly #dead = new Map<string, Time>();
  readonly #allowance = new Allowance(DHT_FETCHES, DHT_FETCHES_MS);
  readonly #hearing = new Allowance(HEARD, HEARD_MS);
  readonly #lookMs: Readonly<Record<"node" | "dht", number>>;
  #nodes: readonly Contact[];
  #fetching = 0;
  #https = 0;
  #ended = 0;
  #unanswered = 0;
  #fetched = 0;
  #missed = 0;
  #badPointers = 0;
  #isSecond = false;
  #out: RetrieveOutput[] = [];

  /** `records`: what is stored below IN_PREFIX and SEEN_PREFIX. */
  constructor(options: RetrieveOptions, records: Iterable<readonly [key: string, value: Uint8Array]>) {
    this.#arrivals = new Arrivals(options.identity, records);
    this.#key = pointerKey(options.identity.id);
    this.#topic = topicOf(this.#key);
    this.#nodes = options.nodes.slice(0, NODES);
    this.#lookMs = { ...LOOK_MS, ...options.lookMs };
  }

  get stats(): RetrieveStats {
    return {
      searches: this.#ended,
      unanswered: this.#unanswered,
      fetched: this.#fetched,
      missed: this.#missed,
      badPointers: this.#badPointers,
      refused: this.#arrivals.refused,
      waiting: this.#arrivals.waiting,
    };
  }

  handle(input: RetrieveInput, now: Time): RetrieveOutput[] {
    assert(this.#out.length === 0, "a turn ends before the next begins");
    this.#take(input, now);
    this.#pump(now);
    this.#deadlines.set(EARLY, this.#arrivals.deadline());
    const out = [...this.#out, ...this.#arrivals.take()];
    this.#out = [];
    return out;
  }

  deadline(): Time | undefined {
    return this.#deadlines.next();
  }

  #take(input: RetrieveInput, now: Time): void {
    switch (input.type) {
      case "start":
        this.#out.push({ type: "subscribe", topic: this.#topic });
        this.#deadlines.set(SWEEP, now + SWEEP_MS);
        this.#arrivals.start();
        return this.#scan();
      case "scan":
        return this.#scan();
      case "heard":
        if (input.topic !== this.#topic || input.data.length > CONTENT_BYTES || !this.#hearing.take(now)) return;
        return this.#content(input.data, [], now);
      case "received":
        return this.#arrivals.message(input.from, input.message, now);
      case "taken":
        return this.#arrivals.taken(input.id, input.result, now);
      case "banned":
        return this.#arrivals.ban(input.peers);
      case "contacts":
        return this.#arrivals.contacts(input.peers);
      case "nodes":
        this.#nodes = input.nodes.slice(0, NODES);
        for (const node of this.#nodes) this.#search(node);
        return;
      case "tick":
        for (const key of this.#deadlines.due(now)) this.#due(key, now);
        return;
      default:
        return this.#questions.answer(input, now);
    }
  }

  #due(key: string, now: Time): void {
    if (key === SWEEP) {
      this.#deadlines.set(SWEEP, now + SWEEP_MS);
      this.#arrivals.sweep(now);
      for (const [dead, at] of this.#dead) if (now - at >= DEAD_MS) this.#dead.delete(dead);
    } else if (key === EARLY) this.#arrivals.retry();
    else if (key === "dht") this.#search("dht");
    else if (this.#candidates.has(key)) this.#again.add(key);
    else {
      const node = this.#nodes.find(({ id }) => id === key);
      if (node !== undefined) this.#search(node);
    }
  }

  #scan(): void {
    for (const node of this.#nodes) this.#search(node);
    this.#search("dht");
  }

  #search(at: Place): void {
    const name = at === "dht" ? "dht" : at.id;
    const search = this.#searches.get(name) ?? { isBusy: false, failures: 0 };
    this.#searches.set(name, search);
    if (search.isBusy) return;
    search.isBusy = true;
    const pointers = new Map<string, number>();
    this.#deadlines.set(name, undefined);
    this.#ask({ type: "lookup", at, key: this.#key }, (answer, now) => {
      if (answer.type !== "found") return;
      const by = answer.by ?? name;
      for (const pointer of answer.pointers) {
        const said = (pointers.get(by) ?? 0) + 1;
        if (said > (at === "dht" ? POINTERS_OF_EACH : POINTERS) || (said === 1 && pointers.size >= ANSWERING)) break;
        pointers.set(by, said);
        this.#pointer(pointer, at, by, now);
      }
      if (answer.last === undefined) return;
      search.isBusy = false;
      this.#ended++;
      if (answer.last.asked === 0) this.#unanswered++;
      // Nobody answered: that is not "there is no mail".
      search.failures = answer.last.asked > 0 ? 0 : search.failures + 1;
      this.#deadlines.set(name, now + this.#pause(at, search.failures));
    });
  }

  #pause(at: Place, failures: number): number {
    const usual = Math.max(LEAST_LOOK_MS, this.#lookMs[at === "dht" ? "dht" : "node"]);
    if (failures > 0) return backOff(failures, FAILED_MS, Math.max(usual, FAILED_MS * 8));
    if (at !== "dht" || this.#isSecond) return usual;
    // A node that has just started knows few others, and may have asked the wrong ones.
    this.#isSecond = true;
    return SECOND_MS;
  }

  #pointer(pointer: PointerRecord, at: Place, by: string, now: Time): void {
    const address = parseAddress(pointer.address);
    if (address === undefined || (pointer.size ?? 0) > CONTENT_BYTES) {
      this.#badPointers++;
      return;
    }
    const key = contentKey(address.type === "ipfs" ? address.cid : address.url);
    if (this.#arrivals.isSeen(key, now)) return;
    const dead = this.#dead.get(key);
    if (dead !== undefined && now - dead < DEAD_MS) return;
    let candidate = this.#candidates.get(key);
    if (candidate === undefined) {
      const most = at === "dht" ? CANDIDATES - QUEUE : CANDIDATES;
      if (this.#candidates.size >= most && !this.#makeRoom(by)) return; // seen again at the next lookup
      const isHttps = address.type === "https";
      candidate = {
        key,
        address: pointer.address,
        isHttps,
        magics: new Set(),
        size: pointer.size,
        from: new Map(),
        tries: 0,
        isBusy: false,
      };
      this.#candidates.set(key, candidate);
    }
    // In the queue of each that said so: who says it first cannot hold it back behind what leads nowhere.
    if (candidate.tries === 0) {
      const queue = at === "dht" ? (this.#found.get(by) ?? new Set<string>()) : this.#pushed;
      if (queue.size < (at === "dht" ? POINTERS_OF_EACH : QUEUE)) queue.add(key);
      if (at === "dht") this.#found.set(by, queue);
    }
    // Several may point to one content, and some may lie about its size: the largest counts.
    const { size } = candidate;
    candidate.size = size === undefined || pointer.size === undefined ? undefined : Math.max(size, pointer.size);
    if (candidate.isHttps && candidate.magics.size < MAGICS) candidate.magics.add(toHex(pointer.id));
    if (at !== "dht" && candidate.from.size < SOURCES) candidate.from.set(at.id, at);
  }

  /**
   * What nobody had when it was asked for gives way to what is new, and so does the last that whoever said most said: it is found
   * again if there is something to it.
   */
  #makeRoom(by: string): boolean {
    for (const key of this.#tried) {
      this.#tried.delete(key);
      const candidate = this.#candidates.get(key);
      if (candidate === undefined || candidate.isBusy || candidate.from.size > 0) continue;
      this.#candidates.delete(key);
      this.#again.delete(key);
      this.#deadlines.set(key, undefined);
      return true;
    }
    const own = this.#found.get(by)?.size ?? 0;
    const longest = [...this.#found.values()].reduce((most, queue) => (queue.size > most.size ? queue : most), NONE);
    if (longest.size <= own + 1) return false;
    const last = [...longest].findLast((key) => this.#saidBy(key) === 1);
    if (last === undefined) return false;
    longest.delete(last);
    this.#candidates.delete(last);
    return true;
  }

  #saidBy(key: string): number {
    return [...this.#found.values()].filter((queue) => queue.has(key)).length;
  }

  /** Starts downloads while there is room: first what push nodes have, then what the DHT points to, then what failed before. */
  #pump(now: Time): void {
    while (this.#fetching < FETCHES) {
      const candidate = this.#pick(this.#pushed) ?? this.#pickFromDht(now);
      if (candidate === undefined) return;
      this.#fetch(candidate);
    }
  }

  /** Of the nodes of the DHT one after the other, so that none hides what others have. */
  #pickFromDht(now: Time): Candidate | undefined {
    if (this.#found.size === 0 && this.#again.size === 0) return undefined;
    if (!this.#allowance.has(now)) {
      this.#deadlines.set(PUMP, this.#allowance.next());
      return undefined;
    }
    for (const [by, queue] of [...this.#found]) {
      this.#found.delete(by);
      let candidate = this.#pick(queue);
      while (candidate !== undefined && candidate.tries > 0) candidate = this.#pick(queue); // another node's, and had its turn
      if (queue.size > 0) this.#found.set(by, queue); // the last now
      if (candidate === undefined) continue;
      this.#allowance.take(now);
      return candidate;
    }
    const candidate = this.#pick(this.#again);
    if (candidate !== undefined) this.#allowance.take(now);
    return candidate;
  }

  /** The first of the queue. Web servers that hang take only some of the places. */
  #pick(queue: Set<string>): Candidate | undefined {
    for (const key of queue) {
      const candidate = this.#candidates.get(key);
      if (candidate?.isHttps && this.#https >= HTTPS_FETCHES) continue;
      queue.delete(key);
      if (candidate !== undefined && !candidate.isBusy) return candidate;
    }
    return undefined;
  }

  #fetch(candidate: Candidate): void {
    const { address, isHttps } = candidate;
    candidate.isBusy = true;
    candidate.tries++;
    this.#fetching++;
    if (isHttps) this.#https++;
    this.#fetched++;
    const limit = candidate.size ?? CONTENT_BYTES;
    const from = [...candidate.from.values()];
    this.#ask({ type: "fetch", address, from, limit }, (answer, now) => {
      candidate.isBusy = false;
      this.#fetching--;
      if (isHttps) this.#https--;
      const content = answer.type === "content" ? answer.content : undefined;
      // A web server may answer with anything, a page to log in at: that is no content, and may be there later.
      const isOther = content !== undefined && isHttps && !candidate.magics.has(toHex(magicId(content)));
      if (content === undefined || content.length > CONTENT_BYTES || isOther) {
        this.#missed++;
        this.#missing(candidate, now);
      } else this.#content(content, from, now, candidate);
    });
  }

  #content(content: Uint8Array, from: readonly Contact[], now: Time, candidate?: Candidate): void {
    const verdict = this.#arrivals.content(content, true, now);
    if (verdict.type === "later") {
      if (candidate !== undefined) this.#deadlines.set(candidate.key, now + LATER_MS);
      return;
    }
    if (candidate !== undefined) {
      this.#candidates.delete(candidate.key);
      this.#tried.delete(candidate.key);
      // An address of the web is not made of its content: it is remembered beside it.
      if (candidate.isHttps) this.#arrivals.junk(candidate.key, now);
    }
    if (verdict.type !== "new" && verdict.type !== "known") return;
    const preimage = verdict.opened.extension?.preimage;
    if (preimage === undefined) return;
    // What says "committed" stands first, whatever else follows it.
    this.#out.push(...this.#arrivals.take());
    const pointer = magicId(content);
    for (const at of ["dht", ...from] as Place[])
      this.#ask({ type: "withdraw", at, key: this.#key, pointer, preimage }, () => {});
  }

  #missing(candidate: Candidate, now: Time): void {
    if (candidate.tries < TRIES) {
      this.#tried.add(candidate.key);
      this.#deadlines.set(candidate.key, now + backOff(candidate.tries, MISSED_MS, MISSED_MOST_MS));
      return;
    }
    this.#candidates.delete(candidate.key);
    this.#tried.delete(candidate.key);
    this.#dead.set(candidate.key, now);
    for (const oldest of this.#dead.keys()) {
      if (this.#dead.size <= CANDIDATES) break;
      this.#dead.delete(oldest);
    }
  }

  #ask(question: Question, then: (answer: Answer, now: Time) => void): void {
    this.#out.push(this.#questions.ask(question, then));
  }
}

/** So many in each stretch of time. */
class Allowance {
  readonly #most: number;
  readonly #pauseMs: number;
  #left: number;
  #since: Time = 0;

  constructor(most: number, pauseMs: number) {
    this.#most = most;
    this.#pauseMs = pauseMs;
    this.#left = most;
  }

  has(now: Time): boolean {
    if (now - this.#since >= this.#pauseMs || now < this.#since) {
      this.#since = now;
      this.#left = this.#most;
    }
    return this.#left > 0;
  }

  take(now: Time): boolean {
    if (!this.has(now)) return false;
    this.#left--;
    return true;
  }

  /** When there are more. */
  next(): Time {
    return this.#since + this.#pauseMs;
  }
}

const NONE: Set<string> = new Set();
const SWEEP = "sweep";
const EARLY = "early";
const PUMP = "pump"; // nothing but a reason to look again
const LOOK_MS = { node: 60_000, dht: 3_600_000 } as const; // D48
const LEAST_LOOK_MS = 1000;
const SECOND_MS = 20_000;
const FAILED_MS = 30_000;
const SWEEP_MS = 3_600_000;
const NODES = 16;
const POINTERS = 5000; // of one lookup at a push node
const POINTERS_OF_EACH = 2000; // of each node in one of the DHT: no honest one keeps more below a key
const ANSWERING = 32; // nodes in one lookup
const QUEUE = 4000;
const CANDIDATES = 10_000;
const SOURCES = 4;
const MAGICS = 8;
const FETCHES = 5;
const HTTPS_FETCHES = 3;
const TRIES = 8;
const MISSED_MS = 60_000;
const MISSED_MOST_MS = 6 * 3_600_000;
const DEAD_MS = 6 * 3_600_000;
const LATER_MS = 600_000;
const DHT_FETCHES = 600; // most of them are of strangers with whom we share a key
const DHT_FETCHES_MS = 600_000;
const HEARD = 100; // from a topic
const HEARD_MS = 60_000;
