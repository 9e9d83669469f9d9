import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { enter, leave } from "./api.ts";

/** What the browser keeps, in the order in which it was put there. */
let kept: Map<string, string>;
let asked: RequestInit[];

beforeEach(() => {
  [kept, asked] = [new Map(), []];
  vi.stubGlobal("localStorage", {
    getItem: (name: string) => kept.get(name) ?? null,
    setItem: (name: string, value: string) => kept.set(name, value),
    removeItem: (name: string) => kept.delete(name),
  });
  vi.useFakeTimers();
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test("a logout takes the key out of the browser before anybody answers, and does not wait for a daemon that never does", async () => {
  vi.stubGlobal("fetch", async () => Response.json({ key: "k" }));
  await enter({ token: "t" });
  expect([...kept.values()]).toEqual(["k"]);
  vi.stubGlobal("fetch", (_: string, options: RequestInit) => {
    asked.push(options);
    return new Promise(() => {});
  });
  const left = leave();
  expect(kept.size).toBe(0);
  // The daemon is told with the key that was, also when the page is closed at once.
  expect(asked).toMatchObject([{ method: "DELETE", keepalive: true, headers: { "restante-key": "k" } }]);
  await vi.runAllTimersAsync();
  await left;
});
