import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { equal } from "../../bytes/index.ts";
import { Chance } from "../../testing/chance.ts";
import { EvictHeap } from "./evict-heap.ts";
import { Expiries, NEVER } from "./expiries.ts";
import { HashIndex } from "./hash-index.ts";
import { OrderTree } from "./order-tree.ts";
import { Records } from "./records.ts";
import { MAX_MESSAGE, messageMemory, renumbered, Slots } from "./slots.ts";

const MIB = 1024 * 1024;

describe("slots", () => {
  test("every length comes back as it was, with its serial and what was set", () => {
    const slots = new Slots();
    const lengths = [1, 15, 16, 17, 127, 128, 129, 144, 145, 255, 256, 257, 1023, 1024, 1025, 65_535, 65_536, 65_537];
    lengths.push(MAX_MESSAGE - 1, MAX_MESSAGE);
    const messages = lengths.map((length, i) => slots.take(new Uint8Array(length).fill(i + 1), 2 ** 40 + i, 5));
    for (const [i, message] of messages.entries()) {
      for (let field = 0; field < 6; field++) slots.set(message, field, 2 ** 32 - 1 - field);
      expect(slots.length(message)).toBe(lengths[i]);
      expect(slots.serial(message)).toBe(2 ** 40 + i);
      expect(equal(slots.view(message), new Uint8Array(lengths[i] ?? 0).fill(i + 1))).toBe(true);
      for (let field = 0; field < 6; field++) expect(slots.get(message, field)).toBe(2 ** 32 - 1 - field);
    }
    expect(new Set(messages).size).toBe(lengths.length);
  });

  test("a slot has at most an eighth more than the message, from 129 bytes on", () => {
    const overhead = messageMemory(128) - 128;
    for (let length = 129; length <= 70_000; length++) {
      const room = messageMemory(length) - overhead;
      if (room < length || room > length * 1.125) expect.unreachable(`${length} bytes lie in ${room}`);
    }
  });

  test("a day of random deposits and removals leaves no holes: memory follows what is kept, up and down", () => {
    const slots = new Slots();
    const chance = new Chance(5);
    const MINUTE = 60_000;
    const lengths = [180, 256, 700, 1023, 2048, 4096, 8192, 16_384, 65_536];
    const kept: number[] = [];
    const places = new Map<number, number>();
    let [bytes, peak] = [0, 0];
    const drop = (message: number): void => {
      const at = places.get(message) ?? -1;
      bytes -= slots.length(message);
      let moved = 0;
      slots.drop([message], ({ from }) => {
        moved = from;
      });
      const last = kept.pop() ?? 0;
      if (last !== message) {
        kept[at] = last;
        places.set(last, at);
      }
      places.delete(message);
      if (moved === 0) return;
      const place = places.get(moved) ?? -1;
      places.delete(moved);
      places.set(message, place);
      kept[place] = message;
    };
    for (let now = 0; now < 24 * 60 * MINUTE; now += MINUTE) {
      for (let due = slots.due(now); due !== 0; due = slots.due(now)) drop(due);
      const isRush = now > 8 * 60 * MINUTE && now < 10 * 60 * MINUTE;
      for (let n = 0; n < (isRush ? 60 : 4); n++) {
        const length = chance.happens(0.3) ? chance.between(1, 3000) : chance.pick(lengths);
        const message = slots.take(new Uint8Array(length), now, now + chance.between(1, 600) * MINUTE);
        bytes += length;
        places.set(message, kept.length);
        kept.push(message);
        if (chance.happens(0.5)) drop(chance.pick(kept));
      }
      // Half a slab for each of the sizes, at most, and two for what is on its way out.
      expect(slots.held()).toBeLessThan(1.2 * (bytes + 48 * kept.length) + 9 * MIB);
      peak = Math.max(peak, slots.held());
    }
    expect(peak).toBeGreaterThan(2 * slots.held());
    while (kept.length > 0) drop(chance.pick(kept));
    expect(slots.held()).toBeLessThan(112 * 16 * 1024); // a little for each size, so that the next one need not be fetched
  });

  test("messages that go together leave all others as they are, and zeros", () => {
    const slots = new Slots();
    const chance = new Chance(9);
    const lengths = [100, 3000, 3001, 70_000, 300_000]; // up to one and seven in a chunk, and more than fit in one
    let kept = new Map<number, { serial: number; length: number; expires: number }>();
    let serial = 0;
    for (let turn = 0; turn < 60; turn++) {
      for (let n = chance.between(0, 100); n > 0; n--) {
        serial++;
        const length = chance.pick(lengths);
        const expires = chance.between(1, 1000);
        const message = slots.take(new Uint8Array(length).fill(serial % 255 || 1), serial, expires);
        expect(kept.has(message)).toBe(false);
        slots.set(message, 0, serial);
        kept.set(message, { serial, length, expires });
      }
      // Some that lie together, some here and there, and now and then all, in any order.
      const share = turn % 20 === 19 ? 1 : chance.between(0, 10) / 10;
      let isGoing = false;
      const going = [...kept.keys()].filter(() => {
        if (chance.happens(0.2)) isGoing = chance.happens(share);
        return isGoing || share === 1;
      });
      if (turn % 2 === 0) going.sort(() => chance.between(-1, 1));
      for (const message of going) kept.delete(message);
      const after = new Map(kept);
      slots.drop(going, (run) => {
        for (let from = run.from; from < run.from + run.count; from++) {
          const it = kept.get(from);
          const to = renumbered(from, run);
          if (it === undefined || slots.get(to, 0) !== it.serial || after.has(to))
            expect.unreachable(`${from} to ${to}`);
          after.delete(from);
          after.set(to, it);
        }
      });
      kept = after;
      let earliest = 2 ** 40;
      for (const [message, it] of kept) {
        expect([slots.serial(message), slots.length(message), slots.get(message, 0)]).toEqual([
          it.serial,
          it.length,
          it.serial,
        ]);
        const slot = slots.slots(message, 1);
        const isWhole = equal(slot.subarray(0, it.length), new Uint8Array(it.length).fill(it.serial % 255 || 1));
        expect(isWhole && slot.subarray(it.length).every((byte) => byte === 0)).toBe(true);
        earliest = Math.min(earliest, it.expires);
      }
      expect(slots.due(earliest - 1)).toBe(0);
      if (kept.size > 0) expect(kept.get(slots.due(earliest))?.expires).toBe(earliest);
    }
  });

  test("a message to and fro in an empty pool costs no memory", () => {
    const slots = new Slots();
    slots.drop([slots.take(new Uint8Array(256), 1, 5)], () => {});
    const made = vi.spyOn(globalThis, "ArrayBuffer");
    for (let serial = 2; serial < 10; serial++) slots.drop([slots.take(new Uint8Array(256), serial, 5)], () => {});
    expect(made).not.toHaveBeenCalled();
    made.mockRestore();
  });
});

