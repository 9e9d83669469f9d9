/** The README of each published package: its program prints what it says, as it stands there, and what it calls an import is one. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Daemon, startDaemon } from "@restante/node";
import { afterAll, beforeAll, expect, test } from "vitest";

const PACKAGES = fileURLToPath(new URL("../../..", import.meta.url));
const FOLDERS = ["restante", "node", "client", "bazaar"];
const readme = (folder: string): string => readFileSync(join(PACKAGES, folder, "README.md"), "utf8");

let dir: string;
let daemon: Daemon;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "restante-packages-"));
  symlinkSync(join(PACKAGES, "../node_modules"), join(dir, "node_modules"));
  const home = join(dir, ".local/state/restante");
  daemon = await startDaemon({ home, name: "bob", host: "127.0.0.1", port: 0 });
});
afterAll(async () => {
  await daemon.close();
  rmSync(dir, { recursive: true, force: true });
});

test.each(FOLDERS)("the program in the README of %s prints what it says", async (folder) => {
  const [, code = "", printed = ""] = /```js\n([\s\S]*?)```\n\n```text\n([\s\S]*?)```/.exec(readme(folder)) ?? [];
  expect(code).toContain("import ");
  writeFileSync(join(dir, `${folder}.mjs`), code);
  const env = { ...process.env, HOME: dir };
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [`${folder}.mjs`], { cwd: dir, env });
  expect(stdout, stderr).toBe(printed);
});

test.each(FOLDERS)(
  "the README of %s names the package, and the entry points that it tables are those that it has",
  (folder) => {
    const { name, exports } = JSON.parse(readFileSync(join(PACKAGES, folder, "package.json"), "utf8")) as {
      readonly name: string;
      readonly exports: Readonly<Record<string, unknown>>;
    };
    const page = readme(folder);
    expect(page.split("\n")[0]).toBe(`# ${name}`);
    const tabled = [...page.matchAll(/^\| `([^`]+)` \|/gm)].map(([, entry = ""]) => entry);
    if (tabled.length > 0) expect(tabled).toEqual(Object.keys(exports).map((path) => join(name, path)));
  },
);
