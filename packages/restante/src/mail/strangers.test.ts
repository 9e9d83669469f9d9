import { expect, test } from "vitest";
import { boxId, messageId } from "../box/index.ts";
import type { Time } from "../bytes/index.ts";
import { createCrypto, createIdentity, type Hashname, type Identity, portable } from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { encodePart, type Part } from "./inner.ts";
import { sealSeeded } from "./seal.ts";
import { Strangers, type StrangersOut } from "./strangers.ts";

const MINUTE = 60_000;
const DAY = 86_400_000;
const crypto = createCrypto(portable, [cs01()]);
const chance = new Chance(1);
const me = createIdentity(crypto, chance.random);
const INVITE = new Uint8Array(16);

class Bench {
  now: Time = 100 * DAY;
  readonly store = new Map<string, Uint8Array>();
  restoredAt: Time = Number.NEGATIVE_INFINITY;
  strangers: Strangers = this.open();

  open(): Strangers {
    this.strangers = new Strangers({
      crypto,
      identity: me,
      boxOf: (sender) => boxId(portable, sender, me.hashname),
      isInvite: (secret) => secret[0] === INVITE[0],
      isBlocked: () => false,
      restoredAt: () => this.restoredAt,
      saved: new Map(this.store),
    });
    return this.strangers;
  }

  from(
    sender: Identity,
    seq: number,
    more: { size?: number; secret?: Uint8Array; to?: Hashname; hello?: false; over?: "direct" } = {},
  ): StrangersOut[] {
    const { size = 4, secret, to = me.hashname, hello = true } = more;
    const type: "cache" | "direct" = more.over ?? "cache";
    const part: Part = {
      head: { from: sender.hashname, to, epoch: "00".repeat(8), seq, part: 0, of: 1, floor: 1 },
      ...(hello && { hello: { card: new Uint8Array(50).fill(seq), ...(secret && { secret }) } }),
      envelope: {
        id: "00".repeat(16),
        after: [],
        time: 0,
        expires: 200 * DAY,
        kind: "text",
        content: new Uint8Array(size).fill(97),
      },
    };
    const inner = encodePart(crypto, 1, sender, part);
    const seeded = { seed: new Uint8Array(32), recipient: me.hashname, generation: 0, inner };
    const bytes = sealSeeded(crypto, sender, me.keys, seeded) ?? new Uint8Array(0);
    const box = boxId(portable, sender.hashname, me.hashname);
    const id = messageId(portable, box, bytes);
    this.now += MINUTE;
    const source = { type, via: me.hashname, box, id } as const;
    const out = this.strangers.handle({ type: "message", source, box, id, bytes }, this.now);
    for (const each of out) {
      if (each.type !== "save") continue;
      if (each.value === undefined) this.store.delete(each.key);
      else this.store.set(each.key, each.value);
    }
    return out;
  }
}

function stranger(): Identity {
  return createIdentity(crypto, chance.random);
}

function types(out: readonly StrangersOut[]): string[] {
  return out.map(({ type }) => type);
}

