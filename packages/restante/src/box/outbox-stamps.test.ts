/** The sender, where the admission URI asks for work. */
import { expect, test } from "vitest";
import type { Time } from "../bytes/index.ts";
import { admissionUri, mintToken, stampText } from "../card/index.ts";
import { type Hashname, hashnameFromBytes, portable } from "../crypto/index.ts";
import { packetRoom } from "../e3x/index.ts";
import { Outbox, type OutboxIn, type OutboxOut } from "./outbox.ts";

const DAY = 86_400_000;
const NOW: Time = 20_000 * DAY + 1000;
const [bob, carol, dave] = [1, 2, 3].map((n) => hashnameFromBytes(new Uint8Array(32).fill(n))) as [
  Hashname,
  Hashname,
  Hashname,
];
/** An invite's URI for bob; another for each serial. */
const uriOf = (work: number, serial = 1): string =>
  admissionUri(mintToken(portable, new Uint8Array(32), { recipient: bob, class: "invite", until: 0, serial, work }));
const URI = uriOf(8);
const STAMP = new Uint8Array(7).fill(1);
const TEXT = stampText(STAMP);

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

  deposit(id: number, uri = URI, more: { via?: Hashname; to?: Hashname; bytes?: Uint8Array } = {}): OutboxOut[] {
    return this.take({ type: "deposit", id, via: carol, to: bob, bytes: new Uint8Array(100), uri, ...more });
  }

  found(req: number): OutboxOut[] {
    return this.take({ type: "stamp", req, stamp: STAMP });
  }

  ticks(): OutboxOut[] {
    this.now = this.outbox.deadline() ?? this.now;
    return this.take({ type: "tick" });
  }
}

const find = (req: number, { work = 8, day = 20_000, cache = carol } = {}): OutboxOut => ({
  type: "find-stamp",
  req,
  task: { cache, recipient: bob, day, work },
});
const heads = (outs: readonly OutboxOut[]) => outs.flatMap((out) => (out.type === "open" ? [out.head] : []));

test("mail waits for the stamp, then opens with it; what follows shows the same", () => {
  const desk = new Desk();
  expect(desk.deposit(1)).toEqual([{ type: "reach", peer: carol }, find(1)]);
  expect(desk.deposit(2)).toEqual([]);
  expect(desk.outbox.deadline()).toBeUndefined();
  const opening = { type: "outbox", to: bob, uri: URI, stamp: TEXT, done: true };
  expect(heads(desk.found(1))).toEqual([opening]);
  expect(desk.take({ type: "writable", ch: 1, credit: 5 })).toMatchObject([{ type: "send", head: { done: true } }]);
  expect(desk.take({ type: "acked", ch: 1, count: 2 })).toEqual([1, 2].map((id) => ({ type: "deposited", id })));
  desk.ticks(); // five idle seconds: the channel is ended
  desk.take({ type: "closed", ch: 1, err: undefined });
  expect(heads(desk.deposit(3))).toEqual([opening]);
});

test("other mail does not wait: what asks for no work, and what goes to the recipient itself", () => {
  const desk = new Desk([carol, bob]);
  desk.deposit(1);
  expect(heads(desk.deposit(2, uriOf(0)))).toHaveLength(1);
  expect(heads(desk.deposit(3, "link:///?t=abc"))).toHaveLength(1);
  expect(heads(desk.deposit(4, undefined, { via: carol, to: dave }))).toEqual([]);
  expect(heads(desk.deposit(5, URI, { via: bob }))).toEqual([{ type: "outbox", to: bob, uri: URI, done: true }]);
});

test("nothing is looked for before there is a link, and a link that goes away for a while loses nothing", () => {
  const desk = new Desk([]);
  expect(desk.deposit(1)).toEqual([{ type: "reach", peer: carol }]);
  expect(desk.take({ type: "up", peer: carol })).toEqual([find(1)]);
  expect(desk.take({ type: "down", peer: carol })).toEqual([]);
  expect(desk.found(1)).toEqual([]);
  expect(heads(desk.take({ type: "up", peer: carol }))).toEqual([
    { type: "outbox", to: bob, uri: URI, stamp: TEXT, done: true },
  ]);
});

test("a link that stays away fails the mail and ends the search", () => {
  const desk = new Desk();
  desk.deposit(1);
  desk.take({ type: "down", peer: carol });
  expect(desk.ticks()).toEqual([
    { type: "failed", id: 1, why: "unreachable" },
    { type: "forget-stamp", req: 1 },
    { type: "release", peer: carol },
  ]);
});

