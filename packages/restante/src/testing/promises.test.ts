import { describe, expect, test } from "vitest";
import { toBase32, toHex, utf8 } from "../bytes/index.ts";
import { post, scene, states } from "./scene.ts";
import { EFFECTS, type SimPeer, type World } from "./world.ts";

describe("promise 1: nothing acknowledged is lost", () => {
  // What a peer without a cache of its own does. Each is met by sending and receiving texts and a file.
  test.each(EFFECTS.filter((effect) => effect !== "boxes"))(
    "promise 1: a crash at any %s, of sender and recipient",
    (effect) => {
      let crashes = 0;
      for (let run = 0; run < 6; run++) {
        const nth = 1 + (run % 3);
        const { w, alice, bob } = scene({ seed: 40 + run, loss: 0.05 }, ["alice", "bob"], ["carol"]);
        const promised: string[] = [];
        for (const peer of [alice, bob]) peer.crashAt(effect, nth);
        for (let i = 0; i < 4; i++) {
          // Pages of what is in the spool are read after a start.
          if (effect === "list" && i > 0) for (const peer of [alice, bob]) peer.crash();
          for (const peer of [alice, bob]) peer.wake();
          w.run("1 s");
          const text = `${effect} ${run} ${i}`;
          if (alice.isAwake) alice.send(bob, text, (id) => id !== undefined && promised.push(text));
          w.run("20 s");
        }
        const content = w.chance.random(60_000);
        if (alice.isAwake) alice.sendFile(bob, "file", content, (id) => id !== undefined && promised.push("file"));
        w.run("1 min");
        crashes += alice.crashes + bob.crashes;
        settle(w, [alice, bob]);
        const got = bob.inbox();
        expect(got).toEqual(expect.arrayContaining(promised));
        expect(new Set(got).size).toBe(got.length);
        const file = bob.records().find(({ kind }) => kind === "file");
        if (file !== undefined) expect(toHex(bob.fileOf(file))).toBe(toHex(content));
        expect(alice.outbox().filter(({ state }) => state !== "delivered")).toEqual([]);
      }
      expect(crashes).toBeGreaterThan(1);
    },
  );

  test("promise 1: commits that fail lose nothing that was promised, and refuse what was not", () => {
    const { w, alice, bob } = scene({ seed: 50, loss: 0.1, commitFailure: 0.1 }, ["alice", "bob"], ["carol"]);
    const promised: string[] = [];
    for (let i = 0; i < 40; i++) {
      w.run("30 s");
      if (alice.driver.state !== "running" || alice.contactId(bob) === undefined) continue;
      alice.send(bob, `text ${i}`, (id) => id !== undefined && promised.push(`text ${i}`));
    }
    expect(w.counters.failedCommits).toBeGreaterThan(5);
    expect(promised.length).toBeGreaterThan(10);
    settle(w, [alice, bob]);
    expect(bob.inbox()).toEqual(expect.arrayContaining(promised));
  });
});

test("promise 2: a mail is seen once, though packets double, links flap, and both ends crash and start again", () => {
  const { w, alice, bob, carol } = scene({ seed: 51, loss: 0.2, duplicate: 0.3 }, ["alice", "bob"], ["carol", "dave"]);
  const texts: string[] = [];
  for (let i = 0; i < 24; i++) {
    texts.push(`text ${i}`);
    post(w, alice, bob, `text ${i}`);
    w.run(w.chance.between(0, 3000));
    if (i % 3 === 0) w.part(alice, bob);
    if (i % 3 === 1) w.join(alice, bob);
    if (i % 4 === 0) bob.crash();
    if (i % 6 === 0) alice.crash();
    if (i % 8 === 0) carol.crash();
    w.run(w.chance.between(0, 60_000));
    for (const peer of [alice, bob, carol]) peer.wake();
    w.run("5 s");
  }
  w.join(alice, bob);
  settle(w, [alice, bob]);
  expect(bob.inbox().sort()).toEqual([...texts].sort());
});

