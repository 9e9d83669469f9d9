/** The other half of the hundred, in a file of its own: test files run side by side. */
import { loadNative } from "@restante/node";
import { expect, test } from "vitest";
import { runWorlds } from "./hundred.ts";

test("in fifty more worlds every promise is kept", { timeout: 600_000 }, async () => {
  const { totals, peers, broken } = runWorlds(50, 99, await loadNative());
  expect(broken.join("\n")).toBe("");
  expect(totals.worlds).toBe(50);
  expect(totals.mails / 50).toBeGreaterThanOrEqual(20);
  expect(totals.peerCrashes / peers).toBeGreaterThanOrEqual(1);
  expect(totals.cacheCrashes / 50).toBeGreaterThanOrEqual(1);
  expect(totals.lost / totals.packets).toBeGreaterThanOrEqual(0.1);
});
