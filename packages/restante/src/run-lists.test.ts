/** A mail to several contacts, from the outside: a file, its content, and what is left of it. */
import { expect, test } from "vitest";
import { createPeer, type Peer } from "./run.ts";
import { memoryStore } from "./store/index.ts";
import { MemoryNetwork } from "./transport/index.ts";

/** The first event of this kind. */
function once(
  peer: Peer,
  type: "mail" | "state",
  fits: (event: Record<string, unknown>) => boolean = () => true,
): Promise<Record<string, unknown>> {
  return new Promise((resolve) => {
    const end = peer.on((event) => {
      if (event.type !== type || !fits(event as unknown as Record<string, unknown>)) return;
      end();
      resolve(event as unknown as Record<string, unknown>);
    });
  });
}

test("a file goes to each contact of a list, whole, and none of the copies that were kept for it remains", async () => {
  const net = new MemoryNetwork();
  const store = memoryStore();
  const kept = new Set<string>();
  const { blobWrite, blobRemove } = store;
  Object.assign(store, {
    blobWrite: (blob: string, index: number, bytes: Uint8Array) =>
      blobWrite.call(store, blob, index, bytes).then(() => kept.add(blob)),
    blobRemove: (blob: string) => blobRemove.call(store, blob).then(() => kept.delete(blob)),
  });
  const alice = await createPeer({ name: "alice", store, transports: [net.transport("alice")] });
  const friends = await Promise.all(
    ["bob", "carla"].map((name) => createPeer({ name, transports: [net.transport(name)] })),
  );
  const contacts = [];
  for (const friend of friends) contacts.push(await alice.add(await friend.invite()));
  const ids = contacts.map(({ id }) => id);
  await alice.setList("friends", ids);
  expect(alice.lists()).toEqual([{ name: "friends", contacts: ids }]);

  const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => i % 251);
  const arrived = friends.map((friend) => once(friend, "mail"));
  const isLast = ({ list, state }: Record<string, unknown>) =>
    list !== undefined && state === "delivered" && alice.outbox().some((mail) => mail.list?.delivered === 2);
  const done = once(alice, "state", isLast);
  const id = await alice.send("Friends", { name: "a.bin", bytes });
  expect((await done)["list"]).toBe(id);
  for (const [i, friend] of friends.entries()) {
    await arrived[i];
    const [mail] = await friend.inbox();
    if (mail === undefined) throw new Error("there is no mail");
    expect(mail.file).toMatchObject({ name: "a.bin", size: bytes.length });
    const pieces = [];
    for await (const piece of friend.file(mail)) pieces.push(...piece);
    expect(Uint8Array.from(pieces)).toEqual(bytes);
  }
  const steps = (await alice.track(id)) ?? [];
  for (const contact of ids) {
    const states = steps.filter((step) => step.contact === contact).map(({ state }) => state);
    expect([states[0], states.at(-1)]).toEqual(["queued", "delivered"]);
  }
  expect(steps.filter(({ state }) => state === "delivered")).toHaveLength(2);
  await alice.setList("friends", []);
  await expect(alice.send("friends", "x")).rejects.toMatchObject({ code: "not-found" });
  for (const peer of [alice, ...friends]) await peer.close();
  expect([...kept]).toEqual([]);
});
