import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toHex, utf8 } from "../bytes/index.ts";
import {
  type Backend,
  createCrypto,
  createIdentity,
  cs3a,
  type Hashname,
  hashnameFromBytes,
  type Identity,
  portable,
  routingToken,
} from "../crypto/index.ts";
import { encodeHandshake, keyPacket, openMessage, parseHandshake } from "../e3x/index.ts";
import { Chance } from "../testing/chance.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import {
  behind,
  DATAGRAMS,
  given,
  isChannelPacket,
  linked,
  MeshNet,
  type MeshPeer,
  open,
  type Scene,
  STREAMS,
  uncloaked,
} from "../testing/meshes.ts";
import { encodePacket, type JsonObject } from "../wire/index.ts";
import { connectHead, fits, parseAttached, peerHead, Router } from "./routing.ts";

const MINUTE = 60_000;
const START = 1_700_000_000_000;

describe.each([
  ["datagrams", DATAGRAMS],
  ["streams", STREAMS],
])("over %s", (_, names) => {
  test("two that reach only a router get a link by it, talk both ways, and keep it", () => {
    const { net, a, r, b } = linked(undefined, names);
    for (let i = 0; i < 5; i++) {
      a.say(b, `a${i}`);
      b.say(a, `b${i}`, i % 2 === 0);
    }
    net.run(2_000);
    expect(b.got).toEqual(["a0", "a1", "a2", "a3", "a4"]);
    expect(a.got).toEqual(["b0", "b1", "b2", "b3", "b4"]);
    net.run(30 * MINUTE);
    expect([...a.logged("down"), ...b.logged("down")]).toEqual([]);
    expect(r.got).toEqual([]);
    a.say(b, "still there");
    net.run(1_000);
    expect(b.got.at(-1)).toBe("still there");
  });

  test("all are peers of one router: a link by it comes up with whoever wants it, before or after the router's", () => {
    const net = new MeshNet();
    net.onlyBy(names[1]);
    const r = net.peer(names[1], { routing: { allows: () => true } });
    const [a, b] = [names[0], names[2]].map((name) => net.peer(name, { routers: [r.hashname] }));
    given(a).want(given(b), [r]); // nobody has a link to the router yet
    net.run(5_000);
    given(b).want(r);
    given(a).want(r);
    net.run(2_000);
    expect(given(a).isUp(given(b))).toBe(true);
  });
});

describe("channels by a router", () => {
  test("reliable ones are reliable, however much is lost, doubled and out of order on both hops", () => {
    const { net, a, r, b } = linked(new MeshNet({ seed: 5 }));
    net.loss = 0.15;
    net.duplicate = 0.1;
    net.latency = [5, 300];
    const texts = Array.from({ length: 60 }, (_, i) => `text ${i}`);
    let ch: number | undefined;
    const left = [...texts];
    const send = (credit: number): void => {
      for (const text of left.splice(0, credit))
        a.do({ type: "send", ch: ch ?? 0, head: {}, body: utf8(text), end: left.length === 0 });
    };
    a.watch = (effect) => {
      if (effect.type === "writable" && effect.ch === ch) send(effect.credit);
    };
    ch = a.handle();
    a.do({ type: "open", ch, peer: b.hashname, reliable: true, head: { type: "test" }, body: utf8("first") });
    net.run(5 * MINUTE);
    expect(b.got).toEqual(["first", ...texts]);
    expect(Math.max(...net.between(r, b).map(({ bytes }) => bytes.length))).toBeLessThan(1500);
  });

  test("what no router passes on for 10 s is asked about, so a standing channel survives the router's restart", () => {
    const { net, a, r, b } = linked();
    a.say(b, "before");
    net.run(2_000);
    r.restart();
    a.say(b, "during");
    net.run(40_000);
    b.say(a, "back");
    net.run(5_000);
    expect([b.got, a.got]).toEqual([["before", "during"], ["back"]]);
    expect([...a.logged("down"), ...b.logged("down")].filter(({ hashname }) => hashname !== r.hashname)).toEqual([]);
  });
});

