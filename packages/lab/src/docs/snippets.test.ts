/**
 * The commands of the guides that have no test of their own: run here, in a home that is the default one of somebody, or it is said
 * where they are run, or why nowhere. Whatever a page says of `restante` is a command and options that there are.
 */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { page, ROOT } from "./page.ts";
import { ended, homeOf, startShell } from "./shell.ts";

const CLI = join(ROOT, "packages/node/dist/cli/main.js");

type Fate = "run" | { in: string };
const OPERATE = { in: "packages/lab/src/docs/operate.test.ts" };
const DEPLOY = { in: "packages/lab/src/docs/deploy.test.ts" };

/**
 * What each command of a page is for the test. One that is not listed here fails it. docs/cli.md, cache.md, identity.md, store.md and
 * bazaar.md: guides.test.ts; docs/cluster.md: operators.test.ts; docs/scripts.md: scripts.test.ts. Docker is nowhere: deploy.test.ts
 * looks at what an image and its options need.
 */
const COMMANDS: Readonly<Record<string, readonly (readonly [start: string, fate: Fate])[]>> = {
  "docs/operate.md": [
    ["git clone RESTANTE", OPERATE],
    ["ln -s /opt/restante", OPERATE],
    ["useradd", OPERATE],
    ["install -d", OPERATE],
    ["sudo -u restante", OPERATE],
    ["ufw allow", OPERATE],
    ["cp deploy/restante-cache.service", OPERATE],
    ["journalctl", OPERATE],
    ["mkdir -p ~/.config/systemd/user", OPERATE],
    ["systemctl --user", OPERATE],
    ["loginctl", OPERATE],
    ["restante web", "run"],
    ["grep -E", OPERATE],
    ["docker build", DEPLOY],
    ["docker run", DEPLOY],
    ["docker exec", DEPLOY],
  ],
  "docs/config.md": [
    ["restante serve --copies", "run"],
    ["RESTANTE_COPIES=3", "run"],
    ["restante config example", "run"],
    ["restante config check", "run"],
    ["restante config show --cache", "run"],
    ["restante config show --running", "run"],
    ["restante config show ", { in: "packages/node/src/cli/config.test.ts" }],
  ],
  "docs/web.md": [
    ["restante web password", "run"],
    ["restante web ", { in: "packages/lab/src/docs/snippets.test.ts" }], // as docs/operate.md has it
    ["restante serve --web-host", "run"],
  ],
  "docs/api.md": [
    ["curl --unix-socket ~/.local/state/restante/sock http://localhost/v1/status", "run"],
    ["curl --unix-socket ~/.local/state/restante/sock http://localhost/v1/webhooks", "run"],
    ["curl -H", "run"],
  ],
};

let dir: string;
const running = new Set<ChildProcess>();

beforeAll(() => {
  if (!existsSync(CLI)) throw new Error("the program is not built: npm run build");
  dir = mkdtempSync(join(tmpdir(), "restante-snippets-"));
  for (const folder of ["bin", ".config", ".config/restante"]) mkdirSync(join(dir, folder));
  writeFileSync(join(dir, "bin/restante"), `#!/bin/sh\nexec "${process.execPath}" "${CLI}" "$@"\n`);
  chmodSync(join(dir, "bin/restante"), 0o755);
  writeFileSync(join(dir, "words"), "correct horse battery staple\n", { mode: 0o600 });
});
afterAll(async () => {
  for (const child of running) child.kill("SIGKILL");
  rmSync(dir, { recursive: true, force: true });
});

