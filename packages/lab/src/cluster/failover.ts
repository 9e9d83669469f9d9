/**
 * What a cluster loses when a primary is killed: of the messages that it had confirmed, some may not have reached its replica.
 * The sender's node has them until the recipient acknowledges, end to end, and offers them again.
 */
import { randomBytes } from "node:crypto";
import { redisBoxStore } from "@restante/node";
import { createPeer, MemoryNetwork, memoryStore, type Peer, type Store } from "restante";
import { type Backend, createCrypto, createIdentity, type Identity } from "restante/protocol";
import type { RedisCluster, RedisServer } from "./servers.ts";

export interface FailoverOptions {
  readonly cluster: RedisCluster;
  /** Whether the replica of the victim stands still for a while before the kill, as one on a bad network does. */
  readonly lags: boolean;
  /** How long to load it before, and after. */
  readonly beforeMs: number;
  readonly afterMs: number;
}

export interface FailoverResult {
  readonly confirmed: number;
  /** Of these, not there any more afterwards. */
  readonly lost: number;
  readonly refused: number;
  readonly perSecond: number;
  /** The longest time that a recipient was without a confirmation: of those on the killed server, and the median of all. */
  readonly outageMs: number;
  readonly medianMs: number;
}

/** Loads the store of a cluster, kills a primary meanwhile, and counts what was confirmed and is gone. */
export async function failover({ cluster, lags, beforeMs, afterMs }: FailoverOptions): Promise<FailoverResult> {
  const load = await startLoad(cluster, lags ? LARGE_BYTES : MESSAGE_BYTES);
  try {
    await pause(beforeMs);
    const perSecond = Math.round((1000 * load.confirmed()) / beforeMs);
    const [victim] = await cluster.primaries();
    if (victim === undefined) throw new Error("there is no primary");
    const replica = await cluster.replicaOf(victim);
    if (lags) {
      replica.signal("SIGSTOP");
      await behind(victim);
      await pause(LAG_MS);
    }
    await victim.kill();
    replica.signal("SIGCONT");
    await pause(afterMs);
    const gaps = await load.stop();
    const lost = await load.lost();
    const [medianMs = 0, outageMs = 0] = [gaps[gaps.length >> 1], gaps.at(-1)];
    return { confirmed: load.confirmed(), lost, refused: load.refused(), perSecond, outageMs, medianMs };
  } finally {
    await load.stop();
    await load.close();
  }
}

/** Messages for many recipients, one at a time for each: those on a killed server do not hold up the others. */
async function startLoad(cluster: RedisCluster, length: number) {
  const rate = { burst: 1e12, perSecond: 1e12 };
  const store = await redisBoxStore({ servers: cluster.addresses, clusterKey: randomBytes(32), senderRate: rate });
  const confirmed = new Map<string, Set<string>>();
  let isOver = false;
  /** The longest time of it without a confirmation. */
  const lane = async (recipient: string): Promise<number> => {
    const ids = new Set<string>();
    confirmed.set(recipient, ids);
    let longest = 0;
    for (let n = 1, then = Date.now(); !isOver; n++) {
      const [id, bytes] = [hex(n), new Uint8Array(length).fill(n)];
      const put = { type: "put", op: n, recipient, box: BOX, id, bytes, class: "contact" } as const;
      const answers = await store.handle({ ...put, expires: then + 3_600_000 }, then);
      const now = Date.now();
      longest = Math.max(longest, now - then);
      if (length === LARGE_BYTES) await pause(LARGE_PACE_MS);
      then = Date.now();
      if (answers.some(({ type }) => type === "gained")) ids.add(id);
    }
    return longest;
  };
  const lanes = Array.from({ length: RECIPIENTS }, (_, i) => lane(`recipient ${i}`));
  return {
    confirmed: () => [...confirmed.values()].reduce((sum, { size }) => sum + size, 0),
    refused: () => store.stats().refused,
    close: () => store.close(),
    async stop(): Promise<number[]> {
      isOver = true;
      return (await Promise.all(lanes)).sort((a, b) => a - b);
    },
    async lost(): Promise<number> {
      const lost = [...confirmed].map(([recipient, ids]) => missing(store, recipient, ids));
      return (await Promise.all(lost)).reduce((sum, count) => sum + count, 0);
    },
  };
}

