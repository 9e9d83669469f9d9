/** What the users of a peer see of a fault in the program. */
import { expect, test, vi } from "vitest";
import { Root } from "./peer.ts";
import { createPeer, type Peer } from "./run.ts";
import { cs01 } from "./testing/cipher-set-01.ts";
import { MemoryNetwork } from "./transport/index.ts";

test("a fault in a turn refuses what was asked, is told and counted, and the peer goes on with all that it had", async () => {
  const network = new MemoryNetwork();
  const troubles: string[] = [];
  const create = (name: string): Promise<Peer> =>
    createPeer({
      name,
      cipherSets: [cs01()],
      transports: [network.transport(name)],
      onTrouble: (message) => void troubles.push(message),
    });
  const [alice, bob] = [await create("alice"), await create("bob")];
  await bob.add(await alice.invite());
  await expect.poll(() => alice.contacts().length).toBe(1);
  expect(alice.status().faults).toBe(0);

  const { handle } = Root.prototype;
  const spy = vi.spyOn(Root.prototype, "handle").mockImplementation(function (this: Root, input, now) {
    if (input.type === "call" && input.call.type === "invite") throw new TypeError("a plaintext");
    return handle.call(this, input, now);
  });
  try {
    await expect(alice.invite()).rejects.toMatchObject({ code: "restarted" });
  } finally {
    spy.mockRestore();
  }
  await expect.poll(() => isRunning(alice)).toBe(true);
  expect(alice.status().faults).toBe(1);
  expect(troubles).toEqual([expect.stringMatching(/^a fault in this program \(TypeError.*\); starting again from/)]);
  expect(troubles.join()).not.toContain("plaintext");
  expect(alice.contacts().map(({ name }) => name)).toEqual(["bob"]);
  const came = new Promise((resolve) => bob.on((event) => event.type === "mail" && resolve(event)));
  await alice.send("bob", "I am back");
  await came;
  await Promise.all([alice.close(), bob.close()]);
});

function isRunning(peer: Peer): boolean {
  try {
    return peer.status().state === "running";
  } catch {
    return false; // "not-running": it begins anew
  }
}