test("times that are copied come at their new places, whatever the others there are", () => {
  const expiries = new Expiries();
  for (let i = 0; i < 40; i++) {
    expiries.set(5000 + i, 100 + i);
    expiries.set(7 + i, 1000);
  }
  expiries.copy(5000, 7, 40);
  expiries.clear(5000, 5040);
  for (let now = 100; now < 140; now++) {
    expect(expiries.due(now)).toBe(now - 93);
    expiries.clear(now - 93, now - 92);
  }
  expect(expiries.due(1000)).toBeUndefined();
});

test("of many times those that have come are found, whatever is set, moved and taken away", () => {
  const turn = fc.tuple(fc.nat(9000), fc.oneof(fc.nat(50), fc.constant(NEVER), fc.constant(2 ** 40 + 7)), fc.nat(60));
  fc.assert(
    fc.property(fc.array(turn, { maxLength: 200 }), fc.nat(9000), (turns, end) => {
      const expiries = new Expiries();
      const times = new Map<number, number>();
      const check = (now: number): void => {
        const earliest = Math.min(NEVER, ...times.values());
        expect(expiries.next()).toBeLessThanOrEqual(earliest);
        const due = expiries.due(now);
        if (earliest <= now) expect(times.get(due ?? -1)).toBeLessThanOrEqual(now);
        else {
          expect(due).toBeUndefined();
          expect(expiries.next()).toBeGreaterThan(now);
        }
      };
      for (const [place, time, now] of turns) {
        if (time === NEVER) {
          expiries.clear(place, place + 1);
          times.delete(place);
        } else {
          expiries.set(place, time);
          times.set(place, time);
        }
        expect(expiries.get(place)).toBe(time);
        check(now);
      }
      expiries.clear(end, 9001);
      for (const place of times.keys()) if (place >= end) times.delete(place);
      expiries.trim(end);
      check(2 ** 40);
      expiries.set(end, 3);
      times.set(end, 3);
      check(2);
      check(3);
    }),
  );
});

