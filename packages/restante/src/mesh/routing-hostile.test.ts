/** What those can see and do who ask, who route, and who are strange, and mean no good. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Path } from "../card/index.ts";
import {
  type Backend,
  type CipherSet,
  createCrypto,
  createIdentity,
  cs3a,
  hashnameFromBytes,
  portable,
} from "../crypto/index.ts";
import { encodeHandshake, keyPacket } from "../e3x/index.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import {
  behind,
  DATAGRAMS,
  given,
  handshakeTo,
  isChannelPacket,
  linked,
  MeshNet,
  type MeshPeer,
  type Names,
  open,
  STREAMS,
} from "../testing/meshes.ts";
import { encodePacket, type JsonObject } from "../wire/index.ts";
import { connectHead } from "./routing.ts";

const MINUTE = 60_000;
const START = 1_700_000_000_000;

describe("what a router says of others", () => {
  const CASES = [
    ...["up", "rejects", "unknown", "down", "gone", "refused"], // who is asked for
    ...["self", "asker", "malformed", "nobody"], // what stands in `peer`
    ...["garbage", "empty", "long"], // and in the BODY
  ] as const;

  /** All that the router sends the asker in five minutes, after `n` such requests. */
  function heard(names: Names, which: string, n: number, reliable: boolean): readonly (readonly number[])[] {
    const net = new MeshNet();
    net.onlyBy(names[1]);
    const r = net.peer(names[1], { routing: { allows: () => which !== "refused" }, cloak: false });
    const [a, b] = [names[0], names[2]].map((name) => net.peer(name, { routers: [r.hashname], cloak: false })) as [
      MeshPeer,
      MeshPeer,
    ];
    b.policy = ({ hashname }) => (hashname === r.hashname ? "approve" : which === "rejects" ? "reject" : "wait");
    a.want(r);
    if (which !== "unknown") b.want(r);
    net.run(10_000);
    if (which === "down") b.stop();
    net.run(15 * MINUTE);
    if (which === "gone") b.stop(); // and nobody knows yet
    expect(r.isUp(b)).toBe(which !== "down" && which !== "unknown");
    const since = net.now;
    const peers: Record<string, unknown> = { self: r.hashname, asker: a.hashname, malformed: "xyz", nobody: undefined };
    const peer = which in peers ? peers[which] : b.hashname;
    const bodies: Record<string, Uint8Array> = {
      garbage: net.chance.random(200),
      empty: new Uint8Array(0),
      long: encodePacket(Uint8Array.of(1), net.chance.random(reliable ? 1_190 : 1_234)), // fits no `connect`
    };
    const body = bodies[which] ?? handshakeTo(net, b.identity, a.identity, 100n);
    for (let i = 0; i < n; i++) open(a, r, { type: "peer", peer: peer as string }, body, reliable);
    net.run(5 * MINUTE);
    const isBrought = !reliable && (which === "up" || which === "rejects");
    expect(b.logged("handshake").filter(({ hashname }) => hashname === a.hashname)).toHaveLength(isBrought ? 1 : 0);
    expect(a.logged("opened")).toEqual([]);
    return net.between(r, a, since).map(({ bytes, at }) => [at - since, bytes.length]);
  }

  test.each([
    ["datagrams", DATAGRAMS],
    ["streams", STREAMS],
  ])("[E13] over %s is the same, whoever is asked for and whatever becomes of it", (_, names) => {
    for (const n of [1, 60])
      for (const reliable of [false, true]) {
        const up = heard(names, "up", n, reliable);
        expect(up.length).toBeGreaterThan(0); // keepalives, zero chunks, acknowledgements
        for (const which of CASES) expect(heard(names, which, n, reliable), `${which}, ${n} times`).toEqual(up);
      }
  });

  test("[E13] is the same to one that has yet to prove where it is, and is made to by whatever it asks", () => {
    const heardByUnproven = (which: string, asks = true): readonly (readonly number[])[] => {
      const net = new MeshNet();
      const routing = { allows: (): boolean => which !== "refused" };
      const r = net.peer("r", { ...(which !== "no router" && { routing }), cloak: false });
      const [a, b] = [net.peer("a", { cloak: false }), net.peer("b", { cloak: false })];
      if (which !== "unknown") b.want(r);
      net.run(1_000);
      if (which === "down") b.stop();
      net.run(MINUTE);
      expect(r.isUp(b)).toBe(which !== "unknown" && which !== "down");
      // Of the two packets that answer its first handshake, the echo comes through, and what asks for a proof is lost. So a
      // channel packet makes the link; and before the proof is asked for again, a newer handshake says that it is there.
      let answers = 0;
      net.reaches = (from, to) => from !== "r" || to !== "a" || ++answers !== 2;
      a.want(r);
      net.run(50);
      open(a, r, { type: "test" }, new Uint8Array(0));
      net.run(50);
      a.do({ type: "handshakes", messages: [] });
      net.run(50);
      expect([a.isUp(r), r.isUp(a), answers]).toEqual([true, true, 3]);
      const since = net.now;
      const packet = handshakeTo(net, b.identity, a.identity, 100n);
      for (let i = 0; asks && i < 3; i++) {
        const peer = which === "itself" ? r.hashname : b.hashname;
        open(a, r, { type: "peer", peer }, which === "garbage" ? net.chance.random(packet.length) : packet);
        net.run(1_000);
      }
      net.run(10_000);
      return net.between(r, a, since).map(({ bytes, at }) => [at - since, bytes.length]);
    };
    const asked = heardByUnproven("up");
    expect(asked.map(([at]) => at)).toEqual([10]); // one handshake: the answer to it is the proof
    for (const which of ["unknown", "down", "refused", "no router", "itself", "garbage"])
      expect(heardByUnproven(which), which).toEqual(asked);
    expect(heardByUnproven("up", false)).toEqual([]);
  });

  test("is the same by one who is no router at all, and applications see none of it", () => {
    const net = new MeshNet();
    const [a, b] = [net.peer("a"), net.peer("b")];
    a.want(b);
    net.run(10_000);
    net.sent.length = 0;
    for (const type of ["peer", "connect"]) open(a, b, { type, peer: a.hashname }, new Uint8Array(20));
    net.run(1_000);
    expect([net.between(b, a), b.logged("opened"), b.mesh.dropped.route]).toEqual([[], [], 2]);
  });
});

