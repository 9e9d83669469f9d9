/** A server in a process of its own, and what it costs: what the system says of that process, with all its threads. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadOrCreateIdentity } from "@restante/node";
import { type Backend, cacheKey, createCrypto, utf8 } from "restante/protocol";
import type { CacheAddress } from "./cache-client.ts";

class ServerProcess {
  readonly #child: ChildProcess;

  constructor(program: string, args: readonly string[]) {
    this.#child = spawn(program, args, { stdio: ["ignore", "pipe", "ignore"] });
  }

  /** CPU time so far, user and system, in milliseconds: to the 10 ms of Linux. */
  cpuMs(): number {
    const stat = readFileSync(`/proc/${this.#child.pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  }

  /** Resident memory in bytes. */
  memory(): number {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
  }

  /** The first line of its stdout that matches. Rejects when it ends before. */
  line(pattern: RegExp): Promise<string> {
    let said = "";
    return new Promise((resolve, reject) => {
      this.#child.stdout?.setEncoding("utf8").on("data", (piece: string) => {
        said += piece;
        const found = said
          .split("\n")
          .slice(0, -1)
          .find((line) => pattern.test(line));
        if (found !== undefined) resolve(found);
      });
      this.#child.once("error", reject);
      this.#child.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
    });
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await exit;
  }
}

/** A cache of ours. We are its operator, and know its secret: `key` is the k_C of protocol/admission.md. */
export interface RunningCache extends CacheAddress {
  readonly process: ServerProcess;
  readonly key: Uint8Array;
  stop(): Promise<void>;
}

/** `node`: options for the server's Node. */
export async function startCacheProcess(backend: Backend, node: readonly string[] = []): Promise<RunningCache> {
  const home = mkdtempSync(join(tmpdir(), "restante-bench-"));
  const identity = await loadOrCreateIdentity(createCrypto(backend), join(home, "identity.json"));
  const [pair] = [...identity.pairs].sort(([a], [b]) => b - a);
  if (pair === undefined) throw new Error("an identity without a key pair");
  const secret = backend.hkdf(pair[1].secret, new Uint8Array(0), utf8("restante/cache-secret/1"), 32);
  const args = ["--json", "--home", home, "--host", "127.0.0.1", "--port", "0", "serve", "--cache-only"];
  const server = new ServerProcess(process.execPath, [...node, CLI, ...args]);
  const stop = async (): Promise<void> => {
    await server.stop();
    rmSync(home, { recursive: true });
  };
  const line = await server.line(/"ready"/).catch(async (error) => {
    await stop();
    throw error;
  });
  const { paths } = JSON.parse(line) as { paths: { type: string; ip: string; port: number }[] };
  const path = paths.find(({ type }) => type === "tcp4");
  if (path === undefined) throw new Error("a cache without TCP");
  return {
    process: server,
    hashname: identity.hashname,
    keys: identity.keys,
    path,
    key: cacheKey(backend, secret),
    stop,
  };
}

const CLI = fileURLToPath(new URL("../../../node/dist/cli/main.js", import.meta.url));
const TICK_MS = 10;
