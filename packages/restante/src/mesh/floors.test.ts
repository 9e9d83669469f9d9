import { describe, expect, test } from "vitest";
import { utf8 } from "../bytes/index.ts";
import { type Path, pathKey } from "../card/index.ts";
import { type Crypto, createCrypto, createIdentity, type Hashname, portable } from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { given, MeshNet, type MeshPeer } from "../testing/meshes.ts";
import { cloak, decloak, encodePacket, parsePacket } from "../wire/index.ts";
import { Floors, type Noise, noiseProblem } from "./floors.ts";

const START = 1_700_000_000_000;
const HOUR = 60 * 60_000;
/** Hides every packet, between peers that both have it. */
const ALL: Noise = { bytes: 1408, everyMs: 50, rounds: 255 };
/** Hides small packets, and anybody can read it. */
const SMALL: Noise = { bytes: 300, everyMs: 50 };

describe("floors", () => {
  const crypto = createCrypto(portable, [cs01()]);
  const { random } = new Chance(1);
  const hashname = (): Hashname => createIdentity(crypto, random).hashname;
  const [alice, bob] = [hashname(), hashname()];
  const at = (name: string): Path => ({ type: "mem", name });
  const up = (path: Path) => ({ state: "up", path, isProven: true });
  const down = { state: "down", path: undefined, isProven: false };
  const make = (noise: Noise = SMALL, cloaks: (path: Path) => boolean = () => true) =>
    new Floors({ cipher: portable.chacha20, random, noise, cloaks });
  const packetOf = (length: number, mark = 0) => encodePacket(undefined, new Uint8Array(length - 2).fill(mark));

  test("there is one for each address where links are up, for as long as one of them is", () => {
    const floors = make();
    floors.follow(alice, up(at("a")), START);
    floors.follow(bob, up(at("a")), START);
    expect([floors.size, floors.deadline()]).toEqual([1, START + 50]);
    floors.follow(alice, up(at("b")), START + 20);
    expect([floors.size, floors.deadline()]).toEqual([2, START + 50]);
    floors.follow(bob, down, START + 30);
    expect([floors.size, floors.deadline()]).toEqual([1, START + 70]);
    expect(floors.tick(START + 70).map(({ path }) => path)).toEqual([at("b")]);
    floors.follow(alice, down, START + 80);
    expect([floors.size, floors.deadline(), floors.tick(START + HOUR)]).toEqual([0, undefined, []]);
  });

  test("there is none on streams, by routers, where we speak without a cloak, and where nobody has proven to be", () => {
    const floors = make(SMALL, ({ name }) => name !== "old");
    const tcp: Path = { type: "tcp4", ip: "192.0.2.1", port: 1 };
    for (const path of [tcp, { type: "peer", hn: bob }, at("old")]) {
      floors.follow(alice, up(path), START);
      expect(floors.needsProof({ ...up(path), isProven: false })).toBe(false);
    }
    const unproven = { ...up(at("a")), isProven: false };
    floors.follow(alice, unproven, START);
    expect(floors.size).toBe(0);
    expect([unproven, up(at("a")), down].map((link) => floors.needsProof(link))).toEqual([true, false, false]);
    floors.follow(alice, up(at("a")), START);
    expect(floors.size).toBe(1);
  });

  test("a link that comes and goes, or moves all the time, gets no more datagrams than one that stays", () => {
    const floors = make();
    let sent = 0;
    for (let now = START; now < START + 10_000; now += 5) {
      floors.follow(alice, now % 15 === 0 ? down : up(at(now % 10 === 0 ? "a" : "b")), now);
      expect(floors.size).toBeLessThanOrEqual(1);
      sent += floors.tick(now).length;
    }
    expect(sent).toBeLessThanOrEqual(10_000 / 50);
  });

  test("a late tick is one datagram for each floor", () => {
    const floors = make();
    floors.follow(alice, up(at("a")), START);
    floors.follow(bob, up(at("b")), START + 1);
    expect(floors.tick(START + HOUR)).toHaveLength(2);
    expect(floors.tick(START + HOUR)).toEqual([]);
  });

  test("what does not fit is left to the caller; what is too much is dropped, what we pass on first", () => {
    const floors = make();
    expect(floors.take(at("a"), packetOf(100), true, START)).toBe(false); // no floor
    floors.follow(alice, up(at("a")), START);
    expect([36, 293].map((length) => floors.take(at("a"), packetOf(length), true, START))).toEqual([false, false]);
    // 40 packets of one size take 16 s. Every one of these is taken.
    for (let i = 0; i < 40; i++) expect(floors.take(at("a"), packetOf(100, 1), false, START)).toBe(true);
    for (let i = 0; i < 40; i++) expect(floors.take(at("a"), packetOf(100, 2), true, START)).toBe(true);
    const marks: (number | undefined)[] = [];
    for (let now = START; now < START + 60_000; now += 50) {
      const packets = floors.tick(now).map(({ bytes }) => given(decloak(portable.chacha20, bytes)).packet);
      for (const packet of packets)
        if (packet.length === 100 && packet.every((byte, i) => i < 2 || byte === packet[2])) marks.push(packet[2]);
    }
    expect(marks).toEqual([...Array<number>(20).fill(1), ...Array<number>(20).fill(2)]);
  });

  test("a packet that waits is not changed by what happens to the bytes it was in", () => {
    const floors = make({ ...SMALL, everyMs: 10 });
    floors.follow(alice, up(at("a")), START);
    const packet = packetOf(100, 7);
    floors.take(at("a"), packet, true, START);
    packet.fill(0);
    const found = Array.from({ length: 8 }, (_, i) => floors.tick(START + 10 * (i + 1))).flat();
    expect(found.map(({ bytes }) => decloak(portable.chacha20, bytes)?.packet)).toContainEqual(packetOf(100, 7));
  });

  test("values out of range are named before anything is sent", () => {
    const wrong = [{ bytes: 63 }, { bytes: 2049 }, { bytes: Number.NaN }, { everyMs: 9 }, { everyMs: 1001 }];
    for (const part of [...wrong, { rounds: 0 }, { rounds: 256 }, { rounds: 1.5 }]) {
      expect(noiseProblem({ ...SMALL, ...part })).toMatch(/^a noise floor /);
      expect(() => make({ ...SMALL, ...part })).toThrow("broken invariant");
    }
    for (const noise of [SMALL, ALL, { bytes: 64, everyMs: 10, rounds: 1 }, { bytes: 2048, everyMs: 1000 }])
      expect(noiseProblem(noise)).toBeUndefined();
  });
});

