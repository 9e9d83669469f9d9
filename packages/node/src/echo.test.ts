import { createHash } from "node:crypto";
import { createPeer, MemoryNetwork, memoryStore, type Peer, type PeerEvent, portable } from "restante";
import { afterEach, expect, test } from "vitest";
import { type Echo, startEcho } from "./echo.ts";

const troubles: string[] = [];
const onTrouble = (message: string): void => void troubles.push(message);
const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it.close();
  expect(troubles.splice(0)).toEqual([]);
});

async function pair(network: MemoryNetwork): Promise<{ peer: Peer; echo: Echo }> {
  const echo = await startEcho({ store: memoryStore(), network, backend: portable, onTrouble });
  const peer = await createPeer({ transports: [network.transport("node")], onTrouble });
  open.push(peer, echo);
  await echo.befriend(peer);
  return { peer, echo };
}

/** The next mail that comes. */
function nextMail(peer: Peer): Promise<Extract<PeerEvent, { type: "mail" }>> {
  return new Promise((resolve) => {
    const end = peer.on((event) => {
      if (event.type !== "mail") return;
      end();
      resolve(event);
    });
  });
}

test("the echo peer says texts back, cut where they would not fit, and of files what it got", async () => {
  const { peer } = await pair(new MemoryNetwork());
  const ask = async (mail: Parameters<Peer["send"]>[1]): Promise<string | undefined> => {
    const answer = nextMail(peer);
    await peer.send("echo", mail);
    return (await answer).text;
  };
  expect(await ask("hello")).toBe("echo: hello");
  expect(await ask("😀".repeat(7100))).toBe(`echo: ${"😀".repeat(7000)}...`);
  const bytes = new Uint8Array(70_000).fill(7);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  expect(await ask({ name: "seven.bin", bytes })).toBe(`echo: seven.bin, 70000 bytes, SHA-256 ${sha256}`);
});

test("befriending it again changes nothing", async () => {
  const { peer, echo } = await pair(new MemoryNetwork());
  await echo.befriend(peer);
  expect(peer.contacts().map(({ name }) => name)).toEqual(["echo"]);
});
