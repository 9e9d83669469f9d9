import fc from "fast-check";
import { expect, test } from "vitest";
import type { Hashname } from "../crypto/index.ts";
import { type Candidate, chooseCaches as choose, onePerStore, rankCaches } from "./route.ts";

function cache(name: string, more: Partial<Candidate> & { cap?: number; store?: string } = {}): Candidate {
  const { cap = 100, store = name, ...rest } = more;
  const offer = { hashname: name as Hashname, uri: "", cap, store };
  return { offer, up: false, failures: 0, repute: { settled: 0, delivered: 0 }, ...rest };
}

function names(chosen: readonly Candidate[]): string {
  return chosen.map(({ offer }) => offer.hashname).join(" ");
}

const none = (): boolean => false;
/** Of nine mails that it took, so many came to their recipient. */
const nine = (delivered: number): Partial<Candidate> => ({ repute: { settled: 9, delivered } });

function chooseCaches<C extends Candidate>(all: readonly C[], taken: (each: C) => boolean, copies = 2): C[] {
  return choose(all, taken, copies);
}

test("[C2] [X38] what works, delivers, is up, has room, and was named first, in this order", () => {
  expect(names(chooseCaches([cache("a"), cache("b"), cache("c")], none))).toBe("a b");
  expect(names(chooseCaches([cache("a"), cache("b", { cap: 200 }), cache("c")], none))).toBe("b a");
  // Claims beyond what a cache has by itself count no more than that.
  const [much, more] = [{ cap: 8 << 20 }, { cap: 2 ** 40 }];
  expect(names(chooseCaches([cache("a", much), cache("b", more), cache("c", more)], none))).toBe("a b");
  expect(names(chooseCaches([cache("a", nine(0)), cache("b", { cap: 2 }), cache("c", { cap: 1 })], none))).toBe("b c");
  expect(names(chooseCaches([cache("a"), cache("b"), cache("c", { up: true })], none))).toBe("c a");
  // What it brought counts before what it says: a link, or any size.
  expect(names(chooseCaches([cache("a"), cache("b"), cache("c", { up: true, ...more, ...nine(3) })], none))).toBe(
    "a b",
  );
  // One that was lost does not reorder good ones.
  expect(names(chooseCaches([cache("a", nine(8)), cache("b", nine(9)), cache("c")], none))).toBe("a b");
  expect(names(chooseCaches([cache("a", { failures: 2, up: true }), cache("b"), cache("c")], none))).toBe("b c");
});

test("what no card names comes on top of the copies, whatever it claims, and never in place of a cache of the card", () => {
  const spare = (name: string, more: Parameters<typeof cache>[1] = {}): Candidate => {
    const made = cache(name, { cap: 8 << 20, up: true, ...more });
    return { ...made, offer: { ...made.offer, isSpare: true } };
  };
  const all = [spare("x"), cache("a"), spare("y", nine(9)), cache("b"), spare("z"), cache("c")];
  expect(names(chooseCaches(all, none))).toBe("a b x y");
  expect(names(rankCaches(all))).toBe("a b c x y z");
  // Not by the name of a failure domain either.
  expect(names(chooseCaches([spare("x", { store: "a" }), cache("a")], none))).toBe("a x");
  expect(names(chooseCaches([cache("a", { failures: 2 }), spare("x")], none))).toBe("a x");
});

test("[X38] two copies, none of them in one failure domain, unless the other way in fails", () => {
  expect(names(chooseCaches([cache("a", { store: "s" }), cache("b", { store: "s" }), cache("c")], none))).toBe("a c");
  const failing = cache("a", { store: "s", failures: 2 });
  const both = [failing, cache("b", { store: "s" })];
  expect(names(chooseCaches(both, ({ offer }) => offer.hashname === "a"))).toBe("a b");
  expect(names(onePerStore([cache("a", { store: "s" }), cache("b", { store: "s" }), cache("c")]))).toBe("a c");
});

test("what was chosen stays chosen, and brings in at most as many more as fail", () => {
  const candidate = fc.record({
    up: fc.boolean(),
    failures: fc.nat(4),
    repute: fc.record({ settled: fc.nat(5), delivered: fc.nat(5) }),
    cap: fc.nat(3),
    store: fc.constantFrom("s", "t", "u", "v"),
    isTaken: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(candidate, { maxLength: 8 }), fc.integer({ min: 1, max: 4 }), (drawn, copies) => {
      const all = drawn.map(({ isTaken, ...rest }, i) => ({ ...cache(`${i}`, rest), isTaken }));
      const chosen = chooseCaches(all, ({ isTaken }) => isTaken, copies);
      for (const each of all) if (each.isTaken) expect(chosen).toContain(each);
      const fresh = chosen.filter(({ isTaken }) => !isTaken);
      const working = chosen.filter(({ failures }) => failures < 2);
      if (fresh.some(({ failures }) => failures < 2)) expect(working.length).toBeLessThanOrEqual(copies);
      if (working.length < copies) {
        const stores = new Set(working.map(({ offer }) => offer.store));
        for (const each of all) expect(chosen.includes(each) || stores.has(each.offer.store)).toBe(true);
      }
    }),
  );
});
