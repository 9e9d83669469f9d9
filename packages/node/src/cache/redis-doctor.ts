/**
 * Looks at a Redis Cluster as `restante doctor` looks at a machine: whether all of it answers and serves, writes nothing to a
 * disk, has copies that keep up, can run our functions, and has room. Only asks, and changes nothing. docs/cluster.md
 */
import { Redis } from "ioredis";
import type { Finding } from "../doctor.ts";
import { LIBRARY } from "./redis-function.ts";
import { isReply, parseServer, settingsOf, withoutSecret } from "./redis-link.ts";
import { SLOTS } from "./redis-names.ts";
import { settingsFaults } from "./redis-settings.ts";

/**
 * All findings about the cluster that these servers ("redis://host:port") belong to, one of each check, always in the same
 * order. What cannot be looked at since no server answers is no finding. Throws "bad-cluster" for what is no address.
 */
export async function examineCluster(servers: readonly string[]): Promise<Finding[]> {
  const given = servers.map(parseServer);
  const met = await Promise.all(given.map((server) => visit(server, (redis) => call(redis, "CLUSTER", "NODES"))));
  const silent = servers.flatMap((server, i) => (typeof met[i] === "string" ? [] : [withoutSecret(server)]));
  const first = met.findIndex((answer) => typeof answer === "string");
  const [access] = given;
  if (first < 0 || access === undefined) return [unreachable(silent, met)];
  const nodes = parseNodes(String(met[first]));
  const looks = await Promise.all(
    nodes.map(async (node): Promise<Look> => {
      const seen = node.hasFailed ? undefined : await visit({ ...access, ...node }, look);
      return { ...node, seen: seen instanceof Error ? undefined : seen };
    }),
  );
  return [state(looks, silent), settings(looks), replicas(looks), functions(looks), memory(looks)];
}

interface Node {
  readonly host: string;
  readonly port: number;
  readonly isPrimary: boolean;
  readonly slots: number;
  readonly hasFailed: boolean;
}

interface Look extends Node {
  /** `undefined`: it does not answer. */
  readonly seen: Seen | undefined;
}

/** What a server says of itself. */
interface Seen {
  readonly info: ReadonlyMap<string, string>;
  readonly faults: Awaited<ReturnType<typeof settingsFaults>> | undefined;
  readonly libraries: readonly string[];
}

async function look(redis: Redis): Promise<Seen> {
  const info = parseInfo(await call(redis, "INFO"));
  const cluster = parseInfo(await call(redis, "CLUSTER", "INFO"));
  const faults = await settingsFaults((names) => settingsOf(redis, names)).catch(() => undefined);
  const libraries = await redis.call("FUNCTION", "LIST").catch(() => []);
  return {
    info: new Map([...info, ...cluster]),
    faults,
    libraries: (libraries as string[][]).map((it) => it[1] ?? ""),
  };
}

function unreachable(silent: readonly string[], met: readonly unknown[]): Finding {
  const check = "cluster";
  const why = met.find((answer) => answer instanceof Error);
  if (isReply(why, /cluster support disabled/))
    return {
      check,
      state: "bad",
      says: `what answers at ${silent.join(", ")} is no cluster`,
      remedy: "cluster-enabled yes",
    };
  const says = `no server answers at ${silent.join(", ")} (${why instanceof Error ? why.message : "no address"})`;
  return {
    check,
    state: "bad",
    says,
    remedy: "look whether they run, at the addresses, the password and the firewall",
  };
}

function state(looks: readonly Look[], silent: readonly string[]): Finding {
  const check = "cluster";
  const bad = (says: string, remedy: string): Finding => ({ check, state: "bad", says, remedy });
  const primaries = looks.filter(({ slots }) => slots > 0);
  const gone = [...new Set([...looks.filter(({ seen }) => seen === undefined).map(addressOf), ...silent])];
  const isOk = looks.every(({ seen }) => seen === undefined || seen.info.get("cluster_state") === "ok");
  const served = primaries.reduce((sum, { slots, hasFailed }) => sum + (hasFailed ? 0 : slots), 0);
  if (served < SLOTS || !isOk)
    return bad(
      `${SLOTS - served} of ${SLOTS} slots are served by nobody: mail for those recipients is neither taken nor given out${
        gone.length === 0 ? "" : `; ${gone.join(", ")} does not answer`
      }`,
      "bring a server of each shard back, or redis-cli --cluster fix",
    );
  if (gone.length > 0)
    return bad(
      `${gone.join(", ")} does not answer`,
      "start it again, but only once its replica has taken over: it comes back empty",
    );
  if (primaries.length < PRIMARIES)
    return bad(
      `it has ${primaries.length} of the ${PRIMARIES} primaries that it takes to agree on who takes over when one dies`,
      "redis-cli --cluster add-node, then rebalance",
    );
  const replicas = looks.length - primaries.length;
  return { check, state: "good", says: `${primaries.length} primaries and ${replicas} replicas serve all slots` };
}

