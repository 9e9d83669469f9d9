import fc from "fast-check";
import { expect, test } from "vitest";
import { concat, toHex, utf8 } from "../bytes/index.ts";
import {
  type Backend,
  type Crypto,
  createCrypto,
  createIdentity,
  cs3a,
  type Hashname,
  hashnameBytes,
  type Identity,
  portable,
} from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { encodePacket, parsePacket } from "../wire/index.ts";
import type { Hello } from "./hello.ts";
import { encodePart, type Part, parsePart } from "./inner.ts";
import { Numbering } from "./numbering.ts";
import { openFromContact, openFromStranger } from "./open.ts";
import { sealSeeded } from "./seal.ts";

const crypto = createCrypto(portable);
const alice = createIdentity(crypto, new Chance(1).random);
const bob = createIdentity(crypto, new Chance(2).random);
const eve = createIdentity(crypto, new Chance(3).random);
const HELLO: Hello = { card: utf8("alice's card"), secret: new Uint8Array(16).fill(3) };

/** The id of the box from a sender to a recipient, as seed 003 has it. */
function box(sender: Hashname, recipient: Hashname): string {
  return toHex(portable.siphash(hashnameBytes(sender).subarray(0, 16), hashnameBytes(recipient)));
}

function partOf(from: Identity, to: Identity, seq: number, hello?: Hello): Part {
  const head = { from: from.hashname, to: to.hashname, epoch: "00112233aabbccdd", seq, part: 0, of: 1, floor: 1 };
  const id = seq.toString(16).padStart(32, "0");
  const envelope = { id, after: [], time: 1, expires: 2, kind: "text", content: utf8("hi") };
  return { head, ...(hello && { hello }), envelope };
}

function seal(from: Identity, to: Identity, inner: Uint8Array, by: Crypto = crypto): Uint8Array {
  const seeded = { seed: new Uint8Array(32), recipient: to.hashname, generation: 0, inner };
  return sealSeeded(by, from, to.keys, seeded) ?? expect.fail("not sealed");
}

function stranger(sealed: Uint8Array, id: string = box(alice.hashname, bob.hashname), by: Crypto = crypto) {
  return openFromStranger(by, bob, sealed, id, (sender) => box(sender, bob.hashname));
}

const mail = (hello?: Hello, from: Identity = alice) => encodePart(crypto, 0x3a, from, partOf(from, bob, 1, hello));

test("a contact's message opens with the contact's key, and with no other", () => {
  const sealed = seal(alice, bob, mail());
  expect(openFromContact(crypto, bob, sealed, alice.keys)).toEqual(mail());
  expect(openFromContact(crypto, bob, sealed, eve.keys)).toBeUndefined();
  expect(openFromContact(crypto, bob, sealed, new Map())).toBeUndefined();
  expect(openFromContact(crypto, eve, sealed, alice.keys)).toBeUndefined();
  // Eve may say that she is Alice; the head is not even looked at.
  expect(openFromContact(crypto, bob, seal(eve, bob, mail()), alice.keys)).toBeUndefined();
});

test("[A35] [X27] a message that is played again, as often as one likes, is new once", () => {
  const numbering = new Numbering();
  const shown: number[] = [];
  const sealed = [1, 2, 3].map((seq) => seal(alice, bob, encodePart(crypto, 0x3a, alice, partOf(alice, bob, seq))));
  for (const pick of [0, 0, 2, 1, 2, 0, 1, 1, 2]) {
    const inner = openFromContact(crypto, bob, sealed[pick] ?? expect.fail(), alice.keys);
    const { head } = parsePart(inner ?? expect.fail()) ?? expect.fail();
    if (numbering.isNew(head.epoch, head.seq, head.part)) shown.push(head.seq);
    numbering.commit(head.epoch, head.seq, head.part, head.of);
  }
  expect(shown).toEqual([1, 3, 2]);
});

test("a stranger's hello opens in the box of its hashname, and proves who sent it", () => {
  const opened = stranger(seal(alice, bob, mail(HELLO)));
  expect(opened?.sender).toEqual({ hashname: alice.hashname, keys: alice.keys });
  expect(parsePart(opened?.inner ?? expect.fail())).toEqual(partOf(alice, bob, 1, HELLO));
});

