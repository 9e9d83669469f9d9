import { randomBytes } from "node:crypto";
import { afterEach, expect, test, vi } from "vitest";
import { freePort } from "../../../../testing/ports.ts";
import { type Message, TYPES } from "../format/message.ts";
import type { Contact } from "../offline/effects.ts";
import { type BazaarNode, createNode, type NodeOptions } from "./node.ts";
import { openStreams } from "./streams.ts";

/** How two get at each other where a plain TCP dial does not: real nodes on loopback. */
interface Peer {
  readonly node: BazaarNode;
  readonly received: Message[];
  readonly send: (to: Contact, message: Message) => Promise<boolean>;
}
const open: BazaarNode[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((node) => node.stop()));
});

async function peer(options: Partial<NodeOptions> = {}): Promise<Peer> {
  const node = await createNode({ seed: new Uint8Array(randomBytes(32)), network: "local", ...options });
  open.push(node);
  const received: Message[] = [];
  const streams = await openStreams(node, Date.now, (message) => void received.push(message));
  await node.start();
  return { node, received, send: (to, message) => streams.send(to, message, 20_000) };
}

const chat = (length: number): Message => ({
  type: TYPES.CHAT,
  payload: { typeUrl: "", value: new Uint8Array(length).fill(7) },
});
const contactOf = ({ node }: Peer): Contact => ({ id: node.id, publicKey: node.publicKey, addrs: node.addrs() });

test("two that nobody can dial reach each other over a relay, with the largest message, and the relay reads none of it", async () => {
  const relay = await peer({ listen: ["/ip4/127.0.0.1/tcp/0"], relays: true, serves: true });
  const [at = ""] = relay.node.addrs();
  const bob = await peer({ listen: [`${at}/p2p-circuit`] });
  await isFound(bob);
  const alice = await peer();
  expect(alice.node.addrs()).toEqual([]);
  expect(await alice.send(contactOf(bob), chat(100))).toBe(true);
  const largest = chat(4 * 1024 * 1024 - 100);
  expect(await alice.send(contactOf(bob), largest)).toBe(true);
  expect(bob.received.map(({ payload }) => payload?.value.length)).toEqual([100, 4 * 1024 * 1024 - 100]);
  // The answer takes the same way back: he knows no other.
  expect(await bob.send(contactOf(alice), chat(5))).toBe(true);
  expect(alice.received).toEqual([chat(5)]);
  expect(relay.received).toEqual([]);
  // Of a relayed connection the relay's network counts: whoever comes by it costs what comes from there.
  expect(bob.node.connected().map(({ group }) => group)).toEqual(["7f0000", "7f0000"]);
});

test("a relay that is away at the start, and one that comes back, has a place for us again", async () => {
  const seed = new Uint8Array(randomBytes(32));
  const first = await peer({ seed, listen: [`/ip4/127.0.0.1/tcp/${await freePort()}`], relays: true });
  const [at = ""] = first.node.addrs();
  const listen = [at.replace(/\/p2p\/.*/, "")];
  const bob = await peer({ listen: [`${at}/p2p-circuit`] });
  await isFound(bob);
  await first.node.stop();
  await vi.waitFor(() => expect(bob.node.addrs()).toEqual([]), WAIT);
  await peer({ seed, listen, relays: true });
  await isFound(bob);
  const alice = await peer();
  expect(await alice.send(contactOf(bob), chat(1))).toBe(true);
  expect(bob.received).toEqual([chat(1)]);
  // Nobody there: the node runs all the same.
  const carol = await peer({ listen: [`${at.replace(/tcp\/\d+/, "tcp/1")}/p2p-circuit`] });
  expect(carol.node.addrs()).toEqual([]);
});

test("an address to listen at that is none, or a relay without a name, is refused before anything starts", async () => {
  for (const listen of ["127.0.0.1:4001", "/p2p-circuit", "/ip4/127.0.0.1/tcp/4001/p2p-circuit", ""])
    await expect(peer({ listen: [listen] })).rejects.toMatchObject({ code: "bad-address" });
});

test("a node that is no relay brings nobody together", async () => {
  const other = await peer({ listen: ["/ip4/127.0.0.1/tcp/0"], serves: true });
  const bob = await peer({ bootstrap: other.node.addrs() });
  await vi.waitFor(() => expect(other.node.connected()).toHaveLength(1), WAIT);
  const alice = await peer();
  const [at = ""] = other.node.addrs();
  const through: Contact = { ...contactOf(bob), addrs: [`${at}/p2p-circuit`] };
  expect(await alice.send(through, chat(1))).toBe(false);
  expect(bob.received).toEqual([]);
});

test("who is known by an id alone is reached at its address, and nobody else who answers there", async () => {
  const bob = await peer({ listen: ["/ip4/127.0.0.1/tcp/0"] });
  const other = await peer({ listen: ["/ip4/127.0.0.1/tcp/0"] });
  const alice = await peer();
  // Addresses without `/p2p/`: libp2p takes whoever is there.
  const bare = ({ node }: Peer): string[] => node.addrs().map((each) => each.replace(/\/p2p\/.*/, ""));
  expect(await alice.send({ id: bob.node.id, addrs: bare(other) }, chat(1))).toBe(false);
  expect(await alice.node.connect({ id: bob.node.id, addrs: bare(other) }, AbortSignal.timeout(20_000))).toBe(false);
  expect(await alice.send({ id: bob.node.id, addrs: bare(bob) }, chat(1))).toBe(true);
  expect([other.received, bob.received]).toEqual([[], [chat(1)]]);
});

test("a node is reached by WebSocket alone, and one that has both addresses by either", async () => {
  const bob = await peer({ listen: ["/ip4/127.0.0.1/tcp/0/ws"] });
  expect(bob.node.addrs()).toEqual([expect.stringMatching(/\/tcp\/\d+\/ws\/p2p\//)]);
  const alice = await peer();
  expect(await alice.send(contactOf(bob), chat(300_000))).toBe(true);
  expect(bob.received).toHaveLength(1);
  const carol = await peer({ listen: ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/tcp/0/ws"] });
  const dead = carol.node.addrs().map((each) => (each.includes("/ws/") ? each : each.replace(/tcp\/\d+/, "tcp/1")));
  expect(dead).toHaveLength(2);
  expect(await alice.send({ ...contactOf(carol), addrs: dead }, chat(1))).toBe(true);
  expect(carol.received).toEqual([chat(1)]);
});

async function isFound({ node }: Peer): Promise<void> {
  await vi.waitFor(() => expect(node.addrs()).toEqual([expect.stringContaining("/p2p-circuit/p2p/")]), WAIT);
}

const WAIT = { timeout: 60_000, interval: 20 };
