import { expect, test } from "vitest";
import type { Hashname } from "../crypto/index.ts";
import { pageOf } from "../testing/mail-world.ts";
import type { Acknowledgement, AckReport, AckUnfinished, Announcement } from "./acknowledgement.ts";
import type { Marked } from "./marks.ts";
import { Spool, type SpoolOut } from "./spool.ts";

const NOW = 1_800_000_000_000;
const PEER = "peer" as Hashname;
const EPOCH = "00".repeat(8);
const DRAWN = "dd".repeat(8);
const BY = "22".repeat(8);
const DAY = 86_400_000;

function spoolWith(parts: readonly number[]): Spool {
  const spool = new Spool({ saved: new Map(), fresh: EPOCH, draw: () => DRAWN, isKey: () => true });
  spool.handle({ type: "start" }, NOW);
  for (const [i, count] of parts.entries()) {
    const id = i.toString(16).padStart(32, "0");
    const mail = { id, contact: "c", kind: "x", created: NOW, expires: NOW + 1e9, size: 1, parts: count };
    spool.handle({ type: "post", mail, to: [{ peer: PEER, hello: false, partBytes: 1023 }] }, NOW);
  }
  return spool;
}

/** What the spool asks its store for, and is given. */
function answer(spool: Spool, disk: Map<string, Uint8Array>, outs: readonly SpoolOut[], now = NOW): SpoolOut[] {
  const all = [...outs];
  for (const out of all) {
    if (out.type === "save") out.value === undefined ? disk.delete(out.key) : disk.set(out.key, out.value);
    if (out.type !== "list") continue;
    const { req, prefix, after, limit } = out;
    all.push(...spool.handle({ type: "listed", req, pairs: pageOf(disk, prefix, after, limit) }, now));
  }
  return all;
}

/** Begins anew with what is on the disk, and has all of it in memory. */
function restart(
  disk: Map<string, Uint8Array>,
  fresh = EPOCH,
  now = NOW,
  peers = [PEER],
): { spool: Spool; outs: SpoolOut[] } {
  const spool = new Spool({ saved: disk, fresh, draw: () => DRAWN, isKey: () => true });
  const outs = answer(spool, disk, spool.handle({ type: "start" }, now), now);
  for (const peer of peers)
    outs.push(...answer(spool, disk, spool.handle({ type: "join", peer, contact: "c" }, now), now));
  return { spool, outs };
}

function acknowledge(
  spool: Spool,
  by: string,
  reports: readonly AckReport[],
  more: Partial<Pick<Acknowledgement, "keys" | "marked" | "twice" | "read">> & { now?: number } = {},
): SpoolOut[] {
  const { now = NOW, ...rest } = more;
  const acknowledgement = { by, ownEpoch: "11".repeat(8), floor: 1, reports, ...rest };
  return spool.handle({ type: "acknowledged", peer: PEER, acknowledgement }, now);
}

const states = (out: readonly SpoolOut[]): unknown[] =>
  out.flatMap((each) => (each.type === "state" ? [`${each.mail.id.slice(-1)} ${each.entry.state}`] : []));

test("an acknowledgement of more than was ever sent is one of another copy of the store: nothing of it is believed", () => {
  const spool = spoolWith([1, 1, 3]);
  const all = acknowledge(spool, "22".repeat(8), [{ epoch: EPOCH, floor: 1, ranges: [[2, 2 ** 48]], unfinished: [] }]);
  expect(states(all)).toEqual([]);
  expect(all.flatMap((out) => (out.type === "copied" ? out.peer : []))).toEqual([PEER]);
  // All of it goes out again, under numbers that nobody else gives.
  expect(spool.openParcels(PEER).map(({ epoch, seq, floor }) => [epoch, seq, floor])).toEqual([
    [DRAWN, 1, 1],
    [DRAWN, 2, 1],
    [DRAWN, 3, 1],
  ]);
  const mine = [{ epoch: DRAWN, floor: 1, ranges: [[1, 1]], unfinished: [] }] as const;
  expect(states(acknowledge(spool, "22".repeat(8), mine))).toEqual(["0 delivered"]);
  expect(spool.next(PEER)).toMatchObject({ epoch: DRAWN, seq: 4, floor: 2 });
});

