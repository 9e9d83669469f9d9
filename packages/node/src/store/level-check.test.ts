import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Level } from "level";
import { Chance } from "restante/testing";
import { afterEach, expect, test } from "vitest";
import { damageOf, isWholeTable, readLog } from "./level-check.ts";

const folders: string[] = [];
afterEach(() => {
  for (const dir of folders.splice(0)) rmSync(dir, { recursive: true, force: true });
});

test("a database is whole, however much was written, deleted and reopened", async () => {
  const dir = folder();
  const chance = new Chance(3);
  for (let round = 0; round < 6; round++) {
    const database = await open(dir);
    for (let n = 0; n < 12; n++) {
      const batch = Array.from({ length: chance.between(1, 60) }, () => {
        const key = `k${chance.between(0, 1500)}`;
        if (chance.happens(0.3)) return { type: "del" as const, key };
        return { type: "put" as const, key, value: chance.random(chance.pick([0, 10, 3000, 40_000])) };
      });
      await database.batch(batch, { sync: chance.happens(0.5) });
    }
    await database.close();
    expect(await damageOf(dir)).toBeUndefined();
  }
  // Enough for tables on more than one level, and for records of the log that are cut at its blocks.
  expect(readdirSync(dir).filter((name) => name.endsWith(".ldb")).length).toBeGreaterThan(2);
});

test("a folder without a database is whole", async () => {
  expect(await damageOf(folder())).toBeUndefined();
});

test("a table with any one bit changed, or cut anywhere, is not whole", async () => {
  const table = readFileSync(await newest(await written(60), ".ldb"));
  expect(isWholeTable(table)).toBe(true);
  for (let bit = 0; bit < table.length * 8; bit++) {
    const changed = Uint8Array.from(table);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    if (isWholeTable(changed)) expect.fail(`bit ${bit} of ${table.length * 8}`);
  }
  for (let length = 0; length < table.length; length++) expect(isWholeTable(table.subarray(0, length))).toBe(false);
});

test("random bytes are no table and no log, and stop nothing", () => {
  const chance = new Chance(8);
  const magic = Uint8Array.of(0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb);
  for (let n = 0; n < 5000; n++) {
    const bytes = chance.random(chance.between(1, 300));
    if (bytes.length > 60) bytes.set(magic, bytes.length - magic.length);
    expect(isWholeTable(bytes)).toBe(false);
    expect(readLog(bytes)).toEqual({ records: [], state: "torn" });
  }
});

test("a log with any one bit changed: torn at most before the end, and never other records", async () => {
  const dir = await written(0);
  const log = new Uint8Array(readFileSync(await newest(dir, ".log")));
  const whole = readLog(log);
  expect(whole.state).toBe("whole");
  expect(whole.records.length).toBe(40);
  const texts = whole.records.map((record) => Buffer.from(record).toString("latin1"));
  for (let bit = 0; bit < log.length * 8; bit++) {
    const changed = log.slice();
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const { records, state } = readLog(changed);
    if (state === "whole") expect.fail(`bit ${bit}`);
    if (!records.every((record, i) => Buffer.from(record).toString("latin1") === texts[i])) expect.fail(`bit ${bit}`);
  }
  for (let length = 0; length < log.length; length++) {
    const { records, state } = readLog(log.subarray(0, length));
    expect(state).not.toBe("damaged");
    expect(records.length).toBeLessThan(whole.records.length);
  }
});

test("damage in an earlier block of a log is damage; a torn end of the newest one is not", async () => {
  const dir = folder();
  const database = await open(dir);
  for (let n = 0; n < 6; n++) await database.put(`k${n}`, new Chance(n).random(20_000), { sync: true });
  await database.close();
  const file = await newest(dir, ".log");
  const log = readFileSync(file);
  const changed = Buffer.from(log);
  changed[5000] = (changed[5000] ?? 0) ^ 1;
  writeFileSync(file, changed);
  expect(await damageOf(dir)).toMatch(/^\d+\.log is damaged$/);
  writeFileSync(file, log);
  truncateSync(file, log.length - 1000);
  expect(await damageOf(dir)).toBeUndefined();
});

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), "restante-check-"));
  folders.push(dir);
  return dir;
}

async function open(dir: string): Promise<Level<string, Uint8Array>> {
  const database = new Level<string, Uint8Array>(dir, { valueEncoding: "view", compression: false });
  await database.open();
  return database;
}

/** A database with so many entries in a table, and 40 in a log. */
async function written(inTable: number): Promise<string> {
  const dir = folder();
  for (const count of [inTable, 40]) {
    const database = await open(dir);
    for (let n = 0; n < count; n++) await database.put(`key ${n}`, new Uint8Array(n).fill(n));
    await database.close();
  }
  return dir;
}

async function newest(dir: string, end: string): Promise<string> {
  return join(
    dir,
    readdirSync(dir)
      .filter((name) => name.endsWith(end))
      .sort()
      .at(-1) ?? "",
  );
}
