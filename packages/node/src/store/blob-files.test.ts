import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { portable } from "restante";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BlobFiles } from "./blob-files.ts";
import { Sealer } from "./sealer.ts";

let dir: string;
let files: BlobFiles;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "restante-blobs-"));
  files = new BlobFiles(dir, new Sealer(portable, new Uint8Array(32).fill(7)));
  await files.open();
});
afterEach(async () => {
  await files.close();
  await rm(dir, { recursive: true });
});

const text = (name: string): Uint8Array => new TextEncoder().encode(name);

test("more files than are kept open are written, read and removed side by side", async () => {
  const names = Array.from({ length: 40 }, (_, i) => `blob ${i}`);
  await Promise.all(
    names.flatMap((name) => [0, 1, 2].map((index) => files.write(name, index, text(`${name} ${index}`)))),
  );
  await files.sync(names);
  await Promise.all(names.filter((_, i) => i % 2 === 0).map((name) => files.remove(name)));
  const read = await Promise.all(names.map(async (name) => (await files.read(name, 1)) ?? "none"));
  expect(read).toEqual(names.map((name, i) => (i % 2 === 0 ? "none" : text(`${name} 1`))));
  expect(await readdir(dir)).toHaveLength(20);
});

test("a file that is asked for before it is there, and one that is made again after it was removed, are found", async () => {
  const early = files.read("a", 0);
  await Promise.all([files.write("a", 0, text("one")), early]);
  expect(await files.read("a", 0)).toEqual(text("one"));
  await Promise.all([files.read("a", 0), files.remove("a")]);
  expect(await files.read("a", 0)).toBeUndefined();
  await files.write("a", 1, text("two"));
  expect([await files.read("a", 0), await files.read("a", 1)]).toEqual([undefined, text("two")]);
});

test("how much more the disk takes is known", async () => {
  expect(await files.free()).toBeGreaterThan(0);
});
