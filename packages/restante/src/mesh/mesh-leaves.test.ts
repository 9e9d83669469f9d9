/** Peers that go: with a word, which ends the link at once, and without, where a lost connection tells it. */
import { describe, expect, test } from "vitest";
import { type Path, pathKey } from "../card/index.ts";
import { isHandshake, linked, mem, Net, type Peer, packets, tcp } from "../testing/mesh-pairs.ts";
import { DATAGRAMS, linked as linkedByRouter, MeshNet, STREAMS } from "../testing/meshes.ts";

const MINUTE = 60_000;

const whys = (peer: Peer): string[] => peer.logged("down").map(({ why }) => why);

/** Two that know each other by a stream and by datagrams; `inUse` is where the first one has its link. */
function linkedTwice(inUse: "stream" | "datagrams"): [Net, Peer, Peer] {
  const net = new Net();
  const [a, b] = [net.peer(mem("a")), net.peer(mem("b"))];
  const isFirst = (to: { type: string }): boolean => (to.type === "tcp4") === (inUse === "stream");
  net.delays = ({ to }) => [isFirst(to) ? 10 : 20]; // the first echo has the link
  a.paths = [tcp(1), mem("a")];
  b.paths = [tcp(2), mem("b")];
  a.want(b);
  net.run(2_000);
  expect(a.mesh.links()).toEqual([{ hashname: b.hashname, state: "up", path: inUse === "stream" ? tcp(2) : mem("b") }]);
  return [net, a, b];
}

describe("a goodbye", () => {
  test.each([
    ["datagrams", (n: number) => mem(`p${n}`)],
    ["streams", tcp],
  ] as const)("on %s takes one packet and ends the link at both ends at once", (_, place) => {
    const [net, a, b] = linked(place);
    a.say(b, "open channel");
    net.run(1_000);
    const since = net.now;
    b.do({ type: "leave" });
    expect(net.from(b, since).length).toBe(1);
    expect(whys(b)).toEqual(["left"]);
    net.run(10);
    expect(whys(a)).toEqual(["left"]);
    expect(a.logged("closed").map(({ err }) => err)).toEqual(["left"]);
    expect(a.got).toEqual([]); // no application hears of the channel that said it
  });

  test("nobody is called who has just left, but some seconds later once, and then as rarely as ever", () => {
    const [net, a, b] = linked();
    net.run(MINUTE);
    b.do({ type: "leave" });
    net.run(10);
    const since = net.now;
    net.run(5_900);
    expect(net.from(a, since)).toEqual([]);
    net.run(4_200);
    expect(packets(net.from(a, since)).some(isHandshake)).toBe(true);
    net.run(30_000); // the attempt is over
    const later = net.now;
    net.run(20_000);
    expect(net.from(a, later)).toEqual([]);
  });

  test("who was started anew is linked again within ten seconds, though it looks for nobody itself", () => {
    const [net, a, b] = linked();
    net.run(MINUTE);
    b.do({ type: "leave" });
    net.run(10);
    b.restart();
    net.run(10_100);
    expect([a.mesh.isUp(b.hashname), b.mesh.isUp(a.hashname)]).toEqual([true, true]);
  });

  test("who was there for less than a minute is called as after a vain attempt, and more rarely with each such visit", () => {
    const [net, a, b] = linked();
    for (const wait of [30_000, 60_000, 120_000, 300_000, 600_000, 600_000]) {
      b.do({ type: "leave" });
      net.run(10);
      const since = net.now;
      b.restart();
      b.policy = () => "wait";
      net.run(0.75 * wait - 100);
      expect(net.from(a, since)).toEqual([]);
      net.run(0.5 * wait + 100);
      expect(packets(net.from(a, since)).some(isHandshake)).toBe(true);
      b.policy = () => "approve";
      b.want(a);
      net.run(1_000);
      expect(a.mesh.isUp(b.hashname)).toBe(true);
    }
    // One that lasts is as the first.
    net.run(MINUTE);
    b.do({ type: "leave" });
    net.run(10_100);
    expect(a.mesh.links()).toEqual([{ hashname: b.hashname, state: "up", path: mem("p2") }]);
  });

  test("whoever has cause calls at once, and who left may come back at once", () => {
    const [net, a, b] = linked();
    b.do({ type: "leave" });
    net.run(10);
    b.restart();
    a.want(b); // there is mail to bring
    net.run(100);
    expect([a.mesh.isUp(b.hashname), b.mesh.isUp(a.hashname)]).toEqual([true, true]);
    b.do({ type: "leave" });
    net.run(10);
    b.restart();
    b.want(a);
    net.run(100);
    expect([a.mesh.isUp(b.hashname), b.mesh.isUp(a.hashname)]).toEqual([true, true]);
    expect(whys(a)).toEqual(["left", "left"]);
  });

  test("a recorded one ends nothing in a later life", () => {
    const [net, a, b] = linked();
    const since = net.now;
    b.do({ type: "leave" });
    const recorded = net.from(b, since).map(({ bytes }) => bytes);
    net.run(10);
    b.restart();
    b.want(a);
    net.run(1_000);
    for (const bytes of recorded) expect(net.inject(mem("p2"), a, bytes.slice())).toEqual([]);
    expect(a.mesh.isUp(b.hashname)).toBe(true);
    expect(a.mesh.dropped.token).toBe(1);
  });

  test.each([
    ["datagrams", DATAGRAMS],
    ["streams", STREAMS],
  ] as const)("also reaches a peer that is behind a router, on %s", (_, names) => {
    const { net, a, r, b } = linkedByRouter(undefined, names);
    a.do({ type: "leave" });
    net.run(50);
    expect(b.logged("down")).toEqual([{ type: "down", hashname: a.hashname, why: "left" }]);
    expect(r.logged("down")).toEqual([{ type: "down", hashname: a.hashname, why: "left" }]);
  });

  test("is no more than a channel to a peer that opens one of type link and goes on", () => {
    const [net, a, b] = linked();
    a.do({ type: "open", ch: 77, peer: b.hashname, reliable: false, head: { type: "link" }, body: new Uint8Array(0) });
    net.run(1_000);
    expect([a.mesh.isUp(b.hashname), b.mesh.isUp(a.hashname)]).toEqual([true, true]);
    expect(b.logged("opened")).toEqual([]);
  });

  test("does not wait for its turn where there is noise on the way to the router", () => {
    const net = new MeshNet();
    net.onlyBy("r");
    const noise = { bytes: 160, everyMs: 200 };
    const r = net.peer("r", { routing: { allows: () => true }, noise });
    const options = { routers: [r.hashname], noise };
    const [a, b] = [net.peer("a", options), net.peer("b", options)];
    for (const peer of [a, b]) peer.want(r);
    net.run(10_000);
    a.want(b, [r]);
    net.run(20_000);
    expect([a.way(b), b.way(a)]).toEqual(["peer", "peer"]);
    a.do({ type: "leave" });
    net.run(10);
    expect(r.logged("down").map(({ why }) => why)).toEqual(["left"]);
    net.run(2_000); // the router's own floor
    expect(b.logged("down").map(({ why }) => why)).toEqual(["left"]);
  });
});

