import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { utf8 } from "../bytes/index.ts";
import { encodePacket, type JsonObject, parsePacket } from "../wire/index.ts";
import { parseChannelPacket } from "./channel.ts";
import { type ChannelLimits, Channels, type ChannelsIn, type ChannelsOut, packetRoom } from "./channels.ts";
import { MAX_SEQ } from "./reliable.ts";

const EMPTY = new Uint8Array(0);
const TIMEOUT = 30_000;

test("the conversation of protocol/channels.md §1 is one that really happens", () => {
  const page = readFileSync(new URL("../../../../protocol/channels.md", import.meta.url), "utf8");
  const written = [...page.matchAll(/^(ODD|EVEN) +-> +\w+ +(\{.*\})/gm)].map(([, from, head]) => [from, head]);
  const sides = { ODD: machine({ order: 1 }), EVEN: machine({ order: 0 }) };
  const said: string[][] = [];
  const act = (from: "ODD" | "EVEN", input: ChannelsIn): void => {
    for (const out of sides[from].handle(input, 0)) {
      if (out.type === "transmit") {
        said.push([from, new TextDecoder().decode(parsePacket(out.inner)?.head)]);
        act(from === "ODD" ? "EVEN" : "ODD", { type: "received", packets: [{ inner: out.inner, at: 0 }] });
      } else if (out.type === "opened" || out.type === "packets") act(from, { type: "took", ch: out.ch });
    }
  };
  const body = new Uint8Array(1000);
  act("ODD", { type: "open", ch: 1, reliable: true, head: { type: "outbox", to: "uvabrv..." }, body });
  act("ODD", { type: "send", ch: 1, head: { done: true }, body, end: true });
  act("EVEN", { type: "send", ch: 100, head: {}, body: EMPTY, end: true });
  expect(written).toEqual(said);
});

