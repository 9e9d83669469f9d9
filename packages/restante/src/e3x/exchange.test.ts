import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromUtf8, toHex, utf8 } from "../bytes/index.ts";
import { createCrypto, cs3a, portable, routingToken } from "../crypto/index.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { isHandshake, Wire } from "../testing/exchanges.ts";
import { given } from "../testing/given.ts";
import { parsePacket } from "../wire/index.ts";
import { MAX_AT } from "./handshake.ts";

const SEND = { type: "send" } as const;

describe("first contact", () => {
  test("[B3][B35][B36] takes one handshake each way: an answer with the same `at`, a trial, its echo", () => {
    const wire = new Wire();
    wire.a.do({ type: "start" });
    expect([wire.a.isUp, wire.b.isUp]).toEqual([false, false]);
    wire.run(10);
    expect([wire.a.isUp, wire.b.isUp]).toEqual([false, false]);
    wire.run(60_000);
    expect([wire.a.count("up"), wire.b.count("up")]).toEqual([1, 1]);
    const [first, echoed] = wire.handshakes("a").map(({ at }) => at);
    const [echo, trial] = wire.handshakes("b").map(({ at }) => at);
    expect(echo).toBe(first);
    expect(trial).toBeGreaterThan(given(first));
    expect(echoed).toBe(trial);
    expect(wire.sent).toHaveLength(4);
    expect(wire.talks()).toBe(true);
  });

  test("[B2] channel packets mean nothing before it", () => {
    const other = Wire.up();
    other.a.do({ type: "open", ch: 1, reliable: false, head: { type: "x" }, body: utf8("early") });
    const packet = given(other.sent.find(({ bytes }) => !isHandshake(bytes)));
    const fresh = new Wire();
    const input = { type: "packets", packets: [{ bytes: packet.bytes, at: 0 }] } as const;
    expect(fresh.b.do(input)).toEqual([{ type: "dropped", count: 1 }]);
    fresh.b.do({ type: "start" });
    expect(fresh.b.do(input)).toEqual([{ type: "dropped", count: 1 }]);
    expect(fresh.b.count("opened")).toBe(0);
  });

  test("[B37] what was waiting to be sent goes out on it, once", () => {
    const wire = new Wire();
    wire.a.do({ type: "start" });
    wire.a.do({ type: "open", ch: 1, reliable: true, head: { type: "x" }, body: utf8("one") });
    wire.a.do({ type: "open", ch: 2, reliable: false, head: { type: "x" }, body: utf8("two") });
    wire.run(5);
    expect(wire.sent).toHaveLength(1);
    wire.run(20_000);
    expect(wire.b.count("opened")).toBe(2);
  });

  test("[A27][A28] packets carry the token: the hash of the first 16 bytes that the recipient's messages begin with", () => {
    const wire = new Wire({ crypto: createCrypto(portable, [cs3a(portable)]) });
    wire.a.do({ type: "start" });
    wire.run(1_000);
    wire.a.do({ type: "open", ch: 1, reliable: false, head: { type: "x" }, body: utf8("x") });
    const packet = given(wire.sent.findLast(({ bytes }) => !isHandshake(bytes)));
    const prefix = given(parsePacket(given(wire.handshakes("b")[0]).bytes)).body.subarray(0, 16);
    const carried = given(parsePacket(packet.bytes)).body.subarray(0, 16);
    expect(carried).toEqual(routingToken(portable, prefix));
    expect(carried).toEqual(wire.b.exchange.token);
    expect(wire.b.exchange.prefix).toEqual(prefix);
  });

  test("[B46] all messages of an exchange begin with the same 16 bytes, those of another with others", () => {
    const wire = Wire.up();
    for (let i = 0; i < 5; i++) wire.a.do({ type: "start" });
    wire.a.restart();
    for (let i = 0; i < 5; i++) wire.a.do({ type: "start" });
    const prefixes = wire.handshakes("a").map(({ bytes }) => toHex(bytes.subarray(3, 19)));
    expect(new Set(prefixes).size).toBe(2);
  });
});

