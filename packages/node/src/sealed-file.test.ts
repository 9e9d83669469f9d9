import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { createCrypto, createIdentity, exportIdentity, type Identity, importIdentity } from "restante";
import {
  concat,
  cs1a,
  cs3a,
  encodeKeys,
  encodePacket,
  fromHex,
  hashnameOf,
  type Keys,
  sealMessage,
  toHex,
  utf8,
} from "restante/protocol";
import { describe, expect, test } from "vitest";
import { loadBackend } from "./crypto/best.ts";
import { openFile, type SealedFileOptions, sealFile } from "./sealed-file.ts";

const backend = await loadBackend(() => {});
const crypto = createCrypto(backend, [cs3a(backend)]);
const vectors = fileURLToPath(new URL("../../../protocol/vectors/sealed-file.json", import.meta.url));

/** Not random: the same bytes each time, others with each call. */
function counting(from: number): (length: number) => Uint8Array {
  let next = from;
  return (length) => Uint8Array.from({ length }, () => next++ & 0xff);
}
const identity = (from: number): Identity => createIdentity(crypto, counting(from));
const [alice, bob, carol] = [identity(1), identity(77), identity(180)];

async function* inPieces(bytes: Uint8Array, piece: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += piece) yield bytes.subarray(at, at + piece);
}
async function all(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const list: Uint8Array[] = [];
  for await (const each of pieces) list.push(each);
  return concat(...list);
}
const seal = (
  bytes: Uint8Array,
  { piece = 50_000, ...options }: Partial<SealedFileOptions> & { to: readonly Keys[]; piece?: number },
): Promise<Uint8Array> =>
  all(
    sealFile(inPieces(bytes, piece), {
      crypto,
      backend,
      random: counting(9),
      from: alice,
      time: 1_795_302_450_880,
      ...options,
    }),
  );
async function open(sealed: Uint8Array, who: Identity, piece = 50_000, by = crypto) {
  const { head, content } = await openFile(inPieces(sealed, piece), { crypto: by, backend, identity: who });
  return { head, bytes: await all(content) };
}

