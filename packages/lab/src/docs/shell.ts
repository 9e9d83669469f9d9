/** Commands of the pages, run as somebody types them whose home is a folder of the test. */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

/** What is set for that person: `home` has everything of theirs, `home/bin` the programs that come first, and `more` goes before all. */
export function homeOf(home: string, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const { XDG_STATE_HOME: _, XDG_CONFIG_HOME: __, ...outside } = process.env;
  return { ...outside, HOME: home, PATH: `${join(home, "bin")}:${process.env["PATH"]}`, ...more };
}

/** Starts `sh` in that folder. It is in `running` until it ends. */
export function startShell(running: Set<ChildProcess>, text: string, { cwd, env }: SpawnOptions): ChildProcess {
  const child = spawn("sh", ["-c", text], { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

/** What it printed, once it has ended; `all`: both, in the order in which they came. */
export async function ended(
  child: ChildProcess,
): Promise<{ code: number | null; out: string; err: string; all: string }> {
  let [out, err, all] = ["", "", ""];
  child.stdout?.on("data", (piece) => {
    out += piece;
    all += piece;
  });
  child.stderr?.on("data", (piece) => {
    err += piece;
    all += piece;
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, out, err, all };
}