describe("whoever starts anew", () => {
  const talk = ({ net, a, b }: Scene): void => {
    for (const peer of [a, b]) peer.got.length = 0;
    a.say(b, "to b");
    b.say(a, "to a");
    net.run(15_000);
    expect([a.got, b.got]).toEqual([["to a"], ["to b"]]);
  };

  test("the router has forgotten all, and is told again", () => {
    for (const gap of [0, 20_000, 10 * MINUTE]) {
      const scene = linked();
      const { net, r } = scene;
      net.run(gap);
      r.restart();
      net.run(2 * MINUTE);
      talk(scene);
    }
  });

  test("the first packet after the router's restart passes: whose handshake it relays, it has asked to prove its place", () => {
    const scene = linked();
    const { net, a, r, b } = scene;
    r.restart();
    net.run(2 * MINUTE);
    expect([a.way(b), b.way(a)]).toEqual(["peer", "peer"]);
    const { route } = r.mesh.dropped;
    a.say(b, "to b", false); // unreliable: nobody repeats them
    b.say(a, "to a", false);
    net.run(1_000);
    expect([a.got, b.got, r.mesh.dropped.route]).toEqual([["to a"], ["to b"], route]);
  });

  test("the one who wants the link wants it again", () => {
    const scene = linked();
    const { net, a, r, b } = scene;
    a.restart();
    a.want(r);
    a.want(b, [r]);
    net.run(5_000);
    expect(b.logged("renewed").map(({ hashname }) => hashname)).toEqual([a.hashname]);
    talk(scene);
  });

  test("the other one is found again", () => {
    const scene = linked();
    const { net, a, r, b } = scene;
    b.restart();
    b.want(r);
    net.run(2 * MINUTE);
    expect(a.isUp(b)).toBe(true);
    talk(scene);
  });

  test("a router that is gone for an hour is looked for, and what it carried is there again with it", () => {
    const scene = linked();
    const { net, a, r, b } = scene;
    r.stop();
    net.run(60 * MINUTE);
    expect([a.isUp(b), a.isUp(r)]).toEqual([false, false]);
    r.restart();
    net.run(15 * MINUTE); // attempts have become as rare as every 10 min
    talk(scene);
  });
});

