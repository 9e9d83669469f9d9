/**
 * The way to a Redis Cluster: calls of our functions wherever a slot is at the moment, announcements of the recipients that
 * somebody waits for, and what has to be looked after on every server of it. What moves, fails over or comes back empty is
 * met here; what a call means is not known here.
 */
import { Cluster, type Redis } from "ioredis";
import { RestanteError } from "restante";
import { FUNCTIONS, LIBRARY, LIBRARY_CODE } from "./redis-function.ts";
import { settingsProblems } from "./redis-settings.ts";

export interface LinkOptions {
  /** "redis://[user:password@]host:port" (or rediss) of some servers of the cluster; the others are found. */
  readonly servers: readonly string[];
  /** Also use servers whose settings are bad or not told. */
  readonly allowPersistence: boolean;
  /** Told in plain words when something needs a person. */
  readonly trouble: (message: string) => void;
  /** Something was announced on a channel that is watched. */
  readonly announced: (channel: string, message: Buffer) => void;
  /** Servers came or went, or slots moved: announcements may have been missed. */
  readonly moved: () => void;
}

/** Why a call failed: there is no memory left, the call itself is bad, or it may work in a while. */
export type CallFailure = "memory" | "call" | "later";

type Arguments = readonly (string | number | Buffer)[];

/** A connection to a whole cluster. */
export class ClusterLink {
  readonly #options: LinkOptions;
  readonly #cluster: Cluster;
  #isUp = false;
  #isClosed = false;
  #loading: Promise<void> | undefined;

  /** Connects, checks the settings of every server, and loads our functions. Throws "bad-cluster", "no-cluster", "no-config", "not-memory-only". */
  static async open(options: LinkOptions): Promise<ClusterLink> {
    const link = new ClusterLink(options);
    try {
      await link.#connect();
      await link.#checkAll();
      await link.#load();
    } catch (error) {
      link.close();
      throw error;
    }
    link.#isUp = true;
    return link;
  }

  private constructor(options: LinkOptions) {
    this.#options = options;
    const servers = options.servers.map(parseServer);
    const [{ username, password, tls } = {}] = servers;
    this.#cluster = new Cluster(
      servers.map(({ host, port }) => ({ host, port })),
      {
        lazyConnect: true,
        shardedSubscribers: true,
        // A secret of one server is that of all: the cluster itself tells nothing but addresses.
        redisOptions: {
          commandTimeout: CALL_MS,
          maxRetriesPerRequest: 1,
          ...(username === undefined ? {} : { username }),
          ...(password === undefined ? {} : { password }),
          ...(tls ? { tls: {} } : {}),
        },
        maxRedirections: MAX_REDIRECTIONS,
        retryDelayOnFailover: RETRY_MS,
        retryDelayOnClusterDown: RETRY_MS,
        // A connection that is lost is not made again: who serves its slots now is asked of the others.
        slotsRefreshInterval: REFRESH_MS,
        clusterRetryStrategy: (times) =>
          this.#isClosed || (!this.#isUp && times > START_TRIES) ? null : Math.min(times * RETRY_MS, MAX_RETRY_MS),
      },
    );
    const moved = (): void => {
      if (this.#isUp) options.moved();
    };
    this.#cluster.on("error", () => {}); // each call that fails for it says so itself
    this.#cluster.on("subscribersReady", moved);
    this.#cluster.on("-node", moved);
    this.#cluster.on("+node", (server: Redis) => {
      moved();
      if (this.#isUp) this.#check(server).then((problems) => problems.forEach(options.trouble), nothing);
    });
    this.#cluster.on("smessageBuffer", (channel: Buffer, message: Buffer) =>
      options.announced(channel.toString("latin1"), message),
    );
  }

  /**
   * Calls a function of ours for a recipient, and gives what `took` makes of the answer, in the order in which answers come.
   * Rejects as `callFailure` tells; whether it was carried out is not known then.
   */
  async call<T>(name: string, keys: readonly string[], args: Arguments, took: (answer: unknown) => T): Promise<T> {
    const call = (): Promise<T> => this.#cluster.callBuffer("FCALL", name, keys.length, ...keys, ...args).then(took);
    try {
      return await call();
    } catch (error) {
      // A server that came back empty, or a new one.
      if (!isReply(error, /function not found/i)) throw error;
      await this.#load();
      return call();
    }
  }

  /** Asks every primary about the slots that it serves, some at a time; `took` gets those and the answer, in order as above. */
  async survey(
    limit: number,
    now: number,
    books: (slot: number) => readonly string[],
    took: (slots: readonly number[], answer: unknown) => void,
  ): Promise<void> {
    const served = new Map<string, number[]>();
    this.#cluster.slots.forEach(([server], slot) => {
      if (server === undefined) return;
      const slots = served.get(server);
      if (slots === undefined) served.set(server, [slot]);
      else slots.push(slot);
    });
    const ask = async (server: Redis): Promise<void> => {
      const all = served.get(addressOf(server)) ?? [];
      for (let at = 0; at < all.length; at += SURVEY_SLOTS) {
        const slots = all.slice(at, at + SURVEY_SLOTS);
        const args = [FUNCTIONS.survey, 0, now, limit, ...slots.flatMap(books)];
        await server.call("FCALL", ...args).then((answer) => took(slots, answer));
      }
    };
    await Promise.all(this.#primaries().map(ask));
  }

  async watch(channel: string): Promise<void> {
    await this.#cluster.ssubscribe(channel);
  }

  async unwatch(channel: string): Promise<void> {
    await this.#cluster.sunsubscribe(channel);
  }

  close(): void {
    this.#isClosed = true;
    this.#cluster.disconnect();
  }

  async #connect(): Promise<void> {
    try {
      await this.#cluster.connect();
    } catch (cause) {
      const last = (cause as { lastNodeError?: Error }).lastNodeError ?? (cause as Error);
      const why = isReply(last, /cluster support disabled/)
        ? "this Redis is no cluster: set cluster-enabled yes"
        : `no Redis Cluster answers at ${this.#options.servers.map(withoutSecret).join(", ")} (${last.message})`;
      throw new RestanteError("no-cluster", why, { cause });
    }
  }

  async #checkAll(): Promise<void> {
    if (this.#options.allowPersistence) return;
    const problems = await Promise.all(this.#cluster.nodes("all").map((server) => this.#check(server)));
    const all = problems.flat();
    if (all.length > 0)
      throw new RestanteError("not-memory-only", `mail that waits must lie in memory alone. ${all.join(". ")}`);
  }

  async #check(server: Redis): Promise<string[]> {
    if (this.#options.allowPersistence) return [];
    return settingsProblems(addressOf(server), (names) => settingsOf(server, names));
  }

  #load(): Promise<void> {
    this.#loading ??= this.#loadNow().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #loadNow(): Promise<void> {
    const results = await Promise.allSettled(this.#primaries().map(loadFunctions));
    for (const result of results) {
      if (result.status === "rejected" && !this.#isUp)
        throw new RestanteError(
          "no-functions",
          `the functions of this store cannot be loaded, which needs Redis 7.0 or later, and memory: ${result.reason}`,
        );
    }
  }

  #primaries(): Redis[] {
    return this.#cluster.nodes("master");
  }
}

