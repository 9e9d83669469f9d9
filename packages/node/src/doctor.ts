/** Looks at what surrounds a node: what may get its memory to a disk, who else can read its secrets, what will run out. */
import { existsSync, readdirSync, readFileSync, type Stats, statfsSync, statSync } from "node:fs";
import { isIPv4, isIPv6 } from "node:net";
import { dirname, join } from "node:path";
import { homePaths } from "./home.ts";
import { emptyCoreDumps } from "./memory-only.ts";

/** The second row is of a daemon that runs, and what it was told; the last one is about a Redis Cluster: `examineCluster`. */
type Check =
  | ("swap" | "core dumps" | "home" | "disk" | "open files" | "clock" | "cryptography" | "diagnostics")
  | ("config" | "daemon" | "address")
  | ("cluster" | "settings" | "replicas" | "functions" | "memory");

/** What one check found. "note": worth to know, nothing is wrong. Only what is "bad" has a remedy. */
export interface Finding {
  readonly check: Check;
  readonly state: "good" | "note" | "bad";
  /** In plain words. */
  readonly says: string;
  readonly remedy?: string;
}

/** Where to look. The defaults are this process and this machine. */
export interface Surroundings {
  readonly home: string;
  /** Name of the cryptographic backend in use. */
  readonly backend: string;
  /** procfs, and the file systems of control groups. */
  readonly proc?: string;
  readonly cgroups?: string;
  /** Milliseconds since 1970. */
  readonly now?: number;
  /** Options of Node in force. */
  readonly nodeOptions?: readonly string[];
}

/**
 * All findings, one of each check, always in the same order. They hold for a node that is started as this process was: with
 * the same limits, in the same control group. Changes nothing but the core dumps of this process. Never throws.
 */
export function examine(surroundings: Surroundings): Finding[] {
  const {
    home,
    backend,
    proc = "/proc",
    cgroups = "/sys/fs/cgroup",
    now = Date.now(),
    nodeOptions = [...process.execArgv, ...(process.env["NODE_OPTIONS"]?.split(/\s+/) ?? [])],
  } = surroundings;
  return [
    swap(proc, cgroups),
    coreDumps(proc),
    secrets(home),
    disk(home),
    openFiles(proc),
    clock(home, now),
    cryptography(backend),
    diagnostics(nodeOptions),
  ];
}

function swap(proc: string, cgroups: string): Finding {
  const check = "swap";
  const table = read(join(proc, "swaps"));
  if (table === undefined)
    return { check, state: "note", says: "this system does not tell whether it swaps to a disk" };
  const areas = table
    .split("\n")
    .slice(1)
    .map((line) => line.split(/\s/)[0] ?? "")
    .filter((area) => area !== "");
  const onDisk = areas.filter((area) => !area.startsWith("/dev/zram"));
  if (areas.length === 0) return { check, state: "good", says: "swap is off" };
  if (onDisk.length === 0) return { check, state: "good", says: "swap goes to compressed memory only" };
  if (mayNotSwap(proc, cgroups))
    return { check, state: "good", says: "swap is on, and off for the control group of this process" };
  return {
    check,
    state: "bad",
    says: `swap is on (${onDisk.join(", ")}): what a node has in memory may get to that disk`,
    remedy: "swapoff -a and take it out of /etc/fstab, or MemorySwapMax=0 in the unit of systemd",
  };
}

/** Whether a control group around this process (version 2) allows no swap. */
function mayNotSwap(proc: string, cgroups: string): boolean {
  const [, group] = /^0::(\/.*)$/m.exec(read(join(proc, "self", "cgroup")) ?? "") ?? [];
  for (let at = group; at !== undefined; at = at === "/" ? undefined : dirname(at))
    if (read(join(cgroups, at, "memory.swap.max")) === "0") return true;
  return false;
}

function coreDumps(proc: string): Finding {
  const check = "core dumps";
  switch (emptyCoreDumps(proc)) {
    case "empty":
      return { check, state: "good", says: "a node that is served leaves its memory out of them" };
    case "none":
      return { check, state: "good", says: "they are off" };
    case "unknown":
      return { check, state: "note", says: "this system does not tell whether it makes them" };
    case "whole":
      return {
        check,
        state: "bad",
        says: "when a node crashes, the system keeps all of its memory",
        remedy:
          "ulimit -c 0 before it is started, or LimitCORE=0 in its unit; where /proc/sys/kernel/core_pattern begins with |, " +
          "also CoredumpFilter=0, or another pattern",
      };
  }
}

function secrets(home: string): Finding {
  const check = "home";
  if (process.platform === "win32")
    return { check, state: "note", says: `see for yourself that only you can read ${home}` };
  const folder = stats(home);
  if (folder === undefined)
    return { check, state: "note", says: `there is no ${home} yet; the first start makes it, for you alone` };
  const { key, identity } = homePaths(home);
  const wanted = [
    [home, folder, "700"] as const,
    ...[key, identity].map((file) => [file, stats(file), "600"] as const),
  ];
  for (const [path, found, mode] of wanted) {
    if (found === undefined) continue;
    if (found.uid !== process.getuid?.())
      return {
        check,
        state: "bad",
        says: `${path} belongs to another user`,
        remedy: `chown it to who runs the node, or run this as that user`,
      };
    if ((found.mode & 0o077) !== 0)
      return { check, state: "bad", says: `other users can get at ${path}`, remedy: `chmod ${mode} ${path}` };
  }
  const has = [key, identity].some(existsSync);
  return { check, state: "good", says: `${home} is for you alone${has ? ", and so are its secrets" : ", and empty"}` };
}