describe("between a straight path and a router", () => {
  const withPaths = (): Scene => linked(undefined, undefined, { paths: true });

  test("the straight one is used alone where it works, and the router is not even asked", () => {
    const { net, a, r, b } = behind();
    net.reaches = () => true;
    a.want(b, [b, r]);
    net.run(5_000);
    expect([a.way(b), b.way(a)]).toEqual(["b", "a"]);
    expect(r.mesh.dropped.route).toBe(0);
    expect(b.logged("handshake").map(({ path }) => path.type)).not.toContain("peer");
  });

  test("with a straight one that does not work the router is used a second later", () => {
    const { net, a, r, b } = behind();
    a.want(b, [b, r]);
    net.run(900);
    expect(a.isUp(b)).toBe(false);
    net.run(1_000);
    expect([a.isUp(b), a.way(b)]).toEqual([true, "peer"]);
  });

  test("[B6] they tell each other their addresses, and move there when it can be reached, both ways", () => {
    const { net, a, r, b } = withPaths();
    net.run(3 * MINUTE);
    expect(a.way(b)).toBe("peer");
    net.reaches = () => true;
    net.sent.length = 0;
    net.run(5 * MINUTE);
    expect([a.way(b), b.way(a)]).toEqual(["b", "a"]);
    // The first that went the new way, in each direction, was a handshake.
    for (const [first] of [net.between(a, b), net.between(b, a)])
      expect(isChannelPacket(given(first).bytes)).toBe(false);
    const since = net.now;
    a.say(b, "straight");
    b.say(a, "back");
    net.run(1_000);
    expect([a.got, b.got]).toEqual([["back"], ["straight"]]);
    expect([net.between(a, r, since), net.between(b, r, since)].flat().filter((s) => isChannelPacket(s.bytes))).toEqual(
      [],
    );
  });

  test("trying costs a keepalive each, at growing intervals", () => {
    const { net, a, b } = withPaths();
    net.run(30 * MINUTE);
    net.sent.length = 0;
    net.run(60 * MINUTE);
    // Two peers, a try every 10 min with one repeat: 24 in an hour, and as many again for the other's.
    const tries = [...net.between(a, b), ...net.between(b, a)];
    expect(tries.length).toBeGreaterThan(8);
    expect(tries.length).toBeLessThan(60);
    expect(tries.every(({ bytes }) => !isChannelPacket(bytes))).toBe(true);
    expect([...a.logged("down"), ...b.logged("down")]).toEqual([]);
  });

  test("when the straight path closes the link goes on by the router, without going down", () => {
    const { net, a, r, b } = withPaths();
    net.reaches = () => true;
    net.run(5 * MINUTE);
    expect([a.way(b), b.way(a)]).toEqual(["b", "a"]);
    for (const direction of ["both", "one way"] as const) {
      const [up, down] = [a.log.length, b.log.length];
      net.reaches = (from, to) => from === "r" || to === "r" || (direction === "one way" && from === "a");
      net.run(2 * MINUTE);
      expect([a.way(b), b.way(a)]).toEqual(["peer", "peer"]);
      a.say(b, direction);
      b.say(a, direction);
      net.run(1_000);
      expect([a.got.at(-1), b.got.at(-1)]).toEqual([direction, direction]);
      const since = [...a.log.slice(up), ...b.log.slice(down)];
      expect(since.filter(({ type }) => type === "down" || type === "renewed")).toEqual([]);
      net.reaches = () => true;
      net.run(20 * MINUTE);
      expect([a.way(b), b.way(a)]).toEqual(["b", "a"]);
    }
    expect(r.got).toEqual([]);
  });

  test("[B7] keepalives go by the router as well, and keep what it remembers", () => {
    const { net, a, r, b } = linked();
    net.sent.length = 0;
    net.run(20 * MINUTE);
    expect(net.between(r, b).filter(({ bytes }) => isChannelPacket(bytes)).length).toBeGreaterThan(30);
    const ch = b.say(a, "after all the time", false);
    net.run(100);
    expect([a.got, ch > 0]).toEqual([["after all the time"], true]);
  });
});