test("a store that went back to before an acknowledgement is noticed by the floor that its peer was told since", () => {
  const [spool, sound] = [spoolWith([1, 1, 3]), spoolWith([1, 1, 3])];
  const told = (floor: number, ranges: AckReport["ranges"] = []) => [{ epoch: EPOCH, floor, ranges, unfinished: [] }];
  // What the peer had below its floor it will say of no number again: the mail would be offered until it expires.
  const all = acknowledge(spool, BY, told(3));
  expect(states(all)).toEqual([]);
  expect(all.filter(({ type }) => type === "copied")).toHaveLength(1);
  expect(spool.openParcels(PEER).map(({ epoch, seq }) => [epoch, seq])).toEqual([1, 2, 3].map((seq) => [DRAWN, seq]));

  // A floor that we told passed what was acknowledged, or given up and long over; whatever order acknowledgements come in.
  acknowledge(sound, BY, told(1, [[1, 1]]));
  sound.handle({ type: "cancel", mail: "1".padStart(32, "0") }, NOW);
  for (const floor of [1, 2, 3])
    expect(acknowledge(sound, BY, told(floor)).map(({ type }) => type)).not.toContain("copied");
  expect(sound.openParcels(PEER).map(({ epoch, seq }) => [epoch, seq])).toEqual([[EPOCH, 3]]);
  expect(acknowledge(sound, BY, told(4)).map(({ type }) => type)).toContain("copied");
});

test("a mail is read when the peer that has it says so, once, and not before it is delivered", () => {
  const spool = spoolWith([1, 1, 3]);
  const told = [{ epoch: EPOCH, floor: 1, ranges: [[1, 2]], unfinished: [] }] as const;
  const read = [{ epoch: EPOCH, ranges: [[1, 2 ** 48]] }] as const;
  expect(states(acknowledge(spool, BY, [], { read }))).toEqual([]);
  expect(states(acknowledge(spool, BY, told, { read: [{ epoch: EPOCH, ranges: [[2, 2]] }] }))).toEqual([
    "0 delivered",
    "1 delivered",
    "1 read",
  ]);
  expect(states(acknowledge(spool, BY, told, { read }))).toEqual(["0 read"]);
  expect(states(acknowledge(spool, BY, told, { read }))).toEqual([]);
  expect(spool.outbox().map(({ state }) => state)).toEqual(["read", "read", "queued"]);
  expect(spool.get("0".repeat(32))?.ledger.at(-1)).toEqual({ at: NOW, state: "read", peer: PEER });
});

const marked = (epoch: string, ...marks: (readonly [number, string])[]): readonly Marked[] => [
  { epoch, marks: marks.map(([seq, mark]) => ({ seq, mark })) },
];

test("a mail is not delivered because the number that it has was acknowledged for the mail of another copy", () => {
  const ranges = [{ epoch: EPOCH, floor: 1, ranges: [[1, 2]], unfinished: [] }] as const;
  for (const more of [{ marked: marked(EPOCH, [1, "00000000"], [2, "ffffffff"]) }, { twice: [EPOCH] }]) {
    const spool = spoolWith([1, 1]);
    expect(states(acknowledge(spool, "22".repeat(8), ranges, more))).toEqual([]);
    // An acknowledgement from before it was noticed is no better when it comes late.
    expect(states(acknowledge(spool, "22".repeat(8), ranges))).toEqual([]);
    expect(spool.openParcels(PEER).map(({ epoch, seq }) => [epoch, seq])).toEqual([
      [DRAWN, 1],
      [DRAWN, 2],
    ]);
  }
  const spool = spoolWith([1, 1]);
  expect(states(acknowledge(spool, "22".repeat(8), ranges, { marked: marked(EPOCH, [2, "00000000"]) }))).toEqual([
    "0 delivered",
    "1 delivered",
  ]);
});

