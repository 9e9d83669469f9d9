/** Rows of the checklist about handshakes, each with the whole of its check. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Time, toHex, utf8 } from "../bytes/index.ts";
import { createCrypto, createIdentity, type Identity, portable } from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { parsePacket } from "../wire/index.ts";
import { Exchange, type ExchangeIn, type ExchangeOut } from "./exchange.ts";
import { type HandshakeMessage, parseHandshake, parseKeyPacket } from "./handshake.ts";
import { openMessage } from "./message.ts";

const START = 1_700_000_000_000;
const crypto = createCrypto(portable, [cs01()]);

/** A value that must be there. */
function given<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("expected a value");
  return value;
}

/** One end, given by hand what it is to hear. The same seed makes the same end, with the same keys. */
class End {
  readonly #identity: Identity;
  readonly exchange: Exchange;
  readonly log: ExchangeOut[] = [];
  readonly #clock: number;

  constructor(identity: Identity, remote: Identity, seed: number, clock = 0) {
    this.#identity = identity;
    this.#clock = clock;
    let handle = 1000;
    this.exchange = new Exchange({
      crypto,
      identity,
      remote: { hashname: remote.hashname, csid: 1, key: given(remote.keys.get(1)) },
      random: new Chance(seed).random,
      handles: () => ++handle,
      nextAt: (above, now) => {
        const seconds = BigInt(Math.floor((now + this.#clock) / 1000));
        const next = seconds > above ? seconds : above + 1n;
        return next + (next & 1n);
      },
    });
  }

  /** What it sends. */
  do(input: ExchangeIn, now: Time = START): Uint8Array[] {
    const out = this.exchange.handle(input, now);
    this.log.push(...out);
    return out.flatMap((effect) => (effect.type === "send" ? [effect.bytes.subarray(effect.free)] : []));
  }

  hear(bytes: Uint8Array, now: Time = START): Uint8Array[] {
    const packet = given(parsePacket(bytes));
    if (packet.head.length === 0) return this.do({ type: "packets", packets: [{ bytes, at: 0 }] }, now);
    const { at, token, ephemeral, prefix, message } = this.read(bytes);
    const digest = toHex(portable.sha256(bytes));
    return this.do({ type: "handshake", at, token, ephemeral, prefix, kind: message.type, digest }, now);
  }

  /** Reads a handshake that is for this end. */
  read(bytes: Uint8Array) {
    const opened = given(openMessage(crypto, this.#identity, bytes));
    const { at, message } = given(parseHandshake(opened.inner));
    if (message.body.length > 0 && message.type === "key")
      expect(opened.verify(given(parseKeyPacket(crypto, 1, message.body)).key)).toBe(true);
    const { token, ephemeral, prefix } = opened;
    return { at, token, ephemeral, prefix, message };
  }

  count(type: ExchangeOut["type"]): number {
    return this.log.filter((effect) => effect.type === type).length;
  }
}

const { random } = new Chance(8);
const [alice, bob] = [createIdentity(crypto, random), createIdentity(crypto, random)];
/** Alice's end and Bob's. */
const ends = (clock = 0): [End, End] => [new End(alice, bob, 1, clock), new End(bob, alice, 2)];

/** Both hear everything, at one moment, until nobody says anything more. */
function settle(a: End, b: End, toB: readonly Uint8Array[], now: Time = START): void {
  for (let [turn, left, right] = [0, toB, [] as readonly Uint8Array[]]; left.length + right.length > 0; turn++) {
    if (turn > 20) throw new Error("they never fall silent");
    const [fromB, fromA] = [left.flatMap((bytes) => b.hear(bytes, now)), right.flatMap((bytes) => a.hear(bytes, now))];
    [left, right] = [fromA, fromB];
  }
}

test("[B2] a packet that opens once there is a session is nothing before, also to who has sent a handshake", () => {
  const [a, b] = ends();
  const [first] = a.do({ type: "start" });
  settle(a, b, [given(first)]);
  expect([a.count("up"), b.count("up")]).toEqual([1, 1]);
  const open = { type: "open", ch: 1, reliable: false, head: { type: "x" }, body: utf8("hi") } as const;
  const [packet] = a.do(open);
  // The same b once more, at its beginning: it has the keys for this packet as soon as it hears a's handshake.
  const [, again] = ends();
  again.hear(given(packet));
  again.do({ type: "start" });
  again.hear(given(packet));
  expect(again.log.map(({ type }) => type)).toEqual(["dropped", "send", "dropped"]); // its own handshake
  again.hear(given(first));
  again.hear(given(packet));
  expect([again.count("up"), again.count("opened")]).toEqual([1, 1]);
});

test("[B14] whichever of the five is answered, nothing is sent again after it", () => {
  const offsets = [0, 1_000, 3_000, 8_000, 20_000];
  for (const answered of offsets) {
    const [a, b] = ends();
    let [now, sent] = [START, a.do({ type: "start" })];
    let count = sent.length;
    while (now < START + answered) {
      now = given(a.exchange.deadline());
      sent = a.do({ type: "tick" }, now);
      count += sent.length;
    }
    expect([now - START, count]).toEqual([answered, offsets.indexOf(answered) + 1]);
    settle(a, b, sent, now + 50);
    expect([a.count("up"), b.count("up"), a.exchange.handshaking, b.exchange.handshaking]).toEqual([
      1,
      1,
      false,
      false,
    ]);
    expect([a.exchange.deadline(), b.exchange.deadline()]).toEqual([undefined, undefined]);
    for (const end of [a, b])
      for (let later = now; later < now + 60_000; later += 500) expect(end.do({ type: "tick" }, later)).toEqual([]);
  }
});

test("[B14] what is no answer stops nothing: an older handshake of the peer", () => {
  const [a, b] = ends(10_000); // a's clock is ahead, so what b begins is lower
  const [old] = b.do({ type: "start" });
  a.do({ type: "start" });
  a.hear(given(old), START + 100);
  expect(a.exchange.handshaking).toBe(true);
  expect(a.exchange.deadline()).toBe(START + 1_000);
  expect(a.count("up")).toBe(0);
});

test("[B14] a handshake that the peer began itself, higher than ours, is an answer too", () => {
  const [a, b] = ends();
  settle(a, b, a.do({ type: "start" }));
  a.do({ type: "start" }, START + 60_000); // is lost
  expect(a.exchange.handshaking).toBe(true);
  const [higher] = b.do({ type: "start" }, START + 62_000);
  expect(a.hear(given(higher), START + 62_000)).toHaveLength(1); // its echo
  expect([a.exchange.handshaking, a.exchange.deadline()]).toEqual([false, undefined]);
});

test("[B28] a lower `at` is no handshake: it is answered with ours, and nothing else comes of it", () => {
  const [a, b] = ends();
  settle(a, b, a.do({ type: "start" }));
  const { remotes } = b.exchange;
  const own = b.log
    .flatMap((out) => (out.type === "send" ? [out.bytes.subarray(out.free)] : []))
    .map((bytes) => a.read(bytes).at);
  const highest = own.reduce((x, y) => (x > y ? x : y));
  // Alice without her state, her clock an hour slow: another token, verified, and lower.
  const late = new End(alice, bob, 3, -3_600_000);
  const [lower] = late.do({ type: "start" });
  expect(b.read(given(lower)).at).toBeLessThan(highest);
  b.log.length = 0;
  const answer = b.hear(given(lower), START + 5_000);
  expect(b.log).toEqual([{ type: "send", to: "known", bytes: given(answer[0]), free: 0 }]);
  expect(late.read(given(answer[0])).at).toBe(highest);
  expect(b.exchange.remotes).toEqual(remotes);
  expect(b.exchange.handshaking).toBe(false);
  // And so is a lower one of the session itself.
  const [first] = new End(alice, bob, 1).do({ type: "start" });
  b.log.length = 0;
  b.hear(given(first), START + 10_000);
  expect(b.log.map(({ type }) => type)).toEqual(["send"]);
  expect(b.exchange.remotes).toEqual(remotes);
});

test("[B29] whatever messages make a handshake, all have one `at` and each another type, at every beginning", () => {
  const types = fc.uniqueArray(fc.constantFrom("uri", "jwt", "tx"), { maxLength: 3 });
  fc.assert(
    fc.property(fc.array(types, { minLength: 1, maxLength: 4 }), (beginnings) => {
      const [a, b] = ends();
      let before = 0n;
      for (const [i, kinds] of beginnings.entries()) {
        const extra = kinds.map((type): HandshakeMessage => ({ type, json: { uri: `link://${i}` }, body: utf8(type) }));
        const messages = a.do({ type: "start", extra }, START + i).map((bytes) => b.read(bytes));
        expect(messages.map(({ message }) => message.type)).toEqual(["key", ...kinds]);
        const [at, ...others] = new Set(messages.map((message) => message.at));
        expect(others).toEqual([]);
        expect(at).toBeGreaterThan(before);
        before = given(at);
      }
    }),
  );
});
