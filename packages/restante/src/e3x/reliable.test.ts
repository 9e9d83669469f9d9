import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeMiss, type Incoming, type Outgoing, parseMiss, ReliableReceiver, ReliableSender } from "./reliable.ts";

const EMPTY = new Uint8Array(0);

describe("miss", () => {
  test("[E11] is a list of deltas from ack whose last entry tells the window", () => {
    // The example of reliable.md.
    expect(encodeMiss(78231, [78235, 78236, 78238, 78245], 20)).toEqual([4, 1, 2, 7, 6]);
    expect(parseMiss(78231, [4, 1, 2, 7, 6])).toEqual({ seqs: [78235, 78236, 78238, 78245], window: 20 });
    expect(parseMiss(7, [100])).toEqual({ seqs: [], window: 100 });
  });

  test("anything that is not a short list of whole numbers says nothing", () => {
    for (const value of [undefined, null, 5, "1", {}, [], [1.5], [-1, 3], ["1"], [1, null], [2 ** 40], [2n ** 60n]]) {
      expect(parseMiss(0, value)).toBeUndefined();
    }
    expect(
      parseMiss(
        0,
        Array.from({ length: 1025 }, () => 1),
      ),
    ).toBeUndefined();
  });

  test("parse undoes encode", () => {
    fc.assert(
      fc.property(fc.nat(), fc.uniqueArray(fc.integer({ min: 1, max: 128 })), (ack, offsets) => {
        const seqs = offsets.sort((a, b) => a - b).map((offset) => ack + offset);
        expect(parseMiss(ack, encodeMiss(ack, seqs, 128))).toEqual({ seqs, window: 128 });
      }),
    );
  });
});

