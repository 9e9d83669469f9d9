/** Heads that have broken parsers of JSON, by name, and packets whose length is not theirs. */
import { utf8 } from "restante/protocol";

export interface NastyHead {
  readonly name: string;
  readonly head: Uint8Array;
  /** What the field `a` reads as, or that the head is refused. */
  readonly reads: "refused" | { readonly a: unknown };
}

const KB64 = 65_400; // a little less than a head may have, so that there is room for fields of others

export const NASTY_HEADS: readonly NastyHead[] = [
  refused("64 KB of nested lists", nested("[", "]", KB64)),
  refused("64 KB of nested objects", nested('{"a":', "}", KB64)),
  refused("64 KB of lists that never end", `{"a":${"[".repeat(KB64)}}`),
  refused("nine levels", '{"a":[[[[[[[[0]]]]]]]]}'),
  read("eight levels", '{"a":[[[[[[[0]]]]]]]}', [[[[[[[0]]]]]]]),
  refused("a key twice", '{"a":1,"a":2}'),
  refused("a key twice, once escaped", '{"a":1,"\\u0061":1}'),
  refused("a key twice, further in", '{"a":{"b":[{"c":1,"c":1}]}}'),
  refused("64 KB of one key", `{${'"a":1,'.repeat(KB64 / 6 - 2)}"a":1}`),
  refused(
    "64 KB of keys",
    `{${Array.from({ length: KB64 / 9 }, (_, i) => `"${i.toString(36).padStart(4, "0")}":1`).join()}}`,
  ),
  refused("65 keys", `{${Array.from({ length: 65 }, (_, i) => `"k${i}":1`).join()}}`),
  refused("__proto__", '{"__proto__":{"polluted":true},"a":1}'),
  refused("__proto__, escaped", '{"\\u005f_proto__":{"polluted":true},"a":1}'),
  refused("__proto__, further in", '{"a":[{"__proto__":[]}]}'),
  read("__proto__ as a text", '{"a":"__proto__"}', "__proto__"),
  read("constructor", '{"constructor":{"prototype":{"polluted":true}},"a":1}', 1),
  refused("1e400", '{"a":1e400}'),
  refused("-1e400", '{"a":-1e400}'),
  refused("1e400, further in", '{"a":[0,{"b":1e400}]}'),
  read("1e-400", '{"a":1e-400}', 0),
  refused("-0", '{"a":-0}'),
  refused("-0.0e9", '{"a":-0.0e9}'),
  refused("-1e-400", '{"a":-1e-400}'),
  refused("-0, further in", '{"a":[0,{"b":-0}]}'),
  refused("101 digits", `{"a":${"9".repeat(101)}}`),
  refused("64 KB of digits", `{"a":${"9".repeat(KB64)}}`),
  refused("64 KB of an exponent", `{"a":1e${"9".repeat(KB64)}}`),
  read("2^64", '{"a":18446744073709551616}', 2n ** 64n),
  refused("NaN", '{"a":NaN,"b":1}'),
  refused("a lone high surrogate", '{"a":"\\ud800"}'),
  refused("a lone low surrogate", '{"a":"\\udc00"}'),
  refused("surrogates the wrong way round", '{"a":"\\udc00\\ud800"}'),
  refused("a lone surrogate in a key", '{"\\udfff":1,"a":1}'),
  refused("a surrogate in UTF-8", bytes('{"a":"', [0xed, 0xa0, 0x80], '"}')),
  refused("an overlong slash", bytes('{"a":"', [0xc0, 0xaf], '"}')),
  refused("a character beyond Unicode", bytes('{"a":"', [0xf4, 0x90, 0x80, 0x80], '"}')),
  refused("half a character", bytes('{"a":"', [0xe2, 0x82], '"}')),
  refused("a bare control character", '{"a":"\u0000"}'),
  refused("64 KB of backslashes, an odd number", `{"a":"${"\\".repeat(KB64 + 1)}"}`),
  refused("64 KB of a text that never ends", `{"a":"${"x".repeat(KB64)}}`),
  read("64 KB of text", `{"a":"${"x".repeat(KB64)}"}`, "x".repeat(KB64)),
  read("64 KB of escapes", `{"a":"${"\\u0041".repeat(KB64 / 6)}"}`, "A".repeat(KB64 / 6)),
  read("64 KB of white space", `{"a":${" ".repeat(KB64)}1}`, 1),
  read(
    "64 KB of a flat list",
    `{"a":[${"0,".repeat(KB64 / 2)}0]}`,
    Array.from({ length: KB64 / 2 + 1 }, () => 0),
  ),
  refused("a comma too many", '{"a":[1,],"b":2}'),
  refused("a comment", '{"a":1/* */}'),
  refused("single quotes", "{'a':1,'b':2}"),
];

/** Lengths that promise more than there is. */
export const OVERLONG: readonly Uint8Array[] = [
  Uint8Array.of(0xff, 0xff),
  Uint8Array.of(0, 1),
  Uint8Array.of(0, 7, 0x7b, 0x7d),
  bytes("", [0xff, 0xfe], "{}".repeat(0x7ffe)),
  new Uint8Array(300).fill(0xff),
  new Uint8Array(40_000).fill(0x80), // numbers of seven bits each that go on
];

/** The head with fields before its own: so it gets as far as a good one does. */
export function within(fields: string, head: Uint8Array): Uint8Array {
  return bytes(`{${fields},`, [...head.subarray(1)]);
}

function refused(name: string, head: string | Uint8Array): NastyHead {
  return { name, head: typeof head === "string" ? utf8(head) : head, reads: "refused" };
}

function read(name: string, head: string, a: unknown): NastyHead {
  return { name, head: utf8(head), reads: { a } };
}

function nested(open: string, close: string, length: number): string {
  const depth = Math.floor((length - 10) / (open.length + close.length));
  return `{"a":${open.repeat(depth)}1${close.repeat(depth)}}`;
}

function bytes(before: string, middle: readonly number[], after: string = ""): Uint8Array {
  return Uint8Array.of(...utf8(before), ...middle, ...utf8(after));
}
