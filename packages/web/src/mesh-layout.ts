/**
 * Where the nodes of the mesh stand in its picture: we in the middle, around us what is ours, outside the contacts, and between
 * them their caches. The same mesh always gives the same picture, so that a change in it is what one sees.
 */
import type { MeshInfo, MeshPeer } from "@restante/node/contract";

/** A node with its place, in pixels. */
export interface MeshNode {
  readonly peer: MeshPeer;
  readonly x: number;
  readonly y: number;
}

export interface MeshPicture {
  readonly x: number;
  readonly y: number;
  /** Of all nodes but ours in the middle, which is larger. */
  readonly radius: number;
  readonly nodes: readonly MeshNode[];
  /** Between what all of it stands, with the words below and above. */
  readonly top: number;
  readonly bottom: number;
  /** Whether there is room for a word below each contact, and below all else. */
  readonly room: { readonly outside: boolean; readonly inside: boolean };
  /** How many have no place in it. */
  readonly left: number;
}

/** How high the picture is in this width: a few nodes need little, and what is below is seen. */
export function heightOf({ peers }: Pick<MeshInfo, "peers">, width: number): number {
  const { inner, middle, outer } = rings(peers);
  const rows = 240 + (inner.length > 0 ? 90 : 0) + (middle.length > 0 ? 90 : 0) + 14 * Math.max(0, outer.length - 4);
  return Math.round(Math.min(rows, width < NARROW ? width * 1.05 : Math.min(width * 0.72, 560)));
}

/** The picture in a box of this size. */
export function layout({ peers }: Pick<MeshInfo, "peers">, width: number, height: number): MeshPicture {
  const shown = [...peers].sort((a, b) => Number(isUp(b)) - Number(isUp(a))).slice(0, MAX_NODES);
  const { inner, middle, outer } = rings(shown);
  outer.sort(byCache(shown));
  const [x, y] = [width / 2, height / 2];
  const [rx, ry] = [width / 2 - EDGE, height / 2 - EDGE];
  const radius = Math.min(15, Math.max(6, ((rx + ry) * 2.2) / Math.max(outer.length, 1) / 2));
  // Half a step off the top, where nothing else stands: a single one is then straight above or below.
  const outerAngles = new Map(outer.map((peer, at) => [peer.hashname, TOP + (TURN * (at + 0.5)) / outer.length]));
  const wishes = middle.map((peer) => {
    const around = outer.filter(({ contact }) => contact !== undefined && peer.cacheOf.includes(contact));
    const wish = meanAngle(around.map(({ hashname }) => outerAngles.get(hashname) ?? 0));
    // Beside the line from us to its contact, not on it.
    return around.length % 2 === 1 ? wish + Math.min(0.7, (TURN * 0.4) / outer.length) : wish;
  });
  const middleAngles = spread(wishes, Math.min((radius * 3) / (Math.min(rx, ry) * MIDDLE), TURN / middle.length));
  const innerTurn = outer.length % 2 === 0 ? 0 : TURN / Math.max(inner.length, 1) / 2;
  const place = (peer: MeshPeer, angle: number, ring: number): MeshNode => ({
    peer,
    x: x + Math.cos(angle) * rx * ring,
    y: y + Math.sin(angle) * ry * ring,
  });
  const nodes = [
    ...inner.map((peer, at) =>
      place(peer, TOP + innerTurn + (TURN * at) / inner.length, middle.length > 0 ? INNER : (INNER + MIDDLE) / 2),
    ),
    ...middle.map((peer, at) => place(peer, middleAngles[at] ?? 0, MIDDLE)),
    ...outer.map((peer) => place(peer, outerAngles.get(peer.hashname) ?? 0, 1)),
  ];
  return {
    ...{ x, y, radius, nodes },
    top: Math.min(y, ...nodes.map((node) => node.y)) - EDGE,
    bottom: Math.max(y, ...nodes.map((node) => node.y)) + EDGE,
    room: {
      outside: (Math.PI * (rx + ry)) / Math.max(outer.length, 1) >= WORD,
      inside:
        (Math.PI * (rx + ry)) / Math.max(outer.length, middle.length * 1.6, inner.length * 2.6, 1) >= 1.4 * WORD &&
        Math.min(rx, ry) * INNER >= ABOVE_US,
    },
    left: peers.length - shown.length,
  };
}

function rings(peers: readonly MeshPeer[]): Record<"inner" | "middle" | "outer", MeshPeer[]> {
  const inner = peers.filter(({ kind, isOurs }) => isOurs || kind === "device" || kind === "router");
  const outer = peers.filter((peer) => peer.kind === "contact" && !inner.includes(peer));
  return { inner, outer, middle: peers.filter((peer) => !inner.includes(peer) && !outer.includes(peer)) };
}

function isUp({ state }: MeshPeer): boolean {
  return state === "up";
}

/** Who has the same cache stands together; else by name. */
function byCache(peers: readonly MeshPeer[]): (a: MeshPeer, b: MeshPeer) => number {
  const caches = peers.filter(({ cacheOf }) => cacheOf.length > 1).sort((a, b) => (a.hashname < b.hashname ? -1 : 1));
  const key = ({ name = "", contact = "", hashname }: MeshPeer): string => {
    const shared = caches.find(({ cacheOf }) => cacheOf.includes(contact));
    return `${shared?.hashname ?? "~"} ${name.toLowerCase()} ${contact} ${hashname}`;
  };
  return (a, b) => (key(a) < key(b) ? -1 : 1);
}

function meanAngle(angles: readonly number[]): number {
  const [x, y] = [angles.map(Math.cos), angles.map(Math.sin)].map((all) => all.reduce((sum, each) => sum + each, 0));
  return Math.atan2(y ?? 0, x ?? 0);
}

/** Near what each wishes, and at least `gap` from each other around the circle. */
function spread(wishes: readonly number[], gap: number): number[] {
  const order = wishes.map((wish, at) => ({ at, angle: (wish + TURN) % TURN })).sort((a, b) => a.angle - b.angle);
  for (let round = 0; round < ROUNDS; round++)
    order.forEach((each, i) => {
      const next = order[(i + 1) % order.length];
      if (next === undefined || next === each) return;
      const distance = next.angle - each.angle + (i + 1 === order.length ? TURN : 0);
      if (distance >= gap) return;
      each.angle -= (gap - distance) / 2;
      next.angle += (gap - distance) / 2;
    });
  return [...order].sort((a, b) => a.at - b.at).map(({ angle }) => angle);
}

const TURN = 2 * Math.PI;
const TOP = -Math.PI / 2;
const INNER = 0.4;
const MIDDLE = 0.7;
const EDGE = 46;
const WORD = 74;
const ABOVE_US = 40;
const NARROW = 560;
const MAX_NODES = 80;
const ROUNDS = 200;
