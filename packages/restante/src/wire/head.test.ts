import fc from "fast-check";
import { expect, test } from "vitest";
import { concat, utf8 } from "../bytes/index.ts";
import {
  type ChannelHead,
  channelHeadLength,
  encodeJson,
  type JsonObject,
  parseJson,
  scanChannelHead,
  writeChannelHead,
} from "./index.ts";

const number = fc.oneof(fc.nat(20), fc.nat(), fc.constantFrom(0, 9, 10, 99, 100, 2 ** 32 - 1, 9_999_999_999));
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const heads: fc.Arbitrary<ChannelHead> = fc.record({
  c: number,
  seq: maybe(number),
  ack: maybe(number),
  miss: maybe(fc.array(number, { minLength: 1, maxLength: 5 })),
  end: fc.boolean(),
});

/** The slow and readable twin: the head as JSON. */
function json({ c, seq, ack, miss, end }: ChannelHead): JsonObject {
  return { c, seq, ack, miss, end: end || undefined };
}

test("a head of the channel's own fields is read as written, wherever it stands and in any order of fields", () => {
  const shuffled = heads.chain((head) =>
    fc.record({
      head: fc.constant(head),
      fields: fc.shuffledSubarray(Object.entries(json(head)), { minLength: 5, maxLength: 5 }),
      before: fc.uint8Array({ maxLength: 3 }),
      behind: fc.uint8Array({ maxLength: 3 }),
    }),
  );
  fc.assert(
    fc.property(shuffled, ({ head, fields, before, behind }) => {
      const bytes = encodeJson(Object.fromEntries(fields));
      const [from, to] = [before.length, before.length + bytes.length];
      expect(scanChannelHead(concat(before, bytes, behind), from, to)).toEqual(head);
    }),
  );
});

test("[E2] whatever is read at all, the strict parser reads as the same", () => {
  const pieces = ['{"c":', '"c":', '"seq":', '"ack":', '"miss":[', '"end":true', "{", "}", "]", ",", "0", "7", "12"];
  const odd = ["01", "-1", "1.0", "1e1", " ", '"', "false", "null", '"x":', "99999999999", "\0", "é", '"\\u0063":'];
  const texts = fc.oneof(
    fc.array(fc.constantFrom(...pieces), { maxLength: 12 }),
    fc.array(fc.constantFrom(...pieces, ...odd), { maxLength: 12 }),
    {
      weight: 6, // what could have been a head, with one piece more, less or other
      arbitrary: fc
        .tuple(heads, fc.nat(), fc.nat(2), fc.constantFrom(...pieces, ...odd))
        .map(([head, at, less, piece]) => {
          const text = JSON.stringify(json(head));
          const place = at % text.length;
          return [text.slice(0, place), piece, text.slice(place + less)];
        }),
    },
  );
  let read = 0;
  fc.assert(
    fc.property(texts, (text) => {
      const bytes = utf8(text.join(""));
      const head = scanChannelHead(bytes, 0, bytes.length);
      if (head === undefined) return;
      read++;
      expect({ ...json(head) }).toEqual({ ...(parseJson(bytes) as JsonObject) });
    }),
    { numRuns: 3000 },
  );
  expect(read).toBeGreaterThan(50);
});

test("no bytes make it throw or read beyond the end, and any other head is left to the strict parser", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 30 }), fc.nat(40), fc.nat(40), (bytes, from, to) => {
      scanChannelHead(bytes, from, to);
    }),
  );
  const whole = utf8('{"c":1,"ack":22}');
  for (let to = 0; to < whole.length; to++) {
    expect(scanChannelHead(whole, 0, to)).toBeUndefined();
    expect(scanChannelHead(whole.subarray(0, to), 0, to)).toBeUndefined();
  }
  const others = ["{}", '{"seq":1}', '{"c":1,"c":1}', '{"c": 1}', '{"c":1,"done":true}', '{"c":1,"end":false}'];
  const more = ['{"c":01}', '{"c":12345678901}', '{"c":1,}', '{"c":1,"miss":[]}', '{"c":1,"end":true,"end":true}'];
  for (const other of [...others, ...more])
    expect(scanChannelHead(utf8(other), 0, other.length), other).toBeUndefined();
});

test("a head is written as the strict encoder writes it, with the application's fields behind", () => {
  const fields = fc.oneof(fc.constant({}), fc.constant({ done: true }), fc.record({ type: fc.string(), x: fc.nat() }));
  fc.assert(
    fc.property(heads, fields, fc.nat(3), (head, more, at) => {
      const [length, joined] = [channelHeadLength(head, encodeJson(more)), encodeJson({ ...json(head), ...more })];
      const bytes = new Uint8Array(at + length + 1);
      writeChannelHead(bytes, at, head, encodeJson(more));
      expect(bytes).toEqual(concat(new Uint8Array(at), joined, new Uint8Array(1)));
    }),
  );
});
