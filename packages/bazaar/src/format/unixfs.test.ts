import * as fc from "fast-check";
import { importer } from "ipfs-unixfs-importer";
import { concat, encodeVarint, equal, utf8 } from "restante/protocol";
import { expect, test } from "vitest";
import {
  Assembly,
  type Cid,
  cidOf,
  encodeAddress,
  fromBase58,
  magicId,
  type PeerId,
  parseAddress,
  pointerKey,
  pointerKeyOfDigest,
  showAddress,
  split,
  toBase58,
} from "./index.ts";

const all = Uint8Array.from({ length: 900_000 }, (_, i) => (i * 7 + (i >> 8)) % 251);
const content = (size: number) => all.subarray(0, size);
const rootOf = (blocks: readonly { cid: Cid }[]) => blocks[0]?.cid as Cid;

test("[D24][D25][D26] contents of any size become the blocks that IPFS makes of them, also above 256 KiB", async () => {
  const kept = new Map<string, Uint8Array>();
  const blockstore = {
    put: async (cid: { toString(): string }, bytes: Uint8Array) => {
      kept.set(cid.toString(), bytes);
      return cid;
    },
  };
  for (const size of [0, 1, 1000, 262_143, 262_144, 262_145, 700_000]) {
    const options = { cidVersion: 0, rawLeaves: false, reduceSingleLeafToSelf: true, maxChunkSize: 262_144 } as const;
    let root = "";
    kept.clear();
    for await (const { cid } of importer([{ content: content(size) }], blockstore as never, options))
      root = cid.toString();
    const blocks = split(content(size));
    expect(rootOf(blocks), `${size} bytes`).toBe(root);
    for (const { cid, bytes } of blocks) expect(cidOf(bytes)).toBe(cid);
    expect(blocks.length).toBe(kept.size);
  }
});

test("a content is put together from its blocks in any order, and a block that is not wanted changes nothing", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 900_000 }), fc.boolean(), (size, isBackwards) => {
      const blocks = split(content(size));
      const assembly = new Assembly(rootOf(blocks), size);
      const rest = new Map(blocks.map(({ cid, bytes }) => [cid, bytes]));
      while (assembly.wanted(1).length > 0) {
        expect(assembly.content()).toBeUndefined();
        expect(assembly.add(utf8("something else"))).toBe(false);
        const wanted = assembly.wanted(100);
        const cid = (isBackwards ? wanted.at(-1) : wanted[0]) as Cid;
        expect(assembly.add(rest.get(cid) ?? new Uint8Array())).toBe(true);
        expect(assembly.add(rest.get(cid) ?? new Uint8Array())).toBe(false);
      }
      expect(equal(assembly.content() ?? utf8("none"), content(size))).toBe(true);
      if (size > 0) {
        const small = new Assembly(rootOf(blocks), size - 1);
        small.add(blocks[0]?.bytes ?? new Uint8Array());
        expect(small.failed).toBe(true);
        expect(small.wanted(1)).toEqual([]);
      }
    }),
    { numRuns: 12 },
  );
});

test("the same chunk twice is one block, asked for once", () => {
  const twice = new Uint8Array(600_000);
  const blocks = split(twice);
  expect(blocks).toHaveLength(3); // root, the chunk of zeros that stands twice, and the rest
  const assembly = new Assembly(rootOf(blocks), twice.length);
  for (const { bytes } of blocks) expect(assembly.add(bytes)).toBe(true);
  expect(equal(assembly.content() ?? utf8("none"), twice)).toBe(true);
});

const number = (field: number, value: number) => concat(encodeVarint(field * 8), encodeVarint(value));
const bytes = (field: number, value: Uint8Array) =>
  concat(encodeVarint(field * 8 + 2), encodeVarint(value.length), value);
const file = (...parts: Uint8Array[]) => bytes(1, concat(Uint8Array.of(8, 2), ...parts));
const link = (cid: Cid) => bytes(2, concat(bytes(1, fromBase58(cid) ?? new Uint8Array()), number(3, 1)));

