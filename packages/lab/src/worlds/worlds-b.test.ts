/** The other half of the 300, in a file of its own: test files run side by side. */
import { loadNative } from "@restante/node";
import { expect, test } from "vitest";
import { runWorlds } from "./many.ts";

test("in 150 more worlds every promise is kept", { timeout: 900_000 }, async () => {
  const { totals, broken, missing } = runWorlds(150, 299, await loadNative());
  expect([broken.join("\n"), missing, totals.worlds]).toEqual(["", [], 150]);
  expect([totals.mailsLost, totals.mailsDoubled]).toEqual([0, 0]);
});
