import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { helpOf, Misuse, parseTool, type Tool } from "./command-line.ts";
import * as tools from "./tools.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { scripts: Record<string, string> };
const TOOLS: readonly (readonly [name: string, tool: Tool<string>])[] = Object.values(tools).map((tool) => [
  tool.name,
  tool,
]);

describe.each(TOOLS)("%s", (name, tool) => {
  test("has a help with purpose, usage, options, examples and exit codes, for a terminal of 80 columns", () => {
    const help = helpOf(tool);
    expect(help.startsWith(`Usage: npm run -s ${name} -- [options]`)).toBe(true);
    for (const part of ["\n\nOptions:\n", "\n\nExamples:\n", "\n\nExit codes: 0 "]) expect(help).toContain(part);
    for (const [option, { isHidden, text: words }] of Object.entries(tool.options)) {
      expect(help.includes(`\n  --${option} `)).toBe(isHidden !== true);
      expect(help.includes(words.split(" ").slice(0, 3).join(" "))).toBe(isHidden !== true);
    }
    for (const line of help.split("\n")) expect(line.length, line).toBeLessThanOrEqual(80);
  });

  test("takes its own examples", () => {
    expect(tool.examples.length).toBeGreaterThan(0);
    for (const [example] of tool.examples) {
      const args = example.replace(/ > .*/, "").split(" ");
      expect(() =>
        parseTool(
          tool,
          args.filter((arg) => arg !== ""),
        ),
      ).not.toThrow();
    }
  });

  test("as a program: --help is no failure, and what it does not know is told in one line", async () => {
    const script = /node (packages\/lab\/dist\/\S+)$/.exec(scripts[name] ?? "")?.[1] ?? "no such script";
    if (!existsSync(join(ROOT, script))) throw new Error("the tools are not built: npm run build");
    const run = async (...args: readonly string[]) => {
      const child = spawn(process.execPath, [script, ...args], { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
      const exit = new Promise<number | null>((resolve) => child.on("exit", resolve));
      return { out: await text(child.stdout), err: await text(child.stderr), code: await exit };
    };
    expect(await run("--help")).toEqual({ out: helpOf(tool), err: "", code: 0 });
    expect(await run("--frob")).toEqual({
      out: "",
      err: `${name}: unknown option '--frob'; see npm run -s ${name} -- --help\n`,
      code: 2,
    });
  });
});

const TOOL: Tool<"many" | "n" | "p" | "flag"> = {
  name: "tool",
  purpose: "Is tried.",
  operands: "[FILE...]",
  options: {
    many: { value: "X", text: "more than one", isRepeatable: true },
    n: { value: "N", text: "a whole number" },
    p: { value: "P", text: "a share" },
    flag: { text: "a flag" },
  },
  examples: [],
  exits: "0 done",
};

test("options, flags and operands are found wherever they stand", () => {
  const asked = parseTool(TOOL, ["a", "--many", "1", "--n=7", "b", "--many", "2", "--p", ".25", "--flag", "--", "-c"]);
  expect(asked.operands).toEqual(["a", "b", "-c"]);
  expect(asked.all("many")).toEqual(["1", "2"]);
  expect([asked.whole("n", 0, 7), asked.number("p", 0, 1), asked.has("flag")]).toEqual([7, 0.25, true]);
  const nothing = parseTool(TOOL, []);
  expect([nothing.text("n"), nothing.whole("n", 0, 7), nothing.all("many"), nothing.has("flag")]).toEqual([
    undefined,
    undefined,
    [],
    false,
  ]);
});

test.each([
  [["--n", "8"], 'from 0 to 7, not "8"'],
  [["--n", "1e0"], 'not "1e0"'],
  [["--n", ""], 'not ""'],
  [["--p", "."], 'not "."'],
  [["--p", "2"], "from 0 to 1"],
  [["--n", "1", "--n", "2"], "--n stands there more than once"],
  [["--flag=1"], "does not take an argument"],
  [["--n"], "argument missing"],
  [["--constructor"], "unknown option '--constructor'"],
])("%j is refused", (args, why) => {
  const read = () => {
    const asked = parseTool(TOOL, args);
    asked.whole("n", 0, 7);
    asked.number("p", 0, 1);
  };
  expect(read).toThrow(Misuse);
  expect(read).toThrow(why);
});
