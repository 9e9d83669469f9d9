/**
 * Boxes in a Redis Cluster, shared by all cache nodes that have its key: deposit at one, collect at another. It must keep
 * nothing but memory, and is asked whether it does. Rules: protocol/box.md §7, carried out by redis-function.ts; operators:
 * docs/cluster.md.
 *
 * What belongs to one recipient goes there in order, one call at a time, and what came meanwhile goes together in the next.
 * A call that failed is repeated until it is confirmed; all of them can be repeated without harm.
 */
import { randomBytes } from "node:crypto";
import { BOX_LIMITS, type BoxAnswer, type BoxLimits, type BoxOp, type BoxStats, type BoxStore } from "restante";
import { assert, pairsHex, type Time } from "restante/protocol";
import { Books, parseBook } from "./redis-books.ts";
import { FUNCTIONS } from "./redis-function.ts";
import type { ClusterLink } from "./redis-link.ts";
import { ClusterNames, channelOf, type RecipientNames, slotOf } from "./redis-names.ts";
import { type Rate, TokenBuckets } from "./token-buckets.ts";

/** Where the store of a cluster of cache nodes is, and its limits. docs/cluster.md */
export interface RedisBoxOptions {
  /** "redis://host:port" of one server of the cluster or more; the others are found. A password may stand in it. */
  readonly servers: readonly string[];
  /** The secret that all cache nodes of this store have: 32 bytes. */
  readonly clusterKey: Uint8Array;
  /**
   * Those not given are `BOX_LIMITS`; at most 4096 boxes. `total` is that of the store, as this node knows it: what others
   * bring is seen within a minute. Every node of the store should have the same.
   */
  readonly limits?: Partial<BoxLimits>;
  /** How many bytes of message data a sender may bring for one recipient. Default: 8 MiB at once, 1 MiB a second. */
  readonly senderRate?: Rate;
  /** And all senders together, at this node. Default: as many as come. */
  readonly totalRate?: Rate;
  /** Also use servers that write to a disk, or do not say whether they do. Default: false. */
  readonly allowPersistence?: boolean;
  /** Told in plain words when something needs a person. Default: nobody. */
  readonly onTrouble?: (message: string) => void;
}

/** A `BoxStore` with connections, that somebody else may put into, too. */
export interface RedisBoxStore extends BoxStore {
  listen(tell: (gained: Gained) => void, here: () => ReadonlySet<string>): void;
  /** Ends all connections. What was not confirmed yet is given up. */
  close(): Promise<void>;
}

type Put = Extract<BoxOp, { type: "put" }>;
type Gained = Extract<BoxAnswer, { type: "gained" }>;
type RecipientOp = Exclude<BoxOp, { type: "sweep" | "remove-many" }>;

/**
 * Connects. Codes: "bad-cluster" (no address of a server), "no-cluster" (no answer, or no cluster), "no-functions" (too old),
 * "not-memory-only" (a server would write to a disk), "no-config" (it does not say).
 */
export async function redisBoxStore(options: RedisBoxOptions): Promise<RedisBoxStore> {
  const limits = { ...BOX_LIMITS, ...options.limits };
  assert(limits.boxes <= MAX_BOXES, "a recipient has at most 4096 boxes in a cluster");
  assert(options.clusterKey.length === 32, "a cluster key has 32 bytes");
  const store = new ClusterBoxStore(options, limits);
  await store.open();
  return store;
}

/** Only where there is a cluster: the client has a class of texts, after which V8 looks up all methods of all texts slowly. */
function clusterLinks(): Promise<typeof import("./redis-link.ts")> {
  return import("./redis-link.ts");
}

/** An operation that is not carried out yet. */
interface Job {
  readonly op: RecipientOp;
  readonly at: Time;
  readonly cost: number;
  readonly answer: (answers: BoxAnswer[]) => void;
  /** Not before this. */
  readonly ready: Promise<unknown> | undefined;
  mayKeep: boolean;
  /** Of a clear that is under way: what it has not reached yet came later. */
  upto: string;
  tries: number;
  isOver: boolean;
}

