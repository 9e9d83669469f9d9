/**
 * How many instructions a cache executes for a message, counted by callgrind: a figure that does not change with what else the
 * machine does, and shows changes of 1 %. docs/benches.md
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadBackend } from "@restante/node";
import { type Backend, pooled } from "restante/protocol";
import { ourCache } from "./cache.ts";
import type { Bench, Result } from "./harness.ts";
import { type Connection, MESSAGE, type RunningKeeper, type Sender } from "./peers/work.ts";

/** Of the cache's main thread, in user mode: without the system, the compiler and the collector's helpers. It takes minutes. */
export function instructions(): Bench {
  const run = async (): Promise<Record<string, Result>> => {
    if (spawnSync("valgrind", ["--version"]).status !== 0)
      throw new Error("there is no valgrind to count instructions");
    const backend = await loadBackend(() => {});
    const counted = (value: number): Result => ({ value: Math.round(value), unit: "instructions" });
    const deposit = await withCounter(backend, deposits);
    const [link, drain] = await withCounter(backend, linksAndDrains);
    return { [DEPOSIT]: counted(deposit), [DRAIN]: counted(drain), [LINK]: counted(link) };
  };
  return { keys: [DEPOSIT, DRAIN, LINK], isLarge: true, run };
}

/** A cache under callgrind, and those who use it. */
class Counter {
  readonly #keeper: RunningKeeper;
  readonly #directory: string;
  #next = 0; // whose turn it is of the recipients

  constructor(keeper: RunningKeeper, directory: string) {
    this.#keeper = keeper;
    this.#directory = directory;
  }

  /** Instructions while this is done. */
  async count(act: () => Promise<void>): Promise<number> {
    this.#control("-i", "on");
    await act();
    this.#control("-i", "off");
    this.#control("-d");
    const dumps = readdirSync(this.#directory).filter((name) => name.endsWith("-01")); // of the main thread
    return mainTotal(dumps.map((name) => readFileSync(join(this.#directory, name), "utf8")));
  }

  /** Messages to these recipients, as many to each by every sender as these have; all that one has for a recipient in a row. */
  async deposit(recipients: readonly number[], senders: number, each: number, isPassing = false): Promise<void> {
    const all = await Promise.all(Array.from({ length: senders }, () => this.#keeper.sender()));
    await Promise.all(all.map((sender) => send(sender, recipients, each, isPassing)));
    await close(all);
  }

  /** The next so many recipients. */
  turn(count: number): number[] {
    return Array.from({ length: count }, () => this.#next++ % RECIPIENTS);
  }

  collect(recipients: readonly number[], messages: number): Promise<Connection[]> {
    return lanes(recipients, (recipient) => this.#keeper.collect(recipient, messages));
  }

  visit(recipients: readonly number[]): Promise<Connection[]> {
    return lanes(recipients, (recipient) => this.#keeper.wait(recipient, () => {}));
  }

  #control(...args: string[]): void {
    const { status } = spawnSync("callgrind_control", [...args, String(this.#keeper.process.pid)]);
    if (status !== 0) throw new Error("callgrind does not listen");
  }
}

/** Instructions for a message. */
async function deposits(counter: Counter): Promise<number> {
  const recipients = counter.turn(PER_ROUND);
  for (let i = 0; i < WARM_DEPOSITS; i++) await counter.deposit(recipients, 1, EACH, true);
  await pause(PASSING_MS); // all of that has expired, and is erased with the next one
  await counter.deposit(recipients.slice(0, 1), 1, 1, true);
  const all = await counter.count(() => counter.deposit(recipients, 1, EACH));
  return all / (PER_ROUND * EACH);
}

/** Instructions for a link, and for a message of those that a recipient collects with one link. */
async function linksAndDrains(counter: Counter): Promise<[link: number, drain: number]> {
  for (let i = 0; i < WARM_VISITS; i++) await close(await counter.visit(counter.turn(DRAINED)));
  let open: Connection[] = [];
  const link = await counter.count(async () => {
    open = await counter.visit(counter.turn(DRAINED));
    await pause(SETTLE_MS);
  });
  await close(open);
  let drain = 0;
  for (let i = 0; i <= WARM_DRAINS; i++) {
    const recipients = counter.turn(DRAINED);
    await counter.deposit(recipients, BOXES, EACH);
    const act = async (): Promise<void> => {
      open = await counter.collect(recipients, BOXES * EACH);
      await pause(SETTLE_MS); // the last removals
    };
    if (i < WARM_DRAINS) await act();
    else drain = await counter.count(act);
    await close(open);
  }
  return [link / DRAINED, drain / (DRAINED * BOXES * EACH)];
}

async function withCounter<T>(backend: Backend, act: (counter: Counter) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), "restante-callgrind-"));
  const keeper = await ourCache(backend, [], [...CALLGRIND, `--callgrind-out-file=${join(directory, "out")}`]).start(
    RECIPIENTS,
  );
  try {
    return await act(new Counter(keeper, directory));
  } finally {
    await keeper.stop();
    rmSync(directory, { recursive: true });
  }
}

async function send(sender: Sender, recipients: readonly number[], each: number, isPassing: boolean): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let i = next++; i < recipients.length * each; i = next++)
      await sender.deposit(recipients[Math.floor(i / each)] ?? 0, random(MESSAGE), isPassing);
  };
  await Promise.all(Array.from({ length: UNDER_WAY }, lane));
}

async function lanes(
  recipients: readonly number[],
  act: (recipient: number) => Promise<Connection>,
): Promise<Connection[]> {
  const open: Connection[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let i = next++; i < recipients.length; i = next++) open.push(await act(recipients[i] ?? 0));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return open;
}

async function close(connections: readonly Connection[]): Promise<void> {
  await Promise.all(connections.map((connection) => connection.close()));
}

/** The total of the last of these dumps that has counted anything. */
export function mainTotal(dumps: readonly string[]): number {
  const totals = dumps.map((dump) => Number(/^totals: (\d+)$/m.exec(dump)?.[1] ?? 0)).filter((total) => total > 0);
  const total = totals.at(-1);
  if (total === undefined) throw new Error("callgrind has counted nothing");
  return total;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const [DEPOSIT, DRAIN, LINK] = ["instructions.deposit", "instructions.drain", "instructions.link"] as const;
const CALLGRIND = [
  "valgrind",
  "--tool=callgrind",
  "--instr-atstart=no",
  "--separate-threads=yes",
  "--smc-check=all-non-file",
];
const random = pooled((length) => crypto.getRandomValues(new Uint8Array(length)));
const RECIPIENTS = 1000;
const EACH = 20; // messages to a recipient by one sender
const BOXES = 10; // senders that a recipient has mail of
const PER_ROUND = 250; // recipients
const DRAINED = 50;
const UNDER_WAY = 64; // of each sender
const AT_ONCE = 16; // recipients
// The compiler is slow under callgrind, and what it has not reached yet counts several times as much.
const [WARM_DEPOSITS, WARM_VISITS, WARM_DRAINS] = [80, 40, 20];
const PASSING_MS = 2500;
const SETTLE_MS = 300;
