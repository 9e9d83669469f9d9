/**
 * The first conversation of two peers, from fixed secrets and seeds: protocol/vectors/mail.json. When the format is meant
 * to change, WRITE_VECTORS=1 in the environment of this test writes the file anew; then `npm run format`.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { toHex, utf8 } from "../bytes/index.ts";
import { createCrypto, type Hashname, hashnameBytes, type Identity, portable } from "../crypto/index.ts";
import { counting, hexBytes, identity3a, readable } from "../testing/published.ts";
import { encodePacket, type JsonObject, parsePacket } from "../wire/index.ts";
import { AckView, type AddressedAck, encodeAck, parseAck } from "./acknowledgement.ts";
import { encodePart, messageKind, type Part, parsePart } from "./inner.ts";
import { Numbering } from "./numbering.ts";
import { openFromContact, openFromStranger } from "./open.ts";
import { sealSeeded } from "./seal.ts";

const FILE = fileURLToPath(new URL("../../../../protocol/vectors/mail.json", import.meta.url));
const CSID = 0x3a;
const NAME = "abcdefghijklmnop"; // of a cache
const crypto = createCrypto(portable);

interface Vectors {
  about: string;
  alice: Peer;
  bob: Peer;
  /** Box ids, SipHash of seed 003. */
  boxes: { aliceToBob: string; bobToAlice: string };
  messages: Message[];
  /** Inner packets that no parser takes. */
  reject: { why: string; inner: string }[];
}
interface Peer {
  secret: string;
  key: string;
  hashname: string;
}
interface Message {
  what: string;
  from: "alice" | "bob";
  seed: string;
  generation: number;
  /** What `parsePart` or `parseAck` gives, bytes as hex. */
  content: unknown;
  inner: string;
  sealed: string;
}

const peer = ({ hashname, keys, pairs }: Identity): Peer => ({
  secret: toHex(pairs.get(CSID)?.secret ?? expect.fail()),
  key: toHex(keys.get(CSID) ?? expect.fail()),
  hashname,
});
const boxId = (sender: Hashname, recipient: Hashname) =>
  toHex(portable.siphash(hashnameBytes(sender).subarray(0, 16), hashnameBytes(recipient)));

/** The conversation: Alice says hello, Bob acknowledges, Alice writes on. */
function make(): Vectors {
  const [alice, bob] = [identity3a(counting(0x01)), identity3a(counting(0x41))];
  const epoch = "a11ce00000000001";
  const first: Part = {
    head: { from: alice.hashname, to: bob.hashname, epoch, seq: 1, part: 0, of: 1, floor: 1 },
    hello: { card: utf8("the card of alice for bob: opaque here"), secret: counting(0x80).slice(0, 16) },
    envelope: {
      id: toHex(counting(0xa0).slice(0, 16)),
      after: [],
      card: { id: toHex(counting(0xc0).slice(0, 16)), version: 1 },
      time: 1_700_000_000_000,
      expires: 1_701_209_600_000,
      kind: "text",
      content: utf8("Hello Bob, this is Alice."),
    },
  };
  const second: Part = {
    head: { ...first.head, seq: 3, floor: 2 },
    envelope: {
      ...first.envelope,
      id: toHex(counting(0xb0).slice(0, 16)),
      after: [first.envelope.id],
      time: 1_700_000_060_000,
      expires: 1_701_209_660_000,
      content: utf8("Grüße! ✉"),
    },
  };
  const numbering = new Numbering();
  numbering.commit(epoch, 1, 0, 1);
  numbering.commit(epoch, 4, 1, 12);
  const ack: AddressedAck = {
    from: bob.hashname,
    to: alice.hashname,
    by: "b0b0000000000001",
    ownEpoch: "b0b0000000000001",
    floor: 1,
    reports: numbering.report(),
  };
  const later: AddressedAck = {
    ...ack,
    shown: {
      epoch,
      caches: [
        { cache: "zyxwvutsrqponmlk", ranges: [[1, 1]] },
        {
          cache: "abcdefghijklmnop",
          ranges: [
            [1, 1],
            [4, 4],
          ],
        },
      ],
    },
  };
  const message = (what: string, from: Identity, content: Part | AddressedAck): Message => {
    const to = from === alice ? bob : alice;
    const inner = "head" in content ? encodePart(crypto, CSID, from, content) : encodeAck(crypto, CSID, content);
    const seeded = { seed: portable.sha256(utf8(what)), recipient: to.hashname, generation: 0, inner };
    return {
      what,
      from: from === alice ? "alice" : "bob",
      seed: toHex(seeded.seed),
      generation: seeded.generation,
      content: readable(content),
      inner: toHex(inner),
      sealed: toHex(sealSeeded(crypto, from, to.keys, seeded) ?? expect.fail("not sealed")),
    };
  };
  /** The second mail's inner packet with other fields, or another first byte of content or of padding. */
  const changed = (
    why: string,
    change: { head?: JsonObject; envelope?: JsonObject; content?: number; padding?: number },
  ) => {
    const outside = parsePacket(encodePart(crypto, CSID, alice, second)) ?? expect.fail();
    const inside = parsePacket(outside.body) ?? expect.fail();
    const body = inside.body.slice();
    body[0] = change.content ?? body[0] ?? 0;
    body[second.envelope.content.length] = change.padding ?? 0;
    const envelope = encodePacket({ ...inside.json, ...change.envelope }, body);
    return { why, inner: toHex(encodePacket({ ...outside.json, ...change.head }, envelope)) };
  };
  /** The acknowledgement's inner packet with other fields. */
  const refusedAck = (why: string, head: JsonObject) => {
    const packet = parsePacket(encodeAck(crypto, CSID, ack)) ?? expect.fail();
    return { why, inner: toHex(encodePacket({ ...packet.json, ...head }, packet.body)) };
  };
  return {
    about:
      "protocol/mail.md: a first conversation under cipher set 3a. All bytes are hex; `content` is what the inner packet says; " +
      "`reject` are inner packets that nobody may accept. Made by packages/restante/src/mail/vectors.test.ts.",
    alice: peer(alice),
    bob: peer(bob),
    boxes: { aliceToBob: boxId(alice.hashname, bob.hashname), bobToAlice: boxId(bob.hashname, alice.hashname) },
    messages: [
      message("hello", alice, first),
      message("acknowledgement", bob, ack),
      message("text", alice, second),
      message("acknowledgement that names caches", bob, later),
    ],
    reject: [
      changed("padding that is not zero", { padding: 1 }),
      changed("another version", { head: { v: 2 } }),
      changed("another suite", { head: { suite: "other" } }),
      changed("a critical field that is not known", { head: { crit: ["later"] } }),
      changed("a floor above the number", { head: { floor: 4 } }),
      changed("a part that the mail does not have", { head: { part: 1 } }),
      changed("a text of two parts", { head: { of: 2 } }),
      changed("a hello without keys", { head: { type: "hello" } }),
      changed("a content longer than the packet", { envelope: { len: 9999 } }),
      changed("a text that is not UTF-8", { content: 0xff }),
      changed("an expiry before the time", { envelope: { expires: 1 } }),
      refusedAck("a via of another type", { via: [] }),
      refusedAck("a via that names a cache twice", {
        via: {
          epoch,
          caches: [
            [NAME, 1, 1],
            [NAME, 4, 4],
          ],
        },
      }),
      refusedAck("a via with ranges that touch", { via: { epoch, caches: [[NAME, 1, 1, 2, 2]] } }),
      refusedAck("a via with half a range", { via: { epoch, caches: [[NAME, 1]] } }),
      changed("an id of another length", { envelope: { id: "00" } }),
    ],
  };
}

