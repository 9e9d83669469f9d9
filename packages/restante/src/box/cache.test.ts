import fc from "fast-check";
import { describe, expect, expectTypeOf, test } from "vitest";
import { concat, fromHex, type Time } from "../bytes/index.ts";
import { hashnameFromBytes, portable } from "../crypto/index.ts";
import { packetRoom } from "../e3x/index.ts";
import type { BoxLimits, BoxAnswer as StoreAnswer, BoxOp as StoreOp } from "../store/index.ts";
import { alice, BOX, bob, CONTACT, Desk, mallory, self } from "../testing/cache-desk.ts";
import type { JsonObject } from "../wire/index.ts";
import type { CacheIn, CacheOut } from "./cache.ts";
import { boxId, messageId } from "./ids.ts";
import type { BoxAnswer, BoxOp } from "./operations.ts";

const NOW: Time = 1_800_000_000_000;
const DAY_S = 24 * 60 * 60;
const CAP = 8 * 1024 * 1024;
const NOTHING = new Uint8Array(0);
const bytesOf = (length: number, n = 1): Uint8Array => new Uint8Array(length).fill(n);
const took = (ch: number): CacheOut => ({ type: "took", ch });
const cap = (ch: number, bytes = CAP): CacheOut => ({ type: "send", ch, head: { cap: bytes }, body: NOTHING });
const part = (ch: number, body: Uint8Array, done = true): CacheOut => ({
  type: "send",
  ch,
  head: done ? { done } : {},
  body,
  isGiven: true,
});
/** What is said first on an inbox: beside the rest, how many ids one packet may have. */
const first = (out: CacheOut): CacheOut => (out.type === "send" ? { ...out, head: { ...out.head, ids: 120 } } : out);

test("what the cache asks and hears is what stores take and answer", () => {
  expectTypeOf<BoxOp>().toExtend<StoreOp>();
  expectTypeOf<StoreOp["type"]>().toEqualTypeOf<BoxOp["type"]>();
  expectTypeOf<StoreAnswer>().toEqualTypeOf<BoxAnswer>();
});

