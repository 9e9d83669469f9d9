import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Time, toHex } from "../bytes/index.ts";
import type { Path } from "../card/index.ts";
import { createCrypto, createIdentity, cs3a, portable } from "../crypto/index.ts";
import { openMessage, parseHandshake } from "../e3x/index.ts";
import { Chance } from "../testing/chance.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { given } from "../testing/given.ts";
import { handshakeTo, isHandshake, linked, mem, Net, type Peer, packets, START, tcp } from "../testing/mesh-pairs.ts";
import { decloak } from "../wire/index.ts";

const MINUTE = 60_000;

const KINDS: readonly (readonly [string, (n: number) => Path])[] = [
  ["datagrams", (n) => mem(`p${n}`)],
  ["streams", (n) => tcp(n)],
];

describe.each(KINDS)("over %s", (_, place) => {
  test("a wanted link comes up on both sides and carries channels both ways", () => {
    const [net, a, b] = linked(place);
    expect(a.logged("up")).toEqual([{ type: "up", hashname: b.hashname, path: place(2) }]);
    expect(b.logged("up")).toEqual([{ type: "up", hashname: a.hashname, path: place(1) }]);
    a.say(b, "from a");
    b.say(a, "from b", false);
    net.run(1_000);
    expect([a.got, b.got]).toEqual([["from b"], ["from a"]]);
    expect(b.logged("opened")[0]?.peer).toBe(a.hashname);
    expect(a.mesh.links()).toEqual([{ hashname: b.hashname, state: "up", path: place(2) }]);
  });

  test("[B53] who is not approved, or rejected, gets not one byte", () => {
    for (const policy of ["wait", "reject"] as const) {
      const net = new Net();
      const [a, b] = [net.peer(place(1)), net.peer(place(2))];
      b.policy = () => policy;
      a.want(b, "link://anything");
      net.run(3 * MINUTE);
      expect(net.from(a).length).toBeGreaterThan(8);
      expect(net.from(b)).toEqual([]);
      expect(b.mesh.links()).toEqual([]);
    }
  });

  test("a lossy network only makes it slower", () => {
    const net = new Net({ seed: 3 });
    const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
    const chance = new Chance(4);
    net.delays = () => (chance.happens(0.5) ? [] : [chance.between(1, 500)]);
    a.want(b);
    net.run(20 * MINUTE);
    expect(a.logged("up").length).toBeGreaterThan(0);
    net.delays = () => [10];
    net.run(2 * MINUTE);
    expect([a.mesh.isUp(b.hashname), b.mesh.isUp(a.hashname)]).toEqual([true, true]);
    a.say(b, "at last");
    net.run(5_000);
    expect(b.got).toEqual(["at last"]);
  });

  test("both may want it at once", () => {
    const net = new Net();
    const [a, b] = [net.peer(place(1)), net.peer(place(2))];
    a.policy = b.policy = () => "reject"; // wanting is approval
    a.want(b);
    b.want(a);
    net.run(2_000);
    expect([a.logged("up").length, b.logged("up").length]).toEqual([1, 1]);
    expect([...a.logged("handshake"), ...b.logged("handshake")]).toEqual([]);
  });
});

