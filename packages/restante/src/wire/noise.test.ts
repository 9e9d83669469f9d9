import { chacha20orig } from "@noble/ciphers/chacha.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parsePath } from "../card/index.ts";
import { createCrypto, createIdentity, portable } from "../crypto/index.ts";
import { Mesh } from "../mesh/index.ts";
import { Chance } from "../testing/chance.ts";
import { decloak, encodePacket, NoiseFloor, type NoiseFloorOptions, type NoiseFloorOut, parsePacket } from "./index.ts";

const EVERY = 50;
const START = 1_000_000;
const cipher: NoiseFloorOptions["cipher"] = (key, nonce, data) => chacha20orig(key, nonce, data);

function floor(options: Partial<NoiseFloorOptions> = {}): NoiseFloor {
  return new NoiseFloor({
    cipher,
    random: new Chance(1).random,
    bytes: 300,
    everyMs: EVERY,
    start: START,
    ...options,
  });
}

/** An outer packet of so many bytes. */
function packetOf(length: number, mark = 0): Uint8Array {
  return encodePacket(undefined, new Uint8Array(length - 2).fill(mark));
}

function sent(out: readonly NoiseFloorOut[]): Uint8Array[] {
  return out.flatMap((effect) => (effect.type === "transmit" ? [effect.bytes] : []));
}

function tick(machine: NoiseFloor): Uint8Array {
  const [bytes, ...more] = sent(machine.handle({ type: "tick" }, machine.deadline()));
  expect(more).toEqual([]);
  return bytes ?? expect.unreachable();
}

