import fc from "fast-check";
import { expect, test } from "vitest";
import { type Hashname, hashnameFromBytes, portable } from "../crypto/index.ts";
import { isSafetyOf, safetyText, safetyWords } from "./words.ts";

const hashname = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => hashnameFromBytes(bytes));
const [ZEROS, ONES] = [0, 255].map((byte) => hashnameFromBytes(new Uint8Array(32).fill(byte))) as [Hashname, Hashname];

test("the words of two devices are these, from both sides, for as long as there is this version", () => {
  const words = VECTOR.split(" ");
  expect(safetyWords(portable, ZEROS, ONES)).toEqual(words);
  expect(safetyWords(portable, ONES, ZEROS)).toEqual(words);
  expect(safetyText(ONES, ZEROS)).toBe(`restante-verify:1:${ONES}:${ZEROS}`);
});

test("the list has 256 words: short, in order, no two alike in their first four letters or in all but two", () => {
  const list = all();
  expect(list).toHaveLength(256);
  expect([...list].sort()).toEqual(list);
  expect(list.every((word) => /^[a-z]{3,7}$/.test(word))).toBe(true);
  expect(new Set(list.map((word) => word.slice(0, 4))).size).toBe(256);
  const near = list.flatMap((a, i) =>
    list
      .slice(i + 1)
      .filter((b) => distance(a, b) < 3)
      .map((b) => `${a} ${b}`),
  );
  expect(near).toEqual([]);
});

test("words and line are those of these two alone, however they are spelled", () => {
  fc.assert(
    fc.property(hashname, hashname, hashname, (a, b, c) => {
      fc.pre(new Set([a, b, c]).size === 3);
      const words = safetyWords(portable, a, b);
      for (const said of [words.join(" "), words.join(",\n").toUpperCase(), ` ${safetyText(b, a)} `]) {
        expect(isSafetyOf(portable, said, b, a)).toBe(true);
        expect(isSafetyOf(portable, said, a, c)).toBe(false);
      }
      for (const said of [
        words.slice(1).join(" "),
        [...words, words[0]].join(" "),
        `${safetyText(a, b)}a`,
        "x".repeat(5000),
      ])
        expect(isSafetyOf(portable, said, a, b)).toBe(false);
    }),
    { numRuns: 50 },
  );
});

test("nothing that anybody says throws or is taken for the words", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (said) => !isSafetyOf(portable, said, ZEROS, ONES)),
    { numRuns: 30 },
  );
});

/** Every word, by digests that name it. */
function all(): string[] {
  return Array.from({ length: 16 }, (_, row) =>
    safetyWords({ sha256: () => Uint8Array.from({ length: 32 }, (__, i) => row * 16 + (i % 16)) }, ZEROS, ONES),
  ).flat();
}

/** How many letters to add, drop or change. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(
        Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)),
      );
    row = next;
  }
  return row[b.length] ?? 0;
}

const VECTOR = "ocean globe donkey fudge hobby globe ladder glacier clock flag daisy onion island famous crater house";
