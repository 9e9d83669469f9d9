import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, encodeVarint, fromHex, Reader, toHex } from "./index.ts";

const bytes = (hex: string): Uint8Array => fromHex(hex) ?? expect.unreachable();

describe("reader", () => {
  test("reads big-endian numbers, views and the rest, and then is done", () => {
    const input = bytes("01" + "0203" + "fffefdfc" + "aabb" + "cc");
    const reader = new Reader(input);
    expect([reader.u8(), reader.u16(), reader.u32()]).toEqual([1, 0x203, 0xfffefdfc]);
    const view = reader.take(2);
    expect(view).toEqual(bytes("aabb"));
    expect(view?.buffer).toBe(input.buffer);
    expect(reader.done).toBe(false);
    expect(reader.rest()).toEqual(bytes("cc"));
    expect(reader.done).toBe(true);
    expect(reader.rest()).toEqual(bytes(""));
    expect(reader.done).toBe(true);
  });

  test("stays spoilt after one read past the end", () => {
    const reader = new Reader(bytes("010203"));
    expect(reader.u32()).toBeUndefined();
    expect([reader.u8(), reader.u16(), reader.varint(), reader.take(0)]).toEqual(Array(4).fill(undefined));
    expect(reader.rest()).toHaveLength(0);
    expect(reader.done).toBe(false);
  });

  test.each([-1, 4, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, undefined])(
    "takes no %s bytes of three",
    (length) => {
      const reader = new Reader(bytes("010203"));
      expect(reader.take(length)).toBeUndefined();
      expect(reader.done).toBe(false);
    },
  );

  test("never throws and never reads more than there is", () => {
    const read = fc.constantFrom("u8" as const, "u16" as const, "u32" as const, "varint" as const);
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 30 }),
        fc.array(fc.oneof(read, fc.integer()), { maxLength: 12 }),
        (b, reads) => {
          const reader = new Reader(b);
          for (const what of reads) typeof what === "number" ? reader.take(what) : reader[what]();
          expect(reader.rest().length).toBeLessThanOrEqual(b.length);
        },
      ),
    );
  });
});

describe("varint", () => {
  test.each([
    [0, "00"],
    [127, "7f"],
    [128, "8001"],
    [300, "ac02"],
    [2 ** 32, "8080808010"],
    [2 ** 53 - 1, "ffffffffffffff0f"],
  ])("spells %i as %s", (value, hex) => {
    expect(toHex(encodeVarint(value))).toBe(hex);
    expect(new Reader(bytes(hex)).varint()).toBe(value);
  });

  test("comes back, and leaves what follows", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.uint8Array({ maxLength: 3 }), (value, tail) => {
        const reader = new Reader(concat(encodeVarint(value), tail));
        expect(reader.varint()).toBe(value);
        expect(reader.rest()).toEqual(tail);
      }),
    );
  });

  test.each(["", "80", "8000", "808000", "ffffffffffffff10", "ffffffffffffffff01"])("is refused as '%s'", (hex) => {
    expect(new Reader(bytes(hex)).varint()).toBeUndefined();
  });

  test("is accepted in its one canonical form only", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 9 }), (b) => {
        const reader = new Reader(b);
        const value = reader.varint();
        if (value !== undefined) expect(concat(encodeVarint(value), reader.rest())).toEqual(b);
      }),
    );
  });

  test.each([-1, 0.5, 2 ** 53, Number.NaN])("stops at %d", (value) => {
    expect(() => encodeVarint(value)).toThrow("broken invariant");
  });
});
