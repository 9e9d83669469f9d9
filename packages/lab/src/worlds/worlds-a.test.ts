import { loadNative } from "@restante/node";
import type { SimulationReport } from "restante/testing";
import { expect, test } from "vitest";
import { nightSetup, runWorlds } from "./many.ts";
import { runWorld, SETUP, show } from "./run.ts";

test("in 150 worlds of sleeping, crashing peers and caches every promise is kept", { timeout: 900_000 }, async () => {
  const { totals, broken, missing } = runWorlds(0, 149, await loadNative());
  expect([broken.join("\n"), missing, totals.worlds]).toEqual(["", [], 150]);
  expect([totals.mailsLost, totals.mailsDoubled]).toEqual([0, 0]);
  expect(Object.keys(totals.crashes).length).toBeGreaterThan(4); // at many kinds of effects
  // A text is there within seconds of the first possible opportunity, where caches are what they say.
  expect(totals.delayHonestMedian).toBeLessThan(5_000);
});

test.each(["inbox/", "mail/out"])("a planted bug is found: one save of %s is dropped", (forgetSave) => {
  const setup = { ...SETUP, peers: 3, days: 3, forgetSave };
  let report: SimulationReport | undefined;
  for (let seed = 100; seed <= 102 && !report?.broken.length; seed++) report = runWorld(seed, setup, undefined);
  if (report === undefined) throw new Error("no world was run");
  expect(report.broken).not.toEqual([]);
  const command = `npm run world -- --seed ${report.seed} --peers 3 --caches 2 --days 3 --loss 0.1 --forget-save ${forgetSave}`;
  expect(show(report, setup)).toContain(`replay: ${command}`);
});

test("a world is a function of its seed", () => {
  const setup = { ...SETUP, peers: 3, days: 2 };
  const report = runWorld(7, setup, undefined);
  expect(runWorld(7, setup, undefined)).toEqual(report);
  expect(runWorld(8, setup, undefined).packets).not.toBe(report.packets);
});

test("one world in ten of a night is a month long", () => {
  const days = Array.from({ length: 200 }, (_, seed) => nightSetup(seed).days);
  expect(days.filter((length) => length === 30).length).toBe(20);
});
