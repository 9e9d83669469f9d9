/** What keeps the memory of this process off the disk, as far as a process can see to it itself. docs/cache.md */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";

/**
 * What a crash of this process leaves on the disk. "empty": a dump without memory. "none": no dump. "whole": a dump with all of
 * its memory. "unknown": this system does not tell.
 */
export type CoreDumps = "empty" | "none" | "whole" | "unknown";

/**
 * Ask the system (Linux) to leave all memory out of core dumps of this process and of those that it starts, and tell what they
 * would hold now. A process cannot lower its limits without native code, but it can do this: core(5), coredump_filter. `proc`:
 * where procfs is. Never throws.
 */
export function emptyCoreDumps(proc = "/proc"): CoreDumps {
  const filter = join(proc, "self", "coredump_filter");
  try {
    const file = openSync(filter, "r+"); // never made where it is not
    try {
      writeSync(file, NO_MEMORY);
    } finally {
      closeSync(file);
    }
  } catch {
    // A sandbox, or not Linux. Who started us may have done it: it is inherited.
  }
  if (/^0+$/.test(read(filter) ?? "")) return "empty";
  const limits = read(join(proc, "self", "limits"));
  const handler = read(join(proc, "sys", "kernel", "core_pattern"));
  if (limits === undefined || handler === undefined) return "unknown";
  // A program as the handler is called whatever the limit is; what it then keeps is its own affair.
  return /^Max core file size +0 /m.test(limits) && !handler.startsWith("|") ? "none" : "whole";
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return undefined;
  }
}

const NO_MEMORY = "00000000"; // as the kernel shows it: no kind of mapping
