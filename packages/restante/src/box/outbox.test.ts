import fc from "fast-check";
import { expect, test } from "vitest";
import { concat, type Time } from "../bytes/index.ts";
import { type Hashname, hashnameFromBytes } from "../crypto/index.ts";
import { packetRoom } from "../e3x/index.ts";
import { Outbox, type OutboxIn, type OutboxOut } from "./outbox.ts";

const NOW: Time = 1_800_000_000_000;
const NOTHING = new Uint8Array(0);
const [bob, carol, dave] = [1, 2, 3].map((n) => hashnameFromBytes(new Uint8Array(32).fill(n))) as [
  Hashname,
  Hashname,
  Hashname,
];
const bytesOf = (length: number, n = 1): Uint8Array => new Uint8Array(length).fill(n);

class Desk {
  now = NOW;
  readonly outbox: Outbox;
  #ch = 1;

  constructor(up: readonly Hashname[] = [carol]) {
    this.outbox = new Outbox({ handles: () => this.#ch++ });
    for (const peer of up) this.take({ type: "up", peer });
  }

  take(input: OutboxIn): OutboxOut[] {
    return this.outbox.handle(input, this.now);
  }

  deposit(
    id: number,
    bytes = bytesOf(100, id),
    more: { via?: Hashname; to?: Hashname; uri?: string; x?: number } = {},
  ): OutboxOut[] {
    return this.take({ type: "deposit", id, via: carol, to: bob, bytes, ...more });
  }

  tick(): OutboxOut[] {
    this.now = this.outbox.deadline() ?? this.now;
    return this.take({ type: "tick" });
  }
}

const types = (outs: readonly OutboxOut[]): string[] => outs.map((out) => out.type);
const end = (ch: number): OutboxOut => ({ type: "send", ch, head: {}, body: NOTHING, end: true });

test("a message is deposited when all of its packets were taken, the opening one too", () => {
  const desk = new Desk();
  const room = packetRoom({}, true);
  const [reach, open, ...none] = desk.deposit(1, bytesOf(3 * room), { uri: "u", x: 60 });
  expect(reach).toEqual({ type: "reach", peer: carol });
  expect(open).toMatchObject({
    type: "open",
    ch: 1,
    peer: carol,
    reliable: true,
    head: { type: "outbox", to: bob, uri: "u" },
  });
  expect(none).toEqual([]);
  const sent = desk.take({ type: "writable", ch: 1, credit: 10 });
  expect(sent.map((out) => out.type === "send" && out.head)).toEqual([{}, {}, { done: true, x: 60 }]);
  const bodies = [open, ...sent].map((out) => (out !== undefined && "body" in out ? out.body : NOTHING));
  expect(concat(...bodies)).toEqual(bytesOf(3 * room));
  expect(desk.take({ type: "acked", ch: 1, count: 3 })).toEqual([]);
  expect(desk.take({ type: "acked", ch: 1, count: 1 })).toEqual([{ type: "deposited", id: 1 }]);
});

test("a message that fits opens the channel and is done with it", () => {
  expect(new Desk().deposit(1, bytesOf(9)).at(-1)).toMatchObject({
    type: "open",
    head: { type: "outbox", to: bob, done: true },
    body: bytesOf(9),
  });
});

test("[C49] no more is sent than may be, message after message on one channel", () => {
  const desk = new Desk();
  for (let id = 1; id <= 5; id++) desk.deposit(id);
  expect(types(desk.take({ type: "writable", ch: 1, credit: 3 }))).toEqual(["send", "send", "send"]);
  expect(types(desk.take({ type: "writable", ch: 1, credit: 3 }))).toEqual(["send"]);
  const answers = desk.take({ type: "acked", ch: 1, count: 5 });
  expect(answers).toEqual([1, 2, 3, 4, 5].map((id) => ({ type: "deposited", id })));
});

test("a message alone asks for its acknowledgement, those in a row wait for that of all, and removals for none", () => {
  const desk = new Desk();
  const asks = (outs: readonly OutboxOut[]) => outs.flatMap((out) => (out.type === "send" ? [out.asks === true] : []));
  desk.deposit(1);
  desk.take({ type: "writable", ch: 1, credit: 9 });
  desk.take({ type: "acked", ch: 1, count: 1 });
  expect([desk.deposit(2), desk.deposit(3)].map(asks)).toEqual([[true], [false]]);
  desk.take({ type: "acked", ch: 1, count: 2 });
  expect(asks(desk.deposit(4, bytesOf(3 * packetRoom({}, true))))).toEqual([false, false, false, true]);
  desk.take({ type: "acked", ch: 1, count: 4 });
  expect(asks(desk.take({ type: "remove", via: carol, to: bob, ids: ["0123456789abcdef"] }))).toEqual([false]);
});

test("another recipient, another admission, another cache: each has its own channel", () => {
  const desk = new Desk([carol, dave]);
  const opens = [
    desk.deposit(1),
    desk.deposit(2, undefined, { to: dave }),
    desk.deposit(3, undefined, { uri: "u" }),
    desk.deposit(4, undefined, { via: dave }),
  ];
  expect(opens.flat().filter((out) => out.type === "open")).toMatchObject([
    { ch: 1, peer: carol },
    { ch: 2, peer: carol, head: { to: dave } },
    { ch: 3, peer: carol, head: { uri: "u" } },
    { ch: 4, peer: dave },
  ]);
});

test("a removal is an id and nothing else, behind what was left before it", () => {
  const desk = new Desk();
  desk.deposit(1);
  const ids = ["0123456789abcdef", "fedcba9876543210"];
  expect(desk.take({ type: "remove", via: carol, to: bob, ids })).toEqual([]);
  expect(desk.take({ type: "writable", ch: 1, credit: 9 })).toEqual(
    ids.map((id) => ({ type: "send", ch: 1, head: { id }, body: NOTHING })),
  );
  expect(desk.take({ type: "acked", ch: 1, count: 3 })).toEqual([{ type: "deposited", id: 1 }]);
});

test("after five idle seconds the channel is ended, and with its close the link is let go", () => {
  const desk = new Desk();
  desk.deposit(1);
  desk.take({ type: "writable", ch: 1, credit: 9 });
  expect(desk.outbox.deadline()).toBe(NOW + 120_000);
  desk.take({ type: "acked", ch: 1, count: 1 });
  expect(desk.tick()).toEqual([end(1)]);
  expect(desk.now).toBe(NOW + 5_000);
  expect(desk.take({ type: "acked", ch: 1, count: 1 })).toEqual([]);
  expect(desk.take({ type: "ended", ch: 1 })).toEqual([]);
  expect(desk.take({ type: "closed", ch: 1, err: undefined })).toEqual([{ type: "release", peer: carol }]);
  expect(desk.outbox.deadline()).toBeUndefined();
});

test("what comes while a channel is closing opens the next, and the link stays", () => {
  const desk = new Desk();
  desk.deposit(1);
  desk.take({ type: "acked", ch: 1, count: 1 });
  desk.tick();
  expect(desk.deposit(2)).toMatchObject([{ type: "open", ch: 2 }]);
  expect(desk.take({ type: "closed", ch: 1, err: undefined })).toEqual([]);
  expect(desk.take({ type: "acked", ch: 2, count: 1 })).toEqual([{ type: "deposited", id: 2 }]);
  desk.take({ type: "writable", ch: 2, credit: 9 });
  expect(desk.deposit(3)).toMatchObject([{ type: "send", ch: 2 }]);
});

test("a message fails when no link comes up in 35 seconds", () => {
  const desk = new Desk([]);
  expect(desk.deposit(1)).toEqual([{ type: "reach", peer: carol }]);
  expect(desk.tick()).toEqual([
    { type: "failed", id: 1, why: "unreachable" },
    { type: "release", peer: carol },
  ]);
  expect(desk.now).toBe(NOW + 35_000);
  expect(types(desk.deposit(2))).toEqual(["reach"]);
  expect(types(desk.take({ type: "up", peer: carol }))).toEqual(["open"]);
  expect(desk.outbox.deadline()).toBe(desk.now + 120_000);
});

test("a channel that closes too early fails what it carried and what waited for it, once each", () => {
  for (const err of ["timeout", undefined]) {
    const desk = new Desk();
    desk.deposit(1, bytesOf(100));
    desk.deposit(2, bytesOf(5000));
    desk.deposit(3, bytesOf(100));
    desk.take({ type: "writable", ch: 1, credit: 2 });
    expect(desk.take({ type: "closed", ch: 1, err })).toEqual([
      ...[1, 2, 3].map((id) => ({ type: "failed", id, why: "lost" })),
      { type: "release", peer: carol },
    ]);
  }
});

test("what was sent as a whole may still be taken after the other side's end", () => {
  const desk = new Desk();
  desk.deposit(1);
  desk.deposit(2);
  expect(desk.take({ type: "ended", ch: 1 })).toEqual([{ type: "failed", id: 2, why: "lost" }, end(1)]);
  expect(desk.take({ type: "acked", ch: 1, count: 1 })).toEqual([{ type: "deposited", id: 1 }]);
  expect(desk.take({ type: "closed", ch: 1, err: undefined })).toEqual([{ type: "release", peer: carol }]);
});

test("when the link goes, what was sent has failed and what was not waits for it to come back", () => {
  const desk = new Desk();
  desk.deposit(1);
  desk.deposit(2);
  expect(desk.take({ type: "down", peer: carol })).toEqual([{ type: "failed", id: 1, why: "lost" }]);
  expect(desk.take({ type: "closed", ch: 1, err: "reset" })).toEqual([]);
  expect(desk.take({ type: "up", peer: carol })).toMatchObject([{ type: "open", ch: 2, body: bytesOf(100, 2) }]);
});

test("a link that goes with nothing to do is let go", () => {
  const desk = new Desk();
  desk.deposit(1);
  desk.take({ type: "acked", ch: 1, count: 1 });
  desk.tick();
  expect(desk.take({ type: "down", peer: carol })).toEqual([{ type: "release", peer: carol }]);
  expect(desk.outbox.deadline()).toBeUndefined();
});

test("a cancelled message is never sent, or finished and never answered", () => {
  const desk = new Desk();
  desk.deposit(1, bytesOf(5000, 1));
  desk.deposit(2, bytesOf(100, 2));
  desk.deposit(3, bytesOf(100, 3));
  for (const id of [1, 2, 9]) desk.take({ type: "cancel", id });
  const sent = desk.take({ type: "writable", ch: 1, credit: 99 });
  expect(sent.map((out) => out.type === "send" && out.body[0])).toEqual([1, 1, 1, 3]);
  expect(desk.take({ type: "acked", ch: 1, count: 5 })).toEqual([{ type: "deposited", id: 3 }]);
  const idle = new Desk([]);
  idle.deposit(1);
  expect(idle.take({ type: "cancel", id: 1 })).toEqual([{ type: "release", peer: carol }]);
});

test("nothing that no box takes is sent, and nothing beyond the bound is queued", () => {
  const desk = new Desk([]);
  const failed = (id: number, why: string) => ({ type: "failed", id, why });
  expect(desk.deposit(1, NOTHING)).toEqual([failed(1, "size")]);
  expect(desk.deposit(2, bytesOf(65_537))).toEqual([failed(2, "size")]);
  expect(desk.deposit(3, bytesOf(1), { uri: "u".repeat(1400) })).toEqual([failed(3, "size")]);
  const outs = Array.from({ length: 200 }, (_, i) => desk.deposit(10 + i, bytesOf(65_536))).flat();
  expect(outs.filter((out) => out.type === "failed")).toEqual(
    Array.from({ length: 73 }, (_, i) => failed(137 + i, "busy")),
  );
  // Another way has room of its own.
  expect(types(desk.deposit(999, bytesOf(65_536), { via: dave }))).toEqual(["reach"]);
});

test("at most 32 channels by one way; the others have their turn when one is idle", () => {
  const desk = new Desk();
  const recipients = Array.from({ length: 40 }, (_, n) => hashnameFromBytes(new Uint8Array(32).fill(100 + n)));
  const opens = recipients
    .flatMap((to, id) => desk.deposit(id, bytesOf(9), { to }))
    .filter((out) => out.type === "open");
  expect(opens).toHaveLength(32);
  const done = new Set<number>();
  for (let ch = 1; ch <= 40; ch++) {
    for (const out of desk.take({ type: "acked", ch, count: 1 })) if (out.type === "deposited") done.add(out.id);
    desk.take({ type: "ended", ch });
    desk.take({ type: "closed", ch, err: undefined });
  }
  expect(done.size).toBe(40);
});

test("where 32 channels are idle, the next recipient waits for the end of one of them, and not for five seconds", () => {
  const desk = new Desk();
  const recipients = Array.from({ length: 33 }, (_, n) => hashnameFromBytes(new Uint8Array(32).fill(100 + n)));
  for (const [id, to] of recipients.slice(0, 32).entries()) {
    desk.deposit(id, bytesOf(9), { to });
    desk.take({ type: "acked", ch: id + 1, count: 1 });
  }
  expect(desk.deposit(32, bytesOf(9), { to: recipients[32] as Hashname })).toEqual([end(1)]);
  expect(desk.take({ type: "ended", ch: 1 })).toEqual([]);
  expect(types(desk.take({ type: "closed", ch: 1, err: undefined }))).toEqual(["open"]);
});

test("every deposit has exactly one answer, whatever the channels do, and nothing is sent that may not be", () => {
  const via = fc.constantFrom(carol, dave);
  const ch = fc.integer({ min: 1, max: 8 });
  const input: fc.Arbitrary<OutboxIn | "deposit"> = fc.oneof(
    { weight: 4, arbitrary: fc.constant("deposit" as const) },
    fc.record({
      type: fc.constant("remove" as const),
      via,
      to: fc.constant(bob),
      ids: fc.constant(["0123456789abcdef"]),
    }),
    { weight: 3, arbitrary: fc.record({ type: fc.constantFrom("up" as const), peer: via }) },
    fc.record({ type: fc.constantFrom("down" as const), peer: via }),
    { weight: 4, arbitrary: fc.record({ type: fc.constant("writable" as const), ch, credit: fc.nat(4) }) },
    { weight: 4, arbitrary: fc.record({ type: fc.constant("acked" as const), ch, count: fc.nat(3) }) },
    fc.record({ type: fc.constant("ended" as const), ch }),
    fc.record({ type: fc.constant("closed" as const), ch, err: fc.constantFrom(undefined, "timeout") }),
    fc.record({ type: fc.constant("tick" as const) }),
  );
  fc.assert(
    fc.property(
      fc.array(input, { maxLength: 80 }),
      fc.array(fc.constantFrom(1, 1300, 4000), { minLength: 1, maxLength: 9 }),
      (inputs, sizes) => {
        const desk = new Desk([]);
        const answers = new Map<number, number>();
        const credit = new Map<number, number>();
        const ended = new Set<number>();
        const reached = new Map<Hashname, number>();
        let id = 0;
        const look = (outs: readonly OutboxOut[]): void => {
          for (const out of outs) {
            if (out.type === "deposited" || out.type === "failed") answers.set(out.id, (answers.get(out.id) ?? 0) + 1);
            if (out.type === "reach") reached.set(out.peer, (reached.get(out.peer) ?? 0) + 1);
            if (out.type === "release") reached.set(out.peer, (reached.get(out.peer) ?? 0) - 1);
            if (out.type !== "send") continue;
            expect(ended.has(out.ch)).toBe(false);
            if (out.end) ended.add(out.ch);
            else credit.set(out.ch, (credit.get(out.ch) ?? 0) - 1);
            expect(credit.get(out.ch) ?? 0).toBeGreaterThanOrEqual(0);
          }
        };
        for (const one of inputs) {
          desk.now += 2_000;
          if (one === "deposit") {
            const more = { via: id % 3 === 0 ? dave : carol };
            look(desk.deposit(id, bytesOf(sizes[id++ % sizes.length] ?? 1), more));
            continue;
          }
          if (one.type === "writable") credit.set(one.ch, one.credit);
          look(desk.take(one));
        }
        for (const peer of [carol, dave]) look(desk.take({ type: "down", peer }));
        while (desk.outbox.deadline() !== undefined) look(desk.tick());
        for (let n = 0; n < id; n++) expect(answers.get(n)).toBe(1);
        for (const count of reached.values()) expect(count).toBe(0);
      },
    ),
    { numRuns: 500 },
  );
});

test("a message that is not taken in two minutes has failed, whatever else the other side says on the channel", () => {
  const desk = new Desk();
  const room = packetRoom({}, true);
  desk.deposit(1, bytesOf(3 * room));
  desk.deposit(2);
  desk.take({ type: "writable", ch: 1, credit: 10 });
  desk.now += 60_000;
  desk.take({ type: "acked", ch: 1, count: 1 });
  const outs = desk.tick();
  expect(desk.now).toBe(NOW + 120_000);
  expect(outs).toEqual([
    end(1),
    { type: "failed", id: 1, why: "lost" },
    { type: "failed", id: 2, why: "lost" },
    { type: "release", peer: carol },
  ]);
  expect(desk.take({ type: "acked", ch: 1, count: 9 })).toEqual([]);
  expect(desk.take({ type: "closed", ch: 1, err: "timeout" })).toEqual([]);
  expect(desk.deposit(3)).toMatchObject([{ type: "reach" }, { type: "open", ch: 2 }]);
  desk.take({ type: "acked", ch: 2, count: 1 });
  expect(desk.outbox.deadline()).toBe(desk.now + 5_000); // nothing is waited for
});

test("a slow way fails nothing while message after message is taken", () => {
  const desk = new Desk();
  desk.deposit(1);
  desk.take({ type: "writable", ch: 1, credit: 9 });
  for (let id = 2; id <= 5; id++) desk.deposit(id);
  for (let id = 1; id <= 5; id++) {
    desk.now += 100_000;
    desk.take({ type: "tick" });
    expect(desk.take({ type: "acked", ch: 1, count: 1 })[0]).toEqual({ type: "deposited", id });
  }
});
