import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, toHex } from "../bytes/index.ts";
import { Chance } from "../testing/chance.ts";
import { ChunkStream, type ChunkStreamOptions, type ChunkStreamOut, Dechunker, encodeFrames } from "./index.ts";

const MAX = 1400;
const MTUS = [20, 64, 120, 256];

describe("frames", () => {
  test("hold one chunk each, and what ends the packet if there is room", () => {
    const ten = Uint8Array.from({ length: 10 }, (_, i) => i);
    expect(encodeFrames(ten, 5).map(toHex)).toEqual(["0400010203", "0404050607", "02080900"]);
    expect(encodeFrames(ten, 11).map(toHex)).toEqual(["0a00010203040506070809", "00"]);
    expect(encodeFrames(ten, 12).map(toHex)).toEqual(["0a0001020304050607080900"]);
    expect(encodeFrames(new Uint8Array(0), 20).map(toHex)).toEqual(["00"]);
    for (const size of [0, 1, 257]) expect(() => encodeFrames(ten, size)).toThrow("broken invariant");
  });

  test.each(MTUS)("[A13] [E9] of at most %d bytes carry packets of 0 to 1400 bytes both ways", (mtu) => {
    const lengths = fc.array(fc.nat(MAX), { maxLength: 6 });
    fc.assert(
      fc.property(lengths, lengths, fc.nat(), (there, back, seed) => {
        const { random } = new Chance(seed);
        const [alice, bob] = [there, back].map((list) => list.map((length) => random(length)));
        const options = { maxPacket: MAX, size: mtu, blocking: false, acks: false };
        const ends = [new ChunkStream(options), new ChunkStream(options)] as const;
        const got: Uint8Array[][] = [[], []];
        for (const [i, packets] of [alice ?? [], bob ?? []].entries()) {
          for (const packet of packets) {
            for (const frame of writes(ends[i === 0 ? 0 : 1].handle({ type: "send", packet }, 0))) {
              expect(frame.length).toBeLessThanOrEqual(mtu);
              const count = frame[0] ?? 0;
              expect([1 + count, 2 + count]).toContain(frame.length);
              const out = ends[i === 0 ? 1 : 0].handle({ type: "received", bytes: frame }, 0);
              got[1 - i]?.push(...packetsOf(out));
              expect(writes(out)).toEqual([]);
            }
          }
        }
        expect(got[1]).toEqual(alice?.filter(({ length }) => length > 0));
        expect(got[0]).toEqual(bob?.filter(({ length }) => length > 0));
      }),
      { numRuns: 20 },
    );
  });
});

/** Two ends, and between them the buffers that they read from: bytes that find one full are lost. */
class SerialLine {
  readonly ends: readonly [ChunkStream, ChunkStream];
  readonly unread: [number[], number[]] = [[], []];
  readonly got: [Uint8Array[], Uint8Array[]] = [[], []];
  readonly wrote: [Uint8Array[], Uint8Array[]] = [[], []];
  readonly room: number;
  lost = 0;
  now = 0;
  /** What becomes of a byte on its way; all pass unless set. */
  passes: () => boolean = () => true;

  constructor(room: number, options: Partial<ChunkStreamOptions> = {}) {
    const whole = { maxPacket: MAX, size: room / 2, queue: 1000, ...options };
    this.ends = [new ChunkStream(whole), new ChunkStream(whole)];
    this.room = room;
  }

  send(end: 0 | 1, packet: Uint8Array): void {
    this.#apply(end, this.ends[end].handle({ type: "send", packet }, this.now));
  }

  read(end: 0 | 1, count: number): void {
    const bytes = Uint8Array.from(this.unread[end].splice(0, count));
    this.#apply(end, this.ends[end].handle({ type: "received", bytes }, this.now));
  }

  /** Both read whatever comes, until nothing more does. No time passes. */
  settle(): void {
    for (let i = 0; this.unread[0].length + this.unread[1].length > 0; i++) {
      if (i > 100_000) throw new Error("the two ends never fall silent");
      if (this.unread[0].length > 0) this.read(0, this.room);
      if (this.unread[1].length > 0) this.read(1, this.room);
    }
  }

  /** Lets time pass up to the next deadline; false when there is none. */
  wait(): boolean {
    const deadlines = this.ends.flatMap((end) => end.deadline() ?? []);
    if (deadlines.length === 0) return false;
    this.now = Math.max(this.now, Math.min(...deadlines));
    for (const end of [0, 1] as const) this.#apply(end, this.ends[end].handle({ type: "tick" }, this.now));
    return true;
  }

  /** Lets time pass until nothing is to be done any more. */
  rest(): void {
    for (let i = 0; this.wait(); i++) {
      if (i > 1000) throw new Error("the two ends never come to rest");
      this.settle();
    }
  }

