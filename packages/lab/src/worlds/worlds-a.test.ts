import { loadNative } from "@restante/node";
import { expect, test } from "vitest";
import { runWorlds } from "./hundred.ts";
import { runWorld, SETUP, show } from "./run.ts";

test("in fifty worlds of sleeping, crashing peers and caches every promise is kept", { timeout: 600_000 }, async () => {
  const { totals, broken, missing } = runWorlds(0, 49, await loadNative());
  expect([broken.join("\n"), missing, totals.worlds]).toEqual(["", [], 50]);
  expect(Object.keys(totals.crashes).length).toBeGreaterThan(4); // at many kinds of effects
});

test.each(["inbox/", "mail/out"])(
  "a planted bug is found: one save of %s is dropped",
  { timeout: 60_000 },
  (forgetSave) => {
    const setup = { ...SETUP, peers: 3, days: 3, forgetSave };
    const reports = [100, 101, 102]
      .map((seed) => runWorld(seed, setup, undefined))
      .filter(({ broken }) => broken.length > 0);
    expect(reports).not.toEqual([]);
    for (const report of reports) {
      const command = `npm run world -- --seed ${report.seed} --peers 3 --caches 2 --days 3 --loss 0.1 --forget-save ${forgetSave}`;
      expect(show(report, setup)).toContain(`replay: ${command}`);
    }
  },
);

test("a world is a function of its seed", { timeout: 60_000 }, () => {
  const setup = { ...SETUP, peers: 3, days: 2 };
  const report = runWorld(7, setup, undefined);
  expect(runWorld(7, setup, undefined)).toEqual(report);
  expect(runWorld(8, setup, undefined).packets).not.toBe(report.packets);
});
