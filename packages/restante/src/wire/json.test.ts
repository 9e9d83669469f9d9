import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, fromUtf8, RestanteError, utf8 } from "../bytes/index.ts";
import {
  encodeJson,
  flag,
  hasOnly,
  isObject,
  type Json,
  type JsonObject,
  parseJson,
  text,
  uint,
  uint64,
} from "./index.ts";

const parse = (json: string): Json | undefined => parseJson(utf8(json));
const spelled = (value: Json): string | undefined => fromUtf8(encodeJson(value));
const object = (json: string): JsonObject => {
  const value = parse(json);
  return isObject(value) ? value : expect.unreachable();
};

describe("what is read", () => {
  test("is what JSON.parse reads, integers beyond 2^53 aside", () => {
    const value = fc.jsonValue({ maxDepth: 4 });
    const document = fc
      .tuple(value, fc.constantFrom(0, 1, "\t", "\r\n "))
      .map(([v, space]) => JSON.stringify(v, null, space));
    fc.assert(
      fc.property(document, (json) => {
        fc.pre(!json.includes("__proto__"));
        expect(plain(parse(json))).toEqual(plain(JSON.parse(json)));
      }),
      { numRuns: 500 },
    );
  });

  test("is never more than JSON.parse takes, for any bytes and any damaged document", () => {
    const piece = fc.constantFrom(
      ...'{}[]:,"\\u0aeE1.-+ \n',
      "null",
      "true",
      "false",
      '"a"',
      '":',
      "\\ud83d\\ude00",
      "é",
    );
    const soup = fc.array(piece, { maxLength: 14 }).map((pieces) => utf8(pieces.join("")));
    const damaged = fc.tuple(fc.json({ maxDepth: 3 }), fc.nat(), piece).map(([json, at, instead]) => {
      const place = at % (json.length + 1);
      return utf8(json.slice(0, place) + instead + json.slice(place + 1));
    });
    fc.assert(
      fc.property(fc.oneof(soup, damaged, fc.uint8Array({ maxLength: 12 })), (bytes) => {
        const value = parseJson(bytes);
        if (value === undefined) return;
        const json = fromUtf8(bytes) ?? expect.unreachable();
        expect(plain(value)).toEqual(JSON.parse(json)); // which has two zeros, and tells them apart
      }),
      { numRuns: 3000 },
    );
  });

  test.each([
    ["0", 0],
    ["0.0", 0],
    ["0e-5", 0],
    ["1.5e3", 1500],
    ["1E+2", 100],
    ["9007199254740991", 2 ** 53 - 1],
    ["-9007199254740991", -(2 ** 53) + 1],
    ["9007199254740992", 2n ** 53n],
    ["9007199254740993", 2n ** 53n + 1n],
    ["18446744073709551615", 2n ** 64n - 1n],
    ["-9007199254740993", -(2n ** 53n) - 1n],
    ["1e20", 1e20],
    ["5e-324", 5e-324],
    ["-5e-324", -5e-324],
    ["1e-400", 0],
  ])("of %s is the number %s", (json, value) => {
    expect(parse(json)).toBe(value);
  });

  test.each([
    ['"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\\/\b\f\n\r\t'],
    ['"\\u0000\\u0041\\u00e9\\uFFFF"', "\0Aé\uffff"],
    ['"a\\ud83d\\uDE00b"', "a😀b"],
    ['"é€😀\x7f"', "é€😀\x7f"],
    ['""', ""],
  ])("of %s is its text", (json, value) => {
    expect(parse(json)).toBe(value);
  });

  test("has objects without a prototype, so that a key can never find what nobody sent", () => {
    const json = object('{"constructor":1,"toString":"x","":{"a":[{}]}}');
    expect(Object.getPrototypeOf(json)).toBeNull();
    expect([json["constructor"], json["toString"], json["hasOwnProperty"]]).toEqual([1, "x", undefined]);
  });
});

