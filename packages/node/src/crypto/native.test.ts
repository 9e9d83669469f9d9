import { portable } from "restante/protocol";
import { backendSuite } from "restante/testing";
import { describe, expect, test } from "vitest";
import { loadNative } from "./native.ts";

const native = await loadNative();

test("sodium-native loads, or nobody asked that it must (CI_STRICT=1)", () => {
  if (process.env["CI_STRICT"] === "1") expect(native?.name).toBe("sodium-native");
});

// Where sodium-native has no binary the title tells what was tested instead.
describe(native ? "native backend" : "sodium-native did not load: portable backend ONLY", () => {
  for (const { name, run } of backendSuite(() => native ?? portable)) test(name, run);
});
