/** What stands in deploy/: units that systemd takes, an image that has all that runs, options that there are. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../../..", import.meta.url));
const CLI = join(ROOT, "packages/node/dist/cli/main.js");
const text = (name: string): string => readFileSync(join(ROOT, name), "utf8");
const UNITS = readdirSync(join(ROOT, "deploy")).filter((name) => name.endsWith(".service"));
const hasSystemd = spawnSync("systemd-analyze", ["--version"]).status === 0;

/** Options by the help of a command, or of the whole program. */
function optionsOf(...args: readonly string[]): string[] {
  const { stdout } = spawnSync(process.execPath, [CLI, ...args], { encoding: "utf8" });
  return [...stdout.matchAll(/^ +(?:-\w, )?(--[a-z-]+)/gm)].map(([, option = ""]) => option);
}

/** "restante COMMAND --option ..." wherever it stands in a text: what is called, and with what. */
function calls(page: string): { command: string; options: string[] }[] {
  const found = page.matchAll(/^(?!#).*?restante((?: --home \S+)?) (serve|status|doctor|web)\b([^`|>&\n]*)/gm);
  return [...found].map(([, before = "", command = "", after = ""]) => ({
    command,
    options: [...`${before} ${after}`.matchAll(/(?<= )--[a-z-]+/g)].map(([option]) => option),
  }));
}

test("the commands in units, image and guide are ones that there are, with options that they have", () => {
  const pages = [...UNITS.map((name) => `deploy/${name}`), "deploy/Dockerfile", "docs/operate.md"];
  const all = pages.map((page) => ({ page, of: calls(text(page)) }));
  for (const { page, of } of all) expect(of.length, page).toBeGreaterThan(0);
  const ofAll = optionsOf("--help");
  const ofServe = optionsOf("help", "serve");
  for (const { page, of } of all)
    for (const { command, options } of of)
      for (const option of options)
        expect(command === "serve" ? [...ofAll, ...ofServe] : ofAll, `${page}: ${command}`).toContain(option);
});

test("the unit of docs/cache.md is the one that is delivered", () => {
  const [, unit] = /```ini\n([\s\S]*?)```/.exec(text("docs/cache.md")) ?? [];
  expect(unit).toBe(text("deploy/restante-cache.service"));
});

test("each unit keeps memory off the disk, gives it time to stop, and does not repeat what was refused", () => {
  expect(UNITS.length).toBe(3);
  for (const name of UNITS)
    for (const line of ["MemorySwapMax=0", "LimitCORE=0", "NoNewPrivileges=yes", "RestartPreventExitStatus=2 5"])
      expect(text(`deploy/${name}`).split("\n"), name).toContain(line);
});

test.skipIf(!hasSystemd && process.env["CI_STRICT"] !== "1")(
  "systemd knows every line of the units, and finds little that they could do",
  () => {
    const dir = mkdtempSync(join(tmpdir(), "restante-units-"));
    try {
      for (const name of UNITS) {
        const file = join(dir, name);
        writeFileSync(file, text(`deploy/${name}`).replaceAll("/usr/bin/restante", "/bin/true"));
        if (name === "restante.service") {
          // As docs/identity.md adds a passphrase to it.
          const [, more = ""] = /```ini\n([\s\S]*?)```/.exec(text("docs/identity.md")) ?? [];
          expect(more).toContain("LoadCredentialEncrypted=restante-passphrase:");
          mkdirSync(`${file}.d`);
          writeFileSync(join(`${file}.d`, "passphrase.conf"), more);
        }
        const scope = name.includes("user") ? "--user" : "--system";
        const verified = spawnSync("systemd-analyze", ["verify", scope, file], { encoding: "utf8" });
        expect(verified.error).toBeUndefined();
        const said = verified.stderr.split("\n");
        expect(said.filter((line) => line.includes(name) || line.includes("passphrase.conf"))).toEqual([]);
        if (scope === "--user") continue;
        // 0: can do nothing, 100: all. It is what the tool calls "OK".
        const judged = spawnSync("systemd-analyze", ["security", "--offline=true", "--threshold=25", file]);
        expect(judged.status, name).toBe(0);
      }
    } finally {
      rmSync(dir, { recursive: true });
    }
  },
);

test("the image has every package that runs, and none runs as root", () => {
  const dockerfile = text("deploy/Dockerfile");
  const packages = new Map(
    readdirSync(join(ROOT, "packages")).map((folder) => {
      const { name, dependencies = {} } = JSON.parse(text(`packages/${folder}/package.json`));
      return [name as string, { folder, needs: Object.keys(dependencies) }];
    }),
  );
  const needed = new Set(["@restante/node"]);
  for (const name of needed)
    for (const each of packages.get(name)?.needs ?? []) if (packages.has(each)) needed.add(each);
  expect(needed.size).toBeGreaterThan(2);
  for (const name of needed) {
    expect(dockerfile).toContain(`COPY --from=build /src/packages/${packages.get(name)?.folder} `);
    expect(dockerfile).toMatch(new RegExp(`--workspace ${name}(\\s|$)`, "m"));
  }
  expect([...dockerfile.matchAll(/^USER (.*)$/gm)].at(-1)?.[1]).toBe("node");
  const [, major = ""] = /^FROM node:(\d+)-slim$/m.exec(dockerfile) ?? [];
  expect(Number(major)).toBeGreaterThanOrEqual(20);
  // What was built here is built anew there: for its system, and of what is copied.
  const left = text("deploy/Dockerfile.dockerignore").split("\n");
  for (const made of ["**/dist", "**/node_modules", "packages/node/program", "packages/node/web"])
    expect(left).toContain(made);
});