function settings(looks: readonly Look[]): Finding {
  const check = "settings";
  const found = looks.flatMap((server) => (server.seen === undefined ? [] : [{ server, faults: server.seen.faults }]));
  const secretive = found.filter(({ faults }) => faults === undefined).map(({ server }) => addressOf(server));
  if (secretive.length > 0) {
    const says = `${secretive.join(", ")} does not tell whether it writes to a disk`;
    return { check, state: "bad", says, remedy: "allow this user CONFIG GET (ACL: +config|get)" };
  }
  const faults = found.flatMap(({ server, faults = [] }) =>
    faults.map((fault) => ({ ...fault, at: addressOf(server) })),
  );
  if (faults.length === 0) return { check, state: "good", says: "no server writes what it holds to a disk" };
  return {
    check,
    state: "bad",
    says: faults.map(({ at, says }) => `${at} ${says}`).join("; "),
    remedy: `set ${[...new Set(faults.map(({ remedy }) => remedy))].join(", ")} with CONFIG SET and in the file of each`,
  };
}

function replicas(looks: readonly Look[]): Finding {
  const check = "replicas";
  const faults: string[] = [];
  let most = 0;
  for (const primary of looks) {
    if (primary.slots === 0 || primary.seen === undefined) continue;
    const { info } = primary.seen;
    const followers = [...info].flatMap(([name, value]) => (/^slave\d+$/.test(name) ? [parseFollower(value)] : []));
    if (followers.length === 0) faults.push(`${addressOf(primary)} has none: what it holds is lost with it`);
    for (const { address, isOnline, offset, silentFor } of followers) {
      const behind = Math.max(0, Number(info.get("master_repl_offset")) - offset);
      most = Math.max(most, behind);
      if (isOnline && behind <= MAX_BEHIND && silentFor <= MAX_SILENCE_S) continue;
      const how = isOnline ? `${Math.ceil(behind / 1024)} KiB behind, silent for ${silentFor} s` : "not caught up yet";
      faults.push(`${address}, which follows ${addressOf(primary)}, is ${how}`);
    }
  }
  if (faults.length === 0)
    return { check, state: "good", says: `every primary has one, ${Math.ceil(most / 1024)} KiB behind at most` };
  return {
    check,
    state: "bad",
    says: faults.join("; "),
    remedy: "look at its process and its network; to add one: redis-cli --cluster add-node NEW OLD --cluster-slave",
  };
}

function functions(looks: readonly Look[]): Finding {
  const check = "functions";
  const seen = looks.filter((server): server is Look & { seen: Seen } => server.seen !== undefined);
  const old = seen.filter(({ seen: { info } }) => Number.parseInt(info.get("redis_version") ?? "0", 10) < OLDEST_REDIS);
  if (old.length > 0)
    return {
      check,
      state: "bad",
      says: `${old.map(addressOf).join(", ")} has none`,
      remedy: "Redis 7.0 or later, or Valkey",
    };
  const without = seen.filter((server) => server.isPrimary && !server.seen.libraries.includes(LIBRARY)).map(addressOf);
  const ours = new Set(seen.flatMap(({ seen: { libraries } }) => libraries.filter((name) => OURS.test(name))));
  ours.delete(LIBRARY);
  const others = ours.size === 0 ? "" : `; besides ${ours.size} of other versions, for nodes of those`;
  const version = LIBRARY.replace(OURS, "");
  if (without.length > 0) {
    const says = `version ${version} is not at ${without.join(", ")} yet: a node loads it there when it starts${others}`;
    return { check, state: "note", says };
  }
  return { check, state: "good", says: `version ${version} is at every primary${others}` };
}

