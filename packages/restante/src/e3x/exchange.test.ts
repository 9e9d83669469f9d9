import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { equal, RestanteError, type Time, toHex, utf8 } from "../bytes/index.ts";
import {
  type Crypto,
  createCrypto,
  createIdentity,
  cs3a,
  type Identity,
  order,
  portable,
  routingToken,
} from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { parsePacket } from "../wire/index.ts";
import { Exchange, type ExchangeIn, type ExchangeOut, type ReceivedHandshake } from "./exchange.ts";
import { type HandshakeMessage, MAX_AT, parseHandshake, parseKeyPacket } from "./handshake.ts";
import { openMessage } from "./message.ts";

const START = 1_700_000_000_000;
const SEND = { type: "send" } as const;

/** A value that must be there. */
function given<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("expected a value");
  return value;
}

const isHandshake = (bytes: Uint8Array): boolean => parsePacket(bytes)?.head.length === 1;

/** One end: an identity, and the exchange of its present life. */
class End {
  readonly identity: Identity;
  readonly log: ExchangeOut[] = [];
  exchange: Exchange;
  deaf = false;
  readonly #wire: Wire;
  readonly #name: "a" | "b";

  constructor(wire: Wire, name: "a" | "b", identity: Identity, remote: Identity) {
    this.#wire = wire;
    this.#name = name;
    this.identity = identity;
    this.exchange = this.#create(remote);
    this.restart = (clock) => {
      this.clock = clock ?? this.clock;
      this.exchange = this.#create(remote);
      this.log.length = 0;
    };
  }

  /** How far its clock is off, in ms. */
  clock = 0;
  /** Loses all state, as a crash does; from now on the clock is off by so much. */
  readonly restart: (clock?: number) => void;