function published(): Vectors {
  return JSON.parse(readFileSync(FILE, "utf8"));
}

if (process.env["WRITE_VECTORS"] !== undefined) writeFileSync(FILE, `${JSON.stringify(make(), undefined, 2)}\n`);

test("the code writes the vectors as they are published", () => {
  expect(make()).toEqual(published());
});

test("the published messages open, prove their sender, and say what the vectors say", () => {
  const vectors = published();
  const peers = { alice: identity3a(hexBytes(vectors.alice.secret)), bob: identity3a(hexBytes(vectors.bob.secret)) };
  expect(peer(peers.alice)).toEqual(vectors.alice);
  for (const { from, inner, sealed, content } of vectors.messages) {
    const [sender, recipient] = from === "alice" ? [peers.alice, peers.bob] : [peers.bob, peers.alice];
    const opened = openFromContact(crypto, recipient, hexBytes(sealed), sender.keys) ?? expect.fail("does not open");
    expect(toHex(opened)).toBe(inner);
    const parsed = messageKind(opened) === "ack" ? parseAck(opened) : parsePart(opened);
    expect(readable(parsed)).toEqual(content);
  }
  const [hello] = vectors.messages;
  const found = openFromStranger(crypto, peers.bob, hexBytes(hello?.sealed ?? ""), vectors.boxes.aliceToBob, (sender) =>
    boxId(sender, peers.bob.hashname),
  );
  expect(found?.sender.hashname).toBe(vectors.alice.hashname);
});

test("the published acknowledgement tells that the hello arrived", () => {
  const ack = parseAck(hexBytes(published().messages[1]?.inner ?? "")) ?? expect.fail("unreadable");
  const view = new AckView();
  view.merge(ack);
  expect([1, 2, 3, 4].map((seq) => view.isWhole("a11ce00000000001", seq))).toEqual([true, false, false, false]);
  expect([0, 1, 2].map((part) => view.has("a11ce00000000001", 4, part))).toEqual([false, true, false]);
});

test("what must be refused is refused", () => {
  const vectors = published();
  for (const { why, inner } of vectors.reject) {
    expect(parsePart(hexBytes(inner)), why).toBeUndefined();
    expect(parseAck(hexBytes(inner)), why).toBeUndefined();
    expect(parsePacket(hexBytes(inner))?.json, why).toBeDefined();
  }
});
