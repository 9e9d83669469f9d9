/** Pings: a peer that is there answers, once for each time that it is asked, and the answer says how long it took. */
import { expect, test } from "vitest";
import { mem, Net, type Peer, packets } from "../testing/mesh-pairs.ts";

const answers = (peer: Peer): number[] => peer.logged("pong").map(({ ms }) => ms);

function linkedBy(delay: number): [Net, Peer, Peer] {
  const far = new Net();
  far.delays = () => [delay];
  const [c, d] = [far.peer(mem("c")), far.peer(mem("d"))];
  c.want(d);
  far.run(5_000);
  return [far, c, d];
}

test("the answer to a ping says how long it took, there and back; unasked there is none", () => {
  const [net, a, b] = linkedBy(70);
  expect(answers(a)).toEqual([]);
  for (const _ of [1, 2]) {
    a.do({ type: "ping", hashname: b.hashname });
    net.run(1_000);
  }
  expect(answers(a)).toEqual([140, 140]);
  expect(answers(b)).toEqual([]);
  net.run(120_000); // keepalives answer nobody
  expect(answers(a)).toHaveLength(2);
});

test("while an answer is waited for, more pings send nothing more, and are answered by it", () => {
  const [net, a, b] = linkedBy(70);
  const since = net.now;
  for (let n = 0; n < 50; n++) a.do({ type: "ping", hashname: b.hashname });
  net.run(1_000);
  expect(answers(a)).toEqual([140]);
  expect(packets(net.from(a, since)).length).toBeLessThan(4);
});

test("when the first handshake is lost the answer says how long it took in all", () => {
  const [net, a, b] = linkedBy(70);
  const since = net.now;
  net.delays = () => (net.now < since + 500 ? [] : [70]);
  a.do({ type: "ping", hashname: b.hashname });
  net.run(10_000);
  expect(answers(a)).toHaveLength(1);
  expect(answers(a)[0]).toBeGreaterThan(1_000);
});

test("nobody answers who is gone or not known; who comes back is found by being asked for", () => {
  const [net, a, b] = linkedBy(70);
  net.delays = () => [];
  a.do({ type: "ping", hashname: b.hashname });
  net.run(30 * 60_000);
  expect(answers(a)).toEqual([]);
  expect(a.mesh.links()[0]?.state).toBe("down");
  net.delays = () => [70];
  const since = net.now;
  a.do({ type: "ping", hashname: b.hashname });
  net.run(2_000);
  expect(a.mesh.links()[0]?.state).toBe("up");
  expect(answers(a)).toEqual([140]);
  expect(net.from(a, since).length).toBeGreaterThan(0);

  const stranger = net.peer(mem("e"));
  a.do({ type: "ping", hashname: stranger.hashname });
  net.run(2_000);
  expect(answers(a)).toHaveLength(1);
});