class ClusterBoxStore implements RedisBoxStore {
  readonly #options: RedisBoxOptions;
  readonly #limits: BoxLimits;
  readonly #names: ClusterNames;
  readonly #origin = randomBytes(ORIGIN_BYTES);
  readonly #lanes = new Map<string, Job[]>();
  readonly #watched = new Map<string, Promise<void>>();
  readonly #recipients = new Map<string, string>(); // by channel
  readonly #senders: TokenBuckets;
  readonly #all: TokenBuckets | undefined;
  readonly #looks = new Set<number>();
  /** With what is to be done when the store closes instead. */
  readonly #timers = new Map<ReturnType<typeof setTimeout>, () => void>();
  #link: ClusterLink | undefined;
  #tell: (gained: Gained) => void = () => {};
  #here: (() => ReadonlySet<string>) | undefined;
  #waiting = 0; // bytes of what is not confirmed
  readonly #books = new Books();
  #counts = { gained: 0, refused: 0, evicted: 0, expired: 0 };
  #isChanged = false;
  #isClosed = false;

  constructor(options: RedisBoxOptions, limits: BoxLimits) {
    this.#options = options;
    this.#limits = limits;
    this.#names = new ClusterNames(options.clusterKey);
    this.#senders = new TokenBuckets(options.senderRate ?? SENDER_RATE, MAX_SENDERS);
    this.#all = options.totalRate && new TokenBuckets(options.totalRate, 1);
  }

