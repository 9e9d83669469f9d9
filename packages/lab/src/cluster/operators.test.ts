/** What operators and recipients of a shared store rely on: `restante doctor --cluster`, and revocations that reach every node. */
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadBackend, type RedisBoxStore, redisBoxStore } from "@restante/node";
import type { BoxOp, Peer } from "restante";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { cachesOn, reaches } from "./failover.ts";
import { hasRedis, type RedisCluster, type RedisServer, startCluster } from "./servers.ts";

const program = fileURLToPath(new URL("../../../node/dist/cli/main.js", import.meta.url));
const PAGE = readFileSync(fileURLToPath(new URL("../../../../docs/cluster.md", import.meta.url)), "utf8");
const isStrict = process.env["CI_STRICT"] === "1";

describe.skipIf(!hasRedis() && !isStrict)("a Redis Cluster and its nodes", () => {
  let cluster: RedisCluster;
  let home: string;
  const stores: RedisBoxStore[] = [];
  beforeAll(async () => {
    if (!existsSync(program)) throw new Error("the program is not built: npm run build");
    home = mkdtempSync(join(tmpdir(), "restante-operators-"));
    cluster = await startCluster(["--maxmemory", "100mb", "--maxmemory-policy", "noeviction"]);
  });
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close();
  });
  afterAll(async () => {
    await cluster?.stop();
    rmSync(home, { recursive: true });
  });
  const open = async (clusterKey: Uint8Array): Promise<RedisBoxStore> => {
    const store = await redisBoxStore({ servers: cluster.addresses, clusterKey });
    stores.push(store);
    return store;
  };

  describe("revocations", () => {
    test("what one node was told is void at the other: nothing is kept, removed or cleared by it", async () => {
      const clusterKey = randomBytes(32);
      const [a, b] = [await open(clusterKey), await open(clusterKey)];
      // Before anything lies there, and after.
      await a.handle(revoke([7, 8]), NOW);
      await b.handle(put(1, { serial: 7 }), NOW);
      expect(await read(b)).toEqual([]);
      await b.handle(put(2, { serial: 9 }), NOW);
      await b.handle(put(3, { serial: 9 }), NOW);
      await b.handle(put(4, { serial: 8 }), NOW);
      expect(await read(a)).toEqual([2, 3]);
      await a.handle(revoke([9]), NOW);
      const place = { op: 1, recipient: ALICE, box: BOX } as const;
      const before = b.stats().refused;
      for (const op of [put(5, { serial: 9 }), { type: "remove", id: hex(2), serial: 9, ...place } as const])
        expect((await b.handle(op, NOW)).map(({ type }) => type)).toEqual(["done"]);
      expect(await b.handle({ type: "clear", serial: 9, ...place }, NOW)).toEqual([{ type: "done", op: 1 }]);
      expect(b.stats().refused).toBe(before + 1);
      expect(await read(b)).toEqual([2, 3]);
      // The recipient itself shows no token; others go on, and other recipients are not meant.
      await b.handle({ type: "remove", id: hex(2), ...place }, NOW);
      await b.handle(put(6, { serial: 10 }), NOW);
      await b.handle(put(7, { serial: 9, recipient: "bob" }), NOW);
      expect([await read(b), await read(b, "bob")]).toEqual([[3, 6], [7]]);
      await b.handle({ type: "clear", ...place }, NOW);
      await b.handle(put(8, { serial: 9 }), NOW);
      expect(await read(b)).toEqual([]);
      // A store of another key knows of none of it.
      const other = await open(randomBytes(32));
      await other.handle(put(1, { serial: 7 }), NOW);
      expect(await read(other)).toEqual([1]);
    });

    test("of one recipient the last 2000 are known, and what is told again is the last", async () => {
      const store = await open(randomBytes(32));
      const range = (from: number): number[] => Array.from({ length: 200 }, (_, i) => from + i);
      for (let i = 0; i < 10; i++) await store.handle(revoke(range(200 * i)), NOW);
      await store.handle(revoke(range(0)), NOW);
      await store.handle(revoke(range(2000)), NOW);
      for (const [n, serial] of [0, 199, 200, 399, 400, 1999, 2000, 2199, 2200].entries())
        await store.handle(put(n, { serial }), NOW);
      expect(await read(store)).toEqual([2, 3, 8]);
    });

    test("nobody's revocations are pushed out by others of the same slot, and all take no more than a bound", async () => {
      const [server] = await cluster.primaries();
      if (server === undefined) throw new Error("no cluster");
      await open(randomBytes(32)); // which loads the functions
      const slot = await Slot.of(cluster);
      expect(await slot.revoke(0, 0, 150, NOW)).toBe(150);
      // Who has much gets it as long as half is free, others their share until all is taken.
      const had = [];
      for (let n = 1; n <= 60; n++) had.push(await slot.revoke(n, 0, 2000, NOW + 1));
      expect(had[0]).toBe(2000);
      expect(had.slice(5, 15)).toEqual(Array.from({ length: 10 }, () => 200));
      expect(had.at(-1)).toBe(0);
      expect(had.reduce((sum, count) => sum + (count > 0 ? count + 32 : 0), 182)).toBeLessThanOrEqual(8192);
      expect(await slot.known(0)).toBe(150);
      expect(await slot.known(1)).toBe(2000);
      // It stays so when it is told again; what there is no room for is not remembered.
      expect(await slot.revoke(1, 0, 2000, NOW + 2)).toBe(2000);
      expect(await slot.revoke(100, 0, 200, NOW + 2)).toBe(0);
      // Of whom nobody has heard for a month, it is taken.
      expect(await slot.revoke(0, 0, 150, NOW + 20 * DAY)).toBe(150);
      expect(await slot.revoke(100, 0, 200, NOW + 30 * DAY + 1)).toBe(200);
      expect([await slot.known(0), await slot.known(100)]).toEqual([150, 200]);
      let left = 0;
      for (let n = 1; n <= 60; n++) if ((await slot.known(n)) > 0) left++;
      expect(left).toBeLessThan(had.filter((count) => count > 0).length);
    });

    test("a dump shows no serial, and the same one under two recipients as two", async () => {
      const store = await open(randomBytes(32));
      const serial = 0x616263646566; // "abcdef"
      for (const recipient of [ALICE, "bob"]) await store.handle({ ...revoke([serial]), recipient }, NOW);
      const dump: string[] = [];
      for (const server of await cluster.primaries())
        for (const key of (await server.ask("keys", "*}r")).split("\n"))
          if (key !== "") dump.push(await server.ask("get", key));
      const own = dump.filter((each) => each.length === 8);
      expect(own.length).toBeGreaterThanOrEqual(2);
      expect(new Set(own).size).toBe(own.length);
      expect(dump.join("\n")).not.toContain("abcdef");
      expect(dump.join("\n")).not.toContain(serial.toString(16));
    });

    test("a contact whom the recipient removed at one cache leaves nothing at the other, either", async () => {
      const scene = await cachesOn(cluster, await loadBackend(() => {}));
      try {
        const alice = await scene.alice();
        const taker = async (peer: Peer, text: string): Promise<string | undefined> => {
          const id = await peer.send("bob", text);
          await reaches(peer, id, "handed");
          return (await peer.track(id))?.find(({ state }) => state === "handed")?.cache;
        };
        const used = await taker(alice, "welcome");
        await alice.close();
        // The one that she uses is not there to hear it.
        const which = scene.caches[0]?.hashname === used ? 0 : 1;
        await scene.caches[which]?.close();
        const bob = await scene.bob();
        const before = await revocations(cluster);
        await bob.removeContact(bob.contacts()[0]?.id ?? "");
        while ((await revocations(cluster)) === before);
        await bob.close();
        const again = await scene.cache(which);
        const back = await scene.alice();
        expect(await taker(back, "not welcome")).toBe(used); // she sees no difference
        while (again.status().held?.refused === 0) await new Promise((resolve) => setTimeout(resolve, 20));
        expect(again.status().held?.gained).toBe(0);
      } finally {
        await scene.close();
      }
    });
  });

  describe("restante doctor --cluster", () => {
    test("[C7] finds nothing to mend where all is as docs/cluster.md has it", async () => {
      await open(randomBytes(32));
      const found = await examine(home, cluster.addresses);
      expect(found.map(({ check, state }) => [check, state])).toEqual(CHECKS.map((check) => [check, "good"]));
      expect(found[0]?.says).toBe("3 primaries and 3 replicas serve all slots");
      // One of the servers is enough, and a secret is not repeated.
      const [address = ""] = cluster.addresses;
      expect((await examine(home, [address])).map(({ state }) => state)).toEqual(CHECKS.map(() => "good"));
    });

    test("finds each setting that would write to a disk, says at which server, and what to set", async () => {
      const [primary] = await cluster.primaries();
      const replica = primary && (await cluster.replicaOf(primary));
      const bad: [RedisServer | undefined, string, string, string][] = [
        [primary, "save", "3600 1", ""],
        [replica, "appendonly", "yes", "no"],
        [replica, "repl-diskless-load", "disabled", "swapdb"],
        [primary, "maxmemory-policy", "allkeys-lru", "noeviction"],
      ];
      for (const [server, name, value] of bad) await server?.ask("config", "set", name, value);
      try {
        const settings = (await examine(home, cluster.addresses)).find(({ check }) => check === "settings");
        expect(settings?.state).toBe("bad");
        for (const [server, name, value] of bad) {
          expect(settings?.says).toContain(`127.0.0.1:${server?.port} `);
          expect(settings?.says).toContain(`(${name} is "${value}")`);
          expect(settings?.remedy).toContain(name);
        }
      } finally {
        for (const [server, name, , value] of bad) await server?.ask("config", "set", name, value);
      }
    });

    test("finds a server without a bound, a full one, missing functions, and a user who may not ask", async () => {
      const [server] = await cluster.primaries();
      await server?.ask("function", "flush");
      await server?.ask("config", "set", "maxmemory", "0");
      const [, , , functions, memory] = await examine(home, cluster.addresses);
      expect(functions).toMatchObject({ state: "note", says: expect.stringContaining(`127.0.0.1:${server?.port}`) });
      expect(memory).toMatchObject({ state: "bad", remedy: expect.stringContaining("maxmemory") });
      await server?.ask("config", "set", "maxmemory", "1mb");
      const [, , , , full] = await examine(home, cluster.addresses);
      expect(full).toMatchObject({ state: "bad", says: expect.stringMatching(/% full/) });
      await server?.ask("config", "set", "maxmemory", "100mb");
      for (const each of cluster.servers)
        await each.ask("acl", "setuser", "guest", "on", ">word", "~*", "&*", "+@all", "-config");
      const guests = cluster.addresses.map((address) => address.replace("//", "//guest:word@"));
      const found = await examine(home, guests);
      expect(found[1]).toMatchObject({ state: "bad", remedy: expect.stringContaining("+config|get") });
      expect(JSON.stringify(found)).not.toContain("word@");
    });

    test("the commands of docs/cluster.md: a node on the cluster, and a replica that is made primary first", async () => {
      const typed = (start: string): string[] => {
        const found = PAGE.split("\n").find((line) => line.startsWith(`    ${start}`)) ?? "";
        return found.trim().replace(/ +#.*/, "").split(" ").slice(1);
      };
      const args = typed("restante serve").map((word) =>
        word.startsWith("redis:") ? cluster.addresses.join(",") : word,
      );
      const at = ["--home", join(home, "node"), "--host", "127.0.0.1", "--port", "0"];
      const node = spawn(process.execPath, [program, ...args, ...at], { stdio: ["ignore", "pipe", "ignore"] });
      const exit = new Promise((resolve) => node.on("exit", resolve));
      for await (const piece of node.stdout) if (String(piece).includes("link://")) break;
      node.kill();
      expect(await exit).toBe(0);

      const [primary] = await cluster.primaries();
      const replica = primary && (await cluster.replicaOf(primary));
      const words = typed("redis-cli").map((word) => (word === "REPLICA" ? "127.0.0.1" : word));
      const { stdout } = spawnSync("redis-cli", ["-p", String(replica?.port), ...words], { encoding: "utf8" });
      expect(stdout.trim()).toBe("OK");
      const roles = () =>
        Promise.all([replica, primary].map(async (each) => (await each?.ask("role"))?.split("\n")[0]));
      await expect.poll(roles).toEqual(["master", "slave"]);
    });

    test("finds what does not answer, a primary without a copy, and what is no cluster", async () => {
      expect(await examine(home, ["redis://user:secret@127.0.0.1:1"])).toEqual([
        expect.objectContaining({
          check: "cluster",
          state: "bad",
          says: expect.stringContaining("redis://127.0.0.1:1 "),
        }),
      ]);
      const [primary] = await cluster.primaries();
      const replica = primary && (await cluster.replicaOf(primary));
      await replica?.kill();
      const [state, , replicas] = await examine(home, cluster.addresses);
      expect(state).toMatchObject({ state: "bad", says: expect.stringContaining(`127.0.0.1:${replica?.port}`) });
      expect(replicas).toMatchObject({
        state: "bad",
        says: expect.stringContaining(`127.0.0.1:${primary?.port} has none`),
      });
      await primary?.kill();
      const [gone] = await examine(home, cluster.addresses);
      expect(gone).toMatchObject({ state: "bad", says: expect.stringContaining(`127.0.0.1:${primary?.port}`) });
    });
  });
});

