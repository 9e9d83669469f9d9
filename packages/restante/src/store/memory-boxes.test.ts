import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { toBase32 } from "../bytes/index.ts";
import { boxStoreSuite } from "../testing/box-store-suite.ts";
import type { BoxOp, MemoryBoxes } from "./boxes.ts";
import { memoryBoxStore } from "./index.ts";

for (const { name, run } of boxStoreSuite((limits) => memoryBoxStore(limits))) test(`memory box store: ${name}`, run);

afterEach(() => {
  vi.unstubAllGlobals();
});

test("[C6] bytes are overwritten when a message is removed, pushed out, expires, moves or is refused", () => {
  const slabs: ArrayBuffer[] = [];
  class Seen extends ArrayBuffer {
    constructor(...how: ConstructorParameters<typeof ArrayBuffer>) {
      super(...how);
      slabs.push(this);
    }
  }
  vi.stubGlobal("ArrayBuffer", Seen);
  const copies = (value: number): number =>
    slabs.filter((slab) => Buffer.from(slab).indexOf(Buffer.alloc(64, value)) >= 0).length;

  const store = memoryBoxStore({ box: 3000 });
  const removed = put(store, 1, new Uint8Array(1100).fill(0xa1));
  expect(copies(0xa1)).toBe(1);
  expect(removed.every((byte) => byte === 0)).toBe(true); // there is no other copy
  store.handle({ type: "remove", op: 1, recipient: CAROL, box: hex(1), id: hex(1) }, 0);
  put(store, 2, new Uint8Array(1200).fill(0xa2));
  put(store, 3, new Uint8Array(2000).fill(0xa3), { expires: 50 });
  const refused = put(store, 4, new Uint8Array(3001).fill(0xa4));
  expect(store.stats()).toMatchObject({ evicted: 1, refused: 1, messages: 1 });
  expect(refused.every((byte) => byte === 0)).toBe(true);
  store.handle({ type: "sweep", op: 1 }, 50);
  for (const value of [0xa1, 0xa2, 0xa3, 0xa4]) expect(copies(value)).toBe(0);

  // Through slabs that grow and shrink, with a message that is moved there and back.
  for (let n = 10; n < 400; n++) put(store, n, new Uint8Array(200).fill(n === 399 ? 0xb2 : 0xb1), { box: hex(n) });
  for (let n = 10; n < 399; n++) store.handle({ type: "clear", op: 1, recipient: CAROL, box: hex(n) }, 50);
  expect([copies(0xb1), copies(0xb2)]).toEqual([0, 1]);
});

test("a box of any size knows each of its messages by its id, whatever came and went", () => {
  const store = memoryBoxStore();
  const there = new Set<number>();
  // Some begin alike, and most do not.
  const idOf = (n: number): string =>
    hex(n % 5 === 0 ? n : Math.imul(n, 0x9e3779b1) >>> 0)
      .split("")
      .reverse()
      .join("");
  const given = (n: number) => put(store, n, new Uint8Array(200).fill(n), { id: idOf(n) });
  const goes = (n: number): void => {
    store.handle({ type: "remove", op: 1, recipient: CAROL, box: hex(1), id: idOf(n) }, 0);
    there.delete(n);
  };
  // Up and down, above and below what is looked through.
  for (const size of [1, 24, 20, 25, 26, 60, 3, 40, 24, 25, 0, 30, 10, 24, 12, 24]) {
    for (let n = 1; there.size < size; n++) {
      const before = store.stats().messages;
      given(n);
      expect(store.stats().messages).toBe(before + Number(!there.has(n)));
      there.add(n);
    }
    for (const n of [...there].sort((a, b) => (a % 7) - (b % 7)).slice(size)) goes(n);
    for (const n of there) given(n); // each is there already
    goes(200);
    expect(store.stats()).toMatchObject({ messages: size, boxes: Number(size > 0) });
  }
});