  async open(): Promise<void> {
    const { ClusterLink } = await clusterLinks();
    this.#link = await ClusterLink.open({
      servers: this.#options.servers,
      allowPersistence: this.#options.allowPersistence ?? false,
      trouble: this.#options.onTrouble ?? (() => {}),
      announced: (channel, message) => this.#announced(channel, message),
      moved: () => this.#lookAgain(),
    });
    await this.#audit();
    this.#every(AUDIT_MS, () => {
      if (this.#isChanged) this.#audit().catch(() => {});
    });
    this.#every(LOOK_MS, () => this.#look());
  }

  handle(op: BoxOp, now: Time): Promise<BoxAnswer[]> {
    if (op.type === "sweep") return this.#sweep(op.op, now);
    if (op.type === "remove-many") return this.#removeMany(op, now);
    if (op.type === "put" && op.more !== undefined && op.more.length > 0) return this.#putMany(op, now);
    return new Promise((resolve) => {
      const bytes = op.type === "put" ? op.bytes.length : op.type === "revoke" ? 8 * op.serials.length : 0;
      const cost = bytes + JOB_BYTES;
      const ready = op.type === "list" ? this.#watch(op.recipient) : undefined;
      const hasRoom = isNamed(op) && !this.#isClosed && this.#waiting + cost <= MAX_WAITING;
      const mayKeep = op.type === "put" && hasRoom && this.#mayKeep(op, now);
      this.#waiting += cost;
      const job: Job = { op, at: now, cost, answer: resolve, ready, mayKeep, upto: "", tries: 0, isOver: false };
      if (hasRoom) this.#enqueue(job);
      else this.#giveUp(job);
    });
  }

  stats(): BoxStats {
    const { messages, data, boxes, recipients } = this.#books.sums;
    return { recipients, boxes, messages, bytes: data, memory: this.#memory(), ...this.#counts };
  }

  listen(tell: (gained: Gained) => void, here: () => ReadonlySet<string>): void {
    this.#tell = tell;
    this.#here = here;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#link?.close();
    for (const jobs of this.#lanes.values()) for (const job of jobs.splice(0)) this.#giveUp(job);
    for (const [timer, end] of this.#timers) {
      clearTimeout(timer);
      end();
    }
  }

  // --- operations ---

  /** They wait side by side in the lane of the recipient, and so are in the same call. */
  async #removeMany(
    { op, recipient, box, ids }: Extract<BoxOp, { type: "remove-many" }>,
    now: Time,
  ): Promise<BoxAnswer[]> {
    await Promise.all(pairsHex(ids).map((id) => this.handle({ type: "remove", op, recipient, box, id }, now)));
    return [{ type: "done", op }];
  }

  async #putMany({ more = [], ...first }: Put, now: Time): Promise<BoxAnswer[]> {
    const puts = [first, ...more.map(({ id, bytes }) => ({ ...first, id, bytes }))];
    const answers = await Promise.all(puts.map((put) => this.handle(put, now)));
    return [...answers.flat().filter(({ type }) => type === "gained"), { type: "done", op: first.op }];
  }

  /** What the buckets say. It does not depend on the store, and nothing but what is kept depends on it. */
  #mayKeep({ recipient, box, bytes }: Put, now: Time): boolean {
    const size = Math.max(bytes.length, MIN_COUNTED);
    const isInRate = this.#senders.take(recipient + box, size, now);
    if (!isInRate || this.#all?.take("", size, now) === false) return false;
    return this.#memory() + this.#waiting + bytes.length + NEW_MEMORY <= this.#limits.total;
  }

  #enqueue(job: Job): void {
    const { recipient } = job.op;
    const jobs = this.#lanes.get(recipient);
    if (jobs !== undefined) {
      jobs.push(job);
      return;
    }
    const lane = [job];
    this.#lanes.set(recipient, lane);
    void this.#work(recipient, lane);
  }

  /** One call at a time until nothing is left to do for this recipient. */
  async #work(recipient: string, jobs: Job[]): Promise<void> {
    const names = this.#names.of(recipient);
    while (jobs.length > 0) {
      await jobs[0]?.ready;
      const batch = nextBatch(jobs);
      try {
        const answers = await this.#call(names, batch);
        answers.forEach((answer, i) => {
          const job = batch[i];
          if (job === undefined) return;
          // What came while a box was cleared in several steps stays.
          if (job.op.type === "clear" && textOf(answer) !== "") job.upto = textOf(answer);
          else if (!job.isOver) this.#end(job, this.#answersTo(job, names, answer));
        });
      } catch (error) {
        await this.#failed(batch, error);
      }
      // Of what failed, some is given up and the rest tried again, in the order that it had.
      jobs.splice(0, batch.length, ...batch.filter(({ isOver }) => !isOver));
    }
    this.#lanes.delete(recipient);
  }

  /** The answers of the function to each of these; none at all when it has to be called again for them. */
  async #call(names: RecipientNames, batch: readonly Job[]): Promise<unknown[]> {
    const hasPut = batch.some(({ op }) => op.type === "put");
    const now = Math.max(...batch.map(({ at }) => at));
    const args = batch.flatMap((job) => this.#arguments(job, names));
    const name = hasPut ? FUNCTIONS.put : FUNCTIONS.other;
    return this.#function(name, names.tag, now, args);
  }

  /** Gives the answers to the operations in `args`. */
  #function(name: string, tag: string, now: Time, args: readonly (string | number | Buffer)[]): Promise<unknown[]> {
    assert(this.#link !== undefined, "the store is open");
    const { box, recipient, strangerBox, strangers, boxes, lifetime } = this.#limits;
    const limits = [box, recipient, strangerBox, strangers, boxes, lifetime];
    const all = [now, tag, channelOf(tag), this.#origin, ...limits, ...args];
    return this.#link.call(name, this.#names.keysOf(tag), all, (reply) => this.#account(slotOf(tag), reply));
  }

  #arguments({ op, at, mayKeep, upto }: Job, names: RecipientNames): (string | number | Buffer)[] {
    switch (op.type) {
      case "put": {
        const expires = Math.trunc(Math.min(op.expires, at + this.#limits.lifetime));
        const bytes = Buffer.from(op.bytes.buffer, op.bytes.byteOffset, op.bytes.length);
        const shelf = op.class === "stranger" ? 2 : 1;
        const serial = serialOf(op, names);
        return ["p", names.box(op.box), names.message(op.box, op.id), bytes, expires, shelf, mayKeep ? 1 : 0, serial];
      }
      case "remove":
        return ["r", names.box(op.box), names.message(op.box, op.id), serialOf(op, names)];
      case "clear":
        return ["c", names.box(op.box), upto, serialOf(op, names)];
      case "revoke":
        return ["v", Buffer.concat(op.serials.map((serial) => names.serial(serial)))];
      case "list":
        return ["l"];
      case "read":
        return ["n", names.box(op.box), op.after];
    }
  }

  #account(slot: number, reply: unknown): unknown[] {
    const [changes, ...answers] = reply as [number[], ...unknown[]];
    const [messages = 0, data = 0, boxes = 0, recipients = 0, evicted = 0, expired = 0] = changes;
    this.#books.add(slot, { messages, data, boxes, recipients });
    this.#counts.evicted += evicted;
    this.#counts.expired += expired;
    this.#isChanged = true;
    return answers;
  }

  #answersTo({ op, tries }: Job, names: RecipientNames, answer: unknown): BoxAnswer[] {
    switch (op.type) {
      case "put": {
        // What an attempt before this one may have kept without our hearing of it is new to everybody.
        const isKept = answer === KEPT || answer === KEPT_FIRST || (answer === SAME && tries > 0);
        const done: BoxAnswer = { type: "done", op: op.op };
        if (isKept) this.#counts.gained++;
        else if (answer === REFUSED) this.#counts.refused++;
        if (!isKept) return [done];
        return [{ type: "gained", recipient: op.recipient, box: op.box, wasEmpty: answer !== KEPT }, done];
      }
      case "remove":
      case "clear":
      case "revoke":
        return [{ type: "done", op: op.op }];
      case "list":
        return [{ type: "list", op: op.op, boxes: (answer as Buffer[]).flatMap((name) => names.boxOf(name) ?? []) }];
      case "read": {
        const [name, cursor, bytes] = answer as [Buffer?, number?, Buffer?];
        const place = name && names.messageOf(name);
        if (place === undefined || cursor === undefined || bytes === undefined) return [{ type: "dry", op: op.op }];
        const copy = Uint8Array.from(bytes);
        bytes.fill(0); // it is a part of what the socket gave
        return [{ type: "message", op: op.op, id: place.id, bytes: copy, cursor }];
      }
    }
  }

  /** Puts, removals, clears and revocations are tried until they are confirmed; a question is left to be asked again. */
  async #failed(batch: readonly Job[], error: unknown): Promise<void> {
    const { callFailure } = await clusterLinks();
    const failure = callFailure(error);
    if (failure === "call" && !this.#isClosed) this.#options.onTrouble?.(`the Redis Cluster refused a call: ${error}`);
    for (const job of batch) {
      job.tries++;
      const isQuestion = job.op.type === "list" || job.op.type === "read";
      const hasTried = job.tries >= MAX_TRIES && (isQuestion || failure === "call");
      if (hasTried || (failure === "memory" && job.op.type === "put")) this.#giveUp(job);
    }
    if (batch.every(({ isOver }) => !isOver))
      await this.#pause(Math.min(RETRY_MS * 2 ** (batch[0]?.tries ?? 0), MAX_RETRY_MS));
  }

  /** Whoever asked something and hears nothing asks again; a sender never learns what became of a message. */
  #giveUp(job: Job): void {
    if (job.isOver) return;
    const { op } = job;
    if (op.type === "put") this.#counts.refused++;
    this.#end(job, op.type === "list" || op.type === "read" ? [] : [{ type: "done", op: op.op }]);
  }

  #end(job: Job, answers: BoxAnswer[]): void {
    job.isOver = true;
    this.#waiting -= job.cost;
    if (job.op.type === "put") job.op.bytes.fill(0);
    job.answer(answers);
  }

  // --- looking after everything ---

  async #sweep(op: number, now: Time): Promise<BoxAnswer[]> {
    try {
      for (let round = 0; round < MAX_ROUNDS; round++) {
        const due = await this.#audit(now);
        if (due.length === 0) break;
        await Promise.all(due.map((tag) => this.#purge(tag, now)));
      }
    } catch {
      return []; // not now: whoever hears nothing asks again
    }
    return [{ type: "swept", op, messages: this.#books.sums.messages }];
  }

  async #purge(tag: string, now: Time): Promise<void> {
    await this.#function(FUNCTIONS.other, tag, now, []);
  }

  /** What there is in all, as the servers have it. Gives the tags of recipients of which something has ended at `now`. */
  async #audit(now?: Time): Promise<string[]> {
    assert(this.#link !== undefined, "the store is open");
    this.#isChanged = false;
    const due: string[] = [];
    const limit = now === undefined ? 0 : MAX_DUE;
    const books = (slot: number): readonly string[] => this.#names.books(slot);
    await this.#link.survey(limit, now ?? 0, books, (slots, answer) => {
      const [counts, tags] = answer as [(string | null)[][], string[]];
      slots.forEach((slot, i) => {
        this.#books.set(slot, parseBook(counts[i] ?? []));
      });
      due.push(...tags);
    });
    return due;
  }

  /** What it all takes in the servers, from measured sizes. */
  #memory(): number {
    const { messages, data, boxes, recipients } = this.#books.sums;
    return data + messages * MESSAGE_MEMORY + boxes * BOX_MEMORY + recipients * RECIPIENT_MEMORY;
  }

  // --- what others put ---

  /** Resolves when nothing that is put from now on goes unnoticed, or after a while all the same. */
  async #watch(recipient: string): Promise<void> {
    let watching = this.#watched.get(recipient);
    if (watching === undefined) {
      const { channel } = this.#names.of(recipient);
      this.#recipients.set(channel, recipient);
      watching = this.#link?.watch(channel).catch(() => this.#unwatch(recipient)) ?? Promise.resolve();
      this.#watched.set(recipient, watching);
      const [oldest] = this.#watched.keys();
      if (oldest !== undefined && this.#watched.size > MAX_WATCHED) this.#unwatch(oldest);
    }
    await new Promise<void>((resolve) => {
      const timer = this.#after(WATCH_MS, resolve, resolve);
      watching.then(() => {
        clearTimeout(timer);
        this.#timers.delete(timer);
        resolve();
      });
    });
  }

  #unwatch(recipient: string): void {
    if (!this.#watched.delete(recipient)) return;
    const { channel } = this.#names.of(recipient);
    this.#recipients.delete(channel);
    this.#link?.unwatch(channel).catch(() => {});
  }

  #announced(channel: string, message: Buffer): void {
    const recipient = this.#recipients.get(channel);
    if (recipient === undefined || message.subarray(0, ORIGIN_BYTES).equals(this.#origin)) return;
    const names = this.#names.of(recipient);
    for (let at = ORIGIN_BYTES; at < message.length; at += 1 + NAME_BYTES) {
      const box = names.boxOf(message.subarray(at + 1, at + 1 + NAME_BYTES));
      if (box !== undefined) this.#tell({ type: "gained", recipient, box, wasEmpty: message[at] === FIRST });
    }
  }

  /** Announcements may have been missed: once things are quiet, and once more, see what there is. */
  #lookAgain(): void {
    for (const ms of LOOK_AGAIN_MS) {
      if (this.#looks.has(ms) || this.#isClosed) continue;
      this.#looks.add(ms);
      this.#after(ms, () => {
        this.#looks.delete(ms);
        this.#look();
      });
    }
  }

  #look(): void {
    const here = this.#here?.();
    for (const recipient of [...this.#watched.keys()]) {
      if (here?.has(recipient) === false) {
        this.#unwatch(recipient);
        continue;
      }
      this.handle({ type: "list", op: 0, recipient }, Date.now()).then(([answer]) => {
        if (answer?.type !== "list") return;
        for (const box of answer.boxes) this.#tell({ type: "gained", recipient, box, wasEmpty: true });
      });
    }
  }

  // --- time ---

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isClosed) resolve();
      else this.#after(ms, resolve, resolve);
    });
  }

  #every(ms: number, what: () => void): void {
    this.#after(ms, () => {
      what();
      if (!this.#isClosed) this.#every(ms, what);
    });
  }

  #after(ms: number, what: () => void, onClose: () => void = () => {}): ReturnType<typeof setTimeout> {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      what();
    }, ms);
    timer.unref();
    this.#timers.set(timer, onClose);
    return timer;
  }
}

