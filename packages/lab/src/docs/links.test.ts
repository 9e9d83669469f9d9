/** Every link of every page leads somewhere: to a file that is there, and to a heading that it has. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../../..", import.meta.url));
const PUBLISHED = ["restante", "node", "client", "bazaar"].map((name) => join("packages", name));
const FOLDERS = ["", "docs", "docs/decisions", "protocol", "packages/lab/results", ...PUBLISHED];
const PAGES = FOLDERS.flatMap((folder) =>
  readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith(".md"))
    .map((name) => join(folder, name)),
);

/** Without what stands as an example. */
function prose(page: string): string {
  return readFileSync(join(ROOT, page), "utf8")
    .replaceAll(/^```[\s\S]*?^```$/gm, "")
    .replaceAll(/^ {4}.*$/gm, "")
    .replaceAll(/`[^`\n]*`/g, (code) => code.replaceAll(/[[\]()]/g, " "));
}

/** As forges make them of headings. */
function anchors(page: string): string[] {
  const text = readFileSync(join(ROOT, page), "utf8").replaceAll(/^```[\s\S]*?^```$/gm, "");
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(/\s/g, "-"),
  );
}

function links(page: string): string[] {
  return [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, to = ""]) => to).filter((to) => !/^[a-z]+:/.test(to));
}

test.each(PAGES)("the links of %s lead somewhere", (page) => {
  const dead = links(page).filter((to) => {
    const [path = "", anchor] = to.split("#");
    const target = path === "" ? page : relative(ROOT, join(ROOT, dirname(page), path));
    if (!existsSync(join(ROOT, target))) return true;
    return anchor !== undefined && target.endsWith(".md") && !anchors(target).includes(anchor);
  });
  expect(dead).toEqual([]);
});

test("a test that a page points to is there", () => {
  const tests = readdirSync(join(ROOT, "packages"), { recursive: true, encoding: "utf8" })
    .filter((name) => !name.includes("node_modules") && /\.test\.ts$/.test(name))
    .map((name) => basename(name));
  const pages = PAGES.filter((page) => page !== "CHANGELOG.md");
  const named = pages.flatMap((page) => [...readFileSync(join(ROOT, page), "utf8").matchAll(/([\w-]+\.test\.ts)/g)]);
  expect(named.length).toBeGreaterThan(5);
  expect(named.map(([, name = ""]) => name).filter((name) => !tests.includes(name))).toEqual([]);
});

test("every guide can be reached from the README, and every page of the protocol from its own", () => {
  for (const [index, folder] of [
    ["README.md", "docs"],
    ["protocol/README.md", "protocol"],
  ] as const) {
    const linked = links(index).map((to) => join(dirname(index), to.replace(/#.*/, "")));
    const pages = PAGES.filter((page) => dirname(page) === folder && page !== index);
    expect(pages.length).toBeGreaterThan(10);
    expect(pages.filter((page) => !linked.includes(page))).toEqual([]);
  }
});
