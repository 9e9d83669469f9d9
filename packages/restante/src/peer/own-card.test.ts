import { expect, test } from "vitest";
import { toHex } from "../bytes/index.ts";
import { type Device, encodeCard, type Path, parseCard } from "../card/index.ts";
import { createCrypto, createIdentity, portable } from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { Book } from "./book.ts";
import { Door } from "./door.ts";
import { OwnCard } from "./own-card.ts";
import type { Step } from "./step.ts";

const crypto = createCrypto(portable, [cs01()]);
const { random } = new Chance(1);
const [identity, reader, friend] = [1, 2, 3].map(() => createIdentity(crypto, random)) as [Whoever, Whoever, Whoever];
type Whoever = ReturnType<typeof createIdentity>;
const HOME: Path[] = [{ type: "mem", name: "home" }];

/** A card after a restart with this on the disk. */
function make(
  saved: Map<string, Uint8Array>,
  paths = HOME,
  book = new Book(portable, new Map()),
  others: readonly Device[] = [],
): OwnCard {
  const door = new Door({ crypto, identity, saved: new Map(), serves: undefined });
  return new OwnCard({
    crypto,
    identity,
    random,
    saved,
    paths,
    name: "alice",
    book,
    door,
    devices: { others: () => [...others] },
  });
}

/** Puts on the disk what is to be saved, and gives whom the card goes to. */
function carryOut(steps: readonly Step[], saved: Map<string, Uint8Array>): unknown[] {
  return steps.flatMap((step): unknown[] => {
    if (!("child" in step)) {
      if (step.type === "save" && step.value !== undefined) saved.set(step.key, step.value);
      return [];
    }
    return step.child === "mail" && step.input.type === "send" ? [step.input.contact] : [step];
  });
}

test("the card keeps its id over restarts, and its version as long as nothing in it changes", () => {
  const saved = new Map<string, Uint8Array>();
  const first = make(saved);
  expect(carryOut(first.check(), saved)).toEqual([]);
  expect(saved.size).toBe(1);
  expect([first.for(reader.hashname).version, first.check()]).toEqual([1, []]);
  for (let i = 0; i < 3; i++) {
    const again = make(saved);
    expect(again.check()).toEqual([]);
    expect([toHex(again.id), again.for(reader.hashname).version]).toEqual([toHex(first.id), 1]);
  }
});

test("a changed address is a new version, for every contact, and told once", () => {
  const saved = new Map<string, Uint8Array>();
  const book = new Book(portable, new Map());
  const card = new Uint8Array(16).fill(5);
  const { hashname, keys } = friend;
  book.add({ hashname, keys, paths: HOME, caches: [], card, secret: undefined });
  expect(carryOut(make(saved, HOME, book).check(), saved)).toEqual([]); // the first one goes with the first mail
  const moved = make(saved, [{ type: "mem", name: "elsewhere" }], book);
  expect(carryOut(moved.check(), saved)).toEqual([toHex(card)]);
  expect(moved.check()).toEqual([]);
  expect(moved.for(reader.hashname)).toMatchObject({ version: 2, by: identity.hashname, name: "alice" });
  const bytes = encodeCard(moved.for(reader.hashname));
  expect(parseCard(portable, bytes)?.peers[0]?.paths).toEqual([{ type: "mem", name: "elsewhere" }]);
});

test("when a contact speaks of another copy of our store, the card goes out above all versions of that one, once a day", () => {
  const saved = new Map<string, Uint8Array>();
  const book = new Book(portable, new Map());
  const card = new Uint8Array(16).fill(5);
  const { hashname, keys } = friend;
  const own = make(saved, HOME, book);
  const now = 1_800_000_000_000;
  expect(own.copied(now)).toEqual([]); // nobody has a card of ours
  own.check();
  book.add({ hashname, keys, paths: HOME, caches: [], card, secret: undefined });
  expect(carryOut(own.copied(now), saved)).toEqual([toHex(card)]);
  expect(own.version).toBe(1_800_000_001);
  for (const later of [now, now + 3_600_000, now + 86_000_000, now - 1e12]) expect(own.copied(later)).toEqual([]);
  expect(make(saved, HOME, book).version).toBe(1_800_000_001);
  expect(carryOut(own.copied(now + 86_402_000), saved)).toEqual([toHex(card)]);
  expect(own.version).toBe(1_800_086_403);
});

test("devices with more caches than a card has room for: each keeps some, and how many are left out is told", () => {
  const cache = (): Device["caches"][number] => {
    const { hashname, keys } = createIdentity(crypto, random);
    return { hashname, keys, paths: HOME, key: random(32), cap: 9, quota: 10, store: "s".repeat(64) };
  };
  const others = Array.from({ length: 15 }, (): Device => {
    const { hashname, keys } = createIdentity(crypto, random);
    return { hashname, keys, paths: HOME, caches: Array.from({ length: 8 }, cache), at: 1 };
  });
  const few = make(new Map(), HOME, undefined, others.slice(0, 2));
  expect([few.leftOut, few.for(reader.hashname).peers.flatMap(({ caches }) => caches).length]).toEqual([0, 16]);
  const many = make(new Map(), HOME, undefined, others);
  const card = many.for(reader.hashname);
  expect(encodeCard(card).length).toBeLessThanOrEqual(32_768);
  expect(card.peers).toHaveLength(16);
  expect(
    new Set(card.peers.slice().map(({ hashname, caches }) => (hashname === identity.hashname ? 2 : caches.length))),
  ).toEqual(new Set([4, 2]));
  expect(many.leftOut).toBe(15 * 4);
});
