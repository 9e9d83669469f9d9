import { generateKeyPairSync } from "node:crypto";
import { ED25519_TORSION_SUBGROUP, ed25519 } from "@noble/curves/ed25519.js";
import * as fc from "fast-check";
import { concat, encodeVarint, equal, portable, toHex, utf8 } from "restante/protocol";
import { Chance } from "restante/testing";
import { expect, test } from "vitest";
import { nodeRsaKey } from "../rsa-node.ts";
import {
  chatMessage,
  decrypt,
  encodeEnvelope,
  encodeMessage,
  encrypt,
  extend,
  extensionOf,
  type Identity,
  identityFromRsa,
  identityFromSeed,
  type Message,
  open,
  parseEnvelope,
  seal,
  sealedMessage,
  sealedOf,
  sign,
  verify,
} from "./index.ts";

const chance = new Chance(1);
const random = (length: number): Uint8Array => Uint8Array.from({ length }, () => chance.between(0, 255));
const [alice, bob, carol] = [1, 2, 3].map((byte) => identityFromSeed(new Uint8Array(32).fill(byte))) as [
  Identity,
  Identity,
  Identity,
];
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 4096 });
const rsa = identityFromRsa(nodeRsaKey(privateKey.export({ type: "pkcs1", format: "der" }))) as Identity;
const time = { seconds: 1_605_888_000, nanos: 0 };
const hello = chatMessage({ text: "hello", subject: "", time }) as Message;
const extension = (recipient: Identity) => ({
  recipient: recipient.id,
  id: random(16),
  time: 1e12,
  preimage: random(32),
});

test.each([
  ["Ed25519", () => bob],
  ["RSA-4096", () => rsa],
])("[D15][D16][D18] what is sealed to %s opens there, as its sender's, and nowhere else", (_, to) => {
  for (const from of [alice, rsa]) {
    const sealed = seal(from, to().publicKey, hello, random) ?? new Uint8Array();
    const opened = open(to(), sealed);
    expect(opened?.from).toBe(from.id);
    expect(opened?.message).toEqual(hello);
    expect(opened?.signed).toEqual(encodeMessage(hello));
    expect(open(carol, sealed)).toBeUndefined();
    // Nobody else signs for them: neither another signature nor another message under theirs.
    const envelope = encodeEnvelope(from, hello);
    for (const place of [5, envelope.length - 1]) {
      const forged = envelope.slice();
      forged[place] = (forged[place] ?? 0) ^ 1;
      expect(parseEnvelope(envelope, to().id)).toBeDefined();
      expect(parseEnvelope(forged, to().id)).toBeUndefined();
    }
    // The storage learns neither who wrote it nor to whom.
    for (const hidden of [from.publicKey.subarray(5), to().publicKey.subarray(5)])
      expect(toHex(sealed)).not.toContain(toHex(hidden));
    // Nor does what stands in the envelope, which is the same search's to find.
    for (const plain of [envelope.subarray(0, 24), utf8("hello"), utf8(from.id)]) {
      expect(toHex(sealed)).not.toContain(toHex(plain));
    }
    expect(toHex(envelope)).toContain(toHex(utf8("hello")));
    expect(toHex(envelope)).toContain(toHex(from.publicKey.subarray(5)));
  }
});

test("any changed or cut byte of a sealed message is refused, with either kind of key, and nothing throws", () => {
  for (const to of [bob, rsa]) {
    const sealed = seal(alice, to.publicKey, hello, random) ?? new Uint8Array();
    const at = to === bob ? [0, 24, 55, 56, 72, sealed.length - 1] : [0, 3, 4, 400, 515, 516, 532, sealed.length - 1];
    for (const place of at)
      for (let bit = 0; bit < 8; bit++) {
        const bad = sealed.slice();
        bad[place] = (bad[place] ?? 0) ^ (1 << bit);
        expect(open(to, bad), `bit ${bit} of byte ${place}`).toBeUndefined();
      }
    for (const length of [0, 23, 55, 56, 71, 72, 515, 516, 563, 564, sealed.length - 1])
      if (length < sealed.length) expect(open(to, sealed.subarray(0, length)), `${length} bytes`).toBeUndefined();
  }
});

