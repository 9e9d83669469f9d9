/**
 * Our own additions to OpenBazaar's messages, from fixed secrets: protocol/vectors/bazaar.json. What is OpenBazaar's own has its
 * vectors in vectors/openbazaar. When the format is meant to change, WRITE_VECTORS=1 in the environment of this test writes the
 * file anew; then `npm run format`.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { sha256 } from "@noble/hashes/sha2.js";
import { concat, fromHex, toHex, utf8 } from "restante/protocol";
import { expect, test } from "vitest";
import {
  chatMessage,
  encodeAddress,
  encodeEnvelope,
  encodeMessage,
  encodePointerRequest,
  encrypt,
  extend,
  identityFromSeed,
  innerId,
  type Message,
  magicId,
  open,
  parseEnvelope,
  parseMessage,
  pointerKey,
  sealedMessage,
  split,
} from "./index.ts";

const FILE = fileURLToPath(new URL("../../../../protocol/vectors/bazaar.json", import.meta.url));
const hex = (text: string): Uint8Array => fromHex(text) ?? new Uint8Array();
const bytes = (first: number, length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (first + i) & 255);

interface Sealed {
  what: string;
  /** The Message with its extension, as it is signed. */
  message: string;
  envelope: string;
  ephemeral: string;
  nonce: string;
  /** The outbox file. */
  ciphertext: string;
}

interface Vectors {
  about: string;
  /** Seeds of Ed25519, and the ids that they make. */
  alice: { seed: string; id: string };
  bob: { seed: string; id: string };
  /** From Alice to Bob. */
  sealed: Sealed[];
  /** The pointer to the first of them: ADD_PROVIDER with our fields, and WITHDRAW. */
  pointer: { key: string; add: string; withdraw: string };
  innerId: { text: string; subject: string; seconds: number; nanos: number; id: string };
  /** Envelopes, signed by Alice, that Bob refuses. */
  reject: { why: string; envelope: string }[];
}

function make(): Vectors {
  const [alice, bob] = [identityFromSeed(bytes(0x01, 32)), identityFromSeed(bytes(0x41, 32))];
  const time = { seconds: 1_700_000_000, nanos: 120_000_000 };
  const extension = { recipient: bob.id, id: bytes(0xa0, 16), time: 1_700_000_000_120, preimage: bytes(0xc0, 32) };
  const chat = chatMessage({ text: "Hello, Bob", subject: "", time }) as Message;
  const sealed = (what: string, message: Message, first: number): Sealed => {
    const [ephemeral, nonce] = [bytes(first, 32), bytes(first + 32, 24)];
    const envelope = encodeEnvelope(alice, message);
    const draws = [ephemeral, nonce];
    return {
      what,
      message: toHex(encodeMessage(message)),
      envelope: toHex(envelope),
      ephemeral: toHex(ephemeral),
      nonce: toHex(nonce),
      ciphertext: toHex(encrypt(bob.publicKey, envelope, () => draws.shift() ?? new Uint8Array()) ?? new Uint8Array()),
    };
  };
  const first = sealed("a chat with the extension", extend(chat, extension), 0x10);
  const content = hex(first.ciphertext);
  const [root] = split(content);
  const key = pointerKey(bob.id);
  const pointer = {
    id: magicId(content),
    address: encodeAddress({ type: "ipfs", cid: root?.cid as never }),
    size: content.length,
    withdraw: sha256(extension.preimage),
  };
  const { preimage, ...bare } = extension;
  const wrong = extend(chat, { ...extension, recipient: alice.id });
  const unknown = extend(chat, extension).unknown ?? new Uint8Array();
  const context = hex(toHex(unknown).replace(toHex(utf8("restante/bazaar/1")), toHex(utf8("restante/bazaar/2"))));
  const refuse = (why: string, message: Message) => ({ why, envelope: toHex(encodeEnvelope(alice, message)) });
  return {
    about: "What Restante adds to OpenBazaar's messages: protocol/bazaar.md. All bytes are hex.",
    alice: { seed: toHex(bytes(0x01, 32)), id: alice.id },
    bob: { seed: toHex(bytes(0x41, 32)), id: bob.id },
    sealed: [
      first,
      sealed("a sealed Restante message", extend(sealedMessage(utf8("the sealed bytes")), extension), 0x50),
      sealed("without a preimage", extend(chat, bare), 0x90),
    ],
    pointer: {
      key: toHex(key),
      add: toHex(encodePointerRequest({ type: "add", key, pointer })),
      withdraw: toHex(encodePointerRequest({ type: "withdraw", key, id: pointer.id, preimage })),
    },
    innerId: {
      text: "Hello, Bob",
      subject: "",
      ...time,
      id: toHex(innerId({ from: alice.id, to: bob.id, text: "Hello, Bob", subject: "", time })),
    },
    reject: [
      refuse("it is for Alice", wrong),
      refuse("two extensions", { ...chat, unknown: concat(unknown, unknown) }),
      refuse("another context", { ...chat, unknown: context }),
      refuse("an id of 15 bytes", extend(chat, { ...extension, id: bytes(0, 15) })),
      refuse("a preimage of 31 bytes", extend(chat, { ...extension, preimage: bytes(0, 31) })),
    ],
  };
}

test("[X14][X28] what is published is what this code makes, and it opens", () => {
  const made = make();
  if (process.env["WRITE_VECTORS"]) writeFileSync(FILE, `${JSON.stringify(made, null, 2)}\n`);
  const published: Vectors = JSON.parse(readFileSync(FILE, "utf8"));
  expect(made).toEqual(published);
  const bob = identityFromSeed(hex(published.bob.seed));
  for (const { what, message, ciphertext, ephemeral, nonce, envelope } of published.sealed) {
    const opened = open(bob, hex(ciphertext));
    expect(opened?.from, what).toBe(published.alice.id);
    expect(toHex(opened?.signed ?? new Uint8Array())).toBe(message);
    expect(opened?.extension).toMatchObject({ recipient: bob.id, time: 1_700_000_000_120 });
    expect(parseMessage(hex(message))).toEqual(opened?.message);
    expect(ciphertext.startsWith(nonce) && ephemeral.length === 64 && envelope.length > message.length).toBe(true);
  }
  for (const { why, envelope } of published.reject) expect(parseEnvelope(hex(envelope), bob.id), why).toBeUndefined();
});
