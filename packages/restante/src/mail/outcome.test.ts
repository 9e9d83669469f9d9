import { expect, test } from "vitest";
import { Outcome } from "./outcome.ts";

const BYTES = new Uint8Array(1);

test("whatever the order in which it was said: records of blobs, then saves, then what waits for the commit", () => {
  const outcome = new Outcome();
  outcome.begin(5);
  expect(outcome.now).toBe(5);
  outcome.reply(1, "first");
  outcome.save("a", BYTES);
  outcome.refuse(2, "code", "message");
  outcome.record({ type: "blob-write", blob: "in/x", index: 0, bytes: BYTES });
  expect(outcome.end()).toEqual([
    { type: "blob-write", blob: "in/x", index: 0, bytes: BYTES },
    { type: "save", key: "a", value: BYTES },
    { type: "reply", req: 1, value: "first" },
    { type: "refuse", req: 2, code: "code", message: "message" },
  ]);
  expect(outcome.end()).toEqual([]);
});

test("of several saves for one key the last is made, once", () => {
  const outcome = new Outcome();
  outcome.save("a", BYTES);
  outcome.save("b", BYTES);
  outcome.save("a", undefined);
  expect(outcome.end()).toEqual([
    { type: "save", key: "a", value: undefined },
    { type: "save", key: "b", value: BYTES },
  ]);
});

test("how far a file is comes twice a second at most, and always at its end", () => {
  const outcome = new Outcome();
  const told: number[] = [];
  const at = (now: number, done: number): void => {
    outcome.begin(now);
    outcome.tellProgress({ way: "in", contact: "c", id: "m", done, of: 9 });
    for (const out of outcome.end())
      if (out.type === "event" && out.event.type === "progress") told.push(out.event.done);
  };
  at(0, 1);
  at(100, 2);
  at(499, 3);
  at(500, 4);
  at(501, 9);
  at(502, 9);
  expect(told).toEqual([1, 4, 9]);
});
