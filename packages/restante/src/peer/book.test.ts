import fc from "fast-check";
import { expect, test } from "vitest";
import { RestanteError, toHex, utf8 } from "../bytes/index.ts";
import { type Card, type CardPeer, encodeCard, type Invite, parseCard, secretUri } from "../card/index.ts";
import {
  createCrypto,
  createIdentity,
  encodeKeys,
  hashnameFromBytes,
  hashnameOf,
  type Identity,
  portable,
} from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { Book, type Change } from "./book.ts";

const crypto = createCrypto(portable, [cs01()]);
const { random } = new Chance(2);
const [alice, phone, bob, eve, carol] = Array.from({ length: 5 }, () => createIdentity(crypto, random)) as [
  Identity,
  Identity,
  Identity,
  Identity,
  Identity,
];
const [ALICE, BOB] = [random(16), random(16)];

function book(saved: ReadonlyMap<string, Uint8Array> = new Map()): Book {
  return new Book(portable, saved);
}

function peerOf({ hashname, keys }: Identity, caches: CardPeer["caches"] = []): CardPeer {
  return { hashname, keys, paths: [{ type: "mem", name: hashname.slice(0, 8) }], since: 0, caches };
}

function cardOf(id: Uint8Array, identities: readonly Identity[], more: Partial<Card> = {}): Card {
  const by = identities[0]?.hashname ?? alice.hashname;
  const peers = identities.map((identity) => peerOf(identity));
  return { id, version: 1, by, features: [], suites: ["static"], peers, ...more };
}

function inviteOf({ hashname, keys }: Identity, card: Uint8Array, more: Partial<Invite> = {}): Invite {
  return { hashname, keys, paths: [{ type: "mem", name: "there" }], caches: [], card, ...more };
}

/** The change, or a failure that says what came instead. */
function done(change: Change | string | undefined): Change {
  if (typeof change !== "object") throw new Error(`refused: ${change}`);
  return change;
}

/** What a store would hold after these changes. */
function disk(...changes: Change[]): Map<string, Uint8Array> {
  return new Map(changes.map(({ save }) => [save.key, save.value ?? new Uint8Array(0)]));
}

test("an invite makes a contact that can be written to, and its secret opens the door there", () => {
  const b = book();
  const secret = random(16);
  const { contact, isNew } = done(b.add(inviteOf(alice, ALICE, { secret, name: "Alice" })));
  expect([isNew, contact.id, contact.peers]).toEqual([true, toHex(ALICE), [alice.hashname]]);
  expect(b.of(alice.hashname)).toBe(contact);
  expect(b.peersOf(contact).map(({ hashname }) => hashname)).toEqual([alice.hashname]);
  expect(b.address(alice.hashname)).toEqual({
    keys: alice.keys,
    paths: [{ type: "mem", name: "there" }],
    uri: secretUri(secret),
  });
  expect(b.info(contact, () => false)).toMatchObject({ name: "Alice", link: "down", hashnames: [alice.hashname] });
  expect(b.info(contact, (hashname) => hashname === alice.hashname).link).toBe("up");
});

test("a hashname belongs to one contact at most, however it comes", () => {
  const b = book();
  done(b.add(inviteOf(alice, ALICE)));
  expect(b.add(inviteOf(alice, BOB))).toBe("known");
  expect(b.meet(cardOf(BOB, [alice]), alice.hashname)).toBeUndefined();
  expect(b.size).toBe(1);
  // Naming it in a card gives nobody a hold on it.
  done(b.meet(cardOf(BOB, [bob, alice]), bob.hashname));
  expect(b.of(alice.hashname)?.id).toBe(toHex(ALICE));
  expect(b.get(toHex(BOB))?.peers).toEqual([bob.hashname]);
  expect(b.peersOf(b.get(toHex(BOB)) ?? done(undefined).contact).map((p) => p.hashname)).toEqual([bob.hashname]);
  expect(b.meet(cardOf(BOB, [bob, alice]), alice.hashname)).toBeUndefined();
});

