import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ChannelIds, MAX_CHANNEL_ID } from "./channel-ids.ts";

describe("channel ids", () => {
  test("[E12] ODD counts 1, 3, 5 and EVEN 2, 4, 6, and neither accepts its own parity", () => {
    const [odd, even] = [new ChannelIds(1), new ChannelIds(0)];
    expect([odd.next(), odd.next(), odd.next()]).toEqual([1, 3, 5]);
    expect([even.next(), even.next(), even.next()]).toEqual([2, 4, 6]);
    expect([1, 2, 3, 4].map((id) => odd.isFresh(id))).toEqual([false, true, false, true]);
    expect([1, 2, 3, 4].map((id) => even.isFresh(id))).toEqual([true, false, true, false]);
    expect([odd.isFresh(0), even.isFresh(0), even.isFresh(-1)]).toEqual([false, false, false]);
  });

  test("[E12] a used id is never fresh again, and one that was overtaken still is", () => {
    const ids = new ChannelIds(1);
    ids.use(6);
    expect([2, 4, 6, 8].map((id) => ids.isFresh(id))).toEqual([true, true, false, true]);
    ids.use(2);
    ids.use(4);
    expect([2, 4, 6, 8].map((id) => ids.isFresh(id))).toEqual([false, false, false, true]);
    ids.use(6 + 2 * 256);
    expect([6, 8].map((id) => ids.isFresh(id))).toEqual([false, true]);
  });

  test("each id is accepted once, in whatever order ids come", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.integer({ min: 1, max: 2000 }), fc.integer({ min: 1, max: MAX_CHANNEL_ID }))),
        (all) => {
          const ids = new ChannelIds(0);
          const used = new Set<number>();
          for (const id of all) {
            if (!ids.isFresh(id)) continue;
            expect(used.has(id)).toBe(false);
            expect(id % 2).toBe(1);
            used.add(id);
            ids.use(id);
          }
        },
      ),
    );
  });

  test("ids run out at 2^32-1, and a new exchange counts from the start", () => {
    const ids = new ChannelIds(1, 5);
    expect([ids.next(), ids.next(), ids.next(), ids.next()]).toEqual([1, 3, 5, undefined]);
    ids.use(MAX_CHANNEL_ID - 1);
    expect(ids.isFresh(2)).toBe(false);
    ids.reset();
    expect(ids.next()).toBe(1);
    expect(ids.isFresh(2)).toBe(true);
  });
});
