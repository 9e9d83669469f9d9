import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { expect, test, vi } from "vitest";
import { Cores, coresOf, paces } from "./cores.ts";

const isStrict = process.env["CI_STRICT"] === "1";
const hasChrt = process.platform === "linux" && ["chrt", "taskset"].every((name) => existsSync(`/usr/bin/${name}`));

test("the pace of a loop is what a turn took since then, where it turned a few times", () => {
  const before = [
    { turns: 100, us: 1000 },
    { turns: 10, us: 500 },
    { turns: 7, us: 70 },
  ];
  const after = [
    { turns: 200, us: 2000 },
    { turns: 20, us: 650 },
    { turns: 8, us: 9999 },
  ];
  expect(paces(before, after)).toEqual([10, 15, undefined]);
  expect(paces([], after)).toEqual([10, 32.5, 9999 / 8]);
});

test.skipIf(!(hasChrt || (process.platform === "linux" && isStrict)))(
  "loops turn while nobody else wants the core, tell how slow it is beside its best, and leave nothing behind",
  { timeout: 120_000 },
  async () => {
    const left = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith("restante-awake-"));
    const others = left();
    const cores = await Cores.awake(coresOf("self").slice(0, 1));
    if (cores === undefined) throw new Error("no loop has started");
    try {
      const since = cores.mark();
      await vi.waitUntil(() => (cores.mark()[0]?.turns ?? 0) > (since[0]?.turns ?? 0) + 10, { timeout: 100_000 });
      const pace = cores.pace(since);
      expect(pace).toBeGreaterThan(0);
      expect(cores.slowness(pace)).toBe(1); // the only one so far is the best
      expect(cores.slowness(2 * (pace ?? 0))).toBe(2);
      expect(cores.slowness(undefined)).toBeUndefined();
    } finally {
      cores.stop();
    }
    expect(left().filter((name) => !others.includes(name))).toEqual([]);
  },
);

test.skipIf(!(hasChrt || (process.platform === "linux" && isStrict)))(
  "a server has a core, and who uses it the others, until another server is there",
  { timeout: 120_000 },
  async () => {
    const ours = coresOf("self");
    const server = spawn("sleep", ["100"], { stdio: "ignore" });
    const cores = await Cores.awake();
    if (cores === undefined || server.pid === undefined) throw new Error("no loop or no server has started");
    try {
      await cores.place(server.pid, 0);
      const its = coresOf(server.pid);
      const isAlone = ours.length === 1;
      expect(its).toHaveLength(1);
      expect(coresOf("self")).toEqual(isAlone ? ours : ours.filter((core) => !its.includes(core)));
      cores.free();
      expect(coresOf("self")).toEqual(ours);
      await cores.place(server.pid, 0);
      cores.free(server.pid);
      expect([coresOf(server.pid), coresOf("self")]).toEqual([ours, ours]);
      await cores.place(server.pid, 0);
    } finally {
      cores.stop();
      server.kill("SIGKILL");
    }
    expect(coresOf("self")).toEqual(ours);
  },
);
