import { expect, test } from "vitest";
import { toHex } from "../bytes/index.ts";
import { encodeCard, type Path, parseCard } from "../card/index.ts";
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
function make(saved: Map<string, Uint8Array>, paths = HOME, book = new Book(portable, new Map())): OwnCard {
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
    devices: { others: () => [] },
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
