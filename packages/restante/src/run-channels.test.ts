/** Channels of applications, as the library's users have them. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { utf8 } from "./bytes/index.ts";
import { ChannelBroken, type PeerChannel } from "./index.ts";
import { createPeer, type Peer } from "./run.ts";
import { memoryStore } from "./store/index.ts";
import { cs01 } from "./testing/cipher-set-01.ts";
import { MemoryNetwork } from "./transport/index.ts";

const network = new MemoryNetwork();
const stores = { bob: memoryStore() };
const troubles: string[] = [];
const start = (name: string, store = memoryStore()): Promise<Peer> =>
  createPeer({
    name,
    store,
    cipherSets: [cs01()],
    transports: [network.transport(name)],
    onTrouble: (message) => troubles.push(message),
  });

let alice: Peer;
let bob: Peer;

beforeAll(async () => {
  [alice, bob] = await Promise.all([start("alice"), start("bob", stores.bob)]);
  const known = new Promise((resolve) => bob.on((event) => event.type === "contact" && resolve(event)));
  await alice.add(await bob.invite());
  await known;
});
afterAll(async () => {
  await Promise.all([alice.close(), bob.close()]);
});

const text = (packet?: { body: Uint8Array }): string => new TextDecoder().decode(packet?.body);

/** The next channel of this type that somebody opens to the peer. */
function next(peer: Peer, type: string): { channel: Promise<PeerChannel>; stop: () => void } {
  let stop = (): void => {};
  const channel = new Promise<PeerChannel>((resolve) => {
    stop = peer.channels(type, resolve);
  });
  return { channel, stop };
}

test("what one end says arrives in order, there and back, and both learn that all of it was taken", async () => {
  const stop = bob.channels("echo", async (channel) => {
    for await (const { head, body } of channel) await channel.send({ head, body });
    await channel.end({ head: { bye: true } });
  });
  const channel = await alice.openChannel("bob", "echo", { head: { n: 0 }, body: utf8("hello") });
  expect([channel.type, channel.hashname, channel.reliable]).toEqual(["echo", bob.hashname, true]);
  const count = 400; // more than any window
  const heard: unknown[] = [];
  const listening = (async () => {
    for await (const { head } of channel) heard.push(head["n"] ?? head["bye"]);
  })();
  for (let n = 1; n < count; n++) await channel.send({ head: { n } });
  await channel.end();
  await listening;
  expect(heard).toEqual([...Array(count).keys(), true]);
  expect(await channel.closed).toEqual({});
  expect(await channel.receive()).toBeUndefined();
  await expect(channel.send({})).rejects.toMatchObject({ code: "channel-closed" });
  stop();
});

test("a type that is not served there ends the channel, one that was served no more does, too", async () => {
  const channel = await alice.openChannel("bob", "nobody.here");
  expect(await channel.closed).toEqual({ why: "unknown type" });
  const broken = channel.receive();
  await expect(broken).rejects.toBeInstanceOf(ChannelBroken);
  await expect(broken).rejects.toMatchObject({
    ...{ code: "channel-closed", why: "unknown type", message: "the channel broke: unknown type" },
  });
  next(bob, "short").stop();
  expect(await (await alice.openChannel("bob", "short")).closed).toEqual({ why: "unknown type" });
});

test("of whoever does not receive no more is taken than the window, and the sender waits", async () => {
  const { channel: opened, stop } = next(bob, "slow");
  const channel = await alice.openChannel("bob", "slow");
  const theirs = await opened;
  const sends = Array.from({ length: 300 }, (_, n) => channel.send({ head: { n } }));
  const outcomes = await Promise.race([
    Promise.allSettled(sends).then(() => "all were taken"),
    Promise.allSettled(sends.slice(-1)).then(([last]) => last),
  ]);
  expect(outcomes).toMatchObject({ status: "rejected", reason: { code: "busy" } });
  const packets = Promise.all(Array.from({ length: 20 }, () => theirs.receive()));
  expect((await packets).map((packet) => packet?.head["n"])).toEqual([undefined, ...Array(19).keys()]);
  theirs.abort("enough");
  expect(await channel.closed).toEqual({ why: "enough" });
  expect(await theirs.closed).toEqual({ why: "enough" });
  const refused = (await Promise.allSettled(sends)).filter(({ status }) => status === "rejected");
  expect(refused.length).toBeGreaterThan(0);
  stop();
});

test("unreliable packets come, and what is no packet is refused before it leaves", async () => {
  const { channel: opened, stop } = next(bob, "datagrams");
  const channel = await alice.openChannel("bob", "datagrams", { reliable: false, body: utf8("one") });
  await channel.send({ body: utf8("two") });
  const theirs = await opened;
  expect([theirs.reliable, text(await theirs.receive()), text(await theirs.receive())]).toEqual([false, "one", "two"]);
  const circle: { head?: object } = {};
  circle.head = circle;
  for (const [head, size, code] of [
    [{ end: true }, 0, "bad-packet"],
    [{ type: "x" }, 0, "bad-packet"],
    [{ n: Number.NaN }, 0, "bad-packet"],
    [circle, 0, "bad-packet"],
    [{}, 1400, "too-large"],
  ] as const) {
    const packet = { head: head as never, body: new Uint8Array(size) };
    await expect(channel.send(packet)).rejects.toMatchObject({ code });
    await expect(alice.openChannel("bob", "datagrams", packet)).rejects.toMatchObject({ code });
  }
  theirs.abort();
  stop();
});

