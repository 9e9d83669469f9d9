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

/** What stands beside them on the packets of a box. */
const plain = fc.string({ unit: fc.constantFrom(..."abz09 {}[]:,=/?&~".split("")), maxLength: 20 });
const known: fc.Arbitrary<JsonObject> = fc.record(
  {
    done: fc.constant(true),
    clear: fc.constant(true),
    x: number,
    cap: number,
    ids: number,
    many: fc.oneof(number, fc.constant(true)),
    id: plain,
    box: plain,
    type: plain,
    to: plain,
    uri: plain,
  },
  { requiredKeys: [] },
);

/** The slow and readable twin: the head as JSON. */
function json({ c, seq, ack, miss, end }: ChannelHead): JsonObject {
  return { c, seq, ack, miss, end: end || undefined };
}

test("a head of the channel and a box is read as written, wherever it stands and in any order of fields", () => {
  const shuffled = fc.tuple(heads, known).chain(([head, more]) => {
    const all = Object.entries({ ...json(head), ...more });
    return fc.record({
      head: fc.constant({ ...head, fields: more }),
      fields: fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length }),
      before: fc.uint8Array({ maxLength: 3 }),
      behind: fc.uint8Array({ maxLength: 3 }),
    });
  });
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
  const boxes = [
    '"done":true',
    '"x":',
    '"cap":',
    '"clear":true',
    '"ids":',
    '"many":',
    '"id":"',
    '"type":"',
    '"uri":"',
    'a"',
    '\\"',
  ];
  const odd = ["01", "-1", "1.0", "1e1", " ", '"', "false", "null", '"x":', "99999999999", "\0", "é", '"\\u0063":'];
  const texts = fc.oneof(
    fc.array(fc.constantFrom(...pieces), { maxLength: 12 }),
    fc.array(fc.constantFrom(...pieces, ...boxes, ...odd), { maxLength: 12 }),
    {
      weight: 6, // what could have been a head, with one piece more, less or other
      arbitrary: fc
        .tuple(heads, known, fc.nat(), fc.nat(2), fc.constantFrom(...pieces, ...boxes, ...odd))
        .map(([head, more, at, less, piece]) => {
          const text = JSON.stringify({ ...json(head), ...more });
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
      expect({ ...json(head), ...head.fields }).toEqual({ ...(parseJson(bytes) as JsonObject) });
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
  const others = ["{}", '{"seq":1}', '{"c":1,"c":1}', '{"c": 1}', '{"c":1,"end":false}', '{"c":1,"other":1}'];
  others.push(
    '{"c":1,"done":true,"done":true}',
    '{"c":1,"x":1,"x":1}',
    '{"c":1,"id":"a","id":"b"}',
    '{"c":1,"id":"\\u0061"}',
  );
  others.push(
    '{"c":1,"ids":1,"ids":2}',
    '{"c":1,"ids":"a"}',
    '{"c":1,"idx":1}',
    '{"c":1,"many":1,"many":1}',
    '{"c":1,"many":01}',
    '{"c":1,"many":false}',
  );
  others.push('{"c":1,"cap":1,"cap":2}', '{"c":1,"clear":true,"clear":true}', '{"c":1,"to":"é"}', '{"c":1,"err":"no"}');
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
