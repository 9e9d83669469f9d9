import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { record, recorded } from "./record.ts";
import { runWorld, SETUP, total } from "./run.ts";

test("the total goes on from run to run, and seeds are counted up", () => {
  const folder = mkdtempSync(join(tmpdir(), "restante-worlds-"));
  try {
    const file = join(folder, "worlds.json");
    expect(recorded(file)).toMatchObject({ worlds: 0, next: 1000, runs: [] });
    const totals = total([runWorld(1001, { ...SETUP, peers: 2, days: 1 }, undefined)]);
    record(1000, 1, totals, file);
    const corrected = [{ seed: 1000, mailsLost: 0, why: "kept from run to run" }];
    writeFileSync(file, JSON.stringify({ ...recorded(file), corrected }));
    const after = record(1001, 30, { ...totals, failed: [1001] }, file);
    expect(after).toMatchObject({
      worlds: 2,
      days: 31,
      mails: 2 * totals.mails,
      next: 1002,
      failed: [1001],
      corrected,
    });
    expect(after.runs.map(({ first, last }) => [first, last])).toEqual([
      [1000, 1000],
      [1001, 1001],
    ]);
    expect(recorded(file)).toEqual(after);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