interface Finding {
  readonly check: string;
  readonly state: string;
  readonly says: string;
  readonly remedy?: string;
}

/** What the program says about the cluster, and that it ends with 1 exactly when something is bad. */
async function examine(home: string, addresses: readonly string[]): Promise<Finding[]> {
  const args = [program, "--json", "--home", home, "doctor", "--cluster", addresses.join(",")];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  child.stdout.on("data", (piece) => {
    out += piece;
  });
  const code = await new Promise((resolve) => child.on("close", resolve)); // what it printed has come
  const findings = out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Finding);
  expect(code).toBe(findings.some(({ state }) => state === "bad") ? 1 : 0);
  return findings.filter(({ check }) => CHECKS.includes(check));
}

/** How many recipients of the cluster have revoked something. */
async function revocations(cluster: RedisCluster): Promise<number> {
  const found = await Promise.all((await cluster.primaries()).map((server) => server.ask("keys", "*}r")));
  return found.flatMap((keys) => keys.split("\n").filter((key) => key !== "")).length;
}

/** Recipients whose keys meet in one slot, by the functions alone: by their names that would take a long search. */
class Slot {
  readonly #server: RedisServer;
  readonly #function: string;

  readonly #tag: string;

  private constructor(server: RedisServer, name: string, tag: string) {
    this.#server = server;
    this.#function = name;
    this.#tag = tag;
  }

