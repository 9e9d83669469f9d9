import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { portable } from "restante";
import { createCrypto } from "restante/protocol";
import { afterEach, describe, expect, test, vi } from "vitest";
import { homePaths, openHome } from "./home.ts";
import { loadOrCreateIdentity, loadOrCreateKey } from "./store/key.ts";

const folders: string[] = [];
afterEach(() => {
  for (const dir of folders.splice(0)) rmSync(dir, { recursive: true, force: true });
});

describe("a home", () => {
  test("is made for our user alone, with its parents", async () => {
    const dir = join(folder(), "a", "b");
    const home = await openHome(dir);
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    expect(home).toMatchObject(homePaths(dir));
    await home.release();
    expect(readdirSync(dir)).toEqual([]);
  });

  test("belongs to one at a time; the refusal says who has it and what to do", async () => {
    const dir = folder();
    const home = await openHome(dir);
    await expect(openHome(dir)).rejects.toMatchObject({
      code: "home-locked",
      message: expect.stringMatching(new RegExp(`process ${process.pid} .*${dir}.*stop it`)),
    });
    await home.release();
    await (await openHome(dir)).release();
  });

  test("of many at the same moment at most one gets it", async () => {
    for (let round = 0; round < 20; round++) {
      const dir = folder();
      const all = await Promise.allSettled(Array.from({ length: 5 }, () => openHome(dir)));
      const got = all.filter((one) => one.status === "fulfilled");
      expect(got.length).toBeLessThanOrEqual(1);
      for (const { value } of got) await value.release();
      await (await openHome(dir)).release();
    }
  });

  test("claims of the dead, and of processes whose number was given out again, are void and removed", async () => {
    const dir = folder();
    const child = spawn(process.execPath, ["-e", ""]);
    await once(child, "exit");
    const names = [`lock.${child.pid}.0.00000000`, `lock.${child.pid}.77.00000000`, `lock.${process.pid}.1.00000000`];
    // Process 1 lives, but was not started at tick 999999999999.
    if (process.platform === "linux") names.push("lock.1.999999999999.00000000");
    for (const name of [...names, "lock.notours"]) writeFileSync(join(dir, name), "");
    const home = await openHome(dir);
    const left = readdirSync(dir);
    expect(left).toContain("lock.notours");
    expect(left).toHaveLength(2);
    await home.release();
  });

  test("a claim of a process that lives keeps others out", async () => {
    const dir = folder();
    const child = spawn(process.execPath, ["-e", "process.stdin.resume()"]);
    await once(child, "spawn");
    writeFileSync(join(dir, `lock.${child.pid}.0.00000000`), "");
    await expect(openHome(dir)).rejects.toMatchObject({ code: "home-locked" });
    child.stdin.end();
    await once(child, "exit");
    await (await openHome(dir)).release();
  });

  test("that others can get into is refused, with the remedy", async () => {
    const dir = folder();
    for (const mode of [0o750, 0o705, 0o701]) {
      chmodSync(dir, mode);
      await expect(openHome(dir)).rejects.toMatchObject({
        code: "open-permissions",
        message: expect.stringContaining(`chmod 700 ${dir}`),
      });
    }
    chmodSync(dir, 0o700);
    await (await openHome(dir)).release();
  });

  test("of another user is refused, with the remedy; so is a secret in a file of another's", async () => {
    const dir = folder();
    const [other, file] = [(process.getuid?.() ?? 0) + 1, join(dir, "key")];
    await loadOrCreateKey(file);
    const spy = vi.spyOn(process, "getuid").mockReturnValue(other);
    try {
      for (const [path, open] of [
        [dir, () => openHome(dir)],
        [file, () => loadOrCreateKey(file)],
      ] as const)
        await expect(open()).rejects.toMatchObject({
          code: "open-permissions",
          message: expect.stringContaining(`chown ${other} ${path}`),
        });
    } finally {
      spy.mockRestore();
    }
    await (await openHome(dir)).release();
  });

  test("with a long path has its socket under XDG_RUNTIME_DIR", () => {
    const before = process.env["XDG_RUNTIME_DIR"];
    const long = `/${"x".repeat(120)}`;
    try {
      process.env["XDG_RUNTIME_DIR"] = "/run/user/7";
      expect(homePaths("/short").sock).toBe("/short/sock");
      expect(homePaths(long).sock).toMatch(/^\/run\/user\/7\/restante-[0-9a-f]{16}\.sock$/);
      expect(homePaths(long).sock).not.toBe(homePaths(`${long}y`).sock);
      delete process.env["XDG_RUNTIME_DIR"];
      expect(homePaths(long).sock).toBe(`${long}/sock`);
    } finally {
      if (before === undefined) delete process.env["XDG_RUNTIME_DIR"];
      else process.env["XDG_RUNTIME_DIR"] = before;
    }
  });
});

describe("secrets in files", () => {
  const crypto = createCrypto(portable);
  const secrets = [
    ["key", loadOrCreateKey, "store-key"],
    ["identity", async (file: string) => (await loadOrCreateIdentity(crypto, file)).hashname, "bad-identity"],
  ] as const;
  for (const [name, load, code] of secrets) {
    test(`${name}: made once, mode 600, the same ever after, also for many at once`, async () => {
      const dir = folder();
      const file = join(dir, name);
      const all = await Promise.all([load(file), load(file), load(file)]);
      for (const one of [...all, await load(file)]) expect(one).toEqual(all[0]);
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(readdirSync(dir)).toEqual([name]);
      expect(await load(join(dir, "other"))).not.toEqual(all[0]);
    });

    test(`${name}: a file that others can read or write is refused, with the remedy`, async () => {
      const file = join(folder(), name);
      await load(file);
      for (const mode of [0o640, 0o604, 0o620]) {
        chmodSync(file, mode);
        await expect(load(file)).rejects.toMatchObject({
          code: "open-permissions",
          message: expect.stringContaining(`chmod 600 ${file}`),
        });
      }
    });

    test(`${name}: a file that is cut or holds something else is refused, and left as it is`, async () => {
      const file = join(folder(), name);
      await load(file);
      const whole = readFileSync(file);
      for (const bytes of [whole.subarray(0, -3), Buffer.alloc(0), Buffer.from("{}"), Buffer.from([0xff, 0xfe])]) {
        writeFileSync(file, bytes);
        await expect(load(file)).rejects.toMatchObject({ code });
        expect(readFileSync(file)).toEqual(bytes);
      }
    });
  }
});

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), "restante-home-"));
  folders.push(dir);
  return dir;
}
