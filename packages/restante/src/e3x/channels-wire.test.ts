/** Two sets of channels over a wire that loses, repeats, reorders and delays: what a user of channels may rely on. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { assert, Deadlines } from "../bytes/index.ts";
import { type JsonObject, parsePacket, uint } from "../wire/index.ts";
import { Channels, type ChannelsOut, packetRoom } from "./channels.ts";

describe("over any wire", () => {
  test("[E11] everything sent arrives once and in order, both sides close, nothing is left", () => {
    fc.assert(
      fc.property(wires({ maxLoss: 0.05 }), (wire) => {
        const world = new World(wire);
        const plans = world.randomPlans();
        world.run();
        for (const plan of plans) {
          for (const side of [plan.opener, plan.accepter]) {
            expect(inOrder(side.got)).toBe(side.theirs);
            expect(side.acked).toBe(side.mine);
            expect(side.ended).toBe(true);
            expect(side.closed).toEqual([undefined]);
          }
        }
        expectNothingLeft(world);
      }),
      { numRuns: 40 },
    );
  });

  test("[E11] however bad the wire: never out of order, never twice, never acknowledged before it was taken", () => {
    fc.assert(
      fc.property(wires({ maxLoss: 0.7 }), (wire) => {
        const world = new World(wire);
        const plans = world.randomPlans();
        world.run();
        world.reset();
        for (const { opener, accepter } of plans) {
          for (const [side, other] of [
            [opener, accepter],
            [accepter, opener],
          ] as const) {
            expect(inOrder(side.got)).toBe(side.got.length);
            expect(side.got.length).toBeLessThanOrEqual(side.theirs);
            expect(side.acked).toBeLessThanOrEqual(other.tookCount);
            if (side.closed[0] === undefined && side.closed.length > 0) {
              expect([side.acked, side.got.length]).toEqual([side.mine, side.theirs]);
            }
            expect(side.closed).toHaveLength(side.ch === undefined ? 0 : 1);
          }
        }
        expectNothingLeft(world);
      }),
      { numRuns: 40 },
    );
  });

  test("the same seed gives the same run", () => {
    const run = (): number[] => {
      const world = new World({ ...PERFECT, seed: 7, loss: 0.2, repeat: 0.1, jitter: 300 });
      world.randomPlans();
      world.run();
      return [world.now, world.packets, world.bytes];
    };
    expect(run()).toEqual(run());
  });
});

describe("bulk", () => {
  test("fills a link of 50 ms round trip: 128 packets per round trip, an acknowledgement per two", () => {
    const world = new World({ ...PERFECT, delay: 25 });
    const { accepter } = world.plan({ sends: 5000, answers: 1 });
    world.run({ until: () => accepter.got.length === 5000 });
    expect(world.now).toBeLessThan((5000 / 128) * 50 * 1.25 + 400); // and a slow start
    expect(world.packets).toBeLessThan(5000 * 1.6);
  });

  test("gets on at a loss of one in a hundred", () => {
    const world = new World({ ...PERFECT, seed: 3, delay: 25, loss: 0.01 });
    const { accepter } = world.plan({ sends: 5000, answers: 1 });
    world.run({ until: () => accepter.got.length === 5000 });
    expect(world.now).toBeLessThan(20_000);
    expect(world.contentPackets).toBeLessThan(5000 * 1.05);
  });

  test("a slow reader bounds what is sent to it, times out on neither side, and loses nothing", () => {
    const world = new World({ ...PERFECT, delay: 25 });
    const { accepter, opener } = world.plan({ sends: 2000, answers: 1 });
    world.run({ until: () => accepter.got.length >= 1000 });
    accepter.isStuck = true;
    const before = world.contentPackets;
    world.runFor(600_000);
    expect(accepter.owed).toBeGreaterThan(100);
    expect(inOrder(accepter.got)).toBe(accepter.tookCount + 128);
    expect(world.highestSeq).toBe(accepter.tookCount + 128);
    expect(world.contentPackets - before).toBeLessThan(128 + 600 / 4 + 10); // the window, and a question every 4 s
    expect([opener.closed, accepter.closed]).toEqual([[], []]);
    accepter.isStuck = false;
    world.resume(accepter);
    world.run();
    expect(inOrder(accepter.got)).toBe(2000);
    expect(opener.closed).toEqual([undefined]);
    expectNothingLeft(world);
  });

  test("a path without credit starves content, and what was starved goes on where it stopped", () => {
    const world = new World({ ...PERFECT, delay: 5 });
    const sides = [1, 2, 3].map(() => world.plan({ sends: 200, answers: 3 }));
    world.credit = 50_000;
    world.runFor(20_000);
    const before = world.bytes;
    expect(before).toBeLessThan(2 * 50_000 + 2 * 1400 + 20_000); // both sides, with acknowledgements
    expect(sides.some(({ accepter }) => accepter.got.length < 200)).toBe(true);
    world.credit = Number.POSITIVE_INFINITY;
    world.run();
    for (const { accepter, opener } of sides) {
      expect(inOrder(accepter.got)).toBe(200);
      expect(opener.closed).toEqual([undefined]);
    }
    expectNothingLeft(world);
  });

  test("many channels at once share the memory of the exchange, and all arrive", () => {
    const world = new World({ ...PERFECT, delay: 20, jitter: 30, loss: 0.02, seed: 11, limits: { bytes: 200_000 } });
    const sides = Array.from({ length: 60 }, () => world.plan({ sends: 60, answers: 20 }));
    world.run();
    for (const { opener, accepter } of sides) {
      expect([inOrder(opener.got), inOrder(accepter.got)]).toEqual([20, 60]);
    }
    expectNothingLeft(world);
  });
});

interface Wire {
  readonly seed: number;
  readonly loss: number;
  readonly repeat: number;
  /** One way, ms. */
  readonly delay: number;
  /** Added to the delay at random, so that packets overtake each other. */
  readonly jitter: number;
  /** The longest an application takes before `took`, ms. */
  readonly slowness: number;
  /** Of each side, see `ChannelLimits`; 64 kB are about 44 packets for all channels together. */
  readonly limits: { readonly bytes?: number };
}

