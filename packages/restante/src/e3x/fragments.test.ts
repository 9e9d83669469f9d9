import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, equal, fromUtf8, toHex, utf8 } from "../bytes/index.ts";
import { createCrypto, createIdentity, cs3a, type Hashname, portable } from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { Dechunker, encodeChunks, encodePacket, type JsonObject, parsePacket } from "../wire/index.ts";
import { Fragments, type FragmentsOut, openMessage, parseMessageFragment, sealMessage, splitPacket } from "./index.ts";

const [ALICE, BOB, EVE] = ["alice", "bob", "eve"] as unknown as [Hashname, Hashname, Hashname];
const HOUR = 3_600_000;
const { random } = new Chance(1);

function packetOf(length: number, chance = random): Uint8Array {
  return encodePacket({ type: "chat" }, chance(length));
}

function split(inner: Uint8Array, size: number): Uint8Array[] {
  return splitPacket(portable, inner, size) ?? expect.unreachable();
}

/** What these messages of one sender give. */
function feed(fragments: Fragments, sender: Hashname, inners: readonly Uint8Array[], now = 0): Uint8Array[] {
  return inners.flatMap((inner) => wholes(fragments.handle({ type: "message", sender, inner }, now)));
}

function wholes(out: readonly FragmentsOut[]): Uint8Array[] {
  return out.map(({ inner }) => inner);
}

function bodyOf(inner: Uint8Array): Uint8Array {
  return parsePacket(inner)?.body ?? expect.unreachable();
}

function fragment(head: JsonObject, body: Uint8Array = Uint8Array.of(1)): Uint8Array {
  return encodePacket({ type: "fragment", id: "00".repeat(16), n: 0, of: 2, ...head }, body);
}

