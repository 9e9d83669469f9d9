import { expect, test } from "vitest";
import { utf8 } from "../bytes/index.ts";
import { type Migration, migrated, RECORDS_KEY, recordsState } from "./migrate.ts";
import { laterCard } from "./own-card.ts";

/** Doubles what stands at "a" into "b"; then "b" becomes "c". */
const TWO: readonly Migration[] = [
  (saved) => [{ key: "b", value: utf8(`${saved.get("a")}${saved.get("a")}`) }],
  (saved) => [
    { key: "c", value: saved.get("b") },
    { key: "b", value: undefined },
  ],
];

test("records of any earlier version become those of today, in one batch with the new version", () => {
  const saved = new Map([["a", Uint8Array.of(7)]]);
  expect(migrated(saved, undefined, TWO)).toEqual([
    { key: "b", value: undefined },
    { key: "c", value: utf8("77") },
    { key: RECORDS_KEY, value: utf8("3") },
  ]);
  expect(migrated(new Map([["b", utf8("x")]]), utf8("2"), TWO)).toEqual([
    { key: "c", value: utf8("x") },
    { key: "b", value: undefined },
    { key: RECORDS_KEY, value: utf8("3") },
  ]);
  expect([...saved.keys()]).toEqual(["a"]);
});

test("records of today stay, those of tomorrow are known for that", () => {
  expect(recordsState(undefined, TWO)).toBe("older");
  expect(recordsState(utf8("2"), TWO)).toBe("older");
  expect(recordsState(utf8("3"), TWO)).toBe("current");
  expect(recordsState(utf8("4"), TWO)).toBe("newer");
  // The first version was never written down: once it is, an older program can be kept from reading newer records.
  expect(recordsState(undefined, [])).toBe("older");
  expect(migrated(new Map(), undefined, [])).toEqual([{ key: RECORDS_KEY, value: utf8("1") }]);
});

test("a copy of a store gives out its card under a version above those that the other store can have given out", () => {
  const record = (version: number): Uint8Array => utf8(JSON.stringify({ id: "00", version, digest: "d" }));
  const now = 1_800_000_000_000;
  expect(laterCard(record(3), now)).toEqual(utf8(JSON.stringify({ id: "00", version: 1_800_000_000, digest: "" })));
  // The clock of this machine may be wrong: never below what was given out here.
  expect(laterCard(record(2_000_000_000), now)).toEqual(
    utf8(JSON.stringify({ id: "00", version: 2_000_000_000, digest: "" })),
  );
  expect(laterCard(record(0), now)).toEqual(record(0));
});
