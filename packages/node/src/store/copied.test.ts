/** Homes that were put back from a backup: a peer, its contact, and what either of them wrote before and after. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createPeer, MemoryNetwork, type Peer, portable } from "restante";
import { toHex } from "restante/protocol";
import { afterEach, expect, test } from "vitest";
import { until } from "../../../../testing/until.ts";
import { loadNative } from "../crypto/native.ts";
import { levelStore } from "./level.ts";

const backend = (await loadNative()) ?? portable;
const key = new Uint8Array(32).fill(4);
const folders: string[] = [];
const peers = new Set<Peer>();
afterEach(async () => {
  for (const peer of peers) await peer.close();
  peers.clear();
  for (const dir of folders.splice(0)) rmSync(dir, { recursive: true, force: true });
});

/** Peers of one network, each with a store in a folder of its name; `cache`: one that only holds mail for others. */
function network() {
  const dir = mkdtempSync(join(tmpdir(), "restante-copied-"));
  folders.push(dir);
  const memory = new MemoryNetwork();
  const started = (peer: Peer): Peer => {
    peers.add(peer);
    return peer;
  };
  return {
    folder: (name: string) => join(dir, name),
    start: async (name: string) => {
      const store = levelStore({ dir: join(dir, name), key, backend });
      return started(await createPeer({ name, store, backend, transports: [memory.transport(name)] }));
    },
    cache: async (name: string) =>
      started(await createPeer({ name, backend, mail: false, cache: {}, transports: [memory.transport(name)] })),
  };
}

/** With all times and modes: not every Node keeps the modes of folders. */
function copy(from: string, to: string): void {
  execFileSync("cp", ["-aT", from, to]);
}

async function stop(peer: Peer): Promise<void> {
  peers.delete(peer);
  await peer.close();
}

const texts = async (peer: Peer): Promise<(string | undefined)[]> => (await peer.inbox()).map(({ text }) => text);
const has = (peer: Peer, text: string): Promise<void> => until(peer, async () => (await texts(peer)).includes(text));
const delivered = (peer: Peer, id: string): Promise<void> =>
  until(peer, async () => (await peer.track(id))?.some(({ state }) => state === "delivered") ?? false);
const cachesOf = (peer: Peer, contact: string): number | undefined => peer.findContact(contact)?.caches;

async function epochOf(dir: string): Promise<string> {
  const store = levelStore({ dir, key, backend });
  await store.open();
  const value = await store.get("mail/epoch");
  await store.close();
  return toHex(value ?? new Uint8Array(0));
}

test("a home that is put back goes on under new numbers: nothing is lost, nothing comes twice", async () => {
  const { folder, start, cache } = network();
  const [carol, dave] = [await cache("carol"), await cache("dave")];
  const bob = await start("bob");
  let alice = await start("alice");
  await alice.join(carol.joinLink());
  await bob.join(carol.joinLink());
  await bob.add(await alice.invite());
  await until(alice, () => cachesOf(alice, "bob") === 1);
  await until(bob, () => cachesOf(bob, "alice") === 1);
  await delivered(alice, await alice.send("bob", "before the backup"));
  await bob.send("alice", "for the backup");
  await has(alice, "for the backup");
  expect(alice.status().isCopied).toBe(false);

  // A plain stop and start is none, and does not change the numbers.
  await stop(alice);
  const epoch = await epochOf(folder("alice"));
  copy(folder("alice"), folder("backup"));
  alice = await start("alice");
  expect(alice.status().isCopied).toBe(false);

  // What happens after the backup: numbers are used up, and both of them go to another cache as well.
  for (const text of ["second", "third"]) await delivered(alice, await alice.send("bob", text));
  await alice.join(dave.joinLink());
  await until(bob, () => cachesOf(bob, "alice") === 2);
  await bob.join(dave.joinLink());
  await until(alice, () => cachesOf(alice, "bob") === 2);
  await stop(alice);
  expect(await epochOf(folder("alice"))).toBe(epoch);

  rmSync(folder("alice"), { recursive: true });
  copy(folder("backup"), folder("alice"));
  alice = await start("alice");
  expect(alice.status().isCopied).toBe(true);
  // Under the old numbers bob would have taken these for what he has.
  for (const text of ["fourth", "fifth", "sixth"]) await delivered(alice, await alice.send("bob", text));
  expect(await texts(bob)).toEqual(["before the backup", "second", "third", "fourth", "fifth", "sixth"]);
  await bob.send("alice", "after the backup");
  await has(alice, "after the backup");
  expect(await texts(alice)).toEqual(["for the backup", "after the backup"]);
  // Each of them has the newest card of the other, though the one of the backup was an older one than bob had.
  await until(bob, () => cachesOf(bob, "alice") === 1);
  await until(alice, () => cachesOf(alice, "bob") === 2);
  await stop(alice);
  const next = await epochOf(folder("alice"));
  expect(next).not.toBe(epoch);
  alice = await start("alice");
  expect(alice.status().isCopied).toBe(false);
  await stop(alice);
  expect(await epochOf(folder("alice"))).toBe(next);
});
