import fc from "fast-check";
import type { Peer, Received, RestanteError } from "restante";
import { expect, test } from "vitest";
import { fileResponse } from "./file.ts";

const PIECE = 1000;

/** A file of that many pieces, that counts those which were read. */
function fileOf(pieces: number) {
  const read = { pieces: 0, isOver: false };
  const peer = {
    async *file() {
      try {
        for (let i = 0; i < pieces; i++) {
          read.pieces++;
          yield new Uint8Array(PIECE).fill(i);
        }
      } finally {
        read.isOver = true;
      }
    },
  } as unknown as Peer;
  return { peer, read, mail: { file: { size: pieces * PIECE, sha256: "aa" } } as unknown as Received };
}

/** Whatever could happen without anybody asking has happened. */
async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}

test("a file is read as fast as it is taken, and no further when its reader goes", async () => {
  const { peer, read, mail } = fileOf(1000);
  const reader = (await fileResponse(peer, mail, undefined)).body?.getReader();
  for (let taken = 1; taken <= 3; taken++) {
    await reader?.read();
    await settled();
    expect(read.pieces).toBeLessThanOrEqual(taken + 2);
  }
  await reader?.cancel();
  await settled();
  expect(read).toMatchObject({ isOver: true });
  expect(read.pieces).toBeLessThan(10);
});

test("behind the last byte that is asked for nothing is read", async () => {
  const { peer, read, mail } = fileOf(1000);
  const answer = await fileResponse(peer, mail, "bytes=1500-2999");
  const bytes = new Uint8Array(await answer.arrayBuffer());
  expect([bytes.length, bytes[0], bytes.at(-1)]).toEqual([1500, 1, 2]);
  expect(read).toEqual({ pieces: 3, isOver: true });
  expect(answer.headers.get("content-length")).toBe("1500");
});

test("whatever the header Range says, the bytes are those that the answer names, or none, with a code that is told", async () => {
  const { peer, mail } = fileOf(3);
  const size = 3 * PIECE;
  const all = new Uint8Array(size).map((_, i) => Math.floor(i / PIECE));
  const number = fc.oneof(
    fc.nat(2 * size),
    fc.constantFrom("", size - 1, size, 10 ** 14, 10 ** 16, "-1", "1.5", "0x1"),
  );
  const header = fc.oneof(
    fc.tuple(fc.constantFrom("bytes=", "bytes = ", "lines="), number, number).map(([unit, a, b]) => `${unit}${a}-${b}`),
    fc.string(),
  );
  await fc.assert(
    fc.asyncProperty(header, async (range) => {
      const answer = await fileResponse(peer, mail, range).catch((error: RestanteError) => error.code);
      if (typeof answer === "string") {
        expect(answer).toBe("bad-range");
        return;
      }
      const said = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(
        answer.headers.get("content-range") ?? `bytes 0-${size - 1}/${size}`,
      );
      const [first = -1, last = -1, whole] = (said ?? []).slice(1).map(Number);
      const bytes = Buffer.from(await answer.arrayBuffer());
      expect([answer.status === 206, whole]).toEqual([answer.headers.has("content-range"), size]);
      expect(bytes.equals(all.subarray(first, last + 1))).toBe(true);
      expect(answer.headers.get("content-length")).toBe(String(bytes.length));
    }),
  );
});