test("[E2] the heads of boxes are read the same by the short way and by the parser of all heads", () => {
  const text = fc.string({ unit: fc.constantFrom(..."abcz0189:/?&=".split("")), maxLength: 40 });
  const number = fc.oneof(fc.nat(300), fc.constantFrom(MAX_SEQ, MAX_SEQ + 1, 9_999_999_999));
  const fields = fc.record(
    {
      ...{ seq: number, ack: number, miss: fc.array(fc.nat(200), { minLength: 1, maxLength: 4 }) },
      ...{ end: fc.constant(true), done: fc.constant(true), clear: fc.constant(true), x: number, cap: number },
      ...{ type: text, to: text, uri: text, box: text, id: text, err: text, other: number },
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(number, fields, fc.uint8Array({ maxLength: 20 }), (c, others, body) => {
      const written = JSON.stringify({ c, ...others });
      const [short, long] = [written, written.replace("{", "{ ")].map((head) => {
        const packet = parseChannelPacket(encodePacket(new TextEncoder().encode(head), body));
        // What a head costs goes by its length as it came: the only thing that a space more may change.
        return packet && { ...packet, content: { ...packet.content, size: packet.content.size - 16 * head.length } };
      });
      expect(short).toEqual(long);
    }),
    { numRuns: 1000 },
  );
});

describe("opening", () => {
  test("[E12] only the open packet has a type, and ids follow the order", () => {
    const odd = machine({ order: 1 });
    expect(heads(open(odd, 7, false))).toEqual([{ c: 1, type: "test" }]);
    expect(heads(send(odd, 7, { n: 1 }))).toEqual([{ c: 1, n: 1 }]);
    expect(heads(open(odd, 8, false))).toEqual([{ c: 3, type: "test" }]);
    const even = machine({ order: 0 });
    expect(heads(open(even, 7, false))).toEqual([{ c: 2, type: "test" }]);
    expect(heads(open(even, 8, false))).toEqual([{ c: 4, type: "test" }]);
  });

  test("[E11] seq counts from 1, with the type", () => {
    const channels = machine({});
    const [first] = heads(open(channels, 7, true));
    expect(first).toMatchObject({ c: 1, seq: 1, type: "test" });
    expect(heads(send(channels, 7, {}))).toEqual([{ c: 1, seq: 2 }]);
    expect(heads(send(channels, 7, {}))).toEqual([{ c: 1, seq: 3 }]);
  });

  test("a remote open is told with a handle of ours, and its head without the fields of the channel", () => {
    const channels = machine({});
    const out = receive(channels, { c: 2, seq: 1, type: "outbox", to: "x" }, 0, new Uint8Array([9]));
    expect(events(out)).toEqual([
      {
        type: "opened",
        ch: 100,
        reliable: true,
        kind: "outbox",
        head: { type: "outbox", to: "x" },
        body: new Uint8Array([9]),
      },
      { type: "writable", ch: 100, credit: 32 },
    ]);
    expect(events(receive(channels, { c: 4, type: "boxes" }))).toEqual([
      { type: "opened", ch: 101, reliable: false, kind: "boxes", head: { type: "boxes" }, body: EMPTY },
    ]);
  });

  test("[E12] opens of the wrong parity, used ids and packets of unknown channels are dropped in silence", () => {
    const channels = machine({});
    receive(channels, { c: 6, type: "a" });
    for (const head of [
      { c: 1, type: "a" },
      { c: 6, type: "a" },
      { c: 0, type: "a" },
      { c: 2 ** 32, type: "a" },
      { c: -2, type: "a" },
      { c: "8", type: "a" },
      { c: 8 },
      { c: 8, seq: 1 },
      { c: 8, seq: 2, type: "a" },
      { c: 8, seq: "1", type: "a" },
      { c: 8, type: 5 },
      { c: 8, type: "a", err: "no" },
      { c: 8, end: true },
      { c: 8, ack: 1 },
    ]) {
      expect(receive(channels, head)).toEqual([]);
    }
    expect(events(receive(channels, { c: 8, type: "a" }))).toHaveLength(1);
    expect(events(receive(channels, { c: 4, type: "a" }))).toHaveLength(1); // overtaken by the others
  });

  test("a duplicate of an open does not open again, before and after the close", () => {
    const channels = machine({});
    receive(channels, { c: 2, type: "a" });
    expect(receive(channels, { c: 2, type: "a" })).toEqual([]);
    expect(events(receive(channels, { c: 2, err: "x" }))).toEqual([{ type: "closed", ch: 100, err: "x" }]);
    expect(receive(channels, { c: 2, type: "a" })).toEqual([]);
  });

  test("after the last id the exchange is exhausted", () => {
    const channels = machine({ limits: { maxId: 3 } });
    open(channels, 1, false);
    open(channels, 2, false);
    expect(open(channels, 3, false)).toEqual([{ type: "closed", ch: 3, err: "exhausted" }]);
  });

  test("a new exchange closes all channels and counts from 1 again", () => {
    const channels = machine({});
    open(channels, 1, true);
    receive(channels, { c: 2, type: "a" });
    expect(channels.handle({ type: "reset", err: "renewed" }, 5)).toEqual([
      { type: "closed", ch: 1, err: "renewed" },
      { type: "closed", ch: 100, err: "renewed" },
    ]);
    expect(channels.deadline()).toBeUndefined();
    expect(heads(open(channels, 3, false))).toEqual([{ c: 1, type: "test" }]);
    expect(events(receive(channels, { c: 2, type: "a" }))).toHaveLength(1);
  });
});

describe("ending", () => {
  test("[E12] an unreliable channel closes when both sides ended", () => {
    const ours = machine({});
    open(ours, 1, false);
    expect(heads(send(ours, 1, {}, { end: true }))).toEqual([{ c: 1, end: true }]);
    expect(events(receive(ours, { c: 1, last: 1, end: true }))).toEqual([
      { type: "packets", ch: 1, packets: [{ head: { last: 1 }, body: EMPTY }] },
      { type: "ended", ch: 1 },
      { type: "closed", ch: 1, err: undefined },
    ]);
    expect(ours.deadline()).toBeUndefined();
    const theirs = machine({});
    expect(events(receive(theirs, { c: 2, type: "a", end: true }))).toMatchObject([
      { type: "opened" },
      { type: "ended" },
    ]);
    const out = send(theirs, 100, {}, { end: true });
    expect(heads(out)).toEqual([{ c: 2, end: true }]);
    expect(events(out)).toEqual([{ type: "closed", ch: 100, err: undefined }]);
  });

  test("[E12] a reliable channel closes when both ended, all was acknowledged and all was taken", () => {
    const channels = machine({});
    open(channels, 1, true);
    send(channels, 1, { n: 2 }, { end: true });
    expect(events(receive(channels, { c: 1, seq: 1, ack: 2, n: 1 }))).toMatchObject([
      { type: "acked", count: 2 },
      { type: "packets", packets: [{ head: { n: 1 } }] },
    ]);
    expect(events(receive(channels, { c: 1, seq: 2, end: true }))).toEqual([{ type: "ended", ch: 1 }]);
    const out = channels.handle({ type: "took", ch: 1 }, 0);
    expect(heads(out)).toEqual([{ c: 1, ack: 2 }]);
    expect(events(out)).toEqual([{ type: "closed", ch: 1, err: undefined }]);
    // The acknowledgement was lost: it is repeated, without a word to the application, and not for ever.
    expect(receive(channels, { c: 1, seq: 2, end: true })).toEqual([transmit({ c: 1, ack: 2 })]);
    expect(channels.deadline()).toBe(TIMEOUT);
    expect(channels.handle({ type: "tick" }, TIMEOUT)).toEqual([]);
    expect(channels.deadline()).toBeUndefined();
    expect(receive(channels, { c: 1, seq: 2, end: true })).toEqual([]);
  });

  test("[E12] an err closes at once and drops what is buffered", () => {
    const channels = machine({});
    open(channels, 1, true);
    receive(channels, { c: 1, seq: 2 });
    expect(receive(channels, { c: 1, err: "broken", n: 1 })).toEqual([{ type: "closed", ch: 1, err: "broken" }]);
    expect(channels.deadline()).toBeUndefined();
    expect(receive(channels, { c: 1, seq: 1 })).toEqual([]);
    expect(send(channels, 1, {})).toEqual([]); // the application had not heard of it yet
    open(channels, 2, false);
    expect(receive(channels, { c: 3, err: 5 })).toEqual([{ type: "closed", ch: 2, err: "error" }]);
  });

  test("[E12] fail sends an err and closes at once", () => {
    const channels = machine({});
    open(channels, 1, true);
    expect(channels.handle({ type: "fail", ch: 1, err: "no" }, 0)).toEqual([
      transmit({ c: 1, err: "no" }),
      { type: "closed", ch: 1, err: "no" },
    ]);
    expect(channels.handle({ type: "fail", ch: 1, err: "no" }, 0)).toEqual([]);
    expect(channels.deadline()).toBeUndefined();
  });

  test("[E12] nothing is delivered after the end", () => {
    const channels = machine({});
    receive(channels, { c: 2, type: "a" });
    receive(channels, { c: 2, end: true });
    expect(receive(channels, { c: 2, n: 1 })).toEqual([]);
    receive(channels, { c: 4, seq: 1, type: "a", end: true });
    expect(events(receive(channels, { c: 4, seq: 2, n: 1 }))).toEqual([]);
  });
});

describe("timeouts", () => {
  test("[E12] OPENING times out, OPEN does not", () => {
    for (const reliable of [false, true]) {
      const channels = machine({});
      open(channels, 1, reliable);
      expect(run(channels, TIMEOUT - 1).filter(isEvent)).toEqual([]);
      expect(run(channels, TIMEOUT).filter(isEvent)).toEqual([{ type: "closed", ch: 1, err: "timeout" }]);
      open(channels, 2, reliable, TIMEOUT);
      receive(channels, reliable ? { c: 3, ack: 1 } : { c: 3 }, TIMEOUT);
      expect(channels.deadline()).toBeUndefined();
    }
  });

  test("[E12] a channel that the peer opened is OPENING until we sent something", () => {
    const channels = machine({});
    receive(channels, { c: 2, type: "a" });
    receive(channels, { c: 4, type: "a" });
    send(channels, 100, {});
    receive(channels, { c: 4, n: 1 }, 1000);
    expect(channels.handle({ type: "tick" }, TIMEOUT)).toEqual([]);
    expect(channels.handle({ type: "tick" }, TIMEOUT + 1000)).toEqual([{ type: "closed", ch: 101, err: "timeout" }]);
    expect(channels.deadline()).toBeUndefined();
  });

  test("[E12] ENDED times out, but not while the application has packets in hand", () => {
    const channels = machine({});
    receive(channels, { c: 2, seq: 1, type: "a", end: true });
    expect(run(channels, 1_000_000).filter(isEvent)).toEqual([]);
    channels.handle({ type: "took", ch: 100 }, 1_000_000);
    expect(run(channels, 1_000_000 + TIMEOUT).filter(isEvent)).toEqual([{ type: "closed", ch: 100, err: "timeout" }]);
  });

  test("[E11] an OPEN reliable channel times out only when what was sent gets no answer", () => {
    const channels = machine({});
    open(channels, 1, true);
    receive(channels, { c: 1, ack: 1 });
    expect(channels.deadline()).toBeUndefined();
    send(channels, 1, { n: 2 }, { now: 100_000 });
    run(channels, 120_000);
    receive(channels, { c: 1, ack: 1 }, 120_000); // not yet taken, but there
    expect(run(channels, 149_999).filter(isEvent)).toEqual([]);
    expect(run(channels, 150_000).filter(isEvent)).toEqual([{ type: "closed", ch: 1, err: "timeout" }]);
  });
});

describe("reliable channels", () => {
  test("[E11] deliver in order and once, whatever the order of arrival", () => {
    const channels = machine({});
    receive(channels, { c: 2, seq: 1, type: "a" });
    const seqs = [3, 3, 5, 2, 2, 4, 1, 3];
    const got = seqs.flatMap((seq) => events(receive(channels, { c: 2, seq, n: seq })));
    const numbers = got.map((event) => event.type === "packets" && event.packets.map(({ head }) => head["n"]));
    expect(numbers).toEqual([
      [2, 3],
      [4, 5],
    ]);
  });

  test("[E11] a repeated packet has the same seq and content", () => {
    const channels = machine({});
    open(channels, 1, true);
    receive(channels, { c: 1, ack: 1 });
    send(channels, 1, { n: 1 }, { body: new Uint8Array([1, 2]), now: 50 });
    const again = channels.handle({ type: "tick" }, 1050);
    expect(heads(again)).toMatchObject([{ c: 1, seq: 2, n: 1 }]);
    expect(again.map((out) => out.type === "transmit" && parsePacket(out.inner)?.body)).toEqual([
      new Uint8Array([1, 2]),
    ]);
  });

  test("[E11] acknowledge only what the application took, and show where the window ends", () => {
    const channels = machine({});
    receive(channels, { c: 2, seq: 1, type: "a" });
    receive(channels, { c: 2, seq: 3 });
    expect(heads(channels.handle({ type: "tick" }, 20))).toEqual([{ c: 2, ack: 0, miss: [2, 126] }]);
    channels.handle({ type: "took", ch: 100 }, 30);
    expect(heads(channels.handle({ type: "tick" }, 50))).toEqual([{ c: 2, ack: 1, miss: [1, 127] }]);
  });

  test("[E11] what is taken at once is acknowledged at once, by one packet for all of it", () => {
    const channels = machine({});
    receive(channels, { c: 2, seq: 1, ack: 0, type: "a" });
    for (let seq = 2; seq <= 40; seq++) receive(channels, { c: 2, seq });
    expect(heads(channels.handle({ type: "took", ch: 100, count: 40 }, 0))).toEqual([{ c: 2, ack: 40, miss: [128] }]);
    for (let seq = 41; seq <= 47; seq++) receive(channels, { c: 2, seq });
    expect(heads(channels.handle({ type: "took", ch: 100, count: 7 }, 0))).toEqual([{ c: 2, ack: 47 }]);
    receive(channels, { c: 2, seq: 48 });
    expect(() => channels.handle({ type: "took", ch: 100, count: 2 }, 0)).toThrow(
      expect.objectContaining({ code: "channel-took" }),
    );
  });

  test("[E11] a packet whose acknowledgement is waited for asks for it, the one after it does not", () => {
    const [here, there] = [machine({}), machine({ order: 0 })];
    const cross = (outs: readonly ChannelsOut[], now: number): ChannelsOut[] =>
      outs.flatMap((out) =>
        out.type === "transmit" ? there.handle({ type: "received", packets: [{ inner: out.inner, at: 0 }] }, now) : [],
      );
    cross(open(here, 1, true), 0);
    there.handle({ type: "took", ch: 100 }, 0);
    for (const [asks, now] of [
      [false, 100],
      [true, 200],
      [false, 300],
    ] as const) {
      const outs = here.handle({ type: "send", ch: 1, head: { n: now }, body: EMPTY, asks }, now);
      expect(heads(outs).map((head) => "ack" in head)).toEqual([asks]);
      cross(outs, now);
      expect(heads(there.handle({ type: "took", ch: 100 }, now))).toHaveLength(asks ? 1 : 0);
      expect(heads(there.handle({ type: "tick" }, now + 20))).toHaveLength(asks ? 0 : 1);
    }
  });

  test("an acknowledgement that is owed travels on a packet of ours", () => {
    const channels = machine({});
    receive(channels, { c: 2, seq: 1, type: "a" });
    channels.handle({ type: "took", ch: 100 }, 0);
    run(channels, 20);
    receive(channels, { c: 2, seq: 2 }, 30);
    channels.handle({ type: "took", ch: 100 }, 30);
    receive(channels, { c: 2, seq: 3 }, 35);
    expect(heads(send(channels, 100, { n: 1 }, { now: 36 }))).toEqual([{ c: 2, seq: 1, ack: 2, n: 1 }]);
  });

  test("[E11] seq ends at 2^32-1: one packet more closes the channel with an err", () => {
    const channels = machine({ limits: { maxSeq: 3 } });
    open(channels, 1, true);
    send(channels, 1, {});
    expect(heads(send(channels, 1, {}))).toMatchObject([{ seq: 3 }]);
    expect(send(channels, 1, {})).toEqual([
      transmit({ c: 1, err: "exhausted" }),
      { type: "closed", ch: 1, err: "exhausted" },
    ]);
    receive(channels, { c: 2, seq: 1, type: "a" });
    expect(receive(channels, { c: 2, seq: 2 ** 32 })).toEqual([]);
    // Where nothing else is said, that end is the one of the page. A field of the application keeps off the fast scanner.
    for (const more of [{}, { n: 1 }])
      for (const [seq, read] of [
        [2 ** 32 - 1, 2 ** 32 - 1],
        [2 ** 32, 0],
      ])
        expect(parseChannelPacket(encodePacket({ c: 2, seq, ...more }))?.seq).toBe(read);
    expect(MAX_SEQ).toBe(2 ** 32 - 1);
  });

  test("give credit with the opening and with each acknowledgement", () => {
    const channels = machine({});
    expect(events(open(channels, 1, true))).toEqual([{ type: "writable", ch: 1, credit: 31 }]);
    for (let n = 0; n < 31; n++) expect(events(send(channels, 1, { n }))).toEqual([]);
    expect(events(receive(channels, { c: 1, ack: 16, miss: [128] }))).toEqual([
      { type: "acked", ch: 1, count: 16 },
      { type: "writable", ch: 1, credit: 32 },
    ]);
  });

  test("an application that sends on without credit loses the channel, not its memory", () => {
    const channels = machine({});
    open(channels, 1, true);
    for (let n = 2; n <= 256; n++) expect(events(send(channels, 1, { n }))).toEqual([]);
    expect(events(send(channels, 1, {}))).toEqual([{ type: "closed", ch: 1, err: "overflow" }]);
  });

  test("a packet with a seq on an unreliable channel is dropped, as is one with a type amidst a reliable one", () => {
    const channels = machine({});
    receive(channels, { c: 2, type: "a" });
    expect(receive(channels, { c: 2, seq: 1, n: 1 })).toEqual([]);
    receive(channels, { c: 4, seq: 1, type: "a" });
    expect(receive(channels, { c: 4, seq: 2, type: "a" })).toEqual([]);
  });
});

describe("the path", () => {
  test("holds back packets without credit, but not acknowledgements and errs", () => {
    const channels = machine({});
    open(channels, 1, true);
    receive(channels, { c: 1, ack: 1 });
    expect(channels.handle({ type: "credit", bytes: 0 }, 0)).toEqual([]);
    expect(send(channels, 1, { n: 1 })).toEqual([]);
    receive(channels, { c: 1, seq: 1 });
    expect(heads(channels.handle({ type: "took", ch: 1 }, 0))).toEqual([]);
    expect(heads(channels.handle({ type: "tick" }, 20))).toEqual([{ c: 1, ack: 1 }]);
    expect(heads(channels.handle({ type: "credit", bytes: 1 }, 30))).toEqual([{ c: 1, seq: 2, n: 1 }]);
    expect(send(channels, 1, { n: 2 })).toEqual([]); // used up
    expect(heads(channels.handle({ type: "fail", ch: 1, err: "x" }, 40))).toEqual([{ c: 1, err: "x" }]);
  });

  test("is shared by channels in turn, packet by packet", () => {
    const channels = machine({});
    channels.handle({ type: "credit", bytes: 0 }, 0);
    for (const ch of [1, 2, 3]) open(channels, ch, ch !== 2);
    for (const ch of [1, 1, 2, 2, 3, 3]) send(channels, ch, {});
    const order = heads(channels.handle({ type: "credit", bytes: 1e6 }, 0)).map((head) => head["c"]);
    expect(order).toEqual([1, 3, 5, 1, 3, 5, 1, 3, 5]);
  });

  test("[E11] has no congestion window besides TCP's, and one of 16 packets again when it changes", () => {
    const channels = machine({});
    const give = (count: number): number => {
      let left = 0;
      for (let n = 0; n < count; n++) left += heads(send(channels, 1, { n })).length;
      return left;
    };
    open(channels, 1, true);
    receive(channels, { c: 1, ack: 1, miss: [128] });
    expect(give(20)).toBe(16);
    expect(heads(channels.handle({ type: "credit", bytes: 1e6, isPaced: true }, 0))).toHaveLength(4);
    expect(give(120)).toBe(108); // the peer's window
    receive(channels, { c: 1, ack: 129, miss: [128] });
    channels.handle({ type: "credit", bytes: 1e6 }, 0); // of the same path
    expect(give(20)).toBe(20);
    receive(channels, { c: 1, ack: 161, miss: [128] });
    expect(channels.handle({ type: "credit", bytes: 1e6, isPaced: false }, 0)).toContainEqual({
      ...{ type: "writable", ch: 1, credit: 32 },
    });
    expect(give(30)).toBe(16);
  });

  test("[E11] a channel that the peer opens on TCP has no congestion window either", () => {
    const channels = machine({});
    channels.handle({ type: "credit", bytes: 1e6, isPaced: true }, 0);
    const opened = receive(channels, { c: 2, seq: 1, type: "test" });
    expect(opened).toContainEqual({ type: "writable", ch: 100, credit: 66 }); // 50, until it tells its window, and 16
    for (let n = 0; n < 60; n++) send(channels, 100, { n });
    expect(heads(receive(channels, { c: 2, ack: 50, miss: [128] }))).toHaveLength(10);
  });

  test("does not make an unreliable channel pile up packets", () => {
    const channels = machine({});
    channels.handle({ type: "credit", bytes: 0 }, 0);
    open(channels, 1, false);
    for (let n = 0; n < 1000; n++) send(channels, 1, { n });
    send(channels, 1, {}, { end: true });
    expect(heads(channels.handle({ type: "credit", bytes: 1e6 }, 0))).toHaveLength(65);
  });
});

describe("room", () => {
  test("[E12] a packet with a body of packetRoom makes an encrypted packet of at most 1400 bytes, one byte more is refused", () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.dictionary(
          fc.string().filter((key) => key.startsWith("x")),
          fc.string(),
        ),
        (reliable, extra) => {
          const head = { type: "test", ...extra };
          const room = packetRoom(head, reliable);
          const channels = machine({});
          const out = open(channels, 1, reliable, 0, head, new Uint8Array(room));
          expect(lengths(out)).toHaveLength(1);
          for (const length of lengths(out)) expect(length + 58).toBeLessThanOrEqual(1400);
          const tooLong = (): unknown => open(channels, 2, reliable, 0, head, new Uint8Array(room + 1));
          expect(tooLong).toThrow(expect.objectContaining({ code: "packet-size" }));
        },
      ),
    );
  });

  test("[E12] the longest ids and numbers fit into 1400 bytes too", () => {
    // 1400 less outer head length 2, token 16, nonce 24, tag 16, inner head length 2, and the head.
    const longest = '{"c":4294967295,"seq":4294967295,"ack":4294967295,"end":true,"done":true}';
    expect(packetRoom({ done: true }, true)).toBe(1400 - 60 - longest.length);
    expect(packetRoom({}, true)).toBe(
      1400 - 60 - '{"c":4294967295,"seq":4294967295,"ack":4294967295,"end":true}'.length,
    );
    expect(packetRoom({ type: "boxes" }, false)).toBe(1400 - 60 - '{"c":4294967295,"end":true,"type":"boxes"}'.length);
  });
});