describe("outbox", () => {
  test("[C28] one without seq is ignored, and not even told so", () => {
    const desk = new Desk();
    const head = { type: "outbox", to: bob, uri: CONTACT, done: true };
    const opened = {
      type: "opened",
      ch: 1,
      peer: alice,
      reliable: false,
      kind: "outbox",
      head,
      body: bytesOf(9),
    } as const;
    expect(desk.take(opened)).toEqual([]);
    expect(desk.packet(1, { done: true }, bytesOf(9))).toEqual([]);
    expect(desk.ops).toEqual([]);
  });

  test("[C33] [E11] a message exists when it is done, and was taken before the store is asked", () => {
    const desk = new Desk({ mute: true });
    const { ch, outs } = desk.outbox(alice, {}, bytesOf(1000));
    expect([outs, desk.stored()]).toEqual([[took(ch)], []]);
    expect([desk.packet(ch, {}, bytesOf(500)), desk.stored()]).toEqual([[took(ch)], []]);
    const last = desk.cache.handle({ type: "packet", ch, head: { done: true }, body: bytesOf(7) }, NOW);
    expect(last.map((out) => out.type)).toEqual(["took", "boxes"]);
    const bytes = bytesOf(1507);
    const put = { type: "put", recipient: bob, box: BOX, id: messageId(portable, BOX, bytes), bytes, class: "contact" };
    expect(last[1]).toMatchObject({ op: put });
  });

  test("[C31] the box is that of the authenticated sender, whatever the packet says", () => {
    const desk = new Desk();
    desk.outbox(mallory, { from: alice, sender: alice, box: BOX, done: true }, bytesOf(9));
    expect(desk.stored()).toMatchObject([{ type: "put", recipient: bob, box: boxId(portable, mallory, bob) }]);
  });

  test("where others keep boxes in the same store, it hears by what serial a sender came, and what is revoked", () => {
    const desk = new Desk({ serial: (uri) => (uri === CONTACT ? 77 : undefined) });
    const { ch } = desk.outbox(alice, { done: true }, bytesOf(9));
    desk.packet(ch, { id: "00112233445566aa" });
    desk.packet(ch, { clear: true });
    desk.take({ type: "revoked", peer: bob, serials: [77] });
    expect(desk.stored()).toMatchObject([
      { type: "put", serial: 77 },
      { type: "remove", serial: 77 },
      { type: "clear", serial: 77 },
      { type: "revoke", recipient: bob, serials: [77] },
    ]);
    // What a recipient does in its inbox needs no token.
    const inbox = desk.inbox(bob);
    desk.packet(inbox.ch, { id: "00112233445566aa" });
    desk.packet(inbox.ch, { clear: true });
    expect(desk.stored().map((op) => "serial" in op)).toEqual([false, false]);
    const alone = new Desk();
    alone.outbox(alice, { done: true }, bytesOf(9));
    alone.take({ type: "revoked", peer: bob, serials: [77] });
    expect(alone.stored().map((op) => [op.type, "serial" in op])).toEqual([["put", false]]);
  });

  test("[C34] [C35] `x` is seconds, up to 30 days; what is none is as if it were not there", () => {
    const lifetimes = [
      [0, 0],
      [1, 1],
      [3600, 3600],
      [1e12, 30 * DAY_S],
      [-1, 30 * DAY_S],
      [1.5, 30 * DAY_S],
      ["60", 30 * DAY_S],
      [2n ** 60n, 30 * DAY_S],
      [undefined, 30 * DAY_S],
    ] as const;
    for (const [x, seconds] of lifetimes) {
      const desk = new Desk();
      desk.outbox(alice, { done: true, x }, bytesOf(9));
      expect(desk.stored()).toMatchObject([{ type: "put", expires: NOW + seconds * 1000 }]);
    }
  });

  test("[C36] [X32] what has run out of time makes room before anything else does", () => {
    const desk = new Desk({ limits: { box: 3000 } });
    const { ch } = desk.outbox(alice, { done: true }, bytesOf(1100, 1));
    desk.packet(ch, { done: true, x: 10 }, bytesOf(1100, 2));
    desk.now += 10_000;
    desk.packet(ch, { done: true }, bytesOf(1100, 3));
    const { outs } = desk.inbox(bob);
    expect(outs.slice(1, -1)).toMatchObject([1, 3].map((n) => ({ head: { done: true }, body: bytesOf(1100, n) })));
  });

  test("[C37] an id alone removes that message: before, between and inside others", () => {
    const desk = new Desk();
    const id = "0123456789abcdef";
    const remove = { type: "remove", recipient: bob, box: BOX, id };
    const { ch } = desk.outbox(alice, { id });
    expect(desk.stored()).toMatchObject([remove]);
    desk.packet(ch, {}, bytesOf(10));
    expect(desk.packet(ch, { id })).toEqual([took(ch)]);
    desk.packet(ch, { done: true }, bytesOf(10));
    desk.packet(ch, { id });
    expect(desk.stored()).toMatchObject([remove, { type: "put", bytes: bytesOf(20) }, remove]);
    for (const head of [{ id: "0123" }, { id: id.toUpperCase() }, { id: 7 }, { id: null }, {}]) desk.packet(ch, head);
    desk.packet(ch, { id }, bytesOf(1)); // a part of a message, with a key that means nothing there
    expect(desk.stored()).toEqual([]);
  });

  test("[C38] [C39] [X33] clear empties the box and the message in progress", () => {
    const desk = new Desk();
    const { ch } = desk.outbox(alice, { done: true }, bytesOf(5, 1));
    desk.packet(ch, {}, bytesOf(5, 2));
    expect(desk.packet(ch, { clear: true })).toEqual([took(ch)]);
    desk.packet(ch, { done: true }, bytesOf(5, 3));
    expect(desk.stored()).toMatchObject([
      { type: "put" },
      { type: "clear", recipient: bob, box: BOX },
      { type: "put", bytes: bytesOf(5, 3) },
    ]);
    desk.packet(ch, { clear: 1 });
    expect(desk.stored()).toEqual([]);
  });

  test("[C40] the body of a clear begins a new message, and may be all of it", () => {
    const desk = new Desk();
    const { ch } = desk.outbox(alice, {}, bytesOf(5, 1));
    desk.packet(ch, { clear: true, done: true }, bytesOf(5, 2));
    desk.packet(ch, { clear: true }, bytesOf(5, 3));
    desk.packet(ch, { done: true }, bytesOf(5, 4));
    const changes = desk.stored();
    expect(changes.map((op) => op.type)).toEqual(["clear", "put", "clear", "put"]);
    expect(changes[1]).toMatchObject({ bytes: bytesOf(5, 2) });
    expect(changes[3]).toMatchObject({ bytes: Uint8Array.of(3, 3, 3, 3, 3, 4, 4, 4, 4, 4) });
  });

  test("64 KiB are a message; one byte more is taken and dropped, and the next one counts again", () => {
    const desk = new Desk();
    const { ch } = desk.outbox(alice, {}, bytesOf(65_535));
    desk.packet(ch, { done: true }, bytesOf(1));
    expect(desk.stored()).toMatchObject([{ type: "put", bytes: bytesOf(65_536) }]);
    desk.packet(ch, {}, bytesOf(65_535));
    for (const head of [{}, {}, { done: true }]) expect(desk.packet(ch, head, bytesOf(2))).toEqual([took(ch)]);
    expect(desk.stored()).toEqual([]);
    desk.packet(ch, { done: true }, bytesOf(2));
    expect(desk.stored()).toMatchObject([{ type: "put", bytes: bytesOf(2) }]);
    for (let sent = 0; sent < 1024 * 1024; sent += 1024) desk.packet(ch, {}, bytesOf(1024));
    desk.packet(ch, { done: true });
    expect(desk.stored()).toEqual([]);
  });

  test("a message of no bytes is none", () => {
    const desk = new Desk();
    const { ch } = desk.outbox(alice, { done: true });
    desk.packet(ch, { done: true, id: "0123456789abcdef" });
    expect(desk.stored()).toEqual([]);
  });

  test("[C30] [C44] [C45] a bad `to`, no token, a full store and a kept message look the same", () => {
    const talk = (desk: Desk, open: JsonObject): CacheOut[] => {
      const { ch, outs } = desk.outbox(alice, open, bytesOf(900));
      expect(ch).toBe(1);
      const packets: [JsonObject, Uint8Array][] = [
        [{ done: true, x: 60 }, bytesOf(900)],
        [{ id: "0123456789abcdef" }, NOTHING],
        [{ clear: true }, bytesOf(9)],
        [{}, bytesOf(70_000)],
        [{ done: true }, NOTHING],
        [{ rubbish: [1, { a: null }] }, NOTHING],
        [{ done: true }, bytesOf(100)],
      ];
      for (const [head, body] of packets) outs.push(...desk.packet(ch, head, body));
      return [...outs, ...desk.take({ type: "ended", ch }), ...desk.take({ type: "closed", ch, err: undefined })];
    };
    const kept = talk(new Desk(), {});
    expect(kept).toEqual([
      ...Array.from({ length: 8 }, () => took(1)),
      { type: "send", ch: 1, head: {}, body: NOTHING, end: true },
    ]);
    for (const open of [
      { to: "x" },
      { to: undefined },
      { to: 7 },
      { to: bob.toUpperCase() },
      { to: self },
      { to: mallory, uri: undefined },
      { uri: "?" },
      { uri: 7 },
    ])
      expect(talk(new Desk(), open)).toEqual(kept);
    expect(talk(new Desk({ limits: { total: 0 } }), {})).toEqual(kept);
    expect(talk(new Desk({ limits: { boxes: 0 } }), { uri: "guest" })).toEqual(kept);
    expect(talk(new Desk({ mute: true }), {})).toEqual(kept);
  });

  test("without a valid token nothing reaches the store", () => {
    const desk = new Desk();
    for (const open of [{ uri: "?" }, { uri: undefined }, { to: self }, { to: "x" }]) {
      const { ch } = desk.outbox(alice, { ...open, clear: true, done: true }, bytesOf(9));
      desk.packet(ch, { id: "0123456789abcdef" });
    }
    expect(desk.ops).toEqual([]);
    desk.outbox(alice, { uri: "guest", done: true }, bytesOf(9));
    expect(desk.stored()).toMatchObject([{ type: "put", class: "stranger" }]);
  });

  test("what the recipient revoked ends its open channels at once, and a clock set back lengthens no grant", () => {
    for (const change of [
      (desk: Desk) => desk.revision++,
      (desk: Desk) => {
        desk.now -= 3_600_000;
      },
    ]) {
      const desk = new Desk();
      const { ch } = desk.outbox(alice, { done: true }, bytesOf(9));
      desk.packet(ch, {}, bytesOf(9));
      desk.stored();
      desk.revoked = true;
      desk.packet(ch, {}, bytesOf(9));
      change(desk);
      expect(desk.packet(ch, { done: true }, bytesOf(9))).toEqual([took(ch)]);
      expect(desk.packet(ch, { done: true }, bytesOf(9))).toEqual([took(ch)]);
      expect(desk.stored()).toEqual([]);
    }
  });

  test("a token that was taken back ends its open channels too, and never half a message", () => {
    const desk = new Desk();
    const { ch } = desk.outbox(alice, { done: true }, bytesOf(9));
    desk.packet(ch, {}, bytesOf(9));
    desk.stored();
    desk.revoked = true;
    desk.now += 60_000;
    desk.packet(ch, {}, bytesOf(9));
    desk.revoked = false;
    desk.now += 60_000;
    desk.packet(ch, { done: true }, bytesOf(9));
    expect(desk.stored()).toEqual([]);
    desk.packet(ch, { done: true }, bytesOf(9));
    expect(desk.stored()).toMatchObject([{ type: "put", bytes: bytesOf(9) }]);
  });

  test("[X20] what one peer leaves unfinished is bounded, and what all leave", () => {
    const desk = new Desk({ mute: true });
    const peers = Array.from({ length: 20 }, (_, n) => hashnameFromBytes(new Uint8Array(32).fill(50 + n)));
    const channels = peers.flatMap((peer) =>
      Array.from({ length: 9 }, () => desk.outbox(peer, { to: peer }, bytesOf(60_000)).ch),
    );
    for (const ch of channels) desk.packet(ch, { done: true }, bytesOf(1));
    const puts = desk.stored();
    expect(puts).toHaveLength(Math.floor((8 * 1024 * 1024) / 60_000));
    expect(new Set(puts.slice(0, 9).map((op) => op.type === "put" && op.box)).size).toBe(2); // eight of the first peer
  });

  test("[X20] strangers leave half messages in a room of their own, however many they are", () => {
    const desk = new Desk();
    const guests = Array.from({ length: 200 }, (_, n) => hashnameFromBytes(new Uint8Array(32).fill(50 + n)));
    const channels = guests.flatMap((peer) =>
      Array.from({ length: 9 }, () => desk.outbox(peer, { uri: "guest", to: peer }, bytesOf(60_000)).ch),
    );
    desk.outbox(alice, { done: true }, bytesOf(60_000));
    expect(desk.stored()).toHaveLength(1);
    for (const ch of channels) desk.packet(ch, { done: true }, bytesOf(1));
    expect(desk.stored()).toHaveLength(Math.floor((1024 * 1024) / 60_000));
  });

  test.each([
    ["contacts", CONTACT, 2 * 1024 * 1024],
    ["strangers", "guest", 256 * 1024],
  ])("[X20] a recipient that invents %s fills the room of its own mail and nobody else's", (_, uri, bound) => {
    const desk = new Desk();
    const crowd = Array.from({ length: 200 }, (_, n) => hashnameFromBytes(new Uint8Array(32).fill(50 + n)));
    const channels = crowd.flatMap((peer) =>
      Array.from({ length: 8 }, () => desk.outbox(peer, { uri, to: mallory }, bytesOf(60_000)).ch),
    );
    const { ch } = desk.outbox(alice, { uri }, bytesOf(60_000));
    desk.packet(ch, { done: true }, bytesOf(1));
    expect(desk.stored()).toMatchObject([{ type: "put", recipient: bob }]);
    for (const one of channels) desk.packet(one, { done: true }, bytesOf(1));
    expect(desk.stored()).toHaveLength(Math.floor(bound / 60_000));
    // What is done has made room again.
    const again = crowd.slice(100, 103).map((peer) => desk.outbox(peer, { uri, to: mallory }, bytesOf(60_000)).ch);
    for (const one of again) desk.packet(one, { done: true }, bytesOf(1));
    expect(desk.stored()).toHaveLength(3);
  });

  test("[X20] where there is no room, a half message of the peer that has most gives way at once", () => {
    const desk = new Desk();
    const peers = Array.from({ length: 18 }, (_, n) => hashnameFromBytes(new Uint8Array(32).fill(50 + n)));
    for (const peer of peers) for (let i = 0; i < 8; i++) desk.outbox(peer, {}, bytesOf(65_536));
    const { ch } = desk.outbox(alice, {}, bytesOf(59_999));
    desk.packet(ch, { done: true }, bytesOf(1));
    expect(desk.stored()).toHaveLength(1);
  });

  test("[X20] a half message that nobody continues gives way after ten seconds", () => {
    const desk = new Desk();
    // None has more than she wants.
    const peers = Array.from({ length: 40 }, (_, n) => hashnameFromBytes(new Uint8Array(32).fill(50 + n)));
    for (const peer of peers) desk.outbox(peer, {}, bytesOf(59_999));
    // What comes whole in one packet needs no room.
    desk.outbox(alice, { done: true }, bytesOf(1000));
    expect(desk.stored()).toHaveLength(1);
    const { ch } = desk.outbox(alice, {}, bytesOf(59_999));
    desk.packet(ch, { done: true }, bytesOf(1));
    expect(desk.stored()).toEqual([]);
    desk.now += 10_000;
    desk.packet(ch, {}, bytesOf(59_999));
    desk.packet(ch, { done: true }, bytesOf(1));
    expect(desk.stored()).toHaveLength(1);
  });

  test("[X20] a store that does not answer is not asked for more than 8 MiB", () => {
    const desk = new Desk({ mute: true });
    const { ch } = desk.outbox(alice);
    for (let i = 0; i < 200; i++) expect(desk.packet(ch, { done: true }, bytesOf(65_536))).toEqual([took(ch)]);
    expect(desk.stored()).toHaveLength(127);
    desk.take({ type: "store", answers: [{ type: "done", op: 1 }] });
    for (let i = 0; i < 3; i++) desk.packet(ch, { done: true }, bytesOf(65_536));
    expect(desk.stored()).toHaveLength(1);
  });
});

