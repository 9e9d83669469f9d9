/**
 * The driver: carries out what the root machine decides, in order, and feeds it what happened. It owns no clock, socket or
 * disk itself: those are `DriverIo`, real in run.ts and simulated in worlds, so that both run this very code.
 * The contract that it keeps is DESIGN's eight points; protocol/driver.md names them and driver.test.ts has one test each.
 */
import { type Machine, RestanteError, type Time } from "./bytes/index.ts";
import { type BazaarAddress, type Path, pathKey, type StampTask } from "./card/index.ts";
import type { Call, HandshakeInfo, PeerEvent, RootIn, RootOut } from "./peer.ts";
import type { BoxAnswer, BoxOp, Change } from "./store/index.ts";

/** One group of turns as the store sees it: blob records first, synced, then one atomic batch. */
export interface Commit {
  readonly records: readonly { blob: string; index: number; bytes: Uint8Array }[];
  readonly changes: readonly Change[];
}

/** A key and its value. */
export type Pair = readonly [key: string, value: Uint8Array];

/** Everything impure. Callbacks may be called at once or later, at most once each. */
export interface DriverIo {
  now(): Time;
  /** Call `driver.tick()` at this time, and forget any earlier wish. `undefined`: not at all. */
  wake(at: Time | undefined): void;
  /** All keys of the head space, or the reason why they cannot be read. */
  load(done: (saved: ReadonlyMap<string, Uint8Array> | undefined, error?: unknown) => void): void;
  /** On the disk as a whole when `done` is called without an error; otherwise not at all. */
  commit(commit: Commit, done: (error?: unknown) => void): void;
  read(key: string, done: (value: Uint8Array | undefined, error?: unknown) => void): void;
  /** At most `limit` pairs whose key starts with `prefix` and sorts above `after`, in key order. */
  list(prefix: string, after: string, limit: number, done: (pairs: readonly Pair[], error?: unknown) => void): void;
  blobRead(blob: string, index: number, done: (bytes: Uint8Array | undefined, error?: unknown) => void): void;
  /** SHA-256 in hex of the records 0..count-1 put together and cut to `size` bytes. */
  blobHash(blob: string, count: number, size: number, done: (sha256: string, error?: unknown) => void): void;
  blobRemove(blob: string): void;
  /**
   * The cache's boxes: a sink of their own that never touches the store. A put, or `isSenders`: what was transmitted before has to be
   * gone.
   */
  boxes(op: BoxOp, done: (answers: readonly BoxAnswer[]) => void, isSenders?: boolean): void;
  /** Look for a stamp, in pieces that nobody notices. Gives back what ends the search; after that nothing is answered. */
  findStamp(task: StampTask, done: (stamp: Uint8Array | undefined) => void): () => void;
  /** Leave this in the bazaar; true when it lies there, outside of this machine. Absent where there is no carrier. */
  deliver?(delivery: { ref: string; to: BazaarAddress; bytes: Uint8Array }, done: (ok: boolean) => void): void;
  /** What was delivered under these names is not needed there any more. */
  withdraw?(refs: readonly string[]): void;
  /** What came as `brought` is dealt with; with `keep` it shall come again. */
  taken?(number: number, keep: boolean): void;
  /** May this stranger have a link? Called only where the root asks. */
  ask?(handshake: HandshakeInfo, done: (ok: boolean) => void): void;
  transmit(path: Path, bytes: Uint8Array): void;
  /** A stream was lost to overload: drop the connection. */
  disconnect(path: Path): void;
  event(event: PeerEvent): void;
  /** Something that the operator must know, in plain words. */
  trouble(message: string): void;
  /** The root threw this: a fault of ours. The driver begins anew after it; a test may throw it on instead. */
  fault?(error: unknown): void;
  /** The driver's state has changed. */
  state(state: DriverState): void;
}

/** "failed": the store does not work, or the root throws again and again, and only the cache role goes on. */
export type DriverState = "idle" | "loading" | "running" | "failed" | "stopped";

export interface DriverOptions<Root extends Machine<RootIn, RootOut>> {
  readonly io: DriverIo;
  /** False: there is no store at all. Saves go nowhere and nothing is ever loaded, as a cache must have it (promise 4). */
  readonly durable?: boolean;
  /** The root with everything: made anew from what is committed, at start and after each failed commit. */
  readonly root: (saved: ReadonlyMap<string, Uint8Array>) => Root;
  /** The root that only serves its cache, for the time when the store fails. Absent, or giving nothing, where no cache is served. */
  readonly bareRoot?: () => Root | undefined;
}

