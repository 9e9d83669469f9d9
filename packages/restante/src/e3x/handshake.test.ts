import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toBase32, utf8 } from "../bytes/index.ts";
import { createCrypto, createIdentity, cs3a, hashnameOf, intermediate, portable } from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { encodePacket, jwsToPacket, packetToJws, parsePacket } from "../wire/index.ts";
import {
  encodeHandshake,
  type HandshakeMessage,
  keyPacket,
  MAX_AT,
  parseHandshake,
  parseKeyPacket,
} from "./handshake.ts";

const crypto = createCrypto(portable, [cs01(), cs3a(portable)]);
const { random } = new Chance(2);
const alice = createIdentity(crypto, random, [0x01, 0x3a]);
const key = alice.keys.get(0x3a) ?? random(0);
const lowKey = alice.keys.get(1) ?? random(0);

const parse = (head: string, body = random(3)) => parseHandshake(encodePacket(utf8(head), body));
const base64url = (text: string) => Buffer.from(text).toString("base64url");

describe("key packets", () => {
  test("[B21] hold the raw key, and the other keys' digests by CSID, the own one as true", () => {
    const packet = parsePacket(keyPacket(portable, alice, 0x3a));
    expect({ ...packet?.json }).toEqual({ "01": toBase32(intermediate(portable, lowKey)), "3a": true });
    expect(packet?.body).toEqual(key);
  });

  test("[A23] make the hashname follow from the key: no other key can claim it", () => {
    const honest = parseKeyPacket(crypto, 0x3a, keyPacket(portable, alice, 0x3a));
    expect(honest?.hashname).toBe(alice.hashname);
    expect(honest?.key).toEqual(key);
    const digest = toBase32(intermediate(portable, lowKey));
    const claim = parseKeyPacket(crypto, 0x3a, encodePacket({ "01": digest, hashname: alice.hashname }, random(32)));
    expect(claim?.hashname).not.toBe(alice.hashname);
  });

  test("[X5] are read in every form in use: own CSID absent, true or null, and the bare key", () => {
    const digest = toBase32(intermediate(portable, lowKey));
    for (const own of [{}, { "3a": true }, { "3a": null }] as const)
      expect(parseKeyPacket(crypto, 0x3a, encodePacket({ "01": digest, ...own }, key))?.hashname).toBe(alice.hashname);
    const alone = hashnameOf(portable, new Map([[0x3a, key]]));
    expect(parseKeyPacket(crypto, 0x3a, encodePacket({}, key))?.hashname).toBe(alone);
    expect(parseKeyPacket(crypto, 0x3a, key)?.hashname).toBe(alone);
  });

  test("are refused with a key of another length, and with digests that are none or too many", () => {
    expect(parseKeyPacket(crypto, 0x3a, encodePacket({ "3a": true }, random(31)))).toBeUndefined();
    for (const bad of ["", "a", toBase32(random(31)), "A".repeat(52), true, 7])
      expect(parseKeyPacket(crypto, 0x3a, encodePacket({ "3a": true, "01": bad }, key))).toBeUndefined();
    const many = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`1${i}`, toBase32(random(32))]));
    expect(parseKeyPacket(crypto, 0x3a, encodePacket(many, key))).toBeUndefined();
    expect(parseKeyPacket(crypto, 0x77, keyPacket(portable, alice, 0x3a))).toBeUndefined();
  });

  test("no bytes make reading one throw", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void parseKeyPacket(crypto, 0x3a, bytes)));
  });
});

describe("handshake messages", () => {
  test("[B19] without a type are key handshakes, which is how ours go out; 'key' and 'link' mean the same", () => {
    for (const head of ['{"at":1700000000}', '{"type":"key","at":1700000000}', '{"type":"link","at":1700000000}'])
      expect(parse(head)?.message.type).toBe("key");
    const inner = encodeHandshake(1700000000n, { type: "key", json: { type: "key" }, body: random(1) });
    expect(parsePacket(inner)?.head).toEqual(utf8('{"at":1700000000}'));
  });

  test("[B18] have a type that is text", () => {
    for (const type of ["1", "null", "true", "{}", '["key"]']) expect(parse(`{"type":${type},"at":4}`)).toBeUndefined();
  });

  test("[B25][B26] have an `at` from 1 to 2^64-1, read without loss", () => {
    for (const at of ["1", "9007199254740993", "18446744073709551615"])
      expect(parse(`{"x":1,"at":${at}}`)?.at).toBe(BigInt(at));
    for (const at of ["0", "-1", "1.5", '"7"', "18446744073709551616", "1e30", "null", "true"])
      expect(parse(`{"x":1,"at":${at}}`)).toBeUndefined();
    expect(parse('{"type":"key"}')).toBeUndefined();
    expect(MAX_AT).toBe(18446744073709551615n);
  });

  test("[B23] of type uri have the uri", () => {
    expect(parse('{"type":"uri","at":4}')).toBeUndefined();
    expect(parse('{"type":"uri","uri":5,"at":4}')).toBeUndefined();
    expect(parse('{"type":"uri","uri":"link://x","at":4}')?.message.json["uri"]).toBe("link://x");
  });

  test("[B22][B24] carry a token or a transaction as they are", () => {
    const jws = ['{"alg":"EdDSA","typ":"JWT"}', '{"sub":"eve"}', "not a real signature"].map(base64url).join(".");
    const token = jwsToPacket(jws) ?? random(0);
    const message = parse('{"type":"jwt","at":4}', token)?.message;
    expect(message).toMatchObject({ type: "jwt", body: token });
    const outer = parsePacket(message?.body ?? random(0));
    const inner = parsePacket(outer?.body ?? random(0));
    expect([{ ...outer?.json }, { ...inner?.json }]).toEqual([{ alg: "EdDSA", typ: "JWT" }, { sub: "eve" }]);
    expect(inner?.body).toEqual(utf8("not a real signature"));
    expect(packetToJws(message?.body ?? random(0))).toBe(jws);
    for (const body of [random(0), random(90), token])
      expect(parse('{"type":"tx","at":4}', body)?.message).toMatchObject({ type: "tx", body });
  });

  test("open(seal(x)) = x, and no bytes make reading one throw", () => {
    const messages = fc.record({
      type: fc.constantFrom("key", "jwt", "tx"),
      json: fc.dictionary(fc.constantFrom("a", "b", "c"), fc.string()),
      body: fc.uint8Array({ maxLength: 50 }),
    });
    fc.assert(
      fc.property(messages, fc.bigInt({ min: 1n, max: MAX_AT }), (message: HandshakeMessage, at) => {
        const parsed = parseHandshake(encodeHandshake(at, message));
        expect(parsed?.at).toBe(at);
        expect(parsed?.message.type).toBe(message.type);
        expect(parsed?.message.json).toMatchObject(message.json);
        expect(parsed?.message.body).toEqual(message.body);
      }),
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void parseHandshake(bytes)));
  });
});
