import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  concat,
  fromBase32,
  fromBase64url,
  fromHex,
  fromUtf8,
  hexAt,
  pairsHex,
  toBase32,
  toBase64url,
  toHex,
  utf8,
} from "./index.ts";

interface Vectors {
  encode: { hex: string; expect: string }[];
  decode: { text: string; expect: string | null }[];
}
const vectors: Vectors = JSON.parse(
  readFileSync(new URL("../../../../vectors/telehash/base32.json", import.meta.url), "utf8"),
);
const anyBytes = fc.uint8Array({ maxLength: 100 });

describe("hex", () => {
  test("comes back as the bytes it was made of", () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        expect(fromHex(toHex(bytes))).toEqual(bytes);
      }),
    );
    expect(toHex(Uint8Array.of(0, 10, 255))).toBe("000aff");
  });

  test("of eight bytes in the midst of others is that of these eight", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 8, maxLength: 30 }), fc.nat(), (bytes, n) => {
        const at = n % (bytes.length - 7);
        expect(hexAt(bytes, at)).toBe(toHex(bytes.slice(at, at + 8)));
      }),
    );
  });

  test("of pairs of numbers has 16 digits for each", () => {
    const words = Uint32Array.of(1, 0xffff_ffff, 0x8000_0000, 0);
    expect(pairsHex(words)).toEqual(["00000001ffffffff", "8000000000000000"]);
    expect(pairsHex(new Uint32Array(0))).toEqual([]);
  });

  test.each(["0", "0g", "FF", "fF", " 0", "0x", "é0", "\ud8000", "١١"])("refuses %j", (text) => {
    expect(fromHex(text)).toBeUndefined();
  });
});

describe("base32", () => {
  test.each(vectors.encode)("spells $hex as '$expect'", ({ hex, expect: text }) => {
    expect(toBase32(fromHex(hex) ?? expect.unreachable())).toBe(text);
  });

  test.each(vectors.decode)("reads '$text' as $expect", ({ text, expect: hex }) => {
    const bytes = fromBase32(text);
    expect(bytes && toHex(bytes)).toBe(hex ?? undefined);
  });

  test("comes back as the bytes it was made of, and in 52 characters for 32 bytes", () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        expect(fromBase32(toBase32(bytes))).toEqual(bytes);
      }),
    );
    expect(toBase32(new Uint8Array(32).fill(255))).toHaveLength(52);
  });

  test("is accepted exactly in its one canonical form", () => {
    const letters = fc.string({ unit: fc.constantFrom(..."abcdefghijklmnopqrstuvwxyz234567AZ01=é "), maxLength: 17 });
    const nearly = fc.string({ unit: fc.constantFrom(..."aeqy4"), maxLength: 17 });
    fc.assert(
      fc.property(fc.oneof(letters, nearly), (text) => {
        // The twin works on a string of bits; it takes the whole bytes and asks whether they spell the text again.
        const bits = [...text].map((c) => "abcdefghijklmnopqrstuvwxyz234567".indexOf(c).toString(2).padStart(5, "0"));
        const whole = bits.join("").match(/.{8}/g) ?? [];
        const bytes = bits.some((b) => b.includes("-")) ? undefined : Uint8Array.from(whole, (b) => parseInt(b, 2));
        const isCanonical = bytes !== undefined && toBase32(bytes) === text;
        expect(fromBase32(text)).toEqual(isCanonical ? bytes : undefined);
      }),
      { numRuns: 500 },
    );
  });
});

describe("base64url", () => {
  // RFC 4648 §10 without padding; RFC 7515 appendix C
  test.each([
    ["", ""],
    ["66", "Zg"],
    ["666f", "Zm8"],
    ["666f6f", "Zm9v"],
    ["666f6f62", "Zm9vYg"],
    ["666f6f6261", "Zm9vYmE"],
    ["666f6f626172", "Zm9vYmFy"],
    ["03ecffe0c1", "A-z_4ME"],
  ])("spells %s as '%s', and reads it", (hex, text) => {
    expect(toBase64url(fromHex(hex) ?? expect.unreachable())).toBe(text);
    expect(toHex(fromBase64url(text) ?? expect.unreachable())).toBe(hex);
  });

  test("spells and reads as Node does", () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        const text = Buffer.from(bytes).toString("base64url");
        expect(toBase64url(bytes)).toBe(text);
        expect(fromBase64url(text)).toEqual(bytes);
      }),
    );
  });

  test("is accepted exactly in its one canonical form", () => {
    const text = fc.oneof(
      fc.string({ unit: fc.constantFrom(..."AZaz09-_+/= é"), maxLength: 9 }),
      fc.string({ unit: fc.constantFrom(..."AQgw-_B"), maxLength: 9 }),
    );
    let [taken, refused] = [0, 0];
    fc.assert(
      fc.property(text, (candidate) => {
        // Node reads leniently; what it spells again is canonical.
        const bytes = new Uint8Array(Buffer.from(candidate, "base64url"));
        const isCanonical = Buffer.from(bytes).toString("base64url") === candidate;
        expect(fromBase64url(candidate)).toEqual(isCanonical ? bytes : undefined);
        if (isCanonical) taken++;
        else refused++;
      }),
      { numRuns: 500 },
    );
    expect(taken).toBeGreaterThan(20);
    expect(refused).toBeGreaterThan(20);
  });
});

