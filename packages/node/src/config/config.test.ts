import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { forceOf, globalArgument, settingOptions } from "../cli/serving.ts";
import { createShell } from "../cli/shell.ts";
import { configPlace } from "../home.ts";
import { checkConfig, parseConfig, readConfig } from "./file.ts";
import { type Force, idleWhy, inForce, refuseContradiction, valuesOf } from "./force.ts";
import { toToml, type Value } from "./kinds.ts";
import { configInfo, exampleConfig, shownForce } from "./show.ts";
import { flagOf, NAMES, type Name, settingOf, variableOf } from "./table.ts";

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "restante-config-"));
  path = join(dir, "config.toml");
});
afterEach(() => rmSync(dir, { recursive: true }));

/** A value of each setting that is not what holds anyway. */
function other(name: Name): Value {
  const { fallback, example, kind } = settingOf(name);
  if (typeof fallback === "boolean") return !fallback;
  if (typeof fallback === "number") return kind.ofToml(fallback + 1) === undefined ? fallback - 1 : fallback + 1;
  if (name === "logLevel") return "warn";
  if (name === "logFormat") return "json";
  return example ?? "";
}

/** What a command line leads to, with this file beside it. */
async function run(args: readonly string[], toml = ""): Promise<Force> {
  writeFileSync(path, toml, { mode: 0o600 });
  const program = new Command().option("--config <file>").option("--passphrase-file <file>").exitOverride();
  program.option("--port <n>", "", globalArgument("port")).option("--host <address>", "", globalArgument("host"));
  let force: Force = [];
  settingOptions(program.command("serve"), "serve").action(async (_, command: Command) => {
    force = await forceOf(
      createShell(
        program,
        () => {},
        () => AbortSignal.abort(),
      ),
      command,
    );
  });
  await program.parseAsync(["--config", path, "serve", ...args], { from: "user" });
  return force;
}

const find = (force: Force, name: Name): Force[number] | undefined => force.find((it) => it.name === name);

/** As a line of the file, below its section. */
function toml(name: Name, value: Value): string {
  const { section, key } = settingOf(name);
  return `[${section}]\n${key} = ${toToml(value)}\n`;
}

/** As words of a command line, and as a variable. */
function words(name: Name, value: Value): string[] {
  const flag = flagOf(settingOf(name));
  if (typeof value === "boolean") return [value ? flag.replace("--no-", "--") : flag.replace(/^--(no-)?/, "--no-")];
  return [value].flat().flatMap((each) => [flag, String(each)]);
}

describe("each setting", () => {
  test.each(NAMES.map((name) => [name]))("%s means the same as a flag, as a variable and in the file", async (name) => {
    const value = other(name);
    const { fallback } = settingOf(name);
    const variable = variableOf(settingOf(name));
    const [word] = words(name, value);
    expect(find(await run(words(name, value)), name)).toEqual({ name, value, from: "flag", where: word });
    expect(find(inForce(new Map(), { [variable]: String(value) }, undefined), name)).toEqual({
      ...{ name, value, from: "environment", where: variable },
    });
    expect(find(await run([], toml(name, value)), name)).toEqual({ name, value, from: "file", where: `${path}:2` });
    expect(find(await run([]), name)).toEqual({ name, value: fallback, from: "default", where: undefined });
  });

  test.each([...NAMES])("a table in place of %s is refused, in words", (name) => {
    const { section, key } = settingOf(name);
    const { problems } = parseConfig("c.toml", `[${section}]\n${key}.w = 3\n`);
    expect(problems[0]).toMatch(/^c\.toml:\d/);
  });

  test.each(NAMES.map((name) => [name]))("%s is refused alike where it is none, saying what it must be", (name) => {
    const { kind, section, key } = settingOf(name);
    expect(kind.ofToml({})).toBeUndefined();
    expect(kind.ofToml("\n")).toBeUndefined();
    const { problems } = parseConfig("c.toml", `[${section}]\n\n${key} = 1979-05-27\n`);
    expect(problems).toEqual([`c.toml:3: [${section}] ${key}: must be ${kind.words}`]);
    expect(() => inForce(new Map(), { [variableOf(settingOf(name))]: "\t" }, undefined)).toThrow(
      `${variableOf(settingOf(name))} must be ${kind.words}`,
    );
  });

  test("is named once, in the table, in the file and in the environment", () => {
    const all = NAMES.map(settingOf);
    for (const names of [all.map(flagOf), all.map(variableOf), all.map(({ section, key }) => `${section}.${key}`)])
      expect(new Set(names).size).toBe(NAMES.length);
    for (const name of NAMES) {
      const words = flagOf(settingOf(name)).replace(/^--(no-)?/, "");
      expect(words.replace(/-(.)/g, (_, letter) => letter.toUpperCase())).toBe(name);
    }
  });
});

