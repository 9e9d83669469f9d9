import type { BazaarMessage, BazaarPosting } from "@restante/bazaar";
import {
  chatMessage,
  chatOf,
  encodeChat,
  identityFromSeed,
  type Message,
  type PeerId,
  payloadOf,
  TYPES,
} from "@restante/bazaar/format";
import { memoryStore, type Store } from "restante";
import { describe, expect, test } from "vitest";
import { type Notification, type Ob, openOb } from "./ob.ts";

const [me, alice, bob] = [1, 2, 3].map((n) => identityFromSeed(new Uint8Array(32).fill(n)).id) as [
  PeerId,
  PeerId,
  PeerId,
];
const KEY = identityFromSeed(new Uint8Array(32).fill(2)).publicKey;

/** A bazaar that writes down what is sent. */
class Network {
  readonly sent: BazaarPosting[] = [];
  answer: "accepted" | "full" | "bad key" = "accepted";
  scans = 0;

  async send(posting: BazaarPosting): Promise<"accepted" | "full" | "bad key"> {
    if (this.answer === "accepted") this.sent.push(posting);
    return this.answer;
  }
  banned: readonly PeerId[] = [];
  ban(peers: readonly PeerId[]): void {
    this.banned = peers;
  }
  scan(): void {
    this.scans++;
  }
  async reach({ id }: { readonly id: PeerId }): Promise<boolean> {
    return id === alice;
  }
}

interface Side {
  readonly ob: Ob;
  readonly network: Network;
  readonly told: Notification[];
}

async function open(store: Store = memoryStore()): Promise<Side> {
  const ob = await openOb({ store, id: me, now: () => 1_700_000_000_000 });
  const network = new Network();
  ob.attach(network);
  const told: Notification[] = [];
  ob.on((notification) => told.push(notification));
  return { ob, network, told };
}

function chat(text: string, subject = ""): Message {
  const message = chatMessage({ text, subject, time: { seconds: 1_700_000_000, nanos: 0 } });
  if (message === undefined) throw new Error("no chat");
  return message;
}

function from(peer: PeerId, message: Message, more: Partial<BazaarMessage> = {}): BazaarMessage {
  return { from: peer, publicKey: KEY, message, way: "offline", at: 1_700_000_000_000, ...more };
}

const extension = { recipient: me, id: new Uint8Array(16), time: 1_700_000_000_000 };