interface Pending {
  readonly done: (value: unknown, error?: RestanteError) => void;
}

/** Runs one root machine. `start`, then `input`, `call` and `tick`; `stop` drops everything that is not yet committed. */
export class Driver<Root extends Machine<RootIn, RootOut>> {
  readonly #io: DriverIo;
  readonly #options: DriverOptions<Root>;
  readonly #calls = new Map<number, Pending>();
  readonly #openPaths = new Map<string, Path>();
  /** What ends the searches for stamps that are under way. */
  readonly #searches = new Map<number, () => void>();
  /** Answers to effects of an older root are not for this one. */
  #generation = 0;
  #root: Root | undefined;
  #state: DriverState = "idle";
  /** Effects of finished turns that wait for the commit before them. */
  #waiting: RootOut[] = [];
  #waitingTurns = 0;
  /** What the boxes answered to effects of the group that is leaving: one input when it has left. */
  #answers: BoxAnswer[] | undefined;
  /** A group is at the disk, or leaving: an effect that is answered at once begins a turn that has to wait for it. */
  #isBusy = false;
  /** Failed commits since the last good one: the first is a reload, the next a rest. */
  #crashes = 0;
  #retries = 0;
  /** How often the root threw: since the start, and one after the other. */
  #faults = 0;
  #faultsInARow = 0;
  #faultAt: Time = Number.NEGATIVE_INFINITY;
  #retryAt: Time | undefined;
  #isNewWanted = false;
  #nextCall = 1;
  #latest: Time = Number.NEGATIVE_INFINITY;
  #dropped = 0;
  #turns = 0;

  constructor(options: DriverOptions<Root>) {
    this.#io = options.io;
    this.#options = options;
  }