test("nobody takes a contact over by claiming its id: not with a card, not with an invite", () => {
  const b = book();
  done(b.meet(cardOf(ALICE, [alice]), alice.hashname));
  const before = b.get(toHex(ALICE));
  expect(b.meet(cardOf(ALICE, [eve], { version: 9 }), eve.hashname)).toBeUndefined();
  expect(b.meet(cardOf(ALICE, [eve, alice], { version: 9 }), eve.hashname)).toBeUndefined();
  expect(b.add(inviteOf(eve, ALICE, { secret: random(16) }))).toBe("claimed");
  expect(b.get(toHex(ALICE))).toBe(before);
  expect(b.of(eve.hashname)).toBeUndefined();
  // Nor while all that we know of the contact is its invite.
  done(b.add(inviteOf(bob, BOB)));
  expect(b.add(inviteOf(eve, BOB))).toBe("claimed");
  expect(b.address(bob.hashname)).toBeDefined();
});

test("a card that does not name who shows it is nobody's", () => {
  const b = book();
  expect(b.meet(cardOf(ALICE, [alice]), eve.hashname)).toBeUndefined();
  done(b.meet(cardOf(ALICE, [alice]), alice.hashname));
  expect(b.update(toHex(ALICE), alice.hashname, cardOf(ALICE, [eve], { version: 2 }))).toBeUndefined();
  expect(b.update(toHex(ALICE), alice.hashname, cardOf(BOB, [alice], { version: 2 }))).toBeUndefined();
  expect(b.update(toHex(BOB), bob.hashname, cardOf(BOB, [bob], { version: 2 }))).toBeUndefined();
});

test("another device is written to once it has shown itself, and only one that the contact has named", () => {
  const b = book();
  done(b.meet(cardOf(ALICE, [alice]), alice.hashname));
  expect(b.meet(cardOf(ALICE, [alice, phone], { version: 2 }), phone.hashname)).toBeUndefined();
  const { contact } = done(b.update(toHex(ALICE), alice.hashname, cardOf(ALICE, [alice, phone], { version: 2 })));
  expect(b.peersOf(contact).map(({ hashname }) => hashname)).toEqual([alice.hashname]);
  expect(b.of(phone.hashname)).toBeUndefined();
  const met = done(b.meet(cardOf(ALICE, [alice, phone], { version: 2 }), phone.hashname)).contact;
  expect(b.peersOf(met).map(({ hashname }) => hashname)).toEqual([alice.hashname, phone.hashname]);
  expect(b.of(phone.hashname)).toBe(met);
});

test("a card is replaced by a newer one, of equal ones by that of the higher hashname, and by no other", () => {
  const [low, high] = [alice, phone].sort((x, y) => (x.hashname < y.hashname ? -1 : 1)) as [Identity, Identity];
  const card = (version: number, by: Identity): Card => cardOf(ALICE, [alice, phone], { version, by: by.hashname });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.boolean()), { maxLength: 8 }), (cards) => {
      const b = book();
      done(b.add(inviteOf(alice, ALICE)));
      let best = [0, false] as [number, boolean];
      for (const [version, isHigh] of cards) {
        const isNewer = version > best[0] || (version === best[0] && isHigh && !best[1]);
        const change = b.update(toHex(ALICE), alice.hashname, card(version, isHigh ? high : low));
        expect(change !== undefined).toBe(isNewer);
        if (isNewer) best = [version, isHigh];
      }
      const kept = b.get(toHex(ALICE))?.card;
      expect(kept?.version).toBe(best[0]);
      if (best[0] > 0) expect(kept?.by).toBe((best[1] ? high : low).hashname);
    }),
  );
});

test("an old card that lay among the requests does not undo a newer one", () => {
  const b = book();
  done(b.meet(cardOf(ALICE, [alice], { name: "old" }), alice.hashname));
  done(b.update(toHex(ALICE), alice.hashname, cardOf(ALICE, [alice], { version: 3, name: "new" })));
  expect(done(b.meet(cardOf(ALICE, [alice], { name: "old" }), alice.hashname)).contact.card.name).toBe("new");
});