function memory(looks: readonly Look[]): Finding {
  const check = "memory";
  const of = (server: Look, name: string): number => Number(server.seen?.info.get(name) ?? 0);
  const seen = looks.filter((server) => server.seen !== undefined);
  const unbounded = seen.filter((server) => of(server, "maxmemory") === 0).map(addressOf);
  if (unbounded.length > 0)
    return {
      check,
      state: "bad",
      says: `${unbounded.join(", ")} takes as much as comes, until the system ends it`,
      remedy: "set maxmemory to three quarters of what the machine has for it",
    };
  const used = (server: Look): number => of(server, "used_memory") / of(server, "maxmemory");
  const full = seen.filter((server) => used(server) > FULL);
  if (full.length > 0)
    return {
      check,
      state: "bad",
      says: full.map((server) => `${addressOf(server)} is ${percent(used(server))} full`).join(", "),
      remedy:
        "another shard (redis-cli --cluster add-node, rebalance), or more maxmemory: what does not fit is refused",
    };
  return { check, state: "good", says: `no server is more than ${percent(Math.max(...seen.map(used)))} full` };
}

/** What it answers; the error when it does not. */
async function visit<T>(server: ReturnType<typeof parseServer>, ask: (redis: Redis) => Promise<T>): Promise<T | Error> {
  const { tls, ...place } = server;
  const redis = new Redis({
    ...place,
    ...(tls ? { tls: {} } : {}),
    lazyConnect: true,
    connectTimeout: PATIENCE_MS,
    commandTimeout: PATIENCE_MS,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  let last: Error | undefined;
  redis.on("error", (error: Error) => {
    last = error;
  });
  try {
    await redis.connect();
    return await ask(redis);
  } catch (error) {
    return last ?? (error as Error);
  } finally {
    redis.disconnect();
  }
}

async function call(redis: Redis, command: string, ...args: string[]): Promise<string> {
  return String(await redis.call(command, ...args));
}

/** Of CLUSTER NODES: id, address, flags, ..., slots. */
function parseNodes(text: string): Node[] {
  return text.split("\n").flatMap((line) => {
    const [, address = "", flags = "", , , , , , ...ranges] = line.trim().split(" ");
    const [, host = "", port = ""] = /^(.*):(\d+)@/.exec(address) ?? [];
    if (host === "" || /handshake|noaddr/.test(flags)) return [];
    const slots = ranges.reduce((sum, range) => {
      const [, from, to = from] = /^(\d+)(?:-(\d+))?$/.exec(range) ?? [];
      return from === undefined ? sum : sum + Number(to) - Number(from) + 1;
    }, 0);
    const words = flags.split(",");
    return [
      { host, port: Number(port), slots, isPrimary: words.includes("master"), hasFailed: words.includes("fail") },
    ];
  });
}

function parseInfo(text: string): Map<string, string> {
  const lines = text.split("\r\n").map((line) => /^([^#:]+):(.*)$/.exec(line));
  return new Map(lines.flatMap((found) => (found === null ? [] : [[found[1] ?? "", found[2] ?? ""] as const])));
}

/** Of INFO: ip=...,port=...,state=online,offset=...,lag=... */
function parseFollower(text: string): { address: string; isOnline: boolean; offset: number; silentFor: number } {
  const fields = new Map(text.split(",").map((field) => [field.split("=")[0] ?? "", field.split("=")[1] ?? ""]));
  return {
    address: `${fields.get("ip")}:${fields.get("port")}`,
    isOnline: fields.get("state") === "online",
    offset: Number(fields.get("offset")),
    silentFor: Number(fields.get("lag")),
  };
}

function addressOf({ host, port }: Node): string {
  return `${host}:${port}`;
}

function percent(share: number): string {
  return `${Math.ceil(100 * share)} %`;
}

const PRIMARIES = 3; // a majority of them must be left
const MAX_BEHIND = 1024 * 1024;
const MAX_SILENCE_S = 5; // a replica says each second how far it is
const OLDEST_REDIS = 7;
const FULL = 0.85;
const PATIENCE_MS = 3_000;
const OURS = /^restante_boxes_/;
