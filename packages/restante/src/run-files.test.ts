/** Files of the library's users: what is left of those that were not sent, and what becomes of large ones. */
import { expect, test } from "vitest";
import { createPeer, type Peer, type PeerOptions } from "./run.ts";
import { memoryStore, type Store } from "./store/index.ts";
import { cs01 } from "./testing/cipher-set-01.ts";
import { MemoryNetwork } from "./transport/index.ts";

/** Two peers that know each other. */
async function pair(
  options: PeerOptions = {},
): Promise<{ alice: Peer; bob: Peer; store: Store; close(): Promise<void> }> {
  const network = new MemoryNetwork();
  const store = memoryStore();
  const common = { cipherSets: [cs01()] };
  const alice = await createPeer({
    ...common,
    name: "alice",
    transports: [network.transport("alice")],
    store,
    ...options,
  });
  const bob = await createPeer({ ...common, name: "bob", transports: [network.transport("bob")] });
  await alice.add(await bob.invite());
  const close = async (): Promise<void> => void (await Promise.all([alice.close(), bob.close()]));
  return { alice, bob, store, close };
}

async function uploads(store: Store): Promise<string[]> {
  return (await store.load("upload/")).map(([key]) => key.slice("upload/".length));
}

test("what the end of the process leaves of a file that was being sent is removed at the next start", async () => {
  const { alice, store, close } = await pair();
  let isUnderWay = (): void => {};
  const begun = new Promise<void>((resolve) => {
    isUnderWay = resolve;
  });
  const hanging = (async function* () {
    yield new Uint8Array(100_000);
    isUnderWay();
    await new Promise(() => {});
  })();
  void alice.send("bob", { name: "film", bytes: hanging }).catch(() => {});
  await begun;
  await close();
  const [blob = ""] = await uploads(store);
  expect(await store.blobRead(blob, 0)).toBeDefined();
  const again = await createPeer({ store, cipherSets: [cs01()] });
  expect(await uploads(store)).toEqual([]);
  expect(await store.blobRead(blob, 0)).toBeUndefined();
  await again.close();
});

test("a file that is sent is no longer one that is being sent, and one that is refused leaves nothing", async () => {
  const { alice, store, close } = await pair();
  const blobs = new Set<string>();
  const write = store.blobWrite;
  store.blobWrite = (blob, index, bytes) => {
    blobs.add(blob);
    return write(blob, index, bytes);
  };
  const broken = (async function* () {
    yield new Uint8Array(100_000);
    throw new Error("the disk is gone");
  })();
  await expect(alice.send("bob", { name: "film", bytes: broken })).rejects.toThrow("the disk is gone");
  expect(blobs.size).toBe(1);
  for (const blob of blobs) expect(await store.blobRead(blob, 0)).toBeUndefined();
  expect(await uploads(store)).toEqual([]);
  const id = await alice.send("bob", { name: "film", bytes: new Uint8Array(100_000) });
  expect(await uploads(store)).toEqual([]);
  expect(alice.outbox().find((mail) => mail.id === id)?.parts).toBe(4);
  await close();
});

test("[X8] a file above the size that is set waits for a link, says so, and tells both sides how far it is", async () => {
  const { alice, bob, close } = await pair({ waitForLink: 50_000 });
  const told: string[] = [];
  for (const peer of [alice, bob])
    peer.on((event) => {
      if (event.type === "progress") told.push(`${event.way} ${event.name} ${event.done} of ${event.of}`);
    });
  const came = new Promise<unknown>((resolve) => {
    bob.on((event) => event.type === "mail" && resolve(event.file?.size));
  });
  await alice.send("bob", { name: "film", bytes: new Uint8Array(60_000) });
  expect(await came).toBe(60_000);
  expect(told).toContain("in film 3 of 3");
  expect(told.some((line) => line.startsWith("out film"))).toBe(true);
  const carol = await createPeer({
    name: "carol",
    cipherSets: [cs01()],
    transports: [new MemoryNetwork().transport("carol")],
  });
  const link = await carol.invite();
  await carol.close();
  const { id: away } = await alice.add(link);
  const waits = async (insist: boolean): Promise<unknown> => {
    const id = await alice.send(away, { name: "film", bytes: new Uint8Array(60_000) }, { insist });
    return alice.outbox().find((mail) => mail.id === id)?.waits;
  };
  expect([await waits(false), await waits(true)]).toEqual(["link", undefined]);
  await close();
});
