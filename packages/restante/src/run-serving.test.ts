/** createPeer, with a cache that is served when its user wants it. */
import { expect, test, vi } from "vitest";
import { createPeer, type Peer } from "./run.ts";
import { memoryBoxStore, memoryStore, type Store } from "./store/index.ts";
import { cs01 } from "./testing/cipher-set-01.ts";
import { MemoryNetwork } from "./transport/index.ts";

test("a cache on demand is served from the word on, kept over restarts, and what it held is forgotten with it", async () => {
  const network = new MemoryNetwork();
  const make = (name: string, store: Store): Promise<Peer> =>
    createPeer({ transports: [network.transport(name)], cipherSets: [cs01()], name, store, cache: { onDemand: true } });
  const [carols, bobs] = [memoryStore(), memoryStore()];
  let [carol, bob] = [await make("carol", carols), await make("bob", bobs)];
  const alice = await make("alice", memoryStore());
  try {
    expect(carol.status().held).toBeUndefined();
    expect(() => carol.joinLink()).toThrow(/serves no cache/);
    await carol.serveCache(true);
    await carol.serveCache(true);
    expect(carol.status().held?.messages).toBe(0);
    await bob.join(carol.joinLink());
    const known = met(alice);
    await alice.add(await bob.invite());
    await known;
    await bob.close();

    const handed = state(alice, "handed");
    await alice.send("bob", "while you are away");
    await handed;
    expect(carol.status().held?.messages).toBeGreaterThanOrEqual(1); // on a busy machine bob went before he had all that met him
    await carol.close();
    carol = await make("carol", carols);
    expect(carol.status().held?.messages).toBe(0);
    await carol.serveCache(false);
    expect([carol.status().state, carol.status().held]).toEqual(["running", undefined]);

    // Nothing is lost by that: she who wrote it has it still.
    const delivered = state(alice, "delivered");
    bob = await make("bob", bobs);
    await delivered;
    expect((await bob.inbox()).map(({ text }) => text)).toEqual(["while you are away"]);
    if (bob.caches()[0]?.test === undefined) await none(bob);
    expect(bob.caches()[0]?.test?.outcome).toBe("none");
  } finally {
    await Promise.all([alice, bob, carol].map((peer) => peer.close()));
  }
});

test("a peer that serves a cache from its start, or none, refuses to change it; one without mail has no word about it", async () => {
  const peer = await createPeer({ cipherSets: [cs01()], cache: {} });
  await expect(peer.serveCache(false)).rejects.toMatchObject({ code: "set-at-start" });
  await peer.serveCache(true);
  expect(peer.status().held).toBeDefined();
  await peer.close();
  await expect(createPeer({ cipherSets: [cs01()], mail: false, cache: { onDemand: true } })).rejects.toMatchObject({
    code: "no-mail",
  });
});

test("changes of the cache that are asked for at once are made one after the other, and questions are answered meanwhile", async () => {
  const peer = await createPeer({ cipherSets: [cs01()], cache: { onDemand: true } });
  const states = new Set<string>();
  const asked = async (...wanted: boolean[]): Promise<unknown> => {
    let isOver = false;
    const all = Promise.allSettled(wanted.map((on) => peer.serveCache(on))).finally(() => {
      isOver = true;
    });
    for (let turn = 0; !isOver; turn++) {
      states.add(peer.status().state);
      peer.contacts();
      // The store answers before anything else happens.
      await (turn % 100 < 99 ? Promise.resolve() : new Promise((resolve) => setImmediate(resolve)));
    }
    return [(await all).map(({ status }) => status), peer.status().serving];
  };
  const done = "fulfilled";
  expect(await asked(true, true)).toEqual([[done, done], "on"]);
  expect(await asked(true, false)).toEqual([[done, done], "off"]);
  expect(await asked(true, false, true)).toEqual([[done, done, done], "on"]);
  expect(states).toContain("loading");
  const late = [peer.serveCache(false), peer.serveCache(true)];
  await peer.close();
  const codes = (await Promise.allSettled(late)).map((each) => (each.status === "rejected" ? each.reason.code : done));
  for (const code of codes) expect([done, "stopped", "not-running"]).toContain(code);
});

test("what a cache kept is overwritten when it ends: no message is left in its store", async () => {
  let asked: [string, number] | undefined;
  const handle = (op: { type: string }, now: number): [] => {
    asked = [op.type, now];
    return [];
  };
  const held = {
    recipients: 0,
    boxes: 0,
    messages: 0,
    bytes: 0,
    memory: 0,
    gained: 0,
    refused: 0,
    evicted: 0,
    expired: 0,
  };
  const peer = await createPeer({
    cipherSets: [cs01()],
    clock: () => 1000,
    cache: { onDemand: true },
    boxes: () => ({ handle, stats: () => held }),
  });
  await peer.serveCache(true);
  await peer.serveCache(false);
  // After the longest time for which anything is kept.
  expect(asked?.[0]).toBe("sweep");
  expect(asked?.[1]).toBeGreaterThan(30 * 86_400_000 + 1000);
  await peer.close();
});

test("[C33] [C45] the acknowledgement of what a sender leaves or removes has left, also where a transport gathers what it sends, when the store is asked", async () => {
  const network = new MemoryNetwork();
  const log: string[] = [];
  const gathering = network.transport("carol");
  const carol = await createPeer({
    cipherSets: [cs01()],
    name: "carol",
    cache: {},
    transports: [
      {
        ...gathering,
        send(path, bytes) {
          log.push("send");
          gathering.send(path, bytes);
        },
        flush: () => log.push("flush"),
      },
    ],
    boxes() {
      const store = memoryBoxStore();
      return {
        stats: () => store.stats(),
        handle(op, now) {
          log.push(op.type);
          return store.handle(op, now);
        },
      };
    },
  });
  const bobs = memoryStore();
  const make = (name: string, store: Store): Promise<Peer> =>
    createPeer({ transports: [network.transport(name)], cipherSets: [cs01()], name, store });
  const [alice, bob] = [await make("alice", memoryStore()), await make("bob", bobs)];
  try {
    await bob.join(carol.joinLink());
    const known = met(alice);
    await alice.add(await bob.invite());
    await known;
    await bob.close();
    log.length = 0;
    const handed = state(alice, "handed");
    const mail = await alice.send("bob", "while you are away");
    await handed;
    await alice.cancel(mail);
    await vi.waitUntil(() => log.includes("remove"), { timeout: 10_000 });
    for (const type of ["put", "remove"]) {
      expect(log).toContain(type);
      for (const [i, entry] of log.entries()) {
        if (entry !== type) continue;
        expect(log[i - 1]).toBe("flush");
        // That of a removal alone on its channel may wait for 20 ms whatever is asked: protocol/channels.md §5.
        if (type === "put")
          expect(log.slice(0, i).findLast((other) => other !== "flush" && other !== type)).toBe("send");
      }
    }
  } finally {
    await Promise.all([alice, bob, carol].map((peer) => peer.close()));
  }
});

/** Until the cards of both sides are there. */
function met(peer: Peer): Promise<void> {
  return new Promise((resolve) => {
    const end = peer.on((event) => {
      if (event.type !== "contact" || event.isNew) return;
      end();
      resolve();
    });
  });
}

function none(peer: Peer): Promise<void> {
  return new Promise((resolve) => {
    peer.on((event) => event.type === "cache-test" && resolve());
  });
}

function state(peer: Peer, wanted: "handed" | "delivered"): Promise<void> {
  return new Promise((resolve) => {
    peer.on((event) => event.type === "state" && event.state === wanted && resolve());
  });
}
