/**
 * Keeps the cores of this machine awake while something is measured, and tells how fast they were. A core that sleeps between two
 * packets runs slower for a while after it wakes, and one that shares its hardware with another machine's slows down when that works: the
 * same work then takes up to 1.7 times the CPU time. So there are as many loops as cores, which run whenever nobody else wants to, and count their
 * turns. docs/benches.md
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
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

  private constructor(loops: readonly Loop[]) {
    this.#loops = loops;
  }

  /** `undefined` where no program can be told to run only when nobody else wants to: that takes Linux, and its `chrt`. */
  static async awake(count: number = availableParallelism()): Promise<Cores | undefined> {
    if (process.platform !== "linux") return undefined;
    const loops = Array.from({ length: count }, () => new Loop());
    const cores = new Cores(loops);
    if ((await Promise.all(loops.map((loop) => loop.started))).every((isThere) => isThere)) return cores;
    cores.stop();
    return undefined;
  }

  mark(): Mark {
    return this.#loops.map((loop) => loop.spun());
  }

  /** Microseconds that a turn took since then, of the loop whose turns took longest; `undefined` where none had time for some. */
  pace(since: Mark): number | undefined {
    const pace = slowest(since, this.mark());
    if (pace !== undefined) this.#best = Math.min(this.#best, pace);
    return pace;
  }

  /** How many times as long as at best so far, since `awake`: 1 where nobody else used the cores' hardware. */
  slowness(pace: number | undefined): number | undefined {
    return pace === undefined ? undefined : pace / this.#best;
  }

  /** Resolves when the loops turn nearly as fast as they did at best, or after so many milliseconds: others may never rest. */
  async calm(patienceMs: number): Promise<void> {
    const end = performance.now() + patienceMs;
    do {
      const since = this.mark();
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      if ((this.slowness(this.pace(since)) ?? Number.POSITIVE_INFINITY) < CALM) return;
    } while (performance.now() < end);
  }

  stop(): void {
    for (const loop of this.#loops) loop.stop();
  }
}

/** Of what was done between the two. */
export function slowest(before: Mark, after: Mark): number | undefined {
  const paces = after.flatMap(({ turns, us }, i) => {
    const was = before[i] ?? { turns: 0, us: 0 };
    return turns - was.turns < FEW_TURNS ? [] : [(us - was.us) / (turns - was.turns)];
  });
  return paces.length === 0 ? undefined : Math.max(...paces);
}

/** One loop, in a process of its own that writes what it has done to a file: to tell us would wake us. */
class Loop {
  readonly started: Promise<boolean>;
  readonly #dir = mkdtempSync(join(tmpdir(), "restante-awake-"));
  readonly #file: number;
  readonly #child: ChildProcess;

  constructor() {
    const file = join(this.#dir, "turns");
    this.#file = openSync(file, "w+");
    this.#child = spawn("chrt", ["--idle", "0", process.execPath, SPIN, file, `${process.pid}`], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    running.add(this);
    this.started = new Promise<boolean>((resolve) => {
      this.#child.stdout?.once("data", () => resolve(true));
      this.#child.once("error", () => resolve(false));
      this.#child.once("exit", () => resolve(false));
      setTimeout(() => resolve(false), PATIENCE_MS).unref(); // on a core that others never leave
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
const PATIENCE_MS = 100_000;
const CALM = 1.1;
const FEW_TURNS = 5;

/** Whatever happens to us, none is left behind. */
const running = new Set<Loop>();
process.on("exit", () => {
  for (const loop of running) loop.stop();
});