test("a hello in another box, without keys, or under another's keys is refused", () => {
  expect(stranger(seal(alice, bob, mail(HELLO)), box(eve.hashname, bob.hashname))).toBeUndefined();
  expect(stranger(seal(alice, bob, mail()))).toBeUndefined();
  expect(stranger(seal(alice, eve, mail(HELLO)))).toBeUndefined();
  // Eve copies Alice's whole hello into a message of her own: only the authenticator tells.
  expect(stranger(seal(eve, bob, mail(HELLO)))).toBeUndefined();
  expect(stranger(seal(eve, bob, mail(HELLO, eve)))).toBeUndefined();
  expect(stranger(seal(eve, bob, mail(HELLO, eve)), box(eve.hashname, bob.hashname))?.sender.hashname).toBe(
    eve.hashname,
  );
});

test("[X4] a handshake that lies in a box is opened by nobody", () => {
  const handshake = encodePacket({ at: 1_700_000_000 }, encodePacket({ "3a": true }, alice.keys.get(0x3a)));
  expect(stranger(seal(alice, bob, handshake))).toBeUndefined();
  expect(
    parsePart(openFromContact(crypto, bob, seal(alice, bob, handshake), alice.keys) ?? expect.fail()),
  ).toBeUndefined();
});

test("opening for a stranger costs two DHs at most, one when the claim does not fit the box", () => {
  let count = 0;
  const counting: Backend = {
    ...portable,
    beforenm: (secret, key) => {
      count++;
      return portable.beforenm(secret, key);
    },
  };
  const cost = (sealed: Uint8Array, id?: string) => {
    count = 0;
    stranger(sealed, id, createCrypto(counting));
    return count;
  };
  const hello = seal(alice, bob, mail(HELLO));
  expect(cost(hello)).toBe(2);
  expect(cost(hello, box(eve.hashname, bob.hashname))).toBe(1);
  expect(cost(seal(alice, bob, mail()))).toBe(1);
  expect(cost(seal(eve, bob, mail(HELLO)))).toBe(2);
  expect(cost(hello.slice(0, 60))).toBe(0);
});

test("a lower cipher set than the highest that both have is refused", () => {
  const low = { ...cs3a(portable), csid: 0x1a };
  const both = createCrypto(portable, [low, cs3a(portable)]);
  const lowOnly = createCrypto(portable, [low]);
  const [from, to] = [7, 8].map((seed) => createIdentity(both, new Chance(seed).random, [0x1a, 0x3a])) as [
    Identity,
    Identity,
  ];
  const open = (sealed: Uint8Array) => [
    openFromContact(both, to, sealed, from.keys) !== undefined,
    openFromStranger(both, to, sealed, box(from.hashname, to.hashname), (sender) => box(sender, to.hashname)) !==
      undefined,
  ];
  const part = partOf(from, to, 1, HELLO);
  expect(open(seal(from, to, encodePart(both, 0x3a, from, part), both))).toEqual([true, true]);
  expect(open(seal(from, to, encodePart(both, 0x1a, from, part), lowOnly))).toEqual([false, false]);
  // A hello whose key part is for another set than the message's.
  expect(open(seal(from, to, encodePart(both, 0x1a, from, part), both))).toEqual([true, false]);
});

test("a message with any byte changed, cut or added is refused, and nothing throws", () => {
  const fast = createCrypto(portable, [cs01()]);
  const [from, to] = [createIdentity(fast, new Chance(1).random), createIdentity(fast, new Chance(2).random)];
  const sealed = seal(from, to, encodePart(fast, 0x01, from, partOf(from, to, 1, HELLO)), fast);
  const open = (bytes: Uint8Array) =>
    openFromContact(fast, to, bytes, from.keys) ??
    openFromStranger(fast, to, bytes, box(from.hashname, to.hashname), (sender) => box(sender, to.hashname));
  expect(open(sealed)).toBeDefined();
  fc.assert(
    fc.property(fc.nat(sealed.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const bytes = sealed.slice();
      bytes[at] = (bytes[at] ?? 0) ^ flip;
      expect(open(bytes)).toBeUndefined();
      expect(open(sealed.slice(0, at))).toBeUndefined();
      expect(open(concat(sealed, bytes.slice(at)))).toBeUndefined();
    }),
  );
  expect(parsePacket(sealed)?.head).toEqual(Uint8Array.of(0x01));
});
