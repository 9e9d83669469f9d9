import * as fc from "fast-check";
import { concat, encodeVarint, toHex, utf8 } from "restante/protocol";
import { expect, test } from "vitest";
import {
  acknowledgedBy,
  blockMessage,
  blockOf,
  type Cid,
  chatId,
  chatMessage,
  chatOf,
  cidOf,
  commandMessage,
  commandOf,
  encodeChat,
  encodeMessage,
  errorMessage,
  errorOf,
  fromBase58,
  identityFromSeed,
  identityFromWords,
  innerId,
  type Message,
  magicId,
  momentOf,
  offlineAck,
  type PeerId,
  parseMessage,
  parsePeerId,
  parsePrivateKey,
  parsePublicKey,
  payloadOf,
  pointerKey,
  storedCids,
  storeMessage,
  TYPES,
  toBase58,
  writeTime,
} from "./index.ts";

const alice = identityFromSeed(new Uint8Array(32).fill(1));
const bob = identityFromSeed(new Uint8Array(32).fill(2));
const time = { seconds: 1_605_888_000, nanos: 120_000_000 };

test("[D8][D9][D10] a chat goes into a message and comes out of it", () => {
  for (const flag of ["message", "typing", "read"] as const) {
    const message = chatMessage({ text: "héllo ✓", subject: "QmOrder", time, flag }) as Message;
    const parsed = parseMessage(encodeMessage(message)) as Message;
    expect(parsed).toEqual(message);
    const messageId = chatId("héllo ✓", "QmOrder", time);
    expect(chatOf(parsed)).toEqual({ messageId, text: "héllo ✓", subject: "QmOrder", time, flag });
  }
  // The last field, a varint; none for 0. The numbers are openbazaar-go's.
  const flagged = (flag: "message" | "typing" | "read") =>
    toHex(encodeChat({ messageId: "", subject: "", text: "", time: undefined, flag }));
  expect([flagged("message"), flagged("typing"), flagged("read")]).toEqual(["", "2801", "2802"]);
  expect(chatOf({ type: TYPES.CHAT })).toBeUndefined();
  expect(chatOf({ ...(chatMessage({ text: "", subject: "", time }) as Message), type: TYPES.ORDER })).toBeUndefined();
});

test("a message of more than 1000 fields is none, wherever they stand: each would be an object, of two bytes", () => {
  const unknown = (count: number): Uint8Array => concat(...Array.from({ length: count }, () => Uint8Array.of(0x28, 1)));
  const within = (count: number): Uint8Array => concat(encodeVarint(0x12), encodeVarint(2 * count), unknown(count));
  for (const [bytes, isRead] of [
    [unknown(1000), true],
    [unknown(1001), false],
    [within(999), true],
    [within(1000), false],
    [concat(within(500), within(498)), true],
    [concat(within(500), within(499)), false],
    [concat(...Array.from({ length: 1001 }, () => within(0))), false],
  ] as const)
    expect(parseMessage(bytes) !== undefined, `${bytes.length} bytes`).toBe(isRead);
  const block = (value: Uint8Array): Message => ({ type: TYPES.BLOCK, payload: payloadOf("Block", value) });
  const { value } = blockMessage(cidOf(utf8("x")), utf8("x")).payload ?? { value: utf8("") };
  expect(blockOf(block(concat(value, unknown(998))))).toBeDefined();
  expect(blockOf(block(concat(value, unknown(999))))).toBeUndefined();
});

test("[D5] a chat is at most 20,000 bytes, its subject at most 500, and its time has a name", () => {
  const chat = (text: string, subject = "") => chatMessage({ text, subject, time });
  expect(chat("x".repeat(20_000), "s".repeat(500))).toBeDefined();
  expect(chat("x".repeat(20_001))).toBeUndefined();
  expect(chat("é".repeat(10_001))).toBeUndefined();
  expect(chat("", "s".repeat(501))).toBeUndefined();
  expect(chatMessage({ text: "", subject: "", time: { seconds: 253_402_300_800, nanos: 0 } })).toBeUndefined();
  expect(chatMessage({ text: "", subject: "", time: { seconds: 0, nanos: 1e9 } })).toBeUndefined();
});

test("[D6][D7][X13] a chat's id is the multihash of its text, its subject and its time run into each other", () => {
  const moment = { seconds: 1_605_888_000, nanos: 123_456_789 };
  const id = chatId("hello", "", moment);
  expect(id).toBe("QmRMv2xfk2VrXGeSNPuKXtyR1AGJ9qHweJtN1YG5M8nDb1"); // openbazaar-go's
  expect(chatId("hello", "QmOrderId", moment)).toBe("QmXgtLEuNjX4UbS1kviuTwXsXqmC4rMAVhH22rsfrf9Bdo");
  expect(toHex(fromBase58(id ?? "") ?? new Uint8Array())).toBe(
    "12202ce5f83e24d99e874dd82ad9a9fa2f318ac0bdb03f9750fb098106c869f2bbdc",
  );
});

test("[X14] the compatible id of two messages may be one; the inner id tells them apart, and sender from recipient", () => {
  const [from, to] = [alice.id, bob.id];
  expect(chatId("hel", "lo", time)).toBe(chatId("hello", "", time));
  const inner = (text: string, subject: string) => toHex(innerId({ from, to, text, subject, time }));
  expect(inner("hel", "lo")).not.toBe(inner("hello", ""));
  expect(toHex(innerId({ from: to, to: from, text: "a", subject: "", time }))).not.toBe(inner("a", ""));
});