/** Two peers with a link, and the network between them as an observer sees it. */
function pair(noise: readonly [Noise | undefined, Noise | undefined], seed = 1, crypto?: Crypto) {
  const net = new MeshNet({ seed, ...(crypto && { crypto }) });
  const [a, b] = ["a", "b"].map((name, i) => net.peer(name, { noise: noise[i] })) as [MeshPeer, MeshPeer];
  a.want(b);
  net.run(40 * Math.max(50, noise[0]?.everyMs ?? 0));
  expect([a.isUp(b), b.isUp(a)]).toEqual([true, true]);
  return { net, a, b };
}

/** What can be counted and measured on the way, since some moment. */
function seen({ net, a, b }: ReturnType<typeof pair>, since: number) {
  const look = (from: MeshPeer, to: MeshPeer) =>
    net.between(from, to, since).map(({ at, bytes }) => ({ at: at - since, size: bytes.length }));
  return { there: look(a, b), back: look(b, a) };
}

/** What a floor must look like: a datagram on each beat, in a fixed succession of sizes. */
function expectFloor(found: readonly { at: number; size: number }[], { bytes, everyMs }: Noise, ms: number): void {
  expect(found.length).toBeGreaterThanOrEqual(Math.floor(ms / everyMs) - 1);
  for (const [i, { at, size }] of found.entries()) {
    const before = found[i - 1];
    if (before === undefined) continue;
    expect(at - before.at).toBe(everyMs);
    expect(size).toBe(before.size === bytes - 7 ? bytes : before.size - 1);
  }
}

