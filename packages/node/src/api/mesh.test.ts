import type { Hashname, LinkInfo, Path } from "restante";
import { expect, test } from "vitest";
import { meshOf, meshSchema } from "./mesh.ts";

type Asked = Parameters<typeof meshOf>[0];

const of = (name: string) => name as Hashname;
const CONTACT = { id: "c1", name: "Bob", hashnames: ["bob1", "bob2"] };

function ask(links: readonly LinkInfo[], paths: readonly Path[] = [], more: Partial<Asked> = {}) {
  const asked = {
    status: () => ({ hashname: "self", name: "Alice", paths, links }),
    contacts: () => [CONTACT],
    caches: () => [
      { cache: "ours", up: true, cap: 1 },
      { cache: "theirs", contact: "c1", up: false, cap: 1 },
      { cache: "bob2", contact: "c1", up: false, cap: 1 },
    ],
    devices: () => [
      { hashname: "self", isThis: true, isReady: true },
      { hashname: "phone", isThis: false, isReady: true },
    ],
    ...more,
  } as unknown as Asked;
  return meshSchema.parse(meshOf(asked, new Set(["203.0.113.9"])));
}

test("the mesh has everybody whom this node looks for, once, with what it is", () => {
  const { self, peers, others } = ask([
    {
      hashname: of("ours"),
      state: "up",
      path: { type: "tcp4", ip: "203.0.113.4", port: 1 },
      since: 5,
      roundTrip: 12.4,
    },
    { hashname: of("bob2"), state: "up", path: { type: "peer", hn: of("ours") } },
    { hashname: of("bob1"), state: "down" },
    { hashname: of("stranger"), state: "up", path: { type: "udp4", ip: "203.0.113.5", port: 1 } },
    { hashname: of("gone"), state: "down" },
  ]);
  expect(self).toEqual({ hashname: "self", name: "Alice", places: [] });
  expect(peers.map(({ hashname, kind, state }) => [hashname, kind, state])).toEqual([
    ["phone", "device", "unresolved"],
    ["ours", "cache", "up"],
    ["bob2", "contact", "up"],
    ["bob1", "contact", "down"],
    ["theirs", "cache", "unresolved"],
  ]);
  expect(peers[1]).toMatchObject({
    isOurs: true,
    place: { transport: "tcp", reach: "internet" },
    since: 5,
    roundTrip: 12,
  });
  expect(peers[2]).toMatchObject({
    name: "Bob",
    contact: "c1",
    cacheOf: ["c1"],
    place: { reach: "router" },
    router: "ours",
  });
  expect(others).toBe(1);
});

test("who passes packets on and is nothing else to us is in it as a router", () => {
  const { peers } = ask([{ hashname: of("bob1"), state: "up", path: { type: "peer", hn: of("r") } }]);
  expect(peers.find(({ hashname }) => hashname === "r")?.kind).toBe("router");
});

test.each([
  ["127.0.0.1", "machine"],
  ["::1", "machine"],
  ["10.1.2.3", "lan"],
  ["172.31.0.1", "lan"],
  ["172.32.0.1", "internet"],
  ["::ffff:192.168.1.1", "lan"],
  ["fe80::1", "lan"],
  ["fd00::1", "lan"],
  ["2001:db8::1", "internet"],
  ["8.8.8.8", "internet"],
])("%s is reached as %s", (ip, reach) => {
  const type = ip.includes(":") ? "udp6" : "udp4";
  expect(ask([], [{ type, ip, port: 1 }]).self.places).toEqual([{ transport: "udp", reach }]);
});

test("a link to an address of this machine runs in it; to others that address is how they reach us", () => {
  const path: Path = { type: "tcp4", ip: "203.0.113.9", port: 1 };
  const { self, peers } = ask([{ hashname: of("bob1"), state: "up", path }], [path]);
  expect(peers.find(({ hashname }) => hashname === "bob1")?.place).toEqual({ transport: "tcp", reach: "machine" });
  expect(self.places).toEqual([{ transport: "tcp", reach: "internet" }]);
});