export interface MailsOptions {
  readonly cluster: RedisCluster;
  readonly backend: Backend;
  readonly lags: boolean;
  readonly mails: number;
}

export interface MailsResult {
  readonly mails: number;
  /** What the recipient found in the caches, the sender being away. */
  readonly found: number;
  /** What it had once the sender was back, who offers again what was not acknowledged. */
  readonly had: number;
}

/**
 * Alice writes to bob while he is away, by a cache on the cluster, of which a primary is killed meanwhile. She leaves, and bob
 * collects at both caches. Then she is back.
 */
export async function mailsThroughFailover({ cluster, backend, lags, mails }: MailsOptions): Promise<MailsResult> {
  const others = new Set((await recipients(cluster)).map(({ key }) => key));
  const scene = await cachesOn(cluster, backend);
  try {
    const alice = await scene.alice();
    const sent: Promise<void>[] = [];
    const send = async (n: number): Promise<void> => {
      const id = await alice.send("bob", `mail ${n}`);
      sent.push(reaches(alice, id, "handed"));
    };
    const half = Math.floor(mails / 2);
    for (let n = 0; n < half; n++) await send(n);
    await Promise.all(sent);
    const victim = await homeOfMost(cluster, others);
    const replica = await cluster.replicaOf(victim);
    const load = lags ? await startLoad(cluster, LARGE_BYTES) : undefined;
    if (lags) {
      replica.signal("SIGSTOP");
      await behind(victim);
    }
    const taken = kept(scene.caches);
    for (let n = half; n < mails; n++) await send(n);
    for (let i = 0; lags && i < 1000 && kept(scene.caches) < taken + mails - half; i++) await pause(20);
    await victim.kill();
    replica.signal("SIGCONT");
    await load?.stop();
    await load?.close();
    await Promise.all(sent);
    await quiet(
      () => kept(scene.caches) >= taken + mails - half,
      () => kept(scene.caches),
    );

    await alice.close();

    const bob = await scene.bob();
    const texts = new Set<string>();
    bob.on((event) => event.type === "mail" && event.text !== undefined && texts.add(event.text));
    for (const { text } of await bob.inbox({ limit: 10_000 })) if (text !== undefined) texts.add(text);
    const isAll = (): boolean => texts.size === mails;
    await quiet(isAll, () => texts.size);
    const found = texts.size;
    await scene.alice();
    await quiet(isAll, () => texts.size);
    return { mails, found, had: texts.size };
  } finally {
    await scene.close();
  }
}

export interface Scene {
  /** Alice comes back. */
  alice(): Promise<Peer>;
  /** The two cache nodes of one store. */
  readonly caches: readonly Peer[];
  /** One of them comes back, with its identity and nothing else. */
  cache(which: 0 | 1): Promise<Peer>;
  /** Bob comes back. */
  bob(): Promise<Peer>;
  close(): Promise<void>;
}

