import { expect, test } from "vitest";
import { equal } from "../bytes/index.ts";
import { type SimPeer, World } from "./world.ts";

function join(world: World, peer: SimPeer, cache: SimPeer): void {
  const errors: unknown[] = [];
  peer.call({ type: "join", link: cache.root.joinLink() }, (_, error) => errors.push(error));
  world.run("1 min");
  expect(errors).toEqual([undefined]);
}

function befriend(world: World, a: SimPeer, b: SimPeer): void {
  a.call({ type: "invite", once: true }, (value) => {
    b.call({ type: "add", link: (value as { link: string }).link });
  });
  world.run("5 min");
}

test("[A1] a mail outlives its sender's absence: the two are never awake together", () => {
  const w = new World({ seed: 7, loss: 0.3 });
  const [alice, bob, carol] = [w.peer("alice"), w.peer("bob"), w.cache("carol")];
  w.run("1 s");
  join(w, alice, carol);
  join(w, bob, carol);
  befriend(w, alice, bob);
  bob.sleep();
  let id: string | undefined;
  alice.send(bob, "hi", (known) => {
    id = known;
  });
  w.run("10 min");
  expect(alice.ledger(id ?? "").map((entry) => entry.state)).toContain("handed");
  alice.sleep();
  w.run("1 day");
  expect(carol.held).toBeGreaterThan(0);
  bob.wake();
  w.run("5 min");
  expect(bob.inbox()).toEqual(["hi"]);
  bob.sleep();
  alice.wake();
  w.run("5 min");
  expect(alice.ledger(id ?? "").at(-1)?.state).toBe("delivered");
  expect(carol.held).toBe(0);
});

test("two peers with a link need no cache", () => {
  const w = new World({ seed: 8 });
  const [alice, bob] = [w.peer("alice"), w.peer("bob")];
  w.run("1 s");
  befriend(w, alice, bob);
  alice.send(bob, "direct");
  w.run("5 s");
  expect(bob.inbox()).toEqual(["direct"]);
});

test("a file arrives whole through a cache", () => {
  const w = new World({ seed: 9, loss: 0.1 });
  const [alice, bob, carol] = [w.peer("alice"), w.peer("bob"), w.cache("carol")];
  w.run("1 s");
  join(w, alice, carol);
  join(w, bob, carol);
  befriend(w, alice, bob);
  bob.sleep();
  const content = w.chance.random(300_000);
  alice.sendFile(bob, "photo.raw", content);
  w.run("30 min");
  alice.sleep();
  bob.wake();
  w.run("30 min");
  expect(bob.inbox()).toEqual(["photo.raw"]);
  const [record] = bob.records();
  expect(record && bob.fileOf(record)).toEqual(content);
});

test("an invite without a secret makes a request, and an accepted one a contact", () => {
  const w = new World({ seed: 10 });
  const [alice, bob] = [w.peer("alice"), w.peer("bob")];
  w.run("1 s");
  let link = "";
  alice.call({ type: "invite", once: true }, (value) => {
    link = (value as { link: string }).link;
  });
  w.run("1 s");
  bob.call({ type: "add", link });
  w.run("2 min");
  expect(alice.contactId(bob)).toBeDefined();
  // The same link again, in other hands: nobody is accepted unasked.
  const eve = w.peer("eve");
  w.run("1 s");
  eve.call({ type: "add", link });
  w.run("5 min");
  expect(alice.contactId(eve)).toBeUndefined();
});

test("a file of many parts over a link, and a hundred texts behind it", () => {
  const w = new World({ seed: 11 });
  const [alice, bob] = [w.peer("alice"), w.peer("bob")];
  w.run("1 s");
  befriend(w, alice, bob);
  const content = w.chance.random(3_000_000);
  alice.sendFile(bob, "film.raw", content);
  for (let i = 0; i < 100; i++) alice.send(bob, `text ${i}`);
  w.run("5 min");
  expect(bob.inbox()).toHaveLength(101);
  const film = bob.records().find((mail) => mail.kind === "file");
  expect(film !== undefined && equal(bob.fileOf(film), content)).toBe(true);
});
