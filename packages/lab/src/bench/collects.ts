/** Loaded into a Node server by --import: at SIGWINCH it collects its garbage and says on descriptor 3 how many bytes are in use. */
import { writeSync } from "node:fs";

process.on("SIGWINCH", () => {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  writeSync(3, `${heapUsed + external}\n`);
});
