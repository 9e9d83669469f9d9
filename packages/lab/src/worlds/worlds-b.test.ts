/** The other half of the hundred, in a file of its own: test files run side by side. */
import { loadNative } from "@restante/node";
import { expect, test } from "vitest";
import { runWorlds } from "./hundred.ts";

test("in fifty more worlds every promise is kept", { timeout: 600_000 }, async () => {
  const { totals, broken, missing } = runWorlds(50, 99, await loadNative());
  expect([broken.join("\n"), missing, totals.worlds]).toEqual(["", [], 50]);
});
