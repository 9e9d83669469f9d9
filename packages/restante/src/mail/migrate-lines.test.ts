import { describe, expect, test } from "vitest";
import { asJson, ofJson } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { pageOf } from "../testing/mail-world.ts";
import { queueToLines } from "./migrate-lines.ts";
import { Spool, type SpoolOut } from "./spool.ts";

const NOW = 1_800_000_000_000;
const DAY = 86_400_000;
const EPOCH = "00".repeat(8);
const PEER = "peer" as Hashname;

/** A store as version 1 left it: number 2 is delivered, 4 ended, and the clock was set back between 1 and 3. */
function old(): Map<string, Uint8Array> {
  const parcel = {
    peer: PEER,
    epoch: EPOCH,
    floor: 1,
    generation: 0,
    hello: false,
    partBytes: 1023,
    copies: [],
    offers: 0,
  };
  const mail = (
    seq: number,
    created: number,
    more: { state?: string; ledger?: object[]; leftover?: number; of?: number } = {},
  ) => {
    const { state = "open", ledger = [], leftover, of = 1 } = more;
    const id = String(seq).repeat(32);
    return asJson({
      ...{ id, contact: "c", kind: of > 1 ? "file" : "text", created, expires: NOW + DAY, size: 5, parts: of },
      ledger: [{ at: created, state: "queued" }, ...ledger],
      parcels: [{ ...parcel, mail: id, seq, of, expires: NOW + DAY, state }],
      ...(leftover !== undefined && { leftover }),
    });
  };
  return new Map<string, Uint8Array>([
    ["mail/epoch", asJson({ epoch: EPOCH, first: 1 })],
    ["mail/out/peer", asJson({ epoch: EPOCH, next: 6 })],
    [`mail/queue/${"1".repeat(32)}`, mail(1, NOW)],
    [
      `mail/queue/${"2".repeat(32)}`,
      mail(2, NOW + 1, { state: "acknowledged", ledger: [{ at: NOW, state: "delivered" }], leftover: 0 }),
    ],
    [`mail/queue/${"3".repeat(32)}`, mail(3, NOW - DAY)],
    [
      `mail/queue/${"4".repeat(32)}`,
      mail(4, NOW + 2, { state: "stopped", ledger: [{ at: NOW, state: "cancelled" }], leftover: 0 }),
    ],
    [`mail/queue/${"5".repeat(32)}`, mail(5, NOW + 3, { of: 4 })],
  ]);
}

describe("mail of version 1", () => {
  test("stands in lines, and goes on under its numbers, with the floor that it had", () => {
    const disk = old();
    for (const { key, value } of queueToLines(disk)) value === undefined ? disk.delete(key) : disk.set(key, value);
    expect([...disk.keys()].filter((key) => key.startsWith("mail/queue/"))).toEqual([]);
    expect(ofJson(disk.get("mail/line/c") ?? asJson({}))).toMatchObject({
      open: 3,
      text: { kept: 4 },
      file: { kept: 1 },
    });
    const spool = new Spool({ saved: disk, fresh: EPOCH, draw: () => EPOCH, isKey: () => true });
    expect(spool.queued).toBe(3);
    // Before it is read nothing of it may be forgotten.
    expect(spool.next(PEER)).toMatchObject({ seq: 6, floor: 1 });
    const queue: SpoolOut[] = spool.handle({ type: "start" }, NOW);
    queue.push(...spool.handle({ type: "join", peer: PEER, contact: "c" }, NOW));
    for (const out of queue) {
      if (out.type !== "list") continue;
      const pairs = pageOf(disk, out.prefix, out.after, out.limit);
      queue.push(...spool.handle({ type: "listed", req: out.req, pairs }, NOW));
    }
    expect(spool.openParcels(PEER).map(({ seq, of }) => [seq, of])).toEqual([
      [1, 1],
      [3, 1],
      [5, 4],
    ]);
    expect(queue.flatMap((out) => (out.type === "offer" ? out.parcel.seq : [])).sort()).toEqual([1, 3, 5]);
    expect(spool.next(PEER)).toMatchObject({ seq: 6, floor: 1 });
    expect(
      spool
        .outbox()
        .map(({ state }) => state)
        .sort(),
    ).toEqual(["cancelled", "delivered", "queued", "queued", "queued"]);
  });

  test("is nothing to do in a store without any", () => {
    const disk = new Map([["mail/epoch", asJson({ epoch: EPOCH, first: 1 })]]);
    expect(queueToLines(disk)).toEqual([]);
  });
});