describe("limits", () => {
  const limits = { channels: 3 };

  test("of channels that we open", () => {
    const channels = machine({ limits });
    for (const ch of [1, 2, 3]) open(channels, ch, true);
    expect(open(channels, 4, true)).toEqual([{ type: "closed", ch: 4, err: "full" }]);
    channels.handle({ type: "fail", ch: 1, err: "x" }, 0);
    expect(heads(open(channels, 4, true))).toHaveLength(1);
  });

  test("of channels that the peer opens: the oldest that nobody answered gives way, else an idle one, else none", () => {
    const channels = machine({ limits });
    for (const c of [2, 4, 6]) receive(channels, { c, type: "a" }, c);
    send(channels, 100, {}); // answered
    expect(events(receive(channels, { c: 8, type: "a" }, 8))[0]).toEqual({ type: "closed", ch: 101, err: "full" });
    send(channels, 102, {});
    send(channels, 103, {});
    expect(receive(channels, { c: 10, type: "a" }, 60_000)).toEqual([]);
    receive(channels, { c: 2 }, 60_000);
    const out = receive(channels, { c: 10, type: "a" }, 700_000);
    expect(out).toMatchObject([
      transmit({ c: 6, err: "full" }),
      { type: "closed", ch: 102 },
      { type: "opened", ch: 104 },
    ]);
  });

  test("of bytes that a peer makes us hold before an application takes them", () => {
    const channels = machine({ limits: { bytes: 20_000 } });
    const body = new Uint8Array(1300);
    let delivered = 0;
    for (let c = 2; c <= 100; c += 2) {
      for (let seq = 1; seq <= 5; seq++) {
        const head = seq === 1 ? { c, seq, type: "a" } : { c, seq };
        delivered += events(receive(channels, head, 0, body)).filter(
          ({ type }) => type === "opened" || type === "packets",
        ).length;
      }
    }
    expect(delivered * 1300).toBeLessThan(20_000);
    expect(delivered * 1300).toBeGreaterThan(10_000);
    // What lies beyond a hole gets half of that, so that there is room to fill the hole.
    const holes = machine({ limits: { bytes: 20_000 } });
    receive(holes, { c: 2, seq: 1, type: "a" });
    for (let seq = 3; seq < 100; seq++) receive(holes, { c: 2, seq }, 0, body);
    const [row] = events(receive(holes, { c: 2, seq: 2 }, 0, body));
    const filled = row?.type === "packets" ? row.packets.length : 0;
    expect(filled).toBeGreaterThan(3);
    expect(filled * 1300).toBeLessThan(12_000);
  });

  test("of bytes that an unresponsive peer makes us keep, and channels kept short hear when room comes free", () => {
    const channels = machine({ limits: { bytes: 200_000 } });
    const body = new Uint8Array(1270);
    const credit = new Map<number, number>();
    const step = (out: ChannelsOut[]): void => {
      for (const event of out) if (event.type === "writable") credit.set(event.ch, event.credit);
    };
    let packets = 0;
    for (let ch = 1; ch <= 20; ch++) {
      step(open(channels, ch, true));
      for (let left = credit.get(ch) ?? 0; left > 0; left--, packets++) step(send(channels, ch, {}, { body }));
    }
    expect(packets * 1270).toBeLessThan(200_000 + 20 * 3 * 1270);
    expect([1, 20].map((ch) => credit.get(ch))).toEqual([31, 3]);
    credit.clear();
    for (const ch of [1, 2, 3, 4]) {
      for (const ack of [16, 32]) step(receive(channels, { c: 2 * ch - 1, ack, miss: [128] }));
    }
    expect(credit.get(5)).toBeGreaterThan(0); // not by an answer of its own
  });
});

