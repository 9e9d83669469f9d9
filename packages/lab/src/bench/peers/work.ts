/**
 * The same work for everything that keeps messages for those who are away: our cache, and what one would use instead. It runs in
 * a process of its own, whose CPU time and memory are measured; all who use it are in this one, over TCP. docs/benches.md
 */
import { readFileSync } from "node:fs";
import { pooled } from "restante/protocol";
import { Cores } from "../cores.ts";
import type { Result } from "../harness.ts";
import type { ServerProcess } from "../server-process.ts";

/** What can keep messages. */
export interface Keeper {
  /** Its compiler works while it runs: it has some work before it is measured. */
  readonly settles: boolean;
  /** Its memory says nothing of what it keeps. */
  readonly isOnDisk?: boolean;
  /** Starts it. Recipients are called by their numbers, from 0; it knows of so many when this resolves. */
  start(recipients: number): Promise<RunningKeeper>;
}

export interface RunningKeeper {
  readonly process: ServerProcess;
  /** Bytes in use, where more are resident than that, as with a collector that gives none back. */
  used?(): Promise<number>;
  sender(): Promise<Sender>;
  /** Connects as this recipient. Resolves when it has so many messages, and the keeper was told to remove them. */
  collect(recipient: number, messages: number): Promise<Connection>;
  /** Connects as this recipient, of whom nothing is there. `took`: called with each message that comes; it is removed. */
  wait(recipient: number, took: () => void): Promise<Connection>;
  stop(): Promise<void>;
}

export interface Sender extends Connection {
  /** Resolves when the keeper has acknowledged it. `isPassing`: it need not be kept for longer than a second. */
  deposit(recipient: number, bytes: Uint8Array, isPassing: boolean): Promise<void>;
  /** How often the keeper has acknowledged something so far. */
  acknowledgements(): number;
}

export interface Connection {
  close(): Promise<void>;
}

/** How much is done. That of the recorded results is the default. */
export interface Load {
  readonly recipients: number;
  /** Messages for each in a round of deposits. */
  readonly messages: number;
  /** Recipients that collect at once, and that lie idle; there are at least four times as many in all. */
  readonly links: number;
  readonly live: number;
  /** Live messages before them, for the compiler. */
  readonly warmLive: number;
  /** Rounds of deposits for the compiler each time before others do something, where there is one. */
  readonly warm: number;
  /** How often each thing is measured, unless it takes long: the middle one counts. */
  readonly times: number;
  /** The cores are kept awake, and what is measured waits until nobody else uses their hardware, if that is soon. */
  readonly isAwake: boolean;
}

export const LOAD: Load = {
  recipients: 1000,
  messages: 20,
  links: 200,
  live: 500,
  warmLive: 4000,
  warm: 4,
  times: 3,
  isAwake: true,
};

/** What is measured. CPU times are the keeper's, in milliseconds per 1000. */
export const FIGURES = [
  "deposit.cpu_ms_per_1k",
  "deposit_10x.cpu_ms_per_1k",
  "deposit.growth_10x",
  "deposit.sent_bytes",
  "deposit.received_bytes",
  "deposit.acks_per_message",
  "drain.cpu_ms_per_1k",
  "drain_1x.cpu_ms_per_1k",
  "drain_one_by_one.cpu_ms_per_1k",
  "drain_one_by_one_1x.cpu_ms_per_1k",
  "link.cpu_ms_per_1k",
  "live.cpu_ms_per_1k",
  "live.p50_ms",
  "live.p99_ms",
  "bytes_per_message",
  "idle_bytes_per_link",
] as const;
export type Figure = (typeof FIGURES)[number];
export type Figures = Readonly<Partial<Record<Figure, Result>>>;

/** These figures under keys of their own. */
export function keyed(figures: Figures, keyOf: (figure: Figure) => string): Record<string, Result> {
  const results: Record<string, Result> = {};
  for (const figure of FIGURES) {
    const result = figures[figure];
    if (result !== undefined) results[keyOf(figure)] = result;
  }
  return results;
}

/** Does all of it, with a keeper that is started twice. Takes about as long as the keeper needs for 300 times `messages` per recipient. */
export async function measure(keeper: Keeper, load: Load): Promise<Figures> {
  const cores = load.isAwake ? await Cores.awake() : undefined;
  try {
    return await measureWith(keeper, load, cores);
  } finally {
    cores?.stop();
  }
}

