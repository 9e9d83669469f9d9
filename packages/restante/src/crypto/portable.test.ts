import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { concat, fromBase32, fromHex, toHex } from "../bytes/index.ts";
import { backendSuite } from "../testing/backend-suite.ts";
import { portable } from "./index.ts";

for (const { name, run } of backendSuite(() => portable)) test(name, run);

interface SipHashVectors {
  box_ids: { sender: string; recipient: string; expect: string; messages: { message: string; expect: string }[] }[];
}
const VECTORS = new URL("../../../../vectors/telehash/siphash.json", import.meta.url);

test("SipHash gives libsodium's ids of boxes and messages", () => {
  const vectors = JSON.parse(readFileSync(VECTORS, "utf8")) as SipHashVectors;
  expect(vectors.box_ids.length).toBeGreaterThan(0);
  for (const { sender, recipient, expect: id, messages } of vectors.box_ids) {
    const box = portable.siphash(bytes(fromBase32(sender)).subarray(0, 16), bytes(fromBase32(recipient)));
    expect(toHex(box)).toBe(id);
    for (const { message, expect: messageId } of messages)
      expect(toHex(portable.siphash(concat(box, box), bytes(fromHex(message))))).toBe(messageId);
  }
});

function bytes(parsed: Uint8Array | undefined): Uint8Array {
  if (parsed === undefined) throw new Error("the vector is not what it says");
  return parsed;
}
