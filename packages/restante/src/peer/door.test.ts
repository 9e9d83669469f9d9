import fc from "fast-check";
import { expect, test } from "vitest";
import { type Save, toHex } from "../bytes/index.ts";
import {
  admissionUri,
  type JoinAnswer,
  mintToken,
  type Path,
  parseAdmissionUri,
  parseJoinAnswer,
  parseJoinLink,
  secretUri,
  tokenSerial,
} from "../card/index.ts";
import { createCrypto, createIdentity, type Identity, portable } from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { Door } from "./door.ts";

const crypto = createCrypto(portable, [cs01()]);
const { random } = new Chance(1);
const [carol, alice, bob, eve] = Array.from({ length: 4 }, () => createIdentity(crypto, random)) as [
  Identity,
  Identity,
  Identity,
  Identity,
];
const NOW = 1_800_000_000_000;
const PATHS: Path[] = [{ type: "mem", name: "carol" }];
const SERVES = { cap: 1 << 20, quota: 1 << 24 };
const NONE: ReadonlyMap<string, Uint8Array> = new Map();

function doorOf(identity: Identity, options: { saved?: ReadonlyMap<string, Uint8Array>; serves?: boolean } = {}): Door {
  return new Door({ crypto, identity, saved: options.saved ?? NONE, serves: options.serves ? SERVES : undefined });
}

function joinUri(cache: Door): string {
  const link = parseJoinLink(cache.joinLink(PATHS));
  if (link === undefined) throw new Error("no join link");
  return admissionUri(link.token);
}

/** Joins `cache` as `self` does, with what the cache answers. */
function join(door: Door, self: Identity, cache: Door, saves: Save[] = []): JoinAnswer {
  const answer = parseJoinAnswer(cache.joinAnswer(joinUri(cache), self.hashname, NOW)?.head);
  if (answer === undefined) throw new Error("not admitted");
  saves.push(door.join({ ...answer, keys: carol.keys, paths: PATHS }).save);
  return answer;
}

