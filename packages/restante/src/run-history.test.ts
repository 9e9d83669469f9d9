import { expect, test } from "vitest";
import { RestanteError, utf8 } from "./bytes/index.ts";
import { createPeer, type Peer, type PeerOptions } from "./run.ts";
import { memoryStore, type Store } from "./store/index.ts";
import { cs01 } from "./testing/cipher-set-01.ts";
import { MemoryNetwork } from "./transport/index.ts";

const DAY = 86_400_000;

/** Alice and Bob, who know each other, with stores and one clock. */
async function withPair(
  run: (world: {
    alice: Peer;
    bob: Peer;
    store: Store;
    /** How far each clock is ahead. */
    ahead: { alice: number; bob: number };
    /** Sends, and waits until it is there. */
    say: (from: Peer, mail: Parameters<Peer["send"]>[1]) => Promise<string>;
  }) => Promise<void>,
  options: PeerOptions = {},
): Promise<void> {
  const network = new MemoryNetwork();
  const ahead = { alice: 0, bob: 0 };
  const store = memoryStore();
  const peer = (name: "alice" | "bob", more: PeerOptions): Promise<Peer> => {
    const clock = (): number => Date.now() + ahead[name];
    return createPeer({ transports: [network.transport(name)], cipherSets: [cs01()], name, clock, ...more });
  };
  const [alice, bob] = [await peer("alice", { store, ...options }), await peer("bob", {})];
  try {
    const met = new Promise<void>((resolve) => bob.on(({ type }) => type === "contact" && resolve()));
    await alice.add(await bob.invite());
    await met;
    const say = async (from: Peer, mail: Parameters<Peer["send"]>[1]): Promise<string> => {
      const to = from === alice ? bob : alice;
      const came = new Promise<void>((resolve) => to.on(({ type }) => type === "mail" && resolve()));
      const id = await from.send(to === bob ? "bob" : "alice", mail);
      await came;
      return id;
    };
    await run({ alice, bob, store, ahead, say });
  } finally {
    await Promise.all([alice.close(), bob.close()]);
  }
}

const contactOf = (peer: Peer): string => peer.contacts()[0]?.id ?? "";
const said = async (peer: Peer, options?: Parameters<Peer["conversation"]>[1]): Promise<string[]> =>
  (await peer.conversation(contactOf(peer), options)).entries.map(
    ({ way, text, file }) => `${way} ${text ?? file?.name}`,
  );

test("a conversation has both sides in order, the files among them, from the last page to the first", () =>
  withPair(async ({ alice, bob, say }) => {
    for (let i = 1; i <= 3; i++) {
      await say(alice, `question ${i}`);
      await say(bob, `answer ${i}`);
    }
    await say(alice, { name: "plan.txt", bytes: utf8("the plan") });
    const all = ["question 1", "answer 1", "question 2", "answer 2", "question 3", "answer 3", "plan.txt"];
    const ours = (side: string): string[] =>
      all.map((text) => `${text.startsWith("answer") === (side === "bob") ? "out" : "in"} ${text}`);
    expect(await said(alice)).toEqual(ours("alice"));
    expect(await said(bob)).toEqual(ours("bob"));

    const pages: string[][] = [];
    for (let before: string | undefined, more = true; more; ) {
      const options = before === undefined ? { limit: 3 } : { before, limit: 3 };
      const page = await alice.conversation(contactOf(alice), options);
      pages.unshift(page.entries.map(({ text, file }) => text ?? file?.name ?? ""));
      more = page.before !== undefined;
      before = page.before;
    }
    expect(pages.map((page) => page.length)).toEqual([1, 3, 3]);
    expect(pages.flat()).toEqual(all);
  }));

test("what we sent has a state, and one that answers what is not here says so", () =>
  withPair(async ({ alice, bob, store, say }) => {
    const id = await say(alice, "first");
    await say(bob, "second");
    const states = async (): Promise<(string | undefined)[]> =>
      (await alice.conversation(contactOf(alice))).entries.map(({ state }) => state);
    await expect.poll(states).toEqual(["delivered", undefined]);
    const inbox = await store.get("inbox/000000000001");
    const lost = "ab".repeat(16);
    const changed = new TextDecoder().decode(inbox).replace(`"after":["${id}"`, `"after":["${lost}","${id}"`);
    await store.commit([{ key: "inbox/000000000001", value: utf8(changed) }]);
    const { entries } = await alice.conversation(contactOf(alice));
    expect(entries.map(({ text, missing }) => [text, missing])).toEqual([
      ["first", undefined],
      ["second", [lost]],
    ]);
  }));

