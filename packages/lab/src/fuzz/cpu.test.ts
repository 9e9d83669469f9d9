import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { threadCpu } from "./cpu.ts";

test.runIf(process.platform === "linux")(
  "CPU time is that of the thread at hand, not of another that is busy",
  async () => {
    const other = new Worker("for (const end = performance.now() + 300; performance.now() < end;);", { eval: true });
    const [thread, all] = [threadCpu(), process.cpuUsage()];
    await new Promise((resolve) => other.on("exit", resolve));
    const { user, system } = process.cpuUsage(all);
    expect(threadCpu() - thread).toBeLessThan((user + system) / 1000);
  },
);

test("work takes some of it, and a look at the clock is not needed for that", () => {
  const from = threadCpu();
  let turns = 0;
  while (threadCpu() === from && turns < 1e6) turns++;
  expect(threadCpu()).toBeGreaterThan(from);
});
