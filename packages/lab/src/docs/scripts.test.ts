/** docs/scripts.md: each of its blocks is run, in its order, beside a node with an echo peer, and prints what the page says. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort } from "../bench/server-process.ts";
import { homeOf } from "./shell.ts";

const ROOT = fileURLToPath(new URL("../../../..", import.meta.url));
const CLI = join(ROOT, "packages/node/dist/cli/main.js");
const PAGE = readFileSync(join(ROOT, "docs/scripts.md"), "utf8");

/** What the page has: files under their names, and what is typed, with what it prints, if that is said. */
type Block = { type: "file"; name: string; text: string } | { type: "typed"; text: string; printed?: string };

let dir: string;
let node: ChildProcess;
const groups = new Set<ChildProcess>();

beforeAll(async () => {
  if (!existsSync(CLI)) throw new Error("the program is not built: npm run build");
  dir = mkdtempSync(join(tmpdir(), "restante-scripts-"));
  mkdirSync(join(dir, "bin"));
  writeFileSync(join(dir, "bin/restante"), `#!/bin/sh\nexec "${process.execPath}" "${CLI}" "$@"\n`);
  chmodSync(join(dir, "bin/restante"), 0o755);
  symlinkSync(join(ROOT, "node_modules"), join(dir, "node_modules"));
  node = shell("exec restante start --no-web --host 127.0.0.1 --port 0");
  await says(node, (out) => out.includes("Ctrl-C stops it"));
});
afterAll(() => {
  for (const child of groups) end(child, "SIGKILL");
  rmSync(dir, { recursive: true, force: true });
});

/** A shell in a group of its own, where everybody finds the home by themselves: it is the default one. */
function shell(text: string): ChildProcess {
  const options = { cwd: dir, env: homeOf(dir), detached: true };
  const child = spawn("sh", ["-c", text], { ...options, stdio: ["ignore", "pipe", "pipe"] });
  groups.add(child);
  return child;
}

function end(child: ChildProcess, signal: NodeJS.Signals): void {
  groups.delete(child);
  try {
    process.kill(-(child.pid ?? 0), signal);
  } catch {
    // All of it has ended.
  }
}

/** Until what it printed is right, or it has ended. Gives what it printed. */
async function says(child: ChildProcess, isRight: (out: string) => boolean): Promise<{ out: string; err: string }> {
  let [out, err] = ["", ""];
  child.stderr?.on("data", (piece) => {
    err += piece;
  });
  await new Promise<void>((resolve) => {
    child.stdout?.on("data", (piece) => {
      out += piece;
      if (isRight(out)) resolve();
    });
    child.on("close", () => resolve());
  });
  return { out, err };
}

function blocks(page: string): Block[] {
  const found: Block[] = [];
  for (const [, before = "", kind = "", text = ""] of page.matchAll(/([\s\S]*?)^```(\w+)\n([\s\S]*?)^```$/gm)) {
    const paragraph = before.trim().split("\n\n").at(-1) ?? "";
    const [, name] = /(?:^|[.:] )`([\w.-]+)`(?:[,:]| believes)/m.exec(paragraph) ?? [];
    const last = found.at(-1);
    if (kind === "text" && last?.type === "typed") last.printed = text;
    else if (name !== undefined) found.push({ type: "file", name, text });
    else found.push({ type: "typed", text });
  }
  return found;
}

/** Without what is another one each time. */
function usual(text: string): string {
  return text
    .replaceAll(/\b[0-9a-f]{32}\b/g, "ID")
    .replaceAll(/\b[a-z2-7]{52}\b/g, "HASHNAME")
    .replaceAll(/\b\d{13}\b/g, "TIME")
    .trimEnd();
}

/** A process that ended, or that goes on until it is stopped and now is. */
async function stop(child: ChildProcess): Promise<void> {
  const isOver = child.exitCode !== null || child.signalCode !== null || once(child, "exit");
  end(child, "SIGTERM");
  await isOver;
}

test("each block of docs/scripts.md does what the page says", async () => {
  const port = String(await freePort());
  const all = blocks(PAGE);
  expect(all.filter(({ type }) => type === "file").map((block) => "name" in block && block.name)).toEqual([
    "on-mail",
    "hook.mjs",
    "bot.mjs",
  ]);
  expect(all.length).toBe(PAGE.match(/^```(sh|js)$/gm)?.length);
  const [, alias = ""] = /^alias api='(.*)'$/m.exec(PAGE) ?? [];
  for (const block of all) {
    const text = block.text.replaceAll("8080", port);
    if (block.type === "file") {
      writeFileSync(join(dir, block.name), text);
      continue;
    }
    if (text.startsWith("restante open")) await stop(node); // "while it is stopped"
    const { printed } = block;
    const isRight = (out: string): boolean => printed !== undefined && usual(out) === usual(printed);
    // Aliases are of interactive shells, and last as long as one.
    const child = shell(`api() { ${alias} "$@"; }\n${text.replace(/^alias .*\n/, "")}`);
    const { out, err } = await says(child, isRight);
    if (printed === undefined) expect({ text, code: child.exitCode, err }).toMatchObject({ code: 0 });
    else expect(usual(out), `${text}${err}`).toBe(usual(printed));
    await stop(child);
  }
  expect(readFileSync(join(dir, "mail.jsonl"), "utf8")).toContain("echo: the disk is full");
});
