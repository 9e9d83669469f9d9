import { expect, test } from "vitest";
import type { Hashname } from "../crypto/index.ts";
import type { AckReport, AckUnfinished } from "./acknowledgement.ts";
import { Spool, type SpoolOut } from "./spool.ts";

const NOW = 1_800_000_000_000;
const PEER = "peer" as Hashname;
const EPOCH = "00".repeat(8);

function spoolWith(parts: readonly number[]): Spool {
  const spool = new Spool({ saved: new Map(), fresh: EPOCH });
  spool.handle({ type: "start" }, NOW);
  for (const [i, count] of parts.entries()) {
    const id = i.toString(16).padStart(32, "0");
    const mail = { id, contact: "c", kind: "x", created: NOW, expires: NOW + 1e9, size: 1, parts: count };
    spool.handle({ type: "post", mail, to: [{ peer: PEER, hello: false, partBytes: 1023 }] }, NOW);
  }
  return spool;
}

function acknowledge(spool: Spool, by: string, reports: readonly AckReport[]): SpoolOut[] {
  const acknowledgement = { by, ownEpoch: "11".repeat(8), floor: 1, reports };
  return spool.handle({ type: "acknowledged", peer: PEER, acknowledgement }, NOW);
}

const states = (out: readonly SpoolOut[]): unknown[] =>
  out.flatMap((each) => (each.type === "state" ? [`${each.mail.id.slice(-1)} ${each.entry.state}`] : []));

test("an acknowledgement of more than was ever sent counts for what was sent", () => {
  const spool = spoolWith([1, 1, 3]);
  const all = acknowledge(spool, "22".repeat(8), [{ epoch: EPOCH, floor: 1, ranges: [[2, 2 ** 48]], unfinished: [] }]);
  expect(states(all)).toEqual(["1 delivered", "2 delivered"]);
  // Nothing is delivered before it is written.
  const next = { id: "f".repeat(32), contact: "c", kind: "x", created: NOW, expires: NOW + 1e9, size: 1, parts: 1 };
  const posted = spool.handle({ type: "post", mail: next, to: [{ peer: PEER, hello: false, partBytes: 9 }] }, NOW);
  const [offer] = posted.filter((out) => out.type === "offer");
  expect(offer && spool.hasPart(offer.parcel, 0)).toBe(false);
});

test("what acknowledgements say of numbers that we never gave is not kept", () => {
  const spool = spoolWith([1, 3]);
  let longest = 0;
  for (let by = 0; by < 4; by++)
    for (let n = 0; n < 16; n++) {
      const unfinished = Array.from(
        { length: 4 },
        (_, i): AckUnfinished => ({ seq: 1 + 4 * n + i, missing: 0, bitmap: new Uint8Array(128).fill(0x55) }),
      );
      const ranges = Array.from({ length: 500 }, (_, i) => [1000 * n + 2 * i + 100, 1000 * n + 2 * i + 100] as const);
      const reports = [EPOCH, "33".repeat(8), `${n % 8}${n % 8}`.repeat(8)].map((epoch, i) => ({
        epoch: i === 2 && epoch === EPOCH ? "44".repeat(8) : epoch,
        floor: 1,
        ranges,
        unfinished,
      }));
      const outs = acknowledge(spool, `${by + 5}${by + 5}`.repeat(8), reports);
      for (const out of outs)
        if (out.type === "save" && out.key.startsWith("mail/out/")) longest = Math.max(longest, out.value?.length ?? 0);
    }
  expect(longest).toBeGreaterThan(0);
  expect(longest).toBeLessThan(32_000);
});
