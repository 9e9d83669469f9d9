import { existsSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { expect, test, vi } from "vitest";
import { Cores, slowest } from "./cores.ts";

const isStrict = process.env["CI_STRICT"] === "1";
const hasChrt = process.platform === "linux" && existsSync("/usr/bin/chrt");

test("the pace is that of the slowest loop since then, of those that turned a few times", () => {
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
  expect(slowest(before, after)).toBe(15);
  expect(slowest(before, before)).toBeUndefined();
  expect(slowest([], after)).toBeCloseTo(9999 / 8);
});

test.skipIf(!(hasChrt || (process.platform === "linux" && isStrict)))(
  "loops turn while nobody else wants the core, tell how slow it is beside its best, and leave nothing behind",
  { timeout: 120_000 },
  async () => {
    const left = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith("restante-awake-"));
    const others = left();
    const cores = await Cores.awake(1);
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
