import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, fromHex, toHex } from "../bytes/index.ts";
import { type Backend, type Hashname, hashnameFromBytes, portable } from "../crypto/index.ts";
import { boxId, idWords, MessageIds, messageId, parseId } from "./ids.ts";

interface Vectors {
  box_ids: {
    sender: Hashname;
    recipient: Hashname;
    expect: string;
    messages: { message: string; expect: string }[];
  }[];
}
const path = new URL("../../../../vectors/telehash/siphash.json", import.meta.url);
const vectors: Vectors = JSON.parse(readFileSync(path, "utf8"));
const hashname = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(hashnameFromBytes);

describe("ids agree with libsodium", () => {
  test.each(vectors.box_ids)("[C13] [C14] [X18] box id $expect", ({ sender, recipient, expect: id }) => {
    expect(boxId(portable, sender, recipient)).toBe(id);
  });

  test.each(vectors.box_ids)("[C16] [X18] message ids in box $expect", ({ expect: box, messages }) => {
    expect(messages.length).toBeGreaterThan(0);
    for (const { message, expect: id } of messages)
      expect(messageId(portable, box, fromHex(message) as Uint8Array)).toBe(id);
  });
});

test("[C10] the two directions of a pair are two boxes", () => {
  fc.assert(
    fc.property(hashname, hashname, (a, b) => a === b || boxId(portable, a, b) !== boxId(portable, b, a)),
    { numRuns: 50 },
  );
});

test("the id of a box hangs on half of the sender and all of the recipient", () => {
  const [a, b] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
  const changed = (bytes: Uint8Array, at: number): Hashname =>
    hashnameFromBytes(bytes.map((byte, i) => (i === at ? byte ^ 1 : byte)));
  const id = boxId(portable, hashnameFromBytes(a), hashnameFromBytes(b));
  for (let at = 0; at < 32; at++) {
    expect(boxId(portable, changed(a, at), hashnameFromBytes(b)) === id).toBe(at >= 16);
    expect(boxId(portable, hashnameFromBytes(a), changed(b, at))).not.toBe(id);
  }
});

test("[C17] a message has one id in a box, and others in other boxes", () => {
  fc.assert(
    fc.property(hashname, hashname, hashname, fc.uint8Array(), (a, b, c, bytes) => {
      const box = boxId(portable, a, b);
      expect(messageId(portable, box, bytes)).toBe(messageId(portable, box, bytes.slice()));
      if (b !== c) expect(messageId(portable, boxId(portable, a, c), bytes)).not.toBe(messageId(portable, box, bytes));
    }),
    { numRuns: 50 },
  );
});

test("a message on its way to a store has its id as two words, too, whatever the backend", () => {
  const into = { siphash: (out, key, data) => out.set(portable.siphash(key, data)) } as NonNullable<Backend["into"]>;
  fc.assert(
    fc.property(hashname, hashname, fc.uint8Array(), (a, b, bytes) => {
      const box = boxId(portable, a, b);
      for (const backend of [portable, { ...portable, into }]) {
        const ids = new MessageIds(backend, box);
        const message = ids.name(bytes);
        ids.name(Uint8Array.of(1)); // it does not hang on what comes after it
        const { id, low, high } = message;
        expect([id, message.bytes]).toEqual([messageId(portable, box, bytes), bytes]);
        expect([low, high]).toEqual([id.slice(0, 8), id.slice(8)].map((half) => Number.parseInt(half, 16) | 0));
      }
    }),
    { numRuns: 50 },
  );
});

test("ids one behind the other have two words each, as their text has", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ minLength: 8, maxLength: 8 }), { maxLength: 5 }), (ids) => {
      const words = ids.flatMap((id) => [toHex(id).slice(0, 8), toHex(id).slice(8)]).map((half) => Number(`0x${half}`));
      expect([...idWords(concat(...ids))]).toEqual(words);
    }),
  );
});

test("an id is 16 lower-case hex characters and nothing else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 8, maxLength: 8 }), (bytes) => parseId(toHex(bytes)) === toHex(bytes)),
  );
  for (const rubbish of [
    "",
    "0123456789abcde",
    "0123456789abcdef0",
    "0123456789ABCDEF",
    "0123456789abcdeg",
    7,
    null,
    undefined,
    {},
  ])
    expect(parseId(rubbish)).toBeUndefined();
});
