import { expect, test } from "vitest";
import { encodeRevocations } from "../card/index.ts";
import { type Hashname, hashnameFromBytes } from "../crypto/index.ts";
import { type ChannelOp, NOTHING } from "./channel.ts";
import { Revocation, type RevocationOut } from "./revocation.ts";

const NOW = 1_800_000_000_000;
const [bob, carol, eve] = [1, 2, 3].map((n) => hashnameFromBytes(new Uint8Array(32).fill(n))) as [
  Hashname,
  Hashname,
  Hashname,
];
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i * 3);
const took = (ch: number): ChannelOp => ({ type: "took", ch });
const end = (ch: number): ChannelOp => ({ type: "send", ch, head: {}, body: NOTHING, end: true });

function recipient(serials: number[], next?: number): Revocation {
  let ch = 0;
  return new Revocation({
    handles: () => ++ch,
    tells: (cache) => (cache === carol ? { uri: "link:///?t=member", serials } : undefined),
    next: (now) => (next !== undefined && next > now ? next : undefined),
    isRecipient: () => false,
    revoke: () => expect.unreachable(),
  });
}

function cache(): { role: Revocation; heard: [Hashname, readonly number[]][] } {
  const heard: [Hashname, readonly number[]][] = [];
  const role = new Revocation({
    handles: () => expect.unreachable(),
    tells: () => undefined,
    next: () => undefined,
    isRecipient: (uri, peer) => uri === "link:///?t=member" && peer === bob,
    revoke: (who, serials) => heard.push([who, serials]),
  });
  return { role, heard };
}

const opened = (uri: unknown, peer: Hashname, body = NOTHING, reliable = true) =>
  ({
    type: "opened",
    ch: 1,
    peer,
    reliable,
    kind: "restante.revoke",
    head: { type: "restante.revoke", uri: uri as string },
    body,
  }) as const;

test("a recipient tells its own caches when a link comes up, as fast as the channel takes it, and ends it", () => {
  const role = recipient(range(450));
  expect(role.handle({ type: "up", peer: eve }, NOW)).toEqual([]);
  const head = { type: "restante.revoke", uri: "link:///?t=member" };
  expect(role.handle({ type: "up", peer: carol }, NOW)).toEqual([
    { type: "open", ch: 1, peer: carol, reliable: true, head, body: NOTHING },
  ]);
  const bodies = encodeRevocations(range(450));
  const send = (body: Uint8Array | undefined) => ({ type: "send", ch: 1, head: {}, body });
  expect(role.handle({ type: "writable", ch: 1, credit: 2 }, NOW)).toEqual(bodies.slice(0, 2).map(send));
  expect(role.handle({ type: "writable", ch: 1, credit: 0 }, NOW)).toEqual([]);
  expect(role.handle({ type: "writable", ch: 1, credit: 9 }, NOW)).toEqual([{ ...send(bodies[2]), end: true }]);
  expect(role.handle({ type: "writable", ch: 1, credit: 9 }, NOW)).toEqual([]);
  expect(role.handle({ type: "ended", ch: 1 }, NOW)).toEqual([]);
});

test("as long as nothing is revoked nothing is said; what comes later is told at once, and to links that are up alone", () => {
  const serials: number[] = [];
  const role = recipient(serials);
  expect(role.handle({ type: "up", peer: carol }, NOW)).toEqual([]);
  serials.push(7);
  expect(role.handle({ type: "changed" }, NOW)).toMatchObject([{ type: "open", peer: carol }]);
  role.handle({ type: "down", peer: carol }, NOW);
  expect(role.handle({ type: "changed" }, NOW)).toEqual([]);
  expect(role.handle({ type: "up", peer: carol }, NOW)).toMatchObject([{ type: "open", peer: carol }]);
});

test("what is to be void later is told then, while the link stays up", () => {
  const role = recipient([7], NOW + 1000);
  role.handle({ type: "up", peer: carol }, NOW);
  expect(role.deadline()).toBe(NOW + 1000);
  expect(role.handle({ type: "tick" }, NOW + 1000)).toMatchObject([{ type: "open", peer: carol }]);
  expect(role.deadline()).toBeUndefined();
});