describe("two meshes with noise", () => {
  test("look the same whether they talk or not, with 1 of 5 datagrams lost, and everything arrives", () => {
    const live = (isTalking: boolean) => {
      const world = pair([ALL, ALL], 7);
      const { net, a, b } = world;
      const { now } = net;
      net.loss = 0.2;
      net.latency = [10, 60];
      for (let i = 0; i < 40; i++) {
        if (isTalking && i < 30) {
          // From nearly nothing to a whole packet, and unreliable ones besides.
          a.say(b, `${"x".repeat((i * 397) % 1200)} from a ${i}`);
          b.say(a, `${"y".repeat((i * 113) % 1200)} from b ${i}`);
          a.say(b, "by the way", false);
        }
        net.run(3_000);
      }
      expect([a, b].flatMap((peer) => peer.logged("down"))).toEqual([]);
      const texts = [b.got, a.got].map((got) => new Set(got.flatMap((text) => text.match(/from . \d+$/) ?? [])).size);
      return { world, since: now, texts };
    };
    const [busy, quiet] = [live(true), live(false)];
    expect([busy.texts, quiet.texts]).toEqual([
      [30, 30],
      [0, 0],
    ]);
    const found = seen(busy.world, busy.since);
    expect(found).toEqual(seen(quiet.world, quiet.since));
    for (const side of [found.there, found.back]) expectFloor(side, ALL, 120_000);
  });

  test.each([
    ["of one size", () => 1_200],
    ["of many sizes", (i: number) => 1_000 + ((i * 37) % 200)],
  ] as const)("bring many packets %s on one channel, slowly, with nothing beside the floor", (_, size) => {
    const world = pair([ALL, ALL]);
    const { net, a, b } = world;
    const since = net.now;
    const [count, ms] = [150, 90_000]; // 60 s at the least for those of one size
    const ch = a.handle();
    const head = { type: "test" };
    let said = 0;
    a.watch = (effect) => {
      if (effect.type !== "writable" || effect.ch !== ch) return;
      for (let i = 0; i < effect.credit && said < count; i++) {
        said += 1;
        const body = utf8(`${said} `.padEnd(size(said), "x"));
        a.do({ type: "send", ch, head: {}, body });
      }
    };
    a.do({ type: "open", ch, peer: b.hashname, reliable: true, head, body: utf8("0") });
    net.run(ms);
    expect(b.got.map((text) => Number.parseInt(text, 10))).toEqual(Array.from({ length: count + 1 }, (_, i) => i));
    expect([a, b].flatMap((peer) => [...peer.logged("down"), ...peer.logged("closed")])).toEqual([]);
    const { there, back } = seen(world, since);
    for (const side of [there, back]) expectFloor(side, ALL, ms);
  });

  test("one that has no noise of its own reads the other's, where that keeps to 32 rounds", () => {
    const world = pair([SMALL, undefined]);
    const { net, a, b } = world;
    const since = net.now;
    for (let i = 0; i < 10; i++) {
      a.say(b, `${"x".repeat(100)} ${i}`);
      b.say(a, `${"y".repeat(100)} ${i}`);
      net.run(2_000);
    }
    expect([a.got.length, b.got.length]).toEqual([10, 10]);
    const { there, back } = seen(world, since);
    expectFloor(there, SMALL, 20_000);
    expect(back.length).toBeLessThan(100); // it says what it has to say
    expect(b.mesh.dropped.token).toBeGreaterThan(300); // the noise
    expect(b.mesh.dropped.noise).toBe(0);
  });

  test("a packet too large for the floor is sent at once, beside it", () => {
    const world = pair([SMALL, SMALL]);
    const { net, a, b } = world;
    const since = net.now;
    a.say(b, "x".repeat(1_000));
    net.run(3_000);
    expect(b.got).toEqual(["x".repeat(1_000)]);
    const { there } = seen(world, since);
    const beside = there.filter(({ size }) => size > 300);
    expect(beside.map(({ at }) => at)).toEqual([0]);
    expectFloor(
      there.filter((one) => !beside.includes(one)),
      SMALL,
      3_000,
    );
  });

  test("hide all of a conversation under cipher set 3a, and its keepalives", () => {
    const world = pair([ALL, ALL], 1, createCrypto(portable));
    const { net, a, b } = world;
    const since = net.now;
    a.say(b, "x".repeat(1_250));
    b.say(a, "y");
    net.run(40_000);
    expect([a.got, b.got]).toEqual([["y"], ["x".repeat(1_250)]]);
    for (const side of Object.values(seen(world, since))) expectFloor(side, ALL, 40_000);
  });

  test("an hour of silence costs one datagram for each tick, and leaves nothing behind", () => {
    const noise: Noise = { bytes: 500, everyMs: 1000, rounds: 255 };
    const world = pair([noise, noise]);
    const { net, a, b } = world;
    const since = net.now;
    net.run(HOUR);
    const { there, back } = seen(world, since);
    for (const side of [there, back]) {
      expectFloor(side, noise, HOUR);
      expect(side.length).toBeLessThanOrEqual(HOUR / 1000 + 1);
    }
    expect([a, b].flatMap((peer) => peer.logged("down"))).toEqual([]);
    expect(a.mesh.links()).toHaveLength(1);
    // Every fresh text still comes within its eight ticks: nothing waits before it.
    a.say(b, "still there?");
    net.run(8_100);
    expect(b.got).toEqual(["still there?"]);
  });

  test("are silent after the end of the link", () => {
    const { net, a, b } = pair([SMALL, SMALL]);
    a.do({ type: "unwant", hashname: b.hashname });
    a.do({ type: "reject", hashname: b.hashname });
    expect(a.isUp(b)).toBe(false);
    const since = net.now;
    b.stop();
    net.run(HOUR);
    expect(net.between(a, b, since)).toEqual([]);
    expect(a.mesh.deadline()).toBeUndefined();
  });

  test.each([
    ["at once, where its first packet is read", SMALL, 5_000],
    ["when it looks for us, where that has more than 32 rounds", ALL, 150_000],
  ] as const)("begin the noise where a peer is that moved, and end it where it was: %s", (_, noise, ms) => {
    const { net, a, b } = pair([noise, noise]);
    const before = pathKey(a.path);
    a.name = "elsewhere";
    a.say(b, `${"x".repeat(100)} here I am`);
    net.run(ms);
    expect(b.way(a)).toBe("elsewhere");
    const since = net.now;
    net.run(5_000);
    const late = net.sent.filter(({ from, at }) => from === b && at > since);
    expect(late.filter(({ to }) => pathKey(to) === before)).toEqual([]);
    expectFloor(
      late.map(({ at, bytes }) => ({ at, size: bytes.length })),
      noise,
      5_000,
    );
  });

  test("send none to an address from which a fresh handshake of the peer came, and no answer to ours", () => {
    const { net, a, b } = pair([SMALL, undefined]);
    net.reaches = () => false;
    const since = net.now;
    b.do({ type: "handshakes", messages: [] }); // sends one on links that are up
    const [handshake] = net.between(b, a, since);
    const victim: Path = { type: "mem", name: "victim" };
    a.do({ type: "received", path: victim, bytes: given(handshake).bytes.slice() });
    expect(a.way(b)).toBe("victim");
    net.run(10_000);
    const to = (path: Path) => net.sent.filter((one) => pathKey(one.to) === pathKey(path) && one.at > since).length;
    expect([to(victim), to(b.path)].every((count) => count < 10)).toBe(true);
  });

  test("send none to an address from which an answer of the peer came that we had asked for elsewhere", () => {
    const { net, a, b } = pair([SMALL, undefined]);
    net.reaches = () => false;
    const since = net.now;
    a.do({ type: "handshakes", messages: [] });
    net.run(8 * SMALL.everyMs); // it waits for a tick, among noise
    for (const { bytes } of net.between(a, b, since)) b.do({ type: "received", path: a.path, bytes: bytes.slice() });
    const answers = net.between(b, a, since);
    expect(answers.length).toBeGreaterThan(0);
    // Somebody between them sends the answers on under another address.
    const victim: Path = { type: "mem", name: "victim" };
    for (const { bytes } of answers) a.do({ type: "received", path: victim, bytes: bytes.slice() });
    expect(a.way(b)).toBe("victim"); // as for any handshake from there, until it is asked
    net.run(10_000);
    expect(net.sent.filter((one) => one.from === a && pathKey(one.to) === pathKey(victim)).length).toBeLessThan(10);
  });

  test("cost no more than one datagram for each tick and peer, whatever a peer sends", () => {
    const { net, a, b } = pair([SMALL, SMALL]);
    const recorded = net.sent.filter(({ from }) => from === b).map(({ bytes }) => bytes);
    const since = net.now;
    for (let i = 0; i < 400; i++) {
      const bytes = given(recorded[i % recorded.length]).slice();
      a.do({ type: "received", path: { type: "mem", name: `forged${i % 50}` }, bytes });
      net.run(25);
    }
    const forged = net.sent.filter(({ from, to, at }) => from === a && at >= since && to.name?.startsWith("forged"));
    expect(forged.length).toBeLessThan(20); // handshakes to find out, no floor
    expect(net.between(a, b, since).length).toBeLessThanOrEqual(10_000 / SMALL.everyMs + 20);
  });
});

