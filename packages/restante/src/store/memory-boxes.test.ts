import { afterEach, expect, test, vi } from "vitest";
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

const CAROL = person(1);