test("a cache hears its recipients, body by body, and says nothing but that it has heard", () => {
  const { role, heard } = cache();
  expect(role.handle(opened("link:///?t=member", bob), NOW)).toEqual([took(1)]);
  for (const [i, body] of encodeRevocations(range(250)).entries()) {
    const revoked = { type: "revoked", peer: bob, serials: range(250).slice(200 * i, 200 * (i + 1)) };
    expect(role.handle({ type: "packet", ch: 1, head: {}, body }, NOW)).toEqual([took(1), revoked]);
  }
  expect(role.handle({ type: "ended", ch: 1 }, NOW)).toEqual([end(1)]);
  expect(role.handle({ type: "closed", ch: 1, err: undefined }, NOW)).toEqual([]);
  expect(heard).toEqual([
    [bob, range(250).slice(0, 200)],
    [bob, range(250).slice(200)],
  ]);
});

test("whoever shows no member's token is told the same, and not listened to; rubbish is not either", () => {
  const said = [
    opened("link:///?t=member", eve),
    opened("x", bob),
    opened(undefined, bob),
    opened(7, bob),
    opened("link:///?t=member", bob),
  ].map((open, i) => {
    const { role, heard } = cache();
    const body = i < 4 ? (encodeRevocations([1])[0] ?? NOTHING) : Uint8Array.of(0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1);
    const outs = [
      ...role.handle(open, NOW),
      ...role.handle({ type: "packet", ch: 1, head: { clear: true }, body }, NOW),
      ...role.handle({ type: "ended", ch: 1 }, NOW),
    ];
    expect(heard).toEqual([]);
    return outs;
  });
  for (const outs of said) expect(outs).toEqual([took(1), took(1), end(1)]);
  expect(cache().role.handle(opened("link:///?t=member", bob, NOTHING, false), NOW)).toEqual([]);
});

test("a recipient that leaves says so where it can, and a cache believes its recipients alone", () => {
  const role = recipient([]);
  const leave = { type: "leave", cache: carol, uri: "link:///?t=member" } as const;
  expect(role.handle(leave, NOW)).toEqual([]);
  role.handle({ type: "up", peer: carol }, NOW);
  const head = { type: "restante.revoke", uri: "link:///?t=member", leave: true };
  expect(role.handle(leave, NOW)).toEqual([
    { type: "open", ch: 1, peer: carol, reliable: true, head, body: NOTHING, end: true },
  ]);
  expect(role.handle({ type: "ended", ch: 1 }, NOW)).toEqual([]);
  const said = (uri: string, more: object, reliable = true): RevocationOut[] => {
    const open = opened(uri, bob, NOTHING, reliable);
    return cache().role.handle({ ...open, head: { ...open.head, ...more } }, NOW);
  };
  expect(said("link:///?t=member", { leave: true })).toEqual([took(1), { type: "left", peer: bob }]);
  expect(said("x", { leave: true })).toEqual([took(1)]);
  expect(said("link:///?t=member", { leave: 1 })).toEqual([took(1)]);
  expect(said("link:///?t=member", { leave: true }, false)).toEqual([]);
});

test("a cache that ends the channel first is not told the rest, and a closed channel is forgotten", () => {
  const role = recipient(range(450));
  role.handle({ type: "up", peer: carol }, NOW);
  role.handle({ type: "writable", ch: 1, credit: 1 }, NOW);
  expect(role.handle({ type: "ended", ch: 1 }, NOW)).toEqual([end(1)]);
  expect(role.handle({ type: "writable", ch: 1, credit: 9 }, NOW)).toEqual([]);
  role.handle({ type: "changed" }, NOW);
  expect(role.handle({ type: "closed", ch: 2, err: "timeout" }, NOW)).toEqual([]);
  expect(role.handle({ type: "writable", ch: 2, credit: 9 }, NOW)).toEqual([]);
  // It may even say something: then it is taken.
  role.handle({ type: "changed" }, NOW);
  expect(role.handle({ type: "packet", ch: 3, head: { err: 1 }, body: NOTHING }, NOW)).toEqual([took(3)]);
});
