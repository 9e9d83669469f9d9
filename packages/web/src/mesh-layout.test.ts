import type { MeshPeer } from "@restante/node/contract";
import { expect, test } from "vitest";
import { layout } from "./mesh-layout.ts";

/** Some contacts, each with a cache that three of them share, and two caches of ours. */
function mesh(contacts: number): { peers: MeshPeer[] } {
  const none = { isOurs: false, cacheOf: [], state: "up" } as const;
  const peers: MeshPeer[] = [
    { ...none, hashname: "own1", kind: "cache", isOurs: true, cacheOf: ["0"] },
    { ...none, hashname: "own2", kind: "cache", isOurs: true, cacheOf: [] },
  ];
  for (let i = 0; i < contacts; i++) {
    peers.push({ ...none, cacheOf: [], hashname: `c${i}`, kind: "contact", contact: String(i), name: `Name ${i}` });
    const shared = `k${Math.floor(i / 3)}`;
    const cache = peers.find(({ hashname }) => hashname === shared);
    if (cache) cache.cacheOf.push(String(i));
    else peers.push({ ...none, hashname: shared, kind: "cache", cacheOf: [String(i)] });
  }
  return { peers };
}

test.each([
  [1, 380, 400],
  [3, 380, 400],
  [12, 380, 400],
  [12, 800, 560],
  [44, 380, 400],
  [44, 800, 560],
])("of %i contacts none stands on another or outside, in %i by %i", (contacts, width, height) => {
  const asked = mesh(contacts);
  const { nodes, radius, x, y, top, bottom } = layout(asked, width, height);
  expect(nodes).toHaveLength(asked.peers.length);
  for (const each of nodes) {
    expect(each.x).toBeGreaterThan(radius);
    expect(each.x).toBeLessThan(width - radius);
    expect(each.y).toBeGreaterThan(Math.max(0, top) + radius);
    expect(each.y).toBeLessThan(Math.min(height, bottom) - radius);
    const others = [...nodes.filter((other) => other !== each), { x, y }];
    const nearest = Math.min(...others.map((other) => Math.hypot(other.x - each.x, other.y - each.y)));
    expect(nearest).toBeGreaterThan(1.5 * radius);
  }
});

test("a picture of few is as high as they need, ourselves in it", () => {
  const { nodes, y, top, bottom } = layout(mesh(1), 380, 400);
  expect(bottom - top).toBeLessThan(330);
  expect(nodes.filter((node) => node.y < top || node.y > bottom)).toEqual([]);
  expect(y).toBeGreaterThan(top);
  expect(y).toBeLessThan(bottom);
});

test("of hundreds those that are up have a place, and the others are counted", () => {
  const { peers } = mesh(300);
  const half = peers.map((peer, at) => (at % 10 === 0 ? peer : { ...peer, state: "down" as const }));
  const { nodes, left } = layout({ peers: half }, 800, 560);
  expect(nodes.length + left).toBe(peers.length);
  expect(nodes.filter(({ peer }) => peer.state === "up")).toHaveLength(
    half.filter(({ state }) => state === "up").length,
  );
});

test("the same mesh gives the same picture, in whatever order it is told", () => {
  const { peers } = mesh(9);
  const places = ({ nodes }: ReturnType<typeof layout>) =>
    Object.fromEntries(
      nodes.filter(({ peer }) => peer.kind === "contact").map(({ peer, x, y }) => [peer.hashname, [x, y]]),
    );
  expect(places(layout({ peers: [...peers].reverse() }, 800, 560))).toEqual(places(layout({ peers }, 800, 560)));
});
