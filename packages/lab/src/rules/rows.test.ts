/** Rows that need every cipher set there is, or a look at the memory of the process. */
import { Session } from "node:inspector/promises";
import { loadBackend } from "@restante/node";
import {
  type Backend,
  type CipherSet,
  createCrypto,
  createIdentity,
  cs3a,
  Exchange,
  encodePacket,
  type HandshakeMessage,
  type Identity,
  openMessage,
  sealMessage,
} from "restante/protocol";
import { Chance } from "restante/testing";
import { beforeAll, describe, expect, test } from "vitest";
import { everySet } from "../cipher-sets.ts";

const { random } = new Chance(1);
const MAX_AT = 2n ** 64n - 1n;
const NOW = 1_700_000_000_000;
let backend: Backend;
let sets: CipherSet[];

beforeAll(async () => {
  backend = await loadBackend(() => {});
  sets = everySet(backend);
});

describe("sizes of handshakes", () => {
  test("[B8] a key handshake has between 70 and 1100 bytes in every cipher set, always the same number", () => {
    const sizes = (csids?: readonly number[]) =>
      sets.map(({ csid }) => [csid.toString(16), ...begin(csid, identity(csids ?? [csid]), [])]);
    expect(sizes()).toEqual([
      ["1a", 85],
      ["2a", 845],
      ["3a", 155],
    ]);
    const withTwoMoreKeys = sizes([0x1a, 0x2a, 0x3a]);
    expect(withTwoMoreKeys).toEqual([
      ["1a", 205],
      ["2a", 965],
      ["3a", 275],
    ]);
    for (const [, size] of withTwoMoreKeys) {
      expect(size).toBeGreaterThanOrEqual(70);
      expect(size).toBeLessThanOrEqual(1100);
    }
  });

  test("[A12] [X6] of every type, in every cipher set, with any content: less than 1400 bytes, or refused to the caller", () => {
    for (const { csid } of sets) {
      const from = identity([0x1a, 0x2a, 0x3a]);
      for (const type of ["key", "uri", "jwt", "tx"] as const) {
        const size = (length: number): number | undefined => {
          const text = "x".repeat(length);
          const message: HandshakeMessage =
            type === "jwt" || type === "tx"
              ? { type, json: {}, body: new Uint8Array(length) }
              : { type, json: type === "uri" ? { uri: text } : { text }, body: new Uint8Array(0) };
          try {
            return Math.max(...begin(csid, from, [message]));
          } catch (error) {
            expect(error).toMatchObject({ code: "handshake-size" });
            return undefined;
          }
        };
        // From the first length that is refused on all are; the one before makes the longest packet there is.
        let [fits, tooLong] = [1, 1400];
        while (tooLong - fits > 1) {
          const middle = (fits + tooLong) >> 1;
          if (size(middle) === undefined) tooLong = middle;
          else fits = middle;
        }
        expect([csid, type, size(fits), size(tooLong)]).toEqual([csid, type, 1399, undefined]);
        for (const length of [1, fits - 1]) expect(size(length)).toBeLessThan(1399);
        expect(size(65_000)).toBeUndefined();
      }
      // What comes from cards of others, 400 bytes as JSON, must always fit.
      const uri = { type: "uri", json: { uri: "x".repeat(398) }, body: new Uint8Array(0) };
      expect(Math.max(...begin(csid, from, [uri], MAX_AT - 1n))).toBeLessThan(1400);
    }
  });

  const remotes = new Map<number, Pick<Identity, "hashname" | "keys">>();

  function identity(csids: readonly number[]): Identity {
    return createIdentity(createCrypto(backend, sets), random, csids);
  }

  /** The sizes of the packets with which an exchange in this set begins; the messages besides the key message are given. */
  function begin(csid: number, from: Identity, extra: readonly HandshakeMessage[], at = 1_700_000_000n): number[] {
    const { hashname, keys } = remotes.get(csid) ?? identity([csid]);
    remotes.set(csid, { hashname, keys });
    const exchange = new Exchange({
      crypto: createCrypto(backend, sets),
      identity: from,
      remote: { hashname, csid, key: keys.get(csid) ?? new Uint8Array(0) },
      random,
      handles: () => 1,
      nextAt: () => at - (at & 1n),
      extra,
    });
    return exchange.handle({ type: "start" }, NOW).map((out) => (out.type === "send" ? out.bytes.length : 0));
  }
});

test("[A8] opening a message keeps nothing of it: after thousands from as many exchanges memory is what it was", async () => {
  const set = cs3a(backend);
  const crypto = createCrypto(backend, [set]);
  const [alice, bob] = [createIdentity(crypto, random), createIdentity(crypto, random)];
  const once = (): number => {
    const inner = encodePacket({ type: "chat" }, new Uint8Array(INNER));
    const outer = sealMessage(crypto, { from: alice, to: bob.keys, inner, random });
    const [opened, key] = [outer && openMessage(crypto, bob, outer), alice.keys.get(set.csid)];
    if (key === undefined || !opened?.verify(key)) throw new Error("it does not open");
    return opened.inner.length;
  };
  once();
  const before = await liveBytes();
  let opened = 0;
  for (let i = 0; i < MESSAGES; i++) opened += once();
  expect(opened).toBeGreaterThan(MESSAGES * INNER);
  expect((await liveBytes()) - before).toBeLessThan(10 * INNER);
  // The measure sees what is kept.
  const kept = Array.from({ length: 20 }, () => random(INNER));
  expect((await liveBytes()) - before).toBeGreaterThan(10 * INNER);
  expect(kept).toHaveLength(20);
});

/** Bytes in all live buffers, after a collection of garbage. */
async function liveBytes(): Promise<number> {
  const inspector = new Session();
  inspector.connect();
  try {
    const { result } = await inspector.post("Runtime.evaluate", { expression: "ArrayBuffer.prototype" });
    const { objects } = await inspector.post("Runtime.queryObjects", { prototypeObjectId: result.objectId ?? "" });
    const sum = await inspector.post("Runtime.callFunctionOn", {
      objectId: objects.objectId ?? "",
      functionDeclaration: "function () { return this.reduce((sum, { byteLength }) => sum + byteLength, 0); }",
      returnByValue: true,
    });
    return Number(sum.result.value);
  } finally {
    inspector.disconnect();
  }
}

const INNER = 20_000;
const MESSAGES = 1_000; // of which 1024 shared secrets may be remembered, 32 bytes each