function openFiles(proc: string): Finding {
  const check = "open files";
  const [, limit] = /^Max open files +(\d+|unlimited) /m.exec(read(join(proc, "self", "limits")) ?? "") ?? [];
  if (limit === undefined) return { check, state: "note", says: "this system does not tell how many are allowed" };
  if (limit !== "unlimited" && Number(limit) < FILES)
    return {
      check,
      state: "bad",
      says: `only ${limit} files and connections at once are allowed; TCP alone may want 512, or what --connections says`,
      remedy: `ulimit -n ${FILES} before it is started, or LimitNOFILE=${FILES} in its unit`,
    };
  return { check, state: "good", says: limit === "unlimited" ? "as many as there are" : `up to ${limit}` };
}

/** Where the home lies, or would. */
function disk(home: string): Finding {
  const check = "disk";
  let at = home;
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  try {
    const { bavail, bsize } = statfsSync(at);
    const mib = Math.floor((bavail * bsize) / 2 ** 20);
    const free = mib < 10_240 ? `${mib} MiB are free` : `${Math.floor(mib / 1024)} GiB are free`;
    if (mib >= DISK_MIB) return { check, state: "good", says: free };
    return {
      check,
      state: "bad",
      says: `${free} where the home is: files of contacts wait, and without any mail rests`,
      remedy: "make room there, or let `keep CONTACT DAYS` erase old mail; a cache alone needs none",
    };
  } catch {
    return { check, state: "note", says: "this system does not tell how much is free" };
  }
}

/** Whether others can get through to where a daemon listens, as far as its addresses tell. */
export function reach(paths: readonly { readonly ip?: string; readonly port?: number }[]): Finding {
  const check = "address";
  const ips = [...new Set(paths.map(({ ip = "" }) => ip))];
  if (ips.some((ip) => !isPrivate(ip)))
    return { check, state: "good", says: "it has an address of the internet; a firewall may still stand before it" };
  const [port = 42_424] = paths.map((path) => path.port);
  return {
    check,
    state: "note",
    says:
      `it has addresses of this network alone (${ips.join(", ")}): others reach it from outside by a cache only. To be reached ` +
      `straight, forward port ${port}, UDP and TCP, in the router, and add --advertise HOST:${port}`,
  };
}

/** RFC 1918, 6598, 3927, 1122; RFC 4193, 4291. */
function isPrivate(ip: string): boolean {
  if (isIPv4(ip))
    return /^(10|127|169\.254|192\.168|172\.(1[6-9]|2\d|3[01])|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7]))\./.test(ip);
  return !isIPv6(ip) || /^(f[cd]|fe[89ab]|::1$)/i.test(ip);
}

function clock(home: string, now: number): Finding {
  const check = "clock";
  const remedy = "let it be set from the network: timedatectl set-ntp true, or chrony";
  const says = `it says ${new Date(now).toISOString().slice(0, 16).replace("T", " ")} UTC`;
  if (now < EARLIEST) return { check, state: "bad", says: `${says}, which is long ago`, remedy };
  const latest = Math.max(...[home, ...files(home)].map((path) => stats(path)?.mtimeMs ?? 0));
  if (latest > now + TOLERANCE_MS)
    return { check, state: "bad", says: `${says}, but something in ${home} was written later than that`, remedy };
  return { check, state: "good", says };
}

function cryptography(backend: string): Finding {
  const check = "cryptography";
  if (backend === "sodium-native") return { check, state: "good", says: "sodium-native, the fastest" };
  return { check, state: "note", says: `${backend}: right, but slower than sodium-native, which does not load here` };
}

/** Options with which Node writes what it has in memory into files, or shows it to a debugger. */
function diagnostics(options: readonly string[]): Finding {
  const check = "diagnostics";
  const found = options.find((option) => SPILLING.test(option));
  if (found === undefined) return { check, state: "good", says: "Node is not told to write its memory into files" };
  return {
    check,
    state: "bad",
    says: `Node runs with ${found.split("=")[0]}, which shows its memory to others or writes it into files`,
    remedy: "take it out of NODE_OPTIONS or of the command",
  };
}

function files(dir: string): string[] {
  try {
    return readdirSync(dir).map((name) => join(dir, name));
  } catch {
    return [];
  }
}

function stats(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return undefined;
  }
}

const DISK_MIB = 256;
const FILES = 1024; // 512 connections of TCP, the store, the API
const EARLIEST = Date.UTC(2026, 0, 1);
const TOLERANCE_MS = 60_000;
const SPILLING =
  /^--(inspect|heapsnapshot|heap-prof|diagnostic-dir|report-(on|uncaught)|cpu-prof|abort-on|trace-event)/;
