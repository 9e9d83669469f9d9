/**
 * Every `npm ...` of every page, in a block or within a sentence: the script is there, and its tool (tools.ts) takes what follows
 * `--`. The tools themselves are run by their own tests, with less to do: all of the benches, mutants and seeds of the pages are hours.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseTool, type Tool } from "../command-line.ts";
import * as tools from "../tools.ts";
import { page, ROOT } from "./page.ts";

const TOOLS: ReadonlyMap<string, Tool<string>> = new Map(Object.values(tools).map((tool) => [tool.name, tool]));
const scriptsOf = (folder: string): Readonly<Record<string, string>> =>
  (JSON.parse(page(join(folder, "package.json"))) as { scripts?: Record<string, string> }).scripts ?? {};
const FOLDERS = readdirSync(join(ROOT, "packages")).map((name) => join("packages", name));
const FOLDER_OF = new Map(
  FOLDERS.map((folder) => [JSON.parse(page(join(folder, "package.json"))).name as string, folder]),
);
const pagesOf = (folder: string): string[] =>
  readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith(".md") && name !== "CHANGELOG.md")
    .map((name) => join(folder, name));
const PAGES = ["", "docs", "docs/decisions", "protocol", ...FOLDERS].flatMap(pagesOf);

/** What a page has somebody type for npm, up to the end of the line, of the code or of what is said beside it. */
function typed(text: string): string[] {
  const inline = [...text.matchAll(/`(npm [^`]*)`/g)];
  const lines = [...text.matchAll(/^ {4}(?:alias \w+=')?(npm \S.*?)(?:'| {2,}.*)?$/gm)];
  const others = [...text.matchAll(/&& (npm [\w ./@-]*?)(?= &&|$)/gm)];
  return [...inline, ...lines, ...others].map(([, command = ""]) =>
    command.replaceAll(/\s+/g, " ").replace(/ [|>] .*/, ""),
  );
}

/** Says what is wrong with it; nothing when it can be typed so. */
function wrongWith(command: string): string | undefined {
  const [, action = "", rest = ""] = /^npm (?:-s )?(\S+) ?(.*)$/.exec(command) ?? [];
  if (["test", "start"].includes(action)) return scriptsOf("")[action] === undefined ? "no such script" : undefined;
  if (["ci", "install", "pack"].includes(action)) {
    const folder = /(?:^| )(\.\/\S+)/.exec(rest)?.[1];
    const workspace = /--workspace (\S+)/.exec(rest)?.[1];
    if (folder !== undefined && !existsSync(join(ROOT, folder))) return "no such folder";
    return workspace !== undefined && !FOLDER_OF.has(workspace) ? "no such workspace" : undefined;
  }
  if (action !== "run") return "not a command of npm that these pages use";
  const [, name = "", workspace, args = ""] =
    /^(?:-s )?([\w:]+)(?: --workspace (\S+))?(?: -- ?(.*))?$/.exec(rest) ?? [];
  const folder = workspace === undefined ? "" : FOLDER_OF.get(workspace);
  if (folder === undefined) return "no such workspace";
  if (scriptsOf(folder)[name] === undefined) return "no such script";
  if (args === "") return undefined;
  if (name === "restante") return undefined; // snippets.test.ts, of all that is said of restante
  const tool = TOOLS.get(name);
  if (tool === undefined) return "not a tool that takes something";
  if (args === "--help") return undefined;
  try {
    parseTool(tool, args.split(" "));
    return undefined;
  } catch (error) {
    return String(error);
  }
}

test("what cannot be typed is seen", () => {
  for (const command of ["npm run frob", "npm run fuzz -- --frob", "npm frob", "npm run shots --workspace @restante/x"])
    expect(wrongWith(command), command).toBeDefined();
  expect(typed("    npm run -s bench -- e3x.3a      what has this\n")).toEqual(["npm run -s bench -- e3x.3a"]);
});

test.each(PAGES)("what %s says of npm can be typed", (name) => {
  for (const command of typed(page(name))) expect(wrongWith(command), command).toBeUndefined();
});

test("there is much of it", () => {
  expect(PAGES.flatMap((name) => typed(page(name))).length).toBeGreaterThan(60);
});
