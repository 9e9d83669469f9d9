import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { bundled } from "./bundled.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "restante-bundled-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

const root = (): URL => pathToFileURL(`${join(dir, "node")}/`);

function file(path: string, seconds: number): void {
  const at = join(dir, path);
  mkdirSync(join(at, ".."), { recursive: true });
  writeFileSync(at, "");
  utimesSync(at, seconds, seconds);
}

test("without one, or beside a compiler that never ran, there is none to take", () => {
  expect(bundled(root())).toBeUndefined();
  file("node/dist/.tsbuildinfo", 1000);
  expect(bundled(root())).toBeUndefined();
});

test("an installed package has one, and nothing that tells when it was compiled", () => {
  file("node/dist/cli/run.js", 2000);
  file("node/program/run.js", 1000);
  expect(bundled(root())?.href).toBe(pathToFileURL(join(dir, "node/program/run.js")).href);
});

test.each([
  "node/dist/.tsbuildinfo",
  "restante/dist/.tsbuildinfo",
  "bazaar/dist/b.tsbuildinfo",
  "client/dist/.tsbuildinfo",
])("it is taken until something is compiled that it is made of: %s", (record) => {
  file("node/program/run.js", 2000);
  file(record, 1000);
  expect(bundled(root())).toBeDefined();
  file(record, 2000);
  expect(bundled(root())).toBeUndefined();
});