test("[C5] statistics are sums and name nobody", () => {
  const store = memoryBoxStore();
  put(store, 1, new Uint8Array(9));
  const stats = store.stats();
  expect(stats).toMatchObject({ recipients: 1, boxes: 1, messages: 1, bytes: 9, gained: 1 });
  for (const value of Object.values(stats)) expect(typeof value).toBe("number");
});

test("nothing is kept under what is no hashname and no id, nor without a byte, nor before 1970", () => {
  const store = memoryBoxStore();
  for (const bad of [{ recipient: "carol" }, { box: "1" }, { id: hex(1).toUpperCase().replace("1", "A") }])
    put(store, 1, new Uint8Array(9), bad);
  put(store, 1, new Uint8Array(0));
  put(store, 1, new Uint8Array(9), { expires: -5 }, -10);
  put(store, 1, new Uint8Array(9), { expires: Number.NaN });
  expect(store.stats()).toMatchObject({ refused: 6, messages: 0, memory: 0 });
  for (const type of ["read", "list", "clear", "remove"] as const) {
    const op = { type, op: 1, recipient: "carol", box: "b", id: "i", after: 0 } as BoxOp;
    expect(store.handle(op, 0)).toHaveLength(1);
  }
});

test("who comes, goes and comes again finds what is its own, whoever has its record by then", () => {
  const store = memoryBoxStore();
  const nobody = toBase32(new Uint8Array(32)); // as a record that was given up
  const read = (recipient: string): number | undefined => {
    const [answer] = store.handle({ type: "read", op: 1, recipient, box: hex(1), after: 0 }, 0);
    return answer?.type === "message" ? answer.bytes[0] : undefined;
  };
  const clear = (recipient: string) => store.handle({ type: "clear", op: 1, recipient, box: hex(1) }, 0);
  for (const one of [CAROL, nobody, person(2)])
    for (const other of [person(3), nobody]) {
      if (one === other) continue;
      put(store, 1, Uint8Array.of(1), { recipient: one });
      clear(one);
      expect(read(one)).toBeUndefined();
      put(store, 2, Uint8Array.of(2), { recipient: other });
      expect([read(one), read(other)]).toEqual([undefined, 2]);
      put(store, 3, Uint8Array.of(3), { recipient: one });
      expect([read(one), read(other)]).toEqual([3, 2]);
      clear(one);
      clear(other);
    }
  expect(store.stats()).toMatchObject({ recipients: 0, memory: 0 });
});

test("a flood of boxes with one byte each is bounded by what they cost, and all of it comes back", () => {
  const store = memoryBoxStore({ total: 4_000_000 });
  for (let n = 0; n < 30_000; n++) put(store, n, Uint8Array.of(n), { recipient: person(n), box: hex(n) });
  const { boxes, recipients, memory } = store.stats();
  expect(boxes).toBe(recipients);
  expect(memory).toBeLessThanOrEqual(4_000_000);
  expect(boxes).toBeGreaterThan(20_000);
  for (let n = 0; n < 30_000; n++) store.handle({ type: "clear", op: 1, recipient: person(n), box: hex(n) }, 0);
  expect(store.stats()).toMatchObject({ boxes: 0, recipients: 0, memory: 0 });
});

test("a million boxes with one byte each: counted, bounded by what they cost, in nobody's way, and soon gone", () => {
  const total = 64 * 1024 * 1024;
  const store = memoryBoxStore({ total });
  const read = (): number => {
    const op = { type: "read", op: 1, recipient: person(60_000), box: hex(1), after: 0 } as const;
    return store.handle(op, 0).filter(({ type }) => type === "message").length;
  };
  put(store, 1, Uint8Array.of(1), { recipient: person(60_000) }); // mail of before
  const crowd = Array.from({ length: 4000 }, (_, n) => person(n));
  for (let n = 0; n < 1_000_000; n++)
    put(store, n, Uint8Array.of(n), { recipient: crowd[n % 4000] ?? CAROL, box: hex(n), expires: 5000 });
  const { boxes, memory, gained, refused } = store.stats();
  expect(gained + refused).toBe(1_000_001);
  expect(boxes).toBe(gained);
  expect(boxes).toBeGreaterThan(500_000);
  expect(memory).toBeLessThanOrEqual(total);
  expect(read()).toBe(1);
  store.handle({ type: "sweep", op: 1 }, 6000);
  expect(store.stats()).toMatchObject({ boxes: 0, memory: 0, expired: gained });
});

