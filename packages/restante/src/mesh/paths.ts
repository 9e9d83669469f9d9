/**
 * The `path` channel: linked peers tell each other their addresses, and where they see each other. So two that met by a
 * router find a straight path. protocol/routing.md §6
 */
import type { Time } from "../bytes/index.ts";
import { isRelayed, isStream, type Path, parsePath, pathJson, pathKey } from "../card/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { packetRoom } from "../e3x/index.ts";
import type { JsonObject } from "../wire/index.ts";

/** What we tell of ourselves, whom, and what others told us. */
export class Paths {
  #own: readonly Path[] | undefined;
  readonly #seen = new Map<Hashname, Path>(); // by our routers
  readonly #told = new Map<Hashname, Time>(); // whom we told our addresses, and when
  readonly #taken = new Map<Hashname, Time>(); // whose addresses we took, and when

  /** `own`: our addresses; without any list (not even an empty one) nobody is told anything. */
  constructor(own: readonly Path[] | undefined) {
    this.#own = own;
  }

  set own(paths: readonly Path[]) {
    this.#own = paths;
  }

  /** The head of a request to `peer`; `undefined` when we tell nothing, or told it within the last 30 s. */
  request(peer: Hashname, now: Time): JsonObject | undefined {
    if (this.#own === undefined || !isDue(this.#told, peer, now)) return undefined;
    const known = [...this.#own, ...this.#seen.values()].filter((path) => !isRelayed(path) && path.type !== "unix");
    const paths = [...new Map(known.map((path) => [pathKey(path), path])).values()].slice(0, PATHS).map(pathJson);
    const head = (): JsonObject => ({ type: "path", paths });
    while (packetRoom(head(), false) < 0) paths.pop();
    return head();
  }

  /** The addresses in a request of `peer`, as far as they are taken now. */
  offered(peer: Hashname, head: JsonObject, now: Time): readonly Path[] {
    const list = head["paths"];
    if (!Array.isArray(list)) return [];
    // Longer lists than ours are cut, not refused: an old peer may name every interface that it has.
    const paths = list
      .slice(0, LOOKED_AT)
      .map((json) => parsePath(json))
      .filter((path) => path !== undefined)
      .filter((path) => !isRelayed(path))
      .slice(0, PATHS);
    return paths.length > 0 && isDue(this.#taken, peer, now) ? paths : [];
  }

  /**
   * Where `peer` says that it sees us; `undefined` when that is no news. What a router says (`isRouter`) is told to
   * others later: where datagrams from us come from, they may also be sent to.
   */
  seen(peer: Hashname, head: JsonObject, isRouter: boolean): Path | undefined {
    const path = parsePath(head["path"]);
    if (path === undefined || isRelayed(path)) return undefined;
    if (!isRouter || isStream(path) || path.type === "ws") return path;
    const former = this.#seen.get(peer);
    if (former !== undefined && pathKey(former) === pathKey(path)) return undefined;
    this.#seen.delete(peer);
    bound(this.#seen, ROUTERS);
    this.#seen.set(peer, path);
    return path;
  }
}

/** The head of the answer to a request: where it goes to. */
export function pathAnswer(path: Path): JsonObject {
  return { path: pathJson(path) };
}

/** Whether it is 30 s since it was due for this peer; notes it if so. */
function isDue(times: Map<Hashname, Time>, peer: Hashname, now: Time): boolean {
  const last = times.get(peer);
  if (last !== undefined && now >= last && now < last + PATHS_MS) return false;
  times.delete(peer);
  bound(times, PEERS);
  times.set(peer, now);
  return true;
}

/** Makes room for one more, at the cost of the oldest. */
function bound<K>(map: Map<K, unknown>, limit: number): void {
  const [oldest] = map.size >= limit ? map.keys() : [];
  if (oldest !== undefined) map.delete(oldest);
}

const PATHS = 8;
const LOOKED_AT = 32;
const PATHS_MS = 30_000;
const PEERS = 4_096;
const ROUTERS = 16;
