import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Hashname } from "../crypto/index.ts";
import { Application } from "./application.ts";
import type { ApplicationCall, ApplicationIn, ApplicationOut } from "./contract.ts";

const [ALICE, BOB, EVE] = ["alice", "bob", "eve"] as Hashname[] as [Hashname, Hashname, Hashname];
const EMPTY = new Uint8Array(0);
const MINUTE = 60_000;

/** The machine, what it was asked and what it answered. Bob and eve are contacts, and only bob is there. */
class Desk {
  readonly contacts = new Set<string>([BOB, EVE]);
  readonly up = new Set<string>([BOB]);
  /** Of a contact's devices that are no contacts of their own: whose they are. */
  readonly owners = new Map<string, string>();
  readonly answers = new Map<number, { value?: unknown; code?: string }>();
  readonly outs: ApplicationOut[] = [];
  now = 0;
  #handle = 1;
  #req = 0;
  readonly machine = new Application({
    handles: () => this.#handle++,
    isContact: (peer) => this.contacts.has(peer),
    contactOf: (peer) => this.owners.get(peer),
    peersOf: (to) => (this.contacts.has(to) ? [to as Hashname] : []),
    isUp: (peer) => this.up.has(peer),
  });

  handle(input: ApplicationIn): ApplicationOut[] {
    const out = this.machine.handle(input, this.now);
    for (const each of out) {
      if (each.type === "reply") this.#answer(each.req, { value: each.value });
      else if (each.type === "refuse") this.#answer(each.req, { code: each.code });
      else this.outs.push(each);
    }
    return out;
  }

