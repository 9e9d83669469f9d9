import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Attempts, Password, removePassword, writePassword } from "./password.ts";

let dir = "";
let file = "";
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "restante-password-"));
  file = join(dir, "web-password");
});
afterAll(async () => await rm(dir, { recursive: true }));

describe("the password", () => {
  test("is right when it is that one, and a file of its owner's that holds a slow hash of it", async () => {
    await writePassword(file, "correct horse e\u0301");
    const password = await Password.load(file);
    expect(await password.isRight("correct horse \u00e9")).toBe(true);
    for (const wrong of ["correct horse e", "", "x".repeat(100_000)]) expect(await password.isRight(wrong)).toBe(false);
    const text = await readFile(file, "utf8");
    expect(text).toMatch(/^scrypt 32768 8 3 /);
    expect(text).not.toContain("horse");
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const { tag } = password;
    await writePassword(file, "correct horse e\u0301");
    await password.refresh();
    expect(password.tag).toMatch(/^[0-9a-f]{16}$/);
    expect(password.tag).not.toBe(tag);
    expect(await removePassword(file)).toBe(true);
    expect(await removePassword(file)).toBe(false);
    await password.refresh();
    expect(password.tag).toBeUndefined();
    expect(await password.isRight("correct horse \u00e9")).toBe(false);
  });

  test("is not too short; and a file that holds something else, or is for others to read, is refused", async () => {
    await expect(writePassword(file, "123456789")).rejects.toMatchObject({ code: "bad-password" });
    await expect(writePassword(file, "x".repeat(257))).rejects.toMatchObject({ code: "bad-password" });
    // Parameters that would take all memory are none.
    for (const text of ["", "secret", `scrypt 9999999 8 3 ${"a".repeat(22)} ${"a".repeat(43)}`]) {
      await writeFile(file, text, { mode: 0o600 });
      await expect(Password.load(file)).rejects.toMatchObject({ code: "bad-file" });
    }
    await rm(file);
    await writeFile(file, "x", { mode: 0o644 });
    await expect(Password.load(file)).rejects.toMatchObject({ code: "open-permissions" });
    await rm(file);
  });
});

describe("attempts", () => {
  let now = 0;
  const wrong = async (): Promise<boolean> => false;
  const right = async (): Promise<boolean> => true;

  test("of one address are five, then one a minute, right or wrong; others are not kept out by it", async () => {
    const attempts = new Attempts(() => now);
    for (let i = 0; i < 5; i++) expect(await attempts.attempt("192.168.1.7", wrong)).toEqual({ isRight: false });
    let looked = 0;
    const look = async (): Promise<boolean> => ++looked > 0;
    expect(await attempts.attempt("192.168.1.7", look)).toEqual({ isRight: false, tooMany: 60 });
    expect(await attempts.attempt("::ffff:192.168.1.7", look)).toMatchObject({ tooMany: 60 });
    expect(looked).toBe(0);
    expect(await attempts.attempt("192.168.1.8", right)).toEqual({ isRight: true });
    now += 61_000;
    expect(await attempts.attempt("192.168.1.7", right)).toEqual({ isRight: true });
  });

  test("of a network of IPv6 are counted together", async () => {
    const attempts = new Attempts(() => now);
    for (let i = 0; i < 5; i++) await attempts.attempt(`2001:db8::${i}`, wrong);
    expect(await attempts.attempt("2001:db8:0:0:ffff::1", right)).toMatchObject({ tooMany: 60 });
    expect(await attempts.attempt("2001:db8:0:1::1", right)).toEqual({ isRight: true });
    expect(await attempts.attempt("fe80::1%eth0", right)).toEqual({ isRight: true });
  });

  test("of all addresses together are sixty, then ten a minute; this machine, and where somebody was let in before, go on", async () => {
    const attempts = new Attempts(() => now);
    expect(await attempts.attempt("192.168.1.7", right)).toEqual({ isRight: true });
    for (let i = 0; i < 100; i++) await attempts.attempt(`10.0.${i}.1`, wrong);
    expect(await attempts.attempt("10.1.0.1", right)).toEqual({ isRight: false, tooMany: 6 });
    expect(await attempts.attempt("192.168.1.7", right)).toEqual({ isRight: true });
    expect(await attempts.attempt("127.0.0.1", right)).toEqual({ isRight: true });
    expect(await attempts.attempt("::1", right)).toEqual({ isRight: true });
  });

  test("by a proxy that does not say for whom are counted as one, and take nothing from this machine", async () => {
    const attempts = new Attempts(() => now);
    for (let i = 0; i < 6; i++) await attempts.attempt(undefined, wrong);
    expect(await attempts.attempt(undefined, right)).toMatchObject({ tooMany: 60 });
    expect(await attempts.attempt("127.0.0.1", right)).toEqual({ isRight: true });
    expect(await attempts.attempt("192.168.1.7", right)).toEqual({ isRight: true });
  });

  test("one is looked at at a time, and few wait", async () => {
    const attempts = new Attempts(() => now);
    let [atOnce, most] = [0, 0];
    const slow = async (): Promise<boolean> => {
      most = Math.max(most, ++atOnce);
      await Promise.resolve();
      atOnce--;
      return true;
    };
    const all = await Promise.all(Array.from({ length: 20 }, (_, i) => attempts.attempt(`10.2.${i}.1`, slow)));
    expect(most).toBe(1);
    expect(all.filter(({ isRight }) => isRight)).toHaveLength(8);
    await expect(attempts.attempt("10.3.0.1", async () => Promise.reject(new Error("no memory")))).rejects.toThrow();
    expect(await attempts.attempt("10.3.0.2", right)).toEqual({ isRight: true });
  });
});
