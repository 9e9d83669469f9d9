/** What a message costs the servers of a cluster: CPU time of their main threads, and memory. */
import { randomBytes } from "node:crypto";
import { type RedisBoxStore, redisBoxStore } from "@restante/node";
import type { RedisCluster } from "./servers.ts";

export interface Cost {
  readonly what: string;
  /** Microseconds of a server's main thread for each operation, all of its work: a shard does as many a second as fit in there. */
  readonly serverUs: number;
  /** The same of our own process. */
  readonly clientUs: number;
  /** Memory that the primaries have more of for each operation. */
  readonly bytes: number;
}

/** Deposits in various shapes, and collecting. 256 bytes each. */
export async function costs(cluster: RedisCluster): Promise<Cost[]> {
  const rate = { burst: 1e12, perSecond: 1e12 };
  const store = await redisBoxStore({ servers: cluster.addresses, clusterKey: randomBytes(32), senderRate: rate });
  const results: Cost[] = [];
  const measure = async (what: string, count: number, work: (n: number) => Promise<void>): Promise<void> => {
    const [before, own] = [await spent(cluster), process.cpuUsage()];
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < count) await work(next++);
    };
    await Promise.all(Array.from({ length: WIDTH }, lane));
    const [after, used] = [await spent(cluster), process.cpuUsage(own)];
    const each = (sum: number): number => Math.round((10 * sum) / count) / 10;
    results.push({
      what,
      serverUs: each(after.us - before.us),
      clientUs: each(used.user + used.system),
      bytes: Math.round((after.bytes - before.bytes) / count),
    });
  };
  try {
    await measure("put, warming up", COUNT, (n) => put(store, `w${n % 1000}`, 1, n));
    results.length = 0;
    await measure("put: 20 in a box, a box a recipient", COUNT, (n) => put(store, `a${n % (COUNT / 20)}`, 1, n));
    await measure("put: 200 in a box", COUNT, (n) => put(store, `b${n % (COUNT / 200)}`, 1, n));
    await measure("put: one message of a recipient", COUNT, (n) => put(store, `c${n}`, 1, n));
    await measure("put: one in a box, 20 boxes a recipient", COUNT, (n) =>
      put(store, `d${n % (COUNT / 20)}`, 1 + n, n),
    );
    const cursors = new Map<string, number>();
    await measure("read and remove one", COUNT, async (n) => {
      const where = { recipient: `a${n % (COUNT / 20)}`, box: hex(1) };
      const after = cursors.get(where.recipient) ?? 0;
      const [message] = await store.handle({ type: "read", op: n, ...where, after }, Date.now());
      if (message?.type !== "message") return;
      cursors.set(where.recipient, message.cursor);
      await store.handle({ type: "remove", op: n, ...where, id: message.id }, Date.now());
    });
    return results;
  } finally {
    await store.close();
  }
}

async function put(store: RedisBoxStore, recipient: string, box: number, n: number): Promise<void> {
  const [id, bytes, now] = [hex(n + 1), randomBytes(MESSAGE_BYTES), Date.now()];
  const expires = now + LIFETIME_MS;
  await store.handle({ type: "put", op: n, recipient, box: hex(box), id, bytes, expires, class: "contact" }, now);
}

async function spent(cluster: RedisCluster): Promise<{ us: number; bytes: number }> {
  let [us, bytes] = [0, 0];
  for (const server of await cluster.primaries()) {
    const info = (await server.ask("info", "cpu")) + (await server.ask("info", "memory"));
    const seconds = (name: string): number =>
      Number(new RegExp(`used_cpu_${name}_main_thread:([\\d.]+)`).exec(info)?.[1]);
    us += 1e6 * (seconds("user") + seconds("sys"));
    bytes += Number(/used_memory:(\d+)/.exec(info)?.[1]);
  }
  return { us, bytes };
}

function hex(n: number): string {
  return n.toString(16).padStart(16, "0");
}

const COUNT = 20_000;
const WIDTH = 64; // under way at once
const MESSAGE_BYTES = 256;
const LIFETIME_MS = 30 * 86_400_000;