describe("mistakes of the application", () => {
  test("are errors with a code", () => {
    const channels = machine({});
    open(channels, 1, true);
    open(channels, 2, false);
    const code = (code: string): unknown => expect.objectContaining({ code });
    expect(() => open(channels, 1, true)).toThrow(code("channel-exists"));
    expect(() => open(channels, 3, true, 0, {})).toThrow(code("channel-head"));
    expect(() => send(channels, 1, { type: "x" })).toThrow(code("channel-head"));
    for (const key of ["c", "seq", "ack", "miss", "end", "err"]) {
      expect(() => send(channels, 1, { [key]: 1 })).toThrow(code("channel-head"));
    }
    expect(() => channels.handle({ type: "took", ch: 1 }, 0)).toThrow(code("channel-took"));
    expect(channels.handle({ type: "took", ch: 2 }, 0)).toEqual([]);
    send(channels, 1, {}, { end: true });
    expect(() => send(channels, 1, {})).toThrow(code("channel-ended"));
    expect(() => send(channels, 2, {}, { body: new Uint8Array(1400) })).toThrow(code("packet-size"));
  });

  test("what was given is copied", () => {
    const channels = machine({});
    channels.handle({ type: "credit", bytes: 0 }, 0);
    const body = new Uint8Array([1]);
    open(channels, 1, true, 0, { type: "a" }, body);
    body[0] = 2;
    const [out] = channels.handle({ type: "credit", bytes: 1 }, 0);
    expect(out?.type === "transmit" && parsePacket(out.inner)?.body).toEqual(new Uint8Array([1]));
  });
});