test("an invite that was printed long ago brings its secret, not its old card", () => {
  const b = book();
  done(b.meet(cardOf(ALICE, [alice], { version: 3, name: "new" }), alice.hashname));
  const secret = random(16);
  const { contact, isNew } = done(b.add(inviteOf(alice, ALICE, { secret, name: "old" })));
  expect([isNew, contact.card.name, contact.secret]).toEqual([false, "new", secret]);
  // While there is no card, a newer invite knows better where to look.
  done(b.add(inviteOf(bob, BOB)));
  const paths = [{ type: "mem", name: "moved" }];
  expect(done(b.add(inviteOf(bob, BOB, { paths }))).contact.card.peers[0]?.paths).toEqual(paths);
});

test("contacts are the same after a restart", () => {
  const b = book();
  const cache = { ...peerOf(carol), uri: "", cap: 1, store: carol.hashname };
  const changes = [
    done(b.add(inviteOf(alice, ALICE, { secret: random(16), name: "Alice" }))),
    done(
      b.meet({ ...cardOf(BOB, [bob]), peers: [peerOf(bob, [{ ...cache, paths: [...cache.paths] }])] }, bob.hashname),
    ),
  ];
  const again = book(disk(...changes));
  const seen = (each: Book) =>
    each.all().map((contact) => [each.info(contact, () => false), toHex(encodeCard(contact.card)), contact.secret]);
  expect(seen(again)).toEqual(seen(b));
  expect(again.of(bob.hashname)?.id).toBe(toHex(BOB));
  expect(again.address(carol.hashname)).toMatchObject({ keys: carol.keys, uri: "" });
  expect(again.meet(cardOf(BOB, [alice]), alice.hashname)).toBeUndefined();
});

test("a cache that a card no longer names is not looked for any more", () => {
  const b = book();
  const cache = { ...peerOf(carol), uri: "", cap: 1, store: carol.hashname };
  done(b.meet({ ...cardOf(BOB, [bob]), peers: [peerOf(bob, [cache])] }, bob.hashname));
  expect(b.address(carol.hashname)?.paths).toEqual(cache.paths);
  done(b.update(toHex(BOB), bob.hashname, cardOf(BOB, [bob], { version: 2 })));
  expect(b.address(carol.hashname)).toBeUndefined();
});

test("a contact is found by its id, a hashname, its name, or an unambiguous start of four characters", () => {
  const b = book();
  done(b.add(inviteOf(alice, ALICE, { name: "Alice Liddell" })));
  done(b.add(inviteOf(bob, BOB, { name: "Bo" })));
  const found = (text: string): string | undefined => b.find(text)?.id;
  const [A, B] = [toHex(ALICE), toHex(BOB)];
  expect([A, alice.hashname, "alice liddell", "ALIC", A.slice(0, 6), alice.hashname.slice(0, 10)].map(found)).toEqual(
    Array.from({ length: 6 }, () => A),
  );
  expect(found("bo")).toBe(B);
  expect(["ali", "", "liddell", "nobody"].map(found)).toEqual([undefined, undefined, undefined, undefined]);
  done(b.add(inviteOf(eve, random(16), { name: "Alicia" })));
  expect([found("alic"), found("alici"), found("alice")]).toEqual([undefined, b.of(eve.hashname)?.id, A]);
  done(b.add(inviteOf(carol, random(16), { name: "bo" })));
  expect(found("bo")).toBeUndefined();
});