  #answer(req: number, answer: { value?: unknown; code?: string }): void {
    expect(this.answers.has(req)).toBe(false);
    this.answers.set(req, answer);
  }

  /** The number of the question. */
  ask(call: ApplicationCall): number {
    this.handle({ type: "call", req: ++this.#req, call });
    return this.#req;
  }

  asked(call: ApplicationCall): { value?: unknown; code?: string } | undefined {
    return this.answers.get(this.ask(call));
  }

  open(to: string = BOB, reliable = true): number {
    const answer = this.asked({ type: "open", to, kind: "app", reliable, head: {}, body: EMPTY });
    return (answer?.value as { ch: number } | undefined)?.ch ?? 0;
  }

  opened(peer: Hashname, reliable = true): number {
    const ch = this.#handle++;
    this.handle({ type: "opened", ch, peer, reliable, kind: "app", head: { type: "app" }, body: EMPTY });
    return ch;
  }

  /** What it said on a channel, since the last time that it was asked. */
  said(): ApplicationOut[] {
    return this.outs.splice(0);
  }

  after(ms: number): ApplicationOut[] {
    this.now += ms;
    return this.handle({ type: "tick" });
  }
}

test("who sends before there is room waits, in order, and an end waits behind the packets", () => {
  const desk = new Desk();
  const ch = desk.open();
  desk.handle({ type: "writable", ch, credit: 1 });
  const send = (n: number, end = false): number => desk.ask({ type: "send", ch, head: { n }, body: EMPTY, end });
  const reqs = [send(1), send(2), send(3, true)];
  expect(reqs.map((req) => desk.answers.has(req))).toEqual([true, false, false]);
  expect(desk.asked({ type: "send", ch, head: {}, body: EMPTY })).toEqual({ code: "channel-ended" });
  desk.handle({ type: "writable", ch, credit: 5 });
  expect(desk.said().flatMap((out) => (out.type === "send" ? [[out.head["n"], out.end]] : []))).toEqual([
    [1, undefined],
    [2, undefined],
    [3, true],
  ]);
  expect(reqs.map((req) => desk.answers.get(req))).toEqual([{}, {}, {}].map(() => ({ value: undefined })));
});

test("at most 64 packets wait for room; beyond that a sender is refused and nothing is lost", () => {
  const desk = new Desk();
  const ch = desk.open();
  const codes = Array.from({ length: 65 }, () => desk.asked({ type: "send", ch, head: {}, body: EMPTY })?.code);
  expect(codes.filter(Boolean)).toEqual(["busy"]);
  desk.handle({ type: "writable", ch, credit: 100 });
  expect(desk.said().filter(({ type }) => type === "send")).toHaveLength(64);
});

test("a packet is taken when somebody receives it, and not before", () => {
  const desk = new Desk();
  const ch = desk.open();
  desk.said();
  desk.handle({ type: "packet", ch, head: { n: 1 }, body: EMPTY });
  expect(desk.said()).toEqual([]);
  expect(desk.asked({ type: "receive", ch })).toEqual({ value: { head: { n: 1 }, body: EMPTY } });
  expect(desk.said()).toEqual([{ type: "took", ch }]);
  const waits = desk.ask({ type: "receive", ch });
  expect(desk.asked({ type: "receive", ch })).toEqual({ code: "busy" });
  desk.handle({ type: "packet", ch, head: { n: 2 }, body: EMPTY });
  expect([desk.answers.get(waits), desk.said()]).toEqual([
    { value: { head: { n: 2 }, body: EMPTY } },
    [{ type: "took", ch }],
  ]);
});

test("bytes of a packet are kept as they came, whatever becomes of where they lay", () => {
  const desk = new Desk();
  const ch = desk.open();
  const body = new Uint8Array([1, 2, 3]);
  desk.handle({ type: "packet", ch, head: {}, body });
  body.fill(9);
  expect(desk.asked({ type: "receive", ch })).toEqual({ value: { head: {}, body: new Uint8Array([1, 2, 3]) } });
});

test("all that waits on a channel hears of its end, and the reason is there for who asks a moment later", () => {
  const desk = new Desk();
  const [first, second] = [desk.open(), desk.open()];
  const asked = [
    desk.ask({ type: "send", ch: first, head: {}, body: EMPTY }),
    desk.ask({ type: "receive", ch: first }),
    desk.ask({ type: "watch", ch: first }),
  ];
  for (const ch of [first, second]) desk.handle({ type: "closed", ch, err: "timeout" });
  expect(asked.map((req) => desk.answers.get(req))).toEqual([
    { code: "channel-closed" },
    { code: "channel-closed" },
    { value: "timeout" },
  ]);
  expect(desk.asked({ type: "watch", ch: second })).toEqual({ value: "timeout" });
  expect(desk.asked({ type: "receive", ch: second })).toEqual({ code: "channel-closed" });
  expect(desk.machine.deadline()).toBeUndefined();
});

test("what is unread at a good end can still be read; at a bad one it is gone", () => {
  const desk = new Desk();
  const [good, bad] = [desk.open(BOB, false), desk.open(BOB, false)];
  for (const ch of [good, bad]) {
    desk.handle({ type: "packet", ch, head: { last: 1 }, body: EMPTY });
    desk.handle({ type: "ended", ch });
    desk.handle({ type: "closed", ch, err: ch === bad ? "timeout" : undefined });
  }
  expect(desk.asked({ type: "receive", ch: good })).toMatchObject({ value: { head: { last: 1 } } });
  expect(desk.asked({ type: "receive", ch: bad })).toEqual({ code: "channel-closed" });
  expect(desk.machine.deadline()).toBeUndefined();
});

describe("who opens", () => {
  test("a call waits for a link, 40 seconds, and wants one as long as it waits", () => {
    const desk = new Desk();
    const call = { type: "open", to: EVE, kind: "app", reliable: true, head: {}, body: EMPTY } as const;
    const [late, gone] = [desk.ask(call), desk.ask(call)];
    expect(desk.said()).toEqual([
      { type: "reach", peer: EVE },
      { type: "reach", peer: EVE },
    ]);
    desk.after(30_000);
    desk.handle({ type: "up", peer: EVE });
    expect([late, gone].map((req) => desk.answers.get(req)?.value)).toMatchObject([{ peer: EVE }, { peer: EVE }]);
    expect(desk.said().filter(({ type }) => type === "release")).toEqual([{ type: "release", peer: EVE }]);
    const never = desk.ask(call);
    desk.after(39_999);
    expect(desk.answers.has(never)).toBe(false);
    desk.after(1);
    expect(desk.answers.get(never)).toEqual({ code: "unreachable" });
    const short = desk.ask({ ...call, wait: 2000 });
    desk.after(1999);
    expect(desk.answers.has(short)).toBe(false);
    desk.after(1);
    expect(desk.answers.get(short)).toEqual({ code: "unreachable" });
    desk.said();
    for (const wait of [0, -1, Number.NaN]) expect(desk.asked({ ...call, wait })).toEqual({ code: "unreachable" });
    expect(desk.said()).toEqual([]);
    const long = desk.ask({ ...call, wait: Number.POSITIVE_INFINITY });
    desk.after(40_000);
    expect(desk.answers.get(long)).toEqual({ code: "unreachable" });
    expect(desk.said().at(-1)).toEqual({ type: "release", peer: EVE });
  });

  test("each end opens eight to the other at most; what a contact opens takes none of ours away", () => {
    const desk = new Desk();
    desk.ask({ type: "serve", kind: "app" });
    const theirs = Array.from({ length: 9 }, () => desk.opened(BOB));
    expect(desk.said()).toEqual([{ type: "fail", ch: theirs[8], err: "full" }]);
    const ours = Array.from({ length: 8 }, () => desk.open());
    const one = { type: "open", to: BOB, kind: "app", reliable: true, head: {}, body: EMPTY } as const;
    expect(desk.asked(one)).toEqual({ code: "full" });
    desk.handle({ type: "closed", ch: ours[0] ?? 0, err: "timeout" });
    expect(desk.asked(one)?.code).toBeUndefined();
  });

  test("however many devices a contact has, it opens 32 at most, and what they leave unread is counted together", () => {
    const desk = new Desk();
    desk.ask({ type: "serve", kind: "app" });
    const devices = Array.from({ length: 64 }, (_, i) => `device${i}` as Hashname);
    for (const device of devices) {
      desk.contacts.add(device);
      desk.owners.set(device, "bob");
    }
    const chs = devices.map((device) => desk.opened(device));
    expect(desk.said()).toEqual(chs.slice(32).map((ch) => ({ type: "fail", ch, err: "full" })));
    const body = new Uint8Array(1200);
    for (let i = 0; desk.outs.length === 0 && i < 10_000; i++)
      desk.handle({ type: "packet", ch: chs[i % 32] ?? 0, head: {}, body });
    expect(desk.said()).toMatchObject([{ type: "fail", err: "unread" }]);
    // What ended makes room again.
    for (const ch of chs) desk.handle({ type: "closed", ch, err: "timeout" });
    const again = desk.opened(devices[40] ?? BOB);
    for (let i = 0; i < 1000; i++) desk.handle({ type: "packet", ch: again, head: {}, body });
    expect(desk.said()).toEqual([]);
  });

  test("whatever contacts open, the half of all is ours", () => {
    const desk = new Desk();
    desk.ask({ type: "serve", kind: "app" });
    for (let i = 0; i < 600; i++) {
      const peer = `contact${i}` as Hashname;
      desk.contacts.add(peer);
      desk.opened(peer);
    }
    expect(desk.said()).toHaveLength(600 - 512);
    expect(desk.open(BOB)).toBeGreaterThan(0);
  });

  test("a head has as many fields as arrive: with those of the channel a reader's 64 at most", () => {
    const desk = new Desk();
    const head = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 1]));
    for (const reliable of [true, false]) {
      const call = { type: "open", to: BOB, kind: "app", reliable, body: EMPTY } as const;
      expect(desk.asked({ ...call, head: head(57) })).toEqual({ code: "bad-packet" });
      const ch = (desk.asked({ ...call, head: head(56) })?.value as { ch: number } | undefined)?.ch ?? 0;
      desk.handle({ type: "writable", ch, credit: 1 });
      expect(desk.asked({ type: "send", ch, head: head(57), body: EMPTY })).toEqual({ code: "bad-packet" });
      expect(desk.asked({ type: "send", ch, head: head(56), body: EMPTY })).toEqual({ value: undefined });
    }
  });

  test("who is a contact no more has no channels any more", () => {
    const desk = new Desk();
    desk.ask({ type: "serve", kind: "app" });
    const [ours, theirs] = [desk.open(), desk.opened(BOB)];
    desk.said();
    desk.contacts.delete(BOB);
    desk.handle({ type: "packet", ch: ours, head: {}, body: EMPTY });
    desk.handle({ type: "contacts" });
    expect(desk.said()).toEqual([ours, theirs].map((ch) => ({ type: "fail", ch, err: "unknown type" })));
    expect(desk.asked({ type: "watch", ch: theirs })).toEqual({ value: "removed" });
    expect(desk.machine.deadline()).toBeUndefined();
  });
});

