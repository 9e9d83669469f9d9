import fc from "fast-check";
import { expect, test } from "vitest";
import type { Hashname } from "../crypto/index.ts";
import { type Callable, meant } from "./naming.ts";

const [HN_BOB, HN_EVE] = ["zsceq3b6".padEnd(52, "b"), "k5aem7f2".padEnd(52, "e")] as [Hashname, Hashname];
const [ID_BOB, ID_EVE] = ["11c0ffee".padEnd(32, "1"), "22decade".padEnd(32, "2")];
const bob: Callable = { id: ID_BOB, name: "Bob", hashnames: [HN_BOB] };
const eve = (name: string): Callable => ({ id: ID_EVE, name, hashnames: [HN_EVE] });
const who = (all: readonly Callable[], text: string): string[] => meant(all, text, (one) => one).map(({ id }) => id);

test("whatever somebody calls itself, a whole id or hashname means whose it is, and nobody where it is nobody's", () => {
  for (const of of [HN_BOB, ID_BOB, HN_BOB.toUpperCase()]) {
    expect(who([bob, eve(of)], of)).toEqual([ID_BOB]);
    expect(who([eve(of)], of)).toEqual([]);
  }
});

test("who calls itself as another's id or hashname begins is not taken for that one: the text is ambiguous", () => {
  for (const of of [HN_BOB, ID_BOB])
    for (const length of [4, 8, 31]) {
      const text = of.slice(0, length);
      expect(who([bob, eve(text)], text)).toEqual([ID_BOB, ID_EVE]);
      expect(who([bob, eve(`${text}7`)], text)).toEqual([ID_BOB, ID_EVE]);
    }
});

test("a whole name goes before the start of another, and what begins one's own hashname is no other's", () => {
  const [edda, eddard] = [
    { ...bob, name: "Edda" },
    { ...eve("Eddard"), hashnames: [`edda${HN_EVE.slice(4)}` as Hashname] },
  ];
  expect(who([edda, eve("Eddard")], "EDDA")).toEqual([ID_BOB]);
  expect(who([edda, eve("Eddard")], "edd")).toEqual([]);
  expect(who([edda, eve("Eddard")], "eddar")).toEqual([ID_EVE]);
  expect(who([{ ...eddard, name: "edda" }], "edda")).toEqual([ID_EVE]);
  expect(who([edda, eddard], "edda")).toEqual([ID_EVE, ID_BOB]);
});

test("no name takes a text away from whom it meant without it", () => {
  const text = fc.oneof(
    fc.constantFrom(HN_BOB, ID_BOB, HN_EVE).chain((of) => fc.nat(of.length).map((length) => of.slice(0, length))),
    fc.constantFrom("Bob", "bo", ""),
  );
  fc.assert(
    fc.property(text, fc.oneof(text, fc.string()), (typed, name) => {
      const before = who([bob, { id: ID_EVE, hashnames: [HN_EVE] }], typed);
      if (typed.toLowerCase() !== "bob") for (const id of before) expect(who([bob, eve(name)], typed)).toContain(id);
    }),
  );
});
