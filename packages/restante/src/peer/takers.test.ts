import fc from "fast-check";
import { expect, test } from "vitest";
import { asJson, type Save } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { Takers } from "./takers.ts";

const name = (n: number): Hashname => `device-${n}` as Hashname;

/** What a store that took these would hold. */
function stored(saves: readonly Save[], store = new Map<string, Uint8Array>()): Map<string, Uint8Array> {
  for (const { key, value } of saves) {
    if (value === undefined) store.delete(key);
    else store.set(key, value);
  }
  return store;
}

test("four devices of a contact have a place, whatever comes and goes, over restarts", () => {
  const types = ["take", "take", "take", "take", "take", "take", "end", "settle"] as const;
  const step = fc.record({ type: fc.constantFrom(...types), device: fc.nat(9), contact: fc.nat(1) });
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 40 }), (steps) => {
      const store = new Map<string, Uint8Array>();
      const placed = new Map<Hashname, number>();
      let takers = new Takers(store);
      for (const [now, { type, device, contact }] of steps.entries()) {
        const [hashname, whose] = [name(device), `${contact}`];
        const others = [...placed].filter(([each, of]) => each !== hashname && of === contact).length;
        if (type === "take") {
          const saves = takers.take(hashname, whose, now);
          const hadOne = placed.get(hashname) === contact;
          expect(saves !== undefined).toBe(hadOne || others < 4);
          if (saves !== undefined) placed.set(hashname, contact);
          stored(saves ?? [], store);
        } else if (type === "settle") {
          stored(takers.settle(hashname), store);
          placed.delete(hashname);
        } else {
          const { saves, peers } = takers.end((_, of) => of === whose, now);
          expect([...peers].sort()).toEqual([...placed.keys()].filter((each) => placed.get(each) === contact).sort());
          for (const each of peers) placed.delete(each);
          stored(saves, store);
          expect(peers.every((each) => takers.isOver(each))).toBe(true);
        }
        takers = new Takers(store);
        for (const each of placed.keys()) expect(takers.isOver(each)).toBe(false);
      }
    }),
    { numRuns: 50 },
  );
});

test("4096 whose place is over are remembered; the oldest is forgotten first", () => {
  const over = Array.from(
    { length: 4096 },
    (_, n) => [`peer/taker/${name(n)}`, { contact: "", at: n, isOver: true }] as const,
  );
  const takers = new Takers(new Map(over.reverse().map(([key, taker]) => [key, asJson(taker)])));
  takers.take(name(4096), "", 4096);
  const { saves } = takers.end(() => true, 4096);
  expect(saves.filter(({ value }) => value === undefined).map(({ key }) => key)).toEqual([`peer/taker/${name(0)}`]);
  expect([0, 1, 4096].map((n) => takers.isOver(name(n)))).toEqual([false, true, true]);
});
