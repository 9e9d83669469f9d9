/** The memory of a process that loads much and then does little, or works hard. It loads nothing of ours, since it is there before all else. */
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * What is read and made while a program is loaded is garbage soon, but V8 lets a process that does little keep it, and the room that
 * it grew by: some 17 MiB. So from this call on it grows slowly, which costs 0.1 s of CPU for a whole daemon, and is swept once when it
 * has settled; from then on it takes what it needs. To do without the optimizing compiler meanwhile would save 6 MiB more, but it never
 * becomes again what it was: a cache takes 1.4 times the CPU from then on.
 */
export function growSlowly(): void {
  clearTimeout(settled);
  set(["--semi-space-growth-factor=1"]);
  settled = setTimeout(settle, SETTLED_MS).unref();
}

/**
 * Whether a process works hard, by its CPU time: so after four seconds with a tenth of a core, and no more after ten with less than
 * a fortieth, for where many programs run one that works hard gets little. It begins quiet.
 */
export class Pace {
  #before: number;
  #isBusy = false;
  /** Looks in a row that speak for a change. */
  #others = 0;

  /** `cpuMs`: what it took until now. */
  constructor(cpuMs: number) {
    this.#before = cpuMs;
  }

  /** To be called every two seconds; what has changed, if anything. */
  look(cpuMs: number): "busy" | "quiet" | undefined {
    const works = cpuMs - this.#before > (this.#isBusy ? REST_MS : BUSY_MS);
    this.#before = cpuMs;
    this.#others = works === this.#isBusy ? 0 : this.#others + 1;
    if (this.#others < (works ? WORKING : RESTFUL)) return undefined;
    this.#others = 0;
    this.#isBusy = works;
    return works ? "busy" : "quiet";
  }

  /** What it took until now is not to count. */
  skip(cpuMs: number): void {
    this.#before = cpuMs;
  }
}

/**
 * How much V8 may have beside what is in use before it looks through all of that, as a percentage of it, while a process works hard:
 * twice as much, or what comes to 100 MiB where little is in use. What is in use is seen best after a collection: it is the least of
 * the last looks.
 */
export class Leeway {
  readonly #used: number[] = [];

  /** To be called every two seconds with the bytes that the heap has then. */
  look(used: number): number {
    this.#used.push(used);
    if (this.#used.length > LOOKS) this.#used.shift();
    const percent = Math.floor((100 * LEEWAY_BYTES) / Math.max(1, Math.min(...this.#used)));
    return Math.min(Math.max(percent, LEAST_PERCENT), MOST_PERCENT);
  }
}

function settle(): void {
  sweep();
  set(["--semi-space-growth-factor=2"]);
  if (paced === undefined) paced = keepPace();
}

/**
 * V8 looks through all that is in use again when there are 8 MiB more, and counts the messages that a cache keeps outside of its heap:
 * that was a fifth of the CPU of deposits, and with twice as much as is in use still a quarter in every fourth round of them. So while
 * a process works hard there may be more; once it rests it is swept, and as it was.
 */
function keepPace(): NodeJS.Timeout {
  const pace = new Pace(cpuMs());
  let leeway: Leeway | undefined;
  return setInterval(() => {
    const news = pace.look(cpuMs());
    if (news === "busy") leeway = new Leeway();
    if (leeway !== undefined) set([`--heap-growing-percent=${leeway.look(getHeapStatistics().used_heap_size)}`]);
    if (news !== "quiet") return;
    leeway = undefined;
    set(["--heap-growing-percent=0"]);
    sweep();
    pace.skip(cpuMs()); // or to rest would be work
  }, LOOK_MS).unref();
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function sweep(): void {
  // Not compacted: of a newer V8 (Node 24) all the pages that become free by that, 20 MiB, would stay ours.
  set(["--expose-gc"]);
  runInNewContext("gc()");
  set(["--no-expose-gc"]);
}

function set(flags: readonly string[]): void {
  for (const flag of flags) setFlagsFromString(flag);
}

let settled: NodeJS.Timeout | undefined;
let paced: NodeJS.Timeout | undefined;
const SETTLED_MS = 5000;
const LOOK_MS = 2000;
const BUSY_MS: number = LOOK_MS / 10;
const REST_MS: number = LOOK_MS / 40;
const WORKING = 2; // looks in a row
const RESTFUL = 5;
const LOOKS = 8;
const LEEWAY_BYTES: number = 100 * 1024 * 1024;
const LEAST_PERCENT = 200;
const MOST_PERCENT = 600;