const PERFECT: Wire = { seed: 1, loss: 0, repeat: 0, delay: 0, jitter: 0, slowness: 0, limits: {} };

function wires({ maxLoss }: { maxLoss: number }): fc.Arbitrary<Wire> {
  return fc.record({
    seed: fc.integer({ min: 1 }),
    loss: fc.double({ min: 0, max: maxLoss, noNaN: true }),
    repeat: fc.double({ min: 0, max: 0.3, noNaN: true }),
    delay: fc.integer({ min: 0, max: 200 }),
    jitter: fc.constantFrom(0, 5, 50, 500),
    slowness: fc.constantFrom(0, 0, 30, 2000),
    limits: fc.constantFrom({}, { bytes: 64_000 }),
  });
}

/** An application's view of one end of a channel: it sends `mine` packets, and ends when it got `theirs`. */
class End {
  readonly mine: number;
  readonly theirs: number;
  ch: number | undefined;
  sent = 0;
  acked = 0;
  got: number[] = [];
  tookCount = 0;
  owed = 0;
  credit = 0;
  ended = false;
  isStuck = false;
  closed: (string | undefined)[] = [];

  constructor(mine: number, theirs: number) {
    this.mine = mine;
    this.theirs = theirs;
  }
}

interface Plan {
  readonly opener: End;
  readonly accepter: End;
}

/** Two peers, their applications, the wire between them and the clock. A function of its seed. */
class World {
  now = 0;
  packets = 0;
  contentPackets = 0;
  bytes = 0;
  highestSeq = 0;
  readonly #wire: Wire;
  readonly #sides: readonly [Channels, Channels];
  readonly #ends: readonly [Map<number, End>, Map<number, End>] = [new Map(), new Map()];
  readonly #plans: Plan[] = [];
  readonly #later = new Deadlines<{ run(): void }>();
  readonly #sends = new Map<string, { count: number; at: number }>();
  #state: number;
  #handle = 1;

