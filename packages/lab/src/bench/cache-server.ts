/** `restante serve --cache-only` in a process of its own. We are its operator. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadOrCreateIdentity } from "@restante/node";
import { type Backend, cacheKey, createCrypto, utf8 } from "restante/protocol";
import type { CacheAddress } from "./cache-client.ts";
import { COLLECTS, ServerProcess } from "./server-process.ts";

/** A cache of ours. We know its secret: `key` is the k_C of protocol/admission.md. */
export interface RunningCache extends CacheAddress {
  readonly process: ServerProcess;
  readonly key: Uint8Array;
  stop(): Promise<void>;
}

/** `node`: options for the server's Node. `under`: a program that runs that, with its arguments. */
export async function startCacheProcess(
  backend: Backend,
  node: readonly string[] = [],
  under: readonly string[] = [],
): Promise<RunningCache> {
  const home = mkdtempSync(join(tmpdir(), "restante-bench-"));
  const identity = await loadOrCreateIdentity(createCrypto(backend), join(home, "identity.json"));
  const [pair] = [...identity.pairs].sort(([a], [b]) => b - a);
  if (pair === undefined) throw new Error("an identity without a key pair");
  const secret = backend.hkdf(pair[1].secret, new Uint8Array(0), utf8("restante/cache-secret/1"), 32);
  const args = ["--json", "--home", home, "--host", "127.0.0.1", "--port", "0", "serve", "--cache-only"];
  const [program, ...options] = [...under, process.execPath, ...COLLECTS, ...node, CLI, ...args];
  const server = new ServerProcess(program ?? process.execPath, options);
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