test("messages that are put together are kept, refused, pushed out and counted as if each was put by itself", () => {
  const message = fc.record({ n: fc.nat(12), length: fc.constantFrom(0, 1, 100, 900, 1500, 4000) });
  const group = fc.record({
    messages: fc.array(message, { minLength: 1, maxLength: 6 }),
    box: fc.integer({ min: 1, max: 3 }),
    isStranger: fc.boolean(),
    expires: fc.constantFrom(-1, 5, 1000),
  });
  fc.assert(
    fc.property(fc.array(group, { maxLength: 12 }), (groups) => {
      const limits = { box: 5000, recipient: 9000, strangers: 6000, strangerBox: 4000, boxes: 2, total: 20_000 };
      const [together, alone] = [memoryBoxStore(limits, zeros), memoryBoxStore(limits, zeros)];
      groups.forEach(({ messages, box, isStranger, expires }, now) => {
        const all = messages.map(({ n, length }) => ({ id: hex(n), bytes: new Uint8Array(length).fill(n + 1) }));
        const op = (ours: readonly { id: string; bytes: Uint8Array }[]): BoxOp => {
          const [{ id, bytes } = { id: "", bytes: new Uint8Array(0) }, ...more] = ours.map((each) => ({
            id: each.id,
            bytes: each.bytes.slice(),
          }));
          const place = { recipient: CAROL, box: hex(box), class: isStranger ? "stranger" : "contact" } as const;
          return { type: "put", op: 1, ...place, id, bytes, expires, more };
        };
        const news = all.flatMap((one) => alone.handle(op([one]), now)).find(({ type }) => type === "gained");
        expect(together.handle(op(all), now).find(({ type }) => type === "gained")).toEqual(news);
        expect(together.stats()).toEqual(alone.stats());
      });
      for (const box of [1, 2, 3]) {
        const read = {
          type: "read",
          op: 1,
          recipient: CAROL,
          box: hex(box),
          after: 0,
          most: 99,
          room: 99_999,
        } as const;
        expect(together.handle(read, 20)).toEqual(alone.handle(read, 20));
      }
    }),
  );
});

test("a box whose id is all zeros is not found again once it was cleared, whatever the places of others say", () => {
  for (const other of [1, 2, 3, 4]) {
    const store = memoryBoxStore({}, zeros);
    const bytes = Uint8Array.of(1);
    for (let n = 0; n < 5; n++) put(store, n, bytes, { box: hex(n) });
    for (const n of [other, 0]) store.handle({ type: "clear", op: 1, recipient: CAROL, box: hex(n) }, 0);
    put(store, 9, bytes, { box: hex(0) });
    const boxes = store
      .handle({ type: "list", op: 1, recipient: CAROL }, 0)
      .flatMap((answer) => (answer.type === "list" ? answer.boxes : []));
    expect([...boxes].sort()).toEqual([0, 1, 2, 3, 4].filter((n) => n !== other).map(hex));
    store.handle({ type: "clear", op: 1, recipient: CAROL, box: hex(0) }, 0);
    expect(store.stats().boxes).toBe(3);
  }
});

test("several are removed at once as one after the other", () => {
  const ids = fc.array(fc.nat(9), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(fc.array(fc.tuple(ids, ids), { maxLength: 6 }), (turns) => {
      const [single, together] = [memoryBoxStore({}, zeros), memoryBoxStore({}, zeros)];
      const idOf = (n: number): string => hex(n * 0x9e37_79b1_7f4a);
      for (const [given, gone] of turns) {
        const all = Uint32Array.from(gone.flatMap((n) => [0, 8].map((at) => Number(`0x${idOf(n).slice(at, at + 8)}`))));
        const place = { op: 1, recipient: CAROL, box: hex(1) };
        for (const store of [single, together])
          for (const n of given) put(store, n, new Uint8Array(n % 3 === 0 ? 2000 : 200).fill(n + 1), { id: idOf(n) });
        for (const n of gone) single.handle({ ...place, type: "remove", id: idOf(n) }, 0);
        together.handle({ ...place, type: "remove-many", ids: all }, 0);
        const read = { ...place, type: "read", after: 0, most: 99, room: 99_999 } as const;
        expect(together.handle(read, 0)).toEqual(single.handle(read, 0));
        expect(together.stats()).toEqual(single.stats());
      }
    }),
  );
});