/** The commands of a page: indented blocks and blocks of sh, without what is said beside them. */
function commands(text: string): string[] {
  const bare = text.replaceAll(/```(\w+)\n([\s\S]*?)```/g, (_, kind: string, code: string) =>
    kind === "sh" ? code.replaceAll(/^/gm, "    ") : "",
  );
  return [...bare.replaceAll(/\\\n\s*/g, "").matchAll(/^ {4}(\S.*)$/gm)]
    .map(([, line = ""]) => line.replace(/(?: {2,}| # ).*$/, "").trim())
    .filter((line) => /^(?:[A-Z_]+=\S+ )?[a-z]+ \S/.test(line) && !/^npm |^\S+:/.test(line));
}

function command(name: string, start: string): string {
  const found = commands(page(name)).find((line) => line.startsWith(start.trimEnd()));
  if (found === undefined) throw new Error(`${name} has no command "${start}" any more`);
  return found;
}

function shell(text: string): ChildProcess {
  return startShell(running, text, { cwd: dir, env: homeOf(dir) });
}

function ends(text: string): ReturnType<typeof ended> {
  return ended(shell(text));
}

test("every command of these pages is run here, or it is said where, or why nowhere", () => {
  for (const [name, fates] of Object.entries(COMMANDS)) {
    const all = commands(page(name));
    const fateOf = (text: string) => fates.find(([start]) => text.startsWith(start.trimEnd()));
    for (const text of all) expect(fateOf(text), `${name}: ${text}`).toBeDefined();
    for (const [start, fate] of fates) {
      expect(all.filter((text) => fateOf(text)?.[0] === start).length, `${name}: ${start}`).toBeGreaterThan(0);
      if (typeof fate === "object") expect(existsSync(join(ROOT, fate.in)), fate.in).toBe(true);
    }
  }
});

test("every option that a page gives to restante is one that the program says it has", () => {
  const known = new Set([...page("docs/cli.md").matchAll(/`(?:-\w, )?(--[a-z-]+)/g)].map(([, option]) => option));
  const ofAll = new Set(["--home", "--identity", "--json", "--host", "--port", "--config", "--help", "--version"]);
  const guides = readdirSync(join(ROOT, "docs")).filter((name) => name.endsWith(".md"));
  for (const name of ["README.md", ...guides.map((guide) => `docs/${guide}`)])
    for (const text of commands(page(name)).filter(
      (line) => /(?:^|[|\s])restante\s/.test(line) && !line.startsWith("docker"),
    ))
      for (const [, option = ""] of text.replace(/^.*?\brestante /, "").matchAll(/(?:^| )(--[a-z-]+)/g))
        if (!ofAll.has(option) && !text.includes(` -- ${option}`))
          expect([...known], `${name}: ${text}`).toContain(option);
});

test("docs/config.md: an example that is right, what it would use, and what is wrong, in the page's words", async () => {
  const name = "docs/config.md";
  const file = join(dir, ".config/restante/config.toml");
  const made = await ends(`${command(name, "restante config example")} && ${command(name, "restante config check")}`);
  expect(made).toMatchObject({ code: 0 });
  for (const start of ["restante serve --copies", "RESTANTE_COPIES=3"]) {
    const shown = await ends(command(name, start).replace("serve", "config show"));
    expect(shown.out).toMatch(/copies\s.*3\b.*(?:--|RESTANTE_)(?:copies|COPIES)/);
  }
  const { out } = await ends(command(name, "restante config show --cache"));
  expect(out).toMatch(/memory\s.*9\b.*--memory/);
  const wrong = [...page(name).matchAll(/^ {4}(config.toml:\d+: .*)$/gm)].map(([, line]) => line);
  expect(wrong).toHaveLength(2);
  writeFileSync(file, `${"\n".repeat(10)}[cache]\nmemory = "much"\nmemry = 9\n`);
  const { out: said, code } = await ends(command(name, "restante config check"));
  expect(code).toBe(2);
  expect(said.replaceAll(file, "config.toml").trim().split("\n")).toEqual(wrong);
  rmSync(file);
});

test("docs/web.md and docs/api.md: a page for others, the token, the socket, a webhook", async () => {
  const set = await ends(`${command("docs/web.md", "restante web password")} < words`);
  expect(set).toMatchObject({ code: 0 });
  const node = shell(`exec ${command("docs/web.md", "restante serve")} --web 0 --host 127.0.0.1 --port 0`);
  await new Promise<void>((resolve, reject) => {
    let said = "";
    for (const stream of [node.stdout, node.stderr])
      stream?.on("data", (piece) => {
        said += piece;
        if (/https:\/\/nas\.example\.org:\d+/.test(said)) resolve();
      });
    node.once("exit", (code) => reject(new Error(`it ended with ${code}: ${said}`)));
  });
  const link = await ends(command("docs/operate.md", "restante web"));
  expect(link).toMatchObject({ code: 0, out: expect.stringMatching(/^https:\/\/nas\.example\.org:\d+\/#\S+$/m) });
  const used = await ends(command("docs/config.md", "restante config show --running"));
  expect(used).toMatchObject({ code: 0, out: expect.stringContaining("nas.example.org") });
  const at = new URL(link.out.trim());
  // Here the page is for others, so with TLS, by a certificate that nobody vouches for.
  const byToken = command("docs/api.md", "curl -H")
    .replace("curl", "curl -sk")
    .replace("http://localhost:4242", `https://localhost:${at.port}`);
  const [status, hook, same] = await Promise.all([
    ends(command("docs/api.md", "curl --unix-socket ~/.local/state/restante/sock http://localhost/v1/status")),
    ends(command("docs/api.md", "curl --unix-socket ~/.local/state/restante/sock http://localhost/v1/webhooks")),
    ends(byToken),
  ]);
  const { hashname } = JSON.parse(status.out) as { hashname: string };
  expect(JSON.parse(same.out)).toMatchObject({ hashname });
  expect(JSON.parse(hook.out)).toMatchObject({ events: ["mail"], secret: expect.stringMatching(/^whsec_/) });
  const exit = once(node, "exit");
  node.kill();
  await exit;
});
