/** The home of a daemon or of a cache: the folder with its secrets, its store and its socket. One process at a time. */
import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { RestanteError } from "restante";
import { claim } from "./store/claim.ts";
import { privateFolder, readPrivate } from "./store/private-file.ts";
import { holdName } from "./store/secret-name.ts";

/** Where things lie in a home. Absolute paths; nothing there need exist. */
export interface HomePaths {
  readonly dir: string;
  /** The store's key, for `loadOrCreateKey`. */
  readonly key: string;
  /** The identity of a cache-only process, for `loadOrCreateIdentity`. */
  readonly identity: string;
  /** What the cache nodes of one Redis Cluster share, for `loadOrCreateKey`. */
  readonly clusterKey: string;
  /** The store's folder, for `levelStore`. */
  readonly store: string;
  /** The unix socket of the API: in the home, or under $XDG_RUNTIME_DIR where that path is too long for a socket. */
  readonly sock: string;
}

/** The file with the settings of a daemon: TOML. docs/config.md */
export interface ConfigPlace {
  readonly path: string;
  /** Somebody named it: it has to be there. */
  readonly must: boolean;
}

/** A home that is ours until `release`. */
export interface Home extends HomePaths {
  /** When it resolves, another process may have the home. */
  release(): Promise<void>;
}

/** The paths in a home, without touching it: for those who only want to talk to its daemon. */
export function homePaths(dir: string): HomePaths {
  const home = resolve(dir);
  const sock = join(home, "sock");
  const runtime = process.env["XDG_RUNTIME_DIR"];
  const isLong = Buffer.byteLength(sock) > SOCKET_BYTES && runtime !== undefined && runtime !== "";
  const name = createHash("sha256").update(home).digest("hex").slice(0, 16);
  return {
    dir: home,
    key: join(home, "key"),
    identity: join(home, "identity.json"),
    clusterKey: join(home, "cluster-key"),
    store: join(home, "store"),
    sock: isLong ? join(runtime, `restante-${name}.sock`) : sock,
  };
}

/**
 * Which file counts: the one that is named, that of a home that is named, that of the user
 * ($XDG_CONFIG_HOME/restante/config.toml). Only the first has to be there.
 */
export function configPlace(named: string | undefined, home: string | undefined, env: NodeJS.ProcessEnv): ConfigPlace {
  if (named !== undefined && named !== "") return { path: named, must: true };
  if (home !== undefined) return { path: join(home, "config.toml"), must: false };
  const config = env["XDG_CONFIG_HOME"];
  const base = config?.startsWith("/") ? config : join(homedir(), ".config");
  return { path: join(base, "restante", "config.toml"), must: false };
}

/**
 * The home of another identity of this home: a home of its own, below it. Throws "bad-name" for what would be no folder, or not
 * one there.
 */
export function homeOfIdentity(dir: string, name: string): string {
  if (!IDENTITY_NAME.test(name))
    throw new RestanteError(
      "bad-name",
      `"${name}" names no identity: up to 32 letters, digits, dots, dashes and underscores, the first a letter or digit`,
    );
  return join(resolve(dir), "id", name);
}

/** Names of the other identities of a home, sorted. */
export async function identitiesOf(dir: string): Promise<string[]> {
  const entries = await readdir(join(resolve(dir), "id"), { withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
      return [];
    },
  );
  return entries.flatMap((it) => (it.isDirectory() && IDENTITY_NAME.test(it.name) ? [it.name] : [])).sort();
}

/** Make the home of another identity, empty: its first start makes all that is in it. Throws "bad-name", "home-not-empty". */
export async function createIdentityHome(dir: string, name: string): Promise<string> {
  const home = homeOfIdentity(dir, name);
  if ((await identitiesOf(dir)).includes(name))
    throw new RestanteError("home-not-empty", `there is an identity "${name}" already`);
  await privateFolder(resolve(dir));
  await privateFolder(home);
  return home;
}

/**
 * Make the home where there is none (mode 0700), and claim it for this process. A claim of a process that died is void.
 * Throws "open-permissions" when other users can get into the folder, "home-locked" when another process has it.
 */
export async function openHome(dir: string): Promise<Home> {
  const paths = homePaths(dir);
  await privateFolder(paths.dir);
  const claimed = await claim(paths.dir);
  if (claimed.pid !== undefined) throw locked(`process ${claimed.pid}`, paths.dir);
  try {
    const leave = await claimCache(paths);
    const release = async (): Promise<void> => {
      await leave();
      await claimed.release();
    };
    return { ...paths, release };
  } catch (error) {
    await claimed.release();
    throw error;
  }
}

/**
 * The same for a cache, which writes nothing but its identity: where the system can keep a name without a file (Linux), no
 * claim is put down, and the folder may be a read-only one. There it is to be claimed by `claimCache` once it has an identity.
 */
export async function openCacheHome(dir: string): Promise<Home> {
  if (process.platform !== "linux") return openHome(dir);
  const paths = homePaths(dir);
  await privateFolder(paths.dir);
  return { ...paths, release: async () => {} };
}

/** Keep the identity file of a cache to this process. Gives what frees it; nothing to free without one. Throws "home-locked". */
export async function claimCache({ dir, identity }: HomePaths): Promise<() => Promise<void>> {
  const secret = await readPrivate(identity);
  const leave = secret === undefined ? async () => {} : await holdName(secret);
  if (leave === undefined) throw locked("a cache", dir);
  return leave;
}

/**
 * Keep an identity to this process, as far as this machine goes: two on copies of one home take each other's mail. `secret`: the
 * identity as it is stored, the same in all copies. Gives what frees it. Throws "identity-in-use". Where the system knows no such
 * names (not Linux; another container) nothing is noticed.
 */
export async function claimIdentity(secret: Uint8Array): Promise<() => Promise<void>> {
  const leave = await holdName(secret);
  if (leave !== undefined) return leave;
  throw new RestanteError(
    "identity-in-use",
    "another daemon on this machine runs as the same identity, on a copy of this home; stop it first",
  );
}

function locked(who: string, dir: string): RestanteError {
  return new RestanteError("home-locked", `${who} uses ${dir} already; stop it first, or use another home`);
}

const IDENTITY_NAME = /^[A-Za-z0-9][\w.-]{0,31}$/;
const SOCKET_BYTES = 100; // sun_path of unix(7) holds 107 bytes, on some systems 103