describe("rounds", () => {
  test("above 32 are undone for peers with a link only, and only with noise of our own", () => {
    const rounds = (noise: Noise | undefined, from: string) => {
      const { a, b, net } = pair([noise, undefined]);
      const packet = encodePacket(undefined, new Uint8Array(40).fill(9));
      const before = { ...a.mesh.dropped };
      const path: Path = from === "b" ? b.path : { type: "mem", name: from };
      a.do({ type: "received", path, bytes: cloak(portable.chacha20, packet, net.chance.random, 33) });
      // Read: nobody's token. Not read: noise.
      return { token: a.mesh.dropped.token - before.token, noise: a.mesh.dropped.noise - before.noise };
    };
    expect(rounds(SMALL, "b")).toEqual({ token: 1, noise: 0 });
    expect(rounds(SMALL, "stranger")).toEqual({ token: 0, noise: 1 });
    expect(rounds(undefined, "b")).toEqual({ token: 0, noise: 1 });
  });

  test("who floods the address of a link makes us undo a bounded number of them, and what others say is still read", () => {
    let done = 0;
    const chacha20: typeof portable.chacha20 = (key, nonce, data) => {
      done += 1;
      return portable.chacha20(key, nonce, data);
    };
    const net = new MeshNet({ crypto: createCrypto({ ...portable, chacha20 }, [cs01()]) });
    const [a, b, c] = ["a", "b", "c"].map((name) => net.peer(name, { noise: ALL })) as [MeshPeer, MeshPeer, MeshPeer];
    for (const peer of [b, c]) peer.want(a);
    net.run(5_000);
    const [former, seconds] = [{ ...a.mesh.dropped }, 3];
    const deep = cloak(portable.chacha20, encodePacket(undefined, new Uint8Array(8)), net.chance.random, 250);
    let byFlood = 0;
    for (let i = 0; i < seconds * 20; i++) {
      const before = done;
      for (let n = 0; n < 40; n++) a.do({ type: "received", path: b.path, bytes: deep.slice() });
      byFlood += done - before;
      if (i % 20 === 0) c.say(a, `line ${i / 20}`);
      net.run(50);
    }
    // 400 at once and 200 a second of all addresses, 20 and 10 of this one; of all others 33 rounds are looked at.
    const [flooded, bound] = [seconds * 20 * 40, 400 + 20 + seconds * (200 + 10)];
    expect(byFlood).toBeLessThanOrEqual(bound * 251 + (flooded - bound) * 33);
    expect(flooded).toBeGreaterThan(2 * bound);
    expect(a.mesh.dropped.noise - former.noise).toBeGreaterThanOrEqual(flooded - bound);
    net.run(30_000);
    expect(a.got).toEqual(Array.from({ length: seconds }, (_, i) => `line ${i}`));
    expect([a.logged("down"), b.isUp(a)]).toEqual([[], true]);
  });
});