describe("a peer whose card names the addresses of others", () => {
  /** One that has a link to another and takes fifteen addresses for its own, and what it has sent there since. */
  function misled([own, place]: readonly [Path, Path] = [mem("a"), mem("m")]): [Net, Peer, Peer, () => number] {
    const net = new Net();
    const [a, m] = [net.peer(own), net.peer(place)];
    const others = Array.from({ length: 15 }, (_, i) => mem(`other${i}`));
    m.paths = [place, ...others];
    a.want(m);
    m.paths = [place];
    net.run(1_000);
    const up = net.now;
    const keys = new Set(others.map(pathKey));
    return [net, a, m, () => net.from(a, up).filter(({ to }) => keys.has(pathKey(to))).length];
  }

  test("is looked for only where it was, when it has said goodbye; elsewhere when it is not found there", () => {
    for (const lasting of [0, MINUTE]) {
      const [net, a, m, toOthers] = misled();
      net.run(lasting);
      m.do({ type: "leave" });
      m.restart();
      m.policy = () => "wait";
      const since = net.now;
      net.run(lasting === 0 ? 55_000 : 35_000);
      expect([packets(net.from(a, since)).some(isHandshake), toOthers()]).toEqual([true, 0]);
      net.run(90_000);
      expect(toOthers()).toBeGreaterThan(0);
    }
  });

  test("has nobody else called by saying goodbye again and again", () => {
    for (const away of [10_500, 39_000]) {
      const [net, a, m, toOthers] = misled();
      for (let i = 0; i < 10; i++) {
        m.do({ type: "leave" });
        m.restart();
        m.policy = () => "wait";
        net.run(away);
        m.policy = () => "approve";
        m.want(a);
        net.run(1_500);
        expect(a.mesh.isUp(m.hashname)).toBe(true);
      }
      expect(toOthers()).toBe(0);
    }
  });

  test("has others called 40 times a minute, when there were 160, by losing its stream again and again", () => {
    const [net, a, m, toOthers] = misled([tcp(2), tcp(1)]);
    for (let i = 0; i < 40; i++) {
      a.do({ type: "path", path: tcp(1), open: false });
      m.restart();
      m.want(a);
      net.run(3_000);
    }
    expect(a.mesh.isUp(m.hashname)).toBe(true);
    expect(toOthers()).toBeGreaterThan(160);
    expect(toOthers()).toBeLessThanOrEqual(160 + 2 * 40);
  });
});

describe("a peer that goes without a word", () => {
  test.each(["stream", "datagrams"] as const)(
    "is down within 3 s of the loss of its connection, the link being on %s",
    (inUse) => {
      const [net, a, b] = linkedTwice(inUse);
      net.delays = () => [];
      a.do({ type: "path", path: tcp(2), open: false });
      net.run(2_400);
      expect(whys(a)).toEqual([]);
      net.run(200);
      expect(whys(a)).toEqual(["path"]);
      // It is looked for as ever, and found when it is there again.
      net.delays = () => [10];
      b.restart();
      net.run(1_000);
      expect(a.mesh.isUp(b.hashname)).toBe(true);
    },
  );

  test.each(["stream", "datagrams"] as const)(
    "is not taken for gone when only its stream is, the link being on %s",
    (inUse) => {
      const [net, a, b] = linkedTwice(inUse);
      let isFirst = true;
      net.delays = ({ to }) => {
        if (to.type === "tcp4") return [];
        if (!isFirst) return [10];
        isFirst = false; // one datagram may be lost
        return [];
      };
      a.paths = [mem("a")];
      b.paths = [mem("b")];
      a.do({ type: "path", path: tcp(2), open: false });
      net.run(5 * MINUTE);
      a.say(b, "still here");
      net.run(1_000);
      expect([whys(a), whys(b), b.got]).toEqual([[], [], ["still here"]]);
    },
  );
});
