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

/** When each fixture was left, for their mail is to be open still; and what it holds beside what all do. */
interface Left {
  readonly at: number;
  readonly alice: string;
  readonly inbox: readonly string[];
  /** What waits for Bob, and in which states. */
  readonly waits: readonly string[];
  readonly states: readonly string[];
  /** What else Alice knows. */
  readonly knows?: (alice: Peer) => Promise<void>;
}

/** Alice has 32 times 1 as her key, Bob 32 times 2. Both have the cache "carol". Dave came as a stranger. */
const LEFT: Readonly<Record<string, Left>> = {
  // af62f1a: store schema 1, records without a version.
  "1": {
    at: 1_795_278_756_417,
    alice: "uozdf4rixm64qwrqj5mtic5liaghhlwh7vtemwft4z2qzk2qstjq",
    inbox: ["first of bob", "notes.txt", "a stranger"],
    waits: ["waits for bob", "waits.bin"],
    states: ["file queued", "text queued"],
  },
  // 1a4f93f: store schema 1, records of version 1. Two mails lay at the cache; one goes to a list.
  "2": {
    at: 1_795_296_067_909,
    alice: "ygp3mpark7pcun6d6h6f4pacnqwxxhygjbdelczvfunwal7gl4la",
    inbox: ["a stranger", "first of bob", "notes.txt"],
    waits: ["lies at a cache", "to all", "waits for bob", "waits.bin"],
    states: ["file handed", "text handed", "text queued", "text queued"],
    knows: async (alice) => {
      const [bob, dave] = ["bob", "dave"].map((name) => alice.findContact(name));
      expect(bob?.readMarks).toBe(true);
      expect(alice.lists()).toEqual([{ name: "all", contacts: [bob?.id, dave?.id] }]);
      expect(alice.blocked().map(({ name }) => name)).toEqual(["eve"]);
      expect(await alice.retentions()).toEqual([{ contact: dave?.id, days: 90 }]);
      const { entries } = await alice.conversation(bob?.id ?? "");
      expect(entries.map(({ way, text, file }) => `${way} ${text ?? file?.name}`)).toEqual([
        "in first of bob",
        "in notes.txt",
        "out first of alice",
        "out lies at a cache",
        "out waits.bin",
        "out waits for bob",
        "out to all",
      ]);
      const given = () => alice.outbox().filter(({ state, kind }) => state === "cancelled" && kind === "text");
      await expect.poll(() => given().map(({ contact }) => contact)).toEqual([dave?.id]);
    },
  },
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
  expect(await texts(alice)).toEqual(left.inbox);
  const notes = (await alice.inbox()).find(({ file }) => file?.name === "notes.txt");
  const pieces: Uint8Array[] = [];
  if (notes !== undefined) for await (const piece of alice.file(notes)) pieces.push(piece);
  expect(Buffer.concat(pieces).equals(Buffer.from(new Uint8Array(40_000).map((_, i) => i & 255)))).toBe(true);
  expect(alice.contacts().map(({ name, caches }) => [name, caches])).toEqual([
    ["bob", 1],
    ["dave", 0],
  ]);
  await left.knows?.(alice);
  // It is read from the disk after the start.
  const open = () =>
    alice.outbox().filter(({ state, kind }) => kind !== "card" && (state === "queued" || state === "handed"));
  await expect
    .poll(() =>
      open()
        .map(({ kind, state }) => `${kind} ${state}`)
        .sort(),
    )
    .toEqual(left.states);
  const sent = open();

  // What waited for Bob arrives now, and both go on.
  const bob = await start("bob", 2);
  expect(await texts(bob)).toEqual(["first of alice"]);
  await alice.send("bob", "after all this time");
  await until(bob, async () => (await texts(bob)).length === 2 + left.waits.length);
  expect((await texts(bob)).sort()).toEqual(["after all this time", "first of alice", ...left.waits]);
  await bob.send("alice", "indeed");
  await until(alice, async () => (await texts(alice)).includes("indeed"));
  const toBob = [...sent.map(({ id }) => id), "after all this time"].length;
  await until(alice, () => alice.outbox().filter(isDelivered).length >= toBob);
});

/** To one of its contacts at least. */
function isDelivered({ state, kind, list }: ReturnType<Peer["outbox"]>[number]): boolean {
  return kind !== "card" && (state === "delivered" || (list?.delivered ?? 0) > 0);
}