describe("keeping a link", () => {
  test("[B7] takes a handshake whenever nothing was sent for 30 s on datagrams, 5 min on streams", () => {
    for (const [place, quiet] of [
      [mem, 30_000],
      [(n: string) => tcp(n === "p1" ? 1 : 2), 5 * MINUTE],
    ] as const) {
      const [net, a, b] = linked((n) => place(`p${n}`));
      const since = net.now;
      net.run(quiet - 2_000);
      expect(net.from(a, since)).toEqual([]);
      net.run(5 * quiet);
      const shakes = packets(net.from(a, since)).filter(isHandshake);
      expect(shakes.length).toBeGreaterThanOrEqual(4);
      expect(shakes.length).toBeLessThanOrEqual(12);
      expect([a.logged("down"), b.logged("down")]).toEqual([[], []]);
    }
  });

  test("finds out that the other end is gone: channels close, then down, then new attempts", () => {
    const [net, a, b] = linked();
    const ch = a.say(b, "x");
    net.run(1_000);
    net.delays = () => [];
    net.run(61_000);
    const told = a.log.filter(({ type }) => type === "closed" || type === "down");
    expect(told).toEqual([
      { type: "closed", ch, err: "timeout" },
      { type: "down", hashname: b.hashname, why: "timeout" },
    ]);
    net.delays = () => [10];
    net.run(MINUTE);
    expect(a.mesh.isUp(b.hashname)).toBe(true);
  });

  test("a link that nobody wants ends after a minute without a word, unless channels are open", () => {
    for (const talk of [false, true]) {
      const [net, a, b] = linked();
      a.do({ type: "unwant", hashname: b.hashname });
      if (talk) b.say(a, "standing");
      net.run(59_000 + 1_000);
      expect(a.mesh.isUp(b.hashname)).toBe(talk);
      net.run(10 * MINUTE);
      expect([a.mesh.links().length, b.mesh.links().length]).toEqual(talk ? [1, 1] : [0, 0]);
      if (!talk) expect(b.logged("down")).toEqual([{ type: "down", hashname: a.hashname, why: "idle" }]);
    }
  });

  test("with open channels the silence of a peer that died is noticed all the same", () => {
    const [net, a, b] = linked();
    a.say(b, "standing");
    net.run(1_000);
    net.peers.splice(net.peers.indexOf(a), 1); // it is gone
    net.run(2 * MINUTE);
    expect(b.logged("down")).toEqual([{ type: "down", hashname: a.hashname, why: "timeout" }]);
    expect(b.mesh.links()).toEqual([]);
    expect(b.mesh.deadline()).toBeUndefined();
  });

  test("attempts of 30 s come again after 30 s, 1, 2, 5, 10, 10 min, each give or take a quarter", () => {
    const net = new Net();
    const [a, b] = [net.peer(mem("p1")), new Net({ seed: 2 }).peer(mem("nowhere"))];
    a.want(b);
    net.run(60 * MINUTE);
    const starts = new Map<string, Time>();
    for (const { bytes, at } of net.from(a)) {
      const key = toHex(given(decloak(portable.chacha20, bytes)).packet);
      if (!starts.has(key)) starts.set(key, at);
    }
    const times = [...starts.values()];
    const gaps = times.slice(1).map((at, i) => at - given(times[i]) - 30_000);
    expect(gaps.length).toBeGreaterThanOrEqual(6);
    for (const [i, minutes] of [0.5, 1, 2, 5, 10, 10].entries()) {
      expect(given(gaps[i])).toBeGreaterThanOrEqual(minutes * MINUTE * 0.75);
      expect(given(gaps[i])).toBeLessThanOrEqual(minutes * MINUTE * 1.25);
    }
    expect(a.logged("down")).toEqual([]);
  });

  test("a fresh wish is an attempt at once; the same wish during an attempt is none; no wish, no attempt", () => {
    const net = new Net();
    const [a, b] = [net.peer(mem("p1")), new Net({ seed: 2 }).peer(mem("nowhere"))];
    const sends = () => net.from(a).length;
    a.want(b);
    expect(sends()).toBe(1);
    a.want(b);
    expect(sends()).toBe(1);
    net.run(35_000);
    const before = sends();
    a.want(b);
    expect(sends()).toBe(before + 1);
    a.do({ type: "unwant", hashname: b.hashname });
    const after = sends();
    net.run(60 * MINUTE);
    expect(sends()).toBe(after);
    expect([a.mesh.links(), a.mesh.deadline()]).toEqual([[], undefined]);
  });

  test("without keys in common or without paths it is unresolved, and harms nobody", () => {
    const net = new Net();
    const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
    const none = new Map([[0x1a, new Uint8Array(21)]]);
    a.do({ type: "want", peer: { hashname: b.hashname, keys: none, paths: b.paths } });
    expect(a.mesh.links()[0]?.state).toBe("unresolved");
    a.do({ type: "want", peer: { hashname: b.hashname, keys: b.identity.keys, paths: [] } });
    expect(a.mesh.links()[0]?.state).toBe("unresolved");
    expect(net.sent).toEqual([]);
    b.want(a);
    net.run(1_000);
    expect(a.mesh.isUp(b.hashname)).toBe(true);
  });

  test("keys that no message can be sealed to end the attempts, and throw nothing", () => {
    const net = new Net({ crypto: createCrypto(portable, [cs3a(portable)]) });
    const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
    const keys = new Map([[0x3a, new Uint8Array(32)]]);
    a.do({ type: "want", peer: { hashname: b.hashname, keys, paths: b.paths } });
    net.run(60 * MINUTE);
    expect(net.sent).toEqual([]);
  });
});

test("[B43] a packet finds its exchange by either form of the token: hashed, or the raw first 16 bytes", () => {
  for (const form of ["hashed", "raw"] as const) {
    const net = new Net();
    const [, a, b] = linked(undefined, net, { cloak: false });
    net.delays = () => [];
    a.say(b, form, false);
    const bytes = given(net.from(a).at(-1)).bytes.slice();
    if (form === "raw") {
      const handshake = given(net.from(b).find((sent) => isHandshake(sent.bytes)));
      bytes.set(handshake.bytes.subarray(3, 19), 2);
    }
    net.inject(mem("p1"), b, bytes);
    expect(b.got).toEqual([form]);
    bytes.fill(7, 2, 18);
    net.inject(mem("p1"), b, bytes);
    expect(b.mesh.dropped.token).toBe(1);
  }
});

