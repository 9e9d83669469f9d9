/**
 * The driver: carries out what the root machine decides, in order, and feeds it what happened. It owns no clock, socket or
 * disk itself: those are `DriverIo`, real in run.ts and simulated in worlds, so that both run this very code.
 * The contract that it keeps is DESIGN's eight points; protocol/driver.md names them and driver.test.ts has one test each.
 */
import { type Machine, RestanteError, type Time } from "./bytes/index.ts";
import { type Path, pathKey, type StampTask } from "./card/index.ts";
import type { Call, HandshakeInfo, PeerEvent, RootIn, RootOut } from "./peer.ts";
import type { BoxAnswer, BoxOp, Change } from "./store/index.ts";

/** One group of turns as the store sees it: blob records first, synced, then one atomic batch. */
export interface Commit {
  readonly records: readonly { blob: string; index: number; bytes: Uint8Array }[];
  readonly changes: readonly Change[];
}

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
  blobRead(blob: string, index: number, done: (bytes: Uint8Array | undefined, error?: unknown) => void): void;
  /** SHA-256 in hex of the records 0..count-1 put together and cut to `size` bytes. */
  blobHash(blob: string, count: number, size: number, done: (sha256: string, error?: unknown) => void): void;
  blobRemove(blob: string): void;
  /** The cache's boxes: a sink of their own that never touches the store. */
  boxes(op: BoxOp, done: (answers: readonly BoxAnswer[]) => void): void;
  /** Look for a stamp, in pieces that nobody notices. Gives back what ends the search; after that nothing is answered. */
  findStamp(task: StampTask, done: (stamp: Uint8Array | undefined) => void): () => void;
  /** May this stranger have a link? Called only where the root asks. */
  ask?(handshake: HandshakeInfo, done: (ok: boolean) => void): void;
  transmit(path: Path, bytes: Uint8Array): void;
  /** A stream was lost to overload: drop the connection. */
  disconnect(path: Path): void;
  event(event: PeerEvent): void;
  /** Something that the operator must know, in plain words. */
  trouble(message: string): void;
  /** The driver's state has changed. */
  state(state: DriverState): void;
}

/** "failed": the store does not work, and only the cache role goes on. */
export type DriverState = "idle" | "loading" | "running" | "failed" | "stopped";

export interface DriverOptions<Root extends Machine<RootIn, RootOut>> {
  readonly io: DriverIo;
  /** False: there is no store at all. Saves go nowhere and nothing is ever loaded, as a cache must have it (promise 4). */
  readonly durable?: boolean;
  /** The root with everything: made anew from what is committed, at start and after each failed commit. */
  readonly root: (saved: ReadonlyMap<string, Uint8Array>) => Root;
  /** The root that only serves its cache, for the time when the store fails. Absent where no cache is served. */
  readonly bareRoot?: () => Root;
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
  #retryAt: Time | undefined;
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
      this.#load();
      return;
    }
    const due = this.#root?.deadline();
    if (due !== undefined && due <= now) this.#turn({ type: "tick" });
    else this.#wake();
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
    const out = root.handle(input, now);
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
    if (this.#options.durable ?? true) this.#load();
    else {
      this.#drop("restarted");
      this.#begin(new Map());
    }
    return true;
  }

  /** Release what may leave; commit first where a turn saves. One commit at a time: meanwhile turns gather to the next. */
  #flush(): void {
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
        return io.boxes(effect.op, boxed);
      case "event":
        return io.event(effect.event);
      case "reply":
        return this.#settle(effect.req, effect.value);
      case "refuse":
        return this.#settle(effect.req, undefined, new RestanteError(effect.code, effect.message));
      case "blob-remove":
        return io.blobRemove(effect.blob);
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
      case "blob-read":
        return io.blobRead(effect.blob, effect.index, (bytes, error) =>
          answer({ type: "blob", req: effect.req, bytes }, error),
        );
      case "blob-hash":
        return io.blobHash(effect.blob, effect.count, effect.size, (sha256, error) =>
          answer({ type: "hash", req: effect.req, sha256 }, error),
        );
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
    const reason = error instanceof Error ? error.message : String(error);
    if (this.#crashes === 1) {
      this.#io.trouble(`the store failed (${reason}); starting again from what it holds`);
      this.#load();
    } else this.#fail(reason);
  }

  #drop(code: "restarted" | "stopped"): void {
    this.#generation++;
    this.#root = undefined;
    this.#waiting = [];
    this.#waitingTurns = 0;
    this.#isBusy = false;
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
      if (saved === undefined) return this.#fail(error instanceof Error ? error.message : String(error));
      // The first commit after a load proves the store before anybody hears from us.
      const count = (saved.get(STARTS_KEY)?.length ?? 0) % 255;
      const changes = [{ key: STARTS_KEY, value: new Uint8Array(count + 1) }];
      this.#io.commit({ records: [], changes }, (failure) => {
        if (!current()) return;
        if (failure !== undefined) return this.#fail(failure instanceof Error ? failure.message : String(failure));
        this.#begin(saved);
      });
    });
  }

  #begin(saved: ReadonlyMap<string, Uint8Array>): void {
    this.#state = "running";
    this.#run(this.#options.root(saved));
    // Told last: whoever waits for it finds a root that has had its first turn.
    this.#io.state("running");
  }

  #run(root: Root): void {
    this.#root = root;
    for (const path of this.#openPaths.values()) this.#turn({ type: "path", path, open: true });
    if (this.#root === root) this.#turn({ type: "start" });
  }

  /** The store does not work: say so, keep the cache role alive if there is one, and try again later. */
  #fail(reason: string): void {
    this.#drop("restarted");
    const wait = RETRY_MS[Math.min(this.#retries++, RETRY_MS.length - 1)] ?? 60_000;
    this.#enter("failed");
    this.#retryAt = this.#io.now() + wait;
    this.#io.trouble(`the store does not work (${reason}); mail rests, trying again in ${wait / 1000} s`);
    const bare = this.#options.bareRoot?.();
    if (bare !== undefined) this.#run(bare);
    this.#wake();
  }

  #wake(): void {
    if (this.#state === "stopped") return;
    const due = this.#root?.deadline();
    const retryAt = this.#retryAt;
    this.#io.wake(due === undefined || retryAt === undefined ? (due ?? retryAt) : Math.min(due, retryAt));
  }
}

type Question = Extract<RootOut, { type: "read" | "blob-read" | "blob-hash" | "find-stamp" | "ask" }>;

/** Whether the store has to do with it. */
function isKept({ type }: RootOut): boolean {
  return type === "save" || type === "blob-write";
}

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
