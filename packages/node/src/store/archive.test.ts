import fc from "fast-check";
import { portable } from "restante";
import { concat, fromHex, toHex, utf8 } from "restante/protocol";
import { describe, expect, test } from "vitest";
import { loadNative } from "../crypto/native.ts";
import { type ArchiveRecord, openArchive, sealArchive } from "./archive.ts";
import { isBearable, isSealedKey, openKey, sealKey, stretched } from "./passphrase.ts";

const backend = (await loadNative()) ?? portable;
const QUICK = { passes: 1, kibibytes: 8 };
const HEAD: ArchiveRecord = { type: "head", head: { hashname: "h", made: 7, version: "1.2.3" } };

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}
async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}
const sealed = async (records: readonly ArchiveRecord[], passphrase = "open sesame"): Promise<Uint8Array> =>
  concat(...(await all(sealArchive(each(records), passphrase, backend, QUICK))));
const opened = (bytes: Uint8Array, passphrase = "open sesame", piece = 10_000): Promise<ArchiveRecord[]> =>
  all(openArchive(each(cut(bytes, piece)), passphrase, backend));
const cut = (bytes: Uint8Array, piece: number): Uint8Array[] =>
  Array.from({ length: Math.ceil(bytes.length / piece) }, (_, i) => bytes.subarray(i * piece, (i + 1) * piece));
/** With digests for values: long ones take their time to compare. */
const short = (records: readonly ArchiveRecord[]): object[] =>
  records.map((it) => ("value" in it ? { ...it, value: toHex(backend.sha256(it.value)) } : it));
const entry = (key: string, value: Uint8Array): ArchiveRecord => ({ type: "entry", key, value });

describe("an archive", () => {
  test("gives back what went in, however its bytes come", async () => {
    const key = fc.string({ maxLength: 30 });
    const value = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.nat(150_000).map((n) => new Uint8Array(n).fill(n)),
    );
    const record = fc.oneof(
      fc.record({ type: fc.constant("entry" as const), key, value }),
      fc.record({ type: fc.constant("file" as const), key, value }),
      fc.record({ type: fc.constant("blob" as const), key, index: fc.nat(2 ** 32 - 1), value }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(record, { maxLength: 6 }),
        fc.integer({ min: 1, max: 200_000 }),
        async (some, piece) => {
          const records = [HEAD, ...some];
          expect(short(await opened(await sealed(records), undefined, Math.max(piece, 50)))).toEqual(short(records));
        },
      ),
      { numRuns: 30 },
    );
  });

  test("whose stream fills its frames to the last byte is whole, too", async () => {
    const rest = 64 * 1024 - 7 - utf8(JSON.stringify(HEAD.type === "head" ? HEAD.head : "")).length - 7 - 1;
    for (const length of [rest - 1, rest, rest + 1, rest + 64 * 1024]) {
      const records = [HEAD, entry("a", new Uint8Array(length))];
      expect(short(await opened(await sealed(records)))).toEqual(short(records));
    }
  });

  test("that was cut, anywhere, or longer, is refused", async () => {
    const bytes = await sealed([HEAD, ...["a", "b", "c"].map((key) => entry(key, new Uint8Array(60_000)))]);
    const frame = 64 * 1024 + 16;
    const ends = [
      0,
      1,
      47,
      48,
      49,
      63,
      64,
      48 + frame - 1,
      48 + frame,
      48 + frame + 1,
      48 + 2 * frame,
      bytes.length - 1,
    ];
    for (const end of ends)
      await expect(opened(bytes.subarray(0, end))).rejects.toMatchObject({ code: expect.stringMatching(/^bad-/) });
    await expect(opened(concat(bytes, Uint8Array.of(0)))).rejects.toMatchObject({ code: "bad-archive" });
    await expect(opened(concat(bytes, bytes))).rejects.toMatchObject({ code: "bad-archive" });
  });

  test("of which any byte was changed is refused", async () => {
    const bytes = await sealed([HEAD, entry("a", new Uint8Array(70_000)), entry("b", utf8("last"))]);
    const places = [
      ...Array.from({ length: 70 }, (_, i) => i),
      1000,
      48 + 64 * 1024 + 15,
      bytes.length - 30,
      bytes.length - 1,
    ];
    for (const at of places) {
      const changed = bytes.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      // More memory than before, and another one for a passphrase: nothing of it opens.
      await expect(opened(changed)).rejects.toMatchObject({ code: expect.stringMatching(/^bad-/) });
    }
  });

  test("with frames in another order, left out, or of another archive is refused", async () => {
    const frame = 64 * 1024 + 16;
    const bytes = await sealed([HEAD, entry("a", new Uint8Array(250_000))]);
    const other = await sealed([HEAD, entry("a", new Uint8Array(250_000))]);
    const part = (of: Uint8Array, i: number): Uint8Array => of.subarray(48 + i * frame, 48 + (i + 1) * frame);
    const header = bytes.subarray(0, 48);
    for (const frames of [[0, 2, 1, 3], [0, 1, 3], [0, 1, 1, 2, 3], [0, 1, 2], [0]])
      await expect(opened(concat(header, ...frames.map((i) => part(bytes, i))))).rejects.toMatchObject({
        code: "bad-archive",
      });
    await expect(
      opened(concat(header, part(bytes, 0), part(other, 1), part(bytes, 2), part(bytes, 3))),
    ).rejects.toMatchObject({ code: "bad-archive" });
  });

  test("under another passphrase says so, and nothing of it is given", async () => {
    const bytes = await sealed([HEAD, entry("a", utf8("secret"))]);
    await expect(opened(bytes, "open sesam")).rejects.toMatchObject({ code: "bad-passphrase" });
    expect(Buffer.from(bytes).includes("secret")).toBe(false);
  });

  test("that asks for hours of work, or for all memory, is refused before any is done", async () => {
    const bytes = await sealed([HEAD]);
    for (const [at, value] of [
      [18, 0xff],
      [20, 0xff],
    ] as const) {
      const greedy = bytes.slice();
      greedy[at] = value;
      await expect(opened(greedy)).rejects.toMatchObject({
        code: "bad-archive",
        message: expect.stringContaining("work"),
      });
    }
  });

  test("of records in no order, or of a kind that is not known, is refused", async () => {
    for (const records of [[], [entry("a", utf8("1"))], [HEAD, HEAD], [entry("a", utf8("1")), HEAD]])
      await expect(opened(await sealed(records))).rejects.toMatchObject({ code: "bad-archive" });
    const unknown = { type: "later", key: "", value: new Uint8Array(0) } as unknown as ArchiveRecord;
    await expect(opened(await sealed([HEAD, unknown]))).rejects.toMatchObject({ code: "bad-archive" });
  });
});