/** What goes in one call: some operations, some bytes, and nothing after a clear, which may take several calls. */
function nextBatch(jobs: readonly Job[]): Job[] {
  const batch: Job[] = [];
  let bytes = 0;
  for (const job of jobs) {
    bytes += job.op.type === "read" ? MAX_MESSAGE_BYTES : job.cost;
    const isFull = batch.length >= BATCH_JOBS || bytes > BATCH_BYTES || job.ready !== undefined;
    if (batch.length > 0 && isFull) break;
    batch.push(job);
    if (job.op.type === "clear") break;
  }
  return batch;
}

/** By whose word something is to change; empty: the recipient's own. */
function serialOf({ serial }: { readonly serial?: number }, names: RecipientNames): Buffer | string {
  return serial === undefined ? "" : names.serial(serial);
}

/** Under other names nothing is kept. */
function isNamed(op: RecipientOp): boolean {
  return ("box" in op ? ID.test(op.box) : true) && ("id" in op ? ID.test(op.id) : true);
}

function textOf(answer: unknown): string {
  return answer instanceof Uint8Array ? Buffer.from(answer).toString("latin1") : "";
}

// What the function answers to a put.
const REFUSED = 0;
const SAME = 1;
const KEPT = 2;
const KEPT_FIRST = 3;

