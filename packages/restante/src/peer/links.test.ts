import fc from "fast-check";
import { expect, test } from "vitest";
import { createCrypto, createIdentity, portable } from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { Book } from "./book.ts";
import { Door } from "./door.ts";
import { type Address, Links } from "./links.ts";
import type { Step } from "./step.ts";

const crypto = createCrypto(portable, [cs01()]);
const { random } = new Chance(1);
const [self, carol, dave] = [1, 2, 3].map(() => createIdentity(crypto, random)) as [Identity, Identity, Identity];
type Identity = ReturnType<typeof createIdentity>;

/** Links of a peer with nobody in its book, that finds everybody at one place. */
function make(joining: (peer: Identity) => Partial<Address> | undefined = () => ({})): Links {
  const door = new Door({ crypto, identity: self, saved: new Map(), serves: undefined });
  const paths = [{ type: "mem", name: "somewhere" }];
  return new Links({
    book: new Book(portable, new Map()),
    door,
    joining: (hashname) => {
      const peer = [carol, dave].find((each) => each.hashname === hashname);
      const known = peer && joining(peer);
      return peer && known && { keys: peer.keys, paths, uri: undefined, ...known };
    },
  });
}

/** What the mesh is asked. */
function asked(steps: readonly Step[]): unknown[] {
  return steps.map((step) => {
    if (!("child" in step) || step.child !== "mesh") return step;
    return step.input.type === "want" ? ["want", step.input.peer.hashname, step.input.uri] : step.input;
  });
}

test("a link is wanted as long as one reason for it is left, and given up with the last one, once", () => {
  const reason = fc.constantFrom("own", "contact", "outbox", "join");
  const turns = fc.array(fc.tuple(fc.boolean(), fc.constantFrom(carol, dave), reason), { maxLength: 30 });
  fc.assert(
    fc.property(turns, (all) => {
      const links = make();
      const left = new Set<string>();
      const has = ({ hashname }: Identity): boolean => [...left].some((each) => each.startsWith(hashname));
      for (const [isKept, peer, why] of all) {
        const { hashname } = peer;
        const isLast = left.delete(`${hashname} ${why}`) && !isKept && !has(peer);
        if (isKept) left.add(`${hashname} ${why}`);
        const steps = asked(isKept ? links.keep(hashname, why) : links.letGo(hashname, why));
        if (isKept) expect(steps).toEqual([["want", hashname, undefined]]);
        else expect(steps).toEqual(isLast ? [{ type: "unwant", hashname }] : []);
        for (const each of [carol, dave]) expect(links.isOurs(each.hashname)).toBe(has(each));
      }
    }),
  );
});

test("who cannot be found, or has no address, is not asked for, and is ours all the same", () => {
  for (const address of [undefined, { paths: [] }]) {
    const links = make(() => address);
    expect(links.keep(carol.hashname, "outbox")).toEqual([]);
    expect(links.isOurs(carol.hashname)).toBe(true);
  }
});

test("another URI is another attempt, unless the link is up or nothing is to be done there", () => {
  const links = make((peer) => (peer === carol ? { uri: "link://ours" } : undefined));
  const show = (...uris: string[]): unknown[] => asked(links.show(carol.hashname, uris, 0));
  expect(show("link://1")).toEqual([]); // there is no reason for a link
  expect(asked(links.keep(carol.hashname, "outbox"))).toEqual([["want", carol.hashname, "link://ours"]]);
  expect(show("link://1")).toEqual([]); // as before
  expect(show("link://2")).toEqual([["want", carol.hashname, "link://ours"]]); // its own door has its own URI
  expect(show()).toEqual([]);
  links.changed(carol.hashname, true);
  expect([show("link://3"), links.isUp(carol.hashname)]).toEqual([[], true]);
  links.changed(carol.hashname, false);
  expect(show("link://3")).toHaveLength(1);
});

test("the application hears nothing of links to strangers, and a router's introduction of one moves nothing", () => {
  const links = make();
  expect(links.changed(dave.hashname, true)).toEqual([]);
  expect(links.introduced(dave.hashname)).toEqual([]);
  expect(links.isOurs(dave.hashname)).toBe(false);
});

test("of two URIs that may be good each is shown for a while in turn, until the link is up", () => {
  const links = make();
  links.keep(carol.hashname, "outbox");
  const shown = (now: number): boolean => links.show(carol.hashname, ["link://new", "link://old"], now).length > 0;
  const turns = [0, 10_000, 29_999, 30_000, 40_000, 60_000, 90_000].filter(shown);
  links.changed(carol.hashname, true);
  expect([turns, shown(200_000)]).toEqual([[0, 30_000, 60_000, 90_000], false]);
});
