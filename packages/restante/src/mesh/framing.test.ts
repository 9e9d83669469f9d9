import fc from "fast-check";
import { expect, test } from "vitest";
import type { Path } from "../card/index.ts";
import { portable } from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import { encodePacket } from "../wire/index.ts";
import { Framing } from "./framing.ts";

const { random } = new Chance(1);
const make = (cloak = true): Framing => new Framing({ cipher: portable.chacha20, random, cloak });
const udp: Path = { type: "udp4", ip: "10.0.0.1", port: 1 };
const tcp: Path = { type: "tcp4", ip: "10.0.0.1", port: 1 };

test("unwrap undoes wrap, on datagrams and on any split of a stream, cloaked or not", () => {
  const bodies = fc.array(fc.uint8Array({ maxLength: 1_300 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(bodies, fc.boolean(), fc.array(fc.nat({ max: 500 }), { maxLength: 20 }), (list, cloak, cuts) => {
      const [from, to] = [make(cloak), make()];
      const packets = list.map((body) => encodePacket(undefined, body));
      for (const packet of packets)
        expect(to.unwrap(udp, from.wrap(udp, packet)).map((one) => one?.packet)).toEqual([packet]);
      let stream = packets.flatMap((packet) => [...from.wrap(tcp, packet)]);
      const got: unknown[] = [];
      for (const cut of [...cuts, stream.length]) {
        got.push(...to.unwrap(tcp, Uint8Array.from(stream.slice(0, cut))).map((one) => one?.packet));
        stream = stream.slice(cut);
      }
      expect(got).toEqual(packets);
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

test("a new connection begins with a new packet, but the peer there still speaks as it did", () => {
  const framing = make();
  const packet = encodePacket(undefined, random(100));
  const plain = make(false).wrap(tcp, packet);
  framing.heard(tcp, 0);
  expect(framing.unwrap(tcp, plain.slice(0, 50))).toEqual([]);
  framing.restart(tcp);
  expect(framing.unwrap(tcp, plain).map((one) => one?.packet)).toEqual([packet]);
  expect(framing.wrap(tcp, packet)).toEqual(plain);
});