describe("what is written", () => {
  test("is kept before it leaves, and says how it went", async () => {
    const store = memoryStore();
    const { ob, network } = await open(store);
    const messageId = await ob.write([alice], "", "hello", false);
    expect(network.sent).toMatchObject([{ to: { id: alice } }]);
    expect(chatOf(network.sent[0]?.message as Message)).toMatchObject({ messageId, text: "hello", flag: "message" });
    expect(ob.conversations.undelivered()).toHaveLength(1);
    ob.progressed({ ref: network.sent[0]?.ref ?? "", state: "published" });
    ob.progressed({ ref: network.sent[0]?.ref ?? "", state: "delivered", how: "acknowledged" });
    await expect.poll(() => ob.conversations.undelivered()).toEqual([]);
    expect((await open(store)).ob.conversations.undelivered()).toEqual([]);
  });

  test("is handed over again after a crash, under the same name, as long as it is not delivered", async () => {
    const store = memoryStore();
    const before = await open(store);
    await before.ob.write([alice, bob], "", "to both", true);
    before.ob.progressed({ ref: before.network.sent[0]?.ref ?? "", state: "delivered", how: "online" });
    await expect.poll(() => before.ob.conversations.undelivered()[0]?.sent?.waiting).toEqual([1]);
    const after = await open(store);
    await expect.poll(() => after.network.sent.length).toBe(1);
    expect(after.network.sent[0]).toEqual(before.network.sent[1]);
  });

  test("twice in the same moment is two messages", async () => {
    const { ob } = await open();
    const ids = [await ob.write([alice], "", "ping", false), await ob.write([alice], "", "ping", false)];
    expect(new Set(ids).size).toBe(2);
    expect(ob.conversations.messages(alice, "", 9)).toHaveLength(2);
  });

  test("[D5] is within OpenBazaar's limits, in bytes: 500 of a subject, 20,000 of a text", async () => {
    const { ob, network } = await open();
    await ob.write([alice], "s".repeat(500), "ü".repeat(10_000), false);
    await expect(ob.write([alice], "s".repeat(501), "x", false)).rejects.toMatchObject({ code: "too-large" });
    await expect(ob.write([alice], "", "ü".repeat(10_001), false)).rejects.toMatchObject({ code: "too-large" });
    await expect(
      ob.write(["12D3KooWCBVW3qAU8ka3xzSxY14nw5Um96tFyBGbZV8CAo4GJrFH"], "", "x", false),
    ).rejects.toMatchObject({ code: "bad-address" });
    expect(network.sent).toHaveLength(1);
  });

  test("that cannot be taken is told, and is shown as failed", async () => {
    const { ob, network } = await open();
    network.answer = "full";
    await expect(ob.write([alice], "", "x", false)).rejects.toMatchObject({ code: "no-room" });
    expect(ob.conversations.messages(alice, "", 9)).toMatchObject([{ sent: { waiting: [], failed: 1 } }]);
  });

  test("to several that cannot be taken for one of them is sent to none behind that one, at the next start either", async () => {
    const store = memoryStore();
    const { ob, network } = await open(store);
    const send = network.send.bind(network);
    network.send = async (posting) => (posting.to.id === bob ? "full" : send(posting));
    await expect(ob.write([alice, bob, me], "", "to three", true)).rejects.toMatchObject({ code: "no-room" });
    expect(network.sent.map(({ to }) => to.id)).toEqual([alice]);
    expect(ob.conversations.messages("", "", 9)).toMatchObject([{ sent: { waiting: [0], failed: 2 } }]);
    const again = await open(store);
    await expect.poll(() => again.network.sent.map(({ to }) => to.id)).toEqual([alice]); // whom it may not have left for
  });

  test("without a text it says that somebody is typing, and nothing of it is kept", async () => {
    const store = memoryStore();
    const { ob, network } = await open(store);
    await ob.write([alice], "", "", false);
    expect(chatOf(network.sent[0]?.message as Message)?.flag).toBe("typing");
    expect(await store.load("ob/")).toEqual([]);
  });

  test("[X28] to whom our extension is strange is without it", async () => {
    const { ob, network } = await open();
    await ob.received(from(alice, chat("from an old client")));
    await ob.received(from(bob, chat("from one of ours"), { extension }));
    for (const peer of [alice, bob]) await ob.write([peer], "", "answer", false);
    expect(network.sent.map(({ isPlain }) => isPlain)).toEqual([true, false]);
  });
});

