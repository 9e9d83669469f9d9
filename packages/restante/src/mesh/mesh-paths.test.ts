/** The ways to a peer: which one is taken, and when it changes. */
import { describe, expect, test } from "vitest";
import { utf8 } from "../bytes/index.ts";
import type { Path } from "../card/index.ts";
import { portable } from "../crypto/index.ts";
import { openMessage, parseHandshake } from "../e3x/index.ts";
import { given } from "../testing/given.ts";
import { handshakeTo, isHandshake, linked, mem, Net, packets, type Sent, START, tcp } from "../testing/mesh-pairs.ts";
import { cloak, encodeChunks } from "../wire/index.ts";

const MINUTE = 60_000;

describe("paths", () => {
  test("[B6] a peer that moves takes the link with it, and the new path is tried with a handshake", () => {
    const [net, a, b] = linked();
    a.paths = [mem("elsewhere"), mem("p1")];
    const since = net.now;
    a.say(b, "I moved");
    net.run(1_000);
    // A channel packet could be a recording: so b asks at the new place.
    expect(packets(net.from(b, since)).filter(isHandshake).length).toBeGreaterThan(0);
    expect(b.mesh.links()[0]?.path).toEqual(mem("elsewhere"));
    a.paths = [mem("elsewhere")];
    b.say(a, "found you");
    net.run(1_000);
    expect([a.got, b.got]).toEqual([["found you"], ["I moved"]]);
    expect(b.logged("down")).toEqual([]);
  });

  test("[B6] a handshake from a new path is answered there, and the path tried with one of ours", () => {
    const [net, a, b] = linked();
    a.paths = [mem("elsewhere"), mem("p1")];
    const since = net.now;
    a.want(b, "link://new"); // makes a begin a handshake
    net.run(1_000);
    expect(b.mesh.links()[0]?.path).toEqual(mem("elsewhere"));
    const sent = packets(net.from(b, since)).filter(isHandshake);
    const ats = sent.map((one) => given(parseHandshake(given(openMessage(net.crypto, a.identity, one)).inner)).at);
    expect(new Set(ats).size).toBe(2); // the echo, and our own
    expect(net.from(b, since).every(({ to }) => to.name === "elsewhere")).toBe(true);
  });

  test("an old handshake is answered only where the peer is known to be", () => {
    const [net, a, b] = linked();
    const recorded = net.from(a).map(({ bytes }) => bytes);
    a.want(b, "link://new");
    net.run(5_000);
    const answers = recorded.flatMap((bytes) => net.inject(mem("attacker"), b, bytes));
    const paths = answers.flatMap((out) => (out.type === "transmit" ? out.path.name : []));
    expect(paths).toEqual(["p1"]);
  });

  test("a recording played from another address moves nothing", () => {
    const [net, a, b] = linked();
    a.say(b, "x");
    a.do({ type: "want", peer: { hashname: b.hashname, keys: b.identity.keys, paths: b.paths }, uri: "link://x" });
    net.run(1_000);
    const recorded = net.from(a).map(({ bytes }) => bytes);
    for (const bytes of recorded) {
      net.inject(mem("attacker"), b, bytes);
      net.run(2_000);
    }
    expect(b.mesh.links()[0]?.path).toEqual(mem("p1"));
    expect([b.logged("renewed"), b.logged("down")]).toEqual([[], []]);
    a.say(b, "y");
    net.run(1_000);
    expect(b.got).toEqual(["x", "y"]);
  });

  test("a recorded handshake from the future is answered there and doubted here: the link stays what it is", () => {
    const net = new Net();
    const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
    const recorded = handshakeTo(net, b, a.identity, BigInt(START) / 1000n + 10_000n);
    a.want(b);
    net.run(1_000);
    const since = net.now;
    net.inject(mem("attacker"), b, recorded);
    net.run(1_000);
    expect(packets(net.from(a, since)).filter(isHandshake).length).toBeGreaterThan(0); // the live peer answers the doubt
    net.run(2 * MINUTE);
    expect([a, b].map((peer) => peer.logged("up").length + peer.logged("down").length)).toEqual([1, 1]);
    expect(b.mesh.links()[0]?.path).toEqual(mem("p1"));
    expect(net.sent.some(({ to }) => to.name === "attacker")).toBe(true);
    a.say(b, "still here");
    net.run(1_000);
    expect(b.got).toEqual(["still here"]);
  });

  test("a peer that restarts elsewhere is renewed there", () => {
    const [net, a, b] = linked();
    b.say(a, "old");
    net.run(1_000);
    b.log.length = 0;
    a.restart();
    a.paths = [mem("elsewhere")];
    a.want(b);
    net.run(2_000);
    expect(b.log.filter(({ type }) => ["closed", "renewed", "up"].includes(type)).map(({ type }) => type)).toEqual([
      "closed",
      "renewed",
      "up",
    ]);
    expect(b.mesh.links()[0]?.path).toEqual(mem("elsewhere"));
  });

  test("a lost connection ends a link that has no other way; one that has goes that way", () => {
    const [, , alone] = linked(tcp);
    alone.do({ type: "path", path: tcp(1), open: false });
    expect(alone.logged("down").map(({ why }) => why)).toEqual(["path"]);
    const net = new Net();
    const [a, b] = [net.peer(tcp(1)), net.peer(tcp(2))];
    b.paths = [tcp(2), mem("p2")];
    a.want(b);
    net.run(1_000);
    b.paths = [mem("p2"), mem("p2")];
    a.paths = [mem("p1")];
    a.do({ type: "path", path: tcp(2), open: false });
    net.run(5_000);
    expect(a.mesh.links()).toEqual([{ hashname: b.hashname, state: "up", path: mem("p2") }]);
    expect(a.logged("down")).toEqual([]);
    a.say(b, "another way");
    net.run(1_000);
    expect(b.got).toEqual(["another way"]);
  });

  test("every packet on a stream is answered with a packet or a lone zero chunk", () => {
    const [net, a, b] = linked(tcp);
    const since = net.now;
    a.say(b, "unreliable", false);
    net.run(1_000);
    expect(net.from(b, since).map(({ bytes }) => [...bytes])).toEqual([[0]]);
  });

  test("whoever speaks without a cloak is answered without, whoever was ever heard with one is not", () => {
    for (const place of [(n: number) => mem(`p${n}`), tcp]) {
      const net = new Net();
      const [a, b] = [net.peer(place(1), { cloak: false }), net.peer(place(2))];
      a.want(b);
      net.run(1_000);
      const isPlain = ({ bytes, to }: Sent) => bytes.length > 1 && bytes[to.type === "tcp4" ? 1 : 0] === 0;
      expect(net.sent.length).toBeGreaterThan(3);
      expect(net.sent.every((one) => isPlain(one) || one.bytes.length === 1)).toBe(true); // 1: a zero chunk
      const [cloaked] = [net.peer(place(3))];
      cloaked.want(b);
      net.run(1_000);
      expect(net.sent.filter((one) => one.from === cloaked || one.to === place(3)).some(isPlain)).toBe(false);
      // One cloaked packet of a's, and the talk is cloaked from then on.
      a.say(b, "x", false);
      const last = packets(net.from(a)).at(-1);
      const hidden = cloak(portable.chacha20, given(last), net.chance.random);
      net.inject(place(1), b, place(1).type === "tcp4" ? encodeChunks(hidden) : hidden);
      const since = net.now;
      b.say(a, "y", false);
      expect(net.from(b, since).some(isPlain)).toBe(false);
    }
  });

  test("what a path does not take waits for it", () => {
    const [net, a, b] = linked();
    a.do({ type: "writable", path: mem("p2"), credit: 0 });
    a.say(b, "later");
    net.run(5_000);
    expect(b.got).toEqual([]);
    a.do({ type: "writable", path: mem("p2"), credit: 10_000 });
    net.run(1_000);
    expect(b.got).toEqual(["later"]);
  });
});

