/** What hostile peers send, by name, all the way through the recipient's machine: refused, counted, and without an answer. */
import { Chance } from "restante/testing";
import { describe, expect, test } from "vitest";
import {
  type Cid,
  chatMessage,
  decrypt,
  encodeAddress,
  encodeEnvelope,
  encrypt,
  extend,
  type Identity,
  identityFromSeed,
  type Message,
  magicId,
  offlineAck,
  pointerKey,
  seal,
  split,
  topicOf,
} from "../format/index.ts";
import { Retrieve, type RetrieveOutput } from "./retrieve.ts";

const { random } = new Chance(9);
const [me, alice, mallory] = [1, 2, 3].map((n) => identityFromSeed(new Uint8Array(32).fill(n))) as [
  Identity,
  Identity,
  Identity,
];
const T = 1_700_000_000_000;
const chat = chatMessage({ text: "hello", subject: "", time: { seconds: 1, nanos: 0 } }) as Message;
const topic = topicOf(pointerKey(me.id));

/** Everything that a recipient does with a content: that it heard, and that it fetched. */
function reads(content: Uint8Array): { outs: RetrieveOutput[]; refused: number } {
  const outs: RetrieveOutput[] = [];
  let refused = 0;
  for (const way of ["heard", "fetched"] as const) {
    const machine = new Retrieve({ identity: me, nodes: [] }, []);
    const started = machine.handle({ type: "start" }, T);
    if (way === "heard") outs.push(...machine.handle({ type: "heard", topic, data: content }, T));
    else {
      const lookup = started.find(({ type }) => type === "lookup") as Extract<RetrieveOutput, { type: "lookup" }>;
      const address = encodeAddress({ type: "ipfs", cid: split(content)[0]?.cid as Cid });
      const pointers = [{ id: magicId(content), address, size: content.length }];
      const found = machine.handle({ type: "found", id: lookup.id, pointers, last: { asked: 1 } }, T);
      const fetch = found.find(({ type }) => type === "fetch") as Extract<RetrieveOutput, { type: "fetch" }>;
      outs.push(...machine.handle({ type: "content", id: fetch.id, content }, T));
    }
    refused += machine.stats.refused;
  }
  return { outs, refused };
}

/** An envelope by hand: fields as they are given. */
function field(number: number, bytes: Uint8Array): number[] {
  return [(number << 3) | 2, ...lengthOf(bytes.length), ...bytes];
}
function lengthOf(length: number): number[] {
  return length < 128 ? [length] : [(length & 127) | 128, length >> 7];
}

describe("what cannot be a message is refused and counted, and its sender hears nothing", () => {
  test("[D49] blocks under 56 bytes, of every length", () => {
    for (let length = 0; length < 56; length++) {
      const block = random(length);
      expect(decrypt(me, block)).toBeUndefined();
      const { outs, refused } = reads(block);
      expect(refused).toBe(2);
      expect(outs.filter(({ type }) => type !== "save")).toEqual([]);
    }
  });

  test("an envelope that repeats its field 1: signed over one message, read as the other", () => {
    const honest = encodeEnvelope(alice, chat);
    const other = encodeEnvelope(mallory, chat);
    for (const envelope of [
      Uint8Array.from([...honest, ...field(1, random(20))]),
      Uint8Array.from([...field(1, random(20)), ...honest]),
      Uint8Array.from([...honest, ...other]),
    ]) {
      const { outs, refused } = reads(encrypt(me.publicKey, envelope, random) ?? new Uint8Array());
      expect(refused).toBe(2);
      expect(outs.filter(({ type }) => type !== "save")).toEqual([]);
    }
  });

  test("messages of types that nobody knows", () => {
    for (const type of [-1, 22, 499, 4711, 2 ** 31 - 1]) {
      const { outs, refused } = reads(seal(alice, me.publicKey, { type }, random) ?? new Uint8Array());
      expect(refused).toBe(2);
      expect(outs.filter((out) => out.type === "offer" || out.type === "acknowledge")).toEqual([]);
    }
  });

  test("[X28] a message that says that it is for somebody else", () => {
    const extended = extend(chat, { recipient: mallory.id, id: random(16), time: T });
    const { outs, refused } = reads(seal(alice, me.publicKey, extended, random) ?? new Uint8Array());
    expect(refused).toBe(2);
    expect(outs.filter(({ type }) => type !== "save")).toEqual([]);
  });

  test("[D47] an acknowledgement is passed on as its signer's, whoever it names, and gets none itself", () => {
    const magic = magicId(random(40));
    const { outs } = reads(seal(mallory, me.publicKey, offlineAck(magic), random) ?? new Uint8Array());
    const told = outs.filter(({ type }) => type === "acknowledged");
    expect(told).toEqual([
      { type: "acknowledged", from: mallory.id, magic },
      { type: "acknowledged", from: mallory.id, magic },
    ]);
    expect(outs.filter((out) => out.type === "acknowledge" || out.type === "offer")).toEqual([]);
  });
});