async function measureWith(keeper: Keeper, load: Load, cores: Cores | undefined): Promise<Figures> {
  const stored = await withKeeper(keeper, load, cores, fillAndDrain);
  const { idle, link, live } = await withKeeper(keeper, load, cores, async (bed) => {
    const idle = await bed.idle(); // before anything else: garbage would hide what they take
    for (let i = 0; i < WARM_TIMES; i++) await bed.visit();
    await bed.settle(load.warm);
    const live = await bed.live();
    return { idle, live, link: await bed.link() };
  });
  const slowness = (pace: number | undefined): Pick<Result, "pace" | "slowness"> => {
    const times = cores?.slowness(pace);
    return pace === undefined || times === undefined ? {} : { pace: Math.round(pace), slowness: hundredths(times) };
  };
  const ms = ({ cpu, pace }: Cost): Result => ({ value: hundredths(cpu), unit: "ms", ...slowness(pace) });
  const bytes = (value: number): Result => ({ value: Math.round(value), unit: "B" });
  return {
    "deposit.cpu_ms_per_1k": ms(stored.first),
    "deposit_10x.cpu_ms_per_1k": ms(stored.last),
    "deposit.growth_10x": { value: hundredths(stored.growth), unit: "x" },
    "deposit.sent_bytes": bytes(stored.first.sent),
    "deposit.received_bytes": bytes(stored.first.received),
    "deposit.acks_per_message": { value: hundredths(stored.first.acks), unit: "acks" },
    "drain.cpu_ms_per_1k": ms(stored.drained),
    "drain_1x.cpu_ms_per_1k": ms(stored.drained1x),
    "drain_one_by_one.cpu_ms_per_1k": ms(stored.oneByOne),
    "drain_one_by_one_1x.cpu_ms_per_1k": ms(stored.oneByOne1x),
    "link.cpu_ms_per_1k": ms(link),
    "live.cpu_ms_per_1k": ms(live),
    "live.p50_ms": { value: thousandths(live.p50), unit: "ms", ...slowness(live.pace) },
    "live.p99_ms": { value: thousandths(live.p99), unit: "ms", ...slowness(live.pace) },
    ...(keeper.isOnDisk === true ? {} : { bytes_per_message: bytes(stored.memory) }),
    idle_bytes_per_link: bytes(idle),
  };
}

/** What is measured of what lies there. */
interface Stored {
  readonly first: Deposits;
  readonly last: Deposits;
  /** What the last cost beside the first. */
  readonly growth: number;
  /** Bytes per message. */
  readonly memory: number;
  readonly drained: Cost;
  readonly drained1x: Cost;
  readonly oneByOne: Cost;
  readonly oneByOne1x: Cost;
}

/** Several times, unless the first takes long. Each begins with nothing there, and a compiler that has settled. */
async function fillAndDrain(bed: TestBed): Promise<Stored> {
  await bed.warm();
  const began = performance.now();
  const all = [await fillAndDrainOnce(bed)];
  const tookMs = performance.now() - began;
  while (all.length < bed.load.times && tookMs < LONG_MS) {
    await bed.empty();
    all.push(await fillAndDrainOnce(bed));
  }
  const [{ memory }] = all as [Stored]; // of the first: later ones may take what those before have left
  const growth = middle(all.map(({ growth }) => growth));
  const [first, last] = [median(all.map(({ first }) => first)), median(all.map(({ last }) => last))];
  const cost = (of: (stored: Stored) => Cost): Cost => middleCost(all.map(of));
  return {
    ...{ first, last, growth, memory },
    drained: cost(({ drained }) => drained),
    drained1x: cost(({ drained1x }) => drained1x),
    oneByOne: cost(({ oneByOne }) => oneByOne),
    oneByOne1x: cost(({ oneByOne1x }) => oneByOne1x),
  };
}

/** Ten rounds of deposits. Some recipients collect after the first, others after the last, some are not looked at. */
async function fillAndDrainOnce(bed: TestBed): Promise<Stored> {
  const { links } = bed.load;
  const deposit = (): Promise<Deposits> => bed.calmly(() => bed.deposit());
  const drain = (recipients: number, atOnce: number): Promise<Cost> => bed.calmly(() => bed.drain(recipients, atOnce));
  const rounds = [await deposit()];
  const drained1x = await drain(links, AT_ONCE);
  const oneByOne1x = await drain(links >> 2, 1);
  while (rounds.length < TENFOLD / 2) rounds.push(await deposit());
  const half = bed.memory();
  while (rounds.length < TENFOLD) rounds.push(await deposit());
  const memory = (bed.memory() - half) / (bed.perRound * (TENFOLD / 2));
  const drained = await drain(links, AT_ONCE);
  const oneByOne = await drain(links >> 2, 1);
  const [first, last] = [median(rounds.slice(0, MEASURED)), median(rounds.slice(-MEASURED))];
  return { first, last, growth: last.cpu / first.cpu, memory, drained, drained1x, oneByOne, oneByOne1x };
}