/** Two cache nodes on one cluster, bob who joined both and is away, and alice who knows him. */
export async function cachesOn(cluster: RedisCluster, backend: Backend): Promise<Scene> {
  const network = new MemoryNetwork();
  const secret = randomBytes(32);
  const open: { close(): Promise<void> }[] = [];
  const peer = async (name: string, options: Parameters<typeof createPeer>[0] = {}): Promise<Peer> => {
    const made = await createPeer({ transports: [network.transport(name)], backend, name, ...options });
    open.unshift(made);
    return made;
  };
  const close = async (): Promise<void> => {
    for (const each of open.splice(0)) await each.close();
  };
  try {
    const identity = (): Identity =>
      createIdentity(createCrypto(backend), (length) => new Uint8Array(randomBytes(length)));
    const identities = [identity(), identity()] as const;
    const cache = async (which: 0 | 1): Promise<Peer> => {
      const boxes = await redisBoxStore({ servers: cluster.addresses, clusterKey: secret });
      open.unshift(boxes);
      const options = { mail: false, cache: { secret }, boxes, identity: identities[which] };
      return peer(which === 0 ? "carol" : "dave", options);
    };
    const caches = [await cache(0), await cache(1)];
    const [alices, bobs] = [memoryStore(), memoryStore()];
    const alice = await peer("alice", { store: alices });
    const bob = await peer("bob", { store: bobs });
    for (const cache of caches) await bob.join(cache.joinLink());
    const known = new Promise<void>((resolve) => {
      alice.on((event) => event.type === "contact" && !event.isNew && resolve());
    });
    await alice.add(await bob.invite());
    await known;
    // Both go: else she would first try the link that she still believes in.
    await Promise.all([bob.close(), alice.close()]);
    const back = (name: string, store: Store) => () => peer(name, { store });
    return { alice: back("alice", alices), bob: back("bob", bobs), caches, cache, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Until a mail has come so far. */
export async function reaches(peer: Peer, id: string, state: "handed" | "delivered"): Promise<void> {
  const told = new Promise<void>((resolve) => {
    peer.on((event) => event.type === "state" && event.id === id && event.state === state && resolve());
  });
  if (!(await peer.track(id))?.some((entry) => entry.state === state)) await told;
}

async function missing(
  store: Awaited<ReturnType<typeof redisBoxStore>>,
  recipient: string,
  ids: Set<string>,
): Promise<number> {
  const left = new Set(ids);
  for (let after = 0; ; ) {
    const [answer] = await store.handle({ type: "read", op: 0, recipient, box: BOX, after }, Date.now());
    if (answer === undefined) continue; // not now
    if (answer.type !== "message") return left.size;
    left.delete(answer.id);
    after = answer.cursor;
  }
}

/** The primary of the recipient for whom most lies there, but for those that are known: of earlier work. */
async function homeOfMost(cluster: RedisCluster, known: ReadonlySet<string>): Promise<RedisServer> {
  const [best] = (await recipients(cluster)).filter(({ key }) => !known.has(key)).sort((a, b) => b.count - a.count);
  if (best === undefined) throw new Error("nothing has come to the cluster");
  return best.server;
}

/** For each recipient that has messages: the key that they lie under, how many, and where. */
async function recipients(cluster: RedisCluster): Promise<{ server: RedisServer; key: string; count: number }[]> {
  const found: { server: RedisServer; key: string; count: number }[] = [];
  for (const server of await cluster.primaries())
    for (const key of (await server.ask("keys", "*}m")).split("\n").filter((name) => name !== ""))
      found.push({ server, key, count: Number(await server.ask("hlen", key)) });
  return found;
}

/** Until more waits for its replica than fits between the two processes. */
async function behind(primary: RedisServer): Promise<void> {
  for (;;) {
    const waiting = /\bomem=(\d+)/.exec(await primary.ask("client", "list", "type", "replica"))?.[1];
    if (Number(waiting) > BEHIND_BYTES) return;
    await pause(50);
  }
}

/** What the caches' store has confirmed to them. */
function kept(caches: readonly Peer[]): number {
  return caches.reduce((sum, cache) => sum + (cache.status().held?.gained ?? 0), 0);
}

/** Until it is so, or nothing has changed for a while. */
async function quiet(isEnough: () => boolean, value: () => number): Promise<void> {
  for (let since = Date.now(), was = value(); !isEnough() && Date.now() - since < QUIET_MS; await pause(50)) {
    if (value() === was) continue;
    was = value();
    since = Date.now();
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function hex(n: number): string {
  return n.toString(16).padStart(16, "0");
}

const RECIPIENTS = 300;
const MESSAGE_BYTES = 256;
/** So much a second that it does not fit between two processes while one of them stands still. */
const LARGE_BYTES = 16 * 1024;
const LARGE_PACE_MS = 100; // or they would fill the store
const BOX = hex(1);
const LAG_MS = 500;
const BEHIND_BYTES = 1024 * 1024;
const QUIET_MS = 8_000; // longer than an outage