describe("who is served", () => {
  test("channels wait for who accepts them, and are refused when their type is served no more", () => {
    const desk = new Desk();
    expect(desk.asked({ type: "accept", kind: "app" })).toEqual({ code: "not-served" });
    desk.ask({ type: "serve", kind: "app" });
    const [first, second] = [desk.opened(BOB), desk.opened(EVE)];
    expect(desk.asked({ type: "accept", kind: "app" })?.value).toMatchObject({ ch: first, peer: BOB });
    expect(desk.said()).toEqual([{ type: "took", ch: first }]);
    desk.ask({ type: "unserve", kind: "app" });
    expect([desk.machine.serves("app"), desk.said()]).toEqual([
      false,
      [{ type: "fail", ch: second, err: "unknown type" }],
    ]);
    expect(desk.asked({ type: "send", ch: first, head: {}, body: EMPTY, end: true })).toBeUndefined();
  });

  test("a type is served once, and one waits for its channels", () => {
    const desk = new Desk();
    expect(desk.asked({ type: "serve", kind: "inbox" })).toEqual({ code: "bad-type" });
    desk.ask({ type: "serve", kind: "app" });
    expect(desk.asked({ type: "serve", kind: "app" })).toEqual({ code: "known" });
    const waits = desk.ask({ type: "accept", kind: "app" });
    expect(desk.asked({ type: "accept", kind: "app" })).toEqual({ code: "busy" });
    desk.ask({ type: "unserve", kind: "app" });
    expect(desk.answers.get(waits)).toEqual({ code: "not-served" });
  });
});

