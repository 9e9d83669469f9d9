/**
 * Runs the machines of sender and recipient: one input, one turn; what a turn saves is on the disk before anything of it
 * leaves. A batch that fails is a crash of both machines: they are made anew from what is stored. protocol/bazaar.md §8
 */
import { RestanteError, type Store } from "restante";
import type { Random } from "restante/protocol";
import type { Identity } from "../format/index.ts";
import { type ArrivalsOutput, IN_PREFIX } from "../offline/arrivals.ts";
import type { Answer, Contact, Save } from "../offline/effects.ts";
import {
  OUT_PREFIX,
  Outgoing,
  type OutgoingInput,
  type OutgoingOptions,
  type OutgoingOutput,
} from "../offline/outgoing.ts";
import { Retrieve, type RetrieveInput, type RetrieveOptions, type RetrieveOutput } from "../offline/retrieve.ts";
import { SEEN_PREFIX } from "../offline/seen.ts";
import type { Deed } from "./carrier.ts";

/** What is for the application. */
export type Told =
  | Extract<OutgoingOutput, { readonly type: "progress" }>
  | Extract<ArrivalsOutput, { readonly type: "offer" | "fleeting" | "reply" }>;

export interface TurnsOptions {
  readonly identity: Identity;
  readonly store: Store;
  readonly random: Random;
  readonly now: () => number;
  /** Our push nodes. */
  readonly nodes: readonly Contact[];
  readonly onlineMs?: OutgoingOptions["onlineMs"];
  readonly lookMs?: RetrieveOptions["lookMs"];
  /** Begins an effect, and calls back with its answer. */
  readonly carry: (deed: Deed, answer: (answer: Answer) => void) => void;
  readonly tell: (told: Told) => void;
  /** The store failed, or a machine threw: it is tried again. */
  readonly trouble: (error: unknown) => void;
}

interface Machines {
  readonly outgoing: Outgoing;
  readonly retrieve: Retrieve;
}

/** Something of a turn that waits for its saves: an effect with the machine that is to be answered, or a word to a caller. */
type Waiting =
  | {
      readonly type: "out";
      readonly out: Exclude<OutgoingOutput | RetrieveOutput, Save>;
      readonly of: Outgoing | Retrieve;
    }
  | { readonly type: "settle"; readonly done: (error?: Error) => void };

