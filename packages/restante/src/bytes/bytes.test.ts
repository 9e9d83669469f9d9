import fc from "fast-check";
import { expect, test } from "vitest";
import { assert, compare, concat, equal, RestanteError, toHex } from "./index.ts";

const anyBytes = fc.uint8Array({ maxLength: 8, max: 3 });

test("parts are joined in order into an array of its own", () => {
  const part = Uint8Array.of(1, 2);
  const whole = concat(part, new Uint8Array(0), Uint8Array.of(3));
  part[0] = 9;
  expect(whole).toEqual(Uint8Array.of(1, 2, 3));
  expect(concat()).toEqual(new Uint8Array(0));
});

test("equal and compare see bytes as their hex sorts", () => {
  fc.assert(
    fc.property(anyBytes, anyBytes, (a, b) => {
      const [x, y] = [toHex(a), toHex(b)];
      expect(equal(a, b)).toBe(x === y);
      expect(compare(a, b)).toBe(x === y ? 0 : x < y ? -1 : 1);
    }),
  );
});

test("an error is told apart by its code and keeps its cause", () => {
  const cause = new Error("disk full");
  const error = new RestanteError("no-cache", "no cache took the mail", { cause });
  expect(error).toBeInstanceOf(Error);
  expect([error.name, error.code, error.message, error.cause]).toEqual([
    "RestanteError",
    "no-cache",
    "no cache took the mail",
    cause,
  ]);
  expect("cause" in new RestanteError("no-cache", "no cache took the mail")).toBe(false);
});

test("a broken invariant stops loudly by its name, and is no error that a caller could handle", () => {
  expect(() => assert(1 + 1 === 2, "sums add up")).not.toThrow();
  const broken = () => assert(0, "handshake sent six times");
  expect(broken).toThrow("broken invariant: handshake sent six times");
  expect(broken).not.toThrow(RestanteError);
});
