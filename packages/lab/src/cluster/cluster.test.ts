/** The store of a Redis Cluster on a real one: six processes of redis-server, and what happens to those. */
import { randomBytes } from "node:crypto";
import { loadBackend, type RedisBoxOptions, type RedisBoxStore, redisBoxStore } from "@restante/node";
import type { BoxAnswer, BoxLimits, Peer } from "restante";
import { fromBase32, fromHex } from "restante/protocol";
import { boxStoreSuite } from "restante/testing";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { cachesOn, failover, mailsThroughFailover, reaches } from "./failover.ts";
import { hasRedis, type RedisCluster, startCluster } from "./servers.ts";

const isStrict = process.env["CI_STRICT"] === "1";
if (!hasRedis()) console.warn("redis-server is missing: the tests with a Redis Cluster are left out");

describe.skipIf(!hasRedis() && !isStrict)("a Redis Cluster", () => {
  let cluster: RedisCluster;
  const stores: RedisBoxStore[] = [];
  beforeAll(async () => {
    cluster = await startCluster(["--cluster-node-timeout", "1000"]);
  });
  afterAll(() => cluster?.stop());

  const make = (options: Partial<RedisBoxOptions> = {}): Promise<RedisBoxStore> =>
    redisBoxStore({ servers: cluster.addresses, clusterKey: randomBytes(32), ...options });
  const everywhere = async (...command: string[]): Promise<string[]> =>
    Promise.all(cluster.servers.filter(({ pid }) => pid !== undefined).map((server) => server.ask(...command)));
  const open = async (options: Partial<RedisBoxOptions> = {}): Promise<RedisBoxStore> => {
    const store = await make(options);
    stores.push(store);
    return store;
  };

  // Together, since a call waits for the network most of the time.
  describe.concurrent("does what every box store does", () => {
    const suiteStores: RedisBoxStore[] = [];
    afterAll(async () => {
      for (const store of suiteStores) await store.close();
    });
    const suiteStore = async (limits: BoxLimits): Promise<RedisBoxStore> => {
      const store = await make({ limits });
      suiteStores.push(store);
      return store;
    };
    // Six long random walks are for the store in memory. Here they cost ten times as much: three are made, or two where time is short.
    const isExtra = (name: string): boolean => (isStrict ? /\([3-9]\)$/ : /\([2-9]\)$/).test(name);
    for (const { name, run } of boxStoreSuite(suiteStore))
      if (!isExtra(name)) test(`Redis box store: ${name}`, { timeout: 900_000 }, run);
  });

  describe("shared by several nodes", () => {
    afterEach(async () => {
      for (const store of stores.splice(0)) await store.close();
    });

    test("what is put at one node is told at the other, which reads it; names of another secret find nothing", async () => {
      const clusterKey = randomBytes(32);
      const [a, b, other] = [await open({ clusterKey }), await open({ clusterKey }), await open()];
      const told = new Promise<BoxAnswer>((resolve) => b.listen(resolve, () => new Set([ALICE])));
      expect(await b.handle({ type: "list", op: 1, recipient: ALICE }, NOW)).toEqual([
        { type: "list", op: 1, boxes: [] },
      ]);
      await a.handle(put(1), NOW);
      expect(await told).toEqual({ type: "gained", recipient: ALICE, box: BOX, wasEmpty: true });
      expect(await b.handle({ type: "list", op: 2, recipient: ALICE }, NOW)).toMatchObject([{ boxes: [BOX] }]);
      expect(await read(b)).toEqual([1]);
      expect(await read(other)).toEqual([]);
    });

    test("a dump of every server shows neither recipient nor box nor message id", async () => {
      const store = await open();
      await store.handle(put(1), NOW);
      await store.handle(put(2, { bytes: new Uint8Array(2000).fill(2) }), NOW);
      const serial = "616263646566";
      await store.handle({ type: "revoke", op: 3, recipient: ALICE, serials: [Number.parseInt(serial, 16)] }, NOW);
      const dump: string[] = [];
      for (const server of await cluster.primaries()) {
        for (const key of (await server.ask("keys", "*")).split("\n").filter((name) => name !== "")) {
          const kind = await server.ask("type", key);
          const order = ["zrange", key, "0", "-1", "withscores"];
          const content = kind.startsWith("hash") ? ["hgetall", key] : kind.startsWith("string") ? ["get", key] : order;
          dump.push(key, await server.ask(...content));
        }
      }
      const all = dump.join("\n");
      expect(all).toContain("\x02".repeat(2000)); // it did find what was put
      const recipient = fromBase32(ALICE);
      for (const name of [ALICE, BOX, hex(1), hex(2), serial]) {
        const bytes = name === ALICE ? recipient : fromHex(name);
        expect(bytes?.length).toBeGreaterThan(5); // fewer would be found among sealed bytes by chance
        expect(all).not.toContain(name);
        expect(all).not.toContain(Buffer.from(bytes ?? []).toString("latin1"));
      }
    });

    test("a server that would write to its disk is refused, in plain words, unless told otherwise", async () => {
      const [server] = await cluster.primaries();
      await server?.ask("config", "set", "save", "3600 1");
      await expect(make()).rejects.toMatchObject({ code: "not-memory-only" });
      await expect(make()).rejects.toThrow(
        `127.0.0.1:${server?.port} writes snapshots to its disk (save is "3600 1"): set save ""`,
      );
      await open({ allowPersistence: true });
      await server?.ask("config", "set", "save", "");
      const replica = server && (await cluster.replicaOf(server));
      await replica?.ask("config", "set", "appendonly", "yes");
      await expect(make()).rejects.toThrow(/appendonly/);
      await replica?.ask("config", "set", "appendonly", "no");
      await open();
    });

    test("a user who may not ask for the settings is told so; one who vouches for them may go on", async () => {
      await everywhere("acl", "setuser", "guest", "on", ">word", "~*", "&*", "+@all", "-config");
      const servers = cluster.addresses.map((address) => address.replace("//", "//guest:word@"));
      await expect(make({ servers })).rejects.toMatchObject({ code: "no-config" });
      const store = await open({ servers, allowPersistence: true });
      await store.handle(put(1), NOW);
      expect(await read(store)).toEqual([1]);
    });

    test("what is no cluster is said so", async () => {
      await expect(make({ servers: ["http://127.0.0.1:1"] })).rejects.toMatchObject({ code: "bad-cluster" });
      await expect(make({ servers: ["redis://user:secret@127.0.0.1:1"] })).rejects.toThrow(/answers at redis:\/\/127/);
    });

    test("servers that lost the functions get them again", async () => {
      const store = await open();
      for (const server of await cluster.primaries()) await server.ask("function", "flush");
      await store.handle(put(1), NOW);
      expect(await read(store)).toEqual([1]);
    });

    test("a server without memory refuses new mail, and gives and removes what it holds", async () => {
      const store = await open();
      await store.handle(put(1), NOW);
      await everywhere("config", "set", "maxmemory", "1mb");
      try {
        await store.handle(put(2), NOW);
        expect(store.stats()).toMatchObject({ refused: 1, messages: 1 });
        expect(await read(store)).toEqual([1]);
        // Together in one call, as what comes while another is under way.
        const list = store.handle({ type: "list", op: 1, recipient: ALICE }, NOW);
        const remove = store.handle({ type: "remove", op: 2, recipient: ALICE, box: BOX, id: hex(1) }, NOW);
        expect(await Promise.all([list, remove, store.handle(put(3), NOW)])).toMatchObject([
          [{ boxes: [BOX] }],
          [{ type: "done", op: 2 }],
          [{ type: "done", op: 3 }],
        ]);
        expect(await read(await open())).toEqual([]); // and another node may start
      } finally {
        await everywhere("config", "set", "maxmemory", "0");
      }
      expect(await read(store)).toEqual([]);
    });

    test("who brings more than the rate is answered the same, and not kept", async () => {
      const store = await open({ senderRate: { burst: 600, perSecond: 300 } });
      for (const n of [1, 2, 3]) expect((await store.handle(put(n), NOW)).at(-1)).toEqual({ type: "done", op: n });
      await store.handle(put(4), NOW + 1000);
      expect(await read(store)).toEqual([1, 2, 4]);
    });

    test("a box of thousands is cleared in steps, and what comes meanwhile by another node stays", async () => {
      const clusterKey = randomBytes(32);
      const [a, b] = [await open({ clusterKey }), await open({ clusterKey })];
      await a.handle(put(9999, { box: OTHER_BOX }), NOW); // so that it is not all there is
      await Promise.all(Array.from({ length: 1000 }, (_, i) => a.handle(put(i), NOW)));
      const cleared = a.handle({ type: "clear", op: 1, recipient: ALICE, box: BOX }, NOW);
      const met = Array.from({ length: 20 }, (_, i) => b.handle(put(2000 + i), NOW));
      await Promise.all([cleared, ...met]);
      const left = await read(a);
      expect(left.every((n) => n >= 2000)).toBe(true);
      expect(left.at(-1)).toBe(2019);
      expect(await read(a, OTHER_BOX)).toEqual([9999]);
    });

    test("what has ended goes in a sweep although nobody asks for it, and nothing of the recipient is left", async () => {
      const clusterKey = randomBytes(32);
      const [a, b] = [await open({ clusterKey }), await open({ clusterKey })];
      for (let n = 0; n < 300; n++) await a.handle(put(n, { expires: NOW + 10 }), NOW);
      await a.handle(put(1, { recipient: "bob" }), NOW);
      expect(await b.handle({ type: "sweep", op: 5 }, NOW + 10)).toEqual([{ type: "swept", op: 5, messages: 1 }]);
      // Each knows what all of them put.
      expect(b.stats()).toMatchObject({ recipients: 1, boxes: 1, messages: 1, bytes: 300, expired: 300 });
    });

    test("slots move to another server under load: every message is there, in order", async () => {
      const store = await open();
      const [from, to] = await cluster.primaries();
      if (from === undefined || to === undefined) throw new Error("no cluster");
      let isMoving = true;
      const recipients = Array.from({ length: 100 }, (_, i) => `recipient ${i}`);
      const counts = recipients.map(async (recipient) => {
        let n = 0;
        while (isMoving) await store.handle(put(n++, { recipient }), NOW);
        return n;
      });
      await from.ask("cluster", "info");
      await cluster.moveSlots(from, to, 12);
      isMoving = false;
      for (const [i, count] of (await Promise.all(counts)).entries())
        expect(await read(store, BOX, recipients[i])).toEqual(Array.from({ length: count }, (_, n) => n));
    });

    test("deposit at one cache, collect at another: they are one failure domain, and one of them is enough", async () => {
      const backend = await loadBackend(() => {});
      const scene = await cachesOn(cluster, backend);
      try {
        const alice = await scene.alice();
        const id = await alice.send("bob", "by whichever");
        await reaches(alice, id, "handed");
        const handed = (await alice.track(id))?.filter((entry) => entry.state === "handed");
        expect(handed).toHaveLength(1); // the card says that the two are one store
        const taker = scene.caches.find(({ hashname }) => hashname === handed?.[0]?.cache);
        await taker?.close();
        const bob = await scene.bob();
        const came = nextText(bob);
        expect((await bob.inbox())[0]?.text ?? (await came)).toBe("by whichever");
        await reaches(alice, id, "delivered");
      } finally {
        await scene.close();
      }
    });

    test("a primary is killed under load: another takes over, and what was confirmed is there", async () => {
      const result = await failover({ cluster, lags: false, beforeMs: 500, afterMs: 2500 });
      expect(result.confirmed).toBeGreaterThan(500);
      expect(result.refused).toBe(0);
      // Replication does not wait: what was confirmed in the last instant may be gone.
      expect(result.lost).toBeLessThanOrEqual(result.confirmed / 100);
      for (const server of cluster.servers) if (server.pid === undefined) await server.start();
    });

    test("mail that was under way when a primary was killed is all delivered in the end", async () => {
      const backend = await loadBackend(() => {});
      const { had } = await mailsThroughFailover({ cluster, backend, lags: false, mails: 20 });
      expect(had).toBe(20);
      for (const server of cluster.servers) if (server.pid === undefined) await server.start();
    });

    test("mail that was confirmed and had not reached a lagging replica is lost with its primary, and delivered in the end", async () => {
      const backend = await loadBackend(() => {});
      const { found, had } = await mailsThroughFailover({ cluster, backend, lags: true, mails: 20 });
      expect(found).toBeLessThan(20);
      expect(had).toBe(20);
    });
  });
});

