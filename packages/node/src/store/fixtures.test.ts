/**
 * Stores as earlier versions left them, in `fixtures/N`: N counts the formats that were ever in use, docs/identity.md §7. Each
 * was written by two peers of its time, who know each other and a cache: read, and gone on with, by those of today.
 */
import { chmodSync, cpSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createPeer, MemoryNetwork, type Peer, portable } from "restante";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadNative } from "../crypto/native.ts";
import { levelStore } from "./level.ts";

const backend = (await loadNative()) ?? portable;
const fixtures = fileURLToPath(new URL("./fixtures", import.meta.url));
const peers = new Set<Peer>();
let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "restante-fixture-"));
});
afterEach(async () => {
  for (const peer of peers) await peer.close();
  peers.clear();
  rmSync(dir, { recursive: true, force: true });
});

/** What each fixture holds, and when it was left: their mail is to be open still. */
const LEFT: Readonly<Record<string, { at: number; alice: string }>> = {
  // af62f1a, store schema 1. Alice: 32 times 1 as her key; Bob: 32 times 2. Both have the cache "carol".
  "1": { at: 1_795_278_756_417, alice: "uozdf4rixm64qwrqj5mtic5liaghhlwh7vtemwft4z2qzk2qstjq" },
};

/** Git keeps no modes, and a store does not open where others can read it. */
function closeToOthers(path: string): void {
  const isFolder = statSync(path).isDirectory();
  chmodSync(path, isFolder ? 0o700 : 0o600);
  if (isFolder) for (const name of readdirSync(path)) closeToOthers(join(path, name));
}

async function until(peer: Peer, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const events = peer.events();
  while (!(await isSo())) await events.next();
  await events.return?.();
}

test("there is a fixture of each format, and this list knows it", () => {
  expect(readdirSync(fixtures).sort()).toEqual(Object.keys(LEFT).sort());
});

test.each(Object.entries(LEFT))("a store of format %s is read, and its peers go on writing", async (format, left) => {
  cpSync(join(fixtures, format), dir, { recursive: true });
  closeToOthers(dir);
  const shift = left.at + 60_000 - Date.now();
  const clock = (): number => Date.now() + shift;
  const network = new MemoryNetwork();
  const start = async (name: string, byte: number): Promise<Peer> => {
    const store = levelStore({ dir: join(dir, name), key: new Uint8Array(32).fill(byte), backend });
    const peer = await createPeer({ name, store, backend, clock, transports: [network.transport(name)] });
    peers.add(peer);
    return peer;
  };
  const texts = async (peer: Peer) => (await peer.inbox()).map(({ text, file }) => text ?? file?.name);

  const alice = await start("alice", 1);
  expect(alice.hashname).toBe(left.alice);
  expect(alice.status().isCopied).toBe(true);
  expect(await texts(alice)).toEqual(["first of bob", "notes.txt", "a stranger"]);
  const notes = (await alice.inbox()).find(({ file }) => file?.name === "notes.txt");
  const pieces: Uint8Array[] = [];
  if (notes !== undefined) for await (const piece of alice.file(notes)) pieces.push(piece);
  expect(Buffer.concat(pieces).equals(Buffer.from(new Uint8Array(40_000).map((_, i) => i & 255)))).toBe(true);
  expect(alice.contacts().map(({ name, caches }) => [name, caches])).toEqual([
    ["bob", 1],
    ["dave", 0],
  ]);
  const open = alice.outbox().filter(({ state, kind }) => state === "queued" && kind !== "card");
  expect(open.map(({ kind }) => kind).sort()).toEqual(["file", "text"]);

  // What waited for Bob arrives now, and both go on.
  const bob = await start("bob", 2);
  expect(await texts(bob)).toEqual(["first of alice"]);
  await alice.send("bob", "after all this time");
  await until(bob, async () => (await texts(bob)).length === 4);
  expect((await texts(bob)).sort()).toEqual(["after all this time", "first of alice", "waits for bob", "waits.bin"]);
  await bob.send("alice", "indeed");
  await until(alice, async () => (await texts(alice)).includes("indeed"));
  await until(alice, () => alice.outbox().every(({ state, kind }) => state === "delivered" || kind === "card"));
});
