/** Cipher set 3a against two other implementations (telehash-c, e3x-js), and its law byte by byte. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { concat, fromHex, toHex } from "../bytes/index.ts";
import { lowOrderPoints } from "../testing/backend-suite.ts";
import {
  type Backend,
  createCrypto,
  cs3a,
  importIdentity,
  type KeyPair,
  order,
  portable,
  routingToken,
} from "./index.ts";

const set = cs3a(portable);
const crypto = createCrypto(portable);

describe("messages.json", () => {
  const vectors = read<MessageVectors>("messages");
  const cases = vectors.cases.filter((one) => one.csid === "3a");
  const [sender, recipient] = [pairOf(vectors.sender), pairOf(vectors.recipient)];
  test("has cases of 3a", () => expect(cases.length).toBeGreaterThanOrEqual(3));

  test.each(cases)("[E6] a message made by $producer opens, verifies, and is no other sender's", (vector) => {
    const body = bodyOf(vector.outer, "00013a");
    expect(hexOf(set.open(recipient, body))).toEqual({ inner: vector.inner, ephemeral: vector.ephemeral_key });
    expect(set.verify(recipient, sender.key, body)).toBe(true);
    expect(set.verify(recipient, recipient.key, body)).toBe(false);
  });

  test.each(cases)("[E6] sealing with the ephemeral secret and nonce of $producer gives its bytes", (vector) => {
    const body = bodyOf(vector.outer, "00013a");
    const ephemeral = pair(vector.ephemeral_secret);
    const nonce = body.slice(32, 56);
    expect(toHex(ephemeral.key)).toBe(vector.ephemeral_key);
    const sealed = set.seal(sender, recipient.key, ephemeral, bytes(vector.inner), () => nonce);
    expect(sealed && toHex(sealed)).toBe(toHex(body));
    expect(set.overhead).toBe((vector.outer.length - vector.inner.length) / 2);
  });

  test.each(cases)("[A26] the token of a message of $producer is the hash of its first 16 bytes", (vector) => {
    const body = bodyOf(vector.outer, "00013a");
    expect(toHex(routingToken(portable, body))).toBe(vector.routing_token_sha256_form);
    expect(toHex(body.subarray(0, 16))).toBe(vector.routing_token_raw_form);
  });
});

describe("sessions.json", () => {
  const vectors = read<SessionVectors>("sessions");
  const sessions = vectors.sessions.filter((one) => one.csid === "3a");
  const [a, b] = [pairOf(vectors.id_a), pairOf(vectors.id_b)];
  test("has sessions of 3a", () => expect(sessions.length).toBeGreaterThanOrEqual(2));

  test.each(sessions)("[E6][E10] handshakes of $impl open and verify; tokens and orders follow", (session) => {
    for (const [from, to, side] of [
      [a, b, session.a],
      [b, a, session.b],
    ] as const) {
      const body = bodyOf(side.handshake, "00013a");
      expect(hexOf(set.open(to, body))).toEqual({ inner: side.handshake_inner, ephemeral: side.ephemeral_key });
      expect(set.verify(to, from.key, body)).toBe(true);
      expect(set.verify(to, to.key, body)).toBe(false);
      expect(toHex(routingToken(portable, body))).toBe(side.token);
      expect(order(from.key, to.key)).toBe(side.order === 1 ? 1 : 0);
    }
  });

  test.each(sessions)("[A27] channel packets of $impl open both ways, and ours have its keys", (session) => {
    const [one, two] = [pair(session.a.ephemeral_secret), pair(session.b.ephemeral_secret)];
    const [ofA, ofB] = [set.channel(one, two.key), set.channel(two, one.key)];
    if (ofA === undefined || ofB === undefined) throw new Error("no channel");
    if (session.a_enckey !== undefined) expect(toHex(ofA.sendKey)).toBe(session.a_enckey);
    if (session.a_deckey !== undefined) expect(toHex(ofA.receiveKey)).toBe(session.a_deckey);

    for (const { packet, sends, receives, token } of [
      { packet: session.a_to_b, sends: ofA, receives: ofB, token: session.b.token },
      { packet: session.b_to_a, sends: ofB, receives: ofA, token: session.a.token },
    ]) {
      const body = bodyOf(packet.outer, "0000");
      expect(toHex(body.subarray(0, 16))).toBe(token);
      expect(hex(receives.open(body))).toBe(packet.inner);
      const again = sends.seal(body.slice(0, 16), bytes(packet.inner), () => body.slice(16, 40));
      expect(toHex(again)).toBe(toHex(body));
    }
    expect(session.tampered.length).toBeGreaterThan(0);
    for (const { direction, outer } of session.tampered)
      expect((direction === "a_to_b" ? ofB : ofA).open(bodyOf(outer, "0000"))).toBeUndefined();
  });
});

test("[E6] the authenticator is made as the page says, of the primitives alone", () => {
  const [from, to, ephemeral] = [pair("11".repeat(32)), pair("22".repeat(32)), pair("33".repeat(32))];
  const nonce = bytes("44".repeat(24));
  const inner = bytes("0000686921");
  const shared = portable.beforenm(ephemeral.secret, to.key) ?? new Uint8Array();
  const proof = portable.beforenm(to.secret, from.key) ?? new Uint8Array();
  const ciphertext = portable.secretboxSeal(shared, nonce, inner);
  const signed = concat(ephemeral.key, nonce, ciphertext);
  const auth = portable.onetimeauth(portable.sha256(concat(nonce, proof)), signed);
  expect(set.seal(from, to.key, ephemeral, inner, () => nonce)).toEqual(concat(signed, auth));
});

test("points of low order are refused as identity, ephemeral and channel keys", () => {
  const [alice, bob] = [pair("11".repeat(32)), pair("22".repeat(32))];
  const body = set.seal(alice, bob.key, pair("33".repeat(32)), bytes("0000"), (length) => new Uint8Array(length));
  if (body === undefined) throw new Error("not sealed");
  for (const point of lowOrderPoints()) {
    expect(set.seal(alice, point, pair("33".repeat(32)), body, (length) => new Uint8Array(length))).toBeUndefined();
    expect(set.open(bob, concat(point, body.subarray(32)))).toBeUndefined();
    expect(set.verify(bob, point, body)).toBe(false);
    expect(set.channel(alice, point)).toBeUndefined();
  }
});

test("an exchange costs its Diffie-Hellmans once, whatever the number of messages", () => {
  let agreements = 0;
  const counting: Backend = {
    ...portable,
    beforenm(secret, key) {
      agreements++;
      return portable.beforenm(secret, key);
    },
  };
  const counted = cs3a(counting);
  const [alice, bob, ephemeral] = [pair("11".repeat(32)), pair("22".repeat(32)), pair("33".repeat(32))];
  const bodies = Array.from({ length: 50 }, (_, i) =>
    counted.seal(alice, bob.key, ephemeral, bytes("0000"), (length) => new Uint8Array(length).fill(i)),
  );
  expect(agreements).toBe(2);
  for (const body of bodies) {
    if (body === undefined) throw new Error("not sealed");
    expect(counted.open(bob, body)).toBeDefined();
    expect(counted.verify(bob, alice.key, body)).toBe(true);
  }
  expect(agreements).toBe(4);
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
    a_to_b: { inner: string; outer: string };
    b_to_a: { inner: string; outer: string };
    tampered: { direction: string; outer: string }[];
  }[];
}

function read<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../../../vectors/telehash/${name}.json`, import.meta.url), "utf8")) as T;
}

function pairOf(identity: IdentityVector): KeyPair {
  const found = importIdentity(crypto, identity)?.pairs.get(0x3a);
  if (found === undefined) throw new Error("the vector's identity is not what it says");
  return found;
}

function pair(secret: string): KeyPair {
  const found = set.keyPair(bytes(secret));
  if (found === undefined) throw new Error("no secret");
  return found;
}

/** The BODY of an outer packet, which must begin with these bytes. */
function bodyOf(outer: string, head: string): Uint8Array {
  expect(outer.slice(0, head.length)).toBe(head);
  return bytes(outer.slice(head.length));
}

function bytes(text: string): Uint8Array {
  const parsed = fromHex(text);
  if (parsed === undefined) throw new Error("no hex");
  return parsed;
}

function hex(result: Uint8Array | undefined): string | undefined {
  return result && toHex(result);
}

function hexOf(message: { inner: Uint8Array; ephemeral: Uint8Array } | undefined): unknown {
  return message && { inner: toHex(message.inner), ephemeral: toHex(message.ephemeral) };
}