  constructor(wire: Wire) {
    this.#wire = wire;
    this.#state = wire.seed;
    const options = { handles: () => this.#handle++, limits: wire.limits };
    this.#sides = [new Channels({ order: 1, ...options }), new Channels({ order: 0, ...options })];
  }

  /** What both paths take from now on. */
  set credit(bytes: number) {
    for (const side of [0, 1] as const) this.#do(side, { type: "credit", bytes });
  }

  randomPlans(): Plan[] {
    const count = 1 + Math.floor(this.#random() * 5);
    for (let i = 0; i < count; i++) {
      this.plan({ sends: this.#count(), answers: this.#count(), side: this.#random() < 0.5 ? 0 : 1 });
    }
    return this.#plans;
  }

  /** One side opens a channel, both send so many packets (the open counts as one) and end with the last. */
  plan({ sends, answers, side = 0 }: { sends: number; answers: number; side?: 0 | 1 }): Plan {
    const plan = { opener: new End(sends, answers), accepter: new End(answers, sends) };
    const n = this.#plans.push(plan) - 1;
    const { opener } = plan;
    opener.ch = this.#handle++;
    opener.sent = 1;
    this.#ends[side].set(opener.ch, opener);
    const head = { type: "test", n: 0, plan: n };
    this.#do(side, { type: "open", ch: opener.ch, reliable: true, head, body: BODY, end: sends === 1 });
    this.#pump(side, opener);
    return plan;
  }

  /** Until nothing happens any more, or until the test has seen enough. */
  run({ until = () => false }: { until?: () => boolean } = {}): void {
    for (let turns = 0; !until(); turns++) {
      assert(turns < 1e6, "a run comes to an end");
      const times = [this.#later.next(), ...this.#sides.map((side) => side.deadline())].filter(
        (at) => at !== undefined,
      );
      if (times.length === 0) return;
      this.now = Math.max(this.now, Math.min(...times));
      for (const { run } of this.#later.due(this.now)) run();
      for (const side of [0, 1] as const) {
        if ((this.#sides[side].deadline() ?? Number.POSITIVE_INFINITY) <= this.now) this.#do(side, { type: "tick" });
      }
    }
  }

  runFor(time: number): void {
    let isOver = false;
    this.#after(time, () => {
      isOver = true;
    });
    this.run({ until: () => isOver });
  }

  reset(): void {
    this.#sends.clear();
    for (const side of [0, 1] as const) this.#do(side, { type: "reset", err: "reset" });
  }

  /** A stuck application takes what it has, and from now on what it gets. */
  resume(end: End): void {
    const side = [...this.#ends[0].values()].includes(end) ? 0 : 1;
    while (end.owed > 0) this.#took(side, end);
  }

  /** How many channels find a full window of credit when each side opens as many as it may. */
  roomForNew(): number[] {
    this.credit = 0;
    return ([0, 1] as const).map((side) => {
      const ends = Array.from({ length: 256 }, () => this.plan({ sends: 2, answers: 1, side }).opener);
      expect(ends[0]?.credit).toBe(30); // a full window less what was sent: nothing counts as held any more
      return ends.filter((end) => end.closed.length === 0).length;
    });
  }

  #do(side: 0 | 1, input: Parameters<Channels["handle"]>[0]): void {
    for (const out of this.#sides[side].handle(input, this.now)) this.#happen(side, out);
  }

  #happen(side: 0 | 1, out: ChannelsOut): void {
    if (out.type === "transmit") {
      this.#transmit(side, out.inner);
      return;
    }
    if (out.type === "opened") {
      const accepter = this.#plans[uint(out.head, "plan") ?? -1]?.accepter;
      assert(accepter !== undefined && accepter.ch === undefined, "a channel opens once");
      accepter.ch = out.ch;
      this.#ends[side].set(out.ch, accepter);
    }
    const end = this.#ends[side].get(out.ch);
    assert(end !== undefined && end.closed.length === 0, "events are of open channels");
    switch (out.type) {
      case "opened":
        this.#got(side, end, out);
        break;
      case "packets":
        for (const packet of out.packets) this.#got(side, end, packet);
        break;
      case "acked":
        end.acked += out.count;
        break;
      case "writable":
        end.credit = out.credit;
        this.#after(0, () => this.#pump(side, end));
        break;
      case "ended":
        end.ended = true;
        break;
      case "closed":
        end.closed.push(out.err);
    }
  }

  #got(side: 0 | 1, end: End, { head, body }: { readonly head: JsonObject; readonly body: Uint8Array }): void {
    assert(!end.ended && body.length === BODY.length, "packets come whole and before the end");
    end.got.push(uint(head, "n") ?? -1);
    end.owed++;
    if (!end.isStuck) this.#after(this.#random() * this.#wire.slowness, () => this.#took(side, end));
  }

  #took(side: 0 | 1, end: End): void {
    if (end.ch === undefined || end.closed.length > 0 || end.owed === 0) return;
    end.owed--;
    end.tookCount++;
    this.#do(side, { type: "took", ch: end.ch });
  }

  #pump(side: 0 | 1, end: End): void {
    if (end.ch === undefined || end.closed.length > 0) return;
    while (end.credit > 0 && end.sent < end.mine) {
      end.credit--;
      const head = { n: end.sent++ };
      this.#do(side, { type: "send", ch: end.ch, head, body: BODY, end: end.sent === end.mine });
    }
  }

  #transmit(side: 0 | 1, inner: Uint8Array): void {
    const json = parsePacket(inner)?.json;
    const seq = uint(json, "seq");
    if (seq !== undefined) this.#noteSeq(`${side} ${uint(json, "c")} ${seq}`, seq, json?.["type"] !== undefined);
    assert(inner.length + 58 <= 1400, "an encrypted packet has at most 1400 bytes");
    this.packets++;
    this.bytes += inner.length;
    if (seq !== undefined) this.contentPackets++;
    this.highestSeq = Math.max(this.highestSeq, seq ?? 0);
    const copies = this.#random() < this.#wire.repeat ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (this.#random() < this.#wire.loss) continue;
      const copy = inner.slice();
      const delay = this.#wire.delay + Math.floor(this.#random() * this.#wire.jitter);
      this.#after(delay, () => this.#do(side === 0 ? 1 : 0, { type: "received", packets: [{ inner: copy, at: 0 }] }));
    }
  }

