import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { equal, fromHex, toHex } from "../bytes/index.ts";
import {
  type CipherSet,
  createCrypto,
  createIdentity,
  cs1a,
  cs3a,
  exportIdentity,
  type Identity,
  importIdentity,
  portable,
} from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { Dechunker, encodeChunks, encodePacket, type JsonObject, parsePacket, text } from "../wire/index.ts";
import { encodeHandshake, keyPacket, parseHandshake, parseKeyPacket } from "./handshake.ts";
import { openMessage, sealMessage } from "./message.ts";

const crypto = createCrypto(portable, [cs01(), cs3a(portable)]);
const fast = createCrypto(portable, [cs01()]);
const { random } = new Chance(1);
const [alice, bob, eve] = [
  createIdentity(crypto, random, [0x01, 0x3a]),
  createIdentity(crypto, random, [0x01, 0x3a]),
  createIdentity(crypto, random, [0x01, 0x3a]),
];

/** A value that must be there. */
function given<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("expected a value");
  return value;
}

function seal(from: Identity, to: Identity, inner: Uint8Array, of = crypto): Uint8Array {
  return given(sealMessage(of, { from, to: to.keys, inner, random }));
}

describe("messages", () => {
  test("[A4] carry any inner packet, or bytes that are none, unchanged", () => {
    const inners = [
      encodePacket(undefined),
      encodePacket(undefined, random(40)),
      encodePacket(random(1), random(9)),
      encodePacket(random(6)),
      encodePacket({ any: "thing" }, random(3)),
      random(0),
      random(5000),
    ];
    for (const inner of inners) expect(given(openMessage(crypto, bob, seal(alice, bob, inner))).inner).toEqual(inner);
  });

  test("[A11] are as large as their sender likes: nothing but the application bounds them", () => {
    for (const size of [0, 1, 1400, 65_536, 300_000]) {
      const inner = random(size);
      const opened = given(openMessage(fast, bob, seal(alice, bob, inner, fast)));
      expect(equal(opened.inner, inner)).toBe(true);
    }
  });

  test("[A13] pass transports of 20, 64, 120 and 256 bytes in chunks", () => {
    const outer = seal(alice, bob, encodePacket({ type: "chat" }, random(700)));
    for (const size of [20, 64, 120, 256]) {
      const stream = encodeChunks(outer, size);
      const dechunker = new Dechunker(65_536);
      const frames = Array.from({ length: Math.ceil(stream.length / size) }, (_, i) =>
        stream.slice(i * size, (i + 1) * size),
      );
      expect(frames.every((frame) => frame.length <= size)).toBe(true);
      const packets = frames.flatMap((frame) => dechunker.push(frame));
      expect(packets).toEqual([outer]);
      expect(openMessage(crypto, bob, given(packets[0]))?.verify(given(alice.keys.get(0x3a)))).toBe(true);
    }
  });

  test("[A19] [A20] have the CSID as their one HEAD byte, and the cipher set's bytes as BODY", () => {
    const outer = seal(alice, bob, random(10));
    const packet = given(parsePacket(outer));
    expect([...packet.head]).toEqual([0x3a]);
    const set = given(crypto.sets.get(0x3a));
    expect(toHex(given(set.open(given(bob.pairs.get(0x3a)), packet.body)).inner)).toBe(
      toHex(given(openMessage(crypto, bob, outer)).inner),
    );
    // Another set's name on the same BODY opens nothing, with a CSID that is known and with one that is not.
    for (const csid of [0x00, 0x01, 0x1a, 0x40])
      expect(openMessage(crypto, bob, encodePacket(Uint8Array.of(csid), packet.body))).toBeUndefined();
  });

  test("[A5] carry the ephemeral key, under the highest cipher set in common", () => {
    const outer = seal(alice, bob, random(10));
    expect([...outer.subarray(0, 3)]).toEqual([0, 1, 0x3a]);
    const opened = given(openMessage(crypto, bob, outer));
    expect(opened.csid).toBe(0x3a);
    expect(opened.ephemeral).toEqual(outer.slice(3, 35));
    expect(portable.beforenm(random(32), opened.ephemeral)).toHaveLength(32); // a key that can be agreed with
    for (const [set, overhead] of [
      [cs1a(portable), 3 + 21 + 4 + 4],
      [cs3a(portable), 3 + 32 + 24 + 16 + 16],
    ] as const) {
      const of = createCrypto(portable, [set]);
      const [from, to] = [createIdentity(of, random), createIdentity(of, random)];
      for (const length of [0, 10, 1000]) expect(seal(from, to, random(length), of).length - length).toBe(overhead);
      const [ours, theirs] = [to, from].map(({ keys }) => given(set.exchange(given(keys.get(set.csid)), random)));
      const channel = given(set.channel(given(ours), given(theirs).key));
      // The key is what a message is dearer by than a packet of a channel.
      expect(channel.seal(random(16), random(10), random).length).toBeLessThan(10 + overhead);
    }
    const onlyLow = { ...bob, keys: new Map([[1, given(bob.keys.get(1))]]) };
    expect(seal(alice, onlyLow, random(10))[2]).toBe(1);
  });

  test("[A6] are each an exchange of their own unless one is given", () => {
    const [first, second] = [seal(alice, bob, random(1)), seal(alice, bob, random(1))];
    expect(first.subarray(3, 19)).not.toEqual(second.subarray(3, 19));
    const set = given(crypto.sets.get(0x3a));
    const ephemeral = given(set.exchange(given(bob.keys.get(0x3a)), random));
    const [third, fourth] = [1, 2].map((length) =>
      given(sealMessage(crypto, { from: alice, to: bob.keys, inner: random(length), random, ephemeral })),
    );
    expect(third?.subarray(3, 19)).toEqual(fourth?.subarray(3, 19));
    for (const other of [first, second]) expect(third?.subarray(3, 19)).not.toEqual(other.subarray(3, 19));
  });

  test("[A7] of one exchange there may be a thousand, and all open", () => {
    const chance = new Chance(7);
    for (const of of [fast, createCrypto(portable, [cs3a(portable)])]) {
      const [[csid, set]] = [...of.sets] as [[number, CipherSet]];
      const ephemeral = given(set.exchange(given(bob.keys.get(csid)), random));
      const messages = Array.from({ length: 1000 }, (_, i) => {
        const inner = random(i % 50);
        return { inner, outer: given(sealMessage(of, { from: alice, to: bob.keys, inner, random, ephemeral })) };
      });
      expect(new Set(messages.map(({ outer }) => toHex(outer))).size).toBe(1000);
      // All are made before the first is opened, and they come in any order.
      const tokens = chance.shuffle(messages).map(({ inner, outer }) => {
        const opened = given(openMessage(of, bob, outer));
        expect(equal(opened.inner, inner) && opened.verify(given(alice.keys.get(csid)))).toBe(true);
        return toHex(opened.token);
      });
      expect(new Set(tokens).size).toBe(1);
    }
  });

  test("[A8][A9] open with nothing but the recipient's long-term keys, in any order and number", () => {
    const inners = [random(30), random(30)];
    const outers = inners.map((inner) => seal(alice, bob, inner));
    const restarted = given(importIdentity(crypto, exportIdentity(bob)));
    // He is in the middle of an exchange of his own with the sender, which is none of the two and goes on.
    const set = given(crypto.sets.get(0x3a));
    const [his, hers] = [alice, bob].map(({ keys }) => given(set.exchange(given(keys.get(0x3a)), random)));
    const channel = given(set.channel(given(his), given(hers).key));
    for (const i of [1, 0, 1]) {
      const opened = given(openMessage(crypto, restarted, given(outers[i])));
      expect(opened.inner).toEqual(inners[i]);
      expect(opened.verify(given(alice.keys.get(0x3a)))).toBe(true);
      expect([his, hers].some((own) => equal(given(own).key, opened.ephemeral))).toBe(false);
    }
    const packet = given(set.channel(given(hers), given(his).key)).seal(random(16), given(inners[0]), random);
    expect(channel.open(packet)).toEqual(inners[0]);
  });

  test("[A22] without a type come out like those with one: who opens them hands them to a default of its own", () => {
    const handlers = new Map([["chat", (json: JsonObject) => `chat ${json["text"]}`]]);
    const byDefault = (json: JsonObject | undefined) => `untyped ${json?.["text"]}`;
    const receive = (outer: Uint8Array): string => {
      const opened = given(openMessage(crypto, bob, outer));
      const json = parsePacket(opened.inner)?.json;
      const handler = handlers.get(text(json, "type") ?? "");
      return handler !== undefined && json !== undefined ? handler(json) : byDefault(json);
    };
    expect(receive(seal(alice, bob, encodePacket({ type: "chat", text: "hi" })))).toBe("chat hi");
    expect(receive(seal(alice, bob, encodePacket({ text: "hi" })))).toBe("untyped hi");
    expect(receive(seal(alice, bob, encodePacket(undefined, random(10))))).toBe("untyped undefined");
  });

  test("[A29] are no secret any more once the recipient's key is stolen; what went through a channel still is one", () => {
    const recorded = seal(alice, bob, encodePacket({ type: "chat" }, random(20)));
    const set = given(crypto.sets.get(0x3a));
    const [bobs, alices] = [given(bob.pairs.get(0x3a)), given(alice.pairs.get(0x3a))];
    const [ours, theirs] = [given(set.exchange(bobs.key, random)), given(set.exchange(alices.key, random))];
    const channel = given(set.channel(ours, theirs.key));
    const inner = random(20);
    const packet = channel.seal(random(16), inner, random);
    expect(given(set.channel(theirs, ours.key)).open(packet)).toEqual(inner); // it is good, to who was there

    // Both identities, and all that went over the wire, ephemeral keys included: the message opens.
    const thief = given(importIdentity(crypto, exportIdentity(bob)));
    expect(given(openMessage(crypto, thief, recorded)).inner.length).toBe(37);
    // Of a channel the thief lacks both ephemeral secrets, which were forgotten with the exchange.
    for (const secret of [bobs, alices])
      for (const remote of [ours.key, theirs.key])
        expect(set.channel({ ...secret, prefix: secret.key }, remote)?.open(packet)).toBeUndefined();
  });

  test("say who sealed them, and nobody else", () => {
    const opened = given(openMessage(crypto, bob, seal(alice, bob, random(10))));
    expect(opened.verify(given(alice.keys.get(0x3a)))).toBe(true);
    expect(opened.verify(given(eve.keys.get(0x3a)))).toBe(false);
    expect(opened.verify(random(31))).toBe(false);
    expect(openMessage(crypto, eve, seal(alice, bob, random(10)))).toBeUndefined();
  });

  test("come out the same when chance repeats itself, so that a resend is no second message", () => {
    const [one, two] = [new Chance(5), new Chance(5)];
    const options = { from: alice, to: bob.keys, inner: random(50) };
    expect(sealMessage(crypto, { ...options, random: one.random })).toEqual(
      sealMessage(crypto, { ...options, random: two.random }),
    );
  });

  test("are refused without a set in common, and for a key that cannot be used", () => {
    expect(sealMessage(crypto, { from: alice, to: new Map(), inner: random(1), random })).toBeUndefined();
    const lowOrder = new Map([[0x3a, new Uint8Array(32)]]);
    expect(sealMessage(crypto, { from: alice, to: lowOrder, inner: random(1), random })).toBeUndefined();
  });

  test("[A18] with a HEAD of any length but one do not open, and no bytes make opening throw", () => {
    const outer = seal(alice, bob, random(40), fast);
    const body = given(parsePacket(outer)).body;
    for (const head of [random(0), random(2), random(6), new TextEncoder().encode('{"a":123}')])
      expect(openMessage(fast, bob, encodePacket(head, body))).toBeUndefined();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), fc.integer({ min: 1, max: 255 }), (bytes, at, flip) => {
        openMessage(crypto, bob, bytes);
        const damaged = outer.slice();
        damaged[at % outer.length] = (damaged[at % outer.length] ?? 0) ^ flip;
        const opened = openMessage(fast, bob, damaged);
        expect(opened?.verify(given(alice.keys.get(1))) ?? false).toBe(false);
      }),
    );
  });
});

