/** No copy stays: when a mail is acknowledged, its sealed bytes are in no live object of the process that simulated it all. */
import { Session } from "node:inspector/promises";
import { type Backend, cs3a, portable, toHex } from "restante/protocol";
import { World } from "restante/testing";
import { expect, test } from "vitest";

test("[A33] after delivery and acknowledgement no peer and no cache holds the message in memory or store", async () => {
  const sealed = new Set<string>();
  // The authenticator covers a whole message and nothing else: so here every one passes, sealed and opened.
  const backend: Backend = {
    ...portable,
    onetimeauth(key, data) {
      if (data.length > TEXT && data.length < 2 * TEXT)
        for (let at = PIECE; at + PIECE < data.length; at += STEP) sealed.add(toHex(data.subarray(at, at + PIECE)));
      return portable.onetimeauth(key, data);
    },
  };
  const world = new World({ seed: 33, backend, cipherSets: (of) => [cs3a(of)] });
  const [alice, bob, carol] = [world.peer("alice"), world.peer("bob"), world.cache("carol")];
  const settle = (): void => world.run("2 min");
  settle();
  for (const peer of [alice, bob]) peer.call({ type: "join", link: carol.root.joinLink() });
  settle();
  bob.call({ type: "invite", once: true }, (value) => {
    alice.call({ type: "add", link: (value as { link: string }).link });
  });
  settle();
  bob.sleep();
  alice.send(bob, "x".repeat(TEXT));
  settle();

  expect(carol.held).toBe(1);
  expect(sealed.size).toBeGreaterThan(1);
  expect(await copies(sealed)).toBeGreaterThan(0); // the cache has one, and so it is found
  alice.sleep();
  bob.wake();
  settle();
  alice.wake();
  settle();
  expect(bob.inbox()).toEqual(["x".repeat(TEXT)]);
  expect(alice.outbox().map(({ state }) => state)).not.toContain("handed");
  expect(carol.held).toBeLessThan(3); // acknowledgements, which nobody acknowledges
  expect(await copies(sealed)).toBe(0);
  for (const peer of [alice, bob, carol])
    for (const value of peer.disk.values()) expect([...sealed].some((hex) => toHex(value).includes(hex))).toBe(false);
});

/** In how many live buffers, after a collection of garbage, one of these stands. */
async function copies(needles: ReadonlySet<string>): Promise<number> {
  const inspector = new Session();
  inspector.connect();
  const evaluate = async (expression: string) => (await inspector.post("Runtime.evaluate", { expression })).result;
  try {
    const { objectId = "" } = await evaluate("ArrayBuffer.prototype");
    const { objects } = await inspector.post("Runtime.queryObjects", { prototypeObjectId: objectId });
    const { result } = await inspector.post("Runtime.callFunctionOn", {
      objectId: objects.objectId ?? "",
      functionDeclaration: `function (wanted) {
        const own = wanted.map((hex) => hex.match(/../g).map((two) => parseInt(two, 16)));
        let count = 0;
        for (const buffer of this) {
          const bytes = new Uint8Array(buffer);
          if (own.some((needle) => find(bytes, needle))) count++;
        }
        return count;
        function find(bytes, needle) {
          for (let at = bytes.indexOf(needle[0]); at >= 0; at = bytes.indexOf(needle[0], at + 1)) {
            let i = 1;
            while (i < needle.length && bytes[at + i] === needle[i]) i++;
            if (i === needle.length) return true;
          }
          return false;
        }
      }`,
      arguments: [{ value: [...needles] }],
      returnByValue: true,
    });
    return Number(result.value);
  } finally {
    inspector.disconnect();
  }
}

const TEXT = 3000; // characters: no handshake, card or acknowledgement of a message is as long
const PIECE = 200; // bytes of it, enough to be met nowhere else
const STEP = 450; // from one piece to the next
