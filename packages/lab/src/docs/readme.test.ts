/** The README's first screen. Its walk is run by walk.test.ts, and what it names is looked for by links.test.ts, snippets.test.ts and tools.test.ts. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../../..", import.meta.url));
const README = readFileSync(join(ROOT, "README.md"), "utf8");

test("the first screen has a picture, one command, and a way for each of the four who come", () => {
  const screen = README.split("\n").slice(0, 32).join("\n");
  expect(screen.match(/^!\[.+\]\(docs\/.*\)$/gm)).toHaveLength(1);
  expect(screen.match(/^ {4}\S.*$/gm)).toEqual(["    git clone … && cd restante && npm start"]);
  // From then on it is what each run of `npm test` begins with, and what scripts.test.ts starts.
  const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    scripts: Record<string, string>;
  };
  expect(scripts["prestart"]).toBe(scripts["pretest"]);
  expect(scripts["start"]).toBe("node packages/node/dist/cli/main.js start");
  for (const guide of ["web", "operate", "scripts", "embed"]) expect(screen).toContain(`(docs/${guide}.md)`);
});