describe("handshakes of other implementations", () => {
  const file = new URL("../../../../vectors/telehash/sessions.json", import.meta.url);
  const { id_a, id_b, sessions } = JSON.parse(readFileSync(file, "utf8"));

  test("[A10][B42] open as messages, verify, and name their sender and token", () => {
    let opened = 0;
    for (const session of sessions) {
      const csid = Number.parseInt(session.csid, 16);
      if (!crypto.sets.has(csid)) continue;
      for (const [side, from, to] of [[session.a, id_a, id_b] as const, [session.b, id_b, id_a] as const]) {
        const identity = given(importIdentity(crypto, { ...to, hashname: to.hashname }));
        const message = given(openMessage(crypto, identity, given(fromHex(side.handshake))));
        expect(toHex(message.inner)).toBe(side.handshake_inner);
        if (session.impl.startsWith("telehash-c")) expect(toHex(message.token)).toBe(side.token);
        const handshake = given(parseHandshake(message.inner));
        expect(handshake.at).toBe(BigInt(side.at));
        expect(handshake.message.type).toBe("key");
        const sender = given(parseKeyPacket(crypto, csid, handshake.message.body));
        expect(sender.hashname).toBe(from.hashname);
        expect(message.verify(sender.key)).toBe(true);
        opened += 1;
      }
    }
    expect(opened).toBeGreaterThan(0);
  });
});