  /** The rules for each packet with a seq: the type on the first alone, sent again at most once per second. */
  #noteSeq(key: string, seq: number, hasType: boolean): void {
    assert(!hasType || seq === 1, "only the open packet has a type");
    const before = this.#sends.get(key);
    const isAgain = before !== undefined && before.count > 1;
    assert(!isAgain || this.now - before.at >= 1000, "a packet is sent again at most once per second");
    this.#sends.set(key, { count: (before?.count ?? 0) + 1, at: this.now });
  }

  #after(delay: number, run: () => void): void {
    this.#later.set({ run }, this.now + delay);
  }

  /** Mostly few, sometimes many. */
  #count(): number {
    return 1 + Math.floor(this.#random() ** 4 * 600);
  }

  /** Mulberry32. */
  #random(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let x = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  }
}

const BODY = new Uint8Array(packetRoom({ type: "test", n: 999, plan: 99 }, true));

/** How many packets came, if they came in order and once. */
function inOrder(got: readonly number[]): number {
  return got.every((n, i) => n === i) ? got.length : Number.NaN;
}

/** No timer, no packet, and every place free that a channel can have. */
function expectNothingLeft(world: World): void {
  const before = world.packets;
  world.run();
  expect(world.packets).toBe(before);
  expect(world.roomForNew()).toEqual([256, 256]);
}