test("an index finds what was added and not removed, at any size, although all hashes are one", () => {
  for (const spread of [2 ** 32, 16, 1]) {
    const chance = new Chance(spread % 1000);
    const next: number[] = [];
    const hash = (item: number): number => Math.imul(item, 0x9e3779b1) % spread;
    const index = new HashIndex(2, {
      next: (item) => next[item] ?? 0,
      setNext: (item, to) => {
        next[item] = to;
      },
      hash,
    });
    const all = new Set<number>();
    const finds = (item: number): boolean => {
      let at = index.first(hash(item));
      while (at !== 0 && at !== item) at = next[at] ?? 0;
      return at === item;
    };
    const most = spread === 2 ** 32 ? 6000 : 300;
    for (let turn = 0; turn < 3 * most; turn++) {
      const item = chance.between(1, most);
      const isThere = all.has(item);
      expect(finds(item)).toBe(isThere);
      if (isThere && (turn > 2 * most || chance.happens(0.3))) {
        index.remove(hash(item), item);
        all.delete(item);
      } else if (!isThere && turn < 2 * most) {
        index.add(hash(item), item);
        all.add(item);
      }
    }
    for (const item of all) {
      expect(finds(item)).toBe(true);
      index.remove(hash(item), item);
      expect(finds(item)).toBe(false);
    }
  }
});

test("records keep their numbers, begin as zeros, and are found by nobody once they are dropped", () => {
  const records = new Records(3);
  const chance = new Chance(2);
  const kept = new Map<number, number>();
  for (let turn = 0; turn < 8000; turn++) {
    if (chance.happens(turn < 4000 ? 0.7 : 0.3)) {
      const record = records.take();
      expect(record > 0 && !kept.has(record)).toBe(true);
      expect([0, 1, 2].map((field) => records.get(record, field))).toEqual([0, 0, 0]);
      for (let field = 0; field < 3; field++) records.set(record, field, turn + field);
      kept.set(record, turn);
    } else if (kept.size > 0) {
      const record = chance.pick([...kept.keys()].slice(0, 50));
      expect([0, 1, 2].map((field) => records.get(record, field) - field)).toEqual(Array(3).fill(kept.get(record)));
      records.drop(record);
      kept.delete(record);
    }
  }
  for (const [record, turn] of kept) expect(records.get(record, 2)).toBe(turn + 2);
});

