/** Two programs of docs/embed.md that are processes of their own. */
import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../../..", import.meta.url));
const PAGE = readFileSync(join(ROOT, "docs/embed.md"), "utf8");

/** The code block that follows a file's name. */
function block(name: string): string {
  const [, code] = new RegExp(`^\`${name}\`[\\s\\S]*?\`\`\`js\n([\\s\\S]*?)\`\`\``, "m").exec(PAGE) ?? [];
  if (code === undefined) throw new Error(`the page has no block for ${name}`);
  return code;
}

/** A process whose output can be waited for. */
function start(args: readonly string[], cwd: string) {
  const child: ChildProcess = spawn(process.execPath, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let err = "";
  let wake = (): void => {};
  child.stdout?.on("data", (data: Buffer) => {
    out += data;
    wake();
  });
  child.stderr?.on("data", (data: Buffer) => {
    err += data;
  });
  const exit = new Promise<number | null>((resolve) => child.on("exit", resolve));
  void exit.then(() => wake());
  return {
    child,
    exit,
    async says(pattern: RegExp): Promise<string> {
      for (;;) {
        const found = pattern.exec(out)?.[0];
        if (found !== undefined) return found;
        if (child.exitCode !== null)
          throw new Error(`ended with ${child.exitCode} before saying ${pattern}: ${out}${err}`);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

test("[A2] the programs of docs/embed.md: two processes and a cache, never all alive at once", async () => {
  const dir = mkdtempSync(join(tmpdir(), "restante-processes-"));
  const running: ReturnType<typeof start>[] = [];
  const run = (args: readonly string[]): ReturnType<typeof start> => {
    const process = start(args, dir);
    running.push(process);
    return process;
  };
  try {
    symlinkSync(join(ROOT, "node_modules"), join(dir, "node_modules"));
    cpSync(join(ROOT, "package.json"), join(dir, "package.json"));
    writeFileSync(join(dir, "receive.mjs"), block("receive.mjs"));
    writeFileSync(join(dir, "send.mjs"), block("send.mjs"));
    const cli = join(ROOT, "packages/node/dist/cli/main.js");
    const where = ["--home", join(dir, "cache"), "--port", "0", "--host", "127.0.0.1"];
    const cache = run([cli, ...where, "serve", "--cache-only"]);
    const joinLink = await cache.says(/link:\S+/);

    const bob = run(["receive.mjs", joinLink]);
    const invite = await bob.says(/link:\S+/);
    bob.child.kill("SIGKILL");
    await bob.exit;

    const alice = run(["send.mjs", invite]);
    expect(await alice.exit).toBe(0);

    const again = run(["receive.mjs"]);
    expect(await again.says(/hello.*/)).toBe("hello, whenever you read this");
  } finally {
    for (const { child } of running) child.kill("SIGKILL");
    await Promise.all(running.map(({ exit }) => exit));
    rmSync(dir, { recursive: true, force: true });
  }
});