test("promise 2: what has arrived is shown at once, whatever is missing before it", () => {
  const { w, alice, bob, carol } = scene({ seed: 52 }, ["alice", "bob"], ["carol"]);
  w.part(alice, bob);
  carol.dropsPuts = 1;
  post(w, alice, bob, "lost for now");
  w.run("2 min");
  carol.dropsPuts = 0;
  post(w, alice, bob, "here");
  for (let ms = 0; bob.inbox().length === 0 && ms < 10_000; ms += 10) w.run(10);
  expect(bob.inbox()).toEqual(["here"]);
  w.run("2 min");
  expect(bob.inbox()).toEqual(["here", "lost for now"]);
});

test("[C11] [C12] promise 3: a ledger says what is known, and nobody but the recipient makes it say delivered", () => {
  const { w, alice, bob, carol } = scene({ seed: 53 }, ["alice", "bob"], ["carol"]);
  bob.sleep();
  carol.dropsPuts = 1; // and says nothing
  const id = post(w, alice, bob, "into the void");
  expect(states(alice, id)).toEqual(["queued"]);
  w.run("10 hours");
  expect(carol.deposits).toBeGreaterThan(0);
  expect(carol.held).toBe(0);
  expect(states(alice, id)).toEqual(["queued", "handed"]);
  carol.dropsPuts = 0;
  bob.wake();
  w.run("10 min");
  expect([bob.inbox(), states(alice, id)]).toEqual([["into the void"], ["queued", "handed", "delivered"]]);
  const told = alice.events.flatMap((event) => (event.type === "state" && event.id === id ? [event.state] : []));
  expect(told).toEqual(["handed", "handed", "delivered"]);
});

test("promise 4: a cache that is started again has nothing, and nothing of it is on a disk", () => {
  const { w, alice, bob, carol } = scene({ seed: 54 }, ["alice", "bob"], ["carol"]);
  bob.sleep();
  post(w, alice, bob, "in memory only");
  w.run("5 min");
  expect(carol.held).toBe(1);
  alice.sleep();
  for (const end of ["sleep", "crash"] as const) {
    carol[end]();
    carol.wake();
    w.run("1 min");
    expect(carol.held).toBe(0);
  }
  expect([carol.disk.size, carol.blobs.size]).toEqual([0, 0]);
});

test("after the acknowledgement no copy is left: not at a cache, and not in the store of a sender who keeps none", () => {
  const { w, alice, bob, carol, dave } = scene(
    { seed: 55, loss: 0.1, keeps: { keepSent: false } },
    ["alice", "bob"],
    ["carol", "dave"],
  );
  bob.sleep();
  const text = "burn after reading";
  post(w, alice, bob, text);
  const content = w.chance.random(40_000);
  alice.sendFile(bob, "plan", content);
  w.run("10 min");
  const needles = [utf8(text), content.subarray(100, 120)].flatMap((bytes) => [
    toHex(bytes),
    toHex(utf8(toHex(bytes))),
    toHex(utf8(toBase32(bytes.subarray(0, 15)))),
  ]);
  const found = (): boolean => {
    const blobs = [...alice.blobs.values()].flatMap((records) => [...records.values()]);
    return [...alice.disk.values(), ...blobs].some((value) => needles.some((needle) => toHex(value).includes(needle)));
  };
  expect([found(), carol.held > 0, dave.held > 0]).toEqual([true, true, true]);
  bob.wake();
  w.run("10 min");
  expect(bob.inbox().sort()).toEqual([text, "plan"]);
  expect([found(), carol.held, dave.held]).toEqual([false, 0, 0]);
});