test("a flag goes before the environment, that before the file, also to take something back", async () => {
  const file = "[cache]\nserve = true\nmemory = 1\n[web]\nserve = 4300\n[node]\nadvertise = ['a:1', 'b:2']\n";
  const { file: parsed } = parseConfig(path, file);
  const env = { RESTANTE_MEMORY: "2", RESTANTE_WEB: "", RESTANTE_CACHE: "no" };
  const force = inForce(new Map([["memory", 3]]), env, parsed);
  expect(find(force, "memory")).toMatchObject({ value: 3, from: "flag" });
  expect(find(inForce(new Map(), env, parsed), "memory")).toMatchObject({ value: 2, from: "environment" });
  expect(find(force, "cache")).toMatchObject({ value: false, from: "environment" });
  expect(find(force, "web")).toMatchObject({ value: 4300, from: "file", where: `${path}:5` });
  const back = await run(["--no-cache", "--no-web", "--advertise", "c:3"], file);
  expect(valuesOf(back)).toEqual({ cache: false, web: false, advertise: ["c:3"] });
});

test("what is of no use is refused as a flag, and rests where it stands in the file or the environment", async () => {
  for (const args of [["--memory", "5", "--no-cache"], ["--route", "--no-cache"], ["--bazaar-push"]])
    await expect(run(args).then(refuseContradiction)).rejects.toMatchObject({ code: "bad-config" });
  const force = await run([], "[cache]\nserve = false\nmemory = 5\n[bazaar]\npush = true\n");
  refuseContradiction(force);
  expect(valuesOf(force)).toEqual({ cache: false });
  expect(idleWhy("memory", { cache: false })?.why).toBe("no cache is served");
  expect(shownForce(configInfo(force)).join("\n")).toMatch(
    /memory = 5 .*config\.toml:3, of no use: no cache is served$/m,
  );
  // Nobody says whether there is a cache: then its user may, and it has this room. A cluster is for one from the start.
  expect(valuesOf(await run(["--memory", "5", "--route"]))).toEqual({ memory: 5, route: true });
  await expect(run(["--cluster", "redis://h:1"]).then(refuseContradiction)).rejects.toMatchObject({
    code: "bad-config",
  });
  expect(valuesOf(await run(["--cache"], "[cache]\nmemory = 5\n"))).toEqual({ cache: true, memory: 5 });
});

test("what cannot hold together is refused with both places", async () => {
  const force = await run(["--cache-only"], "[web]\nserve = true\n");
  expect(() => refuseContradiction(force)).toThrow(
    `--cache-only: a cache alone has no mail; take out [web] serve (${path}:2)`,
  );
});