test("[A3] a handshake is made the same way as any message: nothing but sealMessage of an inner packet", () => {
  const set = given(crypto.sets.get(0x3a));
  const shake = (from: Identity, to: Identity) => {
    const ephemeral = given(set.exchange(given(to.keys.get(0x3a)), random));
    const inner = encodeHandshake(1700000000n, { type: "key", json: {}, body: keyPacket(portable, from, 0x3a) });
    const outer = given(sealMessage(crypto, { from, to: to.keys, inner, random, ephemeral }));
    const opened = given(openMessage(crypto, to, outer));
    expect(given(parseHandshake(opened.inner)).at).toBe(1700000000n);
    return { ephemeral, heard: opened.ephemeral };
  };
  // One each way, and what they carried besides makes a channel with keys that nobody keeps.
  const [hers, his] = [shake(alice, bob), shake(bob, alice)];
  const [one, other] = [given(set.channel(hers.ephemeral, his.heard)), given(set.channel(his.ephemeral, hers.heard))];
  const inner = random(30);
  expect(other.open(one.seal(random(16), inner, random))).toEqual(inner);
  expect(one.open(other.seal(random(16), inner, random))).toEqual(inner);
});

test("[B8] a key handshake has 76 to 225 bytes in sets 1a and 3a, with all keys that there are of them", () => {
  const sets = [cs1a(portable), cs3a(portable)];
  const of = createCrypto(portable, sets);
  // The least: one key and the lowest number. The most: another key's digest as well, and the highest number.
  const sizes = sets.map(({ csid }) =>
    [[csid], [0x1a, 0x3a]].map((csids, i) => {
      const [from, to] = [createIdentity(of, random, csids), createIdentity(of, random, [csid])];
      const at = i === 0 ? 1n : 2n ** 64n - 1n;
      const inner = encodeHandshake(at, { type: "key", json: {}, body: keyPacket(portable, from, csid) });
      return seal(from, to, inner, of).length;
    }),
  );
  expect(sizes).toEqual([
    [76, 155],
    [146, 225],
  ]);
  expect(Math.min(...sizes.flat())).toBeGreaterThanOrEqual(70);
  expect(Math.max(...sizes.flat())).toBeLessThanOrEqual(1100);
});
