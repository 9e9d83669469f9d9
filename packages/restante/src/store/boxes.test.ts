import { expect, test } from "vitest";
import { boxStoreSuite } from "../testing/box-store-suite.ts";
import { memoryBoxStore } from "./boxes.ts";

for (const { name, run } of boxStoreSuite((limits) => memoryBoxStore(limits))) test(`memory box store: ${name}`, run);

test("[C6] bytes are overwritten when a message is removed, pushed out, expires or is refused", () => {
  const store = memoryBoxStore({ box: 3000 });
  const put = (bytes: Uint8Array, expires = 100): Uint8Array => {
    store.handle(
      { type: "put", op: 1, recipient: "r", box: "b", id: `${bytes.length}`, bytes, expires, class: "contact" },
      0,
    );
    return bytes;
  };
  const removed = put(new Uint8Array(1100).fill(1));
  store.handle({ type: "remove", op: 1, recipient: "r", box: "b", id: "1100" }, 0);
  const evicted = put(new Uint8Array(1200).fill(1));
  const expired = put(new Uint8Array(2000).fill(1), 50);
  const refused = put(new Uint8Array(3001).fill(1));
  expect(store.stats()).toMatchObject({ evicted: 1, refused: 1, messages: 1 });
  store.handle({ type: "sweep", op: 1 }, 50);
  for (const bytes of [removed, evicted, expired, refused]) expect(bytes.every((byte) => byte === 0)).toBe(true);
});

test("[C5] statistics are sums and name nobody", () => {
  const store = memoryBoxStore();
  const put = {
    type: "put",
    op: 1,
    recipient: "recipient",
    box: "box",
    id: "id",
    bytes: new Uint8Array(9),
    expires: 100,
    class: "contact",
  } as const;
  store.handle(put, 0);
  const stats = store.stats();
  expect(stats).toMatchObject({ recipients: 1, boxes: 1, messages: 1, bytes: 9, gained: 1 });
  for (const value of Object.values(stats)) expect(typeof value).toBe("number");
});