describe("tokens at the router", () => {
  test("[B45][X2] packets come back to who sent the handshake, under either form of its token", () => {
    const set = cs01();
    const seen: Uint8Array[] = []; // what handshakes to b begin with
    const crypto = createCrypto(portable, [
      {
        ...set,
        open: (to, body) => {
          if (to === b?.identity.pairs.get(1)) seen.push(body.slice(0, 16));
          return set.open(to, body);
        },
      },
    ]);
    let b: MeshPeer | undefined;
    const scene = behind(new MeshNet({ crypto }), undefined, { cloak: false });
    const { net, a, r } = scene;
    b = scene.b;
    seen.length = 0;
    a.want(b, [r]);
    net.run(2_000);
    const prefix = given(seen[0]);
    net.reaches = () => false;
    b.say(a, "once", false);
    const packet = given(net.between(b, r).at(-1)).bytes;
    expect(packet.subarray(2, 18)).toEqual(routingToken(portable, prefix));
    net.onlyBy("r");
    const raw = packet.slice();
    raw.set(prefix, 2);
    const transmits = (from: MeshPeer, bytes: Uint8Array) =>
      r.do({ type: "received", path: from.path, bytes }).filter(({ type }) => type === "transmit");
    for (const bytes of [raw, packet]) {
      expect(transmits(b, bytes)).toEqual([{ type: "transmit", path: a.path, bytes }]);
      expect(transmits(a, bytes)).toEqual([]); // from where the other end of the pair is not
    }
    net.run(1_000);
    expect(a.got).toEqual(["once"]); // the second one is a repeat
    raw.fill(7, 2, 18);
    expect(transmits(b, raw)).toEqual([]);
    expect(r.mesh.dropped.token).toBe(1);
  });

  test("[A25] the prefix that stays maps packets, and spares who knows it from agreeing on keys again", () => {
    const count = { agreed: 0 };
    const backend: Backend = {
      ...portable,
      beforenm: (...args) => {
        count.agreed += 1;
        return portable.beforenm(...args);
      },
    };
    const { net, a, b, r } = linked(new MeshNet({ crypto: createCrypto(backend, [cs3a(backend)]) }));
    net.run(MINUTE);
    const agreed = count.agreed;
    for (let i = 0; i < 10; i++) {
      a.do({ type: "want", peer: { ...a.wish(b, [r]) }, uri: `link:///?${i}` }); // new handshakes of the same exchange
      net.run(10_000);
    }
    expect(b.logged("handshake").filter(({ isNew }) => !isNew).length).toBe(10);
    a.say(b, "mapped");
    net.run(1_000);
    expect(b.got).toEqual(["mapped"]);
    expect(count.agreed).toBe(agreed);
  });

  test("who has not answered the router at its new address is asked to, before packets go there", () => {
    const { net, a, r, b } = linked();
    const shake = (uri: string): void => void b.do({ type: "want", peer: b.wish(r, [r]), uri });
    b.name = "elsewhere";
    shake("link:///?1");
    net.reaches = (from, to) => from === "r" && to === "elsewhere"; // the echo of what the router asks back is lost
    net.run(30);
    net.onlyBy("r");
    net.run(500);
    shake("link:///?2"); // newer than what the router asked: that is answered by it, and the address is not proven
    net.run(400);
    expect([r.way(b), b.way(r)]).toEqual(["elsewhere", "r"]);
    const since = net.now;
    a.say(b, "to the new address");
    net.run(0);
    expect(net.between(r, b, since)).toEqual([]);
    net.run(5_000);
    expect(b.got).toEqual(["to the new address"]);
  });

  const [alice, bob, carol] = [1, 2, 3].map((n) => hashnameFromBytes(new Uint8Array(32).fill(n))) as [
    Hashname,
    Hashname,
    Hashname,
  ];
  const allowing = (): Router => new Router(portable, { allows: () => true });
  const name = (body: Uint8Array): string => toHex(body.subarray(0, 16));

  test("a token is whose it was first, for as long as it is used; then it is forgotten", () => {
    const router = allowing();
    const body = new Chance(1).random(100);
    router.connect(body, alice, bob, START);
    router.connect(body, carol, bob, START);
    router.connect(body, alice, carol, START);
    const forms = [name(body), toHex(routingToken(portable, body))];
    for (const form of forms) expect(router.find(form)).toMatchObject({ owner: alice, peer: bob });
    for (let t = START; t < START + 60 * MINUTE; t += 4 * MINUTE) {
      router.expire(t);
      const bridge = given(router.find(given(forms[0])));
      if (t % (8 * MINUTE) === 0) expect(router.passes(bridge, 100, t)).toBe(true);
      else router.connect(body, alice, bob, t); // another handshake
    }
    const last = START + 56 * MINUTE;
    expect(router.deadline()).toBe(last + 5 * MINUTE);
    router.expire(last + 5 * MINUTE - 1);
    expect(router.size).toBe(1);
    router.expire(last + 5 * MINUTE);
    expect([router.size, router.deadline(), ...forms.map((form) => router.find(form))]).toEqual([
      0,
      undefined,
      undefined,
      undefined,
    ]);
    router.connect(body, carol, bob, last);
    expect(router.find(given(forms[1]))?.owner).toBe(carol);
  });

  test("nobody has more than 256, and all together not more than 16,384", () => {
    const router = allowing();
    const { random } = new Chance(2);
    const bodies = Array.from({ length: 1_000 }, () => random(16));
    for (const body of bodies) router.connect(body, alice, bob, START);
    expect(router.size).toBe(256);
    expect(bodies.filter((body) => router.find(name(body)) !== undefined)).toEqual(bodies.slice(-256));
    for (let i = 0; i < 100; i++) {
      const owner = hashnameFromBytes(random(32));
      for (let j = 0; j < 200; j++) router.connect(random(16), owner, bob, START);
    }
    expect(router.size).toBe(16_384);
    router.expire(START + 5 * MINUTE);
    expect(router.size).toBe(0);
  });

  test("a pair has its bytes per second, in both directions together and whatever the tokens", () => {
    const router = new Router(portable, { allows: () => true, bytesPerSecond: 10_000 });
    const { random } = new Chance(3);
    let [passed, other] = [0, 0];
    for (let ms = 0; ms < 10_000; ms += 10) {
      const body = random(16);
      router.connect(body, ms % 20 === 0 ? alice : bob, ms % 20 === 0 ? bob : alice, START + ms);
      if (router.passes(given(router.find(name(body))), 1_000, START + ms)) passed += 1_000;
      const more = random(16);
      router.connect(more, alice, carol, START + ms);
      if (ms % 100 === 0 && router.passes(given(router.find(name(more))), 1_000, START + ms)) other += 1_000;
    }
    expect(passed).toBeGreaterThanOrEqual(100_000);
    expect(passed).toBeLessThanOrEqual(120_000);
    expect(other).toBe(100_000);
    const body = random(16);
    router.connect(body, bob, carol, START);
    expect(router.passes(given(router.find(name(body))), 1_401, START)).toBe(false);
  });

  test("handshakes have limits by pair, by who asks and by who is asked for", () => {
    const router = allowing();
    const others = Array.from({ length: 400 }, (_, i) =>
      hashnameFromBytes(new Uint8Array(32).fill(i / 256).fill(i, 8)),
    );
    const passes = (pairs: readonly (readonly [Hashname, Hashname])[]) =>
      pairs.filter(([from, to]) => router.admits(from, to, START)).length;
    expect(passes(Array.from({ length: 100 }, () => [alice, bob]))).toBe(16);
    expect(passes(others.map((other) => [alice, other]))).toBe(40 - 16);
    expect(passes(others.map((other) => [other, carol]))).toBe(80);
    expect(router.admits(alice, bob, START + 2_000)).toBe(true);
    expect(router.admits(bob, bob, START)).toBe(false);
  });
});

