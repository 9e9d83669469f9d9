import { expect, test } from "vitest";
import { createPeer, MemoryNetwork } from "./index.ts";
import { cutName } from "./own-name.ts";

test("a name is one line; what is too long for a card is cut, and no character in two", () => {
  expect(cutName("Bob Ross")).toBe("Bob Ross");
  expect(cutName("a".repeat(100))).toHaveLength(64);
  expect(cutName(`${"a".repeat(63)}🙂`)).toBe("a".repeat(63));
  for (const text of ["", "a\nb", "a\u0000"])
    expect(() => cutName(text)).toThrow(expect.objectContaining({ code: "bad-name" }));
});

test("contacts see a new name, and a wrong one changes nothing", async () => {
  const network = new MemoryNetwork();
  const alice = await createPeer({ name: "alice", transports: [network.transport("a")] });
  const bob = await createPeer({ name: "bob", transports: [network.transport("b")] });
  const renamed = new Promise<void>((resolve) => {
    bob.on((event) => {
      if (event.type === "contact" && event.contact.name === "Alice B.") resolve();
    });
  });
  await bob.add(await alice.invite());
  await expect(alice.rename("a\nb")).rejects.toMatchObject({ code: "bad-name" });
  await alice.rename("Alice B.");
  await renamed;
  expect(bob.findContact("Alice B.")?.hashnames).toEqual([alice.hashname]);
  await alice.close();
  await bob.close();
});
