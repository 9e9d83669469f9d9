/** Notices the input that never comes to an end: a thread that sees what the loop is at, and the process's CPU time. */
import { writeSync } from "node:fs";
import { isMainThread, Worker, workerData } from "node:worker_threads";

interface Watched {
  readonly tag: typeof TAG;
  readonly count: Int32Array; // how many inputs so far; how many bytes the one at hand has
  readonly input: Uint8Array;
  readonly most: number;
  readonly report: string;
}

/**
 * Watches from now on. To be called with every input before that is run. When one takes more than `most` milliseconds
 * of CPU time, it prints the line `report`, in it the input as hex in place of `HEX`, and kills the process.
 */
export function watch(most: number, longest: number, report: string): (input: Uint8Array) => void {
  const count = new Int32Array(new SharedArrayBuffer(8));
  const input = new Uint8Array(new SharedArrayBuffer(longest));
  const watched: Watched = { tag: TAG, count, input, most, report };
  new Worker(new URL(import.meta.url), { workerData: watched, execArgv: [] }).unref();
  return (bytes) => {
    input.set(bytes);
    count[1] = bytes.length;
    Atomics.add(count, 0, 1);
  };
}

/** In the thread. The clock starts anew when another input is at hand. */
function guard({ count, input, most, report }: Watched): void {
  let [last, since] = [-1, 0];
  setInterval(() => {
    const { user, system } = process.cpuUsage(); // of all threads; this one uses next to nothing
    const [now, used] = [Atomics.load(count, 0), (user + system) / 1000];
    if (now !== last) [last, since] = [now, used];
    if (used - since <= most) return;
    const hex = Buffer.from(input.subarray(0, count[1])).toString("hex");
    writeSync(1, `${report.replace("HEX", hex)}\n`);
    process.kill(process.pid, "SIGKILL");
  }, LOOK_MS);
}

const TAG = "restante-fuzz-watchdog";
const LOOK_MS = 500;

if (!isMainThread && (workerData as Partial<Watched> | null)?.tag === TAG) guard(workerData as Watched);
