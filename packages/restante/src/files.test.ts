import { sha256 } from "@noble/hashes/sha2.js";
import { expect, test } from "vitest";
import { toHex } from "./bytes/index.ts";
import { hashBlob, Uploads } from "./files.ts";
import { PART_CONTENT } from "./mail/index.ts";
import type { Call } from "./peer.ts";
import { memoryStore, type Store } from "./store/index.ts";
import { Chance } from "./testing/chance.ts";

/** What keeps files, and what it asked of the peer. */
function uploads(more: Partial<Store> = {}): { store: Store; keeper: Uploads; asked: Call[] } {
  const store = { ...memoryStore(), ...more };
  const asked: Call[] = [];
  const call = async (what: Call): Promise<void> => void asked.push(what);
  return { store, keeper: new Uploads({ store, random: new Chance(1).random, call }), asked };
}

test("a file in pieces of any size lies in records of one size, with the digest of the whole, and a copy is the same", async () => {
  for (const size of [0, 1, PART_CONTENT - 1, PART_CONTENT, 3 * PART_CONTENT + 5]) {
    const { store, keeper } = uploads();
    const bytes = new Uint8Array(size).map((_, at) => at % 251);
    const pieces = (async function* () {
      for (let at = 0; at < size; at += 10_007) yield bytes.slice(at, at + 10_007);
    })();
    const file = await keeper.keep({ name: "x", bytes: pieces });
    expect(file).toMatchObject({ size, sha256: toHex(sha256(bytes)) });
    const parts = Math.max(1, Math.ceil(size / PART_CONTENT));
    const copy = await keeper.copy(file);
    for (const { blob } of [file, copy]) {
      expect(await hashBlob(store, blob, parts, size)).toBe(file.sha256);
      expect(await store.blobRead(blob, parts)).toBeUndefined();
    }
    expect(await hashBlob(store, file.blob, parts + 1, size + 1)).toBe(""); // not all there
  }
});

test("others have their turn while a long file is hashed, also from a store that answers at once", async () => {
  const { store, keeper } = uploads();
  const { blob, size } = await keeper.keep({ name: "x", bytes: new Uint8Array(200 * PART_CONTENT) });
  let turns = 0;
  const timer = setInterval(() => turns++);
  await hashBlob(store, blob, 200, size);
  clearInterval(timer);
  expect(turns).toBeGreaterThan(0);
});

test("a file for which the disk has no room is refused before the disk is full, and nothing is left of it", async () => {
  let free = 2 ** 30;
  const { store, keeper, asked } = uploads({ free: async () => free });
  const pieces = (async function* () {
    for (let i = 0; i < 3000; i++) {
      if (i === 1000) free = 2 ** 20;
      yield new Uint8Array(PART_CONTENT);
    }
  })();
  await expect(keeper.keep({ name: "x", bytes: pieces })).rejects.toMatchObject({ code: "no-room" });
  const [begun, over] = asked;
  expect([begun?.type, over?.type]).toEqual(["upload", "erase"]);
  expect(begun?.type === "upload" && (await store.blobRead(begun.blob, 0))).toBeUndefined();
  await expect(keeper.keep({ name: "x", bytes: new Uint8Array(1) })).rejects.toMatchObject({ code: "no-room" });
  expect(asked).toHaveLength(2);
});
