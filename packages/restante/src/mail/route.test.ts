import fc from "fast-check";
import { expect, test } from "vitest";
import type { Hashname } from "../crypto/index.ts";
import { type Candidate, chooseCaches, onePerStore } from "./route.ts";

function cache(name: string, more: Partial<Candidate> & { cap?: number; store?: string } = {}): Candidate {
  const { cap = 100, store = name, ...rest } = more;
  const offer = { hashname: name as Hashname, uri: "", cap, store };
  return { offer, up: false, failures: 0, settled: 0, delivered: 0, ...rest };
}

function names(chosen: readonly Candidate[]): string {
  return chosen.map(({ offer }) => offer.hashname).join(" ");
}

const none = (): boolean => false;

test("[X38] what works, is up, delivers, has room, and was named first, in this order", () => {
  expect(names(chooseCaches([cache("a"), cache("b"), cache("c")], none))).toBe("a b");
  expect(names(chooseCaches([cache("a"), cache("b", { cap: 200 }), cache("c")], none))).toBe("b a");
  // Claims beyond what a cache has by itself count no more than that.
  const [much, more] = [{ cap: 8 << 20 }, { cap: 2 ** 40 }];
  expect(names(chooseCaches([cache("a", much), cache("b", more), cache("c", more)], none))).toBe("a b");
  expect(names(chooseCaches([cache("a", { settled: 9 }), cache("b", { cap: 2 }), cache("c", { cap: 1 })], none))).toBe(
    "b c",
  );
  expect(names(chooseCaches([cache("a"), cache("b"), cache("c", { up: true, settled: 9 })], none))).toBe("c a");
  expect(names(chooseCaches([cache("a", { failures: 2, up: true }), cache("b"), cache("c")], none))).toBe("b c");
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
    settled: fc.nat(5),
    delivered: fc.nat(5),
    cap: fc.nat(3),
    store: fc.constantFrom("s", "t", "u", "v"),
    isTaken: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(candidate, { maxLength: 8 }), (drawn) => {
      const all = drawn.map(({ isTaken, ...rest }, i) => ({ ...cache(`${i}`, rest), isTaken }));
      const chosen = chooseCaches(all, ({ isTaken }) => isTaken);
      for (const each of all) if (each.isTaken) expect(chosen).toContain(each);
      const fresh = chosen.filter(({ isTaken }) => !isTaken);
      const working = chosen.filter(({ failures }) => failures < 2);
      if (fresh.some(({ failures }) => failures < 2)) expect(working.length).toBeLessThanOrEqual(2);
      if (working.length < 2) {
        const stores = new Set(working.map(({ offer }) => offer.store));
        for (const each of all) expect(chosen.includes(each) || stores.has(each.offer.store)).toBe(true);
      }
    }),
  );
});
