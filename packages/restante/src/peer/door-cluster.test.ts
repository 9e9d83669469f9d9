import { expect, test } from "vitest";
import { admissionUri, type JoinAnswer, type Path, parseJoinAnswer, parseJoinLink } from "../card/index.ts";
import { createCrypto, createIdentity, type Identity, portable } from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { Door } from "./door.ts";

const crypto = createCrypto(portable, [cs01()]);
const { random } = new Chance(1);
const identity = (): Identity => createIdentity(crypto, random);
const NOW = 1_800_000_000_000;
const PATHS: Path[] = [{ type: "mem", name: "carol" }];

function cacheOf(owner: Identity, secret?: Uint8Array): Door {
  const serves = { cap: 1 << 20, quota: 1 << 24, ...(secret && { secret }) };
  return new Door({ crypto, identity: owner, saved: new Map(), serves });
}

/** Joins the cache, whose answer may be changed on the way. */
function join(door: Door, self: Identity, cache: Door, owner: Identity, change: Partial<JoinAnswer> = {}): void {
  const link = parseJoinLink(cache.joinLink(PATHS));
  const uri = admissionUri(link?.token ?? new Uint8Array(0));
  const answer = parseJoinAnswer(cache.joinAnswer(uri, self.hashname, NOW)?.head);
  if (answer === undefined) throw new Error("not admitted");
  door.join({ ...answer, ...change, keys: owner.keys, paths: PATHS });
}

test("nodes with one secret are one failure domain in a card; one that only claims the name is its own", () => {
  const [alice, carol, dave, eve] = [identity(), identity(), identity(), identity()];
  const secret = random(32);
  const door = new Door({ crypto, identity: alice, saved: new Map(), serves: undefined });
  join(door, alice, cacheOf(carol, secret), carol);
  const name = door.cachesFor(alice.hashname)[0]?.store ?? "";
  join(door, alice, cacheOf(dave, secret), dave);
  join(door, alice, cacheOf(eve), eve, { store: name });
  const stores = door.cachesFor(alice.hashname).map(({ store }) => store);
  expect(stores).toEqual([name, name, eve.hashname.slice(0, 16)]);
});

test("what one node of a cluster let in, each of them lets in; another cluster does not", () => {
  const [alice, bob, carol, dave] = [identity(), identity(), identity(), identity()];
  const secret = random(32);
  const door = new Door({ crypto, identity: alice, saved: new Map(), serves: undefined });
  join(door, alice, cacheOf(carol, secret), carol);
  const uri = door.cachesFor(bob.hashname)[0]?.uri;
  expect(cacheOf(dave, secret).quotaClass(uri, alice.hashname, bob.hashname, NOW)).toBe("contact");
  expect(cacheOf(dave, random(32)).quotaClass(uri, alice.hashname, bob.hashname, NOW)).toBeUndefined();
});
