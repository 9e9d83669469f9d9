/** Whoever comes back with the store of some time ago goes on at once: nobody has to wait for what the old one had begun. */
import { expect, test } from "vitest";
import { PART_CONTENT } from "../mail/index.ts";
import { post, scene } from "./scene.ts";

test("a peer that was put back hands each of its mails to a cache within five seconds, the second as the first, after a stop or a crash", () => {
  for (let seed = 1; seed <= 6; seed++) {
    const { w, alice, bob } = scene({ seed }, ["alice", "bob"], ["carol"]);
    post(w, alice, bob, "before");
    w.run("1 min");
    alice.sleep();
    const backup = alice.backup();
    alice.wake();
    w.run("10 s");
    post(w, alice, bob, "in between");
    w.run("1 min");
    bob.sleep();
    if (seed % 2 === 0) alice.sleep();
    else alice.crash();
    w.run(["1 s", "20 s", "5 min"][seed % 3] ?? "");
    alice.restore(backup);
    alice.wake();
    w.run("1 s");
    for (const text of ["first", "second", "third"]) {
      const id = post(w, alice, bob, text);
      w.run("5 s");
      expect(
        alice.ledger(id).map(({ state }) => state),
        `seed ${seed}, ${text}`,
      ).toContain("handed");
    }
    bob.wake();
    w.run("1 min");
    expect(bob.inbox().sort()).toEqual(["before", "first", "in between", "second", "third"]);
  }
});

test("whose store went back unnoticed gives out its card anew when a contact speaks of the other one: its caches are found", () => {
  const { w, alice, bob, carol } = scene({ seed: 7 }, ["alice", "bob"], ["carol"]);
  const [dora, eric] = [w.cache("dora"), w.cache("eric")];
  w.run("1 s");
  alice.sleep();
  const backup = alice.backup();
  alice.wake();
  w.run("10 s");
  alice.call({ type: "join", link: dora.root.joinLink() });
  w.run("1 min"); // Bob has a card of the version that comes next
  post(w, alice, bob, "in between");
  w.run("1 min");
  alice.sleep();
  alice.rewind(backup);
  alice.wake();
  w.run("10 s");
  alice.call({ type: "join", link: eric.root.joinLink() });
  for (const text of ["one", "two"]) {
    post(w, alice, bob, text);
    w.run("1 min");
  }
  expect(alice.events.some(({ type }) => type === "copied")).toBe(true);
  expect(bob.inbox().sort()).toEqual(["in between", "one", "two"]);
  alice.sleep();
  const id = post(w, bob, alice, "where you are found now");
  w.run("1 min");
  bob.sleep();
  carol.crash();
  alice.wake();
  w.run("1 min");
  expect(bob.ledger(id).flatMap(({ cache }) => cache ?? [])).toContain(eric.hashname);
  expect(alice.inbox()).toEqual(["where you are found now"]);
});

test("who became a contact after the backup comes back as a request, and all of its mail once, however much gets lost and crashes", () => {
  const { w, alice, carol } = scene({ seed: 1, loss: 0.1, duplicate: 0.05 }, ["alice"], ["carol", "dave"]);
  const bob = w.peer("bob");
  alice.sleep();
  const backup = alice.backup();
  alice.wake();
  w.run("1 s");
  alice.call({ type: "invite", once: true }, (value) => {
    bob.call({ type: "add", link: (value as { link: string }).link });
  });
  w.run("10 min");
  post(w, bob, alice, "before");
  w.run("10 min");
  expect(alice.inbox()).toEqual(["before"]);
  alice.sleep();
  post(w, bob, alice, "while she is away");
  w.run("10 min");
  alice.restore(backup);
  alice.wake();
  w.run("10 min");
  bob.crash();
  carol.crash();
  bob.wake();
  carol.wake();
  w.run("1 s");
  post(w, bob, alice, "after she is back");
  for (let day = 0; day < 2; day++) {
    w.run("20 hours");
    alice.sleep();
    w.run("1 min");
    alice.wake();
  }
  w.run("10 min");
  const [request] = alice.root.requests();
  expect({ name: request?.name, before: request?.before }).toEqual({ name: "bob", before: true });
  alice.call({ type: "accept", request: request?.request ?? "" });
  w.run("1 hour");
  // What was acknowledged before the disk was lost is with nobody any more.
  expect(alice.inbox().sort()).toEqual(["after she is back", "while she is away"]);
});

test("a file of which parts had come when its recipient's store went back unnoticed arrives: what was told of them is not believed for ever", () => {
  const { w, alice, bob } = scene({ seed: 3 }, ["alice", "bob"], ["carol"], { cap: 128 * 1024, quota: 1 << 20 });
  bob.sleep();
  const backup = bob.backup();
  alice.sendFile(bob, "film", new Uint8Array(5 * PART_CONTENT)); // more than the cache has room for
  w.run("1 min");
  alice.sleep();
  bob.wake();
  w.run("1 min");
  expect(bob.events.filter(({ type }) => type === "progress").at(-1)).toMatchObject({ done: 3, of: 5 });
  bob.sleep();
  bob.rewind(backup);
  for (let day = 0; day < 4; day++)
    for (const peer of [alice, bob]) {
      peer.wake();
      w.run("1 min");
      peer.sleep();
      w.run("12 hours");
    }
  expect(bob.inbox()).toEqual(["film"]);
});