  #apply(end: 0 | 1, out: readonly ChunkStreamOut[]): void {
    const other = end === 0 ? 1 : 0;
    this.got[end].push(...packetsOf(out));
    for (const bytes of writes(out)) {
      this.wrote[end].push(bytes);
      for (const byte of bytes) {
        if (!this.passes()) continue;
        if (this.unread[other].length < this.room) this.unread[other].push(byte);
        else this.lost++;
      }
    }
  }
}

describe("a serial line", () => {
  test.each(MTUS)(
    "[A13] [E9] with a buffer of %d bytes loses nothing, whoever reads late, and needs no clock",
    (room) => {
      fc.assert(
        fc.property(fc.nat(), fc.double({ min: 0, max: 1, noNaN: true }), (seed, bias) => {
          const chance = new Chance(seed);
          const line = new SerialLine(room);
          const sent: [Uint8Array[], Uint8Array[]] = [[], []];
          for (let step = 0; step < 300; step++) {
            const end = chance.happens(bias) ? 1 : 0;
            if (chance.happens(0.04)) {
              const packet = chance.random(chance.between(0, chance.happens(0.5) ? 40 : MAX));
              if (packet.length > 0) sent[end].push(packet);
              line.send(end, packet);
            } else line.read(end, chance.happens(0.3) ? 1 : chance.between(1, room));
          }
          line.settle();
          expect(line.lost).toBe(0);
          expect(line.got).toEqual([sent[1], sent[0]]);
          expect(line.ends.map((end) => end.length)).toEqual([0, 0]);
          for (const end of [0, 1] as const) {
            // Every write is one chunk, and those that are no part of a packet stand between packets.
            const reader = new Dechunker(MAX);
            for (const bytes of line.wrote[end]) {
              const before = reader.acks;
              const isBetween = reader.idle;
              reader.push(bytes);
              expect(bytes).toHaveLength(1 + (bytes[0] ?? 0));
              if (reader.acks > before) expect(isBetween).toBe(true);
            }
            const chunks = sent[end].reduce((sum, { length }) => sum + Math.ceil(length / (room / 2 - 1)) + 1, 0);
            expect(reader.chunks).toBe(chunks);
            expect(reader.idle).toBe(true);
          }
        }),
        { numRuns: 25 },
      );
    },
  );

  test("of which both ends fill the whole buffer with one chunk can lose bytes when they begin at once", () => {
    const line = new SerialLine(64, { size: 64 });
    line.send(0, new Uint8Array(200));
    line.send(1, new Uint8Array(200));
    line.read(0, 64); // this word of the other end was no answer: it was under way before
    expect(line.lost).toBe(64);
  });

  test("[E9] has each chunk answered by a chunk or an acknowledgement before the next", () => {
    const line = new SerialLine(40);
    line.send(0, new Uint8Array(100).fill(1));
    for (let chunk = 1; chunk <= Math.ceil(100 / 19) + 1; chunk++) {
      expect(line.wrote[0]).toHaveLength(chunk);
      line.read(1, 40);
      expect(line.wrote[1]).toHaveLength(chunk);
      expect(line.wrote[1].at(-1)).toEqual(Uint8Array.of(0));
      line.read(0, 40);
    }
    expect(line.got[1]).toEqual([new Uint8Array(100).fill(1)]);
    expect(line.ends[0].deadline()).toBeUndefined();
    // With something to say, the other end answers with that.
    line.send(0, new Uint8Array(100).fill(2));
    line.send(1, new Uint8Array(10).fill(3));
    line.settle();
    expect(line.got).toEqual([
      [new Uint8Array(10).fill(3)],
      [new Uint8Array(100).fill(1), new Uint8Array(100).fill(2)],
    ]);
  });

  test("on which an acknowledgement was lost goes on after a second", () => {
    const line = new SerialLine(64);
    line.send(0, new Uint8Array(100).fill(1));
    line.passes = () => false;
    line.read(1, 64);
    line.passes = () => true;
    line.settle();
    expect(line.got[1]).toEqual([]);
    expect(line.ends[0].deadline()).toBe(1000);
    expect(line.ends[0].handle({ type: "tick" }, 999)).toEqual([]);
    expect(line.wait()).toBe(true);
    line.settle();
    expect(line.got[1]).toEqual([new Uint8Array(100).fill(1)]);
    expect(line.now).toBe(1000);
  });

  test("that lost any bytes carries packets again once it loses none", () => {
    fc.assert(
      fc.property(fc.nat(), fc.double({ min: 0, max: 0.5, noNaN: true }), (seed, loss) => {
        const chance = new Chance(seed);
        const line = new SerialLine(64);
        line.passes = () => !chance.happens(loss);
        for (let i = 0; i < 8; i++) line.send(chance.happens(0.5) ? 1 : 0, chance.random(chance.between(1, 100)));
        line.settle();
        for (let i = 0; i < 5 && line.wait(); i++) line.settle();
        line.passes = () => true;
        // One packet from each side may still be needed to find the end of a broken one.
        for (const mark of [1, 2, 3]) {
          for (const end of [0, 1] as const) line.send(end, new Uint8Array(50).fill(mark));
          line.settle();
          line.rest();
        }
        for (const end of [0, 1] as const) expect(line.got[end].at(-1)).toEqual(new Uint8Array(50).fill(3));
      }),
      { numRuns: 200 },
    );
  });

  test("falls silent, also after acknowledgements that nobody owed", () => {
    const line = new SerialLine(64);
    for (let i = 0; i < 10; i++) {
      line.unread[0].push(0, 0, 0);
      line.unread[1].push(0);
      line.settle();
    }
    expect(line.wrote[0].length + line.wrote[1].length).toBeLessThan(10);
    line.send(0, Uint8Array.of(7));
    line.settle();
    expect(line.got[1]).toEqual([Uint8Array.of(7)]);
  });

  test("leaves each end its turn, so that who was silent can begin at once", () => {
    for (const length of [1, 31, 32, 100, 200]) {
      const line = new SerialLine(64);
      line.send(0, Uint8Array.of(1));
      line.send(1, new Uint8Array(length));
      line.settle();
      line.send(0, Uint8Array.of(2));
      line.settle();
      expect(line.got[1]).toEqual([Uint8Array.of(1), Uint8Array.of(2)]);
      expect(line.now).toBe(0);
    }
  });

  test("with a peer that counts no turns, but writes one chunk after any word of ours, carries all packets", () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const chance = new Chance(seed);
        const ours = new ChunkStream({ maxPacket: MAX, size: 16, queue: 1000 });
        const theirs = new PlainPeer(16);
        const [toThem, toUs, got]: [number[], number[], Uint8Array[]] = [[], [], []];
        const sent: [Uint8Array[], Uint8Array[]] = [[], []];
        let now = 0;
        const act = (out: readonly ChunkStreamOut[]): void => {
          toThem.push(...writes(out).flatMap((bytes) => [...bytes]));
          got.push(...packetsOf(out));
        };
        const read = (most: number): void => {
          act(ours.handle({ type: "received", bytes: Uint8Array.from(toUs.splice(0, most)) }, now));
          toUs.push(...theirs.read(toThem.splice(0, most)));
        };
        for (let step = 0; step < 100; step++) {
          const packet = chance.random(chance.between(1, 40));
          const dice = chance.between(0, 9);
          if (dice === 0) {
            sent[0].push(packet);
            act(ours.handle({ type: "send", packet }, now));
          } else if (dice === 1) {
            sent[1].push(packet);
            toUs.push(...theirs.send(packet));
          } else read(chance.between(0, 20));
        }
        for (let i = 0; i < 2000; i++) {
          read(20);
          if (toThem.length + toUs.length > 0) continue;
          const deadline = ours.deadline(); // it may have kept a turn of ours; never do we keep one of its
          if (deadline === undefined) break;
          now = deadline;
          act(ours.handle({ type: "tick" }, now));
        }
        expect([theirs.got, got]).toEqual(sent);
      }),
      { numRuns: 200 },
    );
  });

  test("with a peer that writes whole packets, and answers all that it read with one zero chunk, works too", () => {
    const ours = new ChunkStream({ maxPacket: MAX, size: 32 });
    const packets = [50, 1, 31, 300].map((length) => new Uint8Array(length).fill(length));
    let toWrite = packets.flatMap((packet) => writes(ours.handle({ type: "send", packet }, 0)));
    const old = new Dechunker(MAX);
    const theirs: Uint8Array[] = [];
    const got: Uint8Array[] = [];
    for (let i = 0; toWrite.length > 0 && i < 100; i++) {
      theirs.push(...old.push(concat(...toWrite)));
      const bytes = i % 5 === 4 ? concat(...encodeFrames(new Uint8Array(80).fill(i), 256)) : Uint8Array.of(0);
      const out = ours.handle({ type: "received", bytes }, 0);
      got.push(...packetsOf(out));
      toWrite = writes(out);
    }
    expect(theirs).toEqual(packets);
    expect(got.length).toBeGreaterThan(2);
    expect(got[0]).toEqual(new Uint8Array(80).fill(4));
  });
});

