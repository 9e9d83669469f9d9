/** The commands of docs/cache.md and docs/cluster.md, as they stand there: those that need no root are run. */
import { type ChildProcess, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../bench/server-process.ts";
import { hasRedis } from "../cluster/servers.ts";
import { ended, startShell } from "./shell.ts";

const ROOT = fileURLToPath(new URL("../../../..", import.meta.url));
const CLI = join(ROOT, "packages/node/dist/cli/main.js");
const [CACHE, CLUSTER] = ["docs/cache.md", "docs/cluster.md"].map((page) => readFileSync(join(ROOT, page), "utf8")) as [
  string,
  string,
];
const [, UNIT = ""] = /```ini\n([\s\S]*?)```/.exec(CACHE) ?? [];
const isStrict = process.env["CI_STRICT"] === "1";
const hasSystemd = spawnSync("systemd-analyze", ["--version"]).status === 0;
let dir: string;
let home: string;
const running = new Set<ChildProcess>();

/** What each command is for the test. A command that is not listed here fails it. */
const COMMANDS: readonly (readonly [
  start: string,
  fate: "run" | "needs root" | "needs a cluster" | "needs a contact",
])[] = [
  ["sudo useradd", "needs root"], // operate.test.ts, with the next one
  ["sudo install", "needs root"],
  ["sudo -u restante restante serve --cache-only", "run"],
  ["curl -s http://127.0.0.1:9100/metrics", "run"],
  ["node --experimental-permission", "run"],
  ["restante serve --cache-only --cluster", "needs a cluster"], // cluster/operators.test.ts, with the last one
  ["restante cache serve on", "needs a contact"], // guides.test.ts, with the next three
  ["restante cache offer on", "needs a contact"],
  ["restante cache join alice", "needs a contact"],
  ["restante serve --cache-only --route", "needs a contact"],
  ["restante doctor --cluster", "run"],
  ["redis-cli -h REPLICA cluster failover", "needs a cluster"],
];

beforeAll(() => {
  if (!existsSync(CLI)) throw new Error("the program is not built: npm run build");
  dir = mkdtempSync(join(tmpdir(), "restante-operators-"));
  home = join(dir, "home");
  mkdirSync(home, { mode: 0o700 });
  // What is on the PATH of somebody who installed it.
  mkdirSync(join(dir, "bin"));
  writeFileSync(join(dir, "bin/restante"), `#!/bin/sh\nexec "${process.execPath}" "${CLI}" "$@"\n`);
  chmodSync(join(dir, "bin/restante"), 0o755);
});
afterAll(() => {
  for (const child of running) child.kill("SIGKILL");
  rmSync(dir, { recursive: true });
});

/** The commands of a page: indented blocks, and blocks of sh. */
function commands(page: string): string[] {
  const bare = page.replaceAll(/```(\w+)\n([\s\S]*?)```/g, (_, kind: string, text: string) =>
    kind === "sh" ? `\n    ${text.replaceAll(/\\\n\s*/g, "")}` : "",
  );
  return [...bare.matchAll(/^ {4}(\S.*)$/gm)]
    .map(([, line = ""]) => line.trim())
    .filter((line) => /^(sudo|restante|node|curl|redis-cli|systemctl|npm|apt|docker|echo)\b/.test(line));
}

function command(page: string, start: string): string {
  const found = commands(page).find((line) => line.startsWith(start));
  if (found === undefined) throw new Error(`there is no command "${start}" any more`);
  return found;
}

function line(name: string): string {
  const [, value] = new RegExp(`^${name}=(.*)$`, "m").exec(UNIT) ?? [];
  if (value === undefined) throw new Error(`the unit has no ${name}`);
  return value;
}

/** Says the command in the words of this machine: who runs it, where things are, and addresses that are free. */
function here(text: string, port = 0): string {
  const flag = process.allowedNodeEnvironmentFlags.has("--permission") ? "--permission" : "--experimental-permission";
  return text
    .replace(/^-/, "")
    .replace("sudo -u restante ", "")
    .replace("/usr/bin/restante", "restante")
    .replace("--experimental-permission", flag)
    .replaceAll("/opt/restante/node_modules/@restante/node/dist/cli/main.js", CLI)
    .replaceAll("=/opt/restante", `=${ROOT}`)
    .replaceAll("/var/lib/restante", home)
    .replaceAll("127.0.0.1:9100", `127.0.0.1:${port}`);
}

function shell(text: string): ChildProcess {
  const env = { ...process.env, PATH: `${join(dir, "bin")}:${process.env["PATH"]}` };
  return startShell(running, `exec ${text}`, { cwd: dir, env });
}

async function ends(text: string): Promise<{ code: number | null; out: string }> {
  const { code, all } = await ended(shell(text));
  return { code, out: all };
}

/** Starts a cache, and gives what it said when it was there. */
async function serves(text: string): Promise<{ child: ChildProcess; said: string }> {
  const child = shell(`${text} --host 127.0.0.1 --port 0`);
  let said = "";
  await new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr])
      stream?.on("data", (piece) => {
        said += piece;
        if (/link:\/\/\S+/.test(said)) resolve();
      });
    child.once("exit", (code) => reject(new Error(`it ended with ${code}: ${said}`)));
  });
  return { child, said };
}