describe("inbox", () => {
  const filled = (sizes: readonly number[], limits: Partial<BoxLimits> = {}): Desk => {
    const desk = new Desk({ limits });
    const { ch } = desk.outbox(alice);
    for (const [n, size] of sizes.entries()) desk.packet(ch, { done: true }, bytesOf(size, n));
    desk.ops = [];
    return desk;
  };

  test("[C46] [C48] opening a box streams what waits, in order, then `cap`", () => {
    const desk = filled([10, 20, 30]);
    const { ch, outs } = desk.inbox(bob);
    expect(outs).toEqual([
      took(ch),
      first(part(ch, bytesOf(10, 0))),
      part(ch, bytesOf(20, 1)),
      part(ch, bytesOf(30, 2)),
      cap(ch),
    ]);
  });

  test("[C52] [C57] an empty, an unknown, a malformed box, and one of somebody else give a `cap` alone", () => {
    const desk = filled([10]);
    for (const [peer, box] of [
      [mallory, BOX],
      [alice, BOX],
      [bob, "0123456789abcdef"],
      [bob, boxId(portable, mallory, bob)],
      [bob, "rubbish"],
      [bob, 7],
      [bob, null],
    ] as const) {
      const { ch, outs } = desk.inbox(peer, box);
      expect(outs).toEqual([took(ch), first(cap(ch))]);
      expect(desk.packet(ch, { clear: true })).toEqual([took(ch), cap(ch)]);
      expect(desk.packet(ch, {}, bytesOf(80))).toEqual([took(ch), cap(ch)]);
    }
    expect(desk.inbox(bob).outs).toHaveLength(3);
  });

  test("[C53] [X17] `cap` is the limit of a box, whatever it holds", () => {
    const desk = filled([3000, 3000, 3000], { box: 7000 });
    const { ch, outs } = desk.inbox(bob, BOX, 1000);
    expect(outs.at(-1)).toEqual(cap(ch, 7000));
    expect(outs.filter((out) => out.type === "send" && out.head["done"] === true)).toHaveLength(2);
    expect(desk.packet(ch, { clear: true }).at(-1)).toEqual(cap(ch, 7000));
    expect(desk.inbox(bob, BOX).outs.at(-1)).toMatchObject({ head: { cap: 7000 } });
  });

  test("[C53] filled to `cap` all is kept, with one byte more the oldest goes, and `cap` stays the same", () => {
    const desk = filled([2000, 2000, 3000], { box: 7000 });
    const whole = (outs: readonly CacheOut[]): number =>
      outs.filter((out) => out.type === "send" && out.head["done"] === true).length;
    const before = desk.inbox(bob, BOX, 1000);
    expect([whole(before.outs), before.outs.at(-1)]).toEqual([3, cap(before.ch, 7000)]);
    desk.outbox(alice, { done: true }, bytesOf(1, 9));
    const { ch, outs } = desk.inbox(bob, BOX, 1000);
    expect(outs.flatMap((out) => (out.type === "send" ? [...out.body.subarray(0, 1)] : []))).not.toContain(0);
    expect([whole(outs), outs.at(-1)]).toEqual([3, cap(ch, 7000)]);
  });

  test("[C54] [C56] an id removes that message and is answered with `cap`", () => {
    const desk = filled([10, 20]);
    const { ch } = desk.inbox(bob);
    expect(desk.packet(ch, { id: messageId(portable, BOX, bytesOf(10, 0)) })).toEqual([took(ch), cap(ch)]);
    expect(desk.packet(ch, { id: "0123456789abcdef" })).toEqual([took(ch), cap(ch)]);
    expect(desk.inbox(bob).outs.slice(1, -1)).toMatchObject([{ body: bytesOf(20, 1) }]);
  });

  test("[C54] [C56] up to 120 ids in one BODY are removed together, and answered with one `cap`", () => {
    const sizes = Array.from({ length: 130 }, (_, n) => 200 + n);
    const desk = filled(sizes);
    const { ch } = desk.inbox(bob);
    const ids = sizes.map((size, n) => fromHex(messageId(portable, BOX, bytesOf(size, n))) ?? NOTHING);
    expect(desk.packet(ch, {}, concat(...ids.slice(0, 3), bytesOf(8)))).toEqual([took(ch), cap(ch)]);
    expect(desk.stats()?.messages).toBe(127);
    expect(desk.packet(ch, {}, concat(...ids.slice(3, 123)))).toEqual([took(ch), cap(ch)]);
    expect(
      desk
        .inbox(bob)
        .outs.slice(1, -1)
        .map((out) => out.type === "send" && out.body.length),
    ).toEqual(sizes.slice(123));
  });

  test("[C54] a BODY that is no list of ids removes nothing and has no answer", () => {
    const sizes = Array.from({ length: 130 }, (_, n) => 200 + n);
    const desk = filled(sizes);
    const { ch } = desk.inbox(bob);
    const ids = concat(...sizes.map((size, n) => fromHex(messageId(portable, BOX, bytesOf(size, n))) ?? NOTHING));
    for (const [head, body] of [
      [{}, ids.subarray(0, 968)],
      [{}, ids.subarray(0, 15)],
      [{}, NOTHING],
      [{ done: true }, ids.subarray(0, 80)],
      [{ id: "0123456789abcdef" }, ids.subarray(0, 80)],
    ] as const)
      expect(desk.packet(ch, head, body)).toEqual([took(ch)]);
    expect(desk.stats()?.messages).toBe(130);
    expect(desk.packet(ch, { clear: true }, ids.subarray(0, 8))).toEqual([took(ch), cap(ch)]);
    expect(desk.stats()?.messages).toBe(0);
  });

  test("[C51] the first packet has room for less, and the message is whole", () => {
    for (const size of [1280, 1290, 1300, 1310, 1320, 1330, 1340, 2600, 2650, 2700]) {
      const { outs } = filled([size]).inbox(bob);
      const parts = outs.filter((out) => out.type === "send" && out.body.length > 0);
      expect(parts.map((out) => out.type === "send" && out.head["ids"])).toEqual([
        120,
        ...parts.slice(1).map(() => undefined),
      ]);
      expect(parts.reduce((sum, out) => sum + (out.type === "send" ? out.body.length : 0), 0)).toBe(size);
      for (const out of parts)
        if (out.type === "send") expect(out.body.length).toBeLessThanOrEqual(packetRoom(out.head, true));
    }
  });

  test("[C56] each of several removals is answered, also when nothing could be sent meanwhile", () => {
    const desk = filled([10, 20]);
    const { ch } = desk.inbox(bob, BOX, 1);
    for (const id of ["0123456789abcdef", "0123456789abcdef", messageId(portable, BOX, bytesOf(10, 0))])
      expect(desk.packet(ch, { id })).toEqual([took(ch)]);
    const rest = desk.take({ type: "writable", ch, credit: 100 });
    expect(rest.map((out) => (out.type === "send" ? (out.head["cap"] ?? out.head["done"]) : out.type))).toEqual([
      ...[CAP, CAP, CAP],
      true,
      CAP,
    ]);
  });

  test("[C55] [C56] clear empties the box at once, while it streams too", () => {
    const desk = filled([3000, 10, 20]);
    const { ch, outs } = desk.inbox(bob, BOX, 1);
    expect(outs).toHaveLength(2);
    expect(desk.packet(ch, { clear: true })).toEqual([took(ch)]);
    const rest = desk.take({ type: "writable", ch, credit: 100 });
    // The message that had begun is finished from the copy, the `cap` of the clear follows, then that of the empty box.
    expect(
      rest.map((out) => (out.type === "send" ? (out.head["cap"] ?? out.head["done"] ?? "part") : out.type)),
    ).toEqual(["part", true, CAP, CAP]);
    expect(desk.inbox(bob).outs).toHaveLength(2);
  });

  test("[X30] a message whose first packet was sent is sent to its end, whoever removes it meanwhile", () => {
    const desk = filled([3000]);
    const { ch, outs } = desk.inbox(bob, BOX, 1);
    const { ch: outbox } = desk.outbox(alice, { clear: true });
    desk.take({ type: "ended", ch: outbox });
    outs.push(...desk.take({ type: "writable", ch, credit: 10 }));
    const bytes = outs.flatMap((out) => (out.type === "send" ? [...out.body] : []));
    expect(bytes).toEqual([...bytesOf(3000, 0)]);
    expect(outs.at(-1)).toEqual(cap(ch));
  });

  test("[C55] what the store had answered, and nothing of it was sent, is not sent after a clear", () => {
    const desk = new Desk({ mute: true });
    const { ch } = desk.inbox(bob);
    const read = desk.ops.find((op) => op.type === "read");
    desk.packet(ch, { clear: true });
    const message = {
      type: "message",
      op: read?.op ?? 0,
      id: "0123456789abcdef",
      bytes: bytesOf(10),
      cursor: 1,
    } as const;
    expect(desk.take({ type: "store", answers: [message] })).toEqual([]);
    expect(message.bytes).toEqual(new Uint8Array(10));
    const again = desk.ops.findLast((op) => op.type === "read");
    expect(again).toMatchObject({ after: 0 });
    expect(desk.take({ type: "store", answers: [{ type: "dry", op: again?.op ?? 0 }] })).toEqual([cap(ch)]);
  });

  test("[X30] later arrivals are streamed, with a `cap` each time there is no more", () => {
    const desk = filled([10]);
    const { ch } = desk.inbox(bob);
    const { ch: outbox, outs } = desk.outbox(alice, { done: true }, bytesOf(20));
    expect(outs).toEqual([took(outbox), part(ch, bytesOf(20)), cap(ch)]);
    expect(desk.packet(outbox, { done: true }, bytesOf(20))).toEqual([took(outbox)]); // the same again: X31
  });

  test("[C49] no more leaves than may, and no more is read than leaves", () => {
    const desk = filled([3000, 3000, 3000]);
    const { ch, outs } = desk.inbox(bob, BOX, 0);
    expect([outs, desk.ops]).toEqual([[took(ch)], []]);
    for (let packets = 0; packets < 20; packets++) {
      const some = desk.take({ type: "writable", ch, credit: 1 });
      expect(some.length).toBeLessThanOrEqual(1);
      expect(desk.ops.filter((op) => op.type === "read").length).toBeLessThanOrEqual(1 + Math.floor(packets / 3));
    }
    expect(desk.take({ type: "writable", ch, credit: 1 })).toEqual([]);
  });

  test("[C49] eight messages at most are in memory for one link; the other inboxes wait for their turn", () => {
    const desk = new Desk({ limits: { boxes: 100 } });
    const senders = Array.from({ length: 30 }, (_, n) => hashnameFromBytes(new Uint8Array(32).fill(60 + n)));
    for (const sender of senders) desk.outbox(sender, { done: true }, bytesOf(3000));
    desk.ops = [];
    const channels = senders.map((sender) => desk.inbox(bob, boxId(portable, sender, bob), 1).ch);
    expect(desk.ops.filter((op) => op.type === "read")).toHaveLength(8);
    const done = new Set<number>();
    for (let round = 0; round < 20; round++)
      for (const ch of channels)
        for (const out of desk.take({ type: "writable", ch, credit: 1 }))
          if (out.type === "send" && out.head["done"] === true) done.add(out.ch);
    expect(done.size).toBe(30);
  });

  test("[X30] of more than 64 standing inboxes the oldest idle one is ended", () => {
    const desk = filled([10]);
    const oldest = desk.inbox(bob).ch;
    const busy = desk.inbox(bob, BOX, 0).ch;
    for (let i = 2; i < 64; i++) expect(desk.inbox(bob, "0123456789abcdef").outs).toHaveLength(2);
    const end = (ch: number): CacheOut => ({ type: "send", ch, head: {}, body: NOTHING, end: true });
    const next = desk.inbox(bob, "0123456789abcdef");
    expect(next.outs).toEqual([end(oldest), took(next.ch), first(cap(next.ch))]);
    expect(desk.inbox(bob, "0123456789abcdef").outs[0]).toEqual(end(busy + 1));
    // Both go on saying `took` until it is closed, and it is not ended twice.
    expect(desk.packet(oldest, { id: "0123456789abcdef" })).toEqual([took(oldest)]);
    expect(desk.take({ type: "ended", ch: oldest })).toEqual([]);
    expect(desk.take({ type: "closed", ch: oldest, err: undefined })).toEqual([]);
  });

  test("an end is answered with an end, and without a seq there is no answer at all", () => {
    const desk = filled([10]);
    const { ch } = desk.inbox(bob);
    expect(desk.take({ type: "ended", ch })).toEqual([{ type: "send", ch, head: {}, body: NOTHING, end: true }]);
    const head = { type: "inbox", box: BOX };
    expect(
      desk.take({ type: "opened", ch: 99, peer: bob, reliable: false, kind: "inbox", head, body: NOTHING }),
    ).toEqual([]);
    expect(desk.take({ type: "writable", ch: 99, credit: 9 })).toEqual([]);
  });
});

