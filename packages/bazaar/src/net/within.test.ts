import { getEventListeners } from "node:events";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { within } from "./within.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("it aborts when its time is over, or with one of the others, and leaves nothing behind with them", () => {
  const [first, second] = [new AbortController(), new AbortController()];
  const signals = Array.from({ length: 20 }, () => within(1000, first.signal, second.signal));
  expect(getEventListeners(first.signal, "abort")).toHaveLength(20);
  vi.advanceTimersByTime(999);
  expect(signals.some(({ aborted }) => aborted)).toBe(false);
  vi.advanceTimersByTime(1);
  expect(signals.every(({ aborted }) => aborted)).toBe(true);
  expect(getEventListeners(first.signal, "abort")).toHaveLength(0);

  const ended = within(1000, first.signal, second.signal);
  second.abort();
  expect(ended.aborted).toBe(true);
  expect(getEventListeners(first.signal, "abort")).toHaveLength(0);
  expect(vi.getTimerCount()).toBe(0);
});

test("with one that has ended it has ended", () => {
  expect(within(1000, AbortSignal.abort()).aborted).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
});