describe("a sealed file", () => {
  test("opens for each whom it is for, as it was, whatever its size and however its bytes come", async () => {
    const size = fc.oneof(fc.nat(300), fc.constantFrom(65_535, 65_536, 65_537, 131_072, 200_001));
    const piece = fc.constantFrom(1021, 65_552, 1_000_000);
    await fc.assert(
      fc.asyncProperty(size, piece, piece, async (length, there, back) => {
        const bytes = Uint8Array.from({ length }, (_, i) => (i * 7) & 0xff);
        const sealed = await seal(bytes, { to: [bob.keys, alice.keys], name: "film.mp4", piece: there });
        for (const who of [bob, alice]) {
          const opened = await open(sealed, who, back);
          expect(opened.head).toEqual({ from: alice.hashname, time: 1_795_302_450_880, name: "film.mp4", readers: 2 });
          expect(toHex(backend.sha256(opened.bytes))).toBe(toHex(backend.sha256(bytes)));
        }
      }),
      { numRuns: 15 },
    );
  });

  test("opens for nobody else, and does not say for whom it is", async () => {
    const sealed = await seal(utf8("hello"), { to: [bob.keys] });
    await expect(open(sealed, carol)).rejects.toMatchObject({ code: "not-for-us" });
    for (const { hashname } of [alice, bob]) expect(new TextDecoder("latin1").decode(sealed)).not.toContain(hashname);
  });

  test("that was changed, cut or continued anywhere is refused, and nothing but what was sealed comes out before", async () => {
    const bytes = new Uint8Array(70_000).map((_, i) => i & 0xff);
    const sealed = await seal(bytes, { to: [bob.keys] });
    const header = sealed.length - 70_000 - 32;
    const place = fc.oneof(fc.nat(header + 40), fc.nat(sealed.length - 1));
    await fc.assert(
      fc.asyncProperty(place, fc.constantFrom("change", "cut", "more"), async (at, how) => {
        const bad =
          how === "cut" ? sealed.slice(0, at) : how === "more" ? concat(sealed, sealed.slice(at)) : sealed.slice();
        if (how === "change") bad[at] = (bad[at] ?? 0) ^ 0x40;
        const out: Uint8Array[] = [];
        const run = async (): Promise<void> => {
          const { content } = await openFile(inPieces(bad, 9000), { crypto, backend, identity: bob });
          for await (const piece of content) out.push(piece);
        };
        await expect(run()).rejects.toMatchObject({ code: expect.stringMatching(/^(bad-sealed|not-for-us)$/) });
        const came = concat(...out);
        expect(toHex(came)).toBe(toHex(bytes.subarray(0, came.length)));
      }),
      { numRuns: 60 },
    );
  });

  test("of which a frame is missing, doubled or moved is refused, wherever it is cut", async () => {
    const frame = 64 * 1024;
    const sealed = await seal(new Uint8Array(3 * frame).fill(7), { to: [bob.keys] });
    const header = sealed.subarray(0, sealed.length - 3 * (frame + 16));
    const [first, second, last] = [0, 1, 2].map((n) =>
      sealed.subarray(header.length + n * (frame + 16)).subarray(0, frame + 16),
    ) as [Uint8Array, Uint8Array, Uint8Array];
    expect(toHex(concat(header, first, second, last))).toBe(toHex(sealed));
    for (const frames of [
      [first, second],
      [first, last],
      [second, last],
      [second, first, last],
      [first, first, second, last],
      [first, second, last, last],
      [],
    ])
      await expect(open(concat(header, ...frames), bob)).rejects.toMatchObject({ code: "bad-sealed" });
  });

  test("in the name of somebody else than who sealed it is refused", async () => {
    const forged = await seal(utf8("x"), { to: [bob.keys], from: { ...alice, pairs: carol.pairs } });
    await expect(open(forged, bob)).rejects.toMatchObject({ code: "not-for-us" });
  });

  test("any bytes at all are refused with one of two codes", async () => {
    const magic = utf8("restante sealed\n");
    const any = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.uint8Array({ maxLength: 200 }).map((tail) => concat(magic, Uint8Array.of(1, 2), tail)),
    );
    await fc.assert(
      fc.asyncProperty(any, async (bytes) => {
        await expect(open(bytes, bob)).rejects.toMatchObject({
          code: expect.stringMatching(/^(bad-sealed|not-for-us)$/),
        });
      }),
    );
  });

  test("names nobody when it shall not, and carries no name that is no plain one", async () => {
    const sealed = await seal(utf8("x"), { to: [bob.keys], from: carol, isAnonymous: true, name: "../../x" });
    expect((await open(sealed, bob)).head).toMatchObject({ from: undefined, name: undefined });
  });

  test("by a lower cipher set than both have is refused", async () => {
    const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
    const two = createCrypto(backend, [cs3a(backend), cs1a(backend)]);
    const made = (): Identity => {
      const pairs = new Map([...two.sets].map(([csid, set]) => [csid, set.generate(random)]));
      const keys = new Map([...pairs].map(([csid, { key }]) => [csid, key]));
      return { hashname: hashnameOf(backend, keys), keys, pairs };
    };
    const [from, to] = [made(), made()];
    const head = { type: "sealed", v: 1, from: from.hashname, to: to.hashname, keys: encodeKeys(from.keys), time: 7 };
    const inner = encodePacket(head, new Uint8Array(32));
    const by = (...csids: number[]): Uint8Array => {
      const keys = new Map([...to.keys].filter(([csid]) => csids.includes(csid)));
      const message = sealMessage(two, { from, to: keys, inner, random }) ?? new Uint8Array(0);
      const size = Uint8Array.of(message.length >> 8, message.length & 0xff);
      return concat(utf8("restante sealed\n"), Uint8Array.of(1, 1), size, message, new Uint8Array(16));
    };
    expect(by(0x1a).length).toBeGreaterThan(100);
    // By the higher one it gets as far as the content, which is none here.
    await expect(open(by(0x1a, 0x3a), to, 99, two)).rejects.toMatchObject({ code: "bad-sealed" });
    await expect(open(by(0x1a), to, 99, two)).rejects.toMatchObject({ code: "not-for-us" });
  });

  test("for nobody, or for too many, is not made", async () => {
    for (const to of [[], Array.from({ length: 65 }, () => bob.keys)])
      await expect(seal(utf8("x"), { to })).rejects.toMatchObject({ code: "bad-keys" });
    await expect(seal(utf8("x"), { to: [new Map([[0x3a, new Uint8Array(32)]])] })).rejects.toMatchObject({
      code: "bad-keys",
    });
  });

  test("is what the page says: the vector", async () => {
    const made = {
      about:
        "protocol/sealed-file.md: a file for two readers. All bytes are hex. Made by packages/node/src/sealed-file.test.ts.",
      readers: [bob, carol].map((each) => exportIdentity(each)),
      head: { from: alice.hashname, time: 1_795_302_450_880, name: "a.txt" },
      content: toHex(utf8("a letter\n")),
      sealed: toHex(await seal(utf8("a letter\n"), { to: [bob.keys, carol.keys], name: "a.txt" })),
    };
    if (process.env["WRITE_VECTORS"]) writeFileSync(vectors, `${JSON.stringify(made, null, 2)}\n`);
    const vector = JSON.parse(readFileSync(vectors, "utf8")) as typeof made;
    expect(made).toEqual(vector);
    for (const reader of vector.readers) {
      const who = importIdentity(crypto, reader);
      if (who === undefined) throw new Error("the identity cannot be read");
      const opened = await open(fromHex(vector.sealed) ?? new Uint8Array(0), who);
      expect(opened).toEqual({ head: { ...vector.head, readers: 2 }, bytes: fromHex(vector.content) });
    }
  });
});