test("[X20] a peer that offers no cache takes and drops, and its boxes are empty", () => {
  const desk = new Desk({ limits: { box: 0 } });
  expect(desk.take({ type: "up", peer: bob })).toEqual([]);
  const { ch, outs } = desk.outbox(alice, { done: true }, bytesOf(9));
  expect(outs).toEqual([took(ch)]);
  const inbox = desk.inbox(bob);
  expect(inbox.outs).toEqual([took(inbox.ch), first(cap(inbox.ch, 0))]);
  expect(desk.packet(inbox.ch, { clear: true })).toEqual([took(inbox.ch), cap(inbox.ch, 0)]);
  expect(desk.ops).toEqual([]);
});

test("who leaves has no boxes here any more, others have, and nothing is said about it", () => {
  const desk = new Desk();
  for (const [sender, to] of [
    [alice, bob],
    [mallory, bob],
    [alice, mallory],
  ] as const)
    desk.outbox(sender, { to, done: true }, bytesOf(200));
  desk.outbox(mallory, { uri: "guest", done: true }, bytesOf(300));
  expect(desk.take({ type: "left", peer: bob })).toEqual([]);
  expect(desk.stats()).toMatchObject({ messages: 1, recipients: 1 });
  expect(desk.take({ type: "left", peer: self })).toEqual([]);
  expect(new Desk({ limits: { box: 0 } }).take({ type: "left", peer: bob })).toEqual([]);
  // A store that loses the question has lost it for good.
  const mute = new Desk({ mute: true });
  mute.take({ type: "left", peer: bob });
  expect(mute.tick()).toEqual([]);
  expect(mute.cache.deadline()).toBeUndefined();
});

