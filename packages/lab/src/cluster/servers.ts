/** A real Redis Cluster on this machine: processes of redis-server on loopback, in memory alone, gone when it is over. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../bench/server-process.ts";
import { Resp } from "./resp.ts";

/** One server of the cluster. */
export interface RedisServer {
  readonly port: number;
  /** `undefined` once it was killed. */
  readonly pid: number | undefined;
  /** Gives the answer as text, of a list each part on its line. */
  ask(...command: readonly string[]): Promise<string>;
  signal(signal: NodeJS.Signals): void;
  /** kill -9, and waits until it is gone. */
  kill(): Promise<void>;
  /** The same server, empty, where it was. */
  start(): Promise<void>;
}

export interface RedisCluster {
  readonly servers: readonly RedisServer[];
  /** "redis://127.0.0.1:port" of each. */
  readonly addresses: readonly string[];
  /** Those that are primaries now. */
  primaries(): Promise<RedisServer[]>;
  /** The replica of a primary. */
  replicaOf(primary: RedisServer): Promise<RedisServer>;
  /** Moves some slots of `from` to `to`, with what is in them. */
  moveSlots(from: RedisServer, to: RedisServer, count: number): Promise<void>;
  stop(): Promise<void>;
}

/** Whether this machine has what a cluster is made of. */
export function hasRedis(): boolean {
  return spawnSync("redis-server", ["--version"]).status === 0;
}

/** Three primaries with one replica each. `settings` are added to those of docs/cluster.md. */
export async function startCluster(settings: readonly string[] = []): Promise<RedisCluster> {
  const dir = await mkdtemp(join(tmpdir(), "restante-cluster-"));
  const ports = await freePorts(2 * SERVERS);
  const servers = ports.slice(0, SERVERS).map((port, i) => new Server(port, ports[SERVERS + i] ?? 0, dir, settings));
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.kill()));
    await rm(dir, { recursive: true, force: true });
  };
  const primaries = async (): Promise<RedisServer[]> => {
    const roles = await Promise.all(servers.map((server) => server.role()));
    return servers.filter((_, i) => roles[i] === "master");
  };
  try {
    await Promise.all(servers.map((server) => server.start()));
    await form(servers);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    servers,
    addresses: servers.map(({ port }) => `redis://127.0.0.1:${port}`),
    primaries,
    async replicaOf(primary) {
      for (const server of servers) {
        if (server.pid === undefined) continue;
        const info = await server.ask("info", "replication");
        if (info.includes("role:slave") && info.includes(`master_port:${primary.port}\r`)) return server;
      }
      throw new Error("this server has no replica");
    },
    async moveSlots(from, to, count) {
      const [source, target] = await Promise.all([from, to].map((server) => server.ask("cluster", "myid")));
      const own = (await from.ask("cluster", "nodes")).split("\n").find((line) => line.includes("myself")) ?? "";
      const first = Number(/ (\d+)-\d+/.exec(own)?.[1]);
      for (let slot = first; slot < first + count; slot++) {
        const at = String(slot);
        await to.ask("cluster", "setslot", at, "importing", source ?? "");
        await from.ask("cluster", "setslot", at, "migrating", target ?? "");
        for (;;) {
          const keys = (await from.ask("cluster", "getkeysinslot", at, "100")).split("\n").filter((key) => key !== "");
          if (keys.length === 0) break;
          await from.ask("migrate", "127.0.0.1", String(to.port), "", "0", "5000", "keys", ...keys);
        }
        for (const server of await primaries()) await server.ask("cluster", "setslot", at, "node", target ?? "");
      }
    },
    stop,
  };
}

class Server implements RedisServer {
  readonly port: number;
  readonly bus: number;
  readonly #dir: string;
  readonly #settings: readonly string[];
  readonly #resp: Resp;
  #process: ChildProcess | undefined;

  constructor(port: number, bus: number, dir: string, settings: readonly string[]) {
    this.port = port;
    this.#resp = new Resp(port);
    this.bus = bus;
    this.#dir = dir;
    this.#settings = settings;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  async start(): Promise<void> {
    const names = { "--port": this.port, "--cluster-port": this.bus, "--cluster-config-file": `nodes-${this.port}` };
    const own = Object.entries(names).flatMap(([name, value]) => [name, String(value)]);
    const args = [...own, "--dir", this.#dir, ...SETTINGS, ...this.#settings];
    const child = spawn("redis-server", args, { stdio: "ignore" });
    this.#process = child;
    running.add(child);
    child.once("exit", () => {
      running.delete(child);
      if (this.#process === child) this.#process = undefined;
    });
    for (;;) {
      if ((await this.ask("ping").catch(() => "")).startsWith("PONG")) return;
      if (child.exitCode !== null) throw new Error("redis-server ended at once");
      await pause();
    }
  }

  ask(...command: readonly string[]): Promise<string> {
    return this.#resp.ask(command);
  }

  async role(): Promise<string> {
    if (this.pid === undefined) return "";
    return /role:(\w+)/.exec(await this.ask("info", "replication").catch(() => ""))?.[1] ?? "";
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  async kill(): Promise<void> {
    this.#resp.close();
    const child = this.#process;
    if (child === undefined) return;
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }
}

/** They meet, share the slots, and each of the second half follows one of the first. */
async function form(servers: readonly Server[]): Promise<void> {
  const primaries = servers.slice(0, PRIMARIES);
  const replicas = servers.slice(PRIMARIES);
  const [first] = servers;
  for (const [i, server] of servers.entries()) await server.ask("cluster", "set-config-epoch", String(i + 1));
  const meet = (server: Server): Promise<string> =>
    first?.ask("cluster", "meet", "127.0.0.1", String(server.port), String(server.bus)) ?? Promise.resolve("");
  await Promise.all(servers.slice(1).map(meet));
  const share = Math.ceil(SLOTS / PRIMARIES);
  await Promise.all(
    primaries.map((server, i) =>
      server.ask("cluster", "addslotsrange", String(i * share), String(Math.min(SLOTS, (i + 1) * share) - 1)),
    ),
  );
  const isKnown = async (server: Server): Promise<boolean> =>
    (await server.ask("cluster", "info")).includes(`cluster_known_nodes:${servers.length}`);
  await until(async () => (await Promise.all(servers.map(isKnown))).every(Boolean));
  await Promise.all(
    replicas.map(async (server, i) =>
      server.ask("cluster", "replicate", (await primaries[i]?.ask("cluster", "myid")) ?? ""),
    ),
  );
  await until(async () => {
    const facts = await Promise.all(
      servers.map(async (server) => (await server.ask("cluster", "info")) + (await server.ask("info", "replication"))),
    );
    return facts.every(
      (text) => text.includes("cluster_state:ok") && /connected_slaves:1\r|master_link_status:up/.test(text),
    );
  });
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  while (!(await isTrue().catch(() => false))) await pause();
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 50));
}

async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}

const SLOTS = 16_384;
const PRIMARIES = 3;
const SERVERS = 2 * PRIMARIES;
const SETTINGS = [
  ...["--bind", "127.0.0.1", "--cluster-enabled", "yes", "--cluster-node-timeout", "2000"],
  ...["--cluster-require-full-coverage", "no", "--save", "", "--appendonly", "no"],
  ...["--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0", "--repl-diskless-load", "swapdb"],
];

/** Whatever happens to us, no server is left behind. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
