/** The home of a daemon: the folder with its secrets, its store and its socket. One daemon at a time. */
import { createHash } from "node:crypto";
import { join, resolve } from "node:path";
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
  if (claimed.pid !== undefined)
    throw new RestanteError(
      "home-locked",
      `process ${claimed.pid} uses ${paths.dir} already; stop it first, or use another home`,
    );
  return { ...paths, release: claimed.release };
}

const SOCKET_BYTES = 100; // sun_path of unix(7) holds 107 bytes, on some systems 103