test("packets with as many fields as are taken arrive, reliable or not, also the one that opens", async () => {
  const head = Object.fromEntries(Array.from({ length: 56 }, (_, i) => [`k${i}`, i]));
  for (const reliable of [true, false]) {
    const { channel: opened, stop } = next(bob, "wide");
    const channel = await alice.openChannel("bob", "wide", { head, reliable });
    await channel.send({ head });
    const theirs = await opened;
    expect([await theirs.receive(), await theirs.receive()]).toMatchObject([{ head }, { head }]);
    await expect(channel.send({ head: { ...head, more: 1 } })).rejects.toMatchObject({ code: "bad-packet" });
    channel.abort();
    stop();
  }
});

test("who stops serving a type and serves it anew at once: the new one is given the channels, and is not stopped with the old one", async () => {
  const given: string[] = [];
  const taker = (name: string) => (channel: PeerChannel) => {
    given.push(name);
    channel.abort("seen");
  };
  const said = async (): Promise<unknown> => (await alice.openChannel("bob", "handed")).closed;
  bob.channels("handed", taker("first"))();
  const second = bob.channels("handed", taker("second"));
  for (let i = 0; i < 3; i++) expect(await said()).toEqual({ why: "seen" });
  expect(given).toEqual(["second", "second", "second"]);
  second();
  const same = taker("same");
  const before = bob.channels("handed", same);
  before();
  const after = bob.channels("handed", same);
  before();
  expect(await said()).toEqual({ why: "seen" });
  after();
});

test("what is no contact, type, function or reason is refused, or made a text: the peer does not stumble over it", async () => {
  const odd = [5, undefined, null, {}, ["bob"]] as never[];
  for (const each of odd) {
    await expect(alice.openChannel(each, "game")).rejects.toMatchObject({ code: "bad-request" });
    await expect(alice.openChannel("bob", each)).rejects.toMatchObject({ code: "bad-request" });
    expect(() => alice.channels(each, () => {})).toThrow(expect.objectContaining({ code: "bad-type" }));
    expect(() => alice.channels("game", each)).toThrow(expect.objectContaining({ code: "bad-request" }));
  }
  const { channel: opened, stop } = next(bob, "odd");
  const channel = await alice.openChannel("bob", "odd");
  const theirs = await opened;
  channel.abort(5 as never);
  expect(await theirs.closed).toEqual({ why: "5" });
  expect(alice.status()).toMatchObject({ state: "running", faults: 0 });
  stop();
});

test("types that telehash or Restante uses belong to nobody else, and each type to one", async () => {
  for (const type of ["inbox", "boxes", "path", "link", "restante.join", "", "two words", "x".repeat(65)]) {
    expect(() => alice.channels(type, () => {})).toThrow(expect.objectContaining({ code: "bad-type" }));
    await expect(alice.openChannel("bob", type)).rejects.toMatchObject({ code: "bad-type" });
  }
  const stop = alice.channels("mine", () => {});
  expect(() => alice.channels("mine", () => {})).toThrow(expect.objectContaining({ code: "known" }));
  stop();
  alice.channels("mine", () => {})();
  await expect(alice.openChannel("nobody", "mine")).rejects.toMatchObject({ code: "not-found" });
});

test("a handler that throws ends its channel and nothing else, and a person is told", async () => {
  const stop = bob.channels("broken", () => {
    throw new Error("a fault in the application");
  });
  const told = new Promise((resolve) => bob.on((event) => event.type === "channel-failed" && resolve(event)));
  const channel = await alice.openChannel("bob", "broken");
  expect(await channel.closed).toEqual({ why: "failed" });
  expect(troubles.join()).toContain("of type broken failed: a fault in the application");
  expect(await told).toEqual({
    ...{ type: "channel-failed", channel: "broken", hashname: alice.hashname, message: "a fault in the application" },
  });
  stop();
});

test("a peer that begins anew ends its channels, says why, and serves the same types as before", async () => {
  const handed: PeerChannel[] = [];
  const stop = bob.channels("lasting", (channel) => handed.push(channel));
  const channel = await alice.openChannel("bob", "lasting");
  await expect.poll(() => handed.length, { timeout: 60_000 }).toBe(1);
  const { commit } = stores.bob;
  stores.bob.commit = async () => {
    stores.bob.commit = commit;
    throw new Error("the disk is full");
  };
  await expect(bob.rename("bobby")).rejects.toMatchObject({ code: "restarted" });
  expect(await handed[0]?.closed).toEqual({ why: "restarted" });
  expect((await channel.closed).why).toBeDefined();
  const again = await alice.openChannel("bob", "lasting");
  await expect.poll(() => handed.length, { timeout: 60_000 }).toBe(2);
  again.abort();
  stop();
});

test("a channel ends with its link, and is open again to whoever comes back", async () => {
  const { channel: opened } = next(bob, "brief");
  const channel = await alice.openChannel("bob", "brief");
  const theirs = await opened;
  await bob.close();
  expect(await theirs.closed).toEqual({ why: "stopped" });
  expect(await channel.closed).toEqual({ why: "left" });
  await expect(theirs.send({})).rejects.toMatchObject({ code: "not-running" });
  const waiting = alice.openChannel("bob", "brief"); // looks for him
  bob = await start("bob", stores.bob);
  const { channel: again, stop } = next(bob, "brief");
  expect((await again).hashname).toBe(alice.hashname);
  (await waiting).abort();
  stop();
});
