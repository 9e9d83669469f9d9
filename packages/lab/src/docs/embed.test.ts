/** The programs of docs/embed.md print what the page says; those of processes of their own are run by processes.test.ts. */
import { execFile } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../../..", import.meta.url));
const PAGE = readFileSync(join(ROOT, "docs/embed.md"), "utf8");
const OTHERS = ["receive.mjs", "send.mjs"];
const PROGRAMS = [...PAGE.matchAll(/^`(\w+\.mjs)`[\s\S]*?```js\n([\s\S]*?)```\n(?:\n```text\n([\s\S]*?)```)?/gm)]
  .map(([, file = "", code = "", printed = ""]) => ({ file, code, printed }))
  .filter(({ file }) => !OTHERS.includes(file));
let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "restante-embed-"));
  symlinkSync(join(ROOT, "node_modules"), join(dir, "node_modules"));
  copyFileSync(join(ROOT, "package.json"), join(dir, "package.json"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test("every program of the page is one of these", () => {
  expect(PROGRAMS.map(({ file }) => file)).toEqual(["two.mjs", "later.mjs", "file.mjs", "chess.mjs", "week.mjs"]);
  expect(PAGE.match(/```js/g)).toHaveLength(PROGRAMS.length + OTHERS.length);
});

test.each(PROGRAMS)("$file prints what the page says", async ({ file, code, printed }) => {
  writeFileSync(join(dir, file), code);
  const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd: dir });
  expect(stdout).toBe(printed);
});