test("of the ephemeral keys that open a box one is taken, or others could give a file further names", () => {
  const { Point, utils } = ed25519;
  const nonce = new Uint8Array(24);
  const box = (key: Uint8Array): Uint8Array => {
    const shared = portable.beforenm(utils.toMontgomerySecret(new Uint8Array(32).fill(2)), key); // Bob's: the sender's is not known
    return concat(nonce, key, portable.secretboxSeal(shared ?? new Uint8Array(32), nonce, utf8("text")));
  };
  const base = utils.toMontgomery(Point.BASE.toBytes());
  const genuine = box(base);
  expect(decrypt(bob, genuine)).toEqual(utf8("text"));
  const others = ED25519_TORSION_SUBGROUP.map((point) =>
    utils.toMontgomery(Point.BASE.add(Point.fromHex(point)).toBytes()),
  ).filter((key) => !equal(key, base));
  expect(new Set(others.map(toHex)).size).toBe(7);
  const spelled = base.map((byte, at) => (at === 31 ? byte | 0x80 : byte));
  const notReduced = base.map((byte, at) => (at === 0 ? byte + 0xed : at === 31 ? 0x7f : 0xff)); // 9 + 2^255 - 19
  for (const key of [...others, spelled, notReduced]) {
    const other = box(key);
    expect(other.subarray(56), "the same box").toEqual(genuine.subarray(56));
    expect(decrypt(bob, other), toHex(key)).toBeUndefined();
  }
  expect(decrypt(bob, box(Uint8Array.of(2, ...new Uint8Array(31)))), "of the curve's twist").toBeUndefined();
});

test("a badly padded RSA block looks like a changed message: the MAC fails, nothing else differs", () => {
  const key = rsa.secret.kind === "rsa" ? rsa.secret.key : undefined;
  // One of four random blocks is above the modulus; of the others none is padded.
  for (let i = 0; i < 8; i++)
    expect(decrypt(rsa, concat(Uint8Array.of(0, 0, 0, 1), random(512), random(100)))).toBeUndefined();
  expect(key?.decryptRaw(new Uint8Array(512).fill(255))).toBeUndefined();
  expect(decrypt(rsa, concat(Uint8Array.of(0, 0, 0, 1), new Uint8Array(512).fill(255), random(100)))).toBeUndefined();
});

test("[D13][D14][D17] an envelope is message, key and signature, always in the same bytes", () => {
  const bytes = encodeMessage(hello);
  const parts = [bytes, alice.publicKey, sign(alice, bytes)];
  const expected = concat(...parts.flatMap((part, i) => [Uint8Array.of(8 * i + 10), encodeVarint(part.length), part]));
  for (let i = 0; i < 3; i++) expect(encodeEnvelope(alice, hello)).toEqual(expected);
  expect(parseEnvelope(expected, bob.id)?.publicKey).toEqual(alice.publicKey);
  expect(verify(alice.publicKey, bytes, parts[2] ?? new Uint8Array())).toBe(true);
});

test("an envelope that repeats its message, lacks a field or has it in another wire type is refused, whoever signed it", () => {
  const good = encodeEnvelope(alice, hello);
  const bytes = encodeMessage(hello);
  const field = (number: number, value: Uint8Array) =>
    concat(encodeVarint(number * 8 + 2), encodeVarint(value.length), value);
  const [message, key, signature] = [field(1, bytes), field(2, alice.publicKey), field(3, sign(alice, bytes))];
  expect(parseEnvelope(concat(message, key, signature), bob.id)?.message).toEqual(hello);
  expect(concat(message, key, signature)).toEqual(good);
  const other = field(1, encodeMessage({ type: 2 }));
  for (const bad of [
    concat(good, message),
    concat(other, good),
    concat(good, other),
    concat(good, key),
    concat(good, signature),
    concat(message, key),
    concat(message, signature),
    concat(key, signature),
    concat(good, Uint8Array.of(0)),
    concat(good, Uint8Array.of(0x0b, 0x0c)),
    good.subarray(0, -1),
    concat(Uint8Array.of(8, 1), key, signature),
  ])
    expect(parseEnvelope(bad, bob.id)).toBeUndefined();
  // Fields that we do not know are passed over: a later version may have them.
  expect(parseEnvelope(concat(good, field(9, utf8("later"))), bob.id)?.message).toEqual(hello);
});