describe("at", () => {
  test("[B32][B33] ends in 1 from the odd end and in 0 from the even one, whatever the clock says", () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat({ max: 10 }), (seed, seconds) => {
        const wire = new Wire({ seed });
        wire.now += seconds * 1000;
        for (const end of [wire.a, wire.b]) end.deaf = true;
        for (let i = 0; i < 3; i++) for (const end of [wire.a, wire.b]) end.do({ type: "start" });
        expect(wire.handshakes("a").map(({ at }) => at & 1n)).toEqual([1n, 1n, 1n]);
        expect(wire.handshakes("b").map(({ at }) => at & 1n)).toEqual([0n, 0n, 0n]);
      }),
    );
  });

  test("[B27][B28] may be wild, and whoever is behind goes above what it saw", () => {
    const wire = new Wire();
    wire.a.clock = 10 ** 14; // thousands of years ahead
    wire.a.do({ type: "start" });
    wire.run(2_000);
    const wild = given(wire.handshakes("a")[0]).at;
    wire.b.do({ type: "start" });
    wire.run(2_000);
    expect(given(wire.handshakes("b").at(-1)).at).toBeGreaterThan(wild);
    expect([wire.a.count("up"), wire.b.count("up")]).toEqual([1, 1]);
    expect(wire.a.count("heard")).toBeGreaterThan(1);
  });

  test("[B4][B31][B48] decides what is answered: higher at once, equal and the same once a second, lower with ours", () => {
    const wire = Wire.up();
    wire.a.deaf = true;
    wire.a.do({ type: "start" });
    const newer = given(wire.sent.at(-1)).bytes;
    const answers = (bytes: Uint8Array) => wire.b.receive(bytes).filter(({ type }) => type === "send");
    const echo = answers(newer);
    expect(echo).toMatchObject([{ ...SEND, to: "answer" }]);
    wire.now += 100;
    expect(answers(newer)).toEqual(echo); // a resend: our echo may be lost
    wire.now += 999;
    expect(answers(newer)).toEqual([]);
    wire.now += 1;
    expect(answers(newer)).toEqual(echo);
    wire.a.do({ type: "start" });
    const newest = given(wire.sent.at(-1)).bytes;
    const current = answers(newest);
    wire.now += 2_000;
    const stale = answers(newer);
    expect(stale).toEqual(current.map((effect) => ({ ...effect, to: "known" })));
    expect(answers(newer)).toEqual([]);
    wire.now += 1_000;
    expect(answers(newer)).toEqual(stale);
  });

  test("[B41] at its maximum is the end: told, and nothing more is sent", () => {
    const wire = Wire.up();
    const at = MAX_AT;
    const { token, ephemeral, prefix } = wire.b.read(given(upAgain(wire).handshakes("a")[0]).bytes);
    const out = wire.b.do({ type: "handshake", at, token, ephemeral, prefix, kind: "key", digest: "x" });
    expect(out.at(-1)).toEqual({ type: "dead" });
    expect(out.filter(({ type }) => type === "send")).toHaveLength(1); // the echo: the peer learns it too
    expect(wire.b.do({ type: "start" })).toEqual([]);
    expect(wire.b.exchange.deadline()).toBeUndefined();
  });

  test("[B41] one below it leaves nothing for the even end to begin", () => {
    const wire = Wire.up();
    const { token, ephemeral, prefix } = wire.b.read(given(upAgain(wire).handshakes("a")[0]).bytes);
    wire.b.do({ type: "handshake", at: MAX_AT - 1n, token, ephemeral, prefix, kind: "key", digest: "x" });
    expect(wire.b.count("dead")).toBe(0);
    expect(wire.b.do({ type: "start" })).toEqual([{ type: "dead" }]);
  });
});

/** A wire after one more handshake of a. */
function upAgain(wire: Wire): Wire {
  wire.a.do({ type: "start" });
  wire.run(100);
  return wire;
}