describe("a file", () => {
  test.each<[toml: string, says: string]>([
    ["[cache]\nmemory = 'much'", "c.toml:2: [cache] memory: must be a number of MiB, 1 or more"],
    ["[cache]\nmemory = 1.5", "c.toml:2: [cache] memory: must be a number of MiB, 1 or more"],
    ["\n[cache]\nmemry = 5", "c.toml:3: [cache] memry: there is no such key; did you mean memory?"],
    ["[node]\nmemory = 5", "c.toml:2: [node] memory: there is no such key; it goes below [cache]"],
    ["[node]\nxyzzy = 5", "c.toml:2: [node] xyzzy: there is no such key; `config example` shows all"],
    ["[chace]\nmemory = 5", "c.toml:1: there is no section [chace]; did you mean [cache]?"],
    ["memory = 5", "c.toml:1: memory stands before any section: it goes below [cache]"],
    ["cache = 5", "c.toml:1: cache is a section: write [cache] in a line of its own"],
    ["[[cache]]\nmemory = 5", "c.toml:1: cache is a section: write [cache] in a line of its own"],
    ["# one\nport = [", "c.toml:2: this is no TOML: "],
    ["[node]\nport = 1\nport = 2", "c.toml:3: this is no TOML: "],
    ["[log]\nlevel = 'loud'", 'c.toml:2: [log] level: must be "error", "warn", "info" or "debug"'],
    ["[node]\nadvertise = ['a']", 'c.toml:2: [node] advertise: must be a list, each "host:port" or "[IPv6]:port"'],
    ['[node]\nname = "a\\u202Eb"', "c.toml:2: [node] name: must be a name of 1 to 64 characters in one line"],
    ["['__proto__']\nx = 1", "c.toml:1: there is no section [__proto__]"],
    ["['a\u001b']\nx = 1", "c.toml:1: this is no TOML: "],
    ["cache.memory = 0", "c.toml:1: [cache] memory: must be a number of MiB, 1 or more"],
    ["cache = { memory = 0 }", "c.toml:1: [cache] memory: must be a number of MiB, 1 or more"],
    [
      "[cache]\ncluster = 'redis://:secret@h:1'",
      "c.toml:2: [cache] cluster: must be a list, each redis://host:port, or rediss://; its password goes into cluster_password_file",
    ],
  ])("%j is refused with its line", (text, says) => {
    const { problems } = parseConfig("c.toml", text);
    expect(problems).toEqual([expect.stringContaining(says)]);
    expect(problems[0]).toMatch(/^c\.toml:\d+: [^\n]+$/);
  });

  test("all that is wrong is said, in the order of the lines; to start, the first of it", () => {
    writeFileSync(path, "[mail]\ncopies = 9\n[node]\nport = 1\nhots = 'x'\n[log]\nlevel = 3\n", { mode: 0o600 });
    const { problems } = checkConfig(path);
    expect(problems.map((each) => each.replace(/:.*/s, ""))).toHaveLength(3);
    expect(problems.map((each) => /:(\d+): /.exec(each)?.[1])).toEqual(["2", "5", "7"]);
    expect(() => readConfig({ path, must: true })).toThrow(/:2: \[mail\] copies: .*; and 2 more: `config check` lists/);
  });

  test("that others may write is refused; that they may read is not: no secret stands there", () => {
    writeFileSync(path, "[node]\nport = 1\n", { mode: 0o600 });
    for (const mode of [0o620, 0o602]) {
      chmodSync(path, mode);
      expect(() => readConfig({ path, must: true })).toThrow(/other users can write .*; forbid it with: chmod go-w/);
    }
    chmodSync(path, 0o644);
    expect(readConfig({ path, must: true })?.said.get("port")).toEqual({ value: 1, line: 2 });
  });

  test("has to be there when it is named, and is looked for in the home that is named, else where XDG says", () => {
    expect(readConfig(configPlace(undefined, dir, {}))).toBeUndefined();
    expect(() => readConfig(configPlace(path, dir, {}))).toThrow(`there is no file "${path}"`);
    expect(configPlace(undefined, "/h", {}).path).toBe("/h/config.toml");
    expect(configPlace(undefined, undefined, { XDG_CONFIG_HOME: "/x" }).path).toBe("/x/restante/config.toml");
    expect(configPlace(undefined, undefined, { XDG_CONFIG_HOME: "x" }).path).toMatch(
      /\.config\/restante\/config.toml$/,
    );
  });

  test("of any text has values or lines of what is wrong, and never throws", () => {
    const keys = NAMES.map(settingOf).map(({ section, key }) => `[${section}]\n${key} = `);
    const piece = fc.oneof(
      fc.constantFrom(...keys, "true", "4242", "'x'", "[", "]", "=", "\n", '"""', "{"),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const { file, problems } = parseConfig("c", pieces.join(""));
        for (const [name, { value, line }] of file.said) {
          expect(settingOf(name).kind.ofToml(value)).toEqual(value);
          expect(line).toBeGreaterThan(0);
        }
        for (const problem of problems) expect(problem).toMatch(/^c:\d+: [^\n]{1,400}$/);
      }),
    );
  });
});

describe("the example", () => {
  test("says nothing as it stands, and is right with every setting taken out of its comment", () => {
    const example = exampleConfig();
    expect(parseConfig("c", example)).toEqual({ file: { path: "c", said: new Map() }, problems: [] });
    const { file, problems } = parseConfig("c", example.replace(/^#(?=\w+ = )/gm, ""));
    expect(problems).toEqual([]);
    expect([...file.said.keys()].sort()).toEqual([...NAMES].sort());
    for (const [name, { value }] of file.said)
      expect(value).toEqual(settingOf(name).fallback ?? settingOf(name).example);
  });

  test("stands in docs/config.md as `config example` prints it", () => {
    const page = readFileSync(fileURLToPath(new URL("../../../../docs/config.md", import.meta.url)), "utf8");
    const [, shown = ""] = /```toml\n(# Settings[\s\S]*?)```/.exec(page) ?? [];
    expect(shown).toBe(exampleConfig());
  });
});

test("what `config show` prints is a file that says the same", async () => {
  const force = await run(
    ["--cache", "--memory", "7", "--web", "4300", "--log-level", "warn"],
    "[node]\nname = 'an\"na'\nadvertise = ['a:1']\n",
  );
  const { file, problems } = parseConfig("c", shownForce(configInfo(force)).join("\n"));
  expect(problems).toEqual([]);
  for (const { name, value } of force) expect(file.said.get(name)?.value).toEqual(value);
});

test("no secret is shown of an address that has one", () => {
  const force = inForce(new Map(), { RESTANTE_CACHE: "1", RESTANTE_CLUSTER: "redis://u:secret@h:1" }, undefined);
  expect(valuesOf(force).cluster).toEqual(["redis://u:secret@h:1"]);
  expect(JSON.stringify(configInfo(force))).not.toContain("secret");
});
