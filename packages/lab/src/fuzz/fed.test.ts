import { toHex } from "restante/protocol";
import { expect, test } from "vitest";
import { FedChance } from "./fed.ts";

test("bytes that repeat repeat the draws, and no random bytes", () => {
  const chance = new FedChance(1);
  chance.feed(new Uint8Array(400).fill(0x30));
  expect(chance.next()).toBe(chance.next());
  const drawn = Array.from({ length: 190 }, () => toHex(chance.random(32)));
  expect(chance.isEmpty).toBe(false);
  expect(new Set(drawn).size).toBe(190);
});

test("the same bytes draw the same", () => {
  const [one, other] = [new FedChance(1), new FedChance(1)];
  for (const chance of [one, other]) chance.feed(Uint8Array.of(1, 2, 3, 4, 5, 6));
  for (let i = 0; i < 6; i++) expect(one.random(10)).toEqual(other.random(10));
});