test("[X29] a stale handshake of an old peer on another stream gets a zero chunk there, or it would wait for ever", () => {
  const [net, a, b] = linked(tcp, new Net(), { cloak: false });
  const stale = given(packets(net.from(a)).find(isHandshake));
  a.want(b, "link://x"); // a handshake later than that one
  net.run(2_000);
  net.inject(tcp(9), b, encodeChunks(stale));
  net.inject(tcp(8), b, encodeChunks(cloak(portable.chacha20, stale, net.chance.random)));
  const to = (port: number) => net.from(b).filter((sent) => sent.to.port === port);
  expect(to(9).map(({ bytes }) => [...bytes])).toEqual([[0]]);
  expect(to(8)).toEqual([]); // who knows the cloak does not wait, and learns nothing by a recording
});

describe("what is under way", () => {
  test("[E11] is bounded by a window of ours, and where TCP carries it by what TCP takes, once that is told", () => {
    const ws = (n: number): Path => ({ type: "ws", url: `ws://10.0.0.${n}/` });
    for (const [place, credit] of [
      [tcp, 65],
      [ws, 65],
      [(n: number) => mem(`p${n}`), 31],
    ] as const) {
      const [, a, b] = linked(place);
      const first = (word: string): number | undefined => {
        const ch = a.say(b, word);
        return a.logged("writable").find((out) => out.ch === ch)?.credit;
      };
      expect(first("hello")).toBe(31);
      a.do({ type: "writable", path: place(2), credit: 100_000 });
      expect(first("again")).toBe(credit);
    }
  });

  test("a connection that is lost in the midst of a flight loses nothing of it: the link goes on by datagrams, with a window", () => {
    for (const through of [0, 1, 16, 17, 40, 60]) {
      const net = new Net();
      const [a, b] = [net.peer(tcp(1)), net.peer(tcp(2))];
      a.paths.push(mem("a"));
      b.paths.push(mem("b"));
      a.want(b);
      net.run(1_000);
      expect(a.mesh.links()[0]?.path?.type).toBe("tcp4");
      a.do({ type: "writable", path: tcp(2), credit: 200_000 });
      const ch = a.say(b, "0");
      net.run(100);
      let sent = 0;
      net.delays = ({ to, from }) => (to.type === "tcp4" && (from !== a || ++sent > through) ? [] : [10]);
      for (let n = 1; n <= 60; n++) a.do({ type: "send", ch, head: {}, body: utf8(String(n)) });
      a.do({ type: "path", path: tcp(2), open: false });
      net.run(25_000);
      expect(b.got).toEqual(Array.from({ length: 61 }, (_, n) => String(n)));
      expect(a.logged("closed")).toEqual([]);
      expect(a.logged("writable").at(-1)?.credit).toBeLessThan(144);
    }
  });
});