test("[X27] of a stranger 8 parts and 128 KiB are kept, copies of them once, for 30 days, over restarts", () => {
  const bench = new Bench();
  const [a, b] = [stranger(), stranger()];
  expect(types(bench.from(a, 1))).toEqual(["save", "introduce", "announce", "done"]);
  expect(types(bench.from(a, 1))).toEqual(["done"]);
  for (let seq = 2; seq < 20; seq++) bench.from(a, seq);
  for (let seq = 1; seq < 20; seq++) bench.from(b, seq, { size: 28 * 1024 });
  expect(bench.strangers.requests().map(({ texts }) => texts.length)).toEqual([8, 4]);
  const before = bench.strangers.requests();
  bench.open();
  expect(bench.strangers.requests()).toEqual(before);
  expect(bench.strangers.partsOf(a.hashname).map(({ head }) => head.seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  bench.strangers.handle({ type: "tick" }, bench.now + 31 * DAY);
  expect(bench.strangers.requests()).toEqual([]);
  expect(bench.strangers.deadline()).toBeUndefined();
});

test("when all 32 places are taken, an invite takes the oldest place of one without; nobody else comes in", () => {
  const bench = new Bench();
  const first = stranger();
  bench.from(first, 1);
  for (let i = 1; i < 32; i++) bench.from(stranger(), 1);
  expect(types(bench.from(stranger(), 1))).toEqual(["done"]);
  const invited = stranger();
  expect(types(bench.from(invited, 1, { secret: new Uint8Array(16) }))).toContain("introduce");
  expect(bench.strangers.requests()).toHaveLength(32);
  expect(bench.strangers.has(invited.hashname)).toBe(true);
  expect(bench.strangers.has(first.hashname)).toBe(false);
});

test("a secret of no invite of ours takes nobody's place, and keeps none from somebody with an invite", () => {
  const bench = new Bench();
  for (let i = 0; i < 32; i++) bench.from(stranger(), 1, { secret: new Uint8Array(16).fill(9) });
  expect(types(bench.from(stranger(), 1, { secret: new Uint8Array(16).fill(9) }))).toEqual(["done"]);
  const invited = stranger();
  expect(types(bench.from(invited, 1, { secret: INVITE }))).toContain("introduce");
  expect(bench.strangers.has(invited.hashname)).toBe(true);
});

test("what is over the budget of openings is answered at once, and stays where it is", () => {
  const bench = new Bench();
  const message = (n: number): StrangersOut[] => {
    const source = { type: "cache", via: me.hashname, box: "00".repeat(8), id: `${n}` } as const;
    return bench.strangers.handle(
      { type: "message", source, box: source.box, id: source.id, bytes: new Uint8Array(200) },
      bench.now,
    );
  };
  const answers = Array.from({ length: 30 }, (_, n) => message(n));
  expect(answers.every((out) => out.length === 1 && out[0]?.type === "done")).toBe(true);
  const kept = answers.filter(([out]) => out?.type === "done" && out.keep === true);
  expect(kept).toHaveLength(10);
});

test("a secret that is shown later introduces once more; the user is asked when nobody answered", () => {
  const bench = new Bench();
  const a = stranger();
  bench.from(a, 1);
  expect(types(bench.from(a, 2, { secret: new Uint8Array(16) }))).toContain("introduce");
  const b = stranger();
  expect(types(bench.from(b, 1, { secret: new Uint8Array(16) }))).toEqual(["save", "introduce", "done"]);
  const due = bench.strangers.deadline() ?? 0;
  expect(types(bench.strangers.handle({ type: "tick" }, due))).toEqual(["announce"]);
  // A copy asks again: the answer may have been lost in a crash.
  expect(types(bench.from(b, 1, { secret: new Uint8Array(16) }))).toEqual(["done", "introduce"]);
});

test("a hello to somebody else, and one that is none, are not kept", () => {
  const bench = new Bench();
  expect(types(bench.from(stranger(), 1, { to: stranger().hashname }))).toEqual(["done"]);
  const source = { type: "direct", via: "stranger" as Hashname, box: "", id: "" } as const;
  const out = bench.strangers.handle(
    { type: "message", source, box: "00".repeat(8), id: "", bytes: new Uint8Array(2000) },
    bench.now,
  );
  expect(types(out)).toEqual(["done"]);
  expect(bench.strangers.requests()).toEqual([]);
  expect(bench.strangers.refused).toBe(2);
});

test("after a restore what is no hello stays where it is, for 30 days or until the box is a contact's; then it is asked for", () => {
  const bench = new Bench();
  const [bob, eve] = [stranger(), stranger()];
  expect(bench.from(bob, 1, { hello: false })).toMatchObject([{ type: "done" }]);
  expect(bench.from(bob, 2, { hello: false })).not.toMatchObject([{ keep: true }]);
  bench.restoredAt = bench.now;
  expect(bench.from(bob, 3, { hello: false })).toMatchObject([{ type: "done", keep: true }]);
  expect(bench.from(bob, 3, { hello: false })).toMatchObject([{ type: "done", keep: true }]);
  // What came over a link lies nowhere.
  expect(bench.from(eve, 1, { hello: false, over: "direct" })).not.toMatchObject([{ keep: true }]);
  expect(bench.strangers.unknown).toBe(1);
  bench.from(eve, 2);
  bench.from(bob, 4);
  expect(bench.strangers.requests().map(({ hashname, before }) => [hashname, before])).toEqual([
    [eve.hashname, undefined],
    [bob.hashname, true],
  ]);
  const box = (of: Identity): string => boxId(portable, of.hashname, me.hashname);
  expect(bench.strangers.handle({ type: "known", box: box(eve) }, bench.now)).toEqual([]);
  expect(bench.strangers.handle({ type: "known", box: box(bob) }, bench.now)).toEqual([
    { type: "again", box: box(bob) },
  ]);
  expect(bench.strangers.handle({ type: "known", box: box(bob) }, bench.now)).toEqual([]);
  bench.from(bob, 5, { hello: false });
  expect(bench.strangers.unknown).toBe(1);
  bench.now += 30 * DAY;
  bench.strangers.handle({ type: "tick" }, bench.now);
  expect(bench.strangers.unknown).toBe(0);
  expect(bench.from(bob, 5, { hello: false })).not.toMatchObject([{ keep: true }]);
});

test("mail of 256 people is counted after a restore; that of more stays as well, and what nobody sealed for us is junk as ever", () => {
  const bench = new Bench();
  bench.restoredAt = bench.now;
  const source = { type: "cache", via: me.hashname, box: "00".repeat(8), id: "1" } as const;
  const rubbish = { type: "message", source, box: source.box, id: "1", bytes: new Uint8Array(200) } as const;
  expect(bench.strangers.handle(rubbish, bench.now)).toEqual([{ type: "done", source }]); // there is room for it
  const again = (of: Identity): StrangersOut[] => {
    return bench.strangers.handle({ type: "known", box: boxId(portable, of.hashname, me.hashname) }, bench.now);
  };
  for (let i = 0; i < 256; i++) expect(bench.from(stranger(), 1, { hello: false })).toMatchObject([{ keep: true }]);
  const late = stranger();
  expect(again(late)).toEqual([]);
  expect(bench.from(late, 1, { hello: false })).toMatchObject([{ type: "done", keep: true }]);
  expect(bench.from(late, 1, { hello: false })).toMatchObject([{ type: "done", keep: true }]);
  expect(bench.strangers.unknown).toBe(256);
  expect(again(late)).toMatchObject([{ type: "again" }]);
  bench.now += 30 * DAY;
  bench.strangers.handle({ type: "tick" }, bench.now);
  expect(again(late)).toEqual([]);
});
