import { expect, test } from "vitest";
import { mem, Net, START } from "../testing/mesh-pairs.ts";

test("of a link that is up is known since when, and how long an answer took; of one that is down nothing", () => {
  const net = new Net();
  const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
  net.delays = () => [40];
  a.want(b);
  expect(a.mesh.measure(b.hashname)).toBeUndefined();
  net.run(10_000);
  expect(a.mesh.measure(b.hashname)).toEqual({ since: START + 80, roundTrip: 80 });
  // A keepalive later the way has become longer: it is still the same link.
  net.delays = () => [150];
  net.run(120_000);
  expect(a.mesh.measure(b.hashname)).toEqual({ since: START + 80, roundTrip: 300 });
  net.delays = () => [];
  net.run(600_000);
  expect(a.mesh.measure(b.hashname)).toBeUndefined();
});

test("an answer to what was said twice measures nothing: nobody knows to which of both it is one", () => {
  const net = new Net();
  const [a, b] = [net.peer(mem("p1")), net.peer(mem("p2"))];
  let said = 0;
  net.delays = ({ from }) => (from === a && said++ === 0 ? [] : [10]);
  a.want(b);
  net.run(10_000);
  expect(said).toBeGreaterThan(1);
  expect(a.mesh.measure(b.hashname)?.since).toBeGreaterThan(START + 20);
  expect(a.mesh.measure(b.hashname)?.roundTrip).toBeUndefined();
  net.run(120_000);
  expect(a.mesh.measure(b.hashname)?.roundTrip).toBe(20);
});
