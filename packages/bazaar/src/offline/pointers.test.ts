import { sha256 } from "@noble/hashes/sha2.js";
import fc from "fast-check";
import { encodeVarint, toHex, utf8 } from "restante/protocol";
import { describe, expect, test } from "vitest";
import { PAGE_POINTERS, type PointerRecord } from "../format/dht.ts";
import { cidOf, multihash } from "../format/ids.ts";
import { encodeAddress, magicId } from "../format/pointer.ts";
import { POINTER_LIFE_MS, Pointers, type Source } from "./pointers.ts";

const key = multihash(utf8("some recipients"));
const secret = utf8("32 bytes that the envelope holds");

function pointer(name: string | number, extra: Partial<PointerRecord> = {}): PointerRecord {
  const content = utf8(`${name}`);
  return { id: magicId(content), address: encodeAddress({ type: "ipfs", cid: cidOf(content) }), ...extra };
}

function source(peer: string | number, group: string | number = peer): Source {
  return { peer: `${peer}`, group: `${group}` };
}

/** All pages below the key: the ids in the order in which they were shown. */
function all(store: Pointers, now: number, below = key): string[] {
  const ids: string[] = [];
  for (let cursor: Uint8Array | undefined, page = 0; page < 1000; page++) {
    const { pointers, next } = store.get(below, cursor, 60_000, now);
    expect(pointers.length).toBeLessThanOrEqual(PAGE_POINTERS);
    ids.push(...pointers.map(({ id }) => toHex(id)));
    if (next === undefined) return ids;
    cursor = next;
  }
  throw new Error("pages without end");
}

describe("what is kept", () => {
  test("[D40] a pointer lives seven days after it was put the last time, and says how long it still has", () => {
    const store = new Pointers();
    store.put(key, pointer(1), source("a"), 0);
    expect(store.get(key, undefined, 60_000, 1000).pointers[0]?.life).toBe(POINTER_LIFE_MS / 1000 - 1);
    store.put(key, pointer(1), source("a"), 12 * 3600_000);
    expect(store.size).toBe(1);
    expect(all(store, POINTER_LIFE_MS)).toHaveLength(1);
    expect(store.deadline()).toBe(12 * 3600_000 + POINTER_LIFE_MS);
    expect(all(store, 12 * 3600_000 + POINTER_LIFE_MS)).toHaveLength(0);
    expect(POINTER_LIFE_MS).toBe(7 * 24 * 3600_000);
  });

  test("what is over is not shown, not even when the clock was set back before it was put", () => {
    const store = new Pointers();
    store.put(key, pointer("before"), source("a"), 60_000);
    store.put(key, pointer("after"), source("b"), 0);
    const { pointers } = store.get(key, undefined, 60_000, POINTER_LIFE_MS + 2000);
    expect(pointers.map(({ id, life }) => [toHex(id), life])).toEqual([[toHex(pointer("before").id), 58]]);
    expect(all(store, POINTER_LIFE_MS + 60_000)).toEqual([]);
    expect(store.size).toBe(0);
  });

  test("the secret of its hash withdraws it, and it is not taken again; another secret does nothing", () => {
    const store = new Pointers();
    const record = pointer(1, { withdraw: sha256(secret) });
    store.put(key, record, source("a"), 0);
    store.put(key, record, source("push node"), 0);
    expect(store.withdraw(key, record.id, utf8("another"), 1)).toBe("unknown");
    expect(store.size).toBe(2);
    expect(store.withdraw(key, record.id, secret, 1)).toBe("done");
    expect(store.size).toBe(0);
    expect(store.put(key, record, source("push node"), 2)).toBe("gone");
    expect(store.put(key, pointer(2), source("push node"), 2)).toBe("done");
  });

  test("nobody replaces or withdraws what another put: the same id of another source stands beside it", () => {
    const store = new Pointers();
    const mine = pointer(1, { withdraw: sha256(secret) });
    store.put(key, mine, source("me"), 0);
    const false_ = { ...pointer(2), id: mine.id, withdraw: sha256(utf8("theirs")) };
    store.put(key, false_, source("them"), 0);
    store.withdraw(key, mine.id, utf8("theirs"), 0);
    expect(store.get(key, undefined, 60_000, 0).pointers).toEqual([{ ...mine, life: POINTER_LIFE_MS / 1000 }]);
  });

  test("a peer and a network have their limits, and what is full is full for them alone", () => {
    const store = new Pointers({ perPeer: 3, perGroup: 5 });
    const put = (peer: string, name: string): string =>
      store.put(multihash(utf8(name)), pointer(name), source(peer, "net"), 0);
    expect(["1", "2", "3", "4"].map((name) => put("a", name))).toEqual(["done", "done", "done", "full"]);
    expect(["5", "6", "7"].map((name) => put("b", name))).toEqual(["done", "done", "full"]);
    expect(store.put(key, pointer(8), source("c"), 0)).toBe("done");
  });

  test("it is the same after it was saved and loaded, but for what is over", () => {
    const store = new Pointers();
    store.put(key, pointer(1), source("a"), 0);
    store.put(key, pointer(2, { size: 9, withdraw: sha256(secret) }), source("b"), 5000);
    store.put(key, pointer(3), source("b"), 5000);
    store.withdraw(key, pointer(2).id, utf8("no"), 5000);
    const rows = new Map(store.changes().flatMap(({ name, row }) => (row ? [[name, row] as const] : [])));
    expect(store.changes()).toEqual([]);
    const again = new Pointers();
    again.load(rows.values(), POINTER_LIFE_MS + 1000);
    expect(all(again, POINTER_LIFE_MS + 1000)).toEqual(all(store, POINTER_LIFE_MS + 1000));
    expect(again.size).toBe(2);
    expect(again.changes().filter(({ row }) => row === undefined)).toHaveLength(1);
  });
});