test("the search ends with the last mail that is cancelled, not before", () => {
  const desk = new Desk();
  desk.deposit(1);
  desk.deposit(2);
  expect(desk.deposit(3, uriOf(8, 2))).toEqual([]);
  expect([1, 3].map((id) => desk.take({ type: "cancel", id }))).toEqual([[], []]);
  expect(desk.take({ type: "cancel", id: 2 })).toEqual([
    { type: "forget-stamp", req: 1 },
    { type: "release", peer: carol },
  ]);
  expect(desk.found(1)).toEqual([]);
});

test("two invites of one recipient share the dearer stamp", () => {
  const desk = new Desk();
  desk.deposit(1);
  expect(desk.deposit(2, uriOf(9, 2))).toEqual([{ type: "forget-stamp", req: 1 }, find(2, { work: 9 })]);
  expect(heads(desk.found(2)).map(({ stamp }) => stamp)).toEqual([TEXT, TEXT]);
});

test("without a stamp nothing is opened: the mail fails, and is tried again later", () => {
  const desk = new Desk();
  desk.deposit(1);
  expect(desk.take({ type: "stamp", req: 1, stamp: undefined })).toEqual([
    { type: "failed", id: 1, why: "busy" },
    { type: "release", peer: carol },
  ]);
  expect(desk.deposit(1)).toEqual([{ type: "reach", peer: carol }, find(2)]);
});

test("sixteen wait at most, and leave room for mail that need not", () => {
  const desk = new Desk();
  const failures = Array.from({ length: 20 }, (_, id) => desk.deposit(id)).flatMap((outs) =>
    outs.filter(({ type }) => type === "failed"),
  );
  expect(failures).toEqual([16, 17, 18, 19].map((id) => ({ type: "failed", id, why: "busy" })));
  expect(desk.deposit(30, uriOf(8), { via: dave })).toEqual([{ type: "reach", peer: dave }]);
  expect(desk.take({ type: "up", peer: dave })).toEqual([
    { type: "failed", id: 30, why: "busy" },
    { type: "release", peer: dave },
  ]);
  expect(heads(desk.deposit(31, uriOf(0)))).toHaveLength(1);
});

test("mail that would be too dear after many dear ones fails for now", () => {
  const desk = new Desk();
  const outs = Array.from({ length: 9 }, (_, id) => desk.deposit(id, uriOf(24), { to: hashnameFromBytes(STAMPS(id)) }));
  expect(outs.slice(0, 8).every((each) => each.every(({ type }) => type !== "failed"))).toBe(true);
  expect(outs[8]).toEqual([{ type: "failed", id: 8, why: "busy" }]);
});

test("a channel that is open over the change of the day is changed between two messages, with a new stamp", () => {
  const desk = new Desk();
  const room = packetRoom({}, true);
  desk.deposit(1, URI, { bytes: new Uint8Array(3 * room) });
  expect(heads(desk.found(1))).toHaveLength(1);
  desk.now = 20_001 * DAY + 3_600_000; // an hour into the next day
  desk.deposit(2);
  // The message is finished where it was begun.
  expect(desk.take({ type: "writable", ch: 1, credit: 1 })).toMatchObject([{ type: "send", ch: 1, head: {} }]);
  const outs = desk.take({ type: "writable", ch: 1, credit: 9 });
  expect(outs.slice(0, 2)).toMatchObject([{ head: {} }, { head: { done: true } }]);
  expect(outs.slice(2)).toEqual([
    { type: "send", ch: 1, head: {}, body: new Uint8Array(0), end: true },
    find(2, { day: 20_001 }),
  ]);
  expect(desk.take({ type: "acked", ch: 1, count: 4 })).toEqual([{ type: "deposited", id: 1 }]);
  expect(desk.take({ type: "closed", ch: 1, err: undefined })).toEqual([]);
  expect(desk.found(2)).toMatchObject([{ type: "open", ch: 2, head: { stamp: TEXT, done: true } }]);
  expect(desk.take({ type: "acked", ch: 2, count: 1 })).toEqual([{ type: "deposited", id: 2 }]);
});

const STAMPS = (n: number): Uint8Array => new Uint8Array(32).fill(50 + n);
