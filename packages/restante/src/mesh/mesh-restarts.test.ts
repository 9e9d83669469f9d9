/** Peers that come back from somewhere else, while the other end still believes in where they were. */
import { describe, expect, test } from "vitest";
import type { Time } from "../bytes/index.ts";
import { given } from "../testing/given.ts";
import { handshakeTo, mem, Net, type Peer } from "../testing/mesh-pairs.ts";

const LONG = 300_000;

/** `count` peers come for the first time. */
function come(net: Net, cache: Peer, count: number, name: string): readonly Peer[] {
  const peers = Array.from({ length: count }, (_, i) => net.peer(mem(`${name}-${i}`)));
  for (const peer of peers) peer.want(cache);
  net.run(2_000);
  expect(peers.filter(({ mesh }) => mesh.isUp(cache.hashname)).length).toBe(count);
  return peers;
}

/** All start anew at the same moment, at places of `life`; how long each takes until both ends have a link that works. */
function comeBack(net: Net, cache: Peer, peers: readonly Peer[], life: string): number[] {
  const began = net.now;
  const done = new Map<Peer, Time>();
  for (const peer of peers) {
    peer.restart();
    peer.log.length = 0;
    peer.paths = [mem(`${life}-${peers.indexOf(peer)}`)];
  }
  cache.log.length = 0;
  for (const peer of peers) peer.want(cache);
  while (done.size < peers.length && net.now < began + LONG) {
    net.run(20);
    const up = new Set(cache.logged("up").map(({ hashname }) => hashname));
    for (const peer of peers)
      if (!done.has(peer) && peer.mesh.isUp(cache.hashname) && up.has(peer.hashname)) done.set(peer, net.now);
  }
  return peers.map((peer) => (done.get(peer) ?? Number.POSITIVE_INFINITY) - began).sort((a, b) => a - b);
}

const at = (times: readonly number[], share: number): number =>
  times[Math.ceil(share * times.length) - 1] ?? Number.NaN;

describe("peers that start anew somewhere else have their links back at once", () => {
  test.each([1, 4, 60])("[B38] %i of them, life after life, and others that came later", (count) => {
    const net = new Net();
    const cache = net.peer(mem("cache"));
    for (const generation of ["a", "b", "c"]) {
      const peers = come(net, cache, count, generation);
      for (const life of ["second", "third"]) {
        const times = comeBack(net, cache, peers, generation + life);
        expect([generation, life, Math.max(...times)]).toEqual([generation, life, 40]);
        net.run(1_000);
      }
    }
  });

  test("[X11] one that has lost its count, too, and is behind all that the other end has seen", () => {
    const net = new Net();
    const cache = net.peer(mem("cache"));
    const [peer] = come(net, cache, 1, "first") as [Peer];
    for (let i = 0; i < 20; i++) cache.want(peer, `link://${i}`); // its numbers run ahead of the clock
    net.run(2_000);
    peer.saved = undefined;
    const since = net.now;
    const [took] = comeBack(net, cache, [peer], "elsewhere");
    expect(took).toBeLessThanOrEqual(100);
    const answers = net.from(cache, since).filter(({ to }) => to.name === "elsewhere-0");
    expect(answers.length).toBeLessThanOrEqual(12); // three handshakes, each with a URI beside the keys, and a channel packet or two
  });

  test("[X11] who plays old handshakes from elsewhere gets at most one answer a second and 24 a minute, each shorter than it", () => {
    const net = new Net();
    const cache = net.peer(mem("cache"));
    const [peer] = come(net, cache, 1, "first") as [Peer];
    const now = BigInt(net.now) / 1_000n;
    const recorded = Array.from({ length: 50 }, (_, i) =>
      handshakeTo(net, cache, peer.identity, now - 1_000n + BigInt(i)),
    );
    const since = net.now;
    for (let i = 0; i < 600; i++) {
      net.inject(mem("player"), cache, given(recorded[i % recorded.length]).slice());
      net.run(100);
    }
    const answers = net.from(cache, since).filter(({ to }) => to.name === "player");
    expect(answers.length).toBeGreaterThan(0);
    expect(answers.length).toBeLessThanOrEqual(48); // as much as gathers, and as much as comes again
    expect(cache.logged("down")).toEqual([]);
    expect(peer.mesh.isUp(cache.hashname)).toBe(true);
  });

  test("60 of them, where a fifth of all is lost: half with the first resend, 19 of 20 with the third", () => {
    const net = new Net();
    const cache = net.peer(mem("cache"));
    // So the cache's numbers are ahead of what newcomers have reserved.
    comeBack(net, cache, come(net, cache, 4, "before"), "again");
    const peers = come(net, cache, 60, "a");
    net.delays = () => (net.chance.happens(0.2) ? [] : [10]);
    const times: number[] = [];
    for (const life of ["second", "third", "fourth", "fifth"]) {
      times.push(...comeBack(net, cache, peers, life));
      net.run(60_000);
    }
    times.sort((a, b) => a - b);
    expect(at(times, 0.5)).toBeLessThanOrEqual(1_100);
    expect(at(times, 0.95)).toBeLessThanOrEqual(8_100);
    // When a whole process was lost there is the next: a keepalive after 30 s, or another attempt as long after its end.
    expect(at(times, 0.99)).toBeLessThanOrEqual(60_000);
  });
});