describe("a stranger", () => {
  /** What one handshake makes `b` do, as counted calls of primitives; nothing leaves. */
  function work(
    how: "straight" | "by a router",
    policy: "wait" | "reject",
    was: "never" | "before",
  ): Map<string, number> {
    const calls = new Map<string, number>();
    const backend = new Proxy(portable, {
      get: (target, primitive: keyof Backend) => {
        const value = target[primitive];
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => {
          calls.set(primitive, (calls.get(primitive) ?? 0) + 1);
          return Reflect.apply(value, target, args);
        };
      },
    });
    const net = new MeshNet({ crypto: createCrypto(backend, [cs3a(backend)]) });
    const scene = behind(net, undefined, { cloak: false });
    const { r, b } = scene;
    b.policy = () => policy;
    const stranger = createIdentity(net.crypto, net.chance.random);
    const knock = (at: bigint): void => {
      const packet = handshakeTo(net, b.identity, stranger, at);
      calls.clear();
      if (how === "straight") b.do({ type: "received", path: { type: "mem", name: "x" }, bytes: packet });
      else {
        const before = b.log.length;
        open(r, b, connectHead(stranger.hashname), packet);
        calls.clear();
        net.run(20);
        expect(b.log.slice(before).map(({ type }) => type)).toEqual(["handshake"]);
      }
    };
    if (was === "before") knock(100n);
    net.run(100);
    net.sent.length = 0;
    knock(200n);
    const counted = new Map(calls);
    net.run(MINUTE);
    const told = net.sent.filter(({ from, to }) => from === b && to.name !== "r");
    expect(told).toEqual([]);
    return counted;
  }

  test.each(["straight", "by a router"] as const)(
    "[B54] %s is met with silence and the same work, known or not",
    (how) => {
      const unknown = work(how, "wait", "never");
      expect(unknown.get("beforenm")).toBeGreaterThan(0);
      expect(work(how, "reject", "never")).toEqual(unknown);
      // Of who was here before the shared secret is remembered, whatever the application said.
      expect(work(how, "reject", "before")).toEqual(work(how, "wait", "before"));
    },
  );
});