test("trees that lie, explode or lead nowhere are given up, within bounds", () => {
  const leaf = file(bytes(2, utf8("x")), number(3, 1));
  const branch = (count: number, size: number, child: Uint8Array) => {
    const links = Array.from({ length: count }, () => link(cidOf(child)));
    const sizes = Array.from({ length: count }, () => number(4, size));
    return concat(...links, file(number(3, count * size), ...sizes));
  };
  const one = branch(174, 1, leaf);
  const two = branch(174, 174, one);
  const three = branch(174, 174 * 174, two);
  const four = branch(10, 174 ** 3, three);
  const run = (blocks: Uint8Array[], limit: number) => {
    const assembly = new Assembly(cidOf(blocks[0] ?? new Uint8Array()), limit);
    for (const block of blocks) assembly.add(block);
    return assembly;
  };
  expect(run([one, leaf], 1000).content()).toEqual(utf8("x".repeat(174)));
  for (const bomb of [
    [two, one, leaf], // 30,276 leaves of one byte each
    [three, two, one, leaf],
    [four, three, two, one, leaf],
  ]) {
    const assembly = run(bomb, 1e9);
    expect(assembly.content()?.length ?? 0).toBeLessThan(1e6);
  }
  expect(run([three, two, one, leaf], 10_000_000).failed).toBe(true);
  for (const liar of [
    concat(link(cidOf(leaf)), file(number(3, 2), number(4, 2))), // the leaf says 1
    concat(link(cidOf(leaf)), file(number(3, 5), number(4, 1))),
    concat(link(cidOf(leaf)), file(number(3, 0), number(4, 0))),
    concat(link(cidOf(leaf)), file(bytes(2, utf8("y")), number(3, 2), number(4, 1))),
    file(bytes(2, utf8("y")), number(3, 2)),
    concat(link(cidOf(leaf)), file(number(3, 0))),
    bytes(1, Uint8Array.of(8, 1)), // a directory
    utf8("no block at all"),
    new Uint8Array(),
  ]) {
    const assembly = run([liar, leaf], 1000);
    expect(assembly.failed || assembly.content() === undefined).toBe(true);
    expect(assembly.failed).toBe(true);
  }
});

test("no block makes an assembly throw", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 4 }), (blocks) => {
      const assembly = new Assembly(cidOf(blocks[0] ?? new Uint8Array()), 100);
      for (const block of blocks) assembly.add(block);
      assembly.content();
    }),
  );
});

test("[D34][D38][X37] addresses name a content, or a URL; nothing else is one", () => {
  const cid = rootOf(split(utf8("x")));
  const url = "https://example.org/outbox/0123?dl=1";
  for (const address of [{ type: "ipfs", cid } as const, { type: "https", url } as const])
    expect(parseAddress(encodeAddress(address))).toEqual(address);
  expect(showAddress({ type: "ipfs", cid })).toBe(`/ipfs/${cid}`);
  expect(showAddress({ type: "https", url })).toMatch(/^\/ipfs\/[1-9A-Za-z]+\/https$/);
  for (const bad of [
    "ftp://x",
    "javascript:alert(1)",
    "https://",
    "https://a b",
    "https://é",
    `https://${"x".repeat(600)}`,
  ])
    expect(parseAddress(encodeAddress({ type: "https", url: bad })), bad).toBeUndefined();
  // Another hash, another length, another protocol, something behind it.
  const good = encodeAddress({ type: "ipfs", cid });
  expect(parseAddress(Uint8Array.of(0xa5, 3, 22, 0x11, 20, ...new Uint8Array(20)))).toBeUndefined();
  expect(parseAddress(Uint8Array.of(0xa5, 3, 33, 0x12, 32, ...new Uint8Array(31)))).toBeUndefined();
  expect(parseAddress(Uint8Array.of(4, ...good.subarray(2)))).toBeUndefined();
  expect(parseAddress(Uint8Array.of(...good, 6))).toBeUndefined();
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (any) => void parseAddress(any)));
});

test("[D35][D37][X12] a pointer lies below a hash of the first 14 bits of its recipient's id", () => {
  const id = "Qmdo6RpKtSqk73gUwaiaPkq6gWk49y3NCPCQbVsM9XTma3" as PeerId; // openbazaar-go's
  expect(toBase58(pointerKey(id))).toBe("QmbQ7q7Q7o4Pmq7nx6jmEvgpEs6RoKk8Z5S1ZSNryG8v6T");
  const digest = fromBase58(id)?.slice(2) ?? new Uint8Array();
  digest[1] = (digest[1] ?? 0) ^ 0x03; // bits 15 and 16
  expect(pointerKeyOfDigest(digest, 14)).toEqual(pointerKey(id));
  digest[1] = (digest[1] ?? 0) ^ 0x04; // bit 14
  expect(pointerKeyOfDigest(digest, 14)).not.toEqual(pointerKey(id));
});

test("[D39] a magic id is twelve zero bytes and the beginning of the ciphertext's hash", () => {
  const id = magicId(utf8("some ciphertext"));
  expect(id).toHaveLength(34);
  expect(id.subarray(2, 14)).toEqual(new Uint8Array(12));
  expect(magicId(utf8("another"))).not.toEqual(id);
  expect(toBase58(magicId(utf8("a")))).toBe("QmNLei78zWmzUdbeRB62RBSjANJi2w6rtEvfuQE3yAAMhZ"); // openbazaar-go's
});