describe("a packet over a store's limit", () => {
  test("[A14] is split before encryption, each fragment a message that opens alone and fits", () => {
    const crypto = createCrypto(portable, [cs01(), cs3a(portable)]);
    const [alice, bob] = [createIdentity(crypto, random), createIdentity(crypto, random)];
    const limit = 1000; // of the outer packet
    const inner = packetOf(3000);
    const overhead = (crypto.sets.get(0x3a)?.overhead ?? expect.unreachable()) + 3;
    const parts = split(inner, limit - overhead);
    const outers = parts.map((part) => sealMessage(crypto, { from: alice, to: bob.keys, inner: part, random }));
    expect(outers.length).toBeGreaterThan(3);
    const seen = new Set(outers.map((outer) => toHex((outer ?? expect.unreachable()).subarray(3, 35))));
    expect(seen.size).toBe(outers.length); // each an exchange of its own
    const fragments = new Fragments(portable);
    const got = outers.toReversed().flatMap((outer = expect.unreachable()) => {
      expect(outer.length).toBeLessThanOrEqual(limit);
      const opened = openMessage(crypto, bob, outer) ?? expect.unreachable();
      expect(opened.verify(alice.keys.get(0x3a) ?? expect.unreachable())).toBe(true);
      return feed(fragments, alice.hashname, [opened.inner]);
    });
    expect(got).toEqual([inner]);
  });

  test("[A15] is in chunked encoding in the bodies of its messages", () => {
    const inner = packetOf(2000);
    const parts = split(inner, 400);
    expect(toHex(concat(...parts.map(bodyOf)))).toBe(toHex(encodeChunks(inner)));
    expect(new Dechunker(5000).push(concat(...parts.map(bodyOf)))).toEqual([inner]);
    for (const [n, part] of parts.entries()) {
      expect({ ...parsePacket(part)?.json }).toMatchObject({ type: "fragment", n, of: parts.length });
    }
  });

  test("[A15] comes together out of order and with duplicates, only once, and never while one is missing", () => {
    const sizes = fc.tuple(fc.nat(3000), fc.integer({ min: 100, max: 900 }));
    fc.assert(
      fc.property(sizes, fc.nat(), ([length, size], seed) => {
        const chance = new Chance(seed);
        const inner = packetOf(length, chance.random);
        const parts = split(inner, size);
        expect(parts.every((part) => part.length <= size)).toBe(true);
        const order = chance.shuffle([...parts, ...parts, chance.pick(parts)]);
        const missing = chance.pick(parts);
        const fragments = new Fragments(portable);
        const early = feed(
          fragments,
          ALICE,
          order.filter((part) => part !== missing),
        );
        if (parts.length === 1) {
          expect(parts).toEqual([inner]);
          return;
        }
        expect(early).toEqual([]);
        expect(feed(fragments, ALICE, [missing])).toEqual([inner]);
        expect(feed(fragments, ALICE, order)).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });

  test("that fits is left as it is, and what is no fragment passes through", () => {
    const inner = packetOf(50);
    expect(split(inner, inner.length)).toEqual([inner]);
    const fragments = new Fragments(portable);
    for (const other of [inner, random(9), new Uint8Array(0), encodePacket({ type: "fragments" })]) {
      const out = fragments.handle({ type: "message", sender: ALICE, inner: other }, 0);
      expect(out).toEqual([{ type: "packet", sender: ALICE, inner: other, id: undefined }]);
    }
    expect(fragments.size).toBe(0);
    const parts = split(packetOf(500), 300);
    const last = feed(fragments, ALICE, parts.slice(1));
    expect(last).toEqual([]);
    const [out] = fragments.handle({ type: "message", sender: ALICE, inner: parts[0] ?? inner }, 0);
    expect(out?.id).toBe(parseMessageFragment(parts[0] ?? inner)?.id);
  });

  test("is not split into more than 1024 pieces, nor where a piece has no room, nor twice", () => {
    const inner = packetOf(200_000);
    const count = (size: number) => splitPacket(portable, inner, size)?.length;
    const least = Array.from({ length: 300 }, (_, size) => size).find((size) => count(size) !== undefined) ?? 0;
    expect(count(least)).toBeLessThanOrEqual(1024);
    expect(count(least)).toBeGreaterThan(1000);
    expect(feed(new Fragments(portable), ALICE, split(inner, least))).toEqual([inner]);
    for (const size of [0, 50, 79]) expect(splitPacket(portable, packetOf(90), size)).toBeUndefined();
    const [part] = split(inner, 50_000);
    expect(splitPacket(portable, part ?? inner, 1000)).toBeUndefined();
  });

  test("is split into the same bytes each time", () => {
    const inner = packetOf(1000);
    expect(split(inner, 300)).toEqual(split(inner.slice(), 300));
  });
});

describe("fragments that do not belong together", () => {
  test("[A15] of two senders are never combined, though they name the same packet", () => {
    const parts = split(packetOf(1000), 300);
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: parts.length, maxLength: parts.length }), (byBob) => {
        fc.pre(byBob.includes(true) && byBob.includes(false));
        const fragments = new Fragments(portable);
        const got = parts.flatMap((part, i) => feed(fragments, byBob[i] ? BOB : ALICE, [part]));
        expect(got).toEqual([]);
      }),
    );
  });

  test("[A15] of one number are told apart by who came first, and cost nothing twice", () => {
    const inner = packetOf(1000);
    const [first = inner, ...others] = split(inner, 600);
    const id = parseMessageFragment(first)?.id ?? expect.unreachable();
    const fragments = new Fragments(portable);
    feed(fragments, ALICE, [first]);
    const before = fragments.bytes;
    expect(feed(fragments, ALICE, [fragment({ id }, random(300)), first])).toEqual([]);
    expect(fragments.bytes).toBe(before);
    expect(feed(fragments, ALICE, others)).toEqual([inner]);
  });

  test("of two ways to split one packet are kept apart", () => {
    const inner = packetOf(1000);
    const [coarse, fine] = [split(inner, 600), split(inner, 300)];
    expect(coarse.length).not.toBe(fine.length);
    const fragments = new Fragments(portable);
    expect(feed(fragments, ALICE, [...coarse.slice(1), ...fine.slice(1)])).toEqual([]);
    expect(feed(fragments, ALICE, coarse.slice(0, 1))).toEqual([inner]);
    const others = new Fragments(portable);
    expect(feed(others, ALICE, [...fine.slice(0, 1), ...coarse])).toEqual([inner]);
  });

  test("give nothing when their pieces make another packet, more than one, or none", () => {
    const inner = packetOf(1000);
    const parts = split(inner, 600);
    expect(parts).toHaveLength(2);
    const id = parseMessageFragment(parts[0] ?? inner)?.id ?? expect.unreachable();
    const [first, second] = parts.map(bodyOf) as [Uint8Array, Uint8Array];
    const wrong: [Uint8Array, Uint8Array][] = [
      [second, first],
      [first, second.slice(0, -1)], // never ends
      [first, concat(second, Uint8Array.of(0))], // ends twice
      [first, concat(second, encodeChunks(random(3)))],
      [concat(Uint8Array.of(0), first), second],
      [first, concat(second, Uint8Array.of(9, 1, 2))],
      [encodeChunks(inner.slice(1)).slice(0, -1), Uint8Array.of(0)], // whole, but not what the id says
      [first.slice(1), concat(first.slice(0, 1), second)],
    ];
    const fragments = new Fragments(portable);
    for (const [a, b] of wrong) {
      expect(feed(fragments, ALICE, [fragment({ id }, a), fragment({ id, n: 1 }, b)])).toEqual([]);
    }
    expect(fragments.bytes).toBe(0);
    expect(feed(fragments, ALICE, parts)).toEqual([inner]); // nor does that stand in the way of the right ones
  });

  test("make no packet that is itself a fragment", () => {
    const nested = split(packetOf(1000), 600)[0] ?? expect.unreachable();
    const id = toHex(portable.sha256(nested).subarray(0, 16));
    const stream = encodeChunks(nested);
    const parts = [stream.slice(0, 100), stream.slice(100)].map((piece, n) => fragment({ id, n }, piece));
    expect(feed(new Fragments(portable), ALICE, parts)).toEqual([]);
  });

  test.each([
    ["no id", { id: undefined }],
    ["an id of 15 bytes", { id: "00".repeat(15) }],
    ["an id in upper case", { id: "AA".repeat(16) }],
    ["an id that is no text", { id: 7 }],
    ["no number", { n: undefined }],
    ["a number below 0", { n: -1 }],
    ["a number that is not whole", { n: 0.5 }],
    ["a number past the last", { n: 2 }],
    ["no count", { of: undefined }],
    ["a count of one", { of: 1 }],
    ["a count of none", { of: 0 }],
    ["a count over 1024", { of: 1025 }],
    ["a huge count", { of: 2 ** 53 }],
    ["a count of 64 bits", { of: 2n ** 64n }],
  ])("with %s are dropped", (_name, head) => {
    const fragments = new Fragments(portable);
    expect(parseMessageFragment(fragment(head as JsonObject))).toBeUndefined();
    expect(feed(fragments, ALICE, [fragment(head as JsonObject)])).toEqual([]);
    expect(fragments.size).toBe(0);
  });

  test("without a piece are dropped, and what is no JSON is none", () => {
    expect(parseMessageFragment(fragment({}, new Uint8Array(0)))).toBeUndefined();
    expect(parseMessageFragment(Uint8Array.of(0))).toBeUndefined();
    expect(parseMessageFragment(fragment({}))).toMatchObject({ n: 0, of: 2, piece: Uint8Array.of(1) });
  });
});

