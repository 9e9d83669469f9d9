/** `npm run cluster`: what a Redis Cluster costs as the store of a cache, and what it loses. docs/cluster.md */
import { spawnSync } from "node:child_process";
import { cpus } from "node:os";
import { loadBackend } from "@restante/node";
import { runTool } from "../command-line.ts";
import { CLUSTER } from "../tools.ts";
import { type Cost, costs } from "./costs.ts";
import { type FailoverResult, failover, type MailsResult, mailsThroughFailover } from "./failover.ts";
import { hasRedis, type RedisCluster, startCluster } from "./servers.ts";

async function main(json: boolean): Promise<number> {
  if (!hasRedis()) throw new Error("redis-server is not installed");
  const backend = await loadBackend(() => {});
  const say = (line: string): void => {
    if (!json) process.stdout.write(`${line}\n`);
  };
  const measured = await onCluster(costs);
  for (const cost of measured) say(costLine(cost));
  const kills: Record<string, FailoverResult> = {};
  const mails: Record<string, MailsResult> = {};
  for (const lags of [false, true]) {
    const name = lags ? "lagging" : "healthy";
    const killed = await onCluster((cluster) => failover({ cluster, lags, beforeMs: 3_000, afterMs: 7_000 }));
    kills[name] = killed;
    say(killLine(name, killed));
    const result = await onCluster((cluster) => mailsThroughFailover({ cluster, backend, lags, mails: 200 }));
    mails[name] = result;
    say(mailLine(name, result));
  }
  if (json)
    process.stdout.write(`${JSON.stringify({ machine: machine(), costs: measured, kills, mails }, undefined, 2)}\n`);
  return Object.values(mails).every(({ had, mails: sent }) => had === sent) ? 0 : 1;
}

async function onCluster<T>(run: (cluster: RedisCluster) => Promise<T>): Promise<T> {
  const cluster = await startCluster();
  try {
    return await run(cluster);
  } finally {
    await cluster.stop();
  }
}

function costLine({ what, serverUs, clientUs, bytes }: Cost): string {
  return `${what.padEnd(42)}${`${serverUs} us of a server`.padStart(22)}${`${clientUs} us of the node`.padStart(22)}${`${bytes} B`.padStart(8)}`;
}

function killLine(name: string, { confirmed, lost, perSecond, outageMs, medianMs }: FailoverResult): string {
  return `a primary is killed, its replica ${name}: of ${confirmed} confirmed ${lost} lost, at ${perSecond} a second; ${outageMs} ms without it, the median recipient ${medianMs} ms`;
}

function mailLine(name: string, { mails, found, had }: MailsResult): string {
  return `mail meanwhile, the replica ${name}: of ${mails} found ${found}, and ${had} once the sender had offered again`;
}

function machine(): object {
  const [cpu] = cpus();
  const redis = /v=(\S+)/.exec(spawnSync("redis-server", ["--version"], { encoding: "utf8" }).stdout)?.[1];
  return { cpu: cpu?.model ?? "unknown", cores: cpus().length, node: process.version, redis };
}

await runTool(CLUSTER, (asked) => main(asked.has("json")));