test("a mail from the future is shown as of a day after it came, with what its writer said beside", () =>
  withPair(async ({ alice, bob, ahead, say }) => {
    await say(bob, "now");
    ahead.bob = 400 * DAY;
    await say(bob, "then");
    await alice.send("bob", "what year is it?"); // which is over for Bob when it comes
    const [first, second] = await alice.inbox();
    const { entries } = await alice.conversation(contactOf(alice));
    expect(entries.map(({ text }) => text)).toEqual(["now", "then", "what year is it?"]); // Alice had seen both
    expect(entries[0]?.time).toBe(first?.time);
    expect(entries[0]?.claimed).toBeUndefined();
    expect(entries[1]).toMatchObject({ time: (second?.received ?? 0) + DAY, claimed: second?.time });
  }));

test("a search finds texts of both sides and file names, in any case, the newest first, and nothing else", () =>
  withPair(async ({ alice, bob, say }) => {
    await say(alice, "Die Straße nach ＡＢＣ");
    await say(bob, "strasse? STRASSE!");
    await say(bob, { name: "Straßenkarte.pdf", bytes: utf8("x") });
    const found = async (words: string, options = {}): Promise<(string | undefined)[]> =>
      (await alice.search(words, options)).map(({ text, file }) => text ?? file?.name);
    expect(await found("STRASSE")).toEqual(["strasse? STRASSE!"]);
    expect(await found("straße")).toEqual(["Straßenkarte.pdf", "Die Straße nach ＡＢＣ"]);
    expect(await found("abc  die")).toEqual(["Die Straße nach ＡＢＣ"]);
    expect(await found("abc strasse")).toEqual([]);
    expect(await found("s", { limit: 1 })).toEqual(["Straßenkarte.pdf"]);
    expect(await found("s", { contact: "nobody" })).toEqual([]);
    await expect(alice.search("  ")).rejects.toMatchObject({ code: "bad-request" });
    await expect(alice.search("s", { limit: 0 })).rejects.toMatchObject({ code: "bad-request" });
    await expect(alice.search("s", { signal: AbortSignal.abort() })).rejects.toThrow("abort");
  }));

test("what is over its time is erased, with its files, and nothing of it is shown again", () =>
  withPair(async ({ alice, bob, store, ahead, say }) => {
    const id = await say(alice, "old question");
    await say(bob, { name: "old.txt", bytes: utf8("old bytes") });
    const [file] = await alice.inbox();
    expect(file?.file?.blob).toBeDefined();
    await alice.keep(contactOf(alice), 30);
    expect(await alice.retentions()).toEqual([{ contact: contactOf(alice), days: 30 }]);
    expect(await said(alice)).toEqual(["out old question", "in old.txt"]);
    await expect.poll(async () => (await alice.track(id))?.at(-1)?.state).toBe("delivered");
    ahead.alice = ahead.bob = 20 * DAY;
    await say(bob, "new answer");
    // What is settled leaves the spool in its own time, and is not erased before.
    await expect.poll(async () => (await alice.outbox()).some((mail) => mail.id === id)).toBe(false);
    expect(await alice.sweep()).toBe(0);
    ahead.alice = ahead.bob = 31 * DAY;
    expect(await alice.sweep()).toBe(2);
    expect(await said(alice)).toEqual(["in new answer"]);
    expect(await store.blobRead(file?.file?.blob ?? "", 0)).toBeUndefined();
    expect(await store.get(`ledger/${id}`)).toBeUndefined();
    expect(await store.get(`seen/${contactOf(alice)}/${file?.id}`)).toBeDefined();
    expect(await said(bob)).toEqual(["in old question", "out old.txt", "out new answer"]);
    expect(await alice.sweep()).toBe(0);

    await alice.keep(contactOf(alice), undefined);
    expect(await alice.retentions()).toEqual([]);
    for (const [contact, days] of [
      ["nobody", 3],
      [contactOf(alice), 0],
      [contactOf(alice), 1.5],
    ] as const)
      await expect(alice.keep(contact, days)).rejects.toBeInstanceOf(RestanteError);
  }));

test("who does not want it keeps nothing of what was sent", () =>
  withPair(
    async ({ alice, bob, store, say }) => {
      await say(alice, "burn this");
      await say(bob, "done");
      expect(await said(alice)).toEqual(["in done"]);
      expect(await store.list("sent/", "sent/", 10)).toEqual([]);
    },
    { keepSent: false },
  ));