test("a name that is somebody else's id or hashname stands in nobody's way", () => {
  const b = book();
  done(b.add(inviteOf(alice, ALICE)));
  done(b.add(inviteOf(eve, random(16), { name: toHex(ALICE) })));
  done(b.add(inviteOf(bob, BOB, { name: alice.hashname })));
  expect([toHex(ALICE), alice.hashname].map((text) => b.find(text)?.id)).toEqual([toHex(ALICE), toHex(ALICE)]);
  // Nor does one that they are called by in short: that one is nobody's.
  done(b.add(inviteOf(carol, random(16), { name: alice.hashname.slice(0, 8) })));
  expect(b.find(alice.hashname.slice(0, 8))).toBeUndefined();
  expect(b.find(alice.hashname.slice(0, 9))).toBeUndefined(); // bob's name begins with it, too
});

test("a card that cannot be kept is refused: its writer may spell addresses shorter than we do", () => {
  const keys = Array.from({ length: 56 }, () => new Map([[0x3a, random(32)]]));
  const sender = hashnameOf(portable, keys[0] ?? new Map());
  // RFC 5952 writes out a single group of zeros.
  const paths = Array.from({ length: 10 }, (_, i) => ({ type: "udp6", ip: "2001::3:4:5:6:7:8", port: i + 1 }));
  const peers = keys.map((each) => ({ keys: encodeKeys(each), paths }));
  const json = { v: 1, id: toHex(ALICE), version: 2, by: sender, suites: ["static"], peers };
  const card = parseCard(portable, utf8(JSON.stringify(json)));
  if (card === undefined) throw new Error("this test needs a card just below the limit");
  expect(() => encodeCard(card)).toThrow(RestanteError);
  const b = book();
  expect(b.meet(card, sender)).toBeUndefined();
  const small = { ...card, version: 1, peers: card.peers.slice(0, 1) };
  done(b.meet(small, sender));
  expect(b.update(toHex(ALICE), sender, card)).toBeUndefined();
  expect(b.of(sender)?.card).toEqual(small);
});

test("the book takes ten thousand contacts, then no more, but those it has may change", () => {
  const b = book();
  const [first] = Array.from({ length: 10_000 }, (_, i) => {
    const digest = portable.sha256(utf8(`${i}`));
    return done(b.add(inviteOf({ ...alice, hashname: hashnameFromBytes(digest) }, digest.slice(0, 16)))).contact;
  });
  expect(b.add(inviteOf(alice, ALICE))).toBe("full");
  expect(b.meet(cardOf(ALICE, [alice]), alice.hashname)).toBeUndefined();
  expect(b.size).toBe(10_000);
  const change = first && b.update(first.id, first.peers[0] ?? alice.hashname, { ...first.card, version: 2 });
  expect(change?.contact.card.version).toBe(2);
});

test("a contact is sought by those of its own caches that route, and by no other, after its own addresses", () => {
  const b = book();
  const cache = (of: Identity, routes?: true): CardPeer["caches"][number] => {
    const { hashname, keys } = of;
    return { hashname, keys, paths: [], uri: "", cap: 1, store: hashname, ...(routes && { routes }) };
  };
  const [hers, plain, his] = [carol, eve, phone];
  done(
    b.meet({ ...cardOf(ALICE, [alice]), peers: [peerOf(alice, [cache(hers, true), cache(plain)])] }, alice.hashname),
  );
  const { contact, save } = done(
    b.meet({ ...cardOf(BOB, [bob]), peers: [peerOf(bob, [cache(his, true)])] }, bob.hashname),
  );
  const own = (of: Identity): object[] => [...peerOf(of).paths];
  for (const each of [b, book(new Map([...disk({ contact, before: undefined, isNew: true, save })]))])
    expect(each.address(bob.hashname)?.paths).toEqual([...own(bob), { type: "peer", hn: his.hashname }]);
  expect(b.address(alice.hashname)?.paths).toEqual([...own(alice), { type: "peer", hn: hers.hashname }]);
  // A cache is reached straight, whoever names it.
  expect(b.address(hers.hashname)?.paths).toEqual([]);
  const moved = { ...cardOf(ALICE, [alice], { version: 2 }), peers: [peerOf(alice, [cache(plain)])] };
  done(b.update(toHex(ALICE), alice.hashname, moved));
  expect(b.address(alice.hashname)?.paths).toEqual(own(alice));
});