/** What was saved, as it is given back after a restart. */
function disk(...saves: Save[]): Map<string, Uint8Array> {
  const map = new Map<string, Uint8Array>();
  for (const { key, value } of saves)
    if (value === undefined) map.delete(key);
    else map.set(key, value);
  // In the order of their keys, as a store loads them: not in that of their writing.
  return new Map([...map].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Alice, whose mail is at carol's: her own URI, the one for bob, and the one in her invites. */
function offers(cache: Door = doorOf(carol, { serves: true })) {
  const door = doorOf(alice);
  const joined: Save[] = [];
  join(door, alice, cache, joined);
  const [forBob, forAll] = [
    door.cachesFor(bob.hashname)[0]?.uri,
    door.cachesForInvite(new Uint8Array(16), NOW)[0]?.uri,
  ];
  return { cache, door, joined, member: door.address(carol.hashname)?.uri, forBob, forAll };
}

test("each class of token lets in whom it is for, and grants what it is for", () => {
  const { cache, member, forBob, forAll } = offers();
  const classes = [member, forBob, forAll, joinUri(cache), undefined].map((uri) =>
    [alice, bob, eve].map(({ hashname }) => cache.quotaClass(uri, alice.hashname, hashname, NOW)),
  );
  expect(classes).toEqual([
    ["member", undefined, undefined],
    [undefined, "contact", undefined],
    ["stranger", "stranger", "stranger"],
    [undefined, undefined, undefined],
    [undefined, undefined, undefined],
  ]);
  const admitted = [member, forBob, forAll, joinUri(cache)].map((uri) =>
    [alice, bob, eve].map(({ hashname }) => cache.admits(uri ?? "", hashname, NOW)),
  );
  expect(admitted).toEqual([
    [true, false, false],
    [false, true, false],
    [true, true, true],
    [true, true, true],
  ]);
});

test("a recipient reaches everybody by its cache, others whom they may leave mail for, and a join token nobody", () => {
  const { cache, member, forBob, forAll } = offers();
  // Whom each of three reaches of alice, bob and carol herself, by what it shows.
  const reached = [member, forBob, forAll, joinUri(cache), secretUri(random(16)), "", undefined].map((uri) =>
    [alice, bob, eve].map(({ hashname: from }) =>
      [alice, bob, carol].map(({ hashname: to }) => (cache.mayReach(uri, from, to, NOW) ? 1 : 0)).join(""),
    ),
  );
  expect(reached).toEqual([
    ["111", "000", "000"], // alice's own, which is worth nothing in other hands
    ["000", "100", "000"], // her token for bob
    ["111", "100", "100"], // what stands in her invites; in her own hands it names her as recipient, which she is
    ["000", "000", "000"],
    ["000", "000", "000"],
    ["000", "000", "000"],
    ["000", "000", "000"],
  ]);
});

test("by no cache that another token is for, by none that serves nobody, and with none whose time is over", () => {
  const { cache, door, member, forBob } = offers();
  const reaches = (at: Door, uri: string | undefined, now = NOW): boolean[] =>
    [alice, bob].map(({ hashname }) => at.mayReach(uri, hashname, alice.hashname, now));
  expect([reaches(cache, member), reaches(cache, forBob)]).toEqual([
    [true, false],
    [false, true],
  ]);
  for (const other of [doorOf(eve, { serves: true }), doorOf(carol)])
    for (const uri of [member, forBob]) expect(reaches(other, uri)).toEqual([false, false]);
  const key = door.caches[0]?.key ?? new Uint8Array(32);
  for (const kind of ["member", "contact", "invite"] as const) {
    const sender = kind === "contact" ? bob.hashname : undefined;
    const grant = { recipient: alice.hashname, class: kind, until: NOW / 1000 + 60, serial: 1, sender };
    const uri = admissionUri(mintToken(portable, key, grant));
    const granted = { member: [true, false], contact: [false, true], invite: [true, true] }[kind];
    expect([reaches(cache, uri, NOW + 59_999), reaches(cache, uri, NOW + 60_000)]).toEqual([granted, [false, false]]);
  }
});

test("a cache that routes says so when it is joined, and our cards say it on", () => {
  for (const routes of [true, undefined]) {
    const serves = { ...SERVES, ...(routes && { routes }) };
    const cache = new Door({ crypto, identity: carol, saved: NONE, serves });
    const saves: Save[] = [];
    const door = doorOf(alice);
    expect(join(door, alice, cache, saves).routes).toBe(routes);
    for (const each of [door, doorOf(alice, { saved: disk(...saves) })]) {
      expect(each.caches.map((joined) => joined.routes)).toEqual([routes]);
      expect(each.cachesFor(bob.hashname).map((offer) => offer.routes)).toEqual([routes]);
    }
  }
});

test("a token for one recipient grants nothing towards another", () => {
  const { cache, member, forBob, forAll } = offers();
  const uris = [member, forBob, forAll];
  expect(uris.map((uri) => cache.quotaClass(uri, eve.hashname, bob.hashname, NOW))).toEqual(uris.map(() => undefined));
});

test("what a cache granted is good after its restart, since it follows from its identity alone", () => {
  const { forBob } = offers();
  const again = doorOf(carol, { serves: true });
  expect(again.quotaClass(forBob, alice.hashname, bob.hashname, NOW)).toBe("contact");
  const other = doorOf(eve, { serves: true });
  expect(other.quotaClass(forBob, alice.hashname, bob.hashname, NOW)).toBeUndefined();
  expect(other.admits(forBob ?? "", bob.hashname, NOW)).toBe(false);
});

test("a peer that serves no cache grants nothing, and answers no join", () => {
  const { forBob } = offers();
  const plain = doorOf(carol);
  expect(plain.quotaClass(forBob, alice.hashname, bob.hashname, NOW)).toBeUndefined();
  expect(plain.joinAnswer(joinUri(doorOf(carol, { serves: true })), alice.hashname, NOW)).toBeUndefined();
});

test("a join answer gives what was configured, and a key that is not another recipient's", () => {
  const cache = doorOf(carol, { serves: true });
  const [one, two] = [join(doorOf(alice), alice, cache), join(doorOf(bob), bob, cache)];
  expect(one).toMatchObject({ ...SERVES, store: carol.hashname.slice(0, 16) });
  expect(one.key).not.toEqual(two.key);
  expect(join(doorOf(alice), alice, doorOf(carol, { serves: true })).key).toEqual(one.key);
});

test("only the operator's own join token makes a recipient, whatever recipients mint with theirs", () => {
  const { cache, door, member, forBob, forAll } = offers();
  const { key } = door.caches[0] ?? { key: new Uint8Array(32) };
  const forged = mintToken(portable, key, { recipient: alice.hashname, class: "join", until: 0, serial: 1 });
  for (const uri of [member, forBob, forAll, admissionUri(forged), secretUri(random(16)), "", undefined])
    expect(cache.joinAnswer(uri, alice.hashname, NOW)).toBeUndefined();
});

test("no mutated URI lets anybody in", () => {
  const { cache, member, forBob, forAll } = offers();
  const uris = [member, forBob, forAll, joinUri(cache)] as string[];
  fc.assert(
    fc.property(fc.constantFrom(...uris), fc.nat(), fc.constantFrom(..."abz27=?&/%"), (uri, position, character) => {
      const at = uri.indexOf("t=") + 2 + (position % (uri.length - uri.indexOf("t=") - 2));
      const changed = uri.slice(0, at) + character + uri.slice(at + 1);
      expect(cache.admits(changed, bob.hashname, NOW)).toBe(changed === uri && uri !== member);
    }),
  );
  fc.assert(fc.property(fc.string(), (text) => !cache.admits(text, bob.hashname, NOW)));
});

test("the same card for the same reader: tokens change only with the cache", () => {
  const { door } = offers();
  expect(door.cachesFor(bob.hashname)).toEqual(door.cachesFor(bob.hashname));
  expect(door.cachesFor(bob.hashname)).not.toEqual(door.cachesFor(eve.hashname));
});

test("an invite says that a stranger may leave 8 KiB, a card the whole cap, and a smaller cap stays", () => {
  const { door } = offers();
  const caps = (d: Door): number[] =>
    [...d.cachesForInvite(random(16), NOW), ...d.cachesFor(bob.hashname)].map(({ cap }) => cap);
  expect(caps(door)).toEqual([8 * 1024, SERVES.cap]);
  const small = doorOf(alice);
  const answer = { key: random(32), quota: 5000, cap: 4000, store: "s" };
  small.join({ ...answer, keys: carol.keys, paths: PATHS });
  expect(caps(small)).toEqual([4000, 4000]);
});

test("caches that were joined are there again after a restart, and joining again replaces", () => {
  const saves: Save[] = [];
  const { cache } = offers();
  const door = doorOf(alice);
  join(door, alice, cache, saves);
  join(door, alice, cache, saves);
  const again = doorOf(alice, { saved: disk(...saves) });
  expect(again.caches).toEqual(door.caches);
  expect(again.caches).toHaveLength(1);
  expect(again.cachesFor(bob.hashname)).toEqual(door.cachesFor(bob.hashname));
  expect(again.address(carol.hashname)).toEqual(door.address(carol.hashname));
  expect(again.address(bob.hashname)).toBeUndefined();
});

test("an invite for one is used up by the first, another goes on", () => {
  const door = doorOf(alice);
  const [one, many] = [random(16), random(16)];
  const saves = [...door.invite(one, true, NOW), ...door.invite(many, false, NOW)];
  for (const secret of [one, many]) {
    expect(door.hasInvite(secret)).toBe(true);
    expect(door.admits(secretUri(secret), eve.hashname, NOW)).toBe(true);
  }
  saves.push(
    ...door.spend(one, NOW),
    ...door.spend(many, NOW),
    ...door.spend(one, NOW),
    ...door.spend(random(16), NOW),
  );
  for (const each of [door, doorOf(alice, { saved: disk(...saves) })]) {
    expect([each.hasInvite(one), each.hasInvite(many)]).toEqual([false, true]);
    expect(each.admits(secretUri(one), eve.hashname, NOW)).toBe(false);
    expect(each.admits(secretUri(many), eve.hashname, NOW)).toBe(true);
  }
});

test("of more than a thousand invites the oldest goes, also when most of them were made before a restart", () => {
  const made = Array.from({ length: 1002 }, () => random(16));
  const first = doorOf(alice);
  const saves = made.slice(0, 999).flatMap((secret, i) => first.invite(secret, true, NOW + i));
  const door = doorOf(alice, { saved: disk(...saves) });
  saves.push(...made.slice(999).flatMap((secret, i) => door.invite(secret, true, NOW + 999 + i)));
  for (const each of [door, doorOf(alice, { saved: disk(...saves) })])
    expect(made.map((secret) => each.hasInvite(secret))).toEqual(made.map((_, i) => i >= 2));
  expect([...disk(...saves).keys()].filter((key) => key.startsWith("peer/invite/"))).toHaveLength(1000);
});

test("a cache that takes another's name for its own is still another cache in our card", () => {
  const door = doorOf(alice);
  const answer = join(door, alice, doorOf(carol, { serves: true }));
  door.join({ ...answer, key: random(32), cap: 1 << 30, keys: eve.keys, paths: PATHS });
  const stores = door.cachesFor(bob.hashname).map(({ store }) => store);
  expect(stores).toEqual([answer.store, eve.hashname.slice(0, 16)]);
});

/** What bob and a stranger may leave for alice at carol, with the admission URIs of now. */
function granted(cache: Door, uris: { forBob?: string | undefined; forAll?: string | undefined }) {
  return [
    cache.quotaClass(uris.forBob, alice.hashname, bob.hashname, NOW),
    cache.quotaClass(uris.forAll, alice.hashname, eve.hashname, NOW),
  ];
}

/** Alice tells carol what she has revoked until `now`. */
function tell(door: Door, cache: Door, now = NOW): void {
  const told = door.revocations(carol.hashname, now);
  expect(cache.isRecipient(told?.uri, alice.hashname, now)).toBe(true);
  cache.revoke(alice.hashname, told?.serials ?? [], NOW);
}

test("each contact and each invite has a serial of its own, another at each cache, and contacts' tokens have no end", () => {
  const { door } = offers();
  const secrets = [random(16), random(16)] as const;
  const tokens = [
    ...[bob, eve].map(({ hashname }) => door.cachesFor(hashname)[0]?.uri),
    ...secrets.map((secret) => door.cachesForInvite(secret, NOW)[0]?.uri),
  ].map((uri) => parseAdmissionUri(uri ?? "") ?? random(0));
  expect(new Set(tokens.map((token) => String(token.subarray(39, 45)))).size).toBe(4);
  const until = tokens.map((token) => token.subarray(33, 39).reduce((sum, byte) => sum * 256 + byte, 0));
  expect(until).toEqual([0, 0, NOW / 1000 + 31_536_000, NOW / 1000 + 31_536_000]);
  expect(tokenSerial(portable, random(32), "bob", 0)).not.toBe(tokenSerial(portable, random(32), "bob", 0));
});

test("what is void is worth nothing once the cache was told, for mail, for links and for routing; new tokens are", () => {
  const { cache, door, joined, forBob } = offers();
  const secret = random(16);
  const forAll = door.cachesForInvite(secret, NOW)[0]?.uri;
  expect(granted(cache, { forBob, forAll })).toEqual(["contact", "stranger"]);
  const revision = cache.revision(alice.hashname);
  const saves = [...door.invite(secret, false, NOW), ...door.void(bob.hashname, NOW)];
  saves.push(...door.close(toHex(secret), NOW));
  expect(granted(cache, { forBob, forAll })).toEqual(["contact", "stranger"]); // not told yet
  tell(doorOf(alice, { saved: disk(...saves, ...joined) }), cache); // after a restart
  expect(granted(cache, { forBob, forAll })).toEqual([undefined, undefined]);
  expect(cache.revision(alice.hashname)).not.toBe(revision);
  expect(cache.admits(forBob ?? "", bob.hashname, NOW)).toBe(false);
  expect(cache.mayReach(forBob, bob.hashname, alice.hashname, NOW)).toBe(false);
  expect(cache.admits(door.address(carol.hashname)?.uri ?? "", alice.hashname, NOW)).toBe(true);
  expect(granted(cache, { forBob: door.cachesFor(bob.hashname)[0]?.uri })[0]).toBe("contact");
});

test("an invite for one stays good for mail 30 days after its use, and is void then", () => {
  const { cache, door } = offers();
  const secret = random(16);
  const forAll = door.cachesForInvite(secret, NOW)[0]?.uri;
  door.invite(secret, true, NOW);
  door.spend(secret, NOW);
  expect(door.nextRevocation(NOW)).toBe(NOW + 2_592_000_000);
  tell(door, cache, NOW + 2_591_999_999);
  expect(granted(cache, { forAll })[1]).toBe("stranger");
  tell(door, cache, NOW + 2_592_000_000);
  expect(granted(cache, { forAll })[1]).toBeUndefined();
  expect(door.nextRevocation(NOW + 2_592_000_000)).toBeUndefined();
});

test("what was revoked by a clock that was far ahead is told once it is right again, after a restart too", () => {
  for (const ahead of [2_592_000_001, 31_536_000_000]) {
    const { cache, door, joined, forBob } = offers();
    const saves = door.void(bob.hashname, NOW + ahead);
    const again = doorOf(alice, { saved: disk(...saves, ...joined) });
    expect([door, again].map((each) => each.nextRevocation(NOW))).toEqual([undefined, undefined]);
    expect(granted(cache, { forBob })[0]).toBe("contact");
    tell(door, cache);
    expect(granted(cache, { forBob })[0]).toBeUndefined();
    const other = offers();
    expect(granted(other.cache, { forBob })[0]).toBe("contact");
    tell(again, other.cache);
    expect(granted(other.cache, { forBob })[0]).toBeUndefined();
  }
});

test("nobody revokes for somebody else, or as a mere contact, or `join`", () => {
  const { cache, door, forBob, member } = offers();
  expect(cache.isRecipient(forBob, bob.hashname, NOW)).toBe(false);
  expect(cache.isRecipient(member, bob.hashname, NOW)).toBe(false);
  expect(cache.isRecipient(joinUri(cache), eve.hashname, NOW)).toBe(false);
  expect(doorOf(carol).isRecipient(member, alice.hashname, NOW)).toBe(false); // no cache is served
  door.void(bob.hashname, NOW);
  cache.revoke(eve.hashname, door.revocations(carol.hashname, NOW)?.serials ?? [], NOW);
  expect(granted(cache, { forBob })[0]).toBe("contact");
  cache.revoke(carol.hashname, [1], NOW); // the serial of join tokens
  expect(cache.joinAnswer(joinUri(cache), eve.hashname, NOW)).toBeDefined();
});

test("a contact that is removed and welcomed again has a token that works, and every earlier one stays void", () => {
  const { cache, door } = offers();
  const uris: (string | undefined)[] = [];
  for (let i = 0; i < 4; i++) {
    uris.push(door.cachesFor(bob.hashname)[0]?.uri);
    if (i < 3) door.void(bob.hashname, NOW + i);
  }
  tell(door, cache, NOW + 3);
  expect(uris.map((forBob) => granted(cache, { forBob })[0])).toEqual([undefined, undefined, undefined, "contact"]);
});

test("no more than 2000 serials are remembered; the oldest go, and those of invites that have ended", () => {
  const { door } = offers();
  const saves = Array.from({ length: 2100 }, (_, i) => door.void(`holder ${i}`, NOW + i)).flat();
  expect(door.revocations(carol.hashname, NOW + 3000)?.serials).toHaveLength(2000);
  expect(disk(...saves).size).toBe(2000);
  const young = offers().door;
  young.void("00".repeat(16), NOW);
  young.void(bob.hashname, NOW + 1);
  young.void(eve.hashname, NOW + 31_536_000_001);
  expect(young.revocations(carol.hashname, NOW + 31_536_000_001)?.serials).toHaveLength(2);
});

test("a cache that we left is not in our card any more, nor after a restart", () => {
  const saves: Save[] = [];
  const { cache } = offers();
  const door = doorOf(alice);
  join(door, alice, cache, saves);
  saves.push(...door.leave(carol.hashname));
  expect(door.leave(carol.hashname)).toEqual([]);
  for (const each of [door, doorOf(alice, { saved: disk(...saves) })]) {
    expect([each.caches, each.cachesFor(bob.hashname), each.uses(carol.hashname)]).toEqual([[], [], false]);
    expect(each.revocations(carol.hashname, NOW)).toBeUndefined();
  }
});
