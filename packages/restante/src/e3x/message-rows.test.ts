/** Rows of the checklist about messages, each with the whole of its check. */
import { describe, expect, test } from "vitest";
import { toHex } from "../bytes/index.ts";
import {
  type CipherSet,
  createCrypto,
  createIdentity,
  cs1a,
  cs3a,
  exportIdentity,
  importIdentity,
  portable,
  routingToken,
} from "../crypto/index.ts";
import { memoryBoxStore } from "../store/index.ts";
import { Chance } from "../testing/chance.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { Dechunker, encodeChunks, encodePacket, parsePacket } from "../wire/index.ts";
import { Exchange } from "./exchange.ts";
import { encodeHandshake, keyPacket, parseHandshake } from "./handshake.ts";
import { openMessage, sealMessage } from "./message.ts";

const SETS: readonly CipherSet[] = [cs01(), cs1a(portable), cs3a(portable)];
const NOW = 1_700_000_000_000;

/** A value that must be there. */
function given<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("expected a value");
  return value;
}

describe.each(SETS)("in cipher set $csid", (set) => {
  const crypto = createCrypto(portable, [set]);
  const { random } = new Chance(4);
  const [alice, bob] = [createIdentity(crypto, random), createIdentity(crypto, random)];
  const key = given(alice.keys.get(set.csid));
  const seal = (inner: Uint8Array): Uint8Array =>
    given(sealMessage(crypto, { from: alice, to: bob.keys, inner, random }));

  test("[A2] a message opens after its recipient has lost everything but its long-term keys", () => {
    const inner = encodePacket({ type: "chat" }, random(40));
    const kept = JSON.stringify(exportIdentity(bob));
    const outer = seal(inner);
    // Another process: other sets, other caches of secrets, and the identity from what was written down.
    const later = createCrypto({ ...portable }, [cs01(), cs1a(portable), cs3a(portable)]);
    const opened = given(openMessage(later, given(importIdentity(later, JSON.parse(kept))), outer));
    expect(opened.inner).toEqual(inner);
    expect(opened.verify(key)).toBe(true);
  });

  test("[A3] [A10] the handshakes of an exchange are what sealMessage makes of their inner packets, and open as any message", () => {
    const [drawn, again] = [new Chance(9), new Chance(9)];
    const remote = { hashname: bob.hashname, csid: set.csid, key: given(bob.keys.get(set.csid)) };
    const extra = [{ type: "jwt", json: { a: 1 }, body: random(30) }];
    const exchange = new Exchange({
      crypto,
      identity: alice,
      remote,
      random: drawn.random,
      handles: () => 1,
      nextAt: () => 1_700_000_000n,
      extra,
    });
    const sent = exchange.handle({ type: "start" }, NOW).map((out) => (out.type === "send" ? out.bytes : random(0)));
    const ephemeral = given(set.exchange(remote.key, again.random));
    const keys = { type: "key", json: {}, body: keyPacket(portable, alice, set.csid) };
    const at = given(parseHandshake(given(openMessage(crypto, bob, given(sent[0]))).inner)).at;
    const messages = [keys, ...extra].map((message) => {
      const inner = encodeHandshake(at, message);
      return sealMessage(crypto, { from: alice, to: bob.keys, inner, random: again.random, ephemeral });
    });
    expect(sent).toEqual(messages);
    for (const outer of sent) expect(openMessage(crypto, bob, outer)?.verify(key)).toBe(true);
  });

  test("[A9] a recipient in the middle of an exchange with the sender opens a message of another one, and both go on", () => {
    const remote = { hashname: alice.hashname, csid: set.csid, key };
    const options = { crypto, identity: bob, remote, random, handles: () => 1, nextAt: () => 1_700_000_000n };
    const exchange = new Exchange(options);
    exchange.handle({ type: "start" }, NOW);
    const before = [exchange.handshaking, exchange.remotes, exchange.deadline()];
    const inner = encodePacket(undefined, random(50));
    const [one, two] = [seal(inner), seal(inner)].map((outer) => given(openMessage(crypto, bob, outer)));
    for (const opened of [one, two]) {
      expect(opened?.inner).toEqual(inner);
      expect(opened?.verify(key)).toBe(true);
    }
    // Three exchanges, and none is another: each message's own, and the recipient's.
    const tokens = [given(one).token, given(two).token, exchange.token].map(toHex);
    expect(new Set(tokens).size).toBe(3);
    expect([exchange.handshaking, exchange.remotes, exchange.deadline()]).toEqual(before);
  });

  test("[A18] a message has the LENGTH 00 01, and is refused with any other, whatever its HEAD would be", () => {
    const outer = seal(encodePacket({ type: "chat" }, random(40)));
    expect([...outer.subarray(0, 3)]).toEqual([0, 1, set.csid]);
    const body = given(parsePacket(outer)).body;
    for (let length = 0; length < outer.length; length++) {
      if (length === 1) continue;
      // The same bytes, but for the length; and the same BODY behind another HEAD, which begins with the CSID.
      const relabelled = outer.slice();
      relabelled.set([length >> 8, length & 0xff]);
      const head = new Uint8Array(length).fill(set.csid);
      for (const wrong of [relabelled, encodePacket(head, body)])
        expect(openMessage(crypto, bob, wrong)).toBeUndefined();
    }
  });
});

