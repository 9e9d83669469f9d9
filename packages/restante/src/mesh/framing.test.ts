import fc from "fast-check";
import { expect, test } from "vitest";
import type { Path } from "../card/index.ts";
import { portable } from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import { encodePacket } from "../wire/index.ts";
import { Framing, type Unwrapped } from "./framing.ts";

const { random } = new Chance(1);
const make = (cloak = true): Framing => new Framing({ cipher: portable.chacha20, random, cloak });
const udp: Path = { type: "udp4", ip: "10.0.0.1", port: 1 };
const tcp: Path = { type: "tcp4", ip: "10.0.0.1", port: 1 };

const packetOf = (one: Unwrapped | undefined): Uint8Array | undefined => one?.bytes.subarray(one.at);

test("unwrap undoes wrap, on datagrams and on any split of a stream, cloaked or not", () => {
  const bodies = fc.array(fc.uint8Array({ maxLength: 1_300 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(bodies, fc.boolean(), fc.array(fc.nat({ max: 500 }), { maxLength: 20 }), (list, cloak, cuts) => {
      const [from, to] = [make(cloak), make()];
      const packets = list.map((body) => encodePacket(undefined, body));
      for (const packet of packets)
        expect(to.unwrap(udp, from.wrap(udp, packet)).map((one) => packetOf(one))).toEqual([packet]);
      let stream = packets.flatMap((packet) => [...from.wrap(tcp, packet)]);
      const got: unknown[] = [];
      for (const cut of [...cuts, stream.length]) {
        const read = to.unwrap(tcp, Uint8Array.from(stream.slice(0, cut)));
        for (const one of read) to.heard(tcp, one?.rounds ?? 0);
        got.push(...read.map((one) => packetOf(one)));
        stream = stream.slice(cut);
      }
      expect(got).toEqual(packets);
    }),
  );
});

test("a packet with free bytes before it is wrapped as any other, and its neighbours stay as they are", () => {
  const body = fc.uint8Array({ minLength: 50, maxLength: 1_390 });
  fc.assert(
    fc.property(body, fc.constantFrom(udp, tcp), fc.boolean(), fc.nat(80), (bytes, path, cloak, free) => {
      const packet = encodePacket(undefined, bytes);
      const buffer = new Uint8Array(packet.length + 100).fill(7);
      buffer.set(packet, 90);
      const wire = make(cloak).wrap(path, buffer.subarray(90 - free, 90 + packet.length), free);
      expect(
        make()
          .unwrap(path, wire.slice())
          .map((one) => packetOf(one)),
      ).toEqual([packet]);
      expect([...buffer.subarray(0, 90 - free), ...buffer.subarray(90 + packet.length)].every((b) => b === 7)).toBe(
        true,
      );
    }),
  );
});

test("a packet longer than any of ours is noise, and so is what has nothing under its cloak", () => {
  const framing = make();
  expect(framing.unwrap(udp, new Uint8Array(2_049))).toEqual([undefined]);
  expect(framing.unwrap(udp, Uint8Array.of(1, 2, 3))).toEqual([undefined]);
  expect(framing.unwrap(udp, new Uint8Array(0))).toEqual([undefined]);
});

test("remembers a bounded number of paths, and none for datagrams that nobody verified", () => {
  const framing = make();
  for (let port = 1; port < 10_000; port++) framing.unwrap({ ...udp, port }, random(50));
  expect(framing.size).toBe(0);
  for (let port = 1; port < 10_000; port++) framing.unwrap({ ...tcp, port }, random(50));
  expect(framing.size).toBe(4_096);
});

test("a path where a cloak was ever heard is never plain again, one without any is", () => {
  const framing = make();
  const packet = encodePacket(undefined, random(100));
  const isPlain = () => framing.wrap(udp, packet).length === packet.length;
  const heard = [0, 2, 0].map((rounds) => {
    framing.heard(udp, rounds);
    return isPlain();
  });
  expect(heard).toEqual([true, false, false]);
});

test("an old peer is who was verified without a cloak, on each connection of a stream anew", () => {
  for (const path of [udp, tcp]) {
    const framing = make();
    const facts: boolean[] = [];
    const note = () => facts.push(framing.isOld(path));
    framing.unwrap(path, make(false).wrap(path, encodePacket(undefined, random(100))));
    note(); // nothing is verified yet
    framing.heard(path, 0);
    note();
    framing.restart(path);
    note();
    framing.heard(path, 0);
    framing.heard(path, 1);
    note();
    expect(facts).toEqual([false, true, path === udp, false]);
  }
});

test("a new connection begins with a new packet, but the peer there still speaks as it did", () => {
  const framing = make();
  const packet = encodePacket(undefined, random(100));
  const plain = make(false).wrap(tcp, packet);
  framing.heard(tcp, 0);
  expect(framing.unwrap(tcp, plain.slice(0, 50))).toEqual([]);
  framing.restart(tcp);
  expect(framing.unwrap(tcp, plain).map((one) => packetOf(one))).toEqual([packet]);
  expect(framing.wrap(tcp, packet)).toEqual(plain);
});

test("[X29] where a path is marked for old peers nothing is cloaked, unless they do", () => {
  const packet = encodePacket(undefined, random(100));
  for (const path of [udp, tcp]) {
    const framing = make();
    const marked: Path = { ...path, compat: true };
    const plain = make(false).wrap(path, packet);
    expect(framing.wrap(marked, packet)).toEqual(plain);
    expect(framing.wrap({ ...path, port: 2 }, packet)).not.toEqual(plain);
    framing.heard(path, 1);
    expect(framing.wrap(marked, packet)).not.toEqual(plain);
  }
});

/** As telehash-c writes it: without the zero chunk when the last fragment is a single byte. */
const unended = (packet: Uint8Array): Uint8Array => make(false).wrap(tcp, packet).slice(0, -1);

test("a packet whose last fragment is one byte is read without its zero chunk, when it is verified", () => {
  for (const chunks of [1, 2, 3]) {
    const framing = make();
    const packets = [3, 4, 5].map(() => encodePacket(undefined, random(255 * chunks - 1)));
    for (const packet of packets) {
      const stream = unended(packet);
      expect(framing.unwrap(tcp, stream.slice(0, -1))).toEqual([]);
      expect(framing.unwrap(tcp, stream.slice(-1))).toEqual([{ bytes: packet, at: 0, rounds: 0 }]);
      framing.heard(tcp, 0);
    }
    expect(framing.unwrap(tcp, Uint8Array.of(0))).toEqual([]); // the zero chunk came after all: it says nothing now
  }
});

test("what only looked like such a packet loses nothing", () => {
  const framing = make();
  const packet = encodePacket(undefined, random(600));
  const [start, rest] = [packet.slice(0, 256), packet.slice(256)];
  const chunk = (bytes: Uint8Array) => Uint8Array.of(bytes.length, ...bytes);
  framing.unwrap(tcp, chunk(start.slice(0, 255)));
  expect(framing.unwrap(tcp, chunk(start.slice(255))).map((one) => packetOf(one))).toEqual([start]); // fails to open
  framing.unwrap(tcp, chunk(rest.slice(0, 200)));
  const end = Uint8Array.of(...chunk(rest.slice(200)), 0);
  expect(framing.unwrap(tcp, end).map((one) => packetOf(one))).toEqual([packet]);
});

test("on a stream channel packets have one round and handshakes one to four, in datagrams all have one to four", () => {
  const bytes = random(100);
  const packets = { channel: encodePacket(undefined, bytes), handshake: encodePacket(Uint8Array.of(0x3a), bytes) };
  const rounds = (path: Path, packet: Uint8Array): number[] => {
    const read = Array.from({ length: 100 }, () => make().unwrap(path, make().wrap(path, packet)));
    expect(read.every((list) => list.length === 1)).toBe(true);
    return [...new Set(read.map(([one]) => one?.rounds ?? 0))].sort();
  };
  expect(rounds(tcp, packets.channel)).toEqual([1]);
  for (const some of [rounds(tcp, packets.handshake), rounds(udp, packets.channel), rounds(udp, packets.handshake)])
    expect(some).toEqual([1, 2, 3, 4]);
});

test("a cloaked stream is never guessed at", () => {
  const framing = make();
  const packet = encodePacket(undefined, random(255 - 1 - 8));
  let stream = make().wrap(tcp, packet);
  while (stream.length !== 256 + 2 + 1) stream = make().wrap(tcp, packet); // one round
  expect(framing.unwrap(tcp, stream.slice(0, -1))).toEqual([]);
  expect(framing.unwrap(tcp, stream.slice(-1)).map((one) => packetOf(one))).toEqual([packet]);
});

test("[X29] who waits for a chunk after each packet is never taken for one who does not", () => {
  const steps = fc.array(fc.constantFrom("packet", "say", "acknowledge", "reconnect"), { maxLength: 300 });
  fc.assert(
    fc.property(steps, fc.boolean(), (list, cloak) => {
      const [framing, old] = [make(cloak), make(false)];
      let mayGoOn = true; // as telehash-c: any chunk lets it send one packet more
      for (const step of list) {
        const packet = encodePacket(undefined, random(300));
        if (step === "reconnect") {
          framing.restart(tcp);
          mayGoOn = true;
        } else if (step === "packet" && mayGoOn) {
          expect(framing.unwrap(tcp, old.wrap(tcp, packet))).toHaveLength(1);
          mayGoOn = false;
        } else if (step !== "packet") {
          mayGoOn = (step === "say" ? framing.wrap(tcp, packet) : framing.acknowledgement(tcp)).length > 0;
        }
        expect(framing.waits(tcp)).toBe(true);
      }
    }),
  );
});

test("who is far ahead of what we said does not wait for it, until it connects anew", () => {
  const [framing, other] = [make(), make()];
  const packet = encodePacket(undefined, random(300));
  let sent = 0;
  for (; framing.waits(tcp) && sent < 1_000; sent++) framing.unwrap(tcp, other.wrap(tcp, packet));
  expect(sent).toBe(65);
  for (let i = 0; i < 100; i++) framing.wrap(tcp, packet);
  expect(framing.waits(tcp)).toBe(false);
  framing.restart(tcp);
  expect(framing.waits(tcp)).toBe(true);
});

test("how a path speaks does not depend on which path object names it, nor on what was asked between", () => {
  const packet = encodePacket(undefined, random(100));
  const framing = make();
  const paths = [tcp, { ...tcp }, udp, { ...udp }, { ...udp, port: 2 }];
  for (const path of paths) expect(framing.cloaks(path)).toBe(true);
  framing.heard(tcp, 0);
  expect(paths.map((path) => framing.cloaks(path))).toEqual([false, false, true, true, true]);
  framing.heard({ ...udp }, 0);
  expect(paths.map((path) => framing.cloaks(path))).toEqual([false, false, false, false, true]);
  framing.heard({ ...tcp }, 1);
  expect(paths.map((path) => framing.cloaks(path))).toEqual([true, true, false, false, true]);
  // Half of a packet under one object goes on under another, also when other paths spoke meanwhile.
  const stream = make(false).wrap(tcp, packet);
  expect(framing.unwrap({ ...tcp }, stream.slice(0, 40))).toEqual([]);
  framing.unwrap({ ...tcp, port: 3 }, stream.slice(0, 10));
  expect(framing.unwrap(tcp, stream.slice(40)).map((one) => packetOf(one))).toEqual([packet]);
});