async function withKeeper<T>(
  keeper: Keeper,
  load: Load,
  cores: Cores | undefined,
  act: (bed: TestBed) => Promise<T>,
): Promise<T> {
  const running = await keeper.start(load.recipients);
  const bed = new TestBed(running, load, keeper.settles, cores);
  try {
    return await act(bed);
  } finally {
    await bed.close();
    await running.stop();
    cores?.free(); // or the next one would begin where we are
  }
}

/** `pace`: that of the cores meanwhile, where it is known. */
interface Cost {
  /** Milliseconds per 1000. */
  readonly cpu: number;
  readonly pace?: number | undefined;
}

interface Deposits extends Cost {
  /** Bytes on the connections, and acknowledgements, per message. */
  readonly sent: number;
  readonly received: number;
  readonly acks: number;
}

/** Of the recipients so many, from this one on; and messages for each. */
type Part = Pick<Load, "recipients" | "messages"> & { readonly from: number };

/** A keeper, and all who use it. */
class TestBed {
  readonly load: Load;
  readonly #keeper: RunningKeeper;
  readonly #settles: boolean;
  readonly #cores: Cores | undefined;
  readonly #open: Connection[] = [];
  readonly #held: number[]; // messages that are there for each recipient
  #collected = 0; // recipients before this one were here
  #warmed = 0; // by then, and of those nothing is measured
  #live: () => void = () => {};

  constructor(keeper: RunningKeeper, load: Load, settles: boolean, cores?: Cores) {
    this.load = load;
    this.#keeper = keeper;
    this.#settles = settles;
    this.#cores = cores;
    this.#held = new Array<number>(load.recipients).fill(0);
  }

  /** Messages in a round. */
  get perRound(): number {
    return this.load.recipients * this.load.messages;
  }

  memory(): number {
    return this.#keeper.process.memory();
  }

