import { memoryStore, type Store } from "restante";
import { utf8 } from "restante/protocol";
import { describe, expect, test, vi } from "vitest";
import { chatMessage, identityFromSeed, type Message, TYPES } from "../format/index.ts";
import type { Answer } from "../offline/effects.ts";
import type { Deed } from "./carrier.ts";
import { type Told, Turns } from "./turns.ts";

const me = identityFromSeed(new Uint8Array(32).fill(1));
const you = identityFromSeed(new Uint8Array(32).fill(2));
const to = { id: you.id, publicKey: you.publicKey };

function chat(text: string): Message {
  const message = chatMessage({ text, subject: "", time: { seconds: 1_700_000_000, nanos: 0 } });
  if (message === undefined) throw new Error("no chat");
  return message;
}

/** The machines over a store whose commits fail on demand; what happens is written down in order. */
function world(store: Store = memoryStore()) {
  const log: string[] = [];
  const told: Told[] = [];
  const troubles: unknown[] = [];
  const asked: { deed: Deed; answer: (answer: Answer) => void }[] = [];
  const failing = { commits: 0, loads: 0 };
  const clock = { now: 1_700_000_000_000 };
  let listener: ((one: Told) => unknown) | undefined;
  const hear = (call: (one: Told) => unknown): void => {
    listener = call;
  };
  const failingStore: Store = {
    ...store,
    async load(prefix) {
      if (failing.loads-- > 0) throw new Error("no disk to read");
      return await store.load(prefix);
    },
    async commit(batch) {
      if (failing.commits-- > 0) throw new Error("no disk");
      await store.commit(batch);
      log.push(`commit ${batch.map(({ key }) => key.split("/").slice(0, 2).join("/")).join(" ")}`);
    },
  };
  const turns = new Turns({
    identity: me,
    store: failingStore,
    random: (length) => new Uint8Array(length).fill(7),
    now: () => clock.now,
    nodes: [],
    carry: (deed, answer) => {
      log.push(deed.type);
      asked.push({ deed, answer });
    },
    tell: (one) => {
      told.push(one);
      listener?.(one);
    },
    trouble: (error) => void troubles.push(error),
  });
  return { turns, log, told, troubles, asked, failing, hear, clock };
}

describe("a turn", () => {
  test("nothing of it leaves before what it saves is on the disk", async () => {
    const { turns, log, told } = world();
    await turns.load();
    turns.toOutgoing({ type: "send", ref: "one", to, message: chat("hello") });
    expect(log).toEqual([]);
    await turns.settled();
    expect(log[0]).toBe("commit bazaar/out");
    expect(log.length).toBeGreaterThan(1);
    expect(told).toContainEqual({ type: "progress", ref: "one", state: "accepted" });
    await turns.stop();
  });

  test("a message that came is committed, with the acknowledgement that it is owed, before anybody sees it", async () => {
    const { turns, log, told } = world();
    await turns.load();
    turns.toRetrieve({ type: "received", from: to, message: chat("hello") });
    await turns.settled();
    expect(log[0]).toContain("bazaar/in");
    expect(told.map(({ type }) => type)).toEqual(["offer"]);
    await turns.stop();
  });

  test("what is told in one turn and answered at once is a turn that is saved as well", async () => {
    // An application answers some microtasks later: each time another number of them.
    for (let later = 0; later < 12; later++) {
      const store = memoryStore();
      const { turns, told, hear } = world(store);
      hear(async (one) => {
        for (let i = 0; i < later; i++) await Promise.resolve();
        if (one.type === "offer") turns.toRetrieve({ type: "taken", id: one.id, result: "done" });
      });
      await turns.load();
      turns.toRetrieve({ type: "received", from: to, message: chat("hello") });
      await vi.waitFor(() => expect(told).toHaveLength(1), { ...SOON, interval: 1 });
      await new Promise((resolve) => setImmediate(resolve));
      expect([later, await store.load("bazaar/in/")]).toEqual([later, []]);
      await turns.stop();
    }
  });

  test("turns that follow each other are one batch", async () => {
    const { turns, log } = world();
    await turns.load();
    for (const ref of ["a", "b", "c"]) turns.toOutgoing({ type: "send", ref, to, message: chat(ref) });
    await turns.settled();
    expect(log.filter((line) => line.startsWith("commit"))).toEqual(["commit bazaar/out bazaar/out bazaar/out"]);
    await turns.stop();
  });
});

