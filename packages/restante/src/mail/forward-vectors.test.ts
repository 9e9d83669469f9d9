/**
 * A mail of the suite `forward` and the acknowledgement that told its key, from fixed secrets and seeds:
 * protocol/vectors/mail-forward.json. When the format is meant to change, WRITE_VECTORS=1 in the environment of this test
 * writes the file anew; then `npm run format`.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { toHex, utf8 } from "../bytes/index.ts";
import { createCrypto, type Identity, type KeyPair, portable } from "../crypto/index.ts";
import { counting, hexBytes, identity3a, readable } from "../testing/published.ts";
import { encodePacket, type JsonObject, parsePacket } from "../wire/index.ts";
import { type AddressedAck, encodeAck, parseAck } from "./acknowledgement.ts";
import { encodeForwardHeader, forwardPair } from "./forward.ts";
import { encodePart, type ForwardSeal, openPart, type Part, parsePart } from "./inner.ts";
import { openFromContact } from "./open.ts";
import { sealSeeded } from "./seal.ts";

const FILE = fileURLToPath(new URL("../../../../protocol/vectors/mail-forward.json", import.meta.url));
const CSID = 0x3a;
const crypto = createCrypto(portable);

interface Vectors {
  about: string;
  /** Secrets of cipher set 3a: those of mail.json. */
  alice: string;
  bob: string;
  /** Bob's key for Alice. */
  forward: { secret: string; key: string };
  acknowledgement: Message;
  mail: Message;
  /** Inner packets that are refused: by whoever reads the head ("parse"), or by whoever has the forward key ("open"). */
  reject: { why: string; by: "parse" | "open"; inner: string }[];
}
interface Message {
  seed: string;
  generation: number;
  content: unknown;
  inner: string;
  sealed: string;
}

function make(): Vectors {
  const [alice, bob] = [identity3a(counting(0x01)), identity3a(counting(0x41))];
  const forward = forwardPair(portable, () => counting(0x71));
  const older = "0bad0bad0bad0bad";
  const part: Part = {
    head: { from: alice.hashname, to: bob.hashname, epoch: "a11ce00000000001", seq: 5, part: 0, of: 1, floor: 4 },
    envelope: {
      id: toHex(counting(0xd0).slice(0, 16)),
      after: [],
      time: 1_700_000_120_000,
      expires: 1_701_209_720_000,
      kind: "text",
      content: utf8("For your eyes, and only for a while."),
    },
  };
  const ack: AddressedAck = {
    from: bob.hashname,
    to: alice.hashname,
    by: "b0b0000000000001",
    ownEpoch: "b0b0000000000001",
    floor: 1,
    reports: [{ epoch: "a11ce00000000001", floor: 4, ranges: [], unfinished: [] }],
    keys: { ring: "b0b0000000000002", turn: 7, keys: [toHex(forward.key), `${older}${"00".repeat(24)}`] },
    uses: ["a11ce00000000003"],
  };
  const forwarding = { key: toHex(forward.key), uses: [older] };
  const seal: ForwardSeal = { forwarding, seed: portable.sha256(utf8("forward mail")), generation: 0 };
  const inner = encodePart(crypto, CSID, alice, part, seal);
  const message = (from: Identity, seed: Uint8Array, content: unknown, packet: Uint8Array): Message => {
    const to = from === alice ? bob : alice;
    const sealed = sealSeeded(crypto, from, to.keys, { seed, recipient: to.hashname, generation: 0, inner: packet });
    return {
      seed: toHex(seed),
      generation: 0,
      content: readable(content),
      inner: toHex(packet),
      sealed: toHex(sealed ?? expect.fail("not sealed")),
    };
  };
  const packet = parsePacket(inner) ?? expect.fail();
  const changed = (head: JsonObject, body = packet.body) => toHex(encodePacket({ ...packet.json, ...head }, body));
  const flipped = packet.body.slice();
  flipped[0] = (flipped[0] ?? 0) ^ 1;
  const one = new Uint8Array(32);
  one[0] = 1; // a point of low order
  const open = (why: string, packetHex: string) => ({ why, by: "open" as const, inner: packetHex });
  const parse = (why: string, packetHex: string) => ({ why, by: "parse" as const, inner: packetHex });
  return {
    about:
      "protocol/forward.md: an acknowledgement that tells forward keys, and a mail sealed to the newest of them, under " +
      "cipher set 3a. All bytes are hex; `reject` are inner packets refused for their head, or by the forward key. Made " +
      "by packages/restante/src/mail/forward-vectors.test.ts.",
    alice: toHex(counting(0x01)),
    bob: toHex(counting(0x41)),
    forward: { secret: toHex(forward.secret), key: toHex(forward.key) },
    acknowledgement: message(bob, portable.sha256(utf8("forward acknowledgement")), ack, encodeAck(crypto, CSID, ack)),
    mail: message(alice, seal.seed, part, inner),
    reject: [
      parse("no header", changed({ hdr: undefined })),
      parse("a header that is no text", changed({ hdr: 1 })),
      parse("a header in upper case", changed({ hdr: String(packet.json?.["hdr"]).toUpperCase() })),
      parse("a header with another length", changed({ hdr: String(packet.json?.["hdr"]).slice(0, -2) })),
      parse("a header in suite static", changed({ suite: "static" })),
      parse("a hello", changed({ type: "hello" })),
      open("another number", changed({ seq: 6 })),
      open("another floor", changed({ floor: 5 })),
      open("one more field", changed({ later: 1 })),
      open("another byte of ciphertext", changed({}, flipped)),
      open("a byte less of ciphertext", changed({}, packet.body.slice(0, -1))),
      open("no ciphertext", changed({}, new Uint8Array(0))),
      open("a one-time key of low order", changed({ hdr: encodeForwardHeader(one, forwarding) })),
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

test("the published acknowledgement tells the key, and the published mail opens with it", () => {
  const { alice, bob, forward, acknowledgement, mail } = published();
  const [from, to] = [identity3a(hexBytes(alice)), identity3a(hexBytes(bob))];
  const ack = openFromContact(crypto, from, hexBytes(acknowledgement.sealed), to.keys) ?? expect.fail("does not open");
  expect(toHex(ack)).toBe(acknowledgement.inner);
  expect(readable(parseAck(ack))).toEqual(acknowledgement.content);
  expect(parseAck(ack)?.keys?.keys[0]).toBe(forward.key);
  const inner = openFromContact(crypto, to, hexBytes(mail.sealed), from.keys) ?? expect.fail("does not open");
  expect(toHex(inner)).toBe(mail.inner);
  expect(readable(opened(inner, forward))).toEqual(mail.content);
});

test("what must be refused is refused", () => {
  const { forward, reject } = published();
  for (const { why, by, inner } of reject) {
    if (by === "parse") expect(parsePart(hexBytes(inner)), why).toBeUndefined();
    else
      expect([parsePart(hexBytes(inner)) !== undefined, opened(hexBytes(inner), forward)], why).toEqual([
        true,
        undefined,
      ]);
  }
});

function opened(inner: Uint8Array, { key, secret }: Vectors["forward"]): Part | undefined {
  const part = parsePart(inner);
  const pair: KeyPair = { key: hexBytes(key), secret: hexBytes(secret) };
  return part !== undefined && "sealed" in part ? openPart(portable, pair, part) : expect.fail("not closed");
}
