/** What one would use instead of a cache, as far as it is installed here. docs/benches.md */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { Misuse } from "../../command-line.ts";
import { cacheKeyOf } from "../cache.ts";
import type { Bench, Result } from "../harness.ts";
import { mosquitto } from "./mosquitto.ts";
import { nats } from "./nats.ts";
import { prosody } from "./prosody.ts";
import { redis } from "./redis.ts";
import { FIGURES, type Figure, type Keeper, keyed, LOAD, type Load, measure } from "./work.ts";

/** A peer that is installed here. */
export interface Peer {
  readonly name: PeerName;
  readonly version: string;
  keeper(): Keeper;
}

/** All that can be measured. */
export const PEER_NAMES = ["mosquitto", "redis", "nats", "prosody"] as const;
export type PeerName = (typeof PEER_NAMES)[number];

/** Those of a list such as "mosquitto,redis" that are in `dirs`; of the others `missing` says so. Throws `Misuse`. Default: all. */
export function findPeers(
  list: string = PEER_NAMES.join(","),
  dirs: readonly string[] = PROGRAM_DIRS,
): { peers: Peer[]; missing: string[] } {
  const peers: Peer[] = [];
  const missing: string[] = [];
  for (const asked of new Set(list.split(","))) {
    const name = PEER_NAMES.find((known) => known === asked);
    if (name === undefined) throw new Misuse(`no peer is called "${asked}": there are ${PEER_NAMES.join(", ")}`);
    const peer = findPeer(name, dirs);
    if (peer === undefined) missing.push(`${name} is left out: ${PEERS[name].program} is not installed`);
    else peers.push(peer);
  }
  return { peers, missing };
}

/** `undefined` when it is not there. */
function findPeer(name: PeerName, dirs: readonly string[]): Peer | undefined {
  const { program, keeper, version } = PEERS[name];
  const path = find(program, dirs);
  const asked = find(version.program, dirs);
  if (path === undefined || asked === undefined) return undefined;
  const said = spawnSync(asked, version.args, { encoding: "utf8" }).stdout;
  return { name, version: version.line.exec(said)?.[1] ?? "unknown", keeper: () => keeper(path) };
}

/** The figures of a peer under "peer.NAME.". */
export function peerBench({ name, keeper }: Pick<Peer, "name" | "keeper">, load: Load = LOAD): Bench {
  const keyOf = (figure: Figure): string => `peer.${name}.${figure}`;
  return { keys: FIGURES.map(keyOf), run: async () => keyed(await measure(keeper(), load), keyOf) };
}

/** Ours over theirs of each figure that both have, under "ratio.NAME.". */
export function ratios(results: Readonly<Record<string, Result>>, name: PeerName): Record<string, Result> {
  const found: Record<string, Result> = {};
  for (const figure of FIGURES) {
    const ours = results[cacheKeyOf(figure)];
    const theirs = results[`peer.${name}.${figure}`];
    if (ours === undefined || theirs === undefined || theirs.value === 0) continue;
    found[`ratio.${name}.${figure}`] = { value: Math.round((100 * ours.value) / theirs.value) / 100, unit: "x" };
  }
  return found;
}

function find(program: string, dirs: readonly string[]): string | undefined {
  return dirs.map((dir) => join(dir, program)).find((path) => existsSync(path));
}

interface Program {
  readonly program: string;
  /** What tells the version, and where in what it says. */
  readonly version: { readonly program: string; readonly args: readonly string[]; readonly line: RegExp };
  keeper(path: string): Keeper;
}

const PEERS: Readonly<Record<PeerName, Program>> = {
  mosquitto: {
    program: "mosquitto",
    version: { program: "mosquitto", args: ["-h"], line: /version (\S+)/ },
    keeper: mosquitto,
  },
  redis: {
    program: "redis-server",
    version: { program: "redis-server", args: ["--version"], line: /v=(\S+)/ },
    keeper: redis,
  },
  nats: {
    program: "nats-server",
    version: { program: "nats-server", args: ["--version"], line: /v(\d\S+)/ },
    keeper: nats,
  },
  // `prosody --version` would start the server.
  prosody: {
    program: "prosody",
    version: { program: "prosodyctl", args: ["about"], line: /^Prosody (\d\S+)/m },
    keeper: prosody,
  },
};

/** Where the shell looks, and where servers are that it does not find. */
const PROGRAM_DIRS = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