describe("a store that fails", () => {
  test("what was not saved never leaves, its caller is told, and the machines go on with what is stored", async () => {
    const { turns, log, told, troubles, asked, failing } = world();
    await turns.load();
    turns.start();
    turns.toOutgoing({ type: "send", ref: "kept", to, message: chat("kept") });
    await turns.settled();
    const old = asked.splice(0);
    log.length = 0;
    failing.commits = 1;
    turns.toOutgoing({ type: "send", ref: "lost", to, message: chat("lost") });
    await expect(turns.settled()).rejects.toMatchObject({ code: "store-failed" });
    expect(troubles).toHaveLength(1);
    expect(told.some((one) => one.type === "progress" && one.ref === "lost")).toBe(false);
    // Made anew, they take up what was kept.
    await vi.waitFor(() => expect(asked.length).toBeGreaterThan(0), SOON);
    expect(turns.stats?.outgoing.postings).toBe(1);
    // Answers to the machines that are gone change nothing.
    for (const { deed, answer } of old) if ("id" in deed) answer({ type: "sent", id: deed.id, ok: true });
    expect(turns.stats?.outgoing.postings).toBe(1);
    turns.toOutgoing({ type: "send", ref: "lost", to, message: chat("lost") });
    await turns.settled();
    expect(turns.stats?.outgoing.postings).toBe(2);
    await turns.stop();
  });

  test("when it cannot be read either, nothing is done, and it is tried until it can", async () => {
    vi.useFakeTimers();
    try {
      const { turns, troubles, failing } = world();
      await turns.load();
      Object.assign(failing, { commits: 1, loads: 2 });
      turns.toOutgoing({ type: "send", ref: "lost", to, message: chat("lost") });
      await expect(turns.settled()).rejects.toMatchObject({ code: "store-failed" });
      await vi.advanceTimersByTimeAsync(0);
      expect(turns.stats).toBeUndefined();
      await expect(turns.settled()).rejects.toMatchObject({ code: "store-failed" });
      await vi.advanceTimersByTimeAsync(1000);
      expect(turns.stats).toBeUndefined();
      await vi.advanceTimersByTimeAsync(3000);
      expect(turns.stats).toBeDefined();
      expect(troubles).toHaveLength(3);
      await turns.stop();
    } finally {
      vi.useRealTimers();
    }
  });
});

test("after the end nothing is done any more, and what was decided before is on the disk", async () => {
  const store = memoryStore();
  const { turns, asked } = world(store);
  await turns.load();
  turns.toOutgoing({ type: "send", ref: "last", to, message: chat("last") });
  await turns.stop();
  expect(await store.load("bazaar/out/")).toHaveLength(1);
  const before = asked.length;
  turns.toOutgoing({
    type: "send",
    ref: "later",
    to,
    message: { type: TYPES.CHAT, payload: { typeUrl: "", value: utf8("x") } },
  });
  expect(asked).toHaveLength(before);
  expect(await store.load("bazaar/out/")).toHaveLength(1);
});

test("a clock that was ahead and is set back makes the machines anew: mail is looked for and published as before", async () => {
  const { turns, asked, troubles, clock } = world();
  await turns.load();
  turns.start();
  await turns.settled();
  clock.now += 60 * 86_400_000;
  turns.toRetrieve({ type: "scan" });
  await turns.settled();
  clock.now -= 60 * 86_400_000;
  const before = asked.length;
  turns.toRetrieve({ type: "tick" });
  expect(troubles.map(String)).toEqual(["Error: the clock was set back"]);
  await vi.waitFor(() => expect(asked.slice(before).map(({ deed }) => deed.type)).toContain("lookup"), SOON);
  await turns.stop();
});

const SOON = { timeout: 60_000 }; // else it would be a second