test("a tree has its messages in the order they came, and stays flat whatever was removed", () => {
  const slots = new Slots();
  let steps = 0;
  const counted = new Proxy(slots, {
    get(target, key) {
      if (key === "words") steps++;
      const value = Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const tree = new OrderTree(counted, 0x12345678);
  const chance = new Chance(3);
  let root = 0;
  let list: number[] = [];
  for (let serial = 1; serial <= 4000; serial++) {
    const message = slots.take(Uint8Array.of(1), serial, 1);
    root = tree.append(root, message);
    list.push(message);
    if (!chance.happens(0.4)) continue;
    const gone = chance.pick(list);
    root = tree.remove(root, gone);
    list = list.filter((one) => one !== gone);
  }
  expect(tree.all(root).sort((a, b) => a - b)).toEqual(list);
  expect([tree.first(root), tree.last(root)]).toEqual([list[0], list.at(-1)]);
  steps = 0;
  for (const [i, message] of list.entries())
    expect(tree.following(root, slots.serial(message), 2)).toEqual(list.slice(i + 1, i + 3));
  expect(steps / list.length).toBeLessThan(60);
  expect(tree.following(root, 0, 5000)).toEqual(list);
});

test("records that hang in no order are all there, and a heap is made of them at once", () => {
  const turns = fc.array(fc.tuple(fc.boolean(), fc.nat(1000)), { maxLength: 100 });
  fc.assert(
    fc.property(turns, turns, (first, second) => {
      const records = new Records(4);
      let isOrdered = false;
      const isAbove = (a: number, b: number): boolean => !isOrdered || records.get(a, 0) <= records.get(b, 0);
      const heap = new EvictHeap(records, { child: 1, next: 2, before: 3 }, isAbove);
      const kept: number[] = [];
      let root = 0;
      // Twice, since what was in order once has another shape.
      for (const all of [first, second]) {
        isOrdered = false;
        for (const [isNew, n] of all)
          if (isNew || kept.length === 0) {
            const record = records.take();
            records.set(record, 0, n);
            root = heap.hang(root, record);
            kept.push(record);
          } else {
            const [record = 0] = kept.splice(n % kept.length, 1);
            root = heap.remove(root, record);
            records.drop(record);
          }
        expect([...heap.each(root)].sort((a, b) => a - b)).toEqual([...kept].sort((a, b) => a - b));
        isOrdered = true;
        root = heap.of([...heap.each(root)]);
        const keys: number[] = [];
        for (const _ of kept) {
          keys.push(records.get(root, 0));
          const top = root;
          root = heap.remove(root, top);
          if (keys.length % 2 === 0) continue;
          keys.pop(); // every other one goes back below
          records.set(top, 0, records.get(top, 0) + 1000);
          root = heap.add(root, top);
        }
        expect(keys).toEqual([...keys].sort((a, b) => a - b));
        const left = [...heap.each(root)];
        kept.splice(0, kept.length, ...left);
      }
    }),
  );
});

test("a heap has the least on top, and gives all of it once", () => {
  const turns = fc.array(fc.tuple(fc.boolean(), fc.nat(1000)), { maxLength: 200 });
  fc.assert(
    fc.property(turns, (all) => {
      const records = new Records(4);
      const isAbove = (a: number, b: number): boolean => records.get(a, 0) <= records.get(b, 0);
      const heap = new EvictHeap(records, { child: 1, next: 2, before: 3 }, isAbove);
      const kept: number[] = [];
      let root = 0;
      for (const [isNew, n] of all) {
        if (isNew || kept.length === 0) {
          const record = records.take();
          records.set(record, 0, n);
          root = heap.add(root, record);
          kept.push(record);
        } else if (n % 5 === 0) {
          const record = kept[n % kept.length] ?? 0;
          records.set(record, 0, Math.floor(records.get(record, 0) / 2));
          root = heap.raise(root, record);
        } else {
          const [record = 0] = kept.splice(n % kept.length, 1);
          root = heap.remove(root, record);
          if (n % 3 === 0) {
            records.set(record, 0, 1000 - n); // its key changes while it is outside
            root = heap.add(root, record);
            kept.push(record);
          } else records.drop(record);
        }
        const keys = kept.map((record) => records.get(record, 0));
        expect(root === 0 ? undefined : records.get(root, 0)).toBe(keys.length === 0 ? undefined : Math.min(...keys));
        expect([...heap.each(root)].sort((a, b) => a - b)).toEqual([...kept].sort((a, b) => a - b));
      }
    }),
  );
});
