import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openReaders, PAGE, RECV } from "./readers.ts";

let dir: string;
let file: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "restante-readers-"));
  file = join(dir, "seen");
});
afterEach(() => rm(dir, { recursive: true }));

test("each reader has a number that only grows, alone, and survives the process", async () => {
  const readers = await openReaders(file);
  expect([readers.position(RECV), readers.position("bot"), readers.furthest()]).toEqual([0, 0, 0]);
  await Promise.all([readers.move(PAGE, 7), readers.move("bot", 3), readers.move(RECV, 2), readers.move(PAGE, 4)]);
  for (const each of [readers, await openReaders(file)]) {
    expect([RECV, PAGE, "bot", "other"].map((name) => each.position(name))).toEqual([2, 7, 3, 0]);
    expect(each.furthest()).toBe(7);
  }
});

test("a file of the time when there was one position is that of recv, and of the page that has moved it", async () => {
  for (const text of ["12", "12\n"]) {
    await writeFile(file, text);
    const readers = await openReaders(file);
    expect([RECV, PAGE, "bot"].map((name) => readers.position(name))).toEqual([12, 12, 0]);
  }
  // From then on they part, also where the page was never there.
  await rm(file);
  await (await openReaders(file)).move(RECV, 5);
  expect((await openReaders(file)).position(PAGE)).toBe(0);
});

test("what cannot be read in it counts as nothing: mail is shown again, never skipped", async () => {
  await writeFile(file, "-1e9 what\npage 1e3\nbot 4\nBOT 9\nrecv 9\nbot2\nlate 99999999999999999999\n__proto__ 4");
  const readers = await openReaders(file);
  expect([RECV, PAGE, "bot", "BOT", "late"].map((name) => readers.position(name))).toEqual([0, 0, 4, 0, 0]);
});

test("there are 64 of them at most, and those go on", async () => {
  const readers = await openReaders(file);
  for (let i = 0; i < 62; i++) await readers.move(`r${i}`, 1);
  await expect(readers.move("more", 1)).rejects.toMatchObject({ code: "full" });
  expect(readers.position("more")).toBe(0);
  await readers.move("r61", 2);
  await readers.move("other", 0);
  expect((await readFile(file, "utf8")).split("\n")).toHaveLength(65);
  const more = Array.from({ length: 200 }, (_, i) => `s${i} 1`);
  await writeFile(file, ["0", ...more].join("\n"));
  const again = await openReaders(file);
  expect([again.position("s61"), again.position("s62")]).toEqual([1, 0]);
});

test("a number that cannot be written is told of", async () => {
  const readers = await openReaders(join(dir, "none", "seen"));
  await expect(readers.move(RECV, 1)).rejects.toMatchObject({ code: "store-failed" });
});