describe("UTF-8", () => {
  const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const decoded = (bytes: Uint8Array): string | undefined => {
    try {
      return strict.decode(bytes);
    } catch {
      return undefined;
    }
  };
  const anyText = fc.string({ unit: "binary", maxLength: 60 });
  // Bytes around every bound of the encoding, so that nearly right sequences are common.
  const nearlyUtf8 = fc.array(
    fc
      .constantFrom(
        0x00,
        0x61,
        0x7f,
        0x80,
        0x8f,
        0x90,
        0x9f,
        0xa0,
        0xbf,
        0xc0,
        0xc1,
        0xc2,
        0xdf,
        0xe0,
        0xe1,
        0xed,
        0xef,
      )
      .chain((byte) => fc.constantFrom(byte, 0xf0, 0xf1, 0xf4, 0xf5, 0xff, 0x80, 0xbf, 0x9f)),
    { maxLength: 6 },
  );

  test("spells as TextEncoder does, lone surrogates too", () => {
    const units = fc.array(fc.constantFrom(0x61, 0x7ff, 0x800, 0xd7ff, 0xd800, 0xdbff, 0xdc00, 0xdfff, 0xffff));
    const broken = units.map((codes) => String.fromCharCode(...codes));
    fc.assert(
      fc.property(fc.oneof(anyText, broken), (text) => {
        expect(utf8(text)).toEqual(new TextEncoder().encode(text));
      }),
      { numRuns: 500 },
    );
  });

  test("is read exactly as a fatal TextDecoder reads it, byte order mark kept", () => {
    const bytes = fc.oneof(
      anyText.map(utf8),
      fc.uint8Array({ maxLength: 8 }),
      nearlyUtf8.map((b) => Uint8Array.from(b)),
    );
    fc.assert(
      fc.property(bytes, (b) => {
        expect(fromUtf8(b)).toBe(decoded(b));
      }),
      { numRuns: 3000 },
    );
    // A part of it, too, with ends that come before, within and behind where it is read eight bytes at a time.
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 300 }), fc.nat(), fc.nat(), (pieces, from, to) => {
        const all = concat(...pieces);
        const start = from % (all.length + 1);
        const end = start + (to % (all.length - start + 1));
        expect(fromUtf8(all, start, end)).toBe(decoded(all.slice(start, end)));
      }),
    );
    expect(fromUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61))).toBe("\ufeffa");
  });

  test.each([
    "c080",
    "c1bf",
    "e08080",
    "e09fbf",
    "f08fbfbf",
    "eda080",
    "edbfbf",
    "f4908080",
    "f5808080",
    "80",
    "c3",
    "e282",
  ])("%s is refused", (hex) => {
    expect(fromUtf8(fromHex(hex) ?? expect.unreachable())).toBeUndefined();
  });

  test.each([
    ["7f", 0x7f],
    ["c280", 0x80],
    ["dfbf", 0x7ff],
    ["e0a080", 0x800],
    ["ed9fbf", 0xd7ff],
    ["ee8080", 0xe000],
    ["efbfbf", 0xffff],
    ["f0908080", 0x10000],
    ["f48fbfbf", 0x10ffff],
  ])("%s is the code point at its bound", (hex, code) => {
    expect(fromUtf8(fromHex(hex) ?? expect.unreachable())).toBe(String.fromCodePoint(code));
    expect(toHex(utf8(String.fromCodePoint(code)))).toBe(hex);
  });

  test("is read right wherever a long text is cut into pieces", () => {
    for (const sign of ["a", "é", "€", "😀"]) {
      for (const before of ["", "a", "aa", "é"]) {
        const long = before + sign.repeat(200_000);
        expect(fromUtf8(utf8(long)) === long).toBe(true);
      }
    }
  });

  test("is refused when a long text breaks off or breaks late", () => {
    const long = utf8("€".repeat(5000));
    expect(fromUtf8(long.subarray(0, -1))).toBeUndefined();
    expect(fromUtf8(Uint8Array.of(...long, 0x80))).toBeUndefined();
  });
});