describe("strangers", () => {
  test("100,000 pointers of strangers below a friend's key are bounded, and the friend's is on the first page", () => {
    const store = new Pointers();
    for (let i = 0; i < 50_000; i++) store.put(key, pointer(i), source(`s${i % 40}`, `n${i % 20}`), 0);
    expect(store.put(key, pointer("friend's"), source("friend"), 0)).toBe("done");
    for (let i = 50_000; i < 100_000; i++) store.put(key, pointer(i), source(`s${i % 40}`, `n${i % 20}`), 0);
    expect(store.size).toBeLessThanOrEqual(2000);
    expect(all(store, 0).indexOf(toHex(pointer("friend's").id))).toBeLessThan(PAGE_POINTERS);
  });

  test("many peers of the friend's own network do not hide it either: it is among the first of as many as they are", () => {
    const store = new Pointers();
    for (let i = 0; i < 1000; i++) store.put(key, pointer(i), source(`s${i % 10}`, "net"), 0);
    store.put(key, pointer("friend's"), source("friend", "net"), 0);
    expect(all(store, 0).indexOf(toHex(pointer("friend's").id))).toBeLessThan(11 * 12);
  });

  test("a store that is full makes room for the few at the cost of the network that has most", () => {
    const store = new Pointers({ total: 100, perKey: 1000 });
    for (let i = 0; i < 500; i++) store.put(multihash(utf8(`${i}`)), pointer(i), source(`s${i}`, "flood"), 0);
    for (let i = 0; i < 40; i++) expect(store.put(key, pointer(`f${i}`), source(`f${i}`), 0)).toBe("done");
    expect(store.size).toBe(100);
    expect(all(store, 0)).toHaveLength(40);
    expect(store.put(key, pointer("more"), source("s1", "flood"), 0)).toBe("full");
  });

  test("cursors that nobody gave show a page or none, and never throw", () => {
    const store = new Pointers();
    for (let i = 0; i < 100; i++) store.put(key, pointer(i), source(i), 0);
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (cursor) => void store.get(key, cursor, 60_000, 0)));
    expect(store.get(key, encodeVarint(2 ** 50), 60_000, 0).pointers.length).toBe(PAGE_POINTERS);
  });
});

test("whatever is put, withdrawn and forgotten: pages show everything that is kept exactly once, within the limits", () => {
  const limits = { total: 30, perKey: 12, perPeer: 8, perGroup: 15 };
  const step = fc.record({
    kind: fc.constantFrom("put", "put", "put", "withdraw", "wait"),
    a: fc.nat(15),
    b: fc.nat(5),
    c: fc.nat(2),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const store = new Pointers(limits);
      const keys = [0, 1, 2].map((i) => multihash(utf8(`key ${i}`)));
      let now = 0;
      for (const { kind, a, b, c } of steps) {
        const below = keys[c] ?? key;
        if (kind === "wait") now += (a * POINTER_LIFE_MS) / 20;
        else if (kind === "withdraw") store.withdraw(below, pointer(a).id, utf8(`${a}`), now);
        else store.put(below, pointer(a, { withdraw: sha256(utf8(`${a}`)) }), source(b, b % 3), now);
        const shown = keys.map((each) => all(store, now, each));
        expect(shown.flat()).toHaveLength(store.size);
        expect(store.size).toBeLessThanOrEqual(limits.total);
        for (const each of shown) expect(each.length).toBeLessThanOrEqual(limits.perKey);
      }
    }),
    { numRuns: 60 },
  );
});
