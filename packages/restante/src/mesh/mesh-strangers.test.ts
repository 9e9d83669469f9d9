/** Those without a link: who is asked about, and how little the others cost. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type CipherSet, createCrypto, createIdentity, cs3a, portable } from "../crypto/index.ts";
import { encodeHandshake, keyPacket, openMessage, parseHandshake, sealMessage } from "../e3x/index.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { given } from "../testing/given.ts";
import { handshakeTo, linked, mem, Net, type Peer, packets, tcp } from "../testing/mesh-pairs.ts";
import { encodeChunks, encodePacket } from "../wire/index.ts";

const MINUTE = 60_000;

describe("approval", () => {
  test("[B5][B51][B52] sees all messages of a handshake together, in whatever order they come", () => {
    for (const reversed of [false, true]) {
      const net = new Net();
      const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
      // Of the two datagrams of each handshake the first may come later.
      let n = 0;
      net.delays = ({ from }) => [from === a && reversed && n++ % 2 === 0 ? 300 : 10];
      b.policy = ({ messages }) => (messages.length === 2 ? "approve" : "wait");
      a.want(b, "link://cache/?token");
      net.run(5_000);
      const [first, second] = b.logged("handshake");
      expect(first?.messages.map(({ type }) => type)).toEqual([reversed ? "uri" : "key"]);
      expect(second?.messages.map(({ type }) => type).sort()).toEqual(["key", "uri"]);
      expect(second?.messages.find(({ type }) => type === "uri")?.json["uri"]).toBe("link://cache/?token");
      expect(second?.hashname).toBe(a.hashname);
      expect(b.mesh.isUp(a.hashname)).toBe(true);
      expect(b.logged("up")).toHaveLength(1);
    }
  });

  test("[B49] of one type the highest `at` counts; equal and lower ones change nothing", () => {
    const net = new Net();
    const b = net.peer(mem("p2"));
    b.policy = () => "wait";
    const someone = createIdentity(net.crypto, net.chance.random);
    const shake = (at: bigint) => net.inject(mem("x"), b, handshakeTo(net, b, someone, at));
    expect(shake(100n)).toHaveLength(1);
    for (const at of [100n, 99n, 1n]) expect(shake(at)).toEqual([]);
    expect(shake(101n)).toHaveLength(1);
    expect(b.mesh.dropped.stale).toBe(3);
    b.do({ type: "approve", hashname: someone.hashname });
    const [echo] = packets(net.from(b));
    const opened = given(openMessage(net.crypto, someone, given(echo)));
    expect(given(parseHandshake(opened.inner)).at).toBe(101n);
  });

  test("is asked for once: resends are silent, and what nobody approves is forgotten after 30 s", () => {
    const net = new Net();
    const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
    b.policy = () => "wait";
    a.want(b);
    net.run(29_000);
    expect(b.logged("handshake")).toHaveLength(1);
    net.run(2_000);
    expect(b.do({ type: "approve", hashname: a.hashname })).toEqual([]);
    expect(b.mesh.deadline()).toBeUndefined();
  });

  test("a peer with a link tells a new uri without being asked about again", () => {
    const [net, a, b] = linked();
    a.want(b, "link://cache/?two");
    net.run(1_000);
    const [, news] = b.logged("handshake");
    expect(news).toMatchObject({ isNew: false, hashname: a.hashname });
    expect(news?.messages.map(({ json }) => json["uri"])).toEqual(["link://cache/?two"]);
    net.run(5 * MINUTE);
    expect(b.logged("handshake")).toHaveLength(2);
    expect(b.logged("up")).toHaveLength(1);
    b.do({ type: "reject", hashname: a.hashname });
    expect(b.logged("down")).toEqual([{ type: "down", hashname: a.hashname, why: "rejected" }]);
  });

  test("[A23] rests on proof: a handshake under another's key is dropped", () => {
    const net = new Net();
    const b = net.peer(mem("p2"));
    const [alice, mallory] = [0, 1].map(() => createIdentity(net.crypto, net.chance.random));
    const inner = encodeHandshake(100n, { type: "key", json: {}, body: keyPacket(portable, given(alice), 1) });
    const options = { from: given(mallory), to: b.identity.keys, inner, random: net.chance.random };
    expect(net.inject(mem("x"), b, given(sealMessage(net.crypto, options)))).toEqual([]);
    expect(b.mesh.dropped.forged).toBe(1);
  });

  test("[A17] is not given for a lower cipher set than the two of us have", () => {
    const net = new Net({ crypto: createCrypto(portable, [cs01(), cs3a(portable)]) });
    const [own, someone] = [0, 1].map(() => createIdentity(net.crypto, net.chance.random, [1, 0x3a]));
    const b = net.peer(mem("p2"), { identity: given(own) });
    expect(net.inject(mem("x"), b, handshakeTo(net, b, given(someone), 100n, 1))).toEqual([]);
    expect(b.mesh.dropped.downgrade).toBe(1);
    expect(net.inject(mem("x"), b, handshakeTo(net, b, given(someone), 100n, 0x3a))).not.toEqual([]);
  });

  test("mail never comes by a socket: a message whose inner is no handshake is dropped", () => {
    const net = new Net();
    const b = net.peer(mem("p2"));
    const from = createIdentity(net.crypto, net.chance.random);
    for (const head of [{ type: "mail", v: 1 }, { type: "mail", at: 100 }, { at: "100" }]) {
      const inner = encodePacket(head, keyPacket(portable, from, 1));
      const options = { from, to: b.identity.keys, inner, random: net.chance.random };
      expect(net.inject(mem("x"), b, given(sealMessage(net.crypto, options)))).toEqual([]);
    }
    expect(b.mesh.dropped.malformed).toBe(3);
  });
});

describe("strangers", () => {
  /** A cipher set that counts what it is asked to do. */
  function counting(): { set: CipherSet; count: { opens: number } } {
    const count = { opens: 0 };
    const set = cs01();
    const open: CipherSet["open"] = (to, body) => {
      count.opens += 1;
      return set.open(to, body);
    };
    return { set: { ...set, open }, count };
  }

  test("who send valid handshakes in masses cost a bounded number of openings and a bounded room", () => {
    const { set, count } = counting();
    const net = new Net({ crypto: createCrypto(portable, [set]) });
    const b = net.peer(mem("p2"));
    b.policy = () => "wait";
    for (let i = 0; i < 4_000; i++) {
      const someone = createIdentity(net.crypto, net.chance.random);
      net.inject(mem(`x${i}`), b, handshakeTo(net, b, someone, 100n));
      net.now += 5;
    }
    expect(count.opens).toBeLessThanOrEqual(100 + 20 * 50);
    expect(b.mesh.dropped.budget).toBe(4_000 - count.opens);
    expect(net.from(b)).toEqual([]);
    net.run(31_000);
    expect(b.mesh.deadline()).toBeUndefined();
  });

  test("cannot keep out a peer that we look for, nor one with a link even if they see the wire and send from there", () => {
    const { set, count } = counting();
    const net = new Net({ crypto: createCrypto(portable, [set]) });
    const [a, b, c] = [net.peer(mem("p1")), net.peer(mem("p2")), net.peer(mem("p3"))];
    a.want(b);
    net.run(1_000);
    const seen = given(packets(net.from(a))[0]).slice(0, 35); // head, and a's ephemeral key
    const garbage = (kept: number) => Uint8Array.from([...seen.slice(0, kept), ...net.chance.random(200 - kept)]);
    const flood = (from: string, ms: number, step: number) => {
      for (let i = 0; i < ms; i += step) {
        for (const kept of [3, 3, 19, 19]) net.inject(mem(from), b, garbage(kept));
        net.run(step);
      }
    };
    flood("x", 1_000, 1);
    expect(count.opens).toBeLessThan(200);
    expect(b.mesh.dropped.budget).toBeGreaterThan(3_800);
    b.want(c); // answers with a token never seen before, but from where it was asked
    flood("x", 900, 1);
    expect(b.mesh.isUp(c.hashname)).toBe(true);
    flood("p1", 65_000, 10);
    net.inject(mem("p1"), b, garbage(35));
    expect([a.logged("down"), b.logged("down")]).toEqual([[], []]);
  });

  test("with random bytes on any path, whole or in pieces, cause neither a throw nor a word", () => {
    const net = new Net();
    const [a, b] = linked(undefined, net).slice(1) as [Peer, Peer];
    a.say(b, "x");
    net.run(1_000);
    const genuine = net.from(a).map(({ bytes }) => bytes);
    const some = fc.oneof(
      fc.uint8Array({ maxLength: 1_500 }),
      fc.uint8Array({ maxLength: 60 }).map((bytes) => encodePacket(undefined, bytes)),
      fc.uint8Array({ maxLength: 200 }).map((bytes) => encodePacket(Uint8Array.of(1), bytes)),
      fc.uint8Array({ maxLength: 80 }).map((bytes) => encodePacket({ type: "key", at: 5 }, bytes)),
    );
    fc.assert(
      fc.property(some, fc.constantFrom(mem("x"), mem("p1"), tcp(7)), fc.nat(), (bytes, path, at) => {
        const damaged = given(genuine[at % genuine.length]).slice();
        damaged[at % damaged.length] = given(damaged[at % damaged.length]) ^ (1 + (at % 255));
        for (const input of [bytes, encodeChunks(bytes), damaged])
          expect(net.inject(path, b, input).filter(({ type }) => type === "transmit")).toEqual([]);
      }),
      { numRuns: 500 },
    );
    expect(Object.values(b.mesh.dropped).reduce((sum, n) => sum + n)).toBeGreaterThan(500);
    expect(b.logged("down")).toEqual([]);
  });
});