describe("what is refused", () => {
  test.each([
    ...[
      "",
      " ",
      "{",
      "}",
      "[",
      "]",
      "{}{}",
      "[] []",
      "[,]",
      "[1,]",
      "[1 2]",
      "[1",
      '["a"',
      '["a",',
      "nul",
      "True",
      "NaN",
    ],
    ...['{"a"}', '{"a":}', '{"a":1,}', "{a:1}", "{'a':1}", '{"a":1 "b":2}', "{1:2}", "{,}", '{"a"', '{"a":', '{"a":1'],
    ...["01", "-", "-01", "+1", ".5", "1.", "1.e1", "1e", "1e+", "0x1", "1_0", "Infinity", "--1", "1-"],
    ...[
      '"',
      '"a',
      '"\\',
      '"\\"',
      '"\\x"',
      '"\\u12"',
      '"\\u123g"',
      '"\\U0041"',
      '"\n"',
      '"\t"',
      '"\0"',
      '"\x1f"',
      "'a'",
    ],
    ...["\ufeff{}", "\u00a01", "1\f", "// a\n1", "1//", "1\0"],
  ])("%j, which is no JSON", (json) => {
    expect(parse(json)).toBeUndefined();
  });

  test.each(['{"a":1,"a":1}', '{"a":1,"b":2,"a":3}', '{"a":1,"\\u0061":1}', '[{"":0,"":0}]'])(
    "%s: a key twice",
    (json) => {
      expect(parse(json)).toBeUndefined();
    },
  );

  test.each(['{"__proto__":1}', '{"a":{"__proto__":{}}}', '{"\\u005f_proto__":null}'])("%s", (json) => {
    expect(parse(json)).toBeUndefined();
  });

  test.each([
    ...['"\\ud800"', '"\\udc00"', '"\\ud800\\ud800"', '"\\ud800a"', '"\\ud83d\\n"', '"\\ud83d', '"\\udc00\\ud800"'],
    ...['"\\ud83d\\u0041"', '"\\udc00\\udc00"', '"\\ud800\\ue000"', '{"\\ud800":1}'],
  ])("%s: a lone surrogate", (json) => {
    expect(parse(json)).toBeUndefined();
  });

  test.each([[0x80], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xc3], [0xff]])(
    "text that is not UTF-8 (%i, ...)",
    (...broken) => {
      const [quote, bytes] = [utf8('"'), Uint8Array.from(broken)];
      expect(parseJson(concat(quote, bytes, quote))).toBeUndefined();
      expect(parseJson(concat(utf8('{"'), bytes, utf8('":1}')))).toBeUndefined();
    },
  );

  test("more than 8 levels", () => {
    const nested = (depth: number): string => `${'{"a":['.repeat(depth / 2)}1${"]}".repeat(depth / 2)}`;
    expect(parse(nested(8))).toBeDefined();
    expect(parse(nested(10))).toBeUndefined();
    expect(parse(`[${nested(8)}]`)).toBeUndefined();
    expect(parse("[".repeat(1_000_000))).toBeUndefined();
    expect(parseJson(utf8(nested(10)), { depth: 10 })).toBeDefined();
    expect(parseJson(utf8("{}"), { depth: 0 })).toBeUndefined();
    expect(parseJson(utf8("1"), { depth: 0 })).toBe(1);
  });

  test("more than 64 keys in one object", () => {
    const wide = (keys: number): string => `{${Array.from({ length: keys }, (_, i) => `"${i}":0`).join(",")}}`;
    expect(Object.keys(object(wide(64)))).toHaveLength(64);
    expect(parse(wide(65))).toBeUndefined();
    expect(parse(`[${wide(64)},${wide(64)}]`)).toBeDefined();
    expect(parseJson(utf8(wide(65)), { keys: 65 })).toBeDefined();
    expect(parseJson(utf8(wide(2)), { keys: 1 })).toBeUndefined();
  });

  test("numbers that are too long or too large", () => {
    expect(parse("1".repeat(100))).toBe(BigInt("1".repeat(100)));
    expect(parse("1".repeat(101))).toBeUndefined();
    expect(parse(`0.${"1".repeat(99)}`)).toBeUndefined();
    expect(parse("1e308")).toBe(1e308);
    expect(parse("1e309")).toBeUndefined();
    expect(parse("-1e999")).toBeUndefined();
  });

  test.each(["-0", "-0.0", "-0e5", "-0.000E-7", "-1e-400", "-2e-324", `-0.${"0".repeat(97)}`])(
    "a zero with a sign, also the nearest double's: %s",
    (zero) => {
      expect(parse(zero)).toBeUndefined();
      expect(parse(`{"a":[1,{"b":${zero}}]}`)).toBeUndefined();
      expect(parse(zero.slice(1))).toBe(0);
    },
  );
});

