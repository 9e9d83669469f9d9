/** Archives of whole homes: what is in them goes on elsewhere, and what is wrong with one is found before anything is there. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createPeer, MemoryNetwork, type Peer, portable } from "restante";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loadNative } from "./crypto/native.ts";
import { openHome } from "./home.ts";
import { exportHome, importHome } from "./identity.ts";
import { type ArchiveRecord, sealArchive } from "./store/archive.ts";
import { loadOrCreateKey, rewriteKey } from "./store/key.ts";
import { levelStore } from "./store/level.ts";

const backend = (await loadNative()) ?? portable;
const stretch = { passes: 1, kibibytes: 8 };
const peers = new Set<Peer>();
let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "restante-identity-"));
});
afterEach(async () => {
  for (const peer of peers) await peer.close();
  peers.clear();
  rmSync(dir, { recursive: true, force: true });
});

const say = (words: string) => async (): Promise<string> => words;
const home = (name: string): string => join(dir, name);
const file = (): string => join(dir, "archive");
const exported = (name: string, words = "open sesame") =>
  exportHome({ home: home(name), file: file(), passphrase: say(words), backend, stretch });
const imported = (name: string, words = "open sesame") =>
  importHome({ home: home(name), file: file(), passphrase: say(words), backend });

/** A peer in a home, as the daemon starts it. */
async function start(network: MemoryNetwork, name: string, at = name): Promise<Peer> {
  mkdirSync(home(at), { recursive: true, mode: 0o700 });
  const key = await loadOrCreateKey(join(home(at), "key"));
  const store = levelStore({ dir: join(home(at), "store"), key, backend });
  const peer = await createPeer({ name, store, backend, transports: [network.transport(name)] });
  peers.add(peer);
  return peer;
}

async function stop(peer: Peer): Promise<void> {
  peers.delete(peer);
  await peer.close();
}

/** Asks now, and again after whatever happens there, until it is so. */
async function until(peer: Peer, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const events = peer.events();
  while (!(await isSo())) await events.next();
  await events.return?.();
}
const words = async (peer: Peer): Promise<(string | undefined)[]> =>
  (await peer.inbox()).map(({ text, file: it }) => text ?? it?.name);
const delivered = (peer: Peer, id: string): Promise<void> =>
  until(peer, async () => (await peer.track(id))?.some(({ state }) => state === "delivered") ?? false);

test("a peer that is carried elsewhere goes on there: open mail arrives, both ways, and nothing twice", async () => {
  const network = new MemoryNetwork();
  const carol = await createPeer({ mail: false, cache: {}, backend, transports: [network.transport("carol")] });
  peers.add(carol);
  // Long, as what is sealed has any three letters once in a hundred times.
  const [name, second] = ["bob-behind-the-mountains", "the second of five mails"];
  let [alice, bob] = [await start(network, "alice"), await start(network, name)];
  await alice.join(carol.joinLink());
  await bob.join(carol.joinLink());
  await bob.add(await alice.invite());
  await until(alice, () => alice.findContact(name)?.caches === 1);
  const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => i % 251);
  await bob.send("alice", { name: "picture", bytes });
  await until(alice, async () => (await words(alice)).includes("picture"));
  await delivered(alice, await alice.send(name, "one"));
  await stop(bob);
  // Bob is away: these are open when the archive is made, one of them a file.
  const open = await alice.send(name, second);
  await alice.send(name, { name: "three", bytes });
  await stop(alice);
  writeFileSync(join(home("alice"), "seen"), "1");
  const summary = await exported("alice");
  expect(summary).toMatchObject({ hashname: alice.hashname, bytes: expect.any(Number) });
  expect(summary.bytes).toBeGreaterThanOrEqual(140_000);
  expect(statSync(file()).mode & 0o777).toBe(0o600);
  const sealed = readFileSync(file());
  expect([name, second, alice.hashname, "mail/"].filter((known) => sealed.includes(known))).toEqual([]);

  // Both go on: she sends, and he answers what he gets.
  alice = await start(network, "alice");
  expect(alice.status().isCopied).toBe(false);
  bob = await start(network, name);
  await delivered(alice, await alice.send(name, "four"));
  await delivered(alice, open);
  await stop(bob);
  await stop(alice);

  expect(await imported("elsewhere")).toEqual(summary);
  expect(readdirSync(home("elsewhere")).sort()).toEqual(["key", "seen", "store"]);
  expect(readFileSync(join(home("elsewhere"), "key"))).not.toEqual(readFileSync(join(home("alice"), "key")));
  alice = await start(network, "alice", "elsewhere");
  expect(alice.status().isCopied).toBe(true);
  expect(alice.hashname).toBe(summary.hashname);
  const [picture] = await alice.inbox();
  const pieces: Uint8Array[] = [];
  if (picture !== undefined) for await (const piece of alice.file(picture)) pieces.push(piece);
  expect(Buffer.concat(pieces).equals(bytes)).toBe(true);
  bob = await start(network, name);
  await bob.send("alice", "to the new place");
  // Under the numbers of the archive, bob has another mail already.
  await delivered(alice, await alice.send(name, "five"));
  await until(alice, async () => (await words(alice)).includes("to the new place"));
  for (const { id, kind } of alice.outbox()) if (kind !== "card") await delivered(alice, id);
  expect((await words(bob)).sort()).toEqual(["five", "four", "one", second, "three"].sort());
  expect(await words(alice)).toEqual(["picture", "to the new place"]);
});

