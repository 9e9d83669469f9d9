/** Mail under an id that the application gives, so that it may ask after a crash what it does not know. */
import { expect, test } from "vitest";
import { createPeer, type Peer } from "./run.ts";
import { memoryStore } from "./store/index.ts";
import { MemoryNetwork } from "./transport/index.ts";

/** A machine may be busy. */
const ID = "00112233445566778899aabbccddeeff";

async function pair(): Promise<{ alice: Peer; bob: Peer; restart: () => Promise<Peer> }> {
  const net = new MemoryNetwork();
  const store = memoryStore();
  const start = () => createPeer({ name: "alice", store, transports: [net.transport("alice")] });
  const bob = await createPeer({ name: "bob", transports: [net.transport("bob")] });
  const alice = await start();
  await alice.add(await bob.invite());
  return { alice, bob, restart: start };
}

test("a mail has the id that is given, at its recipient too, and no other mail gets it: not at once, not later, not after a restart", async () => {
  const { alice, bob, restart } = await pair();
  const twice = await Promise.allSettled(["one", "two"].map((text) => alice.send("bob", text, { id: ID })));
  expect(twice).toMatchObject([
    { status: "fulfilled", value: ID },
    { status: "rejected", reason: { code: "known" } },
  ]);
  await expect.poll(async () => (await bob.inbox()).map(({ id, text }) => [id, text])).toEqual([[ID, "one"]]);
  await expect(alice.send("bob", "again", { id: ID })).rejects.toMatchObject({ code: "known" });
  await alice.close();
  const later = await restart();
  await expect(later.send("bob", "again", { id: ID })).rejects.toMatchObject({ code: "known" });
  expect((await later.track(ID))?.[0]).toMatchObject({ state: "queued" });
  await later.close();
  await bob.close();
});

test("one to a list has it for all of its mails, and one that was refused leaves the id free", async () => {
  const { alice, bob } = await pair();
  await expect(alice.send("bob", "x".repeat(100_000), { id: ID })).rejects.toMatchObject({ code: "too-large" });
  await alice.setList("friends", [alice.findContact("bob")?.id ?? ""]);
  expect(await alice.send("friends", "hello", { id: ID })).toBe(ID);
  await expect(alice.send("friends", "hello", { id: ID })).rejects.toMatchObject({ code: "known" });
  await expect.poll(async () => (await bob.inbox()).map(({ text }) => text)).toEqual(["hello"]);
  await alice.close();
  await bob.close();
});

test("what is no id is refused, and nothing is sent", async () => {
  const { alice, bob } = await pair();
  for (const id of ["", "x", ID.toUpperCase(), `${ID}00`])
    await expect(alice.send("bob", "x", { id })).rejects.toMatchObject({ code: "bad-id" });
  expect(alice.outbox().filter(({ kind }) => kind === "text")).toEqual([]);
  await alice.close();
  await bob.close();
});
