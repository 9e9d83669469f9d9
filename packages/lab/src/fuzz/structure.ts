/** What a hostile author would write by hand: packets, heads and texts that are in order as a whole and mean ill. */
import * as fc from "fast-check";
import { concat, encodePacket, utf8 } from "restante/protocol";
import { FIELDS } from "./mutate.ts";

/** Values of JSON, as text: also such as no encoder of ours would write. */
const number = fc.oneof(
  fc.constantFrom(
    "1e400",
    "-1e400",
    "-0",
    "-0.0",
    "0e0",
    "1E+2",
    "18446744073709551615",
    "18446744073709551616",
    "1e-400",
  ),
  fc.integer().map(String),
  fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }).map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  fc.integer({ min: 1, max: 300 }).map((length) => "9".repeat(length)),
);
const string = fc.oneof(
  fc.string({ unit: "binary", maxLength: 20 }).map((text) => JSON.stringify(text)),
  fc.constantFrom(
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"\\u0000"',
    '"__proto__"',
    '"\\u005f_proto__"',
    '"a\\',
    '"\t"',
    '"\\x"',
  ),
  fc.integer({ min: 0, max: 5000 }).map((length) => JSON.stringify("a".repeat(length))),
);
const key = fc
  .oneof(
    fc.constantFrom(...FIELDS, "key"),
    fc.constantFrom("__proto__", "constructor", "toString", "hasOwnProperty", "", "length"),
    fc.string({ unit: "grapheme", maxLength: 8 }),
  )
  .map((text) => JSON.stringify(text));
const { value, object } = fc.letrec<{ value: string; object: string }>((tie) => ({
  object: fc
    .array(fc.tuple(key, tie("value")), { maxLength: 8, size: "small" })
    .map((fields) => `{${fields.map(([name, of]) => `${name}:${of}`).join(",")}}`),
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    number,
    string,
    fc.constantFrom("true", "false", "null", "", "nul", "[", "{}"),
    fc.array(tie("value"), { maxLength: 6, size: "small" }).map((items) => `[${items.join(",")}]`),
    fc.integer({ min: 1, max: 4000 }).map((depth) => "[".repeat(depth) + "]".repeat(depth)),
    tie("object"),
  ),
}));

/** Texts of JSON objects that few readers would read in the same way. */
export const heads: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 5, arbitrary: object.map(utf8) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom("", " ", "\ufeff"), value).map((texts) => utf8(texts.join(""))) },
);

/** Packets with such heads, or short ones, and now and then a length that is not theirs. */
export const packets: fc.Arbitrary<Uint8Array> = fc
  .tuple(
    fc.oneof({ weight: 4, arbitrary: heads }, { weight: 1, arbitrary: fc.uint8Array({ maxLength: 6 }) }),
    fc.uint8Array({ maxLength: 80 }),
    fc.option(fc.nat(0xffff), { freq: 8 }),
  )
  .map(([head, body, length]) => {
    const packet = encodePacket(head.subarray(0, 0xffff), body);
    return length === null ? packet : concat(Uint8Array.of(length >> 8, length), packet.subarray(2));
  });

/** Short bytes, and one packet within another. */
export const bytes: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  packets,
  packets.map((packet) => encodePacket(Uint8Array.of(0x3a), packet)),
);

/** Texts: of any characters, of those of URIs, and URIs with hostile queries. */
export const texts: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.string({ unit: "binary", maxLength: 200 }).map(utf8),
  fc.string({ unit: fc.constantFrom(..."abz27:/?#[]@!$&'()*+,;=%-._~"), maxLength: 200 }).map(utf8),
  fc
    .tuple(
      fc.constantFrom("link", "LINK", "app"),
      fc.webAuthority({ withIPv6: true, withPort: true, withUserInfo: true }),
      fc.webQueryParameters(),
    )
    .map(([scheme, authority, query]) => utf8(`${scheme}://${authority}/?${query}`)),
);