describe("bounds", () => {
  test("what nobody receives takes 2 MiB of a contact at most: then the channel that went on ends", () => {
    const desk = new Desk();
    const [calm, loud] = [desk.open(), desk.open()];
    desk.said();
    desk.handle({ type: "packet", ch: calm, head: {}, body: EMPTY });
    const body = new Uint8Array(1200);
    let count = 0;
    while (desk.outs.length === 0 && count < 10_000) {
      desk.handle({ type: "packet", ch: loud, head: {}, body });
      count++;
    }
    expect(desk.said()).toEqual([{ type: "fail", ch: loud, err: "unread" }]);
    expect(count * 1200).toBeLessThan(2 << 20);
    expect(desk.asked({ type: "receive", ch: calm })?.value).toBeDefined();
  });

  test("of an unreliable channel 64 packets wait, and what comes then is dropped", () => {
    const desk = new Desk();
    const ch = desk.open(BOB, false);
    for (let n = 0; n < 100; n++) desk.handle({ type: "packet", ch, head: { n }, body: EMPTY });
    const heard = Array.from({ length: 64 }, () => desk.asked({ type: "receive", ch })?.value);
    expect(heard).toMatchObject(Array.from({ length: 64 }, (_, n) => ({ head: { n } })));
    expect(desk.asked({ type: "receive", ch })).toBeUndefined();
  });

  test("ten minutes without a packet end a channel; a packet in either direction begins them anew", () => {
    const desk = new Desk();
    const ch = desk.open(BOB, false);
    desk.after(9 * MINUTE);
    desk.ask({ type: "send", ch, head: {}, body: EMPTY });
    desk.after(9 * MINUTE);
    desk.handle({ type: "packet", ch, head: {}, body: EMPTY });
    desk.said();
    desk.after(10 * MINUTE - 1);
    expect(desk.said()).toEqual([]);
    desk.after(1);
    expect(desk.said()).toEqual([{ type: "fail", ch, err: "idle" }]);
    expect(desk.asked({ type: "watch", ch })).toEqual({ value: "idle" });
  });

  test("whatever is asked and comes, in any order: each question has one answer at most, and nothing is left at the end", () => {
    const ch = fc.integer({ min: 1, max: 12 });
    const head = fc.constantFrom({}, { n: 1 }, { end: true }, { type: "app" });
    const body = fc.constantFrom(EMPTY, new Uint8Array(1500));
    const kind = fc.constantFrom("app", "other", "inbox");
    const peer = fc.constantFrom(ALICE, BOB, EVE);
    const call = fc.oneof(
      fc.record({ type: fc.constantFrom("serve" as const, "unserve" as const, "accept" as const), kind }),
      fc.record({ type: fc.constant("open" as const), to: peer, kind, reliable: fc.boolean(), head, body }),
      fc.record({ type: fc.constant("send" as const), ch, head, body, end: fc.boolean() }),
      fc.record({ type: fc.constantFrom("receive" as const, "watch" as const), ch }),
      fc.record({ type: fc.constant("fail" as const), ch, why: fc.string() }),
    );
    const input = fc.oneof(
      fc.record({ call }),
      fc.record({ type: fc.constant("packet" as const), ch, head: fc.constant({}), body }),
      fc.record({ type: fc.constant("ended" as const), ch }),
      fc.record({ type: fc.constant("closed" as const), ch, err: fc.constantFrom(undefined, "timeout") }),
      fc.record({ type: fc.constant("writable" as const), ch, credit: fc.nat(20) }),
      fc.record({ opened: peer, reliable: fc.boolean() }),
      fc.record({ up: peer }),
      fc.record({ ms: fc.constantFrom(1000, 40_000, 600_000) }),
    );
    fc.assert(
      fc.property(fc.array(input, { maxLength: 80 }), (inputs) => {
        const desk = new Desk();
        for (const each of inputs) {
          if ("call" in each) desk.ask(each.call);
          else if ("opened" in each) {
            if (desk.machine.serves("app") && desk.contacts.has(each.opened)) desk.opened(each.opened, each.reliable);
          } else if ("up" in each) {
            desk.up.add(each.up);
            desk.handle({ type: "up", peer: each.up });
          } else if ("ms" in each) desk.after(each.ms);
          else desk.handle(each);
        }
        // A channel that fails is told once; on one that failed or was closed nothing is said any more.
        const failed = new Set<number>();
        for (const out of desk.outs) {
          if (!("ch" in out)) continue;
          expect(failed.has(out.ch)).toBe(false);
          if (out.type === "fail") failed.add(out.ch);
        }
        for (let i = 0; i < 200 && desk.machine.deadline() !== undefined; i++) desk.after(MINUTE);
        expect(desk.machine.deadline()).toBeUndefined();
      }),
      { numRuns: 300 },
    );
  });
});
