/** More mail for one contact than is held in memory, from the outside. */
import { expect, test } from "vitest";
import { createPeer } from "./run.ts";
import { memoryStore } from "./store/index.ts";
import { MemoryNetwork } from "./transport/index.ts";

const COUNT = 600; // 256 have their turn, and of the others 256 are held to be looked at

test("mail that waits behind the window is counted, found by its id, cancelled, and there after a restart", async () => {
  const net = new MemoryNetwork();
  const store = memoryStore();
  const start = () => createPeer({ name: "alice", store, transports: [net.transport("alice")] });
  const bob = await createPeer({ name: "bob", transports: [net.transport("bob")] });
  const invite = await bob.invite();
  let alice = await start();
  await bob.close();
  const { id: contact } = await alice.add(invite);
  const ids = await Promise.all(Array.from({ length: COUNT }, (_, i) => alice.send(contact, `line ${i}`)));
  const texts = () => alice.outbox().filter(({ kind }) => kind === "text").length;
  expect(alice.status().behind).toBeGreaterThan(0);
  expect(texts() + alice.status().behind).toBe(COUNT);

  const [first = "", far = "", last = ""] = [ids[0], ids[300], ids.at(-1)];
  const listed = alice.outbox().map(({ id }) => id);
  expect([first, far, last].map((id) => listed.includes(id))).toEqual([true, false, true]);
  expect((await alice.track(far))?.map(({ state }) => state)).toEqual(["queued"]);
  await alice.cancel(far);
  expect((await alice.track(far))?.map(({ state }) => state)).toEqual(["queued", "cancelled"]);
  await expect(alice.cancel(far)).rejects.toMatchObject({ code: "final" });
  await expect(alice.cancel("0".repeat(32))).rejects.toMatchObject({ code: "not-found" });

  await alice.close();
  alice = await start();
  const open = () => alice.outbox().filter(({ kind, state }) => kind === "text" && state === "queued").length;
  await expect.poll(open).toBe(255); // and our card
  expect(open() + alice.status().behind).toBe(COUNT - 1);
  expect((await alice.track(far))?.at(-1)?.state).toBe("cancelled");
  await alice.close();
});
