import { identityFromSeed, type PeerId } from "@restante/bazaar/format";
import { memoryStore, type Store } from "restante";
import { describe, expect, test } from "vitest";
import { type ChatLimits, type ChatRecord, Conversations } from "./conversations.ts";

const [me, alice, mallory] = [1, 2, 3].map((n) => identityFromSeed(new Uint8Array(32).fill(n)).id) as [
  PeerId,
  PeerId,
  PeerId,
];
const DAY = 86_400_000;

async function open(store: Store, limits: Partial<ChatLimits> = {}): Promise<Conversations> {
  const conversations = new Conversations(store, me, limits);
  await conversations.load();
  return conversations;
}

let clock = 1_700_000_000;
function came(from: PeerId, text: string, more: Partial<ChatRecord> = {}): ChatRecord {
  const time = { seconds: clock++, nanos: 0 };
  const messageId = `id of ${text}`;
  const record = { messageId, peerId: from, subject: "", text, time, isOutgoing: false, isRead: false };
  return { ...record, at: time.seconds * 1000, isProven: true, isExtended: true, ...more };
}

function texts(records: readonly ChatRecord[]): string[] {
  return records.map(({ text }) => text);
}

describe("conversations", () => {
  test("are the same after a restart: texts, what was read, who wrote last", async () => {
    const store = memoryStore();
    const first = await open(store);
    for (const text of ["one", "two", "three"]) expect(await first.add(came(alice, text))).toBe(true);
    await first.add(came(mallory, "buy"));
    await first.add(came(alice, "about an order", { subject: "order 7" }));
    expect(await first.read(alice, "")).toBe("id of three");
    await first.add(came(alice, "four"));
    for (const conversations of [first, await open(store)]) {
      expect(texts(conversations.messages(alice, "", 10))).toEqual(["four", "three", "two", "one"]);
      expect(texts(conversations.messages(alice, "order 7", 10))).toEqual(["about an order"]);
      expect(texts(conversations.messages(alice, "", 2, "id of three"))).toEqual(["two", "one"]);
      expect(conversations.conversations().map(({ peerId, unread, last }) => [peerId, unread, last.text])).toEqual([
        [alice, 1, "four"],
        [mallory, 1, "buy"],
      ]);
    }
  });

  test("[X14] a message is known by its sender, recipient, text, subject and time, whatever id it says that it has", async () => {
    const conversations = await open(memoryStore());
    const one = came(alice, "ab", { subject: "c" });
    expect(await conversations.add(one)).toBe(true);
    expect(await conversations.add({ ...one, messageId: "another" })).toBe(false);
    expect(await conversations.add({ ...one, text: "a", subject: "bc" })).toBe(true);
    expect(await conversations.add({ ...one, peerId: mallory })).toBe(true);
    expect(await conversations.add({ ...one, isOutgoing: true })).toBe(true);
  });

  test("are bounded in number, bytes and days; who writes most gives the room, and nobody else", async () => {
    const store = memoryStore();
    const conversations = await open(store, { messages: 10, bytes: 300, days: 30 });
    await conversations.add(came(alice, "from alice"));
    for (let i = 0; i < 50; i++) await conversations.add(came(mallory, `spam ${i}`));
    expect(texts(conversations.messages(alice, "", 10))).toEqual(["from alice"]);
    expect(conversations.messages(mallory, "", 100).length).toBe(9);
    for (let i = 0; i < 5; i++) await conversations.add(came(mallory, `${i}`.repeat(200)));
    expect(texts(conversations.messages(alice, "", 10))).toEqual(["from alice"]);
    expect(texts(conversations.messages(mallory, "", 100))).toEqual(["4".repeat(200)]);
    expect((await store.load("ob/")).length).toBe(2);
    await conversations.expire(clock * 1000 + 31 * DAY);
    expect(await store.load("ob/")).toEqual([]);
    expect(conversations.conversations()).toEqual([]);
  });

  test("what the store did not take did not happen", async () => {
    const store = memoryStore();
    let isBroken = false;
    const commit: Store["commit"] = async (batch) => {
      if (isBroken) throw new Error("no disk");
      await store.commit(batch);
    };
    const conversations = await open({ ...store, load: (prefix) => store.load(prefix), commit });
    await conversations.add(came(alice, "one"));
    isBroken = true;
    const lost = came(alice, "two");
    await expect(conversations.add(lost)).rejects.toThrow("no disk");
    await expect(conversations.read(alice, "")).rejects.toThrow("no disk");
    await expect(conversations.removeConversation(alice)).rejects.toThrow("no disk");
    expect(conversations.conversations()).toMatchObject([{ unread: 1, last: { text: "one" } }]);
    isBroken = false;
    expect(await conversations.add(lost)).toBe(true);
  });

  test("a message, and a conversation, are forgotten in the store too", async () => {
    const store = memoryStore();
    const conversations = await open(store);
    for (const text of ["one", "two"]) await conversations.add(came(alice, text));
    await conversations.add(came(mallory, "three"));
    expect(await conversations.removeMessage("id of one")).toMatchObject({ text: "one" });
    expect(await conversations.removeMessage("id of one")).toBeUndefined();
    expect(texts((await open(store)).messages(alice, "", 9))).toEqual(["two"]);
    await conversations.removeConversation(alice);
    expect((await open(store)).conversations().map(({ peerId }) => peerId)).toEqual([mallory]);
  });
});
