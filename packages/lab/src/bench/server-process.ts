/** A server in a process of its own, and what it costs: what Linux says of that process, with all its threads. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { connect, createServer } from "node:net";

export class ServerProcess {
  readonly #child: ChildProcess;

  constructor(program: string, args: readonly string[]) {
    this.#child = spawn(program, args, { stdio: ["ignore", "pipe", "ignore", "pipe"] });
    running.add(this.#child);
    this.#child.once("exit", () => running.delete(this.#child));
    this.#child.once("error", () => running.delete(this.#child));
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error("the server was not started");
    return pid;
  }

  /** CPU time so far, user and system, in milliseconds. */
  cpuMs(): number {
    const base = `/proc/${this.#child.pid}`;
    const stat = readFileSync(`${base}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const whole = (Number(fields[11]) + Number(fields[12])) * TICK_MS;
    let ns = 0;
    for (const thread of readdirSync(`${base}/task`))
      ns += Number(read(`${base}/task/${thread}/schedstat`).split(" ")[0]);
    // To the nanosecond, unless a thread has ended: those are in the whole only, which is cut to ticks, twice.
    return ns / 1e6 - whole < 3 * TICK_MS && ns / 1e6 > whole - TICK_MS ? ns / 1e6 : whole;
  }

  /** Resident memory in bytes. */
  memory(): number {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${this.#child.pid}/status`))?.[1]) * 1024;
  }

  /** Bytes in use once its garbage is collected, resident or not. Of a Node that was started with COLLECTS alone. */
  async used(): Promise<number> {
    const answers = this.#child.stdio[3];
    if (answers === null || answers === undefined) throw new Error("the server was not started");
    const answer = once(answers, "data");
    this.#child.kill("SIGWINCH");
    return Number(String((await answer)[0]));
  }

  /** The first line of its stdout that matches. Rejects when it ends before. */
  line(pattern: RegExp): Promise<string> {
    let said = "";
    return new Promise((resolve, reject) => {
      this.#child.stdout?.setEncoding("utf8").on("data", (piece: string) => {
        said += piece;
        const found = said
          .split("\n")
          .slice(0, -1)
          .find((line) => pattern.test(line));
        if (found !== undefined) resolve(found);
      });
      this.#child.once("error", reject);
      this.#child.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
    });
  }

  /** Resolves when it accepts connections there. Rejects when it ends before. */
  async accepts(port: number): Promise<void> {
    this.#child.stdout?.resume();
    let failure: unknown;
    this.#child.once("error", (error) => {
      failure = error;
    });
    for (;;) {
      if (failure !== undefined) throw failure;
      if (this.#hasEnded()) throw new Error(`the server ended with ${this.#child.exitCode}`);
      if (await isOpen(port)) return;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async stop(): Promise<void> {
    if (this.#child.pid === undefined || this.#hasEnded()) return;
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    const late = setTimeout(() => this.#child.kill("SIGKILL"), PATIENCE_MS);
    await exit;
    clearTimeout(late);
  }

  #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }
}

/**
 * A port of 127.0.0.1 that nobody listens on, from below those that a system gives to whoever asks for any: so it still is free when
 * its server starts, and when that starts anew.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 22_000);
    const server = createServer().listen(port, "127.0.0.1");
    const isFree = await once(server, "listening").then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

async function isOpen(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** "" when it is not there: a thread ends between two looks. */
function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** Options for a Node that is to tell what it uses. */
export const COLLECTS: readonly string[] = [
  "--expose-gc",
  "--import",
  new URL("../../dist/bench/collects.js", import.meta.url).href, // built, wherever we run
];

const TICK_MS = 10; // of Linux
const POLL_MS = 20;
const PATIENCE_MS = 5000;

/** Whatever happens to us, no server is left behind. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