describe("a reliable sender", () => {
  test("[E11] numbers from 1 and keeps a packet until it is acknowledged", () => {
    const sender = filled(3);
    expect(flush(sender, 0)).toEqual([1, 2, 3]);
    expect(sender.acknowledge(2, undefined, 10)).toBe(2);
    expect(sender.unacked).toBe(1);
    expect(sender.acknowledge(3, undefined, 10)).toBe(1);
    expect([sender.unacked, sender.bytes, sender.deadline]).toEqual([0, 0, undefined]);
  });

  test("an ack that is old, or of what never left, changes nothing", () => {
    const sender = filled(20);
    flush(sender, 0); // the congestion window lets 16 pass
    expect(sender.acknowledge(17, undefined, 1)).toBe(0);
    expect(sender.acknowledge(10, undefined, 1)).toBe(10);
    expect(sender.acknowledge(9, { seqs: [12], window: 1 }, 1)).toBe(0);
    expect(flush(sender, 2)).toEqual([17, 18, 19, 20]);
  });

  test("on a path that TCP carries, a first acknowledgement after 1.5 s has nothing sent again, and none in 4 s one packet", () => {
    const sender = filled(40, true);
    expect(flush(sender, 0)).toHaveLength(40);
    const again: number[] = [];
    const pass = (until: number): void => {
      for (let at = sender.deadline; at !== undefined && at <= until; at = sender.deadline) {
        sender.expire(at);
        again.push(...flush(sender, at));
      }
    };
    pass(1_500);
    sender.acknowledge(10, { seqs: [], window: 128 }, 1_500);
    pass(3_999);
    expect(again).toEqual([]);
    pass(4_000);
    expect(again).toEqual([11]);
    pass(7_999);
    expect(again).toEqual([11]);
    sender.setPath(false);
    pass(9_000);
    expect(again.length).toBeGreaterThan(1);
  });

  test("[E11] sends a missing packet again at once, and then at most once per second", () => {
    const sender = filled(5);
    flush(sender, 0);
    const miss = { seqs: [2, 4], window: 128 };
    sender.acknowledge(1, miss, 60);
    expect(flush(sender, 60)).toEqual([2, 4]);
    for (const now of [70, 500, 1059]) {
      sender.acknowledge(1, miss, now);
      expect(flush(sender, now)).toEqual([]);
    }
    sender.acknowledge(1, { seqs: [2], window: 128 }, 1060);
    expect(flush(sender, 1060)).toEqual([2]);
  });

  test("a miss of what never left, or is acknowledged, is not answered", () => {
    const sender = filled(20);
    flush(sender, 0);
    sender.acknowledge(3, { seqs: [3, 17, 18, 99], window: 128 }, 60);
    expect(flush(sender, 60)).toEqual([17, 18, 19, 20]); // for the first time
  });

  test("[E11] without an answer asks with the oldest packet after 1 s, then 2 s, then every 4 s", () => {
    const sender = filled(5);
    flush(sender, 0);
    const asked: number[] = [];
    for (let now = sender.deadline; now !== undefined && now < 20_000; now = sender.deadline) {
      sender.expire(now);
      expect(flush(sender, now)).toEqual([1]);
      asked.push(now);
    }
    expect(asked).toEqual([1000, 3000, 7000, 11_000, 15_000, 19_000]);
  });

  test("sends a lost flight again once an answer shows that it was lost", () => {
    const sender = filled(16);
    flush(sender, 0);
    sender.expire(1000);
    expect(flush(sender, 1000)).toEqual([1]);
    sender.acknowledge(1, undefined, 1050);
    expect(flush(sender, 1050)).toEqual([2, 3, 4, 5]); // the window is small again
    sender.acknowledge(5, undefined, 1100);
    expect(flush(sender, 1100)).toEqual([6, 7, 8, 9, 10, 11, 12, 13]);
  });

  test("asks with the oldest packet even when what it takes for lost waits for the window", () => {
    const sender = filled(16);
    flush(sender, 0);
    sender.expire(1000);
    flush(sender, 1000);
    sender.acknowledge(1, undefined, 1050);
    expect(flush(sender, 1050)).toEqual([2, 3, 4, 5]);
    sender.acknowledge(1, { seqs: [2], window: 128 }, 1100); // and 2 was lost again
    expect(flush(sender, 1100)).toEqual([]);
    sender.expire(sender.deadline ?? 0);
    expect(flush(sender, 2050)).toEqual([2]);
  });

  test("sends nothing but the question again when the other side is only slow", () => {
    const sender = filled(16);
    flush(sender, 0);
    sender.expire(1000);
    expect(flush(sender, 1000)).toEqual([1]);
    sender.acknowledge(0, { seqs: [], window: 128 }, 1050);
    sender.acknowledge(3, undefined, 1060);
    expect(flush(sender, 1060)).toEqual([]);
  });

  test("[E11] never sends beyond ack plus window", () => {
    const sender = filled(40);
    expect(flush(sender, 0).at(-1)).toBe(16);
    sender.acknowledge(16, { seqs: [], window: 5 }, 50);
    expect(flush(sender, 50)).toEqual([17, 18, 19, 20, 21]);
    sender.acknowledge(17, undefined, 100); // the window is kept in mind
    expect(flush(sender, 100)).toEqual([22]);
  });

  test("asks for an acknowledgement with the first, the last, a repeated packet and one that fills the window", () => {
    const sender = filled(20);
    const asked: number[] = [];
    for (let next = sender.next(0); next !== undefined; next = sender.next(0)) if (next.asks) asked.push(next.seq);
    expect(asked).toEqual([1, 16]);
    sender.acknowledge(16, { seqs: [], window: 128 }, 50);
    sender.push(outgoing(true));
    for (let next = sender.next(50); next !== undefined; next = sender.next(50)) if (next.asks) asked.push(next.seq);
    expect(asked).toEqual([1, 16, 21]);
    sender.acknowledge(16, { seqs: [18], window: 128 }, 100);
    expect(sender.next(100)).toMatchObject({ seq: 18, asks: true });
  });
});