/** What telehash v3 asks of a blocking end and no more: a flag that any chunk clears, and an answer to each. No clock. */
class PlainPeer {
  readonly got: Uint8Array[] = [];
  readonly #reader = new Dechunker(MAX);
  readonly #chunks: Uint8Array[] = [];
  readonly #size: number;
  #isBlocked = false;
  #isDue = false;

  constructor(size: number) {
    this.#size = size;
  }

  send(packet: Uint8Array): number[] {
    for (let at = 0; at < packet.length; at += this.#size - 1) {
      const data = packet.subarray(at, at + this.#size - 1);
      this.#chunks.push(concat(Uint8Array.of(data.length), data));
    }
    this.#chunks.push(Uint8Array.of(0));
    return this.#write();
  }

  read(bytes: readonly number[]): number[] {
    const { chunks, acks } = this.#reader;
    this.got.push(...this.#reader.push(Uint8Array.from(bytes)));
    if (this.#reader.chunks + this.#reader.acks > chunks + acks) this.#isBlocked = false;
    if (this.#reader.chunks > chunks) this.#isDue = true;
    return this.#write();
  }

  #write(): number[] {
    const chunk = this.#isBlocked ? undefined : this.#chunks.shift();
    if (chunk !== undefined) this.#isBlocked = true;
    const isAnswered = chunk !== undefined || (this.#isDue && this.#chunks.length === 0);
    if (isAnswered) this.#isDue = false;
    return chunk !== undefined ? [...chunk] : isAnswered ? [0] : [];
  }
}

describe("bounds", () => {
  test("so many packets wait, and what is empty or too long does not", () => {
    const end = new ChunkStream({ maxPacket: 10, size: 4, queue: 3 });
    const send = (length: number) => end.handle({ type: "send", packet: new Uint8Array(length) }, 0);
    expect(send(0)).toEqual([{ type: "dropped" }]);
    expect(send(11)).toEqual([{ type: "dropped" }]);
    expect(writes(send(10))).toHaveLength(1);
    for (let i = 0; i < 3; i++) expect(send(10)).toEqual([]);
    expect(send(10)).toEqual([{ type: "dropped" }]);
    expect(end.length).toBe(4);
    const open = new ChunkStream({ maxPacket: 10, blocking: false });
    expect(open.handle({ type: "send", packet: new Uint8Array(0) }, 0)).toEqual([{ type: "dropped" }]);
    expect(open.deadline()).toBeUndefined();
  });

  test("no bytes make an end throw, write more than twice for one read, or give a packet over the bound", () => {
    const low = fc.array(fc.constantFrom(0, 0, 1, 2, 5), { maxLength: 40 }).map((list) => Uint8Array.from(list));
    const input = fc.oneof(
      fc.oneof(low, fc.uint8Array({ maxLength: 40 })).map((bytes) => ({ type: "received" as const, bytes })),
      fc.uint8Array({ maxLength: 12 }).map((packet) => ({ type: "send" as const, packet })),
      fc.constant({ type: "tick" as const }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(input, fc.integer({ min: -2000, max: 2000 }))), fc.boolean(), (steps, blocking) => {
        const end = new ChunkStream({ maxPacket: 10, size: 4, queue: 2, blocking });
        let now = 10_000;
        for (const [step, passed] of steps) {
          now += passed;
          const out = end.handle(step, now);
          if (step.type === "received") expect(writes(out).length).toBeLessThanOrEqual(2);
          for (const packet of packetsOf(out)) expect(packet.length).toBeLessThanOrEqual(10);
          expect(end.length).toBeLessThanOrEqual(3);
          expect(end.deadline() ?? now).toBeLessThanOrEqual(now + 1000);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("not blocking, what is read is answered once, unless that is turned off", () => {
    const bytes = concat(...encodeFrames(new Uint8Array(300), 256), ...encodeFrames(new Uint8Array(3), 256));
    const end = new ChunkStream({ maxPacket: MAX, blocking: false });
    expect(writes(end.handle({ type: "received", bytes }, 0))).toEqual([Uint8Array.of(0)]);
    expect(end.handle({ type: "received", bytes: Uint8Array.of(0, 0) }, 0)).toEqual([]); // no answer to answers
    const silent = new ChunkStream({ maxPacket: MAX, blocking: false, acks: false });
    expect(writes(silent.handle({ type: "received", bytes }, 0))).toEqual([]);
  });
});

function writes(out: readonly ChunkStreamOut[]): Uint8Array[] {
  return out.flatMap((effect) => (effect.type === "write" ? [effect.bytes] : []));
}

function packetsOf(out: readonly ChunkStreamOut[]): Uint8Array[] {
  return out.flatMap((effect) => (effect.type === "packet" ? [effect.packet] : []));
}
