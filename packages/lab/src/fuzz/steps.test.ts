import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { readSteps, writeSteps } from "./steps.ts";
import { TARGETS } from "./targets.ts";

test("a number is recorded for every target, and for nothing else", () => {
  expect([...readSteps().keys()].sort()).toEqual(TARGETS.map(({ name }) => name).sort());
  for (const [name, steps] of readSteps()) expect(steps, name).toBeGreaterThanOrEqual(100);
});

test("numbers are kept to two digits in the order of the targets, others stay, and those of no target go", () => {
  const folder = mkdtempSync(join(tmpdir(), "restante-steps-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "steps.json");
  writeFileSync(file, '{ "gone": 5, "b": 7 }');
  writeSteps(new Map([["a", 123_456]]), ["a", "b", "c"], file);
  expect(readFileSync(file, "utf8")).toBe('{\n  "a": 120000,\n  "b": 7\n}\n');
  expect([...readSteps(file)]).toEqual([
    ["a", 120_000],
    ["b", 7],
  ]);
});
