/** CPU time, which a busy machine does not stretch as it does the clock's. */
import { readFileSync } from "node:fs";

/**
 * Milliseconds of CPU time that this thread has used, exact to some of them. Not the process's where it can be told, on
 * Linux: tests run beside others in one process, and so do the collector of garbage and the compiler.
 */
export function threadCpu(): number {
  const { user, system } = process.cpuUsage();
  if (process.platform !== "linux") return (user + system) / 1000;
  try {
    return Number.parseInt(readFileSync("/proc/thread-self/schedstat", "latin1"), 10) / 1e6;
  } catch {
    return (user + system) / 1000; // a kernel that does not count: then the process's, on each call alike
  }
}