const ID = /^[0-9a-f]{16}$/;
const MIN_COUNTED = 128; // protocol/box.md §7
const MAX_MESSAGE_BYTES = 64 * 1024;
const MAX_BOXES = 4096; // as many numbers as the places of messages have room for
// Measured with Redis 7.0 (docs/cluster.md): what it takes besides the data, in a primary.
const MESSAGE_MEMORY = 300;
const BOX_MEMORY = 150;
const RECIPIENT_MEMORY = 700;
const NEW_MEMORY = MESSAGE_MEMORY + BOX_MEMORY + RECIPIENT_MEMORY;
const JOB_BYTES = 256;
const MAX_WAITING = 16 * 1024 * 1024; // of what is not confirmed; beyond it nothing more is taken
const BATCH_JOBS = 16;
const BATCH_BYTES = 256 * 1024;
const RETRY_MS = 50;
const MAX_RETRY_MS = 1_000;
const MAX_TRIES = 8; // then the cache asks again, or what cannot be done is given up
const SENDER_RATE: Rate = { burst: 8 * 1024 * 1024, perSecond: 1024 * 1024 };
const MAX_SENDERS = 65_536;
const MAX_WATCHED = 262_144;
const WATCH_MS = 2_000;
const AUDIT_MS = 60_000;
const LOOK_MS = 600_000;
const LOOK_AGAIN_MS = [1_000, 10_000];
const MAX_DUE = 64; // in each part of a survey
const MAX_ROUNDS = 1_000;
const ORIGIN_BYTES = 8;
const NAME_BYTES = 16;
const FIRST = 0x31;
