import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CongestionWindow, MAX_WINDOW } from "./window.ts";

describe("the congestion window", () => {
  test("starts at 16, doubles per round trip, and stops at 128", () => {
    const window = new CongestionWindow();
    const sizes = [window.size];
    for (let trip = 0; trip < 5; trip++) {
      window.acknowledged(window.size, window.size);
      sizes.push(window.size);
    }
    expect(sizes).toEqual([16, 32, 64, 128, 128, 128]);
  });

  test("shrinks once for all losses of one flight, to seven tenths, then grows by one per round trip", () => {
    const window = new CongestionWindow();
    window.acknowledged(16, 16);
    for (const seq of [20, 25, 30]) window.lost(seq, 48);
    expect(window.size).toBe(22);
    window.acknowledged(22, 22);
    expect(window.size).toBe(23);
    window.lost(49, 60);
    expect(window.size).toBe(16);
  });

  test("starts over from 4 when a whole flight is lost, and hurries up to seven tenths of what was", () => {
    const window = new CongestionWindow();
    window.collapsed(16);
    expect(window.size).toBe(4);
    window.acknowledged(4, 4);
    expect(window.size).toBe(8);
    window.acknowledged(8, 8);
    expect(window.size).toBe(11);
    window.acknowledged(11, 11);
    expect(window.size).toBe(12);
  });

  test("is 128 where TCP bounds what is under way, and 16 at most again elsewhere", () => {
    const window = new CongestionWindow(true);
    expect(window.size).toBe(128);
    window.setPath(false);
    expect(window.size).toBe(16);
    window.collapsed(16);
    window.setPath(false);
    expect(window.size).toBe(4);
    window.setPath(true);
    expect(window.size).toBe(128);
    window.lost(20, 30);
    expect(window.size).toBe(89);
  });

  test("does not grow while the application uses less than half of it", () => {
    const window = new CongestionWindow();
    for (let i = 0; i < 100; i++) window.acknowledged(1, 1);
    expect(window.size).toBe(16);
  });

  test("stays between 4 and 128 whatever happens", () => {
    const step = fc.record({
      kind: fc.constantFrom("ack", "lost", "collapsed"),
      count: fc.integer({ min: 1, max: 300 }),
    });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const window = new CongestionWindow();
        let sent = 0;
        for (const { kind, count } of steps) {
          sent += count;
          if (kind === "ack") window.acknowledged(count, count);
          else if (kind === "lost") window.lost(sent, sent);
          else window.collapsed(sent);
          expect(window.size).toBeGreaterThanOrEqual(4);
          expect(window.size).toBeLessThanOrEqual(MAX_WINDOW);
        }
      }),
    );
  });
});
