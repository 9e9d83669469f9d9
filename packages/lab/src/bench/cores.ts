/**
 * Keeps the cores of this machine awake while a server is measured, has it on the fastest, and tells how fast that was. A core that
 * sleeps between two packets runs slower for a while after it wakes, and one that shares its hardware with another machine's takes up to
 * 1.9 times the CPU time for the same work while that one works. So there is a loop on each core, which runs whenever nobody else wants to, and
 * counts its turns. docs/benches.md
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** What the loops have done so far, one entry for each. */
export type Mark = readonly Spun[];

/** What one has done: turns of the loop, and the CPU time that they took in microseconds. */
interface Spun {
  readonly turns: number;
  readonly us: number;
}

export class Cores {
  readonly #loops: readonly Loop[];
  #best = Number.POSITIVE_INFINITY;
  #server: Loop | undefined; // that of its core
  #patienceMs = PATIENCE_MS;

  private constructor(loops: readonly Loop[]) {
    this.#loops = loops;
  }

  /** `undefined` where no program can be told to run only when nobody else wants to, and where: that takes Linux, `chrt` and `taskset`. */
  static async awake(numbers: readonly number[] = coresOf("self")): Promise<Cores | undefined> {
    if (process.platform !== "linux") return undefined;
    const loops = numbers.map((number) => new Loop(number));
    const cores = new Cores(loops);
    if ((await Promise.all(loops.map((loop) => loop.started))).every((isThere) => isThere)) return cores;
    cores.stop();
    return undefined;
  }

  /** To be given to `pace`. */
  mark(): Mark {
    return this.#loops.map((loop) => loop.spun());
  }

  /**
   * Microseconds that a turn took since then on the server's core; before `place` that of the loop whose turns took longest. `undefined`
   * where it had no time for some.
   */
  pace(since: Mark): number | undefined {
    const all = paces(since, this.mark());
    const known = all.filter((pace) => pace !== undefined);
    this.#best = Math.min(this.#best, ...known);
    if (this.#server !== undefined) return all[this.#loops.indexOf(this.#server)];
    return known.length === 0 ? undefined : Math.max(...known);
  }

  /** How many times as long as at best so far, on whichever core, since `awake`: 1 where nobody else used the core's hardware. */
  slowness(pace: number | undefined): number | undefined {
    return pace === undefined ? undefined : pace / this.#best;
  }

  /**
   * Puts the server on the core that is fastest now, and this process on the others, where there are some. Waits until that core is nearly as
   * fast as one was at best, but not for more than so many milliseconds, nor for a minute in all: others may never rest.
   */
  async place(server: number, waitMs: number): Promise<void> {
    const began = performance.now();
    const end = began + Math.min(waitMs, this.#patienceMs);
    let fastest = 0;
    do {
      const since = this.mark();
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      const all = paces(since, this.mark()).map((pace) => pace ?? Number.POSITIVE_INFINITY);
      const least = Math.min(...all);
      this.#best = Math.min(this.#best, least);
      fastest = all.indexOf(least);
      // It stays where it is unless another core is faster by more than chance.
      const own = this.#server === undefined ? -1 : this.#loops.indexOf(this.#server);
      if (own >= 0 && ((all[own] ?? least) <= CALM * least || least === Number.POSITIVE_INFINITY)) fastest = own;
      if (least / this.#best < CALM) break;
    } while (performance.now() < end);
    this.#patienceMs -= Math.min(this.#patienceMs, performance.now() - began);
    const [loop, others] = [this.#loops[fastest], this.#loops.filter((_, i) => i !== fastest)];
    if (loop === undefined || loop === this.#server || others.length === 0) return;
    if (!bind(server, [loop.core])) return this.free(); // where it is nobody knows
    this.#server = loop;
    bind(
      process.pid,
      others.map(({ core }) => core),
    );
  }

  /** We may run everywhere again, and so may the server, if it is still there. */
  free(server?: number): void {
    if (this.#server === undefined) return;
    this.#server = undefined;
    const all = this.#loops.map(({ core }) => core);
    for (const pid of server === undefined ? [process.pid] : [process.pid, server]) bind(pid, all);
  }

  stop(): void {
    this.free();
    for (const loop of this.#loops) loop.stop();
  }
}

/** Microseconds of a turn of each loop, between the two. `undefined`: it turned too seldom. */
export function paces(before: Mark, after: Mark): (number | undefined)[] {
  return after.map(({ turns, us }, i) => {
    const was = before[i] ?? { turns: 0, us: 0 };
    return turns - was.turns < FEW_TURNS ? undefined : (us - was.us) / (turns - was.turns);
  });
}

/** Those on which a process may run: Linux writes a list of numbers and ranges. */
export function coresOf(pid: number | "self"): number[] {
  const [, list = "0"] = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return list.split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** With all its threads. False: it is gone, or may not be moved. */
function bind(pid: number, cores: readonly number[]): boolean {
  return spawnSync("taskset", ["--all-tasks", "--cpu-list", "--pid", cores.join(","), `${pid}`]).status === 0;
}

/** One loop, in a process of its own that writes what it has done to a file: to tell us would wake us. */
class Loop {
  readonly core: number;
  readonly started: Promise<boolean>;
  readonly #dir = mkdtempSync(join(tmpdir(), "restante-awake-"));
  readonly #file: number;
  readonly #child: ChildProcess;

  constructor(core: number) {
    this.core = core;
    const file = join(this.#dir, "turns");
    this.#file = openSync(file, "w+");
    const idle = ["chrt", "--idle", "0", process.execPath, SPIN, file, `${process.pid}`];
    this.#child = spawn("taskset", ["--cpu-list", `${core}`, ...idle], { stdio: ["ignore", "pipe", "ignore"] });
    running.add(this);
    this.started = new Promise<boolean>((resolve) => {
      this.#child.stdout?.once("data", () => resolve(true));
      this.#child.once("error", () => resolve(false));
      this.#child.once("exit", () => resolve(false));
      setTimeout(() => resolve(false), START_MS).unref(); // on a core that others never leave
    });
  }

  spun(): Spun {
    const said = new Float64Array(2);
    readSync(this.#file, said, 0, said.byteLength, 0);
    return { turns: said[0] ?? 0, us: said[1] ?? 0 };
  }

  stop(): void {
    running.delete(this);
    this.#child.kill("SIGKILL");
    closeSync(this.#file);
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

const SPIN = fileURLToPath(new URL("../../dist/bench/spin.js", import.meta.url)); // built, wherever we run
const LOOK_MS = 250;
const START_MS = 100_000;
const PATIENCE_MS = 60_000;
const CALM = 1.1;
const FEW_TURNS = 5;

/** Whatever happens to us, none is left behind. */
const running = new Set<Loop>();
process.on("exit", () => {
  for (const loop of running) loop.stop();
});