describe("rubbish", () => {
  const key = fc.constantFrom("c", "seq", "ack", "miss", "end", "err", "type", "x");
  const value = fc.oneof(
    fc.integer({ min: 0, max: 6 }),
    fc.jsonValue(),
    fc.constantFrom(true, 2 ** 32, 2 ** 53, [1, 1, 126]),
  );
  const inner = fc.oneof(
    fc.uint8Array(),
    fc.dictionary(key, value).map((head) => encodePacket(utf8(JSON.stringify(head)))),
  );
  const input: fc.Arbitrary<ChannelsIn> = fc.oneof(
    fc
      .array(inner)
      .map((inners) => ({ type: "received", packets: inners.map((inner) => ({ inner, at: 0 })) }) as const),
    fc.constantFrom<ChannelsIn>({ type: "tick" }, { type: "credit", bytes: 0 }, { type: "credit", bytes: 1e9 }),
  );

  test("never throws, in whatever state", () => {
    fc.assert(
      fc.property(fc.array(input, { maxLength: 60 }), (inputs) => {
        const channels = machine({});
        open(channels, 1, true);
        open(channels, 2, false);
        inputs.forEach((each, i) => {
          channels.handle(each, i * 700);
        });
        channels.handle({ type: "reset", err: "over" }, 1e6);
        expect(channels.deadline()).toBeUndefined();
      }),
    );
  });
});