  static async of(cluster: RedisCluster): Promise<Slot> {
    const tag = randomBytes(4).toString("hex");
    const at = Number(await cluster.servers[0]?.ask("cluster", "keyslot", `{${tag}}`));
    for (const server of await cluster.primaries()) {
      const own = (await server.ask("cluster", "nodes")).split("\n").find((line) => line.includes("myself")) ?? "";
      const [, from, to] = / (\d+)-(\d+)/.exec(own) ?? [];
      const [name] = /restante_boxes_\w+_other/.exec(await server.ask("function", "list")) ?? [];
      if (Number(from) <= at && at <= Number(to) && name !== undefined) return new Slot(server, name, tag);
    }
    throw new Error("nobody serves the slot");
  }

  /** A recipient revokes so many, 200 at a time. Gives how many of its are known then. */
  async revoke(recipient: number, from: number, count: number, now: number): Promise<number> {
    const [tag, book] = [`${this.#tag}}${recipient}`, `{${this.#tag}}book`];
    const keys = [`{${tag}}m`, `{${tag}}z`, `${book}c`, `${book}d`, `{${tag}}r`, `${book}v`];
    for (let at = from; at < from + count; at += 200) {
      const told = Array.from({ length: Math.min(200, from + count - at) }, (_, i) => String(at + i).padStart(8, "0"));
      const limits = ["1000", "1000", "1000", "1000", "10", "1000"];
      const args = [String(now), tag, `{${tag}}n`, "origin00", ...limits, "v", told.join("")];
      await this.#server.ask("fcall", this.#function, String(keys.length), ...keys, ...args);
    }
    return this.known(recipient);
  }