test("[A11] what bounds a message is a maximum that is set: up to it all pass, and above it none", () => {
  const crypto = createCrypto(portable, [cs01()]);
  const { random } = new Chance(5);
  const [alice, bob] = [createIdentity(crypto, random), createIdentity(crypto, random)];
  const { overhead } = cs01();
  const sealed = (length: number): Uint8Array =>
    given(sealMessage(crypto, { from: alice, to: bob.keys, inner: random(length - overhead), random }));
  for (const maximum of [200, 1400, 100_000]) {
    for (const [length, passes] of [
      [maximum - 1, true],
      [maximum, true],
      [maximum + 1, false],
    ] as const) {
      const outer = sealed(length);
      expect(outer).toHaveLength(length);
      expect(new Dechunker(maximum).push(encodeChunks(outer))).toHaveLength(passes ? 1 : 0);
      const boxes = memoryBoxStore({ box: maximum, recipient: 10 * maximum });
      const place = { recipient: bob.hashname, box: "00".repeat(8), id: "11".repeat(8), class: "member" } as const;
      boxes.handle({ type: "put", op: 1, ...place, bytes: outer, expires: NOW + 1_000_000 }, NOW);
      expect(boxes.stats().messages).toBe(passes ? 1 : 0);
    }
  }
});

test("[E5] a set of 0x40 is preferred to 3a, by both ends alike, and 0x00 names none", () => {
  const own: CipherSet = { ...cs01(), csid: 0x40 };
  const [both, old] = [createCrypto(portable, [cs3a(portable), own]), createCrypto(portable, [cs3a(portable)])];
  const { random } = new Chance(6);
  const [alice, bob] = [createIdentity(both, random, [0x3a, 0x40]), createIdentity(both, random, [0x3a, 0x40])];
  const carol = createIdentity(old, random);
  const seal = (crypto: typeof both, from: typeof alice, to: typeof alice): Uint8Array =>
    given(sealMessage(crypto, { from, to: to.keys, inner: random(9), random }));
  expect([seal(both, alice, bob), seal(both, bob, alice)].map((outer) => outer[2])).toEqual([0x40, 0x40]);
  expect([seal(both, alice, carol), seal(old, carol, alice)].map((outer) => outer[2])).toEqual([0x3a, 0x3a]);
  const outer = seal(both, alice, bob);
  const opened = given(openMessage(both, bob, outer));
  expect(toHex(opened.token)).toBe(toHex(routingToken(portable, opened.prefix)));
  expect(openMessage(both, bob, encodePacket(Uint8Array.of(0), given(parsePacket(outer)).body))).toBeUndefined();
});