test("[X20] a store that loses questions blocks nothing for good", () => {
  const desk = new Desk({ mute: true });
  const { ch: outbox } = desk.outbox(alice);
  for (let i = 0; i < 200; i++) desk.packet(outbox, { done: true }, bytesOf(65_536));
  desk.take({ type: "up", peer: bob });
  const { ch } = desk.inbox(bob);
  expect(desk.ops.splice(0).filter((op) => op.type === "list")).toHaveLength(1);
  expect(desk.tick()).toEqual([took(ch), first(cap(ch))]);
  expect(desk.now).toBe(NOW + 60_000);
  desk.packet(outbox, { done: true }, bytesOf(65_536));
  desk.tick();
  expect(desk.ops.map((op) => op.type)).toEqual(["put", "list"]);
});

test("expired messages are swept within the hour, and then there is nothing to wake up for", () => {
  const desk = new Desk();
  desk.outbox(alice, { done: true, x: 3600 + 60 }, bytesOf(9));
  desk.tick();
  expect(desk.now).toBe(NOW + 3_600_000);
  desk.tick();
  expect(desk.stored().filter((op) => op.type === "sweep")).toHaveLength(2);
  expect(desk.cache.deadline()).toBeUndefined();
});

test("nothing that peers or a store say makes the cache throw, err, or answer too often", () => {
  const json = fc.oneof(
    fc.constantFrom<JsonObject[string]>(true, null, 0, 1, BOX, bob, "member", CONTACT, 1e300, [], {}),
    fc.string(),
  );
  const head = fc.dictionary(
    fc.constantFrom("to", "uri", "box", "id", "many", "clear", "done", "x", "cap", "type", "__x"),
    json,
    { maxKeys: 5 },
  );
  const body = fc.oneof(fc.constantFrom(0, 1, 8, 1300, 66_000), fc.nat(40)).map((length) => bytesOf(length));
  const ch = fc.integer({ min: 1, max: 6 });
  const peer = fc.constantFrom(alice, bob, mallory, self);
  const input: fc.Arbitrary<CacheIn> = fc.oneof(
    fc.record({
      type: fc.constant("opened" as const),
      ch,
      peer,
      reliable: fc.boolean(),
      kind: fc.constantFrom("outbox", "inbox", "boxes", "x"),
      head,
      body,
    }),
    fc.record({ type: fc.constant("packet" as const), ch, head, body }),
    fc.record({ type: fc.constant("writable" as const), ch, credit: fc.integer({ min: 0, max: 5 }) }),
    fc.record({ type: fc.constantFrom("ended" as const), ch }),
    fc.record({ type: fc.constantFrom("closed" as const), ch, err: fc.constantFrom(undefined, "timeout") }),
    fc.record({ type: fc.constantFrom("up" as const, "down" as const, "renewed" as const), peer }),
    fc.record({ type: fc.constant("tick" as const) }),
    fc.record({
      type: fc.constant("store" as const),
      answers: fc.array(fc.record({ type: fc.constant("dry" as const), op: fc.nat(30) }), { maxLength: 3 }),
    }),
  );
  fc.assert(
    fc.property(fc.array(input, { maxLength: 60 }), (inputs) => {
      const desk = new Desk();
      const open = new Set<number>();
      for (const one of inputs) {
        if (one.type === "opened" && open.has(one.ch)) continue;
        if (one.type === "opened") open.add(one.ch);
        desk.now += 500;
        const outs = desk.take(one);
        expect(outs.some((out) => out.type === "fail")).toBe(false);
        const owed = (one.type === "opened" && one.reliable) || one.type === "packet" ? 1 : 0;
        expect(outs.filter((out) => out.type === "took").length).toBeLessThanOrEqual(owed);
      }
    }),
    { numRuns: 300 },
  );
});
