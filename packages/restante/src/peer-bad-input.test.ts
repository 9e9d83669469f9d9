/** Crowds at a whole peer: what they make it keep, send and show has a bound, and friends do not notice. */
import { expect, test } from "vitest";
import { utf8 } from "./bytes/index.ts";
import { secretUri } from "./card/index.ts";
import { createIdentity, portable } from "./crypto/index.ts";
import { encodeHandshake, keyPacket, sealMessage } from "./e3x/index.ts";
import { encodePart } from "./mail/inner.ts";
import { sealSeeded } from "./mail/seal.ts";
import { given } from "./testing/given.ts";
import { Bench, befriend, CACHE, crypto, invite, MINUTE, Side, Wild } from "./testing/roots.ts";

const STRANGERS = 10_000;
const CSID = 0x01;

test("ten thousand strangers with an invite that got about, each with a hashname of its own, at the door and by the cache: a few are heard, and friends notice nothing", () => {
  const bench = new Bench();
  const [alice, bob] = [new Side(bench, "alice"), new Side(bench, "bob")];
  const carol = new Side(bench, "carol", { mail: false, cache: CACHE });
  bob.call({ type: "join", link: carol.root.joinLink() }, MINUTE);
  befriend(bench, alice, bob);
  const contact = alice.contact(bob) ?? "";
  const say = (text: string): unknown => alice.call({ type: "send", contact, mail: { kind: "text", text } }, 10_000);
  const open = invite(bob.invite(false));
  const [knock, guess] = [secretUri(given(open.secret)), secretUri(new Uint8Array(16))];
  const uri = given(open.caches[0]).uri;
  const most = { links: 0, cacheLinks: 0, keys: 0, bytes: 0 };
  for (let i = 0; i < STRANGERS; i++) {
    const to = i % 8 < 4 ? bob : carol;
    if (i % 4 > 0) {
      // With nothing but a guess nobody is let in: one packet each, and the wire tells nobody who sent it.
      to.receive({ type: "mem", name: `s${i}` }, knocking(bench, to, guess));
      bench.run(10);
    } else {
      const stranger = new Wild(bench, `s${i}`);
      stranger.want(to, to === bob ? knock : uri);
      bench.run(30);
      leave(stranger, to, bob, hello(stranger, bob, i), to === bob ? {} : { uri });
      bench.run(30);
      bench.machines.delete(`s${i}`); // none of them says goodbye
    }
    if (i % 200 !== 199) continue;
    for (const side of [bob, carol]) side.outs.splice(0, side.outs.length, ...side.outs.filter(isEvent));
    most.links = Math.max(most.links, bob.root.status().links.length);
    most.cacheLinks = Math.max(most.cacheLinks, carol.root.status().links.length);
    most.keys = Math.max(most.keys, bob.disk.size);
    most.bytes = Math.max(
      most.bytes,
      [...bob.disk.values()].reduce((sum, { length }) => sum + length, 0),
    );
    if (i % 2000 === 1999) say(`after ${i + 1}`);
  }
  // What lies of them and of whom they were, however many they are.
  expect(bob.root.requests()).toHaveLength(32);
  expect(most.links).toBeLessThan(1000);
  expect(most.cacheLinks).toBeLessThan(1000);
  expect(most.keys).toBeLessThan(100);
  expect(most.bytes).toBeLessThan(256 * 1024);
  expect(carol.disk.size).toBe(0);
  // What friends send comes at once, and whoever Bob invites himself is let in.
  expect(bob.texts()).toEqual([1, 2, 3, 4, 5].map((n) => `after ${n * 2000}`));
  const dave = new Side(bench, "dave");
  dave.call({ type: "add", link: bob.invite() }, MINUTE);
  expect([bob.contact(dave), dave.contact(bob)].every((id) => id !== undefined)).toBe(true);
});

/** The handshake of somebody new, who shows a URI. */
function knocking({ chance: { random } }: Bench, to: Side, uri: string): Uint8Array {
  const from = createIdentity(crypto, random);
  const body = keyPacket(portable, from, CSID);
  const inner = encodeHandshake(2n, { type: "uri", json: { uri }, body });
  return given(sealMessage(crypto, { from, to: to.identity.keys, inner, random }));
}

/** A whole message for Bob, in as many packets as it takes. */
function leave(from: Wild, to: Side, bob: Side, bytes: Uint8Array, more: { uri?: string }): void {
  const head = { type: "outbox", to: bob.hashname, ...more };
  from.handle({ type: "open", ch: 2, peer: to.hashname, reliable: true, head, body: bytes.subarray(0, 1000) });
  from.handle({ type: "send", ch: 2, head: {}, body: bytes.subarray(1000, 2000) });
  from.handle({ type: "send", ch: 2, head: { done: true }, body: bytes.subarray(2000) });
}

/** A stranger's first text to Bob, sealed. */
function hello({ identity }: Wild, bob: Side, n: number): Uint8Array {
  const time = 1_800_000_000_000;
  const head = { from: identity.hashname, to: bob.hashname, epoch: "00".repeat(8), seq: 1, part: 0, of: 1, floor: 1 };
  const id = n.toString(16).padStart(32, "0");
  const envelope = { id, after: [], time, expires: time + 1e9, kind: "text", content: utf8("buy this") };
  const inner = encodePart(crypto, CSID, identity, { head, hello: { card: utf8("a card") }, envelope });
  const seeded = { seed: new Uint8Array(32), recipient: bob.hashname, generation: 0, inner };
  return given(sealSeeded(crypto, identity, bob.identity.keys, seeded));
}

function isEvent({ type }: { type: string }): boolean {
  return type === "event";
}