test("[B53] promise 5: to a stranger, somebody who is there and somebody who is not are the same silence", () => {
  const { w, alice, bob, carol } = scene({ seed: 56 }, ["alice", "bob"], ["carol"]);
  const heard: string[] = [];
  const transmit = w.transmit;
  w.transmit = (from, path, bytes) => {
    if (path.name === "eve") heard.push(from);
    transmit.call(w, from, path, bytes);
  };
  const real = [alice, bob, carol];
  const recorded = record(w, () => {
    post(w, alice, bob, "hello");
    w.run("5 min");
  });
  expect(recorded.length).toBeGreaterThan(20);
  // All that was ever said, said again by somebody else: changed to whom it was for (unchanged it could be our contact,
  // who has moved), and as it was to the others.
  for (const { to, bytes } of recorded)
    for (const { name } of real) {
      const forged = bytes.slice();
      if (name === to) {
        const at = w.chance.between(0, bytes.length - 1);
        forged[at] = 255 - (bytes[at] ?? 0);
      }
      w.transmit("eve", { type: "mem", name }, forged);
    }
  w.run("10 min");
  for (let i = 0; i < 200; i++)
    for (const { name } of real) w.transmit("eve", { type: "mem", name }, w.chance.random(w.chance.between(0, 1500)));
  w.run("10 min");
  expect(heard).toEqual([]);
});

test("promise 6: no bytes from the network stop a peer or grow its state", () => {
  const { w, alice, bob, carol } = scene({ seed: 57, loss: 0.05 }, ["alice", "bob"], ["carol"]);
  const packets = record(w, () => {
    for (let i = 0; i < 5; i++) post(w, alice, bob, `text ${i}`);
    bob.sleep();
    post(w, alice, bob, "by cache");
    w.run("3 min");
    bob.wake();
    w.run("3 min");
  });
  const sizes = (): number[] =>
    [alice, bob].map(({ disk }) => [...disk.values()].reduce((sum, value) => sum + value.length, 0));
  const before = sizes();
  const names = ["alice", "bob", "carol", "eve"];
  for (let i = 0; i < 3000; i++) {
    const { bytes } = w.chance.pick(packets);
    const [from, name] = [w.chance.pick(names), w.chance.pick(names)];
    w.transmit(from, { type: "mem", name }, mutated(w, bytes));
    if (i % 10 === 0) w.run("1 s");
  }
  w.run("10 min");
  expect([alice, bob, carol].map(({ isAwake, crashes }) => [isAwake, crashes])).toEqual([
    [true, 0],
    [true, 0],
    [true, 0],
  ]);
  post(w, alice, bob, "still here");
  post(w, bob, alice, "so am I");
  w.run("5 min");
  expect(bob.inbox().sort()).toEqual(["by cache", "still here", ...[0, 1, 2, 3, 4].map((i) => `text ${i}`)]);
  expect(alice.inbox()).toEqual(["so am I"]);
  sizes().forEach((size, i) => {
    expect(size).toBeLessThan((before[i] ?? 0) + 4000);
  });
});

/** Three quiet days in which everybody is there often enough. */
function settle(w: World, peers: readonly SimPeer[]): void {
  w.faults = false;
  for (let i = 0; i < 4; i++) {
    for (const peer of peers) peer.wake();
    w.run("5 min");
    for (const peer of peers) peer.sleep();
    w.run("20 hours");
  }
  for (const peer of peers) peer.wake();
  w.run("10 min");
}

/** Every packet on the wire meanwhile. */
function record(w: World, run: () => void): { to: string | undefined; bytes: Uint8Array }[] {
  const packets: { to: string | undefined; bytes: Uint8Array }[] = [];
  const { transmit } = w;
  w.transmit = (from, path, bytes) => {
    packets.push({ to: path.name, bytes: bytes.slice() });
    transmit.call(w, from, path, bytes);
  };
  run();
  w.transmit = transmit;
  return packets;
}

/** The packet as it was, with a few bytes changed, cut, or longer. */
function mutated({ chance }: World, packet: Uint8Array): Uint8Array {
  const bytes = packet.slice();
  for (let i = chance.between(0, 3); i > 0; i--) bytes[chance.between(0, bytes.length - 1)] = chance.between(0, 255);
  if (chance.happens(0.2)) return bytes.subarray(0, chance.between(0, bytes.length));
  if (!chance.happens(0.2)) return bytes;
  const longer = new Uint8Array(bytes.length + chance.between(1, 200));
  longer.set(bytes);
  return longer;
}