describe("bounds", () => {
  test("a packet that is not whole in time is forgotten", () => {
    const inner = packetOf(1000);
    const parts = split(inner, 300);
    const fragments = new Fragments(portable);
    expect(fragments.deadline()).toBeUndefined();
    feed(fragments, ALICE, parts.slice(0, 2), 1000);
    feed(fragments, ALICE, parts.slice(2, 3), 1000 + HOUR - 1); // what grows lives no longer
    expect(fragments.deadline()).toBe(1000 + HOUR);
    fragments.handle({ type: "tick" }, 1000 + HOUR - 1);
    expect(fragments.size).toBe(1);
    fragments.handle({ type: "tick" }, 1000 + HOUR);
    expect([fragments.size, fragments.bytes, fragments.deadline()]).toEqual([0, 0, undefined]);
    expect(feed(fragments, ALICE, parts.slice(3), 1000 + HOUR)).toEqual([]);
    expect(feed(fragments, ALICE, parts, 1000 + HOUR)).toEqual([inner]);
  });

  test("a clock set back keeps nothing for longer than its time", () => {
    const fragments = new Fragments(portable);
    feed(fragments, ALICE, [fragment({}), fragment({ of: 3 })], 10 * HOUR);
    fragments.handle({ type: "tick" }, 5);
    expect(fragments.deadline()).toBe(5 + HOUR);
    fragments.handle({ type: "tick" }, 5 + HOUR);
    expect(fragments.size).toBe(0);
  });

  test("a packet over its sender's bytes is given up, and the sender's next one is not", () => {
    const fragments = new Fragments(portable, { senderBytes: 3000 });
    const [large, small] = [packetOf(4000), packetOf(1200)];
    expect(feed(fragments, ALICE, split(large, 500))).toEqual([]);
    expect(fragments.bytes).toBeLessThanOrEqual(512);
    expect(feed(fragments, ALICE, split(small, 500))).toEqual([small]);
  });

  test("of too many packets the sender's oldest is forgotten", () => {
    const fragments = new Fragments(portable, { senderPackets: 2 });
    const packets = [packetOf(500), packetOf(500), packetOf(500)];
    const parts = packets.map((packet) => split(packet, 400));
    for (const part of parts) feed(fragments, ALICE, part.slice(0, 1));
    expect(fragments.size).toBe(2);
    const [first = [], ...others] = parts.map((part) => part.slice(1));
    expect(others.flatMap((rest) => feed(fragments, ALICE, rest))).toEqual(packets.slice(1));
    expect(feed(fragments, ALICE, first)).toEqual([]);
  });

  test("who floods is forgotten first: another's packet comes through", () => {
    for (const limits of [{ totalBytes: 20_000, senderBytes: 20_000 }, { totalPackets: 10 }]) {
      const fragments = new Fragments(portable, { senderPackets: 100, ...limits });
      const inner = packetOf(1000);
      const parts = split(inner, 300);
      const chance = new Chance(3);
      const got = parts.flatMap((part) => {
        for (let i = 0; i < 50; i++) {
          const id = toHex(chance.random(16));
          expect(feed(fragments, EVE, [fragment({ id }, chance.random(500))])).toEqual([]);
        }
        return feed(fragments, ALICE, [part]);
      });
      expect(got).toEqual([inner]);
    }
  });

  test("no fragments of anybody grow beyond the bounds, throw, or give what nobody sent", () => {
    const limits = { senderBytes: 2500, totalBytes: 6000, senderPackets: 3, totalPackets: 7, keepMs: 100 };
    const sent = [packetOf(500), packetOf(700)];
    const waysOf = (inner: Uint8Array) => [split(inner, 400), split(inner, 450)];
    const honest = fc.constantFrom(...sent.flatMap((inner) => waysOf(inner).flat()));
    const hostile = fc
      .record({
        id: fc.constantFrom(...["0", "1", "2", "3", "4"].map((digit) => digit.repeat(32)), "x", ...idsOf(sent)),
        n: fc.oneof(fc.nat(4), fc.constantFrom(-1, 2 ** 40)),
        of: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.constantFrom(1024, 1025, 2 ** 53)),
        body: fc.uint8Array({ maxLength: 400 }),
      })
      .map(({ body, ...head }) => fragment(head, body));
    const noise = fc.uint8Array({ maxLength: 20 });
    const step = fc.tuple(
      fc.oneof({ weight: 6, arbitrary: honest }, { weight: 3, arbitrary: hostile }, { weight: 1, arbitrary: noise }),
      fc.constantFrom(ALICE, BOB, EVE),
      fc.integer({ min: -5, max: 10 }),
    );
    let whole = 0;
    fc.assert(
      fc.property(fc.array(step, { minLength: 40, maxLength: 120 }), (steps) => {
        const fragments = new Fragments(portable, limits);
        const given = new Map<Hashname, Set<string>>();
        let now = 0;
        for (const [inner, sender, passed] of steps) {
          now += passed;
          given.set(sender, (given.get(sender) ?? new Set()).add(toHex(inner)));
          for (const out of fragments.handle({ type: "message", sender, inner }, now)) {
            expect(out.sender).toBe(sender);
            if (out.id === undefined) continue;
            whole++;
            const ways = sent.filter((one) => equal(one, out.inner)).flatMap(waysOf);
            expect(ways.length).toBeGreaterThan(0);
            expect(ways.some((parts) => parts.every((part) => given.get(sender)?.has(toHex(part))))).toBe(true);
          }
          expect(fragments.bytes).toBeLessThanOrEqual(limits.totalBytes);
          expect(fragments.size).toBeLessThanOrEqual(limits.totalPackets);
          expect(fragments.deadline() ?? now + 1).toBeLessThanOrEqual(now + limits.keepMs);
          expect(fragments.deadline() ?? now + 1).toBeGreaterThan(now);
        }
        fragments.handle({ type: "tick" }, now + limits.keepMs);
        expect([fragments.bytes, fragments.size]).toEqual([0, 0]);
      }),
      { numRuns: 200 },
    );
    expect(whole).toBeGreaterThan(20);
  });
});

function idsOf(packets: readonly Uint8Array[]): string[] {
  return packets.map((inner) => parseMessageFragment(split(inner, 144)[0] ?? inner)?.id ?? expect.unreachable());
}

test("the worked example of protocol/fragments.md holds", () => {
  const inner = encodePacket({ type: "chat" }, new Uint8Array(130).fill(0xab));
  const head = (n: number) => `{"type":"fragment","id":"ID","n":${n},"of":3}`;
  const shown = split(inner, 144).map((part) => {
    const packet = parsePacket(part) ?? expect.unreachable();
    return [fromUtf8(packet.head)?.replace(idsOf([inner])[0] ?? "", "ID"), toHex(packet.body)];
  });
  expect(shown).toEqual([
    [head(0), `93000f${toHex(utf8('{"type":"chat"}'))}${"ab".repeat(46)}`],
    [head(1), "ab".repeat(64)],
    [head(2), `${"ab".repeat(20)}00`],
  ]);
  expect(idsOf([inner])).toEqual(["7acce9aae3ffff0485d26e35730012ec"]);
});