test("a new epoch towards one peer is kept over a restart, costs the others none, and comes once an hour at most", () => {
  const disk = new Map<string, Uint8Array>();
  const keep = (outs: readonly SpoolOut[]): readonly SpoolOut[] => {
    for (const out of outs) if (out.type === "save" && out.value !== undefined) disk.set(out.key, out.value);
    return outs;
  };
  let drawn = 0;
  const options = { fresh: EPOCH, draw: () => `${++drawn}`.padStart(16, "0"), isKey: () => true };
  const spool = new Spool({ saved: new Map(), ...options });
  keep(spool.handle({ type: "start" }, NOW));
  keep(post(spool, "a".repeat(32)));
  const evil = (now: number): void => {
    const { epoch } = spool.next(PEER);
    keep(acknowledge(spool, BY, [{ epoch, floor: 1, ranges: [[1, 99]], unfinished: [] }], { now }));
  };
  for (let minute = 0; minute < 120; minute++) evil(NOW + minute * 60_000);
  expect(drawn).toBe(2);
  const { spool: again } = restart(disk);
  expect(again.next(PEER)).toMatchObject({ epoch: "0000000000000002", seq: 2, floor: 1 });
  expect(again.left(PEER)).toEqual([EPOCH, "0000000000000001"]);
  expect(again.openParcels(PEER)).toMatchObject([{ epoch: "0000000000000002", seq: 1, state: "open" }]);
  expect(again.next("other" as Hashname).epoch).toBe(EPOCH);
  // No number of the first epoch is given again, whoever comes back.
  again.handle({ type: "leave", peer: PEER }, NOW);
  expect(again.next(PEER)).toMatchObject({ epoch: EPOCH, seq: 2 });
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
  const { spool: again } = restart(saved);
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

test("after a restart the floor is the lowest open number, also where the clock was set back while mail was queued", () => {
  const spool = new Spool({ saved: new Map(), fresh: EPOCH, draw: () => DRAWN, isKey: () => true });
  const disk = new Map<string, Uint8Array>();
  const give = (input: Parameters<Spool["handle"]>[0], now: number): void => {
    for (const out of spool.handle(input, now))
      if (out.type === "save" && out.value !== undefined) disk.set(out.key, out.value);
  };
  give({ type: "start" }, NOW);
  for (const [i, created] of [NOW, NOW - 3_600_000, NOW - 7_200_000].entries()) {
    const mail = { id: `${i}`.repeat(32), contact: "c", kind: "x", created, expires: NOW + 1e9, size: 1, parts: 1 };
    give({ type: "post", mail, to: [{ peer: PEER, hello: false, partBytes: 1023 }] }, created);
  }
  expect(spool.next(PEER)).toMatchObject({ seq: 4, floor: 1 });
  const { spool: again } = restart(disk, "ff".repeat(8));
  // A floor of 3 would have the peer forget 1 and 2, and drop them when they come.
  expect(again.next(PEER)).toMatchObject({ seq: 4, floor: 1 });
  const all = [{ epoch: EPOCH, floor: 1, ranges: [[1, 1]], unfinished: [] }] as const;
  acknowledge(again, "22".repeat(8), all);
  expect(again.next(PEER).floor).toBe(2);
});

test("of delivered mail the newest 256 stay in memory, the ledgers of the others lie in the store", () => {
  const spool = spoolWith(Array.from({ length: 300 }, () => 1));
  acknowledge(spool, BY, [{ epoch: EPOCH, floor: 1, ranges: [[1, 299]], unfinished: [] }]);
  expect(spool.queued).toBe(1);
  // What may have to be taken back again after a crash is known for as long as that.
  expect(spool.outbox()).toHaveLength(300);
  const outs = spool.handle({ type: "tick" }, NOW + 60_000);
  const ledgers = outs.flatMap((out) => (out.type === "save" && out.key.startsWith("ledger/") ? out.key : []));
  expect(ledgers).toHaveLength(299 - 256);
  expect(ledgers[0]).toBe(`ledger/${"0".repeat(32)}`);
  expect(spool.outbox().map(({ state }) => state)).toEqual([
    ...Array.from({ length: 256 }, () => "delivered"),
    "queued",
  ]);
  expect(spool.next(PEER)).toMatchObject({ seq: 301, floor: 300 });
});

test("of cards, and of what devices tell each other, nothing remains when they are over; of what a user sent a ledger does", () => {
  const disk = new Map<string, Uint8Array>();
  const spool = new Spool({ saved: disk, fresh: EPOCH, draw: () => DRAWN, isKey: () => true });
  const give = (input: Parameters<Spool["handle"]>[0], now: number): void => {
    answer(spool, disk, spool.handle(input, now), now);
  };
  give({ type: "start" }, NOW);
  for (const [i, kind] of ["card", "sync", "text"].entries()) {
    const mail = {
      id: `${i}`.repeat(32),
      contact: "c",
      kind,
      created: NOW,
      expires: NOW + 14 * DAY,
      size: 1,
      parts: 1,
    };
    give({ type: "post", mail, to: [{ peer: PEER, hello: false, partBytes: 1023 }] }, NOW);
  }
  answer(spool, disk, acknowledge(spool, BY, [{ epoch: EPOCH, floor: 1, ranges: [[1, 3]], unfinished: [] }]));
  for (let day = 1; day <= 3; day++) give({ type: "tick" }, NOW + day * DAY);
  expect(spool.outbox()).toEqual([]);
  expect([...disk.keys()].filter((key) => /^(ledger|queue|place|spool)/.test(key))).toEqual([
    `ledger/${"2".repeat(32)}`,
  ]);
});

const HOUR = 3_600_000;

/** A spool with its disk: `restart` reads it anew. One mail of 14 days is open, looked at an hour ago. */
function clockwork() {
  const disk = new Map<string, Uint8Array>();
  let spool = new Spool({ saved: disk, fresh: EPOCH, draw: () => DRAWN, isKey: () => true });
  const at = (now: number, input: Parameters<Spool["handle"]>[0] = { type: "tick" }): unknown[] => {
    return states(answer(spool, disk, spool.handle(input, now), now));
  };
  const mail = {
    id: "a".repeat(32),
    contact: "c",
    kind: "x",
    created: NOW,
    expires: NOW + 14 * DAY,
    size: 1,
    parts: 1,
  };
  at(NOW, { type: "start" });
  at(NOW, { type: "post", mail, to: [{ peer: PEER, hello: false, partBytes: 1023 }] });
  at(NOW + HOUR);
  return {
    at,
    restart(now: number) {
      const again = restart(disk, EPOCH, now);
      spool = again.spool;
      return states(again.outs);
    },
    deadline: () => spool.deadline(),
    isOpen: () => spool.openParcels(PEER).length === 1 && disk.has(`place/${mail.id}`),
    floor: () => spool.next(PEER).floor,
  };
}

test("a clock that leaps ahead ends no mail; set right within the hour, it is as if nothing had been", () => {
  const leap = NOW + 30 * DAY;
  for (const isRestarted of [false, true]) {
    const clock = clockwork();
    expect(isRestarted ? clock.restart(leap) : clock.at(leap)).toEqual([]);
    expect(clock.at(leap)).toEqual([]);
    expect(clock.deadline()).toBe(leap + HOUR);
    expect(clock.at(leap + HOUR - 1)).toEqual([]);
    // A start in between does not take the wrong clock for the right one.
    expect(clock.restart(leap + HOUR - 1)).toEqual([]);
    expect(clock.at(leap + HOUR)).toEqual([]);
    expect([clock.isOpen(), clock.floor()]).toEqual([true, 1]);
    clock.restart(NOW + 2 * HOUR);
    expect(clock.at(NOW + 2 * HOUR)).toEqual([]);
    expect(clock.isOpen()).toBe(true);
    expect(clock.deadline()).toBe(NOW + 14 * DAY);
  }
});

test("whoever was away for long ends what ran out an hour after it is back, whoever was not at once", () => {
  const away = clockwork();
  expect(away.restart(NOW + 20 * DAY)).toEqual([]);
  expect(away.at(NOW + 20 * DAY + HOUR)).toEqual(["a expired"]);
  expect(away.isOpen()).toBe(false);
  const here = clockwork();
  for (let day = 1; day < 14; day++) expect(here.at(NOW + day * DAY)).toEqual([]);
  expect(here.at(NOW + 14 * DAY - 1)).toEqual([]);
  expect(here.restart(NOW + 14 * DAY)).toEqual([]);
  expect(here.at(NOW + 14 * DAY)).toEqual(["a expired"]);
});
