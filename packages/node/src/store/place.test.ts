import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, renameSync, rmSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { portable } from "restante";
import { afterEach, describe, expect, test } from "vitest";
import { loadNative } from "../crypto/native.ts";
import { levelStore } from "./level.ts";

const backend = (await loadNative()) ?? portable;
const key = new Uint8Array(32).fill(3);
const folders: string[] = [];
afterEach(() => {
  for (const dir of folders.splice(0)) rmSync(dir, { recursive: true, force: true });
});

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), "restante-place-"));
  folders.push(dir);
  return dir;
}

/** Opens the store, commits so often, closes it, and gives what it said at first. */
async function use(dir: string, commits: number): Promise<boolean | undefined> {
  const store = levelStore({ dir, key, backend });
  await store.open();
  const first = store.isCopied;
  for (let i = 0; i < commits; i++) {
    await store.commit([{ key: "a", value: Uint8Array.of(i) }]);
    expect(store.isCopied).toBe(false);
  }
  await store.close();
  return first;
}

/** Over what is there, with all times and modes: not every Node keeps the modes of folders. */
const copy = (from: string, to: string): void => void execFileSync("cp", ["-aT", from, to]);

describe("a store", () => {
  test("that is closed and opened where it was is no copy, however often, and when its folder was renamed", async () => {
    const dir = join(folder(), "store");
    expect(await use(dir, 0)).toBe(false);
    expect(await use(dir, 0)).toBe(false);
    for (let i = 0; i < 3; i++) expect(await use(dir, 2)).toBe(false);
    renameSync(dir, `${dir}2`);
    expect(await use(`${dir}2`, 1)).toBe(false);
    expect(readdirSync(`${dir}2`).filter((name) => name.startsWith("place."))).toHaveLength(1);
  });

  test("that was copied to another folder is a copy until its first commit, and the original stays none", async () => {
    const dir = folder();
    await use(join(dir, "a"), 1);
    copy(join(dir, "a"), join(dir, "b"));
    expect(await use(join(dir, "b"), 0)).toBe(true);
    expect(await use(join(dir, "b"), 1)).toBe(true);
    expect(await use(join(dir, "b"), 1)).toBe(false);
    expect(await use(join(dir, "a"), 1)).toBe(false);
  });

  test.each<[string, (backup: string, dir: string) => void]>([
    [
      "in the place of what was there",
      (backup, dir) => {
        rmSync(dir, { recursive: true });
        copy(backup, dir);
      },
    ],
    [
      "over what was there, with what differs alone",
      (backup, dir) => {
        for (const part of ["db", "mark"]) {
          rmSync(join(dir, part), { recursive: true });
          copy(join(backup, part), join(dir, part));
        }
      },
    ],
  ])("that was put back from a backup is a copy: %s", async (_, restore) => {
    const dir = folder();
    await use(join(dir, "a"), 2);
    copy(join(dir, "a"), join(dir, "backup"));
    expect(await use(join(dir, "a"), 2)).toBe(false);
    restore(join(dir, "backup"), join(dir, "a"));
    expect(await use(join(dir, "a"), 1)).toBe(true);
    expect(await use(join(dir, "a"), 1)).toBe(false);
  });

  test("that was damaged and put back file by file, those alone that differ, is a copy", async () => {
    const dir = folder();
    const [a, backup] = [join(dir, "a"), join(dir, "backup")];
    const store = levelStore({ dir: a, key, backend });
    await store.open();
    await store.commit([{ key: "a", value: Uint8Array.of(1) }]);
    copy(a, backup); // while it runs: its place is the same then
    await store.commit([{ key: "a", value: Uint8Array.of(2) }]);
    await store.close();
    unlinkSync(join(a, "db", "CURRENT"));
    await expect(use(a, 0)).rejects.toMatchObject({ code: "store-damaged" });
    for (const name of readdirSync(backup)) if (name.startsWith("lock.")) unlinkSync(join(backup, name));
    copy(backup, a);
    expect(await use(a, 1)).toBe(true);
  });

  test("whose place nobody ever noted, from before there were places, is a copy: it cannot be known", async () => {
    const dir = join(folder(), "a");
    await use(dir, 1);
    for (const name of readdirSync(dir)) if (name.startsWith("place.")) unlinkSync(join(dir, name));
    expect(await use(dir, 1)).toBe(true);
  });
});