test("[B41] a link whose `at` is at its maximum is dead: down, and no attempt ever again", () => {
  const net = new Net();
  const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
  a.want(b);
  net.inject(mem("p2"), a, handshakeTo(net, a, b.identity, 2n ** 64n - 1n));
  expect(a.logged("down")).toEqual([{ type: "down", hashname: b.hashname, why: "dead" }]);
  const before = net.from(a).length;
  net.run(60 * MINUTE);
  expect(net.from(a)).toHaveLength(before);
  expect(a.mesh.deadline()).toBeUndefined();
});

describe("at", () => {
  const ats = (net: Net, from: Peer, to: Peer): bigint[] =>
    packets(net.from(from)).flatMap((packet) => {
      const opened = openMessage(net.crypto, to.identity, packet);
      return opened === undefined ? [] : given(parseHandshake(opened.inner)).at;
    });

  test("[B38] is higher than ever before, also after a restart with the clock set back", () => {
    const net = new Net();
    const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
    b.policy = () => "wait";
    for (let life = 0; life < 5; life++) {
      a.want(b);
      for (let i = 0; i < 10; i++) a.want(b, `link://${i}`);
      a.restart();
      net.now -= 1_000_000;
    }
    const used = ats(net, a, b);
    const highest = used.filter((at, i) => i === 0 || at !== used[i - 1]);
    expect(highest.length).toBeGreaterThan(50);
    expect(highest.every((at, i) => i === 0 || at > given(highest[i - 1]))).toBe(true);
  });

  test("[B39] is the time in seconds, as long as that grows", () => {
    const net = new Net();
    const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
    a.want(b);
    net.now += 100_000;
    a.want(b, "link://later");
    // Or the next second, for the last bit; the messages of one handshake have one number.
    const [first, ...later] = ats(net, a, b).map((at) => Number(at) - START / 1000);
    expect([0, 1]).toContain(first);
    expect(later).toEqual([given(first) + 100, given(first) + 100]);
  });

  test("[B40] grows without a clock too, from what was saved", () => {
    const net = new Net();
    net.now = 0;
    const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
    for (let life = 0; life < 3; life++) {
      a.want(b);
      a.restart();
    }
    const used = ats(net, a, b);
    expect(used).toHaveLength(3);
    expect(given(used[0])).toBeLessThan(given(used[1]));
    expect(given(used[1])).toBeLessThan(given(used[2]));
  });

  test("is saved before it is used, in blocks", () => {
    const net = new Net();
    const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
    const out = a.want(b);
    expect(out.map(({ type }) => type)).toEqual(["save", "transmit"]);
    net.run(30 * MINUTE);
    expect(a.logged("save").length).toBeLessThanOrEqual(12); // for sixty handshakes
    const value = new DataView(given(a.saved).buffer).getBigUint64(0);
    for (const at of ats(net, a, b)) expect(at).toBeLessThanOrEqual(value);
  });

  test("of one peer that counts wildly moves no other's", () => {
    const net = new Net();
    const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
    const wild = createIdentity(net.crypto, net.chance.random);
    net.inject(mem("x"), a, handshakeTo(net, a, wild, 2n ** 63n));
    a.want(b);
    net.run(1_000);
    for (const at of ats(net, a, b)) expect(at).toBeLessThan(2n ** 40n);
    expect(a.mesh.isUp(b.hashname)).toBe(true);
  });
});

test("[B34] with real cryptography, any mixture of wishes, restarts and losses ends in links that work", () => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.array(fc.tuple(fc.nat({ max: 2 }), fc.nat({ max: 40_000 })), { maxLength: 5 }),
      (seed, acts) => {
        const net = new Net({ seed, crypto: createCrypto(portable, [seed % 8 === 0 ? cs3a(portable) : cs01()]) });
        const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
        const chance = net.chance.fork();
        net.delays = () => (chance.happens(0.2) ? [] : [chance.between(1, 300)]);
        a.want(b);
        for (const [act, ms] of acts) {
          if (act === 0) a.restart();
          if (act === 1) b.restart();
          (act === 2 ? b : a).want(act === 2 ? a : b);
          net.run(ms);
        }
        a.want(b);
        net.delays = () => [10];
        net.run(15 * MINUTE);
        a.want(b);
        net.run(MINUTE);
        a.say(b, "a");
        b.say(a, "b");
        net.run(10_000);
        expect([a.got, b.got]).toEqual([["b"], ["a"]]);
      },
    ),
    { numRuns: 60 },
  );
});
