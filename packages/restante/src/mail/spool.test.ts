import { expect, test } from "vitest";
import type { Hashname } from "../crypto/index.ts";
import type { AckReport, AckUnfinished, Announcement } from "./acknowledgement.ts";
import { Spool, type SpoolOut } from "./spool.ts";

const NOW = 1_800_000_000_000;
const PEER = "peer" as Hashname;
const EPOCH = "00".repeat(8);

function spoolWith(parts: readonly number[]): Spool {
  const spool = new Spool({ saved: new Map(), fresh: EPOCH, isKey: () => true });
  spool.handle({ type: "start" }, NOW);
  for (const [i, count] of parts.entries()) {
    const id = i.toString(16).padStart(32, "0");
    const mail = { id, contact: "c", kind: "x", created: NOW, expires: NOW + 1e9, size: 1, parts: count };
    spool.handle({ type: "post", mail, to: [{ peer: PEER, hello: false, partBytes: 1023 }] }, NOW);
  }
  return spool;
}

function acknowledge(
  spool: Spool,
  by: string,
  reports: readonly AckReport[],
  more: { now?: number; keys?: Announcement } = {},
): SpoolOut[] {
  const { now = NOW, keys } = more;
  const acknowledgement = { by, ownEpoch: "11".repeat(8), floor: 1, reports, ...(keys && { keys }) };
  return spool.handle({ type: "acknowledged", peer: PEER, acknowledgement }, now);
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

const BY = "22".repeat(8);
const DAY = 86_400_000;

/** A ring of its own with one key for each number. */
function telling(n: number, ...keys: number[]): Announcement {
  const name = n.toString(16).padStart(16, "0");
  return { ring: name, turn: 1, keys: keys.map((key) => key.toString(16).padStart(8, "0").repeat(8)) };
}

const post = (spool: Spool, id: string, now = NOW): SpoolOut[] => {
  const mail = { id, contact: "c", kind: "x", created: now, expires: now + 14 * DAY, size: 1, parts: 1 };
  return spool.handle({ type: "post", mail, to: [{ peer: PEER, hello: false, partBytes: 1023 }] }, now);
};

test("a peer that tells other keys each minute gets its mail anew at once, then ever more rarely, and it expires in time", () => {
  const spool = spoolWith([]);
  post(spool, "a".repeat(32));
  acknowledge(spool, BY, [], { keys: telling(1, 1) });
  const offered = post(spool, "b".repeat(32)).flatMap((out) => (out.type === "offer" ? out.parcel : []));
  expect(offered).toMatchObject([{ generation: 0, forward: { key: telling(1, 1).keys[0] } }]);
  const times: number[] = [];
  for (let minute = 0; minute < 14 * 24 * 60; minute++) {
    const now = NOW + minute * 60_000;
    const outs = acknowledge(spool, BY, [], { now, keys: telling(minute + 2, minute + 2) });
    while ((spool.deadline() ?? Number.POSITIVE_INFINITY) <= now) outs.push(...spool.handle({ type: "tick" }, now));
    for (const out of outs) {
      if (out.type !== "offer") continue;
      times.push(minute);
      // Always to what was told last, under its own number, and never for the mail that left before there were keys.
      expect(out.parcel).toMatchObject({
        mail: "b".repeat(32),
        seq: 2,
        forward: { key: telling(0, minute + 2).keys[0] },
      });
    }
  }
  expect(times.slice(0, 6)).toEqual([0, 1, 11, 71, 431, 791]);
  expect(times).toHaveLength(4 + Math.floor((14 * 24 * 60 - 72) / 360));
  expect(spool.outbox().map(({ suite }) => suite)).toEqual(["static", "forward"]);
  spool.handle({ type: "tick" }, NOW + 14 * DAY);
  expect(spool.outbox().map(({ state }) => state)).toEqual(["expired", "expired"]);
});

test("what is sealed anew is stopped as it was and offered as it is; a restart between the two changes nothing", () => {
  const saved = new Map<string, Uint8Array>();
  const spool = spoolWith([]);
  const keep = (outs: readonly SpoolOut[]): readonly SpoolOut[] => {
    for (const out of outs) if (out.type === "save" && out.value !== undefined) saved.set(out.key, out.value);
    return outs;
  };
  keep(acknowledge(spool, BY, [], { keys: telling(1, 1) }));
  keep(post(spool, "a".repeat(32)));
  keep(acknowledge(spool, BY, [], { keys: telling(1, 1) }));
  keep(post(spool, "b".repeat(32)));
  const outs = keep(acknowledge(spool, BY, [], { keys: telling(2, 3, 2) }));
  expect(
    outs.flatMap((out) => (out.type === "stop" || out.type === "offer" ? `${out.type} ${out.parcel.generation}` : [])),
  ).toEqual(["stop 0", "offer 1"]);
  const again = new Spool({ saved, fresh: EPOCH, isKey: () => true });
  expect(again.openParcels(PEER)).toEqual(spool.openParcels(PEER));
  expect(again.uses(PEER)).toEqual(telling(0, 3).keys.map((key) => key.slice(0, 16)));
});

test("which keys are in use is told when it changes, also while the floor stands still", () => {
  const spool = spoolWith([]);
  post(spool, "a".repeat(32));
  const floors = (outs: readonly SpoolOut[]) => outs.filter(({ type }) => type === "floor").length;
  const arrived = (...seqs: number[]): AckReport[] => [
    { epoch: EPOCH, floor: 1, ranges: seqs.map((seq) => [seq, seq] as const), unfinished: [] },
  ];
  const id = (n: number): string => (telling(0, n).keys[0] ?? "").slice(0, 16);
  expect(spool.uses(PEER)).toBeUndefined();
  expect(floors(acknowledge(spool, BY, [], { keys: telling(1, 1) }))).toBe(1);
  post(spool, "b".repeat(32));
  expect(spool.uses(PEER)).toEqual([id(1)]);
  expect(floors(acknowledge(spool, BY, [], { keys: telling(2, 2, 1) }))).toBe(1);
  expect(spool.uses(PEER)).toEqual([id(2), id(1)]);
  expect(floors(acknowledge(spool, BY, [], { keys: telling(2, 2, 1) }))).toBe(0);
  // The first mail is not there yet, so the floor cannot move; the second is, and nothing wants the first key any more.
  expect(floors(acknowledge(spool, BY, arrived(2)))).toBe(1);
  expect(spool.next(PEER).floor).toBe(1);
  expect(spool.uses(PEER)).toEqual([id(2)]);
});
