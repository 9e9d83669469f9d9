import { createPeer, memoryStore, type Peer, type Transport } from "restante";
import { afterEach, expect, test } from "vitest";
import { tcpTransport } from "./tcp.ts";
import { udpTransport } from "./udp.ts";

const troubles: string[] = [];
const peers: Peer[] = [];
afterEach(async () => {
  await Promise.all(peers.splice(0).map((peer) => peer.close()));
  expect(troubles.splice(0)).toEqual([]);
});

async function peerOn(name: string, transports: Transport[]): Promise<Peer> {
  const peer = await createPeer({ name, transports, store: memoryStore(), onTrouble: (what) => troubles.push(what) });
  peers.push(peer);
  return peer;
}

const here = { host: "127.0.0.1", port: 0 };

// Without the goodbye it takes 30 s and more over UDP: far longer than a test may take.
test("a peer that is closed is down for the other one at once, over UDP, over TCP, and where they have both", async () => {
  const kinds = [[udpTransport], [tcpTransport], [udpTransport, tcpTransport]];
  const ends = kinds.map(async (make) => {
    const [alice, bob] = [
      await peerOn(
        "alice",
        make.map((transport) => transport(here)),
      ),
      await peerOn(
        "bob",
        make.map((transport) => transport(here)),
      ),
    ];
    const met = new Promise((resolve) => bob.on((event) => event.type === "contact" && resolve(event)));
    await alice.add(await bob.invite());
    await met; // her card came by a link
    const down = new Promise((resolve) => alice.on((event) => event.type === "link" && !event.up && resolve(event)));
    await bob.close();
    await down;
    return alice.status().links.map(({ state }) => state);
  });
  expect(await Promise.all(ends)).toEqual([["down"], ["down"], ["down"]]);
});