describe("what is written", () => {
  const leaf = fc.oneof(
    fc.constantFrom(
      null,
      true,
      false,
      2n ** 64n - 1n,
      -(2n ** 53n),
      1e20,
      1e21,
      1e300,
      5e-324,
      0.1,
      2 ** 53,
      "\ud83d\ude00",
    ),
    fc.string({ unit: "binary" }),
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.bigInt().filter((n) => n > 2n ** 53n && n < 10n ** 99n),
  );
  const key = fc.string().filter((k) => k !== "__proto__");
  const { value } = fc.letrec<{ value: Json }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 5 },
      leaf,
      fc.array(tie("value"), { maxLength: 5 }),
      fc.dictionary(key, tie("value"), { maxKeys: 5 }),
    ),
  }));

  test("is read back as the same value, and written from that as the same bytes", () => {
    fc.assert(
      fc.property(value, (v) => {
        const bytes = encodeJson(v);
        const read = parseJson(bytes);
        if (read === undefined) return expect.unreachable();
        expect(read).toEqual(withoutNegativeZero(v));
        expect(encodeJson(read)).toEqual(bytes);
      }),
      { numRuns: 500 },
    );
  });

  test("is short, in the order of the keys, without fields that are undefined", () => {
    expect(spelled({ b: [1, { c: null }], a: undefined, at: 2n ** 63n, d: "\n€" })).toBe(
      '{"b":[1,{"c":null}],"at":9223372036854775808,"d":"\\n€"}',
    );
  });

  test("has no lone surrogates", () => {
    expect(spelled(["\ud800a", "\udc00\ud800", "😀"])).toBe('["\ufffda","\ufffd\ufffd","😀"]');
  });

  test.each([Number.NaN, Number.NEGATIVE_INFINITY, JSON.parse('{"__proto__":1}'), { "\ud800": 1 }])(
    "is never what every reader refuses (%j)",
    (bad: Json) => {
      expect(() => encodeJson([bad])).toThrow(RestanteError);
      expect(() => encodeJson([bad])).toThrow(expect.objectContaining({ code: "json-value" }));
    },
  );
});

describe("fields", () => {
  const json = object(
    '{"t":"x","e":"","n":7,"z":0,"neg":-1,"f":1.5,"max":9007199254740991,"big":18446744073709551615,"over":18446744073709551616,"yes":true,"no":false,"one":1,"nul":null,"list":[1],"deep":{"a":1}}',
  );

  test("are given only as what they are", () => {
    expect(["t", "e", "n", "nul", "list", "gone"].map((key) => text(json, key))).toEqual([
      "x",
      "",
      ...Array(4).fill(undefined),
    ]);
    expect(["n", "z", "max"].map((key) => uint(json, key))).toEqual([7, 0, 2 ** 53 - 1]);
    for (const key of ["neg", "f", "big", "t", "yes", "nul", "gone"]) expect(uint(json, key)).toBeUndefined();
    expect(["n", "max", "big"].map((key) => uint64(json, key))).toEqual([7n, 2n ** 53n - 1n, 2n ** 64n - 1n]);
    for (const key of ["neg", "f", "over", "t", "gone"]) expect(uint64(json, key)).toBeUndefined();
    expect(["yes", "no", "one", "t", "gone"].map((key) => flag(json, key))).toEqual([true, false, false, false, false]);
    expect(["deep", "list", "nul", "t", "gone"].map((key) => isObject(json[key]))).toEqual([
      true,
      ...Array(4).fill(false),
    ]);
  });

  test("of no head at all are absent", () => {
    expect([text(undefined, "t"), uint(undefined, "n"), uint64(undefined, "n"), flag(undefined, "yes")]).toEqual([
      undefined,
      undefined,
      undefined,
      false,
    ]);
  });

  test("keep to their bound", () => {
    expect([uint(json, "n", 7), uint(json, "n", 6)]).toEqual([7, undefined]);
  });

  test("are all known, or some are not", () => {
    expect(hasOnly(object('{"a":1}'), ["a", "b"])).toBe(true);
    expect(hasOnly(object('{"a":1,"c":1}'), ["a", "b"])).toBe(false);
    expect(hasOnly({ c: undefined }, [])).toBe(true);
  });
});

/** As JSON.parse would give it: ordinary objects, numbers only. */
function plain(value: unknown): unknown {
  return mapLeaves(value, (leaf) => (typeof leaf === "bigint" ? Number(leaf) : leaf));
}

function withoutNegativeZero(value: unknown): unknown {
  return mapLeaves(value, (leaf) => (typeof leaf === "number" ? leaf + 0 : leaf));
}

function mapLeaves(value: unknown, change: (leaf: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => mapLeaves(item, change));
  if (typeof value !== "object" || value === null) return change(value);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapLeaves(item, change)]));
}