  #create(remote: Identity): Exchange {
    const { crypto, chance } = this.#wire;
    const [csid] = [...remote.keys.keys()];
    let handle = 0;
    return new Exchange({
      crypto,
      identity: this.identity,
      remote: { hashname: remote.hashname, csid: given(csid), key: given(remote.keys.get(given(csid))) },
      random: chance.fork().random,
      handles: () => ++handle + 1000,
      nextAt: (above, now) => {
        const seconds = BigInt(Math.max(0, Math.floor((now + this.clock) / 1000)));
        const next = seconds > above ? seconds : above + 1n;
        return next + (next & 1n);
      },
    });
  }

  do(input: ExchangeIn): ExchangeOut[] {
    const out = this.exchange.handle(input, this.#wire.now);
    this.log.push(...out);
    for (const effect of out) if (effect.type === "send") this.#wire.send(this.#name, effect.bytes);
    return out;
  }

  /** Reads an outer handshake packet that is for us. */
  read(bytes: Uint8Array): ReceivedHandshake & { message: HandshakeMessage } {
    const opened = given(openMessage(this.#wire.crypto, this.identity, bytes));
    const { at, message } = given(parseHandshake(opened.inner));
    const { csid, token, ephemeral, prefix } = opened;
    const sender = given(parseKeyPacket(this.#wire.crypto, csid, message.body));
    if (!opened.verify(sender.key)) throw new Error("forged");
    return { at, token, ephemeral, prefix, kind: message.type, digest: toHex(portable.sha256(bytes)), message };
  }

  receive(bytes: Uint8Array): ExchangeOut[] {
    if (this.deaf) return [];
    if (isHandshake(bytes)) {
      const { message: _, ...received } = this.read(bytes);
      return this.do({ type: "handshake", ...received });
    }
    const { body } = given(parsePacket(bytes));
    return equal(body.subarray(0, 16), this.exchange.token) ? this.do({ type: "packet", body }) : [];
  }

  count(type: ExchangeOut["type"]): number {
    return this.log.filter((effect) => effect.type === type).length;
  }

  /** Up and, as far as this end knows, not ended since. */
  get isUp(): boolean {
    const last = this.log.findLast(({ type }) => type === "up" || type === "timeout" || type === "dead");
    return last?.type === "up";
  }
}

interface Sent {
  readonly from: "a" | "b";
  readonly at: Time;
  readonly bytes: Uint8Array;
}

/** Two ends and what is between them. `delays`: when each packet arrives, in ms; none: it is lost. */
class Wire {
  now: Time = START;
  readonly chance: Chance;
  readonly crypto: Crypto;
  readonly a: End;
  readonly b: End;
  readonly sent: Sent[] = [];
  delays: (sent: Sent) => readonly number[] = () => [10];
  #queue: { at: Time; to: End; bytes: Uint8Array }[] = [];

  constructor(options: { seed?: number; crypto?: Crypto; odd?: "a" | "b" } = {}) {
    this.chance = new Chance(options.seed ?? 1);
    this.crypto = options.crypto ?? createCrypto(portable, [cs01()]);
    const ids = [this.#identity(), this.#identity()].sort(
      (x, y) => order(keyOf(y), keyOf(x)) - order(keyOf(x), keyOf(y)),
    );
    const [odd, even] = [given(ids[0]), given(ids[1])];
    const [a, b] = options.odd === "b" ? [even, odd] : [odd, even];
    this.a = new End(this, "a", a, b);
    this.b = new End(this, "b", b, a);
  }

  #identity(): Identity {
    return createIdentity(this.crypto, this.chance.random);
  }

  send(from: "a" | "b", bytes: Uint8Array): void {
    const sent: Sent = { from, at: this.now, bytes };
    this.sent.push(sent);
    for (const delay of this.delays(sent))
      this.#queue.push({ at: this.now + delay, to: from === "a" ? this.b : this.a, bytes });
  }

  /** Lets `ms` pass: everything happens in its order. */
  run(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      const next = Math.min(
        ...this.#queue.map(({ at }) => at),
        this.a.exchange.deadline() ?? Number.POSITIVE_INFINITY,
        this.b.exchange.deadline() ?? Number.POSITIVE_INFINITY,
      );
      if (next > until) break;
      this.now = Math.max(this.now, next);
      const due = this.#queue.filter(({ at }) => at <= this.now);
      this.#queue = this.#queue.filter(({ at }) => at > this.now);
      for (const { to, bytes } of due) to.receive(bytes);
      for (const end of [this.a, this.b])
        if ((end.exchange.deadline() ?? Number.POSITIVE_INFINITY) <= this.now) end.do({ type: "tick" });
    }
    this.now = until;
  }

  /** The handshakes that one end sent, in order. */
  handshakes(from: "a" | "b"): { at: bigint; sent: Time; bytes: Uint8Array; type: string }[] {
    const to = from === "a" ? this.b : this.a;
    return this.sent
      .filter((sent) => sent.from === from && isHandshake(sent.bytes))
      .map(({ at: sent, bytes }) => {
        const { at, message } = to.read(bytes);
        return { at, sent: sent - START, bytes, type: message.type };
      });
  }

  /** A wire whose two ends are up. */
  static up(options: ConstructorParameters<typeof Wire>[0] = {}): Wire {
    const wire = new Wire(options);
    wire.a.do({ type: "start" });
    wire.run(1_000);
    expect([wire.a.isUp, wire.b.isUp]).toEqual([true, true]);
    wire.a.log.length = wire.b.log.length = wire.sent.length = 0;
    return wire;
  }

  /** Whether both ends can talk to each other on a new channel. */
  talks(ch = 1): boolean {
    for (const end of [this.a, this.b])
      end.do({ type: "open", ch, reliable: true, head: { type: "test" }, body: utf8("hi") });
    const before = [this.a.count("opened"), this.b.count("opened")];
    this.run(5_000);
    return this.a.count("opened") > given(before[0]) && this.b.count("opened") > given(before[1]);
  }
}

function keyOf(identity: Identity): Uint8Array {
  return given([...identity.keys.values()][0]);
}

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
    const { body } = given(parsePacket(packet.bytes));
    expect(fresh.b.do({ type: "packet", body })).toEqual([]);
    fresh.b.do({ type: "start" });
    expect(fresh.b.do({ type: "packet", body })).toEqual([]);
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

describe("resends", () => {
  test("[B9][B10][B11] come 1, 3 and 8 s after the first send", () => {
    expect(
      unanswered()
        .slice(0, 4)
        .map(({ sent }) => sent),
    ).toEqual([0, 1_000, 3_000, 8_000]);
  });

  test("[B12][B13] and the last one after 20 s, all of them the same bytes", () => {
    const sends = unanswered();
    expect(sends.map(({ sent }) => sent)).toEqual([0, 1_000, 3_000, 8_000, 20_000]);
    expect(new Set(sends.map(({ bytes }) => toHex(bytes))).size).toBe(1);
  });

  function unanswered() {
    const wire = new Wire();
    wire.b.deaf = true;
    wire.a.do({ type: "start" });
    wire.run(120_000);
    return wire.handshakes("a");
  }

  test("[B14] stop with the answer", () => {
    for (const lost of [0, 1, 2, 3]) {
      const wire = new Wire();
      wire.delays = ({ from }) => (from === "b" && wire.handshakes("b").length <= 2 * lost ? [] : [10]);
      wire.b.deaf = true;
      wire.a.do({ type: "start" });
      wire.run([0, 1_000, 3_000, 8_000][lost] ?? 0);
      wire.b.deaf = false;
      wire.delays = () => [10];
      wire.run(30_000);
      expect(wire.a.isUp && wire.b.isUp).toBe(true);
      const first = given(wire.handshakes("a")[0]).at;
      const count = wire.handshakes("a").filter(({ at }) => at === first).length;
      expect(count).toBeGreaterThan(lost);
      expect(count).toBeLessThanOrEqual(lost + 2);
    }
  });

  test("[B15][B16] end after 30 s without an answer, and nothing is left", () => {
    const wire = new Wire();
    wire.b.deaf = true;
    wire.a.do({ type: "start" });
    wire.a.do({ type: "open", ch: 7, reliable: true, head: { type: "x" }, body: utf8("x") });
    wire.run(29_999);
    expect(wire.a.count("timeout")).toBe(0);
    wire.run(1);
    expect(wire.a.log.slice(-2)).toEqual([{ type: "closed", ch: 7, err: "timeout" }, { type: "timeout" }]);
    expect(wire.a.exchange.deadline()).toBeUndefined();
    expect(wire.a.exchange.remotes).toEqual([]);
    expect(wire.a.do({ type: "tick" })).toEqual([]);
  });

  test("[B15] an exchange that was up ends so too when its keepalive is not answered", () => {
    const wire = Wire.up();
    wire.b.deaf = true;
    wire.a.do({ type: "start" });
    wire.run(30_000);
    expect(wire.a.log.at(-1)).toEqual({ type: "timeout" });
  });

  test("after a long sleep the missed ones go as one", () => {
    const wire = new Wire();
    wire.a.do({ type: "start" });
    wire.now += 10_000;
    expect(wire.a.do({ type: "tick" })).toHaveLength(1);
    expect(wire.a.do({ type: "tick" })).toHaveLength(0);
  });
});

describe("a keepalive", () => {
  test("[B17] may begin at any time, also while a handshake is under way", () => {
    const wire = new Wire();
    for (let i = 0; i < 3; i++) {
      wire.a.do({ type: "start" });
      wire.run(5);
    }
    wire.run(5_000);
    wire.a.do({ type: "start" });
    wire.b.do({ type: "start" });
    wire.run(5_000);
    expect([wire.a.count("up"), wire.b.count("up")]).toEqual([1, 1]);
    expect([wire.a.count("renewed"), wire.b.count("renewed")]).toEqual([0, 0]);
    expect([wire.a.exchange.handshaking, wire.b.exchange.handshaking]).toEqual([false, false]);
    expect(wire.talks()).toBe(true);
  });

  test("[B56] sends the messages last given, with a new `at`", () => {
    const wire = Wire.up();
    wire.a.do({ type: "start", extra: [uriMessage("link://x/1")] });
    wire.run(5_000);
    wire.a.do({ type: "start" });
    const sent = wire.handshakes("a");
    expect(sent.map(({ type }) => type)).toEqual(["key", "uri", "key", "uri"]);
    const [first, second] = [sent[1], sent[3]].map((one) => wire.b.read(given(one).bytes));
    expect(given(second).message).toEqual(given(first).message);
    expect(given(second).at).toBeGreaterThan(given(first).at);
  });

  test("[B55] may bring new messages", () => {
    const wire = Wire.up();
    for (const uri of ["link://x/1", "link://x/2"]) wire.a.do({ type: "start", extra: [uriMessage(uri)] });
    const uris = wire.handshakes("a").filter(({ type }) => type === "uri");
    expect(uris.map(({ bytes }) => wire.b.read(bytes).message.json["uri"])).toEqual(["link://x/1", "link://x/2"]);
  });
});

function uriMessage(uri: string): HandshakeMessage {
  return { type: "uri", json: { uri }, body: new Uint8Array(0) };
}

describe("a handshake of several messages", () => {
  test("[B1][B29] has one `at` for all of them, each other type, each verifiable alone", () => {
    const wire = new Wire();
    wire.a.do({ type: "start", extra: [uriMessage("link://x/?token")] });
    const sent = wire.handshakes("a"); // reading verifies with the key packet inside
    expect(sent.map(({ type }) => type)).toEqual(["key", "uri"]);
    expect(new Set(sent.map(({ at }) => at)).size).toBe(1);
  });

  test("[B20][B30][B50] is answered once, in either order; a second one of a type changes nothing", () => {
    for (const reversed of [false, true]) {
      const wire = Wire.up();
      wire.a.deaf = true;
      wire.a.do({ type: "start", extra: [uriMessage("link://x/?token")] });
      const packets = wire.handshakes("a").map(({ bytes }) => bytes);
      if (reversed) packets.reverse();
      wire.now += 500;
      const [first, second] = packets.map((bytes) => wire.b.receive(bytes));
      expect(given(first).filter(({ type }) => type === "send")).toHaveLength(1);
      expect(second).toEqual([]);
      const { message: _, ...again } = wire.b.read(given(packets[0]));
      expect(wire.b.do({ type: "handshake", ...again, digest: "other bytes" })).toMatchObject([{ to: "known" }]);
      expect(wire.b.do({ type: "handshake", ...again, digest: "other bytes" })).toEqual([]);
    }
  });

  test("[B13] is resent as a whole", () => {
    const wire = new Wire();
    wire.b.deaf = true;
    wire.a.do({ type: "start", extra: [uriMessage("link://x/?token")] });
    wire.run(30_000);
    expect(wire.handshakes("a").map(({ sent }) => sent)).toEqual([0, 0, 1, 1, 3, 3, 8, 8, 20, 20].map((s) => s * 1000));
  });

  test("[A12] has packets of less than 1400 bytes, or it is the caller's error", () => {
    for (const set of [cs01(), cs3a(portable)]) {
      const wire = new Wire({ crypto: createCrypto(portable, [set]) });
      for (const length of [1, 300, 1_000, 1_100, 1_150, 1_200, 1_300, 2_000]) {
        wire.sent.length = 0;
        const start = () => wire.a.do({ type: "start", extra: [uriMessage("x".repeat(length))] });
        if (length < 1_100) start();
        else if (length > 1_200) expect(start).toThrow(RestanteError);
        else attempt(start);
        for (const { bytes } of wire.sent) expect(bytes.length).toBeLessThan(1_400);
      }
    }
  });
});

function attempt(action: () => void): void {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(RestanteError);
  }
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

describe("a peer that lost its state", () => {
  test("[B47] gets a new exchange: old channels close, then renewed, then up", () => {
    const wire = Wire.up();
    wire.b.do({ type: "open", ch: 5, reliable: true, head: { type: "x" }, body: utf8("x") });
    wire.run(10_000);
    wire.b.log.length = 0;
    wire.a.restart();
    wire.a.do({ type: "start" });
    wire.run(1_000);
    const told = wire.b.log.filter(({ type }) => !["send", "heard"].includes(type));
    expect(told).toEqual([{ type: "closed", ch: 5, err: "renewed" }, { type: "renewed" }, { type: "up" }]);
    expect(wire.a.count("renewed")).toBe(0);
    expect(wire.talks()).toBe(true);
  });

  test("comes back even with its clock far behind: a lower `at` is answered with ours", () => {
    for (const odd of ["a", "b"] as const) {
      const wire = Wire.up({ odd });
      wire.a.restart(-(10 ** 9));
      wire.run(5_000);
      wire.a.do({ type: "start" });
      wire.run(10_000);
      expect(given(wire.handshakes("a")[0]).at).toBeLessThan(BigInt(START / 1000) - 10n ** 5n);
      expect([wire.a.isUp, wire.b.count("renewed")]).toEqual([true, 1]);
      expect(wire.talks()).toBe(true);
    }
  });

  test("comes back when it is the other end that speaks first", () => {
    const wire = Wire.up();
    wire.a.restart();
    wire.run(5_000);
    wire.b.do({ type: "start" });
    wire.run(10_000);
    expect(wire.b.count("renewed")).toBe(1);
    expect(wire.talks()).toBe(true);
  });

  test("any number of times, on any side, over a bad wire, with any clock: both ends agree in the end", () => {
    const life = fc.tuple(fc.boolean(), fc.integer({ min: -50_000, max: 50_000 }), fc.nat({ max: 6_000 }));
    fc.assert(
      fc.property(fc.nat(), fc.array(life, { maxLength: 6 }), (seed, lives) => {
        const wire = new Wire({ seed });
        const chance = wire.chance.fork();
        wire.delays = () => (chance.happens(0.2) ? [] : [chance.between(1, 400)]);
        wire.a.do({ type: "start" });
        for (const [isA, clock, ms] of lives) {
          const end = isA ? wire.a : wire.b;
          end.restart(clock);
          end.do({ type: "start" });
          wire.run(ms);
        }
        // As the mesh does: whoever gave up tries again.
        for (let i = 0; i < 6; i++) {
          wire.run(31_000);
          for (const end of [wire.a, wire.b]) {
            if (end.isUp) end.do({ type: "start" });
            else if (!end.exchange.handshaking) {
              end.restart();
              end.do({ type: "start" });
            }
          }
        }
        wire.delays = () => [10];
        wire.run(25_000);
        expect([wire.a.isUp, wire.b.isUp]).toEqual([true, true]);
        expect(wire.talks()).toBe(true);
      }),
      { numRuns: 150 },
    );
  });
});

describe("recordings", () => {
  /** A live wire, and a handshake that a's former life sent with its clock ahead and b never got. */
  function withRecording(): { wire: Wire; recorded: Uint8Array } {
    const wire = new Wire();
    wire.a.clock = 3_600_000;
    wire.delays = () => [];
    wire.a.do({ type: "start" });
    const recorded = given(wire.sent[0]).bytes;
    wire.delays = () => [10];
    wire.a.restart(0);
    wire.a.do({ type: "start" });
    wire.run(1_000);
    expect([wire.a.isUp, wire.b.isUp]).toEqual([true, true]);
    wire.b.do({ type: "open", ch: 5, reliable: true, head: { type: "x" }, body: utf8("x") });
    wire.run(1_000);
    wire.a.log.length = wire.b.log.length = wire.sent.length = 0;
    return { wire, recorded };
  }

  test("[B47] of an old handshake with a higher `at` is echoed and tried, and kills nothing", () => {
    const { wire, recorded } = withRecording();
    const out = wire.b.receive(recorded);
    const [echo, trial] = wire.handshakes("b");
    expect(out.map((effect) => effect.type === "send" && effect.to)).toEqual(["answer", "process"]);
    expect(given(echo).at).toBe(wire.b.read(recorded).at);
    expect(given(trial).at).toBeGreaterThan(given(echo).at);
    // Until the trial is decided the old keys receive.
    wire.a.do({ type: "open", ch: 1, reliable: false, head: { type: "x" }, body: utf8("still here") });
    wire.run(60_000);
    expect(wire.b.count("opened")).toBe(1);
    for (const end of [wire.a, wire.b])
      expect([end.count("renewed"), end.count("up"), end.count("timeout")]).toEqual([0, 0, 0]);
    expect(wire.b.log).not.toContainEqual({ type: "closed", ch: 5, err: "renewed" });
    expect(wire.talks()).toBe(true);
  });

  test("are tried once, however often they are played, and cost one answer a second", () => {
    const { wire, recorded } = withRecording();
    for (let i = 0; i < 100; i++) {
      wire.b.receive(recorded);
      wire.run(100);
    }
    expect(new Set(wire.handshakes("b").map(({ at }) => at)).size).toBe(2);
    expect(wire.handshakes("b").length).toBeLessThan(14);
    expect([wire.a.count("up"), wire.b.count("renewed")]).toEqual([0, 0]);
    expect(wire.talks()).toBe(true);
  });

  test("of everything that was ever sent, played back in any order, end no live exchange", () => {
    const script = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 3_000 })), { maxLength: 30 });
    fc.assert(
      fc.property(fc.nat(), script, (seed, plays) => {
        const wire = Wire.up({ seed });
        const old: Uint8Array[] = [];
        for (const clock of [1_000, 2_000, 0]) {
          wire.a.restart(clock);
          wire.a.do({ type: "start" });
          wire.run(3_000);
          wire.talks(clock + 10);
          wire.b.do({ type: "start" });
          wire.run(3_000);
          old.push(...wire.sent.filter(({ from }) => from === "a").map(({ bytes }) => bytes));
        }
        expect([wire.a.isUp, wire.b.isUp]).toEqual([true, true]);
        wire.b.log.length = 0;
        for (const [which, ms] of plays) {
          wire.b.receive(given(old[which % old.length]));
          wire.run(ms);
        }
        wire.run(40_000);
        expect([wire.b.count("renewed"), wire.b.count("timeout"), wire.b.count("opened")]).toEqual([0, 0, 0]);
        expect(wire.talks(9)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  test("are tried one by one: a later one of a token that failed its trial is a new trial", () => {
    const wire = new Wire();
    wire.delays = () => [];
    const recorded = [3_600_000, 7_200_000].map((clock) => {
      wire.a.clock = clock;
      wire.a.do({ type: "start" });
      return given(wire.sent.at(-1)).bytes;
    });
    wire.delays = () => [10];
    wire.a.restart(0);
    wire.a.do({ type: "start" });
    wire.run(1_000);
    for (const bytes of recorded) {
      wire.b.receive(bytes);
      wire.run(1_000);
    }
    expect([wire.b.isUp, wire.b.count("renewed")]).toEqual([true, 0]);
    expect(wire.talks()).toBe(true);
  });

  test("of a session that was replaced do not bring it back", () => {
    const wire = Wire.up();
    wire.delays = () => [];
    wire.a.clock = 3_600_000;
    wire.a.do({ type: "start" }); // never arrives
    const recorded = given(wire.sent.at(-1)).bytes;
    wire.delays = () => [10];
    wire.a.restart(0);
    wire.a.do({ type: "start" });
    wire.run(1_000);
    expect(wire.b.count("renewed")).toBe(1);
    expect(wire.b.receive(recorded)).toEqual([]);
  });

  test("of an echo prove nothing when another life of the peer has given that echo already", () => {
    const wire = Wire.up();
    wire.b.do({ type: "start" });
    wire.run(1_000);
    const current = given(wire.handshakes("b").at(-1)).at;
    const comeBack = () => {
      wire.a.restart(-(10 ** 9)); // it learns our `at` from us and echoes it
      wire.a.do({ type: "start" });
      wire.run(3_000);
    };
    wire.delays = ({ from, bytes }) => (from === "a" && wire.b.read(bytes).at >= current ? [] : [10]);
    comeBack();
    const echo = given(wire.handshakes("a").find(({ at, sent }) => at === current && sent > 2_000)).bytes;
    wire.delays = () => [10];
    comeBack();
    expect([wire.a.isUp, wire.b.isUp, wire.b.count("renewed")]).toEqual([true, true, 1]);
    wire.b.receive(echo);
    wire.run(5_000);
    expect(wire.b.count("renewed")).toBe(1);
    expect(wire.talks()).toBe(true);
  });

  test("a still higher `at` under the token on trial proves it", () => {
    const wire = Wire.up();
    wire.a.restart(5_000);
    wire.a.deaf = true; // it never sees the trial
    wire.a.do({ type: "start" });
    wire.run(100);
    expect(wire.b.count("renewed")).toBe(0);
    wire.a.clock = 60_000;
    wire.a.do({ type: "start" });
    wire.run(100);
    expect(wire.b.count("renewed")).toBe(1);
  });

  test("[X34] of a handshake and of a channel packet end no session: that one was made long ago", () => {
    const wire = new Wire();
    const { a, b } = wire;
    wire.delays = () => []; // carried by hand
    const last = (from: "a" | "b") => given(wire.handshakes(from).at(-1)).bytes;
    a.do({ type: "start" });
    b.receive(last("a"));
    a.receive(last("b")); // b's trial; its echo is lost
    const trial = last("a");
    b.receive(given(wire.handshakes("a").at(-2)).bytes); // a's echo
    expect([a.isUp, b.isUp]).toEqual([false, true]);
    b.do({ type: "open", ch: 1, reliable: false, head: { type: "x" }, body: utf8("late") });
    const packet = given(wire.sent.at(-1)).bytes;
    b.clock = 60_000;
    b.do({ type: "start" });
    const recorded = last("b"); // and so ends this life of b
    b.restart(0);
    b.receive(trial);
    a.receive(given(wire.handshakes("b").at(-2)).bytes);
    expect([a.isUp, a.exchange.remotes.map(({ name }) => name)]).toEqual([true, [toHex(b.exchange.token)]]);
    a.receive(recorded);
    a.receive(packet);
    expect([a.count("renewed"), a.count("opened")]).toEqual([0, 0]);
    wire.delays = () => [10];
    wire.run(31_000);
    expect([a.isUp, b.isUp, a.count("renewed"), a.count("opened")]).toEqual([true, true, 0, 0]);
    expect(wire.talks()).toBe(true);
  });

  test("a peer that came back may send at once: what comes before its proof waits, 16 packets at most", () => {
    const wire = Wire.up();
    const { a, b } = wire;
    a.restart();
    wire.delays = () => [];
    a.do({ type: "start" });
    b.receive(given(wire.handshakes("a")[0]).bytes);
    const [echo, trial] = wire.handshakes("b");
    a.receive(given(echo).bytes);
    expect(a.isUp).toBe(true);
    for (let ch = 1; ch <= 20; ch++)
      a.do({ type: "open", ch, reliable: false, head: { type: "x" }, body: utf8(`${ch}`) });
    for (const { bytes } of wire.sent.filter(({ from, bytes }) => from === "a" && !isHandshake(bytes)))
      b.receive(bytes);
    expect([b.count("renewed"), b.count("opened")]).toEqual([0, 0]);
    a.receive(given(trial).bytes);
    b.receive(given(wire.handshakes("a").at(-1)).bytes);
    const told = b.log.filter(({ type }) => ["renewed", "up", "opened"].includes(type)).map(({ type }) => type);
    expect(told).toEqual(["renewed", "up", ...Array.from({ length: 16 }, () => "opened")]);
    wire.delays = () => [10];
    expect(wire.talks(30)).toBe(true);
  });

  test("a packet under the keys on trial makes the first session: only who has heard us knows our key", () => {
    const wire = new Wire();
    const { a, b } = wire;
    wire.delays = ({ from, bytes }) =>
      from === "a" && isHandshake(bytes) && wire.handshakes("a").length > 1 ? [] : [10];
    a.do({ type: "start" });
    a.do({ type: "open", ch: 1, reliable: false, head: { type: "x" }, body: utf8("x") });
    wire.run(500);
    expect([b.count("up"), b.count("opened")]).toEqual([1, 1]);
  });
});

test("no bytes make an exchange throw", () => {
  const wire = Wire.up();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.bigInt({ min: 1n, max: MAX_AT - 1n }), (bytes, at) => {
      wire.b.do({ type: "packet", body: bytes });
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
    const body = new Uint8Array(80);
    let count = 0;
    while (count < 70_000 && wire.b.isUp) {
      body[20] = count;
      body[21] = count >> 8;
      wire.b.log.push(...wire.b.exchange.handle({ type: "packet", body }, wire.now));
      count++;
    }
    return count;
  };
  expect([guesses(true), guesses(false)]).toEqual([65_536, 70_000]);
});