  /** Load what is committed and begin. Errors of the store are told through `io.trouble` and tried again. */
  start(): void {
    if (this.#state !== "idle") return;
    if (this.#options.durable ?? true) this.#load();
    else this.#begin(new Map());
  }

  get state(): DriverState {
    return this.#state;
  }

  /** The root machine for read-only questions; `undefined` while loading or stopped. */
  get root(): Root | undefined {
    return this.#root;
  }

  /** Packets dropped because too many turns waited for the store. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Inputs that the root machine has handled. */
  get turns(): number {
    return this.#turns;
  }

  /** How often the root machine threw, and everything began anew: not once, unless there is a fault in this program. */
  get faults(): number {
    return this.#faults;
  }

  /** Something happened outside: a packet, a path. Dropped while there is no root to take it. */
  input(input: RootIn): void {
    if (input.type === "path") {
      const key = pathKey(input.path);
      if (input.open) this.#openPaths.set(key, input.path);
      else this.#openPaths.delete(key);
    }
    if (this.#root === undefined) return;
    if (input.type === "received" && this.#waitingTurns > MAX_WAITING_TURNS) {
      // The disk is far behind the network. A datagram is simply lost; a stream with a hole in it is of no more use.
      this.#dropped++;
      if (this.#openPaths.delete(pathKey(input.path))) {
        this.#io.disconnect(input.path);
        this.#turn({ type: "path", path: input.path, open: false });
      }
      return;
    }
    this.#turn(input);
  }

  /** A call of the application. `done` comes after the commit that makes the answer true, or with the error. */
  call(call: Call, done: (value: unknown, error?: RestanteError) => void): void {
    if (this.#root === undefined || this.#state !== "running") {
      const code = this.#state === "failed" ? "store-failed" : "not-running";
      done(undefined, new RestanteError(code, REFUSALS[code]));
      return;
    }
    const req = this.#nextCall++;
    this.#calls.set(req, { done });
    this.#turn({ type: "call", req, call });
  }

  /** The time asked for by `io.wake` has come. */
  tick(): void {
    const now = this.#io.now();
    if (this.#isSetBack(now)) return;
    if (this.#retryAt !== undefined && this.#retryAt <= now) {
      this.#retryAt = undefined;
      this.#restart();
      return;
    }
    const due = this.#root?.deadline();
    if (due !== undefined && due <= now) this.#turn({ type: "tick" });
    else this.#wake();
  }

  /** `stop`, and our peers are told that we go, each in one packet. Waits for nothing, not for the store either. */
  leave(): void {
    this.#sayGoodbye();
    this.stop();
  }

  /**
   * Begin anew from what is committed, as soon as no commit is under way: for what a root is told at its making alone. Our peers
   * are told that the old one goes, so that they come back at once. Not while the store fails: then it begins anew anyway.
   */
  restart(): void {
    this.#isNewWanted = this.#state === "running";
    this.#flush();
  }

  #sayGoodbye(): void {
    try {
      // Nothing that is not yet committed is in these packets.
      for (const effect of this.#root?.handle({ type: "leave" }, this.#io.now()) ?? [])
        if (effect.type === "transmit") this.#io.transmit(effect.path, effect.bytes);
    } catch (error) {
      this.#io.fault?.(error);
    }
  }

  /** Stop at once, as a crash would; what is committed is kept. Pending calls are refused. */
  stop(): void {
    this.#drop("stopped");
    this.#enter("stopped");
    this.#io.wake(undefined);
  }

  #enter(state: DriverState): void {
    this.#state = state;
    this.#io.state(state);
  }

  #turn(input: RootIn): void {
    const root = this.#root;
    const now = this.#io.now();
    if (root === undefined || this.#isSetBack(now)) return;
    this.#turns++;
    let out: readonly RootOut[];
    try {
      out = root.handle(input, now);
    } catch (error) {
      this.#fault(error, now);
      return;
    }
    for (const effect of out) this.#waiting.push(effect);
    if (out.length > 0) this.#waitingTurns++;
    this.#flush();
    this.#wake();
  }

  /**
   * True: the clock was set back, and the root begins anew. All that it meant to do some time would wait until the clock is
   * again where it was, which can take years.
   */
  #isSetBack(now: Time): boolean {
    const isBack = now + SET_BACK_MS < this.#latest;
    this.#latest = now;
    if (!isBack || this.#state === "stopped") return false;
    this.#io.trouble("the clock was set back; starting again with what is stored");
    this.#retryAt = undefined;
    this.#restart();
    return true;
  }

  /** Release what may leave; commit first where a turn saves. One commit at a time: meanwhile turns gather to the next. */
  #flush(): void {
    if (this.#isNewWanted && !this.#isBusy) {
      this.#isNewWanted = false;
      this.#sayGoodbye();
      this.#restart();
      return;
    }
    while (!this.#isBusy && this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      this.#waitingTurns = 0;
      const hasStore = this.#state !== "failed" && (this.#options.durable ?? true);
      const generation = this.#generation;
      this.#isBusy = true;
      const leave = (): void => {
        this.#release(group);
        if (generation === this.#generation) this.#isBusy = false;
      };
      if (!hasStore || !group.some(isKept)) {
        leave();
        continue;
      }
      const records: { blob: string; index: number; bytes: Uint8Array }[] = [];
      const changes = new Map<string, Change>();
      for (const effect of group) {
        if (effect.type === "save") changes.set(effect.key, { key: effect.key, value: effect.value });
        else if (effect.type === "blob-write") records.push(effect);
      }
      this.#io.commit({ records, changes: [...changes.values()] }, (error) => {
        if (generation !== this.#generation) return;
        if (error !== undefined) {
          this.#crash(error);
          return;
        }
        this.#crashes = 0;
        this.#retries = 0;
        leave();
        this.#flush();
        this.#wake();
      });
    }
  }

  #release(group: readonly RootOut[]): void {
    const generation = this.#generation;
    const answers: BoxAnswer[] = [];
    this.#answers = answers;
    const boxed = (given: readonly BoxAnswer[]): void => this.#boxed(given, generation);
    for (const effect of group) {
      // An effect may call back into `stop`, or fail the whole root: what follows it is then void.
      if (generation !== this.#generation) break;
      this.#perform(effect, generation, boxed);
    }
    if (this.#answers === answers) this.#answers = undefined; // not those of a root that began meanwhile
    if (generation === this.#generation && answers.length > 0) this.#turn({ type: "boxes", answers });
  }

  #perform(effect: RootOut, generation: number, boxed: (answers: readonly BoxAnswer[]) => void): void {
    const io = this.#io;
    switch (effect.type) {
      case "save":
      case "blob-write":
        return;
      case "transmit":
        return io.transmit(effect.path, effect.bytes);
      case "boxes":
        return io.boxes(effect.op, boxed, effect.isSenders);
      case "event":
        return io.event(effect.event);
      case "reply":
        return this.#settle(effect.req, effect.value);
      case "refuse":
        return this.#settle(effect.req, undefined, new RestanteError(effect.code, effect.message));
      case "blob-remove":
        return io.blobRemove(effect.blob);
      case "withdraw":
        return io.withdraw?.(effect.refs);
      case "taken":
        return io.taken?.(effect.number, effect.keep);
      case "forget-stamp":
        this.#searches.get(effect.req)?.();
        this.#searches.delete(effect.req);
        return;
      default:
        return this.#ask(effect, generation);
    }
  }

  /** Of the effects that are answered, those that are not on the way of every packet: they may have a function each. */
  #ask(effect: Question, generation: number): void {
    const io = this.#io;
    const answer = (input: RootIn, error?: unknown): void => {
      if (generation !== this.#generation) return;
      // A store that cannot read what it holds is as broken as one that cannot write.
      if (error !== undefined) this.#crash(error);
      else this.#turn(input);
    };
    switch (effect.type) {
      case "read":
        return io.read(effect.key, (value, error) => answer({ type: "read", req: effect.req, value }, error));
      case "list": {
        const { req, prefix, after, limit } = effect;
        return io.list(prefix, after, limit, (pairs, error) => answer({ type: "listed", req, pairs }, error));
      }
      case "blob-read":
        return io.blobRead(effect.blob, effect.index, (bytes, error) =>
          answer({ type: "blob", req: effect.req, bytes }, error),
        );
      case "blob-hash":
        return io.blobHash(effect.blob, effect.count, effect.size, (sha256, error) =>
          answer({ type: "hash", req: effect.req, sha256 }, error),
        );
      case "deliver": {
        const { id, ref, to, bytes } = effect;
        if (io.deliver === undefined) return answer({ type: "delivered", id, ok: false });
        return io.deliver({ ref, to, bytes }, (ok) => answer({ type: "delivered", id, ok }));
      }
      case "find-stamp":
        return this.#findStamp(effect.req, effect.task, (stamp) => answer({ type: "stamp", req: effect.req, stamp }));
      case "ask": {
        const { type: _, ...handshake } = effect;
        return io.ask?.(handshake, (ok) => answer({ type: "asked", hashname: effect.hashname, ok }));
      }
    }
  }

  #boxed(answers: readonly BoxAnswer[], generation: number): void {
    if (answers.length === 0 || generation !== this.#generation) return;
    if (this.#answers === undefined) this.#turn({ type: "boxes", answers });
    else for (const answer of answers) this.#answers.push(answer);
  }

  #findStamp(req: number, task: StampTask, done: (stamp: Uint8Array | undefined) => void): void {
    let isOver = false;
    const end = this.#io.findStamp(task, (stamp) => {
      isOver = true;
      this.#searches.delete(req);
      done(stamp);
    });
    if (!isOver) this.#searches.set(req, end);
  }

  #settle(req: number, value: unknown, error?: RestanteError): void {
    const call = this.#calls.get(req);
    this.#calls.delete(req);
    call?.done(value, error);
  }

