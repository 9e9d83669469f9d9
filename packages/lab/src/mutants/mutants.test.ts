import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseSync } from "vite";
import { expect, test } from "vitest";
import { readChecklist } from "../conformance/rows.ts";
import { isId, sourceOf } from "./mutant.ts";
import { MUTANTS } from "./mutants.ts";
import { Index, titleOf } from "./proofs.ts";
import { ROOT } from "./tree.ts";
import { edited, tryAll } from "./trial.ts";

const index = new Index();
/** An id that no test has: there is no such row. Put together, since a test that names it would be one. */
const NONE = ["Z", 1].join("");

test("each edit can be made: its old text stands once in its file, in one line, and the result can be read", () => {
  const wrong = MUTANTS.filter((mutant) => {
    const source = edited(readFileSync(join(ROOT, sourceOf(mutant)), "utf8"), mutant);
    return source === undefined || mutant.now.includes("\n") || parseSync(mutant.file, source).errors.length > 0;
  });
  expect(wrong).toEqual([]);
});

test("they break sixty rows that say MUST, and what is promised besides, each with a test to notice it", () => {
  const must = new Set(readChecklist().rows.flatMap(({ id, level }) => (level.startsWith("MUST") ? [id] : [])));
  const rows = new Set(MUTANTS.map(({ row }) => row));
  expect([...rows].filter((row) => isId(row) && !must.has(row))).toEqual([]);
  expect([...rows].filter(isId).length).toBeGreaterThanOrEqual(60);
  expect([...rows].filter((row) => index.of(row).near.length + index.of(row).far.length === 0)).toEqual([]);
  expect(new Set(MUTANTS.map((mutant) => JSON.stringify(mutant))).size).toBe(MUTANTS.length);
});

test("an edit is made where the old text stands, and only if it stands there once", () => {
  expect(edited("a b c", { old: "b", now: "$&" })).toBe("a $& c");
  expect(edited("a b b", { old: "b", now: "d" })).toBeUndefined();
  expect(edited("aaa", { old: "aa", now: "d" })).toBeUndefined();
  expect(edited("a b c", { old: "d", now: "e" })).toBeUndefined();
  expect(edited("a b c", { old: "b", now: "b" })).toBeUndefined();
  expect(edited("a\nb", { old: "a\nb", now: "" })).toBeUndefined();
  expect(edited("a b c", { old: "", now: "d" })).toBeUndefined();
});

test("the tests of a row are those with its id in brackets, alone or among others, also in suites that run elsewhere", () => {
  const title = new RegExp(titleOf(["C5", "A1"]));
  for (const yes of ["[C5] x", "[C4] [C5]", "[C4][C5]", "[C4, C5 X1]", "a [A1]"])
    expect(title.test(yes), yes).toBe(true);
  for (const no of ["C5", "[C55]", "[C4]", "[AC5]", "[C5 is it]", "(C5)"]) expect(title.test(no), no).toBe(false);
  const whole = new RegExp(titleOf(["C5", "a key (new)"]));
  for (const [text, is] of [
    ["[C5] x", true],
    ["of a key (new), that", true],
    ["a key new", false],
  ] as const)
    expect(whole.test(text), text).toBe(is);
  expect(index.of("E10").near).toContain("packages/restante/src/crypto/crypto.test.ts");
  expect(index.of("C41").near).toContain("packages/restante/src/store/memory-boxes.test.ts"); // of boxStoreSuite
  expect(index.of("A24").near).toContain("packages/restante/src/crypto/cipher-set.test.ts"); // of cipherSetSuite
});

test("what a test notices is caught, what none does survives, and what cannot be tried is broken", {
  timeout: 300_000,
}, async () => {
  const file = "wire/packet.ts";
  const mutants = [
    {
      row: "E1",
      file,
      old: "if (end > bytes.length) return undefined;",
      now: "if (end >= bytes.length) return undefined;",
    },
    {
      row: "E1",
      file,
      old: "if (end > bytes.length) return undefined;",
      now: "if (bytes.length < end) return undefined;",
    },
    { row: "E1", file, old: "if (end > bytes.length) return undefined;", now: "if (end > bytes.length) return }" },
    { row: "E1", file, old: "no such text", now: "" },
    { row: NONE, file, old: "const MIN_JSON = 7;", now: "const MIN_JSON = 6;" },
  ];
  const before = readFileSync(join(ROOT, "packages/restante/src", file), "utf8");
  const trials = await tryAll(mutants, 1, () => {});
  expect(trials.map(({ verdict }) => verdict)).toEqual(["caught", "survived", "broken", "broken", "broken"]);
  expect(trials.map(({ why = "" }) => why).slice(2)).toEqual([
    expect.stringContaining("no test of E1 ran"),
    expect.stringContaining("exactly once"),
    expect.stringContaining("no test has ["),
  ]);
  expect(readFileSync(join(ROOT, "packages/restante/src", file), "utf8")).toBe(before);
});
