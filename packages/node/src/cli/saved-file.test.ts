import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { safeName, saveFile } from "./saved-file.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "restante-saved-"));
});
afterEach(() => rm(dir, { recursive: true }));

const bytes = Buffer.from("content");
const sha256 = createHash("sha256").update(bytes).digest("hex");
const file = { name: "a.txt", media: "text/plain", size: bytes.length, sha256 };
async function* content(): AsyncGenerator<Uint8Array> {
  yield bytes.subarray(0, 3);
  yield bytes.subarray(3);
}

describe("a received file", () => {
  test("never replaces another: the next free name is taken", async () => {
    await writeFile(join(dir, "a.txt"), "mine");
    expect(basename(await saveFile(dir, file, content()))).toBe("a (1).txt");
    expect(basename(await saveFile(dir, file, content()))).toBe("a (2).txt");
    expect(await readFile(join(dir, "a.txt"), "utf8")).toBe("mine");
    expect(await readFile(join(dir, "a (2).txt"), "utf8")).toBe("content");
  });

  test("makes its folder, and leaves nothing else there", async () => {
    await saveFile(join(dir, "new", "folder"), file, content());
    expect(await readdir(join(dir, "new", "folder"))).toEqual(["a.txt"]);
  });

  test.each([
    ["ends too early", () => [bytes.subarray(0, 3)]],
    ["is longer", () => [bytes, bytes]],
    ["is another", () => [Buffer.from("c0ntent")]],
  ])("that %s than what was sent is not kept", async (_, pieces) => {
    async function* wrong(): AsyncGenerator<Uint8Array> {
      yield* pieces();
    }
    await expect(saveFile(dir, file, wrong())).rejects.toMatchObject({ code: "damaged" });
    expect(await readdir(dir)).toEqual([]);
  });

  test("that breaks off leaves nothing", async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield bytes;
      throw new Error("the daemon is gone");
    }
    await expect(saveFile(dir, file, broken())).rejects.toThrow("the daemon is gone");
    expect(await readdir(dir)).toEqual([]);
  });
});

describe("file names of others", () => {
  test.each([
    ["photo.png", "photo.png"],
    ["../../etc/passwd", "_.._etc_passwd"],
    ["C:\\evil.exe", "C__evil.exe"],
    [".bashrc", "bashrc"],
    ["...", "file"],
    ["-oProxyCommand=sh evil", "_oProxyCommand=sh evil"],
    [".-rf", "_rf"],
    ["+!sh evil", "_!sh evil"],
    ["@arguments", "_arguments"],
    ["", "file"],
    ["con.txt", "_con.txt"],
    ["a\u202egnp.exe", "a_gnp.exe"],
    ["two\nlines", "two_lines"],
    ["räksmörgås 日本.txt", "räksmörgås 日本.txt"],
  ])("%j is saved as %j", (name, saved) => {
    expect(safeName(name)).toBe(saved);
  });

  test("become one plain, visible name that every file system takes", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 300 }), (name) => {
        const saved = safeName(name);
        expect(basename(saved)).toBe(saved);
        expect(saved).not.toMatch(/^[-+@.\s]|[\p{C}/\\]/u);
        expect(Buffer.byteLength(saved)).toBeGreaterThan(0);
        expect(Buffer.byteLength(saved)).toBeLessThan(250);
      }),
    );
  });
});
