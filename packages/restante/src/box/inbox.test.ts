import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, fromHex, type Time, toHex } from "../bytes/index.ts";
import { type Hashname, hashnameFromBytes, portable } from "../crypto/index.ts";
import type { JsonObject } from "../wire/index.ts";
import { boxId, messageId } from "./ids.ts";
import { Inbox, type InboxIn, type InboxOut } from "./inbox.ts";
import { packMany } from "./many.ts";

const NOW: Time = 1_800_000_000_000;
const NOTHING = new Uint8Array(0);
const [self, alice, carol] = [1, 2, 3].map((n) => hashnameFromBytes(new Uint8Array(32).fill(n))) as [
  Hashname,
  Hashname,
  Hashname,
];
const bytesOf = (length: number, n = 1): Uint8Array => new Uint8Array(length).fill(n);
const box = (n: number): string => toHex(Uint8Array.of(7, 7, 7, 7, 7, 7, n >> 8, n));
const BOX = box(0);
const idOf = (bytes: Uint8Array): string => messageId(portable, BOX, bytes);

class Desk {
  now = NOW;
  /** A cache that is asked whether it is one. */
  ours: Hashname | undefined;
  readonly inbox: Inbox;
  #ch = 1;

  constructor(gathers = false) {
    const isContact = (peer: Hashname): boolean => peer === alice;
    const isOurs = (cache: Hashname): boolean => cache === this.ours;
    this.inbox = new Inbox({ backend: portable, self, handles: () => this.#ch++, isContact, isOurs, gathers });
  }

  take(input: InboxIn): InboxOut[] {
    return this.inbox.handle(input, this.now);
  }

  boxes(ids: readonly string[], ch = 1000, body = concat(...ids.map((id) => fromHex(id) as Uint8Array))): InboxOut[] {
    return this.take({
      type: "opened",
      ch,
      peer: carol,
      reliable: false,
      kind: "boxes",
      head: { type: "boxes" },
      body,
    });
  }

  /** A direct `outbox`, opened by alice. */
  outbox(fields: JsonObject = {}, body: Uint8Array = NOTHING, ch = 2000): InboxOut[] {
    const head = { type: "outbox", to: self, ...fields };
    return this.take({ type: "opened", ch, peer: alice, reliable: true, kind: "outbox", head, body });
  }

  packet(ch: number, head: JsonObject, body: Uint8Array = NOTHING): InboxOut[] {
    return this.take({ type: "packet", ch, head, body });
  }
}

const opened = (outs: readonly InboxOut[]): unknown[] =>
  outs.flatMap((out) => (out.type === "open" ? [out.head["box"]] : []));
const end = (ch: number): InboxOut => ({ type: "send", ch, head: {}, body: NOTHING, end: true });
const took = (ch: number): InboxOut => ({ type: "took", ch });

describe("boxes", () => {
  test("[C46] each box that is told is opened once, as a reliable `inbox`", () => {
    const desk = new Desk();
    expect(desk.boxes([box(1), box(2), box(1)])).toEqual(
      [1, 2].map((n) => ({
        type: "open",
        ch: n,
        peer: carol,
        reliable: true,
        head: { type: "inbox", box: box(n), many: 64 },
        body: NOTHING,
      })),
    );
    expect(desk.boxes([box(2), box(1)], 1001)).toEqual([]);
  });

  test("[X22] what its packets tell is taken together, and their end is answered", () => {
    const desk = new Desk();
    desk.boxes([box(1)]);
    expect(opened(desk.take({ type: "packet", ch: 1000, head: {}, body: fromHex(box(2)) as Uint8Array }))).toEqual([
      box(2),
    ]);
    expect(desk.take({ type: "ended", ch: 1000 })).toEqual([end(1000)]);
    expect(desk.take({ type: "closed", ch: 1000, err: undefined })).toEqual([]);
  });

  test("[C23] [C24] a body that is no list of ids, or of more than 120, is dropped", () => {
    const desk = new Desk();
    for (const length of [1, 7, 9, 968, 1400]) expect(desk.boxes([], length, bytesOf(length))).toEqual([]);
    expect(desk.boxes([], 5000)).toEqual([]);
    expect(
      desk.boxes(
        Array.from({ length: 120 }, (_, n) => box(n)),
        5001,
      ),
    ).toHaveLength(16);
  });

  test("[C28] a reliable `boxes` and an unreliable `outbox` are ignored", () => {
    const desk = new Desk();
    const open = {
      type: "opened",
      ch: 9,
      peer: carol,
      head: { type: "x", to: self, done: true },
      body: bytesOf(8),
    } as const;
    expect(desk.take({ ...open, reliable: true, kind: "boxes" })).toEqual([]);
    expect(desk.take({ ...open, reliable: false, kind: "outbox" })).toEqual([]);
    expect(desk.take({ ...open, reliable: true, kind: "inbox" })).toEqual([]);
  });

  test("a box that is to come again is opened anew where boxes were told of, and nowhere else", () => {
    const desk = new Desk();
    desk.outbox();
    expect(desk.take({ type: "again", box: box(1) })).toEqual([]);
    desk.boxes([box(1)]);
    desk.packet(1, { cap: 1 });
    desk.take({ type: "ended", ch: 1000 });
    const outs = desk.take({ type: "again", box: box(1) });
    expect(outs[0]).toEqual(end(1));
    expect(opened(outs)).toEqual([box(1)]);
    expect(desk.packet(1, { done: true }, bytesOf(4)).filter(({ type }) => type === "message")).toEqual([]);
    expect(opened(desk.take({ type: "again", box: box(2) }))).toEqual([box(2)]);
  });

  test("an inbox whose box is told again and again, and in which nothing comes, is dead over there: it is opened anew", () => {
    const desk = new Desk();
    desk.boxes([box(1), box(2)]);
    desk.packet(1, {}, bytesOf(5));
    desk.packet(2, { cap: 1 });
    desk.now += 3_600_000; // an idle one is not dead, and what was under way when it was opened says nothing
    expect(desk.boxes([box(1), box(2)], 1001)).toEqual([]);
    desk.now += 4_999;
    expect(desk.boxes([box(1), box(2)], 1002)).toEqual([]);
    desk.packet(2, {}, bytesOf(5)); // this one lives
    desk.now += 1;
    const outs = desk.boxes([box(1), box(2)], 1003);
    expect(outs).toMatchObject([end(1), { type: "open", ch: 3, head: { box: box(1) } }]);
    // Of the message that had begun nothing is left, and what is late on the old channel is no part of the new one's.
    expect(desk.packet(1, { done: true }, bytesOf(4))).toEqual([took(1)]);
    const [message] = desk.packet(3, { done: true }, bytesOf(6)).filter(({ type }) => type === "message");
    expect(message).toMatchObject({ box: box(1), bytes: bytesOf(6) });
    desk.now += 5_000;
    expect(opened(desk.boxes([box(1), box(2)], 1004))).toEqual([box(2)]);
  });

  test("sixteen boxes are fetched at once, the next when one has run dry", () => {
    const desk = new Desk();
    const all = Array.from({ length: 40 }, (_, n) => box(n));
    expect(opened(desk.boxes(all))).toEqual(all.slice(0, 16));
    expect(opened(desk.packet(1, { cap: 1 }))).toEqual([all[16]]);
    expect(opened(desk.packet(1, { cap: 1 }))).toEqual([]);
    expect(opened(desk.take({ type: "closed", ch: 2, err: "timeout" }))).toEqual([all[17]]);
  });

  test("with 32 open, the one that was used longest ago and is dry gives way", () => {
    const desk = new Desk();
    const all = Array.from({ length: 33 }, (_, n) => box(n));
    desk.boxes(all);
    for (let ch = 1; ch <= 16; ch++) expect(opened(desk.packet(ch, { cap: 1 }))).toEqual([all[15 + ch]]);
    desk.packet(1, {}, bytesOf(5)); // a message has begun: not this one
    expect(desk.packet(17, { cap: 1 })).toMatchObject([
      end(2),
      { type: "open", ch: 33, head: { box: all[32] } },
      took(17),
    ]);
    // Until it is closed, its packets are taken and dropped.
    expect(desk.packet(2, { done: true }, bytesOf(5))).toEqual([took(2)]);
    expect(desk.take({ type: "ended", ch: 2 })).toEqual([]);
    expect(desk.take({ type: "closed", ch: 2, err: undefined })).toEqual([]);
  });

  test("no more than 4096 boxes wait, whatever a cache tells", () => {
    const desk = new Desk();
    for (let i = 0; i < 60; i++)
      desk.boxes(
        Array.from({ length: 120 }, (_, n) => box(120 * i + n)),
        1000 + i,
      );
    let count = 16;
    for (let ch = 1; ch <= 10_000; ch++) count += opened(desk.take({ type: "closed", ch, err: "timeout" })).length;
    expect(count).toBe(16 + 4096);
  });
});

describe("fetching", () => {
  const open = (): Desk => {
    const desk = new Desk();
    desk.boxes([BOX]);
    return desk;
  };

  test("[C32] [C51] a message is what came up to `done`", () => {
    const desk = open();
    expect(desk.packet(1, {}, bytesOf(1200))).toEqual([took(1)]);
    expect(desk.packet(1, { done: true }, bytesOf(100))).toEqual([
      { type: "message", via: carol, direct: false, box: BOX, id: idOf(bytesOf(1300)), bytes: bytesOf(1300) },
      took(1),
    ]);
    for (let i = 0; i < 50; i++) expect(desk.packet(1, {}, bytesOf(1400))).toEqual([took(1)]);
    expect(desk.packet(1, { done: true }, bytesOf(1))).toEqual([took(1)]); // 70 KiB: dropped
    expect(desk.packet(1, { done: true }, bytesOf(1))[0]?.type).toBe("message");
  });

  test("[C54] what is done is removed by its id, as fast as the channel takes it", () => {
    const desk = open();
    const ids = [1, 2, 3].map((n) => idOf(bytesOf(9, n)));
    for (const n of [1, 2, 3]) desk.packet(1, { done: true }, bytesOf(9, n));
    for (const id of ids) expect(desk.take({ type: "done", via: carol, box: BOX, id })).toEqual([]);
    const send = (id: string | undefined) => ({ type: "send", ch: 1, head: { id }, body: NOTHING });
    expect(desk.take({ type: "writable", ch: 1, credit: 2 })).toEqual([send(ids[0]), send(ids[1])]);
    expect(desk.take({ type: "writable", ch: 1, credit: 2 })).toEqual([send(ids[2])]);
  });

  test("[C52] a `cap` beside the last messages comes after them", () => {
    for (const [head, body] of [
      [{ done: true, cap: 5, ids: 120 }, bytesOf(7)],
      [{ many: true, cap: 5, ids: 120 }, packMany([bytesOf(7), bytesOf(8)])],
    ] as const) {
      const desk = new Desk();
      desk.boxes(Array.from({ length: 17 }, (_, n) => box(n)));
      const outs = desk.packet(1, head, body);
      expect(outs.filter(({ type }) => type === "message")).toHaveLength("many" in head ? 2 : 1);
      expect(opened(outs)).toEqual([box(16)]);
      expect(outs.findLastIndex(({ type }) => type === "message")).toBeLessThan(
        outs.findIndex(({ type }) => type === "open"),
      );
    }
  });

  test("[C56] a `cap` that answers a removal does not say that the box has run dry", () => {
    const desk = new Desk();
    const all = Array.from({ length: 18 }, (_, n) => box(n));
    desk.boxes(all);
    desk.take({ type: "writable", ch: 1, credit: 9 });
    const id = idOf(bytesOf(9));
    desk.packet(1, { done: true }, bytesOf(9));
    expect(desk.take({ type: "done", via: carol, box: BOX, id })).toHaveLength(1);
    expect(opened(desk.packet(1, { cap: 5 }))).toEqual([]);
    expect(opened(desk.packet(1, { cap: 5 }))).toEqual([all[16]]);
  });

  test("[C54] [C56] what is done while a removal is under way goes in one packet, once that is answered", () => {
    const desk = open();
    desk.take({ type: "writable", ch: 1, credit: 9 });
    const ids = Array.from({ length: 5 }, (_, n) => idOf(bytesOf(9, n)));
    desk.packet(1, { cap: 5, ids: 120 });
    for (const n of ids.keys()) desk.packet(1, { done: true }, bytesOf(9, n));
    const done = (n: number) => desk.take({ type: "done", via: carol, box: BOX, id: ids[n] ?? "" });
    expect(done(0)).toEqual([{ type: "send", ch: 1, head: { id: ids[0] }, body: NOTHING }]);
    for (const n of [1, 2, 3]) expect(done(n)).toEqual([]);
    const body = concat(...ids.slice(1, 4).map((id) => fromHex(id) ?? NOTHING));
    expect(desk.packet(1, { cap: 5 })).toEqual([{ type: "send", ch: 1, head: {}, body }, took(1)]);
    expect(done(4)).toEqual([]);
    expect(desk.packet(1, { cap: 5 })).toEqual([{ type: "send", ch: 1, head: { id: ids[4] }, body: NOTHING }, took(1)]);
  });

  test("[C54] [X30] while a box is being fetched, removals wait for its end, and go in one packet", () => {
    const desk = open();
    desk.take({ type: "writable", ch: 1, credit: 9 });
    const ids = Array.from({ length: 3 }, (_, n) => idOf(bytesOf(9, n)));
    for (const n of ids.keys()) desk.packet(1, { done: true, ...(n === 0 ? { ids: 120 } : {}) }, bytesOf(9, n));
    for (const id of ids.slice(0, 2)) expect(desk.take({ type: "done", via: carol, box: BOX, id })).toEqual([]);
    const body = concat(...ids.slice(0, 2).map((id) => fromHex(id) ?? NOTHING));
    expect(desk.packet(1, { cap: 5 })).toEqual([{ type: "send", ch: 1, head: {}, body }, took(1)]);
    expect(desk.take({ type: "done", via: carol, box: BOX, id: ids[2] ?? "" })).toEqual([]);
    expect(desk.packet(1, { cap: 5 })).toEqual([{ type: "send", ch: 1, head: { id: ids[2] }, body: NOTHING }, took(1)]);
  });

  test("[C54] [X30] an inbox that gathers removes in one packet what was done in a turn, and nothing on a channel that closed in it", () => {
    const desk = new Desk(true);
    desk.boxes([BOX]);
    desk.take({ type: "writable", ch: 1, credit: 9 });
    const messages = [1, 2, 3].map((n) => bytesOf(9, n));
    const body = packMany(messages.map((message) => message.slice()));
    const ids = messages.map(idOf);
    expect(desk.packet(1, { many: true, cap: 5, ids: 120 }, body).map(({ type }) => type)).toEqual([
      ...["message", "message", "message"],
      "took",
    ]);
    expect(desk.inbox.hasGathered).toBe(false);
    for (const id of ids.slice(0, 2)) expect(desk.take({ type: "done", via: carol, box: BOX, id })).toEqual([]);
    expect(desk.inbox.hasGathered).toBe(true);
    const both = concat(...ids.slice(0, 2).map((id) => fromHex(id) ?? NOTHING));
    expect(desk.take({ type: "gathered" })).toEqual([{ type: "send", ch: 1, head: {}, body: both }]);
    expect([desk.inbox.hasGathered, desk.take({ type: "gathered" })]).toEqual([false, []]);
    desk.take({ type: "done", via: carol, box: BOX, id: ids[2] ?? "" });
    expect(desk.take({ type: "gathered" })).toEqual([]); // the one before is not answered
    desk.packet(1, { cap: 5 });
    expect(desk.inbox.hasGathered).toBe(true);
    desk.take({ type: "closed", ch: 1, err: undefined });
    expect(desk.take({ type: "gathered" })).toEqual([]);
  });

  test("[C54] what was done in the turn in which its box is to come once more is removed before that", () => {
    const desk = new Desk(true);
    desk.boxes([BOX]);
    desk.take({ type: "writable", ch: 1, credit: 9 });
    desk.packet(1, { done: true, cap: 5 }, bytesOf(9));
    const id = idOf(bytesOf(9));
    desk.take({ type: "done", via: carol, box: BOX, id });
    expect(desk.take({ type: "again", box: BOX }).map((out) => (out.type === "send" ? out.head : out.type))).toEqual([
      { id },
      {}, // the end
      "open",
    ]);
    expect(desk.take({ type: "gathered" })).toEqual([]);
  });

  test("a long box is removed while it is fetched: the first removals leave with the 32nd packet", () => {
    const desk = open();
    desk.take({ type: "writable", ch: 1, credit: 9 });
    for (let n = 0; n < 40; n++) {
      desk.packet(1, { done: true, ...(n === 0 ? { ids: 120 } : {}) }, bytesOf(9, n));
      const outs = desk.take({ type: "done", via: carol, box: BOX, id: idOf(bytesOf(9, n)) });
      expect(outs.map((out) => (out.type === "send" ? out.body.length / 8 : out.type))).toEqual(n === 31 ? [32] : []);
    }
    // The first `cap` answers that and does not say that the box has run dry; the next one does.
    desk.boxes(
      Array.from({ length: 17 }, (_, n) => box(n + 1)),
      1001,
    );
    expect(desk.packet(1, { cap: 5 })).toEqual([took(1)]);
    const outs = desk.packet(1, { cap: 5 });
    expect([outs.map((out) => out.type), opened(outs)]).toEqual([["send", "open", "took"], [box(16)]]);
  });

  test("several messages in one packet: each comes as if it had come alone, and the packet is taken once", () => {
    const desk = open();
    const messages = [1, 300, 2].map((length, n) => bytesOf(length, n));
    const body = packMany(messages.map((message) => message.slice()));
    const told = messages.map((bytes) => {
      return { type: "message", via: carol, direct: false, box: BOX, id: idOf(bytes), bytes };
    });
    expect(desk.packet(1, { many: true, ids: 120 }, body)).toEqual([...told, took(1)]);
  });

  test("more messages in one packet than we said is none at all; as many as that are all there", () => {
    const desk = open();
    const body = (count: number) => packMany(Array.from({ length: count }, (_, n) => bytesOf(1, n)));
    expect(desk.packet(1, { many: true }, body(65))).toEqual([took(1)]);
    expect(desk.packet(1, { many: true }, body(430))).toEqual([took(1)]);
    const outs = desk.packet(1, { many: true }, body(64));
    expect(outs.filter(({ type }) => type === "message")).toHaveLength(64);
    expect(outs.filter(({ type }) => type === "took")).toEqual([]); // that waits until some of them are dealt with
    expect(desk.take({ type: "done", via: carol, box: BOX, id: idOf(bytesOf(1, 0)) })).toEqual([took(1)]);
  });

  test("what is no list of messages, or comes inside a message, is none; a message in progress goes on", () => {
    const desk = open();
    for (const body of [NOTHING, bytesOf(1), Uint8Array.of(0, 0), Uint8Array.of(0, 2, 9), Uint8Array.of(0, 1, 9, 0)])
      expect(desk.packet(1, { many: true }, body)).toEqual([took(1)]);
    desk.packet(1, {}, bytesOf(5));
    expect(desk.packet(1, { many: true }, Uint8Array.of(0, 1, 9))).toEqual([took(1)]);
    expect(desk.packet(1, { done: true }, bytesOf(4))).toMatchObject([{ type: "message", bytes: bytesOf(9) }, took(1)]);
  });

  test("a full packet of ids waits for no answer, and how many that is the cache says: at most 120", () => {
    for (const [said, size] of [
      [120, 120],
      [7, 7],
      [1e9, 120],
      [1, 1],
      [0, 1],
      [-1, 1],
      ["9", 1],
    ] as const) {
      const desk = open();
      desk.packet(1, { ids: said, done: true }, bytesOf(9));
      for (let n = 0; n < 300; n++)
        desk.take({ type: "done", via: carol, box: BOX, id: n.toString(16).padStart(16, "0") });
      const sent = desk.take({ type: "writable", ch: 1, credit: 1000 });
      const sizes = sent.map((out) => (out.type === "send" ? Math.max(out.body.length / 8, 1) : 0));
      expect(sizes.every((one) => one === size)).toBe(true);
      expect(sizes.length).toBe(Math.floor(300 / size));
    }
  });

  test("what a cache takes at once holds for all its inboxes, until the link is another", () => {
    const desk = new Desk();
    desk.boxes([box(1), box(2)]);
    desk.packet(1, { cap: 5, ids: 120 });
    desk.packet(2, { cap: 5 });
    for (const ch of [1, 2]) desk.take({ type: "writable", ch, credit: 9 });
    const done = (n: number, id: string) => desk.take({ type: "done", via: carol, box: box(n), id });
    expect([BOX, box(5), box(6)].map((id) => done(2, id).length)).toEqual([1, 0, 0]);
    desk.take({ type: "down", peer: carol });
    desk.boxes([box(1)]);
    desk.take({ type: "writable", ch: 3, credit: 9 });
    expect([BOX, box(5), box(6)].map((id) => done(1, id).length)).toEqual([1, 1, 1]);
  });

  test("with `keep` it is left there", () => {
    const desk = open();
    desk.take({ type: "writable", ch: 1, credit: 9 });
    desk.packet(1, { done: true }, bytesOf(9));
    expect(desk.take({ type: "done", via: carol, box: BOX, id: idOf(bytesOf(9)), keep: true })).toEqual([]);
  });

  test("a removal opens the box again when that was closed meanwhile, but not when the link is down", () => {
    const desk = open();
    desk.packet(1, { done: true }, bytesOf(9));
    desk.packet(1, { done: true }, bytesOf(9, 2));
    expect(desk.take({ type: "ended", ch: 1 })).toEqual([end(1)]);
    const done = { type: "done", via: carol, box: BOX, id: idOf(bytesOf(9)) } as const;
    expect(opened(desk.take(done))).toEqual([BOX]);
    expect(desk.take({ type: "writable", ch: 2, credit: 9 })).toMatchObject([{ ch: 2, head: { id: done.id } }]);
    desk.take({ type: "down", peer: carol });
    expect(desk.take({ ...done, id: idOf(bytesOf(9, 2)) })).toEqual([]);
  });

  test("a slow application slows the cache: 64 messages, then nothing is acknowledged until it is done with one", () => {
    const desk = open();
    for (let n = 0; n < 63; n++) expect(desk.packet(1, { done: true }, bytesOf(9, n))).toHaveLength(2);
    for (let n = 63; n < 70; n++)
      expect(desk.packet(1, { done: true }, bytesOf(9, n))).toMatchObject([{ type: "message" }]);
    expect(desk.boxes([box(9)], 1001)).toEqual([]);
    for (let n = 0; n < 6; n++)
      expect(desk.take({ type: "done", via: carol, box: BOX, id: idOf(bytesOf(9, n)) })).toEqual([]);
    const caughtUp = desk.take({ type: "done", via: carol, box: BOX, id: idOf(bytesOf(9, 6)) });
    expect(caughtUp.map((out) => out.type)).toEqual([...Array.from({ length: 7 }, () => "took"), "open"]);
    expect(desk.inbox.deadline()).toBeUndefined();
  });

  test("an application that never answers is waited for a minute", () => {
    const desk = open();
    for (let n = 0; n < 70; n++) desk.packet(1, { done: true }, bytesOf(9, n));
    expect(desk.inbox.deadline()).toBe(NOW + 60_000);
    desk.now += 60_000;
    expect(desk.take({ type: "tick" })).toHaveLength(7);
    // Its answers still remove what they name.
    desk.take({ type: "writable", ch: 1, credit: 9 });
    expect(desk.take({ type: "done", via: carol, box: BOX, id: idOf(bytesOf(9)) })).toMatchObject([
      { head: { id: idOf(bytesOf(9)) } },
    ]);
  });
});

describe("a cache of ours", () => {
  const up: InboxIn = { type: "up", peer: carol };
  const said = (outs: readonly InboxOut[]): boolean[] =>
    outs.flatMap((out) => (out.type === "keeps" && out.via === carol ? [out.keeps] : []));

  /** Its link comes up, and for a second it says nothing of itself. */
  const ask = (desk: Desk): InboxOut[] => {
    desk.take(up);
    desk.now += 1000;
    return desk.take({ type: "tick" });
  };

  test("is asked when its link is up, by the box in which nobody else leaves anything; a peer that is none is not", () => {
    const desk = new Desk();
    expect([ask(desk), desk.inbox.deadline()]).toEqual([[], undefined]);
    desk.ours = carol;
    expect(opened(ask(desk))).toEqual([boxId(portable, self, self)]);
    expect([ask(desk), desk.inbox.deadline()]).toEqual([[], undefined]);
  });

  test("that has said it on another inbox by then is not asked, and neither is one that has gone", () => {
    const desk = new Desk();
    desk.ours = carol;
    desk.take(up);
    desk.boxes([BOX]);
    expect(said(desk.packet(1, { cap: 1024 }))).toEqual([true]);
    expect(desk.inbox.deadline()).toBeUndefined();
    // Started anew it may be another: what it says is told once more.
    desk.take(up);
    expect(said(desk.packet(1, { cap: 1024 }))).toEqual([true]);
    desk.take(up);
    desk.take({ type: "down", peer: carol });
    expect(desk.inbox.deadline()).toBeUndefined();
  });

  test("is none if it says that it keeps 0 bytes; the channel is ended, and its next word is told if it is another", () => {
    const desk = new Desk();
    desk.ours = carol;
    ask(desk);
    const answer = desk.packet(1, { cap: 0, ids: 120 });
    expect(said(answer)).toEqual([false]);
    expect(answer).toContainEqual({ type: "send", ch: 1, head: {}, body: NOTHING, end: true });
    expect(said(desk.packet(1, { cap: 9 }))).toEqual([]);
    desk.take({ type: "ended", ch: 1 });
    desk.take({ type: "closed", ch: 1, err: undefined });
    desk.boxes([BOX]);
    expect(said(desk.packet(2, { cap: 0 }))).toEqual([]);
    expect(said(desk.packet(2, { cap: 1024 }))).toEqual([true]);
    desk.take({ type: "down", peer: carol });
    ask(desk);
    expect(said(desk.packet(3, { cap: 1024 }))).toEqual([true]);
  });

  test("that holds something in that box gives it as out of any, before the channel is ended", () => {
    const desk = new Desk();
    desk.ours = carol;
    ask(desk);
    const bytes = bytesOf(100);
    const [came] = desk.packet(1, { ids: 120, done: true }, bytes).filter(({ type }) => type === "message");
    expect(came).toMatchObject({ via: carol, bytes });
    const dry = desk.packet(1, { cap: 1024 });
    expect(said(dry)).toEqual([true]);
    expect(dry.some((out) => out.type === "send" && out.end === true)).toBe(true);
  });
});

test("what is to be removed at a cache that takes no removal is bounded", () => {
  const desk = new Desk();
  desk.boxes([BOX]);
  for (let n = 0; n < 3000; n++) {
    const body = Uint8Array.of(n >> 8, n, 1);
    desk.packet(1, { done: true }, body);
    desk.take({ type: "done", via: carol, box: BOX, id: idOf(body) });
  }
  expect(desk.take({ type: "writable", ch: 1, credit: 10_000 })).toHaveLength(1024);
});

describe("directly", () => {
  test("[C1] [C29] a sender leaves messages with us as with a cache", () => {
    const desk = new Desk();
    const mine = boxId(portable, alice, self);
    const bytes = bytesOf(2000);
    expect(desk.outbox({}, bytes.subarray(0, 1200))).toEqual([took(2000)]);
    expect(desk.packet(2000, { done: true, x: 5 }, bytes.subarray(1200))).toEqual([
      { type: "message", via: alice, direct: true, box: mine, id: messageId(portable, mine, bytes), bytes },
      took(2000),
    ]);
    expect(desk.take({ type: "done", via: alice, box: mine, id: messageId(portable, mine, bytes) })).toEqual([]);
    expect(desk.take({ type: "ended", ch: 2000 })).toEqual([end(2000)]);
  });

  test("[C37] [C39] [C40] an id removes nothing, a clear drops the message in progress", () => {
    const desk = new Desk();
    desk.outbox({}, bytesOf(5));
    expect(desk.packet(2000, { id: "0123456789abcdef" })).toEqual([took(2000)]);
    expect(desk.packet(2000, { clear: true, done: true }, bytesOf(7))).toMatchObject([
      { type: "message", bytes: bytesOf(7) },
      { type: "took" },
    ]);
  });

  test("[X20] [C44] what is for somebody else is taken and dropped", () => {
    const desk = new Desk();
    for (const [i, to] of [carol, "x", undefined, 7, self.toUpperCase()].entries())
      expect(desk.outbox({ to, done: true }, bytesOf(9), 2000 + i)).toEqual([took(2000 + i)]);
    expect(desk.packet(2000, { done: true }, bytesOf(9))).toEqual([took(2000)]);
  });

  test("[X20] what one sender leaves unfinished is bounded", () => {
    const desk = new Desk();
    for (let ch = 1; ch <= 20; ch++) desk.outbox({}, bytesOf(65_000), ch);
    const finished = Array.from({ length: 20 }, (_, i) => desk.packet(i + 1, { done: true }, bytesOf(1))).filter(
      (outs) => outs.length > 1,
    );
    expect(finished).toHaveLength(8);
  });

  test("[X20] what strangers leave unfinished takes nothing from a contact", () => {
    const desk = new Desk();
    for (let n = 0; n < 300; n++) {
      const peer = hashnameFromBytes(
        new Uint8Array(32)
          .fill(50)
          .fill(n >> 8, 1, 2)
          .fill(n, 2, 3),
      );
      const open = { type: "opened", reliable: true, kind: "outbox", head: { type: "outbox", to: self } } as const;
      desk.take({ ...open, ch: 3000 + n, peer, body: bytesOf(60_000) });
    }
    expect(desk.outbox({ done: true }, bytesOf(60_000))).toMatchObject([{ type: "message" }, { type: "took" }]);
    const finished = Array.from({ length: 300 }, (_, n) => desk.packet(3000 + n, { done: true }, bytesOf(1)));
    expect(finished.filter((outs) => outs.length > 1)).toHaveLength(Math.floor((1024 * 1024) / 60_000));
  });
});

test("nothing that peers say makes the inbox throw, err, answer too often, or send what it may not", () => {
  const json = fc.oneof(fc.constantFrom<JsonObject[string]>(true, null, 0, 1, BOX, self, 1e300, [], {}), fc.string());
  const head = fc.dictionary(fc.constantFrom("to", "box", "id", "clear", "done", "x", "cap", "ids", "type"), json, {
    maxKeys: 5,
  });
  const body = fc.oneof(fc.constantFrom(0, 8, 16, 1300, 66_000), fc.nat(40)).map((length) => bytesOf(length));
  const ch = fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1000, max: 1005 }));
  const peer = fc.constantFrom(alice, carol, self);
  const input: fc.Arbitrary<InboxIn> = fc.oneof(
    fc.record({
      type: fc.constant("opened" as const),
      ch: fc.integer({ min: 1000, max: 1005 }),
      peer,
      reliable: fc.boolean(),
      kind: fc.constantFrom("outbox", "inbox", "boxes", "x"),
      head: fc.oneof(head, fc.constant({ to: self, done: true })),
      body,
    }),
    fc.record({ type: fc.constant("packet" as const), ch, head, body }),
    fc.record({ type: fc.constant("writable" as const), ch, credit: fc.nat(5) }),
    fc.record({ type: fc.constant("ended" as const), ch }),
    fc.record({ type: fc.constant("closed" as const), ch, err: fc.constantFrom(undefined, "timeout") }),
    fc.record({ type: fc.constantFrom("up" as const, "down" as const), peer }),
    fc.record({
      type: fc.constant("done" as const),
      via: peer,
      box: fc.constantFrom(BOX, "0101010101010101", "x"),
      id: fc.constantFrom(BOX, "x"),
    }),
    fc.record({ type: fc.constant("tick" as const) }),
  );
  fc.assert(
    fc.property(fc.array(input, { maxLength: 80 }), (inputs) => {
      const desk = new Desk();
      const used = new Set<number>();
      const over = new Set<number>();
      const ended = new Set<number>();
      for (const one of inputs) {
        if (one.type === "opened" && used.has(one.ch)) continue;
        if ("ch" in one && one.type !== "opened" && over.has(one.ch)) continue;
        if (one.type === "opened") used.add(one.ch);
        if (one.type === "closed" || one.type === "ended") over.add(one.ch);
        desk.now += 500;
        const outs = desk.take(one);
        for (const out of outs) {
          expect(out.type).not.toBe("fail");
          if (out.type !== "send") continue;
          expect(ended.has(out.ch)).toBe(false);
          if (out.end) ended.add(out.ch);
        }
        const owed = (one.type === "opened" && one.reliable) || one.type === "packet" ? 1 : 0;
        expect(outs.filter((out) => out.type === "took").length).toBeLessThanOrEqual(owed);
      }
    }),
    { numRuns: 300 },
  );
});