export class Turns {
  readonly #options: TurnsOptions;
  #machines: Machines | undefined;
  #isStarted = false;
  #isStopped = false;
  #saves: Save[] = [];
  #waiting: Waiting[] = [];
  #flushing: Promise<void> = Promise.resolve();
  #isWriting = false;
  #timer: NodeJS.Timeout | undefined;
  #crashes = 0;
  /** The latest time that was seen. */
  #latest = Number.NEGATIVE_INFINITY;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** Makes the machines of what is stored. Throws what the store throws. */
  async load(): Promise<void> {
    await this.#flushing; // what is on its way to the disk is there, or not, before it is read
    const { store, identity, random, nodes, onlineMs, lookMs } = this.#options;
    const out = await store.load(OUT_PREFIX);
    const in_ = [...(await store.load(IN_PREFIX)), ...(await store.load(SEEN_PREFIX))];
    if (this.#isStopped) return;
    this.#machines = {
      outgoing: new Outgoing({ identity, random, nodes, onlineMs }, out),
      retrieve: new Retrieve({ identity, nodes, lookMs }, in_),
    };
    if (this.#isStarted) this.start();
  }

  /** What was under way goes on, and the search for mail begins. */
  start(): void {
    this.#isStarted = true;
    this.toOutgoing({ type: "start" });
    this.toRetrieve({ type: "start" });
  }

  /** Counts of both machines. */
  get stats(): { readonly outgoing: Outgoing["stats"]; readonly retrieve: Retrieve["stats"] } | undefined {
    return this.#machines && { outgoing: this.#machines.outgoing.stats, retrieve: this.#machines.retrieve.stats };
  }

  /** As `Outgoing.lies`; false while the store does not work. */
  lies(ref: string): boolean {
    return this.#machines?.outgoing.lies(ref) ?? false;
  }

  /** An input for the sender's machine; nothing is done while the store fails. Gives what the turn told of this message. */
  toOutgoing(input: OutgoingInput): OutgoingOutput[] {
    const { outgoing } = this.#machines ?? {};
    return outgoing ? this.#turn(outgoing, () => outgoing.handle(input, this.#options.now())) : [];
  }

  toRetrieve(input: RetrieveInput): void {
    const { retrieve } = this.#machines ?? {};
    if (retrieve) this.#turn(retrieve, () => retrieve.handle(input, this.#options.now()));
  }

  /** Resolves when everything that was decided until now is on the disk; rejects when it is lost. */
  async settled(): Promise<void> {
    if (this.#isStopped) throw new RestanteError("stopped", "the bazaar has stopped");
    if (this.#machines === undefined) throw new RestanteError("store-failed", "the store does not work now");
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ type: "settle", done: (error) => (error ? reject(error) : resolve()) });
      this.#flush();
    });
  }

  /** Ends it, with what was decided until now on the disk. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#flushing;
    this.#machines = undefined;
    this.#drop(new RestanteError("stopped", "the bazaar has stopped"));
  }

  #turn<O extends OutgoingOutput | RetrieveOutput>(of: Outgoing | Retrieve, handle: () => O[]): O[] {
    if (this.#isStopped || this.#isSetBack()) return [];
    const machines = this.#machines;
    let outs: O[];
    try {
      outs = handle();
    } catch (error) {
      // Our own mistake. Nothing of this turn was saved: machines made anew are as they were before it.
      this.#crash(error);
      return [];
    }
    for (const out of outs) {
      if (machines !== this.#machines) return []; // the other one threw: nothing of this turn is left
      if (out.type === "save") this.#saves.push(out);
      // The one machine to the other, within this turn: one batch holds what both save.
      else if (out.type === "acknowledge" || out.type === "acknowledged") this.toOutgoing(out);
      else this.#waiting.push({ type: "out", out, of });
    }
    this.#schedule();
    this.#flush();
    return outs;
  }

  #flush(): void {
    if (this.#isWriting) return;
    this.#isWriting = true;
    this.#flushing = this.#write();
  }

  async #write(): Promise<void> {
    // Not within the turn: several that follow each other at once become one batch.
    await Promise.resolve();
    while (await this.#writeGroup());
  }

  /** Whether there may be more. When there is none, the next turn begins to write again: nothing comes in between. */
  async #writeGroup(): Promise<boolean> {
    const [saves, waiting, machines] = [this.#saves, this.#waiting, this.#machines];
    this.#isWriting = saves.length > 0 || waiting.length > 0;
    if (!this.#isWriting) return false;
    this.#saves = [];
    this.#waiting = [];
    try {
      if (saves.length > 0) await this.#options.store.commit(saves.map(({ key, value }) => ({ key, value })));
    } catch (error) {
      this.#waiting.unshift(...waiting);
      this.#crash(error);
      return true;
    }
    if (saves.length > 0) this.#crashes = 0;
    for (const one of waiting) this.#leave(one, machines);
    return true;
  }

  #leave(waiting: Waiting, machines: Machines | undefined): void {
    if (waiting.type === "settle") return waiting.done();
    const { out, of } = waiting;
    switch (out.type) {
      case "progress":
      case "offer":
      case "fleeting":
      case "reply":
        return this.#options.tell(out);
      case "acknowledge":
      case "acknowledged":
        return;
      default:
        // An answer is for the machine that asked: not for one that was made anew since.
        return this.#options.carry(out, (answer) => {
          if (machines !== this.#machines) return;
          if (of instanceof Outgoing) this.toOutgoing(answer);
          else this.toRetrieve(answer);
        });
    }
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const { outgoing, retrieve } = this.#machines ?? {};
    const times = [outgoing?.deadline(), retrieve?.deadline()].filter((at) => at !== undefined);
    if (times.length === 0 || this.#isStopped) return;
    const wait = Math.max(0, Math.min(...times) - this.#options.now());
    this.#timer = setTimeout(() => this.#tick(), Math.min(wait, LONGEST_MS));
  }

  /** A clock that was ahead has left times in the machines that do not come for long: they are made anew. */
  #isSetBack(): boolean {
    const now = this.#options.now();
    const isBack = now < this.#latest - SET_BACK_MS;
    this.#latest = isBack ? now : Math.max(this.#latest, now);
    if (isBack) this.#crash(new Error("the clock was set back"));
    return isBack;
  }

  #tick(): void {
    if (this.#isSetBack()) return;
    const now = this.#options.now();
    const { outgoing, retrieve } = this.#machines ?? {};
    if ((outgoing?.deadline() ?? Number.POSITIVE_INFINITY) <= now) this.toOutgoing({ type: "tick" });
    if ((retrieve?.deadline() ?? Number.POSITIVE_INFINITY) <= now) this.toRetrieve({ type: "tick" });
    this.#schedule();
  }

  #crash(error: unknown): void {
    this.#machines = undefined;
    this.#saves = [];
    this.#drop(new RestanteError("store-failed", "the store does not work now", { cause: error }));
    this.#options.trouble(error);
    if (this.#isStopped) return;
    const wait = RETRIES_MS[Math.min(this.#crashes++, RETRIES_MS.length - 1)] ?? 0;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.load().catch((again: unknown) => this.#crash(again));
    }, wait);
  }

  #drop(error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const one of waiting) if (one.type === "settle") one.done(error);
  }
}

const LONGEST_MS = 60_000; // a clock that was set back is noticed; and timers hold 31 bits
const SET_BACK_MS = 60_000;
const RETRIES_MS = [0, 1000, 3000, 8000, 20_000, 60_000];
