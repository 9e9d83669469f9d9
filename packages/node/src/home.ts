/** The home of a daemon or of a cache: the folder with its secrets, its store and its socket. One process at a time. */
import { createHash } from "node:crypto";
import { realpath } from "node:fs/promises";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { setTimeout } from "node:timers/promises";
import { RestanteError } from "restante";
import { claim } from "./store/claim.ts";
import { privateFolder } from "./store/private-file.ts";

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

/** A home that is ours until `release`. */
export interface Home extends HomePaths {
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
 * Make the home where there is none (mode 0700), and claim it for this process. A claim of a process that died is void.
 * Throws "open-permissions" when other users can get into the folder, "home-locked" when another process has it.
 */
export async function openHome(dir: string): Promise<Home> {
  const paths = homePaths(dir);
  await privateFolder(paths.dir);
  const claimed = await claim(paths.dir);
  if (claimed.pid !== undefined) throw locked(`process ${claimed.pid}`, paths.dir);
  try {
    const leave = await takePlace(paths.dir);
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
 * The same for a cache, which writes nothing but its identity: where the system can keep a place without a file (Linux), no
 * claim is put down, and the folder may be a read-only one.
 */
export async function openCacheHome(dir: string): Promise<Home> {
  if (process.platform !== "linux") return openHome(dir);
  const paths = homePaths(dir);
  await privateFolder(paths.dir);
  return { ...paths, release: await takePlace(paths.dir) };
}

/**
 * Bind a name that follows from the folder in Linux's abstract namespace (unix(7)): it is no file, it is gone with the
 * process, and two cannot have it. Gives what frees it. Other systems have no such names: nothing happens there.
 */
async function takePlace(dir: string): Promise<() => Promise<void>> {
  if (process.platform !== "linux") return async () => {};
  const name = createHash("sha256")
    .update(`${process.getuid?.()} ${await realpath(dir)}`)
    .digest("hex");
  const server = createServer((socket) => socket.destroy());
  const listen = (): Promise<NodeJS.ErrnoException | undefined> =>
    new Promise((resolve) => {
      server.once("error", resolve);
      server.listen(`\0restante-${name.slice(0, 32)}`, () => {
        server.off("error", resolve);
        resolve(undefined);
      });
    });
  let failure = await listen();
  // A process that is just being started holds what its parent had, until its own program runs.
  for (let tries = 1; failure?.code === "EADDRINUSE" && tries < PLACE_TRIES; tries++) {
    await setTimeout(PLACE_RETRY_MS);
    failure = await listen();
  }
  if (failure?.code === "EADDRINUSE") throw locked("another process", dir);
  if (failure !== undefined) return async () => {}; // a sandbox allows no such names
  server.unref(); // a name alone keeps no process running
  return () => new Promise((resolve) => server.close(() => resolve()));
}

function locked(who: string, dir: string): RestanteError {
  return new RestanteError("home-locked", `${who} uses ${dir} already; stop it first, or use another home`);
}

const PLACE_TRIES = 6;
const PLACE_RETRY_MS = 100;
const SOCKET_BYTES = 100; // sun_path of unix(7) holds 107 bytes, on some systems 103