describe("those who mean no good", () => {
  test("who is no router of ours brings nobody", () => {
    const { net, a, b } = behind();
    net.reaches = () => true;
    const x = net.peer("x");
    x.want(b);
    net.run(1_000);
    net.sent.length = 0;
    b.log.length = 0;
    const body = handshakeTo(net, b.identity, a.identity, 100n);
    const plain = encodeHandshake(5n, { type: "key", json: { csid: "01" }, body: keyPacket(portable, a.identity, 1) });
    for (const packet of [body, plain]) open(x, b, connectHead(a.hashname), packet);
    net.run(1_000);
    expect([net.between(b, x), b.logged("handshake"), b.logged("introduction")]).toEqual([[], [], []]);
    b.do({ type: "routers", hashnames: [x.hashname] });
    for (const packet of [body, plain]) open(x, b, connectHead(a.hashname), packet);
    net.run(1_000);
    expect([b.logged("handshake").length, b.logged("introduction").length]).toEqual([1, 0]); // approved, hence known
  });

  test("a router that names the wrong sender, repeats, or sends rubbish moves nothing and is not told why", () => {
    const { net, a, r, b } = linked();
    net.run(MINUTE);
    const recorded = handshakeTo(net, b.identity, a.identity, 100n); // older than all that are in use
    const stranger = createIdentity(net.crypto, net.chance.random);
    b.log.length = 0;
    const forged = b.mesh.dropped.forged;
    open(r, b, connectHead(stranger.hashname), handshakeTo(net, b.identity, a.identity, 2n ** 40n));
    open(r, b, connectHead(a.hashname), handshakeTo(net, b.identity, stranger, 2n ** 40n));
    net.run(100);
    expect(b.mesh.dropped.forged).toBe(forged + 2);
    for (let i = 0; i < 50; i++) open(r, b, connectHead(a.hashname), recorded);
    net.run(MINUTE);
    expect(b.log.filter(({ type }) => type !== "transmit" && type !== "save")).toEqual([]);
    a.say(b, "as ever");
    net.run(1_000);
    expect(b.got).toEqual(["as ever"]);
  });

  test("a flood of requests costs others nothing: not the asker's channels, and few words to whom it asks for", () => {
    const { net, a, r, b } = behind();
    net.sent.length = 0;
    for (let i = 0; i < 2_000; i++) {
      const packet = encodePacket(Uint8Array.of(1), net.chance.random(100));
      const peer = i % 2 === 0 ? b.hashname : hashnameFromBytes(net.chance.random(32));
      open(a, r, { type: "peer", peer }, packet);
      a.do({ type: "fail", ch: a.handle() - 1, err: "x" }); // or it would soon have no channels left
      net.run(10);
    }
    const passed = net.between(r, b).filter(({ bytes }) => isChannelPacket(bytes)).length;
    expect(passed).toBeGreaterThan(70);
    expect(passed).toBeLessThanOrEqual(16 + 4 * 21);
    expect(net.between(b, r).filter(({ bytes }) => isChannelPacket(bytes))).toEqual([]);
    a.log.length = 0;
    for (let i = 0; i < 200; i++) a.say(r, `${i}`);
    net.run(2_000);
    expect([r.got.length, a.logged("closed").filter(({ err }) => err === "full")]).toEqual([200, []]);
  });

  test("a router that floods us with handshakes of nobody keeps away neither who comes straight nor whom we seek by another", () => {
    const { net, a, r, b } = behind();
    const [x, other] = [net.peer("x"), net.peer("other", { routing: { allows: () => true } })];
    const far = net.peer("far", { routers: [other.hashname] });
    net.reaches = (from, to) => ![from, to].includes("far") || [from, to].includes("other");
    for (const peer of [b, far]) peer.want(other);
    net.run(1_000);
    const strangers = Array.from({ length: 20 }, () => createIdentity(net.crypto, net.chance.random));
    const flood = (seconds: number): void => {
      for (let i = 0; i < 100 * seconds; i++) {
        const from = given(strangers[i % strangers.length]);
        open(r, b, connectHead(from.hashname), handshakeTo(net, b.identity, from, BigInt(i)));
        r.do({ type: "fail", ch: r.handle() - 1, err: "x" });
        net.run(10);
      }
    };
    b.policy = ({ hashname }) => (strangers.some((one) => one.hashname === hashname) ? "reject" : "approve");
    flood(5);
    const { budget } = b.mesh.dropped;
    expect(budget).toBeGreaterThan(100);
    x.want(b);
    b.want(far, [other]);
    flood(5);
    expect([x.isUp(b), b.way(far)]).toEqual([true, "peer"]);
    x.say(b, "straight");
    far.say(b, "by another");
    flood(2);
    expect(b.got.sort()).toEqual(["by another", "straight"]);
    expect(net.sent.filter(({ from, to }) => from === b && !["r", "a", "x", "other"].includes(to.name ?? ""))).toEqual(
      [],
    );
    expect(a.isUp(r)).toBe(true);
  });

  test("bytes between a pair are limited, and a packet from elsewhere goes nowhere", () => {
    const { net, a, r, b } = linked(undefined, undefined, { cloak: false });
    net.sent.length = 0;
    const since = net.now;
    open(b, a, { type: "test" }, new Uint8Array(0));
    const ch = b.handle() - 1;
    for (let i = 0; i < 2_000; i++) {
      b.do({ type: "send", ch, head: {}, body: new Uint8Array(1_200) });
      net.run(1);
    }
    const bytes = (list: { bytes: Uint8Array }[]): number => list.reduce((sum, one) => sum + one.bytes.length, 0);
    expect(bytes(net.between(b, r, since))).toBeGreaterThan(2_000_000);
    expect(bytes(net.between(r, a, since))).toBeLessThan(4.2 * 256 * 1024);
    expect(bytes(net.between(r, a, since))).toBeGreaterThan(3.5 * 256 * 1024);
    net.run(10_000);
    const packet = given(net.between(b, r).findLast((one) => one.bytes.length > 1_200)).bytes;
    const from = (path: Path) => r.do({ type: "received", path, bytes: packet.slice() });
    expect(from({ type: "mem", name: "elsewhere" })).toEqual([]);
    expect(from(b.path).map(({ type }) => type)).toEqual(["transmit"]);
  });

  test("addresses that a peer tells are tried with handshakes alone, few, and only while there is no better way", () => {
    const { net, a, r, b } = linked();
    let n = 0;
    net.sent.length = 0;
    const victims = (): number => net.sent.filter(({ from, to }) => from === b && to.name?.startsWith("v")).length;
    const minutes: number[] = [];
    for (let minute = 0; minute < 10; minute++) {
      const before = victims();
      for (let second = 0; second < 60; second++) {
        const paths = Array.from({ length: 20 }, () => ({ type: "mem", name: `v${n++}` }));
        open(a, b, { type: "path", paths }, new Uint8Array(0));
        net.run(1_000);
      }
      minutes.push(victims() - before);
    }
    expect(Math.max(...minutes.slice(1))).toBeLessThanOrEqual(24);
    expect(minutes[0]).toBeLessThanOrEqual(48);
    expect(victims()).toBeGreaterThan(30);
    for (const { from, to, bytes } of net.sent)
      if (from === b && to.name?.startsWith("v")) expect(isChannelPacket(bytes)).toBe(false);
    expect([a.logged("down"), r.logged("down")]).toEqual([[], []]);
  });

  test("whatever is in peer, connect and path packets: no throw, no word, and the link lives", () => {
    const scene = linked();
    const { net, a, r, b } = scene;
    const stranger = createIdentity(net.crypto, net.chance.random);
    const names = [a, r, b].map(({ hashname }) => hashname as string);
    const bodies = [
      handshakeTo(net, b.identity, stranger, 100n),
      handshakeTo(net, b.identity, a.identity, 2n ** 40n),
      encodeHandshake(5n, { type: "key", json: { csid: "01" }, body: keyPacket(portable, stranger, 1) }),
      new Uint8Array(0),
    ];
    const body = fc.oneof(
      fc.constantFrom(...bodies),
      fc.uint8Array({ maxLength: 200 }),
      fc.uint8Array({ maxLength: 60 }).map((bytes) => encodePacket(Uint8Array.of(1), bytes)),
      fc.tuple(fc.constantFrom(...bodies), fc.nat()).map(([bytes, at]) => {
        const damaged = bytes.slice();
        if (damaged.length > 0) damaged[at % damaged.length] = at & 255;
        return damaged;
      }),
    );
    const peer = fc.oneof(fc.constantFrom<unknown>(...names, stranger.hashname), fc.jsonValue());
    const paths = fc.oneof(
      fc.jsonValue(),
      fc.array(fc.record({ type: fc.constantFrom("mem", "peer", "udp4", "x"), name: fc.string(), hn: peer }), {
        maxLength: 20,
      }),
    );
    const head = fc.record({ type: fc.constantFrom("peer", "connect", "path"), peer, paths, path: paths });
    b.policy = a.policy = r.policy = () => "reject";
    fc.assert(
      fc.property(fc.constantFrom(0, 1, 2, 3), head, body, fc.boolean(), (way, fields, bytes, reliable) => {
        const [from, to] = given(
          (
            [
              [a, r],
              [r, b],
              [a, b],
              [b, r],
            ] as const
          )[way],
        );
        const { type, ...others } = fields;
        try {
          open(from, to, { type, ...others } as JsonObject, bytes, reliable);
        } catch (error) {
          expect(["packet-size", "json-value"]).toContain((error as { code?: string }).code); // our own
          return;
        }
        net.run(1_000);
      }),
      { numRuns: 400 },
    );
    expect(net.peers.flatMap((one) => one.logged("opened").map(({ kind }) => kind))).toEqual([]);
    net.run(10 * MINUTE);
    a.want(b, [r]);
    net.run(2_000);
    a.say(b, "alive");
    net.run(2_000);
    expect(b.got.at(-1)).toBe("alive");
  });

  test("routers behind routers are not used, and a long chain of them is harmless", () => {
    const set = cs01();
    let seals = 0;
    const seal: CipherSet["seal"] = (...args) => {
      seals += 1;
      return set.seal(...args);
    };
    const { net, a, r } = behind(new MeshNet({ crypto: createCrypto(portable, [{ ...set, seal }]) }));
    const chain = Array.from({ length: 3_000 }, () => createIdentity(net.crypto, net.chance.random));
    const want = (i: number): void => {
      const { hashname, keys } = given(chain[i]);
      const { hashname: hn } = given(chain[(i + 1) % chain.length]);
      a.do({ type: "want", peer: { hashname, keys, paths: [{ type: "peer", hn }] } });
    };
    for (const i of chain.keys()) want(i);
    net.sent.length = 0;
    net.run(45_000); // all have tried for 30 s and rest
    seals = 0;
    want(0);
    expect(seals).toBe(2); // it, and the one that it needs; not the one which that would need
    expect(net.between(a, r).filter(({ bytes }) => isChannelPacket(bytes))).toEqual([]);
    const far = net.peer("far");
    const b = given(net.peers[2]);
    a.want(b, [r]);
    net.run(2_000);
    expect(a.way(b)).toBe("peer");
    a.want(far, [b]); // b is up, but by a router itself
    net.run(2_000);
    expect([b.mesh.dropped.route, a.isUp(far)]).toEqual([0, false]);
  });

  test("nobody is looked for by way of itself or of us", () => {
    const { net, a, b } = behind();
    a.do({
      type: "want",
      peer: {
        hashname: b.hashname,
        keys: b.identity.keys,
        paths: [a, b].map(({ hashname }) => ({ type: "peer", hn: hashname })),
      },
    });
    expect(a.mesh.links().find(({ hashname }) => hashname === b.hashname)?.state).toBe("unresolved");
    expect(net.now).toBeGreaterThan(START);
  });
});