describe("what comes", () => {
  test("[X28] is kept once and told; what does not say for whom it is, and came by strangers, is unproven", async () => {
    const { ob, told } = await open();
    expect(await ob.received(from(alice, chat("old")))).toBe("done");
    expect(await ob.received(from(alice, chat("old")))).toBe("done");
    expect(await ob.received(from(alice, chat("ours"), { extension }))).toBe("done");
    expect(await ob.received(from(alice, chat("direct"), { way: "online" }))).toBe("done");
    const kept = ob.conversations.messages(alice, "", 9).map(({ text, isProven }) => [text, isProven]);
    expect(kept).toEqual([
      ["direct", true],
      ["ours", true],
      ["old", false],
    ]);
    expect(told).toHaveLength(3);
    expect(told[0]).toMatchObject({ message: { peerId: alice, message: "old", timestamp: "2023-11-14T22:13:20Z" } });
  });

  test("is refused when it is no chat, is longer than a chat may be, or has no time", async () => {
    const { ob, told } = await open();
    const bytes = (text: string, subject: string): Message => ({
      type: TYPES.CHAT,
      payload: payloadOf(
        "Chat",
        encodeChat({ messageId: "x", subject, text, time: { seconds: 1, nanos: 0 }, flag: "message" }),
      ),
    });
    const noTime = encodeChat({ messageId: "x", subject: "", text: "x", time: undefined, flag: "message" });
    for (const message of [
      { type: TYPES.ORDER },
      { type: 4711 },
      { type: TYPES.CHAT, payload: payloadOf("Chat", new Uint8Array([255])) },
      { type: TYPES.CHAT, payload: payloadOf("Chat", noTime) },
      bytes("x".repeat(20_001), ""),
      bytes("x", "s".repeat(501)),
    ])
      expect(await ob.received(from(alice, message))).toBe("refused");
    expect(told).toEqual([]);
    expect(ob.conversations.conversations()).toEqual([]);
  });

  test("a read mark counts for what we wrote to its sender, up to the message that it names", async () => {
    const { ob, told } = await open();
    const [first = "", second = "", third = ""] = [
      await ob.write([alice], "", "one", false),
      await ob.write([alice], "", "two", false),
      await ob.write([alice], "", "three", false),
    ];
    const mark = (messageId: string): Message => ({
      type: TYPES.CHAT,
      payload: payloadOf("Chat", encodeChat({ messageId, subject: "", text: "", time: undefined, flag: "read" })),
    });
    await ob.received(from(bob, mark(third)));
    await ob.received(from(alice, mark("nothing")));
    expect(told).toEqual([]);
    await ob.received(from(alice, mark(second)));
    expect(told).toEqual([{ messageRead: { messageId: second, peerId: alice, subject: "" } }]);
    const read = ob.conversations.messages(alice, "", 9).filter(({ isRead }) => isRead);
    expect(read.map(({ messageId }) => messageId)).toEqual([second, first]);
  });

  test("is marked read once, and its writer is told which was the last", async () => {
    const { ob, network } = await open();
    await ob.received(from(alice, chat("one"), { extension }));
    await ob.received(from(alice, chat("two"), { extension }));
    const last = ob.conversations.messages(alice, "", 1)[0]?.messageId ?? "";
    await ob.markRead(alice, "");
    await ob.markRead(alice, "");
    expect(network.sent.map(({ message }) => chatOf(message))).toMatchObject([{ flag: "read", messageId: last }]);
  });

  test("typing is told and not kept", async () => {
    const { ob, told } = await open();
    const typing = chatMessage({ text: "", subject: "", time: { seconds: 1, nanos: 0 }, flag: "typing" });
    ob.fleeting(alice, typing as Message);
    ob.fleeting(alice, chat("no"));
    expect(told).toMatchObject([{ messageTyping: { peerId: alice, subject: "" } }]);
  });
});

describe("who is blocked", () => {
  const came = (text: string): BazaarMessage => from(alice, chat(text));

  test("is heard of no more, at any entrance and after a restart, until that is taken back", async () => {
    const store = memoryStore();
    const { ob, network, told } = await open(store);
    expect(await ob.received(came("before"))).toBe("done");
    await ob.block(alice, true);
    await ob.block(alice, true);
    expect([ob.blocked(), network.banned]).toEqual([[alice], [alice]]);
    expect(await ob.received(came("while blocked"))).toBe("refused");
    ob.fleeting(alice, chat(""));
    expect(told).toHaveLength(1);
    expect(ob.conversations.messages(alice, "", 10).map(({ text }) => text)).toEqual(["before"]);
    const again = await open(store);
    expect([again.ob.blocked(), again.network.banned]).toEqual([[alice], [alice]]);
    await again.ob.block(alice, false);
    expect([again.ob.blocked(), again.network.banned]).toEqual([[], []]);
    expect(await again.ob.received(came("after"))).toBe("done");
    expect((await open(store)).ob.blocked()).toEqual([]);
  });

  test("has an id; and when the store fails, nothing has changed", async () => {
    const store = memoryStore();
    const { ob, network } = await open(store);
    await expect(ob.block("nobody", true)).rejects.toMatchObject({ code: "bad-address" });
    store.commit = async () => Promise.reject(new Error("the disk is full"));
    await expect(ob.block(alice, true)).rejects.toThrow("full");
    expect([ob.blocked(), network.banned]).toEqual([[], []]);
  });
});
