import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Token, tokenOf } from "./token.ts";

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "restante-token-"));
});
afterEach(() => rm(home, { recursive: true }));

test("a home has one token, whoever asks first, in a file for its owner alone", async () => {
  const made = await Promise.all(Array.from({ length: 8 }, () => tokenOf(home)));
  expect(new Set(made).size).toBe(1);
  expect(await readdir(home)).toEqual(["token"]);
  expect(await readFile(join(home, "token"), "utf8")).toBe(`${made[0]}\n`);
  expect((await stat(join(home, "token"))).mode & 0o777).toBe(0o600);
  const token = await Token.load(home);
  expect(token.isRight(made[0] ?? "")).toBe(true);
  for (const wrong of ["", `${made[0]}\n`, made[0]?.slice(1) ?? ""]) expect(token.isRight(wrong)).toBe(false);
});

test("a renewed token ends that of before, and so does a file that is gone or open to others", async () => {
  const first = await tokenOf(home);
  const token = await Token.load(home);
  const { ended } = token;
  const second = await tokenOf(home, { renew: true });
  await token.refresh();
  expect([ended.aborted, token.isRight(first), token.isRight(second)]).toEqual([true, false, true]);
  const { ended: next } = token;
  await token.refresh();
  expect([next.aborted, token.ended]).toEqual([false, next]);

  await chmod(join(home, "token"), 0o640);
  await expect(token.refresh()).rejects.toMatchObject({ code: "open-permissions" });
  expect([next.aborted, token.isRight(second)]).toEqual([true, false]);
  await chmod(join(home, "token"), 0o600);
  await token.refresh();
  expect(token.isRight(second)).toBe(true);

  await rm(join(home, "token"));
  await token.refresh();
  expect(token.isRight(second)).toBe(false);
});

test("a file that holds no token is none", async () => {
  await writeFile(join(home, "token"), "\n", { mode: 0o600 });
  const token = await Token.load(home);
  expect(token.isRight("")).toBe(false);
  expect(token.isRight(await tokenOf(home))).toBe(true);
});