test("what is read tells when nothing follows, and not where there was no room for it", () => {
  const store = memoryBoxStore();
  for (const n of [1, 2, 3]) put(store, n, zeros(300).fill(n));
  const read = (after: number, most: number, room: number): unknown => {
    const place = { recipient: CAROL, box: hex(1), after, most, room };
    const [answer] = store.handle({ type: "read", op: 9, ...place }, 0);
    return answer?.type === "message" ? [1 + (answer.more?.length ?? 0), answer.isLast] : answer?.type;
  };
  expect([read(0, 4, 900), read(0, 4, 899), read(0, 2, 900)]).toEqual([
    [3, true],
    [2, false],
    [2, false],
  ]);
  expect([read(2, 2, 900), read(3, 2, 900)]).toEqual([[1, true], "dry"]);
});

function zeros(length: number): Uint8Array {
  return new Uint8Array(length);
}

function put(
  store: MemoryBoxes,
  n: number,
  bytes: Uint8Array,
  more: { recipient?: string; box?: string; id?: string; expires?: number } = {},
  now = 0,
): Uint8Array {
  const place = { recipient: CAROL, box: hex(1), id: hex(n), expires: 1000, class: "contact" } as const;
  store.handle({ type: "put", op: n, ...place, bytes, ...more }, now);
  return bytes;
}

function person(n: number): string {
  return toBase32(Uint8Array.of(n >> 8, n, ...new Uint8Array(30)));
}

function hex(n: number): string {
  return n.toString(16).padStart(16, "0");
}

const PIECE = 1024; // records
const CAROL = person(1);

describe("of boxes that fill more than one piece of the table, and are given up", () => {
  const recipient = (n: number): string => toBase32(new Uint8Array(32).fill(n >>> 8, 0, 16).fill(n & 255, 16));
  const at = (n: number, box: string) => ({ op: 1, recipient: recipient(n), box }) as const;
  const leave = (store: MemoryBoxes, n: number, box: string): void => {
    const bytes = new Uint8Array(200).fill(1);
    store.handle({ type: "put", ...at(n, box), id: hex(7), bytes, expires: 1000, class: "contact" }, 0);
  };

  test("the last may lose its message by its id", () => {
    const store = memoryBoxStore();
    for (let n = 0; n <= PIECE; n++) leave(store, n, hex(1));
    for (let n = 0; n < PIECE; n++) store.handle({ type: "clear", ...at(n, hex(1)) }, 0);
    const remove = { type: "remove", ...at(PIECE, hex(1)), id: hex(7) } as const;
    expect(store.handle(remove, 0)).toEqual([{ type: "done", op: 1 }]);
    expect(store.handle(remove, 0)).toEqual([{ type: "done", op: 1 }]);
    expect(store.stats()).toMatchObject({ messages: 0, boxes: 0, bytes: 0 });
  });

  test("one that its recipient asked for last is a new one then", () => {
    const store = memoryBoxStore();
    const own = 2 * PIECE;
    leave(store, own, hex(1));
    for (let n = 0; n < own - 1; n++) leave(store, n, hex(1));
    leave(store, own, hex(2));
    for (let n = PIECE - 1; n < own - 1; n++) store.handle({ type: "clear", ...at(n, hex(1)) }, 0);
    store.handle({ type: "clear", ...at(own, hex(2)) }, 0);
    leave(store, own, hex(2));
    expect(store.stats()).toMatchObject({ messages: PIECE + 1 });
  });
});