/** A server whose memory is full loads nothing, not even what it has. */
async function loadFunctions(server: Redis): Promise<void> {
  const found = (await server.call("FUNCTION", "LIST", "LIBRARYNAME", LIBRARY)) as unknown[];
  if (found.length === 0) await server.call("FUNCTION", "LOAD", "REPLACE", LIBRARY_CODE);
}

/** What a rejected call means. */
export function callFailure(error: unknown): CallFailure {
  if (isReply(error, /^OOM|OOM command not allowed/)) return "memory";
  return isReply(error, /^ERR (?!Error running script: (MOVED|ASK|CLUSTERDOWN))/) ? "call" : "later";
}

/** Whether a server answered with an error that says this. */
export function isReply(error: unknown, text: RegExp): boolean {
  return error instanceof Error && error.name === "ReplyError" && text.test(error.message);
}

/** For `settingsProblems`. */
export async function settingsOf(server: Redis, names: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const told = (await server.call("CONFIG", "GET", ...names)) as string[] | Record<string, string>;
  if (!Array.isArray(told)) return new Map(Object.entries(told));
  return new Map(told.flatMap((name, i) => (i % 2 === 0 ? [[name, told[i + 1] ?? ""] as const] : [])));
}

/** Where a server is, from "redis://[user:password@]host:port" (or rediss). Throws "bad-cluster". */
export function parseServer(text: string): {
  host: string;
  port: number;
  username?: string;
  password?: string;
  tls: boolean;
} {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !["redis:", "rediss:"].includes(url.protocol) || url.hostname === "")
    throw new RestanteError("bad-cluster", `"${withoutSecret(text)}" is no Redis server: write redis://host:port`);
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: Number(url.port || 6379),
    tls: url.protocol === "rediss:",
    ...(url.username === "" ? {} : { username: decodeURIComponent(url.username) }),
    ...(url.password === "" ? {} : { password: decodeURIComponent(url.password) }),
  };
}

/** An address as it may be shown. */
export function withoutSecret(text: string): string {
  return text.replace(/\/\/[^@/]*@/, "//");
}

function addressOf(server: Redis): string {
  return `${server.options.host}:${server.options.port}`;
}

function nothing(): void {}

const CALL_MS = 5_000;
const RETRY_MS = 100;
const MAX_RETRY_MS = 1_000;
const REFRESH_MS = 2_000; // beside what redirections tell
const START_TRIES = 5;
const MAX_REDIRECTIONS = 16;
const SURVEY_SLOTS = 256; // slots in one call: half a millisecond of a server
