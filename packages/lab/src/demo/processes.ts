/** Processes of a demonstration, and what it says while it goes on. */
import { type ChildProcess, spawn } from "node:child_process";

export interface Running {
  readonly pid: number;
  readonly out: string;
  readonly err: string;
  readonly exit: Promise<number | null>;
  /** The first line of stdout from now on, or before, that matches. */
  line(pattern: RegExp, from?: number): Promise<string>;
  /** A line for its stdin. */
  tell(line: string): void;
  kill(signal: NodeJS.Signals): Promise<number | null>;
}

const running = new Set<Running>();

/** Ends all that still run. */
export async function endAll(): Promise<void> {
  await Promise.all([...running].map((each) => each.kill("SIGKILL")));
}

/** Starts a program of Node. `stdin`: "pipe" for one that is told something later. */
export function start(
  who: string,
  program: string,
  args: readonly string[],
  stdin: "ignore" | "pipe" = "ignore",
): Running {
  const child: ChildProcess = spawn(process.execPath, [program, ...args], { stdio: [stdin, "pipe", "pipe"] });
  let out = "";
  let err = "";
  let wake = (): void => {};
  child.stdin?.on("error", () => {}); // it ended: its exit says so
  child.stdout?.setEncoding("utf8").on("data", (data: string) => {
    out += data;
    wake();
  });
  child.stderr?.setEncoding("utf8").on("data", (data: string) => {
    err += data;
  });
  const exit = new Promise<number | null>((resolve) => child.on("close", (code) => resolve(code)));
  const started: Running = {
    pid: child.pid ?? 0,
    get out() {
      return out;
    },
    get err() {
      return err;
    },
    exit,
    async line(pattern, from = 0) {
      for (;;) {
        const found = out
          .slice(from)
          .split("\n")
          .slice(0, -1)
          .find((line) => pattern.test(line));
        if (found !== undefined) return found;
        if (child.exitCode !== null || child.signalCode !== null)
          throw new Error(`a process of ${who} ended: ${err.trim()}`);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    tell(line) {
      child.stdin?.write(`${line}\n`);
    },
    async kill(signal) {
      child.kill(signal);
      return exit;
    },
  };
  void exit.then(() => {
    running.delete(started);
    wake();
  });
  running.add(started);
  return started;
}

/** Asks again and again until it is so, for two minutes. */
export async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    if (await isSo()) {
      say(`  ${what}`);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  throw new Error(`in ${(MAX_TRIES * PAUSE_MS) / 1000} s it did not come about that ${what}`);
}

export function title(text: string): void {
  say(`\n${text}`);
}

export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

const PAUSE_MS = 250;
const MAX_TRIES = 480;