describe("introductions", () => {
  const unknown: Identity["keys"] = new Map();

  test("who has only a hashname and a router gives its keys, and is told of to whoever decides", () => {
    const { net, a, r, b } = behind();
    a.want(b, [r], unknown);
    net.run(5_000);
    expect(a.mesh.links().find(({ hashname }) => hashname === b.hashname)?.state).toBe("unresolved");
    const [told] = b.logged("introduction");
    expect(told).toEqual({ type: "introduction", hashname: a.hashname, keys: a.identity.keys, via: r.hashname });
    expect(b.mesh.links().map(({ hashname }) => hashname)).toEqual([r.hashname]);
    b.want(a, [r], given(told).keys);
    net.run(5_000);
    expect([a.isUp(b), b.isUp(a)]).toEqual([true, true]);
    a.say(b, "hello");
    net.run(1_000);
    expect(b.got).toEqual(["hello"]);
  });

  test("two that want each other by hashname find each other, whoever is first and however much is lost", () => {
    for (const seed of [1, 2, 3, 4]) {
      const { net, a, r, b } = behind(new MeshNet({ seed }));
      net.loss = 0.2;
      net.latency = [10, 200];
      a.want(b, [r], unknown);
      net.run(seed * 700);
      b.want(a, [r], unknown);
      net.run(15 * MINUTE);
      net.loss = 0;
      net.run(15 * MINUTE);
      expect([a.isUp(b), b.isUp(a)]).toEqual([true, true]);
    }
  });

  test("are made in each cipher set that we have; the best in common is answered", () => {
    const crypto = createCrypto(portable, [cs01(), cs3a(portable)]);
    const net = new MeshNet({ crypto });
    net.onlyBy("r");
    const identity = (csids: number[]): Identity => createIdentity(crypto, net.chance.random, csids);
    const r = net.peer("r", { routing: { allows: () => true } }, identity([1, 0x3a]));
    const a = net.peer("a", { routers: [r.hashname] }, identity([1, 0x3a]));
    for (const [i, sets] of [[0x3a], [1], [1, 0x3a]].entries()) {
      const b = net.peer(`b${i}`, { routers: [r.hashname] }, identity(sets));
      for (const peer of [a, b]) peer.want(r);
      net.run(1_000);
      a.want(b, [r], unknown);
      net.run(1_000);
      const told = b.logged("introduction");
      expect(told.map(({ keys }) => [...keys.keys()])).toEqual([[Math.max(...sets)]]);
      b.want(a, [r], given(told[0]).keys);
      net.run(2_000);
      expect(a.isUp(b)).toBe(true);
    }
  });

  test("are sent again as handshakes are, and not for ever", () => {
    const { net, a, r, b } = behind();
    net.sent.length = 0;
    a.want(b, [r], unknown);
    net.run(29_000);
    const times = net
      .between(a, r)
      .filter(({ bytes }) => isChannelPacket(bytes))
      .map(({ at }) => at - net.now + 29_000);
    expect(times).toEqual([0, 1_000, 3_000, 8_000, 20_000]);
    a.do({ type: "unwant", hashname: b.hashname });
    net.run(1_000);
    expect(a.mesh.links().map(({ hashname }) => hashname)).toEqual([r.hashname]);
  });

  test("in another's name, of another's keys, or without any are dropped", () => {
    const { net, a, r, b } = behind();
    const body = keyPacket(portable, a.identity, 1);
    const well = { type: "key", json: { csid: "01" }, body };
    const stranger = createIdentity(net.crypto, net.chance.random);
    const bad: [Hashname, Uint8Array][] = [
      [stranger.hashname, encodeHandshake(5n, well)],
      [r.hashname, encodeHandshake(5n, { ...well, body: keyPacket(portable, r.identity, 1) })],
      [b.hashname, encodeHandshake(5n, { ...well, body: keyPacket(portable, b.identity, 1) })],
      [a.hashname, encodeHandshake(5n, { ...well, json: {} })],
      [a.hashname, encodeHandshake(5n, { ...well, json: { csid: "3a" } })],
      [a.hashname, encodeHandshake(5n, { ...well, json: { csid: "00" } })],
      [a.hashname, encodeHandshake(5n, { ...well, body: body.subarray(1) })],
      [a.hashname, encodeHandshake(5n, { ...well, type: "jwt" })],
    ];
    for (const [peer, packet] of bad) open(r, b, connectHead(peer), packet);
    net.run(1_000);
    expect(b.logged("introduction")).toEqual([]);
    open(r, b, connectHead(a.hashname), encodeHandshake(5n, well));
    net.run(1_000);
    expect(b.logged("introduction")).toHaveLength(1);
    for (let i = 0; i < 500; i++) open(r, b, connectHead(a.hashname), encodeHandshake(BigInt(i + 6), well));
    net.run(1_000);
    expect(b.logged("introduction").length).toBeLessThanOrEqual(34); // 10 and 1 a second, twice that at once
  });

  test("in masses by one router leave room for those by another", () => {
    const { net, a, r, b } = behind();
    net.reaches = () => true;
    const other = net.peer("other");
    other.want(b);
    b.do({ type: "routers", hashnames: [r.hashname, other.hashname] });
    net.run(1_000);
    const plain = (at: number) =>
      encodeHandshake(BigInt(at), { type: "key", json: { csid: "01" }, body: keyPacket(portable, a.identity, 1) });
    for (let i = 0; i < 500; i++) {
      open(r, b, connectHead(a.hashname), plain(i + 1));
      r.do({ type: "fail", ch: r.handle() - 1, err: "x" }); // or it would soon have no channels left
      if (i % 100 === 99) open(other, b, connectHead(a.hashname), plain(i + 1));
      net.run(10);
    }
    expect(b.mesh.dropped.budget).toBeGreaterThan(300);
    expect(b.logged("introduction").filter(({ via }) => via === other.hashname)).toHaveLength(5);
  });
});