  /** A commit or read failed: the root may know things that the disk does not. Forget it and begin from the disk. */
  #crash(error: unknown): void {
    this.#drop("restarted");
    this.#crashes++;
    if (this.#crashes === 1) {
      this.#io.trouble(`the store failed (${reasonOf(error)}); starting again from what it holds`);
      this.#load();
    } else this.#fail(storeFails(error));
  }

  /**
   * The root threw: it may have done half of a turn, so nothing of that leaves, and neither does it go on. Once may be
   * chance, and begins anew at once. One that cannot live with what the disk holds, or with what a peer says, rests longer each
   * time, or it would do nothing but load.
   */
  #fault(error: unknown, now: Time): void {
    this.#io.fault?.(error);
    this.#faults++;
    this.#faultsInARow = now - this.#faultAt < CALM_MS ? this.#faultsInARow + 1 : 1;
    this.#faultAt = now;
    const what = `a fault in this program (${placeOf(error)})`;
    if (this.#state === "failed") {
      // The one that only serves the cache. What it was to try again, it still is.
      this.#drop("restarted");
      this.#io.trouble(`${what}; the cache rests, too`);
      this.#wake();
    } else if (this.#faultsInARow === 1) {
      this.#io.trouble(`${what}; starting again from what is stored`);
      this.#restart();
    } else {
      this.#retries = this.#faultsInARow - 2;
      this.#fail(what);
    }
  }

  #restart(): void {
    if (this.#options.durable ?? true) this.#load();
    else {
      this.#drop("restarted");
      this.#begin(new Map());
    }
  }

  #drop(code: "restarted" | "stopped"): void {
    this.#generation++;
    this.#root = undefined;
    this.#waiting = [];
    this.#waitingTurns = 0;
    this.#isBusy = false;
    this.#isNewWanted = false;
    // Work for a root that is no more would go on for nothing.
    for (const end of this.#searches.values()) end();
    this.#searches.clear();
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const call of calls) call.done(undefined, new RestanteError(code, REFUSALS[code]));
  }

  #load(): void {
    this.#drop("restarted");
    this.#enter("loading");
    const generation = this.#generation;
    const current = (): boolean => generation === this.#generation && this.#state === "loading";
    this.#io.load((saved, error) => {
      if (!current()) return;
      if (saved === undefined) return this.#fail(storeFails(error));
      // The first commit after a load proves the store before anybody hears from us.
      const count = (saved.get(STARTS_KEY)?.length ?? 0) % 255;
      const changes = [{ key: STARTS_KEY, value: new Uint8Array(count + 1) }];
      this.#io.commit({ records: [], changes }, (failure) => {
        if (!current()) return;
        if (failure !== undefined) return this.#fail(storeFails(failure));
        this.#begin(saved);
      });
    });
  }

  #begin(saved: ReadonlyMap<string, Uint8Array>): void {
    this.#state = "running";
    // Told last: whoever waits for it finds a root that has had its first turn.
    if (this.#run(() => this.#options.root(saved))) this.#io.state("running");
  }

  /** Whether it runs now, and not another one. */
  #run(make: () => Root | undefined): boolean {
    let root: Root | undefined;
    try {
      root = make();
    } catch (error) {
      this.#fault(error, this.#io.now());
      return false;
    }
    if (root === undefined) return false;
    this.#root = root;
    for (const path of [...this.#openPaths.values()]) {
      this.#turn({ type: "path", path, open: true });
      if (this.#root !== root) return false;
    }
    this.#turn({ type: "start" });
    return this.#root === root;
  }

  /** It does not work like this: say so, keep the cache role alive if there is one, and try again later. */
  #fail(why: string): void {
    this.#drop("restarted");
    const wait = RETRY_MS[Math.min(this.#retries++, RETRY_MS.length - 1)] ?? 60_000;
    this.#enter("failed");
    this.#retryAt = this.#io.now() + wait;
    this.#io.trouble(`${why}; mail rests, trying again in ${wait / 1000} s`);
    const { bareRoot } = this.#options;
    if (bareRoot !== undefined) this.#run(bareRoot);
    this.#wake();
  }

  #wake(): void {
    if (this.#state === "stopped") return;
    const due = this.#root?.deadline();
    const retryAt = this.#retryAt;
    this.#io.wake(due === undefined || retryAt === undefined ? (due ?? retryAt) : Math.min(due, retryAt));
  }
}

type Question = Extract<
  RootOut,
  { type: "read" | "list" | "blob-read" | "blob-hash" | "deliver" | "find-stamp" | "ask" }
>;

/** Whether the store has to do with it. */
function isKept({ type }: RootOut): boolean {
  return type === "save" || type === "blob-write";
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function storeFails(error: unknown): string {
  return `the store does not work (${reasonOf(error)})`;
}

/** Where in the program it was thrown. Not what it says, which may be something out of a mail; an invariant is our own word. */
function placeOf(error: unknown): string {
  if (!(error instanceof Error)) return "no error";
  if (error.message.startsWith(INVARIANT)) return error.message;
  const said = String(error);
  const frames = error.stack?.startsWith(said) ? error.stack.slice(said.length) : "";
  const places = [...frames.matchAll(/[\w.-]+:\d+(?=:\d+\)?$)/gm)].slice(0, PLACES).map(([place]) => place);
  return [error.name, ...places].join(" < ");
}

const INVARIANT = "broken invariant: "; // bytes/failure.ts
const PLACES = 3;
const CALM_MS = 600_000; // without a fault: then the next one is the first again
const STARTS_KEY = "driver/starts"; // its length is a small counter; only that it can be written matters
const MAX_WAITING_TURNS = 4096; // at some 1.5 kB a packet: a few MiB of undone work
const SET_BACK_MS = 60_000; // clocks are put right by less all the time, and nothing waits much longer for that
const RETRY_MS = [1_000, 3_000, 8_000, 20_000, 60_000]; // DESIGN 4, point 2
const REFUSALS = {
  "store-failed": "the store does not work at the moment, so nothing can be promised; try again later",
  "not-running": "the peer is not running",
  restarted: "the peer started again from its store before this was done; try again",
  stopped: "the peer was stopped before this was done",
} as const;