function machine({ order = 1, limits = {} }: { order?: 0 | 1; limits?: Partial<ChannelLimits> }): Channels {
  let next = 100;
  return new Channels({ order, handles: () => next++, limits });
}

function open(
  channels: Channels,
  ch: number,
  reliable: boolean,
  now = 0,
  head: JsonObject = { type: "test" },
  body: Uint8Array = EMPTY,
): ChannelsOut[] {
  return channels.handle({ type: "open", ch, reliable, head, body }, now);
}

function send(
  channels: Channels,
  ch: number,
  head: JsonObject,
  { end = false, now = 0, body = EMPTY }: { end?: boolean; now?: number; body?: Uint8Array } = {},
): ChannelsOut[] {
  return channels.handle({ type: "send", ch, head, body, end }, now);
}

function receive(channels: Channels, head: JsonObject, now = 0, body: Uint8Array = EMPTY): ChannelsOut[] {
  return channels.handle({ type: "received", packets: [{ inner: encodePacket(head, body), at: 0 }] }, now);
}

/** Lets the machine's own deadlines pass, up to a time. */
function run(channels: Channels, until: number): ChannelsOut[] {
  const out: ChannelsOut[] = [];
  for (let at = channels.deadline(); at !== undefined && at <= until; at = channels.deadline()) {
    out.push(...channels.handle({ type: "tick" }, at));
  }
  return out;
}