describe("an archive", () => {
  const make = async (): Promise<void> => {
    await stop(await start(new MemoryNetwork(), "alice"));
  };

  test("is not made while a daemon runs, of no peer, nor over another file; and none is left then", async () => {
    await expect(exported("alice")).rejects.toMatchObject({ code: "no-home" });
    await make();
    const running = await openHome(home("alice"));
    await expect(exported("alice")).rejects.toMatchObject({ code: "home-locked" });
    await running.release();
    await expect(exported("alice", "")).rejects.toMatchObject({ code: "bad-passphrase" });
    expect(existsSync(file())).toBe(false);
    writeFileSync(file(), "mine");
    await expect(exported("alice")).rejects.toMatchObject({ code: "file-exists" });
    expect(readFileSync(file(), "utf8")).toBe("mine");
  });

  test("that is cut, changed, or under another passphrase makes no home, and the same home takes the right one", async () => {
    await make();
    await exported("alice");
    const whole = readFileSync(file());
    await expect(imported("b", "open sesam")).rejects.toMatchObject({ code: "bad-passphrase" });
    for (const damage of [
      whole.subarray(0, 200),
      whole.subarray(0, -1),
      Buffer.concat([whole, whole]),
      Buffer.from("?"),
    ]) {
      writeFileSync(file(), damage);
      await expect(imported("b")).rejects.toMatchObject({ code: expect.stringMatching(/^bad-/) });
      expect(readdirSync(home("b"))).toEqual([]);
    }
    writeFileSync(file(), whole);
    mkdirSync(join(home("b"), "import", "store"), { recursive: true, mode: 0o700 }); // as after a crash
    await imported("b");
    await expect(imported("b")).rejects.toMatchObject({ code: "home-not-empty" });
    await expect(imported("alice")).rejects.toMatchObject({ code: "home-not-empty" });
    rmSync(file());
    await expect(imported("c")).rejects.toMatchObject({ code: "no-file" });
  });

  test("with a record of a file where no file of a mail has one makes no home, and no file of that size", async () => {
    for (const index of [0xffff + 1, 2 ** 32 - 1]) {
      const records = async function* (): AsyncGenerator<ArchiveRecord> {
        yield { type: "head", head: { hashname: "h", made: 1, version: "1" } };
        yield { type: "blob", key: "b", index, value: new Uint8Array(9) };
      };
      const pieces: Uint8Array[] = [];
      for await (const piece of sealArchive(records(), "open sesame", backend, stretch)) pieces.push(piece);
      writeFileSync(file(), Buffer.concat(pieces));
      await expect(imported("b")).rejects.toMatchObject({ code: "bad-archive" });
      expect(readdirSync(home("b"))).toEqual([]);
    }
  });

  test("of a home whose key is under a passphrase needs that one, too", async () => {
    await make();
    await rewriteKey(join(home("alice"), "key"), say("of the key"));
    await expect(exported("alice")).rejects.toMatchObject({ code: "no-passphrase" });
    const options = { home: home("alice"), file: file(), passphrase: say("of the archive"), backend, stretch };
    await expect(exportHome({ ...options, keyPassphrase: say("of the archive") })).rejects.toMatchObject({
      code: "bad-passphrase",
    });
    await exportHome({ ...options, keyPassphrase: say("of the key") });
    await imported("b", "of the archive");
    expect(readFileSync(join(home("b"), "key"))).toHaveLength(32);
  });
});

test("a key goes under a passphrase, under another one, and out again, and is the same key", async () => {
  const key = join(dir, "key");
  await rewriteKey(key, say("first")); // never in clear, where there was none
  expect(readFileSync(key)).not.toHaveLength(32);
  expect(statSync(key).mode & 0o777).toBe(0o600);
  const bytes = await loadOrCreateKey(key, say("first"));
  await expect(rewriteKey(key, say("second"), say("wrong"))).rejects.toMatchObject({ code: "bad-passphrase" });
  await rewriteKey(key, say("second"), say("first"));
  await expect(loadOrCreateKey(key, say("first"))).rejects.toMatchObject({ code: "bad-passphrase" });
  expect(await loadOrCreateKey(key, say("second"))).toEqual(bytes);
  await expect(loadOrCreateKey(key)).rejects.toMatchObject({ code: "no-passphrase" });
  await rewriteKey(key, undefined, say("second"));
  expect(new Uint8Array(readFileSync(key))).toEqual(bytes);
  expect(readdirSync(dir)).toEqual(["key"]);
});