  /** Does it once a core is calm, if one becomes so, with the keeper on that; or where the system has it. Tells the pace meanwhile. */
  async calmly<T extends Cost>(act: () => Promise<T>, isApart = true): Promise<T> {
    const { pid } = this.#keeper.process;
    await this.#cores?.place(pid, CALM_MS);
    if (!isApart) this.#cores?.free(pid);
    const since = this.#cores?.mark();
    const cost = await act();
    return since === undefined ? cost : { ...cost, pace: this.#cores?.pace(since) };
  }

  /**
   * Before anything is measured, some recipients are left messages and collect them, as others will then. What a program does for
   * the first time can be dearer. Ours has a compiler, which throws away what it made when something else is done, and what lies
   * there fills up: it does so several times, with as much as will lie there in the end and with a tenth of it, and has links and
   * rounds of deposits between. Nothing of it is there afterwards.
   */
  async warm(): Promise<void> {
    const { links, messages, warm } = this.load;
    const [together, alone, from] = [links >> 1, links >> 2, this.#collected];
    for (let i = 0; i < (this.#settles ? WARM_TIMES : 1); i++) {
      await this.visit();
      await this.#pass(warm);
      this.#collected = from;
      const each = i % 2 === 0 ? TENFOLD * messages : messages;
      await this.deposit(false, { from, recipients: together + alone, messages: each });
      await this.drain(together, AT_ONCE);
      await this.drain(alone, 1);
    }
    await this.settle(AT_LAST * warm);
    this.#warmed = this.#collected;
  }

  /** As it is after `warm`: everybody has collected what was there. */
  async empty(): Promise<void> {
    const { links, recipients, warm } = this.load;
    for (let from = 0; from < recipients; from += links) {
      this.#collected = from; // our TCP has 512 connections at once
      await this.drain(Math.min(links, recipients - from), AT_ONCE);
    }
    await this.settle(warm);
    this.#collected = this.#warmed;
  }

  /** Links for the compiler alone, of recipients of whom nothing is there and who leave again: what a link does it does once. */
  async visit(): Promise<void> {
    const [from, atOnce] = [this.#collected, this.load.links >> 1]; // our TCP has 512 connections at once
    for (let i = 0; this.#settles && i < 2 * this.load.warm; i++) {
      await this.#wait(atOnce);
      this.#collected = from;
      await Promise.all(this.#open.splice(-atOnce).map((connection) => connection.close()));
    }
  }

  /** So many rounds for the compiler alone: when they are over nothing of them is there, and it has settled. */
  async settle(rounds: number): Promise<void> {
    if (!this.#settles) return;
    await this.#pass(rounds);
    await pause(PASSING_MS);
    // What has expired is erased when something is done the next time, and that is not to be what is measured.
    await this.deposit(true, { from: 0, recipients: SENDERS, messages: 1 });
  }

  async #pass(rounds: number): Promise<void> {
    for (let i = 0; this.#settles && i < rounds; i++) await this.deposit(true);
  }

  /** A round: so many to each recipient, by four new senders with 64 under way each; all that one has for a recipient in a row. */
  async deposit(isPassing = false, part: Part = { from: 0, ...this.load }): Promise<Deposits> {
    const count = part.recipients * part.messages;
    const senders = await Promise.all(Array.from({ length: SENDERS }, () => this.#keeper.sender()));
    const [cpu, traffic, acks] = [this.#keeper.process.cpuMs(), ownTraffic(), acknowledgements(senders)];
    await within(
      Promise.all(senders.map((sender, i) => this.#send(sender, i, part, isPassing))),
      "a round of deposits",
    );
    const after = ownTraffic();
    const result = {
      cpu: ((this.#keeper.process.cpuMs() - cpu) / count) * 1000,
      sent: (after.written - traffic.written) / count,
      received: (after.read - traffic.read) / count,
      acks: (acknowledgements(senders) - acks) / count,
    };
    await Promise.all(senders.map((sender) => sender.close()));
    for (let i = part.from; !isPassing && i < part.from + part.recipients; i++)
      this.#held[i] = (this.#held[i] ?? 0) + part.messages;
    return result;
  }

  /** The next so many recipients collect all that is there for them, `atOnce` of them at a time. */
  async drain(recipients: number, atOnce: number): Promise<Cost> {
    const before = this.#keeper.process.cpuMs();
    const from = this.#collected;
    this.#collected += recipients;
    let messages = 0;
    await lanes(recipients, atOnce, async (i) => {
      const held = this.#held[from + i];
      if (held === undefined) throw new Error("too few recipients");
      if (held === 0) return;
      messages += held;
      this.#open.push(await within(this.#keeper.collect(from + i, held), "collecting"));
      this.#held[from + i] = 0;
    });
    await pause(SETTLE_MS); // the last removals
    const used = this.#keeper.process.cpuMs() - before;
    await this.close(); // mail for them waits again
    return { cpu: (used / messages) * 1000 };
  }

  /** Recipients connect, and there is nothing for them. What each takes, in bytes. */
  async idle(): Promise<number> {
    const { links } = this.load;
    const used = async (): Promise<number> => (await this.#keeper.used?.()) ?? this.memory();
    const empty = await used();
    await this.#wait(links);
    const before = await used();
    await this.#wait(links);
    // The first ones cost ours compiled code. To others all are alike, and so small that the more are seen the better.
    return this.#settles ? ((await used()) - before) / links : ((await used()) - empty) / (2 * links);
  }

  /** Some more of these, who leave again each time. What each costs. */
  async link(): Promise<Cost> {
    const { links, times } = this.load;
    const [from, count] = [this.#collected, links >> 1]; // our TCP has 512 connections at once
    const costs: Cost[] = [];
    while (costs.length < times) {
      const cost = await this.calmly(async () => {
        const before = this.#keeper.process.cpuMs();
        await this.#wait(count);
        return { cpu: ((this.#keeper.process.cpuMs() - before) / count) * 1000 };
      });
      costs.push(cost);
      this.#collected = from;
      await Promise.all(this.#open.splice(-count).map((connection) => connection.close()));
    }
    return middleCost(costs);
  }

  /** From the deposit to a recipient of those that wait, and until it is acknowledged: one after the other. */
  async live(): Promise<Cost & { p50: number; p99: number }> {
    const sender = await this.#keeper.sender();
    this.#open.push(sender);
    await this.#exchange(sender, this.load.warmLive);
    const all: (Cost & { p50: number; p99: number })[] = [];
    while (all.length < this.load.times) {
      const one = await this.calmly(async () => {
        const before = this.#keeper.process.cpuMs();
        const times = await this.#exchange(sender, this.load.live);
        const cpu = ((this.#keeper.process.cpuMs() - before) / this.load.live) * 1000;
        times.sort((a, b) => a - b);
        const quantile = (share: number): number => times[Math.floor(times.length * share)] ?? Number.NaN;
        return { p50: quantile(0.5), p99: quantile(0.99), cpu };
      }, false); // bound to a core of its own a broker took three times as long as in the best run
      all.push(one);
    }
    return { ...middleCost(all), p50: middle(all.map(({ p50 }) => p50)), p99: middle(all.map(({ p99 }) => p99)) };
  }

  /** So many live messages, and what each took until it came. */
  async #exchange(sender: Sender, messages: number): Promise<number[]> {
    const times: number[] = [];
    for (let i = 0; i < messages; i++) {
      const bytes = random(MESSAGE);
      const start = performance.now();
      const came = new Promise<void>((resolve) => {
        this.#live = () => {
          times.push(performance.now() - start);
          resolve();
        };
      });
      await within(Promise.all([sender.deposit(0, bytes, false), came]), "a live message");
    }
    return times;
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.splice(0).map((connection) => connection.close()));
  }

  async #wait(recipients: number): Promise<void> {
    const from = this.#collected;
    this.#collected += recipients;
    await lanes(recipients, AT_ONCE, async (i) => {
      const took = from + i === 0 ? () => this.#live() : () => {};
      this.#open.push(await within(this.#keeper.wait(from + i, took), "connecting"));
    });
    await pause(SETTLE_MS);
  }

  async #send(sender: Sender, index: number, { from, recipients, messages }: Part, isPassing: boolean): Promise<void> {
    const own = Math.floor((recipients - index + SENDERS - 1) / SENDERS); // each fourth
    let next = 0;
    const lane = async (): Promise<void> => {
      for (let i = next++; i < own * messages; i = next++)
        await sender.deposit(from + Math.floor(i / messages) * SENDERS + index, random(MESSAGE), isPassing);
    };
    await Promise.all(Array.from({ length: UNDER_WAY }, lane));
  }
}

/** What this process has read and written, on its connections for the most part: nothing else happens meanwhile. */
function ownTraffic(): { read: number; written: number } {
  const io = readFileSync("/proc/self/io", "utf8");
  return { read: Number(/rchar: (\d+)/.exec(io)?.[1]), written: Number(/wchar: (\d+)/.exec(io)?.[1]) };
}

function acknowledgements(senders: readonly Sender[]): number {
  return senders.reduce((sum, sender) => sum + sender.acknowledgements(), 0);
}

/** Of each figure: others who use the machine can make a round dear, none cheap. */
function median(rounds: readonly Deposits[]): Deposits {
  const of = (key: "sent" | "received" | "acks"): number => middle(rounds.map((round) => round[key]));
  return { ...middleCost(rounds), sent: of("sent"), received: of("received"), acks: of("acks") };
}

function middleCost(costs: readonly Cost[]): Cost {
  const paces = costs.flatMap(({ pace }) => (pace === undefined ? [] : [pace]));
  const pace = paces.length === 0 ? undefined : middle(paces);
  return { cpu: middle(costs.map(({ cpu }) => cpu)), pace };
}

function middle(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

async function lanes(count: number, atOnce: number, act: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await act(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}

/** A keeper that loses a message must end the bench, not hang it. */
async function within<T>(work: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${PATIENCE_MS / 1000} s`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function hundredths(value: number): number {
  return Math.round(value * 100) / 100;
}

function thousandths(value: number): number {
  return Math.round(value * 1000) / 1000;
}

/** Bytes of a message as it lies there. */
export const MESSAGE = 256;
const random = pooled((length) => crypto.getRandomValues(new Uint8Array(length)));
const SENDERS = 4;
const UNDER_WAY = 64; // of each sender
const AT_ONCE = 16; // recipients that collect or connect
const TENFOLD = 10; // rounds of deposits
const MEASURED = 3; // of these, the first so many and the last
const PASSING_MS = 2000;
const WARM_TIMES = 7; // after three V8 still compiled for a sixth of the CPU of a drain
const AT_LAST = 3;
const CALM_MS = 10_000;
const SETTLE_MS = 300;
const PATIENCE_MS = 120_000;
const LONG_MS = 120_000; // waiting for a fast core included