function transmit(head: JsonObject): ChannelsOut {
  return { type: "transmit", inner: encodePacket(head), at: 0 };
}

function heads(out: readonly ChannelsOut[]): JsonObject[] {
  return out.flatMap((each) => (each.type === "transmit" ? [{ ...parsePacket(each.inner)?.json }] : []));
}

function lengths(out: readonly ChannelsOut[]): number[] {
  return out.flatMap((each) => (each.type === "transmit" ? [each.inner.length] : []));
}

function isEvent(out: ChannelsOut): boolean {
  return out.type !== "transmit";
}

function events(out: readonly ChannelsOut[]): ChannelsOut[] {
  return out.filter(isEvent);
}

describe("an acknowledgement beside content", () => {
  const asked = (): Channels => {
    const channels = machine({});
    receive(channels, { c: 2, seq: 1, ack: 0, type: "test" });
    return channels;
  };

  test("[E11] leaves with what follows in the turn, though it was asked for at once", () => {
    const channels = asked();
    expect(channels.handle({ type: "took", ch: 100, isFollowed: true }, 0)).toEqual([]);
    expect(heads(send(channels, 100, { n: 1 }))).toEqual([{ c: 2, seq: 1, ack: 1, n: 1 }]);
    expect(channels.deadline()).toBe(1000); // nothing is owed any more
    const alone = asked();
    expect(heads(alone.handle({ type: "took", ch: 100 }, 0))).toEqual([{ c: 2, ack: 1 }]);
  });

  test("[E11] leaves alone where nothing follows, or what follows may not leave", () => {
    const forgotten = asked();
    forgotten.handle({ type: "took", ch: 100, isFollowed: true }, 0);
    expect(forgotten.deadline()).toBe(0);
    expect(heads(forgotten.handle({ type: "tick" }, 0))).toEqual([{ c: 2, ack: 1 }]);
    const blocked = asked();
    blocked.handle({ type: "credit", bytes: 0 }, 0);
    blocked.handle({ type: "took", ch: 100, isFollowed: true }, 0);
    expect(heads(send(blocked, 100, { n: 1 }))).toEqual([{ c: 2, ack: 1 }]);
    const full = asked();
    for (let n = 0; n < 16; n++) send(full, 100, { n });
    full.handle({ type: "took", ch: 100, isFollowed: true }, 0);
    expect(heads(send(full, 100, {}))).toEqual([{ c: 2, ack: 1 }]);
    const missing = asked();
    receive(missing, { c: 2, seq: 3 });
    missing.handle({ type: "took", ch: 100, isFollowed: true }, 0);
    expect(heads(send(missing, 100, { n: 1 }))).toEqual([
      { c: 2, ack: 1, miss: [1, 127] },
      { c: 2, seq: 1, n: 1 },
    ]);
  });

  test("[E12] of a bare end it leaves with our own end, or within 20 ms, or at once when ours has left", () => {
    const answered = asked();
    answered.handle({ type: "took", ch: 100 }, 0);
    expect(heads(receive(answered, { c: 2, seq: 2, ack: 0, end: true }))).toEqual([]);
    expect(heads(send(answered, 100, {}, { end: true }))).toEqual([{ c: 2, seq: 1, ack: 2, end: true }]);
    const slow = asked();
    slow.handle({ type: "took", ch: 100 }, 0);
    receive(slow, { c: 2, seq: 2, ack: 0, end: true });
    expect(slow.deadline()).toBe(20);
    expect(heads(slow.handle({ type: "tick" }, 20))).toEqual([{ c: 2, ack: 2 }]);
    const last = asked();
    last.handle({ type: "took", ch: 100 }, 0);
    send(last, 100, {}, { end: true });
    const out = receive(last, { c: 2, seq: 2, ack: 1, end: true });
    expect(heads(out)).toEqual([{ c: 2, ack: 2 }]);
    expect(events(out)).toContainEqual({ type: "closed", ch: 100, err: undefined });
  });
});

