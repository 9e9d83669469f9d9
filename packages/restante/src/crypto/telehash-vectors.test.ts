/** Cipher sets against two other implementations, telehash-c and e3x-js. Those of 2a run where there is RSA: in lab/vectors. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { fromHex, toHex } from "../bytes/index.ts";
import {
  type ChannelCipher,
  createCrypto,
  cs1a,
  cs3a,
  type Ephemeral,
  importIdentity,
  type KeyPair,
  order,
  portable,
  routingToken,
} from "./index.ts";

const SETS = [
  { csid: "3a", row: "E6", set: cs3a(portable), key: 32, nonce: 24, beforeNonce: 32 },
  { csid: "1a", row: "E7", set: cs1a(portable), key: 21, nonce: 4, beforeNonce: 21 },
];

describe.each(SETS)("cipher set $csid", ({ csid, row, set, key, nonce, beforeNonce }) => {
  const crypto = createCrypto(portable, [set]);
  const nonceOf = (body: Uint8Array, at: number) => () => body.slice(at, at + nonce);
  const head = `0001${csid}`;

  describe("messages.json", () => {
    const vectors = read<MessageVectors>("messages");
    const cases = vectors.cases.filter((one) => one.csid === csid);
    const [sender, recipient] = [pairOf(vectors.sender), pairOf(vectors.recipient)];
    test("has cases", () => expect(cases.length).toBeGreaterThanOrEqual(3));

    test.each(cases)(`[${row}] a message made by $producer opens, verifies, and is no other sender's`, (vector) => {
      const opened = given(set.open(recipient, bodyOf(vector.outer, head)));
      expect(toHex(opened.inner)).toBe(vector.inner);
      expect(toHex(opened.ephemeral)).toBe(vector.ephemeral_key);
      expect(toHex(opened.prefix)).toBe(vector.ephemeral_key);
      expect(opened.verify(sender.key)).toBe(true);
      expect(opened.verify(recipient.key)).toBe(false);
    });

    test.each(cases)(`[${row}] sealing with the ephemeral secret and nonce of $producer gives its bytes`, (vector) => {
      const body = bodyOf(vector.outer, head);
      const ephemeral = ephemeralOf(vector.ephemeral_secret);
      expect(toHex(ephemeral.key)).toBe(vector.ephemeral_key);
      expect(ephemeral.key).toHaveLength(key);
      const sealed = set.seal(sender, recipient.key, ephemeral, bytes(vector.inner), nonceOf(body, beforeNonce));
      expect(toHex(given(sealed))).toBe(toHex(body));
      expect(set.overhead).toBe((vector.outer.length - vector.inner.length) / 2);
    });

    test.each(cases)("[A26] the token of a message of $producer is the hash of its first 16 bytes", (vector) => {
      const body = bodyOf(vector.outer, head);
      expect(toHex(routingToken(portable, body))).toBe(vector.routing_token_sha256_form);
      expect(toHex(body.subarray(0, 16))).toBe(vector.routing_token_raw_form);
    });
  });

  describe("sessions.json", () => {
    const vectors = read<SessionVectors>("sessions");
    const sessions = vectors.sessions.filter((one) => one.csid === csid);
    const [a, b] = [pairOf(vectors.id_a), pairOf(vectors.id_b)];
    test("has sessions", () => expect(sessions.length).toBeGreaterThanOrEqual(2));

    test.each(sessions)(`[${row}][E10] handshakes of $impl open and verify; tokens and orders follow`, (session) => {
      for (const [from, to, side] of [
        [a, b, session.a],
        [b, a, session.b],
      ] as const) {
        const body = bodyOf(side.handshake, head);
        const opened = given(set.open(to, body));
        expect(toHex(opened.inner)).toBe(side.handshake_inner);
        expect(toHex(opened.ephemeral)).toBe(side.ephemeral_key);
        expect(opened.verify(from.key)).toBe(true);
        expect(opened.verify(to.key)).toBe(false);
        expect(toHex(routingToken(portable, body))).toBe(side.token);
        expect(order(from.key, to.key)).toBe(side.order === 1 ? 1 : 0);
      }
    });

    test.each(sessions)("[A27] channel packets of $impl open both ways, and ours have its keys", (session) => {
      const [one, two] = [ephemeralOf(session.a.ephemeral_secret), ephemeralOf(session.b.ephemeral_secret)];
      const [ofA, ofB] = [given(set.channel(one, two.key)), given(set.channel(two, one.key))];
      if (session.a_enckey !== undefined) expect(toHex(ofA.sendKey)).toBe(session.a_enckey);
      if (session.a_deckey !== undefined) expect(toHex(ofA.receiveKey)).toBe(session.a_deckey);

      const directions: [PacketVector, ChannelCipher, ChannelCipher, SideVector][] = [
        [session.a_to_b, ofA, ofB, session.b],
        [session.b_to_a, ofB, ofA, session.a],
      ];
      for (const [packet, sends, receives, { token }] of directions) {
        const body = bodyOf(packet.outer, "0000");
        expect(toHex(body.subarray(0, 16))).toBe(token);
        expect(toHex(given(receives.open(body)))).toBe(packet.inner);
        expect(toHex(sends.seal(bytes(token), bytes(packet.inner), nonceOf(body, 16)))).toBe(toHex(body));
      }
      expect(session.tampered.length).toBeGreaterThan(0);
      for (const { direction, outer } of session.tampered)
        expect((direction === "a_to_b" ? ofB : ofA).open(bodyOf(outer, "0000"))).toBeUndefined();
    });
  });

  function pairOf(identity: IdentityVector): KeyPair {
    return given(importIdentity(crypto, identity)?.pairs.get(set.csid));
  }

  function ephemeralOf(secret: string): Ephemeral {
    const pair = given(set.keyPair(bytes(secret)));
    return { ...pair, prefix: pair.key };
  }
});

interface IdentityVector {
  hashname: string;
  keys: Record<string, string>;
  secrets: Record<string, string>;
}
interface MessageVectors {
  sender: IdentityVector;
  recipient: IdentityVector;
  cases: {
    csid: string;
    producer: string;
    inner: string;
    outer: string;
    routing_token_sha256_form: string;
    routing_token_raw_form: string;
    ephemeral_secret: string;
    ephemeral_key: string;
  }[];
}
interface SideVector {
  order: 1 | 2;
  token: string;
  handshake: string;
  handshake_inner: string;
  ephemeral_secret: string;
  ephemeral_key: string;
}
interface PacketVector {
  inner: string;
  outer: string;
}
interface SessionVectors {
  id_a: IdentityVector;
  id_b: IdentityVector;
  sessions: {
    impl: string;
    csid: string;
    a: SideVector;
    b: SideVector;
    a_enckey?: string;
    a_deckey?: string;
    a_to_b: PacketVector;
    b_to_a: PacketVector;
    tampered: { direction: string; outer: string }[];
  }[];
}

function read<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../../../vectors/telehash/${name}.json`, import.meta.url), "utf8")) as T;
}

/** The BODY of an outer packet, which must begin with these bytes. */
function bodyOf(outer: string, head: string): Uint8Array {
  expect(outer.slice(0, head.length)).toBe(head);
  return bytes(outer.slice(head.length));
}

function bytes(text: string): Uint8Array {
  return given(fromHex(text));
}

function given<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("undefined where a value was due");
  return value;
}