test("times are those of the calendar, for every second from year 1 to 9999", () => {
  fc.assert(
    fc.property(fc.integer({ min: -62_135_596_800, max: 253_402_300_799 }), (seconds) => {
      const expected = new Date(seconds * 1000).toISOString().replace(".000", "");
      expect(writeTime({ seconds, nanos: 0 })).toBe(expected);
    }),
  );
  expect(momentOf(1_605_888_000_120)).toEqual(time);
  expect(writeTime(momentOf(-500))).toBe("1969-12-31T23:59:59.5Z");
});

test("fields that nobody knows are kept, in the message and in its payload, behind the others", () => {
  const unknown = Uint8Array.of(0x7a, 1, 65, 0xf8, 7, 5);
  const message: Message = { type: 4711, payload: { typeUrl: "x", value: utf8("y"), unknown }, requestId: -1, unknown };
  const bytes = encodeMessage(message);
  expect(parseMessage(bytes)).toEqual(message);
  // First instead of last: the same message, in other bytes than Go writes.
  expect(encodeMessage(parseMessage(concat(unknown, Uint8Array.of(8, 1))) as Message)).toEqual(
    concat(Uint8Array.of(8, 1), unknown),
  );
});

test("[D29][D30] STORE carries ids, each a CIDv0, not more than the reader allows", () => {
  const cids = [1, 2, 3].map((byte) => cidOf(Uint8Array.of(byte)));
  const message = storeMessage(cids);
  expect(message.payload?.typeUrl).toBe("type.googleapis.com/CidList");
  expect(storedCids(message, 3)).toEqual(cids);
  expect(storedCids(message, 2)).toBeUndefined();
  expect(storedCids(storeMessage([]), 0)).toEqual([]);
  expect(storedCids(storeMessage(["12D3KooW" as Cid]), 3)).toBeUndefined();
  expect(storedCids(storeMessage([...cids.slice(1), "Qm" as Cid]), 3)).toBeUndefined();
  expect(storedCids({ ...message, type: TYPES.BLOCK }, 3)).toBeUndefined();
});

test("blocks, acknowledgements and errors come out as they went in", () => {
  const block = utf8("a block");
  expect(blockOf(blockMessage(cidOf(block), block))).toEqual({ cid: cidOf(block), bytes: block });
  expect(blockOf(offlineAck(magicId(block)))).toBeUndefined();
  expect(acknowledgedBy(offlineAck(magicId(block)))).toEqual(magicId(block));
  expect(offlineAck(magicId(block)).payload?.typeUrl).toBe("");
  expect(
    acknowledgedBy({ type: TYPES.OFFLINE_ACK, payload: { typeUrl: "", value: utf8("1".repeat(46)) } }),
  ).toBeUndefined();
  expect(acknowledgedBy({ type: TYPES.OFFLINE_ACK })).toBeUndefined();
  expect(errorOf(errorMessage(7, "x".repeat(2000)))).toEqual({ code: 7, text: "x".repeat(1000) });
});

test("a command is its signer's, of its message's type, and about the peer that it names", () => {
  const follow = commandMessage(alice, { peer: bob.id, type: TYPES.FOLLOW, time });
  expect(commandOf(follow)).toEqual({ from: alice.id, peer: bob.id, type: TYPES.FOLLOW, time });
  expect(commandOf({ ...follow, type: TYPES.UNFOLLOW })).toBeUndefined();
  const value = follow.payload?.value.slice() ?? new Uint8Array();
  value[value.length - 1] = (value[value.length - 1] ?? 0) ^ 1;
  expect(commandOf({ ...follow, payload: { typeUrl: "type.googleapis.com/SignedData", value } })).toBeUndefined();
});

test("[X12] an id is the hash of a key: the inline form, which would give everybody one pointer key, is refused", () => {
  expect(parsePeerId(alice.id)).toBe(alice.id);
  const inline = toBase58(concat(Uint8Array.of(0, 36), alice.publicKey));
  expect(inline).toMatch(/^12D3KooW/);
  for (const bad of [
    inline,
    "",
    `${alice.id}1`,
    `1${alice.id}`,
    alice.id.slice(0, -1),
    "Q".repeat(46),
    "x".repeat(1e6),
  ])
    expect(parsePeerId(bad), bad.slice(0, 60)).toBeUndefined();
  expect(fromBase58(alice.id)).toHaveLength(34);
  expect(pointerKey(alice.id)).not.toEqual(pointerKey(bob.id));
});

test("keys parse in their one form", () => {
  expect(parsePublicKey(alice.publicKey)).toMatchObject({ kind: "ed25519" });
  const stored = concat(Uint8Array.of(8, 1, 0x12, 64), new Uint8Array(32).fill(1), alice.publicKey.subarray(4));
  expect(parsePrivateKey(stored)).toEqual({ kind: "ed25519", seed: new Uint8Array(32).fill(1) });
  stored[40] = (stored[40] ?? 0) ^ 1;
  expect(parsePrivateKey(stored)).toBeUndefined();
  expect(identityFromWords("only four words here")).toBeUndefined();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      parsePublicKey(bytes);
      parsePublicKey(concat(Uint8Array.of(8, 0, 0x12, 0x80 | (bytes.length & 127), bytes.length >> 7), bytes));
      parsePrivateKey(bytes);
      parseMessage(bytes);
      parsePeerId(String.fromCharCode(...bytes) as PeerId);
    }),
  );
});
