import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { qrCode } from "./qr-code.ts";
import { clip, fold, foldPainted, plainJson, printable, type Screen, size, table, width } from "./screen.ts";

const screen: Screen = {
  json: false,
  isTerminal: true,
  hasColor: false,
  columns: 40,
  out: () => {},
  say: () => {},
  paint: (_, text) => text,
};

describe("text of others", () => {
  test("reaches a terminal without control characters, whatever it holds", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), fc.boolean(), (text, oneLine) => {
        const shown = printable(text, { oneLine });
        expect(shown).not.toMatch(/[\p{Bidi_Control}\u2028\u2029]/u);
        expect(shown.replace(oneLine ? "" : /[\n\t]/g, "")).not.toMatch(/\p{Cc}/u);
      }),
    );
  });

  test("is no more to a terminal as JSON, and the same to a program", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
        const line = plainJson(JSON.stringify({ text }));
        expect(line).not.toMatch(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u);
        expect(JSON.parse(line)).toEqual({ text });
      }),
    );
    expect(plainJson(JSON.stringify("\u009b2J"))).toBe('"\\u009b2J"');
  });

  test("keeps its words, lines and marks", () => {
    expect(printable("hé\r\n\tллo 👩‍🚀\x1b[31mred\x07")).toBe("hé\n\tллo 👩‍🚀\u{FFFD}[31mred\u{FFFD}");
    expect(printable("two\nlines", { oneLine: true })).toBe("two lines");
    expect(printable("a\u202egnp.exe")).toBe("a\u{FFFD}gnp.exe");
  });
});

describe("tables", () => {
  test("columns stand straight, also with wide characters, and no line is wider than the terminal", () => {
    const rows = [
      ["a", "日本語", "a very long sentence that does not fit there at all"],
      ["bbb", "x", "short"],
    ];
    expect(table(screen, ["ONE", "TWO", "THREE"], rows)).toEqual([
      "ONE  TWO     THREE",
      "a    日本語  a very long sentence that…",
      "bbb  x       short",
    ]);
  });

  test("a painted line is folded with its paint, one that is painted in part not at all", () => {
    expect(foldPainted("\u001b[2mone two\u001b[22m", 4)).toEqual(["\u001b[2mone\u001b[22m", "\u001b[2mtwo\u001b[22m"]);
    expect(foldPainted("\u001b[2mone\u001b[22m two", 4)).toEqual(["\u001b[2mone\u001b[22m two"]);
    expect(foldPainted("one two", 4)).toEqual(["one", "two"]);
    expect(foldPainted("", 4)).toEqual([""]);
  });

  test("a cut never leaves half a character", () => {
    expect(clip("日本語", 4)).toBe("日…");
    expect(clip("👩‍🚀👩‍🚀👩‍🚀", 5)).toBe("👩‍🚀👩‍🚀…");
    expect(clip("abc", 3)).toBe("abc");
  });
});

test("long lines are parted between words; nothing is lost, and no line is wider unless one word is", () => {
  expect(fold("one two three", 7)).toEqual(["one two", "three"]);
  expect(fold("one two three", 7, 3)).toEqual(["one", "two", "three"]);
  expect(fold("日本 日本語 x", 6)).toEqual(["日本", "日本語", "x"]);
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 200 }), fc.integer({ min: 1, max: 60 }), (line, columns) => {
      const lines = fold(line, columns);
      expect(lines.join(" ")).toBe(line);
      for (const each of lines) expect(!each.includes(" ") || width(each) <= columns).toBe(true);
    }),
  );
});

test.each([
  [0, "0 bytes"],
  [1, "1 byte"],
  [1023, "1023 bytes"],
  [1024, "1.0 KiB"],
  [1024 * 1024 - 1, "1024 KiB"],
  [5 * 1024 * 1024, "5.0 MiB"],
  [2 ** 50, "1024 TiB"],
])("%i bytes are shown as %s", (bytes, text) => {
  expect(size(bytes)).toBe(text);
});

test("a QR code is a square of half blocks, and left out where it does not fit", () => {
  const lines = qrCode({ ...screen, columns: 80 }, "link://127.0.0.1:42424/?cs3a=abc");
  expect(lines.length).toBeGreaterThan(10);
  for (const line of lines) expect(line).toMatch(/^[█▀▄ ]+$/);
  expect(Math.ceil((lines[0]?.length ?? 0) / 2)).toBe(lines.length);
  expect(qrCode({ ...screen, columns: 20 }, "link://127.0.0.1:42424/?cs3a=abc")).toEqual([
    `(its QR code needs a terminal of ${lines[0]?.length} columns)`,
  ]);
  expect(qrCode(screen, "x".repeat(5000))).toEqual(["(it is too long for a QR code)"]);
});