describe("simultaneous opens", () => {
  test("[B34] end in one exchange on both sides, in every order of arrival and loss", () => {
    const packet = fc.array(fc.integer({ min: 1, max: 3_000 }), { maxLength: 2 }); // lost, delivered, duplicated
    // Five sends of each handshake outlive four losses.
    const packets = fc
      .array(packet, { maxLength: 12 })
      .filter((all) => all.filter(({ length }) => length === 0).length <= 4);
    fc.assert(
      fc.property(
        fc.nat(),
        fc.constantFrom("a" as const, "b" as const),
        fc.integer({ min: -100_000, max: 100_000 }),
        fc.nat({ max: 2_000 }),
        packets,
        (seed, odd, clock, head, fates) => {
          const wire = new Wire({ seed, odd });
          wire.b.clock = clock;
          let n = 0;
          wire.delays = () => fates[n++] ?? [10];
          wire.a.do({ type: "start" });
          wire.run(head);
          wire.b.do({ type: "start" });
          wire.run(29_000);
          expect([wire.a.isUp, wire.b.isUp]).toEqual([true, true]);
          expect([wire.a.count("renewed"), wire.b.count("renewed")]).toEqual([0, 0]);
          const ats = [...wire.handshakes("a"), ...wire.handshakes("b")].map(({ at }) => at);
          expect(ats.length).toBeLessThan(40);
          expect(wire.talks()).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("come up most times even when two packets in five are lost, and then work", () => {
    let ups = 0;
    for (let seed = 0; seed < 200; seed++) {
      const wire = new Wire({ seed });
      const chance = wire.chance.fork();
      wire.delays = () => (chance.happens(0.4) ? [] : [chance.between(1, 800)]);
      wire.a.do({ type: "start" });
      wire.b.do({ type: "start" });
      wire.run(29_000);
      if (!wire.a.isUp || !wire.b.isUp) continue;
      ups += 1;
      wire.delays = () => [10];
      wire.run(10_000);
      expect(wire.talks()).toBe(true);
    }
    expect(ups).toBeGreaterThan(150);
  });

  test("works the same with real cryptography", () => {
    const wire = new Wire({ crypto: createCrypto(portable, [cs3a(portable)]) });
    wire.a.do({ type: "start" });
    wire.b.do({ type: "start" });
    wire.run(5_000);
    expect(wire.talks()).toBe(true);
  });
});

test("packets that come at once are taken in their order, and what is none of the remote's among them is only counted", () => {
  const wire = Wire.up();
  const packets = ["one", "two", "three"].flatMap((text, i) => {
    const input =
      i === 0
        ? ({ type: "open", reliable: false, head: { type: "x" } } as const)
        : ({ type: "send", head: {} } as const);
    const out = wire.a.exchange.handle({ ...input, ch: 9, body: utf8(text) }, wire.now);
    return out.flatMap((effect) => (effect.type === "send" ? [{ bytes: effect.bytes.slice(effect.free), at: 0 }] : []));
  });
  const forged = given(packets[1]).bytes.map((byte, i) => (i === 50 ? byte ^ 1 : byte));
  const out = wire.b.exchange.handle(
    { type: "packets", packets: packets.toSpliced(1, 0, { bytes: forged, at: 0 }) },
    wire.now,
  );
  expect(
    out.map((effect) => (effect.type === "packets" ? effect.packets.map(({ body }) => fromUtf8(body)) : effect.type)),
  ).toEqual(["heard", "opened", "heard", ["two", "three"], "dropped"]);
});

test("no bytes make an exchange throw", () => {
  const wire = Wire.up();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.bigInt({ min: 1n, max: MAX_AT - 1n }), (bytes, at) => {
      wire.b.do({ type: "packets", packets: [{ bytes, at: 0 }] });
      const of = Wire.up();
      of.b.do({ type: "handshake", at, token: bytes, ephemeral: bytes, prefix: bytes, kind: "key", digest: "" });
      of.run(100);
    }),
    { numRuns: 50 },
  );
});

test("guesses at a weak authenticator end the exchange after 65,536 of them; at another they are only dropped", () => {
  const guesses = (isWeak: boolean): number => {
    const set = { ...cs01(), ...(isWeak && { isWeak: true as const }) };
    const wire = new Wire({ crypto: createCrypto(portable, [set]) });
    wire.a.do({ type: "start" });
    wire.run(2_000);
    expect(wire.b.isUp).toBe(true);
    const bytes = new Uint8Array(82);
    let count = 0;
    while (count < 70_000 && wire.b.isUp) {
      bytes[22] = count;
      bytes[23] = count >> 8;
      const out = wire.b.exchange.handle({ type: "packets", packets: [{ bytes, at: 0 }] }, wire.now);
      wire.b.log.push(...out.filter(({ type }) => type !== "dropped"));
      count++;
    }
    return count;
  };
  expect([guesses(true), guesses(false)]).toEqual([65_536, 70_000]);
});
