/**
 * Two ends of an exchange, and a wire between them that loses, delays and doubles what the test wants. Below `meshes.ts`: one
 * exchange at each end, restarted at will, and its handshakes in the clear.
 */
import { assert, equal, type Time, toHex, utf8 } from "../bytes/index.ts";
import { type Crypto, createCrypto, createIdentity, type Identity, order, portable } from "../crypto/index.ts";
import {
  Exchange,
  type ExchangeIn,
  type ExchangeOut,
  type HandshakeMessage,
  openMessage,
  parseHandshake,
  parseKeyPacket,
  type ReceivedHandshake,
} from "../e3x/index.ts";
import { parsePacket } from "../wire/index.ts";
import { Chance } from "./chance.ts";
import { cs01 } from "./cipher-set-01.ts";
import { given } from "./given.ts";

/** When each wire begins. */
export const START: Time = 1_700_000_000_000;

/** Whether an outer packet is a handshake, and no channel packet. */
export const isHandshake = (bytes: Uint8Array): boolean => parsePacket(bytes)?.head.length === 1;

/** One end: an identity, and the exchange of its present life. */
export class End {
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
    for (const effect of out)
      if (effect.type === "send") this.#wire.send(this.#name, effect.bytes.subarray(effect.free));
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
    return equal(body.subarray(0, 16), this.exchange.token)
      ? this.do({ type: "packets", packets: [{ bytes, at: 0 }] })
      : [];
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
export class Wire {
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
    assert(wire.a.isUp && wire.b.isUp, "both ends are up after a second");
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

/** A message of type "uri", as an application adds it to a handshake. */
export function uriMessage(uri: string): HandshakeMessage {
  return { type: "uri", json: { uri }, body: new Uint8Array(0) };
}

function keyOf(identity: Identity): Uint8Array {
  return given([...identity.keys.values()][0]);
}