describe("a noise floor", () => {
  test("sends at the same times and in the same sizes, whatever is said", () => {
    const said = fc.array(fc.tuple(fc.nat(39), fc.integer({ min: 60, max: 292 })), { maxLength: 40 });
    fc.assert(
      fc.property(said, fc.nat(), (packets, seed) => {
        const [busy, quiet] = [
          floor({ random: new Chance(seed).random }),
          floor({ random: new Chance(seed + 1).random }),
        ];
        const seen: [number[], number[]] = [[], []];
        const times: [number[], number[]] = [[], []];
        for (let i = 0; i < 40; i++) {
          for (const [at, length] of packets) {
            if (at === i) busy.handle({ type: "packet", packet: packetOf(length) }, busy.deadline() - 1);
          }
          for (const [n, machine] of [busy, quiet].entries()) {
            times[n]?.push(machine.deadline());
            const bytes = tick(machine);
            expect(bytes[0]).not.toBe(0);
            seen[n]?.push(bytes.length);
          }
        }
        expect(seen[0]).toEqual(Array.from({ length: 40 }, (_, i) => 300 - (i % 8)));
        expect(seen[1]).toEqual(seen[0]);
        expect(times[0]).toEqual(Array.from({ length: 40 }, (_, i) => START + i * EVERY));
        expect(times[1]).toEqual(times[0]);
      }),
      { numRuns: 50 },
    );
  });

  test("delivers every packet it took, unchanged, and a lone one within eight ticks", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 60, max: 292 }), { maxLength: 30 }), fc.nat(7), (lengths, offset) => {
        const machine = floor();
        for (let i = 0; i < offset; i++) tick(machine);
        const packets = lengths.map((length, i) => packetOf(length, i));
        const taken = packets.filter((packet) => machine.handle({ type: "packet", packet }, START).length === 0);
        expect(taken).toEqual(packets.filter(({ length }) => machine.fits(length)));
        const perSize = Math.max(0, ...packets.map((p) => taken.filter((q) => q.length % 8 === p.length % 8).length));
        const got: Uint8Array[] = [];
        for (let i = 0; i < 8 * perSize; i++) {
          const { packet, rounds } = decloak(cipher, tick(machine)) ?? expect.unreachable();
          expect(rounds).toBeLessThanOrEqual(32);
          if (taken.some((one) => one.length === packet.length && one.every((byte, at) => byte === packet[at]))) {
            got.push(packet);
          }
        }
        expect(machine.length).toBe(0);
        // Packets that share a size class keep their order; others may overtake.
        for (let size = 0; size < 8; size++) {
          const same = (list: readonly Uint8Array[]) => list.filter(({ length }) => length % 8 === size);
          expect(same(got)).toEqual(same(taken));
        }
      }),
      { numRuns: 50 },
    );
  });

  test("refuses what no number of rounds brings to its size, and what finds no room", () => {
    const machine = floor({ queue: 2 });
    const why = (length: number) => machine.handle({ type: "packet", packet: packetOf(length) }, START);
    const refused = (length: number, reason: string) => [{ type: "refused", packet: packetOf(length), why: reason }];
    expect(why(293)).toEqual(refused(293, "size"));
    expect(why(36)).toEqual(refused(36, "size")); // 33 rounds
    expect(why(292)).toEqual([]);
    expect(why(37)).toEqual([]); // 32 rounds make 293
    expect(why(100)).toEqual(refused(100, "full"));
    expect(machine.length).toBe(2);
    expect(floor({ rounds: 255 }).fits(2)).toBe(true);
    expect(decloak(cipher, tick(machine))?.rounds).toBeLessThanOrEqual(4);
    expect(() => machine.handle({ type: "packet", packet: Uint8Array.of(1) }, START)).toThrow("broken invariant");
    for (const wrong of [
      { bytes: 63 },
      { bytes: 2049 },
      { bytes: 99.5 },
      { rounds: 0 },
      { rounds: 256 },
      { everyMs: 0 },
    ]) {
      expect(() => floor(wrong)).toThrow("broken invariant");
    }
  });

  test("hides a packet of any size where the other end takes any number of rounds", () => {
    for (const length of [18, 60, 500, 1392]) {
      const machine = floor({ bytes: 1400, rounds: 255 });
      expect(machine.handle({ type: "packet", packet: packetOf(length, 7) }, START)).toEqual([]);
      const found = Array.from({ length: 8 }, () => decloak(cipher, tick(machine), 255)?.packet);
      expect(found.filter((packet) => packet?.length === length)).toContainEqual(packetOf(length, 7));
      expect(machine.length).toBe(0);
    }
  });

  test("makes up for no tick that it missed, and is not silenced by a clock set back", () => {
    const machine = floor();
    expect(machine.handle({ type: "tick" }, START - 1)).toEqual([]);
    expect(machine.deadline()).toBe(START);
    expect(sent(machine.handle({ type: "tick" }, START + 10 * EVERY + 3))).toHaveLength(1);
    expect(machine.deadline()).toBe(START + 11 * EVERY); // on its own beat
    expect(machine.handle({ type: "tick" }, START + 10 * EVERY + 4)).toEqual([]);
    expect(machine.handle({ type: "tick" }, 0)).toEqual([]);
    expect(machine.deadline()).toBe(EVERY);
    expect(sent(machine.handle({ type: "tick" }, EVERY))).toHaveLength(1);
  });
});

test("noise is a cloaked packet that its receiver drops without a word", () => {
  const crypto = createCrypto(portable);
  const { random } = new Chance(2);
  const mesh = new Mesh({ crypto, identity: createIdentity(crypto, random), random, handles: () => 1 });
  const path = parsePath({ type: "udp4", ip: "192.0.2.1", port: 42424 }) ?? expect.unreachable();
  const rounds = new Set<number>();
  for (const bytes of [64, 300, 1400, 2048]) {
    const machine = floor({ bytes, random });
    for (let i = 0; i < 40; i++) {
      const noise = tick(machine);
      const found = decloak(cipher, noise) ?? expect.unreachable();
      rounds.add(found.rounds);
      const packet = parsePacket(found.packet);
      expect(packet?.head).toHaveLength(0);
      expect(packet?.body.length).toBeGreaterThanOrEqual(16);
      expect(mesh.handle({ type: "received", path, bytes: noise }, START)).toEqual([]);
    }
  }
  expect([...rounds].sort()).toEqual([1, 2, 3, 4]);
  expect(mesh.dropped).toEqual({ ...mesh.dropped, token: 160 });
  expect(Object.values(mesh.dropped).reduce((sum, count) => sum + count)).toBe(160);
  expect(mesh.links()).toEqual([]);
});