interface Given {
  readonly recipient?: string;
  readonly box?: string;
  readonly bytes?: Uint8Array;
  readonly expires?: number;
}

function put(n: number, given: Given = {}) {
  const bytes = new Uint8Array(300).fill(n & 255);
  const fresh = { type: "put", op: n, recipient: ALICE, box: BOX, id: hex(n), bytes, class: "contact" } as const;
  return { ...fresh, expires: NOW + 1e8, ...given };
}

/** The numbers of the messages in a box, in order. */
async function read(store: RedisBoxStore, box = BOX, recipient = ALICE): Promise<number[]> {
  const found: number[] = [];
  for (let after = 0; ; ) {
    const [answer] = await store.handle({ type: "read", op: 0, recipient, box, after }, NOW);
    if (answer?.type !== "message") return found;
    found.push(Number.parseInt(answer.id, 16) - FIRST_ID);
    after = answer.cursor;
  }
}

async function nextText(peer: Peer): Promise<string | undefined> {
  for await (const event of peer.events()) if (event.type === "mail") return event.text;
  return undefined;
}

function hex(n: number): string {
  return (FIRST_ID + n).toString(16).padStart(16, "0");
}

const FIRST_ID = 0x1d00_0000_0000; // so that no id is a small number that is found everywhere
const NOW = 1_800_000_000_000;
const ALICE = "3ad2hzvcrmzgdbmrpctmvwmntdmsl4s2vstw7vdatbkhyt7elqvq";
const BOX = "b0a1c2d3e4f50617";
const OTHER_BOX = "b0a1c2d3e4f50618";