test("[X28] our extension names the recipient inside the signed bytes: passed on to somebody else, it is refused", () => {
  const extended = extend(hello, extension(bob));
  expect(extensionOf(extended)).toMatchObject({ recipient: bob.id, time: 1e12 });
  const envelope = encodeEnvelope(alice, extended);
  const opened = parseEnvelope(envelope, bob.id);
  expect(opened?.extension?.recipient).toBe(bob.id);
  expect(opened?.message.type).toBe(hello.type);
  expect(parseEnvelope(envelope, carol.id)).toBeUndefined(); // Bob encrypted it to Carol
  const again = encrypt(carol.publicKey, envelope, random) ?? new Uint8Array();
  expect(open(carol, again)).toBeUndefined();
  // OpenBazaar's own: accepted, and nothing says for whom it was.
  const legacy = open(carol, encrypt(carol.publicKey, encodeEnvelope(alice, hello), random) ?? new Uint8Array());
  expect(legacy?.message).toEqual(hello);
  expect(legacy?.extension).toBeUndefined();
});

test("an extension of another form, or two of them, spoils the envelope", () => {
  const good = extend(hello, extension(bob));
  const field = good.unknown ?? new Uint8Array();
  const nested = (bytes: Uint8Array) => concat(encodeVarint(100 * 8 + 2), encodeVarint(bytes.length), bytes);
  for (const unknown of [
    concat(field, field),
    nested(new Uint8Array()),
    nested(utf8("no protobuf")),
    concat(encodeVarint(800), Uint8Array.of(1)),
    nested(field.subarray(3, -1)),
  ]) {
    expect(extensionOf({ ...hello, unknown })).toBe("bad");
    expect(parseEnvelope(encodeEnvelope(alice, { ...hello, unknown }), bob.id)).toBeUndefined();
  }
});

test("a sealed Restante message travels in a message of its own type", () => {
  const message = extend(sealedMessage(random(500)), extension(bob));
  const opened = open(bob, seal(alice, bob.publicKey, message, random) ?? new Uint8Array());
  expect(opened && sealedOf(opened.message)).toEqual(sealedOf(message));
  expect(sealedOf(hello)).toBeUndefined();
});

test("keys of low order, of other kinds and sizes get nothing encrypted to them", () => {
  const keys = [new Uint8Array(32), Uint8Array.of(1, ...new Uint8Array(31)), new Uint8Array(32).fill(255)];
  for (const key of keys)
    expect(encrypt(concat(Uint8Array.of(8, 1, 0x12, 32), key), utf8("x"), random)).toBeUndefined();
  expect(encrypt(utf8("no key"), utf8("x"), random)).toBeUndefined();
  const small = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ type: "spki", format: "der" });
  const encoded = concat(Uint8Array.of(8, 0, 0x12, (small.length & 127) | 128, small.length >> 7), small);
  expect(encrypt(encoded, utf8("x"), random)).toBeUndefined();
});

test("no bytes make a parser, an opener or a check throw", () => {
  const envelope = encodeEnvelope(alice, extend(hello, extension(bob)));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(envelope.length - 1), fc.nat(), (bytes, place, byte) => {
      open(bob, bytes);
      parseEnvelope(bytes, bob.id);
      verify(bytes, bytes, bytes);
      encrypt(bytes, bytes, random);
      const bad = envelope.slice();
      bad[place] = byte;
      const opened = parseEnvelope(bad, bob.id);
      if (opened !== undefined) expect(bad[place]).toBe(envelope[place]);
      parseEnvelope(concat(envelope.subarray(0, place), bytes, envelope.subarray(place)), bob.id);
    }),
    { numRuns: 100 },
  );
});