describe("a passphrase", () => {
  test("gives the bytes of argon2id, in native code and in JavaScript", async () => {
    const { argon2id } = await import("@noble/hashes/argon2.js");
    for (const [passes, kibibytes] of [
      [1, 8],
      [2, 1024],
      [3, 100],
    ] as const) {
      const salt = utf8("somesalt12345678");
      const slow = argon2id(utf8("password"), salt, { t: passes, m: kibibytes, p: 1, dkLen: 32 });
      expect(toHex(await stretched("password", salt, { passes, kibibytes }))).toBe(toHex(slow));
    }
  });

  test("is the same however its letters are composed, and none when it is empty or endless", async () => {
    const salt = new Uint8Array(16);
    expect(await stretched("caf\u00e9", salt, QUICK)).toEqual(await stretched("cafe\u0301", salt, QUICK));
    for (const bad of ["", "x".repeat(1025)])
      await expect(stretched(bad, salt, QUICK)).rejects.toMatchObject({ code: "bad-passphrase" });
    expect(isBearable({ passes: 1.5, kibibytes: 8 })).toBe(false);
  });

  test("keeps a store key; another one, or a changed file, gives none", async () => {
    const key = fromHex("07".repeat(32)) ?? new Uint8Array(0);
    const file = await sealKey(portable, key, "correct horse", QUICK);
    expect(isSealedKey(file)).toBe(true);
    expect(await openKey(portable, file, "correct horse")).toEqual(key);
    await expect(openKey(portable, file, "wrong horse")).rejects.toMatchObject({ code: "bad-passphrase" });
    const text = Buffer.from(file).toString();
    expect(text).not.toContain("07".repeat(8));
    for (const [what, by] of [
      ['"passes": 1', '"passes": 2'],
      ['"sealed": "', '"sealed": "00'],
      ['"v": 1', '"v": 2'],
      ['"kibibytes": 8', '"kibibytes": 99999999'],
    ] as const) {
      expect(text).toContain(what);
      await expect(openKey(portable, utf8(text.replace(what, by)), "correct horse")).rejects.toMatchObject({
        code: expect.stringMatching(/^(bad-passphrase|store-key)$/),
      });
    }
    for (const other of [key, utf8("{"), utf8("{}"), utf8("null")]) expect(isSealedKey(other)).toBe(false);
  });
});