  async known(recipient: number): Promise<number> {
    return Number(await this.#server.ask("strlen", `{${this.#tag}}${recipient}}r`)) / 8;
  }
}

type Put = Extract<BoxOp, { type: "put" }>;

function put(n: number, given: Partial<Put> = {}): Put {
  const bytes = new Uint8Array(300).fill(n & 255);
  const fresh = { type: "put", op: n, recipient: ALICE, box: BOX, id: hex(n), bytes, class: "contact" } as const;
  return { ...fresh, expires: NOW + 1e8, ...given };
}

function revoke(serials: readonly number[]): Extract<BoxOp, { type: "revoke" }> {
  return { type: "revoke", op: 1, recipient: ALICE, serials };
}

/** The numbers of the messages in a box, in order. */
async function read(store: RedisBoxStore, recipient = ALICE): Promise<number[]> {
  const found: number[] = [];
  for (let after = 0; ; ) {
    const [answer] = await store.handle({ type: "read", op: 0, recipient, box: BOX, after }, NOW);
    if (answer?.type !== "message") return found;
    found.push(Number.parseInt(answer.id, 16));
    after = answer.cursor;
  }
}

function hex(n: number): string {
  return n.toString(16).padStart(16, "0");
}

const CHECKS = ["cluster", "settings", "replicas", "functions", "memory"];
const DAY = 24 * 60 * 60 * 1000;
const NOW = 1_800_000_000_000;
const ALICE = "3ad2hzvcrmzgdbmrpctmvwmntdmsl4s2vstw7vdatbkhyt7elqvq";
const BOX = "b0a1c2d3e4f50617";