test("what all exchanges hold back for order is bounded together, and comes free with each of them", () => {
  const held = { bytes: 0 };
  const links = Array.from({ length: 10 }, () => {
    let handle = 100;
    return new Channels({ order: 1, handles: () => handle++, limits: { held: 20_000 }, held });
  });
  const far = (link: Channels, seq: number): ChannelsOut[] =>
    link.handle(
      { type: "received", packets: [{ inner: encodePacket({ c: 2, seq }, new Uint8Array(1000)), at: 0 }] },
      0,
    );
  for (const link of links) {
    link.handle({ type: "received", packets: [{ inner: encodePacket({ c: 2, seq: 1, type: "x" }), at: 0 }] }, 0);
    link.handle({ type: "took", ch: 100 }, 0);
    for (let seq = 3; seq < 100; seq++) far(link, seq);
  }
  expect(held.bytes).toBeGreaterThan(18_000);
  expect(held.bytes).toBeLessThan(22_000);
  // What comes in order is taken from everybody, all the same.
  const last = links.at(-1) as Channels;
  expect(far(last, 2).some(({ type }) => type === "packets")).toBe(true);
  last.handle({ type: "took", ch: 100 }, 0);
  for (const link of links) link.handle({ type: "reset", err: "renewed" }, 0);
  expect(held.bytes).toBe(0);
});