describe("a reliable receiver", () => {
  test("[E11] gives packets in order and each once", () => {
    const receiver = new ReliableReceiver();
    const got: number[] = [];
    for (const seq of [2, 1, 1, 4, 4, 3, 2, 5]) got.push(...accept(receiver, seq));
    expect(got).toEqual([1, 2, 3, 4, 5]);
  });

  test("[E11] acknowledges what the application took, not what arrived", () => {
    const receiver = new ReliableReceiver();
    for (const seq of [1, 2, 3]) accept(receiver, seq);
    expect(receiver.taken).toBe(0);
    expect([receiver.take(0), receiver.take(0), receiver.taken]).toEqual([true, true, 2]);
    expect([receiver.take(0), receiver.take(0), receiver.taken]).toEqual([true, false, 3]);
    expect(receiver.bytes).toBe(0);
  });

  test("[E11] tells what is missing, and the limit beyond which it drops", () => {
    const receiver = new ReliableReceiver();
    for (const seq of [1, 2, 5, 8]) accept(receiver, seq);
    receiver.take(0);
    expect(parseMiss(receiver.taken, receiver.miss())).toEqual({ seqs: [3, 4, 6, 7], window: 128 });
    expect(accept(receiver, 130)).toEqual([]); // beyond 1 + 128: dropped, so it is not the highest either
    expect(parseMiss(receiver.taken, receiver.miss())?.seqs).toEqual([3, 4, 6, 7]);
  });

  test("[E11] adds a miss for holes, for a buffer more than half full, and once when the channel has become a long one", () => {
    const receiver = new ReliableReceiver();
    accept(receiver, 1);
    expect(receiver.needsMiss).toBe(false);
    accept(receiver, 3);
    expect(receiver.needsMiss).toBe(true);
    for (let seq = 2; seq <= 64; seq++) accept(receiver, seq);
    expect(receiver.needsMiss).toBe(false);
    accept(receiver, 65);
    expect(receiver.needsMiss).toBe(true);
    for (let seq = 1; seq <= 7; seq++) receiver.take(0);
    expect(receiver.needsMiss).toBe(false);
    receiver.take(0);
    expect(receiver.needsMiss).toBe(true);
    receiver.acknowledged(true);
    receiver.take(0);
    expect(receiver.needsMiss).toBe(false);
  });

  test("[E11] acknowledges every second packet at once, a single one after 20 ms, and at once when asked", () => {
    const receiver = new ReliableReceiver();
    accept(receiver, 1, 100);
    expect(receiver.deadline).toBe(120);
    receiver.take(105);
    expect(receiver.deadline).toBe(120);
    accept(receiver, 2, 110);
    receiver.take(110);
    expect(receiver.deadline).toBe(110);
    receiver.acknowledged(false);
    expect(receiver.deadline).toBeUndefined();
    accept(receiver, 3, 200, true);
    expect(receiver.deadline).toBe(220); // the application has it; should it not take it, that is to be told
    receiver.take(205);
    expect(receiver.deadline).toBe(205);
    receiver.acknowledged(false);
    accept(receiver, 2, 300, true); // a repeated one: our acknowledgement was lost
    expect(receiver.deadline).toBe(300);
  });

  test("holds nothing for which there is no room, and takes it when it comes again", () => {
    const receiver = new ReliableReceiver();
    expect(receiver.accept(1, incoming(1, 1000), false, 999, 0)).toEqual([]);
    expect(receiver.bytes).toBe(0);
    expect(receiver.accept(1, incoming(1, 1000), false, 1000, 0)).toHaveLength(1);
    expect(receiver.bytes).toBe(1000);
  });

  test("ignores what is numbered beyond the end, and takes a bare end itself", () => {
    const receiver = new ReliableReceiver();
    accept(receiver, 4);
    accept(receiver, 1);
    receiver.accept(3, { ...incoming(3), end: true, isBare: true }, false, 1e6, 0);
    expect(accept(receiver, 2)).toEqual([2, 3]);
    expect(accept(receiver, 4)).toEqual([]);
    expect(receiver.isEnded).toBe(true);
    receiver.take(0);
    receiver.take(0);
    expect([receiver.taken, receiver.owed, receiver.bytes]).toEqual([3, 0, 0]);
    expect(receiver.isDrained).toBe(false);
    receiver.acknowledged(false);
    expect(receiver.isDrained).toBe(true);
  });

  test("copies what it holds back", () => {
    const receiver = new ReliableReceiver();
    const body = new Uint8Array([7]);
    receiver.accept(2, { ...incoming(2), body }, false, 1e6, 0);
    body[0] = 0;
    expect(receiver.accept(1, incoming(1), false, 1e6, 0)[1]?.body).toEqual(new Uint8Array([7]));
  });
});

function outgoing(end = false): Outgoing {
  return { fields: EMPTY, body: EMPTY, end };
}

function filled(count: number, isPaced = false): ReliableSender {
  const sender = new ReliableSender(isPaced);
  for (let i = 0; i < count; i++) sender.push(outgoing());
  return sender;
}

/** The seqs that leave. */
function flush(sender: ReliableSender, now: number): number[] {
  const seqs: number[] = [];
  for (let next = sender.next(now); next !== undefined; next = sender.next(now)) seqs.push(next.seq);
  return seqs;
}

function incoming(n: number, size = 100): Incoming {
  return { head: { n }, body: EMPTY, end: false, isBare: false, size };
}

/** The seqs that are given. */
function accept(receiver: ReliableReceiver, seq: number, now = 0, asks = false): number[] {
  return receiver.accept(seq, incoming(seq), asks, 1e6, now).map((packet) => Number(packet.head["n"]));
}
