/** Several devices of one person in worlds with faults: taken in and written to without two ever being there together. */
import { expect, test } from "vitest";
import { quick } from "./quick-backend.ts";
import { type SimPeer, World } from "./world.ts";

/** Alice, her phone, and bob, each with a cache; packets are lost and doubled, and crashes come when they like. */
function people(seed: number) {
  const w = new World({ seed, backend: quick, loss: 0.1, duplicate: 0.1, latency: [5, 300], cloak: false });
  const all = ["alice", "phone", "bob"].map((name) => w.peer(name)) as [SimPeer, SimPeer, SimPeer];
  const caches = all.map((_, i) => w.cache(`cache${i}`));
  const [alice, phone, bob] = all;
  w.run("1 s");
  for (const [i, peer] of all.entries()) peer.call({ type: "join", link: caches[i]?.root.joinLink() ?? "" });
  w.run("2 min");
  bob.call({ type: "invite", once: true }, (value) => alice.call({ type: "add", link: linkIn(value) }));
  w.run("5 min");
  let link = "";
  phone.call({ type: "device-link" }, (value) => {
    link = linkIn(value);
  });
  w.run("1 s");
  expect(link).not.toBe("");
  for (const peer of all) peer.sleep();
  return { w, alice, phone, bob, link };
}

function linkIn(value: unknown): string {
  return (value as { link: string }).link;
}

/** Each is awake for half an hour, after the others; now and then one falls over in the middle. */
function turn(w: World, peers: readonly SimPeer[], act: (peer: SimPeer) => void = () => {}): void {
  for (const peer of peers) {
    peer.wake();
    w.run("1 s");
    act(peer);
    if (w.chance.happens(0.3)) {
      w.run("20 s");
      peer.crash();
      peer.wake();
    }
    w.run("30 min");
    peer.sleep();
    w.run("2 hours");
  }
}

test.each([1, 2, 3])("nobody is ever there together, and all comes to each device once (seed %i)", (seed) => {
  const { w, alice, phone, bob, link } = people(seed);
  const peers = [alice, phone, bob];
  turn(w, peers, (peer) => {
    if (peer === alice) alice.call({ type: "device-add", link });
  });
  for (let round = 0; round < 4; round++) turn(w, peers);
  const known = [alice, phone].map((each) => each.hashname).sort();
  bob.wake();
  w.run("1 s");
  expect(bob.root.contacts().map(({ hashnames }) => [...hashnames].sort())).toEqual([known]);
  bob.sleep();
  const [toBob, fromBob]: [string[], string[]] = [[], []];
  for (let day = 0; day < 3; day++)
    turn(w, peers, (peer) => {
      const text = `${peer.name} ${day}`;
      (peer === bob ? fromBob : toBob).push(text);
      // A crash right after may come before the commit: what is not said to be queued may be lost.
      peer.send(peer === bob ? alice : bob, text, (id) => expect(id).toBeDefined());
      w.run("1 s");
    });
  w.faults = false;
  for (let round = 0; round < 3; round++) turn(w, peers);
  expect([alice, phone].map((device) => device.inbox().sort())).toEqual([fromBob.sort(), fromBob.sort()]);
  expect(bob.inbox().sort()).toEqual(toBob.sort());
});

test.each(["alice", "phone", "bob"])(
  "%s's disk goes back two days unnoticed: what was not there before comes once to each device, and all is known to be delivered",
  (name) => {
    const { w, alice, phone, bob, link } = people(4);
    const peers = [alice, phone, bob];
    const victim = peers.find((peer) => peer.name === name) ?? alice;
    turn(w, peers, (peer) => {
      if (peer === alice) alice.call({ type: "device-add", link });
    });
    for (let round = 0; round < 4; round++) turn(w, peers);
    const [toBob, fromBob]: [string[], string[]] = [[], []];
    let backup = victim.backup();
    let lost: string[] = [];
    for (let day = 0; day < 6; day++) {
      if (day === 2) [backup, lost] = [victim.backup(), victim.inbox()];
      if (day === 4) {
        lost = victim.inbox().filter((text) => !lost.includes(text));
        victim.rewind(backup);
      }
      turn(w, peers, (peer) => {
        const text = `${peer.name} ${day}`;
        (peer === bob ? fromBob : toBob).push(text);
        peer.send(peer === bob ? alice : bob, text, (id) => expect(id).toBeDefined());
        w.run("1 s");
      });
    }
    expect(lost.length).toBeGreaterThan(0);
    w.faults = false;
    for (let round = 0; round < 6; round++) turn(w, peers);
    for (const peer of peers) peer.wake();
    w.run("10 min");
    for (const peer of peers) {
      const sent = peer === bob ? toBob : fromBob;
      expect(peer.inbox().sort()).toEqual(sent.filter((text) => peer !== victim || !lost.includes(text)).sort());
      expect(peer.outbox().filter(({ state }) => state === "queued" || state === "handed")).toEqual([]);
    }
  },
);
