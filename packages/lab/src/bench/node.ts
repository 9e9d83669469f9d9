/** A daemon as it is installed: what its start costs, and what it holds when nobody asks it anything, or no more. docs/benches.md */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Bench, Result } from "./harness.ts";
import { ServerProcess } from "./server-process.ts";

/** `idleMs`: how long each is left alone. */
export function node({ idleMs = IDLE_MS, starts = STARTS }: { idleMs?: number; starts?: number } = {}): Bench {
  const run = async (): Promise<Record<string, Result>> => {
    const cpu: number[] = [];
    for (let i = 0; i < starts; i++) cpu.push((await daemon(["--web", "0"], 0)).startMs);
    const page = await daemon(["--web", "0"], idleMs);
    const used = await daemon(["--web", "0"], idleMs, usePage);
    const bare = await daemon([], idleMs);
    return {
      [START]: { value: Math.round([...cpu, page.startMs].sort((a, b) => a - b)[starts >> 1] ?? 0), unit: "ms" },
      [IDLE]: { value: page.idleBytes, unit: "B" },
      [USED]: { value: used.idleBytes, unit: "B" },
      [NO_PAGE]: { value: bare.idleBytes, unit: "B" },
    };
  };
  return { keys: [START, IDLE, USED, NO_PAGE], run };
}

/** With a home of its own, new and gone afterwards. `use`: what is done with it before it is left alone. */
async function daemon(
  options: readonly string[],
  idleMs: number,
  use?: (home: string) => Promise<void>,
): Promise<{ startMs: number; idleBytes: number }> {
  const home = await mkdtemp(join(tmpdir(), "restante-bench-"));
  const asked = ["--json", "--home", home, "--host", "127.0.0.1", "--port", "0", "serve", ...options];
  const server = new ServerProcess(process.execPath, [MAIN, ...asked]);
  try {
    await server.line(/"type":"ready"/);
    const startMs = server.cpuMs();
    await use?.(home);
    await new Promise((resolve) => setTimeout(resolve, idleMs));
    return { startMs, idleBytes: server.memory() };
  } finally {
    await server.stop();
    await rm(home, { recursive: true });
  }
}

/** What a browser does that opens the page, and looks at all of it. */
async function usePage(home: string): Promise<void> {
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN, "--home", home, "web"]);
  const { origin, hash } = new URL(stdout.trim());
  const page = await (await fetch(origin)).text();
  for (const [, path] of page.matchAll(/(?:src|href)="(\/[^"]+)"/g)) await (await fetch(origin + path)).arrayBuffer();
  const entry = { method: "POST", headers: { "content-type": "application/json", origin } };
  const entered = await fetch(`${origin}/session`, { ...entry, body: JSON.stringify({ token: hash.slice(1) }) });
  const { key } = (await entered.json()) as { key: string };
  const headers = { "restante-key": key, cookie: entered.headers.get("set-cookie")?.split(";")[0] ?? "" };
  for (const path of ASKED) {
    const answer = await fetch(`${origin}/v1/${path}`, { headers });
    if (!answer.ok) throw new Error(`${path} is answered with ${answer.status}`);
    await answer.arrayBuffer();
  }
  const leave = new AbortController();
  const events = await fetch(`${origin}/v1/events`, { headers, signal: leave.signal });
  await events.body?.getReader().read();
  leave.abort();
}

const [START, IDLE, USED, NO_PAGE] = [
  "node.start.cpu_ms",
  "node.idle_bytes",
  "node.idle_bytes.used",
  "node.idle_bytes.no_page",
] as const;
const ASKED = [
  "status",
  "contacts",
  "conversations",
  "requests",
  "outbox",
  "peers",
  "lists",
  "offers",
  "mesh",
  "devices",
];
const MAIN = fileURLToPath(new URL("../../../node/dist/cli/main.js", import.meta.url));
const IDLE_MS = 30_000;
const STARTS = 4;