test("who waits for a handshake of more than 32 rounds hears it: a peer that starts again finds the link", () => {
  const { net, a, b } = pair([ALL, ALL]);
  b.restart();
  b.want(a);
  net.run(10_000);
  expect([a.isUp(b), b.isUp(a)]).toEqual([true, true]);
  a.say(b, "welcome back");
  net.run(1_000);
  expect(b.got).toEqual(["welcome back"]);
});

test("a peer that starts again and looks for nobody is found again within two minutes", () => {
  const { net, a, b } = pair([ALL, ALL]);
  b.restart();
  net.run(120_000);
  expect([a.isUp(b), b.isUp(a)]).toEqual([true, true]);
});

test("peers that speak without a cloak get no noise", () => {
  const net = new MeshNet();
  const [a, b] = [net.peer("a", { noise: SMALL }), net.peer("b", { cloak: false })];
  b.want(a);
  net.run(5_000);
  expect(a.isUp(b)).toBe(true);
  const sent = net.sent.filter(({ from }) => from === a);
  expect(sent.length).toBeLessThan(5);
  expect(sent.every(({ bytes }) => bytes[0] === 0)).toBe(true);
});

test("what a router passes on goes by its floors, and so does what it is given to pass on", () => {
  const net = new MeshNet({ seed: 5 });
  net.onlyBy("r");
  const r = net.peer("r", { routing: { allows: () => true }, noise: ALL });
  const peers = ["a", "b"].map((name) => net.peer(name, { routers: [r.hashname], noise: ALL }));
  const [a, b] = [given(peers[0]), given(peers[1])];
  for (const peer of peers) peer.want(r);
  net.run(2_000);
  a.want(b, [r]);
  net.run(10_000);
  expect([a.way(b), b.way(a)]).toEqual(["peer", "peer"]);
  const since = net.now;
  for (let i = 0; i < 10; i++) a.say(b, `by the router ${i}`);
  net.run(10_000);
  expect(new Set(b.got).size).toBe(10);
  for (const [from, to] of [
    [a, r],
    [r, b],
    [b, r],
    [r, a],
  ] as const) {
    const found = net.between(from, to, since).map(({ at, bytes }) => ({ at, size: bytes.length }));
    expectFloor(found, ALL, 10_000);
  }
});

test("the floor of a mesh looks to a stranger like noise, and to who undoes the cloak like channel packets", () => {
  const { net, a, b } = pair([SMALL, SMALL]);
  const since = net.now;
  net.run(2_000);
  for (const { bytes } of net.between(a, b, since)) {
    expect(bytes[0]).not.toBe(0);
    expect(parsePacket(given(decloak(portable.chacha20, bytes)).packet)?.head.length).toBe(0);
  }
});
