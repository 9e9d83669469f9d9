import { readFileSync } from "node:fs";
import fc from "fast-check";
import { fromHex, toHex } from "restante/protocol";
import { describe, expect, test } from "vitest";
import {
  encodePointerAnswer,
  encodePointerRequest,
  isMagicId,
  PAGE_POINTERS,
  type PointerRecord,
  parsePointerAnswer,
  parsePointerRequest,
} from "./dht.ts";
import { multihash } from "./ids.ts";
import { encodeAddress, magicId } from "./pointer.ts";

interface Vector {
  readonly addProviderHex: string;
  readonly getProvidersHex: string;
  readonly magicPeerIdMultihashHex: string;
  readonly addrBytesHex: string;
}
const file = new URL("../../../../vectors/openbazaar/pointers.json", import.meta.url);
const { vectors } = JSON.parse(readFileSync(file, "utf8")) as { vectors: Vector[] };
const bytes = (hex: string): Uint8Array => fromHex(hex) ?? new Uint8Array(0);

describe("OpenBazaar's bytes", () => {
  test("[D36] [D38] [D39] its ADD_PROVIDER is read: the magic id, and the address of the ciphertext; and written the same", () => {
    expect(vectors.length).toBeGreaterThan(1);
    for (const vector of vectors) {
      const request = parsePointerRequest(bytes(vector.addProviderHex));
      expect(request).toMatchObject({ type: "add", pointer: { id: bytes(vector.magicPeerIdMultihashHex) } });
      expect(request).toMatchObject({ pointer: { address: bytes(vector.addrBytesHex) } });
      expect(request && toHex(encodePointerRequest(request))).toBe(vector.addProviderHex);
    }
  });

  test("its GET_PROVIDERS is read, and written the same", () => {
    for (const { getProvidersHex } of vectors) {
      const request = parsePointerRequest(bytes(getProvidersHex));
      expect(request?.type).toBe("get");
      expect(request && toHex(encodePointerRequest(request))).toBe(getProvidersHex);
    }
  });
});

const key = multihash(Uint8Array.of(1));
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
const address = encodeAddress({ type: "https", url: "https://example.org/box" });
const pointer: fc.Arbitrary<PointerRecord> = fc.record(
  {
    id: fc.uint8Array({ maxLength: 40 }).map(magicId),
    address: fc.constant(address),
    size: fc.integer({ min: 0, max: 2 ** 40 }),
    withdraw: hash,
    life: fc.integer({ min: 0, max: 604_800 }),
  },
  { requiredKeys: ["id", "address"] },
);

test("what is written is read again: requests and answers with all that we add", () => {
  const cursor = fc.uint8Array({ minLength: 1, maxLength: 64 });
  fc.assert(
    fc.property(fc.array(pointer, { maxLength: PAGE_POINTERS }), cursor, hash, (pointers, next, preimage) => {
      const page = { type: "pointers" as const, key, pointers, next };
      expect(parsePointerAnswer(encodePointerAnswer(page))).toEqual(page);
      for (const one of pointers.slice(0, 2)) {
        const add = { type: "add" as const, key, pointer: one };
        expect(parsePointerRequest(encodePointerRequest(add))).toEqual(add);
        const withdraw = { type: "withdraw" as const, key, id: one.id, preimage };
        expect(parsePointerRequest(encodePointerRequest(withdraw))).toEqual(withdraw);
      }
      const get = { type: "get" as const, key, cursor: next };
      expect(parsePointerRequest(encodePointerRequest(get))).toEqual(get);
    }),
  );
  for (const status of ["done", "full", "gone", "unknown", "slow down"] as const) {
    const answer = { type: "status" as const, key, status };
    expect(parsePointerAnswer(encodePointerAnswer(answer))).toEqual(answer);
  }
});

test("no bytes make a parser throw, damaged ones neither", () => {
  const examples = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    pointer.map((one) => encodePointerRequest({ type: "add", key, pointer: one })),
  );
  fc.assert(
    fc.property(examples, fc.nat(), fc.nat({ max: 255 }), (example, at, value) => {
      const damaged = example.slice();
      if (damaged.length > 0) damaged[at % damaged.length] = value;
      const request = parsePointerRequest(damaged);
      parsePointerAnswer(damaged);
      if (request?.type === "add") expect(isMagicId(request.pointer.id)).toBe(true);
    }),
  );
});

test("only the admitted shapes: ids that are a peer's, several pointers, keys and hashes of another length are refused", () => {
  const good: PointerRecord = { id: magicId(Uint8Array.of(1)), address };
  const add = (change: Partial<PointerRecord>, below = key): Uint8Array =>
    encodePointerRequest({ type: "add", key: below, pointer: { ...good, ...change } });
  expect(parsePointerRequest(add({}))).toBeDefined();
  expect(parsePointerRequest(add({ id: multihash(Uint8Array.of(1)) }))).toBeUndefined();
  expect(parsePointerRequest(add({ address: Uint8Array.of(1, 2, 3) }))).toBeUndefined();
  expect(parsePointerRequest(add({ withdraw: new Uint8Array(31) }))).toBeUndefined();
  expect(parsePointerRequest(add({}, key.subarray(1)))).toBeUndefined();
  const two = encodePointerAnswer({ type: "pointers", key, pointers: [good, good] });
  two[1] = 2; // as ADD_PROVIDER
  expect(parsePointerRequest(two)).toBeUndefined();
  expect(parsePointerRequest(new Uint8Array(2000))).toBeUndefined();
});