describe("what stands in the packets", () => {
  const peer = hashnameFromBytes(new Uint8Array(32));

  test("a handshake that fits a router's packet is sent, a longer one is not", () => {
    const room = 1_400;
    const longest = given(
      Array.from({ length: room }, (_, i) => room - i).find((n) => fits(connectHead(peer), new Uint8Array(n))),
    );
    expect(longest).toBe(1_234);
    expect(peerHead(peer, undefined, new Uint8Array(longest))).toEqual({ type: "peer", peer });
    expect(peerHead(peer, undefined, new Uint8Array(longest + 1))).toBeUndefined();
    expect(peerHead(peer, "link://r/?sid=1", new Uint8Array(longest))).toBeUndefined();
    expect(peerHead(peer, "link://r/?sid=1", new Uint8Array(1_000))?.["uri"]).toBe("link://r/?sid=1");
  });

  test("the attached packet is a sealed message or a handshake message in the clear, and nothing else", () => {
    const { random } = new Chance(4);
    expect(parseAttached(encodePacket(Uint8Array.of(0x3a), random(100)))?.type).toBe("handshake");
    const keys = random(32);
    const plain = (json: JsonObject) => parseAttached(encodePacket(json, keys));
    expect(plain({ type: "link", at: 5, csid: "3a" })).toEqual({ type: "introduction", csid: 0x3a, keys });
    expect(plain({ at: 5, csid: "3a" })).toEqual({ type: "introduction", csid: 0x3a, keys });
    expect(plain({ at: 5, type: "jwt" })).toEqual({ type: "introduction", csid: undefined, keys });
    for (const json of [{ csid: "3a" }, { at: 0, csid: "3a" }, { at: 5, type: 7 }, { type: "uri", at: 5 }])
      expect(plain(json)).toBeUndefined();
    for (const bytes of [new Uint8Array(0), encodePacket(Uint8Array.of(1), random(15)), encodePacket(undefined, keys)])
      expect(parseAttached(bytes)).toBeUndefined();
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void parseAttached(bytes)));
  });

  test("where a router sees us is told to the application, and with our own addresses to whom we reach by it", () => {
    const net = new MeshNet();
    net.onlyBy("r");
    const r = net.peer("r", { routing: { allows: () => true } });
    const a = net.peer("a", { routers: [r.hashname], paths: [{ type: "udp4", ip: "10.1.2.3", port: 4 }] });
    const b = net.peer("b", { routers: [r.hashname] });
    for (const one of [a, b]) one.want(r);
    net.run(1_000);
    expect(a.logged("seen")).toEqual([{ type: "seen", by: r.hashname, path: a.path }]);
    expect(b.logged("seen")).toEqual([]); // it told nobody, so it was told nothing
    net.sent.length = 0;
    a.want(b, [r]);
    net.run(10_000);
    const tried = net.sent.filter(({ from, to }) => from === b && to.type !== "mem").map(({ to }) => to);
    expect(tried[0]).toEqual({ type: "udp4", ip: "10.1.2.3", port: 4 });
    expect(net.between(b, a).length).toBeGreaterThan(0);
    a.do({ type: "paths", paths: [{ type: "udp4", ip: "10.9.9.9", port: 4 }] });
    net.run(1_000);
    expect(net.sent.some(({ to }) => to.ip === "10.9.9.9")).toBe(false); // told 11 s ago
    net.run(MINUTE);
    a.do({ type: "paths", paths: [{ type: "udp4", ip: "10.9.9.9", port: 4 }] });
    net.run(5_000);
    expect(net.sent.some(({ to }) => to.ip === "10.9.9.9")).toBe(true);
  });
});

test("one of whom we learn that it routes when the link is up already is asked at once", () => {
  const net = new MeshNet();
  const [a, r] = [net.peer("a", { paths: [] }), net.peer("r")];
  a.want(r);
  net.run(1_000);
  expect(a.logged("seen")).toEqual([]);
  a.do({ type: "routers", hashnames: [r.hashname] });
  net.run(1_000);
  expect(a.logged("seen")).toEqual([{ type: "seen", by: r.hashname, path: a.path }]);
});

test("what is between the two is opaque to the router", () => {
  const { net, a, r, b } = behind();
  a.want(b, [r]);
  net.run(2_000);
  const text = "for b's eyes";
  a.say(b, text);
  net.run(1_000);
  expect(b.got).toEqual([text]);
  const passed = net.between(r, b).map(({ bytes }) => uncloaked(bytes));
  expect(passed.every((packet) => openMessage(net.crypto, r.identity, packet) === undefined)).toBe(true);
  expect(parseHandshake(new Uint8Array(0))).toBeUndefined();
  expect(r.got).toEqual([]);
});