test("every command of the two pages is run here, or it is said why not", () => {
  const all = [...commands(CACHE), ...commands(CLUSTER)];
  for (const text of all)
    expect(
      COMMANDS.filter(([start]) => text.startsWith(start)),
      text,
    ).toHaveLength(1);
  for (const [start] of COMMANDS)
    expect(
      all.filter((text) => text.startsWith(start)),
      start,
    ).toHaveLength(1);
});

describe("docs/cache.md", () => {
  test("a cache is made, looked at, served as its unit has it, and shows the totals that are worth an alarm", async () => {
    const init = await ends(here(command(CACHE, "sudo -u restante")));
    expect(init).toMatchObject({ code: 0, out: expect.stringMatching(/[a-z2-7]{52}/) });
    expect(readdirSync(home)).toEqual(["identity.json"]);
    const doctor = await ends(here(line("ExecStartPre")));
    expect([0, 1]).toContain(doctor.code);
    for (const check of ["swap", "core dumps", "home", "open files", "clock", "cryptography"])
      expect(doctor.out).toMatch(new RegExp(`^(good|note|bad) +${check} `, "m"));
    const port = await freePort();
    const { child } = await serves(here(line("ExecStart"), port));
    const metrics = await ends(here(command(CACHE, "curl"), port));
    expect(metrics.code).toBe(0);
    const alarms = [...CACHE.matchAll(/^\| `.*?(restante_\w+)/gm)].map(([, name]) => name);
    expect(alarms.length).toBeGreaterThan(2);
    for (const name of alarms) expect(metrics.out).toMatch(new RegExp(`^${name} `, "m"));
    child.kill();
    await once(child, "exit");
    expect(readdirSync(home)).toEqual(["identity.json"]);
  });

  test("it is served without any writable path", async () => {
    const init = await ends(here(command(CACHE, "sudo -u restante")));
    expect(init.code).toBe(0);
    const { child, said } = await serves(here(command(CACHE, "node")));
    expect(said).not.toContain("ERR_ACCESS_DENIED");
    child.kill();
    await once(child, "exit");
  });

  test.skipIf(!hasSystemd && !isStrict)("systemd knows every line of the unit", async () => {
    writeFileSync(join(dir, "restante.service"), UNIT.replaceAll("/usr/bin/restante", "/bin/true"));
    expect(hasSystemd).toBe(true);
    const { out } = await ends(`systemd-analyze verify ${join(dir, "restante.service")}`);
    expect(out.split("\n").filter((text) => text.includes("restante.service:"))).toEqual([]);
  });
});

describe("docs/cluster.md", () => {
  test.skipIf(!hasRedis() && !isStrict)(
    "a server with the settings of the page is one that the doctor finds nothing in",
    async () => {
      const [, settings = ""] = /On every server:\n\n((?: {4}.*\n)+)/.exec(CLUSTER) ?? [];
      expect(settings).toContain("cluster-enabled yes");
      const [port, bus] = [await freePort(), await freePort()];
      const own = `port ${port}\ncluster-port ${bus}\nbind 127.0.0.1\ndir ${dir}\n`;
      writeFileSync(join(dir, "redis.conf"), own + settings.replaceAll(/^ +/gm, ""));
      const server = shell(`redis-server ${join(dir, "redis.conf")}`);
      try {
        for await (const piece of server.stdout ?? []) if (String(piece).includes("Ready to accept")) break;
        const [example = ""] = /redis:\S+/.exec(command(CLUSTER, "restante doctor")) ?? [];
        const text = command(CLUSTER, "restante doctor").replace(example, `redis://127.0.0.1:${port}`);
        const { out, code } = await ends(text);
        for (const check of ["settings", "memory"]) expect(out).toMatch(new RegExp(`^good +${check} `, "m"));
        expect(out).toMatch(/^bad +cluster .*16384 of 16384 slots/m);
        expect(code).toBe(1);
      } finally {
        server.kill("SIGKILL");
      }
    },
  );
});
