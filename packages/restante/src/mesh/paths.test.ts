import { expect, test } from "vitest";
import type { Path } from "../card/index.ts";
import { isChannelPacket, MeshNet } from "../testing/meshes.ts";

const HOUR = 60 * 60_000;

test("who is reached straight is told no addresses, neither by datagrams nor by a stream", () => {
  for (const [first, second] of [
    ["a", "b"],
    ["tcp1", "tcp2"],
  ] as const) {
    const net = new MeshNet();
    const own: Path[] = [{ type: "udp4", ip: "192.0.2.1", port: 42424 }];
    const [a, b] = [net.peer(first, { paths: own, cloak: false }), net.peer(second, { paths: own, cloak: false })];
    a.want(b);
    net.run(HOUR);
    expect([a.way(b), b.way(a)]).toEqual([second, first]);
    const said = net.sent.filter(({ bytes }) => first === "a" && isChannelPacket(bytes));
    expect([said, a.logged("seen"), b.logged("seen")]).toEqual([[], [], []]);
    expect(net.sent.some(({ to }) => to.type === "udp4")).toBe(false);
  }
});

test("a link by a stream is looked for at the datagram addresses of the card when the stream is lost", () => {
  const net = new MeshNet();
  const [a, b] = [net.peer("tcp1"), net.peer("tcp2")];
  const datagrams: Path = { type: "mem", name: "b" };
  a.do({
    type: "want",
    peer: { hashname: b.hashname, keys: b.identity.keys, paths: [b.path, datagrams] },
  });
  net.run(1_000);
  expect(a.way(b)).toBe("tcp2");
  const stream = b.path;
  [a.name, b.name] = ["a", "b"]; // from now on there are datagrams only
  a.do({ type: "path", path: stream, open: false });
  net.run(1_000);
  expect([a.way(b), b.way(a)]).toEqual(["b", "a"]);
  expect(a.logged("down")).toEqual([]);
});