test("an invite of who is known is used beside its card until a card of its comes, also after a restart", () => {
  const cache = (paths: string[], uri: string, of: Identity = carol): CardPeer["caches"][number] => ({
    hashname: of.hashname,
    keys: of.keys,
    paths: paths.map((name) => ({ type: "mem", name })),
    uri,
    cap: 1,
    store: of.hashname,
  });
  const b = book();
  done(b.add(inviteOf(alice, ALICE)));
  const first = cardOf(ALICE, [alice], { version: 5, peers: [peerOf(alice, [cache([], "link://card")])] });
  const known = done(b.update(toHex(ALICE), alice.hashname, first));
  expect(b.secondUri(alice.hashname, carol.hashname)).toBeUndefined();
  const again = done(
    b.add(inviteOf(alice, ALICE, { caches: [cache([], "link://invite"), cache([], "link://other", eve)] })),
  );
  expect(again.contact.card).toEqual(known.contact.card);
  for (const each of [b, book(disk(again))]) {
    const contact = each.of(alice.hashname);
    const uris = contact && each.peersOf(contact).flatMap(({ caches }) => caches.map(({ uri }) => uri));
    expect(uris).toEqual(["link://card", "link://other"]);
    expect(each.secondUri(alice.hashname, carol.hashname)).toBe("link://invite");
    expect(each.secondUri(bob.hashname, carol.hashname)).toBeUndefined();
    expect(each.address(alice.hashname)?.paths.map(({ name }) => name)).toEqual([alice.hashname.slice(0, 8), "there"]);
    done(each.update(toHex(ALICE), alice.hashname, { ...first, version: 6 }));
    expect(each.secondUri(alice.hashname, carol.hashname)).toBeUndefined();
    expect(each.address(alice.hashname)?.paths).toHaveLength(1);
  }
});

test("an invite for a known contact is used besides its card for 14 days at most, and its caches are none of the card", () => {
  const b = book();
  const cacheOf = (who: Identity) => ({ ...peerOf(who), uri: "link://there", cap: 2 ** 40, store: who.hashname });
  done(b.add(inviteOf(alice, ALICE)));
  const card = cardOf(ALICE, [alice], { version: 5, peers: [peerOf(alice, [cacheOf(carol)])] });
  done(b.update(toHex(ALICE), alice.hashname, card));
  expect(b.ages(Number.MAX_SAFE_INTEGER)).toBe(false);
  const forged = done(b.add(inviteOf(alice, ALICE, { caches: [cacheOf(eve)] })));
  const used = (of: Book) => of.peersOf(of.get(toHex(ALICE)) ?? forged.contact).flatMap(({ caches }) => caches);
  const names = (of: Book) => used(of).map(({ hashname }) => hashname);
  expect(names(b)).toEqual([carol.hashname, eve.hashname]);
  expect(used(b).map(({ hashname }) => b.isOfCard(forged.contact, alice.hashname, hashname))).toEqual([true, false]);
  const [now, days] = [1_800_000_000_000, 14 * 86_400_000];
  expect(b.ages(now)).toBe(true);
  const again = book(disk(...b.age(now)));
  expect([again.ages(now), again.ages(now + days - 1), names(again).length]).toEqual([false, false, 2]);
  const ended = again.age(now + days);
  expect(names(again)).toEqual([carol.hashname]);
  expect(names(book(disk(...ended)))).toEqual([carol.hashname]);
  expect(again.ages(Number.MAX_SAFE_INTEGER)).toBe(false);
  done(again.add(inviteOf(alice, ALICE, { caches: [cacheOf(eve)] })));
  done(again.update(toHex(ALICE), alice.hashname, { ...card, version: 6 }));
  expect([names(again), again.ages(Number.MAX_SAFE_INTEGER)]).toEqual([[carol.hashname], false]);
});
